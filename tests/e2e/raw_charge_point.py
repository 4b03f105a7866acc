"""A charge point that sends what the test writes, to the letter, and gives back the frames that come."""

import asyncio
import itertools
import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeAlias
from urllib.parse import quote

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

Json: TypeAlias = dict[str, Any]

ANSWERS: dict[str, Json | None] = {
    "GetConfiguration": {"configurationKey": []},
    "ChangeConfiguration": {"status": "Accepted"},
    "RemoteStopTransaction": {"status": "Accepted"},
    "SetChargingProfile": {"status": "Rejected"},
    "TriggerMessage": {"status": "NotImplemented"},
}


class Now(Protocol):
    """Whoever knows the time of the site."""

    def now(self) -> datetime:
        """Aware, UTC."""


class CallRefusedError(Exception):
    """A CALLERROR came; `code` is its error code."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(f"{code}: {description}")
        self.code = code


class RawChargePoint:
    """One connection. `answers` says what each call of the server gets: a payload, or None for silence."""

    def __init__(self, charger_id: str, url: str, clock: Now) -> None:
        self.charger_id = charger_id
        self.answers = dict(ANSWERS)
        self.asked: list[tuple[str, Json]] = []
        """What the server called, with its payloads."""
        self.strays: list[Any] = []
        """Frames that nobody waited for."""
        self._url = url
        self._clock = clock
        self._numbers = itertools.count(1)
        self._waiting: dict[str, asyncio.Future[list[Any]]] = {}
        self._socket: ClientConnection | None = None
        self._reading: asyncio.Task[None] | None = None

    async def connect(
        self,
        path: str | None = None,
        subprotocols: Sequence[str] = ("ocpp1.6",),
        headers: Sequence[tuple[str, str]] = (),
    ) -> "RawChargePoint":
        """Open the WebSocket. Raises what `websockets` raises when the handshake is refused."""
        self._socket = await connect(
            self._url + (quote(f"/{self.charger_id}") if path is None else path),
            subprotocols=[Subprotocol(name) for name in subprotocols] or None,
            additional_headers=list(headers),
            compression=None,
            proxy=None,
            ping_interval=None,
            close_timeout=2,
        )
        self._reading = asyncio.create_task(self._read(self._socket))
        return self

    @property
    def socket(self) -> ClientConnection:
        """The connection itself."""
        assert self._socket is not None
        return self._socket

    async def close(self) -> None:
        """Close with a closing handshake."""
        if self._socket is not None:
            await self._socket.close()
        await self.closed()

    async def closed(self) -> None:
        """Return once the connection is over, whoever ended it."""
        if self._reading is not None:
            await self._reading

    def drop(self) -> None:
        """Cut the TCP connection hard."""
        self.socket.transport.abort()

    async def send(self, frame: str | bytes) -> None:
        """Put this on the wire, whatever it is."""
        await self.socket.send(frame)

    async def exchange(self, frame: list[Any]) -> list[Any]:
        """Send a CALL as it stands and give the whole frame that answers it."""
        return await (await self.post(frame))

    async def post(self, frame: list[Any]) -> "asyncio.Future[list[Any]]":
        """Send a CALL as it stands; the future is its answer."""
        answer: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        self._waiting[str(frame[1])] = answer
        await self.send(json.dumps(frame))
        return answer

    async def call(self, action: str, payload: Json) -> Json:
        """The payload of the CALLRESULT. Raises CallRefusedError."""
        frame = await self.exchange([2, f"m{next(self._numbers)}", action, payload])
        if frame[0] == 4:
            raise CallRefusedError(frame[2], frame[3])
        return frame[2]

    def stamp(self, ago_s: float = 0.0) -> str:
        """A time stamp of this many seconds ago."""
        at = self._clock.now() - timedelta(seconds=ago_s)
        return at.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"

    async def boot(self, vendor: str = "Generic", model: str = "AC-22") -> Json:
        """BootNotification."""
        return await self.call("BootNotification", {"chargePointVendor": vendor, "chargePointModel": model})

    async def start(
        self, id_tag: str = "RFID001", meter: Any = 0, connector: int = 1, ago_s: float = 0.0, **fields: Any
    ) -> tuple[int, str]:
        """StartTransaction: the id and the status in its answer. `fields` are set over the usual ones."""
        usual = {"connectorId": connector, "idTag": id_tag, "meterStart": meter, "timestamp": self.stamp(ago_s)}
        answer = await self.call("StartTransaction", usual | fields)
        return answer["transactionId"], answer["idTagInfo"]["status"]

    async def meter(
        self, transaction: Any, *values: Any, connector: int = 1, ago_s: float = 0.0, **sampled: Any
    ) -> Json:
        """MeterValues with these registers, in Wh unless `sampled` says otherwise. A transaction of None: left out."""
        labelled = {"measurand": "Energy.Active.Import.Register", "unit": "Wh"} | sampled
        samples = [{"value": str(value), **labelled} for value in values]
        payload = {"connectorId": connector, "meterValue": [{"timestamp": self.stamp(ago_s), "sampledValue": samples}]}
        if transaction is not None:
            payload["transactionId"] = transaction
        return await self.call("MeterValues", payload)

    async def stop(self, transaction: Any, meter: Any, ago_s: float = 0.0, **fields: Any) -> Json:
        """StopTransaction."""
        usual = {"transactionId": transaction, "meterStop": meter, "timestamp": self.stamp(ago_s)}
        return await self.call("StopTransaction", usual | fields)

    async def _read(self, socket: ClientConnection) -> None:
        try:
            async for message in socket:
                await self._take(socket, json.loads(message))
        except ConnectionClosed:
            pass
        finally:
            for answer in self._waiting.values():
                answer.cancel()

    async def _take(self, socket: ClientConnection, frame: list[Any]) -> None:
        if frame[0] == 2:
            self.asked.append((frame[2], frame[3]))
            answer = self.answers.get(frame[2])
            if answer is not None:
                await socket.send(json.dumps([3, frame[1], answer]))
            return
        waiting = self._waiting.pop(frame[1], None)
        if waiting is None:
            self.strays.append(frame)
        elif not waiting.done():
            waiting.set_result(frame)
