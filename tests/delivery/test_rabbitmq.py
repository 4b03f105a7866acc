"""RabbitMQ: the real one, killed and restarted in mid-stream (issue 6)."""

import asyncio
import gc
import json
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import aio_pika
import pytest
from aio_pika.abc import AbstractQueue
from canaries import CANARY_SECRET, trace_in
from ocpp_caller import OcppCaller
from rabbitmq_node import SERVER, RabbitNode
from server_process import ServerProcess, make_site
from server_process import until as until_in_process
from told_events import ledger_with, mixed, quota, session, status

from ocpp_server.clock import Clock
from ocpp_server.delivery.destination import Accepted, Failed, Unauthorized
from ocpp_server.delivery.engine import Engine
from ocpp_server.delivery.event_outbox import EventOutbox
from ocpp_server.delivery.outbox import DEFAULT, Item
from ocpp_server.delivery.rabbitmq import RabbitMq, event_key, reading_key
from ocpp_server.storage.deliveries import Deliveries
from ocpp_server.storage.event_documents import event_document
from ocpp_server.storage.ledger import Ledger

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(not SERVER.exists(), reason=f"needs RabbitMQ: {SERVER} is not there"),
]
LIMIT_S = 120


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitNode]:
    """One for all these tests, as it takes its time to start."""
    node = RabbitNode(tmp_path_factory.mktemp("rabbitmq"))
    try:
        node.start()
        yield node
    finally:
        node.close()


@asynccontextmanager
async def queue_of(node: RabbitNode, exchange: str, *keys: str, is_new: bool = True) -> AsyncIterator[AbstractQueue]:
    """A durable queue that is bound to an exchange with these keys, as a receiver has it."""
    connection = await aio_pika.connect(node.url)
    async with connection, connection.channel() as channel:
        queue = await channel.declare_queue(f"queue of {exchange}", durable=True, passive=not is_new)
        if is_new:
            topics = await channel.declare_exchange(exchange, aio_pika.ExchangeType.TOPIC, durable=True)
            for key in keys:
                await queue.bind(topics, key)
        yield queue


async def messages_in(queue: AbstractQueue) -> list[Any]:
    """All that wait there."""
    found = []
    while (message := await queue.get(no_ack=True, fail=False)) is not None:
        found.append(message)
    return found


def items_of(*events: Any) -> list[Item]:
    """As the outbox gives them."""
    documents = [event_document(number, event) for number, event in enumerate(events, start=1)]
    return [Item(number, "lane", one["id"], one) for number, one in enumerate(documents, start=1)]


async def test_receivers_choose_by_the_routing_key(node: RabbitNode) -> None:
    """Its type is the key of an event; a reading's is reading.<charge point>. All of it is durable."""
    events = RabbitMq("rabbitmq-events", node.url, "chosen", event_key)
    readings = RabbitMq("rabbitmq-readings", node.url, "chosen", reading_key)
    async with queue_of(node, "chosen", "session.*", "reading.#") as queue:
        assert await events.send(items_of(session(), status(), quota())) == Accepted()
        assert await readings.send([Item(1, "LIVOLTEK_01", "abc", {"ID": "abc"})]) == Accepted()
        found = await messages_in(queue)
    await events.close()
    await readings.close()

    assert [message.routing_key for message in found] == ["session.stopped", "reading.LIVOLTEK_01"]
    first = found[0]
    assert first.message_id == json.loads(first.body)["id"]
    assert (first.delivery_mode, first.content_type) == (aio_pika.DeliveryMode.PERSISTENT, "application/json")


async def test_a_running_server_tells_of_a_session_and_its_readings(node: RabbitNode, tmp_path: Path) -> None:
    """The whole way, from the setting to a receiver's queue; what the file says is what the message says."""
    data_dir = make_site(tmp_path / "data")

    def has_begun() -> bool:
        with closing(sqlite3.connect(f"file:{data_dir / 'ledger.db'}?mode=ro", uri=True)) as ledger:
            return ledger.execute("SELECT count(DISTINCT destination) FROM deliveries").fetchone() == (2,)

    def charge(server: ServerProcess) -> int:
        until_in_process(has_begun, "both outboxes have their positions")
        with OcppCaller(server.url, "CP1") as charge_point:
            charge_point.boot()
            number = charge_point.start("RFID001", 1_000_000)
            charge_point.meter(number, 1_000_500)
            charge_point.stop(number, 1_001_000)
        return number

    async with queue_of(node, "whole", "session.started", "session.stopped", "reading.#") as queue:
        with ServerProcess(data_dir, rabbitmq_url=node.url, rabbitmq_exchange="whole") as server:
            number = await asyncio.to_thread(charge, server)
            told: dict[str | None, Any] = {}
            async with asyncio.timeout(LIMIT_S), queue.iterator(no_ack=True) as messages:
                async for message in messages:
                    told[message.routing_key] = json.loads(message.body)
                    if told.keys() == {"session.started", "session.stopped", "reading.CP1"}:
                        break
            assert await asyncio.to_thread(server.stop) == 0  # which writes all files
    log = json.loads((data_dir / "meter_data_log.json").read_bytes())

    assert told["session.started"]["data"]["transaction_id"] == number
    assert told["session.stopped"]["data"]["energy_kwh"] == 1.0
    assert told["reading.CP1"] in log


async def test_the_exchange_is_made_where_there_is_none(node: RabbitNode) -> None:
    """And what nobody has bound a queue for is no failure."""
    rabbit = RabbitMq("rabbitmq-events", node.url, "new", event_key)

    assert await rabbit.send(items_of(session())) == Accepted()
    await rabbit.close()

    async with queue_of(node, "new", "#"):  # declares it with the same kind and durability, or fails
        assert await rabbit.send(items_of(session())) == Accepted()
    await rabbit.close()


async def test_a_wrong_password_is_told_without_telling_it(node: RabbitNode, caplog: pytest.LogCaptureFixture) -> None:
    """More tries would not help: a person must look."""
    caplog.set_level(logging.DEBUG)
    rabbit = RabbitMq("rabbitmq-events", node.url.replace("guest@", f"{CANARY_SECRET}@"), "evquota", event_key)

    outcome = await rabbit.send(items_of(session()))

    assert isinstance(outcome, Unauthorized)
    assert trace_in(outcome.reason) is None
    assert trace_in(caplog.text) is None


async def test_a_virtual_host_that_is_not_there_is_told(node: RabbitNode) -> None:
    """A node that is just stopping says the same, so it is tried again."""
    rabbit = RabbitMq("rabbitmq-events", f"{node.url}nowhere", "evquota", event_key)

    outcome = await rabbit.send(items_of(session()))

    assert isinstance(outcome, Failed)
    assert "virtual host" in outcome.reason


async def test_nobody_at_home_is_a_failure_like_any_other(unused_tcp_port: int) -> None:
    """The engine tries again."""
    rabbit = RabbitMq(
        "rabbitmq-events", f"amqp://guest:{CANARY_SECRET}@127.0.0.1:{unused_tcp_port}/", "evquota", event_key
    )

    outcome = await rabbit.send(items_of(session()))

    assert isinstance(outcome, Failed)
    assert trace_in(outcome.reason) is None


async def test_a_connection_that_did_not_come_about_leaves_nothing_behind(unused_tcp_port: int) -> None:
    """aio-pika's own would close itself when it is forgotten, and cannot if that is in a thread."""
    rabbit = RabbitMq("rabbitmq-events", f"amqp://guest:guest@127.0.0.1:{unused_tcp_port}/", "evquota", event_key)
    gc.disable()
    try:
        assert isinstance(await rabbit.send(items_of(session())), Failed)
        del rabbit
        await asyncio.to_thread(gc.collect)  # what it finds fails this test
    finally:
        gc.enable()


@pytest.fixture
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    """With so many events of three lanes as the test wants."""
    with ledger_with(tmp_path, mixed(request.param)) as ledger:
        yield ledger


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what the engine does in its own tasks."""
    async with asyncio.timeout(LIMIT_S):
        while not condition():  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("ledger", [600, pytest.param(1_500, marks=pytest.mark.prove)], indirect=True)
async def test_nothing_is_lost_when_it_is_killed_and_restarted_in_mid_stream(
    ledger: Ledger, node: RabbitNode, caplog: pytest.LogCaptureFixture
) -> None:
    """What it confirmed it has; what it did not is sent again. Each lane keeps its order."""
    source, deliveries = EventOutbox(ledger.path, lambda: count), Deliveries(ledger)
    count = source.count({DEFAULT: 0})
    exchange = f"stream of {count}"
    async with queue_of(node, exchange, "#"):
        pass
    await deliveries.note("rabbitmq-events", "events", {DEFAULT: 0})
    rabbit = RabbitMq("rabbitmq-events", node.url, exchange, event_key)
    engine = Engine(rabbit, source, deliveries, Clock(factor=200))  # 300 s between probes are 1.5 s
    running = asyncio.create_task(engine.run())

    await until(lambda: engine.status().delivered >= count // 4)
    node.kill()
    assert engine.status().delivered < count
    await until(lambda: engine.status().failures > 0)
    await asyncio.to_thread(node.start)
    await until(lambda: engine.status().delivered >= count)
    running.cancel()
    await asyncio.wait([running])

    async with queue_of(node, exchange, is_new=False) as queue:
        arrived = dict.fromkeys(message.message_id for message in await messages_in(queue))
    sent = source.page({DEFAULT: 0}, count)
    assert len(sent) == len({item.key for item in sent}) == count
    for lane in {item.lane for item in sent}:
        expected = [item.key for item in sent if item.lane == lane]
        assert [key for key in arrived if key in set(expected)] == expected
    assert source.count(deliveries.positions("rabbitmq-events", "events")) == 0
    assert "guest" not in caplog.text
