"""Who is at the other end: addresses, places, and whose word counts (T1, T2, T4)."""

from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any, cast

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.http11 import Request

from ocpp_server.core.admission import Place
from ocpp_server.ocpp16.peer import Network, Peer, PeerError, address_of, is_in, peer_of, place_of
from ocpp_server.settings import LOCAL_NETWORKS

LOCAL = [ip_network(part) for part in LOCAL_NETWORKS.split(",")]
PROXY = "10.0.0.1"


@dataclass
class Transport:
    """What asyncio tells of a connection."""

    extra: dict[str, Any]

    def get_extra_info(self, name: str) -> Any:
        return self.extra.get(name)


@dataclass
class Socket:
    """A TCP or TLS connection from this address."""

    remote_address: tuple[Any, ...] | None
    transport: Transport = field(default_factory=lambda: Transport({}))


def socket(address: str = PROXY, *, tls: bool = False, names: tuple[str, ...] = ()) -> ServerConnection:
    certificate = {"subject": ((("organizationName", "O"),), *((("commonName", name),) for name in names))}
    extra = {"ssl_object": object() if tls or names else None, "peercert": certificate if names else None}
    return cast("ServerConnection", Socket((address, 50_000), Transport(extra)))


def peer(
    connection: ServerConnection,
    *headers: tuple[str, str],
    networks: list[Network] | None = None,
    proxies: tuple[str, ...] = (),
) -> Peer:
    made = Headers()
    for name, value in headers:
        made[name] = value
    return peer_of(
        connection, Request("/CP1", made), LOCAL if networks is None else networks, [ip_network(p) for p in proxies]
    )


def through(*hops: str, by: tuple[str, ...] = (PROXY,), **options: Any) -> Peer:
    """What comes through the proxy, with these X-Forwarded-For headers."""
    return peer(socket(), *(("X-Forwarded-For", hop) for hop in hops), proxies=by, **options)


# --- places ---


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("127.0.0.1", Place.LOOPBACK),
        ("127.8.9.1", Place.LOOPBACK),
        ("::1", Place.LOOPBACK),
        ("192.168.1.7", Place.SITE),
        ("172.31.255.255", Place.SITE),
        ("fd00::7", Place.SITE),
        ("fe80::7", Place.SITE),
        ("172.32.0.1", Place.INTERNET),
        ("8.8.4.4", Place.INTERNET),
        ("2001:4860:4860::8888", Place.INTERNET),
        ("100.64.0.1", Place.OUTSIDE),
        ("203.0.113.9", Place.OUTSIDE),
        ("2001:db8::1", Place.OUTSIDE),
        ("0.0.0.0", Place.OUTSIDE),
        ("::", Place.OUTSIDE),
    ],
)
def test_where_an_address_is(address: str, place: Place) -> None:
    """The private ranges are the site's unless told otherwise; shared address space (RFC 6598) is not the internet."""
    assert place_of(ip_address(address), LOCAL) is place


def test_the_setting_replaces_the_private_ranges() -> None:
    """Another private network is then outside, a public one can be the site's, this machine stays this machine."""
    networks = [ip_network("192.168.1.0/24"), ip_network("8.8.4.0/24")]

    places = [place_of(ip_address(one), networks) for one in ("192.168.1.7", "8.8.4.4", "10.0.0.1", "127.0.0.1", "::1")]

    assert places == [Place.SITE, Place.SITE, Place.OUTSIDE, Place.LOOPBACK, Place.LOOPBACK]


def test_an_address_of_one_version_is_in_no_network_of_the_other() -> None:
    """`in` itself would raise or lie."""
    assert not is_in(ip_address("::1"), [ip_network("0.0.0.0/0")])
    assert not is_in(ip_address("127.0.0.1"), [ip_network("::/0")])


@pytest.mark.parametrize(
    ("socket_address", "address"),
    [
        ("::ffff:192.168.1.7", "192.168.1.7"),
        ("::ffff:127.0.0.1", "127.0.0.1"),
        ("fe80::7%eth0", "fe80::7"),
        ("fe80::7%25", "fe80::7"),
        ("2001:DB8::1", "2001:db8::1"),
    ],
)
def test_addresses_are_written_one_way(socket_address: str, address: str) -> None:
    """IPv4 through an IPv6 socket is IPv4; a zone is of no use to anybody."""
    assert peer(socket(socket_address)).address == address


def test_a_connection_that_is_gone_has_no_address() -> None:
    """It may close while its handshake is read."""
    with pytest.raises(PeerError, match="gone"):
        address_of(cast("ServerConnection", Socket(None)))


# --- directly connected ---


def test_who_connects_directly_is_what_the_connection_is() -> None:
    """Encryption and certificate are those of the TLS handshake."""
    assert peer(socket("192.168.1.7")) == Peer("192.168.1.7", Place.SITE)
    assert peer(socket("192.168.1.7", tls=True)) == Peer("192.168.1.7", Place.SITE, is_encrypted=True)
    with_names = peer(socket("8.8.4.4", names=("CP1", "SN1")), ("Authorization", "Basic QQ=="))
    assert with_names == Peer("8.8.4.4", Place.INTERNET, True, ("CP1", "SN1"), "Basic QQ==")


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "192.168.1.7"])
@pytest.mark.parametrize(
    "name",
    ["X-Forwarded-For", "x-forwarded-for", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded", "X-Real-IP", "Via"],
)
def test_a_proxy_that_is_not_named_is_told_apart(address: str, name: str) -> None:
    """Behind it everybody looks like this machine, or like one of the site: nobody is let in until it is named."""
    with pytest.raises(PeerError, match=f"set EVQUOTA_TRUSTED_PROXIES={address} in .env"):
        peer(socket(address), (name, "192.168.1.9"))


@pytest.mark.parametrize("address", ["8.8.4.4", "100.64.0.1"])
def test_from_outside_forwarding_headers_change_nothing(address: str) -> None:
    """T1: who may not be believed cannot say that it is this machine, nor that it is encrypted."""
    claims = [("X-Forwarded-For", "127.0.0.1"), ("X-Real-IP", "127.0.0.1"), ("X-Forwarded-Proto", "https")]

    assert peer(socket(address), *claims) == Peer(address, place_of(ip_address(address), LOCAL))


def test_a_neighbour_of_the_proxy_is_not_the_proxy() -> None:
    """Only the named address is believed."""
    with pytest.raises(PeerError, match=r"comes through a proxy at 10\.0\.0\.2"):
        peer(socket("10.0.0.2"), ("X-Forwarded-For", "8.8.4.4"), proxies=(PROXY,))


# --- through a proxy that was named ---


@pytest.mark.parametrize(
    ("hops", "address"),
    [
        (["8.8.4.4"], "8.8.4.4"),
        (["127.0.0.1, 8.8.4.4"], "8.8.4.4"),
        (["192.168.1.7", "8.8.4.4"], "8.8.4.4"),
        (["unknown, 8.8.4.4"], "8.8.4.4"),
        (["8.8.4.4, 10.0.0.1"], "8.8.4.4"),
        (["192.168.1.7, 8.8.4.4, 10.0.0.1, 10.0.0.1"], "8.8.4.4"),
        (["8.8.4.4,,"], "8.8.4.4"),
        ([" 8.8.4.4 "], "8.8.4.4"),
        (["8.8.4.4:51234"], "8.8.4.4"),
        (["[2001:db8::1]:51234"], "2001:db8::1"),
        (["[2001:db8::1]"], "2001:db8::1"),
        (["2001:db8::1"], "2001:db8::1"),
        (["[fe80::7%eth0]:1"], "fe80::7"),
        (["::ffff:8.8.4.4"], "8.8.4.4"),
        (["10.0.0.1"], "10.0.0.1"),
    ],
)
def test_the_peer_is_the_last_hop_that_is_no_proxy(hops: list[str], address: str) -> None:
    """What stands before it came from the peer itself, who may write what it likes (T1)."""
    assert through(*hops).address == address


@pytest.mark.parametrize(
    "hop",
    [
        "",
        ",",
        "unknown",
        "_hidden",
        "localhost",
        "8.8.4",
        "8.8.4.4.4",
        "08.8.4.4",
        "8.8.4.4, x",
        "[",
        "::g",
        "1",
        "8.8.4.4\t, :",
    ],
)
def test_a_proxy_that_tells_no_address_lets_nobody_in(hop: str) -> None:
    """Else everybody would be the proxy, which is of the site."""
    with pytest.raises(PeerError):
        through(hop)


@pytest.mark.parametrize("address", ["127.0.0.1", PROXY])
def test_a_proxy_that_sets_no_header_lets_nobody_in(address: str) -> None:
    """nginx sets none unless told: the internet would look like this machine. The log says what to set."""
    with pytest.raises(PeerError, match="let it set X-Forwarded-For"):
        peer(socket(address), ("Forwarded", "for=8.8.4.4"), ("X-Real-IP", "8.8.4.4"), proxies=(address,))


def test_an_endless_hop_is_not_repeated_in_full() -> None:
    """T16."""
    with pytest.raises(PeerError) as refusal:
        through("x" * 5_000)

    assert len(str(refusal.value)) < 100


@pytest.mark.parametrize(("networks", "place"), [(LOCAL, Place.SITE), ([ip_network("10.0.0.0/8")], Place.OUTSIDE)])
def test_a_forwarded_loopback_address_is_not_this_machine(networks: list[Network], place: Place) -> None:
    """A tunnel in front of the proxy makes the whole internet come from 127.0.0.1."""
    for hops in (["127.0.0.1"], ["8.8.4.4, ::1"], ["::ffff:127.0.0.1"]):
        assert (
            through(*hops, networks=[*networks, *([ip_network("::1")] if place is Place.SITE else [])]).place is place
        )
    assert peer(socket("127.0.0.1"), ("X-Forwarded-For", "127.0.0.1"), proxies=("127.0.0.1",)).place is Place.SITE


@pytest.mark.parametrize(
    ("protos", "is_encrypted"),
    [
        ([], False),
        (["https"], True),
        (["WSS"], True),
        (["http"], False),
        (["ws"], False),
        ([""], False),
        (["https, http"], False),
        (["http, https"], False),
        (["https", "https"], True),
        (["httpsx"], False),
    ],
)
def test_encryption_is_what_the_proxies_say(protos: list[str], is_encrypted: bool) -> None:
    """Each of them: one leg in the open is enough to be read on (T8)."""
    headers = [("X-Forwarded-For", "8.8.4.4"), *(("X-Forwarded-Proto", proto) for proto in protos)]

    assert peer(socket(), *headers, proxies=(PROXY,)).is_encrypted is is_encrypted


@pytest.mark.parametrize("hop", ["8.8.4.4", PROXY])
def test_the_proxys_own_tls_and_certificate_are_not_the_peers(hop: str) -> None:
    """T1: a proxy that shows us a certificate must not make every one of its visitors the charge point it names."""
    found = peer(socket(names=("CP1",)), ("X-Forwarded-For", hop), proxies=(PROXY,))

    assert (found.is_encrypted, found.common_names) == (False, ())


# --- what it gives ---


def test_two_authorization_headers_prove_nothing() -> None:
    """T1: which of the two another program on the way looked at, nobody knows."""
    found = peer(socket("192.168.1.7"), ("Authorization", "Basic QQ=="), ("Authorization", "Basic Qg=="))

    assert found.authorization == "Basic QQ==,Basic Qg=="


def test_a_certificate_without_a_common_name_names_nobody() -> None:
    """Organisation and country say nothing."""
    found = peer(cast("ServerConnection", Socket((PROXY, 1), Transport({"peercert": {"subject": ((("O", "x"),),)}}))))

    assert found.common_names == ()
