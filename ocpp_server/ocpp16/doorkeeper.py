"""Finds out what the peer of a handshake has proved, and lets `core.admission` judge it.

Keys are HTTP Basic (security profiles 1 and 2), certificates those of the TLS handshake (profile 3). No key and no
header ever reaches a log line.
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request

from ocpp_server.core.admission import Handshake, Place, Proof, TurnedAway, Verdict, admission_of, judge
from ocpp_server.core.site import Site
from ocpp_server.ocpp16.key_checker import KeyChecker, TooManyFailuresError
from ocpp_server.ocpp16.peer import Network, Peer, PeerError, peer_of

_LONGEST_HEADER = 512


@dataclass(frozen=True, slots=True)
class Standing:
    """What a charge point was when a handshake of it was judged."""

    is_known: bool
    key_hash: str


@dataclass(frozen=True, slots=True)
class Doorkeeper:
    """Judges handshakes for one site."""

    site: Site
    keys: KeyChecker
    networks: Sequence[Network] = ()
    """Of the site; this machine itself needs not be among them."""
    proxies: Sequence[Network] = ()
    """Whose forwarding headers count."""

    async def judge(
        self, socket: ServerConnection, request: Request, charge_point_id: str, at: datetime
    ) -> tuple[Peer | None, Verdict]:
        """The peer, and whether it may speak for this charge point."""
        try:
            peer = peer_of(socket, request, self.networks, self.proxies)
            proof = await self._proof(peer, charge_point_id)
        except PeerError as error:
            return None, TurnedAway(404, str(error))
        except TooManyFailuresError:
            return None, TurnedAway(429, "too many wrong keys came from this address")
        handshake = Handshake(charge_point_id, at, peer.address, peer.place, peer.is_encrypted, proof)
        return peer, judge(self.site, handshake)

    def standing(self, charge_point_id: str) -> Standing:
        """What it is now: forgotten or given another key since a handshake was judged, it must be judged anew."""
        known = self.site.charge_points.get(charge_point_id)
        is_known = admission_of(self.site, charge_point_id) is not None
        return Standing(is_known, known.key_hash if known is not None else "")

    async def _proof(self, peer: Peer, charge_point_id: str) -> Proof:
        known = self.site.charge_points.get(charge_point_id)
        if peer.common_names:
            names = {charge_point_id, known.serial_number if known is not None else ""} - {""}
            return Proof.WRONG if names.isdisjoint(peer.common_names) else Proof.CERTIFICATE
        key_hash = known.key_hash if known is not None else ""
        is_asked_for = key_hash or peer.place not in (Place.LOOPBACK, Place.SITE)
        if not peer.authorization or not is_asked_for:
            return Proof.NONE  # on the site one may be left over from another system: it proves nothing
        key = basic_key(peer.authorization, charge_point_id)
        if key is None:
            return Proof.WRONG
        is_usual = known is not None and peer.address in (known.address, known.home_address)
        is_right = await self.keys.is_right(charge_point_id, peer.address, key, key_hash, is_usual_address=is_usual)
        return Proof.KEY if is_right else Proof.WRONG


def basic_key(authorization: str, charge_point_id: str) -> bytes | None:
    """The key in an HTTP Basic header whose user name is this charge point, or the last part of its id; else None.

    The key may be any bytes (OCPP-J §6.2 gives an example), and the id may have colons of its own.
    """
    scheme, _, encoded = authorization.partition(" ")
    if scheme.casefold() != "basic" or len(encoded) > _LONGEST_HEADER:
        return None
    try:
        credentials = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    for name in (charge_point_id, charge_point_id.rpartition("/")[2]):
        user = f"{name}:".encode()
        if credentials[: len(user)].lower() == user.lower():
            return credentials[len(user) :]
    return None
