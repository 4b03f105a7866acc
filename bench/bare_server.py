"""The peer: the central system of the documentation of `ocpp`, on `websockets`, for the messages that the load sends.

It keeps nothing: no users, no quotas, no energy, no disk. `python -m bench.bare_server PORT [uvloop]`.
"""

import asyncio
import logging
import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import uvloop
from ocpp.routing import on
from ocpp.v16 import ChargePoint as LibraryChargePoint
from ocpp.v16 import call_result
from ocpp.v16.datatypes import IdTagInfo
from ocpp.v16.enums import Action, AuthorizationStatus, RegistrationStatus
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

ACCEPTED = IdTagInfo(status=AuthorizationStatus.accepted)


class ChargePoint(LibraryChargePoint):
    """Accepts everything."""

    transactions = 0

    @on(Action.boot_notification)
    def on_boot_notification(self, **_: Any) -> call_result.BootNotification:
        now = datetime.now(UTC).isoformat()
        return call_result.BootNotification(current_time=now, interval=60, status=RegistrationStatus.accepted)

    @on(Action.authorize)
    def on_authorize(self, **_: Any) -> call_result.Authorize:
        return call_result.Authorize(id_tag_info=ACCEPTED)

    @on(Action.start_transaction)
    def on_start_transaction(self, **_: Any) -> call_result.StartTransaction:
        ChargePoint.transactions += 1
        return call_result.StartTransaction(transaction_id=ChargePoint.transactions, id_tag_info=ACCEPTED)

    @on(Action.meter_values)
    def on_meter_values(self, **_: Any) -> call_result.MeterValues:
        return call_result.MeterValues()

    @on(Action.stop_transaction)
    def on_stop_transaction(self, **_: Any) -> call_result.StopTransaction:
        return call_result.StopTransaction(id_tag_info=ACCEPTED)


async def on_connect(websocket: ServerConnection) -> None:
    """The life of a connection, as in the library's example."""
    assert websocket.request is not None
    charge_point = ChargePoint(websocket.request.path.strip("/"), websocket)
    with suppress(ConnectionClosed):
        await charge_point.start()


async def main(port: int) -> None:
    """Serve until the process is ended."""
    server = await serve(on_connect, "127.0.0.1", port, subprotocols=["ocpp1.6"])
    await server.serve_forever()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    loop_factory = uvloop.new_event_loop if sys.argv[2:] == ["uvloop"] else None
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main(int(sys.argv[1])))
