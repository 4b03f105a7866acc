"""Single fields of a payload, read leniently: text for numbers, numbers for text, objects for lists. Never raises.

Everything that comes out is bounded and can be stored: text is printable, numbers fit 64 bits.
"""

import math

from ocpp_server.ocpp16.frames import Payload
from ocpp_server.ocpp16.printable import printable

_LONGEST_ID_TAG = 255
_LONGEST_NUMBER = 64
_LONGEST_LABEL = 50
_LONGEST_STAMP = 64
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1
_HIGHEST_CONNECTOR = 2**31 - 1


def text(value: object, most: int = 255) -> str:
    """Text for people, cut to `most` characters; "" for what is missing or neither text nor number."""
    if isinstance(value, str):
        return printable(value.strip(), most)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(raw_number(value))
    return ""


def id_tag(value: object) -> str:
    """An idTag, never cut to something that could match another one.

    Chargers send up to 22 characters for 20 (Ocular). What is beyond 255 fits no table; its length tells it apart.
    """
    whole = value.strip() if isinstance(value, str) else text(value)
    tag = printable(whole, 2**31) if len(whole) <= _LONGEST_ID_TAG else whole
    return tag if len(tag) <= _LONGEST_ID_TAG else f"{printable(tag[:200], 200)}… ({len(tag)} characters)"


def stamp(value: object) -> str:
    """A raw time stamp; "" where it is missing. What it means is decided in the core."""
    if type(value) is str and len(value) <= _LONGEST_STAMP and value.isprintable():
        return value
    return text(value, _LONGEST_STAMP)


def label(value: object) -> str | None:
    """A unit, measurand, phase, …: None where it is missing."""
    if value is None:
        return None
    if type(value) is str:
        return value if len(value) <= _LONGEST_LABEL else value[:_LONGEST_LABEL]
    return text(value, _LONGEST_LABEL)


def raw_number(value: object) -> object:
    """A meter value as it was sent: text, int or float; the core makes a number of it or finds it unreadable."""
    if type(value) is str:
        return value if len(value) <= _LONGEST_NUMBER and value.isprintable() else printable(value, _LONGEST_NUMBER)
    if type(value) is int:
        return value if _LOWEST <= value <= _HIGHEST else "out of range"
    if value is None or type(value) is float:
        return value
    return type(value).__name__


def whole_number(value: object) -> int | None:
    """An integer of 64 bits from 12, 12.0, "12" or "12.0"; None for everything else, also true and 12.5."""
    number: int | None = None
    if type(value) is int:
        number = value
    elif type(value) is float:
        number = int(value) if math.isfinite(value) and value.is_integer() else None
    elif type(value) is str:
        number = _whole_number_of_text(value.strip())
    return number if number is not None and _LOWEST <= number <= _HIGHEST else None


def connector_id(value: object, otherwise: int) -> int:
    """A connector's number, or `otherwise` where it is missing, negative or no number."""
    number = whole_number(value)
    return number if number is not None and 0 <= number <= _HIGHEST_CONNECTOR else otherwise


def is_true(value: object) -> bool:
    """Whether a flag is set: true, or the text "true"."""
    return value is True or (isinstance(value, str) and value.strip().casefold() == "true")


def objects(value: object) -> list[Payload]:
    """The objects of a list; an object in place of a list counts as its only one (Huawei SCharger)."""
    if type(value) is dict:
        return [value]
    if type(value) is not list:
        return []
    return [item for item in value if type(item) is dict]


def _whole_number_of_text(digits: str) -> int | None:
    if len(digits) > _LONGEST_NUMBER or not digits.isascii() or "_" in digits:
        return None
    head, point, zeros = digits.partition(".")
    if point and zeros.strip("0"):
        return None
    try:
        return int(head)
    except ValueError:
        return None
