"""Which chargers.csv is in force: the last good table, and what is wrong with the file now."""

import asyncio
import logging
import os
import stat
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TypeAlias

from ocpp_server.core.users import ChargerRow
from ocpp_server.storage.atomic_file import FILE_MODE, identity_of, replace_file
from ocpp_server.storage.chargers_csv import FILE, ChargersFileError, parse_chargers
from ocpp_server.storage.csv_text import MAX_BYTES, RowProblem

log = logging.getLogger(__name__)

ReplaceChargers: TypeAlias = Callable[[tuple[ChargerRow, ...]], Awaitable[None]]
"""Takes the new rows; returns once they are in force."""
Edit: TypeAlias = Callable[[bytes], bytes | None]
"""From the content of the file to the new one; None: nothing to change. Raises ChargersFileError."""


class ChargersFile:
    """The rows in force and the state of their file, which is optional."""

    def __init__(self, last_good: Mapping[str, ChargerRow], replace_chargers: ReplaceChargers) -> None:
        """`last_good` is the table of the last run."""
        self.table = dict(last_good)
        self.problems: tuple[RowProblem, ...] = ()
        self.last_error: str | None = None
        """Why the file as a whole cannot be used now."""
        self._replace_chargers = replace_chargers
        self._editing = asyncio.Lock()

    async def accept(self, content: bytes) -> float | None:
        """Put the file's rows in force. A file that cannot be used is reported and changes nothing."""
        try:
            parsed = await asyncio.to_thread(parse_chargers, content, self.table)
        except ChargersFileError as error:
            self.last_error, self.problems = str(error), ()
            log.error("[QUOTA] chargers.csv refused rows_kept=%d reason=%s", len(self.table), error)
            return None
        self.last_error, self.problems = None, parsed.problems
        if parsed.table != self.table:
            await self._replace_chargers(tuple(parsed.table.values()))
            self.table = dict(parsed.table)
        log.info("[QUOTA] chargers.csv loaded rows=%d problems=%d", len(self.table), len(self.problems))
        return None

    async def edit(self, path: Path, edit: Edit) -> bool:
        """Edit the administrator's file and put it in force; False if there was nothing to change.

        Raises ChargersFileError or OSError; then the file is as it was.
        """
        async with self._editing:
            content = await asyncio.to_thread(_edited, path, edit, has_rows=bool(self.table))
            if content is None:
                return False
            await self.accept(content)
            return True


def _edited(path: Path, edit: Edit, *, has_rows: bool) -> bytes | None:
    """What was written. The file stays its owner's, and stays a file: a link or another's file is left."""
    try:
        seen = path.lstat()
    except FileNotFoundError:
        seen = None
    if seen is not None and not stat.S_ISREG(seen.st_mode):
        raise ChargersFileError(f"{FILE} is a link or no file: edit it by hand")
    if seen is not None and seen.st_uid != os.geteuid():
        raise ChargersFileError(f"{FILE} belongs to another user: edit it by hand")
    content = b"" if seen is None else _read(path)
    if not content.strip() and has_rows:
        raise ChargersFileError(f"{FILE} is missing or empty, and its last good table is in force: put it back first")
    changed = edit(content)
    if changed is None:
        return None
    if seen is not None and identity_of(path.lstat()) != identity_of(seen):
        raise ChargersFileError(f"{FILE} was saved by somebody else at this moment: try again")
    replace_file(path, changed, is_synced=True, mode=FILE_MODE if seen is None else stat.S_IMODE(seen.st_mode))
    return changed


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)
