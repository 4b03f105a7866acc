"""`storage.ledger`: what must hold whatever happens to the process or the disk (F1 to F7, F24)."""

import asyncio
import logging
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from any_record import NOW, POLICY, RECORDS, records
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_child import BOOKINGS, TRANSACTION_ID, group, transaction

from ocpp_server.core import changes as ch
from ocpp_server.core.energy import Wh
from ocpp_server.core.records import Alert, Note, NoteKind, RefusedTag
from ocpp_server.core.set_aside import SetAside, SetAsideKind, SetAsideState
from ocpp_server.core.site import Site
from ocpp_server.core.users import IdTag
from ocpp_server.storage import ledger_file
from ocpp_server.storage.errors import (
    LedgerDamagedError,
    LedgerError,
    LedgerInUseError,
    LedgerVersionError,
)
from ocpp_server.storage.ledger import Ledger
from ocpp_server.storage.ledger_codec import decode, encode
from ocpp_server.storage.verify import verify

CHILD = Path(__file__).with_name("ledger_child.py")
Open = Callable[..., Ledger]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the ledger is."""
    return tmp_path / "ledger.db"


@pytest.fixture
def open_ledger(path: Path) -> Iterator[Open]:
    """Open the ledger, as often as a test wants; all are closed at its end."""
    opened: list[Ledger] = []

    def open_it(at: Path = path, *, reserve_bytes: int = 0) -> Ledger:
        ledger = Ledger(at, POLICY, NOW, reserve_bytes=reserve_bytes)
        opened.append(ledger)
        ledger.open()
        return ledger

    yield open_it
    for ledger in opened:
        ledger.close()


def commit(ledger: Ledger, *groups: Sequence[ch.Change]) -> None:
    async def all_of_them() -> None:
        for changes in groups:
            await ledger.commit(changes)

    asyncio.run(all_of_them())


def crashed_copy(path: Path, folder: Path) -> Path:
    """The files of an open ledger as a power cut would leave them."""
    folder.mkdir()
    for file in path.parent.glob("ledger.db*"):
        shutil.copy(file, folder / file.name)
    return folder / path.name


def rows(path: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


@given(data=st.data())
@settings(max_examples=150, deadline=None)
@pytest.mark.parametrize("kind", RECORDS, ids=str)
def test_a_record_is_the_same_after_the_ledger(kind: Any, data: st.DataObject) -> None:
    """Decimals, times, tuples, enumerations, absent values and lone surrogates come back as they were."""
    record = data.draw(records(kind))

    assert decode(encode(record), kind) == record


def test_only_the_server_may_read_it(open_ledger: Open, tmp_path: Path) -> None:
    """Mode 0600 for the ledger, its log and its lock; users' names are in there (T23)."""
    commit(open_ledger(), group(1))
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}

    assert modes == dict.fromkeys(("ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.lock"), 0o600)


@pytest.mark.parametrize("name", ["ledger.db", "ledger.db-wal", "ledger.lock"])
def test_a_link_in_its_place_is_refused(name: str, open_ledger: Open, tmp_path: Path) -> None:
    """A planted link must not lead the server to write elsewhere (T23)."""
    target = tmp_path / "elsewhere"
    (tmp_path / name).symlink_to(target)

    with pytest.raises(LedgerError, match="symbolic link"):
        open_ledger()
    assert not target.exists()


def test_a_second_server_on_the_folder_is_refused_with_the_pid_of_the_first(open_ledger: Open) -> None:
    """Two writers would give the same transactionId twice (F24)."""
    open_ledger()

    with pytest.raises(LedgerInUseError, match=rf"another server runs .* pid {os.getpid()}: stop it first"):
        open_ledger()


def test_the_folder_is_free_again_after_close_and_after_a_failed_open(open_ledger: Open, path: Path) -> None:
    """A server that could not start does not keep the next one out."""
    path.write_bytes(b"this is no ledger" * 1000)
    with pytest.raises(LedgerDamagedError):
        open_ledger()
    path.unlink()
    first = open_ledger()
    first.close()
    first.close()

    assert open_ledger().is_new


def test_a_commit_before_open_or_after_close_is_refused(path: Path) -> None:
    """It must never look as if it had been stored."""
    ledger = Ledger(path, POLICY, NOW, reserve_bytes=0)

    with pytest.raises(LedgerError, match="is not open"):
        commit(ledger, group(1))
    ledger.close()
    with pytest.raises(LedgerError, match="is not open"):
        commit(ledger, group(1))


def test_a_newer_schema_is_refused(open_ledger: Open, path: Path) -> None:
    """An older program must not write into what it does not understand."""
    open_ledger().close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")

    with pytest.raises(LedgerVersionError, match=r"newer version of evquota .schema 99, this one knows 3"):
        open_ledger()


def test_another_program_s_database_is_refused(open_ledger: Open, path: Path) -> None:
    """Nothing is created in a file that is not ours."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE cars (name TEXT)")

    with pytest.raises(LedgerVersionError, match="no ledger of evquota"):
        open_ledger()
    assert rows(path, "SELECT name FROM sqlite_master") == [("cars",)]


def test_a_log_without_its_ledger_is_refused(open_ledger: Open, path: Path) -> None:
    """SQLite would delete the log, with everything that is only there."""
    path.with_name("ledger.db-wal").write_bytes(b"something")

    with pytest.raises(LedgerError, match=r"ledger.db-wal is there but .*ledger.db is not"):
        open_ledger()
    assert path.with_name("ledger.db-wal").read_bytes() == b"something"


def test_a_server_killed_while_it_creates_the_ledger_leaves_nothing_in_the_way(open_ledger: Open, path: Path) -> None:
    """An empty file, or one without tables, is a new ledger."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")

    assert path.stat().st_size
    assert open_ledger().is_new


def test_it_is_new_until_the_first_commit(open_ledger: Open) -> None:
    """A server killed before its import was committed imports at the next start."""
    open_ledger().close()
    ledger = open_ledger()

    assert ledger.is_new
    commit(ledger, group(1))
    ledger.close()
    assert not open_ledger().is_new


def test_the_mark_of_an_orderly_stop_stands_until_the_next_commit(open_ledger: Open) -> None:
    """A hand edit that was found but not booked yet is found again (F10)."""
    ledger = open_ledger()
    commit(ledger, group(1))
    ledger.mark_clean({"energy_usage.json": "abc"})
    ledger.close()
    seen = []
    for _ in range(2):
        ledger = open_ledger()
        seen.append((ledger.was_clean, ledger.content_hashes))
        ledger.close()
    ledger = open_ledger()
    commit(ledger, group(2))
    ledger.close()
    ledger = open_ledger()

    assert seen == [(True, {"energy_usage.json": "abc"})] * 2
    assert (ledger.was_clean, ledger.content_hashes) == (False, {})


def test_a_new_ledger_can_be_marked_as_stopped_in_order(open_ledger: Open) -> None:
    """After that it is not new: the files in the folder are its own."""
    ledger = open_ledger()
    ledger.mark_clean({})
    ledger.close()
    ledger = open_ledger()

    assert (ledger.is_new, ledger.was_clean) == (False, True)


def test_it_tells_when_it_was_last_written(open_ledger: Open, path: Path) -> None:
    """A published file that is much newer was edited by hand; opening the ledger must not hide that."""
    open_ledger().close()
    os.utime(path, (1_700_000_000, 1_700_000_000))
    verify(path, path.parent)  # leaves an empty log
    ledger = open_ledger()

    assert ledger.written_at is not None
    assert ledger.written_at.timestamp() == 1_700_000_000


@pytest.mark.parametrize("acknowledged", [1, 7, 40])
def test_after_a_kill_a_prefix_of_whole_groups_is_there(acknowledged: int, open_ledger: Open, path: Path) -> None:
    """No acknowledged Wh is lost, none is doubled, no group is there by half (F1)."""
    with subprocess.Popen([sys.executable, CHILD, path], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if int(line) == acknowledged:
                break
        child.kill()
        told = [int(line) for line in child.stdout if line.endswith("\n")]
    last_told = max([acknowledged, *told])
    ledger = open_ledger()
    site = ledger.load()
    energy = site.transactions[TRANSACTION_ID].energy

    assert not ledger.was_clean
    assert energy // BOOKINGS in (last_told, last_told + 1)
    assert site.usage == {("2025-11", "RFID001"): energy}
    assert site.next_booking_id == energy + 1
    assert site.next_reading_number == energy // BOOKINGS + 1
    assert verify(path, path.parent) == []


def test_after_an_error_of_the_disk_the_ledger_is_not_written_again(open_ledger: Open, path: Path) -> None:
    """What fsync lost it does not report twice (F4); what was acknowledged is there."""
    done = subprocess.run(
        [sys.executable, CHILD, path, "200000"], capture_output=True, text=True, timeout=50, check=True
    )
    *numbers, first, then = done.stdout.splitlines()
    site = open_ledger().load()

    assert "cannot be written: disk I/O error (SQLITE_IOERR_WRITE)" in first
    assert "failed before: disk I/O error" in then
    assert len(numbers) > 3
    assert site.next_reading_number == len(numbers) + 1
    assert site.transactions[TRANSACTION_ID].energy == len(numbers) * BOOKINGS


def test_a_group_that_cannot_be_written_leaves_no_trace(open_ledger: Open) -> None:
    """All of a commit or none of it; the error reaches the caller and the ledger can go on."""
    ledger = open_ledger()
    commit(ledger, group(1))
    too_large = ch.AddBooking(replace(group(2)[0].booking, wh=Wh(2**70)))

    with pytest.raises(OverflowError):
        commit(ledger, [*group(2)[1:], too_large])
    assert ledger.load().usage == {("2025-11", "RFID001"): BOOKINGS}
    commit(ledger, group(2))
    assert ledger.load().usage == {("2025-11", "RFID001"): 2 * BOOKINGS}


def test_after_an_unclean_end_the_log_is_taken_in(open_ledger: Open, path: Path) -> None:
    """It is merged and emptied before anything is read (F2)."""
    commit(open_ledger(), group(1), group(2))
    copy = crashed_copy(path, path.parent / "after the power cut")
    ledger = open_ledger(copy)

    assert copy.with_name("ledger.db-wal").stat().st_size == 0
    assert ledger.load().usage == {("2025-11", "RFID001"): 2 * BOOKINGS}


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    path.write_bytes(content)


def test_a_damaged_ledger_is_kept_and_the_way_back_is_told(open_ledger: Open, path: Path) -> None:
    """The message names the newest backup and what to do; starting again makes no second copy."""
    ledger = open_ledger()
    commit(ledger, *[group(number) for number in range(1, 30)])
    backup = path.parent / "backup" / "ledger-2025-11-20.db"
    ledger.backup(backup)
    ledger.close()
    damage(path)
    copies = []
    for _ in range(2):
        with pytest.raises(LedgerDamagedError, match=f"is damaged .* ocpp_server restore {backup}, start the server"):
            open_ledger()
        copies.append([file.read_bytes() for file in path.parent.glob("ledger.db.broken-20251120T103015Z")])

    assert copies == [[path.read_bytes()]] * 2
    assert len(list(path.parent.glob("*.broken-*"))) == 1


def test_a_damaged_ledger_without_a_backup_says_so(open_ledger: Open, path: Path) -> None:
    """Somebody has to decide to begin anew; the server does not."""
    path.write_bytes(b"PK\x03\x04" * 2000)

    with pytest.raises(LedgerDamagedError, match=r"There is no backup in .*backup: move ledger.db away"):
        open_ledger()


def test_damage_that_only_a_check_finds_stops_the_start_after_a_crash(open_ledger: Open, path: Path) -> None:
    """A page missing at the end need not be in the way of the first reader (F7)."""
    commit(open_ledger(), *[group(number) for number in range(1, 30)])
    copy = crashed_copy(path, path.parent / "after the power cut")
    with closing(sqlite3.connect(copy)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    copy.write_bytes(copy.read_bytes()[:-4096])

    with pytest.raises(LedgerDamagedError, match="is damaged"):
        open_ledger(copy)


def test_a_change_that_the_ledger_does_not_know_is_refused(open_ledger: Open) -> None:
    """A kind of change without a statement must not get lost in silence."""
    with pytest.raises(AssertionError):
        commit(open_ledger(), [*group(1), "no change"])  # type: ignore[list-item]


def test_alerts_follow_the_last_word_in_a_group(open_ledger: Open) -> None:
    """Raised and resolved, or resolved and raised again, before the disk was reached."""
    ledger = open_ledger()
    first, second = (Alert(alert_id, "kind", "text", NOW) for alert_id in ("first", "second"))
    commit(ledger, [ch.PutAlert(second)])
    commit(
        ledger,
        [ch.PutAlert(first), ch.RemoveAlert("first"), ch.RemoveAlert("second"), ch.PutAlert(second)],
    )

    assert ledger.load().alerts == {"second": second}


def test_a_document_that_cannot_be_read_stops_the_start(open_ledger: Open, path: Path) -> None:
    """Never swallowed: a transaction that is skipped is energy that is lost."""
    ledger = open_ledger()
    commit(ledger, group(1))
    ledger.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute('UPDATE transactions SET document = \'{"transaction_id": "one"}\'')
        connection.commit()
    ledger = open_ledger()

    with pytest.raises(LedgerDamagedError, match=r"an entry cannot be read: .*transaction_id"):
        ledger.load()


def test_a_backup_taken_while_it_is_written_is_a_whole_ledger(open_ledger: Open, path: Path) -> None:
    """SQLite's backup API: a tar of a live log is no backup (docs/architecture.md)."""
    ledger = open_ledger()
    target = path.parent / "backup" / "ledger.db"
    commit(ledger, group(1))
    ledger.backup(target)
    commit(ledger, group(2))
    ledger.backup(target)
    restored = open_ledger(target)

    assert restored.load() == ledger.load()
    assert not restored.was_clean
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert not list(target.parent.glob(".*"))


def test_a_backup_does_not_claim_an_orderly_stop(open_ledger: Open, path: Path) -> None:
    """The files that it would be compared with are newer than the backup."""
    ledger = open_ledger()
    ledger.mark_clean({"energy_usage.json": "abc"})
    ledger.backup(path.parent / "backup" / "ledger.db")

    assert not open_ledger(path.parent / "backup" / "ledger.db").was_clean


def test_a_backup_that_cannot_be_written_is_an_error_in_words(open_ledger: Open, path: Path) -> None:
    """And the earlier one stays."""
    ledger = open_ledger()
    (path.parent / "file").touch()

    with pytest.raises(LedgerError, match="no backup of"):
        ledger.backup(path.parent / "file" / "ledger.db")


def test_old_readings_and_notes_go_but_what_waits_for_a_person_stays(open_ledger: Open, path: Path) -> None:
    """The newest 5,000 readings and 20,000 notes, 200 refused tags; of set-aside energy and orphans as many again."""
    ledger = open_ledger()
    reading, note = group(1)[-1], Note(NoteKind.ODDITY, NOW, "odd")
    assert isinstance(reading, ch.AddReading)
    commit(ledger, [ch.AddReading(replace(reading.reading, number=number)) for number in range(1, 6001)])
    kinds = {1: NoteKind.SET_ASIDE, 2: NoteKind.ORPHAN}
    notes = [ch.AddNote(n, replace(note, kind=kinds.get(n, NoteKind.ODDITY))) for n in range(1, 22_501)]
    commit(ledger, notes)
    refused = RefusedTag("04A2", NOW, "LIVOLTEK_01", "unknown tag")
    commit(ledger, [ch.AddRefusedTag(number, refused) for number in range(1, 501)])
    site = ledger.load()
    ledger.close()

    assert rows(path, "SELECT min(number), max(number), count(*) FROM readings") == [(1001, 6000, 5000)]
    assert rows(path, "SELECT count(*) FROM notes WHERE kind = 'oddity'") == [(20_000,)]
    assert rows(path, "SELECT number, kind FROM notes ORDER BY number LIMIT 2") == [(1, "set aside"), (2, "orphan")]
    assert rows(path, "SELECT count(*) FROM refused_tags") == [(200,)]
    assert (site.next_reading_number, site.next_note_number, site.next_refusal_number) == (6001, 22_501, 501)


def test_what_was_withdrawn_goes_in_the_end_and_what_a_person_decided_stays(open_ledger: Open, path: Path) -> None:
    """The newest 20,000 or so; what is open and what was decided stands for ever, as the bookings do."""
    ledger = open_ledger()
    states = {1: SetAsideState.OPEN, 2: SetAsideState.ACCEPTED, 3: SetAsideState.DROPPED}
    one = SetAside(1, SetAsideKind.ORPHAN, NOW, NOW, "CP1", None, None, "RFID001", "why")
    numbers = range(1, 20_251)
    withdrawn = SetAsideState.WITHDRAWN
    commit(ledger, [ch.PutSetAside(replace(one, number=n, state=states.get(n, withdrawn))) for n in numbers])
    site = ledger.load()
    ledger.close()

    kept = [number for (number,) in rows(path, "SELECT number FROM set_aside ORDER BY number")]
    assert kept == [1, 2, 3, *range(251, 20_251)]
    assert (sorted(site.open_set_aside), sorted(site.decided_set_aside)) == ([1], [2, 3])
    assert site.next_set_aside_number == 20_251


@pytest.mark.parametrize("kind", [NoteKind.MESSAGE, NoteKind.ORPHAN])
def test_a_noisy_charge_point_does_not_push_out_the_notes_of_others(
    open_ledger: Open, path: Path, kind: NoteKind
) -> None:
    """T26: what is dropped is the oldest of those that have most; a document that is no JSON harms nobody."""
    ledger = open_ledger()
    note = Note(kind, NOW, "told", "QUIET")
    commit(ledger, [ch.AddNote(n, note) for n in range(1, 101)])
    commit(ledger, [ch.AddNote(101, replace(note, text="lone \ud800 surrogate"))])
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("UPDATE notes SET document = 'no JSON' WHERE number = 1")
    for begin in range(102, 60_000, 20_000):
        names = (f"NOISY{n % 2}" if n % 3 else "LOUD" for n in range(begin, begin + 20_000))
        commit(ledger, [ch.AddNote(n, replace(note, charge_point_id=name)) for n, name in enumerate(names, begin)])
    ledger.close()

    (total,) = rows(path, "SELECT count(*) FROM notes")[0]
    assert 20_000 <= total < 22_500
    assert rows(path, "SELECT count(*) FROM notes WHERE number <= 101") == [(101,)]
    by_name = rows(
        path,
        "SELECT json_extract(document, '$.charge_point_id') AS name, count(*), max(number) FROM notes "
        "WHERE number > 101 GROUP BY name ORDER BY name",
    )
    assert [name for name, _, _ in by_name] == ["LOUD", "NOISY0", "NOISY1"]
    assert all(count > 6_000 and newest > 60_000 for _, count, newest in by_name)


def test_transactions_go_on_from_the_largest_id(open_ledger: Open) -> None:
    """Never an id twice, also when the transaction ended long ago (rule 18)."""
    ledger = open_ledger()
    long_ago = NOW.replace(month=1)
    ended = replace(transaction(0), transaction_id=1_700_000_000, ended_at=long_ago)
    commit(ledger, [ch.PutTransaction(ended)])
    ledger.close()
    site = open_ledger().load()

    assert site.transactions == {}
    assert site.next_transaction_id == 1_700_000_001


def test_a_tag_that_sqlite_cannot_write_as_text_is_stored(open_ledger: Open) -> None:
    """JSON can spell a lone surrogate; if the ledger refused it, each retry would end the server (T14)."""
    tag = IdTag("\ud800\x00")
    booking, *_ = group(1)
    assert isinstance(booking, ch.AddBooking)
    ledger = open_ledger()
    odd = replace(transaction(1), id_tag=tag, stated_id_tag=tag)
    commit(ledger, [ch.AddBooking(replace(booking.booking, id_tag=tag)), ch.PutTransaction(odd)])
    ledger.close()
    site = open_ledger().load()

    assert site.usage == {("2025-11", tag): 1}
    assert site.transactions[TRANSACTION_ID] == odd


def test_a_reserve_is_held_back_and_given_up_when_the_disk_is_full(
    open_ledger: Open, path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With it the server can start on a full disk and say so (F3)."""
    caplog.set_level(logging.ERROR)
    reserve = path.with_name("reserve.bin")
    open_ledger(reserve_bytes=1_000_000).close()
    held_back = reserve.stat()
    full = SimpleNamespace(free=1000)
    monkeypatch.setattr(ledger_file.shutil, "disk_usage", lambda _: full)
    open_ledger(reserve_bytes=1_000_000).close()
    is_freed = not reserve.exists()
    open_ledger(reserve_bytes=1_000_000)

    assert (held_back.st_size, held_back.st_blocks * 512 >= 1_000_000) == (1_000_000, True)
    assert is_freed
    assert "disk full, reserve freed" in caplog.text
    assert not reserve.exists()


def test_a_folder_that_cannot_be_used_is_an_error_in_words(tmp_path: Path) -> None:
    """The person reads why, and no traceback (F5)."""
    ledger = Ledger(tmp_path / "missing" / "ledger.db", POLICY, NOW, reserve_bytes=0)

    with pytest.raises(LedgerError, match="cannot be opened: No such file or directory"):
        ledger.open()
    ledger.close()


def test_commits_that_wait_for_each_other_are_done_in_order(open_ledger: Open) -> None:
    """One writer thread: what was asked first is durable first."""
    ledger = open_ledger()
    done: list[int] = []

    async def one(number: int) -> None:
        await ledger.commit(group(number))
        done.append(number)

    async def all_at_once() -> None:
        async with asyncio.TaskGroup() as tasks:
            for number in range(1, 21):
                tasks.create_task(one(number))

    asyncio.run(all_at_once())
    site: Site = ledger.load()

    assert done == list(range(1, 21))
    assert site.transactions[TRANSACTION_ID].energy == 20 * BOOKINGS
