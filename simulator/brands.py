"""The brands the simulator can be: how each names itself, counts energy and reports it.

LIVOLTEK and EVlink are as they were seen on the site that this server comes from.
"""

from dataclasses import dataclass

from simulator.meter import RegisterKind

ENERGY = "Energy.Active.Import.Register"
POWER = "Power.Active.Import"
FREQUENCY = "Frequency"


@dataclass(frozen=True, slots=True)
class Brand:
    """What tells one make of charge point from another on the wire. `dataclasses.replace` makes a variant."""

    name: str
    vendor: str
    model: str
    firmware_version: str
    register_kind: RegisterKind
    energy_unit: str
    """Of samples, meterStart and meterStop: "Wh" or "kWh"."""
    step_wh: float
    """The register moves in steps of this much."""
    sample_interval_s: int
    lifetime_wh: float = 0.0
    """What a lifetime register shows when the charge point is installed."""
    power_scale: float = 1.0
    """Reported W per true W; 0 reports 0.0."""
    measurands: tuple[str, ...] = (ENERGY, POWER)
    frequency_hz: float = 50.0
    is_json_multiline: bool = False


LIVOLTEK = Brand(
    name="livoltek",
    vendor="LIVOLTEK",
    model="AC011E",
    firmware_version="V1.0.8",
    register_kind=RegisterKind.SESSION,
    energy_unit="kWh",
    step_wh=1000.0,
    sample_interval_s=32,
    power_scale=10.0,
    measurands=(ENERGY, POWER, FREQUENCY),
)
"""Session register in whole kWh, power ten times too high though labelled W, a sample every 32 s."""

EVLINK = Brand(
    name="evlink",
    vendor="Schneider Electric",
    model="EVlink Pro AC",
    firmware_version="1.3.7",
    register_kind=RegisterKind.LIFETIME,
    energy_unit="Wh",
    step_wh=1.0,
    sample_interval_s=60,
    lifetime_wh=793_477.0,
    power_scale=0.0,
    is_json_multiline=True,
)
"""Lifetime register in Wh, power always 0.0, JSON over several lines, a slash in the charge point id."""

GENERIC = Brand(
    name="generic",
    vendor="Generic",
    model="AC-22",
    firmware_version="1.0",
    register_kind=RegisterKind.LIFETIME,
    energy_unit="Wh",
    step_wh=1.0,
    sample_interval_s=60,
)
"""What the specification has in mind: lifetime register in Wh, true power."""

BRANDS = {brand.name: brand for brand in (LIVOLTEK, EVLINK, GENERIC)}
