"""Which sampled value is the energy register, and which the power (accounting rules 2, 3, 6)."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocpp_server.core.energy import BrandProfile, EnergyUnit
from ocpp_server.core.meter import MeterSample, MeterValue, SampledValue, read_meter_value

REGISTER = "Energy.Active.Import.Register"
INTERVAL = "Energy.Active.Import.Interval"
POWER = "Power.Active.Import"
STAMP = "2025-10-27T10:00:00Z"


def read(*sampled_values: SampledValue, profile: BrandProfile | None = None) -> MeterSample:
    return read_meter_value(MeterValue(STAMP, sampled_values), profile or BrandProfile())


def register(value: object, **fields: Any) -> SampledValue:
    return SampledValue(value, REGISTER, **{"unit": "Wh", **fields})


def power(value: object, **fields: Any) -> SampledValue:
    return SampledValue(value, POWER, **{"unit": "W", **fields})


@pytest.mark.parametrize(
    ("sampled_values", "registers"),
    [
        pytest.param((SampledValue("1000"),), (1000,), id="no measurand, no unit: Wh of the import register"),
        pytest.param((SampledValue("1000", " "),), (1000,), id="a blank measurand is a missing one"),
        pytest.param((SampledValue("1000", "energy.active.import.register"),), (1000,), id="lower case (MicroOcpp)"),
        pytest.param((SampledValue(1000.4, f" {REGISTER} "),), (1000,), id="a JSON number with a fraction (OpenEVSE)"),
        pytest.param((register("1,5", unit="kWh"),), (1500,), id="decimal comma"),
        pytest.param((register("5", location="Outlet"),), (5,), id="at the outlet"),
        pytest.param((register("5", location=""),), (5,), id="an empty location is a missing one"),
        pytest.param((register("5", location=" "),), (5,), id="a blank location is a missing one"),
        pytest.param((register("5", location="Inlet"),), (), id="the inlet is the main meter"),
        pytest.param((register("5", location="Body"), register("7", location="outlet")), (7,), id="the outlet's only"),
        pytest.param((SampledValue("5", "Energy.Active.Export.Register"),), (), id="export is no consumption"),
        pytest.param((SampledValue("5", "Energy.Reactive.Import.Register"),), (), id="nor is reactive energy"),
        pytest.param((SampledValue("5", "Energy.Active.Net"),), (), id="an unknown measurand is ignored"),
        pytest.param(
            (SampledValue("230", "Voltage"), SampledValue("16", "Current.Import")), (), id="Teison: no energy"
        ),
        pytest.param((), (), id="an empty list is fine (Vestel EVC04)"),
        pytest.param(
            (register("0"), register("800"), register("800")), (800, 0), id="twice: largest first (MicroOcpp#128)"
        ),
    ],
)
def test_the_register_is_active_import_at_the_outlet(
    sampled_values: tuple[SampledValue, ...], registers: tuple[int, ...]
) -> None:
    """Energy.Active.Import.Register at Outlet, both by default (rule 2; OCPP 1.6 §7.31, §7.43)."""
    sample = read(*sampled_values)

    assert registers == sample.registers
    assert sample.skipped == ()


@pytest.mark.parametrize(
    ("sampled_values", "registers"),
    [
        pytest.param(
            (register("100", context="Transaction.Begin"), register("700", context="Sample.Periodic")),
            (700,),
            id="both",
        ),
        pytest.param((register("700"), register("900", context=" transaction.BEGIN ")), (700,), id="the order is free"),
        pytest.param((register("100", context="Transaction.Begin"),), (100,), id="alone it is all there is"),
        pytest.param((register("700", context="Transaction.End"),), (700,), id="the end counts"),
        pytest.param((register("700", context="Unheard.Of"),), (700,), id="an unknown context is live"),
    ],
)
def test_the_register_at_the_begin_counts_only_where_it_is_alone(
    sampled_values: tuple[SampledValue, ...], registers: tuple[int, ...]
) -> None:
    """Growatt THOR and Project EV repeat the start register in every frame (rule 2)."""
    assert registers == read(*sampled_values).registers


@pytest.mark.parametrize(
    ("sampled_values", "registers"),
    [
        pytest.param((("L1", "10"), ("L2", "20"), ("L3", "30")), (60,), id="three phases are summed"),
        pytest.param((("L1-N", "10"), ("L2-N", "20"), ("L3-N", "30")), (60,), id="also against neutral"),
        pytest.param((("l1", "10"), ("L1-N", "11"), ("L2", "20")), (31,), id="one phase said twice counts once"),
        pytest.param((("L1", "10"), ("L2", "20"), (None, "31")), (31,), id="the total comes before the sum"),
        pytest.param((("L1", "60"),), (60,), id="a total tagged L1 (Wallbox, one phase)"),
        pytest.param((("N", "60"),), (), id="Injet's phase N is none"),
        pytest.param((("L1-L2", "60"), ("L1", "20")), (20,), id="nor is a voltage between two phases"),
        pytest.param((("", "60"),), (60,), id="an empty phase is a missing one"),
    ],
)
def test_phases_are_summed_only_without_a_total(
    sampled_values: tuple[tuple[str | None, str], ...], registers: tuple[int, ...]
) -> None:
    """A value without phase, else the sum of the phases, one phase alone is the total (rule 2)."""
    assert registers == read(*(register(value, phase=phase) for phase, value in sampled_values)).registers


def test_phases_are_no_total_while_one_of_them_is_unreadable() -> None:
    """An unreadable value is skipped and noted, never 0: the other two phases would be too little (rule 2)."""
    sample = read(register("10", phase="L1"), register("NaN", phase="L2"), register("30", phase="L3"))

    assert sample.registers == ()
    assert sample.skipped == ("value 'NaN' unit 'Wh'",)


def test_a_phase_that_can_be_read_another_way_counts() -> None:
    """The same phase twice, once unreadable: the readable one (rule 2)."""
    sample = read(register("", phase="L1"), register("10", phase="L1-N"), register("", phase=None))

    assert sample.registers == (10,)


@pytest.mark.parametrize(
    ("sampled", "noted"),
    [
        (register(""), "value '' unit 'Wh'"),
        (register("text"), "value 'text' unit 'Wh'"),
        (register(None), "value 'None' unit 'Wh'"),
        (register("-1"), "value '-1' unit 'Wh'"),
        (register("7", unit="kW"), "value '7' unit 'kW'"),
        (register("7", unit="Celcius"), "value '7' unit 'Celcius'"),
        (register("9" * 60), f"value '{'9' * 40}' unit 'Wh'"),
        (register("{}", format="SignedData"), "signed data"),
        (power("abc"), "value 'abc' unit 'W'"),
        (power("7", unit="Percent"), "value '7' unit 'Percent'"),
    ],
)
def test_an_unreadable_value_costs_only_itself_and_is_noted(sampled: SampledValue, noted: str) -> None:
    """Skipped and noted, never 0; signed data is unbooked; a wrong unit costs the sample (rules 2, 3)."""
    sample = read(sampled, register("1000"), power("7000"))

    assert sample.registers == (1000,)
    assert sample.power_w == 7000
    assert sample.skipped == (noted,)


def test_each_sample_has_its_own_unit() -> None:
    """Injet Sonic sends kW for power and Wh for energy in one frame."""
    sample = read(register("1000", unit="Wh"), power("7.2", unit="kW"))

    assert sample.registers == (1000,)
    assert sample.power_w == 7200


def test_the_brand_fills_in_a_missing_unit() -> None:
    """LIVOLTEK sends kWh without a label (rule 3)."""
    sample = read(register("7", unit=None), profile=BrandProfile(sample_unit=EnergyUnit.KWH))

    assert sample.registers == (7000,)


def test_interval_values_are_kept_apart_from_the_register() -> None:
    """Never mixed with register values (rule 2; Growatt sends both)."""
    both = read(register("1000"), SampledValue("50", INTERVAL, "Wh"))
    alone = read(SampledValue("0.05", INTERVAL, "kWh"), SampledValue("40", INTERVAL))

    assert (both.registers, both.interval) == ((1000,), 50)
    assert (alone.registers, alone.interval) == ((), 50)


@pytest.mark.parametrize(
    ("sampled_values", "power_w"),
    [
        ((power("10700.4"),), 10700),
        ((power("10.7", unit="kW"),), 10700),
        ((power("3000", phase="L1"), power("3100", phase="L2"), power("3200", phase="L3")), 9300),
        ((power("3000", phase="L1"), power("9300")), 9300),
        ((power("0.0"),), 0),
        ((power("-5"),), None),
        ((SampledValue("7", "Power.Active.Export", "W"),), None),
        ((SampledValue("7", "Power.Offered", "W"),), None),
        ((), None),
    ],
)
def test_power_is_the_total_or_the_sum_of_the_phases(
    sampled_values: tuple[SampledValue, ...], power_w: int | None
) -> None:
    """Power.Active.Import in W or kW, sum of phases if no total (rule 6)."""
    assert power_w == read(*sampled_values).power_w


def test_the_first_readable_frequency_is_kept() -> None:
    """Units and measurands beyond the schema cost nothing (line-frequency reporters)."""
    sample = read(SampledValue("NaN", "Frequency", "Hz"), SampledValue("49.98", "frequency", "Hertz"))

    assert sample.frequency_hz == Decimal("49.98")
    assert sample.timestamp == STAMP


TEXTS = st.none() | st.text(max_size=12)
WORDS = st.sampled_from(
    [
        *(None, "", " ", "L1", "L2", "L3-N", "N", REGISTER, INTERVAL, POWER, "Frequency", "Wh", "kWh", "W", "kW"),
        *("Transaction.Begin", "Outlet", "Inlet", "Raw", "SignedData"),
    ]
)
VALUES = st.none() | st.integers() | st.floats() | st.text(max_size=12) | st.booleans() | st.lists(st.none())
SAMPLED = st.builds(
    SampledValue,
    value=VALUES,
    measurand=WORDS | TEXTS,
    unit=WORDS | TEXTS,
    context=WORDS | TEXTS,
    phase=WORDS | TEXTS,
    location=WORDS | TEXTS,
    format=WORDS | TEXTS,
)


@settings(deadline=None, max_examples=300)
@given(st.lists(SAMPLED, max_size=8))
def test_whatever_comes_is_read_without_raising_and_never_negative(sampled_values: list[SampledValue]) -> None:
    """No understandable MeterValues is ever answered with an error (rules 2 and 23)."""
    sample = read(*sampled_values)

    assert list(sample.registers) == sorted(set(sample.registers), reverse=True)
    assert min([*sample.registers, sample.interval or 0, sample.power_w or 0]) >= 0


@settings(deadline=None)
@given(st.lists(SAMPLED, max_size=8), st.randoms(use_true_random=False))
def test_the_order_of_sampled_values_does_not_matter(sampled_values: list[SampledValue], random: Any) -> None:
    """The order within a frame is free."""
    shuffled = random.sample(sampled_values, len(sampled_values))
    one, other = read(*sampled_values), read(*shuffled)

    assert (one.registers, one.interval, one.power_w) == (other.registers, other.interval, other.power_w)
    assert sorted(one.skipped) == sorted(other.skipped)
