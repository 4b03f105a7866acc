"""The API does what its own OpenAPI document says, whatever it is asked: schemathesis, in small and in large."""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from ocpp_server.app import running
from ocpp_server.control_api.application import ControlApi
from ocpp_server.control_api.problems import Problem
from ocpp_server.control_api.routing import Answer, Request, Route
from ocpp_server.control_api.token import read_token
from ocpp_server.core.site import UnknownChargePoints
from ocpp_server.ocpp16 import charge_point
from ocpp_server.settings import Settings
from simulator import SimulatedChargePoint

USERS = "id_tag,name,surname,quota_kwh,unlimited,account\nRFID001,J,D,150,FALSE,\nRFID002,J,S,200,FALSE,\n"
ENDLESS = "/api/v1/events"
"""Nobody waits for its end here."""
ENDINGS = r"/(lock|forget|disconnect|stop|password|reset)$"
"""After these the charge point or its session is not there any more."""
MUST_SUCCEED = {"commands/{action}", "availability", "leaks/mend", "trigger", "unlock", "leaks", "messages"}
"""Below `/charge-points/{id}/`: else the charge point was not there, and little was shown."""
CHECKS = (
    *("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance"),
    *("response_schema_conformance", "missing_required_header", "unsupported_method"),
    *("allow_header_conformance", "use_after_free", "ensure_resource_availability", "ignored_auth"),
)
REFUSAL = "negative_data_rejection"
"""What does not fit the document is refused. Not asked of what chance makes: a list of the one number 0.0 is no number,
but as text in a query it is one. What fits the document may still be refused, by the rules of a table.
"""
SYSTEMATIC, BY_CHANCE = "coverage", "fuzzing,stateful"
"""Phases. The fourth one would send the examples of the document: it has none."""
LEAST_CALLS = 5_000
LEAST_SYSTEMATIC_CALLS = 2_000
LEAST_STATEFUL_CALLS = 500
OF_EVERY_ANSWER = {"Content-Type", "Content-Length"}


class Asked:
    """A running server with a charge point that charges, and what schemathesis says of it."""

    def __init__(self, folder: Path, port: int, token: str, answers: Counter[tuple[str, int]], session_id: int) -> None:
        self.folder = folder
        self.port = port
        self.token = token
        self.answers = answers
        """How often the server gave which status, by the end of the path."""
        self.calls: Counter[str] = Counter()
        """How many were made, by phase."""
        self.known = (
            f'[parameters]\n"path.id" = "CP1"\n"path.id_tag" = "RFID001"\n"path.transaction_id" = "{session_id}"\n'
            '"path.action" = "ClearCache"\n'
        )
        """A charge point, a user and a session that exist, for schemathesis."""

    def succeeded(self) -> set[str]:
        """Operations that were done at least once."""
        return {operation for operation, status in self.answers if status < 300}

    async def by_schemathesis(self, phases: str, *options: str, config: str = "") -> None:
        """Many calls, all of them well answered."""
        checks = ",".join((*CHECKS, REFUSAL) if phases == SYSTEMATIC else CHECKS)
        (self.folder / "schemathesis.toml").write_text(config)
        report = self.folder / "report.ndjson"
        url = f"http://127.0.0.1:{self.port}/openapi.json"
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", "schemathesis.toml", "run", url),
            *("-H", f"Authorization: Bearer {self.token}", "--checks", checks, "--exclude-path", ENDLESS),
            *("--no-color", "--continue-on-failure", "--no-shrink", "--warnings", "off", "--request-timeout", "60"),
            *("--generation-database", "none", "--report-ndjson-path", str(report), "--phases", phases, *options),
            cwd=self.folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output = (await process.communicate())[0].decode()
        assert process.returncode == 0, output[-8_000:]
        self.calls += calls_by_phase(report)


def calls_by_phase(report: Path) -> Counter[str]:
    """How many requests schemathesis sent."""
    calls: Counter[str] = Counter()
    with report.open() as lines:
        for event in map(json.loads, lines):
            scenario = event.get("ScenarioFinished")
            if scenario is not None:
                calls[scenario["phase"]] += len(scenario["recorder"].get("interactions", {}))
    return calls


@pytest.fixture
async def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Asked]:
    """Charge points are let in; what they do not answer is given up soon."""
    answers: Counter[tuple[str, int]] = Counter()

    async def serve(route: Route, request: web.Request) -> web.StreamResponse:
        status = 500
        try:
            response = await unwatched(route, request)
            status = response.status
            assert {*response.headers} - OF_EVERY_ANSWER == {*route.headers}, route.name
        except Problem as problem:
            status = problem.status
            raise
        finally:
            answers[route.path.rpartition("{id}/")[2], status] += 1
        return response

    unwatched = Route.serve
    monkeypatch.setattr(Route, "serve", serve)
    monkeypatch.setattr(charge_point, "QUIET_AFTER_START_S", 0.0)  # no call waits for a session that has just begun
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
        SimulatedChargePoint("CP1", f"ws://127.0.0.1:{server.ocpp_port}") as simulated,
    ):
        await simulated.plug_in_and_swipe()
        (session_id,) = server.central.site.open_transactions
        yield Asked(tmp_path, server.api_port, read_token(data_dir), answers, session_id)


async def _check_document(asked: Asked) -> None:
    """Each operation has a name of its own, a summary, a tag of the list and a problem for who may not ask; each answer
    its content, and each value that is asked for its limits.
    """
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
        assert {"400", "401", "403", "413", "415", "500", "503"} <= one["responses"].keys(), one["operationId"]
        assert [s for s, answer in one["responses"].items() if not answer.get("content")] == [], one["operationId"]
        asked_for = [(place["name"], place["schema"]) for place in one["parameters"] if place["in"] != "header"]
        content = one.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
        body = document["components"]["schemas"].get(content.get("$ref", "").rpartition("/")[2], {})
        asked_for += body.get("properties", {}).items()
        assert [name for name, schema in asked_for if not has_limits(schema)] == [], one["operationId"]
        assert body.get("additionalProperties", False) is False, one["operationId"]


def has_limits(schema: Any) -> bool:
    """Whether texts and numbers of this schema say what is too long or too large; `null` and true need not."""
    if "anyOf" in schema:
        return all(has_limits(one) for one in schema["anyOf"])
    if schema.get("type") == "string":
        return bool(schema.keys() & {"maxLength", "pattern", "format", "enum", "minLength"})
    if schema.get("type") in ("integer", "number"):
        return "maximum" in schema
    return True


@pytest.mark.timeout(600)
async def test_a_sample_of_calls_is_answered_as_the_document_says(asked: Asked) -> None:
    """No 5xx but those of the document, no answer that it does not describe; and the document is sound."""
    await _check_document(asked)
    await asked.by_schemathesis("fuzzing", "-n", "1", "--seed", "1", config=asked.known)

    assert asked.calls.total() >= 30


@pytest.mark.prove
@pytest.mark.timeout(3600)
async def test_thousands_of_calls_are_answered_as_the_document_says(asked: Asked) -> None:
    """First what exists is asked for, then anything, each in all phases, the stateful one too."""
    for phases in (SYSTEMATIC, BY_CHANCE):
        await asked.by_schemathesis(
            *(phases, "-n", "60", "--exclude-path-regex", ENDINGS, "--exclude-method", "DELETE"), config=asked.known
        )
    assert asked.succeeded() >= MUST_SUCCEED
    for phases in (SYSTEMATIC, BY_CHANCE):
        await asked.by_schemathesis(phases, "-n", "60")
    print(f"calls by phase: {dict(asked.calls)}, answers of routes: {asked.answers.total()}")

    assert asked.calls.total() >= LEAST_CALLS
    assert asked.calls[SYSTEMATIC] >= LEAST_SYSTEMATIC_CALLS
    assert asked.calls["stateful"] >= LEAST_STATEFUL_CALLS
    assert asked.answers.total() >= LEAST_CALLS // 2  # others never reach a route: other methods, no token, bad bodies


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
