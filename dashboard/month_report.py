"""The figures of one month: totals, the same days of the month before, days, charge points, hours, people.

Pure, like `view`. Energy is counted in the hour in which it flowed, a session in the month in which it ended. What has
no source is None, never zero.
"""

from calendar import monthrange
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta, tzinfo

from dashboard import quotas
from dashboard.archive_files import FinishedSession, MonthEnergy
from dashboard.quotas import UserLine
from dashboard.records import ChargePoint, Site, Wh
from dashboard.wording import fold

STOPPED_BY_QUOTA = "quota reached"
"""The server's word for it in sessions-YYYY-MM.csv."""


@dataclass(frozen=True, slots=True)
class Month:
    """What the files hold of one month; None for a file that is not there or was never readable."""

    first: date
    energy: MonthEnergy | None = None
    sessions: tuple[FinishedSession, ...] | None = None
    usage: Mapping[str, Wh] | None = None

    @property
    def days(self) -> int:
        """How many days it has."""
        return monthrange(self.first.year, self.first.month)[1]

    def hours(self) -> Iterator[tuple[str, datetime, Wh]]:
        """Give charge point, begin by the site's clock, and energy of each hour in which some flowed."""
        for charge_point_id, hours in self.energy.by_hour.items() if self.energy else ():
            for begin, energy in hours.items():
                if (begin.year, begin.month) == (self.first.year, self.first.month):
                    yield charge_point_id, begin, energy


@dataclass(frozen=True, slots=True)
class Until:
    """The last day and hour of a month that is looked at, both included, by the site's clock."""

    day: int
    hour: int = 23

    def includes(self, local: datetime) -> bool:
        return (local.day, local.hour) <= (self.day, self.hour)


@dataclass(frozen=True, slots=True)
class Figures:
    """The totals of a month, or of its first days."""

    energy: Wh | None
    sessions: int | None
    by_quota: int | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """The same days of two months. At most the days that both have: 1 to 28 of March and February."""

    month_before: date
    until: Until
    now: Figures
    before: Figures

    @property
    def is_until_now(self) -> bool:
        """Both are looked at until this hour of the day, not to the end of a day."""
        return self.until.hour < 23


@dataclass(frozen=True, slots=True)
class ChargerLine:
    """One charge point in the month. `share` is its part of the month's energy, 0 to 1."""

    charge_point_id: str
    name: str
    energy: Wh | None
    share: float | None
    sessions: int | None


@dataclass(frozen=True, slots=True)
class HourOfWeek:
    """How much flows in this hour of this weekday (0 is Monday), on average over the month."""

    weekday: int
    hour: int
    energy: Wh


@dataclass(frozen=True, slots=True)
class Person:
    """One card in the month. `line` has its account's quota and usage, by the users1.csv of now."""

    line: UserLine
    person: str
    used: Wh | None
    """On the quota, by this card alone."""
    free: Wh | None
    """Charged where it counts on no quota."""
    sessions: int | None
    tags: tuple[str, ...] = ()
    """How the files spell the card."""

    @property
    def over(self) -> Wh | None:
        """What its account used beyond the quota; None without a quota, or where the usage is not known."""
        if self.used is None or self.line.quota is None:
            return None
        return Wh(max(0, self.line.used - self.line.quota))

    @property
    def is_active(self) -> bool:
        """Something happened in the month."""
        return bool(self.used or self.free or self.sessions)


@dataclass(frozen=True, slots=True)
class MonthReport:
    """All that the page, the files and the statements show of a month."""

    month: Month
    is_open: bool
    """It is the month of now."""
    totals: Figures
    on_quotas: Wh | None
    users: int | None
    comparison: Comparison | None
    days: tuple[tuple[date, Wh], ...]
    chargers: tuple[ChargerLine, ...]
    week: tuple[HourOfWeek, ...]
    people: tuple[Person, ...] = field(default=())


def month_report(month: Month, before: Month, site: Site, local_now: datetime) -> MonthReport:
    """Give the report; `local_now` is now by the site's clock, `before` the month before."""
    zone = local_now.tzinfo
    assert zone is not None
    is_open = month.first == local_now.date().replace(day=1)
    until = Until(local_now.day, local_now.hour) if is_open else Until(month.days)
    return MonthReport(
        month=month,
        is_open=is_open,
        totals=figures(month, Until(31), zone),
        on_quotas=None if month.usage is None else Wh(sum(month.usage.values())),
        users=_users(month),
        comparison=_comparison(month, before, until, zone),
        days=_days(month, until.day),
        chargers=_chargers(month, site.charge_points or ()),
        week=_week(month, until),
        people=_people(month, site, local_now.date()),
    )


def month_before(first: date) -> date:
    """Give the first day of the month before."""
    return (first - timedelta(days=1)).replace(day=1)


def figures(month: Month, until: Until, zone: tzinfo) -> Figures:
    """Add up a month until an hour of it."""
    energy = sum(energy for _, begin, energy in month.hours() if until.includes(begin))
    ended = [
        session for session in month.sessions or ()
        if session.end is None or until.includes(session.end.astimezone(zone))
    ]  # fmt: skip
    has_sessions = month.sessions is not None
    return Figures(
        energy=None if month.energy is None else Wh(energy),
        sessions=len(ended) if has_sessions else None,
        by_quota=sum(session.reason == STOPPED_BY_QUOTA for session in ended) if has_sessions else None,
    )


def _comparison(month: Month, before: Month, until: Until, zone: tzinfo) -> Comparison | None:
    if before.energy is None and before.sessions is None:
        return None
    if until.day > before.days:
        until = Until(before.days)
    return Comparison(before.first, until, figures(month, until, zone), figures(before, until, zone))


def _users(month: Month) -> int | None:
    """Count the cards with energy in the month; without the hourly file, those with a session."""
    if month.energy is not None:
        return sum(sum(days.values()) > 0 for days in month.energy.by_day.values())
    return None if month.sessions is None else len({session.id_tag for session in month.sessions})


def _days(month: Month, last: int) -> tuple[tuple[date, Wh], ...]:
    """Give each day that has begun, also those without energy; a later one only if a wrong clock filed energy there."""
    if month.energy is None:
        return ()
    by_day: Counter[int] = Counter()
    for _, begin, energy in month.hours():
        by_day[begin.day] += energy
    return tuple(
        (month.first.replace(day=day), Wh(by_day[day]))
        for day in range(1, month.days + 1)
        if day <= last or by_day[day]
    )


def _chargers(month: Month, known: Sequence[ChargePoint]) -> tuple[ChargerLine, ...]:
    """Give the charge points, those with most energy first."""
    energy: Counter[str] = Counter()
    for charge_point_id, _, some in month.hours():
        energy[charge_point_id] += some
    sessions = Counter(session.charge_point_id for session in month.sessions or ())
    names = {session.charge_point_id: session.charge_point for session in month.sessions or ()}
    names |= {cp.charge_point_id: cp.name for cp in known}
    total = sum(energy.values())
    lines = [
        ChargerLine(
            charge_point_id,
            names.get(charge_point_id, charge_point_id),
            None if month.energy is None else Wh(energy[charge_point_id]),
            energy[charge_point_id] / total if total > 0 else None,
            None if month.sessions is None else sessions[charge_point_id],
        )
        for charge_point_id in energy.keys() | names.keys()
    ]
    return tuple(sorted(lines, key=lambda line: (-(line.energy or 0), fold(line.name), line.charge_point_id)))


def _week(month: Month, until: Until) -> tuple[HourOfWeek, ...]:
    """Give the average of each hour of the week that has been at least once."""
    if month.energy is None:
        return ()
    energy: defaultdict[tuple[int, int], int] = defaultdict(int)
    for _, begin, some in month.hours():
        energy[begin.weekday(), begin.hour] += some
    begun = [
        datetime(month.first.year, month.first.month, day, hour)  # noqa: DTZ001  a place on the wall clock
        for day in range(1, month.days + 1)
        for hour in range(24)
    ]
    times = Counter((begin.weekday(), begin.hour) for begin in begun if until.includes(begin))
    return tuple(
        HourOfWeek(weekday, hour, Wh(round(energy[weekday, hour] / times[weekday, hour])))
        for weekday, hour in sorted(times)
    )


def _people(month: Month, site: Site, today: date) -> tuple[Person, ...]:
    """Give every card of users1.csv and every other one with energy or sessions; the most overuse first, then use."""
    usage, days = month.usage or {}, month.energy.by_day if month.energy else {}
    sessions = Counter(session.id_tag for session in month.sessions or ())
    mentioned = {tag: usage.get(tag, Wh(0)) for tag in (*usage, *days, *sessions)}
    lines = quotas.user_lines(replace(site, usage=mentioned), today)
    spelled = {line.id_tag: line.id_tag for line in lines}
    alike = {line.id_tag.casefold(): line.id_tag for line in lines}
    own: defaultdict[str, list[str]] = defaultdict(list)
    for tag in mentioned:
        own[spelled.get(tag) or alike[tag.casefold()]].append(tag)
    names = {session.id_tag: session.person for session in month.sessions or ()}
    people = [_person(line, own[line.id_tag], month, sessions, names) for line in lines]
    return tuple(sorted(people, key=_by_overuse))


def _by_overuse(person: Person) -> tuple[int, int, str, str]:
    return -(person.over or 0), -person.line.used, fold(person.person), person.line.id_tag


def _person(
    line: UserLine, tags: Sequence[str], month: Month, sessions: Mapping[str, int], names: Mapping[str, str]
) -> Person:
    used = None if month.usage is None else Wh(sum(month.usage.get(tag, 0) for tag in tags))
    free = None
    if used is not None and month.energy is not None:
        booked = sum(sum(month.energy.by_day.get(tag, {}).values()) for tag in tags)
        free = Wh(max(0, booked - used))  # energy that came after 62 days is in the usage only
    name = next((names[tag] for tag in tags if names.get(tag)), "")
    return Person(
        line, line.person or (name if name not in tags else ""), used, free,
        None if month.sessions is None else sum(sessions[tag] for tag in tags), tuple(tags),
    )  # fmt: skip
