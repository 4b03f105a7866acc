"""One entry of a published file as the record it stands for; which entries are taken is `imported_files`."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from ocpp_server.core import records as rec
from ocpp_server.core.energy import EnergyUnit, Wh, parse_number, to_wh
from ocpp_server.core.period import Gap, Moment, parse_timestamp
from ocpp_server.core.register import Register
from ocpp_server.core.users import Account, IdTag
from ocpp_server.storage.json_files import JsonObject


def charge_point(charge_point_id: str, row: JsonObject, now: datetime) -> rec.ChargePoint:
    """A charger. It counts as booted, and as never connected: what its queue holds may be old (rule 9)."""
    is_pending = row.get("admission") == rec.Admission.PENDING.value
    status, connector_id = text(row, "status"), row.get("connector_id")
    connectors: tuple[rec.Connector, ...] = ()
    if type(connector_id) is int and connector_id >= 0 and status not in ("", "Offline", "Unknown"):
        connectors = (rec.Connector(connector_id, status, text(row, "error_code") or "NoError", "", now),)
    return rec.ChargePoint(
        charge_point_id,
        first_seen=now,
        admission=rec.Admission.PENDING if is_pending else rec.Admission.APPROVED,
        vendor=text(row, "vendor") or text(row, "brand"),
        model=text(row, "model"),
        serial_number=text(row, "serial_number"),
        firmware_version=text(row, "firmware_version"),
        booted_at=None if is_pending else now,
        gaps=(Gap(None, now),),
        connectors=connectors,
    )


def transaction(number: int, row: JsonObject, until: datetime, started: datetime | None) -> rec.Transaction:
    """An open session with nothing booked yet. `until`: its last reading; `started` None: nobody knows."""
    started_at = min(started or until, until)
    start, connector_id = wh(row, "start_meter"), row.get("connector_id")
    is_refused = row.get("state") == "refused"
    return rec.Transaction(
        transaction_id=number,
        charge_point_id=text(row, "charger_id"),
        connector_id=connector_id if type(connector_id) is int and connector_id > 0 else 1,
        id_tag=IdTag(text(row, "id_tag")),
        stated_id_tag=text(row, "id_tag"),
        account=Account(text(row, "id_tag")),
        full_name=text(row, "full_name"),
        status=rec.AuthorizationStatus.INVALID if is_refused else rec.AuthorizationStatus.ACCEPTED,
        start_stamp=text(row, "start_time"),
        start_meter_text="" if start is None else str(Decimal(start).normalize()),
        is_start_clock_doubtful=started is None,
        started_at=started_at,
        received_at=started_at,
        register=register(start, wh(row, "last_meter"), Moment(until, until, until)),
        is_on_quota=True,
        booked_at=until,
        reading_received_at=until,
        flags=("imported",),
    )


def register(start: Wh | None, last: Wh | None, moment: Moment) -> Register:
    """Without a start the next reading is the base; a last reading below the start was not one of this scale."""
    if start is None or last is None or last <= start:
        return Register(start, start, start, moment, moment)
    return Register(start, start, last, moment, moment, is_sampled=True)


def text(row: Mapping[str, object], key: str) -> str:
    """Text without blanks at its ends; a number as text; blank for anything else."""
    value = row.get(key)
    if isinstance(value, str):
        return value.strip()
    return str(value) if type(value) is int else ""


def wh(row: Mapping[str, object], key: str) -> Wh | None:
    """kWh, with whatever noise a float carries, as Wh; None where there is no usable amount."""
    number = parse_number(row.get(key))
    return None if number is None or number < 0 else to_wh(number, EnergyUnit.KWH)


def time(row: Mapping[str, object], key: str, now: datetime, zone: ZoneInfo) -> datetime | None:
    """A time stamp in UTC, never later than now; None where it is unreadable."""
    stamp = parse_timestamp(text(row, key), now, zone)
    return None if stamp is None else min(stamp, now)
