"""What other systems are told of: events as they are kept. Which ones a decision brings is decided in `telling`.

An event holds all that is told of it, so that it says the same whenever it is sent, also after a restart.
"""

from datetime import datetime
from enum import StrEnum

from ocpp_server.core.energy import Wh
from ocpp_server.core.frozen import dataclass
from ocpp_server.core.period import Month
from ocpp_server.core.records import Alert, AuthorizationStatus, Connector, EndKind, StopCause
from ocpp_server.core.users import Account, IdTag


class EventType(StrEnum):
    """Names are a public interface: none is renamed or removed (docs/webhooks.md)."""

    SESSION_STARTED = "session.started"
    SESSION_STOPPING = "session.stopping"
    """The server wants it to stop, and why."""
    SESSION_STOPPED = "session.stopped"
    SESSION_CORRECTED = "session.corrected"
    """Energy or end of a session that had stopped already."""
    QUOTA_WARNING = "quota.warning"
    QUOTA_REACHED = "quota.reached"
    CHARGER_STATUS = "charger.status"
    CHARGER_FAULTED = "charger.faulted"
    CHARGER_SILENT = "charger.silent"
    CHARGER_RECOVERED = "charger.recovered"
    """From a fault, or from silence."""
    ALERT_RAISED = "alert.raised"
    ALERT_ACKNOWLEDGED = "alert.acknowledged"
    ALERT_RESOLVED = "alert.resolved"
    MONTH_OPENED = "month.opened"


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """A transaction as it stood then, without what only rules need."""

    transaction_id: int
    connector_id: int
    id_tag: IdTag
    full_name: str
    status: AuthorizationStatus
    started_at: datetime
    start_register: Wh | None
    last_register: Wh | None
    energy: Wh
    stop_cause: StopCause | None = None
    ended_at: datetime | None = None
    end_kind: EndKind | None = None
    stop_reason: str = ""


@dataclass(frozen=True, slots=True)
class QuotaUse:
    """How much of its quota an account had used, and which threshold that is."""

    account: Account
    full_name: str
    month: Month
    percent: int
    """80, 95 or 100."""
    quota: Wh
    used: Wh


@dataclass(frozen=True, slots=True)
class Event:
    """One event. What it is about depends on its type; the rest is None."""

    type: EventType
    at: datetime
    charge_point_id: str = ""
    """Blank: of the site. Events of one charge point are sent in their order."""
    charge_point_name: str = ""
    session: SessionFacts | None = None
    quota: QuotaUse | None = None
    connector: Connector | None = None
    alert: Alert | None = None
    month: Month | None = None
