"""Which connection speaks for a charge point: one at a time, and when a newcomer may replace it.

A half-open connection must not lock its charge point out (T3), and nobody may take an id from a living connection
elsewhere without a proof (T2). Who is alive is asked with a ping.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from ocpp_server.core.admission import HELD_DOWN, TAKEN_OVER, TurnedAway
from ocpp_server.ocpp16.charge_point import ChargePointConnection

PROBE_S = 3.0
"""Real seconds in which a living connection answers a ping."""
MOST_CHANGES = 6
CHANGES_WITHIN_S = 600.0
HELD_FOR_S = 60.0
_MOST_IDS = 1024


@dataclass(frozen=True, slots=True)
class Claim:
    """What a newcomer may replace."""

    owner: ChargePointConnection | None
    is_taken_from_living: bool = False


class Owners(Mapping[str, ChargePointConnection]):
    """The connections that speak for charge points, by id."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._owners: dict[str, ChargePointConnection] = {}
        self._changed_at: dict[str, deque[float]] = {}
        self._held_until: dict[str, float] = {}

    def __getitem__(self, charge_point_id: str) -> ChargePointConnection:
        return self._owners[charge_point_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._owners)

    def __len__(self) -> int:
        return len(self._owners)

    async def challenge(self, charge_point_id: str, address: str, *, is_proven: bool) -> Claim | TurnedAway:
        """The claim of a newcomer from this address, or why it may not replace the owner."""
        owner = self._owners.get(charge_point_id)
        if owner is None:
            return Claim(None)
        is_held = self._now() < self._held_until.get(charge_point_id, float("-inf"))
        if address == owner.address and not is_held:
            return Claim(owner)
        if not await owner.is_alive(PROBE_S):
            return Claim(owner)
        if is_held:
            return TurnedAway(409, "connections fight for this id; the one that has it keeps it for a minute")
        if is_proven:
            return Claim(owner, is_taken_from_living=True)
        return TurnedAway(409, f"is connected from {owner.address or 'this machine'}, and that connection is alive")

    def is_good(self, charge_point_id: str, claim: Claim) -> bool:
        """Whether the claim was made against the connection that owns the id now, or nobody owns it."""
        return self._owners.get(charge_point_id) in (None, claim.owner)

    def put(self, connection: ChargePointConnection, claim: Claim) -> list[tuple[str, str]]:
        """Make this connection the owner; gives what is to be told of it, as security events with their text."""
        charge_point_id = connection.charge_point_id
        before = self._owners.get(charge_point_id)
        self._owners[charge_point_id] = connection
        if before is None:
            return []
        events: list[tuple[str, str]] = []
        if claim.is_taken_from_living:
            text = f"{connection.address} gave the right key and took over from {before.address}, which was alive"
            events.append((TAKEN_OVER, text))
        if self._is_fight(charge_point_id):
            text = f"more than {MOST_CHANGES} connections of {charge_point_id} replaced each other within 10 minutes"
            events.append((HELD_DOWN, text))
        return events

    def remove(self, connection: ChargePointConnection) -> bool:
        """Take the id from this connection; False if it was not the owner, and nothing changed."""
        if self._owners.get(connection.charge_point_id) is not connection:
            return False
        del self._owners[connection.charge_point_id]
        return True

    def _is_fight(self, charge_point_id: str) -> bool:
        """Count a change; True if it is one too many, which begins a hold-down."""
        now = self._now()
        if len(self._changed_at) > _MOST_IDS:
            self._changed_at.clear()
            self._held_until.clear()
        changes = self._changed_at.setdefault(charge_point_id, deque(maxlen=MOST_CHANGES + 1))
        changes.append(now)
        if len(changes) <= MOST_CHANGES or now - changes[0] > CHANGES_WITHIN_S:
            return False
        is_new = now >= self._held_until.get(charge_point_id, float("-inf"))
        self._held_until[charge_point_id] = now + HELD_FOR_S
        return is_new
