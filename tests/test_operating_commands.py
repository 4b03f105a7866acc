"""`status`, `stop`, `command` and `token`: exit codes, words, and what the charge point was asked."""

import json
import stat
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent / "crash"))

from server_process import ServerProcess, make_site, until
from typed_commands import AnsweringCharger, Keyboard

from ocpp_server.control_api.token import VIEWER_TOKEN_FILE, make_token, read_token
from ocpp_server.core.site import Policy
from ocpp_server.storage.ledger import Ledger
from ocpp_server.terminal import table

ANSWERS = {
    "GetConfiguration": {"configurationKey": [{"key": "HeartbeatInterval", "readonly": False, "value": "60\u001b[2J"}]},
    "Reset": {"status": "Rejected"},
    "ChangeAvailability": {"status": "Scheduled"},
    "UnlockConnector": {"status": "UnlockFailed"},
    "RemoteStopTransaction": {"status": "Accepted"},
    "ClearCache": "InternalError",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that runs."""
    site = make_site(tmp_path_factory.mktemp("running") / "data")
    server = ServerProcess(site, configure_charge_points="false").started()  # it asks for nothing on its own
    yield server
    assert server.stop() == 0


@pytest.fixture(scope="module")
def charging(server: ServerProcess) -> Iterator[tuple[AnsweringCharger, int]]:
    """CP/1, which charges, and the number of its session."""
    with AnsweringCharger(server.url, "CP/1", ANSWERS) as charger:
        begin = {"connectorId": 1, "idTag": "RFID002", "meterStart": 0, "timestamp": datetime.now(UTC).isoformat()}
        number = charger.call("StartTransaction", begin)["transactionId"]
        charger.listen()
        yield charger, number


@pytest.fixture(scope="module")
def idle(server: ServerProcess) -> Iterator[AnsweringCharger]:
    """CP/2, where no session has just begun: a call to it need not wait (rule 27)."""
    with AnsweringCharger(server.url, "CP/2", ANSWERS) as charger:
        charger.listen()
        yield charger


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Keyboard:
    """To type commands."""
    return Keyboard(monkeypatch, capfd)


# --- status ----------------------------------------------------------------------------------------------------------


def test_status_shows_who_is_connected_and_who_charges(server: ServerProcess, charging: Any, keys: Keyboard) -> None:
    """Exit code 0, for people and for programs."""
    _, number = charging

    status, out, err = keys(server.data_dir, "status", "--json", **server.settings)
    told = json.loads(out)
    _, shown, _ = keys(server.data_dir, "status", **server.settings)

    assert (status, err) == (0, "")
    assert (told["running"], told["health"], told["connected"]) == (True, "ok", ["CP/1"])
    assert [(one["transaction"], one["id_tag"]) for one in told["sessions"]] == [(number, "RFID002")]
    assert "all is well" in shown
    assert "1 charge points connected: CP/1" in shown
    assert str(number) in shown


def test_status_says_that_a_server_does_not_answer(server: ServerProcess, charging: Any, keys: Keyboard) -> None:
    """The folder is in use, and nobody listens at that port: exit code 1; what the ledger knows is shown."""
    status, out, _ = keys(server.data_dir, "status", **{**server.settings, "api_port": 1})

    assert status == 1
    assert "does not answer" in out
    assert "1 sessions" in out


def test_status_without_a_site_makes_none(tmp_path: Path, keys: Keyboard) -> None:
    """Exit code 2 and one sentence."""
    status, out, err = keys(tmp_path / "data", "status")

    assert (status, out) == (2, "")
    assert "there is no ledger" in err
    assert not (tmp_path / "data").exists()


# --- stop and command ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "payload", "status", "words"),
    [
        ("GetConfiguration", '{"key": ["HeartbeatInterval"]}', 0, '"value": "60\\u001b[2J"'),
        ("ChangeAvailability", '{"connectorId": 1, "type": "Inoperative"}', 0, "Scheduled"),
        ("Reset", '{"type": "Soft"}', 1, "Rejected"),
        ("UnlockConnector", '{"connectorId": 1}', 1, "UnlockFailed"),
        ("ClearCache", "{}", 1, "CALLERROR InternalError no"),
        ("TriggerMessage", '{"requestedMessage": "Heartbeat"}', 1, "CALLERROR NotSupported no"),
    ],
)
def test_command_prints_what_the_charge_point_answered(
    server: ServerProcess, idle: AnsweringCharger, keys: Keyboard, action: str, payload: str, status: int, words: str
) -> None:
    """0 for a yes, 1 for a no of whatever kind; the call came with this payload; nothing steers the terminal."""
    found, out, err = keys(server.data_dir, "command", "CP/2", action, payload, **server.settings)

    assert (found, err) == (status, "")
    assert words in out
    assert "\x1b" not in out
    assert idle.asked[-1] == (action, json.loads(payload))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["CP/2", "Nope"], "Nope is no call"),
        (["CP/2", "Reset", '{"type": "Maybe"}'], "type"),
        (["CP/2", "Reset", "{type: Soft}"], "the payload is no JSON"),
        (["CP/2", "Reset", "[1]"], "must be a JSON object"),
        (["CP3", "Reset", '{"type": "Soft"}'], "CP3"),
    ],
)
def test_command_says_why_nothing_was_sent(
    server: ServerProcess, idle: AnsweringCharger, keys: Keyboard, arguments: list[str], words: str
) -> None:
    """Exit code 2 and one sentence."""
    before = len(idle.asked)

    status, out, err = keys(server.data_dir, "command", *arguments, **server.settings)

    assert (status, out) == (2, "")
    assert words in err
    assert len(idle.asked) == before


def test_command_reads_its_payload_from_standard_input(
    server: ServerProcess, idle: AnsweringCharger, keys: Keyboard
) -> None:
    """What is long, or should not stand in the list of processes; `--json` gives the answer whole."""
    typed = keys(
        server.data_dir, "command", "CP/2", "Reset", "-", "--json", given='{"type": "Hard"}', **server.settings
    )

    status, out, _ = typed
    assert status == 1
    assert json.loads(out)["payload"] == {"status": "Rejected"}
    assert idle.asked[-1] == ("Reset", {"type": "Hard"})


def test_stop_has_the_charge_point_asked(server: ServerProcess, charging: Any, keys: Keyboard) -> None:
    """Ordered now; the server asks the charge point by itself."""
    charger, number = charging

    status, out, err = keys(server.data_dir, "stop", number, **server.settings)

    assert (status, err) == (0, "")
    assert f"session {number} is ordered" in out
    until(lambda: ("RemoteStopTransaction", {"transactionId": number}) in charger.asked, "the charge point is asked")


def test_stop_of_no_session_says_so(server: ServerProcess, keys: Keyboard) -> None:
    """Exit code 2, also for what is no number."""
    unknown = keys(server.data_dir, "stop", "1", **server.settings)
    nonsense = keys(server.data_dir, "stop", "one", **server.settings)

    assert unknown == (2, "", "not stopped: no open transaction 1\n")
    assert nonsense[0] == 2
    assert "'one' is no number of a session" in nonsense[2]


# --- without a server ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stopped_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site whose server is not there: a ledger and a token."""
    site = make_site(tmp_path_factory.mktemp("stopped") / "data")
    ledger = Ledger(site / "ledger.db", Policy(ZoneInfo("UTC")), datetime.now(UTC), reserve_bytes=0)
    ledger.open()
    ledger.close()
    make_token(site)
    return site


@pytest.mark.parametrize("arguments", [["stop", "7"], ["command", "CP1", "Reset"]], ids=["stop", "command"])
def test_what_needs_a_server_says_so(stopped_site: Path, keys: Keyboard, arguments: list[str]) -> None:
    """Exit code 2; nothing is queued for later."""
    status, out, err = keys(stopped_site, *arguments)

    assert (status, out) == (2, "")
    assert "no server runs" in err


def test_status_without_a_server_shows_what_was_left(stopped_site: Path, keys: Keyboard) -> None:
    """Exit code 1."""
    status, out, err = keys(stopped_site, "status")

    assert (status, err) == (1, "")
    assert out.startswith("no server runs on this data folder")


def test_token_says_where_it_is_and_shows_it_only_when_asked(stopped_site: Path, keys: Keyboard) -> None:
    """The file is what programs read; the token itself stays off the screen."""
    secret = (stopped_site / "api_token").read_text().strip()

    hidden = keys(stopped_site, "token")
    shown = keys(stopped_site, "token", "--show")

    assert hidden == (0, f"{stopped_site / 'api_token'}\n", "")
    assert shown == (0, f"{secret}\n", "")


def test_the_viewers_token_is_another_one(tmp_path: Path, keys: Keyboard) -> None:
    """`--viewer` shows and makes that one, and leaves the operator's alone."""
    operators = make_token(tmp_path)
    made = keys(tmp_path, "token", "--viewer", "--new", "--show")

    assert made == (0, f"{read_token(tmp_path, VIEWER_TOKEN_FILE)}\n", "")
    assert read_token(tmp_path) == operators != made[1].strip()


def test_a_new_token_counts_from_the_next_start(server: ServerProcess, keys: Keyboard) -> None:
    """The running server keeps the old one, and the command says so; the file is still for its user alone."""
    path = server.data_dir / "api_token"
    old = path.read_bytes()

    status, out, err = keys(server.data_dir, "token", "--new", "--show", **server.settings)
    mode = stat.S_IMODE(path.stat().st_mode)
    refused = keys(server.data_dir, "stop", "1", **server.settings)
    path.write_bytes(old)

    assert status == 0
    assert out.encode() != old
    assert "restart it" in err
    assert mode == 0o600
    assert refused[0] == 2


def test_there_is_no_token_before_the_first_start(tmp_path: Path, keys: Keyboard) -> None:
    """Exit code 2; `--new` makes one in a folder that is there, and no folder."""
    missing = keys(tmp_path, "token")
    made = keys(tmp_path, "token", "--new")
    nowhere = keys(tmp_path / "typo", "token", "--new")

    assert missing[0] == 2
    assert "--new" in missing[2]
    assert made == (0, f"{tmp_path / 'api_token'}\n", "")
    assert nowhere[0] == 2
    assert not (tmp_path / "typo").exists()


def test_a_table_is_as_wide_as_its_cells() -> None:
    """Numbers to the right, nothing that steers the terminal."""
    shown = table(("TAG", "KWH"), [("A", 1.5), ("B\x1b[2J", 100.25), (None, None)])

    assert shown.splitlines() == ["TAG           KWH", "A           1.500", r"B\x1b[2J  100.250", "-               -"]
