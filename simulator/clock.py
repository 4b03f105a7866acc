"""The time the simulated site lives in: as fast as the wall clock, faster, or turned by hand.

An accelerated clock gives the same time in every process that is given the same factor and origin.
"""

import asyncio
import heapq
import itertools
import os
import time
from collections.abc import Awaitable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Protocol

FACTOR_VARIABLE = "EVQUOTA_CLOCK_FACTOR"
ORIGIN_VARIABLE = "EVQUOTA_CLOCK_ORIGIN"


class Clock(Protocol):
    """What a simulated charge point asks of a clock; every second is a simulated one."""

    def now(self) -> datetime:
        """The time of day, aware, in UTC."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary point; never goes back."""

    async def sleep(self, seconds: float) -> None:
        """Return when that many simulated seconds have passed; infinity never returns."""


class SimulatorClock:
    """A wall clock that runs `factor` times as fast as the real one since `origin`.

    `origin` is in seconds since 1970; without one it is the moment of construction.
    """

    def __init__(self, factor: float = 1.0, origin: float | None = None) -> None:
        if not 0 < factor < float("inf"):
            msg = f"clock factor: expected a positive number, got {factor}"
            raise ValueError(msg)
        self.factor = factor
        self.origin = time.time() if origin is None else origin
        self._epoch = datetime.fromtimestamp(self.origin, tz=UTC)
        self._monotonic_start = time.monotonic()

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "SimulatorClock":
        """The clock of EVQUOTA_CLOCK_FACTOR and EVQUOTA_CLOCK_ORIGIN. Raises ValueError if they are no numbers."""
        origin = _number(environment, ORIGIN_VARIABLE)
        factor = _number(environment, FACTOR_VARIABLE)
        return cls(1.0 if factor is None else factor, origin)

    def now(self) -> datetime:
        """Origin + (real time − origin) × factor, in UTC."""
        return self._epoch + timedelta(seconds=(time.time() - self.origin) * self.factor)

    def monotonic(self) -> float:
        """Simulated seconds since this clock was made."""
        return (time.monotonic() - self._monotonic_start) * self.factor

    async def sleep(self, seconds: float) -> None:
        """Sleep `seconds` simulated seconds, which are `seconds / factor` real ones."""
        if seconds == float("inf"):
            await asyncio.Event().wait()
        await asyncio.sleep(max(0.0, seconds) / self.factor)


class ManualClock:
    """A clock that stands still until a test turns it."""

    def __init__(self, now: datetime = datetime(2025, 1, 15, 10, 30, tzinfo=UTC)) -> None:
        self._start = now
        self._elapsed_s = 0.0
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        """The start plus what the clock was advanced by."""
        return self._start + timedelta(seconds=self._elapsed_s)

    def monotonic(self) -> float:
        """Seconds advanced so far."""
        return self._elapsed_s

    async def sleep(self, seconds: float) -> None:
        """Return once the clock was advanced past this point."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed_s + seconds, next(self._order), woken))
        await woken

    async def advance(self, seconds: float) -> None:
        """Turn the clock forward, waking the sleepers one after the other, each at its own time."""
        until = self._elapsed_s + seconds
        await _let_others_run()
        while self._sleepers and self._sleepers[0][0] <= until:
            due, _, woken = heapq.heappop(self._sleepers)
            if woken.done():
                continue
            self._elapsed_s = max(self._elapsed_s, due)
            woken.set_result(None)
            await _let_others_run()
        self._elapsed_s = until
        await _let_others_run()


async def event_or_sleep(clock: Clock, event: asyncio.Event, seconds: float) -> bool:
    """Wait for the event, at most `seconds` simulated seconds; True if it is set."""
    await first_of(event.wait(), clock.sleep(seconds))
    return event.is_set()


async def first_of(*waits: Awaitable[object]) -> None:
    """Return when the first of these has ended; the others are cancelled (futures of others are left alone)."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _let_others_run() -> None:
    """Long enough for a woken task to act and to sleep again, where it need not wait for a socket."""
    for _ in range(20):
        await asyncio.sleep(0)


def _number(environment: Mapping[str, str], name: str) -> float | None:
    text = environment.get(name, "").strip()
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        msg = f"{name}: expected a number, got {text!r}"
        raise ValueError(msg) from None
