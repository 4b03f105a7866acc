"""`set-aside`: exit codes, words, and what is in the books afterwards, with a running server and without."""

import json
import shutil
import sqlite3
import sys
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent / "crash"))

from ocpp_caller import OcppCaller
from server_process import ServerProcess, make_site
from typed_commands import Keyboard

from ocpp_server.storage.verify import verify


@pytest.fixture(scope="module")
def stopped_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session of RFID001 whose meterStop was set aside (1), and a stop that fits no session (2)."""
    site = make_site(tmp_path_factory.mktemp("stopped") / "data")
    begin = datetime.now(UTC) - timedelta(minutes=2)

    def stamp(minutes: int) -> str:
        return (begin + timedelta(minutes=minutes)).isoformat()

    with ServerProcess(site) as server:
        with OcppCaller(server.url, "CP1") as charge_point:
            charge_point.boot()
            started = charge_point.call(
                "StartTransaction", connectorId=1, idTag="RFID001", meterStart=100_000, timestamp=stamp(0)
            )
            number = started["transactionId"]
            charge_point.call("StopTransaction", transactionId=number, meterStop=160_000, timestamp=stamp(1))
            charge_point.call("StopTransaction", transactionId=77, meterStop=9_000, timestamp=stamp(1))
        assert server.stop() == 0
    (site / "reserve.bin").unlink(missing_ok=True)  # 16 MiB that each copy would hold
    return site


@pytest.fixture
def site(stopped_site: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(stopped_site, tmp_path / "data"))


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Keyboard:
    """To type commands."""
    return Keyboard(monkeypatch, capfd)


def corrections(data_dir: Path) -> list[tuple[str, int, str]]:
    with closing(sqlite3.connect(data_dir / "ledger.db")) as ledger:
        rows = ledger.execute("SELECT id_tag, wh, reason FROM bookings WHERE kind = 'correction' ORDER BY booking_id")
        return [tuple(row) for row in rows]


def published(data_dir: Path) -> dict[str, float]:
    """kWh by tag in all months: this test may run where one begins."""
    totals: Counter[str] = Counter()
    for path in (data_dir / "energy_usage.json", *data_dir.glob("archive/energy_usage-*.json")):
        totals.update(json.loads(path.read_bytes()))
    return +totals


def numbers(keys: Keyboard, data_dir: Path, *options: str) -> list[int]:
    status, out, err = keys(data_dir, "set-aside", "list", "--json", *options)
    assert (status, err) == (0, "")
    return [one["number"] for one in json.loads(out)]


def test_what_waits_is_listed_and_shown(site: Path, keys: Keyboard) -> None:
    """For people and for programs; the server may run or not."""
    _, table, _ = keys(site, "set-aside", "list")
    status, shown, _ = keys(site, "set-aside", "show", "1")

    assert [line.split()[:3] for line in table.splitlines()[1:]] == [["2", "open", "orphan"], ["1", "open", "reading"]]
    assert "60.000  meterStop is more than could be delivered" in table
    assert (status, "register_after_wh: 160000" in shown, "slack_wh=1000" in shown) == (0, True, True)
    assert numbers(keys, site, "--charger", "CP2") == []
    assert keys(site, "set-aside", "list", "--state", "dropped")[1] == "nothing\n"


def test_without_a_server_it_is_decided_in_the_ledger(site: Path, keys: Keyboard) -> None:
    """Booked once, with who and why; the file of usage tells it and the books add up."""
    accepted = keys(site, "set-aside", "accept", "1", "--reason", "seen", "--by", "Ann")
    again = keys(site, "set-aside", "accept", "1", "--reason", "seen")
    orphan = keys(site, "set-aside", "accept", "2", "--kwh", "7,5", "--tag", "RFID002", "--reason", "told", "--json")

    assert (accepted[0], "state: accepted" in accepted[1], "booked_wh: 60000" in accepted[1]) == (0, True, True)
    assert (again[0], again[1]) == (2, "")
    assert again[2].startswith("not done: number 1 was accepted by Ann at ")
    assert (orphan[0], json.loads(orphan[1])["booked_wh"]) == (0, 7_500)
    assert corrections(site) == [
        ("RFID001", 60_000, "set aside 1: seen (Ann)"),
        ("RFID002", 7_500, "set aside 2: told (command line)"),
    ]
    assert published(site) == {"RFID001": 60, "RFID002": 7.5}
    assert (numbers(keys, site), numbers(keys, site, "--state", "all")) == ([], [2, 1])
    assert verify(site / "ledger.db", site) == []


def test_a_running_server_decides_itself(site: Path, keys: Keyboard) -> None:
    """And what it booked is still there after the next start, in the session's row too."""
    with ServerProcess(site) as server:
        dropped = keys(site, "set-aside", "drop", "2", "--reason", "not ours", "--json", **server.settings)
        accepted = keys(site, "set-aside", "accept", "1", "--reason", "seen", **server.settings)
        again = keys(site, "set-aside", "drop", "1", "--reason", "seen", **server.settings)
        assert server.stop() == 0
    explained = keys(site, "explain", _session(site))

    assert (dropped[0], json.loads(dropped[1])["decided_by"], accepted[0], again[0]) == (0, "command line", 0, 2)
    assert corrections(site) == [("RFID001", 60_000, "set aside 1: seen (command line)")]
    assert "60 kWh were set aside" in explained[1]
    (archive,) = (site / "archive").glob("sessions-*.csv")
    assert '"raised by hand"' in archive.read_text(encoding="utf-8-sig")
    assert ",60.0," in archive.read_text(encoding="utf-8-sig")
    assert verify(site / "ledger.db", site) == []


def _session(data_dir: Path) -> int:
    with closing(sqlite3.connect(data_dir / "ledger.db")) as ledger:
        ((number,),) = ledger.execute("SELECT transaction_id FROM transactions").fetchall()
        return int(number)


REFUSED = {
    "an orphan without kWh": (["accept", "2", "--reason", "x", "--tag", "RFID001"], "say how many kWh flowed"),
    "kWh that are none": (["accept", "2", "--reason", "x", "--kwh", "much"], "kwh"),
    "a blank reason": (["drop", "2", "--reason", " "], "reason"),
    "a number that is none": (["show", "99"], "there is no energy of number 99"),
    "nothing to drop": (["drop", "99", "--reason", "x"], "there is no energy of number 99"),
}


@pytest.mark.parametrize(("arguments", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_not_possible_is_2_with_a_sentence(
    site: Path, keys: Keyboard, arguments: list[str], words: str
) -> None:
    """Nothing is booked."""
    status, out, err = keys(site, "set-aside", *arguments)

    assert (status, out) == (2, "")
    assert err.startswith("not done: ")
    assert words in err
    assert corrections(site) == []


def test_a_folder_without_a_ledger_stays_without_one(tmp_path: Path, keys: Keyboard) -> None:
    """A mistyped folder must not begin new books."""
    listed = keys(tmp_path / "data", "set-aside", "list")
    dropped = keys(tmp_path / "data", "set-aside", "drop", "1", "--reason", "x")

    assert (listed[0], dropped[0]) == (2, 2)
    assert not (tmp_path / "data").exists()
