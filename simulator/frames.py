# The ocpp package ships no types.
# mypy: disable-error-code=import-untyped
"""What a charge point says, as requests of the `ocpp` package: by brand, with the stamps its clock would give."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from ocpp.v16 import call

from simulator.behaviour import Absent, Behaviour
from simulator.brands import ENERGY, FREQUENCY, POWER, Brand
from simulator.clock import Clock
from simulator.meter import RegisterModel
from simulator.session import Connector, Session

Request: TypeAlias = Any
"""A request of `ocpp.v16.call`; the package has no common base for them."""

UNKNOWN_TRANSACTION_ID = -1
"""What a charge point sends in StopTransaction that never learned its transaction id (libocpp, KEBA)."""


@dataclass(frozen=True, slots=True)
class Frames:
    """Builds the requests of one charge point."""

    charger_id: str
    brand: Brand
    behaviour: Behaviour
    clock: Clock
    switched_on_s: float = 0.0

    def stamp(self) -> str:
        """The time as this charge point would write it."""
        now = self.clock.now().astimezone(UTC)
        if self.behaviour.no_clock:
            uptime = timedelta(seconds=self.clock.monotonic() - self.switched_on_s)
            now = datetime(1970, 1, 1, tzinfo=UTC) + uptime
        if self.behaviour.local_time_without_offset:
            local = now + timedelta(hours=self.behaviour.local_offset_h)
            return local.replace(tzinfo=None).isoformat(timespec="milliseconds")
        return now.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"

    def boot_notification(self) -> Request:
        """BootNotification (§4.2)."""
        return call.BootNotification(
            charge_point_model=self.brand.model,
            charge_point_vendor=self.brand.vendor,
            charge_point_serial_number=self.charger_id[-25:],
            firmware_version=self.brand.firmware_version,
        )

    def status_notification(self, connector_id: int, status: str) -> Request:
        """StatusNotification (§4.9)."""
        return call.StatusNotification(
            connector_id=connector_id, error_code="NoError", status=status, timestamp=self.stamp()
        )

    def start_transaction(self, session: Session, stamp: str) -> Request:
        """StartTransaction (§4.8)."""
        return call.StartTransaction(
            connector_id=session.connector_id,
            id_tag=session.id_tag,
            meter_start=session.meter_start,
            timestamp=stamp,
            reservation_id=session.reservation_id,
        )

    def meter_values(self, connector_id: int, meter_value: dict[str, object], transaction_id: int | None) -> Request:
        """MeterValues (§4.7) with the transaction id that the behaviour asks for."""
        wrong_id = self.behaviour.wrong_transaction_id
        sent_id = transaction_id if wrong_id is None else None if isinstance(wrong_id, Absent) else wrong_id
        return call.MeterValues(connector_id=connector_id, meter_value=[meter_value], transaction_id=sent_id)

    def stop_transaction(self, session: Session, stamp: str, end_sample: dict[str, object]) -> Request:
        """StopTransaction (§4.10); only the driver's own stop carries the tag."""
        wrong_id = self.behaviour.stop_transaction_id
        known_id = UNKNOWN_TRANSACTION_ID if session.transaction_id is None else session.transaction_id
        return call.StopTransaction(
            meter_stop=session.meter_stop,
            timestamp=stamp,
            transaction_id=known_id if wrong_id is None else wrong_id,
            reason=session.stop_reason,
            id_tag=session.id_tag if session.stop_reason == "Local" else None,
            transaction_data=[session.start_sample, end_sample] if self.behaviour.transaction_data else None,
        )

    def meter_value(self, connector: Connector, context: str, measurands: list[str]) -> dict[str, object]:
        """One MeterValue with what the meter shows now."""
        at_s = self.clock.monotonic()
        return {
            "timestamp": self.stamp(),
            "sampled_value": [
                {**self._sampled_value(connector.register, measurand, at_s), "context": context, "location": "Outlet"}
                for measurand in measurands
            ],
        }

    def _sampled_value(self, register: RegisterModel, measurand: str, at_s: float) -> dict[str, str]:
        match measurand:
            case "Energy.Active.Import.Register":
                value, unit = register.sample_text(at_s), self.brand.energy_unit
            case "Power.Active.Import":
                value, unit = register.power_text(at_s), "W"
            case "Frequency":
                value, unit = f"{self.brand.frequency_hz:.1f}", "Hertz"
            case _:
                msg = f"expected {ENERGY}, {POWER} or {FREQUENCY}, got {measurand}"
                raise ValueError(msg)
        return {"value": value, "measurand": measurand, "unit": unit}
