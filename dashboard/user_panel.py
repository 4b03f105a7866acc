"""The panel beside the users table: one account."""

from datetime import date

import pandas as pd
import streamlit as st

from dashboard import finished_sessions, shell, view
from dashboard.quotas import UserLine
from dashboard.records import Wh
from dashboard.shell import Look
from dashboard.user_history import UserHistory, cards_of, user_history
from dashboard.wording import escaped, plain

CHART_HEIGHT = 180


def show_panel(id_tag: str) -> None:
    """Open the panel of a card's account; nothing if the card has gone from the list meanwhile."""
    seen = shell.look()
    lines = seen.user_lines
    line = next((each for each in lines if each.id_tag == id_tag), None)
    if line is not None:
        title = plain(line.person) or plain(line.id_tag)
        st.dialog(escaped(title), position="right", width="medium")(_show)(line, cards_of(line, lines))


def _show(line: UserLine, cards: list[str]) -> None:
    seen = shell.look()
    words, month = seen.words, view.open_month(seen.site.server, seen.local_now)
    used = words.kwh(line.used)
    if line.quota is None:
        st.markdown(words("users.panel_unlimited", used=used))
    else:
        st.markdown(words("users.panel_used", used=used, quota=words.kwh(line.quota), left=words.kwh(line.left)))
    others = [escaped(card) for card in cards if card != line.id_tag]
    if others:
        st.caption(words("users.panel_shared", cards=", ".join(others)))
    history = user_history(cards, seen.site, shell.archive(), month, seen.local_now.date())
    if history.days is not None:
        st.subheader(words("users.panel_days"), anchor=False)
        _bars({words.day(day): energy for day, energy in history.days.items()}, words("users.panel_days_alt"))
    _show_sessions(seen, history)
    st.subheader(words("users.panel_months"), anchor=False)
    _bars({_month_name(day): energy for day, energy in history.months.items()}, words("users.panel_months_alt"))


def _month_name(day: date) -> str:
    return f"{day:%Y-%m}"


def _bars(amounts: dict[str, Wh], alt: str) -> None:
    table = pd.DataFrame({"at": list(amounts), "kwh": [energy / 1000 for energy in amounts.values()]})
    st.bar_chart(table, x="at", y="kwh", x_label="", y_label="kWh", height=CHART_HEIGHT, sort=False, alt=alt)


def _show_sessions(seen: Look, history: UserHistory) -> None:
    words = seen.words
    st.subheader(words("users.panel_sessions"), anchor=False)
    if not history.sessions:
        st.caption(words("users.panel_no_sessions"))
        return
    st.dataframe(
        finished_sessions.table_of(history.sessions, words)[["end", "charger", "energy", "minutes", "reason"]],
        hide_index=True,
        placeholder="",
        height="content",
        alt=words("users.panel_sessions_alt"),
        column_config={
            "end": st.column_config.DatetimeColumn(words("columns.end"), format="D MMM HH:mm", timezone=str(seen.zone)),
            "charger": words("columns.charger"),
            "energy": st.column_config.NumberColumn(words("columns.session_energy"), format="%.1f"),
            "minutes": words("columns.minutes"),
            "reason": words("columns.reason"),
        },
    )
