"""A site in one file, and back: the ledger as of one moment, the administrator's tables, and the closed months' files.

A backup is a ZIP with a manifest. Restoring also takes a plain ledger, such as the nightly ones in data/backup. The
token of the API, keys of certificates and .env are not in it: they are secrets, or belong to the machine.
"""

import contextlib
import json
import os
import shutil
import sqlite3
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from ocpp_server.core.site import Policy
from ocpp_server.storage import ledger_file, restore_journal
from ocpp_server.storage.atomic_file import FILE_MODE, sync_file, sync_folder
from ocpp_server.storage.errors import LedgerError, StorageError
from ocpp_server.storage.ledger_load import first_transaction_id, load_site
from ocpp_server.storage.ledger_upgrade import upgrade
from ocpp_server.storage.restore_journal import NEW, STAGING
from ocpp_server.storage.verify import verify_copy

LEDGER: Final = restore_journal.LEDGER
MANIFEST: Final = "evquota-backup.json"
TABLES: Final = ("users1.csv", "chargers.csv")
_ARCHIVE: Final = "archive"
_FORMAT: Final = 1
_SQLITE: Final = b"SQLite format 3\x00"
_MODE: Final = 0o600
_PIECE: Final = 1 << 20
_UNREADABLE: Final = (OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)
"""What `zipfile` raises for a file that is cut off, altered, encrypted or packed in another way."""


class BackupError(StorageError):
    """No backup was made or nothing was restored; the message says why."""


def make_backup(
    data_dir: Path, target: Path, version: str, now: datetime, tell: Callable[[str], None] = lambda _: None
) -> list[str]:
    """Write the backup, also while a server runs; gives the names in it. It never replaces a file.

    `tell` is told what is being done. Blocks. Raises BackupError or LedgerError; there is no file then.
    """
    if not target.parent.is_dir():
        raise BackupError(f"there is no folder {target.parent}: is its disk mounted?")
    if restore_journal.is_unfinished(data_dir):
        raise BackupError("a restore was broken off: start the server, or restore again, to finish it")
    if target.exists() or target.is_symlink():
        raise BackupError(f"{target} is already there: name another file")
    copy = target.with_name(f".{target.name}.tmp-{os.getpid()}-ledger")
    packed = target.with_name(f".{target.name}.tmp-{os.getpid()}")
    try:
        tell("copying the ledger")
        ledger_file.backup(data_dir / LEDGER, copy)
        files = {LEDGER: copy, **_other_files(data_dir)}
        tell(f"packing {len(files)} files")
        _pack(packed, files, {"format": _FORMAT, "version": version, "made": now.isoformat()})
        packed.replace(target)
        sync_folder(target.parent)
    except OSError as error:
        raise BackupError(f"no backup in {target}: {error.strerror or error}") from error
    finally:
        for leftover in (copy, packed):
            with contextlib.suppress(OSError):
                leftover.unlink(missing_ok=True)
    return list(files)


@contextmanager
def staged(source: Path, data_dir: Path, policy: Policy, now: datetime) -> Iterator[Path]:
    """The files of a backup in a folder beside those they are to replace, checked; removed at the end.

    Raises BackupError for what is no backup, is damaged or does not add up.
    """
    staging = data_dir / STAGING
    folder = staging / NEW
    try:
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(mode=0o700)
        folder.mkdir(mode=0o700)
        try:
            _unpack(source, folder, shutil.disk_usage(data_dir).free)
            _check(folder / LEDGER, policy, now)
            yield folder
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    except _UNREADABLE as error:
        raise BackupError(f"{source} cannot be restored: {getattr(error, 'strerror', None) or error}") from error


def put_in_place(folder: Path, data_dir: Path, now: datetime, *, is_books_only: bool) -> Path:
    """Make the files in `folder`, which `staged` gave, the site's; gives the folder with what was there.

    The site must be locked. Killed at any moment, it is the old one or, after the next start, the restored one; which
    of them is decided by one rename (`restore_journal`). Raises BackupError or LedgerError.
    """
    try:
        _go_on_counting(folder / LEDGER, data_dir / LEDGER, now)
        _close_write_ahead_log(data_dir / LEDGER)
        _drop_what_stays(folder, data_dir, is_books_only=is_books_only)
        restore_journal.decide(data_dir, f"replaced-{now:%Y%m%dT%H%M%SZ}")
    except OSError as error:
        if not restore_journal.is_unfinished(data_dir):
            reason = error.strerror or error
            raise BackupError(f"the restore was broken off ({reason}): nothing was changed, do it again") from error
    return _finish(data_dir)


def finish_earlier(data_dir: Path) -> Path | None:
    """Finish a restore that was broken off; gives the folder with what it replaced. Raises BackupError."""
    return _finish(data_dir) if restore_journal.is_unfinished(data_dir) else None


def _finish(data_dir: Path) -> Path:
    try:
        kept = restore_journal.finish(data_dir)
    except OSError as error:
        raise BackupError(
            f"the restore was broken off ({error.strerror or error}): make that good; the start of the server, or "
            "another restore, finishes it"
        ) from error
    return data_dir if kept is None else kept


def _drop_what_stays(folder: Path, data_dir: Path, *, is_books_only: bool) -> None:
    """Of the files beside the ledger only those are put in place that differ from the site's."""
    for path in [*(folder / name for name in TABLES), *sorted((folder / _ARCHIVE).glob("*"))]:
        present = data_dir / path.relative_to(folder)
        if not path.exists():
            continue
        path.chmod(FILE_MODE)
        if is_books_only or (present.is_file() and present.read_bytes() == path.read_bytes()):
            path.unlink()


def _other_files(data_dir: Path) -> dict[str, Path]:
    """What goes in beside the ledger: files that are there, by their names in the backup."""
    paths = [data_dir / name for name in TABLES] + sorted((data_dir / _ARCHIVE).glob("*-????-??.*"))
    return {str(path.relative_to(data_dir)): path for path in paths if path.is_file() and not path.is_symlink()}


def _pack(target: Path, files: dict[str, Path], manifest: dict[str, object]) -> None:
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, _MODE)
    with os.fdopen(descriptor, "wb") as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as archive:
            archive.writestr(MANIFEST, json.dumps(manifest, indent=2))
            for name, path in files.items():
                _add(archive, name, path)
        file.flush()
        os.fsync(file.fileno())


def _add(archive: zipfile.ZipFile, name: str, path: Path) -> None:
    """In pieces: a ledger may be larger than the memory. A published file may be replaced meanwhile; it stays whole."""
    entry = zipfile.ZipInfo.from_file(path, name, strict_timestamps=False)
    entry.compress_type = zipfile.ZIP_DEFLATED
    with path.open("rb") as source, archive.open(entry, "w", force_zip64=True) as packed:
        shutil.copyfileobj(source, packed, _PIECE)


def _unpack(source: Path, folder: Path, room: int) -> None:
    with source.open("rb") as file:
        begin = file.read(len(_SQLITE))
    if begin == _SQLITE:
        if source.with_name(f"{source.name}-wal").exists():
            raise BackupError(f"{source} is a ledger in use, no backup: beside it lies {source.name}-wal")
        _check_room(source.stat().st_size, room)
        shutil.copyfile(source, folder / LEDGER)
        sync_file(folder / LEDGER)
        return
    with zipfile.ZipFile(source) as archive:
        names = archive.namelist()
        if MANIFEST not in names or LEDGER not in names:
            raise BackupError(f"{source} is no backup of evquota")
        _check_format(archive.read(MANIFEST), source)
        wanted = [info for info in archive.infolist() if _is_ours(info.filename)]
        _check_room(sum(info.file_size for info in wanted), room)
        for info in wanted:
            target = folder / info.filename
            target.parent.mkdir(mode=0o700, exist_ok=True)
            with archive.open(info) as packed, target.open("xb") as file:
                shutil.copyfileobj(packed, file, _PIECE)
                file.flush()
                os.fsync(file.fileno())


def _check_format(manifest: bytes, source: Path) -> None:
    try:
        found = json.loads(manifest)["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise BackupError(f"{source} is no backup of evquota: {MANIFEST} cannot be read") from error
    if found != _FORMAT:
        raise BackupError(f"{source} was made by another version of evquota (format {found}, this one knows {_FORMAT})")


def _check_room(size: int, room: int) -> None:
    if size > room:
        raise BackupError(f"the backup needs {size // 1024} KiB, and {room // 1024} KiB are free: make room")


def _is_ours(name: str) -> bool:
    """Never a path out of the folder."""
    folder, _, file = name.rpartition("/")
    if not folder:
        return name in {LEDGER, *TABLES}
    return folder == _ARCHIVE and bool(file) and not file.startswith(".") and "\\" not in file and file.isprintable()


def _check(ledger: Path, policy: Policy, now: datetime) -> None:
    ledger.chmod(_MODE)
    with closing(sqlite3.connect(ledger, isolation_level=None)) as connection, contextlib.suppress(sqlite3.Error):
        upgrade(connection)  # an older backup; what cannot be upgraded is told below
    problems = verify_copy(ledger)
    if problems:
        more = f" (and {len(problems) - 1} more problems)" if len(problems) > 1 else ""
        raise BackupError(f"the backup is not restored: {problems[0].replace(str(ledger), 'in it')}{more}")
    try:
        with closing(ledger_file.connect_read_only(ledger)) as connection:
            load_site(connection, policy, now)
    except (sqlite3.Error, msgspec.DecodeError) as error:
        raise BackupError(f"the backup is not restored: an entry cannot be read: {error}") from error


def _go_on_counting(restored: Path, replaced: Path, now: datetime) -> None:
    """Transaction ids go on beyond all that were given since: charge points still speak of them (rule 18)."""
    last = 0
    with contextlib.suppress(sqlite3.Error), closing(ledger_file.connect_read_only(replaced)) as ledger:
        last = ledger.execute("SELECT max(transaction_id) FROM transactions").fetchone()[0] or 0
    count_on = "UPDATE meta SET value = max(CAST(value AS INTEGER), ?) WHERE key = 'first_transaction_id'"
    try:
        with closing(sqlite3.connect(restored)) as ledger, ledger:
            ledger.execute("PRAGMA journal_mode = DELETE").fetchall()  # all of it is in the one file that is moved
            ledger.execute("DELETE FROM meta WHERE key = 'clean'")
            ledger.execute(count_on, (max(first_transaction_id(now), last + 1),))
    except sqlite3.Error as error:
        raise LedgerError(f"the restored ledger cannot be written: {error}") from error


def _close_write_ahead_log(ledger: Path) -> None:
    """So that the ledger is one file, which a rename replaces at once. What is damaged stays as it is."""
    if ledger.exists():
        with contextlib.suppress(sqlite3.Error), closing(sqlite3.connect(ledger)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
