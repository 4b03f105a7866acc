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
from dataclasses import dataclass
from typing import Protocol, TypeVar

from ocpp_server import first_start, site_check
from ocpp_server.central_system import CentralSystem, CommitError
from ocpp_server.clock import Clock
from ocpp_server.control_api.application import ControlApi
from ocpp_server.control_api.token import make_token
from ocpp_server.core.commands import Command, Disconnect, ReplaceChargers, ReplaceUsers, Reply
from ocpp_server.core.site import Policy, Site
from ocpp_server.core.users import ChargerRow, UserTable
from ocpp_server.housekeeping import Housekeeping
from ocpp_server.month_clock import MonthClock
from ocpp_server.ocpp16.commands import RemoteCalls
from ocpp_server.ocpp16.configurator import BootAsker, Configurator, WantedConfiguration
from ocpp_server.ocpp16.doorkeeper import Doorkeeper
from ocpp_server.ocpp16.gateway import Gateway, GatewayOptions
from ocpp_server.ocpp16.key_checker import KeyChecker
from ocpp_server.publisher import Publisher
from ocpp_server.server_status import ServerStatus
from ocpp_server.settings import Settings
from ocpp_server.start import DEMO_MARKER, NotWritableError, StartError, bring_up_to_date, clock_of, open_ledger
from ocpp_server.stopper import Stopper
from ocpp_server.storage.chargers_file import ChargersFile
from ocpp_server.storage.errors import StorageError
from ocpp_server.storage.ledger import Ledger
from ocpp_server.storage.users_file import UsersFile
from ocpp_server.users_watcher import TableWatcher

log = logging.getLogger(__name__)

_T = TypeVar("_T")
_LOOK_AGAIN_S = 30.0
_NO_ROW = ChargerRow("")


class _Loop(Protocol):
    async def run(self) -> None: ...


@dataclass(frozen=True, slots=True)
class RunningServer:
    """What a started server offers to whoever started it in this process."""

    central: CentralSystem
    gateway: Gateway
    ocpp_port: int
    api_port: int


class _Parts:
    """The parts of a server, built and wired; nothing runs yet."""

    def __init__(self, settings: Settings, clock: Clock, ledger: Ledger, central: CentralSystem) -> None:
        data_dir, site = settings.data_dir, central.site
        self._central, self._clock = central, clock
        self.users_file = UsersFile(site.users, self._replace_users)
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
        self.publisher = Publisher(central, data_dir, clock, status=status.status, users_report=status.users_report)
        self._keys = KeyChecker()
        doorkeeper = Doorkeeper(site, self._keys, settings.charger_networks, settings.trusted_proxies)
        self.gateway = Gateway(central, clock, _gateway_options(settings, site), doorkeeper)
        calls = RemoteCalls(self.gateway)
        self._month_clock = MonthClock(central, clock)
        wanted = WantedConfiguration(settings.meter_interval_s, settings.charger_ping_interval_s)
        self._loops: dict[str, _Loop] = {
            "publisher": self.publisher,
            "stopper": Stopper(central, calls, clock, escalation=settings.stop_escalation),
            "month clock": self._month_clock,
            "users1.csv": self._users_watcher,
            "chargers.csv": self._chargers_watcher,
            "configurator": Configurator(calls, central, clock, self._needing_configuration, wanted),
            "boot asker": BootAsker(calls, self.gateway, clock),
            "housekeeping": Housekeeping(central, data_dir, clock, ledger.backup),
        }
        self._may_configure = settings.configure_charge_points

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

    async def _replace_chargers(self, rows: tuple[ChargerRow, ...]) -> None:
        await self._central.handle(ReplaceChargers(self._clock.now(), rows))

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


def _gateway_options(settings: Settings, site: Site) -> GatewayOptions:
    return GatewayOptions(
        host=settings.ocpp_host,
        port=settings.ocpp_port,
        path_prefixes=settings.ocpp_path_prefixes,
        allow_missing_subprotocol=settings.allow_missing_subprotocol,
        heartbeat_interval_s=settings.heartbeat_interval_s,
        ping_interval_s=settings.ping_interval_s,
        ping_timeout_s=settings.ping_timeout_s,
        call_timeout_s=settings.call_timeout_s,
        ping_of=lambda charge_point_id: site.chargers.get(charge_point_id, _NO_ROW).ping,
    )


class _Nobody:
    """No central system: nobody is let in who could ask it."""

    async def handle(self, _command: Command) -> Reply:
        raise CommitError("nothing can be stored")


def _refusing_options(settings: Settings) -> GatewayOptions:
    return GatewayOptions(host=settings.ocpp_host, port=settings.ocpp_port, is_storable=lambda: False)


@asynccontextmanager
async def running(settings: Settings, clock: Clock | None = None) -> AsyncIterator[RunningServer]:
    """The whole server, while the block runs. Raises StartError; an ExceptionGroup if a part of it fails later."""
    clock = clock or clock_of(settings)
    ledger = open_ledger(settings, clock)
    try:
        async with _wired(settings, clock, ledger) as server:
            yield server
    finally:
        ledger.close()


@asynccontextmanager
async def _wired(settings: Settings, clock: Clock, ledger: Ledger) -> AsyncIterator[RunningServer]:
    try:
        central = await bring_up_to_date(ledger, settings.data_dir, clock)
        token = make_token(settings.data_dir)
    except (StorageError, OSError) as error:
        raise StartError(str(error)) from error
    parts = _Parts(settings, clock, ledger, central)
    refusal: StartError | None = None
    async with asyncio.TaskGroup() as group:
        committing = group.create_task(central.run(), name="commit")
        await parts.before_listening()
        loops = parts.start_loops(group)
        async with AsyncExitStack() as sockets:
            try:
                api = ControlApi(central, clock, token).listening(settings.api_host, settings.api_port)
                api_port = await _open(sockets, api, settings, "api")
                await _open(sockets, parts.gateway.listening(), settings, "ocpp")
            except StartError as error:
                refusal = error  # an orderly end all the same: what a person edits after it counts
            else:
                log.info("[CONNECT] listening host=%s port=%d", settings.ocpp_host, parts.gateway.port)
                yield RunningServer(central, parts.gateway, parts.gateway.port, api_port)
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


def _tune_garbage_collection() -> None:
    """What is there now stays for good; records hold no cycles, so looking for them can be rare."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


async def _open(
    sockets: AsyncExitStack, listener: AbstractAsyncContextManager[_T], settings: Settings, name: str
) -> _T:
    """Open a listener. Raises StartError, in the words of `check`, if its port or address cannot be had."""
    try:
        return await sockets.enter_async_context(listener)
    except OSError as error:
        host, port = getattr(settings, f"{name}_host"), getattr(settings, f"{name}_port")
        finding = site_check.check_port(name, host, port)
        raise StartError(f"{finding.what}: {finding.mend}" if finding.mend else str(error)) from error


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
                gateway = Gateway(_Nobody(), clock_of(settings), _refusing_options(settings), nobody)
                await _open(sockets, gateway.listening(), settings, "ocpp")
                await Clock().wait_for(stop, _LOOK_AGAIN_S)


def main(settings: Settings) -> int:
    """The exit code of `serve`: 0 after a stop, 1 after a failure (it is started again), 2 if it cannot start."""
    os.umask(0o027)
    line = "%(asctime)s %(levelname)s %(message)s"
    logging.basicConfig(level=settings.log_level, format=line, stream=sys.stdout)
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
