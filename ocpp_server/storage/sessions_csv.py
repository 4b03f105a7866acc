"""archive/sessions-YYYY-MM.csv: one row per finished session, for people and spreadsheets."""

import csv
import io
from collections.abc import Iterable
from zoneinfo import ZoneInfo

from ocpp_server.core.period import Month, month_of
from ocpp_server.core.records import EndKind, Transaction
from ocpp_server.core.site import Site
from ocpp_server.storage.documents import charger_name, kwh, stamp

HEADER = (
    "transaction",
    "charger_id",
    "charger",
    "connector",
    "id_tag",
    "name",
    "start",
    "end",
    "start_utc",
    "end_utc",
    "energy_kwh",
    "duration_min",
    "reason",
    "flags",
)
_REASONS = {
    "DeAuthorized": "card was refused",
    "EmergencyStop": "emergency stop",
    "EVDisconnected": "cable was unplugged",
    "HardReset": "charge point was reset",
    "Local": "stopped at the charge point",
    "Other": "other",
    "PowerLoss": "power was lost",
    "Reboot": "charge point restarted",
    "Remote": "stopped by the server",
    "SoftReset": "charge point was reset",
    "UnlockCommand": "connector was unlocked",
}
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\0")


def sessions_csv(site: Site, month: Month) -> bytes:
    """The sessions that ended in a month of the site's zone, in the order of their end. UTF-8 with BOM for Excel."""
    ended = [t for t in site.transactions.values() if t.ended_at is not None and _month(t, site) == month]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow(HEADER)
    writer.writerows(_rows(site, sorted(ended, key=lambda t: (t.ended_at, t.transaction_id))))
    return text.getvalue().encode("utf-8-sig", "backslashreplace")


def reason_in_words(transaction: Transaction) -> str:
    """Why a session ended: the server's own reason, or OCPP's (§7.36) in words."""
    if transaction.end_kind is EndKind.SUPERSEDED:
        return "never ended; another session began"
    if transaction.end_kind is EndKind.STALE:
        return "never ended; closed by the server"
    return _REASONS.get(transaction.stop_reason, transaction.stop_reason)


def harmless(cell: str) -> str:
    """Text that a spreadsheet does not run as a formula (CWE-1236)."""
    return "'" + cell if cell.startswith(_FORMULA_STARTS) else cell


def _rows(site: Site, transactions: Iterable[Transaction]) -> Iterable[tuple[str | int | float, ...]]:
    zone = site.policy.zone
    for transaction in transactions:
        ended = transaction.ended_at
        assert ended is not None
        flags = list(transaction.flags)
        if transaction.overshoot:
            flags.append(f"{transaction.overshoot} Wh over the quota")
        yield (
            transaction.transaction_id,
            harmless(transaction.charge_point_id),
            harmless(charger_name(site, transaction.charge_point_id)),
            transaction.connector_id,
            harmless(transaction.id_tag),
            harmless(transaction.full_name),
            transaction.started_at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S"),
            ended.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S"),
            stamp(transaction.started_at),
            stamp(ended),
            kwh(transaction.energy),
            round((ended - transaction.started_at).total_seconds() / 60),
            harmless(reason_in_words(transaction)),
            harmless("; ".join(flags)),
        )


def _month(transaction: Transaction, site: Site) -> Month:
    zone: ZoneInfo = site.policy.zone
    assert transaction.ended_at is not None
    return month_of(transaction.ended_at, zone)
