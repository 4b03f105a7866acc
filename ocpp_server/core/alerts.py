"""Which alerts are due and which are over, found by looking at the state: raised once, resolved by themselves.

Stops that are not obeyed (`stops`), security events (`security_events`) and what a loop of the server runs into
(`RaiseAlert`) are raised where they happen. A look that finds nothing new decides nothing, so nothing is written.
"""

from collections.abc import Iterator
from datetime import timedelta
from enum import StrEnum
from typing import Final

from ocpp_server.core import changes as ch
from ocpp_server.core import commands as cmd
from ocpp_server.core.admission import admission_of
from ocpp_server.core.delivery_alerts import OF_DELIVERIES, delivery_alerts
from ocpp_server.core.draft import Decision, Draft
from ocpp_server.core.energy import Wh
from ocpp_server.core.frozen import replace
from ocpp_server.core.leaks import NEVER_TOLD, leaks_of
from ocpp_server.core.quota import WARNINGS, find_user, interval_of, open_month, tags_of, warning_id, warning_of
from ocpp_server.core.records import Admission, Alert, ChargePoint, NoteKind, Transaction
from ocpp_server.core.site import Site
from ocpp_server.core.users import User


class Severity(StrEnum):
    """How much an alert weighs."""

    INFO = "info"
    """Good to know; nobody need go anywhere."""
    WARNING = "warning"
    """Something does not work as it should: look at it today."""
    CRITICAL = "critical"
    """Energy flows that nobody may have, or the server cannot go on as it should: now."""


SILENT: Final = "charge point silent"
FAULTED: Final = "charge point faulted"
OVER_QUOTA: Final = "over quota and still charging"
LEAK: Final = "quota leak"
DISK: Final = "disk nearly full"
_DISK_ALERT_ID: Final = "disk"
_REJECTED: Final = "file rejected"
_BAD_ROWS: Final = "file has bad rows"
_TABLES: Final = {"users1.csv": "users", "chargers.csv": "chargers"}
_OF_TABLES: Final = tuple(f"{what} {trouble}" for what in _TABLES.values() for trouble in (_REJECTED, _BAD_ROWS))
_LOOKED_FOR: Final = frozenset({SILENT, FAULTED, OVER_QUOTA, LEAK, DISK, *_OF_TABLES, *OF_DELIVERIES})
"""Kinds that are over as soon as a look does not find them."""

_SEVERITIES: Final = {
    "stop not obeyed": Severity.CRITICAL,
    "clock suspect": Severity.CRITICAL,
    "security": Severity.CRITICAL,
    OVER_QUOTA: Severity.CRITICAL,
    DISK: Severity.CRITICAL,
    "security, passing": Severity.INFO,
    LEAK: Severity.INFO,
    **dict.fromkeys(WARNINGS, Severity.INFO),
}

_SILENT_AFTER: Final = timedelta(minutes=15)
"""Without a connection. A reboot or an update takes minutes; charge points try again at the latest after a few."""
_QUIET_AFTER: Final = timedelta(hours=25)
"""With a connection whose pings are answered: one Heartbeat a day is enough (OCPP-J §5.3)."""
_QUIET_WITHOUT_PINGS_AFTER: Final = timedelta(hours=1)
"""With a connection that is not pinged (setting, or chargers.csv), only messages show that somebody is there."""
_TIME_TO_TELL: Final = timedelta(minutes=10)
"""From a boot until the configuration was asked for, three times if there was no answer."""
_TIME_TO_OBEY: Final = timedelta(minutes=1)
"""Time for an order to stop and its retries after 10 and 30 s (rule 26)."""
_LANDING: Final = Wh(100)
"""How far a good stop may miss the quota (rule 25)."""
_TRICKLE_W: Final = 300
_STILL_W: Final = 150
"""Above the first energy flows, below the second it has ceased: power that dithers brings no alert twice."""
_MEBIBYTE: Final = 1024 * 1024
_LEAST_FREE: Final = 200 * _MEBIBYTE
_MOST_KEPT_FREE: Final = 1024 * _MEBIBYTE
"""5 % of the disk, but not below what a night's backup and the log of a busy day take, and not more than anybody needs
on a large disk: `check` warns below 1 GiB, too.
"""


def severity_of(alert: Alert) -> Severity:
    """By its kind, so that alerts in an old ledger have one too."""
    return _SEVERITIES.get(alert.kind, Severity.WARNING)


def look_for_alerts(site: Site, command: cmd.LookForAlerts) -> Decision:
    """Raise what is due and not open yet, resolve what is over."""
    draft = Draft(site, command.at)
    due = {alert.alert_id: alert for alert in _due(site, command)}
    for alert in due.values():
        _raise(draft, alert)
    for alert in site.alerts.values():
        if alert.kind in _LOOKED_FOR and alert.alert_id not in due:
            _resolve(draft, alert)
    _warn_accounts(draft)
    return draft.decide(cmd.Done())


def raise_alert(site: Site, command: cmd.RaiseAlert) -> Decision:
    """Raise an alert of the server itself; one that is open already, as it reads, is left alone."""
    draft = Draft(site, command.at)
    _put(draft, Alert(command.alert_id, command.kind, command.text, command.at))
    return draft.decide(cmd.Done())


def acknowledge_alert(site: Site, command: cmd.AcknowledgeAlert) -> Decision:
    """Keep who takes care, once. It holds for what the alert says now: if that changes, it is open again."""
    draft = Draft(site, command.at)
    alert = site.alerts.get(command.alert_id)
    if alert is None:
        return draft.decide(cmd.Unknown(f"there is no open alert {command.alert_id}"))
    if alert.acknowledged_at is None:
        draft.put(ch.PutAlert(replace(alert, acknowledged_at=command.at, acknowledged_by=command.by)))
        _note(draft, alert, "acknowledged", {"by": command.by})
    return draft.decide(cmd.Done())


def _raise(draft: Draft, alert: Alert) -> None:
    known = draft.site.alerts.get(alert.alert_id)
    _put(draft, alert)
    if known is None or known.kind != alert.kind:
        _note(draft, alert, "raised", {"severity": severity_of(alert)})


def _put(draft: Draft, alert: Alert) -> None:
    """Nothing, if it is open and says the same. Else with its beginning, if it is of the same kind."""
    known = draft.site.alerts.get(alert.alert_id)
    if known is None or known.kind != alert.kind:
        draft.put(ch.PutAlert(alert))
    elif known.text != alert.text:
        draft.put(ch.PutAlert(replace(alert, since=known.since)))


def _resolve(draft: Draft, alert: Alert) -> None:
    draft.resolve(alert.alert_id)
    _note(draft, alert, "resolved", {})


def _note(draft: Draft, alert: Alert, what: str, figures: dict[str, object]) -> None:
    """For the log as well: the id of an account's alert is a tag, and its text holds a name."""
    transaction = draft.site.transactions.get(alert.transaction_id or 0)
    text = f"{what}: {alert.kind}"
    draft.note(NoteKind.ALERT, text, transaction, charge_point_id=alert.charge_point_id, figures=figures)


def _due(site: Site, command: cmd.LookForAlerts) -> Iterator[Alert]:
    for known in site.charge_points.values():
        if admission_of(site, known.charge_point_id) is Admission.APPROVED:
            yield from _silent(site, known, command)
            yield from _faulted(known, command)
            yield from _leaking(site, known, command)
    yield from _over_quota(site, command)
    yield from _disk(site, command)
    for table in command.tables:
        yield from _table(table, command)
    yield from delivery_alerts(site.alerts, command)


def _silent(site: Site, known: ChargePoint, command: cmd.LookForAlerts) -> Iterator[Alert]:
    charge_point_id, now = known.charge_point_id, command.at
    last = site.last_seen.get(charge_point_id)
    if last is None:
        return
    # Later than now: the clock was set back since.
    heard = [when for when in (last, known.disconnected_at, command.listening_since) if when and when <= now]
    is_late = bool(heard) and now - max(heard) > _patience(site, known, command)
    local = last.astimezone(site.policy.zone)
    text = f"{charge_point_id} was last heard of at {local:%Y-%m-%d %H:%M}: look at its power and its network"
    alert = Alert(f"silent-{charge_point_id}", SILENT, text, now, charge_point_id)
    before = site.alerts.get(alert.alert_id)
    if is_late or (before is not None and before.text == text):  # only its next message ends it, no new start of ours
        yield alert


def _patience(site: Site, known: ChargePoint, command: cmd.LookForAlerts) -> timedelta:
    if known.connected_since is None:
        return _SILENT_AFTER
    row = site.chargers.get(known.charge_point_id)
    is_pinged = command.is_pinging and (row is None or row.ping)
    return _QUIET_AFTER if is_pinged else _QUIET_WITHOUT_PINGS_AFTER


def _faulted(known: ChargePoint, command: cmd.LookForAlerts) -> Iterator[Alert]:
    charge_point_id = known.charge_point_id
    for connector in known.connectors:
        if connector.status == "Faulted":
            place = (
                f"{charge_point_id} connector {connector.connector_id}" if connector.connector_id else charge_point_id
            )
            what = ", ".join(word for word in (connector.error_code, connector.info) if word)
            text = f"{place} is faulted: {what}" if what else f"{place} is faulted"
            yield Alert(f"fault-{connector.connector_id}-{charge_point_id}", FAULTED, text, command.at, charge_point_id)


def _leaking(site: Site, known: ChargePoint, command: cmd.LookForAlerts) -> Iterator[Alert]:
    charge_point_id = known.charge_point_id
    leaks = leaks_of(site, charge_point_id)
    if NEVER_TOLD in leaks and not _had_time_to_tell(site, known, command):
        leaks = tuple(leak for leak in leaks if leak is not NEVER_TOLD)
    if leaks:
        text = f"{charge_point_id}: energy can escape the quota: {'; '.join(leak.label for leak in leaks)}"
        yield Alert(f"leak-{charge_point_id}", LEAK, text, command.at, charge_point_id)


def _had_time_to_tell(site: Site, known: ChargePoint, command: cmd.LookForAlerts) -> bool:
    """Whom nobody may ask, by chargers.csv, keeps nothing back."""
    row = site.chargers.get(known.charge_point_id)
    may_ask = row is None or row.configure
    return may_ask and known.booted_at is not None and command.at - known.booted_at > _TIME_TO_TELL


def _over_quota(site: Site, command: cmd.LookForAlerts) -> Iterator[Alert]:
    for transaction in site.open_transactions.values():
        stop, user = transaction.stop, find_user(site, transaction.id_tag)
        if stop is None or user is None or user.quota is None or not transaction.is_on_quota:
            continue
        alert_id = f"over-quota-{transaction.transaction_id}"
        is_known = alert_id in site.alerts
        used = site.used(open_month(site, command.at), tags_of(site, user.account))
        beyond = used - user.quota - (0 if is_known else _normal_overshoot(site, transaction))
        is_flowing = transaction.power_w > (_STILL_W if is_known else _TRICKLE_W)
        if beyond > 0 and is_flowing and (is_known or command.at - stop.ordered_at >= _TIME_TO_OBEY):
            place = f"{transaction.charge_point_id} connector {transaction.connector_id}"
            text = f"{user.full_name} is over the quota and still charges at {place}"
            charge_point_id, number = transaction.charge_point_id, transaction.transaction_id
            yield Alert(alert_id, OVER_QUOTA, text, command.at, charge_point_id, number)


def _normal_overshoot(site: Site, transaction: Transaction) -> float:
    """Wh by which a stop that is obeyed may miss the quota: a sample's worth, or a step of a coarse register."""
    one_sample = transaction.power_w * interval_of(site, transaction) / 3600
    return max(_LANDING, transaction.register.step, one_sample)


def _disk(site: Site, command: cmd.LookForAlerts) -> Iterator[Alert]:
    known = site.alerts.get(_DISK_ALERT_ID)
    if command.disk_free is None:
        if known is not None and known.kind == DISK:
            yield known
        return
    least = max(_LEAST_FREE, min(command.disk_size // 20, _MOST_KEPT_FREE))
    if command.disk_free < (least if known is None else least * 6 // 5):
        text = f"less than {least // _MEBIBYTE} MiB are free for the data: make room, or the server must stop"
        yield Alert(_DISK_ALERT_ID, DISK, text, command.at)


def _table(table: cmd.TableState, command: cmd.LookForAlerts) -> Iterator[Alert]:
    what = _TABLES[table.name]
    if table.error:
        text = f"{table.error}; the last good rows stay in force"
        yield Alert(f"file-{table.name}", f"{what} {_REJECTED}", text, command.at)
    elif table.bad_rows:
        rows = "1 row is" if table.bad_rows == 1 else f"{table.bad_rows} rows are"
        text = f"{table.name}: {rows} not in force; {table.first_bad_row}"
        yield Alert(f"file-{table.name}", f"{what} {_BAD_ROWS}", text, command.at)


def _warn_accounts(draft: Draft) -> None:
    """Warnings that no reading raised (rule 28), and those that are over: a correction, or a car that stays away."""
    site = draft.site
    limited = {user.account: user for user in site.users.users.values() if user.quota}
    for user in limited.values():
        _warn_account(draft, user)
    with_limit = {warning_id(account) for account in limited}
    for alert in site.alerts.values():
        if alert.kind in WARNINGS and alert.alert_id not in with_limit:
            _resolve(draft, alert)


def _warn_account(draft: Draft, user: User) -> None:
    site = draft.site
    used = site.used(open_month(site, draft.at), tags_of(site, user.account))
    known = site.alerts.get(warning_id(user.account))
    if known is None and used * 2 < (user.quota or 0):
        return  # by far the most, and cheap
    before = _gravity(known.kind if known else None)
    due = warning_of(site, user, used, draft.at)
    if _gravity(due) == before:
        return
    # A tenth more must not bring it either, or it would come and go with each correction and each hour.
    if _gravity(due) < before <= _gravity(warning_of(site, user, Wh(used * 10 // 9), draft.at)):
        return
    if due is not None:
        _put_warning(draft, user, due, used)
        return
    assert known is not None  # else nothing has changed
    _resolve(draft, known)


def _put_warning(draft: Draft, user: User, warning: str, used: Wh) -> None:
    draft.put(ch.PutAlert(Alert(warning_id(user.account), warning, f"{user.full_name}: {warning}", draft.at)))
    figures = {"quota_wh": user.quota, "used_wh": used}
    draft.note(NoteKind.WARNING, warning, id_tag=user.id_tag, figures=figures)


def _gravity(warning: str | None) -> int:
    return -1 if warning is None else WARNINGS.index(warning)
