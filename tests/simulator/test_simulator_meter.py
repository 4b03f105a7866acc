"""The energy model and the registers of the brands."""

import math

import pytest

from simulator.meter import FaultKind, MeterFault, PowerHistory, RegisterKind, RegisterModel


def history_of(power_w: float, ramp_s: float = 0.0) -> PowerHistory:
    history = PowerHistory()
    history.set_power(0, power_w, ramp_s)
    return history


def test_energy_is_power_times_time() -> None:
    """11 kW for half an hour are 5.5 kWh."""
    assert history_of(11_000).energy_wh(1800) == pytest.approx(5500)


def test_a_ramp_delivers_half_the_energy_while_it_rises() -> None:
    """Power rises in a straight line: 20 s to 7.2 kW are 20 Wh, not 40."""
    history = history_of(7200, ramp_s=20)

    assert history.energy_wh(20) == pytest.approx(20)
    assert history.power_w(10) == pytest.approx(3600)
    assert history.energy_wh(30) == pytest.approx(40)


def test_the_past_stays_what_it_was_when_the_power_changes() -> None:
    """The history is a function of time, also of times gone by."""
    history = history_of(3600)
    history.set_power(100, 0)

    assert history.energy_wh(50) == pytest.approx(50)
    assert history.energy_wh(1000) == pytest.approx(100)


@pytest.mark.parametrize("ramp_s", [0.0, 20.0, 5000.0])
@pytest.mark.parametrize("target_wh", [1.0, 10.0, 2000.0])
def test_the_time_of_an_energy_is_when_that_energy_is_reached(ramp_s: float, target_wh: float) -> None:
    """time_of_wh is the inverse of energy_wh, inside the ramp and after it."""
    history = history_of(7200, ramp_s)

    assert history.energy_wh(history.time_of_wh(target_wh)) == pytest.approx(target_wh)


def test_without_power_an_energy_is_never_reached() -> None:
    """A suspended car is never full."""
    assert history_of(0).time_of_wh(1) == math.inf


def test_a_whole_kwh_register_steps_each_kwh() -> None:
    """LIVOLTEK: 10.9 kWh show as 10."""
    register = RegisterModel(history_of(10_900), RegisterKind.SESSION, "kWh", 1000)
    register.begin_session(0)

    assert register.sample_text(3600) == "10"
    assert register.whole_units(3600) == 10


@pytest.mark.parametrize(("unit", "step_wh", "text"), [("kWh", 100, "0.3"), ("kWh", 1, "0.300"), ("Wh", 1, "300")])
def test_a_sample_has_the_decimals_of_its_step(unit: str, step_wh: float, text: str) -> None:
    """300 Wh; float noise costs no step."""
    assert RegisterModel(history_of(3600), unit=unit, step_wh=step_wh).sample_text(300) == text


def test_a_session_register_restarts_and_a_lifetime_register_goes_on() -> None:
    """The second session begins at 0, or where the first ended."""
    history = history_of(3600)
    session, lifetime = RegisterModel(history, RegisterKind.SESSION), RegisterModel(history, lifetime_wh=793_477)
    for register in (session, lifetime):
        register.begin_session(0)
        register.begin_session(1000)

    assert session.register_wh(1100) == 100
    assert lifetime.register_wh(1100) == 794_577


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (FaultKind.RESTART, [1059, 0, 59, 60, 140]),
        (FaultKind.TIMES_1000, [1_059_000 // 1000, 1_060_000, 1_119_000, 1120, 1200]),
        (FaultKind.ZERO, [1059, 0, 0, 1120, 1200]),
    ],
)
def test_a_scripted_fault_begins_and_ends_on_time(kind: FaultKind, values: list[int]) -> None:
    """From 60 s of the session on, for 60 s; a restart for ever."""
    register = RegisterModel(history_of(3600), lifetime_wh=1000, faults=(MeterFault(kind, 60, 60),))
    register.begin_session(0)

    assert [register.register_wh(at_s) for at_s in (59, 60, 119, 120, 200)] == values


def test_a_lifetime_register_that_restarted_stays_restarted_in_the_next_session() -> None:
    """The meter did lose its count; the next session goes on from there."""
    register = RegisterModel(history_of(3600), lifetime_wh=1000, faults=(MeterFault(FaultKind.RESTART, 60),))
    register.begin_session(0)
    register.begin_session(160)

    assert register.register_wh(170) == 110
