"""Who may ask the control API: no page of another site, no form, no large body; and nobody without the token (T20)."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from turned_clock import LIMIT_S

from ocpp_server.app import running
from ocpp_server.control_api.application import ControlApi
from ocpp_server.control_api.routing import Answer, Request, Route
from ocpp_server.control_api.token import read_token
from ocpp_server.control_api.visitors import OPEN_PATHS
from ocpp_server.settings import Settings

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


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Api]:
    """The API of a whole server."""
    (tmp_path / "users1.csv").write_text("id_tag,name,surname,quota_kwh,unlimited\nRFID001,J,D,150,FALSE\n")
    settings = Settings(_env_file=None, data_dir=tmp_path, ocpp_host="127.0.0.1", ocpp_port=0, api_port=0)
    async with running(settings) as server, aiohttp.ClientSession() as session:
        yield Api(server.api_port, read_token(tmp_path), session)


async def test_no_operation_is_done_without_the_token(served: Api) -> None:
    """Each one of the document, also from loopback, before anything else is looked at. What is open is the same for
    everybody.
    """
    document = json.loads((await served.ask("GET", "/openapi.json"))[1])
    operations = [(method, path) for path, methods in document["paths"].items() for method in methods]
    assert len(operations) >= 12
    for method, path in operations:
        if path in OPEN_PATHS:
            continue
        for authorization in ("", "Bearer wrong", "Basic x"):
            url = re.sub(r"{\w+}", "1", path)
            status, _ = await served.ask(method.upper(), url, {"Authorization": authorization}, data=b"x")
            assert status == 401, (method, path)
    for path in OPEN_PATHS:
        status, text = await served.ask("GET", path, {"Authorization": ""})
        assert (status in (200, 503), "RFID001" in text, served.token in text) == (True, False, False), path


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
