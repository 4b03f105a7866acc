"""A quota is kept: stopped on it, shared, changed in mid-session, and enforced against charge points that resist."""

import asyncio
import logging
from datetime import UTC, datetime

import pytest
from running_site import RunningSite, SiteFactory, people

from ocpp_server.core.records import NoteKind
from simulator import EVLINK, GENERIC, LIVOLTEK, Behaviour, SimulatedChargePoint, SwipeRefusedError

RESISTING = {
    "rejects": Behaviour(reject_remote_stop=True),
    "accepts and charges on": Behaviour(ignore_remote_stop=True),
    "never answers": Behaviour(silent_remote_stop=True),
}


def alerts_of_stops(here: RunningSite) -> list[dict[str, object]]:
    """The alerts in alerts.json that say a stop is not obeyed."""
    return [alert for alert in here.alerts() if alert["kind"] == "stop not obeyed"]


async def test_five_kwh_at_22_kw_land_on_the_quota(site: SiteFactory) -> None:
    """A sample a minute at 22 kW brings 0.37 kWh each: the stop is aimed to land on 5 kWh all the same (rule 25)."""
    here = await site(people(RFID001=5))
    charge_point = await here.plug()

    session = await charge_point.plug_in_and_swipe(1, "RFID001", 22_000)
    await here.steps.advance_until(lambda: session.is_stopped, 900)
    await here.published()

    assert session.stop_reason == "Remote"
    assert 4950 <= session.energy_wh <= 5100
    assert here.usage() == {"RFID001": session.meter_stop / 1000}
    (row,) = here.sessions()
    assert row["reason"] == "quota reached"
    assert here.problems() == []


@pytest.mark.parametrize("brand", [GENERIC, EVLINK], ids=lambda brand: brand.name)
@pytest.mark.parametrize(
    ("power_w", "used_kwh"),
    [(22_000, 3.0), (22_000, 3.9), (22_000, 3.72), (22_000, 4.31), (11_000, 4.05), (7_400, 4.4), (3_700, 4.63)],
)
async def test_a_stop_lands_on_the_quota(site: SiteFactory, power_w: float, used_kwh: float, brand: object) -> None:
    """At any power and at any point of the sample interval at most 0.1 kWh over, and not cut short (rule 25)."""
    here = await site(people(RFID001=5), used_kwh=f'{{"RFID001": {used_kwh}}}')
    charge_point = await here.plug("CP1", brand)

    session = await charge_point.plug_in_and_swipe(1, "RFID001", power_w)
    await here.steps.advance_until(lambda: session.is_stopped, 900)
    await here.published()

    used = here.usage()["RFID001"]
    assert used == round(used_kwh + (session.meter_stop - session.meter_start) / 1000, 3)
    assert 4.95 <= used <= 5.1
    assert here.problems() == []


async def test_a_rising_power_lands_on_the_quota(site: SiteFactory) -> None:
    """A car that takes five minutes to reach full power is not stopped by the power it had before (rule 25)."""
    here = await site(people(RFID001=5), used_kwh='{"RFID001": 3.0}')
    charge_point = await here.plug()

    session = await charge_point.plug_in_and_swipe(1, "RFID001", 22_000, ramp_s=300)
    await here.steps.advance_until(lambda: session.is_stopped, 900)
    await here.published()

    assert 4.95 <= here.usage()["RFID001"] <= 5.1


async def test_the_stop_lands_on_the_quota_while_real_time_passes(site: SiteFactory) -> None:
    """The same on a clock that runs by itself, 30 times as fast, with four cars at once (rule 25)."""
    here = await site(
        "id_tag,name,surname,quota_kwh,unlimited\n" + "".join(f"CARD{n},Driver,{n},5,FALSE\n" for n in range(4)),
        used_kwh='{"CARD0": 4.0, "CARD1": 4.1, "CARD2": 4.3, "CARD3": 4.5}',
        factor=30,
    )
    powers = (22_000, 22_000, 16_500, 11_000)
    charge_points = [await here.plug(f"CP{n}") for n in range(4)]

    sessions = [
        await charge_point.plug_in_and_swipe(1, f"CARD{n}", powers[n]) for n, charge_point in enumerate(charge_points)
    ]
    await asyncio.gather(*(session.unplugged for session in sessions))
    await here.until(lambda: len(here.sessions()) == 4)

    assert {session.stop_reason for session in sessions} == {"Remote"}
    assert all(4.9 <= used <= 5.1 for used in here.usage().values()), here.usage()
    await here.stop()
    assert here.problems() == []


async def test_whole_kwh_stop_after_the_step_that_reaches_the_quota(site: SiteFactory) -> None:
    """A LIVOLTEK is never stopped before the books show the quota, and within a step of it (rule 25)."""
    here = await site(people(RFID001=2))
    livoltek = await here.plug("LIVOLTEK_01", LIVOLTEK)

    session = await livoltek.plug_in_and_swipe(1, "RFID001", 22_000)
    await here.steps.advance_until(lambda: session.is_stopped, 900)
    await here.published()

    assert here.usage() == {"RFID001": 2.0}
    assert 2000 <= session.energy_wh < 3000
    assert here.problems() == []


async def test_two_cars_on_one_account_share_its_quota(site: SiteFactory) -> None:
    """Two cards of one account on two charge points: both stop where their sum reaches the quota (rule 12)."""
    here = await site(people(account="Doe family", RFID001=2, RFID002=2))
    first, second = await here.plug("CP1"), await here.plug("CP2")

    sessions = [
        await first.plug_in_and_swipe(1, "RFID001", 22_000),
        await second.plug_in_and_swipe(1, "RFID002", 11_000),
    ]
    await here.steps.advance_until(lambda: all(session.is_stopped for session in sessions), 900)
    await here.published()

    usage = here.usage()
    assert 1.9 <= sum(usage.values()) <= 2.1
    assert usage == {f"RFID00{n}": session.meter_stop / 1000 for n, session in enumerate(sessions, 1)}
    with pytest.raises(SwipeRefusedError, match="Blocked"):
        await second.plug_in_and_swipe(1, "RFID001")


async def test_a_quota_that_is_raised_in_mid_session_lets_it_go_on(site: SiteFactory) -> None:
    """An edit of users1.csv takes effect on running sessions: past the old quota, up to the new one (rule 16)."""
    here = await site(people(RFID001=1))
    charge_point = await here.plug()
    session = await charge_point.plug_in_and_swipe(1, "RFID001", 22_000)
    await here.advance(120)

    await here.change_users(people(RFID001=2))
    await here.advance(120)
    is_stopped_at_the_old_quota = session.is_stopped
    await here.steps.advance_until(lambda: session.is_stopped, 900)
    await here.published()

    assert not is_stopped_at_the_old_quota
    assert 1.95 <= here.usage()["RFID001"] <= 2.1


async def test_a_quota_that_is_lowered_in_mid_session_stops_it(site: SiteFactory) -> None:
    """Lowered below what was used: stopped at once (rule 16)."""
    here = await site()
    charge_point = await here.plug()
    session = await charge_point.plug_in_and_swipe(1, "RFID001", 22_000)
    await here.advance(120)

    await here.change_users(people(RFID001=0.5))
    await here.steps.advance_until(lambda: session.is_stopped, 5)

    assert session.stop_reason == "Remote"


async def test_a_user_who_is_removed_in_mid_session_is_stopped(site: SiteFactory) -> None:
    """A user removed while charging is stopped, and what was charged stays his (rule 16)."""
    here = await site()
    charge_point = await here.plug()
    session = await charge_point.plug_in_and_swipe(1, "RFID001", 12_000)
    await here.advance(120)

    await here.change_users(people(without="RFID001"))
    await here.steps.advance_until(lambda: session.is_stopped, 5)
    await here.published()

    (row,) = here.sessions()
    assert row["reason"] == "user was removed"
    assert here.usage() == {"RFID001": session.meter_stop / 1000}


async def test_a_quota_of_nothing_gives_nothing(site: SiteFactory) -> None:
    """Quota 0: Blocked at the card, Blocked at the start, and whoever charges on is stopped (rules 13 and 18)."""
    here = await site(people(RFID001=0))
    charge_point = await here.plug("CP1", behaviour=Behaviour(charge_after_refusal=True))

    with pytest.raises(SwipeRefusedError, match="Blocked"):
        await charge_point.plug_in_and_swipe(1, "RFID001")
    session = await charge_point.plug_in_and_swipe(1, "RFID001", 22_000, authorize=False)
    await here.steps.advance_until(lambda: session.is_stopped, 20)
    await here.published()

    assert session.authorization_status == "Blocked"
    assert session.stop_reason == "Remote"
    assert session.energy_wh <= 50
    assert here.usage() == {"RFID001": session.meter_stop / 1000}  # what flowed is booked all the same
    (row,) = here.sessions()
    assert row["flags"].startswith("refused: quota is used up")
    assert here.notes(NoteKind.REFUSAL)[0].figures[:2] == (("status", "Blocked"), ("quota_wh", "0"))


async def test_a_used_up_quota_is_refused_at_the_card(site: SiteFactory) -> None:
    """After the stop at the quota the same card gets Blocked, also after a restart (rule 13)."""
    here = await site(people(RFID001=1), used_kwh='{"RFID001": 1.0}')
    charge_point = await here.plug()

    with pytest.raises(SwipeRefusedError, match="Blocked"):
        await charge_point.plug_in_and_swipe(1, "RFID001")
    await here.restart()
    with pytest.raises(SwipeRefusedError, match="Blocked"):
        await charge_point.plug_in_and_swipe(1, "RFID001")


@pytest.mark.parametrize("resistance", RESISTING)
async def test_a_stop_that_is_not_obeyed_is_tried_again_and_told(
    site: SiteFactory, resistance: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Rejected, unanswered or falsely accepted: tried after 10, 30, 60 s, then each minute; an alert after the third
    failure, in the log and in the files, and gone when the session ends (rule 26).
    """
    caplog.set_level(logging.INFO)
    here = await site(people(RFID001=1), stop_escalation="none")
    charge_point = await here.plug("CP1", behaviour=RESISTING[resistance])
    session = await charge_point.plug_in_and_swipe(1, "RFID001", 22_000)

    await here.advance(600)

    assert charge_point.received["RemoteStopTransaction"] >= 5
    (alert,) = alerts_of_stops(here)
    assert (alert["charger_id"], alert["transaction_id"], alert["state"]) == ("CP1", session.transaction_id, "open")
    assert alert in here.status()["alerts"]
    assert here.active()[str(session.transaction_id)]["state"] == "over_quota"
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert any(f"transaction={session.transaction_id}" in line and "not obeyed" in line for line in told), told
    assert session.energy_wh > 3000  # it went on all the while, and all of it is booked:
    await charge_point.stop()
    await here.published()
    assert here.usage() == {"RFID001": session.meter_stop / 1000}
    assert alerts_of_stops(here) == []


@pytest.mark.parametrize("resistance", RESISTING)
async def test_power_is_taken_away_where_a_stop_is_not_obeyed(site: SiteFactory, resistance: str) -> None:
    """After the third failure a TxProfile of 0 A: no energy flows any more (rule 26)."""
    here = await site(people(RFID001=1))
    charge_point = await here.plug("CP1", behaviour=RESISTING[resistance])

    session = await charge_point.plug_in_and_swipe(1, "RFID001", 22_000)
    await here.steps.advance_until(lambda: charge_point.status() == "SuspendedEVSE", 400)
    energy_wh = session.energy_wh
    await here.advance(300)

    assert (session.energy_wh, session.power_now_w) == (energy_wh, 0)
    assert energy_wh < 2500
    assert not session.is_stopped


async def test_a_soft_reset_is_the_last_resort(site: SiteFactory) -> None:
    """Where the site allows it: after five failures, and where a profile does not help, Reset Soft (rule 26)."""
    here = await site(people(RFID001=1), stop_escalation="reset")
    raw = await here.connect()
    raw.answers["RemoteStopTransaction"] = {"status": "Rejected"}
    transaction, _ = await raw.start()
    await here.advance(60)
    await raw.meter(transaction, 1100)

    for register in range(1500, 4000, 400):
        await here.advance(60)
        await raw.meter(transaction, register)

    actions = [action for action, _ in raw.asked]
    assert actions.count("SetChargingProfile") == 1
    assert raw.asked[actions.index("Reset")] == ("Reset", {"type": "Soft"})
    assert actions.index("Reset") > actions.index("SetChargingProfile")


async def test_a_charge_point_that_obeys_at_the_third_attempt_is_no_alert(site: SiteFactory) -> None:
    """Two failures are no alert: the third attempt is obeyed (rule 26)."""
    here = await site(people(RFID001=1))
    charge_point = await here.plug("CP1", behaviour=Behaviour(reject_remote_stop=True, remote_stop_failures=2))

    session = await charge_point.plug_in_and_swipe(1, "RFID001", 22_000)
    await here.steps.advance_until(lambda: session.is_stopped, 400)
    await here.published()

    assert charge_point.received["RemoteStopTransaction"] == 3
    assert alerts_of_stops(here) == []
    assert here.usage() == {"RFID001": session.meter_stop / 1000}


async def test_the_order_to_stop_survives_a_restart_of_the_server(site: SiteFactory) -> None:
    """The order stands in the ledger: after a restart it is carried out without another reading (rule 26)."""
    here = await site(people(RFID001=1))
    charge_point = await here.plug("CP1", behaviour=Behaviour(reject_remote_stop=True, remote_stop_failures=1))
    session = await charge_point.plug_in_and_swipe(1, "RFID001", 22_000)
    await here.steps.advance_until(lambda: charge_point.received["RemoteStopTransaction"] == 1, 400)
    assert session.transaction_id is not None
    ordered = here.transaction(session.transaction_id).stop

    await here.restart()
    kept = here.transaction(session.transaction_id).stop
    await here.steps.advance_until(lambda: session.is_stopped, 20)
    await here.published()

    assert ordered is not None
    assert kept is not None
    assert (kept.cause, kept.ordered_at) == (ordered.cause, ordered.ordered_at)
    assert here.sessions()[0]["reason"] == "quota reached"


async def test_the_order_to_stop_waits_for_a_charge_point_that_is_offline(site: SiteFactory) -> None:
    """Removed while the charge point is out of reach: stopped as soon as it is back (rules 16 and 26)."""
    here = await site()
    charge_point: SimulatedChargePoint = await here.plug()
    session = await charge_point.plug_in_and_swipe(1, "RFID001", 12_000)
    await here.advance(120)

    async with charge_point.offline():
        await here.until(lambda: not here.server.gateway.connected())
        await here.change_users(people(without="RFID001"))
        await here.advance(90)
        is_stopped_offline = session.is_stopped
    await here.steps.advance_until(lambda: session.is_stopped, 70)
    await charge_point.drained()
    await here.published()

    assert not is_stopped_offline
    assert here.usage() == {"RFID001": session.meter_stop / 1000}


async def test_an_order_to_stop_is_taken_back_when_the_quota_is_raised(site: SiteFactory) -> None:
    """Rejected again and again, then the quota is raised: no more attempts, the alert is gone (rules 16 and 26)."""
    here = await site(people(RFID001=1), stop_escalation="none")
    charge_point = await here.plug("CP1", behaviour=RESISTING["rejects"])
    session = await charge_point.plug_in_and_swipe(1, "RFID001", 11_000)
    await here.steps.advance_until(lambda: alerts_of_stops(here), 600)

    await here.change_users(people(RFID001=50))
    await here.advance(5)
    attempts = charge_point.received["RemoteStopTransaction"]
    await here.advance(300)

    assert charge_point.received["RemoteStopTransaction"] == attempts
    assert alerts_of_stops(here) == []
    assert here.active()[str(session.transaction_id)]["state"] == "charging"


async def test_a_session_over_midnight_goes_on_at_the_new_months_expense(site: SiteFactory) -> None:
    """22 kW from a minute before the month ends: nearly used up in January, stopped at February's quota (10 to 12)."""
    here = await site(people(RFID001=1), now=datetime(2025, 1, 31, 20, 58, tzinfo=UTC), used_kwh='{"RFID001": 0.6}')
    charge_point = await here.plug()
    await here.advance(58)

    session = await charge_point.plug_in_and_swipe(1, "RFID001", 22_000)  # 20:59:00: 0.367 kWh until midnight
    await here.steps.advance_until(lambda: session.is_stopped, 600)
    await here.published()

    assert session.stop_reason == "Remote"
    assert here.closed_usage("2025-01") == {"RFID001": 0.966}
    assert 0.95 <= here.usage()["RFID001"] <= 1.1
    assert here.usage()["RFID001"] == round(session.meter_stop / 1000 - 0.366, 3)
    assert here.problems() == []


async def test_a_card_that_expires_in_mid_session_is_stopped_at_midnight(site: SiteFactory) -> None:
    """expiry_date is the last day the card works, by the site's zone (rules 13 and 16)."""
    users = "id_tag,name,surname,quota_kwh,unlimited,expiry_date\nRFID001,John,Doe,150,FALSE,2025-01-15\n"
    here = await site(users, now=datetime(2025, 1, 15, 20, 55, tzinfo=UTC))
    charge_point = await here.plug()
    session = await charge_point.plug_in_and_swipe(1, "RFID001", 11_000)

    await here.advance(290)
    is_stopped_before_midnight = session.is_stopped
    await here.advance(30)

    assert not is_stopped_before_midnight
    assert session.stop_reason == "Remote"
    assert here.sessions()[0]["reason"] == "card has expired"


async def test_a_charge_point_that_is_closed_in_mid_session_is_stopped(site: SiteFactory) -> None:
    """access = closed in chargers.csv takes effect at once, and only there (rules 16 and 17)."""
    here = await site(chargers="charger_id,access\nCP1,quota\nCP2,quota\n")
    first, second = await here.plug("CP1"), await here.plug("CP2")
    closed = await first.plug_in_and_swipe(1, "RFID001", 11_000)
    other = await second.plug_in_and_swipe(1, "RFID002", 11_000)

    (here.data_dir / "chargers.csv").write_text("charger_id,access\nCP1,closed\nCP2,quota\n")
    await here.until(lambda: here.server.central.site.chargers["CP1"].access == "closed")
    await here.advance(5)

    assert (closed.stop_reason, other.stop_reason) == ("Remote", None)
    with pytest.raises(SwipeRefusedError, match="Blocked"):
        await first.plug_in_and_swipe(1, "RFID001")


async def test_more_sessions_than_an_account_may_have(site: SiteFactory) -> None:
    """ConcurrentTx only at the start, only where the site says so, and never for a repeated start (rule 13)."""
    here = await site(people(account="Does"), max_sessions_per_account=1)
    raw = await here.connect()
    stamp = raw.stamp()

    first = await raw.start("RFID001", timestamp=stamp)
    authorized = await raw.call("Authorize", {"idTag": "RFID002"})
    _, second = await raw.start("RFID002", connector=2)
    again = await raw.start("RFID001", timestamp=stamp)

    assert authorized["idTagInfo"]["status"] == "Accepted"
    assert authorized["idTagInfo"]["parentIdTag"] == "Does"
    assert second == "ConcurrentTx"
    assert again == first
    assert first[1] == "Accepted"


@pytest.mark.parametrize("stated", ["RFID001", "rfid001", " RFID001 ", "RFID001_4711"])
async def test_a_card_in_another_spelling_is_the_same_account(site: SiteFactory, stated: str) -> None:
    """Blanks, another case, KEBA's suffix: booked under the spelling of users1.csv (rule 13, OCPP 1.6 §7.28)."""
    here = await site()
    raw = await here.connect()

    transaction, status = await raw.start(stated, 1000)
    await here.advance(60)
    await raw.stop(transaction, 1500, idTag=stated)
    await here.published()

    assert status == "Accepted"
    assert here.usage() == {"RFID001": 0.5}


async def test_quotas_are_warned_of_before_they_end(site: SiteFactory) -> None:
    """At 80 % and 95 % an alert, the graver one in place of the milder (rule 28)."""
    here = await site(people(RFID001=10))
    raw = await here.connect()
    transaction, _ = await raw.start(meter=0)

    kinds = []
    for register in (1000, 8100, 9600):
        await here.advance(1200)
        await raw.meter(transaction, register)
        await here.published()
        kinds.append([alert["kind"] for alert in here.alerts() if alert["id"] == "quota-RFID001"])

    assert kinds == [[], ["80 % of the quota is used"], ["95 % of the quota is used"]]
