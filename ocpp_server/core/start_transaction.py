"""The beginning of a session (rules 13, 18, 19, 22, 23): always an id that is never used twice, and a status."""

from dataclasses import replace
from datetime import timedelta

from ocpp_server.core import changes as ch
from ocpp_server.core.authorize import access_of, id_tag_info, judge, note_refusal
from ocpp_server.core.commands import IdTagInfo, Started, StartTransaction
from ocpp_server.core.draft import Decision, Draft
from ocpp_server.core.energy import Wh, parse_number, to_wh
from ocpp_server.core.meter_values import learn_clock, max_power_w
from ocpp_server.core.period import Moment, moment_of
from ocpp_server.core.quota import account_of, find_user
from ocpp_server.core.records import AuthorizationStatus, ChargePoint, EndKind, NoteKind, Transaction
from ocpp_server.core.register import begin, deliverable
from ocpp_server.core.site import Site, StartKey
from ocpp_server.core.users import Access

_RETRY_WITHOUT_CLOCK = timedelta(minutes=15)
_QUEUED_AFTER = timedelta(minutes=5)


def start_transaction(site: Site, command: StartTransaction) -> Decision:
    """Answer StartTransaction (OCPP 1.6 §4.8): a repeated one gets the same id and the status first given."""
    draft = Draft(site, command.at)
    charge_point = draft.charge_point(command.charge_point_id)
    moment = moment_of(command.timestamp, command.at, site.policy.zone, charge_point.gaps)
    earlier = _repeated(site, command, moment)
    if earlier is not None:
        return draft.decide(_answer(site, draft, charge_point, earlier))
    transaction = _begun(site, command, charge_point, moment)
    verdict = judge(site, charge_point, command.id_tag, command.at, is_start=True)
    transaction = replace(transaction, status=verdict.status)
    if verdict.status is not AuthorizationStatus.ACCEPTED:
        note_refusal(draft, command.charge_point_id, command.id_tag, verdict)
        transaction = replace(transaction, flags=(*transaction.flags, f"refused: {verdict.reason}"))
    charge_point = learn_clock(charge_point, moment)
    charge_point = _supersede(draft, charge_point, transaction, moment)
    if charge_point is not site.charge_points.get(charge_point.charge_point_id):
        draft.put(ch.PutChargePoint(charge_point))
    draft.put(ch.PutTransaction(transaction))
    return draft.decide(_answer(site, draft, charge_point, transaction))


def meter_wh(site: Site, charge_point: ChargePoint, value: object) -> Wh | None:
    """meterStart or meterStop in Wh: the unit that was proven, else the brand's. None: unreadable or negative."""
    number = parse_number(value)
    if number is None or number < 0:
        return None
    profile = site.profile_of(charge_point)
    is_overridden = profile.is_label_ignored
    unit = profile.register_unit if is_overridden else charge_point.register_unit or profile.register_unit
    return to_wh(number, unit)


def _answer(site: Site, draft: Draft, charge_point: ChargePoint, transaction: Transaction) -> Started:
    user = find_user(site, transaction.stated_id_tag)
    info: IdTagInfo = id_tag_info(charge_point, user, transaction.status, draft.at)
    return Started(transaction.transaction_id, info)


def _repeated(site: Site, command: StartTransaction, moment: Moment) -> Transaction | None:
    """The transaction that this very StartTransaction began (OCPP 1.6 §3.7.1). Message ids mean nothing."""
    number = site.starts.get(_key(command))
    if number is None:
        return None
    earlier = site.transactions[number]
    ended = earlier.ended_received_at
    if moment.is_clock_doubtful and ended is not None and command.at - ended > _RETRY_WITHOUT_CLOCK:
        return None
    return earlier


def _key(command: StartTransaction) -> StartKey:
    return (
        command.charge_point_id,
        command.connector_id,
        command.id_tag.strip().casefold(),
        command.timestamp.strip(),
        _text(command.meter_start),
    )


def _text(meter_start: object) -> str:
    number = parse_number(meter_start)
    return str(meter_start)[:40] if number is None else str(number.normalize())


def _begun(site: Site, command: StartTransaction, charge_point: ChargePoint, moment: Moment) -> Transaction:
    id_tag, account = account_of(site, command.id_tag)
    user = find_user(site, command.id_tag)
    is_queued = command.at - moment.at > _QUEUED_AFTER
    return Transaction(
        transaction_id=site.next_transaction_id,
        charge_point_id=command.charge_point_id,
        connector_id=command.connector_id,
        id_tag=id_tag,
        stated_id_tag=command.id_tag.strip(),
        account=account,
        full_name=user.full_name if user is not None else "",
        status=AuthorizationStatus.ACCEPTED,
        start_stamp=command.timestamp.strip(),
        start_meter_text=_text(command.meter_start),
        is_start_clock_doubtful=moment.is_clock_doubtful,
        started_at=moment.at,
        received_at=command.at,
        register=begin(meter_wh(site, charge_point, command.meter_start), moment),
        is_on_quota=access_of(site, command.charge_point_id) is not Access.FREE,
        flags=("started offline",) if is_queued else (),
    )


def _supersede(draft: Draft, charge_point: ChargePoint, new: Transaction, moment: Moment) -> ChargePoint:
    """Close what never ended on this connector at its last trusted register (rule 22)."""
    for old in list(draft.site.open_on(new.charge_point_id, new.connector_id)):
        if moment.at < old.started_at:
            continue  # an older start that arrives late from a queue takes nothing over
        gap = _gap(draft.site, charge_point, old, new, moment)
        closed = replace(
            old,
            ended_at=max(old.booked_at or old.started_at, old.started_at),
            ended_received_at=draft.at,
            end_kind=EndKind.SUPERSEDED,
            stop_reason="",
            stop=None,
            highest_register=new.register.start if gap is not None else None,
        )
        draft.put(ch.PutTransaction(closed))
        figures = {"energy_wh": closed.energy, "next_transaction": new.transaction_id, "gap_wh": gap}
        draft.note(NoteKind.CLOSED, "another session began on its connector", closed, figures=figures)
        if gap:
            charge_point = replace(charge_point, unattributed=Wh(charge_point.unattributed + gap))
            draft.note(NoteKind.UNATTRIBUTED, "energy between two sessions", closed, figures={"wh": gap})
    return charge_point


def _gap(site: Site, charge_point: ChargePoint, old: Transaction, new: Transaction, moment: Moment) -> Wh | None:
    """Wh between the old session's last register and the new meterStart; None where the register starts anew."""
    last, start = old.register.last, new.register.start
    if last is None or start is None or start < last:
        return None
    most = max_power_w(site, charge_point, old, None)
    if start - last > deliverable(old.register, moment, most) + old.register.slack_left:
        return None
    return Wh(start - last)
