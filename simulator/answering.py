# The ocpp package ships no types.
# mypy: disable-error-code="import-untyped,misc"
"""How a simulated charge point answers the central system at all: at once, late, badly, or never."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ocpp.exceptions import OCPPError
from ocpp.messages import Call, MessageType
from ocpp.v16 import ChargePoint
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from simulator.behaviour import Behaviour
from simulator.brands import Brand
from simulator.certificates import Certificates
from simulator.charging import Charging
from simulator.clock import Clock
from simulator.configuration import Configuration
from simulator.journal import Journal
from simulator.link import Link
from simulator.local_list import LocalList
from simulator.maintenance import Maintenance
from simulator.profiles import Profiles
from simulator.registration import Registration
from simulator.reservations import Reservations
from simulator.session import Connector

Work = Coroutine[Any, Any, None]

REFUSALS = MappingProxyType(
    {
        "DeleteCertificate": {"status": "Failed"},
        "ClearChargingProfile": {"status": "Unknown"},
        "GetConfiguration": {},
        "GetDiagnostics": {},
        "GetInstalledCertificateIds": {"status": "NotFound"},
        "GetLocalListVersion": {"listVersion": -1},
        "SendLocalList": {"status": "Failed"},
        "UnlockConnector": {"status": "UnlockFailed"},
        "UpdateFirmware": {},
    }
)
"""What comes nearest to Rejected where an answer knows no such word."""
MALFORMED = {"status": 7, "listVersion": "one", "configurationKey": "none", "fileName": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What a command can reach of the charge point; all of it outlives the connection."""

    charging: Charging
    registration: Registration
    configuration: Configuration
    link: Link
    local_list: LocalList
    reservations: Reservations
    profiles: Profiles
    certificates: Certificates
    maintenance: Maintenance
    brand: Brand
    behaviour: Behaviour
    clock: Clock
    journal: Journal
    spawn: Callable[[Work], None]
    reset: Callable[[str], Work]


class Answering(ChargePoint):
    """One connection, seen from the charge point. A handler answers at once; what takes time begins afterwards."""

    def __init__(self, charger_id: str, connection: ClientConnection, response_timeout_s: float, reach: Reach) -> None:
        super().__init__(charger_id, connection, response_timeout_s)
        self._reach = reach
        self._charging = reach.charging
        self._after_confirmation: list[Callable[[], Work]] = []
        self._turn = asyncio.Lock()

    @property
    def _behaviour(self) -> Behaviour:
        return self._reach.behaviour

    def _chosen(self, connector_id: int | None) -> list[Connector]:
        """The connector of that number; all for 0 or none."""
        connectors = self._charging.connectors
        return [connector for number, connector in connectors.items() if connector_id in {None, 0, number}]

    def _afterwards(self, work: Callable[[], Work]) -> None:
        """Begin this when the confirmation has left."""
        self._after_confirmation.append(work)

    async def _send(self, message: str) -> None:
        frame = json.loads(message)
        # EVlink Pro AC writes its JSON over several lines.
        await super()._send(json.dumps(frame, indent=1) if self._reach.brand.is_json_multiline else message)
        if frame[0] == MessageType.Call:
            self._reach.journal.count(self._reach.journal.sent, frame[2])
        elif frame[0] == MessageType.CallResult:
            for work in self._after_confirmation:
                self._reach.spawn(work())
            self._after_confirmation.clear()

    async def _handle_call(self, msg: Call) -> None:
        self._reach.journal.count(self._reach.journal.received, msg.action)
        if self._behaviour.call_answer_delay_s > 0:
            self._reach.spawn(self._answer_late(msg))
        else:
            await self._answer(msg)

    async def _answer_late(self, msg: Call) -> None:
        await self._reach.clock.sleep(self._behaviour.call_answer_delay_s)
        try:
            await self._answer(msg)
        except OCPPError as error:
            await self._send(msg.create_call_error(error).to_json())
        except ConnectionClosed:
            self._reach.journal.tell(f"{msg.action}: too late, the connection is gone")

    async def _answer(self, msg: Call) -> None:
        async with self._turn:
            self._after_confirmation.clear()
            if not await self._misbehaves(msg):
                await super()._handle_call(msg)

    async def _misbehaves(self, msg: Call) -> bool:
        """Answer as the behaviour says; False where it says nothing about this action."""
        behaviour, action = self._behaviour, msg.action
        if action in behaviour.unanswered_calls:
            self._reach.journal.tell(f"{action} left unanswered")
        elif action in behaviour.disconnecting_calls:
            self._reach.link.drop()
        elif action in behaviour.unsupported_calls:
            await self._send(json.dumps([4, msg.unique_id, "NotSupported", f"{action} is not supported", {}]))
        elif action in behaviour.malformed_calls:
            await self._send(json.dumps([3, msg.unique_id, MALFORMED]))
        elif action in behaviour.refused_calls:
            await self._send(json.dumps([3, msg.unique_id, REFUSALS.get(action, {"status": "Rejected"})]))
        else:
            return False
        return True


async def for_each(connectors: list[Connector], work: Callable[[Connector], Awaitable[None]]) -> None:
    """One after the other."""
    for connector in connectors:
        await work(connector)
