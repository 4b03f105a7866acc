"""Looks charge points over after a boot, and asks those that come back without one (rules 24 and 27).

Two loops that look at the state and at the connections; whatever is interrupted is found again by the next look.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from ocpp_server.clock import Clock
from ocpp_server.core.commands import RecordConfiguration
from ocpp_server.core.leaks import INTERVAL_KEY, LONGEST_VALUE, SAMPLED_KEY, is_within, right_interval, right_sampled
from ocpp_server.ocpp16.charge_point import ChargePointConnection
from ocpp_server.ocpp16.commands import ConfigurationKey, RemoteCalls, configuration_of
from ocpp_server.ocpp16.handlers import CentralSystem
from ocpp_server.ocpp16.outgoing import NO_ANSWER, OFFLINE

log = logging.getLogger(__name__)

PING_KEY = "WebSocketPingInterval"

_LOOK_EVERY_S = 1.0
_SHORTEST_LOOK_REAL_S = 0.05
_BOOT_PATIENCE_S = 10.0
_MOST_SILENCES = 3
_LONGEST_PING_S = 60
_NEEDED_KEYS = (INTERVAL_KEY, SAMPLED_KEY)


@dataclass(frozen=True, slots=True)
class WantedConfiguration:
    """What quota control needs of a charge point."""

    meter_interval_s: int = 60
    charger_ping_interval_s: int = 30
    """0: leave the charge point's own pings as they are."""


class Configurator:
    """Reads a charge point's configuration once after a boot and sets at most three keys, where they are not right."""

    def __init__(
        self,
        calls: RemoteCalls,
        central: CentralSystem,
        clock: Clock,
        needs_configuration: Callable[[], list[str]],
        wanted: WantedConfiguration,
    ) -> None:
        """`needs_configuration`: ids of connected charge points that booted since they were last looked over."""
        self._calls = calls
        self._central = central
        self._clock = clock
        self._needs_configuration = needs_configuration
        self._wanted = wanted
        self._in_hand: set[str] = set()
        self._silences: Counter[str] = Counter()

    async def run(self) -> None:
        """Look for ever. Raises what the central system raises."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                for charge_point_id in self._needs_configuration():
                    if charge_point_id not in self._in_hand:
                        self._in_hand.add(charge_point_id)
                        tasks.create_task(self._look_over(charge_point_id))
                await _pause(self._clock)

    async def _look_over(self, charge_point_id: str) -> None:
        try:
            keys = await self._read(charge_point_id)
            if keys is None:
                return
            for key, value in changes_to(keys, self._wanted):
                status = await self._calls.change_configuration(charge_point_id, key, value)
                log.info("[CONFIGURATION] set charge_point=%s key=%s status=%s", charge_point_id, key, status)
                if status in ("Accepted", "RebootRequired"):
                    await self._record(charge_point_id, ((key, value),))
        finally:
            self._in_hand.discard(charge_point_id)

    async def _read(self, charge_point_id: str) -> tuple[ConfigurationKey, ...] | None:
        """Its configuration, recorded before anything is changed: what crashes it must not be done again and again."""
        if self._silences[charge_point_id] >= _MOST_SILENCES:
            log.info("[CONFIGURATION] given up charge_point=%s", charge_point_id)
            await self._record(charge_point_id, (), is_complete=True)
            return None
        answer = await self._calls.read_configuration(charge_point_id)
        if answer.status == OFFLINE:
            return None
        self._silences[charge_point_id] = self._silences[charge_point_id] + 1 if answer.status == NO_ANSWER else 0
        keys = configuration_of(answer)
        missing = _missing(keys) if answer.is_answered else ()
        if missing:  # some list a part only (Growatt): by name they tell more, and what is unknown is not written
            more = await self._calls.read_configuration(charge_point_id, missing)
            keys += configuration_of(more) if more.is_answered else ()
        readonly = tuple(one.key for one in keys if one.is_readonly)
        told = tuple((one.key, one.value) for one in keys)
        await self._record(charge_point_id, told, is_complete=True, readonly=readonly)
        return keys

    async def _record(
        self,
        charge_point_id: str,
        keys: tuple[tuple[str, str], ...],
        *,
        is_complete: bool = False,
        readonly: tuple[str, ...] = (),
    ) -> None:
        await self._central.handle(
            RecordConfiguration(charge_point_id, self._clock.now(), keys, is_complete=is_complete, readonly=readonly)
        )


def changes_to(keys: Iterable[ConfigurationKey], wanted: WantedConfiguration) -> list[tuple[str, str]]:
    """The keys to set and their values: only listed, writable ones that are not right already (rule 27)."""
    known = {one.key.casefold(): one for one in keys if not one.is_readonly}
    changes: list[tuple[str, str | None]] = []
    interval = known.get(INTERVAL_KEY.casefold())
    if interval is not None:
        changes.append((interval.key, right_interval(interval.value, wanted.meter_interval_s)))
    sampled = known.get(SAMPLED_KEY.casefold())
    if sampled is not None:
        changes.append((sampled.key, right_sampled(sampled.value)))
    ping = known.get(PING_KEY.casefold())
    if ping is not None and wanted.charger_ping_interval_s and not is_within(ping.value, _LONGEST_PING_S):
        changes.append((ping.key, str(wanted.charger_ping_interval_s)))
    return [(key, value) for key, value in changes if value is not None and len(value) <= LONGEST_VALUE]


class Reconnections(Protocol):
    """Who is connected and has not booted since."""

    def not_booted(self, after_s: float) -> list[ChargePointConnection]:
        """Connections older than these seconds of the site on which no BootNotification came."""


class BootAsker:
    """Asks a charge point that reconnected without a boot, once, for BootNotification and StatusNotification.

    It need not boot again (OCPP-J §5.4; Wallbox and Webasto do not), but brand and connectors may be unknown here.
    """

    def __init__(self, calls: RemoteCalls, connections: Reconnections, clock: Clock) -> None:
        self._calls = calls
        self._connections = connections
        self._clock = clock
        self._asked: set[ChargePointConnection] = set()

    async def run(self) -> None:
        """Look for ever."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                silent = set(self._connections.not_booted(_BOOT_PATIENCE_S))
                new = silent - self._asked
                self._asked = silent  # those that ended or booted are forgotten with it
                for connection in new:
                    tasks.create_task(self._ask(connection.charge_point_id))
                await _pause(self._clock)

    async def _ask(self, charge_point_id: str) -> None:
        for requested in ("BootNotification", "StatusNotification"):
            status = await self._calls.trigger_message(charge_point_id, requested)
            log.info("[CONNECT] asked charge_point=%s for=%s status=%s", charge_point_id, requested, status)


def _missing(keys: tuple[ConfigurationKey, ...]) -> tuple[str, ...]:
    listed = {one.key.casefold() for one in keys}
    return tuple(key for key in _NEEDED_KEYS if key.casefold() not in listed)


async def _pause(clock: Clock) -> None:
    """Wait for the next look; not in a rush on a clock that runs very fast."""
    await clock.sleep(max(_LOOK_EVERY_S, _SHORTEST_LOOK_REAL_S * clock.factor))
