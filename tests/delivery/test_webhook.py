"""Webhooks: what is posted, how it is signed, and that the receiver of the documentation works (docs/webhooks.md)."""

import asyncio
import json
import logging
import re
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from aiohttp import web
from canaries import CANARY_SECRET, trace_in
from told_events import alert, ledger_with, mixed, quota, session, status

from ocpp_server.clock import Clock
from ocpp_server.core.events import Event, EventType
from ocpp_server.core.period import Month
from ocpp_server.delivery.destination import Accepted, Failed, Refused, Skipped, Unauthorized
from ocpp_server.delivery.engine import Engine
from ocpp_server.delivery.event_outbox import EventOutbox
from ocpp_server.delivery.outbox import DEFAULT, Item
from ocpp_server.delivery.webhook import Webhook, signature
from ocpp_server.storage.deliveries import Deliveries
from ocpp_server.storage.event_documents import event_document
from ocpp_server.storage.ledger import Ledger

DOCUMENT = Path(__file__).parents[2] / "docs" / "webhooks.md"
KEY = bytes(range(32))
SECRET = f"whsec_{b64encode(KEY).decode()}"
LIMIT_S = 60


def real_now() -> datetime:
    return datetime.now(UTC)


def item(event: Any, number: int = 1) -> Item:
    """As the outbox gives it."""
    document = event_document(number, event)
    return Item(number, "lane", document["id"], document)


class Listener:
    """A receiver that answers as it is told, the last answer for ever, and keeps what came."""

    def __init__(self) -> None:
        self.url = ""
        self.answers = [204]
        self.came: list[tuple[dict[str, str], bytes]] = []
        self.has_news = asyncio.Event()

    async def take(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.came.append((headers, await request.read()))
        self.has_news.set()
        return web.Response(status=self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])

    def ids(self) -> list[str]:
        """Of the events, as they came."""
        return [json.loads(body)["id"] for _, body in self.came]

    async def until(self, count: int) -> None:
        """So many posts have come."""
        async with asyncio.timeout(LIMIT_S):
            while len(self.came) < count:
                self.has_news.clear()
                await self.has_news.wait()


@asynccontextmanager
async def _listening() -> AsyncIterator[Listener]:
    listener = Listener()
    application = web.Application()
    application.router.add_post("/hook", listener.take)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        listener.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
        yield listener
    finally:
        await runner.cleanup()


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    async with _listening() as listener:
        yield listener


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """With nine events of three lanes."""
    with ledger_with(tmp_path, mixed(9)) as ledger:
        yield ledger


async def send(url: str, *items: Item, key: bytes = KEY, types: tuple[EventType, ...] = tuple(EventType)) -> Any:
    """Once, with the outcome."""
    webhook = Webhook("webhook-1", url, key, types, real_now)
    try:
        return await webhook.send(items)
    finally:
        await webhook.close()


def test_the_signature_is_that_of_the_standard() -> None:
    """A published example of Standard Webhooks, which its libraries are tested with."""
    key = bytes.fromhex("31f290f6bf0629 8aab4f08d43c3f082cf648a362da2da4b0".replace(" ", ""))
    body = b'{"test": 2432232314}'

    found = signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body)

    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_an_event_is_posted_with_its_id_type_time_and_data(listener: Listener) -> None:
    """The id stands in the headers, too."""
    one = item(session(), 4711)

    assert await send(listener.url, one) == Accepted()

    ((headers, body),) = listener.came
    document = json.loads(body)
    assert document == one.body
    assert list(document) == ["id", "type", "time", "data"]
    assert headers["webhook-id"] == headers["idempotency-key"] == document["id"] == one.key
    assert headers["content-type"] == "application/json"
    assert headers["webhook-signature"] == signature(KEY, one.key, headers["webhook-timestamp"], body)


async def test_another_try_has_the_same_id_and_its_own_timestamp(listener: Listener) -> None:
    """A receiver that refuses old timestamps must not refuse what waited for days."""
    now = real_now()
    webhook = Webhook("webhook-1", listener.url, KEY, tuple(EventType), lambda: now)
    listener.answers = [503, 204]
    one = item(session())

    assert isinstance(await webhook.send([one]), Failed)
    now += timedelta(days=3)
    assert await webhook.send([one]) == Accepted()
    await webhook.close()

    (first, body), (second, same_body) = listener.came
    assert (first["webhook-id"], body) == (second["webhook-id"], same_body)
    assert int(second["webhook-timestamp"]) - int(first["webhook-timestamp"]) == 3 * 86400


async def test_what_is_not_wanted_is_not_sent(listener: Listener) -> None:
    """And tells nothing of the receiver: it might be away."""
    types = (EventType.SESSION_STOPPED, EventType.QUOTA_REACHED)

    assert await send(listener.url, item(status()), types=types) == Skipped()
    assert (
        await send(listener.url, item(status(), 1), item(session(), 2), item(quota(100), 3), types=types) == Accepted()
    )

    assert [json.loads(body)["type"] for _, body in listener.came] == ["session.stopped", "quota.reached"]


@pytest.mark.parametrize(("answer", "outcome"), [(401, Unauthorized), (422, Refused), (500, Failed), (302, Failed)])
async def test_the_answer_decides_what_becomes_of_it(answer: int, outcome: type, listener: Listener) -> None:
    """As with the forwarder."""
    listener.answers = [answer]

    assert isinstance(await send(listener.url, item(session(), 1), item(session(), 2)), outcome)
    assert len(listener.came) == 1


async def test_text_that_no_encoding_can_carry_is_sent_all_the_same(listener: Listener) -> None:
    """A lone surrogate in what a charge point said: strict parsers would refuse it."""
    assert await send(listener.url, item(alert("tag \ud800"))) == Accepted()

    ((_, body),) = listener.came
    assert json.loads(body.decode())["data"]["text"] == "tag \\ud800"


async def test_each_charge_point_keeps_its_order_through_an_outage(listener: Listener, ledger: Ledger) -> None:
    """Every event arrives; those of one lane in their order."""
    source, deliveries = EventOutbox(ledger.path, lambda: 9), Deliveries(ledger)
    await deliveries.note("webhook-1", "events", {DEFAULT: 0})
    listener.answers = [204, 503, 204, 500, 204]
    webhook = Webhook("webhook-1", listener.url, KEY, tuple(EventType), real_now)
    running = asyncio.create_task(Engine(webhook, source, deliveries, Clock(factor=500)).run())

    await listener.until(11)
    running.cancel()
    await asyncio.wait([running])

    arrived = list(dict.fromkeys(listener.ids()))
    for lane in range(3):
        expected = [one.key for one in source.page({DEFAULT: 0}, 9)[lane::3]]
        assert [key for key in arrived if key in expected] == expected
    assert len(arrived) == 9


async def test_the_secret_is_in_no_request_and_no_log(listener: Listener, caplog: pytest.LogCaptureFixture) -> None:
    """It signs, it is not sent."""
    caplog.set_level(logging.DEBUG)
    listener.answers = [401]

    outcome = await send(listener.url, item(session()), key=CANARY_SECRET.encode())

    assert trace_in(repr(outcome)) is None
    assert trace_in(repr(listener.came)) is None
    assert trace_in(caplog.text) is None


class DocumentedReceiver:
    """The example of docs/webhooks.md, on a port of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("EVQUOTA_WEBHOOK_SECRET", SECRET)
        (example,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
        self.names: dict[str, Any] = {"__name__": "example"}
        exec(compile(example, str(DOCUMENT), "exec"), self.names)
        self.taken: list[Any] = []
        receiver = self.names["Receiver"]
        monkeypatch.setattr(receiver, "take", lambda _self, event: self.taken.append(event))
        monkeypatch.setattr(receiver, "log_message", lambda *_: None)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), receiver)
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(LIMIT_S)


@pytest.fixture
def documented(monkeypatch: pytest.MonkeyPatch) -> Iterator[DocumentedReceiver]:
    receiver = DocumentedReceiver(monkeypatch)
    yield receiver
    receiver.close()


async def test_the_receiver_of_the_documentation_takes_our_events_once(documented: DocumentedReceiver) -> None:
    """Sent twice, as after a crash."""
    one = item(session())

    assert await send(documented.url, one) == Accepted()
    assert await send(documented.url, one) == Accepted()

    assert documented.taken == [one.body]


@pytest.mark.parametrize("shift_s", [-301, -86400, 400])
async def test_it_refuses_what_was_recorded_earlier(shift_s: int, documented: DocumentedReceiver) -> None:
    """The signature is right, the timestamp is not of now."""
    webhook = Webhook(
        "webhook-1", documented.url, KEY, tuple(EventType), lambda: real_now() + timedelta(seconds=shift_s)
    )

    assert isinstance(await webhook.send([item(session())]), Unauthorized)
    await webhook.close()
    assert documented.taken == []


async def test_it_refuses_another_secret(documented: DocumentedReceiver) -> None:
    """Somebody else's."""
    assert isinstance(await send(documented.url, item(session()), key=bytes(32)), Unauthorized)
    assert documented.taken == []


@pytest.mark.parametrize(
    "changed",
    [
        {"webhook-id": "evt_2_0"},
        {"webhook-timestamp": "now"},
        {"webhook-timestamp": ""},
        {"webhook-signature": ""},
        {"webhook-signature": "v1,AAAA"},
    ],
    ids=["id", "no time", "blank time", "blank signature", "short signature"],
)
def test_it_refuses_headers_that_were_changed(changed: dict[str, str], documented: DocumentedReceiver) -> None:
    """The signature covers id and time."""
    timestamp = str(int(real_now().timestamp()))
    right = {"webhook-id": "evt_1_0", "webhook-timestamp": timestamp}
    right["webhook-signature"] = signature(KEY, "evt_1_0", timestamp, b"{}")
    is_genuine = documented.names["is_genuine"]

    assert is_genuine(right, b"{}")
    assert is_genuine(right | {"webhook-signature": f"v1,AAAA {right['webhook-signature']}"}, b"{}")
    assert not is_genuine(right | changed, b"{}")
    assert not is_genuine(right, b"{ }")


def test_the_documentation_names_every_event() -> None:
    """With when it comes; the example is what is sent."""
    told = DOCUMENT.read_text(encoding="utf-8")

    assert [one.value for one in EventType if f"`{one.value}`" not in told] == []
    (example,) = re.findall(r"```json\n(.*?)```", told, re.DOTALL)
    sent = event_document(4711, session())
    assert json.loads(example) | {"id": ""} == sent | {"id": ""}
    files = (DOCUMENT.parent / "files.md").read_text(encoding="utf-8")
    month = Event(EventType.MONTH_OPENED, real_now(), month=Month("2026-11"))
    keys = {key for event in (quota(), status(), month) for key in event_document(1, event)["data"]}
    assert [key for key in keys if f"`{key}`" not in told] == []
    assert [key for key in event_document(1, alert())["data"] if f"`{key}`" not in files] == []
