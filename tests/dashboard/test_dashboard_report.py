"""The monthly report on whole sites, good and bad, and that its figures are those of the books."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from archive_folder import ZONE, ArchiveFolder, session_row
from site_folder import SiteFolder, charge_point
from streamlit.testing.v1 import AppTest
from typed_commands import Keyboard

from ocpp_server.core import commands as cmd
from ocpp_server.core.decide import decide
from ocpp_server.core.energy import Wh
from ocpp_server.core.period import Month
from ocpp_server.core.site import Policy, Site, apply
from ocpp_server.core.users import Access, Account, ChargerRow, IdTag, User, UserTable
from ocpp_server.storage import documents
from ocpp_server.storage.ledger import Ledger
from ocpp_server.storage.sessions_csv import sessions_csv

PROJECT = Path(__file__).resolve().parents[2]
RunApp = Callable[..., AppTest]
HOSTILE = [
    "**bold** _it_ `code`", "<img src=x onerror=alert(1)>", ":material/home: :red[hot] $x^2$", "=1+1", "@SUM(A1)",
    "\u202eevil\u202c אבג", "x" * 10_000, "a,b;c\r\nd", " ", "\x00",
]  # fmt: skip


@pytest.fixture
def archive(folder: SiteFolder) -> ArchiveFolder:
    """The archive of the folder that the app reads."""
    return ArchiveFolder(folder)


def months() -> tuple[datetime, datetime, datetime]:
    """Now by the site's clock, and a noon of each of the two months before."""
    now = datetime.now(ZONE)
    first = (now.replace(day=1) - timedelta(days=1)).replace(day=1, hour=12)
    return now, first, (first.replace(day=1) - timedelta(days=1)).replace(day=1)


def write_site(folder: SiteFolder, archive: ArchiveFolder) -> tuple[datetime, datetime, datetime]:
    """A normal site, in its third month."""
    now, before, oldest = months()
    folder.write_five()
    folder.write_server(month=f"{now:%Y-%m}")
    begin = now.replace(day=1, hour=0, minute=0)
    archive.write_sessions(f"{now:%Y-%m}", [
        session_row(7, "CP_01", "RFID001", "John Doe", begin.astimezone(UTC), reason="quota reached", energy_kwh=12.5),
        session_row(8, "CP_02", "RFID002", "Ayşe Yılmaz", begin.astimezone(UTC), energy_kwh=2.25),
    ])  # fmt: skip
    hour, day = f"{begin:%Y-%m-%d}T00:00+03:00", f"{begin:%Y-%m-%d}"
    archive.write_energy(
        f"{now:%Y-%m}", {"CP_01": {hour: 12.5}, "CP_02": {hour: 2.25}}, {"RFID001": {day: 12.5}, "RFID002": {day: 2.25}}
    )
    archive.write_sessions(f"{before:%Y-%m}", [session_row(1, "CP_01", "RFID001", "John Doe", before.astimezone(UTC))])
    archive.write_energy(
        f"{before:%Y-%m}",
        {"CP_01": {f"{before:%Y-%m-%d}T00:00+03:00": 10.0}},
        {"RFID001": {f"{before:%Y-%m-%d}": 10.0}},
    )
    archive.write_usage(f"{before:%Y-%m}", {"RFID001": 160.0})
    return now, before, oldest


def tiles(app: AppTest) -> dict[str, tuple[str, str]]:
    return {metric.label: (metric.value, metric.delta) for metric in app.metric}


def people(app: AppTest) -> pd.DataFrame:
    return next(table.value for table in app.dataframe if "over" in table.value).set_index("card")


def chargers(app: AppTest) -> pd.DataFrame:
    return next(table.value for table in app.dataframe if "share" in table.value).set_index("charger")


def texts(app: AppTest) -> str:
    return "\n".join(element.value for element in (*app.error, *app.warning, *app.caption, *app.markdown))


def test_a_normal_site_has_its_month_and_the_one_before(
    folder: SiteFolder, archive: ArchiveFolder, run_app: RunApp
) -> None:
    """Dashboard spec §5, monthly report: the month of now is chosen."""
    now, before, _ = write_site(folder, archive)

    app = run_app("report")

    assert not app.warning
    assert app.selectbox(key="report_month").options == [f"{now:%Y-%m}", f"{before:%Y-%m}"]
    shown = tiles(app)
    assert shown["Energy charged"] == ("14.8 kWh", "was 10.0 (+48 %)")
    assert shown["Sessions ended"][0] == "2"
    assert shown["Users who charged"] == ("2", "users1.csv has 4")
    assert shown["Stopped by quota"][0] == "1"
    assert "419.9 kWh of it count on quotas" in texts(app)
    assert people(app).loc["RFID004", "over"] == pytest.approx(0.5)
    assert list(people(app).loc["RFID004", "state"]) == ["over quota"]
    assert list(people(app).loc["RFID003", "state"]) == ["no limit"]
    assert pd.isna(people(app).loc["RFID003", "quota"])
    assert chargers(app).loc["CP_01", "energy"] == pytest.approx(12.5)
    assert len(app.get("vega_lite_chart")) == 2


def test_a_month_that_is_over_has_its_own_usage(folder: SiteFolder, archive: ArchiveFolder, run_app: RunApp) -> None:
    """160 of 150 kWh; the two months before it have no files, so nothing is compared."""
    _, before, oldest = write_site(folder, archive)

    app = run_app("report")
    app.selectbox(key="report_month").select(before.date().replace(day=1)).run()

    assert not app.exception
    assert tiles(app)["Energy charged"] == ("10.0 kWh", "")
    assert people(app).loc["RFID001", "over"] == pytest.approx(10)
    assert f"{oldest:%Y}" in texts(app)
    assert "no figures to compare with" in texts(app)


def test_the_month_is_in_the_address(folder: SiteFolder, archive: ArchiveFolder) -> None:
    """The same link shows the same month in every language."""
    _, before, _ = write_site(folder, archive)

    app = AppTest.from_file(str(PROJECT / "dashboard" / "app.py"), default_timeout=30)
    app.query_params["lang"] = "Türkçe"
    app.query_params["report_month"] = f"{before:%Y-%m}"
    app.switch_page("app_pages/report.py").run()

    assert not app.exception
    assert tiles(app)["Şarj edilen enerji"][0] == "10,0 kWh"


def test_a_statement_stays_with_its_card_when_the_month_changes(
    folder: SiteFolder, archive: ArchiveFolder, run_app: RunApp
) -> None:
    """The list has others then; whoever is not in it gets nobody's."""
    _, before, _ = write_site(folder, archive)
    app = run_app("report")
    app.selectbox(key="report_whose").select("RFID002").run()

    app.selectbox(key="report_month").select(before.date().replace(day=1)).run()

    assert not app.exception
    assert app.selectbox(key="report_whose").options == ["All who charged", "John Doe · RFID001"]
    assert app.selectbox(key="report_whose").value in {"", "RFID002"}


def test_a_month_without_sessions_is_not_a_missing_file(
    folder: SiteFolder, archive: ArchiveFolder, run_app: RunApp
) -> None:
    """The server writes the list when the first session ends."""
    write_site(folder, archive)
    (folder.path / "archive" / f"sessions-{months()[0]:%Y-%m}.csv").unlink()

    app = run_app("report")

    assert tiles(app)["Sessions ended"][0] == "0"
    assert not app.warning


@pytest.mark.parametrize("language", ["English", "Türkçe"])
def test_an_empty_folder_says_what_is_missing(run_app: RunApp, language: str) -> None:
    """No figure without a source."""
    app = run_app("report", language)

    assert {value for value, _ in tiles(app).values()} == {"–"}
    assert len(app.warning) == 3
    assert "energy\\_hourly" in texts(app)
    assert not app.get("vega_lite_chart")


def test_with_only_the_five_files_the_usage_of_quotas_is_the_total(folder: SiteFolder, run_app: RunApp) -> None:
    """The rest is said to be missing."""
    folder.write_five()

    app = run_app("report")

    assert tiles(app)["Energy on quotas"] == ("419.9 kWh", "")
    assert tiles(app)["Sessions ended"][0] == "–"
    assert people(app).loc["RFID001", "used"] == pytest.approx(120)
    assert len(app.warning) == 2


@pytest.mark.parametrize("name", ["energy_hourly-{}.json", "sessions-{}.csv"])
@pytest.mark.parametrize("content", ["{", '"transaction"\r\n1\r\n'], ids=["json", "csv"])
def test_a_corrupt_file_leaves_the_rest_of_the_page(
    folder: SiteFolder, archive: ArchiveFolder, run_app: RunApp, name: str, content: str
) -> None:
    """And is named."""
    now, _, _ = write_site(folder, archive)
    archive.write(name.format(f"{now:%Y-%m}"), content)

    app = run_app("report")

    assert len(app.warning) == 1
    assert name.partition("-")[0].replace("_", "\\_") in app.warning[0].value
    assert people(app).loc["RFID004", "over"] == pytest.approx(0.5)


def test_a_file_that_becomes_corrupt_keeps_its_figures(
    folder: SiteFolder, archive: ArchiveFolder, run_app: RunApp
) -> None:
    """With a word on how old they are."""
    now, _, _ = write_site(folder, archive)
    run_app("report")
    archive.write(f"energy_hourly-{now:%Y-%m}.json", "{")

    app = run_app("report")

    assert tiles(app)["Energy charged"][0] == "14.8 kWh"
    assert "Shown as of" in app.warning[0].value


def test_a_server_that_stopped_last_month_leaves_that_month_whole(
    folder: SiteFolder, archive: ArchiveFolder, run_app: RunApp
) -> None:
    """Its month is still open, but not the one of now: nothing is cut at the day of now."""
    _, before, _ = write_site(folder, archive)
    folder.write_server(month=f"{before:%Y-%m}", time="2026-01-01T00:00:00Z")

    app = run_app("report")

    assert app.selectbox(key="report_month").value == before.date().replace(day=1)
    assert "up to this hour" not in texts(app)
    assert app.error


@pytest.mark.parametrize("language", ["English", "Türkçe"])
def test_40_chargers_and_1000_users_are_shown(
    folder: SiteFolder, archive: ArchiveFolder, run_app: RunApp, language: str
) -> None:
    """And add up."""
    now, before, _ = months()
    users = {f"RFID{number:04d}": f"Ada {number}" for number in range(1000)}
    names = [f"CP_{number:02d}" for number in range(40)]
    folder.write(
        "users1.csv",
        "id_tag,name,surname,quota_kwh,unlimited\n" + "".join(f"{tag},{name},,20,\n" for tag, name in users.items()),
    )
    folder.write("charger_status.json", {name: charge_point("Available") for name in names})
    archive.write_random([now.date().replace(day=1), before.date().replace(day=1)], names, users, now)
    (folder.path / "archive" / f"energy_usage-{now:%Y-%m}.json").replace(folder.path / "energy_usage.json")
    folder.write_server(month=f"{now:%Y-%m}")

    app = run_app("report", language)

    assert not app.warning
    assert (len(people(app)), len(chargers(app))) == (1000, 40)
    used = json.loads((folder.path / "energy_usage.json").read_text())
    assert people(app)["used"].sum() == pytest.approx(sum(used.values()))
    assert chargers(app)["energy"].sum() == pytest.approx(sum(used.values()))


@pytest.mark.parametrize("language", ["English", "Türkçe"])
def test_hostile_names_are_only_names(
    folder: SiteFolder, archive: ArchiveFolder, run_app: RunApp, language: str
) -> None:
    """Of people, cards, charge points, the site, reasons and flags."""
    now, _, _ = months()
    begin = now.replace(day=1, hour=0, minute=0)
    hour, day = f"{begin:%Y-%m-%d}T00:00+03:00", f"{begin:%Y-%m-%d}"
    folder.write_server(month=f"{now:%Y-%m}", site_name=HOSTILE[0])
    no_text = "\ud800"
    folder.write("energy_usage.json", dict.fromkeys([*HOSTILE, no_text], 1.0))
    archive.write_sessions(
        f"{now:%Y-%m}",
        [session_row(1, name, name, name, begin.astimezone(UTC), reason=name, flags=name) for name in HOSTILE],
    )
    archive.write_energy(
        f"{now:%Y-%m}", {name: {hour: 1.0} for name in HOSTILE}, {name: {day: 1.0} for name in HOSTILE}
    )

    app = run_app("report", language)

    assert next(iter(tiles(app).values()))[0] in {"10.0 kWh", "10,0 kWh"}
    assert people(app)["used"].tolist() == [1.0] * (len(HOSTILE) + 1)
    assert people(app)["sessions"].sum() == len(HOSTILE)
    assert max(map(len, [*people(app).index, *people(app)["name"], *chargers(app).index])) <= 100
    assert "<img" not in texts(app)


NEW_YEAR = datetime(2024, 12, 31, 21, tzinfo=UTC)
"""Midnight in Istanbul."""


def _user(tag: str, quota: int | None, account: str = "") -> User:
    return User(IdTag(tag), Account(account or tag), f"Mx {tag}", "", None if quota is None else Wh(quota))


USERS = (_user("ADA", 9_000, "flat 1"), _user("BOB", 9_000, "flat 1"), _user("EVE", None), _user("ZOE", 0))


def _story() -> list[cmd.Command]:
    """A session over midnight of the new year, a free one, an open one, corrections by hand."""
    hour = timedelta(hours=1)

    def session(charger: str, tag: str, begin: datetime, end: datetime | None, wh: int) -> list[cmd.Command]:
        started = cmd.StartTransaction(charger, begin, 1, tag, 0, begin.isoformat())
        return [started] if end is None else [started, cmd.StopTransaction(charger, end, 0, wh, end.isoformat())]

    return [
        cmd.OpenMonth(NEW_YEAR - 9 * hour, Month("2024-12")),
        cmd.ReplaceUsers(NEW_YEAR, UserTable({user.id_tag: user for user in USERS})),
        cmd.ReplaceChargers(NEW_YEAR, (ChargerRow("CP1", name="@Gate"), ChargerRow("FREE", access=Access.FREE))),
        cmd.Connect("CP1", NEW_YEAR - 9 * hour),
        cmd.Connect("FREE", NEW_YEAR - 9 * hour),
        *session("CP1", "ADA", NEW_YEAR - hour, NEW_YEAR + 2 * hour, 10_001),
        cmd.OpenMonth(NEW_YEAR + hour, Month("2025-01")),
        *session("CP1", "EVE", NEW_YEAR + 3 * hour, NEW_YEAR + 4 * hour, 7_777),
        *session("FREE", "BOB", NEW_YEAR + 3 * hour, NEW_YEAR + 4 * hour, 3_003),
        *session("CP1", "BOB", NEW_YEAR + 5 * hour, NEW_YEAR + 6 * hour, 4_321),
        cmd.Adjust(NEW_YEAR + 7 * hour, IdTag("ADA"), Wh(-57), "read wrongly", "Bob"),
        cmd.Adjust(NEW_YEAR + 7 * hour, IdTag("GUEST"), Wh(11), "guest", "Bob"),
        *session("CP1", "ADA", NEW_YEAR + 8 * hour, None, 0),
    ]


def _live(folder: SiteFolder) -> Site:
    """Carry the story out on a ledger in this folder."""
    policy = Policy(ZoneInfo("Europe/Istanbul"))
    ledger = Ledger(folder.path / "ledger.db", policy, NEW_YEAR, reserve_bytes=0)
    ledger.open()
    site, last = Site(policy), 0
    for command in _story():
        if isinstance(command, cmd.StopTransaction):
            command = cmd.StopTransaction(  # noqa: PLW2901 - with the number that the session got
                command.charge_point_id, command.at, last, command.meter_stop, command.timestamp
            )
        decision = decide(site, command)
        if isinstance(decision.reply, cmd.Started):
            last = decision.reply.transaction_id
        asyncio.run(ledger.commit(decision.changes))
        for change in decision.changes:
            apply(site, change)
    ledger.close()
    return site


@pytest.mark.parametrize("month", ["2024-12", "2025-01"])
def test_the_figures_are_those_of_the_command_report(
    folder: SiteFolder, archive: ArchiveFolder, run_app: RunApp, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str], month: str,
) -> None:  # fmt: skip
    """Two ways from the same books, the one by the ledger, the other by the files: the same Wh for everybody."""
    site = _live(folder)
    for each in ("2024-12", "2025-01"):
        archive.write(f"energy_usage-{each}.json", documents.energy_usage(site, Month(each)).decode())
        archive.write(f"energy_hourly-{each}.json", documents.energy_hourly(site, Month(each)).decode())
        archive.write(f"sessions-{each}.csv", sessions_csv(site, Month(each)).decode())
    folder.write("users1.csv", "id_tag,name,surname,quota_kwh,unlimited,account\n" + "".join(
        f"{user.id_tag},{user.name},,{(user.quota or 0) / 1000},{user.quota is None},{user.account}\n" for user in USERS
    ))  # fmt: skip
    folder.write_server()
    code, printed, _ = Keyboard(monkeypatch, capfd)(
        folder.path, "report", "--month", month, "--json", timezone="Europe/Istanbul"
    )
    assert code == 0
    command = json.loads(printed)

    app = run_app("report")
    app.selectbox(key="report_month").select(datetime.fromisoformat(f"{month}-01").date()).run()
    shown = people(app)

    assert not app.exception
    energy = sum(session["energy_wh"] + session["free_wh"] for session in command["sessions"])
    assert tiles(app)["Energy charged"][0] == f"{energy / 1000:.1f} kWh"
    assert f"{command['energy_wh'] / 1000:.1f} kWh of it count on quotas" in texts(app)
    ended = [session for session in command["sessions"] if (session["end"] or "").startswith(month)]
    assert tiles(app)["Sessions ended"][0] == str(len(ended))
    assert set(shown.index) == {user["id_tag"] for user in command["users"]}
    for user in command["users"]:
        row = shown.loc[user["id_tag"]]
        over = 0 if user["quota_wh"] is None else max(0, user["account_wh"] - user["quota_wh"])
        assert round(row["used"] * 1000) == user["account_wh"]
        assert round((0 if pd.isna(row["over"]) else row["over"]) * 1000) == over
        free = row["free"] if "free" in shown and not pd.isna(row["free"]) else 0
        assert round(free * 1000) == user["free_wh"]
        assert list(row["state"]) == (["no limit"] if user["unlimited"] else list(row["state"]))
