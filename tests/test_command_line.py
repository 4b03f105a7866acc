"""`verify` and `adjust`: exit codes, words, and what is in the books afterwards, with a running server and without."""

import json
import shlex
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent / "crash"))

from charged_site import make_charged_site
from ocpp_caller import OcppCaller
from server_process import PROJECT, ServerProcess, command_line, environment, make_site, until

CLEAN = "the books add up: bookings, totals, transactions and files agree to the Wh\n"


@pytest.fixture(scope="module")
def stopped_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sessions, 1.5 kWh."""
    return make_charged_site(tmp_path_factory.mktemp("stopped") / "data")


@pytest.fixture
def site(stopped_site: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(stopped_site, tmp_path / "data"))


@pytest.fixture
def server(site: Path) -> Iterator[ServerProcess]:
    """A server that runs on the copy."""
    with ServerProcess(site) as server:
        yield server


def usage(data_dir: Path) -> dict[str, float]:
    return dict(json.loads((data_dir / "energy_usage.json").read_bytes()))


def adjustments(data_dir: Path) -> list[tuple[str, int, str]]:
    with closing(sqlite3.connect(data_dir / "ledger.db")) as ledger:
        rows = ledger.execute("SELECT id_tag, wh, reason FROM bookings WHERE kind = 'adjustment' ORDER BY booking_id")
        return [tuple(row) for row in rows]


def refused(data_dir: Path, *arguments: str, **settings: object) -> str:
    """What `adjust` says when it does not book, with exit code 2 and no traceback."""
    ended = command_line(data_dir, "adjust", *arguments, **settings)
    assert ended.returncode == 2, ended
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""
    return ended.stderr


# --- verify ----------------------------------------------------------------------------------------------------------


def test_verify_says_that_the_books_add_up(site: Path) -> None:
    """Exit code 0 and one sentence."""
    verdict = command_line(site, "verify")

    assert (verdict.returncode, verdict.stdout, verdict.stderr) == (0, CLEAN, "")


def test_verify_reads_only(site: Path) -> None:
    """No file is changed, not even the modification times, which tell hand edits apart."""
    before = {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in site.glob("*.*") if path.is_file()}

    command_line(site, "verify")

    after = {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in site.glob("*.*") if path.is_file()}
    assert {name: after[name] for name in before} == before


def test_verify_works_beside_a_running_server(server: ServerProcess) -> None:
    """A look at the books needs no stop."""
    verdict = command_line(server.data_dir, "verify")

    assert (verdict.returncode, verdict.stdout, verdict.stderr) == (0, CLEAN, "")


def test_verify_names_each_total_that_its_bookings_do_not_add_up_to(site: Path) -> None:
    """Exit code 1; the tag, the month and both figures."""
    with closing(sqlite3.connect(site / "ledger.db")) as ledger, ledger:
        ledger.execute("UPDATE usage SET wh = wh + 7")

    verdict = command_line(site, "verify")

    assert (verdict.returncode, verdict.stderr) == (1, "")
    assert "used by RFID001 in" in verdict.stdout
    assert "the total is 1507 Wh, its bookings add up to 1500 Wh" in verdict.stdout


def test_verify_names_a_file_that_differs(site: Path) -> None:
    """Exit code 1; the file, the tag and both figures."""
    (site / "energy_usage.json").write_text('{"RFID001": 2.5}', encoding="utf-8")

    verdict = command_line(site, "verify")

    assert verdict.returncode == 1
    assert verdict.stdout == "energy_usage.json differs: RFID001 has 2500 Wh in the file and 1500 Wh in the books\n"


def test_verify_of_a_folder_without_a_ledger_makes_none(tmp_path: Path) -> None:
    """Exit code 1 and one sentence; a mistyped folder stays empty."""
    verdict = command_line(tmp_path / "data", "verify")

    assert verdict.returncode == 1
    assert verdict.stdout == f"there is no ledger {tmp_path / 'data' / 'ledger.db'}\n"
    assert not (tmp_path / "data").exists()


# --- adjust ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "wh"),
    [
        (["RFID001", "2.5", "--reason", "meter was read wrong"], 2500),
        (["RFID001", "-1.5", "--reason", "meter was read wrong"], -1500),
        (["--reason", "meter was read wrong", "RFID001", "-1.5"], -1500),
        (["--reason", "meter was read wrong", "--", "RFID001", "-1.5"], -1500),
        (["RFID001", "-1,25", "--reason", "meter was read wrong"], -1250),
        (["RFID001", "-.5", "--reason", "meter was read wrong"], -500),
        (["rfid001", "0.001", "--reason", "meter was read wrong"], 1),
    ],
)
def test_adjust_books_while_no_server_runs(site: Path, arguments: list[str], wh: int) -> None:
    """The booking, the file and the next start agree; the correction is no second hand edit."""
    booked = command_line(site, "adjust", *arguments)
    shown = usage(site)
    verdict = command_line(site, "verify")

    assert (booked.returncode, booked.stderr) == (0, ""), booked
    assert f"booked {wh / 1000:g} kWh for" in booked.stdout
    assert adjustments(site) == [("RFID001", wh, "meter was read wrong (command line)")]
    assert shown == {"RFID001": (1500 + wh) / 1000}
    assert (verdict.returncode, verdict.stdout) == (0, CLEAN)


def test_what_adjust_booked_is_there_after_the_next_start(site: Path) -> None:
    """The next start finds an orderly end and no edit."""
    command_line(site, "adjust", "RFID002", "3", "--reason", "goodwill", "--by", "Ada")

    with ServerProcess(site) as server:
        assert server.stop() == 0

    assert usage(site) == {"RFID001": 1.5, "RFID002": 3.0}
    assert adjustments(site) == [("RFID002", 3000, "goodwill (Ada)")]


def test_adjust_goes_through_the_server_while_it_runs(server: ServerProcess) -> None:
    """Booked by the one writer, shown in the file within a second, and no hand edit at the next start."""
    site = server.data_dir
    for kwh in ("2.5", "-1.5"):
        booked = command_line(site, "adjust", "RFID001", kwh, "--reason", "test", **server.settings)
        assert (booked.returncode, booked.stderr) == (0, ""), booked
    until(lambda: usage(site) == {"RFID001": 2.5}, "the file shows the corrections")
    server.kill()
    server.started()
    assert server.stop() == 0

    assert adjustments(site) == [("RFID001", 2500, "test (command line)"), ("RFID001", -1500, "test (command line)")]
    assert usage(site) == {"RFID001": 2.5}


@pytest.mark.parametrize("kwh", ["nan", "inf", "-inf", "1e400", "0", "abc", "", "1_0"])
def test_adjust_refuses_what_is_no_number_of_kwh(site: Path, kwh: str) -> None:
    """One sentence with what came; nothing is booked."""
    words = refused(site, "--reason", "test", "--", "RFID001", kwh)

    assert words.startswith("not booked: kwh: ")
    assert adjustments(site) == []
    assert usage(site) == {"RFID001": 1.5}


@pytest.mark.parametrize("is_running", [True, False], ids=["server runs", "no server"])
def test_adjust_gives_back_no_more_than_was_used(site: Path, is_running: bool) -> None:
    """Usage is never negative: exit code 2 with how much was used, and what to do instead."""
    server = ServerProcess(site)
    if is_running:
        server.started()
    words = refused(site, "RFID001", "-5", "--reason", "test", **server.settings)
    if is_running:
        assert server.stop() == 0

    assert "RFID001 has used 1.5 kWh this month" in words
    assert adjustments(site) == []
    assert usage(site) == {"RFID001": 1.5}


def test_adjust_needs_a_reason(site: Path) -> None:
    """It stays in the books, so a blank one is none."""
    missing = refused(site, "RFID001", "1")
    blank = refused(site, "RFID001", "1", "--reason", "  ")

    assert "--reason" in missing
    assert "reason: Expected text that is not blank" in blank
    assert adjustments(site) == []


def test_adjust_needs_a_tag(site: Path) -> None:
    """A blank tag belongs to nobody."""
    assert "id_tag: Expected text that is not blank" in refused(site, " ", "1", "--reason", "test")


def test_adjust_does_not_make_a_ledger_in_a_mistyped_folder(tmp_path: Path) -> None:
    """A correction in books that nobody keeps would be lost in silence."""
    words = refused(tmp_path / "data", "RFID001", "1", "--reason", "test")

    assert "there is no ledger" in words
    assert "EVQUOTA_DATA_DIR" in words
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("is_running", [True, False], ids=["server runs", "no server"])
def test_corrections_at_the_same_time_are_all_booked(site: Path, is_running: bool) -> None:
    """Five administrators at once: who finds the folder taken for a moment tries again."""
    server = ServerProcess(site)
    if is_running:
        server.started()
    commands = [
        subprocess.Popen(
            [sys.executable, "-m", "ocpp_server", "adjust", "RFID001", str(kwh), "--reason", f"number {kwh}"],
            cwd=PROJECT,
            env=environment(site, **server.settings),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for kwh in (1, 2, 4, 8, 16)
    ]
    ended = [(command.communicate(timeout=30), command.returncode) for command in commands]
    if is_running:
        assert server.stop() == 0

    assert [status for _words, status in ended] == [0] * 5, ended
    assert sorted(wh for _tag, wh, _reason in adjustments(site)) == [1000, 2000, 4000, 8000, 16000]
    assert usage(site) == {"RFID001": 32.5}


def test_adjust_says_that_the_server_does_not_answer(server: ServerProcess) -> None:
    """The folder is in use and nobody listens at the API's port: perhaps it is another one."""
    other = {**server.settings, "api_port": 1}

    words = refused(server.data_dir, "RFID001", "1", "--reason", "test", **other)

    assert "EVQUOTA_API_PORT" in words
    assert adjustments(server.data_dir) == []


def test_adjust_finds_a_server_whose_api_has_an_ipv6_address(site: Path) -> None:
    """::1 in an address stands in brackets."""
    with ServerProcess(site, api_host="::1") as server:
        booked = command_line(site, "adjust", "RFID001", "1", "--reason", "test", **server.settings)

    assert (booked.returncode, booked.stderr) == (0, "")


def test_adjust_after_a_crash_counts_what_the_ledger_has(site: Path) -> None:
    """The file of a killed server may be old; the correction goes on top of the books."""
    with ServerProcess(site) as server:
        with OcppCaller(server.url, "CP1") as charge_point:
            charge_point.charge("RFID001", 500, meter_start=3_000_000)
        server.kill()
        (site / "energy_usage.json").write_text('{"RFID001": 1.5}', encoding="utf-8")
        command_line(site, "adjust", "RFID001", "1", "--reason", "test")
        shown = usage(site)
        server.started()
        assert server.stop() == 0

    assert shown == usage(site) == {"RFID001": 3.0}


def test_adjust_on_the_first_days_of_a_month_books_in_that_month(site: Path) -> None:
    """Also if no server ran since the month began: else the correction would go to a closed month."""
    (site / ".demo").touch()  # only there may the clock be another
    later = datetime.now(UTC) + timedelta(days=40)
    clock = {"clock_factor": 2, "clock_origin": time.time() - 40 * 86400}

    booked = command_line(site, "adjust", "RFID001", "1", "--reason", "test", **clock)
    verdict = command_line(site, "verify", **clock)

    assert booked.returncode == 0, booked
    with closing(sqlite3.connect(site / "ledger.db")) as ledger:
        months = ledger.execute("SELECT month FROM bookings WHERE kind = 'adjustment'").fetchall()
    assert months == [(f"{later:%Y-%m}",)]
    assert usage(site) == {"RFID001": 1.0}
    assert (verdict.returncode, verdict.stdout) == (0, CLEAN)
    (archived,) = (site / "archive").glob("energy_usage-*.json")
    assert json.loads(archived.read_bytes()) == {"RFID001": 1.5}


# --- README ----------------------------------------------------------------------------------------------------------


def test_the_commands_of_the_readme_work_on_a_site_that_was_just_set_up(tmp_path: Path) -> None:
    """Nobody has charged yet, the server runs: each line is typed as it stands there."""
    prefix = ".venv/bin/python -m ocpp_server "
    readme = (PROJECT / "README.md").read_text(encoding="utf-8").splitlines()
    commands = [shlex.split(line.removeprefix(prefix)) for line in readme if line.startswith(prefix)]
    with ServerProcess(make_site(tmp_path / "data")) as server:
        ended = [command_line(server.data_dir, *command, **server.settings) for command in commands]

    assert [command[0] for command in commands] == ["chargers", "chargers", "chargers", "adjust", "verify"]
    assert [(done.returncode, done.stderr) for done in ended] == [(0, "")] * 5, ended
