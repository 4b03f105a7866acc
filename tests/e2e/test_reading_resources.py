"""The resources of the control API that are only read, of a site that runs, over real HTTP (issue 4)."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias
from urllib.parse import quote

import aiohttp
import pytest
from running_site import RunningSite, SiteFactory, people
from yarl import URL

from ocpp_server.control_api.settings_view import MASK, setting_document
from ocpp_server.control_api.token import read_token
from ocpp_server.core.commands import RaiseAlert
from ocpp_server.settings import Settings

Ask: TypeAlias = Callable[..., Awaitable[Any]]


def asking(here: RunningSite) -> Ask:
    """Ask for a path below /api/v1; gives the JSON, or (status, problem) where it is refused."""

    async def ask(path: str, method: str = "GET", *, by: str = "Ann", body: Any = None) -> Any:
        url = f"http://127.0.0.1:{here.server.api_port}/api/v1{path}"
        headers = {"Authorization": f"Bearer {read_token(here.data_dir)}", "X-Requested-By": by}
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, URL(url, encoded=True), headers=headers, json=body) as answer,
        ):
            document = await answer.json(content_type=None)
            return document if answer.status < 400 else (answer.status, document)

    return ask


@pytest.fixture
async def here(site: SiteFactory) -> RunningSite:
    """A session of John that ended at CP/1, one of Jane that runs at CP2; both metered."""
    here = await site(people(RFID001=5))
    first, second = await here.connect("CP/1"), await here.connect("CP2")
    ended = await first.start("RFID001", 1000)
    await here.advance(60)
    await first.meter(ended, 1500)
    await first.stop(ended, 2000)
    await here.advance(60)
    runs = await second.start("RFID002", 0)
    await here.advance(60)
    await second.meter(runs, 300)
    return here


async def test_sessions_are_listed_and_filtered(here: RunningSite) -> None:
    """Those that run or ended, by place, tag and time, page by page; one of them."""
    ask = asking(here)
    runs, ended = (await ask("/transactions"))["transactions"]

    assert (ended["charge_point_id"], ended["energy_wh"], ended["meter_start_wh"]) == ("CP/1", 1000, 1000)
    assert (ended["end_kind"], ended["reason"], ended["overshoot_wh"]) == ("stopped", "Local", 0)
    assert (runs["id_tag"], runs["energy_wh"], runs["ended_at"], runs["stop"]) == ("RFID002", 300, None, None)
    for query, expected in {
        "open=true": [runs],
        "open=false": [ended],
        "charge_point=CP%2F1": [ended],
        "charge_point=CP": [],
        "id_tag=RFID002": [runs],
        f"since={runs['started_at']}": [runs],
        f"until={quote(runs['started_at'])}": [ended],
        "limit=1": [runs],
        "before=9223372036854775807": [runs, ended],
        "before=0": [],
    }.items():
        assert (await ask(f"/transactions?{query}"))["transactions"] == expected, query
    page = await ask("/transactions?limit=1")
    assert page["next"] == runs["transaction_id"]
    assert (await ask(f"/transactions?before={page['next']}")) == {"transactions": [ended], "next": None}
    assert await ask(f"/transactions/{ended['transaction_id']}") == ended
    assert (await ask("/transactions/1"))[0] == 404


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("since=yesterday", "since"),
        ("since=0.5", "since"),
        ("since=2025-01-15T10:00:00", "since"),
        ("since=0001-01-01T00:00:00%2B14:00", "since"),
        ("until=9999-12-31T23:59:59-14:00", "until"),
        ("limit=many", "limit"),
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("before=-1", "before"),
        ("before=9223372036854775808", "before"),
        ("open=perhaps", "open"),
    ],
)
async def test_a_filter_that_does_not_fit_is_422(site: SiteFactory, query: str, field: str) -> None:
    """With its name; also a time that no calendar has in UTC, and one without a zone."""
    status, problem = await asking(await site())(f"/transactions?{query}")

    assert (status, problem["field"]) == (422, field)


async def test_readings_are_listed(here: RunningSite) -> None:
    """The newest first, by session."""
    ask = asking(here)
    newest, oldest = (await ask("/readings"))["readings"]

    assert (newest["register_wh"], newest["id_tag"], newest["charge_point_id"]) == (300, "RFID002", "CP2")
    assert (oldest["register_wh"], oldest["full_name"]) == (1500, "John Doe")
    assert (await ask(f"/readings?transaction={oldest['transaction_id']}"))["readings"] == [oldest]
    assert (await ask("/readings?transaction=9223372036854775807"))["readings"] == []
    assert (await ask("/readings?transaction=9223372036854775808"))[0] == 422
    assert (await ask("/readings?limit=1"))["next"] == newest["number"]


async def test_usage_of_a_month(here: RunningSite) -> None:
    """By tag with name and quota; in the open month also who used nothing; other months are empty."""
    ask = asking(here)
    found = await ask("/usage")

    assert (found["month"], found["is_open"]) == ("2025-01", True)
    john, jane, admin = found["usage"]
    assert john == {
        "id_tag": "RFID001",
        "name": "John Doe",
        "account": "RFID001",
        "wh": 1000,
        "quota_wh": 5000,
        "is_known": True,
    }
    assert (jane["wh"], admin["wh"], admin["quota_wh"]) == (300, 0, None)
    assert await ask("/usage?month=2024-12") == {"month": "2024-12", "is_open": False, "usage": []}
    assert await ask("/usage/months") == {"open_month": "2025-01", "months": ["2025-01"]}
    assert (await ask("/usage?month=2025-13"))[0] == 422
    await here.change_users(people(without="RFID001"))
    await here.server.central.until_durable(here.server.central.applied)
    assert (await ask("/usage"))["usage"][0] | {"wh": 0} == john | {
        "name": "",
        "quota_wh": None,
        "is_known": False,
        "wh": 0,
    }


async def test_corrections_and_the_audit_say_who_did_it(here: RunningSite) -> None:
    """An adjustment, a stop by an operator and a charge point that was locked: what, by whom, when."""
    ask = asking(here)
    (session,) = (await ask("/transactions?open=true"))["transactions"]
    number = session["transaction_id"]
    body = {"id_tag": "RFID001", "kwh": -0.5, "reason": "wrong card"}
    await ask("/adjustments", "POST", body=body, by="Ann")
    await ask(f"/transactions/{number}/stop", "POST", by="Bob")
    await ask("/charge-points/CP%2F1/lock", "POST", by="Eve")

    (booked,) = (await ask("/adjustments"))["adjustments"]
    assert (booked["wh"], booked["id_tag"], booked["reason"]) == (-500, "RFID001", "wrong card (Ann)")
    assert (await ask("/adjustments?id_tag=RFID002"))["adjustments"] == []
    audit = await ask("/audit")
    assert [(deed["by"], deed["what"]) for deed in audit["audit"][:3]] == [
        ("Eve", "charge point locked"),
        ("Bob", "stopped by the operator"),
        ("Ann", "wrong card"),
    ]
    by_hand = {deed["what"] for deed in audit["audit"][3:]}
    assert by_hand == {"users1.csv read for the first time"}
    assert audit["audit"][1]["transaction_id"] == number
    assert audit["audit"][2]["figures"] == {"wh": "-500"}
    assert [deed["by"] for deed in (await ask("/audit?charge_point=CP%2F1"))["audit"]] == ["Eve"]
    following = await ask(f"/audit?limit=1&before={audit['audit'][0]['number']}")
    assert [deed["by"] for deed in following["audit"]] == ["Bob"]


async def test_orphans_and_what_was_set_aside_are_notes(here: RunningSite) -> None:
    """Energy that was not booked; the figures stand there. A text that is no text does no harm."""
    ask = asking(here)
    charge_point = await here.connect("CP3")
    await charge_point.stop(4711, 900, idTag="\ud800odd")
    await charge_point.call("Authorize", {"idTag": "STRANGER"})

    (orphan,) = (await ask("/notes?kind=orphan"))["notes"]
    assert (orphan["text"], orphan["charge_point_id"]) == ("stop for no session that is known", "CP3")
    assert (orphan["figures"]["transaction"], orphan["figures"]["meter_stop"]) == ("4711", "900")
    assert (await ask("/notes?kind=set%20aside"))["notes"] == []
    (refusal,) = (await ask("/notes?kind=refusal&id_tag=STRANGER"))["notes"]
    assert (refusal["text"], refusal["kind"]) == ("unknown tag", "refusal")
    assert (await ask("/notes?kind=gossip"))[0] == 422
    assert len((await ask("/notes?limit=2"))["notes"]) == 2


async def test_an_alert_is_acknowledged_by_its_id(here: RunningSite) -> None:
    """Whatever signs its id has; who was first keeps it; what is over is 404. The history is there, too."""
    ask = asking(here)
    alert_id = "disk/ü %2F?#1"
    await here.server.central.handle(RaiseAlert(here.clock.now(), alert_id, "disk nearly full", "10 MB left"))
    path = f"/alerts/{quote(alert_id, safe='')}/acknowledge"

    (alert,) = [one for one in (await ask("/alerts"))["alerts"] if one["id"] == alert_id]
    assert (alert["state"], alert["acknowledged_at"], alert["text"]) == ("open", None, "10 MB left")
    taken = await ask(path, "POST", by="Ann")
    assert (taken["state"], taken["acknowledged_by"]) == ("acknowledged", "Ann")
    assert await ask(path, "POST", by="Bob") == taken
    assert taken in (await ask("/alerts"))["alerts"]
    assert (await ask("/alerts/none/acknowledge", "POST"))[0] == 404
    assert "acknowledged: disk nearly full" in [note["text"] for note in (await ask("/alerts/history"))["notes"]]
    assert "Ann" in [deed["by"] for deed in (await ask("/audit"))["audit"]]


async def test_who_is_connected_now(here: RunningSite) -> None:
    """With address, profile and since when; no more once it is gone."""
    ask = asking(here)
    first, second = (await ask("/connections"))["connections"]

    assert first == {
        "charge_point_id": "CP/1",
        "address": "127.0.0.1",
        "security_profile": 0,
        "admission": "approved",
        "has_booted": True,
        "since": "2025-01-15T10:30:00Z",
    }
    assert second["charge_point_id"] == "CP2"


async def test_the_settings_are_shown(site: SiteFactory) -> None:
    """Each with its value, default and description; the API's token is none of them."""
    here = await site(stop_escalation="none", trusted_proxies="10.0.0.1,10.1.0.0/16", tls_compat=True)
    found = {one["name"]: one for one in (await asking(here)("/settings"))["settings"]}

    assert len(found) == len(Settings.model_fields)
    escalation = found["EVQUOTA_STOP_ESCALATION"]
    assert (escalation["value"], escalation["default"], escalation["is_default"]) == ("none", "profile", False)
    assert escalation["description"].startswith("What follows when")
    assert found["EVQUOTA_TRUSTED_PROXIES"]["value"] == "10.0.0.1/32,10.1.0.0/16"
    assert found["EVQUOTA_TLS_COMPAT"]["value"] == "true"
    assert (found["EVQUOTA_TLS_KEY"]["value"], found["EVQUOTA_HEARTBEAT_INTERVAL_S"]["value"]) == ("", "60")
    assert read_token(here.data_dir) not in str(found)


@pytest.mark.parametrize(("name", "shown"), [("mail_password", MASK), ("api_token", MASK), ("tls_key", "hunter2")])
def test_the_value_of_a_secret_is_masked(name: str, shown: str) -> None:
    """By its name; the path of a key is none."""
    field = Settings.model_fields["site_name"]

    assert setting_document(name, "hunter2", field).value == shown
    assert setting_document(name, "", field).value == ""
