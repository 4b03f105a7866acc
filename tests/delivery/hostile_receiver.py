"""A receiver on a real socket that answers as badly as it is told to."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeAlias

Answer: TypeAlias = Callable[[asyncio.StreamWriter], Awaitable[None]]


class Receiver:
    """What it got: `requests` with their headers, `documents` of those that it accepted."""

    def __init__(self) -> None:
        self.requests: list[dict[str, str]] = []
        self.bodies: list[Any] = []
        self.documents: list[Any] = []
        self.connections = 0
        self.port = 0
        self.sent = 0
        """Bytes of the last long answer."""
        self.answer: Answer = good
        self.answers: list[Answer] = []
        """The next ones, before `answer` holds again."""
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/readings"

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Receiver"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for writer in list(self._writers):
                writer.transport.abort()
            await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError, TimeoutError):
            while not writer.is_closing():
                await self._one(reader, writer)
        self._writers.discard(writer)
        writer.transport.abort()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = head.split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:] if line)}
        body = json.loads(await reader.readexactly(int(headers["content-length"])))
        self.requests.append(headers | {"request": lines[0]})
        self.bodies.append(body)
        act = self.answers.pop(0) if self.answers else self.answer
        if act in ACCEPTING:
            self.documents += body if isinstance(body, list) else [body]
        await act(writer)

    @property
    def ids(self) -> list[str]:
        return [document["ID"] for document in self.documents]


def status(code: int, *headers: str, body: bytes = b"") -> Answer:
    """A plain answer."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {code} Such", *headers, f"Content-Length: {len(body)}", "", ""]
        writer.write("\r\n".join(lines).encode() + body)
        await writer.drain()

    return answer


good = status(200, body=b'{"ok": true}')
no_content = status(204)
bad_gzip = status(200, "Content-Encoding: gzip", body=b"this is no gzip at all")


async def endless(writer: asyncio.StreamWriter) -> None:
    """200, and five gigabytes as fast as they are taken."""
    writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {5 * 1024**3}\r\n\r\n".encode())
    for _ in range(5 * 1024):
        writer.write(b"x" * 1024 * 1024)
        await writer.drain()


async def byte_by_byte(writer: asyncio.StreamWriter) -> None:
    """200, and a body that takes hours."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.05)


async def cut_in_the_body(writer: asyncio.StreamWriter) -> None:
    """200, and the connection ends before the body does."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf of")
    await writer.drain()
    writer.transport.abort()


async def cut(writer: asyncio.StreamWriter) -> None:
    """No answer at all."""
    writer.transport.abort()


async def cut_in_the_head(writer: asyncio.StreamWriter) -> None:
    """Half a status line."""
    writer.write(b"HTTP/1.1 20")
    await writer.drain()
    writer.close()


async def no_http(writer: asyncio.StreamWriter) -> None:
    """Another protocol."""
    writer.write(b"220 smtp.example ready\r\n")
    await writer.drain()


async def silent(writer: asyncio.StreamWriter) -> None:
    """Takes the request and says nothing."""
    await asyncio.Event().wait()


async def drip_head(writer: asyncio.StreamWriter) -> None:
    """Headers without end."""
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X-More: 1\r\n")
        await writer.drain()
        await asyncio.sleep(0.02)


ACCEPTING = {good, no_content, bad_gzip, endless, byte_by_byte, cut_in_the_body}
"""Their status says that the reading is taken over."""
