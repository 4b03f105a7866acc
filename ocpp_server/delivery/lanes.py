"""The entries of one outbox that are in memory for one destination, by lane, and the positions that follow from them.

A lane that waits for its next try gives its room to the others: its entries are let go, and it *lags* until they are
read again from its own position. No I/O, no clock.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf

from ocpp_server.delivery.outbox import DEFAULT, UNWANTED, Item


@dataclass(slots=True, eq=False)
class Lane:
    """Entries in their order; the first ones may be under way."""

    name: str
    queue: deque[Item] = field(default_factory=deque)
    is_sending: bool = False
    failures: int = 0
    """In a row."""
    refusals: int = 0
    """Of the first entry."""
    not_before_s: float = -inf
    singly_until: int = 0
    """Entries up to this number go one by one: a batch with them was refused."""

    def head(self, most: int) -> list[Item]:
        """What to send next."""
        if self.queue[0].number <= self.singly_until:
            return [self.queue[0]]
        return [item for item, _ in zip(self.queue, range(most), strict=False)]


class Lanes:
    """Of one destination and one outbox."""

    def __init__(self, positions: Mapping[str, int]) -> None:
        """`positions` as they were noted, with one for `DEFAULT`."""
        self.read = positions[DEFAULT]
        """Up to here every lane that does not lag was read."""
        self._default = self.read
        self._lanes: dict[str, Lane] = {}
        self._ahead = {lane: number for lane, number in positions.items() if number > self.read}
        self._lagging = {lane: number for lane, number in positions.items() if lane and number <= self.read}

    def __len__(self) -> int:
        return sum(len(lane.queue) for lane in self._lanes.values())

    @property
    def is_empty(self) -> bool:
        """Nothing in memory waits, and no lane lags."""
        return not self._lagging and not any(lane.queue for lane in self._lanes.values())

    def unread(self) -> dict[str, int]:
        """Positions of a page that goes on reading."""
        ahead = {lane: number for lane, number in self._ahead.items() if number > self.read}
        return {DEFAULT: self.read, **ahead, **dict.fromkeys(self._lagging, UNWANTED)}

    def add(self, items: Sequence[Item], up_to: int) -> None:
        """A page of `unread`. `up_to`: there is nothing else to this number."""
        for item in items:
            self._lane(item.lane).queue.append(item)
            self.read = item.number
        self.read = max(self.read, up_to)

    def lagging(self, now_s: float) -> Iterator[tuple[str, dict[str, int]]]:
        """Lanes that may be sent again and have nothing in memory, each with the positions of its next page."""
        for name, number in list(self._lagging.items()):
            lane = self._lanes.get(name)
            if lane is None or (not lane.queue and not lane.is_sending and lane.not_before_s <= now_s):
                yield name, {DEFAULT: UNWANTED, name: number}

    def add_lagging(self, name: str, items: Sequence[Item], limit: int) -> None:
        """A page of `lagging`. What is beyond `read` comes with the next page of all."""
        fitting = [item for item in items if item.number <= self.read]
        self._lane(name).queue.extend(fitting)
        if len(fitting) < limit:
            del self._lagging[name]
        else:
            self._lagging[name] = fitting[-1].number

    def ready(self, now_s: float) -> list[Lane]:
        """Lanes with something that may be sent now: those that did not fail first, then those with the oldest entry.

        A probe of the breaker must not go to the same bad entry for ever.
        """
        found = [
            lane for lane in self._lanes.values() if lane.queue and not lane.is_sending and lane.not_before_s <= now_s
        ]
        return sorted(found, key=lambda lane: (lane.failures, lane.queue[0].number))

    def at_hand(self, now_s: float) -> int:
        """How many entries may be sent now and are not of lanes that failed."""
        return sum(len(lane.queue) for lane in self.ready(now_s) if not lane.failures)

    def next_due_s(self) -> float:
        """When the next lane that waits may be sent again; infinite: none waits."""
        waits = (lane.not_before_s for lane in self._lanes.values() if lane.failures or lane.refusals)
        return min(waits, default=inf)

    def settle(self, lane: Lane, count: int) -> None:
        """The first entries of a lane are accepted, set aside or dropped."""
        for _ in range(count):
            self._ahead[lane.name] = lane.queue.popleft().number
        lane.failures = lane.refusals = 0
        lane.not_before_s = -inf

    def make_room(self, most: int) -> None:
        """Above so many entries, let go of those of lanes that failed; they lag from now on."""
        if len(self) < most:
            return
        for lane in self._lanes.values():
            if lane.queue and not lane.is_sending and (lane.failures or lane.refusals):
                self._lagging[lane.name] = lane.queue[0].number - 1
                lane.queue.clear()

    def forget_up_to(self, number: int) -> None:
        """The outbox has let go of these entries. What is under way is sent to its end."""
        for lane in self._lanes.values():
            while lane.queue and not lane.is_sending and lane.queue[0].number <= number:
                self.settle(lane, 1)

    def hurry(self) -> None:
        """No lane waits any longer."""
        for lane in self._lanes.values():
            lane.not_before_s = -inf

    def positions(self) -> dict[str, int]:
        """What to note: behind it, and only there, are the entries that are not settled. `DEFAULT` never falls."""
        heads = {
            name: lane.queue[0].number for name, lane in self._lanes.items() if lane.queue and name not in self._lagging
        }
        to_come = [number for number in heads.values() if number > self._default]
        self._default = min(to_come) - 1 if to_come else self.read
        self._ahead = {lane: number for lane, number in self._ahead.items() if number > self._default}
        behind = {name: number - 1 for name, number in heads.items() if number <= self._default}
        return {DEFAULT: self._default} | self._ahead | behind | {name: self._lag(name) for name in self._lagging}

    def tidy(self) -> None:
        """Forget lanes of which nothing is to be remembered."""
        idle = [
            name
            for name, lane in self._lanes.items()
            if not (lane.queue or lane.is_sending or lane.failures or lane.refusals)
        ]
        for name in idle:
            del self._lanes[name]

    def _lag(self, name: str) -> int:
        lane = self._lanes.get(name)
        return lane.queue[0].number - 1 if lane is not None and lane.queue else self._lagging[name]

    def _lane(self, name: str) -> Lane:
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = Lane(name)
        return lane
