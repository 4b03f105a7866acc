"""Calls to one charge point: the common ones with a button each, and every other of OCPP 1.6 with its JSON."""

from typing import Any

import streamlit as st

from dashboard import ocpp_calls, shell
from dashboard.control_api import ApiProblem, part
from dashboard.json_values import Json, claim_at, object_at, text_at
from dashboard.ocpp_calls import EXAMPLES, TRIGGERED, PayloadError, answer_words, call_problem_words
from dashboard.texts import Words
from dashboard.wording import LONGEST_SENTENCE, escaped

MOST_CONNECTORS = 1000


def show_calls(charge_point: Json) -> None:
    """Show the buttons, the door for any call, and what came back last."""
    words, charge_point_id = shell.words(), text_at(charge_point, "id")
    is_away = not claim_at(charge_point, "connected")
    if is_away:
        st.info(words("manage_chargers.calls_away"))
    asked = _common(words, is_off=is_away)
    with st.expander(words("manage_chargers.any_call"), key="any_call"):
        asked = _any(words, is_off=is_away) or asked
    if asked:
        _send(charge_point_id, *asked)
    _show_answer(charge_point_id, words)


def _common(words: Words, *, is_off: bool) -> tuple[str, dict[str, Any]] | None:
    """Give the path and the body of what was clicked."""
    asked: tuple[str, dict[str, Any]] | None = None
    with st.container(horizontal=True, vertical_alignment="bottom"):
        connector = st.number_input(
            words("manage_chargers.connector"), 0, MOST_CONNECTORS, 1, key="call_connector", width=130,
            help=words("manage_chargers.connector_help"),
        )  # fmt: skip
        buttons: tuple[tuple[str, str, dict[str, Any]], ...] = (
            ("unlock", "unlock", {"connector_id": connector}),
            ("out", "availability", {"connector_id": connector, "type": "Inoperative"}),
            ("in", "availability", {"connector_id": connector, "type": "Operative"}),
        )
        for name, path, body in buttons:
            is_whole = name == "unlock" and connector == 0
            if st.button(words(f"manage_chargers.call.{name}"), key=f"call_{name}", disabled=is_off or is_whole):
                asked = (path, body)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        message = st.selectbox(words("manage_chargers.trigger"), TRIGGERED, key="call_message", width=280)
        if st.button(words("manage_chargers.call.trigger"), key="call_trigger", disabled=is_off):
            has_connector = message in {"StatusNotification", "MeterValues"} and connector > 0
            asked = ("trigger", {"requested_message": message} | ({"connector_id": connector} if has_connector else {}))
    with st.container(horizontal=True, vertical_alignment="center"):
        is_meant = st.checkbox(words("manage_chargers.reset_sure"), key="reset_sure")
        for kind in ("Soft", "Hard"):
            is_disabled = is_off or not is_meant
            if st.button(words(f"manage_chargers.call.{kind}"), key=f"call_{kind}", disabled=is_disabled):
                asked = ("reset", {"type": kind})
    return asked


def _any(words: Words, *, is_off: bool) -> tuple[str, dict[str, Any]] | None:
    action = st.selectbox(words("manage_chargers.action"), list(EXAMPLES), key="call_action")
    if action not in EXAMPLES:
        return None
    text = st.text_area(
        words("manage_chargers.payload"), ocpp_calls.payload_text(EXAMPLES[action]), key=f"call_payload_{action}",
        height=180,
    )  # fmt: skip
    st.caption(words("manage_chargers.any_hint"))
    if not st.button(words("manage_chargers.send"), key="call_send", disabled=is_off):
        return None
    try:
        return f"commands/{action}", ocpp_calls.payload_in(text or "")
    except PayloadError as error:
        st.error(words("manage_chargers.no_json", problem=escaped(str(error)) or words("manage_chargers.no_object")))
        return None


def _send(charge_point_id: str, path: str, body: dict[str, Any]) -> None:
    """Ask, and keep what came back: an answer, or the problem that there is none."""
    words = shell.words()
    try:
        with st.spinner(words("manage_chargers.sending")):
            answer: object = shell.api().post(f"/charge-points/{part(charge_point_id)}/{path}", body)
    except ApiProblem as problem:
        answer = problem
    st.session_state["call_answer"] = (charge_point_id, answer, shell.look().now)


def _show_answer(charge_point_id: str, words: Words) -> None:
    """The last answer of this charge point, until the next one; with the time, for it may be old."""
    whose, answer, at = st.session_state.get("call_answer", (None, None, None))
    if whose != charge_point_id:
        return
    seen = shell.look()
    if isinstance(answer, ApiProblem):
        st.error(call_problem_words(answer, words))
    elif isinstance(answer, dict):
        level, line = answer_words(answer, words)
        {"success": st.success, "info": st.info, "warning": st.warning, "error": st.error}[level](line)
        if payload := object_at(answer, "payload"):
            st.json(_shown(payload), expanded=2)
    st.caption(words("manage_chargers.answered_at", time=f"{at.astimezone(seen.zone):%H:%M:%S}"))


def _shown(value: Any) -> Any:
    """JSON that a browser can have: text without lone surrogates, each at most so long."""
    if isinstance(value, str):
        return value[: LONGEST_SENTENCE * 10].encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, list):
        return [_shown(each) for each in value]
    if isinstance(value, dict):
        return {_shown(key): _shown(each) for key, each in value.items()}
    return value
