"""`/docs`: the API on a page for people, without a script and without another host (T20)."""

import re
from html.parser import HTMLParser
from typing import Any

import aiohttp
import msgspec

from ocpp_server.control_api.application import ControlApi
from ocpp_server.control_api.documentation import page
from ocpp_server.control_api.openapi import document
from ocpp_server.control_api.routing import Answer, Page, Request, Route

VOID = {"meta", "br"}


class Thing(msgspec.Struct, kw_only=True):
    """What is `taken` <script>alert(1)</script> & given."""

    name: str
    kinds: list[int] = []
    other: dict[str, float] | None = None


async def make_thing(_request: Request) -> Answer:
    """Says <b>what</b> it does & why."""
    return Answer(Thing(name="x"))


async def list_things(_request: Request) -> Answer:
    return Answer([])


ROUTES = [
    Route("POST", "/api/v1/things/{id:[a-z<>]+}", make_thing, "odd <things>", "A & B", takes=Thing, gives=Thing),
    Route("GET", "/api/v1/things", list_things, "odd <things>", "All", query=Page, gives=list[Thing]),
]


class Seen(HTMLParser):
    """Tags that are opened and closed in order, links and anchors."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def values(self, attribute: str) -> list[str]:
        return [value for name, value in self.attributes if name == attribute]


def seen(text: str) -> Seen:
    parser = Seen()
    parser.feed(text)
    parser.close()
    return parser


def test_every_operation_and_type_is_on_the_page() -> None:
    """With what it takes and gives, and what it says of itself."""
    text = page(document(ROUTES))

    for expected in (
        "make_thing",
        "list_things",
        'id="type-Thing"',
        "Problems",
        "list of integer",
        "as ^[a-z&lt;&gt;]+$",
    ):
        assert expected in text
    assert "&lt;b&gt;what&lt;/b&gt;" in text
    assert "(may be left out)" not in text


def test_all_text_is_escaped_and_all_tags_are_closed() -> None:
    """Texts of the document are texts, whatever stands in them."""
    parser = seen(page(document(ROUTES)))

    assert parser.open == []
    assert "script" not in parser.tags
    assert "things" not in parser.tags


def test_nothing_comes_from_another_host_and_no_link_leads_nowhere() -> None:
    """The page is whole in itself."""
    parser = seen(page(document(ROUTES)))
    links = parser.values("href")
    anchors = [link.removeprefix("#") for link in links if link.startswith("#")]

    assert {link for link in links if not link.startswith("#")} == {"/openapi.json"}
    assert set(anchors) <= set(parser.values("id"))
    assert len(parser.values("id")) == len(set(parser.values("id")))
    assert not parser.tags & {"img", "link", "iframe", "object", "form"}
    assert not parser.values("src") + parser.values("style")


async def test_a_browser_may_load_nothing_with_it() -> None:
    """The policy allows the page's own style and nothing else; the document is the one that is served."""
    api = ControlApi("the-token", ROUTES)
    async with api.listening("127.0.0.1", 0) as port, aiohttp.ClientSession() as session:
        async with session.get(f"http://127.0.0.1:{port}/docs") as answer:
            text = await answer.text()
            policy = dict(part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; "))
            assert (answer.status, answer.content_type) == (200, "text/html")
        async with session.get(f"http://127.0.0.1:{port}/openapi.json") as answer:
            described: Any = await answer.json()

    assert policy.pop("style-src") == "'unsafe-inline'"
    assert set(policy.values()) == {"'none'"}
    assert text == page(described)
    assert not re.search(r"https?://", text)


def test_a_page_without_routes_is_a_page() -> None:
    """A server that has nothing to offer."""
    assert seen(page(document([]))).open == []
