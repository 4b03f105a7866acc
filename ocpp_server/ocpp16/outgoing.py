"""The calls of the Central System on one connection: one at a time, each with its answer or the end of its patience."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from ocpp_server.clock import Clock
from ocpp_server.ocpp16 import fields
from ocpp_server.ocpp16.frames import CallError, CallResult, Payload, encode_call

ANSWERED = "answered"
NO_ANSWER = "no answer"
OFFLINE = "offline"
MALFORMED = "error: malformed answer"
TOO_MANY = "error: too many calls are waiting"
_MOST_WAITING = 16
_OUR_WORDS = (ANSWERED, "CALLERROR")
"""Beside those that are no answer; the second is how people are told of one."""


@dataclass(frozen=True, slots=True)
class CallAnswer:
    """What became of a call.

    `status` is the charge point's own ("Accepted", "Rejected", …; "answered" where the answer has none),
    "error: CODE" for a CALLERROR, "error: malformed answer" for a CALLRESULT without what it has to tell,
    "no answer" (it was sent, and the time or the connection ended), "offline" (it was never sent) or
    "error: too many calls are waiting" (nor was this).
    """

    status: str
    payload: Payload = field(default_factory=dict)
    fault: str = ""
    """What in the charge point's answer does not fit its schema, in words; blank where all of it does."""

    @property
    def is_answered(self) -> bool:
        """The charge point answered, and not with an error."""
        return self.status not in (NO_ANSWER, OFFLINE) and not self.status.startswith("error: ")


@dataclass(slots=True)
class _Pending:
    unique_id: str
    is_answered: asyncio.Event
    answer: CallAnswer


class OutgoingCalls:
    """One outstanding CALL per connection (OCPP-J §4.1.1); message ids are never used again (errata 3.1)."""

    def __init__(self, send: Callable[[bytes], Awaitable[bool]], clock: Clock, timeout_s: float) -> None:
        """`send` gives whether the frame left. `timeout_s`: seconds of the site."""
        self._send = send
        self._clock = clock
        self._timeout_s = timeout_s
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._pending: _Pending | None = None
        self._is_closed = False

    async def call(self, action: str, payload: Payload) -> CallAnswer:
        """Send a CALL when it is its turn, and wait for the answer. The payload is taken as valid."""
        if self._waiting >= _MOST_WAITING:
            return CallAnswer(TOO_MANY)
        self._waiting += 1
        try:
            async with self._turn:
                return await self._ask(action, payload)
        finally:
            self._waiting -= 1

    def resolve(self, frame: CallResult | CallError) -> None:
        """Take an answer. One that nobody waits for (late, or never asked) is dropped."""
        pending = self._pending
        if pending is None or pending.unique_id != frame.unique_id:
            return
        self._pending = None
        pending.answer = _answer(frame)
        pending.is_answered.set()

    def close(self) -> None:
        """The connection is over: no call waits any longer, none is sent."""
        self._is_closed = True
        if self._pending is not None:
            self._pending.is_answered.set()
            self._pending = None

    async def _ask(self, action: str, payload: Payload) -> CallAnswer:
        if self._is_closed:
            return CallAnswer(OFFLINE)
        pending = _Pending(str(uuid.uuid4()), asyncio.Event(), CallAnswer(NO_ANSWER))
        self._pending = pending
        try:
            if not await self._send(encode_call(pending.unique_id, action, payload)):
                return CallAnswer(OFFLINE)
            await self._clock.wait_for(pending.is_answered, self._timeout_s)
        finally:
            if self._pending is pending:
                self._pending = None
        return pending.answer


def _answer(frame: CallResult | CallError) -> CallAnswer:
    if isinstance(frame, CallError):
        details: Payload = {"details": frame.details} if frame.details else {}
        return CallAnswer(f"error: {fields.text(frame.code, 50)}", {"description": frame.description, **details})
    if not frame.is_object:
        return CallAnswer(MALFORMED, fault="the payload is no object")
    status = fields.text(frame.payload.get("status"), 50)
    answer = CallAnswer(status or ANSWERED, frame.payload)
    if not answer.is_answered or status in _OUR_WORDS:  # it says "offline", or another word of ours
        return CallAnswer(MALFORMED, frame.payload, "status is no status of a charge point")
    return answer
