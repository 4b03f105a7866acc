"""A person's decision about a charge point, put into chargers.csv without touching any other byte.

Encoding, byte order mark, delimiter, line ends, quotes and unknown columns stay as they are: the file is the
administrator's. What it means is read by `chargers_csv`; a file that it cannot read is not edited.
"""

from collections.abc import Mapping

from ocpp_server.core.users import ChargerRow
from ocpp_server.storage.chargers_csv import COLUMNS, FILE, REQUIRED, ChargersFileError, parse_chargers
from ocpp_server.storage.csv_edit import encoded, records, with_lines_at_the_end, written
from ocpp_server.storage.csv_text import TableFileError, layout_of, parse_boolean, read_table

_WORDS = {True: "TRUE", False: "FALSE"}


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
