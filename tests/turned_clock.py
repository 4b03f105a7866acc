"""A clock of the server that stands still until a test turns it."""

import asyncio
import heapq
import itertools
from datetime import UTC, datetime, timedelta

from ocpp_server.clock import Clock

LIMIT_S = 20


class TurnedClock(Clock):
    """Wall and monotonic time that only `advance` and `jump` move; sleepers wake one after the other, each in time."""

    def __init__(self, now: datetime = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)) -> None:
        super().__init__()
        self._wall = now
        self._elapsed_s = 0.0
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._has_sleeper = asyncio.Event()

    def now(self) -> datetime:
        return self._wall + timedelta(seconds=self._elapsed_s)

    def real_now(self) -> datetime:
        return self.now()

    def monotonic(self) -> float:
        return self._elapsed_s

    def jump(self, by: timedelta) -> None:
        """Set the wall clock only, as NTP or a person does."""
        self._wall += by

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed_s + seconds, next(self._order), woken))
        self._has_sleeper.set()
        await woken

    async def wait_for(self, event: asyncio.Event, seconds: float) -> bool:
        waits = [asyncio.ensure_future(event.wait()), asyncio.ensure_future(self.sleep(seconds))]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.wait(waits)  # not each by itself: then our own end would be taken for theirs
        return event.is_set()

    def sleepers(self) -> int:
        """How many sleep here now; who waits for a thread or a socket does not."""
        return sum(not woken.done() for _, _, woken in self._sleepers)

    async def asleep(self) -> None:
        """Wait (really) until somebody sleeps here, for example when a thread has ended its work."""
        async with asyncio.timeout(LIMIT_S):
            while not any(not woken.done() for _, _, woken in self._sleepers):
                self._has_sleeper.clear()
                await self._has_sleeper.wait()

    async def advance(self, seconds: float) -> None:
        """Turn the clock forward."""
        until = self._elapsed_s + seconds
        await let_others_run()
        while self._sleepers and self._sleepers[0][0] <= until:
            due, _, woken = heapq.heappop(self._sleepers)
            if woken.done():
                continue
            self._elapsed_s = max(self._elapsed_s, due)
            woken.set_result(None)
            await let_others_run()
        self._elapsed_s = until
        await let_others_run()


async def let_others_run() -> None:
    """Long enough for woken tasks to act and to sleep again, where they need not wait for a thread or a socket."""
    for _ in range(50):
        await asyncio.sleep(0)
