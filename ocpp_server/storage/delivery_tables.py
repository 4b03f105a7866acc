"""The tables of deliveries in the ledger. What they are for is `deliveries`."""

from typing import Final

DELIVERY_TABLES: Final = """
CREATE TABLE deliveries (
    destination TEXT NOT NULL, outbox TEXT NOT NULL, lane TEXT NOT NULL, number INTEGER NOT NULL,
    PRIMARY KEY (destination, outbox, lane)
) WITHOUT ROWID;
CREATE TABLE delivery_gaps (
    destination TEXT NOT NULL, outbox TEXT NOT NULL, lost INTEGER NOT NULL, since TEXT NOT NULL, at TEXT NOT NULL,
    PRIMARY KEY (destination, outbox)
) WITHOUT ROWID;
CREATE TABLE undeliverable (
    destination TEXT NOT NULL, outbox TEXT NOT NULL, number INTEGER NOT NULL, lane TEXT NOT NULL, key TEXT NOT NULL,
    at TEXT NOT NULL, reason TEXT NOT NULL, is_due INTEGER NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (destination, outbox, number)
);
"""
"""`number`: the last entry of the lane that is settled; the blank lane stands for all without a row of their own.
`outbox` is the table of the entries. A loss is of entries that were dropped before the destination had them.
"""

DEFAULT_LANE: Final = ""
LANES: Final = {"readings": "json_extract(document, '$.charge_point_id')", "events": "lane"}
"""By outbox: how SQL finds the lane of an entry."""
DROPPABLE: Final = {"readings": "TRUE", "events": "type NOT GLOB 'session.*'"}
"""By outbox: which entries may be dropped before everybody had them; sessions never (F22)."""
MOST_SET_ASIDE: Final = 10_000
"""Of one destination; beyond them the oldest are dropped and count as lost."""
