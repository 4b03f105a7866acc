"""How a delivery stands, in the words of server_status.json and of the API (docs/files.md)."""

from datetime import datetime
from typing import Any

from ocpp_server.delivery.standing import DeliveryStatus
from ocpp_server.storage.documents import stamp


def delivery_document(status: DeliveryStatus) -> dict[str, Any]:
    """One destination. No address and no key: both may be secret."""
    return {
        "name": status.name,
        "outbox": status.outbox,
        "state": status.state,
        "reason": status.pause or None,
        "backlog": status.backlog,
        "delivered": status.delivered,
        "failures": status.failures,
        "set_aside": status.set_aside,
        "lost": status.loss.lost,
        "lost_since": _stamp(status.loss.since),
        "lost_at": _stamp(status.loss.at),
        "last_error": status.last_error or None,
        "last_error_at": _stamp(status.last_error_at),
        "last_delivered_at": _stamp(status.last_delivered_at),
    }


def _stamp(when: datetime | None) -> str | None:
    return None if when is None else stamp(when)
