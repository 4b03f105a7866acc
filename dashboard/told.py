"""What became of an act, told by the run after it: the page runs anew, and what stood there is gone."""

from typing import Final, Literal

import streamlit as st

_KEY: Final = "told"
Level = Literal["success", "info", "warning", "error"]


def tell(level: Level, markdown: str) -> None:
    """Keep a sentence for the next run of the page."""
    st.session_state.setdefault(_KEY, []).append((level, markdown))


def show_told() -> None:
    """Show what was kept, once."""
    show = {"success": st.success, "info": st.info, "warning": st.warning, "error": st.error}
    for level, markdown in st.session_state.pop(_KEY, []):
        show[level](markdown)
