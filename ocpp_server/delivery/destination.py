"""Where entries go: one class in one file of its own for each kind of system. What became of a sending is an `Outcome`.

When to send, how often to try again and what is set aside is the engine's business (`engine`).
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol, TypeAlias

from ocpp_server.delivery.outbox import Item


class Accepted(NamedTuple):
    """The other system has it, and answers for it from now on."""


class Skipped(NamedTuple):
    """Not for this system: nothing was sent, and nothing was learnt of it."""


class Refused(NamedTuple):
    """The other system can do nothing with these entries, today or ever (HTTP 400, 413, 422)."""

    reason: str


class Unauthorized(NamedTuple):
    """It does not let us in (HTTP 401, 403): more tries could lock us out, so a person must look."""

    reason: str


class Failed(NamedTuple):
    """Anything else: slow, away, broken, busy. `wait_s`: it asked for so many seconds of peace; None: it did not."""

    reason: str
    wait_s: float | None = None


Outcome: TypeAlias = Accepted | Skipped | Refused | Unauthorized | Failed


class Destination(Protocol):
    """One other system. `reason` of an outcome is shown to people and logged: nothing raw from outside, no secret."""

    @property
    def name(self) -> str:
        """Its name in the ledger, in metrics, in the API and in the log: never changes; `[a-z0-9-]+`."""
        ...

    async def send(self, items: Sequence[Item]) -> Outcome:
        """Hand over entries of one lane, in their order; all of them are accepted, or none.

        It ends within a bounded time by itself. Called for several lanes at the same time.
        """
        ...

    async def close(self) -> None:
        """Let go of what is open, at the end of the server."""
        ...
