"""Starts the dashboard: reads the settings, which supervisord cannot, and becomes Streamlit."""

import os
import sys
from pathlib import Path
from typing import NoReturn

from ocpp_server import site_check
from ocpp_server.settings import PROJECT_FOLDER, Settings


def main(settings: Settings, project: Path = PROJECT_FOLDER) -> int:
    """Replaces this process by Streamlit; returns (2) only if it cannot, with one sentence on stderr."""
    script = project / "dashboard" / "app.py"
    if not script.is_file():
        print(
            f"{script} does not exist: expected the dashboard's program; restore the project's files", file=sys.stderr
        )
        return 2
    port = site_check.check_port("dashboard", settings.dashboard_host, settings.dashboard_port)
    if port.level is site_check.Level.ERROR:
        print(f"{port.what}: {port.mend}", file=sys.stderr)
        return 2
    os.chdir(project)  # Streamlit looks for .streamlit/config.toml here
    return _become(command(settings, script), os.environ | settings.as_environment())


def _become(arguments: list[str], environment: dict[str, str]) -> NoReturn:
    """Same process, other program: supervisord's signals reach Streamlit itself."""
    os.execve(arguments[0], arguments, environment)  # noqa: S606 - no shell is wanted


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
