"""The newest readable version of each file in a folder, shared by all viewers; a bad version never replaces a good one.

Knows nothing of what is in the files.
"""

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Generic, TypeVar

T = TypeVar("T")

Fingerprint = tuple[int, int, int]
"""mtime in ns, size in bytes, inode."""

MISSING = "not there"
READ_ATTEMPTS = 3


class UnreadableContentError(ValueError):
    """A parser's verdict that a content cannot be used; the message says why."""


class RewrittenWhileReadError(Exception):
    """The file changed under our hands in every attempt."""


@dataclass(frozen=True)
class Loaded(Generic[T]):
    """The newest good value (None: there never was one), and what is wrong with the file now, if anything."""

    value: T | None
    problem: str = ""
    written_at: datetime | None = None
    """When the version behind `value` was written."""

    @property
    def is_missing(self) -> bool:
        """There is no such file now; `value` may still be from before."""
        return self.problem == MISSING


class LatestFiles:
    """Reads a file again only when its (name, mtime, size, inode) changed. Safe to share between threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._known: dict[str, tuple[Fingerprint, Loaded[Any]]] = {}

    def load(self, name: str, parse: Callable[[bytes], T], *, keeps_when_missing: bool = False) -> Loaded[T]:
        """Give the newest good version of a file; never raises for what a file holds or lacks.

        `keeps_when_missing`: a file that vanished keeps its last value instead of becoming empty.
        """
        with self._lock:
            fingerprint, last = self._known.get(name, (None, Loaded(None)))
            try:
                if fingerprint == _fingerprint(os.stat(self._folder / name)):  # noqa: PTH116  the same shape as fstat
                    return last
                fingerprint, content = _read_unchanged(self._folder / name)
            except FileNotFoundError:
                self._known.pop(name, None)
                return self._missing(name, last, keeps_when_missing)
            except (OSError, RewrittenWhileReadError) as error:
                return replace(last, problem=_words(error))
            loaded = _parsed(parse, content, fingerprint, last)
            self._known[name] = (fingerprint, loaded)
            return loaded

    def _missing(self, name: str, last: Loaded[Any], keeps: bool) -> Loaded[Any]:
        if not keeps:
            return Loaded(None, MISSING)
        if last.value is not None:
            self._known[name] = ((-1, -1, -1), last)
        return replace(last, problem=MISSING)


def _parsed(parse: Callable[[bytes], T], content: bytes, fingerprint: Fingerprint, last: Loaded[Any]) -> Loaded[T]:
    try:
        value = parse(content)
    except (ValueError, RecursionError) as error:
        return replace(last, problem=_words(error))
    return Loaded(value, "", datetime.fromtimestamp(fingerprint[0] / 1e9, UTC))


def _read_unchanged(path: Path) -> tuple[Fingerprint, bytes]:
    """Read a file between two equal looks at it: others may rewrite it in place instead of replacing it."""
    for _ in range(READ_ATTEMPTS):
        with path.open("rb") as file:
            before = _fingerprint(os.fstat(file.fileno()))
            content = file.read()
            after = _fingerprint(os.fstat(file.fileno()))
        if before == after:
            return after, content
    raise RewrittenWhileReadError


def _fingerprint(stat: os.stat_result) -> Fingerprint:
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _words(error: Exception) -> str:
    match error:
        case RewrittenWhileReadError():
            return "is being written right now"
        case RecursionError():
            return "is nested too deeply"
        case OSError():
            return f"cannot be opened ({error.strerror or type(error).__name__})"
        case _:
            return str(error).strip() or type(error).__name__
