"""Checks the keys that handshakes give, in threads, and counts the attempts by address before anything is hashed.

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
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from ocpp_server.authorization_key import canonical, hash_key, is_key, make_key
from ocpp_server.ocpp16.peer import counted_as

log = logging.getLogger(__name__)

MOST_FAILURES: Final = 10
WITHIN_S: Final = 300.0
BLOCKED_FOR_S: Final = 900.0
_MOST_ADDRESSES: Final = 4096


class TooManyFailuresError(Exception):
    """This address gave too many wrong keys; nothing is hashed for it now."""


@dataclass(slots=True)
class _Record:
    """Of one address. Times are real monotonic seconds."""

    attempts: deque[float] = field(default_factory=deque)
    """When each key was taken that proved wrong or that is being hashed."""
    hashing: int = 0
    blocked_until: float = float("-inf")
    changed: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class _Hash:
    """One hash in its thread."""

    key: bytes
    key_hash: str
    is_begun: bool = False

    def run(self) -> bool:
        """Whether the key is right."""
        self.is_begun = True
        return _is_key(self.key, self.key_hash)


class KeyChecker:
    """Whether a key is the right one."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._records: OrderedDict[str, _Record] = OrderedDict()
        self._known: dict[str, tuple[str, bytes]] = {}
        self._secret = secrets.token_bytes(32)
        self._for_strangers = ThreadPoolExecutor(1, thread_name_prefix="key")
        """Each hash takes 16 MiB; who guesses from many addresses fills this queue, and not the other one."""
        self._for_acquaintances = ThreadPoolExecutor(2, thread_name_prefix="known-key")
        self.hashed = 0
        """Number of keys that were given to a thread to be hashed."""

    async def is_right(
        self, charge_point_id: str, address: str, key: bytes, key_hash: str, *, is_usual_address: bool = False
    ) -> bool:
        """Whether a key that came from an address is the charge point's; `key_hash` blank: it has none.

        Takes as long for a charge point without a key, or that is unknown (T5). `is_usual_address`: it came from
        there before. Raises TooManyFailuresError.
        """
        if self._is_known(charge_point_id, key, key_hash):
            return True
        address = counted_as(address)
        record = await self._allowed(address)
        began_at = self._now()
        record.attempts.append(began_at)
        record.hashing += 1
        self.hashed += 1
        job = _Hash(key, key_hash)
        is_right = False
        try:
            threads = self._for_acquaintances if is_usual_address else self._for_strangers
            is_right = await asyncio.get_running_loop().run_in_executor(threads, job.run)
        finally:
            record.hashing -= 1
            if is_right or not job.is_begun:  # a handshake that was given up while it was hashed counts all the same
                with suppress(ValueError):  # it is so old that it does not count any more
                    record.attempts.remove(began_at)
            self._block_if_due(address, record)
            record.changed.set()
        if is_right:
            self._known[charge_point_id] = (key_hash, self._digest(key))
        return is_right

    def close(self) -> None:
        """Let go of the threads."""
        for threads in (self._for_strangers, self._for_acquaintances):
            threads.shutdown(wait=False, cancel_futures=True)

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
            while record.attempts and record.attempts[0] <= now - WITHIN_S:
                record.attempts.popleft()
            if len(record.attempts) < MOST_FAILURES:
                return record
            record.changed.clear()
            await record.changed.wait()

    def _record(self, address: str) -> _Record:
        record = self._records.setdefault(address, _Record())
        self._records.move_to_end(address)
        while len(self._records) > _MOST_ADDRESSES:
            self._records.popitem(last=False)
        return record

    def _block_if_due(self, address: str, record: _Record) -> None:
        """Only when nothing is being hashed any more: what is under way may be the right key."""
        if record.hashing or len(record.attempts) < MOST_FAILURES:
            return
        record.blocked_until = self._now() + BLOCKED_FOR_S
        record.attempts.clear()
        log.warning(
            "[AUTH] blocked address=%s minutes=%d reason=%r", address, BLOCKED_FOR_S / 60, "too many wrong keys"
        )


def _is_key(key: bytes, key_hash: str) -> bool:
    """As long for no hash as for one."""
    return is_key(key, key_hash or _hash_of_nobody()) and bool(key_hash)


@functools.cache
def _hash_of_nobody() -> str:
    return hash_key(make_key())
