"""Log lines for people: one event with fields behind its tag, id tags shortened, nothing raw from outside.

Tags: [CONNECT] [AUTH] [TRANSACTION] [METER] [QUOTA] [STATUS].
"""

import logging

from ocpp_server.core.changes import PutTransaction
from ocpp_server.core.commands import Command, StartTransaction, StopTransaction
from ocpp_server.core.draft import Decision
from ocpp_server.core.records import ROWS, SAID, EndKind, Note, NoteKind, Transaction

log = logging.getLogger("evquota")

_TAGS = {
    NoteKind.REFUSAL: "AUTH",
    NoteKind.STOP: "QUOTA",
    NoteKind.STOP_FAILED: "QUOTA",
    NoteKind.WARNING: "QUOTA",
    NoteKind.OVERSHOOT: "QUOTA",
    NoteKind.ADJUSTED: "QUOTA",
    NoteKind.DECIDED: "QUOTA",
    NoteKind.USER: "QUOTA",
    NoteKind.CHARGE_POINT: "STATUS",
    NoteKind.CALL: "STATUS",
    NoteKind.MONTH: "QUOTA",
    NoteKind.ODDITY: "METER",
    NoteKind.SET_ASIDE: "METER",
    NoteKind.UNATTRIBUTED: "METER",
    NoteKind.ORPHAN: "TRANSACTION",
    NoteKind.CLOSED: "TRANSACTION",
    NoteKind.SECURITY: "STATUS",
    NoteKind.MESSAGE: "STATUS",
    NoteKind.ALERT: "STATUS",
}
_LONGEST_FIELD = 200
_LONGEST_LINE = 2000
_WARNINGS = {NoteKind.SET_ASIDE, NoteKind.ORPHAN, NoteKind.STOP_FAILED, NoteKind.SECURITY, NoteKind.CLOSED}


def printable(text: str) -> str:
    """The text without control characters, at most 200 characters: what came from outside cannot forge a line."""
    cut = text[: _LONGEST_FIELD + 1]
    safe = cut if cut.isprintable() else cut.encode("unicode_escape").decode("ascii")
    return safe if len(safe) <= _LONGEST_FIELD else safe[: _LONGEST_FIELD - 1] + "…"


def short_tag(id_tag: str) -> str:
    """The last four characters of an id tag: enough to recognise, too little to copy."""
    return printable(id_tag if len(id_tag) <= 4 else "…" + id_tag[-4:])


def log_decision(command: Command, decision: Decision) -> None:
    """Log the notes of a decision, and the begin and end of transactions. A reading in order is no event."""
    for note in decision.notes:
        _log_note(note)
    if isinstance(command, StartTransaction | StopTransaction):
        for change in decision.changes:
            if isinstance(change, PutTransaction):
                _log_transaction(change.transaction)


def _log_transaction(transaction: Transaction) -> None:
    if transaction.end_kind is EndKind.STOPPED:
        log.info(
            "[TRANSACTION] ended charge_point=%s connector=%d transaction=%d tag=%s energy_wh=%d reason=%s",
            printable(transaction.charge_point_id),
            transaction.connector_id,
            transaction.transaction_id,
            short_tag(transaction.id_tag),
            transaction.energy,
            printable(transaction.stop_reason),
        )
    elif transaction.is_open:
        log.info(
            "[TRANSACTION] started charge_point=%s connector=%d transaction=%d tag=%s status=%s",
            printable(transaction.charge_point_id),
            transaction.connector_id,
            transaction.transaction_id,
            short_tag(transaction.id_tag),
            transaction.status,
        )


def _log_note(note: Note) -> None:
    fields = [f"charge_point={printable(note.charge_point_id)}"] if note.charge_point_id else []
    if note.connector_id is not None:
        fields.append(f"connector={note.connector_id}")
    if note.transaction_id is not None:
        fields.append(f"transaction={note.transaction_id}")
    if note.id_tag:
        fields.append(f"tag={short_tag(note.id_tag)}")
    fields += [f"{name}={printable(value)}" for name, value in note.figures if name not in (SAID, ROWS)]
    level = logging.WARNING if note.kind in _WARNINGS else logging.INFO
    line = " ".join([f"[{_TAGS[note.kind]}]", f"{note.kind.value}:", printable(note.text), *fields])
    log.log(level, "%s", line if len(line) <= _LONGEST_LINE else line[: _LONGEST_LINE - 1] + "…")
