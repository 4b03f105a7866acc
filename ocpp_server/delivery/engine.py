"""Brings one outbox to one destination: looks what the ledger holds behind its positions, sends it, notes that.

Nobody hands entries over: whatever was committed is found by looking, also after a crash, so each arrives at least
once. Lanes keep their order and go side by side. An entry that is refused three times is set aside; everything else is
tried again for ever, as `pace` allows.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from math import inf
from typing import Final, assert_never

from ocpp_server.clock import Clock
from ocpp_server.delivery.aside import Aside
from ocpp_server.delivery.destination import Accepted, Destination, Failed, Outcome, Refused, Skipped, Unauthorized
from ocpp_server.delivery.lanes import Lane, Lanes
from ocpp_server.delivery.outbox import DEFAULT, Item, Source
from ocpp_server.delivery.pace import DeliveryOptions, Pace, backoff_s
from ocpp_server.delivery.standing import DeliveryStatus, Standing
from ocpp_server.storage.deliveries import Deliveries, Loss
from ocpp_server.storage.errors import LedgerError

log = logging.getLogger(__name__)

REFUSALS: Final = 3
REFUSED_IN_A_ROW: Final = 20
"""Entries set aside one after the other: not they are wrong, but the address or the receiver."""
_PAGE: Final = 256
_MOST_HELD: Final = 1024
_LEAST_READY: Final = 64
_LAGGING_PAGE: Final = 64
_READ_EVERY_S: Final = 0.2
_NOTE_EVERY_S: Final = 1.0
_LOOK_EVERY_S: Final = 10.0
_TRY_AGAIN_S: Final = 60.0
_SHORTEST_REST_S: Final = 0.01


class Engine:
    """One loop, and a task for each lane that is sent."""

    def __init__(
        self,
        destination: Destination,
        source: Source,
        deliveries: Deliveries,
        clock: Clock,
        options: DeliveryOptions | None = None,
    ) -> None:
        self.name, self.outbox = destination.name, source.outbox
        self._destination, self._source = destination, source
        self._deliveries, self._clock = deliveries, clock
        self._options = options or DeliveryOptions()
        self._pace = Pace(self._options.jitter)
        self._changed = asyncio.Event()
        self._lanes = Lanes({DEFAULT: 0})
        self._noted: dict[str, int] = {}
        self._is_loaded = False
        self.aside = Aside(self.name, self.outbox, deliveries)
        self._sending = 0
        self._read_at_s = self._noted_at_s = self._counted_at_s = -inf
        self._refused_in_a_row = 0
        self._standing = Standing()

    def wake(self) -> None:
        """Something was committed: look, unless that is due anyway."""
        now_s = self._clock.monotonic()
        may_read = self._pace.wait_s(now_s) == 0 and now_s - self._read_at_s >= _READ_EVERY_S
        if may_read and self._source.newest() > self._lanes.read:
            self._changed.set()

    async def run(self) -> None:
        """Deliver for ever. What goes wrong here never ends the server: nobody who charges depends on it."""
        try:
            while True:
                try:
                    await self._deliver()
                except* LedgerError as group:
                    log.error("[FORWARD] ledger destination=%s error=%s", self.name, group.exceptions[0])
                except* Exception as group:
                    log.exception("[FORWARD] failed destination=%s", self.name, exc_info=group)
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    raise asyncio.CancelledError  # a failing lane at the same moment would have swallowed it
                self._sending = 0
                await self._clock.sleep(_TRY_AGAIN_S)
        finally:
            await self._destination.close()

    def status(self) -> DeliveryStatus:
        """As it stands now."""
        pause = self._pace.pause
        lowest = min(self._lanes.positions().values())
        is_stuck = bool(pause) or self._standing.is_stuck(self._clock.monotonic(), lowest)
        of_both = (self.name, self.outbox, self._pace.state, pause, self.aside.count)
        return self._standing.status(*of_both, is_stuck=is_stuck)

    def resume(self) -> None:
        """A person has looked: go on at once after a pause, or with the breaker open."""
        self._pace.resume()
        self._lanes.hurry()
        self.aside.lane.not_before_s = -inf
        self._refused_in_a_row = 0
        self._changed.set()

    async def resend(self, numbers: Sequence[int] | None = None) -> int:
        """Send again what was set aside (None: all of it); gives how many there are of these. Raises LedgerError."""
        try:
            return await self.aside.make_due(numbers)
        finally:
            self._changed.set()

    async def note(self) -> None:
        """Have the positions as they are in the ledger. Raises LedgerError."""
        positions = self._lanes.positions()
        if self._is_loaded and positions != self._noted:
            await self._deliveries.note(self.name, self.outbox, positions)
            self._noted = positions
        self._noted_at_s = self._clock.monotonic()

    def forget_up_to(self, number: int, loss: Loss) -> None:
        """The outbox has let go of these entries."""
        self._lanes.forget_up_to(number)
        self._standing.loss = loss
        self._counted_at_s = -inf
        self._changed.set()

    async def _deliver(self) -> None:
        await self._load()
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    self._changed.clear()
                    await self._fill()
                    self._dispatch(group)
                    await self._take_stock()
                    await self._clock.wait_for(self._changed, self._rest_s())
        finally:
            with suppress(LedgerError):
                await self.note()

    async def _load(self) -> None:
        """Where it stopped. A destination that is new begins with what comes from now on."""
        newest = await asyncio.to_thread(self._deliveries.newest, self.outbox)
        self._noted = await asyncio.to_thread(self._deliveries.positions, self.name, self.outbox)
        self._lanes = Lanes(self._noted or {DEFAULT: newest})
        self._standing.loss = await asyncio.to_thread(self._deliveries.loss, self.name, self.outbox)
        await self.aside.load()
        self._is_loaded = True
        await self.note()

    async def _fill(self) -> None:
        """Read on, unless enough is at hand or nothing may be sent anyway."""
        await self.aside.fill()
        now_s = self._clock.monotonic()
        if self._pace.wait_s(now_s) > 0 or self._lanes.at_hand(now_s) >= _LEAST_READY:
            return
        if self._source.newest() > self._lanes.read and now_s - self._read_at_s >= _READ_EVERY_S:
            self._lanes.make_room(_MOST_HELD)
            items, newest = await asyncio.to_thread(self._page, self._lanes.unread())
            self._lanes.add(items, newest if len(items) < _PAGE else 0)
            self._read_at_s = now_s if len(items) < _PAGE else -inf
        for name, after in list(self._lanes.lagging(now_s))[: self._options.lanes]:
            items = await asyncio.to_thread(self._source.page, after, _LAGGING_PAGE)
            self._lanes.add_lagging(name, items, _LAGGING_PAGE)

    def _page(self, after: Mapping[str, int]) -> tuple[list[Item], int]:
        """With the last number of the outbox just before: what a page does not have up to there is not wanted."""
        newest = self._deliveries.newest(self.outbox)
        return self._source.page(after, _PAGE), newest

    def _dispatch(self, group: asyncio.TaskGroup) -> None:
        now_s = self._clock.monotonic()
        if self._pace.wait_s(now_s) > 0:
            return
        lanes = self._lanes.ready(now_s)
        again = self.aside.lane
        if again.queue and not again.is_sending and again.not_before_s <= now_s:
            lanes.append(again)
        for lane in lanes:
            if self._sending >= self._pace.most_at_once(self._options.lanes):
                return
            lane.is_sending = True
            self._sending += 1
            group.create_task(self._send_lane(lane), name=f"{self.name} {lane.name}")

    async def _send_lane(self, lane: Lane) -> None:
        """One sending after the other, as long as they go well."""
        try:
            while lane.queue:
                items = lane.head(1 if lane is self.aside.lane else self._options.batch)
                if not await self._conclude(lane, items, await self._outcome(items)):
                    return
                if self._pace.wait_s(self._clock.monotonic()) > 0:
                    return
                if self._clock.monotonic() - self._noted_at_s >= _NOTE_EVERY_S:
                    self._changed.set()
        finally:
            lane.is_sending = False
            self._sending -= 1
            self._changed.set()

    async def _outcome(self, items: Sequence[Item]) -> Outcome:
        try:
            return await self._destination.send(items)
        except Exception as error:  # noqa: BLE001 - the edge of other people's systems
            # Its message may hold what the other side sent, or a header of ours.
            log.error("[FORWARD] broken destination=%s error=%s", self.name, type(error).__name__)
            return Failed(f"the server failed at sending ({type(error).__name__})")

    async def _conclude(self, lane: Lane, items: Sequence[Item], outcome: Outcome) -> bool:
        """Draw the consequences; gives whether the lane may go on at once."""
        match outcome:
            case Accepted():
                self._pace_well()
                self._refused_in_a_row = 0
                self._standing.delivered(len(items), self._clock.now())
                await self._settle(lane, items)
                return True
            case Skipped():
                await self._settle(lane, items)
                return True
            case Refused(reason):
                return await self._refuse(lane, items, reason)
            case Unauthorized(reason):
                self._fail(reason)
                self._stop(f"{reason}: it does not let this server in")
            case Failed(reason, wait_s):
                self._fail(reason)
                was_open = self._pace.is_open
                self._pace.failed(self._clock.monotonic(), wait_s)
                if self._pace.is_open and not was_open:
                    log.warning("[FORWARD] breaker open destination=%s error=%s", self.name, reason)
                lane.failures += 1
                lane.not_before_s = self._clock.monotonic() + backoff_s(lane.failures, self._options.jitter)
            case _:
                assert_never(outcome)
        return False

    async def _settle(self, lane: Lane, items: Sequence[Item]) -> None:
        if lane is self.aside.lane:
            await self.aside.release()
            return
        self._lanes.settle(lane, len(items))
        self._standing.backlog = max(0, self._standing.backlog - len(items))

    async def _refuse(self, lane: Lane, items: Sequence[Item], reason: str) -> bool:
        """It works, and does not want this. Of a batch each entry has its own chances."""
        self._fail(reason)
        self._pace_well()
        if len(items) > 1:
            lane.singly_until = items[-1].number
            return True
        lane.refusals += 1
        if lane.refusals < REFUSALS:
            lane.not_before_s = self._clock.monotonic() + backoff_s(lane.refusals, self._options.jitter)
            return False
        await self.aside.put(items[0], reason, self._clock.now(), is_again=lane is self.aside.lane)
        if lane is not self.aside.lane:
            self._lanes.settle(lane, 1)  # only now: a position must not pass what is nowhere else yet
        self._refused_in_a_row += 1
        if self._refused_in_a_row >= REFUSED_IN_A_ROW:
            self._stop(f"{reason} for {REFUSED_IN_A_ROW} entries in a row")
        return True

    def _pace_well(self) -> None:
        if self._pace.failures:
            log.info("[FORWARD] works again destination=%s", self.name)
        self._pace.answered()

    def _fail(self, reason: str) -> None:
        if self._standing.failed(reason, self._clock.now()) or not self._pace.failures:
            log.warning("[FORWARD] not delivered destination=%s error=%s", self.name, reason)

    def _stop(self, reason: str) -> None:
        self._pace.stop(reason)
        log.error("[FORWARD] paused destination=%s reason=%s", self.name, reason)

    async def _take_stock(self) -> None:
        """Now and then: positions to the ledger, the backlog, and how it was a while ago."""
        now_s = self._clock.monotonic()
        self._lanes.tidy()
        if now_s - self._noted_at_s >= _NOTE_EVERY_S:
            await self.note()
        if self._lanes.is_empty and self._source.newest() <= self._lanes.read:
            self._standing.all_delivered(works=self._pace.state == "ok")
        elif now_s - self._counted_at_s >= _LOOK_EVERY_S:
            self._counted_at_s = now_s
            self._standing.backlog = await asyncio.to_thread(self._source.count, self._lanes.positions())
        self._standing.sample(now_s, self._source.newest())

    def _rest_s(self) -> float:
        now_s = self._clock.monotonic()
        waits = [_LOOK_EVERY_S]
        if self._lanes.positions() != self._noted:
            waits.append(self._noted_at_s + _NOTE_EVERY_S - now_s)
        pace_s = self._pace.wait_s(now_s)
        if pace_s > 0:
            waits.append(pace_s)
        else:
            due = (self._lanes.next_due_s(), self.aside.lane.not_before_s, self._read_at_s + _READ_EVERY_S)
            waits += [due_s - now_s for due_s in due if due_s > now_s]
        return max(_SHORTEST_REST_S, min(waits))
