"""What the first start makes (.env, the data folder, users1.csv), and the addresses that every start prints."""

import shlex
import shutil
import socket
import stat
import sys
from pathlib import Path

from ocpp_server.control_api.token import TOKEN_FILE
from ocpp_server.core.site import UnknownChargePoints
from ocpp_server.ocpp16.tls import TlsError, TlsFiles, examine
from ocpp_server.settings import PROJECT_FOLDER, Settings


def make_env_file(project: Path = PROJECT_FOLDER) -> bool:
    """Copies .env.example to .env (0600) unless there is one; True if it was made. Raises OSError."""
    env_file = project / ".env"
    if env_file.exists() or env_file.is_symlink():
        return False
    env_file.touch(mode=0o600)
    shutil.copyfile(project / ".env.example", env_file)
    return True


def make_data_folder(folder: Path, project: Path = PROJECT_FOLDER) -> bool:
    """Makes the data folder (0750) and a users1.csv (0640) to begin with; True if the latter was made. Raises OSError.

    Where a ledger exists, a missing users1.csv stays missing: the last good table is in force, not the example.
    """
    folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    users_file = folder / "users1.csv"
    if users_file.exists() or users_file.is_symlink() or (folder / "ledger.db").exists():
        return False
    folder.chmod(stat.S_IMODE(folder.stat().st_mode) & 0o750)  # git made it 0755
    users_file.touch(mode=0o640)
    shutil.copyfile(project / "users1.example.csv", users_file)
    return True


def welcome(settings: Settings) -> str:
    """Where to look, and what to type into a charger."""
    dashboard = f"http://{reachable(settings.dashboard_host)}:{settings.dashboard_port}"
    lines = [f"Dashboard: {dashboard}", f"Address to type into a charger: {charger_address(settings)}"]
    if settings.has_plain_port and settings.tls_certificate is not None:
        lines.append(f"  with TLS: {_tls_address(settings)}")
    return "\n".join(lines)


def advice(settings: Settings) -> str:
    """What to do next: let a charger in; at the first start also where the secret of the control API will be."""
    lines: list[str] = []
    if settings.charger_admission is not UnknownChargePoints.OPEN:
        approve = command("chargers", "approve", "CHARGER_ID")
        lines.append(f"A new charger is let in once you approve it, on the dashboard or by: {approve}")
    token = settings.data_dir / TOKEN_FILE
    if not token.exists():
        lines.append(f"Secret of the control API, made at this first start, for this user alone: {token}")
    return "\n".join(lines)


def command(*words: str) -> str:
    """A command of this server, to be typed as it stands in the folder in which this one was started."""
    python = Path(sys.executable)
    here = python.relative_to(Path.cwd()) if python.is_relative_to(Path.cwd()) else python
    return shlex.join([str(here), "-m", "ocpp_server", *words])


def charger_address(settings: Settings) -> str:
    """What to type into a charger, with its own id in place of CHARGER_ID: without TLS, where that is let in."""
    if not settings.has_plain_port:
        return _tls_address(settings)
    return f"ws://{reachable(settings.ocpp_host)}:{settings.ocpp_port}/CHARGER_ID"


def _tls_address(settings: Settings) -> str:
    """With the first name of the certificate: a charger accepts no other."""
    files = TlsFiles.of(settings.tls_certificate, settings.tls_key, settings.tls_client_ca)
    try:
        names = [] if files is None else [name for name in examine(files).names if "*" not in name]
    except TlsError:
        names = []  # `check` and the start say so
    return f"wss://{reachable(next(iter(names), settings.ocpp_host))}:{settings.ocpp_tls_port}/CHARGER_ID"


def reachable(host: str) -> str:
    """The host to put into an address: for a wildcard this machine's own address in its network; IPv6 in brackets."""
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not listened on
        host = lan_address()
    return f"[{host}]" if ":" in host else host


def lan_address() -> str:
    """This machine's address in its network, else 127.0.0.1. Nothing is sent: connecting UDP only picks a route."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # TEST-NET-1 (RFC 5737): belongs to nobody
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])
