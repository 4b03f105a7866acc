"""The dashboard's first page, from top to bottom: bars, tiles, charge points, running sessions, users.

Start: python -m streamlit run dashboard/app.py, in the project's folder. Everything that is not `st.*` is elsewhere.
"""

# ruff: noqa: E402  streamlit puts only this file's own folder on the import path, so the project's comes first

import random
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from pathlib import Path

import streamlit as st

PROJECT = Path(__file__).resolve().parent.parent
if str(PROJECT) not in sys.path:
    sys.path.insert(0, str(PROJECT))

from dashboard import quotas, view
from dashboard.bars import show_bars
from dashboard.latest_files import LatestFiles
from dashboard.quotas import QuotaState
from dashboard.records import Site
from dashboard.site_files import SiteFiles, folder_of_site
from dashboard.site_tables import charge_point_table, session_table, user_table
from dashboard.view import ServerState
from dashboard.wording import DASH, age, counted, escaped, kw, kwh

LIVE_INTERVAL_S = 5
USERS_INTERVAL_S = 10
MOST_CARDS = 24
MOST_ROWS = 20
ROW_HEIGHT = 28
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


@st.cache_resource(max_entries=8, show_spinner=False)
def files_of(folder: Path) -> SiteFiles:
    """Give the one reader of a folder that all viewers share: each version of a file is read and parsed once."""
    return SiteFiles(LatestFiles(folder))


def read_site() -> Site:
    return files_of(folder_of_site()).read()


def show_live() -> None:
    """All that changes within seconds. Trouble stands above the figures, so that a phone shows it first."""
    site, now = read_site(), datetime.now(UTC)
    state = view.server_state(site.server, now)
    zone, _ = view.site_zone(site.server)
    show_heading(site, state, now)
    show_bars(site, state, now, zone)
    if view.is_first_start(site):
        show_first_steps(site)
        return
    cards = view.cards(site, state, now)
    show_tiles(site, cards, now, zone)
    if cards:
        show_charge_points(cards)
    show_sessions(site, now, zone)


def show_heading(site: Site, state: ServerState, now: datetime) -> None:
    name = site.server.site_name if site.server else ""
    figures_of = site.server.time if site.server and state is ServerState.STOPPED else site.written_at
    updated = f"updated {age(figures_of, now)}" if figures_of else "no data yet"
    _, is_site_zone = view.site_zone(site.server)
    zone_note = "" if is_site_zone else " · times in UTC"
    with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
        st.header(escaped(name) or "EV charging", anchor=False, width="content")
        st.caption(f"{updated}{zone_note}", width="content")


def show_first_steps(site: Site) -> None:
    st.subheader("No chargers yet", anchor=False)
    st.markdown("Type this address into the charger as its OCPP 1.6J server, with its own name at the end:")
    st.code(view.charger_url(site.server), language=None)
    st.caption("Some chargers add their own name by themselves: then leave out the last part.")


def show_tiles(site: Site, cards: Sequence[view.Card], now: datetime, zone: tzinfo) -> None:
    power = view.power_now(site, now)
    lines = quotas.user_lines(site, now.astimezone(zone).date())
    over, near = quotas.quota_counts(lines)
    in_use, free = sum(card.is_in_use for card in cards), sum(card.is_free for card in cards)
    running = DASH if site.sessions is None else counted(len(site.sessions), "session")
    silent = f", {power.silent} without power" if power.silent else ""
    month = view.month_words(site.server, now.astimezone(zone))
    tiles = [
        ("Power now", kw(power.watts), running + silent),
        ("Chargers in use", f"{in_use} / {len(cards)}", f"{free} free"),
        ("Energy this month", kwh(view.energy_this_month(site)), month),
        ("Quota", f"{over} over" if site.users else DASH, f"{near} near (≥ 80 %)"),
    ]
    with st.grid(4, min_column_width=150):
        for label, value, below in tiles:
            st.metric(label, value, below, delta_color="off", delta_arrow="off", border=True, height="stretch")


def show_charge_points(cards: Sequence[view.Card]) -> None:
    st.subheader("Chargers", anchor=False)
    if len(cards) <= MOST_CARDS:
        with st.grid(6, min_column_width=160, border=True):
            for card in cards:
                st.markdown(view.card_markdown(card))
        return
    states = sorted({(card.state, card.color) for card in cards})
    st.dataframe(
        charge_point_table(cards),
        key="charge_points",
        hide_index=True,
        placeholder="",
        height="content" if len(cards) <= MOST_ROWS else ROW_HEIGHT * (MOST_ROWS + 1),
        row_height=ROW_HEIGHT,
        alt="Charge points with state, person, power and energy of the session",
        column_config={
            "State": st.column_config.MultiselectColumn(
                options=[state for state, _ in states], color=[color for _, color in states]
            ),
            "Power kW": st.column_config.NumberColumn(format="%.1f"),
            "Session kWh": st.column_config.NumberColumn(format="%.1f"),
        },
    )


def show_sessions(site: Site, now: datetime, zone: tzinfo) -> None:
    st.subheader("Running sessions", anchor=False)
    if not site.sessions:
        st.caption("Nobody is charging." if site.sessions is not None else "active_transactions.json is not there.")
        return
    one_decimal = st.column_config.NumberColumn(format="%.1f")
    time = st.column_config.DatetimeColumn(format="D MMM HH:mm", timezone=str(zone))
    st.dataframe(
        session_table(site, now),
        key="sessions",
        hide_index=True,
        placeholder="",
        height="content" if len(site.sessions) <= MOST_ROWS else "auto",
        alt="Running sessions with person, card, charger, energy and power",
        column_config={
            "Person": st.column_config.TextColumn(pinned=True),
            "Since": time,
            "Forecast stop": time,
            "Session kWh": one_decimal,
            "Power kW": one_decimal,
        },
    )


def show_users() -> None:
    """Users and quotas with their own search; refreshed less often, so that a table of 1,000 stays calm."""
    site, now = read_site(), datetime.now(UTC)
    lines = quotas.user_lines(site, now.astimezone(view.site_zone(site.server)[0]).date())
    if lines:
        st.subheader("Users and quotas", anchor=False)
        query = st.text_input(
            "Search users", key="user_search", type="search", live=True, placeholder="Name, card or account",
            label_visibility="collapsed", width=360,
        )  # fmt: skip
        found = quotas.search(lines, query or "")
        if found:
            show_user_table(found)
        st.caption(f"{len(found)} of {len(lines)} cards")
    absent = [f"{note.name} {note.text}" for note in site.notes if not note.is_broken]
    if absent:
        st.caption("  \n".join(["Not available:", *map(escaped, absent)]))


def show_user_table(lines: Sequence[quotas.UserLine]) -> None:
    one_decimal = st.column_config.NumberColumn(format="%.1f")
    st.dataframe(
        user_table(lines),
        key="users",
        hide_index=True,
        placeholder="",
        height="content" if len(lines) <= MOST_ROWS else "auto",
        alt="Users with card, quota state, energy used, quota and what is left",
        column_config={
            "Name": st.column_config.TextColumn(pinned=True),
            "State": st.column_config.MultiselectColumn(
                options=[state.value for state in STATE_COLORS], color=list(STATE_COLORS.values())
            ),
            "Quota used": st.column_config.ProgressColumn(format="%d%%", min_value=0, max_value=100),
            "Used kWh": one_decimal,
            "Quota kWh": one_decimal,
            "Left kWh": one_decimal,
        },
    )


st.set_page_config(page_title="EV charging", page_icon=str(PROJECT / "dashboard" / "favicon.png"), layout="wide")
# Viewers who opened the page together would else stay in step, and the reruns would queue up.
offset_s = st.session_state.setdefault("refresh_offset_s", random.uniform(0, 1))
st.fragment(show_live, run_every=LIVE_INTERVAL_S + offset_s)()
st.fragment(show_users, run_every=USERS_INTERVAL_S + offset_s)()
