"""What monitoring asks: `/metrics` for Prometheus, `/healthz` for a supervisor or a proxy. They are text and a status,
so they are no routes of the API's document.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from aiohttp import web

from ocpp_server.control_api.visitors import HAS_TOKEN


class Check(Protocol):
    """One thing that must be right."""

    @property
    def name(self) -> str:
        """One word."""
        ...

    @property
    def is_ok(self) -> bool:
        """Whether it is right."""
        ...

    @property
    def detail(self) -> str:
        """A sentence for a person."""
        ...


class Health(Protocol):
    """Whether the server can do its work."""

    async def checks(self) -> Sequence[Check]:
        """All of them."""
        ...


class Metrics(Protocol):
    """Everything that is counted."""

    async def text(self, accept: str) -> tuple[bytes, str]:
        """The text in the format that an Accept header asks for, and its content type."""
        ...


Observer = Callable[[str, str, int, float], None]
"""Told of each answer: method, template of the route (blank: there is none), status, seconds."""


class MonitoringPages:
    """Both pages."""

    def __init__(self, metrics: Metrics, health: Health) -> None:
        self._metrics = metrics
        self._health = health

    def pages(self) -> list[web.RouteDef]:
        """For `ControlApi`."""
        return [web.get("/metrics", self.metrics), web.get("/healthz", self.healthz)]

    async def metrics(self, request: web.Request) -> web.Response:
        """Prometheus' text, or OpenMetrics if that is asked for."""
        body, content_type = await self._metrics.text(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def healthz(self, request: web.Request) -> web.Response:
        """200 or 503. Without the token no more than that: what is wrong here is nobody else's business."""
        checks = await self._health.checks()
        is_ok = all(check.is_ok for check in checks)
        body: dict[str, object] = {"status": "ok" if is_ok else "not ok"}
        if request.get(HAS_TOKEN, False):
            body["checks"] = [{"name": one.name, "ok": one.is_ok, "detail": one.detail} for one in checks]
        return web.json_response(body, status=200 if is_ok else 503, headers={"Cache-Control": "no-store"})
