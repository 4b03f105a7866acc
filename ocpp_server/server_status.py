"""What the server says of itself: server_status.json and users_report.json."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ocpp_server import __version__
from ocpp_server.clock import Clock
from ocpp_server.core.site import Site
from ocpp_server.delivery.documents import delivery_document
from ocpp_server.delivery.standing import DeliveryStatus
from ocpp_server.storage.chargers_file import ChargersFile
from ocpp_server.storage.csv_text import RowProblem
from ocpp_server.storage.documents import alert_documents, encode, stamp
from ocpp_server.storage.users_file import UsersFile


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """Renders both files from what the parts of the server know. `ocpp_url` is what to type into a charger."""

    site: Site
    clock: Clock
    started: datetime
    site_name: str
    ocpp_url: str
    is_demo: bool
    users_file: UsersFile
    chargers_file: ChargersFile
    last_publish_error: Callable[[], str]
    deliveries: Callable[[], Sequence[DeliveryStatus]] = tuple

    def status(self) -> bytes:
        """server_status.json. `time` is real time, so that its age tells whether the server runs."""
        site, users = self.site, self.users_file
        deliveries = self.deliveries()
        connected = [c for c in site.charge_points.values() if c.connected_since is not None]
        document = {
            "version": __version__,
            "started": stamp(self.started),
            "time": stamp(self.clock.real_now()),
            "site_time": stamp(self.clock.now()),
            "site_name": self.site_name,
            "timezone": str(site.policy.zone),
            "month": site.open_month,
            "ocpp_url": self.ocpp_url,
            "demo": self.is_demo,
            "connected_chargers": len(connected),
            "sessions": len(site.open_transactions),
            "set_aside": len(site.open_set_aside),
            "forwarder": _forwarder(deliveries),
            "destinations": [delivery_document(one) for one in deliveries],
            "users_file": {
                "users": len(users.table.users),
                "error": users.last_error,
                "notice": users.hold_notice,
                "problems": _problems(users.problems),
            },
            "chargers_file": {
                "error": self.chargers_file.last_error,
                "problems": _problems(self.chargers_file.problems),
            },
            "last_publish_error": self.last_publish_error() or None,
            "alerts": alert_documents(site.alerts.values()),
        }
        return encode(document)

    def users_report(self) -> bytes:
        """users_report.json: problems by line, what the last change did, the last refused tags, whole."""
        users = self.users_file
        document = {
            "problems": _problems(users.problems),
            "file_error": users.last_error,
            "notice": users.hold_notice,
            "last_change": list(users.last_change),
            "refused": [
                {
                    "id_tag": refused.id_tag,
                    "time": stamp(refused.at),
                    "charger_id": refused.charge_point_id,
                    "reason": refused.reason,
                }
                for refused in self.site.refused_tags
            ],
        }
        return encode(document)


def _problems(problems: tuple[RowProblem, ...]) -> list[dict[str, Any]]:
    return [
        {"line": problem.line, "column": problem.column, "text": str(problem), "severity": problem.severity}
        for problem in problems
    ]


def _forwarder(deliveries: Sequence[DeliveryStatus]) -> dict[str, Any]:
    """The three words that are promised; the rest is under `destinations`."""
    for one in deliveries:
        if one.name == "forwarder":
            return {"enabled": True, "backlog": one.backlog, "last_error": one.pause or one.last_error or None}
    return {"enabled": False, "backlog": 0, "last_error": None}
