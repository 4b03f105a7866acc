"""What the login reads of the settings. `python -m ocpp_server dashboard` has checked them and put all of them into the
environment; a command that a person types finds them in .env, too.
"""

import math
import os
from pathlib import Path
from typing import Final

from dotenv import dotenv_values

PROJECT: Final = Path(__file__).resolve().parent.parent.parent
_IDLE_LOGOUT_S: Final = 12 * 3_600.0


def folder_of_site() -> Path:
    """EVQUOTA_DATA_DIR, else data/ in the project."""
    return PROJECT / Path(os.environ.get("EVQUOTA_DATA_DIR") or "data").expanduser()


def idle_logout_s() -> float:
    """EVQUOTA_DASHBOARD_IDLE_LOGOUT_S. Raises ValueError for what is no such time."""
    seconds = float(os.environ.get("EVQUOTA_DASHBOARD_IDLE_LOGOUT_S") or _IDLE_LOGOUT_S)
    if not 0 < seconds < math.inf:
        message = f"EVQUOTA_DASHBOARD_IDLE_LOGOUT_S is {seconds}: expected seconds"
        raise ValueError(message)
    return seconds


def site_name() -> str:
    """EVQUOTA_SITE_NAME."""
    return os.environ.get("EVQUOTA_SITE_NAME") or "evquota"


def take_env_file(path: Path = PROJECT / ".env") -> None:
    """Settings of .env come into the environment, where they are not there yet. Raises OSError, UnicodeDecodeError."""
    for name, value in dotenv_values(path, encoding="utf-8-sig").items():
        if name.upper().startswith("EVQUOTA_") and value is not None:
            os.environ.setdefault(name.upper(), value)
