"""Who may speak for a charge point: verdicts on handshakes, and what people decide (T1, T2, T5, T7, T26)."""

from dataclasses import replace
from typing import Any

import pytest
from site_builder import CHARGE_POINT, NOON, ZONE, SiteBuilder, at

from ocpp_server.core import changes as ch
from ocpp_server.core import commands as cmd
from ocpp_server.core.admission import (
    MOST_PENDING,
    Handshake,
    LetIn,
    Place,
    Proof,
    TurnedAway,
    Verdict,
    admission_of,
    home_network,
    judge,
    required_profile,
)
from ocpp_server.core.records import Admission, ChargePoint, NoteKind
from ocpp_server.core.site import AdmissionPolicy, Policy, UnknownChargePoints, apply
from ocpp_server.core.users import ChargerRow

PENDING, APPROVED, LOCKED = Admission.PENDING, Admission.APPROVED, Admission.LOCKED
NEW = "NEW_01"
HASH = "scrypt$16$8$1$c2FsdA==$aGFzaA=="
ADDRESSES = {
    Place.LOOPBACK: "127.0.0.1",
    Place.SITE: "192.168.1.7",
    Place.OUTSIDE: "100.64.3.4",
    Place.INTERNET: "8.8.4.4",
}
MOVED = f"security-Moved-{CHARGE_POINT}"


def site_with(**policy: Any) -> SiteBuilder:
    """A site where two charge points are approved."""
    return SiteBuilder(policy=Policy(ZONE, admission=AdmissionPolicy(**policy)))


def knocks(
    site: SiteBuilder,
    charge_point_id: str = CHARGE_POINT,
    place: Place = Place.SITE,
    proof: Proof = Proof.NONE,
    *,
    tls: bool = False,
    minutes: float = 0.0,
) -> Verdict:
    """The verdict on a handshake."""
    return judge(site.site, Handshake(charge_point_id, at(minutes), ADDRESSES[place], place, tls, proof))


def status(verdict: Verdict) -> object:
    """The HTTP status of a refusal, else what the charge point is let in as."""
    return verdict.status if isinstance(verdict, TurnedAway) else verdict.admission


def put(site: SiteBuilder, charge_point_id: str = CHARGE_POINT, **fields: Any) -> None:
    """Set what is known of a charge point."""
    known = site.site.charge_points.get(charge_point_id, ChargePoint(charge_point_id, NOON))
    apply(site.site, ch.PutChargePoint(replace(known, **fields)))


def known(site: SiteBuilder, charge_point_id: str = CHARGE_POINT) -> ChargePoint:
    return site.site.charge_points[charge_point_id]


def rows(site: SiteBuilder, **approved: bool | None) -> None:
    """Put a chargers.csv with these ids in force."""
    site.do(cmd.ReplaceChargers(at(), tuple(ChargerRow(name, approved=said) for name, said in approved.items())))


def wait(site: SiteBuilder, charge_point_id: str, minutes: float = 0.0, address: str = "") -> cmd.Reply:
    """A stranger that was judged pending connects."""
    return site.do(cmd.Connect(charge_point_id, at(minutes), address, admission=PENDING))


def leave(site: SiteBuilder, charge_point_id: str, minutes: float = 1.0) -> None:
    site.do(cmd.Disconnect(charge_point_id, at(minutes)))


# --- the verdict on a handshake ---


@pytest.mark.parametrize(
    ("proof", "tls", "profile"),
    [
        (Proof.NONE, False, 0),
        (Proof.NONE, True, 0),
        (Proof.WRONG, True, 0),
        (Proof.KEY, False, 1),
        (Proof.KEY, True, 2),
        (Proof.CERTIFICATE, True, 3),
    ],
)
def test_the_profile_is_what_was_proved(proof: Proof, tls: bool, profile: int) -> None:
    """The security profiles of the OCPP security white paper; encryption alone proves nothing."""
    assert Handshake(CHARGE_POINT, NOON, "", Place.SITE, tls, proof).security_profile == profile


@pytest.mark.parametrize("place", list(Place))
@pytest.mark.parametrize("charge_point_id", [CHARGE_POINT, NEW])
def test_a_wrong_key_is_401_from_everywhere(place: Place, charge_point_id: str) -> None:
    """T1, T5: whether the id is known or not."""
    verdict = knocks(site_with(), charge_point_id, place, Proof.WRONG, tls=True)

    assert verdict == TurnedAway(401, "wrong key, user name or certificate")


@pytest.mark.parametrize("place", [Place.OUTSIDE, Place.INTERNET])
def test_from_outside_without_a_proof_every_id_is_404(place: Place) -> None:
    """T5: known, unknown, pending and locked ids get the same, and the log names the network to add."""
    site = site_with()
    put(site, "WAITING", admission=PENDING)
    put(site, "LOCKED", admission=LOCKED)
    put(site, "WITH_KEY", key_hash=HASH)

    verdicts = {knocks(site, one, place, tls=True) for one in (CHARGE_POINT, NEW, "WAITING", "LOCKED", "WITH_KEY")}

    (verdict,) = verdicts
    assert isinstance(verdict, TurnedAway)
    assert verdict.status == 404
    assert f"{home_network(ADDRESSES[place])} to EVQUOTA_CHARGER_NETWORKS" in verdict.reason


@pytest.mark.parametrize("proof", list(Proof))
def test_from_the_internet_nothing_is_let_in_without_tls(proof: Proof) -> None:
    """OCPP-J §6: no unencrypted port towards the internet; not even a right key is welcome."""
    site = site_with()

    assert status(knocks(site, place=Place.INTERNET, proof=proof)) == 404


def test_a_setting_allows_keys_without_tls_from_the_internet() -> None:
    """Somebody may have a reason; a key it must be."""
    site = site_with(is_internet_without_tls_allowed=True)

    assert knocks(site, place=Place.INTERNET, proof=Proof.KEY) == LetIn(APPROVED, 1)
    assert status(knocks(site, place=Place.INTERNET)) == 404


@pytest.mark.parametrize("place", list(Place))
@pytest.mark.parametrize(("proof", "profile"), [(Proof.KEY, 2), (Proof.CERTIFICATE, 3)])
def test_with_a_proof_over_tls_it_is_let_in_from_everywhere(place: Place, proof: Proof, profile: int) -> None:
    """Security profiles 2 and 3."""
    assert knocks(site_with(), place=place, proof=proof, tls=True) == LetIn(APPROVED, profile)


@pytest.mark.parametrize("proof", [Proof.NONE, Proof.KEY, Proof.CERTIFICATE])
def test_a_locked_charge_point_is_404_whatever_it_proves(proof: Proof) -> None:
    """A person shut it out."""
    site = site_with()
    site.do(cmd.LockChargePoint(at(), CHARGE_POINT, "test"))

    assert status(knocks(site, proof=proof, tls=True)) == 404


@pytest.mark.parametrize("is_by_setting", [True, False])
@pytest.mark.parametrize(
    ("least", "proof", "tls", "expected"),
    [
        (0, Proof.NONE, False, APPROVED),
        (1, Proof.NONE, True, 401),
        (1, Proof.KEY, False, APPROVED),
        (2, Proof.KEY, False, 401),
        (2, Proof.KEY, True, APPROVED),
        (3, Proof.KEY, True, 401),
        (3, Proof.CERTIFICATE, True, APPROVED),
    ],
)
def test_the_least_profile_is_absolute(
    least: int, proof: Proof, tls: bool, expected: object, is_by_setting: bool
) -> None:
    """T7: of the whole site or of one charge point, also on this machine itself."""
    site = site_with(min_security_profile=least if is_by_setting else 0)
    put(site, min_security_profile=0 if is_by_setting else least)

    assert status(knocks(site, place=Place.LOOPBACK, proof=proof, tls=tls)) == expected


def test_the_least_profile_binds_strangers_too() -> None:
    """Nobody waits for approval with less than the site asks for."""
    site = site_with(min_security_profile=1)

    assert status(knocks(site, NEW)) == 401
    assert knocks(site, NEW, proof=Proof.CERTIFICATE, tls=True) == LetIn(PENDING, 3)


def test_who_has_a_key_must_show_it() -> None:
    """A00.FR.005: a key that was given is asked for from then on."""
    site = site_with()
    site.do(cmd.SetChargePointKey(at(), CHARGE_POINT, HASH, "test"))

    assert required_profile(site.site, CHARGE_POINT) == 1
    assert status(knocks(site)) == 401
    assert knocks(site, proof=Proof.KEY) == LetIn(APPROVED, 1)


@pytest.mark.parametrize(
    ("policy", "place", "expected"),
    [
        (UnknownChargePoints.PENDING, Place.LOOPBACK, APPROVED),
        (UnknownChargePoints.PENDING, Place.SITE, PENDING),
        (UnknownChargePoints.LOCKED, Place.LOOPBACK, 404),
        (UnknownChargePoints.LOCKED, Place.SITE, 404),
        (UnknownChargePoints.OPEN, Place.LOOPBACK, APPROVED),
        (UnknownChargePoints.OPEN, Place.SITE, APPROVED),
        (UnknownChargePoints.OPEN, Place.OUTSIDE, 404),
    ],
)
def test_what_becomes_of_an_unknown_id(policy: UnknownChargePoints, place: Place, expected: object) -> None:
    """EVQUOTA_CHARGER_ADMISSION; the simulator on this machine needs no approval."""
    assert status(knocks(site_with(unknown=policy), NEW, place)) == expected


@pytest.mark.parametrize("place", [Place.LOOPBACK, Place.SITE])
@pytest.mark.parametrize(
    ("policy", "expected"),
    [(UnknownChargePoints.PENDING, PENDING), (UnknownChargePoints.LOCKED, 404), (UnknownChargePoints.OPEN, APPROVED)],
)
def test_the_setting_is_also_for_those_who_wait(policy: UnknownChargePoints, place: Place, expected: object) -> None:
    """Nobody has approved them; whoever sets locked wants no strangers, whoever sets open wants all of them."""
    site = site_with(unknown=policy)
    wait(site, NEW)

    verdict = knocks(site, NEW, place)

    assert status(verdict) == expected
    if isinstance(verdict, LetIn):
        site.do(cmd.Connect(NEW, at(1), admission=verdict.admission))
        assert known(site, NEW).admission is expected


def test_who_is_let_in_at_last_needs_room_as_anybody() -> None:
    """T26: with open, twenty that waited are not twenty more than there may be."""
    site = site_with(unknown=UnknownChargePoints.OPEN, max_charge_points=3)
    for name in ("A", "B"):
        wait(site, name)
    site.do(cmd.Connect("A", at(1)))

    assert status(knocks(site, "B")) == 404
    assert isinstance(site.do(cmd.Connect("B", at(1))), cmd.Refused)


@pytest.mark.parametrize("policy", list(UnknownChargePoints))
def test_chargers_csv_goes_before_everything(policy: UnknownChargePoints) -> None:
    """The administrator's file says who is in, whatever the ledger and the setting say; blank says nothing."""
    site = site_with(unknown=policy)
    put(site, "WAS_LOCKED", admission=LOCKED)
    rows(site, **{CHARGE_POINT: False, "WAS_LOCKED": True, NEW: True, "ALSO_NEW": None})

    assert status(knocks(site)) == 404
    assert status(knocks(site, "WAS_LOCKED")) is APPROVED
    assert status(knocks(site, NEW)) is APPROVED
    assert admission_of(site.site, "ALSO_NEW") is None


# --- room ---


def test_strangers_fill_no_more_than_the_places_there_are() -> None:
    """T26: at most so many charge points; what chargers.csv approves comes in all the same."""
    site = site_with(unknown=UnknownChargePoints.OPEN, max_charge_points=3)
    site.do(cmd.Connect("THIRD", at()))

    assert status(knocks(site, NEW)) == 404
    assert status(knocks(site, NEW, Place.LOOPBACK)) == 404
    assert status(knocks(site, "THIRD")) is APPROVED
    rows(site, NEW=None, **{NEW: True})
    assert status(knocks(site, NEW)) is APPROVED


def test_twenty_wait_and_no_more() -> None:
    """T26. One of the twenty may come back."""
    site = site_with()
    for number in range(MOST_PENDING):
        assert knocks(site, f"S{number}") == LetIn(PENDING, 0)
        wait(site, f"S{number}")
        leave(site, f"S{number}")

    assert status(knocks(site, NEW)) == 404
    assert status(knocks(site, "S7")) is PENDING
    assert status(knocks(site, NEW, Place.LOOPBACK)) is APPROVED


def test_many_at_once_take_no_more_than_the_last_room() -> None:
    """A hundred handshakes are judged before the first of them connects: what counts is who connects."""
    site = site_with(max_charge_points=4)

    pending = [wait(site, f"S{number}") for number in range(100)]
    approved = [site.do(cmd.Connect(f"A{number}", at())) for number in range(100)]

    assert [type(reply) for reply in pending].count(cmd.Done) == MOST_PENDING
    assert isinstance(pending[-1], cmd.Refused)
    assert [type(reply) for reply in approved].count(cmd.Done) == 2
    assert len(site.site.charge_points) == MOST_PENDING + 4


def test_who_waited_in_vain_comes_back_only_if_there_is_room() -> None:
    """24 h later others wait; one that was not cleared away yet is not the 21st."""
    site = site_with()
    wait(site, "OLD")
    leave(site, "OLD")
    for number in range(MOST_PENDING):
        wait(site, f"S{number}", 25 * 60)

    assert status(knocks(site, "OLD", minutes=25 * 60)) == 404
    assert isinstance(wait(site, "OLD", 25 * 60), cmd.Refused)


@pytest.mark.parametrize("deed", ["key", "row"])
def test_whom_a_person_knows_takes_no_place_among_the_strangers(deed: str) -> None:
    """It has a key, or chargers.csv approves it: it is one of the site's."""
    site = site_with(max_charge_points=3)
    for number in range(MOST_PENDING):
        wait(site, f"S{number}")
        leave(site, f"S{number}")
    if deed == "key":
        site.do(cmd.SetChargePointKey(at(), "S0", HASH, "test"))
    else:
        rows(site, S0=True)

    assert status(knocks(site, NEW)) is PENDING
    assert status(knocks(site, NEW, Place.LOOPBACK)) == 404
    wait(site, NEW)
    assert status(knocks(site, "S0", proof=Proof.KEY)) is (PENDING if deed == "key" else APPROVED)


# --- connecting ---


def test_a_connection_is_remembered_with_what_it_proved() -> None:
    """The profile once proved is required from then on (T7)."""
    site = site_with()
    site.do(cmd.SetChargePointKey(at(), CHARGE_POINT, HASH, "test"))
    site.do(cmd.Connect(CHARGE_POINT, at(1), "192.168.1.7", 2))

    assert (known(site).address, known(site).security_profile, known(site).connected_since) == ("192.168.1.7", 2, at(1))
    assert required_profile(site.site, CHARGE_POINT) == 2
    assert status(knocks(site, proof=Proof.KEY)) == 401


def test_an_unknown_one_begins_as_it_was_judged() -> None:
    """A stranger waits; before its first connection everything is one gap."""
    site = site_with()
    wait(site, NEW, address="192.168.1.9")

    assert known(site, NEW).admission is PENDING
    assert known(site, NEW).home_address == "192.168.1.9"
    assert [gap.since for gap in known(site, NEW).gaps] == [None]


def test_a_long_absence_is_a_gap_and_the_last_twenty_are_kept() -> None:
    """Queued messages may be that old (rule 9)."""
    site = site_with()
    for hour in range(30):
        site.do(cmd.Connect(CHARGE_POINT, at(60 * hour)))
    site.do(cmd.Connect(CHARGE_POINT, at(60 * 29 + 9)))

    assert len(known(site).gaps) == 20
    assert known(site).gaps[-1].until == at(60 * 29)


def test_without_a_key_another_network_raises_an_alert_until_it_is_back() -> None:
    """T2: the network it always came from is all there is to recognise it by."""
    site = site_with()
    site.do(cmd.Connect(CHARGE_POINT, at(1), "192.168.1.7"))
    site.do(cmd.Connect(CHARGE_POINT, at(2), "192.168.1.250"))
    assert MOVED not in site.site.alerts

    site.do(cmd.Connect(CHARGE_POINT, at(3), "192.168.2.7"))
    site.do(cmd.Connect(CHARGE_POINT, at(4), "192.168.2.7"))
    alert = site.site.alerts[MOVED]
    assert alert.text == f"{CHARGE_POINT} has no key and connects from 192.168.2.7, not from 192.168.1.7"
    assert [note.kind for note in site.site.notes] == [NoteKind.SECURITY]

    site.do(cmd.Connect(CHARGE_POINT, at(5), "192.168.1.8"))
    assert MOVED not in site.site.alerts


def test_a_proof_ends_the_doubt_about_the_network() -> None:
    """With a key it may come from anywhere."""
    site = site_with()
    site.do(cmd.Connect(CHARGE_POINT, at(1), "192.168.1.7"))
    site.do(cmd.Connect(CHARGE_POINT, at(2), "10.0.0.7"))
    assert MOVED in site.site.alerts

    site.do(cmd.Connect(CHARGE_POINT, at(3), "10.0.0.7", 1))
    assert MOVED not in site.site.alerts


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("", ""),
        ("192.168.1.7", "192.168.1.0/24"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_the_network_around_an_address(address: str, network: str) -> None:
    """What is added to EVQUOTA_CHARGER_NETWORKS."""
    assert home_network(address) == network


# --- what a person decides ---


def test_approving_lets_in_and_looks_at_it_anew() -> None:
    """Alerts are over, its home is where it comes from next; the deed is noted with who did it."""
    site = site_with()
    wait(site, NEW, address="192.168.1.9")
    site.do(cmd.SecurityEvent(NEW, at(1), "TamperDetectionActivated", "opened"))
    site.do(cmd.ApproveChargePoint(at(2), NEW, "anna", min_security_profile=1))

    assert (known(site, NEW).admission, known(site, NEW).home_address) == (APPROVED, "")
    assert known(site, NEW).min_security_profile == 1
    assert site.site.alerts == {}
    assert (site.notes[-1].text, dict(site.notes[-1].figures)) == ("charge point approved", {"by": "anna"})


def test_approving_keeps_the_least_profile_unless_told() -> None:
    """Letting in again is no downgrade (T7)."""
    site = site_with()
    site.do(cmd.Connect(CHARGE_POINT, at(), "", 3))
    site.do(cmd.ApproveChargePoint(at(1), CHARGE_POINT, "anna"))

    assert known(site).min_security_profile == 3


def test_one_that_was_never_here_can_be_approved_locked_and_given_a_key() -> None:
    """Before it is mounted."""
    site = site_with()
    site.do(cmd.ApproveChargePoint(at(), "A", "anna"))
    site.do(cmd.LockChargePoint(at(), "B", "anna"))
    site.do(cmd.SetChargePointKey(at(), "C", HASH, "anna"))

    assert [known(site, one).admission for one in "ABC"] == [APPROVED, LOCKED, APPROVED]
    assert [note.text for note in site.site.notes] == [f"charge point {d}" for d in ("approved", "locked", "key set")]


@pytest.mark.parametrize(("proved", "left"), [(0, 0), (1, 0), (2, 0), (3, 3)])
def test_with_the_key_goes_what_the_key_had_proved(proved: int, left: int) -> None:
    """T7: what a certificate proved stays required."""
    site = site_with()
    site.do(cmd.SetChargePointKey(at(), CHARGE_POINT, HASH, "anna"))
    site.do(cmd.Connect(CHARGE_POINT, at(1), "", proved))
    site.do(cmd.SetChargePointKey(at(2), CHARGE_POINT, HASH + "A", "anna"))
    assert known(site).min_security_profile == proved

    site.do(cmd.SetChargePointKey(at(3), CHARGE_POINT, "", "anna"))

    assert (known(site).key_hash, known(site).min_security_profile) == ("", left)
    assert site.notes[-1].text == "charge point key removed"


def test_forgetting_makes_it_unknown_again_with_its_alerts() -> None:
    """Alerts of others stand."""
    site = site_with()
    site.do(cmd.SecurityEvent(CHARGE_POINT, at(), "MemoryExhaustion", "full"))
    site.do(cmd.SecurityEvent("LIVOLTEK_01", at(), "MemoryExhaustion", "full"))

    assert site.do(cmd.ForgetChargePoint(at(1), CHARGE_POINT, "anna")) == cmd.Done()
    assert admission_of(site.site, CHARGE_POINT) is None
    assert [alert.charge_point_id for alert in site.site.alerts.values()] == ["LIVOLTEK_01"]


def test_what_is_not_there_or_charges_cannot_be_forgotten() -> None:
    """Energy must find its charge point."""
    site = site_with()
    site.begin()

    assert isinstance(site.do(cmd.ForgetChargePoint(at(1), "NOBODY", "anna")), cmd.Unknown)
    assert isinstance(site.do(cmd.ForgetChargePoint(at(1), CHARGE_POINT, "anna")), cmd.Refused)
    assert CHARGE_POINT in site.site.charge_points


def test_strangers_are_forgotten_after_a_day_unless_they_are_here_or_charge() -> None:
    """T26. The approved ones stay however long they are away."""
    site = site_with()
    for name in ("GONE", "HERE", "CHARGES", "LATE"):
        wait(site, name)
    site.start(charge_point_id="CHARGES")
    for name in ("GONE", "CHARGES", "LATE"):
        leave(site, name)
    site.do(cmd.Heartbeat("LATE", at(10)))
    site.do(cmd.SecurityEvent(CHARGE_POINT, at(5), "ResetOrReboot", "power cut"))

    site.do(cmd.ForgetExpired(at(24 * 60 - 1)))
    assert "GONE" in site.site.charge_points

    site.do(cmd.ForgetExpired(at(24 * 60 + 1)))
    assert set(site.site.charge_points) >= {CHARGE_POINT, "HERE", "CHARGES", "LATE"}
    assert "GONE" not in site.site.charge_points
    assert site.site.alerts

    site.do(cmd.ForgetExpired(at(24 * 60 + 5)))
    assert site.site.alerts == {}


def test_one_that_a_person_knows_is_not_forgotten() -> None:
    """T7: with the record would go its key and the profile it once proved; chargers.csv approves, or it has a key."""
    site = site_with()
    for name in ("IN_FILE", "WITH_KEY"):
        wait(site, name)
        leave(site, name)
    rows(site, IN_FILE=True)
    site.do(cmd.SetChargePointKey(at(2), "WITH_KEY", HASH, "anna"))

    site.do(cmd.ForgetExpired(at(60 * 60)))

    assert {"IN_FILE", "WITH_KEY"} <= set(site.site.charge_points)
