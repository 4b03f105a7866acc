"""What is read off the state of the site when somebody asks: charge points, sessions, quotas, alerts, tables.

Charge points that wait for approval are counted, not named: anybody can invent one. Users are counted, never named.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from ocpp_server.clock import Clock
from ocpp_server.core.admission import admission_of
from ocpp_server.core.alerts import Severity, severity_of
from ocpp_server.core.quota import allowance
from ocpp_server.core.records import Admission, ChargePoint
from ocpp_server.core.site import Site
from ocpp_server.monitoring.series import PREFIX

_STATUSES: Final = (
    *("Available", "Preparing", "Charging", "SuspendedEVSE", "SuspendedEV", "Finishing", "Reserved"),
    *("Unavailable", "Faulted", "other"),
)
"""OCPP 1.6 §7.7."""


def site_families(site: Site, clock: Clock, energy_told: dict[str, int]) -> Iterator[Metric]:
    """All but the statuses of connectors, as it is now. No await, so it is one state.

    `energy_told`: Wh by charge point that were told before, and that this keeps: a counter must not fall when a
    correction takes energy back, or Prometheus takes all of it for new.
    """
    known = [one for one in site.charge_points.values() if _is_named(site, one)]
    yield from _charge_points(site, known, energy_told)
    yield _by("charge_points", "Charge points, by admission", "admission", _admissions(site))
    yield _gauge("sessions_active", "Sessions that run", len(site.open_transactions))
    yield from _quotas(site, clock)
    severities = dict.fromkeys((one.value for one in Severity), 0)
    severities |= Counter(severity_of(alert).value for alert in site.alerts.values())
    yield _by("alerts_open", "Alerts that are open, by severity", "severity", severities)


def _charge_points(site: Site, known: list[ChargePoint], energy_told: dict[str, int]) -> Iterator[Metric]:
    connected = _of_chargers("charger_connected", "Whether a charge point is connected")
    power = _of_chargers("charger_power_watts", "Power of the sessions of a charge point")
    heard = _of_chargers("charger_last_message_timestamp_seconds", "Unix time of a charge point's last message")
    name = f"{PREFIX}charger_energy_watt_hours"
    energy = CounterMetricFamily(name, "Energy that a charge point delivered, as booked", labels=("charger",))
    for one in known:
        label, charge_point_id = (one.charge_point_id,), one.charge_point_id
        connected.add_metric(label, one.connected_since is not None)
        sessions = site.open_by_charge_point.get(charge_point_id, {}).values()
        power.add_metric(label, sum(session.power_w for session in sessions))
        told = max(site.delivered.get(charge_point_id, 0), energy_told.get(charge_point_id, 0))
        energy_told[charge_point_id] = told
        energy.add_metric(label, told)
        seen = site.last_seen.get(charge_point_id)
        if seen is not None:
            heard.add_metric(label, seen.timestamp())
    yield from (connected, power, energy, heard)


def told_statuses(site: Site) -> list[tuple[str, str, str]]:
    """Charge point, connector and the status that it told last."""
    return [
        (one.charge_point_id, str(connector.connector_id), connector.status)
        for one in site.charge_points.values()
        if _is_named(site, one)
        for connector in one.connectors
    ]


def status_family(told: Iterable[tuple[str, str, str]]) -> Metric:
    """By far the most figures, so it is made in a thread, of what `told_statuses` gave."""
    text = "1 for the status that a connector told last, 0 for the others"
    family = GaugeMetricFamily(f"{PREFIX}charger_status", text, labels=("charger", "connector", "status"))
    for charge_point_id, connector_id, status in told:
        known = status if status in _STATUSES else "other"
        for one in _STATUSES:
            family.add_metric((charge_point_id, connector_id, one), one == known)
    return family


def _quotas(site: Site, clock: Clock) -> Iterator[Metric]:
    """Accounts, because those who share one share its quota."""
    now = clock.now()
    limited = {user.account: user for user in site.users.users.values() if user.quota is not None}
    over = near = 0
    for user in limited.values():
        left = allowance(site, user, now)
        if left.is_used_up:
            over += 1
        elif left.quota is not None and left.used * 100 >= left.quota * 80:
            near += 1
    yield _gauge("users", "Users in force", len(site.users.users))
    yield _gauge("users_over_quota", "Accounts that have too little of their quota left to start a session", over)
    yield _gauge("users_near_quota", "Accounts that used 80 % of their quota, and not all of it", near)


def _admissions(site: Site) -> dict[str, int]:
    counts = dict.fromkeys((one.value for one in Admission), 0)
    for charge_point_id, one in site.charge_points.items():
        counts[(admission_of(site, charge_point_id) or one.admission).value] += 1
    return counts


def _is_named(site: Site, charge_point: ChargePoint) -> bool:
    admission = admission_of(site, charge_point.charge_point_id)
    return admission is not None and admission is not Admission.PENDING


def _of_chargers(name: str, text: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(PREFIX + name, text, labels=("charger",))


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(PREFIX + name, text, value=value)


def _by(name: str, text: str, label: str, values: dict[str, int]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(PREFIX + name, text, labels=(label,))
    for key, value in values.items():
        family.add_metric((key,), value)
    return family
