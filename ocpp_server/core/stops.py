"""Which transactions ought to stop, found by looking at the state (rules 16, 18, 22, 25, 26).

Nobody reports that a user was removed or a quota lowered: whoever looks, sees it. A stop is an order that stands in
the ledger until the transaction ends, and is tried again until it is obeyed.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from ocpp_server.core import changes as ch
from ocpp_server.core.admission import admission_of
from ocpp_server.core.authorize import access_of
from ocpp_server.core.commands import CloseStale, Done, OrderStops, RecordStopAttempt, RequestStop, Unknown
from ocpp_server.core.draft import Decision, Draft
from ocpp_server.core.frozen import dataclass, replace
from ocpp_server.core.quota import COARSE_STEP, allowance, find_user, interval_of, is_expired, stop_time
from ocpp_server.core.records import (
    Admission,
    Alert,
    AuthorizationStatus,
    EndKind,
    NoteKind,
    StopCause,
    StopOrder,
    Transaction,
)
from ocpp_server.core.site import Site
from ocpp_server.core.users import Access

_RETRY_AFTER_S = (10, 30, 60)
FAILURES_BEFORE_ALERT = 3
ACCEPTED = "Accepted"
_TRICKLE_W = 300
"""What a car that waits or the charge point itself may draw."""
_LEAST_CHARGING_W = 1380
"""6 A on one phase: a register of whole kWh would take hours to prove less."""


@dataclass(frozen=True, slots=True)
class Stop:
    """A transaction that ought to stop, and from when on."""

    transaction: Transaction
    cause: StopCause
    at: datetime


def due_stops(site: Site, now: datetime) -> list[Stop]:
    """Transactions that ought to stop now and were not ordered to yet."""
    return [stop for stop in _outlook(site, now) if stop.at <= now and stop.transaction.stop is None]


def next_look(site: Site, now: datetime) -> datetime | None:
    """When the next stop falls due: a forecast crossing, or another attempt at a stop not obeyed yet."""
    forecast = [stop.at for stop in _outlook(site, now) if stop.transaction.stop is None and stop.at > now]
    retries = [
        transaction.stop.next_attempt_at
        for transaction in site.open_transactions.values()
        if transaction.stop is not None and _may_be_asked(site, transaction) and not has_ceased(site, transaction, now)
    ]
    return min((*forecast, *retries), default=None)


def due_attempts(site: Site, now: datetime) -> list[Transaction]:
    """Ordered stops whose next attempt is due, and in which energy still flows or nobody knows.

    None on a charge point that is not approved: while it is pending, no remote stop is sent to it (OCPP 1.6 §4.2).
    """
    return [
        transaction
        for transaction in site.open_transactions.values()
        if transaction.stop is not None
        and transaction.stop.next_attempt_at <= now
        and _may_be_asked(site, transaction)
        and not has_ceased(site, transaction, now)
    ]


def _may_be_asked(site: Site, transaction: Transaction) -> bool:
    """Once it is approved, what is overdue is asked at once."""
    return admission_of(site, transaction.charge_point_id) not in (Admission.PENDING, Admission.LOCKED)


def has_ceased(site: Site, transaction: Transaction, now: datetime) -> bool:
    """Energy has ceased since the last attempt: readings came, and the register did not move (rule 26)."""
    stop, read = transaction.stop, transaction.reading_received_at
    if stop is None or stop.attempted_at is None or read is None or read <= stop.attempted_at:
        return False
    is_recent = now - read <= timedelta(seconds=2 * interval_of(site, transaction))
    power_w = transaction.register.power_w or 0
    return is_recent and power_w <= (_LEAST_CHARGING_W if transaction.register.step >= COARSE_STEP else _TRICKLE_W)


def order_stops(site: Site, command: OrderStops) -> Decision:
    """Order what is due; take back what is no longer due, for example after a quota was raised."""
    draft = Draft(site, command.at)
    for stop in due_stops(site, command.at):
        _order(draft, stop.transaction, stop.cause, "", _figures(site, stop.transaction, command.at))
    for transaction in list(site.open_transactions.values()):
        if transaction.stop is not None and _is_void(site, transaction, command.at):
            draft.put(ch.PutTransaction(replace(transaction, stop=None)))
            draft.resolve(transaction.stop_alert_id)
            draft.note(NoteKind.STOP, "no longer needed", transaction, figures={"cause": transaction.stop.cause})
    return draft.decide(Done())


def request_stop(site: Site, command: RequestStop) -> Decision:
    """An operator's wish; the stopper carries it out."""
    draft = Draft(site, command.at)
    transaction = site.open_transactions.get(command.transaction_id)
    if transaction is None:
        return draft.decide(Unknown(f"no open transaction {command.transaction_id}"))
    if transaction.stop is None or transaction.stop.cause is not StopCause.REQUESTED:
        _order(draft, transaction, StopCause.REQUESTED, command.by, {"by": command.by})
    return draft.decide(Done())


def record_stop_attempt(site: Site, command: RecordStopAttempt) -> Decision:
    """Keep what became of an attempt and when to try again; after the third failure raise an alert (rule 26)."""
    draft = Draft(site, command.at)
    transaction = site.open_transactions.get(command.transaction_id)
    if transaction is None or transaction.stop is None:
        return draft.decide(Done())  # it ended meanwhile
    stop = transaction.stop
    was_not_obeyed = stop.result == ACCEPTED  # an Accepted that has to be asked for again was none
    failures = stop.failures + command.has_failed + was_not_obeyed
    wait = _RETRY_AFTER_S[min(stop.attempts, len(_RETRY_AFTER_S) - 1)]
    tried = replace(
        stop,
        attempts=stop.attempts + 1,
        failures=failures,
        attempted_at=command.at,
        is_accepted_at_once=stop.is_accepted_at_once if stop.attempts else not command.has_failed,
        next_attempt_at=command.at + timedelta(seconds=wait),
        result=command.result,
    )
    draft.put(ch.PutTransaction(replace(transaction, stop=tried)))
    figures = {"result": command.result, "attempts": tried.attempts, "failures": failures}
    kind = NoteKind.STOP_FAILED if command.has_failed else NoteKind.STOP
    if command.result != stop.result:  # a state is noted when it changes, not each minute while it lasts
        draft.note(kind, f"RemoteStopTransaction: {command.result}", transaction, figures=figures)
    if failures >= FAILURES_BEFORE_ALERT and transaction.stop_alert_id not in site.alerts:
        draft.put(ch.PutAlert(_alert(transaction, tried, command.at)))
        draft.note(NoteKind.STOP_FAILED, "stop not obeyed", transaction, figures=figures)
    return draft.decide(Done())


def close_stale(site: Site, command: CloseStale) -> Decision:
    """Mark, then close, sessions whose connector has long been Available without a reading (rule 22)."""
    draft = Draft(site, command.at)
    for transaction in list(site.open_transactions.values()):
        since = _free_since(site, transaction)
        if since is None:
            continue
        silent = (command.at - since).total_seconds()
        patience = 3 * interval_of(site, transaction)
        if silent > patience + site.policy.stale_close_after_s:
            text = "its connector was free and no reading came"
            closed = draft.close(transaction, EndKind.STALE, text, {"energy_wh": transaction.energy})
            draft.put(ch.PutTransaction(closed))
        elif silent > patience and not transaction.is_stale:
            draft.put(ch.PutTransaction(replace(transaction, is_stale=True, power_w=0, flow_w=0)))
            draft.note(NoteKind.ODDITY, "stale: connector is Available and no reading comes", transaction)
    return draft.decide(Done())


def _outlook(site: Site, now: datetime) -> Iterable[Stop]:
    for transaction in site.open_transactions.values():
        stop = _wanted(site, transaction, now)
        if stop is not None:
            yield stop


def _wanted(site: Site, transaction: Transaction, now: datetime) -> Stop | None:
    if transaction.status is not AuthorizationStatus.ACCEPTED:
        return Stop(transaction, StopCause.REFUSED, now)
    access = access_of(site, transaction.charge_point_id)
    if access is Access.CLOSED:
        return Stop(transaction, StopCause.CLOSED, now)
    if access is Access.FREE or not transaction.is_on_quota:
        return None
    user = find_user(site, transaction.id_tag)
    if user is None:
        return Stop(transaction, StopCause.REMOVED, now)
    if user.blocked:
        return Stop(transaction, StopCause.BLOCKED, now)
    if is_expired(user, now.astimezone(site.policy.zone).date()):
        return Stop(transaction, StopCause.EXPIRED, now)
    at = stop_time(site, transaction, user, now)
    return None if at is None else Stop(transaction, StopCause.QUOTA, at)


def _is_void(site: Site, transaction: Transaction, now: datetime) -> bool:
    """The reason of an order is gone.

    A quota counts as raised only if a new session could begin and two more intervals fit into it: power that falls
    because the stop is being obeyed takes no order back.
    """
    assert transaction.stop is not None
    if transaction.stop.cause is StopCause.REQUESTED:
        return False
    wanted = _wanted(site, transaction, now)
    margin = timedelta(seconds=2 * interval_of(site, transaction))
    if wanted is not None and (wanted.cause is not StopCause.QUOTA or wanted.at <= now + margin):
        return False
    return transaction.stop.cause is not StopCause.QUOTA or not _is_used_up(site, transaction, now)


def _is_used_up(site: Site, transaction: Transaction, now: datetime) -> bool:
    user = find_user(site, transaction.id_tag)
    is_free = access_of(site, transaction.charge_point_id) is Access.FREE
    return not is_free and user is not None and allowance(site, user, now).is_used_up


def _order(draft: Draft, transaction: Transaction, cause: StopCause, by: str, figures: dict[str, object]) -> None:
    order = StopOrder(cause, ordered_at=draft.at, next_attempt_at=draft.at, by=by)
    draft.put(ch.PutTransaction(replace(transaction, stop=order)))
    draft.note(NoteKind.STOP, cause.value, transaction, figures=figures)


def _figures(site: Site, transaction: Transaction, now: datetime) -> dict[str, object]:
    user = find_user(site, transaction.id_tag)
    figures: dict[str, object] = {"energy_wh": transaction.energy, "power_w": transaction.flow_w}
    if user is not None:
        left = allowance(site, user, now)
        figures |= {"quota_wh": left.quota, "used_wh": left.used, "unreported_wh": left.unreported}
    return figures


def _alert(transaction: Transaction, stop: StopOrder, at: datetime) -> Alert:
    text = (
        f"{transaction.charge_point_id} does not obey the stop of transaction {transaction.transaction_id} "
        f"({stop.cause.value}): {stop.result}, {stop.attempts} attempts"
    )
    alert_id = transaction.stop_alert_id
    return Alert(alert_id, "stop not obeyed", text, at, transaction.charge_point_id, transaction.transaction_id)


def _free_since(site: Site, transaction: Transaction) -> datetime | None:
    charge_point = site.charge_points.get(transaction.charge_point_id)
    if charge_point is None or charge_point.connected_since is None:
        return None
    for connector in charge_point.connectors:
        if connector.connector_id == transaction.connector_id and connector.status == "Available":
            last = transaction.reading_received_at or transaction.received_at
            return max(connector.since, last, charge_point.connected_since)
    return None
