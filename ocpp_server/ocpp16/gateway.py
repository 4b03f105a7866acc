"""Listens for charge points, admits them, and knows which connection speaks for which: the newest one.

Path and id are read by `address`, messages by `charge_point`.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from weakref import WeakKeyDictionary

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import NegotiationError
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from ocpp_server.clock import Clock
from ocpp_server.core.admission import LetIn, Place, TurnedAway
from ocpp_server.core.commands import Connect, Disconnect, SecurityEvent
from ocpp_server.core.records import Admission
from ocpp_server.ocpp16.address import AddressError, charge_point_id_of
from ocpp_server.ocpp16.charge_point import ChargePointConnection
from ocpp_server.ocpp16.doorkeeper import Doorkeeper
from ocpp_server.ocpp16.handlers import CentralSystem
from ocpp_server.ocpp16.owners import Claim, Owners
from ocpp_server.ocpp16.peer import Peer
from ocpp_server.ocpp16.printable import printable

log = logging.getLogger(__name__)
_websockets_log = logging.getLogger(f"{__name__}.websockets")
_websockets_log.setLevel(logging.CRITICAL)  # it would log frames whole, and each port scan with a traceback

_SUBPROTOCOL = "ocpp1.6"
_LONGEST_STOP_S = 4.0
"""Real seconds that running handlers get at a stop; supervisord waits longer."""
_MOST_REFUSALS = 256
_NORMAL, _POLICY, _SERVICE_RESTART = 1000, 1008, 1012


def _always(_: str) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class GatewayOptions:
    """How to listen. Pings and their patience are in real seconds, calls in seconds of the site."""

    host: str = "0.0.0.0"  # noqa: S104 - charge points are other machines
    port: int = 9000
    path_prefixes: tuple[str, ...] = ("/ws/ocpp/16", "/ocpp")
    allow_missing_subprotocol: bool = True
    heartbeat_interval_s: int = 60
    ping_interval_s: float = 20.0
    """0: no pings."""
    ping_timeout_s: float = 20.0
    call_timeout_s: float = 30.0
    max_message_bytes: int = 2 * 1024 * 1024
    """A long session's transactionData is 100 to 450 KiB, and must not be refused for ever."""
    max_unapproved_message_bytes: int = 64 * 1024
    """Until a person has approved the charge point."""
    ping_of: Callable[[str], bool] = _always
    """Whether this charge point is pinged: some never answer (EN+, Phoenix)."""
    is_storable: Callable[[], bool] = lambda: True
    """Whether the central system can store now; else handshakes get 503 and charge points queue (OCPP 1.6 §3.7)."""


@dataclass(slots=True)
class _Visit:
    """A handshake that was let in; `socket` becomes a connection with the next message."""

    charge_point_id: str
    peer: Peer
    verdict: LetIn
    claim: Claim


class Gateway:
    """The OCPP-J listener of a site."""

    def __init__(self, central: CentralSystem, clock: Clock, options: GatewayOptions, doorkeeper: Doorkeeper) -> None:
        self._central = central
        self._clock = clock
        self._options = options
        self._doorkeeper = doorkeeper
        self._owners = Owners()
        self._visits: WeakKeyDictionary[ServerConnection, _Visit] = WeakKeyDictionary()
        self._session_began_at: dict[str, float] = {}
        self._refusals: set[tuple[str, str]] = set()
        self._closing: set[asyncio.Task[None]] = set()
        self._server: Server | None = None

    @property
    def port(self) -> int:
        """The port that is listened on."""
        if self._server is None:
            message = "the gateway is not listening"
            raise RuntimeError(message)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def connected(self) -> frozenset[str]:
        """Ids of the charge points that are connected now."""
        return frozenset(self._owners)

    def is_connected(self, charge_point_id: str) -> bool:
        """Whether this charge point is connected now."""
        return charge_point_id in self._owners

    def connection(self, charge_point_id: str) -> ChargePointConnection | None:
        """The connection that speaks for this charge point."""
        return self._owners.get(charge_point_id)

    def not_booted(self, after_s: float) -> list[ChargePointConnection]:
        """Connections older than these seconds of the site on which no BootNotification came."""
        latest = self._clock.monotonic() - after_s
        return [one for one in self._owners.values() if not one.has_booted and one.connected_at <= latest]

    async def serve(self, stop: asyncio.Event) -> None:
        """Listen until `stop` is set. Raises OSError if the port is taken."""
        async with self.listening():
            await stop.wait()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Listen within this context; at its end let running handlers finish, then close everybody with 1012."""
        options = self._options
        self._server = await serve(
            self._own,
            options.host,
            options.port,
            process_request=self._admit,
            select_subprotocol=self._choose_subprotocol,
            compression=None,
            server_header=None,
            open_timeout=10,
            close_timeout=2,
            ping_interval=options.ping_interval_s or None,
            ping_timeout=options.ping_timeout_s,
            max_size=options.max_unapproved_message_bytes,
            logger=_websockets_log,
        )
        try:
            yield
        finally:
            await self._stop(self._server)

    async def _stop(self, server: Server) -> None:
        server.close(close_connections=False)
        for connection in self._owners.values():
            self._finish_later(connection, _SERVICE_RESTART, "server is stopping")
        if self._closing:
            await asyncio.wait(self._closing, timeout=_LONGEST_STOP_S)
        for socket in list(server.all_connections):
            socket.transport.abort()
        with suppress(TimeoutError):  # a handler that hangs even now is for the end of the process
            async with asyncio.timeout(_LONGEST_STOP_S):
                await server.wait_closed()

    async def _admit(self, socket: ServerConnection, request: Request) -> Response | None:
        """Refuse a handshake over HTTP, or let it go on (OCPP-J §3.2)."""
        if not self._options.is_storable():
            text = "the server cannot store anything at the moment, try again later"
            return self._refuse(socket, HTTPStatus.SERVICE_UNAVAILABLE, text)
        try:
            charge_point_id = charge_point_id_of(request.path, self._options.path_prefixes)
        except AddressError as error:
            return self._refuse(socket, HTTPStatus(error.status), str(error))
        peer, verdict = await self._doorkeeper.judge(socket, request, charge_point_id, self._clock.now())
        if peer is None or isinstance(verdict, TurnedAway):
            assert isinstance(verdict, TurnedAway)
            return self._turn_away(socket, charge_point_id, verdict)
        is_proven = verdict.security_profile > 0
        claim = await self._owners.challenge(charge_point_id, peer.address, is_proven=is_proven)
        if isinstance(claim, TurnedAway):
            return self._turn_away(socket, charge_point_id, claim)
        self._visits[socket] = _Visit(charge_point_id, peer, verdict, claim)
        if verdict.admission is Admission.APPROVED:
            socket.protocol.max_message_size = self._options.max_message_bytes
        if not self._options.ping_of(charge_point_id):
            socket.ping_interval = None
        return None

    def _choose_subprotocol(self, socket: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
        """The client's own spelling of ocpp1.6. Raises NegotiationError, which is HTTP 400, if it speaks another.

        OCPP-J §3.2 would complete the handshake and close; OCTT TC_088 and the field want no handshake.
        """
        for subprotocol in offered:
            if subprotocol.casefold() == _SUBPROTOCOL:
                return subprotocol
        if not offered and self._options.allow_missing_subprotocol:  # Grizzl-E offers none
            return None
        text = f"expected the WebSocket subprotocol {_SUBPROTOCOL}"
        self._log_refusal(socket, HTTPStatus.BAD_REQUEST, text)
        raise NegotiationError(text)

    def _refuse(self, socket: ServerConnection, status: HTTPStatus, text: str) -> Response:
        self._log_refusal(socket, status, text)
        return socket.respond(status, text + "\n")

    def _turn_away(self, socket: ServerConnection, charge_point_id: str, verdict: TurnedAway) -> Response:
        """Why stands in the log; the peer learns the status alone (T5)."""
        status = HTTPStatus(verdict.status)
        self._log_refusal(socket, status, f"{charge_point_id} {verdict.reason}")
        response = socket.respond(status, status.phrase + "\n")
        if status is HTTPStatus.UNAUTHORIZED:
            response.headers["WWW-Authenticate"] = 'Basic realm="OCPP"'
        return response

    def _log_refusal(self, socket: ServerConnection, status: HTTPStatus, text: str) -> None:
        """Say once per address and reason that somebody is refused; it will try again and again."""
        host = _host_of(socket)
        if (host, text) in self._refusals:
            return
        if len(self._refusals) >= _MOST_REFUSALS:
            self._refusals.clear()
        self._refusals.add((host, text))
        log.warning("[CONNECT] refused address=%s status=%d path=%s reason=%r", host, status, _path_of(socket), text)

    async def _own(self, socket: ServerConnection) -> None:
        """The life of a connection. One owns its id at a time; the end of another touches nothing."""
        visit = self._visits.pop(socket)
        if not await self._is_still_good(visit):
            await socket.close(_POLICY, "another connection has this id")
            return
        connection = self._connection_of(socket, visit)
        events = self._take_over(connection, visit)
        charge_point_id, verdict = visit.charge_point_id, visit.verdict
        try:
            address = "" if visit.peer.place is Place.LOOPBACK else visit.peer.address
            now = self._clock.now()
            await self._central.handle(
                Connect(charge_point_id, now, address, verdict.security_profile, verdict.admission)
            )
            for event, text in events:
                await self._central.handle(SecurityEvent(charge_point_id, now, event, text))
            await connection.run()
            if self._owners.get(charge_point_id) is connection:
                self._release(connection)
                log.info("[CONNECT] disconnected charge_point=%s code=%s", charge_point_id, socket.close_code)
                await self._central.handle(Disconnect(charge_point_id, self._clock.now()))
        except Exception:
            # nothing more can be stored: no answer, no Disconnect; charge points queue until the server is back
            connection.abort()
            log.exception("[CONNECT] dropped charge_point=%s", charge_point_id)
        finally:
            self._release(connection)

    async def _is_still_good(self, visit: _Visit) -> bool:
        """Whether it may still take the id: since the handshake was judged, another one may have come first."""
        while not self._owners.is_good(visit.charge_point_id, visit.claim):
            is_proven = visit.verdict.security_profile > 0
            claim = await self._owners.challenge(visit.charge_point_id, visit.peer.address, is_proven=is_proven)
            if isinstance(claim, TurnedAway):
                return False
            visit.claim = claim
        return True

    def _connection_of(self, socket: ServerConnection, visit: _Visit) -> ChargePointConnection:
        charge_point_id = visit.charge_point_id
        before = self._owners.get(charge_point_id)
        return ChargePointConnection(
            charge_point_id,
            socket,
            self._central,
            self._clock,
            heartbeat_interval_s=self._options.heartbeat_interval_s,
            call_timeout_s=self._options.call_timeout_s,
            address=visit.peer.address,
            is_pinged=self._options.ping_of(charge_point_id),
            session_began_at=before.session_began_at if before else self._session_began_at.get(charge_point_id),
        )

    def _take_over(self, connection: ChargePointConnection, visit: _Visit) -> list[tuple[str, str]]:
        """Make it the owner, with no await since its claim was looked at; end the one before."""
        before = self._owners.get(connection.charge_point_id)
        events = self._owners.put(connection, visit.claim)
        log.info(
            "[CONNECT] %s charge_point=%s address=%s security_profile=%d admission=%s",
            "connected" if before is None else "reconnected",
            connection.charge_point_id,
            visit.peer.address,
            visit.verdict.security_profile,
            visit.verdict.admission,
        )
        if before is not None:
            self._finish_later(before, _NORMAL, "replaced by a newer connection")
        return events

    async def disconnect(self, charge_point_id: str) -> None:
        """Close the connection of a charge point, if it has one: it was locked, forgotten or given a key."""
        owner = self._owners.get(charge_point_id)
        if owner is not None:
            await owner.finish(_POLICY, "the operator ended this connection")

    def _release(self, connection: ChargePointConnection) -> None:
        charge_point_id = connection.charge_point_id
        if not self._owners.remove(connection):
            return
        if connection.session_began_at is not None:
            self._session_began_at[charge_point_id] = connection.session_began_at

    def _finish_later(self, connection: ChargePointConnection, code: int, reason: str) -> None:
        task = asyncio.create_task(connection.finish(code, reason))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


def _host_of(socket: ServerConnection) -> str:
    address = socket.remote_address
    return printable(str(address[0]), 64) if address else "unknown"


def _path_of(socket: ServerConnection) -> str:
    """The path for the log, without its query, which may hold a secret."""
    path = socket.request.path if socket.request is not None else ""
    return repr(printable(path.partition("?")[0], 200))
