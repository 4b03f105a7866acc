"""Who a tag is, what its account may still use, and when it will be used up (rules 12, 13, 25, 28)."""

from datetime import date, timedelta

import pytest
from site_builder import CHARGE_POINT, JANUARY, OTHER_CHARGE_POINT, ZONE, SiteBuilder, at, sample, user

from ocpp_server.core import commands as cmd
from ocpp_server.core.energy import Wh
from ocpp_server.core.period import Month
from ocpp_server.core.quota import (
    Allowance,
    account_of,
    allowance,
    crossing,
    find_user,
    interval_of,
    is_expired,
    open_month,
    sessions_of,
    stop_time,
    tags_of,
    unreported_wh,
    warning_id,
    warning_of,
)
from ocpp_server.core.site import Policy
from ocpp_server.core.users import Account, User


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("RFID001", "RFID001"),
        ("  RFID001 ", "RFID001"),
        ("rfid001", "RFID001"),
        ("Twin", "Twin"),
        ("tWIN", None),
        ("RFID001_0815", "RFID001"),
        ("rfid001_0815_2", "RFID001"),
        ("A_B", "A_B"),
        ("A_B_77", "A_B"),
        ("A_C", "A"),
        ("_RFID001", None),
        ("RFID0019", None),
        ("", None),
    ],
)
def test_a_tag_is_matched_exactly_then_without_case_then_without_its_suffix(sent: str, expected: str | None) -> None:
    """Rule 13; OCPP 1.6 §7.28. KEBA appends a serial number after "_"."""
    site = SiteBuilder([user("RFID001"), user("Twin"), user("twin"), user("A"), user("A_B")]).site

    found = find_user(site, sent)

    assert (found.id_tag if found else None) == expected


def test_suffixes_are_part_of_the_tag_where_the_site_says_so() -> None:
    """Rule 13: configurable."""
    site = SiteBuilder([user("RFID001")], Policy(ZONE, tag_suffix_separator="")).site

    assert find_user(site, "RFID001_0815") is None


def test_the_spelling_of_the_table_is_the_accounts() -> None:
    """Rule 13: one spelling, one account."""
    site = SiteBuilder([user("RFID001", account="flat 4")]).site

    assert account_of(site, " rfid001 ") == ("RFID001", "flat 4")
    assert account_of(site, " new card ") == ("new card", "new card")
    assert tags_of(site, Account("new card")) == ["new card"]


@pytest.mark.parametrize(
    ("quota", "used", "unreported", "is_used_up"),
    [
        (0, 0, 0, True),
        (10_000, 9_900, 0, False),
        (10_000, 9_901, 0, True),
        (100_000, 99_900, 0, False),
        (100_000, 99_901, 0, True),
        (1_000, 989, 0, False),
        (1_000, 991, 0, True),
        (10_000, 9_000, 950, True),
        (10_000, 12_000, 0, True),
        (50, 49, 0, False),
        (50, 50, 0, True),
    ],
)
def test_less_than_a_tenth_of_a_kwh_or_one_percent_counts_as_used_up(
    quota: int, used: int, unreported: int, is_used_up: bool
) -> None:
    """Rule 12: else cars start and stop for 30 Wh."""
    left = Allowance(Wh(quota), Wh(used), Wh(unreported))

    assert left.is_used_up is is_used_up


def test_an_unlimited_user_never_uses_up_anything() -> None:
    """docs/files.md: unlimited."""
    left = Allowance(None, Wh(10**9), Wh(10**9))

    assert (left.remaining, left.is_used_up) == (None, False)


def test_a_card_works_on_its_last_day() -> None:
    """docs/files.md: expiry_date is the last day the card works."""
    card = user("RFID001", expiry_date=date(2025, 1, 31))

    assert [is_expired(card, date(2025, 1, 31)), is_expired(card, date(2025, 2, 1))] == [False, True]


def test_all_tags_of_an_account_share_one_quota_and_its_open_sessions() -> None:
    """Rule 12: one pot per driver."""
    family = [user("RFID001", account="flat"), user("RFID002", account="flat"), user("RFID003")]
    site = SiteBuilder(family)
    first = site.begin("RFID001")
    second = site.begin("RFID002", connector_id=2)
    site.begin("RFID003", charge_point_id=OTHER_CHARGE_POINT)
    site.meter(first, sample(1, 300))
    site.meter(second, sample(1, 100), connector_id=2)

    left = allowance(site.site, family[0], at(1.5))

    assert [s.transaction_id for s in sessions_of(site.site, Account("flat"))] == [first, second]
    assert (left.used, left.unreported, left.remaining) == (400, 200, 9_400)


def test_energy_between_readings_is_reserved_for_two_intervals_at_most() -> None:
    """Rule 12: power x time since the last reading; 18 kW x 60 s = 300 Wh."""
    site = SiteBuilder([user("RFID001")])
    number = site.begin()
    site.meter(number, sample(1, 300))
    site.meter(number, sample(2, 600))
    session = site.transaction(number)

    found = [unreported_wh(site.site, session, at(m)) for m in (1, 2, 2.5, 4, 60)]

    assert interval_of(site.site, session) == 60
    assert found == [0, 0, 150, 600, 600]


def test_a_register_of_whole_kwh_reserves_what_flowed_since_its_last_step() -> None:
    """Rule 8: 12 kW shows 1 kWh every 5 min; readings in between say nothing."""
    site = SiteBuilder([user("RFID001", 50_000)])
    number = site.begin(charge_point_id=OTHER_CHARGE_POINT, meter_start=100)
    for minute in range(1, 13):
        register = sample(minute, 100 + minute // 5, unit="kWh")
        site.meter(number, register, charge_point_id=OTHER_CHARGE_POINT)

    assert unreported_wh(site.site, site.transaction(number), at(12)) == pytest.approx(400)


def test_nothing_is_reserved_while_the_power_is_not_known() -> None:
    """Rule 25: power counts only once it is proven."""
    site = SiteBuilder([user("RFID001")])
    session = site.transaction(site.begin())

    assert unreported_wh(site.site, session, at(5)) == 0


def test_the_month_of_the_clock_counts_until_one_was_opened() -> None:
    """Rule 11: quotas count in the month that was opened, whatever the clock says."""
    site = SiteBuilder()
    before = open_month(site.site, at(0))
    site.do(cmd.OpenMonth(at(0), Month("2025-02")))

    assert (before, open_month(site.site, at(0))) == (JANUARY, "2025-02")


def _charging(quota: int | None, minutes: int = 3) -> tuple[SiteBuilder, User, int]:
    driver = user("RFID001", quota)
    site = SiteBuilder([driver])
    number = site.begin(meter_start=7)
    for minute in range(1, minutes + 1):
        site.meter(number, sample(minute, 7 + 300 * minute))
    return site, driver, number


def test_the_forecast_crossing_is_where_the_energy_meets_the_quota() -> None:
    """Rule 25: 900 Wh after 3 min at 18 kW; 1500 Wh are met after 5 min."""
    site, driver, _ = _charging(1_500)

    assert crossing(site.site, driver, at(3)) == at(5)
    assert crossing(site.site, driver, at(4)) == at(5)
    assert crossing(site.site, driver, at(5)) == at(5)


def test_the_crossing_is_now_once_the_quota_is_booked_or_must_have_flowed() -> None:
    """Rules 12 and 25."""
    booked, driver, _ = _charging(900)
    flowed, other, _ = _charging(1_000)

    assert crossing(booked.site, driver, at(3.1)) == at(3.1)
    assert crossing(flowed.site, other, at(4)) == at(4)


def test_there_is_no_crossing_without_a_limit_or_without_power_or_in_this_year() -> None:
    """Rule 25."""
    unlimited, admin, _ = _charging(None)
    silent, driver, _ = _charging(1_700)
    large, rich, _ = _charging(10**9)

    assert crossing(unlimited.site, admin, at(3)) is None
    assert crossing(silent.site, driver, at(30)) is None
    assert crossing(large.site, rich, at(3)) is None


def test_two_cars_of_one_account_cross_together() -> None:
    """Rule 25: 18 kW + 18 kW leave half the time."""
    driver = user("RFID001", 2_400)
    site = SiteBuilder([driver])
    first, second = site.begin(), site.begin(connector_id=2)
    site.meter(first, sample(1, 300))
    site.meter(second, sample(1, 300))

    assert crossing(site.site, driver, at(1)) == at(4)


def _stop_time(site: SiteBuilder, driver: User, number: int, minutes: float) -> float | None:
    when = stop_time(site.site, site.transaction(number), driver, at(minutes))
    return None if when is None else (when - at(0)).total_seconds()


def test_a_fine_register_is_stopped_ahead_by_the_delay_of_its_charge_point() -> None:
    """Rule 25: 2 s where nothing was measured yet."""
    site, driver, number = _charging(1_500)
    unknown = _stop_time(site, driver, number, 3)
    other = site.begin("RFID001", 10, connector_id=2, meter_start=0)
    site.do(cmd.RequestStop(at(11), other, "ops"))
    site.attempt(other, 11)
    site.stop(other, 11 + 8 / 60, 0)

    assert unknown == 5 * 60 - 2
    assert site.site.charge_points[CHARGE_POINT].stop_delay_s == 8
    assert _stop_time(site, driver, number, 3) == 5 * 60 - 8


def test_the_stop_is_now_once_the_quota_is_booked() -> None:
    """Rule 25."""
    site, driver, number = _charging(900)

    assert _stop_time(site, driver, number, 7) == 7 * 60


def test_no_stop_is_in_sight_without_a_limit_or_without_power() -> None:
    """Rule 25."""
    unlimited, admin, first = _charging(None)
    silent, driver, second = _charging(1_700)

    assert _stop_time(unlimited, admin, first, 3) is None
    assert _stop_time(silent, driver, second, 30) is None


def test_a_charge_point_that_is_not_known_has_the_default_delay() -> None:
    """Rule 23: a session is forecast even where nothing but its messages is known."""
    driver = user("RFID001", 1_500)
    site = SiteBuilder([driver])
    number = site.begin(meter_start=7)
    site.meter(number, sample(1, 307))
    del site.site.charge_points[CHARGE_POINT]

    assert _stop_time(site, driver, number, 1) == 5 * 60 - 2


def _coarse(quota: int, interval: float, step: int, power_w: int, minutes: float) -> tuple[SiteBuilder, User, int]:
    driver = user("RFID001", quota)
    site = SiteBuilder([driver])
    number = site.begin(meter_start=0)
    samples = round(minutes / interval)
    for k in range(1, samples + 1):
        register = int(power_w * k * interval / 60) // step * step
        site.meter(number, sample(k * interval, register))
    return site, driver, number


def test_a_step_that_one_reading_shows_is_waited_for_an_interval_and_a_half() -> None:
    """Rule 25: never before the step that reaches the quota; 12 kW shows 1 kWh every 5 min, sampled each minute."""
    site, driver, number = _coarse(3_000, 1, 1_000, 12_000, 11)

    assert _stop_time(site, driver, number, 11) == (15 + 1.5) * 60


def test_a_step_that_must_have_come_already_is_still_waited_for() -> None:
    """Rule 25: the reading that shows it is late; the books would stay a step short."""
    site, driver, number = _coarse(3_000, 1, 1_000, 12_000, 14)

    assert _stop_time(site, driver, number, 15.5) == (15 + 1.5) * 60


def test_where_a_reading_brings_several_steps_the_stop_comes_half_an_interval_past_the_step() -> None:
    """Rule 25: 24 kW, steps of 100 Wh, one reading in a minute (400 Wh): 1000 Wh after 2.5 min, stop after 3 min."""
    site, driver, number = _coarse(1_000, 1, 100, 24_000, 2)

    assert _stop_time(site, driver, number, 2) == 3 * 60


def test_a_coarse_register_without_power_follows_the_accounts_crossing() -> None:
    """Rule 25: the other car of the account brings the crossing near."""
    driver = user("RFID001", 1_500)
    site = SiteBuilder([driver])
    waiting = site.begin(connector_id=2, meter_start=5_000)
    number = site.begin()
    site.meter(number, sample(1, 301))

    assert _stop_time(site, driver, waiting, 1) == pytest.approx(60 + 1_199 / 301 * 60 - 2, abs=1)


@pytest.mark.parametrize(
    ("used", "days", "expected"),
    [
        (0, 1, None),
        (4_999, 20, None),
        (5_000, 20, None),
        (7_000, 20, "quota will be used up before the month ends"),
        (5_000, 1, "quota will be used up before the month ends"),
        (7_999, 30, None),
        (8_000, 30, "80 % of the quota is used"),
        (9_499, 30, "80 % of the quota is used"),
        (9_500, 30, "95 % of the quota is used"),
        (20_000, 30, "95 % of the quota is used"),
    ],
)
def test_the_gravest_warning_that_is_due_is_given(used: int, days: int, expected: str | None) -> None:
    """Rule 28: at 80 % and 95 %, and by forecast before the month's end; never from less than half the quota."""
    site = SiteBuilder()
    begin = at(0) - timedelta(days=14, hours=12)

    assert warning_of(site.site, user("RFID001"), Wh(used), begin + timedelta(days=days)) == expected


def test_an_account_has_one_warning_at_a_time() -> None:
    """Rule 28."""
    assert warning_id(Account("flat 4")) == "quota-flat 4"
