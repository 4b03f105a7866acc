"""The one entrance to the rules: a command and the state of the site in, a decision out."""

from datetime import datetime, timedelta
from typing import assert_never

from ocpp_server.core import admission, alerts, months, set_aside_decisions
from ocpp_server.core import changes as ch
from ocpp_server.core import commands as cmd
from ocpp_server.core.authorize import authorize
from ocpp_server.core.draft import Decision, Draft
from ocpp_server.core.frozen import replace
from ocpp_server.core.leaks import is_watched
from ocpp_server.core.meter_values import meter_values
from ocpp_server.core.period import CLOCK_TOLERANCE, parse_timestamp, split_by_hour
from ocpp_server.core.quota import account_of, open_month, warning_id
from ocpp_server.core.records import (
    SAID,
    Admission,
    BookingKind,
    Connector,
    NoteKind,
)
from ocpp_server.core.security_events import security_event
from ocpp_server.core.site import Site
from ocpp_server.core.start_transaction import start_transaction
from ocpp_server.core.stop_transaction import stop_transaction
from ocpp_server.core.stops import close_stale, order_stops, record_stop_attempt, request_stop

_SEEN_EVERY = timedelta(seconds=10)
_MOST_CONNECTORS = 64
_MOST_CONFIGURATION_KEYS = 500
"""Those of the field have up to 200; the file that shows them is written anew every second."""


def decide(site: Site, command: cmd.Command) -> Decision:
    """What a command means for this site. Reads the site, alters nothing."""
    match command:
        case cmd.MeterValues():
            return _seen(site, command.charge_point_id, command.at, meter_values(site, command))
        case cmd.StartTransaction():
            return _seen(site, command.charge_point_id, command.at, start_transaction(site, command))
        case cmd.StopTransaction():
            return _seen(site, command.charge_point_id, command.at, stop_transaction(site, command))
        case cmd.Authorize():
            return _seen(site, command.charge_point_id, command.at, authorize(site, command))
        case cmd.Heartbeat(charge_point_id, at):
            return Decision(cmd.Done(), (ch.PutSeen(charge_point_id, at, at),))
        case cmd.StatusNotification():
            return _seen(site, command.charge_point_id, command.at, _status(site, command))
        case cmd.BootNotification():
            return _boot(site, command)
        case cmd.Connect():
            return admission.connect(site, command)
        case cmd.Disconnect():
            return _disconnect(site, command)
        case cmd.RecordMessage():
            draft = Draft(site, command.at)
            said = {SAID: command.said} if command.said else {}
            draft.note(command.kind, command.text, charge_point_id=command.charge_point_id, figures=said)
            return _seen(site, command.charge_point_id, command.at, draft.decide(cmd.Done()))
        case cmd.SecurityEvent():
            is_stranger = admission.is_stranger(site, command.charge_point_id)
            decision = security_event(site, command, is_stranger=is_stranger)
            return _seen(site, command.charge_point_id, command.at, decision)
        case cmd.ApproveChargePoint():
            return admission.approve(site, command)
        case cmd.LockChargePoint():
            return admission.lock(site, command)
        case cmd.SetChargePointKey():
            return admission.set_key(site, command)
        case cmd.ForgetChargePoint():
            return admission.forget(site, command)
        case cmd.ForgetExpired():
            return admission.forget_expired(site, command)
        case cmd.RecordConfiguration():
            return _configuration(site, command)
        case cmd.OrderStops():
            return order_stops(site, command)
        case cmd.RequestStop():
            return request_stop(site, command)
        case cmd.RecordStopAttempt():
            return record_stop_attempt(site, command)
        case cmd.CloseStale():
            return close_stale(site, command)
        case cmd.ReplaceUsers():
            return _replace_users(site, command)
        case cmd.RecordCall(charge_point_id, at, action, result, by):
            draft = Draft(site, at)
            draft.note(NoteKind.CALL, action, charge_point_id=charge_point_id, figures={"by": by, "result": result})
            return draft.decide(cmd.Done())
        case cmd.RecordUserEdit(at, text, id_tag, by, figures):
            draft = Draft(site, at)
            draft.note(NoteKind.USER, text, id_tag=id_tag, figures={"by": by, **dict(figures)})
            return draft.decide(cmd.Done())
        case cmd.RecordChargePointEdit(charge_point_id, at, text, by, figures):
            draft = Draft(site, at)
            draft.note(
                NoteKind.CHARGE_POINT, text, charge_point_id=charge_point_id, figures={"by": by, **dict(figures)}
            )
            return draft.decide(cmd.Done())
        case cmd.ReplaceChargers():
            return _replace_chargers(site, command)
        case cmd.OpenMonth():
            return months.begin_month(site, command)
        case cmd.ConfirmMonth():
            return months.confirm_month(site, command)
        case cmd.UndoMonth():
            return months.undo_month(site, command)
        case cmd.Adjust():
            return _adjust(site, command)
        case cmd.AcceptSetAside() | cmd.DropSetAside():
            return set_aside_decisions.decide_set_aside(site, command)
        case cmd.LookForAlerts():
            return alerts.look_for_alerts(site, command)
        case cmd.AcknowledgeAlert():
            return alerts.acknowledge_alert(site, command)
        case cmd.RaiseAlert():
            return alerts.raise_alert(site, command)
        case cmd.ResolveAlert(_, alert_id):
            return Decision(cmd.Done(), (ch.RemoveAlert(alert_id),) if alert_id in site.alerts else ())
        case _:
            assert_never(command)


def _seen(site: Site, charge_point_id: str, at: datetime, decision: Decision) -> Decision:
    """Keep when a charge point was last heard of, not more than every ten seconds."""
    last = site.last_seen.get(charge_point_id)
    if last is not None and timedelta(0) <= at - last < _SEEN_EVERY:
        return decision
    return Decision(decision.reply, (*decision.changes, ch.PutSeen(charge_point_id, at, None)), decision.notes)


def _disconnect(site: Site, command: cmd.Disconnect) -> Decision:
    """The socket is gone; since when nobody knows, so the gap begins where the charge point was last heard of."""
    known = site.charge_points.get(command.charge_point_id)
    if known is None or known.connected_since is None:
        return Decision(cmd.Done())
    gone = replace(known, connected_since=None, disconnected_at=command.at)
    return Decision(cmd.Done(), (ch.PutChargePoint(gone),))


def _boot(site: Site, command: cmd.BootNotification) -> Decision:
    """Take what a charge point says of itself. A boot ends no session (OpenEVSE boots in the middle of one)."""
    draft = Draft(site, command.at)
    known = draft.charge_point(command.charge_point_id)
    is_accepted = admission.admission_of(site, command.charge_point_id) in (Admission.APPROVED, None)
    booted = replace(
        known,
        vendor=command.vendor,
        model=command.model,
        serial_number=command.serial_number,
        firmware_version=command.firmware_version,
        booted_at=command.at if is_accepted else known.booted_at,
    )
    draft.put(ch.PutChargePoint(booted))
    draft.put(ch.PutSeen(command.charge_point_id, command.at, None))
    return draft.decide(cmd.Booted(is_accepted))


def _status(site: Site, command: cmd.StatusNotification) -> Decision:
    """Keep a connector's status as it was told; a Heartbeat never alters it."""
    draft = Draft(site, command.at)
    known = draft.charge_point(command.charge_point_id)
    connectors = {connector.connector_id: connector for connector in known.connectors}
    before = connectors.get(command.connector_id)
    if before is None and len(connectors) >= _MOST_CONNECTORS:
        return draft.decide(cmd.Done())
    is_same = before is not None and before.status == command.status
    since = before.since if before is not None and is_same else command.at
    now = Connector(command.connector_id, command.status, command.error_code, command.info, since)
    stamp = parse_timestamp(command.timestamp, command.at, site.policy.zone) if command.timestamp else None
    has_right_clock = known.has_right_clock
    if stamp is not None:
        has_right_clock = abs(stamp - command.at) <= CLOCK_TOLERANCE
    connectors[command.connector_id] = now
    ordered = tuple(connectors[number] for number in sorted(connectors))
    told = replace(known, connectors=ordered, has_right_clock=has_right_clock)
    if told != site.charge_points.get(command.charge_point_id):
        draft.put(ch.PutChargePoint(told))
    return draft.decide(cmd.Done())


def _configuration(site: Site, command: cmd.RecordConfiguration) -> Decision:
    draft = Draft(site, command.at)
    known = draft.charge_point(command.charge_point_id)
    keys = dict(() if command.is_complete else site.configurations.get(command.charge_point_id, ()))
    keys.update(command.keys)
    keys = dict(list(keys.items())[:_MOST_CONFIGURATION_KEYS])
    draft.put(ch.PutConfiguration(command.charge_point_id, command.at, tuple(sorted(keys.items()))))
    readonly = tuple(sorted({key for key in command.readonly if is_watched(key)}))
    told = replace(known, configured_boot=known.booted_at, readonly_keys=readonly)
    if command.is_complete and told != known:
        draft.put(ch.PutChargePoint(told))
    return draft.decide(cmd.Done())


def _replace_users(site: Site, command: cmd.ReplaceUsers) -> Decision:
    """Put a new table in force; whose quota changed is warned anew."""
    draft = Draft(site, command.at)
    draft.put(ch.PutUsers(command.table))
    quotas = {user.account: user.quota for user in command.table.users.values()}
    for user in site.users.users.values():
        if quotas.get(user.account) != user.quota:
            draft.resolve(warning_id(user.account))
    if command.figures:
        text = "users1.csv edited by hand" if site.users.users else "users1.csv read for the first time"
        draft.note(NoteKind.USER, text, figures={"by": command.by, **dict(command.figures)})
    return draft.decide(cmd.Done())


def _replace_chargers(site: Site, command: cmd.ReplaceChargers) -> Decision:
    """Put new rows in force, with a note of what somebody changed by hand."""
    draft = Draft(site, command.at)
    draft.put(ch.PutChargers(command.rows))
    if command.figures:
        figures = {"by": command.by, **dict(command.figures)}
        draft.note(NoteKind.CHARGE_POINT, "chargers.csv edited by hand", figures=figures)
    return draft.decide(cmd.Done())


def _adjust(site: Site, command: cmd.Adjust) -> Decision:
    """Book a correction in the open month; the reason stays in the books. Usage is never negative (rule 5)."""
    draft = Draft(site, command.at)
    id_tag, _ = account_of(site, command.id_tag)
    used = site.used(open_month(site, command.at), [id_tag])
    if used + command.wh < 0:
        text = f"{id_tag} has used {used / 1000:g} kWh this month, no more can be given back: raise the quota instead"
        return draft.decide(cmd.Refused(text))
    (place,) = split_by_hour(command.at, command.at, command.wh, site.policy.zone)
    if site.open_month is not None:
        place = replace(place, month=site.open_month)
    reason = f"{command.reason} ({command.by})"
    draft.adjust(id_tag, command.wh, place, BookingKind.ADJUSTMENT, reason)
    figures = {"wh": command.wh, "by": command.by}
    draft.note(NoteKind.ADJUSTED, command.reason, id_tag=id_tag, figures=figures)
    return draft.decide(cmd.Done())
