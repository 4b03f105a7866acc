"""`storage.brands_file`: what is known of charge points by brand is data (rule 3)."""

from decimal import Decimal
from pathlib import Path

import pytest

from ocpp_server.core.energy import BrandProfile, EnergyUnit, RegisterKind, match_brand
from ocpp_server.storage.brands_file import read_brands


def brands(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "brands.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_livoltek_counts_in_kwh_and_anew_with_each_session() -> None:
    """Its power was seen ten times too high (rule 3)."""
    profile = match_brand(read_brands(), "LIVOLTEK Power", "EV-AC", "CP1")

    assert profile == BrandProfile(
        "LIVOLTEK", EnergyUnit.KWH, EnergyUnit.KWH, power_scale=Decimal("0.1"), register_kind=RegisterKind.SESSION
    )


@pytest.mark.parametrize(
    ("vendor", "charge_point_id"),
    [("Schneider Electric", "CP1"), ("", "SCHNEIDER/EVlinkProAC"), ("", "evlinkproac-7")],
)
def test_a_schneider_counts_in_wh_for_its_lifetime(vendor: str, charge_point_id: str) -> None:
    """Recognised by vendor, else by the charge point's id."""
    profile = match_brand(read_brands(), vendor, "", charge_point_id)

    assert (profile.brand, profile.register_unit, profile.sample_unit) == ("SCHNEIDER", EnergyUnit.WH, EnergyUnit.WH)
    assert profile.register_kind is RegisterKind.LIFETIME


def test_a_stranger_has_the_plain_profile() -> None:
    """Wh, nothing else is assumed."""
    assert match_brand(read_brands(), "Nobody", "X", "CP1") == BrandProfile()


def test_every_key_of_a_profile_is_read(tmp_path: Path) -> None:
    """What a profile can say (rule 3)."""
    path = brands(
        tmp_path,
        """
        [[brand]]
        name = "ACME"
        vendor = ["acme"]
        model = ["one"]
        id = ["acm"]
        register_unit = "kWh"
        sample_unit = "Wh"
        label_lies = true
        power_scale = "0.001"
        register = "session"
        max_power_w = 22000
        """,
    )
    (rule,) = read_brands(path)

    assert rule.profile == BrandProfile(
        "ACME", EnergyUnit.KWH, EnergyUnit.WH, True, Decimal("0.001"), RegisterKind.SESSION, 22_000
    )
    assert (rule.vendor_words, rule.model_words, rule.charge_point_id_words) == (("acme",), ("one",), ("acm",))


@pytest.mark.parametrize(
    "line",
    [
        'register_unit = "MWh"',
        'register = "sometimes"',
        'power_scale = "a tenth"',
        'max_power_w = "much"',
        'vendor = "acme"',
        'powerscale = "0.1"',
        "= 1",
    ],
)
def test_a_mistake_in_the_file_is_told(tmp_path: Path, line: str) -> None:
    """A misspelt key must not be a charger billed in the wrong unit."""
    with pytest.raises(ValueError, match=r"."):
        read_brands(brands(tmp_path, f'[[brand]]\nname = "ACME"\n{line}\n'))


def test_a_brand_needs_a_name(tmp_path: Path) -> None:
    """chargers.csv names it."""
    with pytest.raises(KeyError, match="name"):
        read_brands(brands(tmp_path, '[[brand]]\nvendor = ["acme"]\n'))


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    """It is part of the server."""
    with pytest.raises(FileNotFoundError):
        read_brands(tmp_path / "brands.toml")
