"""One commit as rows by statement: of several puts of the same key the last wins."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import assert_never

from ocpp_server.core import changes as ch
from ocpp_server.core.records import Booking, ChargePoint, Transaction
from ocpp_server.storage import event_tables as ev
from ocpp_server.storage import ledger_schema as sql
from ocpp_server.storage.ledger_codec import Row, Value, encode, time_text

MOST_READINGS = 5_000
MOST_NOTES = 20_000
MOST_EVIDENCE = 20_000
"""Notes of kinds "set aside" and "orphan"."""
MOST_REFUSED_TAGS = 200
MOST_WITHDRAWN = 20_000
_PRUNE_EVERY = 250
_PRUNE_NOTES_EVERY = 2_500
"""It takes 60 ms, as all of them are sorted."""


def rows_of(changes: Iterable[ch.Change]) -> dict[str, list[Row]]:
    """The rows for each statement of `ledger_schema`, to be executed in this order."""
    group = _Group()
    for change in changes:
        group.add(change)
    return group.rows()


class _Group:
    """Collects the rows of one commit. Documents that may be replaced within it are encoded at the end."""

    def __init__(self) -> None:
        self._bookings: list[Row] = []
        self._readings: list[Row] = []
        self._rows: defaultdict[str, dict[Value, Row]] = defaultdict(dict)
        self._transactions: dict[int, Transaction] = {}
        self._charge_points: dict[str, ChargePoint] = {}
        self._seen: dict[str, ch.PutSeen] = {}

    def add(self, change: ch.Change) -> None:
        match change:
            case ch.AddBooking(booking):
                self._bookings.append(_booking_row(booking))
            case ch.PutTransaction(transaction):
                self._transactions[transaction.transaction_id] = transaction
            case ch.AddReading(reading):
                self._readings.append((reading.number, encode(reading)))
            case ch.PutSeen():
                self._see(change)
            case ch.PutChargePoint(charge_point):
                self._charge_points[charge_point.charge_point_id] = charge_point
            case ch.RemoveChargePoint(charge_point_id):
                self._remove_charge_point(charge_point_id)
            case ch.AddNote(number, note):
                self._put(sql.ADD_NOTE, number, time_text(note.at), note.kind.value, encode(note))
            case ch.AddEvent(number, event):
                self._put(ev.ADD_EVENT, *ev.event_row(number, event))
                if event.quota is not None:
                    self._put(ev.PUT_QUOTA_TOLD, event.quota.account, encode(event.quota))
            case ch.AddRefusedTag(number, refused):
                self._put(sql.ADD_REFUSED_TAG, number, encode(refused))
            case ch.PutSetAside(one):
                self._put(sql.PUT_SET_ASIDE, one.number, one.state.value, one.charge_point_id, encode(one))
            case ch.PutConfiguration(charge_point_id, at, keys):
                self._put(sql.PUT_CONFIGURATION, charge_point_id, time_text(at), encode(keys))
            case ch.PutUsers(table):
                self._put(sql.PUT_IN_FORCE, "users", encode(table))
            case ch.PutChargers(rows):
                self._put(sql.PUT_IN_FORCE, "chargers", encode(rows))
            case ch.PutOpenMonth(month):
                self._put(sql.PUT_IN_FORCE, "open_month", encode(month))
            case ch.PutAlert(alert):
                self._rows[sql.REMOVE_ALERT].pop(alert.alert_id, None)
                self._put(sql.PUT_ALERT, alert.alert_id, encode(alert))
            case ch.RemoveAlert(alert_id):
                self._rows[sql.PUT_ALERT].pop(alert_id, None)
                self._put(sql.REMOVE_ALERT, alert_id)
            case _:
                assert_never(change)

    def rows(self) -> dict[str, list[Row]]:
        for transaction in self._transactions.values():
            self._put(sql.PUT_TRANSACTION, *_transaction_row(transaction))
        for charge_point in self._charge_points.values():
            self._put(sql.PUT_CHARGE_POINT, charge_point.charge_point_id, encode(charge_point))
        for seen in self._seen.values():
            heartbeat = None if seen.last_heartbeat is None else time_text(seen.last_heartbeat)
            self._put(sql.PUT_SEEN, seen.charge_point_id, time_text(seen.last_seen), heartbeat)
        rows = {sql.ADD_BOOKING: self._bookings, sql.ADD_READING: self._readings}
        rows |= {statement: list(kept.values()) for statement, kept in self._rows.items()}
        rows |= ev.event_prunings(self._rows.get(ev.ADD_EVENT, ()))
        return {statement: added for statement, added in (rows | _prunings(rows)).items() if added}

    def _put(self, statement: str, key: Value, *values: Value) -> None:
        self._rows[statement][key] = (key, *values)

    def _remove_charge_point(self, charge_point_id: str) -> None:
        """What is put again within the commit is put after it: `rows` adds those statements last."""
        self._charge_points.pop(charge_point_id, None)
        self._seen.pop(charge_point_id, None)
        self._rows[sql.PUT_CONFIGURATION].pop(charge_point_id, None)
        for statement in (sql.REMOVE_CHARGE_POINT, sql.REMOVE_SEEN, sql.REMOVE_CONFIGURATION):
            self._put(statement, charge_point_id)

    def _see(self, change: ch.PutSeen) -> None:
        key = change.charge_point_id
        before = self._seen.get(key)
        if change.last_heartbeat is None and before is not None:
            change = replace(change, last_heartbeat=before.last_heartbeat)
        self._seen[key] = change


def _booking_row(booking: Booking) -> Row:
    return (
        booking.booking_id,
        booking.kind.value,
        time_text(booking.hour),
        booking.month,
        booking.day,
        booking.id_tag,
        booking.wh,
        time_text(booking.booked_at),
        booking.charge_point_id,
        booking.transaction_id,
        int(booking.is_on_quota),
        booking.reason,
    )


def _transaction_row(transaction: Transaction) -> Row:
    return (
        transaction.transaction_id,
        transaction.charge_point_id,
        transaction.id_tag,
        time_text(transaction.started_at),
        None if transaction.ended_at is None else time_text(transaction.ended_at),
        encode(transaction),
    )


def _prunings(rows: Mapping[str, list[Row]]) -> dict[str, list[Row]]:
    """Let go of the oldest entries now and then: when the numbers added pass a multiple of 250, of notes 2,500."""
    due: dict[str, list[Row]] = {}
    if newest := _passed(rows.get(sql.ADD_READING, ()), _PRUNE_EVERY):
        due[sql.PRUNE_READINGS] = [(newest - MOST_READINGS,)]
    if newest := _passed(rows.get(sql.ADD_REFUSED_TAG, ()), _PRUNE_EVERY):
        due[sql.PRUNE_REFUSED_TAGS] = [(newest - MOST_REFUSED_TAGS,)]
    if newest := _passed(rows.get(sql.PUT_SET_ASIDE, ()), _PRUNE_EVERY):
        due[sql.PRUNE_SET_ASIDE] = [(newest - MOST_WITHDRAWN,)]
    if _passed(rows.get(sql.ADD_NOTE, ()), _PRUNE_NOTES_EVERY):
        due |= {sql.PRUNE_NOTES: [(MOST_NOTES,)], sql.PRUNE_EVIDENCE: [(MOST_EVIDENCE,)]}
    return due


def _passed(rows: Iterable[Row], every: int) -> int | None:
    """The highest of the numbers that were added, if they pass a multiple of `every`."""
    numbers = [row[0] for row in rows if isinstance(row[0], int)]
    if not numbers or max(numbers) // every == (min(numbers) - 1) // every:
        return None
    return max(numbers)
