"""`users …` on the command line: exit codes, words, and what is in force, with a running server and without."""

import asyncio
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent / "crash"))

from server_process import ServerProcess, environment, make_site

from ocpp_server import __main__, user_admin
from ocpp_server.app import running
from ocpp_server.clock import Clock
from ocpp_server.core.commands import Adjust
from ocpp_server.core.energy import Wh
from ocpp_server.core.users import IdTag
from ocpp_server.settings import ENV_FILE, Settings, load_settings
from ocpp_server.start import clock_of
from ocpp_server.storage.users_edit import etag_of

HEADER = "id_tag,name,surname,quota_kwh,unlimited"
USERS = f"{HEADER},colour\r\nRFID001,John,Doe,150,FALSE,red\r\nRFID002,Jane,Smith,,TRUE,blue\r\n"


class Terminal:
    """Types commands for one data folder, in this process, which is many times as fast."""

    def __init__(self, data_dir: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any, **settings: object) -> None:
        self.csv = data_dir / "users1.csv"
        self.data_dir = data_dir
        self._monkeypatch = monkeypatch
        self._capfd = capfd
        for name, value in environment(data_dir, **settings).items():
            if name.startswith("EVQUOTA_"):
                monkeypatch.setenv(name, value)

    def type(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, what it printed, and what it printed to standard error."""
        self._monkeypatch.setattr(sys, "argv", ["ocpp_server", "users", *arguments])
        self._capfd.readouterr()
        try:
            status = __main__.main()
        except SystemExit as end:
            status = int(end.code or 0)
        printed = self._capfd.readouterr()
        return status, printed.out, printed.err

    def done(self, *arguments: str) -> str:
        """What the command says when it did it."""
        status, out, err = self.type(*arguments)
        assert (status, err) == (0, "")
        return out

    def refused(self, *arguments: str) -> str:
        """What it says when it did not: exit code 2, and nothing on standard output."""
        status, out, err = self.type(*arguments)
        assert (status, out) == (2, ""), out
        return err

    def listed(self) -> dict[str, dict[str, Any]]:
        """`users list --json` by id tag."""
        return {one["id_tag"]: one for one in json.loads(self.done("list", "--json"))}

    def save(self, text: str) -> None:
        """A file that has been there for a while."""
        self.csv.write_bytes(text.encode())
        long_ago = time.time() - 60
        os.utime(self.csv, (long_ago, long_ago))

    def put_in_force(self) -> None:
        """Without waiting for the watcher of the running server."""
        settings = load_settings(ENV_FILE)
        user_admin._put_in_force(settings, clock_of(settings), etag_of(self.csv.read_bytes()))


@pytest.fixture(scope="module")
def stopped_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site that was stopped in order; RFID001 used 1 kWh."""
    site = make_site(tmp_path_factory.mktemp("stopped") / "data", USERS)

    async def live() -> None:
        settings = Settings(_env_file=None, data_dir=site, ocpp_host="127.0.0.1", ocpp_port=0, api_port=0)
        async with running(settings) as server:
            await server.central.handle(Adjust(Clock().now(), IdTag("RFID001"), Wh(1000), "x", "y"))

    asyncio.run(live())
    (site / "reserve.bin").unlink()
    return site


@pytest.fixture(scope="module")
def server(stopped_site: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that runs on a copy."""
    site = Path(shutil.copytree(stopped_site, tmp_path_factory.mktemp("running") / "data"))
    with ServerProcess(site) as server:
        yield server
        assert server.stop() == 0


@pytest.fixture(params=["running", "stopped"])
def terminal(
    request: pytest.FixtureRequest, stopped_site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> Terminal:
    """At a site with a running server, and at one without: every command does the same."""
    monkeypatch.setattr(user_admin, "_SETTLE_S", 0.0)  # nobody else writes here
    if request.param == "running":
        server: ServerProcess = request.getfixturevalue("server")
        at_it = Terminal(server.data_dir, monkeypatch, capfd, **server.settings)
        at_it.save(USERS)
        at_it.put_in_force()
        return at_it
    at_it = Terminal(Path(shutil.copytree(stopped_site, tmp_path / "data")), monkeypatch, capfd)
    at_it.save(USERS)
    return at_it


def test_a_life_of_a_user(terminal: Terminal) -> None:
    """Added, given another quota, blocked, unblocked, removed; every other byte stays."""
    added = terminal.done("add", "N=1", "--name", "Ann", "--quota", "12,5", "--expiry-date", "2031-01-31")
    assert added == "N=1 is a user now\n"
    user = terminal.listed()["N=1"]
    assert (user["quota_kwh"], user["expiry_date"], user["state"]) == (12.5, "2031-01-31", "allowed")
    assert terminal.done("set-quota", "N=1", "20.25") == "N=1 has a quota of 20.25 kWh a month\n"
    assert terminal.done("set-quota", "N=1", "unlimited") == "N=1 has no limit\n"
    assert terminal.done("block", "N=1") == "N=1 is blocked\n"
    assert terminal.listed()["N=1"]["state"] == "blocked"
    assert terminal.done("unblock", "N=1") == "N=1 is not blocked\n"
    assert terminal.done("remove", "N=1") == "N=1 is no user any more; what was used stays in the books\n"

    assert (
        terminal.csv.read_bytes() == USERS.replace(HEADER + ",colour", HEADER + ",colour,expiry_date,blocked").encode()
    )


def test_the_list_is_a_table(terminal: Terminal) -> None:
    """With what is left of the quota."""
    lines = terminal.done("list").splitlines()

    assert lines[0].split("  ")[0] == "ID TAG"
    assert [line.split() for line in lines[1:]] == [
        ["RFID001", "John", "Doe", "allowed", "150.000", "1.000", "149.000", "-", "-"],
        ["RFID002", "Jane", "Smith", "allowed", "unlimited", "0.000", "-", "-", "-"],
    ]


REFUSED = [
    (("block", "X"), "there is no user X"),
    (("add", "rfid001", "--quota", "1"), "is in users1.csv already"),
    (("add", "N"), "quota_kwh is blank"),
    (("set-quota", "RFID001", "many"), "'many' is no number of kWh"),
    (("add", "N", "--quota", "1", "--expiry-date", "soon"), "expiry_date"),
    (("import", "/nonexistent"), "No such file"),
]


def test_what_is_not_done_is_said(terminal: Terminal) -> None:
    """Exit code 2, one sentence, and the file is as it was."""
    for arguments, reason in REFUSED:
        said = terminal.refused(*arguments)
        assert said.startswith("not done: ")
        assert reason in said
    assert terminal.csv.read_bytes() == USERS.encode()


def test_what_is_exported_is_imported_again_without_a_change(terminal: Terminal, tmp_path: Path) -> None:
    """UTF-8 with a byte order mark, for Excel; a file that is there is never replaced."""
    target = tmp_path / "out.csv"
    assert terminal.done("export", str(target)) == f"2 users are in {target}\n"
    assert target.read_bytes().startswith(b"\xef\xbb\xbfid_tag,name,surname,quota_kwh,unlimited,account,")
    assert terminal.done("export", "-").encode() == target.read_bytes()

    assert "exists already" in terminal.refused("export", str(target))
    assert terminal.done("import", "--replace", str(target)) == "0 added, 0 changed, 0 removed\n"
    assert terminal.csv.read_bytes() == USERS.encode()


def test_an_import_says_what_would_change_and_then_does_it(terminal: Terminal, tmp_path: Path) -> None:
    """In force when the command ends."""
    incoming = tmp_path / "in.csv"
    incoming.write_text(f"{HEADER}\nRFID001,John,Doe,99,no\nN1,Nil,Ak,5,no\n")

    said = terminal.done("import", "--dry-run", "--replace", str(incoming))
    assert said.splitlines() == [
        "N1 would be added",
        "RFID001 would be changed: quota_kwh",
        "RFID002 would be removed",
        "1 would be added, 1 would be changed, 1 would be removed",
    ]
    assert terminal.csv.read_bytes() == USERS.encode()

    assert terminal.done("import", str(incoming)).endswith(
        "1 added, 1 changed, 0 removed\nusers1.csv is written and in force: 3 users\n"
    )
    listed = terminal.listed()
    assert {tag: one["quota_kwh"] for tag, one in listed.items()} == {"N1": 5.0, "RFID001": 99.0, "RFID002": None}
    assert terminal.csv.read_bytes() == USERS.replace(",150,", ",99,").encode() + b"N1,Nil,Ak,5,no,\r\n"


def test_an_import_that_would_remove_most_users_must_be_meant(terminal: Terminal, tmp_path: Path) -> None:
    """A wrong file is named sooner than half a site is locked out on purpose."""
    incoming = tmp_path / "in.csv"
    incoming.write_text(f"{HEADER}\nN1,Nil,Ak,5,no\n")

    assert "--force" in terminal.refused("import", "--replace", str(incoming))
    assert terminal.csv.read_bytes() == USERS.encode()
    assert "in force: 1 users" in terminal.done("import", "--replace", "--force", str(incoming))
    assert list(terminal.listed()) == ["N1"]


def test_an_import_of_bad_rows_changes_nothing(terminal: Terminal, tmp_path: Path) -> None:
    """By line and reason."""
    incoming = tmp_path / "in.csv"
    incoming.write_text(f"{HEADER}\nRFID001,John,Doe,1e5,no\n")

    assert 'row 2: quota_kwh "1e5" is not a number' in terminal.refused("import", str(incoming))
    assert terminal.csv.read_bytes() == USERS.encode()


def test_a_mistyped_folder_stays_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    """No books are begun for a command."""
    incoming = tmp_path / "in.csv"
    incoming.write_text(USERS)
    terminal = Terminal(tmp_path / "nowhere", monkeypatch, capfd)

    for arguments in (["list"], ["import", str(incoming)], ["add", "N", "--quota", "1"]):
        assert "there is no ledger" in terminal.refused(*arguments)
    assert not terminal.data_dir.exists()
