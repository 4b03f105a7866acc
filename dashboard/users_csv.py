"""Reads users1.csv the way administrators and spreadsheets write it: any of three delimiters, several encodings.

Part of `site_files`: besides it, the only place that knows the words of this file. Whether a row is in force is the
server's decision; the problems found here are shown only where the server reports none.
"""

import re
from collections.abc import Iterator
from datetime import date
from io import StringIO

import pandas as pd

from dashboard.latest_files import UnreadableContentError
from dashboard.records import Problem, UserRow, UserTable, Wh
from dashboard.wording import fold

USERS_FILE = "users1.csv"
ALIASES = {"header name": "name"}
NEEDED_COLUMNS = ("id_tag", "quota_kwh")
YES = frozenset(map(fold, ("true", "1", "yes", "evet", "doğru", "wahr", "vrai")))
NO = frozenset(map(fold, ("false", "0", "no", "hayır", "yanlış", "falsch", "faux", "")))
PLAIN_NUMBER = re.compile(r"[0-9]{1,9}(?:[.,][0-9]{1,9})?")
MOST_COLUMNS = 200


def parse_users(content: bytes) -> UserTable:
    """Read users1.csv; raises `UnreadableContentError` when it is empty or is no such table."""
    problems, lines = read_lines(content)
    rows: list[UserRow] = []
    for line, cells in lines:
        row, found = read_row(line, cells)
        problems += found
        rows += [row] if row else []
    return UserTable(tuple(rows), tuple(problems))


def read_lines(content: bytes) -> tuple[list[Problem], list[tuple[int, dict[str, str]]]]:
    """Give what is odd about the file, and for each line that is not blank its number and its cells by column.

    Raises `UnreadableContentError`.
    """
    text, problems = _decoded(content)
    cells = _cells(text)
    headings = [ALIASES.get(heading, heading) for heading in (cell.strip().casefold() for cell in cells.iloc[0])]
    for needed in NEEDED_COLUMNS:
        if needed not in headings:
            raise UnreadableContentError(f"has no column {needed} in its first line")
    table = enumerate(cells.iloc[1:].itertuples(index=False, name=None), start=2)
    return problems, [
        (line, dict(zip(reversed(headings), reversed(values), strict=True)))
        for line, values in table
        if any(value.strip() for value in values)
    ]


def _decoded(content: bytes) -> tuple[str, list[Problem]]:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16"), []
    try:
        return content.decode("utf-8-sig"), []
    except UnicodeDecodeError:
        text = content.decode("cp1254", errors="replace")
        return text, [Problem(None, "", "is not UTF-8; read as Windows text (cp1254)")]


def _cells(text: str) -> pd.DataFrame:
    """Split into cells, all of them text: `0012345`, `1E5` and `NA` stay what they are."""
    if not text.strip():
        raise UnreadableContentError("is empty")
    heading = next(line for line in text.splitlines() if line.strip())
    delimiter = max(",;\t", key=heading.count)
    columns = min(MOST_COLUMNS, 1 + max(line.count(delimiter) for line in text.splitlines()))
    cells = pd.read_csv(
        StringIO(text.lstrip("\r\n")),
        sep=delimiter,
        header=None,
        names=range(columns),
        dtype=str,
        keep_default_na=False,
        na_filter=False,
        skip_blank_lines=False,
    )
    return cells.fillna("")


def read_row(line: int, cells: dict[str, str]) -> tuple[UserRow | None, list[Problem]]:
    """Give the user of one line, if it names a card, and what is wrong in it."""

    def cell(column: str) -> str:
        return cells.get(column, "").strip()

    id_tag = cell("id_tag")
    if not id_tag:
        return None, [Problem(line, "id_tag", "is empty")]
    problems = list(_problems_of(line, cells))
    is_unlimited = fold(cell("unlimited")) in YES
    row = UserRow(
        id_tag=id_tag,
        account=cell("account") or id_tag,
        person=f"{cell('name')} {cell('surname')}".strip(),
        quota=None if is_unlimited else _quota(cell("quota_kwh")),
        is_unlimited=is_unlimited,
        is_blocked=fold(cell("blocked")) in YES,
        expiry_date=_day(cell("expiry_date")),
        is_readable=not problems,
    )
    return row, problems


def _problems_of(line: int, cells: dict[str, str]) -> Iterator[Problem]:
    def cell(column: str) -> str:
        return cells.get(column, "").strip()

    for column in ("unlimited", "blocked"):
        if fold(cell(column)) not in YES | NO:
            yield Problem(line, column, f'"{cell(column)[:40]}" is neither TRUE nor FALSE')
    if fold(cell("unlimited")) not in YES and _quota(cell("quota_kwh")) is None:
        yield Problem(line, "quota_kwh", f'"{cell("quota_kwh")[:40]}" is not a number')
    if cell("expiry_date") and _day(cell("expiry_date")) is None:
        yield Problem(line, "expiry_date", f'"{cell("expiry_date")[:40]}" is not a date like 2026-12-31')
    if cell(""):
        yield Problem(line, "", "has more cells than headings")


def _quota(text: str) -> Wh | None:
    return Wh(round(float(text.replace(",", ".")) * 1000)) if PLAIN_NUMBER.fullmatch(text) else None


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
