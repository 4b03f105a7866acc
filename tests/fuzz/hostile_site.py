"""A running site under fire: hostile connections, an honest session beside them, and every error that comes of it."""

import asyncio
import gc
import json
import logging
import os
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

from running_site import MORNING, RunningSite
from stepped_clock import SteppedClock
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from ocpp_server.ocpp16 import frames

HONEST_TAG = "HONEST-7f3a-99"
USERS = (
    "id_tag,name,surname,quota_kwh,unlimited\r\n"
    f"{HONEST_TAG},Hana,Honest,150000,FALSE\r\nFUZZ-TAG-0001,Fay,Fuzz,200000,FALSE\r\nFUZZ-TAG-0002,Finn,Fuzz,,TRUE\r\n"
)
POLICY_VIOLATION = 1008
Way = Literal["text", "binary", "fragments"]
Answers: TypeAlias = dict[str, list[list[Any]]]
"""Frames by message id."""
LIMIT_S = 30.0


class Errors(logging.Handler):
    """What must not happen: a line at ERROR, a traceback, a line that is more than one line or has no end."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.found: list[str] = []
        self.lines = 0

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        self.lines += 1
        if record.levelno >= logging.ERROR or record.exc_info:
            self.found.append(f"{record.name}: {text[:300]} {record.exc_info!r}")
        if not text.isprintable() or len(text) > 2000:
            self.found.append(f"{record.name} line of {len(text)} characters: {text[:300]!r}")

    def from_loop(self, _loop: object, context: dict[str, Any]) -> None:
        """The handler of the event loop for what nobody caught."""
        self.found.append(f"loop: {context.get('message')} {context.get('exception')!r}")


class HostileConnection:
    """A charge point that sends anything. Each volley ends with a good Heartbeat, and that is always answered."""

    def __init__(self, url: str, charge_point_id: str) -> None:
        self._url = f"{url}/{charge_point_id}"
        self._socket: ClientConnection | None = None
        self._good = 0
        self.sent = 0
        self.closed: Counter[int | None] = Counter()
        """How often the server closed, by code."""
        self.asked = 0
        """Calls of the server, which get hostile answers."""
        self.answers: Iterable[str | bytes] = iter(())

    async def open(self) -> None:
        """Connect and boot."""
        self._socket = await connect(
            self._url,
            subprotocols=[Subprotocol("ocpp1.6")],
            compression=None,
            proxy=None,
            ping_interval=None,
            close_timeout=2,
            max_size=None,
        )
        boot = {"chargePointVendor": "Generic", "chargePointModel": "AC-22"}
        await self.volley([json.dumps([2, "boot", "BootNotification", boot]).encode()])

    async def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            await self._socket.close()

    @property
    def socket(self) -> ClientConnection:
        """The connection of this moment."""
        assert self._socket is not None
        return self._socket

    async def volley(self, shots: Sequence[bytes], how: Way = "text") -> Answers:
        """Send these messages and a good one after them; gives the answers by message id.

        Asserts that every message that is a CALL, or was meant as one, got its answer. After too many bad messages the
        server may close with 1008; then they are sent again on a new connection. At most 19 bad ones are a volley.
        """
        try:
            return await self._exchange(shots, how)
        except ConnectionClosed:
            self.closed[self.socket.close_code] += 1
            assert self.socket.close_code == POLICY_VIOLATION, (self.socket.close_code, self.socket.close_reason)
        await self.open()
        return await self._exchange(shots, how)

    async def _exchange(self, shots: Sequence[bytes], how: Way) -> Answers:
        expected: Counter[str] = Counter()
        for shot in shots:
            frame = frames.decode(shot)
            if isinstance(frame, frames.Call | frames.Unreadable) and frame.unique_id is not None:
                expected[_echo(frame.unique_id)] += 1
        self._good += 1
        good = f"good-{self._good}"
        for shot in shots:
            await self._send(shot, how)
        await self.socket.send(json.dumps([2, good, "Heartbeat", {}]))
        got = await self._answers_until(good)
        counted = Counter({unique_id: len(answers) for unique_id, answers in got.items()})
        assert counted == expected, (expected - counted, counted - expected, shots)
        self.sent += len(shots)
        return got

    async def _send(self, shot: bytes, how: Way) -> None:
        match how:
            case "text":
                await self.socket.send(shot, text=True)
            case "binary":
                await self.socket.send(shot, text=False)
            case "fragments":
                await self.socket.send(self._fragments(shot), text=True)

    async def _fragments(self, shot: bytes) -> AsyncIterator[bytes]:
        """Four fragments, with a ping after the first (RFC 6455 §5.4); the server takes 50 control frames a second."""
        part = len(shot) // 4 + 1
        for begin in range(0, 4 * part, part):
            yield shot[begin : begin + part]
            if not begin:
                await self.socket.ping()

    async def _answers_until(self, good: str) -> Answers:
        got: Answers = {}
        async with asyncio.timeout(LIMIT_S):
            while True:
                frame = json.loads(await self.socket.recv())
                assert isinstance(frame, list), frame
                if frame[0] == 2:
                    await self._answer(frame)
                elif frame[1] == good:
                    assert frame[0] == 3, frame
                    return got
                else:
                    assert (frame[0], len(frame)) in ((3, 3), (4, 5)), frame
                    got.setdefault(frame[1], []).append(frame)

    async def _answer(self, call: list[Any]) -> None:
        self.asked += 1
        answer = next(iter(self.answers), None)
        if answer is not None:
            text = answer if isinstance(answer, str) else answer.decode("utf-8", "surrogateescape")
            shot = text.replace("@ID@", str(call[1]))
            await self.socket.send(shot.encode("utf-8", "surrogateescape"), text=True)


class HostileSite:
    """The site, an honest charge point in the middle of a session, and the errors so far."""

    def __init__(self, running: RunningSite, errors: Errors) -> None:
        self.running = running
        self.errors = errors
        self.register = 5_000_000
        self._loggers = [logging.getLogger(name) for name in ("evquota", "ocpp_server")]
        self._connections: list[HostileConnection] = []

    async def begin(self) -> None:
        """Start the server, and the session that must not be touched."""
        for logger in self._loggers:
            logger.propagate = False  # pytest would keep every line
            logger.addHandler(self.errors)
        asyncio.get_running_loop().set_exception_handler(self.errors.from_loop)
        await self.running.start()
        self._honest = await self.running.connect("HONEST-1")
        self.honest_id, status = await self._honest.start(HONEST_TAG, self.register)
        assert status == "Accepted"

    async def hostile(self, charge_point_id: str) -> HostileConnection:
        """A connection that may send anything."""
        connection = HostileConnection(self.running.url, charge_point_id)
        self._connections.append(connection)
        await connection.open()
        return connection

    async def honest_reading(self, wh: int = 20) -> None:
        """The honest session goes on: it is answered and booked as if nobody else were there."""
        await self.running.advance(10)
        self.register += wh
        assert await self._honest.meter(self.honest_id, self.register) == {}

    async def honest_heartbeat(self) -> None:
        """The honest charge point is answered; without pings, a silent one would be given up after minutes."""
        assert "currentTime" in await self._honest.call("Heartbeat", {})

    async def conclude(self) -> None:
        """The honest session has its energy to the Wh, the books add up, every file can be read, nothing went wrong."""
        await self.honest_reading()
        await self._honest.stop(self.honest_id, self.register)
        await self.running.published()
        assert self.running.usage()[HONEST_TAG] == (self.register - 5_000_000) / 1000
        self.check_files()
        assert self.running.problems() == []
        assert not self.errors.found, self.errors.found[:5]

    def check_files(self) -> None:
        """Every published file is whole."""
        for path in [*self.running.data_dir.glob("*.json"), *self.running.data_dir.glob("archive/*.json")]:
            json.loads(path.read_bytes())
        for path in [*self.running.data_dir.glob("*.csv"), *self.running.data_dir.glob("archive/*.csv")]:
            path.read_bytes().decode("utf-8-sig")
        self.running.sessions()

    async def close(self) -> None:
        """End everything; nothing may have gone wrong by then."""
        try:
            for connection in self._connections:
                await connection.close()
            await self.running.close()
        finally:
            for logger in self._loggers:
                logger.propagate = True
                logger.removeHandler(self.errors)
        assert not self.errors.found, self.errors.found[:5]


async def open_site(data_dir: Path, **settings: Any) -> HostileSite:
    """A running site with its honest session; messages are not slowed down unless `settings` say so."""
    data_dir.mkdir(mode=0o750)
    (data_dir / "users1.csv").write_text(USERS, encoding="utf-8", newline="")
    clock = SteppedClock(MORNING)
    site = HostileSite(RunningSite(data_dir, clock, clock, **({"max_message_rate": 0.0} | settings)), Errors())
    await site.begin()
    return site


def resident_bytes() -> int:
    """Memory of this process, after the garbage is collected."""
    gc.collect()
    with Path("/proc/self/statm").open() as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _echo(unique_id: str) -> str:
    """A message id as it comes back: through JSON."""
    return str(json.loads(json.dumps(unique_id)))
