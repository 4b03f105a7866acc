"""Whether the server can do its work: a list of checks, each with a sentence. Ready means all of them."""

import asyncio
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

LONGEST_COMMIT_S: Final = 10.0
"""A commit takes milliseconds; one that hangs keeps every charge point waiting."""
LONGEST_UNPUBLISHED_S: Final = 60.0
"""Files are looked at every ten seconds."""
LEAST_FREE_BYTES: Final = 200 * 1024 * 1024
"""Below this the alert is open on any disk (`core.alerts`)."""
_MEBIBYTE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must be right. `detail`: what is wrong, or how it stands."""

    name: str
    is_ok: bool
    detail: str


class Gateway(Protocol):
    """Listens for charge points."""

    @property
    def is_listening(self) -> bool:
        """Charge points can connect now."""
        ...


class CentralSystem(Protocol):
    """Writes the ledger."""

    @property
    def is_writable(self) -> bool:
        """No commit has failed."""
        ...

    def committing_s(self) -> float:
        """Real seconds that the commit under way has taken so far; 0: there is none."""
        ...


class Publisher(Protocol):
    """Writes the files in data/."""

    last_error: str

    def published_ago_s(self) -> float | None:
        """Real seconds since every file was right; None: never yet."""
        ...


class Health:
    """Looks at the parts when it is asked. `users_error`: why users1.csv cannot be used now, blank if it can."""

    def __init__(
        self,
        data_dir: Path,
        gateway: Gateway,
        central: CentralSystem,
        publisher: Publisher,
        users_error: Callable[[], str],
    ) -> None:
        self._data_dir = data_dir
        self._gateway = gateway
        self._central = central
        self._publisher = publisher
        self._users_error = users_error

    async def checks(self) -> list[Check]:
        """All of them, also after one that fails."""
        free = await asyncio.to_thread(free_bytes, self._data_dir)
        return [self._listening(), self._ledger(), self._files(), _disk(free), self._users()]

    def _listening(self) -> Check:
        is_ok = self._gateway.is_listening
        return Check("listening", is_ok, "charge points can connect" if is_ok else "no port is open for charge points")

    def _ledger(self) -> Check:
        if not self._central.is_writable:
            return Check("ledger", False, "a commit failed: the server ends")
        seconds = self._central.committing_s()
        if seconds > LONGEST_COMMIT_S:
            return Check("ledger", False, f"a commit has taken {seconds:.0f} s so far: look at the disk")
        return Check("ledger", True, "the last commit is durable")

    def _files(self) -> Check:
        error, ago_s = self._publisher.last_error, self._publisher.published_ago_s()
        if error:
            return Check("files", False, f"files not written: {error}")
        if ago_s is None:
            return Check("files", False, "not written since the start")
        return Check("files", ago_s <= LONGEST_UNPUBLISHED_S, f"written {ago_s:.0f} s ago")

    def _users(self) -> Check:
        error = self._users_error()
        return Check("users1.csv", not error, error or "in force")


def free_bytes(folder: Path) -> int | None:
    """Of the disk; None: it does not tell. Blocks."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def _disk(free: int | None) -> Check:
    if free is None:
        return Check("disk", False, "how much is free cannot be found out")
    return Check("disk", free >= LEAST_FREE_BYTES, f"{free // _MEBIBYTE} MiB are free for the data")
