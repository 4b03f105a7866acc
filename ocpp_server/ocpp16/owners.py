"""Which connection speaks for a charge point: one at a time, and when a newcomer may replace it.

A half-open connection must not lock its charge point out (T3), and nobody may take an id from a living connection
elsewhere without a proof (T2). Who is alive is asked with a ping.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from ocpp_server.core.admission import TurnedAway
from ocpp_server.core.security_events import HELD_DOWN, TAKEN_OVER
from ocpp_server.ocpp16.charge_point import ChargePointConnection

PROBE_S = 3.0
"""Real seconds in which a living connection answers a ping."""
MOST_CHANGES = 6
CHANGES_WITHIN_S = 600.0
HELD_FOR_S = 60.0
_MOST_IDS = 1024
_NEVER = float("-inf")


@dataclass(frozen=True, slots=True)
class Newcomer:
    """Who wants to speak for a charge point. `number`: its place among all handshakes, in the order they came."""

    charge_point_id: str
    address: str
    number: int
    is_proven: bool = False
    """It gave the right key or certificate."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Whom a newcomer may replace."""

    newcomer: Newcomer
    owner: ChargePointConnection | None
    is_taken_from_living: bool = False


class Owners(Mapping[str, ChargePointConnection]):
    """The connections that speak for charge points, by id."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._owners: dict[str, ChargePointConnection] = {}
        self._numbers: dict[str, int] = {}
        self._changed_at: dict[str, deque[float]] = {}
        self._held_until: dict[str, float] = {}

    def __getitem__(self, charge_point_id: str) -> ChargePointConnection:
        return self._owners[charge_point_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._owners)

    def __len__(self) -> int:
        return len(self._owners)

    async def challenge(self, newcomer: Newcomer) -> Claim | TurnedAway:
        """The claim of a newcomer, or why it may not replace the owner. Takes as long as a ping does."""
        owner = self._owners.get(newcomer.charge_point_id)
        if owner is None:
            return Claim(newcomer, None)
        kept_because = self._kept_because(newcomer, owner)
        is_same_address = newcomer.address == owner.address
        if is_same_address and not kept_because:
            return Claim(newcomer, owner)
        if not await owner.is_alive(PROBE_S):
            return Claim(newcomer, owner)
        if kept_because:
            return TurnedAway(409, kept_because)
        if newcomer.is_proven:
            return Claim(newcomer, owner, is_taken_from_living=True)
        return TurnedAway(409, f"is connected from {owner.address}, and that connection is alive")

    def _kept_because(self, newcomer: Newcomer, owner: ChargePointConnection) -> str:
        """Why a living owner stays whoever comes; blank: it need not. A newcomer may have been overtaken while its
        key was hashed or the owner before this one was asked; its charge point has given that connection up.

        At its own address an owner that is never pinged is replaced also while connections fight: nobody could tell
        it from a half-open line, and its charge point would be locked out.
        """
        if self._numbers[newcomer.charge_point_id] > newcomer.number:
            return "has a connection that came later, and that is alive"
        is_held = self._now() < self._held_until.get(newcomer.charge_point_id, _NEVER)
        if is_held and (owner.is_pinged or newcomer.address != owner.address):
            return "is fought for; the connection that has it keeps it for a minute"
        return ""

    def is_good(self, claim: Claim) -> bool:
        """Whether the claim was made against the connection that owns the id now, or nobody owns it."""
        return self._owners.get(claim.newcomer.charge_point_id) in (None, claim.owner)

    def put(self, connection: ChargePointConnection, claim: Claim) -> list[tuple[str, str]]:
        """Make this connection the owner; gives what is to be told of it, as security events with their text."""
        charge_point_id = claim.newcomer.charge_point_id
        before = self._owners.get(charge_point_id)
        self._owners[charge_point_id] = connection
        self._numbers[charge_point_id] = claim.newcomer.number
        if before is None:
            return []
        events: list[tuple[str, str]] = []
        if claim.is_taken_from_living:
            text = f"{connection.address} proved who it is and took over from {before.address}, which was alive"
            events.append((TAKEN_OVER, text))
        if self._is_fight(charge_point_id):
            text = (
                f"connections replaced each other more than {MOST_CHANGES} times within 10 minutes, at last "
                f"{connection.address} the one from {before.address}: a second device has the id {charge_point_id}, "
                f"or its line breaks often"
            )
            events.append((HELD_DOWN, text))
        return events

    def remove(self, connection: ChargePointConnection) -> bool:
        """Take the id from this connection; False if it was not the owner, and nothing changed."""
        if self._owners.get(connection.charge_point_id) is not connection:
            return False
        del self._owners[connection.charge_point_id]
        del self._numbers[connection.charge_point_id]
        return True

    def _is_fight(self, charge_point_id: str) -> bool:
        """Count a change; True if it is one too many, which begins a hold-down."""
        now = self._now()
        if charge_point_id not in self._changed_at and len(self._changed_at) >= _MOST_IDS:
            self._changed_at.clear()
            self._held_until.clear()
        changes = self._changed_at.setdefault(charge_point_id, deque(maxlen=MOST_CHANGES + 1))
        changes.append(now)
        if len(changes) <= MOST_CHANGES or now - changes[0] > CHANGES_WITHIN_S:
            return False
        is_new = now >= self._held_until.get(charge_point_id, _NEVER)
        self._held_until[charge_point_id] = now + HELD_FOR_S
        return is_new
