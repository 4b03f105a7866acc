"""The users page: tiles, filter by state, who charges now, and the panel of an account."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

from site_folder import SiteFolder, session
from streamlit.testing.v1 import AppTest

from dashboard.archive_files import archive_in
from dashboard.exports import csv_of
from dashboard.quotas import QuotaState, UserLine, charging_cards
from dashboard.records import Session, Site, Wh
from dashboard.site_tables import user_export
from dashboard.texts import words_of
from dashboard.user_history import user_history
from dashboard.view import days_left

HEAD = "transaction,charger_id,charger,connector,id_tag,name,start_utc,end_utc,energy_kwh,duration_min,reason,flags\n"


def archive(folder: Path) -> SiteFolder:
    (folder / "archive").mkdir()
    return SiteFolder(folder / "archive")


def test_the_history_of_an_account_holds_all_its_cards_and_no_month_that_no_file_tells_of(tmp_path: Path) -> None:
    """Cards are compared without regard to case (OCPP 1.6 §7.28)."""
    files = archive(tmp_path)
    files.write(
        "energy_hourly-2026-11.json",
        {
            "chargers": {},
            "tags": {"A": {"2026-11-02": 1.5}, "b": {"2026-11-02": 2, "2026-11-03": 1}, "C": {"2026-11-01": 9}},
        },
    )
    files.write("energy_usage-2026-09.json", {"A": 3.0, "C": 4.0})
    files.write("sessions-2026-10.csv", f"{HEAD}1,CP,Gate,1,A,x,,2026-10-31T20:00:00Z,1.0,5,other,\n")
    files.write("sessions-2026-11.csv", f"{HEAD}2,CP,Gate,1,B,x,,2026-11-03T20:00:00Z,1.0,5,other,\n"
                                        "3,CP,Gate,1,C,x,,2026-11-03T21:00:00Z,1.0,5,other,\n")  # fmt: skip

    told = user_history(
        ["A", "B"], Site(usage={"A": Wh(4500), "C": Wh(1)}), archive_in(tmp_path), date(2026, 11, 1), date(2026, 11, 3)
    )

    assert told.days == {date(2026, 11, 1): 0, date(2026, 11, 2): 3500, date(2026, 11, 3): 1000}
    assert [each.transaction_id for each in told.sessions] == ["2", "1"]
    assert told.months == {date(2026, 9, 1): 3000, date(2026, 11, 1): 4500}


def test_without_an_archive_nothing_is_made_up(tmp_path: Path) -> None:
    """Not known is not zero."""
    told = user_history(["A"], Site(), archive_in(tmp_path), date(2026, 11, 1), date(2026, 11, 3))

    assert (told.days, told.sessions, told.months) == (None, (), {})


def test_who_charges_now_is_found_in_any_case() -> None:
    """A session may carry the card as the charger spelled it."""
    lines = [UserLine(tag, "", tag, Wh(0), None, QuotaState.NO_LIMIT) for tag in ("Card", "other")]

    assert charging_cards(Site(sessions=(Session("1", "CARD", "", "CP"),)), lines) == {"Card"}


def test_the_days_until_quotas_are_counted_anew() -> None:
    """On the last day it is one; a month that waits (suspect clock) has none left."""
    assert days_left(date(2026, 11, 1), date(2026, 11, 30)) == 1
    assert days_left(date(2026, 12, 1), date(2026, 12, 1)) == 31
    assert days_left(date(2026, 10, 1), date(2026, 11, 20)) == 0


def test_tiles_count_accounts_and_who_charges(folder: SiteFolder, run_app: Callable[..., AppTest]) -> None:
    """The table says it by card."""
    folder.write_five()
    folder.write_server()

    app = run_app("users")

    assert {tile.label: tile.value for tile in app.metric} == {
        "Cards": "4", "Near limit": "2", "Over quota": "1", "Charging now": "1",
    }  # fmt: skip
    table = app.dataframe[0].value.set_index("card")
    assert table["charging"].to_dict() == {"RFID004": "", "RFID002": "", "RFID001": "charging", "RFID003": ""}


def test_the_filter_by_state_leaves_those_that_have_it(folder: SiteFolder, run_app: Callable[..., AppTest]) -> None:
    """Together with the search."""
    folder.write_five()
    folder.write_server()

    app = run_app("users")
    app.multiselect(key="user_states").set_value(["near"]).run()

    assert not app.exception
    assert sorted(app.dataframe[0].value["card"]) == ["RFID001", "RFID002"]


def panel_script() -> None:
    from dashboard import user_panel

    user_panel.show_panel("RFID001")


def test_the_panel_tells_of_an_account(folder: SiteFolder) -> None:
    """With and without an archive."""
    folder.write_five()
    folder.write_server()

    bare = AppTest.from_function(panel_script, default_timeout=30).run()
    archive(folder.path).write(
        "sessions-2026-11.csv", f"{HEAD}2,CP,Gate,1,RFID001,x,,2026-11-03T20:00:00Z,1.5,5,other,\n"
    )
    full = AppTest.from_function(panel_script, default_timeout=30).run()

    assert not bare.exception
    assert not full.exception
    assert bare.markdown[0].value == "120.0 kWh of 150.0 kWh used, 30.0 kWh left."
    assert "No finished session in this month or the month before." in [each.value for each in bare.caption]
    assert full.dataframe[0].value["energy"].tolist() == [1.5]


def test_the_panel_of_a_hostile_name_shows_text(folder: SiteFolder) -> None:
    """The title is Markdown."""
    folder.write(
        "users1.csv", "id_tag,name,surname,quota_kwh,unlimited,account\nRFID001,**x**,<b>,,TRUE,a\nR2,y,,,TRUE,a\n"
    )
    folder.write("active_transactions.json", {"1": session(datetime.now(UTC))})

    app = AppTest.from_function(panel_script, default_timeout=30).run()

    assert not app.exception
    assert app.caption[0].value == "Shared with R2."
    assert app.markdown[0].value == "0.0 kWh used, no limit."


def test_the_file_of_users_has_exact_figures_and_no_formula() -> None:
    """Without limit the quota is blank, not 0."""
    lines = [
        UserLine("0012", "=cmd()", "0012", Wh(1_234), Wh(2_000), QuotaState.OK),
        UserLine("X", "Ayşe", "X", Wh(5), None, QuotaState.NO_LIMIT),
    ]

    content = csv_of(user_export(lines, words_of("en"))).decode("utf-8-sig")

    assert content.splitlines() == [
        "Name,Card,Account,State,Quota used,Used kWh,Quota kWh,Left kWh",
        "'=cmd(),0012,0012,ok,61,1.234,2.0,0.766",
        "Ayşe,X,X,no limit,,0.005,,",
    ]
