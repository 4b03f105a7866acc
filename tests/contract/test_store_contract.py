"""What the central system relies on, for every implementation of its protocol `Store` (docs/architecture.md)."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import pytest
from any_record import NOW, POLICY, changes
from hypothesis import given, settings
from hypothesis import strategies as st

from ocpp_server.central_system import Store
from ocpp_server.core import changes as ch
from ocpp_server.core.energy import Wh
from ocpp_server.core.period import Month
from ocpp_server.core.records import Booking, BookingKind, Note, NoteKind, Reading
from ocpp_server.core.site import Site, apply, forget_ended
from ocpp_server.core.users import IdTag
from ocpp_server.storage.ledger import Ledger
from ocpp_server.storage.memory_store import MemoryStore

SECONDS_SINCE_2025 = 27_945_015


class Shelf(Protocol):
    """Where a store keeps what it has: opening it again gives a store with the same content."""

    def open(self) -> Store: ...
    def close(self) -> None: ...


class LedgerShelf:
    def __init__(self, folder: Path) -> None:
        self._path = folder / "ledger.db"
        self._ledger: Ledger | None = None

    def open(self) -> Store:
        self.close()
        self._ledger = Ledger(self._path, POLICY, NOW, reserve_bytes=0)
        self._ledger.open()
        return self._ledger

    def close(self) -> None:
        if self._ledger is not None:
            self._ledger.close()


class MemoryShelf:
    def __init__(self, folder: Path) -> None:
        self._store = MemoryStore(POLICY, NOW)

    def open(self) -> Store:
        return self._store

    def close(self) -> None:
        pass


SHELVES = pytest.mark.parametrize("kind", [LedgerShelf, MemoryShelf])


@contextmanager
def shelf(kind: type[LedgerShelf] | type[MemoryShelf]) -> Iterator[Shelf]:
    with TemporaryDirectory() as folder:
        opened = kind(Path(folder))
        try:
            yield opened
        finally:
            opened.close()


def commit(store: Store, *groups: Sequence[ch.Change]) -> None:
    async def all_of_them() -> None:
        for group in groups:
            await store.commit(group)

    asyncio.run(all_of_them())


def without_empty_indexes(site: Site) -> Site:
    """A transaction that ended leaves an empty index behind in memory; after a restart there is none."""
    return replace(
        site,
        open_by_charge_point={key: opened for key, opened in site.open_by_charge_point.items() if opened},
        open_by_tag={key: opened for key, opened in site.open_by_tag.items() if opened},
    )


def booking(number: int, wh: int, month: str = "2025-11") -> ch.AddBooking:
    hour = NOW.replace(minute=0, second=0, microsecond=0)
    entry = Booking(
        number, BookingKind.ENERGY, hour, Month(month), f"{month}-20", IdTag("RFID001"), Wh(wh), NOW, "LIVOLTEK_01"
    )
    return ch.AddBooking(entry)


def reading(number: int) -> ch.AddReading:
    return ch.AddReading(
        Reading(number, f"key {number}", NOW, "LIVOLTEK_01", 1, 7, "RFID001", "John Doe", 7200, Wh(number), None)
    )


@SHELVES
@given(made=changes(), cuts=st.lists(st.integers(0, 20), max_size=4))
@settings(max_examples=60, deadline=None)
def test_what_was_committed_is_loaded_again(kind: type[LedgerShelf], made: list[ch.Change], cuts: list[int]) -> None:
    """The state after a restart equals the state in memory, however the changes were grouped."""
    ends = sorted({*cuts, len(made)})
    groups = [made[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]
    with shelf(kind) as kept:
        store = kept.open()
        expected = store.load()
        commit(store, *groups)
        loaded = kept.open().load()
    for change in made:
        apply(expected, change)
    forget_ended(expected, (NOW - timedelta(days=62)).replace(microsecond=0))

    assert without_empty_indexes(loaded) == without_empty_indexes(expected)


@SHELVES
@given(made=changes())
@settings(max_examples=40, deadline=None)
def test_committing_the_same_changes_twice_changes_nothing(kind: type[LedgerShelf], made: list[ch.Change]) -> None:
    """A change is absolute, so that doing it twice is harmless (docs/architecture.md)."""
    with shelf(kind) as kept:
        store = kept.open()
        commit(store, made)
        once = kept.open().load()
        commit(kept.open(), made, made)
        twice = kept.open().load()

    assert without_empty_indexes(twice) == without_empty_indexes(once)


@SHELVES
def test_a_new_store_counts_transactions_from_the_seconds_since_2025(kind: type[LedgerShelf]) -> None:
    """A lost ledger reuses no transactionId (rule 18)."""
    with shelf(kind) as kept:
        site = kept.open().load()

    assert site.next_transaction_id == SECONDS_SINCE_2025
    assert site == Site(POLICY, next_transaction_id=SECONDS_SINCE_2025)


@SHELVES
def test_an_empty_commit_is_harmless(kind: type[LedgerShelf]) -> None:
    """A decision without changes joins no group, but nobody should have to know."""
    with shelf(kind) as kept:
        store = kept.open()
        before = store.load()
        commit(store, [])

        assert kept.open().load() == before


@SHELVES
def test_a_booking_counts_once_whatever_its_group(kind: type[LedgerShelf]) -> None:
    """Totals grow with new bookings only, twice in one group and in two groups."""
    with shelf(kind) as kept:
        commit(kept.open(), [booking(1, 100), booking(1, 100), booking(2, 20)], [booking(2, 20), booking(3, 3)])
        site = kept.open().load()

    assert site.usage == {("2025-11", "RFID001"): 123}
    assert site.delivered == {"LIVOLTEK_01": 123}
    assert site.energy_by_day == {("RFID001", "2025-11-20"): 123}
    assert list(site.energy_by_hour.values()) == [123]
    assert site.next_booking_id == 4


@SHELVES
def test_usage_of_all_months_is_there_after_a_restart(kind: type[LedgerShelf]) -> None:
    """Late energy goes to a closed month's archive, so its total must be known (rule 10)."""
    with shelf(kind) as kept:
        commit(kept.open(), [booking(1, 5, "2024-01"), booking(2, 7)])
        site = kept.open().load()

    assert site.usage == {("2024-01", "RFID001"): 5, ("2025-11", "RFID001"): 7}


@SHELVES
def test_the_newest_readings_and_notes_are_there_and_their_numbers_go_on(kind: type[LedgerShelf]) -> None:
    """Never more than 500 in memory (docs/files.md, meter_data_log.json)."""
    note = Note(NoteKind.ODDITY, NOW, "odd", figures=(("before_wh", "1"),))
    with shelf(kind) as kept:
        store = kept.open()
        commit(store, [reading(number) for number in range(1, 601)])
        commit(store, [ch.AddNote(number, replace(note, text=f"{number}")) for number in range(1, 601)])
        site = kept.open().load()

    assert [entry.number for entry in site.readings] == list(range(101, 601))
    assert site.reading_keys == {f"key {number}" for number in range(101, 601)}
    assert [entry.text for entry in site.notes] == [str(number) for number in range(101, 601)]
    assert (site.next_reading_number, site.next_note_number) == (601, 601)


async def test_the_memory_store_holds_a_commit_until_its_gate_opens() -> None:
    """A test can look at what happens between apply and durable."""
    store = MemoryStore(POLICY, NOW)
    store.gate = asyncio.Event()
    held = asyncio.create_task(store.commit([booking(1, 100)]))
    await asyncio.sleep(0)

    assert store.groups == []
    store.gate.set()
    await held
    assert store.groups == [(booking(1, 100),)]


async def test_the_memory_store_fails_when_it_is_told_to() -> None:
    """A failed commit keeps nothing."""
    store = MemoryStore(POLICY, NOW, [booking(1, 100)])
    store.failure = OSError(5, "Input/output error")

    with pytest.raises(OSError, match="Input/output"):
        await store.commit([booking(2, 100)])
    assert store.load().next_booking_id == 2
