"""Manage: open questions, alerts and system. What is asked of the server, and what is said of its answer."""

import re
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from manage_api import (
    HEALTH,
    MONTH,
    PROJECT,
    SETTING,
    ManageApi,
    alert,
    answer_normally,
    destination,
    open_page,
    orphan,
    serving,
    set_aside,
    texts,
)
from site_folder import SiteFolder
from streamlit.testing.v1 import AppTest

from dashboard import alert_list, site_state
from dashboard import set_aside as asides
from dashboard.texts import words_of

ENGLISH = words_of("en")


@pytest.fixture
def api(folder: SiteFolder, sign_in: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> Iterator[ManageApi]:
    """A control API where all is well, and an administrator."""
    sign_in("admin")
    folder.write("api_token", "token-of-the-administrator")
    folder.write_five()
    folder.write_server()
    with serving() as made:
        monkeypatch.setenv("EVQUOTA_API_URL", made.url)
        answer_normally(made)
        yield made


def system(part: str, **state: Any) -> AppTest:
    return open_page("manage_system", state=state, system_part=ENGLISH(f"manage_system.part.{part}"))


def decide_script() -> None:
    import streamlit as st

    from dashboard.set_aside_dialog import decide
    from dashboard.told import show_told

    show_told()
    decide(st.session_state["number"])


def deciding(number: int) -> AppTest:
    """The dialog of one question, open in each run."""
    app = AppTest.from_function(decide_script, default_timeout=60)
    app.session_state["number"] = number
    return app.run()


def test_a_reading_is_accepted_with_a_reason_and_nothing_else(api: ManageApi) -> None:
    """Its session and its energy are known; all that is known stands above the buttons."""
    api.answer("GET", "/set-aside/3", set_aside(3))
    api.answer("POST", "/set-aside/3/accept", set_aside(3, state="accepted", booked_wh=89_998_500))

    app = deciding(3)
    assert "Meter reading set aside: 90,000,000.0 kWh" in texts(app)
    app.text_input(key="set_aside_reason").set_value(" seen on the meter ")
    app.button(key="accept").click().run()

    assert api.done() == [("POST", "/set-aside/3/accept", {"reason": "seen on the meter"})]
    assert app.success[0].value == "Question 3 is accepted: 89,998.5 kWh booked."


def test_an_orphan_is_accepted_with_card_and_energy(api: ManageApi) -> None:
    """A person says whose it is, and how much."""
    api.answer("GET", "/set-aside/4", orphan(4))
    api.answer("POST", "/set-aside/4/accept", orphan(4, state="accepted", booked_wh=12_345))

    app = deciding(4)
    app.text_input(key="set_aside_card").set_value("RFID002")
    app.number_input(key="set_aside_kwh").set_value(12.345)
    app.text_input(key="set_aside_reason").set_value("as the driver says")
    app.button(key="accept").click().run()

    body = {"reason": "as the driver says", "id_tag": "RFID002", "kwh": 12.345}
    assert api.done() == [("POST", "/set-aside/4/accept", body)]


@pytest.mark.parametrize(
    ("entry", "deed", "said"),
    [
        (set_aside(5), "accept", {}),
        (set_aside(5), "drop", {}),
        (set_aside(5), "drop", {"set_aside_reason": "  "}),
        (orphan(5), "accept", {"set_aside_reason": "because", "set_aside_card": "RFID001"}),
        (orphan(5, id_tag="RFID001"), "accept", {"set_aside_reason": "because"}),
    ],
    ids=["no reason", "drop without", "blank reason", "no energy", "no energy of a known card"],
)
def test_nothing_is_decided_while_something_is_missing(
    entry: Any, deed: str, said: dict[str, str], api: ManageApi
) -> None:
    """It is told, and nothing is asked of the server."""
    api.answer("GET", "/set-aside/5", entry)

    app = deciding(5)
    for key, text in said.items():
        app.text_input(key=key).set_value(text)
    app.button(key=deed).click().run()

    assert not api.done()
    assert [each.value for each in app.error] == [ENGLISH("manage_set_aside.incomplete")]


def test_what_somebody_else_decided_first_is_told(api: ManageApi) -> None:
    """Nothing is booked twice; the next look shows how it was decided."""
    api.answer("GET", "/set-aside/6", set_aside(6))
    api.refuse("POST", "/set-aside/6/drop", 409, "number 6 was accepted by ayşe")

    app = deciding(6)
    app.text_input(key="set_aside_reason").set_value("never flowed")
    app.button(key="drop").click().run()

    assert api.done() == [("POST", "/set-aside/6/drop", {"reason": "never flowed"})]
    assert app.error[0].value.startswith(ENGLISH("asking.conflict"))
    assert not app.success


def test_a_decided_one_offers_nothing(api: ManageApi) -> None:
    """It says by whom, and why."""
    decided = {"state": "dropped", "decided_by": "ayşe", "decided_at": "2026-11-20T09:00:00Z", "decision_reason": "why"}
    api.answer("GET", "/set-aside/7", set_aside(7, **decided))

    app = deciding(7)

    assert not app.button
    assert re.search(r"Decided: ayşe · .* · why", texts(app))


def test_the_filter_is_asked_of_the_server(api: ManageApi) -> None:
    """The open ones at first."""
    open_page("manage_set_aside")
    app = open_page("manage_set_aside", state={"set_aside_charger": "CP_01"}, set_aside_state="all")

    first, second = api.read("/set-aside")
    assert (first["state"], first.get("charge_point")) == ("open", None)
    assert (second.get("state"), second["charge_point"]) == (None, "CP_01")
    assert list(app.dataframe[0].value["decide"]) == ["Decide…", "Decide…"]


def test_an_amount_that_nobody_believes_is_not_proposed() -> None:
    """The field has its limits; a person may still say another amount."""
    assert asides.proposed_kwh(orphan(1, wh=12_345)) == 12.345
    assert asides.proposed_kwh(orphan(1, wh=10**12 - 1)) is None
    assert asides.proposed_kwh(orphan(1, wh=-1)) is None


def test_an_alert_is_taken_with_one_click(api: ManageApi) -> None:
    """Under the name of whoever clicked; ids hold ids of charge points."""
    api.answer("GET", "/alerts", {"alerts": [alert("silent-A/B"), alert("other")]})
    api.answer("POST", "/alerts/silent-A%2FB/acknowledge", alert("silent-A/B", state="acknowledged"))
    app = open_page("manage_alerts")
    assert ENGLISH("manage_alerts.todo.charge point silent") in texts(app)
    taken = alert("silent-A/B", state="acknowledged", acknowledged_by="admin", acknowledged_at="2026-11-20T09:00:00Z")
    api.answer("GET", "/alerts", {"alerts": [taken, alert("other")]})

    app.button(key="take_silent-A/B").click().run()

    assert api.done() == [("POST", "/alerts/silent-A%2FB/acknowledge", None)]
    assert {each.by for each in api.asked} == {"admin"}
    assert [each.value for each in app.subheader] == ["Nobody has seen yet (1)", "Somebody takes care (1)"]
    assert "admin takes care since" in texts(app)


def test_an_alert_that_is_over_by_now_is_told_as_such(api: ManageApi) -> None:
    """It is no error."""
    app = open_page("manage_alerts")
    api.refuse("POST", "/alerts/silent-CP_01/acknowledge", 404, "no such alert")

    app.button(key="take_silent-CP_01").click().run()

    assert [each.value for each in app.error] == [ENGLISH("manage_alerts.over")]


def test_there_is_something_to_do_for_every_kind_of_alert() -> None:
    """The kinds are those of docs/files.md."""
    table = (PROJECT / "docs" / "files.md").read_text(encoding="utf-8").split("## alerts.json")[1].split("\n## ")[0]
    rows = [line.split(" | ") for line in table.splitlines() if re.search(r"\| (critical|warning|info) \|", line)]
    kinds = [kind for row in rows for kind in re.findall("`([^`]+)`", row[1])]

    assert len(kinds) >= 15
    assert not [kind for kind in kinds if not alert_list.what_to_do({"kind": kind}, ENGLISH)]


def test_health_says_what_is_wrong(api: ManageApi) -> None:
    """503 is an answer, too: the one that matters."""
    wrong = {"name": "disk", "ok": False, "detail": "12 MiB are free"}
    api.answer("GET", "/healthz", {"status": "not ok", "checks": [*HEALTH["checks"], wrong]}, 503)

    app = system("health")

    assert [metric.value for metric in app.metric][1] == "1 wrong"
    assert app.dataframe[0].value["detail"].iloc[1] == "12 MiB are free"
    assert not app.error


def test_the_newest_backup_is_that_of_the_folder(tmp_path: Path) -> None:
    """A name that is none of ours is not looked at."""
    assert site_state.newest_backup(tmp_path) is None
    (tmp_path / "backup").mkdir()
    for name in ("ledger-2026-11-18.db", "ledger-2026-11-19.db", "ledger-2026-11-30.db.tmp", "else"):
        (tmp_path / "backup" / name).touch()

    assert site_state.newest_backup(tmp_path) == date(2026, 11, 19)


def test_settings_are_as_the_server_masks_them(api: ManageApi) -> None:
    """And only those that are not the default, if wanted."""
    secret = {"name": "EVQUOTA_X_TOKEN", "value": "***", "default": "", "is_default": False, "description": "A secret."}
    api.answer("GET", "/settings", {"settings": [SETTING, secret]})

    assert list(system("settings").dataframe[0].value["value"]) == ["9001", "***"]
    assert list(system("settings", setting_changed=True).dataframe[0].value["name"]) == ["EVQUOTA_X_TOKEN"]
    assert ENGLISH("manage_system.settings_none") in texts(system("settings", setting_search="nothing"))


def test_the_audit_is_asked_for_by_charger_card_and_days_of_the_site(api: ManageApi) -> None:
    """The last day is whole; midnight is that of Istanbul."""
    days = (date(2026, 11, 18), date(2026, 11, 19))
    system("audit", audit_charger="CP_02", audit_card=" RFID001 ", audit_days=days)

    (query,) = api.read("/audit")
    assert (query["charge_point"], query["id_tag"]) == ("CP_02", "RFID001")
    assert (query["since"], query["until"]) == ("2026-11-18T00:00:00+03:00", "2026-11-20T00:00:00+03:00")


def test_a_paused_delivery_goes_on_by_its_button(api: ManageApi) -> None:
    """One that is well has none."""
    waiting = destination("to/campus", "paused", reason="401", set_aside=2)
    api.answer("GET", "/destinations", {"destinations": [destination("other"), waiting]})
    api.answer("POST", "/destinations/to%2Fcampus/resume", waiting)

    app = system("deliveries")
    assert [button.key for button in app.button if button.key and button.key.startswith(("resume", "refused"))] == [
        "resume_to%2Fcampus", "refused_to%2Fcampus",
    ]  # fmt: skip
    app.button(key="resume_to%2Fcampus").click().run()

    assert api.done() == [("POST", "/destinations/to%2Fcampus/resume", None)]
    assert "is tried again at once" in app.success[0].value


def test_what_was_refused_is_sent_again(api: ManageApi) -> None:
    """All of it, if none is picked."""
    entry = {"number": 5, "lane": "CP_01", "key": "k", "at": "2026-11-20T08:00:00Z", "reason": "422", "is_due": True}
    api.answer("GET", "/destinations", {"destinations": [destination("d", set_aside=1)]})
    api.answer("GET", "/destinations/d/set-aside", {"entries": [entry], "next": None})
    api.answer("POST", "/destinations/d/set-aside/resend", {"due": 1})

    def script() -> None:
        from dashboard.delivery_panel import _refused
        from dashboard.told import show_told

        show_told()
        _refused("d")

    app = AppTest.from_function(script, default_timeout=60).run()
    assert app.dataframe[0].value.iloc[0]["due"] == "is sent again"
    app.button(key="resend").click().run()

    assert api.done() == [("POST", "/destinations/d/set-aside/resend", {})]
    assert app.success[0].value == "1 entry is sent again soon."


def month_script() -> None:
    import streamlit as st

    from dashboard.month_panel import _remedy
    from dashboard.told import show_told

    show_told()
    _remedy(*st.session_state["remedy"])


@pytest.mark.parametrize(
    ("remedy", "reason", "body"),
    [
        ("confirm", "", {"month": "2026-12"}),
        ("undo", "wrong clock", {"month": "2026-11", "back_to": "2026-12", "reason": "wrong clock"}),
        ("undo", "", None),
    ],
)
def test_a_word_on_the_month_names_the_months(remedy: str, reason: str, body: Any, api: ManageApi) -> None:
    """So that a click on an old page does nothing; to go back needs a reason."""
    month = MONTH | {"clock_month": "2026-12", "suspect": "jumped", "remedy": remedy}
    api.answer("POST", f"/month/{remedy}", month)
    app = AppTest.from_function(month_script, default_timeout=60)
    app.session_state["remedy"] = (remedy, month)
    app.run()
    if reason:
        app.text_input(key="month_reason").set_value(reason)

    app.button(key="month_yes").click().run()

    assert api.done() == ([("POST", f"/month/{remedy}", body)] if body else [])
    assert len(app.error) == (body is None)


def test_a_suspect_clock_is_said_with_its_remedy(api: ManageApi) -> None:
    """Rule 11: no month opens by itself while the clock is not believed."""
    suspect = {"clock_month": "2027-03", "suspect": "the clock jumped **4** months", "remedy": "confirm"}
    api.answer("GET", "/month", MONTH | suspect)

    app = system("month")

    assert app.error[0].value == r"the clock jumped \*\*4\*\* months"
    assert [button.label for button in app.button if button.key == "month_remedy"] == [
        r"The clock is right: open 2027\-03…"
    ]
