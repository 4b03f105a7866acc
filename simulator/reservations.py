"""The reservations of a simulated charge point: one connector each, for one tag (OCPP 1.6 §5.1, §5.13)."""

from dataclasses import dataclass
from datetime import datetime

from simulator.session import Connector

_STATUS_OF = {"Faulted": "Faulted", "Unavailable": "Unavailable", "Available": "Accepted"}


@dataclass(frozen=True, slots=True)
class Reservation:
    """A connector kept for a tag until a time (aware). The parent tag is not looked at."""

    reservation_id: int
    connector_id: int
    id_tag: str
    until: datetime


class Reservations:
    """Which connector is kept for whom."""

    def __init__(self) -> None:
        self._by_id: dict[int, Reservation] = {}

    def answer(self, wanted: Reservation, connector: Connector | None, now: datetime) -> str:
        """The status of ReserveNow.conf. The charge point as a whole (connector 0) cannot be reserved."""
        if connector is None or wanted.until <= now:
            return "Rejected"
        if not connector.is_operative:
            return "Unavailable"
        if self.on(connector.connector_id) == self._by_id.get(wanted.reservation_id) is not None:
            return "Accepted"
        return _STATUS_OF.get(connector.status, "Occupied")

    def keep(self, reservation: Reservation) -> Reservation | None:
        """Reserve; gives the reservation of the same id that it replaces."""
        before = self._by_id.get(reservation.reservation_id)
        self._by_id[reservation.reservation_id] = reservation
        return before

    def end(self, reservation_id: int) -> Reservation | None:
        """Used, cancelled or expired; None if there is no such reservation."""
        return self._by_id.pop(reservation_id, None)

    def is_in_force(self, reservation: Reservation) -> bool:
        """Whether it was neither used, nor cancelled, nor replaced."""
        return self._by_id.get(reservation.reservation_id) is reservation

    def on(self, connector_id: int) -> Reservation | None:
        """The reservation of this connector."""
        return next((one for one in self._by_id.values() if one.connector_id == connector_id), None)

    def of(self, connector: Connector, id_tag: str) -> Reservation | None:
        """The reservation that lets this tag charge on this connector."""
        found = self.on(connector.connector_id)
        is_theirs = found is not None and found.id_tag.casefold() == id_tag.casefold()
        return found if is_theirs and connector.is_operative and connector.status == "Reserved" else None
