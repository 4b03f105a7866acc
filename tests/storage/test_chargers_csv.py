"""`storage.chargers_csv`: what the administrator says of each charge point (docs/files.md)."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_server.core.users import Access, ChargerRow
from ocpp_server.storage.chargers_csv import ChargersFileError, ParsedChargers, parse_chargers

HEADER = "charger_id,name,brand,energy_unit,max_kw,access,ping,approved,note,configure"


def parse(text: str, last_good: dict[str, ChargerRow] | None = None) -> ParsedChargers:
    return parse_chargers(text.encode(), last_good or {})


def messages(parsed: ParsedChargers) -> list[str]:
    return [str(problem) for problem in parsed.problems]


FULL = ChargerRow(
    "CP1",
    name="Left gate",
    brand="SCHNEIDER",
    energy_unit="Wh",
    max_power_w=22_000,
    access=Access.FREE,
    ping=False,
    configure=False,
    approved=True,
    note="of 2021",
)
ROWS = {
    "every column": ("CP1,Left gate,SCHNEIDER,Wh,22,free,off,TRUE,of 2021,off", FULL),
    "other words for the same": ('CP1,Left gate,SCHNEIDER,WH,"22,0",FREE,hayır,EVET,of 2021,OFF', FULL),
    "only the id": ("CP1", ChargerRow("CP1")),
    "blank cells say nothing": ("CP1,,,,,,,,,", ChargerRow("CP1")),
    "id with leading zeros": ("0012", ChargerRow("0012")),
    "kWh in capitals": ("CP1,,,KWH", ChargerRow("CP1", energy_unit="kWh")),
    "half a kW": ("CP1,,,,7.4", ChargerRow("CP1", max_power_w=7_400)),
    "closed": ("CP1,,,,,closed", ChargerRow("CP1", access=Access.CLOSED)),
    "on": ("CP1,,,,,quota,on,no,,ON", ChargerRow("CP1", approved=False)),
}


@pytest.mark.parametrize(("row", "expected"), ROWS.values(), ids=ROWS.keys())
def test_a_good_row_becomes_exactly_that_charge_point(row: str, expected: ChargerRow) -> None:
    """Words are understood in any case, power becomes W, and a blank cell leaves the default."""
    parsed = parse(f"{HEADER}\n{row}\n")

    assert {expected.charge_point_id: expected} == parsed.table
    assert messages(parsed) == []


@pytest.mark.parametrize(
    "content",
    [
        "charger_id;access\r\nCP1;closed\r\n".encode("utf-8-sig"),
        "charger_id\taccess\r\nCP1\tclosed\r\n".encode("utf-16"),
        b"sep=;\r\nAccess;Charger ID\r\nCLOSED; CP1 \r\n",
    ],
)
def test_spreadsheet_files_are_read_with_the_same_care_as_users(content: bytes) -> None:
    """Encoding, delimiter, column order and missing optional columns make no difference."""
    assert ParsedChargers({"CP1": ChargerRow("CP1", access=Access.CLOSED)}, ()) == parse_chargers(content, {})


BAD_ROWS = {
    "unit": ("CP1,,,MWh", 'energy_unit "MWh" is neither Wh nor kWh'),
    "power in words": ("CP1,,,,a lot", 'max_kw "a lot" is not a number'),
    "no power": ("CP1,,,,0", 'max_kw "0" is not between 0 and 10000 kW'),
    "power in W": ("CP1,,,,22000", 'max_kw "22000" is not between 0 and 10000 kW'),
    "access": ("CP1,,,,,clozed", 'access "clozed" is none of quota, free, closed'),
    "ping": ("CP1,,,,,,sometimes", 'ping "sometimes" is neither on nor off'),
    "configure": ("CP1,,,,,,,,,x", 'configure "x" is neither on nor off'),
    "approved": ("CP1,,,,,,,later", 'approved "later" is neither TRUE nor FALSE'),
    "surplus cells": ("CP1,,,,7,4,,,,,,x", "has 12 cells, the header has 10"),
}


@pytest.mark.parametrize(("row", "message"), BAD_ROWS.values(), ids=BAD_ROWS.keys())
def test_a_bad_row_is_reported_and_keeps_the_last_good_row(row: str, message: str) -> None:
    """The other rows take effect, and a closed charge point stays closed."""
    closed = ChargerRow("CP1", access=Access.CLOSED)
    parsed = parse(f"{HEADER}\nCP2\n{row}\n", {"CP1": closed, "CP9": ChargerRow("CP9")})

    assert {"CP2": ChargerRow("CP2"), "CP1": closed} == parsed.table
    assert f"chargers.csv row 3: {message}" in " ".join(messages(parsed))
    assert "error" in {problem.severity for problem in parsed.problems}


@pytest.mark.parametrize("row", [row for row, _ in BAD_ROWS.values()], ids=BAD_ROWS.keys())
def test_a_bad_row_of_a_new_charge_point_says_nothing_of_it(row: str) -> None:
    """Half a row is not taken over."""
    assert parse(f"{HEADER}\n{row}\n").table == {}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (",Left gate", "charger_id is blank"),
        ('"CP\n1",', 'charger_id "CP\ufffd1" has a line break or another control character in it'),
    ],
)
def test_a_row_without_a_usable_id_is_an_error(row: str, message: str) -> None:
    """No charge point can be meant by it."""
    assert ParsedChargers({}, parse(f"{HEADER}\n{row}\n").problems) == parse(f"{HEADER}\n{row}\n")
    assert [f"chargers.csv row 2: {message}"] == messages(parse(f"{HEADER}\n{row}\n"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "chargers.csv: the file is empty"),
        (b"name,brand\nA,B\n", "chargers.csv: column charger_id is missing"),
        (b"charger_id,access,Access\nA,free,closed\n", "chargers.csv: column access appears twice"),
        (b'charger_id\n"A\n', "chargers.csv row 2: quotes are not closed"),
    ],
)
def test_a_file_that_cannot_be_used_raises(content: bytes, message: str) -> None:
    """The last good table stays in force, and the message says why."""
    with pytest.raises(ChargersFileError) as caught:
        parse_chargers(content, {})

    assert message in str(caught.value)


def test_a_misspelt_column_is_reported() -> None:
    """`acess` would otherwise open a closed charge point without a word."""
    parsed = parse("charger_id,acess\nCP1,closed\n")

    assert messages(parsed) == ["chargers.csv row 1: acess is no column of this file and is ignored"]
    assert [problem.severity for problem in parsed.problems] == ["warning"]


def test_identical_rows_are_fine() -> None:
    """The same said twice is no problem."""
    assert messages(parse(f"{HEADER}\nCP1,A\nCP1,A\n")) == []


@pytest.mark.parametrize("turn", [1, -1])
@pytest.mark.parametrize(
    ("rows", "access", "approved"),
    [
        (["CP1,,,,,free", "CP1,,,,,closed"], Access.CLOSED, None),
        (["CP1,,,,,free", "CP1,,,,,quota"], Access.QUOTA, None),
        (["CP1,,,,,free,,yes", "CP1,,,,,free,,no"], Access.FREE, False),
        (["CP1,,,,,free,,yes", "CP1,,,,,free,,"], Access.FREE, None),
    ],
)
def test_of_rows_that_differ_the_stricter_applies_in_any_order(
    rows: list[str], access: Access, approved: bool | None, turn: int
) -> None:
    """Closed before quota before free, not approved before approved, and the later row is reported."""
    parsed = parse("\n".join([HEADER, *rows[::turn]]))

    assert {"CP1": ChargerRow("CP1", access=access, approved=approved)} == parsed.table
    assert messages(parsed) == ['chargers.csv row 3: charger_id "CP1" is in an earlier row too, with other values']


def test_ids_that_differ_only_in_case_are_two_charge_points_and_reported() -> None:
    """The id in the URL is matched exactly."""
    parsed = parse(f"{HEADER}\nCP1\ncp1\n")

    assert list(parsed.table) == ["CP1", "cp1"]
    assert messages(parsed) == ['chargers.csv row 3: charger_id "cp1" differs from CP1 only in case']


@given(st.binary() | st.text().map(lambda text: f"{HEADER}\n{text}".encode()))
def test_no_content_raises_anything_but_a_file_error(content: bytes) -> None:
    """Whatever the bytes are, the outcome is a table or a ChargersFileError."""
    with suppress(ChargersFileError):
        parsed = parse_chargers(content, {})

        assert all(key == row.charge_point_id for key, row in parsed.table.items())
