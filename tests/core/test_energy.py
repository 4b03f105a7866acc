"""Numbers, units and brands (accounting rule 3)."""

from dataclasses import dataclass
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocpp_server.core.energy import (
    BrandProfile,
    BrandRule,
    EnergyUnit,
    match_brand,
    parse_number,
    profile_of_brand,
    sample_energy,
    sample_power,
    to_wh,
)

PLAIN = BrandProfile()
LIVOLTEK = BrandProfile(brand="LIVOLTEK", register_unit=EnergyUnit.KWH, sample_unit=EnergyUnit.KWH)
OPENEVSE = BrandProfile(brand="OpenEVSE", sample_unit=EnergyUnit.KWH, is_label_ignored=True)
EVLINK = BrandProfile(brand="SCHNEIDER")
RULES = (
    BrandRule(LIVOLTEK, vendor_words=("livoltek",), charge_point_id_words=("LIVOLTEK",)),
    BrandRule(EVLINK, vendor_words=("schneider",), model_words=("EVlink", "Pro AC"), charge_point_id_words=("evlink",)),
)


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (793477, "793477"),
        (-1, "-1"),
        (12.345, "12.345"),
        (0.1, "0.1"),
        ("793477", "793477"),
        ("  12.5 ", "12.5"),
        ("\t7\n", "7"),
        ("12,5", "12.5"),
        ("+3", "3"),
        ("-0.5", "-0.5"),
        ("1e3", "1000"),
        (".5", "0.5"),
        ("0", "0"),
        (10**13, "10000000000000"),
        (-(10**13), "-10000000000000"),
        ("10000000000000", "10000000000000"),
    ],
)
def test_a_number_is_read_as_the_charge_point_wrote_it(value: object, number: str) -> None:
    """Numbers or text, padded (Enercab), with a decimal comma (rule 2; OpenEVSE, Wallbox)."""
    assert Decimal(number) == parse_number(value)


@pytest.mark.parametrize(
    "value",
    [
        *("", " ", "text", "NaN", "sNaN", "Infinity", "-inf", "1.234,5", "1,2,3", "1_000", "12 kWh", "0x10", "1\x002"),
        *(".", "-", "\ud800", "١٢", "9" * 41, "10000000000001", "1e14", "1e999999", "1e9999999", "-1e9999999"),
        *(None, True, False, [], {}, [1], {"value": 1}, b"12", object(), 10**13 + 1, -(10**400), 10**20),
        *(float("nan"), float("inf"), float("-inf"), 1e300),
    ],
)
def test_the_unreadable_is_no_number_and_never_zero(value: object) -> None:
    """What is no finite number is no reading (rule 2; Heidelberg Amperfied's NaN, Enercab's blanks)."""
    assert parse_number(value) is None


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.decimals(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
NEARLY_NUMBERS = st.text(alphabet="0123456789+-.,eE_ nNaAiIfFsS\x00٣", max_size=45)


@settings(deadline=None, max_examples=500)
@given(ANYTHING | NEARLY_NUMBERS)
def test_reading_a_number_never_raises_and_gives_finite_bounded_numbers_only(value: object) -> None:
    """No MeterValues may fail for its numbers (rules 2 and 23)."""
    number = parse_number(value)

    assert number is None or (number.is_finite() and -(10**13) <= number <= 10**13)


@settings(deadline=None)
@given(st.text(alphabet="abcdfghijklmopqrstuvwxyz _/:", min_size=1) | st.lists(st.integers()) | st.booleans())
def test_garbage_never_becomes_a_number(value: object) -> None:
    """Never turn an unreadable value into zero, nor into anything else (rule 2)."""
    assert parse_number(value) is None


@settings(deadline=None)
@given(st.integers(-(10**13), 10**13), st.sampled_from(["", " ", "\t "]))
def test_an_integer_reads_the_same_as_number_and_as_padded_text(value: int, padding: str) -> None:
    """A value may be a JSON number or a string (rule 2)."""
    assert parse_number(value) == parse_number(f"{padding}{value}{padding}") == value


@settings(deadline=None)
@given(st.integers(0, 10**9))
def test_kwh_with_three_decimals_are_exact_wh(wh: int) -> None:
    """Energy is an integer number of Wh (rule 1); Huawei sends kWh with decimals beside integer Wh."""
    number = parse_number(f"{wh // 1000}.{wh % 1000:03d}")

    assert number is not None
    assert wh == to_wh(number, EnergyUnit.KWH)


@pytest.mark.parametrize(
    ("number", "unit", "wh"),
    [
        ("1234", EnergyUnit.WH, 1234),
        ("1234.4", EnergyUnit.WH, 1234),
        ("1234.5", EnergyUnit.WH, 1235),
        ("0.5", EnergyUnit.WH, 1),
        ("1.2345", EnergyUnit.KWH, 1235),
        ("53.09399999999994", EnergyUnit.KWH, 53094),
        ("0e99999999999", EnergyUnit.KWH, 0),
        ("1e-99999999999", EnergyUnit.KWH, 0),
        ("1e13", EnergyUnit.KWH, 10**16),
    ],
)
def test_fractions_of_a_wh_are_rounded_half_up(number: str, unit: EnergyUnit, wh: int) -> None:
    """Several charge points send fractions of a Wh in start, stop or samples."""
    assert wh == to_wh(Decimal(number), unit)


@dataclass(frozen=True)
class EnergyCase:
    number: str
    label: str | None
    profile: BrandProfile
    wh: int | None


@pytest.mark.parametrize(
    "case",
    [
        EnergyCase("1500", "Wh", PLAIN, 1500),
        EnergyCase("1.5", "kWh", PLAIN, 1500),
        EnergyCase("1.5", "KWh", PLAIN, 1500),
        EnergyCase("1500", " wH ", PLAIN, 1500),
        EnergyCase("1500", None, PLAIN, 1500),
        EnergyCase("1500", "", PLAIN, 1500),
        EnergyCase("1500", "  ", PLAIN, 1500),
        EnergyCase("7", None, LIVOLTEK, 7000),
        EnergyCase("7", "  ", LIVOLTEK, 7000),
        EnergyCase("7000", "Wh", LIVOLTEK, 7000),
        EnergyCase("7", "Wh", OPENEVSE, 7000),
        EnergyCase("7", "kW", PLAIN, None),
        EnergyCase("7", "W", PLAIN, None),
        EnergyCase("7", "varh", PLAIN, None),
        EnergyCase("7", "Celcius", PLAIN, None),
        EnergyCase("7", "MWh", PLAIN, None),
    ],
)
def test_the_label_decides_and_the_brand_fills_in(case: EnergyCase) -> None:
    """The unit in any case, else the brand's, else Wh; an unknown or power unit costs that sample (rule 3;
    Huawei, OpenEVSE's kWh labelled Wh, MicroOcpp#318's power unit on a register).
    """
    assert case.wh == sample_energy(Decimal(case.number), case.label, case.profile)


@pytest.mark.parametrize(
    ("number", "label", "power_w"),
    [
        ("10700.0", "W", 10700),
        ("10.7", "kW", 10700),
        ("10.7", " KW ", 10700),
        ("10700", None, 10700),
        ("10700", "", 10700),
        ("10700", " ", 10700),
        ("7", "VA", None),
        ("7", "kWh", None),
    ],
)
def test_power_is_w_or_kw_by_its_own_label(number: str, label: str | None, power_w: int | None) -> None:
    """Unit per sample, never per frame: Injet Sonic sends kW beside Wh (rule 6)."""
    assert power_w == sample_power(Decimal(number), label)


@pytest.mark.parametrize(
    ("vendor", "model", "charge_point_id", "profile"),
    [
        ("LIVOLTEK Co.", "anything", "x", LIVOLTEK),
        ("Schneider Electric", "EVLINK wallbox", "x", EVLINK),
        ("Schneider Electric", "evb Pro AC", "x", EVLINK),
        ("Schneider Electric", "another", "x", PLAIN),
        ("", "", "SCHNEIDER/EVlinkProAC", EVLINK),
        ("", "", "livoltek-2", LIVOLTEK),
        ("Schneider", "EVlink", "livoltek-2", EVLINK),
        ("", "", "CP1", PLAIN),
    ],
)
def test_a_brand_is_known_by_vendor_and_model_else_by_its_id(
    vendor: str, model: str, charge_point_id: str, profile: BrandProfile
) -> None:
    """BootNotification first, then the charge point's id, which is all that there is before a boot (rule 3)."""
    assert profile == match_brand(RULES, vendor, model, charge_point_id)


@pytest.mark.parametrize(("brand", "profile"), [("livoltek", LIVOLTEK), ("Schneider", EVLINK), ("unheard of", None)])
def test_a_site_may_name_the_brand_itself(brand: str, profile: BrandProfile | None) -> None:
    """A site overrides per charge point in chargers.csv (rule 3)."""
    assert profile == profile_of_brand(RULES, brand)
