"""May this tag charge here and now (rules 12 to 17)."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from site_builder import CHARGE_POINT, NOON, OTHER_CHARGE_POINT, ZONE, SiteBuilder, at, sample, stamp, user

from ocpp_server.core import changes as ch
from ocpp_server.core import commands as cmd
from ocpp_server.core.records import Admission, AuthorizationStatus, NoteKind
from ocpp_server.core.site import Policy, apply
from ocpp_server.core.users import Access, IdTag, User

ACCEPTED = AuthorizationStatus.ACCEPTED
BLOCKED = AuthorizationStatus.BLOCKED
INVALID = AuthorizationStatus.INVALID


@pytest.mark.parametrize(
    ("row", "status", "reason"),
    [
        (user("RFID001"), ACCEPTED, ""),
        (user("RFID001", None), ACCEPTED, ""),
        (user("OTHER"), INVALID, "unknown tag"),
        (user("RFID001", blocked=True), BLOCKED, "user is blocked"),
        (user("RFID001", None, blocked=True), BLOCKED, "user is blocked"),
        (user("RFID001", 0), BLOCKED, "quota is used up"),
        (user("RFID001", expiry_date=date(2025, 1, 14)), AuthorizationStatus.EXPIRED, "card has expired"),
        (user("RFID001", expiry_date=date(2025, 1, 15)), ACCEPTED, ""),
    ],
)
def test_a_tag_gets_the_status_of_its_row(row: User, status: AuthorizationStatus, reason: str) -> None:
    """Rule 13; OCPP 1.6 §7.2. A quota of 0 is no energy at all (B10); the expiry date is the last day."""
    site = SiteBuilder([row])

    assert site.authorize("RFID001").status is status
    assert [note.text for note in site.notes] == ([reason] if reason else [])


def test_a_card_expires_at_midnight_of_the_site_not_of_utc() -> None:
    """Rule 10: days and months are those of the site's zone; 21:30 UTC is past midnight in Istanbul."""
    site = SiteBuilder([user("RFID001", expiry_date=date(2025, 1, 15))])

    assert site.authorize("RFID001", minutes=11.9 * 60).status is ACCEPTED
    assert site.authorize("RFID001", minutes=12.5 * 60).status is AuthorizationStatus.EXPIRED


def test_a_refusal_is_kept_with_its_figures_and_the_whole_tag() -> None:
    """Rules 13 and 14: why was RFID001 refused at 12:07 has an answer; a new card's number can be learnt."""
    site = SiteBuilder([user("RFID001", 5_000)])
    number = site.begin()
    site.stop(number, 30, 4_990)
    site.authorize(" RFID001 ", minutes=37)

    (note,) = site.notes
    assert (note.kind, note.text, note.id_tag, note.at) == (NoteKind.REFUSAL, "quota is used up", "RFID001", at(37))
    assert dict(note.figures) == {"status": "Blocked", "quota_wh": "5000", "used_wh": "4990", "unreported_wh": "0"}
    assert [(r.id_tag, r.reason) for r in site.site.refused_tags] == [("RFID001", "quota is used up")]


def test_an_expired_card_is_refused_with_its_date() -> None:
    """Rule 14."""
    site = SiteBuilder([user("RFID001", expiry_date=date(2024, 12, 31))])
    site.authorize("RFID001")

    assert ("expiry_date", "2024-12-31") in site.notes[0].figures


def test_only_the_last_fifty_refused_tags_are_kept() -> None:
    """Rule 13."""
    site = SiteBuilder()
    for number in range(60):
        site.authorize(f"CARD{number}")

    assert [refused.id_tag for refused in site.site.refused_tags] == [f"CARD{number}" for number in range(10, 60)]


def test_an_empty_tag_is_refused_unless_it_is_listed() -> None:
    """Empty or fixed tag in autostart (openWB) is refused unless listed."""
    site = SiteBuilder([user("RFID001")])

    assert site.authorize("").status is INVALID


def test_a_charge_point_that_never_booted_authorizes_nobody() -> None:
    """Rule 23."""
    site = SiteBuilder([user("RFID001")])
    site.do(cmd.Connect("NEW_01", at(0)))

    assert site.authorize("RFID001", charge_point_id="NEW_01").status is INVALID
    assert site.authorize("RFID001", charge_point_id="NEVER_SEEN").status is INVALID


def test_a_charge_point_that_waits_for_approval_authorizes_nobody() -> None:
    """Rule 23."""
    site = SiteBuilder([user("RFID001")])
    known = site.site.charge_points[CHARGE_POINT]
    apply(site.site, ch.PutChargePoint(replace(known, admission=Admission.PENDING)))

    assert site.authorize("RFID001").status is INVALID
    assert site.notes[0].text == "charge point is not approved yet"


def test_cards_that_a_stranger_tells_are_not_listed_as_refused() -> None:
    """T26: the list of refused cards is short, and people learn new cards from it."""
    site = SiteBuilder([user("RFID001")])
    site.do(cmd.Connect("STRANGER", at(0), admission=Admission.PENDING))
    site.do(cmd.BootNotification("STRANGER", at(0)))
    site.authorize("NEW_CARD")
    for number in range(60):
        site.authorize(f"FORGED{number}", charge_point_id="STRANGER")
        site.start(f"FORGED{number}", charge_point_id="STRANGER")

    assert [refused.id_tag for refused in site.site.refused_tags] == ["NEW_CARD"]


@pytest.mark.parametrize("tag", ["RFID001", "BLOCKED", "UNKNOWN", "EMPTY"])
def test_everyone_charges_at_a_free_charge_point_and_nobody_at_a_closed_one(tag: str) -> None:
    """Rule 17."""
    site = SiteBuilder([user("RFID001"), user("BLOCKED", blocked=True), user("EMPTY", 0)])
    site.set_access(Access.FREE)
    free = site.authorize(tag).status
    site.set_access(Access.CLOSED)
    closed = site.authorize(tag).status

    assert (free, closed) == (ACCEPTED, BLOCKED)


def test_an_account_may_have_only_so_many_sessions_if_the_site_says_so() -> None:
    """Rule 13: ConcurrentTx only in StartTransaction.conf (OCPP 1.6 §7.2), never in Authorize.conf."""
    site = SiteBuilder([user("RFID001", None)], Policy(ZONE, max_sessions_per_account=1))
    site.begin()

    assert site.authorize("RFID001", 1).status is ACCEPTED
    assert site.start(minutes=1, connector_id=2).id_tag_info.status is AuthorizationStatus.CONCURRENT_TX
    assert dict(site.notes[0].figures) == {"status": "ConcurrentTx", "sessions": "1", "most": "1"}


def test_without_the_setting_an_account_may_have_any_number_of_sessions() -> None:
    """Rule 13: the default is no limit."""
    site = SiteBuilder([user("RFID001", None)])
    site.begin()

    assert site.start(minutes=1, connector_id=2).id_tag_info.status is ACCEPTED


def test_a_stale_session_never_causes_concurrent_tx() -> None:
    """F14."""
    site = SiteBuilder([user("RFID001", None)], Policy(ZONE, max_sessions_per_account=1))
    site.begin()
    site.status(1)
    site.do(cmd.CloseStale(at(10)))

    assert site.start(minutes=11, connector_id=2).id_tag_info.status is ACCEPTED


def test_a_refused_session_never_causes_concurrent_tx() -> None:
    """Rule 13: a refused start whose stop never comes must not lock its driver out."""
    site = SiteBuilder([user("RFID001", 5_000)], Policy(ZONE, max_sessions_per_account=1))
    ghost = site.start(charge_point_id=OTHER_CHARGE_POINT)
    site.start(minutes=1)
    site.stop(ghost.transaction_id, 4, 0, charge_point_id=OTHER_CHARGE_POINT)

    assert site.start(minutes=5, connector_id=2).id_tag_info.status is ACCEPTED


def test_the_ghost_that_a_start_closes_never_causes_concurrent_tx() -> None:
    """Rules 13 and 22: the stop of the session before was lost, the driver starts again on the same connector."""
    site = SiteBuilder([user("RFID001", None)], Policy(ZONE, max_sessions_per_account=1))
    site.begin()

    assert site.start(minutes=30).id_tag_info.status is ACCEPTED


def test_the_ghost_that_a_start_closes_reserves_no_energy() -> None:
    """Rules 12 and 22: 22 kW x 2 min = 733 Wh of a session that has ended are not held against its driver."""
    site = SiteBuilder([user("RFID001", 2_000)])
    ghost = site.begin()
    site.meter(ghost, sample(1, 367))
    site.meter(ghost, sample(2, 734))
    site.meter(ghost, sample(3, 1_101))
    site.meter(ghost, sample(4, 1_468))

    assert site.authorize("RFID001", 10).status is BLOCKED
    assert site.start(minutes=11, meter_start=0).id_tag_info.status is ACCEPTED


def test_the_second_car_of_an_account_is_refused_for_what_the_first_has_not_reported_yet() -> None:
    """Rule 12: after 103 s at 22 kW 1000 - 367 - 629 = 4 Wh remain, less than 1 % of the quota."""
    site = SiteBuilder([user("RFID001", 1_000, account="flat"), user("RFID002", 1_000, account="flat")])
    number = site.begin()
    site.meter(number, sample(1, 367, 22_000))

    assert site.authorize("RFID002", 1).status is ACCEPTED
    assert site.authorize("RFID002", 1 + 103 / 60).status is BLOCKED


def test_a_limited_users_answer_lives_fifteen_minutes_where_the_clock_is_right() -> None:
    """Rule 15: a cache must not outlive a quota."""
    site = SiteBuilder([user("RFID001"), user("ADMIN", None), user("EMPTY", 0)])
    before = site.authorize("RFID001").expiry_date
    site.status(0, timestamp=stamp(at(-4)))

    assert before is None
    assert site.authorize("RFID001").expiry_date == NOON + timedelta(minutes=15)
    assert site.authorize("ADMIN").expiry_date is None
    assert site.authorize("EMPTY").expiry_date is None


@pytest.mark.parametrize("skew", [-6, 6, 60 * 24])
def test_a_wrong_clock_gets_no_expiry_date(skew: float) -> None:
    """Rule 15: with a clock ahead of ours every answer would be expired at once."""
    site = SiteBuilder([user("RFID001")])
    site.status(0, timestamp=stamp(at(0)))
    site.status(1, timestamp=stamp(at(1 + skew)))

    assert site.authorize("RFID001", 1).expiry_date is None


@pytest.mark.parametrize(
    ("account", "parent"),
    [
        ("flat 4", "flat 4"),
        ("RFID001", None),
        ("x" * 20, "x" * 20),
        ("x" * 21, None),
        ("Şule", None),
        ("tab\there", None),
    ],
)
def test_the_account_is_the_parent_id_tag_where_ocpp_can_carry_it(account: str, parent: str | None) -> None:
    """Rule 15: IdToken is CiString20 (OCPP 1.6 §7.28)."""
    site = SiteBuilder([user("RFID001", account=account)])

    assert site.authorize("RFID001").parent_id_tag == parent


def test_a_user_without_any_account_has_no_parent() -> None:
    """Rule 15."""
    site = SiteBuilder([replace(user("RFID001"), account=IdTag(""))])

    assert site.authorize("RFID001").parent_id_tag is None
