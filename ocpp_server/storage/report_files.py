"""A month's report as files for a spreadsheet: three CSV files, or one workbook with three sheets.

kWh are numbers with three decimals, exact because the energy is whole Wh; times are the site's. Text that a
spreadsheet would run as a formula is made harmless (CWE-1236): in CSV by a quote before it, in the workbook by being
text. Totals are numbers, not formulas: what is printed is what was booked, in every program.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeAlias

import xlsxwriter

from ocpp_server.storage.documents import kwh
from ocpp_server.storage.sessions_csv import harmless
from ocpp_server.storage.usage_report import OtherBookings, SessionUsage, TagUsage, UsageReport

Cell: TypeAlias = str | int | float | datetime | None
Row: TypeAlias = tuple[Cell, ...]

USERS: Final = "users"
SESSIONS: Final = "sessions"
OTHERS: Final = "other bookings"
TOTAL: Final = "total"
_HEADERS: Mapping[str, tuple[str, ...]] = {
    USERS: (
        *("id_tag", "name", "account", "sessions", "energy_kwh", "free_kwh"),
        *("quota_kwh", "account_kwh", "share_of_quota"),
    ),
    SESSIONS: (
        *("transaction", "charger_id", "charger", "connector", "id_tag", "name", "start", "end"),
        *("energy_kwh", "free_kwh", "session_kwh", "reason"),
    ),
    OTHERS: ("id_tag", "day", "kind", "energy_kwh", "free_kwh", "reason"),
}
_WIDTHS: Final = {
    "id_tag": 22, "name": 26, "account": 22, "charger_id": 22, "charger": 22, "start": 19, "end": 19, "reason": 34,
}  # fmt: skip
_TIME = "%Y-%m-%d %H:%M:%S"
_UNLIMITED = "unlimited"


def sheets(report: UsageReport) -> dict[str, tuple[Row, ...]]:
    """The three tables by name, each with its header and, last, its totals."""
    energy = (kwh(report.wh), kwh(report.free_wh))
    in_sessions = _sums((session.wh, session.free_wh) for session in report.sessions)
    in_others = _sums((other.wh, other.free_wh) for other in report.others)
    users: Row = (TOTAL, "", "", len(report.sessions), *energy, None, None, None)
    sessions: Row = (TOTAL, *("",) * 7, *in_sessions, kwh(sum(s.transaction.energy for s in report.sessions)), "")
    return {
        USERS: (_HEADERS[USERS], *map(_tag, report.tags), users),
        SESSIONS: (_HEADERS[SESSIONS], *(_session(session, report) for session in report.sessions), sessions),
        OTHERS: (
            _HEADERS[OTHERS],
            *map(_other, report.others),
            (TOTAL, "", "", *in_others, ""),
        ),
    }


def csv_of(rows: Sequence[Row]) -> bytes:
    """UTF-8 with BOM and CRLF, as Excel wants it."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerows([_csv_cell(cell) for cell in row] for row in rows)
    return text.getvalue().encode("utf-8-sig", "backslashreplace")


def xlsx_of(report: UsageReport) -> bytes:
    """One workbook, made in memory."""
    content = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(content, options) as book:
        book.set_properties({"title": f"evquota {report.month}"})
        bold = book.add_format({"bold": True})
        formats = {
            "kwh": book.add_format({"num_format": "0.000"}),
            "share": book.add_format({"num_format": "0.0%"}),
            "time": book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"}),
        }
        for name, rows in sheets(report).items():
            _fill(book.add_worksheet(name), rows, bold, formats)
    return content.getvalue()


def _fill(sheet: Any, rows: Sequence[Row], bold: Any, formats: Mapping[str, Any]) -> None:
    header = [str(cell) for cell in rows[0]]
    for column, name in enumerate(header):
        sheet.set_column(column, column, _WIDTHS.get(name, 14))
        sheet.write_string(0, column, name, bold)
    for number, row in enumerate(rows[1:], start=1):
        for column, cell in enumerate(row):
            _write(sheet, (number, column), cell, formats.get(_kind(header[column])), formats["time"])
    sheet.set_row(len(rows) - 1, None, bold)
    sheet.freeze_panes(1, 0)
    if len(rows) > 2:
        sheet.autofilter(0, 0, len(rows) - 2, len(header) - 1)


def _write(sheet: Any, place: tuple[int, int], cell: Cell, number_format: Any, time_format: Any) -> None:
    """Each by its own type: text is never looked into."""
    if isinstance(cell, datetime):
        sheet.write_datetime(*place, cell, time_format)
    elif isinstance(cell, int | float):
        sheet.write_number(*place, cell, number_format)
    elif cell:
        sheet.write_string(*place, _text(cell))


def _kind(column: str) -> str:
    if column.startswith("share"):
        return "share"
    return "kwh" if column.endswith("_kwh") else ""


def _tag(tag: TagUsage) -> Row:
    quota = kwh(tag.quota) if tag.quota is not None else _UNLIMITED if tag.is_known else None
    share = None if tag.share is None else round(tag.share, 4)
    energy = (kwh(tag.wh), kwh(tag.free_wh))
    return tag.id_tag, tag.name, tag.account, tag.sessions, *energy, quota, kwh(tag.account_wh), share


def _session(session: SessionUsage, report: UsageReport) -> Row:
    transaction = session.transaction
    ended = transaction.ended_at
    return (
        transaction.transaction_id,
        transaction.charge_point_id,
        session.charger,
        transaction.connector_id,
        transaction.id_tag,
        transaction.full_name,
        transaction.started_at.astimezone(report.zone).replace(tzinfo=None, microsecond=0),
        "" if ended is None else ended.astimezone(report.zone).replace(tzinfo=None, microsecond=0),
        kwh(session.wh),
        kwh(session.free_wh),
        kwh(transaction.energy),
        session.end_in_words,
    )


def _other(other: OtherBookings) -> Row:
    return other.id_tag, other.day, other.kind.value, kwh(other.wh), kwh(other.free_wh), other.reason


def _sums(pairs: Iterable[tuple[int, int]]) -> tuple[float, float]:
    found = list(pairs)
    return kwh(sum(wh for wh, _ in found)), kwh(sum(free for _, free in found))


def _csv_cell(cell: Cell) -> str | int | float:
    if isinstance(cell, datetime):
        return cell.strftime(_TIME)
    if isinstance(cell, int | float):
        return cell
    return harmless(cell or "")


def _text(cell: str) -> str:
    """What XML can hold: lone surrogates become their escape, xlsxwriter escapes the control characters."""
    return cell.encode("utf-8", "backslashreplace").decode("utf-8")
