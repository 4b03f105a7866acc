"""Tables as files for a spreadsheet: CSV in two national forms, and a workbook. Pure: tables in, bytes out.

No text runs as a formula there (CWE-1236): in CSV a quote stands before it, in the workbook it is a text whatever it
begins with. Texts are whole and not shortened, numbers are not rounded for the eye.
"""

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from io import BytesIO, StringIO
from typing import Any, TypeAlias

import xlsxwriter

from dashboard.records import Wh
from dashboard.wording import fold

Cell: TypeAlias = str | int | float | date | datetime | None

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\0")
LONGEST_CELL = 32_767
"""Of a workbook; xlsxwriter leaves a longer text out without a word."""
FIRST_YEAR = 1900
"""A workbook has no days before it."""
NOT_IN_XML = re.compile("[\ufffe\uffff]")
TIME = "%Y-%m-%d %H:%M:%S"
XLSX_MIME, CSV_MIME = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "text/csv"


@dataclass(frozen=True, slots=True)
class Table:
    """A table with its headings. Times are the site's clock without a zone; None is an empty cell."""

    name: str
    headings: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def kwh_cell(energy: Wh | None) -> float | None:
    """Give energy in kWh with its three decimals, which are exact."""
    return None if energy is None else energy / 1000


def file_name(site_name: str, what: str, ending: str) -> str:
    """Give a name such as `campus-otopark-2026-11.xlsx`: letters, digits and dashes that every system takes."""
    words = [word for text in (site_name, what) for word in re.findall(r"[a-z0-9]+", fold(text)[:60])]
    return f"{'-'.join(words) or 'evquota'}.{ending}"


def csv_of(table: Table, *, has_decimal_comma: bool = False) -> bytes:
    """Give RFC 4180 in UTF-8 with a byte order mark; with decimal comma the cells are apart by `;`, as Excel wants."""
    text = StringIO()
    writer = csv.writer(text, delimiter=";" if has_decimal_comma else ",", lineterminator="\r\n")
    for row in (table.headings, *table.rows):
        writer.writerow([_csv_cell(cell, has_decimal_comma=has_decimal_comma) for cell in row])
    return text.getvalue().encode("utf-8-sig", "backslashreplace")


def workbook_of(tables: Iterable[Table], title: str) -> bytes:
    """Give one .xlsx with a sheet for each table, made in memory."""
    content = BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(content, options) as book:
        book.set_properties({"title": _xml_text(title)[:255]})
        formats = {
            "head": book.add_format({"bold": True, "text_wrap": True, "valign": "top"}),
            float: book.add_format({"num_format": "#,##0.000"}),
            date: book.add_format({"num_format": "yyyy-mm-dd"}),
            datetime: book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"}),
        }
        for table in tables:
            _fill(book.add_worksheet(table.name), table, formats)
    return content.getvalue()


def harmless(text: str) -> str:
    """Give a text that a spreadsheet does not run as a formula."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def _csv_cell(cell: Cell, *, has_decimal_comma: bool) -> str:
    match cell:
        case None:
            return ""
        case str():
            return harmless(cell)
        case datetime():
            return cell.strftime(TIME)
        case date():
            return cell.isoformat()
        case _:
            return str(cell).replace(".", ",") if has_decimal_comma else str(cell)


def _fill(sheet: Any, table: Table, formats: dict[Any, Any]) -> None:
    for column, heading in enumerate(table.headings):
        sheet.set_column(column, column, _width(table, column))
        sheet.write_string(0, column, _xml_text(heading), formats["head"])
    for number, row in enumerate(table.rows, start=1):
        for column, cell in enumerate(row):
            _write(sheet, (number, column), cell, formats)
    sheet.freeze_panes(1, 0)
    if table.rows:
        sheet.autofilter(0, 0, len(table.rows), len(table.headings) - 1)


def _write(sheet: Any, place: tuple[int, int], cell: Cell, formats: dict[Any, Any]) -> None:
    """Write each cell by its own type: a text is never looked into."""
    match cell:
        case None | "":
            pass
        case str():
            sheet.write_string(*place, _xml_text(cell))
        case date() if cell.year >= FIRST_YEAR:
            sheet.write_datetime(*place, cell, formats[type(cell)])
        case date():
            sheet.write_string(*place, cell.isoformat())
        case int():
            sheet.write_number(*place, cell)
        case float():
            sheet.write_number(*place, cell, formats[float])


def _width(table: Table, column: int) -> int:
    cells: Sequence[Cell] = [table.headings[column], *(row[column] for row in table.rows[:200])]
    return min(40, 2 + max(19 if isinstance(cell, datetime) else len(str(cell or "")) for cell in cells))


def _xml_text(text: str) -> str:
    """Give what a workbook can hold: a lone surrogate becomes its escape; xlsxwriter escapes control characters."""
    return NOT_IN_XML.sub("\ufffd", text.encode("utf-8", "backslashreplace").decode())[:LONGEST_CELL]
