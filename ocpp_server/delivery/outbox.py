"""What is to be delivered: entries of an append-only table of the ledger, the outbox, in lanes that keep their order.

A position tells how far a destination has come: by lane the number of the last entry that is settled (accepted, set
aside or dropped); `DEFAULT` stands for every lane that has no position of its own.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Protocol

DEFAULT: Final = ""
"""The lane of a position that holds for all others. No entry has this lane."""
UNWANTED: Final = 2**62
"""A position that leaves a lane out of a page: no entry has a number above it."""


class Item(NamedTuple):
    """One entry. `key` is the same whenever it is sent, and belongs to no other: the receiver knows it again by it."""

    number: int
    lane: str
    """Within a lane entries arrive in the order of their numbers: a charge point's id, for example. Never blank."""
    key: str
    body: Any
    """What is sent, as a document of JSON."""


class Source(Protocol):
    """An outbox that can be read. `page` and `count` block: they are called in a thread. Both raise LedgerError."""

    @property
    def outbox(self) -> str:
        """Name of its table in the ledger: `readings`, `events`."""
        ...

    def newest(self) -> int:
        """The highest number so far, from memory; its commit may still be under way. 0: there is no entry yet."""
        ...

    def page(self, after: Mapping[str, int], limit: int) -> list[Item]:
        """The first committed entries behind these positions, in the order of their numbers."""
        ...

    def count(self, after: Mapping[str, int]) -> int:
        """How many committed entries are behind these positions."""
        ...
