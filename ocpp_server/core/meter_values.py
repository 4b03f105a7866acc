"""Readings of a charge point: what they add to the books of their session, and to the meter log (rules 2 to 7, 9, 28).

Whose they are, and what they prove of their charge point, is found in `ownership.py` and `evidence.py`.
"""

from ocpp_server.core import changes as ch
from ocpp_server.core.commands import Done, MeterValues
from ocpp_server.core.draft import Decision, Draft
from ocpp_server.core.evidence import believed_power_w, learn_clock, learn_meter, max_power_w, scaled_power_w
from ocpp_server.core.frozen import replace
from ocpp_server.core.meter import MeterSample, MeterValue, read_meter_value
from ocpp_server.core.ownership import owner_of
from ocpp_server.core.period import Gap, Moment, elapsed_s, moment_of
from ocpp_server.core.quota import WARNINGS, find_user, open_month, tags_of, warning_id, warning_of
from ocpp_server.core.records import Alert, ChargePoint, EndKind, NoteKind, Reading, Transaction
from ocpp_server.core.register import Finding, FindingKind, Register, observe, observe_interval
from ocpp_server.core.set_aside_rules import follow
from ocpp_server.core.settlement import raise_stop
from ocpp_server.core.site import Site
from ocpp_server.core.succession import attributed, within_session

_SHORTEST_INTERVAL_S, _LONGEST_INTERVAL_S = 5.0, 3600.0


def meter_values(site: Site, command: MeterValues) -> Decision:
    """Answer MeterValues (OCPP 1.6 §4.7): always confirmed, booked where it is proven whose it is."""
    draft = Draft(site, command.at)
    charge_point = draft.charge_point(command.charge_point_id)
    samples = timed_samples(draft, charge_point, command.meter_values, charge_point.gaps)
    owner = owner_of(site, charge_point, command, samples)
    if owner is None:
        _log_nobodys(draft, command, samples)
        return draft.decide(Done())
    take_samples(draft, charge_point, owner, samples)
    return draft.decide(Done())


def timed_samples(
    draft: Draft, charge_point: ChargePoint, values: tuple[MeterValue, ...], gaps: tuple[Gap, ...]
) -> list[tuple[Moment, MeterSample]]:
    """The samples of one message in the order in which they were taken (rule 2, last sentence).

    `gaps`: when old stamps are legitimate (rule 9).
    """
    profile = draft.site.profile_of(charge_point)
    zone = draft.site.policy.zone
    timed = [(moment_of(value.timestamp, draft.at, zone, gaps), read_meter_value(value, profile)) for value in values]
    if len(timed) > 1:
        timed.sort(key=lambda pair: (pair[0].raw or pair[0].at, pair[1].registers[:1]))
    return timed


def take_samples(
    draft: Draft, charge_point: ChargePoint, transaction: Transaction, samples: list[tuple[Moment, MeterSample]]
) -> None:
    """Book what the samples prove for an open transaction, and keep what they tell of the charge point."""
    if not samples:
        return
    charge_point, transaction = book_samples(draft, charge_point, transaction, samples)
    if charge_point is not draft.site.charge_points.get(charge_point.charge_point_id):
        draft.put(ch.PutChargePoint(charge_point))
    draft.put(ch.PutTransaction(transaction))
    warn(draft, transaction)


def book_samples(
    draft: Draft, charge_point: ChargePoint, transaction: Transaction, samples: list[tuple[Moment, MeterSample]]
) -> tuple[ChargePoint, Transaction]:
    """The charge point and the transaction after these samples; the bookings are drafted, the two are not."""
    for moment, sample in samples:
        before = transaction
        transaction = _take_sample(draft, charge_point, transaction, moment, sample)
        charge_point = learn_clock(learn_meter(charge_point, before, transaction, sample), moment)
    return charge_point, transaction


def note_findings(draft: Draft, transaction: Transaction, findings: tuple[Finding, ...]) -> None:
    """Keep what was odd about readings; what was set aside waits for the administrator (rule 5)."""
    for finding in findings:
        kind = NoteKind.SET_ASIDE if finding.kind is FindingKind.SET_ASIDE else NoteKind.ODDITY
        figures = {"before_wh": finding.before, "after_wh": finding.after}
        draft.note(kind, f"{finding.kind}: {finding.text}", transaction, figures=figures)


def log_reading(draft: Draft, transaction: Transaction, moment: Moment, sample: MeterSample) -> None:
    """Put a reading of a session into the meter log."""
    if not sample.registers:
        return
    register = sample.registers[0]
    key = f"{transaction.charge_point_id}|{transaction.transaction_id}|{sample.timestamp}|{register}"
    if draft.has_reading(key):
        return
    draft.read(
        Reading(
            number=draft.reading_number,
            key=key,
            at=moment.at,
            charge_point_id=transaction.charge_point_id,
            connector_id=transaction.connector_id,
            transaction_id=transaction.transaction_id,
            id_tag=transaction.id_tag,
            full_name=transaction.full_name,
            power_w=transaction.power_w,
            register=register,
            frequency_hz=sample.frequency_hz,
        )
    )


def _late_samples(
    draft: Draft, charge_point: ChargePoint, transaction: Transaction, samples: list[tuple[Moment, MeterSample]]
) -> None:
    """Readings of a session that the server had to close without its stop: only a higher value adds (rule 4)."""
    before = transaction
    for moment, sample in samples:
        if not sample.registers:
            continue
        most = max_power_w(draft.site, charge_point, transaction, None)
        register, findings = raise_stop(transaction.register, sample.registers[0], moment, most)
        register = within_session(draft.site, charge_point, transaction, register)
        note_findings(draft, transaction, findings)
        follow(draft, charge_point, transaction, register, findings=findings, moment=moment, max_power_w=most)
        if register is not transaction.register:
            booked = draft.book(transaction, register.energy, moment.at)
            transaction = replace(transaction, register=register, booked=booked, booked_at=moment.at)
        log_reading(draft, transaction, moment, sample)
    if transaction is not before:
        draft.put(ch.PutTransaction(transaction))
    known = attributed(charge_point, before, transaction)
    if known is not charge_point:
        draft.put(ch.PutChargePoint(known))


def _take_sample(
    draft: Draft, charge_point: ChargePoint, transaction: Transaction, moment: Moment, sample: MeterSample
) -> Transaction:
    site = draft.site
    reported = scaled_power_w(site, charge_point, sample)
    most = max_power_w(site, charge_point, transaction, reported)
    register, findings = _observed(transaction.register, moment, sample, most)
    if sample.skipped:
        figures = {"value": sample.skipped[0]}
        draft.note_state(NoteKind.ODDITY, "unreadable value skipped", transaction, figures=figures)
    note_findings(draft, transaction, findings)
    follow(draft, charge_point, transaction, register, findings=findings, moment=moment, max_power_w=most)
    booked_at = transaction.booked_at
    if sample.registers or sample.interval is not None:  # one of power alone does not tell what flowed until then
        booked_at = moment.at if booked_at is None else max(booked_at, moment.at)
    flow, shown = believed_power_w(site, charge_point, register, reported)
    taken = replace(
        transaction,
        register=register,
        booked=draft.book(transaction, register.energy, moment.at),
        booked_at=booked_at,
        reading_received_at=draft.at,
        sample_interval_s=_interval(transaction, register),
        power_w=shown,
        flow_w=flow,
        reported_power_w=reported,
        is_stale=False,
    )
    log_reading(draft, taken, moment, sample)
    return taken


def _observed(
    register: Register, moment: Moment, sample: MeterSample, most: int
) -> tuple[Register, tuple[Finding, ...]]:
    if sample.registers:
        return observe(register, sample.registers, moment, most)
    if sample.interval is not None:
        return observe_interval(register, sample.interval, moment, most)
    return register, ()


def _interval(transaction: Transaction, register: Register) -> float | None:
    """Seconds between the last two trusted readings; repeated and late ones tell nothing."""
    before = transaction.register
    if not before.is_sampled or register.last_moment is before.last_moment:
        return transaction.sample_interval_s
    interval = elapsed_s(before.last_moment, register.last_moment)
    is_regular = _SHORTEST_INTERVAL_S <= interval <= _LONGEST_INTERVAL_S
    return interval if is_regular else transaction.sample_interval_s


def _log_nobodys(draft: Draft, command: MeterValues, samples: list[tuple[Moment, MeterSample]]) -> None:
    """Readings outside any session: of a session that the server closed, it may still raise it; else nobody's."""
    site = draft.site
    ended = site.transactions.get(command.transaction_id or 0)
    if (
        ended is not None
        and ended.charge_point_id == command.charge_point_id
        and ended.end_kind in (EndKind.SUPERSEDED, EndKind.STALE)
    ):
        charge_point = draft.charge_point(command.charge_point_id)
        is_alone = not any(site.open_on(command.charge_point_id, ended.connector_id))
        if ended.end_kind is EndKind.STALE and is_alone and ended.highest_register is None:
            reopened = replace(ended, ended_at=None, ended_received_at=None, end_kind=None, stop_reason="")
            draft.note(NoteKind.ODDITY, "reopened by its own readings", ended)
            take_samples(draft, charge_point, reopened, samples)
        else:
            _late_samples(draft, charge_point, ended, samples)
        return
    if ended is not None and ended.charge_point_id != command.charge_point_id:
        text = "reading for another charge point's transaction"
    elif command.connector_id <= 0:
        return  # the main meter is nobody's, and there is nothing odd about it (rule 21)
    else:
        text = "reading outside any session"
    registers = [sample.registers[0] for _, sample in samples if sample.registers]
    draft.note_state(
        NoteKind.ODDITY,
        text,
        charge_point_id=command.charge_point_id,
        connector_id=command.connector_id,
        figures={"transaction": command.transaction_id, "register_wh": registers[-1] if registers else None},
    )


def warn(draft: Draft, transaction: Transaction) -> None:
    """Warn once a month, and again when it gets worse, that an account nears its quota (rule 28)."""
    user = find_user(draft.site, transaction.id_tag) if transaction.is_on_quota else None
    if user is None or not user.quota:
        return
    used = draft.used(open_month(draft.site, draft.at), tags_of(draft.site, user.account))
    warning = warning_of(draft.site, user, used, draft.at)
    if warning is None:
        return
    alert_id = warning_id(user.account)
    known = draft.site.alerts.get(alert_id)
    if known is not None and WARNINGS.index(known.kind) >= WARNINGS.index(warning):
        return
    text = f"{user.full_name}: {warning}"
    draft.put(ch.PutAlert(Alert(alert_id, warning, text, draft.at)))
    draft.note(NoteKind.WARNING, warning, transaction, figures={"quota_wh": user.quota, "used_wh": used})
