"""chargers.csv: from its bytes to what the administrator says of each charge point, and what is wrong in it.

Encoding, delimiter and the grammar of cells are `csv_text`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ocpp_server.core.users import Access, ChargerRow
from ocpp_server.storage.csv_text import (
    CsvTable,
    RowProblem,
    RowReader,
    TableFileError,
    fold,
    parse_boolean,
    quoted,
    read_table,
)

FILE = "chargers.csv"
COLUMNS = (
    "charger_id",
    "name",
    "brand",
    "energy_unit",
    "max_kw",
    "access",
    "ping",
    "approved",
    "note",
    "configure",
)
REQUIRED = ("charger_id",)

_UNITS = {"wh": "Wh", "kwh": "kWh"}
_SWITCH = {"on": True, "off": False}
MAX_KW = 10_000
_STRICTEST_ACCESS = (Access.CLOSED, Access.QUOTA, Access.FREE)
_STRICTEST_APPROVAL = (False, None, True)


class ChargersFileError(TableFileError):
    """chargers.csv cannot be used at all; the last good table stays in force."""


@dataclass(frozen=True, slots=True)
class ParsedChargers:
    """The rows by charge point id, with the last good ones where the file's own are bad, and the problems."""

    table: dict[str, ChargerRow]
    problems: tuple[RowProblem, ...]


def parse_chargers(content: bytes, last_good: Mapping[str, ChargerRow]) -> ParsedChargers:
    """Read chargers.csv; a bad row keeps its charge point's row of `last_good`. Raises ChargersFileError.

    Of differing rows for one charge point the stricter access and approval apply, the rest is the first row's.
    """
    try:
        table = read_table(content, file=FILE, known=COLUMNS, required=REQUIRED)
    except TableFileError as error:
        raise ChargersFileError(str(error)) from error
    problems = [*table.problems, *_unknown_columns(table)]
    chargers: dict[str, ChargerRow] = {}
    spellings: dict[str, str] = {}
    for row in table.rows:
        cells = RowReader(row, file=FILE, width=len(table.columns), required=REQUIRED)
        charger = _read_charger(cells) or last_good.get(cells.text("charger_id"))
        if charger is not None:
            other = spellings.setdefault(charger.charge_point_id.casefold(), charger.charge_point_id)
            if other != charger.charge_point_id:
                cells.warn("charger_id", f"{quoted(charger.charge_point_id)} differs from {other} only in case")
            _add(chargers, charger, cells)
        problems += cells.problems
    problems.sort(key=lambda problem: problem.line)
    return ParsedChargers(chargers, tuple(problems))


def _read_charger(cells: RowReader) -> ChargerRow | None:
    """The charge point of a row; None if the row is bad."""
    charge_point_id = cells.text("charger_id")
    if not charge_point_id:
        cells.error("charger_id", "is blank")
    elif not charge_point_id.isprintable():
        cells.error("charger_id", f"{quoted(charge_point_id)} has a line break or another control character in it")
    energy_unit = _read_energy_unit(cells)
    max_power_w = _read_max_power(cells)
    access = _read_access(cells)
    ping = _read_switch(cells, "ping")
    configure = _read_switch(cells, "configure")
    approved = cells.boolean("approved")
    if cells.is_bad:
        return None
    return ChargerRow(
        charge_point_id,
        name=cells.text("name"),
        brand=cells.text("brand"),
        energy_unit=energy_unit,
        max_power_w=max_power_w,
        access=access,
        ping=ping,
        configure=configure,
        approved=approved,
        note=cells.text("note"),
    )


def _read_energy_unit(cells: RowReader) -> str | None:
    text = cells.text("energy_unit")
    unit = _UNITS.get(text.casefold())
    if text and unit is None:
        cells.error("energy_unit", f"{quoted(text)} is neither Wh nor kWh")
    return unit


def _read_max_power(cells: RowReader) -> int | None:
    """The maximum power in W; the file has kW."""
    text = cells.text("max_kw")
    value = cells.number("max_kw") if text else None
    if value is None:
        return None
    if not 0 < value <= MAX_KW:
        cells.error("max_kw", f"{quoted(text)} is not between 0 and {MAX_KW} kW")
        return None
    return max(1, round(value * 1000))


def _read_access(cells: RowReader) -> Access:
    text = cells.text("access")
    try:
        return Access(fold(text)) if text else Access.QUOTA
    except ValueError:
        cells.error("access", f"{quoted(text)} is none of {', '.join(Access)}")
        return Access.CLOSED


def _read_switch(cells: RowReader, column: str) -> bool:
    """On unless the cell says off."""
    text = cells.text(column)
    value = _SWITCH.get(fold(text), parse_boolean(text))
    if text and value is None:
        cells.error(column, f"{quoted(text)} is neither on nor off")
    return value is not False


def _add(chargers: dict[str, ChargerRow], charger: ChargerRow, cells: RowReader) -> None:
    first = chargers.setdefault(charger.charge_point_id, charger)
    if first == charger:
        return
    cells.warn("charger_id", f"{quoted(charger.charge_point_id)} is in an earlier row too, with other values")
    chargers[charger.charge_point_id] = replace(
        first,
        access=min(first.access, charger.access, key=_STRICTEST_ACCESS.index),
        approved=min(first.approved, charger.approved, key=_STRICTEST_APPROVAL.index),
    )


def _unknown_columns(table: CsvTable) -> list[RowProblem]:
    """A misspelt `access` would open a closed charge point without a word."""
    return [
        RowProblem(table.header_line, column, "is no column of this file and is ignored", "warning", FILE)
        for column in table.columns
        if column and column not in COLUMNS
    ]
