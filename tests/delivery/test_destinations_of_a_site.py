"""A whole server with a destination: what its API, its metrics and its files tell, and what a person can do."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
import pytest
from hostile_receiver import Receiver, good, status
from outgoing import reading
from turned_clock import LIMIT_S

from ocpp_server.app import running
from ocpp_server.control_api.token import read_token
from ocpp_server.core import changes as ch
from ocpp_server.core.site import Policy
from ocpp_server.settings import Settings
from ocpp_server.storage.deliveries import Deliveries
from ocpp_server.storage.ledger import Ledger

DESTINATIONS = "/api/v1/destinations"


class Site:
    """A server that runs."""

    def __init__(self, data_dir: Path, port: int, session: aiohttp.ClientSession) -> None:
        self.data_dir, self._port, self._session = data_dir, port, session

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        """Status and text."""
        headers = {"Authorization": f"Bearer {read_token(self.data_dir)}"}
        url = f"http://127.0.0.1:{self._port}{path}"
        async with self._session.request(method, url, json=body, headers=headers) as answer:
            return answer.status, await answer.text()

    async def told(self, path: str) -> Any:
        """An answer that is good."""
        code, text = await self.ask("GET", path)
        assert code == 200, text
        return json.loads(text)

    async def until(self, is_so: Callable[[Any], bool]) -> Any:
        """The one destination, once this is so."""
        async with asyncio.timeout(LIMIT_S):
            while True:
                (found,) = (await self.told(DESTINATIONS))["destinations"]
                if is_so(found):
                    return found
                await asyncio.sleep(0.05)


@asynccontextmanager
async def site_with(receiver: Receiver | None, data_dir: Path, charge_point_ids: str) -> AsyncIterator[Site]:
    """A server that has yet to post a reading of each."""
    data_dir.mkdir(mode=0o750)
    now = datetime.now(UTC)
    ledger = Ledger(data_dir / "ledger.db", Policy(ZoneInfo("UTC")), now, reserve_bytes=0)
    ledger.open()
    await ledger.commit([ch.AddReading(reading(n, one, now)) for n, one in enumerate(charge_point_ids, start=1)])
    await Deliveries(ledger).note("forwarder", "readings", {"": 0})
    ledger.close()
    settings = Settings(
        data_dir=data_dir,
        ocpp_host="127.0.0.1",
        ocpp_port=0,
        api_port=0,
        timezone="UTC",
        forward_url="" if receiver is None else receiver.url,
    )
    async with running(settings) as server, aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(LIMIT_S)) as session:
        yield Site(data_dir, server.api_port, session)


async def published_with(site: Site, kind: str) -> Any:
    """server_status.json, once an alert of this kind is in it."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            found = json.loads((site.data_dir / "server_status.json").read_bytes())
            if kind in [alert["kind"] for alert in found["alerts"]]:
                return found
            await asyncio.sleep(0.05)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """Listens on a port of its own."""
    async with Receiver().listening() as receiver:
        yield receiver


async def test_a_person_sees_what_was_refused_and_has_it_sent_again(receiver: Receiver, tmp_path: Path) -> None:
    """Listed page by page with its reason; sent when asked, and gone when it is accepted."""
    receiver.answer = status(422)
    async with site_with(receiver, tmp_path / "data", "AB") as site:
        refused = await site.until(lambda one: one["set_aside"] == 2)
        first = await site.told(f"{DESTINATIONS}/forwarder/set-aside?limit=1")
        second = await site.told(f"{DESTINATIONS}/forwarder/set-aside?limit=1&before={first['next']}")
        receiver.answer = good
        some = await site.ask("POST", f"{DESTINATIONS}/forwarder/set-aside/resend", {"numbers": [1, 77]})
        await site.until(lambda one: one["set_aside"] == 1)
        rest = await site.ask("POST", f"{DESTINATIONS}/forwarder/set-aside/resend")
        done = await site.until(lambda one: one["set_aside"] == 0)
        wrong = [
            (await site.ask("GET", f"{DESTINATIONS}/forwarder/set-aside?limit=0"))[0],
            (await site.ask("GET", f"{DESTINATIONS}/nobody/set-aside"))[0],
            (await site.ask("POST", f"{DESTINATIONS}/nobody/resume"))[0],
            (await site.ask("POST", f"{DESTINATIONS}/forwarder/set-aside/resend", {"numbers": "all"}))[0],
        ]

    assert (refused["failures"], refused["delivered"]) == (6, 0)
    assert [one["entries"][0]["number"] for one in (first, second)] == [2, 1]
    assert (first["entries"][0]["lane"], first["entries"][0]["reason"]) == ("B", "HTTP 422")
    assert [json.loads(text) for _, text in (some, rest)] == [{"due": 1}, {"due": 1}]
    assert done["delivered"] == 2
    assert wrong == [422, 404, 404, 422]


async def test_a_pause_is_told_everywhere_and_ends_when_a_person_says_so(receiver: Receiver, tmp_path: Path) -> None:
    """API, metrics, server_status.json and an alert."""
    receiver.answer = status(403)
    async with site_with(receiver, tmp_path / "data", "A") as site:
        paused = await site.until(lambda one: one["state"] == "paused")
        metrics = (await site.ask("GET", "/metrics"))[1]
        published = await published_with(site, "forwarder stuck")
        receiver.answer = good
        code, _ = await site.ask("POST", f"{DESTINATIONS}/forwarder/resume")
        done = await site.until(lambda one: one["backlog"] == 0)

    assert paused["reason"].startswith("HTTP 403")
    assert 'evquota_forwarder_up{destination="forwarder"} 0.0' in metrics
    assert 'evquota_forwarder_backlog{destination="forwarder"} 1.0' in metrics
    assert published["forwarder"]["enabled"] is True
    assert published["forwarder"]["last_error"].startswith("HTTP 403")
    assert [one["name"] for one in published["destinations"]] == ["forwarder"]
    assert (code, done["state"], done["delivered"]) == (200, "ok", 1)


async def test_a_site_without_a_destination_tells_of_none(tmp_path: Path) -> None:
    """And lets go of the positions of one that it had."""
    async with site_with(None, tmp_path / "data", "A") as site:
        assert await site.told(DESTINATIONS) == {"destinations": []}
        assert "evquota_forwarder" not in (await site.ask("GET", "/metrics"))[1]
