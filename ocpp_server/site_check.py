"""What stands in the way of running here: `check` looks at settings, files, ports, disk, clock and permissions.

Each finding says how to mend it. Nothing is changed; `first_start` makes what is missing.
"""

import errno
import resource
import shutil
import socket
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from ocpp_server.core.users import UserTable
from ocpp_server.ocpp16.tls import ServerCertificate, TlsError, TlsFiles, examine
from ocpp_server.settings import ENV_FILE, Settings, variable_name
from ocpp_server.storage.users_csv import UsersFileError, parse_users

NETWORK_FILE_SYSTEMS: Final = frozenset(
    {
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "9p",
        "afs",
        "ceph",
        "glusterfs",
        "fuse.sshfs",
        "fuse.glusterfs",
        "fuse.rclone",
    }
)
MEBIBYTE: Final = 1024 * 1024
STATUS_MAX_AGE_S: Final = 30
"""A server_status.json younger than this is of a server that runs."""
DASHBOARD_ACCOUNTS: Final = "dashboard_accounts.json"
"""The dashboard's own file; here it only matters whether it is there."""
LEAST_VALIDITY: Final = timedelta(days=30)
"""Of the certificate: who renews by hand needs as long."""
SIGNS_OF_TIME_SYNCHRONISATION: Final = tuple(
    Path(path) for path in ("/run/systemd/timesync/synchronized", "/run/chrony", "/run/ntpd.pid")
)


class Level(StrEnum):
    """How much a finding weighs: an error stops the start."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at and found, and how to mend it (blank where nothing is wrong)."""

    level: Level
    what: str
    mend: str = ""


def main(settings: Settings, *, starting: bool = False) -> int:
    """Prints every finding; 0 if nothing stops a start, else 2. `starting`: the site must not run yet."""
    findings = run_checks(settings, starting=starting)
    for finding in findings:
        print(f"{finding.level:<8} {finding.what}")
        if finding.mend:
            print(f"{'':<8} -> {finding.mend}")
    return 2 if any(finding.level is Level.ERROR for finding in findings) else 0


def run_checks(settings: Settings, *, starting: bool = False, env_file: Path = ENV_FILE) -> list[Finding]:
    """Everything there is to say about running the site with these settings on this machine, now."""
    is_running = not starting and is_server_running(settings.data_dir)
    return [
        check_python(sys.version_info[:2], sys.maxsize),
        check_env_file(env_file),
        *check_data_folder(settings.data_dir),
        check_file_system(settings.data_dir, Path("/proc/mounts")),
        check_users_file(settings.data_dir),
        *check_ports(settings, is_running=is_running),
        *check_listeners(settings),
        *(() if starting else check_dashboard_accounts(settings)),
        *check_tls(settings, datetime.now(UTC)),
        check_disk(shutil.disk_usage(_nearest_existing(settings.data_dir)).free, settings.data_dir),
        check_clock(datetime.now(UTC)),
        check_open_files(*resource.getrlimit(resource.RLIMIT_NOFILE)),
    ]


def check_python(version: tuple[int, int], largest_index: int) -> Finding:
    """Python 3.11 or newer; 64 bits, because there are no pandas wheels for less."""
    name = f"Python {version[0]}.{version[1]}"
    if version < (3, 11):
        return Finding(Level.ERROR, f"{name} is too old", "install Python 3.11 or newer")
    if largest_index < 2**32:
        return Finding(
            Level.WARNING, f"{name} has 32 bits: the dashboard cannot run", "install a 64-bit operating system"
        )
    return Finding(Level.OK, f"{name}, 64 bits")


def check_env_file(env_file: Path) -> Finding:
    """Only its owner may read .env: it may hold secrets."""
    if not env_file.exists():
        return Finding(Level.OK, f"settings are valid; there is no {env_file}, so the defaults hold")
    if stat.S_IMODE(env_file.stat().st_mode) & 0o077:
        return Finding(Level.WARNING, f"settings are valid, but others may read {env_file}", f"chmod 600 '{env_file}'")
    return Finding(Level.OK, f"settings are valid; only you may read {env_file}")


def check_data_folder(folder: Path) -> Iterator[Finding]:
    """A real folder, not world-writable, in which a file can be made (or which can be made itself)."""
    if folder.is_symlink():
        yield Finding(
            Level.ERROR,
            f"data folder {folder} is a symbolic link",
            f"name the real folder: {variable_name('data_dir')}={folder.resolve()}",
        )
        return
    existing = _nearest_existing(folder)
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        yield Finding(
            Level.ERROR,
            f"data folder {folder} cannot be written: {error.strerror}",
            f"give it to this user (sudo chown -R $(id -u) '{existing}'), mount it writable, "
            f"or name another {variable_name('data_dir')}",
        )
        return
    if existing == folder and stat.S_IMODE(folder.stat().st_mode) & stat.S_IWOTH:
        yield Finding(Level.ERROR, f"anybody may write to data folder {folder}", f"chmod 750 '{folder}'")
        return
    if existing == folder and stat.S_IMODE(folder.stat().st_mode) & stat.S_IROTH:
        yield Finding(Level.WARNING, f"anybody may read data folder {folder}", f"chmod 750 '{folder}'")
        return
    state = "can be written" if existing == folder else "does not exist yet and can be made"
    yield Finding(Level.OK, f"data folder {folder} {state}")


def check_file_system(folder: Path, mounts: Path) -> Finding:
    """The ledger needs locks and an fsync that keep their promise: a local disk."""
    kind = file_system(_nearest_existing(folder).resolve(), mounts)
    if kind in NETWORK_FILE_SYSTEMS:
        return Finding(
            Level.WARNING,
            f"data folder {folder} is on a network file system ({kind}), which can damage the ledger",
            f"name a folder on a local disk: {variable_name('data_dir')}=/var/lib/evquota",
        )
    return Finding(Level.OK, f"data folder is on a local file system ({kind})")


def check_users_file(folder: Path) -> Finding:
    """users1.csv can be read. With a ledger the last good table stays in force, so a bad file is a warning only."""
    users_file = folder / "users1.csv"
    level = Level.WARNING if (folder / "ledger.db").exists() else Level.ERROR
    try:
        parsed = parse_users(users_file.read_bytes(), UserTable())
    except FileNotFoundError:
        return Finding(
            Level.WARNING, f"{users_file} does not exist", f"cp users1.example.csv '{users_file}' and edit it"
        )
    except UsersFileError as error:
        return Finding(level, f"{users_file} cannot be understood: {error}", "compare it with users1.example.csv")
    except OSError as error:
        return Finding(level, f"{users_file} cannot be read: {error.strerror}", f"chmod 640 '{users_file}'")
    if parsed.problems:
        return Finding(
            Level.WARNING,
            f"{users_file} has {len(parsed.problems)} problems, the first: {parsed.problems[0]}",
            "correct these rows; the others are in force",
        )
    return Finding(Level.OK, f"users1.csv has {len(parsed.table.users)} users")


def check_ports(settings: Settings, *, is_running: bool) -> Iterator[Finding]:
    """The ports differ and are free, or are in use because the site runs already."""
    seen: dict[int, str] = {}
    for name in (*ocpp_listeners(settings), "api", "dashboard"):
        host, port = listener_address(settings, name)
        variable = variable_name(f"{name}_port")
        if port and port in seen:
            yield Finding(Level.ERROR, f"{seen[port]} and {variable} are both {port}", "give each its own port")
        else:
            seen[port] = variable
            yield check_port(name, host, port, is_running=is_running)


def ocpp_listeners(settings: Settings) -> Iterator[str]:
    """Which ports are open to charge points, by their names among the settings."""
    if settings.has_plain_port:
        yield "ocpp"
    if settings.tls_certificate is not None:
        yield "ocpp_tls"


def listener_address(settings: Settings, name: str) -> tuple[str, int]:
    """Host and port of a listener; the two for charge points share their host."""
    return str(getattr(settings, _host_field(name))), int(getattr(settings, f"{name}_port"))


def _host_field(name: str) -> str:
    return f"{name.removesuffix('_tls')}_host"


def check_port(name: str, host: str, port: int, *, is_running: bool = False) -> Finding:
    """One listener (`ocpp`, `ocpp_tls`, `api` or `dashboard`): is the address this machine's, and is the port free?"""
    host_variable, port_variable = variable_name(_host_field(name)), variable_name(f"{name}_port")
    try:
        _bind(host, port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE and is_running:
            return Finding(Level.OK, f"port {port} ({port_variable}) is in use: the site runs")
        if error.errno == errno.EADDRINUSE:
            return Finding(
                Level.ERROR,
                f"port {port} ({port_variable}) is in use by another program",
                f"see which (ss -ltnp 'sport = :{port}') and end it, or set another {port_variable} in .env",
            )
        if error.errno == errno.EACCES:
            return Finding(
                Level.ERROR,
                f"this user may not open port {port} ({port_variable})",
                f"set {port_variable} in .env to 1024 or more",
            )
        return Finding(
            Level.ERROR,
            f"{host} ({host_variable}) is not an address of this machine: {error.strerror}",
            f"set {host_variable} in .env to one of those that `ip address` shows, 0.0.0.0 or 127.0.0.1",
        )
    return Finding(Level.OK, f"port {port} ({port_variable}) is free")


def check_listeners(settings: Settings) -> Iterator[Finding]:
    """Only charge points come over the network by default; the rest is worth a word."""
    for field in ("api_host", "dashboard_host"):
        host = str(getattr(settings, field))
        if not _is_loopback(host):
            yield Finding(
                Level.WARNING,
                f"{variable_name(field)}={host} can be reached over the network, without encryption",
                f"set {variable_name(field)}=127.0.0.1 and put a reverse proxy with TLS in front",
            )


def check_dashboard_accounts(settings: Settings) -> Iterator[Finding]:
    """The dashboard is opened to the network only with passwords (T19). `./run` makes them after its own check."""
    mend = "python -m dashboard prepare"
    if (settings.data_dir / DASHBOARD_ACCOUNTS).is_file():
        return
    if _is_loopback(settings.dashboard_host):
        yield Finding(Level.WARNING, "nobody can sign in to the dashboard: it has no passwords", mend)
        return
    host = f"{variable_name('dashboard_host')}={settings.dashboard_host}"
    yield Finding(
        Level.ERROR,
        f"{host} opens the dashboard to the network, and it has no passwords",
        f"make them ({mend}), or set {variable_name('dashboard_host')}=127.0.0.1",
    )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_tls(settings: Settings, now: datetime) -> Iterator[Finding]:
    """The certificate can be used, and for a while yet; nobody else reads its key. Nothing where there is none."""
    files = TlsFiles.of(settings.tls_certificate, settings.tls_key, settings.tls_client_ca)
    if files is None:
        return
    try:
        certificate = examine(files)
    except TlsError as error:
        yield Finding(Level.ERROR, error.what, error.mend)
        return
    yield _check_validity(files.certificate, certificate, now)
    if stat.S_IMODE(files.key.stat().st_mode) & 0o037:
        yield Finding(Level.WARNING, f"others may use the private key {files.key}", f"chmod 640 '{files.key}'")


def _check_validity(path: Path, certificate: ServerCertificate, now: datetime) -> Finding:
    """Never a reason not to start: quotas hold for everybody who connects all the same."""
    mend = "renew it; the server takes it up while it runs"
    if now < certificate.not_before:
        what = f"certificate {path} holds from {certificate.not_before:%Y-%m-%d} on only"
        return Finding(Level.WARNING, what, "look at this machine's clock, or wait")
    if now >= certificate.not_after:
        what = f"certificate {path} expired on {certificate.not_after:%Y-%m-%d}: charge points may refuse it"
        return Finding(Level.WARNING, what, mend)
    if certificate.not_after - now < LEAST_VALIDITY:
        return Finding(Level.WARNING, f"certificate {path} expires on {certificate.not_after:%Y-%m-%d}", mend)
    return Finding(Level.OK, f"certificate holds until {certificate.not_after:%Y-%m-%d}")


def check_disk(free_bytes: int, folder: Path) -> Finding:
    """Room for the ledger: below 64 MiB nothing is started, below 1 GiB it is time to think."""
    free = f"{free_bytes // MEBIBYTE} MiB free for {folder}"
    mend = f"make room, or move the data to a larger disk ({variable_name('data_dir')})"
    if free_bytes < 64 * MEBIBYTE:
        return Finding(Level.ERROR, f"only {free}", mend)
    if free_bytes < 1024 * MEBIBYTE:
        return Finding(Level.WARNING, f"only {free}", mend)
    return Finding(Level.OK, free)


def check_clock(now: datetime, signs_of_synchronisation: tuple[Path, ...] = SIGNS_OF_TIME_SYNCHRONISATION) -> Finding:
    """Charge points take the time from us, and months begin by it: a plausible year, kept by NTP."""
    mend = "sudo timedatectl set-ntp true, then look at `timedatectl`"
    shown = f"the clock says {now:%Y-%m-%d %H:%M} UTC"
    if now.year < 2025:
        return Finding(Level.ERROR, f"{shown}, which cannot be", mend)
    if not any(sign.exists() for sign in signs_of_synchronisation):
        return Finding(Level.WARNING, f"{shown}; nothing shows that it is kept right by NTP", mend)
    return Finding(Level.OK, f"{shown}, kept right by NTP")


def check_open_files(soft: int, hard: int) -> Finding:
    """A connection is a file: 1024 must be allowed (supervisord raises the soft limit as far as the hard one)."""
    if hard != resource.RLIM_INFINITY and hard < 1024:
        return Finding(
            Level.ERROR,
            f"only {hard} open files are allowed",
            "raise it to 1024 or more: LimitNOFILE= in the systemd unit, or nofile in /etc/security/limits.conf",
        )
    return Finding(Level.OK, f"{'any number of' if soft == resource.RLIM_INFINITY else soft} open files are allowed")


def is_server_running(folder: Path) -> bool:
    """Whether the server published its status lately (docs/files.md: every 10 s, older than 30 s means not running)."""
    try:
        age_s = time.time() - (folder / "server_status.json").stat().st_mtime
    except OSError:
        return False
    return age_s < STATUS_MAX_AGE_S


def _bind(host: str, port: int) -> None:
    """Binds as asyncio does (SO_REUSEADDR: a port that is only waiting for late packets counts as free)."""
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        with socket.socket(family, kind, protocol) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)


def _nearest_existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())


def file_system(folder: Path, mounts: Path) -> str:
    """The type of the file system that holds `folder`: of the longest mount point above it, the newest."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return "unknown"
    found: tuple[int, str] = (0, "unknown")
    for line in lines:
        _, point, kind, *_ = line.split(" ")
        mount_point = Path(point.replace(r"\040", " ").replace(r"\011", "\t"))
        if folder.is_relative_to(mount_point) and len(mount_point.parts) >= found[0]:
            found = (len(mount_point.parts), kind)
    return found[1]
