"""From the tables of a ledger to the state of the site. Writing them is `ledger_rows`."""

import sqlite3
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import TypeVar

from ocpp_server.core import changes as ch
from ocpp_server.core import site as limits
from ocpp_server.core.energy import Wh
from ocpp_server.core.events import QuotaUse
from ocpp_server.core.period import Month
from ocpp_server.core.records import Alert, ChargePoint, Note, Reading, RefusedTag, Transaction
from ocpp_server.core.set_aside import SetAside
from ocpp_server.core.site import Policy, Site, apply, kept_since
from ocpp_server.core.users import ChargerRow, IdTag, UserTable
from ocpp_server.storage.ledger_codec import decode, lower_bound, text_of

_COUNTED_SINCE = datetime(2025, 1, 1, tzinfo=UTC)
_T = TypeVar("_T")


def first_transaction_id(now: datetime) -> int:
    """Where the counter of a new ledger starts, so that a lost ledger reuses no id (rule 18)."""
    return max(1, int((now - _COUNTED_SINCE).total_seconds()))


def load_site(connection: sqlite3.Connection, policy: Policy, now: datetime) -> Site:
    """The state as it was last committed. Raises sqlite3.Error, or msgspec.ValidationError for a broken document."""
    before = kept_since(now)
    site = Site(policy, next_transaction_id=_next_transaction_id(connection))
    for change in _changes(connection, before):
        apply(site, change)
    _load_totals(connection, site, before)
    (last_booking,) = connection.execute("SELECT max(booking_id) FROM bookings").fetchone()
    site.next_booking_id = (last_booking or 0) + 1
    (last_set_aside,) = connection.execute("SELECT max(number) FROM set_aside").fetchone()
    site.next_set_aside_number = (last_set_aside or 0) + 1
    (last_event,) = connection.execute("SELECT max(number) FROM events").fetchone()
    site.next_event_number = (last_event or 0) + 1
    for told in _documents(connection, "SELECT document FROM quota_told ORDER BY rowid", QuotaUse):
        site.quota_told[told.account] = told
    return site


def _next_transaction_id(connection: sqlite3.Connection) -> int:
    (first,) = connection.execute("SELECT value FROM meta WHERE key = 'first_transaction_id'").fetchone()
    (last,) = connection.execute("SELECT max(transaction_id) FROM transactions").fetchone()
    return max(int(first), (last or 0) + 1)


def _changes(connection: sqlite3.Connection, before: datetime) -> Iterator[ch.Change]:
    """What `apply` needs to build all but the totals again."""
    for name, document in connection.execute("SELECT name, document FROM in_force"):
        yield _in_force(name, document)
    for record in _documents(connection, "SELECT document FROM charge_points ORDER BY rowid", ChargePoint):
        yield ch.PutChargePoint(record)
    yield from _seen(connection)
    yield from _configurations(connection)
    ended = "SELECT document FROM transactions WHERE ended_at IS NULL OR ended_at >= ? ORDER BY transaction_id"
    for transaction in _documents(connection, ended, Transaction, lower_bound(before)):
        yield ch.PutTransaction(transaction)
    for reading in _newest(connection, "readings", Reading, limits.MOST_READINGS):
        yield ch.AddReading(reading[1])
    for number, note in _newest(connection, "notes", Note, limits.MOST_NOTES):
        yield ch.AddNote(number, note)
    for number, refused in _newest(connection, "refused_tags", RefusedTag, limits.MOST_REFUSED_TAGS):
        yield ch.AddRefusedTag(number, refused)
    for waiting in _documents(connection, "SELECT document FROM set_aside WHERE state = 'open'", SetAside):
        yield ch.PutSetAside(waiting)
    decided = "SELECT document FROM set_aside WHERE state IN ('accepted', 'dropped') ORDER BY number DESC LIMIT ?"
    for one in _documents(connection, decided, SetAside, limits.MOST_DECIDED_SET_ASIDE):
        yield ch.PutSetAside(one)
    for alert in _documents(connection, "SELECT document FROM alerts ORDER BY rowid", Alert):
        yield ch.PutAlert(alert)


def _in_force(name: str, document: str) -> ch.Change:
    if name == "users":
        return ch.PutUsers(decode(document, UserTable))
    if name == "chargers":
        return ch.PutChargers(decode(document, tuple[ChargerRow, ...]))
    return ch.PutOpenMonth(Month(decode(document, str)))


def _seen(connection: sqlite3.Connection) -> Iterator[ch.Change]:
    for key, seen, heartbeat in connection.execute("SELECT id, last_seen, last_heartbeat FROM seen ORDER BY rowid"):
        yield ch.PutSeen(
            text_of(key),
            datetime.fromisoformat(seen),
            None if heartbeat is None else datetime.fromisoformat(heartbeat),
        )


def _configurations(connection: sqlite3.Connection) -> Iterator[ch.Change]:
    for key, at, document in connection.execute("SELECT id, at, document FROM configurations ORDER BY rowid"):
        keys = decode(document, tuple[tuple[str, str], ...])
        yield ch.PutConfiguration(text_of(key), datetime.fromisoformat(at), keys)


def _documents(connection: sqlite3.Connection, query: str, kind: type[_T], *values: str | int) -> Iterator[_T]:
    for (document,) in connection.execute(query, values):
        yield decode(document, kind)


def _newest(connection: sqlite3.Connection, table: str, kind: type[_T], most: int) -> Iterable[tuple[int, _T]]:
    """The newest entries, oldest first."""
    query = f"SELECT number, document FROM {table} ORDER BY number DESC LIMIT ?"  # noqa: S608 (our own words)
    rows = connection.execute(query, (most,)).fetchall()
    return [(number, decode(document, kind)) for number, document in reversed(rows)]


def _load_totals(connection: sqlite3.Connection, site: Site, before: datetime) -> None:
    """Totals are rows of their own: nothing is summed at a start."""
    site.usage = {
        (Month(month), IdTag(text_of(tag))): Wh(wh)
        for month, tag, wh in connection.execute("SELECT month, id_tag, wh FROM usage")
    }
    site.delivered = {
        text_of(key): Wh(wh) for key, wh in connection.execute("SELECT charge_point_id, wh FROM delivered")
    }
    hours = "SELECT charge_point_id, hour, wh FROM energy_by_hour WHERE hour >= ?"
    site.energy_by_hour = {
        (text_of(key), datetime.fromisoformat(hour)): Wh(wh)
        for key, hour, wh in connection.execute(hours, (lower_bound(before),))
    }
    days = "SELECT id_tag, day, wh FROM energy_by_day WHERE day >= ?"
    site.energy_by_day = {
        (IdTag(text_of(tag)), day): Wh(wh) for tag, day, wh in connection.execute(days, (before.date().isoformat(),))
    }
