"""How often passwords may be tried: judged before anything is hashed (T19).

Two counts. One address may fail five times in a quarter of an hour. One account may fail twenty times at once and then
twice a minute, from all addresses together, which bounds a guess that comes from many machines. That second count never
shuts out an address from which the right password came before, so nobody locks others out of their account for ever.
"""

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from typing import Final

MOST_FAILURES: Final = 5
"""Of one address, within WITHIN_S."""
WITHIN_S: Final = 15 * 60
ACCOUNT_BURST: Final = 20
ACCOUNT_EVERY_S: Final = 30
_MOST_ADDRESSES: Final = 4_096
_MOST_TRUSTED: Final = 256
"""Addresses of one account from which its password came."""


@dataclass(slots=True)
class _OfAccount:
    free_at: float = 0.0
    """When all attempts are made up for by the time that has passed."""
    trusted: OrderedDict[str, None] = field(default_factory=OrderedDict)


class Throttle:
    """Counts of one process. `now`: seconds of a clock that never jumps."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()
        self._accounts: dict[str, _OfAccount] = {}

    def take(self, address: str, account: str) -> float:
        """0: the attempt may be made, and counts as failed until `succeeded`. Else seconds to wait.

        `account` is the name of one that there is, or blank: callers bound how many there are.
        """
        counted, now = counted_as(address), self._now()
        failures = self._recent(counted, now)
        if len(failures) >= MOST_FAILURES:
            return failures[0] + WITHIN_S - now
        known = self._accounts.setdefault(account, _OfAccount())
        if counted not in known.trusted:
            free_at = max(known.free_at, now) + ACCOUNT_EVERY_S
            if free_at - now > ACCOUNT_BURST * ACCOUNT_EVERY_S:
                return free_at - now - ACCOUNT_BURST * ACCOUNT_EVERY_S
            known.free_at = free_at
        failures.append(now)
        self._failures[counted] = failures
        self._failures.move_to_end(counted)
        while len(self._failures) > _MOST_ADDRESSES:
            self._failures.popitem(last=False)
        return 0.0

    def succeeded(self, address: str, account: str) -> None:
        """The attempt was right: this address is trusted for this account, and is no longer counted for it."""
        counted, known = counted_as(address), self._accounts.setdefault(account, _OfAccount())
        if counted not in known.trusted:
            known.free_at -= ACCOUNT_EVERY_S
        known.trusted[counted] = None
        known.trusted.move_to_end(counted)
        while len(known.trusted) > _MOST_TRUSTED:
            known.trusted.popitem(last=False)
        failures = self._failures.get(counted)
        if failures:
            failures.pop()  # only its own attempt: who knows one account must not try another one for ever

    def _recent(self, counted: str, now: float) -> deque[float]:
        failures = self._failures.get(counted, deque())
        while failures and now - failures[0] >= WITHIN_S:
            failures.popleft()
        return failures


def counted_as(address: str) -> str:
    """The address itself; of IPv6 the /64, which is one house. What is no address counts as one."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return "unknown"
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return f"{IPv6Address(int(parsed) >> 64 << 64)}/64"
