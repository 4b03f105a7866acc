"""Reads brands.toml, the brand profiles that ship with the server."""

import tomllib
from decimal import Decimal, InvalidOperation
from pathlib import Path

from ocpp_server.core.energy import BrandProfile, BrandRule, EnergyUnit, RegisterKind

BRANDS_FILE = Path(__file__).parent.parent / "brands.toml"
_KEYS = {
    *("name", "vendor", "model", "id", "register_unit", "sample_unit"),
    *("label_lies", "power_scale", "register", "max_power_w"),
}


def read_brands(path: Path = BRANDS_FILE) -> tuple[BrandRule, ...]:
    """The rules in the order of the file. Raises KeyError, ValueError or OSError: the file is part of the server."""
    with path.open("rb") as file:
        entries = tomllib.load(file)["brand"]
    return tuple(_rule(entry) for entry in entries)


def _rule(entry: dict[str, object]) -> BrandRule:
    unknown = sorted(set(entry) - _KEYS)
    if unknown:
        raise ValueError(f"brand {entry['name']!r}: {unknown[0]!r} is not one of {', '.join(sorted(_KEYS))}")
    scale, kind, power = entry.get("power_scale"), entry.get("register"), entry.get("max_power_w")
    profile = BrandProfile(
        brand=str(entry["name"]),
        register_unit=EnergyUnit(str(entry.get("register_unit", "Wh"))),
        sample_unit=EnergyUnit(str(entry.get("sample_unit", "Wh"))),
        is_label_ignored=entry.get("label_lies") is True,
        power_scale=None if scale is None else _number(scale),
        register_kind=None if kind is None else RegisterKind(str(kind)),
        max_power_w=None if power is None else int(str(power)),
    )
    return BrandRule(profile, _words(entry, "vendor"), _words(entry, "model"), _words(entry, "id"))


def _number(value: object) -> Decimal:
    try:
        return Decimal(str(value))
    except InvalidOperation:
        raise ValueError(f"{value!r} is not a number") from None


def _words(entry: dict[str, object], key: str) -> tuple[str, ...]:
    words = entry.get(key, [])
    if not isinstance(words, list):
        raise ValueError(f"{key} {words!r} is not a list of words")
    return tuple(str(word) for word in words)
