"""Opens each month exactly once, also after downtime, across daylight saving and with a jumping clock (rule 11).

A gap across a stop of the server is downtime: the month is opened at the start. A clock that is before the open month
or more than 400 days after it at the start, or whose wall time parts from its monotonic time while the server runs, is
suspect: then the month waits and an alert says so, until the clock agrees again with what it had been trusted for, or a
person confirms it. A month never rolls back by itself; a person can take a wrong one back (`core.months`).
"""

import logging
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from ocpp_server.central_system import CentralSystem
from ocpp_server.clock import Clock
from ocpp_server.core.commands import OpenMonth, RaiseAlert, ResolveAlert
from ocpp_server.core.months import CLOCK_ALERT, EARLIEST
from ocpp_server.core.period import Month, month_of, month_start, next_month

log = logging.getLogger(__name__)

ALERT_ID = CLOCK_ALERT
_LOOK_EVERY_S = 30.0
_DISAGREEMENT = timedelta(minutes=2)
_LONGEST_DOWNTIME = timedelta(days=400)


class MonthClock:
    """One loop that looks at both clocks."""

    def __init__(self, central: CentralSystem, clock: Clock) -> None:
        self._central = central
        self._clock = clock
        self._trusted: tuple[datetime, float] | None = None
        """Wall time and monotonic seconds when both were believed last; None: never since the start."""
        self._is_suspect = False

    async def open_at_start(self) -> None:
        """Open the month that it is now, before anything is booked."""
        await self.look()

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await self.look()
            await self._clock.sleep(self._until_next_look())

    async def look(self) -> None:
        """Open the month if a new one has begun and the clock can be believed.

        In the open month the clock is believed anew: right after an undo, so that it does not count as come back when
        it jumps to where it was wrong before.
        """
        now, monotonic = self._clock.now(), self._clock.monotonic()
        month = month_of(now, self._zone)
        doubt = self._doubt(now, monotonic, month)
        if doubt:
            await self._suspect(now, doubt)
            return
        self._trusted = now, monotonic
        opened = self._central.site.open_month
        if opened is None or month > opened:
            await self._central.handle(OpenMonth(now, month))
        self._is_suspect = False
        if ALERT_ID in self._central.site.alerts:  # perhaps of the last run
            await self._central.handle(ResolveAlert(now, ALERT_ID))

    def _doubt(self, now: datetime, monotonic: float, month: Month) -> str:
        """Why the clock cannot be believed, or a blank. In the open month it can do no harm."""
        opened = self._central.site.open_month
        if month == opened:
            return ""
        if self._trusted is None:
            return self._doubt_at_start(now, month, opened)
        wall, before = self._trusted
        expected = wall + timedelta(seconds=monotonic - before)
        if abs(now - expected) <= _DISAGREEMENT:
            return ""
        jump = f"the clock jumped from {expected:%Y-%m-%d %H:%M} to {now:%Y-%m-%d %H:%M} UTC"
        if now < EARLIEST:
            return jump
        if opened is not None and month < opened:
            return f"{jump}; {_undo(opened, month)}"
        return f"{jump}; if that is right, restart the server, or type month confirm {month}"

    def _doubt_at_start(self, now: datetime, month: Month, opened: Month | None) -> str:
        if now < EARLIEST:
            return f"it cannot be {now:%Y-%m-%d}"
        if opened is None:
            return ""
        if month < opened:
            return f"{month} is before {opened}, the month that is open; {_undo(opened, month)}"
        if now - month_start(opened, self._zone) > _LONGEST_DOWNTIME:
            far = f"{month} is more than 400 days after {opened}, the month that is open"
            return f"{far}; if that is right, type month confirm {month}"
        return ""

    async def _suspect(self, now: datetime, doubt: str) -> None:
        if self._is_suspect and ALERT_ID in self._central.site.alerts:
            return
        self._is_suspect = True
        log.error("[QUOTA] clock suspect reason=%r", doubt)
        await self._central.handle(RaiseAlert(now, ALERT_ID, "clock suspect", f"no month is opened: {doubt}"))

    def _until_next_look(self) -> float:
        now = self._clock.now()
        opened = self._central.site.open_month or month_of(now, self._zone)
        left = (month_start(next_month(opened), self._zone) - now).total_seconds()
        return left if 0 < left < _LOOK_EVERY_S else _LOOK_EVERY_S

    @property
    def _zone(self) -> ZoneInfo:
        return self._central.site.policy.zone


def _undo(opened: Month, month: Month) -> str:
    return f"if {opened} was opened by mistake, type month undo {opened} --to {month}"
