"""What each brand looks like on the wire."""

from typing import Any

from simulator import EVLINK, GENERIC, LIVOLTEK, ManualClock


def values_of(frame: Any) -> dict[str, tuple[str, str]]:
    """Measurand to value and unit of the only MeterValue of the frame."""
    (meter_value,) = frame.payload["meterValue"]
    return {sample["measurand"]: (sample["value"], sample["unit"]) for sample in meter_value["sampledValue"]}


async def test_livoltek_counts_whole_kwh_from_0_and_reports_ten_times_the_power(
    central: Any, plug: Any, clock: ManualClock
) -> None:
    """Session register in kWh, a sample each 32 s, 10.4 kW reported as 104 000 W, 50.0 Hz."""
    charge_point = await plug("LIVOLTEK_01", LIVOLTEK)

    session = await charge_point.plug_in_and_swipe(1, "RFID001", 10_400)
    await clock.advance(32 * 12)
    await charge_point.drained()
    await charge_point.stop(1)

    (boot,) = central.payloads("BootNotification")
    samples = central.of("MeterValues")
    assert boot["chargePointVendor"] == "LIVOLTEK"
    assert central.payloads("StartTransaction")[0]["meterStart"] == 0
    assert len(samples) == 12
    assert values_of(samples[-1]) == {
        "Energy.Active.Import.Register": ("1", "kWh"),
        "Power.Active.Import": ("104000.0", "W"),
        "Frequency": ("50.0", "Hertz"),
    }
    assert samples[0].payload["meterValue"][0]["timestamp"] == "2025-01-15T10:30:32.000Z"
    assert central.payloads("StopTransaction")[0]["meterStop"] == 1
    assert session.meter_stop_wh == 1000
    assert round(session.energy_wh) == 1109


async def test_livoltek_starts_its_second_session_at_0_again(central: Any, plug: Any, clock: ManualClock) -> None:
    """The register restarts with each session."""
    charge_point = await plug("LIVOLTEK_01", LIVOLTEK)
    for _ in range(2):
        await charge_point.plug_in_and_swipe(1, "RFID001", 22_000)
        await clock.advance(600)
        await charge_point.stop(1)

    assert [frame["meterStart"] for frame in central.payloads("StartTransaction")] == [0, 0]
    assert [frame["meterStop"] for frame in central.payloads("StopTransaction")] == [3, 3]


async def test_evlink_counts_wh_over_its_lifetime_and_reports_no_power(
    central: Any, plug: Any, clock: ManualClock
) -> None:
    """793 477 Wh at the start, 179 Wh a minute, power 0.0, a slash in the id, JSON over several lines."""
    charge_point = await plug("SCHNEIDER/EVlinkProAC", EVLINK)

    await charge_point.plug_in_and_swipe(1, "RFID001", 10_740)
    await clock.advance(60)
    await charge_point.drained()
    await charge_point.stop(1)

    (sample,) = central.of("MeterValues")
    assert sample.charger_id == "SCHNEIDER/EVlinkProAC"
    assert central.payloads("StartTransaction")[0]["meterStart"] == 793_477
    assert values_of(sample) == {
        "Energy.Active.Import.Register": ("793656", "Wh"),
        "Power.Active.Import": ("0.0", "W"),
    }
    assert "\n" in sample.raw
    assert central.payloads("StopTransaction")[0]["meterStop"] == 793_656


async def test_the_generic_brand_reports_the_true_power(central: Any, plug: Any, clock: ManualClock) -> None:
    """Wh with a resolution of 1 Wh, power as it is."""
    charge_point = await plug("GENERIC_01", GENERIC)

    await charge_point.plug_in_and_swipe(1, "RFID001", 7400)
    await clock.advance(120)
    await charge_point.drained()

    assert values_of(central.of("MeterValues")[-1]) == {
        "Energy.Active.Import.Register": ("246", "Wh"),
        "Power.Active.Import": ("7400.0", "W"),
    }
