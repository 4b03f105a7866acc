"""Readings of a charge point: what they add to the books, and to the meter log (rules 2 to 7, 9, 12, 21, 28)."""

from datetime import timedelta
from decimal import Decimal

from site_builder import (
    FEBRUARY,
    JANUARY,
    OTHER_CHARGE_POINT,
    SiteBuilder,
    at,
    sample,
    stamp,
    user,
)

from ocpp_server.core import changes as ch
from ocpp_server.core import commands as cmd
from ocpp_server.core.energy import Wh
from ocpp_server.core.meter import MeterValue, SampledValue
from ocpp_server.core.records import EndKind, NoteKind
from ocpp_server.core.users import Access, IdTag


def _charging(minutes: int = 1) -> tuple[SiteBuilder, int]:
    site = SiteBuilder([user("RFID001", None), user("RFID002", None)])
    number = site.begin(meter_start=10_000)
    for minute in range(1, minutes + 1):
        site.meter(number, sample(minute, 10_000 + 301 * minute))
    return site, number


# --- what a reading adds -------------------------------------------------------------------------------------------


def test_energy_is_the_highest_trusted_register_less_the_start() -> None:
    """Rule 1."""
    site, number = _charging(minutes=3)

    assert (site.energy(number), site.used()) == (903, 903)


def test_a_repeated_message_changes_no_books() -> None:
    """Rule 1."""
    site, number = _charging(minutes=3)
    site.meter(number, sample(3, 10_903))
    site.meter(number, sample(2, 10_602), received=4)

    assert (site.energy(number), site.bookings(), len(site.site.readings)) == (903, [], 3)
    assert site.transaction(number).sample_interval_s == 60


def test_samples_of_one_message_are_taken_in_the_order_of_their_stamps() -> None:
    """Rule 2; evcc helper.go: buffers send the newest first."""
    site, number = _charging()
    site.meter(number, sample(4, 11_204), sample(3, 10_903), sample(2, 10_602), received=4)

    assert site.energy(number) == 1_204
    assert [reading.register for reading in site.site.readings] == [10_301, 10_602, 10_903, 11_204]


def test_a_queue_that_comes_in_a_burst_is_judged_by_its_own_stamps() -> None:
    """Rule 5: 22 kWh in one message, taken over an hour."""
    site, number = _charging()
    burst = tuple(sample(minute, 10_000 + 360 * minute) for minute in range(2, 61))
    site.meter(number, *burst, received=61)

    assert site.energy(number) == 21_600


def test_an_empty_message_and_an_empty_sample_are_confirmed() -> None:
    """Empty lists (Vestel EVC04, Wallbox Copper SB)."""
    site, number = _charging()
    before = site.transaction(number)
    assert site.meter(number, received=2) == cmd.Done()
    unchanged = site.transaction(number)
    site.meter(number, MeterValue(stamp(at(3)), ()))

    assert unchanged is before
    assert site.energy(number) == 301


def test_an_unreadable_value_is_skipped_and_noted_once_an_hour() -> None:
    """Rule 2: never 0; a state is noted when it begins."""
    site, number = _charging()
    site.meter(number, sample(2, "NaN"))
    first = site.kinds()
    site.meter(number, sample(3, "NaN"))

    assert (first, site.kinds(), site.energy(number)) == ([NoteKind.ODDITY], [], 301)


def test_a_step_that_no_charge_point_could_deliver_waits_for_the_administrator() -> None:
    """Rule 5: set aside with both readings."""
    site, number = _charging()
    site.meter(number, sample(2, 60_000))

    assert (site.kinds(), site.energy(number)) == ([NoteKind.SET_ASIDE], 301)
    assert dict(site.notes[0].figures) == {"before_wh": "10301", "after_wh": "60000"}


def test_intervals_count_where_a_charge_point_gives_no_register() -> None:
    """Rule 2: Energy.Active.Import.Interval, never mixed."""
    site = SiteBuilder([user("RFID001")])
    number = site.begin(meter_start=0)
    for minute in (1, 2):
        interval = SampledValue("300", "Energy.Active.Import.Interval", "Wh")
        site.meter(number, MeterValue(stamp(at(minute)), (interval,)))

    assert (site.energy(number), site.transaction(number).booked_at) == (600, at(2))


def test_a_message_of_power_alone_moves_no_booking_time() -> None:
    """Rules 10 and 12: what flowed since the last register is still unreported; it belongs to its own month."""
    site = SiteBuilder([user("RFID001", None)])
    end = (at(0).replace(day=31, hour=21) - at(0)).total_seconds() / 60
    number = site.begin(minutes=end - 20)
    site.meter(number, sample(end - 10, 1_001))
    site.meter(number, sample(end + 5, None, 6_000))
    site.meter(number, sample(end + 10, 3_001))

    assert (site.used(month=JANUARY), site.used(month=FEBRUARY)) == (2_001, 1_000)
    assert site.transaction(number).sample_interval_s == 20 * 60


def test_a_reading_opens_a_stale_mark_again() -> None:
    """Rule 22."""
    site, number = _charging()
    site.status(2)
    site.do(cmd.CloseStale(at(30)))
    was_stale = site.transaction(number).is_stale
    site.meter(number, sample(31, 10_400))

    assert (was_stale, site.transaction(number).is_stale) == (True, False)


# --- whose session it is not ------------------------------------------------------------------------------------------


def test_idle_readings_are_nobodys_and_noted_once_an_hour() -> None:
    """Clock-aligned samples outside any session."""
    site = SiteBuilder()
    noted = []
    for minute in (0, 1, 2, 61, 62):
        site.meter(None, sample(minute, 10_000))
        noted.append(len(site.notes))

    assert (noted, site.site.usage) == ([1, 0, 0, 1, 0], {})
    site.meter(None, MeterValue(stamp(at(62)), ()), connector_id=2)
    assert ("register_wh", "None") in site.notes[0].figures


def test_a_reading_from_before_any_boot_is_confirmed_and_kept() -> None:
    """Rule 23."""
    site = SiteBuilder()

    assert site.meter(5, sample(1, 100), charge_point_id="NEVER_BOOTED") == cmd.Done()
    assert site.kinds() == [NoteKind.ODDITY]


def test_a_reading_for_another_charge_points_session_is_noted() -> None:
    """Rule 21: it feeds nothing of that one."""
    site = SiteBuilder([user("RFID001", None)])
    foreign = site.begin(meter_start=100, charge_point_id=OTHER_CHARGE_POINT)
    site.meter(foreign, sample(2, 400))

    assert [note.text for note in site.notes] == ["reading for another charge point's transaction"]
    assert site.energy(foreign) == 0


def test_the_main_meter_is_not_noted() -> None:
    """Rule 21: connector 0 beside a session, or without any."""
    site, number = _charging()
    site.meter(None, sample(2, 500_000), connector_id=0)

    assert (site.notes, site.energy(number)) == ((), 301)


def test_what_a_reading_proves_of_its_charge_point_is_kept() -> None:
    """Rules 6 and 15: with the booking, in one decision."""
    site, number = _charging(minutes=2)
    site.meter(number, sample(3, 10_903, 18_060))

    (kept,) = (change.charge_point for change in site.last if isinstance(change, ch.PutChargePoint))
    assert (kept.power_scale, kept.power_scale_hits, kept.has_right_clock) == (Decimal(1), 1, True)


# --- after the server closed a session ------------------------------------------------------------------------------


def test_late_readings_of_a_superseded_session_add_up_to_the_next_start() -> None:
    """Rules 4 and 22: and reduce the unattributed by what they add."""
    site, old = _charging()
    new = site.begin("RFID002", 60, 10_450)
    site.meter(old, sample(2, 10_400), sample(3, 10_600), received=61)
    first = (site.energy(old), site.unattributed(), site.transaction(old).booked_at)
    site.meter(old, sample(2, 10_400), MeterValue(stamp(at(2)), ()), received=62)

    assert first == (450, 0, at(3))
    assert (site.energy(old), site.energy(new)) == (450, 0)
    assert site.transaction(old).end_kind is EndKind.SUPERSEDED


def test_a_stale_session_is_reopened_by_its_own_readings() -> None:
    """Rule 22."""
    site, number = _charging()
    site.status(2)
    site.do(cmd.CloseStale(at(180)))
    closed = site.transaction(number).end_kind
    site.meter(number, sample(190, 10_500))

    assert (closed, site.transaction(number).is_open, site.energy(number)) == (EndKind.STALE, True, 500)
    assert site.notes[0].text == "reopened by its own readings"


def test_a_stopped_session_is_never_revived() -> None:
    """To the closed session or nobody; creeping on after the stop is nobody's."""
    site, number = _charging()
    site.stop(number, 2, 10_400)
    site.meter(number, sample(3, 10_500))

    assert (site.transaction(number).is_open, site.energy(number)) == (False, 400)


# --- warnings -------------------------------------------------------------------------------------------------------


def _warned(quota: int, steps: list[int]) -> tuple[SiteBuilder, int, list[str]]:
    site = SiteBuilder([user("RFID001", quota)])
    number = site.begin(minutes=-5, meter_start=0)
    texts = []
    for minute, wh in enumerate(steps):
        site.meter(number, sample(minute, wh))
        texts += [note.text for note in site.notes if note.kind is NoteKind.WARNING]
    return site, number, texts


def test_an_account_is_warned_once_at_eighty_and_once_at_ninety_five_percent() -> None:
    """Rule 28: event and alert."""
    site, number, texts = _warned(1_000, [799, 800, 801, 900, 950, 960, 999])

    assert texts == [
        "quota will be used up before the month ends",
        "80 % of the quota is used",
        "95 % of the quota is used",
    ]
    (alert,) = site.site.alerts.values()
    assert (alert.alert_id, alert.kind, alert.text) == (
        "quota-RFID001",
        "95 % of the quota is used",
        "John Doe: 95 % of the quota is used",
    )
    assert site.transaction(number).is_on_quota


def test_a_step_past_both_marks_is_one_warning() -> None:
    """Rule 28."""
    assert _warned(1_000, [999])[2] == ["95 % of the quota is used"]


def test_a_correction_does_not_bring_the_same_warning_twice() -> None:
    """Rule 28: once."""
    site, number, _ = _warned(1_000, [810])
    site.stop(number, 1, 809)
    second = site.begin(minutes=2, meter_start=809)
    site.do(cmd.Adjust(at(3), IdTag("RFID001"), Wh(-100), "mistake", "ops"))
    site.meter(second, sample(4, 910))

    assert NoteKind.WARNING not in site.kinds()


def test_a_raised_quota_and_a_new_month_are_warned_anew() -> None:
    """Rules 16 and 28."""
    site, number, _ = _warned(1_000, [850])
    site.set_users([user("RFID001", 2_000)], 5)
    raised = list(site.site.alerts)
    site.meter(number, sample(6, 1_650))
    again = site.kinds()
    site.do(cmd.OpenMonth(at(60 * 24 * 17), FEBRUARY))

    assert (raised, again, site.site.alerts) == ([], [NoteKind.WARNING], {})


def test_nobody_is_warned_without_a_limit_or_without_a_row_or_at_a_free_charge_point() -> None:
    """Rule 28."""
    site = SiteBuilder([user("RFID001", None), user("RFID002", 0), user("RFID003", 100)])
    sessions = [site.begin(tag, connector_id=k) for k, tag in enumerate(("RFID001", "RFID002", "STRANGER"), 1)]
    site.set_access(Access.FREE)
    sessions.append(site.begin("RFID003", connector_id=4))
    warned = []
    for number in sessions:
        site.meter(number, sample(1, 301))
        warned += [kind for kind in site.kinds() if kind is NoteKind.WARNING]

    assert (warned, site.site.alerts) == ([], {})


# --- the meter log --------------------------------------------------------------------------------------------------


def test_a_reading_is_logged_with_what_the_charge_point_said() -> None:
    """docs/files.md, meter_data_log.json: frequency as reported, else null; nothing is made up."""
    site = SiteBuilder([user("RFID001", None)])
    number = site.begin(meter_start=0)
    values = (SampledValue("301", unit="Wh"), SampledValue("49.98", "Frequency", "Hertz"))
    site.meter(number, MeterValue(stamp(at(1)), values))

    (reading,) = site.site.readings
    assert (reading.register, reading.frequency_hz, reading.power_w) == (301, Decimal("49.98"), 18_060)
    assert (reading.full_name, reading.id_tag, reading.at) == ("John Doe", "RFID001", at(1))


def test_the_interval_between_readings_is_learnt_from_regular_ones() -> None:
    """Rule 25: the charge point's sample interval; a pause of hours is none."""
    site, number = _charging(minutes=3)
    regular = site.transaction(number).sample_interval_s
    site.meter(number, sample(3 + 180, 11_000))

    assert (regular, site.transaction(number).sample_interval_s) == (60, 60)
    assert site.transaction(number).booked_at == at(0) + timedelta(minutes=183)
