"""The tolerant front door: the bytes of one WebSocket message to a frame of OCPP-J §4.2 and back. Never raises.

What the fields of a payload mean is `translate`'s business. Decoding is untyped and fast; only what that refuses is
read again with patience (BOM, NUL, wrong UTF-8, NaN, a missing value, a stray comma: AEFA, Beny, Grizzl-E, Wallbe).
"""

import json
import re
from dataclasses import dataclass, field
from typing import TypeAlias

import msgspec

from ocpp_server.ocpp16.printable import printable

Payload: TypeAlias = dict[str, object]

MAX_DEPTH = 16
"""Levels of nesting. The deepest message of OCPP 1.6 has nine."""
_LONGEST_UNIQUE_ID = 255
_LONGEST_INTEGER = 40
_LONGEST_ERROR_TEXT = 255
_LONGEST_COUNTED = 16 * 1024
"""Bytes of a message whose keys are counted: that takes a microsecond for a usual one."""

_DECODER = msgspec.json.Decoder()
_ENCODER = msgspec.json.Encoder()

_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_TO_SQUARE = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_CALL_HEAD = re.compile(
    rb'[\s,\x00\xef\xbb\xbf]*\[\s*"?2"?\s*,\s*(?:"([^"\\\x00-\x1f]{0,255})"|(-?[0-9]{1,40}))\s*(?:[,\]]|$)'
)
_FAULT = re.compile(
    r'(?P<string>"[^"\\]*(?:\\.[^"\\]*)*"?)|(?P<missing>:)(?=\s*[,}\]])|(?P<open>[\[{])\s*,|,(?=\s*[}\]])'
    r"|(?P<nan>[+-]?\b(?:nan|inf|infinity)\b)",
    re.DOTALL | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Call:
    """A request (OCPP-J §4.2.1)."""

    unique_id: str
    action: str
    payload: Payload
    has_duplicate_keys: bool = False
    """An object of it names a key twice; the last one is in the payload."""


@dataclass(frozen=True, slots=True)
class CallResult:
    """The answer to a request (OCPP-J §4.2.2)."""

    unique_id: str
    payload: Payload
    is_object: bool = True
    """The payload was an object, or left out; else it is none that anybody can read, and blank here."""


@dataclass(frozen=True, slots=True)
class CallError:
    """The refusal of a request (OCPP-J §4.2.3)."""

    unique_id: str
    code: str
    description: str
    details: Payload = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """No frame. With a `unique_id` it was meant as a CALL, and `code` is the CALLERROR that it gets."""

    unique_id: str | None
    reason: str
    code: str = "FormationViolation"


Frame: TypeAlias = Call | CallResult | CallError | Unreadable


def decode(raw: bytes | str) -> Frame:
    """The frame in one WebSocket message. Duplicate keys: the last one wins; NaN and Infinity become NaN."""
    data = raw.encode("utf-8", "replace") if isinstance(raw, str) else raw
    if _is_shallow(data):
        try:
            return _shape(_DECODER.decode(data), data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass  # read it again with patience
    try:
        return _shape(_read_leniently(data), data)
    except ValueError as error:
        reason = f"not JSON: {error.msg}" if isinstance(error, json.JSONDecodeError) else str(error)
        return Unreadable(_id_of_call(data), reason)


def encode_call(unique_id: str, action: str, payload: Payload) -> bytes:
    """A CALL as UTF-8, for a text frame (OCPP-J §4.1.2)."""
    return _encode([2, unique_id, action, payload])


def encode_result(unique_id: str, payload: Payload) -> bytes:
    """A CALLRESULT as UTF-8, for a text frame."""
    return _encode([3, unique_id, payload])


def encode_error(unique_id: str, code: str, description: str, details: Payload | None = None) -> bytes:
    """A CALLERROR as UTF-8, for a text frame; always five elements."""
    return _encode([4, unique_id, code, printable(description, _LONGEST_ERROR_TEXT), details or {}])


def _encode(message: list[object]) -> bytes:
    try:
        return _ENCODER.encode(message)
    except UnicodeEncodeError:  # a message id with a lone surrogate is echoed as it came: escaped
        return json.dumps(message, separators=(",", ":")).encode("ascii")


def _is_shallow(data: bytes) -> bool:
    """Whether brackets outside strings nest at most MAX_DEPTH deep. Each pass peels off the innermost level."""
    if data.count(b"[") + data.count(b"{") <= MAX_DEPTH:
        return True
    brackets = _STRING.sub(b"", data).translate(_TO_SQUARE, _NO_BRACKETS)
    for _ in range(MAX_DEPTH):
        brackets = brackets.replace(b"[]", b"")
    return not brackets


def _read_leniently(data: bytes) -> object:
    """JSON with the mistakes that chargers make. Raises ValueError for what is still none, or nested too deep."""
    text = data.decode("utf-8", "replace").replace("\x00", "").lstrip("\ufeff, \t\r\n")
    if not _is_shallow(text.encode()):
        message = f"nested deeper than {MAX_DEPTH} levels, or cut off"
        raise ValueError(message)
    try:
        return _LENIENT.decode(text)
    except ValueError:
        return _LENIENT.decode(_FAULT.sub(_mend, text))


def _mend(fault: re.Match[str]) -> str:
    """`"transactionId":,` (AEFA Home) is null; a comma that leads or trails is dropped (Beny); C prints `-nan`."""
    if fault["string"] is not None:
        return fault["string"]
    if fault["missing"] is not None:
        return ":null"
    if fault["nan"] is not None:
        return "NaN"
    return fault["open"] or ""


def _integer(digits: str) -> int | str:
    """Python refuses integers above 4300 digits; one above 40 stays text, which is no number to anybody."""
    return int(digits) if len(digits) <= _LONGEST_INTEGER else digits[: _LONGEST_INTEGER + 1]


def _not_a_number(_: str) -> float:
    return float("nan")


_LENIENT = json.JSONDecoder(strict=False, parse_int=_integer, parse_constant=_not_a_number)


def _id_of_call(data: bytes) -> str | None:
    """The message id at the begin of something that is no JSON, if it looks like a CALL; else nobody to answer."""
    head = _CALL_HEAD.match(data)
    if head is None:
        return None
    try:
        return (head[1] if head[1] is not None else head[2]).decode()
    except UnicodeDecodeError:
        return None


def _shape(message: object, data: bytes) -> Frame:
    if not isinstance(message, list) or not message:
        return Unreadable(None, "no list")
    kind: object = message[0]
    unique_id = _unique_id(message[1]) if len(message) > 1 else None
    if unique_id is None:
        return Unreadable(None, "no message id")
    if kind in (2, "2"):
        return _call(unique_id, message, data)
    if kind in (3, "3"):
        payload = message[2] if len(message) > 2 else None
        if isinstance(payload, dict):
            return CallResult(unique_id, payload)
        return CallResult(unique_id, {}, is_object=payload is None)
    if kind in (4, "4"):
        texts = [_error_text(part) for part in message[2:4]] + ["", ""]
        details = message[4] if len(message) > 4 else None
        known = details if isinstance(details, dict) else {}
        return CallError(unique_id, texts[0] or "GenericError", texts[1], known)
    return Unreadable(None, "message type is not 2, 3 or 4")  # to be ignored (OCPP-J §4.1.3)


def _error_text(part: object) -> str:
    """null is no text; what else is none is shown as JSON."""
    text = part if isinstance(part, str) else "" if part is None else json.dumps(part)
    return printable(text, _LONGEST_ERROR_TEXT)


def _call(unique_id: str, message: list[object], data: bytes) -> Frame:
    if len(message) < 3:
        return Unreadable(unique_id, "no action", "ProtocolError")
    action = message[2]
    if not isinstance(action, str):
        return Unreadable(unique_id, "action is no text")
    payload = message[3] if len(message) > 3 else None
    if payload is None:  # null is a legal notation for an empty payload (OCPP-J §4.2.1)
        payload = {}
    if not isinstance(payload, dict):
        return Unreadable(unique_id, "payload is no object")
    return Call(unique_id, action, payload, _has_duplicate_keys(message, data))


def _has_duplicate_keys(message: list[object], data: bytes) -> bool:
    """Whether the text has more keys than what was read of it; the decoder itself keeps silent about them.

    A key ends with `":`. So does a text that begins with a colon, but that is written again as it was. Where blanks
    stand before the colon nothing is noticed.
    """
    if len(data) > _LONGEST_COUNTED:
        return False
    try:
        return data.count(b'":') > _ENCODER.encode(message).count(b'":')
    except (UnicodeEncodeError, OverflowError):  # lone surrogates, integers of more than 64 bits
        return False


def _unique_id(value: object) -> str | None:
    """The message id as text. A longer one than the 36 characters of OCPP-J §4.1.4 is echoed too, up to 255."""
    if isinstance(value, str):
        return value if len(value) <= _LONGEST_UNIQUE_ID else None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value) if not isinstance(value, int) or value.bit_length() <= 128 else None
    return None
