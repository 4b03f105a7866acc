"""`GET /api/v1/connections`: who is connected now."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Protocol

import msgspec

from ocpp_server.control_api.ledger_pages import answer
from ocpp_server.control_api.routing import Answer, Request, Route
from ocpp_server.core.records import Admission
from ocpp_server.core.site import Site


class Connected(Protocol):
    """A connection that speaks for a charge point, as `ocpp16` knows it."""

    charge_point_id: str
    address: str
    security_profile: int
    admission: Admission
    has_booted: bool


class ConnectionDocument(msgspec.Struct, kw_only=True):
    """One connection."""

    charge_point_id: str
    address: str
    """IP address; behind a trusted proxy what that says."""
    security_profile: int
    """What it proved: 0 nothing, 1 key, 2 key over TLS, 3 certificate."""
    admission: Admission
    """What it was let in as."""
    has_booted: bool
    """A BootNotification came on this connection."""
    since: datetime | None
    """None: it is just being let in."""


class ConnectionList(msgspec.Struct, kw_only=True):
    """By charge point."""

    connections: list[ConnectionDocument]


class Connections:
    """The routes of this resource."""

    def __init__(self, site: Site, connections: Callable[[], Iterable[Connected]]) -> None:
        self._site = site
        self._connections = connections

    def routes(self) -> list[Route]:
        """For `ControlApi`."""
        return [
            Route(
                "GET",
                "/api/v1/connections",
                self.list_connections,
                "charge points",
                "Who is connected now",
                gives=ConnectionList,
                role="administrator",
            )
        ]

    async def list_connections(self, _request: Request) -> Answer:
        ordered = sorted(self._connections(), key=lambda one: one.charge_point_id)
        return answer(ConnectionList(connections=[self._document(one) for one in ordered]))

    def _document(self, one: Connected) -> ConnectionDocument:
        known = self._site.charge_points.get(one.charge_point_id)
        return ConnectionDocument(
            charge_point_id=one.charge_point_id,
            address=one.address,
            security_profile=one.security_profile,
            admission=one.admission,
            has_booted=one.has_booted,
            since=None if known is None else known.connected_since,
        )
