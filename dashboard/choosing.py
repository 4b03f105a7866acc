"""A row of a table chosen by keyboard: buttons within a table answer to the mouse only, and are far off on a phone."""

from collections.abc import Mapping

import streamlit as st

from dashboard.wording import plain


def choose(label: str, rows: Mapping[str, str], button: str, key: str) -> None:
    """Show a list of rows by name, and a button that asks for one: `asked(key)` of the next run gives its id.

    `rows` maps ids to names. An id that has gone meanwhile is chosen no more.
    """
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.selectbox(
            label, list(rows), index=None, format_func=lambda row: plain(rows.get(row, row)), key=f"{key}_choice",
            placeholder=label, label_visibility="collapsed", width=360,
        )  # fmt: skip
        if st.button(button, key=f"{key}_button", disabled=chosen is None):
            st.session_state[f"{key}_asked"] = chosen


def note_click(key: str, shown: list[str]) -> None:
    """Take a click on a button within a table, as a callback; `shown` are the ids of its rows when it was drawn."""
    click = st.session_state[f"{key}_click"]
    st.session_state[f"{key}_asked"] = shown[click.row]


def rerun_if_asked(*keys: str) -> None:
    """Run the whole page again: a dialog of one of its parts would vanish with the part's next refresh."""
    if any(f"{key}_asked" in st.session_state for key in keys):
        st.rerun()


def asked(key: str) -> str | None:
    """Give what was asked for, once. At the top of a page: what is asked for while it runs is another run's."""
    found: str | None = st.session_state.pop(f"{key}_asked", None)
    return found
