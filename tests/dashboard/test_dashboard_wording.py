"""Texts from outside are shown as they are, in one short line."""

import pytest

from dashboard.wording import WORD_JOINER, escaped, fold, plain


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
