"""The clocks of the simulated site."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest

from simulator.clock import ManualClock, SimulatorClock, event_or_sleep


def test_an_accelerated_clock_runs_as_many_times_as_fast() -> None:
    """now() = origin + (real now − origin) × factor."""
    origin = time.time() - 10

    now = SimulatorClock(factor=60, origin=origin).now()

    assert abs(now - datetime.fromtimestamp(origin + 600, tz=UTC)) < timedelta(seconds=30)


def test_two_processes_with_the_same_origin_share_the_time() -> None:
    """The server and the simulator agree without talking."""
    environment = {"EVQUOTA_CLOCK_FACTOR": "1000", "EVQUOTA_CLOCK_ORIGIN": str(time.time() - 100)}

    one, other = SimulatorClock.from_environment(environment), SimulatorClock.from_environment(environment)

    assert abs(one.now() - other.now()) < timedelta(seconds=20)


def test_without_settings_the_clock_is_the_wall_clock() -> None:
    """A factor of 1 changes nothing."""
    clock = SimulatorClock.from_environment({})

    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=1)


@pytest.mark.parametrize("factor", ["0", "-1", "inf", "nan", "fast"])
def test_a_factor_that_is_no_positive_number_is_refused(factor: str) -> None:
    """The message tells what was expected and what came."""
    with pytest.raises(ValueError, match="expected a"):
        SimulatorClock.from_environment({"EVQUOTA_CLOCK_FACTOR": factor})


async def test_an_accelerated_sleep_takes_a_fraction_of_real_time() -> None:
    """An hour at 36 000 times is a tenth of a second."""
    clock = SimulatorClock(factor=36_000)
    began_s, began_real_s = clock.monotonic(), time.monotonic()

    await clock.sleep(3600)

    assert clock.monotonic() - began_s >= 3600
    assert time.monotonic() - began_real_s < 2


async def test_a_manual_clock_wakes_sleepers_in_order_and_at_their_own_time() -> None:
    """Two sleepers, turned past both at once, see 10 s and 20 s."""
    clock = ManualClock()
    seen: list[float] = []

    async def note_after(seconds: float) -> None:
        await clock.sleep(seconds)
        seen.append(clock.monotonic())

    tasks = [asyncio.create_task(note_after(seconds)) for seconds in (20, 10)]
    await clock.advance(60)
    await asyncio.gather(*tasks)

    assert seen == [10, 20]
    assert clock.now() == datetime(2025, 1, 15, 10, 31, tzinfo=UTC)


async def test_an_event_ends_the_wait_before_the_time() -> None:
    """The sleep that was not needed is cancelled and leaves nothing behind."""
    event = asyncio.Event()
    event.set()

    assert await event_or_sleep(ManualClock(), event, 1e9)
