"""Limits on what a connection may say: how fast it is read, and when it is given up."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from ocpp16_doubles import Charger, Listen, RecordingCentral, open_door
from websockets.exceptions import ConnectionClosed

from ocpp_server.clock import Clock
from ocpp_server.core import commands as cmd
from ocpp_server.core.records import Admission
from ocpp_server.ocpp16 import charge_point as charge_point_module
from ocpp_server.ocpp16 import gateway as gateway_module
from ocpp_server.ocpp16.gateway import Gateway
from ocpp_server.ocpp16.options import GatewayOptions
from ocpp_server.ocpp16.piecemeal import PiecemealSocket

HEARTBEAT = '[2,"%d","Heartbeat",{}]'
RUBBISH = "[5, 1]"


@pytest.fixture
async def slow(central: RecordingCentral) -> AsyncIterator[Charger]:
    """An approved charge point of which 50 messages a second are taken, with pings of 100 ms."""
    options = GatewayOptions(host="127.0.0.1", port=0, max_message_rate=50, ping_interval_s=0.1, ping_timeout_s=0.1)
    gateway = Gateway(central, Clock(), options, open_door())
    async with gateway.listening():
        charger = await Charger.dial(gateway.port)
        yield charger
        await charger.hang_up()


async def test_what_comes_too_fast_waits_and_is_answered(slow: Charger, central: RecordingCentral) -> None:
    """T13: 600 messages at once at 50 a second after a burst of 500: two seconds, none lost, no ping times out."""
    began_at = time.monotonic()
    for number in range(600):
        await slow.send(HEARTBEAT % number)
    answers = [await slow.answer() for _ in range(600)]

    assert [answer[:2] for answer in answers] == [[3, str(number)] for number in range(600)]
    assert time.monotonic() - began_at >= 1.8
    assert len(central.of(cmd.Heartbeat)) == 600
    assert len(central.of(cmd.Connect)) == 1


async def test_a_reconnect_is_no_new_burst(listen: Listen, central: RecordingCentral) -> None:
    """T13: the bucket is the charge point's."""
    gateway = await listen(max_message_rate=50)
    first = await Charger.dial(gateway.port)
    for number in range(500):
        await first.send(HEARTBEAT % number)
    for _ in range(500):
        await first.answer()
    await first.hang_up()

    began_at = time.monotonic()
    second = await Charger.dial(gateway.port)
    for number in range(100):
        await second.send(HEARTBEAT % number)
    for _ in range(100):
        await second.answer()
    took_s = time.monotonic() - began_at
    await second.hang_up()
    assert took_s >= 0.5


@pytest.mark.parametrize("admission", [Admission.PENDING, Admission.APPROVED])
async def test_only_a_flood_of_a_pending_charge_point_ends_with_1008(
    listen: Listen, monkeypatch: pytest.MonkeyPatch, admission: Admission
) -> None:
    """T13: an approved one is slowed down as long as it likes."""
    monkeypatch.setattr("ocpp_server.ocpp16.message_rate.LONGEST_FLOOD_S", 0.5)
    monkeypatch.setattr("ocpp_server.ocpp16.message_rate.BURST_S", 0.1)
    gateway = await listen(max_message_rate=100)
    charger = await Charger.dial(gateway.port)
    await charger.ask("Heartbeat", {})
    connection = gateway.connection("CP1")
    assert connection is not None
    connection.admission = admission
    try:
        for number in range(150 if admission is Admission.APPROVED else 1000):
            await charger.send(HEARTBEAT % number)
    except ConnectionClosed:
        pass

    if admission is Admission.PENDING:
        assert await charger.closed() == 1008
    else:
        for _ in range(150):
            assert (await charger.answer())[0] == 3
    await charger.hang_up()


async def test_a_slowed_charge_point_can_be_replaced_and_the_server_can_stop(listen: Listen) -> None:
    """T13: nobody waits for a message that waits."""
    gateway = await listen(max_message_rate=0.1)
    first = await Charger.dial(gateway.port)
    for number in range(30):
        await first.send(HEARTBEAT % number)
    await first.answer()
    second = await Charger.dial(gateway.port)
    assert await first.closed() == 1000
    await second.send(HEARTBEAT % 1)
    began_at = time.monotonic()
    await gateway._stop([gateway._plain] if gateway._plain else [])

    assert time.monotonic() - began_at < 4
    assert await second.closed() == 1012


async def test_twenty_unreadable_messages_in_a_minute_end_the_line(
    listen: Listen, caplog: pytest.LogCaptureFixture
) -> None:
    """T9: 1008, also for an approved charge point; each that can be answered is answered first."""
    gateway = await listen()
    charger = await Charger.dial(gateway.port)
    for number in range(19):
        await charger.send(f'[2,"m{number}",{{}}]')
    for number in range(19):
        assert (await charger.answer())[:3] == [4, f"m{number}", "FormationViolation"]
    assert (await charger.ask("Heartbeat", {}))[0] == 3
    await charger.send('[2,"last",{}]')

    assert (await charger.answer())[:2] == [4, "last"]
    assert await charger.closed() == 1008
    assert "20 unreadable messages within a minute" in caplog.text


async def test_unreadable_messages_now_and_then_are_borne(listen: Listen, monkeypatch: pytest.MonkeyPatch) -> None:
    """T9: 20 in more than a minute end nothing, nor do any number of binary frames that can be read."""
    monkeypatch.setattr(charge_point_module, "_UNREADABLE_WITHIN_S", 0.0)
    gateway = await listen()
    charger = await Charger.dial(gateway.port)
    for _ in range(50):
        await charger.send(RUBBISH)
        await charger.socket.send((HEARTBEAT % 1).encode())
        assert (await charger.answer())[0] == 3

    assert gateway.is_connected("CP1")
    await charger.hang_up()


async def test_without_pings_a_silent_line_is_given_up(
    listen: Listen, monkeypatch: pytest.MonkeyPatch, central: RecordingCentral
) -> None:
    """T3, section (d): after three heartbeat intervals without a byte; messages and the charge point's pings count."""
    monkeypatch.setattr(gateway_module, "_UNHEARD_HEARTBEATS", 0.6)
    gateway = await listen(heartbeat_interval_s=1, ping_of=lambda one: one == "PINGED")
    dead, talking, pinging, pinged = [
        await Charger.dial(gateway.port, f"/{one}") for one in ("DEAD", "TALKING", "PINGING", "PINGED")
    ]
    for _ in range(10):
        await asyncio.sleep(0.15)
        await talking.ask("Heartbeat", {})
        await pinging.socket.ping()

    assert gateway.connected() == {"TALKING", "PINGING", "PINGED"}
    assert [one.charge_point_id for one in central.of(cmd.Disconnect)] == ["DEAD"]
    assert await dead.closed() == 1006
    for one in (talking, pinging, pinged):
        await one.hang_up()


def _masked(opcode: int, payload: bytes) -> bytes:
    """A frame of a client, with a mask of zeros; payload below 126 bytes."""
    return bytes((0x80 | opcode, 0x80 | len(payload), 0, 0, 0, 0)) + payload


async def test_a_volley_of_small_messages_does_not_fill_the_memory(listen: Listen, central: RecordingCentral) -> None:
    """T13: of 20,000 messages in one write few are taken from the line before they are handled; all are answered."""
    gateway = await listen()
    charger = await Charger.dial(gateway.port)
    held = central.hold(cmd.Heartbeat)
    volley = b"".join(_masked(1, (HEARTBEAT % number).encode()) for number in range(20_000))
    charger.socket.transport.write(volley)
    await central.until(lambda: central.of(cmd.Heartbeat))
    connection = gateway.connection("CP1")
    assert connection is not None
    waiting = len(connection._socket.recv_messages.frames)
    held.set()
    answers = [(await charger.answer())[1] for _ in range(20_000)]

    assert waiting < 500
    assert answers == [str(number) for number in range(20_000)]
    await charger.hang_up()


async def test_a_flood_of_pings_makes_nobody_wait(listen: Listen) -> None:
    """T13: of 30,000 in one write some hundreds a second are answered, the others wait."""
    gateway = await listen()
    flooding, honest = await Charger.dial(gateway.port, "/FLOOD"), await Charger.dial(gateway.port, "/HONEST")
    pings = _masked(9, b"") * 100
    flooding.socket.transport.write(pings * 300)
    for _ in range(20):
        assert (await honest.ask("Heartbeat", {}))[0] == 3
    connection = gateway.connection("FLOOD")
    assert connection is not None
    socket = connection._socket
    assert isinstance(socket, PiecemealSocket)
    assert socket._held
    assert socket._resting is not None

    flooding.socket.transport.abort()
    await honest.hang_up()


async def test_what_came_before_the_line_was_cut_is_handled(listen: Listen, central: RecordingCentral) -> None:
    """As it is read in pieces: also what we held back when the other side went away."""
    gateway = await listen()
    charger = await Charger.dial(gateway.port)
    held = central.hold(cmd.Heartbeat)
    charger.socket.transport.write(b"".join(_masked(1, (HEARTBEAT % number).encode()) for number in range(400)))
    await central.until(lambda: central.of(cmd.Heartbeat))
    charger.socket.transport.close()
    held.set()
    await central.until(lambda: central.of(cmd.Disconnect))

    assert len(central.of(cmd.Heartbeat)) == 400
