"""Charge points that wait for approval: what they are answered, what is kept, how many there may be (T1, T26)."""

import asyncio
from datetime import timedelta

import pytest
from running_site import MORNING, RunningSite, SiteFactory, people
from stepped_clock import SteppedClock
from websockets.exceptions import ConnectionClosed, InvalidStatus

from ocpp_server.core import commands as cmd
from ocpp_server.core.admission import MOST_PENDING
from ocpp_server.core.records import Admission, NoteKind

STRANGER = "STRANGER"


def forwarded(address: str = "192.168.7.7") -> dict[str, list[tuple[str, str]]]:
    """Comes through the proxy of the site, from this address."""
    return {"headers": [("X-Forwarded-For", address)]}


async def with_proxy(site: SiteFactory, **settings: object) -> RunningSite:
    return await site(people(), trusted_proxies="127.0.0.1", **settings)


def waiting(running: RunningSite) -> set[str]:
    known = running.server.central.site.charge_points.values()
    return {one.charge_point_id for one in known if one.admission is Admission.PENDING}


async def come_and_go(running: RunningSite, charge_point_id: str, address: str) -> None:
    await (await running.connect(charge_point_id, boots=False, **forwarded(address))).close()


async def test_a_stranger_of_the_site_waits_and_is_listed(site: SiteFactory) -> None:
    """Rule 23, T1: Boot is answered Pending, again in a minute; the dashboard shows who waits."""
    running = await with_proxy(site)
    stranger = await running.connect(STRANGER, boots=False, **forwarded())

    answer = await stranger.boot()
    assert (answer["status"], answer["interval"]) == ("Pending", 60)

    await running.published()
    assert running.chargers()[STRANGER]["admission"] == "pending"


async def test_a_stranger_authorizes_nobody_and_spends_nobodys_quota(site: SiteFactory) -> None:
    """Rules 18 and 23: everything is confirmed and kept, nothing counts on the card that it names."""
    running = await with_proxy(site)
    stranger = await running.connect(STRANGER, **forwarded())

    authorized = await stranger.call("Authorize", {"idTag": "RFID001"})
    number, status = await stranger.start("RFID001", meter=1_000)
    await running.advance(60)
    read = await stranger.meter(number, 1_500)
    await running.advance(60)
    stopped = await stranger.stop(number, 2_000, idTag="RFID001")
    await running.published()

    assert (authorized["idTagInfo"]["status"], status, read) == ("Invalid", "Invalid", {})
    assert stopped == {"idTagInfo": {"status": "Invalid"}}
    session = running.transaction(number)
    assert (session.energy, session.is_open, session.id_tag) == (1_000, False, "RFID001")
    assert session.flags[0] == "refused: charge point is not approved yet"
    assert running.usage().get("RFID001", 0) == 0
    assert [row["energy_kwh"] for row in running.sessions()] == ["1.0"]
    assert running.problems() == []


async def test_a_stop_that_fits_no_session_is_confirmed_and_kept(site: SiteFactory) -> None:
    """Rules 20 and 23: its start was told to the system before this one."""
    running = await with_proxy(site)
    stranger = await running.connect(STRANGER, **forwarded())

    assert await stranger.stop(4_711, 2_000) == {}
    assert await stranger.meter(4_711, 1_500) == {}

    assert running.notes(NoteKind.ORPHAN)
    assert running.usage() == {}


async def test_once_approved_it_boots_accepted_and_charges(site: SiteFactory) -> None:
    """The whole way of a new charge point."""
    running = await with_proxy(site)
    stranger = await running.connect(STRANGER, **forwarded())
    await running.server.central.handle(cmd.ApproveChargePoint(running.clock.now(), STRANGER, "test"))

    assert (await stranger.boot())["status"] == "Accepted"
    number, status = await stranger.start("RFID001", meter=0)
    await running.advance(60)
    await stranger.stop(number, 500)
    await running.published()

    assert status == "Accepted"
    assert running.usage()["RFID001"] == 0.5


async def test_twenty_wait_the_next_are_404_and_known_ones_come_in(site: SiteFactory) -> None:
    """T26: a flood of ids fills no table, and keeps nobody out who belongs."""
    running = await with_proxy(site)
    await running.server.central.handle(cmd.ApproveChargePoint(running.clock.now(), "MINE", "test"))
    for number in range(MOST_PENDING):
        await come_and_go(running, f"S{number}", f"192.168.1.{number}")

    for number in range(30):
        with pytest.raises(InvalidStatus, match="404"):
            await running.connect(f"T{number}", boots=False, **forwarded(f"192.168.2.{number}"))

    assert waiting(running) == {f"S{number}" for number in range(MOST_PENDING)}
    assert (await (await running.connect("S3", boots=False, **forwarded("192.168.1.3"))).boot())["status"] == "Pending"
    assert (await (await running.connect("MINE", boots=False, **forwarded())).boot())["status"] == "Accepted"


async def test_a_hundred_strangers_at_once_are_twenty(site: SiteFactory) -> None:
    """T26: their handshakes are judged before the first of them is written down."""
    running = await with_proxy(site)

    async def come(number: int) -> bool:
        try:
            stranger = await running.connect(f"S{number}", boots=False, **forwarded(f"192.168.3.{number}"))
            return (await stranger.boot())["status"] == "Pending"
        except (InvalidStatus, ConnectionClosed, asyncio.CancelledError):
            return False

    came = await asyncio.gather(*(come(number) for number in range(100)))

    assert came.count(True) == len(waiting(running)) == MOST_PENDING


async def test_who_was_not_approved_within_a_day_is_forgotten(site: SiteFactory) -> None:
    """24 h after it was last heard of, by the clock of the site; there is room for others then."""
    running = await with_proxy(site)
    for number in range(MOST_PENDING):
        await come_and_go(running, f"S{number}", f"192.168.1.{number}")
    await running.restart()
    assert len(waiting(running)) == MOST_PENDING

    await a_later_start(running, timedelta(hours=23.9))
    assert len(waiting(running)) == MOST_PENDING
    with pytest.raises(InvalidStatus, match="404"):
        await running.connect("NEXT", boots=False, **forwarded())

    await a_later_start(running, timedelta(hours=24.1))
    assert waiting(running) == set()
    assert "S0" not in running.chargers()
    assert (await (await running.connect("NEXT", boots=False, **forwarded())).boot())["status"] == "Pending"


async def a_later_start(running: RunningSite, after: timedelta) -> None:
    """Start the server again so long after the morning; housekeeping and the publisher have looked."""
    await running.stop()
    running.clock = SteppedClock(MORNING + after)
    await running.start()
    await running.advance(2)
