"""Who is at the other end of a handshake: its address, where that is, and what it gives to prove who it is.

Reads and judges nothing. Forwarding headers count only from proxies that the site named.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.http11 import Request

from ocpp_server.core.admission import Place

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

_FORWARDED_FOR = "X-Forwarded-For"
_FORWARDED_PROTO = "X-Forwarded-Proto"
_FORWARDING = (_FORWARDED_FOR, _FORWARDED_PROTO, "X-Forwarded-Host", "Forwarded", "X-Real-IP", "Via")
"""No charge point sends one of these."""


class PeerError(Exception):
    """It cannot be told who the peer is; the message says what to set."""


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end. `common_names` are those of its certificate, which the TLS handshake verified."""

    address: str
    place: Place
    is_encrypted: bool = False
    common_names: tuple[str, ...] = ()
    authorization: str = ""


def address_of(socket: ServerConnection) -> Address:
    """The IP address at the other end of the TCP connection. Raises PeerError where there is none (it is gone)."""
    remote = socket.remote_address
    if not remote:
        message = "the connection is gone"
        raise PeerError(message)
    return parse_address(str(remote[0]))


def peer_of(
    socket: ServerConnection, request: Request, networks: Iterable[Network], proxies: Iterable[Network]
) -> Peer:
    """The peer of a handshake. Raises PeerError for a proxy that is not named, or tells no address."""
    networks, proxies = tuple(networks), tuple(proxies)
    socket_address = address_of(socket)
    authorization = _only(request.headers, "Authorization")
    if is_in(socket_address, proxies):
        address = _forwarded_for(socket_address, request.headers, proxies)
        place = place_of(address, networks, is_direct=False)
        # what encrypts the last leg, and its certificate, are the proxy's
        return Peer(str(address), place, _is_forwarded_encrypted(request.headers), (), authorization)
    place = place_of(socket_address, networks)
    if place in (Place.LOOPBACK, Place.SITE) and any(name in request.headers for name in _FORWARDING):
        message = (
            f"comes through a proxy at {socket_address}: set EVQUOTA_TRUSTED_PROXIES={socket_address} in .env "
            f"if it always sets {_FORWARDED_FOR} and {_FORWARDED_PROTO} itself"
        )
        raise PeerError(message)
    is_encrypted = socket.transport.get_extra_info("ssl_object") is not None
    return Peer(str(socket_address), place, is_encrypted, _common_names(socket), authorization)


def place_of(address: Address, networks: Iterable[Network], *, is_direct: bool = True) -> Place:
    """Where an address is. Only who connects directly is on this machine: proxies in a row look as if they were."""
    if address.is_loopback and is_direct:
        return Place.LOOPBACK
    if is_in(address, networks):
        return Place.SITE
    return Place.INTERNET if address.is_global else Place.OUTSIDE


def is_in(address: Address, networks: Iterable[Network]) -> bool:
    """Whether an address is in one of the networks."""
    return any(address.version == network.version and address in network for network in networks)


def parse_address(text: str) -> Address:
    """An address without its zone; an IPv4 address that came through an IPv6 socket is one of IPv4."""
    try:
        address = ip_address(text.strip().partition("%")[0])
    except ValueError:
        message = f"{text[:64]!r} is no IP address"
        raise PeerError(message) from None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def counted_as(address: str) -> str:
    """What of an address is counted: a stranger has a whole /64 of IPv6, charge points of a site share one."""
    try:
        parsed = parse_address(address)
    except PeerError:
        return address
    if parsed.version == 6 and parsed.is_global:
        return str(ip_network((parsed, 64), strict=False))
    return str(parsed)


def _forwarded_for(proxy: Address, headers: Headers, proxies: Sequence[Network]) -> Address:
    """The first hop, counted from our end, that is no proxy of ours: what stands before it, it may have made up.

    Raises PeerError where there is none, or it is no address: then nobody knows who it is.
    """
    hops = [hop for hop in ",".join(headers.get_all(_FORWARDED_FOR)).split(",") if hop.strip()]
    if not hops:
        message = f"comes through the proxy at {proxy}, which does not say for whom: let it set {_FORWARDED_FOR}"
        raise PeerError(message)
    address = proxy
    while hops and is_in(address, proxies):
        address = parse_address(_without_port(hops.pop().strip()))
    return address


def _without_port(hop: str) -> str:
    """`[2001:db8::1]:443` and `192.0.2.1:443` (Azure) without what follows the address."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


def _is_forwarded_encrypted(headers: Headers) -> bool:
    """Whether each proxy on the way says so: one leg in the open is enough to be read on."""
    protos = ",".join(headers.get_all(_FORWARDED_PROTO)).split(",")
    return all(proto.strip().casefold() in ("https", "wss") for proto in protos)


def _common_names(socket: ServerConnection) -> tuple[str, ...]:
    certificate = socket.transport.get_extra_info("peercert") or {}
    parts = (part for name in certificate.get("subject", ()) for part in name)
    return tuple(value for key, value in parts if key == "commonName")


def _only(headers: Headers, name: str) -> str:
    """The value of a header. Two of them are what no honest peer sends: they are one that proves nothing."""
    values = headers.get_all(name)
    return values[0] if len(values) == 1 else ",".join(values)
