"""The login in a real browser: keyboard, reload, throttling, log out; nothing is blocked by our own headers."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from canaries import CANARY_SECRET
from chromium import CHROMIUM, CHROMIUM_ARGUMENTS, PATIENCE_MS, needs_chromium
from dashboard_site import DashboardSite, running_dashboard, write_accounts
from site_folder import SiteFolder

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = needs_chromium


@pytest.fixture
def site(tmp_path: Path) -> Iterator[DashboardSite]:
    """With one person who charges."""
    write_accounts(tmp_path, {"admin": CANARY_SECRET, "viewer": "the viewer's own"})
    folder = SiteFolder(tmp_path)
    folder.write_five()
    folder.write_server()
    with running_dashboard(tmp_path) as started:
        yield started


@pytest.fixture
def browser() -> "Iterator[Browser]":
    """One of our own."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
        try:
            yield started
        finally:
            started.close()


def log_in(page: "Page", user: str, password: str) -> None:
    """By keyboard alone: the field of the user has the focus, unless the user is known."""
    if not page.get_by_label("User").input_value():
        page.keyboard.type(user)
        page.keyboard.press("Tab")
    page.keyboard.type(password)
    with page.expect_response(lambda answer: answer.request.method == "POST"):
        page.keyboard.press("Enter")


def test_log_in_reload_open_two_pages_and_log_out(site: DashboardSite, browser: "Browser") -> None:
    """The page that was asked for comes after the login; the second open page is signed out, too."""
    from playwright.sync_api import expect

    context = browser.new_context(locale="en-GB")
    context.set_default_timeout(PATIENCE_MS)
    page, complaints, asked = context.new_page(), list[str](), list[str]()
    page.on("console", lambda told: complaints.append(told.text) if "Content Security" in told.text else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))

    page.goto(f"{site.address}/?lang=English")
    expect(page).to_have_title("Sign in · Kampüs <1>")
    log_in(page, "admin", CANARY_SECRET)
    card = page.get_by_test_id("stMarkdown").filter(has_text="John Doe")
    expect(card.first).to_be_visible(timeout=PATIENCE_MS)
    assert urlsplit(page.url).path == "/"
    page.reload()
    expect(card.first).to_be_visible(timeout=PATIENCE_MS)
    assert page.evaluate("document.cookie").count(site.sessions.cookie) == 0

    second = context.new_page()
    second.goto(f"{site.address}/logout")
    second.get_by_role("button", name="Sign out").click()
    expect(second.get_by_role("alert")).to_have_text("You are signed out.")
    page.wait_for_url("**/login?over")
    expect(page.get_by_role("alert")).to_have_text("You were signed out. Please sign in again.")
    page.goto(site.address)
    expect(page.get_by_label("User")).to_be_focused()
    assert complaints == []
    assert {urlsplit(url).hostname for url in asked if not url.startswith(("data:", "blob:"))} == {"127.0.0.1"}


def test_a_wrong_password_is_told_and_then_throttled(site: DashboardSite, browser: "Browser") -> None:
    """In the browser's language; the right one is not tried any more."""
    from playwright.sync_api import expect

    page = browser.new_context(locale="tr-TR", color_scheme="dark").new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(site.address)
    for _ in range(5):
        page.get_by_label("Kullanıcı").fill("admin")
        page.get_by_label("Parola").fill("yanlış bir parola")
        with page.expect_response(lambda answer: answer.request.method == "POST" and answer.status == 403):
            page.get_by_role("button").click()
    expect(page.get_by_role("alert")).to_have_text("Kullanıcı veya parola yanlış.")
    page.get_by_label("Parola").fill(CANARY_SECRET)
    page.get_by_role("button").click()
    expect(page.get_by_role("alert")).to_have_text("Çok fazla deneme yapıldı. 15 dk sonra yeniden deneyin.")
    assert not [cookie for cookie in page.context.cookies() if cookie["name"] == site.sessions.cookie]


def test_the_login_can_be_read(site: DashboardSite, browser: "Browser") -> None:
    """WCAG 2 AA: 4.5 to 1 for text, 3 to 1 for the edge of a field, in both themes; and no scrolling on a phone."""
    papers = set()
    for scheme in ("light", "dark"):
        context = browser.new_context(color_scheme=scheme, viewport={"width": 320, "height": 568}, locale="en")  # type: ignore[arg-type]
        page = context.new_page()
        page.goto(f"{site.address}/login?over")

        for place in ("h1", "h1 + p", "label", "[role=alert]", "button", "input#user"):
            ink, paper = page.locator(place).first.evaluate(COLORS)
            assert contrast(ink, paper) >= 4.5, (scheme, place)
        edge, paper = page.locator("input#user").evaluate(EDGE)
        assert contrast(edge, paper) >= 3
        assert page.evaluate("document.documentElement.scrollWidth <= 320")
        papers.add(paper)
    assert len(papers) == 2


EDGE = """one => [getComputedStyle(one).borderTopColor, getComputedStyle(one.closest('main')).backgroundColor]"""
COLORS = """one => {
  let behind = one;
  while (getComputedStyle(behind).backgroundColor === 'rgba(0, 0, 0, 0)') behind = behind.parentElement;
  return [getComputedStyle(one).color, getComputedStyle(behind).backgroundColor];
}"""


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, contrast ratio of two `rgb(r, g, b)`."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(color: str) -> float:
    parts = [int(part) / 255 for part in color.removeprefix("rgb(").removesuffix(")").split(",")]
    red, green, blue = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
