"""Handshakes: each is refused over HTTP with a line in the log, or becomes a visit that the gateway makes a connection.

Nothing of a charge point changes here; a handshake that is let in may still break.
"""

import itertools
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from weakref import WeakKeyDictionary

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import NegotiationError
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from ocpp_server.clock import Clock
from ocpp_server.core.admission import LetIn, TurnedAway
from ocpp_server.core.records import Admission
from ocpp_server.ocpp16.address import AddressError, charge_point_id_of
from ocpp_server.ocpp16.doorkeeper import Doorkeeper, Standing
from ocpp_server.ocpp16.entrance import CountedConnection
from ocpp_server.ocpp16.options import GatewayOptions
from ocpp_server.ocpp16.owners import Claim, Newcomer, Owners
from ocpp_server.ocpp16.peer import Peer
from ocpp_server.ocpp16.printable import printable

log = logging.getLogger(__name__)

_SUBPROTOCOL = "ocpp1.6"
_MOST_REFUSALS = 256


@dataclass(slots=True)
class Visit:
    """A handshake that was let in; `socket` becomes a connection with the next message."""

    charge_point_id: str
    peer: Peer
    verdict: LetIn
    standing: Standing
    claim: Claim


class Reception:
    """Receives whoever wants to speak for a charge point."""

    def __init__(self, options: GatewayOptions, doorkeeper: Doorkeeper, owners: Owners, clock: Clock) -> None:
        self._options = options
        self._doorkeeper = doorkeeper
        self._owners = owners
        self._clock = clock
        self._visits: WeakKeyDictionary[ServerConnection, Visit] = WeakKeyDictionary()
        self._handshakes = itertools.count()
        self._refusals: set[tuple[str, str]] = set()

    def __len__(self) -> int:
        """Visits that are no connection yet."""
        return len(self._visits)

    def visit(self, socket: ServerConnection) -> Visit:
        """What `admit` found out about a socket that has shaken hands; once."""
        return self._visits.pop(socket)

    async def admit(self, socket: ServerConnection, request: Request) -> Response | None:
        """Refuse a handshake over HTTP, or let it go on (OCPP-J §3.2)."""
        if not self._options.is_storable():
            text = "the server cannot store anything at the moment, try again later"
            return self._refuse(socket, HTTPStatus.SERVICE_UNAVAILABLE, text)
        try:
            charge_point_id = charge_point_id_of(request.path, self._options.path_prefixes)
        except AddressError as error:
            return self._refuse(socket, HTTPStatus(error.status), str(error))
        number = next(self._handshakes)
        peer, verdict = await self._doorkeeper.judge(socket, request, charge_point_id, self._clock.now())
        if peer is not None and isinstance(socket, CountedConnection):
            verdict = socket.room_for(peer.address, verdict)
        if peer is None or isinstance(verdict, TurnedAway):
            assert isinstance(verdict, TurnedAway)
            return self._turn_away(socket, charge_point_id, verdict, peer)
        standing = self._doorkeeper.standing(charge_point_id)
        newcomer = Newcomer(charge_point_id, peer.address, number, is_proven=verdict.security_profile > 0)
        claim = await self._owners.challenge(newcomer)
        if isinstance(claim, TurnedAway):
            return self._turn_away(socket, charge_point_id, claim, peer)
        self._visits[socket] = Visit(charge_point_id, peer, verdict, standing, claim)
        if verdict.admission is Admission.APPROVED:
            socket.protocol.max_message_size = self._options.max_message_bytes
        if not self._options.ping_of(charge_point_id):
            socket.ping_interval = None
        return None

    def choose_subprotocol(self, socket: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
        """The client's own spelling of ocpp1.6. Raises NegotiationError, which is HTTP 400, if it speaks another.

        OCPP-J §3.2 would complete the handshake and close; OCTT TC_088 and the field want no handshake.
        """
        for subprotocol in offered:
            if subprotocol.casefold() == _SUBPROTOCOL:
                return subprotocol
        if not offered and self._options.allow_missing_subprotocol:  # Grizzl-E offers none
            return None
        text = f"expected the WebSocket subprotocol {_SUBPROTOCOL}"
        self.log_refusal(socket, HTTPStatus.BAD_REQUEST, text)
        raise NegotiationError(text)

    def _refuse(self, socket: ServerConnection, status: HTTPStatus, text: str) -> Response:
        self.log_refusal(socket, status, text)
        return socket.respond(status, text + "\n")

    def _turn_away(
        self, socket: ServerConnection, charge_point_id: str, verdict: TurnedAway, peer: Peer | None
    ) -> Response:
        """Why stands in the log; the peer learns the status alone (T5)."""
        status = HTTPStatus(verdict.status)
        self.log_refusal(socket, status, f"{charge_point_id} {verdict.reason}", peer)
        response = socket.respond(status, status.phrase + "\n")
        if status is HTTPStatus.UNAUTHORIZED:
            response.headers["WWW-Authenticate"] = 'Basic realm="OCPP"'
        return response

    def log_refusal(self, socket: ServerConnection, status: HTTPStatus, text: str, peer: Peer | None = None) -> None:
        """Say once per address and reason that somebody is refused; it will try again and again. Of a peer behind a
        proxy the address is its own.
        """
        self._options.traffic.refused(int(status))
        host = _host_of(socket) if peer is None else peer.address
        if (host, text) in self._refusals:
            return
        if len(self._refusals) >= _MOST_REFUSALS:
            self._refusals.clear()
        self._refusals.add((host, text))
        log.warning("[CONNECT] refused address=%s status=%d path=%s reason=%r", host, status, _path_of(socket), text)


def _host_of(socket: ServerConnection) -> str:
    address = socket.remote_address
    return printable(str(address[0]), 64) if address else "unknown"


def _path_of(socket: ServerConnection) -> str:
    """The path for the log, without its query, which may hold a secret."""
    path = socket.request.path if socket.request is not None else ""
    return repr(printable(path.partition("?")[0], 200))
