"""A backup taken while a site is busy is one moment of it: restored, the books add up and the sessions go on."""

import asyncio
import os
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

from raw_charge_point import RawChargePoint
from running_site import RunningSite, SiteFactory

from ocpp_server import backup_command
from ocpp_server.settings import PROJECT_FOLDER, Settings
from ocpp_server.storage.ledger_reader import LedgerReader, Wanted
from ocpp_server.storage.verify import verify

_CHARGE_POINTS = 20
_STEP_WH = 50
_LEAST_READINGS = 100
"""During the backup, from all charge points together."""


class _Busy:
    """A charge point in the middle of a session. It sends readings as fast as they are answered."""

    def __init__(self, charge_point: RawChargePoint, transaction: int) -> None:
        self.charge_point = charge_point
        self.transaction = transaction
        self.register = 0
        self.sent = 0

    async def charge(self, done: asyncio.Event) -> None:
        while not done.is_set():
            self.register += _STEP_WH
            await self.charge_point.meter(self.transaction, self.register)
            self.sent += 1


async def _typed(data_dir: Path, *arguments: str) -> tuple[int, str]:
    """A command in a process of its own: exit code, and what it printed."""
    own = {name: value for name, value in os.environ.items() if not name.upper().startswith("EVQUOTA_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ocpp_server", *arguments),
        cwd=PROJECT_FOLDER,
        env=own | {"EVQUOTA_DATA_DIR": str(data_dir), "EVQUOTA_TIMEZONE": "Europe/Istanbul"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()


async def _begin(site: RunningSite, number: int) -> _Busy:
    charge_point = await site.connect(f"CP{number}")
    transaction, status = await charge_point.start("RFID003", meter=0)
    assert status == "Accepted"
    return _Busy(charge_point, transaction)


async def test_a_backup_taken_while_20_charge_points_charge_restores_to_books_that_add_up(
    site: SiteFactory, tmp_path: Path
) -> None:
    """`backup` beside the server, `restore` into another folder: `verify` accepts it, no session is missing, each has
    what it had at that moment, and a server that goes on from there books the rest of each session to the Wh.
    """
    busy_site = await site(factor=3600.0)  # an hour of charging in a second: 50 Wh are believed
    busy = [await _begin(busy_site, number) for number in range(_CHARGE_POINTS)]
    done = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for one in busy:
            group.create_task(one.charge(done))
        await busy_site.until(lambda: all(one.sent for one in busy))
        before = {one.transaction: one.register - _STEP_WH for one in busy}
        sent = sum(one.sent for one in busy)
        made = await _typed(busy_site.data_dir, "backup", str(tmp_path / "busy.zip"))
        after = {one.transaction: one.register for one in busy}
        sent = sum(one.sent for one in busy) - sent
        done.set()
    await busy_site.close()

    settings = Settings(_env_file=None, data_dir=tmp_path / "restored", timezone="Europe/Istanbul")
    wanted = Namespace(file=str(tmp_path / "busy.zip"), books_only=False)
    restored = await asyncio.to_thread(backup_command.restore, settings, wanted)
    problems = verify(tmp_path / "restored" / "ledger.db", tmp_path / "restored")
    ledger = LedgerReader(tmp_path / "restored" / "ledger.db")
    sessions = dict(ledger.transactions(Wanted(), is_open=True))

    assert made[0] == 0, made
    assert restored == 0
    assert problems == []
    assert sessions.keys() == before.keys()
    assert all(before[number] <= one.energy <= after[number] for number, one in sessions.items())
    assert any(one.energy for one in sessions.values())
    assert sent >= _LEAST_READINGS, "the site was not busy"

    await _go_on(tmp_path / "restored", busy_site, busy)
    ended = dict(ledger.transactions(Wanted(), is_open=False))
    assert {number: one.energy for number, one in ended.items()} == {one.transaction: one.register for one in busy}
    assert verify(tmp_path / "restored" / "ledger.db", tmp_path / "restored") == []


async def _go_on(data_dir: Path, before: RunningSite, busy: list[_Busy]) -> None:
    """The same charge points come to a server on the restored folder, and end their sessions there."""
    restored = RunningSite(data_dir, before.clock, before.charge_point_clock)
    await restored.start()
    try:
        for one in busy:
            charge_point = await restored.connect(one.charge_point.charger_id)
            await charge_point.stop(one.transaction, one.register)
    finally:
        await restored.close()
