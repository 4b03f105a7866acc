"""The command `report`: who used how much in a month. It reads the ledger, so a server may run or not."""

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from ocpp_server.clock import Clock
from ocpp_server.core.period import Month, month_of
from ocpp_server.settings import Settings, variable_name
from ocpp_server.start import StartError, clock_of
from ocpp_server.storage.atomic_file import replace_file
from ocpp_server.storage.errors import LedgerError
from ocpp_server.storage.report_files import USERS, csv_of, sheets, xlsx_of
from ocpp_server.storage.usage_report import SessionUsage, UsageReport, usage_report
from ocpp_server.terminal import progress, table

_MONTH = re.compile(r"20[0-9]{2}-(0[1-9]|1[0-2])")
_MODE = 0o600
"""A report says who charged where and when."""
_STANDARD_OUTPUT = "-"


def report(settings: Settings, arguments: argparse.Namespace) -> int:
    """Print the month, or write it to files; 0, or 2 with a sentence."""
    try:
        if arguments.output and arguments.format is None:
            raise ValueError("--output needs --format csv or --format xlsx")
        month = _month(arguments.month, settings, clock_of(settings))
        path = settings.data_dir / "ledger.db"
        if not path.exists():
            raise StartError(f"there is no ledger {path}: set {variable_name('data_dir')} to the server's data folder")
        progress(f"adding up the bookings of {month}")
        found = usage_report(path, month, settings.zone)
        if arguments.json:
            print(json.dumps(_document(found), indent=2))
        elif arguments.format is None:
            _print(found)
        else:
            _write(found, arguments.format, arguments.output)
    except (ValueError, OSError, StartError, LedgerError) as error:
        print(f"no report: {error}", file=sys.stderr)
        return 2
    return 0


def _month(text: str | None, settings: Settings, clock: Clock) -> Month:
    """The month asked for, else the one that it is now."""
    if text is None:
        return month_of(clock.now(), settings.zone)
    if not _MONTH.fullmatch(text):
        raise ValueError(f"{text!r} is no month: write YYYY-MM, such as 2025-01")
    return Month(text)


def _print(found: UsageReport) -> None:
    header, *rows = sheets(found)[USERS]
    *rows, total = rows
    print(f"{found.month}, {found.zone}: {len(found.tags)} tags, {len(found.sessions)} sessions\n")
    titles = [str(name).replace("_", " ").upper() for name in header]
    percents = [(*row[:-1], f"{row[-1]:.1%}" if isinstance(row[-1], float) else None) for row in [*rows, total]]
    print(table(titles, percents))


def _write(found: UsageReport, kind: str, output: str | None) -> None:
    """A workbook, or three CSV files: FILE, and beside it FILE-sessions and FILE-other-bookings."""
    if output == _STANDARD_OUTPUT:
        content = xlsx_of(found) if kind == "xlsx" else csv_of(sheets(found)[USERS])
        sys.stdout.buffer.write(content)
        return
    path = Path(output or f"evquota-report-{found.month}.{kind}")
    contents = {path: xlsx_of(found)} if kind == "xlsx" else _csv_files(found, path)
    for file, content in contents.items():
        replace_file(file, content, is_synced=False, mode=_MODE)
        print(file)


def _csv_files(found: UsageReport, path: Path) -> dict[Path, bytes]:
    return {
        path if name == USERS else path.with_name(f"{path.stem}-{name.replace(' ', '-')}{path.suffix}"): csv_of(rows)
        for name, rows in sheets(found).items()
    }


def _document(found: UsageReport) -> dict[str, Any]:
    """For programs; energy in Wh, so that nothing has to be rounded."""
    return {
        "month": found.month,
        "timezone": str(found.zone),
        "energy_wh": found.wh,
        "free_wh": found.free_wh,
        "users": [
            {
                "id_tag": tag.id_tag,
                "name": tag.name,
                "account": tag.account,
                "sessions": tag.sessions,
                "energy_wh": tag.wh,
                "free_wh": tag.free_wh,
                "quota_wh": tag.quota,
                "unlimited": tag.is_known and tag.quota is None,
                "account_wh": tag.account_wh,
                "share_of_quota": tag.share,
            }
            for tag in found.tags
        ],
        "sessions": [_session(session, found.zone) for session in found.sessions],
        "other_bookings": [
            {
                "id_tag": other.id_tag,
                "day": other.day,
                "kind": other.kind.value,
                "energy_wh": other.wh,
                "free_wh": other.free_wh,
                "reason": other.reason,
            }
            for other in found.others
        ],
    }


def _session(session: SessionUsage, zone: ZoneInfo) -> dict[str, Any]:
    transaction = session.transaction
    ended = transaction.ended_at
    return {
        "transaction": transaction.transaction_id,
        "charger_id": transaction.charge_point_id,
        "charger": session.charger,
        "connector": transaction.connector_id,
        "id_tag": transaction.id_tag,
        "name": transaction.full_name,
        "start": transaction.started_at.astimezone(zone).isoformat(timespec="seconds"),
        "end": None if ended is None else ended.astimezone(zone).isoformat(timespec="seconds"),
        "energy_wh": session.wh,
        "free_wh": session.free_wh,
        "session_wh": transaction.energy,
        "reason": session.end_in_words,
    }
