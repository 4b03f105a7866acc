"""The events of the ledger as an outbox, in a lane for each charge point."""

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from ocpp_server.core.events import Event
from ocpp_server.delivery.outbox import DEFAULT, Item
from ocpp_server.storage.errors import LedgerError
from ocpp_server.storage.event_documents import event_document, event_key
from ocpp_server.storage.ledger_codec import decode, text_of
from ocpp_server.storage.ledger_file import connect_read_only

_BEHIND: Final = """
FROM events WHERE number > :least
    AND number > coalesce((SELECT value FROM json_each(:positions) WHERE key = lane), :others)
"""


class EventOutbox:
    """A `Source`. `newest` tells the highest number of an event so far."""

    def __init__(self, path: Path, newest: Callable[[], int]) -> None:
        self.newest = newest
        self._path = path

    @property
    def outbox(self) -> str:
        """Its table."""
        return "events"

    def page(self, after: Mapping[str, int], limit: int) -> list[Item]:
        """The first events behind these positions, in the order of their numbers. Raises LedgerError."""
        query = f"SELECT number, lane, document {_BEHIND} ORDER BY number LIMIT :limit"
        with self._reading() as connection:
            rows = connection.execute(query, self._values(after) | {"limit": limit}).fetchall()
        return [_item(number, text_of(lane), decode(document, Event)) for number, lane, document in rows]

    def count(self, after: Mapping[str, int]) -> int:
        """How many events are behind these positions. Raises LedgerError."""
        with self._reading() as connection:
            (behind,) = connection.execute(f"SELECT count(*) {_BEHIND}", self._values(after)).fetchone()
        return int(behind)

    def _values(self, after: Mapping[str, int]) -> dict[str, str | int]:
        others = after.get(DEFAULT, 0)
        positions = {lane: number for lane, number in after.items() if lane != DEFAULT}
        least = min([others, *positions.values()])
        return {"least": least, "positions": json.dumps(positions), "others": others}

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(connect_read_only(self._path)) as connection:
                yield connection
        except sqlite3.Error as error:
            message = f"the ledger {self._path} cannot be read: {error}"
            raise LedgerError(message) from error


def _item(number: int, lane: str, event: Event) -> Item:
    return Item(number, lane, event_key(number, event), event_document(number, event))
