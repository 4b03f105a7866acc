"""`control_api.explanations` on a ledger as it may be: long lists, old notes, refused cards, shared accounts."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from ledger_child import NOW, POLICY, TRANSACTION_ID, group, transaction

from ocpp_server.control_api.explanations import explain_session, explain_tag
from ocpp_server.core import changes as ch
from ocpp_server.core.energy import Wh
from ocpp_server.core.period import Month
from ocpp_server.core.records import (
    SAID,
    AuthorizationStatus,
    Booking,
    BookingKind,
    EndKind,
    Note,
    NoteKind,
    StopCause,
    StopOrder,
    Transaction,
)
from ocpp_server.core.set_aside import SetAside, SetAsideKind, SetAsideState
from ocpp_server.core.users import Account, IdTag, User, UserTable
from ocpp_server.storage.ledger import Ledger
from ocpp_server.storage.ledger_reader import MOST_IN_A_PAGE, LedgerReader

TODAY = NOW.date()
OTHER = IdTag("RFID002")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path / "ledger.db", POLICY, NOW, reserve_bytes=0)
    ledger.open()
    yield ledger
    ledger.close()


def commit(ledger: Ledger, *changes: ch.Change) -> LedgerReader:
    """The reader of a ledger with these in it."""
    asyncio.run(ledger.commit(changes))
    return LedgerReader(ledger.path)


def note(number: int, kind: NoteKind, text: str, id_tag: str = "RFID001", **figures: object) -> ch.AddNote:
    """About the session of `ledger_child`, a second later than the one before."""
    at = NOW + timedelta(seconds=number)
    told = tuple((name, str(value)) for name, value in figures.items())
    return ch.AddNote(number, Note(kind, at, text, "CP1", 1, TRANSACTION_ID, id_tag, told))


def summary(ledger: Ledger, session: Transaction, *notes: ch.AddNote) -> str:
    """What is said of a session with these notes."""
    told = explain_session(commit(ledger, ch.PutTransaction(session), *notes), POLICY, session.transaction_id)
    assert told is not None
    return "\n".join(told.summary)


def users(*rows: User) -> ch.PutUsers:
    return ch.PutUsers(UserTable({row.id_tag: row for row in rows}))


def user(id_tag: str, **fields: object) -> User:
    usual = {"account": Account(id_tag), "name": "John", "surname": "Doe", "quota": Wh(5000)}
    return User(id_tag=IdTag(id_tag), **(usual | fields))  # type: ignore[arg-type]


def test_every_booking_and_note_of_a_long_session_is_there(ledger: Ledger) -> None:
    """More than fit on a page, the oldest first, none twice."""
    (first, *_) = (change.booking for change in group(1) if isinstance(change, ch.AddBooking))
    many = range(1, 2 * MOST_IN_A_PAGE + 2)
    bookings = [ch.AddBooking(replace(first, booking_id=number)) for number in many]
    notes = [note(number, NoteKind.ODDITY, "odd", wh=number) for number in many]
    reader = commit(ledger, ch.PutTransaction(transaction(len(many))), *bookings, *notes)

    told = explain_session(reader, POLICY, TRANSACTION_ID)

    assert told is not None
    assert [booking.booking_id for booking in told.bookings] == list(many)
    assert [found.number for found in told.notes] == list(many)
    assert told.summary[-1] == "It runs at 0 kW. In the books: 1001 bookings, together 1.001 kWh."
    assert explain_session(reader, POLICY, TRANSACTION_ID + 1) is None


def test_a_charge_points_own_words_stay_in_the_ledger(ledger: Ledger) -> None:
    """They may hold a secret (T16); the note itself is shown."""
    reader = commit(
        ledger,
        ch.PutTransaction(transaction(1)),
        note(1, NoteKind.MESSAGE, "DataTransfer", **{SAID: "hunter2", "vendor": "X"}),
    )
    told = explain_session(reader, POLICY, TRANSACTION_ID)

    assert told is not None
    assert told.notes[0].figures == {"vendor": "X"}
    assert "hunter2" not in str(told)


FIGURES = {"quota_wh": 5000, "used_wh": 4000, "unreported_wh": 100}
ORDERS = {
    "power known": (FIGURES | {"power_w": 9000}, "0.9 kWh were left, used up at 9 kW by 2025-11-20 10:36:01."),
    "power not proven": (FIGURES | {"power_w": None}, "0.9 kWh were left."),
    "nothing flows": (FIGURES | {"power_w": 0}, "0.9 kWh were left."),
    "nothing left": (FIGURES | {"used_wh": 6000, "power_w": 9000}, "nothing was left."),
    "unlimited": (FIGURES | {"quota_wh": None, "power_w": 9000}, "4 kWh were used this month, without a limit."),
    "no user": ({"energy_wh": 4000, "power_w": 9000}, "(energy_wh=4000, power_w=9000)."),
}


@pytest.mark.parametrize(("figures", "said"), ORDERS.values(), ids=list(ORDERS))
def test_an_order_to_stop_is_told_with_its_forecast(ledger: Ledger, figures: dict[str, object], said: str) -> None:
    """As far as its figures go; a quota that is unlimited stands there as None."""
    (line,) = [
        line
        for line in summary(ledger, transaction(1), note(1, NoteKind.STOP, "quota reached", **figures)).splitlines()
        if "quota reached" in line
    ]

    assert line.startswith("2025-11-20 10:30:01: ")
    assert line.endswith(said)


SESSIONS: dict[str, tuple[dict[str, object], str]] = {
    "refused": ({"status": AuthorizationStatus.BLOCKED}, "The answer was Blocked: it should not have charged."),
    "clock in doubt": ({"is_start_clock_doubtful": True}, "by a clock that is in doubt"),
    "no name": ({"full_name": ""}, "of RFID001 began at"),
    "stop not sent": (
        {"stop": StopOrder(StopCause.REQUESTED, NOW, NOW, by="Ann")},
        "The stop (stopped by the operator by Ann, ordered 2025-11-20 10:30:00) was not sent.",
    ),
    "stop failed": (
        {"stop": StopOrder(StopCause.BLOCKED, NOW, NOW, 2, 1, NOW, result="no answer")},
        "was tried 2 times, once in vain; the last time 2025-11-20 10:30:00, answer: no answer.",
    ),
    "superseded": (
        {"ended_at": NOW, "end_kind": EndKind.SUPERSEDED},
        "It ended 2025-11-20 10:30:00, superseded: no reason given.",
    ),
}


@pytest.mark.parametrize(("fields", "said"), SESSIONS.values(), ids=list(SESSIONS))
def test_what_is_unusual_of_a_session_is_said(ledger: Ledger, fields: dict[str, object], said: str) -> None:
    """Each in a sentence."""
    text = summary(ledger, replace(transaction(1), **fields))  # type: ignore[arg-type]

    assert said in text
    assert "No reading of it is kept." in text


def test_decisions_are_told_in_the_order_in_which_they_were_made(ledger: Ledger) -> None:
    """Also an order that was taken back, and a reading that was set aside."""
    lines = summary(
        ledger,
        transaction(1),
        note(1, NoteKind.STOP, "quota reached", **FIGURES),
        note(2, NoteKind.STOP, "no longer needed", cause="quota reached"),
        note(3, NoteKind.SET_ASIDE, "set aside: more than could be delivered", before_wh=1, after_wh=900_000),
        note(4, NoteKind.OVERSHOOT, "session ended at the quota", quota_wh="odd", used_wh="1e400", overshoot_wh=1),
    ).splitlines()

    assert [line[:20] for line in lines[2:5]] == [f"2025-11-20 10:30:0{second}:" for second in (1, 2, 3)]
    assert lines[3].endswith("stop: no longer needed (cause=quota reached).")
    assert lines[4].endswith("(before_wh=1, after_wh=900000).")
    assert lines[5].startswith("It runs")


def test_a_card_on_a_shared_account(ledger: Ledger) -> None:
    """What all its tags used counts, also under the spelling that a row had before; blocked and expired are said."""
    shared = Account("Family")
    (booking,) = (change.booking for change in group(1)[:1] if isinstance(change, ch.AddBooking))
    spellings = [
        ch.AddBooking(replace(booking, booking_id=number, id_tag=IdTag(tag), wh=Wh(1000)))
        for number, tag in enumerate(("RFID001", "rfid002", "RFID003"), 1)
    ]
    reader = commit(
        ledger,
        ch.PutOpenMonth(Month("2025-11")),
        users(
            user("RFID001", account=shared, blocked=True, expiry_date=date(2025, 11, 19)),
            user("RFID002", account=shared),
            user("RFID003"),
        ),
        *spellings,
    )
    told = explain_tag(reader, POLICY, "rfid001_KEBA", TODAY)

    assert told is not None
    assert (told.id_tag, told.account, told.shared_with, told.used_wh) == ("RFID001", "Family", ["RFID002"], 2000)
    assert told.summary == [
        "RFID001 is John Doe, on account Family with RFID002, blocked and expired.",
        "In 2025-11 its account used 2 kWh of 5 kWh: 3 kWh are left.",
    ]


def test_a_card_without_a_limit_that_charges(ledger: Ledger) -> None:
    """Its sessions and adjustments are there, and the refusals it had under another spelling."""
    adjustment = Booking(1, BookingKind.ADJUSTMENT, NOW, Month("2025-11"), "2025-11-20", OTHER, Wh(-5), NOW, reason="x")
    session = replace(transaction(1), id_tag=OTHER)
    reader = commit(
        ledger,
        users(user("RFID002", quota=None)),
        ch.PutTransaction(session),
        ch.AddBooking(replace(adjustment, wh=Wh(5))),
        note(1, NoteKind.REFUSAL, "too many sessions", "rfid002_0815"),
        note(2, NoteKind.REFUSAL, "unknown tag", "RFID0029"),
    )
    told = explain_tag(reader, POLICY, "RFID002", TODAY)

    assert told is not None
    assert [found.number for found in told.notes] == [1]
    assert [(found.wh, found.reason) for found in told.adjustments] == [(5, "x")]
    assert [one.transaction_id for one in told.sessions] == [TRANSACTION_ID]
    assert told.month is None
    assert told.summary[1].endswith("brought 0.001 kWh and runs.")
    assert told.summary[2] == "It was last refused 2025-11-20 10:30:01 at CP1: too many sessions."
    commit(ledger, ch.PutOpenMonth(Month("2025-11")))
    told = explain_tag(reader, POLICY, "RFID002", TODAY)
    assert told is not None
    assert told.summary[1] == "In 2025-11 it used 0.005 kWh, without a limit."
    assert explain_tag(reader, POLICY, "RFID003", TODAY) is None


def test_what_was_set_aside_of_a_session_is_told_with_its_number(ledger: Ledger) -> None:
    """Whoever asks why energy is missing finds where to decide; an orphan that named the session is not of it."""
    one = SetAside(1, SetAsideKind.READING, NOW, NOW, "CP1", 1, TRANSACTION_ID, "RFID001", "too much", wh=Wh(60_000))
    decided = replace(
        one, number=2, state=SetAsideState.ACCEPTED, decided_by="Ann", decision_reason="seen", decided_at=NOW
    )
    all_of_them = [
        one,
        decided,
        replace(one, number=3, state=SetAsideState.WITHDRAWN),
        replace(one, number=4, kind=SetAsideKind.ORPHAN),
    ]
    reader = commit(ledger, ch.PutTransaction(transaction(0)), *(ch.PutSetAside(each) for each in all_of_them))
    told = explain_session(reader, POLICY, TRANSACTION_ID)

    assert told is not None
    assert [each.number for each in told.set_aside] == [1, 2, 3]
    assert told.summary[-2:] == [
        "60 kWh were set aside 2025-11-20 10:30:00 (too much) and wait for a decision: set-aside show 1.",
        "60 kWh were set aside 2025-11-20 10:30:00 (too much) and accepted by Ann: seen.",
    ]
