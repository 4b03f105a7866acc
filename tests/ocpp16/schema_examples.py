"""Payloads made from the OCA schemas of the `ocpp` package: the smallest one, the fullest one, one for each status."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, TypeAlias

from ocpp.messages import MessageType, get_validator

Json: TypeAlias = Any

_TIME, _PLACE = "2026-11-20T10:35:00Z", "ftp://192.168.1.10/uploads/"
_TEXTS = {"date-time": _TIME, "uri": _PLACE}
_BY_NAME = {"location": _PLACE, "remoteLocation": _PLACE}
"""Addresses, though the schemas of the white paper do not say so."""
_VALUES = {"integer": 1, "number": 0.1, "boolean": True}


def request(action: str, *, is_full: bool) -> Json:
    """A payload that fits the schema of the CALL."""
    schema = get_validator(MessageType.Call, action, "1.6", parse_float=Decimal).schema
    return _example(schema, schema, is_full=is_full)


def answers(action: str) -> Iterator[Json]:
    """Payloads that fit the schema of the CALLRESULT: with each status it knows, alone and with all else there is."""
    schema = get_validator(MessageType.CallResult, action, "1.6", parse_float=Decimal).schema
    statuses = _resolved(schema.get("properties", {}).get("status", {}), schema).get("enum", [None])
    for is_full in (False, True):
        for status in statuses:
            payload = _example(schema, schema, is_full=is_full)
            yield payload if status is None else payload | {"status": status}


def _example(part: Json, root: Json, *, is_full: bool) -> Json:
    part = _resolved(part, root)
    if "enum" in part:
        return part["enum"][0]
    match part.get("type"):
        case "object":
            properties = part.get("properties", {})
            names = properties if is_full else part.get("required", ())
            return {name: _BY_NAME.get(name) or _example(properties[name], root, is_full=is_full) for name in names}
        case "array":
            return [_example(part["items"], root, is_full=is_full)]
        case "string":
            return _TEXTS.get(part.get("format", ""), "x")
        case kind:
            return _VALUES[kind]


def _resolved(part: Json, root: Json) -> Json:
    return root["definitions"][part["$ref"].rpartition("/")[2]] if "$ref" in part else part
