"""Alerts of a whole site, from the charge point to alerts.json: raised, acknowledged, over by themselves (issue 4)."""

from typing import Any

import pytest
from running_site import RunningSite, SiteFactory, people

from ocpp_server.core.commands import AcknowledgeAlert
from ocpp_server.core.records import NoteKind
from simulator import Behaviour


def alerts_of(here: RunningSite, kind: str) -> list[dict[str, Any]]:
    return [alert for alert in here.alerts() if alert["kind"] == kind]


def raised(here: RunningSite) -> list[str]:
    return [note.text for note in here.server.central.site.notes if note.text.startswith("raised: ")]


async def test_a_charge_point_that_is_gone_is_missed_until_it_is_back(site: SiteFactory) -> None:
    """After 15 minutes, once, also over a restart of the server; who takes care is not forgotten."""
    here = await site()
    charge_point = await here.connect("CP1")
    await charge_point.close()
    await here.advance(14 * 60)
    early = alerts_of(here, "charge point silent")
    await here.advance(2 * 60)
    (silent,) = alerts_of(here, "charge point silent")
    await here.server.central.handle(AcknowledgeAlert(here.clock.now(), silent["id"], "Jane"))
    await here.restart()
    await here.advance(60)
    (kept,) = alerts_of(here, "charge point silent")
    await here.connect("CP1")
    await here.advance(10)

    assert early == []
    assert (silent["charger_id"], silent["severity"], silent["state"]) == ("CP1", "warning", "open")
    assert (kept["state"], kept["acknowledged_by"], kept["since"]) == ("acknowledged", "Jane", silent["since"])
    assert alerts_of(here, "charge point silent") == []
    assert raised(here).count("raised: charge point silent") == 1


async def test_an_alert_and_who_takes_care_survive_a_restart(site: SiteFactory) -> None:
    """A fault lasts until another status is told, whoever was started again meanwhile."""
    here = await site()
    charge_point = await here.connect("CP1")
    fault = {"connectorId": 1, "errorCode": "GroundFailure", "status": "Faulted"}
    await charge_point.call("StatusNotification", fault)
    await here.advance(10)
    (alert,) = alerts_of(here, "charge point faulted")
    await here.server.central.handle(AcknowledgeAlert(here.clock.now(), alert["id"], "Jane"))
    await charge_point.close()
    await here.restart()
    await here.advance(60)
    (kept,) = alerts_of(here, "charge point faulted")
    charge_point = await here.connect("CP1")
    await charge_point.call("StatusNotification", fault | {"errorCode": "NoError", "status": "Available"})
    await here.advance(10)

    assert (kept["state"], kept["acknowledged_by"], kept["since"]) == ("acknowledged", "Jane", alert["since"])
    assert alerts_of(here, "charge point faulted") == []
    assert raised(here).count("raised: charge point faulted") == 1


async def test_who_charges_on_beyond_the_quota_is_told_until_it_ends(site: SiteFactory) -> None:
    """Critical; beside the alert that the stop is not obeyed."""
    here = await site(people(RFID001=1), stop_escalation="none")
    charge_point = await here.plug("CP1", behaviour=Behaviour(reject_remote_stop=True))
    session = await charge_point.plug_in_and_swipe(1, "RFID001", 22_000)
    await here.advance(600)
    (over,) = alerts_of(here, "over quota and still charging")
    await charge_point.stop()
    await here.advance(10)

    assert (over["severity"], over["transaction_id"]) == ("critical", session.transaction_id)
    assert alerts_of(here, "over quota and still charging") == alerts_of(here, "stop not obeyed") == []
    assert raised(here).count("raised: over quota and still charging") == 1


async def test_a_session_that_lands_on_its_quota_is_no_alert(site: SiteFactory) -> None:
    """The overshoot of a good stop is normal (rule 25); that little is left is a warning."""
    here = await site(people(RFID001=1))
    charge_point = await here.plug("CP1")
    session = await charge_point.plug_in_and_swipe(1, "RFID001", 22_000)
    await here.steps.advance_until(lambda: session.is_stopped, 600)
    await here.advance(300)
    kinds = {note.kind for note in here.server.central.site.notes if note.text.startswith("raised: over")}

    assert kinds == set()
    assert NoteKind.WARNING in {note.kind for note in here.server.central.site.notes}


async def test_a_users_file_that_cannot_be_used_is_told_until_it_can(
    site: SiteFactory, caplog: pytest.LogCaptureFixture
) -> None:
    """The last good rows stay in force."""
    here = await site()
    (here.data_dir / "users1.csv").write_bytes(b"nothing,of,use\r\n1,2,3\r\n")
    await here.until(lambda: any("users1.csv refused" in record.getMessage() for record in caplog.records))
    await here.advance(30)
    await here.published()
    rejected = alerts_of(here, "users file rejected")
    await here.change_users(people(RFID001=7))
    await here.advance(30)
    await here.published()

    assert [alert["id"] for alert in rejected] == ["file-users1.csv"]
    assert here.alerts() == []
