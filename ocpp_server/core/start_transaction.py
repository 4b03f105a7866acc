"""The beginning of a session (rules 13, 18, 19, 23): always an id that is never used twice, and a status.

What it ends is `succession.py`'s.
"""

from datetime import timedelta

from ocpp_server.core import changes as ch
from ocpp_server.core.admission import admission_of
from ocpp_server.core.authorize import access_of, id_tag_info, judge, note_refusal
from ocpp_server.core.commands import IdTagInfo, Started, StartTransaction
from ocpp_server.core.draft import Decision, Draft
from ocpp_server.core.energy import Wh, parse_number, to_wh
from ocpp_server.core.evidence import learn_clock
from ocpp_server.core.frozen import replace
from ocpp_server.core.period import Moment, moment_of
from ocpp_server.core.quota import account_of, find_user
from ocpp_server.core.records import Admission, AuthorizationStatus, ChargePoint, Transaction
from ocpp_server.core.register import begin
from ocpp_server.core.site import Site, StartKey
from ocpp_server.core.succession import supersede
from ocpp_server.core.users import Access

RETRY_WITHOUT_CLOCK = timedelta(minutes=15)
"""So long after its session ended is a message with an implausible stamp taken for a repeated one (rule 19)."""
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
    ending = [old for old in site.open_on(command.charge_point_id, command.connector_id) if old.started_at <= moment.at]
    ids = {old.transaction_id for old in ending}
    verdict = judge(site, charge_point, command.id_tag, command.at, is_start=True, ending=ids)
    transaction = replace(transaction, status=verdict.status)
    if verdict.status is not AuthorizationStatus.ACCEPTED:
        note_refusal(draft, command.charge_point_id, command.id_tag, verdict)
        transaction = replace(transaction, flags=(*transaction.flags, f"refused: {verdict.reason}"))
    charge_point = learn_clock(charge_point, moment)
    charge_point = supersede(draft, charge_point, ending, transaction, moment)
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


def meter_text(value: object) -> str:
    """meterStart or meterStop as a text in which equal numbers are equal."""
    number = parse_number(value)
    return str(value)[:40] if number is None else str(number.normalize())


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
    has_no_clock = moment.is_clock_doubtful and earlier.is_start_clock_doubtful
    if has_no_clock and ended is not None and command.at - ended > RETRY_WITHOUT_CLOCK:
        return None
    return earlier


def _key(command: StartTransaction) -> StartKey:
    return (
        command.charge_point_id,
        command.connector_id,
        command.id_tag.strip().casefold(),
        command.timestamp.strip(),
        meter_text(command.meter_start),
    )


def _begun(site: Site, command: StartTransaction, charge_point: ChargePoint, moment: Moment) -> Transaction:
    id_tag, account = account_of(site, command.id_tag)
    user = find_user(site, command.id_tag)
    is_queued = command.at - moment.at > _QUEUED_AFTER
    is_approved = admission_of(site, command.charge_point_id) in (Admission.APPROVED, None)
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
        start_meter_text=meter_text(command.meter_start),
        is_start_clock_doubtful=moment.is_clock_doubtful,
        started_at=moment.at,
        received_at=command.at,
        register=begin(meter_wh(site, charge_point, command.meter_start), moment),
        is_on_quota=is_approved and access_of(site, command.charge_point_id) is not Access.FREE,
        flags=("started offline",) if is_queued else (),
    )
