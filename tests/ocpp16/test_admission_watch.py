"""`admission_watch`: what a person decides reaches the charge points that are connected (T1, T2, T7)."""

import asyncio
import base64
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from ipaddress import ip_network
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from canaries import CANARY_KEY
from ocpp16_doubles import LIMIT_S, Charger
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from ocpp_server.authorization_key import hash_key
from ocpp_server.central_system import CentralSystem
from ocpp_server.clock import Clock
from ocpp_server.core import commands as cmd
from ocpp_server.core.changes import Change, RemoveChargePoint
from ocpp_server.core.records import Admission
from ocpp_server.core.site import Policy
from ocpp_server.core.users import ChargerRow
from ocpp_server.ocpp16.admission_watch import AdmissionWatch
from ocpp_server.ocpp16.commands import RemoteCalls
from ocpp_server.ocpp16.doorkeeper import Doorkeeper
from ocpp_server.ocpp16.gateway import Gateway
from ocpp_server.ocpp16.key_checker import KeyChecker
from ocpp_server.ocpp16.options import GatewayOptions
from ocpp_server.storage.memory_store import MemoryStore

KEY, OTHER_KEY = CANARY_KEY, "33221100ffeeddccbbaa99887766554433221100"
SITE_ADDRESS = "192.168.1.7"
BOOT = {"chargePointVendor": "Acme", "chargePointModel": "One"}
LOOPBACK = (ip_network("127.0.0.0/8"),)
SITE_NETWORKS = (ip_network("192.168.0.0/16"),)


class Site:
    """A central system, a gateway behind a proxy, and the watch; charge points come from the site's network."""

    def __init__(self) -> None:
        self.clock = Clock()
        store = MemoryStore(Policy(ZoneInfo("UTC")), self.clock.now())
        self.central = CentralSystem(store, store.load())
        keys = KeyChecker()
        doorkeeper = Doorkeeper(self.central.site, keys, SITE_NETWORKS, LOOPBACK)
        self.gateway = Gateway(self.central, self.clock, GatewayOptions(host="127.0.0.1", port=0), doorkeeper)
        self.watch = AdmissionWatch(self.central, self.gateway, RemoteCalls(self.gateway))
        self.chargers: list[Charger] = []

    async def dial(self, charge_point_id: str = "CP1", key: str | None = None) -> Charger:
        """A charge point of the site's network, with or without a key."""
        headers = {"X-Forwarded-For": SITE_ADDRESS}
        if key is not None:
            headers["Authorization"] = "Basic " + base64.b64encode(f"{charge_point_id}:{key}".encode()).decode()
        uri = f"ws://127.0.0.1:{self.gateway.port}/{charge_point_id}"
        socket = await connect(uri, additional_headers=headers, compression=None, proxy=None)
        self.chargers.append(Charger(socket))
        return self.chargers[-1]

    async def do(self, kind: type, *arguments: Any) -> cmd.Reply:
        return await self.central.handle(kind(self.clock.now(), *arguments))

    async def approve(self, min_profile: int | None = None, charge_point_id: str = "CP1") -> None:
        await self.do(cmd.ApproveChargePoint, charge_point_id, "Ann", min_profile)

    async def set_key(self, key: str) -> None:
        await self.do(cmd.SetChargePointKey, "CP1", await asyncio.to_thread(hash_key, key) if key else "", "Ann")

    async def until(self, claim: Callable[[], object]) -> None:
        """Wait until a claim is true, looked at every 10 ms."""
        async with asyncio.timeout(LIMIT_S):
            while not claim():  # noqa: ASYNC110 - a connection tells nobody of its changes
                await asyncio.sleep(0.01)

    def admission(self) -> Admission | None:
        connection = self.gateway.connection("CP1")
        return None if connection is None else connection.admission


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    tasks = [asyncio.create_task(site.central.run()), asyncio.create_task(site.watch.run())]
    async with site.gateway.listening():
        yield site
        for charger in site.chargers:
            await charger.hang_up()
    for task in tasks:
        assert not task.done(), task
        task.cancel()
    await asyncio.wait(tasks)


async def test_one_that_waits_is_asked_to_boot_again_when_it_is_approved(site: Site) -> None:
    """Nobody stands a minute before a charge point that was just approved (OCPP 1.6 §4.2, §5.17)."""
    charger = await site.dial()
    assert (await charger.ask("BootNotification", BOOT))[2]["status"] == "Pending"

    await site.approve()
    await charger.until(lambda: charger.called == ["TriggerMessage"])

    assert charger.calls[0][1] == {"requestedMessage": "BootNotification"}
    assert (await charger.ask("BootNotification", BOOT))[2]["status"] == "Accepted"


@pytest.mark.parametrize("answer", [{"status": "NotImplemented"}, ("error", "NotSupported"), {}])
async def test_one_that_cannot_be_asked_boots_by_itself(site: Site, answer: Any) -> None:
    """Within the minute that it was told; nothing else is tried, and the watch goes on."""
    charger = await site.dial()
    charger.script["TriggerMessage"] = answer
    await charger.ask("BootNotification", BOOT)

    await site.approve()
    await charger.until(lambda: charger.called)

    assert (await charger.ask("BootNotification", BOOT))[2]["status"] == "Accepted"
    assert charger.called == ["TriggerMessage"]


def frame_of(size: int) -> list[Any]:
    """A call of so many bytes and a bit."""
    return [2, "long", "DataTransfer", {"vendorId": "Acme", "data": "x" * size}]


async def test_an_approved_one_may_send_long_messages(site: Site) -> None:
    """A long session's transactionData; while it waits, 64 KiB are the most."""
    charger = await site.dial()
    await charger.ask("BootNotification", BOOT)
    await site.approve()
    await site.until(lambda: site.admission() is Admission.APPROVED)

    await charger.send(frame_of(500_000))

    assert (await charger.answer())[:2] == [3, "long"]


async def test_one_that_waits_may_not(site: Site) -> None:
    """1009, and it waits no less for it. The same after an approval was taken back in chargers.csv."""
    charger = await site.dial()
    with suppress(ConnectionClosed):
        await charger.send(frame_of(100_000))
    assert await charger.closed() == 1009

    charger = await site.dial()
    await site.do(cmd.ReplaceChargers, (ChargerRow("CP1", approved=True),))
    await site.until(lambda: site.admission() is Admission.APPROVED)
    await site.do(cmd.ReplaceChargers, ())
    await site.until(lambda: site.admission() is Admission.PENDING)
    with suppress(ConnectionClosed):
        await charger.send(frame_of(100_000))
    assert await charger.closed() == 1009


async def test_one_that_was_locked_is_closed_and_stays_out(site: Site) -> None:
    """1008; its next handshake is 404."""
    charger = await site.dial()
    await site.approve()
    await site.do(cmd.LockChargePoint, "CP1", "Ann")

    assert await charger.closed() == 1008
    with pytest.raises(InvalidStatus) as refused:
        await site.dial()
    assert refused.value.response.status_code == 404
    assert not site.gateway.connected()


@pytest.mark.parametrize("word", ["approved", "locked"])
async def test_a_row_of_chargers_csv_acts_the_same_way(site: Site, word: str) -> None:
    """It goes before the ledger."""
    charger = await site.dial()
    await charger.ask("BootNotification", BOOT)
    await site.do(cmd.ReplaceChargers, (ChargerRow("CP1", approved=word == "approved"),))

    if word == "approved":
        await charger.until(lambda: charger.called == ["TriggerMessage"])
    else:
        assert await charger.closed() == 1008


async def test_one_that_was_forgotten_is_cut_off_before_its_next_message(site: Site) -> None:
    """A message that is on its way must not make it known again, and approved: no task runs in between."""
    charger = await site.dial()
    connection = site.gateway.connection("CP1")
    assert connection is not None
    ending: list[bool] = []

    def notice(changes: Sequence[Change]) -> None:
        if any(isinstance(change, RemoveChargePoint) for change in changes):
            ending.append(connection._is_ending)

    site.central.listen(notice)
    await charger.ask("BootNotification", BOOT)
    for number in range(50):
        await charger.send([2, f"s{number}", "StatusNotification", {"connectorId": number, "status": "Available"}])
    await site.do(cmd.ForgetChargePoint, "CP1", "Ann")

    assert ending == [True]
    assert await charger.closed() == 1008
    assert "CP1" not in site.central.site.charge_points
    assert (await (await site.dial()).ask("BootNotification", BOOT))[2]["status"] == "Pending"


async def test_one_that_was_given_a_key_comes_back_with_it(site: Site) -> None:
    """T7: what was let in without it may not go on without it."""
    charger = await site.dial()
    await site.approve()
    await site.set_key(KEY)

    assert await charger.closed() == 1008
    with pytest.raises(InvalidStatus) as refused:
        await site.dial()
    assert refused.value.response.status_code == 401
    assert (await (await site.dial(key=KEY)).ask("Heartbeat", {}))[0] == 3


async def test_one_whose_key_was_changed_comes_back_with_the_new_one(site: Site) -> None:
    """The old one may be in the wrong hands."""
    await site.set_key(KEY)
    charger = await site.dial(key=KEY)
    await charger.ask("Heartbeat", {})
    await site.set_key(OTHER_KEY)

    assert await charger.closed() == 1008
    assert (await (await site.dial(key=OTHER_KEY)).ask("Heartbeat", {}))[0] == 3


async def test_one_whose_key_was_taken_away_stays(site: Site) -> None:
    """It proved more than is asked for now."""
    await site.set_key(KEY)
    charger = await site.dial(key=KEY)
    await site.set_key("")

    assert (await charger.ask("Heartbeat", {}))[0] == 3


async def test_a_higher_least_profile_closes_what_proved_less(site: Site) -> None:
    """Profile 1 where 2 is the least now."""
    await site.set_key(KEY)
    charger = await site.dial(key=KEY)
    await site.approve(min_profile=2)

    assert await charger.closed() == 1008


async def test_others_are_left_alone(site: Site) -> None:
    """Each connection is looked at for its own charge point."""
    charger, other = await site.dial(), await site.dial("CP2")
    for one in (charger, other):
        await one.ask("BootNotification", BOOT)
    await site.do(cmd.LockChargePoint, "CP1", "Ann")
    assert await charger.closed() == 1008

    assert (await other.ask("Heartbeat", {}))[0] == 3
    assert other.called == []


async def test_a_close_is_logged_once_with_its_reason(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """Also if the state changes while the closing handshake is under way."""
    caplog.set_level(logging.INFO)
    charger = await site.dial()
    charger.socket.transport.pause_reading()
    await site.do(cmd.LockChargePoint, "CP1", "Ann")
    for number in range(5):
        await site.approve(charge_point_id=f"CP{number + 2}")
    charger.socket.transport.resume_reading()
    await charger.closed()

    assert [line for line in caplog.messages if "closing" in line] == [
        "[CONNECT] closing charge_point=CP1 reason='it was locked'"
    ]


@pytest.mark.parametrize("deed", ["forgotten", "another key"])
async def test_a_handshake_that_was_judged_before_a_decision_is_judged_anew(site: Site, deed: str) -> None:
    """Between judging and taking over lies the probe of the old connection: up to three seconds."""
    await site.set_key(KEY)
    judged, decided = asyncio.Event(), asyncio.Event()
    challenge = site.gateway._owners.challenge

    async def slow_challenge(*arguments: Any, **options: Any) -> Any:
        judged.set()
        await decided.wait()
        return await challenge(*arguments, **options)

    site.gateway._owners.challenge = slow_challenge  # type: ignore[method-assign]
    dialling = asyncio.create_task(site.dial(key=KEY))
    await asyncio.wait_for(judged.wait(), LIMIT_S)
    if deed == "forgotten":
        await site.do(cmd.ForgetChargePoint, "CP1", "Ann")
    else:
        await site.set_key(OTHER_KEY)
    decided.set()

    assert await (await dialling).closed() == 1008
    assert not site.gateway.connected()
    assert ("CP1" in site.central.site.charge_points) == (deed == "another key")
