"""`control_api`: the one door for the command line, scripts and the dashboard, over real HTTP (T16, T20)."""

import asyncio
import json
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
import pytest
from turned_clock import LIMIT_S, TurnedClock

from ocpp_server.central_system import CentralSystem
from ocpp_server.clock import Clock
from ocpp_server.control_api.adjustments import Adjustments, adjustment
from ocpp_server.control_api.application import ControlApi
from ocpp_server.control_api.routing import Route
from ocpp_server.control_api.token import TOKEN_FILE, make_token, read_token
from ocpp_server.control_api.transactions import Transactions
from ocpp_server.core.commands import BootNotification, Connect, OpenMonth, Started, StartTransaction, StopTransaction
from ocpp_server.core.period import Month
from ocpp_server.core.records import StopCause
from ocpp_server.core.site import Policy
from ocpp_server.storage.memory_store import MemoryStore

TOKEN = "the-token"
STOP = "/api/v1/transactions/{}/stop"
ADJUSTMENTS = "/api/v1/adjustments"
JSON = {"Content-Type": "application/json"}
GOOD = {"id_tag": "RFID001", "kwh": 2.5, "reason": "wrong card", "by": "Ann"}


def api_routes(central: CentralSystem, clock: Clock) -> list[Route]:
    """What this file is about."""
    return [*Transactions(central, clock).routes(), *Adjustments(central, clock).routes()]


class Api:
    """A running API, its central system, and a client."""

    def __init__(self) -> None:
        self.clock = TurnedClock()
        self.store = MemoryStore(Policy(ZoneInfo("Europe/Istanbul")), self.clock.now())
        self.central = CentralSystem(self.store, self.store.load())
        self.api = ControlApi(TOKEN, api_routes(self.central, self.clock))
        self.port = 0
        self.session: aiohttp.ClientSession

    async def transaction(self) -> int:
        now = self.clock.now()
        await self.central.handle(Connect("CP1", now))
        await self.central.handle(BootNotification("CP1", now))
        reply = await self.central.handle(StartTransaction("CP1", now, 1, "RFID001", 0, now.isoformat()))
        assert isinstance(reply, Started)
        return reply.transaction_id

    async def ask(
        self,
        method: str,
        path: str,
        *,
        token: str | None = TOKEN,
        headers: dict[str, str] | None = None,
        **body: Any,
    ) -> tuple[int, Any]:
        """Status and JSON of the answer."""
        given = dict(headers or {})
        if token is not None:
            given.setdefault("Authorization", f"Bearer {token}")
        url = f"http://127.0.0.1:{self.port}{path}"
        async with asyncio.timeout(LIMIT_S), self.session.request(method, url, headers=given, **body) as answer:
            content = await answer.read()
            if answer.status >= 400:
                assert answer.content_type == "application/problem+json"
            return answer.status, json.loads(content)

    async def post(self, path: str, **asked: Any) -> tuple[int, Any]:
        return await self.ask("POST", path, **asked)

    def bookings(self) -> list[int]:
        return list(self.central.site.usage.values())


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    api = Api()
    committing = asyncio.create_task(api.central.run())
    await api.central.handle(OpenMonth(api.clock.now(), Month("2026-11")))
    async with api.api.listening("127.0.0.1", 0) as api.port, aiohttp.ClientSession() as api.session:
        yield api
    committing.cancel()
    await asyncio.wait([committing])


async def test_liveness_needs_no_token(api: Api) -> None:
    """A supervisor or a proxy asks it."""
    assert await api.ask("GET", "/livez", token=None) == (200, {"status": "alive"})


REFUSED = {
    "no token": {},
    "wrong token": {"Authorization": "Bearer wrong"},
    "token of another length": {"Authorization": f"Bearer {TOKEN}x"},
    "blank token": {"Authorization": "Bearer "},
    "token without Bearer": {"Authorization": TOKEN},
    "basic": {"Authorization": "Basic dXNlcjp0aGUtdG9rZW4="},
    "not ASCII": {"Authorization": "Bearer thé-token"},
    "in another header": {"X-Api-Key": TOKEN},
}


@pytest.mark.parametrize("headers", REFUSED.values(), ids=REFUSED.keys())
@pytest.mark.parametrize("path", [STOP.format(1), ADJUSTMENTS, "/", "/metrics", "/livez/", "/api/v1/../../livez/x"])
async def test_everything_else_needs_the_token(api: Api, path: str, headers: dict[str, str]) -> None:
    """Also on loopback, also where nothing is (T20)."""
    status, problem = await api.post(path, token=None, headers=headers, json=GOOD)

    assert status == 401
    assert problem == {
        "title": "Unauthorized",
        "status": 401,
        "detail": "the bearer token of the file api_token is needed",
    }
    assert api.bookings() == []


async def test_the_token_is_not_taken_from_the_query(api: Api) -> None:
    """It would stand in every log."""
    status, _ = await api.post(f"{ADJUSTMENTS}?token={TOKEN}&access_token={TOKEN}", token=None, json=GOOD)

    assert status == 401


HOSTS = {"127.0.0.1:{}": 200, "localhost:{}": 200, "LOCALHOST": 200, "[::1]:{}": 200, "evil.example:{}": 403, "": 403}


@pytest.mark.parametrize(("host", "expected"), HOSTS.items(), ids=list(HOSTS))
async def test_only_the_names_of_this_machine_are_answered(api: Api, host: str, expected: int) -> None:
    """A page in a browser could reach us under its own name (DNS rebinding, T20)."""
    status, _ = await api.ask("GET", "/livez", headers={"Host": host.format(api.port)})

    assert status == expected


@pytest.mark.parametrize("bound", ["0.0.0.0", "127.0.0.1"])
async def test_an_api_that_an_operator_opened_to_the_network_answers_under_any_name(bound: str) -> None:
    """Which names lead to this machine is not ours to know then."""
    api = ControlApi(TOKEN, [])
    async with api.listening(bound, 0) as port, aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{port}/livez"
        async with session.get(url, headers={"Host": "charging.example"}) as answer:
            assert answer.status == (200 if bound == "0.0.0.0" else 403)


async def test_a_stop_is_a_wish_that_is_durable(api: Api) -> None:
    """202: committed; the stopper carries it out."""
    number = await api.transaction()

    assert await api.post(STOP.format(number)) == (202, {"transaction_id": number, "state": "stopping"})
    stop = api.store.load().transactions[number].stop
    assert stop is not None
    assert (stop.cause, stop.by) == (StopCause.REQUESTED, "operator")


@pytest.mark.parametrize(
    ("sent", "kept"),
    [("Ann", "Ann"), ("  ", "operator"), ("A" * 500, "A" * 100), ("J\udcff", "J?"), ("Şule", "Şule")],
)
async def test_who_wants_the_stop_is_kept(api: Api, sent: str, kept: str) -> None:
    """In the books for ever: short, and proper text."""
    number = await api.transaction()
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    name = sent.encode("utf-8", "surrogateescape")
    writer.write(
        f"POST {STOP.format(number)} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n".encode()
        + b"Connection: close\r\nX-Requested-By: "
        + name
        + b"\r\n\r\n"
    )
    async with asyncio.timeout(LIMIT_S):
        answer = await reader.read()
    writer.close()

    assert answer.startswith(b"HTTP/1.1 202 ")
    stop = api.central.site.transactions[number].stop
    assert stop is not None
    assert stop.by == kept


@pytest.mark.parametrize("number", ["1", "0", "9999999999", "9" * 11, "9" * 5000, "abc", "-1", "1.5", "%31", "٣"])
async def test_a_stop_of_an_unknown_transaction_is_404(api: Api, number: str) -> None:
    """Whatever stands where its number belongs."""
    await api.transaction()
    status, problem = await api.post(STOP.format(number))

    assert (status, problem["status"]) == (404, 404)


async def test_a_session_that_has_ended_cannot_be_stopped(api: Api) -> None:
    """It is no open transaction any more."""
    number = await api.transaction()
    now = api.clock.now()
    await api.central.handle(StopTransaction("CP1", now, number, 0, now.isoformat()))
    status, problem = await api.post(STOP.format(number))

    assert (status, problem["detail"]) == (404, f"no open transaction {number}")


@pytest.mark.parametrize(("method", "path"), [("GET", ADJUSTMENTS), ("PUT", STOP.format(1)), ("POST", "/livez")])
async def test_another_method_is_405(api: Api, method: str, path: str) -> None:
    """Nothing changes by a GET."""
    assert (await api.ask(method, path))[0] == 405


ADJUSTED = [
    (2.5, 2500),
    ("2,5", 2500),
    (" 2.5 ", 2500),
    (-1, -1000),
    (0.001, 1),
    (1_000_000, 10**9),
    (0.1, 100),
    (999_999.999, 999_999_999),
]


@pytest.mark.parametrize(("kwh", "wh"), ADJUSTED)
async def test_a_correction_is_in_the_books(api: Api, kwh: object, wh: int) -> None:
    """201, once it is durable; negative gives back."""
    await api.post(ADJUSTMENTS, json=GOOD | {"kwh": 1})
    status, body = await api.post(ADJUSTMENTS, json=GOOD | {"kwh": kwh})

    assert (status, body) == (201, {"id_tag": "RFID001", "wh": wh})
    assert list(api.store.load().usage.values()) == [1000 + wh]


async def test_no_more_is_given_back_than_was_used(api: Api) -> None:
    """409: usage is never negative (rule 5); the sentence says what to do instead."""
    status, problem = await api.post(ADJUSTMENTS, json=GOOD | {"kwh": -0.001})

    assert (status, "raise the quota" in problem["detail"]) == (409, True)
    assert api.store.load().usage == {}


BAD_KWH = ["1e400", '"nan"', '"inf"', '"abc"', '""', "0", "-0.0", "0.0004", "true", "null", "[1]", "{}", "1000001"]
BAD_KWH += ["-1e9", '"1_0"', '"1e9"', "1" * 4000, "1" * 5000]


@pytest.mark.parametrize("kwh", BAD_KWH, ids=[text[:12] for text in BAD_KWH])
async def test_a_bad_kwh_is_422_and_books_nothing(api: Api, kwh: str) -> None:
    """float() accepts nan, inf and 1_0: that would be free charging."""
    body = json.dumps(GOOD).replace("2.5", kwh)
    status, problem = await api.post(ADJUSTMENTS, data=body, headers=JSON)

    assert (status, api.bookings()) == (422, [])
    assert problem["field"] == "kwh"


BAD_FIELDS: list[tuple[dict[str, object], str, str]] = [
    ({"reason": ""}, "reason", "text that is not blank"),
    ({"reason": " \n"}, "reason", "text that is not blank"),
    ({"reason": None}, "reason", "Expected `str`, got `null`"),
    ({"reason": ["x"]}, "reason", "Expected `str`, got `array`"),
    ({"id_tag": ""}, "id_tag", "text that is not blank"),
    ({"id_tag": 7}, "id_tag", "Expected `str`, got `int`"),
    ({"id_tag": "T" * 101}, "id_tag", "of length <= 100"),
    ({"reason": "r" * 501}, "reason", "of length <= 500"),
    ({"by": "b" * 101}, "by", "of length <= 100"),
    ({"by": {"name": "Ann"}}, "by", "Expected `str`, got `object`"),
]


@pytest.mark.parametrize(("fields", "name", "detail"), BAD_FIELDS)
async def test_a_field_that_is_missing_or_no_text_is_422(
    api: Api, fields: dict[str, object], name: str, detail: str
) -> None:
    """The reason stays in the books, so there must be one."""
    status, problem = await api.post(ADJUSTMENTS, json=GOOD | fields)

    assert (status, problem["field"], api.bookings()) == (422, name, [])
    assert detail in problem["detail"]


async def test_a_field_that_nobody_knows_is_422(api: Api) -> None:
    """A mistyped name must not be passed over in silence."""
    status, problem = await api.post(ADJUSTMENTS, json=GOOD | {"resaon": "x"})

    assert (status, api.bookings()) == (422, [])
    assert "resaon" in problem["detail"]


@pytest.mark.parametrize("body", ["[]", '"text"', "7", "null", "[" * 60_000])
async def test_json_that_is_no_object_is_422(api: Api, body: str) -> None:
    """With what was expected; however deep."""
    status, problem = await api.post(ADJUSTMENTS, data=body, headers=JSON)

    assert (status, problem["detail"][:17]) == (422, "Expected `object`")


NOT_JSON = [b"", b"not json", b'{"kwh": 1', b"\xff\xfe\xfa", b"\x00"]
NOT_JSON += [json.dumps(GOOD).replace("2.5", number).encode() for number in ("NaN", "Infinity", "-Infinity")]
NOT_JSON += [json.dumps(GOOD | {"id_tag": "T\ud800"}).encode()]


@pytest.mark.parametrize("body", NOT_JSON, ids=range(len(NOT_JSON)))
async def test_a_body_that_is_not_json_is_400(api: Api, body: bytes) -> None:
    """Never a 500, however odd; NaN and half a character are no JSON."""
    status, problem = await api.post(ADJUSTMENTS, data=body, headers=JSON)

    assert (status, problem["detail"]) == (400, "the body must be JSON")


async def test_an_unknown_charset_does_no_harm(api: Api) -> None:
    """JSON is UTF-8, whatever the header says."""
    headers = {"Content-Type": "application/json; charset=klingon"}
    status, _ = await api.post(ADJUSTMENTS, data=json.dumps(GOOD).encode(), headers=headers)

    assert status == 201


async def test_a_body_that_is_too_large_is_413(api: Api) -> None:
    """64 KiB are enough for a correction (T20)."""
    status, problem = await api.post(ADJUSTMENTS, json=GOOD | {"reason": "x" * 70_000})

    assert (status, problem["status"], api.bookings()) == (413, 413, [])


async def test_texts_are_booked_whole(api: Api) -> None:
    """They stay in the books for ever: what is too long for them is refused, not cut."""
    await api.post(ADJUSTMENTS, json=GOOD | {"reason": "r" * 500, "by": "b" * 100})
    (note,) = [note for note in api.central.site.notes if note.figures and note.id_tag == "RFID001"]

    assert (note.text, dict(note.figures)["by"]) == ("r" * 500, "b" * 100)


async def test_without_a_name_the_operator_did_it(api: Api) -> None:
    """A script need not say."""
    command = adjustment({"id_tag": " RFID001 ", "kwh": "1", "reason": " r "}, api.clock.now())

    assert (command.id_tag, command.reason, command.by) == ("RFID001", "r", "operator")


async def test_a_ledger_that_cannot_be_written_is_503(api: Api) -> None:
    """Nothing was changed, and the caller knows."""
    number = await api.transaction()
    api.store.failure = OSError(28, "No space left on device")

    for _ in range(2):
        status, problem = await api.post(STOP.format(number))
        assert (status, problem["detail"]) == (503, "the ledger cannot be written; nothing was changed")


async def test_a_port_that_is_taken_is_told(api: Api) -> None:
    """OSError, and nothing of the second API stays open."""
    with pytest.raises(OSError, match=r"address already in use|Address already in use"):
        async with ControlApi(TOKEN, []).listening("127.0.0.1", api.port):
            pass

    assert (await api.ask("GET", "/livez"))[0] == 200


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_the_token_is_made_once_and_only_for_us(tmp_path: Path) -> None:
    """0600, long, the same at the next start."""
    token = make_token(tmp_path)

    assert mode(tmp_path / TOKEN_FILE) == 0o600
    assert len(token) >= 40
    assert make_token(tmp_path) == read_token(tmp_path) == token


def test_two_folders_have_two_tokens(tmp_path: Path) -> None:
    """None is fixed (T19)."""
    folders = [tmp_path / name for name in ("a", "b")]
    for folder in folders:
        folder.mkdir()

    assert make_token(folders[0]) != make_token(folders[1])


@pytest.mark.parametrize("act", [make_token, read_token])
def test_a_link_at_the_token_is_not_followed(tmp_path: Path, act: Any) -> None:
    """Neither to read another file nor to write one (T23)."""
    victim = tmp_path / "victim"
    for content in (b"known-to-others\n", None):
        if content is None:
            victim.unlink()
        else:
            victim.write_bytes(content)
            (tmp_path / TOKEN_FILE).symlink_to(victim)
        with pytest.raises(OSError, match="symbolic links"):
            act(tmp_path)
        assert victim.exists() == (content is not None)


@pytest.mark.parametrize("content", [b"", b"\n", b"  \n"])
def test_an_empty_token_file_gets_a_token(tmp_path: Path, content: bytes) -> None:
    """A power cut in the middle of the first start."""
    (tmp_path / TOKEN_FILE).write_bytes(content)
    token = make_token(tmp_path)

    assert len(token) >= 40
    assert mode(tmp_path / TOKEN_FILE) == 0o600
    assert read_token(tmp_path) == token


def test_a_token_file_that_others_may_read_is_closed(tmp_path: Path) -> None:
    """A folder that was copied with another umask."""
    token = make_token(tmp_path)
    (tmp_path / TOKEN_FILE).chmod(0o644)

    assert make_token(tmp_path) == token
    assert mode(tmp_path / TOKEN_FILE) == 0o600


def test_a_token_file_of_something_else_is_told(tmp_path: Path) -> None:
    """Not a token that no client could send; and a pipe must not hang the start."""
    (tmp_path / TOKEN_FILE).write_bytes(b"\xff\xfe")
    with pytest.raises(OSError, match="ASCII"):
        make_token(tmp_path)


def test_without_a_token_a_client_is_told(tmp_path: Path) -> None:
    """The server has never run here."""
    with pytest.raises(FileNotFoundError):
        read_token(tmp_path)
    os.mkfifo(tmp_path / TOKEN_FILE)
    assert read_token(tmp_path) == ""
