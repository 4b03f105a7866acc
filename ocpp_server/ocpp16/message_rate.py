"""How fast messages of one charge point are taken; what comes faster waits, and nothing is refused or dropped (T13).

A bucket belongs to the charge point, not to its connection: who reconnects begins with no new burst. Times are real
seconds, as it is our own time that a flood takes.
"""

import time
from collections.abc import Callable
from typing import Final

BURST_S: Final = 10.0
"""A charge point that was silent for so long may send as much at once as in this time."""
LONGEST_FLOOD_S: Final = 60.0
"""So long a charge point that nobody approved may send faster than it is read."""
_MOST_BUCKETS: Final = 1024
_SHORTEST_WAIT_S: Final = 1e-6


class Bucket:
    """Of one charge point. `_due` is when its messages so far would all have come at the rate that is allowed."""

    __slots__ = ("_due", "_flooding_since", "_now", "_step_s")

    def __init__(self, per_s: float, now: Callable[[], float] = time.monotonic) -> None:
        """`per_s` 0: no limit."""
        self._now = now
        self._step_s = 1 / per_s if per_s else 0.0
        self._due = float("-inf")
        self._flooding_since: float | None = None

    def take(self) -> float:
        """Count a message; the seconds that it has to wait, 0 within the rate and its burst."""
        if not self._step_s:
            return 0.0
        now = self._now()
        self._due = max(self._due, now - BURST_S) + self._step_s
        wait_s = self._due - now
        if wait_s < _SHORTEST_WAIT_S:
            self._flooding_since = None
            return 0.0
        if self._flooding_since is None:
            self._flooding_since = now
        return wait_s

    @property
    def is_flood(self) -> bool:
        """Whether for a minute no message came that did not have to wait."""
        return self._flooding_since is not None and self._now() - self._flooding_since >= LONGEST_FLOOD_S

    @property
    def is_at_rest(self) -> bool:
        """Whether a new bucket would be the same."""
        return self._due <= self._now() - BURST_S


class MessageRates:
    """The buckets of all charge points that were let in."""

    def __init__(self, per_s: float, now: Callable[[], float] = time.monotonic) -> None:
        """`per_s` 0: no limit."""
        self._per_s = per_s
        self._now = now
        self._buckets: dict[str, Bucket] = {}

    def __len__(self) -> int:
        return len(self._buckets)

    def of(self, charge_point_id: str) -> Bucket:
        """The bucket of a charge point."""
        bucket = self._buckets.get(charge_point_id)
        if bucket is None:
            if len(self._buckets) >= _MOST_BUCKETS:
                self._buckets = {one: kept for one, kept in self._buckets.items() if not kept.is_at_rest}
            bucket = self._buckets[charge_point_id] = Bucket(self._per_s, self._now)
        return bucket
