"""The making of a decision: changes and notes in the order in which they were decided.

A draft reads the site and never alters it; numbers of new entries go on from the site's.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TypedDict, Unpack

from ocpp_server.core import changes as ch
from ocpp_server.core.commands import Reply
from ocpp_server.core.energy import Wh
from ocpp_server.core.frozen import dataclass, replace
from ocpp_server.core.period import Month, Slice, month_start, next_month, split_by_hour
from ocpp_server.core.records import (
    Booking,
    BookingKind,
    ChargePoint,
    EndKind,
    Note,
    NoteKind,
    Reading,
    RefusedTag,
    Transaction,
)
from ocpp_server.core.set_aside import SetAside
from ocpp_server.core.site import Site
from ocpp_server.core.users import IdTag

_STATE_EVERY = timedelta(hours=1)


class NoteDetails(TypedDict, total=False):
    """What a note says beside its text; a transaction fills in all but the figures."""

    charge_point_id: str
    connector_id: int | None
    id_tag: str
    figures: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Decision:
    """A reply, the changes that must be durable before it leaves, and the notes among them for the log."""

    reply: Reply
    changes: tuple[ch.Change, ...] = ()
    notes: tuple[Note, ...] = ()


class Draft:
    """Collects the changes of one decision. Records that are not put yet are handed from rule to rule."""

    def __init__(self, site: Site, at: datetime) -> None:
        self.site = site
        self.at = at
        self.changes: list[ch.Change] = []
        self.notes: list[Note] = []
        self._booking_id = site.next_booking_id
        self._reading_number = site.next_reading_number
        self._note_number = site.next_note_number
        self._set_aside: dict[int, SetAside] = {}
        self._keys: set[str] = set()
        self._booked: dict[tuple[Month, IdTag], Wh] = {}

    def decide(self, reply: Reply) -> Decision:
        """The finished decision."""
        return Decision(reply, tuple(self.changes), tuple(self.notes))

    def put(self, change: ch.Change) -> None:
        """Draft a change."""
        self.changes.append(change)

    def note(
        self, kind: NoteKind, text: str, transaction: Transaction | None = None, **details: Unpack[NoteDetails]
    ) -> None:
        """Draft a note; a transaction fills in what it knows."""
        note = Note(
            kind=kind,
            at=self.at,
            text=text,
            charge_point_id=transaction.charge_point_id if transaction else details.get("charge_point_id", ""),
            connector_id=transaction.connector_id if transaction else details.get("connector_id"),
            transaction_id=transaction.transaction_id if transaction else None,
            id_tag=transaction.id_tag if transaction else details.get("id_tag", ""),
            figures=tuple((name, str(value)) for name, value in details.get("figures", {}).items()),
        )
        self.notes.append(note)
        self.put(ch.AddNote(self._note_number, note))
        self._note_number += 1

    def note_state(
        self, kind: NoteKind, text: str, transaction: Transaction | None = None, **details: Unpack[NoteDetails]
    ) -> None:
        """Draft a note on something that every message repeats: when it begins, then once an hour."""
        known = (
            text,
            transaction.charge_point_id if transaction else details.get("charge_point_id", ""),
            transaction.connector_id if transaction else details.get("connector_id"),
            transaction.transaction_id if transaction else None,
        )
        lately = self.at - _STATE_EVERY
        for earlier in reversed(self.site.notes):
            if earlier.at < lately:
                break
            if (earlier.text, earlier.charge_point_id, earlier.connector_id, earlier.transaction_id) == known:
                return
        self.note(kind, text, transaction, **details)

    def refuse(self, id_tag: str, charge_point_id: str, reason: str) -> None:
        """Remember a refused tag, whole."""
        refused = RefusedTag(id_tag, self.at, charge_point_id, reason)
        self.put(ch.AddRefusedTag(self.site.next_refusal_number, refused))

    @property
    def reading_number(self) -> int:
        """The number of the next line of the meter log."""
        return self._reading_number

    def has_reading(self, key: str) -> bool:
        """This very reading is in the meter log already."""
        return key in self.site.reading_keys or key in self._keys

    def read(self, reading: Reading) -> None:
        """Draft a line of the meter log."""
        self._keys.add(reading.key)
        self.put(ch.AddReading(reading))
        self._reading_number += 1

    @property
    def set_aside_number(self) -> int:
        """The number of the next energy that is set aside."""
        return max([self.site.next_set_aside_number, *(number + 1 for number in self._set_aside)])

    def open_set_aside(self) -> dict[int, SetAside]:
        """All energy that waits for a person, with what was drafted so far."""
        known = {**self.site.open_set_aside, **self._set_aside} if self._set_aside else self.site.open_set_aside
        return {number: one for number, one in known.items() if one.is_open}

    def set_aside_of(self, transaction_id: int) -> list[SetAside]:
        """Readings of this session that wait for a person, oldest first."""
        known = self.site.set_aside_of.get(transaction_id, {})
        if self._set_aside:
            known = known | {n: one for n, one in self._set_aside.items() if one.transaction_id == transaction_id}
        return [known[number] for number in sorted(known) if known[number].is_open]

    def put_set_aside(self, one: SetAside) -> None:
        """Draft it as it is from now on."""
        self._set_aside[one.number] = one
        self.put(ch.PutSetAside(one))

    def charge_point(self, charge_point_id: str) -> ChargePoint:
        """The charge point as it is known; a stranger starts as one that has never booted."""
        known = self.site.charge_points.get(charge_point_id)
        return known if known is not None else ChargePoint(charge_point_id, first_seen=self.at)

    def book(self, transaction: Transaction, energy: Wh, until: datetime) -> tuple[tuple[Month, Wh], ...]:
        """Bring the books of a transaction to `energy` Wh, the step having flowed until this time.

        Gives what is booked for it then, by month. More is split over the hours and months since the last reading
        (rule 10). Less is taken back from the newest month first, never below zero in any month.
        """
        delta = energy - transaction.energy
        if delta > 0:
            since = min(transaction.booked_at or transaction.started_at, until)
            booked = dict(transaction.booked)
            for part in split_by_hour(since, until, Wh(delta), self.site.policy.zone):
                self._add(transaction, part, BookingKind.ENERGY)
                booked[part.month] = Wh(booked.get(part.month, 0) + part.wh)
            return tuple(sorted(booked.items()))
        if delta < 0:
            return self._take_back(transaction, Wh(-delta), until)
        return transaction.booked

    def book_between(
        self, transaction: Transaction, wh: Wh, since: datetime, until: datetime, reason: str
    ) -> tuple[tuple[Month, Wh], ...]:
        """Book energy that a person added to a session and that flowed in this time, on top of what it has.

        Gives what is booked for it then, by month.
        """
        booked = dict(transaction.booked)
        for part in split_by_hour(min(since, until), until, wh, self.site.policy.zone):
            self._add(transaction, part, BookingKind.CORRECTION, reason)
            booked[part.month] = Wh(booked.get(part.month, 0) + part.wh)
        return tuple(sorted(booked.items()))

    def close(self, transaction: Transaction, kind: EndKind, text: str, figures: Mapping[str, object]) -> Transaction:
        """End a transaction that never ended, at its last trusted register (rule 22)."""
        closed = replace(
            transaction,
            ended_at=max(transaction.booked_at or transaction.started_at, transaction.started_at),
            ended_received_at=self.at,
            end_kind=kind,
            is_stale=False,
            stop=None,
            power_w=0,
            flow_w=0,
        )
        self.resolve(closed.stop_alert_id)
        self.note(NoteKind.CLOSED, text, closed, figures=figures)
        return closed

    def resolve(self, alert_id: str) -> None:
        """Draft the end of an alert, if there is one."""
        if alert_id in self.site.alerts:
            self.put(ch.RemoveAlert(alert_id))

    def adjust(
        self,
        id_tag: str,
        wh: Wh,
        part: Slice,
        kind: BookingKind,
        reason: str,
        *,
        charge_point_id: str = "",
        is_on_quota: bool = True,
    ) -> None:
        """Book energy that no transaction stands for."""
        self._put_booking(
            part, kind, id_tag, wh, charge_point_id=charge_point_id, is_on_quota=is_on_quota, reason=reason
        )

    def _take_back(self, transaction: Transaction, wh: Wh, until: datetime) -> tuple[tuple[Month, Wh], ...]:
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
        return tuple((month, amount) for month, amount in sorted(booked.items()) if amount)

    def _add(self, transaction: Transaction, part: Slice, kind: BookingKind, reason: str = "") -> None:
        self._put_booking(
            part,
            kind,
            transaction.id_tag,
            part.wh,
            charge_point_id=transaction.charge_point_id,
            transaction_id=transaction.transaction_id,
            is_on_quota=transaction.is_on_quota,
            reason=reason,
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
        if is_on_quota:
            key = (part.month, IdTag(id_tag))
            self._booked[key] = Wh(self._booked.get(key, 0) + wh)

    def used(self, month: Month, tags: list[IdTag]) -> Wh:
        """Wh on quotas for these tags in a month: in the books, and drafted so far."""
        drafted = sum(self._booked.get((month, tag), 0) for tag in tags) if self._booked else 0
        return Wh(self.site.used(month, tags) + drafted)
