"""Addresses of other systems in the settings: whether something may be sent there, and what of them may be shown."""

import ipaddress
import re
from typing import Final

from yarl import URL

_LONGEST_KEY: Final = 4096


def url_problem(url: str, *, is_http_allowed: bool) -> str:
    """Why nothing may be sent there; blank: it may. The words never hold the URL, which may hold a secret."""
    try:
        parsed = URL(url)
        host = parsed.host
    except ValueError:
        return "is no URL: expected one such as https://example.org/readings"
    if parsed.scheme not in ("http", "https") or not host or re.search(r"[\x00-\x20\x7f]", url):
        return "is no URL of the web: expected one such as https://example.org/readings"
    if parsed.user is not None or parsed.password is not None:
        return "holds a user or a password: give the key in its own setting"
    if parsed.scheme == "http" and not (is_http_allowed or is_near(host)):
        return "is not encrypted, and it is not an address of this machine or a private network: use https"
    return ""


def amqp_problem(url: str) -> str:
    """Why no RabbitMQ may be spoken to there; blank: it may. The words never hold the URL, which holds a password."""
    try:
        parsed = URL(url)
        host = parsed.host
    except ValueError:
        return "is no URL: expected one such as amqps://user:password@example.org/vhost"
    if parsed.scheme not in ("amqp", "amqps") or not host or re.search(r"[\x00-\x20\x7f]", url):
        return "is no address of a RabbitMQ: expected one such as amqps://user:password@example.org/vhost"
    if parsed.scheme == "amqp" and not is_near(host):
        return "is not encrypted, and it is not an address of this machine or a private network: use amqps"
    return ""


def place_of(url: str) -> str:
    """Scheme, host and port, for people and logs: the rest of a URL may hold a secret. Blank: none can be told."""
    try:
        return str(URL(url).origin())
    except ValueError:
        return ""


def is_near(host: str) -> bool:
    """This machine, or a private network. A name could mean anything tomorrow; a number says where it is."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return address.is_loopback or (address.is_private and not address.is_unspecified)


def is_header_value(text: str) -> bool:
    """Whether a key can stand in a header (RFC 9110 §5.5)."""
    return len(text) <= _LONGEST_KEY and text.isascii() and text.isprintable()
