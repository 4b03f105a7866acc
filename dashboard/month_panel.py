"""The month that quotas count in, and a person's word on it where the clock alone must not decide."""

from datetime import date

import streamlit as st

from dashboard import shell, view
from dashboard.asking import problem_words
from dashboard.control_api import ApiProblem
from dashboard.json_values import Json, text_at
from dashboard.reading_api import read
from dashboard.texts import Words
from dashboard.told import tell
from dashboard.wording import LONGEST_SENTENCE, escaped


def show_month(by_file: date) -> None:
    """Show it. `by_file`: as server_status.json has it, for a server that has no such route."""
    seen = shell.look()
    words = seen.words
    days = words("format.days", number=view.days_left(by_file, seen.local_now.date()))
    st.metric(words("manage_system.open_month"), words.month(by_file), words("manage_system.days_left", days=days),
              delta_color="off", delta_arrow="off", border=True, width=320)  # fmt: skip
    month = read("/month", absent=words("manage_system.no_month_route"))
    if month is None:
        return
    remedy = text_at(month, "remedy")
    if suspect := text_at(month, "suspect"):
        st.error(escaped(suspect, LONGEST_SENTENCE), icon=":material/schedule:")
        st.markdown(words("manage_system.clock_month", month=escaped(text_at(month, "clock_month"))))
    else:
        st.caption(words("manage_system.clock_agrees"))
    if remedy in {"undo", "confirm"}:
        st.markdown(words(f"manage_system.{remedy}_what", **_months(month)))
        if st.button(words(f"manage_system.{remedy}_button", **_months(month)), key="month_remedy"):
            st.dialog(words(f"manage_system.{remedy}_title"))(_remedy)(remedy, month)


def _months(month: Json) -> dict[str, str]:
    return {"opened": escaped(text_at(month, "open_month")), "clock": escaped(text_at(month, "clock_month"))}


def _remedy(remedy: str, month: Json) -> None:
    """Both months are named to the server: a click on an old page does nothing."""
    words = shell.words()
    st.markdown(words(f"manage_system.{remedy}_what", **_months(month)))
    reason = ""
    if remedy == "undo":
        reason = (st.text_input(words("manage_set_aside.reason"), key="month_reason", max_chars=200) or "").strip()
    if not st.button(words(f"manage_system.{remedy}_yes"), key="month_yes"):
        return
    if remedy == "undo" and not reason:
        st.error(words("manage_set_aside.incomplete"))
        return
    body = {"month": text_at(month, "clock_month")}
    if remedy == "undo":
        body = {"month": text_at(month, "open_month"), "back_to": text_at(month, "clock_month"), "reason": reason}
    _send(remedy, body, words)


def _send(remedy: str, body: dict[str, str], words: Words) -> None:
    try:
        shell.api().post(f"/month/{remedy}", body)
    except ApiProblem as problem:
        st.error(problem_words(problem, words, is_edit=False))
        return
    tell("success", words("manage_system.month_done"))
    st.rerun()
