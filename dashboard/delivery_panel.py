"""Deliveries to other systems: how each stands, what it refused, and going on after a pause."""

from typing import Any

import streamlit as st

from dashboard import shell, site_state
from dashboard.asking import problem_words
from dashboard.control_api import ApiProblem, part
from dashboard.json_values import objects_at, text_at, whole_at
from dashboard.paging import PAGE
from dashboard.reading_api import read
from dashboard.texts import Words
from dashboard.told import tell
from dashboard.wording import escaped


def show_deliveries() -> None:
    """Show them, anew now and then; what is asked for belongs to the whole page."""
    asked = st.session_state.pop("delivery_asked", None)
    shell.live(shell.USERS_INTERVAL_S, _show)
    if asked is not None:
        deed, name = asked
        if deed == "resume":
            _resume(name)
        else:
            st.dialog(shell.words()("manage_system.refused_title", name=escaped(name)), width="large")(_refused)(name)


def _show() -> None:
    seen = shell.look()
    words = seen.words
    found = read("/destinations", absent=words("manage_system.no_deliveries"))
    if found is None:
        return
    destinations = list(objects_at(found, "destinations"))
    if not destinations:
        st.caption(words("manage_system.no_destination"))
        return
    number = st.column_config.NumberColumn
    st.dataframe(
        site_state.destination_table(destinations, words), key="destinations", hide_index=True, placeholder="",
        alt=words("manage_system.deliveries_alt"),
        column_config={
            "name": st.column_config.TextColumn(words("columns.name"), pinned=True),
            "outbox": words("columns.what"),
            "state": st.column_config.MultiselectColumn(
                words("columns.state"),
                options=[words(f"manage_system.delivery.{state}") for state in site_state.DELIVERY_STATES],
                color=list(site_state.DELIVERY_STATES.values()),
            ),
            "backlog": number(words("manage_system.backlog"), format="%d"),
            "delivered": number(words("manage_system.delivered"), format="%d"),
            "refused": number(words("manage_system.refused"), format="%d"),
            "lost": number(words("manage_system.lost"), format="%d"),
            "last_delivered": st.column_config.DatetimeColumn(
                words("manage_system.last_delivered"), format="D MMM HH:mm", timezone=str(seen.zone)
            ),
            "error": st.column_config.TextColumn(words("manage_system.error"), width="large"),
        },
    )  # fmt: skip
    st.caption(words("manage_system.counted_since_start"))
    for each in destinations:
        name = text_at(each, "name")
        deeds = ["resume"] if site_state.can_resume(each) else []
        deeds += ["refused"] if whole_at(each, "set_aside") else []
        with st.container(horizontal=True):
            for deed in deeds:
                st.button(
                    words(f"manage_system.{deed}_button", name=escaped(name)), key=f"{deed}_{part(name)}",
                    on_click=_note, args=(deed, name),
                )  # fmt: skip
    if "delivery_asked" in st.session_state:
        st.rerun()


def _note(deed: str, name: str) -> None:
    st.session_state["delivery_asked"] = (deed, name)


def _resume(name: str) -> None:
    words = shell.words()
    try:
        shell.api().post(f"/destinations/{part(name)}/resume")
    except ApiProblem as problem:
        tell("error", problem_words(problem, words, is_edit=False))
    else:
        tell("success", words("manage_system.resumed", name=escaped(name)))
    st.rerun()


def _refused(name: str) -> None:
    """The newest of what it refused; those that are picked are sent again, or all of them."""
    words, seen = shell.words(), shell.look()
    path = f"/destinations/{part(name)}/set-aside"
    found = read(path, limit=PAGE)
    if found is None:
        return
    entries = list(objects_at(found, "entries"))
    picked: Any = st.dataframe(
        site_state.refused_table(entries, words), key="refused_entries", hide_index=True, placeholder="",
        on_select="rerun", selection_mode="multi-row", alt=words("manage_system.refused_alt"),
        column_config={
            "number": st.column_config.NumberColumn(words("manage_system.number"), format="%d"),
            "time": st.column_config.DatetimeColumn(
                words("columns.time"), format="D MMM HH:mm:ss", timezone=str(seen.zone)
            ),
            "charger": words("columns.charger"),
            "reason": st.column_config.TextColumn(words("manage_system.error"), width="large"),
            "due": words("columns.state"),
        },
    )  # fmt: skip
    rows = [row for row in picked.selection.rows if row < len(entries)]
    numbers = [whole_at(entries[row], "number") for row in rows]
    label = words.counted("manage_system.resend", len(numbers)) if numbers else words("manage_system.resend_all")
    if st.button(label, key="resend", disabled=not entries):
        _resend(path, {"numbers": numbers} if numbers else {}, words)


def _resend(path: str, body: dict[str, Any], words: Words) -> None:
    try:
        answer = shell.api().post(f"{path}/resend", body)
    except ApiProblem as problem:
        st.error(problem_words(problem, words, is_edit=False))
        return
    due = whole_at(answer, "due") if isinstance(answer, dict) else None
    tell("success", words.counted("manage_system.resent", due or 0))
    st.rerun()
