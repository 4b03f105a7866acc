"""Who used how much in a month, from the bookings: by tag, by session, and what was booked without a session.

Read in one transaction on a connection of its own, so all three parts show the same moment and add up to the Wh.
"""

import sqlite3
from collections import Counter, defaultdict
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from zoneinfo import ZoneInfo

import msgspec

from ocpp_server.core.energy import Wh
from ocpp_server.core.period import Month, month_start, next_month
from ocpp_server.core.records import BookingKind, Transaction
from ocpp_server.core.users import Account, ChargerRow, IdTag, User, UserTable
from ocpp_server.storage.errors import LedgerError
from ocpp_server.storage.ledger_codec import decode, lower_bound, text_of
from ocpp_server.storage.ledger_file import connect_read_only
from ocpp_server.storage.sessions_csv import reason_in_words

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class TagUsage:
    """One tag in one month. Quota and name are those in force now: the books keep no older ones."""

    id_tag: IdTag
    name: str
    account: Account
    is_known: bool
    """It is in users1.csv."""
    sessions: int
    wh: Wh
    """On its quota: sessions, corrections, adjustments."""
    free_wh: Wh
    """Charged where it does not count."""
    quota: Wh | None
    """None: unlimited, or not known."""
    account_wh: Wh
    """On the quota that all tags of the account share."""

    @property
    def share(self) -> float | None:
        """Of the quota that the account has used; None without a quota to divide by."""
        return self.account_wh / self.quota if self.quota else None


@dataclass(frozen=True, slots=True)
class SessionUsage:
    """One session, and what was booked for it in this month."""

    transaction: Transaction
    charger: str
    wh: Wh
    free_wh: Wh

    @property
    def end_in_words(self) -> str:
        """Why it ended."""
        return "still open" if self.transaction.is_open else reason_in_words(self.transaction)


@dataclass(frozen=True, slots=True)
class OtherBookings:
    """What was booked for a tag without a session: adjustments, imported usage."""

    id_tag: IdTag
    day: str
    kind: BookingKind
    reason: str
    wh: Wh
    free_wh: Wh


@dataclass(frozen=True, slots=True)
class UsageReport:
    """A month of the site. The sum of `tags` is the sum of `sessions` and `others`."""

    month: Month
    zone: ZoneInfo
    tags: tuple[TagUsage, ...]
    sessions: tuple[SessionUsage, ...]
    others: tuple[OtherBookings, ...]

    @property
    def wh(self) -> Wh:
        """On quotas, of all tags."""
        return Wh(sum(tag.wh for tag in self.tags))

    @property
    def free_wh(self) -> Wh:
        """Not on quotas."""
        return Wh(sum(tag.free_wh for tag in self.tags))


def usage_report(ledger_path: Path, month: Month, zone: ZoneInfo) -> UsageReport:
    """The month, also while a server writes. Blocks. Raises LedgerError."""
    try:
        with closing(connect_read_only(ledger_path)) as ledger:
            ledger.execute("BEGIN")
            sessions = tuple(_sessions(ledger, month, zone))
            tags = tuple(_tags(ledger, month, sessions))
            return UsageReport(month, zone, tags, sessions, tuple(_others(ledger, month)))
    except (sqlite3.Error, msgspec.DecodeError) as error:
        raise LedgerError(f"the ledger {ledger_path} cannot be read: {error}") from error


def _sessions(ledger: sqlite3.Connection, month: Month, zone: ZoneInfo) -> list[SessionUsage]:
    """Those that charged in the month or began in it, in the order of their begin."""
    query = """
        SELECT transaction_id, sum(wh * is_on_quota), sum(wh * NOT is_on_quota) FROM bookings
        WHERE month = ? AND transaction_id IS NOT NULL GROUP BY 1
    """
    booked = {number: (Wh(wh), Wh(free)) for number, wh, free in ledger.execute(query, (month,))}
    since, until = (lower_bound(month_start(which, zone)) for which in (month, next_month(month)))
    begun = "SELECT transaction_id FROM transactions WHERE started_at >= ? AND started_at < ?"
    numbers = booked.keys() | {number for (number,) in ledger.execute(begun, (since, until))}
    rows = {row.charge_point_id: row for row in _in_force(ledger, "chargers", tuple[ChargerRow, ...]) or ()}
    found = []
    for number in numbers:
        row = ledger.execute("SELECT document FROM transactions WHERE transaction_id = ?", (number,)).fetchone()
        if row is None:
            raise LedgerError(f"there are bookings for transaction {number}, but no such transaction: run verify")
        transaction = decode(row[0], Transaction)
        charger = rows.get(transaction.charge_point_id)
        name = charger.name if charger is not None and charger.name else transaction.charge_point_id
        found.append(SessionUsage(transaction, name, *booked.get(number, (Wh(0), Wh(0)))))
    return sorted(found, key=lambda session: (session.transaction.started_at, session.transaction.transaction_id))


def _tags(ledger: sqlite3.Connection, month: Month, sessions: tuple[SessionUsage, ...]) -> list[TagUsage]:
    """Everybody in users1.csv, and whoever charged; by name."""
    query = """
        SELECT id_tag, sum(wh * is_on_quota), sum(wh * NOT is_on_quota) FROM bookings WHERE month = ? GROUP BY 1
    """
    booked = {IdTag(text_of(tag)): (Wh(wh), Wh(free)) for tag, wh, free in ledger.execute(query, (month,))}
    users = (_in_force(ledger, "users", UserTable) or UserTable()).users
    counts = Counter(session.transaction.id_tag for session in sessions)
    last = {session.transaction.id_tag: session.transaction for session in sessions}
    of_account: defaultdict[Account, int] = defaultdict(int)
    for tag, (wh, _) in booked.items():
        of_account[_account(users.get(tag), tag)] += wh
    found = []
    for tag in users.keys() | booked.keys() | counts.keys():
        user = users.get(tag)
        account = _account(user, tag)
        found.append(
            TagUsage(
                id_tag=tag,
                name=user.full_name if user is not None else last[tag].full_name if tag in last else "",
                account=account,
                is_known=user is not None,
                sessions=counts[tag],
                wh=booked.get(tag, (Wh(0), Wh(0)))[0],
                free_wh=booked.get(tag, (Wh(0), Wh(0)))[1],
                quota=None if user is None else user.quota,
                account_wh=Wh(of_account[account]),
            )
        )
    return sorted(found, key=lambda one: (one.name.casefold(), one.id_tag))


def _others(ledger: sqlite3.Connection, month: Month) -> list[OtherBookings]:
    query = """
        SELECT id_tag, day, kind, reason, wh * is_on_quota, wh * NOT is_on_quota FROM bookings
        WHERE month = ? AND transaction_id IS NULL ORDER BY booking_id
    """
    return [
        OtherBookings(IdTag(text_of(tag)), day, BookingKind(kind), text_of(reason), Wh(wh), Wh(free))
        for tag, day, kind, reason, wh, free in ledger.execute(query, (month,))
    ]


def _account(user: User | None, tag: IdTag) -> Account:
    return user.account if user is not None else Account(tag)


def _in_force(ledger: sqlite3.Connection, name: str, kind: type[_T]) -> _T | None:
    row = ledger.execute("SELECT document FROM in_force WHERE name = ?", (name,)).fetchone()
    return None if row is None else decode(row[0], kind)
