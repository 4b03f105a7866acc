"""The message log where it could hurt: full disks, full queues, strangers, kills, and secrets in disguise."""

import errno
import logging
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from canaries import CANARY_SECRET
from hypothesis import given
from hypothesis import strategies as st
from turned_clock import TurnedClock

from ocpp_server.core.changes import PutChargePoint, RemoveChargePoint
from ocpp_server.core.records import Admission, ChargePoint
from ocpp_server.core.site import Policy, Site, apply
from ocpp_server.ocpp16 import message_log, redaction
from ocpp_server.ocpp16.message_log import MessageLog
from ocpp_server.storage import message_files
from ocpp_server.storage.message_files import MessageFiles

NOW = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
HEARTBEAT = b'[2,"1","Heartbeat",{}]'


def site_with(**admissions: Admission) -> Site:
    """A site that knows these charge points."""
    site = Site(Policy(ZoneInfo("UTC")))
    for name, admission in admissions.items():
        apply(site, PutChargePoint(ChargePoint(name, NOW, admission=admission)))
    return site


class Kept:
    """A message log on a folder."""

    def __init__(self, folder: Path, **admissions: Admission) -> None:
        self.folder = folder
        self.site = site_with(**(admissions or {"CP1": Admission.APPROVED}))
        self.log = MessageLog(MessageFiles(folder), self.site, TurnedClock(NOW))

    def record(self, raw: bytes = HEARTBEAT, charge_point_id: str = "CP1", times: int = 1) -> None:
        for _ in range(times):
            self.log.record(charge_point_id, raw, is_received=True)

    def numbers(self, charge_point_id: str = "CP1") -> list[int]:
        return [one.number for one in self.log.page(charge_point_id, None, 100_000)]

    def bytes_on_disk(self) -> list[int]:
        return sorted(path.stat().st_size for path in self.folder.glob("*"))


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path / "messages")


def test_two_files_of_bounded_size_are_kept(kept: Kept) -> None:
    """The newest messages, numbered on; the oldest go."""
    frame = b'[2,"1","DataTransfer",{"vendorId":"V","data":"%b"}]' % (b"x" * 10_000)
    for _ in range(5):
        kept.record(frame, times=100)
        kept.log.flush()

    numbers = kept.numbers()
    assert len(kept.bytes_on_disk()) == 2
    assert max(kept.bytes_on_disk()) <= message_files.MOST_BYTES
    assert numbers == list(range(500, 500 - len(numbers), -1))
    assert 100 <= len(numbers) < 200


def test_who_is_not_approved_gets_little_room_and_a_stranger_none(tmp_path: Path) -> None:
    """Nobody fills the disk with names that he makes up."""
    kept = Kept(tmp_path / "messages", CP1=Admission.PENDING)
    kept.record(times=2000)
    kept.record(charge_point_id="STRANGER", times=10)
    kept.log.flush()

    assert len(kept.bytes_on_disk()) == 2
    assert max(kept.bytes_on_disk()) <= 50_000
    assert kept.numbers("STRANGER") == []


def test_what_waits_is_bounded_in_number_and_in_bytes(kept: Kept) -> None:
    """A thread that hangs costs messages of the log, no memory; they are counted."""
    kept.record(times=10_010)
    assert kept.log.dropped == 10
    kept.log.flush()
    kept.record(b"x" * 1_000_000, times=10)
    assert kept.log.dropped == 12
    kept.log.flush()
    kept.record()
    assert kept.log.dropped == 12


@pytest.mark.parametrize("fault", ["full", "nearly full", "not ours"])
def test_a_disk_that_takes_nothing_is_warned_of_once_and_it_goes_on_later(
    kept: Kept, fault: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One line when it stops, one when it goes on; half a line is never left."""
    kept.record()
    kept.log.flush()
    moment = [1000.0]
    monkeypatch.setattr(message_log.time, "monotonic", lambda: moment[0])
    with monkeypatch.context() as broken:
        break_disk(fault, broken)
        for _ in range(5):
            kept.record(times=3)
            kept.log.flush()
            moment[0] += 1
    assert kept.log.dropped == 15
    moment[0] += 60
    kept.record()

    assert kept.numbers() == [2, 1]
    lines = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert [line.partition(" error=")[0].partition(" dropped=")[0] for line in lines] == [
        "[STATUS] message log: nothing is written for now",
        "[STATUS] message log: written again",
    ]


def break_disk(fault: str, patch: pytest.MonkeyPatch) -> None:
    """Writes fail after some bytes, there is no room, or the folder is somebody else's."""
    real_write: Callable[..., int] = os.write

    def short(descriptor: int, content: Any) -> int:
        if len(content) < 100:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real_write(descriptor, bytes(content)[:-50])

    def refused(*_: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    if fault == "full":
        patch.setattr(message_files.os, "write", short)
    elif fault == "nearly full":
        patch.setattr(message_files, "_LEAST_FREE_BYTES", 1 << 62)
    else:
        patch.setattr(message_files.os, "open", refused)


def test_half_a_line_that_a_kill_left_costs_only_itself(kept: Kept) -> None:
    """The next start goes on with the next number."""
    kept.record(times=3)
    kept.log.flush()
    (path,) = kept.folder.glob("*")
    path.write_bytes(path.read_bytes()[:-10])

    again = Kept(kept.folder)
    again.record(times=2)
    assert again.numbers() == [4, 3, 2, 1]


def test_lines_that_are_none_are_passed_over(kept: Kept) -> None:
    """Somebody edited the file, or the disk did."""
    kept.record()
    kept.log.flush()
    (path,) = kept.folder.glob("*")
    path.write_bytes(b"rubbish\n\xff\xfe\n" + path.read_bytes() + b"[[[[[\n")
    kept.record()

    assert kept.numbers() == [2, 1]


async def test_a_charge_point_that_is_forgotten_is_forgotten_here_too(kept: Kept) -> None:
    """Its messages go; what was on its way then does not come back."""
    kept.record(times=3)
    kept.log.flush()
    kept.record()
    removal = RemoveChargePoint("CP1")
    apply(kept.site, removal)
    kept.log.watch([removal])
    kept.record()
    kept.log.flush()

    assert kept.bytes_on_disk() == []
    apply(kept.site, PutChargePoint(ChargePoint("CP1", NOW)))
    kept.record()
    assert kept.numbers() == [1]


def test_a_hanging_disk_holds_up_nobody_who_records(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """The event loop only hands over."""
    entered, gate = threading.Event(), threading.Event()

    def hang(_folder: Any) -> None:
        entered.set()
        gate.wait(20)

    monkeypatch.setattr(MessageFiles, "check_room", hang)
    kept.record()
    writing = threading.Thread(target=kept.log.flush)
    writing.start()
    assert entered.wait(20)
    kept.record(times=100)
    gate.set()
    writing.join(20)

    assert len(kept.numbers()) == 101


def test_a_link_in_the_folder_is_not_followed(kept: Kept, tmp_path: Path) -> None:
    """Whoever could put one there would make the server write elsewhere."""
    kept.record()
    kept.log.flush()
    (path,) = kept.folder.glob("*")
    path.unlink()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("mine\n")
    path.symlink_to(elsewhere)
    kept.record()
    kept.log.flush()

    assert elsewhere.read_text() == "mine\n"
    assert kept.log.dropped == 1


SECRETS = {
    "a key that is set": {"key": "AuthorizationKey", "value": CANARY_SECRET},
    "in other letters": {"key": "AUTHORIZATION_key", "Value": CANARY_SECRET},
    "with members of its own": {"key": "wifi.password", "value": {"text": [CANARY_SECRET]}},
    "listed": {"configurationKey": [{"key": "FreeIdTag", "readonly": True, "value": CANARY_SECRET}]},
    "a member": {"data": {"apiKey": CANARY_SECRET}},
    "deep": {"data": [[{"x": {"client-secret": CANARY_SECRET}}]]},
    "a text": {"data": f"passphrase is {CANARY_SECRET}"},
    "JSON in a text": {"data": '{"password":"' + CANARY_SECRET + '"}'},
    "named by its neighbour": {"vendorId": "V", "messageId": "SetWifiPwd", "data": CANARY_SECRET},
    "an address": {"location": f"ftp://me:{CANARY_SECRET}@host/file"},
    "a query": {"location": f"https://host/file?sig={CANARY_SECRET}&x=1"},
    "behind a name": {"key": f"password={CANARY_SECRET}"},
}


@pytest.mark.parametrize("payload", SECRETS.values(), ids=SECRETS.keys())
def test_a_secret_is_hidden_wherever_it_stands(payload: Any) -> None:
    """And is noticed before it is looked for."""
    assert CANARY_SECRET not in repr(redaction.without_secrets(payload))
    assert redaction.may_hold_secret(message_log.frames.encode_call("1", "DataTransfer", payload))


def test_what_is_no_secret_stays() -> None:
    """An operator looks for cards, connectors, addresses and the names of keys."""
    payload = {
        "idTag": "04A1B2C3D4",
        "key": ["AuthorizationKey", "HeartbeatInterval"],
        "unknownKey": ["WifiPassword"],
        "location": "ftp://host/firmware.bin",
        "connectorId": 1,
        "meterValue": [{"sampledValue": [{"value": "1.5", "unit": "kWh"}]}],
    }

    assert redaction.without_secrets(payload) == payload


@given(st.binary(max_size=300))
def test_no_bytes_stop_the_log(raw: bytes) -> None:
    """Whatever comes is an entry."""
    log = MessageLog(MessageFiles(Path("/nonexistent")), site_with(), TurnedClock(NOW))
    waiting = message_log._Waiting("CP1", raw, True, NOW, 0.0)

    (entry,) = log._entries([waiting])
    assert entry.size == len(raw)
    assert message_files._DECODER.decode(message_files._ENCODER.encode(entry)).size == len(raw)
    assert bytes(entry.frame) or entry.reason
    assert not entry.reason.startswith("cannot be kept")
