"""The WebSocket of a charge point, parsed in small pieces: what one peer sends at once does not make others wait.

The event loop hands over up to 256 KiB of one peer at a time. Ten thousand small frames in them would take a tenth of
a second to parse, and all of them would lie in memory, before `websockets` stops reading (T13).
"""

import asyncio
from typing import Any, Final

from websockets.asyncio.server import Server
from websockets.frames import CTRL_OPCODES, Frame
from websockets.protocol import Event, State
from websockets.server import ServerProtocol

from ocpp_server.ocpp16.liveness import LivelySocket

_PIECE: Final = 4096
_MOST_CONTROL_FRAMES: Final = 50
"""Pings and pongs in a second; they go through no queue that could fill."""


class PiecemealSocket(LivelySocket):
    """What was read beyond a piece is held until there is room for its messages; meanwhile nothing more is read."""

    def __init__(self, protocol: ServerProtocol, server: Server, **options: Any) -> None:
        super().__init__(protocol, server, **options)
        self._held = bytearray()
        self._control_frames = 0
        self._counted_since = 0.0
        self._resting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be told when there is room again."""
        super().connection_made(transport)
        self.recv_messages.resume = self._go_on

    def data_received(self, data: bytes) -> None:
        """Parse it, or hold it."""
        if self._held or self._resting is not None or len(data) > _PIECE:
            self._held += data
            self._parse_held()
        else:
            super().data_received(data)

    def process_event(self, event: Event) -> None:
        """Count control frames, and rest when there are too many."""
        if isinstance(event, Frame) and event.opcode in CTRL_OPCODES:
            self._count_control_frame()
        super().process_event(event)

    def eof_received(self) -> None:
        """Nothing more will come."""
        self._parse_all()
        super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """What came before is still handled, unless it was we who closed."""
        if self._resting is not None:
            self._resting.cancel()
        if self.state is State.OPEN:
            self._parse_all()
        self._held.clear()
        super().connection_lost(exc)

    def _parse_held(self) -> None:
        while self._held and self._resting is None and not self.recv_messages.paused:
            piece = bytes(self._held[:_PIECE])
            del self._held[:_PIECE]
            super().data_received(piece)

    def _parse_all(self) -> None:
        held = bytes(self._held)
        self._held.clear()
        if held:
            super().data_received(held)

    def _go_on(self) -> None:
        self._parse_held()
        if self._resting is None and not self.recv_messages.paused:
            self.transport.resume_reading()

    def _count_control_frame(self) -> None:
        now = self.loop.time()
        if now - self._counted_since >= 1.0:
            self._counted_since = now
            self._control_frames = 0
        self._control_frames += 1
        if self._control_frames > _MOST_CONTROL_FRAMES and self._resting is None and self.state is State.OPEN:
            self.transport.pause_reading()
            self._resting = self.loop.call_later(1.0, self._end_rest)

    def _end_rest(self) -> None:
        self._resting = None
        self._go_on()
