"""`core.set_aside_decisions`: what was set aside is booked once, or never (docs/accounting.md, rules 5, 10, 22)."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from site_builder import CHARGE_POINT, FEBRUARY, JANUARY, OTHER_CHARGE_POINT, SiteBuilder, at, sample, user

from ocpp_server.core import commands as cmd
from ocpp_server.core.energy import Wh
from ocpp_server.core.records import BookingKind, NoteKind
from ocpp_server.core.set_aside import SetAside, SetAsideState
from ocpp_server.core.site import forget_ended

START, TRUSTED, JUMP = 100_000, 100_300, 160_300
LEFT_OUT = JUMP - TRUSTED
"""60 kWh in a minute: fifty times what the connector can deliver."""


def jumped(*, minutes: float = 2.0, users: tuple[str, ...] = ("RFID001",)) -> tuple[SiteBuilder, int]:
    """A site with a session whose register was trusted at minute 1 and set aside at `minutes`."""
    site = SiteBuilder([user(tag, None) for tag in users])
    number = site.begin("RFID001", 0, START)
    site.meter(number, sample(1, TRUSTED))
    site.meter(number, sample(minutes, JUMP))
    return site, number


def waiting(site: SiteBuilder) -> SetAside:
    """The only one that is open."""
    (one,) = site.site.open_set_aside.values()
    return one


def accept(site: SiteBuilder, number: int = 1, minutes: float = 500.0, **more: object) -> cmd.Reply:
    return site.do(cmd.AcceptSetAside(at(minutes), number, "Ann", "seen on the meter", **more))  # type: ignore[arg-type]


def drop(site: SiteBuilder, number: int = 1, minutes: float = 500.0) -> cmd.Reply:
    return site.do(cmd.DropSetAside(at(minutes), number, "Bob", "a glitch"))


def consistent(site: SiteBuilder, number: int) -> int:
    """Wh of the session; what its bookings add up to, its books and its register are the same."""
    session = site.transaction(number)
    entries = [c.booking for c in site.changes if hasattr(c, "booking") and c.booking.transaction_id == number]
    assert sum(entry.wh for entry in entries) == session.energy == session.register.energy
    assert min(dict(session.booked).values(), default=0) >= 0
    assert site.restarted(2) == site.site
    return session.energy


def test_an_accepted_reading_is_booked_on_its_session_as_a_correction() -> None:
    """Rule 5: with who and why, for the tag, the charge point and the session."""
    site, number = jumped()
    delivered = site.site.delivered[CHARGE_POINT]

    assert accept(site) == cmd.Done()
    assert [(b.kind, b.wh, b.reason, b.transaction_id, b.id_tag) for b in site.bookings()] == [
        (BookingKind.CORRECTION, LEFT_OUT, "set aside 1: seen on the meter (Ann)", number, "RFID001")
    ]
    assert site.kinds() == [NoteKind.DECIDED]
    assert dict(site.notes[0].figures) == {"by": "Ann", "number": "1", "wh": str(LEFT_OUT)}
    assert consistent(site, number) == JUMP - START == site.used()
    assert site.site.delivered[CHARGE_POINT] == delivered + LEFT_OUT
    assert "raised by hand" in site.transaction(number).flags
    decided = site.site.decided_set_aside[1]
    assert (decided.state, decided.booked, decided.decided_by) == (SetAsideState.ACCEPTED, LEFT_OUT, "Ann")
    assert site.site.open_set_aside == {}
    assert site.site.set_aside_of == {}


@pytest.mark.parametrize("first", [accept, drop], ids=["accepted", "dropped"])
@pytest.mark.parametrize("second", [accept, drop], ids=["accept", "drop"])
def test_what_is_decided_is_not_decided_again(
    first: Callable[[SiteBuilder], cmd.Reply], second: Callable[[SiteBuilder], cmd.Reply]
) -> None:
    """The refusal says by whom and when."""
    site, number = jumped()
    first(site)
    energy = consistent(site, number)

    refused = second(site)

    who = "accepted by Ann" if first is accept else "dropped by Bob"
    assert isinstance(refused, cmd.Refused)
    assert refused.text.startswith(f"number 1 was {who} at 2025-01-15T17:20:00+00:00: ")
    assert (site.last, consistent(site, number)) == ((), energy)


def test_a_number_that_is_none_is_unknown() -> None:
    """Nothing is booked."""
    site, _ = jumped()

    assert accept(site, 7) == drop(site, 7) == cmd.Unknown("no energy of number 7 waits for a decision")
    assert site.last == ()


LATER: dict[str, tuple[Callable[[SiteBuilder, int], object], int, int]] = {
    "the same reading again": (lambda s, n: s.meter(n, sample(2, JUMP), received=900), JUMP, TRUSTED),
    "all readings again": (
        lambda s, n: s.meter(n, sample(1, TRUSTED), sample(2, JUMP), received=900),
        JUMP,
        TRUSTED,
    ),
    "the next one goes on": (lambda s, n: s.meter(n, sample(3, JUMP + 400)), JUMP + 400, TRUSTED + 400),
    "two go on": (lambda s, n: s.meter(n, sample(3, JUMP + 400), sample(4, JUMP + 700)), JUMP + 700, TRUSTED + 700),
    "a stop at it": (lambda s, n: s.stop(n, 3, JUMP), JUMP, TRUSTED),
    "a stop at it, twice": (lambda s, n: (s.stop(n, 3, JUMP), s.stop(n, 3, JUMP)), JUMP, TRUSTED),
    "a stop beyond it": (lambda s, n: s.stop(n, 3, JUMP + 400), JUMP + 400, TRUSTED + 400),
    "a stop one step below it": (lambda s, n: s.stop(n, 3, JUMP - 100), JUMP - 100, TRUSTED),
    "a stop without a register": (lambda s, n: s.stop(n, 3, 0), JUMP, TRUSTED),
    "a stop that holds it": (lambda s, n: s.stop(n, 3, JUMP + 5, data=(sample(2, JUMP),)), JUMP + 5, TRUSTED + 5),
    "a start at it": (lambda s, n: s.begin("RFID001", 3, JUMP), JUMP, TRUSTED),
    "a start beyond it": (lambda s, n: s.begin("RFID001", 3, JUMP + 300), JUMP, TRUSTED),
}


@pytest.mark.parametrize(("later", "accepted", "dropped"), LATER.values(), ids=LATER.keys())
@pytest.mark.parametrize("is_accepted", [True, False], ids=["accepted", "dropped"])
def test_no_later_message_books_it_again(
    later: Callable[[SiteBuilder, int], object], accepted: int, dropped: int, is_accepted: bool
) -> None:
    """What is accepted is trusted: only growth beyond it adds. What was dropped comes back by no repetition."""
    site, number = jumped()
    accept(site, minutes=2.5) if is_accepted else drop(site, minutes=2.5)

    later(site, number)
    once = consistent(site, number)
    later(site, number)

    assert once == consistent(site, number) == (accepted if is_accepted else dropped) - START
    assert [one for one in site.site.open_set_aside.values() if one.number == 1] == []


@pytest.mark.parametrize("is_before", [True, False], ids=["decided first", "decided last"])
@pytest.mark.parametrize("is_stopped", [True, False], ids=["ended", "open"])
def test_it_makes_no_difference_when_it_is_accepted(is_before: bool, is_stopped: bool) -> None:
    """Before the register went on from it, after, and after the end: the same energy."""
    site, number = jumped()
    if is_before:
        accept(site, minutes=2.5)
    site.meter(number, sample(3, JUMP + 400), sample(4, JUMP + 700))
    if is_stopped:
        site.stop(number, 5, JUMP + 900)
    if not is_before:
        assert (waiting(site).wh, waiting(site).is_candidate) == (LEFT_OUT, False)
        accept(site)

    assert consistent(site, number) == JUMP + (900 if is_stopped else 700) - START
    assert site.transaction(number).is_open is not is_stopped


def test_it_is_booked_in_the_hours_in_which_it_flowed() -> None:
    """Rule 10: between the trusted reading and its own time, whenever a person decides."""
    site = SiteBuilder([user("RFID001", None)])
    number = site.begin("RFID001", 0, START)
    site.meter(number, sample(30, TRUSTED))
    site.meter(number, sample(150, TRUSTED + 600_000))

    accept(site)

    hours = [(booking.hour, booking.wh) for booking in site.bookings()]
    assert hours == [(at(0), 150_000), (at(60), 300_000), (at(120), 150_000)]
    assert consistent(site, number) == 600_300


def test_late_energy_of_a_closed_month_is_not_the_new_months() -> None:
    """Rule 10: it goes to that month's archive, also where the reading lies across the border."""
    site = SiteBuilder([user("RFID001", 10_000)])
    site.do(cmd.OpenMonth(at(0), JANUARY))
    border = (datetime(2025, 1, 31, 21, 0, tzinfo=UTC) - at(0)).total_seconds() / 60
    number = site.begin("RFID001", border - 60, START)
    site.meter(number, sample(border - 30, TRUSTED))
    site.meter(number, sample(border + 10, TRUSTED + 80_000))
    site.do(cmd.OpenMonth(at(border + 20), FEBRUARY))

    accept(site, minutes=border + 90)

    assert site.used() == 300 + 60_000
    assert site.used(month=FEBRUARY) == 20_000
    assert dict(site.transaction(number).booked) == {JANUARY: 60_300, FEBRUARY: 20_000}
    assert consistent(site, number) == 80_300


def test_a_step_across_a_second_reading_that_was_set_aside_counts_from_the_trusted_one() -> None:
    """The later one includes the earlier: that is withdrawn, and the time of both is the time of the energy."""
    site, number = jumped(minutes=10)
    site.meter(number, sample(120, JUMP + 500_000))

    one = waiting(site)
    assert (one.number, one.wh, one.since, one.is_candidate) == (2, LEFT_OUT + 500_000, at(1), True)
    accept(site, 2)
    assert consistent(site, number) == JUMP + 500_000 - START
    refused = accept(site, 1)
    assert isinstance(refused, cmd.Unknown)


def test_a_later_reading_below_the_spike_takes_its_place() -> None:
    """Nobody can accept a spike once the register showed less."""
    site, number = jumped()
    site.meter(number, sample(3, 140_000))

    accept(site, 2)

    assert consistent(site, number) == 40_000


def test_a_later_step_includes_one_that_was_dropped() -> None:
    """It is another reading: whoever accepts it accepts all that lies between it and the trusted register."""
    site, number = jumped()
    drop(site, minutes=2.5)
    site.meter(number, sample(3, JUMP + 500_000))
    assert waiting(site).wh == LEFT_OUT + 500_000

    accept(site, 2)

    assert consistent(site, number) == JUMP + 500_000 - START


def test_steps_of_one_session_on_two_scales_are_booked_each_on_its_own() -> None:
    """They lie behind one another: none includes the other."""
    site, number = jumped()
    site.meter(number, sample(3, JUMP + 400), sample(4, JUMP + 700))
    site.meter(number, sample(5, 300_000), sample(6, 300_500))
    first, second = site.site.open_set_aside.values()
    assert (first.wh, second.wh) == (LEFT_OUT, 300_000 - JUMP - 700)

    accept(site, 2)
    assert consistent(site, number) == 300_500 - START - LEFT_OUT
    accept(site, 1)
    assert consistent(site, number) == 300_500 - START


def test_an_accepted_spike_goes_again_when_the_register_shows_that_it_never_was() -> None:
    """Rule 4: the meter has the last word; the correction is booked, and nothing is negative."""
    site, number = jumped()
    accept(site, minutes=2.5)
    site.meter(number, sample(3, TRUSTED + 300))
    site.meter(number, sample(4, TRUSTED + 600))

    assert consistent(site, number) == TRUSTED + 600 - START


def test_an_accepted_reading_ends_where_the_next_session_began() -> None:
    """Rule 22: what lies beyond is not this session's, and what it adds was nobody's until now."""
    site, number = jumped(minutes=2)
    site.begin("RFID001", 3, TRUSTED + 900)
    assert site.unattributed() == 900

    accept(site)

    assert consistent(site, number) == TRUSTED + 900 - START
    assert site.unattributed() == 0
    assert site.site.decided_set_aside[1].booked == 900


def test_what_the_next_session_proves_never_to_have_been_cannot_be_accepted() -> None:
    """The next one began at the trusted register."""
    site, number = jumped(minutes=2)
    site.begin("RFID001", 3, TRUSTED)

    refused = accept(site)

    assert refused == cmd.Refused("nothing of it is missing from the books any more: drop it")
    assert consistent(site, number) == TRUSTED - START
    assert drop(site) == cmd.Done()


def test_a_stop_that_was_set_aside_is_accepted_after_the_end() -> None:
    """Rule 4: the last trusted sample settled; the amount is raised."""
    site = SiteBuilder([user("RFID001", None)])
    number = site.begin("RFID001", 0, START)
    site.meter(number, sample(1, TRUSTED))
    site.stop(number, 2, JUMP)
    assert (waiting(site).wh, site.energy(number)) == (LEFT_OUT, TRUSTED - START)

    accept(site)
    assert consistent(site, number) == JUMP - START
    site.stop(number, 2, JUMP)
    site.stop(number, 2, JUMP, received=4_000)

    assert consistent(site, number) == JUMP - START


def test_an_interval_that_was_set_aside_is_added_to_the_others() -> None:
    """For charge points without a register; repeating the message asks no more."""
    site = SiteBuilder([user("RFID001", None)])
    number = site.begin("RFID001", 0, 0)
    interval = interval_of(2, 60_000)
    site.meter(number, interval_of(1, 300))
    site.meter(number, interval)
    site.meter(number, interval, received=300)

    accept(site)
    site.meter(number, interval, received=400)

    assert consistent(site, number) == 60_300


def interval_of(minutes: float, wh: int):  # type: ignore[no-untyped-def]
    """A MeterValue of a charge point that gives no register."""
    value = sample(minutes, wh)
    (sampled,) = value.sampled_values
    return replace(value, sampled_values=(replace(sampled, measurand="Energy.Active.Import.Interval"),))


def test_what_an_accepted_register_tells_ends_the_intervals_before_it() -> None:
    """Rule 2: once a register is seen, it holds them."""
    site = SiteBuilder([user("RFID001", None)])
    number = site.begin("RFID001", 0, START)
    site.meter(number, interval_of(1, 300))
    site.meter(number, interval_of(2, 60_000))
    site.meter(number, sample(3, START + 90_000))
    assert [one.wh for one in site.site.open_set_aside.values()] == [60_000, 89_700]

    accept(site, 2)

    assert consistent(site, number) == 90_000
    assert site.site.open_set_aside == {}


def test_the_amount_and_the_tag_of_a_reading_are_its_sessions() -> None:
    """Another amount, or another person, is no matter of this reading."""
    site, number = jumped(users=("RFID001", "RFID002"))

    other_amount = accept(site, wh=Wh(5))
    other_tag = accept(site, id_tag="RFID002")

    assert isinstance(other_amount, cmd.Refused)
    assert (other_amount.field, other_amount.text.startswith("60 kWh of it are left")) == ("kwh", True)
    assert isinstance(other_tag, cmd.Refused)
    assert (other_tag.field, "session of RFID001" in other_tag.text) == ("id_tag", True)
    assert consistent(site, number) == TRUSTED - START
    assert accept(site, wh=Wh(LEFT_OUT), id_tag="rfid001") == cmd.Done()


def test_the_overshoot_of_an_ended_session_grows_with_it() -> None:
    """Rule 25: how far the account was over its quota, and no more than it is."""
    site = SiteBuilder([user("RFID001", 40_000)])
    number = site.begin("RFID001", 0, START)
    site.meter(number, sample(1, TRUSTED))
    site.stop(number, 2, JUMP)
    assert site.transaction(number).overshoot == 0

    accept(site)

    assert site.transaction(number).overshoot == 60_300 - 40_000
    assert NoteKind.WARNING in site.kinds()


def test_a_session_that_is_too_old_to_be_changed_keeps_its_row() -> None:
    """62 days after its end: booked on the tag and the charge point, and the reason says so."""
    site, number = jumped()
    site.stop(number, 3, 0)
    forget_ended(site.site, at(10) + timedelta(days=1))
    assert number not in site.site.transactions

    assert accept(site, minutes=100_000) == cmd.Done()
    (booking,) = site.bookings()
    assert (booking.transaction_id, booking.charge_point_id, booking.wh) == (None, CHARGE_POINT, LEFT_OUT)
    assert booking.reason == "set aside 1: seen on the meter (Ann); its session is too old to be changed"
    assert site.used() == TRUSTED - START + LEFT_OUT


def orphaned(**more: object) -> SiteBuilder:
    """A stop for a session that this server never saw."""
    site = SiteBuilder([user("RFID001", None), user("RFID002", None)])
    site.stop(77, 3, 9_000, **more)  # type: ignore[arg-type]
    return site


def test_an_orphan_is_booked_as_a_person_says() -> None:
    """Its begin is not known: kWh and tag are said, and it counts for the charge point too."""
    site = orphaned()

    without_kwh = accept(site)
    without_tag = accept(site, wh=Wh(7_000))
    booked = accept(site, wh=Wh(7_000), id_tag=" rfid002 ")

    assert isinstance(without_kwh, cmd.Refused)
    assert isinstance(without_tag, cmd.Refused)
    assert (without_kwh.field, without_tag.field, booked) == ("kwh", "id_tag", cmd.Done())
    (booking,) = site.bookings()
    assert (booking.id_tag, booking.wh, booking.hour, booking.transaction_id) == ("RFID002", 7_000, at(0), None)
    assert (booking.charge_point_id, booking.kind, booking.is_on_quota) == (CHARGE_POINT, BookingKind.CORRECTION, True)
    assert site.used("RFID002") == 7_000
    assert site.site.decided_set_aside[1].booked == 7_000


def test_an_orphan_that_named_its_tag_needs_none() -> None:
    """The tag of the stop is whose it is unless a person says otherwise."""
    site = orphaned(id_tag="RFID001")

    assert accept(site, wh=Wh(7_000)) == cmd.Done()
    assert site.used() == 7_000


@pytest.mark.parametrize("wh", [0, -5])
def test_an_orphan_takes_nothing_back(wh: int) -> None:
    """Energy is never negative (rule 5)."""
    assert isinstance(accept(orphaned(id_tag="RFID001"), wh=Wh(wh)), cmd.Refused)


@pytest.mark.parametrize("decide", [accept, drop])
def test_the_same_orphan_again_does_not_ask_again(decide: Callable[..., cmd.Reply]) -> None:
    """A charge point repeats a stop until it is confirmed: what was decided stays decided."""
    site = orphaned(id_tag="RFID001")
    decide(site, **({"wh": Wh(7_000)} if decide is accept else {}))

    site.stop(77, 3, 9_000, id_tag="RFID001", received=900)

    assert site.kinds() == [NoteKind.ORPHAN]
    assert site.site.open_set_aside == {}


def test_a_foreign_charge_points_stop_is_never_booked_on_the_session_that_it_named() -> None:
    """Rule 20: the other one's session stays as it is."""
    site = SiteBuilder([user("RFID001", None)])
    number = site.begin("RFID001", 0, START)
    site.stop(number, 3, 109_000, charge_point_id=OTHER_CHARGE_POINT, id_tag="RFID001")
    assert waiting(site).reason == f"stop for another charge point's transaction: it is {CHARGE_POINT}'s"
    before = site.transaction(number)

    accept(site, wh=Wh(9_000))

    assert site.transaction(number) is before
    (booking,) = site.bookings()
    assert (booking.charge_point_id, booking.transaction_id, booking.wh) == (OTHER_CHARGE_POINT, None, 9_000)
    assert site.site.open_set_aside == {}
