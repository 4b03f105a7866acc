"""Payloads to commands, field by field (accounting rules 2, 13, 18 to 23)."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocpp_server.core import commands as cmd
from ocpp_server.core.meter import MeterValue, SampledValue
from ocpp_server.core.records import AuthorizationStatus, NoteKind
from ocpp_server.ocpp16 import translate
from ocpp_server.ocpp16.printable import printable

AT = datetime(2026, 11, 20, 10, 35, 0, 700_000, tzinfo=UTC)
SAMPLE = {"value": "123", "unit": "Wh"}


def start(**payload: Any) -> cmd.StartTransaction:
    return translate.start_transaction("CP1", AT, payload)


def stop(**payload: Any) -> cmd.StopTransaction:
    return translate.stop_transaction("CP1", AT, payload)


def readings(**payload: Any) -> cmd.MeterValues:
    return translate.meter_values("CP1", AT, payload)


@pytest.mark.parametrize(
    ("sent", "transaction_id"),
    [
        (12, 12),
        ("12", 12),
        (" 12 ", 12),
        (12.0, 12),
        ("12.0", 12),
        ("-1", -1),
        (-1, -1),
        (0, 0),
        (2**63 - 1, 2**63 - 1),
        (2**63, None),
        (10**400, None),
        ("9" * 400, None),
        (12.5, None),
        ("12.5", None),
        (float("nan"), None),
        (float("inf"), None),
        ("1_2", None),
        ("١٢", None),
        ("", None),
        ("twelve", None),
        (True, None),
        (None, None),
        ([12], None),
        ({"id": 12}, None),
    ],
)
def test_a_transaction_id_is_a_number_or_none(sent: object, transaction_id: int | None) -> None:
    """Rule 21: an id sent as text is that number; -1 and 2⁶³−1 go to the core as they are."""
    assert readings(transactionId=sent).transaction_id == transaction_id
    assert stop(transactionId=sent).transaction_id == transaction_id


def test_a_missing_transaction_id_is_none() -> None:
    """Rule 20 and 21: who it belongs to is decided by charge point and connector."""
    assert readings().transaction_id is None
    assert stop().transaction_id is None


@pytest.mark.parametrize("sent", [None, "", "one", -1, 2**31, 2**80, True, [1], 1.5])
def test_a_connector_that_is_none_has_a_stated_meaning(sent: object) -> None:
    """0 is the charge point itself (OCPP 1.6 §4.9) and the main meter; a session needs a connector above 0 (§4.8)."""
    assert translate.status_notification("CP1", AT, {"connectorId": sent}).connector_id == 0
    assert readings(connectorId=sent).connector_id == 0
    assert start(connectorId=sent).connector_id == 1


def test_a_connector_is_read_from_text_and_an_explicit_0_is_kept() -> None:
    """Numbers as text (Teison, Grizzl-E)."""
    assert start(connectorId="2").connector_id == 2
    assert start(connectorId=0).connector_id == 0


@pytest.mark.parametrize(
    ("sent", "id_tag"),
    [
        ("RFID001", "RFID001"),
        (" RFID001\r\n", "RFID001"),
        (12345678, "12345678"),
        ("Şule", "Şule"),
        ("A\x00B", "A\\x00B"),
        ("A\ud800", "A\\ud800"),
        ("x" * 255, "x" * 255),
        ("x" * 300, "x" * 200 + "… (300 characters)"),
        (None, ""),
        ([], ""),
    ],
)
def test_an_id_tag_is_never_cut_to_another_one(sent: object, id_tag: str) -> None:
    """Rule 13: matched as it is, without blanks around it; beyond 255 characters it is told apart by its length."""
    assert start(idTag=sent).id_tag == id_tag
    assert translate.authorize("CP1", AT, {"idTag": sent}).id_tag == id_tag


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (1000, 1000),
        (1000.5, 1000.5),
        ("1000", "1000"),
        (" 1000,5 ", " 1000,5 "),
        (-1, -1),
        (None, None),
        (2**63, "out of range"),
        (True, "bool"),
        ([1], "list"),
        ({}, "dict"),
        ("1\ud800", "1\\ud800"),
        ("7" * 1000, "7" * 63 + "…"),
    ],
)
def test_a_meter_value_goes_on_as_it_was_sent(sent: object, kept: object) -> None:
    """Rule 3: units and readability are the core's; what it gets can be stored."""
    assert start(meterStart=sent).meter_start == kept
    assert stop(meterStop=sent).meter_stop == kept
    (value,) = readings(meterValue=[{"sampledValue": [{"value": sent}]}]).meter_values
    assert value.sampled_values[0].value == kept


@pytest.mark.parametrize(
    "meter_value",
    [
        [{"timestamp": "t", "sampledValue": [SAMPLE]}],
        {"timestamp": "t", "sampledValue": [SAMPLE]},
        [{"timestamp": "t", "sampledValue": SAMPLE}],
        [7, None, "x", {"timestamp": "t", "sampledValue": [None, 7, SAMPLE, []]}],
    ],
)
def test_objects_for_lists_are_lists_of_one(meter_value: object) -> None:
    """Huawei SCharger sends meterValue as an object; what is no object in a list is skipped (rule 2)."""
    expected = (MeterValue("t", (SampledValue("123", unit="Wh"),)),)

    assert readings(meterValue=meter_value).meter_values == expected
    assert stop(transactionData=meter_value).transaction_data == expected


@pytest.mark.parametrize("nothing", [None, [], {}, "", 7, [[]]])
def test_nothing_is_no_reading(nothing: object) -> None:
    """Vestel EVC04 sends empty lists (rule 2)."""
    assert readings(meterValue=nothing).meter_values in {(), (MeterValue("", ()),)}
    assert readings(meterValue=[{"sampledValue": nothing}]).meter_values[0].sampled_values in {
        (),
        (SampledValue(None),),
    }


def test_every_field_of_a_sample_is_handed_on() -> None:
    """OCPP 1.6 §7.43; labels are text of bounded length, whatever they were."""
    sample = {
        "value": 5.25,
        "measurand": "Power.Active.Import",
        "unit": "kW",
        "context": "Sample.Periodic",
        "phase": "L1",
        "location": "Outlet",
        "format": "Raw",
        "vendor": "more",
    }
    expected = SampledValue(5.25, "Power.Active.Import", "kW", "Sample.Periodic", "L1", "Outlet", "Raw")

    assert readings(meterValue=[{"sampledValue": [sample]}]).meter_values[0].sampled_values == (expected,)
    odd = readings(meterValue=[{"sampledValue": [{"value": 1, "unit": 7, "phase": "x" * 99}]}])
    assert odd.meter_values[0].sampled_values == (SampledValue(1, unit="7", phase="x" * 50),)


def test_a_start_without_anything_is_still_a_command() -> None:
    """Rule 18: it is answered with an id and Invalid."""
    assert start() == cmd.StartTransaction("CP1", AT, 1, "", None, "")


def test_a_stop_without_anything_is_still_a_command() -> None:
    """Rule 20; a missing reason is Local (OCPP-J errata 2.6)."""
    assert stop() == cmd.StopTransaction("CP1", AT, None, None, "", "", "Local", ())
    assert stop(reason="PowerLoss").reason == "PowerLoss"


def test_the_raw_stamp_is_kept() -> None:
    """Rule 9: the core reads it; an epoch number is text too."""
    assert start(timestamp=" 2026-11-20 10:35:00+02 ").timestamp == " 2026-11-20 10:35:00+02 "
    assert start(timestamp=1732097600).timestamp == "1732097600"
    assert len(start(timestamp="9" * 500).timestamp) == 64


def test_a_boot_has_no_length_checks_and_a_serial_from_either_field() -> None:
    """Schneider's serials have 33 characters."""
    boot = translate.boot_notification(
        "CP1",
        AT,
        {"chargePointVendor": "Schneider\n", "chargePointModel": 7, "chargeBoxSerialNumber": "S" * 33, "imsi": ""},
    )

    assert boot == cmd.BootNotification("CP1", AT, "Schneider", "7", "S" * 33, "")


def test_a_status_is_kept_as_it_is() -> None:
    """OCPP 1.6 §4.9: unknown values are shown as they are, cut for display only."""
    status = translate.status_notification(
        "CP1", AT, {"connectorId": 1, "status": "Sleeping", "errorCode": "Error", "vendorErrorCode": "0x0000"}
    )

    assert status == cmd.StatusNotification("CP1", AT, 1, "Sleeping", "Error", "0x0000", "")
    assert len(translate.status_notification("CP1", AT, {"info": "x" * 999}).info) == 255


def test_kept_messages_are_one_line_of_bounded_length() -> None:
    """T16, T26: no newline of theirs in a log or note, at most 500 characters."""
    kept = translate.kept_message("CP1", AT, "DataTransfer", {"vendorId": "V\nX", "data": {"kWh": [1, "\ud800"]}})
    long = translate.kept_message("CP1", AT, "DataTransfer", {"vendorId": "V", "data": "x" * 5000})
    event = translate.kept_message("CP1", AT, "SecurityEventNotification", {"type": "TamperDetectionActivated"})

    assert kept == cmd.RecordMessage(
        "CP1", AT, NoteKind.MESSAGE, "DataTransfer vendorId=V\\nX", "{'kWh': [1, '\\ud800']}"
    )
    assert len(long.said) == 500
    assert event.kind is NoteKind.SECURITY
    assert event.text == "SecurityEventNotification type=TamperDetectionActivated"


def test_time_goes_out_in_utc_with_seconds_and_z() -> None:
    """OCPP 1.6 §3.14; some chargers need the Z (lbb#512)."""
    local = datetime(2026, 11, 20, 13, 35, 0, 999_999, tzinfo=timezone(timedelta(hours=3)))

    assert translate.time_text(local) == "2026-11-20T10:35:00Z"


def test_id_tag_info_leaves_out_what_there_is_not() -> None:
    """OCPP 1.6 §7.27."""
    whole = cmd.IdTagInfo(AuthorizationStatus.ACCEPTED, AT, "ACCOUNT-1")

    assert translate.id_tag_info(cmd.IdTagInfo(AuthorizationStatus.BLOCKED)) == {"status": "Blocked"}
    assert translate.id_tag_info(whole) == {
        "status": "Accepted",
        "expiryDate": "2026-11-20T10:35:00Z",
        "parentIdTag": "ACCOUNT-1",
    }


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("Ş€", "Ş€"),
        ("a\r\n[CONNECT]", "a\\r\\n[CONNECT]"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\ud800", "\\ud800"),
    ],
)
def test_foreign_text_becomes_printable(text: str, shown: str) -> None:
    """T16: no forged log line, nothing that cannot be written as UTF-8."""
    assert printable(text) == shown


VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["value", "sampledValue"]), inner),
    max_leaves=8,
)
KEYS = st.sampled_from(
    [
        *("connectorId", "transactionId", "idTag", "meterStart", "meterStop", "timestamp", "meterValue"),
        *("transactionData", "reason", "status", "info", "errorCode", "chargePointVendor", "chargePointModel"),
        *("vendorId", "data", "csr"),
    ]
)


@given(st.dictionaries(KEYS, VALUE))
@settings(max_examples=500, deadline=None)
def test_no_payload_raises_and_all_text_can_be_stored(payload: dict[str, object]) -> None:
    """Rule 23: whatever is in it, a message that carries energy becomes a command."""
    commands = [
        translate.boot_notification("CP1", AT, payload),
        translate.status_notification("CP1", AT, payload),
        translate.authorize("CP1", AT, payload),
        translate.start_transaction("CP1", AT, payload),
        translate.stop_transaction("CP1", AT, payload),
        translate.meter_values("CP1", AT, payload),
        *(translate.kept_message("CP1", AT, action, payload) for action in ("DataTransfer", "SignCertificate")),
    ]

    for command in commands:
        for name in type(command).__slots__:
            value = getattr(command, name)
            if isinstance(value, str):
                value.encode()
                assert value.isprintable()
            if isinstance(value, int):
                assert -(2**63) <= value < 2**63
    json.dumps([str(command) for command in commands]).encode()
