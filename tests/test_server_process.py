"""The server as a process: how it ends, what it refuses to start on, and what it makes of files that people touched.

Everything here starts the real `python -m ocpp_server serve` and looks at its exit status, its words and its files.
"""

import json
import os
import re
import shlex
import shutil
import signal
import socket
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent / "crash"))

from ocpp_caller import OcppCaller
from server_process import ServerProcess, command_line, make_site, until

OLD_SITE = {
    "energy_usage.json": {"RFID001": 85.5, "RFID002": 120.3},
    "active_transactions.json": {
        "1234567890": {
            "id_tag": "RFID001",
            "start_meter": 85.5,
            "start_time": "2025-01-15T10:30:00Z",
            "last_meter": 88.2,
            "full_name": "John Doe",
            "charger_id": "LIVOLTEK_01",
        }
    },
}
ROOT = 0
"""The user id of root, whom no permission stops."""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return make_site(tmp_path / "data")


def usage(data_dir: Path) -> dict[str, float]:
    return dict(json.loads((data_dir / "energy_usage.json").read_bytes()))


def delivered(data_dir: Path) -> float:
    """What charger_status.json, which is written after energy_usage.json, shows of CP1."""
    row = json.loads((data_dir / "charger_status.json").read_bytes()).get("CP1", {})
    return float(row.get("total_energy_delivered", 0.0))


def refusal(data_dir: Path, **settings: object) -> str:
    """The one sentence with which the server refuses to start here."""
    settings = {"ocpp_port": 0, "api_port": 0} | settings
    ended = command_line(data_dir, "serve", **settings)
    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
    (sentence,) = ended.stderr.splitlines()
    return sentence


def bookings(data_dir: Path, kind: str) -> list[tuple[str, int, str]]:
    with closing(sqlite3.connect(data_dir / "ledger.db")) as ledger:
        rows = ledger.execute("SELECT id_tag, wh, reason FROM bookings WHERE kind = ? ORDER BY 1, 2", (kind,))
        return [tuple(row) for row in rows]


def assert_books_add_up(data_dir: Path) -> None:
    verdict = command_line(data_dir, "verify")
    assert (verdict.returncode, verdict.stderr) == (0, ""), verdict.stdout


# --- The end ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order_and_charge_points_are_told_to_come_back(site: Path, number: signal.Signals) -> None:
    """TERM and INT: no new connections, what was acknowledged is in the files, close 1012, exit 0 (F1)."""
    with ServerProcess(site) as server, OcppCaller(server.url, "CP1") as charge_point:
        charge_point.boot()
        transaction_id = charge_point.start("RFID001", 5000)
        charge_point.meter(transaction_id, 5250)
        began = time.monotonic()
        server.send(number)
        close_code = charge_point.close_code()
        status = server.wait()
        print(f"{number.name} to exit: {time.monotonic() - began:.3f} s")
        with pytest.raises(ConnectionRefusedError), OcppCaller(server.url, "CP2"):
            pass

        assert (status, close_code) == (0, 1012)
        assert usage(site) == {"RFID001": 0.25}
        assert list(json.loads((site / "active_transactions.json").read_bytes())) == [str(transaction_id)]
        assert "[CONNECT] stopped" in server.output()
        assert "Traceback" not in server.output()
        assert_books_add_up(site)


def test_a_signal_during_the_start_ends_it_in_order(site: Path) -> None:
    """From the moment it holds the folder, a stop is an orderly one."""
    server = ServerProcess(site).start()
    until((site / "ledger.lock").exists, "it locks its folder")

    assert server.stop() == 0
    assert "Traceback" not in server.output()


def test_a_session_goes_on_under_its_id_after_a_restart(site: Path) -> None:
    """Rule 24: the charge point reconnects without a boot and its next reading books the gap once (F11)."""
    with ServerProcess(site) as server:
        with OcppCaller(server.url, "CP1") as charge_point:
            charge_point.boot()
            transaction_id = charge_point.start("RFID001", 5000)
            charge_point.meter(transaction_id, 5100)
            assert server.stop() == 0
        server.started()
        with OcppCaller(server.url, "CP1") as charge_point:
            charge_point.meter(transaction_id, 5300)
            charge_point.stop(transaction_id, 5400)
        assert server.stop() == 0

    assert usage(site) == {"RFID001": 0.4}
    assert_books_add_up(site)


# --- What it refuses -------------------------------------------------------------------------------------------------


def test_a_second_server_on_the_folder_is_refused_and_the_first_goes_on(site: Path) -> None:
    """One sentence with the folder and the pid of the one that runs (F24)."""
    with ServerProcess(site) as server, OcppCaller(server.url, "CP1") as charge_point:
        assert server.process is not None
        sentence = refusal(site)
        charge_point.charge("RFID001", 300)

        assert "another server runs on this data folder" in sentence
        assert str(site) in sentence
        assert f"pid {server.process.pid}" in sentence
        assert server.stop() == 0
    assert usage(site) == {"RFID001": 0.3}


def test_a_start_that_is_refused_touches_nothing_of_the_server_that_runs(site: Path) -> None:
    """Temporary files are removed by who holds the folder: else a view or a backup being written would be lost."""
    with ServerProcess(site):
        (site / "backup").mkdir(exist_ok=True)
        written = [site / ".energy_usage.json.tmp-1", site / "backup" / ".ledger-2026-01-01.db.tmp-1"]
        for path in written:
            path.write_bytes(b"half of it")
        refusal(site)

        assert all(path.exists() for path in written)


@pytest.mark.parametrize("name", ["ocpp", "api"])
def test_a_port_in_use_is_named_with_how_to_mend_it(site: Path, name: str) -> None:
    """The port, its setting, how to find the other program, which line to write."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        sentence = refusal(site, **{f"{name}_port": port})

    assert f"port {port} (EVQUOTA_{name.upper()}_PORT) is in use by another program" in sentence
    assert f"set another EVQUOTA_{name.upper()}_PORT in .env" in sentence


def test_an_edit_after_a_start_that_found_its_port_taken_still_counts(site: Path) -> None:
    """A start that gives up has ended in order: what a person edits after it is a hand edit as after any stop (F10)."""
    with ServerProcess(site) as server:
        with OcppCaller(server.url, "CP1") as charge_point:
            charge_point.charge("RFID001", 300)
        assert server.stop() == 0
        (site / "energy_usage.json").write_text('{"RFID001": 1.0}', encoding="utf-8")
        with socket.create_server(("127.0.0.1", 0)) as other:
            refusal(site, ocpp_port=other.getsockname()[1])
        (site / "energy_usage.json").write_text('{"RFID001": 2.0}', encoding="utf-8")
        server.started()
        assert server.stop() == 0

    assert usage(site) == {"RFID001": 2.0}
    assert_books_add_up(site)


def test_a_data_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    """The sentence names the path and the setting."""
    (tmp_path / "data").write_text("no folder", encoding="utf-8")

    sentence = refusal(tmp_path / "data")

    assert str(tmp_path / "data") in sentence
    assert "EVQUOTA_DATA_DIR" in sentence


def test_a_data_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    """Where no permission stops root, a folder of the kernel's does."""
    folder = make_site(tmp_path / "data")
    if os.getuid() == ROOT:
        folder = Path("/proc/self")
    else:
        folder.chmod(0o500)

    sentence = refusal(folder)

    assert str(folder) in sentence
    assert "EVQUOTA_DATA_DIR" in sentence


def test_a_folder_that_anybody_may_write_to_is_refused(site: Path) -> None:
    """T23: else anybody could plant links and users."""
    site.chmod(0o777)

    assert f"chmod 750 '{site}'" in refusal(site)


def test_a_symbolic_link_in_place_of_the_folder_is_refused(site: Path) -> None:
    """T23: the real folder is named, and what it is."""
    link = site.with_name("link")
    link.symlink_to(site)

    sentence = refusal(link)

    assert f"{link} is a symbolic link" in sentence
    assert not (site / "ledger.db").exists()


def test_a_symbolic_link_in_place_of_the_ledger_is_refused(site: Path) -> None:
    """T23: nothing is written through a planted link."""
    target = site.with_name("target")
    (site / "ledger.db").symlink_to(target)

    assert "ledger.db is a symbolic link" in refusal(site)
    assert not target.exists()


def test_a_wrong_name_of_a_setting_is_named_with_the_nearest_right_one(site: Path) -> None:
    """Nothing falls back to a default silently."""
    sentence = refusal(site, ocpp_prot=9000)

    assert "EVQUOTA_OCPP_PROT (in the environment) is not a setting: did you mean EVQUOTA_OCPP_PORT?" in sentence


def test_a_fast_clock_is_refused_on_a_folder_that_is_no_demo(site: Path) -> None:
    """A month in a minute would close real months."""
    sentence = refusal(site, clock_factor=60)

    assert "EVQUOTA_CLOCK_FACTOR=60" in sentence
    assert str(site) in sentence
    assert not (site / "ledger.db").exists()


# --- Files that people touched ---------------------------------------------------------------------------------------


def test_an_edit_between_a_clean_stop_and_a_start_becomes_a_booking(site: Path) -> None:
    """F10: booked as adjusted by hand, in the file and in the books, and still there after two more starts."""
    with ServerProcess(site) as server:
        with OcppCaller(server.url, "CP1") as charge_point:
            charge_point.charge("RFID001", 300)
            charge_point.charge("RFID002", 700)
        assert server.stop() == 0
        (site / "energy_usage.json").write_text('{"RFID001": 1.25, "RFID002": 0.7}', encoding="utf-8")
        server.started()
        server.kill()
        server.started()
        assert server.stop() == 0

    assert usage(site) == {"RFID001": 1.25, "RFID002": 0.7}
    assert bookings(site, "adjustment") == [("RFID001", 950, "adjusted by hand")]
    assert_books_add_up(site)


def test_an_edit_after_an_unclean_stop_is_kept_aside_and_does_not_count(site: Path) -> None:
    """F10: after a power cut an older file can look like an edit."""
    with ServerProcess(site) as server:
        with OcppCaller(server.url, "CP1") as charge_point:
            charge_point.charge("RFID001", 300)
        server.kill()
        path = site / "energy_usage.json"
        path.write_text('{"RFID001": 99.0}', encoding="utf-8")
        later = time.time() + 60  # so that it cannot be taken for a view that the server wrote itself
        os.utime(path, (later, later))
        server.started()
        words = server.output()
        assert server.stop() == 0

    assert usage(site) == {"RFID001": 0.3}
    (kept,) = site.glob("energy_usage.json.conflict-*")
    assert json.loads(kept.read_bytes()) == {"RFID001": 99.0}
    assert bookings(site, "adjustment") == []
    assert "edit not taken over" in words


def test_an_edit_while_the_server_runs_is_set_aside(site: Path) -> None:
    """An editor's old copy would take back what others used meanwhile; the words tell of `adjust`."""
    path = site / "energy_usage.json"
    with ServerProcess(site) as server:
        with OcppCaller(server.url, "CP1") as charge_point:
            charge_point.charge("RFID001", 300)
            until(lambda: delivered(site) == 0.3, "the files show the session")
            path.write_text('{"RFID001": 0.0}', encoding="utf-8")
            charge_point.charge("RFID001", 200, meter_start=2_000_000)
            until(lambda: list(site.glob("energy_usage.json.set-aside-*")), "the edit is set aside")
        words = server.output()
        assert server.stop() == 0

    (kept,) = site.glob("energy_usage.json.set-aside-*")
    assert json.loads(kept.read_bytes()) == {"RFID001": 0.0}
    assert usage(site) == {"RFID001": 0.5}
    assert "adjust TAG KWH --reason TEXT" in words
    assert_books_add_up(site)


def _zero_the_beginning(path: Path) -> None:
    with path.open("r+b") as ledger:
        ledger.write(bytes(4096))


def _zero_the_middle(path: Path) -> None:
    with path.open("r+b") as ledger:
        ledger.seek(8192)
        ledger.write(b"\xff" * (path.stat().st_size - 8192))


def _cut_in_half(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize("damage", [_zero_the_beginning, _zero_the_middle, _cut_in_half])
def test_a_damaged_ledger_is_refused_with_how_to_restore_it(site: Path, damage: object) -> None:
    """A copy is kept; doing what the sentence says brings the backup back."""
    assert callable(damage)
    ledger_path, backup = site / "ledger.db", site / "backup" / "ledger-2026-01-01.db"
    with ServerProcess(site) as server:
        with OcppCaller(server.url, "CP1") as charge_point:
            charge_point.charge("RFID001", 300)
        assert server.stop() == 0
        backup.parent.mkdir(exist_ok=True)
        shutil.copy(ledger_path, backup)
        damage(ledger_path)
        sentence = refusal(site)
        restored = command_line(site, *shlex.split(sentence.partition("python -m ocpp_server ")[2].partition(", ")[0]))
        assert restored.returncode == 0, restored
        server.started()
        assert server.stop() == 0

    assert f"{ledger_path} is damaged" in sentence
    assert f"restore {backup}" in sentence
    assert list(site.glob("ledger.db.broken-*"))
    assert usage(site) == {"RFID001": 0.3}


def test_an_older_sites_files_are_taken_over_at_the_first_start(site: Path) -> None:
    """What was used stays used, and an open session goes on under its id, to its end."""
    for name, document in OLD_SITE.items():
        (site / name).write_text(json.dumps(document), encoding="utf-8")
    with ServerProcess(site) as server:
        assert usage(site) == OLD_SITE["energy_usage.json"]
        with OcppCaller(server.url, "LIVOLTEK_01") as charge_point:
            charge_point.stop(1234567890, 88_700)
        assert server.stop() == 0

    assert usage(site) == {"RFID001": 86.0, "RFID002": 120.3}
    assert json.loads((site / "active_transactions.json").read_bytes()) == {}
    assert_books_add_up(site)


def test_an_older_sites_file_that_is_broken_stops_the_first_start(site: Path) -> None:
    """F6: file, line and column; nothing is begun, so that the mended file is taken over at the next try."""
    (site / "energy_usage.json").write_text('{\n  "RFID001": 85.5,\n  "RFID002": \n}\n', encoding="utf-8")

    sentence = refusal(site)
    (site / "energy_usage.json").write_text('{"RFID001": 85.5}', encoding="utf-8")
    with ServerProcess(site) as server:
        assert server.stop() == 0

    assert "energy_usage.json line 4 column 1" in sentence
    assert usage(site) == {"RFID001": 85.5}


def test_without_users_csv_a_restart_keeps_the_last_good_table(site: Path) -> None:
    """A missing file is not "no users": cards work as before, and the log says so (F9)."""
    with ServerProcess(site) as server:
        assert server.stop() == 0
        (site / "users1.csv").unlink()
        server.started()
        with OcppCaller(server.url, "CP1") as charge_point:
            charge_point.boot()
            known, unknown = charge_point.authorize("RFID001"), charge_point.authorize("RFID999")
        words = server.output()

    assert (known, unknown) == ("Accepted", "Invalid")
    assert "users1.csv is not there, the table of the last run stays" in words
    assert "Traceback" not in words


def test_every_line_of_the_log_is_ours(site: Path) -> None:
    """The watcher's library said "1 change detected" at each save."""
    with ServerProcess(site) as server:
        (site / "users1.csv").write_bytes((site / "users1.csv").read_bytes() + b"RFID777,New,User,10,FALSE\r\n")
        until(lambda: server.output().count("users1.csv loaded") == 2, "the second load")
        server.stop()
        lines = server.output().splitlines()

    assert [line for line in lines if not re.match(r"\S+ \S+ (INFO|WARNING) \[[A-Z]+\] ", line)] == []
