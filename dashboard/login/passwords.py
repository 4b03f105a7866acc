"""Passwords of the dashboard: made, judged, hashed and compared (T19)."""

import base64
import hashlib
import hmac
import secrets
import unicodedata
from typing import Final

SHORTEST: Final = 12
"""Characters."""
LONGEST: Final = 2_000
"""Bytes of UTF-8."""
_ALPHABET: Final = "abcdefghjkmnpqrstuvwxyz23456789"
"""No sign that is read as another one."""
_N, _R, _P = 2**15, 8, 3
"""What OWASP asks of scrypt, with 32 MiB; they stand in the hash, so that they can grow."""
_LARGEST_COST: Final = 2**22
_SALT_BYTES: Final = 16
_HASH_BYTES: Final = 32


def make_password() -> str:
    """Five groups of four signs, of almost 100 random bits."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(5))


def check_strength(password: str) -> None:
    """Raises ValueError for a password that is too short, too long, or one sign again and again."""
    if len(password) < SHORTEST or len(_bytes(password)) > LONGEST or len(set(password)) < 5:
        message = f"a password has at least {SHORTEST} characters, not all the same, and at most {LONGEST} bytes"
        raise ValueError(message)


def hash_password(password: str, *, n: int = _N, r: int = _R, p: int = _P) -> str:
    """`scrypt$n$r$p$salt$hash`. Takes some 0.3 s and 32 MiB: not for an event loop."""
    salt = secrets.token_bytes(_SALT_BYTES)
    return "$".join(["scrypt", str(n), str(r), str(p), _text(salt), _text(_scrypt(password, salt, n, r, p))])


def is_password(password: str, password_hash: str) -> bool:
    """Whether the hash is of this password, in constant time. A hash that cannot be read is of none."""
    if len(_bytes(password)) > LONGEST:
        return False
    try:
        name, n, r, p, salt, wanted = password_hash.split("$")
        if name != "scrypt" or int(n) * int(r) * int(p) > _LARGEST_COST:
            return False
        found = _scrypt(password, base64.b64decode(salt), int(n), int(r), int(p))
        return hmac.compare_digest(found, base64.b64decode(wanted))
    except (ValueError, TypeError, OverflowError):
        return False


def _scrypt(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    marked = _bytes(password) + b"\x01"  # the HMAC within pads with zeros: NULs at the end would not count
    return hashlib.scrypt(marked, salt=salt, n=n, r=r, p=p, maxmem=256 * n * r * max(p, 1), dklen=_HASH_BYTES)


def _bytes(password: str) -> bytes:
    """One keyboard sends `ş` as one character, another one as two: they are the same password."""
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")
