"""The readings of the ledger as an outbox: each charge point is a lane, each reading the object of the meter log."""

from collections.abc import Mapping

from ocpp_server.core.records import Reading
from ocpp_server.core.site import Site
from ocpp_server.delivery.outbox import DEFAULT, UNWANTED, Item
from ocpp_server.storage.deliveries import Deliveries
from ocpp_server.storage.delivery_tables import LANES
from ocpp_server.storage.documents import reading_document
from ocpp_server.storage.ledger_codec import Value, decode

_LANE = LANES["readings"]


class ReadingOutbox:
    """A `Source`. `site` tells the newest reading and the names of charge points."""

    outbox = "readings"

    def __init__(self, deliveries: Deliveries, site: Site) -> None:
        self._deliveries = deliveries
        self._site = site

    def newest(self) -> int:
        """The number of the last reading so far."""
        return self._site.next_reading_number - 1

    def page(self, after: Mapping[str, int], limit: int) -> list[Item]:
        """The first readings behind these positions. Raises LedgerError."""
        condition, values = _behind(after)
        query = f"SELECT number, document FROM readings WHERE {condition} ORDER BY number LIMIT ?"  # noqa: S608 - ours
        rows = self._deliveries.read(lambda connection: connection.execute(query, (*values, limit)).fetchall())
        return [self._item(number, decode(document, Reading)) for number, document in rows]

    def count(self, after: Mapping[str, int]) -> int:
        """How many readings are behind these positions. Raises LedgerError."""
        condition, values = _behind(after)
        query = f"SELECT count(*) FROM readings WHERE {condition}"  # noqa: S608 - our own words
        return int(self._deliveries.read(lambda connection: connection.execute(query, values).fetchone())[0])

    def _item(self, number: int, reading: Reading) -> Item:
        document = reading_document(self._site, reading)
        return Item(number, reading.charge_point_id, document["ID"], document)


def _behind(after: Mapping[str, int]) -> tuple[str, tuple[Value, ...]]:
    """The condition, and its values. The lane of a reading is in its document: it is looked at only where it counts."""
    others = after[DEFAULT]
    own = {lane: number for lane, number in after.items() if lane != DEFAULT}
    wanted = {lane: number for lane, number in own.items() if number < UNWANTED}
    of_others = "number > ?"
    values: list[Value] = [min(after.values()), others]
    if own:
        of_others += f" AND {_LANE} NOT IN ({', '.join('?' * len(own))})"
        values += own
    of_own = "".join(f" OR (number > ? AND {_LANE} = ?)" for _ in wanted)
    for lane, number in wanted.items():
        values += (number, lane)
    return f"number > ? AND (({of_others}){of_own})", tuple(values)
