"""The dashboard behind its login. `python -m ocpp_server dashboard` starts it: `streamlit run dashboard/asgi.py`."""

# ruff: noqa: E402  streamlit puts only this file's own folder on the import path, so the project's comes first

import logging
import sys
from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware

PROJECT = Path(__file__).resolve().parent.parent
if str(PROJECT) not in sys.path:
    sys.path.insert(0, str(PROJECT))

from dashboard import report_charts, site_tables  # noqa: F401  pandas, Arrow and Altair now, not with the first viewer
from dashboard.login.gate import Gate
from dashboard.login.options import folder_of_site, idle_logout_s, site_name
from dashboard.login.routes import Login
from dashboard.login.visitor import sessions_of


def log_to_stderr() -> None:
    """The lines of the login, beside Streamlit's own."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.getLogger("dashboard")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False


log_to_stderr()
sessions = sessions_of(folder_of_site(), idle_logout_s())
sessions.make_secret()
app = st.App(
    PROJECT / "dashboard" / "app.py",
    routes=Login(sessions, site_name()).routes(),
    middleware=[Middleware(Gate, sessions=sessions)],
)
