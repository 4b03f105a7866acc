"""Cards, accounts and quotas: who used how much of what, and who is over or near. Pure, like `view`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum

from dashboard.records import Site, UserRow, UserTable, Wh
from dashboard.wording import fold

NEAR_PERCENT = 80


class QuotaState(StrEnum):
    """Where an account stands with its quota this month; what it is called is in `texts` (states.quota)."""

    OVER = "over"
    USED_UP = "used_up"
    NEAR = "near"
    OK = "ok"
    NO_LIMIT = "no_limit"
    NO_ENERGY = "no_energy"
    BLOCKED = "blocked"
    EXPIRED = "expired"
    UNREADABLE = "unreadable"
    UNLISTED = "unlisted"


@dataclass(frozen=True, slots=True)
class UserLine:
    """One card with its account's quota and usage. `percent` is rounded down: 99.7 % is 99 %."""

    id_tag: str
    person: str
    account: str
    used: Wh
    quota: Wh | None
    state: QuotaState
    card_state: QuotaState | None = None
    """Why this card does not work, whatever its account's quota says."""

    @property
    def percent(self) -> int | None:
        """Used part of the quota in whole percent; None without a quota or where it is 0."""
        return self.used * 100 // self.quota if self.quota else None

    @property
    def left(self) -> Wh | None:
        """What is left of the quota, never below 0."""
        return None if self.quota is None else Wh(max(0, self.quota - self.used))

    @property
    def states(self) -> list[QuotaState]:
        """The badges of this line; a card that does not work is not called ok."""
        quota = None if self.card_state and self.state is QuotaState.OK else self.state
        return [state for state in (self.card_state, quota) if state]


def user_lines(site: Site, today: date) -> list[UserLine]:
    """Give one line per card: rows that share an account share its quota (the smallest) and its usage."""
    return lines_of(site.users, site.usage, today)


def lines_of(users: UserTable | None, usage: Mapping[str, Wh] | None, today: date) -> list[UserLine]:
    """Give the same from the two files that they are made of."""
    rows = _one_row_per_card(users.rows if users else ())
    used_by_card, unlisted = _matched(usage or {}, rows)
    accounts: dict[str, list[UserRow]] = {}
    for row in rows.values():
        accounts.setdefault(row.account, []).append(row)
    lines = [_user_line(row, accounts[row.account], used_by_card, today) for row in rows.values()]
    lines += [UserLine(tag, "", tag, used, None, QuotaState.UNLISTED) for tag, used in unlisted.items()]
    order = list(QuotaState)
    return sorted(lines, key=lambda line: (order.index(line.state), fold(line.person), line.id_tag))


def _user_line(row: UserRow, shared: list[UserRow], used_by_card: Mapping[str, Wh], today: date) -> UserLine:
    used = Wh(sum(used_by_card.get(each.id_tag, 0) for each in shared))
    limits = [each.quota for each in shared if each.quota is not None]
    quota = Wh(min(limits)) if limits else None
    is_expired = row.expiry_date is not None and row.expiry_date < today
    return UserLine(
        id_tag=row.id_tag,
        person=row.person,
        account=row.account,
        used=used,
        quota=quota,
        state=quota_state(used, quota) if quota is not None or row.is_unlimited else QuotaState.UNREADABLE,
        card_state=QuotaState.BLOCKED if row.is_blocked else QuotaState.EXPIRED if is_expired else None,
    )


def quota_state(used: Wh, quota: Wh | None) -> QuotaState:
    """Say where a usage stands. Less than the smaller of 0.1 kWh and 1 % left counts as used up, as in the server."""
    if quota is None:
        return QuotaState.NO_LIMIT
    if quota == 0:
        return QuotaState.OVER if used else QuotaState.NO_ENERGY
    if used > quota:
        return QuotaState.OVER
    if quota - used < min(100, quota / 100):
        return QuotaState.USED_UP
    return QuotaState.NEAR if used * 100 >= quota * NEAR_PERCENT else QuotaState.OK


def quota_counts(lines: Iterable[UserLine]) -> tuple[int, int]:
    """Count the accounts whose quota is over or used up, and those near it."""
    states = {line.account: line.state for line in lines}
    over = sum(state in {QuotaState.OVER, QuotaState.USED_UP} for state in states.values())
    return over, sum(state is QuotaState.NEAR for state in states.values())


def charging_cards(site: Site, lines: Iterable[UserLine]) -> set[str]:
    """Give the cards that a running session was started with; a session may spell its card in another case."""
    running = {session.id_tag.casefold() for session in site.sessions or ()}
    return {line.id_tag for line in lines if line.id_tag.casefold() in running}


def search(lines: Iterable[UserLine], query: str) -> list[UserLine]:
    """Give the lines in which every word of the query is found, in name, card or account."""
    words = fold(query).split()
    return [
        line for line in lines if all(word in fold(f"{line.person} {line.id_tag} {line.account}") for word in words)
    ]


def _one_row_per_card(rows: Iterable[UserRow]) -> dict[str, UserRow]:
    """Of rows with the same tag: blocked before not blocked, limited before unlimited, the smaller quota."""
    kept: dict[str, UserRow] = {}
    for row in rows:
        other = kept.get(row.id_tag)
        if other is None:
            kept[row.id_tag] = row
            continue
        limits = [each.quota for each in (row, other) if each.quota is not None]
        kept[row.id_tag] = replace(
            other,
            quota=min(limits) if limits else None,
            is_unlimited=row.is_unlimited and other.is_unlimited,
            is_blocked=row.is_blocked or other.is_blocked,
        )
    return kept


def _matched(usage: Mapping[str, Wh], rows: Mapping[str, UserRow]) -> tuple[dict[str, Wh], dict[str, Wh]]:
    """Give usage by the cards of the list (exact, else unique without case: OCPP 1.6 §7.28), and the rest."""
    spellings: dict[str, list[str]] = {}
    for tag in rows:
        spellings.setdefault(tag.casefold(), []).append(tag)
    used: dict[str, Wh] = {}
    unlisted: dict[str, Wh] = {}
    for tag, energy in usage.items():
        alike = [tag] if tag in rows else spellings.get(tag.casefold(), [])
        if len(alike) == 1:
            used[alike[0]] = Wh(used.get(alike[0], 0) + energy)
        else:
            unlisted[tag] = energy
    return used, unlisted
