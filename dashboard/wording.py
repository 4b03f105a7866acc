"""Texts from outside made harmless, and made alike for a search. What the dashboard itself says is in `texts`."""

import re
import unicodedata

LONGEST_TEXT = 100
LONGEST_SENTENCE = 1000
"""Of the server's own sentences, which may hold names."""

STATUS_COLORS = {
    "Available": "green",
    "Preparing": "violet",
    "Charging": "blue",
    "SuspendedEV": "orange",
    "SuspendedEVSE": "orange",
    "Finishing": "violet",
    "Faulted": "red",
    "Offline": "red",
}

UNICODE_LETTERS = str.maketrans({"ı": "i", "ł": "l", "ø": "o", "đ": "d", "æ": "ae", "œ": "oe", "ð": "d", "þ": "th"})

WORD_JOINER = "\u2060"
"""Takes no room and allows no line break; keeps Streamlit from finding `:material/…:`, `->` or `www.` in a name.

A backslash is not enough for these: they are looked for in the text after the backslashes are gone.
"""
FOUND_AFTER_ESCAPING = re.compile(
    r"(?<=:)(?=[\w+/-])|(?<=www)(?=\.)|(?<=@)|(?<=[<>~=-])(?=[->=])", re.ASCII | re.IGNORECASE
)
PUNCTUATION = re.compile(r"[!-/:-@\[-`{-~]")
JOINERS_OF_LETTERS = "\u200c\u200d"
"""Invisible like other format characters, but Persian names and emoji are not right without them."""


def plain(text: str, longest: int = LONGEST_TEXT) -> str:
    """Give a text from outside on one line, at most so long, without control and direction characters."""
    short = text[: longest * 10].encode("utf-8", "replace").decode("utf-8")
    visible = "".join(" " if letter.isspace() else letter for letter in short if _is_visible(letter))
    one_line = " ".join(visible.split())
    return one_line if len(one_line) <= longest else one_line[: longest - 1] + "…"


def _is_visible(letter: str) -> bool:
    category = unicodedata.category(letter)
    return letter.isspace() or letter in JOINERS_OF_LETTERS or category not in {"Cc", "Cf", "Co", "Cn"}


def escaped(text: str, longest: int = LONGEST_TEXT) -> str:
    """Give a text from outside as Markdown that shows exactly `plain` of it; right-to-left names stay by themselves."""
    shown = plain(text, longest)
    apart = FOUND_AFTER_ESCAPING.sub(WORD_JOINER, shown)
    markdown = PUNCTUATION.sub(r"\\\g<0>", apart)
    if any(unicodedata.bidirectional(letter) in {"R", "AL"} for letter in shown):
        return f"\u2068{markdown}\u2069"
    return markdown


def fold(text: str) -> str:
    """Give a text for comparing in a search: no case, no accents, ı=i, ł=l, ß=ss; Yılmaz is found by YIL."""
    lowered = text.casefold().translate(UNICODE_LETTERS)
    letters = unicodedata.normalize("NFKD", lowered)
    return "".join(letter for letter in letters if not unicodedata.combining(letter)).casefold()
