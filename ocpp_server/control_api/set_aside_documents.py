"""Energy that was set aside as the API shows it. Energy in Wh, times ISO 8601 UTC."""

from datetime import datetime

import msgspec

from ocpp_server.core.set_aside import SetAside, SetAsideKind, SetAsideState


class SetAsideDocument(msgspec.Struct, kw_only=True):
    """A reading that was set aside, or a stop that fits no session."""

    number: int
    kind: SetAsideKind
    state: SetAsideState
    """`withdrawn`: by the server; `decision_reason` says why."""
    at: datetime
    """Time of the reading or stop."""
    since: datetime | None
    """Time of the last trusted reading before it; null: not known."""
    received_at: datetime
    charge_point_id: str
    connector_id: int | None
    transaction_id: int | None
    """The session; of an orphan the id that the stop named, where that can be one."""
    id_tag: str
    reason: str
    figures: dict[str, str]
    register_before_wh: int | None
    """The last trusted register; of an interval what the intervals had added up to."""
    register_after_wh: int | None
    """What was set aside: a register, or an interval."""
    wh: int | None
    """What its acceptance would book; null: a person must say it."""
    is_on_quota: bool
    booked_wh: int | None
    decided_at: datetime | None
    decided_by: str
    """Who accepted or dropped it, as it said itself."""
    decision_reason: str


def set_aside_document(one: SetAside) -> SetAsideDocument:
    """One of them."""
    return SetAsideDocument(
        number=one.number,
        kind=one.kind,
        state=one.state,
        at=one.at,
        since=one.since,
        received_at=one.received_at,
        charge_point_id=one.charge_point_id,
        connector_id=one.connector_id,
        transaction_id=one.transaction_id,
        id_tag=one.id_tag,
        reason=one.reason,
        figures=dict(one.figures),
        register_before_wh=one.before,
        register_after_wh=one.after,
        wh=one.wh,
        is_on_quota=one.is_on_quota,
        booked_wh=one.booked,
        decided_at=one.decided_at,
        decided_by=one.decided_by,
        decision_reason=one.decision_reason,
    )
