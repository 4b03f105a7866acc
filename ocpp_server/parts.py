"""The parts of a server: built here and handed to one another; nothing runs yet. How they run is `app`'s business."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from ocpp_server import first_start
from ocpp_server.central_system import CentralSystem
from ocpp_server.clock import Clock
from ocpp_server.control_api.adjustments import Adjustments
from ocpp_server.control_api.authorization import Authorization
from ocpp_server.control_api.charge_point_commands import ChargePointCommands
from ocpp_server.control_api.charge_point_routes import ChargePointRoutes
from ocpp_server.control_api.charge_points import ChargePoints
from ocpp_server.control_api.commands import Commands
from ocpp_server.control_api.destinations import DestinationRoutes
from ocpp_server.control_api.event_feed import EventFeed
from ocpp_server.control_api.events import Events
from ocpp_server.control_api.messages import Messages
from ocpp_server.control_api.monitoring_pages import MonitoringPages
from ocpp_server.control_api.months import Months
from ocpp_server.control_api.reading_routes import reading_routes
from ocpp_server.control_api.routing import Route
from ocpp_server.control_api.set_aside_routes import SetAsideRoutes
from ocpp_server.control_api.transactions import Transactions
from ocpp_server.control_api.users import Users
from ocpp_server.core.commands import (
    Disconnect,
    RecordUserEdit,
    ReplaceChargers,
    ReplaceUsers,
    TableState,
)
from ocpp_server.core.leaks import leaks_of
from ocpp_server.core.site import Site
from ocpp_server.core.users import ChargerRow, IdTag, UserTable
from ocpp_server.forwarding import destinations_of
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
from ocpp_server.start import DEMO_MARKER
from ocpp_server.stopper import Stopper
from ocpp_server.storage.chargers_file import ChargersFile
from ocpp_server.storage.ledger import Ledger
from ocpp_server.storage.ledger_reader import LedgerReader
from ocpp_server.storage.message_files import MessageFiles
from ocpp_server.storage.table_changes import Figures, editor_of
from ocpp_server.storage.users_file import UsersFile
from ocpp_server.users_watcher import TableWatcher
from ocpp_server.watchman import Watchman, table_state

_NO_ROW = ChargerRow("")
_MOST_UNDONE = 20


class _Loop(Protocol):
    async def run(self) -> None: ...


class Parts:
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
        self._destinations = destinations_of(settings, clock, ledger, central)
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
            deliveries=self._destinations.statuses,
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
            "watchman": Watchman(
                central,
                data_dir,
                clock,
                self._table_states,
                is_pinging=settings.ping_interval_s > 0,
                deliveries=self._destinations.states,
            ),
            "destinations": self._destinations,
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
            *SetAsideRoutes(self._reader, self._central, self._clock).routes(),
            *Months(self._central, self._clock, self._month_clock.look).routes(),
            *Users(self._central, self._clock, self._settings.data_dir / "users1.csv", self.users_file).routes(),
            *Authorization(self._central, self._clock).routes(),
            *DestinationRoutes(self._destinations.statuses, self._destinations.engine).routes(),
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
            deliveries=self._destinations.statuses,
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

    async def _replace_users(self, table: UserTable, _change: tuple[str, ...], by_hand: Figures) -> None:
        by = await asyncio.to_thread(editor_of, self._settings.data_dir / "users1.csv") if by_hand else ""
        await self._central.handle(ReplaceUsers(self._clock.now(), table, by, by_hand))

    async def _report_undone(self, id_tags: tuple[IdTag, ...]) -> None:
        for id_tag in id_tags[:_MOST_UNDONE]:
            text = "a save of users1.csv undid an edit made through the server"
            await self._central.handle(RecordUserEdit(self._clock.now(), text, id_tag, "users1.csv"))

    async def _replace_chargers(self, rows: tuple[ChargerRow, ...], by_hand: Figures) -> None:
        by = await asyncio.to_thread(editor_of, self._settings.data_dir / "chargers.csv") if by_hand else ""
        await self._central.handle(ReplaceChargers(self._clock.now(), rows, by, by_hand))

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


def listeners_of(settings: Settings, tls: ServerTls | None) -> GatewayOptions:
    """Where to listen; the rest as it is by default."""
    port = settings.ocpp_port if settings.has_plain_port else None
    return GatewayOptions(host=settings.ocpp_host, port=port, tls_port=settings.ocpp_tls_port, tls=tls)


def _gateway_options(settings: Settings, site: Site, tls: ServerTls | None) -> GatewayOptions:
    return replace(
        listeners_of(settings, tls),
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
