"""What people ask of charge points most, each by a route of its own: none says that it was done when it was not.

The charge point is strict about schemas, and answers well, badly, or not at all (issue 4).
"""

import asyncio
from typing import Any

import aiohttp
import pytest
from operators_desk import NAME, OFFLINE, PATIENCE_S, Json, OperatorsDesk, answered, open_desk, refused, unanswered
from running_site import SiteFactory
from schema_examples import answers
from strict_charge_point import HANG_UP, Reply, error, result, silence

from ocpp_server.authorization_key import canonical
from ocpp_server.central_system import CommitError
from ocpp_server.core.commands import RecordConfiguration
from ocpp_server.core.records import StopCause

Call = tuple[str, Json | None, str, Json]

ON_AGAIN = {"connectorId": 1, "type": "Operative"}
ON_THE_SECOND = {"idTag": "RFID001", "connectorId": 2}
METER_VALUES = {"requestedMessage": "MeterValues", "connectorId": 1}
CALLS: tuple[Call, ...] = (
    ("reset", None, "Reset", {"type": "Soft"}),
    ("reset", {"type": "Hard"}, "Reset", {"type": "Hard"}),
    ("unlock", {"connector_id": 2}, "UnlockConnector", {"connectorId": 2}),
    ("availability", {"type": "Inoperative"}, "ChangeAvailability", {"connectorId": 0, "type": "Inoperative"}),
    ("availability", {"connector_id": 1, "type": "Operative"}, "ChangeAvailability", ON_AGAIN),
    ("start", {"id_tag": "RFID001"}, "RemoteStartTransaction", {"idTag": "RFID001"}),
    ("start", {"id_tag": " RFID001", "connector_id": 2}, "RemoteStartTransaction", ON_THE_SECOND),
    ("trigger", {"requested_message": "Heartbeat"}, "TriggerMessage", {"requestedMessage": "Heartbeat"}),
    ("trigger", {"requested_message": "MeterValues", "connector_id": 1}, "TriggerMessage", METER_VALUES),
)
"""The end of the path, its body, and the call that is to reach the charge point."""
ERRORS = ("NotSupported", "NotImplemented", "InternalError", "GenericError", "VendorIsOutOfOffice")


async def post(desk: OperatorsDesk, call: Call, reply: Reply, audited: str) -> tuple[int, Any]:
    what, body, action, payload = call
    return await desk.post(what, body, action, payload, reply, audited)


async def document_of(desk: OperatorsDesk) -> Json:
    """The OpenAPI document, as it is served."""
    url = f"http://127.0.0.1:{desk.site.server.api_port}/openapi.json"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        document: Json = await answer.json()
        return document


async def test_every_friendly_route_is_tried(site: SiteFactory) -> None:
    """All that tell what a charge point answered, but for the generic door."""
    desk = await open_desk(site)
    start = "/api/v1/charge-points/{id}/"
    told = {"$ref": "#/components/schemas/CallOutcome"}
    friendly = {
        path.removeprefix(start)
        for path, methods in (await document_of(desk))["paths"].items()
        for one in methods.values()
        if one["responses"].get("200", {}).get("content", {}).get("application/json", {}).get("schema") == told
    }

    assert friendly == {what for what, *_ in CALLS} | {"commands/{action}"}


async def test_every_answer_is_passed_on(site: SiteFactory) -> None:
    """Accepted, Rejected, Unlocked, UnlockFailed, Scheduled, …: its own word, and never a better one."""
    desk = await open_desk(site)
    for call in CALLS:
        for payload in answers(call[2]):
            assert await post(desk, call, result(payload), payload["status"]) == answered(call[2], payload)

    await desk.close_books()


async def test_every_refusal_is_passed_on(site: SiteFactory) -> None:
    """200 with CALLERROR and its code."""
    desk = await open_desk(site)
    for call in CALLS:
        for code in ERRORS:
            told = await post(desk, call, error(code, "not here", {}), f"error: {code}")
            assert told == refused(call[2], code, "not here")

    await desk.close_books()


async def test_what_nobody_knows_is_504_and_what_was_not_sent_409(site: SiteFactory) -> None:
    """Silence, an answer to somebody else, a line that is cut; then nobody is there."""
    desk = await open_desk(site)
    for call in CALLS:
        what, body, action, _ = call
        assert await post(desk, call, silence, "no answer") == unanswered(action)
        stray = [3, "another", {"status": "Accepted"}]
        assert await post(desk, call, lambda _id, one=stray: [one], "no answer") == unanswered(action)  # type: ignore[misc]
        assert await post(desk, call, HANG_UP, "no answer") == unanswered(action)
        await desk.unplug()
        assert await desk.in_vain(what, body, action) == OFFLINE
        await desk.plug()

    await desk.close_books()


async def test_what_makes_no_sense_is_502(site: SiteFactory) -> None:
    """No status is no Accepted."""
    desk = await open_desk(site)
    for call in CALLS:
        for payload in ({}, {"status": ""}, {"status": True}, {"Status": "Accepted"}, {"status": "answered"}):
            status, told = await post(desk, call, result(payload), "error: malformed answer")
            assert (status, "makes no sense" in told["detail"]) == (502, True), (call, payload)

    await desk.close_books()


@pytest.mark.parametrize("how", ["disconnected", "taken over"])
async def test_a_line_that_the_server_ends_is_504(site: SiteFactory, how: str) -> None:
    """A call is under way when an operator disconnects the charge point, or when it comes again on another line."""
    desk = await open_desk(site)
    before = desk.charge_point
    asking = asyncio.ensure_future(desk.operator.post(NAME, "reset"))
    await desk.site.until(lambda: before.asked)
    if how == "disconnected":
        assert await desk.operator.post(NAME, "disconnect") == (200, {"charge_point": NAME})
    else:
        await desk.plug()

    assert await asking == unanswered("Reset")
    await before.closed()
    await desk.charge_point.close()


STOPS: tuple[tuple[Reply, str], ...] = (
    (result({"status": "Accepted"}), "Accepted"),
    (result({"status": "Rejected"}), "Rejected"),
    (error("NotSupported", "no", {}), "error: NotSupported"),
    (result({}), "error: malformed answer"),
    (silence, "no answer"),
    (HANG_UP, "no answer"),
)


@pytest.mark.parametrize(("reply", "became"), STOPS, ids=["yes", "no", "error", "nonsense", "silence", "cut"])
async def test_a_session_is_stopped_when_it_has_stopped(site: SiteFactory, reply: Reply, became: str) -> None:
    """202: the wish is kept. What the charge point said to it stands in the session, which runs until StopTransaction;
    who wished it, in the audit.
    """
    desk = await open_desk(site)
    number, _ = await desk.charge_point.start("RFID001", 0)
    desk.charge_point.reply = reply

    assert await desk.operator.ask("POST", f"transactions/{number}/stop") == (
        202,
        {"transaction_id": number, "state": "stopping"},
    )
    await desk.site.steps.advance_until(lambda: desk.site.transaction(number).stop.attempts, most_s=PATIENCE_S + 5)  # type: ignore[union-attr]
    _, told = await desk.operator.ask("GET", f"transactions/{number}")

    assert desk.charge_point.asked == [("RemoteStopTransaction", {"transactionId": number})]
    stop = told["stop"]
    assert (stop["cause"], stop["by"], stop["attempts"], stop["result"]) == (StopCause.REQUESTED, "Ann", 1, became)
    assert stop["failures"] == (became != "Accepted")
    assert (told["ended_at"], told["end_kind"]) == (None, "")
    _, audit = await desk.operator.ask("GET", f"audit?transaction={number}")
    assert [(deed["by"], deed["kind"]) for deed in audit["audit"]] == [("Ann", "stop")]
    if reply is not None:
        await desk.charge_point.stop(number, 0)
        _, told = await desk.operator.ask("GET", f"transactions/{number}")
        assert told["end_kind"] == "stopped"
        assert (await desk.operator.ask("POST", f"transactions/{number}/stop"))[0] == 404
    await desk.unplug()


async def test_a_stop_waits_for_a_charge_point_that_is_not_there(site: SiteFactory) -> None:
    """The wish is kept, that nothing was sent is told, and it is sent when the charge point comes."""
    desk = await open_desk(site)
    number, _ = await desk.charge_point.start("RFID001", 0)
    await desk.unplug()

    assert (await desk.operator.ask("POST", f"transactions/{number}/stop"))[0] == 202
    await desk.site.steps.advance_until(lambda: desk.site.transaction(number).stop.attempts, most_s=5)  # type: ignore[union-attr]
    _, told = await desk.operator.ask("GET", f"transactions/{number}")
    assert (told["stop"]["result"], told["ended_at"]) == ("offline", None)

    await desk.plug()
    desk.charge_point.reply = result({"status": "Accepted"})
    await desk.site.steps.advance_until(lambda: desk.charge_point.asked, most_s=60)
    assert desk.charge_point.asked == [("RemoteStopTransaction", {"transactionId": number})]
    await desk.unplug()


MENDING: tuple[tuple[Reply, list[str]], ...] = (
    (result({"status": "Rejected"}), ["Rejected", "Rejected"]),
    (result({"status": "NotSupported"}), ["NotSupported", "NotSupported"]),
    (error("InternalError", "", {}), ["error: InternalError", "error: InternalError"]),
    (result({}), ["error: malformed answer", "error: malformed answer"]),
    (silence, ["no answer", "not sent"]),
    (HANG_UP, ["no answer", "not sent"]),
    (result({"status": "RebootRequired"}), ["RebootRequired", "RebootRequired"]),
)


@pytest.mark.parametrize(
    ("reply", "told"), MENDING, ids=["no", "unknown", "error", "nonsense", "silence", "cut", "at reboot"]
)
async def test_a_leak_is_mended_when_it_was_taken(site: SiteFactory, reply: Reply, told: list[str]) -> None:
    """What became of each change, in the answer and in the audit; what was not taken leaks on."""
    desk = OperatorsDesk(await site(call_timeout_s=PATIENCE_S))
    keys = [{"key": key, "readonly": False, "value": "true"} for key in ("LocalPreAuthorize", "LocalAuthorizeOffline")]
    await desk.plug({"GetConfiguration": result({"configurationKey": keys})})
    await desk.site.advance(PATIENCE_S)
    desk.charge_point.reply = reply
    asking = asyncio.ensure_future(desk.operator.post(NAME, "leaks/mend"))
    status, answer = await (desk.operator.patiently(asking) if reply is silence else asking)

    assert (status, [one["status"] for one in answer["mended"]]) == (200, told)
    is_taken = told[0] == "RebootRequired"
    assert len(answer["leaks"]) == (0 if is_taken else 2)
    _, audit = await desk.operator.ask("GET", "audit?charge_point=CP%2F1")
    expected = [(f"ChangeConfiguration {one['key']}", one["status"]) for one in answer["mended"]]
    assert [(deed["what"], deed["figures"]["result"]) for deed in reversed(audit["audit"])] == expected
    await desk.unplug()
    assert await desk.operator.post(NAME, "leaks/mend") == OFFLINE


async def test_a_change_that_cannot_be_kept_was_made_all_the_same(
    site: SiteFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The charge point has taken it, and then the ledger fails: 503 that does not say that nothing was changed."""
    desk = OperatorsDesk(await site(call_timeout_s=PATIENCE_S))
    keys = [{"key": "LocalPreAuthorize", "readonly": False, "value": "true"}]
    await desk.plug({"GetConfiguration": result({"configurationKey": keys})})
    await desk.site.advance(PATIENCE_S)
    desk.charge_point.reply = result({"status": "Accepted"})
    handle = desk.site.server.central.handle

    async def fail(command: Any) -> Any:
        if isinstance(command, RecordConfiguration):
            raise CommitError("no space left")
        return await handle(command)

    monkeypatch.setattr(desk.site.server.central, "handle", fail)
    status, told = await desk.operator.post(NAME, "leaks/mend")

    assert desk.charge_point.asked[-1][0] == "ChangeConfiguration"
    assert (status, told["detail"].startswith(f"{NAME} was sent changes")) == (503, True), told
    await desk.unplug()


KEYS: tuple[tuple[Reply, int], ...] = (
    (result({"status": "Rejected"}), 409),
    (result({"status": "NotSupported"}), 409),
    (error("InternalError", "", {}), 409),
    (result({}), 504),
    (result({"status": "Fine"}), 504),
    (silence, 504),
    (HANG_UP, 504),
)


@pytest.mark.parametrize("word", ["Accepted", "RebootRequired"])
async def test_a_key_counts_when_the_charge_point_took_it(site: SiteFactory, word: str) -> None:
    """409: it did not take it, or is not there. 504: nobody knows, and the key is told, or it would be lost."""
    desk = await open_desk(site)
    for reply, expected in KEYS:
        desk.charge_point.reply = reply
        asking = asyncio.ensure_future(desk.operator.post(NAME, "password", {"send": True}))
        status, told = await (desk.operator.patiently(asking) if reply is silence else asking)
        assert (status, "password" in told) == (expected, expected == 504)
        assert not await has_key(desk)
    await desk.unplug()
    status, told = await desk.operator.post(NAME, "password", {"send": True})
    assert (status, told) == OFFLINE
    await desk.plug()
    desk.charge_point.reply = result({"status": word})
    status, told = await desk.operator.post(NAME, "password", {"send": True})

    assert (status, await has_key(desk)) == (200, True)
    sent = {"key": "AuthorizationKey", "value": canonical(told["password"]).hex()}
    assert desk.charge_point.asked == [("ChangeConfiguration", sent)]
    await desk.unplug()


async def has_key(desk: OperatorsDesk) -> bool:
    """Whether the charge point has to show one."""
    _, told = await desk.operator.ask("GET", "charge-points/CP%2F1")
    return bool(told["has_key"])
