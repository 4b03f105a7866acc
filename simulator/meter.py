"""The energy of one connector: what truly flows, and what the register of a given brand says of it.

Everything here is a pure function of the simulated time in seconds; nothing reads a clock.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

WH_PER_UNIT = {"Wh": 1.0, "kWh": 1000.0}


class RegisterKind(StrEnum):
    """Whether the register counts on for ever or starts at 0 with each session."""

    LIFETIME = "lifetime"
    SESSION = "session"


class FaultKind(StrEnum):
    """What a meter can do to its register in mid-session."""

    RESTART = "restart"
    """Loses its state: counts on from 0, for good."""
    TIMES_1000 = "times-1000"
    """Shows a thousand times the value, as one that mistakes Wh for kWh."""
    ZERO = "zero"
    """Shows 0 for a moment, then the right value again."""


@dataclass(frozen=True, slots=True)
class MeterFault:
    """A scripted fault: begins `after_s` seconds into the session and lasts `duration_s` (a restart: for ever)."""

    kind: FaultKind
    after_s: float
    duration_s: float = 60.0


@dataclass(frozen=True, slots=True)
class _Segment:
    """From `start_s` on power goes from `from_w` to `to_w` in `ramp_s` and stays; `energy_wh` had flowed before."""

    start_s: float
    energy_wh: float
    from_w: float
    to_w: float
    ramp_s: float

    def power_w(self, at_s: float) -> float:
        elapsed = at_s - self.start_s
        if elapsed >= self.ramp_s:
            return self.to_w
        return self.from_w + (self.to_w - self.from_w) * elapsed / self.ramp_s

    def total_wh(self, at_s: float) -> float:
        elapsed = at_s - self.start_s
        ramped = min(elapsed, self.ramp_s)
        ramp_ws = (self.from_w + self.power_w(self.start_s + ramped)) / 2 * ramped
        return self.energy_wh + (ramp_ws + self.to_w * (elapsed - ramped)) / 3600

    def seconds_until(self, total_wh: float) -> float:
        """Seconds from the segment's start until that much energy has flowed in all, or infinity."""
        missing_ws = (total_wh - self.energy_wh) * 3600
        if missing_ws <= 0:
            return 0.0
        at_ramp_end_ws = (self.from_w + self.to_w) / 2 * self.ramp_s
        if missing_ws > at_ramp_end_ws:
            return self.ramp_s + (missing_ws - at_ramp_end_ws) / self.to_w if self.to_w > 0 else math.inf
        slope = (self.to_w - self.from_w) / self.ramp_s
        # The root of slope/2·t² + from_w·t = missing_ws that stays sound for a slope near 0.
        return 2 * missing_ws / (self.from_w + math.sqrt(self.from_w**2 + 2 * slope * missing_ws))


class PowerHistory:
    """The power of a connector over time, and the true energy (Wh) that follows from it."""

    def __init__(self, start_s: float = 0.0) -> None:
        self._segments = [_Segment(start_s, 0.0, 0.0, 0.0, 0.0)]

    def set_power(self, at_s: float, power_w: float, ramp_s: float = 0.0) -> None:
        """From `at_s` on the power goes to `power_w`, in a straight line of `ramp_s` seconds."""
        at_s = max(at_s, self._segments[-1].start_s)
        self._segments.append(_Segment(at_s, self.energy_wh(at_s), self.power_w(at_s), power_w, ramp_s))

    def power_w(self, at_s: float) -> float:
        """The power at that time in W."""
        return self._segment(at_s).power_w(at_s)

    def energy_wh(self, at_s: float) -> float:
        """The energy in Wh that had flowed by that time since the history began."""
        return self._segment(at_s).total_wh(at_s)

    def time_of_wh(self, total_wh: float) -> float:
        """When, at the power set last, that much energy will have flowed in all; infinity if never."""
        last = self._segments[-1]
        return last.start_s + last.seconds_until(total_wh)

    def _segment(self, at_s: float) -> _Segment:
        for segment in reversed(self._segments):
            if segment.start_s <= at_s:
                return segment
        return _Segment(at_s, 0.0, 0.0, 0.0, 0.0)


@dataclass(slots=True)
class RegisterModel:
    """What a brand's register shows: its kind, its unit, its step, and the faults scripted for it."""

    history: PowerHistory
    kind: RegisterKind = RegisterKind.LIFETIME
    unit: str = "Wh"
    step_wh: float = 1.0
    lifetime_wh: float = 0.0
    power_scale: float = 1.0
    faults: tuple[MeterFault, ...] = ()
    session_start_s: float | None = None

    def begin_session(self, at_s: float) -> None:
        """A session begins: a session register starts at 0, and the scripted faults count from here."""
        if self.session_start_s is not None and self.kind is RegisterKind.LIFETIME:
            # A restart inside an earlier session stays: the meter did lose its count.
            self.lifetime_wh = self._unfaulted_wh(at_s) - self.history.energy_wh(at_s)
        self.session_start_s = at_s

    def register_wh(self, at_s: float) -> float:
        """The register in Wh, whatever its unit, in whole steps."""
        value = self._unfaulted_wh(at_s)
        for fault in self._active_faults(at_s):
            if fault.kind is FaultKind.TIMES_1000:
                value *= 1000
            elif fault.kind is FaultKind.ZERO:
                value = 0.0
        # A trillionth of a step, else 3 × 0.1 kWh of float noise would be 2 steps.
        return math.floor(value / self.step_wh + 1e-9) * self.step_wh

    def sample_text(self, at_s: float) -> str:
        """The register as a sampled value in the brand's unit, with the decimals its step needs."""
        per_unit = WH_PER_UNIT[self.unit]
        decimals = max(0, math.ceil(-math.log10(self.step_wh / per_unit) - 1e-9))
        return f"{self.register_wh(at_s) / per_unit:.{decimals}f}"

    def whole_units(self, at_s: float) -> int:
        """The register as meterStart or meterStop: an integer in the brand's unit."""
        return math.floor(self.register_wh(at_s) / WH_PER_UNIT[self.unit] + 1e-9)

    def power_text(self, at_s: float) -> str:
        """The power as the brand reports it, in its idea of W."""
        return f"{self.history.power_w(at_s) * self.power_scale:.1f}"

    def _unfaulted_wh(self, at_s: float) -> float:
        energy_wh = self.history.energy_wh(at_s)
        restarts = [fault for fault in self._active_faults(at_s) if fault.kind is FaultKind.RESTART]
        if restarts:
            last = max(restarts, key=lambda fault: fault.after_s)
            return energy_wh - self.history.energy_wh((self.session_start_s or 0.0) + last.after_s)
        if self.kind is RegisterKind.LIFETIME:
            return self.lifetime_wh + energy_wh
        start_s = self.session_start_s
        return 0.0 if start_s is None else energy_wh - self.history.energy_wh(start_s)

    def _active_faults(self, at_s: float) -> list[MeterFault]:
        if self.session_start_s is None:
            return []
        elapsed = at_s - self.session_start_s
        return [
            fault
            for fault in self.faults
            if fault.after_s <= elapsed
            and (fault.kind is FaultKind.RESTART or elapsed < fault.after_s + fault.duration_s)
        ]
