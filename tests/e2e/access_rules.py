"""Who ought to be let in: the cases of the access matrix, and the rules for them in words, written without the server.

A case is a charge point id of some standing, what the peer shows, the way on which it comes, and two settings.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum


class Standing(Enum):
    """What the id is to the site."""

    KNOWN = "approved, without a key"
    KEYED = "approved, with a key"
    SERIAL = "approved, without a key, told its serial number"
    PROFILE_2_ONCE = "approved, with a key, came with it over TLS once"
    UNKNOWN = "was never here"
    PENDING = "waits for approval"
    PENDING_KEYED = "waits for approval, with a key"
    LOCKED = "locked, with a key"
    FILE_YES = "was never here, chargers.csv says yes"
    FILE_NO = "approved, with a key, chargers.csv says no"


class Shows(Enum):
    """What stands in the Authorization header."""

    NOTHING = "none"
    HEX = "the key in hex digits"
    UPPER = "the key in capital hex digits"
    RAW = "the bytes of the key"
    WRONG = "a wrong key"
    OTHERS_KEY = "another one's key under its own name"
    OTHER = "another one's key under that one's name"
    OTHERS_NAME = "the key under another one's name"
    MALFORMED = "no HTTP Basic header"


RIGHT = {Shows.HEX, Shows.UPPER, Shows.RAW}


class Place(Enum):
    """Where the peer is, as far as the server can know."""

    HERE = "on this machine"
    SITE = "in the site's networks"
    OUTSIDE = "in no network of the site, nor on the internet"
    INTERNET = "on the internet"
    NOWHERE = "behind a proxy that nobody named"


class Certificate(Enum):
    """Whose client certificate of the site's authority it shows."""

    NONE = "none"
    OWN = "its id"
    SERIAL_NUMBER = "its serial number"
    OTHER = "another charge point"


@dataclass(frozen=True)
class Way:
    """On which way it comes. Proxies tell with `X-Forwarded-Proto` whether their visitor came with TLS."""

    place: Place
    is_through_proxy: bool = False
    has_tls: bool = False
    """The leg that ends at the server, or, through a proxy, the one that ends at the proxy."""
    certificate: Certificate = Certificate.NONE
    """Through a proxy: that of the proxy."""
    is_last_leg_encrypted: bool = False
    """Through a proxy: between it and the server."""


WAYS = (
    Way(Place.HERE),
    Way(Place.HERE, has_tls=True),
    *(Way(Place.HERE, has_tls=True, certificate=one) for one in Certificate if one is not Certificate.NONE),
    *(
        Way(place, is_through_proxy=True, has_tls=has_tls)
        for place in (Place.SITE, Place.OUTSIDE, Place.INTERNET)
        for has_tls in (False, True)
    ),
    *(
        Way(place, True, has_tls, certificate, is_last_leg_encrypted=True)
        for place in (Place.SITE, Place.OUTSIDE, Place.INTERNET)
        for has_tls, certificate in ((False, Certificate.NONE), (True, Certificate.OWN))
    ),
    Way(Place.NOWHERE, is_through_proxy=True),
    Way(Place.NOWHERE, is_through_proxy=True, has_tls=True, is_last_leg_encrypted=True, certificate=Certificate.OWN),
)


@dataclass(frozen=True)
class Case:
    """One cell of the matrix."""

    standing: Standing
    shows: Shows
    way: Way
    unknown: str
    """EVQUOTA_CHARGER_ADMISSION"""
    least: int
    """EVQUOTA_MIN_SECURITY_PROFILE"""

    @property
    def has_key(self) -> bool:
        """A person gave this id a key."""
        keyed = {Standing.KEYED, Standing.PROFILE_2_ONCE, Standing.PENDING_KEYED, Standing.LOCKED, Standing.FILE_NO}
        return self.standing in keyed

    @property
    def is_near(self) -> bool:
        """On this machine or in the site's networks."""
        return self.way.place in (Place.HERE, Place.SITE)

    @property
    def certificate(self) -> Certificate:
        """The peer's own: that of a proxy is not."""
        return Certificate.NONE if self.way.is_through_proxy else self.way.certificate

    @property
    def has_right_certificate(self) -> bool:
        """It names the id, or the serial number that this charge point told."""
        by_number = self.certificate is Certificate.SERIAL_NUMBER and self.standing is Standing.SERIAL
        return by_number or self.certificate is Certificate.OWN

    @property
    def has_right_key(self) -> bool:
        return self.certificate is Certificate.NONE and self.has_key and self.shows in RIGHT

    @property
    def shows_wrong(self) -> bool:
        """A certificate that names another, or a header that is not its key, where one is looked at."""
        if self.certificate is not Certificate.NONE:
            return not self.has_right_certificate
        is_looked_at = self.has_key or not self.is_near
        return is_looked_at and self.shows is not Shows.NOTHING and not self.has_right_key

    @property
    def profile(self) -> int:
        """The OCPP security profile that it proves."""
        if self.has_right_certificate:
            return 3
        return (2 if self.way.has_tls else 1) if self.has_right_key else 0


class Outcome(Enum):
    """What becomes of a handshake: a status, or let in and answered at boot."""

    ACCEPTED = "let in"
    PENDING = "let in to wait"
    UNAUTHORIZED = 401
    NOT_FOUND = 404


@dataclass(frozen=True)
class Rule:
    """If this is so, that becomes of it."""

    outcome: Outcome
    text: str
    applies: Callable[[Case], bool]


def _is(*standings: Standing) -> Callable[[Case], bool]:
    return lambda case: case.standing in standings


RULES = (
    Rule(Outcome.NOT_FOUND, "nobody knows who is behind an unnamed proxy", lambda c: c.way.place is Place.NOWHERE),
    Rule(
        Outcome.NOT_FOUND,
        "from the internet nothing comes in without TLS",
        lambda c: c.way.place is Place.INTERNET and not c.way.has_tls,
    ),
    Rule(Outcome.UNAUTHORIZED, "what it shows is wrong", lambda c: c.shows_wrong),
    Rule(Outcome.NOT_FOUND, "from outside it must prove itself", lambda c: not c.is_near and c.profile == 0),
    Rule(Outcome.NOT_FOUND, "a person shut it out", _is(Standing.LOCKED, Standing.FILE_NO)),
    Rule(Outcome.UNAUTHORIZED, "the site asks for more than it proves", lambda c: c.profile < c.least),
    Rule(Outcome.UNAUTHORIZED, "who has a key must show it", lambda c: c.has_key and c.profile == 0),
    Rule(
        Outcome.UNAUTHORIZED,
        "it proved more before",
        lambda c: c.standing is Standing.PROFILE_2_ONCE and c.profile < 2,
    ),
    Rule(
        Outcome.ACCEPTED,
        "a person let it in",
        _is(Standing.KNOWN, Standing.KEYED, Standing.SERIAL, Standing.PROFILE_2_ONCE, Standing.FILE_YES),
    ),
    Rule(Outcome.NOT_FOUND, "whom nobody approved is refused", lambda c: c.unknown == "locked"),
    Rule(Outcome.ACCEPTED, "whom nobody approved is let in", lambda c: c.unknown == "open"),
    Rule(Outcome.PENDING, "who waits goes on waiting", _is(Standing.PENDING, Standing.PENDING_KEYED)),
    Rule(Outcome.ACCEPTED, "an unknown id on this machine is let in", lambda c: c.way.place is Place.HERE),
    Rule(Outcome.PENDING, "an unknown id waits for approval", _is(Standing.UNKNOWN)),
)
"""The first that applies decides."""


def rule_for(case: Case) -> Rule:
    """The rule that decides a case."""
    return next(rule for rule in RULES if rule.applies(case))


def all_cases() -> Iterator[Case]:
    """The whole matrix."""
    for values in itertools.product(Standing, Shows, WAYS, ("pending", "locked", "open"), (0, 1, 2)):
        yield Case(*values)
