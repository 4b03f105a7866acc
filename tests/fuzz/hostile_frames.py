"""Frames that no charge point should send: mutations of real ones, structures that nearly fit, and the classics."""

import json
import random
from collections.abc import Iterator
from typing import Any

from real_frames import ACTIONS, FRAMES

_CLASSICS: dict[str, bytes | str] = {
    "empty": "",
    "blank": " \r\n\t",
    "no JSON": "hello",
    "a number": "42",
    "null": "null",
    "an object": '{"a":1}',
    "an empty list": "[]",
    "only a type": "[2]",
    "unknown type": '[9,"x","Heartbeat",{}]',
    "type as text": '["2","x","Heartbeat",{}]',
    "type as list": '[[2],"x","Heartbeat",{}]',
    "type NaN": '[NaN,"x","Heartbeat",{}]',
    "no action": '[2,"x"]',
    "action as list": '[2,"x",["Heartbeat"],{}]',
    "action as object": '[2,"x",{"Heartbeat":1},{}]',
    "action as number": '[2,"x",7,{}]',
    "action null": '[2,"x",null,{}]',
    "action with a line feed": '[2,"x","Heart\\nbeat [AUTH] accepted",{}]',
    "action of 70000": json.dumps([2, "x", "A" * 70_000, {}]),
    "action of a lone surrogate": '[2,"x","\\ud800",{}]',
    "dunder": '[2,"x","__class__",{"__proto__":{"a":1}}]',
    "payload as list": '[2,"x","Heartbeat",[]]',
    "payload as text": '[2,"x","StopTransaction","{}"]',
    "payload as number": '[2,"x","StartTransaction",1]',
    "payload missing": '[2,"x","StartTransaction"]',
    "payload null": '[2,"x","StopTransaction",null]',
    "id as number": '[2,17,"Heartbeat",{}]',
    "id as big number": "[2,1" + "0" * 300 + ',"Heartbeat",{}]',
    "id as 1e999": '[2,1e999,"Heartbeat",{}]',
    "id as true": '[2,true,"Heartbeat",{}]',
    "id null": '[2,null,"Heartbeat",{}]',
    "id as list": '[2,["x"],"Heartbeat",{}]',
    "id of 5000": json.dumps([2, "x" * 5000, "Heartbeat", {}]),
    "id of lone surrogates": '[2,"\\ud800\\udfff","Heartbeat",{}]',
    "id of control characters": '[2,"\\u0000\\u001b[2J\\n","Heartbeat",{}]',
    "depth 16": '[2,"x","DataTransfer",' + '{"data":' * 15 + "1" + "}" * 15 + "]",
    "depth 17": '[2,"x","DataTransfer",' + '{"data":' * 16 + "1" + "}" * 16 + "]",
    "depth 100000 open": "[" * 100_000,
    "depth 100000": "[" * 100_000 + "]" * 100_000,
    "depth 100000 of objects": '[2,"x","A",' + '{"a":' * 100_000 + "1" + "}" * 100_000 + "]",
    "depth 100000 in a call": '[2,"x","MeterValues",' + "[" * 100_000 + "]" * 100_000 + "]",
    "brackets in text": json.dumps([2, "x", "DataTransfer", {"vendorId": "[{" * 5000}]),
    "integer of 5000 digits": '[2,"x","MeterValues",{"connectorId":1' + "0" * 5000 + "}]",
    "integer of 4000 digits": '[2,"x","StartTransaction",{"meterStart":1' + "0" * 4000 + "}]",
    "integer of 5000 digits as text": '[2,"x","StopTransaction",{"meterStop":"' + "9" * 5000 + '"}]',
    "integers in lists": '[2,"x","DataTransfer",{"data":[' + ",".join(["9" * 4000] * 20) + "]}]",
    "float of 5000 digits": '[2,"x","MeterValues",{"connectorId":0.' + "1" * 5000 + "}]",
    "exponent": '[2,"x","StartTransaction",{"meterStart":1e400,"connectorId":-1e-400}]',
    "exponent of text": '[2,"x","StartTransaction",{"meterStart":"1e-999999999","idTag":"0e999999999"}]',
    "exponent 0": '[2,"x","StopTransaction",{"meterStop":"0E+999999999"}]',
    "NaN": '[2,"x","MeterValues",{"connectorId":NaN,"meterValue":[{"sampledValue":[{"value":NaN}]}]}]',
    "Infinity": '[2,"x","StartTransaction",{"meterStart":Infinity,"connectorId":-Infinity}]',
    "duplicate keys": '[2,"x","StartTransaction",{"idTag":"FUZZ-TAG-0001","idTag":"FUZZ-TAG-0002","meterStart":1}]',
    "50000 keys": json.dumps([2, "x", "DataTransfer", {f"k{i}": i for i in range(50_000)}]),
    "the same key 50000 times": '[2,"x","DataTransfer",{' + ",".join(['"data":1'] * 50_000) + "}]",
    "20000 samples": json.dumps([2, "x", "MeterValues", {"meterValue": [{"sampledValue": [{"value": "1"}] * 20_000}]}]),
    "20000 meter values": json.dumps([2, "x", "MeterValues", {"connectorId": 1, "meterValue": [{}] * 20_000}]),
    "wrong UTF-8": b'[2,"x","DataTransfer",{"vendorId":"\xff\xfe\xc0\x80"}]',
    "wrong UTF-8 only": b"\xff\xfe\x00\x80",
    "UTF-16": '[2,"x","Heartbeat",{}]'.encode("utf-16"),
    "UTF-16 without BOM": '[2,"x","Heartbeat",{}]'.encode("utf-16-le"),
    "UTF-32": '[2,"x","Heartbeat",{}]'.encode("utf-32"),
    "BOM": '\ufeff[2,"x","Heartbeat",{}]',
    "BOM twice": '\ufeff\ufeff[2,"x","Heartbeat",{}]',
    "NUL": "\x00\x00",
    "NUL in the middle": '[2,"x","Heart\x00beat",{}]',
    "NUL escaped": '[2,"x","Authorize",{"idTag":"FUZZ-TAG-0001\\u0000"}]',
    "lone surrogates": '[2,"x","DataTransfer",{"vendorId":"\\udfff\\ud800","\\udcff":1}]',
    "lone surrogate in a tag": '[2,"x","StartTransaction",{"idTag":"\\ud800","meterStart":1,"connectorId":9}]',
    "tag of 1 MB": json.dumps([2, "x", "Authorize", {"idTag": "T" * 1_000_000}]),
    "tag of 300 KB of NUL": '[2,"x","Authorize",{"idTag":"' + "\\u0000" * 50_000 + '"}]',
    "tag that forges a line": '[2,"x","Authorize",{"idTag":"x\\n2025-01-15 INFO [AUTH] accepted\\u2028\\u202e"}]',
    "year 222222017": '[2,"x","StatusNotification",{"timestamp":"222222017-01-01T00:00:00Z","status":"Available"}]',
    "year 9999": '[2,"x","StartTransaction",{"timestamp":"9999-12-31T23:59:59-23:59","idTag":"FUZZ-TAG-0001"}]',
    "year 1": '[2,"x","StopTransaction",{"timestamp":"0001-01-01T00:00:00+23:59","transactionId":1}]',
    "cut off": '[2,"x","Heartbeat",{',
    "unclosed text": '[2,"x","Heartbeat',
    "trailing garbage": '[2,"x","Heartbeat",{}]]]]',
    "two frames": '[2,"x","Heartbeat",{}][2,"x2","Heartbeat",{}]',
    "comments": '[2,"x","Heartbeat",/* a */{}]',
    "single quotes": "[2,'x','Heartbeat',{}]",
    "backslash at the end": '[2,"x","A",{"a":"\\',
    "half an escape": '[2,"x","A",{"a":"\\u12"}]',
    "1 MB of blanks": " " * 1_000_000,
    "1 MB of x": "x" * 1_000_000,
    "1 MB of quotes": '"' * 1_000_000,
    "1 MB of backslashes": '[2,"x","A",{"a":"' + "\\" * 1_000_001,
    "1 MB of commas": "[2," + "," * 1_000_000,
    "1 MB of text": json.dumps([2, "x", "DataTransfer", {"vendorId": "V", "data": "d" * 1_000_000}]),
    "an answer nobody asked for": '[3,"nobody",{}]',
    "an answer with a list": '[3,"nobody",[1]]',
    "an error nobody asked for": '[4,"nobody",["InternalError"],{"a":1},7]',
    "an error of 1 MB": json.dumps([4, "nobody", "x" * 500_000, "y" * 500_000, {}]),
}

CLASSICS = {name: raw.encode() if isinstance(raw, str) else raw for name, raw in _CLASSICS.items()}
"""By name: the bytes of one WebSocket message."""

_PIECES = [b'"', b"[", b"{", b"}", b"]", b",", b":", b"\\", b"\x00", b"NaN", b"null", b"-", b"1e999", b"\xff", b"\n"]
_PIECES += [b"\\ud800", b"\xef\xbb\xbf", b"9" * 50, b"1970-01-01T00:00:00Z", b"[[[[", b'{"a":', b"\\u0000", b"true"]
KEYS = [
    "chargePointVendor",
    "chargePointModel",
    "chargePointSerialNumber",
    "chargeBoxSerialNumber",
    "firmwareVersion",
    "idTag",
    "connectorId",
    "meterStart",
    "meterStop",
    "timestamp",
    "transactionId",
    "reservationId",
    "reason",
    "transactionData",
    "meterValue",
    "sampledValue",
    "value",
    "context",
    "format",
    "measurand",
    "phase",
    "location",
    "unit",
    "status",
    "errorCode",
    "info",
    "vendorErrorCode",
    "vendorId",
    "messageId",
    "data",
    "type",
    "techInfo",
    "csr",
    "requestId",
    "currentTime",
    "interval",
    "configurationKey",
    "key",
    "readonly",
]
ODD_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, 2, 3, -1, 1000, 1120, 2**31, 2**63, -(2**70), 10**39, 0.5, -0.0, 1e300, 5e-324),
    *(float("nan"), float("inf"), "", " ", "0", "1", "-1", "1000", "1120.5", "1,5", "1_0", "NaN", "0x10", "1e5", "٣"),
    *("FUZZ-TAG-0001", "fuzz-tag-0001 ", "FUZZ-TAG-0002", "Energy.Active.Import.Register", "Power.Active.Import"),
    *("kWh", "Wh", "W", "L1", "Outlet", "Transaction.Begin", "SignedData", "Available", "Charging", "Local", "Remote"),
    *("2025-01-15T10:31:00Z", "2025-01-15T10:29:00.123456789+0300", "1970-01-01T00:00:00Z", "2025-W03-3", "24:00"),
    *("\x00", "\n", "\ud800", "\u202e", "é" * 300, "x" * 3000, [], {}, [[]], [{}], [None], {"value": "1"}, {"": None}),
)


def mutated(rng: random.Random) -> bytes:
    """A real frame with a few bytes replaced, dropped, doubled, swapped or cut, or joined with another one."""
    raw = bytearray(rng.choice(FRAMES))
    for _ in range(rng.choice((1, 1, 2, 3, 6))):
        at = rng.randrange(len(raw) + 1)
        match rng.randrange(8):
            case 0 if raw:
                raw[at % len(raw)] = rng.randrange(256)
            case 1 if raw:
                raw[at % len(raw)] ^= 1 << rng.randrange(8)
            case 2:
                del raw[at : at + rng.randrange(1, 12)]
            case 3:
                raw[at:at] = rng.choice(_PIECES)
            case 4:
                raw[at : at + rng.randrange(6)] = rng.choice(_PIECES)
            case 5:
                raw[at:at] = raw[at : at + rng.randrange(1, 60)]
            case 6:
                digits = [index for index, sign in enumerate(raw) if 48 <= sign <= 57]
                if digits:
                    raw[rng.choice(digits)] = 48 + rng.randrange(10)
            case _:
                other = rng.choice(FRAMES)
                if rng.random() < 0.2:
                    raw[at:] = other[rng.randrange(len(other)) :]
    return bytes(raw)


def structured(rng: random.Random) -> bytes:
    """A frame of the right shape, or nearly so, with fields of OCPP 1.6 in the wrong places and odd values in them."""
    action: Any = rng.choice(ACTIONS) if rng.random() < 0.95 else rng.choice(ODD_VALUES)
    payload: Any = _object(rng, 0) if rng.random() < 0.95 else rng.choice(ODD_VALUES)
    unique_id: Any = f"s{rng.randrange(10**9)}" if rng.random() < 0.9 else rng.choice(ODD_VALUES)
    message = [2 if rng.random() < 0.95 else rng.choice((3, 4, "2", 2.0, *ODD_VALUES)), unique_id, action, payload]
    if rng.random() < 0.05:
        message = message[: rng.randrange(5)] if rng.random() < 0.5 else [*message, rng.choice(ODD_VALUES)]
    return json.dumps(message, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")


def hostile_answer(rng: random.Random) -> bytes:
    """An answer to a call of the server; `@ID@` stands for its message id."""
    listed = [{"key": rng.choice(("MeterValueSampleInterval", "WebSocketPingInterval", *ODD_VALUES))} for _ in range(3)]
    for item in listed:
        item["value"] = rng.choice(ODD_VALUES)
    payload = rng.choice(({"configurationKey": listed}, {"status": rng.choice(ODD_VALUES)}, _object(rng, 0), [], None))
    message = [rng.choice((3, 3, 3, 4, "3")), "@ID@", payload]
    if message[0] == 4:
        message = [4, "@ID@", rng.choice(ODD_VALUES), rng.choice(ODD_VALUES), payload]
    return json.dumps(message).encode()


def hostile_answers(seed: int) -> Iterator[bytes]:
    """Hostile answers without an end."""
    rng = random.Random(seed)
    while True:
        yield hostile_answer(rng)


def _object(rng: random.Random, depth: int) -> dict[str, Any]:
    keys = rng.sample(KEYS, rng.randrange(1, 9))
    return {key: _value(rng, key, depth) for key in keys}


def _value(rng: random.Random, key: str, depth: int) -> Any:
    if depth < 3 and (key in ("meterValue", "sampledValue", "transactionData") or rng.random() < 0.05):
        inner = [_object(rng, depth + 1) for _ in range(rng.randrange(3))]
        return inner if rng.random() < 0.9 else _object(rng, depth + 1)
    return rng.choice(ODD_VALUES)
