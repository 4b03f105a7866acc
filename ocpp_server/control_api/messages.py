"""The OCPP messages of a charge point: what was said, when, and how long the answer took."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Protocol

import msgspec

from ocpp_server.central_system import CentralSystem
from ocpp_server.control_api.charge_point_routes import PATH
from ocpp_server.control_api.problems import Problem
from ocpp_server.control_api.routing import Answer, Page, Request, Route
from ocpp_server.storage.message_files import StoredMessage

_LOOK_BACK: Final = 200
"""So many messages before a page are searched for the calls that it answers."""
_KINDS: Final = {"2": "call", "3": "result", "4": "error"}
_HEAD: Final = msgspec.json.Decoder(list[msgspec.Raw])
_UNTYPED: Final = msgspec.json.Decoder()


class KeptMessages(Protocol):
    """Where the messages are."""

    dropped: int
    is_on: bool

    def page(self, charge_point_id: str, before: int | None, count: int) -> list[StoredMessage]:
        """Newest first. Blocks. Raises OSError."""


class OcppMessage(msgspec.Struct, kw_only=True):
    """One message, without secrets. `payload` is null where there is none: `excerpt` shows how it began then."""

    number: int
    at: datetime
    direction: str
    """received (from the charge point) or sent."""
    kind: str
    """call, result, error or unreadable."""
    action: str
    """Of an answer: that of its call, blank if that is gone."""
    message_id: str
    payload: Any
    error_code: str
    error_description: str
    latency_ms: float | None
    """Of an answer: since its call."""
    size: int
    """Bytes."""
    excerpt: str
    reason: str
    """Why there is no payload."""


class OcppMessageList(msgspec.Struct, kw_only=True):
    """Newest first. `dropped`: missing since the start, of all charge points. `is_recording`: EVQUOTA_MESSAGE_LOG."""

    messages: list[OcppMessage]
    next: int | None
    dropped: int
    is_recording: bool


class Messages:
    """The routes of this resource."""

    def __init__(self, central: CentralSystem, kept: KeptMessages) -> None:
        self._central = central
        self._kept = kept

    def routes(self) -> list[Route]:
        """For `ControlApi`."""
        return [
            Route(
                "GET",
                f"{PATH}/{{id}}/messages",
                self.list_messages,
                "charge points",
                "The last OCPP messages of a charge point",
                query=Page,
                gives=OcppMessageList,
                role="administrator",
            )
        ]

    async def list_messages(self, request: Request) -> Answer:
        """404: no such charge point. 503: the files cannot be read."""
        charge_point_id, query = request.path["id"], request.query
        if charge_point_id not in self._central.site.charge_points:
            raise Problem(404, "there is no such charge point")
        count = query.limit + _LOOK_BACK
        try:
            found = await asyncio.to_thread(self._kept.page, charge_point_id, query.before, count)
        except OSError as error:
            raise Problem(503, f"the messages cannot be read: {error.strerror}") from error
        return Answer(
            OcppMessageList(
                messages=told(found)[: query.limit],
                next=found[query.limit - 1].number if len(found) > query.limit else None,
                dropped=self._kept.dropped,
                is_recording=self._kept.is_on,
            )
        )


def told(stored: Sequence[StoredMessage]) -> list[OcppMessage]:
    """Messages, newest first, each answer with its call's action and the time it took."""
    calls: dict[tuple[str, str], tuple[str, float]] = {}
    messages = []
    for one in reversed(stored):
        message = _message(one)
        if message.kind == "call":
            calls[one.direction, message.message_id] = (message.action, one.seconds)
        elif message.kind in ("result", "error"):
            asked_by = "sent" if one.direction == "received" else "received"
            message.action, asked_at = calls.get((asked_by, message.message_id), ("", None))
            if asked_at is not None and one.seconds >= asked_at:
                message.latency_ms = round(1000 * (one.seconds - asked_at), 3)
        messages.append(message)
    return messages[::-1]


def _message(stored: StoredMessage) -> OcppMessage:
    message = OcppMessage(
        number=stored.number,
        at=stored.at,
        direction=stored.direction,
        kind="unreadable",
        action="",
        message_id="",
        payload=None,
        error_code="",
        error_description="",
        latency_ms=None,
        size=stored.size,
        excerpt=stored.excerpt,
        reason=stored.reason,
    )
    try:
        head = _HEAD.decode(stored.frame)
        message.kind = _KINDS[_text(head[0])]
        message.message_id = _text(head[1])
        match message.kind:
            case "call":
                message.action = _text(head[2])
                message.payload = head[3] if len(head) > 3 else {}
            case "result":
                message.payload = head[2]
            case _:
                message.error_code, message.error_description = _text(head[2]), _text(head[3])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, LookupError):
        message.reason = message.reason or "no frame"
    return message


def _text(raw: msgspec.Raw) -> str:
    value = _UNTYPED.decode(raw)
    return value if isinstance(value, str) else str(value)
