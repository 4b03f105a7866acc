"""Ids with a slash, percent-encoded, in every route that the served OpenAPI document has for one (issue 4)."""

import asyncio
import json
import re
from typing import Any
from urllib.parse import quote

import aiohttp
from operator_of_site import Operator
from running_site import RunningSite, SiteFactory, people
from strict_charge_point import StrictChargePoint, result

BODIES: dict[str, Any] = {
    "change_availability": {"type": "Operative"},
    "edit_charge_point": {"name": "Yard"},
    "edit_user": {"name": "Joan"},
    "start_transaction": {"id_tag": "RFID001"},
    "trigger_message": {"requested_message": "Heartbeat"},
    "unlock_connector": {"connector_id": 1},
}
"""By `operationId`; the others need none."""
ELSEWHERE = {"action", "alert_id", "name"}
"""Texts in a path that are no such id; alerts are acknowledged by theirs in test_reading_resources.py, destinations
have names that settings give them."""

Operation = tuple[str, str, str]


async def operations(site: RunningSite, parameter: str) -> list[Operation]:
    """Method, path and `operationId` of each that has this in its path."""
    url = f"http://127.0.0.1:{site.server.api_port}/openapi.json"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        paths = (await answer.json())["paths"]
    every = [(method.upper(), path, one) for path, methods in paths.items() for method, one in methods.items()]
    texts = {
        part["name"]
        for _, _, one in every
        for part in one["parameters"]
        if part["in"] == "path" and re.search(part["schema"].get("pattern", ""), "A/1")
    }
    assert {"id", "id_tag"} <= texts <= {"id", "id_tag"} | ELSEWHERE
    return [
        (method, path.removeprefix("/api/v1/"), one["operationId"])
        for method, path, one in every
        if f"{{{parameter}}}" in path
    ]


async def ask(operator: Operator, operation: Operation, path: str) -> tuple[int, Any]:
    method, _, name = operation
    async with asyncio.timeout(20):
        return await operator.ask(method, path, BODIES.get(name))


async def test_a_charge_point_with_a_slash_is_found_by_every_route(site: SiteFactory) -> None:
    """Each is asked of a charge point of its own, which is there: it is done, and of that one."""
    here = await site(configure_charge_points=False)
    found = await operations(here, "id")
    assert len(found) > 10
    charge_points = [StrictChargePoint(f"A/{number}", here.url, here.clock) for number in range(len(found))]
    for one in charge_points:  # all before the first deed: it makes the site one that lets in whom it knows
        one.reply = result({"status": "Accepted"})
        await one.connect()
        await one.boot(vendor=one.charger_id)
    for operation, one in zip(found, charge_points, strict=True):
        path = operation[1].replace("{id}", quote(one.charger_id, safe="")).replace("{action}", "ClearCache")
        status, told = await ask(Operator(here), operation, path)
        assert (operation, status) == (operation, 200), told
        assert one.charger_id in json.dumps(told), operation
    for one in charge_points:
        await one.close()
        assert one.faults == []


async def test_a_user_with_a_slash_is_found_by_every_route(site: SiteFactory) -> None:
    """Each is asked of a user of its own."""
    rows = "".join(f"U/{number},John,Doe,150,FALSE,\r\n" for number in range(10))
    here = await site(people() + rows)
    found = await operations(here, "id_tag")
    assert 3 < len(found) <= 10
    for number, operation in enumerate(found):
        path = operation[1].replace("{id_tag}", f"U%2F{number}")
        status, told = await ask(Operator(here), operation, path)
        assert (operation, status) == (operation, 200), told
        assert f"U/{number}" in json.dumps(told), operation


async def test_a_slash_that_is_not_encoded_is_no_part_of_an_id(site: SiteFactory) -> None:
    """404, and no deed of another route at a charge point that happens to be called like the first part."""
    here = await site(configure_charge_points=False)
    charge_point = StrictChargePoint("A", here.url, here.clock)
    await charge_point.connect()
    await charge_point.boot()
    for path in ("charge-points/A/1/reset", "charge-points/A/1/commands/Reset", "charge-points/A/1/disconnect"):
        assert (await Operator(here).ask("POST", path))[0] == 404, path

    assert charge_point.asked == []
    await charge_point.close()
