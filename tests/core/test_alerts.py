"""Which alerts are due: raised once, resolved by themselves, acknowledged by people (issue 4, alerts; rule 28)."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from site_builder import CHARGE_POINT, FEBRUARY, OTHER_CHARGE_POINT, SiteBuilder, at, sample, user

from ocpp_server.core import changes as ch
from ocpp_server.core import commands as cmd
from ocpp_server.core.alerts import DISK, FAULTED, LEAK, OVER_QUOTA, SILENT, Severity, severity_of
from ocpp_server.core.energy import Wh
from ocpp_server.core.leaks import REGISTER
from ocpp_server.core.quota import WARNINGS
from ocpp_server.core.records import Alert, NoteKind
from ocpp_server.core.site import apply
from ocpp_server.core.users import Access, ChargerRow, IdTag

GIB = 1024**3
MIB = 1024**2
DAY = 24 * 60
RIGHT = (("LocalPreAuthorize", "false"), ("MeterValueSampleInterval", "60"), ("MeterValuesSampledData", REGISTER))
USERS, CHARGERS = "users1.csv", "chargers.csv"


class WatchedSite(SiteBuilder):
    """A site whose charge points told a configuration that leaks nothing, and that is looked at."""

    def __init__(self, *users: object) -> None:
        super().__init__(users)  # type: ignore[arg-type]
        for charge_point_id in (CHARGE_POINT, OTHER_CHARGE_POINT):
            self.tell(RIGHT, charge_point_id, -60)

    def tell(
        self, keys: tuple[tuple[str, str], ...], charge_point_id: str = CHARGE_POINT, minutes: float = 0.0
    ) -> None:
        self.do(cmd.RecordConfiguration(charge_point_id, at(minutes), keys, is_complete=True))

    def look(
        self, minutes: float = 0.0, *, since: float = -60.0, free: int | None = 10**12, **facts: object
    ) -> set[str]:
        """The ids of the alerts that stand after a look."""
        known = {"disk_size": 10**12, **facts}
        self.do(cmd.LookForAlerts(at(minutes), at(since), free, **known))  # type: ignore[arg-type]
        return set(self.site.alerts)

    def alert(self, alert_id: str) -> Alert:
        return self.site.alerts[alert_id]

    def told(self) -> list[str]:
        """What the last decision noted of alerts."""
        return [note.text for note in self.notes if note.kind is NoteKind.ALERT]


def bad(name: Literal["users1.csv", "chargers.csv"] = USERS, error: str = "", rows: int = 0) -> cmd.TableState:
    return cmd.TableState(name, error, rows, f"{name} row 4: quota_kwh is not a number" if rows else "")


# --- in general -----------------------------------------------------------------------------------------------------


def test_a_site_in_order_has_no_alert_and_a_look_writes_nothing() -> None:
    """No write for each message: a look that finds nothing decides nothing."""
    site = WatchedSite(user("RFID001"))
    site.begin()

    assert site.look(1) == set()
    assert site.last == ()


def test_an_alert_is_raised_once_and_resolved_once() -> None:
    """Each with a note; in between a look changes nothing."""
    site = WatchedSite()
    site.status(0, "Faulted")
    raised = site.look(1), site.told()
    site.look(2)
    quiet = site.last
    site.status(3, "Available")
    resolved = site.look(4), site.told()

    assert raised == ({f"fault-1-{CHARGE_POINT}"}, [f"raised: {FAULTED}"])
    assert quiet == ()
    assert resolved == (set(), [f"resolved: {FAULTED}"])


def test_an_acknowledged_alert_stays_until_its_state_is_over() -> None:
    """Who, and when; the second who says so changes nothing."""
    site = WatchedSite()
    site.status(0, "Faulted")
    (alert_id,) = site.look(1)
    reply = site.do(cmd.AcknowledgeAlert(at(2), alert_id, "ops"))
    note = site.notes[0]
    again = site.do(cmd.AcknowledgeAlert(at(3), alert_id, "somebody else")), site.last
    site.look(4)
    alert = site.alert(alert_id)
    site.status(5, "Available")

    assert (reply, again) == (cmd.Done(), (cmd.Done(), ()))
    assert (alert.acknowledged_at, alert.acknowledged_by, alert.since) == (at(2), "ops", at(1))
    assert (note.kind, note.text, dict(note.figures)) == (NoteKind.ALERT, f"acknowledged: {FAULTED}", {"by": "ops"})
    assert site.look(6) == set()


def test_only_what_is_there_can_be_acknowledged() -> None:
    """It may have resolved itself meanwhile."""
    site = WatchedSite()

    assert site.do(cmd.AcknowledgeAlert(at(0), "fault-1-CP", "ops")) == cmd.Unknown("there is no open alert fault-1-CP")
    assert site.last == ()


def test_an_alert_that_says_something_else_is_open_again() -> None:
    """An acknowledgement is for what was read. The beginning stays, and it is not raised anew."""
    site = WatchedSite()
    site.do(cmd.StatusNotification(CHARGE_POINT, at(0), 1, "Faulted", "GroundFailure"))
    (alert_id,) = site.look(1)
    site.do(cmd.AcknowledgeAlert(at(2), alert_id, "ops"))
    site.do(cmd.StatusNotification(CHARGE_POINT, at(3), 1, "Faulted", "OverVoltage", "L2"))
    site.look(4)

    assert site.alert(alert_id).text == f"{CHARGE_POINT} connector 1 is faulted: OverVoltage, L2"
    assert (site.alert(alert_id).since, site.alert(alert_id).acknowledged_at, site.told()) == (at(1), None, [])


def test_what_a_loop_of_the_server_says_again_is_not_written_again() -> None:
    """A backup that fails each ten minutes is one alert, acknowledged or not; another reason is news."""
    site = WatchedSite()
    failed = cmd.RaiseAlert(at(0), "backup", "backup failed", "no space")
    site.do(failed)
    site.do(cmd.AcknowledgeAlert(at(1), "backup", "ops"))
    site.do(replace(failed, at=at(10)))
    again, by = site.last, site.alert("backup").acknowledged_by
    site.do(replace(failed, at=at(20), text="read-only"))
    other = site.alert("backup")

    assert (again, by) == ((), "ops")
    assert (other.since, other.text, other.acknowledged_by) == (at(0), "read-only", "")
    assert site.look(21) == {"backup"}


def test_each_kind_weighs_what_it_weighs() -> None:
    """docs/files.md, alerts.json. Also for alerts of an old ledger, and of kinds that are not known here."""
    kinds = {
        Severity.CRITICAL: [OVER_QUOTA, DISK, "stop not obeyed", "clock suspect", "security"],
        Severity.WARNING: [
            SILENT,
            FAULTED,
            "backup failed",
            "users file rejected",
            "chargers file has bad rows",
            "new",
        ],
        Severity.INFO: [LEAK, "security, passing", *WARNINGS],
    }

    assert {
        severity: [kind for kind in listed if severity_of(Alert("a", kind, "", at(0))) is severity]
        for severity, listed in kinds.items()
    } == kinds


# --- charge points --------------------------------------------------------------------------------------------------


def gone(site: WatchedSite, minutes: float) -> None:
    site.do(cmd.Disconnect(CHARGE_POINT, at(minutes)))


def test_a_charge_point_without_a_connection_for_15_minutes_is_silent_until_its_next_message() -> None:
    """It says since when, by the site's clock."""
    site = WatchedSite()
    site.do(cmd.Heartbeat(CHARGE_POINT, at(0)))
    gone(site, 1)
    before, after = site.look(16), site.look(16.1)
    alert = site.alert(f"silent-{CHARGE_POINT}")
    site.do(cmd.Connect(CHARGE_POINT, at(20)))

    assert (before, after) == (set(), {f"silent-{CHARGE_POINT}"})
    assert (alert.kind, alert.charge_point_id) == (SILENT, CHARGE_POINT)
    assert alert.text == f"{CHARGE_POINT} was last heard of at 2025-01-15 12:00: look at its power and its network"
    assert site.look(20) == set()


def test_a_quiet_charge_point_whose_line_is_alive_is_not_silent_for_a_day() -> None:
    """Pings stand in for Heartbeats, one a day is enough (OCPP-J §5.3); nor is it silent when it loses its line."""
    site = WatchedSite()
    within, beyond = site.look(23 * 60), site.look(24 * 60 + 1)
    site.do(cmd.Heartbeat(CHARGE_POINT, at(24 * 60 + 2)))
    site.do(cmd.Heartbeat(OTHER_CHARGE_POINT, at(24 * 60 + 2)))
    heard = site.look(24 * 60 + 3)
    gone(site, 30 * 60)

    assert (within, beyond) == (set(), {f"silent-{CHARGE_POINT}", f"silent-{OTHER_CHARGE_POINT}"})
    assert (heard, site.look(30 * 60 + 14), site.look(30 * 60 + 16)) == (set(), set(), {f"silent-{CHARGE_POINT}"})


@pytest.mark.parametrize(("ping", "minutes", "is_silent"), [(True, 61, False), (False, 59, False), (False, 61, True)])
def test_without_pings_an_hour_without_a_message_is_silence(ping: bool, minutes: float, is_silent: bool) -> None:
    """A line that died would never be noticed else."""
    site = WatchedSite()
    site.do(cmd.ReplaceChargers(at(0), (ChargerRow(CHARGE_POINT, ping=ping),)))
    site.do(cmd.Heartbeat(CHARGE_POINT, at(0)))

    assert site.look(minutes) == ({f"silent-{CHARGE_POINT}"} if is_silent else set())


def test_where_nobody_is_pinged_an_hour_is_silence_for_all() -> None:
    """EVQUOTA_PING_INTERVAL_S=0."""
    site = WatchedSite()
    for charge_point_id in (CHARGE_POINT, OTHER_CHARGE_POINT):
        site.do(cmd.Heartbeat(charge_point_id, at(0)))

    assert site.look(59, is_pinging=False) == set()
    assert site.look(61, is_pinging=False) == {f"silent-{CHARGE_POINT}", f"silent-{OTHER_CHARGE_POINT}"}


def test_nobody_is_silent_while_the_server_could_not_hear() -> None:
    """After a start of the server, or a jump of its clock, 15 minutes begin anew."""
    site = WatchedSite()
    gone(site, 1)

    assert site.look(600, since=590) == set()
    assert site.look(606, since=590) == {f"silent-{CHARGE_POINT}"}
    assert site.look(701, since=700) == {f"silent-{CHARGE_POINT}"}  # who was silent before has not been heard since
    assert site.last == ()


def test_a_clock_that_was_set_back_makes_nobody_silent() -> None:
    """All that is known of it is in the future; what counts is the time since then."""
    site = WatchedSite()
    gone(site, 1)

    assert site.look(-600, since=-300) == set()
    assert site.look(-590, since=-600) == set()
    assert site.look(-584, since=-600) == {f"silent-{CHARGE_POINT}"}


@pytest.mark.parametrize("was_seen", [True, False])
def test_only_approved_charge_points_that_were_here_can_be_missed(was_seen: bool) -> None:
    """Whoever is locked or pending need not come; one that was only given a key has not come yet."""
    site = WatchedSite()
    if was_seen:
        gone(site, 0)
        site.do(cmd.LockChargePoint(at(1), CHARGE_POINT, "ops"))
    else:
        site.do(cmd.SetChargePointKey(at(1), "NEW", "hash", "ops"))
        site.do(cmd.ApproveChargePoint(at(1), "NEW", "ops"))

    assert site.look(60) == set()


def test_what_is_shut_out_or_forgotten_has_no_alert_left() -> None:
    """A person has dealt with it."""
    site = WatchedSite()
    site.status(0, "Faulted")
    gone(site, 0)
    raised = site.look(60)
    site.do(cmd.LockChargePoint(at(61), CHARGE_POINT, "ops"))
    locked = site.look(62)
    site.do(cmd.ApproveChargePoint(at(63), CHARGE_POINT, "ops"))
    again = site.look(64)
    site.do(cmd.ForgetChargePoint(at(65), CHARGE_POINT, "ops"))

    assert raised == again == {f"silent-{CHARGE_POINT}", f"fault-1-{CHARGE_POINT}"}
    assert locked == site.look(66) == set()


def test_each_faulted_connector_has_its_alert() -> None:
    """Connector 0 is the charge point itself (OCPP 1.6 §4.9); an error code without Faulted is a remark."""
    site = WatchedSite()
    site.status(0, "Faulted", connector_id=0)
    site.do(cmd.StatusNotification(CHARGE_POINT, at(0), 1, "Faulted", "GroundFailure"))
    site.do(cmd.StatusNotification(CHARGE_POINT, at(0), 2, "Available", "WeakSignal"))
    site.look(1)

    assert {alert.alert_id: alert.text for alert in site.site.alerts.values()} == {
        f"fault-0-{CHARGE_POINT}": f"{CHARGE_POINT} is faulted",
        f"fault-1-{CHARGE_POINT}": f"{CHARGE_POINT} connector 1 is faulted: GroundFailure",
    }


def test_the_leaks_of_a_charge_point_are_one_alert() -> None:
    """It lists them; it is over when they are mended."""
    site = WatchedSite()
    site.tell((("LocalPreAuthorize", "true"), ("MeterValueSampleInterval", "900")))
    raised = site.look(1)
    text = site.alert(f"leak-{CHARGE_POINT}").text
    site.tell(RIGHT)

    assert raised == {f"leak-{CHARGE_POINT}"}
    assert text == (
        f"{CHARGE_POINT}: energy can escape the quota: LocalPreAuthorize=true; MeterValueSampleInterval=900"
    )
    assert site.look(2) == set()


def test_a_configuration_that_was_not_told_is_an_alert_once_there_was_time_to_ask() -> None:
    """Not between the boot and the answer; never where chargers.csv forbids to ask, or nobody booted."""
    site = WatchedSite()
    for charge_point_id in ("ASKED", "LEFT_ALONE"):
        site.connect(charge_point_id, 0)
    site.do(cmd.Connect("NEVER_BOOTED", at(0)))
    site.do(cmd.ReplaceChargers(at(0), (ChargerRow("ASKED"), ChargerRow("LEFT_ALONE", configure=False))))
    early, late = site.look(9), site.look(11)
    site.tell(RIGHT, "ASKED", 12)

    assert (early, late) == (set(), {"leak-ASKED"})
    assert site.alert("leak-ASKED").text.endswith("it never told its configuration")
    assert site.look(12) == set()


# --- over the quota -------------------------------------------------------------------------------------------------


def charging(quota: int = 1_000, *, watt_hours: int = 300, minutes: int = 4) -> tuple[WatchedSite, int]:
    """A session of 300 Wh a minute (18 kW) that reached its quota in the fourth, with the order to stop then."""
    site = WatchedSite(user("RFID001", quota))
    number = site.begin(meter_start=0)
    for minute in range(1, minutes + 1):
        site.meter(number, sample(minute, watt_hours * minute))
        site.order_stops(minute)
    return site, number


def overs(ids: set[str]) -> set[str]:
    return {alert_id for alert_id in ids if alert_id.startswith("over-quota")}


def test_a_stop_that_is_obeyed_raises_nothing() -> None:
    """Rule 25: the overshoot of a sample is normal, however long the next one is on its way."""
    site, number = charging()
    during = [overs(site.look(minutes)) for minutes in (4, 4.9, 8)]
    site.stop(number, 8.5, 1_210)

    assert during == [set(), set(), set()]
    assert (site.used(), overs(site.look(10))) == (1_210, set())


def test_beyond_the_quota_by_less_than_a_good_stop_misses_it_is_no_alert() -> None:
    """Rule 25: 0.1 kWh, where samples are small."""
    site, number = charging(watt_hours=20, quota=100, minutes=9)
    hundred = overs(site.look(9))
    for minute in (10, 11):
        site.meter(number, sample(minute, 20 * minute))

    assert (hundred, overs(site.look(11))) == (set(), {f"over-quota-{number}"})


def test_who_charges_on_beyond_the_quota_is_an_alert_until_energy_ceases() -> None:
    """More than a sample's worth beyond, a minute after the order; it begins once and ends once."""
    site, number = charging()
    site.meter(number, sample(5, 1_500))
    five = overs(site.look(5.5))
    site.meter(number, sample(6, 1_800))
    six = overs(site.look(6))
    alert = site.alert(f"over-quota-{number}")
    site.meter(number, sample(7, 1_804))  # 240 W, then 60 W
    dithering = overs(site.look(7))

    book(site, -750, minutes=7)
    credited = overs(site.look(7))
    site.meter(number, sample(8, 1_805))

    assert credited == dithering  # still beyond: it began, and ends with the quota or the energy only
    assert (five, six, dithering) == ({f"over-quota-{number}"}, {f"over-quota-{number}"}, {f"over-quota-{number}"})
    assert (alert.kind, alert.charge_point_id, alert.transaction_id) == (OVER_QUOTA, CHARGE_POINT, number)
    assert alert.text == f"John Doe is over the quota and still charges at {CHARGE_POINT} connector 1"
    assert overs(site.look(8)) == set()


def test_the_alert_ends_with_the_session_or_with_a_larger_quota() -> None:
    """Whatever comes first."""
    ended, number = charging(minutes=6)
    raised = overs(ended.look(6))
    ended.stop(number, 7, 1_900)
    enlarged, other = charging(minutes=6)
    enlarged.look(6)
    enlarged.set_users([user("RFID001", 5_000)], 7)

    assert raised == {f"over-quota-{number}"}
    assert overs(ended.look(8)) == set()
    assert overs(enlarged.look(8)) == set()
    assert enlarged.transaction(other).is_open


def test_a_quota_that_is_lowered_while_somebody_charges_is_no_alert_yet() -> None:
    """The order to stop is obeyed within a minute, by far the most."""
    site = WatchedSite(user("RFID001", 50_000))
    number = site.begin(meter_start=0)
    for minute in range(1, 6):
        site.meter(number, sample(minute, 300 * minute))
    site.set_users([user("RFID001", 500)], 5)
    no_order = overs(site.look(5))
    site.order_stops(5)
    ordered = overs(site.look(5.9))

    assert (no_order, ordered, overs(site.look(6))) == (set(), set(), {f"over-quota-{number}"})


def test_who_has_no_limit_or_no_row_is_never_over_the_quota() -> None:
    """Their stops have other reasons, and other alerts."""
    site = WatchedSite(user("RFID001", None), user("RFID002", 100))
    numbers = [site.begin(tag, connector_id=k) for k, tag in enumerate(("RFID001", "STRANGER", "RFID002"), 1)]
    site.set_access(Access.FREE, OTHER_CHARGE_POINT)
    numbers.append(site.begin("RFID002", charge_point_id=OTHER_CHARGE_POINT))
    for number in (numbers[0], numbers[1], numbers[3]):
        site.do(cmd.RequestStop(at(0), number, "ops"))
    for minute in range(1, 4):
        site.meter(numbers[0], sample(minute, 300 * minute), connector_id=1)
        site.meter(numbers[1], sample(minute, 300 * minute), connector_id=2)
        site.meter(numbers[3], sample(minute, 300 * minute / 1000), charge_point_id=OTHER_CHARGE_POINT)

    assert overs(site.look(4)) == set()


# --- the machine and its files --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "least"),
    [(2 * GIB, 200 * MIB), (16 * GIB, 16 * GIB // 20), (32 * GIB, GIB), (4000 * GIB, GIB)],
)
def test_a_disk_is_nearly_full_below_its_twentieth_within_reason(size: int, least: int) -> None:
    """5 %, but at least 200 MiB and at most 1 GiB; over when a fifth more is free, so that it does not flap."""
    site = WatchedSite()

    assert site.look(0, free=least, disk_size=size) == set()
    assert site.look(1, free=least - 1, disk_size=size) == {"disk"}
    assert site.look(2, free=least * 6 // 5 - 1, disk_size=size) == {"disk"}
    assert site.last == ()
    assert site.look(3, free=least * 6 // 5, disk_size=size) == set()


def test_a_disk_that_does_not_tell_changes_nothing() -> None:
    """Neither raised nor resolved."""
    site = WatchedSite()
    unknown = site.look(0, free=None)
    site.look(1, free=1)
    kept = site.look(2, free=None), site.last

    assert (unknown, kept) == (set(), ({"disk"}, ()))
    assert site.alert("disk").text == "less than 1024 MiB are free for the data: make room, or the server must stop"


def test_a_table_that_cannot_be_used_or_has_bad_rows_is_an_alert() -> None:
    """One for each file, of the graver kind; its beginning is that of the kind."""
    site = WatchedSite()
    ids = site.look(0, tables=(bad(rows=2), bad(CHARGERS)))
    rows = site.alert("file-users1.csv")
    site.look(1, tables=(bad(error="users1.csv: there is no column id_tag"), bad(CHARGERS, rows=1)))
    rejected, one_row = site.alert("file-users1.csv"), site.alert("file-chargers.csv")

    assert ids == {"file-users1.csv"}
    assert (rows.kind, rows.text) == (
        "users file has bad rows",
        "users1.csv: 2 rows are not in force; users1.csv row 4: quota_kwh is not a number",
    )
    assert (rejected.kind, rejected.since, rejected.text) == (
        "users file rejected",
        at(1),
        "users1.csv: there is no column id_tag; the last good rows stay in force",
    )
    assert one_row.text.startswith("chargers.csv: 1 row is not in force; ")
    assert site.look(2, tables=(bad(), bad(CHARGERS))) == set()


# --- accounts -------------------------------------------------------------------------------------------------------


def book(site: WatchedSite, wh: int, tag: str = "RFID001", minutes: float = 0.0) -> None:
    site.do(cmd.Adjust(at(minutes), IdTag(tag), Wh(wh), "…", "ops"))


def kind_of(site: WatchedSite, minutes: float, account: str = "RFID001") -> str | None:
    site.look(minutes)
    alert = site.site.alerts.get(f"quota-{account}")
    return None if alert is None else alert.kind


def test_an_account_is_warned_also_where_no_reading_comes() -> None:
    """Rule 28: a charge point that tells only the end of a session, or a correction."""
    site = WatchedSite(user("RFID001"))
    book(site, 8_100)
    warned = kind_of(site, 0)
    noted = [note.text for note in site.notes]
    site.look(1)

    assert warned == "80 % of the quota is used"
    assert (noted, site.last) == (["80 % of the quota is used"], ())


def test_a_warning_of_the_forecast_is_over_when_the_car_stays_away() -> None:
    """Half used on the 10th is too fast, on the 20th no longer; in between it does not flap."""
    site = WatchedSite(user("RFID001"))
    book(site, 5_200)
    kinds = [kind_of(site, day * DAY) for day in range(9)]

    assert kinds[0] == "quota will be used up before the month ends"
    assert kinds[-1] is None
    assert kinds.index(None) == len([kind for kind in kinds if kind])


def test_a_credit_takes_a_warning_back_or_makes_it_milder() -> None:
    """A tenth of the use is the margin: a correction of some Wh brings no warning twice."""
    site = WatchedSite(user("RFID001"))
    book(site, 9_500)
    kinds = [kind_of(site, 0)]
    for credit in (-300, -1_000, -2_000, -2_000):
        book(site, credit)
        kinds.append(kind_of(site, 15 * DAY))

    assert kinds == [
        "95 % of the quota is used",
        "95 % of the quota is used",  # 92 %
        "80 % of the quota is used",  # 82 %
        None,  # 62 %
        None,
    ]


def test_a_graver_warning_takes_the_place_of_the_milder_one() -> None:
    """One for each account."""
    site = WatchedSite(user("RFID001"))
    kinds = []
    for wh in (5_500, 2_600, 1_500):
        book(site, wh)
        kinds.append(kind_of(site, 0))

    assert kinds == list(WARNINGS)
    assert len(site.site.alerts) == 1


def test_who_is_gone_or_has_no_limit_any_more_has_no_warning() -> None:
    """Also if the table was replaced while nobody looked, as in an old ledger."""
    site = WatchedSite(user("RFID001"), user("RFID002", None), user("RFID003", 0))
    for change in [
        ch.PutAlert(Alert(f"quota-{tag}", WARNINGS[1], "…", at(0))) for tag in ("RFID001", "RFID002", "GONE", "RFID003")
    ]:
        apply(site.site, change)

    assert site.look(1) == set()


def test_accounts_that_share_a_quota_have_one_warning() -> None:
    """For the sum of their cards."""
    site = WatchedSite(user("RFID001", account="flat 4"), user("RFID002", account="flat 4"))
    book(site, 5_000, "RFID001")
    book(site, 4_600, "RFID002")

    assert kind_of(site, 0, "flat 4") == "95 % of the quota is used"
    assert site.look(1) == {"quota-flat 4"}


# --- raised once, resolved by itself: random walks ------------------------------------------------------------------

TAGS = ("RFID001", "RFID002")
_wh = st.integers(-4_000, 4_000)
_ids = st.sampled_from([CHARGE_POINT, OTHER_CHARGE_POINT, "THIRD"])
_steps = st.one_of(
    st.tuples(st.just("connect"), _ids),
    st.tuples(st.just("disconnect"), _ids),
    st.tuples(st.just("heartbeat"), _ids),
    st.tuples(st.just("status"), _ids, st.integers(0, 2), st.sampled_from(["Available", "Faulted"])),
    st.tuples(st.just("lock"), _ids),
    st.tuples(st.just("approve"), _ids),
    st.tuples(st.just("forget"), _ids),
    st.tuples(st.just("tell"), _ids, st.sampled_from([RIGHT, (), (("LocalPreAuthorize", "true"),)])),
    st.tuples(st.just("tables"), st.sampled_from(["", "bad"]), st.integers(0, 2)),
    st.tuples(st.just("disk"), st.sampled_from([None, 0, GIB - 1, GIB, 12 * GIB // 10, 100 * GIB])),
    st.tuples(st.just("book"), st.sampled_from(TAGS), _wh),
    st.tuples(st.just("quota"), st.sampled_from([0, 500, 5_000, 10_000])),
    st.tuples(st.just("charge"), st.integers(0, 900)),
    st.tuples(st.just("stop")),
    st.tuples(st.just("acknowledge"), st.integers(0, 20)),
    st.tuples(st.just("wait"), st.sampled_from([1, 5, 20, 90, 2_000])),
)


class Walk:
    """A site that things happen to, looked at after each of them."""

    def __init__(self) -> None:
        self.site = WatchedSite(*(user(tag) for tag in TAGS))
        self.minutes = 0.0
        self.tables: tuple[cmd.TableState, ...] = ()
        self.free: int | None = 100 * GIB
        self.number: int | None = None
        self.register = 0
        self.open: set[str] = set()
        self.looked = 0

    def step(self, name: str, *details: object) -> None:
        getattr(self, f"_{name}")(*details)
        self.minutes += 0.5
        self.look()

    def look(self) -> None:
        site, before = self.site, dict(self.site.site.alerts)
        after = site.look(self.minutes, free=self.free, disk_size=100 * GIB, tables=self.tables)
        for change in site.last:
            if isinstance(change, ch.PutAlert) and change.alert.alert_id in before:
                known = before[change.alert.alert_id]
                assert (known.kind, known.text) != (change.alert.kind, change.alert.text)
            assert not isinstance(change, ch.RemoveAlert) or change.alert_id in before
        touched = [_alert_id_of(change) for change in site.last if isinstance(change, ch.PutAlert | ch.RemoveAlert)]
        assert len(touched) == len(set(touched))
        for alert_id, alert in before.items():
            now = site.site.alerts.get(alert_id)
            if now is not None and (now.kind, now.text) == (alert.kind, alert.text):
                assert now == alert  # with its beginning, and who takes care
        site.look(self.minutes, free=self.free, disk_size=100 * GIB, tables=self.tables)
        assert site.last == ()
        assert {alert_id for alert_id in after if alert_id.startswith("fault-")} == self._faults()

    def mend_all(self) -> None:
        """Everything is well again."""
        self._stop()
        self.tables, self.free = (), 100 * GIB
        self._quota(10_000)
        for tag in TAGS:
            self._book(tag, -100_000)
        for charge_point_id in list(self.site.site.charge_points):
            self._approve(charge_point_id)
            self._connect(charge_point_id)
            self._tell(charge_point_id, RIGHT)
            for connector_id in range(3):
                self._status(charge_point_id, connector_id, "Available")
        self.look()

    def _faults(self) -> set[str]:
        return {
            f"fault-{connector.connector_id}-{known.charge_point_id}"
            for known in self.site.site.charge_points.values()
            for connector in known.connectors
            if known.admission == "approved" and connector.status == "Faulted"
        }

    @property
    def _now(self) -> datetime:
        return at(self.minutes)

    def _connect(self, charge_point_id: str) -> None:
        self.site.connect(charge_point_id, self.minutes)

    def _disconnect(self, charge_point_id: str) -> None:
        self.site.do(cmd.Disconnect(charge_point_id, self._now))

    def _heartbeat(self, charge_point_id: str) -> None:
        self.site.do(cmd.Heartbeat(charge_point_id, self._now))

    def _status(self, charge_point_id: str, connector_id: int, status: str) -> None:
        self.site.do(cmd.StatusNotification(charge_point_id, self._now, connector_id, status))

    def _lock(self, charge_point_id: str) -> None:
        self.site.do(cmd.LockChargePoint(self._now, charge_point_id, "ops"))

    def _approve(self, charge_point_id: str) -> None:
        self.site.do(cmd.ApproveChargePoint(self._now, charge_point_id, "ops"))

    def _forget(self, charge_point_id: str) -> None:
        self.site.do(cmd.ForgetChargePoint(self._now, charge_point_id, "ops"))

    def _tell(self, charge_point_id: str, keys: tuple[tuple[str, str], ...]) -> None:
        self.site.tell(keys, charge_point_id, self.minutes)

    def _tables(self, error: str, rows: int) -> None:
        self.tables = (bad(error=error, rows=rows), bad(CHARGERS, rows=rows))

    def _disk(self, free: int | None) -> None:
        self.free = free

    def _book(self, tag: str, wh: int) -> None:
        used = self.site.used(tag)
        book(self.site, max(wh, -used), tag, self.minutes)

    def _quota(self, quota: int) -> None:
        self.site.set_users([user(tag, quota) for tag in TAGS], self.minutes)

    def _charge(self, wh: int) -> None:
        if self.number is None:
            self.number, self.register = self.site.begin(minutes=self.minutes, meter_start=0), 0
        self.minutes += 1
        self.register += wh
        self.site.meter(self.number, sample(self.minutes, self.register))
        self.site.order_stops(self.minutes)

    def _stop(self) -> None:
        if self.number is not None:
            self.site.stop(self.number, self.minutes, self.register)
            self.number = None

    def _acknowledge(self, which: int) -> None:
        open_ids = sorted(self.site.site.alerts)
        if open_ids:
            self.site.do(cmd.AcknowledgeAlert(self._now, open_ids[which % len(open_ids)], "ops"))

    def _wait(self, minutes: int) -> None:
        self.minutes += minutes


def _alert_id_of(change: ch.PutAlert | ch.RemoveAlert) -> str:
    return change.alert.alert_id if isinstance(change, ch.PutAlert) else change.alert_id


def _walk(steps: list[tuple[object, ...]]) -> None:
    walk = Walk()
    for name, *details in steps:
        walk.step(str(name), *details)
    walk.mend_all()

    assert walk.site.site.alerts == {}


@settings(max_examples=60)
@given(st.lists(_steps, max_size=30))
def test_whatever_happens_an_alert_is_raised_once_and_goes_when_all_is_well(steps: list[tuple[object, ...]]) -> None:
    """A second look at the same state decides nothing; what stands keeps its beginning and who takes care."""
    _walk(steps)


@pytest.mark.prove
@settings(max_examples=3_000)
@given(st.lists(_steps, max_size=60))
def test_many_walks_raise_each_alert_once(steps: list[tuple[object, ...]]) -> None:
    """The same, longer and more often."""
    _walk(steps)


def test_the_month_takes_the_warnings_with_it() -> None:
    """Rule 28; the rest stays."""
    site = WatchedSite(user("RFID001"))
    book(site, 9_600)
    site.status(0, "Faulted")
    before = site.look(1)
    site.do(cmd.OpenMonth(at(0) + timedelta(days=17), FEBRUARY))

    assert before == {"quota-RFID001", f"fault-1-{CHARGE_POINT}"}
    assert set(site.site.alerts) == {f"fault-1-{CHARGE_POINT}"}
