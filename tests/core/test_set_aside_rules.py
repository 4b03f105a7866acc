"""`core.set_aside_rules`: what was set aside waits as long as it is missing from the books (rules 4, 5 and 20)."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from site_builder import CHARGE_POINT, OTHER_CHARGE_POINT, SiteBuilder, at, sample, user

from ocpp_server.core import commands as cmd
from ocpp_server.core.records import NoteKind
from ocpp_server.core.set_aside import SetAside, SetAsideKind, SetAsideState
from ocpp_server.core.site import MOST_OPEN_SET_ASIDE
from ocpp_server.core.users import Access

START, TRUSTED, JUMP = 100_000, 100_300, 160_300


def jumped(start: object = START, trusted: int = TRUSTED, jump: int = JUMP) -> tuple[SiteBuilder, int]:
    """A session with a trusted reading at minute 1 and one that was set aside at minute 2."""
    site = SiteBuilder([user("RFID001", None)])
    number = site.begin("RFID001", 0, start)
    site.meter(number, sample(1, trusted))
    site.meter(number, sample(2, jump))
    return site, number


def all_of(site: SiteBuilder) -> dict[int, SetAside]:
    """As they were put last."""
    return {change.set_aside.number: change.set_aside for change in site.changes if hasattr(change, "set_aside")}


def test_a_reading_that_was_set_aside_waits_with_all_that_is_needed_to_book_it() -> None:
    """Rule 5: both readings, the amount, the time since the last trusted one, and why; the note is as it was."""
    site, number = jumped()

    assert site.kinds() == [NoteKind.SET_ASIDE]
    assert site.site.open_set_aside == {
        1: SetAside(
            number=1,
            kind=SetAsideKind.READING,
            at=at(2),
            received_at=at(2),
            charge_point_id=CHARGE_POINT,
            connector_id=1,
            transaction_id=number,
            id_tag="RFID001",
            reason="more than could be delivered",
            figures=(("deliverable_wh", "1250"), ("slack_wh", "1000")),
            before=TRUSTED,
            after=JUMP,
            wh=JUMP - TRUSTED,
            since=at(1),
            is_candidate=True,
        )
    }
    assert site.site.set_aside_of == {number: site.site.open_set_aside}
    assert site.restarted(2) == site.site


def test_the_first_reading_after_the_start_counts_from_the_start() -> None:
    """There is no trusted reading yet."""
    site = SiteBuilder([user("RFID001", None)])
    number = site.begin("RFID001", 0, START)
    site.meter(number, sample(1, JUMP))

    assert [(one.since, one.wh) for one in all_of(site).values()] == [(at(0), JUMP - START)]


def test_nearly_the_same_reading_again_lowers_what_waits() -> None:
    """The smaller of the two is what both show."""
    site, _ = jumped()
    number = next(iter(site.site.open_transactions))
    site.meter(number, sample(3, JUMP - 300))

    (one,) = all_of(site).values()
    assert (one.after, one.wh, one.is_candidate, one.at) == (JUMP - 300, JUMP - 300 - TRUSTED, True, at(2))


Act = Callable[[SiteBuilder, int], object]
WITHDRAWN: dict[str, tuple[Act, str]] = {
    "the register goes on below it": (lambda s, n: s.meter(n, sample(3, TRUSTED + 300)), "went on below it, at 100600"),
    "the stop is at the trusted reading": (lambda s, n: s.stop(n, 3, TRUSTED), "went on below it, at 100300"),
    "another is set aside": (lambda s, n: s.meter(n, sample(3, 900_000)), "from the same register: 2"),
    "a lower one is set aside": (lambda s, n: s.meter(n, sample(3, 140_000)), "from the same register: 2"),
}


@pytest.mark.parametrize(("act", "reason"), WITHDRAWN.values(), ids=WITHDRAWN.keys())
def test_what_later_readings_answer_is_withdrawn(act: Act, reason: str) -> None:
    """Rule 5: nothing of it is missing, so nobody can book it."""
    site, number = jumped()
    act(site, number)

    one = all_of(site)[1]
    assert (one.state, one.decided_by, one.is_candidate) == (SetAsideState.WITHDRAWN, "", False)
    assert reason in one.decision_reason
    assert 1 not in site.site.open_set_aside


def test_a_reading_that_fell_back_was_never_there() -> None:
    """A lower value from which the register goes on, on the same scale."""
    site = SiteBuilder([user("RFID001", None)])
    number = site.begin("RFID001", 0, START)
    site.meter(number, sample(1, START + 100), sample(60, START + 30_000), sample(61, START + 32_000))
    site.meter(number, sample(62, START + 900_000))
    site.meter(number, sample(63, START + 30_500), sample(64, START + 30_900))

    assert site.energy(number) == 30_900
    assert [one.state for one in all_of(site).values()] == [SetAsideState.WITHDRAWN]


def test_a_meter_that_began_anew_leaves_what_was_set_aside_before() -> None:
    """Nothing tells whether it flowed: the person decides."""
    site, number = jumped(start=START, trusted=START + 900)
    site.meter(number, sample(3, 5), sample(4, 200))

    (one,) = all_of(site).values()
    assert (one.state, one.is_candidate, one.wh) == (SetAsideState.OPEN, False, JUMP - START - 900)


def test_a_return_to_meter_start_answers_all_of_the_session() -> None:
    """The register between start and stop holds whatever flowed."""
    site = SiteBuilder([user("RFID001", None)])
    number = site.begin("RFID001", 0, START)
    site.meter(number, sample(1, 50), sample(2, 400))
    site.meter(number, sample(3, 70_000), sample(4, 70_300))
    assert all_of(site)[1].is_open
    energy = site.energy(number)
    site.stop(number, 5, START + energy + 200)

    assert site.energy(number) == energy + 200
    assert [one.state for one in all_of(site).values()] == [SetAsideState.WITHDRAWN]
    assert all_of(site)[1].decision_reason == "the register counts from meterStart again: it holds all that flowed"


def test_a_meter_start_that_is_read_anew_answers_all_of_the_session() -> None:
    """In another unit it says something else of what flowed (rule 3)."""
    site = SiteBuilder([user("RFID001", None)])
    number = site.begin("RFID001", 0, 100)
    site.meter(number, sample(1, 40_000_000))
    site.meter(number, sample(2, 100_400))

    assert site.energy(number) == 400
    assert [one.decision_reason for one in all_of(site).values()] == [
        "meterStart was read anew, and with it all that flowed"
    ]


def interval(minutes: float, wh: int):  # type: ignore[no-untyped-def]
    """A MeterValue of a charge point that gives no register."""
    value = sample(minutes, wh)
    (sampled,) = value.sampled_values
    return replace(value, sampled_values=(replace(sampled, measurand="Energy.Active.Import.Interval"),))


def test_a_register_that_is_seen_answers_the_intervals_before_it() -> None:
    """Rule 2: it holds what they told."""
    site = SiteBuilder([user("RFID001", None)])
    number = site.begin("RFID001", 0, START)
    site.meter(number, interval(1, 300))
    site.meter(number, interval(2, 60_000))
    (waits,) = all_of(site).values()
    assert (waits.wh, waits.before, waits.after, waits.is_candidate) == (60_000, 300, 60_000, False)
    site.meter(number, sample(3, START + 900))

    assert [one.decision_reason for one in all_of(site).values()] == ["the register holds all that flowed"]


def test_an_interval_beside_a_register_that_waits_takes_nothing_of_it() -> None:
    """Two questions."""
    site = SiteBuilder([user("RFID001", None)])
    number = site.begin("RFID001", 0, START)
    site.meter(number, sample(1, START + 90_000))
    site.meter(number, interval(2, 60_000))

    assert [(one.wh, one.is_candidate) for one in all_of(site).values()] == [(90_000, True), (60_000, False)]


def test_what_lies_beyond_the_next_session_asks_nobody() -> None:
    """Rule 22: a late reading that is set aside above the next meterStart could add nothing."""
    site = SiteBuilder([user("RFID001", None)])
    number = site.begin("RFID001", 0, START)
    site.meter(number, sample(1, TRUSTED))
    site.begin("RFID001", 3, TRUSTED)
    site.meter(number, sample(2, JUMP), received=4)

    assert site.kinds() == [NoteKind.SET_ASIDE]
    assert all_of(site) == {}


# --- Repeated readings -----------------------------------------------------------------------------------------------


def test_a_reading_that_was_refuted_is_not_believed_when_a_queue_brings_it_again() -> None:
    """Hours later its own stamp lies before the newest one, and by receipt there was time enough (rule 5)."""
    site, number = jumped()
    site.meter(number, sample(3, TRUSTED + 300))
    site.meter(number, sample(2, JUMP), received=900)

    assert site.energy(number) == TRUSTED + 300 - START
    assert site.site.open_set_aside == {}


def test_a_refuted_reading_of_a_superseded_session_is_not_believed_either() -> None:
    """A late reading raises a session that the server closed, but not this one."""
    site, number = jumped()
    site.meter(number, sample(3, TRUSTED + 300))
    site.begin("RFID001", 4, 0)
    site.meter(number, sample(2, JUMP), received=900)

    assert site.energy(number) == TRUSTED + 300 - START
    assert site.site.open_set_aside == {}


# --- Orphans ---------------------------------------------------------------------------------------------------------


def test_an_orphan_waits_with_what_it_said() -> None:
    """Rule 20: no energy is known of it; the note is as it was."""
    site = SiteBuilder([user("RFID001", None)])
    site.stop(77, 3, 9_000, id_tag=" RFID001 ")

    assert site.kinds() == [NoteKind.ORPHAN]
    (one,) = all_of(site).values()
    assert (one.kind, one.at, one.transaction_id, one.id_tag) == (SetAsideKind.ORPHAN, at(3), 77, "RFID001")
    assert (one.wh, one.since, one.before, one.after) == (None, None, None, 9_000)
    assert one.reason == "stop for no session that is known"
    assert dict(one.figures)["meter_stop"] == "9000"
    assert site.site.set_aside_of == {}


@pytest.mark.parametrize("number", [None, 0, -1, 2**31, 2**70])
def test_an_id_that_can_be_none_is_not_taken_for_one(number: int | None) -> None:
    """It stands in the figures."""
    site = SiteBuilder([])
    site.stop(number, 3, 9_000)

    (one,) = all_of(site).values()
    assert (one.transaction_id, dict(one.figures)["transaction"]) == (None, str(number))


def test_the_same_orphan_is_kept_once() -> None:
    """A charge point repeats what it thinks was not heard; another meterStop is another stop."""
    site = SiteBuilder([])
    for _ in range(3):
        site.stop(77, 3, 9_000)
    site.stop(77, 3, 9_001)

    assert len(all_of(site)) == 2


@pytest.mark.parametrize(("access", "is_on_quota"), [(Access.QUOTA, True), (Access.FREE, False)])
def test_an_orphan_counts_as_a_session_of_its_charge_point_would(access: Access, is_on_quota: bool) -> None:
    """Rule 17."""
    site = SiteBuilder([])
    site.set_access(access)
    site.stop(77, 3, 9_000)

    (one,) = all_of(site).values()
    assert one.is_on_quota is is_on_quota


def test_the_charge_point_with_most_makes_room_where_too_many_wait() -> None:
    """Its oldest becomes a plain note; what others said stays."""
    site = SiteBuilder([])
    site.stop(1, 3, 1, charge_point_id=OTHER_CHARGE_POINT)
    for number in range(2, MOST_OPEN_SET_ASIDE + 4):
        site.do(cmd.StopTransaction(CHARGE_POINT, at(3), number, number, "2025-01-15T09:03:00Z"))

    kept = site.site.open_set_aside
    assert len(kept) == MOST_OPEN_SET_ASIDE
    assert [number for number in (1, 2, 3, 4, 5) if number in kept] == [1, 5]
    assert all_of(site)[4].decision_reason == "more than 1000 were open, most of them from here"
    assert site.restarted() == site.site


# --- What a person's word answers ------------------------------------------------------------------------------------


def test_an_accepted_register_answers_the_intervals_of_its_session_alone() -> None:
    """Rule 2: it holds them; another session's wait on."""
    site = SiteBuilder([user("RFID001", None)])
    other = site.begin("RFID001", 0, 0, connector_id=2)
    site.meter(other, interval(2, 60_000), connector_id=2)
    number = site.begin("RFID001", 0, START)
    site.meter(number, interval(2, 60_000))
    site.meter(number, sample(3, START + 90_000))
    site.do(cmd.AcceptSetAside(at(4), 3, "Ann", "seen"))

    states = {n: one.state.value for n, one in all_of(site).items()}
    assert states == {1: "open", 2: "withdrawn", 3: "accepted"}


def test_a_step_of_intervals_and_one_of_a_register_are_added_where_they_lie() -> None:
    """To the intervals while there is no register, to what the scales before had counted once there is."""
    site = SiteBuilder([user("RFID001", None)])
    number = site.begin("RFID001", 0, None)
    for minutes in (2, 3):
        site.meter(number, interval(minutes, 60_000))
    site.do(cmd.AcceptSetAside(at(4), 1, "Ann", "seen"))
    assert site.energy(number) == site.transaction(number).register.intervals == 60_000
    site.meter(number, sample(5, START), sample(6, START + 400))
    site.do(cmd.AcceptSetAside(at(7), 2, "Ann", "seen"))

    assert site.energy(number) == site.transaction(number).register.energy == 120_400
    assert site.transaction(number).register.carried == 120_000


def test_a_candidate_below_which_the_next_session_began_is_withdrawn() -> None:
    """Rule 22: at the next message of its own session."""
    site, number = jumped()
    site.stop(number, 3, -1)
    site.begin("RFID001", 4, TRUSTED)
    site.stop(number, 5, 5)

    assert all_of(site)[1].decision_reason == "the next session began below it: what lies beyond is not this one's"
