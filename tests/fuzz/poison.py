"""Two hundred values that no field was made for, as JSON text, and the fourteen messages with every field of theirs."""

import json
from typing import Any, Final, TypeAlias

Path: TypeAlias = tuple[str | int, ...]

MISSING: Final = "missing"
"""The field is left out."""
UNTOUCHED: Final = "untouched"
"""As a path: no field is poisoned."""
_HOLE = "@POISON@"

_NUMBERS = (
    *("0", "-0", "-0.0", "1", "-1", "2", "3", "7", "-16", "12.5", "1e3", "1E+3", "1e-3", "0.0000001", "65535", "65536"),
    *("2147483647", "2147483648", "-2147483648", "4294967295", "4294967296", "9007199254740993"),
    *("9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809"),
    *("18446744073709551615", "18446744073709551616", "1e12", "1e15", "1e21", "1e308", "1e309", "-1e309", "5e-324"),
    *("1e-400", "1e999999999", "-1e-999999999", "1" + "0" * 38, "1" + "0" * 400, "1" + "0" * 4000, "9" * 5000),
    *("-" + "9" * 5000, "0." + "3" * 5000, "NaN", "-NaN", "Infinity", "-Infinity", "true", "false", "null"),
)
_NUMBERS_AS_TEXT = (
    *("0", "-1", "+1", "007", " 1 ", "1.", ".5", "1,5", "1.234,5", "1,234.5", "1_000", "0x1F", "0b1", "1e3", "1e400"),
    *("1e-999999999", "0e999999999", "9" * 40, "9" * 41, "9" * 5000, "NaN", "nan", "sNaN123", "inf", "-Infinity"),
    *("1/2", "1 000", "1\u00a0000", "１２", "٣", "½", "²", "Ⅻ", "1kWh", "--1", "1-", "1e", "e1", "True", "None"),
)
_STAMPS = (
    *("222222017-01-01T00:00:00Z", "1000000", "0000-00-00T00:00:00Z", "0001-01-01T00:00:00Z", "-001-01-01T00:00:00Z"),
    *("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59.999999-23:59", "10000-01-01T00:00:00Z"),
    *("1970-01-01T00:00:00Z", "2000-02-30T00:00:00Z", "2038-01-19T03:14:08Z", "2106-02-07T06:28:16Z"),
    *(
        "2025-01-15T24:00:00Z",
        "2025-01-15T23:59:60Z",
        "2025-01-15T10:30:00+25:00",
        "2025-01-15T10:30:00+00:00:00.000001",
    ),
    *("2025-13-01T00:00:00Z", "2025-01-15", "2025-W03-3", "2025-015", "10:30:00", "15/01/2025 10:30", "now", "Z", "T"),
    *("2025-01-15T10:30:00.000000000000Z", "2025-01-15t10:30:00z", "20250115T103000Z", "2025-01-15T10:30:00 GMT"),
    *("Wed, 15 Jan 2025 10:30:00 GMT", "٢٠٢٥-٠١-١٥T١٠:٣٠:٠٠Z", "2025-01-15T10:30:00Z" * 20, "P1D", "1736937000"),
)
_WORDS = (
    *("Accepted", "available", "AVAILABLE", "Charging", "Faulted", "SuspendedEV", "Sleeping", "Local", "DeAuthorized"),
    *("Transaction.Begin", "Transaction.End", "Sample.Clock", "Raw", "SignedData", "Inlet", "Outlet", "Body", "L1"),
    *("L1-N", "L4", "N", "Energy.Active.Import.Register", "Energy.Active.Import.Interval", "Power.Active.Import"),
    *("energy.active.export.register", "SoC", "Wh", "kWh", "MWh", "mWh", "varh", "W", "kW", "%", "Celsius"),
)
_TEXTS = (
    *("", " ", "\t", "\x00", "a\x00b", "\n", "x\r\n2025-01-15 INFO [AUTH] accepted", "\x1b[2J", "\x7f", "\x85"),
    *("\u2028", "\u202e", "\ufeff", "\ufffd", "\U0001f50c", "e\u0301" * 50, "\u0130\u0131ß", "\ud800", "\udfff\ud800"),
    *("a" * 20, "a" * 21, "a" * 255, "a" * 256, "a" * 3000, "\u0000" * 1000, "é" * 2000, "=1+1", "@SUM(A1)", "-1+1"),
    *("+1", "<script>alert(1)</script>", "[x](javascript:alert(1))", "$x$", "'; DROP TABLE transactions;--", "../../x"),
    *(
        "%s%n%x",
        "{0}{a}",
        "${jndi:ldap://x}",
        "null",
        "undefined",
        "[]",
        "{}",
        '"',
        "\\",
        "\\u0000",
        "COM1",
        "__proto__",
    ),
)
_SHAPES = (
    *("[]", "{}", "[null]", "[[]]", "[{}]", "[1,2,3]", '["a"]', '{"a":1}', '{"":""}', '{"a":1,"a":2}', '{"\\ud800":1}'),
    *('{"value":"1"}', '[{"value":"1"}]', '[{"value":{}}]', '[{"timestamp":[],"sampledValue":{}}]', "[[[[[]]]]]"),
    *(
        '{"__class__":{"__init__":{}}}',
        "[" + "0," * 500 + "0]",
        "[" + "{}," * 500 + "{}]",
        '{"a":{"b":{"c":{"d":{}}}}}',
    ),
)
_TOO_DEEP = ("[" * 20 + "]" * 20, '{"a":' * 17 + "0" + "}" * 17, "[" * 5000 + "]" * 5000)

POISON: dict[str, str] = {
    **{f"number {text[:24]}": text for text in _NUMBERS},
    **{f"text {text[:24]!a} of {len(text)}": json.dumps(text) for text in (*_NUMBERS_AS_TEXT, *_STAMPS)},
    **{f"text {text[:24]!a} of {len(text)}": json.dumps(text) for text in (*_WORDS, *_TEXTS)},
    **{f"shape {text[:24]} of {len(text)}": text for text in _SHAPES},
    **{f"depth {text[:8]} of {len(text)}": text for text in _TOO_DEEP},
    MISSING: "",
}
"""By name: what stands in the place of the field's value."""
TOO_DEEP = {name for name, text in POISON.items() if text in _TOO_DEEP}
"""What makes the whole message one that cannot be understood (T9)."""

_SAMPLE = {
    "value": "@READING@",
    "context": "Sample.Periodic",
    "format": "Raw",
    "measurand": "Energy.Active.Import.Register",
    "phase": None,
    "location": "Outlet",
    "unit": "Wh",
}
_READINGS = [{"timestamp": "@NOW@", "sampledValue": [_SAMPLE]}]
MESSAGES: dict[str, dict[str, Any]] = {
    "Authorize": {"idTag": "@TAG@"},
    "BootNotification": {
        "chargePointVendor": "Generic",
        "chargePointModel": "AC-22",
        "chargePointSerialNumber": "1",
        "chargeBoxSerialNumber": "2",
        "firmwareVersion": "3",
        "iccid": "4",
        "imsi": "5",
        "meterType": "6",
        "meterSerialNumber": "7",
    },
    "DataTransfer": {"vendorId": "com.example", "messageId": "Info", "data": "x"},
    "DiagnosticsStatusNotification": {"status": "Idle"},
    "FirmwareStatusNotification": {"status": "Idle"},
    "Heartbeat": {"extra": 1},
    "LogStatusNotification": {"status": "Idle", "requestId": 1},
    "MeterValues": {"connectorId": 1, "transactionId": "@ID@", "meterValue": _READINGS},
    "SecurityEventNotification": {"type": "FirmwareUpdated", "timestamp": "@NOW@", "techInfo": "x"},
    "SignCertificate": {"csr": "x"},
    "SignedFirmwareStatusNotification": {"status": "Idle", "requestId": 1},
    "StartTransaction": {
        "connectorId": 1,
        "idTag": "@TAG@",
        "meterStart": "@REGISTER@",
        "timestamp": "@NOW@",
        "reservationId": 1,
    },
    "StatusNotification": {
        "connectorId": 1,
        "errorCode": "NoError",
        "status": "Available",
        "timestamp": "@NOW@",
        "info": "x",
        "vendorId": "x",
        "vendorErrorCode": "x",
    },
    "StopTransaction": {
        "transactionId": "@ID@",
        "idTag": "@TAG@",
        "meterStop": "@REGISTER@",
        "timestamp": "@NOW@",
        "reason": "Local",
        "transactionData": _READINGS,
    },
}
"""Payloads in order. @TAG@, @REGISTER@, @READING@, @NOW@ and @ID@ are filled in by the test."""


def fields_of(action: str) -> list[Path]:
    """The path to every field of a message, also to those that hold others."""
    return [path for path in _paths(MESSAGES[action], ()) if path]


def poisoned(action: str, path: Path, poison: str, filling: dict[str, Any]) -> bytes:
    """The payload with this poison (by name) in the place of one field."""
    text = json.dumps(_with(MESSAGES[action], path, poison))
    for hole, value in filling.items():
        text = text.replace(f'"{hole}"', json.dumps(value))
    return text.replace(f'"{_HOLE}"', POISON[poison]).encode("utf-8", "surrogatepass")


def _paths(value: Any, here: Path) -> list[Path]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [here, *(path for key, one in inner for path in _paths(one, (*here, key)))]


def _with(value: Any, path: Path, poison: str) -> Any:
    """A copy in which the field at this path is a hole, or missing."""
    if not path:
        return _HOLE
    key, *rest = path
    if key == UNTOUCHED:
        return value
    copy = dict(value) if isinstance(value, dict) else list(value)
    if not rest and poison == MISSING:
        del copy[key]
    else:
        copy[key] = _with(value[key], tuple(rest), poison)
    return copy
