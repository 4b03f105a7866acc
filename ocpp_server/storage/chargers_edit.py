"""A person's decision about a charge point, put into chargers.csv without touching any other byte.

Encoding, byte order mark, delimiter, line ends, quotes and unknown columns stay as they are: the file is the
administrator's. What it means is read by `chargers_csv`; a file that it cannot read is not edited.
"""

from collections.abc import Mapping
from typing import Final

from ocpp_server.core.users import Access, ChargerRow
from ocpp_server.storage.chargers_csv import COLUMNS, FILE, REQUIRED, ChargersFileError, parse_chargers
from ocpp_server.storage.csv_edit import (
    RowEdits,
    TableKind,
    encoded,
    records,
    with_lines_at_the_end,
    with_rows,
    written,
)
from ocpp_server.storage.csv_text import (
    RowProblem,
    TableFileError,
    fold,
    layout_of,
    parse_boolean,
    parse_decimal,
    read_table,
)

_WORDS = {True: "TRUE", False: "FALSE"}
_KIND: Final = TableKind(FILE, COLUMNS, REQUIRED, "charger_id")
_SWITCHES: Final = ("ping", "configure")


class BadChargerError(ChargersFileError):
    """What is wanted of a charge point would be a bad row. `column` says where."""

    def __init__(self, problem: RowProblem) -> None:
        super().__init__(f"{problem.column} {problem.text}".strip())
        self.column = problem.column


def cells_of_row(content: bytes, charge_point_id: str) -> dict[str, str]:
    """The row as it is written, of several the first; empty if there is none. Raises ChargersFileError."""
    if not content.strip():
        return {}
    try:
        rows = _KIND.read(content).rows
    except TableFileError as error:
        raise ChargersFileError(str(error)) from error
    return next((dict(row.cells) for row in rows if row.cells.get("charger_id") == charge_point_id), {})


def with_cells(content: bytes, charge_point_id: str, cells: Mapping[str, str]) -> bytes | None:
    """The file with these columns of a charge point changed, or a row for it added; None if it says so already.

    A blank `content` begins the file. Raises BadChargerError for what would be a bad row, ChargersFileError if the
    file cannot be edited safely.
    """
    if not cells_of_row(content, charge_point_id) and all(says_the_same("", c, "", text) for c, text in cells.items()):
        return None
    if not content.strip():
        content = (",".join(COLUMNS) + "\n").encode()
    try:
        # with a decimal comma where semicolons part the cells: a spreadsheet of such a country reads 7.4 as a date
        mark = "," if layout_of(content, FILE).delimiter == ";" else "."
        wanted = {c: text.replace(".", mark) if c == "max_kw" else text for c, text in cells.items()}
        after = with_rows(content, _KIND, RowEdits({charge_point_id: wanted}, (), says_the_same))
    except TableFileError as error:
        raise ChargersFileError(str(error)) from error
    if after == content:
        return None
    for problem in _problems_of(after, charge_point_id):
        if problem.severity == "error":
            raise BadChargerError(problem)
    return after


def remarks_on(content: bytes, charge_point_id: str) -> list[str]:
    """What is odd in a charge point's rows, in words. Raises ChargersFileError."""
    return [str(problem) for problem in _problems_of(content, charge_point_id)] if content.strip() else []


def says_the_same(_charge_point_id: str, column: str, one: str, other: str) -> bool:
    """`yes` and a blank are the same to a switch, `Quota` and a blank to the access, 7.4 and 7,40 to a power."""
    if one == other:
        return True
    if column in _SWITCHES:
        return _switch(one) is not None and _switch(one) is _switch(other)
    if column == "access":
        return fold(one or Access.QUOTA) == fold(other or Access.QUOTA)
    if column == "energy_unit":
        return one.casefold() == other.casefold()
    if column == "max_kw" and one and other:
        return parse_decimal(one) is not None and parse_decimal(one) == parse_decimal(other)
    return False


def _switch(text: str) -> bool | None:
    return {"": True, "on": True, "off": False}.get(fold(text), parse_boolean(text))


def _problems_of(content: bytes, charge_point_id: str) -> list[RowProblem]:
    lines = {row.line for row in _KIND.read(content).rows if row.cells.get("charger_id") == charge_point_id}
    return [problem for problem in parse_chargers(content, {}).problems if problem.line in lines]


def with_approval(content: bytes, charge_point_id: str, *, note: str) -> bytes | None:
    """The file in which this charge point has a row, and none that says no; None if it is so already.

    A blank `content` begins the file. A new row has the id and the note; whether it is approved stays the ledger's
    business, so that it can be forgotten there. Raises ChargersFileError if the file cannot be edited safely.
    """
    if not content.strip():
        return (",".join(COLUMNS) + "\n" + _row(charge_point_id, note, COLUMNS, ",") + "\n").encode()
    before = parse_chargers(content, {}).table
    changed = _with_approved_cells(content, charge_point_id, was=False, wanted=True)
    if changed is None and charge_point_id not in before:
        changed = _with_row(content, charge_point_id, note)
    return None if changed is None else _checked(changed, before, charge_point_id, unwanted=False)


def with_lock(content: bytes, charge_point_id: str) -> bytes | None:
    """The file in which no row of this charge point says that it is approved; None if it is so already.

    Raises ChargersFileError if the file cannot be edited safely.
    """
    if not content.strip():
        return None
    before = parse_chargers(content, {}).table
    changed = _with_approved_cells(content, charge_point_id, was=True, wanted=False)
    return None if changed is None else _checked(changed, before, charge_point_id, unwanted=True)


def _with_approved_cells(content: bytes, charge_point_id: str, *, was: bool, wanted: bool) -> bytes | None:
    """With the cells `approved` of this charge point turned round; None if none says `was`."""
    columns = read_table(content, file=FILE, known=COLUMNS, required=REQUIRED).columns
    if "approved" not in columns:
        return None
    id_at, approved_at = columns.index("charger_id"), columns.index("approved")
    layout = layout_of(content, FILE)
    text = layout.text
    is_changed = False
    for record in reversed(list(records(text, layout.begin, layout.delimiter))):
        cells = record.cells
        if len(cells) <= max(id_at, approved_at) or cells[id_at].text != charge_point_id:
            continue
        cell = cells[approved_at]
        if parse_boolean(cell.text) is was:
            text = text[: cell.begin] + _WORDS[wanted] + text[cell.end :]
            is_changed = True
    return _encoded(text, content, layout.encoding) if is_changed else None


def _with_row(content: bytes, charge_point_id: str, note: str) -> bytes:
    """With a row at the end."""
    columns = read_table(content, file=FILE, known=COLUMNS, required=REQUIRED).columns
    layout = layout_of(content, FILE)
    text = with_lines_at_the_end(layout.text, [_row(charge_point_id, note, columns, layout.delimiter)])
    return _encoded(text, content, layout.encoding)


def _row(charge_point_id: str, note: str, columns: tuple[str, ...], delimiter: str) -> str:
    cells = {"charger_id": charge_point_id, "note": written(note)}
    return delimiter.join(cells.get(column, "") for column in columns)


def _encoded(text: str, content: bytes, encoding: str) -> bytes:
    """The bytes of the text as the file had them. Raises ChargersFileError for what its code page has no sign for."""
    try:
        return encoded(text, content, encoding, FILE)
    except TableFileError as error:
        raise ChargersFileError(str(error)) from error


def _checked(changed: bytes, before: Mapping[str, ChargerRow], charge_point_id: str, *, unwanted: bool) -> bytes:
    """What was changed, if the file now says what it must of this charge point and the same of all others."""
    after = parse_chargers(changed, {}).table
    row = after.pop(charge_point_id, None)
    others = {name: other for name, other in before.items() if name != charge_point_id}
    if row is None or row.approved is unwanted or after != others:
        raise ChargersFileError(f"{FILE}: the row of {charge_point_id} cannot be changed safely: edit it by hand")
    return changed
