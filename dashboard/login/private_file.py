"""Small JSON files that only this user may read: replaced as a whole, read again when they changed."""

import json
import os
import threading
from pathlib import Path
from typing import Any, Final, TypeAlias

Json: TypeAlias = dict[str, Any]

_MODE: Final = 0o600
_LARGEST: Final = 1 << 20


class PrivateFile:
    """One file. Safe to share between threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._known: tuple[tuple[int, int, int], Json] | None = None

    def read(self) -> Json:
        """Its object; blank where there is no file. Raises OSError (also for a symbolic link), ValueError."""
        with self._lock:
            try:
                descriptor = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            except FileNotFoundError:
                self._known = None
                return {}
            with os.fdopen(descriptor, "rb") as file:
                seen = os.fstat(descriptor)
                identity = (seen.st_ino, seen.st_mtime_ns, seen.st_size)
                if self._known is not None and self._known[0] == identity:
                    return self._known[1]
                value = json.loads(file.read(_LARGEST))
            if not isinstance(value, dict):
                message = f"{self.path} holds no object: restore it or remove it"
                raise ValueError(message)
            self._known = (identity, value)
            return value

    def write(self, value: Json) -> None:
        """Replace it, durably, mode 0600; a link in its place is replaced, not followed. Raises OSError."""
        temporary = self.path.with_name(f".{self.path.name}.tmp-{os.getpid()}")
        temporary.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        try:
            with os.fdopen(os.open(temporary, flags, _MODE), "wb") as file:
                file.write(json.dumps(value, indent=2).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.path)
        finally:
            temporary.unlink(missing_ok=True)
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)  # the rename, too, outlives a power cut
        finally:
            os.close(folder)
