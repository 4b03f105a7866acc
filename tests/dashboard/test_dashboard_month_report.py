"""The figures of a month: what flowed when, compared with the same days, and who is over the quota."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.archive_files import FinishedSession, MonthEnergy
from dashboard.month_report import Month, MonthReport, Person, month_before, month_report
from dashboard.records import ChargePoint, Site, UserRow, UserTable, Wh
from dashboard.report_tables import change_words, charger_frame, days_words, people_frame, person_names
from dashboard.texts import words_of

ZONE = ZoneInfo("Europe/Istanbul")
NOVEMBER, OCTOBER = date(2026, 11, 1), date(2026, 10, 1)
NOW = datetime(2026, 11, 20, 16, 45, tzinfo=ZONE)
ENGLISH = words_of("en")


def hour(text: str) -> datetime:
    """By the site's clock: "11-20 16"."""
    return datetime.strptime(f"2026-{text}", "%Y-%m-%d %H").replace(tzinfo=ZONE)


def energy(by_hour: dict[str, dict[str, int]] | None = None, **by_day: dict[str, int]) -> MonthEnergy:
    return MonthEnergy(
        {name: {hour(at): Wh(wh) for at, wh in hours.items()} for name, hours in (by_hour or {}).items()},
        {tag: {date.fromisoformat(f"2026-{day}"): Wh(wh) for day, wh in days.items()} for tag, days in by_day.items()},
    )


def session(end: str, tag: str = "ADA", **changed: object) -> FinishedSession:
    at = hour(end).astimezone(UTC)
    made = FinishedSession("1", "CP1", "Gate", 1, tag, "Ada", at - timedelta(hours=1), at, Wh(1_000), 60, "other")
    return replace(made, **changed)  # type: ignore[arg-type]


def report(month: Month, before: Month | None = None, site: Site | None = None, now: datetime = NOW) -> MonthReport:
    return month_report(month, before or Month(month_before(month.first)), site or Site(), now)


def users(*rows: UserRow) -> Site:
    return Site(users=UserTable(rows))


def row(tag: str, quota: int | None, account: str = "") -> UserRow:
    return UserRow(tag, account or tag, f"Mx {tag}", None if quota is None else Wh(quota), is_unlimited=quota is None)


def person(found: MonthReport, tag: str) -> Person:
    return next(each for each in found.people if each.line.id_tag == tag)


def test_energy_is_of_the_month_in_which_it_flowed_a_session_of_the_one_in_which_it_ended() -> None:
    """A night over the month's end: the hourly file splits it, the session ended in November."""
    november = Month(NOVEMBER, energy({"CP1": {"11-01 00": 4_000}}), (session("11-01 01", energy=Wh(7_000)),))
    october = Month(OCTOBER, energy({"CP1": {"10-31 23": 3_000}}), ())

    assert (report(november).totals.energy, report(november).totals.sessions) == (4_000, 1)
    assert (report(october).totals.energy, report(october).totals.sessions) == (3_000, 0)


def test_the_month_before_is_counted_up_to_the_same_hour() -> None:
    """20 November 16:45 against 1 to 20 October, the hour from 16:00 included."""
    october = Month(
        OCTOBER,
        energy({"CP1": {"10-01 00": 1_000, "10-20 16": 2_000, "10-20 17": 4_000, "10-21 00": 8_000}}),
        (session("10-20 16", reason="quota reached"), session("10-20 17", reason="quota reached")),
    )

    compared = report(Month(NOVEMBER, energy({"CP1": {"11-20 16": 500}}), ()), october).comparison

    assert compared is not None
    assert (compared.before.energy, compared.before.sessions, compared.before.by_quota) == (3_000, 1, 1)
    assert (compared.now.energy, compared.is_until_now) == (500, True)
    assert days_words(compared, ENGLISH) == "1–20 Oct"


@pytest.mark.parametrize(
    ("first", "now", "day", "is_until_now"),
    [
        (date(2026, 3, 1), NOW, 28, False),
        (date(2026, 2, 1), NOW, 28, False),
        (OCTOBER, NOW, 30, False),
        (date(2026, 3, 1), datetime(2026, 3, 31, 9, tzinfo=ZONE), 28, False),
        (NOVEMBER, datetime(2026, 11, 1, 0, 5, tzinfo=ZONE), 1, True),
    ],
)
def test_only_days_that_both_months_have_are_compared(first: date, now: datetime, day: int, is_until_now: bool) -> None:
    """March against February are the first 28 days of both; a month that is over is compared as a whole."""
    compared = report(Month(first, energy(), ()), Month(month_before(first), energy(), ()), now=now).comparison

    assert compared is not None
    assert (compared.until.day, compared.is_until_now) == (day, is_until_now)
    assert days_words(compared, ENGLISH).startswith("1–" if day > 1 else "1 Oct")


def test_without_files_of_the_month_before_nothing_is_compared() -> None:
    """No figure without a source."""
    assert report(Month(NOVEMBER, energy(), ())).comparison is None


def test_without_files_of_the_month_nothing_is_zero() -> None:
    """What is not known is None."""
    found = report(Month(NOVEMBER))

    assert (found.totals.energy, found.totals.sessions, found.totals.by_quota) == (None, None, None)
    assert (found.users, found.on_quotas, found.days, found.week, found.people) == (None, None, (), (), ())


def test_days_go_on_to_today_and_those_without_energy_are_there() -> None:
    """A gap is a day on which nobody charged, not one that is left out."""
    found = report(Month(NOVEMBER, energy({"CP1": {"11-02 08": 1_000}, "CP2": {"11-02 23": 500, "11-19 00": 7}})))

    assert len(found.days) == 20
    assert dict(found.days)[date(2026, 11, 2)] == 1_500
    assert dict(found.days)[date(2026, 11, 3)] == 0
    assert len(report(Month(OCTOBER, energy())).days) == 31


def test_energy_of_a_day_to_come_is_shown_too() -> None:
    """A wrong clock filed it there; the bars add up to the total all the same."""
    found = report(Month(NOVEMBER, energy({"CP1": {"11-25 08": 1_000}})))

    assert found.days[-1] == (date(2026, 11, 25), 1_000)
    assert len(found.days) == 21


def test_an_hour_of_the_week_is_an_average_over_the_times_it_has_been() -> None:
    """Friday 16 h has been three times by 20 November 2026 (6, 13, 20), 17 h only twice."""
    found = report(Month(NOVEMBER, energy({"CP1": {"11-06 16": 3_000, "11-06 17": 3_000}, "CP2": {"11-13 17": 1_000}})))

    slots = {(slot.weekday, slot.hour): slot.energy for slot in found.week}

    assert slots[4, 16] == 1_000
    assert slots[4, 17] == 2_000
    assert slots[0, 0] == 0
    assert len(slots) == 168


def test_an_hour_of_the_week_that_has_not_been_yet_has_no_average() -> None:
    """On the first day of a month."""
    found = report(Month(NOVEMBER, energy()), now=datetime(2026, 11, 1, 1, tzinfo=ZONE))

    assert [(slot.weekday, slot.hour) for slot in found.week] == [(6, 0), (6, 1)]


def test_charge_points_have_their_share_and_their_names() -> None:
    """One that is gone is there by its id, one that nobody used with zero."""
    site = Site(charge_points=(ChargePoint("CP1", "North", "Available"), ChargePoint("CP2", "South", "Available")))
    month = Month(NOVEMBER, energy({"CP1": {"11-02 08": 1_000}, "OLD": {"11-02 08": 3_000}}), (session("11-02 09"),))

    lines = report(month, site=site).chargers

    assert [(line.name, line.energy, line.share, line.sessions) for line in lines] == [
        ("OLD", 3_000, 0.75, 0), ("North", 1_000, 0.25, 1), ("South", 0, 0, 0),
    ]  # fmt: skip
    assert list(charger_frame(lines)["share"]) == [75, 25, 0]


def test_cards_of_an_account_share_its_overuse() -> None:
    """Both are told that their account is over; each has its own energy."""
    site = users(row("ADA", 10_000, "flat 1"), row("BOB", 12_000, "flat 1"), row("EVE", None), row("ZOE", 5_000))
    month = Month(
        NOVEMBER, energy(ADA={"11-02": 8_000}, EVE={"11-03": 4_000}), (), {"ADA": Wh(7_000), "BOB": Wh(4_500)}
    )

    found = report(month, site=site)

    assert [each.line.id_tag for each in found.people] == ["ADA", "BOB", "EVE", "ZOE"]
    assert (person(found, "ADA").used, person(found, "ADA").over, person(found, "ADA").free) == (7_000, 1_500, 1_000)
    assert (person(found, "BOB").used, person(found, "BOB").over, person(found, "BOB").free) == (4_500, 1_500, 0)
    assert (person(found, "EVE").used, person(found, "EVE").over, person(found, "EVE").free) == (0, None, 4_000)
    assert person(found, "ZOE").over == 0
    assert (found.on_quotas, found.users) == (11_500, 2)


def test_a_card_that_is_spelt_in_another_case_is_the_same() -> None:
    """OCPP 1.6 §7.28: an IdToken is case insensitive."""
    month = Month(NOVEMBER, energy(rfid1={"11-02": 1_000}), (session("11-02 09", "Rfid1"),), {"RFID1": Wh(1_000)})

    found = report(month, site=users(row("RFID1", 5_000)))

    assert [(each.used, each.sessions, set(each.tags)) for each in found.people] == [
        (1_000, 1, {"RFID1", "rfid1", "Rfid1"})
    ]  # fmt: skip


def test_a_card_of_nobody_in_the_list_has_the_name_of_its_session() -> None:
    """Who was removed from users1.csv has used energy all the same."""
    month = Month(NOVEMBER, energy(), (session("11-02 09", "GONE"), session("11-02 09", "X", person="X")), {})

    found = report(month, site=users(row("ADA", 5_000)))

    assert (person(found, "GONE").person, person(found, "GONE").sessions) == ("Ada", 1)
    assert person(found, "X").person == ""
    assert person(found, "ADA").is_active is False


def test_without_the_usage_nobody_has_a_state() -> None:
    """A bar at zero would be a claim."""
    found = report(Month(NOVEMBER, energy(), ()), site=users(row("ADA", 5_000), row("EVE", None)))

    frame = people_frame(found.people, ENGLISH)

    assert frame["used"].isna().all()
    assert list(frame["state"]) == [[], []]
    assert [each.over for each in found.people] == [None, None]


@given(
    st.lists(st.tuples(st.sampled_from(["A", "B"]), st.integers(1, 30), st.integers(0, 23), st.integers(-50, 10**6))),
    st.integers(1, 30),
    st.integers(0, 23),
)
def test_days_chargers_and_total_are_the_same_energy(hours: list[tuple[str, int, int, int]], day: int, at: int) -> None:
    """To the Wh, at any moment of the month."""
    by_hour: dict[str, dict[str, int]] = {}
    for name, of_day, of_hour, wh in hours:
        by_hour.setdefault(name, {})[f"11-{of_day:02d} {of_hour:02d}"] = wh

    found = report(Month(NOVEMBER, energy(by_hour)), now=NOW.replace(day=day, hour=at))

    total = sum(wh for of_charger in by_hour.values() for wh in of_charger.values())
    assert found.totals.energy == total
    assert sum(wh for _, wh in found.days) == total
    assert sum(line.energy or 0 for line in found.chargers) == total


@pytest.mark.parametrize(
    ("now", "before", "words"),
    [(110, 100, "+10 %"), (90, 100, "−10 %"), (100, 100, "±0 %"), (5, 0, ""), (1004, 1000, "±0 %"), (0, 5, "−100 %")],
)
def test_a_change_is_told_in_whole_percent(now: int, before: int, words: str) -> None:
    """Of nothing there is no percentage."""
    assert change_words(now, before, ENGLISH) == words


def test_no_two_people_have_the_same_name_in_the_choice() -> None:
    """Long names are cut alike; a statement must not go to another."""
    site = users(row("x" * 200 + "1", 1), row("x" * 200 + "2", 1))
    found = report(Month(NOVEMBER, energy(), (), {}), site=site)

    names = person_names(found.people)

    assert len(set(names)) == 2
