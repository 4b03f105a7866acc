"""The state of a site, and `apply`, the only place that alters it."""

from collections import deque
from dataclasses import field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeAlias, assert_never
from zoneinfo import ZoneInfo

from ocpp_server.core import changes as ch
from ocpp_server.core.energy import BrandProfile, BrandRule, EnergyUnit, Wh, match_brand, profile_of_brand
from ocpp_server.core.events import QuotaUse
from ocpp_server.core.frozen import dataclass, replace
from ocpp_server.core.period import Month
from ocpp_server.core.records import Alert, ChargePoint, Note, Reading, RefusedTag, Transaction
from ocpp_server.core.set_aside import SetAside, SetAsideKind, SetAsideState
from ocpp_server.core.users import Account, ChargerRow, IdTag, User, UserTable

MOST_READINGS = 500
MOST_NOTES = 500
MOST_REFUSED_TAGS = 50
MOST_OPEN_SET_ASIDE = 1_000
MOST_DECIDED_SET_ASIDE = 1_000
_KEEP_ENDED = timedelta(days=62)

StartKey: TypeAlias = tuple[str, int, str, str, str]
"""Charge point, connector, tag without case, start time, meterStart: what makes a StartTransaction the same one."""


class UnknownChargePoints(StrEnum):
    """What becomes of a charge point of the site's networks that nobody approved (`EVQUOTA_CHARGER_ADMISSION`)."""

    PENDING = "pending"
    """It waits for approval; on this machine itself it is let in."""
    LOCKED = "locked"
    """It is refused."""
    OPEN = "open"
    """It is let in."""


@dataclass(frozen=True, slots=True)
class AdmissionPolicy:
    """Who may connect."""

    unknown: UnknownChargePoints = UnknownChargePoints.PENDING
    min_security_profile: int = 0
    max_charge_points: int = 200
    is_internet_without_tls_allowed: bool = False


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings that rules depend on. Times in seconds, power in W."""

    zone: ZoneInfo
    brand_rules: tuple[BrandRule, ...] = ()
    max_sessions_per_account: int = 0
    """0: no limit."""
    tag_suffix_separator: str = "_"
    max_power_w: int = 50_000
    sample_interval_s: float = 60.0
    stale_close_after_s: float = 3600.0
    admission: AdmissionPolicy = AdmissionPolicy()


@dataclass(slots=True)
class Site:
    """Everything that decisions are made from. Altered by `apply` alone."""

    policy: Policy
    open_month: Month | None = None
    users: UserTable = field(default_factory=UserTable)
    users_by_fold: dict[str, list[User]] = field(default_factory=dict)
    tags_by_account: dict[str, list[IdTag]] = field(default_factory=dict)
    chargers: dict[str, ChargerRow] = field(default_factory=dict)
    charge_points: dict[str, ChargePoint] = field(default_factory=dict)
    profiles: dict[str, BrandProfile] = field(default_factory=dict, compare=False)
    """Brand profiles in force, found once."""
    last_seen: dict[str, datetime] = field(default_factory=dict)
    last_heartbeat: dict[str, datetime] = field(default_factory=dict)
    configurations: dict[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    transactions: dict[int, Transaction] = field(default_factory=dict)
    """Open ones, and those that ended not long ago."""
    open_transactions: dict[int, Transaction] = field(default_factory=dict)
    open_by_charge_point: dict[str, dict[int, Transaction]] = field(default_factory=dict)
    open_by_tag: dict[IdTag, dict[int, Transaction]] = field(default_factory=dict)
    starts: dict[StartKey, int] = field(default_factory=dict)
    usage: dict[tuple[Month, IdTag], Wh] = field(default_factory=dict)
    """What counts on quotas."""
    delivered: dict[str, Wh] = field(default_factory=dict)
    """By charge point, ever, whoever paid."""
    energy_by_hour: dict[tuple[str, datetime], Wh] = field(default_factory=dict)
    energy_by_day: dict[tuple[IdTag, str], Wh] = field(default_factory=dict)
    readings: deque[Reading] = field(default_factory=lambda: deque(maxlen=MOST_READINGS))
    reading_keys: set[str] = field(default_factory=set)
    notes: deque[Note] = field(default_factory=lambda: deque(maxlen=MOST_NOTES))
    refused_tags: deque[RefusedTag] = field(default_factory=lambda: deque(maxlen=MOST_REFUSED_TAGS))
    alerts: dict[str, Alert] = field(default_factory=dict)
    open_set_aside: dict[int, SetAside] = field(default_factory=dict)
    """Energy that waits for a person, by number."""
    set_aside_of: dict[int, dict[int, SetAside]] = field(default_factory=dict)
    """Of these the readings, by transaction."""
    decided_set_aside: dict[int, SetAside] = field(default_factory=dict)
    """The newest that a person accepted or dropped: the ledger has all."""
    next_set_aside_number: int = 1
    quota_told: dict[Account, QuotaUse] = field(default_factory=dict)
    """The last threshold of an account's quota that other systems were told of."""
    next_transaction_id: int = 1
    next_booking_id: int = 1
    next_reading_number: int = 1
    next_note_number: int = 1
    next_event_number: int = 1
    next_refusal_number: int = 1

    def profile_of(self, charge_point: ChargePoint) -> BrandProfile:
        """The brand profile in force: chargers.csv before what BootNotification tells (rule 3)."""
        known = self.profiles.get(charge_point.charge_point_id)
        if known is None:
            known = self.profiles[charge_point.charge_point_id] = self._recognise(charge_point)
        return known

    def _recognise(self, charge_point: ChargePoint) -> BrandProfile:
        row = self.chargers.get(charge_point.charge_point_id)
        rules = self.policy.brand_rules
        named = profile_of_brand(rules, row.brand) if row is not None and row.brand else None
        profile = named or match_brand(rules, charge_point.vendor, charge_point.model, charge_point.charge_point_id)
        if row is not None and row.energy_unit is not None:
            unit = EnergyUnit(row.energy_unit)
            profile = replace(profile, register_unit=unit, sample_unit=unit, is_label_ignored=True)
        if row is not None and row.max_power_w is not None:
            profile = replace(profile, max_power_w=row.max_power_w)
        return profile

    def open_on(self, charge_point_id: str, connector_id: int | None = None) -> list[Transaction]:
        """Open transactions of a charge point, or of one of its connectors, oldest first."""
        here = self.open_by_charge_point.get(charge_point_id, {}).values()
        wanted = [t for t in here if connector_id in (None, t.connector_id)]
        return sorted(wanted, key=lambda t: (t.started_at, t.transaction_id))

    def used(self, month: Month, tags: list[IdTag]) -> Wh:
        """Wh booked on quotas for these tags in a month."""
        return Wh(sum(self.usage.get((month, tag), 0) for tag in tags))


def start_key(transaction: Transaction) -> StartKey:
    """What a repeated StartTransaction is recognised by (rule 19)."""
    return (
        transaction.charge_point_id,
        transaction.connector_id,
        transaction.stated_id_tag.casefold(),
        transaction.start_stamp,
        transaction.start_meter_text,
    )


def apply(site: Site, change: ch.Change) -> None:
    """Carry out one change; doing it twice is harmless."""
    match change:
        case ch.PutTransaction(transaction):
            _put_transaction(site, transaction)
        case ch.AddBooking():
            _add_booking(site, change)
        case ch.AddReading(reading):
            _add_reading(site, reading)
        case ch.PutSeen(charge_point_id, last_seen, last_heartbeat):
            site.last_seen[charge_point_id] = last_seen
            if last_heartbeat is not None:
                site.last_heartbeat[charge_point_id] = last_heartbeat
        case ch.PutChargePoint(charge_point):
            site.charge_points[charge_point.charge_point_id] = charge_point
            site.profiles.pop(charge_point.charge_point_id, None)
        case ch.RemoveChargePoint(charge_point_id):
            for kept in (site.charge_points, site.last_seen, site.last_heartbeat, site.configurations, site.profiles):
                kept.pop(charge_point_id, None)
        case ch.PutConfiguration(charge_point_id, _, keys):
            site.configurations[charge_point_id] = keys
        case ch.AddNote(number, note):
            if number >= site.next_note_number:
                site.next_note_number = number + 1
                site.notes.append(note)
        case ch.AddEvent(number, event):
            if number >= site.next_event_number:
                site.next_event_number = number + 1
                if event.quota is not None:
                    site.quota_told[event.quota.account] = event.quota
        case ch.AddRefusedTag(number, refused):
            if number >= site.next_refusal_number:
                site.next_refusal_number = number + 1
                site.refused_tags.append(refused)
        case ch.PutSetAside(set_aside):
            _put_set_aside(site, set_aside)
        case ch.PutUsers(table):
            _put_users(site, table)
        case ch.PutChargers(rows):
            site.chargers = {row.charge_point_id: row for row in rows}
            site.profiles.clear()
        case ch.PutOpenMonth(month):
            site.open_month = month
        case ch.PutAlert(alert):
            site.alerts[alert.alert_id] = alert
        case ch.RemoveAlert(alert_id):
            site.alerts.pop(alert_id, None)
        case _:
            assert_never(change)


def kept_since(now: datetime) -> datetime:
    """From when on ended transactions, and energy by hour and day, are in memory: 62 days, to the second."""
    return (now - _KEEP_ENDED).replace(microsecond=0)


def forget_ended(site: Site, before: datetime) -> None:
    """Let go of what ended or flowed before; the ledger keeps it. Use `kept_since`: what loads and publishes relies
    on the same border.
    """
    old = [t for t in site.transactions.values() if t.ended_at is not None and t.ended_at < before]
    for transaction in old:
        del site.transactions[transaction.transaction_id]
        key = start_key(transaction)
        if site.starts.get(key) == transaction.transaction_id:  # without a clock a later session may have the same key
            del site.starts[key]
    for hour_key in [key for key in site.energy_by_hour if key[1] < before]:
        del site.energy_by_hour[hour_key]
    for day_key in [key for key in site.energy_by_day if key[1] < before.date().isoformat()]:
        del site.energy_by_day[day_key]


def _put_transaction(site: Site, transaction: Transaction) -> None:
    number = transaction.transaction_id
    if number not in site.transactions:
        site.starts[start_key(transaction)] = number
        site.next_transaction_id = max(site.next_transaction_id, number + 1)
        _adopt_spelling(site, transaction.id_tag)
    site.transactions[number] = transaction
    indexes = (
        site.open_transactions,
        site.open_by_charge_point.setdefault(transaction.charge_point_id, {}),
        site.open_by_tag.setdefault(transaction.id_tag, {}),
    )
    for index in indexes:
        if transaction.ended_at is None:
            index[number] = transaction
        else:
            index.pop(number, None)
    if not site.open_by_tag[transaction.id_tag]:  # any text can be a tag: what is left of each would pile up
        del site.open_by_tag[transaction.id_tag]


def _add_booking(site: Site, change: ch.AddBooking) -> None:
    booking = change.booking
    if booking.booking_id < site.next_booking_id:
        return
    site.next_booking_id = booking.booking_id + 1
    if booking.is_on_quota:
        month_key = (booking.month, booking.id_tag)
        site.usage[month_key] = Wh(site.usage.get(month_key, 0) + booking.wh)
    if booking.charge_point_id:
        charge_point_id = booking.charge_point_id
        site.delivered[charge_point_id] = Wh(site.delivered.get(charge_point_id, 0) + booking.wh)
        hour_key = (charge_point_id, booking.hour)
        site.energy_by_hour[hour_key] = Wh(site.energy_by_hour.get(hour_key, 0) + booking.wh)
    day_key = (booking.id_tag, booking.day)
    site.energy_by_day[day_key] = Wh(site.energy_by_day.get(day_key, 0) + booking.wh)


def _add_reading(site: Site, reading: Reading) -> None:
    if reading.number < site.next_reading_number:
        return
    site.next_reading_number = reading.number + 1
    if len(site.readings) == MOST_READINGS:
        site.reading_keys.discard(site.readings[0].key)
    site.readings.append(reading)
    site.reading_keys.add(reading.key)


def _put_set_aside(site: Site, one: SetAside) -> None:
    number = one.number
    site.next_set_aside_number = max(site.next_set_aside_number, number + 1)
    before = site.open_set_aside.pop(number, None)
    if before is not None and before.transaction_id in site.set_aside_of:
        site.set_aside_of[before.transaction_id].pop(number, None)
        if not site.set_aside_of[before.transaction_id]:
            del site.set_aside_of[before.transaction_id]
    site.decided_set_aside.pop(number, None)
    if one.is_open:
        site.open_set_aside[number] = one
        if one.kind is SetAsideKind.READING and one.transaction_id is not None:
            site.set_aside_of.setdefault(one.transaction_id, {})[number] = one
    elif one.state is not SetAsideState.WITHDRAWN:
        site.decided_set_aside[number] = one
        if len(site.decided_set_aside) > MOST_DECIDED_SET_ASIDE:
            del site.decided_set_aside[min(site.decided_set_aside)]


def _put_users(site: Site, table: UserTable) -> None:
    site.users = table
    site.users_by_fold = {}
    site.tags_by_account = {}
    for user in table.users.values():
        site.users_by_fold.setdefault(user.id_tag.casefold(), []).append(user)
        site.tags_by_account.setdefault(user.account, []).append(user.id_tag)
    for id_tag in sorted({transaction.id_tag for transaction in site.transactions.values()}):
        _adopt_spelling(site, id_tag)


def _adopt_spelling(site: Site, id_tag: IdTag) -> None:
    """A row whose tag changed its case keeps what was used and what runs under the old spelling (rule 13)."""
    alike = site.users_by_fold.get(id_tag.casefold(), [])
    if id_tag in site.users.users or len(alike) != 1:
        return
    tags = site.tags_by_account[alike[0].account]
    if id_tag not in tags:
        tags.append(id_tag)
