"""`core.delivery_alerts`: another system that waits, refuses or lost something."""

from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from site_builder import NOON

from ocpp_server.core.alerts import look_for_alerts
from ocpp_server.core.commands import DeliveryState, LookForAlerts
from ocpp_server.core.delivery_alerts import LOST, OF_DELIVERIES, REFUSED, STUCK, delivery_alerts
from ocpp_server.core.records import Alert
from ocpp_server.core.site import Policy, Site, apply

WELL = DeliveryState("forwarder")


def look(*states: DeliveryState) -> LookForAlerts:
    return LookForAlerts(NOON, NOON, deliveries=states)


@pytest.mark.parametrize(
    ("state", "kinds"),
    [
        (WELL, []),
        (replace(WELL, is_stuck=True), [STUCK]),
        (replace(WELL, is_stuck=None), []),
        (replace(WELL, pause="HTTP 401"), [STUCK]),
        (replace(WELL, set_aside=2), [REFUSED]),
        (replace(WELL, lost_at=NOON), [LOST]),
        (replace(WELL, lost_at=NOON - timedelta(days=6)), [LOST]),
        (replace(WELL, lost_at=NOON - timedelta(days=7)), []),
        (DeliveryState("forwarder", True, "", 1, NOON), [STUCK, REFUSED, LOST]),
    ],
)
def test_each_trouble_is_an_alert_of_its_own(state: DeliveryState, kinds: list[str]) -> None:
    """A loss is told for a week: it cannot be mended."""
    assert [alert.kind for alert in delivery_alerts({}, look(state))] == kinds


def test_it_stays_open_over_a_restart_until_more_is_known() -> None:
    """After a start nobody knows yet how long something has waited."""
    known = {"stuck-forwarder": Alert("stuck-forwarder", STUCK, "", NOON)}

    assert [alert.kind for alert in delivery_alerts(known, look(replace(WELL, is_stuck=None)))] == [STUCK]


def test_two_destinations_have_alerts_of_their_own() -> None:
    """By their names; the reason of a pause is told."""
    alerts = list(delivery_alerts({}, look(DeliveryState("a", pause="HTTP 403"), DeliveryState("b", is_stuck=True))))

    assert [alert.alert_id for alert in alerts] == ["stuck-a", "stuck-b"]
    assert "HTTP 403" in alerts[0].text


def test_they_are_raised_once_and_resolved_by_themselves() -> None:
    """As every alert that is looked for."""
    site = Site(Policy(ZoneInfo("UTC")))
    seen = []
    for state in (DeliveryState("a", True, "", 1, NOON), DeliveryState("a", True, "", 9, NOON), DeliveryState("a")):
        changes = look_for_alerts(site, LookForAlerts(NOON, NOON, 10**12, 10**12, deliveries=(state,))).changes
        for change in changes:
            apply(site, change)
        seen.append((bool(changes), {alert.kind for alert in site.alerts.values()}))

    assert seen == [(True, set(OF_DELIVERIES)), (False, set(OF_DELIVERIES)), (True, set())]
