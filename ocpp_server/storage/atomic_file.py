"""Replacing a file so that a reader sees the old content or the new, never a part of it."""

import ctypes
import errno
import os
from pathlib import Path
from typing import TypeAlias

FILE_MODE = 0o640
_HERE = -100  # AT_FDCWD
_EXCHANGE = 2  # RENAME_EXCHANGE
_NOT_HERE = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP)


Identity: TypeAlias = tuple[int, int, int]
"""How a file looks to the file system: inode, last write (ns), size. An edit changes it, a rename does not."""


def identity_of(seen: os.stat_result) -> Identity:
    """The identity in what stat tells."""
    return seen.st_ino, seen.st_mtime_ns, seen.st_size


def replace_file(path: Path, content: bytes, *, is_synced: bool, mode: int = FILE_MODE) -> Identity:
    """Write a temporary file in the same folder and rename it over `path`; a link there is replaced, not followed.

    `is_synced`: return only when file and folder would survive a power cut. Gives the identity of what was written.
    Raises OSError; the file is the old or the new one then, and whole.
    """
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    try:
        temporary.unlink(missing_ok=True)
        written = _write(temporary, content, is_synced=is_synced, mode=mode)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    if is_synced:
        sync_folder(path.parent)
    return written


def replace_if_same(path: Path, content: bytes, *, expected: bytes, mode: int) -> bool:
    """Replace a file that other programs write, durably, if it still says what was read; False: it does not, and stays.

    It is looked at just before; then the two change places in one step, and the old one is looked at again, so that
    nothing that was saved in between is lost. Where the system cannot do that (other than Linux, some network folders),
    a moment remains. Raises OSError; the file is the old or the new one then, and whole.
    """
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    temporary.unlink(missing_ok=True)
    try:
        _write(temporary, content, is_synced=True, mode=mode)
        is_same = path.read_bytes() == expected  # else the new content would stand there for a moment, for all to read
        if is_same and not _exchange(temporary, path):
            temporary.replace(path)
        elif is_same:
            is_same = temporary.read_bytes() == expected
            if not is_same:
                _exchange(temporary, path)
                if temporary.read_bytes() != content:  # saved over ours at this very moment: the latest save counts
                    _exchange(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)
    return is_same


def sync_file(path: Path) -> None:
    """Make a file that was written before durable, with its name in the folder."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files that a killed server left behind, in the folder and the folders in it."""
    for pattern in (".*.tmp-*", "*/.*.tmp-*"):
        for leftover in folder.glob(pattern):
            if leftover.is_symlink() or not leftover.is_dir():
                leftover.unlink(missing_ok=True)


def _write(path: Path, content: bytes, *, is_synced: bool, mode: int) -> Identity:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW  # a file of our own, no link that was planted
    descriptor = os.open(path, flags, mode)
    try:
        os.fchmod(descriptor, mode)  # whatever the umask
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
        if is_synced:
            os.fsync(descriptor)
        return identity_of(os.fstat(descriptor))
    finally:
        os.close(descriptor)


def _exchange(one: Path, other: Path) -> bool:
    """Two files change places (renameat2); False where the system cannot. Raises OSError."""
    library = ctypes.CDLL(None, use_errno=True)
    try:
        rename = library.renameat2
    except AttributeError:
        return False
    if rename(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _NOT_HERE:
        return False
    raise OSError(number, os.strerror(number), str(other))
