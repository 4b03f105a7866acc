"""The bars above the figures: what is wrong with the server, the chargers, users1.csv and the data files."""

from collections.abc import Sequence
from datetime import datetime, tzinfo

import streamlit as st

from dashboard import view
from dashboard.records import Alert, Problem, Site
from dashboard.texts import Words
from dashboard.view import ServerState
from dashboard.wording import escaped

MOST_BAR_LINES = 6


def show_bars(site: Site, state: ServerState, now: datetime, zone: tzinfo, words: Words) -> None:
    if site.server and site.server.is_demo:
        st.info(words("bars.demo"), icon=":material/science:")
    if state is ServerState.UNKNOWN:
        st.error(words("bars.server_unknown"), icon=":material/help:")
    elif site.server and site.server.time and state is ServerState.STOPPED:
        since = f"{words.clock(site.server.time, now, zone)} ({words.age(site.server.time, now)})"
        st.error(words("bars.server_stopped", since=since), icon=":material/power_off:")
    if site.server and site.server.last_publish_error:
        reason = escaped(site.server.last_publish_error)
        st.error(words("bars.cannot_write", reason=reason), icon=":material/save:")
    show_alerts(view.open_alerts(site.server, state), now, zone, words)
    show_users_file_problems(view.users_file_problems(site), words)
    broken = [view.broken_line(note, now, zone, words) for note in site.notes if note.is_broken]
    if broken:
        st.warning(bulleted(words("bars.broken_files"), broken, words), icon=":material/broken_image:")


def show_alerts(alerts: Sequence[Alert], now: datetime, zone: tzinfo, words: Words) -> None:
    if not alerts:
        return
    lines = [
        " · ".join(
            filter(
                None,
                (
                    escaped(alert.text or alert.kind.replace("_", " ")),
                    escaped(alert.charge_point_id),
                    words("bars.since", time=words.clock(alert.since, now, zone)) if alert.since else "",
                    words("bars.acknowledged", name=escaped(alert.acknowledged_by)) if alert.acknowledged_by else "",
                ),
            )
        )
        for alert in alerts
    ]
    st.error(bulleted(words("bars.alerts"), lines, words), icon=":material/notification_important:")


def show_users_file_problems(problems: Sequence[Problem], words: Words) -> None:
    if problems:
        lines = [view.problem_line(problem, words) for problem in problems]
        st.warning(bulleted(words("bars.users_file"), lines, words), icon=":material/rule:")


def bulleted(title: str, lines: Sequence[str], words: Words) -> str:
    """Give one line as a sentence, several as a Markdown list of the first ones and how many more there are."""
    if len(lines) == 1:
        return f"**{title}**: {lines[0]}"
    shown = [f"- {line}" for line in lines[:MOST_BAR_LINES]]
    more = [f"- {words('bars.more', number=len(lines) - MOST_BAR_LINES)}"] if len(lines) > MOST_BAR_LINES else []
    return "\n".join([f"**{title}**\n", *shown, *more])
