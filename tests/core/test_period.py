"""Time stamps, months and hours (accounting rules 9 to 11)."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocpp_server.core.energy import Wh
from ocpp_server.core.period import (
    Gap,
    Moment,
    Month,
    elapsed_s,
    is_not_later,
    moment_of,
    month_of,
    month_start,
    next_month,
    parse_timestamp,
    split_by_hour,
)

ISTANBUL = ZoneInfo("Europe/Istanbul")
KOLKATA = ZoneInfo("Asia/Kolkata")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
NEW_YORK = ZoneInfo("America/New_York")
ZONES = (ISTANBUL, KOLKATA, LORD_HOWE, NEW_YORK, ZoneInfo("UTC"), ZoneInfo("Asia/Kathmandu"), ZoneInfo("Europe/Berlin"))
NOW = datetime(2025, 10, 27, 10, 0, tzinfo=UTC)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def moment(raw_s: float | None, received_s: float, *, doubtful: bool = False) -> Moment:
    raw = None if raw_s is None else NOW + timedelta(seconds=raw_s)
    received = NOW + timedelta(seconds=received_s)
    return Moment(raw, received if raw is None or doubtful else raw, received, doubtful)


@pytest.mark.parametrize(
    ("text", "stamp"),
    [
        ("2025-10-27T10:00:00Z", "2025-10-27T10:00:00"),
        ("2025-10-27t10:00:00z", "2025-10-27T10:00:00"),
        ("2025-10-27 10:00:00Z", "2025-10-27T10:00:00"),
        ("  2025-10-27T10:00:00Z\n", "2025-10-27T10:00:00"),
        ("2025-10-27T12:00:00+02", "2025-10-27T10:00:00"),
        ("2025-10-27T12:00:00+0200", "2025-10-27T10:00:00"),
        ("2025-10-27T10:00:00+0000", "2025-10-27T10:00:00"),
        ("2025-10-27T20:00:00+10:00", "2025-10-27T10:00:00"),
        ("2025-10-27 12:00:00 +02:00", "2025-10-27T10:00:00"),
        ("2025-10-27T10:00:00.123Z", "2025-10-27T10:00:00.123"),
        ("2025-10-27T10:00:00.123456789Z", "2025-10-27T10:00:00.123456"),
        ("2025-10-27T10:00:00,5Z", "2025-10-27T10:00:00.5"),
        ("2025-10-27T10:00Z", "2025-10-27T10:00:00"),
        ("20251027T100000Z", "2025-10-27T10:00:00"),
        ("1970-01-01T00:00:10Z", "1970-01-01T00:00:10"),
    ],
)
def test_a_stamp_is_read_leniently(text: str, stamp: str) -> None:
    """`+02`, `+0000`, fractions, a blank for the T (rule 9; Monta emulator, KEBA, Growatt 22AS)."""
    assert utc(stamp) == parse_timestamp(text, NOW, ISTANBUL)


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "null", "now", "0000-00-00T00:00:00Z", "2025-02-30T00:00:00Z", "2025-10-27T24:00:00Z", "1761559200"),
        *("2025-10-27", "20251027", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "\ud800", "T" * 500),
        *("0001-01-01T00:00:00", "2025-10-27T10:00:60Z"),
    ],
)
def test_an_unreadable_stamp_is_none(text: str) -> None:
    """The receipt counts then (rule 9; AcTEC's 0000-00-00). A day alone tells no elapsed time either."""
    assert parse_timestamp(text, NOW, ISTANBUL) is None


@settings(deadline=None, max_examples=500)
@given(
    st.text(max_size=40) | st.text(alphabet="0123456789-:.,TZtz+ W", max_size=40) | st.datetimes().map(str),
    st.sampled_from(ZONES),
)
def test_reading_a_stamp_never_raises(text: str, zone: ZoneInfo) -> None:
    """No message fails for its stamp (rules 9 and 23)."""
    stamp = parse_timestamp(text, NOW, zone)

    assert stamp is None or stamp.tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "received", "zone", "stamp"),
    [
        pytest.param("2025-10-27T13:00:00", "2025-10-27T10:00:01", ISTANBUL, "2025-10-27T10:00:00", id="local, east"),
        pytest.param("2025-10-27T10:00:00", "2025-10-27T10:00:01", ISTANBUL, "2025-10-27T10:00:00", id="UTC, east"),
        pytest.param("2025-10-27T06:00:00", "2025-10-27T10:00:01", NEW_YORK, "2025-10-27T10:00:00", id="local, west"),
        pytest.param("2025-10-27T10:00:00", "2025-10-27T10:00:01", NEW_YORK, "2025-10-27T10:00:00", id="UTC, west"),
        pytest.param("2025-10-27 03:00", "2025-10-27T10:00:00", NEW_YORK, "2025-10-27T07:00:00", id="queued for 3 h"),
        pytest.param("2025-11-02T01:30:00", "2025-11-02T05:30:05", NEW_YORK, "2025-11-02T05:30:00", id="first 01:30"),
        pytest.param("2025-11-02T01:30:00", "2025-11-02T06:30:05", NEW_YORK, "2025-11-02T06:30:00", id="second 01:30"),
        pytest.param("2025-11-02T01:30:00", "2025-11-02T05:50:05", NEW_YORK, "2025-11-02T05:30:00", id="nearer one"),
    ],
)
def test_a_stamp_without_offset_is_local_where_that_fits_the_receipt_better(
    text: str, received: str, zone: ZoneInfo, stamp: str
) -> None:
    """Growatt THOR and AEFA send local time bare (rule 9); the receipt tells which of two hours is meant."""
    assert utc(stamp) == parse_timestamp(text, utc(received), zone)


@pytest.mark.parametrize(
    ("text", "at_s", "doubtful"),
    [
        pytest.param("2025-10-27T09:59:00Z", -60, False, id="as it says"),
        pytest.param("2025-10-27T10:00:00Z", 0, False, id="now"),
        pytest.param("2025-10-27T10:05:00Z", 0, False, id="5 min ahead is still a right clock"),
        pytest.param("2025-10-27T10:05:01Z", 0, True, id="later than the receipt"),
        pytest.param("2031-01-01T00:00:00Z", 0, True, id="years ahead"),
        pytest.param("2025-10-26T10:00:00Z", -86400, False, id="24 h old"),
        pytest.param("2025-10-26T09:59:59Z", 0, True, id="more than 24 h old, and connected then"),
        pytest.param("2025-10-23T10:00:00Z", -4 * 86400, False, id="days old, from the offline queue"),
        pytest.param("2025-10-22T00:00:00Z", 0, True, id="days old, but before the time offline"),
        pytest.param("2019-12-31T23:59:59Z", 0, True, id="before 2020"),
        pytest.param("1970-01-01T00:00:00Z", 0, True, id="1970 (MicroOcpp, AcTEC)"),
        pytest.param("nonsense", 0, True, id="unreadable"),
    ],
)
def test_a_reading_is_filed_under_its_stamp_where_that_is_possible(text: str, at_s: int, doubtful: bool) -> None:
    """Future, impossible and unreadable stamps count as received now; old ones need an offline time (rule 9)."""
    gap = Gap(utc("2025-10-22T12:00:00"), utc("2025-10-24T12:00:00"))

    filed = moment_of(text, NOW, ISTANBUL, (gap,))

    assert filed.at == NOW + timedelta(seconds=at_s)
    assert filed.is_clock_doubtful is doubtful
    assert filed.received == NOW


def test_the_raw_stamp_is_kept_even_where_it_is_not_believed() -> None:
    """Differences of raw stamps give elapsed time (rule 9)."""
    assert moment_of("1970-01-01T00:01:00Z", NOW, ISTANBUL, ()).raw == utc("1970-01-01T00:01:00")
    assert moment_of("0000-00-00T00:00:00Z", NOW, ISTANBUL, ()).raw is None


@pytest.mark.parametrize(
    ("since", "stamp", "is_covered"),
    [
        ("2025-10-22T12:00:00", "2025-10-22T11:55:00", True),
        ("2025-10-22T12:00:00", "2025-10-22T11:54:59", False),
        ("2025-10-22T12:00:00", "2025-10-24T12:05:00", True),
        ("2025-10-22T12:00:00", "2025-10-24T12:05:01", False),
        (None, "2021-01-01T00:00:00", True),
        (None, "2025-10-24T12:05:01", False),
    ],
)
def test_a_gap_covers_its_time_give_or_take_the_clock(since: str | None, stamp: str, is_covered: bool) -> None:
    """Legitimate only if it was not connected to us then; before the first time it never was (rule 9)."""
    gap = Gap(None if since is None else utc(since), utc("2025-10-24T12:00:00"))

    assert gap.covers(utc(stamp)) is is_covered


@pytest.mark.parametrize(
    ("earlier", "later", "seconds"),
    [
        pytest.param(moment(0, 1), moment(60, 61), 60, id="live"),
        pytest.param(moment(-7200, 0), moment(-3600, 0), 3600, id="a queue that comes in a burst"),
        pytest.param(moment(-9e8, 0, doubtful=True), moment(-9e8 + 60, 90, doubtful=True), 60, id="a clock since 1970"),
        pytest.param(moment(-9e8, 0, doubtful=True), moment(-9e8, 90, doubtful=True), 90, id="a clock that stands"),
        pytest.param(moment(0, 0), moment(0, 3600), 0, id="the same stamp again is a repetition"),
        pytest.param(moment(-9e8, 0, doubtful=True), moment(60, 90), 90, id="the clock was set in between"),
        pytest.param(moment(None, 0), moment(60, 90), 90, id="no stamp before"),
        pytest.param(moment(0, 0), moment(None, 90), 90, id="no stamp now"),
        pytest.param(moment(3600, 3600), moment(60, 3690), 90, id="the clock was set back"),
        pytest.param(moment(0, 0), moment(41 * 86400, 90), 90, id="a leap of more than 40 days"),
        pytest.param(moment(60, 90), moment(0, 30), 0, id="never negative"),
    ],
)
def test_elapsed_time_is_by_the_samples_own_stamps_where_they_make_sense(
    earlier: Moment, later: Moment, seconds: float
) -> None:
    """Queues come in a burst; a clock that is set or stands still is replaced by the receipt (rules 5, 9)."""
    assert seconds == elapsed_s(earlier, later)


@pytest.mark.parametrize(
    ("this", "than", "answer"),
    [
        pytest.param(moment(60, 61), moment(0, 1), False, id="later"),
        pytest.param(moment(0, 61), moment(0, 1), True, id="a repetition"),
        pytest.param(moment(-60, 61), moment(0, 1), True, id="overtaken"),
        pytest.param(moment(None, 61), moment(None, 1), False, id="without stamps the receipt tells"),
        pytest.param(moment(None, 1), moment(None, 1), True, id="without stamps, one message"),
        pytest.param(moment(-9e8, 61, doubtful=True), moment(0, 1), False, id="only one clock is right"),
        pytest.param(moment(-9e8, 61, doubtful=True), moment(-9e8, 1, doubtful=True), False, id="a clock that stands"),
        pytest.param(moment(-9e8, 1, doubtful=True), moment(-9e8, 1, doubtful=True), True, id="it stands, one message"),
        pytest.param(moment(-9e8, 61, doubtful=True), moment(-8e8, 1, doubtful=True), True, id="wrong but running"),
    ],
)
def test_a_repeated_or_overtaken_reading_is_told_by_its_stamp(this: Moment, than: Moment, answer: bool) -> None:
    """Order by the stamps, by arrival where the clock is none (rules 1, 9; Chago)."""
    assert is_not_later(this, than) is answer


@pytest.mark.parametrize(
    ("when", "zone", "month"),
    [
        ("2025-10-31T20:59:59", ISTANBUL, "2025-10"),
        ("2025-10-31T21:00:00", ISTANBUL, "2025-11"),
        ("2025-12-31T18:29:59", KOLKATA, "2025-12"),
        ("2025-12-31T18:30:00", KOLKATA, "2026-01"),
        ("2025-11-01T03:59:59", NEW_YORK, "2025-10"),
        ("2025-11-01T04:00:00", NEW_YORK, "2025-11"),
        ("2025-03-31T13:00:00", LORD_HOWE, "2025-04"),
    ],
)
def test_a_month_is_a_calendar_month_of_the_sites_zone(when: str, zone: ZoneInfo, month: str) -> None:
    """Energy belongs to the month of its reading, in the site's time zone (rule 10)."""
    assert month == month_of(utc(when), zone)


@settings(deadline=None)
@given(st.integers(2020, 2060), st.integers(1, 12), st.sampled_from(ZONES))
def test_months_follow_each_other_without_gap_or_overlap(year: int, number: int, zone: ZoneInfo) -> None:
    """The first instant belongs to the month, the one before it to the month before (rule 10)."""
    month = Month(f"{year}-{number:02d}")
    begin, following = month_start(month, zone), month_start(next_month(month), zone)

    assert month_of(begin, zone) == month == month_of(following - timedelta(microseconds=1), zone)
    assert month_of(following, zone) == next_month(month)
    assert month_of(begin - timedelta(microseconds=1), zone) < month


@pytest.mark.parametrize(
    ("month", "following"), [("2025-10", "2025-11"), ("2025-12", "2026-01"), ("2025-01", "2025-02")]
)
def test_december_is_followed_by_january(month: str, following: str) -> None:
    """A month is "YYYY-MM" (rule 10)."""
    assert following == next_month(Month(month))


def split(since: str, until: str, wh: int, zone: ZoneInfo) -> list[tuple[str, str, str, int]]:
    parts = split_by_hour(utc(since), utc(until), Wh(wh), zone)
    return [(f"{part.hour:%dT%H:%M}", part.month, part.day, part.wh) for part in parts]


@pytest.mark.parametrize(
    ("since", "until", "wh", "zone", "parts"),
    [
        pytest.param(
            *("2025-10-31T20:30:00", "2025-10-31T21:30:00", 1001, ISTANBUL),
            [("31T20:00", "2025-10", "2025-10-31", 501), ("31T21:00", "2025-11", "2025-11-01", 500)],
            id="a step across the end of the month",
        ),
        pytest.param(
            *("2025-10-31T20:00:00", "2025-10-31T21:00:00", 1000, ISTANBUL),
            [("31T20:00", "2025-10", "2025-10-31", 1000)],
            id="up to the very end of the month",
        ),
        pytest.param(
            *("2025-12-31T18:15:00", "2025-12-31T18:45:00", 300, KOLKATA),
            [("31T17:30", "2025-12", "2025-12-31", 150), ("31T18:30", "2026-01", "2026-01-01", 150)],
            id="hours of Kolkata begin at half past",
        ),
        pytest.param(
            *("2025-11-02T05:30:00", "2025-11-02T07:30:00", 400, NEW_YORK),
            [
                ("02T05:00", "2025-11", "2025-11-02", 100),
                ("02T06:00", "2025-11", "2025-11-02", 200),
                ("02T07:00", "2025-11", "2025-11-02", 100),
            ],
            id="01:00 comes twice in New York",
        ),
        pytest.param(
            *("2025-03-09T06:30:00", "2025-03-09T07:30:00", 100, NEW_YORK),
            [("09T06:00", "2025-03", "2025-03-09", 50), ("09T07:00", "2025-03", "2025-03-09", 50)],
            id="02:00 never comes in New York",
        ),
        pytest.param(
            *("2025-04-05T13:30:00", "2025-04-05T16:00:00", 150, LORD_HOWE),
            [
                ("05T13:00", "2025-04", "2025-04-06", 30),
                ("05T14:00", "2025-04", "2025-04-06", 90),
                ("05T15:30", "2025-04", "2025-04-06", 30),
            ],
            id="an hour of 90 minutes on Lord Howe",
        ),
        pytest.param(
            *("2025-10-04T15:00:00", "2025-10-04T17:00:00", 120, LORD_HOWE),
            [
                ("04T14:30", "2025-10", "2025-10-05", 30),
                ("04T15:30", "2025-10", "2025-10-05", 30),
                ("04T16:00", "2025-10", "2025-10-05", 60),
            ],
            id="an hour of 30 minutes on Lord Howe",
        ),
        pytest.param(
            *("2025-10-27T10:00:00", "2025-10-27T12:30:00", 1, ISTANBUL),
            [("27T11:00", "2025-10", "2025-10-27", 1)],
            id="no empty parts",
        ),
        pytest.param(
            *("2025-10-27T10:10:00", "2025-10-27T10:20:00", 50, ISTANBUL),
            [("27T10:00", "2025-10", "2025-10-27", 50)],
            id="within one hour",
        ),
        pytest.param(
            *("2025-10-27T10:10:00", "2025-10-27T10:10:00", -50, ISTANBUL),
            [("27T10:00", "2025-10", "2025-10-27", -50)],
            id="a correction is at one time",
        ),
        pytest.param(
            *("2025-10-27T12:10:00", "2025-10-27T10:10:00", 50, ISTANBUL),
            [("27T10:00", "2025-10", "2025-10-27", 50)],
            id="a clock that was set back",
        ),
        pytest.param(
            *("2025-08-01T00:00:00", "2025-10-27T10:10:00", 50, ISTANBUL),
            [("27T10:00", "2025-10", "2025-10-27", 50)],
            id="after more than two months nobody knows when it flowed",
        ),
    ],
)
def test_a_step_is_split_over_hours_and_months_in_proportion_to_time(
    since: str, until: str, wh: int, zone: ZoneInfo, parts: list[tuple[str, str, str, int]]
) -> None:
    """A step across a boundary is split in proportion to time (rule 10)."""
    assert parts == split(since, until, wh, zone)


def test_half_an_hour_later_by_the_clock_of_lord_howe_is_the_same_hour() -> None:
    """01:45 comes twice and both are in the hour of 01:00, whether a step crosses it or lies within (rule 10)."""
    within = split("2025-04-05T15:10:00", "2025-04-05T15:20:00", 10, LORD_HOWE)

    assert within == [("05T14:00", "2025-04", "2025-04-06", 10)]


AROUND_CHANGES = st.sampled_from(
    [
        utc("2025-03-09T07:00:00"),
        utc("2025-11-02T06:00:00"),
        utc("2025-04-05T15:00:00"),
        utc("2025-10-04T15:30:00"),
        utc("2025-10-31T21:00:00"),
        utc("2025-12-31T18:30:00"),
        utc("2025-10-26T01:00:00"),
    ]
)


@settings(deadline=None, max_examples=400)
@given(
    AROUND_CHANGES,
    st.integers(-(10**10), 10**10),
    st.integers(0, 2 * 10**11),
    st.integers(0, 10**6) | st.integers(0, 10**16),
    st.sampled_from(ZONES),
)
def test_the_parts_add_up_exactly_and_each_lies_in_one_hour_and_month(
    around: datetime, offset_us: int, span_us: int, wh: int, zone: ZoneInfo
) -> None:
    """The parts of a step add up to the Wh, in the site's hours and months, also when clocks change (rules 1, 10)."""
    since = around + timedelta(microseconds=offset_us)
    until = since + timedelta(microseconds=span_us)

    parts = split_by_hour(since, until, Wh(wh), zone)

    assert wh == sum(part.wh for part in parts)
    assert all(part.wh > 0 for part in parts) or len(parts) == 1
    hours = [part.hour for part in parts]
    assert hours == sorted(set(hours))
    for part in parts:
        local = part.hour.astimezone(zone)
        assert part.month == month_of(part.hour, zone) == part.day[:7]
        assert part.day == local.date().isoformat()
        is_changed = local.utcoffset() != (part.hour - timedelta(microseconds=1)).astimezone(zone).utcoffset()
        assert local.minute == 0 or is_changed
        assert part.hour <= until
        assert part.hour > since - timedelta(minutes=90)


@settings(deadline=None, max_examples=150)
@given(AROUND_CHANGES, st.integers(-300, 300), st.integers(1, 400), st.sampled_from(ZONES))
def test_each_part_has_the_minutes_of_its_own_hour(
    around: datetime, offset_min: int, span_min: int, zone: ZoneInfo
) -> None:
    """In proportion to time: at 60 Wh a minute each part holds the minutes of its hour of the wall clock (rule 10)."""
    since = around + timedelta(minutes=offset_min)
    minutes = [since + timedelta(minutes=number) for number in range(span_min)]
    local = [minute.astimezone(zone) for minute in minutes]
    # Hours that come twice in full are told apart by their offset; half ones (Lord Howe) are one hour.
    keys = [(f"{when:%Y-%m-%dT%H}", when.utcoffset() if zone is not LORD_HOWE else None) for when in local]

    parts = split_by_hour(since, since + timedelta(minutes=span_min), Wh(60 * span_min), zone)

    assert [60 * keys.count(key) for key in dict.fromkeys(keys)] == [part.wh for part in parts]
