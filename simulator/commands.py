# The ocpp package ships no types, and its decorators take them away.
# mypy: disable-error-code="import-untyped,misc,untyped-decorator"
"""What a simulated charge point does when the central system asks: the requests of the Core profile (OCPP 1.6 §5).

A handler answers at once; what takes time begins after the confirmation has left.
"""

from collections.abc import Mapping
from typing import Any

from ocpp.messages import Call
from ocpp.routing import on
from ocpp.v16 import call_result
from ocpp.v16.enums import Action

from simulator.answering import for_each
from simulator.charging import ConnectorBusyError, SwipeRefusedError
from simulator.configuration import AUTHORIZATION_KEY
from simulator.security_commands import SecurityCommands
from simulator.session import Car, Connector, Session


class CentralSystemCommands(SecurityCommands):
    """The charge point's end of one connection: all 26 requests."""

    async def _misbehaves(self, msg: Call) -> bool:
        is_silent = self._behaviour.silent_remote_stop and self._disobeys
        if msg.action == Action.remote_stop_transaction and is_silent:
            self._note_disobedience("left unanswered")
            return True
        return await super()._misbehaves(msg)

    @on(Action.remote_stop_transaction)
    def on_remote_stop_transaction(self, transaction_id: int) -> Any:
        """Accepted where the transaction runs here (§5.12)."""
        session = self._charging.session_of(transaction_id)
        if session is None:
            return call_result.RemoteStopTransaction(status="Rejected")
        if self._disobeys and self._behaviour.reject_remote_stop:
            self._note_disobedience("rejected")
            return call_result.RemoteStopTransaction(status="Rejected")
        if self._disobeys:
            self._note_disobedience("accepted but ignored")
        else:
            self._afterwards(lambda: self._stop_soon(session))
        return call_result.RemoteStopTransaction(status="Accepted")

    @on(Action.remote_start_transaction)
    def on_remote_start_transaction(
        self, id_tag: str, connector_id: int | None = None, charging_profile: Mapping[str, Any] | None = None
    ) -> Any:
        """Accepted where a connector is free or reserved for the tag; authorized first if AuthorizeRemoteTxRequests
        says so. Its profile has to be a TxProfile (§5.11).
        """
        wanted = self._chosen(connector_id)
        connector = next((one for one in wanted if self._charging.is_open_to(one, id_tag)), None)
        is_good = charging_profile is None or charging_profile["charging_profile_purpose"] == "TxProfile"
        if connector is None or not is_good:
            return call_result.RemoteStartTransaction(status="Rejected")
        if charging_profile is not None and not self._install(connector.connector_id, charging_profile):
            return call_result.RemoteStartTransaction(status="Rejected")
        self._afterwards(lambda: self._start(connector, id_tag))
        return call_result.RemoteStartTransaction(status="Accepted")

    @on(Action.get_configuration)
    def on_get_configuration(self, key: list[str] | None = None) -> Any:
        """The keys asked for, or all (§5.8)."""
        known, unknown = self._reach.configuration.report(key)
        return call_result.GetConfiguration(configuration_key=known, unknown_key=unknown or None)

    @on(Action.change_configuration)
    def on_change_configuration(self, key: str, value: str) -> Any:
        """A new sample interval holds for running sessions too (§5.3); a new key for the next connection, now."""
        status = self._reach.configuration.change(key, value)
        for session in self._charging.running:
            session.wake.set()
        is_key = key == AUTHORIZATION_KEY
        if is_key and status == "Accepted":
            self._afterwards(lambda: self._reach.link.take_password(value))
        self._reach.journal.tell(f"ChangeConfiguration {key}={'(hidden)' if is_key else value}: {status}")
        return call_result.ChangeConfiguration(status=status)

    @on(Action.reset)
    def on_reset(self, type: str) -> Any:  # noqa: A002 - the name of the field in Reset.req
        """Accepted; sessions end with SoftReset or HardReset and the charge point boots (§5.14)."""
        self._afterwards(lambda: self._reach.reset(type))
        return call_result.Reset(status="Accepted")

    @on(Action.change_availability)
    def on_change_availability(self, connector_id: int, type: str) -> Any:  # noqa: A002 - as in the request
        """At once, or Scheduled for the end of the transaction (§5.2)."""
        chosen = self._chosen(connector_id)
        is_operative = type == "Operative"
        for connector in chosen:
            connector.is_operative = is_operative
        idle = [connector for connector in chosen if connector.status in {"Available", "Unavailable"}]
        status = "Available" if is_operative else "Unavailable"
        self._afterwards(lambda: for_each(idle, lambda connector: self._charging.set_status(connector, status)))
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
    def _disobeys(self) -> bool:
        return self._behaviour.disobeys_remote_stop(self._reach.journal.disobeyed)

    def _note_disobedience(self, how: str) -> None:
        self._reach.journal.disobeyed += 1
        self._reach.journal.tell(f"RemoteStopTransaction {how}")

    async def _stop_soon(self, session: Session) -> None:
        await self._reach.clock.sleep(self._behaviour.remote_stop_delay_s)
        session.request_stop("Remote")

    async def _start(self, connector: Connector, id_tag: str) -> None:
        authorize = self._reach.configuration.is_on("AuthorizeRemoteTxRequests")
        try:
            await self._charging.begin(connector, id_tag, Car(), authorize=authorize)
        except (SwipeRefusedError, ConnectorBusyError) as refusal:
            self._reach.profiles.end_transaction(connector.connector_id)
            self._apply_limits()
            self._reach.journal.tell(f"remote start came to nothing: {refusal}")
