"""Records to the text in the ledger's columns, and back: JSON for a document, ISO 8601 for a time.

Text from outside may hold lone surrogates (JSON can spell them). A ledger that refused them would end the server each
time the charge point repeats its message, so they are kept: escaped in a document, as bytes in a column.
"""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TypeAlias, TypeVar

import msgspec

Value: TypeAlias = str | int | bytes | None
Row: TypeAlias = tuple[Value, ...]
_T = TypeVar("_T")

_ENCODER = msgspec.json.Encoder()


def encode(record: object) -> str:
    """A record as JSON."""
    try:
        return _ENCODER.encode(record).decode()
    except UnicodeEncodeError:
        return json.dumps(msgspec.to_builtins(record))


def decode(document: str, kind: type[_T]) -> _T:
    """The record of a document. Raises msgspec.DecodeError if it is none of this kind."""
    try:
        return msgspec.json.decode(document, type=kind)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError as error:
        if "\\ud" not in document:
            raise
        try:
            return msgspec.convert(json.loads(document), kind)
        except ValueError:
            raise error from None


def time_text(when: datetime) -> str:
    """A time as ISO 8601 UTC with `Z` (five times as fast as `isoformat`: it is on the way of each reading)."""
    text = _ENCODER.encode(when)[1:-1].decode()
    return text if text.endswith("Z") else time_text(when.astimezone(UTC))


def lower_bound(whole_second: datetime) -> str:
    """What every `time_text` from this second on is not below, and every earlier one is: without the `Z`."""
    return time_text(whole_second)[:-1]


def text_of(value: str | bytes) -> str:
    """Text of a column."""
    return value if isinstance(value, str) else value.decode("utf-8", "surrogatepass")


def with_surrogates_as_bytes(rows: Iterable[Row]) -> list[Row]:
    """Rows that SQLite takes, whatever text they hold; `text_of` gives the text back."""
    return [tuple(_storable(value) for value in row) for row in rows]


def _storable(value: Value) -> Value:
    if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
        return value.encode("utf-8", "surrogatepass")
    return value
