# The ocpp package ships no types, and its decorators take them away.
# mypy: disable-error-code="import-untyped,misc,untyped-decorator"
"""Requests of the optional profiles: firmware and diagnostics, local list, reservation, smart charging, trigger."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ocpp.routing import on
from ocpp.v16 import call_result
from ocpp.v16.enums import Action

from simulator.answering import Answering, for_each
from simulator.maintenance import IDLE
from simulator.reservations import Reservation
from simulator.session import Connector


class OptionalCommands(Answering):
    """The handlers of the profiles that a charge point need not have."""

    @on(Action.get_diagnostics)
    def on_get_diagnostics(self, **_others: object) -> Any:
        """A file name, then DiagnosticsStatusNotification; no name while an upload goes on (§5.9)."""
        if self._reach.maintenance.diagnostics_status != IDLE:
            return call_result.GetDiagnostics()
        self._afterwards(self._reach.maintenance.upload_diagnostics)
        return call_result.GetDiagnostics(file_name=f"diagnostics-{self._reach.clock.now():%Y%m%d%H%M%S}.zip")

    @on(Action.update_firmware)
    def on_update_firmware(self, retrieve_date: str, **_others: object) -> Any:
        """FirmwareStatusNotification step by step, with a boot (§5.19); not while another update goes on."""
        if self._reach.maintenance.firmware_status == IDLE:
            at = time_of(retrieve_date)
            self._afterwards(lambda: self._reach.maintenance.update_firmware(at))
        return call_result.UpdateFirmware()

    @on(Action.get_local_list_version)
    def on_get_local_list_version(self) -> Any:
        """The version that came with the list; -1 where there can be none (§5.10)."""
        is_on = self._reach.configuration.is_on("LocalAuthListEnabled")
        return call_result.GetLocalListVersion(list_version=self._reach.local_list.version if is_on else -1)

    @on(Action.send_local_list)
    def on_send_local_list(
        self, list_version: int, update_type: str, local_authorization_list: list[Mapping[str, Any]] | None = None
    ) -> Any:
        """Taken over as a whole or not at all (§5.15)."""
        if not self._reach.configuration.is_on("LocalAuthListEnabled"):
            return call_result.SendLocalList(status="NotSupported")
        status = self._reach.local_list.update(update_type, list_version, local_authorization_list or [])
        return call_result.SendLocalList(status=status)

    @on(Action.reserve_now)
    def on_reserve_now(
        self, connector_id: int, expiry_date: str, id_tag: str, reservation_id: int, **_others: object
    ) -> Any:
        """Reserved until it is used, cancelled or over (§5.13)."""
        reservation = Reservation(reservation_id, connector_id, id_tag, time_of(expiry_date))
        connector = self._charging.connectors.get(connector_id)
        status = self._reach.reservations.answer(reservation, connector, self._reach.clock.now())
        if status == "Accepted":
            before = self._reach.reservations.keep(reservation)
            self._afterwards(lambda: self._reserve(reservation, before))
        return call_result.ReserveNow(status=status)

    @on(Action.cancel_reservation)
    def on_cancel_reservation(self, reservation_id: int) -> Any:
        """Accepted for a reservation in force (§5.1)."""
        ended = self._reach.reservations.end(reservation_id)
        if ended is None:
            return call_result.CancelReservation(status="Rejected")
        self._afterwards(lambda: self._free(ended))
        return call_result.CancelReservation(status="Accepted")

    @on(Action.set_charging_profile)
    def on_set_charging_profile(self, connector_id: int, cs_charging_profiles: Mapping[str, Any]) -> Any:
        """A TxProfile needs its transaction (§5.16)."""
        transaction_id = cs_charging_profiles.get("transaction_id")
        chosen = self._chosen(connector_id)
        is_tx_profile = cs_charging_profiles["charging_profile_purpose"] == "TxProfile"
        if not chosen or (is_tx_profile and not _runs(chosen, transaction_id)):
            return call_result.SetChargingProfile(status="Rejected")
        is_installed = self._install(connector_id, cs_charging_profiles)
        return call_result.SetChargingProfile(status="Accepted" if is_installed else "Rejected")

    @on(Action.clear_charging_profile)
    def on_clear_charging_profile(
        self,
        id: int | None = None,  # noqa: A002 - the name of the field in the request
        connector_id: int | None = None,
        charging_profile_purpose: str | None = None,
        stack_level: int | None = None,
    ) -> Any:
        """Lifts the limits of the profiles that are meant (§5.5)."""
        is_any = self._reach.profiles.clear(id, connector_id, charging_profile_purpose, stack_level)
        self._apply_limits()
        return call_result.ClearChargingProfile(status="Accepted" if is_any else "Unknown")

    @on(Action.get_composite_schedule)
    def on_get_composite_schedule(self, connector_id: int, duration: int, charging_rate_unit: str = "A") -> Any:
        """The limit that is in force, as a schedule of one period (§5.7)."""
        if not self._chosen(connector_id):
            return call_result.GetCompositeSchedule(status="Rejected")
        return call_result.GetCompositeSchedule(
            status="Accepted",
            connector_id=connector_id,
            schedule_start=self._reach.clock.now().isoformat(timespec="seconds").replace("+00:00", "Z"),
            charging_schedule=self._reach.profiles.composite(connector_id, duration, charging_rate_unit),
        )

    @on(Action.trigger_message)
    def on_trigger_message(self, requested_message: str, connector_id: int | None = None) -> Any:
        """The message follows the confirmation (§5.17)."""
        match requested_message:
            case "DiagnosticsStatusNotification":
                self._afterwards(self._reach.maintenance.tell_diagnostics)
                return call_result.TriggerMessage(status="Accepted")
            case "FirmwareStatusNotification":
                self._afterwards(lambda: self._reach.maintenance.tell_firmware(is_signed=False))
                return call_result.TriggerMessage(status="Accepted")
        return call_result.TriggerMessage(status=self._trigger(requested_message, connector_id))

    def _trigger(self, requested: str, connector_id: int | None) -> str:
        """What TriggerMessage and ExtendedTriggerMessage have in common; the status of the answer."""
        chosen = self._chosen(connector_id)
        if not chosen:
            return "Rejected"
        match requested:
            case "BootNotification":
                self._afterwards(self._reach.registration.boot)
            case "Heartbeat":
                self._afterwards(self._reach.registration.heartbeat)
            case "StatusNotification":
                self._afterwards(lambda: for_each(chosen, self._charging.reporting.status_now))
            case "MeterValues":
                self._afterwards(lambda: for_each(chosen, self._sample))
            case _:
                return "NotImplemented"
        return "Accepted"

    def _install(self, connector_id: int, profile: Mapping[str, Any]) -> bool:
        is_installed = self._reach.profiles.install(connector_id, profile)
        self._apply_limits()
        return is_installed

    def _apply_limits(self) -> None:
        for connector in self._charging.connectors.values():
            limit_w = self._reach.profiles.limit_w(connector.connector_id)
            if limit_w != connector.limit_w:
                self._charging.limit(connector, limit_w)
                self._reach.journal.tell(f"connector {connector.connector_id} is limited to {limit_w:.0f} W")

    async def _reserve(self, reservation: Reservation, before: Reservation | None) -> None:
        """Keep the connector until the reservation is used or ended, at most until it expires."""
        if before is not None and before.connector_id != reservation.connector_id:
            await self._free(before)
        await self._charging.set_status(self._charging.connectors[reservation.connector_id], "Reserved")
        await self._reach.clock.sleep((reservation.until - self._reach.clock.now()).total_seconds())
        if self._reach.reservations.is_in_force(reservation):
            self._reach.reservations.end(reservation.reservation_id)
            await self._free(reservation)

    async def _free(self, ended: Reservation) -> None:
        connector = self._charging.connectors[ended.connector_id]
        if connector.status == "Reserved":
            await self._charging.set_status(connector, "Available" if connector.is_operative else "Unavailable")

    async def _sample(self, connector: Connector) -> None:
        self._charging.reporting.sample(connector, "Trigger")


def _runs(connectors: list[Connector], transaction_id: int | None) -> bool:
    sessions = [connector.running for connector in connectors if connector.running is not None]
    return any(transaction_id in {None, session.transaction_id} for session in sessions)


def time_of(text: str) -> datetime:
    """A time in a request; without a zone it is UTC."""
    at = datetime.fromisoformat(text)
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
