"""Energy that was not booked and waits for a person: readings that were set aside, stops that fit no session (rule 5).

A note says that it happened; this record holds what is needed to book it. How it follows its session is
`set_aside_rules`, what a person makes of it `set_aside_decisions`.
"""

from datetime import datetime
from enum import StrEnum

from ocpp_server.core.energy import Wh
from ocpp_server.core.frozen import dataclass


class SetAsideKind(StrEnum):
    """What was set aside."""

    READING = "reading"
    """A step of a session's register, or an interval, that no charge point could deliver."""
    ORPHAN = "orphan"
    """A StopTransaction that fits no session."""


class SetAsideState(StrEnum):
    """What became of it."""

    OPEN = "open"
    ACCEPTED = "accepted"
    DROPPED = "dropped"
    WITHDRAWN = "withdrawn"
    """By the server: later readings answer it, another one took its place, or too many were open."""


@dataclass(frozen=True, slots=True)
class SetAside:
    """One of them. Energy in Wh, times UTC. Once it is no longer open it never changes."""

    number: int
    kind: SetAsideKind
    at: datetime
    """Time of the reading or of the stop (rule 9)."""
    received_at: datetime
    charge_point_id: str
    connector_id: int | None
    transaction_id: int | None
    """The session it belongs to; of an orphan the id that was stated, where that can be one."""
    id_tag: str
    reason: str
    figures: tuple[tuple[str, str], ...] = ()
    before: Wh | None = None
    """The trusted register at the time; of an interval what the intervals had added up to."""
    after: Wh | None = None
    """The register that was set aside, or the interval; meterStop of an orphan."""
    wh: Wh | None = None
    """What its acceptance would book; None: not known, a person must say it."""
    since: datetime | None = None
    """Time of the last trusted reading: the energy flowed between then and `at` (rule 10)."""
    is_on_quota: bool = True
    is_candidate: bool = False
    """It is the reading that the session's register holds as `jump`: nothing has been read after it."""
    key: str = ""
    """What makes a repeated orphan the same one; blank for readings."""
    state: SetAsideState = SetAsideState.OPEN
    booked: Wh | None = None
    """What its acceptance booked."""
    decided_at: datetime | None = None
    decided_by: str = ""
    """Who decided, as it said itself; blank: nobody yet, or the server."""
    decision_reason: str = ""

    @property
    def is_open(self) -> bool:
        """It waits for a person."""
        return self.state is SetAsideState.OPEN
