"""How soon the other system may be asked again: backoff, peace that it asked for, a breaker, a pause.

After a failure one try at a time is made, each after a random wait (full jitter) below a limit that doubles from 1 s to
300 s. The fifth failure in a row opens the breaker: from then on one probe each 300 s. Values in, values out: seconds
are those of `Clock.monotonic`.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Final, TypeAlias

BASE_S: Final = 1.0
CAP_S: Final = 300.0
FAILURES_TO_OPEN: Final = 5

Jitter: TypeAlias = Callable[[float], float]
"""A random number of seconds from 0 to the limit."""


def full_jitter(limit_s: float) -> float:
    """Any moment is as likely as any other, so that many who failed together do not come back together."""
    return random.uniform(0.0, limit_s)


def backoff_s(failures: int, jitter: Jitter) -> float:
    """The wait after so many failures in a row, the last one included."""
    return min(CAP_S, jitter(min(CAP_S, BASE_S * 2.0 ** min(failures - 1, 16))))


@dataclass(frozen=True, slots=True)
class DeliveryOptions:
    """How to send. `lanes`: how many at the same time; `batch`: entries in one sending, at most."""

    lanes: int = 8
    batch: int = 1
    jitter: Jitter = full_jitter


class Pace:
    """Of one destination."""

    def __init__(self, jitter: Jitter = full_jitter) -> None:
        self._jitter = jitter
        self._is_proven = False
        self._hold_until_s = -inf
        self.failures = 0
        """In a row."""
        self.pause = ""
        """Why nothing is sent until a person looked; blank: it is not paused."""

    @property
    def is_open(self) -> bool:
        """The breaker is open."""
        return self.failures >= FAILURES_TO_OPEN

    @property
    def state(self) -> str:
        """One word for people: ok, retrying, breaker open, paused."""
        if self.pause:
            return "paused"
        if self.is_open:
            return "breaker open"
        return "retrying" if self.failures else "ok"

    def wait_s(self, now_s: float) -> float:
        """Seconds until something may be sent; 0: now; infinite: a person must look first."""
        return inf if self.pause else max(0.0, self._hold_until_s - now_s)

    def most_at_once(self, most: int) -> int:
        """One until it has answered well: a restart during an outage must not knock at all its lanes."""
        return most if self._is_proven else 1

    def answered(self) -> None:
        """It works."""
        self._is_proven = True
        self.failures = 0
        self._hold_until_s = -inf

    def failed(self, now_s: float, wait_s: float | None) -> None:
        """`wait_s`: the peace that it asked for."""
        self._is_proven = False
        self.failures += 1
        hold_s = CAP_S if self.is_open else backoff_s(self.failures, self._jitter)
        self._hold_until_s = max(self._hold_until_s, now_s + max(hold_s, wait_s or 0.0))

    def stop(self, reason: str) -> None:
        """Until `resume`."""
        self._is_proven = False
        self.pause = reason

    def resume(self) -> None:
        """A person has looked: try at once, one at a time."""
        self.pause = ""
        self._is_proven = False
        self._hold_until_s = -inf
