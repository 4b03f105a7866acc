"""The making of a decision: bookings by hour and month, notes, readings (rules 1, 10, 14, 22)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from site_builder import CHARGE_POINT, FEBRUARY, JANUARY, NOON, ZONE, SiteBuilder, at, sample, user

from ocpp_server.core import changes as ch
from ocpp_server.core import commands as cmd
from ocpp_server.core.draft import Draft
from ocpp_server.core.energy import Wh
from ocpp_server.core.period import Month
from ocpp_server.core.records import Booking, BookingKind, EndKind, NoteKind, RefusedTag, Transaction
from ocpp_server.core.set_aside import SetAside, SetAsideKind, SetAsideState
from ocpp_server.core.site import Policy, Site, apply
from ocpp_server.core.users import IdTag

MIDNIGHT = datetime(2025, 1, 31, 21, 0, tzinfo=UTC)
"""The end of January in Istanbul."""


def _session(started_at: datetime = NOON) -> tuple[Site, Transaction]:
    site = SiteBuilder([user("RFID001")])
    session = site.transaction(site.begin())
    return site.site, replace(session, started_at=started_at)


def _bookings(draft: Draft) -> list[Booking]:
    return [change.booking for change in draft.changes if isinstance(change, ch.AddBooking)]


def test_a_step_is_split_over_hours_and_adds_up() -> None:
    """Rule 10: in proportion to time."""
    site, session = _session()
    draft = Draft(site, at(90))

    booked = draft.book(session, Wh(1_001), at(90))

    assert booked == ((JANUARY, 1_001),)
    assert [(b.hour, b.wh) for b in _bookings(draft)] == [(at(0), 667), (at(60), 334)]


def test_a_step_across_the_months_end_is_split_between_the_months() -> None:
    """Rule 10."""
    site, session = _session(MIDNIGHT - timedelta(minutes=20))
    draft = Draft(site, MIDNIGHT + timedelta(minutes=40))

    booked = draft.book(session, Wh(600), MIDNIGHT + timedelta(minutes=40))

    assert booked == ((JANUARY, 200), (FEBRUARY, 400))
    assert [(b.month, b.day, b.wh) for b in _bookings(draft)] == [
        (JANUARY, "2025-01-31", 200),
        (FEBRUARY, "2025-02-01", 400),
    ]


def test_the_next_step_begins_at_the_last_reading() -> None:
    """Rule 10: by the readings known then."""
    site, session = _session(MIDNIGHT - timedelta(minutes=20))
    read = replace(session, booked=((JANUARY, Wh(100)),), booked_at=MIDNIGHT)

    booked = Draft(site, NOON).book(read, Wh(400), MIDNIGHT + timedelta(minutes=5))

    assert booked == ((JANUARY, 100), (FEBRUARY, 300))


def test_the_same_energy_again_books_nothing() -> None:
    """Rule 1: duplicates and reordering change nothing."""
    site, session = _session()
    read = replace(session, booked=((JANUARY, Wh(100)),))
    draft = Draft(site, at(5))

    assert draft.book(read, Wh(100), at(5)) == read.booked
    assert draft.changes == []


def test_a_correction_is_taken_from_the_newest_month_first() -> None:
    """Rule 4: a sane stop settles, downward too; no month falls below zero."""
    site, session = _session()
    read = replace(session, booked=((JANUARY, Wh(300)), (FEBRUARY, Wh(100))))
    until = MIDNIGHT + timedelta(minutes=70)
    draft = Draft(site, until)

    booked = draft.book(read, Wh(250), until)

    assert booked == ((JANUARY, 250),)
    assert [(b.kind, b.month, b.hour, b.wh) for b in _bookings(draft)] == [
        (BookingKind.CORRECTION, FEBRUARY, MIDNIGHT + timedelta(hours=1), -100),
        (BookingKind.CORRECTION, JANUARY, MIDNIGHT - timedelta(hours=1), -50),
    ]


def test_a_correction_before_the_month_begins_is_filed_in_its_first_hour() -> None:
    """Rule 10: bookings carry their month, also where the stop's stamp is older than the readings."""
    site, session = _session()
    read = replace(session, booked=((FEBRUARY, Wh(100)),))
    draft = Draft(site, NOON)

    booked = draft.book(read, Wh(40), NOON)

    assert booked == ((FEBRUARY, 40),)
    assert [(b.hour, b.month, b.wh) for b in _bookings(draft)] == [(MIDNIGHT, FEBRUARY, -60)]


@given(st.lists(st.tuples(st.integers(0, 5_000), st.integers(1, 60 * 24 * 40)), max_size=12))
def test_bookings_always_add_up_to_the_energy_and_no_month_is_negative(steps: list[tuple[int, int]]) -> None:
    """Rules 1 and 10."""
    site, session = _session()
    when = NOON
    for energy, minutes in steps:
        when += timedelta(minutes=minutes)
        draft = Draft(site, when)
        before = session.energy
        session = replace(session, booked=draft.book(session, Wh(energy), when), booked_at=when)

        assert session.energy == energy
        assert sum(b.wh for b in _bookings(draft)) == energy - before
        assert all(wh > 0 for _, wh in session.booked)
        assert [month for month, _ in session.booked] == sorted({month for month, _ in session.booked})


def test_what_was_drafted_counts_as_used() -> None:
    """Rule 28: a warning sees the message that brings it."""
    site, session = _session()
    draft = Draft(site, at(1))
    before = draft.used(JANUARY, [IdTag("RFID001")])
    draft.book(session, Wh(300), at(1))
    draft.book(replace(session, is_on_quota=False), Wh(300), at(1))

    found = [draft.used(JANUARY, [IdTag(tag)]) for tag in ("RFID001", "RFID002")]

    assert (before, found, draft.used(FEBRUARY, [IdTag("RFID001")])) == (0, [300, 0], 0)


def test_energy_that_no_transaction_stands_for_can_be_booked() -> None:
    """BookingKind.ADJUSTMENT."""
    site = SiteBuilder([user("RFID001")])
    site.do(cmd.Adjust(at(0), IdTag("RFID001"), Wh(5), "mistake", "ops"))

    (booking,) = site.bookings()
    assert (booking.wh, booking.kind, booking.transaction_id, booking.reason) == (
        5,
        BookingKind.ADJUSTMENT,
        None,
        "mistake (ops)",
    )


def test_a_note_takes_from_its_transaction_what_it_knows() -> None:
    """Rule 14."""
    site, session = _session()
    draft = Draft(site, at(1))
    draft.note(NoteKind.ODDITY, "odd", session, figures={"wh": 5})
    draft.note(NoteKind.ODDITY, "odd", charge_point_id="X", connector_id=0, id_tag="CARD")
    draft.note(NoteKind.MONTH, "odd")

    found = [(n.charge_point_id, n.connector_id, n.transaction_id, n.id_tag, n.figures) for n in draft.notes]
    assert found == [
        (CHARGE_POINT, 1, session.transaction_id, "RFID001", (("wh", "5"),)),
        ("X", 0, None, "CARD", ()),
        ("", None, None, "", ()),
    ]
    numbers = [change.number for change in draft.changes if isinstance(change, ch.AddNote)]
    assert numbers == [site.next_note_number, site.next_note_number + 1, site.next_note_number + 2]


def test_a_refused_tag_is_drafted_whole() -> None:
    """Rule 13."""
    draft = Draft(Site(Policy(ZONE)), NOON)
    draft.refuse("04A2B3C4D5E6F7", CHARGE_POINT, "unknown tag")

    (change,) = draft.changes
    assert change == ch.AddRefusedTag(1, RefusedTag("04A2B3C4D5E6F7", NOON, CHARGE_POINT, "unknown tag"))


def test_a_state_that_every_message_repeats_is_noted_once_an_hour() -> None:
    """A state is logged when it changes, not while it lasts."""
    site, session = _session()
    noted = []
    for minute in (0, 1, 59, 61, 62):
        draft = Draft(site, at(minute))
        draft.note_state(NoteKind.ODDITY, "signed data", session)
        draft.note_state(NoteKind.ODDITY, "outside", charge_point_id=CHARGE_POINT, connector_id=1)
        noted.append(len(draft.notes))
        for change in draft.changes:
            apply(site, change)

    assert noted == [2, 0, 0, 2, 0]


def test_the_same_state_elsewhere_is_noted_too() -> None:
    """Rule 14."""
    site, session = _session()
    for change in _noted(site, session):
        apply(site, change)

    assert _noted(site, session) == []
    assert len(_noted(site, replace(session, transaction_id=77))) == 1


def _noted(site: Site, session: Transaction) -> list[ch.Change]:
    draft = Draft(site, at(1))
    draft.note_state(NoteKind.ODDITY, "signed data", session)
    return draft.changes


def test_the_same_reading_is_logged_once() -> None:
    """B14: the forwarder posts a reading once, also when its message is repeated."""
    site = SiteBuilder([user("RFID001")])
    number = site.begin()
    site.meter(number, sample(1, 300), sample(1, 300), received=1)
    site.meter(number, sample(1, 300))
    site.meter(number, sample(2, 600))

    assert [(r.number, r.register) for r in site.site.readings] == [(1, 300), (2, 600)]


def test_a_stranger_is_a_charge_point_that_never_booted() -> None:
    """Rule 23."""
    draft = Draft(Site(Policy(ZONE)), NOON)

    stranger = draft.charge_point("STRANGER")

    assert (stranger.first_seen, stranger.booted_at, stranger.gaps) == (NOON, None, ())


@pytest.mark.parametrize("read_at", [None, at(20)])
def test_a_session_is_closed_at_its_last_reading_and_its_alert_with_it(read_at: datetime | None) -> None:
    """Rules 22 and 26."""
    site = SiteBuilder([user("RFID001")])
    number = site.begin()
    site.do(cmd.RaiseAlert(at(0), f"stop-{number}", "stop not obeyed", "…"))
    session = replace(site.transaction(number), booked_at=read_at, power_w=5, flow_w=5, is_stale=True)
    draft = Draft(site.site, at(60))

    closed = draft.close(session, EndKind.STALE, "free", {"energy_wh": 0})

    assert (closed.ended_at, closed.ended_received_at) == (read_at or at(0), at(60))
    assert (closed.end_kind, closed.power_w, closed.flow_w, closed.is_stale) == (EndKind.STALE, 0, 0, False)
    assert [note.kind for note in draft.notes] == [NoteKind.CLOSED]
    assert ch.RemoveAlert(f"stop-{number}") in draft.changes


def test_an_alert_that_is_not_there_is_not_resolved() -> None:
    """Nothing to write, nothing written."""
    draft = Draft(Site(Policy(ZONE)), NOON)
    draft.resolve("stop-1")

    assert draft.decide(cmd.Done()).changes == ()


def test_a_long_silence_goes_into_the_hour_of_its_end() -> None:
    """Rule 10: nothing is known of when it flowed, if that was months ago."""
    site, session = _session()
    end = NOON + timedelta(days=90)

    assert Draft(site, end).book(session, Wh(500), end) == ((Month("2025-04"), 500),)


def test_energy_that_a_person_adds_is_split_over_its_own_hours() -> None:
    """On top of what the session has, whenever it is booked (rule 10); a time that stands still is one hour."""
    site, session = _session()
    session = replace(session, booked=((JANUARY, Wh(10)),))
    draft = Draft(site, at(600))
    booked = draft.book_between(session, Wh(60), at(30), at(90), "seen")
    draft.book_between(session, Wh(5), at(90), at(30), "seen")

    assert booked == ((JANUARY, 70),)
    assert [(b.hour, b.wh, b.kind, b.reason) for b in _bookings(draft)] == [
        (at(0), 30, BookingKind.CORRECTION, "seen"),
        (at(60), 30, BookingKind.CORRECTION, "seen"),
        (at(0), 5, BookingKind.CORRECTION, "seen"),
    ]


def test_what_was_drafted_of_energy_that_waits_counts_for_the_next_rule() -> None:
    """Several readings of one message."""
    site, session = _session()
    one = SetAside(1, SetAsideKind.READING, NOON, NOON, CHARGE_POINT, 1, session.transaction_id, "RFID001", "why")
    apply(site, ch.PutSetAside(one))
    draft = Draft(site, NOON)
    assert (draft.set_aside_number, draft.set_aside_of(session.transaction_id)) == (2, [one])
    assert draft.open_set_aside() == {1: one}
    another = replace(one, number=2)
    draft.put_set_aside(another)
    draft.put_set_aside(replace(one, state=SetAsideState.WITHDRAWN))

    assert (draft.set_aside_number, draft.set_aside_of(session.transaction_id)) == (3, [another])
    assert draft.open_set_aside() == {2: another}
    assert draft.set_aside_of(session.transaction_id + 1) == []
    assert [type(change) for change in draft.changes] == [ch.PutSetAside] * 2
