"""Why a session went as it did, and how a card stands: every booking and note with its figures, and it all in words.

No HTTP: the routes and the command `explain` both ask here. It is read from the ledger in several looks, so the last
reading of a session that runs may stand in one list and not in the other yet.
"""

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Final, TypeVar

from ocpp_server.control_api.explaining_words import session_sentences, tag_sentences
from ocpp_server.control_api.explanation_documents import (
    Forecast,
    Overshoot,
    SessionExplanation,
    SessionInShort,
    TagExplanation,
)
from ocpp_server.control_api.ledger_documents import (
    booking_document,
    note_document,
    reading_document,
    transaction_document,
)
from ocpp_server.control_api.set_aside_documents import set_aside_document
from ocpp_server.core import changes as ch
from ocpp_server.core.quota import account_of, find_user, tags_of
from ocpp_server.core.records import BookingKind, Note, NoteKind
from ocpp_server.core.set_aside import SetAsideKind
from ocpp_server.core.site import Policy, Site, apply
from ocpp_server.core.users import IdTag
from ocpp_server.storage.ledger_reader import MOST_IN_A_PAGE, LedgerReader, Wanted

_T = TypeVar("_T")
_MOST_SESSIONS: Final = 20
_MOST_NOTES: Final = 50
_MOST_REFUSALS_LOOKED_AT: Final = 5_000


def explain_session(reader: LedgerReader, policy: Policy, transaction_id: int) -> SessionExplanation | None:
    """The whole account of one session, oldest first; None if there is none. Raises LedgerError. Blocks."""
    found = reader.transactions(Wanted(transaction_id=transaction_id))
    if not found:
        return None
    ((_, session),) = found

    def of_session(before: int | None) -> Wanted:
        return Wanted(transaction_id=transaction_id, before=before, limit=MOST_IN_A_PAGE)

    bookings = list(_all(lambda before: [(b.booking_id, b) for b in reader.bookings(of_session(before))]))
    readings = list(_all(lambda before: reader.readings(of_session(before))))
    notes = list(_all(lambda before: reader.notes(of_session(before))))
    set_aside = list(_all(lambda before: reader.set_aside(of_session(before))))
    explanation = SessionExplanation(
        summary=[],
        transaction=transaction_document(session),
        forecasts=[forecast for _, note in reversed(notes) if (forecast := _forecast(note)) is not None],
        overshoot=next((over for _, note in notes if (over := _overshoot(note)) is not None), None),
        bookings=[booking_document(booking) for _, booking in reversed(bookings)],
        readings=[reading_document(number, reading) for number, reading in reversed(readings)],
        notes=[note_document(number, note) for number, note in reversed(notes)],
        set_aside=[set_aside_document(one) for _, one in reversed(set_aside) if one.kind is SetAsideKind.READING],
    )
    explanation.summary = session_sentences(explanation, policy.zone)
    return explanation


def explain_tag(reader: LedgerReader, policy: Policy, stated: str, today: date) -> TagExplanation | None:
    """How a card stands this month, and what happened to it last; None if nothing is known of it.

    `today` in the site's zone. Raises LedgerError. Blocks.
    """
    table, month = reader.in_force()
    site = Site(policy, open_month=month)
    apply(site, ch.PutUsers(table))
    user = find_user(site, stated)
    id_tag, account = account_of(site, stated)
    tags = {tag.casefold() for tag in tags_of(site, account)}
    usage = {} if month is None else reader.usage(month)
    mine = Wanted(id_tag=id_tag, limit=_MOST_NOTES)
    sessions = reader.transactions(Wanted(id_tag=id_tag, limit=_MOST_SESSIONS))
    corrections = reader.bookings(mine, (BookingKind.ADJUSTMENT,))
    notes = dict(reader.notes(mine)) | dict(_refusals(reader, site, id_tag))
    used = [wh for tag, wh in usage.items() if tag.casefold() in tags]  # also in a spelling that a row had before
    if user is None and not (sessions or corrections or notes or used):
        return None
    explanation = TagExplanation(
        summary=[],
        id_tag=id_tag,
        account=account,
        shared_with=[tag for tag in tags_of(site, account) if tag != id_tag],
        is_known=user is not None,
        name="" if user is None else user.full_name,
        blocked=user is not None and user.blocked,
        expiry_date=None if user is None else user.expiry_date,
        is_expired=user is not None and user.expiry_date is not None and today > user.expiry_date,
        month=month,
        quota_wh=None if user is None else user.quota,
        used_wh=sum(used),
        sessions=[
            SessionInShort(
                transaction_id=number,
                charge_point_id=session.charge_point_id,
                started_at=session.started_at,
                ended_at=session.ended_at,
                energy_wh=session.energy,
                status=session.status.value,
                reason=session.stop_reason,
            )
            for number, session in sessions
        ],
        adjustments=[booking_document(booking) for booking in corrections],
        notes=[note_document(number, notes[number]) for number in sorted(notes, reverse=True)[:_MOST_NOTES]],
    )
    explanation.summary = tag_sentences(explanation, policy.zone)
    return explanation


def _all(page: Callable[[int | None], list[tuple[int, _T]]]) -> Iterator[tuple[int, _T]]:
    """Page after page, newest first."""
    entries = page(None)
    while entries:
        yield from entries
        entries = page(entries[-1][0]) if len(entries) == MOST_IN_A_PAGE else []


def _refusals(reader: LedgerReader, site: Site, id_tag: IdTag) -> Iterator[tuple[int, Note]]:
    """Refusals stand under what the charge point sent: another case, a suffix of its own (rule 13)."""
    pages = _all(lambda before: reader.notes(Wanted(before=before, limit=MOST_IN_A_PAGE), (NoteKind.REFUSAL,)))
    latest = islice(pages, _MOST_REFUSALS_LOOKED_AT)
    return islice((entry for entry in latest if account_of(site, entry[1].id_tag)[0] == id_tag), _MOST_NOTES)


def _forecast(note: Note) -> Forecast | None:
    """The figures of an order to stop, and what follows from them."""
    figures = dict(note.figures)
    if note.kind is not NoteKind.STOP or "used_wh" not in figures:
        return None
    quota, used, unreported, power = (_number(figures, name) for name in _ORDER_FIGURES)
    remaining = None if quota is None else quota - (used or 0) - (unreported or 0)
    return Forecast(
        at=note.at,
        cause=note.text,
        quota_wh=quota,
        used_wh=used or 0,
        unreported_wh=unreported or 0,
        remaining_wh=remaining,
        power_w=power,
        quota_reached_at=_reached_at(note.at, remaining, power),
    )


_ORDER_FIGURES: Final = ("quota_wh", "used_wh", "unreported_wh", "power_w")


def _reached_at(now: datetime, remaining: int | None, power_w: int | None) -> datetime | None:
    if remaining is None:
        return None
    if remaining <= 0:
        return now
    try:
        return now + timedelta(hours=remaining / power_w) if power_w else None
    except OverflowError:
        return None


def _overshoot(note: Note) -> Overshoot | None:
    figures = dict(note.figures)
    quota, used, over = (_number(figures, name) for name in ("quota_wh", "used_wh", "overshoot_wh"))
    if note.kind is not NoteKind.OVERSHOOT or quota is None or used is None or over is None:
        return None
    return Overshoot(at=note.at, quota_wh=quota, used_wh=used, overshoot_wh=over)


def _number(figures: dict[str, str], name: str) -> int | None:
    """A figure as a whole number; "None" and what is missing are none."""
    try:
        return round(float(figures.get(name, "")))
    except (ValueError, OverflowError):
        return None
