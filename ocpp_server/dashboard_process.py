"""Starts the dashboard: reads the settings, which supervisord cannot, and becomes Streamlit."""

import os
import sys
from pathlib import Path
from typing import NoReturn

from ocpp_server import site_check
from ocpp_server.settings import PROJECT_FOLDER, SECRETS, Settings, variable_name

API_URL = "EVQUOTA_API_URL"
"""Where the dashboard finds the control API; no setting, but made of two."""


def main(settings: Settings, project: Path = PROJECT_FOLDER) -> int:
    """Replaces this process by Streamlit; returns (2) only if it cannot, with one sentence on stderr."""
    script = project / "dashboard" / "asgi.py"
    if not script.is_file():
        print(
            f"{script} does not exist: expected the dashboard's program; restore the project's files", file=sys.stderr
        )
        return 2
    port = site_check.check_port("dashboard", settings.dashboard_host, settings.dashboard_port)
    for finding in (port, *site_check.check_dashboard_accounts(settings)):
        if finding.level is site_check.Level.ERROR:
            print(f"{finding.what}: {finding.mend}", file=sys.stderr)
            return 2
    os.chdir(project)  # Streamlit looks for .streamlit/config.toml here
    secrets = {variable_name(field) for field in SECRETS}  # it serves pages, and has no use for them
    given = os.environ | environment(settings)
    return _become(command(settings, script), {name: it for name, it in given.items() if name.upper() not in secrets})


def _become(arguments: list[str], environment: dict[str, str]) -> NoReturn:
    """Same process, other program: supervisord's signals reach Streamlit itself."""
    os.execve(arguments[0], arguments, environment)  # noqa: S606 - no shell is wanted


def environment(settings: Settings) -> dict[str, str]:
    """All settings, where the API is, and whom uvicorn believes about addresses: its own default is all of loopback."""
    given = settings.as_environment()
    given["FORWARDED_ALLOW_IPS"] = ",".join(str(network) for network in settings.trusted_proxies)
    if settings.api_port:
        given[API_URL] = f"http://{_local(settings.api_host)}:{settings.api_port}"
    return given


def command(settings: Settings, script: Path) -> list[str]:
    """Streamlit's command line: what depends on our settings, and that nothing leaves the house."""
    return [
        sys.executable,
        *("-u", "-m", "streamlit", "run", str(script)),
        f"--server.address={settings.dashboard_host}",
        f"--server.port={settings.dashboard_port}",
        "--server.headless=true",
        "--browser.gatherUsageStats=false",
    ]


def _local(host: str) -> str:
    """The host as it is reached from this machine."""
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not listened on
    return f"[{name}]" if ":" in name else name
