"""The ledger as a file in the data folder: one server at a time, no links, a reserve for a full disk, copies.

What is in it is `ledger`.
"""

import fcntl
import logging
import os
import shlex
import shutil
import sqlite3
import stat
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path

from ocpp_server.storage.atomic_file import sync_folder
from ocpp_server.storage.errors import LedgerDamagedError, LedgerError, LedgerInUseError

log = logging.getLogger(__name__)

RESERVE_BYTES = 16 * 1024 * 1024
_MODE = 0o600
_STAMP = "%Y%m%dT%H%M%SZ"


class FolderLock:
    """The right to write in a data folder, held until `release` or the end of the process."""

    def __init__(self, path: Path) -> None:
        """Raises LedgerInUseError if another process holds it."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._descriptor = os.open(path, flags, _MODE)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(self._descriptor, 20).decode("ascii", "replace").strip() or "unknown"
            os.close(self._descriptor)
            message = f"another server runs on this data folder ({path.parent}), pid {holder}: stop it first"
            raise LedgerInUseError(message) from error
        except OSError:
            os.close(self._descriptor)
            raise
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let another process have it. The file stays: removing it would let two processes lock two files."""
        os.close(self._descriptor)


def is_in_use(lock_path: Path) -> bool:
    """Whether a server runs on this data folder."""
    try:
        descriptor = os.open(lock_path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


def keep_reserve(path: Path, size: int) -> None:
    """Hold back `size` bytes for the day the disk is full; give them to the ledger when that day has come.

    Held back only where four times as much is free, so that a disk close to full is not filled by the reserve.
    """
    free = shutil.disk_usage(path.parent).free
    if path.exists():
        if free < size:
            path.unlink()
            log.error("[STATUS] disk full, reserve freed bytes=%d free=%d", size, free)
        return
    if not size or free < 4 * size:
        return
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, _MODE)
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        path.unlink()
        log.warning("[STATUS] no reserve kept error=%s", error.strerror)
    finally:
        os.close(descriptor)


def prepare(path: Path) -> None:
    """Make sure that the ledger is a plain file of our own with mode 0600, empty if it is new."""
    for part in _parts(path):
        if part.is_symlink():
            raise LedgerError(f"{part} is a symbolic link: the ledger must be a plain file in the data folder")
    log_of_lost = path.with_name(f"{path.name}-wal")
    if not path.exists() and log_of_lost.exists() and log_of_lost.stat().st_size:
        raise LedgerError(f"{log_of_lost} is there but {path} is not: put it back, or move {log_of_lost.name} away")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, _MODE)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise LedgerError(f"{path} is not a plain file")
        os.fchmod(descriptor, _MODE)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_folder(path.parent)


def written_at(path: Path) -> float | None:
    """When the files of the ledger last changed (Unix time), or None if there is none."""
    log_of_it = _parts(path)[1]
    has_log = log_of_it.exists() and log_of_it.stat().st_size > 0  # one who only reads leaves an empty one
    times = [part.stat().st_mtime for part in (path, *[log_of_it] * has_log) if part.exists()]
    return max(times, default=None)


def damaged(path: Path, reason: str, now: datetime) -> LedgerDamagedError:
    """Keep a copy of a damaged ledger, and the error that tells how to go on with the newest backup."""
    kept = _keep_broken(path, now)
    backups = sorted(path.parent.glob("backup/*.db"), key=lambda backup: backup.stat().st_mtime)
    if backups:
        mend = (
            "To go on with the newest backup: stop the server, type "
            f"python -m ocpp_server restore {shlex.quote(str(backups[-1]))}, start the server. "
            "The energy_usage.json that it keeps tells what was counted since the backup."
        )
    else:
        mend = f"There is no backup in {path.parent / 'backup'}: move {path.name} away to begin a new ledger."
    copied = f"A copy was kept as {kept.name}." if kept is not None else "The disk has no room for a copy of it."
    return LedgerDamagedError(f"{path} is damaged ({reason}). {copied} {mend}")


def backup(source: Path, target: Path) -> None:
    """Copy a ledger, also while a server writes to it, into one whole, durable file. Raises LedgerError.

    Takes a read transaction of its own; call it in a thread.
    """
    temporary = target.with_name(f".{target.name}.tmp-{os.getpid()}")
    try:
        target.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, _MODE))
        with closing(connect_read_only(source)) as ledger, closing(sqlite3.connect(temporary)) as copy:
            ledger.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE").fetchall()
            copy.execute("DELETE FROM meta WHERE key = 'clean'")  # the files it speaks of will be others by then
            copy.commit()
            if copy.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
                raise LedgerError(f"the copy of {source} is damaged, and so is the ledger: {target} was not replaced")
        temporary.replace(target)
        sync_folder(target.parent)
    except (sqlite3.Error, OSError) as error:
        raise LedgerError(f"no backup of {source} to {target}: {error}") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def connect_read_only(path: Path) -> sqlite3.Connection:
    """A connection that cannot write. Raises sqlite3.Error."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)


def _parts(path: Path) -> list[Path]:
    return [path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")]


def _keep_broken(path: Path, now: datetime) -> Path | None:
    """Copy it with its log, once: a start that is tried again must not fill the disk. None: there is no room."""
    for earlier in path.parent.glob(f"{path.name}.broken-*"):
        if _likeness(earlier) == _likeness(path):
            return earlier
    kept = path.with_name(f"{path.name}.broken-{now.strftime(_STAMP)}")
    try:
        for part, copy in zip(_parts(path)[:2], _parts(kept)[:2], strict=True):
            if part.exists():
                shutil.copy2(part, copy)
    except OSError as error:
        for copy in _parts(kept):
            copy.unlink(missing_ok=True)
        log.error("[STATUS] no copy of the damaged ledger error=%s", error.strerror)
        return None
    return kept


def _likeness(path: Path) -> tuple[int, int]:
    seen = path.stat()
    return seen.st_size, seen.st_mtime_ns
