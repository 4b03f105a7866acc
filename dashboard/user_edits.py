"""Edits of users1.csv before the server is asked: what a table or a file would change, and what is wrong in it.

Pure. The server judges again, and writes only the cells that change.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, Final

import pandas as pd

from dashboard.control_api import part
from dashboard.records import UserRow
from dashboard.texts import Words
from dashboard.wording import escaped, plain

LONGEST_TAG: Final = 20
"""OCPP 1.6 §7.28: IdToken is a CiString20Type."""
LARGEST_QUOTA_KWH: Final = 1_000_000_000
COLUMNS: Final = (
    *("id_tag", "name", "surname", "quota_kwh", "unlimited", "account", "expiry_date", "blocked", "email", "note"),
)

Row = Mapping[str, Any]
"""One user by `COLUMNS`: texts, quota in kWh or None, true or false, a date or None."""


class Kind(StrEnum):
    """What happens to a user."""

    ADD = "added"
    CHANGE = "changed"
    REMOVE = "removed"


@dataclass(frozen=True, slots=True)
class Step:
    """One request to the server."""

    kind: Kind
    id_tag: str
    cells: Mapping[str, Any]
    """Of a user to add all that is not blank, of one to change what changes."""
    before: Mapping[str, Any]

    @property
    def method(self) -> str:
        """The HTTP method."""
        return {Kind.ADD: "POST", Kind.CHANGE: "PATCH", Kind.REMOVE: "DELETE"}[self.kind]

    @property
    def path(self) -> str:
        """Below /api/v1."""
        return "/users" if self.kind is Kind.ADD else f"/users/{part(self.id_tag)}"

    @property
    def body(self) -> dict[str, Any] | None:
        """As JSON has it."""
        if self.kind is Kind.REMOVE:
            return None
        cells = {column: _json(value) for column, value in self.cells.items()}
        return {"id_tag": self.id_tag, **cells} if self.kind is Kind.ADD else cells


@dataclass(frozen=True, slots=True)
class RowProblem:
    """What is wrong with one row; `text` is the key of a text."""

    place: int
    """Row of the table, from 1."""
    id_tag: str
    text: str


def row_of(document: Mapping[str, Any]) -> Row:
    """Give a user of the control API as a row; an account that is only the card itself is blank."""
    row = {column: document.get(column) for column in COLUMNS}
    row["account"] = "" if row["account"] == row["id_tag"] else row["account"]
    row["expiry_date"] = date.fromisoformat(row["expiry_date"]) if row["expiry_date"] else None
    return normal(row)


def normal(row: Mapping[str, Any]) -> Row:
    """Give a row in one form, whatever a table or a file made of blank cells; a quota beside "unlimited" is none."""
    found: dict[str, Any] = {}
    for column in COLUMNS:
        value = row.get(column)
        is_blank = bool(pd.isna(value)) or value == ""
        match column:
            case "unlimited" | "blocked":
                found[column] = False if is_blank else bool(value)
            case "quota_kwh":
                found[column] = None if value is None or is_blank else float(value)
            case "expiry_date":
                found[column] = None if is_blank else value
            case _:
                found[column] = "" if is_blank else str(value).strip()
    if found["unlimited"]:
        found["quota_kwh"] = None
    return found


def row_of_line(cells: Mapping[str, str], user: UserRow, known: Mapping[str, Row]) -> Row:
    """Give a line of a file as a row. A column that the file does not have stays as it is for a known user."""
    tag = user.id_tag
    read = {
        "id_tag": tag,
        "quota_kwh": None if user.quota is None else user.quota / 1000,
        "unlimited": user.is_unlimited,
        "blocked": user.is_blocked,
        "expiry_date": user.expiry_date,
        "account": "" if user.account == tag else user.account,
    }
    stated = {column: read.get(column, cells.get(column)) for column in COLUMNS if column in cells}
    return normal({**known.get(tag, {}), **stated})


def problems_of(rows: Sequence[Row]) -> Iterator[RowProblem]:
    """Give what the server would refuse, by row."""
    spellings = Counter(row["id_tag"].casefold() for row in rows)
    for place, row in enumerate(rows, start=1):
        tag = row["id_tag"]
        if not tag:
            yield RowProblem(place, tag, "no_tag")
        elif len(tag) > LONGEST_TAG or not tag.isprintable():
            yield RowProblem(place, tag, "bad_tag")
        elif spellings[tag.casefold()] > 1:
            yield RowProblem(place, tag, "twice")
        if not row["unlimited"] and row["quota_kwh"] is None:
            yield RowProblem(place, tag, "no_quota")
        elif row["quota_kwh"] is not None and not 0 <= row["quota_kwh"] <= LARGEST_QUOTA_KWH:
            yield RowProblem(place, tag, "bad_quota")


def steps_between(before: Iterable[Row], after: Iterable[Row], *, removes: bool = True) -> list[Step]:
    """Give the steps from one list of users to another: removals first, so that a tag may change its spelling."""
    old = {row["id_tag"]: row for row in before}
    new = {row["id_tag"]: row for row in after}
    removed = [Step(Kind.REMOVE, tag, {}, row) for tag, row in old.items() if removes and tag not in new]
    changed = [
        Step(Kind.CHANGE, tag, cells, old[tag]) for tag, row in new.items() if (cells := _changes(old, tag, row))
    ]
    added = [
        Step(Kind.ADD, tag, {column: row[column] for column in COLUMNS[1:] if row[column]} | _quota(row), {})
        for tag, row in new.items()
        if tag not in old
    ]
    return removed + changed + added


def _quota(row: Row) -> dict[str, Any]:
    return {} if row["quota_kwh"] is None else {"quota_kwh": row["quota_kwh"]}


def _changes(old: Mapping[str, Row], tag: str, row: Row) -> dict[str, Any]:
    if tag not in old:
        return {}
    return {column: row[column] for column in COLUMNS[1:] if row[column] != old[tag][column]}


def step_line(step: Step, words: Words) -> str:
    """Give one step as Markdown: whom it is about, and each cell with what it was."""
    cells = [
        words(
            "manage_users.cell",
            column=words(f"manage_users.column.{column}"),
            old=_shown(step.before.get(column), words),
            new=_shown(value, words),
        )
        if step.kind is Kind.CHANGE
        else f"{words(f'manage_users.column.{column}')} {_shown(value, words)}"
        for column, value in step.cells.items()
    ]
    who = f"**{escaped(step.id_tag)}** {words(f'manage_users.kind.{step.kind}')}"
    return f"{who}: {', '.join(cells)}" if cells else who


def _shown(value: Any, words: Words) -> str:
    match value:
        case None | "":
            return words("manage_users.blank")
        case bool():
            return words("manage_users.yes") if value else words("manage_users.no")
        case float():
            return words.number(value, 3).rstrip("0").rstrip(words("format.decimal"))
        case _:
            return escaped(str(value))


def problem_line(problem: RowProblem, words: Words) -> str:
    """Give one problem as Markdown."""
    who = escaped(plain(problem.id_tag)) or words("manage_users.blank")
    return words("manage_users.problem", row=problem.place, who=who, text=words(f"manage_users.{problem.text}"))


def _json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value
