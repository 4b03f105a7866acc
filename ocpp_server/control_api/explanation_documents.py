"""The account of a session and of a card, as the API gives it. Energy in Wh, power in W, times UTC."""

from datetime import date, datetime

import msgspec

from ocpp_server.control_api.ledger_documents import (
    BookingDocument,
    NoteDocument,
    ReadingDocument,
    TransactionDocument,
)
from ocpp_server.control_api.set_aside_documents import SetAsideDocument


class Forecast(msgspec.Struct, kw_only=True):
    """What the server reckoned with when it ordered a session to stop."""

    at: datetime
    cause: str
    quota_wh: int | None
    """None: unlimited."""
    used_wh: int
    """By the account in the open month, as booked."""
    unreported_wh: int
    """Delivered since the last readings, by the power they showed."""
    remaining_wh: int | None
    power_w: int | None
    """Of this session; None: not proven."""
    quota_reached_at: datetime | None
    """At this power alone: other sessions of the account bring it forward. None: not in sight."""


class Overshoot(msgspec.Struct, kw_only=True):
    """How the account stood when the session ended."""

    at: datetime
    quota_wh: int
    used_wh: int
    overshoot_wh: int


class SessionExplanation(msgspec.Struct, kw_only=True):
    """Why a session went as it did. Lists begin with the oldest; only the newest 5,000 readings of a site are kept."""

    summary: list[str]
    """The same in words, in the site's zone."""
    transaction: TransactionDocument
    forecasts: list[Forecast]
    """One for each order to stop."""
    overshoot: Overshoot | None
    """None: it runs, is not on a quota, or did not reach it."""
    bookings: list[BookingDocument]
    readings: list[ReadingDocument]
    notes: list[NoteDocument]
    set_aside: list[SetAsideDocument]
    """Of its readings; what waits is accepted or dropped at `/api/v1/set-aside/{number}`."""


class SessionInShort(msgspec.Struct, kw_only=True):
    """A session of a card."""

    transaction_id: int
    charge_point_id: str
    started_at: datetime
    ended_at: datetime | None
    energy_wh: int
    status: str
    reason: str


class TagExplanation(msgspec.Struct, kw_only=True):
    """How a card stands. Lists begin with the newest: 20 sessions, 50 adjustments, 50 notes at most."""

    summary: list[str]
    id_tag: str
    account: str
    shared_with: list[str]
    """Other tags of the account."""
    is_known: bool
    """It stands in the users file that is in force."""
    name: str
    blocked: bool
    expiry_date: date | None
    is_expired: bool
    month: str | None
    quota_wh: int | None
    """None: unlimited, or not known."""
    used_wh: int
    """By the account, in the open month."""
    sessions: list[SessionInShort]
    adjustments: list[BookingDocument]
    notes: list[NoteDocument]
