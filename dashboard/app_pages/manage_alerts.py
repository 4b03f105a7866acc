"""Manage: alerts. What needs a person, what to do about it, who takes care, and what there was before."""

from collections.abc import Sequence

import streamlit as st

from dashboard import alert_list, shell
from dashboard.asking import problem_words
from dashboard.control_api import ApiProblem, part
from dashboard.json_values import Json, moment_at, objects_at, text_at, whole_at
from dashboard.paging import PAGE, page_wanted, show_turning
from dashboard.reading_api import clock_of, read
from dashboard.shell import Look
from dashboard.wording import LONGEST_SENTENCE, escaped, plain

MOST_SHOWN = 50
CHARGERS_PAGE = "app_pages/manage_chargers.py"


def show_standing() -> None:
    seen = shell.look()
    words = seen.words
    if problem := st.session_state.pop("alert_problem", None):
        st.error(problem)
    document = read("/alerts")
    if document is None:
        return
    unseen, seen_already = alert_list.split(objects_at(document, "alerts"))
    if not unseen and not seen_already:
        st.success(words("manage_alerts.none"), icon=":material/check_circle:")
    for title, alerts in (("open", unseen), ("acknowledged", seen_already)):
        if alerts:
            st.subheader(f"{words(f'manage_alerts.{title}')} ({len(alerts)})", anchor=False)
            show_alerts(seen, alerts)


def show_alerts(seen: Look, alerts: Sequence[Json]) -> None:
    for alert in alerts[:MOST_SHOWN]:
        with st.container(border=True, gap="xsmall"):
            show_alert(seen, alert)
    if len(alerts) > MOST_SHOWN:
        st.caption(seen.words("bars.more", number=len(alerts) - MOST_SHOWN))


def show_alert(seen: Look, alert: Json) -> None:
    words, clock = seen.words, clock_of(seen)
    severity, alert_id = text_at(alert, "severity"), text_at(alert, "id")
    is_taken = alert_list.is_acknowledged(alert)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.badge(alert_list.severity_words(alert, words), color=alert_list.SEVERITIES.get(severity, "gray"))
        said = text_at(alert, "text") or text_at(alert, "kind")
        st.markdown(f"**{escaped(said, LONGEST_SENTENCE)}**", width="stretch")
        if not is_taken:
            st.button(
                words("manage_alerts.take"), key=f"take_{plain(alert_id, LONGEST_SENTENCE)}", on_click=take,
                args=(alert_id,),
            )  # fmt: skip
    if todo := alert_list.what_to_do(alert, words):
        st.markdown(todo)
    facts = [words("bars.since", time=clock(moment_at(alert, "since")))]
    if is_taken:
        name, at = escaped(text_at(alert, "acknowledged_by")), clock(moment_at(alert, "acknowledged_at"))
        facts.append(words("manage_alerts.taken", name=name, time=at))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(" · ".join(facts), width="content")
        if charge_point_id := text_at(alert, "charge_point_id"):
            # the address has the name of the part, as the page shows it
            place = {"charger_part": words("manage_chargers.part.leaks")} if alert_list.is_leak(alert) else {}
            st.page_link(
                CHARGERS_PAGE, label=escaped(charge_point_id), icon=":material/ev_station:",
                query_params={"charger": charge_point_id.encode("utf-8", "replace").decode("utf-8")} | place,
            )  # fmt: skip


def take(alert_id: str) -> None:
    """One click: whoever was first keeps it. One that is over by now is told as such."""
    words = shell.words()
    try:
        shell.api().post(f"/alerts/{part(alert_id)}/acknowledge")
    except ApiProblem as problem:
        told = words("manage_alerts.over") if problem.status == 404 else problem_words(problem, words)
        st.session_state["alert_problem"] = told


def show_history() -> None:
    seen = shell.look()
    words = seen.words
    found = read("/alerts/history", limit=PAGE, before=page_wanted("alert_history", ()))
    if found is None:
        return
    notes = list(objects_at(found, "notes"))
    if not notes:
        st.caption(words("manage_alerts.no_history"))
        return
    st.dataframe(
        alert_list.history_table(notes),
        key="alert_history",
        hide_index=True,
        placeholder="",
        alt=words("manage_alerts.history_alt"),
        column_config={
            "time": st.column_config.DatetimeColumn(
                words("columns.time"), format="D MMM HH:mm:ss", timezone=str(seen.zone)
            ),
            "what": st.column_config.TextColumn(words("columns.what"), width="large"),
            "charger": words("columns.charger"),
        },
    )
    show_turning("alert_history", whole_at(found, "next"), words)


shell.live(shell.LIVE_INTERVAL_S, show_standing)
if st.toggle(shell.words()("manage_alerts.history"), key="alert_history_shown", bind="query-params"):
    show_history()
