"""What a StopTransaction proves of a session's register (rules 4, 20, 22): the amount is settled.

Which readings were trusted until then, and the scales that a register may live on, are `register.py`'s.
"""

from ocpp_server.core.energy import EnergyUnit, Wh
from ocpp_server.core.frozen import replace
from ocpp_server.core.period import Moment
from ocpp_server.core.register import (
    SLACK,
    UNIT_FACTOR,
    Candidate,
    Finding,
    FindingKind,
    Observation,
    Register,
    doubting,
    fits,
    gone_on,
    is_doubted,
    on_start_scale,
)


def settle(register: Register, meter_stop: Wh | None, moment: Moment, max_power_w: int) -> Observation:
    """The register at StopTransaction.

    A sane meterStop settles the energy, downward too; else the last trusted sample does (rule 4). The energy may
    become smaller than what was proven live, never negative.
    """
    if register.last is None or register.base is None or meter_stop is None:
        return register, (_unproven(register, meter_stop),)
    if _settles(register, meter_stop, moment, max_power_w):
        return _settled(register, meter_stop, moment), ()
    otherwise = on_start_scale(register, meter_stop, moment, max_power_w, SLACK)
    otherwise = otherwise or _settled_in_another_unit(register, meter_stop, moment, max_power_w)
    otherwise = otherwise or gone_on(register, register.jump, meter_stop, moment, max_power_w)
    if meter_stop < register.last:
        otherwise = otherwise or gone_on(register, register.lower, meter_stop, moment, max_power_w)
    if otherwise is not None:
        return otherwise
    is_known = register.jump is not None and register.jump.value == meter_stop
    is_known = is_known or is_doubted(register, meter_stop, moment)
    if meter_stop > register.last and not is_known:
        text = "meterStop is more than could be delivered"
        finding = Finding(FindingKind.SET_ASIDE, text, register.last, meter_stop)
        held = Candidate(meter_stop, moment)
        return replace(doubting(register, held), jump=held), (finding,)
    return register, (_unproven(register, meter_stop),)


def raise_stop(register: Register, meter_stop: Wh | None, moment: Moment, max_power_w: int) -> Observation:
    """A second stop or a late reading of an ended session: only a higher value adds (rules 4 and 20)."""
    settled, findings = settle(register, meter_stop, moment, max_power_w)
    if settled.energy > register.energy:
        return settled, findings
    set_aside = tuple(finding for finding in findings if finding.kind is FindingKind.SET_ASIDE)
    return (replace(register, jump=settled.jump, doubted=settled.doubted) if set_aside else register), set_aside


def capped(register: Register, highest: Wh) -> Register:
    """The register cut at the next session's meterStart: what lies beyond is not this session's (rule 22)."""
    if register.last is None or register.base is None or register.last <= highest:
        return register
    return replace(register, last=Wh(max(highest, register.base)))


def _settles(register: Register, value: Wh, moment: Moment, max_power_w: int) -> bool:
    """On the present scale: at the most one register step below the last trusted sample, and deliverable."""
    assert register.last is not None
    assert register.base is not None
    stands_still = register.intervals > 0 and not register.is_sampled and value == register.base
    if value < register.base or value <= 0 < register.last or stands_still:
        return False
    if value < register.last:
        return register.last - value <= register.step
    return fits(register, value, moment, max_power_w)


def _settled(register: Register, value: Wh, moment: Moment) -> Register:
    return replace(register, last=value, last_moment=moment, is_sampled=True, jump=None, lower=None)


def _settled_in_another_unit(
    register: Register, meter_stop: Wh, moment: Moment, max_power_w: int
) -> Observation | None:
    """meterStop has no unit either; if it turns out to be in kWh, so was an unproven meterStart (rule 3)."""
    assert register.last is not None
    in_kwh = Wh(meter_stop * UNIT_FACTOR)
    if 0 < meter_stop < register.last and _settles(register, in_kwh, moment, max_power_w):
        finding = Finding(FindingKind.UNIT_MISTAKE, "meterStop is in kWh", register.last, meter_stop)
        settled = _settled(register, in_kwh, moment)
        if register.start and register.base == register.start and register.start * UNIT_FACTOR <= in_kwh:
            base = Wh(register.start * UNIT_FACTOR)
            settled = replace(settled, start=base, base=base, start_unit=EnergyUnit.KWH)
        return settled, (finding,)
    in_wh = Wh(meter_stop // UNIT_FACTOR)
    if 0 < register.last < meter_stop and register.is_sampled and _settles(register, in_wh, moment, max_power_w):
        text = "meterStop is 1000 times too high"
        finding = Finding(FindingKind.UNIT_MISTAKE, text, register.last, meter_stop)
        return _settled(register, in_wh, moment), (finding,)
    return None


def _unproven(register: Register, meter_stop: Wh | None) -> Finding:
    text = "no usable meterStop, the last trusted sample settles"
    return Finding(FindingKind.UNPROVEN_STOP, text, register.last, meter_stop)
