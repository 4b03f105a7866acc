"""Which words name a secret, and a frame without its secrets: for what people read of messages later."""

import re
from typing import Final

from ocpp_server.ocpp16.frames import Payload

HIDDEN: Final = "(hidden)"
_WORDS: Final = "authorizationkey|password|passwd|passphrase|pwd|secret|credential|token|psk|privatekey|apikey"
_SECRET: Final = re.compile(_WORDS)
_SECRET_KEY: Final = re.compile(f"{_WORDS}|idtag")
"""Words without the signs between them: vendors list passwords of Wi-Fi and web page, and the tag of free charging."""
_KEY_IN_TEXT: Final = re.compile(r"\bkey\b\W{0,5}[=:]|\b[0-9a-f]{32,40}\b", re.IGNORECASE)
"""`key=…`, and what looks like an AuthorizationKey: 16 to 20 bytes as hex digits (OCPP 1.6 Security, §A00.FR.205)."""
_PRIVATE: Final = frozenset({"iccid", "imsi", "csr"})
"""Members that are nobody's business: the SIM card, and what goes to a certificate authority."""
_URL_LOGIN: Final = re.compile(r"(?<=://)[^/?#\s]*@")
_URL_QUERY: Final = re.compile(r"(://[^?#\s]*[?#])\S+")
_PLAIN_WORD: Final = re.compile(r"[A-Za-z0-9_.-]{1,50}")
_NAMES_OF_NAMES: Final = frozenset({"key", "unknownkey", "type", "status", "messageid", "vendorid", "errorcode"})
"""Members whose value is a name: `AuthorizationKey` there is no secret, but says that its neighbour is one."""
_PLAIN_MEMBERS: Final = _NAMES_OF_NAMES | {"readonly"}
_TRIGGERS: Final = (
    b"key",
    b"pass",
    b"pwd",
    b"secret",
    b"credential",
    b"token",
    b"psk",
    b"://",
    b"\\u",
    b"iccid",
    b"imsi",
    b"csr",
)


def is_secret_key(key: str) -> bool:
    """Whether the value of this configuration key is nobody's business."""
    return _SECRET_KEY.search(_squeezed(key)) is not None


def may_hold_secret(raw: bytes) -> bool:
    """Whether a frame must be looked at closely; made for the many that need not."""
    if not raw.isascii():
        return True
    folded = raw.lower()
    for trigger in _TRIGGERS:  # noqa: SIM110 - three times as fast as any(), and each message comes here
        if trigger in folded:
            return True
    return False


def without_secrets(payload: Payload) -> Payload:
    """The payload with "(hidden)" for what is, or may be, a secret. Cards stay: whoever reads it may see them."""
    return _object(payload)


def status_only(payload: Payload) -> Payload:
    """An answer to a call that held a secret: anything else in it may repeat that."""
    return {name: value if name == "status" else HIDDEN for name, value in payload.items()}


def _object(value: Payload) -> Payload:
    names_secret = any(
        _squeezed(name) in _NAMES_OF_NAMES and isinstance(text, str) and is_secret_key(text)
        for name, text in value.items()
    )
    return {name: _member(name, one, is_neighbour=names_secret) for name, one in value.items()}


def _member(name: str, value: object, *, is_neighbour: bool) -> object:
    squeezed = _squeezed(name)
    if squeezed in _PLAIN_MEMBERS:
        return _name(value)
    if is_neighbour or squeezed in _PRIVATE or _SECRET.search(squeezed):
        return HIDDEN
    return _value(value)


def _name(value: object) -> object:
    if isinstance(value, list):
        return [_name(one) for one in value]
    if isinstance(value, str) and _PLAIN_WORD.fullmatch(value) and not _KEY_IN_TEXT.search(value):
        return value
    return _value(value)


def _value(value: object) -> object:
    match value:
        case dict():
            return _object(value)
        case list():
            return [_value(one) for one in value]
        case str():
            return visible(value)
        case _:
            return value


def visible(text: str) -> str:
    """A text of a charge point: hidden as a whole if it speaks of a secret; no login and no query of an address."""
    if _SECRET.search(_squeezed(text)) or _KEY_IN_TEXT.search(text):
        return HIDDEN
    return _URL_QUERY.sub(rf"\1{HIDDEN}", _URL_LOGIN.sub(f"{HIDDEN}@", text)) if "://" in text else text


def _squeezed(text: str) -> str:
    return "".join(sign for sign in text.casefold() if sign.isalnum())
