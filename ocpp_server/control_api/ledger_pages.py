"""What every resource that reads the ledger shares: filters of a page, a look in a thread, text that is no text.

A look holds nobody up: it has a connection of its own, in a thread of its own.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Final, ParamSpec, TypeVar

import msgspec

from ocpp_server.control_api.fields import Filter, Number
from ocpp_server.control_api.problems import Problem, plain
from ocpp_server.control_api.routing import Answer, Page
from ocpp_server.storage import documents
from ocpp_server.storage.errors import LedgerError
from ocpp_server.storage.ledger_reader import Wanted

_P = ParamSpec("_P")
_T = TypeVar("_T")
_ENCODER: Final = msgspec.json.Encoder()

Time = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]
"""Read by `wanted`: a text in a query that becomes a time by `msgspec` may be a number of seconds as well."""
_ZONED: Final = Annotated[datetime, msgspec.Meta(tz=True)]


class LedgerPage(Page, kw_only=True):
    """`since` is included, `until` is not; both with a zone, in whole seconds."""

    charge_point: Filter | None = None
    id_tag: Filter | None = None
    since: Time | None = None
    until: Time | None = None


class SessionPage(LedgerPage, kw_only=True):
    """Where entries may belong to a session."""

    transaction: Number | None = None


def wanted(query: LedgerPage) -> Wanted:
    """What to look for. Raises Problem 422 for a time that no calendar has."""
    return Wanted(
        charge_point_id=None if query.charge_point is None else plain(query.charge_point),
        id_tag=None if query.id_tag is None else plain(query.id_tag),
        transaction_id=query.transaction if isinstance(query, SessionPage) else None,
        since=_utc("since", query.since),
        until=_utc("until", query.until),
        before=query.before,
        limit=query.limit,
    )


def next_of(numbers: list[int], query: Page) -> int | None:
    """`before` of the page that follows; None after the last. A full page may be the last: then the next is empty."""
    return numbers[-1] if numbers and len(numbers) == query.limit else None


async def look(call: Callable[_P, _T], *arguments: _P.args, **named: _P.kwargs) -> _T:
    """Look something up in a thread. Raises Problem 503 where the ledger cannot be read."""
    try:
        return await asyncio.to_thread(call, *arguments, **named)
    except (LedgerError, msgspec.MsgspecError) as error:
        raise Problem(503, f"the ledger cannot be read: {error}") from error


def answer(document: Any) -> Answer:
    """The answer with this struct. Charge points may have sent lone surrogates: those become their escapes."""
    try:
        encoded = _ENCODER.encode(document)
    except UnicodeEncodeError:
        encoded = documents.encode(msgspec.to_builtins(document))
    return Answer(msgspec.Raw(encoded))


def _utc(name: str, text: str | None) -> datetime | None:
    try:
        return None if text is None else msgspec.convert(text, _ZONED).astimezone(UTC)
    except (msgspec.ValidationError, OverflowError):
        raise Problem(422, f"{name}: expected a time such as 2025-01-15T10:30:00Z", field=name) from None
