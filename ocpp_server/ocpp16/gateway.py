"""Listens for charge points, and runs the connections that speak for them, one for each.

Who is let in is `reception`'s business, who may replace whom that of `owners`, messages that of `charge_point`.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.protocol import State

from ocpp_server.clock import Clock
from ocpp_server.core.admission import Place, TurnedAway
from ocpp_server.core.commands import Connect, Disconnect, Refused, SecurityEvent
from ocpp_server.core.records import Admission
from ocpp_server.ocpp16.charge_point import ChargePointConnection
from ocpp_server.ocpp16.doorkeeper import Doorkeeper
from ocpp_server.ocpp16.entrance import entrance
from ocpp_server.ocpp16.handlers import CentralSystem
from ocpp_server.ocpp16.message_rate import MessageRates
from ocpp_server.ocpp16.options import GatewayOptions
from ocpp_server.ocpp16.owners import Owners
from ocpp_server.ocpp16.reception import Reception, Visit
from ocpp_server.ocpp16.tls import NewestContext
from ocpp_server.ocpp16.turnstile import Turnstile

log = logging.getLogger(__name__)
_websockets_log = logging.getLogger(f"{__name__}.websockets")
_websockets_log.setLevel(logging.CRITICAL)  # it would log frames whole, and each port scan with a traceback

_LONGEST_STOP_S = 4.0
"""Real seconds that running handlers get at a stop; supervisord waits longer."""
_LONGEST_HANDSHAKE_S = 10.0
_LONGEST_CLOSE_S = 2.0
_UNHEARD_HEARTBEATS = 3.0
"""Without pings, so many heartbeats may be missing before a connection is given up."""
_NORMAL, _POLICY, _SERVICE_RESTART = 1000, 1008, 1012


class Gateway:
    """The OCPP-J listener of a site."""

    def __init__(self, central: CentralSystem, clock: Clock, options: GatewayOptions, doorkeeper: Doorkeeper) -> None:
        self._central = central
        self._clock = clock
        self._options = options
        self._doorkeeper = doorkeeper
        self._owners = Owners()
        self._reception = Reception(options, doorkeeper, self._owners, clock)
        self._rates = MessageRates(options.max_message_rate)
        self._turnstile = Turnstile(
            doorkeeper.site,
            options.max_connections,
            doorkeeper.networks,
            doorkeeper.proxies,
            files=options.max_files,
        )
        self._session_began_at: dict[str, float] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._is_stopping = False
        self._plain: Server | None = None
        self._encrypted: Server | None = None

    @property
    def port(self) -> int:
        """The port that is listened on without encryption."""
        return _port_of(self._plain)

    @property
    def tls_port(self) -> int:
        """The port that is listened on with TLS."""
        return _port_of(self._encrypted)

    @property
    def is_listening(self) -> bool:
        """Charge points can connect now."""
        servers = [server for server in (self._plain, self._encrypted) if server is not None]
        return bool(servers) and not self._is_stopping and all(server.is_serving() for server in servers)

    def connected(self) -> frozenset[str]:
        """Ids of the charge points that are connected now."""
        return frozenset(self._owners)

    def is_connected(self, charge_point_id: str) -> bool:
        """Whether this charge point is connected now."""
        return charge_point_id in self._owners

    def connections(self) -> list[ChargePointConnection]:
        """The connections that speak for charge points, as it is now."""
        return list(self._owners.values())

    def connection(self, charge_point_id: str) -> ChargePointConnection | None:
        """The connection that speaks for this charge point."""
        return self._owners.get(charge_point_id)

    def not_booted(self, after_s: float) -> list[ChargePointConnection]:
        """Connections older than these seconds of the site on which no BootNotification came."""
        latest = self._clock.monotonic() - after_s
        return [one for one in self._owners.values() if not one.has_booted and one.connected_at <= latest]

    async def serve(self, stop: asyncio.Event) -> None:
        """Listen until `stop` is set. Raises OSError if a port is taken."""
        async with self.listening():
            await stop.wait()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Listen within this context; at its end let running handlers finish, then close everybody with 1012."""
        options = self._options
        try:
            if options.port is not None:
                self._plain = await self._listen(options.port)
            if options.tls is not None:
                self._encrypted = await self._listen(options.tls_port, options.tls.context)
            yield
        finally:
            await self._stop([server for server in (self._plain, self._encrypted) if server is not None])

    async def _listen(self, port: int, tls: NewestContext | None = None) -> Server:
        options = self._options
        return await serve(
            self._own,
            options.host,
            port,
            process_request=self._reception.admit,
            select_subprotocol=self._reception.choose_subprotocol,
            compression=None,
            server_header=None,
            open_timeout=_LONGEST_HANDSHAKE_S,
            close_timeout=_LONGEST_CLOSE_S,
            ping_interval=options.ping_interval_s or None,
            ping_timeout=options.ping_timeout_s,
            max_size=options.max_unapproved_message_bytes,
            logger=_websockets_log,
            create_connection=entrance(self._turnstile, tls),
        )

    async def _stop(self, servers: Sequence[Server]) -> None:
        self._is_stopping = True
        for server in servers:
            server.close(close_connections=False)
        self._turnstile.abort_waiting()
        for connection in self._owners.values():
            self._finish_later(connection, _SERVICE_RESTART, "server is stopping")
        if self._closing:
            await asyncio.wait(self._closing, timeout=_LONGEST_STOP_S)
        for server in servers:
            for socket in list(server.all_connections):
                socket.transport.abort()
        with suppress(TimeoutError):  # a handler that hangs even now is for the end of the process
            async with asyncio.timeout(_LONGEST_STOP_S):
                for server in servers:
                    await server.wait_closed()

    async def _own(self, socket: ServerConnection) -> None:
        """The life of a connection. One owns its id at a time; the end of another touches nothing."""
        visit = self._reception.visit(socket)
        if not await self._is_still_good(socket, visit):
            return
        if self._is_outdated(visit):
            await socket.close(_POLICY, "connect again")
            return
        connection = self._connection_of(socket, visit)
        events = self._take_over(connection, visit)
        charge_point_id, verdict = visit.charge_point_id, visit.verdict
        try:
            address = "" if visit.peer.place is Place.LOOPBACK else visit.peer.address
            now = self._clock.now()
            reply = await self._central.handle(
                Connect(charge_point_id, now, address, verdict.security_profile, verdict.admission)
            )
            if isinstance(reply, Refused):  # others took the last room since the handshake was judged
                self._reception.log_refusal(socket, HTTPStatus.NOT_FOUND, reply.text, visit.peer)
                await socket.close(_POLICY, "connect again later")
                return
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

    async def _is_still_good(self, socket: ServerConnection, visit: Visit) -> bool:
        """Whether it may still take the id; if not, it is closed. Since its handshake was judged, another one may have
        come first, the server may be stopping, and it may be gone itself: then it must not replace a living owner.
        """
        while not self._owners.is_good(visit.claim):
            claim = await self._owners.challenge(visit.claim.newcomer)
            if isinstance(claim, TurnedAway):
                text = f"{visit.charge_point_id} {claim.reason}"
                self._reception.log_refusal(socket, HTTPStatus(claim.status), text, visit.peer)
                await socket.close(_POLICY, "another connection has this id")
                return False
            visit.claim = claim
        if self._is_stopping:
            await socket.close(_SERVICE_RESTART, "server is stopping")
        return socket.state is State.OPEN

    def _is_outdated(self, visit: Visit) -> bool:
        """Whether it was forgotten, or the key that it proved taken from it, since the handshake was judged."""
        now = self._doorkeeper.standing(visit.charge_point_id)
        is_key_changed = visit.verdict.security_profile in (1, 2) and now.key_hash != visit.standing.key_hash
        return is_key_changed or (visit.standing.is_known and not now.is_known)

    def _connection_of(self, socket: ServerConnection, visit: Visit) -> ChargePointConnection:
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
            bucket=self._rates.of(charge_point_id),
            traffic=self._options.traffic,
            messages=self._options.messages,
            idle_limit_s=None if socket.ping_interval else _UNHEARD_HEARTBEATS * self._options.heartbeat_interval_s,
            admission=visit.verdict.admission,
            security_profile=visit.verdict.security_profile,
            key_hash=visit.standing.key_hash if visit.verdict.security_profile in (1, 2) else "",
            session_began_at=before.session_began_at if before else self._session_began_at.get(charge_point_id),
        )

    def _take_over(self, connection: ChargePointConnection, visit: Visit) -> list[tuple[str, str]]:
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

    def admit(self, connection: ChargePointConnection, admission: Admission) -> None:
        """A person decided anew about a charge point that is connected: its messages may be as large as that allows."""
        options = self._options
        is_approved = admission is Admission.APPROVED
        connection.admit(admission, options.max_message_bytes if is_approved else options.max_unapproved_message_bytes)

    def dismiss(self, connection: ChargePointConnection) -> None:
        """Handle no further message of a connection and close it: it may not speak for its charge point any more."""
        self._finish_later(connection, _POLICY, "connect again")

    def _release(self, connection: ChargePointConnection) -> None:
        charge_point_id = connection.charge_point_id
        if not self._owners.remove(connection):
            return
        if connection.session_began_at is not None:
            self._session_began_at[charge_point_id] = connection.session_began_at

    def _finish_later(self, connection: ChargePointConnection, code: int, reason: str) -> None:
        connection.take_no_more(code, reason)  # at once: a call that waits its turn must not reach a loser
        task = asyncio.create_task(connection.finish(code, reason))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


def _port_of(server: Server | None) -> int:
    if server is None:
        message = "the gateway is not listening there"
        raise RuntimeError(message)
    port: int = server.sockets[0].getsockname()[1]
    return port
