"""Has the core look for alerts, whenever the state changed and now and then, and tells it what the machine knows.

Which alerts are due is decided in `core.alerts`; here is only when to look, and what to look at beside the state: the
disk, the tables that people edit, and since when charge points could be heard.
"""

import asyncio
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from ocpp_server.central_system import CentralSystem
from ocpp_server.clock import Clock
from ocpp_server.core.commands import DeliveryState, LookForAlerts, TableState
from ocpp_server.storage.chargers_file import ChargersFile
from ocpp_server.storage.users_file import UsersFile

_LEAST_SPACING_S = 5.0
_LEAST_SPACING_REAL_S = 1.0
_LOOK_EVERY_S = 30.0
_DISAGREEMENT = timedelta(minutes=2)


class Watchman:
    """One loop. `tables` tells what is wrong with users1.csv and chargers.csv now, `deliveries` of other systems."""

    def __init__(
        self,
        central: CentralSystem,
        data_dir: Path,
        clock: Clock,
        tables: Callable[[], tuple[TableState, ...]],
        *,
        is_pinging: bool = True,
        deliveries: Callable[[], tuple[DeliveryState, ...]] = tuple,
    ) -> None:
        self._central = central
        self._data_dir = data_dir
        self._clock = clock
        self._tables = tables
        self._is_pinging = is_pinging
        self._deliveries = deliveries
        self._changed = central.subscribe()
        self._listening_since = self._looked_at = clock.now()
        self._looked_at_s = clock.monotonic()

    async def run(self) -> None:
        """Look for ever. Raises what the central system raises."""
        spacing_s = max(_LEAST_SPACING_S, _LEAST_SPACING_REAL_S * self._clock.factor)
        while True:
            self._changed.clear()
            await self.look()
            await self._clock.sleep(spacing_s)  # many changes in a row are one look
            await self._clock.wait_for(self._changed, max(0.0, _LOOK_EVERY_S - spacing_s))

    async def look(self) -> None:
        """Look once."""
        free, size = await asyncio.to_thread(_disk, self._data_dir)
        now = self._clock.now()
        self._mind_the_clock(now)
        tables, deliveries = self._tables(), self._deliveries()
        command = LookForAlerts(now, self._listening_since, free, size, tables, deliveries, is_pinging=self._is_pinging)
        await self._central.handle(command)

    def _mind_the_clock(self, now: datetime) -> None:
        """After a jump of the wall clock nobody has been silent yet for as long as it seems."""
        elapsed_s = self._clock.monotonic() - self._looked_at_s
        if abs(now - self._looked_at - timedelta(seconds=elapsed_s)) > _DISAGREEMENT:
            self._listening_since = now
        self._looked_at, self._looked_at_s = now, self._looked_at_s + elapsed_s


def table_state(
    name: Literal["users1.csv", "chargers.csv"], file: UsersFile | ChargersFile, trouble: str | None = None
) -> TableState:
    """What is wrong with a table. `trouble`: why there is no file to read now; chargers.csv may be missing."""
    error = file.last_error or (f"{name} cannot be read: {trouble}" if trouble else "")
    bad = [problem for problem in file.problems if problem.severity == "error"]
    return TableState(name, error, len({problem.line for problem in bad}), str(bad[0]) if bad else "")


def _disk(folder: Path) -> tuple[int | None, int]:
    """Free bytes and size of the disk; None: it does not tell."""
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return None, 0
    return usage.free, usage.total
