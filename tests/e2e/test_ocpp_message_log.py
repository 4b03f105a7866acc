"""The OCPP messages of a charge point as an operator gets them, with the whole server."""

import asyncio
import json
import stat
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from canaries import CANARY_KEY, CANARY_SECRET, trace_in
from raw_charge_point import CallRefusedError
from running_site import RunningSite, SiteFactory

LIMIT_S = 20


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as client:
        yield client


async def get(client: aiohttp.ClientSession, site: RunningSite, path: str) -> tuple[int, Any]:
    """Status and JSON of a GET."""
    token = (site.data_dir / "api_token").read_text().strip()
    url = f"http://127.0.0.1:{site.server.api_port}/api/v1/{path}"
    async with asyncio.timeout(LIMIT_S), client.get(url, headers={"Authorization": f"Bearer {token}"}) as answer:
        return answer.status, await answer.json(content_type=None)


async def messages(client: aiohttp.ClientSession, site: RunningSite, charge_point_id: str, query: str = "") -> Any:
    """The answer of the route."""
    status, body = await get(client, site, f"charge-points/{quote(charge_point_id, safe='')}/messages{query}")
    assert status == 200, body
    return body


def files(site: RunningSite) -> list[str]:
    """Names in the folder."""
    return sorted(path.name for path in (site.data_dir / "messages").glob("*"))


async def test_a_conversation_is_there_with_directions_actions_and_latencies(
    site: SiteFactory, client: aiohttp.ClientSession
) -> None:
    """Newest first, both sides' calls, also of a charge point whose id has a slash; pages follow each other."""
    here = await site(charger_admission="open")
    charge_point = await here.connect("SCHNEIDER/EVlink")
    await charge_point.call("Heartbeat", {})
    assert await here.server.calls.change_configuration("SCHNEIDER/EVlink", "MeterValueSampleInterval", "60")

    told = await messages(client, here, "SCHNEIDER/EVlink")
    found = told["messages"]

    assert (told["dropped"], told["is_recording"]) == (0, True)
    assert [(one["direction"], one["kind"], one["action"]) for one in found][:4] == [
        ("received", "result", "ChangeConfiguration"),
        ("sent", "call", "ChangeConfiguration"),
        ("sent", "result", "Heartbeat"),
        ("received", "call", "Heartbeat"),
    ]
    assert found[1]["payload"] == {"key": "MeterValueSampleInterval", "value": "60"}
    assert found[0]["payload"] == {"status": "Accepted"}
    assert all(one["latency_ms"] >= 0 for one in found if one["kind"] == "result")
    assert found[-1]["action"] == "BootNotification"
    assert [one["number"] for one in found] == list(range(len(found), 0, -1))

    first = await messages(client, here, "SCHNEIDER/EVlink", "?limit=1")
    second = await messages(client, here, "SCHNEIDER/EVlink", f"?limit=3&before={first['next']}")
    assert [*first["messages"], *second["messages"]] == found[:4]
    assert first["messages"][0]["action"] == "ChangeConfiguration"  # its call is on the next page


async def test_the_files_are_named_by_a_hash_and_nobody_elses_business(site: SiteFactory) -> None:
    """No id becomes a path (T15); what others may not read is in them."""
    here = await site(charger_admission="open")
    charge_point = await here.connect("A/B")
    await charge_point.call("Heartbeat", {})
    await here.stop()

    (name,) = files(here)
    path = here.data_dir / "messages" / name
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert "A" not in name.removesuffix(".jsonl")
    assert stat.S_IMODE(path.stat().st_mode) & 0o137 == 0
    assert [line["charge_point"] for line in lines] == ["A/B"] * len(lines)
    assert lines[0]["frame"][2] == "BootNotification"


async def test_a_restart_goes_on_where_it_was(site: SiteFactory, client: aiohttp.ClientSession) -> None:
    """Numbers are those of the charge point, not of the server's run."""
    here = await site(charger_admission="open")
    await (await here.connect()).call("Heartbeat", {})
    before = (await messages(client, here, "CP1"))["messages"]
    await here.restart()
    await (await here.connect()).call("Heartbeat", {})

    found = (await messages(client, here, "CP1"))["messages"]
    assert [one["number"] for one in found] == list(range(len(found), 0, -1))
    assert found[-len(before) :] == before
    assert len(found) > len(before)


async def test_secrets_are_on_no_disk_and_in_no_answer(site: SiteFactory, client: aiohttp.ClientSession) -> None:
    """Keys that we send, passwords that a charge point lists or babbles, and an answer that repeats a key."""
    here = await site(charger_admission="open")
    charge_point = await here.connect()
    keys = [
        {"key": "AuthorizationKey", "readonly": False, "value": CANARY_KEY},
        {"key": "Wi-Fi pass_word", "readonly": False, "value": CANARY_SECRET},
        {"key": "HeartbeatInterval", "readonly": False, "value": "60"},
    ]
    charge_point.answers["GetConfiguration"] = {"configurationKey": keys}
    charge_point.answers["ChangeConfiguration"] = {"status": "Rejected", "info": f"{CANARY_KEY} is too long"}
    await here.server.calls.get_configuration("CP1")
    await here.server.calls.change_configuration("CP1", "AuthorizationKey", CANARY_KEY)
    for data in (f"password={CANARY_SECRET}", json.dumps({"token": CANARY_SECRET}), f"ftp://u:{CANARY_SECRET}@h/x"):
        await charge_point.call("DataTransfer", {"vendorId": "V", "data": data})
    await charge_point.call("DataTransfer", {"vendorId": "V", "messageId": "SetPassword", "data": CANARY_SECRET})
    await charge_point.socket.send(f'[2, "broken", "DataTransfer", {{"password": "{CANARY_SECRET}"')
    await charge_point.call("Heartbeat", {})

    told = await messages(client, here, "CP1", "?limit=500")
    kept = "".join((here.data_dir / "messages" / name).read_text() for name in files(here))
    assert trace_in(json.dumps(told)) is None
    assert trace_in(kept) is None
    assert kept.count("(hidden)") >= 7
    assert {"key": "HeartbeatInterval", "readonly": False, "value": "60"} in json.loads(
        next(line for line in kept.splitlines() if '"configurationKey"' in line)
    )["frame"][2]["configurationKey"]
    changed = [one for one in told["messages"] if one["action"] == "ChangeConfiguration"]
    assert changed[0]["payload"] == {"status": "Rejected", "info": "(hidden)"}
    assert changed[1]["payload"] == {"key": "AuthorizationKey", "value": "(hidden)"}
    assert "unreadable" in [one["kind"] for one in told["messages"]]


async def test_what_is_no_usual_frame_is_told_all_the_same(site: SiteFactory, client: aiohttp.ClientSession) -> None:
    """Mistakes of charge points, errors of both sides, and a message too long to be kept whole."""
    here = await site(charger_admission="open")
    charge_point = await here.connect()
    await charge_point.socket.send(
        b'[2,"nan","StatusNotification",{"connectorId":NaN,\r\n"errorCode":"NoError",}]'.decode()
    )
    await charge_point.socket.send("rubbish")
    with pytest.raises(CallRefusedError):
        await charge_point.call("NoSuchAction", {})
    await charge_point.call("DataTransfer", {"vendorId": "V", "data": "x" * 30_000})

    found = (await messages(client, here, "CP1"))["messages"]
    by_kind = {one["kind"]: one for one in found}
    long = next(one for one in found if one["size"] > 30_000)
    assert (by_kind["error"]["action"], by_kind["error"]["error_code"]) == ("NoSuchAction", "NotImplemented")

    assert [one["reason"] for one in found if one["size"] == 7] == ["not JSON: Expecting value"]
    assert (long["reason"], long["excerpt"][:2], len(long["excerpt"])) == ("too long", "[2", 1000)
    odd = next(one for one in found if one["message_id"] == "nan")
    assert odd["payload"] is None or odd["payload"].get("errorCode", "NoError") == "NoError"


async def test_switched_off_it_keeps_nothing(site: SiteFactory, client: aiohttp.ClientSession) -> None:
    """And what was there goes."""
    here = await site(charger_admission="open")
    await (await here.connect()).call("Heartbeat", {})
    await here.stop()
    assert files(here)
    here.settings = here.settings.model_copy(update={"message_log": False})
    await here.start()
    charge_point = await here.connect()
    await charge_point.call("Heartbeat", {})
    await here.advance(1)

    told = await messages(client, here, "CP1")
    assert (told["messages"], told["is_recording"]) == ([], False)
    assert files(here) == []


async def test_a_question_that_does_not_fit_is_refused(site: SiteFactory, client: aiohttp.ClientSession) -> None:
    """Unknown charge points, wild limits."""
    here = await site(charger_admission="open")
    await here.connect()

    assert [
        (await get(client, here, f"charge-points/{path}"))[0]
        for path in (
            "NOBODY/messages".replace("/", "/"),
            "CP1/messages?limit=0",
            "CP1/messages?limit=501",
            "CP1/messages?before=x",
        )
    ] == [404, 422, 422, 422]
