"""The command `explain TRANSACTION|TAG`: why a session went as it did, or how a card stands.

It reads the ledger beside whoever writes it, so it makes no difference whether the server runs.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from ocpp_server.control_api.explaining_words import clock_time, kwh
from ocpp_server.control_api.explanation_documents import SessionExplanation, TagExplanation
from ocpp_server.control_api.explanations import explain_session, explain_tag
from ocpp_server.control_api.ledger_documents import NoteDocument
from ocpp_server.settings import Settings
from ocpp_server.start import StartError, clock_of, policy_of
from ocpp_server.storage.errors import LedgerError
from ocpp_server.storage.ledger_reader import LedgerReader

_MOST_LINES: Final = 15
"""Of each list; `--json` has them all."""
_LARGEST_SESSION: Final = 2**63 - 1


def explain(settings: Settings, arguments: argparse.Namespace) -> int:
    """Print the account; 0, or 2 with a sentence if there is none."""
    try:
        told = _account(settings, arguments.what.strip(), is_tag=arguments.tag)
    except (LedgerError, StartError, msgspec.MsgspecError) as error:
        print(f"not explained: {error}", file=sys.stderr)
        return 2
    if told is None:
        print(f"not explained: no session and no tag {arguments.what!r} is known", file=sys.stderr)
        return 2
    if arguments.json:
        print(json.dumps(msgspec.to_builtins(told), indent=2))  # ASCII: whatever a charge point sent can be printed
    else:
        for line in _lines(told, settings.zone):
            print(_safe(line))
    return 0


def _account(settings: Settings, what: str, *, is_tag: bool) -> SessionExplanation | TagExplanation | None:
    """A number is a session if there is such a one, else a card. Raises LedgerError, StartError."""
    reader, policy = LedgerReader(settings.data_dir / "ledger.db"), policy_of(settings)
    if not is_tag and what.isascii() and what.isdigit() and int(what[:20]) <= _LARGEST_SESSION:
        session = explain_session(reader, policy, int(what[:20]))
        if session is not None:
            return session
    today = clock_of(settings).now().astimezone(settings.zone).date()
    return explain_tag(reader, policy, what, today)


def _lines(told: SessionExplanation | TagExplanation, zone: ZoneInfo) -> Iterator[str]:
    yield from told.summary
    if isinstance(told, SessionExplanation):
        yield from _session_lines(told, zone)
    else:
        yield from _tag_lines(told, zone)


def _session_lines(told: SessionExplanation, zone: ZoneInfo) -> Iterator[str]:
    readings = [
        f"{clock_time(one.at, zone)}  {one.register_wh:>10} Wh  {one.power_w:>6} W  from {one.charge_point_id}"
        for one in told.readings
    ]
    bookings = [
        f"{clock_time(one.booked_at, zone)}  {one.wh:>10} Wh  {one.kind}, {one.month}, on {one.id_tag}"
        + ("" if one.is_on_quota else ", not on the quota")
        for one in told.bookings
    ]
    yield from _list("Readings", readings)
    yield from _list("Bookings", bookings)
    yield from _list("Decisions and notes", [_note(note, zone) for note in told.notes])


def _tag_lines(told: TagExplanation, zone: ZoneInfo) -> Iterator[str]:
    sessions = [
        f"{one.transaction_id}  {clock_time(one.started_at, zone)}  {one.charge_point_id}  {kwh(one.energy_wh)}  "
        + ("runs" if one.ended_at is None else one.reason)
        for one in reversed(told.sessions)
    ]
    adjustments = [
        f"{clock_time(one.booked_at, zone)}  {kwh(one.wh)}  {one.reason}" for one in reversed(told.adjustments)
    ]
    yield from _list("Sessions", sessions)
    yield from _list("Adjustments", adjustments)
    yield from _list("Decisions and notes", [_note(note, zone) for note in reversed(told.notes)])


def _list(title: str, lines: list[str]) -> Iterator[str]:
    """The newest of them, oldest first."""
    if not lines:
        return
    yield ""
    yield f"{title}:"
    if len(lines) > _MOST_LINES:
        yield f"  … {len(lines) - _MOST_LINES} earlier ones: see --json"
    yield from (f"  {line}" for line in lines[-_MOST_LINES:])


def _safe(line: str) -> str:
    """What charge points sent cannot steer the terminal."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in line)


def _note(note: NoteDocument, zone: ZoneInfo) -> str:
    figures = " ".join(f"{name}={value}" for name, value in note.figures.items())
    return f"{clock_time(note.at, zone)}  {note.kind.value}: {note.text}  {figures}".rstrip()
