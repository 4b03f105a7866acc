"""The viewer's token reaches what is marked for viewers, and nothing else (T20)."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from ocpp_server.app import running
from ocpp_server.control_api.application import ControlApi
from ocpp_server.control_api.routing import Answer, Request, Role, Route
from ocpp_server.control_api.token import TOKEN_FILE, VIEWER_TOKEN_FILE, make_token, read_token
from ocpp_server.settings import Settings

FOR_VIEWERS = {
    "/api/v1/adjustments",
    "/api/v1/alerts",
    "/api/v1/alerts/history",
    "/api/v1/readings",
    "/api/v1/transactions",
    "/api/v1/transactions/{transaction_id}",
    "/api/v1/transactions/{transaction_id}/explanation",
    "/api/v1/usage",
    "/api/v1/usage/months",
    "/api/v1/users",
    "/api/v1/users/{id_tag}",
    "/api/v1/users/{id_tag}/explanation",
}
NOT_FOR_VIEWERS = {
    "/api/v1/audit",
    "/api/v1/charge-points",
    "/api/v1/connections",
    "/api/v1/events",
    "/api/v1/notes",
    "/api/v1/settings",
}
LIMIT = aiohttp.ClientTimeout(total=30)


class Served:
    """A whole server, asked with either token."""

    def __init__(self, port: int, data_dir: Path, session: aiohttp.ClientSession) -> None:
        self.tokens = {"viewer": read_token(data_dir, VIEWER_TOKEN_FILE), "administrator": read_token(data_dir)}
        self._port = port
        self._session = session

    async def ask(self, token: str, method: str, path: str) -> tuple[int, Any]:
        """Status and JSON; a stream is not read. Every body is one that fits nothing."""
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        url = f"http://127.0.0.1:{self._port}{path}"
        body = None if method == "GET" else b"[]"
        async with self._session.request(method, url, headers=headers, data=body) as answer:
            is_json = answer.content_type in {"application/json", "application/problem+json"}
            return answer.status, await answer.json(content_type=None) if is_json else None


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    """On any port."""
    (tmp_path / "users1.csv").write_text("id_tag,name,surname,quota_kwh,unlimited\nRFID001,J,D,150,FALSE\n")
    settings = Settings(_env_file=None, data_dir=tmp_path, ocpp_host="127.0.0.1", ocpp_port=0, api_port=0)
    async with running(settings) as server, aiohttp.ClientSession(timeout=LIMIT) as session:
        yield Served(server.api_port, tmp_path, session)


async def test_a_viewer_reaches_only_what_is_marked_for_viewers(served: Served) -> None:
    """Every operation of the document with both tokens; a refusal comes before the body is looked at."""
    _, document = await served.ask(served.tokens["viewer"], "GET", "/openapi.json")
    marked: dict[str, set[str]] = {"viewer": set(), "administrator": set()}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            role = operation["x-evquota-role"]
            if method == "get":
                marked[role].add(path)
            assert (role == "viewer") <= (method == "get"), (method, path)
            assert ({"viewer_token": []} in operation.get("security", ())) is (role == "viewer")
            url = re.sub(r"{\w+}", "1", path)
            status, problem = await served.ask(served.tokens["viewer"], method.upper(), url)
            if role == "administrator":
                assert (status, problem["status"], problem["title"]) == (403, 403, "Forbidden"), (method, path)
                assert "api_token" in problem["detail"]
                if path != "/api/v1/settings":
                    continue
            assert status != 401
            assert (await served.ask(served.tokens["administrator"], method.upper(), url))[0] not in {401, 403}
            if role == "viewer":
                assert status in {200, 404, 422}, (method, path)

    assert marked["viewer"] >= FOR_VIEWERS
    assert marked["administrator"] >= NOT_FOR_VIEWERS
    assert not marked["viewer"] & {path for path in document["paths"] if "message" in path or "leak" in path}


async def test_what_was_refused_was_not_done(served: Served) -> None:
    """The users are as before."""
    for method, path in (("DELETE", "/api/v1/users/RFID001"), ("POST", "/api/v1/users")):
        assert (await served.ask(served.tokens["viewer"], method, path))[0] == 403
    assert (await served.ask(served.tokens["viewer"], "GET", "/api/v1/users/RFID001"))[0] == 200


async def test_monitoring_may_have_the_viewers_token(served: Served) -> None:
    """Prometheus needs to read /metrics, and nothing of what an operator does."""
    assert (await served.ask(served.tokens["viewer"], "GET", "/metrics"))[0] == 200
    assert "checks" in (await served.ask(served.tokens["viewer"], "GET", "/healthz"))[1]


async def test_the_two_tokens_are_two(served: Served, tmp_path: Path) -> None:
    """Each in a file of its own, 0600, kept over a restart."""
    assert len(set(served.tokens.values())) == 2
    for name in (TOKEN_FILE, VIEWER_TOKEN_FILE):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    assert make_token(tmp_path, VIEWER_TOKEN_FILE) == served.tokens["viewer"]


async def nothing(_request: Request) -> Answer:
    return Answer()


@pytest.mark.parametrize(
    ("method", "role", "is_for_viewers"),
    [("GET", None, True), ("GET", "administrator", False), ("POST", None, False), ("PUT", None, False),
     ("PATCH", None, False), ("DELETE", None, False), ("POST", "viewer", True)],
)  # fmt: skip
async def test_a_route_that_says_nothing_lets_viewers_get_and_no_more(
    method: Any, role: Role | None, is_for_viewers: bool
) -> None:
    """So that a new one needs no thought to be safe against changes; over real HTTP, with every odd token."""
    route = Route(method, "/x", nothing, "things", "X", status=204, role=role)
    api = ControlApi("the-token", [route], viewer_token="viewer-token")
    async with api.listening("127.0.0.1", 0) as port, aiohttp.ClientSession(timeout=LIMIT) as session:

        async def status_with(given: str) -> int:
            url = f"http://127.0.0.1:{port}/x"
            async with session.request(method, url, headers={"Authorization": given}) as answer:
                return answer.status

        assert await status_with("Bearer viewer-token") == (204 if is_for_viewers else 403)
        assert await status_with("Bearer the-token") == 204
        for wrong in ("Bearer ", "Bearer", "", "Bearer viewer-toke", "bearer viewer-token", "Bearer the-token x"):
            assert await status_with(wrong) == 401


async def test_without_a_viewer_token_there_is_no_viewer() -> None:
    """A blank one is nobody's."""
    api = ControlApi("the-token", [Route("GET", "/x", nothing, "things", "X", status=204)])
    async with api.listening("127.0.0.1", 0) as port, aiohttp.ClientSession(timeout=LIMIT) as session:
        for given in ("Bearer ", "Bearer", ""):
            async with session.get(f"http://127.0.0.1:{port}/x", headers={"Authorization": given}) as answer:
                assert answer.status == 401


async def test_the_document_tells_of_both_tokens() -> None:
    """And the page for people, at each operation."""
    routes = [Route("GET", "/x", nothing, "things", "X"), Route("GET", "/y", take, "things", "Y", role="administrator")]
    api = ControlApi("the-token", routes)
    async with api.listening("127.0.0.1", 0) as port, aiohttp.ClientSession(timeout=LIMIT) as session:
        async with session.get(f"http://127.0.0.1:{port}/openapi.json") as answer:
            document = json.loads(await answer.text())
        async with session.get(f"http://127.0.0.1:{port}/docs") as answer:
            page = await answer.text()

    assert document["components"]["securitySchemes"].keys() == {"token", "viewer_token"}
    assert document["security"] == [{"token": []}]
    assert page.count("Token: viewer") == page.count("Token: administrator") == 1


async def take(_request: Request) -> Answer:
    return Answer()
