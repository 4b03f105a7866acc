"""Energy that was set aside, kept in step with the register it was set aside from (rules 4, 5 and 20).

What waits for a person must be missing from the books as long as it waits. Each reading that is trusted later may
answer it: it is withdrawn then, or, where the register went on from it, it stays as the step between two scales.
"""

from collections import Counter
from collections.abc import Mapping

from ocpp_server.core.commands import StopTransaction
from ocpp_server.core.draft import Draft
from ocpp_server.core.energy import Wh
from ocpp_server.core.frozen import replace
from ocpp_server.core.period import Moment
from ocpp_server.core.records import ChargePoint, Transaction
from ocpp_server.core.register import Finding, FindingKind, Register, deliverable
from ocpp_server.core.set_aside import SetAside, SetAsideKind, SetAsideState
from ocpp_server.core.site import MOST_OPEN_SET_ASIDE, Site
from ocpp_server.core.succession import within_session

_HIGHEST_TRANSACTION_ID = 2**31
_LONGEST_ID_TAG = 100


def follow(
    draft: Draft,
    charge_point: ChargePoint,
    session: Transaction,
    register: Register,
    *,
    findings: tuple[Finding, ...],
    moment: Moment,
    max_power_w: int,
) -> None:
    """Draft what one reading means for the energy of its session that waits, and what it set aside itself.

    `session` is as it was before the reading, `register` as it is after it.
    """
    finding = next((one for one in findings if one.kind is FindingKind.SET_ASIDE), None)
    waiting = draft.set_aside_of(session.transaction_id)
    if finding is None and not waiting:
        return
    answer = _answer_to_all(session.register, register)
    if answer:
        for one in waiting:
            _withdraw(draft, one, answer)
        return
    earlier = next((one for one in waiting if one.is_candidate), None)
    is_step = finding is not None and register.jump is not None and register.jump != session.register.jump
    if finding is None or not is_step:
        if earlier is not None:
            _follow_candidate(draft, charge_point, session, register, earlier)
        if finding is not None and finding.after is not None:
            _wait(draft, _of_reading(draft, session, finding, finding.after, moment=moment, max_power_w=max_power_w))
        return
    wh = left_out(draft.site, charge_point, session, register)
    if earlier is not None:
        _withdraw(draft, earlier, f"a later reading was set aside from the same register: {draft.set_aside_number}")
    if wh > 0:
        told = _of_reading(draft, session, finding, wh, moment=moment, max_power_w=max_power_w)
        _wait(draft, replace(told, is_candidate=True, since=told.since if earlier is None else earlier.since))


def withdraw_answered(draft: Draft, session: Transaction, register: Register, but: int) -> None:
    """Draft the end of what a register that a person raised answers of its session, all but the one that raised it."""
    answer = _answer_to_all(session.register, register)
    for one in draft.set_aside_of(session.transaction_id) if answer else ():
        if one.number != but:
            _withdraw(draft, one, answer)


def left_out(site: Site, charge_point: ChargePoint, session: Transaction, register: Register) -> Wh:
    """Wh that trusting the candidate would add to this session."""
    trusted = within_session(site, charge_point, session, trusting_jump(register))
    return Wh(trusted.energy - register.energy)


def trusting_jump(register: Register) -> Register:
    """The register as if its candidate, the reading that was set aside last, had been trusted."""
    jump = register.jump
    assert jump is not None
    return replace(
        register,
        last=jump.value,
        last_moment=jump.moment,
        increased_moment=jump.moment,
        is_sampled=True,
        jump=None,
        lower=None,
        doubted=tuple(one for one in register.doubted if one != jump),
    )


def with_step(register: Register, wh: Wh) -> Register:
    """The register with energy that lies behind its present scale, or that an interval had told."""
    if register.is_sampled:
        return replace(register, carried=Wh(register.carried + wh))
    return replace(register, intervals=Wh(register.intervals + wh))


def keep_orphan(
    draft: Draft,
    command: StopTransaction,
    moment: Moment,
    reason: str,
    *,
    meter_stop: Wh | None,
    is_on_quota: bool,
    figures: Mapping[str, object],
) -> None:
    """Let a stop that fits no session wait for a person; the same stop again is the same orphan."""
    number = command.transaction_id
    parts = (command.charge_point_id, number, command.timestamp.strip(), command.meter_stop, command.id_tag.strip())
    key = "|".join(str(part)[:100] for part in parts)
    known = (*draft.site.open_set_aside.values(), *draft.site.decided_set_aside.values())
    if any(one.key == key for one in known):
        return
    can_be_one = number is not None and 0 < number < _HIGHEST_TRANSACTION_ID
    orphan = SetAside(
        number=draft.set_aside_number,
        kind=SetAsideKind.ORPHAN,
        at=moment.at,
        received_at=draft.at,
        charge_point_id=command.charge_point_id,
        connector_id=None,
        transaction_id=number if can_be_one else None,
        id_tag=command.id_tag.strip()[:_LONGEST_ID_TAG],
        reason=reason,
        figures=tuple((name, str(value)) for name, value in figures.items()),
        after=meter_stop,
        is_on_quota=is_on_quota,
        key=key,
    )
    _wait(draft, orphan)


def _answer_to_all(before: Register, after: Register) -> str:
    """Why nothing of the session is missing from the books any more; blank: it still is."""
    if after.start != before.start:
        return "meterStart was read anew, and with it all that flowed"
    is_on_start_scale = after.base == after.start and after.carried == 0
    was_on_start_scale = before.base == before.start and before.carried == 0
    if is_on_start_scale and not was_on_start_scale:
        return "the register counts from meterStart again: it holds all that flowed"
    if is_on_start_scale and after.is_sampled and not before.is_sampled:
        return "the register holds all that flowed"
    return ""


def _follow_candidate(
    draft: Draft, charge_point: ChargePoint, session: Transaction, register: Register, candidate: SetAside
) -> None:
    before = session.register
    if register.jump is not None:
        wh = left_out(draft.site, charge_point, session, register)
        if wh <= 0:
            _withdraw(draft, candidate, "the next session began below it: what lies beyond is not this one's")
            return
        if (register.jump.value, wh) != (candidate.after, candidate.wh):
            draft.put_set_aside(replace(candidate, after=register.jump.value, wh=wh))
        return
    if (register.base, register.carried) == (before.base, before.carried):
        _withdraw(draft, candidate, f"the register went on below it, at {register.last} Wh: it never was there")
        return
    draft.put_set_aside(replace(candidate, is_candidate=False))


def _of_reading(
    draft: Draft, session: Transaction, finding: Finding, wh: Wh, *, moment: Moment, max_power_w: int
) -> SetAside:
    most = round(deliverable(session.register, moment, max_power_w))
    return SetAside(
        number=draft.set_aside_number,
        kind=SetAsideKind.READING,
        at=moment.at,
        received_at=draft.at,
        charge_point_id=session.charge_point_id,
        connector_id=session.connector_id,
        transaction_id=session.transaction_id,
        id_tag=session.id_tag,
        reason=finding.text,
        figures=(("deliverable_wh", str(most)), ("slack_wh", str(session.register.slack_left))),
        before=finding.before,
        after=finding.after,
        wh=wh,
        since=min(session.booked_at or session.started_at, moment.at),
        is_on_quota=session.is_on_quota,
    )


def _wait(draft: Draft, one: SetAside) -> None:
    """Draft it as open. Where too many are, the oldest of the charge point that has most makes room: its note stays."""
    waiting = draft.open_set_aside()
    if len(waiting) >= MOST_OPEN_SET_ASIDE:
        ((noisiest, _),) = Counter(other.charge_point_id for other in waiting.values()).most_common(1)
        oldest = min(number for number, other in waiting.items() if other.charge_point_id == noisiest)
        _withdraw(draft, waiting[oldest], f"more than {MOST_OPEN_SET_ASIDE} were open, most of them from here")
    draft.put_set_aside(one)


def _withdraw(draft: Draft, one: SetAside, reason: str) -> None:
    state = SetAsideState.WITHDRAWN
    draft.put_set_aside(replace(one, state=state, is_candidate=False, decided_at=draft.at, decision_reason=reason))
