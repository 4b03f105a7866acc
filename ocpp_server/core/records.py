"""The records of a site: what is kept of charge points, transactions, bookings, readings and oddities.

All are frozen; a change is a new record (see `changes`). Times are UTC, energy is Wh, power W.
"""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

from ocpp_server.core.energy import EnergyUnit, Wh
from ocpp_server.core.frozen import dataclass
from ocpp_server.core.period import Gap, Month
from ocpp_server.core.register import Register
from ocpp_server.core.users import Account, IdTag


class AuthorizationStatus(StrEnum):
    """OCPP 1.6 §7.2."""

    ACCEPTED = "Accepted"
    BLOCKED = "Blocked"
    EXPIRED = "Expired"
    INVALID = "Invalid"
    CONCURRENT_TX = "ConcurrentTx"


class Admission(StrEnum):
    """Whether a charge point belongs to the site."""

    APPROVED = "approved"
    PENDING = "pending"
    """It may connect and be heard, but nobody may charge at it until a person approves it."""
    LOCKED = "locked"
    """A person shut it out."""


class EndKind(StrEnum):
    """How a transaction ended."""

    STOPPED = "stopped"
    SUPERSEDED = "superseded"
    """Another transaction began on its connector."""
    STALE = "stale"
    """The connector had long been free and no reading came."""


class StopCause(StrEnum):
    """Why the server wants a transaction to stop, in words for people."""

    QUOTA = "quota reached"
    REFUSED = "card was refused"
    REMOVED = "user was removed"
    BLOCKED = "user was blocked"
    EXPIRED = "card has expired"
    CLOSED = "charge point is closed"
    REQUESTED = "stopped by the operator"


@dataclass(frozen=True, slots=True)
class StopOrder:
    """The wish that a transaction stops; it stands until the transaction ends (rule 26)."""

    cause: StopCause
    ordered_at: datetime
    next_attempt_at: datetime
    attempts: int = 0
    failures: int = 0
    attempted_at: datetime | None = None
    is_accepted_at_once: bool = False
    """The first attempt was Accepted: from the order to the end is how fast the charge point obeys."""
    result: str = ""
    """What became of the last attempt: the charge point's status, or "no answer", "offline", …"""
    by: str = ""


@dataclass(frozen=True, slots=True)
class Transaction:
    """One charging session. `id_tag` is the account book's spelling; `stated_id_tag` what the charge point sent."""

    transaction_id: int
    charge_point_id: str
    connector_id: int
    id_tag: IdTag
    stated_id_tag: str
    account: Account
    full_name: str
    status: AuthorizationStatus
    """The answer that StartTransaction got first, and gets again when it is repeated (rule 19)."""
    start_stamp: str
    start_meter_text: str
    is_start_clock_doubtful: bool
    started_at: datetime
    received_at: datetime
    register: Register
    is_on_quota: bool
    booked: tuple[tuple[Month, Wh], ...] = ()
    """Wh booked for it so far, by month, oldest first."""
    booked_at: datetime | None = None
    """Time of the last reading that was booked or seen: the next step begins here."""
    reading_received_at: datetime | None = None
    sample_interval_s: float | None = None
    power_w: int = 0
    """Latest, for people: reported, or derived where that is missing or out of proportion (rule 6)."""
    flow_w: int | None = None
    """Latest, for forecasts: None until the register or the brand profile proves it (rule 25)."""
    reported_power_w: int | None = None
    stop: StopOrder | None = None
    ended_at: datetime | None = None
    ended_received_at: datetime | None = None
    end_kind: EndKind | None = None
    stop_reason: str = ""
    stop_stamp: str = ""
    stop_meter_text: str = ""
    """Time and meterStop as they were sent: what makes a StopTransaction the same one."""
    highest_register: Wh | None = None
    """Register at which the next session on this connector began: what lies beyond is not this session's."""
    is_stale: bool = False
    overshoot: Wh | None = None
    """How far the account was over its quota when this session ended."""
    flags: tuple[str, ...] = ()

    @property
    def energy(self) -> Wh:
        """Wh booked for this session."""
        return Wh(sum(wh for _, wh in self.booked))

    @property
    def is_open(self) -> bool:
        """No end is known yet."""
        return self.ended_at is None

    @property
    def stop_alert_id(self) -> str:
        """The alert that says a stop is not obeyed."""
        return f"stop-{self.transaction_id}"


@dataclass(frozen=True, slots=True)
class Connector:
    """The last StatusNotification of a connector (0 is the charge point itself, OCPP 1.6 §4.9)."""

    connector_id: int
    status: str
    error_code: str
    info: str
    since: datetime


@dataclass(frozen=True, slots=True)
class ChargePoint:
    """What is known of a charge point, and what its readings have proven."""

    charge_point_id: str
    first_seen: datetime
    admission: Admission = Admission.APPROVED
    vendor: str = ""
    model: str = ""
    serial_number: str = ""
    firmware_version: str = ""
    booted_at: datetime | None = None
    configured_boot: datetime | None = None
    """The boot after which its configuration was looked over (rule 27: once after a boot)."""
    connected_since: datetime | None = None
    gaps: tuple[Gap, ...] = ()
    connectors: tuple[Connector, ...] = ()
    has_right_clock: bool | None = None
    register_unit: EnergyUnit | None = None
    """Unit of meterStart and meterStop as proven by a labelled sample."""
    resolution: Wh | None = None
    power_scale: Decimal | None = None
    power_scale_hits: int = 0
    proven_power_w: int | None = None
    stop_delay_s: float | None = None
    unattributed: Wh = Wh(0)
    """Energy between two sessions that belongs to nobody (rule 22)."""
    key_hash: str = ""
    """Salted hash of its AuthorizationKey; blank: it has none."""
    min_security_profile: int = 0
    """Below this OCPP security profile it is not let in: the highest it ever proved, or what a person set."""
    security_profile: int = 0
    """What the last connection proved: 0 nothing, 1 key, 2 key over TLS, 3 certificate."""
    address: str = ""
    """IP address of the last connection."""
    home_address: str = ""
    """The first IP address it came from without a proof; from another network it raises an alert."""
    disconnected_at: datetime | None = None
    """When its last connection ended; also for one that had been quiet for hours."""
    readonly_keys: tuple[str, ...] = ()
    """Configuration keys that it says cannot be changed, of those that leaks depend on."""


class BookingKind(StrEnum):
    """What a booking is for."""

    ENERGY = "energy"
    CORRECTION = "correction"
    ADJUSTMENT = "adjustment"
    IMPORT = "import"


@dataclass(frozen=True, slots=True)
class Booking:
    """An entry of the books, never changed afterwards. It lies within one hour of the site's wall clock."""

    booking_id: int
    kind: BookingKind
    hour: datetime
    """Begin of the hour, UTC."""
    month: Month
    day: str
    id_tag: IdTag
    wh: Wh
    booked_at: datetime
    charge_point_id: str = ""
    transaction_id: int | None = None
    is_on_quota: bool = True
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """One line of the meter log, and what the forwarder posts."""

    number: int
    key: str
    """Charge point, transaction, stamp and register: a repeated message is the same reading."""
    at: datetime
    charge_point_id: str
    connector_id: int
    transaction_id: int | None
    id_tag: str
    full_name: str
    power_w: int
    register: Wh
    frequency_hz: Decimal | None


class NoteKind(StrEnum):
    """What a note is about."""

    REFUSAL = "refusal"
    STOP = "stop"
    STOP_FAILED = "stop failed"
    ODDITY = "oddity"
    SET_ASIDE = "set aside"
    ORPHAN = "orphan"
    SECURITY = "security event"
    UNATTRIBUTED = "unattributed"
    CLOSED = "closed by the server"
    OVERSHOOT = "overshoot"
    WARNING = "quota nearly used up"
    ADJUSTED = "adjusted"
    DECIDED = "set aside decided"
    USER = "user edited"
    CHARGE_POINT = "charge point edited"
    CALL = "call by hand"
    MONTH = "month"
    MESSAGE = "message"
    ALERT = "alert"


SAID: Final = "said"
"""Name of the figure that holds a charge point's own words: never logged, for they may hold a secret or a whole tag."""

ROWS: Final = "rows"
"""Name of the figure that tells a table's rows by whole tags: never logged either."""


@dataclass(frozen=True, slots=True)
class Note:
    """An anomaly, a refusal or a stop with its reason and the figures used: why was RFID001 refused at 14:23."""

    kind: NoteKind
    at: datetime
    text: str
    charge_point_id: str = ""
    connector_id: int | None = None
    transaction_id: int | None = None
    id_tag: str = ""
    figures: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Alert:
    """A state that a person should look at, open until it resolves itself."""

    alert_id: str
    kind: str
    text: str
    since: datetime
    charge_point_id: str = ""
    transaction_id: int | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: str = ""
    """Who has seen it and takes care; blank: nobody yet."""


@dataclass(frozen=True, slots=True)
class RefusedTag:
    """A tag that was refused, whole, so that an administrator can learn a new card's number (rule 13)."""

    id_tag: str
    at: datetime
    charge_point_id: str
    reason: str
