"""AuthorizationKeys of charge points (security white paper A00, A01): made, read in either notation, hashed, compared.

A charge point is given its key as hex digits and sends it back as those digits or as the bytes they stand for. Both are
the same key here, so one hash is enough.
"""

import base64
import hashlib
import hmac
import re
import secrets
from typing import Final

SHORTEST_KEY: Final = 16
"""Bytes, or characters of a password (A00.FR.205)."""
LONGEST_KEY: Final = 64
_KEY_BYTES = 20
_HEX = re.compile(rb"(?:[0-9A-Fa-f]{2}){16,32}")
_N, _R, _P = 2**14, 8, 1
_SALT_BYTES = 16
_HASH_BYTES = 32
_END = b"\x01"
_LARGEST_N = 2**17


def make_key() -> str:
    """A new key: 40 hex digits, which is what ChangeConfiguration of AuthorizationKey takes."""
    return secrets.token_hex(_KEY_BYTES)


def check_strength(key: str) -> None:
    """Raises ValueError for a key that is too short, too long, or no text that a charge point can be given."""
    if not SHORTEST_KEY <= len(key) <= LONGEST_KEY or not key.isascii() or not key.isprintable():
        message = f"a key has {SHORTEST_KEY} to {LONGEST_KEY} letters, digits and signs; 40 hex digits are best"
        raise ValueError(message)


def hash_key(key: str | bytes) -> str:
    """`scrypt$n$r$p$salt$hash`. Takes some 50 ms and 16 MiB: not for an event loop."""
    salt = secrets.token_bytes(_SALT_BYTES)
    return "$".join(["scrypt", str(_N), str(_R), str(_P), _text(salt), _text(_scrypt(key, salt, _N, _R, _P))])


def is_key(key: str | bytes, key_hash: str) -> bool:
    """Whether the hash is of this key, in constant time. A hash that cannot be read is of no key."""
    try:
        name, n, r, p, salt, wanted = key_hash.split("$")
        if name != "scrypt" or int(n) > _LARGEST_N:
            return False
        found = _scrypt(key, base64.b64decode(salt), int(n), int(r), int(p))
        return hmac.compare_digest(found, base64.b64decode(wanted))
    except (ValueError, TypeError, OverflowError):  # scrypt's own for numbers that it cannot take
        return False


def canonical(key: str | bytes) -> bytes:
    """The bytes of a key: those that hex digits stand for, else the text's own."""
    raw = key.encode("utf-8", "surrogateescape") if isinstance(key, str) else key
    return bytes.fromhex(raw.decode("ascii")) if _HEX.fullmatch(raw) else raw


def _scrypt(key: str | bytes, salt: bytes, n: int, r: int, p: int) -> bytes:
    marked = canonical(key) + _END  # the HMAC within pads with zeros: a key with NULs behind it would be the same
    return hashlib.scrypt(marked, salt=salt, n=n, r=r, p=p, maxmem=256 * n * r, dklen=_HASH_BYTES)


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")
