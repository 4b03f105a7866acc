"""The WebSocket of a charge point, on which whatever arrives answers our pings.

A pong comes after all that was sent before it: a long StopTransaction on a slow line, or messages that we have not
taken yet. `websockets` alone would give such a peer up, and it would send the same again, for ever.
"""

import asyncio
from collections.abc import Awaitable
from typing import Any

from websockets.asyncio.server import ServerConnection


class LivelySocket(ServerConnection):
    """A peer is dead if nothing at all came from it, though we read, or if it takes nothing of what we sent."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be told when too many messages wait for us."""
        super().connection_made(transport)
        self.recv_messages.pause = self._pause_reading

    def data_received(self, data: bytes) -> None:
        """Any byte is a sign of life."""
        super().data_received(data)
        self._answer_pings()

    async def ping(self, data: Any = None) -> Awaitable[float]:
        """Send a ping. Gives the future of its answer. Raises ConnectionClosed, also if it could not leave in time."""
        try:
            async with asyncio.timeout(self.ping_timeout):
                pong_received = await super().ping(data)
        except TimeoutError:
            self.transport.abort()  # what we sent before is not taken, so a ping would wait behind it for ever
            await self.wait_closed()
            raise self.close_exc from None
        if self.recv_messages.paused:
            self._answer_pings()
        return pong_received

    def _pause_reading(self) -> None:
        self.transport.pause_reading()
        self._answer_pings()  # from now on it is we who do not hear

    def _answer_pings(self) -> None:
        for pong_received, _ in self.pending_pings.values():
            if not pong_received.done():
                pong_received.set_result(0.0)
        self.pending_pings.clear()
