"""What can happen to the state: upserts, removals and appended entries, each absolute, so that twice is harmless.

A store keeps each kind with one statement. `site.apply` is the only place that carries them out in memory.
"""

from datetime import datetime
from typing import TypeAlias

from ocpp_server.core.events import Event
from ocpp_server.core.frozen import dataclass
from ocpp_server.core.period import Month
from ocpp_server.core.records import Alert, Booking, ChargePoint, Note, Reading, RefusedTag, Transaction
from ocpp_server.core.set_aside import SetAside
from ocpp_server.core.users import ChargerRow, UserTable


@dataclass(frozen=True, slots=True)
class PutChargePoint:
    """Insert or replace a charge point."""

    charge_point: ChargePoint


@dataclass(frozen=True, slots=True)
class RemoveChargePoint:
    """Forget a charge point, when it was seen and its configuration. Its transactions and bookings stay."""

    charge_point_id: str


@dataclass(frozen=True, slots=True)
class PutSeen:
    """When a charge point was last heard of, and its last Heartbeat."""

    charge_point_id: str
    last_seen: datetime
    last_heartbeat: datetime | None


@dataclass(frozen=True, slots=True)
class PutConfiguration:
    """The configuration keys a charge point told."""

    charge_point_id: str
    at: datetime
    keys: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class PutTransaction:
    """Insert or replace a transaction."""

    transaction: Transaction


@dataclass(frozen=True, slots=True)
class AddBooking:
    """Append to the books; an id that is already there is not added again."""

    booking: Booking


@dataclass(frozen=True, slots=True)
class AddReading:
    """Append to the meter log."""

    reading: Reading


@dataclass(frozen=True, slots=True)
class AddNote:
    """Keep an anomaly, refusal or stop. `number` makes it the same note when it is added twice."""

    number: int
    note: Note


@dataclass(frozen=True, slots=True)
class AddEvent:
    """Keep an event until other systems have it. `number` makes it the same event when it is added twice."""

    number: int
    event: Event


@dataclass(frozen=True, slots=True)
class AddRefusedTag:
    """Remember a refused tag."""

    number: int
    refused: RefusedTag


@dataclass(frozen=True, slots=True)
class PutSetAside:
    """Insert or replace energy that waits, or waited, for a person."""

    set_aside: SetAside


@dataclass(frozen=True, slots=True)
class PutUsers:
    """The users in force; kept so that they stay in force when the file is gone at the next start."""

    table: UserTable


@dataclass(frozen=True, slots=True)
class PutChargers:
    """The rows of chargers.csv in force."""

    rows: tuple[ChargerRow, ...]


@dataclass(frozen=True, slots=True)
class PutOpenMonth:
    """The month that quotas are counted in."""

    month: Month


@dataclass(frozen=True, slots=True)
class PutAlert:
    """Raise an alert."""

    alert: Alert


@dataclass(frozen=True, slots=True)
class RemoveAlert:
    """Resolve an alert."""

    alert_id: str


Change: TypeAlias = (
    PutChargePoint
    | RemoveChargePoint
    | PutSeen
    | PutConfiguration
    | PutTransaction
    | AddBooking
    | AddReading
    | AddNote
    | AddEvent
    | AddRefusedTag
    | PutSetAside
    | PutUsers
    | PutChargers
    | PutOpenMonth
    | PutAlert
    | RemoveAlert
)
