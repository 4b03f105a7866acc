"""Events in the words that other systems get (docs/webhooks.md): those of the files, energy in kWh, times with `Z`."""

from datetime import UTC, datetime, timedelta
from typing import Final

from ocpp_server.core.energy import Wh
from ocpp_server.core.events import Event, QuotaUse, SessionFacts
from ocpp_server.core.records import Connector
from ocpp_server.storage.documents import Json, alert_documents, kwh, stamp

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def event_key(number: int, event: Event) -> str:
    """The same whenever it is sent. The time makes it another one after a restored backup, where numbers come again."""
    return f"evt_{number}_{(event.at - _EPOCH) // timedelta(microseconds=1):x}"


def event_document(number: int, event: Event) -> Json:
    """What is sent: id, type, time, and as data what the type is about."""
    return {
        "id": event_key(number, event),
        "type": event.type.value,
        "time": stamp(event.at),
        "data": _charger(event) | _about(event),
    }


def _charger(event: Event) -> Json:
    if not event.charge_point_id:
        return {}
    return {"charger_id": event.charge_point_id, "charger_name": event.charge_point_name or event.charge_point_id}


def _about(event: Event) -> Json:
    """An event is about one thing."""
    if event.session is not None:
        return _session(event.session)
    if event.quota is not None:
        return _quota(event.quota)
    if event.connector is not None:
        return _connector(event.connector)
    if event.alert is not None:
        return alert_documents([event.alert])[0]
    return {"month": event.month}


def _session(one: SessionFacts) -> Json:
    return {
        "transaction_id": one.transaction_id,
        "connector_id": one.connector_id,
        "id_tag": one.id_tag,
        "full_name": one.full_name,
        "status": one.status.value,
        "start_time": stamp(one.started_at),
        "start_meter": _kwh(one.start_register),
        "last_meter": _kwh(one.last_register),
        "energy_kwh": kwh(one.energy),
        "stop_cause": None if one.stop_cause is None else one.stop_cause.value,
        "end_time": None if one.ended_at is None else stamp(one.ended_at),
        "end_kind": None if one.end_kind is None else one.end_kind.value,
        "stop_reason": one.stop_reason or None,
    }


def _quota(one: QuotaUse) -> Json:
    return {
        "account": one.account,
        "full_name": one.full_name,
        "month": one.month,
        "percent": one.percent,
        "quota_kwh": kwh(one.quota),
        "used_kwh": kwh(one.used),
    }


def _connector(one: Connector) -> Json:
    return {
        "connector_id": one.connector_id,
        "status": one.status,
        "error_code": one.error_code,
        "info": one.info,
        "since": stamp(one.since),
    }


def _kwh(wh: Wh | None) -> float | None:
    return None if wh is None else kwh(wh)
