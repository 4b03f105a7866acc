"""Users and quotas: who is near or over, a search of its own, a panel for each account.

Refreshed less often than the overview, so that a table of 1,000 stays calm.
"""

from collections.abc import Sequence

import streamlit as st

from dashboard import quotas, shell, view
from dashboard.badges import QUOTA_COLORS
from dashboard.choosing import asked, choose, note_click, rerun_if_asked
from dashboard.downloads import offer_csv
from dashboard.quotas import QuotaState, UserLine
from dashboard.shell import Look
from dashboard.site_tables import user_export, user_table
from dashboard.user_panel import show_panel

MOST_ROWS = 20


def show() -> None:
    seen = shell.look()
    words = seen.words
    lines = seen.user_lines
    if not lines:
        st.caption(words("users.none"))
        return
    charging = quotas.charging_cards(seen.site, lines)
    show_tiles(seen, lines, len(charging))
    with st.container(horizontal=True):
        query = st.text_input(
            words("users.search"), key="user_search", type="search", live=True, placeholder=words("users.search_hint"),
            label_visibility="collapsed", width=320, bind="query-params",
        )  # fmt: skip
        states = st.multiselect(
            words("users.filter"), list(QuotaState), key="user_states", width=320, label_visibility="collapsed",
            format_func=lambda state: words(f"states.quota.{state}"), placeholder=words("users.filter_hint"),
        )  # fmt: skip
    found = [line for line in quotas.search(lines, query or "") if not states or set(line.states) & set(states)]
    if found:
        show_table(seen, found, charging)
    month = view.open_month(seen.site.server, seen.local_now)
    days = words("format.days", number=view.days_left(month, seen.local_now.date()))
    with st.container(horizontal=True, vertical_alignment="center"):
        shown, known = words.number(len(found), 0), words.number(len(lines), 0)
        st.caption(words("users.found", found=shown, all=known, days=days), width="content")
        if found:
            offer_csv(seen, f"users-{month:%Y-%m}", "users", lambda: user_export(found, words))
    if found:
        rows = {line.id_tag: f"{line.person} · {line.id_tag}" for line in found}
        choose(words("users.choose"), rows, words("users.details_button"), "user")
    rerun_if_asked("user")


def show_tiles(seen: Look, lines: Sequence[UserLine], charging: int) -> None:
    words = seen.words
    over, near = quotas.quota_counts(lines)
    accounts = words.counted("users.accounts", len({line.account for line in lines}))
    tiles = [
        (words("users.cards"), words.number(len(lines), 0), accounts),
        (words("users.near"), f"{near}", f"≥ {words.percent(quotas.NEAR_PERCENT)}"),
        (words("users.over"), f"{over}", words("users.over_below")),
        (words("users.charging"), f"{charging}", words.kw(view.power_now(seen.site, seen.now).watts)),
    ]
    with st.grid(4, min_column_width=150):
        for label, value, below in tiles:
            st.metric(label, value, below, delta_color="off", delta_arrow="off", border=True, height="stretch")


def show_table(seen: Look, lines: Sequence[UserLine], charging: set[str]) -> None:
    words = seen.words
    table = user_table(lines, words)
    table["charging"] = [words("states.status.Charging") if line.id_tag in charging else "" for line in lines]
    table["details"] = words("users.details_button")
    shown = [line.id_tag for line in lines]
    number = st.column_config.NumberColumn
    st.dataframe(
        table,
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
                options=[words(f"states.quota.{state}") for state in QUOTA_COLORS],
                color=list(QUOTA_COLORS.values()),
            ),
            "percent": st.column_config.ProgressColumn(
                words("columns.quota_used"), format="%d%%", min_value=0, max_value=100
            ),
            "used": number(words("columns.used"), format="%.1f"),
            "quota": number(words("columns.quota"), format="%.1f"),
            "left": number(words("columns.left"), format="%.1f"),
            "charging": words("columns.charging"),
            "details": st.column_config.ButtonColumn(
                words("columns.details"), key="user_click", on_click=note_click, args=("user", shown)
            ),
        },
    )


user_asked = asked("user")
shell.live(shell.USERS_INTERVAL_S, show)
if user_asked:
    show_panel(user_asked)
