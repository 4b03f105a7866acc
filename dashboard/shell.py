"""What every page has: the site as it is now, its words, who looks at it, the heading and the bars, and the refresh."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Final

import streamlit as st

from dashboard import quotas, view
from dashboard.archive_files import Archive, archive_in
from dashboard.bars import show_bars
from dashboard.control_api import ControlApi, connect
from dashboard.latest_files import LatestFiles
from dashboard.latest_result import LatestResult
from dashboard.login.visitor import Visitor, current
from dashboard.quotas import UserLine
from dashboard.records import Site
from dashboard.site_files import SiteFiles, folder_of_site
from dashboard.texts import LANGUAGES, Words, language_for, words_of
from dashboard.view import ServerState
from dashboard.wording import escaped

LIVE_INTERVAL_S: Final = 5
USERS_INTERVAL_S: Final = 10
_LINES: Final = LatestResult(quotas.lines_of)


@dataclass(frozen=True, slots=True)
class Look:
    """One look at the site. Times are UTC; `zone` is the site's, or UTC where that is not known.

    `now` is the site's, which in a demo is ahead of `real_now`: sessions have its times, and files have this machine's.
    """

    site: Site
    state: ServerState
    now: datetime
    real_now: datetime
    zone: tzinfo
    words: Words
    visitor: Visitor

    @property
    def local_now(self) -> datetime:
        """Now by the site's clock."""
        return self.now.astimezone(self.zone)

    @property
    def user_lines(self) -> list[UserLine]:
        """The cards with their quotas; made once for all viewers, so nobody may change the list."""
        return _LINES(self.site.users, self.site.usage, self.local_now.date())


@st.cache_resource(max_entries=8, show_spinner=False)
def files_of(folder: Path) -> SiteFiles:
    """Give the one reader of a folder that all viewers share: each version of a file is read and parsed once."""
    return SiteFiles(LatestFiles(folder))


@st.cache_resource(max_entries=8, show_spinner=False)
def archive_of(folder: Path) -> Archive:
    """Give the one reader of a folder's archive that all viewers share."""
    return archive_in(folder)


def archive() -> Archive:
    """Give the site's finished sessions, and its energy by hour and day."""
    return archive_of(folder_of_site())


def look() -> Look:
    """Read what changed in the files and give the site as it is now."""
    site, real_now = files_of(folder_of_site()).read(), datetime.now(UTC)
    zone, _ = view.site_zone(site.server)
    now = view.site_now(site.server, real_now)
    return Look(site, view.server_state(site.server, real_now), now, real_now, zone, words(), current())


def words() -> Words:
    """Give the words of the language that was chosen (it is in the address), else of the browser's."""
    chosen = st.session_state.get("lang") or st.query_params.get("lang")
    return words_of(language_for(chosen, st.context.locale))


def api() -> ControlApi:
    """Give the control API with this visitor's rights; an administrator's acts are booked under the visitor's name."""
    return connect(current(), folder_of_site())


def live(interval_s: float, show: Callable[[], None]) -> None:
    """Show a part of the page now and every so many seconds.

    Viewers who opened the page together would else stay in step, and the reruns would queue up.
    """
    offset_s = st.session_state.setdefault("refresh_offset_s", random.uniform(0, 1))
    st.fragment(show, run_every=interval_s + offset_s)()


def show_top(title: str) -> None:
    """Show the heading and the bars. Trouble stands above the figures, so that a phone shows it first."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        with st.container(width="stretch"):
            live(LIVE_INTERVAL_S, lambda: _show_heading(title))
        _show_menu()
    live(LIVE_INTERVAL_S, _show_bars)


def _show_heading(title: str) -> None:
    seen = look()
    figures_of = seen.site.written_at
    if seen.site.server and seen.state is ServerState.STOPPED:
        figures_of = seen.site.server.time
    age = seen.words("top.no_data")
    if figures_of:
        age = seen.words("top.updated", age=seen.words.age(figures_of, seen.real_now))
    _, is_site_zone = view.site_zone(seen.site.server)
    name = escaped(seen.site.server.site_name) if seen.site.server else ""
    with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
        st.header(" · ".join(filter(None, (name, title))), anchor=False, width="content")
        st.caption(age if is_site_zone else f"{age} · {seen.words('top.utc')}", width="content")


def _show_menu() -> None:
    here, visitor = words(), current()
    with st.popover(visitor.name or here("top.menu"), icon=":material/account_circle:", key="menu"):
        names, browsers = list(LANGUAGES.values()), LANGUAGES[language_for(None, st.context.locale)]
        st.selectbox(here("top.language"), names, index=names.index(browsers), key="lang", bind="query-params")
        if visitor.name:
            st.caption(here("top.signed_in", name=escaped(visitor.name), role=here(f"top.role.{visitor.role}")))
            st.link_button(here("top.sign_out"), "/logout", icon=":material/logout:")


def _show_bars() -> None:
    seen = look()
    show_bars(seen.site, seen.state, seen.real_now, seen.zone, seen.words)
