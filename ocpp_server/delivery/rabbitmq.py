"""Readings and events to a RabbitMQ: a durable topic exchange, persistent messages, each confirmed (docs/rabbitmq.md).

Imported only where it is configured: aio-pika is an extra (requirements-rabbitmq.txt). The connection is not mended
here: a failure is an outcome like any other, and the engine tries again at its pace.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

import aio_pika
from aio_pika import exceptions
from aio_pika.abc import AbstractConnection, AbstractExchange
from aio_pika.connection import Connection
from aiormq.exceptions import ChannelAccessRefused, ConnectionNotAllowed
from yarl import URL

from ocpp_server.delivery.destination import Accepted, Failed, Outcome, Unauthorized
from ocpp_server.delivery.outbox import Item
from ocpp_server.storage.documents import packed

TIMEOUT_S: Final = 10.0
"""Real seconds for a connection with its exchange, and for the confirmation of each message."""
_CLOSE_S: Final = 5.0
_TROUBLE: Final = (exceptions.AMQPError, OSError, TimeoutError, RuntimeError)

for _name in ("aio_pika", "aiormq"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)  # what went wrong is told once, by the engine


class RabbitMq:
    """A `Destination`. `routing_key` of an entry: what receivers bind their queues by."""

    def __init__(self, name: str, url: str, exchange: str, routing_key: Callable[[Item], str]) -> None:
        """`url`: amqp:// or amqps://, with user and password."""
        self._name = name
        self._url = url
        self._exchange_name = exchange
        self._routing_key = routing_key
        self._connecting = asyncio.Lock()
        self._connection: AbstractConnection | None = None
        self._exchange: AbstractExchange | None = None

    @property
    def name(self) -> str:
        """See `Destination`."""
        return self._name

    async def send(self, items: Sequence[Item]) -> Outcome:
        """Publish one after the other, each when the one before is confirmed: what comes twice comes in order."""
        connection: AbstractConnection | None = None
        try:
            async with asyncio.timeout(TIMEOUT_S):
                exchange = await self._opened()
            connection = self._connection
            for item in items:
                await exchange.publish(_message(item), self._routing_key(item), mandatory=False, timeout=TIMEOUT_S)
        except asyncio.CancelledError:
            await self._give_up(connection)
            if _is_ending():
                raise
            return Failed("connection lost")
        except _TROUBLE as error:
            await self._give_up(connection)
            return _outcome(error)
        return Accepted()

    async def close(self) -> None:
        """Close the connection."""
        await self._give_up(self._connection)

    async def _opened(self) -> AbstractExchange:
        async with self._connecting:
            if self._exchange is None or self._connection is None or self._connection.is_closed:
                await self._give_up(self._connection)
                self._connection = connection = Connection(URL(self._url))
                try:
                    await connection.connect(timeout=TIMEOUT_S)
                    self._exchange = await _exchange_of(connection, self._exchange_name)
                except BaseException:
                    await self._give_up(connection)  # also where none came about: it would close itself when forgotten
                    raise
            return self._exchange

    async def _give_up(self, connection: AbstractConnection | None) -> None:
        """Of this connection; another lane may have made a new one meanwhile."""
        if connection is None:
            return
        if connection is self._connection:
            self._connection = self._exchange = None
        try:
            async with asyncio.timeout(_CLOSE_S):
                await connection.close()
        except asyncio.CancelledError:
            if _is_ending():
                raise
        except _TROUBLE:
            pass  # it is gone, as it should be


async def _exchange_of(connection: AbstractConnection, name: str) -> AbstractExchange:
    """Looked for first: whoever may only publish cannot declare it."""
    channel = await connection.channel(publisher_confirms=True)
    try:
        return await channel.declare_exchange(name, aio_pika.ExchangeType.TOPIC, passive=True)
    except exceptions.ChannelNotFoundEntity:
        channel = await connection.channel(publisher_confirms=True)
        return await channel.declare_exchange(name, aio_pika.ExchangeType.TOPIC, durable=True)


def event_key(item: Item) -> str:
    """Routing key of an event: its type, such as session.started."""
    return str(item.body["type"])


def reading_key(item: Item) -> str:
    """Routing key of a reading: reading.LIVOLTEK_01."""
    return f"reading.{item.lane}"


def _is_ending() -> bool:
    """Somebody wants this task to end. If not, aiormq cancelled what waits on a connection that broke."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def _message(item: Item) -> aio_pika.Message:
    return aio_pika.Message(
        packed(item.body),
        content_type="application/json",
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        message_id=item.key,
        app_id="evquota",
    )


def _outcome(error: BaseException) -> Outcome:
    """The kind of trouble: the message of an error may hold the address with its password."""
    match error:
        case exceptions.AuthenticationError() | exceptions.ProbableAuthenticationError():
            return Unauthorized("user or password is wrong")
        case ChannelAccessRefused() | ConnectionNotAllowed():
            return Unauthorized("the user may not do that, or there is no such virtual host")
        case TimeoutError():
            return Failed("no answer in time")
        case exceptions.InvalidFrameError():
            return Failed("it refused the connection; is the virtual host right?")  # or it is just stopping
        case exceptions.DeliveryError():
            return Failed("it did not confirm a message")
        case exceptions.ChannelClosed():
            return Failed(f"it closed the channel ({type(error).__name__})")
        case OSError() if error.strerror:
            return Failed(f"no connection: {error.strerror}")
        case _:
            return Failed(f"connection lost ({type(error).__name__})")
