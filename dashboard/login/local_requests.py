"""What a request says of where it comes from and where it wants to go; both are chosen by whoever sends it."""

import unicodedata
from typing import Final
from urllib.parse import quote, urlsplit

from starlette.requests import HTTPConnection

OWN_PATHS: Final = ("/login", "/logout", "/healthz")
_LONGEST_PATH: Final = 2_000
_KEPT: Final = "/?&=%:@!$'()*+,;~#"


def local_path(wanted: str) -> str:
    """A path of this site to go to after the login, fit for a header; `/` for anything else (open redirects)."""
    if not wanted.startswith("/") or wanted[:2] in {"//", "/\\"} or len(wanted) > _LONGEST_PATH:
        return "/"
    if "\\" in wanted or any(unicodedata.category(sign) in {"Cc", "Cs"} for sign in wanted):
        return "/"
    try:
        parts = urlsplit(wanted)
    except ValueError:
        return "/"
    if parts.scheme or parts.netloc or parts.path.rstrip("/") in OWN_PATHS:
        return "/"
    return quote(wanted, safe=_KEPT)


def is_from_here(connection: HTTPConnection, *, needs_own_page: bool) -> bool:
    """Whether a page of this site sent this, as the browser says it; who is no browser says nothing.

    `needs_own_page`: a form, which a link or an address that was typed cannot send.
    """
    site = connection.headers.get("sec-fetch-site", "")
    if site in {"cross-site", "same-site"} or (needs_own_page and site == "none"):
        return False
    origin = connection.headers.get("origin")
    return origin is None or _place(origin) == connection.headers.get("host", "").casefold()


def is_encrypted(connection: HTTPConnection) -> bool:
    """Whether the browser came by TLS; uvicorn took this over from proxies that are trusted, and from nobody else."""
    return connection.scope.get("scheme") in {"https", "wss"}


def address_of(connection: HTTPConnection) -> str:
    """Where it comes from; also this was forwarded by trusted proxies only."""
    return connection.client.host if connection.client else ""


def _place(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.casefold()
    except ValueError:
        return ""
