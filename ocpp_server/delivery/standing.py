"""How the delivery to one destination stands, for people, metrics and alerts. It decides nothing."""

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

from ocpp_server.storage.deliveries import Loss

STUCK_AFTER_S: Final = 900.0
"""What waits for so long is an alert."""
_SAMPLE_EVERY_S: Final = 60.0


class DeliveryStatus(NamedTuple):
    """How it stands. `delivered` and `failures` are counted since the start."""

    name: str
    outbox: str
    state: str
    """ok, retrying, breaker open or paused."""
    backlog: int
    delivered: int
    failures: int
    set_aside: int
    loss: Loss
    last_error: str
    """Blank: everything that there was is delivered."""
    last_error_at: datetime | None
    last_delivered_at: datetime | None
    pause: str
    """Why a person must look first; blank: nobody need."""
    is_stuck: bool | None
    """Something waits for 15 minutes, or for a person; None: not known yet, so soon after the start."""


@dataclass(slots=True)
class Standing:
    """Counted by the engine as it goes."""

    backlog: int = 0
    loss: Loss = field(default_factory=Loss)
    _delivered: int = 0
    _failures: int = 0
    _last_error: str = ""
    _last_error_at: datetime | None = None
    _last_delivered_at: datetime | None = None
    _samples: deque[tuple[float, int]] = field(default_factory=deque)

    def delivered(self, count: int, at: datetime) -> None:
        """So many entries were accepted."""
        self._delivered += count
        self._last_delivered_at = at

    def failed(self, reason: str, at: datetime) -> bool:
        """A sending was not accepted; gives whether the reason is another than before."""
        is_new = reason != self._last_error
        self._failures += 1
        self._last_error, self._last_error_at = reason, at
        return is_new

    def all_delivered(self, *, works: bool) -> None:
        """Nothing waits any more."""
        self.backlog = 0
        if works:
            self._last_error = ""

    def sample(self, now_s: float, newest: int) -> None:
        """Remember how far the outbox went, for as long as it takes to be stuck."""
        if not self._samples or now_s - self._samples[-1][0] >= _SAMPLE_EVERY_S:
            self._samples.append((now_s, newest))
        while len(self._samples) > 1 and self._samples[1][0] <= now_s - STUCK_AFTER_S:
            self._samples.popleft()

    def status(
        self, name: str, outbox: str, state: str, pause: str, set_aside: int, *, is_stuck: bool | None
    ) -> DeliveryStatus:
        """As it stands now."""
        return DeliveryStatus(
            name,
            outbox,
            state,
            self.backlog,
            self._delivered,
            self._failures,
            set_aside,
            self.loss,
            self._last_error,
            self._last_error_at,
            self._last_delivered_at,
            pause,
            is_stuck,
        )

    def is_stuck(self, now_s: float, lowest: int) -> bool | None:
        """Whether what was there 15 minutes ago is not settled yet; `lowest`: up to there everything is."""
        if not self._samples or not self.backlog:
            return False
        at_s, newest = self._samples[0]
        return lowest < newest if at_s <= now_s - STUCK_AFTER_S else None
