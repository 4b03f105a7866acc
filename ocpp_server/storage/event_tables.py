"""The tables of events in the ledger, and how many are kept. What the documents hold is `core.events`."""

from collections.abc import Iterable
from typing import Final

from ocpp_server.core.events import Event
from ocpp_server.storage.ledger_codec import Row, Value, encode, time_text

EVENT_TABLES: Final = """
CREATE TABLE events (
    number INTEGER PRIMARY KEY, at TEXT NOT NULL, type TEXT NOT NULL, lane TEXT NOT NULL, document TEXT NOT NULL
);
CREATE TABLE quota_told (account TEXT PRIMARY KEY, document TEXT NOT NULL);
"""
"""`lane`: the charge point, or `SITE`. `quota_told`: the last threshold that was told of each account."""
SITE: Final = "*"
"""Lane of what concerns no charge point; no charge point can be called so."""

KEPT_EVENTS: Final = 5_000
"""So many of the newest stay in any case; older ones until every destination has had them."""
_PRUNE_EVERY: Final = 250

ADD_EVENT: Final = "INSERT INTO events VALUES (?, ?, ?, ?, ?) ON CONFLICT (number) DO NOTHING"
PUT_QUOTA_TOLD: Final = """
INSERT INTO quota_told VALUES (?, ?) ON CONFLICT (account) DO UPDATE SET document = excluded.document
"""
PRUNE_EVENTS: Final = """
WITH wanted (number) AS (
    VALUES (?) UNION ALL SELECT min(number) FROM deliveries WHERE outbox = 'events' HAVING count(*)
)
DELETE FROM events WHERE number IN (
    SELECT number FROM events WHERE number <= (SELECT min(number) FROM wanted) ORDER BY number LIMIT 1000
)
"""
"""Not what a destination has yet to get; and after its outage not all at once: charge points wait for the commit."""


def event_row(number: int, event: Event) -> Row:
    """For ADD_EVENT."""
    return number, time_text(event.at), event.type.value, event.charge_point_id or SITE, encode(event)


def event_prunings(numbers: Iterable[Value]) -> dict[str, list[Row]]:
    """What is let go of with these new events: nothing, unless their numbers pass a multiple of 250."""
    added = sorted(number for number in numbers if isinstance(number, int))
    if not added or added[-1] // _PRUNE_EVERY == (added[0] - 1) // _PRUNE_EVERY:
        return {}
    return {PRUNE_EVENTS: [(added[-1] - KEPT_EVENTS,)]}
