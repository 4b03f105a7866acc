"""The routes of every resource that is only read, put together for the composition root."""

from collections.abc import Callable, Iterable

from ocpp_server.central_system import CentralSystem
from ocpp_server.clock import Clock
from ocpp_server.control_api.alerts import Alerts
from ocpp_server.control_api.connections import Connected, Connections
from ocpp_server.control_api.explanation_routes import Explanations
from ocpp_server.control_api.notes import Notes
from ocpp_server.control_api.readings import Readings
from ocpp_server.control_api.routing import Route
from ocpp_server.control_api.settings_view import SettingsView
from ocpp_server.control_api.transactions import TransactionPages
from ocpp_server.control_api.usage import UsageByMonth
from ocpp_server.settings import Settings
from ocpp_server.storage.ledger_reader import LedgerReader


def reading_routes(
    reader: LedgerReader,
    central: CentralSystem,
    clock: Clock,
    settings: Settings,
    connections: Callable[[], Iterable[Connected]],
) -> list[Route]:
    """Sessions, explanations, readings, usage, notes, audit, alerts, connections, settings."""
    return [
        *TransactionPages(reader).routes(),
        *Explanations(reader, central.site.policy, clock).routes(),
        *Readings(reader).routes(),
        *UsageByMonth(reader).routes(),
        *Notes(reader).routes(),
        *Alerts(central, clock).routes(),
        *Connections(central.site, connections).routes(),
        *SettingsView(settings).routes(),
    ]
