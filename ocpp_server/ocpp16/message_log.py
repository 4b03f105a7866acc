"""Keeps the last messages of each charge point for people. Charging never waits for it, and never fails for it.

A message is handed over as its bytes. They are looked at later, in a thread; where too many wait, or the disk is full,
messages are dropped and counted.
"""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from datetime import datetime
from errno import ENOSPC
from typing import Final, NamedTuple, Protocol

import msgspec

from ocpp_server.clock import Clock
from ocpp_server.core.changes import Change, RemoveChargePoint
from ocpp_server.core.records import Admission
from ocpp_server.core.site import Site
from ocpp_server.ocpp16 import frames, redaction
from ocpp_server.ocpp16.frames import Call, CallError, CallResult, Unreadable
from ocpp_server.ocpp16.printable import printable
from ocpp_server.storage.message_files import MOST_BYTES, MessageFiles, StoredMessage

log = logging.getLogger(__name__)

_GATHER_S = 1.0
_MOST_WAITING = 10_000
_MOST_WAITING_BYTES = 8 * 1024 * 1024
_UNAPPROVED_BYTES = 50_000
"""Of each file of a charge point that nobody approved."""
_LONGEST_FRAME = 16 * 1024
_LONGEST_EXCERPT = 1000
_TRY_AGAIN_S = 30.0
_MOST_SECRET_CALLS = 200
_MOST_CALLS = 2000
_HEAD: Final = msgspec.json.Decoder(list[msgspec.Raw])
_LINE_ENDS: Final = bytes.maketrans(b"\r\n", b"  ")


class Messages(Protocol):
    """Whoever wants to see each message."""

    def record(self, charge_point_id: str, raw: bytes, *, is_received: bool) -> None:
        """Neither raises nor waits."""


class _NoMessages:
    """Nobody does."""

    def record(self, charge_point_id: str, raw: bytes, *, is_received: bool) -> None:
        """Nothing happens."""


NOT_KEPT: Final[Messages] = _NoMessages()


class _Waiting(NamedTuple):
    charge_point_id: str
    raw: bytes | None
    """None: what is kept of this charge point goes."""
    is_received: bool
    at: datetime
    seconds: float


class MessageLog:
    """`record` is for the event loop; `flush` and `page` block, and are for a thread."""

    def __init__(self, files: MessageFiles, site: Site, clock: Clock, *, is_on: bool = True) -> None:
        """`is_on`: else nothing is kept, and what was is removed."""
        self.is_on = is_on
        self._files = files
        self._site = site
        self._clock = clock
        self._waiting: deque[_Waiting] = deque()
        self._bytes_in = self._bytes_out = 0
        self._is_due = asyncio.Event()
        self._lock = threading.Lock()
        self._secret_calls: deque[tuple[str, str]] = deque(maxlen=_MOST_SECRET_CALLS)
        self._calls: deque[tuple[str, str]] = deque(maxlen=_MOST_CALLS)
        self._called: set[tuple[str, str]] = set()
        self._is_failing = False
        self._again_at = 0.0
        self.dropped = 0
        """Messages since the start that are missing here."""

    def record(self, charge_point_id: str, raw: bytes, *, is_received: bool) -> None:
        """Take note of a message that was received, or sent."""
        if not self.is_on:
            return
        size = len(raw)
        if len(self._waiting) >= _MOST_WAITING or self._bytes_in - self._bytes_out + size > _MOST_WAITING_BYTES:
            self.dropped += 1
            return
        self._bytes_in += size
        self._waiting.append(_Waiting(charge_point_id, raw, is_received, self._clock.now(), time.monotonic()))
        self._is_due.set()

    def watch(self, changes: Sequence[Change]) -> None:
        """For `CentralSystem.listen`: who is forgotten is forgotten here, too."""
        for change in changes:
            if isinstance(change, RemoveChargePoint):
                self._waiting.append(_Waiting(change.charge_point_id, None, False, self._clock.now(), 0.0))
                self._is_due.set()

    async def run(self) -> None:
        """Write now and then, for ever; a cancel writes what is left."""
        try:
            await asyncio.to_thread(self._keep_known)
            while self.is_on:
                await self._is_due.wait()
                self._is_due.clear()
                await self._clock.sleep(_GATHER_S * self._clock.factor)
                await asyncio.to_thread(self.flush)
        finally:
            self.flush()

    def page(self, charge_point_id: str, before: int | None, count: int) -> list[StoredMessage]:
        """Up to `count` messages, the newest first, with those that were recorded just now. Raises OSError."""
        self.flush()
        return self._files.page(charge_point_id, before, count)

    def flush(self) -> None:
        """Write all that waits."""
        with self._lock:
            by_charge_point: dict[str, list[_Waiting]] = {}
            for _ in range(len(self._waiting)):
                one = self._waiting.popleft()
                by_charge_point.setdefault(one.charge_point_id, []).append(one)
                self._bytes_out += len(one.raw or b"")
            if by_charge_point:
                self._write(by_charge_point)

    def _keep_known(self) -> None:
        try:
            self._files.keep_only(list(self._site.charge_points) if self.is_on else ())
        except OSError as error:
            log.warning("[STATUS] message log: old files stay error=%s", error)

    def _write(self, by_charge_point: dict[str, list[_Waiting]]) -> None:
        if self._is_failing and time.monotonic() < self._again_at:
            self.dropped += sum(map(len, by_charge_point.values()))
            return
        try:
            self._files.check_room()
        except OSError as error:
            self._fail(error, sum(map(len, by_charge_point.values())))
            return
        for charge_point_id, waiting in by_charge_point.items():
            try:
                self._write_one(charge_point_id, waiting)
            except OSError as error:
                self._fail(error, len(waiting))
                return
        if self._is_failing:
            self._is_failing = False
            log.warning("[STATUS] message log: written again dropped=%d", self.dropped)

    def _write_one(self, charge_point_id: str, waiting: list[_Waiting]) -> None:
        forgotten_at = max((at for at, one in enumerate(waiting) if one.raw is None), default=-1)
        if forgotten_at >= 0:
            self._files.forget(charge_point_id)
        known = self._site.charge_points.get(charge_point_id)
        if known is None:
            return  # nobody, or nobody any more: no file for each name that a stranger makes up
        most_bytes = MOST_BYTES if known.admission is Admission.APPROVED else _UNAPPROVED_BYTES
        self._files.append(charge_point_id, self._entries(waiting[forgotten_at + 1 :]), most_bytes)

    def _fail(self, error: OSError, count: int) -> None:
        """One warning until it goes on."""
        self.dropped += count
        self._again_at = time.monotonic() + _TRY_AGAIN_S
        if not self._is_failing:
            self._is_failing = True
            text = "the disk is nearly full" if error.errno == ENOSPC else error.strerror
            log.warning("[STATUS] message log: nothing is written for now error=%s", text)

    def _entries(self, waiting: Sequence[_Waiting]) -> Iterator[StoredMessage]:
        for one in waiting:
            raw = one.raw or b""
            entry = StoredMessage(
                at=one.at,
                direction="received" if one.is_received else "sent",
                seconds=one.seconds,
                size=len(raw),
            )
            try:
                frame = raw if self._is_harmless(one, raw) else self._looked_over(one, raw, entry)
            except Exception as error:  # noqa: BLE001 - no message may end the server, whatever is in it
                frame, entry.reason = b"", f"cannot be kept: {type(error).__name__}"
            if b"\\u" in frame and not _is_readable(frame):
                entry.reason, entry.excerpt = "half a character", printable(frame.decode(), _LONGEST_EXCERPT)
                frame = b""
            if len(frame) > _LONGEST_FRAME:
                entry.reason = "too long"
                entry.excerpt = printable(frame.decode("utf-8", "replace"), _LONGEST_EXCERPT)
            elif frame:
                entry.frame = msgspec.Raw(frame.translate(_LINE_ENDS))
            yield entry

    def _is_harmless(self, one: _Waiting, raw: bytes) -> bool:
        """Whether it can be kept as it is: a CALL or CALLRESULT in which nothing looks like a secret."""
        if redaction.may_hold_secret(raw):
            return False
        try:
            head = _HEAD.decode(raw)
        except (msgspec.DecodeError, RecursionError):
            return False
        if len(head) < 3 or bytes(head[0]) not in (b"2", b"3"):
            return False
        if bytes(head[0]) == b"3":
            return not one.is_received  # rare; and what nobody asked for is not kept
        if len(head) != 4 or bytes(head[2])[:1] != b'"' or bytes(head[3])[:1] != b"{":
            return False
        if not one.is_received:
            self._remember_call(one.charge_point_id, bytes(head[1]).decode().strip('"'))
        return True

    def _remember_call(self, charge_point_id: str, unique_id: str) -> None:
        if len(self._calls) == _MOST_CALLS:
            self._called.discard(self._calls[0])
        self._calls.append((charge_point_id, unique_id))
        self._called.add((charge_point_id, unique_id))

    def _looked_over(self, one: _Waiting, raw: bytes, entry: StoredMessage) -> bytes:
        """The frame as it was understood, without secrets; blank if it is none."""
        frame = frames.decode(raw)
        match frame:
            case Unreadable():
                entry.reason = frame.reason  # its words are in a note; in them nobody can tell what is a secret
                return b""
            case CallResult() | CallError() if (
                one.is_received and (one.charge_point_id, frame.unique_id) not in self._called
            ):
                entry.reason = "an answer that nobody asked for"
                return b""
            case Call():
                payload = redaction.without_secrets(frame.payload)
                if not one.is_received:
                    self._remember_call(one.charge_point_id, frame.unique_id)
                    if payload != frame.payload:
                        self._secret_calls.append((one.charge_point_id, frame.unique_id))
                return frames.encode_call(frame.unique_id, frame.action, payload)
            case CallResult(is_object=False):
                entry.reason = "the payload is no object"  # in it nobody can tell what is a secret
                return b""
            case CallResult():
                answer = redaction.without_secrets(frame.payload)
                is_to_secret = (one.charge_point_id, frame.unique_id) in self._secret_calls
                return frames.encode_result(frame.unique_id, redaction.status_only(answer) if is_to_secret else answer)
            case CallError():
                is_to_secret = (one.charge_point_id, frame.unique_id) in self._secret_calls
                text = redaction.HIDDEN if is_to_secret else redaction.visible(frame.description)
                details = {} if is_to_secret else redaction.without_secrets(frame.details)
                return frames.encode_error(frame.unique_id, redaction.visible(frame.code), text, details)


def _is_readable(frame: bytes) -> bool:
    """Whether the reader of the file takes it: not with a lone surrogate, and would skip the whole line."""
    try:
        msgspec.json.decode(frame)
    except msgspec.DecodeError:
        return False
    return True
