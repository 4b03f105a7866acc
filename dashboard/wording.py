"""How things are said on the page: states in words, figures, times, and texts from outside made harmless."""

import re
import unicodedata
from datetime import datetime, tzinfo

from dashboard.records import Wh

LONGEST_TEXT = 100
DASH = "–"

STATUS_WORDS = {
    "Available": "free",
    "Preparing": "plugged in",
    "Charging": "charging",
    "SuspendedEV": "paused by car",
    "SuspendedEVSE": "paused by charger",
    "Finishing": "finished, still plugged in",
    "Reserved": "reserved",
    "Unavailable": "out of service",
    "Faulted": "fault",
    "Offline": "offline",
}
"""OCPP 1.6 §7.7 ChargePointStatus, and the server's own Offline."""

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

SESSION_WORDS = STATUS_WORDS | {
    "charging": "charging",
    "stopping": "being stopped",
    "over_quota": "over quota, being stopped",
    "stale": "no readings any more",
    "offline": "charger offline",
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


def plain(text: str) -> str:
    """Give a text from outside on one line, at most 100 characters, without control and direction characters."""
    short = text[: LONGEST_TEXT * 10].encode("utf-8", "replace").decode("utf-8")
    visible = "".join(" " if letter.isspace() else letter for letter in short if _is_visible(letter))
    one_line = " ".join(visible.split())
    return one_line if len(one_line) <= LONGEST_TEXT else one_line[: LONGEST_TEXT - 1] + "…"


def _is_visible(letter: str) -> bool:
    category = unicodedata.category(letter)
    return letter.isspace() or letter in JOINERS_OF_LETTERS or category not in {"Cc", "Cf", "Co", "Cn"}


def escaped(text: str) -> str:
    """Give a text from outside as Markdown that shows exactly `plain(text)`; right-to-left names stay by themselves."""
    shown = plain(text)
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


def kwh(energy: Wh | None) -> str:
    """Give energy as kWh with one decimal."""
    return DASH if energy is None else f"{energy / 1000:,.1f} kWh"


def kw(power_w: float | None) -> str:
    """Give power as kW with one decimal."""
    return DASH if power_w is None else f"{power_w / 1000:,.1f} kW"


def clock(moment: datetime | None, now: datetime, zone: tzinfo) -> str:
    """Give the time in the site's zone, with the day where that is not today."""
    if moment is None:
        return DASH
    local = moment.astimezone(zone)
    if local.date() == now.astimezone(zone).date():
        return f"{local:%H:%M}"
    return f"{local.day} {local:%b %H:%M}" if local.year == now.astimezone(zone).year else f"{local:%Y-%m-%d %H:%M}"


def age(moment: datetime, now: datetime) -> str:
    """Give how long ago something was, in the largest whole unit."""
    seconds = max(0, int((now - moment).total_seconds()))
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit} ago"
    return f"{seconds} s ago"


def counted(number: int, thing: str) -> str:
    """Give a number of things: 1 session, 2 sessions."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def in_words(state: str, words: dict[str, str]) -> str:
    """Give a state's wording; a state that we do not know is shown as it came, in plain text."""
    return words.get(state) or plain(state.replace("_", " ")) or "unknown"
