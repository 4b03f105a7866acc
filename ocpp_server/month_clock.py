"""Opens each month exactly once, also after downtime, across daylight saving and with a jumping clock (rule 11).

A gap across a stop of the server is downtime: the month is opened at the start. While the server runs, a wall clock
that disagrees with the monotonic one is suspect, and so is a gap of more than 400 days: then the month waits and an
alert says so. A month never rolls back by itself.
"""

import logging
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from ocpp_server.central_system import CentralSystem
from ocpp_server.clock import Clock
from ocpp_server.core.commands import OpenMonth, RaiseAlert, ResolveAlert
from ocpp_server.core.period import Month, month_of, month_start, next_month

log = logging.getLogger(__name__)

ALERT_ID = "clock"
_LOOK_EVERY_S = 30.0
_DISAGREEMENT = timedelta(minutes=2)
_LONGEST_DOWNTIME = timedelta(days=400)


class MonthClock:
    """One loop that looks at both clocks."""

    def __init__(self, central: CentralSystem, clock: Clock) -> None:
        self._central = central
        self._clock = clock
        self._wall: datetime | None = None
        self._monotonic = 0.0
        self._is_suspect = False

    async def open_at_start(self) -> None:
        """Open the month that it is now, before anything is booked."""
        now = self._clock.now()
        self._wall, self._monotonic = now, self._clock.monotonic()
        opened = self._central.site.open_month
        month = month_of(now, self._zone)
        if opened is not None and now - month_start(opened, self._zone) > _LONGEST_DOWNTIME:
            self._is_suspect = True
            await self._alert(now, f"{month} is more than 400 days after {opened}, the month that was open")
        else:
            await self._open(now, month)

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await self.look()
            await self._clock.sleep(self._until_next_look())

    async def look(self) -> None:
        """Open the month if a new one has begun and the clock can be believed."""
        now = self._clock.now()
        await self._compare_clocks(now)
        month = month_of(now, self._zone)
        opened = self._central.site.open_month
        if opened is not None and month <= opened:
            if self._is_suspect and month == opened:
                await self._resolve(now)
            return
        if not self._is_suspect:
            await self._open(now, month)

    async def _compare_clocks(self, now: datetime) -> None:
        monotonic = self._clock.monotonic()
        if self._wall is not None:
            expected = self._wall + timedelta(seconds=monotonic - self._monotonic)
            if abs(now - expected) > _DISAGREEMENT and month_of(now, self._zone) != self._central.site.open_month:
                self._is_suspect = True
                await self._alert(now, f"the clock jumped from {expected:%Y-%m-%d %H:%M} to {now:%Y-%m-%d %H:%M} UTC")
        self._wall, self._monotonic = now, monotonic

    async def _open(self, now: datetime, month: Month) -> None:
        await self._central.handle(OpenMonth(now, month))
        if self._is_suspect:
            await self._resolve(now)

    async def _alert(self, now: datetime, text: str) -> None:
        hint = "no month is opened; set the clock right and restart the server"
        log.error("[QUOTA] clock suspect text=%r hint=%r", text, hint)
        await self._central.handle(RaiseAlert(now, ALERT_ID, "clock suspect", f"{text}: {hint}"))

    async def _resolve(self, now: datetime) -> None:
        self._is_suspect = False
        await self._central.handle(ResolveAlert(now, ALERT_ID))

    def _until_next_look(self) -> float:
        now = self._clock.now()
        opened = self._central.site.open_month or month_of(now, self._zone)
        left = (month_start(next_month(opened), self._zone) - now).total_seconds()
        return left if 0 < left < _LOOK_EVERY_S else _LOOK_EVERY_S

    @property
    def _zone(self) -> ZoneInfo:
        return self._central.site.policy.zone
