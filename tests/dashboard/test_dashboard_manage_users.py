"""Manage, users: what an edit asks of the server, what it refuses to ask, refused cards, import and top-up."""

import math
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from site_folder import SiteFolder, stamp
from streamlit.testing.v1 import AppTest
from users_api import UsersApi, serving

from dashboard.control_api import NO_ANSWER, ApiProblem
from dashboard.records import UserRow, Wh
from dashboard.texts import words_of
from dashboard.user_edits import (
    COLUMNS,
    Kind,
    Step,
    normal,
    problem_line,
    problems_of,
    row_of,
    row_of_line,
    step_line,
    steps_between,
)
from dashboard.user_saving import stopped_words

ENGLISH = words_of("en")


def row(id_tag: str, quota_kwh: float | None = 100.0, **more: Any) -> Any:
    return normal({"id_tag": id_tag, "quota_kwh": quota_kwh, **more})


def test_only_what_changed_is_asked_for() -> None:
    """Removals first, so that a card may change its spelling; a cell that is emptied is null or blank."""
    before = [row("A", name="Ann"), row("B", expiry_date=date(2026, 1, 1)), row("C")]
    after = [row("A", name="Ann"), row("B", 50.0), row("c", None, unlimited=True, name="Carl")]

    steps = steps_between(before, after)

    assert [(step.method, step.path, step.body) for step in steps] == [
        ("DELETE", "/users/C", None),
        ("PATCH", "/users/B", {"quota_kwh": 50.0, "expiry_date": None}),
        ("POST", "/users", {"id_tag": "c", "name": "Carl", "unlimited": True}),
    ]


def test_an_import_leaves_who_is_not_in_it_unless_told_otherwise() -> None:
    """A list of new cards is no list of all cards."""
    assert steps_between([row("A")], [row("B")], removes=False) == [
        Step(Kind.ADD, "B", {"quota_kwh": 100.0}, {}),
    ]


def test_a_tag_with_a_slash_stays_one_part_of_the_path() -> None:
    """Tags come from cards, and say anything."""
    assert steps_between([row("a/b ?")], [])[0].path == "/users/a%2Fb%20%3F"


@given(
    st.lists(st.builds(row, st.text(max_size=5), st.floats(0, 1e9) | st.none(), name=st.text(max_size=3)), max_size=6)
)
def test_steps_lead_from_one_list_to_the_other(rows: list[Any]) -> None:
    """Carried out on a table of the old they give the new; from a list to itself there are none."""
    after = {each["id_tag"]: each for each in rows}
    before = {"": row("", 5.0), "x": row("x", 6.0, name="y")}

    table = dict(before)
    for step in steps_between(before.values(), after.values()):
        match step.kind:
            case Kind.REMOVE:
                del table[step.id_tag]
            case Kind.CHANGE:
                table[step.id_tag] = {**table[step.id_tag], **step.cells}
            case Kind.ADD:
                table[step.id_tag] = row(step.id_tag, None) | step.cells

    assert table == after
    assert steps_between(after.values(), after.values()) == []


@pytest.mark.parametrize("blank", [None, math.nan, "", pd.NaT, pd.NA])
def test_a_blank_cell_is_blank_whatever_the_table_made_of_it(blank: Any) -> None:
    """NaN is not a quota, and "nan" no name."""
    found = normal(dict.fromkeys(COLUMNS, blank))

    assert found == {
        "id_tag": "", "name": "", "surname": "", "quota_kwh": None, "unlimited": False, "account": "",
        "expiry_date": None, "blocked": False, "email": "", "note": "",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "texts"),
    [
        ([row("")], ["Row 1 (blank): a card is missing."]),
        ([row("x" * 21)], [f"Row 1 ({'x' * 21}): a card has 1 to 20 printable characters."]),
        (
            [row("A"), row("a")],
            [f"Row {place}: this card is there twice; case does not matter." for place in ("1 (A)", "2 (a)")],
        ),
        ([row("A", None)], ["Row 1 (A): a quota in kWh is needed, or “unlimited”."]),
        ([row("A", -1)], ["Row 1 (A): the quota is not between 0 and 1,000,000,000 kWh."]),
        ([row("A", 0), row("B", None, unlimited=True)], []),
    ],
)  # fmt: skip
def test_mistakes_are_named_before_anything_is_saved(rows: list[Any], texts: list[str]) -> None:
    """OCPP 1.6 §7.28: an idTag has at most 20 characters."""
    assert [problem_line(problem, ENGLISH) for problem in problems_of(rows)] == texts


def test_a_change_is_told_with_old_and_new_and_harmless() -> None:
    """Markdown of the page."""
    (step,) = steps_between([row("A_1", 100.0, name="x")], [row("A_1", 150.5, name="*y*")])

    assert step_line(step, ENGLISH) == r"**A\_1** is changed: Name x → \*y\*, Quota kWh 100 → 150.5"


def test_a_file_without_a_column_leaves_it_as_it_is() -> None:
    """Somebody exports three columns, and the notes of hundreds must not go."""
    known = {"A": row("A", 5.0, note="keep", name="old")}
    user = UserRow("A", "A", "x", Wh(7000))

    assert row_of_line({"id_tag": "A", "quota_kwh": "7", "name": "new"}, user, known) == row(
        "A", 7.0, note="keep", name="new"
    )


def test_an_account_that_is_only_the_card_is_blank_in_the_table() -> None:
    """The file has none there."""
    assert row_of({"id_tag": "A", "account": "A", "quota_kwh": 5.0, "expiry_date": "2026-12-31"}) == row(
        "A", 5.0, expiry_date=date(2026, 12, 31)
    )


@pytest.fixture
def api(folder: SiteFolder, sign_in: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> Iterator[UsersApi]:
    """A site with two users, an administrator, and the API that the page asks."""
    folder.write_five()
    folder.write_server()
    sign_in("admin")
    (folder.path / "api_token").write_text("a-token\n")
    made = UsersApi({"id_tag": "RFID001", "name": "John", "quota_kwh": 150.0}, {"id_tag": "odd", "unlimited": True})
    with serving(made) as url:
        monkeypatch.setenv("EVQUOTA_API_URL", url)
        yield made


def edit(app: AppTest, **state: Any) -> AppTest:
    """Have the table edited as the browser would."""
    edition = app.session_state.get("users_edition", 0)
    blank = {"edited_rows": {}, "added_rows": [], "deleted_rows": []}
    app.session_state[f"users_editor_{edition}"] = blank | state
    return app.run()


def test_an_edit_is_shown_before_and_told_after_it_is_saved(api: UsersApi, run_app: Callable[..., AppTest]) -> None:
    """And the table begins anew with what is in the file."""
    app = run_app("manage_users")

    edit(app, edited_rows={0: {"quota_kwh": 20.0}}, added_rows=[{"id_tag": "NEW", "quota_kwh": 5.0}], deleted_rows=[1])
    assert "Quota kWh 150 → 20" in app.info[0].value
    assert app.button(key="save_users").label == "Save 3 changes"
    app.button(key="save_users").click().run()

    assert not app.exception
    assert [ask[:2] for ask in api.asked if ask[0] != "GET"] == [
        ("DELETE", "/api/v1/users/odd"), ("PATCH", "/api/v1/users/RFID001"), ("POST", "/api/v1/users"),
    ]  # fmt: skip
    assert app.success[0].value == "3 changes are in force."
    assert sorted(api.users) == ["NEW", "RFID001"]
    assert app.button(key="save_users").disabled


def test_what_somebody_else_saved_meanwhile_is_not_overwritten(api: UsersApi, run_app: Callable[..., AppTest]) -> None:
    """The page says where it stopped and what was not done."""
    app = run_app("manage_users")
    api.version += 1

    edit(app, edited_rows={0: {"quota_kwh": 20.0}})
    app.button(key="save_users").click().run()

    assert "Stopped at RFID001: Somebody else changed it meanwhile" in app.error[0].value
    assert api.users["RFID001"]["quota_kwh"] == 150.0


def test_of_a_step_without_an_answer_nobody_knows() -> None:
    """It is not told as not done; what came after it was not."""
    steps = steps_between([], [row("A"), row("B")])

    silent = stopped_words(ApiProblem(NO_ANSWER, "", {}), steps, ENGLISH)
    refused = stopped_words(ApiProblem(412, "", {}), steps, ENGLISH)

    assert silent.endswith("Not done: B.")
    assert refused.endswith("Not done: A, B.")
    assert "Not done" not in stopped_words(ApiProblem(NO_ANSWER, "", {}), steps[1:], ENGLISH)


def test_a_mistake_cannot_be_saved(api: UsersApi, run_app: Callable[..., AppTest]) -> None:
    """It is named by row."""
    app = edit(run_app("manage_users"), added_rows=[{"id_tag": "rfid001", "quota_kwh": 5.0}])

    assert "this card is there twice" in app.error[0].value
    assert app.button(key="save_users").disabled


def test_a_remark_of_the_server_is_passed_on(api: UsersApi, run_app: Callable[..., AppTest]) -> None:
    """E.g. a tag that a spreadsheet spoiled."""
    app = edit(run_app("manage_users"), edited_rows={1: {"name": "x"}})
    app.button(key="save_users").click().run()

    assert app.warning[0].value == "- odd: remark on odd"


def test_a_top_up_is_a_correction_that_gives_back(api: UsersApi, run_app: Callable[..., AppTest]) -> None:
    """Without a reason nothing is booked; more than was used is refused in words."""
    app = run_app("manage_users")
    app.selectbox(key="topup_who").set_value("RFID001")
    app.number_input(key="topup_kwh").set_value(20.0)
    app.button(key="topup_book").click().run()
    assert ENGLISH("manage_users.topup_needs") in [each.value for each in app.error]

    app.text_input(key="topup_reason").set_value(" guest ")
    app.button(key="topup_book").click().run()
    assert api.asked[-2] == ("POST", "/api/v1/adjustments", {"id_tag": "RFID001", "kwh": -20.0, "reason": "guest"})
    assert [each.value for each in app.success] == ["Booked: 20.0 kWh more for RFID001."]
    assert [each.value for each in app.info] == ["12.5 kWh are left."]

    api.adjustment_status = 409
    app.button(key="topup_book").click().run()
    assert "Only what was used this month can be given back" in app.error[0].value


def make_script() -> None:
    from dashboard import user_forms

    user_forms.make_user("04A1B2")


def test_a_refused_card_becomes_a_user(api: UsersApi) -> None:
    """The card is filled in; a quota or "unlimited" is still needed."""
    app = AppTest.from_function(make_script, default_timeout=30).run()
    app.button(key="new_user_make").click().run()
    assert "a quota in kWh is needed" in app.error[0].value

    app.text_input(key="new_name").set_value("Ayşe")
    app.number_input(key="new_quota").set_value(80.0)
    app.button(key="new_user_make").click().run()

    assert not app.exception
    assert api.users["04A1B2"]["quota_kwh"] == 80.0
    assert app.success[0].value == "Ayşe may charge now."


def test_refused_cards_are_listed_newest_first(
    api: UsersApi, folder: SiteFolder, run_app: Callable[..., AppTest]
) -> None:
    """Whole, with time, charger and reason."""
    cards = [
        {"id_tag": "OLD", "time": stamp(datetime(2026, 1, 1, tzinfo=UTC)), "charger_id": "CP", "reason": "unknown tag"},
        {"id_tag": "NEW" * 6, "time": stamp(datetime(2026, 1, 2, tzinfo=UTC)), "charger_id": "CP", "reason": "x"},
    ]
    folder.write("users_report.json", {"problems": [], "refused": cards})

    app = run_app("manage_users")

    table = next(table.value for table in app.dataframe if "make" in table.value)
    assert table["card"].tolist() == ["NEW" * 6, "OLD"]


def test_a_server_that_cannot_be_reached_is_told(
    api: UsersApi, run_app: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is nothing to edit then."""
    monkeypatch.setenv("EVQUOTA_API_URL", "http://127.0.0.1:9")

    app = run_app("manage_users")

    assert ENGLISH("asking.unreachable") in [each.value for each in app.error]


def test_a_viewer_has_no_such_page(
    folder: SiteFolder, sign_in: Callable[[str], None], run_app: Callable[..., AppTest]
) -> None:
    """Its address leads to no page of this viewer; the API refuses, too (tests of the server)."""
    folder.write_five()
    sign_in("viewer")

    app = run_app("manage_users")

    assert not app.tabs
    assert not app.button
