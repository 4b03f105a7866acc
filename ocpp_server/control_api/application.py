"""The control API: who may ask, and how an error becomes a status. Its resources bring their routes.

Everything but /livez and the description of the API needs the bearer token, also on loopback. Errors are problem
documents (RFC 9457).
"""

import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from ocpp_server.central_system import CommitError
from ocpp_server.control_api.openapi import document
from ocpp_server.control_api.problems import Problem, problem_response
from ocpp_server.control_api.routing import Route

_LARGEST_BODY: Final = 64 * 1024
_OPEN_PATHS: Final = frozenset({"/livez", "/openapi.json"})
"""They say nothing about the site."""
_LOCAL_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_WILDCARDS: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared, not listened on
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ControlApi:
    """The HTTP application of one running server."""

    def __init__(self, token: str, routes: Sequence[Route]) -> None:
        self._token = token
        self._routes = tuple(routes)
        self._document = json.dumps(document(self._routes)).encode()
        self._host = ""

    @asynccontextmanager
    async def listening(self, host: str, port: int) -> AsyncIterator[int]:
        """Serve while the block runs; gives the port. Raises OSError if the port cannot be opened."""
        self._host = host.casefold()
        application = web.Application(client_max_size=_LARGEST_BODY, middlewares=[self._problems, self._check_token])
        application.router.add_get("/livez", self._live)
        application.router.add_get("/openapi.json", self._openapi)
        for route in self._routes:
            application.router.add_route(route.method, route.path, route.serve)
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
            response = problem_response(error.status, error.reason)
            if "Allow" in error.headers:
                response.headers["Allow"] = error.headers["Allow"]
            return response
        except CommitError:
            return problem_response(503, "the ledger cannot be written; nothing was changed")

    @web.middleware
    async def _check_token(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not self._is_expected_host(request.host):
            return problem_response(403, "this API answers only under the name of this machine's loopback")
        given = request.headers.get("Authorization", "").encode("utf-8", "replace")
        wanted = f"Bearer {self._token}".encode()
        if request.path not in _OPEN_PATHS and not hmac.compare_digest(given, wanted):
            return problem_response(401, "the bearer token of the file api_token is needed")
        return await handler(request)

    def _is_expected_host(self, host: str) -> bool:
        """A page in a browser could reach us under its own name (DNS rebinding, T20)."""
        name = host.rsplit(":", 1)[0].strip("[]").casefold()
        return name in _LOCAL_HOSTS or name == self._host or self._host in _WILDCARDS

    async def _live(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def _openapi(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._document, content_type="application/json")
