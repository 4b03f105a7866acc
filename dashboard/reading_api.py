"""What a page shows of the control API, or why it shows nothing."""

from collections.abc import Callable
from datetime import datetime

import streamlit as st

from dashboard import shell
from dashboard.asking import problem_words
from dashboard.control_api import ApiProblem
from dashboard.json_values import Json
from dashboard.shell import Look


def read(path: str, *, absent: str = "", **query: object) -> Json | None:
    """Give the JSON object of a resource, else show the problem. `absent`: Markdown for a server without this route."""
    words = shell.words()
    try:
        found = shell.api().get(path, **query)
    except ApiProblem as problem:
        if problem.status == 404 and absent:
            st.info(absent)
        else:
            st.error(problem_words(problem, words))
        return None
    if not isinstance(found, dict):
        st.error(words("asking.refused"))
        return None
    return found


def clock_of(seen: Look) -> Callable[[datetime | None], str]:
    """Give what writes a time by the site's clock, with its age."""

    def clock(moment: datetime | None) -> str:
        if moment is None:
            return ""
        time = seen.words.clock(moment, seen.now, seen.zone)
        return f"{time} ({seen.words.age(moment, seen.now)})" if moment <= seen.now else time

    return clock
