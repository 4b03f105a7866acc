"""What readings prove of their charge point: unit, clock, power scale, maximum power (rules 3, 5, 6, 15, 25).

Here is also what follows from it: how much a connector can deliver, and which power is believed.
"""

from decimal import Decimal

from ocpp_server.core.frozen import replace
from ocpp_server.core.meter import MeterSample
from ocpp_server.core.period import CLOCK_TOLERANCE, Moment
from ocpp_server.core.records import ChargePoint, Transaction
from ocpp_server.core.register import Register
from ocpp_server.core.site import Site

_SCALES = tuple((Decimal(scale), float(scale)) for scale in ("1", "0.1", "0.001", "10", "0.01"))
_PROVEN_HITS = 3
_MOST_POWER_W = 400_000


def learn_clock(charge_point: ChargePoint, moment: Moment) -> ChargePoint:
    """A stamp close to its receipt proves the charge point's clock, an impossible one that it is wrong (rule 15).

    An old one proves nothing: it may come from a queue.
    """
    if moment.is_clock_doubtful:
        is_right = False
    elif charge_point.has_right_clock or abs(moment.at - moment.received) <= CLOCK_TOLERANCE:
        is_right = True
    else:
        return charge_point
    return charge_point if charge_point.has_right_clock is is_right else replace(charge_point, has_right_clock=is_right)


def learn_meter(charge_point: ChargePoint, before: Transaction, after: Transaction, sample: MeterSample) -> ChargePoint:
    """The unit of meterStart, and the scale of power that a sample in step with its register proves (rules 3 and 6).

    `before` and `after`: the session without and with this sample.
    """
    if after.register.start_unit is not None and after.register.start_unit != charge_point.register_unit:
        charge_point = replace(charge_point, register_unit=after.register.start_unit)
    has_grown = after.energy > before.energy and before.register.is_sampled
    derived = after.register.power_w
    if not has_grown or not sample.power_w or not derived:
        return charge_point
    scale = _scale_of(derived / sample.power_w)
    if scale is None:
        return charge_point
    if scale != charge_point.power_scale:
        return replace(charge_point, power_scale=scale, power_scale_hits=1)
    power = round(sample.power_w * scale)
    if charge_point.power_scale_hits < _PROVEN_HITS:
        charge_point = replace(charge_point, power_scale_hits=charge_point.power_scale_hits + 1)
    elif power > (charge_point.proven_power_w or 50_000) * 1.1 and power <= _MOST_POWER_W:
        charge_point = replace(charge_point, proven_power_w=power)
    return charge_point


def _scale_of(ratio: float) -> Decimal | None:
    """The scale that makes reported power what the register says, give or take a quarter."""
    return next((scale for scale, factor in _SCALES if 0.75 * factor <= ratio <= 1.25 * factor), None)


def max_power_w(site: Site, charge_point: ChargePoint, transaction: Transaction, reported_w: int | None) -> int:
    """The most this connector can deliver: settings, brand, or what its own consistent readings prove (rule 5)."""
    profile = site.profile_of(charge_point)
    most = max(profile.max_power_w or site.policy.max_power_w, charge_point.proven_power_w or 0)
    before = transaction.reported_power_w
    if reported_w is None or before is None or reported_w <= most or reported_w > _MOST_POWER_W:
        return most
    is_steady = abs(reported_w - before) <= reported_w // 4
    return reported_w if is_steady and charge_point.power_scale_hits >= _PROVEN_HITS else most


def scaled_power_w(site: Site, charge_point: ChargePoint, sample: MeterSample) -> int | None:
    """Reported power in W, with the scale that the brand profile or the register proved."""
    if sample.power_w is None:
        return None
    scale = site.profile_of(charge_point).power_scale
    if scale is None and charge_point.power_scale_hits >= _PROVEN_HITS:
        scale = charge_point.power_scale
    return sample.power_w if scale is None else round(sample.power_w * scale)


def believed_power_w(
    site: Site, charge_point: ChargePoint, register: Register, reported: int | None
) -> tuple[int | None, int]:
    """W for forecasts, and W for people: reported where it is in proportion to the energy, else derived (rule 6).

    Forecasts take reported power only where its scale is proven (rule 25).
    """
    derived = register.power_w
    if reported is None or (reported == 0 and derived):
        return derived, derived or 0
    if derived is not None and not derived / 8 <= reported <= max(derived, 1) * 8 and reported > 0:
        return derived, derived
    has_proof = site.profile_of(charge_point).power_scale is not None or charge_point.power_scale_hits >= _PROVEN_HITS
    return (reported if has_proof else derived), reported
