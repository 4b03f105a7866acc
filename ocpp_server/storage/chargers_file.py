"""Which chargers.csv is in force: the last good table, and what is wrong with the file now."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TypeAlias

from ocpp_server.core.users import ChargerRow
from ocpp_server.storage.chargers_csv import ChargersFileError, parse_chargers
from ocpp_server.storage.csv_text import RowProblem
from ocpp_server.storage.locked_edit import Edit, edit_file
from ocpp_server.storage.table_changes import Figures, chargers_changes

log = logging.getLogger(__name__)

_OFFER_AGAIN_S = 0.1
ReplaceChargers: TypeAlias = Callable[[tuple[ChargerRow, ...], Figures], Awaitable[None]]
"""Takes the new rows, and what was edited by hand, if anything; returns once they are in force."""


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
        self._edit_count = 0

    async def accept(self, content: bytes) -> float | None:
        """Put the file's rows in force; or give the seconds after which the file must be read and offered again.

        A file that cannot be used is reported and changes nothing.
        """
        edits = self._edit_count
        async with self._editing:
            if self._edit_count != edits:  # what was read may be older than the edit
                return _OFFER_AGAIN_S
            await self._accept(content)
            return None

    async def _accept(self, content: bytes, *, found: Mapping[str, ChargerRow] | None = None) -> None:
        """`found`: what people had made of the file before an edit through the server; None: there was none."""
        try:
            parsed = await asyncio.to_thread(parse_chargers, content, self.table)
        except ChargersFileError as error:
            self.last_error, self.problems = str(error), ()
            log.error("[QUOTA] chargers.csv refused rows_kept=%d reason=%s", len(self.table), error)
            return
        self.last_error, self.problems = None, parsed.problems
        if parsed.table != self.table:
            by_hand = chargers_changes(self.table, parsed.table if found is None else found)
            await self._replace_chargers(tuple(parsed.table.values()), by_hand)
            self.table = dict(parsed.table)
        log.info("[QUOTA] chargers.csv loaded rows=%d problems=%d", len(self.table), len(self.problems))

    async def edit(self, path: Path, edit: Edit) -> bool:
        """Edit the administrator's file and put it in force; False if there was nothing to change.

        Raises ChargersFileError or OSError; then the file is as it was.
        """
        async with self._editing:
            has_rows = bool(self.table)
            found: list[Mapping[str, ChargerRow]] = []

            def looked_at(content: bytes) -> bytes | None:
                found.append(parse_chargers(content, self.table).table if content.strip() else self.table)
                return edit(content)

            content = await asyncio.to_thread(edit_file, path, looked_at, error=ChargersFileError, has_rows=has_rows)
            if content is None:
                return False
            self._edit_count += 1
            await self._accept(content, found=found[-1])
            return True
