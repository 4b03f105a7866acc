"""Who speaks for a charge point, in every order of events: the rule itself, then the gateway on real sockets.

Addresses of the loopback (127.0.0.1, 127.0.0.2, …) stand for the addresses of different machines.
"""

import asyncio
import base64
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest
from canaries import CANARY_KEY
from ocpp16_doubles import LIMIT_S, Charger, Listen, RecordingCentral
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidMessage, InvalidStatus
from websockets.frames import Opcode

from ocpp_server.authorization_key import hash_key
from ocpp_server.clock import Clock
from ocpp_server.core import commands as cmd
from ocpp_server.core.admission import TurnedAway
from ocpp_server.core.records import ChargePoint
from ocpp_server.core.security_events import HELD_DOWN, TAKEN_OVER
from ocpp_server.core.site import Policy, Site
from ocpp_server.ocpp16 import owners as owners_module
from ocpp_server.ocpp16.charge_point import ChargePointConnection
from ocpp_server.ocpp16.doorkeeper import Doorkeeper
from ocpp_server.ocpp16.gateway import Gateway
from ocpp_server.ocpp16.key_checker import KeyChecker
from ocpp_server.ocpp16.options import GatewayOptions
from ocpp_server.ocpp16.owners import CHANGES_WITHIN_S, HELD_FOR_S, MOST_CHANGES, Claim, Newcomer, Owners

HOME, AWAY, ELSEWHERE = "127.0.0.1", "127.0.0.2", "127.0.0.3"
KEY = CANARY_KEY
METER_VALUES: dict[str, Any] = {"connectorId": 1, "meterValue": []}


# --- The rule, without sockets


@dataclass
class StandIn:
    """A connection of which the rule knows the address, whether it is pinged, and whether it lives."""

    charge_point_id: str = "CP1"
    address: str = HOME
    is_pinged: bool = True
    lives: bool = True
    asked: int = 0

    async def is_alive(self, within_s: float) -> bool:
        """As told."""
        assert within_s == owners_module.PROBE_S
        self.asked += 1
        return self.lives


class Rule:
    """Owners whose clock the test turns, and newcomers that come one after the other."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.owners = Owners(lambda: self.now)
        self._number = 0

    def newcomer(self, address: str = HOME, *, is_proven: bool = False, charge_point_id: str = "CP1") -> Newcomer:
        self._number += 1
        return Newcomer(charge_point_id, address, self._number, is_proven)

    def put(self, connection: StandIn, claim: Claim) -> list[str]:
        """Events that are to be told."""
        return [event for event, _ in self.owners.put(cast("ChargePointConnection", connection), claim)]

    async def comes(self, connection: StandIn, *, is_proven: bool = False) -> list[str] | int:
        """Let a connection try to become the owner: the events to be told, or the status it is turned away with."""
        newcomer = self.newcomer(connection.address, is_proven=is_proven, charge_point_id=connection.charge_point_id)
        claim = await self.owners.challenge(newcomer)
        return claim.status if isinstance(claim, TurnedAway) else self.put(connection, claim)

    async def fight(self, changes: int = MOST_CHANGES + 1) -> list[str]:
        """So many changes of the owner at one address; the events of the last."""
        events: list[str] | int = []
        for _ in range(changes):
            events = await self.comes(StandIn())
        assert isinstance(events, list)
        return events

    @property
    def owner(self) -> object:
        return self.owners.get("CP1")


@pytest.mark.parametrize(
    ("lives", "address", "is_proven", "outcome", "asked"),
    [
        (True, HOME, False, [], 0),
        (True, HOME, True, [], 0),
        (False, HOME, False, [], 0),
        (False, AWAY, False, [], 1),
        (False, AWAY, True, [], 1),
        (True, AWAY, True, [TAKEN_OVER], 1),
        (True, AWAY, False, 409, 1),
    ],
)
async def test_who_may_replace_whom(
    lives: bool, address: str, is_proven: bool, outcome: list[str] | int, asked: int
) -> None:
    """T2, T3: same address at once, dead after a ping, alive elsewhere only by a proof, which is told."""
    rule, owner, newcomer = Rule(), StandIn(lives=lives), StandIn(address=address)
    await rule.comes(owner)

    assert await rule.comes(newcomer, is_proven=is_proven) == outcome
    assert rule.owner is (owner if outcome == 409 else newcomer)
    assert owner.asked == asked


async def test_one_too_many_changes_begin_a_hold_down_that_is_told_once() -> None:
    """More than 6 changes in 10 minutes: whoever lives keeps the id for a minute, also against the right key."""
    rule = Rule()
    await rule.comes(StandIn())

    assert await rule.fight(MOST_CHANGES) == []
    assert await rule.fight(1) == [HELD_DOWN]
    assert await rule.comes(StandIn()) == 409
    assert await rule.comes(StandIn(address=AWAY), is_proven=True) == 409
    rule.now += HELD_FOR_S - 0.1
    assert await rule.comes(StandIn()) == 409
    rule.now += 0.1
    assert await rule.comes(StandIn()) == [HELD_DOWN]  # the fight goes on, and begins the next one


async def test_changes_that_are_spread_out_are_no_fight() -> None:
    """A charge point that reconnects each two minutes has a bad line, and nobody fights for its id."""
    rule = Rule()
    for _ in range(50):
        rule.now += CHANGES_WITHIN_S / MOST_CHANGES + 1
        assert await rule.comes(StandIn()) == []


async def test_a_hold_down_never_keeps_a_dead_connection() -> None:
    """T3: a charge point on a bad line leaves half-open connections behind, and is let in each time."""
    rule = Rule()
    for _ in range(50):
        assert isinstance(await rule.comes(StandIn(lives=False)), list)


async def test_a_hold_down_locks_out_no_charge_point_that_is_never_pinged() -> None:
    """With ping=off nobody can tell a half-open line from a living one: its own address goes on replacing it."""
    rule = Rule()
    for _ in range(50):
        assert isinstance(await rule.comes(StandIn(is_pinged=False)), list)

    assert await rule.comes(StandIn(address=AWAY), is_proven=True) == 409


async def test_a_hold_down_is_of_one_charge_point() -> None:
    """A fight for one id is nothing to the others."""
    rule = Rule()
    await rule.fight(MOST_CHANGES + 2)

    assert await rule.comes(StandIn()) == 409
    for _ in range(MOST_CHANGES):
        assert await rule.comes(StandIn("CP2")) == []


async def test_nobody_is_held_off_where_there_is_no_owner() -> None:
    """In a hold-down, too: the owner hung up."""
    rule, last = Rule(), StandIn()
    await rule.fight()
    await rule.comes(StandIn())
    rule.now += HELD_FOR_S
    await rule.comes(last)

    assert rule.owners.remove(cast("ChargePointConnection", last))
    assert rule.owner is None
    assert await rule.comes(StandIn(address=AWAY)) == []


@pytest.mark.parametrize(("lives", "is_proven"), [(True, False), (True, True), (False, False), (False, True)])
async def test_a_newcomer_that_was_overtaken_replaces_only_the_dead(lives: bool, is_proven: bool) -> None:
    """While its key was hashed or its predecessor probed, its charge point gave it up and opened another one."""
    rule, later = Rule(), StandIn(lives=lives)
    overtaken = rule.newcomer(HOME, is_proven=is_proven)
    await rule.comes(later, is_proven=is_proven)

    claim = await rule.owners.challenge(overtaken)
    assert isinstance(claim, TurnedAway) is lives


async def test_a_claim_holds_against_its_own_owner_and_against_nobody() -> None:
    """Two newcomers, one dead owner: whoever comes second has to ask again."""
    rule, dead = Rule(), StandIn(lives=False)
    await rule.comes(dead)
    first, second = [await rule.owners.challenge(rule.newcomer(address)) for address in (AWAY, ELSEWHERE)]
    assert isinstance(first, Claim)
    assert isinstance(second, Claim)

    assert rule.owners.is_good(first)
    winner = StandIn(address=AWAY)
    rule.put(winner, first)
    assert not rule.owners.is_good(second)
    rule.owners.remove(cast("ChargePointConnection", winner))
    assert rule.owners.is_good(second)


async def test_who_lost_the_id_takes_nothing_with_it() -> None:
    """voltbras/ts-ocpp#19: the end of a loser is not the end of the winner."""
    rule, loser, winner = Rule(), StandIn(), StandIn()
    await rule.comes(loser)
    await rule.comes(winner)

    assert not rule.owners.remove(cast("ChargePointConnection", loser))
    assert rule.owner is winner
    assert (len(rule.owners), list(rule.owners)) == (1, ["CP1"])


async def test_what_is_remembered_of_changes_is_bounded() -> None:
    """T26: ids without number leave no memory behind."""
    rule = Rule()
    for number in range(5000):
        for _ in range(2):
            await rule.comes(StandIn(f"CP{number}"))

    assert len(rule.owners._changed_at) <= 1024


# --- The gateway, on real sockets


class CountingClient(ClientConnection):
    """Counts the pings that come."""

    pings = 0

    def process_event(self, event: Any) -> None:
        """Let a frame be processed."""
        if getattr(event, "opcode", None) is Opcode.PING:
            self.pings += 1
        super().process_event(event)


Call_ = Callable[..., Awaitable[Charger]]


@pytest.fixture
async def call_from(gateway: Gateway) -> AsyncIterator[Call_]:
    """Give a function that connects a charge point from an address, with a key if one is given."""
    chargers: list[Charger] = []

    async def come(address: str = HOME, *, key: str = "", port: int = 0, path: str = "/CP1") -> Charger:
        credentials = base64.b64encode(f"CP1:{key}".encode()).decode()
        client = await connect(
            f"ws://127.0.0.1:{port or gateway.port}{path}",
            subprotocols=["ocpp1.6"],  # type: ignore[list-item]
            compression=None,
            ping_interval=None,
            local_addr=(address, 0),
            additional_headers={"Authorization": f"Basic {credentials}"} if key else None,
            create_connection=CountingClient,
            close_timeout=1,
        )
        chargers.append(Charger(client))
        return chargers[-1]

    yield come
    for charger in chargers:
        charger.socket.transport.abort()
        await charger.hang_up()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> asyncio.Queue[ChargePointConnection]:
    """The connections that are asked whether they live, as they are asked."""
    queue: asyncio.Queue[ChargePointConnection] = asyncio.Queue()
    is_alive = ChargePointConnection.is_alive

    async def noted(connection: ChargePointConnection, within_s: float) -> bool:
        queue.put_nowait(connection)
        return await is_alive(connection, within_s)

    monkeypatch.setattr(ChargePointConnection, "is_alive", noted)
    return queue


def probe_for(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Short where the dead are found, long where the living must have time to answer on a loaded machine."""
    monkeypatch.setattr(owners_module, "PROBE_S", seconds)


async def until(claim: Callable[[], object]) -> None:
    """Return once the claim is true."""
    async with asyncio.timeout(LIMIT_S):
        while not claim():  # noqa: ASYNC110 - about sockets, and those tell nobody
            await asyncio.sleep(0.005)


def go_deaf(charger: Charger) -> None:
    """What is sent to it arrives at its machine, and is not read: no pong, no closing handshake."""
    charger.socket.transport.pause_reading()


def pings_of(charger: Charger) -> int:
    assert isinstance(charger.socket, CountingClient)
    return charger.socket.pings


async def is_served(charger: Charger) -> bool:
    return (await charger.ask("Heartbeat", {}))[0] == 3


async def status_of(coming: Awaitable[Charger]) -> int:
    """HTTP status of a handshake that is refused."""
    with pytest.raises(InvalidStatus) as refused:
        await coming
    return refused.value.response.status_code


async def only_one_is_left(gateway: Gateway, of: int = 1) -> None:
    """Every other connection has come to its end on the server's side, too."""
    assert gateway._plain is not None
    tasks = gateway._plain.handler_tasks
    await until(lambda: len(tasks) <= of)
    gc.collect()


async def test_a_living_owner_elsewhere_is_not_replaced(
    call_from: Call_, gateway: Gateway, central: RecordingCentral, caplog: pytest.LogCaptureFixture
) -> None:
    """T2: HTTP 409, and the log says where the id is connected from."""
    old = await call_from(HOME)
    assert await is_served(old)

    assert await status_of(call_from(AWAY)) == 409
    assert await is_served(old)
    assert len(central.of(cmd.Connect)) == 1
    assert pings_of(old) == 1
    assert f"CP1 is connected from {HOME}, and that connection is alive" in caplog.text


async def test_a_dead_owner_is_replaced_from_elsewhere_after_a_probe(
    call_from: Call_, gateway: Gateway, central: RecordingCentral, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T3: a router gave the charge point another address; the server still has the old connection."""
    probe_for(monkeypatch, 0.2)
    old = await call_from(HOME)
    assert await is_served(old)
    go_deaf(old)
    new = await call_from(AWAY)

    assert await is_served(new)
    assert not central.of(cmd.Disconnect)
    assert not central.of(cmd.SecurityEvent)


async def test_of_two_newcomers_one_replaces_the_dead_owner(
    call_from: Call_,
    gateway: Gateway,
    central: RecordingCentral,
    asked: asyncio.Queue[ChargePointConnection],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both find it dead; the second to come in finds the first, which is alive."""
    probe_for(monkeypatch, 0.3)
    old = await call_from(HOME)
    assert await is_served(old)
    go_deaf(old)
    coming = [asyncio.ensure_future(call_from(address)) for address in (AWAY, ELSEWHERE)]
    for _ in coming:
        await asked.get()
    probe_for(monkeypatch, LIMIT_S)
    both = await asyncio.gather(*coming)

    loser = next(iter(await first_closed(both)))
    winner = next(one for one in both if one is not loser)
    assert loser.socket.close_code == 1008
    assert await is_served(winner)
    assert len(central.of(cmd.Connect)) == 2
    assert not central.of(cmd.Disconnect)


async def first_closed(chargers: list[Charger]) -> list[Charger]:
    """Those that are closed, once there is one."""
    await until(lambda: any(one.socket.close_code for one in chargers))
    return [one for one in chargers if one.socket.close_code]


@pytest.mark.parametrize("end", ["hangs up", "breaks"])
async def test_an_owner_that_ends_during_its_probe_is_followed_by_the_newcomer(
    call_from: Call_,
    gateway: Gateway,
    asked: asyncio.Queue[ChargePointConnection],
    monkeypatch: pytest.MonkeyPatch,
    end: str,
) -> None:
    """Its end answers the question; nobody waits for the rest of the probe."""
    probe_for(monkeypatch, 60.0)
    old = await call_from(HOME)
    assert await is_served(old)
    go_deaf(old)
    coming = asyncio.ensure_future(call_from(AWAY))
    await asked.get()
    if end == "hangs up":
        old.socket.transport.write_eof()
    else:
        old.socket.transport.abort()

    async with asyncio.timeout(LIMIT_S):
        assert await is_served(await coming)


async def test_a_newcomer_that_vanishes_during_the_probe_leaves_nothing_behind(
    call_from: Call_,
    gateway: Gateway,
    central: RecordingCentral,
    asked: asyncio.Queue[ChargePointConnection],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The owner stays, though it was found dead; no visit, no task, no claim is left."""
    probe_for(monkeypatch, 0.3)
    old = await call_from(HOME)
    assert await is_served(old)
    owner = gateway.connection("CP1")
    go_deaf(old)
    coming = asyncio.ensure_future(call_from(AWAY))
    await asked.get()
    coming.cancel()
    with pytest.raises(asyncio.CancelledError):
        await coming
    await only_one_is_left(gateway)

    assert gateway.connection("CP1") is owner
    assert len(gateway._reception) == 0
    assert not gateway._closing
    assert len(central.of(cmd.Connect)) == 1
    old.socket.transport.resume_reading()
    assert await is_served(old)


async def shake_hands(port: int, address: str) -> asyncio.StreamWriter:
    """A peer that opens a WebSocket and never answers anything on it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
    writer.write(
        b"GET /CP1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Protocol: ocpp1.6\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    async with asyncio.timeout(LIMIT_S):
        assert (await reader.readline()).startswith(b"HTTP/1.1 101")
    return writer


async def two_that_came_to_a_dead_owner(
    gateway: Gateway, asked: asyncio.Queue[ChargePointConnection], monkeypatch: pytest.MonkeyPatch
) -> tuple[asyncio.StreamWriter, asyncio.StreamWriter, asyncio.StreamWriter]:
    """Three peers that never answer a ping: one had the id, one has it now, one asks whether that one lives."""
    probe_for(monkeypatch, 0.3)
    old = await shake_hands(gateway.port, HOME)
    await until(lambda: gateway.is_connected("CP1"))
    before = gateway.connection("CP1")
    coming = [asyncio.create_task(shake_hands(gateway.port, address)) for address in (AWAY, ELSEWHERE)]
    for _ in coming:
        assert await asked.get() is before
    probe_for(monkeypatch, 1.0)
    both = await asyncio.gather(*coming)
    async with asyncio.timeout(LIMIT_S):
        owner = await asked.get()
    assert owner is gateway.connection("CP1")
    port = owner._socket.remote_address[1]
    winner, second = sorted(both, key=lambda one: one.get_extra_info("sockname")[1] != port)
    return old, winner, second


async def test_a_newcomer_that_is_gone_replaces_nobody(
    listen: Listen,
    central: RecordingCentral,
    asked: asyncio.Queue[ChargePointConnection],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It shook hands, had to ask a second time because another one came first, and broke meanwhile."""
    monkeypatch.setattr("ocpp_server.ocpp16.gateway._LONGEST_CLOSE_S", 0.2)
    gateway = await listen()
    old, winner, second = await two_that_came_to_a_dead_owner(gateway, asked, monkeypatch)
    owner = gateway.connection("CP1")
    second.transport.abort()
    await only_one_is_left(gateway, of=1)

    assert gateway.connection("CP1") is owner
    assert len(central.of(cmd.Connect)) == 2
    for one in (old, winner):
        one.transport.abort()


async def test_a_newcomer_that_shook_hands_is_not_let_in_by_a_server_that_stops(
    central: RecordingCentral, asked: asyncio.Queue[ChargePointConnection], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The owner that it asks is closed by the stop, while another charge point's message is still being handled."""
    monkeypatch.setattr("ocpp_server.ocpp16.gateway._LONGEST_CLOSE_S", 0.2)
    gateway = Gateway(central, Clock(), GatewayOptions(host="127.0.0.1", port=0), open_to_all())
    committed = central.hold(cmd.MeterValues)
    async with gateway.listening():
        busy = await Charger.dial(gateway.port, "/BUSY")
        await busy.send([2, "a", "MeterValues", METER_VALUES])
        await central.until(lambda: central.of(cmd.MeterValues))
        peers = await two_that_came_to_a_dead_owner(gateway, asked, monkeypatch)
        stopping = asyncio.create_task(gateway._stop([gateway._plain] if gateway._plain else []))
        await until(lambda: not gateway.is_connected("CP1"))
        await only_one_is_left(gateway)  # the busy one
        committed.set()
        await stopping

    assert [one.charge_point_id for one in central.of(cmd.Connect)] == ["BUSY", "CP1", "CP1"]
    assert len(central.of(cmd.Disconnect)) == 2
    assert gateway.connected() == frozenset()
    for one in peers:
        one.transport.abort()
    await busy.hang_up()


async def test_a_handshake_that_fails_after_it_was_admitted_touches_nothing(
    call_from: Call_, gateway: Gateway, central: RecordingCentral
) -> None:
    """No Sec-WebSocket-Key, or another subprotocol: 400 from the same address, and the owner does not notice."""
    old = await call_from(HOME)
    assert await is_served(old)
    for lines in ("", "Sec-WebSocket-Protocol: ocpp2.0.1\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"):
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        request = "GET /CP1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        writer.write(f"{request}Sec-WebSocket-Version: 13\r\n{lines}\r\n".encode())
        async with asyncio.timeout(LIMIT_S):
            assert (await reader.readline()).startswith(b"HTTP/1.1 400")
            await reader.read()
        writer.close()
        await writer.wait_closed()
    await only_one_is_left(gateway)

    assert await is_served(old)
    assert len(gateway._reception) == 0
    assert len(central.of(cmd.Connect)) == 1


@pytest.mark.parametrize("is_hanging", [False, True])
async def test_a_stop_during_a_probe_does_not_hang(
    central: RecordingCentral,
    asked: asyncio.Queue[ChargePointConnection],
    monkeypatch: pytest.MonkeyPatch,
    call_from: Call_,
    is_hanging: bool,
) -> None:
    """F1: the one that is asked is closed, which answers the question; the newcomer does not become an owner."""
    probe_for(monkeypatch, 60.0)
    monkeypatch.setattr("ocpp_server.ocpp16.gateway._LONGEST_STOP_S", 0.5)
    gateway = Gateway(central, Clock(), GatewayOptions(host="127.0.0.1", port=0), open_to_all())
    async with gateway.listening():
        old = await call_from(HOME, port=gateway.port)
        assert await is_served(old)
        if is_hanging:
            committed = central.hold(cmd.MeterValues)
            await old.send([2, "a", "MeterValues", METER_VALUES])
            await central.until(lambda: central.of(cmd.MeterValues))
        go_deaf(old)
        coming = asyncio.ensure_future(call_from(AWAY, port=gateway.port))
        await asked.get()
    with pytest.raises((InvalidStatus, InvalidMessage)):
        await coming
    if is_hanging:
        committed.set()
    await central.until(lambda: central.of(cmd.Disconnect))

    assert len(central.of(cmd.Connect)) == 1
    assert gateway.connected() == frozenset()


def open_to_all() -> Doorkeeper:
    return Doorkeeper(Site(Policy(ZoneInfo("UTC"))), KeyChecker())


async def test_a_call_that_waits_its_turn_does_not_reach_the_loser(call_from: Call_, gateway: Gateway) -> None:
    """T2: two calls were on their way to the old connection; the one that was not sent is told as offline."""
    old = await call_from(HOME)
    old.script["GetConfiguration"] = None
    connection = gateway.connection("CP1")
    assert connection is not None
    first = asyncio.create_task(connection.call("GetConfiguration", {}))
    second = asyncio.create_task(connection.call("ClearCache", {}))
    await old.until(lambda: old.called == ["GetConfiguration"])
    new = await call_from(HOME)
    answers = [await first, await second]

    assert [answer.status for answer in answers] == ["no answer", "offline"]
    assert await old.closed() == 1000
    assert old.called == ["GetConfiguration"]
    winner = gateway.connection("CP1")
    assert winner is not None
    assert (await winner.call("ClearCache", {})).status == "Accepted"
    assert new.called == ["ClearCache"]


async def test_from_the_moment_of_the_change_nothing_is_sent_to_the_loser(
    call_from: Call_, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T2: whoever holds the old connection in its hands sends nothing on it, not even in the same turn of the loop."""
    sent: list[asyncio.Task[Any]] = []
    put = Owners.put

    def put_and_call(self: Owners, connection: ChargePointConnection, claim: Claim) -> list[tuple[str, str]]:
        before = self.get(connection.charge_point_id)
        events = put(self, connection, claim)
        if before is not None:
            sent.append(asyncio.create_task(before.call("ClearCache", {}, is_stop=True)))
        return events

    monkeypatch.setattr(Owners, "put", put_and_call)
    old = await call_from(HOME)
    assert await is_served(old)
    new = await call_from(HOME)
    assert await is_served(new)

    assert (await sent[0]).status == "offline"
    await old.closed()
    assert old.called == []


async def test_a_loser_whose_commit_hangs_does_not_stay(
    call_from: Call_, gateway: Gateway, central: RecordingCentral, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The winner is served meanwhile; the loser's line is cut after a while, what it sent counts if it is stored."""
    monkeypatch.setattr("ocpp_server.ocpp16.charge_point._LONGEST_FINISH_S", 0.1)
    committed = central.hold(cmd.MeterValues)
    old = await call_from(HOME)
    await old.send([2, "a", "MeterValues", METER_VALUES])
    await central.until(lambda: central.of(cmd.MeterValues))
    new = await call_from(HOME)
    assert await is_served(new)

    assert await old.closed() == 1006
    await until(lambda: not gateway._closing)
    committed.set()
    assert await is_served(new)
    assert not central.of(cmd.Disconnect)


async def test_an_owner_whose_messages_wait_for_us_is_alive(
    call_from: Call_, gateway: Gateway, central: RecordingCentral, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our commit is slow, its messages fill our queue, and its pong stands behind them: that is not its fault."""
    probe_for(monkeypatch, 0.3)
    committed = central.hold(cmd.MeterValues)
    old = await call_from(HOME)
    for number in range(200):
        await old.send([2, f"m{number}", "MeterValues", METER_VALUES])
    owner = gateway.connection("CP1")
    assert owner is not None
    await until(lambda: owner._socket.recv_messages.paused)

    assert await status_of(call_from(AWAY)) == 409
    committed.set()
    for number in range(200):
        assert (await old.answer())[1] == f"m{number}"


async def test_pings_give_up_nobody_whose_messages_wait_for_us(listen: Listen, central: RecordingCentral) -> None:
    """The same for the pings that look for half-open lines: no 1011 because we are slow."""
    gateway = await listen(ping_interval_s=0.05, ping_timeout_s=0.3)
    committed = central.hold(cmd.MeterValues)
    busy, watch = await Charger.dial(gateway.port), await counting_client(listen)
    for number in range(100):
        await busy.send([2, f"m{number}", "MeterValues", METER_VALUES])
    owner = gateway.connection("CP1")
    assert owner is not None
    await until(lambda: owner._socket.recv_messages.paused)
    since = watch.pings
    await until(lambda: watch.pings >= since + 16)

    assert gateway.connection("CP1") is owner
    committed.set()
    assert [(await busy.answer())[1] for _ in range(100)] == [f"m{number}" for number in range(100)]
    await watch.close()
    await busy.hang_up()


async def counting_client(listen: Listen) -> CountingClient:
    """A charge point at a gateway of its own, whose pings every 50 ms are the clock of a test."""
    gateway = await listen(ping_interval_s=0.05, ping_timeout_s=LIMIT_S)
    client = await connect(f"ws://127.0.0.1:{gateway.port}/WATCH", create_connection=CountingClient, ping_interval=None)
    assert isinstance(client, CountingClient)
    return client


async def test_pings_give_up_nobody_who_sends_a_long_message_slowly(listen: Listen, central: RecordingCentral) -> None:
    """A long StopTransaction on a slow line: its pong cannot overtake it; each piece is a sign of life (T10)."""
    gateway = await listen(ping_interval_s=0.05, ping_timeout_s=0.3)
    slow, watch = await Charger.dial(gateway.port), await counting_client(listen)
    message = b'[2,"long","DataTransfer",{"vendorId":"V","data":"' + b"x" * 60 + b'"}]'
    frame = bytes([0x81, 0x80 | len(message)]) + bytes(4) + message  # masked with zeros
    go_deaf(slow)
    for piece in (frame[at : at + 10] for at in range(0, len(frame), 10)):
        slow.socket.transport.write(piece)
        since = watch.pings
        await until(lambda since=since: watch.pings >= since + 1)  # type: ignore[misc]
    slow.socket.transport.resume_reading()

    assert (await slow.answer())[1] == "long"
    await watch.close()
    await slow.hang_up()


async def test_a_line_that_takes_nothing_any_more_is_found_dead(
    listen: Listen, central: RecordingCentral, call_from: Call_
) -> None:
    """What we sent fills every buffer on the way, so that not even a ping leaves; nobody waits for that."""
    gateway = await listen(ping_interval_s=0.1, ping_timeout_s=0.1)
    stuck = await call_from(HOME, port=gateway.port)
    go_deaf(stuck)
    await until(lambda: gateway.is_connected("CP1"))
    owner = gateway.connection("CP1")
    assert owner is not None
    sending = asyncio.create_task(owner._socket.send(b"x" * 32_000_000))
    await central.until(lambda: central.of(cmd.Disconnect))

    assert gateway.connected() == frozenset()
    async with asyncio.timeout(LIMIT_S):
        await asyncio.wait([sending])


async def test_the_right_key_takes_over_from_a_living_owner_and_it_is_told(
    central: RecordingCentral, call_from: Call_
) -> None:
    """(d): alive at another address, but the newcomer proves who it is: it wins, and a security event is kept."""
    site = Site(Policy(ZoneInfo("UTC")))
    known = ChargePoint("CP1", datetime(2026, 1, 1, tzinfo=UTC), key_hash=hash_key(KEY))
    site.charge_points["CP1"] = known
    gateway = Gateway(central, Clock(), GatewayOptions(host="127.0.0.1", port=0), Doorkeeper(site, KeyChecker()))
    async with gateway.listening():
        old = await call_from(HOME, key=KEY, port=gateway.port)
        assert await is_served(old)
        assert await status_of(call_from(AWAY, port=gateway.port)) == 401
        new = await call_from(AWAY, key=KEY, port=gateway.port)
        assert await is_served(new)
        assert await old.closed() == 1000

    event = central.of(cmd.SecurityEvent)[0]
    assert (event.charge_point_id, event.event) == ("CP1", TAKEN_OVER)
    assert event.text == f"{AWAY} proved who it is and took over from {HOME}, which was alive"


async def test_without_pings_an_owner_lives_as_long_as_its_messages_come(
    listen: Listen, central: RecordingCentral, call_from: Call_
) -> None:
    """chargers.csv ping=off: not one ping, neither to look for dead lines nor as a probe; 3 heartbeats of patience."""
    gateway = await listen(ping_interval_s=0.02, ping_timeout_s=0.05, ping_of=lambda one: one != "CP1")
    old, watch = await call_from(HOME, port=gateway.port), await counting_client(listen)
    assert await is_served(old)
    assert await status_of(call_from(AWAY, port=gateway.port)) == 409
    await until(lambda: watch.pings >= 5)
    assert await is_served(old)
    assert pings_of(old) == 0

    owner = gateway.connection("CP1")
    assert owner is not None
    owner._patience_s = 0.0  # three heartbeats passed
    new = await call_from(AWAY, port=gateway.port)
    assert await is_served(new)
    assert pings_of(old) == pings_of(new) == 0
    await watch.close()
