"""One connection of a charge point: reads a message, lets it be handled, answers; only then reads the next.

What the messages mean is the business of `handlers`; when a connection counts is that of `gateway`.
"""

import asyncio
import logging
import time
from typing import Final, assert_never

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from ocpp_server.clock import Clock
from ocpp_server.ocpp16 import frames, translate
from ocpp_server.ocpp16.frames import Call, CallError, CallResult, Payload, Unreadable
from ocpp_server.ocpp16.handlers import CentralSystem, Handlers, UnservedActionError
from ocpp_server.ocpp16.outgoing import CallAnswer, OutgoingCalls

log = logging.getLogger(__name__)

QUIET_AFTER_START_S: Final = 10.0
"""Seconds of the site in which no call goes to a charge point whose session began, unless it is a stop (rule 27)."""
_LONGEST_SEND_S = 10.0
_MOST_REASONS = 20


class ChargePointConnection:
    """Owns one socket. A message is answered when its effect is durable, and not at all if that fails."""

    def __init__(
        self,
        charge_point_id: str,
        socket: ServerConnection,
        central: CentralSystem,
        clock: Clock,
        *,
        heartbeat_interval_s: int,
        call_timeout_s: float,
        address: str = "",
        is_pinged: bool = True,
        session_began_at: float | None = None,
    ) -> None:
        """`address`: of the peer, by which a newcomer is compared. `session_began_at`: by the clock's monotonic
        seconds, if a session began on an earlier connection.
        """
        self.charge_point_id = charge_point_id
        self.address = address
        self.connected_at = clock.monotonic()
        self.session_began_at = session_began_at
        self.has_booted = False
        """A BootNotification came on this connection."""
        self._is_pinged = is_pinged
        self._heard_at = time.monotonic()
        self._patience_s = 3.0 * heartbeat_interval_s
        self._socket = socket
        self._central = central
        self._clock = clock
        self._handlers = Handlers(charge_point_id, central, clock, heartbeat_interval_s=heartbeat_interval_s)
        self._calls = OutgoingCalls(self._send_call, clock, call_timeout_s)
        self._boot_is_answered = asyncio.Event()
        self._boot_is_answered.set()
        self._is_busy = False
        self._is_ending = False
        self._close_with = (1000, "")
        self._reasons: set[str] = set()

    async def run(self) -> None:
        """Handle message after message until the socket closes or `finish` is called.

        Raises what the central system raised: the message was not stored, and nothing may be answered.
        """
        try:
            while await self._take_next():
                pass
            await self._socket.close(*self._close_with)
        except ConnectionClosed:
            pass
        finally:
            self._end()

    async def finish(self, code: int, reason: str) -> None:
        """Close the socket and wait until it is; a message that is being handled is answered first."""
        self._close_with = (code, reason)
        self._end()
        if not self._is_busy:
            await self._socket.close(code, reason)
        await self._socket.wait_closed()

    async def is_alive(self, within_s: float) -> bool:
        """Whether the other side answers a ping within these real seconds. One that never answers pings counts as
        alive as long as its heartbeats come.
        """
        if self._is_ending:
            return False
        if not self._is_pinged:
            return time.monotonic() - self._heard_at < self._patience_s
        heard_at = self._heard_at
        try:
            async with asyncio.timeout(within_s):
                await (await self._socket.ping())
        except TimeoutError:
            return self._heard_at != heard_at
        except ConnectionClosed:
            return False
        return not self._is_ending

    def abort(self) -> None:
        """Drop the connection without a word."""
        self._end()
        self._socket.transport.abort()

    async def call(self, action: str, payload: Payload, *, is_stop: bool = False) -> CallAnswer:
        """Call the charge point; unless it is a stop, not before a boot is answered nor while a session begins.

        Never from a handler of this connection: the answer could not be read.
        """
        if not is_stop:
            await self._quiet_is_over()
        return await self._calls.call(action, payload)

    async def _quiet_is_over(self) -> None:
        while not self._is_ending:
            await self._boot_is_answered.wait()
            began_at = self.session_began_at
            left_s = 0.0 if began_at is None else began_at + QUIET_AFTER_START_S - self._clock.monotonic()
            if left_s <= 0:
                return
            await self._clock.sleep(left_s)

    def _end(self) -> None:
        self._is_ending = True
        self._calls.close()
        self._boot_is_answered.set()

    async def _take_next(self) -> bool:
        """Handle one message; False if it was the last one to be taken."""
        raw = await self._socket.recv(decode=False)
        self._heard_at = time.monotonic()
        if self._is_ending:
            return False  # neither handled nor answered: the charge point sends it again (OCPP 1.6 §3.7)
        self._is_busy = True
        await self._take(raw)
        self._is_busy = False
        return not self._is_ending

    async def _take(self, raw: bytes) -> None:
        frame = frames.decode(raw)
        match frame:
            case Call():
                await self._answer(frame)
            case CallResult() | CallError():
                self._calls.resolve(frame)
            case Unreadable():
                await self._refuse(frame, raw)
            case _:
                assert_never(frame)

    async def _answer(self, call: Call) -> None:
        if log.isEnabledFor(logging.DEBUG):
            log.debug("[MESSAGE] received charge_point=%s action=%r", self.charge_point_id, call.action[:50])
        is_boot = call.action == "BootNotification"
        if is_boot:
            self.has_booted = True
            self._boot_is_answered.clear()
        elif call.action == "StartTransaction":
            self.session_began_at = self._clock.monotonic()
        try:
            payload = await self._handlers.handle(call)
        except UnservedActionError as error:
            await self._send(frames.encode_error(call.unique_id, error.code, str(error)))
            return
        await self._send(frames.encode_result(call.unique_id, payload))
        if is_boot:
            self._boot_is_answered.set()

    async def _refuse(self, frame: Unreadable, raw: bytes) -> None:
        """Note each kind of unreadable message once per connection; answer where there is somebody to answer."""
        if frame.reason not in self._reasons and len(self._reasons) < _MOST_REASONS:
            self._reasons.add(frame.reason)
            log.warning("[MESSAGE] unreadable charge_point=%s reason=%r", self.charge_point_id, frame.reason)
            at = self._clock.now()
            await self._central.handle(translate.unreadable_message(self.charge_point_id, at, frame.reason, raw))
        if frame.unique_id is not None:
            await self._send(frames.encode_error(frame.unique_id, frame.code, frame.reason))

    async def _send(self, frame: bytes) -> bool:
        """Whether it left. What came before the other side closed is still handled, though it cannot be answered."""
        try:
            await self._socket.send(frame, text=True)
        except ConnectionClosed:
            return False
        return True

    async def _send_call(self, frame: bytes) -> bool:
        try:
            async with asyncio.timeout(_LONGEST_SEND_S):
                return await self._send(frame)
        except TimeoutError:
            return True  # it lies in the buffer of a peer that does not read
