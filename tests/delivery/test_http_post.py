"""`delivery.http_post`: whatever answers, it ends soon, takes little and follows nowhere; the status alone counts."""

import asyncio
import resource
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import hostile_receiver as hostile
import pytest
from hostile_receiver import Receiver, status

from ocpp_server.delivery.destination import Accepted, Failed, Outcome, Refused, Unauthorized
from ocpp_server.delivery.http_post import HttpPost, outcome_of, wait_of

NOW = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
LIMIT_S = 20


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """Listens on a port of its own."""
    async with Receiver().listening() as receiver:
        yield receiver


async def posted(url: str, times: int = 1, timeout_s: float = 10.0) -> list[Outcome]:
    """What became of it."""
    post = HttpPost(url, lambda: NOW, timeout_s=timeout_s)
    try:
        async with asyncio.timeout(LIMIT_S):
            return [await post.post(b'{"ID": "1"}', {"Idempotency-Key": "1"}) for _ in range(times)]
    finally:
        await post.close()


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (200, Accepted()),
        (202, Accepted()),
        (204, Accepted()),
        (302, Failed("HTTP 302, a redirect, which is not followed")),
        (400, Refused("HTTP 400")),
        (401, Unauthorized("HTTP 401")),
        (403, Unauthorized("HTTP 403")),
        (404, Failed("HTTP 404")),
        (409, Failed("HTTP 409")),
        (413, Refused("HTTP 413")),
        (422, Refused("HTTP 422")),
        (429, Failed("HTTP 429")),
        (500, Failed("HTTP 500")),
        (503, Failed("HTTP 503")),
    ],
)
def test_a_status_means_one_thing(code: int, outcome: Outcome) -> None:
    """F22."""
    assert outcome_of(code, "", NOW) == outcome


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("999999999", 3600.0),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW + timedelta(days=2), usegmt=True), 3600.0),
        (format_datetime(NOW - timedelta(days=2), usegmt=True), 0.0),
        ("-1", None),
        ("1.5", None),
        ("²", None),
        ("soon", None),
        ("", None),
        ("Fri, 99 Nov 2026 10:00:00 GMT", None),
        ("9" * 100_000, 3600.0),
    ],
    ids=lambda value: str(value)[:20],
)
def test_retry_after_is_kept_to_an_hour(text: str, seconds: float | None) -> None:
    """Seconds or a date (RFC 9110 §10.2.3)."""
    assert wait_of(text, NOW) == seconds


async def test_retry_after_is_read_from_the_answer(receiver: Receiver) -> None:
    """Of a 429 and of a 503."""
    receiver.answers = [status(429, "Retry-After: 7"), status(503, "Retry-After: 9")]

    assert await posted(receiver.url, 2) == [Failed("HTTP 429", 7.0), Failed("HTTP 503", 9.0)]


async def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    """T22: also not to the same host."""
    receiver.answer = status(307, f"Location: {receiver.url}/elsewhere")

    assert await posted(receiver.url) == [Failed("HTTP 307, a redirect, which is not followed")]
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    "answer", [hostile.bad_gzip, hostile.cut_in_the_body, hostile.byte_by_byte], ids=lambda one: one.__name__
)
async def test_the_status_counts_whatever_the_body_is(receiver: Receiver, answer: hostile.Answer) -> None:
    """It has taken it over: nothing is unpacked, waited for or looked at."""
    receiver.answer = answer

    assert await posted(receiver.url, 2) == [Accepted(), Accepted()]


async def test_five_gigabytes_are_not_read(receiver: Receiver) -> None:
    """64 KiB at most; then the connection is closed."""
    receiver.answer = hostile.endless
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    assert await posted(receiver.url, 3) == [Accepted()] * 3
    assert receiver.connections == 3
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024  # KiB


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (hostile.cut, "it closed the connection without an answer"),
        (hostile.cut_in_the_head, "it closed the connection without an answer"),
        (hostile.no_http, "its answer is no HTTP"),
        (hostile.silent, "no answer in time"),
        (hostile.drip_head, "no answer in time"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_what_is_no_answer_is_a_failure(receiver: Receiver, answer: hostile.Answer, reason: str) -> None:
    """In words of ours, and within the time that is set."""
    receiver.answer = answer

    (outcome,) = await posted(receiver.url, timeout_s=0.5)

    assert isinstance(outcome, Failed)
    assert outcome.reason == reason or outcome.reason.startswith("connection lost")


async def test_a_port_where_nobody_listens_is_a_failure(receiver: Receiver) -> None:
    """As is a name that does not exist."""
    async with Receiver().listening() as gone:
        url = gone.url
    outcomes = await posted(url) + await posted("http://nowhere.invalid/")

    assert [isinstance(one, Failed) for one in outcomes] == [True, True]
    assert outcomes[1] == Failed("its name is not found")


async def test_a_connection_is_used_again(receiver: Receiver) -> None:
    """A short answer is read to its end."""
    await posted(receiver.url, 5)

    assert (len(receiver.requests), receiver.connections) == (5, 1)


async def test_no_cookie_comes_back_and_nothing_is_asked_to_be_packed(receiver: Receiver) -> None:
    """T22."""
    receiver.answer = status(200, "Set-Cookie: a=b; Path=/")
    await posted(receiver.url, 2)

    assert "cookie" not in receiver.requests[1]
    assert receiver.requests[1]["accept-encoding"] == "identity"


async def test_no_proxy_of_the_environment_is_used(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sets HTTP_PROXY must not get the key."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")

    assert await posted(receiver.url) == [Accepted()]
