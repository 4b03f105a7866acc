"""Manage: users. The table of users1.csv to edit, refused cards, an import, a top-up of a quota."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import shell, user_edits, view
from dashboard.asking import problem_words
from dashboard.choosing import asked, choose, note_click, rerun_if_asked
from dashboard.control_api import ApiProblem
from dashboard.latest_files import UnreadableContentError
from dashboard.texts import Words
from dashboard.user_edits import COLUMNS, Kind, Row, Step, problem_line, problems_of, step_line, steps_between
from dashboard.user_forms import make_user, top_up
from dashboard.user_saving import Outcome, Users, carry_out, load_users, stopped_words
from dashboard.users_csv import read_lines, read_row
from dashboard.wording import LONGEST_SENTENCE, escaped, plain

MOST_LINES = 20
MOST_ROWS = 15


def show() -> None:
    words = shell.words()
    users = users_to_edit()
    if users is None:
        return
    tell_outcome(words)
    tabs = [words(f"manage_users.tab_{name}") for name in ("edit", "refused", "import", "topup")]
    edit, refused, import_, topup = st.tabs(tabs)
    with edit:
        show_editor(users, words)
    with refused:
        show_refused(words)
    with import_:
        show_import(users, words)
    with topup:
        top_up(users)


def users_to_edit() -> Users | None:
    """Give the users as they were when this table was opened: it must not change under the hands of who edits it."""
    if "users_base" not in st.session_state:
        try:
            st.session_state["users_base"] = load_users(shell.api())
        except ApiProblem as problem:
            st.error(problem_words(problem, shell.words()))
            return None
    base: Users = st.session_state["users_base"]
    return base


def begin_anew() -> None:
    """Forget the edits; the next run reads users1.csv as it is then."""
    st.session_state.pop("users_base", None)
    st.session_state["users_edition"] = st.session_state.get("users_edition", 0) + 1


def show_editor(users: Users, words: Words) -> None:
    st.caption(words("manage_users.editor_hint"))
    site = shell.look().site
    if site.users_report is not None and any(problem.line for problem in site.users_report.problems):
        st.caption(words("manage_users.unreadable"))
    edited = st.data_editor(
        table_of(users.rows),
        key=f"users_editor_{st.session_state.get('users_edition', 0)}",
        num_rows="dynamic",
        hide_index=True,
        placeholder="",
        height="content" if len(users.rows) <= MOST_ROWS else "auto",
        alt=words("manage_users.editor_alt"),
        column_config=editor_columns(words),
    )
    rows = [
        user_edits.normal({str(column): value for column, value in row.items()}) for row in edited.to_dict("records")
    ]
    rows = [row for row in rows if any(row.values())]
    problems = list(problems_of(rows))
    steps = steps_between(users.rows, rows)
    if problems:
        st.error(listed(words("manage_users.problems"), [problem_line(each, words) for each in problems], words))
    elif steps:
        planned = words.counted("manage_users.planned", len(steps))
        st.info(listed(planned, [step_line(step, words) for step in steps], words))
    else:
        st.caption(words("manage_users.nothing"))
    with st.container(horizontal=True):
        label = words.counted("manage_users.save", len(steps))
        if st.button(label, key="save_users", disabled=bool(problems) or not steps):
            save(users, steps)
        st.button(words("manage_users.discard"), key="discard_users", disabled=not steps, on_click=begin_anew)


def table_of(rows: Sequence[Row]) -> pd.DataFrame:
    table = pd.DataFrame(list(rows), columns=list(COLUMNS))
    kinds = {"quota_kwh": "Float64", "unlimited": "boolean", "blocked": "boolean", "expiry_date": "object"}
    return table.astype({column: kinds.get(column, "object") for column in COLUMNS})


def editor_columns(words: Words) -> dict[str, Any]:
    def heading(column: str) -> str:
        return words(f"manage_users.column.{column}")

    config = st.column_config
    return {
        "id_tag": config.TextColumn(heading("id_tag"), max_chars=user_edits.LONGEST_TAG, required=True, pinned=True),
        "name": config.TextColumn(heading("name"), max_chars=100),
        "surname": config.TextColumn(heading("surname"), max_chars=100),
        "quota_kwh": config.NumberColumn(heading("quota_kwh"), min_value=0, max_value=user_edits.LARGEST_QUOTA_KWH),
        "unlimited": config.CheckboxColumn(heading("unlimited"), default=False),
        "account": config.TextColumn(heading("account"), max_chars=100),
        "expiry_date": config.DateColumn(heading("expiry_date"), format="YYYY-MM-DD"),
        "blocked": config.CheckboxColumn(heading("blocked"), default=False),
        "email": config.TextColumn(heading("email"), max_chars=100),
        "note": config.TextColumn(heading("note")),
    }


def listed(title: str, lines: Sequence[str], words: Words) -> str:
    shown = [f"- {line}" for line in lines[:MOST_LINES]]
    if len(lines) > MOST_LINES:
        shown.append(f"- {words('manage_users.more', number=len(lines) - MOST_LINES)}")
    return "\n".join([f"**{title}**\n", *shown])


def save(users: Users, steps: list[Step]) -> None:
    """Have the steps carried out; the table then begins anew with what is in the file."""
    bar = st.progress(0.0)

    def tell(done: int) -> None:
        bar.progress(done / len(steps))

    outcome = carry_out(shell.api(), steps, users.etag, tell)
    st.session_state["users_outcome"] = (outcome, steps)
    begin_anew()
    st.rerun()


def tell_outcome(words: Words) -> None:
    """Say how far the last save came."""
    outcome: Outcome
    outcome, steps = st.session_state.pop("users_outcome", (Outcome(0), []))
    if outcome.done:
        st.success(words.counted("manage_users.done", outcome.done))
    if outcome.problem is not None:
        st.error(stopped_words(outcome.problem, steps[outcome.done :], words))
    if outcome.remarks:
        lines = [
            words("manage_users.remark", who=escaped(tag), text=escaped(text, LONGEST_SENTENCE))
            for tag, text in outcome.remarks[:MOST_LINES]
        ]
        st.warning("\n".join(f"- {line}" for line in lines))


def show_refused(words: Words) -> None:
    seen = shell.look()
    report = seen.site.users_report
    refused = [card for card in report.refused if card.id_tag] if report else []
    if not refused:
        st.caption(words("manage_users.refused_none"))
        return
    st.caption(words("manage_users.refused_hint"))
    refused.sort(key=lambda card: (card.time is not None, card.time), reverse=True)
    table = pd.DataFrame(
        {
            "time": card.time,
            "card": plain(card.id_tag),
            "charger": plain(card.charge_point_id),
            "reason": plain(card.reason),
            "make": words("manage_users.make_button"),
        }
        for card in refused
    )
    table["time"] = pd.to_datetime(table["time"], utc=True)
    shown = [card.id_tag for card in refused]
    st.dataframe(
        table,
        key="refused_cards",
        hide_index=True,
        placeholder="",
        height="content" if len(refused) <= MOST_ROWS else "auto",
        alt=words("manage_users.refused_alt"),
        column_config={
            "time": st.column_config.DatetimeColumn(
                words("columns.time"), format="D MMM HH:mm", timezone=str(seen.zone)
            ),
            "card": words("columns.card"),
            "charger": words("columns.charger"),
            "reason": words("columns.what"),
            "make": st.column_config.ButtonColumn(
                words("columns.make"), key="make_click", on_click=note_click, args=("make", shown)
            ),
        },
    )
    rows = {card.id_tag: f"{card.id_tag} · {card.charge_point_id}" for card in refused}
    choose(words("manage_users.choose_card"), rows, words("manage_users.make_button"), "make")


def show_import(users: Users, words: Words) -> None:
    st.caption(words("manage_users.import_hint"))
    file = st.file_uploader(
        words("manage_users.import_file"), type=["csv", "txt"], key="users_import", max_upload_size=2
    )
    if file is None:
        return
    try:
        rows, bad = imported(file.getvalue(), users, words)
    except (UnreadableContentError, ValueError) as error:
        st.error(words("manage_users.import_bad", problem=escaped(str(error), LONGEST_SENTENCE)))
        return
    if bad:
        st.warning(listed(words("manage_users.import_rows"), bad, words))
    removes = st.toggle(words("manage_users.import_removes"), key="import_removes")
    steps = steps_between(users.rows, rows, removes=removes)
    show_preview(steps, words)
    if st.button(words("manage_users.import_carry_out"), key="import_carry_out", disabled=not steps):
        save(users, steps)


def imported(content: bytes, users: Users, words: Words) -> tuple[list[Row], list[str]]:
    """Give the rows of a file without mistakes, and the mistakes of the others as Markdown."""
    problems, lines = read_lines(content)
    known = {row["id_tag"]: row for row in users.rows}
    rows: list[Row] = []
    for line, cells in lines:
        user, found = read_row(line, cells)
        problems += found
        if user is not None and not found:
            rows.append(user_edits.row_of_line(cells, user, known))
    bad = [view.problem_line(problem, words) for problem in problems]
    wrong = list(problems_of(rows))
    bad += [problem_line(problem, words) for problem in wrong]
    tags = {problem.id_tag for problem in wrong}
    return [row for row in rows if row["id_tag"] not in tags], bad


def show_preview(steps: Sequence[Step], words: Words) -> None:
    if not steps:
        st.caption(words("manage_users.nothing"))
        return
    with st.grid(3, min_column_width=150):
        for kind in Kind:
            st.metric(words(f"manage_users.kind.{kind}"), sum(step.kind is kind for step in steps), border=True)
    title = words.counted("manage_users.planned", len(steps))
    st.info(listed(title, [step_line(step, words) for step in steps], words))


make_asked = asked("make")
show()
rerun_if_asked("make")
if make_asked:
    make_user(make_asked)
