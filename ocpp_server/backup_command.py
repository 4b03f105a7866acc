"""The commands `backup`, `restore` and `token`. They print, and give an exit code."""

import argparse
import asyncio
import secrets
import sys
from pathlib import Path
from typing import Any

from ocpp_server import __version__
from ocpp_server.central_system import CentralSystem, CommitError
from ocpp_server.control_api.problems import Problem
from ocpp_server.control_api.token import TOKEN_FILE, VIEWER_TOKEN_FILE, read_token
from ocpp_server.ledger_or_server import ERRORS, Request, ask
from ocpp_server.settings import Settings, variable_name
from ocpp_server.start import StartError, clock_of, policy_of, prepare_data_folder
from ocpp_server.storage.atomic_file import replace_file
from ocpp_server.storage.errors import StorageError
from ocpp_server.storage.ledger_file import FolderLock, is_in_use
from ocpp_server.storage.site_backup import LEDGER, finish_earlier, make_backup, put_in_place, staged
from ocpp_server.storage.verify import verify
from ocpp_server.terminal import progress

_LOCK = "ledger.lock"
_TOKEN_MODE = 0o600


def backup(settings: Settings, arguments: argparse.Namespace) -> int:
    """Write everything that is needed to go on elsewhere into one file; 0, or 2 with a sentence."""
    target = Path(arguments.file)
    try:
        clock = clock_of(settings)
        if not (settings.data_dir / LEDGER).exists():
            raise StartError(f"there is no ledger {settings.data_dir / LEDGER}: set {variable_name('data_dir')}")
        names = make_backup(settings.data_dir, target, __version__, clock.real_now(), progress)
    except (StartError, StorageError, OSError) as error:
        print(f"no backup: {error}", file=sys.stderr)
        return 2
    print(f"{target}: {len(names)} files, {target.stat().st_size // 1024 + 1} KiB")
    print("Not in it, because they are secret or belong to this machine: .env, the token of the API, TLS keys.")
    return 0


def restore(settings: Settings, arguments: argparse.Namespace) -> int:
    """Go back to a backup while no server runs; 0, 1 if it does not add up afterwards, or 2 with a sentence."""
    source, data_dir = Path(arguments.file), settings.data_dir
    try:
        clock = clock_of(settings)
        prepare_data_folder(data_dir)
        lock = FolderLock(data_dir / _LOCK)
        try:
            earlier = finish_earlier(data_dir)
            if earlier is not None:
                print(f"an earlier restore was broken off and is finished now; what it replaced is in {earlier}")
            progress(f"checking {source}")
            with staged(source, data_dir, policy_of(settings), clock.now()) as folder:
                progress("putting its files in place")
                kept = put_in_place(folder, data_dir, clock.real_now(), is_books_only=arguments.books_only)
        finally:
            lock.release()
    except (StartError, StorageError, OSError) as error:
        print(f"not restored: {error}", file=sys.stderr)
        return 2
    print(f"restored from {source}\nwhat was there is in {kept}; remove that folder once all is well")
    return _publish(settings)


def token(settings: Settings, arguments: argparse.Namespace) -> int:
    """Say where a secret of the control API is, show it, or make a new one; 0, or 2 with a sentence."""
    name = VIEWER_TOKEN_FILE if arguments.viewer else TOKEN_FILE
    path = settings.data_dir / name
    try:
        if arguments.new:
            if not settings.data_dir.is_dir():
                raise StartError(f"there is no folder {settings.data_dir}: set {variable_name('data_dir')}")
            replace_file(path, f"{secrets.token_urlsafe(32)}\n".encode(), is_synced=True, mode=_TOKEN_MODE)
            if is_in_use(settings.data_dir / _LOCK):
                print("the running server knows the old token only: restart it", file=sys.stderr)
        found = read_token(settings.data_dir, name)
        if not found:
            raise StartError(f"{path} is empty: make a token with --new")
    except FileNotFoundError:
        print(f"no token: {path} is made at the server's first start, or with --new", file=sys.stderr)
        return 2
    except (StartError, OSError) as error:
        print(f"no token: {error}", file=sys.stderr)
        return 2
    print(found if arguments.show else path)
    return 0


def _publish(settings: Settings) -> int:
    """Write the files of the restored books, as the next start would, and look whether all agrees."""
    try:
        asyncio.run(ask(settings, clock_of(settings), Request("GET", "/livez"), _nothing))
    except (*ERRORS, Problem, CommitError) as error:
        print(f"the files in {settings.data_dir} will be written at the next start: {error}", file=sys.stderr)
        return 0
    progress("verifying")
    problems = verify(settings.data_dir / LEDGER, settings.data_dir)
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        return 1
    print("the books add up; start the server: charge points send again what it did not confirm")
    print("what was charged between the backup and now is not in these books: compare the kept energy_usage.json")
    return 0


async def _nothing(_central: CentralSystem) -> dict[str, Any]:
    return {}
