"""Ends this process at its n-th step towards the disk, as SIGKILL would: before it, after it, or half way through.

The steps: every write, fsync, rename, removal and creation of a file by Python, every statement given to SQLite. What
SQLite itself writes within a statement is reached by strace (test_kill_points, the proof). Test-only: it patches `os`
and `sqlite3` of the process that imports and arms it.
"""

import os
import re
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

EXIT_STATUS = 137  # what a shell says of a process that was killed
_SLOW_S = 0.04

Place: TypeAlias = int | tuple[str, int]
"""The n-th step of all, or the n-th of that name; 0: nowhere."""


class Killer:
    """Counts the steps; the process ends at the place `at`. `steps` are their names so far."""

    def __init__(self) -> None:
        self.at: Place = 0
        self.steps: list[str] = []
        self._slow_step = ""
        self._is_armed = False
        self._turn = threading.RLock()

    def arm(self, at: Place, slow_step: str = "") -> None:
        """From now on steps count. The step that is named `slow_step` takes as long as on a slow disk."""
        self.at, self._slow_step, self._is_armed = at, slow_step, True
        self.steps.clear()

    def disarm(self) -> None:
        self._is_armed = False

    def step(self, name: str) -> None:
        if self._is_armed and name == self._slow_step:
            time.sleep(_SLOW_S)
        with self._turn:
            if not self._is_armed:
                return
            self.steps.append(name)
            if self.at in (len(self.steps), (name, self.steps.count(name))):
                os._exit(EXIT_STATUS)

    def around(self, name: str, act: Callable[..., Any]) -> Callable[..., Any]:
        """The same call with a step before and after it."""

        def counted(*args: Any, **kwargs: Any) -> Any:
            self.step(f"before {name}")
            result = act(*args, **kwargs)
            self.step(f"after {name}")
            return result

        return counted

    def patch(self) -> None:
        """Count the steps of this process from now on, once armed."""
        for name in ("fsync", "rename", "replace", "unlink", "mkdir", "ftruncate", "pwrite", "posix_fallocate"):
            setattr(os, name, self._of_file(name, getattr(os, name)))
        os.write = self._half_way(os.write)
        os.open = self._creating(os.open)
        sqlite3.connect = self._connecting(sqlite3.connect)

    def _of_file(self, name: str, act: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            target = args[1] if name in ("rename", "replace") else args[0]
            return self.around(f"{name} of {_file(target)}", act)(*args, **kwargs)

        return counted

    def _half_way(self, write: Callable[[int, Any], int]) -> Callable[[int, Any], int]:
        def counted(descriptor: int, data: Any) -> int:
            file = _file(descriptor)
            self.step(f"before write of {file}")
            half = len(data) // 2
            done = write(descriptor, data[:half]) if half else 0
            self.step(f"half way in write of {file}")
            done += write(descriptor, data[done:])
            self.step(f"after write of {file}")
            return done

        return counted

    def _creating(self, opening: Callable[..., int]) -> Callable[..., int]:
        def counted(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
            descriptor = opening(path, flags, *args, **kwargs)
            if flags & os.O_CREAT:
                self.step(f"after creation of {_file(path)}")
            return descriptor

        return counted

    def _connecting(self, connect: Callable[..., sqlite3.Connection]) -> Callable[..., sqlite3.Connection]:
        killer = self

        class CountedConnection(sqlite3.Connection):
            def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
                return killer.around(_words(sql), super().execute)(sql, *args)

            def executemany(self, sql: str, *args: Any) -> sqlite3.Cursor:
                return killer.around(_words(sql), super().executemany)(sql, *args)

            def executescript(self, sql: str) -> sqlite3.Cursor:
                return killer.around("script", super().executescript)(sql)

            def close(self) -> None:
                killer.around("close of SQLite", super().close)()

        def counted(*args: Any, **kwargs: Any) -> sqlite3.Connection:
            return connect(*args, factory=CountedConnection, **kwargs)

        return counted


def _file(target: int | str | os.PathLike[str]) -> str:
    """The name of a file, the same in every process."""
    try:
        path = Path(f"/proc/self/fd/{target}").readlink() if isinstance(target, int) else Path(target)
    except OSError:
        return "a file"  # a system without /proc: the steps are the same, only their names say less
    return re.sub(r"\.tmp-\d+", ".tmp", path.name)


def _words(sql: str) -> str:
    return " ".join(sql.split()[:3])
