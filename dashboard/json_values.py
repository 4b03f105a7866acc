"""Takes values out of JSON that somebody else wrote: the wrong type is None or empty, never an exception or a zero.

Knows no file and no key.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TypeVar

from dashboard.latest_files import UnreadableContentError

T = TypeVar("T")
Json = Mapping[str, object]

LARGEST_NUMBER = 1e12
LARGEST_WHOLE = 2**31


def document_of(content: bytes, shape: type[T]) -> T:
    """Read a JSON document whose outermost value has the expected shape; raises `UnreadableContentError`."""
    try:
        document = json.loads(content)
    except UnicodeDecodeError as error:
        raise UnreadableContentError(f"is not UTF-8 (byte {error.start})") from error
    except json.JSONDecodeError as error:
        raise UnreadableContentError(f"is not JSON (line {error.lineno}: {error.msg})") from error
    if not isinstance(document, shape):
        raise UnreadableContentError(f"holds a {type(document).__name__} where a {shape.__name__} is expected")
    return document


def objects_of(content: bytes) -> Iterator[tuple[str, Json]]:
    """Give the entries of a JSON object of objects; raises `UnreadableContentError` where one is something else."""
    for key, entry in document_of(content, dict).items():
        if not isinstance(entry, dict):
            raise UnreadableContentError(f"{key[:20]!r} is not an object")
        yield key, entry


def object_at(holder: Json, key: str) -> Json:
    """Give the object under a key, else an empty one."""
    found = holder.get(key)
    return found if isinstance(found, dict) else {}


def objects_at(holder: Json, key: str) -> Iterator[Json]:
    """Give the objects of the list under a key; whatever else is in there is left out."""
    found = holder.get(key)
    return (entry for entry in found if isinstance(entry, dict)) if isinstance(found, list) else iter(())


def text_at(holder: Json, key: str) -> str:
    """Give the text or number under a key as text, else an empty text."""
    found = holder.get(key)
    return str(found) if isinstance(found, str | int | float) and not isinstance(found, bool) else ""


def claim_at(holder: Json, key: str) -> bool | None:
    """Give the true or false under a key."""
    found = holder.get(key)
    return found if isinstance(found, bool) else None


def number_at(holder: Json, key: str) -> float | None:
    """Give the number under a key; NaN and nonsense beyond 10¹² are None, never zero."""
    found = holder.get(key)
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    return float(found) if abs(found) < LARGEST_NUMBER else None


def whole_at(holder: Json, key: str) -> int | None:
    """Give the whole number under a key."""
    found = holder.get(key)
    if isinstance(found, bool) or not isinstance(found, int):
        return None
    return found if abs(found) < LARGEST_WHOLE else None


def moment_at(holder: Json, key: str) -> datetime | None:
    """Give the time under a key in UTC; a time without a zone is UTC."""
    try:
        found = datetime.fromisoformat(text_at(holder, key))
        return found.replace(tzinfo=found.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
