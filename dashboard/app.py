"""The dashboard: which pages there are, for whom, and what stands above each.

Start: ./run, or python -m ocpp_server dashboard. `asgi.py` is the front door; this script runs for each viewer.
"""

# ruff: noqa: E402  streamlit puts only this file's own folder on the import path, so the project's comes first

import sys
from pathlib import Path

import streamlit as st

PROJECT = Path(__file__).resolve().parent.parent
if str(PROJECT) not in sys.path:
    sys.path.insert(0, str(PROJECT))

from dashboard import shell
from dashboard.login.visitor import Role, current

# The pages that everybody may see, in their order.
ICONS = {
    "overview": ":material/ev_station:",
    "sessions": ":material/bolt:",
    "users": ":material/group:",
    "meter_log": ":material/show_chart:",
    "report": ":material/summarize:",
}
# The pages of administrators. The navigation hides them; that nobody else does what they do is the API's care.
MANAGE = {
    "manage_users": ":material/manage_accounts:",
    "manage_chargers": ":material/electrical_services:",
    "manage_set_aside": ":material/help_center:",
    "manage_alerts": ":material/notifications:",
    "manage_system": ":material/settings:",
}

words = shell.words()
st.set_page_config(page_icon=str(PROJECT / "dashboard" / "favicon.png"), layout="wide")


def page_of(name: str, icon: str) -> st.Page:
    return st.Page(
        f"app_pages/{name}.py",
        title=words(f"pages.{name}.title"),
        icon=icon,
        help=words(f"pages.{name}.help"),
        url_path=name,
        default=name == "overview",
    )


sections = {"": [page_of(name, icon) for name, icon in ICONS.items()]}
if MANAGE and current().role is Role.ADMIN:
    sections[words("pages.manage")] = [page_of(name, icon) for name, icon in MANAGE.items()]
page = st.navigation(sections, position="top")
shell.show_top(page.title)
page.run()
