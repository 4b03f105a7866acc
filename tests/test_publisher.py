"""`publisher`: the files in data/ follow the state, never ahead of the ledger (F2, F5, F10)."""

import asyncio
import errno
import hashlib
import json
import logging
import os
import stat
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from turned_clock import LIMIT_S, TurnedClock, let_others_run

from ocpp_server.central_system import CentralSystem, CommitError
from ocpp_server.core import changes as ch
from ocpp_server.core.commands import (
    Authorize,
    BootNotification,
    Command,
    Connect,
    Heartbeat,
    MeterValues,
    OpenMonth,
    RaiseAlert,
    ReplaceUsers,
    ResolveAlert,
    Started,
    StartTransaction,
    StopTransaction,
    UndoMonth,
)
from ocpp_server.core.energy import Wh
from ocpp_server.core.meter import MeterValue, SampledValue
from ocpp_server.core.period import Month
from ocpp_server.core.records import EndKind
from ocpp_server.core.site import Policy, forget_ended, kept_since
from ocpp_server.core.users import Account, IdTag, User, UserTable
from ocpp_server.publisher import Publisher
from ocpp_server.storage import atomic_file, view_files
from ocpp_server.storage.memory_store import MemoryStore

T0 = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
POLICY = Policy(ZoneInfo("Europe/Istanbul"))
NOVEMBER, DECEMBER = Month("2026-11"), Month("2026-12")
CURRENT = {
    "energy_usage.json",
    "active_transactions.json",
    "charger_status.json",
    "meter_data_log.json",
    "alerts.json",
    "users_report.json",
    "server_status.json",
}


class Site:
    """A site that publishes into a folder, with sessions in it."""

    def __init__(self, folder: Path, store: MemoryStore, clock: TurnedClock) -> None:
        self.folder, self.store, self.clock = folder, store, clock
        self.central = CentralSystem(store, store.load())
        self.status = b'{"status": 1}\n'
        self.users_report = b'{"problems": []}\n'
        self.publisher = Publisher(
            self.central, folder, clock, status=lambda: self.status, users_report=lambda: self.users_report
        )
        self.tasks = [asyncio.create_task(self.central.run())]

    async def end(self) -> None:
        if self.store.gate is not None:
            self.store.gate.set()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def handle(self, *commands: Command) -> None:
        for command in commands:
            await self.central.handle(command)

    def run(self) -> asyncio.Task[None]:
        """Publish in the background, as the server does."""
        self.tasks.append(asyncio.create_task(self.publisher.run()))
        return self.tasks[-1]

    async def session(self, charge_point_id: str = "CP1", tag: str = "RFID001") -> int:
        now = self.clock.now()
        await self.handle(Connect(charge_point_id, now), BootNotification(charge_point_id, now, "Vendor"))
        reply = await self.central.handle(StartTransaction(charge_point_id, now, 1, tag, 0, now.isoformat()))
        assert isinstance(reply, Started)
        return reply.transaction_id

    async def read(self, number: int, register: int, at: datetime | None = None) -> None:
        stamp = at or self.clock.now()
        values = (MeterValue(stamp.isoformat(), (SampledValue(str(register), unit="Wh"),)),)
        charge_point_id = self.central.site.transactions[number].charge_point_id
        await self.handle(MeterValues(charge_point_id, self.clock.now(), 1, number, values))

    async def stop(self, number: int, register: int, at: datetime | None = None) -> None:
        stamp = at or self.clock.now()
        charge_point_id = self.central.site.transactions[number].charge_point_id
        await self.handle(
            StopTransaction(charge_point_id, self.clock.now(), number, register, stamp.isoformat(), reason="Local")
        )

    async def charge(self, minutes: int, wh: int) -> None:
        """A whole session."""
        number = await self.session()
        self.clock.jump(timedelta(minutes=minutes))
        await self.stop(number, wh)

    def read_json(self, name: str) -> Any:
        return json.loads((self.folder / name).read_bytes())

    def names(self) -> set[str]:
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file()}


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock(T0)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(POLICY, T0)


Restart = Callable[[], Awaitable[Site]]


@pytest.fixture
async def start(tmp_path: Path, store: MemoryStore, clock: TurnedClock) -> AsyncIterator[Restart]:
    """Give a function that (re)starts the site on the same folder and store."""
    sites: list[Site] = []
    folder = tmp_path / "data"
    folder.mkdir(mode=0o750)

    async def start() -> Site:
        if sites:
            await sites[-1].end()
        sites.append(Site(folder, store, clock))
        return sites[-1]

    yield start
    for site in sites:
        await site.end()


@pytest.fixture
async def site(start: Restart) -> Site:
    site = await start()
    user = User(IdTag("RFID001"), Account("RFID001"), "John", "Doe", Wh(1_000_000))
    await site.handle(OpenMonth(T0, NOVEMBER), ReplaceUsers(T0, UserTable({user.id_tag: user})))
    return site


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_the_first_publish_writes_every_view(site: Site) -> None:
    """Also those in which nothing is yet; mode 0640."""
    await site.publisher.publish()

    assert site.names() == CURRENT | {"archive/energy_hourly-2026-11.json"}
    assert {mode(site.folder / name) for name in site.names()} == {0o640}
    assert mode(site.folder / "archive") == 0o750
    assert site.read_json("server_status.json") == {"status": 1}
    assert site.read_json("energy_usage.json") == {}


async def test_a_session_is_seen_in_every_file_it_belongs_to(site: Site) -> None:
    """The life of one MeterValues, as far as the files."""
    await site.publisher.publish()
    number = await site.session()
    site.clock.jump(timedelta(minutes=1))
    await site.read(number, 183)
    await site.publisher.publish()

    assert site.read_json("energy_usage.json") == {"RFID001": 0.183}
    assert site.read_json("active_transactions.json")[str(number)]["energy_kwh"] == 0.183
    assert site.read_json("charger_status.json")["CP1"]["total_energy_delivered"] == 0.183
    assert [entry["deliveredEnergy"] for entry in site.read_json("meter_data_log.json")] == [0.183]

    await site.stop(number, 200)
    await site.publisher.publish()
    assert site.read_json("active_transactions.json") == {}
    rows = (site.folder / "archive" / "sessions-2026-11.csv").read_text("utf-8-sig").splitlines()
    assert len(rows) == 2
    assert ",0.2," in rows[1]


async def test_alerts_and_refused_tags_are_published(site: Site) -> None:
    """Each with the report that other parts of the server render."""
    await site.publisher.publish()
    site.users_report = b'{"refused": 1}\n'
    await site.handle(RaiseAlert(T0, "clock", "clock suspect", "it jumped"), Authorize("CP1", T0, "STRANGER"))
    await site.publisher.publish()

    assert [alert["id"] for alert in site.read_json("alerts.json")] == ["clock"]
    assert site.read_json("users_report.json") == {"refused": 1}
    await site.handle(ResolveAlert(T0, "clock"))
    await site.publisher.publish()
    assert site.read_json("alerts.json") == []


async def test_a_view_that_has_not_changed_is_not_written(site: Site) -> None:
    """Flash cards wear."""
    await site.publisher.publish()
    before = {name: (site.folder / name).stat().st_ino for name in site.names()}
    await site.handle(Heartbeat("CP1", T0))
    await site.publisher.publish()

    after = {name: (site.folder / name).stat().st_ino for name in site.names()}
    assert after == before


async def test_a_view_is_never_ahead_of_the_ledger(site: Site) -> None:
    """It replaces the file only once the change in it is durable."""
    number = await site.session()
    await site.publisher.publish()
    site.store.gate = asyncio.Event()
    site.clock.jump(timedelta(minutes=1))
    reading = asyncio.create_task(site.read(number, 183))
    await let_others_run()
    publishing = asyncio.create_task(site.publisher.publish())
    await let_others_run()
    assert site.central.site.usage == {(NOVEMBER, "RFID001"): 183}
    assert not publishing.done()
    assert site.read_json("energy_usage.json") == {}

    site.store.gate.set()
    async with asyncio.timeout(LIMIT_S):
        await asyncio.gather(reading, publishing)
    assert site.read_json("energy_usage.json") == {"RFID001": 0.183}


async def test_what_happens_while_a_view_waits_is_not_in_it_and_is_published_next(site: Site) -> None:
    """All files show one state, and none is forgotten."""
    number = await site.session()
    await site.publisher.publish()
    site.store.gate = asyncio.Event()
    site.clock.jump(timedelta(minutes=1))
    first = asyncio.create_task(site.read(number, 100))
    await let_others_run()
    publishing = asyncio.create_task(site.publisher.publish())
    await let_others_run()
    site.clock.jump(timedelta(minutes=1))
    second = asyncio.create_task(site.read(number, 200))
    await let_others_run()
    gate, site.store.gate = site.store.gate, asyncio.Event()
    gate.set()
    async with asyncio.timeout(LIMIT_S):
        await asyncio.gather(first, publishing)
    assert site.read_json("energy_usage.json") == {"RFID001": 0.1}

    site.store.gate.set()
    async with asyncio.timeout(LIMIT_S):
        await second
    await site.publisher.publish()
    assert site.read_json("energy_usage.json") == {"RFID001": 0.2}


async def test_nothing_is_published_of_what_could_not_be_committed(site: Site) -> None:
    """The publisher ends with the server."""
    await site.publisher.publish()
    site.store.failure = OSError(errno.ENOSPC, "No space left on device")
    failed = await asyncio.gather(site.session(), return_exceptions=True)

    assert isinstance(failed[0], CommitError)
    with pytest.raises(CommitError):
        await site.publisher.publish(is_final=True)
    assert site.read_json("charger_status.json") == {}


async def test_it_publishes_at_once_while_idle_and_at_most_once_a_second_under_load(site: Site) -> None:
    """At most 1 s late."""
    site.run()
    await site.clock.asleep()
    await site.clock.advance(5)
    await site.handle(RaiseAlert(T0, "a", "", ""))
    await site.clock.asleep()
    assert [alert["id"] for alert in site.read_json("alerts.json")] == ["a"]

    await site.handle(RaiseAlert(T0, "b", "", ""))
    await site.clock.advance(0.5)
    assert len(site.read_json("alerts.json")) == 1
    await site.clock.advance(0.5)
    await site.clock.asleep()
    assert len(site.read_json("alerts.json")) == 2


async def test_the_servers_own_status_is_written_every_ten_seconds(site: Site) -> None:
    """Older than 30 s means that the server is not running."""
    site.run()
    await site.clock.asleep()
    for second in range(1, 6):
        site.status = f'{{"time": {second}}}\n'.encode()
        await site.clock.advance(10)
        await site.clock.asleep()

        assert site.read_json("server_status.json") == {"time": second}


async def test_problems_of_the_users_file_are_told_without_a_change_of_the_users(site: Site) -> None:
    """A bad row keeps the last good one: nothing changes but the report."""
    site.run()
    await site.clock.asleep()
    site.users_report = b'{"problems": ["row 7"]}\n'
    await site.clock.advance(11)
    await site.clock.asleep()

    assert site.read_json("users_report.json") == {"problems": ["row 7"]}


async def test_a_month_that_closes_is_archived_at_once(site: Site) -> None:
    """Also when its last energy was booked long before midnight."""
    await site.charge(60, 7_000)
    await site.publisher.publish()
    await site.clock.advance(300)
    await site.publisher.publish()
    await site.handle(OpenMonth(T0 + timedelta(days=12), DECEMBER))
    await site.publisher.publish()

    assert site.read_json("archive/energy_usage-2026-11.json") == {"RFID001": 7.0}
    assert site.read_json("energy_usage.json") == {}


@pytest.mark.parametrize("is_killed", [False, True])
async def test_the_archive_of_a_month_that_was_closed_by_mistake_is_put_away(
    site: Site, start: Restart, *, is_killed: bool
) -> None:
    """It goes on, so its file is true no more; also if the server was killed before it could say so (rule 11)."""
    await site.charge(60, 7_000)
    await site.handle(OpenMonth(T0 + timedelta(days=12), DECEMBER))
    await site.publisher.publish()
    assert site.read_json("archive/energy_usage-2026-11.json") == {"RFID001": 7.0}
    undone = UndoMonth(site.clock.now(), DECEMBER, NOVEMBER, "clock was ahead", "Ann")

    await site.handle(undone)
    if is_killed:
        site = await start()
    await site.publisher.publish()
    put_away = [name for name in site.names() if "energy_usage-2026-11" in name]
    assert [name.split(".reopened-")[0] for name in put_away] == ["archive/energy_usage-2026-11.json"]
    assert len(put_away[0]) > len("archive/energy_usage-2026-11.json")
    assert site.read_json(put_away[0]) == site.read_json("energy_usage.json") == {"RFID001": 7.0}

    await site.handle(OpenMonth(T0 + timedelta(days=12), DECEMBER))
    await site.publisher.publish()
    assert site.read_json("archive/energy_usage-2026-11.json") == {"RFID001": 7.0}
    assert put_away[0] in site.names()


async def test_late_energy_goes_to_the_archive_of_its_month(site: Site) -> None:
    """Not to the new quota (rule 10)."""
    number = await site.session()
    site.clock.jump(datetime(2026, 12, 1, 8, 0, tzinfo=UTC) - T0)
    await site.handle(OpenMonth(site.clock.now(), DECEMBER))
    await site.publisher.publish()
    await site.read(number, 5_000, at=datetime(2026, 11, 30, 20, 0, tzinfo=UTC))
    await site.publisher.publish()
    assert site.read_json("archive/energy_usage-2026-11.json") == {"RFID001": 5.0}
    assert site.read_json("energy_usage.json") == {}

    await site.clock.advance(61)
    await site.publisher.publish()
    hourly = site.read_json("archive/energy_hourly-2026-11.json")
    assert sum(hourly["tags"]["RFID001"].values()) == pytest.approx(5.0)
    assert site.read_json("archive/energy_hourly-2026-12.json")["tags"] == {}


async def test_hourly_energy_follows_within_a_minute(site: Site) -> None:
    """kWh per charger and hour, and per tag and day."""
    await site.publisher.publish()
    await site.charge(30, 7_000)
    await site.clock.advance(61)
    await site.publisher.publish()

    assert site.read_json("archive/energy_hourly-2026-11.json") == {
        "month": "2026-11",
        "chargers": {"CP1": {"2026-11-20T13:00+03:00": 7.0}},
        "tags": {"RFID001": {"2026-11-20": 7.0}},
    }


async def test_an_archive_of_which_memory_knows_only_a_part_is_left_alone(site: Site, start: Restart) -> None:
    """A start loads 62 days: a half month must not replace a whole one."""
    early = datetime(2026, 9, 2, 10, 0, tzinfo=UTC)
    site.clock.jump(early - T0)
    await site.charge(30, 1_000)
    site.clock.jump(timedelta(days=25))
    await site.charge(30, 2_000)
    await site.publisher.publish()
    sessions = (site.folder / "archive" / "sessions-2026-09.csv").read_bytes()
    hourly = (site.folder / "archive" / "energy_hourly-2026-09.json").read_bytes()
    assert sessions.count(b"\r\n") == 3

    site.clock.jump(T0 - site.clock.now())
    again = await start()
    forget_ended(again.central.site, kept_since(site.clock.now()))
    assert len(again.central.site.transactions) == 1
    await again.publisher.publish(is_final=True)

    assert (site.folder / "archive" / "sessions-2026-09.csv").read_bytes() == sessions
    assert (site.folder / "archive" / "energy_hourly-2026-09.json").read_bytes() == hourly


async def test_a_session_that_goes_on_leaves_the_file_of_its_month(site: Site) -> None:
    """Closed as stale, reopened by its own readings (rule 22): it is not finished."""
    number = await site.session()
    session = site.central.site.transactions[number]
    ended = {"ended_at": T0, "ended_received_at": T0, "end_kind": EndKind.STALE}
    path = site.folder / "archive" / "sessions-2026-11.csv"

    async def put(**fields: Any) -> None:
        changed = ch.PutTransaction(replace(session, **fields))
        site.central._apply((changed,))
        await site.publisher.publish()

    await put(**ended)
    assert path.read_bytes().count(b"\r\n") == 2
    await put()
    assert path.read_bytes().count(b"\r\n") == 1
    await put(**ended)
    await put(**(ended | {"ended_at": T0 + timedelta(days=12)}))
    assert path.read_bytes().count(b"\r\n") == 1
    assert (site.folder / "archive" / "sessions-2026-12.csv").read_bytes().count(b"\r\n") == 2


async def test_a_restart_writes_the_views_anew(site: Site, start: Restart) -> None:
    """The ledger is the truth: a bad or missing view is replaced (F6)."""
    await site.charge(60, 7_000)
    await site.publisher.publish(is_final=True)
    expected = {name: (site.folder / name).read_bytes() for name in site.names()}
    for name in expected:
        (site.folder / name).write_bytes(b'{"half": ')
    again = await start()
    await again.publisher.publish()

    assert {name: (site.folder / name).read_bytes() for name in again.names()} == expected


async def test_an_edit_while_the_server_runs_is_set_aside_with_a_hint(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    """An editor's old copy would take back what others used meanwhile (F10)."""
    number = await site.session()
    await site.publisher.publish()
    (site.folder / "energy_usage.json").write_bytes(b'{"RFID001": -99}')
    site.clock.jump(timedelta(minutes=1))
    await site.read(number, 183)
    await site.publisher.publish()

    assert site.read_json("energy_usage.json") == {"RFID001": 0.183}
    (kept,) = site.folder.glob("*.set-aside-*")
    assert kept.name == "energy_usage.json.set-aside-20261120T100100Z"
    assert kept.read_bytes() == b'{"RFID001": -99}'
    assert "python -m ocpp_server adjust TAG KWH --reason TEXT" in caplog.text


async def test_an_edit_is_found_within_a_minute_also_when_nothing_changes(site: Site) -> None:
    """Else the dashboard would show it all night."""
    site.run()
    await site.clock.asleep()
    (site.folder / "energy_usage.json").write_bytes(b'{"RFID001": 0}')
    for _ in range(7):
        await site.clock.advance(10)
        await site.clock.asleep()

    assert site.read_json("energy_usage.json") == {}


async def test_a_folder_that_cannot_be_written_fails_no_message_and_heals(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    """Told in `last_error`, logged once while it lasts, tried again, logged when it is over (F5)."""
    caplog.set_level(logging.INFO)
    await site.publisher.publish()
    away = site.folder.rename(site.folder.with_name("away"))
    site.run()
    await site.clock.advance(1)
    number = await site.session()
    for minute in range(1, 6):
        site.clock.jump(timedelta(minutes=1))
        await site.read(number, minute * 183)
        await site.clock.advance(11)
        await site.clock.asleep()
    assert site.publisher.last_error.startswith("No such file or directory: ")
    assert "energy_usage.json" in site.publisher.last_error
    assert not site.folder.exists()

    away.rename(site.folder)
    await site.clock.advance(11)
    await site.clock.asleep()
    assert site.publisher.last_error == ""
    assert site.read_json("energy_usage.json") == {"RFID001": 0.915}
    told = [message for message in caplog.messages if message.startswith("[STATUS] files")]
    assert len(told) == 2
    assert told[0].startswith("[STATUS] files not written error=No such file or directory")
    assert told[1] == "[STATUS] files written again"


async def test_every_view_that_failed_is_written_when_it_heals(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also the archives, which change rarely."""
    replace_file = view_files.replace_file

    def fail(*_arguments: object, **_named: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    await site.publisher.publish()
    with monkeypatch.context() as full:
        full.setattr(view_files, "replace_file", fail)
        await site.charge(60, 7_000)
        await site.handle(OpenMonth(T0 + timedelta(days=12), DECEMBER), RaiseAlert(T0, "a", "", ""))
        await site.publisher.publish()
    assert "No space left" in site.publisher.last_error
    assert view_files.replace_file is replace_file
    await site.publisher.publish()

    assert site.publisher.last_error == ""
    assert site.read_json("archive/energy_usage-2026-11.json") == {"RFID001": 7.0}
    assert (site.folder / "archive" / "sessions-2026-11.csv").read_bytes().count(b"\r\n") == 2
    assert [alert["id"] for alert in site.read_json("alerts.json")] == ["a"]


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were made durable."""
    names: list[str] = []
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        names.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    monkeypatch.setattr(atomic_file.os, "fsync", noted)
    return names


async def test_views_are_made_durable_when_a_session_ends(site: Site, synced: list[str]) -> None:
    """And at a month roll, once a minute, at the end; not for each reading (flash cards wear)."""
    number = await site.session()
    await site.publisher.publish()
    synced.clear()
    site.clock.jump(timedelta(minutes=1))
    await site.read(number, 183)
    await site.publisher.publish()
    assert synced == []

    await site.stop(number, 200)
    await site.publisher.publish()
    assert any("energy_usage.json" in name for name in synced)
    assert any("meter_data_log.json" in name for name in synced)
    synced.clear()
    await site.handle(OpenMonth(T0 + timedelta(days=12), DECEMBER))
    await site.publisher.publish()
    assert any("energy_usage-2026-11.json" in name for name in synced)
    synced.clear()
    await site.handle(RaiseAlert(T0, "a", "", ""))
    await site.publisher.publish()
    assert synced == []
    await site.clock.advance(61)
    await site.publisher.publish()
    assert "alerts.json" in synced


async def test_a_session_that_ends_during_a_write_is_made_durable_next(
    site: Site, synced: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wish must not be taken back by the write that was under way."""
    number = await site.session()
    await site.publisher.publish()
    release, loop = threading.Event(), asyncio.get_running_loop()
    is_writing = asyncio.Event()
    write = site.publisher._files.write

    def slow(views: list[tuple[Path, bytes]], **how: Any) -> dict[Path, OSError]:
        loop.call_soon_threadsafe(is_writing.set)
        release.wait(LIMIT_S)
        return write(views, **how)

    monkeypatch.setattr(site.publisher._files, "write", slow)
    await site.clock.advance(61)
    publishing = asyncio.create_task(site.publisher.publish())
    async with asyncio.timeout(LIMIT_S):
        await is_writing.wait()
    await site.stop(number, 200)
    release.set()
    await publishing
    synced.clear()
    await site.publisher.publish()

    assert any("sessions-2026-11.csv" in name for name in synced)


async def test_a_publisher_that_is_ended_lets_its_thread_finish(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads at the same temporary file would mix two contents at the end of the server."""
    release, loop = threading.Event(), asyncio.get_running_loop()
    is_writing = asyncio.Event()
    writers: list[str] = []
    write = site.publisher._files.write

    def slow(views: list[tuple[Path, bytes]], **how: Any) -> dict[Path, OSError]:
        writers.append("begins")
        loop.call_soon_threadsafe(is_writing.set)
        release.wait(LIMIT_S)
        failures = write(views, **how)
        writers.append("ends")
        return failures

    monkeypatch.setattr(site.publisher._files, "write", slow)
    running = site.run()
    async with asyncio.timeout(LIMIT_S):
        await is_writing.wait()
    running.cancel()
    last = asyncio.create_task(site.publisher.publish(is_final=True))
    await let_others_run()
    assert writers == ["begins"]
    release.set()
    async with asyncio.timeout(LIMIT_S):
        await last

    assert writers == ["begins", "ends", "begins", "ends"]
    assert running.cancelled()


async def test_a_reader_never_sees_anything_but_whole_files(site: Site) -> None:
    """The dashboard reads in a tight loop while hundreds of views are published (F23)."""
    await site.publisher.publish()
    is_over = threading.Event()
    reads: list[int] = [0]
    broken: list[object] = []

    def read() -> None:
        while not is_over.is_set():
            for name in CURRENT:
                try:
                    json.loads((site.folder / name).read_bytes())
                except (OSError, ValueError) as error:
                    broken.append((name, error))
                reads[0] += 1

    reader = threading.Thread(target=read)
    reader.start()
    try:
        number = await site.session()
        for minute in range(1, 301):
            site.clock.jump(timedelta(minutes=1))
            await site.read(number, minute * 183)
            await site.publisher.publish()
    finally:
        is_over.set()
        reader.join()

    assert broken == []
    assert reads[0] > 0
    assert site.read_json("energy_usage.json") == {"RFID001": 54.9}


@pytest.mark.parametrize("name", ["\ud800", "a\x00\x1b\r\nb", "=HYPERLINK(1)", "Ş" * 10_000])
async def test_a_hostile_name_breaks_no_file(site: Site, name: str) -> None:
    """Charge point, tag and user from outside: every file stays valid (T14, T18)."""
    user = User(IdTag(name.strip()), Account(name.strip()), name, name, Wh(1_000_000))
    await site.handle(ReplaceUsers(T0, UserTable({user.id_tag: user})))
    number = await site.session(name, name)
    site.clock.jump(timedelta(minutes=1))
    await site.read(number, 183)
    await site.publisher.publish()
    await site.stop(number, 200)
    await site.publisher.publish(is_final=True)

    assert site.publisher.last_error == ""
    for path in site.folder.rglob("*.json"):
        json.loads(path.read_bytes().decode("utf-8"))
    assert (site.folder / "archive" / "sessions-2026-11.csv").read_bytes().decode("utf-8-sig")


async def test_digests_tell_a_later_edit(site: Site) -> None:
    """SHA-256 of each file as it was left, by name in the folder."""
    await site.publisher.publish(is_final=True)
    digests = site.publisher.digests()

    assert set(digests) == site.names()
    content = (site.folder / "energy_usage.json").read_bytes()
    assert digests["energy_usage.json"] == hashlib.sha256(content).hexdigest()


async def test_without_an_open_month_there_is_nothing_to_archive(start: Restart) -> None:
    """A clock that cannot be believed opens none (F17)."""
    site = await start()
    await site.publisher.publish()

    assert site.names() == CURRENT
    assert site.read_json("energy_usage.json") == {}
