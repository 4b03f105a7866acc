"""A charge point that never stops charging, for servers that are killed: it forgets nothing that was not acknowledged.

Its register only grows. Transaction-related messages go through one ordered queue (OCPP 1.6 §3.7); what was not
acknowledged is sent again after the reconnect, under a new message id (OCPP-J errata 3.1). Now and then it also repeats
what was acknowledged already, as charge points do whose answer got lost behind a modem.
"""

import asyncio
import contextlib
import json
import random
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage

_MOST_WH_PER_S = 300
"""Well below what EVQUOTA_MAX_POWER_KW=1000 lets pass (1,500 kW with the tolerance of rule 5)."""
_MOST_QUEUED = 12
_REDIAL_S = 0.02
_ANSWER_LIMIT_S = 20.0


@dataclass(slots=True)
class ChargedSession:
    """What the charge point itself knows of a session, the truth that the books are held against."""

    id_tag: str
    start_wh: int
    transaction_id: int | None = None
    """From the acknowledged StartTransaction."""
    acknowledged_wh: int = 0
    """Register in the newest acknowledged message."""
    register_wh: int = 0
    """Register in the newest message that may have been sent."""
    is_stopped: bool = False
    is_stop_acknowledged: bool = False


@dataclass(slots=True)
class Tally:
    """What all charge points of a test did; `changed` is notified at each acknowledgement."""

    acknowledged: int = 0
    sent: int = 0
    repeated: int = 0
    refused: list[Any] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def until_acknowledged(self, count: int, limit_s: float) -> None:
        async with asyncio.timeout(limit_s), self.changed:
            await self.changed.wait_for(lambda: self.acknowledged >= count)


@dataclass(frozen=True, slots=True)
class _Message:
    action: str
    build: Callable[[], dict[str, Any]]
    settle: Callable[[dict[str, Any]], None]


class TirelessChargePoint:
    """One connector, one session after the other until `finish` is called."""

    def __init__(
        self, charger_id: str, url: str, id_tags: list[str], tally: Tally, seed: int, mean_messages: int
    ) -> None:
        self.charger_id = charger_id
        self.sessions: list[ChargedSession] = []
        self.is_waiting_for_answer = False
        self._url = f"{url}/{charger_id}"
        self._id_tags = id_tags
        self._tally = tally
        self._random = random.Random(seed)
        self._mean_messages = mean_messages
        self._register = self._random.randrange(1_000_000, 9_000_000)
        self._sampled_at = datetime.now(UTC)
        self._outbox: deque[_Message] = deque()
        self._is_finishing = False
        self._has_booted = False

    @property
    def queued(self) -> int:
        return len(self._outbox)

    def finish(self) -> None:
        """Stop the session that runs; `run` returns when all is acknowledged."""
        self._is_finishing = True

    async def run(self) -> None:
        """Charge, whatever becomes of the server."""
        while not (self._is_finishing and self._is_drained()):
            try:
                async with connect(
                    self._url,
                    subprotocols=["ocpp1.6"],
                    compression=None,
                    proxy=None,
                    close_timeout=1,
                    ping_interval=None,
                ) as socket:
                    await self._talk(socket)
            except (OSError, TimeoutError, ConnectionClosed, InvalidHandshake, InvalidMessage):
                self.is_waiting_for_answer = False
                self._live()  # it charges on while the server is away
                await asyncio.sleep(_REDIAL_S)

    def _is_drained(self) -> bool:
        return not self._outbox and (not self.sessions or self.sessions[-1].is_stop_acknowledged)

    async def _talk(self, socket: ClientConnection) -> None:
        if not self._has_booted:
            await self._call(socket, "BootNotification", {"chargePointVendor": "Acme", "chargePointModel": "Tireless"})
            self._has_booted = True
        while True:
            if not self._outbox:
                if self._is_finishing and self._is_drained():
                    return
                self._live()
            message = self._outbox[0]
            answer = await self._call(socket, message.action, message.build())
            if self._random.random() < 0.03:
                self._tally.repeated += 1
                assert await self._call(socket, message.action, message.build()) == answer
            message.settle(answer)
            self._outbox.popleft()
            async with self._tally.changed:
                self._tally.acknowledged += 1
                self._tally.changed.notify_all()

    async def _call(self, socket: ClientConnection, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        """The answer. What the server asks meanwhile is answered with NotSupported."""
        unique_id = str(uuid.uuid4())
        await socket.send(json.dumps([2, unique_id, action, payload]))
        self._tally.sent += 1
        self.is_waiting_for_answer = True
        async with asyncio.timeout(_ANSWER_LIMIT_S):
            while True:
                frame = json.loads(await socket.recv())
                if frame[0] == 2:
                    await socket.send(json.dumps([4, frame[1], "NotSupported", "", {}]))
                elif frame[1] == unique_id:
                    break
        self.is_waiting_for_answer = False
        if frame[0] != 3:
            self._tally.refused.append((action, frame))
        assert frame[0] == 3, frame
        return dict(frame[2])

    def _live(self) -> None:
        """Charge for a moment: the next message of the session goes into the queue."""
        if len(self._outbox) >= _MOST_QUEUED and not self._is_finishing:
            return
        session = self.sessions[-1] if self.sessions else None
        if session is None or session.is_stopped:
            if not self._is_finishing:
                self._start()
        elif self._is_finishing or self._random.random() < 1 / self._mean_messages:
            self._stop(session)
        else:
            self._sample(session)

    def _start(self) -> None:
        stamp = self._grow()
        session = ChargedSession(self._random.choice(self._id_tags), self._register)
        session.acknowledged_wh = session.register_wh = self._register
        self.sessions.append(session)
        payload = {
            "connectorId": 1,
            "idTag": session.id_tag,
            "meterStart": session.start_wh,
            "timestamp": stamp,
        }

        def settle(answer: dict[str, Any]) -> None:
            assert answer["idTagInfo"]["status"] == "Accepted", answer
            session.transaction_id = answer["transactionId"]

        self._outbox.append(_Message("StartTransaction", lambda: payload, settle))

    def _sample(self, session: ChargedSession) -> None:
        stamp = self._grow()
        register = session.register_wh = self._register
        sampled = {"measurand": "Energy.Active.Import.Register", "unit": "Wh", "value": str(register)}
        values = [{"timestamp": stamp, "sampledValue": [sampled]}]

        def build() -> dict[str, Any]:
            return {"connectorId": 1, "transactionId": session.transaction_id, "meterValue": values}

        def settle(_answer: dict[str, Any]) -> None:
            session.acknowledged_wh = register

        self._outbox.append(_Message("MeterValues", build, settle))

    def _stop(self, session: ChargedSession) -> None:
        stamp = self._grow()
        register = session.register_wh = self._register
        session.is_stopped = True

        def build() -> dict[str, Any]:
            return {"transactionId": session.transaction_id, "meterStop": register, "timestamp": stamp}

        def settle(_answer: dict[str, Any]) -> None:
            session.acknowledged_wh = register
            session.is_stop_acknowledged = True

        self._outbox.append(_Message("StopTransaction", build, settle))

    def _grow(self) -> str:
        """Let the register grow since the last sample; gives the time stamp of this one."""
        now = datetime.now(UTC)
        elapsed_s = max(0.0, (now - self._sampled_at).total_seconds())
        self._register += min(self._random.randrange(0, 60), int(elapsed_s * _MOST_WH_PER_S))
        self._sampled_at = now
        return now.isoformat()


@contextlib.asynccontextmanager
async def charging(charge_points: list[TirelessChargePoint]) -> Any:
    """All of them charge inside the block; at its end they finish, drain their queues and are gone."""
    async with asyncio.TaskGroup() as group:
        for charge_point in charge_points:
            group.create_task(charge_point.run(), name=charge_point.charger_id)
        yield
        for charge_point in charge_points:
            charge_point.finish()
