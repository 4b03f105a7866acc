"""The ordered queue of transaction-related messages: offline, lost answers, errors (OCPP 1.6 §3.7, §3.7.1)."""

from typing import Any

import pytest
from ocpp.v16 import call

from simulator import Behaviour, ManualClock
from simulator.session import SessionAbandonedError


async def test_a_whole_session_offline_arrives_in_order_afterwards(central: Any, plug: Any, clock: ManualClock) -> None:
    """Start, samples, stop under the stamps of their own time and the id that the queued start got."""
    charge_point = await plug()

    async with charge_point.offline():
        session = await charge_point.plug_in_and_swipe(1, "RFID001", 6000)
        await clock.advance(120)
        await charge_point.stop(1)
        queued = charge_point.queued
    await session.ended

    transaction = [frame for frame in central.frames if frame.action in {"StartTransaction", "MeterValues"}]
    stop = central.payloads("StopTransaction")[0]
    assert queued == 4
    assert [frame.action for frame in transaction] == ["StartTransaction", "MeterValues", "MeterValues"]
    assert [frame.payload["transactionId"] for frame in transaction[1:]] == [1000, 1000]
    assert transaction[1].payload["meterValue"][0]["timestamp"] == "2025-01-15T10:31:00.000Z"
    assert (stop["transactionId"], stop["meterStop"]) == (1000, 200)


async def test_a_reconnect_sends_no_second_boot_but_the_changed_status(central: Any, plug: Any) -> None:
    """OCPP-J 5.4; StatusNotification for what changed meanwhile (§4.9)."""
    charge_point = await plug()

    async with charge_point.offline():
        await charge_point.plug_in_and_swipe()
    await charge_point.until(lambda: charge_point.acknowledged["StatusNotification"] == 2)

    assert len(central.of("BootNotification")) == 1
    assert [status["status"] for status in central.payloads("StatusNotification")] == ["Available", "Charging"]


async def test_a_stop_without_an_answer_is_sent_again_under_a_new_message_id(
    central: Any, plug: Any, clock: ManualClock
) -> None:
    """The link breaks between request and answer; the message is repeated after the reconnect (§3.7.1)."""
    charge_point = await plug()
    session = await charge_point.plug_in_and_swipe()
    central.unanswered["StopTransaction"] = 1

    session.request_stop("Local")
    await central.until(lambda: central.of("StopTransaction"))
    charge_point.drop_link()
    await session.ended

    first, second = central.of("StopTransaction")
    assert first.payload == second.payload
    assert first.message_id != second.message_id
    assert central.connection_count == 2


async def test_a_start_whose_answer_was_lost_is_sent_again_and_the_session_goes_on(
    central: Any, plug: Any, clock: ManualClock
) -> None:
    """The second answer gives the id."""
    charge_point = await plug(response_timeout_s=0.1)
    central.unanswered["StartTransaction"] = 1

    session = await charge_point.plug_in_and_swipe()

    first, second = central.of("StartTransaction")
    assert first.payload == second.payload
    assert session.transaction_id == 1000


async def test_a_behaviour_drops_the_link_in_mid_session_and_queues(
    central: Any, plug: Any, clock: ManualClock
) -> None:
    """offline_queue_s=300 from 90 s on: one sample before, five from the queue."""
    charge_point = await plug(behaviour=Behaviour(offline_queue_s=300, offline_queue_after_s=90))
    await charge_point.plug_in_and_swipe()

    await clock.advance(60)
    await charge_point.drained()
    await clock.advance(30)
    await central.until(lambda: not charge_point.is_connected)
    await clock.advance(290)
    offline = charge_point.is_connected, charge_point.queued
    await clock.advance(10)
    await charge_point.drained()

    assert offline == (False, 5)
    assert len(central.of("MeterValues")) == 6
    assert central.connection_count == 2


async def test_an_error_answer_is_tried_three_times_and_then_given_up(
    central: Any, plug: Any, clock: ManualClock
) -> None:
    """TransactionMessageAttempts=3, then the charge point throws the message away (§3.7.1)."""
    charge_point = await plug(configuration={"TransactionMessageRetryInterval": "0"})
    await charge_point.plug_in_and_swipe()
    central.errors["MeterValues"] = 3

    await clock.advance(60)
    await charge_point.drained()

    assert charge_point.refused["MeterValues"] == 3
    assert charge_point.acknowledged["MeterValues"] == 0


async def test_a_session_whose_start_was_given_up_stops_with_minus_1(
    central: Any, plug: Any, clock: ManualClock
) -> None:
    """It never learned its id, as libocpp does."""
    charge_point = await plug(configuration={"TransactionMessageAttempts": "1"})
    central.errors["StartTransaction"] = 1

    session = await charge_point.plug_in_and_swipe()
    await charge_point.stop(1)

    assert session.transaction_id is None
    assert central.payloads("StopTransaction")[0]["transactionId"] == -1


async def test_a_refusal_that_arrives_after_the_reconnect_ends_the_session(
    central: Any, plug: Any, clock: ManualClock
) -> None:
    """An offline start that is refused later: DeAuthorized, with the energy that flowed (§4.8)."""
    central.refused_tags["START1"] = "Blocked"
    charge_point = await plug()

    async with charge_point.offline():
        session = await charge_point.plug_in_and_swipe(1, "START1", 6000)
        await clock.advance(60)
    await session.ended

    assert session.stop_reason == "DeAuthorized"
    assert central.payloads("StopTransaction")[0]["meterStop"] == 100


async def test_switching_off_ends_every_wait(plug: Any) -> None:
    """Whoever waits for a session of a charge point that is gone gets SessionAbandonedError."""
    charge_point = await plug()
    session = await charge_point.plug_in_and_swipe()

    await charge_point.close()

    with pytest.raises(SessionAbandonedError):
        await session.ended


async def test_a_dropped_link_does_not_disturb_commands_later(central: Any, plug: Any, clock: ManualClock) -> None:
    """After the reconnect the central system reaches the running session."""
    charge_point = await plug()
    session = await charge_point.plug_in_and_swipe()

    charge_point.drop_link()
    await central.until(lambda: central.connection_count == 2)
    await charge_point.until(lambda: charge_point.is_connected)
    await central.request("CP1", call.RemoteStopTransaction(session.transaction_id))
    await clock.advance(1)
    await session.ended

    assert session.stop_reason == "Remote"
