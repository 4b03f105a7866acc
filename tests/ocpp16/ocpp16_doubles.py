"""Doubles with behaviour: a central system that records commands, and a charge point on a real socket."""

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Self
from zoneinfo import ZoneInfo

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from ocpp_server.core import commands as cmd
from ocpp_server.core.records import AuthorizationStatus
from ocpp_server.core.site import Policy, Site
from ocpp_server.ocpp16.doorkeeper import Doorkeeper
from ocpp_server.ocpp16.gateway import Gateway
from ocpp_server.ocpp16.key_checker import KeyChecker

LIMIT_S = 10.0


def open_door() -> Doorkeeper:
    """A site that nobody has set up yet: whoever comes from this machine is let in."""
    return Doorkeeper(Site(Policy(ZoneInfo("UTC"))), KeyChecker())


EXPIRY = datetime(2026, 11, 20, 10, 50, 0, 250_000, tzinfo=UTC)
ACCEPTED = cmd.IdTagInfo(AuthorizationStatus.ACCEPTED, EXPIRY, "ACCOUNT-1")

Listen = Callable[..., Awaitable[Gateway]]
Dial = Callable[..., Awaitable["Charger"]]


class RecordingCentral:
    """Keeps every command, answers each kind with one reply, and can be told to hold or to fail."""

    def __init__(self) -> None:
        self.commands: list[cmd.Command] = []
        self.replies: dict[type, cmd.Reply | Exception] = {
            cmd.BootNotification: cmd.Booted(is_accepted=True),
            cmd.Authorize: cmd.Authorized(ACCEPTED),
            cmd.StartTransaction: cmd.Started(4711, ACCEPTED),
        }
        self.held: dict[type, asyncio.Event] = {}
        self._changed = asyncio.Event()

    async def handle(self, command: cmd.Command) -> cmd.Reply:
        self.commands.append(command)
        self._changed.set()
        if type(command) in self.held:
            await self.held[type(command)].wait()
        reply = self.replies.get(type(command), cmd.Done())
        if isinstance(reply, Exception):
            raise reply
        return reply

    def hold(self, kind: type) -> asyncio.Event:
        """Let commands of a kind wait until the event that is given back is set."""
        self.held[kind] = asyncio.Event()
        return self.held[kind]

    def of(self, kind: type) -> list[Any]:
        return [command for command in self.commands if type(command) is kind]

    @property
    def kinds(self) -> list[str]:
        return [type(command).__name__ for command in self.commands]

    async def until(self, claim: Callable[[], object]) -> None:
        """Wait until a claim about the commands is true."""
        async with asyncio.timeout(LIMIT_S):
            while not claim():
                self._changed.clear()
                await self._changed.wait()


class Charger:
    """A charge point that sends what it is told, byte for byte, and answers calls by its script.

    `script` maps an action to the payload of the answer, a function of the payload, an ("error", code), or None for
    no answer at all.
    """

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.script: dict[str, Any] = {}
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.call_ids: list[str] = []
        self.answers: asyncio.Queue[list[Any]] = asyncio.Queue()
        self._changed = asyncio.Event()
        self._numbers = itertools.count(1)
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def dial(cls, port: int, path: str = "/CP1", subprotocols: tuple[str, ...] = ("ocpp1.6",)) -> Self:
        uri = f"ws://127.0.0.1:{port}{path}"
        return cls(await connect(uri, subprotocols=list(subprotocols) or None, compression=None))

    async def send(self, frame: object) -> None:
        """A frame as JSON, or bytes and text as they are, always in a text frame."""
        raw = frame if isinstance(frame, str | bytes) else json.dumps(frame)
        await self.socket.send(raw, text=True)

    async def answer(self) -> list[Any]:
        """The next CALLRESULT or CALLERROR."""
        async with asyncio.timeout(LIMIT_S):
            return await self.answers.get()

    async def ask(self, action: str, payload: object) -> list[Any]:
        """Send a CALL and give the frame that answers it."""
        number = f"m{next(self._numbers)}"
        await self.send([2, number, action, payload])
        answer = await self.answer()
        assert answer[1] == number
        return answer

    async def until(self, claim: Callable[[], object]) -> None:
        """Wait until a claim about the received calls is true."""
        async with asyncio.timeout(LIMIT_S):
            while not claim():
                self._changed.clear()
                await self._changed.wait()

    @property
    def called(self) -> list[str]:
        return [action for action, _ in self.calls]

    async def closed(self) -> int | None:
        """Wait for the end of the connection; its close code."""
        async with asyncio.timeout(LIMIT_S):
            await self.socket.wait_closed()
        return self.socket.close_code

    async def hang_up(self) -> None:
        await self.socket.close()
        await self._reader

    async def _read(self) -> None:
        try:
            async for message in self.socket:
                assert isinstance(message, str)  # OCPP-J §4.1.2: text frames only
                frame = json.loads(message)
                if frame[0] == 2:
                    await self._take_call(*frame[1:])
                else:
                    self.answers.put_nowait(frame)
        except ConnectionClosed:
            pass

    async def _take_call(self, unique_id: str, action: str, payload: dict[str, Any]) -> None:
        self.calls.append((action, payload))
        self.call_ids.append(unique_id)
        self._changed.set()
        answer = self.script.get(action, {"status": "Accepted"})
        if callable(answer):
            answer = answer(payload)
        if isinstance(answer, tuple):
            await self.send([4, unique_id, answer[1], "no", {}])
        elif answer is not None:
            await self.send([3, unique_id, answer])
