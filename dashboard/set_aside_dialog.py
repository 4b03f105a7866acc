"""The dialog about energy that was set aside: what is known of it, and a person's word on it."""

import streamlit as st

from dashboard import set_aside, shell
from dashboard.asking import problem_words
from dashboard.control_api import ApiProblem
from dashboard.json_values import Json, text_at, whole_at
from dashboard.reading_api import clock_of, read
from dashboard.records import Wh
from dashboard.texts import Words
from dashboard.told import tell


def decide(number: int) -> None:
    """Open it."""
    st.dialog(shell.words()("manage_set_aside.title", number=number), width="medium")(_decide)(number)


def _decide(number: int) -> None:
    seen = shell.look()
    words, clock = seen.words, clock_of(seen)
    entry = read(f"/set-aside/{number}")
    if entry is None:
        return
    st.markdown(f"**{set_aside.kind_words(entry, words)}**")
    st.markdown("\n".join(set_aside.fact_lines(entry, words, set_aside.times_of(entry, clock))))
    if not set_aside.is_open(entry):
        return
    id_tag, kwh = _of_orphan(entry, words)
    reason = st.text_input(
        words("manage_set_aside.reason"), key="set_aside_reason", max_chars=200,
        placeholder=words("manage_set_aside.reason_hint"),
    )  # fmt: skip
    st.caption(words("manage_set_aside.needs_orphan" if set_aside.is_orphan(entry) else "manage_set_aside.needs"))
    with st.container(horizontal=True):
        accepts = st.button(words("manage_set_aside.accept"), key="accept")
        drops = st.button(words("manage_set_aside.drop"), key="drop")
    is_whole = drops or not set_aside.is_orphan(entry) or bool(id_tag.strip() and kwh)
    if (accepts or drops) and not ((reason or "").strip() and is_whole):
        st.error(words("manage_set_aside.incomplete"))
    elif accepts:
        _send(number, "accept", set_aside.acceptance(entry, reason or "", id_tag, kwh), words)
    elif drops:
        _send(number, "drop", {"reason": (reason or "").strip()}, words)


def _of_orphan(entry: Json, words: Words) -> tuple[str, float | None]:
    """Let a person say whose an orphan's energy is, and how much; of a reading both are known."""
    if not set_aside.is_orphan(entry):
        return "", None
    with st.grid(2, min_column_width=160):
        id_tag = st.text_input(
            words("columns.card"), text_at(entry, "id_tag")[: set_aside.LONGEST_TAG], set_aside.LONGEST_TAG,
            key="set_aside_card",
        )  # fmt: skip
        kwh = st.number_input(
            words("manage_set_aside.kwh"), 0.0, set_aside.MOST_KWH, set_aside.proposed_kwh(entry), 1.0, "%.3f",
            key="set_aside_kwh",
        )  # fmt: skip
    return id_tag or "", kwh


def _send(number: int, deed: str, body: dict[str, object], words: Words) -> None:
    try:
        answer = shell.api().post(f"/set-aside/{number}/{deed}", body)
    except ApiProblem as problem:
        st.error(problem_words(problem, words))
        return
    booked = whole_at(answer, "booked_wh") if isinstance(answer, dict) else None
    energy = words.kwh(None if booked is None else Wh(booked))
    tell("success", words(f"manage_set_aside.done.{deed}", number=number, energy=energy))
    st.rerun()
