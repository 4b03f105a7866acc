"""One charge point: how it stands, its row of chargers.csv, who it is, what escapes the quota there."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from dashboard import charge_points, shell
from dashboard.asking import problem_words
from dashboard.charge_point_calls import show_calls
from dashboard.charge_point_dialogs import ask
from dashboard.charge_point_messages import show_messages
from dashboard.control_api import Answered, ApiProblem, part
from dashboard.json_values import Json, claim_at, number_at, objects_at, text_at, whole_at
from dashboard.ocpp_calls import call_problem_words
from dashboard.reading_api import clock_of, read
from dashboard.texts import Words
from dashboard.told import tell
from dashboard.wording import escaped

PARTS = ("row", "door", "leaks", "commands", "messages")
LONGEST_NOTE = 1000
LONGEST_CELL = 200


def show_charge_point(charge_point_id: str) -> None:
    """Show one, or why it cannot be shown."""
    words = shell.words()
    try:
        answered = shell.api().ask("GET", f"/charge-points/{part(charge_point_id)}")
    except ApiProblem as problem:
        st.error(problem_words(problem, words))
        return
    if not isinstance(answered.body, dict):
        st.error(words("asking.refused"))
        return
    show_head(answered.body, words)
    chosen = st.segmented_control(
        words("manage_chargers.parts"), PARTS, key="charger_part", default=PARTS[0], required=True,
        format_func=lambda each: words(f"manage_chargers.part.{each}"), label_visibility="collapsed",
        bind="query-params",
    )  # fmt: skip
    shown: dict[str | None, Callable[[], None]] = {
        "door": lambda: show_door(answered.body, words),
        "leaks": lambda: show_leaks(answered.body, words),
        "commands": lambda: show_calls(answered.body),
        "messages": lambda: show_messages(charge_point_id),
    }
    shown.get(chosen, lambda: show_row(answered, words))()


def show_head(charge_point: Json, words: Words) -> None:
    state = charge_points.state_of(charge_point)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(escaped(charge_points.title_of(charge_point)), anchor=False, width="content")
        st.badge(charge_points.state_words(charge_point, words), color=charge_points.STATES[state])
        if sessions := whole_at(charge_point, "sessions"):
            st.badge(words.counted("manage_chargers.running", sessions), color="blue")


def show_row(answered: Answered, words: Words) -> None:
    """The form of its row. The version of the file is a part of each key: another's edit brings a new form."""
    charge_point, edition = answered.body, f"{text_at(answered.body, 'id')}_{answered.etag}"
    st.session_state["charger_row"] = answered
    st.caption(words("manage_chargers.row_hint"))

    def key(column: str) -> str:
        return f"row_{column}_{edition}"

    def label(column: str) -> str:
        return words(f"manage_chargers.column.{column}")

    def picked(column: str, options: tuple[str, ...]) -> None:
        now = text_at(charge_point, column)
        listed = options if now in options else (*options, now)
        st.selectbox(
            label(column), listed, index=listed.index(now), key=key(column),
            format_func=lambda each: words.of(f"manage_chargers.{column}", each or "blank", each),
        )  # fmt: skip

    with st.form(f"row_{edition}"), st.grid(3, min_column_width=220):
        for column in ("name", "brand"):
            st.text_input(label(column), text_at(charge_point, column), LONGEST_CELL, key=key(column))
        st.number_input(
            label("max_kw"), 0.0, charge_points.MOST_KW, number_at(charge_point, "max_kw"), 1.0, "%.1f",
            key=key("max_kw"), placeholder=words("manage_chargers.by_brand"),
        )  # fmt: skip
        picked("access", charge_points.ACCESS)
        picked("energy_unit", charge_points.ENERGY_UNITS)
        st.text_input(label("note"), text_at(charge_point, "note"), LONGEST_NOTE, key=key("note"))
        for column in ("ping", "configure"):
            st.toggle(label(column), claim_at(charge_point, column) is not False, key=key(column))
        st.form_submit_button(words("manage_chargers.save"), key=key("save"), on_click=save_row, args=(key,))


def save_row(key: Callable[[str], str]) -> None:
    """Have the cells changed that the form says otherwise, on the version of the file that it was made from."""
    words = shell.words()
    answered: Answered = st.session_state["charger_row"]
    form: dict[str, Any] = {column: st.session_state[key(column)] for column in charge_points.COLUMNS}
    changes = charge_points.changes_between(answered.body, form)
    if not changes:
        tell("info", words("manage_chargers.nothing"))
        return
    path = f"/charge-points/{part(text_at(answered.body, 'id'))}"
    try:
        done = shell.api().ask("PATCH", path, body=changes, etag=answered.etag)
    except ApiProblem as problem:
        tell("error", problem_words(problem, words))
        return
    remarks = done.body.get("remarks") if isinstance(done.body, dict) else ()
    tell("success", words("manage_chargers.saved") + "\n\n" + charge_points.remark_lines(remarks))


def show_door(charge_point: Json, words: Words) -> None:
    """Who it is and how it comes in. What it may lose by a click is asked first."""
    charge_point_id, state = text_at(charge_point, "id"), text_at(charge_point, "admission")
    st.markdown("\n".join(charge_points.said_lines(charge_point, words, clock_of(shell.look()))))
    deeds = [] if state == "approved" else ["approve"]
    deeds += [] if state == "locked" else ["lock"]
    deeds += ["password"]
    deeds += ["unkey"] if claim_at(charge_point, "has_key") else []
    deeds += ["disconnect"] if claim_at(charge_point, "connected") else []
    with st.container(horizontal=True):
        for deed in (*deeds, "forget"):
            if st.button(words(f"manage_chargers.{deed}_button"), key=f"door_{deed}"):
                ask(deed, charge_point_id)


def show_leaks(charge_point: Json, words: Words) -> None:
    """What lets energy escape the quota, as its configuration was told last, and the button that closes it."""
    path = f"/charge-points/{part(text_at(charge_point, 'id'))}/leaks"
    show_mended(words)
    found = read(path)
    if found is None:
        return
    leaks = list(objects_at(found, "leaks"))
    if not leaks:
        st.success(words("manage_chargers.leaks_none"))
        return
    st.caption(words.counted("manage_chargers.leaks", len(leaks)))
    st.dataframe(
        charge_points.leak_table(leaks, words), key="leaks", hide_index=True, placeholder="",
        alt=words("manage_chargers.leaks_alt"),
        column_config={
            "key": words("manage_chargers.leak.key"),
            "value": words("manage_chargers.leak.value"),
            "why": st.column_config.TextColumn(words("manage_chargers.leak.why"), width="large"),
            "mend": words("manage_chargers.leak.mend"),
        },
    )  # fmt: skip
    mendable = sum(isinstance(leak.get("mend"), dict) for leak in leaks)
    label = words.counted("manage_chargers.mend", mendable)
    is_away = not claim_at(charge_point, "connected")
    if is_away:
        st.caption(words("manage_chargers.mend_away"))
    if st.button(label, key="mend", disabled=is_away or not mendable):
        try:
            with st.spinner(words("manage_chargers.sending")):
                st.session_state["charger_mended"] = (text_at(charge_point, "id"), shell.api().post(f"{path}/mend"))
        except ApiProblem as problem:
            st.error(call_problem_words(problem, words))
            return
        st.rerun()


def show_mended(words: Words) -> None:
    """What the charge point said to the changes that were just sent; the table below has what is left."""
    _, answer = st.session_state.pop("charger_mended", ("", None))
    if not isinstance(answer, dict):
        return
    mended = list(objects_at(answer, "mended"))
    if not mended:
        st.info(words("manage_chargers.mended_none"))
        return
    st.caption(words("manage_chargers.mended"))
    st.dataframe(
        charge_points.mended_table(mended, words), key="mended", hide_index=True, placeholder="",
        alt=words("manage_chargers.mended"),
        column_config={
            "change": words("manage_chargers.leak.mend"),
            "said": st.column_config.TextColumn(words("manage_chargers.said"), width="large"),
        },
    )  # fmt: skip
