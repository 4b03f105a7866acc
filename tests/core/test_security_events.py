"""What is told or noticed of a charge point's security (security white paper A04 and §8; T2, T6)."""

import pytest
from site_builder import CHARGE_POINT, OTHER_CHARGE_POINT, SiteBuilder, at

from ocpp_server.core import commands as cmd
from ocpp_server.core.records import Admission, NoteKind
from ocpp_server.core.security_events import HELD_DOWN, TAKEN_OVER

PASSING = ("StartupOfTheDevice", "ResetOrReboot", "SettingSystemTime")
LASTING = ("FirmwareUpdated", "SecurityLogWasCleared", "MemoryExhaustion", "TamperDetectionActivated", HELD_DOWN)


def tell(site: SiteBuilder, event: str, minutes: float = 0.0, charge_point_id: str = CHARGE_POINT) -> None:
    site.do(cmd.SecurityEvent(charge_point_id, at(minutes), event, f"{event} happened"))


@pytest.mark.parametrize("event", [*PASSING, *LASTING])
def test_a_critical_event_is_noted_and_raises_an_alert(event: str) -> None:
    """The list of the white paper's §8."""
    site = SiteBuilder()
    tell(site, event)

    (alert,) = site.site.alerts.values()
    assert (alert.alert_id, alert.charge_point_id) == (f"security-{event}-{CHARGE_POINT}", CHARGE_POINT)
    assert [(note.kind, note.text, note.charge_point_id) for note in site.notes] == [
        (NoteKind.SECURITY, f"{event} happened", CHARGE_POINT)
    ]


@pytest.mark.parametrize("event", ["FailedToAuthenticateAtCentralSystem", "OfTheVendorsOwn", "", TAKEN_OVER])
def test_any_other_event_is_kept_and_raises_none(event: str) -> None:
    """Types that the white paper does not list are kept too."""
    site = SiteBuilder()
    tell(site, event)

    assert site.site.alerts == {}
    assert site.kinds() == [NoteKind.SECURITY]


def test_what_a_stranger_tells_is_kept_and_raises_none() -> None:
    """T26: whoever reaches the port could else fill the list of alerts, and nobody would ever end them."""
    site = SiteBuilder()
    site.do(cmd.Connect("STRANGER", at(), "192.168.1.7", admission=Admission.PENDING))
    for event in (*PASSING, *LASTING):
        tell(site, event, charge_point_id="STRANGER")
    site.do(cmd.Connect("STRANGER", at(1), "10.0.0.7", admission=Admission.PENDING))

    assert site.site.alerts == {}
    assert [note.kind for note in site.site.notes] == [NoteKind.SECURITY] * 8


def test_a_lasting_alert_keeps_its_beginning_and_waits_for_a_person() -> None:
    """Told each hour it would else always look new."""
    site = SiteBuilder()
    tell(site, "MemoryExhaustion", 0)
    tell(site, "MemoryExhaustion", 60)
    site.do(cmd.ForgetExpired(at(60 * 24 * 30)))

    (alert,) = site.site.alerts.values()
    assert alert.since == at(0)


def test_a_passing_alert_is_over_a_day_after_the_last_event() -> None:
    """Each power cut brings one; nobody need come for it."""
    site = SiteBuilder()
    tell(site, "StartupOfTheDevice", 0)
    tell(site, "StartupOfTheDevice", 60)
    site.do(cmd.ForgetExpired(at(24 * 60 + 59)))
    assert [alert.since for alert in site.site.alerts.values()] == [at(60)]

    site.do(cmd.ForgetExpired(at(24 * 60 + 60)))
    assert site.site.alerts == {}


def test_approving_ends_the_alerts_of_this_charge_point_alone() -> None:
    """Alerts of other kinds, and of others, stand."""
    site = SiteBuilder()
    for event in ("MemoryExhaustion", "ResetOrReboot"):
        tell(site, event)
    tell(site, "MemoryExhaustion", charge_point_id=OTHER_CHARGE_POINT)
    site.do(cmd.RaiseAlert(at(), "clock", "clock suspect", "the clock jumped"))

    site.do(cmd.ApproveChargePoint(at(1), CHARGE_POINT, "anna"))

    assert sorted(site.site.alerts) == ["clock", f"security-MemoryExhaustion-{OTHER_CHARGE_POINT}"]
