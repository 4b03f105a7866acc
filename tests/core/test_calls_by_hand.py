"""What a person has asked of a charge point is kept with their name."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from ocpp_server.core.commands import Done, RecordCall
from ocpp_server.core.decide import decide
from ocpp_server.core.records import NoteKind
from ocpp_server.core.site import Policy, Site

NOW = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)


def test_a_call_is_a_note_of_who_asked_for_what() -> None:
    """For the audit; nothing else of the site changes."""
    site = Site(Policy(ZoneInfo("Europe/Istanbul")))
    decision = decide(site, RecordCall("CP1", NOW, "Reset", "Accepted", "Ann"))

    assert decision.reply == Done()
    (note,) = decision.notes
    assert (note.kind, note.text, note.charge_point_id) == (NoteKind.CALL, "Reset", "CP1")
    assert dict(note.figures) == {"by": "Ann", "result": "Accepted"}
    assert len(decision.changes) == 1  # the note itself
