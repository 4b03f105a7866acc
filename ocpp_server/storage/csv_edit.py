"""Rows of a table that people edit: changed, added and removed without touching any other byte.

Encoding, byte order mark, delimiter, line ends, quotes, unknown columns and their order stay as they are: the file is
its administrator's. What a row means is read by others; what is written here is read back and compared first.
"""

import codecs
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ocpp_server.storage.csv_text import CsvTable, Layout, TableFileError, clean, layout_of, read_table

_UTF16_MARKS = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}
_LINE_END = re.compile(r"\r\n|\n|\r")
_NEEDS_QUOTES = re.compile(r'[",;\t\r\n]|^ | $')


@dataclass(frozen=True, slots=True)
class Cell:
    """Where a cell stands in the text, quotes included, and what it says without them."""

    begin: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Record:
    """A line of a table, which quotes may stretch over several lines of the file."""

    begin: int
    end: int
    """With its line end."""
    cells: list[Cell]


@dataclass(frozen=True, slots=True)
class TableKind:
    """Which file it is, what its columns are called, and the one that names a row."""

    file: str
    known: tuple[str, ...]
    required: tuple[str, ...]
    key: str
    aliases: Mapping[str, str] = field(default_factory=dict)

    def read(self, content: bytes) -> CsvTable:
        """Raises TableFileError."""
        return read_table(content, file=self.file, known=self.known, required=self.required, aliases=self.aliases)


@dataclass(frozen=True, slots=True)
class RowEdits:
    """`changed`: by key, the new text of some columns; a key without a row gets one. `removed`: keys whose rows go."""

    changed: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    removed: Collection[str] = ()
    says_the_same: Callable[[str, str, str, str], bool] = lambda _key, _column, old, new: old == new
    """Of key, column, old and new text: whether the cell can stay as a person wrote it."""


def with_rows(content: bytes, kind: TableKind, edits: RowEdits) -> bytes:
    """The file after the edits; every row of a key is changed, and a column that the file lacks is added.

    Raises TableFileError if the file cannot be edited safely.
    """
    table = kind.read(content)
    columns = [*table.columns, *_new_columns(table, kind, edits)]
    layout = layout_of(content, kind.file)
    splices = list(_splices(layout, kind, columns, len(table.columns), edits))
    text = layout.text
    for begin, end, new in sorted(splices, reverse=True):
        text = text[:begin] + new + text[end:]
    present = {row.cells.get(kind.key, "") for row in table.rows}
    added = [key for key in edits.changed if key not in present]
    text = with_lines_at_the_end(text, [_row(kind, columns, layout.delimiter, key, edits) for key in added])
    changed = encoded(text, content, layout.encoding, kind.file)
    _check(table, kind.read(changed), kind, edits, added)
    return changed


def records(text: str, begin: int, delimiter: str) -> Iterator[Record]:
    """Every record of a well-formed table, with where its cells stand."""
    at = begin
    while at < len(text):
        cells, end = _record(text, at, delimiter)
        yield Record(at, end, cells)
        at = end


def with_lines_at_the_end(text: str, lines: Iterable[str]) -> str:
    """With more lines, ended as the first line of the text is."""
    first = _LINE_END.search(text)
    line_end = first[0] if first else "\n"
    for line in lines:
        text += ("" if text.endswith(("\n", "\r")) else line_end) + line + line_end
    return text


def encoded(text: str, content: bytes, encoding: str, file: str) -> bytes:
    """The bytes of the text as the file had them. Raises TableFileError for what its code page has no sign for."""
    for name, mark in _UTF16_MARKS.items():
        if encoding == "utf-16" and content.startswith(mark):
            return mark + text.encode(name)
    try:
        return text.encode(encoding)
    except UnicodeEncodeError as error:
        raise TableFileError(f"{file}: cannot be written as {encoding}: save it as UTF-8") from error


def written(text: str, *, is_quoted: bool = False) -> str:
    """The text as a cell: in quotes where it needs them, and harmless to a spreadsheet (CWE-1236)."""
    safe = "'" + text if text.startswith(("=", "+", "-", "@")) else text
    if not is_quoted and not _NEEDS_QUOTES.search(safe):
        return safe
    doubled = safe.replace('"', '""')
    return f'"{doubled}"'


def _new_columns(table: CsvTable, kind: TableKind, edits: RowEdits) -> list[str]:
    """Columns that the file lacks and an edit has something for."""
    needed = {
        column
        for key, cells in edits.changed.items()
        for column, text in cells.items()
        if text and not edits.says_the_same(key, column, "", text)
    }
    return [column for column in kind.known if column in needed and column not in table.columns]


def _splices(
    layout: Layout, kind: TableKind, columns: list[str], width: int, edits: RowEdits
) -> Iterator[tuple[int, int, str]]:
    """What is replaced by what, in places of the text; `width` is that of the header as it is."""
    key_at = columns.index(kind.key)
    filled = (r for r in records(layout.text, layout.begin, layout.delimiter) if any(cell.text for cell in r.cells))
    header = next(filled)
    end = header.cells[-1].end
    yield end, end, "".join(layout.delimiter + column for column in columns[width:])
    for record in filled:
        key = record.cells[key_at].text if key_at < len(record.cells) else ""
        if key in edits.removed:
            yield record.begin, record.end, ""
        elif key in edits.changed:
            yield from _changed_cells(layout, record.cells, columns, key, edits)


def _changed_cells(
    layout: Layout, cells: list[Cell], columns: list[str], key: str, edits: RowEdits
) -> Iterator[tuple[int, int, str]]:
    lacking: dict[int, str] = {}
    for column, text in edits.changed[key].items():
        at = columns.index(column) if column in columns else len(columns)
        old = cells[at].text if at < len(cells) else ""
        if edits.says_the_same(key, column, old, text):
            continue
        if at < len(cells):
            is_quoted = layout.text.startswith('"', cells[at].begin)
            yield cells[at].begin, cells[at].end, written(text, is_quoted=is_quoted)
        elif text:
            lacking[at] = text
    if lacking:
        tail = [written(lacking.get(at, "")) for at in range(len(cells), max(lacking) + 1)]
        yield cells[-1].end, cells[-1].end, "".join(layout.delimiter + text for text in tail)


def _row(kind: TableKind, columns: list[str], delimiter: str, key: str, edits: RowEdits) -> str:
    cells = {**edits.changed[key], kind.key: key}
    return delimiter.join(written(cells.get(column, "")) for column in columns)


def _check(before: CsvTable, after: CsvTable, kind: TableKind, edits: RowEdits, added: list[str]) -> None:
    """Raises TableFileError unless the file now says what it must, and the same as before in all other rows."""
    expected = []
    for row in before.rows:
        key = row.cells.get(kind.key, "")
        if key not in edits.removed:
            new = edits.changed.get(key, {}).items()
            other = {c: text for c, text in new if not edits.says_the_same(key, c, row.cells.get(c, ""), text)}
            expected.append({**row.cells, **other})
    for key in added:
        cells = {**edits.changed[key], kind.key: key}
        expected.append({column: text for column, text in cells.items() if column in after.columns})
    if [_filled(cells) for cells in expected] != [_filled(row.cells) for row in after.rows]:
        raise TableFileError(f"{kind.file}: this cannot be changed safely: edit the file by hand")


def _filled(cells: Mapping[str, str]) -> dict[str, str]:
    return {column: text for column, text in cells.items() if text}


def _record(text: str, at: int, delimiter: str) -> tuple[list[Cell], int]:
    """One record, and where the next one begins."""
    cells: list[Cell] = []
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


def _quoted_cell(text: str, begin: int) -> Cell:
    end = begin + 1
    while end < len(text):
        if text[end] != '"':
            end += 1
        elif text.startswith('""', end):
            end += 2
        else:
            break
    return Cell(begin, end + 1, clean(text[begin + 1 : end].replace('""', '"')))


def _bare_cell(text: str, begin: int, delimiter: str) -> Cell:
    end = begin
    while end < len(text) and text[end] not in (delimiter, "\r", "\n"):
        end += 1
    return Cell(begin, end, clean(text[begin:end]))
