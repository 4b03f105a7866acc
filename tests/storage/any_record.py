"""Arbitrary records and believable sequences of changes, for tests of stores."""

import dataclasses
import types
import typing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from ocpp_server.core import changes as ch
from ocpp_server.core import records as rec
from ocpp_server.core.energy import Wh
from ocpp_server.core.events import Event
from ocpp_server.core.period import Month
from ocpp_server.core.set_aside import SetAside
from ocpp_server.core.site import Policy
from ocpp_server.core.users import ChargerRow, User, UserTable

NOW = datetime(2025, 11, 20, 10, 30, 15, 250_000, tzinfo=UTC)
POLICY = Policy(ZoneInfo("Europe/Istanbul"))

texts = st.text(st.characters(exclude_categories=()), max_size=8)
"""Whatever JSON can spell: NUL, lone surrogates, emoji."""
times = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 (its bounds are)
_SIMPLE: dict[object, st.SearchStrategy[typing.Any]] = {
    str: texts,
    int: st.integers(-(2**53), 2**53),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    datetime: times,
    date: st.dates(),
    Decimal: st.decimals(allow_nan=False, allow_infinity=False),
    type(None): st.none(),
}


def records(kind: typing.Any) -> st.SearchStrategy[typing.Any]:
    """Any value of a record's type, by its annotations."""
    while hasattr(kind, "__supertype__"):
        kind = kind.__supertype__
    if kind in _SIMPLE:
        return _SIMPLE[kind]
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return st.one_of([records(part) for part in parts])
    if origin is tuple and parts[-1] is Ellipsis:
        return st.lists(records(parts[0]), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*[records(part) for part in parts])
    if origin is dict:
        return st.dictionaries(records(parts[0]), records(parts[1]), max_size=3)
    if issubclass(kind, Enum):
        return st.sampled_from(list(kind))
    hints = typing.get_type_hints(kind)
    return st.builds(kind, **{field.name: records(hints[field.name]) for field in dataclasses.fields(kind)})


RECORDS = (
    rec.Transaction,
    rec.ChargePoint,
    rec.Reading,
    rec.Note,
    rec.RefusedTag,
    rec.Alert,
    SetAside,
    Event,
    UserTable,
    tuple[ChargerRow, ...],
    tuple[tuple[str, str], ...],
)

_ids = st.sampled_from(["LIVOLTEK_01", "SCHNEIDER/EVlinkProAC", "BEDAS01"])
_tags = st.sampled_from(["RFID001", "rfid001", "04A2", "tag\ud800", ""])
_lately = st.datetimes(
    (NOW - timedelta(days=90)).replace(tzinfo=None), NOW.replace(tzinfo=None), timezones=st.just(UTC)
)


@st.composite
def changes(draw: st.DrawFn) -> list[ch.Change]:
    """A sequence as the central system makes it: numbers go on, what recognises a transaction's start stays."""
    kinds = draw(st.lists(st.sampled_from(_MAKERS), max_size=20))
    return [make(draw, number) for number, make in enumerate(kinds, start=1)]


def _booking(draw: st.DrawFn, number: int) -> ch.Change:
    hour = draw(_lately).replace(minute=0, second=0, microsecond=0)
    booking = draw(records(rec.Booking))
    return ch.AddBooking(
        dataclasses.replace(
            booking,
            booking_id=number,
            hour=hour,
            month=Month(f"{hour:%Y-%m}"),
            day=f"{hour:%Y-%m-%d}",
            id_tag=draw(_tags),
            wh=Wh(draw(st.integers(-(10**6), 10**9))),
            charge_point_id=draw(st.one_of(st.just(""), _ids)),
        )
    )


def _transaction(draw: st.DrawFn, number: int) -> ch.Change:
    transaction_id = draw(st.integers(1, 4)) * 7
    return ch.PutTransaction(
        dataclasses.replace(
            draw(records(rec.Transaction)),
            transaction_id=transaction_id,
            charge_point_id="LIVOLTEK_01",
            connector_id=1,
            id_tag="RFID001",
            stated_id_tag="RFID001",
            start_stamp=f"2025-11-01T10:0{transaction_id % 10}:00Z",
            start_meter_text=str(transaction_id),
            ended_at=draw(st.one_of(st.none(), _lately)),
        )
    )


def _charge_point(draw: st.DrawFn, number: int) -> ch.Change:
    return ch.PutChargePoint(dataclasses.replace(draw(records(rec.ChargePoint)), charge_point_id=draw(_ids)))


def _alert(draw: st.DrawFn, number: int) -> ch.Change:
    return ch.PutAlert(dataclasses.replace(draw(records(rec.Alert)), alert_id=draw(_ids)))


def _set_aside(draw: st.DrawFn, number: int) -> ch.Change:
    charge_point_id = draw(_ids | st.just("CP\ud800"))
    one = dataclasses.replace(draw(records(SetAside)), number=draw(st.integers(1, 5)), charge_point_id=charge_point_id)
    return ch.PutSetAside(one)


def _users(draw: st.DrawFn, number: int) -> ch.Change:
    users = draw(st.lists(records(User), max_size=3))
    return ch.PutUsers(UserTable({user.id_tag: user for user in users}))


_MAKERS = (
    _booking,
    _transaction,
    _charge_point,
    _alert,
    _set_aside,
    _users,
    lambda draw, number: ch.AddReading(dataclasses.replace(draw(records(rec.Reading)), number=number)),
    lambda draw, number: ch.AddNote(number, draw(records(rec.Note))),
    lambda draw, number: ch.AddEvent(number, draw(records(Event))),
    lambda draw, number: ch.AddRefusedTag(number, draw(records(rec.RefusedTag))),
    lambda draw, number: ch.PutSeen(draw(_ids), draw(times), draw(st.one_of(st.none(), times))),
    lambda draw, number: ch.PutConfiguration(draw(_ids), draw(times), draw(records(tuple[tuple[str, str], ...]))),
    lambda draw, number: ch.PutChargers(draw(records(tuple[ChargerRow, ...]))),
    lambda draw, number: ch.PutOpenMonth(Month(f"2025-{draw(st.integers(1, 12)):02d}")),
    lambda draw, number: ch.RemoveAlert(draw(_ids)),
)
