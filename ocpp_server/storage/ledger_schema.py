"""The tables of the ledger and the statements that write them. What the documents hold is `core.records`.

Totals are rows that triggers maintain, so they change with their bookings, and a booking that is already there adds
nothing. `ON CONFLICT … DO NOTHING` rather than `OR IGNORE`: the latter would pass over broken constraints as well,
and reach into the triggers.
"""

from ocpp_server.storage.delivery_tables import DELIVERY_TABLES
from ocpp_server.storage.event_tables import EVENT_TABLES

SCHEMA_VERSION = 3

_SET_ASIDE = """
CREATE TABLE set_aside (
    number INTEGER PRIMARY KEY, state TEXT NOT NULL, charge_point_id TEXT NOT NULL, document TEXT NOT NULL
);
CREATE INDEX set_aside_by_state ON set_aside (state, number);
"""

UPGRADES = {1: f"BEGIN;{_SET_ASIDE}", 2: f"BEGIN;{EVENT_TABLES}{DELIVERY_TABLES}"}
"""What makes a ledger of this schema one of the next; each begins a transaction that whoever runs it ends."""

_TABLES = """
BEGIN;
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE bookings (
    booking_id INTEGER PRIMARY KEY, kind TEXT NOT NULL, hour TEXT NOT NULL, month TEXT NOT NULL, day TEXT NOT NULL,
    id_tag TEXT NOT NULL, wh INTEGER NOT NULL, booked_at TEXT NOT NULL, charge_point_id TEXT NOT NULL,
    transaction_id INTEGER, is_on_quota INTEGER NOT NULL, reason TEXT NOT NULL
);
CREATE TABLE usage (
    month TEXT NOT NULL, id_tag TEXT NOT NULL, wh INTEGER NOT NULL, PRIMARY KEY (month, id_tag)
) WITHOUT ROWID;
CREATE TABLE delivered (charge_point_id TEXT PRIMARY KEY, wh INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE energy_by_hour (
    charge_point_id TEXT NOT NULL, hour TEXT NOT NULL, wh INTEGER NOT NULL, PRIMARY KEY (charge_point_id, hour)
) WITHOUT ROWID;
CREATE TABLE energy_by_day (
    id_tag TEXT NOT NULL, day TEXT NOT NULL, wh INTEGER NOT NULL, PRIMARY KEY (id_tag, day)
) WITHOUT ROWID;
CREATE TRIGGER booked AFTER INSERT ON bookings BEGIN
    INSERT INTO energy_by_day VALUES (NEW.id_tag, NEW.day, NEW.wh)
        ON CONFLICT (id_tag, day) DO UPDATE SET wh = wh + excluded.wh;
END;
CREATE TRIGGER booked_on_quota AFTER INSERT ON bookings WHEN NEW.is_on_quota BEGIN
    INSERT INTO usage VALUES (NEW.month, NEW.id_tag, NEW.wh)
        ON CONFLICT (month, id_tag) DO UPDATE SET wh = wh + excluded.wh;
END;
CREATE TRIGGER booked_at_charge_point AFTER INSERT ON bookings WHEN NEW.charge_point_id <> '' BEGIN
    INSERT INTO delivered VALUES (NEW.charge_point_id, NEW.wh)
        ON CONFLICT (charge_point_id) DO UPDATE SET wh = wh + excluded.wh;
    INSERT INTO energy_by_hour VALUES (NEW.charge_point_id, NEW.hour, NEW.wh)
        ON CONFLICT (charge_point_id, hour) DO UPDATE SET wh = wh + excluded.wh;
END;
CREATE TABLE transactions (
    transaction_id INTEGER PRIMARY KEY, charge_point_id TEXT NOT NULL, id_tag TEXT NOT NULL, started_at TEXT NOT NULL,
    ended_at TEXT, document TEXT NOT NULL
);
CREATE INDEX transactions_by_end ON transactions (ended_at);
CREATE TABLE charge_points (id TEXT PRIMARY KEY, document TEXT NOT NULL);
CREATE TABLE seen (id TEXT PRIMARY KEY, last_seen TEXT NOT NULL, last_heartbeat TEXT);
CREATE TABLE configurations (id TEXT PRIMARY KEY, at TEXT NOT NULL, document TEXT NOT NULL);
CREATE TABLE readings (number INTEGER PRIMARY KEY, document TEXT NOT NULL);
CREATE TABLE notes (number INTEGER PRIMARY KEY, at TEXT NOT NULL, kind TEXT NOT NULL, document TEXT NOT NULL);
CREATE TABLE refused_tags (number INTEGER PRIMARY KEY, document TEXT NOT NULL);
CREATE TABLE alerts (alert_id TEXT PRIMARY KEY, document TEXT NOT NULL);
CREATE TABLE in_force (name TEXT PRIMARY KEY, document TEXT NOT NULL);
"""
SCHEMA = _TABLES + _SET_ASIDE + EVENT_TABLES + DELIVERY_TABLES
"""Begins a transaction that whoever runs it ends. Times are `ledger_codec.time_text`, documents JSON.
`in_force` holds one document each: users, chargers, open_month. Of `meta` see `ledger`.
"""

ADD_BOOKING = "INSERT INTO bookings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (booking_id) DO NOTHING"
ADD_READING = "INSERT INTO readings VALUES (?, ?) ON CONFLICT (number) DO NOTHING"
ADD_NOTE = "INSERT INTO notes VALUES (?, ?, ?, ?) ON CONFLICT (number) DO NOTHING"
ADD_REFUSED_TAG = "INSERT INTO refused_tags VALUES (?, ?) ON CONFLICT (number) DO NOTHING"
PUT_TRANSACTION = """
INSERT INTO transactions VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (transaction_id) DO UPDATE SET
    charge_point_id = excluded.charge_point_id, id_tag = excluded.id_tag, started_at = excluded.started_at,
    ended_at = excluded.ended_at, document = excluded.document
"""
PUT_CHARGE_POINT = """
INSERT INTO charge_points VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET document = excluded.document
"""
REMOVE_CHARGE_POINT = "DELETE FROM charge_points WHERE id = ?"
REMOVE_SEEN = "DELETE FROM seen WHERE id = ?"
REMOVE_CONFIGURATION = "DELETE FROM configurations WHERE id = ?"
PUT_SEEN = """
INSERT INTO seen VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET
    last_seen = excluded.last_seen, last_heartbeat = coalesce(excluded.last_heartbeat, last_heartbeat)
"""
PUT_CONFIGURATION = """
INSERT INTO configurations VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET
    at = excluded.at, document = excluded.document
"""
PUT_SET_ASIDE = """
INSERT INTO set_aside VALUES (?, ?, ?, ?) ON CONFLICT (number) DO UPDATE SET
    state = excluded.state, charge_point_id = excluded.charge_point_id, document = excluded.document
"""
PUT_IN_FORCE = "INSERT INTO in_force VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET document = excluded.document"
PUT_ALERT = "INSERT INTO alerts VALUES (?, ?) ON CONFLICT (alert_id) DO UPDATE SET document = excluded.document"
REMOVE_ALERT = "DELETE FROM alerts WHERE alert_id = ?"
PUT_META = "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"

_PRUNE_NOTES = """
DELETE FROM notes WHERE number IN (
    SELECT number FROM (
        SELECT number, row_number() OVER (
            PARTITION BY CASE WHEN json_valid(document) THEN json_extract(document, '$.charge_point_id') END
            ORDER BY number DESC
        ) AS newer FROM notes WHERE kind {kinds}
    ) ORDER BY newer DESC, number
    LIMIT max(0, (SELECT count(*) FROM notes WHERE kind {kinds}) - ?)
)
"""
"""Down to so many, at the cost of the charge points that have most: a noisy one does not push out what others said."""
PRUNE_READINGS = """
WITH wanted (number) AS (
    VALUES (?) UNION ALL SELECT min(number) FROM deliveries WHERE outbox = 'readings' HAVING count(*)
)
DELETE FROM readings WHERE number IN (
    SELECT number FROM readings WHERE number <= (SELECT min(number) FROM wanted) ORDER BY number LIMIT 1000
)
"""
"""Not what a destination has yet to get, and after its outage not all at once: charge points wait for the commit."""
PRUNE_NOTES = _PRUNE_NOTES.format(kinds="NOT IN ('set aside', 'orphan')")
PRUNE_EVIDENCE = _PRUNE_NOTES.format(kinds="IN ('set aside', 'orphan')")
"""Notes of energy that was not booked: who has a question about it may ask late."""
PRUNE_SET_ASIDE = "DELETE FROM set_aside WHERE state = 'withdrawn' AND number <= ?"
"""What a person decided is kept for ever, as the bookings are."""
PRUNE_REFUSED_TAGS = "DELETE FROM refused_tags WHERE number <= ?"
