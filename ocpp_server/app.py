"""The composition root: builds the parts, wires them, runs them in one TaskGroup, and ends them cleanly on SIGTERM.

Order of a start (docs/architecture.md): lock, ledger, import or hand edits, users, month, views, and only then the
sockets. Order of an end: no new connections, running messages are committed and answered, sockets close with 1012,
the views are written durably, the ledger is marked clean.
"""

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TypeVar

from ocpp_server import first_start, site_check
from ocpp_server.central_system import CentralSystem, CommitError
from ocpp_server.clock import Clock
from ocpp_server.control_api.adjustments import Adjustments
from ocpp_server.control_api.application import ControlApi
from ocpp_server.control_api.authorization import Authorization
from ocpp_server.control_api.charge_point_commands import ChargePointCommands
from ocpp_server.control_api.charge_point_routes import ChargePointRoutes
from ocpp_server.control_api.charge_points import ChargePoints
from ocpp_server.control_api.commands import Commands
from ocpp_server.control_api.event_feed import EventFeed
from ocpp_server.control_api.events import Events
from ocpp_server.control_api.messages import Messages
from ocpp_server.control_api.monitoring_pages import MonitoringPages
from ocpp_server.control_api.reading_routes import reading_routes
from ocpp_server.control_api.routing import Route
from ocpp_server.control_api.token import make_token
from ocpp_server.control_api.transactions import Transactions
from ocpp_server.control_api.users import Users
from ocpp_server.core.commands import (
    Command,
    Disconnect,
    RecordUserEdit,
    ReplaceChargers,
    ReplaceUsers,
    Reply,
    TableState,
)
from ocpp_server.core.leaks import leaks_of
from ocpp_server.core.site import Policy, Site, UnknownChargePoints
from ocpp_server.core.users import ChargerRow, IdTag, UserTable
from ocpp_server.housekeeping import Housekeeping
from ocpp_server.monitoring.health import Health
from ocpp_server.monitoring.metrics import Metrics
from ocpp_server.monitoring.report import MetricsReport
from ocpp_server.month_clock import MonthClock
from ocpp_server.ocpp16.admission_watch import AdmissionWatch
from ocpp_server.ocpp16.commands import RemoteCalls
from ocpp_server.ocpp16.configurator import BootAsker, Configurator, WantedConfiguration
from ocpp_server.ocpp16.doorkeeper import Doorkeeper
from ocpp_server.ocpp16.gateway import Gateway
from ocpp_server.ocpp16.key_checker import KeyChecker
from ocpp_server.ocpp16.mender import Mender
from ocpp_server.ocpp16.message_log import MessageLog
from ocpp_server.ocpp16.options import GatewayOptions
from ocpp_server.ocpp16.tls import ServerTls
from ocpp_server.ocpp16.turnstile import raise_file_limit
from ocpp_server.operator_calls import OperatorCalls
from ocpp_server.publisher import Publisher
from ocpp_server.server_status import ServerStatus
from ocpp_server.settings import Settings
from ocpp_server.start import DEMO_MARKER, NotWritableError, StartError, bring_up_to_date, clock_of, open_ledger, tls_of
from ocpp_server.stopper import Stopper
from ocpp_server.storage.chargers_file import ChargersFile
from ocpp_server.storage.errors import StorageError
from ocpp_server.storage.ledger import Ledger
from ocpp_server.storage.ledger_reader import LedgerReader
from ocpp_server.storage.message_files import MessageFiles
from ocpp_server.storage.users_file import UsersFile
from ocpp_server.users_watcher import TableWatcher
from ocpp_server.watchman import Watchman, table_state

log = logging.getLogger(__name__)

_T = TypeVar("_T")
_LOOK_AGAIN_S = 30.0
_NO_ROW = ChargerRow("")
_MOST_UNDONE = 20


class _Loop(Protocol):
    async def run(self) -> None: ...


@dataclass(frozen=True, slots=True)
class RunningServer:
    """What a started server offers to whoever started it in this process."""

    central: CentralSystem
    gateway: Gateway
    ocpp_port: int | None
    """None: every charge point must use TLS."""
    ocpp_tls_port: int | None
    """None: there is no certificate."""
    api_port: int

    @property
    def calls(self) -> RemoteCalls:
        """What can be asked of charge points."""
        return RemoteCalls(self.gateway)


class _Parts:
    """The parts of a server, built and wired; nothing runs yet."""

    def __init__(
        self, settings: Settings, clock: Clock, ledger: Ledger, central: CentralSystem, tls: ServerTls | None
    ) -> None:
        data_dir, site = settings.data_dir, central.site
        self._central, self._clock = central, clock
        self.metrics = Metrics(site)
        central.listen(self.metrics.changed)
        central.listen_to_commits(self.metrics.committed)
        self._settings, self._reader = settings, LedgerReader(ledger.path)
        self.users_file = UsersFile(site.users, self._replace_users, report_undone=self._report_undone)
        self.chargers_file = ChargersFile(site.chargers, self._replace_chargers)
        self._users_watcher = TableWatcher(data_dir / "users1.csv", self.users_file.accept)
        self._chargers_watcher = TableWatcher(data_dir / "chargers.csv", self.chargers_file.accept)
        status = ServerStatus(
            site=site,
            clock=clock,
            started=clock.real_now(),
            site_name=settings.site_name,
            ocpp_url=first_start.charger_address(settings),
            is_demo=(data_dir / DEMO_MARKER).exists(),
            users_file=self.users_file,
            chargers_file=self.chargers_file,
            last_publish_error=lambda: self.publisher.last_error,
        )
        self.publisher = Publisher(
            central,
            data_dir,
            clock,
            status=status.status,
            users_report=status.users_report,
            published=self.metrics.published,
        )
        self._keys = KeyChecker()
        doorkeeper = Doorkeeper(site, self._keys, settings.charger_networks, settings.trusted_proxies)
        self._messages = MessageLog(MessageFiles(data_dir / "messages"), site, clock, is_on=settings.message_log)
        central.listen(self._messages.watch)
        self.events = EventFeed(central, clock)
        options = replace(_gateway_options(settings, site, tls), traffic=self.metrics, messages=self._messages)
        self.gateway = Gateway(central, clock, options, doorkeeper)
        calls = RemoteCalls(self.gateway)
        self._operator_calls = OperatorCalls(calls, central, clock)
        self._mender = Mender(calls, central, clock, lambda charge_point_id: leaks_of(site, charge_point_id))
        self._month_clock = MonthClock(central, clock)
        wanted = WantedConfiguration(settings.meter_interval_s, settings.charger_ping_interval_s)
        self._loops: dict[str, _Loop] = {
            "publisher": self.publisher,
            "stopper": Stopper(
                central, calls, clock, escalation=settings.stop_escalation, attempted=self.metrics.stop_attempted
            ),
            "month clock": self._month_clock,
            "users1.csv": self._users_watcher,
            "chargers.csv": self._chargers_watcher,
            "configurator": Configurator(calls, central, clock, self._needing_configuration, wanted),
            "boot asker": BootAsker(calls, self.gateway, clock),
            "admission": AdmissionWatch(central, self.gateway, calls),
            "housekeeping": Housekeeping(central, data_dir, clock, ledger.backup),
            "message log": self._messages,
            "events": self.events,
            "watchman": Watchman(central, data_dir, clock, self._table_states, is_pinging=settings.ping_interval_s > 0),
        }
        if tls is not None:
            self._loops["TLS files"] = tls
        self._may_configure = settings.configure_charge_points
        self.charge_points = ChargePoints(
            central,
            clock,
            data_dir / "chargers.csv",
            self.chargers_file,
            is_connected=self.gateway.is_connected,
            change_configuration=calls.change_configuration,
        )

    def routes(self) -> list[Route]:
        """Of the control API."""
        return [
            *ChargePointRoutes(self.charge_points).routes(),
            *Commands(self.charge_points, self._operator_calls).routes(),
            *self._charge_point_commands().routes(),
            *Messages(self._central, self._messages).routes(),
            *Events(self.events, self._clock).routes(),
            *Transactions(self._central, self._clock).routes(),
            *Adjustments(self._central, self._clock).routes(),
            *Users(self._central, self._clock, self._settings.data_dir / "users1.csv", self.users_file).routes(),
            *Authorization(self._central, self._clock).routes(),
            *reading_routes(
                self._reader, self._central, self._clock, self._settings, connections=self.gateway.connections
            ),
        ]

    def _charge_point_commands(self) -> ChargePointCommands:
        return ChargePointCommands(
            self._central,
            self._clock,
            self.charge_points,
            self._operator_calls,
            is_connected=self.gateway.is_connected,
            mend=self._mender.mend,
            disconnect=self._disconnect,
        )

    def _disconnect(self, charge_point_id: str) -> bool:
        connection = self.gateway.connection(charge_point_id)
        if connection is not None:
            self.gateway.dismiss(connection)
        return connection is not None

    def monitoring(self, data_dir: Path) -> MonitoringPages:
        """What /metrics and /healthz tell."""
        report = MetricsReport(
            self.metrics,
            self._central,
            self._clock,
            data_dir,
            self.publisher,
            connections=lambda: len(self.gateway.connected()),
            tables=self._table_states,
        )
        health = Health(data_dir, self.gateway, self._central, self.publisher, lambda: self._table_states()[0].error)
        return MonitoringPages(report, health)

    async def before_listening(self) -> None:
        """What must be in force before the first charge point is answered."""
        for charge_point in list(self._central.site.charge_points.values()):
            seen = self._central.site.last_seen.get(charge_point.charge_point_id, charge_point.first_seen)
            await self._central.handle(Disconnect(charge_point.charge_point_id, seen))
        await self._users_watcher.load_once()
        await self._chargers_watcher.load_once()
        await self._month_clock.open_at_start()
        await self.publisher.publish()

    def start_loops(self, group: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        """Run every loop in a task of its own."""
        return [group.create_task(loop.run(), name=name) for name, loop in self._loops.items()]

    async def _replace_users(self, table: UserTable, _change: tuple[str, ...]) -> None:
        await self._central.handle(ReplaceUsers(self._clock.now(), table))

    async def _report_undone(self, id_tags: tuple[IdTag, ...]) -> None:
        for id_tag in id_tags[:_MOST_UNDONE]:
            text = "a save of users1.csv undid an edit made through the server"
            await self._central.handle(RecordUserEdit(self._clock.now(), text, id_tag, "users1.csv"))

    async def _replace_chargers(self, rows: tuple[ChargerRow, ...]) -> None:
        await self._central.handle(ReplaceChargers(self._clock.now(), rows))

    def _table_states(self) -> tuple[TableState, TableState]:
        users = table_state("users1.csv", self.users_file, self._users_watcher.trouble)
        return users, table_state("chargers.csv", self.chargers_file)

    def _needing_configuration(self) -> list[str]:
        """Connected charge points that booted since they were last looked over, and may be configured (rule 27)."""
        site = self._central.site
        if not self._may_configure:
            return []
        return [
            charge_point.charge_point_id
            for charge_point in site.charge_points.values()
            if charge_point.booted_at != charge_point.configured_boot
            and self.gateway.is_connected(charge_point.charge_point_id)
            and site.chargers.get(charge_point.charge_point_id, _NO_ROW).configure
        ]


def _listeners(settings: Settings, tls: ServerTls | None) -> GatewayOptions:
    port = settings.ocpp_port if settings.has_plain_port else None
    return GatewayOptions(host=settings.ocpp_host, port=port, tls_port=settings.ocpp_tls_port, tls=tls)


def _gateway_options(settings: Settings, site: Site, tls: ServerTls | None) -> GatewayOptions:
    return replace(
        _listeners(settings, tls),
        path_prefixes=settings.ocpp_path_prefixes,
        allow_missing_subprotocol=settings.allow_missing_subprotocol,
        heartbeat_interval_s=settings.heartbeat_interval_s,
        ping_interval_s=settings.ping_interval_s,
        ping_timeout_s=settings.ping_timeout_s,
        call_timeout_s=settings.call_timeout_s,
        max_connections=settings.max_connections,
        max_files=raise_file_limit(),
        max_message_rate=settings.max_message_rate,
        ping_of=lambda charge_point_id: site.chargers.get(charge_point_id, _NO_ROW).ping,
    )


class _Nobody:
    """No central system: nobody is let in who could ask it."""

    async def handle(self, _command: Command) -> Reply:
        raise CommitError("nothing can be stored")


@asynccontextmanager
async def running(settings: Settings, clock: Clock | None = None) -> AsyncIterator[RunningServer]:
    """The whole server, while the block runs. Raises StartError; an ExceptionGroup if a part of it fails later."""
    clock = clock or clock_of(settings)
    tls = tls_of(settings)
    ledger = open_ledger(settings, clock)
    try:
        async with _wired(settings, clock, ledger, tls) as server:
            yield server
    finally:
        ledger.close()


@asynccontextmanager
async def _wired(
    settings: Settings, clock: Clock, ledger: Ledger, tls: ServerTls | None
) -> AsyncIterator[RunningServer]:
    try:
        central = await bring_up_to_date(ledger, settings.data_dir, clock)
        token = make_token(settings.data_dir)
    except (StorageError, OSError) as error:
        raise StartError(str(error)) from error
    parts = _Parts(settings, clock, ledger, central, tls)
    refusal: StartError | None = None
    async with asyncio.TaskGroup() as group:
        committing = group.create_task(central.run(), name="commit")
        await parts.before_listening()
        loops = parts.start_loops(group)
        async with AsyncExitStack() as sockets:
            try:
                pages = parts.monitoring(settings.data_dir).pages()
                control = ControlApi(token, parts.routes(), pages=pages, observe=parts.metrics.api_answered)
                api = control.listening(settings.api_host, settings.api_port)
                api_port = await _open(sockets, api, settings, "api")
                sockets.callback(parts.events.close)  # streams end by themselves before the API does
                await _open(sockets, parts.gateway.listening(), settings, *site_check.ocpp_listeners(settings))
            except StartError as error:
                refusal = error  # an orderly end all the same: what a person edits after it counts
            else:
                ocpp_port = parts.gateway.port if settings.has_plain_port else None
                ocpp_tls_port = None if tls is None else parts.gateway.tls_port
                _log_listeners(settings, ocpp_port, ocpp_tls_port)
                _log_admission(settings)
                yield RunningServer(central, parts.gateway, ocpp_port, ocpp_tls_port, api_port)
        for loop in loops:
            loop.cancel()
        await asyncio.wait(loops)
        await central.until_durable(central.applied)
        committing.cancel()
    await parts.publisher.publish(is_final=True)
    ledger.mark_clean(parts.publisher.digests())
    if refusal is not None:
        raise refusal
    log.info("[CONNECT] stopped")


def _log_listeners(settings: Settings, ocpp_port: int | None, ocpp_tls_port: int | None) -> None:
    """What is open, and what the port without TLS is good for (OCPP-J §6)."""
    host = settings.ocpp_host
    log.info("[CONNECT] listening host=%s port=%s tls_port=%s", host, ocpp_port or "none", ocpp_tls_port or "none")
    if ocpp_port is None:
        log.info("[CONNECT] no port without TLS min_security_profile=%d", settings.min_security_profile)
    else:
        is_for_proxy = settings.min_security_profile >= 2
        use = "your reverse proxy only" if is_for_proxy else "LAN or VPN only, never towards the internet"
        log.warning("[CONNECT] listening without TLS port=%d use=%r", ocpp_port, use)


def _log_admission(settings: Settings) -> None:
    """Said at each start: who trusts every newcomer, or none, should know it."""
    match settings.charger_admission:
        case UnknownChargePoints.OPEN:
            log.warning("[CONNECT] every charge point of the site's networks is let in: EVQUOTA_CHARGER_ADMISSION=open")
        case UnknownChargePoints.LOCKED:
            log.info("[CONNECT] unknown charge points are refused: EVQUOTA_CHARGER_ADMISSION=locked")


def _tune_garbage_collection() -> None:
    """What is there now stays for good; records hold no cycles, so looking for them can be rare."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


async def _open(
    sockets: AsyncExitStack, listener: AbstractAsyncContextManager[_T], settings: Settings, *names: str
) -> _T:
    """Open a listener. Raises StartError, in the words of `check`, if a port or the address cannot be had."""
    try:
        return await sockets.enter_async_context(listener)
    except OSError as error:
        findings = [site_check.check_port(name, *site_check.listener_address(settings, name)) for name in names]
        refused = (f"{finding.what}: {finding.mend}" for finding in findings if finding.mend)
        raise StartError(next(refused, str(error))) from error


async def serve(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT. Raises StartError; an ExceptionGroup if a part of the server fails.

    On a disk that is full or read-only it waits and refuses handshakes: charge points that cannot connect queue what
    they have to tell (OCPP 1.6 §3.7), those that get no answer throw it away.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    while not stop.is_set():
        try:
            async with running(settings):
                _tune_garbage_collection()
                await stop.wait()
        except NotWritableError as error:
            log.error("[STATUS] waiting reason=%s again_in_s=%d", error, _LOOK_AGAIN_S)
            async with AsyncExitStack() as sockets:
                nobody = Doorkeeper(Site(Policy(settings.zone)), KeyChecker())
                options = replace(_listeners(settings, tls_of(settings)), is_storable=lambda: False)
                gateway = Gateway(_Nobody(), clock_of(settings), options, nobody)
                await _open(sockets, gateway.listening(), settings, *site_check.ocpp_listeners(settings))
                await Clock().wait_for(stop, _LOOK_AGAIN_S)


def main(settings: Settings) -> int:
    """The exit code of `serve`: 0 after a stop, 1 after a failure (it is started again), 2 if it cannot start."""
    os.umask(0o027)
    line = "%(asctime)s %(levelname)s %(message)s"
    logging.basicConfig(level=settings.log_level, format=line, stream=sys.stdout)
    logging.getLogger("watchfiles").setLevel(logging.WARNING)  # it tells of each change; what became of it, we tell
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(serve(settings))
    except StartError as error:
        print(f"evquota cannot start: {error}", file=sys.stderr)
        return 2
    except Exception as failure:
        log.critical("[STATUS] the server failed and ends", exc_info=failure)
        return 1
    return 0


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where it is installed, which is everywhere but on machines without a wheel for it."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
