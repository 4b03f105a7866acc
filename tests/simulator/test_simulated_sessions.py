"""A well-behaved charge point: boot, session, the commands of the central system."""

import asyncio
from typing import Any

import pytest
from ocpp.v16 import call

from simulator import GENERIC, Behaviour, ConnectorBusyError, ManualClock, SimulatedChargePoint, SwipeRefusedError
from simulator.clock import SimulatorClock


async def test_a_session_is_told_in_the_order_of_the_specification(central: Any, plug: Any, clock: ManualClock) -> None:
    """Boot, Available, Preparing, Authorize, Start, Charging, samples, Stop, Finishing, Available (OCPP 1.6 §3)."""
    charge_point = await plug()

    session = await charge_point.plug_in_and_swipe(1, "RFID001", 11_000)
    await clock.advance(60)
    await charge_point.drained()
    await charge_point.stop(1)
    await session.ended

    told = [frame.payload.get("status", frame.action) for frame in central.frames]
    assert told == [
        *("BootNotification", "Available", "Preparing", "Authorize", "StartTransaction", "Charging"),
        *("MeterValues", "StopTransaction", "Finishing", "Available"),
    ]
    stop = central.payloads("StopTransaction")[0]
    assert stop["transactionId"] == session.transaction_id == 1000
    assert (stop["meterStop"], stop["reason"], stop["idTag"]) == (183, "Local", "RFID001")
    assert session.energy_wh == pytest.approx(11_000 / 60)


async def test_every_request_is_counted_when_sent_and_when_acknowledged(plug: Any, clock: ManualClock) -> None:
    """The counters by action are what a test of the server compares its books with."""
    charge_point = await plug()

    await charge_point.plug_in_and_swipe()
    await clock.advance(180)
    await charge_point.drained()

    assert charge_point.sent["MeterValues"] == charge_point.acknowledged["MeterValues"] == 3
    assert charge_point.refused.total() == 0


async def test_an_unknown_tag_is_refused_at_the_swipe(central: Any, plug: Any) -> None:
    """Authorize.conf Invalid: no StartTransaction, the connector is free again (§4.1)."""
    central.refused_tags["STRANGER"] = "Invalid"
    charge_point = await plug()

    with pytest.raises(SwipeRefusedError) as refusal:
        await charge_point.plug_in_and_swipe(1, "STRANGER")

    assert refusal.value.status == "Invalid"
    assert central.of("StartTransaction") == []
    assert charge_point.status(1) == "Available"


async def test_a_refused_start_ends_as_deauthorized_without_energy(central: Any, plug: Any) -> None:
    """StartTransaction.conf Blocked: StopTransaction with reason DeAuthorized follows (§4.8)."""
    central.refused_tags["START1"] = "Blocked"
    charge_point = await plug()

    session = await charge_point.plug_in_and_swipe(1, "START1")
    await session.unplugged

    assert session.authorization_status == "Blocked"
    assert central.payloads("StopTransaction")[0]["reason"] == "DeAuthorized"
    assert session.energy_wh == 0


async def test_a_refused_driver_who_charges_on_takes_energy(central: Any, plug: Any, clock: ManualClock) -> None:
    """The behaviour says otherwise: charging goes on."""
    central.refused_tags["START1"] = "Blocked"
    charge_point = await plug(behaviour=Behaviour(charge_after_refusal=True))

    session = await charge_point.plug_in_and_swipe(1, "START1", 6000)
    await clock.advance(600)

    assert session.energy_wh == pytest.approx(1000)
    assert not session.is_stopped


async def test_a_full_battery_suspends_the_car(central: Any, plug: Any, clock: ManualClock) -> None:
    """SuspendedEV at the battery's limit; the session stays open and takes no more."""
    charge_point = await plug()

    session = await charge_point.plug_in_and_swipe(1, "RFID001", 11_000, battery_wh=1000)
    await clock.advance(3600)
    await charge_point.until(lambda: charge_point.status(1) == "SuspendedEV")

    assert session.energy_wh == pytest.approx(1000)
    assert not session.is_stopped


async def test_two_connectors_charge_side_by_side(central: Any, plug: Any, clock: ManualClock) -> None:
    """Each has its own session and its own energy."""
    charge_point = await plug(connectors=2)

    await charge_point.plug_in_and_swipe(1, "RFID001", 3600)
    await charge_point.plug_in_and_swipe(2, "RFID002", 7200)
    await clock.advance(100)

    assert charge_point.session(1).energy_wh == pytest.approx(100)
    assert charge_point.session(2).energy_wh == pytest.approx(200)
    with pytest.raises(ConnectorBusyError):
        await charge_point.plug_in_and_swipe(2, "RFID003")


async def test_a_remote_stop_is_confirmed_and_then_obeyed(central: Any, plug: Any, clock: ManualClock) -> None:
    """Accepted first, StopTransaction with reason Remote after a moment (§5.13)."""
    charge_point = await plug()
    session = await charge_point.plug_in_and_swipe()

    answer = await central.request("CP1", call.RemoteStopTransaction(session.transaction_id))
    await clock.advance(1)
    await asyncio.wait_for(session.ended, 5)

    assert answer.status == "Accepted"
    assert central.payloads("StopTransaction")[0]["reason"] == "Remote"


async def test_a_remote_stop_for_another_transaction_is_rejected(central: Any, plug: Any) -> None:
    """An id that does not run here (§5.13)."""
    charge_point = await plug()
    session = await charge_point.plug_in_and_swipe()

    answer = await central.request("CP1", call.RemoteStopTransaction(session.transaction_id + 1))

    assert answer.status == "Rejected"


async def test_a_remote_start_begins_a_session(central: Any, plug: Any) -> None:
    """Accepted, then StartTransaction with that tag (§5.11)."""
    charge_point = await plug()

    answer = await central.request("CP1", call.RemoteStartTransaction("RFID009", connector_id=1))
    await charge_point.until(lambda: charge_point.status(1) == "Charging")

    assert answer.status == "Accepted"
    assert central.payloads("StartTransaction")[0]["idTag"] == "RFID009"


async def test_a_changed_sample_interval_holds_for_the_running_session(
    central: Any, plug: Any, clock: ManualClock
) -> None:
    """ChangeConfiguration MeterValueSampleInterval=10 (§5.3)."""
    charge_point = await plug()
    await charge_point.plug_in_and_swipe()

    answer = await central.request("CP1", call.ChangeConfiguration("MeterValueSampleInterval", "10"))
    await clock.advance(60)
    await charge_point.drained()

    assert answer.status == "Accepted"
    assert len(central.of("MeterValues")) == 6


async def test_configuration_keys_are_reported_and_guarded(central: Any, plug: Any) -> None:
    """Known, unknown, read-only, nonsense (§5.3, §5.8)."""
    await plug()

    report = await central.request("CP1", call.GetConfiguration(["MeterValueSampleInterval", "Nonsense"]))
    statuses = [
        (await central.request("CP1", call.ChangeConfiguration(key, value))).status
        for key, value in [("NumberOfConnectors", "9"), ("Nonsense", "1"), ("HeartbeatInterval", "soon")]
    ]

    assert report.configuration_key == [{"key": "MeterValueSampleInterval", "readonly": False, "value": "60"}]
    assert report.unknown_key == ["Nonsense"]
    assert statuses == ["Rejected", "NotSupported", "Rejected"]


async def test_a_limit_of_0_ampere_suspends_and_clearing_it_resumes(
    central: Any, plug: Any, clock: ManualClock
) -> None:
    """SetChargingProfile with a TxProfile of 0 A (§5.16)."""
    charge_point = await plug()
    session = await charge_point.plug_in_and_swipe(1, "RFID001", 3600)
    schedule = {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 0}]}
    profile = {
        "chargingProfileId": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxProfile",
        "chargingProfileKind": "Absolute",
        "transactionId": session.transaction_id,
        "chargingSchedule": schedule,
    }

    answer = await central.request("CP1", call.SetChargingProfile(1, profile))
    await clock.advance(100)
    suspended = charge_point.status(1), session.energy_wh
    await central.request("CP1", call.ClearChargingProfile())
    await clock.advance(100)

    assert answer.status == "Accepted"
    assert suspended == ("SuspendedEVSE", 0)
    assert session.energy_wh == pytest.approx(100)


async def test_a_soft_reset_stops_the_session_and_boots_again(central: Any, plug: Any) -> None:
    """StopTransaction with reason SoftReset, then a second BootNotification on a new connection (§5.14)."""
    charge_point = await plug()
    session = await charge_point.plug_in_and_swipe()

    await central.request("CP1", call.Reset("Soft"))
    await session.ended
    await central.until(lambda: len(central.of("BootNotification")) == 2)

    assert central.payloads("StopTransaction")[0]["reason"] == "SoftReset"
    assert central.connection_count == 2


async def test_a_hard_reset_tells_of_the_stop_after_the_boot(central: Any, plug: Any) -> None:
    """The StopTransaction of a hard reset comes with the next connection (§5.14)."""
    charge_point = await plug()
    session = await charge_point.plug_in_and_swipe()

    await central.request("CP1", call.Reset("Hard"))
    await session.ended

    assert central.payloads("StopTransaction")[0]["reason"] == "HardReset"
    assert central.actions.index("StopTransaction") > len(central.actions) - central.actions[::-1].index(
        "BootNotification"
    )


@pytest.mark.parametrize("message", ["BootNotification", "StatusNotification", "MeterValues", "Heartbeat"])
async def test_a_triggered_message_follows(central: Any, plug: Any, message: str) -> None:
    """TriggerMessage is Accepted and the message is sent (§5.17)."""
    await plug()
    before = len(central.of(message))

    answer = await central.request("CP1", call.TriggerMessage(message))
    await central.until(lambda: len(central.of(message)) == before + 1)

    assert answer.status == "Accepted"


async def test_the_rest_of_core_gets_plausible_answers(central: Any, plug: Any) -> None:
    """ChangeAvailability, UnlockConnector, ClearCache, DataTransfer (§5.2, §5.18, §5.4, §4.3)."""
    charge_point = await plug()

    answers = [
        (await central.request("CP1", request)).status
        for request in (
            call.ChangeAvailability(1, "Inoperative"),
            call.UnlockConnector(1),
            call.ClearCache(),
            call.DataTransfer("anybody"),
        )
    ]
    await charge_point.until(lambda: charge_point.status(1) == "Unavailable")

    assert answers == ["Accepted", "Unlocked", "Accepted", "UnknownVendorId"]


async def test_a_pending_boot_is_repeated_and_nothing_else_is_sent(central: Any, plug: Any, clock: ManualClock) -> None:
    """Pending: wait the interval, boot again; only Accepted opens the mouth (§4.2)."""
    central.boot_status, central.interval_s = "Pending", 60
    charge_point = await plug()
    told_while_pending = set(central.actions)

    central.boot_status = "Accepted"
    await clock.advance(60)
    await charge_point.until(lambda: charge_point.acknowledged["StatusNotification"])

    assert told_while_pending == {"BootNotification"}
    assert len(central.of("BootNotification")) == 2


async def test_heartbeats_follow_the_interval_of_the_boot(central: Any, plug: Any, clock: ManualClock) -> None:
    """BootNotification.conf interval 30 s (§4.6)."""
    central.interval_s = 30
    charge_point = await plug()

    await clock.advance(30)
    await charge_point.until(lambda: charge_point.acknowledged["Heartbeat"] == 1)

    assert len(central.of("Heartbeat")) == 1


async def test_a_password_becomes_basic_authentication(central: Any, plug: Any) -> None:
    """Security profile 1."""
    await plug("CP1", GENERIC, password="secret")

    assert central.authorization_headers == ["Basic Q1AxOnNlY3JldA=="]


async def test_an_accelerated_clock_charges_for_an_hour_in_a_moment(central: Any, plug: Any) -> None:
    """At 3600 times an hour takes one second; the stamps go with it."""
    charge_point = await plug(clock=SimulatorClock(factor=36_000))

    session = await charge_point.plug_in_and_swipe(1, "RFID001", 11_000)
    await central.until(lambda: session.energy_wh > 11_000)
    await charge_point.stop(1)

    assert central.of("MeterValues")
    assert session.energy_wh == pytest.approx(session.meter_stop_wh - session.meter_start_wh, abs=2)


async def test_a_server_that_is_not_there_is_tried_within_the_limit() -> None:
    """Entering gives up with TimeoutError and leaves nothing behind."""
    with pytest.raises(TimeoutError):
        async with SimulatedChargePoint("CP1", "ws://127.0.0.1:9", connect_timeout_s=0.2):
            pass
