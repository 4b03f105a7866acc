"""Days without the other system, in turned time, with restarts: nothing is lost under the cap, and what is, is counted
(F22).
"""

from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from outgoing import T0, Outgoing, ToldDestination, in_order

from ocpp_server.core.alerts import look_for_alerts
from ocpp_server.core.commands import LookForAlerts
from ocpp_server.core.delivery_alerts import LOST, STUCK
from ocpp_server.core.site import apply
from ocpp_server.delivery.destination import Accepted, Failed

CHARGERS = ("A", "B", "C", "D")
HOUR_S = 3600


class Outage:
    """A site whose receiver is away; its server dies now and then."""

    def __init__(self, folder: Path) -> None:
        self.site = Outgoing(folder)
        self.destinations: list[ToldDestination] = []
        self.is_over = False
        self.numbers: list[int] = []

    async def begin(self) -> None:
        """A life."""
        self.site.open()
        destination = ToldDestination(self.site.clock)
        destination.answer = lambda _items: Accepted() if self.is_over else Failed("no connection")
        self.destinations.append(destination)
        self.site.deliver(destination)
        await self.site.until_begun()

    async def last(self, hours: int, *, readings_an_hour: int, restart_every: int) -> None:
        """Readings come in all the time."""
        for hour in range(1, hours + 1):
            self.numbers += await self.site.add(*CHARGERS * (readings_an_hour // len(CHARGERS)))
            until_s = self.site.clock.monotonic() + HOUR_S
            while self.site.clock.monotonic() < until_s:
                await self.site.clock.advance(300)
                await self.site.clock.asleep()
            if hour % restart_every == 0:
                await (self.site.crash() if hour % (2 * restart_every) else self.site.end())
                await self.begin()

    def calls(self) -> list[float]:
        """When the receiver was called, in all lives."""
        return [at for destination in self.destinations for at, _ in destination.calls]

    def arrived(self, lane: str = "") -> list[int]:
        """In the order of their arrival, with repetitions."""
        return [number for destination in self.destinations for number in destination.numbers(lane)]

    def raised(self) -> set[str]:
        """Kinds of alerts that a look finds now."""
        now = self.site.clock.now()
        command = LookForAlerts(now, now, 10**12, 10**12, (), self.site.destinations.states())
        for change in look_for_alerts(self.site.site, command).changes:
            apply(self.site.site, change)
        return {alert.kind for alert in self.site.site.alerts.values()}


async def week(folder: Path, *, hours: int, readings_an_hour: int, restart_every: int) -> None:
    """An outage under the cap."""
    outage = Outage(folder)
    await outage.begin()
    await outage.last(hours, readings_an_hour=readings_an_hour, restart_every=restart_every)
    calls = outage.calls()
    last_life = [at for at, _ in outage.destinations[-1].calls]
    assert STUCK in outage.raised() or restart_every == 1  # an hour is too short to be sure of it

    outage.is_over = True
    await outage.site.until(lambda: set(outage.arrived()) == set(outage.numbers), step_s=60, limit_s=300)
    await outage.site.until(lambda: outage.site.engine.status().backlog == 0, step_s=5)

    # until it opens, 5 calls a life; then one in 5 minutes
    assert len(calls) <= 5 * len(outage.destinations) + hours * HOUR_S / 300
    assert min(later - earlier for earlier, later in pairwise(last_life[4:])) >= 300
    assert all(in_order(outage.arrived(lane)) for lane in CHARGERS)
    assert outage.site.engine.status().loss.lost == 0
    assert STUCK not in outage.raised()
    await outage.site.end()


async def test_a_day_of_outage_with_restarts_loses_nothing(tmp_path: Path) -> None:
    """The small version of the week."""
    await week(tmp_path, hours=24, readings_an_hour=40, restart_every=5)


@pytest.mark.prove
@pytest.mark.timeout(600)
async def test_a_week_of_outage_with_restarts_loses_nothing(tmp_path: Path) -> None:
    """Seven days, 10,000 readings, a restart every eleven hours, each other one a crash."""
    await week(tmp_path, hours=7 * 24, readings_an_hour=60, restart_every=11)


async def test_above_the_cap_the_oldest_are_dropped_counted_and_told(tmp_path: Path) -> None:
    """Never the newest that the site keeps for itself; the count survives a crash, and so does the alert."""
    outage = Outage(tmp_path)
    site = outage.site
    site.most_bytes, site.least_kept = 100_000, 50
    await outage.begin()
    await outage.last(12, readings_an_hour=80, restart_every=5)
    await site.until(lambda: site.engine.status().loss.lost, step_s=60)
    await site.destinations.trim()
    lost = site.engine.status().loss

    assert outage.raised() >= {LOST}
    await site.crash()
    await outage.begin()
    await site.until(lambda: site.engine.status().loss == lost)
    assert LOST in outage.raised()

    outage.is_over = True
    await site.until(lambda: site.engine.status().backlog == 0 and outage.arrived(), step_s=60)
    await site.until(lambda: site.deliveries.positions("forwarder", "readings") == {"": outage.numbers[-1]})
    arrived = set(outage.arrived())

    assert lost.lost > 0
    assert len(arrived) + lost.lost == len(outage.numbers)
    assert arrived == set(outage.numbers[lost.lost :])  # the oldest went
    assert lost.since is not None
    assert T0 < lost.since <= T0 + timedelta(hours=13)
    assert all(in_order(outage.arrived(lane)) for lane in CHARGERS)
    assert LOST in outage.raised()
    site.clock.jump(timedelta(days=8))
    assert LOST not in outage.raised()
    await site.end()


async def test_no_more_is_kept_than_the_site_needs_once_all_is_delivered(tmp_path: Path) -> None:
    """The readings that waited are let go of a thousand at a time, when new ones come."""
    outage = Outage(tmp_path)
    await outage.begin()
    outage.is_over = True
    for _ in range(30):
        outage.numbers += await outage.site.add(*CHARGERS * 60)
    await outage.site.until(lambda: len(set(outage.arrived())) == 7200, step_s=1)
    await outage.site.until(lambda: outage.site.deliveries.positions("forwarder", "readings") == {"": 7200})
    for _ in range(10):
        await outage.site.add(*CHARGERS * 63)
    (kept,) = outage.site.deliveries.read(lambda db: db.execute("SELECT count(*) FROM readings").fetchone())

    assert 5000 <= kept <= 5000 + 252
    await outage.site.end()
