"""All words of the dashboard: one TOML file per page and language, in the folders beside this file.

`words("overview.power_now")` is the text `power_now` of `overview.toml`. Figures and times are written as the language
writes them. Pure but for reading the files once.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from functools import cache
from pathlib import Path
from typing import Final

from dashboard.records import Wh

LANGUAGES: Final = {"en": "English", "tr": "Türkçe"}
DASH: Final = "–"
_FOLDER: Final = Path(__file__).parent


@dataclass(frozen=True)
class Words:
    """The words of one language."""

    language: str
    texts: Mapping[str, str]

    def __call__(self, key: str, /, **values: object) -> str:
        """Give a text with its `{values}` put in; raises KeyError for a text that is in no file."""
        return self.texts[key].format_map(values) if values else self.texts[key]

    def of(self, table: str, name: str, otherwise: str) -> str:
        """Give the word for a name that comes from outside, such as an OCPP status, else `otherwise`."""
        return self.texts.get(f"{table}.{name}", otherwise)

    def counted(self, key: str, number: int, **values: object) -> str:
        """Give a number of things by the texts `KEY.one` and `KEY.other`: 1 session, 2 sessions."""
        return self(f"{key}.{'one' if number == 1 else 'other'}", number=self.number(number, 0), **values)

    def number(self, value: float, decimals: int = 1) -> str:
        """Give a number with its thousands apart: 1,234.5, or 1.234,5 in Turkish."""
        marks = {",": self("format.thousands"), ".": self("format.decimal")}
        return "".join(marks.get(letter, letter) for letter in f"{value:,.{decimals}f}")

    def kwh(self, energy: Wh | None) -> str:
        """Give energy as kWh with one decimal."""
        return DASH if energy is None else f"{self.number(energy / 1000)} kWh"

    def kw(self, power_w: float | None) -> str:
        """Give power as kW with one decimal."""
        return DASH if power_w is None else f"{self.number(power_w / 1000)} kW"

    def percent(self, part: int) -> str:
        """Give a whole percentage: 80 %, or %80 in Turkish."""
        return self("format.percent", number=part)

    def month(self, day: date) -> str:
        """Give a month by name: November 2026."""
        return f"{self(f'format.months.{day.month}')} {day.year}"

    def day(self, day: date) -> str:
        """Give a day without its year: 20 Nov."""
        return f"{day.day} {self(f'format.months_short.{day.month}')}"

    def weekday(self, number: int) -> str:
        """Give a weekday in short; 0 is Monday."""
        return self(f"format.weekdays.{number}")

    def clock(self, moment: datetime | None, now: datetime, zone: tzinfo) -> str:
        """Give the time in the site's zone, with the day where that is not today."""
        if moment is None:
            return DASH
        local, today = moment.astimezone(zone), now.astimezone(zone).date()
        if local.date() == today:
            return f"{local:%H:%M}"
        return f"{self.day(local)} {local:%H:%M}" if local.year == today.year else f"{local:%Y-%m-%d %H:%M}"

    def age(self, moment: datetime, now: datetime) -> str:
        """Give how long ago something was, in the largest whole unit: 3 min ago."""
        return self("format.ago", time=self.duration((now - moment).total_seconds()))

    def duration(self, seconds: float) -> str:
        """Give a length of time in its largest whole unit."""
        for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
            if seconds >= length:
                return self(f"format.{unit}", number=int(seconds // length))
        return self("format.seconds", number=max(0, int(seconds)))


@cache
def words_of(language: str) -> Words:
    """Give the words of one of `LANGUAGES`."""
    found: dict[str, str] = {}
    for file in sorted((_FOLDER / language).glob("*.toml")):
        found |= _flat(tomllib.loads(file.read_text(encoding="utf-8")), f"{file.stem}.")
    return Words(language, found)


def language_for(chosen: str | None, locale: str | None) -> str:
    """Give the language whose name was chosen, else the browser's (`tr-TR`), else English."""
    by_name = {name: language for language, name in LANGUAGES.items()}
    browsers = (locale or "").split("-")[0].casefold()
    return by_name.get(chosen or "") or (browsers if browsers in LANGUAGES else "en")


def _flat(table: Mapping[str, object], prefix: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{key}.")
        else:
            found[prefix + key] = str(value)
    return found
