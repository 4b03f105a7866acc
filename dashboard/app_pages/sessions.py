"""Sessions: the running ones."""

import streamlit as st

from dashboard import shell
from dashboard.site_tables import session_table

MOST_ROWS = 20


def show_running() -> None:
    seen = shell.look()
    words, sessions = seen.words, seen.site.sessions
    st.subheader(words("sessions.running"), anchor=False)
    if not sessions:
        st.caption(words("sessions.nobody") if sessions is not None else words("sessions.unknown"))
        return
    number = st.column_config.NumberColumn
    time = st.column_config.DatetimeColumn
    st.dataframe(
        session_table(seen.site, seen.now, words),
        key="sessions",
        hide_index=True,
        placeholder="",
        height="content" if len(sessions) <= MOST_ROWS else "auto",
        alt=words("sessions.running_alt"),
        column_config={
            "person": st.column_config.TextColumn(words("columns.person"), pinned=True),
            "card": words("columns.card"),
            "charger": words("columns.charger"),
            "connector": words("columns.connector"),
            "since": time(words("columns.since"), format="D MMM HH:mm", timezone=str(seen.zone)),
            "energy": number(words("columns.session_energy"), format="%.1f"),
            "power": number(words("columns.power"), format="%.1f"),
            "state": words("columns.state"),
            "forecast_stop": time(words("columns.forecast_stop"), format="D MMM HH:mm", timezone=str(seen.zone)),
        },
    )


shell.live(shell.LIVE_INTERVAL_S, show_running)
