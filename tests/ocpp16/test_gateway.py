"""Admission, subprotocols, who owns an id, and how the gateway ends."""

import asyncio
import logging
import socket
from typing import Any

import pytest
from ocpp16_doubles import LIMIT_S, Charger, Dial, Listen, RecordingCentral, open_door
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from ocpp_server.clock import Clock
from ocpp_server.core import commands as cmd
from ocpp_server.ocpp16.gateway import Gateway
from ocpp_server.ocpp16.options import GatewayOptions

METER_VALUES: dict[str, Any] = {"connectorId": 1, "meterValue": []}


async def refusal(port: int, path: str, subprotocols: list[str] | None = None) -> tuple[int, str]:
    """HTTP status and body of a handshake that is refused."""
    with pytest.raises(InvalidStatus) as refused:
        await connect(f"ws://127.0.0.1:{port}{path}", subprotocols=subprotocols)  # type: ignore[arg-type]
    body = refused.value.response.body
    return refused.value.response.status_code, (body or b"").decode()


@pytest.mark.parametrize(
    ("path", "charge_point_id"),
    [
        ("/CP1", "CP1"),
        ("//CP1/", "CP1"),
        ("/SCHNEIDER/EVlinkProAC", "SCHNEIDER/EVlinkProAC"),
        ("/SCHNEIDER%2FEVlinkProAC", "SCHNEIDER/EVlinkProAC"),
        ("/ws/ocpp/16/CP1", "CP1"),
        ("/ocpp/CP1", "CP1"),
        ("/ocpp?chargePointId=CP1&version=1.6", "CP1"),
    ],
)
async def test_a_charge_point_is_known_by_its_path(
    dial: Dial, gateway: Gateway, central: RecordingCentral, path: str, charge_point_id: str
) -> None:
    """OCPP-J §3.1.1; Connect is committed before the first message is handled."""
    charger = await dial(path)
    await charger.ask("Heartbeat", {})

    assert gateway.connected() == {charge_point_id}
    assert gateway.is_connected(charge_point_id)
    assert [(type(one).__name__, one.charge_point_id) for one in central.commands] == [
        ("Connect", charge_point_id),
        ("Heartbeat", charge_point_id),
    ]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 404),
        ("/ocpp", 404),
        ("/a/b/c/d", 400),
        ("/a%2F..%2Fetc", 400),
        ("/ocpp?chargePointId=CP1&version=2.0.1", 400),
    ],
)
async def test_a_path_without_an_id_is_refused_over_http(gateway: Gateway, path: str, status: int) -> None:
    """OCPP-J §3.2, T15: the body says what was expected."""
    code, body = await refusal(gateway.port, path, ["ocpp1.6"])

    assert code == status
    assert "expected" in body


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (("ocpp1.6",), "ocpp1.6"),
        (("OCPP1.6",), "OCPP1.6"),
        (("ocpp2.0.1", "ocpp1.6"), "ocpp1.6"),
        (("ocpp1.6", "ocpp1.5"), "ocpp1.6"),
        ((), None),
    ],
)
async def test_ocpp_1_6_is_chosen_in_the_spelling_of_the_client(
    dial: Dial, offered: tuple[str, ...], chosen: str | None
) -> None:
    """OCPP-J §3.1.2, OCTT TC_088; FoxESS offers several, Grizzl-E none."""
    charger = await dial("/CP1", subprotocols=offered)

    assert charger.socket.subprotocol == chosen
    assert (await charger.ask("Heartbeat", {}))[0] == 3


async def test_nothing_is_compressed(gateway: Gateway) -> None:
    """OCPP-J §5.1; it would cost 26 % of CPU time and three times the memory per connection."""
    async with connect(f"ws://127.0.0.1:{gateway.port}/CP1", compression="deflate") as client:
        assert client.response is not None
        assert "Sec-WebSocket-Extensions" not in client.response.headers


@pytest.mark.parametrize("offered", [["ocpp2.0.1"], ["ocpp1.5", "mqtt"]])
async def test_other_versions_alone_are_refused(
    gateway: Gateway, central: RecordingCentral, offered: list[str]
) -> None:
    """OCTT TC_088: no WebSocket for a version that is not served."""
    code, body = await refusal(gateway.port, "/CP1", offered)

    assert code == 400
    assert "ocpp1.6" in body
    assert not central.commands


async def test_a_missing_subprotocol_can_be_refused(listen: Listen) -> None:
    """The setting allow_missing_subprotocol."""
    gateway = await listen(allow_missing_subprotocol=False)
    code, _ = await refusal(gateway.port, "/CP1")

    assert code == 400


async def test_nobody_is_admitted_while_nothing_can_be_stored(listen: Listen) -> None:
    """Faults, point 3: 503, and charge points queue (OCPP 1.6 §3.7)."""
    gateway = await listen(is_storable=lambda: False)
    code, body = await refusal(gateway.port, "/CP1", ["ocpp1.6"])

    assert code == 503
    assert "later" in body


async def test_pings_can_be_switched_off_for_one_charge_point(listen: Listen, central: RecordingCentral) -> None:
    """EN+ and Phoenix never answer a ping."""
    gateway = await listen(ping_interval_s=0.02, ping_timeout_s=0.05, ping_of=lambda one: one != "QUIET")
    pinged, quiet = await Charger.dial(gateway.port, "/CP1"), await Charger.dial(gateway.port, "/QUIET")
    for charger in (pinged, quiet):
        charger.socket.transport.pause_reading()
    await central.until(lambda: central.of(cmd.Disconnect))

    assert gateway.connected() == {"QUIET"}
    for charger in (pinged, quiet):
        charger.socket.transport.abort()


async def test_a_big_frame_is_too_big(listen: Listen) -> None:
    """T10: 1009 beyond the limit."""
    gateway = await listen(max_message_bytes=1000)
    charger = await Charger.dial(gateway.port)
    await charger.send("x" * 2000)

    assert await charger.closed() == 1009


async def test_the_newest_connection_wins(dial: Dial, gateway: Gateway, central: RecordingCentral) -> None:
    """Mobile links open a new socket before the old one closed: commands go to the newest, the old one is closed."""
    old = await dial()
    await old.ask("Heartbeat", {})
    new = await dial()
    await new.ask("Heartbeat", {})

    assert await old.closed() == 1000
    assert (await new.ask("Heartbeat", {}))[0] == 3
    assert gateway.is_connected("CP1")
    assert central.kinds == ["Connect", "Heartbeat", "Connect", "Heartbeat", "Heartbeat"]
    await new.hang_up()
    await central.until(lambda: central.of(cmd.Disconnect))
    assert len(central.of(cmd.Disconnect)) == 1
    assert not gateway.is_connected("CP1")


@pytest.mark.parametrize("is_more_waiting", [False, True])
async def test_the_late_end_of_the_old_connection_touches_nothing(
    dial: Dial, gateway: Gateway, central: RecordingCentral, is_more_waiting: bool
) -> None:
    """voltbras/ts-ocpp#19: handling a message when the new owner comes, it ends later, and unregisters nobody."""
    committed = central.hold(cmd.MeterValues)
    old = await dial()
    await old.send([2, "a", "MeterValues", METER_VALUES])
    if is_more_waiting:
        await old.send([2, "b", "Heartbeat", {}])
    await central.until(lambda: central.of(cmd.MeterValues))
    new = await dial()
    await new.ask("Authorize", {"idTag": "RFID001"})
    committed.set()

    assert (await old.answer())[:2] == [3, "a"]
    assert await old.closed() == 1000
    assert (await new.ask("Authorize", {"idTag": "RFID001"}))[0] == 3
    assert gateway.is_connected("CP1")
    assert not central.of(cmd.Disconnect)
    assert not central.of(cmd.Heartbeat)


async def test_a_peer_that_is_gone_does_not_hold_up_its_successor(dial: Dial, central: RecordingCentral) -> None:
    """T3: a half-open connection is replaced at once, whatever becomes of its close handshake."""
    old = await dial()
    await old.ask("Heartbeat", {})
    old.socket.transport.pause_reading()
    async with asyncio.timeout(1):
        new = await dial()
        await new.ask("Heartbeat", {})
    old.socket.transport.abort()


async def test_many_take_overs_leave_one_owner(gateway: Gateway, central: RecordingCentral) -> None:
    """T2: whatever the order of ends, exactly the last one is left, and one Disconnect is told at the end."""
    chargers = [await Charger.dial(gateway.port) for _ in range(7)]
    for charger in chargers[:-1]:
        assert await charger.closed() == 1000
    assert (await chargers[-1].ask("Heartbeat", {}))[0] == 3
    assert not central.of(cmd.Disconnect)
    await chargers[-1].hang_up()
    await central.until(lambda: central.of(cmd.Disconnect))

    assert len(central.of(cmd.Connect)) == 7
    assert gateway.connected() == frozenset()


async def test_a_stop_lets_the_running_message_finish(central: RecordingCentral) -> None:
    """F1: stop accepting, commit what is being handled, answer it, close with 1012."""
    gateway = Gateway(central, Clock(), GatewayOptions(host="127.0.0.1", port=0), open_door())
    listening, stop = asyncio.Event(), asyncio.Event()

    async def serve() -> None:
        async with gateway.listening():
            listening.set()
            await stop.wait()

    serving = asyncio.create_task(serve())
    async with asyncio.timeout(LIMIT_S):
        await listening.wait()
    port = gateway.port
    busy, idle = await Charger.dial(port, "/BUSY"), await Charger.dial(port, "/IDLE")
    committed = central.hold(cmd.MeterValues)
    await busy.send([2, "a", "MeterValues", METER_VALUES])
    await busy.send([2, "b", "Heartbeat", {}])
    await central.until(lambda: central.of(cmd.MeterValues))
    stop.set()
    assert await idle.closed() == 1012
    with pytest.raises(OSError, match="Connect call failed"):
        await Charger.dial(port, "/LATE")
    committed.set()

    assert (await busy.answer())[:2] == [3, "a"]
    assert await busy.closed() == 1012
    async with asyncio.timeout(LIMIT_S):
        await serving
    assert not central.of(cmd.Heartbeat)
    assert len(central.of(cmd.Disconnect)) == 2


async def test_a_stop_does_not_wait_for_ever(central: RecordingCentral, monkeypatch: pytest.MonkeyPatch) -> None:
    """F1: out within a few seconds, also with a commit that hangs; that message was never answered."""
    monkeypatch.setattr("ocpp_server.ocpp16.gateway._LONGEST_STOP_S", 0.1)
    gateway = Gateway(central, Clock(), GatewayOptions(host="127.0.0.1", port=0), open_door())
    async with gateway.listening():
        charger = await Charger.dial(gateway.port)
        committed = central.hold(cmd.MeterValues)
        await charger.send([2, "a", "MeterValues", METER_VALUES])
        await central.until(lambda: central.of(cmd.MeterValues))

    assert await charger.closed() == 1006
    assert charger.answers.empty()
    committed.set()
    await central.until(lambda: central.of(cmd.Disconnect))


def test_there_is_no_port_before_it_listens(central: RecordingCentral) -> None:
    """Asking too early is a mistake of the caller."""
    gateway = Gateway(central, Clock(), GatewayOptions(), open_door())
    with pytest.raises(RuntimeError, match="not listening"):
        _ = gateway.port


async def test_a_port_in_use_is_told(central: RecordingCentral) -> None:
    """The caller makes a sentence of the OSError."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        gateway = Gateway(central, Clock(), GatewayOptions(host="127.0.0.1", port=taken.getsockname()[1]), open_door())
        with pytest.raises(OSError, match="address"):
            await gateway.serve(asyncio.Event())


async def test_connects_are_logged_once_and_nothing_of_theirs_raw(
    gateway: Gateway, caplog: pytest.LogCaptureFixture, central: RecordingCentral
) -> None:
    """T16: events with fields; no message at INFO, no query, no control character."""
    caplog.set_level(logging.INFO)
    charger = await Charger.dial(gateway.port, "/ocpp?chargePointId=CP1&password=canary")
    await charger.ask("Authorize", {"idTag": "CANARYTAG"})
    await charger.ask("StatusNotification", {"connectorId": 1, "status": "x\n[CONNECT] forged"})
    await charger.hang_up()
    await central.until(lambda: central.of(cmd.Disconnect))
    for _ in range(3):
        await refusal(gateway.port, "/a%0ab?password=canary", ["ocpp1.6"])

    lines = [record.getMessage() for record in caplog.records if record.name.startswith("ocpp_server")]
    assert [line.split(" charge_point")[0].split(" address")[0] for line in lines] == [
        "[CONNECT] connected",
        "[CONNECT] disconnected",
        "[CONNECT] refused",
    ]
    assert all(line.isprintable() for line in lines)
    assert "canary" not in caplog.text.casefold()
