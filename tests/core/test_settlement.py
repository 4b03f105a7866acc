"""What a StopTransaction proves of a register: what it settles, and what may be added later (rules 4, 5, 7, 20, 22)."""

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from register_streams import (
    ANY_VALUE,
    LIFETIME,
    MAX_POWER_W,
    NEW_SCALE,
    SET_ASIDE,
    STARTS,
    STEPS,
    TEN_INTERVALS,
    UNIT,
    UNPROVEN,
    at,
    grown,
    intervals,
    observed,
    started,
)

from ocpp_server.core.energy import Wh
from ocpp_server.core.register import SLACK, FindingKind, Register, begin, observe, observe_interval
from ocpp_server.core.settlement import capped, raise_stop, settle


@dataclass(frozen=True)
class Session:
    """Readings (second, Wh) after meterStart, meterStop, the Wh that it settles, and what was odd about it."""

    start: int | None
    readings: tuple[tuple[float, int], ...]
    stop: tuple[float, int | None]
    energy: int
    odd: tuple[FindingKind, ...] = ()


def settled(register: Register, seconds: float, meter_stop: int | None) -> tuple[Register, list[FindingKind]]:
    stop = None if meter_stop is None else Wh(meter_stop)
    register, findings = settle(register, stop, at(seconds), MAX_POWER_W)
    return register, [finding.kind for finding in findings]


def check(session: Session) -> None:
    register, _ = observed(started(session.start), session.readings)
    register, odd = settled(register, *session.stop)

    assert session.energy == register.energy
    assert session.odd == tuple(odd)


@pytest.mark.parametrize(
    "session",
    [
        pytest.param(Session(793477, ((60, 793656), (120, 793835)), (150, 793925), 448), id="EVlink, lifetime"),
        pytest.param(Session(0, ((32, 0), (360, 1000), (700, 2000)), (720, 2000), 2000), id="LIVOLTEK, kWh"),
        pytest.param(Session(0, ((60, 200), (120, 400)), (150, 500), 500), id="starts at 0 (ABB, Grizzl-E)"),
        pytest.param(Session(1000, (), (3600, 11000), 10000), id="no samples at all: the stop (Pulsar Pro)"),
        pytest.param(Session(1000, ((60, 1000),), (3600, 1900), 900), id="moves only at unplug (OpenEVSE)"),
        pytest.param(Session(1000, ((60, 1201),), (120, 1200), 200), id="a stop one step lower settles down"),
        pytest.param(Session(1000, ((60, 1201),), (120, 1199), 201, (UNPROVEN,)), id="two steps lower: no"),
        pytest.param(Session(6000, ((400, 7000),), (420, 6000), 0), id="a step of a coarse register is 1 kWh"),
        pytest.param(Session(1000, ((60, 1200),), (120, None), 200, (UNPROVEN,)), id="stop missing or -1"),
        pytest.param(Session(1000, ((60, 1200),), (120, 0), 200, (UNPROVEN,)), id="stop 0 (MicroOcpp)"),
        pytest.param(Session(1000, ((60, 1200),), (120, 999), 200, (UNPROVEN,)), id="stop below the start"),
        pytest.param(Session(1000, (), (120, 999), 0, (UNPROVEN,)), id="1 Wh below the start (Huawei): never < 0"),
        pytest.param(Session(0, (), (120, 0), 0), id="nothing was delivered"),
        pytest.param(Session(None, ((60, 5000), (120, 5200)), (150, 5300), 300), id="no meterStart: first sample"),
        pytest.param(Session(None, (), (150, 5300), 0, (UNPROVEN,)), id="neither meterStart nor samples"),
    ],
)
def test_a_sane_stop_settles_the_energy(session: Session) -> None:
    """meterStop - meterStart, downward too by one step; else the last trusted sample (rules 1, 4, 7)."""
    check(session)


@pytest.mark.parametrize(
    "session",
    [
        pytest.param(
            Session(0, ((60, 793477), (120, 793656)), (150, 793746), 269),
            id="lifetime samples, start 0 (Iocharger, Alfen, FoxESS): the first sample is the base",
        ),
        pytest.param(
            Session(0, ((60, 793477), (120, 793656)), (150, 300), 300, (NEW_SCALE,)),
            id="lifetime samples, start and stop of the session: stop - start",
        ),
        pytest.param(
            Session(500_000, ((60, 200), (120, 400)), (150, 500_480), 480, (NEW_SCALE,)),
            id="lifetime start and stop, samples of the session (Grizzl-E): settled at the stop",
        ),
        pytest.param(
            Session(500_000, ((60, 200), (120, 400), (180, 600)), (210, None), 400, (UNPROVEN,)),
            id="the same without a stop: the growth of the samples",
        ),
        pytest.param(
            Session(50_000, ((60, 60), (120, 160)), (180, 50_260), 260, (NEW_SCALE,)),
            id="a small sample of the session is no proof that meterStart was in Wh",
        ),
        pytest.param(
            Session(500_000, ((60, 200), (120, 300)), (180, 500_420), 420, (NEW_SCALE,)),
            id="a lifetime stop is not a thousandfold of the session's samples",
        ),
        pytest.param(
            Session(100_000, ((60, 100_200), (120, 5), (180, 205)), (210, 305), 500),
            id="restarted at zero: what was booked plus the growth",
        ),
        pytest.param(
            Session(100_000, ((60, 100_200), (120, 5)), (180, 205), 400, (NEW_SCALE,)),
            id="restarted at zero shortly before the stop",
        ),
        pytest.param(
            Session(0, ((60, 990_000), (120, 400), (180, 600)), (200, 700), 700), id="the first sample was nonsense"
        ),
    ],
)
def test_a_stop_may_be_on_another_scale_than_the_samples(session: Session) -> None:
    """Lifetime or session registers, both in one charge point, restarts (rule 4; Grizzl-E, Iocharger, Alfen,
    FoxESS, meters that lose state).
    """
    check(session)


@pytest.mark.parametrize(
    "session",
    [
        pytest.param(
            Session(100_000, ((60, 100_200), (65, 999_999), (120, 100_400)), (150, 100_500), 500), id="a spike and back"
        ),
        pytest.param(
            Session(
                100_000,
                ((60, 100_200), (65, 200_000), (120, 200_100), (180, 100_600), (240, 100_800)),
                (300, 101_000),
                1000,
            ),
            id="a spike of two readings, and back",
        ),
        pytest.param(
            Session(100_000, ((10, 100_900), (60, 100_050), (120, 100_100)), (180, 100_300), 300),
            id="a spike that the slack let pass, and back: nobody pays for it",
        ),
        pytest.param(
            Session(100_000, ((60, 100_200), (62, 105_000), (120, 105_100)), (150, 105_200), 400),
            id="a jump that stays: the jump waits, the growth counts",
        ),
        pytest.param(
            Session(100_000, ((60, 100_200), (62, 105_000)), (122, 105_100), 300, (NEW_SCALE,)),
            id="a jump before the stop: the last interval is booked",
        ),
        pytest.param(
            Session(100_000, ((60, 100_200), (62, 105_000)), (7200, 105_000), 200, (UNPROVEN,)),
            id="a stop at the jump is not noted twice",
        ),
        pytest.param(
            Session(100_000, ((60, 100_200),), (61, 150_000), 200, (SET_ASIDE,)), id="a stop that nobody could deliver"
        ),
        pytest.param(Session(0, (), (3600, 793_477), 0, (SET_ASIDE,)), id="a lifetime stop against a start of 0"),
    ],
)
def test_a_stop_brings_back_nothing_that_could_not_be_delivered(session: Session) -> None:
    """Spikes and jumps before the stop, and stops that are jumps (rule 5)."""
    check(session)


@pytest.mark.parametrize(
    "session",
    [
        pytest.param(
            Session(100_000, ((60, 100_200), (120, 101)), (150, 101_100), 1100), id="a reading in kWh that has grown"
        ),
        pytest.param(
            Session(500, ((60, 500_100), (120, 500_300)), (180, 501), 1000, (UNIT,)),
            id="meterStart and meterStop in kWh, samples in Wh (KEBA P30)",
        ),
        pytest.param(
            Session(793_477_000, ((60, 793_600), (120, 793_700)), (180, 793_800), 323),
            id="meterStart was in Wh after all",
        ),
        pytest.param(Session(500_000, ((60, 500_200),), (120, 500_400_000), 400, (UNIT,)), id="a stop times 1000"),
        pytest.param(
            Session(1, ((60, 1_100), (120, 2_200), (180, 2_900)), (200, 3), 2000, (UNIT,)),
            id="a start of 1 kWh that could have been 1 Wh is found out at the stop",
        ),
        pytest.param(
            Session(500_000, ((60, 500_200),), (120, 501), 1000, (UNIT,)), id="a stop in kWh against a start in Wh"
        ),
        pytest.param(
            Session(0, ((60, 900), (120, 1_900)), (180, 2), 2000, (UNIT,)), id="a stop in kWh against a start of 0"
        ),
        pytest.param(
            Session(0, ((0, 0),), (10, 999_999), 0, (SET_ASIDE,)), id="a thousandfold of nothing is no evidence"
        ),
    ],
)
def test_a_stop_by_a_factor_of_1000_is_a_unit_mistake(session: Session) -> None:
    """Start and stop have no unit: what fits power and time is read as the mistake it is (rules 3 and 5)."""
    check(session)


def test_a_stop_brings_nothing_back_by_a_return_to_the_start_scale() -> None:
    """Time alone never releases what was set aside, not even twice (rule 5)."""
    readings = [(60, 500_200), (61, 503_500), (121, 503_600), (122, 508_000), (7200, 508_000)]

    register, _ = observed(started(500_000), readings)
    stopped, _ = settled(register, 7300, 508_000)

    assert stopped.energy == 300


@pytest.mark.parametrize(
    ("start", "stop", "energy", "odd"),
    [
        pytest.param(700_000, 705_100, 5100, [], id="the stop settles"),
        pytest.param(700_000, 700_000, 5000, [UNPROVEN], id="a register that stood still is no evidence"),
        pytest.param(0, 0, 5000, [UNPROVEN], id="nor is one that shows 0"),
        pytest.param(0, None, 5000, [UNPROVEN], id="nor is none"),
        pytest.param(700_000, 720_000, 5000, [SET_ASIDE], id="more than the intervals and the last minute explain"),
    ],
)
def test_a_stop_after_intervals_settles_where_it_is_sane(
    start: int, stop: int | None, energy: int, odd: list[FindingKind]
) -> None:
    """What the intervals told of is no step in the last minute (rules 2, 4 and 5)."""
    register, _ = intervals(started(start), TEN_INTERVALS)
    stopped, kinds = settled(register, 660, stop)

    assert energy == stopped.energy
    assert odd == kinds


@pytest.mark.parametrize(
    ("value", "energy", "odd"),
    [
        pytest.param(1500, 500, [], id="a higher one adds"),
        pytest.param(1300, 300, [], id="the same changes nothing"),
        pytest.param(1299, 300, [], id="a lower one changes nothing"),
        pytest.param(0, 300, [], id="0 changes nothing"),
        pytest.param(None, 300, [], id="none changes nothing"),
        pytest.param(90_000, 300, [SET_ASIDE], id="one that could not be delivered waits"),
    ],
)
def test_after_the_end_only_a_higher_value_adds(value: int | None, energy: int, odd: list[FindingKind]) -> None:
    """A second stop, or closing samples after it (rules 4 and 20)."""
    register, _ = observed(started(1000), [(60, 1200)])
    stopped, _ = settled(register, 120, 1300)
    raised, findings = raise_stop(stopped, None if value is None else Wh(value), at(150), MAX_POWER_W)

    assert energy == raised.energy
    assert odd == [finding.kind for finding in findings]


def test_time_does_not_release_a_second_stop_that_was_set_aside() -> None:
    """Time alone never releases it, and it is noted once (rule 5)."""
    stopped, _ = settled(started(1000), 60, 1300)
    waiting, _ = raise_stop(stopped, Wh(9000), at(61), MAX_POWER_W)
    later, findings = raise_stop(waiting, Wh(9000), at(7200), MAX_POWER_W)

    assert later.energy == 300
    assert findings == ()


@pytest.mark.parametrize(("highest", "energy"), [(1500, 200), (1200, 200), (1150, 150), (1000, 0), (900, 0)], ids=str)
def test_a_session_ends_where_the_next_one_begins(highest: int, energy: int) -> None:
    """A late stop is capped at the next lifetime meterStart, never below zero (rule 22)."""
    register, _ = observed(started(1000), [(60, 1200)])

    assert energy == capped(register, Wh(highest)).energy
    assert capped(started(None), Wh(highest)) == started(None)


@settings(deadline=None)
@given(STARTS, STEPS)
def test_every_honest_session_is_settled_to_the_wh(start: int, steps: list[int]) -> None:
    """EVlink-like lifetime registers and session registers in Wh: the last interval counts (rules 1, 4 and 7)."""
    register, _ = observed(started(start), grown(start, steps))
    stopped, odd = settled(register, 60 * len(steps) + 30, start + sum(steps) + 400)

    assert stopped.energy == sum(steps) + 400
    assert odd == []


@settings(deadline=None)
@given(
    LIFETIME,
    st.integers(2_000, 10**7),
    st.lists(st.tuples(st.integers(1, 10**5), st.none() | st.integers(0, 500)), min_size=1, max_size=12),
)
def test_no_stop_releases_what_was_set_aside(start: int, height: int, later: list[tuple[int, int | None]]) -> None:
    """Set aside until the administrator accepts it, whatever momentary zeros come between (rule 5)."""
    jump = start + 100 + height
    seconds, value = 61.0, jump
    register, _ = observed(started(start), [(60, start + 100), (seconds, jump)])
    for pause, growth in later:
        seconds += pause
        value += growth or 0
        register, _ = observed(register, [(seconds, 0 if growth is None else value)])
    stopped, _ = settled(register, seconds + 1e5, value)

    assert 100 <= stopped.energy <= 100 + value - jump


ANY_READINGS = st.lists(
    st.tuples(st.integers(-600, 7200), st.lists(ANY_VALUE, min_size=1, max_size=3, unique=True)), max_size=15
)


@settings(deadline=None, max_examples=400)
@given(st.none() | ANY_VALUE, ANY_READINGS, st.none() | ANY_VALUE, ANY_VALUE, st.sampled_from([4_000, 50_000, 400_000]))
def test_settled_energy_is_never_negative_whatever_comes(
    start: int | None,
    readings: list[tuple[int, list[int]]],
    stop: int | None,
    second_stop: int,
    max_power_w: int,
) -> None:
    """A charge point that lies, jumps and has no order (rules 1 and 5)."""
    register = begin(None if start is None else Wh(start), at(0))
    for seconds, values in readings:
        candidates = tuple(Wh(value) for value in sorted(values, reverse=True))
        register, _ = observe(register, candidates, at(seconds), max_power_w)
        register, _ = observe_interval(register, candidates[-1], at(seconds), max_power_w)
    stopped, _ = settle(register, None if stop is None else Wh(stop), at(7200), max_power_w)
    raised, _ = raise_stop(stopped, Wh(second_stop), at(7300), max_power_w)

    assert 0 <= stopped.energy <= raised.energy
    assert 0 <= capped(raised, Wh(second_stop)).energy <= raised.energy


@settings(deadline=None, max_examples=400)
@given(
    st.none() | ANY_VALUE,
    st.lists(st.tuples(st.integers(1, 600), ANY_VALUE), max_size=15),
    st.integers(1, 600),
    ANY_VALUE,
)
def test_no_lie_at_the_stop_books_more_than_could_be_delivered(
    start: int | None, readings: list[tuple[int, int]], pause: int, stop: int
) -> None:
    """Never charge a person for a Wh that was not proven: the bound of rule 5 holds for the whole session, with one
    more slack at the stop.
    """
    register, seconds = started(start), 0
    for step_s, value in readings:
        seconds += step_s
        register, _ = observe(register, (Wh(value),), at(seconds), MAX_POWER_W)
    stopped, _ = settle(register, Wh(stop), at(seconds + pause), MAX_POWER_W)

    assert stopped.energy <= MAX_POWER_W * 1.5 / 3600 * (seconds + pause) + 2 * SLACK + 1


@settings(deadline=None)
@given(LIFETIME, STEPS, st.integers(-2_000, 2_000) | st.integers(-(10**6), 10**6))
def test_a_stop_settles_downward_by_one_register_step_at_most(start: int, steps: list[int], distance: int) -> None:
    """Not below the last trusted sample by more than one register step (rule 4)."""
    register, _ = observed(started(start), grown(start, steps))
    meter_stop = max(0, start + sum(steps) + distance)

    stopped, _ = settled(register, 60 * len(steps) + 60, meter_stop)

    assert stopped.energy >= max(0, register.energy - register.step)


@settings(deadline=None)
@given(STARTS, STEPS, st.none() | ANY_VALUE)
def test_a_stop_repeated_changes_nothing(start: int, steps: list[int], stop: int | None) -> None:
    """A repeated stop is acknowledged and changes nothing (rule 4)."""
    meter_stop = None if stop is None else Wh(stop)
    register, _ = observed(started(start), grown(start, steps))
    stopped, _ = settle(register, meter_stop, at(60 * len(steps) + 60), MAX_POWER_W)

    again, _ = raise_stop(stopped, meter_stop, at(60 * len(steps) + 60, received=10**5), MAX_POWER_W)

    assert again.energy == stopped.energy


def test_a_late_reading_that_was_set_aside_before_is_not_believed_by_receipt() -> None:
    """The register was seen below it; and it asks no more (rule 5)."""
    register, _ = observed(started(100_000), [(60, 100_300), (120, 160_300), (180, 100_600)])

    assert raise_stop(register, Wh(160_300), at(120, received=50_000), MAX_POWER_W) == (register, ())
