"""The control API: who may ask, and the routes for liveness, stopping a transaction and booking a correction.

Other resources bring routes of their own (`charge_point_routes`). Everything but /livez needs the bearer token, also on
loopback. Errors are problem documents (RFC 9457).
"""

import hmac
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

from aiohttp import web

from ocpp_server.central_system import CommitError
from ocpp_server.clock import Clock
from ocpp_server.control_api.problems import LONGEST_NAME, Problem, asker_of, json_of, plain, problem_response
from ocpp_server.core.commands import Adjust, Command, Refused, Reply, RequestStop, Unknown
from ocpp_server.core.energy import EnergyUnit, parse_number, to_wh
from ocpp_server.core.users import IdTag

_LARGEST_BODY = 64 * 1024
_LARGEST_ADJUSTMENT_KWH = Decimal(1_000_000)
_LONGEST_ID_TAG = 100
_LONGEST_REASON = 500
_LOCAL_HOSTS = {"localhost", "127.0.0.1", "::1"}
_WILDCARDS = {"0.0.0.0", "::"}  # noqa: S104 - compared, not listened on
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Central(Protocol):
    """What this API needs of the central system."""

    async def handle(self, command: Command) -> Reply:
        """The reply, once its effect is durable."""
        ...


class ControlApi:
    """The HTTP handlers of one running server."""

    def __init__(self, central: Central, clock: Clock, token: str, routes: Iterable[web.AbstractRouteDef] = ()) -> None:
        """`routes`: of further resources."""
        self._central = central
        self._clock = clock
        self._token = token
        self._routes = tuple(routes)
        self._host = ""

    @asynccontextmanager
    async def listening(self, host: str, port: int) -> AsyncIterator[int]:
        """Serve while the block runs; gives the port. Raises OSError if the port cannot be opened."""
        self._host = host.casefold()
        application = web.Application(client_max_size=_LARGEST_BODY, middlewares=[self._problems, self._check_token])
        application.router.add_get("/livez", self._live)
        application.router.add_post("/api/v1/transactions/{transaction_id:[0-9]{1,10}}/stop", self._stop)
        application.router.add_post("/api/v1/adjustments", self._adjust)
        application.router.add_routes(self._routes)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            listener = web.TCPSite(runner, host, port)
            await listener.start()
            yield int(runner.addresses[0][1])
        finally:
            await runner.cleanup()

    @web.middleware
    async def _problems(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The one place where an error becomes a status."""
        try:
            return await handler(request)
        except Problem as problem:
            return problem_response(problem.status, problem.detail, **problem.members)
        except web.HTTPException as error:
            return problem_response(error.status, error.reason)
        except CommitError:
            return problem_response(503, "the ledger cannot be written; nothing was changed")

    @web.middleware
    async def _check_token(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not self._is_expected_host(request.host):
            return problem_response(403, "this API answers only under the name of this machine's loopback")
        given = request.headers.get("Authorization", "").encode("utf-8", "replace")
        wanted = f"Bearer {self._token}".encode()
        if request.path != "/livez" and not hmac.compare_digest(given, wanted):
            return problem_response(401, "the bearer token of the file api_token is needed")
        return await handler(request)

    def _is_expected_host(self, host: str) -> bool:
        """A page in a browser could reach us under its own name (DNS rebinding, T20)."""
        name = host.rsplit(":", 1)[0].strip("[]").casefold()
        return name in _LOCAL_HOSTS or name == self._host or self._host in _WILDCARDS

    async def _live(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def _stop(self, request: web.Request) -> web.Response:
        """202: the wish is durable; the stopper carries it out."""
        number = int(request.match_info["transaction_id"])
        reply = await self._central.handle(RequestStop(self._now(), number, asker_of(request)))
        if isinstance(reply, Unknown):
            return problem_response(404, reply.text)
        return web.json_response({"transaction_id": number, "state": "stopping"}, status=202)

    async def _adjust(self, request: web.Request) -> web.Response:
        """201: the correction is in the books. 409: more would be given back than was used."""
        try:
            command = adjustment(await json_of(request), self._now())
        except ValueError as error:
            return problem_response(422, str(error))
        reply = await self._central.handle(command)
        if isinstance(reply, Refused):
            return problem_response(409, reply.text)
        return web.json_response({"id_tag": command.id_tag, "wh": command.wh}, status=201)

    def _now(self) -> datetime:
        return self._clock.now()


def adjustment(body: Any, at: datetime) -> Adjust:
    """A correction from its parts: `id_tag`, `kwh` (number or text, negative to give back), `reason`, `by`.

    Raises ValueError with what was expected.
    """
    if not isinstance(body, dict):
        raise ValueError("expected an object with id_tag, kwh and reason")
    id_tag, reason, by = (_text(body, key) for key in ("id_tag", "reason", "by"))
    kwh = parse_number(body.get("kwh"))
    if not id_tag or len(id_tag) > _LONGEST_ID_TAG:
        raise ValueError(f"id_tag is missing, or longer than {_LONGEST_ID_TAG} characters")
    if kwh is None or abs(kwh) > _LARGEST_ADJUSTMENT_KWH or to_wh(kwh, EnergyUnit.KWH) == 0:
        raise ValueError(f"kwh {str(body.get('kwh'))[:40]!r} is not a number of kWh other than 0")
    if not reason:
        raise ValueError("reason is missing: it stays in the books")
    wh = to_wh(kwh, EnergyUnit.KWH)
    return Adjust(at, IdTag(id_tag), wh, reason[:_LONGEST_REASON], by[:LONGEST_NAME] or "operator")


def _text(body: dict[str, Any], key: str) -> str:
    """A text of the body, blank where it is missing. Raises ValueError for anything else."""
    value = body.get(key) or ""
    if not isinstance(value, str) or value != plain(value):
        raise ValueError(f"{key} is not text")
    return value.strip()
