"""The API does what its own OpenAPI document says, whatever it is asked: schemathesis, in small and in large."""

import asyncio
import re
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from ocpp_server.app import running
from ocpp_server.control_api.application import ControlApi
from ocpp_server.control_api.problems import Problem
from ocpp_server.control_api.routing import Answer, Request, Route
from ocpp_server.control_api.token import read_token
from ocpp_server.core.site import UnknownChargePoints
from ocpp_server.settings import Settings
from simulator import SimulatedChargePoint

USERS = "id_tag,name,surname,quota_kwh,unlimited,account\nRFID001,J,D,150,FALSE,\nRFID002,J,S,200,FALSE,\n"
ENDLESS = "/api/v1/events"
"""Nobody waits for its end here."""
ENDINGS = r"/(lock|forget|disconnect|stop|password|reset)$"
"""After these the charge point or its session is not there any more."""
MUST_SUCCEED = {"commands/{action}", "availability", "leaks/mend", "trigger", "unlock", "leaks", "messages"}
"""Below `/charge-points/{id}/`: else the charge point was not there, and little was shown."""
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
LEAST_CALLS = 5_000


class Asked:
    """A running server with a charge point that charges, and what schemathesis says of it."""

    def __init__(self, folder: Path, port: int, token: str, answers: Counter[tuple[str, int]], session_id: int) -> None:
        self.folder = folder
        self.port = port
        self.token = token
        self.answers = answers
        """How often the server gave which status, by the end of the path."""
        self.known = (
            f'[parameters]\n"path.id" = "CP1"\n"path.id_tag" = "RFID001"\n"path.transaction_id" = "{session_id}"\n'
            '"path.action" = "ClearCache"\n'
        )
        """A charge point, a user and a session that exist, for schemathesis."""

    def succeeded(self) -> set[str]:
        """Operations that were done at least once."""
        return {operation for operation, status in self.answers if status < 300}

    async def by_schemathesis(self, *options: str, config: str = "") -> int:
        """How many calls were made; all of them well answered."""
        (self.folder / "schemathesis.toml").write_text(config)
        url = f"http://127.0.0.1:{self.port}/openapi.json"
        arguments = ["--config-file", "schemathesis.toml", "run", url, "-H", f"Authorization: Bearer {self.token}"]
        arguments += [
            "--no-color",
            "--continue-on-failure",
            "--no-shrink",
            "--warnings",
            "off",
            "--checks",
            CHECKS,
            "--request-timeout",
            "20",
        ]
        arguments += ["--generation-database", "none", "--exclude-path", ENDLESS, *options]
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "schemathesis.cli", *arguments),
            cwd=self.folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output = (await process.communicate())[0].decode()
        told = re.search(r"(\d+) generated, (\d+) passed\n", output)
        assert (process.returncode, told is not None) == (0, True), output[-8_000:]
        assert told is not None
        assert told[1] == told[2], output[-8_000:]
        return int(told[1])


@pytest.fixture
async def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Asked]:
    """Charge points are let in; what they do not answer is given up soon."""
    answers: Counter[tuple[str, int]] = Counter()

    async def serve(route: Route, request: web.Request) -> web.StreamResponse:
        status = 500
        try:
            response = await unwatched(route, request)
            status = response.status
        except Problem as problem:
            status = problem.status
            raise
        finally:
            answers[route.path.rpartition("{id}/")[2], status] += 1
        return response

    unwatched = Route.serve
    monkeypatch.setattr(Route, "serve", serve)
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    (data_dir / "users1.csv").write_text(USERS)
    settings = Settings(
        _env_file=None,
        data_dir=data_dir,
        ocpp_host="127.0.0.1",
        ocpp_port=0,
        api_port=0,
        charger_admission=UnknownChargePoints.OPEN,
        call_timeout_s=0.5,
        max_message_rate=0,
    )
    async with (
        running(settings) as server,
        SimulatedChargePoint("CP1", f"ws://127.0.0.1:{server.ocpp_port}") as charge_point,
    ):
        await charge_point.plug_in_and_swipe()
        (session_id,) = server.central.site.open_transactions
        yield Asked(tmp_path, server.api_port, read_token(data_dir), answers, session_id)


async def _check_document(asked: Asked) -> None:
    """Each operation has a name of its own, a summary, a tag of the list and a problem for who may not ask."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{asked.port}/openapi.json") as answer,
    ):
        document = await answer.json()
    operations = [one for methods in document["paths"].values() for one in methods.values()]
    names = Counter(one["operationId"] for one in operations)

    assert [name for name, times in names.items() if times > 1] == []
    assert {tag for one in operations for tag in one["tags"]} == {tag["name"] for tag in document["tags"]}
    for one in operations:
        assert one["summary"]
        assert {"401", "403"} <= one["responses"].keys(), one["operationId"]


async def test_a_sample_of_calls_is_answered_as_the_document_says(asked: Asked) -> None:
    """No 5xx but those of the document, no answer that it does not describe; and the document is sound."""
    await _check_document(asked)
    assert await asked.by_schemathesis("--phases", "fuzzing", "-n", "1", "--seed", "1", config=asked.known) >= 30


@pytest.mark.prove
@pytest.mark.timeout(900)
async def test_thousands_of_calls_are_answered_as_the_document_says(asked: Asked) -> None:
    """First what exists is asked for, then anything, each in all phases, the stateful one too."""
    phases = ("--phases", "examples,coverage,fuzzing,stateful")
    calls = await asked.by_schemathesis(
        *(*phases, "-n", "60", "--exclude-path-regex", ENDINGS, "--exclude-method", "DELETE"), config=asked.known
    )
    assert asked.succeeded() >= MUST_SUCCEED
    calls += await asked.by_schemathesis(*phases, "-n", "60")

    assert calls >= LEAST_CALLS
    assert sum(asked.answers.values()) >= LEAST_CALLS * 3 // 4  # others never reach a route: other methods, bad hosts


async def fail(_request: Request) -> Answer:
    raise ZeroDivisionError("unexpected")


async def refuse(_request: Request) -> Answer:
    raise Problem(409, "no", field="x")


async def test_a_defect_is_a_problem_document_too(caplog: pytest.LogCaptureFixture) -> None:
    """500 without a word of the cause; the log has it. A broken body is 400, and no raw byte reaches the log."""
    routes = [Route("POST", "/fail", fail, "t", "s"), Route("POST", "/refuse", refuse, "t", "s", problems=(409,))]
    async with ControlApi("the-token", routes).listening("127.0.0.1", 0) as port, aiohttp.ClientSession() as session:
        for path, status in (("fail", 500), ("refuse", 409)):
            headers = {"Authorization": "Bearer the-token"}
            async with session.post(f"http://127.0.0.1:{port}/{path}", headers=headers) as answer:
                assert (answer.status, answer.content_type) == (status, "application/problem+json")
                assert "unexpected" not in await answer.text()
        assert "ZeroDivisionError" in caplog.text
        start = b"POST /refuse HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer the-token\r\n"
        for rest in (b"X: canary\x00\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\ncanary\r\n"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(start + rest)
            async with asyncio.timeout(10):
                assert b" 400 " in await reader.readline()
            writer.close()
    assert "canary" not in caplog.text
