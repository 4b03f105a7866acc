"""One connection of a charge point: reads a message, lets it be handled, answers; only then reads the next.

What the messages mean is the business of `handlers`; when a connection counts is that of `gateway`.
"""

import asyncio
import logging
import time
from collections import deque
from contextlib import suppress
from typing import Final, assert_never

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

from ocpp_server.clock import Clock
from ocpp_server.core.records import Admission
from ocpp_server.ocpp16 import frames, translate
from ocpp_server.ocpp16.entrance import CountedConnection
from ocpp_server.ocpp16.frames import Call, CallError, CallResult, Payload, Unreadable
from ocpp_server.ocpp16.handlers import CentralSystem, Handlers, UnservedActionError
from ocpp_server.ocpp16.message_log import NOT_KEPT, Messages
from ocpp_server.ocpp16.message_rate import Bucket
from ocpp_server.ocpp16.outgoing import CallAnswer, OutgoingCalls
from ocpp_server.ocpp16.traffic import UNWATCHED, Traffic

log = logging.getLogger(__name__)

QUIET_AFTER_START_S: Final = 10.0
"""Seconds of the site in which no call goes to a charge point whose session began, unless it is a stop (rule 27)."""
_LONGEST_SEND_S = 10.0
_LONGEST_FINISH_S = 10.0
_MOST_REASONS = 20
_MOST_UNREADABLE = 20
_UNREADABLE_WITHIN_S = 60.0
_POLICY = 1008


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
        admission: Admission = Admission.APPROVED,
        security_profile: int = 0,
        key_hash: str = "",
        bucket: Bucket | None = None,
        idle_limit_s: float | None = None,
        traffic: Traffic = UNWATCHED,
        messages: Messages = NOT_KEPT,
    ) -> None:
        """`address`: of the peer, by which a newcomer is compared. `session_began_at`: by the clock's monotonic
        seconds, if a session began on an earlier connection. `admission`, `security_profile` and `key_hash`: what it
        was let in as, what it proved for that, and the hash of the key it gave (blank: none). `bucket`: how fast
        its messages are taken. `idle_limit_s`: real seconds of silence after which it is given up; None: pings find
        that out. `traffic`: told of each message. `messages`: keeps them.
        """
        self.charge_point_id = charge_point_id
        self.address = address
        self.admission = admission
        self.security_profile = security_profile
        self.key_hash = key_hash
        self.connected_at = clock.monotonic()
        self.session_began_at = session_began_at
        self.has_booted = False
        """A BootNotification came on this connection."""
        self.is_pinged = is_pinged
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
        self._unreadable_at: deque[float] = deque(maxlen=_MOST_UNREADABLE)
        self._bucket = bucket or Bucket(0)
        self._is_slowed = False
        self._idle_limit_s = idle_limit_s
        self._traffic = traffic
        self._messages = messages
        self._ended = asyncio.Event()

    async def run(self) -> None:
        """Handle message after message until the socket closes or `finish` is called.

        Raises what the central system raised: the message was not stored, and nothing may be answered.
        """
        limit_s = self._idle_limit_s
        watching = None if limit_s is None else asyncio.create_task(self._give_up_when_idle(limit_s))
        try:
            while await self._take_next():
                pass
            await self._socket.close(*self._close_with)
        except ConnectionClosed:
            pass
        finally:
            self._end()
            if watching is not None:
                watching.cancel()

    def admit(self, admission: Admission, max_message_bytes: int) -> None:
        """From now on it is this, and its messages may be so large."""
        self.admission = admission
        self._socket.protocol.max_message_size = max_message_bytes

    def take_no_more(self, code: int, reason: str) -> None:
        """Handle no further message; `finish` closes the socket."""
        self._close_with = (code, reason)
        self._end()

    async def finish(self, code: int, reason: str) -> None:
        """Close the socket and wait until it is; a message that is being handled is answered first."""
        self.take_no_more(code, reason)
        try:
            async with asyncio.timeout(_LONGEST_FINISH_S):
                if not self._is_busy:
                    await self._socket.close(code, reason)
                await self._socket.wait_closed()
        except TimeoutError:  # its answer cannot leave, or its commit hangs; a loser must not stay for that
            self._socket.transport.abort()

    async def is_alive(self, within_s: float) -> bool:
        """Whether a sign of life comes within these real seconds after a ping. One that never answers pings is not
        pinged here either: it counts as alive as long as its heartbeats come, or pings of its own.
        """
        if self._is_ending or self._socket.state is not State.OPEN:
            return False
        if not self.is_pinged:
            return self._silence_s() < self._patience_s
        try:
            async with asyncio.timeout(within_s):
                await (await self._socket.ping())
        except (TimeoutError, ConnectionClosed):
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
        began = time.monotonic()
        answer = await self._calls.call(action, payload)
        self._traffic.called(action, answer.status, time.monotonic() - began)
        return answer

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
        self._ended.set()
        self._calls.close()
        self._boot_is_answered.set()

    async def _take_next(self) -> bool:
        """Handle one message; False if it was the last one to be taken."""
        raw = await self._socket.recv(decode=False)
        self._heard_at = time.monotonic()
        wait_s = self._bucket.take()
        if wait_s:
            await self._wait_turn(wait_s)
        if self._is_ending:
            return False  # neither handled nor answered: the charge point sends it again (OCPP 1.6 §3.7)
        self._is_busy = True
        await self._take(raw)
        self._is_busy = False
        return not self._is_ending

    async def _wait_turn(self, wait_s: float) -> None:
        """It came too fast: what it sends waits, here and on the line, and nothing of it is lost (T13). Only one that
        nobody approved is not listened to for ever.
        """
        if not self._is_slowed:
            self._is_slowed = True
            log.warning("[MESSAGE] slowed charge_point=%s reason=%r", self.charge_point_id, "too many messages")
        if self._bucket.is_flood and self.admission is not Admission.APPROVED:
            log.warning("[MESSAGE] closed charge_point=%s reason=%r", self.charge_point_id, "too many messages")
            self.take_no_more(_POLICY, "too many messages")
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._ended.wait()

    async def _give_up_when_idle(self, limit_s: float) -> None:
        """Without our pings a line that is half open is known only by its silence: no message, no ping of its own."""
        while True:
            left_s = limit_s - self._silence_s()
            if left_s <= 0:
                break
            await asyncio.sleep(left_s)
        log.info("[CONNECT] given up charge_point=%s silent_s=%d", self.charge_point_id, limit_s)
        self.abort()

    def _silence_s(self) -> float:
        """Real seconds since a message was taken or any byte came."""
        heard_at = self._heard_at
        if isinstance(self._socket, CountedConnection):
            heard_at = max(heard_at, self._socket.heard_at)
        return time.monotonic() - heard_at

    async def _take(self, raw: bytes) -> None:
        self._messages.record(self.charge_point_id, raw, is_received=True)
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
            self._traffic.failed(error.code)
            return
        await self._send(frames.encode_result(call.unique_id, payload))
        self._traffic.answered(call.action, payload, time.monotonic() - self._heard_at)
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
        self._traffic.failed("unreadable")
        self._count_unreadable()

    def _count_unreadable(self) -> None:
        """Nobody makes sense of a line that brings nothing but rubbish (T9)."""
        times = self._unreadable_at
        times.append(time.monotonic())
        if len(times) == _MOST_UNREADABLE and times[-1] - times[0] < _UNREADABLE_WITHIN_S:
            reason = f"{_MOST_UNREADABLE} unreadable messages within a minute"
            log.warning("[MESSAGE] closed charge_point=%s reason=%r", self.charge_point_id, reason)
            self.take_no_more(_POLICY, reason)

    async def _send(self, frame: bytes) -> bool:
        """Whether it left. What came before the other side closed is still handled, though it cannot be answered."""
        try:
            await self._socket.send(frame, text=True)
        except ConnectionClosed:
            return False
        self._messages.record(self.charge_point_id, frame, is_received=False)
        return True

    async def _send_call(self, frame: bytes) -> bool:
        try:
            async with asyncio.timeout(_LONGEST_SEND_S):
                return await self._send(frame)
        except TimeoutError:
            return True  # it lies in the buffer of a peer that does not read
