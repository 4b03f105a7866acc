"""`storage.chargers_edit.with_cells`: cells of a charge point are changed, and no other byte of the file."""

import csv
import io
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_server.core.users import Access, ChargerRow
from ocpp_server.storage.chargers_csv import COLUMNS, ChargersFileError, parse_chargers
from ocpp_server.storage.chargers_edit import BadChargerError, cells_of_row, remarks_on, says_the_same, with_cells

HEADER = ",".join(COLUMNS)

EDITED = {
    "one cell": (
        b'name;charger_id;colour\r\n"Old ""gate""";CP1;red\r\n\r\nx;CP2;blue',
        {"name": "New; gate"},
        b'name;charger_id;colour\r\n"New; gate";CP1;red\r\n\r\nx;CP2;blue',
    ),
    "a column that the file lacks": (
        "\ufeffcharger_id,name\nCP1,Şule\nCP2,x\n".encode(),
        {"access": "free"},
        "\ufeffcharger_id,name,access\nCP1,Şule,free\nCP2,x\n".encode(),
    ),
    "a row that is missing": (
        "charger_id;max_kw\r\nCP2;Ş\r\n".encode("cp1254"),
        {"max_kw": "7.4"},
        'charger_id;max_kw\r\nCP2;Ş\r\nCP1;"7,4"\r\n'.encode("cp1254"),
    ),
    "emptied": (b"charger_id,note\nCP1,gone\n", {"note": ""}, b"charger_id,note\nCP1,\n"),
    "all rows of an id": (b"charger_id,ping\nCP1,on\nCP1,\n", {"ping": "off"}, b"charger_id,ping\nCP1,off\nCP1,off\n"),
    "a formula": (b"charger_id,note\nCP1,x\n", {"note": "=1+1"}, b"charger_id,note\nCP1,'=1+1\n"),
    "no file": (b"", {"name": "Gate"}, f"{HEADER}\nCP1,Gate,,,,,,,,\n".encode()),
    "a bad cell is mended": (b"charger_id,access\nCP1,fre\n", {"access": "free"}, b"charger_id,access\nCP1,free\n"),
}


@pytest.mark.parametrize(("content", "cells", "expected"), EDITED.values(), ids=EDITED.keys())
def test_only_what_is_named_changes(content: bytes, cells: dict[str, str], expected: bytes) -> None:
    """Encoding, delimiter, line ends, quotes and other columns stay."""
    assert with_cells(content, "CP1", cells) == expected


SAME = [
    ("ping", "evet", "on"),
    ("configure", "", "on"),
    ("access", "Quota", ""),
    ("energy_unit", "KWH", "kWh"),
    ("max_kw", "7,40", "7.4"),
    ("name", "Gate", "Gate"),
]


@pytest.mark.parametrize(("column", "old", "new"), SAME)
def test_a_cell_that_says_the_same_stays_as_a_person_wrote_it(column: str, old: str, new: str) -> None:
    """Nothing is written, so no editor finds its file changed."""
    assert with_cells(f"charger_id;{column}\nCP1;{old}\n".encode(), "CP1", {column: new}) is None


def test_other_words_are_other_words() -> None:
    """Also those that mean nothing."""
    pairs = [
        ("ping", "maybe", "on"),
        ("ping", "", "off"),
        ("max_kw", "x", "7"),
        ("max_kw", "7", ""),
        ("name", "a", "A"),
    ]
    assert not [pair for pair in pairs if says_the_same("CP1", *pair)]


def test_no_row_is_added_that_would_say_nothing() -> None:
    """A charge point without a row has all of it already."""
    assert with_cells(b"charger_id\nCP2\n", "CP1", {"ping": "on", "note": ""}) is None
    assert with_cells(b"", "CP1", {}) is None


BAD = [("energy_unit", "MWh"), ("max_kw", "0"), ("max_kw", "10001"), ("access", "open"), ("ping", "maybe")]


@pytest.mark.parametrize(("column", "text"), BAD)
def test_what_would_be_a_bad_row_is_refused_with_its_column(column: str, text: str) -> None:
    """In the words of the parser."""
    with pytest.raises(BadChargerError) as refusal:
        with_cells(b"charger_id\nCP1\n", "CP1", {column: text})

    assert refusal.value.column == column
    assert f'"{text}"' in str(refusal.value)


def test_a_file_that_cannot_be_read_is_left() -> None:
    """And one whose code page has no sign for the text."""
    with pytest.raises(ChargersFileError):
        with_cells(b"CP1,yes\n", "CP1", {"name": "x"})
    with pytest.raises(ChargersFileError, match="save it as UTF-8"):
        with_cells("charger_id,name\nCP1,Ş\n".encode("cp1254"), "CP1", {"name": "门"})


def test_what_is_odd_about_a_row_is_said() -> None:
    """Of this charge point only."""
    content = b"charger_id,name\nCP1,a\nCP1,b\nCP2,c\nCP2,d\n"

    assert remarks_on(content, "CP1") == [
        'chargers.csv row 3: charger_id "CP1" is in an earlier row too, with other values'
    ]
    assert remarks_on(b"", "CP1") == []
    assert cells_of_row(content, "CP1") == {"charger_id": "CP1", "name": "a"}


_CELLS = st.text(st.sampled_from('ab,;\t"\r\n Ş=1'), max_size=6)


@given(
    st.lists(st.tuples(st.sampled_from(["CP1", "CP2", "A/B"]), st.sampled_from(["free", "", "x"]), _CELLS), max_size=5),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_any_table_says_what_was_wanted_and_the_same_of_all_others(
    rows: list[tuple[str, str, str]], delimiter: str, line_end: str, encoding: str
) -> None:
    """As a spreadsheet writes it, or the file is left."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, delimiter=delimiter, lineterminator=line_end)
    writer.writerow(["charger_id", "access", "colour"])
    writer.writerows(rows)
    content = stream.getvalue().encode(encoding)
    before = parse_chargers(content, {}).table
    with suppress(ChargersFileError):
        changed = with_cells(content, "CP1", {"access": "closed", "max_kw": "7.4"})
        assert changed is not None
        after = parse_chargers(changed, {}).table
        wanted = replace(ChargerRow("CP1"), access=Access.CLOSED, max_power_w=7400)
        assert after.pop("CP1") == wanted
        assert after == {name: row for name, row in before.items() if name != "CP1"}
