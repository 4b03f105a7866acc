"""What a handshake proves: HTTP Basic, certificates, and what is not looked at (T1, T4, T5)."""

import base64
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest
from canaries import CANARY_KEY
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.http11 import Request

from ocpp_server.authorization_key import hash_key
from ocpp_server.clock import Clock
from ocpp_server.core import changes as ch
from ocpp_server.core.admission import LetIn, TurnedAway
from ocpp_server.core.records import Admission, ChargePoint
from ocpp_server.core.site import Policy, Site, apply
from ocpp_server.ocpp16.doorkeeper import Doorkeeper, basic_key
from ocpp_server.ocpp16.key_checker import KeyChecker

KEY = CANARY_KEY
HASH = hash_key(KEY)
NOW = Clock().now()


def basic(user: str, key: bytes, scheme: str = "Basic ") -> str:
    return scheme + base64.b64encode(user.encode() + b":" + key).decode()


# --- the header ---


@pytest.mark.parametrize(
    ("charge_point_id", "user"),
    [
        ("CP1", "CP1"),
        ("CP1", "cp1"),
        ("SCHNEIDER/EVlinkProAC", "SCHNEIDER/EVlinkProAC"),
        ("SCHNEIDER/EVlinkProAC", "EVlinkProAC"),
        ("A/B/C", "C"),
        ("A:B", "A:B"),
        ("A:B:", "A:B:"),
        ("S/A:B", "a:b"),
    ],
)
def test_the_user_is_the_id_or_its_last_part(charge_point_id: str, user: str) -> None:
    """OCPP-J §6.2; charge points know only what they add to the address themselves. Case does not count."""
    assert basic_key(basic(user, b"key"), charge_point_id) == b"key"


@pytest.mark.parametrize(
    ("charge_point_id", "user"),
    [
        ("CP1", ""),
        ("CP1", "CP"),
        ("CP1", "CP10"),
        ("CP1", " CP1"),
        ("CP1", "SITE/CP1"),
        ("A/B/C", "A"),
        ("A/B/C", "B/C"),
        ("A:B", "A"),
        ("CP1", "CP2"),
    ],
)
def test_another_user_name_is_no_key_of_this_one(charge_point_id: str, user: str) -> None:
    """T1. What `A` sends as its key may begin with `B:`; it is not the charge point A:B for that."""
    key = basic_key(basic(user, b"key"), charge_point_id)

    assert key is None


def test_the_id_comes_first_and_the_rest_is_the_key_whatever_is_in_it() -> None:
    """Keys may have colons."""
    assert basic_key(basic("CP1", b"a:b::c"), "CP1") == b"a:b::c"
    assert basic_key(basic("A", b"B:key"), "A") == b"B:key"
    assert basic_key(basic("CP1", b""), "CP1") == b""


def test_a_key_may_be_any_bytes() -> None:
    """OCPP-J §6.2 has an example; NUL and 0xFF too."""
    every = bytes(range(256))

    assert basic_key(basic("CP1", every), "CP1") == every


@given(st.binary(max_size=64))
def test_every_key_comes_through(key: bytes) -> None:
    """From the header to the checker nothing is decoded as text."""
    assert basic_key(basic("CP1", key), "CP1") == key


@pytest.mark.parametrize("scheme", ["Basic ", "basic ", "BASIC ", "Basic  "])
def test_the_scheme_is_read_in_any_case(scheme: str) -> None:
    """RFC 7235 §2.1."""
    assert basic_key(basic("CP1", b"key", scheme), "CP1") == b"key"


GOOD = basic("CP1", b"key").removeprefix("Basic ")


@pytest.mark.parametrize(
    "header",
    [
        "",
        " ",
        "Basic",
        "Basic ",
        GOOD,
        f"Bearer {GOOD}",
        f"Digest {GOOD}",
        f"Basic{GOOD}",
        f"Basic:{GOOD}",
        f"Basic {GOOD[:-1]}",
        f"Basic {GOOD}=",
        f"Basic {GOOD[:4]} {GOOD[4:]}",
        f"Basic *{GOOD[1:]}",
        f"Basic {GOOD},Basic {GOOD}",
        "Basic CP1:key",
        "Basic Q1Ax",
        "Basic \udcff\udcfe",
        "Basic " + "é" * 8,
        basic("CP1", b"k" * 400),
        "Basic " + "A" * 100_000,
    ],
)
def test_what_is_no_basic_header_of_this_one_is_no_key(header: str) -> None:
    """Other schemes, broken base64, no colon, two headers in one, over-long ones: nothing is guessed."""
    assert basic_key(header, "CP1") is None


@given(st.text(), st.text(min_size=1, max_size=20))
def test_no_header_raises(header: str, charge_point_id: str) -> None:
    """T9: whatever stands in it."""
    for text in (header, f"Basic {header}", "Basic " + base64.b64encode(header.encode(errors="replace")).decode()):
        assert isinstance(basic_key(text, charge_point_id), bytes | None)


# --- the proof ---


@dataclass
class Transport:
    names: tuple[str, ...] = ()

    def get_extra_info(self, name: str) -> Any:
        subject = tuple((("commonName", one),) for one in self.names)
        return {"peercert": {"subject": subject}, "ssl_object": self}[name] if self.names else None


@dataclass
class Socket:
    remote_address: tuple[str, int]
    transport: Transport


class House:
    """A doorkeeper at a site with charge points that have a key, none, or a serial number."""

    def __init__(self) -> None:
        self.keys = KeyChecker()
        site = Site(Policy(ZoneInfo("UTC")))
        for one in (
            ChargePoint("KEYED", NOW, key_hash=HASH, serial_number="SN1"),
            ChargePoint("PLAIN", NOW),
            ChargePoint("SHUT", NOW, Admission.LOCKED, key_hash=HASH),
        ):
            apply(site, ch.PutChargePoint(one))
        self.door = Doorkeeper(site, self.keys, [ip_network("10.0.0.0/8")])

    async def knock(
        self, charge_point_id: str, *headers: str, address: str = "10.0.0.7", names: tuple[str, ...] = ()
    ) -> object:
        """(what it is let in as, its profile), or the status."""
        made = Headers()
        for header in headers:
            made["Authorization"] = header
        connection = cast("ServerConnection", Socket((address, 1), Transport(names)))
        _, verdict = await self.door.judge(connection, Request("/", made), charge_point_id, NOW)
        return verdict.status if isinstance(verdict, TurnedAway) else (verdict.admission, verdict.security_profile)


@pytest.fixture
def house() -> Any:
    made = House()
    yield made
    made.keys.close()


IN = Admission.APPROVED
OUTSIDE = "100.64.0.1"
"""Neither of the site nor the internet: TLS is not asked for."""


@pytest.mark.parametrize("key", [KEY.encode(), KEY.upper().encode(), bytes.fromhex(KEY)])
async def test_the_right_key_in_either_notation_is_profile_1(house: House, key: bytes) -> None:
    """A00, A01."""
    assert await house.knock("KEYED", basic("KEYED", key)) == (IN, 1)
    assert await house.knock("KEYED", basic("KEYED", key), address=OUTSIDE) == (IN, 1)


@pytest.mark.parametrize("header", [basic("KEYED", b"wrong"), basic("PLAIN", KEY.encode()), "Bearer x", "Basic !", ""])
async def test_who_has_a_key_is_401_with_anything_else(house: House, header: str) -> None:
    """T1: also the right key under another name, another scheme, or none."""
    assert await house.knock("KEYED", *([header] if header else [])) == 401


async def test_two_headers_are_401_even_if_both_are_right(house: House) -> None:
    """T1."""
    assert await house.knock("KEYED", basic("KEYED", KEY.encode()), basic("KEYED", KEY.encode())) == 401


@pytest.mark.parametrize("charge_point_id", ["PLAIN", "NEW"])
@pytest.mark.parametrize("header", [basic("PLAIN", b"x" * 20), basic("admin", b"pass"), "Bearer x", "Basic !", "Basic"])
async def test_on_the_site_nothing_is_looked_at_that_was_not_asked_for(
    house: House, charge_point_id: str, header: str
) -> None:
    """A header left over from another system, in whatever form: without it one is let in as well."""
    admission = IN if charge_point_id == "PLAIN" else Admission.PENDING

    assert await house.knock(charge_point_id, header) == (admission, 0)
    assert house.keys.hashed == 0


@pytest.mark.parametrize("charge_point_id", ["KEYED", "PLAIN", "SHUT", "NEW"])
async def test_from_outside_a_wrong_key_costs_the_same_for_every_id(house: House, charge_point_id: str) -> None:
    """T5: one hash and 401, known or not."""
    assert await house.knock(charge_point_id, basic(charge_point_id, b"x" * 20), address=OUTSIDE) == 401
    assert house.keys.hashed == 1


@pytest.mark.parametrize("charge_point_id", ["KEYED", "PLAIN", "SHUT", "NEW"])
async def test_from_outside_nothing_is_hashed_for_a_header_that_is_none(house: House, charge_point_id: str) -> None:
    """T4, T5: the same for every id again."""
    assert await house.knock(charge_point_id, "Basic !", address=OUTSIDE) == 401
    assert await house.knock(charge_point_id, address=OUTSIDE) == 404
    assert house.keys.hashed == 0


async def test_the_right_key_does_not_open_a_locked_door(house: House) -> None:
    """A person shut it out."""
    assert await house.knock("SHUT", basic("SHUT", KEY.encode())) == 404


@pytest.mark.parametrize(
    ("charge_point_id", "names", "expected"),
    [
        ("KEYED", ("KEYED",), (IN, 3)),
        ("KEYED", ("SN1",), (IN, 3)),
        ("KEYED", ("PLAIN",), 401),
        ("KEYED", ("keyed",), 401),
        ("KEYED", ("",), 401),
        ("PLAIN", ("",), 401),
        ("PLAIN", ("SN1",), 401),
        ("PLAIN", ("OTHER", "PLAIN"), (IN, 3)),
        ("NEW", ("NEW",), (Admission.PENDING, 3)),
        ("SHUT", ("SHUT",), 404),
    ],
)
async def test_a_certificate_names_the_charge_point_or_its_serial_number(
    house: House, charge_point_id: str, names: tuple[str, ...], expected: object
) -> None:
    """Profile 3; a charge point that told no serial number is not named by a blank one."""
    assert await house.knock(charge_point_id, names=names, address=OUTSIDE) == expected


async def test_a_certificate_of_another_is_wrong_whatever_key_comes_with_it(house: House) -> None:
    """T1."""
    assert await house.knock("KEYED", basic("KEYED", KEY.encode()), names=("PLAIN",)) == 401


async def test_a_peer_that_cannot_be_told_is_404(house: House) -> None:
    """T1: an unnamed proxy; the reason is for the log."""
    connection = cast("ServerConnection", Socket(("10.0.0.7", 1), Transport()))
    found, verdict = await house.door.judge(connection, Request("/", Headers(Via="1.1 proxy")), "KEYED", NOW)

    assert found is None
    assert isinstance(verdict, TurnedAway)
    assert (verdict.status, "EVQUOTA_TRUSTED_PROXIES=10.0.0.7" in verdict.reason) == (404, True)


async def test_after_ten_wrong_keys_the_address_is_429(house: House) -> None:
    """T4. Another address is not touched by it."""
    for _ in range(10):
        assert await house.knock("KEYED", basic("KEYED", b"guess"), address=OUTSIDE) == 401

    assert await house.knock("KEYED", basic("KEYED", b"guess"), address=OUTSIDE) == 429
    assert house.keys.hashed == 10
    assert await house.knock("KEYED", basic("KEYED", KEY.encode())) == (IN, 1)


async def test_a_verdict_tells_its_reason_to_nobody_but_the_log(house: House) -> None:
    """The verdict of one that is let in has none."""
    connection = cast("ServerConnection", Socket(("10.0.0.7", 1), Transport()))
    found, verdict = await house.door.judge(connection, Request("/", Headers()), "PLAIN", NOW)

    assert found is not None
    assert verdict == LetIn(IN, 0)
