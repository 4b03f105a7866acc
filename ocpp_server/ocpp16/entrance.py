"""One connection from its accept on: a place at the turnstile first, then TLS where it is asked for, then WebSocket.

TLS begins here, and not in the listener, because a listener that speaks TLS shows nobody before the handshake is
over: those who never finish it would be counted by nobody (T12).
"""

import asyncio
import logging
import time
from typing import Any, cast

from websockets.asyncio.server import Server, ServerConnection
from websockets.server import ServerProtocol

from ocpp_server.core.admission import Verdict
from ocpp_server.ocpp16.piecemeal import PiecemealSocket
from ocpp_server.ocpp16.tls import NewestContext
from ocpp_server.ocpp16.turnstile import Seat, Turnstile

log = logging.getLogger(__name__)

TLS_HANDSHAKE_S = 10.0


class CountedConnection(PiecemealSocket):
    """A connection that has a place. Make it with `entrance`."""

    def __init__(
        self,
        protocol: ServerProtocol,
        server: Server,
        *,
        turnstile: Turnstile,
        tls: NewestContext | None,
        **options: Any,
    ) -> None:
        super().__init__(protocol, server, **options)
        self.heard_at = time.monotonic()
        """When the last bytes came, by real monotonic seconds: a message, or a ping of the charge point's own."""
        self.seat: Seat | None = None
        self._turnstile = turnstile
        self._tls = tls
        self._shaking_hands: asyncio.Task[None] | None = None
        self._early: bytearray | None = bytearray()
        """What came before TLS was handed over to us; None: it was."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accepted, and nothing was read yet."""
        tcp = cast("asyncio.Transport", transport)  # uvloop's is one, but does not inherit from it
        remote = tcp.get_extra_info("peername")
        self.seat = self._turnstile.enter(str(remote[0]) if remote else "", tcp.abort)
        if self.seat is None:
            tcp.abort()
        elif self._tls is None:
            self._begin(tcp)
        else:
            self._shaking_hands = asyncio.create_task(self._shake_hands(tcp, self._tls))

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is over, or there never was one."""
        if self.seat is not None:
            self._turnstile.leave(self.seat)
        if self._early is None:
            super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        self.heard_at = time.monotonic()
        if self._early is None:
            super().data_received(data)
        else:
            self._early += data

    def eof_received(self) -> None:
        """No more bytes will come."""
        if self._early is None:
            super().eof_received()

    def room_for(self, address: str, verdict: Verdict) -> Verdict:
        """The verdict on the handshake of a peer, or why there is no room for it."""
        return verdict if self.seat is None else self._turnstile.room_for(self.seat, address, verdict)

    def _begin(self, transport: asyncio.Transport) -> None:
        early, self._early = self._early, None
        super().connection_made(transport)
        if early:
            super().data_received(bytes(early))

    async def _shake_hands(self, tcp: asyncio.Transport, context: NewestContext) -> None:
        """TLS, or the end. uvloop reads at once, and may have read the begin of the handshake before we get here."""
        tls: asyncio.Transport | None = None
        context = context.having_read(bytes(self._early or b""))
        self._early = bytearray()
        try:
            tls = await self.loop.start_tls(
                tcp, self, context, server_side=True, ssl_handshake_timeout=TLS_HANDSHAKE_S, ssl_shutdown_timeout=2.0
            )
        except OSError:  # also SSLError, of which `tls` tells, and the end of our patience
            log.debug("[CONNECT] TLS handshake failed", exc_info=True)
        if tls is not None and not tcp.is_closing():  # uvloop gives a transport also for a line that was cut meanwhile
            self._begin(tls)
        else:
            self.connection_lost(None)
            tcp.abort()


def entrance(turnstile: Turnstile, tls: NewestContext | None = None) -> type[ServerConnection]:
    """What `websockets.serve` makes connections with. `tls`: whose connections are encrypted."""

    def connect(protocol: ServerProtocol, server: Server, **options: Any) -> CountedConnection:
        return CountedConnection(protocol, server, turnstile=turnstile, tls=tls, **options)

    return cast("type[ServerConnection]", connect)  # any factory will do
