"""What an operator asks of charge points over HTTP: told as it is, whatever the charge point does (rules 26 and 27)."""

import asyncio
import json
from typing import Any

import pytest
from operator_of_site import Operator
from raw_charge_point import RawChargePoint
from running_site import RunningSite, SiteFactory, people

from ocpp_server.core.records import NoteKind
from ocpp_server.ocpp16.outgoing import _MOST_WAITING
from ocpp_server.ocpp16.requests import REQUESTS
from simulator import Behaviour

PAYLOADS: dict[str, dict[str, Any]] = {
    "ChangeAvailability": {"connectorId": 1, "type": "Operative"},
    "ChangeConfiguration": {"key": "HeartbeatInterval", "value": "120"},
    "ClearCache": {},
    "Reset": {"type": "Soft"},
    "UnlockConnector": {"connectorId": 1},
    "RemoteStartTransaction": {"idTag": "RFID001", "connectorId": 1},
    "DataTransfer": {"vendorId": "org.example"},
}


async def booted(site: SiteFactory, **options: Any) -> tuple[RunningSite, RawChargePoint, Operator]:
    running = await site(**options)
    charge_point = await running.connect()
    await running.advance(5)
    charge_point.asked.clear()
    return running, charge_point, Operator(running)


def sent(charge_point: RawChargePoint, action: str) -> list[Any]:
    return [payload for name, payload in charge_point.asked if name == action]


async def test_the_answer_of_a_charge_point_is_passed_on(site: SiteFactory) -> None:
    """200 with its own words, also where it says no."""
    running, charge_point, operator = await booted(site)
    usual = {"charge_point": "CP1", "action": "ChangeConfiguration", "fault": "", "error_code": ""}
    usual |= {"error_description": "", "error_details": {}}
    for status in ("Accepted", "Rejected", "NotSupported", "RebootRequired"):
        charge_point.answers["ChangeConfiguration"] = answer = {"status": status}
        told = await operator.command("CP1", "ChangeConfiguration", PAYLOADS["ChangeConfiguration"])
        assert told == (200, usual | {"status": status, "payload": answer})

    assert sent(charge_point, "ChangeConfiguration") == [PAYLOADS["ChangeConfiguration"]] * 4
    notes = running.notes(NoteKind.CALL)
    assert [note.text for note in notes] == ["ChangeConfiguration"] * 4
    assert dict(notes[1].figures) == {"by": "Ann", "result": "Rejected"}


async def test_every_call_reaches_a_simulated_charge_point_that_knows_none(site: SiteFactory) -> None:
    """CALLERROR is an answer: 200 with its code."""
    running = await site()
    behaviour = Behaviour(unsupported_calls=tuple(PAYLOADS))
    async with asyncio.timeout(20):
        charge_point = await running.plug(behaviour=behaviour)
        operator = Operator(running)
        for action, payload in PAYLOADS.items():
            status, told = await operator.command("CP1", action, payload)
            assert (status, told["status"], told["error_code"], told["payload"]) == (
                200,
                "CALLERROR",
                "NotSupported",
                {},
            )
            assert charge_point.received[action]


async def test_a_simulated_charge_point_obeys(site: SiteFactory) -> None:
    """The friendly routes send what their names say."""
    running = await site()
    charge_point = await running.plug()
    operator = Operator(running)
    asked = {
        "unlock": ({"connector_id": 1}, "Unlocked"),
        "availability": ({"type": "Operative"}, "Accepted"),
        "trigger": ({"requested_message": "Heartbeat"}, "Accepted"),
        "reset": (None, "Accepted"),
    }
    for what, (body, expected) in asked.items():
        status, told = await operator.post("CP1", what, body)
        assert (status, told["status"]) == (200, expected), what
    for action in ("UnlockConnector", "ChangeAvailability", "TriggerMessage", "Reset"):
        assert charge_point.received[action]


async def test_an_id_with_a_slash_works(site: SiteFactory) -> None:
    """Percent-encoded in the path."""
    running = await site()
    charge_point = await running.connect("SCHNEIDER/EVlinkProAC")
    charge_point.answers["ClearCache"] = {"status": "Accepted"}
    status, told = await Operator(running).command("SCHNEIDER/EVlinkProAC", "ClearCache")

    assert (status, told["charge_point"], told["status"]) == (200, "SCHNEIDER/EVlinkProAC", "Accepted")


BAD: list[tuple[str, Any, int, str | None]] = [
    ("Reset", {"type": "Warm"}, 422, "type"),
    ("Reset", {}, 422, "type"),
    ("Reset", {"type": "Soft", "extra": 1}, 422, "extra"),
    ("UnlockConnector", {"connectorId": "1"}, 422, "connectorId"),
    ("SetChargingProfile", {"connectorId": 1, "csChargingProfiles": {}}, 422, "csChargingProfiles.chargingProfileId"),
    ("RemoteStartTransaction", {"idTag": "x" * 21}, 422, "idTag"),
    ("UpdateFirmware", {"location": "nowhere", "retrieveDate": "2026-01-01T00:00:00Z"}, 422, "location"),
    ("ChangeConfiguration", {"key": " AUTHORIZATIONKEY ", "value": "00112233445566778899"}, 422, "key"),
    ("BootNotification", {}, 404, None),
    ("reset", {"type": "Soft"}, 404, None),
    ("Nonsense", {}, 404, None),
]


async def test_what_does_not_fit_never_leaves(site: SiteFactory) -> None:
    """422 names the field; a new AuthorizationKey would lock the charge point out of this server."""
    _, charge_point, operator = await booted(site)
    for action, payload, status, field in BAD:
        got, problem = await operator.command("CP1", action, payload)
        assert (got, problem.get("field")) == (status, field), (action, payload)

    assert charge_point.asked == []


async def test_who_is_not_there_is_409_and_who_is_unknown_404(site: SiteFactory) -> None:
    """And nothing was sent."""
    running, charge_point, operator = await booted(site)
    await charge_point.close()
    await running.until(lambda: not running.server.gateway.is_connected("CP1"))

    for what in ("commands/ClearCache", "reset", "disconnect", "leaks/mend"):
        assert (await operator.post("CP1", what))[0] == 409, what
        assert (await operator.post("CP2", what))[0] == 404, what


@pytest.mark.parametrize("is_cut", [False, True], ids=["silent", "disconnects"])
async def test_no_answer_is_504(site: SiteFactory, is_cut: bool) -> None:
    """Nobody knows whether it did it, and that is what is said."""
    running, charge_point, operator = await booted(site)
    charge_point.answers["ClearCache"] = None
    asking = asyncio.ensure_future(operator.command("CP1", "ClearCache"))
    await running.until(lambda: charge_point.asked)
    if is_cut:
        charge_point.drop()
    status, problem = await (asking if is_cut else operator.patiently(asking))

    assert (status, "nobody knows" in problem["detail"]) == (504, True)


async def test_more_calls_than_may_wait_are_429(site: SiteFactory) -> None:
    """One is outstanding, a bounded number waits, the next is refused."""
    running, charge_point, operator = await booted(site)
    charge_point.answers["ClearCache"] = None
    asking = [asyncio.ensure_future(operator.command("CP1", "ClearCache")) for _ in range(_MOST_WAITING + 1)]
    await running.until(lambda: any(one.done() for one in asking))
    charge_point.drop()
    statuses = sorted([(await one)[0] for one in asking])

    assert statuses == [409] * (_MOST_WAITING - 1) + [429, 504]


async def test_an_answer_that_makes_no_sense_is_told(site: SiteFactory) -> None:
    """A word of its own is passed on with what is wrong with it; no status at all is 502."""
    _, charge_point, operator = await booted(site)
    answers: list[tuple[Any, int]] = [({}, 502), ({"status": 7}, 502), ({"status": "offline"}, 502)]
    for answer, status in [*answers, ({"status": "Fine"}, 200)]:
        charge_point.answers["ClearCache"] = answer
        got, told = await operator.command("CP1", "ClearCache")
        assert (got, bool(told["fault" if status == 200 else "detail"])) == (status, True), answer


async def test_no_password_of_a_charge_point_is_shown(site: SiteFactory) -> None:
    """T16: GetConfiguration of some vendors lists that of the Wi-Fi."""
    _, charge_point, operator = await booted(site)
    keys = [
        {"key": "WifiPassword", "readonly": False, "value": "hunter2"},
        {"key": "HeartbeatInterval", "readonly": False, "value": "60"},
    ]
    charge_point.answers["GetConfiguration"] = {"configurationKey": keys}
    status, told = await operator.command("CP1", "GetConfiguration")

    assert (status, [one["value"] for one in told["payload"]["configurationKey"]]) == (200, ["(hidden)", "60"])
    assert "hunter2" not in json.dumps(told)


async def test_a_session_is_started_for_a_user_who_may_charge(site: SiteFactory) -> None:
    """RemoteStartTransaction, and the charge point starts it."""
    _, charge_point, operator = await booted(site)
    charge_point.answers["RemoteStartTransaction"] = {"status": "Accepted"}
    status, told = await operator.post("CP1", "start", {"id_tag": "RFID001", "connector_id": 2})

    assert (status, told["status"]) == (200, "Accepted")
    assert sent(charge_point, "RemoteStartTransaction") == [{"idTag": "RFID001", "connectorId": 2}]


@pytest.mark.parametrize(
    ("users", "tag", "reason"),
    [(people(), "STRANGER", "unknown tag"), (people(RFID001=0), "RFID001", "quota is used up")],
    ids=["unknown", "used up"],
)
async def test_nobody_is_started_who_may_not_charge(site: SiteFactory, users: str, tag: str, reason: str) -> None:
    """409 with the reason, and nothing leaves."""
    _, charge_point, operator = await booted(site, users=users)
    status, problem = await operator.post("CP1", "start", {"id_tag": tag})

    assert (status, problem["reason"]) == (409, reason)
    assert charge_point.asked == []


async def test_leaks_are_listed_and_mended(site: SiteFactory) -> None:
    """From GetConfiguration at boot; what was taken is a leak no more, what was refused still is."""
    running = await site()
    charge_point = RawChargePoint("CP1", running.url, running.clock)
    keys = {"LocalPreAuthorize": "true", "AllowOfflineTxForUnknownId": "true"}
    listed = [{"key": key, "readonly": False, "value": value} for key, value in keys.items()]
    charge_point.answers["GetConfiguration"] = {"configurationKey": listed}
    await charge_point.connect()
    await charge_point.boot()
    operator = Operator(running)
    await running.advance(5)
    status, told = await operator.ask("GET", "charge-points/CP1/leaks")

    assert (status, sorted(one["key"] for one in told["leaks"])) == (200, sorted(keys))
    assert {"key": "LocalPreAuthorize", "value": "false"} in [one["mend"] for one in told["leaks"]]
    status, told = await operator.post("CP1", "leaks/mend")
    assert (status, [one["status"] for one in told["mended"]], told["leaks"]) == (200, ["Accepted"] * 2, [])
    for key in ("localpreauthorize", "LocalPreAuthorize"):  # by hand, too: under the charge point's own name
        assert (await operator.command("CP1", "ChangeConfiguration", {"key": key, "value": "true"}))[0] == 200
        _, told = await operator.ask("GET", "charge-points/CP1/leaks")
        assert [(one["key"], one["value"]) for one in told["leaks"]] == [("LocalPreAuthorize", "true")]
    await charge_point.close()


async def test_a_charge_point_that_is_disconnected_may_come_again(site: SiteFactory) -> None:
    """Closed with a reason; nothing is decided about it."""
    running, charge_point, operator = await booted(site)

    assert await operator.post("CP1", "disconnect") == (200, {"charge_point": "CP1"})
    await charge_point.closed()
    assert charge_point.socket.close_code == 1008
    await running.connect()
    assert running.server.gateway.is_connected("CP1")


def test_the_payloads_are_of_calls_that_exist() -> None:
    """A mistyped name would test nothing."""
    assert PAYLOADS.keys() <= REQUESTS.keys()
