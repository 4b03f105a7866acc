"""The real dashboard behind its login, as a process of its own, and what a browser or an attacker asks of it."""

import os
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from time import monotonic, time

import requests
from canaries import trace_in
from requests.adapters import HTTPAdapter

from dashboard.login import accounts as account_file
from dashboard.login.passwords import hash_password
from dashboard.login.private_file import PrivateFile
from dashboard.login.signing import Session, Sessions
from ocpp_server import dashboard_process
from ocpp_server.settings import PROJECT_FOLDER, Settings

IDLE_S = 3_600
PATIENCE_S = 30
PROXY = "127.0.9.9"


class FromAddress(HTTPAdapter):
    """Comes from an address of its own: the throttle counts by address, and all of 127.0.0.0/8 is this machine."""

    def __init__(self, address: str) -> None:
        self._address = address
        super().__init__()

    def init_poolmanager(self, *arguments: object, **options: object) -> None:
        super().init_poolmanager(*arguments, source_address=(self._address, 0), **options)  # type: ignore[arg-type]


class Browser:
    """Keeps cookies, follows nothing by itself, and says `Origin` with its forms."""

    def __init__(self, address: str, source: str) -> None:
        self.address = address
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.mount("http://", FromAddress(source))

    def get(self, path: str, **headers: str) -> requests.Response:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.session.get(self.address + path, headers=given, allow_redirects=False, timeout=PATIENCE_S)

    def post(self, path: str, fields: dict[str, str], headers: dict[str, str] | None = None) -> requests.Response:
        given = {"Origin": self.address} | (headers or {})
        given = {name: value for name, value in given.items() if value}
        return self.session.post(
            self.address + path, data=fields, headers=given, allow_redirects=False, timeout=PATIENCE_S
        )

    def token(self, path: str = "/login") -> str:
        """The form's, with its cookie."""
        found = re.search(r'name="token" value="([^"]+)"', self.get(path).text)
        assert found is not None
        return found[1]

    def log_in(
        self, user: str, password: str, after: str = "/", headers: dict[str, str] | None = None
    ) -> requests.Response:
        form = {"token": self.token(), "next": after, "user": user, "password": password}
        return self.post("/login", form, headers)

    def cookie_header(self) -> str:
        return "; ".join(f"{one.name}={one.value}" for one in self.session.cookies)


class DashboardSite:
    """A running dashboard and its data folder."""

    def __init__(self, folder: Path, address: str) -> None:
        self.folder = folder
        self.address = address
        self.sessions = Sessions(folder, IDLE_S)
        self._sources = iter(f"127.0.7.{number}" for number in range(1, 250))

    def browser(self, source: str | None = None) -> Browser:
        """One more visitor, from an address that nobody had before."""
        return Browser(self.address, source or next(self._sources))

    def signed(self, name: str = "viewer", *, age_s: float = 0, idle_s: float = 0) -> str:
        """The cookie of somebody who logged in so long ago and did nothing for so long."""
        account = self.sessions.accounts.get(name)
        assert account is not None
        now = time()
        session = Session(account.name, account.generation, now - age_s - idle_s, now - idle_s, f"nonce-{now}")
        return f"{self.sessions.cookie}={self.sessions.sign(session)}"


def write_accounts(folder: Path, passwords: dict[str, str]) -> None:
    """As `prepare` does, but hashes that cost little: what a hash costs is tested elsewhere."""
    rows = {
        name: {"password_hash": hash_password(password, n=2**10, p=1), "generation": f"first of {name}"}
        for name, password in passwords.items()
    }
    PrivateFile(folder / account_file.FILE).write({"schema": 1, "accounts": rows})


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_dashboard(folder: Path, api_port: int | None = None) -> Iterator[DashboardSite]:
    """Started as `python -m ocpp_server dashboard` does; its log must not have a planted secret, nor a cookie's."""
    port = free_port()
    settings = Settings(
        _env_file=None, data_dir=folder, dashboard_port=port, dashboard_idle_logout_s=IDLE_S,
        api_port=api_port or free_port(), trusted_proxies=f"{PROXY}/32", site_name="Kampüs <1>",
    )  # fmt: skip
    command = dashboard_process.command(settings, PROJECT_FOLDER / "dashboard" / "asgi.py")
    log_file = folder / "dashboard.log"
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=PROJECT_FOLDER,
            env=os.environ | dashboard_process.environment(settings),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    site = DashboardSite(folder, f"http://127.0.0.1:{port}")
    try:
        _wait_until_up(process, port, log_file)
        yield site
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    told = log_file.read_text(encoding="utf-8")
    assert trace_in(told) is None
    assert PrivateFile(folder / "dashboard_sessions.json").read()["secret"] not in told
    assert "Traceback" not in told


def _wait_until_up(process: "subprocess.Popen[bytes]", port: int, log_file: Path) -> None:
    deadline = monotonic() + 60
    while monotonic() < deadline and process.poll() is None:
        try:
            if requests.get(f"http://127.0.0.1:{port}/healthz", timeout=PATIENCE_S).ok:
                return
        except requests.ConnectionError:
            try:
                process.wait(0.1)
            except subprocess.TimeoutExpired:
                continue
    raise AssertionError(f"the dashboard did not start: {log_file.read_text(encoding='utf-8')[-2000:]}")
