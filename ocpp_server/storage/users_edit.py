"""Users added, changed and removed in users1.csv, every other byte kept; and the file as it goes out and comes in.

Everything works on the content of the file; writing it is `locked_edit`, putting it in force `users_file`.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from ocpp_server.core.users import UserTable
from ocpp_server.storage.csv_edit import RowEdits, TableKind, with_rows, written
from ocpp_server.storage.csv_text import RowProblem, TableFileError, layout_of, parse_boolean, parse_decimal
from ocpp_server.storage.users_csv import ALIASES, FILE, OPTIONAL, REQUIRED, UsersFileError, parse_users

COLUMNS: Final = REQUIRED + OPTIONAL
_KIND: Final = TableKind(FILE, COLUMNS, REQUIRED, "id_tag", ALIASES)
_NOBODY: Final = UserTable()
_BOOLEANS: Final = ("unlimited", "blocked")

Rows = dict[str, dict[str, str]]
"""By id tag, the text of each known column that is not blank."""


class BadUserError(UsersFileError):
    """What is wanted of a user would be a bad row. `column` says where."""

    def __init__(self, problem: RowProblem) -> None:
        super().__init__(f"{problem.column} {problem.text}".strip())
        self.column = problem.column


@dataclass(frozen=True, slots=True)
class Import:
    """What an import does to users1.csv. `content` is None if it changes nothing."""

    content: bytes | None
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: Mapping[str, tuple[str, ...]]
    """By id tag, the columns with another text."""
    kept: int
    """Users of before that are still there."""
    problems: tuple[RowProblem, ...]
    """Warnings of the file that comes in."""
    ignored: tuple[str, ...]
    """Columns of it that nothing knows."""


def etag_of(content: bytes) -> str:
    """What tells one content of the file from another: an ETag with its quotes."""
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'


def rows_of(content: bytes) -> Rows:
    """The rows of the file as they are written; of several for a tag the first. Raises UsersFileError."""
    if not content.strip():
        return {}
    found: Rows = {}
    try:
        for row in _KIND.read(content).rows:
            found.setdefault(row.cells.get("id_tag", ""), {c: text for c, text in row.cells.items() if text})
    except TableFileError as error:
        raise UsersFileError(str(error)) from error
    return found


def quota_text(kwh: float | Decimal) -> str:
    """A quota to the Wh, as a person would write it."""
    return f"{kwh:.3f}".rstrip("0").rstrip(".")


def with_users(content: bytes, changed: Mapping[str, Mapping[str, str]], removed: Collection[str] = ()) -> bytes | None:
    """The file with columns of these users changed or their rows added, and others removed; None: it is so already.

    A blank `content` begins the file. Raises BadUserError for what would be a bad row, UsersFileError if the file
    cannot be edited safely.
    """
    if not content.strip():
        content = (",".join(COLUMNS) + "\n").encode()
    try:
        wanted = _as_it_writes_numbers(content, changed)
        after = with_rows(content, _KIND, RowEdits(wanted, removed, says_the_same))
        lines = {row.line for row in _KIND.read(after).rows if row.cells.get("id_tag", "") in changed}
    except TableFileError as error:
        raise UsersFileError(str(error)) from error
    if after == content:
        return None
    for problem in parse_users(after, _NOBODY).problems:
        if problem.line in lines and problem.severity == "error":
            raise BadUserError(problem)
    return after


def remarks_on(content: bytes, id_tag: str) -> list[str]:
    """What is odd in a user's rows, in words. Raises UsersFileError."""
    lines = {row.line for row in _KIND.read(content).rows if row.cells.get("id_tag", "") == id_tag}
    return [str(problem) for problem in parse_users(content, _NOBODY).problems if problem.line in lines]


def import_users(content: bytes, incoming: bytes, *, is_replacing: bool) -> Import:
    """users1.csv with the users of another such file: those that it has are added or changed, in the columns that it
    has; with `is_replacing`, users that it lacks are removed.

    Raises UsersFileError, also for any row of `incoming` that users1.csv would refuse.
    """
    parsed = parse_users(incoming, _NOBODY)
    errors = [str(problem) for problem in parsed.problems if problem.severity == "error"]
    if errors:
        raise UsersFileError("; ".join(errors[:10]))
    header = _KIND.read(incoming).columns
    columns = [column for column in header if column in COLUMNS and column != "id_tag"]
    ignored = tuple(column for column in header if column and column not in COLUMNS)
    present = rows_of(content)
    given = _as_spelt_there(rows_of(incoming), present)
    wanted = {tag: {column: cells.get(column, "") for column in columns} for tag, cells in given.items()}
    changed = {tag: _different(present[tag], cells) for tag, cells in wanted.items() if tag in present}
    changed = {tag: columns_changed for tag, columns_changed in changed.items() if columns_changed}
    added = tuple(tag for tag in wanted if tag not in present)
    removed = tuple(tag for tag in present if tag not in wanted) if is_replacing else ()
    edits = {tag: {column: wanted[tag][column] for column in columns} for tag, columns in changed.items()}
    edits |= {tag: wanted[tag] for tag in added}
    after = with_users(content, edits, removed) if edits or removed else None
    kept = len(present) - len(removed)
    return Import(after, added, removed, changed, kept, parsed.problems, ignored)


def export_users(rows: Iterable[Mapping[str, str]]) -> bytes:
    """A users1.csv of rows by column, harmless to a spreadsheet; read back it says the same. UTF-8 with BOM."""
    lines = [",".join(COLUMNS), *(",".join(written(row.get(column, "")) for column in COLUMNS) for row in rows)]
    return ("\r\n".join(lines) + "\r\n").encode("utf-8-sig")


def spelling_of(id_tag: str, tags: Collection[str]) -> str | None:
    """The tag among those of the file: as it is spelt, else the only one that differs by case; else None."""
    if id_tag in tags:
        return id_tag
    alike = [tag for tag in tags if tag.casefold() == id_tag.casefold()]
    return alike[0] if len(alike) == 1 else None


def says_the_same(id_tag: str, column: str, one: str, other: str) -> bool:
    """`no`, FALSE and a blank are the same to a switch; 150 and 150,0 to a quota."""
    if one == other:
        return True
    if column in _BOOLEANS:
        return parse_boolean(one or "no") is parse_boolean(other or "no")
    if column == "account":
        return (one or id_tag) == (other or id_tag)
    if column == "quota_kwh":
        return bool(one and other) and parse_decimal(one) == parse_decimal(other)
    return False


def _as_spelt_there(given: Rows, present: Rows) -> Rows:
    """A tag that differs by case from the only such row is that row: a second one would make neither match a card."""
    spelt: Rows = {}
    for tag, cells in given.items():
        other = spelling_of(tag, present)
        spelt[tag if other is None or other in given else other] = cells
    return spelt


def _different(row: Mapping[str, str], wanted: Mapping[str, str]) -> tuple[str, ...]:
    id_tag = row["id_tag"]
    return tuple(c for c, text in wanted.items() if not says_the_same(id_tag, c, row.get(c, ""), text))


def _as_it_writes_numbers(content: bytes, changed: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """With a decimal comma where semicolons part the cells: a spreadsheet of such a country reads 1.5 as a date."""
    mark = "," if layout_of(content, FILE).delimiter == ";" else "."
    return {
        tag: {c: text.replace(".", mark) if c == "quota_kwh" else text for c, text in cells.items()}
        for tag, cells in changed.items()
    }
