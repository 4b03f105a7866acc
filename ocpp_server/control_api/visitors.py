"""Who may ask at all: under which name, from which site, with which token, in which role, with what for a body.

A page in somebody's browser can reach this machine's loopback, too (DNS rebinding, forms of other sites: T20).
"""

import hmac
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from ocpp_server.control_api.problems import Problem
from ocpp_server.control_api.routing import ROLE, Role

OPEN_PATHS: Final = frozenset({"/livez", "/healthz", "/openapi.json", "/docs"})
"""They say nothing about the site; /healthz says more to who has the token."""
HAS_TOKEN: Final = web.RequestKey("has_token", bool)
"""Of a request that may be answered without it."""
_LOCAL_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_WILDCARDS: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared, not listened on
_JSON: Final = "application/json"
_WITHOUT_BODY: Final = frozenset({"GET", "HEAD"})


class Visitors:
    """`host` is what the API listens on. Without a `viewer_token` there are no viewers."""

    def __init__(self, token: str, host: str, viewer_token: str = "") -> None:
        self._wanted: dict[Role, bytes] = {"administrator": f"Bearer {token}".encode()}
        if viewer_token:
            self._wanted["viewer"] = f"Bearer {viewer_token}".encode()
        self._host = host.casefold()

    def check(self, request: web.Request) -> None:
        """Raise Problem 403 or 401 unless this may ask."""
        if not self._is_expected_host(request.host):
            raise Problem(403, "this API answers only under the name of this machine's loopback")
        if _is_cross_site(request):
            raise Problem(403, "this API answers no page of another site")
        given = request.headers.get("Authorization", "").encode("utf-8", "replace")
        roles = [role for role, wanted in self._wanted.items() if hmac.compare_digest(given, wanted)]
        request[HAS_TOKEN] = bool(roles)
        if roles:
            request[ROLE] = roles[0]
        if request.path not in OPEN_PATHS and not request[HAS_TOKEN]:
            raise Problem(401, "the bearer token of the file api_token is needed")

    def _is_expected_host(self, host: str) -> bool:
        name = host.rsplit(":", 1)[0].strip("[]").casefold()
        return name in _LOCAL_HOSTS or name == self._host or self._host in _WILDCARDS


async def check_body(request: web.Request) -> None:
    """Raise Problem 415 for a body that is neither JSON nor blank; 413 comes from aiohttp, at the bytes it allows.

    What a form of another site can send without asking first is never `application/json`. Nothing is unpacked: a few
    bytes could become any number of them.
    """
    if request.headers.get("Content-Encoding", "identity").strip().casefold() != "identity":
        raise Problem(415, "the body must not be compressed")
    content = await request.read()
    if request.method not in _WITHOUT_BODY and content.strip() and request.content_type != _JSON:
        raise Problem(415, f"the body must be JSON, with Content-Type: {_JSON}")


def _is_cross_site(request: web.Request) -> bool:
    """As the browser says it; who is no browser says neither."""
    if request.headers.get("Sec-Fetch-Site", "") == "cross-site":
        return True
    origin = request.headers.get("Origin")
    return origin is not None and _place(origin) != request.host.casefold()


def _place(origin: str) -> str:
    """`http://127.0.0.1:9001` -> `127.0.0.1:9001`; blank for "null" and what is no origin."""
    try:
        return urlsplit(origin).netloc.casefold()
    except ValueError:
        return ""
