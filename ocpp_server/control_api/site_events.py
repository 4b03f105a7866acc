"""What happened, in words for a program: the changes of the state as events."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from ocpp_server.core import changes as ch
from ocpp_server.core.frozen import dataclass
from ocpp_server.core.records import SAID, Alert, ChargePoint, Note, Transaction
from ocpp_server.core.site import Site

KINDS: Final = (
    "transaction.started",
    "transaction.stopping",
    "transaction.ended",
    "reading",
    "status",
    "connection.opened",
    "connection.closed",
    "alert.raised",
    "alert.acknowledged",
    "alert.resolved",
    "note",
)
FAMILIES: Final = frozenset(kind.split(".")[0] for kind in KINDS)


@dataclass(frozen=True, slots=True)
class SiteEvent:
    """One event. Its document is made when somebody wants to read it."""

    kind: str
    charge_point_id: str
    """Blank: of none."""
    document: Callable[[], dict[str, Any]]


class ChangeReader:
    """Knows how things stood, so that a change says what is new. Give it every change, in order."""

    def __init__(self, site: Site) -> None:
        self._open = dict(site.open_transactions)
        self._charge_points = dict(site.charge_points)
        self._alerts = dict(site.alerts)
        self._readers: Final[Mapping[type, Callable[[Any], Iterator[SiteEvent]]]] = {
            ch.PutTransaction: self._transaction,
            ch.AddReading: _reading,
            ch.PutChargePoint: self._charge_point,
            ch.RemoveChargePoint: self._no_charge_point,
            ch.PutAlert: self._alert,
            ch.RemoveAlert: self._no_alert,
            ch.AddNote: _note,
        }

    def events_of(self, change: ch.Change) -> Iterator[SiteEvent]:
        """What a person would want to be told of it."""
        reader = self._readers.get(type(change))
        return iter(()) if reader is None else reader(change)

    def _transaction(self, change: ch.PutTransaction) -> Iterator[SiteEvent]:
        now = change.transaction
        before = self._open.pop(now.transaction_id, None)
        if now.is_open:
            self._open[now.transaction_id] = now
        if now.is_open and before is None:
            yield _transaction_event("transaction.started", now)
        if now.is_open and now.stop is not None and (before is None or before.stop is None):
            yield _transaction_event("transaction.stopping", now)
        if before is not None and not now.is_open:
            yield _transaction_event("transaction.ended", now)

    def _charge_point(self, change: ch.PutChargePoint) -> Iterator[SiteEvent]:
        now = change.charge_point
        before = self._charge_points.get(now.charge_point_id)
        self._charge_points[now.charge_point_id] = now
        if now.connected_since != (None if before is None else before.connected_since):
            yield _connection_event(now)
        if before is None or now.connectors is not before.connectors:
            known = (
                set() if before is None else {(one.connector_id, one.since, one.status) for one in before.connectors}
            )
            for connector in now.connectors:
                if (connector.connector_id, connector.since, connector.status) not in known:
                    yield _status_event(now.charge_point_id, connector)

    def _no_charge_point(self, change: ch.RemoveChargePoint) -> Iterator[SiteEvent]:
        self._charge_points.pop(change.charge_point_id, None)
        return iter(())

    def _alert(self, change: ch.PutAlert) -> Iterator[SiteEvent]:
        now = change.alert
        before = self._alerts.get(now.alert_id)
        self._alerts[now.alert_id] = now
        if before is None:
            yield _alert_event("alert.raised", now)
        elif now.acknowledged_at is not None and now.acknowledged_at != before.acknowledged_at:
            yield _alert_event("alert.acknowledged", now)

    def _no_alert(self, change: ch.RemoveAlert) -> Iterator[SiteEvent]:
        before = self._alerts.pop(change.alert_id, None)
        if before is not None:
            yield _alert_event("alert.resolved", before)


def _transaction_event(kind: str, one: Transaction) -> SiteEvent:
    return SiteEvent(
        kind,
        one.charge_point_id,
        lambda: {
            "transaction_id": one.transaction_id,
            "connector_id": one.connector_id,
            "id_tag": one.id_tag,
            "name": one.full_name,
            "status": one.status,
            "started_at": one.started_at,
            "wh": one.energy,
            "stop_cause": None if one.stop is None else one.stop.cause,
            "ended_at": one.ended_at,
            "end_kind": one.end_kind,
            "stop_reason": one.stop_reason,
        },
    )


def _connection_event(one: ChargePoint) -> SiteEvent:
    return SiteEvent(
        "connection.opened" if one.connected_since is not None else "connection.closed",
        one.charge_point_id,
        lambda: {"address": one.address, "security_profile": one.security_profile, "admission": one.admission},
    )


def _status_event(charge_point_id: str, connector: Any) -> SiteEvent:
    return SiteEvent(
        "status",
        charge_point_id,
        lambda: {
            "connector_id": connector.connector_id,
            "status": connector.status,
            "error_code": connector.error_code,
            "info": connector.info,
            "since": connector.since,
        },
    )


def _alert_event(kind: str, one: Alert) -> SiteEvent:
    return SiteEvent(
        kind,
        one.charge_point_id,
        lambda: {
            "alert_id": one.alert_id,
            "alert_kind": one.kind,
            "text": one.text,
            "since": one.since,
            "transaction_id": one.transaction_id,
            "acknowledged_by": one.acknowledged_by,
        },
    )


def _reading(change: ch.AddReading) -> Iterator[SiteEvent]:
    one = change.reading
    yield SiteEvent(
        "reading",
        one.charge_point_id,
        lambda: {
            "connector_id": one.connector_id,
            "transaction_id": one.transaction_id,
            "id_tag": one.id_tag,
            "name": one.full_name,
            "read_at": one.at,
            "power_w": one.power_w,
            "register_wh": one.register,
        },
    )


def _note(change: ch.AddNote) -> Iterator[SiteEvent]:
    one: Note = change.note
    yield SiteEvent(
        "note",
        one.charge_point_id,
        lambda: {
            "number": change.number,
            "note_kind": one.kind,
            "noted_at": one.at,
            "text": one.text,
            "connector_id": one.connector_id,
            "transaction_id": one.transaction_id,
            "id_tag": one.id_tag,
            "figures": {name: value for name, value in one.figures if name != SAID},
        },
    )


def is_known_kind(word: str) -> bool:
    """A kind, or a family such as `transaction`."""
    return word in KINDS or word in FAMILIES


def fits(kind: str, wanted: frozenset[str]) -> bool:
    """Whether a kind is one of these, or of one of these families; none is all."""
    return not wanted or kind in wanted or kind.partition(".")[0] in wanted


def envelope(event: SiteEvent, event_id: str, at: datetime) -> dict[str, Any]:
    """What is sent."""
    return {
        "id": event_id,
        "kind": event.kind,
        "at": at,
        "charge_point": event.charge_point_id or None,
        **event.document(),
    }
