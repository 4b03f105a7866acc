"""Two forms about one user: a new one out of a refused card, and a top-up of a quota."""

import streamlit as st

from dashboard import shell
from dashboard.asking import problem_words
from dashboard.control_api import ApiProblem, part
from dashboard.records import Wh
from dashboard.texts import Words
from dashboard.user_edits import Kind, Row, Step, normal, problem_line, problems_of, steps_between
from dashboard.user_saving import Users
from dashboard.wording import LONGEST_SENTENCE, escaped, plain

LARGEST_TOP_UP_KWH = 100_000.0
MORE_THAN_USED = 409


def make_user(id_tag: str) -> None:
    """Open the form of a new user with this card."""
    st.dialog(shell.words()("manage_users.make_title"))(_make)(id_tag)


def _make(id_tag: str) -> None:
    words = shell.words()

    def heading(column: str) -> str:
        return words(f"manage_users.column.{column}")

    with st.form("new_user", border=False):
        row = {
            "id_tag": st.text_input(heading("id_tag"), id_tag, max_chars=20, key="new_id_tag"),
            "name": st.text_input(heading("name"), max_chars=100, key="new_name"),
            "surname": st.text_input(heading("surname"), max_chars=100, key="new_surname"),
            "quota_kwh": st.number_input(heading("quota_kwh"), 0.0, value=None, step=10.0, key="new_quota"),
            "unlimited": st.checkbox(heading("unlimited"), key="new_unlimited"),
        }
        is_wanted = st.form_submit_button(words("manage_users.make_title"), key="new_user_make")
    if is_wanted:
        _add(normal(row), words)


def _add(row: Row, words: Words) -> None:
    problems = list(problems_of([row]))
    if problems:
        st.error("\n".join(f"- {problem_line(problem, words)}" for problem in problems))
        return
    (step,) = (each for each in steps_between([], [row]) if each.kind is Kind.ADD)
    try:
        shell.api().ask(step.method, step.path, body=step.body)
    except ApiProblem as problem:
        st.error(problem_words(problem, words))
        return
    st.session_state.pop("users_base", None)  # the table begins anew with this user
    st.success(words("manage_users.make_done", who=_who(step)))


def _who(step: Step) -> str:
    name = " ".join(str(step.cells[column]) for column in ("name", "surname") if column in step.cells)
    return escaped(plain(name) or step.id_tag)


def top_up(users: Users) -> None:
    """Show the form that gives kWh back in the open month."""
    words = shell.words()
    st.caption(words("manage_users.topup_hint"))
    names = {row["id_tag"]: plain(f"{row['name']} {row['surname']} · {row['id_tag']}") for row in users.rows}
    with st.form("top_up", border=False, width=480):
        tag = st.selectbox(
            words("manage_users.topup_who"), list(names), index=None, format_func=lambda each: names.get(each, each),
            placeholder=words("manage_users.who_hint"), key="topup_who",
        )  # fmt: skip
        kwh = st.number_input(words("manage_users.topup_kwh"), 0.0, LARGEST_TOP_UP_KWH, 0.0, 5.0, key="topup_kwh")
        reason = st.text_input(
            words("manage_users.topup_reason"), max_chars=200, placeholder=words("manage_users.topup_reason_hint"),
            key="topup_reason",
        )  # fmt: skip
        is_wanted = st.form_submit_button(words("manage_users.topup_button"), key="topup_book")
    if is_wanted and not (tag and kwh and (reason or "").strip()):
        st.error(words("manage_users.topup_needs"))
    elif is_wanted and tag:
        _book(tag, kwh, str(reason), words)


def _book(tag: str, kwh: float, reason: str, words: Words) -> None:
    try:
        shell.api().post("/adjustments", {"id_tag": tag, "kwh": -kwh, "reason": reason.strip()})
        user = shell.api().get(f"/users/{part(tag)}")
    except ApiProblem as problem:
        said = words("manage_users.topup_too_much", problem=escaped(problem.detail, LONGEST_SENTENCE))
        st.error(said if problem.status == MORE_THAN_USED else problem_words(problem, words))
        return
    st.success(words("manage_users.topup_done", kwh=words.kwh(Wh(round(kwh * 1000))), who=escaped(tag)))
    if user["remaining_kwh"] is None:
        st.info(words("manage_users.topup_unlimited"))
    else:
        st.info(words("manage_users.topup_left", left=words.kwh(Wh(round(user["remaining_kwh"] * 1000)))))
