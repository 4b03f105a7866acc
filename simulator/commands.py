# The ocpp package ships no types, and its decorators take them away.
# mypy: disable-error-code="import-untyped,misc,untyped-decorator"
"""What a simulated charge point does when the central system asks: one handler for each request of OCPP 1.6.

A handler answers at once; what takes time begins after the confirmation has left.
"""

import json
import math
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from ocpp.messages import Call, MessageType
from ocpp.routing import on
from ocpp.v16 import ChargePoint, call_result
from ocpp.v16.enums import Action
from websockets.asyncio.client import ClientConnection

from simulator.behaviour import Behaviour
from simulator.brands import Brand
from simulator.charging import Charging, ConnectorBusyError, SwipeRefusedError
from simulator.clock import Clock
from simulator.configuration import Configuration
from simulator.journal import Journal
from simulator.registration import Registration
from simulator.session import Car, Connector, Session

NOMINAL_VOLTAGE_V, PHASES = 230, 3

Work = Coroutine[Any, Any, None]


@dataclass(frozen=True, slots=True)
class Reach:
    """What a command can reach of the charge point; all of it outlives the connection."""

    charging: Charging
    registration: Registration
    configuration: Configuration
    brand: Brand
    behaviour: Behaviour
    clock: Clock
    journal: Journal
    spawn: Callable[[Work], None]
    reset: Callable[[str], Work]


class CentralSystemCommands(ChargePoint):
    """The charge point's end of one connection."""

    def __init__(self, charger_id: str, connection: ClientConnection, response_timeout_s: float, reach: Reach) -> None:
        super().__init__(charger_id, connection, response_timeout_s)
        self._reach = reach
        self._charging = reach.charging
        self._after_confirmation: list[Callable[[], Work]] = []

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
        self._after_confirmation.clear()
        if msg.action == Action.remote_stop_transaction and self._disobeys and self._behaviour.silent_remote_stop:
            self._note_disobedience("left unanswered")
            return
        await super()._handle_call(msg)

    @on(Action.remote_stop_transaction)
    def on_remote_stop_transaction(self, transaction_id: int) -> Any:
        """Accepted where the transaction runs here (§5.13)."""
        session = self._charging.session_of(transaction_id)
        if session is None:
            return call_result.RemoteStopTransaction(status="Rejected")
        if self._disobeys and self._behaviour.reject_remote_stop:
            self._note_disobedience("rejected")
            return call_result.RemoteStopTransaction(status="Rejected")
        if self._disobeys:
            self._note_disobedience("accepted but ignored")
        else:
            self._after_confirmation.append(lambda: self._stop_soon(session))
        return call_result.RemoteStopTransaction(status="Accepted")

    @on(Action.remote_start_transaction)
    def on_remote_start_transaction(self, id_tag: str, connector_id: int | None = None, **_others: object) -> Any:
        """Accepted where a connector is free; authorized first if AuthorizeRemoteTxRequests says so (§5.11)."""
        wanted = self._chosen(connector_id)
        connector = next((connector for connector in wanted if connector.is_free), None)
        if connector is None:
            return call_result.RemoteStartTransaction(status="Rejected")
        self._after_confirmation.append(lambda: self._start(connector, id_tag))
        return call_result.RemoteStartTransaction(status="Accepted")

    @on(Action.get_configuration)
    def on_get_configuration(self, key: list[str] | None = None) -> Any:
        """The keys asked for, or all (§5.8)."""
        known, unknown = self._reach.configuration.report(key)
        return call_result.GetConfiguration(configuration_key=known, unknown_key=unknown or None)

    @on(Action.change_configuration)
    def on_change_configuration(self, key: str, value: str) -> Any:
        """A new sample interval holds for running sessions too (§5.3)."""
        status = self._reach.configuration.change(key, value)
        for session in self._charging.running:
            session.wake.set()
        self._reach.journal.tell(f"ChangeConfiguration {key}={value}: {status}")
        return call_result.ChangeConfiguration(status=status)

    @on(Action.set_charging_profile)
    def on_set_charging_profile(self, connector_id: int, cs_charging_profiles: Mapping[str, Any]) -> Any:
        """The first period of the schedule limits the power; a TxProfile needs its transaction (§5.16)."""
        transaction_id = cs_charging_profiles.get("transaction_id")
        chosen = self._chosen(connector_id)
        is_tx_profile = cs_charging_profiles["charging_profile_purpose"] == "TxProfile"
        if not chosen or (is_tx_profile and not self._runs(chosen, transaction_id)):
            return call_result.SetChargingProfile(status="Rejected")
        schedule = cs_charging_profiles["charging_schedule"]
        limit = float(schedule["charging_schedule_period"][0]["limit"])
        limit_w = limit if schedule["charging_rate_unit"] == "W" else limit * NOMINAL_VOLTAGE_V * PHASES
        for connector in chosen:
            self._charging.limit(connector, limit_w)
        self._reach.journal.tell(f"limited to {limit_w:.0f} W")
        return call_result.SetChargingProfile(status="Accepted")

    @on(Action.clear_charging_profile)
    def on_clear_charging_profile(self, connector_id: int | None = None, **_others: object) -> Any:
        """Lifts the limit (§5.5)."""
        limited = [connector for connector in self._chosen(connector_id) if connector.limit_w < math.inf]
        for connector in limited:
            self._charging.limit(connector, math.inf)
        return call_result.ClearChargingProfile(status="Accepted" if limited else "Unknown")

    @on(Action.reset)
    def on_reset(self, type: str) -> Any:  # noqa: A002 - the name of the field in Reset.req
        """Accepted; sessions end with SoftReset or HardReset and the charge point boots (§5.14)."""
        self._after_confirmation.append(lambda: self._reach.reset(type))
        return call_result.Reset(status="Accepted")

    @on(Action.trigger_message)
    def on_trigger_message(self, requested_message: str, connector_id: int | None = None) -> Any:
        """The message follows the confirmation (§5.17)."""
        chosen = self._chosen(connector_id)
        if not chosen:
            return call_result.TriggerMessage(status="Rejected")
        match requested_message:
            case "BootNotification":
                self._after_confirmation.append(self._reach.registration.boot)
            case "Heartbeat":
                self._after_confirmation.append(self._reach.registration.heartbeat)
            case "StatusNotification":
                self._after_confirmation.append(lambda: _for_each(chosen, self._charging.reporting.status_now))
            case "MeterValues":
                self._after_confirmation.append(lambda: _for_each(chosen, self._sample))
            case _:
                return call_result.TriggerMessage(status="NotImplemented")
        return call_result.TriggerMessage(status="Accepted")

    @on(Action.change_availability)
    def on_change_availability(self, connector_id: int, type: str) -> Any:  # noqa: A002 - as in the request
        """At once, or Scheduled for the end of the transaction (§5.2)."""
        chosen = self._chosen(connector_id)
        is_operative = type == "Operative"
        for connector in chosen:
            connector.is_operative = is_operative
        idle = [connector for connector in chosen if connector.status in {"Available", "Unavailable"}]
        status = "Available" if is_operative else "Unavailable"
        self._after_confirmation.append(
            lambda: _for_each(idle, lambda connector: self._charging.set_status(connector, status))
        )
        if not chosen:
            return call_result.ChangeAvailability(status="Rejected")
        return call_result.ChangeAvailability(status="Accepted" if idle == chosen else "Scheduled")

    @on(Action.unlock_connector)
    def on_unlock_connector(self, connector_id: int) -> Any:
        """Unlocked; a running transaction ends first (§5.18)."""
        connector = self._charging.connectors.get(connector_id)
        if connector is None:
            return call_result.UnlockConnector(status="NotSupported")
        if connector.running is not None:
            connector.running.request_stop("UnlockCommand")
        return call_result.UnlockConnector(status="Unlocked")

    @on(Action.clear_cache)
    def on_clear_cache(self) -> Any:
        """There is no cache to clear, so it is empty (§5.4)."""
        return call_result.ClearCache(status="Accepted")

    @on(Action.data_transfer)
    def on_data_transfer(self, **_others: object) -> Any:
        """No vendor is known (§4.3)."""
        return call_result.DataTransfer(status="UnknownVendorId")

    @property
    def _behaviour(self) -> Behaviour:
        return self._reach.behaviour

    @property
    def _disobeys(self) -> bool:
        return self._behaviour.disobeys_remote_stop(self._reach.journal.disobeyed)

    def _note_disobedience(self, how: str) -> None:
        self._reach.journal.disobeyed += 1
        self._reach.journal.tell(f"RemoteStopTransaction {how}")

    def _chosen(self, connector_id: int | None) -> list[Connector]:
        """The connector of that number; all for 0 or none."""
        connectors = self._charging.connectors
        return [connector for number, connector in connectors.items() if connector_id in {None, 0, number}]

    @staticmethod
    def _runs(connectors: list[Connector], transaction_id: int | None) -> bool:
        sessions = [connector.running for connector in connectors if connector.running is not None]
        return any(transaction_id in {None, session.transaction_id} for session in sessions)

    async def _stop_soon(self, session: Session) -> None:
        await self._reach.clock.sleep(self._behaviour.remote_stop_delay_s)
        session.request_stop("Remote")

    async def _start(self, connector: Connector, id_tag: str) -> None:
        authorize = self._reach.configuration.is_on("AuthorizeRemoteTxRequests")
        try:
            await self._charging.begin(connector, id_tag, Car(), authorize=authorize)
        except (SwipeRefusedError, ConnectorBusyError) as refusal:
            self._reach.journal.tell(f"remote start came to nothing: {refusal}")

    async def _sample(self, connector: Connector) -> None:
        self._charging.reporting.sample(connector, "Trigger")


async def _for_each(connectors: list[Connector], work: Callable[[Connector], Awaitable[None]]) -> None:
    for connector in connectors:
        await work(connector)
