"""Which of a charge point's sampled values is the energy register, and which the power (accounting rules 2 and 6).

Nothing here knows of transactions: a MeterValue goes in, the register candidates and the power come out.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import TypeVar

from ocpp_server.core.energy import BrandProfile, Wh, parse_number, sample_energy, sample_power
from ocpp_server.core.frozen import dataclass

REGISTER = "energy.active.import.register"
INTERVAL = "energy.active.import.interval"
POWER = "power.active.import"
FREQUENCY = "frequency"

_Number = TypeVar("_Number", bound=int)
_PHASES = {"l1": "l1", "l2": "l2", "l3": "l3", "l1-n": "l1", "l2-n": "l2", "l3-n": "l3"}


@dataclass(frozen=True, slots=True)
class SampledValue:
    """One SampledValue (OCPP 1.6 §7.43). Missing fields are None; `value` is text or a JSON number."""

    value: object
    measurand: str | None = None
    unit: str | None = None
    context: str | None = None
    phase: str | None = None
    location: str | None = None
    format: str | None = None


@dataclass(frozen=True, slots=True)
class MeterValue:
    """One MeterValue (OCPP 1.6 §7.33): a raw time stamp and its samples."""

    timestamp: str
    sampled_values: tuple[SampledValue, ...]


@dataclass(frozen=True, slots=True)
class MeterSample:
    """What one MeterValue says.

    `registers` are the candidates, largest first, never negative. `power_w` is as reported, before any scale.
    """

    timestamp: str
    registers: tuple[Wh, ...] = ()
    interval: Wh | None = None
    power_w: int | None = None
    frequency_hz: Decimal | None = None
    skipped: tuple[str, ...] = ()
    """What could not be read, in words: an anomaly to note, never a zero."""


@dataclass(frozen=True, slots=True)
class _Role:
    """What the labels of a sampled value make of it."""

    measurand: str
    phase: str | None
    """Blank for a total, None for what is no phase."""
    is_of_begin: bool
    is_at_outlet: bool
    is_signed: bool


def read_meter_value(meter_value: MeterValue, profile: BrandProfile) -> MeterSample:
    """Choose register, power and frequency of one MeterValue by rules 2, 3 and 6."""
    skipped: list[str] = []
    by_measurand: dict[str, list[tuple[_Role, SampledValue]]] = {}
    for sampled in meter_value.sampled_values:
        role = _role(sampled.measurand, sampled.context, sampled.phase, sampled.location, sampled.format)
        if role.is_signed:
            skipped.append("signed data")
        elif role.is_at_outlet:
            by_measurand.setdefault(role.measurand, []).append((role, sampled))

    registers = _totals(by_measurand.get(REGISTER, ()), lambda sampled: _energy(sampled, profile, skipped))
    intervals = _totals(by_measurand.get(INTERVAL, ()), lambda sampled: _energy(sampled, profile, skipped))
    powers = _totals(by_measurand.get(POWER, ()), lambda sampled: _power(sampled, skipped))
    frequencies = [parse_number(sampled.value) for _, sampled in by_measurand.get(FREQUENCY, ())]
    return MeterSample(
        timestamp=meter_value.timestamp,
        registers=tuple(sorted(map(Wh, set(registers)), reverse=True)),
        interval=Wh(max(intervals)) if intervals else None,
        power_w=max(powers) if powers else None,
        frequency_hz=next((number for number in frequencies if number is not None), None),
        skipped=tuple(skipped),
    )


@lru_cache(maxsize=1024)
def _role(
    measurand: str | None, context: str | None, phase: str | None, location: str | None, format_: str | None
) -> _Role:
    """Found once: a charge point sends the same labels with each reading."""
    is_at_outlet = _folded(location) in ("", "outlet")
    return _Role(
        measurand=_folded(measurand) or REGISTER,
        phase=_PHASES.get(_folded(phase)) if _folded(phase) else "",
        is_of_begin=_folded(context) == "transaction.begin",
        is_at_outlet=is_at_outlet,
        is_signed=is_at_outlet and _folded(format_) == "signeddata",
    )


def _totals(
    sampled_values: Sequence[tuple[_Role, SampledValue]], convert: Callable[[SampledValue], int | None]
) -> list[int]:
    """Every value without a phase; if there is none, the sum of the phases (one phase alone is the total).

    Another context before Transaction.Begin: some repeat the start register in every frame (Growatt THOR). A phase
    that cannot be read is not zero: then the others are no total.
    """
    totals: list[int] = []
    phases: dict[str, int] = {}
    unread: set[str] = set()
    live = [pair for pair in sampled_values if not pair[0].is_of_begin]
    for role, sampled in live or sampled_values:
        if role.phase is None:
            continue
        value = convert(sampled)
        if value is None:
            unread.add(role.phase)
        elif role.phase:
            phases[role.phase] = max(value, phases.get(role.phase, 0))
        else:
            totals.append(value)
    if totals or not phases or unread - phases.keys() - {""}:
        return totals
    return [sum(phases.values())]


def _energy(sampled: SampledValue, profile: BrandProfile, skipped: list[str]) -> Wh | None:
    number = parse_number(sampled.value)
    wh = None if number is None else sample_energy(number, sampled.unit, profile)
    return _non_negative(wh, sampled, skipped)


def _power(sampled: SampledValue, skipped: list[str]) -> int | None:
    number = parse_number(sampled.value)
    watt = None if number is None else sample_power(number, sampled.unit)
    return _non_negative(watt, sampled, skipped)


def _folded(text: str | None) -> str:
    return text.strip().casefold() if text else ""


def _non_negative(value: _Number | None, sampled: SampledValue, skipped: list[str]) -> _Number | None:
    if value is None or value < 0:
        skipped.append(f"value {str(sampled.value)[:40]!r} unit {sampled.unit!r}")
        return None
    return value
