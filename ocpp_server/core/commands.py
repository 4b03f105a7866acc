"""What can be asked of the site: a closed union of frozen commands, and the replies to them.

`at` is the time of receipt, by our clock, UTC. Numbers of a charge point arrive as it sent them (text or JSON
number): units are decided in the core.
"""

from datetime import datetime
from typing import Literal, TypeAlias

from ocpp_server.core.energy import Wh
from ocpp_server.core.frozen import dataclass
from ocpp_server.core.meter import MeterValue
from ocpp_server.core.period import Month
from ocpp_server.core.records import Admission, AuthorizationStatus, NoteKind
from ocpp_server.core.users import ChargerRow, IdTag, UserTable


@dataclass(frozen=True, slots=True)
class Connect:
    """A charge point's socket opened, and was let in."""

    charge_point_id: str
    at: datetime
    address: str = ""
    """IP address; blank for this machine itself."""
    security_profile: int = 0
    """The OCPP security profile that this connection proved."""
    admission: Admission = Admission.APPROVED
    """What a charge point that was never here before begins as."""


@dataclass(frozen=True, slots=True)
class Disconnect:
    """The owning socket of a charge point closed."""

    charge_point_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class BootNotification:
    """OCPP 1.6 §4.2."""

    charge_point_id: str
    at: datetime
    vendor: str = ""
    model: str = ""
    serial_number: str = ""
    firmware_version: str = ""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """OCPP 1.6 §4.6."""

    charge_point_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class StatusNotification:
    """OCPP 1.6 §4.9. Unknown values are kept as they are."""

    charge_point_id: str
    at: datetime
    connector_id: int
    status: str
    error_code: str = ""
    info: str = ""
    timestamp: str = ""


@dataclass(frozen=True, slots=True)
class Authorize:
    """OCPP 1.6 §4.1."""

    charge_point_id: str
    at: datetime
    id_tag: str


@dataclass(frozen=True, slots=True)
class StartTransaction:
    """OCPP 1.6 §4.8."""

    charge_point_id: str
    at: datetime
    connector_id: int
    id_tag: str
    meter_start: object
    timestamp: str


@dataclass(frozen=True, slots=True)
class StopTransaction:
    """OCPP 1.6 §4.10. `transaction_id` is None where it is missing or no number; a missing reason means Local."""

    charge_point_id: str
    at: datetime
    transaction_id: int | None
    meter_stop: object
    timestamp: str
    id_tag: str = ""
    reason: str = "Local"
    transaction_data: tuple[MeterValue, ...] = ()


@dataclass(frozen=True, slots=True)
class MeterValues:
    """OCPP 1.6 §4.7."""

    charge_point_id: str
    at: datetime
    connector_id: int
    transaction_id: int | None
    meter_values: tuple[MeterValue, ...]


@dataclass(frozen=True, slots=True)
class RecordMessage:
    """A message that is only kept: DataTransfer, firmware, diagnostics and log status, security events."""

    charge_point_id: str
    at: datetime
    kind: NoteKind
    text: str
    said: str = ""
    """What it said in its own words, for the ledger alone."""


@dataclass(frozen=True, slots=True)
class SecurityEvent:
    """SecurityEventNotification (security white paper A04), or what the server itself noticed of a charge point."""

    charge_point_id: str
    at: datetime
    event: str
    """The type as the white paper lists it, or one of `admission`'s own; unknown ones are kept as they are."""
    text: str


@dataclass(frozen=True, slots=True)
class ApproveChargePoint:
    """A person lets a charge point in, whatever it was before, and has looked at what it raised alerts for."""

    at: datetime
    charge_point_id: str
    by: str
    min_security_profile: int | None = None
    """None: as it was."""


@dataclass(frozen=True, slots=True)
class LockChargePoint:
    """A person shuts a charge point out."""

    at: datetime
    charge_point_id: str
    by: str


@dataclass(frozen=True, slots=True)
class ForgetChargePoint:
    """A person lets go of a charge point: it is unknown again, with its key. Its bookings stay."""

    at: datetime
    charge_point_id: str
    by: str


@dataclass(frozen=True, slots=True)
class SetChargePointKey:
    """A person gives a charge point an AuthorizationKey; one that was never here becomes known and approved."""

    at: datetime
    charge_point_id: str
    key_hash: str
    """Blank takes the key away."""
    by: str


@dataclass(frozen=True, slots=True)
class ForgetExpired:
    """Let go of pending charge points that nobody approved, and of security alerts that are over."""

    at: datetime


@dataclass(frozen=True, slots=True)
class RecordConfiguration:
    """The answer to GetConfiguration, or one key that ChangeConfiguration set (OCPP 1.6 §5.3, §5.8)."""

    charge_point_id: str
    at: datetime
    keys: tuple[tuple[str, str], ...]
    is_complete: bool = False
    """True: this is the whole list, asked for after a boot."""
    readonly: tuple[str, ...] = ()
    """Those of the keys that cannot be changed."""


@dataclass(frozen=True, slots=True)
class ReplaceUsers:
    """A new users1.csv is in force."""

    at: datetime
    table: UserTable
    by: str = ""
    figures: tuple[tuple[str, str], ...] = ()
    """What somebody changed by hand in the file; empty where it was edited through the server, which tells it itself.
    """


@dataclass(frozen=True, slots=True)
class RecordCall:
    """A person had something asked of a charge point, or its connection closed."""

    charge_point_id: str
    at: datetime
    action: str
    """Without its payload: that may hold a secret."""
    result: str
    by: str


@dataclass(frozen=True, slots=True)
class RecordUserEdit:
    """A person edited users1.csv through the server, and it is in force; `figures` hold no names."""

    at: datetime
    text: str
    id_tag: str
    by: str
    figures: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class RecordChargePointEdit:
    """A person edited the row of a charge point in chargers.csv through the server, and it is in force."""

    charge_point_id: str
    at: datetime
    text: str
    by: str
    figures: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ReplaceChargers:
    """A new chargers.csv is in force."""

    at: datetime
    rows: tuple[ChargerRow, ...]
    by: str = ""
    figures: tuple[tuple[str, str], ...] = ()
    """As in ReplaceUsers."""


@dataclass(frozen=True, slots=True)
class OrderStops:
    """Look which transactions ought to stop now, and order it (rules 25 and 26)."""

    at: datetime


@dataclass(frozen=True, slots=True)
class RequestStop:
    """An operator wants this transaction to stop."""

    at: datetime
    transaction_id: int
    by: str


@dataclass(frozen=True, slots=True)
class RecordStopAttempt:
    """A RemoteStopTransaction was sent (or could not be) for an ordered stop; `result` is the answer in words."""

    at: datetime
    transaction_id: int
    result: str
    has_failed: bool


@dataclass(frozen=True, slots=True)
class CloseStale:
    """Look for transactions whose connector has long been free (rule 22)."""

    at: datetime


@dataclass(frozen=True, slots=True)
class OpenMonth:
    """A new month begins; the month that was open is closed (rule 11)."""

    at: datetime
    month: Month


@dataclass(frozen=True, slots=True)
class ConfirmMonth:
    """A person says that the wall clock is right, and that this month, which it shows, is to be opened (rule 11)."""

    at: datetime
    month: Month
    by: str


@dataclass(frozen=True, slots=True)
class UndoMonth:
    """A person says that the open month was opened by mistake, and which one it is instead (rule 11)."""

    at: datetime
    month: Month
    """The one that was opened by mistake."""
    back_to: Month
    reason: str
    by: str


@dataclass(frozen=True, slots=True)
class Adjust:
    """Book a correction for a tag in the open month."""

    at: datetime
    id_tag: IdTag
    wh: Wh
    reason: str
    by: str


@dataclass(frozen=True, slots=True)
class AcceptSetAside:
    """A person says that energy which was set aside did flow, and whose it is; it is booked once (rule 5)."""

    at: datetime
    number: int
    by: str
    reason: str
    id_tag: str | None = None
    """Whom an orphan is booked on; None: the tag that it stated. Of a reading no other than its session's."""
    wh: Wh | None = None
    """How much of an orphan is booked. Of a reading no other amount than is left of it; None: that one."""


@dataclass(frozen=True, slots=True)
class DropSetAside:
    """A person says that energy which was set aside never flowed, or is nobody's."""

    at: datetime
    number: int
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class RaiseAlert:
    """Something of the server itself that a person should look at."""

    at: datetime
    alert_id: str
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class ResolveAlert:
    """The state behind an alert is over."""

    at: datetime
    alert_id: str


@dataclass(frozen=True, slots=True)
class TableState:
    """What is wrong with users1.csv or chargers.csv now; the last good rows stay in force."""

    name: Literal["users1.csv", "chargers.csv"]
    error: str = ""
    """Why the file as a whole cannot be used; blank: it can."""
    bad_rows: int = 0
    first_bad_row: str = ""


@dataclass(frozen=True, slots=True)
class DeliveryState:
    """How another system gets what it is to be given."""

    name: str
    is_stuck: bool | None = False
    """Something waits for too long; None: not known yet, so soon after the start."""
    pause: str = ""
    """Why nothing is sent until a person looked; blank: it is not paused."""
    set_aside: int = 0
    """Entries that it refused."""
    lost_at: datetime | None = None
    """When something was last dropped before it had it."""


@dataclass(frozen=True, slots=True)
class LookForAlerts:
    """Look which alerts are due and which are over."""

    at: datetime
    listening_since: datetime
    """Since when charge points could reach the server and its clock went on evenly."""
    disk_free: int | None = None
    """Bytes; None: it could not be found out."""
    disk_size: int = 0
    """Bytes."""
    tables: tuple[TableState, ...] = ()
    deliveries: tuple[DeliveryState, ...] = ()
    is_pinging: bool = True
    """Connections are pinged, where chargers.csv does not forbid it: a dead one is found within a minute."""


@dataclass(frozen=True, slots=True)
class AcknowledgeAlert:
    """A person has seen an alert and takes care; it stays until its state is over."""

    at: datetime
    alert_id: str
    by: str


Command: TypeAlias = (
    Connect
    | Disconnect
    | BootNotification
    | Heartbeat
    | StatusNotification
    | Authorize
    | StartTransaction
    | StopTransaction
    | MeterValues
    | RecordMessage
    | SecurityEvent
    | ApproveChargePoint
    | LockChargePoint
    | ForgetChargePoint
    | SetChargePointKey
    | ForgetExpired
    | RecordConfiguration
    | ReplaceUsers
    | RecordUserEdit
    | RecordChargePointEdit
    | RecordCall
    | ReplaceChargers
    | OrderStops
    | RequestStop
    | RecordStopAttempt
    | CloseStale
    | OpenMonth
    | ConfirmMonth
    | UndoMonth
    | Adjust
    | AcceptSetAside
    | DropSetAside
    | RaiseAlert
    | ResolveAlert
    | LookForAlerts
    | AcknowledgeAlert
)


@dataclass(frozen=True, slots=True)
class IdTagInfo:
    """OCPP 1.6 §7.27."""

    status: AuthorizationStatus
    expiry_date: datetime | None = None
    parent_id_tag: str | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing to say but that it is durable."""


@dataclass(frozen=True, slots=True)
class Booted:
    """Answer to BootNotification: whether the charge point is accepted, or pending approval."""

    is_accepted: bool


@dataclass(frozen=True, slots=True)
class Authorized:
    """Answer to Authorize, and to StopTransaction with a tag."""

    id_tag_info: IdTagInfo


@dataclass(frozen=True, slots=True)
class Started:
    """Answer to StartTransaction."""

    transaction_id: int
    id_tag_info: IdTagInfo


@dataclass(frozen=True, slots=True)
class Unknown:
    """The thing asked for is not there."""

    text: str


@dataclass(frozen=True, slots=True)
class Refused:
    """What was asked for would break a rule; nothing was changed."""

    text: str
    field: str = ""
    """The part of the command that does not fit, where it is one."""


Reply: TypeAlias = Done | Booted | Authorized | Started | Unknown | Refused
