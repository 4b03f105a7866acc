"""A tiny central system and charge points on a clock that the test turns."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from tiny_central_system import TinyCentralSystem

from simulator import GENERIC, Brand, ManualClock, SimulatedChargePoint

Plug = Callable[..., Any]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def central() -> AsyncIterator[TinyCentralSystem]:
    async with TinyCentralSystem() as system:
        yield system


@pytest.fixture
async def plug(central: TinyCentralSystem, clock: ManualClock) -> AsyncIterator[Plug]:
    """Give a function that makes charge points, booted, and switch them off at the end."""
    async with AsyncExitStack() as stack:

        async def make(charger_id: str = "CP1", brand: Brand = GENERIC, **options: Any) -> SimulatedChargePoint:
            return await stack.enter_async_context(
                SimulatedChargePoint(charger_id, central.url, brand, options.pop("clock", clock), **options)
            )

        yield make
