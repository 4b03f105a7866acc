"""Checks the keys that handshakes give, in threads, and counts the wrong ones by address before anything is hashed.

A hash costs 50 ms on purpose, so whoever guesses must not get many of them (T4). Whoever gave the right key once is
recognised by a fast digest that only this process can make, so guessing from its address does not shut it out.
"""

import asyncio
import functools
import hashlib
import hmac
import logging
import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from ocpp_server.authorization_key import canonical, hash_key, is_key, make_key

log = logging.getLogger(__name__)

MOST_FAILURES = 10
WITHIN_S = 300.0
BLOCKED_FOR_S = 900.0
_MOST_ADDRESSES = 4096
_THREADS = 2
"""Each hash takes 16 MiB."""


class TooManyFailuresError(Exception):
    """This address gave too many wrong keys; nothing is hashed for it now."""


@dataclass(slots=True)
class _Record:
    """Of one address. Times are real monotonic seconds."""

    failed_at: deque[float] = field(default_factory=deque)
    blocked_until: float = float("-inf")
    hashing: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class KeyChecker:
    """Whether a key is the right one."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._records: OrderedDict[str, _Record] = OrderedDict()
        self._known: dict[str, tuple[str, bytes]] = {}
        self._secret = secrets.token_bytes(32)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="key")
        self.hashed = 0
        """Number of keys that were hashed."""

    async def is_right(self, charge_point_id: str, address: str, key: bytes, key_hash: str) -> bool:
        """Whether a key that came from an address is the charge point's; `key_hash` blank: it has none.

        Takes as long for a charge point without a key, or that is unknown (T5). Raises TooManyFailuresError.
        """
        if self._is_known(charge_point_id, key, key_hash):
            return True
        record = await self._allowed(address)
        record.hashing += 1
        try:
            self.hashed += 1
            loop = asyncio.get_running_loop()
            is_right = await loop.run_in_executor(self._threads, _is_key, key, key_hash)
            if not is_right:
                self._count_failure(address, record)
        finally:
            record.hashing -= 1
            record.changed.set()
        if is_right:
            self._known[charge_point_id] = (key_hash, self._digest(key))
        return is_right

    def close(self) -> None:
        """Let go of the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _is_known(self, charge_point_id: str, key: bytes, key_hash: str) -> bool:
        known_hash, digest = self._known.get(charge_point_id, ("", b""))
        return bool(key_hash) and known_hash == key_hash and hmac.compare_digest(digest, self._digest(key))

    def _digest(self, key: bytes) -> bytes:
        return hashlib.blake2b(canonical(key), key=self._secret, digest_size=32).digest()

    async def _allowed(self, address: str) -> _Record:
        """Wait until this address may have a key hashed: as many at once as it may still get wrong."""
        while True:
            record = self._record(address)
            now = self._now()
            if now < record.blocked_until:
                raise TooManyFailuresError
            while record.failed_at and record.failed_at[0] <= now - WITHIN_S:
                record.failed_at.popleft()
            if len(record.failed_at) + record.hashing < MOST_FAILURES:
                return record
            record.changed.clear()
            await record.changed.wait()

    def _record(self, address: str) -> _Record:
        record = self._records.setdefault(address, _Record())
        self._records.move_to_end(address)
        while len(self._records) > _MOST_ADDRESSES:
            self._records.popitem(last=False)
        return record

    def _count_failure(self, address: str, record: _Record) -> None:
        now = self._now()
        record.failed_at.append(now)
        if len(record.failed_at) >= MOST_FAILURES:
            record.blocked_until = now + BLOCKED_FOR_S
            record.failed_at.clear()
            log.warning(
                "[AUTH] blocked address=%s minutes=%d reason=%r", address, BLOCKED_FOR_S / 60, "too many wrong keys"
            )


def _is_key(key: bytes, key_hash: str) -> bool:
    """As long for no hash as for one."""
    return is_key(key, key_hash or _hash_of_nobody()) and bool(key_hash)


@functools.cache
def _hash_of_nobody() -> str:
    return hash_key(make_key())
