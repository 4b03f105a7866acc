"""The one clock of the server: real, or accelerated for the demo and the tests.

Everything that asks for the time or waits for it does so here, so that an hour of charging can take a minute. An
accelerated clock is shared with the simulator by its origin, and refused on a data folder that is not a demo's.
"""

import asyncio
import time
from datetime import UTC, datetime


class Clock:
    """Wall clock in UTC, monotonic seconds and waiting, all by the same factor.

    `factor`: seconds of the site per real second. `origin`: Unix time at which both clocks showed the same.
    """

    def __init__(self, factor: float = 1.0, origin: float | None = None) -> None:
        self.factor = factor
        self._origin = time.time() if origin is None else origin

    def now(self) -> datetime:
        """The site's time, aware, UTC."""
        real = time.time()
        if self.factor == 1.0:
            return datetime.fromtimestamp(real, UTC)
        return datetime.fromtimestamp(self._origin + (real - self._origin) * self.factor, UTC)

    def real_now(self) -> datetime:
        """The machine's time, whatever the factor: for what shows that the server is alive."""
        return datetime.fromtimestamp(time.time(), UTC)

    def monotonic(self) -> float:
        """Seconds of the site that never jump, from an arbitrary begin; they go on while the machine sleeps."""
        return time.clock_gettime(time.CLOCK_BOOTTIME) * self.factor

    async def sleep(self, seconds: float) -> None:
        """Wait for seconds of the site."""
        await asyncio.sleep(max(0.0, seconds) / self.factor)

    async def wait_for(self, event: asyncio.Event, seconds: float) -> bool:
        """Wait until the event is set, for at most these seconds of the site. True: it was set."""
        try:
            async with asyncio.timeout(max(0.0, seconds) / self.factor):
                return await event.wait()
        except TimeoutError:
            return False
