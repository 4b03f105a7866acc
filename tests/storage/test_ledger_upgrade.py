"""`storage.ledger_upgrade`: a ledger of an older version goes on; a copy of it is kept (docs/files.md)."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ocpp_server.core import changes as ch
from ocpp_server.core.commands import MeterValues
from ocpp_server.core.decide import decide
from ocpp_server.core.meter import MeterValue, SampledValue
from ocpp_server.core.period import Month
from ocpp_server.core.set_aside import SetAside, SetAsideKind
from ocpp_server.core.site import Policy, apply
from ocpp_server.storage import ledger_file, ledger_upgrade
from ocpp_server.storage.errors import LedgerError
from ocpp_server.storage.ledger import Ledger
from ocpp_server.storage.ledger_reader import LedgerReader, Wanted
from ocpp_server.storage.ledger_schema import SCHEMA_VERSION
from ocpp_server.storage.site_backup import staged
from ocpp_server.storage.verify import verify_copy

FIRST = Path(__file__).with_name("ledger_of_version_1.sql")
"""Written by the last version with schema 1: two sessions, one with a reading that was set aside, and an orphan."""
POLICY = Policy(ZoneInfo("Europe/Istanbul"))
NOW = datetime(2025, 1, 15, 10, 0, tzinfo=UTC)
OPEN, ENDED = 1_216_800, 1_216_801
ONE = SetAside(1, SetAsideKind.ORPHAN, NOW, NOW, "CP1", None, None, "RFID001", "why")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A data folder of version 1."""
    path = tmp_path / "ledger.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(FIRST.read_text(encoding="utf-8"))
        connection.execute("PRAGMA journal_mode = WAL")
    return path


@contextmanager
def opened(path: Path) -> Iterator[Ledger]:
    ledger = Ledger(path, POLICY, NOW, reserve_bytes=0)
    try:
        ledger.open()
        yield ledger
    finally:
        ledger.close()


def ask(path: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def schema(path: Path) -> tuple[list[Any], list[Any]]:
    return ask(path, "PRAGMA user_version"), ask(path, "SELECT type, name, sql FROM sqlite_master ORDER BY 1, 2")


def test_the_books_of_an_older_ledger_go_on(path: Path) -> None:
    """Every booking, session and note is there, and what is set aside from now on is kept."""
    before = ask(path, "SELECT * FROM bookings"), ask(path, "SELECT * FROM notes")
    with opened(path) as ledger:
        site = ledger.load()
        asyncio.run(ledger.commit([ch.PutSetAside(ONE)]))
    with opened(path) as ledger:
        again = ledger.load()

    assert (ask(path, "SELECT * FROM bookings"), ask(path, "SELECT * FROM notes")) == before
    assert site.usage == {(Month("2025-01"), "RFID001"): 300, (Month("2025-01"), "RFID002"): 700}
    assert (site.transactions[OPEN].energy, site.transactions[ENDED].energy) == (300, 700)
    assert (site.transactions[OPEN].register.doubted, site.next_set_aside_number) == ((), 1)
    assert (again.open_set_aside, again.next_set_aside_number) == ({1: ONE}, 2)
    assert verify_copy(path) == []


def test_an_upgraded_ledger_is_as_a_new_one(path: Path, tmp_path: Path) -> None:
    """The same tables, indexes and triggers."""
    with opened(path):
        pass
    new = tmp_path / "new" / "ledger.db"
    new.parent.mkdir()
    with opened(new):
        pass

    assert schema(path) == schema(new)
    assert schema(path)[0] == [(SCHEMA_VERSION,)]


def test_a_copy_of_the_older_ledger_is_kept(path: Path) -> None:
    """For the version that wrote it: that one refuses the new schema. The next start makes no other copy."""
    before = schema(path), ask(path, "SELECT * FROM bookings")
    with opened(path):
        pass
    kept = path.with_name("ledger.db.schema-1")
    written = kept.stat().st_mtime_ns
    with opened(path):
        pass

    assert (schema(kept), ask(kept, "SELECT * FROM bookings")) == before
    assert (kept.stat().st_mode & 0o777, kept.stat().st_mtime_ns) == (0o600, written)


def test_without_a_copy_nothing_is_upgraded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk: the older version can still go on with its ledger."""

    def no_room(*_: object) -> None:
        raise LedgerError("no backup: No space left on device")

    before = schema(path)
    monkeypatch.setattr(ledger_file, "backup", no_room)

    with pytest.raises(LedgerError, match="No space left"), opened(path):
        pass
    assert schema(path) == before


@pytest.mark.parametrize("failing", ["CREATE TABLE", "CREATE INDEX"])
def test_an_upgrade_that_breaks_off_leaves_the_older_ledger(
    path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """It is one transaction; the next start does it again."""
    with monkeypatch.context() as broken:
        whole = ledger_upgrade.sql.UPGRADES[1]
        broken.setitem(ledger_upgrade.sql.UPGRADES, 1, whole.replace(failing, f"{failing} nonsense nonsense"))
        before = schema(path)
        with pytest.raises(LedgerError), opened(path):
            pass
        assert schema(path) == before

    with opened(path):
        pass
    assert schema(path)[0] == [(SCHEMA_VERSION,)]


def test_a_reader_of_an_older_ledger_finds_nothing_set_aside(path: Path) -> None:
    """`explain` and `set-aside list` before the first start of the new version."""
    reader = LedgerReader(path)

    assert reader.set_aside(Wanted()) == []
    assert [number for number, _ in reader.transactions(Wanted())] == [ENDED, OPEN]


def test_a_backup_of_an_older_ledger_is_restored(path: Path, tmp_path: Path) -> None:
    """It is upgraded beside the site before it is looked over; the backup itself stays as it is."""
    source = tmp_path / "ledger-2025-01-15.db"
    ledger_file.backup(path, source)
    data_dir = tmp_path / "data"
    data_dir.mkdir()

    with staged(source, data_dir, POLICY, NOW) as folder:
        assert schema(folder / "ledger.db")[0] == [(SCHEMA_VERSION,)]
        assert verify_copy(folder / "ledger.db") == []
    assert schema(source)[0] == [(1,)]


def test_a_session_with_a_reading_that_an_older_version_set_aside_goes_on(path: Path) -> None:
    """That one left a note only: its step stays out, the growth from it is booked."""
    with opened(path) as ledger:
        site = ledger.load()
    at = datetime(2025, 1, 15, 9, 3, tzinfo=UTC)
    value = MeterValue("2025-01-15T09:03:00Z", (SampledValue("160700", unit="Wh"),))
    for change in decide(site, MeterValues("SCHNEIDER/EVlinkProAC", at, 1, OPEN, (value,))).changes:
        apply(site, change)

    assert (site.transactions[OPEN].energy, site.open_set_aside) == (700, {})
