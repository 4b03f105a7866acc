"""What is refused at every route of the served document and at every page beside it, whatever the method (T20)."""

import asyncio
import gzip
import json
import re
import zlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import hdrs
from turned_clock import LIMIT_S

from ocpp_server.app import running
from ocpp_server.control_api.token import read_token
from ocpp_server.control_api.visitors import OPEN_PATHS
from ocpp_server.settings import Settings

USERS = "id_tag,name,surname,quota_kwh,unlimited\nRFID001,J,D,150,FALSE\n"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY")
PAGES = (*sorted(OPEN_PATHS), "/metrics", "/", "/nowhere", "/api/v1")
JSON = {"Content-Type": "application/json"}
TOO_LARGE = 64 * 1024 + 1
BOMB = bytes(20_000_000)
PACKED = {
    "gzip": gzip.compress(BOMB),
    "deflate": zlib.compress(BOMB),
    "br": b"\x00",
    "gzip, gzip": gzip.compress(gzip.compress(BOMB)),
}


class Site:
    """A running server; what it has is remembered, to see whether anything changed."""

    def __init__(self, folder: Path, port: int, session: aiohttp.ClientSession, paths: dict[str, Any]) -> None:
        self.port = port
        self.token = read_token(folder)
        self.session = session
        self.paths = [re.sub(r"{\w+}", "1", path) for path in paths] + [*PAGES]
        self.operations = [(m.upper(), re.sub(r"{\w+}", "1", path)) for path, one in paths.items() for m in one]
        self._folder = folder

    def tables(self) -> list[str]:
        return [(self._folder / name).read_text() for name in ("users1.csv", "chargers.csv")]

    async def ask(self, method: str, path: str, headers: dict[str, str], body: Any = None) -> tuple[int, str]:
        """With the token, unless the headers have another one or a blank; status and text."""
        given = {"Authorization": f"Bearer {self.token}"} | headers
        if not given["Authorization"]:
            del given["Authorization"]
        url = f"http://127.0.0.1:{self.port}{path}"
        async with asyncio.timeout(LIMIT_S), self.session.request(method, url, headers=given, data=body) as answer:
            return answer.status, await answer.text()

    def everything(self) -> Iterator[tuple[str, str]]:
        """What is served, and the pages by GET."""
        yield from self.operations
        yield from (("GET", page) for page in PAGES)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """A whole server with a user and a charge point."""
    (tmp_path / "users1.csv").write_text(USERS)
    (tmp_path / "chargers.csv").write_text("charger_id\n1\n")
    settings = Settings(_env_file=None, data_dir=tmp_path, ocpp_host="127.0.0.1", ocpp_port=0, api_port=0)
    async with running(settings) as server, aiohttp.ClientSession() as session:
        async with session.get(f"http://127.0.0.1:{server.api_port}/openapi.json") as answer:
            paths = json.loads(await answer.text())["paths"]
        here = Site(tmp_path, server.api_port, session, paths)
        before = here.tables()
        assert len(here.operations) >= 45
        yield here
        assert here.tables() == before


async def test_no_method_of_any_path_is_served_without_the_token(site: Site) -> None:
    """From loopback as from anywhere; what is open says nothing of the site, and takes nothing."""
    for path in site.paths:
        for method in METHODS:
            for authorization in ("", "Bearer wrong", "Basic dXNlcjpwYXNz"):
                status, text = await site.ask(method, path, {"Authorization": authorization} | JSON, b"{}")
                if path not in OPEN_PATHS:
                    assert status == 401, (method, path)
                else:
                    assert status in ((200, 503) if method in ("GET", "HEAD") else (405,)), (method, path)
                    assert "RFID001" not in text
                    assert site.token not in text


OTHERS = {
    "another name": {"Host": "evil.example"},
    "another name that begins well": {"Host": "127.0.0.1.evil.example"},
    "a page of another site": {"Origin": "https://evil.example"},
    "a page of another port": {"Origin": "http://127.0.0.1:1"},
    "a page of a file": {"Origin": "null"},
    "a picture of another site": {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
}


async def test_no_other_name_and_no_other_site_is_answered_anywhere(site: Site) -> None:
    """Even with the token, even where none is needed; a browser that asks first (OPTIONS) hears no yes."""
    for name, headers in OTHERS.items():
        for method, path in (*site.everything(), *(("OPTIONS", path) for path in site.paths)):
            assert (await site.ask(method, path, headers | JSON, b"{}"))[0] == 403, (name, method, path)


async def test_no_form_is_taken_anywhere(site: Site) -> None:
    """What a page can send without asking first, JSON by another name included."""
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        for method, path in site.operations:
            if method != "GET":
                assert (await site.ask(method, path, {"Content-Type": kind}, b"{}"))[0] == 415, (kind, method, path)


async def in_pieces(size: int) -> AsyncIterator[bytes]:
    for begin in range(0, size, 8192):
        yield b" " * min(8192, size - begin)


async def test_no_body_above_64_kib_is_taken_anywhere(site: Site) -> None:
    """With Content-Length and without; also where no body is expected."""
    for method, path in site.everything():
        for body in (b" " * TOO_LARGE, in_pieces(TOO_LARGE)):
            assert (await site.ask(method, path, JSON, body))[0] == 413, (method, path, type(body))


async def test_nothing_is_unpacked_anywhere(site: Site) -> None:
    """20 MB in 20 kB: refused by its header, before anything grows."""
    for encoding, body in PACKED.items():
        for method, path in site.everything():
            headers = JSON | {hdrs.CONTENT_ENCODING: encoding}
            assert (await site.ask(method, path, headers, body))[0] == 415, (encoding, method, path)
