"""Printable statements: right sums, nothing that runs, nothing from elsewhere."""

from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from zoneinfo import ZoneInfo

import pytest

from dashboard.archive_files import FinishedSession, MonthEnergy
from dashboard.month_report import Month, MonthReport, month_report
from dashboard.records import Site, UserRow, UserTable, Wh
from dashboard.statements import Maker, statements
from dashboard.texts import words_of

ZONE = ZoneInfo("Europe/Istanbul")
NOW = datetime(2026, 11, 20, 13, 45, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script><img src=http://evil.example onerror=alert(1)>\u202e&lt;" + "x" * 10_000
ALLOWED = {
    *("html", "head", "meta", "title", "style", "body", "section", "header", "p", "h1", "bdi", "small"),
    *("table", "caption", "thead", "tbody", "tfoot", "tr", "th", "td"),
}


class Seen(HTMLParser):
    """The texts of a page, and whatever tag or attribute it has."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.texts: list[str] = []
        self.feed(content.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def finished(tag: str, wh: int | None, name: str = "Ada", hours: int = 2) -> FinishedSession:
    return FinishedSession(
        "1", "CP1", name, 1, tag, name, NOW - timedelta(hours=hours), NOW, None if wh is None else Wh(wh), 120,
        "quota reached",
    )  # fmt: skip


def report(
    name: str = "Ada", *, is_open: bool = True, sessions: tuple[FinishedSession, ...] | None = ()
) -> MonthReport:
    first = date(2026, 11, 1)
    energy = MonthEnergy({}, {"ADA": {first: Wh(3_001), date(2026, 11, 19): Wh(8_000)}})
    month = Month(first, energy, sessions, {"ADA": Wh(10_001), "BOB": Wh(2_000), "GONE": Wh(5)})
    rows = (
        UserRow("ADA", "flat 1", name, Wh(10_000)), UserRow("BOB", "flat 1", "Bob", Wh(10_000)),
        UserRow("EVE", "EVE", "Eve", None, is_unlimited=True), UserRow("ZOE", "ZOE", "Zoë", Wh(500)),
    )  # fmt: skip
    now = (NOW if is_open else NOW + timedelta(days=30)).astimezone(ZONE)
    return month_report(month, Month(date(2026, 10, 1)), Site(users=UserTable(rows)), now)


def page(found: MonthReport, *tags: str, language: str = "en", site_name: str = "Campus") -> bytes:
    people = [each for each in found.people if not tags or each.line.id_tag in tags]
    return statements(people, Maker(found, site_name, NOW, ZONE, words_of(language)))


def rows(content: bytes) -> str:
    return " ".join(" ".join(Seen(content).texts).split())


def test_a_statement_adds_up() -> None:
    """Quota, overuse of the account, days and sessions, each to the Wh."""
    text = rows(page(report(sessions=(finished("ADA", 7_000), finished("ADA", 1_500), finished("BOB", 9))), "ADA"))

    assert "Used of the quota 10.001 Quota 10.000 Over the quota 2.001 Charged on no quota 1.000" in text
    assert "cards of account flat 1, which used 12.001 kWh together" in text
    assert "Sun 1 Nov 3.001 Thu 19 Nov 8.000 Total 11.001" in text
    assert "2026-11-20 14:45 2026-11-20 16:45 Ada quota reached 120 7.000" in text
    assert "Total 8.500" in text
    assert "0.009" not in text
    assert "as of 2026-11-20 16:45" in text


@pytest.mark.parametrize(
    ("tag", "words"),
    [("EVE", "Quota no limit"), ("ZOE", "Quota 0.500 Left 0.500"), ("GONE", "Quota not in users1.csv")],
)
def test_a_statement_says_what_the_quota_is(tag: str, words: str) -> None:
    """Unlimited is no limit, never 0."""
    assert words in rows(page(report(), tag))


def test_a_session_of_unknown_energy_is_a_dash_and_in_no_sum() -> None:
    """Not zero."""
    text = rows(page(report(sessions=(finished("ADA", None), finished("ADA", 1))), "ADA"))

    assert "120 –" in text
    assert "Total 0.001" in text


def test_a_missing_list_of_sessions_is_told() -> None:
    """It is something else than no sessions."""
    assert "Finished sessions are not known" in rows(page(report(sessions=None), "ADA"))
    assert "No session ended in this month" in rows(page(report(), "ADA"))


def test_a_month_that_is_over_is_not_called_unfinished() -> None:
    """The sheet of an open month says until when."""
    assert "not over" not in rows(page(report(is_open=False), "ADA"))


def test_all_users_are_on_sheets_of_their_own() -> None:
    """One file to print for everybody."""
    content = page(report())

    assert Seen(content).tags.count("section") == len(report().people) == 5
    assert b"break-after: page" in content


def test_turkish_statements_are_turkish() -> None:
    """Words, months and marks."""
    content = page(report(), "ADA", language="tr")

    assert b'<html lang="tr">' in content
    assert "Kasım 2026" in rows(content)
    assert "10,001" in rows(content)
    assert "Quota" not in rows(content)


def test_nothing_from_outside_becomes_part_of_the_page() -> None:
    """Names, charge points and the site's name are texts."""
    hostile = report(HOSTILE, sessions=(finished("ADA", 1, HOSTILE),))

    seen = Seen(page(hostile, site_name=HOSTILE))

    assert set(seen.tags) <= ALLOWED
    assert seen.attributes <= {"lang", "charset", "http-equiv", "content", "name", "class", "scope"}
    assert any("<script>alert(1)</script>" in text for text in seen.texts)
    assert "\u202e" not in "".join(seen.texts)


def test_the_page_may_ask_nobody_for_anything() -> None:
    """Self-contained: a policy in the page forbids scripts, pictures and requests."""
    content = page(report(HOSTILE))

    assert b"Content-Security-Policy" in content
    assert b"default-src 'none'; style-src 'unsafe-inline'" in content
    assert b"url(" not in content
    assert b"@import" not in content


def test_a_name_that_is_no_text_is_written_all_the_same() -> None:
    """A lone surrogate from a file."""
    assert b"Ada" in page(report("\ud800Ada"), "ADA")
