"""Reads brands.toml, the brand profiles that ship with the server."""

import tomllib
from decimal import Decimal
from pathlib import Path

from ocpp_server.core.energy import BrandProfile, BrandRule, EnergyUnit, RegisterKind

BRANDS_FILE = Path(__file__).parent.parent / "brands.toml"


def read_brands(path: Path = BRANDS_FILE) -> tuple[BrandRule, ...]:
    """The rules in the order of the file. Raises KeyError, ValueError or OSError: the file is part of the server."""
    with path.open("rb") as file:
        entries = tomllib.load(file)["brand"]
    return tuple(_rule(entry) for entry in entries)


def _rule(entry: dict[str, object]) -> BrandRule:
    scale, kind, power = entry.get("power_scale"), entry.get("register"), entry.get("max_power_w")
    profile = BrandProfile(
        brand=str(entry["name"]),
        register_unit=EnergyUnit(str(entry.get("register_unit", "Wh"))),
        sample_unit=EnergyUnit(str(entry.get("sample_unit", "Wh"))),
        is_label_ignored=entry.get("label_lies") is True,
        power_scale=None if scale is None else Decimal(str(scale)),
        register_kind=None if kind is None else RegisterKind(str(kind)),
        max_power_w=None if power is None else int(str(power)),
    )
    return BrandRule(profile, _words(entry, "vendor"), _words(entry, "model"), _words(entry, "id"))


def _words(entry: dict[str, object], key: str) -> tuple[str, ...]:
    words = entry.get(key, [])
    assert isinstance(words, list)
    return tuple(str(word) for word in words)
