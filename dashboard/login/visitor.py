"""Who looks at a page: for the pages themselves, which ask again what the gate has asked.

A page that runs without the gate (`streamlit run dashboard/app.py`) has no session: it shows the files, and has no
token for the control API.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from dashboard.login.accounts import Role
from dashboard.login.options import folder_of_site, idle_logout_s
from dashboard.login.signing import Sessions

__all__ = ["Role", "Visitor", "cookies_of_page", "current", "sessions_of"]


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who looks. Without a name nobody signed in: nothing but the files is shown, and there is no token."""

    role: Role = Role.VIEWER
    name: str = ""


def current() -> Visitor:
    """Give whoever looks at the page of this run; a visitor without a name, also when the session is over."""
    sessions = sessions_of(folder_of_site(), idle_logout_s())
    session = sessions.read(cookies_of_page().get(sessions.cookie))
    return Visitor() if session is None else Visitor(session.role, session.account)


def cookies_of_page() -> Mapping[str, str]:
    """The cookies with which the page's line was opened. Tests without a browser put theirs here."""
    return st.context.cookies


@functools.lru_cache(maxsize=8)
def sessions_of(folder: Path, idle_s: float) -> Sessions:
    """The one object for gate and pages: what is use is seen at the gate."""
    return Sessions(folder, idle_s)
