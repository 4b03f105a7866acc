"""Edits of chargers.csv: what may be said of a charge point, and how it takes effect at once.

The file is its administrator's: an edit changes the cells that it is about and no other byte, and never goes over what
somebody else saves at that moment.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias

import msgspec

from ocpp_server.central_system import CentralSystem
from ocpp_server.clock import Clock
from ocpp_server.control_api.fields import Line, LongLine, Meta
from ocpp_server.control_api.preconditions import check_match
from ocpp_server.control_api.problems import Problem
from ocpp_server.core.commands import RecordChargePointEdit
from ocpp_server.core.users import ChargerRow
from ocpp_server.storage.chargers_csv import FILE, MAX_KW, ChargersFileError
from ocpp_server.storage.chargers_edit import BadChargerError, cells_of_row, remarks_on, says_the_same, with_cells
from ocpp_server.storage.chargers_file import ChargersFile
from ocpp_server.storage.csv_text import MAX_BYTES
from ocpp_server.storage.users_edit import etag_of

_SWITCH: Final = {True: "on", False: "off"}
EnergyUnitWord: TypeAlias = Annotated[str, Meta(extra_json_schema={"pattern": r"^\s*([kK]?[wW][hH])?\s*$"})]
AccessWord: TypeAlias = Annotated[str, Meta(extra_json_schema={"enum": ["quota", "free", "closed", ""]})]
_TOLD: Final = ("energy_unit", "max_kw", "access", "ping", "configure")
"""Columns whose values stand in the audit; the others may name a person."""


class ChargePointChanges(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Columns of chargers.csv. What is left out stays; null or a blank text empties the cell."""

    name: Line | msgspec.UnsetType | None = msgspec.UNSET
    brand: Line | msgspec.UnsetType | None = msgspec.UNSET
    energy_unit: EnergyUnitWord | msgspec.UnsetType | None = msgspec.UNSET
    """Wh or kWh."""
    max_kw: Annotated[float, Meta(gt=0, le=MAX_KW)] | msgspec.UnsetType | None = msgspec.UNSET
    """Of one connector."""
    access: AccessWord | msgspec.UnsetType | None = msgspec.UNSET
    """quota, free or closed."""
    ping: bool | msgspec.UnsetType | None = msgspec.UNSET
    configure: bool | msgspec.UnsetType | None = msgspec.UNSET
    note: LongLine | msgspec.UnsetType | None = msgspec.UNSET


class ChargePointEditor:
    """Edits of one site's chargers.csv, each in force and in the audit when it is answered."""

    def __init__(self, central: CentralSystem, clock: Clock, path: Path, chargers_file: ChargersFile) -> None:
        self._central = central
        self._clock = clock
        self._path = path
        self._chargers_file = chargers_file

    async def etag(self) -> str:
        """Of the file as it is now; a file that is not there is as a blank one."""
        return etag_of(await asyncio.to_thread(self._content))

    async def edit(
        self, charge_point_id: str, by: str, changes: ChargePointChanges, if_match: str
    ) -> tuple[list[str], str]:
        """What a person should know of the row, and the file's new ETag. Raises Problem: 409, 412, 422 or 503."""
        edit = _Edit(charge_point_id, _cells_of(changes), if_match)
        try:
            is_changed = await self._chargers_file.edit(self._path, edit)
        except ChargersFileError as error:
            raise _problem(error) from error
        except OSError as error:
            raise Problem(503, f"{FILE} cannot be written ({error.strerror}): nothing was changed") from error
        if is_changed:
            figures = tuple(_figures(edit.changed).items())
            text = "charge point changed"
            await self._central.handle(RecordChargePointEdit(charge_point_id, self._clock.now(), text, by, figures))
        return [_told(is_changed, edit.before), *remarks_on(edit.content, charge_point_id)], etag_of(edit.content)

    def _content(self) -> bytes:
        try:
            with self._path.open("rb") as file:
                return file.read(MAX_BYTES + 1)
        except OSError:
            return b""  # the last good table is in force


class _Edit:
    """One edit of the file: looked over and made while nobody else may, in a thread."""

    def __init__(self, charge_point_id: str, cells: Mapping[str, str], if_match: str) -> None:
        self.before: Mapping[str, str] = {}
        """The row as it was; empty if there was none."""
        self.changed: dict[str, tuple[str, str]] = {}
        """By column, the old and the new text."""
        self.content = b""
        """As it was, or as it is now."""
        self._charge_point_id = charge_point_id
        self._cells = cells
        self._if_match = if_match

    def __call__(self, content: bytes) -> bytes | None:
        check_match(self._if_match, content, FILE)
        self.before = cells_of_row(content, self._charge_point_id)
        pairs = {column: (self.before.get(column, ""), text) for column, text in self._cells.items()}
        self.changed = {c: (old, new) for c, (old, new) in pairs.items() if not says_the_same("", c, old, new)}
        after = with_cells(content, self._charge_point_id, self._cells)
        self.content = content if after is None else after
        return after


def columns_of(row: ChargerRow | None) -> dict[str, Any]:
    """What is in force of a row, as `ChargePointChanges` would say it."""
    row = row or ChargerRow("")
    return {
        "name": row.name,
        "brand": row.brand,
        "energy_unit": row.energy_unit,
        "max_kw": None if row.max_power_w is None else row.max_power_w / 1000,
        "access": row.access,
        "ping": row.ping,
        "configure": row.configure,
        "note": row.note,
    }


def _cells_of(changes: ChargePointChanges) -> dict[str, str]:
    """The cells that are spoken of, as text. Raises Problem 422 for text that is no cell."""
    values = {column: getattr(changes, column) for column in changes.__struct_fields__}
    return {column: _cell(column, value) for column, value in values.items() if value is not msgspec.UNSET}


def _cell(column: str, value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return _SWITCH[value]
        case int() | float():
            return f"{value:.3f}".rstrip("0").rstrip(".")  # to the W
    text = str(value).strip()
    if not text.isprintable():
        raise Problem(422, f"{column}: expected one line of characters that can be printed", field=column)
    return text


def _told(is_changed: bool, before: Mapping[str, str]) -> str:
    if not is_changed:
        return f"{FILE} said so already"
    return f"its row in {FILE} says so now" if before else f"a row for it was added to {FILE}"


def _figures(changed: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    figures = {"columns": ", ".join(changed)}
    return figures | {c: f"{old or 'blank'} to {new or 'blank'}" for c, (old, new) in changed.items() if c in _TOLD}


def _problem(error: ChargersFileError) -> Problem:
    if isinstance(error, BadChargerError):
        return Problem(422, str(error), **({"field": error.column} if error.column else {}))
    return Problem(409, str(error))
