"""An operator and one strict charge point: what was asked over HTTP, and what stands about it in the books."""

import asyncio
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote

from operator_of_site import Operator
from running_site import RunningSite, SiteFactory
from strict_charge_point import Reply, StrictChargePoint

sys.path.append(str(Path(__file__).resolve().parents[1] / "ocpp16"))

from schema_examples import request

Json: TypeAlias = dict[str, Any]
Told: TypeAlias = tuple[int, Any]
"""HTTP status and JSON of an answer."""
NAME = "CP/1"
"""With a slash, as EVlink Pro AC has it."""
PATIENCE_S = 5.0
_PAGE = 500
_ITS_OWN = ("BootNotification", "Heartbeat")
"""What the charge point says without being asked."""


def answered(action: str, payload: Json, *, fault: str = "") -> Told:
    """What a charge point answered, to the letter."""
    return _outcome(action, payload.get("status", "answered"), payload, fault=fault)


def refused(action: str, code: str, description: str, details: Json | None = None) -> Told:
    """Its CALLERROR."""
    error = {"error_code": code, "error_description": description, "error_details": details or {}}
    return _outcome(action, "CALLERROR", {}, **error)


def _outcome(action: str, status: str, payload: Json, **more: Any) -> Told:
    usual = {"charge_point": NAME, "action": action, "status": status, "payload": payload}
    return 200, usual | {"fault": "", "error_code": "", "error_description": "", "error_details": {}} | more


def problem(status: int, detail: str) -> Told:
    """A problem document (RFC 9457)."""
    return status, {"title": HTTPStatus(status).phrase, "status": status, "detail": f"{NAME} {detail}"}


OFFLINE = problem(409, "is not connected: nothing was sent")


def unanswered(action: str) -> Told:
    """It was sent, and that is all that is known."""
    return problem(504, f"did not answer: nobody knows whether it did what {action} asks for")


class OperatorsDesk:
    """Has calls made, and keeps what must stand about them in the audit and in the message log: `close_books` looks."""

    def __init__(self, site: RunningSite) -> None:
        self.site = site
        self.operator = Operator(site)
        self.charge_point: StrictChargePoint
        self._deeds: list[tuple[str, str]] = []
        self._messages: list[tuple[Any, ...]] = []

    async def plug(self, replies: Mapping[str, Reply] | None = None) -> None:
        """The charge point comes, or comes again, and boots. `replies`: by action."""
        self.charge_point = StrictChargePoint(NAME, self.site.url, self.site.clock)
        self.charge_point.replies.update(replies or {})
        await self.charge_point.connect()
        await self.charge_point.boot()

    async def unplug(self) -> None:
        """It goes, or has gone, and the server knows; until then all calls were as they have to be."""
        await self.charge_point.close()
        await self.site.until(lambda: not self.site.server.gateway.is_connected(NAME))
        assert self.charge_point.faults == []

    async def post(self, what: str, body: Json | None, action: str, payload: Json, reply: Reply, result: str) -> Told:
        """Ask at the end `what` of the path: the charge point gets this call once, and replies. `result`: for the
        audit. The clock is turned only where nobody answers.
        """
        self.charge_point.reply = reply
        before = len(self.charge_point.asked)
        asking = asyncio.ensure_future(self.operator.post(NAME, what, body))
        told = await (self.operator.patiently(asking) if result == "no answer" and reply else asking)
        assert self.charge_point.asked[before:] == [(action, payload)], (what, told)
        self._deeds.append((action, result))
        self._messages.append(("sent", "call", action, payload, "", "", ""))
        if reply is not None:
            self._messages += _kept(reply(self.charge_point.message_ids[-1]), self.charge_point.message_ids[-1], action)
        return told

    async def command(self, action: str, reply: Reply, result: str, *, is_full: bool = False) -> Told:
        """Through the generic door, with the example of the action's schema."""
        payload = request(action, is_full=is_full)
        return await self.post(f"commands/{action}", payload, action, payload, reply, result)

    async def in_vain(self, what: str, body: Json | None, action: str) -> Told:
        """Ask while the charge point is not there: a deed without a message."""
        told = await self.operator.post(NAME, what, body)
        self._deeds.append((action, "offline"))
        return told

    async def say_late(self, action: str, payload: Json) -> None:
        """Answer the last call, which nobody waits for any more; return when the server has read that."""
        message_id = self.charge_point.message_ids[-1]
        await self.charge_point.send(json.dumps([3, message_id, payload]))
        await self.all_is_read()
        self._messages += _kept([[3, message_id, payload]], message_id, action)

    async def all_is_read(self) -> None:
        """Return when the server has read what the charge point sent until now."""
        await self.charge_point.call("Heartbeat", {})

    async def close_books(self) -> None:
        """Unplug; the audit and the message log of the charge point say what was expected, and nothing else."""
        await self.unplug()
        place = quote(NAME, safe="")
        audit = [one async for one in self._all(f"audit?charge_point={place}&", "audit")]
        assert [(one["what"], one["figures"]["result"]) for one in audit] == self._deeds
        assert {(one["by"], one["kind"], one["charge_point_id"]) for one in audit} == {("Ann", "call by hand", NAME)}

        log = [one async for one in self._all(f"charge-points/{place}/messages?", "messages")]
        names = ("direction", "kind", "action", "payload", "error_code", "error_description", "reason")
        told = [tuple(one[name] for name in names) for one in log if one["action"] not in _ITS_OWN]
        assert told == self._messages
        assert all(one["latency_ms"] is not None for one in log if one["kind"] in ("result", "error"))

    async def _all(self, path: str, name: str) -> Any:
        """The entries of all pages, the oldest first."""
        found: list[Any] = []
        before = ""
        while before is not None:
            status, page = await self.operator.ask("GET", f"{path}limit={_PAGE}{before}")
            assert status == 200, page
            found += page[name]
            before = None if page["next"] is None else f"&before={page['next']}"
        for one in reversed(found):
            yield one


def _kept(replies: Sequence[list[Any]], message_id: str, action: str) -> Iterator[tuple[Any, ...]]:
    """What the message log keeps of these frames. What nobody asked for is not kept, only that it came."""
    for frame in replies:
        if frame[1] != message_id:
            yield "received", "unreadable", "", None, "", "", "an answer that nobody asked for"
        elif "\\ud800" in json.dumps(frame):
            yield "received", "unreadable", "", None, "", "", "half a character"
        elif frame[0] == 3 and not isinstance(frame[2], dict):
            yield "received", "unreadable", "", None, "", "", "the payload is no object"
        elif frame[0] == 3:
            yield "received", "result", action, frame[2], "", "", ""
        else:
            code, description, *_ = *frame[2:4], "", ""
            yield "received", "error", action, None, code or "GenericError", description or "", ""


async def open_desk(site: SiteFactory, **options: Any) -> OperatorsDesk:
    """A server that asks nothing by itself, and the charge point."""
    desk = OperatorsDesk(await site(configure_charge_points=False, call_timeout_s=PATIENCE_S, **options))
    await desk.plug()
    return desk
