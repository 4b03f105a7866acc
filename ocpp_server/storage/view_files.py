"""The views as files: each is replaced when it differs from what is there, and an edit of one is set aside.

It owns what was last put into each file, whether that is durable, and how the file looked to the file system then.
Which views there are, what is in them and when they are due is the publisher's.
"""

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Final

from ocpp_server.storage.atomic_file import Identity, identity_of, replace_file, sync_file, sync_folder

log = logging.getLogger(__name__)

ARCHIVE: Final = "archive"


@dataclass(frozen=True, slots=True)
class _Written:
    """What we last put into a file: its digest, and how the file looked to the file system then.

    A blank digest: the file is ours, but must be written again.
    """

    digest: str
    identity: Identity
    is_synced: bool


class ViewFiles:
    """The files of a data folder that a server writes. `now` gives the time for the name of an edit that is kept."""

    def __init__(self, data_dir: Path, now: Callable[[], datetime]) -> None:
        self._data_dir = data_dir
        self._now = now
        self._written: dict[Path, _Written] = {}

    def digests(self) -> dict[str, str]:
        """SHA-256 of each file as last written, by name: a later difference is a hand edit."""
        written = list(self._written.items())
        return {str(path.relative_to(self._data_dir)): entry.digest for path, entry in written}

    def write(
        self, views: Sequence[tuple[Path, bytes]], *, is_synced: bool, open_month: str | None = None
    ) -> dict[Path, OSError]:
        """Put each view into its file, unless it is there; gives what failed. Blocks: for one thread at a time.

        `is_synced`: durably, and so what was written without fsync since the last time. `open_month`: look for files
        of months that are said to be closed and are not, and put them away.
        """
        failures: dict[Path, OSError] = {} if open_month is None else self._put_away_reopened(open_month)
        for path, content in views:
            try:
                self._write(path, content, is_synced=is_synced)
            except OSError as failure:
                failures[path] = failure
        if is_synced:
            failures |= self._sync_rest()
        return failures

    def _put_away_reopened(self, open_month: str) -> dict[Path, OSError]:
        try:
            for path in put_away_reopened(self._data_dir, open_month, self._now()):
                self._written.pop(path, None)
        except OSError as failure:
            return {self._data_dir / ARCHIVE: failure}
        return {}

    def _sync_rest(self) -> dict[Path, OSError]:
        failures: dict[Path, OSError] = {}
        loose = [path for path, written in self._written.items() if not written.is_synced]
        for path in loose:
            try:
                sync_file(path)
                self._written[path] = replace(self._written[path], is_synced=True)
            except OSError as failure:  # a second fsync would succeed and prove nothing: a new file is needed
                self._written[path] = replace(self._written[path], digest="")
                failures[path] = failure
        return failures

    def _write(self, path: Path, content: bytes, *, is_synced: bool) -> None:
        digest = hashlib.sha256(content).hexdigest()
        before = self._written.get(path)
        identity = _identity(path)
        is_untouched = before is not None and before.identity == identity
        if before is not None and is_untouched and before.digest == digest:
            return
        if before is not None and identity is not None and not is_untouched:
            self._set_aside(path)
            identity = None
        if path.parent != self._data_dir:
            path.parent.mkdir(mode=0o750, exist_ok=True)
        try:
            written = replace_file(path, content, is_synced=is_synced)
        except OSError:
            now = _identity(path)
            if now is not None and now != identity:  # it is in place, but perhaps not durable
                self._written[path] = _Written("", now, is_synced=False)
            raise
        self._written[path] = _Written(digest, written, is_synced)

    def _set_aside(self, path: Path) -> None:
        """Somebody edited a view while the server runs: keep the edit, an editor's old copy must not take back use."""
        kept = _free_name(path, "set-aside", self._now())
        path.rename(kept)
        log.warning(
            "[QUOTA] edit set aside file=%s hint=%s",
            kept.name,
            "book a correction instead: python -m ocpp_server adjust TAG KWH --reason TEXT",
        )


def reopened(data_dir: Path, open_month: str) -> list[Path]:
    """Archived usage of months that are open (again) or still to come."""
    found = (data_dir / ARCHIVE).glob("energy_usage-[0-9][0-9][0-9][0-9]-[0-9][0-9].json")
    return sorted(path for path in found if path.stem.removeprefix("energy_usage-") >= open_month)


def put_away_reopened(data_dir: Path, open_month: str, now: datetime) -> list[Path]:
    """Rename the archived usage of months that are not closed (any more); gives the files by their names until now.

    A month that was closed by mistake goes on: what the archive says of it is true no more. Raises OSError.
    """
    stale = reopened(data_dir, open_month)
    for path in stale:
        kept = _free_name(path, "reopened", now)
        path.rename(kept)
        log.warning("[QUOTA] archive of a month that is open put away file=%s", kept.name)
    if stale:
        sync_folder(data_dir / ARCHIVE)
    return stale


def _free_name(path: Path, why: str, now: datetime) -> Path:
    name = f"{path.name}.{why}-{now:%Y%m%dT%H%M%SZ}"
    names = (name if number == 1 else f"{name}-{number}" for number in count(1))
    return next(target for target in map(path.with_name, names) if _identity(target) is None)


def _identity(path: Path) -> Identity | None:
    try:
        return identity_of(path.lstat())
    except FileNotFoundError:
        return None
