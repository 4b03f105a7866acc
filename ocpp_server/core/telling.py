"""Which events a decision brings: found by comparing its changes with the state before it.

They are changes as well and join the same commit, so each is kept exactly once: a repeated message changes nothing, and
so tells nothing.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final

from ocpp_server.core import changes as ch
from ocpp_server.core.admission import admission_of
from ocpp_server.core.alerts import SILENT
from ocpp_server.core.energy import Wh
from ocpp_server.core.events import Event, EventType, QuotaUse, SessionFacts
from ocpp_server.core.period import Month
from ocpp_server.core.quota import find_user, open_month, tags_of
from ocpp_server.core.records import Admission, Alert, Booking, ChargePoint, Transaction
from ocpp_server.core.site import Site
from ocpp_server.core.users import Account, IdTag, User, UserTable

THRESHOLDS: Final = (80, 95, 100)
"""Percent of a quota."""
_FAULTED: Final = "Faulted"


def events_of(site: Site, changes: Iterable[ch.Change], at: datetime) -> tuple[ch.AddEvent, ...]:
    """The events of these changes, which are one decision; `site` is the state before it."""
    told: dict[
        tuple[str, str | int], Iterator[Event]
    ] = {}  # not looked at yet: what a record becomes in the end counts
    bookings: list[Booking] = []
    for change in changes:
        if isinstance(change, ch.AddBooking):  # what each reading brings comes first: it must cost little
            bookings.append(change.booking)
        elif isinstance(change, ch.PutTransaction):
            told["transaction", change.transaction.transaction_id] = _of_transaction(site, change.transaction, at)
        elif isinstance(change, ch.PutChargePoint):
            told["charge point", change.charge_point.charge_point_id] = _of_connectors(site, change.charge_point, at)
        elif isinstance(change, ch.PutAlert):
            told["alert", change.alert.alert_id] = _of_alert(site, change.alert, at)
        elif isinstance(change, ch.RemoveAlert):
            told["alert", change.alert_id] = _of_end(site, change.alert_id, at)
        elif isinstance(change, ch.PutUsers):
            told["users", ""] = _of_table(site, change.table, open_month(site, at), at)
        elif isinstance(change, ch.PutOpenMonth):
            told["month", ""] = _of_month(site, change.month, at)
    events = [event for found in told.values() for event in found]
    if bookings:
        events += _of_bookings(site, bookings, at)
    if not events:  # by far the most
        return ()
    return tuple(ch.AddEvent(number, event) for number, event in enumerate(events, site.next_event_number))


def _of_transaction(site: Site, now: Transaction, at: datetime) -> Iterator[Event]:
    before = site.transactions.get(now.transaction_id)
    if before is None:
        yield _session(site, EventType.SESSION_STARTED, now, at)
    if now.is_open:
        if now.stop is not None and (before is None or before.stop is None):
            yield _session(site, EventType.SESSION_STOPPING, now, at)
    elif before is None or before.is_open:
        yield _session(site, EventType.SESSION_STOPPED, now, at)
    elif (before.energy, before.ended_at) != (now.energy, now.ended_at):
        yield _session(site, EventType.SESSION_CORRECTED, now, at)


def _session(site: Site, event_type: EventType, one: Transaction, at: datetime) -> Event:
    facts = SessionFacts(
        transaction_id=one.transaction_id,
        connector_id=one.connector_id,
        id_tag=one.id_tag,
        full_name=one.full_name,
        status=one.status,
        started_at=one.started_at,
        start_register=one.register.start,
        last_register=one.register.last,
        energy=one.energy,
        stop_cause=None if one.stop is None else one.stop.cause,
        ended_at=one.ended_at,
        end_kind=one.end_kind,
        stop_reason=one.stop_reason,
    )
    return Event(event_type, at, one.charge_point_id, _name(site, one.charge_point_id), session=facts)


def _of_connectors(site: Site, now: ChargePoint, at: datetime) -> Iterator[Event]:
    """Of charge points that belong to the site: a stranger can tell us anything, but not others through us."""
    charge_point_id = now.charge_point_id
    known = site.charge_points.get(charge_point_id)
    if known is None or now.connectors is known.connectors:
        return
    if admission_of(site, charge_point_id) is not Admission.APPROVED:
        return
    before = {one.connector_id: (one.status, one.error_code) for one in known.connectors}
    for one in now.connectors:
        status, error_code = before.get(one.connector_id, ("", ""))
        if (one.status, one.error_code) == (status, error_code):
            continue
        event_types = [EventType.CHARGER_STATUS]
        if (one.status == _FAULTED) != (status == _FAULTED):
            is_fault = one.status == _FAULTED
            event_types.append(EventType.CHARGER_FAULTED if is_fault else EventType.CHARGER_RECOVERED)
        for event_type in event_types:
            yield Event(event_type, at, charge_point_id, _name(site, charge_point_id), connector=one)


def _of_alert(site: Site, now: Alert, at: datetime) -> Iterator[Event]:
    before = site.alerts.get(now.alert_id)
    if before is None or before.kind != now.kind:
        yield _alert(site, EventType.ALERT_RAISED, now, at)
        if now.kind == SILENT:
            yield _alert(site, EventType.CHARGER_SILENT, now, at)
    elif now.acknowledged_at is not None and now.acknowledged_at != before.acknowledged_at:
        yield _alert(site, EventType.ALERT_ACKNOWLEDGED, now, at)


def _of_end(site: Site, alert_id: str, at: datetime) -> Iterator[Event]:
    before = site.alerts.get(alert_id)
    if before is None:
        return
    yield _alert(site, EventType.ALERT_RESOLVED, before, at)
    if before.kind == SILENT:
        yield _alert(site, EventType.CHARGER_RECOVERED, before, at)


def _alert(site: Site, event_type: EventType, one: Alert, at: datetime) -> Event:
    return Event(event_type, at, one.charge_point_id, _name(site, one.charge_point_id), alert=one)


def _of_bookings(site: Site, bookings: Sequence[Booking], at: datetime) -> Iterator[Event]:
    month = open_month(site, at)
    drafted: dict[IdTag, int] = {}
    for booking in bookings:
        if booking.is_on_quota and booking.month == month:
            drafted[booking.id_tag] = drafted.get(booking.id_tag, 0) + booking.wh
    seen: set[Account] = set()
    for id_tag in drafted:
        user = find_user(site, id_tag)
        if user is None or user.account in seen:
            continue
        seen.add(user.account)
        tags = tags_of(site, user.account)
        used = Wh(site.used(month, tags) + sum([drafted.get(tag, 0) for tag in tags]))
        yield from _thresholds(site, user, used, month, at)


def _of_table(site: Site, table: UserTable, month: Month, at: datetime) -> Iterator[Event]:
    """A quota that was lowered may be used up from now on, and energy that flowed in a month before it was opened."""
    tags: dict[Account, list[IdTag]] = {}
    for user in table.users.values():
        tags.setdefault(user.account, []).append(user.id_tag)
    for user in {user.account: user for user in table.users.values()}.values():
        yield from _thresholds(site, user, site.used(month, tags[user.account]), month, at)


def _of_month(site: Site, month: Month, at: datetime) -> Iterator[Event]:
    yield Event(EventType.MONTH_OPENED, at, month=month)
    yield from _of_table(site, site.users, month, at)


def _thresholds(site: Site, user: User, used: Wh, month: Month, at: datetime) -> Iterator[Event]:
    """Those that were not told of yet in this month for this quota: a correction and a step over it again are none."""
    if not user.quota or used * 100 < user.quota * THRESHOLDS[0]:
        return
    told = site.quota_told.get(user.account)
    known = told.percent if told is not None and (told.month, told.quota) == (month, user.quota) else 0
    for percent in THRESHOLDS:
        if percent > known and used * 100 >= user.quota * percent:
            event_type = EventType.QUOTA_REACHED if percent == 100 else EventType.QUOTA_WARNING
            use = QuotaUse(user.account, user.full_name, month, percent, user.quota, used)
            yield Event(event_type, at, quota=use)


def _name(site: Site, charge_point_id: str) -> str:
    row = site.chargers.get(charge_point_id)
    return row.name if row is not None else ""
