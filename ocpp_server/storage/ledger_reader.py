"""Looks things up in the ledger beside the one writer: pages of notes, transactions and readings, bookings of one.

Each look is a read transaction of its own on a connection of its own, so it sees one moment and holds nobody up. It
blocks: call it in a thread.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar

from ocpp_server.core.energy import Wh
from ocpp_server.core.period import Month
from ocpp_server.core.records import Booking, BookingKind, Note, NoteKind, Reading, Transaction
from ocpp_server.core.set_aside import SetAside, SetAsideState
from ocpp_server.core.users import IdTag, UserTable
from ocpp_server.storage.errors import LedgerError
from ocpp_server.storage.ledger_codec import Value, decode, lower_bound, text_of
from ocpp_server.storage.ledger_file import connect_read_only

MOST_IN_A_PAGE: Final = 500
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to look for; None: whatever it is. `since` is included, `until` is not; both count in whole seconds.

    `before` is the number of the last entry of the page before, as the newest come first.
    """

    charge_point_id: str | None = None
    id_tag: str | None = None
    transaction_id: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = None
    limit: int = 100


class LedgerReader:
    """Reads one ledger. Every method raises LedgerError if it cannot be read."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def notes(
        self, wanted: Wanted, kinds: tuple[NoteKind, ...] = (), *, with_figure: str = ""
    ) -> list[tuple[int, Note]]:
        """Notes with their numbers, newest first. `with_figure`: only those that have a figure of this name."""
        conditions = _Conditions(wanted, "number")
        conditions.add_document("charge_point_id", wanted.charge_point_id)
        conditions.add_document("id_tag", wanted.id_tag)
        conditions.add_document("transaction_id", wanted.transaction_id)
        conditions.add_times("at")
        if kinds:
            conditions.add(f"kind IN ({', '.join('?' * len(kinds))})", *(kind.value for kind in kinds))
        if with_figure:
            figures = "SELECT 1 FROM json_each(document, '$.figures') WHERE json_extract(value, '$[0]') = ?"
            conditions.add(f"EXISTS ({figures})", with_figure)
        return self._page("notes", "number", conditions, Note)

    def transactions(self, wanted: Wanted, *, is_open: bool | None = None) -> list[tuple[int, Transaction]]:
        """Transactions with their ids, newest first. `since` and `until` are about their begin."""
        conditions = _Conditions(wanted, "transaction_id")
        conditions.add_column("charge_point_id", wanted.charge_point_id)
        conditions.add_column("id_tag", wanted.id_tag)
        conditions.add_column("transaction_id", wanted.transaction_id)
        conditions.add_times("started_at")
        if is_open is not None:
            conditions.add("ended_at IS NULL" if is_open else "ended_at IS NOT NULL")
        return self._page("transactions", "transaction_id", conditions, Transaction)

    def readings(self, wanted: Wanted) -> list[tuple[int, Reading]]:
        """Readings with their numbers, newest first."""
        conditions = _Conditions(wanted, "number")
        conditions.add_document("charge_point_id", wanted.charge_point_id)
        conditions.add_document("id_tag", wanted.id_tag)
        conditions.add_document("transaction_id", wanted.transaction_id)
        conditions.add_times("json_extract(document, '$.at')")
        return self._page("readings", "number", conditions, Reading)

    def set_aside(self, wanted: Wanted, state: SetAsideState | None = None) -> list[tuple[int, SetAside]]:
        """Energy that waits or waited for a person, with its numbers, newest first. `since` and `until`: of the
        reading. None in a ledger that no server of this version has had yet.
        """
        conditions = _Conditions(wanted, "number")
        conditions.add_column("charge_point_id", wanted.charge_point_id)
        conditions.add_document("id_tag", wanted.id_tag)
        conditions.add_document("transaction_id", wanted.transaction_id)
        conditions.add_times("json_extract(document, '$.at')")
        conditions.add_column("state", None if state is None else state.value)
        with self._reading() as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
        return self._page("set_aside", "number", conditions, SetAside) if version > 1 else []

    def bookings(self, wanted: Wanted, kinds: tuple[BookingKind, ...] = ()) -> list[Booking]:
        """Bookings, newest first. `since` and `until` are about when they were booked."""
        conditions = _Conditions(wanted, "booking_id")
        conditions.add_column("charge_point_id", wanted.charge_point_id)
        conditions.add_column("id_tag", wanted.id_tag)
        conditions.add_column("transaction_id", wanted.transaction_id)
        conditions.add_times("booked_at")
        if kinds:
            conditions.add(f"kind IN ({', '.join('?' * len(kinds))})", *(kind.value for kind in kinds))
        query = f"SELECT * FROM bookings {conditions.text} ORDER BY booking_id DESC LIMIT ?"  # noqa: S608 (our words)
        with self._reading() as connection:
            return [_booking(row) for row in connection.execute(query, conditions.values)]

    def usage(self, month: Month) -> dict[IdTag, Wh]:
        """Wh on quotas by tag in a month, also one long closed."""
        query = "SELECT id_tag, wh FROM usage WHERE month = ? ORDER BY id_tag"
        with self._reading() as connection:
            return {IdTag(text_of(tag)): Wh(wh) for tag, wh in connection.execute(query, (month,))}

    def months(self) -> list[Month]:
        """Months in which something was used on quotas, newest first."""
        with self._reading() as connection:
            return [Month(month) for (month,) in connection.execute("SELECT DISTINCT month FROM usage ORDER BY 1 DESC")]

    def in_force(self) -> tuple[UserTable, Month | None]:
        """The users in force, and the open month."""
        with self._reading() as connection:
            found = dict(connection.execute("SELECT name, document FROM in_force"))
        users = decode(found["users"], UserTable) if "users" in found else UserTable()
        return users, Month(decode(found["open_month"], str)) if "open_month" in found else None

    def _page(self, table: str, number: str, conditions: "_Conditions", kind: type[_T]) -> list[tuple[int, _T]]:
        query = f"SELECT {number}, document FROM {table} {conditions.text} ORDER BY {number} DESC LIMIT ?"  # noqa: S608
        with self._reading() as connection:
            return [(key, decode(document, kind)) for key, document in connection.execute(query, conditions.values)]

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(connect_read_only(self._path)) as connection:
                yield connection
        except sqlite3.Error as error:
            message = f"the ledger {self._path} cannot be read: {error}"
            raise LedgerError(message) from error


class _Conditions:
    """The WHERE of a page and its values. Names of columns are our own words, values never stand in the text."""

    def __init__(self, wanted: Wanted, number: str) -> None:
        self._wanted = wanted
        self._conditions: list[str] = []
        self._values: list[Value] = []
        if wanted.before is not None:
            self.add(f"{number} < ?", wanted.before)

    @property
    def text(self) -> str:
        return f"WHERE {' AND '.join(self._conditions)}" if self._conditions else ""

    @property
    def values(self) -> tuple[Value, ...]:
        return (*self._values, max(1, min(self._wanted.limit, MOST_IN_A_PAGE)))

    def add(self, condition: str, *values: Value) -> None:
        self._conditions.append(condition)
        self._values.extend(values)

    def add_column(self, name: str, value: str | int | None) -> None:
        if value is not None:
            self.add(f"{name} = ?", value)

    def add_document(self, name: str, value: str | int | None) -> None:
        self.add_column(f"json_extract(document, '$.{name}')", value)

    def add_times(self, name: str) -> None:
        if self._wanted.since is not None:
            self.add(f"{name} >= ?", _second(self._wanted.since))
        if self._wanted.until is not None:
            self.add(f"{name} < ?", _second(self._wanted.until))


def _second(when: datetime) -> str:
    return lower_bound(when.replace(microsecond=0))


def _booking(row: tuple[Value, ...]) -> Booking:
    number, kind, hour, month, day, id_tag, wh, booked_at, charge_point_id, transaction_id, is_on_quota, reason = row
    return Booking(
        int(str(number)),
        BookingKind(str(kind)),
        datetime.fromisoformat(str(hour)),
        Month(str(month)),
        str(day),
        IdTag(_text(id_tag)),
        Wh(int(str(wh))),
        datetime.fromisoformat(str(booked_at)),
        _text(charge_point_id),
        None if transaction_id is None else int(str(transaction_id)),
        bool(is_on_quota),
        _text(reason),
    )


def _text(value: Value) -> str:
    return text_of(value) if isinstance(value, str | bytes) else ""
