"""The OCPP messages of each charge point as files in `messages/`: JSON lines, two files for each, both bounded.

What is handed in is kept as it is; secrets were taken out before. A file is named by a hash, because an id could be a
path (T15). Everything here blocks: call it in a thread. Nothing is forced to the disk: losing the last lines to a power
cut costs nobody anything.
"""

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from errno import ENOSPC
from pathlib import Path
from threading import RLock
from typing import Final

import msgspec

MOST_BYTES: Final = 1_000_000
"""Of one file; the older half is let go of when the second one is full."""
_LEAST_FREE_BYTES: Final = 64 * 1024 * 1024
"""The rest of the disk is for the ledger."""
_NAME_BYTES: Final = 16


class StoredMessage(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One line. `number` is given by the file, 1 for the first message of a charge point."""

    at: datetime
    direction: str
    """received (from the charge point) or sent."""
    seconds: float
    """Real seconds by a clock that never jumps: what lies between a call and its answer."""
    size: int
    """Bytes as they went over the line."""
    number: int = 0
    charge_point: str = ""
    frame: msgspec.Raw = msgspec.Raw()
    """The frame of OCPP-J without its secrets; blank if it is none, or too long."""
    excerpt: str = ""
    """Its begin, where there is no frame."""
    reason: str = ""
    """Why there is no frame."""


class _File:
    """Where the messages of a charge point go next."""

    __slots__ = ("number", "path", "size")

    def __init__(self, path: Path, number: int, size: int) -> None:
        self.path = path
        self.number = number
        self.size = size


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(StoredMessage)


class MessageFiles:
    """The folder. One thread at a time does something in it."""

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._files: dict[str, _File] = {}
        self._lock = RLock()

    def append(self, charge_point_id: str, messages: Iterable[StoredMessage], most_bytes: int | None = None) -> None:
        """Add messages in their order. `most_bytes`: of each of its two files. Raises OSError; what did not fit as a
        whole is not there then, and the next call goes on.
        """
        limit = min(most_bytes or self._most_bytes, self._most_bytes)
        with self._lock:
            file = self._files.pop(charge_point_id, None) or self._opened(charge_point_id)
            lines: list[bytes] = []
            size = file.size
            for message in messages:
                message.number, message.charge_point = file.number + len(lines), charge_point_id
                line = _ENCODER.encode(message) + b"\n"
                if size and size + len(line) > limit:
                    _write(file, lines)
                    _rotate(file)
                    lines, size = [], 0
                lines.append(line)
                size += len(line)
            _write(file, lines)
            self._files[charge_point_id] = file  # after an error its end is looked at anew

    def page(self, charge_point_id: str, before: int | None, count: int) -> list[StoredMessage]:
        """Up to `count` messages with a number below `before`, the newest first. Raises OSError."""
        found: list[StoredMessage] = []
        with self._lock:
            path = self._path(charge_point_id)
            for part in (path, _older(path)):
                for message in _messages(part):
                    if before is None or message.number < before:
                        found.append(message)
                        if len(found) == count:
                            return found
        return found

    def forget(self, charge_point_id: str) -> None:
        """Remove what is there of a charge point. Raises OSError."""
        with self._lock:
            path = self._path(charge_point_id)
            self._files.pop(charge_point_id, None)
            path.unlink(missing_ok=True)
            _older(path).unlink(missing_ok=True)

    def keep_only(self, charge_point_ids: Iterable[str]) -> None:
        """Remove the files of all others. Raises OSError."""
        with self._lock:
            kept = {part for one in charge_point_ids for part in (self._path(one), _older(self._path(one)))}
            for path in list(self._folder.glob("*.jsonl")):
                if path not in kept:
                    path.unlink(missing_ok=True)

    def check_room(self) -> None:
        """Raise OSError if the disk is so full that the ledger should have what is left."""
        with self._lock:
            self._folder.mkdir(mode=0o750, exist_ok=True)
            if shutil.disk_usage(self._folder).free < _LEAST_FREE_BYTES:
                raise OSError(ENOSPC, "little is left of the disk")

    def _path(self, charge_point_id: str) -> Path:
        name = hashlib.sha256(charge_point_id.encode("utf-8", "surrogatepass")).hexdigest()[: 2 * _NAME_BYTES]
        return self._folder / f"{name}.jsonl"

    def _opened(self, charge_point_id: str) -> _File:
        self._folder.mkdir(mode=0o750, exist_ok=True)
        path = self._path(charge_point_id)
        _mend(path)
        newest = next((message for part in (path, _older(path)) for message in _messages(part)), None)
        size = path.stat().st_size if path.exists() else 0
        return _File(path, 1 if newest is None else newest.number + 1, size)


def _write(file: _File, lines: Sequence[bytes]) -> None:
    """All lines or none of them."""
    if not lines:
        return
    content = memoryview(b"".join(lines))
    length = len(content)
    descriptor = os.open(file.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
    try:
        size = os.fstat(descriptor).st_size
        try:
            while content:
                content = content[os.write(descriptor, content) :]
        except OSError:
            with suppress(OSError):
                os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)
    file.number += len(lines)
    file.size = size + length


def _rotate(file: _File) -> None:
    with suppress(FileNotFoundError):
        file.path.replace(_older(file.path))
    file.size = 0


def _older(path: Path) -> Path:
    return path.with_suffix(".old.jsonl")


def _mend(path: Path) -> None:
    """A kill may have left half a line at the end: it goes, or the next one would be lost with it."""
    if path.is_symlink():
        return  # it is refused later
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return
    if content and not content.endswith(b"\n"):
        os.truncate(path, content.rfind(b"\n") + 1)


def _messages(path: Path) -> Iterator[StoredMessage]:
    """The messages of a file, newest first; lines that are none are passed over."""
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return
    for line in reversed(lines):
        try:
            yield _DECODER.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
