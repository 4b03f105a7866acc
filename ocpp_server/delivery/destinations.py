"""All destinations of a site: runs their engines, and keeps what waits for them within its share of the disk."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from ocpp_server.central_system import CentralSystem
from ocpp_server.clock import Clock
from ocpp_server.core.commands import DeliveryState
from ocpp_server.delivery.engine import Engine
from ocpp_server.delivery.standing import DeliveryStatus
from ocpp_server.storage.deliveries import Deliveries
from ocpp_server.storage.errors import LedgerError
from ocpp_server.storage.event_tables import KEPT_EVENTS
from ocpp_server.storage.ledger_rows import MOST_READINGS

log = logging.getLogger(__name__)

_TRIM_EVERY_S: Final = 60.0
_READINGS: Final = "readings"


class Destinations:
    """One loop. `most_bytes`: readings that wait may take so much; beyond it the oldest are dropped and counted."""

    def __init__(
        self,
        engines: Sequence[Engine],
        deliveries: Deliveries,
        central: CentralSystem,
        clock: Clock,
        *,
        most_bytes: int,
        least_kept: int = MOST_READINGS,
    ) -> None:
        """`least_kept`: so many readings are kept for the site itself, whatever becomes of the others."""
        self._engines = {engine.name: engine for engine in engines}
        self._deliveries = deliveries
        self._clock = clock
        self._most_bytes = most_bytes
        self._least_kept = least_kept
        if engines:
            central.listen_to_commits(self._committed)

    async def run(self) -> None:
        """Deliver for ever."""
        kept = [(engine.name, engine.outbox) for engine in self._engines.values()]
        try:
            await self._deliveries.forget_all_but(kept)
        except LedgerError as error:
            log.error("[FORWARD] ledger error=%s", error)
        async with asyncio.TaskGroup() as group:
            for engine in self._engines.values():
                group.create_task(engine.run(), name=engine.name)
            for outbox in sorted({outbox for _, outbox in kept}):
                group.create_task(self._trim_for_ever(outbox), name=f"trim {outbox}")

    def statuses(self) -> list[DeliveryStatus]:
        """How each of them stands."""
        return [engine.status() for engine in self._engines.values()]

    def states(self) -> tuple[DeliveryState, ...]:
        """What alerts depend on."""
        return tuple(
            DeliveryState(one.name, one.is_stuck, one.pause, one.set_aside, one.loss.at) for one in self.statuses()
        )

    def engine(self, name: str) -> Engine | None:
        """The one of this name."""
        return self._engines.get(name)

    async def trim(self, outbox: str = _READINGS) -> int:
        """Drop what is too much, of events none of a session; gives the last number of it, or 0. Raises LedgerError."""
        least_kept = self._least_kept if outbox == _READINGS else KEPT_EVENTS
        up_to = await asyncio.to_thread(self._deliveries.beyond, outbox, self._most_bytes, least_kept)
        if not up_to:
            return 0
        engines = [engine for engine in self._engines.values() if engine.outbox == outbox]
        for engine in engines:
            await engine.note()  # what was accepted a moment ago is not lost
        lost = await self._deliveries.drop(outbox, up_to, self._clock.now())
        for engine in engines:
            loss = await asyncio.to_thread(self._deliveries.loss, engine.name, outbox)
            engine.forget_up_to(up_to if outbox == _READINGS else 0, loss)  # events in memory may be of sessions
            if lost.get(engine.name):
                log.warning("[FORWARD] %s lost destination=%s count=%d", outbox, engine.name, lost[engine.name])
        return up_to

    async def _trim_for_ever(self, outbox: str) -> None:
        while True:
            try:
                await self.trim(outbox)
            except LedgerError as error:
                log.error("[FORWARD] ledger error=%s", error)
            await self._clock.sleep(_TRIM_EVERY_S)

    def _committed(self, _decisions: int, _seconds: float) -> None:
        for engine in self._engines.values():
            engine.wake()
