"""Which files a month's report is made from, and what is said where one is missing or cannot be read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from dashboard.archive_files import ARCHIVE_FOLDER, ENERGY, SESSIONS, USAGE, Archive
from dashboard.latest_files import Loaded
from dashboard.month_report import Month
from dashboard.records import Site, Wh
from dashboard.texts import Words
from dashboard.wording import escaped

OPEN_USAGE = "energy_usage.json"


@dataclass(frozen=True, slots=True)
class ReadMonth:
    """A month and its files, for a note about those that are missing or old."""

    month: Month
    files: Mapping[str, Loaded[Any]]


def read_month(archive: Archive, site: Site, first: date, open_month: date) -> ReadMonth:
    """Read a month; never raises for what a file holds or lacks.

    The server writes a file of sessions when the first one ends, and one of usage when somebody used something: where
    the energy is known and these are not there, there was none.
    """
    energy, sessions = archive.energy(first), archive.sessions(first)
    if sessions.is_missing and energy.value is not None:
        sessions = Loaded(())
    if first == open_month:
        usage: Loaded[Mapping[str, Wh]] = Loaded(site.usage)
    else:
        usage = archive.usage(first)
        if usage.is_missing and energy.value is not None and not energy.value.by_day:
            usage = Loaded({})
    files: dict[str, Loaded[Any]] = {"energy": energy, "sessions": sessions, "usage": usage}
    return ReadMonth(Month(first, energy.value, sessions.value, usage.value), files)


def notes(read: ReadMonth, open_month: date, now: datetime, words: Words) -> Iterator[str]:
    """Give, as Markdown, what of a month is not known or as old as its file's last good version."""
    names = {"energy": ENERGY, "sessions": SESSIONS, "usage": USAGE}
    for kind, file in read.files.items():
        name = f"{ARCHIVE_FOLDER}/{names[kind].format(read.month.first)}"
        if kind == "usage" and read.month.first == open_month:
            name = OPEN_USAGE
        problem = words("report.not_there") if file.is_missing else escaped(file.problem)
        told = " ".join(filter(None, (escaped(name), problem)))
        if file.value is None:
            yield words(f"report.no_{kind}", file=told)
        elif file.problem and file.written_at:
            yield words("report.kept", age=words.age(file.written_at, now), file=told)
