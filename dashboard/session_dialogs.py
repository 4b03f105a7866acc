"""Two dialogs about one session: to stop it, and why it went as it did."""

import time
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import shell
from dashboard.asking import problem_words
from dashboard.control_api import ApiProblem, part
from dashboard.records import Session, Wh
from dashboard.texts import Words
from dashboard.wording import LONGEST_SENTENCE, escaped, plain

FOLLOW_S = 2
PATIENCE_S = 30
"""After so long without an end the page says that the charge point does not answer."""


def stop(transaction_id: str) -> None:
    """Ask whether this session is to be stopped, have it stopped, and show what becomes of it."""
    words = shell.words()
    session = _running(transaction_id)
    if session is None:
        st.toast(words("sessions.stop_gone"))
        return
    st.dialog(words("sessions.stop_title"))(_stop)(session)


def _stop(session: Session) -> None:
    words = shell.words()
    st.markdown(_what(session, words))
    ordered = f"stop_ordered_{session.transaction_id}"
    if ordered in st.session_state:
        st.fragment(_follow, run_every=FOLLOW_S)(session.transaction_id, st.session_state[ordered])
        return
    st.caption(words("sessions.stop_cable"))
    with st.container(horizontal=True):
        if st.button(words("sessions.stop_yes"), key="stop_yes"):
            try:
                shell.api().post(f"/transactions/{part(session.transaction_id)}/stop")
            except ApiProblem as problem:
                st.error(problem_words(problem, words))
                return
            st.session_state[ordered] = time.monotonic()
            st.rerun(scope="fragment")
        if st.button(words("sessions.stop_no"), key="stop_no"):
            st.rerun()


def _what(session: Session, words: Words) -> str:
    return words(
        "sessions.stop_what",
        person=escaped(session.person) or words("states.other.nameless"),
        card=escaped(session.id_tag),
        charger=escaped(session.charge_point_id),
        energy=words.kwh(session.energy),
    )


def _follow(transaction_id: str, ordered_at: float) -> None:
    """Say how the stop stands: it is done when the session has gone, not when the charge point says Accepted."""
    words = shell.words()
    if _running(transaction_id) is None:
        st.success(words("sessions.stop_done"))
        return
    waited = time.monotonic() - ordered_at
    if waited > PATIENCE_S:
        st.warning(words("sessions.stop_still", seconds=words.duration(waited)))
    st.info(words("sessions.stop_ordered", result=_result(transaction_id, words)))


def _result(transaction_id: str, words: Words) -> str:
    try:
        told = shell.api().get(f"/transactions/{part(transaction_id)}")
    except ApiProblem as problem:
        return problem_words(problem, words)
    order = told.get("stop") or {}
    if not order.get("result"):
        return words("sessions.stop_no_result")
    return words("sessions.stop_result", result=escaped(str(order["result"])), attempts=order.get("attempts", 0))


def _running(transaction_id: str) -> Session | None:
    sessions = shell.look().site.sessions or ()
    return next((session for session in sessions if session.transaction_id == transaction_id), None)


def explain(transaction_id: str) -> None:
    """Show the account of a session: in words, then its bookings, readings and what was decided."""
    words = shell.words()
    st.dialog(words("sessions.why_title", transaction=plain(transaction_id)), width="large")(_explain)(transaction_id)


def _explain(transaction_id: str) -> None:
    words, zone = shell.words(), shell.look().zone
    try:
        told = shell.api().get(f"/transactions/{part(transaction_id)}/explanation")
    except ApiProblem as problem:
        st.error(problem_words(problem, words))
        return
    st.markdown("\n".join(f"- {escaped(line, LONGEST_SENTENCE)}" for line in told["summary"]))
    time_column = st.column_config.DatetimeColumn(words("columns.time"), format="D MMM HH:mm:ss", timezone=str(zone))
    for title, rows in (
        ("why_notes", [(note["at"], plain(note["text"], LONGEST_SENTENCE)) for note in told["notes"]]),
        ("why_bookings", [(each["booked_at"], _booking(each, words)) for each in told["bookings"]]),
        ("why_readings", [(each["at"], _reading(each, words)) for each in told["readings"]]),
    ):
        if rows:
            with st.expander(f"{words(f'sessions.{title}')} ({len(rows)})"):
                table = pd.DataFrame(rows, columns=["time", "text"])
                table["time"] = pd.to_datetime(table["time"], utc=True, format="ISO8601")
                st.dataframe(
                    table, hide_index=True, placeholder="", alt=words(f"sessions.{title}"),
                    column_config={"time": time_column, "text": words("columns.note")},
                )  # fmt: skip


def _booking(booking: dict[str, Any], words: Words) -> str:
    return plain(f"{words.kwh(Wh(booking['wh']))} · {booking['month']} · {booking['reason']}")


def _reading(reading: dict[str, Any], words: Words) -> str:
    return f"{words.kw(reading['power_w'])} · {words.kwh(Wh(reading['register_wh']))}"
