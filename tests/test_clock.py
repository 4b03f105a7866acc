"""`clock`: one clock for the server, real or accelerated; and the turned one that the tests use."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from turned_clock import TurnedClock, let_others_run

from ocpp_server import clock as clock_module
from ocpp_server.clock import Clock

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """The machine's two clocks, to be turned by the test."""
    shown = {"wall": NOON.timestamp(), "boot": 1000.0}
    monkeypatch.setattr(clock_module.time, "time", lambda: shown["wall"])
    monkeypatch.setattr(clock_module.time, "clock_gettime", lambda _id: shown["boot"])
    return shown


def test_the_real_clock_shows_the_machines_time_in_utc(machine: dict[str, float]) -> None:
    """Times are aware datetimes in UTC."""
    clock = Clock()

    assert clock.now() == clock.real_now() == NOON
    assert clock.now().tzinfo is UTC
    assert clock.monotonic() == 1000.0


def test_an_accelerated_clock_starts_at_its_origin_and_runs_by_its_factor(machine: dict[str, float]) -> None:
    """A shared origin gives the same time in every process."""
    clock = Clock(60.0, NOON.timestamp() - 10)
    machine["wall"] += 1

    assert clock.now() == NOON - timedelta(seconds=10) + timedelta(seconds=11 * 60)
    assert clock.real_now() == NOON + timedelta(seconds=1)


def test_monotonic_seconds_are_those_of_the_site(machine: dict[str, float]) -> None:
    """They follow the boot clock, which a set wall clock does not touch."""
    clock = Clock(60.0, NOON.timestamp())
    before = clock.monotonic()
    machine["wall"] -= 86_400
    machine["boot"] += 2

    assert clock.monotonic() - before == 120


async def test_sleep_takes_the_factor_and_no_negative_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour of the site can take a minute; what is past is no wait."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(clock_module.asyncio, "sleep", sleep)
    await Clock(60.0).sleep(3600)
    await Clock(60.0).sleep(-5)

    assert slept == [60, 0]


async def test_wait_for_tells_whether_the_event_came() -> None:
    """True: it was set. False: the seconds of the site are over."""
    event = asyncio.Event()

    assert await Clock(1e9).wait_for(event, 3600) is False
    event.set()
    assert await Clock().wait_for(event, 3600) is True
    assert await Clock().wait_for(event, 0) is True


async def test_the_turned_clock_wakes_sleepers_in_order_and_at_their_time() -> None:
    """What the other tests stand on."""
    clock = TurnedClock(NOON)
    woken: list[tuple[str, datetime]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((name, clock.now()))

    async with asyncio.TaskGroup() as group:
        group.create_task(sleeper("late", 20))
        group.create_task(sleeper("early", 10))
        await clock.advance(30)

    assert woken == [("early", NOON + timedelta(seconds=10)), ("late", NOON + timedelta(seconds=20))]
    assert (clock.now(), clock.monotonic()) == (NOON + timedelta(seconds=30), 30)


async def test_the_turned_clock_waits_for_an_event_or_its_time() -> None:
    """As the real one; a jump moves the wall alone."""
    clock, event = TurnedClock(NOON), asyncio.Event()
    waiting = asyncio.create_task(clock.wait_for(event, 10))
    await clock.asleep()
    await clock.advance(9)
    assert not waiting.done()
    clock.jump(timedelta(days=1))
    await clock.advance(1)

    assert await waiting is False
    assert clock.now() == NOON + timedelta(days=1, seconds=10)
    waiting = asyncio.create_task(clock.wait_for(event, 10))
    event.set()
    await let_others_run()
    assert waiting.done()
    assert await waiting is True
