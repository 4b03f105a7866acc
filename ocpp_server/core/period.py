"""Time stamps of charge points, and the months and hours of the site that energy is filed under (rules 9 to 11)."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NewType
from zoneinfo import ZoneInfo

from ocpp_server.core.energy import Wh

Month = NewType("Month", str)
"""A calendar month in the site's time zone, "YYYY-MM"."""

_EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)
_LATE = timedelta(hours=24)
CLOCK_TOLERANCE = timedelta(minutes=5)
_LONGEST_STEP = timedelta(days=40)
_MOST_HOURS = 24 * 62


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
    comes closer to the receipt than UTC (Growatt THOR and AEFA send local time bare).
    """
    try:
        stamp = datetime.fromisoformat(text.strip())
        if stamp.tzinfo is not None:
            return stamp.astimezone(UTC)
        as_utc = stamp.replace(tzinfo=UTC)
        as_local = stamp.replace(tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return as_local if abs(as_local - received) < abs(as_utc - received) else as_utc


def moment_of(text: str, received: datetime, zone: ZoneInfo, gaps: tuple[Gap, ...]) -> Moment:
    """File a stamp: a future one and an impossible one count as received now.

    One of more than 24 h ago is believed only if the charge point was not connected to us then: it comes from the
    offline queue (OCPP 1.6 §3.7).
    """
    raw = parse_timestamp(text, received, zone)
    if raw is None or raw < _EARLIEST:
        return Moment(raw, received, received, is_clock_doubtful=True)
    if raw > received:
        return Moment(raw, received, received, is_clock_doubtful=raw > received + CLOCK_TOLERANCE)
    if received - raw > _LATE and not any(gap.covers(raw) for gap in gaps):
        return Moment(raw, received, received, is_clock_doubtful=True)
    return Moment(raw, raw, received)


def elapsed_s(earlier: Moment, later: Moment) -> float:
    """Seconds between two readings, never negative.

    By the charge point's own stamps, because queues come in a burst; by our clock where its clock was set in between.
    """
    if (
        earlier.raw is not None
        and later.raw is not None
        and earlier.is_clock_doubtful == later.is_clock_doubtful
        and timedelta(0) <= later.raw - earlier.raw <= _LONGEST_STEP
    ):
        return (later.raw - earlier.raw).total_seconds()
    return max(0.0, (later.received - earlier.received).total_seconds())


def is_not_later(moment: Moment, than: Moment) -> bool:
    """The reading was taken before or with the other one: a repetition or a message that overtook another."""
    if moment.raw is not None and than.raw is not None and moment.is_clock_doubtful == than.is_clock_doubtful:
        return moment.raw <= than.raw
    return moment.at <= than.at


def split_by_hour(since: datetime, until: datetime, wh: Wh, zone: ZoneInfo) -> tuple[Slice, ...]:
    """Split a step of energy over the hours between two readings in proportion to time; the parts add up exactly.

    A step of more than two months goes into the hours of its end: nothing is known of when it flowed.
    """
    span = (until - since).total_seconds()
    first = _hour(since, zone)
    last = _hour(until, zone)
    if span <= 0 or first == last or (last - first).total_seconds() > _MOST_HOURS * 3600:
        return (_slice(last, wh, zone),)
    slices: list[Slice] = []
    done = 0
    hour = first
    while hour < until:
        following = _next_hour(hour, zone)
        due = round(wh * (min(following, until) - since).total_seconds() / span)
        if due != done:
            slices.append(_slice(hour, Wh(due - done), zone))
            done = due
        hour = following
    return tuple(slices)


def _hour(when: datetime, zone: ZoneInfo) -> datetime:
    """Begin of the hour by the site's wall clock (some zones are half an hour off), in UTC."""
    return when.astimezone(zone).replace(minute=0, second=0, microsecond=0).astimezone(UTC)


def _next_hour(hour: datetime, zone: ZoneInfo) -> datetime:
    following = hour + timedelta(hours=1)
    return max(_hour(following, zone), hour + timedelta(minutes=30))


def _slice(hour: datetime, wh: Wh, zone: ZoneInfo) -> Slice:
    return Slice(hour, month_of(hour, zone), hour.astimezone(zone).date().isoformat(), wh)
