"""Between the payloads of OCPP 1.6 and the core's commands and replies, field by field. Never raises for a payload.

Extra keys are ignored, missing ones have a stated meaning: a message that carries energy is never refused (rule 23).
"""

from datetime import UTC, datetime

from ocpp_server.core import commands as cmd
from ocpp_server.core.meter import MeterValue, SampledValue
from ocpp_server.core.records import NoteKind
from ocpp_server.ocpp16 import fields
from ocpp_server.ocpp16.frames import Payload
from ocpp_server.ocpp16.printable import printable

LONGEST_NOTE = 500
_PENDING_INTERVAL_S = 60
_KEPT_FIELDS = {
    "DataTransfer": ("vendorId", "messageId"),
    "DiagnosticsStatusNotification": ("status",),
    "FirmwareStatusNotification": ("status",),
    "LogStatusNotification": ("status", "requestId"),
    "SecurityEventNotification": ("type", "timestamp", "techInfo"),
    "SignCertificate": (),
    "SignedFirmwareStatusNotification": ("status", "requestId"),
}
"""What is kept, and logged, of the messages that are only kept."""
_SAID_FIELDS = {"DataTransfer": "data", "SignCertificate": "csr"}
"""Free text of theirs, which is kept and not logged."""


def boot_notification(charge_point_id: str, at: datetime, payload: Payload) -> cmd.BootNotification:
    """OCPP 1.6 §4.2. No length checks: Schneider sends serials of 33 characters."""
    serial = payload.get("chargePointSerialNumber") or payload.get("chargeBoxSerialNumber")
    return cmd.BootNotification(
        charge_point_id,
        at,
        vendor=fields.text(payload.get("chargePointVendor")),
        model=fields.text(payload.get("chargePointModel")),
        serial_number=fields.text(serial),
        firmware_version=fields.text(payload.get("firmwareVersion")),
    )


def boot_notification_conf(is_accepted: bool, at: datetime, heartbeat_interval_s: int) -> Payload:
    """OCPP 1.6 §4.2: who waits for approval is told to ask again in a minute."""
    return {
        "status": "Accepted" if is_accepted else "Pending",
        "currentTime": time_text(at),
        "interval": heartbeat_interval_s if is_accepted else _PENDING_INTERVAL_S,
    }


def heartbeat(charge_point_id: str, at: datetime) -> cmd.Heartbeat:
    """OCPP 1.6 §4.6. Whatever a charge point puts into it is ignored."""
    return cmd.Heartbeat(charge_point_id, at)


def heartbeat_conf(at: datetime) -> Payload:
    """OCPP 1.6 §4.6."""
    return {"currentTime": time_text(at)}


def status_notification(charge_point_id: str, at: datetime, payload: Payload) -> cmd.StatusNotification:
    """OCPP 1.6 §4.9. Without a connector it is about the charge point itself, which is connector 0."""
    return cmd.StatusNotification(
        charge_point_id,
        at,
        connector_id=fields.connector_id(payload.get("connectorId"), otherwise=0),
        status=fields.text(payload.get("status"), 50),
        error_code=fields.text(payload.get("errorCode"), 50),
        info=fields.text(payload.get("info")) or fields.text(payload.get("vendorErrorCode")),
        timestamp=fields.stamp(payload.get("timestamp")),
    )


def authorize(charge_point_id: str, at: datetime, payload: Payload) -> cmd.Authorize:
    """OCPP 1.6 §4.1."""
    return cmd.Authorize(charge_point_id, at, fields.id_tag(payload.get("idTag")))


def start_transaction(charge_point_id: str, at: datetime, payload: Payload) -> cmd.StartTransaction:
    """OCPP 1.6 §4.8. Without an idTag it is still answered: the core gives an id and Invalid for "".

    Without a readable connector it is connector 1: a session needs one above 0 (§4.8) for its readings to find it,
    and who leaves it out has one outlet. An explicit 0 is left as it is.
    """
    return cmd.StartTransaction(
        charge_point_id,
        at,
        connector_id=fields.connector_id(payload.get("connectorId"), otherwise=1),
        id_tag=fields.id_tag(payload.get("idTag")),
        meter_start=fields.raw_number(payload.get("meterStart")),
        timestamp=fields.stamp(payload.get("timestamp")),
    )


def stop_transaction(charge_point_id: str, at: datetime, payload: Payload) -> cmd.StopTransaction:
    """OCPP 1.6 §4.10; a missing reason means Local (OCPP-J errata 2.6)."""
    return cmd.StopTransaction(
        charge_point_id,
        at,
        transaction_id=fields.whole_number(payload.get("transactionId")),
        meter_stop=fields.raw_number(payload.get("meterStop")),
        timestamp=fields.stamp(payload.get("timestamp")),
        id_tag=fields.id_tag(payload.get("idTag")),
        reason=fields.text(payload.get("reason"), 50) or "Local",
        transaction_data=_meter_values(payload.get("transactionData")),
    )


def meter_values(charge_point_id: str, at: datetime, payload: Payload) -> cmd.MeterValues:
    """OCPP 1.6 §4.7. Without a connector it is about the main meter, which is connector 0."""
    return cmd.MeterValues(
        charge_point_id,
        at,
        fields.connector_id(payload.get("connectorId"), otherwise=0),
        fields.whole_number(payload.get("transactionId")),
        _meter_values(payload.get("meterValue")),
    )


def kept_message(charge_point_id: str, at: datetime, action: str, payload: Payload) -> cmd.RecordMessage:
    """A message that is only kept, as `Action key=value …` in at most 500 characters, its free text apart."""
    kind = NoteKind.SECURITY if action == "SecurityEventNotification" else NoteKind.MESSAGE
    parts = [f"{key}={_shown(payload[key])}" for key in _KEPT_FIELDS[action] if key in payload]
    text = printable(" ".join([action, *parts]), LONGEST_NOTE)
    said = payload.get(_SAID_FIELDS[action]) if action in _SAID_FIELDS else None
    return cmd.RecordMessage(charge_point_id, at, kind, text, "" if said is None else _shown(said))


def security_event(charge_point_id: str, at: datetime, payload: Payload) -> cmd.SecurityEvent:
    """SecurityEventNotification (security white paper A04)."""
    kept = kept_message(charge_point_id, at, "SecurityEventNotification", payload)
    return cmd.SecurityEvent(charge_point_id, at, fields.text(payload.get("type"), 50), kept.text)


def unreadable_message(charge_point_id: str, at: datetime, reason: str, raw: bytes) -> cmd.RecordMessage:
    """A frame that was none, with its begin, for whoever has to find out why."""
    begin = printable(raw[:400].decode("utf-8", "replace"), LONGEST_NOTE)
    text = printable(f"unreadable message ({reason})", LONGEST_NOTE)
    return cmd.RecordMessage(charge_point_id, at, NoteKind.ODDITY, text, begin)


def duplicate_keys(charge_point_id: str, at: datetime, action: str) -> cmd.RecordMessage:
    """A payload that names a key twice: the last one counted (T9)."""
    return cmd.RecordMessage(charge_point_id, at, NoteKind.ODDITY, f"{action} names a key twice, the last one counts")


def id_tag_info(info: cmd.IdTagInfo) -> Payload:
    """IdTagInfo (OCPP 1.6 §7.27)."""
    answer: Payload = {"status": info.status.value}
    if info.expiry_date is not None:
        answer["expiryDate"] = time_text(info.expiry_date)
    if info.parent_id_tag is not None:
        answer["parentIdTag"] = info.parent_id_tag
    return answer


def time_text(at: datetime) -> str:
    """`2026-11-20T10:35:00Z`: UTC, seconds, Z, which every charge point reads (OCPP 1.6 §3.14)."""
    return at.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def _meter_values(value: object) -> tuple[MeterValue, ...]:
    return tuple([_meter_value(item) for item in fields.objects(value)])


def _meter_value(item: Payload) -> MeterValue:
    sampled = tuple([_sampled_value(sample) for sample in fields.objects(item.get("sampledValue"))])
    return MeterValue(fields.stamp(item.get("timestamp")), sampled)


def _sampled_value(sample: Payload) -> SampledValue:
    get, label = sample.get, fields.label
    return SampledValue(
        fields.raw_number(get("value")),
        label(get("measurand")),
        label(get("unit")),
        label(get("context")),
        label(get("phase")),
        label(get("location")),
        label(get("format")),
    )


def _shown(value: object) -> str:
    return fields.text(value, LONGEST_NOTE) if isinstance(value, str | int | float) else printable(repr(value)[:1000])
