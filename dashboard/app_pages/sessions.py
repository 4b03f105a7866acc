"""Sessions: those that run, with a stop, and those that ended, with the reason and the account of each."""

from calendar import monthrange
from datetime import date

import streamlit as st

from dashboard import finished_sessions, shell
from dashboard.archive_files import FinishedSession
from dashboard.choosing import asked, choose, note_click, rerun_if_asked
from dashboard.downloads import offer_csv
from dashboard.login.visitor import Role
from dashboard.records import Wh
from dashboard.session_dialogs import explain, stop
from dashboard.shell import Look
from dashboard.site_tables import session_table, sorted_sessions
from dashboard.wording import escaped, plain

MOST_ROWS = 20
TIME = "D MMM HH:mm"


def show_running() -> None:
    seen = shell.look()
    words, sessions = seen.words, sorted_sessions(seen.site, seen.now)
    st.subheader(words("sessions.running"), anchor=False)
    if not sessions:
        st.caption(words("sessions.nobody") if seen.site.sessions is not None else words("sessions.unknown"))
        return
    table = session_table(seen.site, seen.now, words)
    if seen.visitor.role is Role.ADMIN:
        table["stop"] = words("sessions.stop_button")
    shown = [session.transaction_id for session in sessions]
    number = st.column_config.NumberColumn
    time = st.column_config.DatetimeColumn
    st.dataframe(
        table,
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
            "since": time(words("columns.since"), format=TIME, timezone=str(seen.zone)),
            "energy": number(words("columns.session_energy"), format="%.1f"),
            "power": number(words("columns.power"), format="%.1f"),
            "state": words("columns.state"),
            "forecast_stop": time(words("columns.forecast_stop"), format=TIME, timezone=str(seen.zone)),
            "stop": st.column_config.ButtonColumn(
                words("columns.stop"), key="stop_click", on_click=note_click, args=("stop", shown)
            ),
        },
    )
    if seen.visitor.role is Role.ADMIN:
        rows = {each.transaction_id: f"{each.person or each.id_tag} · {each.charge_point_id}" for each in sessions}
        choose(words("sessions.choose"), rows, words("sessions.stop_button"), "stop")
    rerun_if_asked("stop")


def show_finished() -> None:
    seen = shell.look()
    words, archive = seen.words, shell.archive()
    st.subheader(words("sessions.finished"), anchor=False)
    months = archive.months()
    if not months:
        st.caption(words("sessions.no_archive"))
        return
    with st.grid(5, min_column_width=180):
        month = pick_month(seen, months)
        loaded = archive.sessions(month)
        sessions = loaded.value or ()
        query = st.text_input(
            words("sessions.search"), key="session_search", type="search", live=True,
            placeholder=words("sessions.search_hint"),
        )  # fmt: skip
        names = sorted({plain(session.charge_point) for session in sessions})
        charge_points = st.multiselect(
            words("sessions.chargers"), names, key="session_chargers", placeholder=words("sessions.chargers_hint")
        )
        reasons = st.multiselect(
            words("sessions.reasons"), sorted({session.reason for session in sessions}), key="session_reasons",
            format_func=lambda reason: plain(finished_sessions.reason_words(reason, words)),
            placeholder=words("sessions.reasons_hint"),
        )  # fmt: skip
        days = pick_days(seen, month)
    if loaded.is_missing and loaded.value is None:
        st.caption(words("sessions.none_in_month"))
    elif loaded.problem:
        st.caption(words("sessions.no_month", problem=escaped(loaded.problem)))
    found = finished_sessions.found(
        sessions, query=query or "", charge_points=charge_points, reasons=reasons, days=days, zone=seen.zone
    )
    if found:
        show_found(seen, month, found)
    elif loaded.value is not None:
        st.caption(words("sessions.none_found"))


def pick_month(seen: Look, months: list[date]) -> date:
    """Let the viewer choose a month that has a file; the newest at first."""
    names = {f"{month:%Y-%m}": month for month in months}
    picked = st.selectbox(
        seen.words("sessions.month"), list(names), key="session_month", bind="query-params",
    )  # fmt: skip
    return names.get(picked, months[0])


def pick_days(seen: Look, month: date) -> tuple[date, date] | None:
    """Let the viewer choose the first and the last day; None while that is not both."""
    last = month.replace(day=monthrange(month.year, month.month)[1])
    picked = st.date_input(
        seen.words("sessions.days"), (month, last), month, last, key=f"session_days_{month:%Y_%m}", format="YYYY-MM-DD"
    )
    return picked if isinstance(picked, tuple) and len(picked) == 2 else None


def show_found(seen: Look, month: date, found: list[FinishedSession]) -> None:
    words = seen.words
    table = finished_sessions.table_of(found, words)
    table["why"] = words("sessions.why_button")
    shown = [session.transaction_id for session in found]
    number = st.column_config.NumberColumn
    time = st.column_config.DatetimeColumn
    st.dataframe(
        table,
        key="finished_sessions",
        hide_index=True,
        placeholder="",
        height="content" if len(found) <= MOST_ROWS else "auto",
        alt=words("sessions.finished_alt"),
        column_config={
            "start": time(words("columns.start"), format=TIME, timezone=str(seen.zone)),
            "end": time(words("columns.end"), format=TIME, timezone=str(seen.zone)),
            "person": words("columns.person"),
            "card": words("columns.card"),
            "charger": words("columns.charger"),
            "connector": words("columns.connector"),
            "energy": number(words("columns.session_energy"), format="%.1f"),
            "minutes": words("columns.minutes"),
            "reason": words("columns.reason"),
            "flags": words("columns.flags"),
            "why": st.column_config.ButtonColumn(
                words("columns.why"), key="why_click", on_click=note_click, args=("why", shown)
            ),
        },
    )
    rows = {each.transaction_id: f"{each.person or each.id_tag} · {each.transaction_id}" for each in found}
    choose(words("sessions.choose_finished"), rows, words("sessions.why_button"), "why")
    known = [session.energy for session in found if session.energy is not None]
    energy = Wh(sum(known)) if known else None
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(words.counted("sessions.found", len(found), energy=words.kwh(energy)), width="content")
        offer_csv(
            seen, f"sessions-{month:%Y-%m}", "sessions",
            lambda: finished_sessions.export_of(found, words, seen.zone),
        )  # fmt: skip


stop_asked, why_asked = asked("stop"), asked("why")
shell.live(shell.LIVE_INTERVAL_S, show_running)
show_finished()
rerun_if_asked("why")
if stop_asked:
    stop(stop_asked)
elif why_asked:
    explain(why_asked)
