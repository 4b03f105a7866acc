"""An edit of a person's file by a program: one at a time, only of a file at rest, never over what somebody else saves.

Programs agree through a lock file; editors of text know nothing of it, so the file is also compared with what was read
at the very moment it is replaced.
"""

import fcntl
import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from ocpp_server.storage.atomic_file import FILE_MODE, replace_file, replace_if_same
from ocpp_server.storage.csv_text import MAX_BYTES, TableFileError

Edit: TypeAlias = Callable[[bytes], bytes | None]
"""From the content of the file to the new one; None: nothing to change. Raises TableFileError."""
_PATIENCE_S = 10.0
_AGAIN_AFTER_S = 0.02


@contextmanager
def locked(path: Path, patience_s: float = _PATIENCE_S) -> Iterator[None]:
    """Keep other programs from editing the file meanwhile. Waits: not for an event loop.

    Raises TableFileError if another one does not end, OSError.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path.with_name(f".{path.name}.lock"), flags, FILE_MODE)
    try:
        _lock(descriptor, path, patience_s)
        yield
    finally:
        os.close(descriptor)


def edit_file(
    path: Path,
    edit: Edit,
    *,
    error: type[TableFileError],
    has_rows: bool,
    settle_s: float = 0.0,
    known: bytes | None = None,
) -> bytes | None:
    """What was written, durably. The file stays its owner's, and stays a file: a link or another's file is left.

    `has_rows`: rows are in force, so that a file that is not there is no empty one. `settle_s`: how long it must be
    unwritten, unless it says what is `known` (its SHA-256). Raises `error` and OSError; then the file is as it was.
    """
    seen = _seen(path, error)
    content = b"" if seen is None else _read_at_rest(path, error, settle_s, known)
    if not content.strip() and has_rows:
        raise error(f"{path.name} is missing or empty, and its last good table is in force: put it back first")
    changed = edit(content)
    if changed is None:
        return None
    if len(changed) > MAX_BYTES:
        raise error(f"{path.name} would be larger than {MAX_BYTES // 1_000_000} MB")
    if seen is None:
        if path.exists():
            raise error(f"{path.name} was saved by somebody else at this moment: try again")
        replace_file(path, changed, is_synced=True)
    elif not replace_if_same(path, changed, expected=content, mode=stat.S_IMODE(seen.st_mode)):
        raise error(f"{path.name} was saved by somebody else at this moment: try again")
    return changed


def _lock(descriptor: int, path: Path, patience_s: float) -> None:
    give_up = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > give_up:
                raise TableFileError(f"another program is editing {path.name}: try again") from None
            time.sleep(_AGAIN_AFTER_S)
        else:
            return


def _seen(path: Path, error: type[TableFileError]) -> os.stat_result | None:
    try:
        seen = path.lstat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(seen.st_mode):
        raise error(f"{path.name} is a link or no file: edit it by hand")
    if seen.st_uid != os.geteuid():
        raise error(f"{path.name} belongs to another user: edit it by hand")
    return seen


def _read_at_rest(path: Path, error: type[TableFileError], settle_s: float, known: bytes | None) -> bytes:
    """Half of what an editor is just writing may look like a whole file."""
    give_up = time.monotonic() + _PATIENCE_S
    while True:
        with path.open("rb") as file:
            age_s = time.time() - os.fstat(file.fileno()).st_mtime
            content = file.read(MAX_BYTES + 1)
        if not 0 <= age_s < settle_s or hashlib.sha256(content).digest() == known:
            return content
        if time.monotonic() > give_up:
            raise error(f"{path.name} is written to again and again: try again when it rests")
        time.sleep(min(settle_s, _AGAIN_AFTER_S))
