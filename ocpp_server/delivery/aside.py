"""What a destination refused: kept in the ledger, and sent once more when somebody asks for it."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime
from math import inf
from typing import Final

from ocpp_server.delivery.lanes import Lane
from ocpp_server.delivery.outbox import Item
from ocpp_server.storage.deliveries import Deliveries, SetAside

log = logging.getLogger(__name__)

_PAGE: Final = 64


class Aside:
    """Of one destination and one outbox. Every method that waits raises LedgerError."""

    def __init__(self, name: str, outbox: str, deliveries: Deliveries) -> None:
        self._of = (name, outbox)
        self._deliveries = deliveries
        self.count = 0
        """How many there are."""
        self.lane = Lane("set aside")
        """What is to be sent once more; it is outside the order of its charge point by now."""
        self._is_due = True

    async def load(self) -> None:
        """Begin with what the ledger holds."""
        self.count = await asyncio.to_thread(self._deliveries.count_aside, *self._of)
        self.lane = Lane("set aside")
        self._is_due = True

    async def fill(self) -> None:
        """Read what somebody asked for."""
        if self._is_due and not self.lane.queue:
            self._is_due = False
            due = await asyncio.to_thread(self._deliveries.aside, *self._of, is_due=True, limit=_PAGE)
            self.lane.queue.extend(Item(one.number, one.lane, one.key, one.body) for one in due)

    async def page(self, before: int | None, limit: int) -> list[SetAside]:
        """The newest first; `before`: only with smaller numbers."""
        return await asyncio.to_thread(self._deliveries.aside, *self._of, before=before, limit=limit)

    async def make_due(self, numbers: Sequence[int] | None) -> int:
        """These (None: all) are to be sent again; gives how many there are of them."""
        count = await self._deliveries.make_due(*self._of, numbers)
        self._is_due = True
        return count

    async def put(self, item: Item, reason: str, at: datetime, *, is_again: bool) -> None:
        """Keep it. `is_again`: it was here before, and is the first of the lane."""
        log.warning("[FORWARD] set aside destination=%s number=%d reason=%s", self._of[0], item.number, reason)
        entry = SetAside(item.number, item.lane, item.key, at, reason, False, item.body)
        await self._deliveries.set_aside(*self._of, entry)
        if is_again:
            self._drop_first()
        else:
            self.count = await asyncio.to_thread(self._deliveries.count_aside, *self._of)

    async def release(self) -> None:
        """The first of the lane was accepted after all."""
        await self._deliveries.release(*self._of, self.lane.queue[0].number)
        self.count = max(0, self.count - 1)
        self._drop_first()

    def _drop_first(self) -> None:
        self.lane.queue.popleft()
        self.lane.failures = self.lane.refusals = 0
        self.lane.not_before_s = -inf
        self._is_due = self._is_due or not self.lane.queue
