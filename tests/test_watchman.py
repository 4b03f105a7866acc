"""`watchman`: looks for alerts when the state changed and now and then, and writes nothing while nothing is new."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from turned_clock import LIMIT_S, TurnedClock

from ocpp_server import watchman as module
from ocpp_server.central_system import CentralSystem, CommitError
from ocpp_server.core.commands import (
    BootNotification,
    Command,
    Connect,
    Disconnect,
    Heartbeat,
    LookForAlerts,
    RecordConfiguration,
    Reply,
    StatusNotification,
    TableState,
)
from ocpp_server.core.records import NoteKind
from ocpp_server.core.site import Policy
from ocpp_server.core.users import ChargerRow, UserTable
from ocpp_server.storage.chargers_file import ChargersFile
from ocpp_server.storage.csv_text import RowProblem
from ocpp_server.storage.memory_store import MemoryStore
from ocpp_server.storage.users_file import UsersFile
from ocpp_server.watchman import Watchman, table_state

T0 = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
GIB = 1024**3


class Watched:
    """A site with a watchman who walks."""

    def __init__(self, folder: Path) -> None:
        self.clock = TurnedClock(T0)
        self.store = MemoryStore(Policy(ZoneInfo("UTC")), T0)
        self.central = CentralSystem(self.store, self.store.load())
        self.tables: tuple[TableState, ...] = ()
        self.looks: list[LookForAlerts] = []
        self.watchman = Watchman(self.central, folder, self.clock, lambda: self.tables)
        self._looked = asyncio.Event()
        self._handle = self.central.handle
        self.central.handle = self._counting  # type: ignore[method-assign]
        self._tasks: list[asyncio.Task[None]] = []

    def run(self) -> None:
        self._tasks = [asyncio.create_task(self.central.run()), asyncio.create_task(self.watchman.run())]

    async def end(self) -> None:
        for task in self._tasks:
            assert not task.done()
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def until_looked(self, times: int) -> None:
        """Wait until the watchman looked so often, and sleeps again: its look at the disk is a thread's."""
        async with asyncio.timeout(LIMIT_S):
            while len(self.looks) < times:
                self._looked.clear()
                await self._looked.wait()
        await self.clock.asleep()

    async def do(self, *commands: Command) -> None:
        for command in commands:
            await self.central.handle(command)

    async def boot(self) -> None:
        now = self.clock.now()
        told = RecordConfiguration("CP1", now, (("MeterValueSampleInterval", "60"),), is_complete=True)
        await self.do(Connect("CP1", now), BootNotification("CP1", now, "Vendor"), told)

    @property
    def ids(self) -> set[str]:
        return set(self.central.site.alerts)

    async def _counting(self, command: Command) -> Reply:
        reply = await self._handle(command)
        if isinstance(command, LookForAlerts):
            self.looks.append(command)
            self._looked.set()
        return reply


@pytest.fixture
async def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Watched]:
    monkeypatch.setattr(module, "_disk", lambda _folder: (100 * GIB, 500 * GIB))
    watched = Watched(tmp_path)
    watched.run()
    await watched.until_looked(1)
    yield watched
    await watched.end()


async def test_an_alert_comes_and_goes_with_the_state(site: Watched) -> None:
    """Within the seconds of one spacing, without anybody telling the watchman."""
    await site.boot()
    await site.do(StatusNotification("CP1", T0, 1, "Faulted", "GroundFailure"))
    await site.clock.advance(5)
    await site.until_looked(2)
    raised = site.ids
    await site.do(StatusNotification("CP1", T0, 1, "Available", "NoError"))
    await site.clock.advance(5)
    await site.until_looked(3)

    assert (raised, site.ids) == ({"fault-1-CP1"}, set())


async def test_many_messages_in_a_row_are_one_look_and_no_write(site: Watched) -> None:
    """A look costs, and on the way of messages nothing is written beside what they bring themselves."""
    await site.boot()
    await site.clock.advance(5)
    await site.until_looked(2)
    groups = len(site.store.groups)
    for second in range(1, 5):
        await site.do(Heartbeat("CP1", T0 + timedelta(seconds=second)))
    await site.clock.advance(4)
    before = len(site.looks)
    await site.clock.advance(1)
    await site.until_looked(before + 1)

    assert (before, len(site.looks)) == (2, 3)
    assert len(site.store.groups) == groups + 4


async def test_silence_is_found_though_nothing_happens(site: Watched) -> None:
    """On a timer, every 30 s; once found it is not found again."""
    await site.boot()
    await site.do(Disconnect("CP1", T0))
    for _ in range(33):
        looked = len(site.looks)
        await site.clock.advance(30)
        await site.until_looked(looked + 1)
    notes = [note.text for note in site.central.site.notes if note.kind is NoteKind.ALERT]

    assert site.ids == {"silent-CP1"}
    assert notes == ["raised: charge point silent"]


async def test_a_jump_of_the_clock_makes_nobody_silent(site: Watched) -> None:
    """What seems like hours was a second: the time to be heard of begins anew."""
    await site.boot()
    await site.do(Disconnect("CP1", T0))
    site.clock.jump(timedelta(hours=3))
    await site.clock.advance(30)
    await site.until_looked(2)

    assert site.ids == set()
    assert site.looks[0].listening_since == T0
    assert site.looks[-1].listening_since == site.looks[-1].at > T0 + timedelta(hours=3)


async def test_an_even_clock_keeps_its_beginning(site: Watched) -> None:
    """Small corrections by NTP are no jump."""
    for _ in range(3):
        looked = len(site.looks)
        site.clock.jump(timedelta(seconds=20))
        await site.clock.advance(30)
        await site.until_looked(looked + 1)

    assert {look.listening_since for look in site.looks} == {T0}


async def test_what_the_tables_tell_reaches_the_core(site: Watched) -> None:
    """A rejected users1.csv."""
    site.tables = (TableState("users1.csv", "users1.csv: there is no column id_tag"),)
    await site.clock.advance(30)
    await site.until_looked(2)

    assert site.central.site.alerts["file-users1.csv"].kind == "users file rejected"


async def test_the_disk_of_the_data_is_looked_at(tmp_path: Path) -> None:
    """As it is; a folder that is gone tells nothing."""
    here, gone = Watched(tmp_path), Watched(tmp_path / "gone")
    for watched in (here, gone):
        committing = asyncio.create_task(watched.central.run())
        await watched.watchman.look()
        committing.cancel()
        await asyncio.wait([committing])

    assert here.looks[0].disk_free is not None
    assert 0 < here.looks[0].disk_free < here.looks[0].disk_size
    assert (gone.looks[0].disk_free, gone.ids & {"disk"}) == (None, set())


async def _never(*_: object) -> None:
    raise AssertionError("nothing is put in force here")


def test_what_is_wrong_with_a_table_is_told_in_rows() -> None:
    """Two problems of one row are one bad row; a warning rejects none."""
    users, chargers = UsersFile(UserTable(), _never), ChargersFile({"CP1": ChargerRow("CP1")}, _never)
    users.problems = (
        RowProblem(3, "note", "is long", "warning"),
        RowProblem(4, "quota_kwh", "is not a number"),
        RowProblem(4, "blocked", "is not yes or no"),
        RowProblem(9, "id_tag", "is missing"),
    )
    rows = table_state("users1.csv", users)
    users.last_error, users.problems = "users1.csv: no header", ()

    assert rows == TableState("users1.csv", "", 2, "users1.csv row 4: quota_kwh is not a number")
    assert table_state("users1.csv", users, "missing").error == "users1.csv: no header"
    assert table_state("chargers.csv", chargers) == TableState("chargers.csv")


def test_a_file_that_is_not_there_is_an_error() -> None:
    """Of users1.csv; chargers.csv is optional, so nobody hands its trouble on."""
    users = UsersFile(UserTable(), _never)

    assert table_state("users1.csv", users, "missing").error == "users1.csv cannot be read: missing"


async def test_the_end_of_the_ledger_ends_the_watch(tmp_path: Path) -> None:
    """A failed commit ends the server (docs/architecture.md); the watchman does not swallow it."""
    watched = Watched(tmp_path)
    watched.store.failure = OSError("no space left")
    watched.tables = (TableState("users1.csv", "users1.csv: no header"),)
    committing = asyncio.create_task(watched.central.run())

    async with asyncio.timeout(LIMIT_S):
        with pytest.raises(CommitError, match="no space left"):
            await watched.watchman.run()
    await asyncio.gather(committing, return_exceptions=True)
