"""A site factory: the whole server in this process, on real sockets, real files and a real ledger."""

import functools
import time
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from running_site import MORNING, RunningSite, SiteFactory, people
from stepped_clock import RestfulLoop, SteppedClock

from ocpp_server import parts
from ocpp_server.clock import Clock
from simulator import SimulatorClock


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], RestfulLoop]]:
    """Every test here runs in a loop that knows when everybody has come to rest."""
    return {"restful": RestfulLoop}


@pytest.fixture(autouse=True)
def quick_editor(monkeypatch: pytest.MonkeyPatch) -> None:
    """The watcher of users1.csv waits 50 ms instead of a second until an editor has come to rest."""
    monkeypatch.setattr(parts, "TableWatcher", functools.partial(parts.TableWatcher, settle_s=0.05))


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[SiteFactory]:
    """Give a function that starts a site: `await site(users=people(RFID001=5))`.

    `now` is when its clock begins; `factor` makes it a clock that runs by itself, so many times as fast as the real
    one; `used_kwh` is an energy_usage.json from before. Other names are settings.
    """
    sites: list[RunningSite] = []

    async def make(
        users: str | None = None,
        *,
        now: datetime = MORNING,
        factor: float | None = None,
        used_kwh: str = "",
        chargers: str = "",
        **settings: Any,
    ) -> RunningSite:
        data_dir = tmp_path / f"data{len(sites)}"
        data_dir.mkdir(mode=0o750)
        (data_dir / "users1.csv").write_text(people() if users is None else users, encoding="utf-8", newline="")
        if used_kwh:
            (data_dir / "energy_usage.json").write_text(used_kwh)
        if chargers:
            (data_dir / "chargers.csv").write_text(chargers)
        if factor is None:
            stepped = SteppedClock(now)
            made = RunningSite(data_dir, stepped, stepped, **settings)
        else:
            origin = (time.time() * factor - now.timestamp()) / (factor - 1)  # so that it shows `now` now
            made = RunningSite(data_dir, Clock(factor, origin), SimulatorClock(factor, origin), **settings)
        sites.append(made)
        await made.start()
        return made

    yield make
    for made in sites:
        await made.close()
