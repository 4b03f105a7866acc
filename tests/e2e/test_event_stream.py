"""The stream of events, with the whole server and real sockets: what comes, who is dropped, how it ends."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any, TypeAlias

import aiohttp
import pytest
from running_site import RunningSite, SiteFactory

from ocpp_server.control_api import event_feed, streaming
from ocpp_server.core.commands import AcknowledgeAlert, RaiseAlert, RequestStop, ResolveAlert

LIMIT_S = 20
Frame: TypeAlias = dict[str, str]


class Listener:
    """One listener; frames as they come, comments under the key of a blank name."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.answer = answer
        self.last_id = ""

    async def frame(self) -> Frame:
        """The next block. Raises EOFError at the end of the stream."""
        found: Frame = {}
        async with asyncio.timeout(LIMIT_S):
            while True:
                line = (await self.answer.content.readline()).decode()
                if not line:
                    raise EOFError
                if line == "\n":
                    self.last_id = found.get("id", self.last_id)
                    return found
                name, _, value = line.rstrip("\n").partition(": ")
                found[name] = value

    async def event(self) -> tuple[str, dict[str, Any]]:
        """The next event: kind and data."""
        while True:
            frame = await self.frame()
            if "event" in frame:
                return frame["event"], json.loads(frame["data"])

    async def until(self, kind: str) -> dict[str, Any]:
        """The data of the next event of this kind."""
        while True:
            found, data = await self.event()
            if found == kind:
                return data


class Listeners:
    """Opens streams on a site."""

    def __init__(self, client: aiohttp.ClientSession, stack: AsyncExitStack) -> None:
        self._client, self._stack = client, stack

    async def __call__(self, site: RunningSite, query: str = "", last_id: str = "", status: int = 200) -> Listener:
        headers = {"Authorization": f"Bearer {token_of(site)}"} | ({"Last-Event-ID": last_id} if last_id else {})
        url = f"http://127.0.0.1:{site.server.api_port}/api/v1/events{query}"
        async with asyncio.timeout(LIMIT_S):
            answer = await self._stack.enter_async_context(self._client.get(url, headers=headers))
        assert answer.status == status
        listener = Listener(answer)
        if status == 200:
            assert answer.content_type == "text/event-stream"
            await listener.frame()
        return listener


@pytest.fixture
async def listen() -> AsyncIterator[Listeners]:
    """Open streams; all end with the test."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as client, AsyncExitStack() as stack:
        yield Listeners(client, stack)


def token_of(site: RunningSite) -> str:
    return (site.data_dir / "api_token").read_text().strip()


async def alert(site: RunningSite, number: int = 1) -> None:
    """Something happens."""
    await site.server.central.handle(RaiseAlert(site.clock.now(), f"a{number}", "test", f"alert {number}"))


async def test_a_session_is_told_from_its_start_to_its_end(site: SiteFactory, listen: Listeners) -> None:
    """Connection, status, start, readings, end; numbered without a gap."""
    here = await site(charger_admission="open")
    listener = await listen(here)
    charge_point = await here.connect()
    await charge_point.call("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Charging"})
    transaction, _ = await charge_point.start(meter=1000)
    await here.advance(60)
    await charge_point.meter(transaction, 1200)
    await charge_point.stop(transaction, 1500)
    await charge_point.close()

    told: list[tuple[str, dict[str, Any]]] = []
    while not told or told[-1][0] != "connection.closed":
        told.append(await listener.event())
    first = dict(reversed(told))
    assert [kind for kind, _ in told if kind in ("connection.opened", "status", "transaction.started")] == [
        "connection.opened",
        "status",
        "transaction.started",
    ]
    assert first["connection.opened"]["charge_point"] == "CP1"
    assert first["status"]["status"] == "Charging"
    assert (first["transaction.started"]["id_tag"], first["transaction.started"]["name"]) == ("RFID001", "John Doe")
    assert first["reading"]["register_wh"] == 1200
    assert first["transaction.ended"]["wh"] == 500
    numbers = [int(data["id"].rpartition("-")[2]) for _, data in told]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


async def test_only_what_is_asked_for_comes(site: SiteFactory, listen: Listeners) -> None:
    """By kind, by family of kinds, by charge point; a kind that does not exist is refused."""
    here = await site(charger_admission="open")
    alerts = await listen(here, "?kind=alert,reading")
    second = await listen(here, "?kind=connection.opened&charge_point=CP2")
    await here.connect("CP1")
    await here.connect("CP2")
    await alert(here)
    await here.server.central.handle(ResolveAlert(here.clock.now(), "a1"))

    assert (await alerts.until("alert.raised"))["text"] == "alert 1"
    assert (await alerts.event())[0] == "alert.resolved"
    assert (await second.event())[1]["charge_point"] == "CP2"
    await listen(here, "?kind=nonsense", status=422)


async def test_what_people_do_is_told_too(site: SiteFactory, listen: Listeners) -> None:
    """A stop that is asked for, an alert that somebody takes care of, and a note with its figures; odd text as well."""
    here = await site(charger_admission="open")
    charge_point = await here.connect()
    listener = await listen(here, "?kind=transaction,alert,note")
    transaction, _ = await charge_point.start()
    await charge_point.start("\ud800unknown", connector=2)
    await alert(here)
    await here.server.central.handle(AcknowledgeAlert(here.clock.now(), "a1", "Ann"))
    await here.server.central.handle(RequestStop(here.clock.now(), transaction, "Ann"))

    assert (await listener.until("note"))["note_kind"] == "refusal"
    assert (await listener.until("alert.acknowledged"))["acknowledged_by"] == "Ann"
    assert (await listener.until("transaction.stopping"))["stop_cause"] == "stopped by the operator"


async def test_a_listener_that_comes_back_goes_on_where_it_was(site: SiteFactory, listen: Listeners) -> None:
    """Last-Event-ID (WHATWG HTML §9.2); what is not kept any more, or of an earlier run, is said to be missed."""
    here = await site()
    listener = await listen(here)
    await alert(here, 1)
    await listener.until("alert.raised")
    listener.answer.close()
    await alert(here, 2)
    await alert(here, 3)

    again = await listen(here, "?kind=alert.raised", listener.last_id)
    assert [(await again.event())[1]["text"] for _ in range(2)] == ["alert 2", "alert 3"]

    for wrong in ("0badc0de-1", "nonsense", f"{listener.last_id.split('-')[0]}-99999", "-" * 300):
        lost = await listen_raw(listen, here, wrong)
        assert lost == "missed"


async def listen_raw(listen: Listeners, here: RunningSite, last_id: str) -> str:
    """The first event of a stream that cannot go on where it was: in the first block, or behind it."""
    listener = await listen(here, "?kind=alert.raised", last_id)
    kind, _ = await listener.event()
    return kind


async def test_quiet_streams_are_kept_alive_and_keep_their_place(site: SiteFactory, listen: Listeners) -> None:
    """A comment every 15 s, so that no proxy closes them."""
    here = await site()
    listener = await listen(here, "?kind=reading")
    await here.advance(16)

    frame = await listener.frame()
    assert frame[""] == "keep-alive"
    assert frame["id"].rpartition("-")[0] == listener.last_id.rpartition("-")[0]


async def test_a_stop_of_the_server_ends_every_stream_and_waits_for_none(site: SiteFactory, listen: Listeners) -> None:
    """The last words are told before."""
    here = await site(charger_admission="open")
    listeners = [await listen(here) for _ in range(5)]
    await here.connect()
    async with asyncio.timeout(LIMIT_S):
        await here.stop()

    for listener in listeners:
        with pytest.raises(EOFError):
            await listener.until("never")


async def test_there_are_places_for_so_many_and_those_who_left_give_theirs_back(
    site: SiteFactory, listen: Listeners, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one gets 503; a listener that is killed is noticed without an event."""
    monkeypatch.setattr(event_feed, "MOST_LISTENERS", 2)
    monkeypatch.setattr(streaming, "_LOOK_EVERY_S", 0.01)
    here = await site()
    killed, _ = await listen(here), await listen(here)
    await listen(here, status=503)

    connection = killed.answer.connection
    assert connection is not None
    assert connection.transport is not None
    connection.transport.abort()
    await here.until(lambda: len(feed_of(here)._listeners) == 1)
    await alert(here)

    assert (await (await listen(here, last_id="x-1")).event())[0] == "missed"


def feed_of(here: RunningSite) -> event_feed.EventFeed:
    """The feed of the running server: the one that listens to its central system."""
    owners = (getattr(one, "__self__", None) for one in here.server.central._listeners)
    return next(one for one in owners if isinstance(one, event_feed.EventFeed))


async def fill(here: RunningSite, count: int) -> None:
    """So many large events, twice."""
    for number in range(count):
        await here.server.central.handle(RaiseAlert(here.clock.now(), f"a{number}", "test", "x" * 100_000))
        await here.server.central.handle(ResolveAlert(here.clock.now(), f"a{number}"))


async def fill_until(here: RunningSite, claim: Callable[[], bool]) -> None:
    """Events until the claim is true."""
    for _ in range(100_000):
        if claim():
            return
        await fill(here, 1)
    raise AssertionError("nothing came of it")


def fall_asleep(here: RunningSite) -> socket.socket:
    """A listener that asks, and reads nothing."""
    sleeper = socket.socket()
    sleeper.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sleeper.connect(("127.0.0.1", here.server.api_port))
    request = f"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token_of(here)}\r\n\r\n"
    sleeper.sendall(request.encode())
    return sleeper


async def test_a_listener_that_reads_nothing_is_dropped_and_nobody_waits_for_it(
    site: SiteFactory, listen: Listeners, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not read stays in the one buffer that all share; the others go on."""
    monkeypatch.setattr(streaming, "_LONGEST_WRITE_S", 0.3)
    monkeypatch.setattr(streaming, "_LOOK_EVERY_S", 0.01)
    here = await site()
    sleeper = fall_asleep(here)
    feed = feed_of(here)
    await here.until(lambda: len(feed._listeners) == 1)
    reader = await listen(here, "?kind=reading")

    await fill_until(here, lambda: len(feed._listeners) == 1)

    assert len(feed._kept) <= event_feed.MOST_EVENTS
    assert reader.answer.connection is not None
    assert not reader.answer.content.at_eof()
    sleeper.close()


async def test_a_stop_does_not_wait_for_a_listener_that_reads_nothing(site: SiteFactory) -> None:
    """What it was being sent is given up."""
    here = await site()
    sleeper = fall_asleep(here)
    feed = feed_of(here)
    await here.until(lambda: len(feed._listeners) == 1)
    await fill(here, 50)
    async with asyncio.timeout(LIMIT_S):
        await here.stop()
    sleeper.close()


async def test_an_event_is_told_once_it_is_durable(
    site: SiteFactory, listen: Listeners, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is shown that a power cut could take back."""
    here = await site()
    listener = await listen(here)
    central = here.server.central
    gate, commit = asyncio.Event(), central._store.commit

    async def slow(changes: Any) -> None:
        await gate.wait()
        await commit(changes)

    monkeypatch.setattr(central._store, "commit", slow)
    feed = feed_of(here)
    before = feed.last_number
    raising = asyncio.create_task(alert(here))
    await here.until(lambda: "a1" in central.site.alerts)
    assert feed.last_number == before
    gate.set()
    await raising

    assert (await listener.until("alert.raised"))["text"] == "alert 1"
