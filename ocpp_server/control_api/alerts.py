"""`/api/v1/alerts`: what a person should look at now, and saying that somebody does."""

from datetime import datetime
from typing import Final

import msgspec

from ocpp_server.central_system import CentralSystem
from ocpp_server.clock import Clock
from ocpp_server.control_api.ledger_pages import answer
from ocpp_server.control_api.problems import Problem, plain
from ocpp_server.control_api.routing import Answer, Request, Route
from ocpp_server.core.alerts import Severity, severity_of
from ocpp_server.core.commands import AcknowledgeAlert, Unknown
from ocpp_server.core.records import Alert

PATH: Final = "/api/v1/alerts"
_RANK: Final = (Severity.CRITICAL, Severity.WARNING, Severity.INFO)


class AlertDocument(msgspec.Struct, kw_only=True):
    """A state that lasts; it is resolved by itself when the state is over."""

    id: str
    kind: str
    severity: Severity
    text: str
    since: datetime
    charge_point_id: str
    transaction_id: int | None
    state: str
    """open or acknowledged."""
    acknowledged_at: datetime | None
    acknowledged_by: str


class AlertList(msgspec.Struct, kw_only=True):
    """The gravest first, of those the newest."""

    alerts: list[AlertDocument]


class Alerts:
    """The routes of this resource. An id stands percent-encoded in the path."""

    def __init__(self, central: CentralSystem, clock: Clock) -> None:
        self._central = central
        self._clock = clock

    def routes(self) -> list[Route]:
        """For `ControlApi`."""
        return [
            Route("GET", PATH, self.list_alerts, "alerts", "What is to be looked at now", gives=AlertList),
            Route(
                "POST",
                f"{PATH}/{{alert_id}}/acknowledge",
                self.acknowledge_alert,
                "alerts",
                "Say that you have seen it and take care",
                gives=AlertDocument,
            ),
        ]

    async def list_alerts(self, _request: Request) -> Answer:
        newest = sorted(self._central.site.alerts.values(), key=lambda alert: alert.since, reverse=True)
        gravest = sorted(newest, key=lambda alert: _RANK.index(severity_of(alert)))
        return answer(AlertList(alerts=[_document(alert) for alert in gravest]))

    async def acknowledge_alert(self, request: Request) -> Answer:
        """Whoever was first keeps it. 404 if there is no such alert, or it is resolved."""
        alert_id = plain(request.path["alert_id"])
        reply = await self._central.handle(AcknowledgeAlert(self._clock.now(), alert_id, request.by))
        alert = self._central.site.alerts.get(alert_id)
        if isinstance(reply, Unknown) or alert is None:  # it may have been resolved while we waited for the commit
            raise Problem(404, f"there is no open alert {alert_id}")
        return answer(_document(alert))


def _document(alert: Alert) -> AlertDocument:
    return AlertDocument(
        id=alert.alert_id,
        kind=alert.kind,
        severity=severity_of(alert),
        text=alert.text,
        since=alert.since,
        charge_point_id=alert.charge_point_id,
        transaction_id=alert.transaction_id,
        state="open" if alert.acknowledged_at is None else "acknowledged",
        acknowledged_at=alert.acknowledged_at,
        acknowledged_by=alert.acknowledged_by,
    )
