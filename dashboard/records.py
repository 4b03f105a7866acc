"""What the dashboard knows of a site at one moment, in the words of OCPP. Who fills it in is `site_files`.

None always means "not said or not readable"; it is never turned into zero.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import NewType

Wh = NewType("Wh", int)


@dataclass(frozen=True, slots=True)
class ChargePoint:
    """One charge point; `status` is the OCPP status of the connector that matters most, or Offline."""

    charge_point_id: str
    name: str
    status: str
    is_connected: bool | None = None
    is_waiting_for_approval: bool = False
    power_w: float | None = None
    error_code: str = ""
    since: datetime | None = None
    """When this status began."""
    last_seen: datetime | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """One running transaction. `energy` is this session's, not the register."""

    transaction_id: str
    id_tag: str
    person: str
    charge_point_id: str
    connector_id: int | None = None
    since: datetime | None = None
    energy: Wh | None = None
    power_w: float | None = None
    state: str = ""
    forecast_stop: datetime | None = None


@dataclass(frozen=True, slots=True)
class PowerReading:
    """One line of the meter log; `charge_point` is the charge point's name or id."""

    charge_point: str
    timestamp: datetime
    power_w: float
    person: str = ""
    register: Wh | None = None
    """The charge point's register, not the session's energy."""
    frequency_hz: float | None = None


@dataclass(frozen=True, slots=True)
class UserRow:
    """One row of users1.csv. `quota` is None for an unlimited user, and where it is not readable (`is_readable`)."""

    id_tag: str
    account: str
    person: str
    quota: Wh | None
    is_unlimited: bool = False
    is_blocked: bool = False
    expiry_date: date | None = None
    is_readable: bool = True


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong in users1.csv; `line` counts from 1, the heading included."""

    line: int | None
    column: str
    text: str


@dataclass(frozen=True, slots=True)
class UserTable:
    """users1.csv as the dashboard itself reads it; the server's own findings are in `UsersReport`."""

    rows: tuple[UserRow, ...] = ()
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class RefusedCard:
    """A card that was refused, whole: this is how the number of a new one is learnt."""

    id_tag: str
    time: datetime | None
    charge_point_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class UsersReport:
    """What the server says about users1.csv."""

    problems: tuple[Problem, ...] = ()
    file_error: str = ""
    refused: tuple[RefusedCard, ...] = ()


@dataclass(frozen=True, slots=True)
class Alert:
    """Something a person should look at, as the server says it."""

    kind: str
    text: str
    since: datetime | None
    charge_point_id: str
    severity: str = ""
    acknowledged_by: str = ""


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """The server's sign of life, written every 10 s."""

    time: datetime | None = None
    site_time: datetime | None = None
    """The site's own clock at that moment; it differs from `time` in a demo."""
    version: str = ""
    site_name: str = ""
    timezone: str = ""
    ocpp_url: str = ""
    month: str = ""
    is_demo: bool = False
    last_publish_error: str = ""
    forwarder_backlog: int | None = None
    forwarder_error: str = ""
    users_problems: tuple[Problem, ...] = ()
    alerts: tuple[Alert, ...] = ()


@dataclass(frozen=True, slots=True)
class FileNote:
    """Why a file's part of the page is missing or old.

    `is_broken`: it is there and cannot be read, or it was there; `kept`: when the version was written that is shown.
    """

    name: str
    text: str
    is_broken: bool
    kept: datetime | None = None


@dataclass(frozen=True, slots=True)
class Site:
    """All files of the folder, as they were read last. A part is None while its file has never been readable."""

    charge_points: tuple[ChargePoint, ...] | None = None
    sessions: tuple[Session, ...] | None = None
    usage: Mapping[str, Wh] | None = None
    readings: tuple[PowerReading, ...] = ()
    users: UserTable | None = None
    server: ServerStatus | None = None
    users_report: UsersReport | None = None
    notes: tuple[FileNote, ...] = field(default=())
    written_at: datetime | None = None
    """When the newest of the files that the server writes was written."""
