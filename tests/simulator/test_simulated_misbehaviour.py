"""Each misbehaviour puts on the wire what it promises."""

import asyncio
from typing import Any

import pytest
from ocpp.v16 import call

from simulator import ABSENT, Behaviour, FaultKind, ManualClock, MeterFault, SimulatedChargePoint


async def run_session(charge_point: SimulatedChargePoint, clock: ManualClock, seconds: float = 120) -> Any:
    session = await charge_point.plug_in_and_swipe(1, "RFID001", 6000)
    await clock.advance(seconds)
    await charge_point.drained()
    await charge_point.stop(1)
    return session


async def test_a_start_is_retried_under_a_new_message_id(central: Any, plug: Any, clock: ManualClock) -> None:
    """Two StartTransaction, same content; the last answer gives the id (OCPP 1.6 §3.7.1)."""
    charge_point = await plug(behaviour=Behaviour(retry_start=True))

    session = await run_session(charge_point, clock)

    first, second = central.of("StartTransaction")
    assert first.payload == second.payload
    assert first.message_id != second.message_id
    assert session.transaction_id == 1001


@pytest.mark.parametrize(
    ("behaviour", "action", "expected"),
    [
        (Behaviour(duplicate_stop=True), "StopTransaction", 2),
        (Behaviour(duplicate_meter_values=True), "MeterValues", 4),
        (Behaviour(no_meter_values=True), "MeterValues", 0),
        (Behaviour(lost_stop=True), "StopTransaction", 0),
    ],
)
async def test_messages_are_doubled_or_left_out(
    central: Any, plug: Any, clock: ManualClock, behaviour: Behaviour, action: str, expected: int
) -> None:
    """Within a session of two samples."""
    await run_session(await plug(behaviour=behaviour), clock)

    assert len(central.of(action)) == expected


@pytest.mark.parametrize("wrong_id", [0, -1, 2**63 - 1, "one"])
async def test_samples_carry_a_wrong_transaction_id(
    central: Any, plug: Any, clock: ManualClock, wrong_id: object
) -> None:
    """Also one that is outside the schema."""
    await run_session(await plug(behaviour=Behaviour(wrong_transaction_id=wrong_id)), clock)

    assert [sample["transactionId"] for sample in central.payloads("MeterValues")] == [wrong_id] * 2


async def test_samples_can_lack_the_transaction_id(central: Any, plug: Any, clock: ManualClock) -> None:
    """The key is left out."""
    await run_session(await plug(behaviour=Behaviour(wrong_transaction_id=ABSENT)), clock)

    assert all("transactionId" not in sample for sample in central.payloads("MeterValues"))


async def test_a_stop_can_carry_minus_1(central: Any, plug: Any, clock: ManualClock) -> None:
    """KEBA P30 and others."""
    await run_session(await plug(behaviour=Behaviour(stop_transaction_id=-1)), clock)

    assert central.payloads("StopTransaction")[0]["transactionId"] == -1


@pytest.mark.parametrize(
    ("behaviour", "stamp"),
    [
        (Behaviour(no_clock=True), "1970-01-01T00:00:00.000Z"),
        (Behaviour(local_time_without_offset=True), "2025-01-15T13:30:00.000"),
        (Behaviour(), "2025-01-15T10:30:00.000Z"),
    ],
)
async def test_stamps_are_as_bad_as_the_clock(
    central: Any, plug: Any, clock: ManualClock, behaviour: Behaviour, stamp: str
) -> None:
    """1970 without a clock, local time without an offset, else UTC."""
    await run_session(await plug(behaviour=behaviour), clock)

    assert central.payloads("StartTransaction")[0]["timestamp"] == stamp


async def test_transaction_data_repeats_the_first_and_the_last_reading(
    central: Any, plug: Any, clock: ManualClock
) -> None:
    """With contexts Transaction.Begin and Transaction.End (§4.10)."""
    await run_session(await plug(behaviour=Behaviour(transaction_data=True)), clock)

    data = central.payloads("StopTransaction")[0]["transactionData"]
    assert [value["sampledValue"][0]["context"] for value in data] == ["Transaction.Begin", "Transaction.End"]
    assert [value["sampledValue"][0]["value"] for value in data] == ["0", "200"]


async def test_a_meter_fault_shows_in_the_samples(central: Any, plug: Any, clock: ManualClock) -> None:
    """A restart at 90 s: 100 Wh, then 50 Wh."""
    faults = (MeterFault(FaultKind.RESTART, after_s=90),)
    await run_session(await plug(behaviour=Behaviour(meter_faults=faults)), clock)

    values = [sample["meterValue"][0]["sampledValue"][0]["value"] for sample in central.payloads("MeterValues")]
    assert values == ["100", "50"]


@pytest.mark.parametrize(
    ("behaviour", "status"),
    [(Behaviour(ignore_remote_stop=True), "Accepted"), (Behaviour(reject_remote_stop=True), "Rejected")],
)
async def test_a_remote_stop_is_not_obeyed(
    central: Any, plug: Any, clock: ManualClock, behaviour: Behaviour, status: str
) -> None:
    """Whatever the answer, energy flows on."""
    charge_point = await plug(behaviour=behaviour)
    session = await charge_point.plug_in_and_swipe()

    answer = await central.request("CP1", call.RemoteStopTransaction(session.transaction_id))
    await clock.advance(600)

    assert answer.status == status
    assert not session.is_stopped
    assert session.energy_wh > 1800


async def test_a_remote_stop_gets_no_answer_while_the_session_goes_on(
    central: Any, plug: Any, clock: ManualClock
) -> None:
    """The central system's call times out; samples still come."""
    charge_point = await plug(behaviour=Behaviour(silent_remote_stop=True))
    session = await charge_point.plug_in_and_swipe()

    with pytest.raises(asyncio.TimeoutError):
        await central.request("CP1", call.RemoteStopTransaction(session.transaction_id))
    await clock.advance(60)
    await charge_point.drained()

    assert len(central.of("MeterValues")) == 1


async def test_the_second_remote_stop_is_obeyed_after_one_failure(central: Any, plug: Any, clock: ManualClock) -> None:
    """remote_stop_failures=1."""
    charge_point = await plug(behaviour=Behaviour(ignore_remote_stop=True, remote_stop_failures=1))
    session = await charge_point.plug_in_and_swipe()

    for _ in range(2):
        await central.request("CP1", call.RemoteStopTransaction(session.transaction_id))
        await clock.advance(5)
    await asyncio.wait_for(session.ended, 5)

    assert session.stop_reason == "Remote"
