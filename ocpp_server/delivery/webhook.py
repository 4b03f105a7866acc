"""Events by webhook: one POST each, signed as Standard Webhooks has it: receivers find libraries (docs/webhooks.md).

The id is that of the event however often it is sent; the timestamp is that of the try, so that an old one that somebody
recorded is refused.
"""

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Final

from ocpp_server.core.events import EventType
from ocpp_server.delivery.destination import Accepted, Outcome, Skipped
from ocpp_server.delivery.http_post import TIMEOUT_S, HttpPost
from ocpp_server.delivery.outbox import Item
from ocpp_server.storage.documents import packed

_CONTENT_TYPE: Final = "application/json"


class Webhook:
    """A `Destination` for events. `key`: what the secret stands for; `types`: the others are passed over."""

    def __init__(
        self,
        name: str,
        url: str,
        key: bytes,
        types: Collection[EventType],
        now: Callable[[], datetime],
        *,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """`now`: the machine's time in UTC, whatever the site's clock says: the receiver compares it with its own."""
        self._name = name
        self._key = key
        self._types = frozenset(one.value for one in types)
        self._now = now
        self._http = HttpPost(url, now, timeout_s=timeout_s)

    @property
    def name(self) -> str:
        """See `Destination`."""
        return self._name

    async def send(self, items: Sequence[Item]) -> Outcome:
        """One after the other. If one fails, all are sent again: the receiver knows those it has by their id."""
        wanted = [item for item in items if item.body["type"] in self._types]
        for item in wanted:
            outcome = await self._post(item)
            if not isinstance(outcome, Accepted):
                return outcome
        return Accepted() if wanted else Skipped()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def _post(self, item: Item) -> Outcome:
        body = packed(item.body)
        timestamp = str(int(self._now().timestamp()))
        headers = {
            "Content-Type": _CONTENT_TYPE,
            "Idempotency-Key": item.key,
            "webhook-id": item.key,
            "webhook-timestamp": timestamp,
            "webhook-signature": signature(self._key, item.key, timestamp, body),
        }
        return await self._http.post(body, headers)


def signature(key: bytes, message_id: str, timestamp: str, body: bytes) -> str:
    """HMAC-SHA256 over `id.timestamp.body` (Standard Webhooks 1.0.0, symmetric scheme `v1`)."""
    signed = b".".join((message_id.encode(), timestamp.encode(), body))
    return "v1," + b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
