"""Follows one table file that people edit: hands its bytes on once they have changed and come to rest.

What the bytes mean is the callback's business. The folder is watched, not the file, because editors replace it.
"""

import asyncio
import hashlib
import logging
import stat
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import NamedTuple

from watchfiles import Change, awatch

from ocpp_server.storage.csv_text import MAX_BYTES

log = logging.getLogger(__name__)

Load = Callable[[bytes], Awaitable[float | None]]
"""Takes the content of the file; returns the seconds after which it wants to be given it again, or None."""


class _Stamp(NamedTuple):
    """What differs after a write. ctime and inode catch a copy that keeps size and mtime."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int


class TableWatcher:
    """Watches one file. A missing, empty or unreadable file is logged once and nothing is handed on."""

    def __init__(self, path: Path, load: Load, *, settle_s: float = 1.0, poll_s: float = 30.0) -> None:
        """`settle_s`: how long size and mtime must not change; `poll_s`: how often to look without being told."""
        self.trouble: str | None = None
        """Why there is no file to read now: "missing", "empty", …"""
        self._path = path.absolute()
        self._load = load
        self._settle_s = settle_s
        self._poll_s = poll_s
        self._known: _Stamp | None = None
        self._digest: bytes | None = None
        """Of what was handed on, unless the callback wants to be given it again."""
        self._has_handed_on = False
        self._due_s: float | None = None
        self._nudge = asyncio.Event()

    async def load_once(self) -> None:
        """Hand the file on as it is now, for the start of the server; waits only if it was written just now."""
        seen = await asyncio.to_thread(_observe, self._path)
        at_rest = isinstance(seen, str) or _age_s(seen) >= self._settle_s
        if not (at_rest and await self._take(seen)):
            await self._look()

    async def run(self) -> None:
        """Follow the file until cancelled. What `load` raises ends the watch."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch_folder())
            tasks.create_task(self._follow())

    async def _follow(self) -> None:
        while True:
            self._nudge.clear()
            await self._look()
            try:
                async with asyncio.timeout(self._pause_s()):
                    await self._nudge.wait()
            except TimeoutError:
                pass  # the poll: a network folder tells nobody of its changes

    def _pause_s(self) -> float:
        if self._due_s is None:
            return self._poll_s
        return min(self._poll_s, max(0.0, self._due_s - _now_s()))

    async def _look(self) -> None:
        """Hand on what is new in the file, once it has come to rest."""
        if self._due_s is not None and self._due_s <= _now_s():
            self._due_s = self._known = self._digest = None
        seen = await asyncio.to_thread(_observe, self._path)
        while not self._is_known(seen):
            await asyncio.sleep(self._settle_s)
            again = await asyncio.to_thread(_observe, self._path)
            if again == seen and await self._take(seen):
                return
            seen = await asyncio.to_thread(_observe, self._path)

    def _is_known(self, seen: _Stamp | str) -> bool:
        return seen == (self._known if self.trouble is None else self.trouble)

    async def _take(self, seen: _Stamp | str) -> bool:
        """Note trouble, or read and hand on; False if the file changed meanwhile."""
        if isinstance(seen, str):
            self._note(seen)
            return True
        try:
            content = await asyncio.to_thread(_read, self._path)
        except OSError as error:
            self._note(f"unreadable ({error.strerror})")
            return True
        if await asyncio.to_thread(_observe, self._path) != seen:
            return False
        self._note(None)
        await self._hand_on(content)
        self._known = seen
        return True

    async def _hand_on(self, content: bytes) -> None:
        digest = hashlib.sha256(content).digest()
        if digest == self._digest:
            return
        again_s = await self._load(content)
        self._has_handed_on = True
        self._digest = digest
        self._due_s = None if again_s is None else _now_s() + again_s

    def _note(self, trouble: str | None) -> None:
        if trouble == self.trouble:
            return
        self.trouble = trouble
        if trouble is None:
            log.info("[QUOTA] %s is back", self._path.name)
        elif trouble == "missing" and not self._has_handed_on:  # chargers.csv is optional: a line, and no warning
            log.info("[QUOTA] %s is not there, the table of the last run stays, if there was one", self._path.name)
        else:
            log.warning("[QUOTA] %s not usable, last good table stays trouble=%s", self._path.name, trouble)

    async def _watch_folder(self) -> None:
        """Nudge `_follow` at each event of the file; without notification from the system, `_follow` still polls."""
        logged: str | None = None
        force_polling: bool | None = None
        while True:
            try:
                await self._pass_on_events(force_polling)
                self._nudge.set()
                logged = None
                continue
            except (FileNotFoundError, NotADirectoryError):
                trouble = "missing"
            except (OSError, RuntimeError) as error:
                # the usual case: no inotify watches left on this machine
                force_polling = True
                trouble = str(error)
            if trouble != logged:
                log.warning("[QUOTA] folder of %s not watched, trying again trouble=%s", self._path.name, trouble)
                logged = trouble
            await asyncio.sleep(self._poll_s)

    async def _pass_on_events(self, force_polling: bool | None) -> None:
        """Return when the path no longer names the folder that is watched; raises what watchfiles raises."""
        folder = self._path.parent
        watched = await asyncio.to_thread(_identity, folder)
        events = awatch(
            folder,
            watch_filter=self._concerns,
            rust_timeout=max(1, round(self._settle_s * 1000)),
            yield_on_timeout=True,
            force_polling=force_polling,
            recursive=False,
        )
        is_first = True
        async with aclosing(events):
            async for changes in events:
                if changes or is_first:  # at first: what happened while the watch was being set up
                    self._nudge.set()
                    is_first = False
                # a folder made anew may have the inode of the deleted one
                if (Change.deleted, str(folder)) in changes or await asyncio.to_thread(_identity, folder) != watched:
                    return

    def _concerns(self, change: Change, path: str) -> bool:
        return Path(path).name == self._path.name or (change is Change.deleted and path == str(self._path.parent))


def _observe(path: Path) -> _Stamp | str:
    """The state of the file, or the trouble with it."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return "missing"
    except OSError as error:
        return f"unreadable ({error.strerror})"
    if not stat.S_ISREG(found.st_mode):
        return "not a file"
    if found.st_size == 0:
        return "empty"
    return _Stamp(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


def _read(path: Path) -> bytes:
    """The content; of a file that is too large only as much as shows that it is."""
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def _identity(folder: Path) -> tuple[int, int]:
    found = folder.stat()
    return found.st_dev, found.st_ino


def _age_s(seen: _Stamp) -> float:
    """Seconds since the last write, rename or copy; negative if the clock was set back meanwhile."""
    return time.time() - max(seen.mtime_ns, seen.ctime_ns) / 1e9


def _now_s() -> float:
    return asyncio.get_running_loop().time()
