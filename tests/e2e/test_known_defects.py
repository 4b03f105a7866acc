"""Sixteen defects known from the field (B1 to B16 in docs/faults.md), one test each: none of them is here."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from raw_charge_point import RawChargePoint
from running_site import RunningSite, SiteFactory, people
from turned_clock import LIMIT_S

from ocpp_server.publisher import Publisher
from simulator import EVLINK, GENERIC, Behaviour


async def over_quota(here: RunningSite, raw: RawChargePoint) -> int:
    """A session of RFID001 whose first reading is past a quota of 1 kWh; its id."""
    transaction, _ = await raw.start("RFID001", 0)
    await here.advance(120)
    await raw.meter(transaction, 1100)
    return transaction


@contextmanager
def constant_reader(folder: Path) -> Iterator[list[str]]:
    """A thread that reads every published file again and again; what it could not read, or nothing."""
    trouble: list[str] = []
    names = [path.name for path in folder.glob("*.json")]
    is_over = threading.Event()

    def read() -> None:
        while not is_over.is_set():
            for name in names:
                try:
                    json.loads((folder / name).read_bytes())
                except (OSError, ValueError) as error:
                    trouble.append(f"{name}: {error}")

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield trouble
    finally:
        is_over.set()
        reader.join()
    assert {"energy_usage.json", "charger_status.json", "active_transactions.json"} <= set(names)


async def test_b01_a_stop_is_never_awaited_in_a_handler(site: SiteFactory) -> None:
    """The reading past the quota is answered while RemoteStop has no answer, and so is all that follows."""
    here = await site(people(RFID001=1))
    raw = await here.connect()
    raw.answers["RemoteStopTransaction"] = None

    transaction = await over_quota(here, raw)
    await here.advance(5)
    asked = [action for action, _ in raw.asked]
    answers = [await raw.meter(transaction, 1200), await raw.call("Heartbeat", {})]

    assert asked[-1] == "RemoteStopTransaction"
    assert answers[0] == {}
    assert answers[1]["currentTime"] == "2025-01-15T10:32:05Z"


async def test_b02_a_stop_without_an_answer_is_no_success(site: SiteFactory) -> None:
    """No answer: asked again, shown as over_quota, and every Wh that still flows is booked."""
    here = await site(people(RFID001=1))
    raw = await here.connect()
    raw.answers["RemoteStopTransaction"] = None

    transaction = await over_quota(here, raw)
    for register in (1400, 1800, 2200):
        await here.advance(60)
        await raw.meter(transaction, register)
    await here.published()

    assert [action for action, _ in raw.asked].count("RemoteStopTransaction") >= 3
    assert here.active()[str(transaction)]["state"] == "over_quota"
    assert here.usage() == {"RFID001": 2.2}


async def test_b03_a_transaction_is_found_by_its_number(site: SiteFactory) -> None:
    """Two connectors, two drivers: each reading and each stop is of the session that its id names."""
    here = await site()
    raw = await here.connect()
    first, _ = await raw.start("RFID001", 1000, connector=1)
    second, _ = await raw.start("RFID002", 5000, connector=2)

    await here.advance(60)
    await raw.meter(second, 5400, connector=2)
    await raw.meter(first, 1100, connector=1)
    await raw.stop(second, 5500)
    await here.published()

    assert here.usage() == {"RFID001": 0.1, "RFID002": 0.5}
    assert set(here.active()) == {str(first)}


async def test_b04_a_stop_books_the_last_interval(site: SiteFactory) -> None:
    """Without any MeterValues the whole session is in meterStop; with them, the rest of it."""
    here = await site()
    silent = await here.plug("CP1", EVLINK, behaviour=Behaviour(no_meter_values=True))
    usual = await here.plug("CP2", EVLINK)

    await silent.plug_in_and_swipe(1, "RFID001", 12_000)
    await usual.plug_in_and_swipe(1, "RFID002", 12_000)
    await here.advance(90)
    await silent.stop()
    await usual.stop()
    await here.published()

    assert here.usage() == {"RFID001": 0.3, "RFID002": 0.3}


@pytest.mark.parametrize("charger_id", ["LIVOLTEK_01", "SCHNEIDER/EVlinkProAC", "BEDAS01"])
async def test_b05_the_unit_is_in_the_sample(site: SiteFactory, charger_id: str) -> None:
    """A charger's id decides no unit: Wh is Wh and kWh is kWh on each, also for start and stop once it is proven."""
    here = await site()
    raw = await here.connect(charger_id, vendor="Other make")

    in_wh, _ = await raw.start("RFID001", 20_000)
    await here.advance(60)
    await raw.meter(in_wh, 20_300)
    await raw.stop(in_wh, 20_500)
    in_kwh, _ = await raw.start("RFID002", 20_600)
    await here.advance(60)
    await raw.meter(in_kwh, "20.9", unit="kWh")
    await raw.stop(in_kwh, 21_000)
    await here.published()

    assert here.usage() == {"RFID001": 0.5, "RFID002": 0.4}


async def test_b06_a_repeated_start_is_no_second_transaction(site: SiteFactory) -> None:
    """The charge point repeats StartTransaction under a new message id: one session, its energy once."""
    here = await site()
    charge_point = await here.plug("CP1", EVLINK, behaviour=Behaviour(retry_start=True))

    await charge_point.plug_in_and_swipe(1, "RFID001", 12_000)
    await here.advance(90)
    during = len(here.active())
    await charge_point.stop()
    await here.published()

    assert charge_point.sent["StartTransaction"] == 2
    assert during == 1
    assert here.usage() == {"RFID001": 0.3}
    assert len(here.sessions()) == 1


async def test_b07_ids_of_the_same_second_differ(site: SiteFactory) -> None:
    """Ten charge points start at the same moment: ten ids; a restart in that second reuses none."""
    here = await site()
    charge_points = [await here.connect(f"CP{number}") for number in range(10)]

    started = await asyncio.gather(*(charge_point.start("RFID003") for charge_point in charge_points))
    await here.restart()
    again = await here.connect("CP0", boots=False)
    after_the_restart, _ = await again.start("RFID003", 1)

    ids = {transaction for transaction, _ in started} | {after_the_restart}
    assert len(ids) == 11
    assert all(0 < transaction < 2**31 for transaction in ids)
    assert len(here.server.central.site.transactions) == 11


async def test_b08_a_reader_never_sees_half_a_file(site: SiteFactory) -> None:
    """Whoever reads the files all the while finds each of them, and whole."""
    here = await site()
    charge_point = await here.plug("CP1", EVLINK)
    with constant_reader(here.data_dir) as trouble:
        for _ in range(3):
            await charge_point.plug_in_and_swipe(1, "RFID001", 12_000)
            await here.advance(120)
            await charge_point.stop()

    assert trouble == []


async def test_b09_an_edit_of_the_users_needs_no_restart(site: SiteFactory) -> None:
    """A new row is in force as soon as the file is saved."""
    here = await site()
    raw = await here.connect()

    before = await raw.call("Authorize", {"idTag": "NEW1"})
    await here.change_users(people() + "NEW1,New,Driver,10,FALSE,\r\n")
    after = await raw.call("Authorize", {"idTag": "NEW1"})

    assert (before["idTagInfo"]["status"], after["idTagInfo"]["status"]) == ("Invalid", "Accepted")


async def test_b10_a_quota_of_0_is_a_quota(site: SiteFactory) -> None:
    """0 and not unlimited: refused, and a session that goes on is stopped; 0 and unlimited charges."""
    here = await site("id_tag,name,surname,quota_kwh,unlimited\nNONE,No,Quota,0,FALSE\nALL,All,Quota,0,TRUE\n")
    raw = await here.connect()

    refused, refused_status = await raw.start("NONE", connector=1)
    charging, charging_status = await raw.start("ALL", connector=2)
    await here.advance(20)

    assert (refused_status, charging_status) == ("Blocked", "Accepted")
    stops = [payload["transactionId"] for action, payload in raw.asked if action == "RemoteStopTransaction"]
    assert refused in stops
    assert charging not in stops


async def test_b11_a_month_opens_at_its_first_second_and_keeps_the_old_one(site: SiteFactory) -> None:
    """Local midnight: the old month goes to the archive, a session across it is split, nothing is zeroed."""
    here = await site(now=datetime(2025, 1, 31, 20, 50, tzinfo=UTC))
    evlink = await here.plug("CP1", EVLINK)  # 20:50:02, ten minutes before midnight in Istanbul
    await evlink.plug_in_and_swipe(1, "RFID001", 12_000)

    await here.advance(597)
    before = here.status()["month"], here.usage()
    await here.advance(60 + 543)
    await evlink.stop()
    await here.advance(12)

    assert before == ("2025-01", {"RFID001": 1.8})
    assert here.status()["month"] == "2025-02"
    assert here.closed_usage("2025-01") == {"RFID001": 1.993}  # 598 s at 12 kW
    assert here.usage() == {"RFID001": 2.007}
    assert here.problems() == []


@pytest.mark.parametrize("status", ["Preparing", "Finishing", "Faulted", "SuspendedEV", "Unavailable"])
async def test_b12_a_heartbeat_alters_no_status(site: SiteFactory, status: str) -> None:
    """The status is what StatusNotification said last, however many heartbeats follow."""
    here = await site()
    raw = await here.connect()
    notification = {"connectorId": 1, "status": status, "errorCode": "NoError"}

    await raw.call("StatusNotification", notification)
    for _ in range(3):
        await here.advance(60)
        await raw.call("Heartbeat", {})
    await here.published()

    charger = here.chargers()["CP1"]
    assert (charger["status"], charger["last_heartbeat"]) == (status, "2025-01-15T10:33:00Z")


async def test_b13_the_late_end_of_an_old_socket_touches_nothing(site: SiteFactory) -> None:
    """A second connection of the same id while the old one looks open: it stays connected and can be stopped."""
    here = await site(people(RFID001=1))
    old = await here.connect()
    transaction, _ = await old.start("RFID001")
    new = await here.connect(boots=False)

    await old.closed()
    await here.advance(60)
    await new.meter(transaction, 1100)
    await here.advance(2)

    assert here.chargers()["CP1"]["status"] != "Offline"
    assert here.chargers()["CP1"]["connected"] is True
    assert ("RemoteStopTransaction", {"transactionId": transaction}) in new.asked


async def test_b14_no_answer_waits_for_a_system_outside(site: SiteFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A charge point waits for the ledger alone. Here the one that publishes files hangs for the whole session, and
    every message is answered and booked all the same. A receiver of readings that hangs: see the next test.
    """
    here = await site()
    raw = await here.connect()
    publishing, go_on = asyncio.Event(), asyncio.Event()
    write = Publisher._write_in_thread

    async def hang(publisher: Publisher, *args: Any, **kwargs: Any) -> Any:
        publishing.set()
        await go_on.wait()
        return await write(publisher, *args, **kwargs)

    monkeypatch.setattr(Publisher, "_write_in_thread", hang)
    transaction, status = await raw.start("RFID001", 1000)
    await here.advance(60)
    answers = [await raw.meter(transaction, 1300), await raw.stop(transaction, 1500)]
    unpublished = publishing.is_set(), here.usage()
    go_on.set()
    await here.advance(2)

    assert (status, answers) == ("Accepted", [{}, {}])
    assert unpublished == (True, {})
    assert here.usage() == {"RFID001": 0.5}
    assert here.status()["forwarder"] == {"enabled": False, "backlog": 0, "last_error": None}


async def test_b14_a_receiver_that_hangs_holds_up_no_answer(site: SiteFactory) -> None:
    """It takes the reading of this session, says nothing, and gets the rest when it answers again."""
    asked, go_on, bodies = asyncio.Event(), asyncio.Event(), list[Any]()

    async def hang(request: web.Request) -> web.Response:
        bodies.append(await request.json())
        asked.set()
        await go_on.wait()
        return web.Response()

    application = web.Application()
    application.router.add_post("/readings", hang)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        here = await site(forward_url=f"http://127.0.0.1:{runner.addresses[0][1]}/readings")
        raw = await here.connect()
        transaction, status = await raw.start("RFID001", 1000)
        first = await raw.meter(transaction, 1100)
        await here.advance(2)
        async with asyncio.timeout(LIMIT_S):
            await asked.wait()
        answers = [first, await raw.meter(transaction, 1300), await raw.stop(transaction, 1500)]
        await here.advance(2)
        booked = here.usage()
    finally:
        go_on.set()
        await runner.cleanup()

    assert (status, answers, booked) == ("Accepted", [{}, {}, {}], {"RFID001": 0.5})
    assert bodies[0]["userName"]


async def test_b15_a_refusal_says_why_and_offline_energy_is_booked(site: SiteFactory) -> None:
    """Invalid, Blocked, Expired; a start that is refused is stored, with the charge point's own time."""
    here = await site(
        "id_tag,name,surname,quota_kwh,unlimited,blocked,expiry_date\n"
        "USED,Used,Up,0,FALSE,,\nLOCKED,Locked,Out,10,FALSE,TRUE,\nOLD,Old,Card,10,FALSE,,2024-12-31\n"
    )
    raw = await here.connect()
    began = here.clock.now() - timedelta(hours=2)

    statuses = [
        (await raw.call("Authorize", {"idTag": tag}))["idTagInfo"]["status"]
        for tag in ("STRANGER", "USED", "LOCKED", "OLD")
    ]
    transaction, status = await raw.start("STRANGER", 1000, ago_s=7200)
    await raw.stop(transaction, 4000, ago_s=3600)
    await here.published()

    assert statuses == ["Invalid", "Blocked", "Blocked", "Expired"]
    assert status == "Invalid"
    assert here.usage() == {"STRANGER": 3.0}
    (row,) = here.sessions()
    assert row["start_utc"] == f"{began:%Y-%m-%dT%H:%M:%SZ}"
    assert row["flags"] == "started offline; refused: unknown tag"


async def test_b16_what_the_readme_promises_is_there(site: SiteFactory) -> None:
    """GetConfiguration is sent at each boot and its answer shown; the meter log stays at 500 entries."""
    here = await site()
    charge_point = await here.plug("CP1", GENERIC)
    raw = await here.connect("CP2")
    transaction, _ = await raw.start(ago_s=600)
    values = [
        {"timestamp": raw.stamp(600 - second), "sampledValue": [{"value": str(second)}]} for second in range(1, 601)
    ]
    await raw.call("MeterValues", {"connectorId": 1, "transactionId": transaction, "meterValue": values})
    await here.advance(12)

    assert charge_point.received["GetConfiguration"] == 1
    assert here.chargers()["CP1"]["configuration"]["MeterValueSampleInterval"] == "60"
    assert len(here.log()) == 500
