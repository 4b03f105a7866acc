"""Who has an id, over lines that break: fights for it, half-open links, bad lines, and what people are told of it."""

import asyncio
import base64
import ctypes
import itertools
import os
import random
import socket
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from canaries import CANARY_KEY
from raw_charge_point import RawChargePoint
from running_site import RunningSite, SiteFactory
from tcp_proxy import TcpProxy, Weather
from tug_of_war import Fight, Witness
from websockets.exceptions import InvalidStatus

from ocpp_server import authorization_key
from ocpp_server.core import commands as cmd
from ocpp_server.core.records import NoteKind
from ocpp_server.ocpp16 import owners
from ocpp_server.ocpp16.owners import MOST_CHANGES

KEY = CANARY_KEY
AT_A_TIME = 8
LIMIT_S = 30.0
PROXIED = {"trusted_proxies": "127.0.0.1", "charger_admission": "open"}


def from_address(address: str, charge_point_id: str = "", key: str = "") -> list[tuple[str, str]]:
    """Headers of a charge point that comes through the proxy from there."""
    headers = [("X-Forwarded-For", address)]
    return [*headers, ("Authorization", basic(charge_point_id, key))] if key else headers


def basic(charge_point_id: str, key: str) -> str:
    return "Basic " + base64.b64encode(f"{charge_point_id}:{key}".encode()).decode()


@pytest.fixture
def key_hash(monkeypatch: pytest.MonkeyPatch) -> str:
    """The hash of KEY, which costs little: hundreds of charge points have it."""
    with monkeypatch.context() as cheap:
        cheap.setattr(authorization_key, "_N", 2**4)
        return authorization_key.hash_key(KEY)


async def give_key(here: RunningSite, charge_point_id: str, key_hash: str) -> None:
    await here.server.central.handle(cmd.SetChargePointKey(here.clock.now(), charge_point_id, key_hash, "test"))


@pytest.mark.parametrize(
    "seeds",
    [
        pytest.param(range(60), id="60"),
        pytest.param(range(1000, 2000), id="1000", marks=[pytest.mark.prove, pytest.mark.timeout(900)]),
    ],
)
async def test_whoever_fights_for_an_id_one_has_it_and_the_energy_is_exact(
    site: SiteFactory, seeds: range, key_hash: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T2, T3: no loser handles a message or gets a call, its end is told to nobody, and no Wh is lost or doubled."""
    monkeypatch.setattr(owners, "PROBE_S", 0.3)
    here = await site(factor=20.0, max_charge_points=2000, ping_interval_s=0.2, ping_timeout_s=0.2, **PROXIED)
    witness = Witness(here)
    witness.watch(monkeypatch)
    fights: list[Fight] = []
    waiting = iter(seeds)

    async def fight_on(proxy: TcpProxy) -> None:
        for seed in waiting:
            has_key = seed % 2 == 1
            fight = Fight(here, proxy, seed, basic(f"CP{seed}", KEY) if has_key else "")
            if has_key:
                await give_key(here, fight.charge_point_id, key_hash)
            fights.append(fight)
            await fight.run()

    async with TcpProxy(here.settings.ocpp_port) as proxy, asyncio.TaskGroup() as group:
        for _ in range(AT_A_TIME):
            group.create_task(fight_on(proxy))
    await here.until(lambda: not here.server.gateway.connected())
    await here.stop()

    total_wh = sum(fight.session.energy_wh for fight in fights)
    assert witness.violations == []
    assert {fight.charge_point_id: fight.problems for fight in fights if fight.problems} == {}
    assert here.usage() == {"RFID003": total_wh / 1000}
    assert here.problems() == []
    assert len(fights) == len(seeds)
    assert min(witness.handled, witness.called, witness.ended, total_wh) > len(seeds)
    let_in, refused = sum(fight.let_in for fight in fights), sum((fight.refused for fight in fights), Counter())
    print(
        f"{len(fights)} fights, {let_in} let in, refused: {dict(refused)},",
        f"{witness.handled} messages, {witness.called} calls, {witness.ended} ends, {total_wh} Wh",
    )


async def test_a_half_open_link_is_found_by_its_pings(site: SiteFactory) -> None:
    """F20: within ping interval + timeout + 2 s; the session waits, and goes on when the charge point is back."""
    here = await site(ping_interval_s=0.3, ping_timeout_s=0.7)
    async with TcpProxy(here.settings.ocpp_port) as proxy:
        old = await RawChargePoint("CP1", proxy.url, here.clock).connect()
        transaction, _ = await old.start(meter=1000)
        since = asyncio.get_running_loop().time()
        proxy.links[-1].go_dead()
        await here.until(lambda: not here.server.gateway.is_connected("CP1"))
        found_after_s = asyncio.get_running_loop().time() - since
        await here.until(lambda: here.server.central.site.charge_points["CP1"].connected_since is None)

        old.drop()
        new = await RawChargePoint("CP1", proxy.url, here.clock).connect()
        await here.advance(600)
        await new.stop(transaction, 2500)
        await new.close()
    print(f"found after {found_after_s:.2f} s")
    await here.published()

    assert found_after_s < 0.3 + 0.7 + 2 + 5  # 5 s for a loaded machine
    assert here.usage() == {"RFID001": 1.5}
    assert here.problems() == []


async def test_a_newcomer_from_the_same_address_replaces_a_half_open_link_at_once(site: SiteFactory) -> None:
    """T3: nobody is asked, nothing is waited for, and the end of the old link is told to nobody."""
    here = await site(ping_interval_s=0.0)
    async with TcpProxy(here.settings.ocpp_port) as proxy:
        old = await RawChargePoint("CP1", proxy.url, here.clock).connect()
        transaction, _ = await old.start(meter=1000)
        for register in (1100, 1200, 1300):
            proxy.links[-1].go_dead()
            old.drop()
            await here.advance(60)
            async with asyncio.timeout(owners.PROBE_S):
                old = await RawChargePoint("CP1", proxy.url, here.clock).connect()
                await old.meter(transaction, register)
            assert here.server.central.site.charge_points["CP1"].connected_since is not None
        await old.stop(transaction, 1400)
        await old.close()
    await here.published()

    assert here.usage() == {"RFID001": 0.4}
    assert here.problems() == []


@pytest.mark.parametrize("probe_s", [0.5, pytest.param(owners.PROBE_S, marks=pytest.mark.prove)])
async def test_a_newcomer_from_another_address_replaces_a_half_open_link_after_a_probe(
    site: SiteFactory, monkeypatch: pytest.MonkeyPatch, probe_s: float
) -> None:
    """T2, T3: no key, and a new address from the router: let in once the old link did not answer for 3 s."""
    here = await site(ping_interval_s=0.0, **PROXIED)
    async with TcpProxy(here.settings.ocpp_port) as proxy:
        old = await RawChargePoint("CP1", proxy.url, here.clock).connect(headers=from_address("192.168.1.1"))
        transaction, _ = await old.start(meter=1000)
        with pytest.raises(InvalidStatus, match="409"):
            await RawChargePoint("CP1", proxy.url, here.clock).connect(headers=from_address("192.168.1.2"))
        monkeypatch.setattr(owners, "PROBE_S", probe_s)
        proxy.links[0].go_dead()
        since = asyncio.get_running_loop().time()
        new = await RawChargePoint("CP1", proxy.url, here.clock).connect(headers=from_address("192.168.1.2"))
        replaced_after_s = asyncio.get_running_loop().time() - since
        await here.advance(60)
        await new.stop(transaction, 1100)
        old.drop()
        await new.close()
    await here.published()

    assert probe_s - 0.1 < replaced_after_s < probe_s + 5
    assert here.usage() == {"RFID001": 0.1}
    assert here.problems() == []


async def test_a_charge_point_with_pings_off_is_never_pinged(site: SiteFactory) -> None:
    """chargers.csv ping=off: on the wire there is no ping, neither to find dead links nor as a probe."""
    chargers = "charger_id,ping\r\nCP1,off\r\n"
    here = await site(chargers=chargers, ping_interval_s=0.05, ping_timeout_s=20.0, **PROXIED)
    headers = {name: from_address(f"192.168.1.{name}") for name in (1, 2)}
    quiet = await here.connect("CP1", headers=headers[1])
    pinged = await here.connect("CP2", headers=headers[1])
    seen = {one.charger_id: _pings_on(one) for one in (quiet, pinged)}
    with pytest.raises(InvalidStatus, match="409"):
        await here.connect("CP1", headers=headers[2])
    await here.until(lambda: len(seen["CP2"]) >= 10)
    await quiet.call("Heartbeat", {})

    assert seen["CP1"] == []


def _pings_on(charge_point: RawChargePoint) -> list[Any]:
    """The pings that come from now on."""
    pings: list[Any] = []
    process = charge_point.socket.process_event

    def processing(event: Any) -> None:
        if event.opcode.name == "PING":
            pings.append(event)
        process(event)

    charge_point.socket.process_event = processing  # type: ignore[method-assign]
    return pings


@pytest.mark.parametrize(
    "weather",
    [
        pytest.param(Weather(most_bytes=5), id="split"),
        pytest.param(Weather(delay_s=0.02, loss=0.3, resend_s=0.05), id="slow and lossy"),
        pytest.param(
            Weather(delay_s=2.5, loss=0.3, resend_s=1.0),
            id="5 s there and back",
            marks=[pytest.mark.prove, pytest.mark.timeout(300)],
        ),
    ],
)
async def test_a_session_over_a_bad_line_is_exact(site: SiteFactory, weather: Weather) -> None:
    """F20: frames in pieces, late, with losses, a line that is cut in every way; what had no answer comes again."""
    here = await site(ping_interval_s=20.0)
    rng = random.Random(7)
    registers = list(itertools.accumulate([1000] + [rng.randint(50, 200) for _ in range(12)]))
    async with TcpProxy(here.settings.ocpp_port, weather) as proxy:
        line = await RawChargePoint("CP1", proxy.url, here.clock).connect()
        transaction, _ = await line.start(meter=registers[0])
        for number, register in enumerate(registers[1:]):
            await here.advance(60)
            stamped = {"ago_s": 0.0}
            if number % 4 == 3:
                answer = asyncio.ensure_future(line.meter(transaction, register, **stamped))
                await asyncio.sleep(0)
                end = (proxy.links[-1].cut, proxy.links[-1].half_close, proxy.links[-1].go_dead)[number // 4]
                end()
                line.drop()
                await asyncio.wait([answer])
                line = await RawChargePoint("CP1", proxy.url, here.clock).connect()
            await line.meter(transaction, register, **stamped)
        await line.stop(transaction, registers[-1])
        await line.close()
    await here.until(lambda: not here.server.gateway.is_connected("CP1"))
    await here.published()

    assert here.usage() == {"RFID001": (registers[-1] - registers[0]) / 1000}
    assert here.problems() == []


async def test_the_right_key_takes_a_session_over_and_the_loser_is_told_nothing_more(
    site: SiteFactory, key_hash: str
) -> None:
    """T2, (d): alive elsewhere, but the newcomer has the key: a note for people; commands go to the winner alone."""
    here = await site(**PROXIED)
    await give_key(here, "CP1", key_hash)
    old = await here.connect("CP1", headers=from_address("192.168.1.1", "CP1", KEY))
    transaction, _ = await old.start(meter=1000)
    with pytest.raises(InvalidStatus, match="401"):
        await here.connect("CP1", headers=from_address("192.168.1.2"))
    new = await here.connect("CP1", headers=from_address("192.168.1.2", "CP1", KEY))
    await old.closed()
    asked = len(old.asked)
    await here.server.central.handle(cmd.RequestStop(here.clock.now(), transaction, by="test"))
    await here.advance(5)
    await here.until(lambda: ("RemoteStopTransaction", {"transactionId": transaction}) in new.asked)
    await new.stop(transaction, 1500)
    await here.published()

    told = [note.text for note in here.notes(NoteKind.SECURITY) if "took over" in note.text]
    assert told == ["192.168.1.2 proved who it is and took over from 192.168.1.1, which was alive"]
    assert len(old.asked) == asked
    assert here.alerts() == []


async def test_a_fight_is_held_down_and_shown_until_a_person_approves(site: SiteFactory) -> None:
    """T2: more than 6 changes in 10 minutes; the one that lives keeps the id, and alerts.json says what is wrong."""
    here = await site()
    line = await here.connect("CP1")
    for _ in range(MOST_CHANGES + 1):
        line = await here.connect("CP1", boots=False)
    with pytest.raises(InvalidStatus, match="409"):
        await here.connect("CP1")
    await here.published()

    assert (await line.call("Heartbeat", {}))["currentTime"]
    alerts = here.alerts()
    assert [alert["charger_id"] for alert in alerts] == ["CP1"]
    assert "replaced each other more than 6 times within 10 minutes" in str(alerts[0])
    assert "127.0.0.1" in str(alerts[0])

    await here.server.central.handle(cmd.ApproveChargePoint(here.clock.now(), "CP1", "test"))
    await here.published()
    assert here.alerts() == []


@dataclass
class Namespace:
    """A network of its own, on a cable to this one."""

    name: str
    cable: str
    here: str
    there: str

    def ip(self, *arguments: str) -> None:
        """Run `ip` in there."""
        _ip("-n", self.name, *arguments)

    def plug(self, state: str) -> None:
        """The far end of the cable: up or down."""
        self.ip("link", "set", f"{self.cable}b", state)

    def connect(self, port: int) -> socket.socket:
        """A TCP connection from there. For a thread of its own: a thread that goes there stays there."""
        libc = ctypes.CDLL(None, use_errno=True)
        with Path(f"/run/netns/{self.name}").open() as there:
            if libc.setns(there.fileno(), 0x40000000) != 0:  # CLONE_NEWNET
                raise OSError(ctypes.get_errno(), "setns")
        return socket.create_connection((self.here, port), LIMIT_S)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    """Needs root and iproute2; 198.18.0.0/15 is for tests of networks (RFC 2544)."""
    number = os.getpid() % 250
    made = Namespace(f"evq{number}", f"evq{number}", f"198.18.{number}.1", f"198.18.{number}.2")
    _ip("netns", "add", made.name)
    try:
        _ip("link", "add", f"{made.cable}a", "type", "veth", "peer", "name", f"{made.cable}b", "netns", made.name)
        _ip("addr", "add", f"{made.here}/24", "dev", f"{made.cable}a")
        made.ip("addr", "add", f"{made.there}/24", "dev", f"{made.cable}b")
        _ip("link", "set", f"{made.cable}a", "up")
        made.plug("up")
        yield made
    finally:
        _ip("netns", "del", made.name)  # the cable goes with it


@pytest.mark.prove
async def test_a_cable_that_is_pulled_mid_session_costs_nothing(site: SiteFactory, namespace: Namespace) -> None:
    """F20, on a real link: found in time, the charge point comes back when it is plugged in, exact to the Wh."""
    options = {"ocpp_host": namespace.here, "charger_networks": "198.18.0.0/15", "charger_admission": "open"}
    here = await site(ping_interval_s=0.5, ping_timeout_s=0.5, **options)

    async def from_there() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        far = await asyncio.to_thread(namespace.connect, here.settings.ocpp_port)
        far.setblocking(False)
        return await asyncio.open_connection(sock=far)

    async with TcpProxy(0, dial=from_there) as proxy:
        line = await RawChargePoint("CP1", proxy.url, here.clock).connect()
        transaction, _ = await line.start(meter=1000)
        await here.advance(60)
        await line.meter(transaction, 1150)
        assert here.server.central.site.charge_points["CP1"].address == namespace.there

        namespace.plug("down")
        since = asyncio.get_running_loop().time()
        await here.advance(60)
        unanswered = asyncio.ensure_future(line.meter(transaction, 1300))
        await here.until(lambda: not here.server.gateway.is_connected("CP1"))
        found_after_s = asyncio.get_running_loop().time() - since
        line.drop()
        await asyncio.wait([unanswered])
        namespace.plug("up")
        line = await RawChargePoint("CP1", proxy.url, here.clock).connect()
        await line.meter(transaction, 1300)
        await here.advance(60)
        await line.stop(transaction, 1437)
        await line.close()
    print(f"found after {found_after_s:.2f} s")
    await here.until(lambda: not here.server.gateway.is_connected("CP1"))
    await here.published()

    assert found_after_s < 0.5 + 0.5 + 2 + 5
    assert here.usage() == {"RFID001": 0.437}
    assert here.problems() == []
