"""What the page says of the server, the charge points and the totals."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from dashboard import view
from dashboard.records import (
    Alert,
    ChargePoint,
    FileNote,
    PowerReading,
    Problem,
    ServerStatus,
    Session,
    Site,
    UsersReport,
    UserTable,
    Wh,
)
from dashboard.texts import words_of
from dashboard.view import ServerState

ENGLISH = words_of("en")
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def charge_point(charge_point_id: str, status: str = "Charging", **more: object) -> ChargePoint:
    return ChargePoint(**({"charge_point_id": charge_point_id, "name": charge_point_id, "status": status} | more))  # type: ignore[arg-type]


def session(charge_point_id: str, **more: object) -> Session:
    fields = {"transaction_id": "1", "id_tag": "RFID001", "person": "John", "charge_point_id": charge_point_id}
    return Session(**(fields | more))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("server", "state"),
    [
        (None, ServerState.UNKNOWN),
        (ServerStatus(), ServerState.UNKNOWN),
        (ServerStatus(time=NOW - timedelta(seconds=30)), ServerState.RUNNING),
        (ServerStatus(time=NOW - timedelta(seconds=31)), ServerState.STOPPED),
    ],
)
def test_a_status_older_than_30_s_means_that_the_server_does_not_run(
    server: ServerStatus | None, state: ServerState
) -> None:
    """docs/files.md, server_status.json."""
    assert view.server_state(server, NOW) is state


@pytest.mark.parametrize("name", ["", "Europe", "../../etc/passwd", "No/Where", "x" * 5000, "a\0b"])
def test_a_zone_that_is_none_gives_utc_and_says_so(name: str) -> None:
    """The name comes from a file."""
    zone, is_site_zone = view.site_zone(ServerStatus(timezone=name))

    assert str(zone) == "UTC"
    assert not is_site_zone


@pytest.mark.parametrize(
    ("told", "url"),
    [
        ("", "ws://HOST:9000/CHARGER_ID"),
        ("wss://ev.example/ocpp/", "wss://ev.example/ocpp/CHARGER_ID"),
        ("ws://10.0.0.1:9000/CHARGER_ID", "ws://10.0.0.1:9000/CHARGER_ID"),
    ],
)
def test_the_address_for_a_charger_ends_with_its_name(told: str, url: str) -> None:
    """OCPP-J 1.6 §3.1.1: the charge point's identity is the last part of the path."""
    assert view.charger_url(ServerStatus(ocpp_url=told)) == url


def test_the_servers_report_on_users_comes_before_the_dashboards_own_findings() -> None:
    """Only the server knows which rows are in force."""
    own, reported = Problem(3, "quota_kwh", "own"), Problem(4, "quota_kwh", "reported")
    users = UserTable(problems=(own,))

    assert view.users_file_problems(Site(users=users)) == (own,)
    assert view.users_file_problems(Site(users=users, users_report=UsersReport())) == ()
    assert view.users_file_problems(Site(users=users, users_report=UsersReport((reported,)))) == (reported,)
    assert view.users_file_problems(Site(users=users, server=ServerStatus(users_problems=(reported,)))) == (reported,)
    assert view.users_file_problems(Site(users_report=UsersReport((), "is empty")))[0].text == "is empty"


def test_a_problem_is_told_with_line_column_and_reason() -> None:
    """Any of the three may be missing."""
    assert view.problem_line(Problem(7, "account", "bad"), ENGLISH) == "line 7, account: bad"
    assert view.problem_line(Problem(None, "", "bad"), ENGLISH) == "bad"
    assert view.problem_line(Problem(7, "", ""), ENGLISH) == "line 7"


def test_offline_alerts_rest_while_the_server_is_not_running() -> None:
    """With the server stopped, every charger would look offline."""
    alerts = (
        Alert("charger_offline", "a", None, "CP"),
        Alert("charge point silent", "a", None, "CP", "warning"),
        Alert("remote_stop_not_obeyed", "b", None, "CP"),
    )
    server = ServerStatus(alerts=alerts)

    assert view.open_alerts(server, ServerState.RUNNING) == alerts
    assert view.open_alerts(server, ServerState.STOPPED) == alerts[2:]
    assert view.open_alerts(None, ServerState.UNKNOWN) == ()


@pytest.mark.parametrize("state", list(ServerState))
def test_that_somebody_nears_a_quota_needs_nobody(state: ServerState) -> None:
    """The quota tile and the users table show it; a red list is for what a person must do."""
    near = Alert("80 % of the quota is used", "John Doe: 80 % of the quota is used", None, "", "info")

    assert view.open_alerts(ServerStatus(alerts=(near,)), state) == ()


@pytest.mark.parametrize("state", list(ServerState))
def test_who_charges_over_the_quota_needs_a_person(state: ServerState) -> None:
    """Its kind names the quota, too."""
    over = Alert("over quota and still charging", "John Doe is over the quota", None, "CP", "critical")

    assert view.open_alerts(ServerStatus(alerts=(over,)), state) == (over,)


def test_problems_of_the_users_file_have_a_bar_of_their_own() -> None:
    """Once on the page is enough."""
    bad = Alert("users file has bad rows", "users1.csv: 1 row is not in force", None, "", "warning")

    assert view.open_alerts(ServerStatus(alerts=(bad,)), ServerState.RUNNING) == ()


def test_power_comes_from_the_charge_point_else_its_session_else_a_fresh_log_line() -> None:
    """The five original files know power only in the meter log."""
    site = Site(
        charge_points=(charge_point("A", power_w=1000.0), charge_point("B"), charge_point("C"), charge_point("D")),
        sessions=(session("A", power_w=5.0), session("B", power_w=20.0), session("C"), session("D")),
        readings=(
            PowerReading("C", NOW - timedelta(minutes=2), 300.0),
            PowerReading("C", NOW - timedelta(minutes=3), 999.0),
            PowerReading("D", NOW - timedelta(minutes=11), 4000.0),
        ),
    )

    assert view.power_now(site, NOW) == view.Power(1320.0, silent=1)


def test_power_is_zero_only_when_nobody_charges() -> None:
    """Not known is not zero."""
    assert view.power_now(Site(), NOW).watts is None
    assert view.power_now(Site(sessions=()), NOW).watts == 0
    assert view.power_now(Site(sessions=(session("A"),)), NOW).watts is None


def test_energy_of_the_month_holds_every_card() -> None:
    """Also those that are in no list any more; without the file it is not known."""
    assert view.energy_this_month(Site(usage={"A": Wh(1500), "gone": Wh(500)})) == 2000
    assert view.energy_this_month(Site()) is None


@pytest.mark.parametrize(
    ("month", "words"), [("2026-10", "October 2026"), ("", "November 2026"), ("x", "November 2026")]
)
def test_the_month_is_the_servers(month: str, words: str) -> None:
    """It waits with a new month where the clock is suspect; else it is the month of now."""
    assert ENGLISH.month(view.open_month(ServerStatus(month=month), NOW)) == words


@pytest.mark.parametrize(
    ("state", "status", "words"),
    [
        ("charging", "SuspendedEV", "paused by car"),
        ("", "Charging", "charging"),
        ("stopping", "SuspendedEV", "being stopped"),
        ("charging", "Offline", "charging"),
    ],
)
def test_a_sessions_state_says_whether_the_car_pauses(state: str, status: str, words: str) -> None:
    """What the server wants with the session comes first."""
    running = session("A", state=state)

    assert (
        view.session_words(running, Site(charge_points=(charge_point("A", status),), sessions=(running,)), ENGLISH)
        == words
    )


def test_two_sessions_on_one_charge_point_do_not_take_each_others_power() -> None:
    """The charge point's figure is their sum."""
    first, second = session("A", transaction_id="1"), session("A", transaction_id="2")
    point = charge_point("A", power_w=9000.0)

    assert view.session_power(first, Site(charge_points=(point,), sessions=(first, second)), NOW) is None
    assert view.session_power(first, Site(charge_points=(point,), sessions=(first,)), NOW) == 9000.0


def test_the_first_start_is_when_nothing_ever_charged_and_every_file_can_be_read() -> None:
    """A charger_status.json that cannot be read does not mean that there are no chargers."""
    assert view.is_first_start(Site())
    assert not view.is_first_start(Site(charge_points=(charge_point("A"),)))
    assert not view.is_first_start(Site(notes=(FileNote("charger_status.json", "is not JSON", is_broken=True),)))


def test_the_history_of_power_adds_up_the_newest_reading_of_each_charger_and_leaves_out_the_running_minute() -> None:
    """At 11:58 A gives 1,000 W; B joins at 11:59; the minute after the last reading has not ended."""
    readings = (
        PowerReading("A", NOW - timedelta(minutes=3, seconds=30), 1000.0),
        PowerReading("B", NOW - timedelta(minutes=1, seconds=20), 500.0),
        PowerReading("A", NOW - timedelta(seconds=40), 3000.0),
    )

    assert view.power_history(readings, NOW) == [
        (NOW - timedelta(minutes=3), 1000.0),
        (NOW - timedelta(minutes=2), 1000.0),
        (NOW - timedelta(minutes=1), 1500.0),
    ]


def test_a_charger_that_fell_silent_leaves_the_history_of_power() -> None:
    """Its last figure is not true for ever; readings from the future end at now."""
    readings = (
        PowerReading("A", NOW - timedelta(minutes=20), 1000.0),
        PowerReading("B", NOW + timedelta(hours=1), 7.0),
    )

    history = dict(view.power_history(readings, NOW))

    assert history[NOW - timedelta(minutes=10)] == 1000.0
    assert history[NOW - timedelta(minutes=9)] == 0
    assert max(history) == NOW
    assert view.power_history((), NOW) == []


def test_a_demo_has_a_clock_of_its_own_and_a_site_has_not() -> None:
    """Its sessions begin in what is the future here; a real site's two times may differ by a second of rounding."""
    written = NOW - timedelta(seconds=4)
    ahead = ServerStatus(time=written, site_time=written + timedelta(hours=5), is_demo=True)

    assert view.site_now(ahead, NOW) == NOW + timedelta(hours=5)
    assert view.site_now(replace(ahead, is_demo=False), NOW) == NOW
    assert view.site_now(None, NOW) == NOW
