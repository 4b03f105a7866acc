"""What one account did: this month by day, its last sessions, the last 12 months. Pure but for the given archive."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from dashboard.archive_files import Archive, FinishedSession
from dashboard.quotas import UserLine
from dashboard.records import Site, Wh

MONTHS: Final = 12
SESSIONS: Final = 10


@dataclass(frozen=True, slots=True)
class UserHistory:
    """None and missing months mean that no file tells; they are never zero."""

    days: Mapping[date, Wh] | None
    sessions: tuple[FinishedSession, ...]
    months: Mapping[date, Wh]


def cards_of(line: UserLine, lines: Iterable[UserLine]) -> list[str]:
    """Give all cards of a line's account."""
    return [each.id_tag for each in lines if each.account == line.account]


def user_history(cards: Collection[str], site: Site, archive: Archive, month: date, today: date) -> UserHistory:
    """Give what these cards did; `month` is the first day of the open one."""
    spelled = {card.casefold() for card in cards}
    before = _month_before(month)
    sessions = [each for first in (month, before) for each in archive.sessions(first).value or ()]
    own = [each for each in sessions if each.id_tag.casefold() in spelled]
    own.sort(key=lambda each: (each.end is not None, each.end), reverse=True)
    return UserHistory(
        _days(spelled, archive, month, today), tuple(own[:SESSIONS]), _months(spelled, site, archive, month)
    )


def _days(spelled: Collection[str], archive: Archive, month: date, today: date) -> Mapping[date, Wh] | None:
    energy = archive.energy(month).value
    if energy is None:
        return None
    found = {month + timedelta(days=past): Wh(0) for past in range((today - month).days + 1)}
    for tag, days in energy.by_day.items():
        for day, amount in days.items() if tag.casefold() in spelled else ():
            found[day] = Wh(found.get(day, 0) + amount)
    return dict(sorted(found.items()))


def _months(spelled: Collection[str], site: Site, archive: Archive, month: date) -> Mapping[date, Wh]:
    found: dict[date, Wh] = {}
    for back in range(MONTHS):
        usage = archive.usage(month).value if back else site.usage
        if usage is not None:
            found[month] = Wh(sum(amount for tag, amount in usage.items() if tag.casefold() in spelled))
        month = _month_before(month)
    return dict(sorted(found.items()))


def _month_before(month: date) -> date:
    return (month - timedelta(days=1)).replace(day=1)
