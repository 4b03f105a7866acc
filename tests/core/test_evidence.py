"""What readings prove of their charge point: unit, clock, power scale, maximum power (rules 3, 5, 6, 15, 25)."""

from decimal import Decimal

import pytest
from site_builder import CHARGE_POINT, ZONE, SiteBuilder, sample, user

from ocpp_server.core import changes as ch
from ocpp_server.core.energy import BrandProfile, BrandRule
from ocpp_server.core.records import NoteKind
from ocpp_server.core.site import Policy


def _charging(power_w: int | None = None, minutes: int = 1) -> tuple[SiteBuilder, int]:
    site = SiteBuilder([user("RFID001", None), user("RFID002", None)])
    number = site.begin(meter_start=10_000)
    for minute in range(1, minutes + 1):
        site.meter(number, sample(minute, 10_000 + 301 * minute, power_w))
    return site, number


@pytest.mark.parametrize(
    ("reported", "shown"),
    [(None, 18_060), (0, 18_060), (18_000, 18_000), (180_000, 18_060), (1_800, 18_060), (9_000, 9_000)],
)
def test_power_is_reported_or_else_derived_from_the_energy(reported: int | None, shown: int) -> None:
    """Rule 6: missing, zero while energy flows (EVlinkProAC), out of proportion (LIVOLTEK, AcTEC)."""
    site, number = _charging(reported, minutes=2)

    assert site.transaction(number).power_w == shown


def test_power_is_zero_where_nothing_is_known_of_it() -> None:
    """Rule 6."""
    site, number = _charging()
    idle = site.begin(connector_id=2, meter_start="n/a")
    site.meter(idle, sample(1, 500), connector_id=2)
    site.meter(idle, sample(2, 500, 0), connector_id=2)

    assert (site.transaction(idle).power_w, site.transaction(number).power_w) == (0, 18_060)


def test_reported_power_steers_forecasts_once_the_register_proved_its_scale() -> None:
    """Rule 25: three steady readings."""
    site, number = _charging(18_060, minutes=4)
    proven = site.site.charge_points[CHARGE_POINT]
    site.meter(number, sample(5, 10_000 + 301 * 5, 9_000))

    assert (proven.power_scale, proven.power_scale_hits) == (Decimal(1), 3)
    assert site.transaction(number).flow_w == 9_000


def test_reported_power_steers_no_forecast_before_that() -> None:
    """Rule 25."""
    site, number = _charging(9_000, minutes=2)

    assert (site.transaction(number).flow_w, site.transaction(number).power_w) == (18_060, 9_000)


def test_a_power_scale_of_a_tenth_is_learnt_from_the_register() -> None:
    """Rule 6: LIVOLTEK's power was seen ten times too high."""
    site, number = _charging(180_600, minutes=5)

    assert site.site.charge_points[CHARGE_POINT].power_scale == Decimal("0.1")
    assert (site.transaction(number).power_w, site.transaction(number).flow_w) == (18_060, 18_060)


def test_a_power_scale_is_learnt_anew_when_it_changes() -> None:
    """Rule 6: after a firmware update."""
    site, number = _charging(180_600, minutes=5)
    site.meter(number, sample(6, 10_000 + 301 * 6, 18_060))

    known = site.site.charge_points[CHARGE_POINT]
    assert (known.power_scale, known.power_scale_hits) == (Decimal(1), 1)


def test_power_that_fits_no_scale_teaches_nothing() -> None:
    """Rule 25."""
    site, _ = _charging(36_120, minutes=5)

    assert site.site.charge_points[CHARGE_POINT].power_scale is None


def test_a_brand_profile_proves_its_power_scale() -> None:
    """Rules 3 and 25."""
    rule = BrandRule(BrandProfile("Tenfold", power_scale=Decimal("0.1")), charge_point_id_words=("EVlink",))
    site = SiteBuilder([user("RFID001", None)], Policy(ZONE, brand_rules=(rule,)))
    number = site.begin(meter_start=10_000)
    site.meter(number, sample(1, 10_301, 150_000))

    assert (site.transaction(number).flow_w, site.transaction(number).power_w) == (15_000, 15_000)


def test_a_charge_points_own_consistent_power_raises_what_it_may_deliver() -> None:
    """Rule 5: 50 kW unless its own consistent power readings prove more."""
    site = SiteBuilder([user("RFID001", None)])
    number = site.begin(meter_start=0)
    for minute in range(1, 7):
        site.meter(number, sample(minute, 1_001 * minute, 60_060))
    site.meter(number, sample(7, 1_001 * 6 + 6_000, 300_000))
    known = site.site.charge_points[CHARGE_POINT]

    assert known.proven_power_w == 60_060
    assert site.kinds() == [NoteKind.SET_ASIDE]


def test_a_steady_high_power_is_believed_for_the_step_it_explains() -> None:
    """Rule 5: power and register tell the same, twice."""
    site, number = _charging(18_060, minutes=5)
    last = 10_000 + 301 * 5
    site.meter(number, sample(6, last + 1_000, 90_000))
    site.meter(number, sample(7, last + 3_000, 95_000))

    assert site.energy(number) == 301 * 5 + 3_000


def test_a_stamp_close_to_its_receipt_proves_the_clock_and_an_impossible_one_disproves_it() -> None:
    """Rule 15: expiryDate only where the clock is right; an old stamp may come from a queue and proves nothing."""
    site, number = _charging()
    found = []
    for received, written in ((60, 60), (70, 5), (80, 100), (90, 20), (100, 100)):
        site.meter(number, sample(written, 10_302), received=received)
        found.append(site.site.charge_points[CHARGE_POINT].has_right_clock)

    assert found == [True, True, False, False, True]


def test_a_proven_unit_of_the_start_is_kept_for_the_charge_point() -> None:
    """Rule 3: cross-checked against the first labelled sample."""
    site = SiteBuilder([user("RFID001", None)])
    number = site.begin(meter_start=500)
    site.meter(number, sample(1, 500.3, unit="kWh"))
    puts = [change for change in site.last if isinstance(change, ch.PutChargePoint)]

    assert site.energy(number) == 300
    assert puts[0].charge_point.register_unit == "kWh"
