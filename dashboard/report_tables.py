"""The tables of the monthly report: as data frames for the page, and as whole tables for the files.

Columns of the frames have names for programs; the page gives them their headings.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import tzinfo

import pandas as pd

from dashboard.exports import Cell, Table, kwh_cell
from dashboard.finished_sessions import export_of
from dashboard.month_report import ChargerLine, Comparison, MonthReport, Person
from dashboard.quotas import QuotaState
from dashboard.texts import Words
from dashboard.wording import plain

SHEETS = ("totals", "users", "chargers", "days", "sessions")


def days_words(comparison: Comparison, words: Words) -> str:
    """Give the days of the month before that are compared: 1–20 Oct."""
    first, last = comparison.month_before, comparison.month_before.replace(day=comparison.until.day)
    return words.day(first) if last == first else words("report.days", first=first.day, last=words.day(last))


def change_words(now: int, before: int, words: Words) -> str:
    """Give a change in whole percent with its sign; blank where there was nothing before."""
    if before <= 0:
        return ""
    percent = round((now - before) * 100 / before)
    kind = "more" if percent > 0 else "less" if percent < 0 else "same"
    return words(f"report.{kind}", percent=words.percent(abs(percent)))


def people_frame(people: Iterable[Person], words: Words) -> pd.DataFrame:
    """Give the cards with their account's usage and quota; columns that nobody needs are left out."""
    frame = pd.DataFrame(
        [
            {
                "name": plain(person.person),
                "used": None if person.used is None else kwh_cell(person.line.used),
                "quota": kwh_cell(person.line.quota),
                "over": kwh_cell(person.over) or None,
                "state": _states(person, words),
                "sessions": person.sessions,
                "card": plain(person.line.id_tag),
                "account": plain(person.line.account) if person.line.account != person.line.id_tag else "",
                "free": kwh_cell(person.free) or None,
            }
            for person in people
        ],
        columns=["name", "used", "quota", "over", "state", "sessions", "card", "account", "free"],
    )
    frame["sessions"] = frame["sessions"].astype("Int64")
    for column in ("used", "quota", "over", "free"):
        frame[column] = frame[column].astype("Float64")
    empty = [column for column in ("account", "free") if not frame[column].fillna(0).astype(bool).any()]
    return frame.drop(columns=empty)


def person_names(people: Iterable[Person]) -> list[str]:
    """Give name and card of each in short, no two alike: who chooses one must not get another's statement."""
    counts: Counter[str] = Counter()
    names = []
    for person in people:
        name = " · ".join(filter(None, (plain(person.person), plain(person.line.id_tag))))
        counts[name] += 1
        names.append(name if counts[name] == 1 else f"{name} ({counts[name]})")
    return names


def charger_frame(chargers: Iterable[ChargerLine]) -> pd.DataFrame:
    """Give the charge points; `share` is in percent."""
    frame = pd.DataFrame(
        [
            {
                "charger": plain(charger.name),
                "energy": kwh_cell(charger.energy),
                "share": None if charger.share is None else charger.share * 100,
                "sessions": charger.sessions,
            }
            for charger in chargers
        ],
        columns=["charger", "energy", "share", "sessions"],
    )
    frame["sessions"] = frame["sessions"].astype("Int64")
    return frame


def day_frame(report: MonthReport, words: Words) -> pd.DataFrame:
    """Give energy by day, with the day in words."""
    rows = [
        {"day": day.day, "label": f"{words.weekday(day.weekday())} {words.day(day)}", "energy": energy / 1000}
        for day, energy in report.days
    ]
    return pd.DataFrame(rows, columns=["day", "label", "energy"])


def week_frame(report: MonthReport, words: Words) -> pd.DataFrame:
    """Give energy by hour of the week, with the weekday in words."""
    rows = [
        {"weekday": words.weekday(slot.weekday), "hour": slot.hour, "energy": slot.energy / 1000}
        for slot in report.week
    ]
    return pd.DataFrame(rows, columns=["weekday", "hour", "energy"])


def report_tables(report: MonthReport, site_name: str, zone: tzinfo, words: Words) -> dict[str, Table]:
    """Give the tables of the files by their names in `SHEETS`. Nothing in them is rounded or shortened."""
    return {
        "totals": _totals(report, site_name, zone, words),
        "users": _users(report, words),
        "chargers": _table(
            "chargers",
            ("report.column.charger_id", "columns.charger", "report.column.energy", "report.column.share_percent",
             "report.column.sessions"),
            [
                (line.charge_point_id, line.name, kwh_cell(line.energy), _percent(line.share), line.sessions)
                for line in report.chargers
            ],
            words,
        ),
        "days": _table(
            "days", ("report.column.day", "report.column.energy"),
            [(day, energy / 1000) for day, energy in report.days], words,
        ),
        "sessions": replace(
            export_of(report.month.sessions or (), words, zone), name=words("report.sheet.sessions")
        ),
    }  # fmt: skip


def _totals(report: MonthReport, site_name: str, zone: tzinfo, words: Words) -> Table:
    totals, compared = report.totals, report.comparison
    now, before = (compared.now, compared.before) if compared else (None, None)
    days = days_words(compared, words) if compared else ""
    same_days = words("report.days", first=1, last=words.day(report.month.first.replace(day=compared.until.day))) \
        if compared else ""  # fmt: skip
    energies = [kwh_cell(found.energy) if found else None for found in (totals, now, before)]
    sessions = [found.sessions if found else None for found in (totals, now, before)]
    by_quota = [found.by_quota if found else None for found in (totals, now, before)]
    rows: list[tuple[Cell, ...]] = [
        (words("report.totals.site"), site_name, None, None),
        (words("report.totals.month"), f"{report.month.first:%Y-%m}", None, None),
        (words("report.totals.zone"), str(zone), None, None),
        (words("report.totals.energy"), *energies),
        (words("report.totals.on_quotas"), kwh_cell(report.on_quotas), None, None),
        (words("report.totals.sessions"), *sessions),
        (words("report.totals.users"), report.users, None, None),
        (words("report.totals.by_quota"), *by_quota),
    ]
    month = words.month(report.month.first)
    head = words("report.until_now", month=month) if report.is_open else month
    return Table(words("report.sheet.totals"), (words("report.column.figure"), head, same_days, days), tuple(rows))


def _users(report: MonthReport, words: Words) -> Table:
    headings = (
        *("columns.name", "columns.card", "columns.account", "columns.state", "report.column.sessions"),
        *("report.column.card_used", "report.column.account_used", "columns.quota", "report.column.over"),
        "report.column.free",
    )
    rows: list[tuple[Cell, ...]] = [
        (
            *(person.person, person.line.id_tag, person.line.account, "; ".join(_states(person, words))),
            *(person.sessions, kwh_cell(person.used)),
            None if person.used is None else kwh_cell(person.line.used),
            words("states.quota.no_limit") if _is_unlimited(person) else kwh_cell(person.line.quota),
            *(kwh_cell(person.over), kwh_cell(person.free)),
        )
        for person in report.people
    ]
    return _table("users", headings, rows, words)


def _table(sheet: str, headings: Iterable[str], rows: Iterable[tuple[Cell, ...]], words: Words) -> Table:
    return Table(words(f"report.sheet.{sheet}"), tuple(map(words, headings)), tuple(rows))


def _states(person: Person, words: Words) -> list[str]:
    """Give where the account stands with its quota; nothing where what it used is not known."""
    is_told = person.used is not None or person.line.state is QuotaState.UNLISTED
    return [words(f"states.quota.{person.line.state}")] if is_told else []


def _is_unlimited(person: Person) -> bool:
    return person.line.state is QuotaState.NO_LIMIT


def _percent(share: float | None) -> float | None:
    return None if share is None else round(share * 100, 3)
