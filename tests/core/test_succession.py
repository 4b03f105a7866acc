"""One session after another on a connector (rule 22): where the earlier one ends, what is nobody's, what comes late."""

import pytest
from site_builder import ZONE, SiteBuilder, at, sample, user

from ocpp_server.core import commands as cmd
from ocpp_server.core.energy import BrandProfile, BrandRule, EnergyUnit, RegisterKind
from ocpp_server.core.records import EndKind, NoteKind
from ocpp_server.core.site import Policy

SESSION_BRAND = BrandProfile("LIVOLTEK", EnergyUnit.KWH, EnergyUnit.KWH, register_kind=RegisterKind.SESSION)


def _with_session_registers() -> SiteBuilder:
    """Both charge points are of a brand whose register begins anew with each session."""
    rule = BrandRule(SESSION_BRAND, charge_point_id_words=("LIVOLTEK", "EVlink"))
    return SiteBuilder([user("RFID001", None), user("RFID002", None)], Policy(ZONE, brand_rules=(rule,)))


def test_a_new_start_closes_the_session_that_never_ended() -> None:
    """Rule 22: at its last trusted register; the energy in between is nobody's."""
    site = SiteBuilder([user("RFID001"), user("RFID002")])
    old = site.begin("RFID001", 0, 10_000)
    site.meter(old, sample(1, 10_300, 18_000))
    site.do(cmd.RaiseAlert(at(2), f"stop-{old}", "stop not obeyed", "…"))
    new = site.begin("RFID002", 60, 10_450)

    closed = site.transaction(old)
    assert (closed.end_kind, closed.ended_at, closed.ended_received_at) == (EndKind.SUPERSEDED, at(1), at(60))
    assert (closed.energy, closed.power_w, closed.flow_w, closed.highest_register) == (300, 0, 0, 10_450)
    assert site.unattributed() == 150
    assert site.kinds() == [NoteKind.CLOSED, NoteKind.UNATTRIBUTED]
    assert site.site.alerts == {}
    assert list(site.site.open_transactions) == [new]


def test_a_new_start_at_the_same_register_leaves_nothing_unattributed() -> None:
    """Rule 22."""
    site = SiteBuilder([user("RFID001")])
    old = site.begin(meter_start=10_000)
    site.begin(minutes=60, meter_start=10_000)

    assert (site.unattributed(), site.kinds()) == (0, [NoteKind.CLOSED])
    assert site.transaction(old).highest_register == 10_000


@pytest.mark.parametrize("meter_start", [0, "n/a", 10_000_000])
def test_a_register_that_starts_anew_or_jumps_leaves_nothing_unattributed(meter_start: object) -> None:
    """Rules 4, 5 and 22: restarting with each session, unreadable, more than could be delivered."""
    site = SiteBuilder([user("RFID001")])
    old = site.begin(meter_start=10_000)
    site.begin(minutes=60, meter_start=meter_start)

    assert (site.unattributed(), site.transaction(old).highest_register) == (0, None)
    assert site.transaction(old).end_kind is EndKind.SUPERSEDED


def test_a_session_without_any_register_is_closed_without_a_gap() -> None:
    """Rule 22."""
    site = SiteBuilder([user("RFID001")])
    site.begin(meter_start=-1)
    site.begin(minutes=60, meter_start=500)

    assert (site.unattributed(), len(site.site.open_transactions)) == (0, 1)


def test_a_start_after_a_stale_session_bounds_what_that_may_still_add() -> None:
    """Rule 22: closed the same way as one that never ended."""
    site = SiteBuilder([user("RFID001"), user("RFID002")])
    old = site.begin(meter_start=10_000)
    site.meter(old, sample(1, 10_300))
    site.status(2)
    site.do(cmd.CloseStale(at(120)))
    site.begin("RFID002", 130, 10_450)
    site.begin("RFID002", 140, 10_450)

    assert site.transaction(old).end_kind is EndKind.STALE
    assert site.transaction(old).highest_register == 10_450
    assert site.unattributed() == 150


def test_a_start_on_another_scale_leaves_a_stale_session_as_it_is() -> None:
    """Rule 22: only a lifetime meterStart bounds it."""
    site = SiteBuilder([user("RFID001")])
    old = site.begin(meter_start=10_000)
    site.status(2)
    site.do(cmd.CloseStale(at(120)))
    before = site.transaction(old)
    site.begin(minutes=130, meter_start=0)

    assert site.transaction(old) is before


def test_a_second_stop_takes_nothing_of_the_session_that_followed() -> None:
    """Rules 20 and 22: both registers are the same meter."""
    site = SiteBuilder([user("RFID001"), user("RFID002")])
    first = site.begin("RFID001", 0, 10_000)
    site.stop(first, 10, 11_000)
    second = site.begin("RFID002", 20, 11_050)
    site.meter(second, sample(30, 13_000))
    site.stop(first, 31, 13_000)

    assert (site.energy(first), site.energy(second)) == (1_050, 1_950)


def test_a_session_that_was_counted_from_zero_bounds_no_lifetime_register() -> None:
    """Rule 22: only a lifetime meterStart is a bound."""
    site = SiteBuilder([user("RFID001", None)])
    first = site.begin(meter_start=10_000)
    site.stop(first, 10, 11_000)
    site.begin(minutes=20, meter_start=0)
    site.begin(minutes=30, meter_start="n/a")
    site.stop(first, 31, 11_500)

    assert site.energy(first) == 1_500


def test_a_late_stop_is_capped_at_the_next_sessions_start_and_reduces_the_unattributed() -> None:
    """Rule 22."""
    site = SiteBuilder([user("RFID001"), user("RFID002")])
    old = site.begin("RFID001", 0, 10_000)
    site.meter(old, sample(1, 10_300))
    new = site.begin("RFID002", 60, 10_450)
    site.stop(old, 30, 10_400, received=61)
    after_stop = (site.energy(old), site.unattributed())
    site.stop(old, 31, 10_900, received=62)

    assert after_stop == (400, 50)
    assert (site.energy(old), site.unattributed(), site.energy(new)) == (450, 0, 0)
    assert site.transaction(old).end_kind is EndKind.STOPPED


def test_a_late_stop_that_adds_nothing_leaves_the_unattributed() -> None:
    """Rule 22: reduced by what it adds."""
    site = SiteBuilder([user("RFID001")])
    old = site.begin(meter_start=10_000)
    site.meter(old, sample(1, 10_300))
    site.begin(minutes=60, meter_start=10_450)
    site.stop(old, 30, -1, received=61)

    assert (site.energy(old), site.unattributed()) == (300, 150)


def test_the_late_stop_of_a_stale_session_leaves_what_others_left_unattributed() -> None:
    """Rule 22: only the energy of its own gap."""
    site = SiteBuilder([user("RFID001", None)])
    site.begin(meter_start=10_000)
    site.begin(minutes=10, meter_start=10_500)
    stale = site.begin(minutes=20, meter_start=300, connector_id=2)
    site.status(21, connector_id=2)
    site.do(cmd.CloseStale(at(140)))
    site.stop(stale, 60, 900, received=141)

    assert (site.energy(stale), site.unattributed()) == (600, 500)


def test_the_stop_of_a_session_still_open_beside_a_younger_one_is_capped_by_nothing() -> None:
    """Rule 22: an older start that arrived late is an ordinary session until the server closed it."""
    site = SiteBuilder([user("RFID001", None)])
    site.begin(minutes=0, meter_start=11_000)
    old = site.begin(minutes=-50, meter_start=10_000, received=1)
    site.stop(old, -5, 10_990, received=2)

    assert site.energy(old) == 990


def test_a_stale_session_is_not_reopened_once_another_began() -> None:
    """Rule 22: reopened only if no other began, also when that one has ended again."""
    site = SiteBuilder([user("RFID001", None), user("RFID002", None)])
    number = site.begin(meter_start=10_000)
    site.meter(number, sample(1, 10_301))
    site.status(2)
    site.do(cmd.CloseStale(at(180)))
    second = site.begin("RFID002", 185, 10_450)
    site.stop(second, 188, 10_480)
    site.meter(number, sample(190, 10_900))

    assert (site.transaction(number).is_open, site.energy(number), site.unattributed()) == (False, 450, 0)


def test_late_readings_beside_a_session_on_another_scale_are_bounded_by_nothing() -> None:
    """Rule 22: a session that counts from 0 tells nothing of the lifetime register."""
    site = SiteBuilder([user("RFID001", None), user("RFID002", None)])
    number = site.begin(meter_start=10_000)
    site.meter(number, sample(1, 10_301))
    site.status(2)
    site.do(cmd.CloseStale(at(180)))
    site.begin("RFID002", 185, 0)
    site.meter(number, sample(186, 10_500))

    assert (site.energy(number), site.transaction(number).is_open) == (500, False)


@pytest.mark.parametrize("is_stale", [False, True])
def test_a_meter_start_of_0_after_a_session_at_0_is_no_bound(is_stale: bool) -> None:
    """Rules 4 and 22: 0 is no lifetime meterStart (LIVOLTEK): the late stop of a session without samples counts."""
    site = SiteBuilder([user("RFID001", None), user("RFID002", None)])
    old = site.begin("RFID001", 0, 0)
    if is_stale:
        site.status(2)
        site.do(cmd.CloseStale(at(120)))
    new = site.begin("RFID002", 130, 0)
    bound = site.transaction(old).highest_register
    site.stop(old, 60, 7_000, received=131)

    assert (bound, site.energy(old), site.energy(new), site.unattributed()) == (None, 7_000, 0, 0)


def test_a_second_stop_after_a_session_at_0_is_bounded_by_no_meter_start_of_0() -> None:
    """Rules 20 and 22: the earlier session ended in order, at 0."""
    site = SiteBuilder([user("RFID001", None), user("RFID002", None)])
    first = site.begin("RFID001", 0, 0)
    site.stop(first, 10, 0)
    site.begin("RFID002", 20, 0)
    site.stop(first, 11, 900, received=21)

    assert site.energy(first) == 900


def test_where_the_register_begins_anew_nothing_is_unattributed() -> None:
    """Rules 4 and 22: brands.toml says so of LIVOLTEK; a meterStart above the last register is no lifetime register."""
    site = _with_session_registers()
    old = site.begin("RFID001", 0, 0)
    site.meter(old, sample(6, 1, unit="kWh"))
    site.begin("RFID002", 60, 2)

    assert site.transaction(old).end_kind is EndKind.SUPERSEDED
    assert (site.transaction(old).highest_register, site.unattributed()) == (None, 0)
    assert site.kinds() == [NoteKind.CLOSED]


@pytest.mark.parametrize("is_stopped", [False, True])
def test_where_the_register_begins_anew_a_later_session_bounds_nothing(is_stopped: bool) -> None:
    """Rules 4, 20 and 22: the late stop of a superseded session, and a second stop."""
    site = _with_session_registers()
    old = site.begin("RFID001", 0, 0)
    site.meter(old, sample(6, 1, unit="kWh"))
    if is_stopped:
        site.stop(old, 10, 1)
    site.begin("RFID002", 60, 1)
    site.stop(old, 30, 4, received=61)

    assert (site.energy(old), site.unattributed()) == (4_000, 0)
