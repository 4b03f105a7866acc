"""The making of a decision: changes and notes in the order in which they were decided.

A draft reads the site and never alters it; numbers of new entries go on from the site's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ocpp_server.core import changes as ch
from ocpp_server.core.commands import Reply
from ocpp_server.core.energy import Wh
from ocpp_server.core.period import Month, Slice, month_start, next_month, split_by_hour
from ocpp_server.core.records import (
    Booking,
    BookingKind,
    ChargePoint,
    Note,
    NoteKind,
    Reading,
    RefusedTag,
    Transaction,
)
from ocpp_server.core.site import Site
from ocpp_server.core.users import IdTag


@dataclass(frozen=True, slots=True)
class Decision:
    """A reply, the changes that must be durable before it leaves, and the notes among them for the log."""

    reply: Reply
    changes: tuple[ch.Change, ...] = ()
    notes: tuple[Note, ...] = ()


class Draft:
    """Collects the changes of one decision. Later rules see what earlier ones drafted through `transaction` and
    `charge_point`.
    """

    def __init__(self, site: Site, at: datetime) -> None:
        self.site = site
        self.at = at
        self.changes: list[ch.Change] = []
        self.notes: list[Note] = []
        self._booking_id = site.next_booking_id
        self._reading_number = site.next_reading_number
        self._note_number = site.next_note_number
        self._keys: set[str] = set()

    def decide(self, reply: Reply) -> Decision:
        """The finished decision."""
        return Decision(reply, tuple(self.changes), tuple(self.notes))

    def put(self, change: ch.Change) -> None:
        """Draft a change."""
        self.changes.append(change)

    def note(
        self,
        kind: NoteKind,
        text: str,
        transaction: Transaction | None = None,
        *,
        charge_point_id: str = "",
        connector_id: int | None = None,
        id_tag: str = "",
        figures: Mapping[str, object] | None = None,
    ) -> None:
        """Draft a note; a transaction fills in what it knows."""
        note = Note(
            kind=kind,
            at=self.at,
            text=text,
            charge_point_id=transaction.charge_point_id if transaction else charge_point_id,
            connector_id=transaction.connector_id if transaction else connector_id,
            transaction_id=transaction.transaction_id if transaction else None,
            id_tag=transaction.id_tag if transaction else id_tag,
            figures=tuple((name, str(value)) for name, value in (figures or {}).items()),
        )
        self.notes.append(note)
        self.put(ch.AddNote(self._note_number, note))
        self._note_number += 1

    def refuse(self, id_tag: str, charge_point_id: str, reason: str) -> None:
        """Remember a refused tag, whole."""
        refused = RefusedTag(id_tag, self.at, charge_point_id, reason)
        self.put(ch.AddRefusedTag(self.site.next_refusal_number, refused))

    def read(self, reading: Reading) -> None:
        """Draft a line of the meter log, unless this very reading is already there."""
        if reading.key in self.site.reading_keys or reading.key in self._keys:
            return
        self._keys.add(reading.key)
        self.put(ch.AddReading(replace(reading, number=self._reading_number)))
        self._reading_number += 1

    def charge_point(self, charge_point_id: str) -> ChargePoint:
        """The charge point as it is known; a stranger starts as one that has never booted."""
        known = self.site.charge_points.get(charge_point_id)
        return known if known is not None else ChargePoint(charge_point_id, first_seen=self.at)

    def book(self, transaction: Transaction, energy: Wh, until: datetime) -> Transaction:
        """Bring the books of a transaction to `energy` Wh, the step having flowed until this time.

        More is split over the hours and months since the last reading (rule 10). Less is taken back from the newest
        month first, never below zero in any month.
        """
        delta = energy - transaction.energy
        if delta > 0:
            since = min(transaction.booked_at or transaction.started_at, until)
            booked = dict(transaction.booked)
            for part in split_by_hour(since, until, Wh(delta), self.site.policy.zone):
                self._add(transaction, part, BookingKind.ENERGY)
                booked[part.month] = Wh(booked.get(part.month, 0) + part.wh)
            return replace(transaction, booked=tuple(sorted(booked.items())))
        if delta < 0:
            return self._take_back(transaction, Wh(-delta), until)
        return transaction

    def adjust(self, id_tag: str, wh: Wh, part: Slice, kind: BookingKind, reason: str) -> None:
        """Book energy that no transaction stands for."""
        self._put_booking(part, kind, id_tag, wh, reason=reason)

    def _take_back(self, transaction: Transaction, wh: Wh, until: datetime) -> Transaction:
        zone = self.site.policy.zone
        booked = dict(transaction.booked)
        left = wh
        for month in sorted(booked, reverse=True):
            part = Wh(min(left, booked[month]))
            if part:
                end = min(until, month_start(next_month(month), zone) - timedelta(hours=1))
                at = max(end, month_start(month, zone))
                (place,) = split_by_hour(at, at, Wh(-part), zone)
                self._add(transaction, place, BookingKind.CORRECTION)
                booked[month] = Wh(booked[month] - part)
                left = Wh(left - part)
        kept = tuple((month, amount) for month, amount in sorted(booked.items()) if amount)
        return replace(transaction, booked=kept)

    def _add(self, transaction: Transaction, part: Slice, kind: BookingKind) -> None:
        self._put_booking(
            part,
            kind,
            transaction.id_tag,
            part.wh,
            charge_point_id=transaction.charge_point_id,
            transaction_id=transaction.transaction_id,
            is_on_quota=transaction.is_on_quota,
        )

    def _put_booking(
        self,
        part: Slice,
        kind: BookingKind,
        id_tag: str,
        wh: Wh,
        *,
        charge_point_id: str = "",
        transaction_id: int | None = None,
        is_on_quota: bool = True,
        reason: str = "",
    ) -> None:
        booking = Booking(
            self._booking_id,
            kind,
            part.hour,
            part.month,
            part.day,
            IdTag(id_tag),
            wh,
            self.at,
            charge_point_id,
            transaction_id,
            is_on_quota,
            reason,
        )
        self.put(ch.AddBooking(booking))
        self._booking_id += 1

    def booked_here(self, month: Month, tags: frozenset[str]) -> Wh:
        """Wh drafted so far on quotas for these tags in a month."""
        return Wh(
            sum(
                change.booking.wh
                for change in self.changes
                if isinstance(change, ch.AddBooking)
                and change.booking.is_on_quota
                and change.booking.month == month
                and change.booking.id_tag in tags
            )
        )
