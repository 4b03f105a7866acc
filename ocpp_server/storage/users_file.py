"""Which users1.csv is in force: the last good table, what is wrong with the file now, when a new table takes effect.

Finding out that the file changed is `users_watcher`; reading it is `users_csv`.
"""

import asyncio
import hashlib
import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

from ocpp_server.core.users import IdTag, User, UserTable
from ocpp_server.storage.csv_text import MAX_BYTES, RowProblem, TableFileError
from ocpp_server.storage.locked_edit import Edit, edit_file, locked
from ocpp_server.storage.table_changes import Figures, users_changes
from ocpp_server.storage.users_csv import FILE, UsersFileError, describe_change, parse_users

log = logging.getLogger(__name__)

ReplaceUsers = Callable[[UserTable, tuple[str, ...], Figures], Awaitable[None]]
"""Takes the new users; in plain lines, what changed; what of it was edited by hand, if anything. Returns once they are
in force.
"""
ReportUndone = Callable[[tuple[IdTag, ...]], Awaitable[None]]
"""Takes the tags whose last edit through the server a save of the file took back."""
_OFFER_AGAIN_S = 0.1
_REMEMBER_EDITS_S = 3600.0
_MOST_EDITS = 1000
_MOST_BEFORES = 10


class _Held(NamedTuple):
    table: UserTable
    since_s: float


class _Edited(NamedTuple):
    """What edits through the server made of a user; None: no user."""

    befores: tuple[User | None, ...]
    after: User | None
    at_s: float


class UsersFile:
    """The users in force and the state of their file."""

    def __init__(
        self,
        last_good: UserTable,
        replace_users: ReplaceUsers,
        *,
        shrink_hold_s: float = 60.0,
        settle_s: float = 1.0,
        monotonic: Callable[[], float] = time.monotonic,
        report_undone: ReportUndone | None = None,
    ) -> None:
        """`last_good` is the table of the last run, empty at the very first start. `settle_s`: what somebody else wrote
        less than this ago is not edited yet.
        """
        self.table = last_good
        self.problems: tuple[RowProblem, ...] = ()
        self.last_error: str | None = None
        """Why the file as a whole cannot be used now."""
        self.hold_notice: str | None = None
        """Why a readable file is not in force yet."""
        self.last_change: tuple[str, ...] = ()
        self._replace_users = replace_users
        self._shrink_hold_s = shrink_hold_s
        self._monotonic = monotonic
        self._settle_s = settle_s
        self._report_undone = report_undone
        self._held: _Held | None = None
        self._digest: bytes | None = None
        self._editing = asyncio.Lock()
        self._edit_count = 0
        self._edited: dict[IdTag, _Edited] = {}

    async def accept(self, content: bytes) -> float | None:
        """Put the file's users in force; or give the seconds after which the file must be read and offered again.

        A file that cannot be used is reported in `last_error` and changes nothing.
        """
        edits = self._edit_count
        async with self._editing:
            if self._edit_count != edits:  # what was read may be older than the edit
                return _OFFER_AGAIN_S
            return await self._accept(content)

    async def edit(self, path: Path, edit: Edit) -> bytes | None:
        """Edit the administrator's file and put it in force at once. What was written; None: nothing had to be.

        Raises UsersFileError, OSError and what `edit` raises; then the file is as it was.
        """
        async with self._editing:
            found: list[UserTable] = []
            content = await asyncio.to_thread(self._write, path, edit, found)
            if content is not None:
                await self._decide(content, found[-1])
            return content

    async def load(self, path: Path, is_expected: Callable[[bytes], bool]) -> bool:
        """Put the file in force as it is now, if it is the one that is expected, also if most users are gone from it.

        False if it is another one. Raises UsersFileError, OSError.
        """
        async with self._editing:
            content = await asyncio.to_thread(_read, path)
            if not is_expected(content):
                return False
            await self._decide(content, None)
            if self.last_error is not None:
                raise UsersFileError(self.last_error)
            return True

    async def _decide(self, content: bytes, found: UserTable | None) -> None:
        """Put in force what a person decided through the server, and remember it.

        `found` is what the file said before: somebody may have saved it since it was last read.
        """
        self._edit_count += 1
        before = self.table
        await self._accept(content, found=found, is_decided=True)
        before, now_s = before if found is None else found, self._monotonic()
        for tag in {**before.users, **self.table.users}:
            old, new = before.users.get(tag), self.table.users.get(tag)
            if old != new:
                known = self._edited.pop(tag, None)
                befores = (*(known.befores[-_MOST_BEFORES:] if known is not None else ()), old)
                self._edited[tag] = _Edited(tuple(one for one in befores if one != new), new, now_s)
        while len(self._edited) > _MOST_EDITS:
            del self._edited[next(iter(self._edited))]

    def _write(self, path: Path, edit: Edit, found: list[UserTable]) -> bytes | None:
        """In a thread. What was written; `found` gets what the file said before."""

        def checked(content: bytes) -> bytes | None:
            found.append(parse_users(content, self.table).table if content.strip() else self.table)
            if _most_are_gone(self.table, found[-1]):
                raise UsersFileError(f"{FILE} has lost most of its users, and that is not in force: see to it first")
            return edit(content)

        try:
            with locked(path):
                return edit_file(
                    path,
                    checked,
                    error=UsersFileError,
                    has_rows=bool(self.table.users),
                    settle_s=self._settle_s,
                    known=self._digest,
                )
        except UsersFileError:
            raise
        except TableFileError as error:
            raise UsersFileError(str(error)) from error

    async def _accept(
        self, content: bytes, *, found: UserTable | None = None, is_decided: bool = False
    ) -> float | None:
        self._digest = hashlib.sha256(content).digest()
        try:
            parsed = await asyncio.to_thread(parse_users, content, self.table)
        except UsersFileError as error:
            self._refuse(str(error))
            return None
        self.last_error = None
        self.problems = parsed.problems
        wait_s = None if is_decided else self._hold(parsed.table)
        if wait_s is None:
            undone = self._undone_by(parsed.table if found is None else found)
            by_hand = parsed.table if not is_decided else found
            await self._put_in_force(parsed.table, undone, self.table if by_hand is None else by_hand)
            if undone and self._report_undone is not None:
                await self._report_undone(undone)
        return wait_s

    def _undone_by(self, table: UserTable) -> tuple[IdTag, ...]:
        """Whose edit through the server this table takes back: mostly an editor of text that had read the file before.

        What the table says of them otherwise is a decision of its own.
        """
        recent = self._monotonic() - _REMEMBER_EDITS_S
        edited, self._edited = self._edited, {}
        undone = []
        for tag, one in edited.items():
            now = table.users.get(tag)
            if now in one.befores and one.at_s > recent:
                undone.append(tag)
            elif now == one.after and one.at_s > recent:
                self._edited[tag] = one
        return tuple(undone)

    def _refuse(self, reason: str) -> None:
        self._held = self.hold_notice = None
        self.last_error, self.problems = reason, ()
        log.error("[QUOTA] %s refused users_kept=%d reason=%s", FILE, len(self.table.users), reason)

    def _hold(self, table: UserTable) -> float | None:
        """How long the table must still persist; None if it may take effect.

        Most users gone at once is more often a half-made export than a decision.
        """
        if not _most_are_gone(self.table, table):
            return None
        if self._held is None or self._held.table != table:
            self._held = _Held(table, self._monotonic())
            gone = _count_gone(self.table, table)
            self.hold_notice = (
                f"{FILE}: {gone} of {len(self.table.users)} users are gone; "
                f"takes effect if the file stays so for {self._shrink_hold_s:g} s"
            )
            log.warning("[QUOTA] %s held gone=%d hold_s=%g", FILE, gone, self._shrink_hold_s)
        wait_s = self._held.since_s + self._shrink_hold_s - self._monotonic()
        return wait_s if wait_s > 0 else None

    async def _put_in_force(self, table: UserTable, undone: tuple[IdTag, ...], by_hand: UserTable) -> None:
        """`by_hand`: what people had made of the file; the rest of the way to `table` was made through the server."""
        if table != self.table:
            change = describe_change(self.table, table)
            if undone:
                log.warning("[QUOTA] %s was saved over edits through the server tags=%d", FILE, len(undone))
                change = (f"this save undid edits made through the server: {', '.join(undone[:10])}", *change)
            await self._replace_users(table, change, users_changes(self.table, by_hand))
            self.table = table
            self.last_change = change
        self._held = self.hold_notice = None
        log.info("[QUOTA] %s loaded users=%d problems=%d", FILE, len(table.users), len(self.problems))


def _count_gone(old: UserTable, new: UserTable) -> int:
    """Users without a row, one respelt in another case not counted."""
    present = {tag.casefold() for tag in new.users}
    return sum(tag.casefold() not in present for tag in old.users)


def _most_are_gone(old: UserTable, new: UserTable) -> bool:
    return _count_gone(old, new) * 2 > len(old.users)


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)
