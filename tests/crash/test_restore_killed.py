"""`restore` over a site, killed at its n-th step towards the disk: then it is the old site or the restored one.

Never parts of both: books, users1.csv, chargers.csv and archive belong together, `verify` accepts them, and what was
replaced is whole beside them. The steps are counted in the process (`killing`). KILL_POINTS_SEED chooses another
sample.
"""

import asyncio
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ocpp_server.core import changes as ch
from ocpp_server.core.energy import Wh
from ocpp_server.core.period import Month, month_of
from ocpp_server.core.records import Booking, BookingKind
from ocpp_server.core.site import Policy
from ocpp_server.core.users import IdTag
from ocpp_server.storage.ledger import Ledger
from ocpp_server.storage.ledger_file import connect_read_only
from ocpp_server.storage.site_backup import make_backup
from ocpp_server.storage.verify import verify

HERE = Path(__file__).resolve().parent
SEED = int(os.environ.get("KILL_POINTS_SEED", "20251120"))
UTC_ZONE = ZoneInfo("UTC")
LAST_YEAR = datetime(2025, 12, 24, 10, tzinfo=UTC)
HEADER = "id_tag,name,surname,quota_kwh,unlimited\n"
OLD_USERS, BACKED_UP_USERS = (
    f"{HEADER}RFID001,John,Doe,150,FALSE\nRFID002,Ada,,5,FALSE\n",
    f"{HEADER}RFID001,J,D,1,NO\n",
)


class RestoreZygote:
    """The process that restores over and over; `steps` are those of a restore that nobody cut."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._errors = (folder / "stderr").open("w+b")
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "restore_zygote.py"), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={name: value for name, value in os.environ.items() if not name.startswith("EVQUOTA_")},
            text=True,
        )
        self.old = seen(folder / "old")
        self.steps: list[str] = self.tell("start")["steps"][0]
        self.new = seen(self.data)
        self.decided = self.steps.index("after replace of .restored") + 1

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def tell(self, following: str, *kills: int) -> dict[str, Any]:
        """Kill a restore, and what comes after it, at these steps; then let that come once more, whole."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"next": following, "kills": kills}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, (self.folder / "stderr").read_text()
        answer: dict[str, Any] = json.loads(line)
        assert answer["status"] == 0, answer["problem"]
        return answer

    def check(self, following: str, *kills: int) -> bool:
        """Whether it is the restored site then; AssertionError if it is neither, or the wrong one."""
        self.tell(following, *kills)
        found, where = seen(self.data), (following, kills, self.steps[kills[0] - 1])
        is_restored = found == self.new
        assert is_restored or found == self.old, where
        assert is_restored == (following == "restore" or kills[0] >= self.decided), where
        assert verify(self.data / "ledger.db", self.data) == [], where
        assert not list(self.data.glob(".restor*")), where
        kept = sorted(self.data.glob("replaced-*"))
        assert bool(kept) == is_restored, where
        assert not is_restored or kept_of(self.folder / "old") in map(kept_of, kept), where
        return is_restored

    def end(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()
        self._errors.close()


def seen(data: Path) -> dict[str, Any]:
    """What a person, a charge point and the dashboard would find."""
    with closing(connect_read_only(data / "ledger.db")) as ledger:
        books = ledger.execute("SELECT month, id_tag, wh FROM bookings ORDER BY 1, 2, 3").fetchall()
    names = ["users1.csv", "chargers.csv", "energy_usage.json", "meter_data_log.json"]
    paths = [data / name for name in names] + sorted((data / "archive").glob("*"))
    return {"books": books} | {path.name: path.read_text() for path in paths if path.exists()}


def kept_of(data: Path) -> dict[str, Any]:
    """Of what was replaced: books and tables."""
    return {name: value for name, value in seen(data).items() if name in ("books", "users1.csv", "chargers.csv")}


def make_sites(folder: Path) -> None:
    """`old`, a site that was killed, and `site.zip`, a backup of it with other books, tables and archive."""
    data = folder / "old"
    (data / "archive").mkdir(mode=0o750, parents=True)
    data.chmod(0o750)
    fill(data, BACKED_UP_USERS, "id,name\nCP1,Gate\n", "one session\n", 1, "RFID001", 1000)
    publish(data)
    make_backup(data, folder / "site.zip", "1", datetime.now(UTC))
    fill(data, OLD_USERS, "id,name\nCP1,Yard\n", "two sessions\n", 3, "RFID002", 5000)
    publish(data)
    (data / "meter_data_log.json").write_text("[]")


def fill(data: Path, users: str, chargers: str, sessions: str, number: int, tag: str, wh: int) -> None:
    """A state of the site, in every file that belongs to it."""
    (data / "users1.csv").write_text(users)
    (data / "chargers.csv").write_text(chargers)
    (data / "archive" / "sessions-2025-12.csv").write_text(sessions)
    now = datetime.now(UTC)
    ledger = Ledger(data / "ledger.db", Policy(UTC_ZONE), now, reserve_bytes=0)
    ledger.open()
    booked = [booking(number, LAST_YEAR, tag, wh), booking(number + 1, now, tag, wh + 1)]
    asyncio.run(ledger.commit([*booked, ch.PutOpenMonth(month_of(now, UTC_ZONE))]))
    ledger.close()


def booking(number: int, at: datetime, tag: str, wh: int) -> ch.AddBooking:
    """Energy in the hour of `at`."""
    hour = at.replace(minute=0, second=0, microsecond=0)
    month, day = Month(f"{hour:%Y-%m}"), f"{hour:%Y-%m-%d}"
    return ch.AddBooking(Booking(number, BookingKind.ADJUSTMENT, hour, month, day, IdTag(tag), Wh(wh), hour))


def publish(data: Path) -> None:
    """The usage files of these books."""
    code = f"import sys, pathlib; sys.path.insert(0, {str(HERE)!r}); import restore_zygote; "
    code += f"restore_zygote.start(pathlib.Path({str(data)!r}))"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture(scope="module")
def zygote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RestoreZygote]:
    """One for this file."""
    folder = tmp_path_factory.mktemp("restored")
    make_sites(folder)
    zygote = RestoreZygote(folder)
    yield zygote
    zygote.end()


def test_the_two_sites_differ_in_every_file(zygote: RestoreZygote) -> None:
    """Else a mixture could not be told."""
    assert zygote.old["meter_data_log.json"] == "[]"
    assert "meter_data_log.json" not in zygote.new
    assert {name for name, value in zygote.new.items() if zygote.old[name] == value} == set()
    assert {"books", "users1.csv", "chargers.csv", "energy_usage.json", "sessions-2025-12.csv"} < set(zygote.new)
    assert "energy_usage-2025-12.json" in zygote.new


def test_a_restore_killed_around_its_decision_is_the_old_site_or_the_new_one(zygote: RestoreZygote) -> None:
    """Before the one rename the old one, from it on the restored one; every step of putting files in place, sampled."""
    last = len(zygote.steps)
    around = [zygote.decided - 2, zygote.decided - 1, zygote.decided, zygote.decided + 1]
    later = random.Random(SEED).sample(range(zygote.decided + 2, last), 12)
    before = random.Random(SEED + 1).sample(range(1, zygote.decided - 2), 6)

    restored = [zygote.check("start", number) for number in sorted([*around, *later, *before])]

    assert restored == sorted(restored)
    assert {False, True} == set(restored)


def test_a_restore_that_was_killed_can_be_done_again(zygote: RestoreZygote) -> None:
    """Without a start in between."""
    for number in random.Random(SEED + 2).sample(range(1, len(zygote.steps)), 6):
        zygote.check("restore", number)


def test_the_start_that_finishes_a_restore_may_be_killed_too(zygote: RestoreZygote) -> None:
    """The next one goes on where it was."""
    chance = random.Random(SEED + 3)
    for _ in range(6):
        zygote.check("start", zygote.decided, chance.randrange(1, 60))


@pytest.mark.prove
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("following", ["start", "restore"])
def test_a_restore_killed_at_any_step_is_the_old_site_or_the_new_one(zygote: RestoreZygote, following: str) -> None:
    """All of them."""
    for number in range(1, len(zygote.steps) + 1):
        zygote.check(following, number)


@pytest.mark.prove
@pytest.mark.timeout(3600)
def test_the_start_that_finishes_a_restore_may_be_killed_at_any_step(zygote: RestoreZygote) -> None:
    """From the moment of the decision, and from half of it done."""
    for first in (zygote.decided, zygote.decided + 12):
        for number in range(1, 100):
            zygote.check("start", first, number)
