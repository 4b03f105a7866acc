"""Whose a reading is (rule 21; OCPP 1.6 §4.7)."""

import pytest
from site_builder import OTHER_CHARGE_POINT, SiteBuilder, sample, user

from ocpp_server.core.records import NoteKind

UNUSABLE_IDS = [None, 0, -1, -16, 2**63 - 1, 987_654]


def _charging() -> tuple[SiteBuilder, int]:
    site = SiteBuilder([user("RFID001", None), user("RFID002", None)])
    number = site.begin(meter_start=10_000)
    site.meter(number, sample(1, 10_301))
    return site, number


@pytest.mark.parametrize("number", UNUSABLE_IDS)
def test_a_reading_without_a_usable_id_is_the_open_sessions_of_its_connector(number: int | None) -> None:
    """Rule 21; Alfen, Etrel, Huawei, EN+."""
    site, running = _charging()
    other = site.begin("RFID002", connector_id=2, meter_start=10_302)
    site.meter(number, sample(2, 10_602))

    assert (site.energy(running), site.energy(other)) == (602, 0)


@pytest.mark.parametrize(("minutes", "wh"), [(-1, 10_400), (2, 10_200), (2, 500), (2, 90_000)])
def test_a_reading_without_a_usable_id_that_does_not_continue_is_nobodys(minutes: float, wh: int) -> None:
    """Rule 21: stamp not before its start, register continues its scale; else logged."""
    site, running = _charging()
    site.meter(0, sample(minutes, wh), received=3)

    assert (site.energy(running), site.kinds()) == (301, [NoteKind.ODDITY])
    assert site.notes[0].text == "reading outside any session"


def test_a_message_of_power_alone_without_an_id_is_the_open_sessions() -> None:
    """Rule 21."""
    site, running = _charging()
    site.meter(None, sample(2, None, 18_000))

    assert site.transaction(running).reported_power_w == 18_000


def test_the_id_of_an_earlier_session_kept_on_feeds_the_open_one() -> None:
    """Rule 21; Simpson & Partners, EN+: a closed session stays closed."""
    site, first = _charging()
    site.stop(first, 2, 10_400)
    second = site.begin("RFID002", 3, 10_400)
    site.meter(first, sample(4, 10_700))

    assert (site.energy(first), site.energy(second)) == (400, 300)


def test_another_charge_points_id_feeds_nothing_of_that_one() -> None:
    """Rule 21, core#34."""
    site, own = _charging()
    foreign = site.begin("RFID002", meter_start=100, charge_point_id=OTHER_CHARGE_POINT)
    before = site.transaction(foreign)
    site.meter(foreign, sample(2, 10_602))
    fed = site.energy(own)
    site.meter(foreign, sample(3, 10_900), connector_id=7)

    assert (fed, site.transaction(foreign)) == (602, before)
    assert [note.text for note in site.notes] == ["reading for another charge point's transaction"]


def test_an_open_id_decides_whatever_the_connector_says() -> None:
    """Rule 21."""
    site, number = _charging()
    site.meter(number, sample(2, 10_602), connector_id=0)

    assert site.energy(number) == 602


@pytest.mark.parametrize("number", UNUSABLE_IDS)
def test_the_main_meter_is_nobodys_and_nothing_odd(number: int | None) -> None:
    """Rule 21; Wallbox, Phoenix CHARX: samples of connector 0 beside a session on 1."""
    site, running = _charging()
    site.meter(number, sample(2, 10_602), connector_id=0)

    assert (site.energy(running), site.notes) == (301, ())
