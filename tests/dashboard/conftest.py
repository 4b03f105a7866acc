"""The page on a folder of data files, without a browser."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
if str(PROJECT) not in sys.path:  # `pytest` alone, unlike `python -m pytest`, does not put it there
    sys.path.insert(0, str(PROJECT))

from dashboard_site import write_accounts  # noqa: E402
from site_folder import SiteFolder  # noqa: E402
from streamlit.testing.v1 import AppTest  # noqa: E402

from dashboard.login import visitor  # noqa: E402
from dashboard.login.options import idle_logout_s  # noqa: E402


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SiteFolder:
    """An empty data folder that the app reads."""
    monkeypatch.setenv("EVQUOTA_DATA_DIR", str(tmp_path))
    return SiteFolder(tmp_path)


@pytest.fixture
def sign_in(folder: SiteFolder, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Have the pages find the cookie of `viewer` or `admin`, signed for this folder."""

    def sign(name: str) -> None:
        write_accounts(folder.path, {"admin": "password of admin", "viewer": "password of viewer"})
        sessions = visitor.sessions_of(folder.path, idle_logout_s())
        account = sessions.accounts.get(name)
        assert account is not None
        cookies = {sessions.cookie: sessions.sign(sessions.begin(account))}
        monkeypatch.setattr(visitor, "cookies_of_page", lambda: cookies)

    return sign


@pytest.fixture
def run_app(folder: SiteFolder) -> Callable[..., AppTest]:
    """Run a page once on the folder as it is; an exception in it fails the test."""

    def run(page: str = "overview", language: str = "English") -> AppTest:
        app = AppTest.from_file(str(PROJECT / "dashboard" / "app.py"), default_timeout=30)
        app.query_params["lang"] = language
        app.switch_page(f"app_pages/{page}.py").run()
        assert not app.exception
        return app

    return run
