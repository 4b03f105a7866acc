"""`chargers …` on the command line: exit codes, words and what is in force, with a running server and without.

The commands run in this process, which is many times as fast; `test_command_line` types some of them in earnest.
"""

import base64
import io
import json
import logging
import os
import re
import shutil
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent / "crash"))

from canaries import CANARY_KEY
from ocpp_caller import OcppCaller
from server_process import LIMIT_S, ServerProcess, environment, make_site
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from ocpp_server import __main__, app
from ocpp_server.core.site import UnknownChargePoints
from ocpp_server.settings import Settings
from ocpp_server.storage.verify import verify

PROXY = {"trusted_proxies": "127.0.0.1"}
"""Charge points come from wherever their X-Forwarded-For says."""
SITE_ADDRESS = "192.168.1.7"
KEY = CANARY_KEY
BOOT = {"chargePointVendor": "Acme", "chargePointModel": "One"}


def dial(url: str, charge_point_id: str, key: str | None = None) -> ClientConnection:
    """A charge point of the site's network."""
    headers = {"X-Forwarded-For": SITE_ADDRESS}
    if key is not None:
        headers["Authorization"] = "Basic " + base64.b64encode(f"{charge_point_id}:{key}".encode()).decode()
    uri = f"{url}/{charge_point_id}"
    return connect(
        uri, subprotocols=["ocpp1.6"], additional_headers=headers, compression=None, proxy=None, close_timeout=2
    )


def handshake(server: ServerProcess, charge_point_id: str, key: str | None = None) -> int:
    """The HTTP status that a charge point of the site's network gets."""
    try:
        with dial(server.url, charge_point_id, key):
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


class SiteCharger(OcppCaller):
    """A caller from the site's network."""

    def __init__(self, server: ServerProcess, charge_point_id: str) -> None:
        self._dial = lambda: dial(server.url, charge_point_id)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._socket = stack.enter_context(self._dial())
            self._stack = stack.pop_all()
        return self


class AnsweringCharger:
    """Boots, then answers every ChangeConfiguration from a thread of its own, until it is closed."""

    def __init__(self, server: ServerProcess, charge_point_id: str, status: str) -> None:
        self.asked: list[Any] = []
        self._status = status
        self._dial = lambda: dial(server.url, charge_point_id)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._socket = stack.enter_context(self._dial())
            self._stack = stack.pop_all()
        self._socket.send(json.dumps([2, "boot", "BootNotification", BOOT]))
        assert json.loads(self._socket.recv(LIMIT_S))[2]["status"] == "Accepted"
        self._thread = threading.Thread(target=self._answer)
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()
        self._thread.join(LIMIT_S)

    def closed(self) -> int | None:
        """The close code, once the server has closed it."""
        self._thread.join(LIMIT_S)
        return self._socket.close_code

    def _answer(self) -> None:
        try:
            for message in self._socket:
                kind, number, action, payload = json.loads(message)
                assert kind == 2
                if action == "ChangeConfiguration":
                    self.asked.append(payload)
                    self._socket.send(json.dumps([3, number, {"status": self._status}]))
                else:
                    self._socket.send(json.dumps([4, number, "NotSupported", "", {}]))
        except ConnectionClosed:
            pass


class Terminal:
    """Types commands for one data folder, with the settings of its server."""

    def __init__(self, data_dir: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any, **settings: object) -> None:
        self.data_dir = data_dir
        self._monkeypatch = monkeypatch
        self._capfd = capfd
        for name, value in environment(data_dir, **settings).items():
            if name.startswith("EVQUOTA_"):
                monkeypatch.setenv(name, value)

    def type(self, *arguments: str, given: bytes = b"") -> tuple[int, str, str]:
        """Exit code, what it printed, and what it printed to standard error."""
        self._monkeypatch.setattr(sys, "argv", ["ocpp_server", "chargers", *arguments])
        self._monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
        self._capfd.readouterr()
        try:
            status = __main__.main()
        except SystemExit as end:
            status = int(end.code or 0)
        printed = self._capfd.readouterr()
        return status, printed.out, printed.err

    def done(self, *arguments: str, given: bytes = b"") -> str:
        """What the command says when it did it."""
        status, out, err = self.type(*arguments, given=given)
        assert (status, err) == (0, "")
        return out

    def refused(self, *arguments: str, given: bytes = b"") -> str:
        """What it says when it did not: exit code 2, and nothing on standard output."""
        status, out, err = self.type(*arguments, given=given)
        assert (status, out) == (2, "")
        return err

    def listed(self) -> dict[str, dict[str, Any]]:
        """`chargers list --json` by id."""
        return {one["id"]: one for one in json.loads(self.done("list", "--json"))}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server behind a proxy, started by somebody with a careless umask; each test has charge points of its own."""
    previous = os.umask(0)
    try:
        server = ServerProcess(make_site(tmp_path_factory.mktemp("running") / "data"), **PROXY).started()
    finally:
        os.umask(previous)
    yield server
    assert server.stop() == 0


@pytest.fixture(scope="module")
def stopped_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site at which CP1 charged once and which was stopped in order; everybody was let in."""
    site = make_site(tmp_path_factory.mktemp("stopped") / "data")
    with ServerProcess(site, charger_admission="open") as server:
        with OcppCaller(server.url, "CP1") as charge_point:
            charge_point.charge("RFID001", 1000)
        assert server.stop() == 0
    (site / "reserve.bin").unlink()
    return site


@pytest.fixture
def site(stopped_site: Path, tmp_path: Path) -> Path:
    """A copy of it, on which no server runs."""
    return Path(shutil.copytree(stopped_site, tmp_path / "data"))


@pytest.fixture
def at_server(server: ServerProcess, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> Terminal:
    return Terminal(server.data_dir, monkeypatch, capfd, **server.settings)


@pytest.fixture
def at_site(site: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> Terminal:
    return Terminal(site, monkeypatch, capfd)


def password_in(words: str) -> str:
    (password,) = re.findall(r"^password: ([0-9a-f]{40})$", words, re.MULTILINE)
    return str(password)


# --- while a server runs ---------------------------------------------------------------------------------------------


def test_a_charge_point_that_waits_stands_first_and_is_approved_by_the_line_shown(
    server: ServerProcess, at_server: Terminal
) -> None:
    """The table says how; afterwards there is a row in chargers.csv."""
    at_server.done("approve", "HERE1")
    assert handshake(server, "GARAGE/Z1") == 101
    with SiteCharger(server, "HERE1") as here:
        here.boot()
        table = at_server.done("list").splitlines()

    assert re.split("  +", table[0]) == [
        *("ID", "ADMISSION", "CONNECTED", "PROFILE", "LEAST", "KEY", "ADDRESS", "VENDOR AND MODEL", "LAST SEEN")
    ]
    assert table[1].split()[:7] == ["GARAGE/Z1", "pending", "no", "0", "0", "no", SITE_ADDRESS]
    here_row = re.compile(rf"HERE1 +approved +yes +0 +0 +no +{SITE_ADDRESS} +Acme One +\d{{4}}-\d\d-\d\d \d\d:")
    assert [line for line in table if here_row.match(line)]
    assert table[-2] == "1 waiting for approval. To let one in:"
    words = table[-1].partition(" -m ocpp_server chargers ")[2].split()
    assert words == ["approve", "GARAGE/Z1"]

    approved = at_server.done(*words)

    assert approved == "GARAGE/Z1 is approved\n- a row for it was added to chargers.csv\n"
    assert at_server.listed()["GARAGE/Z1"]["admission"] == "approved"
    assert "GARAGE/Z1,,,,,,,,approved 20" in (server.data_dir / "chargers.csv").read_text()


def test_a_password_lets_in_and_nothing_else_does(server: ServerProcess, at_server: Terminal) -> None:
    """Profile 1; the key is printed once, and stands in no file, no log and no list."""
    at_server.done("approve", "KEYED")
    assert handshake(server, "KEYED") == 101

    words = at_server.done("set-password", "KEYED")
    password = password_in(words)

    assert words.count(password) == 1
    assert [handshake(server, "KEYED", key) for key in (password, None, KEY)] == [101, 401, 401]
    assert at_server.listed()["KEYED"]["has_key"] is True
    assert password not in server.output()
    for path in server.data_dir.rglob("*"):
        assert not path.is_file() or password.encode() not in path.read_bytes(), path

    at_server.done("set-password", "KEYED", "--remove")
    assert handshake(server, "KEYED") == 101


@pytest.mark.parametrize("given", [b"", b"short\n", b"x" * 65, b"\xff" * 20, b"a key with a \t tab in it\n"])
def test_a_weak_password_is_refused(at_server: Terminal, given: bytes) -> None:
    """One sentence, in which it does not stand."""
    words = at_server.refused("set-password", "STDIN0", "--stdin", given=given)

    assert words.startswith("not done: a key has 16 to 64 letters")
    assert "tab in it" not in words
    assert "STDIN0" not in at_server.listed()


def test_a_password_of_ones_own_comes_from_standard_input(server: ServerProcess, at_server: Terminal) -> None:
    """Never from the arguments, which everybody on the machine can read; it is not repeated."""
    words = at_server.done("set-password", "STDIN1", "--stdin", given=KEY.encode() + b"\r\n")

    assert KEY not in words
    assert [handshake(server, "STDIN1", key) for key in (KEY, None)] == [101, 401]
    assert at_server.refused("set-password", "STDIN1", KEY).startswith("usage:")


@pytest.mark.parametrize("status", ["Accepted", "RebootRequired"])
def test_a_password_is_sent_to_the_charge_point(server: ServerProcess, at_server: Terminal, status: str) -> None:
    """ChangeConfiguration AuthorizationKey; once it answered, the line without the key is closed (A01.FR.03)."""
    name = f"SENT-{status}"
    at_server.done("approve", name)
    with AnsweringCharger(server, name, status) as charger:
        words = at_server.done("set-password", name, "--send")
        assert charger.closed() == 1008
    password = password_in(words)

    assert {"key": "AuthorizationKey", "value": password} in charger.asked
    assert ("restart it" in words) == (status == "RebootRequired")
    assert [handshake(server, name, key) for key in (password, None)] == [101, 401]
    assert password not in server.output()


def test_a_password_that_the_charge_point_refuses_changes_nothing(server: ServerProcess, at_server: Terminal) -> None:
    """The old state counts (A01.FR.04), and its line stays."""
    at_server.done("approve", "SENT2")
    with AnsweringCharger(server, "SENT2", "NotSupported"):
        words = at_server.refused("set-password", "SENT2", "--send")
        of_sent2 = at_server.listed()["SENT2"]

    assert words == "not done: SENT2 did not take the key (NotSupported): the old one counts\n"
    assert (of_sent2["has_key"], of_sent2["connected"]) == (False, True)


def test_a_password_that_may_have_been_taken_is_printed(server: ServerProcess, at_server: Terminal) -> None:
    """An answer that cannot be read: exit code 2, and the key, for the case that it has it."""
    at_server.done("approve", "SENT3")
    with AnsweringCharger(server, "SENT3", "") as charger:
        status, out, err = at_server.type("set-password", "SENT3", "--send")

    assert status == 2
    assert "perhaps it took the key" in err
    sent = [one["value"] for one in charger.asked if one["key"] == "AuthorizationKey"]
    assert sent == [password_in(out)]
    assert at_server.listed()["SENT3"]["has_key"] is False


def test_a_lock_ends_the_connection_and_tells_of_its_session(server: ServerProcess, at_server: Terminal) -> None:
    """1008, then 404; forget must wait for the session; an approval lets it report its energy."""
    at_server.done("approve", "LOCK1")
    with SiteCharger(server, "LOCK1") as charge_point:
        charge_point.boot()
        number = charge_point.start("RFID001", 1000)
        words = at_server.done("lock", "LOCK1")
        assert charge_point.close_code() == 1008

    assert words.startswith(f"LOCK1 is locked\n- session {number} runs on connector 1: its energy cannot be reported")
    assert handshake(server, "LOCK1") == 404
    assert at_server.refused("forget", "LOCK1") == "not done: a session runs on LOCK1: stop it first\n"
    at_server.done("approve", "LOCK1")
    with SiteCharger(server, "LOCK1") as charge_point:
        charge_point.stop(number, 1500)
    assert at_server.done("forget", "LOCK1") == "LOCK1 is forgotten\n"
    assert "LOCK1" not in at_server.listed()


def test_a_mistyped_id_is_seen(at_server: Terminal) -> None:
    """forget finds the one that was meant; approve makes a new one and says so."""
    at_server.done("approve", "TYPING_01")

    words = at_server.refused("forget", "TYPING_1")
    assert words == "not done: there is no charge point TYPING_1: did you mean TYPING_01?\n"
    words = at_server.done("approve", "TYPING_1", "--min-profile", "1")
    assert "did you mean TYPING_01 (approved)? Then forget this one" in words
    assert "it has no key yet: set a password" in words


@pytest.mark.parametrize("name", ["a b", "a/b/c/d", "..", "x" * 49, "caf\u00e9", ""])
def test_what_is_no_id_is_refused(at_server: Terminal, name: str) -> None:
    """With what was expected."""
    assert "expected one to 3 parts of letters" in at_server.refused("approve", name)


def test_what_charge_points_say_cannot_steer_the_terminal(server: ServerProcess, at_server: Terminal) -> None:
    """An escape sequence in a vendor's name."""
    at_server.done("approve", "ESC1")
    with SiteCharger(server, "ESC1") as charge_point:
        charge_point.call("BootNotification", chargePointVendor="\x1b[2J\x07Evil", chargePointModel="a\nb")
        table = at_server.done("list")

    assert "Evil" in table
    assert table.replace("\n", "").isprintable()


def test_the_secret_of_the_control_api_is_made_for_this_user_and_not_told(
    server: ServerProcess, at_server: Terminal
) -> None:
    """T19, T23: 0600, in no log; nothing in the folder is open to others, whatever the umask of the start."""
    at_server.done("approve", "MODES1")
    token = (server.data_dir / "api_token").read_text().strip()
    modes = {path.name: stat.S_IMODE(path.lstat().st_mode) for path in server.data_dir.rglob("*")}

    assert len(token) >= 40
    assert modes.pop("users1.csv") == 0o666  # the administrator's own
    assert modes["api_token"] == 0o600
    assert {name: oct(mode) for name, mode in modes.items() if mode & 0o007} == {}
    assert token not in server.output()


# --- while none runs -------------------------------------------------------------------------------------------------


def test_the_same_deeds_work_in_the_ledger(site: Path, at_site: Terminal) -> None:
    """Approve, lock, forget, a password: the next start finds them, and the books add up."""
    at_site.done("approve", "NEW/1", "--min-profile", "1")
    password = password_in(at_site.done("set-password", "NEW/1"))
    at_site.done("lock", "CP1")
    at_site.done("approve", "GONE")
    at_site.done("forget", "GONE")

    assert {name: one["admission"] for name, one in at_site.listed().items()} == {"NEW/1": "approved", "CP1": "locked"}
    assert verify(site / "ledger.db", site) == []
    with ServerProcess(site, **PROXY) as server:
        assert [handshake(server, "NEW/1", key) for key in (password, None)] == [101, 401]
        assert [handshake(server, name) for name in ("CP1", "GONE")] == [404, 101]


def test_chargers_csv_counts_as_it_is_now(site: Path, at_site: Terminal) -> None:
    """Edited while the server was stopped; approving turns its row."""
    (site / "chargers.csv").write_text("charger_id,approved\nCP1,no\n")
    assert at_site.listed()["CP1"]["admission"] == "locked"

    words = at_site.done("approve", "CP1")

    assert words == "CP1 is approved\n- its row in chargers.csv says so now\n"
    assert (site / "chargers.csv").read_text() == "charger_id,approved\nCP1,TRUE\n"


def test_a_chargers_csv_that_cannot_be_read_hinders_nothing(site: Path, at_site: Terminal) -> None:
    """The approval counts; the remark says what was left."""
    (site / "chargers.csv").write_bytes(b"\0")

    words = at_site.done("approve", "CP1")

    assert words.startswith("CP1 is approved\n- chargers.csv was not changed: ")
    assert (site / "chargers.csv").read_bytes() == b"\0"


def test_a_new_site_has_nobody(at_site: Terminal) -> None:
    """Said in words; for programs an empty list."""
    at_site.done("forget", "CP1")

    assert at_site.done("list") == "no charge point was here yet\n"
    assert at_site.listed() == {}


def test_nothing_is_sent_while_no_server_runs(at_site: Terminal) -> None:
    """One sentence."""
    words = at_site.refused("set-password", "CP1", "--send")

    assert words == "not done: CP1 is not connected: nothing was sent\n"


def test_a_session_that_was_open_keeps_its_charge_point(site: Path, at_site: Terminal) -> None:
    """Also when the server was killed in the middle of it."""
    with ServerProcess(site) as server:
        with OcppCaller(server.url, "CP1") as charge_point:
            charge_point.boot()
            charge_point.start("RFID001", 5000)
        server.kill()

    assert at_site.refused("forget", "CP1") == "not done: a session runs on CP1: stop it first\n"
    assert (at_site.listed()["CP1"]["sessions"], at_site.listed()["CP1"]["connected"]) == (1, False)


def test_a_mistyped_folder_stays_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    """No ledger is made."""
    words = Terminal(tmp_path / "data", monkeypatch, capfd).refused("list")

    assert "there is no ledger" in words
    assert not (tmp_path / "data").exists()


def test_options_that_exclude_each_other_are_refused(at_site: Terminal) -> None:
    """Nothing is done by halves."""
    assert "exclude each other" in at_site.refused("set-password", "CP1", "--remove", "--send")
    assert "not allowed with" in at_site.refused("set-password", "CP1", "--remove", "--stdin")
    assert "invalid choice" in at_site.refused("approve", "CP1", "--min-profile", "4")


# --- what a start says -----------------------------------------------------------------------------------------------


SAID = {
    UnknownChargePoints.OPEN: ("WARNING", "every charge point of the site's networks is let in"),
    UnknownChargePoints.LOCKED: ("INFO", "unknown charge points are refused"),
    UnknownChargePoints.PENDING: None,
}


@pytest.mark.parametrize(("policy", "said"), SAID.items())
def test_who_is_let_in_unasked_is_said(
    caplog: pytest.LogCaptureFixture, policy: UnknownChargePoints, said: tuple[str, str] | None
) -> None:
    """open is a warning, locked a line; pending is how it ought to be."""
    caplog.set_level(logging.INFO)
    app._log_admission(Settings(charger_admission=policy))
    lines = [(record.levelname, record.getMessage().partition(":")[0]) for record in caplog.records]

    assert lines == ([] if said is None else [(said[0], f"[CONNECT] {said[1]}")])


def test_it_is_said_at_the_start(stopped_site: Path) -> None:
    """In the log that people read."""
    log = stopped_site.with_name("data.log").read_text()

    assert log.count("WARNING [CONNECT] every charge point of the site's networks is let in") == 1
