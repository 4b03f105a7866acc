"""Manage: chargers. Those that wait for approval, all of them, and one of them with all that can be done with it."""

from collections.abc import Sequence

import streamlit as st

from dashboard import charge_points, shell
from dashboard.charge_point_dialogs import ask
from dashboard.charge_point_panel import show_charge_point
from dashboard.choosing import asked, choose, note_click, rerun_if_asked
from dashboard.json_values import Json, objects_at, text_at
from dashboard.reading_api import clock_of, read
from dashboard.shell import Look
from dashboard.told import show_told
from dashboard.wording import escaped, plain

MOST_ROWS = 20
MOST_WAITING = 20


def show_all() -> None:
    """Those that wait, then the table: shown anew now and then, because they come and go by themselves."""
    seen = shell.look()
    document = read("/charge-points")
    if document is None:
        return
    found = list(objects_at(document, "charge_points"))
    if not found:
        st.caption(seen.words("manage_chargers.none"))
        return
    show_waiting(seen, [each for each in found if charge_points.state_of(each) == "pending"])
    query = st.text_input(
        seen.words("manage_chargers.search"), key="charger_search", type="search", live=True, bind="query-params",
        placeholder=seen.words("manage_chargers.search_hint"), label_visibility="collapsed", width=320,
    )  # fmt: skip
    shown = charge_points.search(found, query or "")
    if shown:
        show_table(seen, shown)
    st.caption(seen.words("manage_chargers.found", found=len(shown), all=len(found)))
    rerun_if_asked("charger", "deed")


def show_waiting(seen: Look, waiting: Sequence[Json]) -> None:
    words, clock = seen.words, clock_of(seen)
    if not waiting:
        return
    st.subheader(words("manage_chargers.waiting"), anchor=False)
    with st.grid(3, min_column_width=280):
        for each in waiting[:MOST_WAITING]:
            charge_point_id = text_at(each, "id")
            with st.container(border=True):
                st.markdown(f"**{escaped(charge_point_id)}**")
                st.markdown("\n".join(charge_points.said_lines(each, words, clock)[1:5]))
                with st.container(horizontal=True):
                    for deed in ("approve", "lock"):
                        st.button(
                            words(f"manage_chargers.{deed}_button"), key=f"{deed}_{plain(charge_point_id)}",
                            on_click=note_deed, args=(deed, charge_point_id),
                        )  # fmt: skip
    if len(waiting) > MOST_WAITING:
        st.caption(words("bars.more", number=len(waiting) - MOST_WAITING))


def show_table(seen: Look, shown: Sequence[Json]) -> None:
    words = seen.words
    table = charge_points.table_of(shown, words)
    table.insert(2, "open", words("manage_chargers.open_button"))
    rows = {text_at(each, "id"): charge_points.title_of(each) for each in shown}
    st.dataframe(
        table,
        key="chargers",
        hide_index=True,
        placeholder="",
        height="content" if len(shown) <= MOST_ROWS else "auto",
        alt=words("manage_chargers.table_alt"),
        column_config={
            "charger": st.column_config.TextColumn(words("columns.charger"), pinned=True),
            "state": st.column_config.MultiselectColumn(
                words("columns.state"),
                options=[words(f"manage_chargers.state.{state}") for state in charge_points.STATES],
                color=list(charge_points.STATES.values()),
            ),
            "open": st.column_config.ButtonColumn(
                words("columns.details"), key="charger_click", on_click=note_click, args=("charger", list(rows))
            ),
            "brand": words("manage_chargers.column.brand"),
            "made_by": words("manage_chargers.fact.made_by"),
            "max_kw": st.column_config.NumberColumn(words("manage_chargers.column.max_kw"), format="%.1f"),
            "access": words("manage_chargers.column.access"),
            "address": words("manage_chargers.fact.address"),
            "last_seen": st.column_config.DatetimeColumn(
                words("manage_chargers.fact.last_seen"), format="D MMM HH:mm", timezone=str(seen.zone)
            ),
            "sessions": words("manage_chargers.sessions"),
        },
    )
    choose(words("manage_chargers.choose"), rows, words("manage_chargers.open_button"), "charger")


def note_deed(deed: str, charge_point_id: str) -> None:
    st.session_state["deed_asked"] = (deed, charge_point_id)


def show_one(charge_point_id: str) -> None:
    st.button(
        shell.words()("manage_chargers.back"), key="charger_back", icon=":material/arrow_back:", type="tertiary",
        on_click=leave,
    )  # fmt: skip
    show_charge_point(charge_point_id)


def leave() -> None:
    st.query_params.pop("charger", None)


charger_asked, deed_asked = asked("charger"), st.session_state.pop("deed_asked", None)
if charger_asked:
    st.query_params["charger"] = charger_asked  # in the address, so that an alert can lead here
show_told()
if picked := st.query_params.get("charger"):
    show_one(picked)
else:
    shell.live(shell.USERS_INTERVAL_S, show_all)
if deed_asked:
    ask(*deed_asked)
