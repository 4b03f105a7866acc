"""What happens, as it happens: a stream of Server-Sent Events."""

import re
from typing import Annotated, Final

import msgspec

from ocpp_server.clock import Clock
from ocpp_server.control_api.event_feed import EventFeed, TooManyListenersError
from ocpp_server.control_api.fields import Filter, Meta
from ocpp_server.control_api.problems import Problem
from ocpp_server.control_api.routing import Answer, Request, Route
from ocpp_server.control_api.site_events import FAMILIES, KINDS, fits, is_known_kind
from ocpp_server.control_api.streaming import HEADERS, Chunks, SlowReaderError

KEEP_ALIVE_S: Final = 15.0
"""Real seconds."""
_MOST_AT_ONCE: Final = 100
_KIND: Final = f"({'|'.join(re.escape(word) for word in sorted({*KINDS, *FAMILIES}))})?"


class EventQuery(msgspec.Struct, kw_only=True):
    """`kind`: kinds or families of them, separated by commas. Blank: all."""

    kind: Annotated[str, Meta(extra_json_schema={"pattern": rf"^{_KIND}(,{_KIND})*$"})] = ""
    charge_point: Filter = ""


class Events:
    """The routes of this resource."""

    def __init__(self, feed: EventFeed, clock: Clock) -> None:
        self._feed = feed
        self._clock = clock

    def routes(self) -> list[Route]:
        """For `ControlApi`."""
        return [
            Route(
                "GET",
                "/api/v1/events",
                self.stream_events,
                "events",
                "What happens, as it happens",
                query=EventQuery,
                role="administrator",
                streams="text/event-stream",
                headers=tuple(HEADERS),
            )
        ]

    async def stream_events(self, request: Request) -> Answer:
        """Server-Sent Events, without an end. Each has an `id`, an `event` (transaction.started, transaction.stopping,
        transaction.ended, reading, status, connection.opened, connection.closed, alert.raised, alert.acknowledged,
        alert.resolved, note) and `data`: a JSON object with `id`, `kind`, `at`, `charge_point` and what belongs to the
        kind. With the header Last-Event-ID the stream goes on behind that event, as far as the last 1000 are kept;
        if some were missed, an event `missed` comes first. A comment comes every 15 seconds. A reader that is too slow
        is disconnected. 503: too many listen already.
        """
        wanted = frozenset(word.strip() for word in request.query.kind.split(",") if word.strip())
        wrong = sorted(word for word in wanted if not is_known_kind(word))
        if wrong:
            raise Problem(422, f"kind: {wrong[0][:50]!r} is none of {', '.join(KINDS)}", field="kind")
        return Answer(self._told(wanted, request.query.charge_point, request.last_event_id))

    async def _told(self, wanted: frozenset[str], charge_point_id: str, last_id: str) -> Chunks:
        feed = self._feed
        if feed.is_closed:
            raise Problem(503, "the server is stopping")
        try:
            with feed.listening() as wake:
                place, is_whole = self._begin(last_id)
                yield self._mark(place) + (b"" if is_whole else b"event: missed\ndata: {}\n\n")
                while not feed.is_closed:
                    wake.clear()
                    if place + 1 < feed.oldest_number:
                        raise SlowReaderError
                    events = feed.since(place, _MOST_AT_ONCE)
                    if events:
                        place = events[-1].number
                        chunk = b"".join(
                            one.text(feed.run_id)
                            for one in events
                            if fits(one.event.kind, wanted) and charge_point_id in ("", one.event.charge_point_id)
                        )
                        if chunk:
                            yield chunk
                    elif not await self._clock.wait_for(wake, KEEP_ALIVE_S * self._clock.factor):
                        yield b": keep-alive\n" + self._mark(place)
        except TooManyListenersError:
            raise Problem(503, "too many listen to the events already") from None

    def _begin(self, last_id: str) -> tuple[int, bool]:
        """Behind which event it begins, and whether none between was missed."""
        if not last_id:
            return self._feed.last_number, True
        run, _, digits = last_id.rpartition("-")
        number = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 16 else -1
        oldest = self._feed.oldest_number
        if run != self._feed.run_id or not oldest - 1 <= number <= self._feed.last_number:
            return oldest - 1, False
        return number, True

    def _mark(self, place: int) -> bytes:
        """Not an event, but where to go on: a stream of which nothing is wanted for an hour has its place, too."""
        return f"id: {self._feed.run_id}-{place}\n\n".encode()
