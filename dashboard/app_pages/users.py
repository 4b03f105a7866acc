"""Users and quotas, with a search of their own; refreshed less often, so that a table of 1,000 stays calm."""

from collections.abc import Sequence

import streamlit as st

from dashboard import quotas, shell
from dashboard.quotas import QuotaState
from dashboard.site_tables import user_table
from dashboard.texts import Words

MOST_ROWS = 20
STATE_COLORS = {
    QuotaState.OVER: "red",
    QuotaState.USED_UP: "red",
    QuotaState.NEAR: "orange",
    QuotaState.OK: "green",
    QuotaState.NO_LIMIT: "blue",
    QuotaState.NO_ENERGY: "gray",
    QuotaState.BLOCKED: "violet",
    QuotaState.EXPIRED: "violet",
    QuotaState.UNREADABLE: "orange",
    QuotaState.UNLISTED: "gray",
}


def show() -> None:
    seen = shell.look()
    words = seen.words
    lines = quotas.user_lines(seen.site, seen.local_now.date())
    if not lines:
        st.caption(words("users.none"))
        return
    query = st.text_input(
        words("users.search"), key="user_search", type="search", live=True, placeholder=words("users.search_hint"),
        label_visibility="collapsed", width=360,
    )  # fmt: skip
    found = quotas.search(lines, query or "")
    if found:
        show_table(found, words)
    st.caption(words("users.found", found=len(found), all=len(lines)))


def show_table(lines: Sequence[quotas.UserLine], words: Words) -> None:
    number = st.column_config.NumberColumn
    st.dataframe(
        user_table(lines, words),
        key="users",
        hide_index=True,
        placeholder="",
        height="content" if len(lines) <= MOST_ROWS else "auto",
        alt=words("users.table_alt"),
        column_config={
            "name": st.column_config.TextColumn(words("columns.name"), pinned=True),
            "card": words("columns.card"),
            "account": words("columns.account"),
            "state": st.column_config.MultiselectColumn(
                words("columns.state"),
                options=[words(f"states.quota.{state}") for state in STATE_COLORS],
                color=list(STATE_COLORS.values()),
            ),
            "percent": st.column_config.ProgressColumn(
                words("columns.quota_used"), format="%d%%", min_value=0, max_value=100
            ),
            "used": number(words("columns.used"), format="%.1f"),
            "quota": number(words("columns.quota"), format="%.1f"),
            "left": number(words("columns.left"), format="%.1f"),
        },
    )


shell.live(shell.USERS_INTERVAL_S, show)
