"""A real server that forwards is killed at every stage of a post: each reading arrives, in its charge point's order
(F22), and the key of the other system is nowhere to be seen (T22).
"""

import asyncio
import json
import random
import signal
import sqlite3
import urllib.request
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from canaries import CANARY_SECRET, trace_in
from hostile_receiver import Answer, Receiver, good, status
from server_process import LIMIT_S, ServerProcess, make_site, until

from ocpp_server.core import changes as ch
from ocpp_server.core.energy import Wh
from ocpp_server.core.records import Reading
from ocpp_server.core.site import Policy
from ocpp_server.core.users import IdTag
from ocpp_server.storage.deliveries import Deliveries
from ocpp_server.storage.ledger import Ledger

CHARGERS = ("A", "B", "C", "D")


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """Stays up while servers come and go."""
    async with Receiver().listening() as receiver:
        yield receiver


async def backlog(data_dir: Path, count: int, chargers: tuple[str, ...] = CHARGERS) -> None:
    """A ledger with readings that the forwarder has yet to post."""
    now = datetime.now(UTC)
    ledger = Ledger(data_dir / "ledger.db", Policy(ZoneInfo("UTC")), now, reserve_bytes=0)
    ledger.open()
    readings = [
        Reading(n, f"key-{n}", now, chargers[n % len(chargers)], 1, 1, IdTag("T"), "John Doe", 7200, Wh(n), None)
        for n in range(1, count + 1)
    ]
    await ledger.commit([ch.AddReading(one) for one in readings])
    await Deliveries(ledger).note("forwarder", "readings", {"": 0})
    ledger.close()


def killing(server: ServerProcess, stage: str) -> Answer:
    """An answer during which the server dies."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        if stage == "after the 2xx":
            await good(writer)
            await asyncio.sleep(0)
        server.send(signal.SIGKILL)
        if stage == "in the 2xx":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Le")
            await writer.drain()

    return answer


STAGES = ("before the answer", "in the 2xx", "after the 2xx")


async def killed_again_and_again(receiver: Receiver, folder: Path, kills: list[tuple[str, int]], count: int) -> None:
    """`kills`: at which stage, and of which post of that life."""
    data_dir = make_site(folder / "data")
    await backlog(data_dir, count)
    server = ServerProcess(data_dir, forward_url=receiver.url, forward_lanes=3)
    for stage, post in kills:
        receiver.answers = [good] * (post - 1) + [killing(server, stage)]
        await asyncio.to_thread(server.started)
        assert await asyncio.to_thread(server.wait) == -signal.SIGKILL
    receiver.answers = []
    await asyncio.to_thread(server.started)
    await asyncio.to_thread(until, lambda: len(set(receiver.ids)) == count, "all readings arrive")
    assert await asyncio.to_thread(server.stop) == 0

    by_charger = {name: [one for one in receiver.documents if one["chargerName"] == name] for name in CHARGERS}
    for documents in by_charger.values():
        first_times = list(dict.fromkeys(one["deliveredEnergy"] for one in documents))
        assert first_times == sorted(first_times)
    with closing(sqlite3.connect(data_dir / "ledger.db")) as ledger:
        noted = ledger.execute("SELECT lane, number FROM deliveries").fetchall()
    assert noted == [("", count)]  # all of it is noted at an orderly end


async def test_a_server_that_is_killed_in_the_middle_of_posts_delivers_everything(
    receiver: Receiver, tmp_path: Path
) -> None:
    """One kill at each stage."""
    await killed_again_and_again(receiver, tmp_path, [(stage, 20) for stage in STAGES], 200)


@pytest.mark.prove
@pytest.mark.timeout(600)
async def test_many_kills_in_the_middle_of_posts_lose_nothing(receiver: Receiver, tmp_path: Path) -> None:
    """The same at forty places by chance."""
    chance = random.Random(20261120)
    kills = [(chance.choice(STAGES), chance.randint(1, 60)) for _ in range(40)]
    await killed_again_and_again(receiver, tmp_path, kills, 5000)


def asked(server: ServerProcess, path: str, body: object = None) -> str:
    """What the API answers."""
    token = (server.data_dir / "api_token").read_text(encoding="ascii").strip()
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.api_port}{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=LIMIT_S) as answer:
        return str(answer.read().decode())


def until_told(server: ServerProcess, word: str) -> str:
    """The API's answer on destinations, once this is in it."""
    until(lambda: word in asked(server, "/api/v1/destinations"), word)
    return asked(server, "/api/v1/destinations")


async def test_the_key_is_sent_and_nowhere_else_to_be_seen(receiver: Receiver, tmp_path: Path) -> None:
    """T22: not in the log, a file, the metrics or an answer of the API, whatever the other system says."""
    data_dir = make_site(tmp_path / "data")
    await backlog(data_dir, 4, ("A",))
    url = f"{receiver.url}?token={CANARY_SECRET}"
    server = ServerProcess(data_dir, forward_url=url, forward_api_key=CANARY_SECRET, log_level="DEBUG")
    echo = f"X-Echo: Bearer {CANARY_SECRET}"
    receiver.answers = [
        status(302, f"Location: http://127.0.0.1:9/{CANARY_SECRET}"),
        status(500, echo, body=CANARY_SECRET.encode()),
        *[status(422, echo, body=CANARY_SECRET.encode())] * 3,
    ]
    receiver.answer = status(401, echo, body=CANARY_SECRET.encode())
    await asyncio.to_thread(server.started)
    try:
        told = await asyncio.to_thread(until_told, server, '"paused"')
        shown = [
            told,
            await asyncio.to_thread(asked, server, "/metrics"),
            await asyncio.to_thread(asked, server, "/api/v1/settings"),
            await asyncio.to_thread(asked, server, "/api/v1/destinations/forwarder/set-aside"),
            await asyncio.to_thread(asked, server, "/api/v1/destinations/forwarder/set-aside/resend", {}),
        ]
        receiver.answer = good
        shown.append(await asyncio.to_thread(asked, server, "/api/v1/destinations/forwarder/resume", {}))
        await asyncio.to_thread(until, lambda: len(set(receiver.ids)) == 4, "all readings arrive")
        shown.append(await asyncio.to_thread(until_told, server, '"delivered":4'))
    finally:
        await asyncio.to_thread(server.stop)
    files = [path for path in data_dir.rglob("*") if path.is_file()]
    shown += [path.read_bytes().decode("latin-1") for path in files]

    assert all(one["authorization"] == f"Bearer {CANARY_SECRET}" for one in receiver.requests)
    assert [trace_in(text) for text in [*shown, server.output()] if trace_in(text)] == []
    assert "[FORWARD] paused destination=forwarder" in server.output()
    assert 'evquota_forwarder_failures_total{destination="forwarder"}' in shown[1]
    assert receiver.url.removesuffix("/readings") in shown[2]
    assert json.loads(shown[4]) == {"due": 1}
