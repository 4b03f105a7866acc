"""How far each destination has come, what it could not take, what was dropped: kept in the ledger beside its outboxes.

Writes go through the ledger's one writer, in transactions of their own: a crash may lose the last of them, and then an
entry is sent again. Reads block; call them in a thread.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from ocpp_server.storage.delivery_tables import DEFAULT_LANE, DROPPABLE, LANES, MOST_SET_ASIDE
from ocpp_server.storage.errors import LedgerError
from ocpp_server.storage.ledger import Ledger
from ocpp_server.storage.ledger_codec import time_text
from ocpp_server.storage.ledger_file import connect_read_only

_T = TypeVar("_T")
_CHUNK: Final = 2_000
"""Entries dropped in one transaction: no commit of a charge point waits long for it."""
_WHERE: Final = "WHERE destination = ? AND outbox = ?"


class Loss(NamedTuple):
    """Entries that were dropped before a destination had them; None: there was none yet."""

    lost: int = 0
    since: datetime | None = None
    """The first of them, ever."""
    at: datetime | None = None
    """The last of them."""


class SetAside(NamedTuple):
    """An entry that the other system refused, with what was sent. `is_due`: it is to be sent again."""

    number: int
    lane: str
    key: str
    at: datetime
    reason: str
    is_due: bool
    body: Any


class Deliveries:
    """The tables of `delivery_tables` for one ledger. Every method raises LedgerError if it cannot be read or written.

    A destination has its own positions in each outbox.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.path: Path = ledger.path

    def newest(self, outbox: str) -> int:
        """The highest number that is committed; 0: none."""
        query = f"SELECT max(number) FROM {outbox}"  # noqa: S608 - our own words
        (number,) = self.read(lambda connection: connection.execute(query).fetchone())
        return number or 0

    def positions(self, destination: str, outbox: str) -> dict[str, int]:
        """By lane; empty: this destination is new."""
        query = f"SELECT lane, number FROM deliveries {_WHERE}"  # noqa: S608 - our own words
        return self.read(lambda connection: dict(connection.execute(query, (destination, outbox))))

    async def note(self, destination: str, outbox: str, positions: Mapping[str, int]) -> None:
        """Replace the positions."""
        await self._ledger.apart(lambda connection: _put_positions(connection, destination, outbox, positions))

    async def forget_all_but(self, kept: Iterable[tuple[str, str]]) -> None:
        """Of destinations that are configured no more let go of the positions: nothing is kept for them."""
        names = list(kept)

        def forget(connection: sqlite3.Connection) -> None:
            for pair in connection.execute("SELECT DISTINCT destination, outbox FROM deliveries").fetchall():
                if pair not in names:
                    connection.execute(f"DELETE FROM deliveries {_WHERE}", pair)  # noqa: S608

        await self._ledger.apart(forget)

    def loss(self, destination: str, outbox: str) -> Loss:
        """What was dropped before this destination had it."""
        query = f"SELECT lost, since, at FROM delivery_gaps {_WHERE}"  # noqa: S608
        row = self.read(lambda connection: connection.execute(query, (destination, outbox)).fetchone())
        return Loss() if row is None else Loss(row[0], datetime.fromisoformat(row[1]), datetime.fromisoformat(row[2]))

    async def set_aside(self, destination: str, outbox: str, entry: SetAside) -> None:
        """Keep what was refused. Beyond 10,000 the oldest go, and count as lost."""
        key = (destination, outbox)
        row = (*key, entry.number, entry.lane, entry.key, time_text(entry.at), entry.reason, json.dumps(entry.body))

        def keep(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR REPLACE INTO undeliverable VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?)", row)
            beyond = connection.execute(
                f"SELECT number FROM undeliverable {_WHERE} ORDER BY number DESC LIMIT 1 OFFSET ?",  # noqa: S608
                (*key, MOST_SET_ASIDE),
            ).fetchone()
            if beyond is not None:
                dropped = connection.execute(f"DELETE FROM undeliverable {_WHERE} AND number <= ?", (*key, *beyond))  # noqa: S608
                _count_lost(connection, *key, dropped.rowcount, time_text(entry.at))

        await self._ledger.apart(keep)

    def aside(
        self, destination: str, outbox: str, *, is_due: bool | None = None, before: int | None = None, limit: int = 100
    ) -> list[SetAside]:
        """What was refused, the newest first; what is to be sent again, the oldest first."""
        conditions = "" if is_due is None else f" AND is_due = {int(is_due)}"
        conditions += "" if before is None else f" AND number < {int(before)}"
        order = "ASC" if is_due else "DESC"
        query = (
            "SELECT number, lane, key, at, reason, is_due, body FROM undeliverable "  # noqa: S608
            f"{_WHERE}{conditions} ORDER BY number {order} LIMIT {int(limit)}"
        )
        rows = self.read(lambda connection: connection.execute(query, (destination, outbox)).fetchall())
        return [
            SetAside(number, lane, key, datetime.fromisoformat(at), reason, bool(due), json.loads(body))
            for number, lane, key, at, reason, due, body in rows
        ]

    def count_aside(self, destination: str, outbox: str) -> int:
        """How many were refused and are still here."""
        query = f"SELECT count(*) FROM undeliverable {_WHERE}"  # noqa: S608
        return int(self.read(lambda connection: connection.execute(query, (destination, outbox)).fetchone())[0])

    async def make_due(self, destination: str, outbox: str, numbers: Sequence[int] | None) -> int:
        """These (None: all) are to be sent again; gives how many there are of them."""
        query = f"UPDATE undeliverable SET is_due = 1 {_WHERE}"  # noqa: S608

        def mark(connection: sqlite3.Connection) -> int:
            if numbers is None:
                return connection.execute(query, (destination, outbox)).rowcount
            marked = [connection.execute(f"{query} AND number = ?", (destination, outbox, one)) for one in numbers]
            return sum(cursor.rowcount for cursor in marked)

        return await self._ledger.apart(mark)

    async def release(self, destination: str, outbox: str, number: int) -> None:
        """It was taken over after all."""
        query = f"DELETE FROM undeliverable {_WHERE} AND number = ?"  # noqa: S608
        await self._ledger.apart(lambda connection: connection.execute(query, (destination, outbox, number)))

    def beyond(self, outbox: str, most_bytes: int, least_kept: int) -> int:
        """The number up to which entries must go, so that the rest has no more bytes; 0: none.

        `least_kept`: so many of the newest stay in any case, as they are kept for the site itself.
        """
        span = f"SELECT max(number) - min(number) FROM {outbox}"  # noqa: S608
        (more,) = self.read(lambda connection: connection.execute(span).fetchone())
        if (more or 0) < least_kept:
            return 0  # by far the most, and cheap
        sizes = f"SELECT number, sum(length(document)) OVER (ORDER BY number DESC) AS size FROM {outbox}"  # noqa: S608
        query = (
            f"SELECT max(number) FROM ({sizes}) WHERE size > ? "  # noqa: S608
            f"AND number <= (SELECT max(number) FROM {outbox}) - ?"
        )
        (number,) = self.read(lambda connection: connection.execute(query, (most_bytes, least_kept)).fetchone())
        return number or 0

    async def drop(self, outbox: str, up_to: int, at: datetime) -> dict[str, int]:
        """Let go of entries that some destination has not had yet; gives how many each has lost."""
        total: dict[str, int] = {}
        while True:
            lost, is_last = await self._ledger.apart(
                lambda connection: _drop_chunk(connection, outbox, up_to, time_text(at))
            )
            for destination, count in lost.items():
                total[destination] = total.get(destination, 0) + count
            if is_last:
                return total

    def read(self, look: Callable[[sqlite3.Connection], _T]) -> _T:
        """Look with a connection of its own, at one moment of the ledger."""
        try:
            with closing(connect_read_only(self.path)) as connection:
                return look(connection)
        except sqlite3.Error as error:
            message = f"the ledger {self.path} cannot be read: {error}"
            raise LedgerError(message) from error


def _put_positions(connection: sqlite3.Connection, destination: str, outbox: str, positions: Mapping[str, int]) -> None:
    connection.execute(f"DELETE FROM deliveries {_WHERE}", (destination, outbox))  # noqa: S608
    rows = [(destination, outbox, lane, number) for lane, number in positions.items()]
    connection.executemany("INSERT INTO deliveries VALUES (?, ?, ?, ?)", rows)


def _drop_chunk(connection: sqlite3.Connection, outbox: str, up_to: int, at: str) -> tuple[dict[str, int], bool]:
    """Who has lost how many, and whether nothing is left to drop. Entry and loss go in the same transaction."""
    table = f"FROM {outbox} WHERE number <= ? AND {DROPPABLE[outbox]}"
    query = f"SELECT number, {LANES[outbox]} {table} ORDER BY number LIMIT ?"
    entries = connection.execute(query, (up_to, _CHUNK)).fetchall()
    if not entries:
        return {}, True
    connection.execute(f"DELETE {table}", (entries[-1][0],))
    lost: dict[str, int] = {}
    for destination, positions in _all_positions(connection, outbox).items():
        others = positions.get(DEFAULT_LANE, 0)
        lost[destination] = sum(number > positions.get(lane, others) for number, lane in entries)
        _count_lost(connection, destination, outbox, lost[destination], at)
    return lost, len(entries) < _CHUNK


def _all_positions(connection: sqlite3.Connection, outbox: str) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    rows = connection.execute("SELECT destination, lane, number FROM deliveries WHERE outbox = ?", (outbox,))
    for destination, lane, number in rows:
        found.setdefault(destination, {})[lane] = number
    return found


def _count_lost(connection: sqlite3.Connection, destination: str, outbox: str, count: int, at: str) -> None:
    if count:
        connection.execute(
            "INSERT INTO delivery_gaps VALUES (?, ?, ?, ?, ?) ON CONFLICT (destination, outbox) "
            "DO UPDATE SET lost = lost + excluded.lost, at = excluded.at",
            (destination, outbox, count, at, at),
        )
