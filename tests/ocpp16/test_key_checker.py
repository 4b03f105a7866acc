"""Keys are hashed in threads, few for each address, and whoever was right once is not shut out by others."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from ocpp_server.authorization_key import hash_key
from ocpp_server.ocpp16 import key_checker
from ocpp_server.ocpp16.key_checker import BLOCKED_FOR_S, WITHIN_S, KeyChecker, TooManyFailuresError

GUESSER, HOME, ELSEWHERE = "192.0.2.66", "192.0.2.7", "198.51.100.8"
RIGHT = b"0123456789abcdef"
HASH = hash_key(RIGHT)
LIMIT_S = 20.0


class Watch:
    """A clock that the test turns, in seconds."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class SlowHash:
    """Stands for the hash: takes as long as the test wants, and counts how many run at once."""

    def __init__(self) -> None:
        self.may_end = threading.Event()
        self.begun = threading.Semaphore(0)
        self._lock = threading.Lock()
        self._running = 0
        self.most_at_once = 0
        self.count = 0

    def __call__(self, key: bytes, key_hash: str) -> bool:
        with self._lock:
            self.count += 1
            self._running += 1
            self.most_at_once = max(self.most_at_once, self._running)
        self.begun.release()
        assert self.may_end.wait(LIMIT_S)
        with self._lock:
            self._running -= 1
        return key == RIGHT


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def keys(watch: Watch) -> Iterator[KeyChecker]:
    checker = KeyChecker(watch)
    yield checker
    checker.close()


@pytest.fixture
def slow_hash(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowHash]:
    """Put a hash in the place of the real one that ends when the test says so, at the latest with the test."""
    slow = SlowHash()
    monkeypatch.setattr(key_checker, "_is_key", slow)
    yield slow
    slow.may_end.set()


async def guess(keys: KeyChecker, address: str, key: bytes, charge_point_id: str = "CP1", key_hash: str = HASH) -> str:
    """What becomes of a key: right, wrong or blocked."""
    try:
        is_right = await keys.is_right(charge_point_id, address, key, key_hash)
    except TooManyFailuresError:
        return "blocked"
    return "right" if is_right else "wrong"


async def test_ten_thousand_wrong_keys_cost_ten_hashes(keys: KeyChecker, watch: Watch) -> None:
    """T4: many at once and one after another, of several ids, within five minutes."""
    outcomes = []
    for number in range(100):
        watch.now += 2.9
        many = [guess(keys, GUESSER, b"guess %5d of CP%d" % (number, k), f"CP{k % 7}") for k in range(100)]
        outcomes += await asyncio.gather(*many)

    assert keys.hashed == 10
    assert outcomes.count("wrong") == 10
    assert outcomes.count("blocked") == 9990


async def test_a_block_ends_after_a_quarter_of_an_hour(keys: KeyChecker, watch: Watch) -> None:
    """T4: 429 for 15 minutes, then ten more."""
    for number in range(10):
        assert await guess(keys, GUESSER, b"guess %d" % number) == "wrong"

    watch.now += BLOCKED_FOR_S - 1
    assert await guess(keys, GUESSER, RIGHT) == "blocked"
    watch.now += 1
    assert await guess(keys, GUESSER, b"another guess") == "wrong"
    assert await guess(keys, GUESSER, RIGHT) == "right"
    assert keys.hashed == 12


async def test_slow_guessing_is_never_blocked_and_never_more_than_ten_in_five_minutes(
    keys: KeyChecker, watch: Watch, slow_hash: SlowHash
) -> None:
    """T4: a charge point with an old key tries every 34 s; that alone blocks nobody."""
    slow_hash.may_end.set()
    for number in range(40):
        assert await guess(keys, GUESSER, b"guess %d" % number) == "wrong"
        watch.now += WITHIN_S / 9 + 1


async def test_whoever_was_right_once_is_let_in_from_a_blocked_address(keys: KeyChecker) -> None:
    """T4: guessing behind the same router does not shut the real charge point out; another key is none the better."""
    assert await guess(keys, GUESSER, RIGHT) == "right"
    for number in range(10):
        await guess(keys, GUESSER, b"guess %d" % number)

    hashed = keys.hashed
    assert await guess(keys, GUESSER, RIGHT) == "right"
    assert await guess(keys, GUESSER, RIGHT.hex().encode()) == "right"  # OCPP-J §6.2: as hex, too
    assert await guess(keys, GUESSER, b"a wrong one at last") == "blocked"
    assert keys.hashed == hashed


async def test_a_key_that_was_right_is_not_right_for_a_new_hash(keys: KeyChecker) -> None:
    """A01.FR.03: only the newest key counts."""
    assert await guess(keys, HOME, RIGHT) == "right"

    assert await guess(keys, HOME, RIGHT, key_hash=hash_key(b"another one, 16+")) == "wrong"
    assert await guess(keys, HOME, RIGHT, key_hash="") == "wrong"


async def test_other_addresses_are_not_blocked(keys: KeyChecker) -> None:
    """T4: a guesser does not shut out the charge point whose id it uses."""
    for number in range(11):
        await guess(keys, GUESSER, b"guess %d" % number)

    assert await guess(keys, ELSEWHERE, RIGHT) == "right"


async def test_one_network_of_ipv6_is_one_address(keys: KeyChecker) -> None:
    """T4: a stranger has 2^64 addresses; charge points of a site share a network."""
    for number in range(10):
        await guess(keys, f"2a00:1450::{number:x}", b"guess %d" % number)
    for number in range(10):
        await guess(keys, f"fd00::{number:x}", b"guess %d" % number)

    assert await guess(keys, "2a00:1450::ffff", RIGHT) == "blocked"
    assert await guess(keys, "2a00:1450:0:1::1", RIGHT) == "right"
    assert await guess(keys, "fd00::ffff", RIGHT, "CP2") == "right"


async def test_few_keys_are_hashed_at_once(keys: KeyChecker, slow_hash: SlowHash) -> None:
    """T4: a hash takes 16 MiB; who was here before does not queue behind strangers."""
    many = [asyncio.create_task(guess(keys, f"192.0.2.{k}", b"guess")) for k in range(60)]
    await asyncio.to_thread(slow_hash.begun.acquire)
    at_home = asyncio.create_task(keys.is_right("CP1", HOME, RIGHT, HASH, is_usual_address=True))

    assert await asyncio.to_thread(slow_hash.begun.acquire, timeout=LIMIT_S)  # the second one: that of the real one
    slow_hash.may_end.set()
    assert await at_home
    assert await asyncio.gather(*many) == ["wrong"] * 60
    assert slow_hash.most_at_once <= 3


async def test_right_keys_of_one_address_wait_for_one_another(keys: KeyChecker, slow_hash: SlowHash) -> None:
    """After a restart 30 charge points behind one router come back at once: none of them is a guesser."""
    many = [asyncio.create_task(guess(keys, HOME, RIGHT, f"CP{k}")) for k in range(30)]
    await asyncio.to_thread(slow_hash.begun.acquire)
    slow_hash.may_end.set()

    async with asyncio.timeout(LIMIT_S):
        assert await asyncio.gather(*many) == ["right"] * 30
    assert slow_hash.count == 30


async def test_a_handshake_that_is_given_up_counts_if_its_key_is_hashed(keys: KeyChecker, slow_hash: SlowHash) -> None:
    """T4: hanging up before the answer buys no further guess; one that was not hashed costs none."""
    many = [asyncio.create_task(guess(keys, GUESSER, b"guess %d" % k)) for k in range(10)]
    waiting = asyncio.create_task(guess(keys, GUESSER, RIGHT))
    await asyncio.to_thread(slow_hash.begun.acquire)
    for one in many:
        one.cancel()
    await asyncio.wait(many)
    slow_hash.may_end.set()

    async with asyncio.timeout(LIMIT_S):
        assert await waiting == "right"
    outcomes = [await guess(keys, GUESSER, b"again %d" % k) for k in range(10)]
    assert outcomes == ["wrong"] * 9 + ["blocked"]


async def test_the_memory_of_addresses_is_bounded(keys: KeyChecker, slow_hash: SlowHash) -> None:
    """T4: a guesser with many addresses does not fill our memory."""
    slow_hash.may_end.set()
    for number in range(5000):
        await guess(keys, f"10.0.{number // 250}.{number % 250}", b"guess")

    assert len(keys._records) == 4096
