"""A restore that no kill and no power cut leaves half done: all files are laid ready beside the site, one rename
decides, and whoever has the folder next puts them in place.

Until `.restoring` is renamed to `.restored` the site is the old one, untouched; from then on it is the restored one, as
soon as `finish` was called, which every start of the server and every restore does first. In the folder lie `new`, the
files to be put in place, by their names in the site; `old`, what they replace; and a file with the name that `old`
gets at the end.
"""

import filecmp
import itertools
import logging
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ocpp_server.storage.atomic_file import replace_file, sync_folder

log = logging.getLogger(__name__)

LEDGER: Final = "ledger.db"
STAGING: Final = ".restoring"
JOURNAL: Final = ".restored"
NEW: Final = "new"
_OLD: Final = "old"
_KEPT_AS: Final = "kept-as"
_LOGS: Final = (f"{LEDGER}-wal", f"{LEDGER}-shm")
_PUBLISHED: Final = ("energy_usage.json", "active_transactions.json", "charger_status.json", "meter_data_log.json")
"""What the next start might take for the truth; they are written anew from the restored ledger."""


def is_unfinished(data_dir: Path) -> bool:
    """A restore was decided and not all of its files are in place."""
    return _is_folder(data_dir / JOURNAL)


def decide(data_dir: Path, kept_as: str) -> None:
    """From now on the site is the one in `.restoring/new`; `finish` puts it in place. The folder must be locked.

    `kept_as`: name for the folder with what is replaced. Raises OSError; then nothing was decided.
    """
    staging = data_dir / STAGING
    (staging / _OLD).mkdir(mode=0o700)
    for name in (LEDGER, *_LOGS[:1], *_PUBLISHED, *_names(staging / NEW)):
        _keep(data_dir / name, staging / _OLD / name)
    replace_file(staging / _KEPT_AS, kept_as.encode(), is_synced=True)
    for folder in (*_folders(staging / NEW), *_folders(staging / _OLD), staging):
        sync_folder(folder)
    staging.replace(data_dir / JOURNAL)
    sync_folder(data_dir)


def finish(data_dir: Path) -> Path | None:
    """Put a decided restore in place, and remove what one that was not decided left behind. The folder must be locked.

    Gives the folder with what was replaced; None: there was nothing to do. Raises OSError; the next call goes on.
    """
    if _is_folder(data_dir / STAGING):
        shutil.rmtree(data_dir / STAGING, ignore_errors=True)  # nothing was decided: a rest of it harms nobody
    journal = data_dir / JOURNAL
    if not _is_folder(journal):
        return None
    kept = None
    if (journal / _OLD).exists():
        _put_ledger_in_place(data_dir, journal)
        for name in _names(journal / NEW):
            _keep(data_dir / name, journal / _OLD / name)
            (data_dir / name).parent.mkdir(mode=0o750, exist_ok=True)
            (journal / NEW / name).replace(data_dir / name)
            sync_folder((data_dir / name).parent)
        sync_folder(data_dir)
        kept = _free_name(data_dir / (journal / _KEPT_AS).read_text(encoding="utf-8"))
        (journal / _OLD).replace(kept)
        sync_folder(data_dir)
        log.warning("[STATUS] restored replaced=%s", kept.name)
    shutil.rmtree(journal)
    return kept


def _put_ledger_in_place(data_dir: Path, journal: Path) -> None:
    """The old one's log must be gone for good before the new one has its name: SQLite would play it into it."""
    if not (journal / NEW / LEDGER).exists():
        return
    for name in (LEDGER, *_LOGS[:1], *_PUBLISHED):
        _keep(data_dir / name, journal / _OLD / name)
    for name in (*_PUBLISHED, *_LOGS):
        (data_dir / name).unlink(missing_ok=True)
    sync_folder(data_dir)
    (journal / NEW / LEDGER).replace(data_dir / LEDGER)
    sync_folder(data_dir)


def _names(folder: Path) -> Sequence[str]:
    """The tables and the archive in it."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return [name for name in (str(path.relative_to(folder)) for path in paths) if name != LEDGER]


def _folders(folder: Path) -> Sequence[Path]:
    return [folder, *(path for path in sorted(folder.rglob("*")) if path.is_dir())]


def _keep(path: Path, kept: Path) -> None:
    """A second name where the file system has such, else a copy; once, and again if somebody edited it meanwhile."""
    if path.is_symlink() or not path.is_file():
        return
    if kept.exists():
        if filecmp.cmp(path, kept):
            return
        kept = _free_name(kept)
    kept.parent.mkdir(mode=0o700, exist_ok=True)
    try:
        os.link(path, kept)
    except OSError:
        shutil.copy2(path, kept)


def _free_name(path: Path) -> Path:
    names = (path.name if number == 1 else f"{path.name}-{number}" for number in itertools.count(1))
    return next(target for target in map(path.with_name, names) if not (target.exists() or target.is_symlink()))


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()
