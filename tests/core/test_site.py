"""The state of a site, and `apply`, the only place that alters it."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import cast

import pytest
from site_builder import (
    CHARGE_POINT,
    FEBRUARY,
    JANUARY,
    KWH_BRAND,
    NOON,
    OTHER_CHARGE_POINT,
    ZONE,
    SiteBuilder,
    at,
    sample,
    stamp,
    user,
)

from ocpp_server.core import changes as ch
from ocpp_server.core import commands as cmd
from ocpp_server.core.energy import EnergyUnit, Wh
from ocpp_server.core.events import Event, EventType, QuotaUse
from ocpp_server.core.records import Alert, Booking, BookingKind, Note, NoteKind, Reading, RefusedTag
from ocpp_server.core.set_aside import SetAside, SetAsideKind, SetAsideState
from ocpp_server.core.site import (
    MOST_DECIDED_SET_ASIDE,
    Policy,
    Site,
    apply,
    forget_ended,
    kept_since,
    start_key,
)
from ocpp_server.core.users import Account, ChargerRow, IdTag


def _booking(number: int, wh: int = 100, **details: object) -> ch.AddBooking:
    booking = Booking(
        number, BookingKind.ENERGY, NOON, JANUARY, "2025-01-15", IdTag("RFID001"), Wh(wh), NOON, CHARGE_POINT, 1
    )
    return ch.AddBooking(replace(booking, **details))  # type: ignore[arg-type]


def _reading(number: int) -> Reading:
    return Reading(number, f"key {number}", NOON, CHARGE_POINT, 1, 1, "RFID001", "John Doe", 0, Wh(number), None)


def test_every_change_applied_twice_changes_nothing() -> None:
    """docs/architecture.md: a change is absolute, so that doing it twice is harmless."""
    site = SiteBuilder([user("RFID001", 1_000)])
    number = site.begin("rfid001", meter_start=5_000)
    site.begin("UNKNOWN", 1, connector_id=2)
    site.meter(number, sample(1, 5_300), sample(2, 5_600), received=2)
    site.status(3)
    site.do(cmd.RecordConfiguration(CHARGE_POINT, at(3), (("MeterValueSampleInterval", "60"),), is_complete=True))
    site.do(cmd.Heartbeat(CHARGE_POINT, at(4)))
    site.order_stops(5)
    site.do(cmd.RaiseAlert(at(5), "disk", "disk", "disk is full"))
    site.do(cmd.ResolveAlert(at(6), "disk"))
    site.do(cmd.Adjust(at(6), IdTag("RFID001"), Wh(-10), "mistake", "ops"))
    site.stop(number, 7, 5_990)
    site.do(cmd.ReplaceChargers(at(8), (ChargerRow(CHARGE_POINT, brand="Schneider"),)))
    site.do(cmd.OpenMonth(at(9), FEBRUARY))
    once = Site(site.site.policy)
    for change in site.changes:
        apply(once, change)
        apply(once, change)

    assert once == site.restarted(1)
    assert once == site.restarted(2)
    assert once.usage == {(JANUARY, "RFID001"): 980}


def test_a_booking_counts_for_quota_charge_point_hour_and_day() -> None:
    """Rule 10: bookings carry their month."""
    site = Site(Policy(ZONE))
    apply(site, _booking(1))
    apply(site, _booking(2, -30))
    apply(site, _booking(2, 500))

    assert site.usage == {(JANUARY, "RFID001"): 70}
    assert site.delivered == {CHARGE_POINT: 70}
    assert site.energy_by_hour == {(CHARGE_POINT, NOON): 70}
    assert site.energy_by_day == {("RFID001", "2025-01-15"): 70}
    assert site.used(JANUARY, [IdTag("RFID001"), IdTag("RFID002")]) == 70


def test_energy_at_a_free_charge_point_counts_on_no_quota() -> None:
    """Rule 17."""
    site = Site(Policy(ZONE))
    apply(site, _booking(1, is_on_quota=False))

    assert (site.usage, site.delivered) == ({}, {CHARGE_POINT: 100})


def test_an_adjustment_counts_for_no_charge_point() -> None:
    """Rule 10: `Adjust` books for a tag."""
    site = Site(Policy(ZONE))
    apply(site, _booking(1, charge_point_id=""))

    assert (site.delivered, site.energy_by_hour, site.usage) == ({}, {}, {(JANUARY, "RFID001"): 100})


def test_the_meter_log_keeps_the_newest_five_hundred() -> None:
    """docs/files.md, meter_data_log.json: never more than 500."""
    site = Site(Policy(ZONE))
    for number in range(1, 511):
        apply(site, ch.AddReading(_reading(number)))
    apply(site, ch.AddReading(_reading(5)))

    assert (len(site.readings), site.readings[0].number, site.next_reading_number) == (500, 11, 511)
    assert site.reading_keys == {reading.key for reading in site.readings}


def test_notes_and_refused_tags_are_added_once() -> None:
    """docs/architecture.md: twice is harmless."""
    site = Site(Policy(ZONE))
    for _ in range(2):
        apply(site, ch.AddNote(1, Note(NoteKind.ODDITY, NOON, "odd")))
        apply(site, ch.AddRefusedTag(1, RefusedTag("CARD", NOON, CHARGE_POINT, "unknown tag")))

    assert (len(site.notes), len(site.refused_tags)) == (1, 1)


def test_a_charge_point_that_is_forgotten_leaves_nothing_behind() -> None:
    """But for its transactions and bookings; twice is harmless."""
    site = SiteBuilder([user("RFID001")])
    number = site.begin()
    site.site.profile_of(site.site.charge_points[CHARGE_POINT])
    for _ in range(2):
        apply(site.site, ch.RemoveChargePoint(CHARGE_POINT))

    kept = (site.site.charge_points, site.site.last_seen, site.site.configurations, site.site.profiles)
    assert [CHARGE_POINT in one for one in kept] == [False] * 4
    assert site.transaction(number).is_open


def test_an_event_is_counted_once_and_a_threshold_that_was_told_is_remembered() -> None:
    """The events themselves are in the ledger alone; numbers go on."""
    site = Site(Policy(ZONE))
    use = QuotaUse(Account("flat 7"), "Jane Smith", JANUARY, 80, Wh(10_000), Wh(8_000))
    for _ in range(2):
        apply(site, ch.AddEvent(1, Event(EventType.MONTH_OPENED, NOON, month=JANUARY)))
        apply(site, ch.AddEvent(2, Event(EventType.QUOTA_WARNING, NOON, quota=use)))
    apply(site, ch.AddEvent(1, Event(EventType.QUOTA_WARNING, NOON, quota=replace(use, percent=95))))

    assert (site.next_event_number, site.quota_told) == (3, {"flat 7": use})


def test_alerts_come_and_go() -> None:
    """docs/files.md, alerts.json."""
    site = Site(Policy(ZONE))
    apply(site, ch.PutAlert(Alert("disk", "disk", "disk is full", NOON)))
    raised = dict(site.alerts)
    apply(site, ch.RemoveAlert("disk"))
    apply(site, ch.RemoveAlert("disk"))

    assert (list(raised), site.alerts) == (["disk"], {})


def test_a_heartbeat_is_kept_until_the_next_one() -> None:
    """docs/files.md, charger_status.json: last_heartbeat and last_seen are two things."""
    site = Site(Policy(ZONE))
    apply(site, ch.PutSeen(CHARGE_POINT, at(0), at(0)))
    apply(site, ch.PutSeen(CHARGE_POINT, at(1), None))

    assert (site.last_seen, site.last_heartbeat) == ({CHARGE_POINT: at(1)}, {CHARGE_POINT: at(0)})


def test_a_change_that_is_none_is_refused() -> None:
    """Closed unions."""
    with pytest.raises(AssertionError):
        apply(Site(Policy(ZONE)), cast("ch.Change", "nonsense"))


def test_open_sessions_are_found_by_connector_oldest_first() -> None:
    """Rule 21; the order is that of their starts, also when an older one arrives late or is opened again."""
    site = SiteBuilder([user("RFID001")])
    young = site.begin(minutes=10)
    old = site.begin(minutes=-30, received=11)
    other = site.begin(minutes=12, connector_id=2)
    site.begin(minutes=12, charge_point_id=OTHER_CHARGE_POINT)

    assert [t.transaction_id for t in site.site.open_on(CHARGE_POINT, 1)] == [old, young]
    assert [t.transaction_id for t in site.site.open_on(CHARGE_POINT)] == [old, young, other]
    assert site.site.open_on("NEVER_SEEN") == []


def test_nothing_is_left_of_a_tag_whose_sessions_ended() -> None:
    """T26: any text can be a tag, so an empty entry for each would pile up."""
    site = SiteBuilder([user("RFID001")])
    session = site.begin()
    assert list(site.site.open_by_tag) == ["RFID001"]

    site.stop(session, 10)

    assert site.site.open_by_tag == {}


def test_the_brand_profile_comes_from_the_table_then_from_the_boot() -> None:
    """Rule 3: chargers.csv before what BootNotification tells, and that before the id."""
    site = SiteBuilder(policy=Policy(ZONE, brand_rules=(KWH_BRAND,)))
    known = site.site.charge_points[CHARGE_POINT]
    plain = site.site.profile_of(known)
    site.do(cmd.ReplaceChargers(at(0), (ChargerRow(CHARGE_POINT, brand="livoltek", max_power_w=11_000),)))
    named = site.site.profile_of(known)
    site.do(cmd.ReplaceChargers(at(0), (ChargerRow(CHARGE_POINT, brand="nobody", energy_unit="kWh"),)))
    overridden = site.site.profile_of(known)

    assert plain.register_unit is EnergyUnit.WH
    assert (named.register_unit, named.max_power_w, named.is_label_ignored) == (EnergyUnit.KWH, 11_000, False)
    assert (overridden.register_unit, overridden.sample_unit) == (EnergyUnit.KWH, EnergyUnit.KWH)
    assert overridden.is_label_ignored
    assert site.site.profile_of(known) is overridden


def test_a_charge_point_that_tells_another_brand_is_recognised_anew() -> None:
    """Rule 3: matched on vendor and model of BootNotification."""
    rule = replace(KWH_BRAND, vendor_words=("livo",), charge_point_id_words=())
    site = SiteBuilder(policy=Policy(ZONE, brand_rules=(rule,)))
    before = site.site.profile_of(site.site.charge_points[CHARGE_POINT])
    site.do(cmd.BootNotification(CHARGE_POINT, at(0), "LivoLTEK", "AC22"))

    assert before.brand == ""
    assert site.site.profile_of(site.site.charge_points[CHARGE_POINT]).brand == "LIVOLTEK"


def test_sessions_that_ended_long_ago_are_let_go_of() -> None:
    """The ledger keeps them; an id is never used again (rule 18)."""
    site = SiteBuilder([user("RFID001")])
    old = site.begin()
    site.stop(old, 1, 100)
    running = site.begin(minutes=60 * 24 * 3, meter_start=100)
    site.meter(running, sample(60 * 24 * 3 + 1, 300))
    forget_ended(site.site, at(60 * 24 * 2))

    assert list(site.site.transactions) == [running]
    assert list(site.site.starts.values()) == [running]
    assert [key[1] for key in site.site.energy_by_hour] == [at(60 * 24 * 3)]
    assert [day for _, day in site.site.energy_by_day] == ["2025-01-18"]
    assert site.begin(minutes=60 * 24 * 4, meter_start=300) > running


def test_letting_go_of_a_session_keeps_the_key_of_a_later_one_without_a_clock() -> None:
    """Rule 19: without a clock two sessions have the same key; a retry of the later one must find it."""
    site = SiteBuilder([user("RFID001")])
    first = site.begin(timestamp="1970-01-01T00:00:05Z", received=0)
    site.stop(first, 1, 100)
    second = site.begin(timestamp="1970-01-01T00:00:05Z", received=60)
    forget_ended(site.site, at(30))

    assert site.begin(timestamp="1970-01-01T00:00:05Z", received=61) == second


def test_a_row_whose_tag_changed_its_case_keeps_what_was_used_and_what_runs() -> None:
    """Rule 13: one spelling, one account; else an edit of users1.csv would be a second quota."""
    site = SiteBuilder([user("RFID001", 1_000)])
    number = site.begin()
    site.meter(number, sample(1, 950))
    site.set_users([user("rfid001", 1_000)], 2)
    used = site.site.used(JANUARY, site.site.tags_by_account["rfid001"])  # type: ignore[index]
    site.meter(number, sample(3, 1_000))
    site.order_stops(3)

    assert used == 950
    assert site.transaction(number).stop is not None
    assert site.site.tags_by_account == {"rfid001": ["rfid001", "RFID001"]}
    assert site.restarted().tags_by_account == site.site.tags_by_account


def test_two_rows_that_differ_by_case_are_two_accounts() -> None:
    """Rule 13: match exactly first, then only if that is unique."""
    site = SiteBuilder([user("Twin"), user("twin")])
    site.begin("TWIN")

    assert site.site.tags_by_account == {"Twin": ["Twin"], "twin": ["twin"]}


def test_an_old_spelling_belongs_to_its_account_once() -> None:
    """Rule 13."""
    site = SiteBuilder([user("RFID001")])
    ids = [site.begin(), site.begin(connector_id=2)]
    site.set_users([user("rfid001")], 1)
    for change in [ch.PutTransaction(replace(site.transaction(number), transaction_id=number + 100)) for number in ids]:
        apply(site.site, change)

    assert site.site.tags_by_account == {"rfid001": ["rfid001", "RFID001"]}


def test_the_key_of_a_start_has_no_case_in_its_tag() -> None:
    """Rule 19."""
    site = SiteBuilder([user("RFID001")])
    number = site.begin("rfid001", meter_start="5,0")

    assert start_key(site.transaction(number)) == (CHARGE_POINT, 1, "rfid001", stamp(at(0)), str(Decimal(5)))


def test_an_old_day_is_let_go_of_by_its_date() -> None:
    """Energy by day stays as long as a transaction does."""
    site = SiteBuilder([user("RFID001")])
    site.do(cmd.Adjust(at(0), IdTag("RFID001"), Wh(5), "test", "ops"))
    forget_ended(site.site, NOON + timedelta(hours=1))
    kept = dict(site.site.energy_by_day)
    forget_ended(site.site, NOON + timedelta(days=1))

    assert (kept, site.site.energy_by_day) == ({("RFID001", "2025-01-15"): 5}, {})


def test_what_ended_within_62_days_is_kept() -> None:
    """Whole seconds: sessions end at whole seconds, and who asks within one gets one answer."""
    assert kept_since(NOON + timedelta(days=62, microseconds=5)) == NOON


def _set_aside(
    number: int, state: SetAsideState = SetAsideState.OPEN, transaction_id: int | None = 7
) -> ch.PutSetAside:
    kind = SetAsideKind.READING if transaction_id is not None else SetAsideKind.ORPHAN
    one = SetAside(number, kind, NOON, NOON, CHARGE_POINT, 1, transaction_id, "RFID001", "why", state=state)
    return ch.PutSetAside(one)


def test_what_waits_is_found_by_its_session_until_it_is_decided() -> None:
    """An orphan belongs to none; what was withdrawn is in the ledger only."""
    site = Site(Policy(ZONE))
    changes = [_set_aside(1), _set_aside(2), _set_aside(3, transaction_id=8), _set_aside(4, transaction_id=None)]
    for change in changes:
        apply(site, change)
    assert {number: list(waiting) for number, waiting in site.set_aside_of.items()} == {7: [1, 2], 8: [3]}

    apply(site, _set_aside(1, SetAsideState.ACCEPTED))
    apply(site, _set_aside(3, SetAsideState.WITHDRAWN, 8))

    assert {number: list(waiting) for number, waiting in site.set_aside_of.items()} == {7: [2]}
    assert sorted(site.open_set_aside) == [2, 4]
    assert (list(site.decided_set_aside), site.next_set_aside_number) == ([1], 5)


def test_the_newest_thousand_decisions_are_in_memory() -> None:
    """The ledger has all of them."""
    site = Site(Policy(ZONE))
    for number in range(1, MOST_DECIDED_SET_ASIDE + 3):
        apply(site, _set_aside(number, SetAsideState.DROPPED))
    apply(site, _set_aside(1, SetAsideState.DROPPED))

    assert sorted(site.decided_set_aside) == list(range(3, MOST_DECIDED_SET_ASIDE + 3))


def test_nothing_is_left_of_a_charge_point_that_was_forgotten() -> None:
    """Its bookings and sessions stay."""
    site = SiteBuilder([user("RFID001")])
    site.meter(site.begin(), sample(1, 300))
    delivered = dict(site.site.delivered)

    apply(site.site, ch.RemoveChargePoint(CHARGE_POINT))

    assert CHARGE_POINT not in {**site.site.charge_points, **site.site.last_seen, **site.site.profiles}
    assert (site.site.delivered, len(site.site.open_transactions)) == (delivered, 1)
