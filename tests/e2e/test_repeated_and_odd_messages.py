"""Messages that come twice, late, in another order or with nonsense inside: every Wh once, and to whom it belongs."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from raw_charge_point import RawChargePoint
from running_site import RunningSite, SiteFactory, people

from ocpp_server.core.records import NoteKind
from simulator import EVLINK, LIVOLTEK, Behaviour

MINUTE_S = 60
BEFORE_FEBRUARY = datetime(2025, 1, 31, 20, 50, tzinfo=UTC)
"""Ten minutes before the month ends in Istanbul."""


async def readings(here: RunningSite, raw: RawChargePoint, transaction: Any, *registers: Any, **sampled: Any) -> None:
    """One MeterValues a minute."""
    for register in registers:
        await here.advance(MINUTE_S)
        await raw.meter(transaction, register, **sampled)


async def stopped(here: RunningSite, raw: RawChargePoint, transaction: Any, meter: Any, **fields: Any) -> None:
    """StopTransaction a minute after the last reading."""
    await here.advance(MINUTE_S)
    await raw.stop(transaction, meter, **fields)
    await here.published()


# Repeated messages


async def test_a_repeated_start_is_the_same_transaction(site: SiteFactory) -> None:
    """A new message id makes no new transaction: same id, the status first given (rule 19, OCPP 1.6 §3.7.1)."""
    here = await site(people(RFID001=1))
    raw = await here.connect()
    stamp = raw.stamp()

    first = await raw.start(meter=1000, timestamp=stamp)
    while_it_runs = await raw.start(meter=1000, timestamp=stamp, idTag="rfid001")
    await readings(here, raw, first[0], 1300, 1600)
    await stopped(here, raw, first[0], 2000)
    after_its_end = await raw.start(meter=1000, timestamp=stamp)
    await here.restart()
    raw = await here.connect(boots=False)
    after_a_restart = await raw.start(meter=1000, timestamp=stamp)
    await here.published()

    assert first[1] == "Accepted"
    assert first == while_it_runs == after_its_end == after_a_restart  # though the quota is used up meanwhile
    assert [row["energy_kwh"] for row in here.sessions()] == ["1.0"]
    assert here.usage() == {"RFID001": 1.0}
    assert here.active() == {}
    assert here.problems() == []


async def test_a_charge_point_that_says_all_twice_counts_once(site: SiteFactory) -> None:
    """Start, every reading and stop doubled, on both brands: exactly the energy of one session (rules 1, 19, 20)."""
    here = await site()
    twice = Behaviour(retry_start=True, duplicate_meter_values=True, duplicate_stop=True, transaction_data=True)
    evlink = await here.plug("SCHNEIDER/EVlinkProAC", EVLINK, behaviour=twice)
    livoltek = await here.plug("LIVOLTEK_01", LIVOLTEK, behaviour=twice)

    await evlink.plug_in_and_swipe(1, "RFID001", 10_740)
    await livoltek.plug_in_and_swipe(1, "RFID002", 10_740)
    await here.advance(600)
    await evlink.stop()
    await livoltek.stop()
    await here.published()

    assert here.usage() == {"RFID001": 1.79, "RFID002": 1.0}
    assert len(here.sessions()) == 2
    assert len(here.log()) == len({entry["ID"] for entry in here.log()}) == 9 + 2 + 18 + 2
    assert here.problems() == []


async def test_a_doubled_stop_changes_nothing(site: SiteFactory) -> None:
    """The same StopTransaction again, at once, later and after a restart, is confirmed and adds nothing (rule 20)."""
    here = await site()
    raw = await here.connect()
    transaction, _ = await raw.start(meter=1000)
    await readings(here, raw, transaction, 1300)
    stamp = raw.stamp()

    answers = [await raw.stop(transaction, 1500, timestamp=stamp) for _ in range(2)]
    await here.restart()
    raw = await here.connect(boots=False)
    answers.append(await raw.stop(transaction, 1500, timestamp=stamp))
    await here.published()

    assert answers == [{}, {}, {}]
    assert here.usage() == {"RFID001": 0.5}
    assert [row["flags"] for row in here.sessions()] == [""]


@pytest.mark.parametrize(
    ("second", "kwh", "flags"), [(1700, 0.7, "raised by a second stop"), (1400, 0.5, ""), (0, 0.5, "")]
)
async def test_a_second_stop_only_adds(site: SiteFactory, second: int, kwh: float, flags: str) -> None:
    """A second stop with another meterStop: only a higher one adds, and it is flagged (rule 20)."""
    here = await site()
    raw = await here.connect()
    transaction, _ = await raw.start(meter=1000)
    await readings(here, raw, transaction, 1300)
    await stopped(here, raw, transaction, 1500)

    await stopped(here, raw, transaction, second)

    assert here.usage() == {"RFID001": kwh}
    assert [row["flags"] for row in here.sessions()] == [flags]
    assert here.problems() == []


@pytest.mark.parametrize(("late", "kwh", "unattributed"), [(None, 0.5, 0.5), (1900, 0.9, 0.1), (2500, 1.0, 0.0)])
async def test_a_session_that_never_ended_is_superseded(
    site: SiteFactory, late: int | None, kwh: float, unattributed: float
) -> None:
    """A new start closes it at its last register; what lies between is nobody's, and a late stop takes of it at most
    up to the next meterStart (rule 22).
    """
    here = await site()
    raw = await here.connect()
    first, _ = await raw.start("RFID001", 1000)
    await readings(here, raw, first, 1500)
    await here.advance(MINUTE_S)

    second, _ = await raw.start("RFID002", 2000)
    await readings(here, raw, second, 2100)
    if late is not None:
        await raw.stop(first, late, ago_s=2 * MINUTE_S)
    await stopped(here, raw, second, 2300)

    assert here.usage() == {"RFID001": kwh, "RFID002": 0.3}
    assert here.chargers()["CP1"]["unattributed_kwh"] == unattributed
    reasons = {row["id_tag"]: row["reason"] for row in here.sessions()}
    without_its_stop, with_it = "never ended; another session began", "stopped at the charge point"
    assert reasons["RFID001"] == (without_its_stop if late is None else with_it)
    assert here.problems() == []


async def test_readings_out_of_order_count_once(site: SiteFactory) -> None:
    """An older reading that comes after a newer one, and one that comes again, change nothing (rule 1)."""
    here = await site()
    raw = await here.connect()
    transaction, _ = await raw.start(meter=1000)

    await here.advance(180)
    for register, ago_s in ((1600, 0), (1200, 120), (1400, 60), (1600, 0), (1400, 60)):
        await raw.meter(transaction, register, ago_s=ago_s)
    await stopped(here, raw, transaction, 1800)

    assert here.usage() == {"RFID001": 0.8}


# Transaction ids


@pytest.mark.parametrize("stated", [None, -1, 0, 4711, 2**63 - 1, "unknown", "", 1.5, True])
async def test_readings_without_a_usable_id_go_to_the_session_of_the_connector(site: SiteFactory, stated: Any) -> None:
    """No id, −1, 0, an unknown one, 2⁶³−1, a text: the open transaction of that connector (rule 21)."""
    here = await site()
    raw = await here.connect()
    transaction, _ = await raw.start(meter=1000)

    await readings(here, raw, stated, 1200, 1400)
    await here.published()

    assert here.usage() == {"RFID001": 0.4}
    assert here.active()[str(transaction)]["last_meter"] == 1.4


async def test_an_id_as_text_is_that_number(site: SiteFactory) -> None:
    """`"transactionId": "123"` in MeterValues and StopTransaction (rule 21)."""
    here = await site()
    raw = await here.connect()
    await raw.start("RFID002", 0, connector=2)
    transaction, _ = await raw.start("RFID001", 1000)

    await readings(here, raw, str(transaction), 1200)
    await stopped(here, raw, f" {transaction} ", "1500")

    assert here.usage() == {"RFID001": 0.5}


async def test_another_charge_points_id_touches_nothing_there(site: SiteFactory) -> None:
    """A foreign id: readings go to the own connector's session, a stop is an orphan and a security event (20, 21)."""
    here = await site()
    mine, other = await here.connect("CP1"), await here.connect("CP2")
    own, _ = await mine.start("RFID001", 1000)
    foreign, _ = await other.start("RFID002", 1000)

    await readings(here, mine, foreign, 1200)
    stopped_as = await mine.stop(foreign, 1300)
    await here.published()

    assert stopped_as == {}
    assert here.usage() == {"RFID001": 0.2}
    assert set(here.active()) == {str(own), str(foreign)}
    assert len(here.notes(NoteKind.ORPHAN)) == len(here.notes(NoteKind.SECURITY)) == 1


@pytest.mark.parametrize("stated", [-1, 0, 4711, None])
async def test_a_stop_without_a_usable_id_ends_the_only_session(site: SiteFactory, stated: int | None) -> None:
    """Unknown, −1, 0, missing: the charge point's only open transaction (rule 20)."""
    here = await site()
    raw = await here.connect()
    transaction, _ = await raw.start(meter=1000)
    await readings(here, raw, transaction, 1200)

    await stopped(here, raw, stated, 1500)

    assert here.usage() == {"RFID001": 0.5}
    assert here.active() == {}


async def test_a_stop_that_fits_no_session_is_an_orphan(site: SiteFactory) -> None:
    """Two sessions and an unknown id: confirmed, kept for the administrator, nothing ends (rule 20)."""
    here = await site()
    raw = await here.connect()
    await raw.start("RFID001", 1000, connector=1)
    await raw.start("RFID002", 1000, connector=2)

    answer = await raw.stop(4711, 1500)
    await here.published()

    assert answer == {}
    assert len(here.active()) == 2
    assert here.usage() == {}
    (orphan,) = here.notes(NoteKind.ORPHAN)
    assert ("meter_stop", "1500") in orphan.figures


async def test_the_main_meter_belongs_to_nobody(site: SiteFactory) -> None:
    """Readings of connector 0 without an open id are on nobody's bill (rule 21)."""
    here = await site()
    raw = await here.connect()
    await raw.start(meter=1000)

    await readings(here, raw, None, 1200, connector=0)
    await here.published()

    assert here.usage() == {}


# Registers


@pytest.mark.parametrize(
    ("start", "registers", "stop", "kwh"),
    [
        pytest.param(5000, [5400, 100, 300], 500, 0.8, id="the register restarts: what was booked, and its growth"),
        pytest.param(1000, [1200, 1_400_000, 1600], 1700, 0.7, id="a jump of x1000 is the unit mistake it is"),
        pytest.param(1000, [1200, 900_000, 1600], 1700, 0.7, id="an impossible value that does not last"),
        pytest.param(793_477, [793_657, 0, 793_837], 793_900, 0.423, id="a momentary 0 never was"),
        pytest.param(793_477, [793_657, 793_600, 793_837], 793_900, 0.423, id="a single lower value never was"),
        pytest.param(793_477, [200, 400, 600], 794_077, 0.6, id="lifetime start and stop, session samples"),
        pytest.param(793_477, [200, 400, 600], 0, 0.4, id="lifetime start, session samples, no stop"),
        pytest.param(0, [793_477, 793_677], 793_877, 0.4, id="start 0, lifetime samples and stop"),
        pytest.param(793, [793_500, 793_800], 794, 1.0, id="start and stop in kWh, samples in Wh"),
        pytest.param(1000, [], 1500, 0.5, id="no sample at all"),
        pytest.param(1000, [1503, 1607], 1550, 0.607, id="a stop below the last sample by more than a step"),
        pytest.param(1000, ["n/a", "", 1300], 1500, 0.5, id="unreadable values are skipped"),
        pytest.param("1000", [" 1200 ", "1300,0"], "1500", 0.5, id="numbers as texts, blanks, a decimal comma"),
    ],
)
async def test_what_an_odd_register_is_worth(
    site: SiteFactory, start: Any, registers: list[Any], stop: Any, kwh: float
) -> None:
    """One reading a minute, then the stop (rules 2 to 5)."""
    here = await site()
    raw = await here.connect()
    transaction, _ = await raw.start(meter=start)

    await readings(here, raw, transaction, *registers)
    await stopped(here, raw, transaction, stop)

    assert here.usage() == {"RFID001": kwh}
    assert here.problems() == []


async def test_a_sample_in_kwh_is_what_its_label_says(site: SiteFactory) -> None:
    """The sample's unit first, whatever meterStart is in (rule 3)."""
    here = await site()
    raw = await here.connect()
    transaction, _ = await raw.start(meter=1000)

    await readings(here, raw, transaction, "1.2", "1.456", unit="kWh")
    await stopped(here, raw, transaction, 1500)

    assert here.usage() == {"RFID001": 0.5}
    assert [entry["deliveredEnergy"] for entry in here.log()] == [1.2, 1.456]


@pytest.mark.parametrize("stop", [-1, 0, 400, "n/a", None])
async def test_a_stop_that_proves_nothing_leaves_it_at_the_last_sample(site: SiteFactory, stop: Any) -> None:
    """meterStop missing, −1, 0, below the start, unreadable: the last trusted sample settles (rule 4)."""
    here = await site()
    raw = await here.connect()
    transaction, _ = await raw.start(meter=1000)

    await readings(here, raw, transaction, 1200, 1500)
    await stopped(here, raw, transaction, stop)

    assert here.usage() == {"RFID001": 0.5}
    assert here.active() == {}
    assert here.problems() == []


async def test_a_stop_that_is_below_by_a_step_settles_downward(site: SiteFactory) -> None:
    """A correction booking takes back what a rounded sample was too high (rule 4)."""
    here = await site()
    raw = await here.connect()
    transaction, _ = await raw.start(meter=1000)
    await readings(here, raw, transaction, 1300, 1600)

    await stopped(here, raw, transaction, 1590)

    assert here.usage() == {"RFID001": 0.59}
    assert here.problems() == []


# Time


async def test_a_session_over_the_end_of_a_month_is_split(site: SiteFactory) -> None:
    """A step across the boundary in proportion to time; the month opens once, by the site's zone (rules 10, 11)."""
    here = await site(now=BEFORE_FEBRUARY)
    raw = await here.connect()
    transaction, _ = await raw.start(meter=1000)
    await here.advance(300)
    await raw.meter(transaction, 1500)

    await here.advance(900)  # from 23:55 to 00:10 local time: a third before midnight
    await raw.meter(transaction, 3000)
    await stopped(here, raw, transaction, 3200)

    assert here.closed_usage("2025-01") == {"RFID001": 1.0}
    assert here.usage() == {"RFID001": 1.2}
    assert here.sessions("2025-01") == []
    assert [row["energy_kwh"] for row in here.sessions("2025-02")] == ["2.2"]
    assert here.problems() == []


async def test_a_new_month_is_a_new_quota(site: SiteFactory) -> None:
    """Used up in January, accepted in February: the month opens without a restart (rule 11)."""
    here = await site(people(RFID001=1), now=BEFORE_FEBRUARY, used_kwh='{"RFID001": 1.0}')
    raw = await here.connect()

    before = await raw.call("Authorize", {"idTag": "RFID001"})
    await here.advance(601)
    after = await raw.call("Authorize", {"idTag": "RFID001"})

    assert (before["idTagInfo"]["status"], after["idTagInfo"]["status"]) == ("Blocked", "Accepted")
    assert here.usage() == {}
    assert here.closed_usage("2025-01") == {"RFID001": 1.0}


async def test_late_energy_goes_to_the_closed_month(site: SiteFactory) -> None:
    """A session from the offline queue, three days old: in January's archive, not on February's quota (9, 10)."""
    here = await site(now=BEFORE_FEBRUARY)
    await (await here.connect()).close()
    await here.stop()
    await here.advance(timedelta(days=3).total_seconds())
    await here.start()
    raw = await here.connect(boots=False)

    hours = 3600
    begun = 71.95 * hours
    transaction, status = await raw.start(meter=1000, ago_s=begun)
    await raw.meter(transaction, 1200, ago_s=begun - 120)
    await raw.stop(transaction, 1500, ago_s=begun - 300)
    await here.published()

    assert status == "Accepted"
    assert here.closed_usage("2025-01") == {"RFID001": 0.5}
    assert here.usage() == {}
    assert [row["flags"] for row in here.sessions("2025-01")] == ["started offline"]
    assert here.problems() == []


async def test_an_offline_queue_is_booked_as_if_it_had_come_in_time(site: SiteFactory) -> None:
    """Begun online, charged and stopped offline: the queue comes in a burst, each Wh once (rules 5 and 9)."""
    here = await site()
    evlink = await here.plug("CP1", EVLINK)
    await evlink.plug_in_and_swipe(1, "RFID001", 10_740)
    await here.advance(120)

    async with evlink.offline():
        await here.advance(480)
        await evlink.stop()
    await evlink.drained()
    await here.published()

    assert here.usage() == {"RFID001": 1.79}
    (row,) = here.sessions()
    assert (row["duration_min"], row["energy_kwh"], row["flags"]) == ("10", "1.79", "")
    assert here.problems() == []


async def test_a_session_wholly_offline_is_booked(site: SiteFactory) -> None:
    """Begun and ended without a connection; the id is learnt afterwards (OCPP 1.6 §3.7)."""
    here = await site()
    evlink = await here.plug("CP1", EVLINK)

    async with evlink.offline():
        await evlink.plug_in_and_swipe(1, "RFID001", 10_740)
        await here.advance(600)
        await evlink.stop()
    await evlink.drained()
    await here.published()

    assert here.usage() == {"RFID001": 1.79}
    (row,) = here.sessions()
    assert (row["energy_kwh"], row["flags"]) == ("1.79", "started offline")
    assert here.problems() == []


@pytest.mark.parametrize("behaviour", [Behaviour(no_clock=True), Behaviour(local_time_without_offset=True)])
async def test_a_clock_that_is_wrong_costs_nothing(site: SiteFactory, behaviour: Behaviour) -> None:
    """Stamps from 1970, or local time that does not say so: booked by the receipt, to the Wh (rule 9)."""
    here = await site()
    evlink = await here.plug("CP1", EVLINK, behaviour=behaviour)

    await evlink.plug_in_and_swipe(1, "RFID001", 10_740)
    await here.advance(600)
    await evlink.stop()
    await here.published()

    assert here.usage() == {"RFID001": 1.79}
    (row,) = here.sessions()
    assert (row["start_utc"], row["duration_min"]) == ("2025-01-15T10:30:02Z", "10")


# Who it is


async def test_an_unknown_card_is_refused_stored_stopped_and_told(site: SiteFactory) -> None:
    """Invalid with an id; its energy is booked to it and flagged; the whole tag is in users_report.json (13, 18)."""
    here = await site()
    raw = await here.connect()

    transaction, status = await raw.start("04AABBCCDDEE80", 1000)
    await here.advance(20)
    asked = list(raw.asked)
    state = here.active()[str(transaction)]["state"]
    await raw.stop(-1, 1050)
    await here.advance(12)

    assert (transaction > 0, status, state) == (True, "Invalid", "refused")
    assert ("RemoteStopTransaction", {"transactionId": transaction}) in asked
    assert here.usage() == {"04AABBCCDDEE80": 0.05}
    (row,) = here.sessions()
    assert (row["id_tag"], row["flags"]) == ("04AABBCCDDEE80", "refused: unknown tag")
    (refused,) = here.users_report()["refused"]
    assert refused["id_tag"] == "04AABBCCDDEE80"
    assert (refused["charger_id"], refused["reason"]) == ("CP1", "unknown tag")
    assert here.problems() == []


async def test_a_charge_point_that_never_booted_is_answered(site: SiteFactory) -> None:
    """Authorize Invalid; Start an id and Invalid, stored; readings and stop confirmed; asked once to boot (23, 24)."""
    here = await site()
    raw = await here.connect(boots=False)

    authorized = await raw.call("Authorize", {"idTag": "RFID001"})
    transaction, status = await raw.start("RFID001", 1000)
    await readings(here, raw, transaction, 1100)
    await stopped(here, raw, transaction, 1200)

    assert authorized["idTagInfo"]["status"] == status == "Invalid"
    assert transaction > 0
    assert here.usage() == {"RFID001": 0.2}
    assert [row["flags"] for row in here.sessions()] == ["refused: charge point has never booted here"]
    triggers = [payload["requestedMessage"] for action, payload in raw.asked if action == "TriggerMessage"]
    assert triggers == ["BootNotification", "StatusNotification"]


async def test_a_free_charge_point_counts_on_no_quota(site: SiteFactory) -> None:
    """access = free: everyone charges; counted for the charge point, on nobody's quota (rule 17)."""
    here = await site(people(RFID001=0), chargers="charger_id,access\nBEDAS01,free\n")
    raw = await here.connect("BEDAS01")

    for tag in ("RFID001", "STRANGER"):
        transaction, status = await raw.start(tag, 1000)
        assert status == "Accepted"
        await stopped(here, raw, transaction, 1500)

    assert here.usage() == {}
    assert here.chargers()["BEDAS01"]["total_energy_delivered"] == 1.0
    assert [action for action, _ in raw.asked if action == "RemoteStopTransaction"] == []
    assert here.problems() == []
