"""Counts connections from the accept on, before anything is read from them, and says for whom there is room.

Floods end here (T12). No cap shuts an approved charge point out: where it connects from is exempt from the caps per
address, and when all places are taken, the oldest connection that has not shaken hands makes room. Nothing is read
from a socket and nothing is judged here; times are real seconds.
"""

import logging
import resource
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from ocpp_server.core.admission import LetIn, Place, TurnedAway, Verdict, admission_of
from ocpp_server.core.records import Admission
from ocpp_server.core.site import Site
from ocpp_server.ocpp16.peer import Network, PeerError, counted_as, is_in, parse_address, place_of

log = logging.getLogger(__name__)

MOST_FROM_SITE: Final = 20
"""Connections of one address of the site's networks."""
MOST_FROM_ELSEWHERE: Final = 5
NEW_PER_S: Final = 10
"""New connections of one address."""
FILES_KEPT_FREE: Final = 256
"""For the ledger, the published files, the control API, and what the kernel accepts before we can say no."""
_FEWEST: Final = 10
_YOUNG_S: Final = 1.0
"""So long a handshake from a known address may take before it has to make room: a real one takes milliseconds."""
_MOST_ADDRESSES: Final = 4096
_MOST_LINES: Final = 60
_LINES_WITHIN_S: Final = 60.0
_ADDRESSES_LAST_S: Final = 1.0


def raise_file_limit() -> int:
    """Let this process have as many open files as it may; gives for how many connections that is enough."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (ValueError, OSError):  # some systems have a lower bound of their own
            log.warning("[STATUS] limit of open files stays at %d", soft)
    if soft == resource.RLIM_INFINITY:
        soft = 1 << 20
    return max(_FEWEST, soft - FILES_KEPT_FREE)


@dataclass(slots=True)
class Seat:
    """The place of one connection; `leave` gives it back."""

    address: str
    """As counted; the forwarded one, once it is known. Blank: not counted by address."""
    is_known: bool
    since: float
    abort: Callable[[], None]
    is_waiting: bool = True
    """Its handshake was not accepted yet."""


@dataclass(slots=True)
class _Count:
    """Of one address. `free_at`: when all that connected is made up for by the time that has passed."""

    connections: int = 0
    free_at: float = 0.0


@dataclass(slots=True)
class _Lines:
    """Log lines about addresses: one for each in a minute, and not too many in all."""

    since: float = float("-inf")
    addresses: set[str] = field(default_factory=set)

    def may_tell(self, address: str, now: float) -> bool:
        if now - self.since >= _LINES_WITHIN_S:
            self.since = now
            self.addresses.clear()
        if address in self.addresses or len(self.addresses) >= _MOST_LINES:
            return False
        self.addresses.add(address)
        return True


class Turnstile:
    """For whom there is room. `most`: connections in all; `files`: for how many the process has open files."""

    def __init__(
        self,
        site: Site,
        most: int,
        networks: Iterable[Network] = (),
        proxies: Iterable[Network] = (),
        *,
        files: int = 1 << 20,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._site = site
        self._files = files
        self._most = min(most, files)
        self._networks = tuple(networks)
        self._proxies = tuple(proxies)
        self._now = now
        self._seated: dict[int, Seat] = {}
        self._strangers: dict[int, Seat] = {}
        """They have not shaken hands; oldest first."""
        self._known: dict[int, Seat] = {}
        """Nor have these, who come from where somebody is known."""
        self._counts: dict[str, _Count] = {}
        self._addresses: tuple[float, frozenset[str]] = (float("-inf"), frozenset())
        self._lines = _Lines()

    def __len__(self) -> int:
        return len(self._seated) + len(self._strangers) + len(self._known)

    @property
    def is_full(self) -> bool:
        """Whether more connections are let in than there may be, which only approved charge points bring about."""
        return len(self._seated) >= self._most

    def enter(self, address: str, abort: Callable[[], None]) -> Seat | None:
        """A place for a connection that was accepted from this address; None if there is none for it.

        `abort` is called, with no await, when it has to make room for another before it has shaken hands.
        """
        now = self._now()
        is_known, most = self._rank(address)
        seat = Seat("" if most is None else counted_as(address), is_known, now, abort)
        if most is not None and not self._takes(seat.address, most, now):
            self.tell(address, "too many connections from this address")
            return None
        if not self._makes_room(now):
            self.tell(address, "too many connections")
            return None
        if seat.address:
            self._counts[seat.address].connections += 1
        self._row(seat)[id(seat)] = seat
        return seat

    def room_for(self, seat: Seat, address: str, verdict: Verdict) -> Verdict:
        """The verdict on a handshake, or why there is no room for its peer: an approved charge point is refused by no
        cap. A connection that is let in makes room for nobody. `address`: as it was forwarded, if it was.
        """
        is_approved = isinstance(verdict, LetIn) and verdict.admission is Admission.APPROVED
        if not is_approved and not self._is_welcome(seat, address):
            return TurnedAway(429, "too many connections from this address")
        if isinstance(verdict, LetIn):
            if not is_approved and self.is_full:
                return TurnedAway(503, f"{len(self)} connections are open: EVQUOTA_MAX_CONNECTIONS allows no more")
            self._let_in(seat)
        return verdict

    def _is_welcome(self, seat: Seat, address: str) -> bool:
        """Count a connection that came through a proxy by the address it was forwarded for; False: one too many."""
        _, most = self._rank(address)
        counted = counted_as(address)
        if most is None or seat.address == counted:
            return True
        if not self._takes(counted, most, self._now()):
            return False
        self._uncount(seat)
        if id(seat) in self._row(seat):
            seat.address = counted
            self._counts[counted].connections += 1
        return True

    def _let_in(self, seat: Seat) -> None:
        if self._row(seat).pop(id(seat), None) is not None:
            seat.is_waiting = False
            self._seated[id(seat)] = seat

    def leave(self, seat: Seat) -> None:
        """Its connection is over. Twice is harmless."""
        if self._row(seat).pop(id(seat), None) is not None:
            self._uncount(seat)

    def abort_waiting(self) -> None:
        """End every connection that has not shaken hands: the server stops."""
        for seat in [*self._strangers.values(), *self._known.values()]:
            self._abort(seat)

    def tell(self, address: str, reason: str) -> None:
        """Log that somebody is refused, not more often than once per address and minute."""
        if self._lines.may_tell(address, self._now()):
            log.warning("[CONNECT] refused address=%s connections=%d reason=%r", address, len(self), reason)

    def _rank(self, address: str) -> tuple[bool, int | None]:
        """Whether this machine or an approved charge point is there; how many connections it may have, None: any."""
        try:
            parsed = parse_address(address)
        except PeerError:  # gone before it was looked at
            return False, MOST_FROM_ELSEWHERE
        place = place_of(parsed, self._networks)
        if is_in(parsed, self._proxies):
            return False, None
        if place is Place.LOOPBACK or str(parsed) in self._known_addresses():
            return True, None
        return False, MOST_FROM_SITE if place is Place.SITE else MOST_FROM_ELSEWHERE

    def _known_addresses(self) -> frozenset[str]:
        """Where approved charge points connect from; looked up at most once a second."""
        looked_at, known = self._addresses
        now = self._now()
        if now - looked_at >= _ADDRESSES_LAST_S:
            known = frozenset(self._approved_addresses())
            self._addresses = (now, known)
        return known

    def _approved_addresses(self) -> Iterator[str]:
        for one in self._site.charge_points.values():
            if admission_of(self._site, one.charge_point_id) is Admission.APPROVED:
                yield from (one.address, one.home_address)

    def _takes(self, counted: str, most: int, now: float) -> bool:
        """Whether one more connection of this address is within its caps; if so, its rate counts it."""
        count = self._counts.get(counted)
        if count is None:
            if len(self._counts) >= _MOST_ADDRESSES:
                self._counts = {address: one for address, one in self._counts.items() if one.connections}
            count = self._counts[counted] = _Count()
        free_at = max(count.free_at, now) + 1 / NEW_PER_S
        if count.connections >= most or free_at - now > 1.0 + 1e-9:
            return False
        count.free_at = free_at
        return True

    def _uncount(self, seat: Seat) -> None:
        count = self._counts.get(seat.address)
        if count is None:
            return
        count.connections -= 1
        if not count.connections and count.free_at <= self._now():
            del self._counts[seat.address]

    def _makes_room(self, now: float) -> bool:
        """Whether there is room for one more, if need be because another one is aborted."""
        if len(self) < self._most:
            return True
        stranger, known = next(iter(self._strangers.values()), None), next(iter(self._known.values()), None)
        is_known_old = known is not None and now - known.since >= _YOUNG_S
        waiting = len(self._strangers) + len(self._known)
        if stranger is None and not is_known_old and waiting < 2 * self._most and len(self) < self._files:
            return True  # real charge points all at once: each is through in a moment
        oldest = stranger or known
        if oldest is None:
            return False
        self._abort(oldest)
        self.tell(oldest.address or "(not counted)", "made room for another, as it had not shaken hands")
        return True

    def _row(self, seat: Seat) -> dict[int, Seat]:
        if not seat.is_waiting:
            return self._seated
        return self._known if seat.is_known else self._strangers

    def _abort(self, seat: Seat) -> None:
        self.leave(seat)
        seat.abort()
