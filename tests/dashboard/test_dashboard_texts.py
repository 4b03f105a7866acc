"""The words of the dashboard: figures, times and states in each language, and that no language lacks a text."""

import string
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from dashboard.records import Session, Site, Wh
from dashboard.texts import LANGUAGES, language_for, words_of
from dashboard.view import session_words, status_words

ENGLISH, TURKISH = words_of("en"), words_of("tr")
NOW = datetime(2026, 11, 20, 22, 30, tzinfo=UTC)
ISTANBUL = ZoneInfo("Europe/Istanbul")


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("language", sorted(set(LANGUAGES) - {"en"}))
def test_every_language_has_the_same_texts_with_the_same_values_in_them(language: str) -> None:
    """A text that is missing would be an error on the page of somebody who reads that language."""
    other = words_of(language).texts

    assert other.keys() == ENGLISH.texts.keys()
    assert {key: fields(text) for key, text in other.items()} == {
        key: fields(text) for key, text in ENGLISH.texts.items()
    }
    assert all(text.strip() for text in other.values())


@pytest.mark.parametrize(
    ("chosen", "locale", "language"),
    [(None, "tr-TR", "tr"), (None, "TR", "tr"), (None, "de-DE", "en"), (None, None, "en"), ("English", "tr-TR", "en"),
     ("Türkçe", None, "tr"), ("xx", "tr", "tr"), ("../en", None, "en")],
)  # fmt: skip
def test_the_language_is_the_chosen_one_else_the_browsers(
    chosen: str | None, locale: str | None, language: str
) -> None:
    """What is chosen comes from the address of the page."""
    assert language_for(chosen, locale) == language


def test_turkish_figures_have_turkish_marks() -> None:
    """A point between thousands, a comma before decimals, the percent sign first."""
    assert TURKISH.kwh(Wh(1_234_567)) == "1.234,6 kWh"
    assert TURKISH.percent(80) == "%80"
    assert TURKISH.month(date(2026, 11, 1)) == "Kasım 2026"


@pytest.mark.parametrize(
    ("energy", "shown"), [(Wh(0), "0.0 kWh"), (Wh(1_234_567), "1,234.6 kWh"), (Wh(49), "0.0 kWh"), (None, "–")]
)
def test_energy_has_one_decimal(energy: Wh | None, shown: str) -> None:
    """What is not known is a dash, never 0.0."""
    assert ENGLISH.kwh(energy) == shown


def test_power_has_one_decimal() -> None:
    """In kW, from W."""
    assert ENGLISH.kw(7249.0) == "7.2 kW"
    assert ENGLISH.kw(None) == "–"


def test_a_time_is_of_the_sites_zone_and_has_its_day_unless_today() -> None:
    """22:30 UTC is already the next day in Istanbul."""
    assert ENGLISH.clock(NOW, NOW, ISTANBUL) == "01:30"
    assert ENGLISH.clock(NOW - timedelta(hours=2), NOW, ISTANBUL) == "20 Nov 23:30"
    assert ENGLISH.clock(NOW - timedelta(days=400), NOW, ISTANBUL) == "2025-10-17 01:30"
    assert ENGLISH.clock(None, NOW, ISTANBUL) == "–"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(-5, "0 s ago"), (3, "3 s ago"), (90, "1 min ago"), (7300, "2 h ago"), (200_000, "2 d ago")],
)
def test_an_age_is_told_in_its_largest_unit(seconds: int, shown: str) -> None:
    """A file from the future (clocks) is new, not minus five seconds old."""
    assert ENGLISH.age(NOW - timedelta(seconds=seconds), NOW) == shown


@pytest.mark.parametrize(
    ("state", "words"),
    [("SuspendedEV", "paused by car"), ("over_quota", "over quota, being stopped"), ("new_thing", "new thing")],
)
def test_states_are_told_in_words(state: str, words: str) -> None:
    """OCPP 1.6 §7.7, and the server's own session states; one we do not know is shown as it came."""
    session = Session(transaction_id="1", id_tag="A", person="", charge_point_id="CP", state=state)

    assert session_words(session, Site(), ENGLISH) == words
    assert status_words("", ENGLISH) == "unknown"
