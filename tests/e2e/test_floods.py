"""Floods beside honest charge points: nobody honest is locked out or loses anything, and nothing grows without end."""

import asyncio
import itertools
import json
import os
import socket
import sqlite3
import time
from base64 import b64encode
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing, suppress
from http import HTTPStatus
from pathlib import Path

import pytest
from raw_charge_point import RawChargePoint
from running_site import RunningSite, SiteFactory
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from ocpp_server.authorization_key import hash_key
from ocpp_server.core import commands as cmd
from ocpp_server.core.records import NoteKind
from ocpp_server.storage.ledger_rows import MOST_EVIDENCE, MOST_NOTES

_LONG = [pytest.mark.prove, pytest.mark.timeout(1800)]
_HONEST = 20
_HOSTILE = 50
_STEPS = 10
_STEP_WH = 100
_PAGE = os.sysconf("SC_PAGE_SIZE")
_BOOT = json.dumps([2, "b", "BootNotification", {"chargePointVendor": "x", "chargePointModel": "y"}])
FLOODS = {
    "heartbeats": '[2,"h%d","Heartbeat",{}]',
    "rubbish": '{"rubbish":%d}',
    "notes": '[2,"d%d","DataTransfer",{"vendorId":"x","data":"y"}]',
    "answers": '[3,"u%d",{}]',
}


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


async def _boots(here: RunningSite, charger_id: str, **options: object) -> RawChargePoint:
    charge_point = RawChargePoint(charger_id, here.url, here.clock)
    await charge_point.connect(**options)  # type: ignore[arg-type]
    assert (await charge_point.boot())["status"] == "Accepted"
    return charge_point


async def test_five_hundred_silent_sockets_lock_nobody_out(site: SiteFactory) -> None:
    """T12: a real charge point connects and boots within two seconds all the same."""
    here = await site()
    sockets = []
    for _ in range(520):
        one = socket.socket()
        one.setblocking(False)
        await asyncio.get_running_loop().sock_connect(one, ("127.0.0.1", here.settings.ocpp_port))
        sockets.append(one)

    async with asyncio.timeout(2):
        charge_point = await _boots(here, "CP1")
    assert here.server.gateway.connected() == {"CP1"}
    await charge_point.close()
    for one in sockets:
        one.close()


async def _flood(here: RunningSite, number: int, kind: str) -> None:
    """Send one kind of frame as fast as it is taken, read nothing, and come back when the line is closed."""
    frame = FLOODS[kind]
    headers = {"X-Forwarded-For": f"192.168.66.{number}"}
    while True:
        with suppress(ConnectionClosed, InvalidHandshake, OSError, TimeoutError):
            async with connect(
                f"{here.url}/HOSTILE{number}",
                additional_headers=headers,
                compression=None,
                ping_interval=None,
                close_timeout=0.2,
            ) as line:
                for count in itertools.count():
                    await line.send(frame % count)
                    await asyncio.sleep(0)
        await asyncio.sleep(0.1)


@asynccontextmanager
async def _under_fire(here: RunningSite, count: int) -> AsyncIterator[None]:
    kinds = itertools.cycle(FLOODS)
    floods = [asyncio.create_task(_flood(here, number, next(kinds))) for number in range(count)]
    try:
        yield
    finally:
        for flood in floods:
            flood.cancel()
        await asyncio.gather(*floods, return_exceptions=True)


async def _session(here: RunningSite, number: int, times_s: list[float]) -> int:
    """A session of an honest charge point, to the Wh; how long each answer took. Gives its Wh."""
    charge_point = await _boots(here, f"HONEST{number}", headers=[("X-Forwarded-For", f"192.168.1.{number}")])
    register, ago_s = 1000 * number, 3600.0
    transaction, status = await charge_point.start("RFID003", register, ago_s=ago_s)
    assert status == "Accepted"
    for _ in range(_STEPS):
        register, ago_s = register + _STEP_WH + number, ago_s - 120
        began_at = time.perf_counter()
        assert await charge_point.meter(transaction, register, ago_s=ago_s) == {}
        times_s.append(time.perf_counter() - began_at)
    await charge_point.stop(transaction, register, ago_s=ago_s)
    assert not charge_point.strays
    await charge_point.close()
    return _STEPS * (_STEP_WH + number)


@pytest.mark.parametrize("hostile", [0, _HOSTILE])
async def test_honest_charge_points_lose_nothing_beside_a_flood(
    site: SiteFactory, hostile: int, record_property: Callable[[str, object], None]
) -> None:
    """T13: 50 flooding connections beside 20 sessions: every message answered, every Wh booked, nobody cut off."""
    approved = [f"HONEST{number}" for number in range(_HONEST)]
    approved += [f"HOSTILE{number}" for number in range(_HOSTILE) if number % 4 != 2]  # the others wait for approval
    here = await site(
        factor=2,
        chargers="\n".join(["charger_id,approved", *(f"{one},yes" for one in approved), ""]),
        max_message_rate=5.0,
        trusted_proxies="127.0.0.1/32",
        ping_interval_s=20.0,
    )
    times_s: list[float] = []
    async with _under_fire(here, hostile):
        await here.until(lambda: len(here.server.gateway.connected()) >= hostile // 2)
        expected_wh = sum(await asyncio.gather(*(_session(here, number, times_s) for number in range(_HONEST))))

    site_now = here.server.central.site
    assert not site_now.open_transactions
    assert sum(site_now.usage.values()) == expected_wh
    assert {t.charge_point_id for t in site_now.transactions.values()} == {f"HONEST{n}" for n in range(_HONEST)}
    await here.stop()
    assert here.usage()["RFID003"] == expected_wh / 1000
    assert here.problems() == []
    times_s.sort()
    p99_ms = times_s[len(times_s) * 99 // 100] * 1000
    record_property(f"p99 ms beside {hostile}", round(p99_ms, 1))
    print(f"p50 {times_s[len(times_s) // 2] * 1000:.1f} ms, p99 {p99_ms:.1f} ms beside {hostile} flooding connections")


@pytest.mark.parametrize("count", [20_000, pytest.param(1_000_000, marks=_LONG)])
async def test_answers_that_nobody_asked_for_take_no_memory(site: SiteFactory, count: int) -> None:
    """T11: less than 5 MB for a million of them."""
    here = await site()
    charge_point = await here.connect()
    before = 0
    for number in range(count + 2_000):
        if number == 2_000:  # by now everything that is needed once is there
            await charge_point.call("Heartbeat", {})
            before = _resident_bytes()
        await charge_point.send(f'[3,"{number}",{{"status":"Accepted"}}]')
    await charge_point.call("Heartbeat", {})

    assert _resident_bytes() - before < 5_000_000


@pytest.mark.parametrize("count", [10_000, pytest.param(1_000_000, marks=_LONG)])
async def test_a_flood_of_events_does_not_fill_the_disk(site: SiteFactory, count: int) -> None:
    """T26: whatever is told without end, of the notes a bounded number is kept; the ledger stays below 50 MB."""
    here = await site()
    central = here.server.central

    async def tell(number: int) -> None:
        at = here.clock.now()
        match number % 10:
            case 0:
                text = f"SecurityEventNotification {number} " + "x" * 450
                await central.handle(cmd.SecurityEvent("CP1", at, f"Event{number}", text))
            case 1:
                text = f"DataTransfer data={number} " + "x" * 450
                await central.handle(cmd.RecordMessage("CP2", at, NoteKind.MESSAGE, text))
            case _:
                await central.handle(cmd.StopTransaction("CP3", at, 9_000_000 + number, number, f"stamp {number}"))

    for begin in range(0, count, 500):
        await asyncio.gather(*(tell(number) for number in range(begin, begin + 500)))
    await central.until_durable(central.applied)
    ledger = [path.stat().st_size for path in here.data_dir.glob("ledger.db*") if "reserve" not in path.name]
    assert sum(ledger) < 50_000_000
    await here.stop()
    kept = _notes_by_kind(here.data_dir / "ledger.db")
    assert kept["orphan"] < MOST_EVIDENCE + 3_000
    assert kept.total() - kept["orphan"] < MOST_NOTES + 3_000
    assert here.problems() == []


def _notes_by_kind(path: Path) -> Counter[str]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as ledger:
        return Counter(dict(ledger.execute("SELECT kind, count(*) FROM notes GROUP BY kind")))


def _basic(charge_point_id: str, key: bytes) -> str:
    return "Basic " + b64encode(f"{charge_point_id}:".encode() + key).decode()


@pytest.mark.parametrize("count", [400, pytest.param(10_000, marks=_LONG)])
async def test_guessing_keys_costs_ten_hashes_and_disturbs_nobody(site: SiteFactory, count: int) -> None:
    """T4: wrong keys from one address; the real charge point connects from its own throughout."""
    here = await site(trusted_proxies="127.0.0.1/32", max_message_rate=20.0)
    key = b"0123456789abcdef"
    await here.server.central.handle(cmd.SetChargePointKey(here.clock.now(), "CP1", hash_key(key), "test"))
    statuses: Counter[int] = Counter()
    boots = 0

    async def arrive(address: str, with_key: bytes) -> int:
        headers = {"X-Forwarded-For": address, "Authorization": _basic("CP1", with_key)}
        try:
            async with connect(
                f"{here.url}/CP1", additional_headers=headers, compression=None, subprotocols=["ocpp1.6"]
            ) as line:
                await line.send(_BOOT)
                assert '"Accepted"' in str(await line.recv())
                return HTTPStatus.SWITCHING_PROTOCOLS
        except InvalidStatus as error:
            return error.response.status_code

    for begin in range(0, count, 50):
        assert await arrive("192.168.1.7", key) == HTTPStatus.SWITCHING_PROTOCOLS
        boots += 1
        guesses = (arrive("192.168.1.66", b"guess %d" % number) for number in range(begin, begin + 50))
        statuses.update(await asyncio.gather(*guesses))

    assert set(statuses) <= {HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS}
    assert statuses[HTTPStatus.UNAUTHORIZED] <= 10
    assert statuses.total() == count
    assert here.server.gateway._doorkeeper.keys.hashed == 11
    assert boots == count // 50
