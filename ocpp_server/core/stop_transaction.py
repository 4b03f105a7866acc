"""The end of a session (rules 4, 7, 20, 22): which one a StopTransaction means, and what it settles."""

from datetime import datetime

from ocpp_server.core import changes as ch
from ocpp_server.core.admission import admission_of
from ocpp_server.core.authorize import access_of, id_tag_info, judge
from ocpp_server.core.commands import Authorized, Done, Reply, StopTransaction
from ocpp_server.core.draft import Decision, Draft
from ocpp_server.core.energy import Wh
from ocpp_server.core.evidence import max_power_w
from ocpp_server.core.frozen import replace
from ocpp_server.core.meter_values import book_samples, note_findings, timed_samples
from ocpp_server.core.period import Gap, Moment, moment_of
from ocpp_server.core.quota import find_user, open_month, tags_of
from ocpp_server.core.records import (
    Admission,
    AuthorizationStatus,
    ChargePoint,
    EndKind,
    NoteKind,
    StopCause,
    Transaction,
)
from ocpp_server.core.set_aside_rules import follow, keep_orphan
from ocpp_server.core.settlement import raise_stop, settle
from ocpp_server.core.site import Site
from ocpp_server.core.start_transaction import RETRY_WITHOUT_CLOCK, meter_text, meter_wh
from ocpp_server.core.succession import attributed, within_session
from ocpp_server.core.users import Access

_LONGEST_STOP_DELAY_S = 60.0


def stop_transaction(site: Site, command: StopTransaction) -> Decision:
    """Answer StopTransaction (OCPP 1.6 §4.10): always confirmed; the tag of a stop does not matter for the bill."""
    draft = Draft(site, command.at)
    charge_point = draft.charge_point(command.charge_point_id)
    moment = moment_of(command.timestamp, command.at, site.policy.zone, charge_point.gaps)
    named = site.transactions.get(command.transaction_id or 0)
    if named is not None and named.charge_point_id != command.charge_point_id:
        text = "stop for another charge point's transaction"
        _keep_orphan(draft, charge_point, command, moment=moment, text=text, owner=named.charge_point_id)
        text = "a charge point tried to stop another one's transaction"
        draft.note(NoteKind.SECURITY, text, charge_point_id=command.charge_point_id)
    else:
        meant = named or _repeated(site, command, moment) or _meant(site, charge_point, command, moment)
        if meant is None:
            text = "stop for no session that is known"
            _keep_orphan(draft, charge_point, command, moment=moment, text=text)
        elif meant.end_kind is EndKind.STOPPED:
            _stop_again(draft, charge_point, meant, command, moment)
        else:
            _stop(draft, charge_point, meant, command, moment)
    return draft.decide(_answer(site, charge_point, command))


def _answer(site: Site, charge_point: ChargePoint, command: StopTransaction) -> Reply:
    if not command.id_tag.strip():
        return Done()
    verdict = judge(site, charge_point, command.id_tag, command.at)
    return Authorized(id_tag_info(charge_point, verdict.user, verdict.status, command.at))


def _repeated(site: Site, command: StopTransaction, moment: Moment) -> Transaction | None:
    """The session that this very StopTransaction ended already, where its id does not tell (rule 19).

    Else the repeated stop of a refused start would end what runs on the next connector (Hager Witty Park).
    """
    for session in site.transactions.values():
        ended = session.ended_received_at
        if session.charge_point_id != command.charge_point_id or ended is None or not _is_same_stop(session, command):
            continue
        if not moment.is_clock_doubtful or command.at - ended <= RETRY_WITHOUT_CLOCK:
            return session
    return None


def _is_same_stop(session: Transaction, command: StopTransaction) -> bool:
    same = (command.timestamp.strip(), meter_text(command.meter_stop))
    return session.end_kind is EndKind.STOPPED and (session.stop_stamp, session.stop_meter_text) == same


def _meant(site: Site, charge_point: ChargePoint, command: StopTransaction, moment: Moment) -> Transaction | None:
    """The session that a stop with an unknown id, 0 or -1 ends (errata 3.18), or None for an orphan."""
    sessions = site.open_on(command.charge_point_id)
    refused = [s for s in sessions if s.status is not AuthorizationStatus.ACCEPTED and _has_tag(s, command)]
    if refused:
        return refused[0]
    if len(sessions) != 1:
        return None
    (only,) = sessions
    stop = meter_wh(site, charge_point, command.meter_stop)
    is_below = stop is not None and only.register.last is not None and 0 < stop < only.register.last
    if not _has_tag(only, command) or moment.at < only.started_at or is_below:
        return None
    return only


def _has_tag(session: Transaction, command: StopTransaction) -> bool:
    stated = command.id_tag.strip().casefold()
    return stated in ("", session.stated_id_tag.casefold(), session.id_tag.casefold())


def _stop(
    draft: Draft, charge_point: ChargePoint, session: Transaction, command: StopTransaction, moment: Moment
) -> None:
    of_session = (*charge_point.gaps, Gap(session.started_at, command.at))
    samples = timed_samples(draft, charge_point, command.transaction_data, of_session)
    charge_point, sampled = book_samples(draft, charge_point, session, samples)
    most = max_power_w(draft.site, charge_point, sampled, None)
    meter_stop = meter_wh(draft.site, _with_unit(charge_point, sampled), command.meter_stop)
    register, findings = settle(sampled.register, meter_stop, moment, most)
    register = within_session(draft.site, charge_point, sampled, register)
    note_findings(draft, sampled, findings)
    follow(draft, charge_point, sampled, register, findings=findings, moment=moment, max_power_w=most)
    ended = replace(
        sampled,
        register=register,
        booked=draft.book(sampled, register.energy, moment.at),
        ended_at=max(moment.at, sampled.started_at),
        ended_received_at=command.at,
        end_kind=EndKind.STOPPED,
        stop_reason=_reason(sampled, command),
        stop_stamp=command.timestamp.strip(),
        stop_meter_text=meter_text(command.meter_stop),
        power_w=0,
        flow_w=0,
        is_stale=False,
    )
    ended = _with_overshoot(draft, ended)
    draft.put(ch.PutTransaction(ended))
    _put_evidence(draft, attributed(_with_unit(charge_point, ended), session, ended), ended, command.at)
    draft.resolve(ended.stop_alert_id)


def _with_unit(charge_point: ChargePoint, session: Transaction) -> ChargePoint:
    """The unit of meterStart and meterStop, where this session proved it (rule 3)."""
    unit = session.register.start_unit
    return charge_point if unit in (None, charge_point.register_unit) else replace(charge_point, register_unit=unit)


def _reason(session: Transaction, command: StopTransaction) -> str:
    """Why it ended, in the server's words where the server wanted it, else the charge point's reason (§7.36)."""
    if session.stop is not None and session.stop.attempts and command.reason in ("Remote", "Local", "Other", ""):
        return session.stop.cause.value
    return command.reason or "Local"


def _stop_again(
    draft: Draft, charge_point: ChargePoint, session: Transaction, command: StopTransaction, moment: Moment
) -> None:
    """A second stop: only a higher meterStop adds, and it is flagged (rule 20)."""
    most = max_power_w(draft.site, charge_point, session, None)
    meter_stop = meter_wh(draft.site, charge_point, command.meter_stop)
    register, findings = raise_stop(session.register, meter_stop, moment, most)
    register = within_session(draft.site, charge_point, session, register)
    note_findings(draft, session, findings)
    follow(draft, charge_point, session, register, findings=findings, moment=moment, max_power_w=most)
    if register.energy <= session.energy:
        if register is not session.register:  # what was set aside is not shown again
            draft.put(ch.PutTransaction(replace(session, register=register)))
        return
    raised = replace(
        session,
        register=register,
        booked=draft.book(session, register.energy, moment.at),
        flags=tuple(dict.fromkeys((*session.flags, "raised by a second stop"))),
    )
    draft.put(ch.PutTransaction(raised))
    bounded = attributed(charge_point, session, raised)
    if bounded is not charge_point:
        draft.put(ch.PutChargePoint(bounded))
    figures = {"before_wh": session.energy, "after_wh": raised.energy}
    draft.note(NoteKind.ODDITY, "raised by a second stop", raised, figures=figures)


def _keep_orphan(
    draft: Draft, charge_point: ChargePoint, command: StopTransaction, *, moment: Moment, text: str, owner: str = ""
) -> None:
    """Park a stop that fits no session, for the administrator; nothing is booked. `owner`: whose its id is."""
    site, charge_point_id = draft.site, command.charge_point_id
    figures = {
        "transaction": command.transaction_id,
        "meter_stop": str(command.meter_stop)[:40],
        "timestamp": command.timestamp[:40],
        "reason": command.reason[:40],
    }
    draft.note(NoteKind.ORPHAN, text, charge_point_id=charge_point_id, id_tag=command.id_tag.strip(), figures=figures)
    is_approved = admission_of(site, charge_point_id) in (Admission.APPROVED, None)
    keep_orphan(
        draft,
        command,
        moment,
        f"{text}: it is {owner}'s" if owner else text,
        meter_stop=meter_wh(site, charge_point, command.meter_stop),
        is_on_quota=is_approved and access_of(site, charge_point_id) is not Access.FREE,
        figures=figures,
    )


def _with_overshoot(draft: Draft, session: Transaction) -> Transaction:
    """Each finished session reports how far its account is over the quota (rule 25)."""
    user = find_user(draft.site, session.id_tag)
    if user is None or user.quota is None or not session.is_on_quota:
        return session
    tags = tags_of(draft.site, user.account)
    month = open_month(draft.site, draft.at)
    used = draft.used(month, tags)
    overshoot = Wh(max(0, used - user.quota))
    if overshoot or (session.stop is not None and session.stop.cause is StopCause.QUOTA):
        figures = {"quota_wh": user.quota, "used_wh": used, "overshoot_wh": overshoot}
        draft.note(NoteKind.OVERSHOOT, "session ended at the quota", session, figures=figures)
    return replace(session, overshoot=overshoot)


def _put_evidence(draft: Draft, charge_point: ChargePoint, session: Transaction, at: datetime) -> None:
    """What a finished session taught of its charge point: the register's resolution, how fast it obeys a stop."""
    if session.register.resolution is not None and session.register.is_sampled:
        charge_point = replace(charge_point, resolution=session.register.resolution)
    stop = session.stop
    seen = (at - stop.ordered_at).total_seconds() if stop is not None and stop.is_accepted_at_once else None
    if seen is not None and seen <= _LONGEST_STOP_DELAY_S:
        known = charge_point.stop_delay_s
        delay = seen if known is None else 0.7 * known + 0.3 * seen
        charge_point = replace(charge_point, stop_delay_s=round(delay, 1))
    if charge_point != draft.site.charge_points.get(charge_point.charge_point_id):
        draft.put(ch.PutChargePoint(charge_point))
