"""Hostile input against the whole server in this process: the running site of the end-to-end tests."""

import sys
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

for _folder in ("e2e", "crash"):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / _folder))

from hostile_site import HostileSite, open_site  # noqa: E402
from stepped_clock import RestfulLoop  # noqa: E402


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], RestfulLoop]]:
    """Every test here runs in a loop that knows when everybody has come to rest."""
    return {"restful": RestfulLoop}


@pytest.fixture
async def hostile_site(tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    """Give a function that starts a site whose errors are collected; its end asserts that there were none."""
    sites: list[HostileSite] = []

    async def make(**settings: Any) -> HostileSite:
        sites.append(await open_site(tmp_path / f"data{len(sites)}", **settings))
        return sites[-1]

    yield make
    for site in sites:
        await site.close()
