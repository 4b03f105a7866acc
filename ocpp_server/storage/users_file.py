"""Which users1.csv is in force: the last good table, what is wrong with the file now, when a new table takes effect.

Finding out that the file changed is `users_watcher`; reading it is `users_csv`.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from ocpp_server.core.users import UserTable
from ocpp_server.storage.csv_text import RowProblem
from ocpp_server.storage.users_csv import FILE, UsersFileError, describe_change, parse_users

log = logging.getLogger(__name__)

ReplaceUsers = Callable[[UserTable, tuple[str, ...]], Awaitable[None]]
"""Takes the new users and, in plain lines, what changed; returns once they are in force."""


class _Held(NamedTuple):
    table: UserTable
    since_s: float


class UsersFile:
    """The users in force and the state of their file."""

    def __init__(
        self,
        last_good: UserTable,
        replace_users: ReplaceUsers,
        *,
        shrink_hold_s: float = 60.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`last_good` is the table of the last run, empty at the very first start."""
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
        self._held: _Held | None = None

    async def accept(self, content: bytes) -> float | None:
        """Put the file's users in force; or give the seconds after which the file must be read and offered again.

        A file that cannot be used is reported in `last_error` and changes nothing.
        """
        try:
            parsed = await asyncio.to_thread(parse_users, content, self.table)
        except UsersFileError as error:
            self._refuse(str(error))
            return None
        self.last_error = None
        self.problems = parsed.problems
        wait_s = self._hold(parsed.table)
        if wait_s is None:
            await self._put_in_force(parsed.table)
        return wait_s

    def _refuse(self, reason: str) -> None:
        self._held = self.hold_notice = None
        self.last_error, self.problems = reason, ()
        log.error("[QUOTA] %s refused users_kept=%d reason=%s", FILE, len(self.table.users), reason)

    def _hold(self, table: UserTable) -> float | None:
        """How long the table must still persist; None if it may take effect.

        Most users gone at once is more often a half-made export than a decision.
        """
        gone = _count_gone(self.table, table)
        if gone * 2 <= len(self.table.users):
            return None
        if self._held is None or self._held.table != table:
            self._held = _Held(table, self._monotonic())
            self.hold_notice = (
                f"{FILE}: {gone} of {len(self.table.users)} users are gone; "
                f"takes effect if the file stays so for {self._shrink_hold_s:g} s"
            )
            log.warning("[QUOTA] %s held gone=%d hold_s=%g", FILE, gone, self._shrink_hold_s)
        wait_s = self._held.since_s + self._shrink_hold_s - self._monotonic()
        return wait_s if wait_s > 0 else None

    async def _put_in_force(self, table: UserTable) -> None:
        if table != self.table:
            change = describe_change(self.table, table)
            await self._replace_users(table, change)
            self.table = table
            self.last_change = change
        self._held = self.hold_notice = None
        log.info("[QUOTA] %s loaded users=%d problems=%d", FILE, len(table.users), len(self.problems))


def _count_gone(old: UserTable, new: UserTable) -> int:
    """Users without a row, one respelt in another case not counted."""
    present = {tag.casefold() for tag in new.users}
    return sum(tag.casefold() not in present for tag in old.users)
