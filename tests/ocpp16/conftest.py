"""A gateway on a free port, the recording central system behind it, and charge points that hang up in the end."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest
import uvloop
from ocpp16_doubles import Charger, Dial, Listen, RecordingCentral, open_door

from ocpp_server.clock import Clock
from ocpp_server.ocpp16.gateway import Gateway
from ocpp_server.ocpp16.options import GatewayOptions

OPTIONS = GatewayOptions(host="127.0.0.1", port=0, max_message_rate=0)


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """How connections are accepted and encrypted is the loop's own business: those tests run on both kinds."""
    both = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    return both if item.path.name == "test_entrance.py" else {"asyncio": asyncio.new_event_loop}


@pytest.fixture
def central() -> RecordingCentral:
    return RecordingCentral()


@pytest.fixture
async def listen(central: RecordingCentral) -> AsyncIterator[Listen]:
    """Give a function that starts a gateway with other options, and a clock of another speed."""
    async with AsyncExitStack() as stack:

        async def start(factor: float = 1.0, **options: Any) -> Gateway:
            gateway = Gateway(central, Clock(factor), replace(OPTIONS, **options), open_door())
            await stack.enter_async_context(gateway.listening())
            return gateway

        yield start


@pytest.fixture
async def gateway(listen: Listen) -> Gateway:
    return await listen()


@pytest.fixture
async def dial(gateway: Gateway) -> AsyncIterator[Dial]:
    """Give a function that connects a charge point."""
    chargers: list[Charger] = []

    async def connect(*arguments: Any, **options: Any) -> Charger:
        chargers.append(await Charger.dial(options.pop("port", gateway.port), *arguments, **options))
        return chargers[-1]

    yield connect
    for charger in chargers:
        await charger.hang_up()
