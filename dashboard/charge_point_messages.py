"""The OCPP messages of one charge point, the newest first, and one of them whole."""

import streamlit as st

from dashboard import shell
from dashboard.choosing import asked, choose, note_click
from dashboard.control_api import part
from dashboard.json_values import Json, claim_at, moment_at, objects_at, text_at, whole_at
from dashboard.ocpp_calls import payload_text
from dashboard.ocpp_messages import message_table
from dashboard.paging import PAGE, page_wanted, show_turning
from dashboard.reading_api import read
from dashboard.texts import Words
from dashboard.wording import LONGEST_SENTENCE, escaped, plain


def show_messages(charge_point_id: str) -> None:
    """Show a page of them; it stays as it is until somebody asks for it again."""
    seen = shell.look()
    words = seen.words
    before = page_wanted("messages", charge_point_id)
    found = read(f"/charge-points/{part(charge_point_id)}/messages", limit=PAGE, before=before)
    if found is None:
        return
    if claim_at(found, "is_recording") is False:
        st.info(words("manage_chargers.messages_off"))
    if dropped := whole_at(found, "dropped"):
        st.warning(words.counted("manage_chargers.dropped", dropped))
    messages = list(objects_at(found, "messages"))
    if not messages:
        st.caption(words("manage_chargers.messages_none"))
        return
    table = message_table(messages, words)
    table["show"] = words("manage_chargers.message_button")
    rows = {text_at(each, "number"): row_name(each, seen.words) for each in messages}
    st.dataframe(
        table,
        key="messages",
        hide_index=True,
        placeholder="",
        alt=words("manage_chargers.messages_alt"),
        column_config={
            "time": st.column_config.DatetimeColumn(
                words("columns.time"), format="D MMM HH:mm:ss", timezone=str(seen.zone)
            ),
            "direction": words("manage_chargers.column.direction"),
            "kind": words("manage_chargers.column.kind"),
            "action": words("manage_chargers.column.action"),
            "content": st.column_config.TextColumn(words("manage_chargers.column.content"), width="large"),
            "latency": st.column_config.NumberColumn(words("manage_chargers.column.latency"), format="%.0f"),
            "show": st.column_config.ButtonColumn(
                words("columns.details"), key="message_click", on_click=note_click, args=("message", list(rows))
            ),
        },
    )
    with st.container(horizontal=True):
        st.button(words("manage.refresh"), key="messages_refresh", icon=":material/refresh:", type="tertiary")
        show_turning("messages", whole_at(found, "next"), words)
    choose(words("manage_chargers.choose_message"), rows, words("manage_chargers.message_button"), "message")
    if (number := asked("message")) is not None:
        show_message(charge_point_id, number)


def row_name(message: Json, words: Words) -> str:
    kind = text_at(message, "kind")
    told = (text_at(message, "number"), words.of("manage_chargers.kind", kind, kind), text_at(message, "action"))
    return " · ".join(filter(None, told))


def show_message(charge_point_id: str, number: str) -> None:
    """Open one whole; by its number, because the page may have gone on since the click."""
    path = f"/charge-points/{part(charge_point_id)}/messages"
    found = read(path, limit=1, before=int(number) + 1) or {}
    message = next(iter(objects_at(found, "messages")), {})
    title = plain(text_at(message, "action")) or shell.words()("manage_chargers.message_title")
    st.dialog(escaped(title), width="large")(_show)(message)


def _show(message: Json) -> None:
    words, seen = shell.words(), shell.look()
    row = message_table([message], words).iloc[0].to_dict()
    at = moment_at(message, "at")
    time = f"{at.astimezone(seen.zone):%Y-%m-%d %H:%M:%S}" if at else ""
    st.caption(" · ".join(filter(None, (time, row["direction"], row["kind"], escaped(text_at(message, "message_id"))))))
    st.code(whole_text(message), language="json", wrap_lines=True)


def whole_text(message: Json) -> str:
    """Give the payload as text, or what there is instead."""
    payload = message.get("payload")
    if payload is not None:
        return payload_text(payload).encode("utf-8", "replace").decode("utf-8")
    parts = ("error_code", "error_description", "reason", "excerpt")
    return "\n".join(plain(text_at(message, each), LONGEST_SENTENCE) for each in parts if text_at(message, each))
