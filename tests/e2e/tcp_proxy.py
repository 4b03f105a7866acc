"""A TCP proxy whose lines are as bad as the test wants: slow, lossy, split, silent, half closed, cut."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeAlias

Dial: TypeAlias = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]

_CHUNK = 65_536


@dataclass(frozen=True)
class Weather:
    """What happens to bytes on their way. TCP hides a loss: what follows comes later, `resend_s` later."""

    delay_s: float = 0.0
    most_bytes: int = _CHUNK
    """More than so many never arrive at once; a piece may be of any length up to this."""
    loss: float = 0.0
    """Share of the pieces that have to be sent again."""
    resend_s: float = 0.0


class Link:
    """One connection through the proxy."""

    def __init__(self, near: asyncio.StreamWriter, far: asyncio.StreamWriter) -> None:
        self._near, self._far = near, far
        self.near_port: int = near.get_extra_info("peername")[1]
        """Of the charge point's socket, by which it knows its link."""
        self._is_dead = False

    def go_dead(self) -> None:
        """From now on nothing passes, no byte and no end, in neither direction; both ends take it for open."""
        self._is_dead = True

    def cut(self) -> None:
        """Reset both ends."""
        for one in (self._near, self._far):
            one.transport.abort()

    def half_close(self) -> None:
        """The charge point's direction ends; the other one goes on."""
        with suppress(OSError, RuntimeError):
            self._far.write_eof()

    async def carry(self, source: asyncio.StreamReader, to: asyncio.StreamWriter, weather: Weather) -> None:
        """Pass on what comes, and its end, until one end is gone."""
        rng = random.Random(weather.most_bytes)
        try:
            while piece := await source.read(rng.randint(1, weather.most_bytes)):
                is_lost = rng.random() < weather.loss
                if weather.delay_s or is_lost:
                    await asyncio.sleep(weather.delay_s + (weather.resend_s if is_lost else 0.0))
                if self._is_dead:
                    continue
                to.write(piece)
                await to.drain()
            if not self._is_dead and to.can_write_eof():
                to.write_eof()
        except (OSError, RuntimeError):  # reset, or ended already
            if not self._is_dead:
                self.cut()


class TcpProxy:
    """Listens on a port of its own and passes everything on to `port`, in this weather unless it is changed.

    `dial` reaches the server in another way than over the loopback.
    """

    def __init__(self, port: int, weather: Weather | None = None, dial: Dial | None = None) -> None:
        self.weather = weather or Weather()
        self.links: list[Link] = []
        """Those that are not over at both ends, oldest first."""
        self._dial = dial or (lambda: asyncio.open_connection("127.0.0.1", port))
        self._carrying: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        """Listen."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cut what is left."""
        assert self._server is not None
        self._server.close()
        for link in list(self.links):
            link.cut()
        while self._carrying:
            await asyncio.wait(self._carrying)

    @property
    def url(self) -> str:
        """What is typed into a charge point."""
        assert self._server is not None
        return f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _accept(self, near_reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        try:
            far_reader, far = await self._dial()
        except OSError:
            near.transport.abort()
            return
        link = Link(near, far)
        self.links.append(link)
        ways = ((near_reader, far), (far_reader, near))
        carrying = [asyncio.create_task(link.carry(source, to, self.weather)) for source, to in ways]
        self._carrying.update(carrying)
        await asyncio.wait(carrying)
        self._carrying.difference_update(carrying)
        link.cut()
        self.links.remove(link)
