"""A charge point that says only what fits the OCA schemas, and writes down every frame of the server that does not."""

import asyncio
import base64
import ssl
from collections.abc import Sequence
from typing import Any, TypeAlias

from raw_charge_point import Now, RawChargePoint
from schema_violations import violations
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

Json: TypeAlias = dict[str, Any]

CALL, CALLRESULT = 2, 3


class OcttChargePoint(RawChargePoint):
    """The part that the compliance tool plays, on a raw socket."""

    def __init__(
        self,
        charger_id: str,
        url: str,
        clock: Now,
        *,
        key: str | bytes | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(charger_id, url, clock)
        self.faults: list[str] = []
        self._tls = tls
        self._headers = {} if key is None else {"Authorization": _basic(charger_id, key)}
        self._actions: dict[str, str] = {}

    async def connect(self, path: str | None = None, subprotocols: Sequence[str] = ("ocpp1.6",)) -> "OcttChargePoint":
        """Open the WebSocket. Raises what `websockets` raises when the handshake is refused."""
        self._socket = await connect(
            f"{self._url}/{self.charger_id}" if path is None else f"{self._url}{path}",
            subprotocols=[Subprotocol(name) for name in subprotocols],
            additional_headers=self._headers,
            ssl=self._tls,
            compression=None,
            proxy=None,
            ping_interval=None,
            close_timeout=2,
        )
        self._reading = asyncio.create_task(self._read(self._socket))
        return self

    def will_answer(self, action: str, reply: Json) -> None:
        """The answer to the calls of this action from now on; the test itself has to keep to the schema."""
        assert violations(CALLRESULT, action, reply) == []
        self.answers[action] = reply

    async def post(self, frame: list[Any]) -> "asyncio.Future[list[Any]]":
        """Send a CALL that fits its schema."""
        assert violations(CALL, frame[2], frame[3]) == []
        self._actions[str(frame[1])] = frame[2]
        return await super().post(frame)

    async def tell(self, action: str, **payload: Any) -> None:
        """Send a message whose confirmation is empty, and get it."""
        assert await self.call(action, payload) == {}

    async def status(self, connector: int, status: str, error: str = "NoError") -> None:
        """StatusNotification, confirmed."""
        await self.tell(
            "StatusNotification", connectorId=connector, status=status, errorCode=error, timestamp=self.stamp()
        )

    async def authorize(self, id_tag: str) -> Json:
        """The idTagInfo of Authorize.conf."""
        return (await self.call("Authorize", {"idTag": id_tag}))["idTagInfo"]

    async def statuses(self, *after_a_boot: tuple[int, str]) -> None:
        """The connectors report themselves; without a list: 0, 1 and 2, all Available."""
        for connector, status in after_a_boot or ((0, "Available"), (1, "Available"), (2, "Available")):
            await self.status(connector, status)

    async def _take(self, socket: ClientConnection, frame: list[Any]) -> None:
        match frame[0]:
            case 2:
                self.faults += violations(CALL, frame[2], frame[3])
            case 3:
                self.faults += violations(CALLRESULT, self._actions.pop(frame[1], "?"), frame[2])
            case _:
                self.faults.append(f"CALLERROR {frame[2:4]}")
        await super()._take(socket, frame)


def _basic(charger_id: str, key: str | bytes) -> str:
    raw = key.encode() if isinstance(key, str) else key
    return "Basic " + base64.b64encode(f"{charger_id}:".encode() + raw).decode()
