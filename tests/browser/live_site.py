"""A site as it is installed: `serve` and `dashboard` as processes on one data folder, charge points that dial in."""

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from chromium import PATIENCE_MS
from dashboard_site import PROXY, DashboardSite, running_dashboard, write_accounts
from server_process import ServerProcess, make_site, until

from simulator import SimulatedChargePoint

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

T = TypeVar("T")

PASSWORDS = {"admin": "password of the administrator", "viewer": "password of the viewer"}
USERS = """id_tag,name,surname,quota_kwh,unlimited
STOP01,Sibel,Stop,500,FALSE
QUOTA1,Quentin,Quota,500,FALSE
RFID003,Ursula,Unlimited,,TRUE
"""


class LiveSite:
    """The running processes; `run` has a charge point do something in a loop of its own."""

    def __init__(self, server: ServerProcess, dashboard: DashboardSite) -> None:
        self.server = server
        self.dashboard = dashboard
        self.folder = server.data_dir
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._charge_points: list[SimulatedChargePoint] = []

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def plug(self, charger_id: str, **options: Any) -> SimulatedChargePoint:
        """A simulated charge point, booted."""

        async def begin() -> SimulatedChargePoint:
            charge_point = SimulatedChargePoint(charger_id, self.server.url, **options)
            await charge_point.open()
            await charge_point.booted()
            return charge_point

        charge_point = self.run(begin())
        self._charge_points.append(charge_point)
        return charge_point

    def file(self, name: str) -> Any:
        """A published JSON file."""
        return json.loads((self.folder / name).read_bytes())

    def token(self, name: str) -> str:
        return (self.folder / name).read_text(encoding="ascii").strip()

    def close(self) -> None:
        for charge_point in self._charge_points:
            self.run(charge_point.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Staff:
    """People with browsers of their own."""

    def __init__(self, live: LiveSite, browser: "Browser") -> None:
        self._live = live
        self._browser = browser
        self._contexts: list[BrowserContext] = []
        self._asked: list[str] = []
        self._dialogs: list[str] = []

    def open(self, path: str = "/", name: str = "admin", **options: Any) -> "Page":
        """A page of somebody who has signed in; `options` are those of a browser context."""
        context = self._browser.new_context(viewport={"width": 1440, "height": 900}, **options)
        context.set_default_timeout(PATIENCE_MS)
        self._contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: self._asked.append(request.url))
        page.on("dialog", self._note_dialog)
        page.goto(f"{self._live.dashboard.address}/login?next={path}")
        page.locator("[name=user]").fill(name)
        page.locator("[name=password]").fill(PASSWORDS[name])
        page.locator("button").click()
        page.get_by_test_id("stHeading").first.wait_for()
        return page

    def _note_dialog(self, dialog: Any) -> None:
        self._dialogs.append(dialog.message)
        dialog.dismiss()

    def leave(self) -> None:
        for context in self._contexts:
            context.close()
        home = urlsplit(self._live.dashboard.address).netloc
        foreign = {url for url in self._asked if urlsplit(url).scheme in {"http", "https", "ws", "wss"}}
        assert {url for url in foreign if urlsplit(url).netloc != home} == set()
        assert self._dialogs == []


def choose(page: "Page", label: str, row: str, button: str) -> None:
    """Choose a row of a table by keyboard, and press the button beside."""
    page.get_by_role("combobox", name=label).fill(row)
    page.get_by_role("option", name=row).first.click()
    page.get_by_role("button", name=button, exact=True).click()


@contextmanager
def running_site(folder: Path) -> Iterator[LiveSite]:
    """Start both processes on a new folder; gives the site once both answer."""
    make_site(folder, USERS)
    write_accounts(folder, PASSWORDS)
    server = ServerProcess(
        folder, site_name="Kampüs", charger_networks="127.0.0.0/8,192.168.0.0/16", trusted_proxies=f"{PROXY}/32"
    ).started()
    try:
        with running_dashboard(folder, server.api_port) as dashboard:
            site = LiveSite(server, dashboard)
            try:
                yield site
            finally:
                site.close()
    finally:
        server.stop()


def eventually(claim: Callable[[], object], what: str) -> None:
    """Return once it is true."""
    until(claim, what, PATIENCE_MS / 1000)
