"""Garbage, reconnections and odd addresses on real sockets: the good messages are all answered."""

import json
from typing import Any

import pytest
from raw_charge_point import RawChargePoint
from running_site import SiteFactory
from websockets.exceptions import InvalidStatus

from ocpp_server.core.records import NoteKind
from simulator import EVLINK, GENERIC

GARBAGE: dict[str, str | bytes] = {
    "empty": "",
    "no JSON": "hello",
    "half a frame": '[2,"x1","Heartbeat",{',
    "a number": "42",
    "null": "null",
    "an object": '{"a":1}',
    "an empty list": "[]",
    "only a type": "[2]",
    "unknown type": '[9,"x1","Heartbeat",{}]',
    "no action": '[2,"x1"]',
    "an action that is a number": '[2,"x1",7,{}]',
    "an unknown action": '[2,"x1","MakeCoffee",{}]',
    "a call of the other side": '[2,"x1","RemoteStopTransaction",{"transactionId":1}]',
    "a payload that is a list": '[2,"x1","Heartbeat",[]]',
    "an answer nobody asked for": '[3,"nobody",{}]',
    "an error nobody asked for": '[4,"nobody","InternalError","",{}]',
    "a very long id": json.dumps([2, "x" * 5000, "Heartbeat", {}]),
    "deeply nested": "[" * 5000 + "]" * 5000,
    "a deep payload": '[2,"x1","DataTransfer",' + '{"a":' * 50 + "1" + "}" * 50 + "]",
    "a huge number": '[2,"x1","MeterValues",{"connectorId":1' + "0" * 5000 + "}]",
    "wrong UTF-8 as bytes": b'[2,"x1","DataTransfer",{"vendorId":"\xff\xfe"}]',
    "NUL": "\x00\x00",
    "a megabyte": "x" * 1_000_000,
    "lone surrogates": '[2,"x\\ud800","DataTransfer",{"vendorId":"\\udfff"}]',
    "NaN": '[2,"x1","MeterValues",{"connectorId":1,"meterValue":NaN}]',
}


async def test_garbage_between_good_messages(site: SiteFactory) -> None:
    """Whatever comes, the connection stays and every good message is answered and booked (rule 23)."""
    here = await site()
    raw = await here.connect()
    transaction, _ = await raw.start(meter=0)

    register = 0
    for garbage in GARBAGE.values():
        await raw.send(garbage)
        await here.advance(10)
        register += 10
        assert await raw.meter(transaction, register) == {}
        assert "currentTime" in await raw.call("Heartbeat", {})
    await raw.stop(transaction, register)
    await here.published()

    assert here.usage() == {"RFID001": register / 1000}
    assert here.chargers()["CP1"]["connected"] is True
    assert {frame[0] for frame in raw.strays} <= {3, 4}
    assert here.problems() == []


async def test_a_frame_that_is_none_is_noted_once(site: SiteFactory) -> None:
    """Each kind of unreadable message is kept once, with its begin, however often it comes."""
    here = await site()
    raw = await here.connect()

    for _ in range(19):  # the twentieth within a minute would end the connection
        await raw.send("[2,")
    await raw.call("Heartbeat", {})

    assert len([note for note in here.notes(NoteKind.ODDITY) if "unreadable message" in note.text]) == 1


LONG = "x" * 300
START = {"connectorId": 1, "idTag": "RFID001", "meterStart": 0, "timestamp": "2025-01-15T10:30:00Z"}
SAMPLE = {"timestamp": "2025-01-15T10:30:00Z", "sampledValue": [{"value": "10"}]}
ODD_MESSAGES = [
    ("StartTransaction", START | {"vendorKey": {"deep": [1]}, "reservationId": "none"}),
    ("StartTransaction", START | {"idTag": LONG}),
    ("StartTransaction", START | {"idTag": 12345678, "connectorId": "1", "meterStart": "0"}),
    ("StartTransaction", START | {"timestamp": LONG}),
    ("StartTransaction", START | {"timestamp": 1736937000, "meterStart": 0.5}),
    ("StartTransaction", START | {"idTag": "\u0000\n\ud800"}),
    ("StartTransaction", START | {"connectorId": None, "meterStart": None, "idTag": None}),
    ("StartTransaction", {}),
    ("StopTransaction", {"transactionId": "12", "meterStop": "10", "timestamp": LONG, "reason": LONG, "extra": 1}),
    ("StopTransaction", {"transactionId": 1e300, "meterStop": [], "timestamp": None, "transactionData": "none"}),
    ("StopTransaction", {"transactionId": 1, "meterStop": True, "idTag": LONG, "transactionData": [SAMPLE, 7, None]}),
    ("StopTransaction", {}),
    ("MeterValues", {"connectorId": "1", "transactionId": "7", "meterValue": SAMPLE, "extra": LONG}),
    ("MeterValues", {"connectorId": 1, "meterValue": [SAMPLE | {"sampledValue": {"value": 10}}]}),
    ("MeterValues", {"connectorId": 1, "meterValue": [{"sampledValue": [{"value": LONG, "unit": LONG}]}]}),
    ("MeterValues", {"connectorId": -5, "meterValue": [[], None, "", {"timestamp": {}, "sampledValue": [[]]}]}),
    ("MeterValues", {"connectorId": 1, "meterValue": []}),
    ("MeterValues", {}),
]


@pytest.mark.parametrize(("action", "payload"), ODD_MESSAGES, ids=lambda value: value if isinstance(value, str) else "")
async def test_no_message_with_energy_is_refused(site: SiteFactory, action: str, payload: dict[str, Any]) -> None:
    """Extra keys, over-long strings, numbers as text and text as numbers, nothing at all: a CALLRESULT (rule 23)."""
    here = await site()
    raw = await here.connect()

    answer = await raw.call(action, payload)

    if action == "StartTransaction":
        assert 0 < answer["transactionId"] < 2**31
        assert answer["idTagInfo"]["status"] in ("Accepted", "Invalid")
    await here.published()
    assert here.problems() == []


async def test_the_newest_connection_wins(site: SiteFactory) -> None:
    """Half-open sockets: the second connection is admitted at once, the first is closed, its end touches nothing."""
    here = await site()
    old = await here.connect()
    transaction, _ = await old.start("RFID001", 1000)

    new = await here.connect(boots=False)
    await old.closed()
    await here.advance(60)
    await new.meter(transaction, 1400)
    await here.published()

    assert old.socket.close_code == 1000
    assert here.server.gateway.connected() == {"CP1"}
    charger = here.chargers()["CP1"]
    assert charger["connected"] is True
    assert here.usage() == {"RFID001": 0.4}


async def test_a_lost_link_that_comes_back_goes_on(site: SiteFactory) -> None:
    """Cut hard and dialled again without a boot: the transaction goes on under its id (rule 24, OCPP-J 5.4)."""
    here = await site()
    evlink = await here.plug("CP1", EVLINK)
    session = await evlink.plug_in_and_swipe(1, "RFID001", 10_740)
    await here.advance(120)

    for _ in range(3):
        async with evlink.offline():
            await here.until(lambda: not here.server.gateway.connected())
        await here.advance(60)
    await here.published()
    running = here.active()
    await here.advance(299)
    await evlink.stop()
    await here.published()

    assert list(running) == [str(session.transaction_id)]
    assert evlink.sent["BootNotification"] == 1 + 3  # each new connection is asked for one, once (rule 24)
    assert evlink.sent["StartTransaction"] == 1
    assert here.usage() == {"RFID001": 1.79}
    assert here.problems() == []


async def test_a_restart_of_the_server_goes_on(site: SiteFactory) -> None:
    """The server is away for two minutes of a session: same id, each Wh once (rule 24)."""
    here = await site()
    evlink = await here.plug("CP1", EVLINK)
    session = await evlink.plug_in_and_swipe(1, "RFID001", 10_740)
    await here.advance(240)

    await here.stop()
    await here.advance(120)
    while_down = here.chargers()["CP1"]["total_energy_delivered"]
    await here.start()
    await evlink.drained()
    await here.advance(240)
    await evlink.stop()
    await here.published()

    assert while_down == 0.716
    assert here.usage() == {"RFID001": 1.79}
    assert [row["transaction"] for row in here.sessions()] == [str(session.transaction_id)]
    assert here.problems() == []


@pytest.mark.parametrize("spelling", ["ocpp1.6", "OCPP1.6", "Ocpp1.6", None])
async def test_the_subprotocol_in_any_spelling(site: SiteFactory, spelling: str | None) -> None:
    """Its own spelling is echoed; none at all is OCPP 1.6, too (OCPP-J §3.2)."""
    here = await site()

    raw = await here.connect(subprotocols=[] if spelling is None else ["ocpp2.0.1", spelling], boots=False)

    assert raw.socket.subprotocol == spelling
    assert (await raw.boot())["status"] == "Accepted"


async def test_another_subprotocol_is_refused(site: SiteFactory) -> None:
    """Who speaks only OCPP 2.0.1 gets HTTP 400, and everybody else goes on."""
    here = await site()
    good = await here.connect("CP1")

    with pytest.raises(InvalidStatus) as refusal:
        await RawChargePoint("CP2", here.url, here.clock).connect(subprotocols=["ocpp2.0.1"])

    assert refusal.value.response.status_code == 400
    assert "currentTime" in await good.call("Heartbeat", {})


@pytest.mark.parametrize(
    ("path", "charger_id"),
    [
        ("/CP1", "CP1"),
        ("/CP1/", "CP1"),
        ("//CP1", "CP1"),
        ("/ocpp/CP1", "CP1"),
        ("/ws/ocpp/16/CP1", "CP1"),
        ("/CP%31", "CP1"),
        ("/SCHNEIDER/EVlinkProAC", "SCHNEIDER/EVlinkProAC"),
        ("/SCHNEIDER%2FEVlinkProAC", "SCHNEIDER/EVlinkProAC"),
        ("/ocpp/SCHNEIDER/EVlinkProAC/", "SCHNEIDER/EVlinkProAC"),
        ("/CP1?x=1", "CP1"),
        ("/ocpp?chargePointId=CP1&version=1.6", "CP1"),
    ],
)
async def test_the_forms_of_an_address(site: SiteFactory, path: str, charger_id: str) -> None:
    """One charge point, however its URL is written (OCPP-J §3.1.1)."""
    here = await site()

    await here.connect(path=path)
    await here.published()

    assert here.server.gateway.connected() == {charger_id}
    assert list(here.chargers()) == [charger_id]


@pytest.mark.parametrize(("path", "status"), [("/", 404), ("/ocpp", 404), ("/a/b/c/d", 400), ("/%2e%2e/x", 400)])
async def test_an_address_that_names_nobody_is_refused(site: SiteFactory, path: str, status: int) -> None:
    """No id, too many parts, dots: refused over HTTP, and nothing is stored."""
    here = await site()

    with pytest.raises(InvalidStatus) as refusal:
        await RawChargePoint("CP1", here.url, here.clock).connect(path)
    await here.published()

    assert refusal.value.response.status_code == status
    assert here.chargers() == {}


async def test_a_boot_sets_the_three_keys_once(site: SiteFactory) -> None:
    """GetConfiguration, then only what is not right; the answers are in charger_status.json; never again (27)."""
    here = await site()
    wrong = {
        "MeterValueSampleInterval": "900",
        "MeterValuesSampledData": "Power.Active.Import",
        "WebSocketPingInterval": "0",
    }
    charge_point = await here.plug("CP1", GENERIC, configuration=wrong)
    await here.advance(30)

    await here.restart()
    await here.advance(30)

    right = {
        "MeterValueSampleInterval": "60",
        "MeterValuesSampledData": "Power.Active.Import,Energy.Active.Import.Register",
        "WebSocketPingInterval": "30",
    }
    assert {key: charge_point.configuration[key] for key in right} == right
    shown = here.chargers()["CP1"]["configuration"]
    assert {key: shown[key] for key in right} == right
    assert shown["NumberOfConnectors"] == "1"
    assert charge_point.received["ChangeConfiguration"] == 3


async def test_a_configuration_that_is_right_is_left_alone(site: SiteFactory) -> None:
    """Some charge points crash, loop or end the session: nothing is changed without need (rule 27)."""
    here = await site()

    charge_point = await here.plug("CP1", GENERIC)
    await here.advance(30)

    assert charge_point.received == {"GetConfiguration": 1}


async def test_a_charge_point_that_answers_no_configuration_is_let_be(site: SiteFactory) -> None:
    """No answer to GetConfiguration: asked once after each of three boots, then never again (rule 27)."""
    here = await site()
    raw = await here.connect(boots=False)
    raw.answers["GetConfiguration"] = None

    for _ in range(5):
        assert (await raw.boot())["status"] == "Accepted"
        await here.advance(60)

    assert [action for action, _ in raw.asked] == ["GetConfiguration"] * 3
    assert "currentTime" in await raw.call("Heartbeat", {})
