"""Manage: chargers. What is asked of the server, what is said of its answer, and that nothing is sent unasked."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from manage_api import ManageApi, answer_normally, charge_point, message, open_page, serving, texts
from site_folder import SiteFolder
from streamlit.testing.v1 import AppTest

from dashboard import charge_points, ocpp_calls
from dashboard.control_api import ApiProblem
from dashboard.texts import words_of
from ocpp_server.ocpp16.requests import REQUESTS, check

ENGLISH = words_of("en")
MADE = "0123456789abcdef0123456789abcdef"
CP = "SCHNEIDER/EVlink 1"
IN_PATH = "/charge-points/SCHNEIDER%2FEVlink%201"


@pytest.fixture
def api(folder: SiteFolder, sign_in: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> Iterator[ManageApi]:
    """A control API that knows one charge point, with a slash in its id; and an administrator."""
    sign_in("admin")
    folder.write("api_token", "token-of-the-administrator")
    folder.write_five()
    folder.write_server()
    with serving() as made:
        monkeypatch.setenv("EVQUOTA_API_URL", made.url)
        answer_normally(made)
        made.answer("GET", IN_PATH, charge_point(CP, address="10.0.0.7", max_kw=22.0, brand="LIVOLTEK"))
        yield made


def one(part: str = "row", **state: Any) -> AppTest:
    """Open the charge point."""
    return open_page("manage_chargers", state=state, charger=CP, charger_part=ENGLISH(f"manage_chargers.part.{part}"))


def dialog_script() -> None:
    import streamlit as st

    from dashboard.charge_point_dialogs import ask
    from dashboard.told import show_told

    show_told()
    ask(*st.session_state["charger_deed"])


def asked_to(deed: str) -> AppTest:
    """Open the dialog of a deed; here it is open in each run, because AppTest always runs the whole page."""
    app = AppTest.from_function(dialog_script, default_timeout=60)
    app.session_state["charger_deed"] = (deed, CP)
    return app.run()


def test_who_waits_is_shown_with_its_address_and_what_it_said(api: ManageApi) -> None:
    """Whoever lets it in should know it; the buttons only ask."""
    app = open_page("manage_chargers")
    assert r"Address: 10\.0\.0\.7" in texts(app)
    assert r"Vendor and model: Generic AC\-22" in texts(app)
    app.button(key="approve_NEW_1").click().run()
    assert not app.exception
    assert not api.done()


def test_a_charger_is_opened_by_keyboard_and_stands_in_the_address(api: ManageApi) -> None:
    """So that an alert, a bookmark and a reload lead to it; and back to all of them."""
    app = open_page("manage_chargers")
    app.selectbox(key="charger_choice").set_value("CP_01").run()
    app.button(key="charger_button").click().run()

    assert not app.exception
    assert app.query_params["charger"] == "CP_01"
    assert app.subheader[0].value == r"Gate \(CP\_01\)"
    app.button(key="charger_back").click().run()
    assert "charger" not in app.query_params
    assert len(app.dataframe[0].value) == 2


def test_approving_with_a_password_shows_it_once(api: ManageApi) -> None:
    """It is let in, gets the password that the server made, and nobody sees that again."""
    api.answer("POST", f"{IN_PATH}/approve", {"charge_point": {}, "remarks": ["a row was added"]})
    api.answer("POST", f"{IN_PATH}/password", {"charge_point": {}, "remarks": [], "password": MADE})

    app = asked_to("approve")
    app.selectbox(key="approve_profile").set_value("1")
    app.radio(key="approve_key").set_value("made").run()
    app.button(key="approve_yes").click().run()

    assert api.done() == [
        ("POST", f"{IN_PATH}/approve", {"min_profile": 1}),
        ("POST", f"{IN_PATH}/password", {"send": False}),
    ]
    assert [each.by for each in api.asked if each.method == "POST"] == ["admin", "admin"]
    assert [code.value for code in app.code] == [MADE]
    assert "a row was added" in texts(app)
    app.run()
    assert not app.code
    assert len(api.done()) == 2


def test_approving_without_a_password_asks_for_nothing_else(api: ManageApi) -> None:
    """And says so on the page, when the dialog has gone."""
    api.answer("POST", f"{IN_PATH}/approve", {"charge_point": {}, "remarks": []})

    app = asked_to("approve")
    app.button(key="approve_yes").click().run()

    assert api.done() == [("POST", f"{IN_PATH}/approve", {})]
    assert app.success[0].value.endswith("is approved.")


@pytest.mark.parametrize("typed", ["", "too short", "with a letter ş of Turkish"])
def test_a_password_that_cannot_be_one_is_refused_before_anything_is_done(typed: str, api: ManageApi) -> None:
    """Else the charge point would be approved, and its password refused."""
    app = asked_to("approve")
    app.radio(key="approve_key").set_value("typed").run()
    app.text_input(key="approve_typed").set_value(typed).run()
    app.button(key="approve_yes").click().run()

    assert not api.done()
    assert [each.value for each in app.error] == [ENGLISH("manage_chargers.password_bad")]


def test_a_password_that_the_charge_point_may_have_taken_is_shown_with_the_problem(api: ManageApi) -> None:
    """Without it nobody could mend what comes of it."""
    api.refuse("POST", f"{IN_PATH}/password", 504, "no clear answer", password=MADE)

    app = asked_to("password")
    app.checkbox(key="password_send").check().run()
    app.button(key="password_yes").click().run()

    assert api.done() == [("POST", f"{IN_PATH}/password", {"send": True})]
    assert "no clear answer" in app.error[0].value
    assert [code.value for code in app.code] == [MADE]


@pytest.mark.parametrize(
    ("deed", "path", "body"),
    [("lock", "lock", None), ("forget", "forget", None), ("disconnect", "disconnect", None),
     ("unkey", "password", {"remove": True})],
)  # fmt: skip
def test_what_may_harm_is_asked_first(deed: str, path: str, body: Any, api: ManageApi) -> None:
    """The dialog alone does nothing; what stands in the way is told and is no edit of somebody else."""
    api.refuse("POST", f"{IN_PATH}/{path}", 409, "session 17 runs")

    app = asked_to(deed)
    assert not api.done()
    app.button(key=f"{deed}_yes").click().run()

    assert api.done() == [("POST", f"{IN_PATH}/{path}", body)]
    assert app.error[0].value == f"{ENGLISH('asking.refused')} (session 17 runs)"


def test_only_the_cells_that_changed_are_sent_with_the_version_they_were_made_from(api: ManageApi) -> None:
    """A blank brand is the default; the rest of the row stays as it is in the file."""
    api.answer("PATCH", IN_PATH, {"charge_point": {}, "remarks": ["brand: no profile has it"]})

    app = one()
    edition = f'{CP}_"first"'
    app.text_input(key=f"row_brand_{edition}").set_value(" ")
    app.number_input(key=f"row_max_kw_{edition}").set_value(7.4)
    app.toggle(key=f"row_ping_{edition}").set_value(False)
    app.button(key=f"row_save_{edition}").click().run()

    assert api.done() == [("PATCH", IN_PATH, {"brand": None, "max_kw": 7.4, "ping": False})]
    assert api.asked[-2].etag == '"first"'
    assert "brand: no profile has it" in app.success[0].value.replace("\\", "").replace("\u2060", "")


def test_a_row_that_somebody_else_changed_meanwhile_is_not_overwritten(api: ManageApi) -> None:
    """The next form is of the new version."""
    api.refuse("PATCH", IN_PATH, 412, "chargers.csv has changed")
    app = one()
    app.text_input(key=f'row_name_{CP}_"first"').set_value("Gate")
    api.etag = '"second"'

    app.button(key=f'row_save_{CP}_"first"').click().run()

    assert api.asked[-2].etag == '"first"'
    assert app.error[0].value.startswith(ENGLISH("asking.conflict"))
    assert app.text_input(key=f'row_name_{CP}_"second"').value == ""


def test_saving_without_a_change_asks_for_nothing(api: ManageApi) -> None:
    """Not even that the row says the same."""
    app = one()
    app.button(key=f'row_save_{CP}_"first"').click().run()

    assert not api.done()
    assert [each.value for each in app.info] == [ENGLISH("manage_chargers.nothing")]


PROMISED = "**Reset: Accepted** · it promises to do so; what becomes of it shows later"
LEAKS = {
    "charge_point": CP,
    "leaks": [
        {"key": "LocalPreAuthorize", "value": "true", "why": "it begins too soon",
         "mend": {"key": "LocalPreAuthorize", "value": "false"}},
        {"key": "", "value": "", "why": "its clock is wrong", "mend": None},
    ],
}  # fmt: skip


def test_fixing_leaks_tells_what_the_charge_point_said_to_each_change(api: ManageApi) -> None:
    """Rejected is not fixed: the leak stays in the table."""
    api.answer("GET", f"{IN_PATH}/leaks", LEAKS)
    said = [
        ("LocalPreAuthorize", "Rejected"),
        ("AuthorizationCacheEnabled", "no answer"),
        ("X", "error: InternalError"),
    ]
    mended = [{"key": key, "value": "false", "status": status} for key, status in said]
    api.answer("POST", f"{IN_PATH}/leaks/mend", {"charge_point": CP, "mended": mended, "leaks": LEAKS["leaks"]})

    app = one("leaks")
    assert list(app.dataframe[0].value["mend"]) == ["LocalPreAuthorize = false", "at the charger, by hand"]
    app.button(key="mend").click().run()

    assert api.done() == [("POST", f"{IN_PATH}/leaks/mend", None)]
    assert list(app.dataframe[0].value["said"]) == [
        "Rejected: it will not do so", "no answer: nobody knows whether it did so", "error: InternalError",
    ]  # fmt: skip
    assert len(app.dataframe[1].value) == 2
    assert not app.success


def test_nothing_is_offered_to_a_charge_point_that_is_away(api: ManageApi) -> None:
    """No fix, no call."""
    api.answer("GET", IN_PATH, charge_point(CP, connected=False))
    api.answer("GET", f"{IN_PATH}/leaks", LEAKS)

    assert one("leaks").button(key="mend").disabled
    app = one("commands")
    assert all(app.button(key=f"call_{name}").disabled for name in ("unlock", "out", "in", "trigger", "send"))


@pytest.mark.parametrize(
    ("button", "path", "body"),
    [
        ("unlock", "unlock", {"connector_id": 2}),
        ("out", "availability", {"connector_id": 2, "type": "Inoperative"}),
        ("in", "availability", {"connector_id": 2, "type": "Operative"}),
        ("trigger", "trigger", {"requested_message": "StatusNotification", "connector_id": 2}),
        ("Hard", "reset", {"type": "Hard"}),
    ],
)
def test_a_common_call_is_sent_by_its_button(button: str, path: str, body: Any, api: ManageApi) -> None:
    """Once; and what came back stays until the next."""
    api.answer(
        "POST", f"{IN_PATH}/{path}", {"action": "Reset", "status": "Rejected", "payload": {"status": "Rejected"}}
    )

    app = one("commands", call_connector=2, reset_sure=True)
    app.button(key=f"call_{button}").click().run()
    app.run()

    assert api.done() == [("POST", f"{IN_PATH}/{path}", body)]
    assert app.warning[0].value == "**Reset: Rejected** · it will not do so"
    assert not app.success


def test_any_other_call_goes_with_its_json(api: ManageApi) -> None:
    """What is no JSON object is not sent."""
    answer = {"action": "GetConfiguration", "status": "answered", "payload": {"configurationKey": []}}
    api.answer("POST", f"{IN_PATH}/commands/GetConfiguration", answer)
    app = one("commands", call_action="GetConfiguration")

    app.text_area(key="call_payload_GetConfiguration").set_value("[1]").run()
    app.button(key="call_send").click().run()
    assert not api.done()
    assert "braces are missing" in app.error[0].value
    app.text_area(key="call_payload_GetConfiguration").set_value('{"key": ["A"]}').run()
    app.button(key="call_send").click().run()

    assert api.done() == [("POST", f"{IN_PATH}/commands/GetConfiguration", {"key": ["A"]})]
    assert app.success
    assert app.json


@pytest.mark.parametrize(
    ("status", "said"),
    [(404, "does not know"), (409, "not connected"), (422, "does not fit"), (429, "too many calls"),
     (502, "makes no sense"), (504, "nobody knows whether"), (403, "may not do that"), (0, "cannot be reached")],
)  # fmt: skip
def test_no_answer_is_told_by_what_is_known_of_it(status: int, said: str) -> None:
    """Nothing was sent, or nobody knows."""
    line = ocpp_calls.call_problem_words(ApiProblem(status, "*detail*", {}), ENGLISH)

    assert said in line
    assert (r"\*detail\*" in line) == (status != 0)


@pytest.mark.parametrize(
    ("outcome", "level", "line"),
    [
        ({"action": "Reset", "status": "Accepted"}, "success",
         PROMISED),
        ({"action": "ClearCache", "status": "Accepted"}, "success", "**ClearCache: Accepted** · it agrees"),
        ({"action": "ChangeAvailability", "status": "Scheduled"}, "info",
         "**ChangeAvailability: Scheduled** · it does so when the running session has ended"),
        ({"action": "UnlockConnector", "status": "NotSupported"}, "warning",
         "**UnlockConnector: NotSupported** · it cannot do so"),
        ({"action": "X", "status": "**Odd**"}, "warning", r"**X: \*\*Odd\*\***"),
        ({"action": "Reset", "status": "Accepted", "fault": "more"}, "success",
         f"{PROMISED} · its answer does not fit OCPP 1.6: more"),
        ({"action": "Reset", "status": "CALLERROR", "error_code": "NotSupported", "error_description": "no"}, "error",
         "**Reset: CALLERROR NotSupported** · it knows the call and cannot do it · no"),
    ],
)  # fmt: skip
def test_an_answer_is_told_in_the_charge_points_word_and_what_it_means(
    outcome: dict[str, str], level: str, line: str
) -> None:
    """OCPP 1.6: Accepted may be a promise; a CALLERROR is an answer, and no success."""
    assert ocpp_calls.answer_words(outcome, ENGLISH) == (level, line)


def test_every_call_of_the_server_is_offered_with_an_example_that_fits() -> None:
    """OCPP 1.6 §5 and the security white paper; the example is a beginning, not a mistake."""
    assert set(ocpp_calls.EXAMPLES) == set(REQUESTS)
    for action, payload in ocpp_calls.EXAMPLES.items():
        asyncio.run(check(action, payload))


@pytest.mark.parametrize(("text", "payload"), [("", {}), (' {"a": 1} ', {"a": 1})])
def test_a_payload_is_a_json_object(text: str, payload: Any) -> None:
    """Nothing typed is an empty one."""
    assert ocpp_calls.payload_in(text) == payload


@pytest.mark.parametrize("text", ["{", "[]", "1", "null", "[" * 100_000, '{"a": ' + "9" * 5000 + "}"])
def test_whatever_else_is_typed_is_no_payload(text: str) -> None:
    """Also what Python would not read."""
    with pytest.raises(ocpp_calls.PayloadError):
        ocpp_calls.payload_in(text)


def test_messages_are_the_newest_first_and_older_ones_by_pages(api: ManageApi) -> None:
    """With the time that an answer took; one without a payload shows why."""
    messages = [
        message(9, kind="result", direction="sent", latency_ms=14.2, payload={"currentTime": "x"}),
        message(8, kind="error", error_code="InternalError", error_description="oops", action=""),
        message(7, kind="unreadable", payload=None, reason="no frame", excerpt="[2,"),
    ]
    api.answer("GET", f"{IN_PATH}/messages", {"messages": messages, "next": 7, "dropped": 3, "is_recording": False})

    app = one("messages")
    table = app.dataframe[0].value
    app.button(key="messages_older").click().run()

    assert list(table["content"]) == ['{"currentTime": "x"}', "InternalError oops", "no frame: [2,"]
    assert list(table["direction"]) == ["→ charger", "← charger", "← charger"]
    assert table["latency"].iloc[0] == 14.2
    assert [query.get("before") for query in api.read(f"{IN_PATH}/messages")] == [None, "7"]
    assert ENGLISH("manage_chargers.messages_off") in texts(app)
    assert "3 messages were not kept" in texts(app)


def test_one_message_is_shown_whole(api: ManageApi) -> None:
    """As JSON, also with what no browser could have."""
    odd = message(7, payload={"idTag": "\ud800<b>"})
    api.answer("GET", f"{IN_PATH}/messages", {"messages": [odd], "next": None, "dropped": 0, "is_recording": True})

    app = one("messages")
    app.selectbox(key="message_choice").set_value("7").run()
    app.button(key="message_button").click().run()

    assert api.read(f"{IN_PATH}/messages")[-1] == {"limit": "1", "before": "8"}
    assert app.code[0].value == '{\n  "idTag": "?<b>"\n}'


def test_a_search_finds_by_folded_words() -> None:
    """Name, id, brand, vendor, address and note."""
    listed = [charge_point("CP_1", name="Kapı Ön"), charge_point("CP_2", address="10.0.0.9", note="Yıldız")]

    assert [each["id"] for each in charge_points.search(listed, "KAPI on")] == ["CP_1"]
    assert [each["id"] for each in charge_points.search(listed, "yildiz 10.0.0")] == ["CP_2"]
    assert charge_points.search(listed, "nothing") == []
