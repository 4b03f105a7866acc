"""For whom there is room: counts by address, rates, who makes room for whom, and what is remembered."""

import logging
import resource
from datetime import UTC, datetime
from ipaddress import ip_network
from zoneinfo import ZoneInfo

import pytest

from ocpp_server.core.admission import LetIn, TurnedAway
from ocpp_server.core.records import Admission, ChargePoint
from ocpp_server.core.site import Policy, Site
from ocpp_server.ocpp16.peer import counted_as
from ocpp_server.ocpp16.turnstile import Seat, Turnstile, raise_file_limit

AT = datetime(2025, 1, 15, tzinfo=UTC)
AT_SITE, ABROAD, PROXY = "192.168.1.9", "192.0.2.1", "10.9.9.9"
APPROVED, PENDING = LetIn(Admission.APPROVED, 0), LetIn(Admission.PENDING, 0)


class Entrance:
    """A turnstile of a site, a clock in seconds that the test turns, and who was aborted."""

    def __init__(self, most: int = 500, files: int = 100_000) -> None:
        self.now = 0.0
        self.aborted: list[str] = []
        self.site = Site(Policy(ZoneInfo("UTC")))
        networks, proxies = [ip_network("192.168.0.0/16"), ip_network("fd00::/8")], [ip_network(f"{PROXY}/32")]
        self.turnstile = Turnstile(self.site, most, networks, proxies, files=files, now=lambda: self.now)

    def know(self, charge_point_id: str, admission: Admission = Admission.APPROVED, **addresses: str) -> None:
        """A charge point in the ledger; `address` and `home_address` are where it came from."""
        known = ChargePoint(charge_point_id, first_seen=AT, admission=admission, **addresses)
        self.site.charge_points[charge_point_id] = known
        self.now += 1.0  # addresses are looked up once a second

    def enter(self, address: str, name: str = "") -> Seat | None:
        return self.turnstile.enter(address, lambda: self.aborted.append(name or address))

    def enter_slowly(self, address: str, count: int) -> list[Seat | None]:
        """One after another, within the rate."""
        seats = []
        for _ in range(count):
            self.now += 0.11
            seats.append(self.enter(address))
        return seats


@pytest.mark.parametrize(("address", "most"), [(AT_SITE, 20), (ABROAD, 5), ("2a00:1450::1", 5), ("fd00::1", 20)])
def test_an_address_has_so_many_connections_at_most(address: str, most: int) -> None:
    """T12: 20 in the site's networks, 5 elsewhere; one that ends gives its place back, once."""
    door = Entrance()

    seats = door.enter_slowly(address, most + 3)
    assert [seat is not None for seat in seats] == [True] * most + [False] * 3
    assert seats[0] is not None
    door.turnstile.leave(seats[0])
    door.turnstile.leave(seats[0])
    assert [seat is not None for seat in door.enter_slowly(address, 2)] == [True, False]
    assert len(door.turnstile) == most


def test_an_address_makes_ten_connections_a_second() -> None:
    """T12: however short they are."""
    door = Entrance()

    def knocks(count: int) -> int:
        seats = [door.enter(AT_SITE) for _ in range(count)]
        for seat in seats:
            if seat is not None:
                door.turnstile.leave(seat)
        return sum(seat is not None for seat in seats)

    assert knocks(15) == 10
    door.now += 0.5
    assert knocks(15) == 5
    door.now += 60
    assert knocks(15) == 10


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", PROXY, "::ffff:127.0.0.1"])
def test_this_machine_and_its_proxies_are_exempt_from_the_caps_per_address(address: str) -> None:
    """Issue 3, point 4."""
    door = Entrance()

    assert all(door.enter(address) is not None for _ in range(100))


@pytest.mark.parametrize("which", ["address", "home_address"])
def test_the_address_of_an_approved_charge_point_is_exempt(which: str) -> None:
    """Issue 3, point 4; one that only waits for approval is not, nor one that was locked."""
    door = Entrance()
    door.know("CP1", **{which: ABROAD})
    door.know("CP2", Admission.PENDING, **{which: "192.0.2.2"})
    door.know("CP3", Admission.LOCKED, **{which: "192.0.2.3"})

    assert all(door.enter(ABROAD) is not None for _ in range(30))
    assert sum(door.enter("192.0.2.2") is not None for _ in range(30)) == 5
    assert sum(door.enter("192.0.2.3") is not None for _ in range(30)) == 5


def test_a_stranger_has_one_address_in_ipv6() -> None:
    """Its whole /64; charge points of the site share one. IPv4 in IPv6 is IPv4."""
    assert counted_as("2a00:1450:1:2:3:4:5:6") == counted_as("2a00:1450:1:2::1") == "2a00:1450:1:2::/64"
    assert counted_as("fd00::1") == "fd00::1"
    assert counted_as("fe80::1%eth0") == "fe80::1"
    assert counted_as("::ffff:192.0.2.1") == ABROAD
    assert counted_as("unknown") == "unknown"


def test_the_oldest_stranger_makes_room() -> None:
    """T12: 500 silent sockets lock nobody out; whoever has shaken hands stays, whoever is known goes last."""
    door = Entrance(most=4)
    door.know("CP1", address=AT_SITE)
    known, established = door.enter(AT_SITE, "known"), door.enter("192.0.2.1", "established")
    assert known
    assert established
    assert door.turnstile.room_for(established, "192.0.2.1", APPROVED) == APPROVED
    for number in range(2, 7):
        door.now += 1
        assert door.enter(f"192.0.2.{number}") is not None

    assert door.aborted == ["192.0.2.2", "192.0.2.3", "192.0.2.4"]
    assert len(door.turnstile) == 4


def test_a_silent_socket_at_a_known_address_makes_room_after_a_second() -> None:
    """Real charge points that all come back at once do not push one another out."""
    door = Entrance(most=3)

    assert all(door.enter("127.0.0.1", f"{number}") for number in range(6))
    assert door.aborted == []
    assert door.enter("127.0.0.1", "6")  # more than twice as many as there may be is too many all the same
    assert door.aborted == ["0"]
    door.now += 1
    assert door.enter("127.0.0.1", "7")
    assert door.aborted == ["0", "1"]


def test_nobody_is_aborted_for_more_than_there_are_files() -> None:
    """T12: below RLIMIT_NOFILE, whatever the setting says."""
    door = Entrance(most=500, files=3)
    seats = [door.enter("127.0.0.1", f"{number}") for number in range(3)]
    for seat in seats:
        assert seat
        door.turnstile.room_for(seat, "127.0.0.1", APPROVED)

    assert door.enter("127.0.0.1", "late") is None
    assert door.aborted == []


def test_only_approved_charge_points_are_let_in_above_the_cap() -> None:
    """Issue 3, point 4: an approved charge point is refused by no cap; others get 503."""
    door = Entrance(most=2)
    for _ in range(3):
        seat = door.enter("127.0.0.1")
        assert seat
        assert door.turnstile.room_for(seat, "127.0.0.1", APPROVED) == APPROVED
    pending = door.enter("127.0.0.1")
    assert pending

    verdict = door.turnstile.room_for(pending, "127.0.0.1", PENDING)
    assert isinstance(verdict, TurnedAway)
    assert verdict.status == 503
    assert door.turnstile.is_full


def test_behind_a_proxy_the_forwarded_address_counts() -> None:
    """Issue 3, point 4: 429 for the sixth; also for those who are turned away anyway; not for approved ones."""
    door = Entrance()
    refused = TurnedAway(404, "is unknown")

    def arrive(address: str, verdict: LetIn | TurnedAway) -> int:
        door.now += 0.11
        seat = door.enter(PROXY)
        assert seat
        after = door.turnstile.room_for(seat, address, verdict)
        return after.status if isinstance(after, TurnedAway) else 101

    assert [arrive(ABROAD, PENDING) for _ in range(6)] == [101] * 5 + [429]
    assert arrive(ABROAD, refused) == 429
    assert arrive("192.0.2.77", refused) == 404
    assert [arrive(ABROAD, APPROVED) for _ in range(10)] == [101] * 10
    door.turnstile.abort_waiting()
    assert len(door.turnstile) == 15


def test_counts_are_forgotten() -> None:
    """T12: who has seen ten thousand addresses remembers only those that are here."""
    door = Entrance(most=100_000)
    here = door.enter(ABROAD)
    for number in range(10_000):
        seat = door.enter(f"10.{number // 250}.{number % 250}.1")
        assert seat
        door.turnstile.leave(seat)

    assert here
    assert len(door.turnstile._counts) <= 4096
    assert len(door.turnstile) == 1
    assert sum(door.enter(ABROAD) is not None for _ in range(10)) == 4
    door.now += 10
    door.turnstile.leave(here)
    for seat in [*door.turnstile._strangers.values()]:
        door.turnstile.leave(seat)
    assert ABROAD not in door.turnstile._counts


def test_refusals_are_logged_once_per_address_and_minute(caplog: pytest.LogCaptureFixture) -> None:
    """T26: a flood does not fill the disk with lines about it: 60 a minute in all."""
    door = Entrance()
    with caplog.at_level(logging.WARNING):
        door.enter_slowly(ABROAD, 100)
        assert len(caplog.records) == 1
        for number in range(200):
            door.turnstile.tell(f"203.0.113.{number}", "flood")
        assert len(caplog.records) == 60
        door.now += 60
        door.turnstile.tell(ABROAD, "flood")

    assert len(caplog.records) == 61
    assert "[CONNECT] refused address=192.0.2.1 connections=5 reason='too many connections from this address'" in (
        caplog.text
    )


def test_the_limit_of_open_files_is_raised_to_what_is_allowed() -> None:
    """T12: the cap stays 256 below it, for the ledger and the files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 700), hard))
    try:
        room = raise_file_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert hard == resource.RLIM_INFINITY or room == max(10, hard - 256)
