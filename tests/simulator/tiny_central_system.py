"""A central system of a few lines on the `ocpp` package: answers, keeps every frame, and can be told to misbehave."""

import asyncio
import itertools
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self
from urllib.parse import unquote

from ocpp.routing import on
from ocpp.v16 import ChargePoint, call_result
from ocpp.v16.enums import Action
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed


@dataclass(frozen=True)
class Frame:
    """One request as it came over the wire."""

    charger_id: str
    message_id: str
    action: str
    payload: dict[str, Any]
    raw: str


class TinyCentralSystem:
    """Accepts every charge point and every tag that is not in `refused_tags`."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.boot_status = "Accepted"
        self.interval_s = 300
        self.refused_tags: dict[str, str] = {}
        self.unanswered: Counter[str] = Counter()
        """How many of the next requests of an action stay without an answer."""
        self.errors: Counter[str] = Counter()
        """How many of the next requests of an action get a CALLERROR."""
        self.authorization_headers: list[str | None] = []
        self.connections: dict[str, _Peer] = {}
        self.connection_count = 0
        self._ids = itertools.count(1000)
        self._changed = asyncio.Event()
        self._server: Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await serve(self._serve, "127.0.0.1", 0, subprotocols=["ocpp1.6"])
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def of(self, action: str) -> list[Frame]:
        return [frame for frame in self.frames if frame.action == action]

    def payloads(self, action: str) -> list[dict[str, Any]]:
        return [frame.payload for frame in self.of(action)]

    @property
    def actions(self) -> list[str]:
        return [frame.action for frame in self.frames]

    def next_id(self) -> int:
        return next(self._ids)

    async def until(self, claim: Callable[[], object], timeout_s: float = 5.0) -> None:
        async with asyncio.timeout(timeout_s):
            while not claim():
                await self._changed.wait()

    async def request(self, charger_id: str, request: Any) -> Any:
        return await self.connections[charger_id].call(request, suppress=False)

    def stir(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _serve(self, connection: ServerConnection) -> None:
        charger_id = unquote(connection.request.path.removeprefix("/"))
        self.authorization_headers.append(connection.request.headers.get("Authorization"))
        self.connection_count += 1
        peer = self.connections[charger_id] = _Peer(charger_id, connection, self)
        self.stir()
        try:
            await peer.start()
        except ConnectionClosed:
            self.stir()


class _Peer(ChargePoint):
    def __init__(self, charger_id: str, connection: ServerConnection, system: TinyCentralSystem) -> None:
        super().__init__(charger_id, connection, 1)
        self.system = system

    async def _handle_call(self, msg: Any) -> None:
        raw = self.raw
        self.system.frames.append(Frame(self.id, msg.unique_id, msg.action, json.loads(raw)[3], raw))
        if self.system.unanswered[msg.action] > 0:
            self.system.unanswered[msg.action] -= 1
        elif self.system.errors[msg.action] > 0:
            self.system.errors[msg.action] -= 1
            await self._send(json.dumps([4, msg.unique_id, "InternalError", "as told", {}]))
        else:
            await super()._handle_call(msg)
        self.system.stir()

    async def route_message(self, raw_msg: str) -> None:
        self.raw = raw_msg
        await super().route_message(raw_msg)

    def _info(self, id_tag: str) -> dict[str, str]:
        return {"status": self.system.refused_tags.get(id_tag, "Accepted")}

    @on(Action.boot_notification)
    def on_boot(self, **_: Any) -> Any:
        stamp = datetime.now(UTC).isoformat()
        return call_result.BootNotification(stamp, self.system.interval_s, self.system.boot_status)

    @on(Action.heartbeat)
    def on_heartbeat(self) -> Any:
        return call_result.Heartbeat(datetime.now(UTC).isoformat())

    @on(Action.status_notification)
    def on_status(self, **_: Any) -> Any:
        return call_result.StatusNotification()

    @on(Action.authorize)
    def on_authorize(self, id_tag: str) -> Any:
        # Swipes with a tag named START… pass here and are refused only in StartTransaction.conf.
        return call_result.Authorize({"status": "Accepted"} if id_tag.startswith("START") else self._info(id_tag))

    @on(Action.start_transaction)
    def on_start(self, id_tag: str, **_: Any) -> Any:
        return call_result.StartTransaction(self.system.next_id(), self._info(id_tag))

    @on(Action.meter_values, skip_schema_validation=True)
    def on_meter_values(self, **_: Any) -> Any:
        return call_result.MeterValues()

    @on(Action.stop_transaction)
    def on_stop(self, **_: Any) -> Any:
        return call_result.StopTransaction()

    @on(Action.diagnostics_status_notification)
    def on_diagnostics_status(self, **_: Any) -> Any:
        return call_result.DiagnosticsStatusNotification()

    @on(Action.firmware_status_notification)
    def on_firmware_status(self, **_: Any) -> Any:
        return call_result.FirmwareStatusNotification()

    @on(Action.log_status_notification)
    def on_log_status(self, **_: Any) -> Any:
        return call_result.LogStatusNotification()

    @on(Action.security_event_notification)
    def on_security_event(self, **_: Any) -> Any:
        return call_result.SecurityEventNotification()

    @on(Action.sign_certificate)
    def on_sign_certificate(self, **_: Any) -> Any:
        return call_result.SignCertificate("Rejected")

    @on(Action.signed_firmware_status_notification)
    def on_signed_firmware_status(self, **_: Any) -> Any:
        return call_result.SignedFirmwareStatusNotification()
