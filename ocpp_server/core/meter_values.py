"""Readings of a charge point: whose they are, and what they add to the books (rules 2 to 7, 9, 21)."""

from dataclasses import replace
from decimal import Decimal

from ocpp_server.core import changes as ch
from ocpp_server.core.commands import Done, MeterValues
from ocpp_server.core.draft import Decision, Draft
from ocpp_server.core.energy import Wh
from ocpp_server.core.meter import MeterSample, MeterValue, read_meter_value
from ocpp_server.core.period import CLOCK_TOLERANCE, Gap, Moment, elapsed_s, moment_of
from ocpp_server.core.quota import WARNINGS, find_user, open_month, tags_of, warning_id, warning_of
from ocpp_server.core.records import Alert, ChargePoint, EndKind, NoteKind, Reading, Transaction
from ocpp_server.core.register import (
    Finding,
    FindingKind,
    Register,
    capped,
    continues,
    observe,
    observe_interval,
    raise_stop,
)
from ocpp_server.core.site import Site

_SCALES = (Decimal(1), Decimal("0.1"), Decimal("0.001"), Decimal(10), Decimal("0.01"))
_PROVEN_HITS = 3
_MOST_POWER_W = 400_000
_SHORTEST_INTERVAL_S, _LONGEST_INTERVAL_S = 5.0, 3600.0


def meter_values(site: Site, command: MeterValues) -> Decision:
    """Answer MeterValues (OCPP 1.6 §4.7): always confirmed, booked where it is proven whose it is."""
    draft = Draft(site, command.at)
    charge_point = draft.charge_point(command.charge_point_id)
    samples = timed_samples(draft, charge_point, command.meter_values, charge_point.gaps)
    owner = _owner(site, charge_point, command, samples)
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
    _warn(draft, transaction)


def book_samples(
    draft: Draft, charge_point: ChargePoint, transaction: Transaction, samples: list[tuple[Moment, MeterSample]]
) -> tuple[ChargePoint, Transaction]:
    """The charge point and the transaction after these samples; the bookings are drafted, the two are not."""
    for moment, sample in samples:
        before = transaction
        transaction = _take_sample(draft, charge_point, transaction, moment, sample)
        charge_point = learn_clock(_learn(charge_point, before, transaction, sample), moment)
    return charge_point, transaction


def learn_clock(charge_point: ChargePoint, moment: Moment) -> ChargePoint:
    """A stamp close to its receipt proves the charge point's clock, an impossible one that it is wrong (rule 15).

    An old one proves nothing: it may come from a queue.
    """
    if moment.is_clock_doubtful:
        is_right = False
    elif charge_point.has_right_clock or abs(moment.at - moment.received) <= CLOCK_TOLERANCE:
        is_right = True
    else:
        return charge_point
    return charge_point if charge_point.has_right_clock is is_right else replace(charge_point, has_right_clock=is_right)


def max_power_w(site: Site, charge_point: ChargePoint, transaction: Transaction, reported_w: int | None) -> int:
    """The most this connector can deliver: settings, brand, or what its own consistent readings prove (rule 5)."""
    profile = site.profile_of(charge_point)
    most = max(profile.max_power_w or site.policy.max_power_w, charge_point.proven_power_w or 0)
    before = transaction.reported_power_w
    if reported_w is None or before is None or reported_w <= most or reported_w > _MOST_POWER_W:
        return most
    is_steady = abs(reported_w - before) <= reported_w // 4
    return reported_w if is_steady and charge_point.power_scale_hits >= _PROVEN_HITS else most


def scaled_power_w(site: Site, charge_point: ChargePoint, sample: MeterSample) -> int | None:
    """Reported power in W, with the scale that the brand profile or the register proved."""
    if sample.power_w is None:
        return None
    scale = site.profile_of(charge_point).power_scale
    if scale is None and charge_point.power_scale_hits >= _PROVEN_HITS:
        scale = charge_point.power_scale
    return sample.power_w if scale is None else round(sample.power_w * scale)


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


def within_session(site: Site, transaction: Transaction, register: Register) -> Register:
    """The register, cut where the next session on this connector began: the rest is not this session's (rule 22)."""
    highest = transaction.highest_register
    if highest is None and not transaction.is_open and register.last is not None:
        settled = transaction.register.last or 0
        later = (t for t in site.transactions.values() if _is_next(transaction, t))
        starts = (t.register.start for t in later if t.register.start is not None and t.register.start >= settled)
        highest = min(starts, default=None)
    return register if highest is None else capped(register, highest)


def attributed(charge_point: ChargePoint, before: Transaction, after: Transaction) -> ChargePoint:
    """What a session adds after it was bounded was counted as nobody's until now (rule 22)."""
    added = after.energy - before.energy
    taken = min(charge_point.unattributed, added)
    if before.highest_register is None or taken <= 0:
        return charge_point
    return replace(charge_point, unattributed=Wh(charge_point.unattributed - taken))


def _is_next(transaction: Transaction, other: Transaction) -> bool:
    place = (transaction.charge_point_id, transaction.connector_id)
    return (other.charge_point_id, other.connector_id) == place and other.started_at > transaction.started_at


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
        register = within_session(draft.site, transaction, register)
        note_findings(draft, transaction, findings)
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
    booked_at = transaction.booked_at
    if sample.registers or sample.interval is not None:  # one of power alone does not tell what flowed until then
        booked_at = moment.at if booked_at is None else max(booked_at, moment.at)
    flow, shown = _power(site, charge_point, register, reported)
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


def _power(site: Site, charge_point: ChargePoint, register: Register, reported: int | None) -> tuple[int | None, int]:
    """Power for forecasts, and for people: reported where it is in proportion to the energy, else derived (rule 6)."""
    derived = register.power_w
    if reported is None or (reported == 0 and derived):
        return derived, derived or 0
    if derived is not None and not derived / 8 <= reported <= max(derived, 1) * 8 and reported > 0:
        return derived, derived
    has_proof = site.profile_of(charge_point).power_scale is not None or charge_point.power_scale_hits >= _PROVEN_HITS
    return (reported if has_proof else derived), reported


def _learn(charge_point: ChargePoint, before: Transaction, after: Transaction, sample: MeterSample) -> ChargePoint:
    """What a reading proves of its charge point: the unit of meterStart, and the scale of its power."""
    if after.register.start_unit is not None and after.register.start_unit != charge_point.register_unit:
        charge_point = replace(charge_point, register_unit=after.register.start_unit)
    has_grown = after.energy > before.energy and before.register.is_sampled
    derived = after.register.power_w
    if not has_grown or not sample.power_w or not derived:
        return charge_point
    ratio = Decimal(derived) / sample.power_w
    scale = next((s for s in _SCALES if Decimal("0.75") <= ratio / s <= Decimal("1.25")), None)
    if scale is None:
        return charge_point
    if scale != charge_point.power_scale:
        return replace(charge_point, power_scale=scale, power_scale_hits=1)
    power = round(sample.power_w * scale)
    if charge_point.power_scale_hits < _PROVEN_HITS:
        charge_point = replace(charge_point, power_scale_hits=charge_point.power_scale_hits + 1)
    elif power > (charge_point.proven_power_w or 50_000) * 1.1 and power <= _MOST_POWER_W:
        charge_point = replace(charge_point, proven_power_w=power)
    return charge_point


def _owner(
    site: Site, charge_point: ChargePoint, command: MeterValues, samples: list[tuple[Moment, MeterSample]]
) -> Transaction | None:
    """The open transaction that a MeterValues belongs to, or None (rule 21)."""
    named = site.open_transactions.get(command.transaction_id or 0)
    if named is not None and named.charge_point_id == command.charge_point_id:
        return named
    if command.connector_id <= 0:
        return None
    for transaction in reversed(site.open_on(command.charge_point_id, command.connector_id)):
        if all(_is_plausible_here(site, charge_point, transaction, *pair) for pair in samples):
            return transaction
    return None


def _is_plausible_here(
    site: Site, charge_point: ChargePoint, transaction: Transaction, moment: Moment, sample: MeterSample
) -> bool:
    if moment.at < transaction.started_at:
        return False
    most = max_power_w(site, charge_point, transaction, None)
    return not sample.registers or any(
        continues(transaction.register, value, moment, most) for value in sample.registers
    )


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


def _warn(draft: Draft, transaction: Transaction) -> None:
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
