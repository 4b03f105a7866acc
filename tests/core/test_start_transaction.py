"""The beginning of a session (rules 13, 18, 19, 22, 23)."""

import pytest
from site_builder import CHARGE_POINT, OTHER_CHARGE_POINT, ZONE, SiteBuilder, at, sample, stamp, user

from ocpp_server.core import changes as ch
from ocpp_server.core import commands as cmd
from ocpp_server.core.energy import EnergyUnit
from ocpp_server.core.records import Admission, AuthorizationStatus, EndKind, NoteKind
from ocpp_server.core.site import Policy, apply
from ocpp_server.core.users import Access, ChargerRow

NO_CLOCK = "1970-01-01T00:00:07Z"


def test_every_start_gets_a_new_positive_id() -> None:
    """Rule 18; errata 3.54. Ids made from the clock collide on two connectors (lbb#2123)."""
    site = SiteBuilder([user("RFID001")])
    ids = [
        site.begin(connector_id=1),
        site.begin(connector_id=2),
        site.begin("UNKNOWN", connector_id=3),
        site.begin(charge_point_id=OTHER_CHARGE_POINT),
        site.begin(charge_point_id="NEVER_BOOTED"),
    ]

    assert len(set(ids)) == 5
    assert min(ids) > 0


def test_a_refused_start_is_stored_with_its_reason() -> None:
    """Rules 14, 18; OCPP 1.6 §4.8: also a refused tag gets an id and an idTagInfo (B15)."""
    site = SiteBuilder([user("RFID001", 0)])
    reply = site.start(meter_start=5_000)

    session = site.transaction(reply.transaction_id)
    assert reply.id_tag_info.status is AuthorizationStatus.BLOCKED
    assert (session.status, session.flags) == (AuthorizationStatus.BLOCKED, ("refused: quota is used up",))
    assert site.kinds() == [NoteKind.REFUSAL]


def test_a_start_before_any_boot_is_stored_and_invalid() -> None:
    """Rule 23."""
    site = SiteBuilder([user("RFID001")])
    reply = site.start(charge_point_id="NEVER_BOOTED")

    assert reply.id_tag_info.status is AuthorizationStatus.INVALID
    assert site.transaction(reply.transaction_id).is_open


def test_a_session_takes_the_tables_spelling_and_name() -> None:
    """Rule 13."""
    site = SiteBuilder([user("RFID001", account="flat 4")])
    session = site.transaction(site.begin(" rfid001 "))

    assert (session.id_tag, session.stated_id_tag, session.account, session.full_name) == (
        "RFID001",
        "rfid001",
        "flat 4",
        "John Doe",
    )


def test_a_session_at_a_free_charge_point_is_on_no_quota() -> None:
    """Rule 17."""
    site = SiteBuilder()
    site.set_access(Access.FREE)
    number = site.begin("ANYBODY")
    site.meter(number, sample(1, 300))

    assert (site.energy(number), site.site.usage, site.site.delivered) == (300, {}, {CHARGE_POINT: 300})


@pytest.mark.parametrize(
    ("id_tag", "meter_start", "received"),
    [("RFID001", 1000, 0), ("rfid001", 1000, 1), (" RFID001 ", "1000", 60), ("RFID001", 1000.0, 60 * 30)],
)
def test_a_repeated_start_gets_the_same_id_and_changes_nothing(
    id_tag: str, meter_start: object, received: float
) -> None:
    """Rule 19; OCPP 1.6 §3.7.1, §4.8 (B6, MicroOcpp#50, steve#1294)."""
    site = SiteBuilder([user("RFID001")])
    first = site.start("RFID001", 0, 1000)
    again = site.start(id_tag, 0, meter_start, received=received)

    assert (again.transaction_id, again.id_tag_info.status) == (first.transaction_id, AuthorizationStatus.ACCEPTED)
    assert [change for change in site.last if not isinstance(change, ch.PutSeen)] == []


@pytest.mark.parametrize(
    "different",
    [
        {"connector_id": 2},
        {"id_tag": "RFID002"},
        {"meter_start": 1001},
        {"minutes": 1},
        {"charge_point_id": OTHER_CHARGE_POINT},
    ],
)
def test_a_start_that_differs_in_one_point_is_another_session(different: dict[str, object]) -> None:
    """Rule 19: same charge point, connector, tag, raw start time and meterStart."""
    site = SiteBuilder([user("RFID001"), user("RFID002")])
    same: dict[str, object] = {"id_tag": "RFID001", "minutes": 0, "meter_start": 1000}
    first = site.begin(**same)  # type: ignore[arg-type]

    assert site.begin(**same | different) != first  # type: ignore[arg-type]


def test_an_unreadable_meter_start_is_recognised_when_it_is_repeated() -> None:
    """Rules 19 and 23."""
    site = SiteBuilder([user("RFID001")])
    first = site.begin(meter_start="n/a")

    assert site.begin(meter_start="n/a", received=5) == first
    assert site.transaction(first).register.start is None


def test_a_retry_keeps_the_status_first_given_whatever_happened_since() -> None:
    """Rule 19: the answer was lost, the quota was used up and the user removed meanwhile."""
    site = SiteBuilder([user("RFID001", 1_000)])
    first = site.start(meter_start=0)
    site.meter(first.transaction_id, sample(1, 999))
    site.stop(first.transaction_id, 2, 1_000)
    used_up = site.start(meter_start=0, received=3)
    site.set_users([], 4)
    removed = site.start(meter_start=0, received=5)

    assert used_up.transaction_id == removed.transaction_id == first.transaction_id
    assert used_up.id_tag_info.status is AuthorizationStatus.ACCEPTED
    assert removed.id_tag_info.status is AuthorizationStatus.ACCEPTED


def test_a_refused_start_stays_refused_when_it_is_repeated() -> None:
    """Rule 19: the status first given."""
    site = SiteBuilder()
    first = site.start()
    site.set_users([user("RFID001")], 1)
    again = site.start(received=2)

    assert (again.transaction_id, again.id_tag_info.status) == (first.transaction_id, AuthorizationStatus.INVALID)


def test_a_retry_never_counts_against_itself() -> None:
    """Rule 13: never ConcurrentTx because of the transaction being retried (MicroOcpp#237)."""
    site = SiteBuilder([user("RFID001")], Policy(ZONE, max_sessions_per_account=1))
    first = site.start()
    again = site.start(received=1)

    assert (again.transaction_id, again.id_tag_info.status) == (first.transaction_id, AuthorizationStatus.ACCEPTED)


@pytest.mark.parametrize(("minutes_after_end", "is_same"), [(14, True), (16, False)])
def test_without_a_clock_a_start_is_a_retry_for_fifteen_minutes(minutes_after_end: float, is_same: bool) -> None:
    """Rule 19: a charge point that starts each session at 1970 begins a new one after that."""
    site = SiteBuilder([user("RFID001")])
    first = site.begin(timestamp=NO_CLOCK, received=0)
    site.stop(first, 30, 0)

    again = site.begin(timestamp=NO_CLOCK, received=30 + minutes_after_end)
    assert (again == first) is is_same


def test_without_a_clock_a_running_session_is_always_meant() -> None:
    """Rule 19: the match ends only after the earlier transaction ended."""
    site = SiteBuilder([user("RFID001")])
    first = site.begin(timestamp=NO_CLOCK, received=0)

    assert site.begin(timestamp=NO_CLOCK, received=60 * 20) == first


def test_a_stamp_that_was_plausible_at_first_stays_so_however_late_the_retry() -> None:
    """Rule 19: the retry is judged by the stamp, not by how old it has become."""
    site = SiteBuilder([user("RFID001")])
    first = site.begin()
    site.stop(first, 30, 0)

    assert site.begin(received=60 * 26) == first


def test_a_start_from_the_offline_queue_is_flagged_and_keeps_its_time() -> None:
    """Rule 9: whole sessions from the queue, hours late."""
    site = SiteBuilder([user("RFID001")])
    session = site.transaction(site.begin(minutes=-45, received=0))

    assert (session.started_at, session.received_at, session.flags) == (at(-45), at(0), ("started offline",))


def test_a_start_proves_the_clock_of_its_charge_point() -> None:
    """Rule 15."""
    site = SiteBuilder([user("RFID001")])
    site.begin()

    assert site.site.charge_points[CHARGE_POINT].has_right_clock is True


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


def test_other_connectors_and_charge_points_go_on() -> None:
    """Rule 22."""
    site = SiteBuilder([user("RFID001", None)])
    others = [site.begin(connector_id=2), site.begin(charge_point_id=OTHER_CHARGE_POINT)]
    site.begin(minutes=60)

    assert all(site.transaction(number).is_open for number in others)


def test_a_session_of_a_stranger_counts_on_nobodys_quota() -> None:
    """Rule 23, T1: whoever reaches the port could else use up anybody's quota by naming the card."""
    site = SiteBuilder([user("RFID001")])
    site.do(cmd.Connect("STRANGER", at(0), admission=Admission.PENDING))
    site.do(cmd.BootNotification("STRANGER", at(0)))
    reply = site.start(charge_point_id="STRANGER")
    site.stop(reply.transaction_id, 60, 5_000, charge_point_id="STRANGER")

    session = site.transaction(reply.transaction_id)
    assert reply.id_tag_info.status is AuthorizationStatus.INVALID
    assert (session.energy, session.is_open, session.is_on_quota) == (5_000, False, False)
    assert site.used() == 0
    assert site.site.delivered["STRANGER"] == 5_000
    assert site.start(minutes=61).id_tag_info.status is AuthorizationStatus.ACCEPTED


def test_a_strangers_session_stays_off_the_quota_when_it_is_approved_meanwhile() -> None:
    """Whether a session counts is decided at its start; its energy can be booked by hand."""
    site = SiteBuilder([user("RFID001")])
    site.do(cmd.Connect("STRANGER", at(0), admission=Admission.PENDING))
    reply = site.start(charge_point_id="STRANGER")
    site.do(cmd.ApproveChargePoint(at(1), "STRANGER", "anna"))
    site.stop(reply.transaction_id, 60, 5_000, charge_point_id="STRANGER")

    assert (site.energy(reply.transaction_id), site.used()) == (5_000, 0)


def test_an_older_start_that_arrives_late_closes_nothing() -> None:
    """Rule 22: a new StartTransaction, not older than the open one."""
    site = SiteBuilder([user("RFID001")])
    young = site.begin(minutes=0)
    old = site.begin(minutes=-50, received=1)

    assert site.transaction(young).is_open
    assert site.transaction(old).is_open


def test_meter_start_follows_the_brand_then_what_was_proven_then_the_table() -> None:
    """Rule 3: meterStart has no unit."""
    site = SiteBuilder([user("RFID001", None)])
    by_brand = site.transaction(site.begin(charge_point_id=OTHER_CHARGE_POINT, meter_start=12.5))
    number = site.begin(meter_start=500)
    site.meter(number, sample(1, 500.3, unit="kWh"))
    site.stop(number, 2, 501)
    proven = site.transaction(site.begin(minutes=3, meter_start=501))
    apply(site.site, ch.PutChargers((ChargerRow(CHARGE_POINT, energy_unit="Wh"),)))
    by_table = site.transaction(site.begin(minutes=4, meter_start=501_500))

    assert by_brand.register.start == 12_500
    assert site.site.charge_points[CHARGE_POINT].register_unit is EnergyUnit.KWH
    assert (proven.register.start, by_table.register.start) == (501_000, 501_500)


def test_two_charge_points_in_the_same_second_do_not_collide() -> None:
    """B7: transaction id = epoch second."""
    site = SiteBuilder([user("RFID001", None)])
    first = site.begin(timestamp=stamp(at(0)))
    second = site.begin(timestamp=stamp(at(0)), charge_point_id=OTHER_CHARGE_POINT)

    assert site.transaction(first).charge_point_id != site.transaction(second).charge_point_id
