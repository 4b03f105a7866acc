"""One route of the API: what it takes, what it gives, and who carries it out. The OpenAPI document is made of these.

Bodies, queries and answers are `msgspec` structs. What does not fit never reaches a handler, and the problem names the
field. A handler gets a `Request` and gives an `Answer`, or raises `Problem`; it knows nothing of HTTP.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from aiohttp import web

from ocpp_server.control_api.fields import IN_WORDS, Meta, Number
from ocpp_server.control_api.problems import Problem, asker_of
from ocpp_server.control_api.streaming import stream
from ocpp_server.storage.ledger_reader import MOST_IN_A_PAGE

_ENCODER: Final = msgspec.json.Encoder()

Method: TypeAlias = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Role: TypeAlias = Literal["viewer", "administrator"]
ROLE: Final = web.RequestKey("role", str)
"""Of whoever asks, by the token; missing where none was needed."""


class Page(msgspec.Struct, kw_only=True):
    """What a query of a list may say; a resource inherits from it and adds its filters."""

    limit: Annotated[int, Meta(ge=1, le=MOST_IN_A_PAGE)] = 100
    """Entries at most."""
    before: Number | None = None
    """Entries with a smaller number than this: `next` of the page before."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a handler gets: the parts of the path decoded, body and query as the route's structs."""

    path: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    query: Any = None
    by: str = "operator"
    """Who asks, as it says itself: for the books."""
    if_match: str = ""
    last_event_id: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a handler gives: the route's struct (or what encodes to the same JSON), and headers."""

    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Route:
    """`takes`, `query` and `gives` are types that `msgspec` knows; None: nothing."""

    method: Method
    path: str
    """As aiohttp writes it: `/api/v1/transactions/{id:[0-9]+}`. A percent-encoded slash stays within its part."""
    handle: Callable[[Request], Awaitable[Answer]]
    tag: str
    summary: str
    parts: Mapping[str, Any] = field(default_factory=dict)
    """JSON schemas of parts of the path, as far as this route knows more of them than their name says."""
    gives: Any = None
    status: int = 200
    takes: Any = None
    is_body_optional: bool = False
    query: Any = None
    problems: tuple[int, ...] = ()
    """Statuses beside those that every such route may give."""
    headers: tuple[str, ...] = ()
    """Of a good answer, beside its Content-Type."""
    role: Role | None = None
    """Who may ask this; None: a viewer may GET, all else is the administrator's."""
    streams: str = ""
    """The content type of an answer without end; its body is an async generator of bytes."""

    @property
    def name(self) -> str:
        """Unique among the routes: `operationId`."""
        return self.handle.__name__.strip("_")

    @property
    def is_for_viewers(self) -> bool:
        """Whether the viewer's token is enough."""
        return (self.role or ("viewer" if self.method == "GET" else "administrator")) == "viewer"

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Read the request, have it handled, write the answer. Raises Problem."""
        if not self.is_for_viewers and request.get(ROLE) != "administrator":
            raise Problem(403, "this needs the administrator's token, of the file api_token")
        answer = await self.handle(
            Request(
                path=request.match_info,
                body=None if self.takes is None else await self._body(request),
                query=None if self.query is None else read_query(request.query, self.query),
                by=asker_of(request),
                if_match=request.headers.get("If-Match", ""),
                last_event_id=request.headers.get("Last-Event-ID", ""),
            )
        )
        if self.streams:
            return await stream(request, answer.body, self.streams)
        if self.gives is None:
            return web.Response(status=self.status, headers=answer.headers)
        body = _ENCODER.encode(answer.body)
        return web.Response(body=body, status=self.status, headers=answer.headers, content_type="application/json")

    async def _body(self, request: web.Request) -> Any:
        content = await request.read()
        if self.is_body_optional and not content.strip():
            content = b"{}"
        return read_body(content, self.takes)


def read_body(content: bytes, kind: Any) -> Any:
    """The struct of a JSON body. Raises Problem: 400 for what is no JSON, 422 for what does not fit."""
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.ValidationError as error:
        raise unfit(error) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(400, "the body must be JSON") from error


def read_query(query: Mapping[str, str], kind: Any) -> Any:
    """The struct of a query; its texts become numbers and times where the struct has them. Raises Problem 422."""
    try:
        return msgspec.convert(dict(query), kind, strict=False)
    except msgspec.ValidationError as error:
        raise unfit(error) from error


def unfit(error: msgspec.ValidationError) -> Problem:
    """The words of `msgspec`, such as "Expected `int`, got `str` - at `$.limit`", and the field by its name."""
    text, _, place = str(error).partition(" - at `")
    for pattern, words in IN_WORDS.items():
        text = text.replace(f"`str` matching regex {pattern!r}", f"text that is {words}")
    if text == "Expected `str` of length >= 1":
        text = "Expected text that is not blank"
    field_name = place.removesuffix("`").removeprefix("$").removeprefix(".")
    return Problem(
        422, f"{field_name}: {text}" if field_name else text, **({"field": field_name} if field_name else {})
    )
