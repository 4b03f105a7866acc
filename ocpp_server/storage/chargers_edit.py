"""A person's decision about a charge point, put into chargers.csv without touching any other byte.

Encoding, byte order mark, delimiter, line ends, quotes and unknown columns stay as they are: the file is the
administrator's. What it means is read by `chargers_csv`; a file that it cannot read is not edited.
"""

import codecs
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ocpp_server.core.users import ChargerRow
from ocpp_server.storage.chargers_csv import COLUMNS, FILE, REQUIRED, ChargersFileError, parse_chargers
from ocpp_server.storage.csv_text import clean, layout_of, parse_boolean, read_table

_WORDS = {True: "TRUE", False: "FALSE"}
_UTF16_MARKS = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}
_LINE_END = re.compile(r"\r\n|\n|\r")
_NEEDS_QUOTES = re.compile(r'[",;\t\r\n]')


@dataclass(frozen=True, slots=True)
class _Cell:
    """Where a cell stands in the text, quotes included, and what it says without them."""

    begin: int
    end: int
    text: str


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
    for cells in reversed(list(_records(text, layout.begin, layout.delimiter))):
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
    first = _LINE_END.search(layout.text)
    line_end = first[0] if first else "\n"
    text = layout.text if layout.text.endswith(("\n", "\r")) else layout.text + line_end
    text += _row(charge_point_id, note, columns, layout.delimiter) + line_end
    return _encoded(text, content, layout.encoding)


def _row(charge_point_id: str, note: str, columns: tuple[str, ...], delimiter: str) -> str:
    cells = {"charger_id": charge_point_id, "note": f'"{note}"' if _NEEDS_QUOTES.search(note) else note}
    return delimiter.join(cells.get(column, "") for column in columns)


def _encoded(text: str, content: bytes, encoding: str) -> bytes:
    """The bytes of the text as the file had them. Raises ChargersFileError for what its code page has no sign for."""
    for name, mark in _UTF16_MARKS.items():
        if encoding == "utf-16" and content.startswith(mark):
            return mark + text.encode(name)
    try:
        return text.encode(encoding)
    except UnicodeEncodeError as error:
        raise ChargersFileError(f"{FILE}: cannot be written as {encoding}: save it as UTF-8") from error


def _checked(changed: bytes, before: Mapping[str, ChargerRow], charge_point_id: str, *, unwanted: bool) -> bytes:
    """What was changed, if the file now says what it must of this charge point and the same of all others."""
    after = parse_chargers(changed, {}).table
    row = after.pop(charge_point_id, None)
    others = {name: other for name, other in before.items() if name != charge_point_id}
    if row is None or row.approved is unwanted or after != others:
        raise ChargersFileError(f"{FILE}: the row of {charge_point_id} cannot be changed safely: edit it by hand")
    return changed


def _records(text: str, begin: int, delimiter: str) -> Iterator[list[_Cell]]:
    """Every record of a well-formed table, with where its cells stand."""
    at = begin
    while at < len(text):
        cells, at = _record(text, at, delimiter)
        yield cells


def _record(text: str, at: int, delimiter: str) -> tuple[list[_Cell], int]:
    """One record, and where the next one begins."""
    cells: list[_Cell] = []
    while True:
        while text.startswith(" ", at):
            at += 1
        cell = _quoted_cell(text, at) if text.startswith('"', at) else _bare_cell(text, at, delimiter)
        cells.append(cell)
        at = cell.end
        if text.startswith(delimiter, at):
            at += len(delimiter)
            continue
        line_end = _LINE_END.match(text, at)
        return cells, line_end.end() if line_end else len(text)


def _quoted_cell(text: str, begin: int) -> _Cell:
    end = begin + 1
    while end < len(text):
        if text[end] != '"':
            end += 1
        elif text.startswith('""', end):
            end += 2
        else:
            break
    return _Cell(begin, end + 1, clean(text[begin + 1 : end].replace('""', '"')))


def _bare_cell(text: str, begin: int, delimiter: str) -> _Cell:
    end = begin
    while end < len(text) and text[end] not in (delimiter, "\r", "\n"):
        end += 1
    return _Cell(begin, end, clean(text[begin:end]))
