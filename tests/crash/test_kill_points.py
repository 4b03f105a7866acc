"""A short day is cut at its n-th step towards the disk, for many n: the day that follows makes it whole (F1).

What must hold after recovery and resending: every acknowledged message has its effect once, ids are unique, the files
are whole at every death and equal the books at the end, and another start changes nothing.

The steps are counted in the process (tests/crash/killing.py), which works on every machine. The proof also lets strace
kill at the n-th system call, where SQLite's own writes are in reach. KILL_POINTS_SEED chooses another sample,
KILL_POINTS_STRIDE=k lets the proofs try each k-th point only.
"""

import contextlib
import itertools
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from killing import Place

HERE = Path(__file__).resolve().parent
ZYGOTE = HERE / "kill_zygote.py"
SEED = int(os.environ.get("KILL_POINTS_SEED", "20251120"))
STRIDE = int(os.environ.get("KILL_POINTS_STRIDE", "1"))
SYSTEM_CALLS = ("pwrite64", "write", "fdatasync", "fsync", "rename", "unlink", "ftruncate", "mkdir")


class Zygote:
    """The process that lives the day over and over; `whole` is the day that nobody cut."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.errors = (folder / "stderr").open("w+b")
        self._process = subprocess.Popen(
            [sys.executable, str(ZYGOTE), "stories", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            env={name: value for name, value in os.environ.items() if not name.startswith("EVQUOTA_")},
            text=True,
        )
        self.whole = self._answer()
        assert self.whole["problems"] == []
        self.steps: list[str] = self.whole["steps"]

    def tell(self, scenario: str, *kills: Place, **more: Any) -> dict[str, Any]:
        """Live a story; what is wrong in it is in `problems`."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has died: what it said on stderr tells why
            self._process.stdin.write(json.dumps({"scenario": scenario, "kills": kills, **more}) + "\n")
            self._process.stdin.flush()
        return self._answer()

    def check(self, scenario: str, *kills: Place, expected: dict[str, Any]) -> int:
        """Live a story; AssertionError with the place of the kill unless all is well. Gives the number of lives."""
        told = self.tell(scenario, *kills)
        first = kills[0]
        name = self.steps[first - 1] if isinstance(first, int) and scenario == "day" else ""
        where = f"{scenario} killed at {kills} {name}"
        assert told["problems"] == [], where
        assert told["books"] == expected["books"], where
        return int(told["lives"])

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self.errors.seek(0)
            raise AssertionError(self.errors.read().decode("utf-8", "replace"))
        return dict(json.loads(line))

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()
        self.errors.close()


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    """On a disk of memory where there is one: a kill, unlike a power cut, leaves the same on every disk."""
    memory = Path("/dev/shm")
    place = memory if os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="evquota-kill-", dir=place) as folder:
        zygote = Zygote(Path(folder))
        yield zygote
        zygote.close()


def one_of_each(steps: list[str], chance: random.Random) -> list[int]:
    """Numbers of steps, one for each kind of step, in random order."""
    places: dict[str, list[int]] = {}
    for number, name in enumerate(steps, start=1):
        places.setdefault(name, []).append(number)
    chosen = [chance.choice(numbers) for numbers in places.values()]
    chance.shuffle(chosen)
    return chosen


def step_after(steps: list[str], name: str, share: float) -> int:
    """The number of the step with this name, that share of the way through the day."""
    found = [number for number, step in enumerate(steps, start=1) if step == name]
    return found[int(len(found) * share)]


def lives_of_a_day(zygote: Zygote, number: int) -> int:
    """Of a day killed at this step. No two days have quite as many steps: one that ended before it shows nothing, and
    is lived again.
    """
    lives = 1
    for _ in range(5):
        if lives == 1:
            lives = zygote.check("day", number, expected=zygote.whole)
    return lives


def test_a_day_cut_at_a_sample_of_its_steps_is_made_whole_by_the_next(zygote: Zygote) -> None:
    """Writes, fsyncs and renames of the views, statements and commits of the ledger, import, reload, month roll."""
    chosen = one_of_each(zygote.steps, random.Random(SEED))[:18]

    lives = [lives_of_a_day(zygote, number) for number in chosen]

    assert lives == [2] * len(chosen)


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.75])
def test_a_recovery_may_be_killed_twice_in_a_row(zygote: Zygote, share: float) -> None:
    """After a kill in the import, the sessions, the reload or the new month, the next two starts are killed as well."""
    chance = random.Random(f"{SEED} {share}")
    first = step_after(zygote.steps, "after COMMIT", share)

    lives = zygote.check("day", first, chance.randrange(1, 120), chance.randrange(20, 220), expected=zygote.whole)

    assert lives == 4


@pytest.mark.parametrize("number", [2, 3, 4, 9])
def test_on_a_slow_disk_no_file_is_ahead_of_the_ledger(zygote: Zygote, number: int) -> None:
    """Killed after a long time in the middle of a commit: the files show only what was durable."""
    zygote.check("day", ("after INSERT INTO bookings", number), expected=zygote.whole)


@pytest.mark.parametrize("distance", [None, 0, 1, 2])
def test_a_reading_that_is_accepted_is_booked_once_wherever_that_is_killed(
    zygote: Zygote, distance: int | None
) -> None:
    """In the middle of its commit, before it is durable and after: who types it again is told, or books it (rule 5)."""
    name = "after INSERT INTO set_aside"
    second = [number for number, step in enumerate(zygote.steps, start=1) if step == name][1]
    commit = next(number for number in range(second, len(zygote.steps)) if zygote.steps[number - 1] == "before COMMIT")

    zygote.check("day", (name, 2) if distance is None else commit + distance, expected=zygote.whole)

    assert zygote.whole["books"]["set aside"] == [[1, "accepted"]]
    assert zygote.whole["books"]["accepted"] == [[60_000]]


def test_an_edit_between_a_stop_and_a_start_is_booked_once_wherever_that_start_is_killed(zygote: Zygote) -> None:
    """The booking and the mark of the orderly stop go in one commit: neither lost nor doubled (F10)."""
    expected = zygote.tell("edit")
    assert expected["problems"] == []
    november = [row for row in expected["books"]["usage"] if row[0] == "2025-11"]
    steps = expected["steps"]
    commits = [number for number, name in enumerate(steps, start=1) if name.endswith("COMMIT")]

    for number in [*commits[:3], *random.Random(SEED).sample(range(1, len(steps)), 3)]:
        zygote.check("edit", number, expected=expected)

    assert november == [["2025-11", "RFID001", 1500], ["2025-11", "RFID002", 2000]]


@pytest.mark.prove
@pytest.mark.timeout(7200)
def test_a_day_cut_at_any_of_its_steps_is_made_whole_by_the_next(zygote: Zygote) -> None:
    """Every step of the day, about 1,700."""
    for number in range(1, len(zygote.steps), STRIDE):
        zygote.check("day", number, expected=zygote.whole)


@pytest.mark.prove
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("share", [0.0, 0.4, 0.8])
def test_a_recovery_killed_at_any_of_its_steps_and_again_is_made_whole(zygote: Zygote, share: float) -> None:
    """Every step of a start after a kill, twice in a row."""
    first = step_after(zygote.steps, "after COMMIT", share)
    for number in range(1, 240, STRIDE):
        zygote.check("day", first, number, number, expected=zygote.whole)


@pytest.mark.prove
@pytest.mark.timeout(7200)
def test_an_edit_is_booked_once_at_any_step_of_the_start(zygote: Zygote) -> None:
    """Every step of the start and of the stop that follows it."""
    expected = zygote.tell("edit")
    for number in range(1, len(expected["steps"]), STRIDE):
        zygote.check("edit", number, expected=expected)


@pytest.mark.prove
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("system_call", SYSTEM_CALLS)
def test_a_day_killed_at_any_system_call_is_made_whole_by_the_next(
    zygote: Zygote, tmp_path: Path, system_call: str
) -> None:
    """strace sends SIGKILL at the n-th call of a kind, those of SQLite included, for growing n until none is left."""
    if shutil.which("strace") is None:
        pytest.skip("needs strace: sudo apt install strace")
    data = zygote.folder / "data"
    points = 0
    for number in itertools.count(1, STRIDE):
        acknowledged = kill_by_strace(zygote.folder, system_call, number)
        if acknowledged is None:
            break
        done = {int(step): int(given) for step, given in (line.split() for line in acknowledged)}
        ids = {step: given for step, given in done.items() if given}
        told = zygote.tell("died", done=sorted(done), ids=ids)
        assert told["problems"] == [], (system_call, number, sorted(data.iterdir()))
        assert told["books"] == zygote.whole["books"], (system_call, number)
        points += 1
    print(f"{system_call}: {points} points")

    assert points


def kill_by_strace(folder: Path, system_call: str, number: int) -> list[str] | None:
    """A first life that ends at this system call: the lines it acknowledged; None if it has no such call."""
    shutil.rmtree(folder / "data", ignore_errors=True)
    (folder / "acknowledged").unlink(missing_ok=True)
    make = f"import scripted_day, pathlib; scripted_day.make_old_site(pathlib.Path({str(folder / 'data')!r}))"
    subprocess.run([sys.executable, "-c", make], cwd=HERE, env={"PYTHONPATH": str(HERE.parents[1])}, check=True)
    traced = [
        *("strace", "-f", "-qq", "-o", "/dev/null"),
        *("-e", f"trace={system_call}", "-e", f"inject={system_call}:signal=KILL:when={number}"),
        *(sys.executable, str(ZYGOTE), "life", str(folder)),
    ]
    ended = subprocess.run(traced, capture_output=True, text=True, timeout=60, check=False)
    if ended.returncode == 0:
        return None
    assert ended.returncode in (-9, 137), ended.stderr
    told = folder / "acknowledged"
    return re.findall(r"^\d+ \d+$", told.read_text(encoding="utf-8"), re.MULTILINE) if told.exists() else []
