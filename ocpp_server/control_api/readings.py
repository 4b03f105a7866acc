"""`GET /api/v1/readings`: the meter log, further back than its file."""

import msgspec

from ocpp_server.control_api.ledger_documents import ReadingDocument, reading_document
from ocpp_server.control_api.ledger_pages import SessionPage, answer, look, next_of, wanted
from ocpp_server.control_api.routing import Answer, Request, Route
from ocpp_server.storage.ledger_reader import LedgerReader


class ReadingsQuery(SessionPage, kw_only=True):
    """Which readings."""


class ReadingList(msgspec.Struct, kw_only=True):
    """The newest first."""

    readings: list[ReadingDocument]
    next: int | None


class Readings:
    """The routes of this resource."""

    def __init__(self, reader: LedgerReader) -> None:
        self._reader = reader

    def routes(self) -> list[Route]:
        """For `ControlApi`."""
        return [
            Route(
                "GET",
                "/api/v1/readings",
                self.list_readings,
                "transactions",
                "The meter log, newest first",
                gives=ReadingList,
                query=ReadingsQuery,
            )
        ]

    async def list_readings(self, request: Request) -> Answer:
        found = await look(self._reader.readings, wanted(request.query))
        return answer(
            ReadingList(
                readings=[reading_document(number, reading) for number, reading in found],
                next=next_of([number for number, _ in found], request.query),
            )
        )
