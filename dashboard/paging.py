"""Older and newer pages of a list of the control API, whose entries have numbers: the newest first."""

import streamlit as st

from dashboard.texts import Words

PAGE = 50


def page_wanted(key: str, filters: object) -> int | None:
    """Give `before` of the page to ask for; None is the newest. Other filters begin at the newest again."""
    state = f"{key}_pages"
    if state not in st.session_state or st.session_state[state][0] != filters:
        st.session_state[state] = (filters, ())
    turned = st.session_state[state][1]
    return turned[-1] if turned else None


def show_turning(key: str, following: int | None, words: Words) -> None:
    """Show the buttons that turn pages; nothing where all is on one. `following`: `before` of the older page."""
    filters, turned = st.session_state[f"{key}_pages"]
    if not turned and following is None:
        return

    def turn(pages: tuple[int, ...]) -> None:
        st.session_state[f"{key}_pages"] = (filters, pages)

    with st.container(horizontal=True, vertical_alignment="center"):
        buttons = (
            ("newest", (), not turned),
            ("newer", turned[:-1], not turned),
            ("older", (*turned, following), following is None),
        )
        for name, pages, is_off in buttons:
            st.button(
                words(f"manage.{name}"), key=f"{key}_{name}", disabled=is_off, on_click=turn, args=(pages,),
                type="tertiary",
            )  # fmt: skip
        st.caption(words("manage.page", number=len(turned) + 1), width="content")
