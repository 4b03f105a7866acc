"""Other systems that get readings and events: how each stands, what it refused, and what a person can do about it."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final

import msgspec

from ocpp_server.control_api.problems import Problem
from ocpp_server.control_api.routing import Answer, Page, Request, Route
from ocpp_server.delivery.documents import delivery_document
from ocpp_server.delivery.engine import Engine
from ocpp_server.delivery.standing import DeliveryStatus
from ocpp_server.storage.deliveries import SetAside
from ocpp_server.storage.documents import stamp
from ocpp_server.storage.errors import LedgerError

PATH: Final = "/api/v1/destinations"
_TAG: Final = "destinations"
_MOST_AT_ONCE: Final = 1000


class DestinationDocument(msgspec.Struct, kw_only=True):
    """How the delivery to one stands. `delivered` and `failures` are counted since the start, `lost` for ever."""

    name: str
    outbox: str
    """readings or events."""
    state: str
    """ok, retrying, breaker open or paused."""
    reason: str | None
    """Why it is paused."""
    backlog: int
    delivered: int
    failures: int
    set_aside: int
    lost: int
    lost_since: str | None
    lost_at: str | None
    last_error: str | None
    """Null: everything that there was is delivered."""
    last_error_at: str | None
    last_delivered_at: str | None


class DestinationList(msgspec.Struct, kw_only=True):
    """Those that are configured."""

    destinations: list[DestinationDocument]


class RefusedDocument(msgspec.Struct, kw_only=True):
    """An entry that was refused three times. `is_due`: it is to be sent again."""

    number: int
    lane: str
    """The charge point."""
    key: str
    at: str
    reason: str
    is_due: bool
    body: Any


class RefusedList(msgspec.Struct, kw_only=True):
    """Newest first. `next`: `before` of the next page; null: this is the last one."""

    entries: list[RefusedDocument]
    next: int | None


class RefusedQuery(Page, kw_only=True):
    """A page."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 100


class Resend(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Which; null: all of them."""

    numbers: Annotated[list[int], msgspec.Meta(max_length=_MOST_AT_ONCE)] | None = None


class Resent(msgspec.Struct, kw_only=True):
    """How many are to be sent again."""

    due: int


class DestinationRoutes:
    """The routes of this resource."""

    def __init__(
        self, statuses: Callable[[], Sequence[DeliveryStatus]], engine: Callable[[str], Engine | None]
    ) -> None:
        self._statuses = statuses
        self._engine = engine

    def routes(self) -> list[Route]:
        """For `ControlApi`."""
        aside = f"{PATH}/{{name}}/set-aside"
        return [
            Route("GET", PATH, self.list_destinations, _TAG, "How other systems get readings and events",
                gives=DestinationList),
            Route("GET", aside, self.list_refused, _TAG, "What a destination refused", role="administrator",
                query=RefusedQuery, gives=RefusedList),
            Route("POST", f"{aside}/resend", self.resend_refused, _TAG, "Send again what was refused",
                takes=Resend, is_body_optional=True, gives=Resent),
            Route("POST", f"{PATH}/{{name}}/resume", self.resume_destination, _TAG, "Go on after a pause",
                gives=DestinationDocument),
        ]  # fmt: skip

    async def list_destinations(self, _request: Request) -> Answer:
        """Never an address or a key: see the settings."""
        return Answer({"destinations": [delivery_document(one) for one in self._statuses()]})

    async def list_refused(self, request: Request) -> Answer:
        """With what was sent, newest first."""
        engine = self._of(request)
        page: RefusedQuery = request.query
        entries = await _from_ledger(engine.aside.page(page.before, page.limit))
        last = entries[-1].number if len(entries) == page.limit else None
        return Answer({"entries": [_entry(one) for one in entries], "next": last})

    async def resend_refused(self, request: Request) -> Answer:
        """They are sent soon, outside the order of their charge point; what is refused again is set aside again."""
        return Answer({"due": await _from_ledger(self._of(request).resend(request.body.numbers))})

    async def resume_destination(self, request: Request) -> Answer:
        """At once, also while the breaker is open. 200 also if there is no pause."""
        engine = self._of(request)
        engine.resume()
        return Answer(delivery_document(engine.status()))

    def _of(self, request: Request) -> Engine:
        engine = self._engine(request.path["name"])
        if engine is None:
            raise Problem(404, "there is no such destination")
        return engine


async def _from_ledger(asking: Any) -> Any:
    try:
        return await asking
    except LedgerError as error:
        raise Problem(503, "the ledger cannot be used") from error


def _entry(one: SetAside) -> dict[str, Any]:
    return {
        "number": one.number,
        "lane": one.lane,
        "key": one.key,
        "at": stamp(one.at),
        "reason": one.reason,
        "is_due": one.is_due,
        "body": one.body,
    }
