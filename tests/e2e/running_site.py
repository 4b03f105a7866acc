"""A whole site in one process: the real server on a data folder, its files, and charge points that connect to it."""

import asyncio
import csv
import json
import random
import socket
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

from raw_charge_point import RawChargePoint
from stepped_clock import SteppedClock

from ocpp_server.app import RunningServer, running
from ocpp_server.clock import Clock
from ocpp_server.core.records import Note, NoteKind, Transaction
from ocpp_server.settings import Settings
from ocpp_server.storage.verify import verify
from simulator import GENERIC, Brand, SimulatedChargePoint
from simulator import Clock as ChargePointClock

Json: TypeAlias = Any

MORNING = datetime(2025, 1, 15, 10, 30, tzinfo=UTC)
ZONE = "Europe/Istanbul"
_HEADER = "id_tag,name,surname,quota_kwh,unlimited,account\r\n"
_PEOPLE = {
    "RFID001": ("John,Doe", "150,FALSE"),
    "RFID002": ("Jane,Smith", "200,FALSE"),
    "RFID003": ("Admin,User", ",TRUE"),
}
_LOOK_EVERY_S = 0.05


def people(*, without: str = "", account: str = "", **quotas_kwh: float) -> str:
    """users1.csv with John (RFID001, 150 kWh), Jane (RFID002, 200 kWh) and Admin (RFID003, unlimited).

    `quotas_kwh` gives other quotas by tag; `account` is shared by John and Jane.
    """
    rows = []
    for tag, (name, usual) in _PEOPLE.items():
        quota = f"{quotas_kwh[tag]:g},FALSE" if tag in quotas_kwh else usual
        shared = account if tag in ("RFID001", "RFID002") else ""
        if tag != without:
            rows.append(f"{tag},{name},{quota},{shared}\r\n")
    return _HEADER + "".join(rows)


class RunningSite:
    """The server, what it has published, and ways to reach it. On a SteppedClock nothing happens by itself."""

    def __init__(self, data_dir: Path, clock: Clock, charge_point_clock: ChargePointClock, **settings: Any) -> None:
        self.data_dir = data_dir
        self.clock = clock
        self.charge_point_clock = charge_point_clock
        usual = {
            "data_dir": data_dir,
            "ocpp_host": "127.0.0.1",
            "ocpp_port": _free_port(),
            "api_port": 0,
            "timezone": ZONE,
            "ping_interval_s": 0.0,
            "max_message_rate": 0.0,
        }
        self.settings = Settings(_env_file=None, **(usual | settings))
        self._charge_points: list[SimulatedChargePoint | RawChargePoint] = []
        self._server: RunningServer | None = None
        self._serving: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()
        self._changed = asyncio.Event()

    @property
    def server(self) -> RunningServer:
        """The parts of the running server."""
        assert self._server is not None
        return self._server

    @property
    def steps(self) -> SteppedClock:
        """The clock, where the test turns it."""
        assert isinstance(self.clock, SteppedClock)
        return self.clock

    @property
    def url(self) -> str:
        """What is typed into a charge point."""
        return f"ws://127.0.0.1:{self.settings.ocpp_port}"

    async def start(self) -> None:
        """Start the server; raises what stands in its way."""
        self._stop.clear()
        started = asyncio.Event()
        self._serving = asyncio.create_task(self._serve(started), name="server")
        starting = asyncio.create_task(started.wait())
        await asyncio.wait({starting, self._serving}, return_when=asyncio.FIRST_COMPLETED)
        starting.cancel()
        if self._serving.done():
            await self._serving

    async def stop(self) -> None:
        """An orderly stop, as on SIGTERM; raises what went wrong in the server."""
        if self._serving is not None:
            serving, self._serving = self._serving, None
            self._stop.set()
            await serving

    async def restart(self) -> None:
        """Stop and start again on the same folder and port; simulated charge points come back by themselves."""
        await self.stop()
        await self.start()
        simulated = [one for one in self._charge_points if isinstance(one, SimulatedChargePoint)]
        for one in simulated:
            await one.until(lambda one=one: one.is_connected and not one.queued)  # type: ignore[misc]

    async def close(self) -> None:
        """Switch off the charge points, then stop the server."""
        for charge_point in self._charge_points:
            await charge_point.close()
        await self.stop()

    async def plug(self, charger_id: str = "CP1", brand: Brand = GENERIC, **options: Any) -> SimulatedChargePoint:
        """A simulated charge point, booted, its configuration looked over."""
        charge_point = SimulatedChargePoint(charger_id, self.url, brand, self.charge_point_clock, **options)
        await charge_point.open()
        self._charge_points.append(charge_point)
        await charge_point.booted()
        if isinstance(self.clock, SteppedClock):
            await self.clock.advance(2)
        return charge_point

    async def connect(
        self, charger_id: str = "CP1", *, vendor: str = "Generic", boots: bool = True, **options: Any
    ) -> RawChargePoint:
        """A charge point whose frames the test writes; booted unless told not to be."""
        charge_point = RawChargePoint(charger_id, self.url, self.clock)
        await charge_point.connect(**options)
        self._charge_points.append(charge_point)
        if boots:
            await charge_point.boot(vendor)
        return charge_point

    async def advance(self, seconds: float) -> None:
        """Turn the clock."""
        await self.steps.advance(seconds)

    async def published(self) -> None:
        """Let the publisher write what has happened: its second of patience passes."""
        await self.steps.advance(1)

    async def until(self, claim: Callable[[], object], limit_s: float = 20.0) -> None:
        """Return once the claim is true, looked at after each change of the state and every 50 ms (for files).

        Raises TimeoutError after real seconds. The only place that waits by looking.
        """
        async with asyncio.timeout(limit_s):
            while not claim():
                self._changed.clear()
                try:
                    async with asyncio.timeout(_LOOK_EVERY_S):
                        await self._changed.wait()
                except TimeoutError:
                    continue

    async def change_users(self, text: str) -> None:
        """Save users1.csv as an editor does, and wait until the watcher has put it in force."""
        before = self.server.central.site.users
        (self.data_dir / "users1.csv").write_bytes(text.encode())
        await self.until(lambda: self.server.central.site.users is not before)

    def usage(self) -> dict[str, float]:
        """energy_usage.json."""
        return self._json("energy_usage.json")

    def active(self) -> dict[str, dict[str, Any]]:
        """active_transactions.json."""
        return self._json("active_transactions.json")

    def chargers(self) -> dict[str, dict[str, Any]]:
        """charger_status.json."""
        return self._json("charger_status.json")

    def log(self) -> list[dict[str, Any]]:
        """meter_data_log.json."""
        return self._json("meter_data_log.json")

    def alerts(self) -> list[dict[str, Any]]:
        """alerts.json."""
        return self._json("alerts.json")

    def status(self) -> dict[str, Any]:
        """server_status.json."""
        return self._json("server_status.json")

    def users_report(self) -> dict[str, Any]:
        """users_report.json."""
        return self._json("users_report.json")

    def closed_usage(self, month: str) -> dict[str, float]:
        """archive/energy_usage-YYYY-MM.json."""
        return self._json(f"archive/energy_usage-{month}.json")

    def sessions(self, month: str = "2025-01") -> list[dict[str, str]]:
        """archive/sessions-YYYY-MM.csv, one dictionary per row."""
        path = self.data_dir / "archive" / f"sessions-{month}.csv"
        if not path.exists():
            return []
        with path.open(encoding="utf-8-sig", newline="") as rows:
            return list(csv.DictReader(rows))

    def problems(self) -> list[str]:
        """What `verify` finds wrong with books and files."""
        return verify(self.data_dir / "ledger.db", self.data_dir, patience_s=0)

    def notes(self, kind: NoteKind) -> list[Note]:
        """What the server noted of this kind, oldest first."""
        return [note for note in self.server.central.site.notes if note.kind is kind]

    def transaction(self, transaction_id: int) -> Transaction:
        """The session as the server knows it."""
        return self.server.central.site.transactions[transaction_id]

    def _json(self, name: str) -> Any:
        return json.loads((self.data_dir / name).read_bytes())

    async def _serve(self, started: asyncio.Event) -> None:
        async with running(self.settings, self.clock) as server:
            self._server = server
            server.central.listen(lambda _changes: self._changed.set())
            started.set()
            await self._stop.wait()


SiteFactory: TypeAlias = Callable[..., Awaitable[RunningSite]]
"""The fixture `site`."""


def _free_port() -> int:
    """A port that stays the same over a restart: below those that the system hands out to clients."""
    while True:
        port = random.randint(15_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
