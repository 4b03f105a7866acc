"""Opens a data folder: settings become the core's policy and the clock, the ledger is locked and brought up to date.

What stands in the way is a StartError: one sentence that says why and how to mend it.
"""

import errno
import os
from pathlib import Path

from ocpp_server.central_system import CentralSystem
from ocpp_server.clock import Clock
from ocpp_server.core.site import AdmissionPolicy, Policy, apply
from ocpp_server.ocpp16.tls import ServerTls, TlsError, TlsFiles
from ocpp_server.settings import Settings, variable_name
from ocpp_server.storage.atomic_file import remove_leftovers
from ocpp_server.storage.brands_file import read_brands
from ocpp_server.storage.errors import StorageError
from ocpp_server.storage.hand_edits import adjustments_from_edit
from ocpp_server.storage.imported_files import import_files
from ocpp_server.storage.ledger import RESERVE, Ledger

DEMO_MARKER = ".demo"
_LEAST_FREE_BYTES = 4 * 1024 * 1024


class StartError(Exception):
    """The server cannot start here; the message says in one sentence why and how to mend it."""


class NotWritableError(StartError):
    """The disk is full or read-only. It may mend itself: the server waits, as if it were disconnected."""


def policy_of(settings: Settings) -> Policy:
    """The settings that rules depend on."""
    admission = AdmissionPolicy(
        unknown=settings.charger_admission,
        min_security_profile=settings.min_security_profile,
        max_charge_points=settings.max_charge_points,
        is_internet_without_tls_allowed=settings.allow_internet_without_tls,
    )
    return Policy(
        admission=admission,
        zone=settings.zone,
        brand_rules=read_brands(),
        max_sessions_per_account=settings.max_sessions_per_account,
        tag_suffix_separator=settings.tag_suffix_separator,
        max_power_w=round(settings.max_power_kw * 1000),
        sample_interval_s=settings.meter_interval_s,
        stale_close_after_s=settings.stale_close_after_s,
    )


def clock_of(settings: Settings) -> Clock:
    """The clock. Raises StartError for an accelerated one on a data folder that is not a demo's."""
    if settings.clock_factor != 1.0 and not (settings.data_dir / DEMO_MARKER).exists():
        name = variable_name("clock_factor")
        raise StartError(
            f"{name}={settings.clock_factor:g} is for a demo, and {settings.data_dir} is no demo's data folder "
            f"(it has no file {DEMO_MARKER}): remove {name} from .env and the environment, or use ./run demo"
        )
    return Clock(settings.clock_factor, settings.clock_origin)


def tls_of(settings: Settings) -> ServerTls | None:
    """The TLS of the charge points' port, if there is a certificate. Raises StartError."""
    files = TlsFiles.of(settings.tls_certificate, settings.tls_key, settings.tls_client_ca)
    try:
        return None if files is None else ServerTls(files, is_compatible=settings.tls_compat)
    except TlsError as error:
        raise StartError(str(error)) from error


def open_ledger(settings: Settings, clock: Clock) -> Ledger:
    """The ledger of the data folder, locked and ready, with what older files say. Raises StartError."""
    data_dir = settings.data_dir
    try:
        prepare_data_folder(data_dir)
        check_writable(data_dir)
        ledger = Ledger(data_dir / "ledger.db", policy_of(settings), clock.now())
        ledger.open()
        _tidy(ledger, data_dir)
    except StorageError as error:
        raise StartError(str(error)) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EROFS):
            raise NotWritableError(f"{data_dir} cannot be written: {error.strerror}") from error
        raise StartError(
            f"the data folder {data_dir} cannot be used ({error.strerror or error}): "
            f"give it to this user, or name another {variable_name('data_dir')}"
        ) from error
    return ledger


def _tidy(ledger: Ledger, data_dir: Path) -> None:
    """Remove leftovers, but not before the folder is ours: another server may be writing them."""
    try:
        remove_leftovers(data_dir)
    except OSError:
        ledger.close()
        raise


def prepare_data_folder(data_dir: Path) -> None:
    """A real folder that others cannot write. Raises StartError or OSError."""
    if data_dir.is_symlink():
        raise StartError(
            f"the data folder {data_dir} is a symbolic link: name the real folder in {variable_name('data_dir')}"
        )
    data_dir.mkdir(mode=0o750, parents=True, exist_ok=True)
    if data_dir.stat().st_mode & 0o002:
        raise StartError(f"anybody may write to the data folder {data_dir}: chmod 750 '{data_dir}'")
    (data_dir / "archive").mkdir(mode=0o750, exist_ok=True)


def check_writable(data_dir: Path) -> None:
    """Raises NotWritableError where nothing could be stored: the disk is read-only, or full to the last MiB.

    The reserve beside the ledger counts as free: it is given up before anything is refused.
    """
    disk = os.statvfs(data_dir)
    if disk.f_flag & os.ST_RDONLY:
        raise NotWritableError(f"the disk of {data_dir} is mounted read-only: mount it writable")
    reserve = data_dir / RESERVE
    free = disk.f_bavail * disk.f_frsize + (reserve.stat().st_size if reserve.exists() else 0)
    if free < _LEAST_FREE_BYTES:
        raise NotWritableError(f"only {free // 1024} KiB are free for {data_dir}: make room")


async def bring_up_to_date(ledger: Ledger, data_dir: Path, clock: Clock) -> CentralSystem:
    """The central system on what was last committed, with imported files or hand edits booked. Raises StorageError."""
    site = ledger.load()
    now = clock.now()
    if ledger.is_new:
        changes = import_files(data_dir, site, now)
    else:
        changes = adjustments_from_edit(
            data_dir,
            site,
            was_clean=ledger.was_clean,
            content_hashes=ledger.content_hashes,
            ledger_written_at=ledger.written_at,
            now=now,
        )
    await ledger.commit(changes)
    for change in changes:
        apply(site, change)
    return CentralSystem(ledger, site)
