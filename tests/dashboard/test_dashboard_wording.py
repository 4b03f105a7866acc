"""Texts from outside are shown as they are, in one short line; figures and states read well."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from dashboard.records import Wh
from dashboard.wording import (
    SESSION_WORDS,
    STATUS_WORDS,
    WORD_JOINER,
    age,
    clock,
    escaped,
    fold,
    in_words,
    kw,
    kwh,
    plain,
)

NOW = datetime(2026, 11, 20, 22, 30, tzinfo=UTC)
ISTANBUL = ZoneInfo("Europe/Istanbul")


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("YIL", "Ayşe Yılmaz"),
        ("yil", "AYŞE YILMAZ"),
        ("IPEK", "İpek Şahin"),
        ("sahin", "İpek ŞAHİN"),
        ("lukasz", "Łukasz"),
        ("wisniewska", "Wiśniewska"),
        ("GROSS", "Jürgen Groß"),
        ("jurgen", "Jürgen Groß"),
        ("soren", "Søren"),
    ],
)
def test_a_search_finds_names_without_their_marks_and_case(query: str, name: str) -> None:
    """Turkish, German, Polish and Nordic letters; pandas' own case folding does not find YIL in Yılmaz."""
    assert fold(query) in fold(name)


@pytest.mark.parametrize(
    "text",
    [
        "**bold** _it_ `code`",
        "<img src=x onerror=alert(1)>",
        "[link](http://evil.example/a)",
        "# heading",
        "1. list",
        "| a | b |",
        "$x^2$ $y$",
        "```mermaid",
        "O'Brien & Sons; \\ back",
    ],
)
def test_every_punctuation_mark_is_escaped_and_nothing_is_lost(text: str) -> None:
    """CommonMark: a backslash before ASCII punctuation shows the mark itself."""
    shown = escaped(text).replace(WORD_JOINER, "")

    assert shown.replace("\\\\", "\0").replace("\\", "").replace("\0", "\\") == text


@pytest.mark.parametrize(
    ("text", "found_by_streamlit"),
    [
        (":material/home:", ":material"),
        (":tada:", ":tada"),
        (":+1:", ":+1"),
        ("http://evil.example", "://"),
        ("www.evil.example", "www."),
        ("me@evil.example", "@evil"),
        ("a -> b", "->"),
        ("a <- b", "<-"),
        ("a <-> b", "->"),
        ("a >= b", ">="),
        ("a ~= b", "~="),
        ("a -- b", "--"),
    ],
)
def test_what_is_looked_for_after_escaping_is_taken_apart(text: str, found_by_streamlit: str) -> None:
    """Icons, emoji, arrows and bare links are searched in the text when the backslashes are gone."""
    assert found_by_streamlit not in escaped(text).replace("\\", "")


def test_a_long_text_is_cut_at_100_characters() -> None:
    """A name of 10,000 characters is one of the hostile ones."""
    assert plain("x" * 10_000) == "x" * 99 + "…"


def test_control_and_direction_characters_and_lone_surrogates_are_left_out() -> None:
    """Such a mark turns the text after it around; a lone surrogate cannot be sent to a browser."""
    assert plain("\u202eevil\u200f\tname\n\x00") == "evil name"
    plain("\ud800").encode()


def test_a_right_to_left_name_is_kept_apart_from_what_stands_beside_it() -> None:
    """Unicode isolates, so that figures on the same line stay where they are."""
    assert escaped("שלום") == "\u2068שלום\u2069"


@pytest.mark.parametrize(
    ("energy", "shown"), [(Wh(0), "0.0 kWh"), (Wh(1_234_567), "1,234.6 kWh"), (Wh(49), "0.0 kWh"), (None, "–")]
)
def test_energy_has_one_decimal(energy: Wh | None, shown: str) -> None:
    """What is not known is a dash, never 0.0."""
    assert kwh(energy) == shown


def test_power_has_one_decimal() -> None:
    """In kW, from W."""
    assert kw(7249.0) == "7.2 kW"
    assert kw(None) == "–"


def test_a_time_is_of_the_sites_zone_and_has_its_day_unless_today() -> None:
    """22:30 UTC is already the next day in Istanbul."""
    assert clock(NOW, NOW, ISTANBUL) == "01:30"
    assert clock(NOW - timedelta(hours=2), NOW, ISTANBUL) == "20 Nov 23:30"
    assert clock(NOW - timedelta(days=400), NOW, ISTANBUL) == "2025-10-17 01:30"
    assert clock(None, NOW, ISTANBUL) == "–"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(-5, "0 s ago"), (3, "3 s ago"), (90, "1 min ago"), (7300, "2 h ago"), (200_000, "2 d ago")],
)
def test_an_age_is_told_in_its_largest_unit(seconds: int, shown: str) -> None:
    """A file from the future (clocks) is new, not minus five seconds old."""
    assert age(NOW - timedelta(seconds=seconds), NOW) == shown


@pytest.mark.parametrize(
    ("state", "words"),
    [("SuspendedEV", "paused by car"), ("over_quota", "over quota, being stopped"), ("new_thing", "new thing")],
)
def test_states_are_told_in_words(state: str, words: str) -> None:
    """OCPP 1.6 §7.7, and the server's own session states; one we do not know is shown as it came."""
    assert in_words(state, SESSION_WORDS) == words
    assert in_words("", STATUS_WORDS) == "unknown"
