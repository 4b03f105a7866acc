"""POSTs to a URL of the settings, with no trust in who answers (T22): what an answer means is an `Outcome`.

No redirect is followed, no proxy of the environment used, no cookie kept, nothing unpacked; at most 64 KiB of an answer
are read, so that the connection can be used again, and what it says is never looked at. The status alone counts.
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import aiohttp
from yarl import URL

from ocpp_server.delivery.destination import Accepted, Failed, Outcome, Refused, Unauthorized

TIMEOUT_S: Final = 10.0
"""Real seconds for all of it: name, connection, TLS, request and status."""
LONGEST_WAIT_S: Final = 3600.0
"""As much peace as an answer may ask for."""
MOST_READ: Final = 64 * 1024
_READ_S: Final = 1.0
"""Real seconds for the rest of an answer whose status is known; then the connection is closed."""
_REFUSED: Final = frozenset({400, 413, 422})
_UNAUTHORIZED: Final = frozenset({401, 403})


class HttpPost:
    """One URL. `close` it at the end."""

    def __init__(self, url: str, now: Callable[[], datetime], *, timeout_s: float = TIMEOUT_S) -> None:
        """`now`: the time in UTC, for a Retry-After that is a date."""
        self._url = URL(url)
        self._now = now
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._session: aiohttp.ClientSession | None = None

    async def post(self, body: bytes, headers: Mapping[str, str]) -> Outcome:
        """Send it once. Never raises for what the network or the other side does."""
        try:
            response = await self._opened().post(self._url, data=body, headers=headers, allow_redirects=False)
        except TimeoutError:
            return Failed("no answer in time")
        except aiohttp.ClientError as error:
            return Failed(_told(error))
        except OSError as error:
            return Failed(error.strerror or type(error).__name__)
        try:
            return outcome_of(response.status, response.headers.get("Retry-After", ""), self._now())
        finally:
            await _let_go(response)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            # Names are looked up anew for each connection: the other system may have moved while it was away.
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, use_dns_cache=False),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=self._timeout,
                trust_env=False,
                auto_decompress=False,
                headers={"User-Agent": "evquota", "Accept-Encoding": "identity"},
            )
        return self._session


def outcome_of(status: int, retry_after: str, now: datetime) -> Outcome:
    """What a status means (RFC 9110 §15)."""
    if 200 <= status < 300:
        return Accepted()
    reason = f"HTTP {status}"
    if status in _REFUSED:
        return Refused(reason)
    if status in _UNAUTHORIZED:
        return Unauthorized(reason)
    if 300 <= status < 400:
        return Failed(f"{reason}, a redirect, which is not followed")
    return Failed(reason, wait_of(retry_after, now))


def wait_of(retry_after: str, now: datetime) -> float | None:
    """Seconds that a Retry-After asks for, an hour at most (RFC 9110 §10.2.3); None: nothing that can be read."""
    text = retry_after.strip()[:64]
    if text.isascii() and text.isdigit():
        return min(float(text), LONGEST_WAIT_S)
    try:
        when = parsedate_to_datetime(text)
        seconds = (when.replace(tzinfo=when.tzinfo or UTC) - now).total_seconds()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return min(max(0.0, seconds), LONGEST_WAIT_S)


async def _let_go(response: aiohttp.ClientResponse) -> None:
    """Read what is left of a short answer and keep the connection; close it on a long, slow or broken one."""
    left = MOST_READ
    try:
        async with asyncio.timeout(_READ_S):
            while left > 0 and (chunk := await response.content.read(left)):
                left -= len(chunk)
    except (TimeoutError, aiohttp.ClientError, OSError):
        left = 0
    if left > 0:
        response.release()
    else:
        response.close()


def _told(error: aiohttp.ClientError) -> str:
    """The kind of trouble: the message of an error may repeat what the other side sent, or the URL."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return "its certificate is not trusted"
        case aiohttp.ClientSSLError():
            return "TLS failed"
        case aiohttp.ClientConnectorDNSError():
            return "its name is not found"
        case aiohttp.ClientConnectorError():
            return f"no connection: {error.os_error.strerror or type(error.os_error).__name__}"
        case aiohttp.ServerDisconnectedError():
            return "it closed the connection without an answer"
        case aiohttp.ClientResponseError():
            return "its answer is no HTTP"
        case _:
            return f"connection lost ({type(error).__name__})"
