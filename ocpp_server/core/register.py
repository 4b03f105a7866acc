"""One session's energy register: which readings are trusted, and how much energy they prove (rules 1, 4, 5).

What its StopTransaction makes of it is `settlement.py`'s.

The energy of a session is *highest trusted register - start register*, so duplicates and reordering change nothing.
A register may live on several scales in one session: the unlabelled meterStart may be in another unit, samples may
count from the session's start while start and stop count for ever (or the reverse), a meter may restart. A scale has
a `base`, the register value at which `carried` Wh had already been counted; energy = carried + last - base.

A reading that does not fit is not believed at once. It becomes a candidate (`lower` or `jump`); only a later reading
that continues from it makes it the new scale. A step that no charge point could deliver is set aside for the
administrator, and the scale it leads to starts with what was booked: the doubtful step itself stays out of the books
until it is accepted. A reading below a jump, on the scale before it, shows that the jump never was.
"""

from enum import StrEnum
from math import gcd
from typing import TypeAlias

from ocpp_server.core.energy import EnergyUnit, Wh
from ocpp_server.core.frozen import dataclass, replace
from ocpp_server.core.period import Moment, elapsed_s, is_not_later

SLACK = Wh(1000)
"""Once per transaction a step may exceed what the connector could deliver by this much."""
TOLERANCE = 1.5
UNIT_FACTOR = 1000
"""Between Wh and kWh: a value that is wrong by it is a mistake of unit."""
_JITTER = Wh(10)
_SMALLEST_MISTAKEN_REGISTER = 10_000
_LARGEST_STEP_OF_A_REGISTER = 1000
_MOST_DOUBTED = 20


class FindingKind(StrEnum):
    """What was odd about a reading."""

    IGNORED = "ignored"
    UNIT_MISTAKE = "unit mistake"
    START_UNIT = "unit of meterStart"
    NEW_SCALE = "new scale"
    SET_ASIDE = "set aside"
    UNPROVEN_STOP = "stop not usable"


@dataclass(frozen=True, slots=True)
class Finding:
    """One odd reading, with both registers (Wh) where there are two."""

    kind: FindingKind
    text: str
    before: Wh | None = None
    after: Wh | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A reading that did not fit, held until the next one tells whether the register went on from it."""

    value: Wh
    moment: Moment


@dataclass(frozen=True, slots=True)
class Register:
    """What a session's readings have proven so far. All energies in Wh, power in W."""

    start: Wh | None
    base: Wh | None
    last: Wh | None
    """The highest trusted register on the present scale."""
    last_moment: Moment
    increased_moment: Moment
    """When the register showed `last` for the first time."""
    carried: Wh = Wh(0)
    slack_left: Wh = SLACK
    is_sampled: bool = False
    jump: Candidate | None = None
    """A reading that was too high and set aside."""
    lower: Candidate | None = None
    """A reading below the trusted register."""
    scale_moment: Moment | None = None
    """When the present scale began; None: with the session."""
    resolution: Wh | None = None
    """Largest of 1, 10, 100, 1000 Wh that divides every sample on this scale, before the first one meterStart (rule 8).

    Samples may be coarser than start and stop: Huawei sends kWh with decimals beside integer Wh.
    """
    power_w: int | None = None
    """Derived from the register; None until two readings tell."""
    intervals: Wh = Wh(0)
    """Sum of Energy.Active.Import.Interval; counts only while no register was ever seen (rule 2)."""
    start_unit: EnergyUnit | None = None
    """Proven by the first labelled sample, where the assumed unit of meterStart was wrong."""
    doubted: tuple[Candidate, ...] = ()
    """The newest readings that were set aside: the very same one again, from a queue, says nothing new."""

    @property
    def energy(self) -> Wh:
        """Wh proven for this session."""
        if self.intervals and not self.is_sampled:
            return self.intervals
        if self.base is None or self.last is None:
            return self.carried
        return Wh(self.carried + self.last - self.base)

    @property
    def step(self) -> Wh:
        """The register's resolution in Wh, 1 where nothing is known."""
        return self.resolution or Wh(1)


Observation: TypeAlias = tuple[Register, tuple[Finding, ...]]


def begin(meter_start: Wh | None, moment: Moment) -> Register:
    """The register at StartTransaction. None: meterStart was unreadable or negative, the first sample is the base."""
    resolution = _common_step(None, meter_start) if meter_start else None
    return Register(meter_start, meter_start, meter_start, moment, moment, resolution=resolution)


def observe(register: Register, candidates: tuple[Wh, ...], moment: Moment, max_power_w: int) -> Observation:
    """Take the readings of one MeterValue: the largest that fits, else the largest (rule 2).

    `candidates` are Wh, largest first, not empty. `max_power_w` is the most this connector can deliver.
    """
    if register.last is None:
        return replace(_rebased(register, candidates[0], moment), carried=register.energy), ()
    if is_doubted(register, candidates[0], moment):
        return register, ()
    is_old = register.is_sampled and is_not_later(moment, register.last_moment)
    fitting = next((value for value in candidates if fits(register, value, moment, max_power_w)), None)
    if is_old and ((fitting or candidates[-1]) <= register.last or _is_of_left_scale(register, moment)):
        return register, ()
    if fitting is not None:
        return _advanced(register, fitting, moment, max_power_w), ()
    value = candidates[0]
    if not register.is_sampled:
        corrected = _start_in_another_unit(register, value, moment, max_power_w)
        if corrected is not None:
            return corrected
    if value > register.last:
        return _too_high(register, value, moment, max_power_w)
    return _too_low(register, value, moment, max_power_w)


def observe_interval(register: Register, interval: Wh, moment: Moment, max_power_w: int) -> Observation:
    """Take an interval value, for a charge point that gives no register at all."""
    is_told = is_not_later(moment, register.last_moment) or is_doubted(register, interval, moment)
    if register.is_sampled or is_told:
        return register, ()
    over = max(0, round(interval - deliverable(register, moment, max_power_w)))
    if over > register.slack_left:
        text = "interval is more than could be delivered"
        finding = Finding(FindingKind.SET_ASIDE, text, register.intervals, interval)
        return doubting(register, Candidate(interval, moment)), (finding,)
    seconds = elapsed_s(register.last_moment, moment)
    taken = replace(
        register,
        intervals=Wh(register.intervals + interval),
        slack_left=Wh(register.slack_left - over),
        last_moment=moment,
        increased_moment=moment,
        power_w=round(interval * 3600 / seconds) if seconds > 0 else register.power_w,
    )
    return taken, ()


def continues(register: Register, value: Wh, moment: Moment, max_power_w: int) -> bool:
    """Whether a reading without a usable transaction id goes on from this register (rule 21)."""
    if register.last is None:
        return True
    return register.last - _JITTER <= value and fits(register, Wh(max(value, register.last)), moment, max_power_w)


def deliverable(register: Register, moment: Moment, max_power_w: int) -> float:
    """Wh that the connector could have delivered since the last reading, without the slack.

    A coarse register jumps by a whole kWh after minutes at the same value, so up to one such jump counts from its
    last increase; a larger step has to have happened since the last reading.
    """
    rate = max_power_w * TOLERANCE / 3600
    since_reading = rate * elapsed_s(register.last_moment, moment)
    if register.increased_moment is register.last_moment:
        return since_reading
    since_increase = rate * elapsed_s(register.increased_moment, moment)
    return max(since_reading, min(since_increase, float(_LARGEST_STEP_OF_A_REGISTER)))


def fits(register: Register, value: Wh, moment: Moment, max_power_w: int) -> bool:
    """Whether a reading continues the present scale: not lower, and no more than could be delivered (rule 5)."""
    assert register.last is not None
    if value < register.last:
        return False
    if register.jump is not None and value >= register.jump.value - _JITTER:
        return False  # time alone never releases what was set aside
    if is_doubted(register, value, moment):
        return False
    return _growth(register, value) <= deliverable(register, moment, max_power_w) + register.slack_left


def is_doubted(register: Register, value: Wh, moment: Moment) -> bool:
    """This very reading was set aside before: same value, same stamp."""
    return any(one.value == value and one.moment.raw == moment.raw for one in register.doubted)


def doubting(register: Register, candidate: Candidate) -> Register:
    """The register that remembers a reading as set aside."""
    return replace(register, doubted=(*register.doubted, candidate)[-_MOST_DOUBTED:])


def _growth(register: Register, value: Wh) -> int:
    """Wh since the last trusted register, without what interval values have told of it."""
    assert register.last is not None
    step = value - register.last
    return step if register.is_sampled else max(0, step - register.intervals)


def _is_of_left_scale(register: Register, moment: Moment) -> bool:
    """A reading that was taken before the present scale began, and comes late or again."""
    return register.scale_moment is not None and not is_not_later(register.scale_moment, moment)


def _advanced(register: Register, value: Wh, moment: Moment, max_power_w: int) -> Register:
    assert register.last is not None
    growth = _growth(register, value)
    over = max(0, round(growth - deliverable(register, moment, max_power_w)))
    increased = value > register.last or not register.is_sampled
    return replace(
        register,
        last=value,
        last_moment=moment,
        increased_moment=moment if increased else register.increased_moment,
        slack_left=Wh(max(0, register.slack_left - over)),
        is_sampled=True,
        jump=None,
        lower=None,
        resolution=_common_step(register.resolution if register.is_sampled else None, value),
        power_w=_derived_power(register, growth, moment),
    )


def _derived_power(register: Register, step: int, moment: Moment) -> int | None:
    """W over the last increase. Without an increase: no more than one register step in the time since."""
    seconds = elapsed_s(register.increased_moment, moment)
    if seconds <= 0:
        return register.power_w
    if step > 0:
        return round(step * 3600 / seconds)
    if register.power_w is None:
        return None
    return min(register.power_w, round(register.step * 3600 / seconds))


def _too_high(register: Register, value: Wh, moment: Moment, max_power_w: int) -> Observation:
    returned = on_start_scale(register, value, moment, max_power_w)
    if returned is not None:
        return returned
    smaller = Wh(value // UNIT_FACTOR)
    if (
        register.is_sampled
        and register.last
        and fits(replace(register, slack_left=Wh(0)), smaller, moment, max_power_w)
    ):
        text = "read as 1000 times too high"
        finding = Finding(FindingKind.UNIT_MISTAKE, text, register.last, value)
        return _advanced(register, smaller, moment, max_power_w), (finding,)
    if not register.is_sampled and register.start == 0:
        # The meter was not ready at the start, or the samples count for ever and meterStart does not.
        finding = Finding(FindingKind.NEW_SCALE, "first sample is the base", register.last, value)
        return replace(_rebased(register, value, moment), carried=register.energy), (finding,)
    continued = gone_on(register, register.jump, value, moment, max_power_w)
    if continued is not None:
        return continued
    jump = register.jump
    if jump is not None and abs(value - jump.value) <= SLACK:
        return replace(register, jump=replace(jump, value=min(value, jump.value))), ()
    finding = Finding(FindingKind.SET_ASIDE, "more than could be delivered", register.last, value)
    held = Candidate(value, moment)
    return replace(doubting(register, held), jump=held), (finding,)


def _too_low(register: Register, value: Wh, moment: Moment, max_power_w: int) -> Observation:
    assert register.last is not None
    if is_not_later(moment, register.last_moment) or register.last - value <= _JITTER:
        return register, ()
    continued = gone_on(register, register.lower, value, moment, max_power_w)
    if continued is not None:
        return continued
    meant = Wh(max(value * UNIT_FACTOR, register.last))
    is_close = value * UNIT_FACTOR > register.last - UNIT_FACTOR
    if register.last > _SMALLEST_MISTAKEN_REGISTER and is_close and fits(register, meant, moment, max_power_w):
        finding = Finding(FindingKind.UNIT_MISTAKE, "read as kWh", register.last, value)
        return _advanced(register, meant, moment, max_power_w), (finding,)
    if register.lower is not None and register.lower.value == value:
        return register, ()
    finding = Finding(FindingKind.IGNORED, "lower than the trusted register", register.last, value)
    return replace(register, lower=Candidate(value, moment)), (finding,)


def gone_on(
    register: Register, candidate: Candidate | None, value: Wh, moment: Moment, max_power_w: int
) -> Observation | None:
    """The register on the scale of the candidate, if this reading continues from it, else None (rules 4 and 5)."""
    if candidate is None or value <= candidate.value or is_not_later(moment, candidate.moment):
        return None
    begun = replace(
        _rebased(register, candidate.value, candidate.moment),
        carried=register.energy,
        scale_moment=candidate.moment,
    )
    if not fits(begun, value, moment, max_power_w):
        return None
    returned = on_start_scale(register, value, moment, max_power_w)
    if returned is not None:
        return returned
    text = "the register goes on from here"
    if _has_fallen_back(register, candidate, max_power_w):
        begun = replace(begun, carried=register.carried, base=register.base)
        text = "the register fell back"
    finding = Finding(FindingKind.NEW_SCALE, text, register.last, candidate.value)
    return _advanced(begun, value, moment, max_power_w), (finding,)


def _has_fallen_back(register: Register, candidate: Candidate, max_power_w: int) -> bool:
    """Back from a spike that the slack let pass: a meter that restarted at zero could not have come so far."""
    assert register.base is not None
    assert register.last is not None
    is_between = register.base <= candidate.value < register.last
    return is_between and candidate.value > deliverable(register, candidate.moment, max_power_w)


def _rebased(register: Register, value: Wh, moment: Moment) -> Register:
    return replace(
        register,
        base=value,
        last=value,
        last_moment=moment,
        increased_moment=moment,
        is_sampled=True,
        jump=None,
        lower=None,
        resolution=_common_step(None, value),
    )


def _start_in_another_unit(register: Register, value: Wh, moment: Moment, max_power_w: int) -> Observation | None:
    """meterStart has no unit: the first sample tells whether it was meant in kWh, or in Wh after all (rule 3)."""
    start = register.start
    if not start:
        return None
    meant_kwh, meant_wh = Wh(start * UNIT_FACTOR), Wh(start // UNIT_FACTOR)
    choices = [(meant_kwh, EnergyUnit.KWH, "meterStart is in kWh")]
    if meant_wh > _SMALLEST_MISTAKEN_REGISTER and start % UNIT_FACTOR == 0:
        choices.append((meant_wh, EnergyUnit.WH, "meterStart is in Wh"))
    for meant, unit, text in choices:
        read_anew = replace(register, base=meant, last=meant, resolution=_common_step(None, meant))
        if fits(read_anew, value, moment, max_power_w):
            finding = Finding(FindingKind.START_UNIT, text, start, value)
            advanced = _advanced(replace(read_anew, start=meant), value, moment, max_power_w)
            return replace(advanced, start_unit=unit), (finding,)
    return None


def on_start_scale(
    register: Register, value: Wh, moment: Moment, max_power_w: int, tolerance: Wh = Wh(0)
) -> Observation | None:
    """The register on the scale of meterStart, if this reading counts from there (again), else None.

    Start and stop count for ever while the samples count the session (Grizzl-E), or the reverse, or the scale in
    between was nonsense. `tolerance`: Wh beyond what is left of the slack.

    From a scale above it comes down, from one below it goes up; so nothing that was set aside returns by this way.
    """
    if register.start is None or register.base is None or register.last is None or value <= 0:
        return None
    offset = register.base - register.carried - register.start
    has_returned = value < register.base - SLACK if offset > 0 else offset < 0 and value > register.last
    if not has_returned or (register.jump is not None and value >= register.jump.value - _JITTER):
        return None
    growth = value - register.start - register.energy
    over = max(0, round(growth - deliverable(register, moment, max_power_w)))
    if growth < -register.step or over > register.slack_left + tolerance:
        return None
    moved = replace(
        _rebased(register, value, moment),
        base=register.start,
        carried=Wh(0),
        slack_left=Wh(max(0, register.slack_left - over)),
        scale_moment=moment,
        resolution=_common_step(register.resolution, value),
    )
    finding = Finding(FindingKind.NEW_SCALE, "counts from meterStart", register.start, value)
    return moved, (finding,)


def _common_step(known: Wh | None, value: Wh | None) -> Wh | None:
    if not value:
        return known
    shared = gcd(known or value, value)
    return Wh(next(step for step in (1000, 100, 10, 1) if shared % step == 0))
