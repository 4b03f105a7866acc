"""The whole server in this process, and charge points that hold it to the schemas of the OCA.

The site and its clock are those of tests/e2e.
"""

import functools
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from central_system_under_test import USERS, CentralSystemUnderTest, SystemFactory
from running_site import MORNING, RunningSite
from stepped_clock import RestfulLoop, SteppedClock

from ocpp_server import parts


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], RestfulLoop]]:
    """Every test here runs in a loop that knows when everybody has come to rest."""
    return {"restful": RestfulLoop}


@pytest.fixture(autouse=True)
def quick_editor(monkeypatch: pytest.MonkeyPatch) -> None:
    """The watcher of users1.csv waits 20 ms instead of a second until an editor has come to rest."""
    monkeypatch.setattr(parts, "TableWatcher", functools.partial(parts.TableWatcher, settle_s=0.02))


@pytest.fixture
async def start_system(tmp_path: Path) -> AsyncIterator[SystemFactory]:
    """Give a function that starts a server with other settings; at the end look at every frame and at the books."""
    started: list[CentralSystemUnderTest] = []

    async def start(**settings: object) -> CentralSystemUnderTest:
        data_dir = tmp_path / f"data{len(started)}"
        data_dir.mkdir(mode=0o750)
        (data_dir / "users1.csv").write_text(USERS, encoding="utf-8")
        clock = SteppedClock(MORNING)
        system = CentralSystemUnderTest(RunningSite(data_dir, clock, clock, **settings))
        started.append(system)
        await system.site.start()
        return system

    yield start
    for system in started:
        await system.close()
        assert system.faults() == []


@pytest.fixture
async def csms(start_system: SystemFactory) -> CentralSystemUnderTest:
    """A server with the usual settings."""
    return await start_system()
