"""A ledger with readings, and destinations that live and die beside it; a destination that does as it is told."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from turned_clock import LIMIT_S, TurnedClock

from ocpp_server.central_system import CentralSystem
from ocpp_server.core import changes as ch
from ocpp_server.core.energy import Wh
from ocpp_server.core.records import Reading
from ocpp_server.core.site import Policy, apply
from ocpp_server.core.users import IdTag
from ocpp_server.delivery.destination import Accepted, Destination, Outcome
from ocpp_server.delivery.destinations import Destinations
from ocpp_server.delivery.engine import Engine
from ocpp_server.delivery.outbox import Item
from ocpp_server.delivery.pace import DeliveryOptions
from ocpp_server.delivery.reading_outbox import ReadingOutbox
from ocpp_server.storage.deliveries import Deliveries
from ocpp_server.storage.ledger import Ledger

T0 = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
REST_S = 1.0
EAGER = DeliveryOptions(jitter=lambda limit_s: limit_s)
"""The longest waits that chance may bring, so that a test knows them."""


def reading(number: int, charge_point_id: str, at: datetime = T0) -> Reading:
    """One of its kind."""
    register = Wh(number * 10)
    return Reading(
        number, f"{charge_point_id}/1/{number}", at, charge_point_id, 1, 1, IdTag("T"), "John Doe", 7200, register, None
    )


class ToldDestination:
    """Accepts everything, unless `answer` says otherwise. `calls`: when, which lane, which keys."""

    def __init__(self, clock: TurnedClock, name: str = "forwarder") -> None:
        self.name = name
        self._clock = clock
        self.answer: Callable[[Sequence[Item]], Outcome | Awaitable[Outcome]] = lambda _items: Accepted()
        self.calls: list[tuple[float, list[Item]]] = []
        self.accepted: list[Item] = []
        self.is_closed = False

    async def send(self, items: Sequence[Item]) -> Outcome:
        self.calls.append((self._clock.monotonic(), list(items)))
        outcome = self.answer(items)
        if not isinstance(outcome, tuple):
            outcome = await outcome
        if isinstance(outcome, Accepted):
            self.accepted += items
        return outcome

    async def close(self) -> None:
        self.is_closed = True

    def numbers(self, lane: str = "") -> list[int]:
        """Of what was accepted, in its order."""
        return [item.number for item in self.accepted if lane in ("", item.lane)]


class Outgoing:
    """One data folder over several lives of its server."""

    def __init__(self, folder: Path, clock: TurnedClock | None = None) -> None:
        self.clock = clock or TurnedClock(T0)
        self.path = folder / "ledger.db"
        self.most_bytes, self.least_kept = 64 * 1024 * 1024, 5000
        self._task: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Begin a life; nothing runs yet."""
        self.ledger = Ledger(self.path, Policy(ZoneInfo("UTC")), self.clock.now(), reserve_bytes=0)
        self.ledger.open()
        self.site = self.ledger.load()
        self.deliveries = Deliveries(self.ledger)
        self.central = CentralSystem(self.ledger, self.site)

    def deliver(self, *destinations: Destination, options: DeliveryOptions = EAGER) -> None:
        """Let the engines run."""
        source = ReadingOutbox(self.deliveries, self.site)
        self.engines = [Engine(one, source, self.deliveries, self.clock, options) for one in destinations]
        self.destinations = Destinations(
            self.engines,
            self.deliveries,
            self.central,
            self.clock,
            most_bytes=self.most_bytes,
            least_kept=self.least_kept,
        )
        self._task = asyncio.create_task(self.destinations.run())

    @property
    def engine(self) -> Engine:
        return self.engines[0]

    async def add(self, *charge_point_ids: str) -> list[int]:
        """A reading of each, in one commit; gives their numbers."""
        first = self.site.next_reading_number
        changes = [
            ch.AddReading(reading(first + place, one, self.clock.now())) for place, one in enumerate(charge_point_ids)
        ]
        await self.ledger.commit(changes)
        for change in changes:
            apply(self.site, change)
        if self._task is not None:
            for engine in self.engines:
                engine.wake()
        return [change.reading.number for change in changes]

    async def until(self, condition: Callable[[], object], *, step_s: float = 0.5, limit_s: float = LIMIT_S) -> None:
        """Turn the clock on until this is so, for so many real seconds at most."""
        give_up = time.monotonic() + limit_s
        while not condition():
            assert time.monotonic() < give_up, "not in time"
            assert self._task is None or not self._task.done()
            await self._rest()
            if not condition():
                await self.clock.advance(step_s)

    async def _rest(self) -> None:
        """Let threads and sockets have their real time: else hours pass by the clock while a busy machine reads a page.

        At rest each engine sleeps, and who trims for them all. A socket may keep one waiting for longer.
        """
        give_up = time.monotonic() + REST_S
        await asyncio.sleep(0.001)
        while self._task is not None and self.clock.sleepers() <= len(self.engines) and time.monotonic() < give_up:  # noqa: ASYNC110
            await asyncio.sleep(0.001)

    async def until_begun(self) -> None:
        """Wait until every engine has its positions in the ledger."""
        await self.until(lambda: all(self.deliveries.positions(one.name, one.outbox) for one in self.engines))

    async def end(self) -> None:
        """As at a SIGTERM."""
        await self._cancel()
        self.ledger.close()

    async def crash(self) -> None:
        """As at a SIGKILL: nothing is noted any more."""
        self.ledger.close()
        await self._cancel()

    async def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None


def in_order(numbers: Sequence[int]) -> bool:
    """Each number comes for the first time after all smaller ones: what a restart sends again does not count."""
    first_times = list(dict.fromkeys(numbers))
    return first_times == sorted(first_times)
