"""What in a payload does not fit its OCA schema, in words for people. The schemas are those of the `ocpp` package.

Reading and running a schema takes milliseconds the first time: call it from a thread.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

from ocpp.messages import MessageType, get_validator  # type: ignore[import-untyped]

from ocpp_server.ocpp16.frames import Payload
from ocpp_server.ocpp16.printable import printable

TIMES: Final = frozenset(
    {
        "expiryDate",
        "installDateTime",
        "latestTimestamp",
        "oldestTimestamp",
        "retrieveDate",
        "retrieveDateTime",
        "startSchedule",
        "startTime",
        "stopTime",
        "validFrom",
        "validTo",
    }
)
"""Fields of our calls that are times (`format: date-time`, which a schema alone does not check)."""
PLACES: Final = frozenset({"location", "remoteLocation"})
"""Fields of our calls that are addresses (`format: uri`)."""

_KINDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "array": "a list",
        "boolean": "true or false",
        "integer": "a whole number",
        "null": "nothing",
        "number": "a number",
        "object": "an object",
        "string": "a text",
    }
)
_ORDER: Final = ("additionalProperties", "required")
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1
_LONGEST_SHOWN = 50


@dataclass(frozen=True, slots=True)
class Misfit:
    """One field that does not fit. `text` goes on after the field's name; no text that was sent is in it."""

    field: str
    """`csChargingProfiles.chargingSchedule.duration`, `localAuthorizationList[2].idTag`; blank: the payload itself."""
    text: str
    is_essential: bool
    """A field that has to be there, at the outermost level, is missing or of another kind."""

    def __str__(self) -> str:
        return f"{self.field or 'the payload'} {self.text}"


def misfits_of_call(action: str, payload: Payload) -> list[Misfit]:
    """What keeps this payload from being sent, the outermost first; also times, addresses and huge numbers."""
    try:
        plain = _plain(payload)
    except (TypeError, ValueError, RecursionError):
        return [Misfit("", "is no JSON object", is_essential=True)]
    return [*_misfits(MessageType.Call, action, plain), *_bad_values(plain, "")]


def misfits_of_answer(action: str, payload: Payload) -> list[Misfit]:
    """What a charge point's answer to this call has wrong. Times are not looked at."""
    try:
        return _misfits(MessageType.CallResult, action, _plain(payload))
    except (TypeError, ValueError, RecursionError):
        return [Misfit("", "holds what JSON does not know", is_essential=False)]


def _plain(payload: Payload) -> Any:
    """As it goes over the wire. Decimals, because 21.4 as a float is no multiple of 0.1."""
    return json.loads(json.dumps(payload, allow_nan=False), parse_float=Decimal)


def _misfits(kind: int, action: str, plain: Any) -> list[Misfit]:
    validator = get_validator(kind, action, "1.6", parse_float=Decimal)
    errors = sorted(validator.iter_errors(plain), key=_rank)
    return [misfit for error in errors for misfit in _told(error, validator.schema)]


def _rank(error: Any) -> tuple[int, int]:
    """The outermost first; there, a name that nobody knows before the one that is missing for it."""
    is_name = error.validator in _ORDER
    return len(error.absolute_path), _ORDER.index(error.validator) if is_name else len(_ORDER)


def _told(error: Any, schema: Any) -> Iterator[Misfit]:
    path, wanted, found = list(error.absolute_path), error.validator_value, error.instance
    is_essential = not path or (len(path) == 1 and path[0] in schema.get("required", ()))
    match error.validator:
        case "required":
            for name in wanted:
                if name not in found:
                    yield Misfit(_name([*path, name]), "is missing", is_essential=is_essential)
            return
        case "additionalProperties":
            known = ", ".join(error.schema.get("properties", ())) or "none"
            for name in found.keys() - error.schema.get("properties", {}).keys():
                yield Misfit(_name([*path, name]), f"is no field here: there are {known}", is_essential=False)
            return
        case "enum":
            text, is_essential = f"is none of {', '.join(wanted)}", is_essential and not isinstance(found, str)
        case "type":
            text = f"is {_kind(found)}, expected {_KINDS[wanted]}"
        case "maxLength":
            text, is_essential = f"has {len(found)} characters, at most {wanted} are allowed", False
        case "multipleOf":
            text, is_essential = "has more than one decimal", False
        case "minItems":
            text, is_essential = "is an empty list", False
        case _:
            text, is_essential = "does not fit", False
    yield Misfit(_name(path), text, is_essential=is_essential)


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return _KINDS["boolean"]
    kinds = {str: "string", int: "integer", Decimal: "number", list: "array", dict: "object"}
    return _KINDS[kinds.get(type(value), "null")]


def _name(path: list[str | int]) -> str:
    name = ""
    for step in path:
        shown = f"[{step}]" if isinstance(step, int) else f".{printable(step, _LONGEST_SHOWN)}"
        name += shown
    return name.removeprefix(".")


def _bad_values(value: Any, name: str) -> Iterator[Misfit]:
    """Values that the schemas let pass and a charge point cannot read."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _bad_values(item, f"{name}.{printable(key, _LONGEST_SHOWN)}".removeprefix("."))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _bad_values(item, f"{name}[{number}]")
    elif isinstance(value, int) and not _LOWEST <= value <= _HIGHEST:
        yield Misfit(name, "is a number beyond 64 bits", is_essential=False)
    elif isinstance(value, str):
        yield from _bad_text(value, name)


def _bad_text(value: str, name: str) -> Iterator[Misfit]:
    field = name.rpartition(".")[2]
    if field in TIMES and not _is_time(value):
        text = "is no time with its zone, such as 2026-11-20T10:35:00Z"
        yield Misfit(name, text, is_essential=False)
    elif field in PLACES and not _is_address(value):
        yield Misfit(name, "is no address, such as ftp://192.168.1.10/logs/", is_essential=False)
    elif not _is_unicode(value):
        yield Misfit(name, "holds half a character (a lone surrogate)", is_essential=False)


def _is_time(value: str) -> bool:
    try:
        return "T" in value.upper() and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def _is_address(value: str) -> bool:
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return bool(parts.scheme and (parts.netloc or parts.path.strip("/"))) and value.isprintable() and " " not in value


def _is_unicode(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
