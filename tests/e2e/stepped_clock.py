"""A clock that the test turns, and the event loop that tells it when everybody has come to rest.

Server, charge points and test live in one loop. Between two moments of the site the clock waits until no callback is
left, no byte is on a socket and no thread is at work; so a session of an hour takes a second, whatever else the
machine does meanwhile, and its figures are the same each time.
"""

import asyncio
import heapq
import itertools
import selectors
from collections.abc import Callable
from concurrent.futures import Executor
from datetime import datetime, timedelta
from typing import Any

from ocpp_server.clock import Clock

_LOOKS = 3
"""So often nothing is ready before it counts as rest. On the loopback a byte arrives before its `send` returns."""


class RestfulLoop(asyncio.SelectorEventLoop):
    """An event loop that knows when there is nothing to do but to wait for a timer or for the outside world."""

    def __init__(self) -> None:
        self._jobs = 0
        self._awaiting_rest: list[asyncio.Future[None]] = []
        super().__init__(_RestSelector(self))

    @property
    def is_rest_awaited(self) -> bool:
        """Somebody waits for rest, and no thread is at work."""
        return bool(self._awaiting_rest) and self._jobs == 0

    async def at_rest(self) -> None:
        """Return once nothing is left to do."""
        rest = self.create_future()
        self._awaiting_rest.append(rest)
        await rest

    def tell_rest(self) -> None:
        """Nothing is left to do now."""
        waiting, self._awaiting_rest = self._awaiting_rest, []
        for rest in waiting:
            if not rest.done():
                rest.set_result(None)

    def run_in_executor(self, executor: Executor | None, func: Callable[..., Any], *args: Any) -> Any:
        """Count the work of threads: it ends with an event of its own."""
        job = super().run_in_executor(executor, func, *args)
        self._jobs += 1
        job.add_done_callback(self._count_down)
        return job

    def _count_down(self, _job: object) -> None:
        self._jobs -= 1


class _RestSelector(selectors.DefaultSelector):  # type: ignore[misc, valid-type, unused-ignore]
    def __init__(self, loop: RestfulLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        would_block = timeout is None or timeout > 0
        if not would_block or not self._loop.is_rest_awaited:
            return super().select(timeout)
        for _ in range(_LOOKS):
            events = super().select(0)
            if events:
                return events
        self._loop.tell_rest()
        return []


class SteppedClock(Clock):
    """The clock of a site and of its charge points; it stands still until the test turns it."""

    def __init__(self, now: datetime) -> None:
        super().__init__()
        self._start = now
        self._elapsed_s = 0.0
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        """The start plus what the clock was turned by."""
        return self._start + timedelta(seconds=self._elapsed_s)

    def monotonic(self) -> float:
        """Seconds that the clock was turned by."""
        return self._elapsed_s

    async def sleep(self, seconds: float) -> None:
        """Return when the clock was turned past this point; infinity never returns."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        await self._alarm(seconds)

    async def wait_for(self, event: asyncio.Event, seconds: float) -> bool:
        """Wait until the event is set, or until the clock was turned past this point."""
        if event.is_set():
            return True
        alarm, waiting = self._alarm(max(0.0, seconds)), asyncio.ensure_future(event.wait())
        try:
            await asyncio.wait({alarm, waiting}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            alarm.cancel()
            waiting.cancel()
        return event.is_set()

    async def advance(self, seconds: float) -> None:
        """Turn the clock forward, waking the sleepers at their own times and waiting for rest after each."""
        until = self._elapsed_s + seconds
        await self._rest()
        while self._sleepers and self._sleepers[0][0] <= until:
            self._elapsed_s = max(self._elapsed_s, self._sleepers[0][0])
            if self._wake_due():
                await self._rest()
        self._elapsed_s = until
        await self._rest()

    async def advance_until(self, claim: Callable[[], object], most_s: float, *, step_s: float = 1.0) -> None:
        """Turn the clock forward step by step until the claim is true. AssertionError after `most_s` of the site."""
        began = self._elapsed_s
        await self._rest()
        while not claim():
            assert self._elapsed_s - began < most_s, f"not so within {most_s:g} s of the site"
            await self.advance(step_s)

    def _alarm(self, seconds: float) -> asyncio.Future[None]:
        alarm: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if seconds < float("inf"):
            heapq.heappush(self._sleepers, (self._elapsed_s + seconds, next(self._order), alarm))
        return alarm

    def _wake_due(self) -> bool:
        """Wake all whose time it is; whether there was anybody who still sleeps."""
        is_anybody = False
        while self._sleepers and self._sleepers[0][0] <= self._elapsed_s:
            _, _, alarm = heapq.heappop(self._sleepers)
            if not alarm.done():
                alarm.set_result(None)
                is_anybody = True
        return is_anybody

    async def _rest(self) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, RestfulLoop)
        await loop.at_rest()
