"""`/metrics` and `/healthz` of a whole server: what happens on the wire is what they tell."""

import asyncio
import errno
from collections.abc import Mapping
from typing import Any

import aiohttp
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics_families
from prometheus_client.parser import text_string_to_metric_families
from raw_charge_point import CallRefusedError
from running_site import RunningSite, SiteFactory, people
from websockets.exceptions import InvalidStatus

from ocpp_server.core import commands as cmd
from ocpp_server.core.records import Admission
from ocpp_server.monitoring import health
from ocpp_server.storage import view_files
from simulator import Behaviour

LIMIT_S = 20
Labels = frozenset[tuple[str, str]]


async def ask(here: RunningSite, path: str, *, has_token: bool = True, **headers: str) -> tuple[int, str, str]:
    """Status, content type and text of an answer."""
    token = (here.data_dir / "api_token").read_text().strip()
    given = headers | ({"Authorization": f"Bearer {token}"} if has_token else {})
    url = f"http://127.0.0.1:{here.server.api_port}{path}"
    async with asyncio.timeout(LIMIT_S), aiohttp.ClientSession() as session, session.get(url, headers=given) as answer:
        return answer.status, answer.headers["Content-Type"], await answer.text()


async def scrape(here: RunningSite) -> dict[tuple[str, Labels], float]:
    """Every sample, as Prometheus reads it."""
    status, content_type, text = await ask(here, "/metrics")
    assert (status, content_type.split(";")[0]) == (200, "text/plain")
    families = list(text_string_to_metric_families(text))
    return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}


def value(samples: Mapping[tuple[str, Labels], float], name: str, **labels: str) -> float | None:
    return samples.get((f"evquota_{name}", frozenset(labels.items())))


async def healthz(here: RunningSite, *, has_token: bool = True) -> tuple[int, Any]:
    url = f"http://127.0.0.1:{here.server.api_port}/healthz"
    token = (here.data_dir / "api_token").read_text().strip()
    headers = {"Authorization": f"Bearer {token}"} if has_token else {}
    async with (
        asyncio.timeout(LIMIT_S),
        aiohttp.ClientSession() as session,
        session.get(url, headers=headers) as answer,
    ):
        return answer.status, await answer.json()


async def failing(here: RunningSite) -> list[str]:
    """Names of the checks that are not right, and whether the status says so."""
    status, body = await healthz(here)
    names = [one["name"] for one in body["checks"] if not one["ok"]]
    assert (status, body["status"]) == ((503, "not ok") if names else (200, "ok"))
    return names


async def until_failing(here: RunningSite, *names: str) -> None:
    """Ask until these checks are not right, and no others."""
    async with asyncio.timeout(LIMIT_S):
        while await failing(here) != list(names):
            pass


async def test_a_session_that_is_stopped_at_its_quota(site: SiteFactory) -> None:
    """Messages, authorizations, the stop, the end of the session and its overshoot: each is counted once."""
    here = await site(people(RFID001=5))
    charge_point = await here.plug("SITE/CP1")
    session = await charge_point.plug_in_and_swipe(1, "RFID001", 22_000)
    await here.steps.advance(90)
    during = await scrape(here)
    await here.steps.advance_until(lambda: session.is_stopped, 900)
    await here.published()
    after = await scrape(here)

    assert value(during, "sessions_active") == 1
    assert value(during, "charger_connected", charger="SITE/CP1") == 1
    assert value(during, "charger_status", charger="SITE/CP1", connector="1", status="Charging") == 1
    assert value(during, "charger_status", charger="SITE/CP1", connector="1", status="Available") == 0
    assert 21_000 < (value(during, "charger_power_watts", charger="SITE/CP1") or 0) < 23_000
    assert value(during, "users_over_quota") == 0
    assert value(after, "sessions_active") == 0
    assert value(after, "sessions_total", reason="quota reached") == 1
    assert value(after, "remote_stops_total", result="Accepted") == 1
    assert value(after, "overshoot_watt_hours_count") == 1
    assert value(after, "overshoot_watt_hours_bucket", le="100.0") == 1
    assert value(after, "users_over_quota") == 1
    assert (
        value(after, "charger_energy_watt_hours_total", charger="SITE/CP1") == session.meter_stop - session.meter_start
    )
    assert value(after, "ocpp_messages_total", action="StartTransaction", direction="received") == 1
    assert value(after, "ocpp_messages_total", action="RemoteStopTransaction", direction="sent") == 1
    assert value(after, "message_seconds_count", action="StartTransaction") == 1
    assert value(after, "call_seconds_count", action="RemoteStopTransaction") == 1
    assert (value(after, "authorizations_total", result="Accepted") or 0) >= 1
    assert (value(after, "state_write_seconds_count") or 0) == value(after, "state_write_decisions_count")
    assert value(after, "publish_lag_seconds") == 0
    seen = here.server.central.site.last_seen["SITE/CP1"].timestamp()
    assert value(after, "charger_last_message_timestamp_seconds", charger="SITE/CP1") == seen


async def test_every_decision_is_in_one_commit(site: SiteFactory) -> None:
    """The sizes of the groups add up to what was decided since the parts were wired."""
    here = await site()
    before = value(await scrape(here), "state_write_decisions_sum")
    central = here.server.central
    durable = central.durable
    for number in range(5):
        await central.handle(cmd.RaiseAlert(here.clock.now(), f"a{number}", "kind", "text"))
    after = value(await scrape(here), "state_write_decisions_sum")

    assert before is not None
    assert after == before + central.durable - durable


async def test_a_stop_that_is_not_obeyed(site: SiteFactory) -> None:
    """Rejected is a result of its own."""
    here = await site(people(RFID001=5), used_kwh='{"RFID001": 4.9}')
    charge_point = await here.plug(behaviour=Behaviour(reject_remote_stop=True))
    await charge_point.plug_in_and_swipe(1, "RFID001", 22_000)
    await here.steps.advance(180)
    samples = await scrape(here)

    assert (value(samples, "remote_stops_total", result="Rejected") or 0) >= 3
    assert value(samples, "remote_stops_total", result="Accepted") == 0


async def test_messages_that_nobody_understands(site: SiteFactory) -> None:
    """Their actions become "other": a stranger must not make labels."""
    here = await site()
    charge_point = await here.connect()
    for number in range(3):
        with pytest.raises(CallRefusedError):
            await charge_point.call(f"Invented{number}", {})
    with pytest.raises(CallRefusedError):
        await charge_point.call("Reset", {})
    await charge_point.exchange([2, "broken", 7, {}])
    samples = await scrape(here)

    assert value(samples, "ocpp_messages_total", action="other", direction="received") == 5
    assert value(samples, "ocpp_errors_total", kind="NotImplemented") == 3
    assert value(samples, "ocpp_errors_total", kind="NotSupported") == 1
    assert value(samples, "ocpp_errors_total", kind="unreadable") == 1
    assert not any("Invented" in str(key) for key in samples)


async def test_an_answer_that_is_refused_or_never_comes(site: SiteFactory) -> None:
    """Calls of ours: an error and a silence are counted; what was never sent is not."""
    here = await site()
    charge_point = await here.connect()
    await here.advance(20)
    charge_point.answers["TriggerMessage"] = None
    calls = here.server.calls
    asking = asyncio.create_task(calls.trigger_message("CP1", "Heartbeat"))
    await here.advance(60)
    assert await asking == "no answer"
    assert await calls.trigger_message("NOBODY", "Heartbeat") == "offline"
    samples = await scrape(here)

    assert value(samples, "ocpp_messages_total", action="TriggerMessage", direction="sent") == 1
    assert value(samples, "ocpp_errors_total", kind="no answer") == 1


async def test_who_waits_for_approval_is_counted_and_not_named(site: SiteFactory) -> None:
    """Anybody can invent an id, and each would be a label for ever (T10)."""
    here = await site(chargers="charger_id,approved\nGOOD,yes\n")
    await here.connect("GOOD")
    now = here.clock.now()
    for number in range(3):
        pending = cmd.Connect(f"NEW{number}", now, "203.0.113.7", admission=Admission.PENDING)
        await here.server.central.handle(pending)
    samples = await scrape(here)

    assert value(samples, "charge_points", admission="pending") == 3
    assert value(samples, "charger_connected", charger="GOOD") == 1
    assert not any("NEW" in str(key) for key in samples)


async def test_metrics_name_no_user(site: SiteFactory) -> None:
    """Neither tag nor name, whatever happens to them."""
    here = await site(people(RFID001=5), used_kwh='{"RFID001": 4.5, "RFID002": 190}')
    charge_point = await here.connect()
    await charge_point.start("RFID001")
    await charge_point.start("STRANGER-CARD")
    samples = await scrape(here)
    text = (await ask(here, "/metrics"))[2]

    assert value(samples, "users_near_quota") == 2
    assert value(samples, "users") == 3
    assert [word for word in ("RFID", "John", "Doe", "STRANGER") if word in text] == []


async def test_refused_handshakes_are_counted_each_time(site: SiteFactory) -> None:
    """The log says it once; the figure shows that it goes on."""
    here = await site()
    for _ in range(3):
        with pytest.raises(InvalidStatus):
            await here.connect("CP1", path="/", boots=False)
    samples = await scrape(here)
    refused = {key: count for key, count in samples.items() if key[0] == "evquota_handshakes_refused_total"}

    assert list(refused.values()) == [3]


async def test_answers_of_the_api_by_the_template_of_their_route(site: SiteFactory) -> None:
    """Not by the path, which anybody can invent; a method that nobody knows makes no label either."""
    here = await site()
    for path in ("/nowhere/1", "/nowhere/2"):
        assert (await ask(here, path))[0] == 404
    assert (await ask(here, "/livez", has_token=False))[0] == 200
    assert (await ask(here, "/metrics", has_token=False))[0] == 401
    samples = await scrape(here)

    assert value(samples, "api_request_seconds_count", method="other", route="other", status="404") == 2
    assert value(samples, "api_request_seconds_count", method="GET", route="/livez", status="200") == 1
    assert value(samples, "api_request_seconds_count", method="GET", route="/metrics", status="401") == 1
    assert not any("nowhere" in str(key) for key in samples)


async def test_the_metrics_as_open_metrics(site: SiteFactory) -> None:
    """What Prometheus asks for today; its own strict parser takes all of it."""
    here = await site()
    await here.connect()
    _, content_type, text = await ask(here, "/metrics", Accept="application/openmetrics-text;version=1.0.0")

    assert content_type.startswith("application/openmetrics-text")
    assert text.endswith("# EOF\n")
    assert {"evquota_ocpp_messages", "evquota_build"} <= {family.name for family in open_metrics_families(text)}


async def test_a_counter_never_falls(site: SiteFactory) -> None:
    """A correction that takes energy back must not look like a counter that began anew."""
    here = await site()
    charge_point = await here.connect()
    number, _ = await charge_point.start(meter=0)
    await here.advance(60)
    await charge_point.meter(number, 300)
    before = value(await scrape(here), "charger_energy_watt_hours_total", charger="CP1")
    await here.advance(60)
    await charge_point.stop(number, 250)
    after = value(await scrape(here), "charger_energy_watt_hours_total", charger="CP1")

    assert before == 300
    assert here.server.central.site.delivered["CP1"] == 250
    assert after == 300


async def test_a_new_table_has_a_new_time(site: SiteFactory) -> None:
    """Since when its rows are in force."""
    here = await site()
    before = await scrape(here)
    await here.change_users(people(RFID001=7))
    after = await scrape(here)
    name = "config_reload_timestamp_seconds"

    assert (value(after, name, file="users1.csv") or 0) > (value(before, name, file="users1.csv") or 0) > 0
    assert value(after, name, file="chargers.csv") == value(before, name, file="chargers.csv")


async def test_a_server_that_is_well(site: SiteFactory) -> None:
    """200; the checks are for who has the token."""
    here = await site()

    assert await healthz(here, has_token=False) == (200, {"status": "ok"})
    status, body = await healthz(here)
    assert (status, body["status"]) == (200, "ok")
    assert [one["name"] for one in body["checks"]] == ["listening", "ledger", "files", "disk", "users1.csv"]
    assert all(one["ok"] and one["detail"] for one in body["checks"])


async def test_a_table_that_cannot_be_used(site: SiteFactory) -> None:
    """Not ready, and it says why; without the token not a word of it. Good again, and so is the answer."""
    here = await site()
    good = (here.data_dir / "users1.csv").read_bytes()
    (here.data_dir / "users1.csv").write_bytes(b"no,such,columns\n1,2,3\n")

    await until_failing(here, "users1.csv")
    assert await healthz(here, has_token=False) == (503, {"status": "not ok"})
    assert value(await scrape(here), "config_good", file="users1.csv") == 0
    (here.data_dir / "users1.csv").write_bytes(good)
    await until_failing(here)


async def test_files_that_cannot_be_written(site: SiteFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not ready, the lag grows, the failure is counted; all is well once they can be."""
    here = await site()

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(view_files, "replace_file", refuse)
    await here.server.central.handle(cmd.RaiseAlert(here.clock.now(), "a", "kind", "text"))
    await here.advance(30)

    assert await failing(here) == ["files"]
    samples = await scrape(here)
    assert (value(samples, "publish_failures_total") or 0) >= 1
    assert (value(samples, "publish_lag_seconds") or 0) >= 25
    monkeypatch.undo()
    await here.advance(30)
    assert await failing(here) == []
    assert value(await scrape(here), "publish_lag_seconds") == 0


async def test_files_that_nobody_writes_any_more(site: SiteFactory) -> None:
    """Good once is not good for ever."""
    here = await site()
    here.steps._elapsed_s += health.LONGEST_UNPUBLISHED_S + 1

    assert await failing(here) == ["files"]


async def test_a_disk_that_is_nearly_full(site: SiteFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The figure is told, too."""
    here = await site()
    monkeypatch.setattr(health, "LEAST_FREE_BYTES", 1 << 62)

    assert await failing(here) == ["disk"]
    assert (value(await scrape(here), "disk_free_bytes") or 0) > 0
