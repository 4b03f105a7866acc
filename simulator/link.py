# The ocpp package ships no types.
# mypy: disable-error-code=import-untyped
"""The WebSocket to the central system: dialled again whenever it is lost; one request at a time (OCPP-J 4.1.1)."""

import asyncio
import base64
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from ocpp.exceptions import OCPPError
from ocpp.v16 import ChargePoint
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.typing import Subprotocol

from simulator.clock import first_of
from simulator.frames import Request
from simulator.journal import Journal

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 5.0
"""Real seconds between two attempts to connect: doubled each time."""


class LinkDownError(Exception):
    """The connection was not there, or was lost before the answer came."""


class Link:
    """One charge point's connection. All its time limits are real seconds: the network is not simulated."""

    def __init__(
        self,
        charger_id: str,
        url: str,
        journal: Journal,
        make_client: Callable[[ClientConnection], ChargePoint],
        password: str | None = None,
    ) -> None:
        self.up = asyncio.Event()
        """Set while connected."""
        self.down = asyncio.Event()
        """Set while not connected."""
        self.down.set()
        self._allowed = asyncio.Event()
        self._allowed.set()
        self._url = f"{url.rstrip('/')}/{quote(charger_id)}"
        self._charger_id = charger_id
        self._headers = _basic_auth(charger_id, password) if password is not None else {}
        self._journal = journal
        self._make_client = make_client
        self._client: ChargePoint | None = None
        self._connection: ClientConnection | None = None

    async def run(self) -> None:
        """Stay connected until cancelled."""
        pause_s = FIRST_PAUSE_S
        is_told = False
        while True:
            await self._allowed.wait()
            try:
                connection = await connect(
                    self._url,
                    subprotocols=[Subprotocol("ocpp1.6")],
                    additional_headers=self._headers,
                    compression=None,
                    proxy=None,
                    close_timeout=2,
                )
            except (OSError, TimeoutError, WebSocketException) as error:
                if not is_told:
                    self._journal.tell(f"cannot connect, trying on: {error}")
                is_told = True
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
                continue
            pause_s, is_told = FIRST_PAUSE_S, False
            await self._serve(connection)
            await asyncio.sleep(FIRST_PAUSE_S)

    async def call(self, request: Request, *, is_outside_schema: bool = False) -> Any:
        """Send the request and give its confirmation.

        Raises LinkDownError, TimeoutError when no answer came, and OCPPError for a CALLERROR or a malformed answer.
        """
        client = self._client
        if client is None:
            raise LinkDownError
        action = type(request).__name__
        answer = asyncio.ensure_future(client.call(request, suppress=False, skip_schema_validation=is_outside_schema))
        await first_of(answer, self.down.wait())
        if answer.cancelled():
            raise LinkDownError
        try:
            confirmation = answer.result()
        except ConnectionClosed:
            raise LinkDownError from None
        except OCPPError:
            self._journal.count(self._journal.refused, action)
            raise
        self._journal.count(self._journal.acknowledged, action)
        return confirmation

    def drop(self) -> None:
        """Cut the TCP connection hard, as a lost mobile link does; it is dialled again at once."""
        if self._connection is not None:
            self._connection.transport.abort()

    def suspend(self) -> None:
        """Cut the connection and do not dial again before `resume`."""
        self._allowed.clear()
        self.drop()

    def resume(self) -> None:
        """Dial again."""
        self._allowed.set()

    async def close(self) -> None:
        """Close the connection with a closing handshake; `run` dials again unless suspended or cancelled."""
        if self._connection is not None:
            await self._connection.close()

    async def take_password(self, password: str) -> None:
        """Connect again with this password (white paper A01)."""
        self._headers = _basic_auth(self._charger_id, password)
        await self.close()

    async def _serve(self, connection: ClientConnection) -> None:
        self._connection, self._client = connection, self._make_client(connection)
        self.down.clear()
        self.up.set()
        self._journal.tell("connected")
        try:
            if not self._allowed.is_set():
                connection.transport.abort()
            await self._client.start()
        except ConnectionClosed as closed:
            self._journal.tell(f"disconnected: {closed}")
        finally:
            self._connection = self._client = None
            self.up.clear()
            self.down.set()
            self._journal.stir()
            await connection.close()


def _basic_auth(charger_id: str, password: str) -> dict[str, str]:
    """The header of security profile 1 (OCPP 1.6 security whitepaper §2)."""
    return {"Authorization": "Basic " + base64.b64encode(f"{charger_id}:{password}".encode()).decode()}
