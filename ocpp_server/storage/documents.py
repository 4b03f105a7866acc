"""The published files: from the state to bytes in the formats of docs/files.md, a public interface.

Only here (and in the dashboard) do the files' own words live: `charger_id`, `start_meter`, `userName`. Energy is kWh
with at most three decimals, power W, times ISO 8601 UTC with `Z`.
"""

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, TypeAlias

import msgspec

from ocpp_server.core.admission import admission_of
from ocpp_server.core.alerts import Severity, severity_of
from ocpp_server.core.energy import Wh
from ocpp_server.core.leaks import Leak, leaks_of
from ocpp_server.core.period import Month
from ocpp_server.core.quota import find_user, stop_time
from ocpp_server.core.records import (
    Alert,
    AuthorizationStatus,
    ChargePoint,
    Connector,
    Reading,
    StopCause,
    Transaction,
)
from ocpp_server.core.site import Site

Json: TypeAlias = dict[str, Any]

_STATUS_RANK = (
    "Faulted",
    "Charging",
    "SuspendedEVSE",
    "SuspendedEV",
    "Finishing",
    "Preparing",
    "Reserved",
    "Unavailable",
    "Available",
)
_SEVERITY_RANK = (Severity.CRITICAL, Severity.WARNING, Severity.INFO)


def kwh(wh: Wh | int) -> float:
    """kWh with at most three decimals; exact, because the energy is whole Wh."""
    return round(wh / 1000, 3)


def stamp(when: datetime) -> str:
    """ISO 8601 UTC, whole seconds, `Z`."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def encode(document: Any) -> bytes:
    """JSON for people as well: indented, with a final line feed. A lone surrogate from outside becomes its escape."""
    return msgspec.json.format(packed(document), indent=2) + b"\n"


def packed(document: Any) -> bytes:
    """The same in one line, for programs."""
    try:
        return msgspec.json.encode(document)
    except UnicodeEncodeError:
        return msgspec.json.encode(_cleaned(document))


def energy_usage(site: Site, month: Month | None) -> bytes:
    """kWh used by each tag on its quota in a month."""
    rows = {tag: kwh(wh) for (booked, tag), wh in site.usage.items() if booked == month}
    return encode(dict(sorted(rows.items())))


def active_transactions(site: Site, now: datetime) -> bytes:
    """Open transactions by OCPP transactionId as text."""
    return encode({str(t.transaction_id): _active(site, t, now) for t in site.open_transactions.values()})


def charger_status(site: Site) -> bytes:
    """Every known charge point with its status and what it has delivered."""
    power: dict[str, int] = {}
    for transaction in site.open_transactions.values():
        power[transaction.charge_point_id] = power.get(transaction.charge_point_id, 0) + transaction.power_w
    rows = {
        charge_point_id: _charger(site, charge_point, power.get(charge_point_id, 0))
        for charge_point_id, charge_point in sorted(site.charge_points.items())
    }
    return encode(rows)


def meter_data_log(site: Site) -> bytes:
    """The newest readings, oldest first, one to a line; never more than 500."""
    lines = (msgspec.json.encode(reading_document(site, reading)) for reading in site.readings)
    try:
        return b"[\n" + b",\n".join(lines) + b"\n]\n"
    except UnicodeEncodeError:
        return encode([reading_document(site, reading) for reading in site.readings])


def reading_document(site: Site, reading: Reading) -> Json:
    """One object of the meter log, and of what the forwarder posts. The ID is the same for a repeated message."""
    return {
        "ID": hashlib.sha256(reading.key.encode("utf-8", "surrogatepass")).hexdigest()[:24],
        "timestamp": stamp(reading.at),
        "userName": reading.full_name or reading.id_tag,
        "chargerName": charger_name(site, reading.charge_point_id),
        "totalPower": reading.power_w,
        "deliveredEnergy": kwh(reading.register),
        "frequency": None if reading.frequency_hz is None else float(reading.frequency_hz),
    }


def energy_hourly(site: Site, month: Month) -> bytes:
    """kWh per charger and hour, and per tag and day, of one month in the site's zone."""
    zone = site.policy.zone
    chargers: dict[str, dict[str, float]] = {}
    for (charge_point_id, hour), wh in sorted(site.energy_by_hour.items()):
        local = hour.astimezone(zone)
        if f"{local.year:04d}-{local.month:02d}" == month and wh:
            chargers.setdefault(charge_point_id, {})[local.isoformat(timespec="minutes")] = kwh(wh)
    tags: dict[str, dict[str, float]] = {}
    for (id_tag, day), wh in sorted(site.energy_by_day.items()):
        if day.startswith(month) and wh and id_tag:
            tags.setdefault(id_tag, {})[day] = kwh(wh)
    return encode({"month": month, "chargers": chargers, "tags": tags})


def alerts(site: Site) -> bytes:
    """Alerts that are not resolved, the gravest first."""
    return encode(alert_documents(site.alerts.values()))


def alert_documents(unresolved: Iterable[Alert]) -> list[Json]:
    """Alerts as the files show them: by severity, the newest first."""
    newest = sorted(unresolved, key=lambda alert: alert.since, reverse=True)
    return [_alert(alert) for alert in sorted(newest, key=lambda alert: _SEVERITY_RANK.index(severity_of(alert)))]


def _alert(alert: Alert) -> Json:
    return {
        "id": alert.alert_id,
        "kind": alert.kind,
        "severity": severity_of(alert).value,
        "text": alert.text,
        "since": stamp(alert.since),
        "charger_id": alert.charge_point_id or None,
        "transaction_id": alert.transaction_id,
        "state": "open" if alert.acknowledged_at is None else "acknowledged",
        "acknowledged_at": None if alert.acknowledged_at is None else stamp(alert.acknowledged_at),
        "acknowledged_by": alert.acknowledged_by or None,
    }


def charger_name(site: Site, charge_point_id: str) -> str:
    """The name of chargers.csv, else the charge point's id."""
    row = site.chargers.get(charge_point_id)
    return row.name if row is not None and row.name else charge_point_id


def _active(site: Site, transaction: Transaction, now: datetime) -> Json:
    register = transaction.register
    user = find_user(site, transaction.id_tag)
    forecast = stop_time(site, transaction, user, now) if user is not None and transaction.is_on_quota else None
    return {
        "id_tag": transaction.id_tag,
        "start_meter": None if register.start is None else kwh(register.start),
        "start_time": stamp(transaction.started_at),
        "last_meter": None if register.last is None else kwh(register.last),
        "full_name": user.full_name if user is not None else transaction.full_name,
        "charger_id": transaction.charge_point_id,
        "connector_id": transaction.connector_id,
        "energy_kwh": kwh(transaction.energy),
        "power_w": transaction.power_w,
        "last_update": stamp(transaction.reading_received_at or transaction.received_at),
        "state": _state(site, transaction),
        "forecast_stop": None if forecast is None else stamp(max(forecast, now)),
    }


def _state(site: Site, transaction: Transaction) -> str:
    """refused, over_quota, stopping, stale, suspended or charging: the word that matters most."""
    if transaction.status is not AuthorizationStatus.ACCEPTED:
        return "refused"
    stop = transaction.stop
    if stop is not None:
        return "over_quota" if stop.cause is StopCause.QUOTA and stop.failures else "stopping"
    if transaction.is_stale:
        return "stale"
    charge_point = site.charge_points.get(transaction.charge_point_id)
    connectors = charge_point.connectors if charge_point is not None else ()
    for connector in connectors:
        if connector.connector_id == transaction.connector_id and connector.status.startswith("Suspended"):
            return "suspended"
    return "charging"


def _charger(site: Site, charge_point: ChargePoint, power_w: int) -> Json:
    charge_point_id = charge_point.charge_point_id
    is_connected = charge_point.connected_since is not None
    main = _main_connector(charge_point.connectors)
    heartbeat = site.last_heartbeat.get(charge_point_id)
    seen = site.last_seen.get(charge_point_id)
    row = site.chargers.get(charge_point_id)
    brand = (row.brand if row is not None else "") or site.profile_of(charge_point).brand or charge_point.vendor
    return {
        "name": charger_name(site, charge_point_id),
        "brand": brand,
        "status": (main.status if main is not None else "Unknown") if is_connected else "Offline",
        "last_heartbeat": None if heartbeat is None else stamp(heartbeat),
        "total_energy_delivered": kwh(site.delivered.get(charge_point_id, 0)),
        "connector_id": main.connector_id if main is not None else 1,
        "connected": is_connected,
        "connectors": [_connector(connector) for connector in charge_point.connectors],
        "last_seen": None if seen is None else stamp(seen),
        "vendor": charge_point.vendor,
        "model": charge_point.model,
        "serial_number": charge_point.serial_number,
        "firmware_version": charge_point.firmware_version,
        "power_w": power_w,
        "error_code": main.error_code if main is not None else "",
        "admission": (admission_of(site, charge_point_id) or charge_point.admission).value,
        "address": charge_point.address,
        "security_profile": charge_point.security_profile,
        "resolution_wh": charge_point.resolution,
        "unattributed_kwh": kwh(charge_point.unattributed),
        "configuration": dict(site.configurations.get(charge_point_id, ())),
        "leaks": [_leak(leak) for leak in leaks_of(site, charge_point_id)],
    }


def _leak(leak: Leak) -> Json:
    return {
        "key": leak.key or None,
        "value": leak.value if leak.key else None,
        "why": leak.why,
        "mended_by": None if leak.mend is None else leak.mend[1],
    }


def _connector(connector: Connector) -> Json:
    return {
        "connector_id": connector.connector_id,
        "status": connector.status,
        "error_code": connector.error_code,
        "info": connector.info,
        "since": stamp(connector.since),
    }


def _main_connector(connectors: tuple[Connector, ...]) -> Connector | None:
    """The connector that matters most; connector 0 is the charge point itself and counts only if it has trouble."""
    told = [c for c in connectors if c.connector_id != 0 or c.status == "Faulted"] or list(connectors)
    return min(told, key=lambda c: (_rank(c.status), c.connector_id), default=None)


def _rank(status: str) -> int:
    return _STATUS_RANK.index(status) if status in _STATUS_RANK else len(_STATUS_RANK)


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")  # two tags that differ must not become one
    if isinstance(value, dict):
        return {_cleaned(key): _cleaned(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_cleaned(entry) for entry in value]
    return value
