"""Records of the ledger as the API shows them. Energy in Wh, power in W, times ISO 8601 UTC."""

from datetime import datetime

import msgspec

from ocpp_server.core.records import SAID, Booking, Note, NoteKind, Reading, StopOrder, Transaction


class StopDocument(msgspec.Struct, kw_only=True):
    """The server's wish that a session stops, and what became of it."""

    cause: str
    ordered_at: datetime
    by: str
    """Who wanted it; blank: the server itself."""
    attempts: int
    failures: int
    attempted_at: datetime | None
    result: str
    """What became of the last attempt: the charge point's status, or "no answer", "offline", …"""
    next_attempt_at: datetime | None
    """None: the session has ended."""


class TransactionDocument(msgspec.Struct, kw_only=True):
    """One session. `id_tag` is the spelling of the books, `stated_id_tag` what the charge point sent."""

    transaction_id: int
    charge_point_id: str
    connector_id: int
    id_tag: str
    stated_id_tag: str
    full_name: str
    account: str
    status: str
    """The answer to its StartTransaction."""
    is_on_quota: bool
    started_at: datetime
    received_at: datetime
    is_start_clock_doubtful: bool
    meter_start_wh: int | None
    """None: its unit is not proven yet."""
    register_wh: int | None
    """The highest trusted register."""
    energy_wh: int
    """Booked so far."""
    booked: dict[str, int]
    """The same by month."""
    last_reading_at: datetime | None
    power_w: int
    is_stale: bool
    stop: StopDocument | None
    ended_at: datetime | None
    """None: it runs."""
    end_kind: str
    """stopped, superseded or stale; blank: it runs."""
    reason: str
    overshoot_wh: int | None
    """How far its account was over the quota when it ended."""
    flags: list[str]


class BookingDocument(msgspec.Struct, kw_only=True):
    """An entry of the books, of one hour of the site's wall clock."""

    booking_id: int
    kind: str
    hour: datetime
    month: str
    day: str
    id_tag: str
    wh: int
    booked_at: datetime
    charge_point_id: str
    transaction_id: int | None
    is_on_quota: bool
    reason: str


class ReadingDocument(msgspec.Struct, kw_only=True):
    """One line of the meter log."""

    number: int
    at: datetime
    charge_point_id: str
    connector_id: int
    transaction_id: int | None
    id_tag: str
    full_name: str
    power_w: int
    register_wh: int
    frequency_hz: float | None


class NoteDocument(msgspec.Struct, kw_only=True):
    """A refusal, a stop, an oddity or what a person did, with the figures of the moment."""

    number: int
    kind: NoteKind
    at: datetime
    text: str
    charge_point_id: str
    connector_id: int | None
    transaction_id: int | None
    id_tag: str
    figures: dict[str, str]


def transaction_document(session: Transaction) -> TransactionDocument:
    """A session."""
    return TransactionDocument(
        transaction_id=session.transaction_id,
        charge_point_id=session.charge_point_id,
        connector_id=session.connector_id,
        id_tag=session.id_tag,
        stated_id_tag=session.stated_id_tag,
        full_name=session.full_name,
        account=session.account,
        status=session.status.value,
        is_on_quota=session.is_on_quota,
        started_at=session.started_at,
        received_at=session.received_at,
        is_start_clock_doubtful=session.is_start_clock_doubtful,
        meter_start_wh=session.register.start,
        register_wh=session.register.last,
        energy_wh=session.energy,
        booked=dict(session.booked),
        last_reading_at=session.booked_at,
        power_w=session.power_w,
        is_stale=session.is_stale,
        stop=None if session.stop is None else _stop_document(session.stop, is_open=session.is_open),
        ended_at=session.ended_at,
        end_kind="" if session.end_kind is None else session.end_kind.value,
        reason=session.stop_reason,
        overshoot_wh=session.overshoot,
        flags=list(session.flags),
    )


def booking_document(booking: Booking) -> BookingDocument:
    """An entry of the books."""
    return BookingDocument(
        booking_id=booking.booking_id,
        kind=booking.kind.value,
        hour=booking.hour,
        month=booking.month,
        day=booking.day,
        id_tag=booking.id_tag,
        wh=booking.wh,
        booked_at=booking.booked_at,
        charge_point_id=booking.charge_point_id,
        transaction_id=booking.transaction_id,
        is_on_quota=booking.is_on_quota,
        reason=booking.reason,
    )


def reading_document(number: int, reading: Reading) -> ReadingDocument:
    """A line of the meter log."""
    return ReadingDocument(
        number=number,
        at=reading.at,
        charge_point_id=reading.charge_point_id,
        connector_id=reading.connector_id,
        transaction_id=reading.transaction_id,
        id_tag=reading.id_tag,
        full_name=reading.full_name,
        power_w=reading.power_w,
        register_wh=reading.register,
        frequency_hz=None if reading.frequency_hz is None else float(reading.frequency_hz),
    )


def note_document(number: int, note: Note) -> NoteDocument:
    """A note. A charge point's own words stay in the ledger: they may hold a secret or another person's tag."""
    return NoteDocument(
        number=number,
        kind=note.kind,
        at=note.at,
        text=note.text,
        charge_point_id=note.charge_point_id,
        connector_id=note.connector_id,
        transaction_id=note.transaction_id,
        id_tag=note.id_tag,
        figures={name: value for name, value in note.figures if name != SAID},
    )


def _stop_document(stop: StopOrder, *, is_open: bool) -> StopDocument:
    return StopDocument(
        cause=stop.cause.value,
        ordered_at=stop.ordered_at,
        by=stop.by,
        attempts=stop.attempts,
        failures=stop.failures,
        attempted_at=stop.attempted_at,
        result=stop.result,
        next_attempt_at=stop.next_attempt_at if is_open else None,
    )
