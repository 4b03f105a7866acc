"""Streams of readings for the tests of a session's register: moments, sessions as they run, what hypothesis draws."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import accumulate

from hypothesis import strategies as st

from ocpp_server.core.energy import Wh
from ocpp_server.core.period import Moment
from ocpp_server.core.register import FindingKind, Register, begin, observe, observe_interval

BEGIN = datetime(2025, 10, 27, 10, 0, tzinfo=UTC)
MAX_POWER_W = 50_000
"""The default: 1250 Wh a minute with the tolerance of 1.5, and 1000 Wh of slack once."""
IGNORED, SET_ASIDE, NEW_SCALE = FindingKind.IGNORED, FindingKind.SET_ASIDE, FindingKind.NEW_SCALE
UNIT, START_UNIT, UNPROVEN = FindingKind.UNIT_MISTAKE, FindingKind.START_UNIT, FindingKind.UNPROVEN_STOP

Readings = Iterable[tuple[float, int]]
TEN_INTERVALS = [(60 * number, 500) for number in range(1, 11)]
STEPS = st.lists(st.integers(0, 833), min_size=1, max_size=25)
"""Wh in 60 s at 50 kW or less."""
LIFETIME = st.integers(200_000, 2_000_000)
STARTS = st.just(0) | LIFETIME
ANY_VALUE = st.integers(0, 3_000) | st.integers(0, 3_000_000) | st.integers(0, 10**12)


def at(seconds: float, received: float | None = None) -> Moment:
    """A right clock; `received` later than the stamp: it comes from a queue."""
    stamp = BEGIN + timedelta(seconds=seconds)
    return Moment(stamp, stamp, BEGIN + timedelta(seconds=seconds if received is None else received))


def without_clock(received: float, raw: float | None = None) -> Moment:
    """A clock that is none: unreadable, or one that counts (or stands) since 1970."""
    now = BEGIN + timedelta(seconds=received)
    stamp = None if raw is None else datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=raw)
    return Moment(stamp, now, now, is_clock_doubtful=True)


def started(meter_start: int | None) -> Register:
    return begin(None if meter_start is None else Wh(meter_start), at(0))


def observed(register: Register, readings: Readings) -> tuple[Register, list[FindingKind]]:
    kinds: list[FindingKind] = []
    for seconds, value in readings:
        register, findings = observe(register, (Wh(value),), at(seconds), MAX_POWER_W)
        kinds += [finding.kind for finding in findings]
    return register, kinds


def intervals(register: Register, values: Readings) -> tuple[Register, list[FindingKind]]:
    kinds: list[FindingKind] = []
    for seconds, value in values:
        register, findings = observe_interval(register, Wh(value), at(seconds), MAX_POWER_W)
        kinds += [finding.kind for finding in findings]
    return register, kinds


def grown(start: int, steps: list[int], interval_s: int = 60) -> list[tuple[float, int]]:
    values = list(accumulate(steps, initial=start))[1:]
    return [(interval_s * number, value) for number, value in enumerate(values, 1)]
