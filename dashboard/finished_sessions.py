"""Sessions that ended: which are shown, and as a table for the page and for a file. Pure."""

from collections.abc import Collection, Iterable
from datetime import date, tzinfo

import pandas as pd

from dashboard.archive_files import FinishedSession
from dashboard.exports import Table, kwh_cell
from dashboard.texts import Words
from dashboard.wording import fold, plain

COLUMNS = ("start", "end", "person", "card", "charger", "connector", "energy", "minutes", "reason", "flags")
HEADINGS = {"energy": "session_energy"}
"""Columns whose heading in `texts` has another name."""


def reason_words(reason: str, words: Words) -> str:
    """Give the server's word for why a session ended in the language of the page; a new one is shown as it came."""
    return words.of("reasons", reason, reason)


def found(
    sessions: Iterable[FinishedSession],
    *,
    query: str = "",
    charge_points: Collection[str] = (),
    reasons: Collection[str] = (),
    days: tuple[date, date] | None = None,
    zone: tzinfo,
) -> list[FinishedSession]:
    """Give the sessions that fit all filters, the one that ended last first. `days` are of their end, both included."""
    asked = fold(query).split()

    def fits(session: FinishedSession) -> bool:
        text = fold(f"{session.person} {session.id_tag} {session.charge_point} {session.transaction_id}")
        return (
            all(word in text for word in asked)
            and (not charge_points or plain(session.charge_point) in charge_points)
            and (not reasons or session.reason in reasons)
            and (
                days is None or (session.end is not None and days[0] <= session.end.astimezone(zone).date() <= days[1])
            )
        )

    kept = [session for session in sessions if fits(session)]
    return sorted(kept, key=lambda session: (session.end is not None, session.end), reverse=True)


def table_of(sessions: Iterable[FinishedSession], words: Words) -> pd.DataFrame:
    """Give what the page shows. Times are UTC; the column's own zone shows them."""
    rows = [
        (
            session.start,
            session.end,
            plain(session.person),
            plain(session.id_tag),
            plain(session.charge_point),
            session.connector,
            kwh_cell(session.energy),
            session.duration_min,
            plain(reason_words(session.reason, words)),
            plain("; ".join(session.flags)),
        )
        for session in sessions
    ]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    for column in ("start", "end"):
        table[column] = pd.to_datetime(table[column], utc=True)
    return table.astype({"connector": "Int64", "minutes": "Int64"})


def export_of(sessions: Iterable[FinishedSession], words: Words, zone: tzinfo) -> Table:
    """Give the same for a file: whole texts, the transaction, times by the site's clock."""
    headings = (words("columns.transaction"), *(words(f"columns.{HEADINGS.get(name, name)}") for name in COLUMNS))
    rows = tuple(
        (
            session.transaction_id,
            *(moment and moment.astimezone(zone).replace(tzinfo=None) for moment in (session.start, session.end)),
            session.person,
            session.id_tag,
            session.charge_point,
            session.connector,
            kwh_cell(session.energy),
            session.duration_min,
            reason_words(session.reason, words),
            "; ".join(session.flags),
        )
        for session in sessions
    )
    return Table(words("sessions.finished"), headings, rows)
