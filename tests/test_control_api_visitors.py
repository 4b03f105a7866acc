"""Who may ask the control API: no page of another site, no form, no large body (T20).

The same at all routes of a whole server is in `test_control_api_every_route`.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec
import pytest
from turned_clock import LIMIT_S

from ocpp_server.control_api.application import ControlApi
from ocpp_server.control_api.routing import Answer, Request, Route

THINGS, NOTHING = "/api/v1/things", "/api/v1/nothing"


class Api:
    """The API of a whole server, and a client with its token."""

    def __init__(self, port: int, token: str, session: aiohttp.ClientSession) -> None:
        self.port = port
        self.token = token
        self.session = session

    async def ask(self, method: str, path: str, headers: dict[str, str] | None = None, **body: Any) -> tuple[int, str]:
        """Status and text."""
        given = {"Authorization": f"Bearer {self.token}"} | (headers or {})
        if not given["Authorization"]:
            del given["Authorization"]
        url = f"http://127.0.0.1:{self.port}{path}"
        async with asyncio.timeout(LIMIT_S), self.session.request(method, url, headers=given, **body) as answer:
            return answer.status, await answer.text()


class Thing(msgspec.Struct):
    """A body."""

    name: str


async def take_thing(_request: Request) -> Answer:
    return Answer()


async def take_nothing(_request: Request) -> Answer:
    return Answer()


ROUTES = [
    Route("POST", THINGS, take_thing, "things", "Take", takes=Thing, status=204),
    Route("POST", NOTHING, take_nothing, "things", "Take nothing", status=204),
    Route("GET", NOTHING, take_nothing, "things", "Give nothing", status=204),
]


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    """With a route that takes a body and one that takes none."""
    async with ControlApi("the-token", ROUTES).listening("127.0.0.1", 0) as port, aiohttp.ClientSession() as session:
        yield Api(port, "the-token", session)


async def test_a_401_says_what_is_needed(api: Api) -> None:
    """RFC 9110 §11.6.1."""
    async with api.session.get(f"http://127.0.0.1:{api.port}{THINGS}") as answer:
        assert answer.headers["WWW-Authenticate"] == "Bearer"


SITES: dict[str, tuple[dict[str, str], bool]] = {
    "another site": ({"Origin": "https://evil.example"}, False),
    "the same name on another port": ({"Origin": "http://127.0.0.1:1"}, False),
    "an opaque origin": ({"Origin": "null"}, False),
    "no origin at all": ({"Origin": "http://[::1"}, False),
    "a blank origin": ({"Origin": ""}, False),
    "a link of another site": ({"Sec-Fetch-Site": "cross-site"}, False),
    "its own page": ({"Origin": "http://127.0.0.1:{port}", "Sec-Fetch-Site": "same-origin"}, True),
    "the address bar": ({"Sec-Fetch-Site": "none"}, True),
    "the dashboard's link": ({"Sec-Fetch-Site": "same-site"}, True),
    "no browser": ({}, True),
}


async def test_pages_of_other_sites_are_refused(api: Api) -> None:
    """Also where they had the token, also where no token is needed."""
    for name, (headers, is_allowed) in SITES.items():
        given = {key: value.replace("{port}", str(api.port)) for key, value in headers.items()}
        for path in (NOTHING, "/docs"):
            assert (await api.ask("GET", path, given))[0] == (
                (204 if path == NOTHING else 200) if is_allowed else 403
            ), name


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
async def test_a_body_must_say_that_it_is_json(api: Api, kind: str) -> None:
    """What a form can send without asking first is none; a blank body is no body."""
    for path in (THINGS, NOTHING):
        assert (await api.ask("POST", path, {"Content-Type": kind}, data=b'{"name": "x"}'))[0] == 415
    assert (await api.ask("POST", NOTHING, {"Content-Type": kind}, data=b" "))[0] == 204


@pytest.mark.parametrize("is_chunked", [False, True], ids=["told", "chunked"])
async def test_a_body_above_64_kib_is_413(api: Api, is_chunked: bool) -> None:
    """Also where nothing is expected; up to there it is read."""

    async def pieces(size: int) -> AsyncIterator[bytes]:
        for _ in range(size // 1024):
            yield b" " * 1024
        yield b" " * (size % 1024)

    for path, fitting in ((THINGS, 400), (NOTHING, 204)):
        for size, expected in ((65_536, fitting), (65_537, 413), (200_000, 413)):
            body = pieces(size) if is_chunked else b" " * size
            status, _ = await api.ask("POST", path, {"Content-Type": "application/json"}, data=body)
            assert status == expected, (path, size)
