"""Time stamps of charge points, and the months and hours of the site that energy is filed under (rules 9 to 11)."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NewType
from zoneinfo import ZoneInfo

from ocpp_server.core.energy import Wh
from ocpp_server.core.frozen import dataclass

Month = NewType("Month", str)
"""A calendar month in the site's time zone, "YYYY-MM"."""

_EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)
_LATE = timedelta(hours=24)
CLOCK_TOLERANCE = timedelta(minutes=5)
_LONGEST_STEP = timedelta(days=40)
SHORTEST_GAP = timedelta(minutes=10)
"""Shorter times without a connection are not kept."""
_LONGEST_SPLIT = timedelta(days=62)
_LONGEST_DATE = len("2020-01-01")
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Moment:
    """When a reading was taken.

    `raw` is the charge point's own stamp in UTC, or None where it is unreadable; differences of raw stamps give
    elapsed time. `at` is the time under which energy is booked. `received` is our clock. `is_clock_doubtful` says
    that `at` is not the charge point's stamp.
    """

    raw: datetime | None
    at: datetime
    received: datetime
    is_clock_doubtful: bool = False
    earliest: datetime | None = None
    """Of a doubtful clock: since when the reading may have waited to be told. None: its clock is right."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A time in which a charge point was not connected to us. `since` None: it had never been."""

    since: datetime | None
    until: datetime

    def covers(self, stamp: datetime) -> bool:
        """The stamp lies in this gap, give or take the clock tolerance."""
        return (self.since is None or stamp >= self.since - CLOCK_TOLERANCE) and (stamp <= self.until + CLOCK_TOLERANCE)


@dataclass(frozen=True, slots=True)
class Slice:
    """The part of an energy step that falls into one hour of one month."""

    hour: datetime
    """Begin of the hour, UTC."""
    month: Month
    day: str
    """Day of the site's zone, "YYYY-MM-DD"."""
    wh: Wh


def month_of(when: datetime, zone: ZoneInfo) -> Month:
    """The calendar month of the site's time zone."""
    local = when.astimezone(zone)
    return Month(f"{local.year:04d}-{local.month:02d}")


def month_start(month: Month, zone: ZoneInfo) -> datetime:
    """The first instant of the month, UTC."""
    year, number = int(month[:4]), int(month[5:])
    return datetime(year, number, 1, tzinfo=zone).astimezone(UTC)


def next_month(month: Month) -> Month:
    """The calendar month after this one."""
    year, number = int(month[:4]), int(month[5:])
    return Month(f"{year + number // 12:04d}-{number % 12 + 1:02d}")


def parse_timestamp(text: str, received: datetime, zone: ZoneInfo) -> datetime | None:
    """A charge point's stamp in UTC, or None.

    Lenient (`+02`, `+0000`, fractions, a blank for the T). Without an offset it is read in the site's zone if that
    comes closer to the receipt than UTC (Growatt THOR and AEFA send local time bare); the receipt also tells which of
    the two hours is meant when clocks go back.
    """
    text = text.strip().upper()
    if len(text) <= _LONGEST_DATE:
        return None  # a day alone tells no elapsed time
    try:
        stamp = datetime.fromisoformat(text)
        return stamp.astimezone(UTC) if stamp.tzinfo is not None else _bare(stamp, received, zone)
    except (ValueError, OverflowError):
        return None


def _bare(stamp: datetime, received: datetime, zone: ZoneInfo) -> datetime:
    as_utc = stamp.replace(tzinfo=UTC)
    local = stamp.replace(tzinfo=zone)
    as_local = local.astimezone(UTC)
    distance = abs(as_local - received)
    if abs(as_utc - received) <= distance:
        return as_utc
    if distance <= CLOCK_TOLERANCE:
        return as_local
    again = local.replace(fold=1).astimezone(UTC)
    return again if abs(again - received) < distance else as_local


def moment_of(text: str, received: datetime, zone: ZoneInfo, gaps: tuple[Gap, ...]) -> Moment:
    """File a stamp: a future one and an impossible one count as received now.

    One of more than 24 h ago is believed only if the charge point was not connected to us then: it comes from the
    offline queue (OCPP 1.6 §3.7).
    """
    raw = parse_timestamp(text, received, zone)
    if raw is None or raw < _EARLIEST or raw > received + CLOCK_TOLERANCE:
        return _doubtful(raw, received, gaps)
    if raw > received:
        return Moment(raw, received, received)
    if received - raw > _LATE and not any(gap.covers(raw) for gap in gaps):
        return _doubtful(raw, received, gaps)
    return Moment(raw, raw, received)


def _doubtful(raw: datetime | None, received: datetime, gaps: tuple[Gap, ...]) -> Moment:
    """It may have waited in the queue of a gap that ended not long ago, or of one too short to be kept."""
    begins = [gap.since or gap.until - _LONGEST_STEP for gap in gaps if received - gap.until <= _LATE]
    earliest = min([received - SHORTEST_GAP, *begins])
    return Moment(raw, received, received, is_clock_doubtful=True, earliest=earliest)


def elapsed_s(earlier: Moment, later: Moment) -> float:
    """Seconds between two readings, never negative.

    By the charge point's own stamps, because queues come in a burst; by our clock where its clock was set in between
    or stands still (AcTEC and MicroOcpp without time: always 1970). A clock that is wrong anyway may jump: its stamps
    count for no more than can have passed by ours.
    """
    if (
        earlier.raw is not None
        and later.raw is not None
        and earlier.is_clock_doubtful == later.is_clock_doubtful
        and timedelta(0) <= later.raw - earlier.raw <= _LONGEST_STEP
        and not _stands_still(earlier, later)
    ):
        return min(later.raw - earlier.raw, _longest_between(earlier, later)).total_seconds()
    return max(0.0, (later.received - earlier.received).total_seconds())


def _longest_between(earlier: Moment, later: Moment) -> timedelta:
    if not later.is_clock_doubtful:
        return _LONGEST_STEP
    return later.received - (earlier.earliest or earlier.received - SHORTEST_GAP)


def is_not_later(moment: Moment, than: Moment) -> bool:
    """The reading was taken before or with the other one: a repetition or a message that overtook another.

    Equal stamps are a repetition, except of a clock that is wrong anyway: it may stand still.
    """
    if moment.raw is None or than.raw is None or moment.is_clock_doubtful != than.is_clock_doubtful:
        return moment.at <= than.at
    return moment.at <= than.at if _stands_still(than, moment) else moment.raw <= than.raw


def _stands_still(earlier: Moment, later: Moment) -> bool:
    """Twice the same stamp of a clock that is wrong anyway."""
    return later.is_clock_doubtful and earlier.raw == later.raw


def split_by_hour(since: datetime, until: datetime, wh: Wh, zone: ZoneInfo) -> tuple[Slice, ...]:
    """Split a step of energy over the hours between two readings in proportion to time; the parts add up exactly.

    A step of more than two months goes into the hours of its end: nothing is known of when it flowed.
    """
    last = _hour_of(until, zone)
    if since >= last or until - since > _LONGEST_SPLIT:
        return (_slice(last, wh, zone),)
    slices: list[Slice] = []
    span = (until - since) // _MICROSECOND
    done = 0
    hour = _hour_of(since, zone)
    while hour < until:
        following = _next_hour(hour, zone)
        part = (min(following, until) - since) // _MICROSECOND
        due = (2 * wh * part + span) // (2 * span)
        if due != done:
            slices.append(_slice(hour, Wh(due - done), zone))
            done = due
        hour = following
    return tuple(slices)


def _hour_of(when: datetime, zone: ZoneInfo) -> datetime:
    """As `_hour`; looked up by the quarter of an hour, which no zone's wall clock divides."""
    return _hour(when.replace(minute=when.minute // 15 * 15, second=0, microsecond=0), zone)


@lru_cache(maxsize=1024)
def _hour(when: datetime, zone: ZoneInfo) -> datetime:
    """Begin of the hour by the site's wall clock (some zones are half an hour off), in UTC."""
    return when.astimezone(zone).replace(minute=0, second=0, microsecond=0).astimezone(UTC)


def _next_hour(hour: datetime, zone: ZoneInfo) -> datetime:
    following = _hour(hour + timedelta(hours=1), zone)
    # Where clocks go back by half an hour (Australia/Lord_Howe), one hour of the wall clock lasts 90 minutes.
    return following if following > hour else _hour(hour + timedelta(hours=2), zone)


def _slice(hour: datetime, wh: Wh, zone: ZoneInfo) -> Slice:
    month, day = _calendar(hour, zone)
    return Slice(hour, month, day, wh)


@lru_cache(maxsize=1024)
def _calendar(hour: datetime, zone: ZoneInfo) -> tuple[Month, str]:
    """Month and day of an hour; found once, because whole sites charge in the same hours."""
    day = hour.astimezone(zone).date().isoformat()
    return Month(day[:7]), day
