"""Which readings of a register are trusted, and how much energy they prove (accounting rules 1, 2, 4, 5, 8)."""

from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from register_streams import (
    ANY_VALUE,
    IGNORED,
    LIFETIME,
    MAX_POWER_W,
    NEW_SCALE,
    SET_ASIDE,
    START_UNIT,
    STARTS,
    STEPS,
    TEN_INTERVALS,
    UNIT,
    at,
    grown,
    intervals,
    observed,
    started,
    without_clock,
)

from ocpp_server.core.energy import EnergyUnit, Wh
from ocpp_server.core.period import Moment
from ocpp_server.core.register import (
    SLACK,
    FindingKind,
    begin,
    continues,
    deliverable,
    observe,
    observe_interval,
)


@dataclass(frozen=True)
class Session:
    """Readings (second, Wh) after meterStart, the Wh that they prove, and what was odd about them."""

    start: int | None
    readings: tuple[tuple[float, int], ...]
    energy: int
    odd: tuple[FindingKind, ...] = ()


def check(session: Session) -> None:
    register, odd = observed(started(session.start), session.readings)

    assert session.energy == register.energy
    assert session.odd == tuple(odd)


@pytest.mark.parametrize(
    "session",
    [
        pytest.param(Session(793477, ((60, 793656), (120, 793835)), 358), id="EVlink, lifetime"),
        pytest.param(Session(0, ((32, 0), (360, 1000), (700, 2000)), 2000), id="LIVOLTEK, kWh"),
        pytest.param(Session(0, ((60, 200), (120, 400)), 400), id="starts at 0 (ABB, Grizzl-E)"),
        pytest.param(Session(1000, ((60, 1000),), 0), id="stands still until unplug (OpenEVSE)"),
        pytest.param(Session(None, ((60, 5000), (120, 5200)), 200), id="no meterStart: first sample"),
        pytest.param(Session(1234, ((60, 1230), (120, 1300)), 66), id="samples rounded to 10 Wh start lower"),
    ],
)
def test_the_energy_is_the_highest_trusted_register_minus_the_start(session: Session) -> None:
    """Highest trusted register - start register; a sane stop settles, downward too by one step (rules 1, 4, 7)."""
    check(session)


@pytest.mark.parametrize(
    "session",
    [
        pytest.param(
            Session(0, ((60, 793477), (120, 793656)), 179, (NEW_SCALE,)),
            id="lifetime samples, start 0 (Iocharger, Alfen, FoxESS): the first sample is the base",
        ),
        pytest.param(
            Session(500_000, ((60, 200), (120, 400), (180, 600)), 400, (IGNORED, NEW_SCALE)),
            id="lifetime start, samples of the session (Grizzl-E): the growth of the samples",
        ),
        pytest.param(
            Session(50_000, ((60, 60), (120, 160)), 100, (IGNORED, NEW_SCALE)),
            id="a small sample of the session is no proof that meterStart was in Wh",
        ),
        pytest.param(
            Session(
                500_000,
                ((60, 500_200), (120, 400), (180, 500_600), (240, 800), (300, 501_000)),
                1000,
                (IGNORED, IGNORED),
            ),
            id="lifetime and session readings take turns",
        ),
        pytest.param(
            Session(500_000, ((60, 200), (120, 400), (180, 500_600)), 600, (IGNORED, NEW_SCALE, NEW_SCALE)),
            id="back to the lifetime register, which is no thousandfold of the session's",
        ),
        pytest.param(
            Session(100_000, ((60, 100_200), (120, 5), (180, 205)), 400, (IGNORED, NEW_SCALE)),
            id="restarted at zero: what was booked plus the growth",
        ),
        pytest.param(
            Session(0, ((60, 900), (120, 1800), (180, 100), (240, 900)), 2600, (IGNORED, NEW_SCALE)),
            id="a session's register restarted in the session",
        ),
        pytest.param(
            Session(0, ((400, 1000), (800, 2000), (832, 0), (864, 0), (1200, 1000)), 3000, (IGNORED, NEW_SCALE)),
            id="a register of whole kWh restarted, and showed 0 for a while",
        ),
        pytest.param(
            Session(297_390, ((60, 298_490), (120, 0), (180, 298)), 1398, (IGNORED, NEW_SCALE)),
            id="restarted at zero, and by chance a thousandth of the old register",
        ),
        pytest.param(
            Session(0, ((60, 990_000), (120, 400), (180, 600)), 600, (NEW_SCALE, IGNORED, NEW_SCALE)),
            id="the first sample was nonsense",
        ),
    ],
)
def test_a_register_may_live_on_several_scales(session: Session) -> None:
    """Lifetime or session registers, both in one charge point, restarts: base, growth, and the stop (rule 4;
    Grizzl-E, Iocharger, Alfen, FoxESS, meters that lose state).
    """
    check(session)


@pytest.mark.parametrize(
    "session",
    [
        pytest.param(Session(100_000, ((60, 100_200), (120, 0), (180, 100_600)), 600, (IGNORED,)), id="a momentary 0"),
        pytest.param(
            Session(100_000, ((60, 100_200), (90, 0), (120, 0), (150, 0), (180, 100_600)), 600, (IGNORED,)),
            id="0 for a while is noted once",
        ),
        pytest.param(
            Session(100_000, ((60, 100_200), (90, 0), (120, 3), (180, 100_600)), 600, (IGNORED, NEW_SCALE, NEW_SCALE)),
            id="0, then nonsense that grows, then back (Wallbox Pulsar Plus, ABB)",
        ),
        pytest.param(Session(100_000, ((60, 100_200), (120, 100_195)), 200), id="jitter of a few Wh"),
        pytest.param(
            Session(100_000, ((60, 100_200), (65, 999_999), (120, 100_400)), 400, (SET_ASIDE,)), id="a spike and back"
        ),
        pytest.param(
            Session(100_000, ((10, 101_200), (15, 101_500), (60, 101_300)), 1300, (SET_ASIDE,)),
            id="a small spike after the slack was used up, and back",
        ),
        pytest.param(
            Session(
                100_000,
                ((60, 100_200), (65, 200_000), (120, 200_100), (180, 100_600), (240, 100_800)),
                800,
                (SET_ASIDE, NEW_SCALE, IGNORED, NEW_SCALE),
            ),
            id="a spike of two readings, and back",
        ),
        pytest.param(
            Session(100_000, ((10, 100_900), (60, 100_050), (120, 100_100)), 100, (IGNORED, NEW_SCALE)),
            id="a spike that the slack let pass, and back: nobody pays for it",
        ),
        pytest.param(
            Session(100_000, ((60, 100_200), (62, 105_000), (120, 105_100)), 300, (SET_ASIDE, NEW_SCALE)),
            id="a jump that stays: the jump waits, the growth counts",
        ),
        pytest.param(
            Session(100_000, ((60, 100_200), (62, 105_000), (7200, 104_500)), 4500, (SET_ASIDE,)),
            id="lower than the jump by more than its jitter: the jump never was",
        ),
        pytest.param(
            Session(100_000, ((60, 100_200), (62, 105_000), (64, 109_000)), 200, (SET_ASIDE, SET_ASIDE)),
            id="two jumps are two decisions",
        ),
    ],
)
def test_what_could_not_be_delivered_is_not_booked(session: Session) -> None:
    """Spikes, momentary zeros and jumps (rule 5)."""
    check(session)


@pytest.mark.parametrize(
    "session",
    [
        pytest.param(
            Session(100_000, ((60, 100_200), (120, 100_400_000), (180, 100_600)), 600, (UNIT,)),
            id="a reading times 1000",
        ),
        pytest.param(
            Session(100_000, ((60, 100_200), (120, 100), (180, 100_600)), 600, (UNIT,)), id="a reading in whole kWh"
        ),
        pytest.param(
            Session(100_000, ((60, 100_200), (120, 101)), 1000, (UNIT,)), id="a reading in kWh that has grown"
        ),
        pytest.param(
            Session(5_000, ((60, 5_200), (120, 5)), 200, (IGNORED,)),
            id="not on a register of 10,000 or less: 5 is a momentary nonsense",
        ),
        pytest.param(
            Session(0, ((60, 200), (120, 1_700_000)), 200, (SET_ASIDE,)),
            id="no thousandfold of what only the slack would let pass",
        ),
        pytest.param(
            Session(500, ((60, 500_100), (120, 500_300)), 300, (START_UNIT,)),
            id="meterStart in kWh, samples in Wh (KEBA P30)",
        ),
        pytest.param(
            Session(793_477_000, ((60, 793_600), (120, 793_700)), 223, (START_UNIT,)),
            id="meterStart was in Wh after all",
        ),
        pytest.param(
            Session(1, ((60, 1_100), (120, 2_200), (180, 2_900)), 2899), id="a start of 1 kWh that could have been 1 Wh"
        ),
    ],
)
def test_a_factor_of_1000_that_fits_power_and_time_is_a_unit_mistake(session: Session) -> None:
    """A step of x1000 or /1000 that fits is read as the mistake it is; start and stop have no unit (rules 3 and 5)."""
    check(session)


def test_the_proven_unit_of_meter_start_is_told() -> None:
    """Evidence of the charge point, by the first sample (rule 3)."""
    kwh, _ = observed(started(500), [(60, 500_100)])
    wh, _ = observed(started(793_477_000), [(60, 793_600)])
    right, _ = observed(started(500), [(60, 600)])

    assert (kwh.start, kwh.start_unit) == (500_000, EnergyUnit.KWH)
    assert (wh.start, wh.start_unit) == (793_477, EnergyUnit.WH)
    assert (right.start, right.start_unit) == (500, None)


@pytest.mark.parametrize(
    ("candidates", "energy"),
    [
        pytest.param((1200, 0), 200, id="twice, one of them 0 (MicroOcpp)"),
        pytest.param((1300, 1200), 300, id="the larger one"),
        pytest.param((900_000, 1200), 200, id="the larger one is not sane"),
    ],
)
def test_of_several_registers_in_one_list_the_largest_sane_one_counts(candidates: tuple[int, ...], energy: int) -> None:
    """The same register twice in one list (rule 2; MicroOcpp#128)."""
    register, findings = observe(started(1000), tuple(map(Wh, candidates)), at(60), MAX_POWER_W)
    again, _ = observe(register, tuple(map(Wh, candidates)), at(60, received=90), MAX_POWER_W)

    assert energy == register.energy
    assert findings == ()
    assert again == register


@pytest.mark.parametrize(
    ("seconds", "value", "is_booked"),
    [
        pytest.param(60, 1250 + 1000, True, id="50 kW x 1.5 and the slack"),
        pytest.param(60, 1250 + 1001, False, id="a Wh more"),
        pytest.param(3600, 75_000 + 1000, True, id="after an hour"),
        pytest.param(3600, 75_000 + 1001, False, id="a Wh more after an hour"),
        pytest.param(0, 1000, True, id="in no time, the slack alone"),
        pytest.param(0, 1001, False, id="a Wh more in no time"),
    ],
)
def test_a_step_is_bounded_by_power_and_time(seconds: float, value: int, is_booked: bool) -> None:
    """Maximum power x elapsed time x 1.5, plus 1 kWh of slack (rule 5)."""
    register, odd = observed(started(500_000), [(seconds, 500_000 + value)])

    assert register.energy == (value if is_booked else 0)
    assert odd == ([] if is_booked else [SET_ASIDE])


@pytest.mark.parametrize(
    ("readings", "slack_left"),
    [
        pytest.param([(60, 501_650)], 600, id="a step takes what it needs"),
        pytest.param([(60, 501_650), (120, 503_300)], 200, id="and the next one"),
        pytest.param([(60, 501_250)], 1000, id="a step that fits takes nothing"),
        pytest.param([(60, 500_200), (61, 600_000), (121, 601_850)], 400, id="also on a new scale"),
    ],
)
def test_the_slack_is_given_once(readings: list[tuple[float, int]], slack_left: int) -> None:
    """1 kWh of slack once per transaction (rule 5)."""
    register, _ = observed(started(500_000), readings)

    assert slack_left == register.slack_left


def test_a_return_to_the_start_scale_takes_from_the_slack_too() -> None:
    """1 kWh of slack once per transaction, whatever way the register takes (rule 5)."""
    register, odd = observed(started(500_000), [(60, 200), (120, 400), (180, 501_850)])

    assert register.energy == 1850
    assert register.slack_left == 600
    assert odd == [IGNORED, NEW_SCALE, NEW_SCALE]


def test_nothing_set_aside_comes_back_by_a_return_to_the_start_scale() -> None:
    """Time alone never releases what was set aside, not even twice (rule 5)."""
    readings = [(60, 500_200), (61, 503_500), (121, 503_600), (122, 508_000), (7200, 508_000)]

    register, odd = observed(started(500_000), readings)

    assert register.energy == 300
    assert odd == [SET_ASIDE, NEW_SCALE, SET_ASIDE]


def test_a_coarse_register_may_jump_by_one_step_since_its_last_increase() -> None:
    """LIVOLTEK: whole kWh, a sample each 32 s; a larger step must have happened since the last reading (rules 5, 8)."""
    waiting, _ = observed(started(0), [(32, 0), (400, 1000), (432, 1000), (464, 1000)])

    assert deliverable(waiting, at(465), MAX_POWER_W) == 1000
    assert deliverable(waiting, at(404), MAX_POWER_W) < 1000
    assert deliverable(waiting, at(464 + 96), MAX_POWER_W) == 2000


def waited(moment: Moment) -> Moment:
    """Told after two hours without a connection."""
    return replace(moment, earliest=moment.received - timedelta(hours=2))


@pytest.mark.parametrize(
    ("stamps", "energy"),
    [
        pytest.param([at(60, 7200), at(3660, 7200)], 40_000, id="a queue that comes in a burst"),
        pytest.param([without_clock(60), without_clock(3660)], 40_000, id="no stamps: the receipt"),
        pytest.param([without_clock(60, 0), without_clock(3660, 0)], 40_000, id="always 1970: the receipt"),
        pytest.param(
            [waited(without_clock(7200, 60)), waited(without_clock(7200, 3660))],
            40_000,
            id="a clock since 1970, in a burst after two hours offline",
        ),
        pytest.param(
            [without_clock(7200, 60), without_clock(7200, 3660)], 500, id="a clock since 1970 that jumps an hour"
        ),
        pytest.param([without_clock(60, 0), at(3660)], 40_000, id="the clock was set in between"),
        pytest.param([at(60), at(61)], 500, id="40 kWh in a second are set aside"),
        pytest.param([at(60), at(60, received=3660)], 500, id="the same stamp again, an hour later, too"),
    ],
)
def test_elapsed_time_is_by_the_samples_own_stamps(stamps: list[Moment], energy: int) -> None:
    """Queues come in a burst; without a clock the receipt counts (rules 5 and 9; MicroOcpp, AcTEC)."""
    register = started(100_000)
    for moment, value in zip(stamps, (100_500, 140_000), strict=True):
        register, _ = observe(register, (Wh(value),), moment, MAX_POWER_W)

    assert energy == register.energy


def test_a_restart_is_seen_without_a_clock_too() -> None:
    """Always 1970: order and time by the receipt (rules 4 and 9)."""
    register = begin(Wh(100_000), without_clock(0, 0))
    for seconds, value in ((60, 100_200), (120, 0), (180, 300)):
        register, _ = observe(register, (Wh(value),), without_clock(seconds, 0), MAX_POWER_W)

    assert register.energy == 500


def test_a_reading_as_old_as_the_start_that_is_lower_is_ignored() -> None:
    """A message that overtook StartTransaction proves nothing (rule 1)."""
    register, odd = observed(started(100_000), [(0, 50)])

    assert register == started(100_000)
    assert odd == []


def test_late_readings_of_a_scale_that_was_left_change_nothing() -> None:
    """Duplicates and reordering change nothing, also across a restart of the meter (rules 1 and 4)."""
    register, _ = observed(started(0), [(60, 500), (120, 900), (180, 0), (240, 100)])
    late, odd = observed(register, [(60, 500), (120, 900), (180, 0), (240, 100)])

    assert late == register
    assert late.energy == 1000
    assert odd == []


def test_a_set_clock_does_not_stop_the_books() -> None:
    """A clock that was put back: the register still grows, by our time (rule 9)."""
    register, odd = observed(started(100_000), [(3600, 100_500)])
    register, findings = observe(register, (Wh(100_900),), at(60, received=3660), MAX_POWER_W)
    register, more = observe(register, (Wh(101_300),), at(120, received=3720), MAX_POWER_W)

    assert register.energy == 1300
    assert [*odd, *findings, *more] == []


@pytest.mark.parametrize(
    ("readings", "power_w"),
    [
        pytest.param([(60, 100_179)], 10_740, id="EVlink: 179 Wh in 60 s, its own power is 0.0"),
        pytest.param([(60, 100_179), (120, 100_179)], 60, id="no more than a step in the time since"),
        pytest.param([(0, 100_000)], None, id="nothing is known in no time"),
        pytest.param([(60, 100_000)], None, id="nor before it first moves"),
        pytest.param([(60, 100_179), (60, 100_200)], 10_740, id="two readings with one stamp"),
        pytest.param([(60, 100_200), (120, 5), (180, 205)], 12_000, id="on a new scale: its own growth"),
    ],
)
def test_power_is_derived_from_the_last_increase(readings: list[tuple[float, int]], power_w: int | None) -> None:
    """If missing or zero while energy flows, derive it from energy and time (rule 6)."""
    register, _ = observed(started(100_000), readings)

    assert power_w == register.power_w


def test_power_of_a_coarse_register_sinks_while_it_waits() -> None:
    """LIVOLTEK at 10.4 kW: one step in 346 s; after ten minutes without one it is at most 6 kW (rules 6, 8)."""
    moving, _ = observed(started(0), [(32, 0), (378, 1000), (724, 2000)])
    waiting, _ = observed(moving, [(756, 2000), (1324, 2000)])

    assert moving.power_w == 10_405
    assert waiting.power_w == 6000


@pytest.mark.parametrize(
    ("start", "readings", "step"),
    [
        pytest.param(793_477, [], 1, id="meterStart alone"),
        pytest.param(5_000, [], 1000, id="meterStart of whole kWh"),
        pytest.param(0, [], 1, id="nothing is known"),
        pytest.param(None, [], 1, id="nothing at all"),
        pytest.param(0, [(60, 0), (400, 1000), (800, 2000)], 1000, id="LIVOLTEK"),
        pytest.param(793_477, [(60, 793_600), (120, 793_700)], 100, id="samples are coarser than meterStart"),
        pytest.param(793_477, [(60, 793_600), (120, 793_710)], 10, id="tens of Wh"),
        pytest.param(5_000, [(60, 5_179)], 1, id="single Wh"),
        pytest.param(100_000, [(60, 100_179), (120, 1000), (180, 2000)], 1000, id="of the present scale"),
    ],
)
def test_the_resolution_of_the_samples_is_known(
    start: int | None, readings: list[tuple[float, int]], step: int
) -> None:
    """Registers in whole kWh lose short sessions: show the resolution; Huawei's samples are coarser than its start and
    stop (rule 8).
    """
    register, _ = observed(started(start), readings)

    assert step == register.step


def test_intervals_are_summed_where_there_is_no_register() -> None:
    """Only where a charge point gives no register at all; a repetition adds nothing (rule 2)."""
    register, odd = intervals(started(0), [(60, 200), (120, 180), (120, 180), (60, 200)])

    assert register.energy == 380
    assert register.power_w == 10_800
    assert odd == []


def test_intervals_are_never_mixed_with_a_register() -> None:
    """Growatt sends both (rule 2)."""
    register, _ = observed(started(1000), [(60, 1200)])
    mixed, odd = intervals(register, [(120, 180)])

    assert mixed == register
    assert odd == []


def test_an_interval_that_could_not_be_delivered_is_set_aside() -> None:
    """The bound of rule 5 holds for intervals too, and the slack is given once."""
    register, odd = intervals(started(0), [(60, 2251), (120, 2250 - 2), (180, 2251)])

    assert odd == [SET_ASIDE, SET_ASIDE]
    assert register.energy == 2248
    assert register.slack_left == 1000


def test_a_second_interval_beyond_the_bound_finds_the_slack_used_up() -> None:
    """1 kWh of slack once per transaction (rule 5)."""
    register, odd = intervals(started(0), [(60, 2200), (120, 2200)])

    assert register.energy == 2200
    assert register.slack_left == 50
    assert odd == [SET_ASIDE]


def test_intervals_without_any_meter_start_count_too() -> None:
    """Never lose a Wh that was delivered: a register that appears later goes on from there (rules 2 and 4)."""
    register, _ = intervals(started(None), TEN_INTERVALS)
    later, _ = observed(register, [(660, 700_000), (720, 700_300)])

    assert register.energy == 5000
    assert later.energy == 5300


def test_a_register_that_appears_after_intervals_takes_over() -> None:
    """Never mixed: the register tells all; its first step is not the energy of the last minute alone (rule 2)."""
    register, _ = intervals(started(700_000), TEN_INTERVALS)
    taken, odd = observed(register, [(660, 705_200)])

    assert taken.energy == 5200
    assert taken.power_w == 12_000
    assert odd == []


def test_a_lifetime_register_after_intervals_and_a_start_of_0_keeps_what_was_told() -> None:
    """The first real sample sets the base; what was booked stays (rules 2 and 4)."""
    register, _ = intervals(started(0), TEN_INTERVALS)
    taken, odd = observed(register, [(660, 705_200), (720, 705_400)])

    assert taken.energy == 5200
    assert odd == [NEW_SCALE]


@pytest.mark.parametrize(
    ("start", "value", "answer"),
    [
        pytest.param(1000, 1300, True, id="grown"),
        pytest.param(1000, 1195, True, id="jitter"),
        pytest.param(1000, 1000, False, id="another one's lower register"),
        pytest.param(1000, 900_000, False, id="another one's higher register"),
        pytest.param(None, 5, True, id="nothing is known of it yet"),
    ],
)
def test_a_reading_without_an_id_has_to_continue_the_register(start: int | None, value: int, answer: bool) -> None:
    """The open transaction of that connector, if the register continues its scale (rule 21)."""
    register = started(start)
    if start is not None:
        register, _ = observed(register, [(60, 1200)])

    assert continues(register, Wh(value), at(120), MAX_POWER_W) is answer


@settings(deadline=None)
@given(STARTS, STEPS)
def test_every_honest_stream_is_booked_to_the_wh(start: int, steps: list[int]) -> None:
    """EVlink-like lifetime registers and session registers in Wh, nothing odd noted (rules 1 and 5)."""
    register, odd = observed(started(start), grown(start, steps))

    assert register.energy == sum(steps)
    assert odd == []


@settings(deadline=None)
@given(STARTS, STEPS, st.data())
def test_duplicates_replays_and_reordering_change_nothing(start: int, steps: list[int], data: Any) -> None:
    """Highest trusted register - start register (rule 1)."""
    readings = grown(start, steps)
    shuffled = data.draw(st.permutations(readings + data.draw(st.lists(st.sampled_from(readings), max_size=10))))

    register, odd = observed(started(start), shuffled)
    replayed, odd_again = observed(register, readings)

    assert register.energy == replayed.energy == sum(steps)
    assert odd == odd_again == []


@settings(deadline=None, max_examples=60)
@given(
    st.just(0) | st.integers(0, 900).map(lambda kwh: kwh * 1000),
    st.integers(0, 999),
    st.lists(st.tuples(st.integers(0, 50_000), st.integers(1, 60)), min_size=5, max_size=12),
)
def test_a_register_of_whole_kwh_ends_within_one_step_and_sets_nothing_aside(
    start: int, hidden: int, phases: list[tuple[int, int]]
) -> None:
    """LIVOLTEK-like: 32 s samples over hours, any power up to 50 kW, pauses too (rules 5 and 8)."""
    powers = [power for power, samples in phases for _ in range(samples)]
    true = list(accumulate((power * 32 / 3600 for power in powers), initial=float(start + hidden)))[1:]
    readings = [(32 * number, int(value // 1000) * 1000) for number, value in enumerate(true, 1)]

    register, odd = observed(started(start), readings)

    assert SET_ASIDE not in odd
    assert odd == []
    assert abs(register.energy - (true[-1] - start - hidden)) < 1000


@settings(deadline=None)
@given(LIFETIME, STEPS, st.integers(0, 10**6), st.integers(5_000, 10**8), st.integers(1, 59))
def test_a_spike_and_a_return_change_nothing(
    start: int, steps: list[int], place: int, height: int, after_s: int
) -> None:
    """A single reading that is too high is set aside and forgotten at the return (rule 5)."""
    readings = grown(start, steps)
    index = place % len(readings)
    seconds, value = readings[index]
    spiked = [
        *readings[: index + 1],
        (seconds + after_s, value + height),
        *readings[index + 1 :],
        (1e4, start + sum(steps)),
    ]

    register, odd = observed(started(start), spiked)

    assert register.energy == sum(steps)
    assert odd == [SET_ASIDE]


@settings(deadline=None)
@given(
    STARTS,
    st.lists(st.integers(100, 833), min_size=10, max_size=20),
    st.lists(st.integers(1, 833), min_size=1, max_size=10),
    st.integers(1, 5),
    st.booleans(),
)
def test_a_restart_at_zero_keeps_what_was_booked_and_counts_the_new_scale(
    start: int, steps: list[int], growth: list[int], zeros: int, is_replayed: bool
) -> None:
    """What was booked plus the growth on the new scale, whatever is repeated (rules 1 and 4)."""
    before = grown(start, steps)
    restarted = [*[0] * zeros, *list(accumulate(growth, initial=0))[1:]]
    after = [(60 * number, value) for number, value in enumerate(restarted, len(steps) + 1)]

    register, odd = observed(started(start), [*before, *after])
    if is_replayed:
        register, _ = observed(register, [*before, *after])

    assert register.energy == sum(steps) + sum(growth)
    assert odd == [IGNORED, NEW_SCALE]


@settings(deadline=None)
@given(
    LIFETIME,
    st.integers(2_000, 10**7),
    st.lists(st.tuples(st.integers(1, 10**5), st.none() | st.integers(0, 500)), min_size=1, max_size=12),
)
def test_time_alone_never_releases_what_was_set_aside(
    start: int, height: int, later: list[tuple[int, int | None]]
) -> None:
    """Set aside until the administrator accepts it, whatever momentary zeros come between (rule 5)."""
    jump = start + 100 + height
    seconds, value = 61.0, jump
    register, _ = observed(started(start), [(60, start + 100), (seconds, jump)])
    for pause, growth in later:
        seconds += pause
        value += growth or 0
        register, _ = observed(register, [(seconds, 0 if growth is None else value)])
        assert register.energy <= 100 + value - jump

    assert register.energy >= 100


ANY_READINGS = st.lists(
    st.tuples(st.integers(-600, 7200), st.lists(ANY_VALUE, min_size=1, max_size=3, unique=True)), max_size=15
)


@settings(deadline=None, max_examples=400)
@given(st.none() | ANY_VALUE, ANY_READINGS, st.sampled_from([4_000, 50_000, 400_000]))
def test_energy_is_never_negative_whatever_comes(
    start: int | None,
    readings: list[tuple[int, list[int]]],
    max_power_w: int,
) -> None:
    """A charge point that lies, jumps and has no order (rules 1 and 5)."""
    register = begin(None if start is None else Wh(start), at(0))
    for seconds, values in readings:
        candidates = tuple(Wh(value) for value in sorted(values, reverse=True))
        register, _ = observe(register, candidates, at(seconds), max_power_w)
        assert register.energy >= 0
        register, _ = observe_interval(register, candidates[-1], at(seconds), max_power_w)
        assert register.energy >= 0


@settings(deadline=None, max_examples=400)
@given(
    st.none() | ANY_VALUE,
    st.lists(st.tuples(st.integers(1, 600), ANY_VALUE), max_size=15),
)
def test_no_lie_books_more_than_could_be_delivered(start: int | None, readings: list[tuple[int, int]]) -> None:
    """Never charge a person for a Wh that was not proven: the bound of rule 5 holds for the whole session."""
    register, seconds = started(start), 0
    for step_s, value in readings:
        seconds += step_s
        register, _ = observe(register, (Wh(value),), at(seconds), MAX_POWER_W)
        assert register.energy <= MAX_POWER_W * 1.5 / 3600 * seconds + SLACK + 1


def test_a_register_is_a_value() -> None:
    """Observing gives a new register and leaves the old one alone."""
    register = started(1000)
    observed(register, [(60, 1200)])

    assert register == replace(started(1000))
    assert register.energy == 0


def test_a_reading_that_was_set_aside_says_nothing_when_a_queue_brings_it_again() -> None:
    """Its stamp lies before the newest one, so time counts by receipt; yet the register was seen below it (rule 5)."""
    register, _ = observed(started(100_000), [(60, 100_300), (120, 160_300), (180, 100_600)])
    again = at(120, received=50_000)

    assert observe(register, (Wh(160_300),), again, MAX_POWER_W) == (register, ())
    assert not continues(register, Wh(160_300), again, MAX_POWER_W)
    assert [candidate.value for candidate in register.doubted] == [160_300]


def test_an_interval_that_was_set_aside_says_nothing_when_it_comes_again() -> None:
    """It would be set aside, and asked about, with every repetition."""
    register, kinds = intervals(started(0), [(60, 300), (120, 60_000), (120, 60_000)])

    assert (kinds, register.energy) == ([SET_ASIDE], 300)


def test_the_newest_twenty_doubtful_readings_are_remembered() -> None:
    """A charge point that tells two registers in turn has a doubtful reading each minute."""
    readings = [reading for n in range(30) for reading in ((120 * n + 60, 100_000 + n), (120 * n + 120, 900_000 + n))]
    register, _ = observed(started(100_000), readings)

    assert [candidate.value for candidate in register.doubted] == [900_000 + n for n in range(10, 30)]
