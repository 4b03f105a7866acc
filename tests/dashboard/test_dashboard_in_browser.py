"""The real page in a real browser: it shows what is in the files, follows them, and asks nobody else for anything."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from chromium import CHROMIUM, CHROMIUM_ARGUMENTS, PATIENCE_MS, needs_chromium
from site_folder import SiteFolder, charge_point, reading, session

if TYPE_CHECKING:
    from playwright.sync_api import Page

PROJECT = Path(__file__).resolve().parents[2]

pytestmark = needs_chromium


@pytest.fixture
def address(folder: SiteFolder) -> Iterator[str]:
    """Run the dashboard on a free loopback port; its log is where this fixture's folder is."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "dashboard/app.py", "--server.port", str(port)]
    with (folder.path / "streamlit.log").open("wb") as log:
        dashboard = subprocess.Popen(command, cwd=PROJECT, stdout=log, stderr=subprocess.STDOUT)
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        dashboard.terminate()
        try:
            dashboard.wait(10)
        except subprocess.TimeoutExpired:
            dashboard.kill()
            dashboard.wait()


@pytest.fixture
def page() -> "Iterator[Page]":
    """A page of a browser of our own."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
        try:
            yield browser.new_page()
        finally:
            browser.close()


def open_when_up(page: "Page", address: str) -> None:
    """Load the page as soon as the dashboard listens: the browser itself asks again and again, no sleeping here."""
    port = urlsplit(address).port
    deadline = datetime.now(UTC) + timedelta(milliseconds=PATIENCE_MS)
    while datetime.now(UTC) < deadline:
        with closing(socket.socket()) as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                page.goto(address)
                return
        page.wait_for_timeout(100)
    pytest.fail("the dashboard does not listen")


def test_the_page_shows_the_files_follows_them_and_asks_nobody_else(
    folder: SiteFolder, address: str, page: "Page"
) -> None:
    """Dashboard spec §2: live every 5 s; fonts and icons are local; nothing leaves the house."""
    from playwright.sync_api import expect

    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("websocket", lambda websocket: asked.append(websocket.url))
    folder.write_five()
    folder.write_server()

    open_when_up(page, address)
    card = page.get_by_test_id("stMarkdown").filter(has_text="CP_01")
    expect(card).to_contain_text("John Doe", timeout=PATIENCE_MS)
    expect(card).to_contain_text("7.2 kW · 2.7 kWh")

    now = datetime.now(UTC)
    folder.write("active_transactions.json", {"18": session(now, full_name="Ayşe Yılmaz", last_meter=90.0)})
    folder.write("meter_data_log.json", [reading("CP_01", now)])
    expect(card).to_contain_text("Ayşe Yılmaz", timeout=PATIENCE_MS)
    expect(card).to_contain_text("4.5 kWh")

    hosts = {urlsplit(url).hostname for url in asked if not url.startswith(("data:", "blob:"))}
    assert hosts == {"127.0.0.1"}


def test_a_hostile_name_is_only_text_in_the_browser(folder: SiteFolder, address: str, page: "Page") -> None:
    """What the browser's Markdown makes of a name decides, not what we think of its syntax."""
    from playwright.sync_api import expect

    name = "<b>x</b> ![i](/i.png) [l](http://e.ex) www.e.ex me@e.ex :material/home: :tada: $x^2$ a -> b"
    folder.write_five()
    folder.write("charger_status.json", {"CP_01": charge_point("Charging", name=name)})
    folder.write_server(alerts=[{"text": name, "charger_id": name}], site_name=name)

    open_when_up(page, address)
    card = page.get_by_test_id("stMarkdown").filter(has_text="John Doe")
    expect(card.locator("strong").first).to_be_visible(timeout=PATIENCE_MS)

    for place in (card, page.get_by_test_id("stAlert"), page.get_by_test_id("stHeading").first):
        assert place.locator("a, img, b, .katex, [data-testid=stMarkdownMaterialIcon]").count() == 0
        assert (place.text_content() or "").replace("\u2060", "").count(name) >= 1
