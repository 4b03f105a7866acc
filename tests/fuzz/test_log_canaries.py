"""No secret and no whole tag in the log of a real server, nor a secret in its files or its command line (T16)."""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from canaries import CANARY_KEY, CANARY_SECRET, trace_in
from server_process import LIMIT_S, PROJECT, ServerProcess, environment, make_site, until
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

KNOWN, UNKNOWN, BROKEN = "KNOWNTAG-0815-A1B2", "UNKNOWNTAG-4711-C3D4", "BROKENTAG-2342-E5F6"
USERS = f"id_tag,name,surname,quota_kwh,unlimited\n{KNOWN},John,Doe,150,FALSE\n"
CONFIGURATION = [
    {"key": "AuthorizationKey", "readonly": False, "value": CANARY_KEY},
    {"key": "WifiPassword", "readonly": False, "value": CANARY_SECRET},
    {"key": "APN_PWD", "readonly": False, "value": CANARY_SECRET},
    {"key": "MeterValueSampleInterval", "readonly": False, "value": "60"},
]


def basic(name: str, password: bytes) -> dict[str, str]:
    return {"Authorization": "Basic " + b64encode(name.encode() + b":" + password).decode()}


class TalkativeChargePoint:
    """Answers what the server asks with all it has, until the answer to its own call comes."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.keys: list[str] = []
        """What the server changed."""

    def call(self, action: str, payload: dict[str, Any]) -> list[Any]:
        self.socket.send(json.dumps([2, action, action, payload]))
        return self.serve(action)

    def serve(self, until_id: str) -> list[Any]:
        """Answer calls until a frame with this id comes."""
        while True:
            frame: list[Any] = json.loads(self.socket.recv(LIMIT_S))
            if frame[1] == until_id:
                return frame
            assert frame[0] == 2, frame
            if frame[2] == "ChangeConfiguration":
                self.keys.append(frame[3]["key"])
            answers = {
                "GetConfiguration": {"configurationKey": CONFIGURATION},
                "ChangeConfiguration": {"status": "Accepted"},
            }
            self.socket.send(json.dumps([3, frame[1], answers.get(frame[2], {"status": "Rejected"})]))
            if f"asked-{frame[2]}" == until_id:
                return frame


@contextmanager
def connected(url: str, headers: dict[str, str] | None = None) -> Iterator[TalkativeChargePoint]:
    with connect(
        url, subprotocols=["ocpp1.6"], compression=None, proxy=None, additional_headers=headers, close_timeout=2
    ) as socket:
        yield TalkativeChargePoint(socket)


def refused(url: str, headers: dict[str, str] | None = None) -> int:
    with pytest.raises(InvalidStatus) as refusal, connected(url, headers):
        pass
    return refusal.value.response.status_code


def set_password(server: ServerProcess, charge_point_id: str, password: str, *more: str) -> str:
    """`chargers set-password ID --stdin`; gives what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "ocpp_server", "chargers", "set-password", charge_point_id, "--stdin", *more],
        cwd=PROJECT,
        env=environment(server.data_dir, **server.settings),
        input=password + "\n",
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def a_session(charge_point: TalkativeChargePoint) -> None:
    """A day of a charge point that says too much."""
    now = datetime.now(UTC).isoformat()
    boot = {"chargePointVendor": "Generic", "chargePointModel": "AC-22", "iccid": CANARY_SECRET, "imsi": CANARY_SECRET}
    charge_point.call("BootNotification", boot)
    charge_point.serve("asked-GetConfiguration")
    for tag in (KNOWN, UNKNOWN, KNOWN.lower()):
        charge_point.call("Authorize", {"idTag": tag})
    for tag in (UNKNOWN, KNOWN):
        start = {"connectorId": 1, "idTag": tag, "meterStart": 1000, "timestamp": now, "password": CANARY_SECRET}
        number = charge_point.call("StartTransaction", start)[2]["transactionId"]
        value = [{"timestamp": now, "sampledValue": [{"value": "1010"}, {"value": "?", "unit": "Wh"}]}]
        charge_point.call("MeterValues", {"connectorId": 1, "transactionId": number, "meterValue": value})
        charge_point.call(
            "StopTransaction", {"transactionId": number, "meterStop": 1020, "timestamp": now, "idTag": tag}
        )
    charge_point.call("StopTransaction", {"transactionId": 4711, "meterStop": 1, "timestamp": now, "idTag": UNKNOWN})
    charge_point.call("DataTransfer", {"vendorId": "V", "messageId": "M", "data": f"idTag={KNOWN} key={CANARY_SECRET}"})
    charge_point.call("DataTransfer", {"vendorId": "V", "data": {"password": CANARY_SECRET, "key": CANARY_KEY}})
    charge_point.call("SignCertificate", {"csr": CANARY_SECRET})
    for broken in (
        f'[2,"b1","Authorize",{{"idTag":"{BROKEN}"',
        f'[2,"b1","Authorize",["{BROKEN}","{CANARY_SECRET}"]]',
        f'[2,"b1",["{CANARY_SECRET}"],{{}}]',
        f'[2,"b1","DataTransfer",{{"data":{{"AuthorizationKey":"{CANARY_KEY}"}}]',
    ):
        charge_point.socket.send(broken)
        assert charge_point.serve("b1")[0] == 4
    for stray in (f'{{"AuthorizationKey":"{CANARY_KEY}"}}', f'[3,"{CANARY_SECRET}",{{"status":"{CANARY_SECRET}"}}]'):
        charge_point.socket.send(stray)
    charge_point.call("Heartbeat", {})


def knock(server: ServerProcess) -> None:
    """Handshakes with secrets in every place, most of them refused."""
    assert refused(f"{server.url}/KEYED", basic("KEYED", CANARY_SECRET.encode())) == 401
    assert refused(f"{server.url}/KEYED?password={CANARY_SECRET}") == 401
    assert refused(f"{server.url}/KEYED", {"Authorization": f"Bearer {CANARY_SECRET}"}) == 401
    assert refused(f"{server.url}/a/b/c/d/e?password={CANARY_SECRET}&key={CANARY_KEY}") in (400, 404)
    assert refused(f"{server.url}/?password={CANARY_SECRET}") in (400, 404)
    for key in (CANARY_KEY.encode(), bytes.fromhex(CANARY_KEY), CANARY_KEY.upper().encode()):
        with connected(f"{server.url}/KEYED", basic("KEYED", key)) as charge_point:
            charge_point.call("Heartbeat", {})
    with connected(f"{server.url}/OPEN?password={CANARY_SECRET}", basic("OPEN", CANARY_KEY.encode())) as charge_point:
        charge_point.call("Heartbeat", {})


def ask_api(server: ServerProcess, token: str) -> int:
    """A request to the control API; gives the status."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.api_port}/api/v1/adjustments?token={CANARY_SECRET}",
        data=json.dumps({"id_tag": KNOWN, "kwh": 1, "reason": "test"}).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=LIMIT_S) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def texts_of(folder: Path) -> Iterator[tuple[str, str]]:
    """Every file of the data folder but people's own and the ledger: name and content."""
    for path in folder.rglob("*"):
        if path.is_file() and path.name not in ("users1.csv", "api_token") and not path.name.startswith("ledger"):
            yield path.name, path.read_bytes().decode("utf-8", "replace")


@pytest.mark.parametrize("level", ["DEBUG", pytest.param("INFO", marks=pytest.mark.prove)])
def test_a_day_with_planted_secrets_leaves_no_trace(tmp_path: Path, level: str) -> None:
    """T16: keys, passwords and tokens are nowhere; of an id tag the log has the last four signs."""
    with ServerProcess(make_site(tmp_path / "data", USERS), log_level=level) as server:
        assert trace_in(set_password(server, "KEYED", CANARY_KEY)) is None
        knock(server)
        with connected(f"{server.url}/OPEN") as charge_point:
            a_session(charge_point)
        token = (server.data_dir / "api_token").read_text().strip()
        assert ask_api(server, CANARY_SECRET) == 401
        assert ask_api(server, token) == 201
        assert server.process is not None
        command_line = Path(f"/proc/{server.process.pid}/cmdline").read_bytes().decode()
        charger_status = server.data_dir / "charger_status.json"
        until(lambda: "MeterValueSampleInterval" in charger_status.read_text(), "the configuration is published")
        until(lambda: UNKNOWN in (server.data_dir / "users_report.json").read_text(), "the refusal is published")
        assert server.stop() == 0
        log = server.output()

    assert trace_in(command_line) is None
    assert trace_in(log) is None
    assert token not in log + command_line
    for tag in (KNOWN, UNKNOWN, BROKEN):
        assert tag.casefold() not in log.casefold()
    assert "tag=…A1B2" in log
    for name, text in texts_of(server.data_dir):
        assert trace_in(text) is None, name
        assert token not in text, name
