"""A WebSocket client of no more than the load needs (RFC 6455): the generator must not be what is measured.

The masking key is 0, so a payload goes out as it is; the server unmasks it as it does any other.
"""

import asyncio
import base64
import os
from collections.abc import Callable
from typing import cast

_TEXT, _CLOSE, _PING = 0x81, 0x88, 0x89
_PONG = 0x8A
_NO_MASK = bytes(4)
_LONGEST_HANDSHAKE_S = 30.0


class Wire(asyncio.Protocol):
    """One connection. `on_text` gets each message of the server."""

    def __init__(self, host: str, port: int, path: str, on_text: Callable[[bytes], None]) -> None:
        self.is_open = False
        self._is_upgraded = False
        loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[None] = loop.create_future()
        self.closed: asyncio.Future[None] = loop.create_future()
        self._address = host, port, path
        self._on_text = on_text
        self._transport: asyncio.Transport | None = None
        self._unread = b""

    async def open(self) -> None:
        """Connect and shake hands. Raises OSError, also if the server refuses or is silent."""
        host, port, _ = self._address
        async with asyncio.timeout(_LONGEST_HANDSHAKE_S):
            await asyncio.get_running_loop().create_connection(lambda: self, host, port)
            await self.opened

    async def close(self) -> None:
        """Close as a charge point does that restarts in order. Raises TimeoutError if the server does not answer."""
        if self._transport is not None and self.is_open:
            self.is_open = False
            self._send(_CLOSE, (1000).to_bytes(2, "big"))
        async with asyncio.timeout(_LONGEST_HANDSHAKE_S):
            await self.closed

    def send_text(self, payload: bytes) -> None:
        """Send one message."""
        self._send(_TEXT, payload)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one, but does not inherit from it
        host, port, path = self._address
        key = base64.b64encode(os.urandom(16)).decode()
        self._transport.write(
            f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: ocpp1.6\r\n\r\n".encode()
        )

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        if not self.opened.done():
            self.opened.set_exception(exc or ConnectionResetError("the server closed before the handshake was over"))
        if not self.closed.done():
            self.closed.set_result(None)

    def data_received(self, data: bytes) -> None:
        if self._unread:
            data = self._unread + data
        if not self._is_upgraded:
            data = self._shake_hands(data)
            if not self._is_upgraded:
                self._unread = data
                return
        begin, size = 0, len(data)
        while size - begin >= 2:
            length, head = data[begin + 1], 2
            if length == 126:
                length, head = int.from_bytes(data[begin + 2 : begin + 4], "big"), 4
            elif length == 127:
                length, head = int.from_bytes(data[begin + 2 : begin + 10], "big"), 10
            end = begin + head + length
            if size < end or size - begin < head:
                break
            self._take(data[begin], data[begin + head : end])
            begin = end
        self._unread = data[begin:]

    def _shake_hands(self, data: bytes) -> bytes:
        """What came after the server's handshake; all of it while the handshake is not whole."""
        head, end, rest = data.partition(b"\r\n\r\n")
        if not end:
            return data
        if not head.startswith(b"HTTP/1.1 101 "):
            self._fail(ConnectionRefusedError(head.decode("latin-1").splitlines()[0]))
            return b""
        self.is_open = self._is_upgraded = True
        self.opened.set_result(None)
        return rest

    def _fail(self, error: OSError) -> None:
        self.opened.set_exception(error)
        assert self._transport is not None
        self._transport.abort()

    def _take(self, kind: int, payload: bytes) -> None:
        if kind == _TEXT:
            self._on_text(payload)
        elif kind == _PING:
            self._send(_PONG, payload)
        elif kind == _CLOSE:
            if self.is_open:
                self._send(_CLOSE, payload[:2])
            self.is_open = False
            assert self._transport is not None
            self._transport.close()
        else:
            self._on_text(b"unexpected frame %d" % kind)  # no server has reason to fragment what it sends us

    def _send(self, kind: int, payload: bytes) -> None:
        assert self._transport is not None
        length = len(payload)
        head = bytes((kind, 0x80 | length)) if length < 126 else bytes((kind, 0xFE, length >> 8, length & 0xFF))
        self._transport.write(b"".join((head, _NO_MASK, payload)))
