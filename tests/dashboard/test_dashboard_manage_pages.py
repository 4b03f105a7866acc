"""The pages Manage: chargers, open questions, alerts and system, on sites in good and bad states."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from manage_api import (
    ManageApi,
    alert,
    answer_normally,
    charge_point,
    deed,
    destination,
    message,
    open_page,
    serving,
    set_aside,
    texts,
)
from site_folder import SiteFolder, stamp
from streamlit.testing.v1 import AppTest

from dashboard.charge_point_panel import PARTS as CHARGER_PARTS
from dashboard.texts import words_of

ENGLISH, TURKISH = words_of("en"), words_of("tr")
SYSTEM_PARTS = ("health", "month", "deliveries", "audit", "settings")
PLACES: dict[str, tuple[str, dict[str, str]]] = {
    "chargers": ("manage_chargers", {}),
    **{f"charger-{part}": ("manage_chargers", {"charger": "CP_01", "charger_part": part}) for part in CHARGER_PARTS},
    "set_aside": ("manage_set_aside", {}),
    "alerts": ("manage_alerts", {"alert_history_shown": "true"}),
    **{f"system-{part}": ("manage_system", {"system_part": part}) for part in SYSTEM_PARTS},
}
PARTS = [place for place in PLACES if "-" in place and place != "system-health"]
"""What nobody sees who only opens a page: `test_dashboard_every_page` looks at the pages."""
HOSTILE = (
    "**b** <img src=x onerror=alert(1)> :material/home: $x$ \u202eevil\u202c =1+1 www.evil.example ![i](http://e/i.png)"
)


@pytest.fixture
def api(folder: SiteFolder, sign_in: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> Iterator[ManageApi]:
    """A control API, and an administrator who looks at the pages."""
    sign_in("admin")
    folder.write("api_token", "token-of-the-administrator")
    folder.write("api_viewer_token", "token-of-the-viewer")
    with serving() as made:
        monkeypatch.setenv("EVQUOTA_API_URL", made.url)
        yield made


def visit(place: str, language: str = "English") -> AppTest:
    """Open a part of a page; its name stands in the address as the page shows it."""
    page, query = PLACES[place]
    words = words_of("tr" if language == "Türkçe" else "en")
    of_part = {"charger_part": "manage_chargers.part", "system_part": "manage_system.part"}
    told = {key: words(f"{of_part[key]}.{value}") if key in of_part else value for key, value in query.items()}
    return open_page(page, language, **told)


@pytest.mark.parametrize("place", PARTS)
def test_a_normal_site_shows_each_part_without_a_complaint(place: str, folder: SiteFolder, api: ManageApi) -> None:
    """In Turkish, so that no text is missing there."""
    folder.write_five()
    folder.write_server()
    answer_normally(api)

    app = visit(place, "Türkçe")

    assert app.header[0].value.startswith("Campus · ")
    assert not app.error
    assert not [each for each in app.info if "(" in str(each.value)]


def test_what_each_page_shows_of_a_normal_site(folder: SiteFolder, api: ManageApi) -> None:
    """Figures of the API, in words."""
    folder.write_five()
    folder.write_server()
    answer_normally(api)

    row = visit("chargers").dataframe[0].value.iloc[1]
    assert (row["charger"], row["made_by"], row["access"], list(row["state"])) == (
        "Gate (CP_01)", "Generic AC-22", "by quota", ["connected"],
    )  # fmt: skip
    reading, orphan = visit("set_aside").dataframe[0].value.to_dict("records")
    assert (reading["kind"], reading["energy"], reading["transaction"]) == ("reading set aside", 89998.5, "59")
    assert orphan["energy"] != orphan["energy"]  # not known is no zero
    assert r"text of silent\-CP\_01" in texts(visit("alerts"))
    assert [metric.value for metric in visit("system-health").metric] == ["0.1.0", "all well", "none yet"]
    assert visit("system-audit").dataframe[0].value.iloc[0]["details"] == "reason: guest"
    assert visit("system-settings").dataframe[0].value.iloc[0]["name"] == "EVQUOTA_API_PORT"


@pytest.mark.parametrize("place", ["chargers", "charger-row", "alerts", "system-health"])
def test_a_server_that_cannot_be_reached_is_said_and_nothing_is_made_up(
    place: str, folder: SiteFolder, api: ManageApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server stopped an hour ago; only its files are there."""
    monkeypatch.setenv("EVQUOTA_API_URL", "http://127.0.0.1:9")
    folder.write_five()
    folder.write_server(time=stamp(datetime.now(UTC) - timedelta(hours=1)))

    app = visit(place)

    assert ENGLISH("asking.unreachable") in [each.value for each in app.error]
    assert not app.dataframe


@pytest.mark.parametrize("place", ["chargers", "set_aside", "alerts", "system-audit", "system-deliveries"])
def test_an_empty_site_says_that_there_is_none(place: str, folder: SiteFolder, api: ManageApi) -> None:
    """No file, and empty lists."""
    for path in ("charge-points", "set-aside", "alerts", "destinations", "audit"):
        api.answer("GET", f"/{path}", {path.replace("-", "_"): [], "next": None})
    api.answer("GET", "/alerts/history", {"notes": [], "next": None})

    app = visit(place)

    assert not app.dataframe
    said = {
        "chargers": "manage_chargers.none", "set_aside": "manage_set_aside.none_open", "alerts": "manage_alerts.none",
        "system-audit": "manage_system.audit_none", "system-deliveries": "manage_system.no_destination",
    }  # fmt: skip
    assert ENGLISH(said[place]) in texts(app)


@pytest.mark.parametrize("place", ["set_aside", "system-month", "system-deliveries"])
def test_a_server_without_the_route_has_none_of_it(place: str, folder: SiteFolder, api: ManageApi) -> None:
    """404 for the route is no error of the page."""
    folder.write_five()
    folder.write_server()

    app = visit(place)

    said = {
        "set_aside": "manage_set_aside.absent", "system-month": "manage_system.no_month_route",
        "system-deliveries": "manage_system.no_deliveries",
    }  # fmt: skip
    assert [each.value for each in app.info] == [ENGLISH(said[place])]
    assert not app.error


@pytest.mark.parametrize(
    ("place", "body"),
    [
        ("charger-row", ["x"]), ("charger-leaks", {}), ("charger-commands", {}),
        ("charger-messages", {}), ("system-month", b"<html>"), ("system-deliveries", None), ("system-audit", {}),
    ],
)  # fmt: skip
def test_an_answer_that_makes_no_sense_breaks_no_page(
    place: str, body: Any, folder: SiteFolder, api: ManageApi
) -> None:
    """Something else may listen at the port; and a corrupt file beside it."""
    folder.write("server_status.json", "{")
    answer_normally(api)
    for key in api.answers:
        api.answers[key] = (200, body)

    visit(place)


def hostile(document: Any) -> Any:
    """The same with every text hostile, but for those that are words of the API."""
    kept = {"admission", "state", "severity", "at", "since", "received_at", "first_seen", "last_seen", "outbox", "id",
            "direction", "kind", "last_delivered_at", "decided_at", "access"}  # fmt: skip
    if isinstance(document, dict):
        return {key: value if key in kept else hostile(value) for key, value in document.items()}
    if isinstance(document, list):
        return [hostile(each) for each in document]
    return HOSTILE + "x" * 10_000 if isinstance(document, str) else document


@pytest.mark.parametrize("place", [*PARTS, "alerts"])
def test_hostile_texts_are_texts(place: str, folder: SiteFolder, api: ManageApi) -> None:
    """Markdown, HTML, formulas, right-to-left, 10,000 characters: from charge points, cards, whoever did it."""
    folder.write_five()
    folder.write_server(version=HOSTILE)
    answer_normally(api)
    mend = {"key": "a", "value": "b"}
    leak = {"key": "k", "value": "v", "why": "w", "mend": mend}
    api.answer("GET", "/charge-points/CP_01/leaks", {"charge_point": "CP_01", "leaks": [leak]})
    kept = {"messages": [message(1, payload={"x": "y"}), message(2, kind="error"), message(3, payload=None)]}
    api.answer("GET", "/charge-points/CP_01/messages", kept | {"next": 1})
    api.answer("GET", "/destinations", {"destinations": [destination("d", "paused", reason="r", set_aside=2)]})
    api.answer("GET", "/month", {"open_month": "x", "clock_month": "y", "suspect": "z", "remedy": ""})
    for key, (status, body) in list(api.answers.items()):
        api.answers[key] = (status, hostile(body))

    app = visit(place)

    shown = texts(app).replace("\u2060", "")
    assert "<img" not in shown.replace("\\<img", "")
    assert "**b**" not in shown
    assert "\u202e" not in shown
    for table in app.dataframe:
        assert (
            not table.value.astype(str).map(lambda cell: "\u202e" in str(cell) or len(str(cell)) > 1100).any(axis=None)
        )


def test_forty_chargers_and_many_alerts_and_questions(folder: SiteFolder, api: ManageApi) -> None:
    """All chargers in one table, at most fifty alerts one by one, questions and deeds by pages."""
    folder.write("users1.csv", "id_tag,quota_kwh\n" + "".join(f"T{number},100\n" for number in range(1000)))
    folder.write_server()
    waiting = [charge_point(f"W_{number:02}", admission="pending") for number in range(20)]
    approved = [charge_point(f"CP_{number:02}") for number in range(40)]
    api.answer("GET", "/charge-points", {"charge_points": waiting + approved})
    api.answer("GET", "/alerts", {"alerts": [alert(f"a{number}") for number in range(120)]})
    api.answer("GET", "/set-aside", {"set_aside": [set_aside(number) for number in range(100, 50, -1)], "next": 51})
    api.answer("GET", "/audit", {"audit": [deed(number) for number in range(100, 50, -1)], "next": 51})

    chargers = visit("chargers")
    assert len(chargers.dataframe[0].value) == 60
    assert sum(button.label == "Approve…" for button in chargers.button) == 20
    alerts = visit("alerts")
    assert sum(button.label == "I take care" for button in alerts.button) == 50
    assert ENGLISH("bars.more", number=70) in texts(alerts)
    for place, path, prefix in (("set_aside", "/set-aside", "set_aside"), ("system-audit", "/audit", "audit")):
        app = visit(place)
        app.button(key=f"{prefix}_older").click().run()
        assert not app.exception
        assert api.read(path)[-1]["before"] == "51"
        assert "page 2" in texts(app)
        app.button(key=f"{prefix}_newest").click().run()
        assert "before" not in api.read(path)[-1]


@pytest.mark.parametrize("page", ["manage_chargers", "manage_set_aside", "manage_alerts", "manage_system"])
def test_a_viewer_has_no_such_page(
    page: str, folder: SiteFolder, sign_in: Callable[[str], None], api: ManageApi
) -> None:
    """The navigation does not know it: whoever opens its address gets the first page."""
    folder.write_five()
    folder.write_server()
    answer_normally(api)
    sign_in("viewer")

    app = open_page(page)

    assert not [each for each in api.asked if each.path in {"/charge-points", "/set-aside", "/alerts", "/settings"}]
    assert app.header[0].value == "Campus · Overview"
