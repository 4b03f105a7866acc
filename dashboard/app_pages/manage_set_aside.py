"""Manage: open questions. Readings that were set aside and stops without a session: did that energy flow?"""

import streamlit as st

from dashboard import set_aside, shell
from dashboard.choosing import asked, choose, note_click, rerun_if_asked
from dashboard.json_values import Json, objects_at, text_at, whole_at
from dashboard.paging import PAGE, page_wanted, show_turning
from dashboard.reading_api import read
from dashboard.set_aside_dialog import decide
from dashboard.shell import Look
from dashboard.texts import Words
from dashboard.told import show_told
from dashboard.wording import plain

ALL = "all"
MOST_ROWS = 20
TIME = "D MMM HH:mm"


def show() -> None:
    seen = shell.look()
    words = seen.words
    st.caption(words("manage_set_aside.hint"))
    with st.container(horizontal=True, vertical_alignment="center"):
        states = (*set_aside.STATES, ALL)
        state = st.segmented_control(
            words("columns.state"), states, key="set_aside_state", default="open", required=True, bind="query-params",
            format_func=lambda each: words(f"manage_set_aside.state.{each}"), label_visibility="collapsed",
            wrap=True,
        )  # fmt: skip
        names = sorted({each.charge_point_id for each in seen.site.charge_points or ()})
        charger = st.selectbox(
            words("columns.charger"), names, index=None, key="set_aside_charger", label_visibility="collapsed",
            placeholder=words("manage.all_chargers"), width=260, format_func=plain,
        )  # fmt: skip
    before = page_wanted("set_aside", (state, charger))
    found = read(
        "/set-aside", absent=words("manage_set_aside.absent"), limit=PAGE, before=before, charge_point=charger,
        state=None if state == ALL else state,
    )  # fmt: skip
    if found is None:
        return
    entries = list(objects_at(found, "set_aside"))
    if entries:
        show_table(seen, entries)
    elif state == "open" and not charger:
        st.success(words("manage_set_aside.none_open"))
    else:
        st.caption(words("manage_set_aside.none"))
    show_turning("set_aside", whole_at(found, "next"), words)


def show_table(seen: Look, entries: list[Json]) -> None:
    words = seen.words
    table = set_aside.table_of(entries, words)
    table.insert(3, "decide", [
        words(f"manage_set_aside.{'decide' if set_aside.is_open(entry) else 'look'}") for entry in entries
    ])  # fmt: skip
    rows = {text_at(entry, "number"): row_name(entry, words) for entry in entries}
    time = st.column_config.DatetimeColumn
    st.dataframe(
        table,
        key="set_aside",
        hide_index=True,
        placeholder="",
        height="content" if len(entries) <= MOST_ROWS else "auto",
        alt=words("manage_set_aside.alt"),
        column_config={
            "number": st.column_config.NumberColumn(words("manage_set_aside.number"), format="%d"),
            "kind": words("columns.what"),
            "state": st.column_config.MultiselectColumn(
                words("columns.state"),
                options=[words(f"manage_set_aside.state.{state}") for state in set_aside.STATES],
                color=list(set_aside.STATES.values()),
            ),
            "decide": st.column_config.ButtonColumn(
                words("columns.details"), key="set_aside_click", on_click=note_click, args=("set_aside", list(rows))
            ),
            "time": time(words("columns.time"), format=TIME, timezone=str(seen.zone)),
            "charger": words("columns.charger"),
            "transaction": words("columns.transaction"),
            "card": words("columns.card"),
            "energy": st.column_config.NumberColumn("kWh", format="%.1f"),
            "reason": st.column_config.TextColumn(words("manage_set_aside.why"), width="large"),
            "decided": time(words("manage_set_aside.decided"), format=TIME, timezone=str(seen.zone)),
            "decided_by": words("manage_set_aside.decided_by"),
        },
    )
    choose(words("manage_set_aside.choose"), rows, words("manage_set_aside.look"), "set_aside")


def row_name(entry: Json, words: Words) -> str:
    what = set_aside.kind_words(entry, words)
    return " · ".join((text_at(entry, "number"), what, text_at(entry, "charge_point_id")))


number_asked = asked("set_aside")
show_told()
show()
rerun_if_asked("set_aside")
if number_asked:
    decide(int(number_asked))
