"""One connection: every action's answer, durability before the answer, garbage, and calls in the other direction."""

import asyncio
from typing import Any

import pytest
from ocpp.messages import get_validator
from ocpp.routing import on
from ocpp.v16 import ChargePoint, call, call_result
from ocpp.v16.enums import Action, RegistrationStatus
from ocpp16_doubles import LIMIT_S, Charger, Dial, Listen, RecordingCentral
from websockets.asyncio.client import connect

from ocpp_server.clock import Clock
from ocpp_server.core import commands as cmd
from ocpp_server.core.records import AuthorizationStatus, NoteKind
from ocpp_server.ocpp16.charge_point import ChargePointConnection
from ocpp_server.ocpp16.commands import RemoteCalls
from ocpp_server.ocpp16.gateway import Gateway
from ocpp_server.ocpp16.requests import check

START = {"connectorId": 1, "idTag": "RFID001", "meterStart": 1000, "timestamp": "2026-11-20T10:35:00Z"}
STOP = {"transactionId": 4711, "meterStop": 2000, "timestamp": "2026-11-20T11:35:00Z"}
METER_VALUES = {
    "connectorId": 1,
    "transactionId": 4711,
    "meterValue": [{"timestamp": "2026-11-20T10:36:00Z", "sampledValue": [{"value": "1100"}]}],
}

MESSAGES = [
    ("BootNotification", {"chargePointVendor": "V", "chargePointModel": "M"}, "BootNotification"),
    ("Heartbeat", {}, "Heartbeat"),
    ("Authorize", {"idTag": "RFID001"}, "Authorize"),
    ("StartTransaction", START, "StartTransaction"),
    ("StopTransaction", STOP, "StopTransaction"),
    ("StopTransaction", {**STOP, "idTag": "RFID001"}, "StopTransaction"),
    ("MeterValues", METER_VALUES, "MeterValues"),
    ("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Available"}, "StatusNotification"),
    ("DataTransfer", {"vendorId": "V", "data": "x"}, "RecordMessage"),
    ("DiagnosticsStatusNotification", {"status": "Uploaded"}, "RecordMessage"),
    ("FirmwareStatusNotification", {"status": "Installed"}, "RecordMessage"),
    ("LogStatusNotification", {"status": "Uploaded", "requestId": 1}, "RecordMessage"),
    ("SecurityEventNotification", {"type": "T", "timestamp": "2026-11-20T10:35:00Z"}, "SecurityEvent"),
    ("SignCertificate", {"csr": "-----BEGIN"}, "RecordMessage"),
    ("SignedFirmwareStatusNotification", {"status": "Installed", "requestId": 1}, "RecordMessage"),
]


@pytest.mark.parametrize(("action", "payload", "kind"), MESSAGES)
async def test_every_action_is_handled_and_answered_by_the_schema(
    dial: Dial, central: RecordingCentral, action: str, payload: dict[str, Any], kind: str
) -> None:
    """OCPP 1.6 §4, security white paper: the answer fits the schema that charge points check it against."""
    charger = await dial()
    answer = await charger.ask(action, payload)

    assert answer[0] == 3
    get_validator(3, action, "1.6").validate(answer[2])
    assert central.kinds == ["Connect", kind]


@pytest.mark.parametrize(("action", "payload", "kind"), MESSAGES)
async def test_extra_keys_and_wrong_types_are_answered_as_well(
    dial: Dial, central: RecordingCentral, action: str, payload: dict[str, Any], kind: str
) -> None:
    """Rule 23: a schema would refuse these, and the charge point would throw energy away (OCPP 1.6 §3.7.1)."""
    charger = await dial()
    odd: dict[str, Any] = {key: [value] for key, value in payload.items()} | {"vendorExtra": {"a": [1]}}
    for variant in (odd, {}, dict.fromkeys(payload)):
        answer = await charger.ask(action, variant)
        assert answer[0] == 3
        get_validator(3, action, "1.6").validate(answer[2])
    assert set(central.kinds) == {"Connect", kind}


async def test_what_the_central_system_decides_is_what_is_answered(dial: Dial, central: RecordingCentral) -> None:
    """OCPP 1.6 §4.1, §4.8, §4.10; seconds and Z in times (§3.14)."""
    blocked = cmd.IdTagInfo(AuthorizationStatus.BLOCKED)
    central.replies[cmd.StopTransaction] = cmd.Authorized(blocked)
    charger = await dial()
    accepted = {"status": "Accepted", "expiryDate": "2026-11-20T10:50:00Z", "parentIdTag": "ACCOUNT-1"}

    assert (await charger.ask("Authorize", {"idTag": "RFID001"}))[2] == {"idTagInfo": accepted}
    assert (await charger.ask("StartTransaction", START))[2] == {"transactionId": 4711, "idTagInfo": accepted}
    assert (await charger.ask("StopTransaction", STOP))[2] == {"idTagInfo": {"status": "Blocked"}}
    assert central.of(cmd.StartTransaction)[0].meter_start == 1000


async def test_a_boot_is_told_the_time_and_the_interval(dial: Dial, central: RecordingCentral) -> None:
    """OCPP 1.6 §4.2; an interval is always positive, else some flood us."""
    charger = await dial()
    answer = (await charger.ask("BootNotification", {"chargePointVendor": "V", "chargePointModel": "M"}))[2]
    central.replies[cmd.BootNotification] = cmd.Booted(is_accepted=False)
    pending = (await charger.ask("BootNotification", {}))[2]

    assert (answer["status"], answer["interval"]) == ("Accepted", 60)
    assert answer["currentTime"].endswith("Z")
    assert (pending["status"], pending["interval"]) == ("Pending", 60)


async def test_data_transfer_is_never_an_error(dial: Dial, central: RecordingCentral) -> None:
    """OCTT TC_064; Growatt sends energy in it, which is kept and not booked."""
    charger = await dial()
    answer = await charger.ask("DataTransfer", {"vendorId": "Growatt", "data": "kWh=12"})

    assert answer[2] == {"status": "UnknownVendorId"}
    kept = central.of(cmd.RecordMessage)[0]
    assert (kept.text, kept.said) == ("DataTransfer vendorId=Growatt", "kWh=12")


async def test_a_repeated_message_is_kept_once(dial: Dial, central: RecordingCentral) -> None:
    """AcTEC tells its firmware status every 10 s: confirmed each time, a note only when it changes."""
    charger = await dial()
    for status in ("Idle", "Idle", "Downloading", "Idle"):
        assert (await charger.ask("FirmwareStatusNotification", {"status": status}))[2] == {}

    assert [note.text.split("=")[1] for note in central.of(cmd.RecordMessage)] == ["Idle", "Downloading", "Idle"]


@pytest.mark.parametrize(("action", "code"), [("Reboot", "NotImplemented"), ("RemoteStopTransaction", "NotSupported")])
async def test_an_action_that_is_not_served_is_refused_by_its_code(dial: Dial, action: str, code: str) -> None:
    """OCPP-J §4.2.3: not known, or recognised but not supported."""
    charger = await dial()
    answer = await charger.ask(action, {})

    assert answer[0] == 4
    assert answer[2] == code
    assert len(answer) == 5


async def test_the_answer_waits_for_the_commit(dial: Dial, central: RecordingCentral) -> None:
    """Architecture: a reply never leaves before its effect is durable; then messages go on in order."""
    committed = central.hold(cmd.MeterValues)
    charger = await dial()
    await charger.send([2, "a", "MeterValues", METER_VALUES])
    await charger.send([2, "b", "Heartbeat", {}])
    await central.until(lambda: central.of(cmd.MeterValues))
    await charger.socket.ping()

    assert charger.answers.empty()
    assert not central.of(cmd.Heartbeat)
    committed.set()
    assert (await charger.answer())[1] == "a"
    assert (await charger.answer())[1] == "b"


@pytest.mark.parametrize("action", ["StartTransaction", "StopTransaction", "MeterValues", "BootNotification"])
async def test_a_failed_commit_drops_the_connection_without_an_answer(
    dial: Dial, central: RecordingCentral, gateway: Gateway, caplog: pytest.LogCaptureFixture, action: str
) -> None:
    """Faults, point 3: behave like a disconnected server, never CALLERROR; the charge point queues (OCPP 1.6 §3.7)."""
    central.replies[getattr(cmd, action)] = OSError("disk")
    charger = await dial()
    await charger.send([2, "a", action, {}])

    assert await charger.closed() == 1006
    assert charger.answers.empty()
    assert not central.of(cmd.Disconnect)
    assert not gateway.is_connected("CP1")
    assert "[CONNECT] dropped charge_point=CP1" in caplog.text


GARBAGE: list[str | bytes] = [
    "",
    "hello",
    "[]",
    "{}",
    "[2]",
    "[" * 100_000,
    '[1,"x","Heartbeat",{}]',
    '[3,"nobody",{}]',
    '[4,"nobody","GenericError","",{}]',
    b"\xff\xfe",
]


@pytest.mark.parametrize("garbage", GARBAGE)
async def test_garbage_never_silences_the_next_message(dial: Dial, garbage: str | bytes) -> None:
    """T9: it ends neither the reader nor the socket, and without an id it has no answer."""
    charger = await dial()
    await charger.send(garbage)

    assert (await charger.ask("Heartbeat", {}))[0] == 3


@pytest.mark.parametrize(
    ("garbage", "code"),
    [
        ('[2,"x"]', "ProtocolError"),
        ('[2,"x",["a"],{}]', "FormationViolation"),
        ('[2,"x","Heartbeat",7]', "FormationViolation"),
        ('[2,"x","Heartbeat",{"a":', "FormationViolation"),
    ],
)
async def test_garbage_with_an_id_is_answered(dial: Dial, central: RecordingCentral, garbage: str, code: str) -> None:
    """OCPP-J §4.2.3. A note tells of it, once per connection and kind."""
    charger = await dial()
    for _ in range(3):
        await charger.send(garbage)
        assert (await charger.answer())[:3] == [4, "x", code]

    (note,) = central.of(cmd.RecordMessage)
    assert note.kind is NoteKind.ODDITY
    assert garbage in note.said.replace("\\\\", "\\")


async def test_a_binary_frame_is_read_too(dial: Dial) -> None:
    """OCPP-J §4.1.2 asks for text; the answer is text in any case."""
    charger = await dial()
    await charger.socket.send(b'[2,"x","Heartbeat",{}]')

    assert (await charger.answer())[:2] == [3, "x"]


async def test_what_came_before_a_hang_up_is_handled(dial: Dial, central: RecordingCentral) -> None:
    """Energy in frames that arrived is booked, though nobody is there to be answered; a retry changes nothing."""
    committed = central.hold(cmd.MeterValues)
    charger = await dial()
    await charger.send([2, "a", "MeterValues", METER_VALUES])
    await charger.send([2, "b", "StopTransaction", STOP])
    await central.until(lambda: central.of(cmd.MeterValues))
    await charger.hang_up()
    committed.set()

    await central.until(lambda: central.of(cmd.Disconnect))
    assert central.kinds == ["Connect", "MeterValues", "StopTransaction", "Disconnect"]


async def test_a_call_is_answered(dial: Dial, gateway: Gateway) -> None:
    """OCPP-J §4.1: the answer is found by its message id."""
    charger = await dial()
    charger.script["RemoteStopTransaction"] = {"status": "Rejected"}
    calls = RemoteCalls(gateway)

    assert await calls.remote_stop_transaction("CP1", 7) == "Rejected"
    assert charger.calls == [("RemoteStopTransaction", {"transactionId": 7})]


async def test_calls_go_out_one_at_a_time_under_new_ids(dial: Dial, gateway: Gateway) -> None:
    """OCPP-J §4.1.1 and errata 3.1."""
    charger = await dial()
    charger.script["Reset"] = None
    calls = RemoteCalls(gateway)
    first = asyncio.create_task(calls.reset_soft("CP1"))
    await charger.until(lambda: charger.calls)
    second = asyncio.create_task(calls.remote_stop_transaction("CP1", 7))
    await charger.ask("Heartbeat", {})

    assert charger.called == ["Reset"]
    await charger.send([3, charger.call_ids[0], {"status": "Accepted"}])
    async with asyncio.timeout(LIMIT_S):
        assert (await first, await second) == ("Accepted", "Accepted")
    assert len(set(charger.call_ids)) == 2


async def test_more_calls_than_fit_are_refused(dial: Dial, gateway: Gateway) -> None:
    """T11: every queue is bounded."""
    charger = await dial()
    charger.script["RemoteStopTransaction"] = None
    calls = RemoteCalls(gateway)
    waiting = [asyncio.create_task(calls.remote_stop_transaction("CP1", n)) for n in range(16)]
    await charger.until(lambda: charger.calls)
    one_too_many = await calls.remote_stop_transaction("CP1", 99)
    await charger.hang_up()
    async with asyncio.timeout(LIMIT_S):
        answers = await asyncio.gather(*waiting)

    assert one_too_many == "error: too many calls are waiting"
    assert sorted(answers) == ["no answer"] + ["offline"] * 15


async def test_a_late_answer_is_dropped(listen: Listen) -> None:
    """OCPP-J §4.1.1: after the time-out the next call may go, and only its own answer counts."""
    gateway = await listen(call_timeout_s=1)
    charger = await Charger.dial(gateway.port)
    charger.script["RemoteStopTransaction"] = None
    calls = RemoteCalls(gateway)

    assert await calls.remote_stop_transaction("CP1", 7) == "no answer"
    again = asyncio.create_task(calls.remote_stop_transaction("CP1", 7))
    await charger.until(lambda: len(charger.calls) == 2)
    await charger.send([3, charger.call_ids[0], {"status": "Accepted"}])
    await charger.send([3, charger.call_ids[1], {"status": "Rejected"}])
    assert await again == "Rejected"
    await charger.hang_up()


async def test_a_call_error_is_told_by_its_code(dial: Dial, gateway: Gateway) -> None:
    """OCPP-J §4.2.3."""
    charger = await dial()
    charger.script["Reset"] = ("error", "NotSupported")

    answer = await RemoteCalls(gateway).call("CP1", "Reset", {"type": "Soft"})
    assert (answer.status, answer.payload, answer.is_answered) == ("error: NotSupported", {"description": "no"}, False)


async def test_a_call_while_a_handler_runs_does_not_deadlock(
    dial: Dial, gateway: Gateway, central: RecordingCentral
) -> None:
    """Calls cross each other (OCPP-J §4.1.1); the answer is read once the handler is done."""
    committed = central.hold(cmd.MeterValues)
    charger = await dial()
    await charger.send([2, "a", "MeterValues", METER_VALUES])
    await central.until(lambda: central.of(cmd.MeterValues))
    stop = asyncio.create_task(RemoteCalls(gateway).remote_stop_transaction("CP1", 4711))
    await charger.until(lambda: charger.calls)
    committed.set()

    async with asyncio.timeout(LIMIT_S):
        assert await stop == "Accepted"
    assert (await charger.answer())[1] == "a"


async def test_a_connection_that_ends_leaves_no_call_waiting(dial: Dial, gateway: Gateway) -> None:
    """It was sent, so it may have been obeyed: no answer, not offline."""
    charger = await dial()
    charger.script["RemoteStopTransaction"] = None
    stop = asyncio.create_task(RemoteCalls(gateway).remote_stop_transaction("CP1", 7))
    await charger.until(lambda: charger.calls)
    await charger.hang_up()

    async with asyncio.timeout(LIMIT_S):
        assert await stop == "no answer"


async def test_unsolicited_answers_are_dropped(dial: Dial) -> None:
    """T11: they fill no queue."""
    charger = await dial()
    for number in range(2000):
        await charger.send([3, f"u{number}", {}])

    assert (await charger.ask("Heartbeat", {}))[0] == 3


@pytest.mark.parametrize("reconnects", ["not at all", "before the old line ended", "after the old line ended"])
async def test_only_a_stop_is_sent_while_a_session_begins(
    listen: Listen, central: RecordingCentral, reconnects: str
) -> None:
    """Rule 27: AcTEC ends the session on a call in its first seconds; also after a reconnect."""
    gateway = await listen(factor=20)
    began_at = asyncio.get_running_loop().time()
    first = charger = await Charger.dial(gateway.port)
    await first.ask("StartTransaction", START)
    if reconnects == "after the old line ended":
        await first.hang_up()
        await central.until(lambda: central.of(cmd.Disconnect))
    if reconnects != "not at all":
        charger = await Charger.dial(gateway.port)
        await charger.ask("Heartbeat", {})
    calls = RemoteCalls(gateway)
    trigger = asyncio.create_task(calls.trigger_message("CP1", "StatusNotification"))

    assert await calls.remote_stop_transaction("CP1", 4711) == "Accepted"
    async with asyncio.timeout(LIMIT_S):
        assert await trigger == "Accepted"
    assert (asyncio.get_running_loop().time() - began_at) * 20 >= 10
    assert charger.called == ["RemoteStopTransaction", "TriggerMessage"]
    await first.hang_up()
    await charger.hang_up()


async def test_a_boot_is_answered_before_anything_is_asked(
    dial: Dial, gateway: Gateway, central: RecordingCentral
) -> None:
    """Rule 27: GetConfiguration does not overtake BootNotification.conf; a stop may."""
    committed = central.hold(cmd.BootNotification)
    charger = await dial()
    charger.script["RemoteStopTransaction"] = None
    await charger.send([2, "boot", "BootNotification", {}])
    await central.until(lambda: central.of(cmd.BootNotification))
    calls = RemoteCalls(gateway)
    reading = asyncio.create_task(calls.read_configuration("CP1"))
    await check("GetConfiguration", {})
    stop = asyncio.create_task(calls.remote_stop_transaction("CP1", 4711))
    await charger.until(lambda: charger.calls)

    assert charger.called == ["RemoteStopTransaction"]
    committed.set()
    assert (await charger.answer())[:2] == [3, "boot"]
    await charger.send([3, charger.call_ids[0], {"status": "Accepted"}])
    async with asyncio.timeout(LIMIT_S):
        assert await stop == "Accepted"
        assert (await reading).is_answered


async def test_no_call_goes_out_on_a_line_that_is_being_closed(
    dial: Dial, gateway: Gateway, central: RecordingCentral
) -> None:
    """T2: no command to the loser; what had been sent may have been obeyed, what waited was never sent."""
    committed = central.hold(cmd.MeterValues)
    old = await dial()
    old.script["RemoteStopTransaction"] = None
    await old.send([2, "a", "MeterValues", METER_VALUES])
    await central.until(lambda: central.of(cmd.MeterValues))
    connection = gateway.connection("CP1")
    assert connection is not None
    sent = asyncio.create_task(connection.call("RemoteStopTransaction", {"transactionId": 1}, is_stop=True))
    await old.until(lambda: old.calls)
    waiting = asyncio.create_task(connection.call("RemoteStopTransaction", {"transactionId": 2}, is_stop=True))
    new = await dial()
    await new.ask("Heartbeat", {})

    async with asyncio.timeout(LIMIT_S):
        assert (await sent).status == "no answer"
        assert (await waiting).status == "offline"
    committed.set()
    assert await old.closed() == 1000
    assert len(old.calls) == 1


class LateSocket:
    """A socket whose message arrives in the same moment in which somebody else ends the connection."""

    def __init__(self) -> None:
        self.message: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.sent: list[bytes] = []
        self.codes: list[int] = []

    async def recv(self, *, decode: bool) -> bytes:
        return await self.message

    async def send(self, frame: bytes, *, text: bool) -> None:
        self.sent.append(frame)

    async def close(self, code: int, reason: str) -> None:
        self.codes.append(code)

    async def wait_closed(self) -> None:
        return


async def test_a_message_that_comes_with_the_end_is_left_to_be_sent_again(central: RecordingCentral) -> None:
    """OCPP 1.6 §3.7: what got no answer is sent again, to the connection that now speaks for it."""
    late: Any = LateSocket()
    connection = ChargePointConnection("CP1", late, central, Clock(), heartbeat_interval_s=60, call_timeout_s=30)
    running = asyncio.create_task(connection.run())
    await asyncio.sleep(0)
    late.message.set_result(b'[2,"a","Heartbeat",{}]')
    await connection.finish(1000, "replaced")
    await running

    assert not central.commands
    assert not late.sent
    assert set(late.codes) == {1000}


@pytest.mark.parametrize("action", ["Authorize", "StartTransaction", "BootNotification"])
async def test_a_reply_of_another_kind_is_our_fault_and_never_answered(
    dial: Dial, central: RecordingCentral, action: str
) -> None:
    """An exception is ours: the charge point keeps its message and tries again."""
    central.replies = {}
    charger = await dial()
    await charger.send([2, "a", action, {}])

    assert await charger.closed() == 1006
    assert charger.answers.empty()


class LibraryChargePoint(ChargePoint):
    """A charge point of the `ocpp` package, which checks all that it gets against the schemas."""

    @on(Action.remote_stop_transaction)
    def on_remote_stop(self, transaction_id: int) -> Any:
        return call_result.RemoteStopTransaction("Accepted" if transaction_id == 4711 else "Rejected")


async def test_a_session_with_a_charge_point_of_the_library(gateway: Gateway, central: RecordingCentral) -> None:
    """Conformance: OCTT TC_001, TC_003, TC_012 from the side of an independent implementation."""
    uri = f"ws://127.0.0.1:{gateway.port}/SCHNEIDER/EVlinkProAC"
    async with connect(uri, subprotocols=["ocpp1.6"]) as socket, asyncio.timeout(LIMIT_S):
        charger = LibraryChargePoint("SCHNEIDER/EVlinkProAC", socket)
        reader = asyncio.create_task(charger.start())
        boot = await charger.call(call.BootNotification("EVlinkProAC", "SCHNEIDER"), suppress=False)
        await charger.call(call.StatusNotification(1, "NoError", "Preparing"), suppress=False)
        authorized = await charger.call(call.Authorize("RFID001"), suppress=False)
        started = await charger.call(call.StartTransaction(1, "RFID001", 1000, "2026-11-20T10:35:00Z"), suppress=False)
        values = [{"timestamp": "2026-11-20T10:36:00Z", "sampled_value": [{"value": "1100", "unit": "Wh"}]}]
        await charger.call(call.MeterValues(1, values, started.transaction_id), suppress=False)
        stop = await RemoteCalls(gateway).remote_stop_transaction("SCHNEIDER/EVlinkProAC", started.transaction_id)
        await charger.call(call.StopTransaction(2000, "2026-11-20T11:35:00Z", started.transaction_id), suppress=False)
        reader.cancel()

    assert boot.status == RegistrationStatus.accepted
    assert authorized.id_tag_info["status"] == "Accepted"
    assert stop == "Accepted"
    assert central.of(cmd.MeterValues)[0].transaction_id == started.transaction_id
    assert central.kinds[-1] in {"StopTransaction", "Disconnect"}
