"""The files of the monthly report as a browser gets them, through the real front door."""

import csv
import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import openpyxl
import pytest
from archive_folder import ZONE, ArchiveFolder, session_row
from chromium import CHROMIUM, CHROMIUM_ARGUMENTS, PATIENCE_MS, needs_chromium
from dashboard_site import DashboardSite, running_dashboard, write_accounts
from site_folder import SiteFolder

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = needs_chromium
NAME = '=HYPERLINK("http://evil.example/")<img src=x onerror=alert(1)>'


@pytest.fixture
def site(tmp_path: Path) -> Iterator[DashboardSite]:
    """One session, of somebody whose name bites."""
    now = datetime.now(ZONE)
    begin = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    write_accounts(tmp_path, {"admin": "password of admin", "viewer": "password of viewer"})
    folder = SiteFolder(tmp_path)
    archive = ArchiveFolder(folder)
    folder.write_five()
    folder.write_server(month=f"{now:%Y-%m}", site_name="Kampüs")
    folder.write("energy_usage.json", {"GONE": 1.234})
    archive.write_sessions(f"{now:%Y-%m}", [session_row(1, "CP_01", "GONE", f"'{NAME}", begin.astimezone(UTC))])
    hours = {"CP_01": {begin.isoformat(timespec="minutes"): 1.234}}
    archive.write_energy(f"{now:%Y-%m}", hours, {"GONE": {f"{begin:%Y-%m-%d}": 1.234}})
    with running_dashboard(tmp_path) as started:
        yield started


@pytest.fixture
def page(site: DashboardSite) -> "Iterator[Page]":
    """The report, looked at by a viewer."""
    from playwright.sync_api import sync_playwright

    name, _, value = site.signed("viewer").partition("=")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
        try:
            context = browser.new_context(locale="en-US")
            context.add_cookies([{"name": name, "value": value, "url": site.address}])
            page = context.new_page()
            page.goto(f"{site.address}/report")
            yield page
        finally:
            browser.close()


def download(page: "Page", button: "Locator") -> tuple[str, bytes]:
    with page.expect_download(timeout=PATIENCE_MS) as waiting:
        button.click(timeout=PATIENCE_MS)
    return waiting.value.suggested_filename, waiting.value.path().read_bytes()


def test_all_files_of_the_report_are_downloaded_and_read(site: DashboardSite, page: "Page") -> None:
    """Excel, both kinds of CSV and the printable page: the same figures, nothing that runs, nobody else asked."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    month = f"{datetime.now(ZONE):%Y-%m}"

    name, content = download(page, page.get_by_role("button", name="Excel"))
    book = openpyxl.load_workbook(io.BytesIO(content))
    people = {row[1]: row for row in book["Users"].iter_rows(values_only=True)}
    assert name == f"kampus-{month}.xlsx"
    assert (people["GONE"][0], people["GONE"][5]) == (NAME, 1.234)
    assert book["Sessions"]["D2"].data_type == "s"
    assert book["Totals"]["B5"].value == 1.234

    page.get_by_role("button", name="CSV").click()
    buttons = page.get_by_test_id("stPopoverBody").get_by_role("button")
    name, plain = download(page, buttons.filter(has_text=re.compile("CSV$")))
    _, comma = download(page, buttons.filter(has_text="decimal comma"))
    assert name == f"kampus-{month}-users.csv"
    assert read(plain, ",")["GONE"][:1] + read(plain, ",")["GONE"][5:6] == [f"'{NAME}", "1.234"]
    assert read(comma, ";")["GONE"][:1] + read(comma, ";")["GONE"][5:6] == [f"'{NAME}", "1,234"]
    page.keyboard.press("Escape")

    page.get_by_role("button", name="Statements").click()
    name, sheet = download(page, page.get_by_role("button", name="Printable page"))
    assert name == f"kampus-{month}-statements.html"
    page.set_content(sheet.decode())
    assert page.locator("h1").all_text_contents() == [NAME]
    assert page.locator("script, img, a, iframe").count() == 0
    assert {urlsplit(url).hostname for url in asked if not url.startswith(("data:", "blob:"))} == {"127.0.0.1"}


def read(content: bytes, delimiter: str) -> dict[str, list[str]]:
    """The rows by card."""
    assert content.startswith(b"\xef\xbb\xbf")
    rows = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), delimiter=delimiter)
    return {row[1]: row for row in rows}
