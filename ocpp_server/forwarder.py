"""The destination of readings: an HTTP API that gets each as the object of the meter log (docs/forwarding.md)."""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from ocpp_server.delivery.destination import Failed, Outcome, Unauthorized
from ocpp_server.delivery.http_post import TIMEOUT_S, HttpPost
from ocpp_server.delivery.outbox import Item
from ocpp_server.storage.documents import packed
from ocpp_server.web_address import is_header_value

_LONGEST_KEY: Final = 4096


class Forwarder:
    """Posts readings one by one, or as arrays. The key is read from its file when it is needed, and after a 401."""

    name = "forwarder"

    def __init__(
        self,
        url: str,
        now: Callable[[], datetime],
        *,
        key: str = "",
        key_file: Path | None = None,
        header: str = "Authorization",
        scheme: str = "Bearer",
        is_batch: bool = False,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """`now`: the time in UTC, for a Retry-After that is a date. Without key and file no such header is
        sent. `is_batch`: the body is an array, also of one reading.
        """
        self._post = HttpPost(url, now, timeout_s=timeout_s)
        self._key_file = key_file
        self._key: str | None = key if key_file is None else None
        self._header = header
        self._scheme = scheme
        self._is_batch = is_batch

    async def send(self, items: Sequence[Item]) -> Outcome:
        """One POST."""
        try:
            authorization = await self._authorization()
        except (OSError, ValueError) as error:
            return Failed(f"the file of the API key cannot be used ({type(error).__name__})")
        bodies = [item.body for item in items]
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": items[0].key if not self._is_batch else batch_key([item.key for item in items]),
        }
        outcome = await self._post.post(packed(bodies if self._is_batch else bodies[0]), headers | authorization)
        if isinstance(outcome, Unauthorized) and self._key_file is not None:
            self._key = None
        return outcome

    async def close(self) -> None:
        """Close the connections."""
        await self._post.close()

    async def _authorization(self) -> dict[str, str]:
        """Raises OSError, ValueError."""
        if self._key is None:
            assert self._key_file is not None
            self._key = await asyncio.to_thread(_key_of, self._key_file)
        return {self._header: f"{self._scheme} {self._key}".strip()} if self._key else {}


def batch_key(keys: Sequence[str]) -> str:
    """The Idempotency-Key of an array: the same readings in the same order have the same."""
    return hashlib.sha256("\n".join(keys).encode()).hexdigest()[:32]


def _key_of(file: Path) -> str:
    """The first line. Raises OSError, ValueError."""
    with file.open(encoding="utf-8") as stream:
        key = stream.readline(_LONGEST_KEY + 2).strip()
    if not key or not is_header_value(key):
        raise ValueError
    return key
