"""Overview: four tiles, who needs a look, and the charge points as cards or as a table."""

from collections.abc import Sequence
from typing import Literal

import streamlit as st

from dashboard import energy_history, quotas, shell, view
from dashboard.cards import Card, Choice, attention_line, card_markdown, cards, chosen
from dashboard.shell import Look
from dashboard.site_tables import charge_point_table
from dashboard.texts import DASH

MOST_CARDS = 24
MOST_ROWS = 20
ROW_HEIGHT = 28
SPARK_MINUTES = 60
DAYS = 14


def show() -> None:
    seen = shell.look()
    if view.is_first_start(seen.site):
        show_first_steps(seen)
    else:
        users = seen.user_lines
        found = cards(seen.site, seen.state, seen.words, seen.now, users)
        show_tiles(seen, found, users)
        show_charge_points(seen, found)
    absent = [view.absent_line(note, seen.words) for note in seen.site.notes if not note.is_broken]
    if absent:
        st.caption("  \n".join([seen.words("bars.absent"), *absent]))


def show_first_steps(seen: Look) -> None:
    st.subheader(seen.words("overview.first_title"), anchor=False)
    st.markdown(seen.words("overview.first_address"))
    st.code(view.charger_url(seen.site.server), language=None, wrap_lines=True)
    st.caption(seen.words("overview.first_hint"))


def show_tiles(seen: Look, found: Sequence[Card], users: Sequence[quotas.UserLine]) -> None:
    with st.grid(4, min_column_width=150):
        show_power(seen)
        in_use, free = sum(card.is_in_use for card in found), sum(card.is_free for card in found)
        tile(seen.words("overview.in_use"), f"{in_use} / {len(found)}", seen.words("overview.free", number=free))
        show_energy(seen)
        over, near = quotas.quota_counts(users)
        tile(
            seen.words("overview.quota"),
            seen.words("overview.over", number=over) if seen.site.users else DASH,
            seen.words("overview.near", number=near, percent=seen.words.percent(quotas.NEAR_PERCENT)),
        )


def show_power(seen: Look) -> None:
    words, site = seen.words, seen.site
    power = view.power_now(site, seen.now)
    running = DASH if site.sessions is None else words.counted("overview.sessions", len(site.sessions))
    silent = words("overview.silent", number=power.silent) if power.silent else ""
    history = [round(watts / 1000, 1) for _, watts in view.power_history(site.readings, seen.now)[-SPARK_MINUTES:]]
    tile(words("overview.power"), words.kw(power.watts), running + silent, history, "area")


def show_energy(seen: Look) -> None:
    """Energy today and the bars of 14 days; without the archive, that of the month."""
    words = seen.words
    today = seen.local_now.date()
    days = energy_history.energy_by_day(shell.archive(), today, DAYS)
    if days is None:
        month = words.month(view.open_month(seen.site.server, seen.local_now))
        tile(words("overview.month_energy"), words.kwh(view.energy_this_month(seen.site)), month)
        return
    bars = [round(energy / 1000, 1) for energy in days.values()]
    tile(words("overview.today"), words.kwh(days[today]), words("overview.days", number=DAYS), bars, "bar")


def tile(
    label: str, value: str, below: str, history: Sequence[float] = (), kind: Literal["area", "bar"] = "bar"
) -> None:
    st.metric(
        label, value, below, delta_color="off", delta_arrow="off", border=True, height="stretch",
        chart_data=list(history) if any(history) else None, chart_type=kind,
    )  # fmt: skip


def show_charge_points(seen: Look, found: Sequence[Card]) -> None:
    if not found:
        return
    attention = attention_line(found, seen.now, seen.words)
    if attention:
        st.markdown(f":red[:material/warning:] {attention}")
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        choice = pick_choice(seen, found)
        is_table = pick_form(seen, len(found))
    shown = chosen(found, choice)
    if not shown:
        st.caption(seen.words("overview.none_of_these"))
    elif is_table:
        show_table(seen, shown)
    else:
        with st.grid(6, min_column_width=160, border=True):
            for card in shown:
                st.markdown(card_markdown(card, seen.now, seen.words))


def pick_choice(seen: Look, found: Sequence[Card]) -> Choice:
    """Let the viewer choose by state. The choice is in the address, without the counts, which change."""
    labels = {choice: f"{seen.words(f'overview.choice.{choice}')} {len(chosen(found, choice))}" for choice in Choice}
    wanted = st.query_params.get("show", "")
    picked = st.pills(
        seen.words("overview.filter"),
        list(Choice),
        default=wanted if wanted in set(Choice) else Choice.ALL,
        # a click may carry a label with the counts of the look before
        format_func=lambda option: labels.get(option) or label_like(str(option), labels),
        key="overview_filter",
        required=True,
        label_visibility="collapsed",
    )
    choice = next((each for each, label in labels.items() if picked in {each, label}), Choice.ALL)
    if choice is not Choice.ALL:
        st.query_params["show"] = choice.value
    elif "show" in st.query_params:
        del st.query_params["show"]
    return choice


def label_like(stale: str, labels: dict[Choice, str]) -> str:
    """Give the label of now for one that differs only in its count."""
    name = stale.rsplit(" ", 1)[0]
    return next((label for label in labels.values() if label.rsplit(" ", 1)[0] == name), stale)


def pick_form(seen: Look, number: int) -> bool:
    """Let the viewer switch between cards and table; many charge points are a table at first."""
    forms = {seen.words("overview.as_cards"): False, seen.words("overview.as_table"): True}
    names = list(forms)
    picked = st.segmented_control(
        seen.words("overview.form"), names, default=names[number > MOST_CARDS], key="overview_form",
        required=True, label_visibility="collapsed", bind="query-params",
    )  # fmt: skip
    return forms.get(str(picked), number > MOST_CARDS)


def show_table(seen: Look, shown: Sequence[Card]) -> None:
    words = seen.words
    states = sorted({(card.state, card.color) for card in shown})
    st.dataframe(
        charge_point_table(shown, seen.now),
        key="charge_points",
        hide_index=True,
        placeholder="",
        height="content" if len(shown) <= MOST_ROWS else ROW_HEIGHT * (MOST_ROWS + 1),
        row_height=ROW_HEIGHT,
        alt=words("overview.table_alt"),
        column_config={
            "charger": st.column_config.TextColumn(words("columns.charger"), pinned=True),
            "state": st.column_config.MultiselectColumn(
                words("columns.state"), options=[state for state, _ in states], color=[color for _, color in states]
            ),
            "person": st.column_config.TextColumn(words("columns.person")),
            "power": st.column_config.NumberColumn(words("columns.power"), format="%.1f"),
            "energy": st.column_config.NumberColumn(words("columns.session_energy"), format="%.1f"),
            "minutes": st.column_config.NumberColumn(words("columns.minutes"), format="%d"),
            "percent": st.column_config.NumberColumn(words("columns.quota_used"), format="%d%%"),
            "note": st.column_config.TextColumn(words("columns.note")),
        },
    )


shell.live(shell.LIVE_INTERVAL_S, show)
