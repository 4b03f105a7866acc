"""What lets energy escape the quota at a charge point, found in what it told of its configuration.

Found here, for people. At boot `ocpp16.configurator` sets at most three keys (rule 27); the others are mended when
somebody asks for it (`ocpp16.mender`). Keys are those of OCPP 1.6 §9 and are compared without regard to case.
"""

from collections.abc import Collection, Iterable
from typing import Final

from ocpp_server.core.frozen import dataclass
from ocpp_server.core.site import Site

REGISTER: Final = "Energy.Active.Import.Register"
POWER: Final = "Power.Active.Import"
INTERVAL_KEY: Final = "MeterValueSampleInterval"
SAMPLED_KEY: Final = "MeterValuesSampledData"
LONGEST_VALUE: Final = 500
"""OCPP 1.6 §6.9: the value of ChangeConfiguration.req."""
_LONGEST_SHOWN: Final = 40
_MOST_DIGITS: Final = 20
"""`int` refuses some thousand digits."""
_OPPOSITE: Final = {
    word: opposite
    for true, false in (("true", "false"), ("1", "0"), ("yes", "no"), ("on", "off"))
    for word, opposite in ((true, false), (false, true))
}
_TRUE: Final = frozenset({"true", "1", "yes", "on"})
_SWITCHES: Final = (
    ("AllowOfflineTxForUnknownId", False, "without a connection it lets cards charge that nobody here knows"),
    ("LocalPreAuthorize", False, "it begins to charge before the server has said whether any quota is left"),
    ("AuthorizationCacheEnabled", False, "it remembers cards it once accepted, also when their quota is used up since"),
    ("LocalAuthorizeOffline", False, "without a connection it lets cards it remembers charge, whatever their quota"),
    ("StopTransactionOnInvalidId", True, "it goes on charging when the server refuses the card of a session"),
)
"""Key, the value that leaks nothing, and what happens otherwise (OCPP 1.6 §9.1)."""
_WATCHED: Final = frozenset(key.casefold() for key in (*(key for key, _, _ in _SWITCHES), INTERVAL_KEY, SAMPLED_KEY))


@dataclass(frozen=True, slots=True)
class Leak:
    """One way for energy to escape the quota."""

    key: str
    """The configuration key as the charge point spells it; blank where it is not about one."""
    value: str
    """What the charge point told."""
    why: str
    """What happens, in plain words; the subject is the charge point."""
    mend: tuple[str, str] | None = None
    """Key and value of the ChangeConfiguration that mends it; None: it cannot be mended so."""

    @property
    def label(self) -> str:
        """In short: key and value, or what it is about."""
        return f"{self.key}={self.value[:_LONGEST_SHOWN]}" if self.key else self.why


NEVER_TOLD: Final = Leak("", "", "it never told its configuration")
WRONG_CLOCK: Final = Leak("", "", "its clock is wrong, so what it queues may be booked in the wrong month")


def leaks_of(site: Site, charge_point_id: str) -> tuple[Leak, ...]:
    """The leaks of a known charge point."""
    known = site.charge_points[charge_point_id]
    told = site.configurations.get(charge_point_id, ())
    interval_s = round(site.policy.sample_interval_s)
    leaks = find_leaks(told, wanted_interval_s=interval_s, readonly=known.readonly_keys)
    return (*leaks, WRONG_CLOCK) if known.has_right_clock is False else leaks


def find_leaks(
    told: Iterable[tuple[str, str]], *, wanted_interval_s: int, readonly: Collection[str] = ()
) -> tuple[Leak, ...]:
    """The leaks in a configuration, in a fixed order. A key that is not listed says nothing. `readonly`: its spelling
    is the charge point's.
    """
    listed = list(told)
    if not listed:
        return (NEVER_TOLD,)
    watched = {folded: pair for pair in listed if (folded := pair[0].casefold()) in _WATCHED}
    found = (*_open_switches(watched), *_too_few_readings(watched, wanted_interval_s))
    return tuple(
        leak if leak.mend is None or leak.key not in readonly else Leak(leak.key, leak.value, leak.why)
        for leak in found
    )


def right_interval(value: str, wanted_s: int) -> str | None:
    """What MeterValueSampleInterval must become; None: it is right."""
    return None if is_within(value, wanted_s) else str(wanted_s)


def right_sampled(value: str) -> str | None:
    """What MeterValuesSampledData must become to hold the register; None: it does. It may be longer than allowed."""
    measurands = [part.strip() for part in value.split(",") if part.strip()]
    if REGISTER.casefold() in (measurand.casefold() for measurand in measurands):
        return None
    return ",".join([*measurands, REGISTER] if measurands else [REGISTER, POWER])


def is_within(value: str, most: int) -> bool:
    """A whole number from 1 to `most`."""
    return value.isdecimal() and len(value) <= _MOST_DIGITS and 1 <= int(value) <= most


def is_watched(key: str) -> bool:
    """The key says something about leaks."""
    return key.casefold() in _WATCHED


def _open_switches(watched: dict[str, tuple[str, str]]) -> Iterable[Leak]:
    for name, is_right, why in _SWITCHES:
        key, value = watched.get(name.casefold(), (name, ""))
        word = value.strip().casefold()
        if word in _OPPOSITE and (word in _TRUE) is not is_right:
            yield Leak(key, value, why, (key, _OPPOSITE[word]))


def _too_few_readings(watched: dict[str, tuple[str, str]], wanted_interval_s: int) -> Iterable[Leak]:
    if SAMPLED_KEY.casefold() in watched:
        key, value = watched[SAMPLED_KEY.casefold()]
        sampled = right_sampled(value)
        if sampled is not None:
            mend = (key, sampled) if len(sampled) <= LONGEST_VALUE else None
            yield Leak(key, value, "its energy register is not among what it sends during a session", mend)
    if INTERVAL_KEY.casefold() in watched:
        key, value = watched[INTERVAL_KEY.casefold()]
        interval = right_interval(value, wanted_interval_s)
        if interval is not None:
            why = f"it should send its register every {wanted_interval_s} s for a stop to land on the quota"
            yield Leak(key, value, why, (key, interval))
