# The ocpp package ships no types.
# mypy: disable-error-code=import-untyped
"""The queue of transaction-related messages: ordered, kept while offline, resent until acknowledged (OCPP 1.6 §3.7)."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ocpp.exceptions import OCPPError

from simulator.clock import Clock
from simulator.configuration import Configuration
from simulator.frames import Request
from simulator.journal import Journal
from simulator.link import Link, LinkDownError


def _nothing(_confirmation: Any) -> None:
    """The confirmation tells nothing."""


@dataclass(frozen=True, slots=True)
class Queued:
    """A message that waits to be sent. It is built anew for each attempt: the transaction id may be known by then."""

    build: Callable[[], Request]
    settle: Callable[[Any], None] = _nothing
    """Called with the confirmation, or with None when the charge point gave up (§3.7.1)."""
    copies: int = 1
    """Sent so often, each time under a new message id; the last answer counts."""
    is_outside_schema: bool = False


class Outbox:
    """Sends one message at a time, the oldest first, whenever there is a connection and the boot was accepted."""

    def __init__(
        self, *, link: Link, registered: asyncio.Event, configuration: Configuration, clock: Clock, journal: Journal
    ) -> None:
        self._link = link
        self._registered = registered
        self._configuration = configuration
        self._clock = clock
        self._journal = journal
        self._queue: deque[Queued] = deque()
        self._filled = asyncio.Event()

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def is_open(self) -> bool:
        """Whether a message put in now would be sent now."""
        return self._link.up.is_set() and self._registered.is_set()

    def put(self, message: Queued) -> None:
        """Queue the message behind all others."""
        self._queue.append(message)
        self._filled.set()
        self._journal.stir()

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            await self._filled.wait()
            await self._registered.wait()
            await self._link.up.wait()
            confirmation = await self._deliver(self._queue[0])
            if isinstance(confirmation, _NotDelivered):
                continue
            message = self._queue.popleft()
            if not self._queue:
                self._filled.clear()
            message.settle(confirmation)
            self._journal.stir()

    async def _deliver(self, message: Queued) -> Any:
        attempts = max(1, self._configuration.seconds("TransactionMessageAttempts"))
        for attempt in range(1, attempts + 1):
            try:
                return await self._send(message)
            except (LinkDownError, TimeoutError):
                return _NotDelivered()
            except OCPPError as error:
                self._journal.tell(f"attempt {attempt} of {attempts} was answered with {error}")
            if attempt < attempts:
                pause_s = self._configuration.seconds("TransactionMessageRetryInterval") * attempt
                await self._clock.sleep(pause_s)
        return None

    async def _send(self, message: Queued) -> Any:
        confirmation = None
        for _ in range(message.copies):
            confirmation = await self._link.call(message.build(), is_outside_schema=message.is_outside_schema)
        return confirmation


class _NotDelivered:
    """No answer came, so the message stays at the head of the queue."""
