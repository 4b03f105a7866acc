"""axe-core on every page: WCAG 2.2 A and AA, as far as a machine can judge; both themes, on a desk and on a phone."""

import json
from collections.abc import Iterator
from itertools import cycle
from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from busy_site import busy_site
from chromium import PATIENCE_MS
from live_site import LiveSite, Staff, choose
from playwright.sync_api import expect
from site_pages import EVERY_PAGE

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

DESK, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
PAPER = {"light": "rgb(255, 255, 255)", "dark": "rgb(18, 23, 26)"}
"""backgroundColor of .streamlit/config.toml."""
LOOKS = 4
"""Streamlit fades what a slow refresh is about to replace: only what is still wrong at the last look is wrong."""
VIEWS = [
    *(f"/{'' if name == 'overview' else name}" for name in EVERY_PAGE),
    "/?overview_form=Table",
    "/manage_chargers?charger=HALL_01",
    "/manage_alerts?alert_history_shown=true",
    *(f"/manage_system?system_part={part}" for part in ("Month", "Deliveries", "Audit", "Settings")),
]
"""Every page, and what is behind the tabs and switches whose state is in the address."""

# Streamlit's own markup that our pages cannot change: rule, CSS selector, why it does no harm.
EXCUSED = {
    "list": '[data-testid="stSidebarNavItems"]',  # on a phone: a section's div among the list items; read aloud well
    "listitem": '[data-testid="stSidebarNavItems"] li',  # the same
    "svg-img-alt": '[data-testid="stMetricChart"] g',  # the point under the mouse in a tile's line
    "target-size": '[data-testid="stDateInput"] [role="spinbutton"]',  # day, month: the whole field can be typed in
}
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa"]
LOOK = """async ([rules, excused]) => {
  const found = await axe.run({runOnly: rules, resultTypes: ['violations'], elementRef: true});
  return found.violations.flatMap(rule => rule.nodes
    .filter(node => !excused[rule.id] || !node.element || !node.element.matches(excused[rule.id]))
    .map(node => `${rule.id}: ${node.html.slice(0, 200)} ${node.failureSummary}`));
}"""
IS_STILL = """paper => {
  const app = document.querySelector('[data-testid=stApp]');
  return app && app.dataset.testScriptState === 'notRunning' && getComputedStyle(app).backgroundColor === paper
    && !document.querySelector('[data-testid=stSkeleton]')
    && document.getAnimations().every(one => one.playState !== 'running');
}"""


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveSite]:
    """A site with sessions, alerts, a refused card, a charge point that waits and a mistake in users1.csv."""
    with busy_site(tmp_path_factory.mktemp("busy") / "data") as site:
        yield site


def wrong_on(page: "Page", wait_until_still: Any) -> list[str]:
    """Give what is wrong on the page as it is, and still wrong when looked at again."""
    wrong: list[str] = []
    for _ in range(LOOKS):
        wait_until_still()
        page.evaluate(AXE_SCRIPT)
        wrong = page.evaluate(LOOK, [RULES, EXCUSED])
        if not wrong:
            break
    return wrong


def wrong_in(page: "Page", scheme: str, size: dict[str, int]) -> list[str]:
    page.set_viewport_size(size)  # type: ignore[arg-type]
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    return wrong_on(page, lambda: page.wait_for_function(IS_STILL, arg=PAPER[scheme]))


def visit(page: "Page", live: LiveSite, view: str) -> None:
    page.goto(f"{live.dashboard.address}{view}{'&' if '?' in view else '?'}lang=English")
    page.get_by_test_id("stHeading").first.wait_for()


@pytest.mark.timeout(600)
def test_axe_finds_nothing_wrong_on_any_page(live: LiveSite, staff: Staff) -> None:
    """Each page light on a desk or dark on a phone, in turn; `./run prove` looks at all in both, at three widths."""
    page = staff.open("/")
    expect(page.get_by_text("Jürgen Calm").first).to_be_visible()
    wrong = {}
    for view, (scheme, size) in zip(VIEWS[: len(EVERY_PAGE)], cycle((("light", DESK), ("dark", PHONE)))):
        visit(page, live, view)
        wrong[view, scheme] = wrong_in(page, scheme, size)

    assert {where: what for where, what in wrong.items() if what} == {}


@pytest.mark.prove
def test_axe_finds_nothing_wrong_with_a_dialog_nor_with_the_menu(live: LiveSite, staff: Staff) -> None:
    """What opens above a page is read as well as the page."""
    page = staff.open("/", color_scheme="dark")
    page.get_by_test_id("stPopover").get_by_role("button").click()
    expect(page.get_by_text("Signed in as admin")).to_be_visible()
    assert wrong_in(page, "dark", DESK) == []

    visit(page, live, "/sessions")
    choose(page, "Choose a session", "Jürgen Calm", "Stop…")
    expect(page.get_by_role("dialog").get_by_role("button", name="Stop charging")).to_be_visible()
    assert wrong_in(page, "dark", DESK) == []


def test_axe_finds_nothing_wrong_with_the_login(live: LiveSite, chromium: "Browser") -> None:
    """In both themes, and after a wrong password."""
    page = chromium.new_page(viewport=PHONE)  # type: ignore[arg-type]
    page.set_default_timeout(PATIENCE_MS)
    page.goto(f"{live.dashboard.address}/login?over")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        assert wrong_on(page, lambda: None) == [], scheme
    page.close()


@pytest.mark.prove
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("width", [390, 768, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_wrong_at_any_width(live: LiveSite, staff: Staff, scheme: str, width: int) -> None:
    """The whole product, with what is behind tabs and switches; and nothing is wider than the screen."""
    page = staff.open("/", color_scheme=scheme)
    wrong: dict[str, object] = {}
    for view in VIEWS:
        page.set_viewport_size({"width": width, "height": 900})
        visit(page, live, view)
        wrong[view] = wrong_in(page, scheme, {"width": width, "height": 900})
        if page.evaluate("document.documentElement.scrollWidth") > width:
            wrong[f"{view} is too wide"] = True

    assert {where: what for where, what in wrong.items() if what} == {}, json.dumps(wrong, indent=1)
