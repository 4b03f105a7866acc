"""Dialogs that ask before something is done with a charge point: let in, shut out, forget, give a password."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from dashboard import charge_points, shell
from dashboard.asking import problem_words
from dashboard.control_api import ApiProblem, part
from dashboard.json_values import text_at
from dashboard.reading_api import clock_of, read
from dashboard.texts import Words
from dashboard.told import tell
from dashboard.wording import escaped, plain


def ask(deed: str, charge_point_id: str) -> None:
    """Open the dialog of a deed: approve, password, or one that only has to be confirmed."""
    words = shell.words()
    title = words(f"manage_chargers.{deed}_title", charger=escaped(charge_point_id))
    asked: dict[str, Callable[..., None]] = {"approve": _approve, "password": _password}
    if deed in asked:
        st.dialog(title, on_dismiss="rerun")(asked[deed])(charge_point_id)
    else:
        st.dialog(title)(_confirm)(deed, charge_point_id)


def _confirm(deed: str, charge_point_id: str) -> None:
    words = shell.words()
    st.markdown(words(f"manage_chargers.{deed}_what"))
    with st.container(horizontal=True):
        is_sure = st.button(words(f"manage_chargers.{deed}_yes"), key=f"{deed}_yes")
        if st.button(words("manage.cancel"), key=f"{deed}_no"):
            st.rerun()
    if not is_sure:
        return
    path, body = ("password", {"remove": True}) if deed == "unkey" else (deed, None)
    try:
        answer = shell.api().post(f"/charge-points/{part(charge_point_id)}/{path}", body)
    except ApiProblem as problem:
        st.error(problem_words(problem, words, is_edit=False))
        return
    done = words(f"manage_chargers.{deed}_done", charger=escaped(charge_point_id))
    tell("success", _with_remarks(done, answer))
    if deed == "forget":
        st.query_params.pop("charger", None)
    st.rerun()


def _approve(charge_point_id: str) -> None:
    """What it said stands above the button: whoever lets it in should know it again."""
    words, clock = shell.words(), clock_of(shell.look())
    place = st.empty()
    with place.container():
        found = read(f"/charge-points/{part(charge_point_id)}")
        if found is None:
            return
        st.markdown("\n".join(charge_points.said_lines(found, words, clock)))
        profile = st.selectbox(
            words("manage_chargers.min_profile"), ("same", *map(str, charge_points.PROFILES)), key="approve_profile",
            format_func=lambda each: words(f"manage_chargers.profile.{each}"),
        )  # fmt: skip
        choices = ("none", "made", "typed")
        choice = st.radio(
            words("manage_chargers.approve_key"), choices, key="approve_key", index=0,
            format_func=lambda each: words(f"manage_chargers.key.{each}"),
        )  # fmt: skip
        typed = _typed_key(words, "approve_typed") if choice == "typed" else None
        is_sure = st.button(words("manage_chargers.approve_yes"), key="approve_yes")
    if not is_sure or _is_bad_key(typed, words):
        return
    body = {} if profile in {None, "same"} else {"min_profile": int(profile)}
    try:
        answer = shell.api().post(f"/charge-points/{part(charge_point_id)}/approve", body)
    except ApiProblem as problem:
        st.error(problem_words(problem, words, is_edit=False))
        return
    done = _with_remarks(words("manage_chargers.approve_done", charger=escaped(charge_point_id)), answer)
    if choice == "none":
        tell("success", done)
        st.rerun()
    place.empty()
    st.success(done)
    _set_password(charge_point_id, typed, is_sent=False)


def _password(charge_point_id: str) -> None:
    words = shell.words()
    place = st.empty()
    with place.container():
        st.markdown(words("manage_chargers.password_what"))
        choice = st.radio(
            words("manage_chargers.approve_key"), ("made", "typed"), key="password_key", label_visibility="collapsed",
            format_func=lambda each: words(f"manage_chargers.key.{each}"),
        )  # fmt: skip
        typed = _typed_key(words, "password_typed") if choice == "typed" else None
        is_sent = st.checkbox(words("manage_chargers.password_send"), key="password_send")
        is_sure = st.button(words("manage_chargers.password_yes"), key="password_yes")
    if is_sure and not _is_bad_key(typed, words):
        place.empty()
        _set_password(charge_point_id, typed, is_sent=is_sent)


def _typed_key(words: Words, key: str) -> str:
    typed = st.text_input(
        words("manage_chargers.password"), key=key, type="password", max_chars=charge_points.LONGEST_KEY,
        autocomplete="new-password",
    )  # fmt: skip
    return (typed or "").strip()


def _is_bad_key(typed: str | None, words: Words) -> bool:
    """Say so before anything is done: the server would refuse the password when the rest is in force."""
    if typed is None or charge_points.can_be_key(typed):
        return False
    st.error(words("manage_chargers.password_bad"))
    return True


def _set_password(charge_point_id: str, typed: str | None, *, is_sent: bool) -> None:
    """Set it and show it once, if the server made it: also with a problem, for the charge point may have taken it."""
    words = shell.words()
    body: dict[str, Any] = {"send": is_sent} | ({} if typed is None else {"password": typed})
    try:
        with st.spinner(words("manage_chargers.sending" if is_sent else "manage_chargers.saving")):
            answer = shell.api().post(f"/charge-points/{part(charge_point_id)}/password", body)
    except ApiProblem as problem:
        st.error(problem_words(problem, words, is_edit=False))
        _show_once(text_at(problem.members, "password"), words)
        return
    st.success(_with_remarks(words("manage_chargers.password_done", charger=escaped(charge_point_id)), answer))
    _show_once(text_at(answer if isinstance(answer, dict) else {}, "password"), words)


def _show_once(password: str, words: Words) -> None:
    if password:
        st.code(plain(password), language=None, wrap_lines=True)
        st.warning(words("manage_chargers.password_once"))


def _with_remarks(done: str, answer: object) -> str:
    remarks = answer.get("remarks") if isinstance(answer, dict) else ()
    return "\n\n".join(filter(None, (done, charge_points.remark_lines(remarks))))
