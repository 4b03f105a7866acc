"""Files for a spreadsheet: what was written is what is read, and nothing in them runs."""

import csv
import io
import re
import string
import zipfile
from datetime import date, datetime

import openpyxl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dashboard.exports import Cell, Table, csv_of, file_name, harmless, kwh_cell, workbook_of
from dashboard.records import Wh

FORMULAS = ["=1+1", "+1", "-1+cmd|' /C calc'!A0", "@SUM(A1)", "\t=1", "\r=1", '=HYPERLINK("http://evil.example")']
LINK = "http://evil.example/"
HOSTILE = [
    *FORMULAS,
    LINK,
    "<b>&amp;</b>",
    "\u202eevil",
    'a"b;c,d\r\ne',
    "x" * 10_000,
    "_x0041_",
    "\x00\x01\x1b",
    " pad ",
]
TEXTS = st.text(st.characters(codec="utf-8"), max_size=40) | st.sampled_from(HOSTILE)


def table(*rows: tuple[Cell, ...]) -> Table:
    width = max(map(len, rows), default=1)
    return Table("Sheet", tuple(string.ascii_uppercase[:width]), rows)


def read_csv(content: bytes, delimiter: str = ",") -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), delimiter=delimiter, strict=True))


def read_workbook(content: bytes) -> dict[str, list[tuple[object, ...]]]:
    book = openpyxl.load_workbook(io.BytesIO(content))
    return {sheet.title: list(sheet.iter_rows(values_only=True)) for sheet in book}


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=8))
@settings(max_examples=40, deadline=None)
def test_a_csv_gives_back_every_text_with_a_quote_before_formulas(rows: list[tuple[str, str]]) -> None:
    """RFC 4180, in both national forms, whatever is in a name."""
    expected = [["A", "B"], *([harmless(cell) for cell in row] for row in rows)]

    assert read_csv(csv_of(table(*rows))) == expected
    assert read_csv(csv_of(table(*rows), has_decimal_comma=True), ";") == expected


@given(st.lists(st.tuples(TEXTS), min_size=1, max_size=8))
@settings(max_examples=40, deadline=None)
@example([("=1+1",)])
def test_no_cell_of_a_csv_begins_like_a_formula(rows: list[tuple[str]]) -> None:
    """CWE-1236."""
    for row in read_csv(csv_of(table(*rows)))[1:]:
        assert not row[0].startswith(("=", "+", "-", "@", "\t", "\r"))


def test_a_csv_begins_with_a_byte_order_mark_and_ends_its_lines_with_crlf() -> None:
    """Excel takes it for Windows text otherwise."""
    content = csv_of(table(("Ayşe", 1.5)))

    assert content == "\ufeffA,B\r\nAyşe,1.5\r\n".encode()


def test_numbers_have_a_point_or_a_comma() -> None:
    """The three decimals of a kWh are exact; a negative number is no formula."""
    rows = ((kwh_cell(Wh(1_234_567)), -3, None), (kwh_cell(Wh(-57)), 0, kwh_cell(None)))

    assert read_csv(csv_of(table(*rows)))[1:] == [["1234.567", "-3", ""], ["-0.057", "0", ""]]
    assert csv_of(table(*rows), has_decimal_comma=True).splitlines()[1:] == [b"1234,567;-3;", b"-0,057;0;"]


def test_times_are_written_as_every_spreadsheet_reads_them() -> None:
    """By the site's clock, without a zone."""
    rows = ((date(2026, 11, 20), datetime(2026, 11, 20, 17, 5)),)  # noqa: DTZ001

    assert read_csv(csv_of(table(*rows)))[1] == ["2026-11-20", "2026-11-20 17:05:00"]
    assert read_workbook(workbook_of([table(*rows)], "x"))["Sheet"][1] == (
        datetime(2026, 11, 20), datetime(2026, 11, 20, 17, 5),  # noqa: DTZ001
    )  # fmt: skip


@given(st.lists(st.tuples(TEXTS, st.integers(-(10**9), 10**9)), min_size=1, max_size=6))
@settings(max_examples=25, deadline=None)
def test_a_workbook_gives_back_every_text_and_every_wh(rows: list[tuple[str, int]]) -> None:
    """Exact, so that sums in a spreadsheet are those of the books."""
    content = workbook_of([table(*((text, kwh_cell(Wh(energy))) for text, energy in rows))], "title")

    found = read_workbook(content)["Sheet"][1:]

    assert [round(float(str(energy)) * 1000) for _, energy in found] == [energy for _, energy in rows]
    for (text, _), (read, _) in zip(rows, found, strict=True):
        assert (read or "") == _as_kept(text)


def test_a_workbook_has_no_formula_and_no_link() -> None:
    """Excel writers turn texts into both by themselves."""
    content = workbook_of([table(*((text, 1.5) for text in HOSTILE))], "=1+1")

    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml").decode()
        names = archive.namelist()
    assert "<f>" not in sheet
    assert "<hyperlink" not in sheet
    assert not [name for name in names if "rels" in name and "sheet" in name]
    cells = openpyxl.load_workbook(io.BytesIO(content))["Sheet"]["A"]
    assert {cell.data_type for cell in cells} == {"s"}


@pytest.mark.parametrize("text", ["\ud800", "\ufffe", "y" * 40_000])
def test_what_a_workbook_cannot_hold_is_shown_in_its_stead(text: str) -> None:
    """A file that no program opens, or a name left out without a word, would be worse."""
    ((cell, _),) = read_workbook(workbook_of([table((text, 1))], text))["Sheet"][1:]

    assert cell in {"\\ud800", "\ufffd", "y" * 32_767}


def test_a_day_before_workbooks_is_a_text() -> None:
    """A charge point may claim any year."""
    rows = ((date(1, 1, 1), datetime(1899, 12, 31, 1)),)  # noqa: DTZ001

    assert read_workbook(workbook_of([table(*rows)], "x"))["Sheet"][1] == ("0001-01-01", "1899-12-31T01:00:00")


def test_each_table_is_a_sheet_and_an_empty_one_keeps_its_headings() -> None:
    """A month without sessions is still a month."""
    sheets = read_workbook(workbook_of([Table("One", ("A",), ()), Table("Two", ("B",), ((1,),))], "x"))

    assert sheets == {"One": [("A",)], "Two": [("B",), (1,)]}
    assert csv_of(Table("One", ("A",), ())) == b"\xef\xbb\xbfA\r\n"


@pytest.mark.parametrize(
    ("site_name", "what", "name"),
    [
        ("Kampüs Otopark B", "2026-11", "kampus-otopark-b-2026-11.csv"),
        ("", "2026-11", "2026-11.csv"),
        ("../../etc/passwd", "2026-11", "etc-passwd-2026-11.csv"),
        ("x" * 10_000, "2026-11", f"{'x' * 60}-2026-11.csv"),
        ("日本", "\u202e", "evquota.csv"),
        ("Ğİ\r\nSet-Cookie: a", "1", "gi-set-cookie-a-1.csv"),
    ],
)
def test_a_file_name_is_taken_by_every_system(site_name: str, what: str, name: str) -> None:
    """With the site and the month, and nothing that could be a path or a header."""
    assert file_name(site_name, what, "csv") == name


def _as_kept(text: str) -> str:
    """As openpyxl reads it: it leaves control characters as the _xHHHH_ that a spreadsheet turns back."""
    kept = re.sub("[\ufffe\uffff]", "\ufffd", text)
    return re.sub("[\x00-\x08\x0b-\x1f]", lambda found: f"_x{ord(found[0]):04X}_", kept)
