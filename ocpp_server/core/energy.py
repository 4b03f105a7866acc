"""Numbers, units and brands: how a charge point's text becomes an integer of Wh or W.

What a charge point means by its numbers is data (`brands.toml`), read elsewhere; here are only the rules.
"""

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from enum import StrEnum
from typing import NewType

from ocpp_server.core.frozen import dataclass

Wh = NewType("Wh", int)
"""Energy is an integer number of watt-hours everywhere inside; kWh exists at the edge only."""

_LONGEST_NUMBER = 40
_LARGEST_VALUE = 10**13


class EnergyUnit(StrEnum):
    """The energy units of OCPP 1.6 §7.47 that can be billed."""

    WH = "Wh"
    KWH = "kWh"


class RegisterKind(StrEnum):
    """Whether the energy register counts for ever or starts again with each session."""

    LIFETIME = "lifetime"
    SESSION = "session"


_ENERGY_FACTORS = {"wh": 1, "kwh": 1000}
_POWER_FACTORS = {"w": 1, "kw": 1000}


@dataclass(frozen=True, slots=True)
class BrandProfile:
    """What is known of a brand's readings.

    `power_scale` multiplies reported power; None means that only the register can prove the scale (rule 25).
    """

    brand: str = ""
    register_unit: EnergyUnit = EnergyUnit.WH
    sample_unit: EnergyUnit = EnergyUnit.WH
    is_label_ignored: bool = False
    power_scale: Decimal | None = None
    register_kind: RegisterKind | None = None
    max_power_w: int | None = None


@dataclass(frozen=True, slots=True)
class BrandRule:
    """A profile and the words by which it is recognised, each compared without case as a part of the text."""

    profile: BrandProfile
    vendor_words: tuple[str, ...] = ()
    model_words: tuple[str, ...] = ()
    charge_point_id_words: tuple[str, ...] = ()


def match_brand(rules: tuple[BrandRule, ...], vendor: str, model: str, charge_point_id: str) -> BrandProfile:
    """The profile by vendor and model of BootNotification, else by the charge point's id, else the plain one."""
    for rule in rules:
        if _contains(vendor, rule.vendor_words) and (not rule.model_words or _contains(model, rule.model_words)):
            return rule.profile
    for rule in rules:
        if _contains(charge_point_id, rule.charge_point_id_words):
            return rule.profile
    return BrandProfile()


def profile_of_brand(rules: tuple[BrandRule, ...], brand: str) -> BrandProfile | None:
    """The profile that carries this brand name in any case, or None."""
    wanted = brand.casefold()
    return next((rule.profile for rule in rules if rule.profile.brand.casefold() == wanted), None)


def parse_number(value: object) -> Decimal | None:
    """A finite number from a JSON number or text (blanks, decimal comma), or None: never 0 for the unreadable."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return Decimal(value) if -_LARGEST_VALUE <= value <= _LARGEST_VALUE else None
    if isinstance(value, float):
        value = repr(value)
    if not isinstance(value, str):
        return None
    text = value.strip()
    if len(text) > _LONGEST_NUMBER or "_" in text or not text.isascii():
        return None
    if "," in text:
        if "." in text or text.count(",") > 1:
            return None
        text = text.replace(",", ".")
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    # Comparing is exact; abs() would round to the context and raise Overflow for "1e9999999".
    return number if number.is_finite() and -_LARGEST_VALUE <= number <= _LARGEST_VALUE else None


def to_wh(number: Decimal, unit: EnergyUnit) -> Wh:
    """Integer Wh, rounded half up: kWh with three decimals are exact."""
    return _round(number if unit is EnergyUnit.WH else number * 1000)


def sample_energy(number: Decimal, label: str | None, profile: BrandProfile) -> Wh | None:
    """Energy of a sampled value. None for an unknown unit or a power unit on an energy sample (rule 3)."""
    unit = label.strip().casefold() if label else ""
    if not unit or profile.is_label_ignored:
        return to_wh(number, profile.sample_unit)
    factor = _ENERGY_FACTORS.get(unit)
    return None if factor is None else _round(number * factor)


def sample_power(number: Decimal, label: str | None) -> int | None:
    """Power of a sampled value in W as the charge point states it, before any scale; None for an unknown unit."""
    unit = label.strip().casefold() if label else ""
    factor = _POWER_FACTORS.get(unit) if unit else 1
    return None if factor is None else int(_round(number * factor))


def _round(number: Decimal) -> Wh:
    return Wh(int(number.to_integral_value(ROUND_HALF_UP)))


def _contains(text: str, words: tuple[str, ...]) -> bool:
    folded = text.casefold()
    return any(word.casefold() in folded for word in words)
