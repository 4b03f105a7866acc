"""The pages, run without a browser on folders in good and bad states."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from site_folder import SiteFolder, charge_point, session, stamp
from streamlit.testing.v1 import AppTest

RunApp = Callable[..., AppTest]

PAGES = ["overview", "sessions", "users", "meter_log"]
HOSTILE = [
    "**bold** _it_ `code`",
    "<img src=x onerror=alert(1)>",
    ":material/home: :tada: :red[hot]",
    "$\\LaTeX$ $x^2$",
    "\u202eevil\u202c",
    "x" * 10_000,
    "![i](http://evil.example/i.png) www.evil.example",
    "\ud800",
    " ",
    "```mermaid\ngraph",
]


def metrics(app: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


def cards(app: AppTest) -> list[str]:
    return [element.value for element in app.markdown if "-badge[" in element.value]


def texts(app: AppTest) -> str:
    return "\n".join(element.value for element in (*app.error, *app.warning, *app.info, *app.caption, *app.markdown))


def test_a_normal_site_shows_tiles_cards_sessions_and_users(folder: SiteFolder, run_app: RunApp) -> None:
    """Dashboard spec §5, overview: nothing is wrong, so there is no bar."""
    folder.write_five()
    folder.write_server()

    app = run_app()

    assert app.header[0].value == "Campus · Overview"
    assert not app.error
    assert not app.warning
    assert metrics(app) == {
        "Power now": "7.2 kW",
        "Chargers in use": "1 / 2",
        "Energy this month": "419.9 kWh",
        "Quota": "1 over",
    }
    assert [metric.delta for metric in app.metric] == ["1 session", "0 free", "November 2026", "2 near (≥ 80 %)"]
    assert cards(app)[0].startswith("**CP\\_02**  \n:red-badge[offline]")
    assert "John Doe" in cards(app)[1]


def test_the_page_speaks_the_language_that_was_chosen(folder: SiteFolder, run_app: RunApp) -> None:
    """Its name is in the address, so that a reload and a bookmark keep it."""
    folder.write_five()
    folder.write_server()

    app = run_app(language="Türkçe")

    assert app.header[0].value == "Campus · Genel bakış"
    assert metrics(app)["Anlık güç"] == "7,2 kW"


def test_the_sessions_table_says_who_charges_where_since_when(folder: SiteFolder, run_app: RunApp) -> None:
    """The energy is the session's, not the register."""
    folder.write_five()
    folder.write_server()

    row = run_app("sessions").dataframe[0].value.iloc[0]

    assert (row["person"], row["card"], row["charger"], row["state"]) == ("John Doe", "RFID001", "CP_01", "charging")
    assert row["energy"] == pytest.approx(2.7)
    assert row["power"] == pytest.approx(7.2)


def test_the_users_table_shows_quota_state_and_rest(folder: SiteFolder, run_app: RunApp) -> None:
    """199.4 of 200 kWh is 99 %; without limit there is no percentage."""
    folder.write_five()
    folder.write_server()

    table = run_app("users").dataframe[0].value.set_index("card")

    assert list(table.loc["RFID002", ["percent", "left"]]) == [99, pytest.approx(0.6)]
    assert list(table.loc["RFID004", "state"]) == ["over quota"]
    assert list(table.loc["RFID003", "state"]) == ["no limit"]
    assert table.loc["RFID003", ["percent", "quota", "left"]].isna().all()


@pytest.mark.parametrize(("query", "found"), [("YILMAZ", ["RFID002"]), ("lukasz gross", ["RFID004"]), ("nobody", None)])
def test_the_search_folds_letters(folder: SiteFolder, run_app: RunApp, query: str, found: list[str] | None) -> None:
    """Turkish, German and Polish names are found from any keyboard."""
    folder.write_five()
    folder.write_server()

    app = run_app("users")
    app.text_input(key="user_search").set_value(query).run()

    assert not app.exception
    tables = [table.value for table in app.dataframe if "percent" in table.value]
    assert [list(table["card"]) for table in tables] == ([found] if found else [])


def test_an_empty_folder_tells_what_to_type_into_a_charger(folder: SiteFolder, run_app: RunApp) -> None:
    """Without a server's word the port is the default one."""
    app = run_app()

    assert app.code[0].value == "ws://HOST:9000/CHARGER_ID"
    assert not app.metric
    assert "charger\\_status\\.json not there" in texts(app)


def test_the_address_for_the_first_charger_is_the_servers(folder: SiteFolder, run_app: RunApp) -> None:
    """Server running, nothing connected yet."""
    folder.write("charger_status.json", {})
    folder.write_server(ocpp_url="ws://192.168.1.20:9000")

    assert run_app().code[0].value == "ws://192.168.1.20:9000/CHARGER_ID"


def test_with_only_the_five_files_the_page_works_and_says_what_is_missing(folder: SiteFolder, run_app: RunApp) -> None:
    """No alarm per charger: whether the server runs is not known."""
    folder.write_five()

    app = run_app()

    assert [bar.value for bar in app.error] == ["Server status unknown: only the data files are read."]
    assert metrics(app)["Power now"] == "7.2 kW"
    assert ":gray-badge[offline]" in cards(app)[1]
    assert "server\\_status\\.json not there" in texts(app)
    assert "times in UTC" in texts(app)


@pytest.mark.parametrize(
    "name", ["charger_status.json", "active_transactions.json", "energy_usage.json", "meter_data_log.json"]
)
@pytest.mark.parametrize("content", ["", "{", "[1]", '"x"', '{"A": 5}', "null"])
def test_a_corrupt_file_leaves_the_rest_of_the_page(
    folder: SiteFolder, run_app: RunApp, name: str, content: str
) -> None:
    """Also when there never was a good version of it."""
    folder.write_five()
    folder.write_server()
    folder.write(name, content)

    app = run_app()

    assert metrics(app)["Quota"] in {"1 over", "0 over"}
    assert not app.code


def test_a_file_that_becomes_corrupt_keeps_its_last_good_figures(folder: SiteFolder, run_app: RunApp) -> None:
    """And the page says so."""
    folder.write_five()
    folder.write_server()
    run_app()
    folder.write("energy_usage.json", '{"RFID001": ')

    app = run_app()

    assert metrics(app)["Energy this month"] == "419.9 kWh"
    assert "energy_usage.json is not JSON" in app.warning[0].value.replace("\\", "")


def test_a_stopped_server_is_one_red_bar_and_no_alarm_per_charger(folder: SiteFolder, run_app: RunApp) -> None:
    """One cause, one alarm: not forty chargers painted offline."""
    folder.write_five()
    alert = {"id": "1", "kind": "charger_offline", "text": "CP_02 is offline", "charger_id": "CP_02"}
    folder.write_server(time=stamp(datetime.now(UTC) - timedelta(hours=3)), alerts=[alert])

    app = run_app()

    assert len(app.error) == 1
    assert "Server not running since" in app.error[0].value
    assert "(3 h ago)" in app.error[0].value
    assert ":gray-badge[offline]" in cards(app)[1]
    assert app.caption[0].value == "updated 3 h ago"


def test_open_alerts_are_a_red_list(folder: SiteFolder, run_app: RunApp) -> None:
    """E.g. a charger that goes on although it was told to stop."""
    folder.write_five()
    alert = {"kind": "remote_stop_not_obeyed", "text": "RemoteStop not obeyed", "charger_id": "CP_01"}
    folder.write_server(alerts=[alert, {"kind": "charger_offline", "since": stamp(datetime.now(UTC))}])

    (bar,) = run_app().error

    assert "- RemoteStop not obeyed · CP\\_01" in bar.value
    assert "- charger offline · since" in bar.value


def test_the_red_list_says_who_takes_care(folder: SiteFolder, run_app: RunApp) -> None:
    """What weighs little is not on it: it needs nobody."""
    folder.write_five()
    alert = {"kind": "charge point faulted", "text": "CP_01 is faulted", "severity": "warning"}
    leak = {"kind": "quota leak", "text": "LocalPreAuthorize=true", "severity": "info"}
    folder.write_server(alerts=[alert | {"acknowledged_by": "Jane_"}, leak])

    (bar,) = run_app().error

    assert bar.value == "**Needs a person**: CP\\_01 is faulted · acknowledged by Jane\\_"


def test_problems_of_users1_csv_are_one_amber_bar_with_lines_and_reasons(folder: SiteFolder, run_app: RunApp) -> None:
    """The last good list stays in force, so the bar is amber."""
    folder.write_five()
    folder.write_server()
    problems = [{"line": line, "column": "quota_kwh", "text": f"bad {line}"} for line in range(7, 20)]
    folder.write("users_report.json", {"problems": problems})

    (bar,) = run_app().warning

    assert "- line 7, quota\\_kwh: bad 7\n" in bar.value
    assert bar.value.endswith("- and 7 more")


def test_a_demo_is_marked(folder: SiteFolder, run_app: RunApp) -> None:
    """Nobody takes simulated figures for real ones."""
    folder.write_five()
    folder.write_server(demo=True)

    assert "Demo" in run_app().info[0].value


def test_a_server_that_cannot_write_is_named(folder: SiteFolder, run_app: RunApp) -> None:
    """Its sign of life goes on while the figures stand still."""
    folder.write_five()
    folder.write_server(last_publish_error="No space left on device")

    assert "No space left on device" in run_app().error[0].value


def test_40_chargers_and_1000_users_are_tables(folder: SiteFolder, run_app: RunApp) -> None:
    """The largest site that we promise."""
    users = "".join(f"TAG{number:04d},Name{number},X,150,FALSE\n" for number in range(1000))
    folder.write("users1.csv", f"id_tag,name,surname,quota_kwh,unlimited\n{users}")
    folder.write("energy_usage.json", {f"TAG{number:04d}": 1.0 for number in range(1000)})
    folder.write("charger_status.json", {f"CP_{number:02d}": charge_point("Charging") for number in range(40)})
    since = datetime.now(UTC)
    sessions = {f"{number}": session(since, charger_id=f"CP_{number:02d}", power_w=11_000) for number in range(40)}
    folder.write("active_transactions.json", sessions)
    folder.write("meter_data_log.json", [])
    folder.write_server()

    app = run_app()

    assert [len(table.value) for table in app.dataframe] == [40]
    assert metrics(app)["Power now"] == "440.0 kW"
    assert not cards(app)
    assert [len(table.value) for table in run_app("sessions").dataframe] == [40]
    assert [len(table.value) for table in run_app("users").dataframe] == [1000]


def test_hostile_names_are_shown_as_text(folder: SiteFolder, run_app: RunApp) -> None:
    """Names and ids come from a CSV, from a card and from the path of a socket."""
    now = datetime.now(UTC)
    folder.write("charger_status.json", {name: charge_point(name, name=name, error_code=name) for name in HOSTILE})
    folder.write(
        "active_transactions.json",
        {name: session(now, charger_id=name, full_name=name, id_tag=name, state=name) for name in HOSTILE},
    )
    folder.write("energy_usage.json", dict.fromkeys(HOSTILE, 5.0))
    problems = [{"line": 1, "column": name, "text": name} for name in HOSTILE]
    folder.write_server(
        site_name="".join(HOSTILE),
        timezone=HOSTILE[0],
        month=HOSTILE[1],
        alerts=[{"kind": name, "text": name, "charger_id": name} for name in HOSTILE],
    )
    folder.write("users_report.json", {"problems": problems, "file_error": HOSTILE[1]})

    shown = "".join(texts(app) + app.header[0].value for app in map(run_app, PAGES))
    active = re.sub(r"\\[!-/:-@\[-`{-~]", "", shown)  # what is left is not escaped

    for markup in ("**bold**", "<img", ":material/home", ":red[hot]", "$x", "](http", "www.evil", "\u202e", "```"):
        assert markup not in active
    assert "x" * 101 not in shown
    shown.encode()
