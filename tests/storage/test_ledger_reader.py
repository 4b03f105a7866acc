"""`storage.ledger_reader`: pages of the ledger, beside the one writer."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from ledger_child import NOW, POLICY, TRANSACTION_ID, group, transaction

from ocpp_server.core import changes as ch
from ocpp_server.core.energy import Wh
from ocpp_server.core.period import Month
from ocpp_server.core.records import BookingKind, Note, NoteKind, Reading
from ocpp_server.core.set_aside import SetAside, SetAsideKind, SetAsideState
from ocpp_server.core.users import Account, IdTag, User, UserTable
from ocpp_server.storage.errors import LedgerError
from ocpp_server.storage.ledger import Ledger
from ocpp_server.storage.ledger_reader import MOST_IN_A_PAGE, LedgerReader, Wanted

HALF = timedelta(milliseconds=500)


def note(number: int, kind: NoteKind, charge_point_id: str = "CP1", at: datetime = NOW) -> ch.AddNote:
    """A note about transaction 7 and RFID001."""
    return ch.AddNote(number, Note(kind, at, f"note {number}", charge_point_id, 1, 7, "RFID001"))


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path / "ledger.db", POLICY, NOW, reserve_bytes=0)
    ledger.open()
    ended = replace(transaction(5), transaction_id=TRANSACTION_ID + 1, charge_point_id="CP2", ended_at=NOW)
    changes = [
        *group(1),
        *group(2),
        ch.PutTransaction(ended),
        note(1, NoteKind.REFUSAL),
        note(2, NoteKind.STOP, at=NOW + HALF),
        note(3, NoteKind.STOP, "CP2", at=NOW + timedelta(seconds=1)),
    ]
    asyncio.run(ledger.commit(changes))
    yield ledger
    ledger.close()


@pytest.fixture
def reader(ledger: Ledger) -> LedgerReader:
    return LedgerReader(ledger.path)


@pytest.mark.parametrize(
    ("wanted", "kinds", "numbers"),
    [
        (Wanted(), (), [3, 2, 1]),
        (Wanted(limit=2), (), [3, 2]),
        (Wanted(before=3), (), [2, 1]),
        (Wanted(charge_point_id="CP1"), (), [2, 1]),
        (Wanted(transaction_id=7, id_tag="RFID001"), (NoteKind.STOP,), [3, 2]),
        (Wanted(transaction_id=8), (), []),
        (Wanted(since=NOW), (), [3, 2, 1]),
        (Wanted(since=NOW + timedelta(seconds=1)), (), [3]),
        (Wanted(until=NOW + timedelta(seconds=1)), (), [2, 1]),
        (Wanted(until=NOW), (), []),
        (Wanted(), (NoteKind.REFUSAL, NoteKind.ORPHAN), [1]),
    ],
)
def test_notes_are_found_newest_first(
    reader: LedgerReader, wanted: Wanted, kinds: tuple[NoteKind, ...], numbers: list[int]
) -> None:
    """By place, tag, transaction, kind and time; a fraction of a second belongs to its second."""
    found = reader.notes(wanted, kinds)

    assert [number for number, _ in found] == numbers
    assert [one.text for _, one in found] == [f"note {number}" for number in numbers]


@pytest.mark.parametrize(
    ("wanted", "is_open", "ids"),
    [
        (Wanted(), None, [TRANSACTION_ID + 1, TRANSACTION_ID]),
        (Wanted(), True, [TRANSACTION_ID]),
        (Wanted(), False, [TRANSACTION_ID + 1]),
        (Wanted(charge_point_id="CP2"), None, [TRANSACTION_ID + 1]),
        (Wanted(id_tag="RFID002"), None, []),
        (Wanted(transaction_id=TRANSACTION_ID), None, [TRANSACTION_ID]),
        (Wanted(until=NOW), None, []),
    ],
)
def test_transactions_are_found_newest_first(
    reader: LedgerReader, wanted: Wanted, is_open: bool | None, ids: list[int]
) -> None:
    """Those that run, those that ended, or all of them."""
    assert [number for number, _ in reader.transactions(wanted, is_open=is_open)] == ids


def test_bookings_of_a_transaction_are_whole(reader: LedgerReader) -> None:
    """All that stands in the books, newest first."""
    found = reader.bookings(Wanted(transaction_id=TRANSACTION_ID), (BookingKind.ENERGY,))
    written = [change.booking for part in (1, 2) for change in group(part) if isinstance(change, ch.AddBooking)]

    assert found == written[::-1]
    assert reader.bookings(Wanted(), (BookingKind.IMPORT,)) == []


def test_readings_are_found_newest_first(reader: LedgerReader) -> None:
    """The meter log, also further back than its file."""
    written = [change.reading for part in (1, 2) for change in group(part) if isinstance(change, ch.AddReading)]
    found = reader.readings(Wanted(transaction_id=TRANSACTION_ID))

    assert [one for _, one in found] == written[::-1]
    assert all(isinstance(one, Reading) for _, one in found)
    assert reader.readings(Wanted(until=datetime(2025, 1, 1, tzinfo=UTC))) == []


def test_usage_of_a_month(reader: LedgerReader) -> None:
    """By tag; a month in which nothing was used is empty."""
    assert reader.usage(Month("2025-11")) == {"RFID001": 6}
    assert reader.usage(Month("2024-01")) == {}


def test_months_in_which_something_was_used(ledger: Ledger, reader: LedgerReader) -> None:
    """The newest first, also one long closed."""
    earlier = next(change.booking for change in group(3) if isinstance(change, ch.AddBooking))
    asyncio.run(ledger.commit([ch.AddBooking(replace(earlier, month=Month("2024-12")))]))

    assert reader.months() == ["2025-11", "2024-12"]


def test_users_and_month_in_force(ledger: Ledger, reader: LedgerReader) -> None:
    """None at first; then what was put last."""
    assert reader.in_force() == (UserTable(), None)
    table = UserTable({IdTag("RFID001"): User(IdTag("RFID001"), Account("A"), "John", "Doe", Wh(5000))})
    asyncio.run(ledger.commit([ch.PutUsers(table), ch.PutOpenMonth(Month("2025-11"))]))

    assert reader.in_force() == (table, "2025-11")


def test_notes_that_have_a_figure(ledger: Ledger, reader: LedgerReader) -> None:
    """Of this very name, whatever its value."""
    figures = {4: (("by", ""),), 5: (("byte", "1"), ("wh", "by")), 6: (("wh", "1"), ("by", "Ann"))}
    notes = [ch.AddNote(n, Note(NoteKind.STOP, NOW, "deed", figures=found)) for n, found in figures.items()]
    asyncio.run(ledger.commit(notes))

    assert [number for number, _ in reader.notes(Wanted(), with_figure="by")] == [6, 4]
    assert [number for number, _ in reader.notes(Wanted(before=6), (NoteKind.STOP,), with_figure="by")] == [4]


def test_a_page_is_never_longer_than_it_may_be(ledger: Ledger, reader: LedgerReader) -> None:
    """Whatever the limit that is asked for; at least one entry."""
    asyncio.run(ledger.commit([note(number, NoteKind.ODDITY) for number in range(4, 4 + MOST_IN_A_PAGE)]))

    assert len(reader.notes(Wanted(limit=10_000))) == MOST_IN_A_PAGE
    assert len(reader.notes(Wanted(limit=0))) == 1


def test_a_ledger_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """With its path; none is made by looking for it."""
    path = tmp_path / "ledger.db"
    with pytest.raises(LedgerError, match=f"the ledger {path} cannot be read"):
        LedgerReader(path).notes(Wanted())

    assert not path.exists()


@pytest.mark.parametrize(
    ("wanted", "state", "numbers"),
    [
        (Wanted(), None, [3, 2, 1]),
        (Wanted(before=3, limit=1), None, [2]),
        (Wanted(), SetAsideState.OPEN, [3, 1]),
        (Wanted(charge_point_id="CP2"), None, [3]),
        (Wanted(transaction_id=7), SetAsideState.DROPPED, [2]),
        (Wanted(until=NOW), None, []),
    ],
)
def test_energy_that_was_set_aside_is_found_newest_first(
    ledger: Ledger, reader: LedgerReader, wanted: Wanted, state: SetAsideState | None, numbers: list[int]
) -> None:
    """By place, session and what became of it."""
    one = SetAside(1, SetAsideKind.READING, NOW, NOW, "CP1", 1, 7, "RFID001", "why", wh=Wh(5))
    changes = [one, replace(one, number=2, state=SetAsideState.DROPPED), replace(one, number=3, charge_point_id="CP2")]
    asyncio.run(ledger.commit([ch.PutSetAside(change) for change in changes]))

    assert [number for number, _ in reader.set_aside(wanted, state)] == numbers
