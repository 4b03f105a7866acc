"""From the bytes of a table a person edits to rows of text with their line numbers; words and numbers in cells.

Which columns there are and what a row means is `users_csv` and `chargers_csv`.

Exceptions:

* :exc:`TableFileError`: the file as a whole cannot be used
    * :exc:`~ocpp_server.storage.users_csv.UsersFileError`
    * :exc:`~ocpp_server.storage.chargers_csv.ChargersFileError`
"""

import codecs
import csv
import io
import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

MAX_BYTES = 5_000_000

_DELIMITERS = (",", ";", "\t")
_EXCEL_HINT = re.compile(r"sep=([,;\t])[ \t]*(\r\n|\n|\r)")
_INVISIBLE = "\ufeff\u200b\u200e\u200f"
_EDGES = re.compile(rf"^[\s{_INVISIBLE}]+|[\s{_INVISIBLE}]+$")
_DECIMAL = re.compile(r"[0-9]+(?:[.,][0-9]+)?")
_LONGEST_DECIMAL = 28
_BOOLEAN_WORDS = {
    **dict.fromkeys(("true", "1", "yes", "evet", "dogru", "wahr", "ja", "vrai", "oui"), True),
    **dict.fromkeys(("false", "0", "no", "hayir", "yanlis", "falsch", "nein", "faux", "non"), False),
}


class TableFileError(Exception):
    """The file cannot be used at all; the last good table stays in force. The message says where and why."""


@dataclass(frozen=True, slots=True)
class RowProblem:
    """What is wrong in one row, for a person. An error rejects the row, a warning does not.

    `line` counts the lines of the file from 1, and is 0 for the whole file; `column` is blank for the whole row.
    """

    line: int
    column: str
    text: str
    severity: Literal["error", "warning"] = "error"
    file: str = "users1.csv"

    def __str__(self) -> str:
        where = f"{self.file} row {self.line}" if self.line else self.file
        return f"{where}: {self.column} {self.text}" if self.column else f"{where}: {self.text}"


@dataclass(frozen=True, slots=True)
class CsvRow:
    """The cells of the known columns. A column that the row is too short for is absent."""

    line: int
    cells: Mapping[str, str]
    cell_count: int
    """Without blank cells at the end."""


@dataclass(frozen=True, slots=True)
class CsvTable:
    """A header that has every required column, and the rows that are not blank."""

    columns: tuple[str, ...]
    """The header in file order: known columns by their own name, others as they are written."""
    header_line: int
    rows: tuple[CsvRow, ...]
    problems: tuple[RowProblem, ...]


def read_table(
    content: bytes,
    *,
    file: str,
    known: Collection[str],
    required: Collection[str],
    aliases: Mapping[str, str] | None = None,
) -> CsvTable:
    """Read a whole CSV file, every cell as stripped text.

    `aliases` maps another spelling of a column to the known one. Raises TableFileError if the file is too large,
    not text, not CSV, or lacks a required column.
    """
    text, problems = _decode(content, file)
    records = _records(text, file)
    header_line, header = next(records, (0, []))
    if not header:
        raise TableFileError(f"{file}: the file is empty, a header row was expected")
    names = {_fold_header(name): name for name in known}
    names |= {_fold_header(alias): name for alias, name in (aliases or {}).items()}
    columns = tuple(names.get(_fold_header(cell), cell) for cell in header)
    _check_header(columns, file, known, required)
    known_columns = set(known)
    rows = tuple(
        CsvRow(line, {c: v for c, v in zip(columns, cells, strict=False) if c in known_columns}, _width(cells))
        for line, cells in records
    )
    return CsvTable(columns, header_line, rows, problems)


def fold(text: str) -> str:
    """Text without case and accents, the Turkish i's all alike: for comparing words from any keyboard."""
    decomposed = unicodedata.normalize("NFKD", text)
    plain = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    return plain.replace("ı", "i").casefold()


def parse_boolean(text: str) -> bool | None:
    """The truth value of a word in English, Turkish, German or French; None for another word."""
    return _BOOLEAN_WORDS.get(fold(text))


def parse_decimal(text: str) -> Decimal | None:
    """The number in digits with at most one decimal point or comma, no sign, no exponent; else None."""
    if len(text) > _LONGEST_DECIMAL or not _DECIMAL.fullmatch(text):
        return None
    return Decimal(text.replace(",", "."))


def quoted(text: str) -> str:
    """A cell's text for a message: in quotes, on one line, not too long."""
    short = text if len(text) <= 40 else f"{text[:39]}…"
    return '"' + "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in short) + '"'


class RowReader:
    """Reads the cells of one row and collects what it cannot read: a row reports all its faults at once."""

    def __init__(self, row: CsvRow, *, file: str, width: int, required: Collection[str] = ()) -> None:
        """`width` is the number of columns in the header."""
        self._row = row
        self._file = file
        self.problems: list[RowProblem] = []
        missing = [column for column in required if column not in row.cells]
        if missing:
            self.error("", f"ends before column {missing[0]}")
        if row.cell_count > width:
            hint = 'a decimal comma needs quotes or ";" between columns'
            self.error("", f"has {row.cell_count} cells, the header has {width}; {hint}")

    @property
    def is_bad(self) -> bool:
        """Whether the row must be rejected."""
        return any(problem.severity == "error" for problem in self.problems)

    def error(self, column: str, text: str) -> None:
        """Reject the row."""
        self.problems.append(RowProblem(self._row.line, column, text, "error", self._file))

    def warn(self, column: str, text: str) -> None:
        """Report something and keep the row."""
        self.problems.append(RowProblem(self._row.line, column, text, "warning", self._file))

    def text(self, column: str) -> str:
        """The cell, blank if the row or the file has none."""
        return self._row.cells.get(column, "")

    def number(self, column: str) -> Decimal | None:
        """The number in the cell; None, and an error of the row, if there is none."""
        text = self.text(column)
        value = parse_decimal(text)
        if value is None:
            self.error(column, f"{quoted(text)} is not a number" if text else "is blank, a number was expected")
        return value

    def boolean(self, column: str) -> bool | None:
        """The truth value in the cell; None if it is blank, and, with an error of the row, for another word."""
        text = self.text(column)
        value = parse_boolean(text)
        if text and value is None:
            self.error(column, f"{quoted(text)} is neither TRUE nor FALSE")
        return value


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file is written: what an edit has to keep."""

    encoding: str
    text: str
    """Without a byte order mark."""
    begin: int
    """Where the first record begins: after the hint that Excel understands (`sep=;`)."""
    delimiter: str


def layout_of(content: bytes, file: str) -> Layout:
    """The layout of a file that `read_table` can read. Raises TableFileError."""
    encoding = _encoding(content, file)
    text, _ = _decode(content, file)
    hint = _EXCEL_HINT.match(text)
    begin = hint.end() if hint else 0
    return Layout(encoding, text, begin, hint[1] if hint else _sniff_delimiter(text[begin:]))


def _decode(content: bytes, file: str) -> tuple[str, tuple[RowProblem, ...]]:
    if len(content) > MAX_BYTES:
        raise TableFileError(f"{file}: the file is larger than {MAX_BYTES // 1_000_000} MB")
    encoding = _encoding(content, file)
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise TableFileError(f"{file}: not readable as {encoding} at byte {error.start + 1}") from error
    if "\0" in text:
        raise TableFileError(f"{file}: contains NUL bytes, it is half-written or no text file")
    if not encoding.startswith("cp"):
        return text, ()
    advice = f"is not UTF-8 and was read as {encoding}; check the accented letters and save it as UTF-8"
    return text, (RowProblem(0, "", advice, "warning", file),)


def _encoding(content: bytes, file: str) -> str:
    """The encoding to read the file with: as its byte order mark says, else UTF-8, else an old code page."""
    if content.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        # A save that was cut inside a letter must not turn every other name into mojibake.
        if error.reason == "unexpected end of data" and not content[: error.start].isascii():
            raise TableFileError(f"{file}: ends in the middle of a letter, it is half-written") from error
    else:
        return "utf-8"
    try:
        content.decode("cp1254")
    except UnicodeDecodeError:
        return "cp1252"
    return "cp1254"


def _records(text: str, file: str) -> Iterator[tuple[int, list[str]]]:
    """The records that are not blank, each with the line it begins on; the header is the first."""
    hint = _EXCEL_HINT.match(text)
    skipped, body = (1, text[hint.end() :]) if hint else (0, text)
    delimiter = hint[1] if hint else _sniff_delimiter(body)
    # strict: a quote left open would otherwise swallow all users that follow it
    lines = io.StringIO(body, newline="")
    reader = csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=True)
    line = skipped + 1
    try:
        for record in reader:
            cells = [clean(cell) for cell in record]
            if any(cells):
                yield line, cells
            line = skipped + reader.line_num + 1
    except csv.Error as error:
        raise TableFileError(f"{file} row {line}: quotes are not closed or not doubled ({error})") from error


def _sniff_delimiter(text: str) -> str:
    """The delimiter that the first line with text has most of, outside quotes."""
    header = next((line for line in io.StringIO(text, newline="") if clean(line)), "")
    bare = re.sub(r'"[^"]*"', "", header)
    return max(_DELIMITERS, key=bare.count)


def clean(cell: str) -> str:
    """The text of a cell without blanks at its ends and without the quote a spreadsheet puts before a formula sign."""
    text = _EDGES.sub("", cell)
    return text[1:] if text[:1] == "'" and text[1:2] in {"=", "+", "-", "@"} else text


def _fold_header(name: str) -> str:
    return re.sub(rf"[\s_{_INVISIBLE}]", "", fold(name))


def _check_header(columns: tuple[str, ...], file: str, known: Collection[str], required: Collection[str]) -> None:
    missing = [column for column in required if column not in columns]
    if missing:
        found = ", ".join(quoted(column) for column in columns[:12])
        raise TableFileError(f"{file}: column {', '.join(missing)} is missing; the header has {found}")
    twice = [column for column in known if columns.count(column) > 1]
    if twice:
        raise TableFileError(f"{file}: column {twice[0]} appears twice in the header")


def _width(cells: list[str]) -> int:
    return max((position for position, cell in enumerate(cells, 1) if cell), default=0)
