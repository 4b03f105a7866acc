"""The bars above the figures: what is wrong with the server, the chargers, users1.csv and the data files."""

from collections.abc import Sequence
from datetime import datetime, tzinfo

import streamlit as st

from dashboard import view
from dashboard.records import Alert, Problem, Site
from dashboard.view import ServerState
from dashboard.wording import age, clock, escaped

MOST_BAR_LINES = 6


def show_bars(site: Site, state: ServerState, now: datetime, zone: tzinfo) -> None:
    if site.server and site.server.is_demo:
        st.info("**Demo**: simulated chargers and people, no real figures.", icon=":material/science:")
    if state is ServerState.UNKNOWN:
        st.error("Server status unknown: only the data files are read.", icon=":material/help:")
    elif site.server and site.server.time and state is ServerState.STOPPED:
        since = f"{clock(site.server.time, now, zone)} ({age(site.server.time, now)})"
        st.error(f"**Server not running since {since}**, figures are from then.", icon=":material/power_off:")
    if site.server and site.server.last_publish_error:
        reason = escaped(site.server.last_publish_error)
        st.error(f"The server cannot write the data files: {reason}", icon=":material/save:")
    show_alerts(view.open_alerts(site.server, state), now, zone)
    show_users_file_problems(view.users_file_problems(site))
    broken = [f"{note.name} {escaped(note.text)}" for note in site.notes if note.is_broken]
    if broken:
        st.warning(bulleted("Data files that cannot be read", broken), icon=":material/broken_image:")


def show_alerts(alerts: Sequence[Alert], now: datetime, zone: tzinfo) -> None:
    if not alerts:
        return
    lines = [
        " · ".join(
            filter(
                None,
                (
                    escaped(alert.text or alert.kind.replace("_", " ")),
                    escaped(alert.charge_point_id),
                    f"since {clock(alert.since, now, zone)}" if alert.since else "",
                    f"acknowledged by {escaped(alert.acknowledged_by)}" if alert.acknowledged_by else "",
                ),
            )
        )
        for alert in alerts
    ]
    st.error(bulleted("Needs a person", lines), icon=":material/notification_important:")


def show_users_file_problems(problems: Sequence[Problem]) -> None:
    if problems:
        lines = [view.problem_line(problem) for problem in problems]
        st.warning(bulleted("users1.csv has problems", lines), icon=":material/rule:")


def bulleted(title: str, lines: Sequence[str]) -> str:
    """Give one line as a sentence, several as a Markdown list of the first ones and how many more there are."""
    if len(lines) == 1:
        return f"**{title}**: {lines[0]}"
    shown = [f"- {line}" for line in lines[:MOST_BAR_LINES]]
    more = [f"- and {len(lines) - MOST_BAR_LINES} more"] if len(lines) > MOST_BAR_LINES else []
    return "\n".join([f"**{title}**\n", *shown, *more])
