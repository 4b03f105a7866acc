"""What stands in the settings of a webhook: the events that it wants, and the secret that they are signed with."""

import binascii
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from ocpp_server.core.events import EventType
from ocpp_server.core.frozen import dataclass

_EXAMPLES: Final = "session.*, quota.reached"
_PREFIX: Final = "whsec_"
_LEAST_BYTES, _MOST_BYTES = 24, 64
"""Of the key (Standard Webhooks 1.0.0)."""
_LONGEST_FILE: Final = 4096


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """One webhook as it is configured. `number`: 1, 2, …"""

    number: int
    url: str = field(repr=False)
    key: bytes = field(repr=False)
    types: tuple[EventType, ...]

    @property
    def name(self) -> str:
        """Its name as a destination."""
        return f"webhook-{self.number}"


def types_of(words: tuple[str, ...]) -> tuple[EventType, ...]:
    """The types that these words stand for: names, families such as session.*, or *. Raises ValueError."""
    found: set[EventType] = set()
    for word in words:
        fitting = [one for one in EventType if fnmatchcase(one.value, word)]
        if not fitting:
            raise ValueError(f'"{word}" is no event: expected names such as {_EXAMPLES}, separated by commas')
        found.update(fitting)
    return tuple(one for one in EventType if one in found)


def key_of(secret: str) -> bytes:
    """The bytes of a secret such as whsec_… Raises ValueError, whose text does not hold the secret."""
    expected = (
        f"expected {_PREFIX} and then {_LEAST_BYTES} to {_MOST_BYTES} random bytes in base64; "
        f'make one with: echo "{_PREFIX}$(openssl rand -base64 32)"'
    )
    if not secret.startswith(_PREFIX):
        raise ValueError(expected)
    try:
        key = b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(expected) from None
    if not _LEAST_BYTES <= len(key) <= _MOST_BYTES:
        raise ValueError(expected)
    return key


def secret_in(value: str, file: Path | None) -> str:
    """What is set, or what is in the file. Raises ValueError, whose text does not hold the secret."""
    if file is None:
        return value.strip()
    if value:
        raise ValueError("is set twice: itself, and as a file; remove one of them")
    try:
        with file.open(encoding="utf-8-sig") as stream:
            return stream.read(_LONGEST_FILE).strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ValueError(f"{file} cannot be read: {reason}") from None


def webhook_of(number: int, url: str, secret: str, file: Path | None, events: tuple[str, ...]) -> WebhookSettings:
    """Raises ValueError for what is wrong with the secret or the events."""
    return WebhookSettings(number, url, key_of(secret_in(secret, file)), types_of(events))


def problems_of(
    names: tuple[str, str, str, str], url: str, secret: str, file: Path | None, events: tuple[str, ...]
) -> Iterator[str]:
    """What is wrong, in a sentence each. `names`: of the settings for URL, secret, file and events."""
    try:
        types_of(events)
    except ValueError as error:
        yield f"{names[3]}: {error}"
    if not url:
        if secret or file is not None:
            yield f"{names[1]} needs {names[0]}: set the address that events go to, too"
        return
    try:
        key_of(secret_in(secret, file))
    except ValueError as error:
        yield f"{names[2] if file is not None else names[1]} {error}"
