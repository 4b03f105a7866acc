"""What the server noted: refusals, stops, oddities, orphans, readings that were set aside, and what people did.

The audit is the notes that name somebody; `GET /api/v1/alerts/history` those of alerts.
"""

from datetime import datetime
from typing import Final

import msgspec

from ocpp_server.control_api.ledger_documents import NoteDocument, note_document
from ocpp_server.control_api.ledger_pages import SessionPage, answer, look, next_of, wanted
from ocpp_server.control_api.routing import Answer, Request, Route
from ocpp_server.core.records import NoteKind
from ocpp_server.storage.ledger_reader import LedgerReader

WHO: Final = "by"
"""The figure of a note that says who did it."""


class NotesPage(SessionPage, kw_only=True):
    """Which notes, of a kind that is given."""


class NotesQuery(SessionPage, kw_only=True):
    """Which notes. "orphan" and "set aside" are energy that was not booked."""

    kind: NoteKind | None = None


class NoteList(msgspec.Struct, kw_only=True):
    """The newest first."""

    notes: list[NoteDocument]
    next: int | None


class Deed(msgspec.Struct, kw_only=True):
    """Who did what to what, and when."""

    number: int
    at: datetime
    by: str
    """As it said itself."""
    kind: NoteKind
    what: str
    charge_point_id: str
    transaction_id: int | None
    id_tag: str
    figures: dict[str, str]


class Audit(msgspec.Struct, kw_only=True):
    """The newest first."""

    audit: list[Deed]
    next: int | None


class Notes:
    """The routes of these resources."""

    def __init__(self, reader: LedgerReader) -> None:
        self._reader = reader

    def routes(self) -> list[Route]:
        """For `ControlApi`."""
        return [
            Route(
                "GET",
                "/api/v1/notes",
                self.list_notes,
                "books",
                "What the server noted, newest first",
                gives=NoteList,
                query=NotesQuery,
                role="administrator",
            ),
            Route(
                "GET",
                "/api/v1/audit",
                self.list_audit,
                "books",
                "Who did what, newest first",
                gives=Audit,
                query=NotesPage,
                role="administrator",
            ),
            Route(
                "GET",
                "/api/v1/alerts/history",
                self.list_alert_history,
                "alerts",
                "Alerts that were raised, acknowledged and resolved",
                gives=NoteList,
                query=NotesPage,
            ),
        ]

    async def list_notes(self, request: Request) -> Answer:
        kind = request.query.kind
        return await self._page(request, () if kind is None else (kind,))

    async def list_alert_history(self, request: Request) -> Answer:
        return await self._page(request, (NoteKind.ALERT,))

    async def list_audit(self, request: Request) -> Answer:
        found = await look(self._reader.notes, wanted(request.query), with_figure=WHO)
        notes = [note_document(number, note) for number, note in found]
        return answer(
            Audit(audit=[_deed(note) for note in notes], next=next_of([n.number for n in notes], request.query))
        )

    async def _page(self, request: Request, kinds: tuple[NoteKind, ...]) -> Answer:
        found = await look(self._reader.notes, wanted(request.query), kinds)
        return answer(
            NoteList(
                notes=[note_document(number, note) for number, note in found],
                next=next_of([number for number, _ in found], request.query),
            )
        )


def _deed(note: NoteDocument) -> Deed:
    return Deed(
        number=note.number,
        at=note.at,
        by=note.figures[WHO],
        kind=note.kind,
        what=note.text,
        charge_point_id=note.charge_point_id,
        transaction_id=note.transaction_id,
        id_tag=note.id_tag,
        figures={name: value for name, value in note.figures.items() if name != WHO},
    )
