"""Overview: four tiles and the charge points."""

from collections.abc import Sequence

import streamlit as st

from dashboard import quotas, shell, view
from dashboard.shell import Look
from dashboard.site_tables import charge_point_table
from dashboard.texts import DASH
from dashboard.wording import escaped

MOST_CARDS = 24
MOST_ROWS = 20
ROW_HEIGHT = 28


def show() -> None:
    seen = shell.look()
    if view.is_first_start(seen.site):
        show_first_steps(seen)
    else:
        cards = view.cards(seen.site, seen.state, seen.now, seen.words)
        show_tiles(seen, cards)
        if cards:
            show_charge_points(seen, cards)
    absent = [f"{note.name} {note.text}" for note in seen.site.notes if not note.is_broken]
    if absent:
        st.caption("  \n".join([seen.words("bars.absent"), *map(escaped, absent)]))


def show_first_steps(seen: Look) -> None:
    st.subheader(seen.words("overview.first_title"), anchor=False)
    st.markdown(seen.words("overview.first_address"))
    st.code(view.charger_url(seen.site.server), language=None)
    st.caption(seen.words("overview.first_hint"))


def show_tiles(seen: Look, cards: Sequence[view.Card]) -> None:
    words, site = seen.words, seen.site
    power = view.power_now(site, seen.now)
    over, near = quotas.quota_counts(quotas.user_lines(site, seen.local_now.date()))
    in_use, free = sum(card.is_in_use for card in cards), sum(card.is_free for card in cards)
    running = DASH if site.sessions is None else words.counted("overview.sessions", len(site.sessions))
    silent = words("overview.silent", number=power.silent) if power.silent else ""
    month = words.month(view.open_month(site.server, seen.local_now))
    tiles = [
        (words("overview.power"), words.kw(power.watts), running + silent),
        (words("overview.in_use"), f"{in_use} / {len(cards)}", words("overview.free", number=free)),
        (words("overview.month_energy"), words.kwh(view.energy_this_month(site)), month),
        (
            words("overview.quota"),
            words("overview.over", number=over) if site.users else DASH,
            words("overview.near", number=near, percent=words.percent(quotas.NEAR_PERCENT)),
        ),
    ]
    with st.grid(4, min_column_width=150):
        for label, value, below in tiles:
            st.metric(label, value, below, delta_color="off", delta_arrow="off", border=True, height="stretch")


def show_charge_points(seen: Look, cards: Sequence[view.Card]) -> None:
    if len(cards) <= MOST_CARDS:
        with st.grid(6, min_column_width=160, border=True):
            for card in cards:
                st.markdown(view.card_markdown(card, seen.words))
        return
    states = sorted({(card.state, card.color) for card in cards})
    st.dataframe(
        charge_point_table(cards),
        key="charge_points",
        hide_index=True,
        placeholder="",
        height="content" if len(cards) <= MOST_ROWS else ROW_HEIGHT * (MOST_ROWS + 1),
        row_height=ROW_HEIGHT,
        alt=seen.words("overview.table_alt"),
        column_config={
            "charger": st.column_config.TextColumn(seen.words("columns.charger"), pinned=True),
            "state": st.column_config.MultiselectColumn(
                seen.words("columns.state"),
                options=[state for state, _ in states],
                color=[color for _, color in states],
            ),
            "person": st.column_config.TextColumn(seen.words("columns.person")),
            "power": st.column_config.NumberColumn(seen.words("columns.power"), format="%.1f"),
            "energy": st.column_config.NumberColumn(seen.words("columns.session_energy"), format="%.1f"),
            "note": st.column_config.TextColumn(seen.words("columns.note")),
        },
    )


shell.live(shell.LIVE_INTERVAL_S, show)
