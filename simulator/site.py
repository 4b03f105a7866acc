"""A demo site: a dozen charge points and drivers who come and go at random, so that about half the site charges."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from simulator.behaviour import WELL_BEHAVED, Behaviour
from simulator.brands import EVLINK, GENERIC, LIVOLTEK, Brand
from simulator.charge_point import SimulatedChargePoint
from simulator.charging import ConnectorBusyError, SwipeRefusedError
from simulator.clock import Clock, first_of
from simulator.session import Session

DEMO_TAGS = tuple(f"DEMO{number:04}" for number in range(1, 21))
POWERS_W = (3_700.0, 7_400.0, 11_000.0, 22_000.0)
SHORTEST_SESSION_S, LONGEST_SESSION_S = 20 * 60.0, 4 * 3600.0
LONGEST_PAUSE_S = LONGEST_SESSION_S + SHORTEST_SESSION_S
"""Pauses are spread evenly from 0, so their mean is that of the sessions."""
UNKNOWN_TAG_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class DemoCharger:
    """One charge point of the demo site."""

    charger_id: str
    name: str
    brand: Brand
    behaviour: Behaviour = WELL_BEHAVED


DEMO_CHARGERS = (
    *(DemoCharger(f"LIVOLTEK_{n:02}", f"Car park A, bay {n}", LIVOLTEK) for n in range(1, 7)),
    *(DemoCharger(f"SCHNEIDER/EVlinkProAC_{n}", f"Car park B, bay {n}", EVLINK) for n in range(1, 5)),
    DemoCharger("GENERIC_01", "Visitors, bay 1", GENERIC),
    DemoCharger(
        "GENERIC_02",
        "Visitors, bay 2 (ignores the first remote stop)",
        GENERIC,
        Behaviour(ignore_remote_stop=True, remote_stop_failures=1),
    ),
)


class DemoSite:
    """Charge points and the drivers between them. The same seed gives the same choices."""

    def __init__(
        self,
        url: str,
        clock: Clock,
        seed: int = 1,
        narrate: Callable[[str, str], None] | None = None,
        chargers: tuple[DemoCharger, ...] = DEMO_CHARGERS,
    ) -> None:
        self._url = url
        self._clock = clock
        self._seed = seed
        self._narrate = narrate or (lambda _charger_id, _line: None)
        self._chargers = chargers
        self._tags_in_use: set[str] = set()
        self.charge_points: list[SimulatedChargePoint] = []

    async def run(self) -> None:
        """Run the site until cancelled."""
        async with asyncio.TaskGroup() as group:
            for charger in self._chargers:
                group.create_task(self._run_charger(charger), name=charger.charger_id)

    async def _run_charger(self, charger: DemoCharger) -> None:
        charge_point = SimulatedChargePoint(
            charger.charger_id,
            self._url,
            charger.brand,
            self._clock,
            charger.behaviour,
            narrate=lambda line: self._narrate(charger.charger_id, line),
        )
        self.charge_points.append(charge_point)
        await charge_point.open()
        try:
            await self._let_drivers_come(charge_point, Random(f"{self._seed} {charger.charger_id}"))
        finally:
            await charge_point.close()

    async def _let_drivers_come(self, charge_point: SimulatedChargePoint, random: Random) -> None:
        """One driver after the other; half the bays are taken when the demo opens."""
        pause_s = 0.0 if random.random() < 0.5 else random.uniform(0, LONGEST_PAUSE_S / 2)
        while True:
            await charge_point.booted()
            await self._clock.sleep(pause_s + random.uniform(5, 60))
            await self._serve_driver(charge_point, random)
            pause_s = random.uniform(0, LONGEST_PAUSE_S)

    async def _serve_driver(self, charge_point: SimulatedChargePoint, random: Random) -> None:
        id_tag = self._pick_tag(random)
        power_w = random.choice(POWERS_W)
        duration_s = random.uniform(SHORTEST_SESSION_S, LONGEST_SESSION_S)
        self._tags_in_use.add(id_tag)
        try:
            session = await charge_point.plug_in_and_swipe(
                1, id_tag, power_w, battery_wh=random.uniform(8_000, 60_000), ramp_s=20, unplug_after_s=30
            )
            await first_of(session.unplugged, self._clock.sleep(duration_s))
            await _leave(session)
        except (SwipeRefusedError, ConnectorBusyError):
            return
        finally:
            self._tags_in_use.discard(id_tag)

    def _pick_tag(self, random: Random) -> str:
        """A driver who is not charging elsewhere; now and then somebody nobody knows."""
        if random.random() < UNKNOWN_TAG_SHARE:
            return f"{random.getrandbits(32):08X}"
        return random.choice([tag for tag in DEMO_TAGS if tag not in self._tags_in_use] or list(DEMO_TAGS))


async def _leave(session: Session) -> None:
    session.request_stop("Local")
    await session.unplugged
