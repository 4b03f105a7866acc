"""The control API: an HTTP application, and how an error becomes a status. Its resources bring their routes.

Everything but /livez, /healthz and the description of the API needs the bearer token, also on loopback. Errors are
problem documents (RFC 9457).
"""

import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final

from aiohttp import web

from ocpp_server.central_system import CommitError
from ocpp_server.control_api.documentation import CONTENT_SECURITY_POLICY, page
from ocpp_server.control_api.monitoring_pages import Observer
from ocpp_server.control_api.openapi import document
from ocpp_server.control_api.problems import Problem, problem_response
from ocpp_server.control_api.routing import Route
from ocpp_server.control_api.visitors import Visitors, check_body

log = logging.getLogger(__name__)
_aiohttp_log = logging.getLogger(f"{__name__}.aiohttp")
_aiohttp_log.setLevel(logging.CRITICAL)  # it would log the raw bytes of whoever sends no HTTP, with a traceback

_LARGEST_BODY: Final = 64 * 1024
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ControlApi:
    """The HTTP application of one running server."""

    def __init__(
        self,
        token: str,
        routes: Sequence[Route],
        *,
        viewer_token: str = "",
        pages: Sequence[web.RouteDef] = (),
        observe: Observer | None = None,
    ) -> None:
        """`viewer_token`: blank, and there are no viewers. `pages`: what is no route of the API's document. `observe`:
        told of each answer.
        """
        self._token = token
        self._viewer_token = viewer_token
        self._routes = tuple(routes)
        described = document(self._routes)
        self._document = json.dumps(described).encode()
        self._page = page(described)
        self._visitors = Visitors(token, "", viewer_token)
        self._pages = pages
        self._observe = observe

    @asynccontextmanager
    async def listening(self, host: str, port: int) -> AsyncIterator[int]:
        """Serve while the block runs; gives the port. Raises OSError if the port cannot be opened."""
        self._visitors = Visitors(self._token, host, self._viewer_token)
        middlewares = [self._observed, self._problems, self._check_visitor]
        application = web.Application(client_max_size=_LARGEST_BODY, middlewares=middlewares)
        application.router.add_routes(self._pages)
        application.router.add_get("/livez", self._live)
        application.router.add_get("/openapi.json", self._openapi)
        application.router.add_get("/docs", self._docs)
        for route in self._routes:
            application.router.add_route(route.method, route.path, route.serve)
        runner = web.AppRunner(
            application, access_log=None, shutdown_timeout=1.0, logger=_aiohttp_log, auto_decompress=False
        )
        await runner.setup()
        try:
            listener = web.TCPSite(runner, host, port)
            await listener.start()
            yield int(runner.addresses[0][1])
        finally:
            await runner.cleanup()

    @web.middleware
    async def _observed(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        began = time.monotonic()
        try:
            response = await handler(request)
        except Exception:
            self._tell(request, 500, began)
            raise
        if response.content_type != "text/event-stream":  # how long somebody listens is no answer time
            self._tell(request, response.status, began)
        return response

    def _tell(self, request: web.Request, status: int, began: float) -> None:
        resource = request.match_info.route.resource
        if self._observe is not None:
            template = "" if resource is None else resource.canonical
            self._observe(request.method, template, status, time.monotonic() - began)

    @web.middleware
    async def _problems(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The one place where an error becomes a status."""
        try:
            return await handler(request)
        except Problem as problem:
            response = problem_response(problem.status, problem.detail, **problem.members)
            if problem.status == HTTPStatus.UNAUTHORIZED:
                response.headers["WWW-Authenticate"] = "Bearer"
            return response
        except web.HTTPException as error:
            response = problem_response(error.status, error.reason)
            if "Allow" in error.headers:
                response.headers["Allow"] = error.headers["Allow"]
            return response
        except CommitError:
            return problem_response(503, "the ledger cannot be written; nothing was changed")
        except web.RequestPayloadError:
            return problem_response(400, "the body is not sent as its headers say")
        except ConnectionError:
            raise  # whoever asked has gone
        except Exception:
            resource = request.match_info.route.resource
            template = "none" if resource is None else resource.canonical
            log.exception("[API] failed method=%s route=%s", request.match_info.route.method, template)
            return problem_response(500, "the server failed at this; its log says why")

    @web.middleware
    async def _check_visitor(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._visitors.check(request)
        await check_body(request)
        return await handler(request)

    async def _live(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def _openapi(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._document, content_type="application/json")

    async def _docs(self, _request: web.Request) -> web.Response:
        headers = {"Content-Security-Policy": CONTENT_SECURITY_POLICY, "X-Content-Type-Options": "nosniff"}
        return web.Response(text=self._page, content_type="text/html", headers=headers)
