"""The months of archive/: finished sessions, energy by hour and day, and what closed months used of the quotas.

Besides `site_files`, the only place that knows the words of these files (docs/files.md): kWh there, Wh from here on.
"""

import csv
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from io import StringIO
from pathlib import Path
from typing import TypeVar

from dashboard.json_values import Json, document_of, moment_at, number_at
from dashboard.latest_files import LatestFiles, Loaded, UnreadableContentError
from dashboard.records import Wh
from dashboard.site_files import parse_usage

T = TypeVar("T")

ARCHIVE_FOLDER = "archive"
SESSIONS, ENERGY, USAGE = "sessions-{:%Y-%m}.csv", "energy_hourly-{:%Y-%m}.json", "energy_usage-{:%Y-%m}.json"
SESSION_COLUMNS = (
    *("transaction", "charger_id", "charger", "connector", "id_tag", "name"),
    *("start_utc", "end_utc", "energy_kwh", "duration_min", "reason", "flags"),
)
_NAME = re.compile(r"(?:sessions|energy_hourly|energy_usage)-([0-9]{4}-(?:0[1-9]|1[0-2]))\.(?:csv|json)")
_MADE_HARMLESS = re.compile(r"'(?=[=+@\t\r\n\0-])")


@dataclass(frozen=True, slots=True)
class FinishedSession:
    """One transaction that ended. `energy` is this session's, whatever month it flowed in; `reason` and `flags` are
    the server's words. Times are UTC."""

    transaction_id: str
    charge_point_id: str
    charge_point: str
    connector: int | None
    id_tag: str
    person: str
    start: datetime | None
    end: datetime | None
    energy: Wh | None
    duration_min: int | None
    reason: str
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MonthEnergy:
    """Energy of one month as it flowed. Hours and days are the site's; each hour carries the site's offset.

    `by_hour` is what charge points delivered, by their id and the begin of the hour. `by_day` is what was booked to a
    card on a day, also at free charge points and by hand.
    """

    by_hour: Mapping[str, Mapping[datetime, Wh]]
    by_day: Mapping[str, Mapping[date, Wh]]


@dataclass(frozen=True)
class Archive:
    """The archive of one site. One object serves all viewers; a file that is missing or broken is told, not raised."""

    files: LatestFiles
    folder: Path

    def months(self) -> list[date]:
        """Give the first day of each month that has a file, the newest first."""
        try:
            names = [entry.name for entry in self.folder.iterdir()]
        except OSError:
            return []
        found = {f"{match[1]}-01" for name in names if (match := _NAME.fullmatch(name)) and match[1] >= "0001"}
        return sorted(map(date.fromisoformat, found), reverse=True)

    def sessions(self, month: date) -> Loaded[tuple[FinishedSession, ...]]:
        """Give the sessions that ended in a month, in the order of their end."""
        return self.files.load(SESSIONS.format(month), parse_finished_sessions)

    def energy(self, month: date) -> Loaded[MonthEnergy]:
        """Give what flowed in a month."""
        return self.files.load(ENERGY.format(month), parse_month_energy)

    def usage(self, month: date) -> Loaded[Mapping[str, Wh]]:
        """Give what each card used of its quota in a closed month; the open one is in energy_usage.json."""
        return self.files.load(USAGE.format(month), parse_usage)


def archive_in(folder_of_site: Path) -> Archive:
    """Give the archive of a data folder, whether it is there yet or not."""
    folder = folder_of_site / ARCHIVE_FOLDER
    return Archive(LatestFiles(folder), folder)


def parse_finished_sessions(content: bytes) -> tuple[FinishedSession, ...]:
    """Read sessions-YYYY-MM.csv; raises `UnreadableContentError`. A session without a readable energy has none."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableContentError(f"is not UTF-8 (byte {error.start})") from error
    reader = csv.reader(StringIO(text, newline=""), strict=True)
    try:
        return tuple(_sessions(reader))
    except csv.Error as error:
        raise UnreadableContentError(f"is not CSV (line {reader.line_num}: {error})") from error


def _sessions(rows: Iterator[list[str]]) -> Iterator[FinishedSession]:
    header = next(rows, [])
    missing = [column for column in SESSION_COLUMNS if column not in header]
    if missing:
        raise UnreadableContentError(f"has no column {missing[0]} in its first line")
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise UnreadableContentError(f"has {len(row)} cells in row {number} where {len(header)} are expected")
        yield _session(dict(zip(header, map(_as_it_was, row), strict=True)))


def _as_it_was(cell: str) -> str:
    """Take off the quote that keeps a spreadsheet from running a text as a formula."""
    return cell[1:] if _MADE_HARMLESS.match(cell) else cell


def _session(cells: Mapping[str, str]) -> FinishedSession:
    energy_kwh = _number(cells["energy_kwh"])
    duration = _number(cells["duration_min"])
    connector = _number(cells["connector"])
    return FinishedSession(
        transaction_id=cells["transaction"],
        charge_point_id=cells["charger_id"],
        charge_point=cells["charger"] or cells["charger_id"],
        connector=None if connector is None else int(connector),
        id_tag=cells["id_tag"],
        person=cells["name"],
        start=moment_at(cells, "start_utc"),
        end=moment_at(cells, "end_utc"),
        energy=None if energy_kwh is None else Wh(round(energy_kwh * 1000)),
        duration_min=None if duration is None else round(duration),
        reason=cells["reason"],
        flags=tuple(flag for flag in cells["flags"].split("; ") if flag),
    )


def _number(text: str) -> float | None:
    try:
        return number_at({"": float(text)}, "")
    except ValueError:
        return None


def parse_month_energy(content: bytes) -> MonthEnergy:
    """Read energy_hourly-YYYY-MM.json; raises `UnreadableContentError`: a total without a bad value would be wrong."""
    document = document_of(content, dict)
    return MonthEnergy(
        by_hour={name: dict(_amounts(entries, _hour)) for name, entries in _tables(document, "chargers")},
        by_day={tag: dict(_amounts(entries, date.fromisoformat)) for tag, entries in _tables(document, "tags")},
    )


def _tables(document: Json, key: str) -> Iterator[tuple[str, Json]]:
    found = document.get(key)
    if not isinstance(found, dict) or not all(isinstance(entries, dict) for entries in found.values()):
        raise UnreadableContentError(f"has no tables under {key!r}")
    return iter(found.items())


def _amounts(entries: Json, parse: Callable[[str], T]) -> Iterator[tuple[T, Wh]]:
    for key in entries:
        energy_kwh = number_at(entries, key)
        if energy_kwh is None:
            raise UnreadableContentError(f"the energy of {key[:30]!r} is not a number of kWh")
        yield parse(key), Wh(round(energy_kwh * 1000))


def _hour(text: str) -> datetime:
    begin = datetime.fromisoformat(text)
    return begin.replace(tzinfo=begin.tzinfo or UTC)
