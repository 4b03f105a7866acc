"""The whole product: the server and the dashboard as processes, simulated charge points, a real browser."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

for _beside in ("crash", "dashboard"):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / _beside))

from chromium import CHROMIUM, CHROMIUM_ARGUMENTS, PATIENCE_MS, needs_chromium  # noqa: E402
from live_site import LiveSite, Staff, running_site  # noqa: E402
from playwright.sync_api import expect, sync_playwright  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Browser

expect.set_options(timeout=PATIENCE_MS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without a browser there is nothing to try here."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(needs_chromium)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveSite]:
    """One site for the tests of a module; each uses people and charge points of its own."""
    with running_site(tmp_path_factory.mktemp("live") / "data") as site:
        yield site


@pytest.fixture(scope="module")
def chromium() -> "Iterator[Browser]":
    """One browser; each member of staff has a context of their own."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def staff(live: LiveSite, chromium: "Browser") -> Iterator[Staff]:
    """Opens pages for people who sign in. At the end nobody's page asked another host for anything, or ran a script."""
    people = Staff(live, chromium)
    yield people
    people.leave()
