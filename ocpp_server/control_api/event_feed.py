"""The last events of the site, in a buffer of fixed size that every listener reads at its own pace.

An event is told when it is durable, like everything else. Whoever reads too slowly loses its place: there is no queue
of its own that could grow.
"""

import asyncio
import secrets
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from ocpp_server.central_system import CentralSystem
from ocpp_server.clock import Clock
from ocpp_server.control_api.site_events import ChangeReader, SiteEvent, envelope
from ocpp_server.core.changes import Change
from ocpp_server.storage.ledger_codec import encode

MOST_EVENTS: Final = 1000
MOST_LISTENERS: Final = 16


class TooManyListenersError(Exception):
    """All places are taken."""


class KeptEvent:
    """An event with its number; the text is made once, for all who read it."""

    __slots__ = ("_at", "_text", "event", "number")

    def __init__(self, number: int, event: SiteEvent, at: datetime) -> None:
        self.number = number
        self.event = event
        self._at = at
        self._text = b""

    def text(self, run: str) -> bytes:
        """As an event of Server-Sent Events (WHATWG HTML §9.2)."""
        if not self._text:
            event_id = f"{run}-{self.number}"
            data = encode(envelope(self.event, event_id, self._at)).encode()
            self._text = b"id: %b\nevent: %b\ndata: %b\n\n" % (event_id.encode(), self.event.kind.encode(), data)
        return self._text


class EventFeed:
    """Numbers go on while the server runs; `run_id` tells its runs apart."""

    def __init__(self, central: CentralSystem, clock: Clock) -> None:
        self.run_id = secrets.token_hex(4)
        self.is_closed = False
        self.last_number = 0
        self._central = central
        self._clock = clock
        self._reader = ChangeReader(central.site)
        self._kept: deque[KeptEvent] = deque(maxlen=MOST_EVENTS)
        self._pending: list[Change] = []
        self._is_due = asyncio.Event()
        self._listeners: set[asyncio.Event] = set()
        central.listen(self._take)

    @property
    def oldest_number(self) -> int:
        """Of the events that are still here; the next one's if there is none."""
        return self._kept[0].number if self._kept else self.last_number + 1

    async def run(self) -> None:
        """Tell what is durable, for ever."""
        while True:
            await self._is_due.wait()
            self._is_due.clear()
            applied = self._central.applied
            pending, self._pending = self._pending, []
            await self._central.until_durable(applied)
            self._tell(pending)

    def since(self, number: int, most: int) -> list[KeptEvent]:
        """Events with a higher number, oldest first."""
        skipped = max(0, number + 1 - self.oldest_number)
        return [self._kept[at] for at in range(skipped, min(skipped + most, len(self._kept)))]

    @contextmanager
    def listening(self) -> Iterator[asyncio.Event]:
        """A place among the listeners, with an event that is set when there is something new. Raises
        TooManyListenersError.
        """
        if len(self._listeners) >= MOST_LISTENERS:
            raise TooManyListenersError
        wake = asyncio.Event()
        self._listeners.add(wake)
        try:
            yield wake
        finally:
            self._listeners.discard(wake)

    def close(self) -> None:
        """The server stops: whoever listens comes to its end."""
        self.is_closed = True
        self._wake()

    def _take(self, changes: Sequence[Change]) -> None:
        self._pending.extend(changes)
        self._is_due.set()

    def _tell(self, changes: Sequence[Change]) -> None:
        at = self._clock.now()
        before = self.last_number
        for change in changes:
            for event in self._reader.events_of(change):
                self.last_number += 1
                self._kept.append(KeptEvent(self.last_number, event, at))
        if self.last_number != before:
            self._wake()

    def _wake(self) -> None:
        for wake in self._listeners:
            wake.set()
