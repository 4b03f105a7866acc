"""Restores a backup over a site again and again, each time in a fork that is killed where it is told.

Reads one JSON object per line: {"kills": [n, …], "next": "start" | "restore"}: the restore ends at its n-th step
towards the disk (`killing`), the recovery after it at its own, …; the last recovery is whole. Answers each with a line:
how it ended, and the steps of each life. Imports once and forks. Run by test_restore_killed.
"""

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent.parent), str(HERE)]

from killing import EXIT_STATUS, Killer  # noqa: E402

killer = Killer()
pristine = {"write": os.write}
killer.patch()  # before the server's modules take their own names of what is patched
os.link = killer.around("link", os.link)
os.rmdir = killer.around("rmdir", os.rmdir)

from ocpp_server import backup_command  # noqa: E402
from ocpp_server.ledger_or_server import Request, ask  # noqa: E402
from ocpp_server.settings import Settings  # noqa: E402
from ocpp_server.start import clock_of  # noqa: E402

_FAILED = 99


def settings_of(data_dir: Path) -> Settings:
    """Those of a site that nobody else uses."""
    return Settings(_env_file=None, data_dir=data_dir, timezone="UTC", api_port=1)  # type: ignore[call-arg]


def start(data_dir: Path) -> None:
    """The books are opened, brought up to date and published, as at a start of the server."""
    settings = settings_of(data_dir)

    async def nothing(_central: object) -> dict[str, Any]:
        return {}

    asyncio.run(ask(settings, clock_of(settings), Request("GET", "/livez"), nothing))


def restore(data_dir: Path) -> None:
    """The command."""
    arguments = argparse.Namespace(file=str(data_dir.parent / "site.zip"), books_only=False)
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        status = backup_command.restore(settings_of(data_dir), arguments)
    if status:
        raise AssertionError(f"restore gave {status}")


def live(act: Callable[[Path], None], data_dir: Path, kill_at: int) -> tuple[int, list[str], str]:
    """One life in a fork: its exit status, its steps if it was whole, what went wrong."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = _FAILED
        told: dict[str, Any] = {}
        try:
            killer.arm(kill_at)
            act(data_dir)
            killer.disarm()
            told, status = {"steps": killer.steps}, 0
        except BaseException:  # noqa: BLE001 - a fork must end here, whatever happened
            told = {"problem": traceback.format_exc()}
        finally:
            killer.disarm()
            pristine["write"](writing, json.dumps(told).encode())
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as pipe:
        heard = json.loads(pipe.read() or "{}")
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), heard.get("steps", []), heard.get("problem", "")


def main(folder: Path) -> None:
    """Answer every request."""
    data = folder / "data"
    for line in sys.stdin:
        request = json.loads(line)
        shutil.rmtree(data, ignore_errors=True)
        shutil.copytree(folder / "old", data)
        steps: list[list[str]] = []
        problem, act = "", restore
        for kill in [*request["kills"], 0]:
            status, taken, problem = live(act, data, kill)
            steps.append(taken)
            act = {"start": start, "restore": restore}[request["next"]]
            if status not in (0, EXIT_STATUS):
                break
            if not request["kills"]:
                status, _, problem = live(start, data, 0)
        print(json.dumps({"status": status, "problem": problem, "steps": steps}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
