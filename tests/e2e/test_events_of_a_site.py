"""Events with the whole server: what happens at charge points arrives at a webhook, through outages and restarts."""

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from canaries import CANARY_SECRET, trace_in
from running_site import RunningSite, SiteFactory, people

from ocpp_server.control_api.token import read_token

SECRET = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


class Inbox:
    """A receiver of webhooks that can be told to be broken; keeps what it took."""

    def __init__(self) -> None:
        self.is_broken = False
        self.events: list[dict[str, Any]] = []
        self.refused = 0
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        if self.is_broken:
            self.refused += 1
            return web.Response(status=503)
        self.events.append(await request.json())
        return web.Response(status=204)

    def types(self) -> list[str]:
        """Of what came, each event once."""
        return [event["type"] for event in {event["id"]: event for event in self.events}.values()]


@pytest.fixture
async def inbox() -> AsyncIterator[Inbox]:
    inbox = Inbox()
    application = web.Application()
    application.router.add_post("/{path:.*}", inbox.take)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    inbox.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    yield inbox
    await runner.cleanup()


async def test_a_session_is_told_to_a_webhook_through_an_outage_and_a_restart(site: SiteFactory, inbox: Inbox) -> None:
    """Nobody who charges waits for it, and what was not taken is sent after the restart."""
    running = await site(
        people(RFID001=1), webhook_url=inbox.url, webhook_secret=SECRET, webhook_events=("session.*", "quota.*")
    )
    charge_point = await running.connect()
    await running.advance(5)
    inbox.is_broken = True
    number, _ = await charge_point.start("RFID001", 0)
    await running.advance(1800)
    await charge_point.stop(number, 1_000)
    await running.advance(60)
    assert inbox.refused > 0
    assert inbox.types() == []

    await running.restart()
    inbox.is_broken = False
    await running.advance(400)

    told = inbox.types()
    assert [one for one in told if one.startswith("session")] == ["session.started", "session.stopped"]
    assert [one for one in told if one.startswith("quota")] == ["quota.warning", "quota.warning", "quota.reached"]
    (stopped,) = [event["data"] for event in inbox.events if event["type"] == "session.stopped"]
    assert (stopped["energy_kwh"], stopped["full_name"]) == (1.0, "John Doe")


async def test_no_secret_is_in_any_answer_or_file(site: SiteFactory, inbox: Inbox) -> None:
    """A webhook whose address is a secret, with a receiver that fails."""
    inbox.is_broken = True
    running = await site(webhook_url=f"{inbox.url}{CANARY_SECRET}", webhook_secret=SECRET)
    charge_point = await running.connect()
    await charge_point.start("RFID001", 0)
    await running.advance(60)
    assert inbox.refused > 0

    found = [
        await answer(running, path) for path in ("/metrics", "/api/v1/settings", "/api/v1/destinations", "/healthz")
    ]
    await running.stop()
    found += [path.read_bytes().decode("utf-8", "replace") for path in running.data_dir.rglob("*") if path.is_file()]
    assert [text[:80] for text in found if trace_in(text) is not None or SECRET in text] == []
    assert "webhook-1" in found[0]


async def answer(running: RunningSite, path: str) -> str:
    """What the control API says there."""
    headers = {"Authorization": f"Bearer {read_token(running.data_dir)}"}
    url = f"http://127.0.0.1:{running.server.api_port}{path}"
    async with aiohttp.ClientSession() as client, client.get(url, headers=headers) as response:
        return json.dumps(await response.text())
