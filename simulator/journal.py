"""What happened at a charge point: counts of messages by action, lines for people, and waiting for either."""

import asyncio
from collections import Counter
from collections.abc import Callable


def keep_silent(line: str) -> None:
    """The narrator of a charge point that nobody listens to."""
    del line


class Journal:
    """Counts what was sent and answered, tells it, and wakes whoever waits for it to become so."""

    def __init__(self, narrate: Callable[[str], None] = keep_silent) -> None:
        self.sent: Counter[str] = Counter()
        """Requests put on the wire, by action; a message sent again counts again."""
        self.acknowledged: Counter[str] = Counter()
        """Requests that got a CALLRESULT, by action."""
        self.refused: Counter[str] = Counter()
        """Requests that got a CALLERROR or an answer outside the schema, by action."""
        self.received: Counter[str] = Counter()
        """Requests of the central system, by action."""
        self.disobeyed = 0
        """RemoteStopTransactions that were ignored, rejected or left unanswered on purpose."""
        self._narrate = narrate
        self._changed = asyncio.Event()

    def count(self, counter: Counter[str], action: str) -> None:
        """Count one message and wake those who wait."""
        counter[action] += 1
        self.stir()

    def tell(self, line: str) -> None:
        """Pass on one readable line and wake those who wait."""
        self._narrate(line)
        self.stir()

    def stir(self) -> None:
        """Let everyone in `until` look again."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def until(self, claim: Callable[[], object], timeout_s: float = 10.0) -> None:
        """Return when the claim is true, looked at after each event. Raises TimeoutError after real seconds."""
        async with asyncio.timeout(timeout_s):
            while not claim():
                await self._changed.wait()
