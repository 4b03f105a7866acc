"""The end of a session (rules 4, 7, 20, 22, 25)."""

from datetime import UTC, datetime, timedelta

import pytest
from site_builder import (
    CHARGE_POINT,
    FEBRUARY,
    JANUARY,
    NOON,
    OTHER_CHARGE_POINT,
    SiteBuilder,
    at,
    sample,
    stamp,
    user,
)

from ocpp_server.core import changes as ch
from ocpp_server.core import commands as cmd
from ocpp_server.core.energy import EnergyUnit
from ocpp_server.core.records import AuthorizationStatus, EndKind, NoteKind
from ocpp_server.core.users import Access

UNUSABLE_IDS = [None, 0, -1, -16, 2**31, 2**63 - 1, 987_654]
MIDNIGHT = datetime(2025, 1, 31, 21, 0, tzinfo=UTC)


def _minutes(when: datetime) -> float:
    return (when - NOON).total_seconds() / 60


def test_a_sane_stop_settles_the_amount() -> None:
    """Rules 4 and 7: meterStop - meterStart; the last interval is booked (B4)."""
    site = SiteBuilder([user("RFID001")])
    number = site.begin(meter_start=10_000)
    site.meter(number, sample(1, 10_300))
    reply = site.stop(number, 2, 10_555)

    ended = site.transaction(number)
    assert reply == cmd.Done()
    assert (ended.energy, ended.ended_at, ended.end_kind, ended.stop_reason) == (555, at(2), EndKind.STOPPED, "Local")
    assert (ended.power_w, ended.flow_w, site.used()) == (0, 0, 555)
    assert site.site.open_transactions == {}


def test_a_sane_stop_settles_downward_too() -> None:
    """Rule 4: by a correction booking."""
    site = SiteBuilder([user("RFID001")])
    number = site.begin(meter_start=10_000)
    site.meter(number, sample(1, 10_300))
    site.stop(number, 2, 10_299)

    assert ([b.wh for b in site.bookings()], site.used()) == ([-1], 299)


@pytest.mark.parametrize("meter_stop", [-1, 0, 9_999, "n/a", None])
def test_a_stop_without_a_usable_register_leaves_the_last_sample(meter_stop: object) -> None:
    """Rule 4; go#114, MicroOcpp#73: -1 or 0 for unknown."""
    site = SiteBuilder([user("RFID001")])
    number = site.begin(meter_start=10_000)
    site.meter(number, sample(1, 10_300))
    site.stop(number, 2, meter_stop)

    assert (site.energy(number), site.transaction(number).is_open) == (300, False)


def test_a_charge_point_without_samples_is_settled_at_the_stop() -> None:
    """No MeterValues at all (Wallbox Pulsar Pro)."""
    site = SiteBuilder([user("RFID001")])
    number = site.begin(meter_start=10_000)
    site.stop(number, 60, 17_000)

    assert site.used() == 7_000


def test_transaction_data_is_never_added_on_top_of_the_stop() -> None:
    """Rule 7; road-labs#61: the register in kWh inside transactionData, the stop in Wh."""
    site = SiteBuilder([user("RFID001")])
    number = site.begin(meter_start=10_000)
    data = (sample(1, 10.3, unit="kWh"), sample(0, 10.0, unit="kWh"))
    site.stop(number, 2, 10_555, data=data)

    assert (site.energy(number), site.used()) == (555, 555)


def test_transaction_data_settles_where_the_stop_does_not() -> None:
    """Rules 4 and 7."""
    site = SiteBuilder([user("RFID001")])
    number = site.begin(meter_start=10_000)
    site.stop(number, 2, -1, data=(sample(1, 10_300), sample(2, 10_600)))

    assert site.energy(number) == 600


def test_transaction_data_of_a_session_of_two_days_is_not_taken_for_a_wrong_clock() -> None:
    """Rules 7 and 9: stamps older than 24 h are legitimate where they belong to the session itself."""
    site = SiteBuilder([user("RFID001", None)])
    number = site.begin(meter_start=0)
    data = tuple(sample(60 * hour, 10_000 * hour) for hour in range(1, 49))
    site.stop(number, 60 * 48, 480_000, data=data)

    assert site.energy(number) == 480_000
    assert NoteKind.SET_ASIDE not in site.kinds()


def test_energy_after_midnight_of_the_months_end_is_the_new_months() -> None:
    """Rule 10: a session across the month's end, split in proportion to time (B11)."""
    site = SiteBuilder([user("RFID001")])
    begin = _minutes(MIDNIGHT) - 20
    number = site.begin(minutes=begin)
    site.stop(number, begin + 60, 9_000)

    assert (site.used(month=JANUARY), site.used(month=FEBRUARY)) == (3_000, 6_000)


def test_late_energy_goes_to_the_closed_month_and_not_to_the_new_quota() -> None:
    """Rule 10: the stop of January's session comes from the queue in February."""
    site = SiteBuilder([user("RFID001", 10_000)])
    begin = _minutes(MIDNIGHT) - 120
    number = site.begin(minutes=begin)
    site.do(cmd.OpenMonth(MIDNIGHT, FEBRUARY))
    site.stop(number, begin + 60, 9_950, received=begin + 60 * 10)

    assert (site.used(month=JANUARY), site.used(month=FEBRUARY)) == (9_950, 0)
    assert site.authorize("RFID001", begin + 60 * 11).status is AuthorizationStatus.ACCEPTED


def test_energy_of_a_refused_session_is_booked_and_flagged() -> None:
    """Rules 5 and 18: it flowed; offline, the charge point had no way to ask."""
    site = SiteBuilder([user("RFID001", 1_000)])
    site.stop(site.begin(), 10, 1_000)
    number = site.begin(minutes=20, meter_start=1_000)
    site.stop(number, 50, 3_500)

    assert (site.energy(number), site.used()) == (2_500, 3_500)
    assert site.transaction(number).flags == ("refused: quota is used up",)


def test_a_whole_session_from_the_queue_is_booked_in_full_also_above_the_quota() -> None:
    """Energy that was delivered is booked (rule 5)."""
    site = SiteBuilder([user("RFID001", 1_000)])
    number = site.begin(minutes=-300, received=0)
    site.meter(number, sample(-299, 300), sample(-298, 600), received=0)
    site.stop(number, -60, 9_000, received=0.1)

    assert (site.used(), site.transaction(number).overshoot) == (9_000, 8_000)


@pytest.mark.parametrize("id_tag", ["", "RFID002", "RFID001", "damaged tag of 22 chars"])
def test_the_tag_of_a_stop_does_not_matter_for_the_bill(id_tag: str) -> None:
    """Stop without tag, with another, with a damaged one."""
    site = SiteBuilder([user("RFID001"), user("RFID002")])
    number = site.begin("RFID001")
    site.stop(number, 10, 1_000, id_tag=id_tag)

    assert (site.used("RFID001"), site.used("RFID002")) == (1_000, 0)


def test_a_stop_with_a_tag_is_answered_with_its_status() -> None:
    """OCPP 1.6 §4.10: idTagInfo is optional; the refusal of it ends nothing else."""
    site = SiteBuilder([user("RFID001"), user("RFID002", blocked=True)])
    reply = site.stop(site.begin(), 10, 1_000, id_tag="RFID002")

    assert isinstance(reply, cmd.Authorized)
    assert reply.id_tag_info.status is AuthorizationStatus.BLOCKED
    assert NoteKind.REFUSAL not in site.kinds()


def test_a_repeated_stop_is_confirmed_and_changes_nothing() -> None:
    """Also where meterStop could not be used."""
    site = SiteBuilder([user("RFID001")])
    number = site.begin()
    site.stop(number, 10, 10_000_000)
    before = site.transaction(number)
    reply = site.stop(number, 10, 10_000_000, received=15)

    assert reply == cmd.Done()
    assert [change for change in site.last if not isinstance(change, ch.PutSeen)] == []
    assert site.transaction(number) is before


def test_a_second_stop_with_a_higher_register_adds_and_is_flagged() -> None:
    """Rule 20; steve#1293."""
    site = SiteBuilder([user("RFID001")])
    number = site.begin()
    site.stop(number, 10, 1_000)
    site.stop(number, 11, 1_200)
    site.stop(number, 12, 1_300)
    kinds = site.kinds()
    site.stop(number, 13, 900)

    assert (site.energy(number), site.used()) == (1_300, 1_300)
    assert site.transaction(number).flags == ("raised by a second stop",)
    assert kinds == [NoteKind.ODDITY]


def test_a_second_stop_that_no_charge_point_could_deliver_is_set_aside_once() -> None:
    """Rules 5 and 20: shown to the administrator, and not again when it is repeated."""
    site = SiteBuilder([user("RFID001")])
    number = site.begin()
    site.stop(number, 10, 1_000)
    site.stop(number, 11, 10_000_000)
    first = site.kinds()
    site.stop(number, 11, 10_000_000, received=12)

    assert (first, site.kinds(), site.energy(number)) == ([NoteKind.SET_ASIDE], [], 1_000)


def test_another_charge_points_id_is_an_orphan_and_a_security_event() -> None:
    """Rule 20; T6, CVE-2026-28230."""
    site = SiteBuilder([user("RFID001")])
    foreign = site.begin(meter_start=100, charge_point_id=OTHER_CHARGE_POINT)
    own = site.begin(meter_start=0)
    before = site.transaction(foreign)
    reply = site.stop(foreign, 10, 1_000)

    assert reply == cmd.Done()
    assert site.kinds() == [NoteKind.ORPHAN, NoteKind.SECURITY]
    assert site.transaction(foreign) is before
    assert site.transaction(own).is_open


@pytest.mark.parametrize("number", UNUSABLE_IDS)
@pytest.mark.parametrize("id_tag", ["", "RFID001", "rfid001"])
def test_a_stop_without_a_usable_id_ends_the_only_session(number: int | None, id_tag: str) -> None:
    """Rule 20; errata 3.18; KEBA, Hager, TKT."""
    site = SiteBuilder([user("RFID001")])
    running = site.begin(meter_start=500)
    site.stop(number, 10, 1_500, id_tag=id_tag)

    assert (site.transaction(running).is_open, site.energy(running)) == (False, 1_000)


@pytest.mark.parametrize(
    ("minutes", "meter_stop", "id_tag"),
    [(10, 1_500, "RFID002"), (-1, 1_500, ""), (10, 700, ""), (10, 499, "")],
)
def test_a_stop_that_does_not_fit_the_only_session_is_an_orphan(minutes: float, meter_stop: int, id_tag: str) -> None:
    """Rule 20: tag absent or equal, not before its start, not below its last trusted register."""
    site = SiteBuilder([user("RFID001")])
    running = site.begin(meter_start=500)
    site.meter(running, sample(1, 800))
    site.stop(-1, minutes, meter_stop, id_tag=id_tag, received=11)

    assert site.transaction(running).is_open
    assert site.kinds() == [NoteKind.ORPHAN]
    assert ("meter_stop", str(meter_stop)) in site.notes[0].figures


def test_a_stop_with_no_register_ends_the_only_session_too() -> None:
    """Rules 4 and 20: -1 with 0 or nothing is what a power cut leaves."""
    site = SiteBuilder([user("RFID001")])
    running = site.begin(meter_start="n/a")
    site.stop(-1, 10, 0)

    assert not site.transaction(running).is_open


def test_a_stop_for_a_session_never_started_here_is_an_orphan_and_books_nothing() -> None:
    """Wallbox free mode, lost starts; with two sessions nobody guesses."""
    site = SiteBuilder([user("RFID001", None)])
    site.stop(4711, 10, 1_500)
    alone = site.kinds()
    site.begin()
    site.begin(connector_id=2)
    site.stop(-1, 10, 1_500)

    assert (alone, site.kinds(), site.site.usage) == ([NoteKind.ORPHAN], [NoteKind.ORPHAN], {})


def test_a_refused_start_that_waits_for_its_stop_takes_it_first() -> None:
    """Rule 20; core#55 (Hager Witty Park): the same tag runs on the next connector."""
    site = SiteBuilder([user("RFID001", 1_000)])
    running = site.begin(connector_id=2)
    site.meter(running, sample(1, 995), connector_id=2)
    refused = site.start(minutes=2, meter_start=5_000)
    site.stop(-1, 3, 5_000, id_tag="RFID001")

    assert refused.id_tag_info.status is AuthorizationStatus.BLOCKED
    assert not site.transaction(refused.transaction_id).is_open
    assert site.transaction(running).is_open


def test_the_repeated_stop_of_a_refused_start_does_not_end_the_running_session() -> None:
    """Rules 19 and 20: it is the same stop again, not a guess at the next connector."""
    site = SiteBuilder([user("RFID001", 1_000)])
    running = site.begin(connector_id=2)
    site.meter(running, sample(1, 995), connector_id=2)
    site.begin(minutes=2, meter_start=5_000)
    site.stop(-1, 3, 5_000)
    site.stop(-1, 3, 5_000, received=4)

    assert site.transaction(running).is_open


@pytest.mark.parametrize(("minutes_after_end", "is_repeated"), [(14, True), (16, False)])
def test_without_a_clock_a_stop_is_a_repeated_one_for_fifteen_minutes(
    minutes_after_end: float, is_repeated: bool
) -> None:
    """Rule 19, for stops: a charge point without clock and register ends each session with the same words."""
    site = SiteBuilder([user("RFID001", None)])
    site.begin()
    site.stop(-1, 10, 0, timestamp="1970-01-01T00:00:00Z")
    second = site.begin(minutes=11)
    site.stop(-1, 10 + minutes_after_end, 0, timestamp="1970-01-01T00:00:00Z")

    assert site.transaction(second).is_open is is_repeated


def test_a_late_stop_is_capped_at_the_next_sessions_start_and_reduces_the_unattributed() -> None:
    """Rule 22."""
    site = SiteBuilder([user("RFID001"), user("RFID002")])
    old = site.begin("RFID001", 0, 10_000)
    site.meter(old, sample(1, 10_300))
    new = site.begin("RFID002", 60, 10_450)
    site.stop(old, 30, 10_400, received=61)
    after_stop = (site.energy(old), site.unattributed())
    site.stop(old, 31, 10_900, received=62)

    assert after_stop == (400, 50)
    assert (site.energy(old), site.unattributed(), site.energy(new)) == (450, 0, 0)
    assert site.transaction(old).end_kind is EndKind.STOPPED


def test_a_stop_of_the_server_is_told_in_its_own_words() -> None:
    """Rule 14: AcTEC says Remote for its own faults too; what the charge point says stays where we asked nothing."""
    site = SiteBuilder([user("RFID001", None)])
    asked, emergency, other = site.begin(), site.begin(connector_id=2), site.begin(connector_id=3)
    for number in (asked, emergency):
        site.do(cmd.RequestStop(at(1), number, "ops"))
        site.attempt(number, 1)
    site.stop(asked, 2, 0, reason="Remote")
    site.stop(emergency, 2, 0, reason="EmergencyStop")
    site.stop(other, 2, 0, reason="")

    reasons = [site.transaction(number).stop_reason for number in (asked, emergency, other)]
    assert reasons == ["stopped by the operator", "EmergencyStop", "Local"]


def test_the_alert_of_a_stop_goes_when_the_session_ends() -> None:
    """Rule 26."""
    site = SiteBuilder([user("RFID001")])
    number = site.begin()
    site.do(cmd.RequestStop(at(1), number, "ops"))
    for minute in (1, 2, 3):
        site.attempt(number, minute, "Rejected")
    raised = list(site.site.alerts)
    site.stop(number, 4, 0)

    assert (raised, site.site.alerts) == ([f"stop-{number}"], {})


def test_a_session_that_ended_at_the_quota_reports_its_overshoot() -> None:
    """Rule 25."""
    site = SiteBuilder([user("RFID001", 1_000), user("ADMIN", None)])
    number = site.begin(meter_start=7)
    site.meter(number, sample(1, 907))
    site.order_stops(2)
    site.stop(number, 2, 1_019)
    kinds = site.kinds()
    exact = site.begin(minutes=3, meter_start=1_019)
    free = site.begin("ADMIN", 4, 0, connector_id=2)
    site.stop(exact, 5, 1_019)
    site.stop(free, 5, 100)

    assert kinds == [NoteKind.OVERSHOOT]
    assert [site.transaction(n).overshoot for n in (number, exact, free)] == [12, 12, None]


def test_a_session_stopped_short_of_the_quota_reports_no_overshoot() -> None:
    """Rule 25: each finished session reports it; one that was stopped for the quota says by how much it landed."""
    site = SiteBuilder([user("RFID001", 1_000)])
    number = site.begin(meter_start=7)
    site.meter(number, sample(1, 907))
    site.order_stops(2)
    site.stop(number, 2, 1_004)
    stopped = (site.kinds(), site.transaction(number).overshoot)
    short = SiteBuilder([user("RFID001", 1_000)])
    short.stop(short.begin(), 5, 300)

    assert stopped == ([NoteKind.OVERSHOOT], 0)
    assert short.kinds() == []


def test_a_session_at_a_free_charge_point_reports_no_overshoot() -> None:
    """Rule 17."""
    site = SiteBuilder([user("RFID001", 0)])
    site.set_access(Access.FREE)
    number = site.begin()
    site.stop(number, 5, 300)

    assert site.transaction(number).overshoot is None


def _obeys(site: SiteBuilder, connector_id: int, seconds: float, first_result: str = "Accepted") -> float | None:
    number = site.begin(minutes=connector_id, connector_id=connector_id)
    site.do(cmd.RequestStop(at(connector_id), number, "ops"))
    site.attempt(number, connector_id, first_result)
    site.stop(number, connector_id + seconds / 60, 0)
    return site.site.charge_points[CHARGE_POINT].stop_delay_s


def test_how_fast_a_charge_point_obeys_is_learnt_from_the_stops_it_accepted() -> None:
    """Rule 25: its measured stop delay; a failed attempt or a minute's wait tells nothing of it."""
    site = SiteBuilder([user("RFID001", None)])

    found = [_obeys(site, 1, 10), _obeys(site, 2, 20), _obeys(site, 3, 30, "Rejected"), _obeys(site, 4, 61)]

    assert found == [10.0, 13.0, 13.0, 13.0]


def test_a_slow_charge_points_delay_is_learnt_although_it_had_to_be_asked_twice() -> None:
    """Rules 25 and 26: the second attempt comes after 10 s, the charge point takes 15."""
    site = SiteBuilder([user("RFID001", None)])
    number = site.begin()
    site.do(cmd.RequestStop(at(1), number, "ops"))
    site.attempt(number, 1)
    site.attempt(number, 1 + 10 / 60)
    site.stop(number, 1 + 15 / 60, 0)

    assert site.site.charge_points[CHARGE_POINT].stop_delay_s == 15


def test_a_finished_session_tells_the_resolution_of_its_register() -> None:
    """Rule 8."""
    site = SiteBuilder([user("RFID001", None)])
    number = site.begin(meter_start=12, charge_point_id=OTHER_CHARGE_POINT)
    site.meter(number, sample(6, 13, unit="kWh"), charge_point_id=OTHER_CHARGE_POINT)
    site.stop(number, 12, 14, charge_point_id=OTHER_CHARGE_POINT)

    assert site.site.charge_points[OTHER_CHARGE_POINT].resolution == 1_000


def test_the_unit_of_start_and_stop_is_learnt_from_the_stop_too() -> None:
    """Rule 3: meterStop in kWh, the labelled samples in Wh."""
    site = SiteBuilder([user("RFID001", None)])
    number = site.begin(meter_start=500)
    site.meter(number, sample(1, 500_300))
    site.stop(number, 2, 500.6)

    assert site.energy(number) == 600
    assert site.site.charge_points[CHARGE_POINT].register_unit is EnergyUnit.KWH


def test_a_stop_older_than_its_start_is_accepted() -> None:
    """After a clock was set; amounts come from readings."""
    site = SiteBuilder([user("RFID001")])
    number = site.begin(meter_start=0)
    site.stop(number, -30, 900, received=10)

    assert (site.energy(number), site.transaction(number).ended_at) == (900, at(0))


def test_closing_samples_after_the_stop_revive_nothing() -> None:
    """Ocular LTE Plus; never the next driver's."""
    site = SiteBuilder([user("RFID001"), user("RFID002")])
    first = site.begin("RFID001", meter_start=1_000)
    site.stop(first, 10, 2_000)
    second = site.begin("RFID002", 11, 2_000)
    site.meter(first, sample(10, 2_000), received=11.5)

    assert [site.transaction(n).is_open for n in (first, second)] == [False, True]
    assert [site.energy(n) for n in (first, second)] == [1_000, 0]


def test_a_stop_that_was_sent_in_text_keeps_what_it_said() -> None:
    """Rule 20: an orphan is for the administrator, with its figures."""
    site = SiteBuilder()
    site.stop(None, 10, "12,5", id_tag=" CARD ", reason="PowerLoss", timestamp=stamp(at(10)))

    assert site.notes[0].id_tag == "CARD"
    assert dict(site.notes[0].figures) == {
        "transaction": "None",
        "meter_stop": "12,5",
        "timestamp": stamp(at(10)),
        "reason": "PowerLoss",
    }


def test_a_long_session_is_split_by_hours_exact_to_the_wh() -> None:
    """Rule 10: an hourly split, exact to the Wh."""
    site = SiteBuilder([user("RFID001", None)])
    begin = _minutes(MIDNIGHT - timedelta(hours=3))
    number = site.begin(minutes=begin)
    site.stop(number, begin + 6 * 60, 6_001)

    assert site.transaction(number).booked == ((JANUARY, 3_001), (FEBRUARY, 3_000))
    assert len(site.bookings()) == 6
