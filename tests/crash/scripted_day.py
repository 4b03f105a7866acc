"""A short day of a site, driven through the whole server in this process: the import of an older site's files, three
charge points, a refused tag, an edit of users1.csv, a correction, a reading that is set aside and accepted, the turn of
the month.

Each step is a message or an event with its own time. `acknowledged` is called with the number of each step once its
effect is durable; a day that was cut short goes on with the steps that were not acknowledged, as charge points do.
"""

import asyncio
import functools
import heapq
import json
import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ocpp_server import parts
from ocpp_server.app import RunningServer, running
from ocpp_server.clock import Clock
from ocpp_server.control_api.token import read_token
from ocpp_server.core.commands import (
    AcceptSetAside,
    Adjust,
    BootNotification,
    Command,
    Heartbeat,
    MeterValues,
    Started,
    StartTransaction,
    StatusNotification,
    StopTransaction,
)
from ocpp_server.core.energy import Wh
from ocpp_server.core.meter import MeterValue, SampledValue
from ocpp_server.core.users import IdTag
from ocpp_server.settings import Settings
from ocpp_server.storage.verify import verify
from ocpp_server.users_watcher import TableWatcher

EVENING = datetime(2025, 10, 31, 23, 0, tzinfo=UTC)
"""The day begins an hour before the month ends."""
BEFORE = datetime(2025, 10, 31, 20, 0, tzinfo=UTC)
"""When the older site's files were written."""
_SLEEPERS = 6
"""Loops of the server that wait for the clock when nothing is to be done."""
_IDLE = timedelta(seconds=5)
"""So long nothing happens before a step: the files are written, and the next change is published at once."""
_LIMIT_S = 20.0
_CORRECTED = "RFID002"
"""Gets kWh back in the course of the day, so that an older file may show more."""

FIRST_USERS = "id_tag,name,surname,quota_kwh,unlimited\nRFID001,John,Doe,500,FALSE\nRFID002,Jane,Smith,,TRUE\n"
LATER_USERS = FIRST_USERS + "RFID003,New,Driver,50,FALSE\n"
OLD_FILES: dict[str, Any] = {
    "energy_usage.json": {"RFID001": 85.5, "RFID002": 120.3},
    "active_transactions.json": {
        "1234567890": {
            "id_tag": "RFID001",
            "start_meter": 85.5,
            "start_time": "2025-10-31T19:00:00Z",
            "last_meter": 88.2,
            "full_name": "John Doe",
            "charger_id": "SCHNEIDER_01",
        }
    },
    "charger_status.json": {
        "SCHNEIDER_01": {
            "name": "SCHNEIDER_01",
            "brand": "SCHNEIDER",
            "status": "Charging",
            "last_heartbeat": "2025-10-31T19:59:00Z",
            "total_energy_delivered": 1523.5,
            "connector_id": 1,
        }
    },
    "meter_data_log.json": [],
}
_IMPORTED = OLD_FILES["active_transactions.json"]
HAND_EDIT = {"RFID001": 1.5, "RFID002": 2.0}
"""kWh that somebody writes into energy_usage.json after an orderly stop."""


class TurnedClock(Clock):
    """Stands still until it is turned. `settled` tells that every loop of the server waits for it again."""

    def __init__(self, now: datetime) -> None:
        super().__init__()
        self._now = now
        self._begin = now
        self._sleepers: list[tuple[datetime, int, asyncio.Future[None]]] = []
        self._count = 0

    def now(self) -> datetime:
        return self._now

    def real_now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return 1000.0 + (self._now - self._begin).total_seconds()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)
        wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._count += 1
        heapq.heappush(self._sleepers, (self._now + timedelta(seconds=max(0.0, seconds)), self._count, wake))
        try:
            await wake
        finally:
            self._sleepers = [sleeper for sleeper in self._sleepers if sleeper[2] is not wake]
            heapq.heapify(self._sleepers)

    async def wait_for(self, event: asyncio.Event, seconds: float) -> bool:
        if event.is_set():
            return True
        sleeping = asyncio.ensure_future(self.sleep(seconds))
        waiting = asyncio.ensure_future(event.wait())
        try:
            await asyncio.wait([sleeping, waiting], return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            waiting.cancel()
        return event.is_set()

    async def turn_to(self, when: datetime, is_settled: Callable[[], bool]) -> None:
        """Turn it forward at once, wake everybody who is due, and let the server come to rest."""
        self._now = max(self._now, when)
        while self._sleepers and self._sleepers[0][0] <= self._now:
            heapq.heappop(self._sleepers)[2].set_result(None)
        await self.settle(is_settled)

    async def settle(self, is_settled: Callable[[], bool]) -> None:
        async with asyncio.timeout(_LIMIT_S):
            calm = 0
            while calm < 3:
                await asyncio.sleep(0.0005)
                calm = calm + 1 if len(self._sleepers) >= _SLEEPERS and is_settled() else 0


@dataclass(frozen=True, slots=True)
class Step:
    """`at`: minutes after the day began. `group`: steps of one group are sent at once."""

    number: int
    at: datetime
    make: Callable[["Day"], Command] | None = None
    users: str = ""


def _stamp(minute: float) -> str:
    return (EVENING + timedelta(minutes=minute)).isoformat().replace("+00:00", "Z")


def _minute(minute: float) -> datetime:
    return EVENING + timedelta(minutes=minute, seconds=1)


class Day:
    """The steps, and what the charge points know: their transaction ids, by the number of the step that began them."""

    def __init__(self, ids: dict[int, int]) -> None:
        self.ids = ids
        self.steps: list[Step] = []
        self.expected: Counter[str] = Counter()
        self._script()

    def _script(self) -> None:
        add = self._add
        add(0, lambda day, at: BootNotification("CP_A", at, "Acme", "One"))
        add(0, lambda day, at: BootNotification("CP_B", at, "Acme", "Two"))
        add(0, lambda day, at: BootNotification("CP_C", at, "Acme", "Two"))
        add(0, lambda day, at: StatusNotification("CP_A", at, 1, "Preparing", "NoError", "", _stamp(0)))
        first = self._start(1, "CP_A", "RFID001", 10_000)
        other = self._start(1, "CP_B", "RFID002", 500_000)
        self._meter(2, "CP_A", first, 10_150)
        self._meter(2, "CP_B", other, 500_300)
        self._meter(3, "CP_A", first, 10_330)
        self._meter(5, "SCHNEIDER_01", 1234567890, 88_700)
        self._add(6, None, users=LATER_USERS)
        third = self._start(8, "CP_C", "RFID003", 0)
        refused = self._start(9, "CP_C", "STRANGER", 0, connector=2)
        self._meter(10, "CP_C", third, 250)
        add(11, lambda day, at: Adjust(at, IdTag("RFID002"), Wh(-300), "goodwill", "test"))
        self.expected["RFID002"] -= 300
        self._stop(12, "CP_A", first, 10_900, "RFID001", 10_000)
        self._stop(13, "CP_C", refused, 0, "STRANGER", 0)
        jumping = self._start(14, "CP_C", "RFID001", 1_000, connector=2)
        self._meter(15, "CP_C", jumping, 1_200)
        self._meter(16, "CP_C", jumping, 61_200)
        add(17, lambda day, at: AcceptSetAside(at, 1, "test", "seen on the meter"))
        self._stop(18, "CP_C", jumping, 61_500, "RFID001", 1_000)
        self._meter(55, "CP_B", other, 510_000)
        add(61, lambda day, at: Heartbeat("CP_A", at))
        self._meter(65, "CP_B", other, 512_000)
        again = self._start(66, "CP_A", "RFID001", 10_900)
        self._stop(67, "SCHNEIDER_01", 1234567890, 89_200, "RFID001", 88_200)
        self._meter(68, "CP_A", again, 11_000)
        self._stop(70, "CP_A", again, 11_200, "RFID001", 10_900)
        self._stop(71, "CP_B", other, 512_500, "RFID002", 500_000)
        self._stop(72, "CP_C", third, 600, "RFID003", 0)
        self.expected["RFID001"] += 85_500
        self.expected["RFID002"] += 120_300

    def _add(self, minute: float, make: Callable[["Day", datetime], Command] | None, users: str = "") -> int:
        number, at = len(self.steps), _minute(minute)
        self.steps.append(Step(number, at, None if make is None else (lambda day: make(day, at)), users))
        return number

    def _start(self, minute: float, charger: str, tag: str, meter: int, connector: int = 1) -> int:
        return self._add(minute, lambda day, at: StartTransaction(charger, at, connector, tag, meter, _stamp(minute)))

    def _meter(self, minute: float, charger: str, start: int, register: int) -> None:
        sampled = SampledValue(str(register), "Energy.Active.Import.Register", "Wh")
        values = (MeterValue(_stamp(minute), (sampled,)),)
        self._add(minute, lambda day, at: MeterValues(charger, at, 1, day.ids.get(start, start), values))

    def _stop(self, minute: float, charger: str, start: int, register: int, tag: str, begin: int) -> None:
        self._add(
            minute,
            lambda day, at: StopTransaction(charger, at, day.ids.get(start, start), register, _stamp(minute), tag),
        )
        self.expected[tag] += register - begin


@functools.cache
def _make_quick() -> None:
    """Tables come to rest at once here: what is tried is the reload, not the patience before it."""
    parts.TableWatcher = functools.partial(TableWatcher, settle_s=0.02, poll_s=0.05)  # type: ignore[misc,assignment]


def edit_by_hand(data_dir: Path) -> None:
    """What a person does to energy_usage.json while the server is stopped."""
    (data_dir / "energy_usage.json").write_text(json.dumps(HAND_EDIT), encoding="utf-8")


def settings_of(data_dir: Path) -> Settings:
    return Settings(
        _env_file=None,  # type: ignore[call-arg]
        data_dir=data_dir,
        ocpp_host="127.0.0.1",
        ocpp_port=0,
        api_port=0,
        timezone="UTC",
        configure_charge_points=False,
        max_message_rate=0,
    )


def make_old_site(data_dir: Path) -> None:
    """The folder that an older server left behind."""
    data_dir.mkdir(mode=0o750)
    (data_dir / "users1.csv").write_text(FIRST_USERS, encoding="utf-8")
    for name, document in OLD_FILES.items():
        path = data_dir / name
        path.write_text(json.dumps(document), encoding="utf-8")
        os.utime(path, (BEFORE.timestamp(), BEFORE.timestamp()))


async def live(
    data_dir: Path,
    done: set[int],
    ids: dict[int, int],
    acknowledged: Callable[[int, int], None],
    *,
    only_start: bool = False,
) -> None:
    """Start the server, send what was not acknowledged (nothing if `only_start`), stop the server in order."""
    _make_quick()
    day = Day(ids)
    left = [] if only_start else [step for step in day.steps if step.number not in done]
    begin = left[0].at if left else day.steps[-1].at
    clock = TurnedClock(begin + timedelta(seconds=20 if done else 0))
    async with running(settings_of(data_dir), clock) as server:
        central = server.central

        def is_settled() -> bool:
            return central.durable == central.applied

        await clock.settle(is_settled)
        for group in _groups(left):
            await clock.turn_to(group[0].at - _IDLE, is_settled)
            await clock.turn_to(group[0].at, is_settled)
            await asyncio.gather(*(_carry_out(server, day, step, data_dir, acknowledged) for step in group))
        await clock.turn_to(clock.now() + timedelta(seconds=15), is_settled)


def _groups(steps: Sequence[Step]) -> list[list[Step]]:
    """Steps of the same minute are sent at once: they share a commit."""
    groups: list[list[Step]] = []
    for step in steps:
        if groups and groups[-1][0].at == step.at:
            groups[-1].append(step)
        else:
            groups.append([step])
    return groups


async def _carry_out(
    server: RunningServer, day: Day, step: Step, data_dir: Path, acknowledged: Callable[[int, int], None]
) -> None:
    if step.make is None:
        await _edit_users(server, data_dir, step.users)
        acknowledged(step.number, 0)
        return
    command = step.make(day)
    if isinstance(command, Adjust) and any(note.text == command.reason for note in server.central.site.notes):
        acknowledged(step.number, 0)  # a person looks into the books before doing it again
        return
    reply = await server.central.handle(command)
    number = reply.transaction_id if isinstance(reply, Started) else 0
    if number:
        day.ids[step.number] = number
    acknowledged(step.number, number)


async def _edit_users(server: RunningServer, data_dir: Path, users: str) -> None:
    """Save users1.csv as an editor does, and wait until the new user is in force."""
    changed = server.central.subscribe()
    temporary = data_dir / "users1.csv.part"
    temporary.write_text(users, encoding="utf-8")
    temporary.replace(data_dir / "users1.csv")
    async with asyncio.timeout(_LIMIT_S):
        while "RFID003" not in server.central.site.users.users:
            changed.clear()
            await changed.wait()
    await server.central.until_durable(server.central.applied)


def books(data_dir: Path) -> dict[str, Any]:
    """What must be the same, wherever a day was cut: Wh by month and tag, by charge point, by session."""
    with closing(sqlite3.connect(f"file:{data_dir / 'ledger.db'}?mode=ro", uri=True)) as ledger:
        transactions = ledger.execute("SELECT charge_point_id, id_tag, started_at, ended_at FROM transactions")
        return {
            "usage": sorted(ledger.execute("SELECT month, id_tag, wh FROM usage WHERE wh <> 0")),
            "delivered": sorted(ledger.execute("SELECT charge_point_id, wh FROM delivered")),
            "sessions": sorted(transactions),
            "adjusted": list(ledger.execute("SELECT count(*) FROM bookings WHERE kind = 'adjustment'")),
            "imported": list(ledger.execute("SELECT count(*) FROM bookings WHERE kind = 'import'")),
            "set aside": list(ledger.execute("SELECT number, state FROM set_aside ORDER BY number")),
            "accepted": list(ledger.execute("SELECT sum(wh) FROM bookings WHERE reason LIKE 'set aside 1: %'")),
        }


def wh_by_tag(found: dict[str, Any]) -> dict[str, int]:
    """The totals of `books`, over the months."""
    totals: Counter[str] = Counter()
    for _month, tag, wh in found["usage"]:
        totals[tag] += wh
    return dict(totals)


def problems_of(data_dir: Path, ids: dict[int, int]) -> list[str]:
    """What is wrong with the folder after the whole day and an orderly stop."""
    problems = [*verify(data_dir / "ledger.db", data_dir), *untold(data_dir)]
    with closing(sqlite3.connect(f"file:{data_dir / 'ledger.db'}?mode=ro", uri=True)) as ledger:
        in_ledger = {number for (number,) in ledger.execute("SELECT transaction_id FROM transactions")}
        is_clean = ledger.execute("SELECT count(*) FROM meta WHERE key = 'clean'").fetchone()[0]
    if not set(ids.values()) <= in_ledger:
        problems.append(f"acknowledged transactions are gone: {set(ids.values()) - in_ledger}")
    if min(in_ledger) <= 0:
        problems.append(f"an id is not positive: {sorted(in_ledger)}")
    if len(set(ids.values())) != len(ids):
        problems.append(f"a transaction id was given twice: {ids}")
    if not is_clean:
        problems.append("the ledger is not marked clean after an orderly stop")
    if not read_token(data_dir):
        problems.append("api_token is empty")
    leftovers = [path.name for path in data_dir.rglob("*") if ".tmp-" in path.name]
    return [*problems, *unreadable_files(data_dir), *(f"left behind: {name}" for name in leftovers)]


def untold(data_dir: Path) -> list[str]:
    """Sessions whose begin or end is not among the events, or is there twice. The imported one began elsewhere."""
    told = "SELECT json_extract(document, '$.session.transaction_id'), type FROM events WHERE type GLOB 'session.st*ed'"
    with closing(sqlite3.connect(f"file:{data_dir / 'ledger.db'}?mode=ro", uri=True)) as ledger:
        found = Counter(ledger.execute(told))
        sessions = ledger.execute("SELECT transaction_id, ended_at FROM transactions").fetchall()
    expected = Counter((number, "session.started") for number, _ in sessions if str(number) not in _IMPORTED)
    expected += Counter((number, "session.stopped") for number, ended_at in sessions if ended_at is not None)
    return [] if found == expected else [f"events of sessions: {found - expected} too many, {expected - found} missing"]


def views_ahead(data_dir: Path) -> list[str]:
    """Tags for which energy_usage.json shows more than the ledger holds in any month."""
    path = data_dir / "energy_usage.json"
    if not path.exists() or not (data_dir / "ledger.db").exists():
        return []
    with closing(sqlite3.connect(f"file:{data_dir / 'ledger.db'}?mode=ro", uri=True)) as ledger:
        try:
            if ledger.execute("SELECT count(*) FROM meta WHERE key IN ('new', 'clean')").fetchone()[0]:
                return []  # it is still the file of the older site, or a person's
        except sqlite3.OperationalError:
            return []  # it was never finished
        most: dict[str, int] = dict(ledger.execute("SELECT id_tag, max(wh) FROM usage GROUP BY 1"))
    shown = {tag: round(kwh * 1000) for tag, kwh in json.loads(path.read_bytes()).items()}
    shown.pop(_CORRECTED, None)
    return [f"energy_usage.json is ahead: {tag} {wh} Wh" for tag, wh in shown.items() if wh > most.get(tag, 0)]


def unreadable_files(data_dir: Path) -> list[str]:
    """Published files that are not whole."""
    problems = []
    for path in [*data_dir.glob("*.json"), *data_dir.glob("archive/*.json")]:
        try:
            json.loads(path.read_bytes())
        except ValueError as error:
            problems.append(f"{path.name} is not whole: {error}")
    return problems


def views(data_dir: Path) -> dict[str, bytes]:
    """The files that a restart must not change."""
    names = ("energy_usage.json", "active_transactions.json", "meter_data_log.json", "alerts.json")
    archive = {f"archive/{path.name}": path.read_bytes() for path in data_dir.glob("archive/*")}
    return {name: (data_dir / name).read_bytes() for name in names} | archive
