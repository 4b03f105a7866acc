"""Lives the scripted day over and over, each life in a fork, and kills it where it is told.

Reads one JSON object per line: {"scenario": "day" | "edit" | "died", "kills": [n, …]}: the first life ends at its n-th
step, the next one at its own, …; the last life is whole. ["name", n] is the n-th step of a name, which then takes long.
Answers each with a line: what was found wrong, and the steps.
"died": the folder is what a life elsewhere left behind, `done` and `ids` are what it had acknowledged.
Imports once and forks, because a start of Python takes longer than the day. Run by test_kill_points.
"""

import asyncio
import json
import os
import shutil
import sys
import traceback
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent.parent), str(HERE)]

from killing import EXIT_STATUS, Killer, Place  # noqa: E402

killer = Killer()
pristine = {"write": os.write}
killer.patch()  # before the server's modules take their own names of what is patched

import scripted_day  # noqa: E402

_FAILED = 99


class Life:
    """One run of the server in a fork: what it told before it ended."""

    def __init__(
        self, data_dir: Path, done: set[int], ids: dict[int, int], kill_at: Place, *, only_start: bool
    ) -> None:
        self.steps: list[str] = []
        self.problem = ""
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            self._be_born(writing, data_dir, done, ids, kill_at, only_start=only_start)
        os.close(writing)
        with os.fdopen(reading, encoding="utf-8") as told:
            for line in told:
                self._hear(json.loads(line), done, ids)
        _, status = os.waitpid(child, 0)
        self.status = os.waitstatus_to_exitcode(status)

    def _hear(self, word: dict[str, Any], done: set[int], ids: dict[int, int]) -> None:
        if "done" in word:
            done.add(word["done"])
            if word["id"] and ids.setdefault(word["done"], word["id"]) != word["id"]:
                self.problem = f"two ids for one start: {word}"
        self.steps = word.get("steps", self.steps)
        self.problem = word.get("problem", self.problem)

    def _be_born(
        self, pipe: int, data_dir: Path, done: set[int], ids: dict[int, int], kill_at: Place, *, only_start: bool
    ) -> None:
        def tell(**word: Any) -> None:
            pristine["write"](pipe, (json.dumps(word) + "\n").encode())

        status = _FAILED
        try:
            slow_step = kill_at[0] if isinstance(kill_at, tuple) else ""
            killer.arm(kill_at, slow_step)
            acknowledged = lambda number, transaction_id: tell(done=number, id=transaction_id)  # noqa: E731
            asyncio.run(scripted_day.live(data_dir, set(done), dict(ids), acknowledged, only_start=only_start))
            killer.disarm()
            tell(steps=killer.steps)
            status = 0
        except BaseException:  # noqa: BLE001 - a fork must end here, whatever happened
            tell(problem=traceback.format_exc())
        finally:
            os._exit(status)


def try_out(request: dict[str, Any], folder: Path, finished: Path) -> dict[str, Any]:
    """One story: lives that are killed, a whole one, and one more that must change nothing."""
    only_start = request["scenario"] == "edit"
    ids: dict[int, int] = {int(number): given for number, given in request.get("ids", {}).items()}
    done: set[int] = set(request.get("done", ()))
    problems: list[str] = []
    if request["scenario"] == "died":
        problems += scripted_day.unreadable_files(folder) + scripted_day.views_ahead(folder)
    else:
        _make_folder(folder, finished if only_start else None)
    lives: list[Life] = []
    for kill in [*request["kills"], 0]:
        kill_at = tuple(kill) if isinstance(kill, list) else kill
        life = Life(folder, done, ids, kill_at, only_start=only_start)
        lives.append(life)
        if life.problem or life.status not in (0, EXIT_STATUS):
            return {"problems": [*problems, f"life {len(lives)} ended with {life.status}: {life.problem}"]}
        problems += scripted_day.unreadable_files(folder) + scripted_day.views_ahead(folder)
        if life.status == 0:
            break
    problems += scripted_day.problems_of(folder, ids)
    books, views = scripted_day.books(folder), scripted_day.views(folder)
    if not only_start:
        delivered = {tag: wh for tag, wh in scripted_day.Day({}).expected.items() if wh}
        if scripted_day.wh_by_tag(books) != delivered:
            problems.append(f"{scripted_day.wh_by_tag(books)} Wh in the ledger, {delivered} Wh delivered")
    last = Life(folder, done, ids, 0, only_start=True)
    if last.problem or (books, views) != (scripted_day.books(folder), scripted_day.views(folder)):
        problems.append(f"another start changed something: {last.problem or scripted_day.books(folder)}")
    return {"problems": problems, "books": books, "lives": len(lives), "steps": lives[-1].steps}


def _make_folder(folder: Path, finished: Path | None) -> None:
    """The folder of an older site, or that of a finished day that somebody edited since."""
    shutil.rmtree(folder, ignore_errors=True)
    if finished is None:
        scripted_day.make_old_site(folder)
    else:
        shutil.copytree(finished, folder, ignore=shutil.ignore_patterns("reserve.bin"))
        scripted_day.edit_by_hand(folder)


def main(folder: Path) -> None:
    """Answer the whole day first, then every request."""
    finished = folder / "finished"
    first = try_out({"scenario": "day", "kills": []}, folder / "data", finished)
    shutil.copytree(folder / "data", finished)
    print(json.dumps(first), flush=True)
    for line in sys.stdin:
        print(json.dumps(try_out(json.loads(line), folder / "data", finished)), flush=True)


def live_once(folder: Path) -> None:
    """One life in this very process, for strace: the folder is made by the caller, acknowledgements go to a file."""
    descriptor = os.open(folder / "acknowledged", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def acknowledged(number: int, transaction_id: int) -> None:
        pristine["write"](descriptor, f"{number} {transaction_id}\n".encode())

    asyncio.run(scripted_day.live(folder / "data", set(), {}, acknowledged))


if __name__ == "__main__":
    {"stories": main, "life": live_once}[sys.argv[1]](Path(sys.argv[2]))
