"""Runs the parts of a server in one TaskGroup, from the lock on the folder to the clean end on SIGTERM.

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
from typing import TypeVar

from ocpp_server import site_check
from ocpp_server.central_system import CentralSystem, CommitError
from ocpp_server.clock import Clock
from ocpp_server.control_api.application import ControlApi
from ocpp_server.control_api.token import VIEWER_TOKEN_FILE, make_token
from ocpp_server.core.commands import (
    Command,
    Reply,
)
from ocpp_server.core.site import Policy, Site, UnknownChargePoints
from ocpp_server.ocpp16.commands import RemoteCalls
from ocpp_server.ocpp16.doorkeeper import Doorkeeper
from ocpp_server.ocpp16.gateway import Gateway
from ocpp_server.ocpp16.key_checker import KeyChecker
from ocpp_server.ocpp16.tls import ServerTls
from ocpp_server.parts import Parts, listeners_of
from ocpp_server.settings import Settings
from ocpp_server.start import NotWritableError, StartError, bring_up_to_date, clock_of, open_ledger, tls_of
from ocpp_server.storage.errors import StorageError
from ocpp_server.storage.ledger import Ledger

log = logging.getLogger(__name__)

_T = TypeVar("_T")
_LOOK_AGAIN_S = 30.0


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
        viewer_token = make_token(settings.data_dir, VIEWER_TOKEN_FILE)
    except (StorageError, OSError) as error:
        raise StartError(str(error)) from error
    parts = Parts(settings, clock, ledger, central, tls)
    refusal: StartError | None = None
    async with asyncio.TaskGroup() as group:
        committing = group.create_task(central.run(), name="commit")
        await parts.before_listening()
        loops = parts.start_loops(group)
        async with AsyncExitStack() as sockets:
            try:
                pages = parts.monitoring(settings.data_dir).pages()
                observe = parts.metrics.api_answered
                control = ControlApi(token, parts.routes(), viewer_token=viewer_token, pages=pages, observe=observe)
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
                options = replace(listeners_of(settings, tls_of(settings)), is_storable=lambda: False)
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
