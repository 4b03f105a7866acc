"""Remote start and stop, reset, unlock, configuration, cache: the server is made to send the call.

Cases of the OCA's compliance tool for a Central System; docs/conformance.md is the table.
"""

from central_system_under_test import VALID, CentralSystemUnderTest
from octt_charge_point import OcttChargePoint

from ocpp_server.ocpp16.commands import configuration_of

START = {"idTag": VALID, "connectorId": 1}
REJECTED = {"status": "Rejected"}


async def starts_charging(charge_point: OcttChargePoint) -> int:
    """What follows an accepted RemoteStartTransaction; the id of the transaction."""
    assert (await charge_point.authorize(VALID))["status"] == "Accepted"
    transaction_id, status = await charge_point.start(VALID)
    await charge_point.status(1, "Charging")
    assert status == "Accepted"
    return transaction_id


async def test_tc_061_clear_cache(csms: CentralSystemUnderTest) -> None:
    """ClearCache, Accepted (OCPP 1.6 §5.4)."""
    await csms.ask(await csms.charge_point(), "ClearCache", {})


async def test_tc_010_remote_start_cable_first(csms: CentralSystemUnderTest) -> None:
    """Preparing, RemoteStartTransaction, then Authorize and StartTransaction are accepted (OCPP 1.6 §5.11)."""
    charge_point = await csms.charge_point()

    await charge_point.status(1, "Preparing")
    await csms.ask(charge_point, "RemoteStartTransaction", START)
    transaction_id = await starts_charging(charge_point)

    assert [one.transaction_id for one in csms.open_transactions()] == [transaction_id]


async def test_tc_011_1_remote_start_remote_first(csms: CentralSystemUnderTest) -> None:
    """The same with the cable after the call (OCPP 1.6 §5.11)."""
    charge_point = await csms.charge_point()

    await csms.ask(charge_point, "RemoteStartTransaction", START)
    await charge_point.status(1, "Preparing")
    transaction_id = await starts_charging(charge_point)

    assert [one.transaction_id for one in csms.open_transactions()] == [transaction_id]


async def test_tc_011_2_remote_start_but_no_car_comes(csms: CentralSystemUnderTest) -> None:
    """Available again after the time out, and no transaction left behind (OCPP 1.6 §5.11)."""
    charge_point = await csms.charge_point()

    await csms.ask(charge_point, "RemoteStartTransaction", START)
    assert (await charge_point.authorize(VALID))["status"] == "Accepted"
    await charge_point.status(1, "Preparing")
    await csms.site.advance(60)
    await charge_point.status(1, "Available")

    assert csms.site.server.central.site.transactions == {}


async def test_tc_012_remote_stop(csms: CentralSystemUnderTest) -> None:
    """RemoteStopTransaction with the open id, then the stop with reason Remote (OCPP 1.6 §5.12, §4.10)."""
    charge_point = await csms.charge_point()
    transaction_id = await csms.charge(charge_point)
    await csms.site.advance(600)

    await csms.ask(charge_point, "RemoteStopTransaction", {"transactionId": transaction_id})
    await charge_point.stop(transaction_id, 1500, reason="Remote")
    await charge_point.status(1, "Finishing")
    await charge_point.status(1, "Available")
    await csms.site.published()

    assert csms.open_transactions() == []
    assert csms.site.usage() == {VALID: 1.5}


async def test_tc_026_remote_start_rejected(csms: CentralSystemUnderTest) -> None:
    """Rejected is told, and no transaction is assumed (OCPP 1.6 §5.11)."""
    charge_point = await csms.charge_point()

    await csms.ask(charge_point, "RemoteStartTransaction", START, REJECTED)

    assert csms.site.server.central.site.transactions == {}


async def test_tc_028_remote_stop_rejected(csms: CentralSystemUnderTest) -> None:
    """Rejected is told, and the transaction stays open (OCPP 1.6 §5.12)."""
    charge_point = await csms.charge_point()
    transaction_id = await csms.charge(charge_point)

    await csms.ask(charge_point, "RemoteStopTransaction", {"transactionId": transaction_id}, REJECTED)

    assert [one.transaction_id for one in csms.open_transactions()] == [transaction_id]


async def resets(csms: CentralSystemUnderTest, kind: str) -> None:
    """Reset, Accepted; the charge point comes back with a boot and its statuses."""
    charge_point = await csms.charge_point()

    await csms.ask(charge_point, "Reset", {"type": kind})
    after = await csms.rebooted(charge_point)
    await after.statuses()


async def test_tc_013_hard_reset(csms: CentralSystemUnderTest) -> None:
    """Reset Hard, then the new boot (OCPP 1.6 §5.14, §4.2)."""
    await resets(csms, "Hard")


async def test_tc_014_soft_reset(csms: CentralSystemUnderTest) -> None:
    """Reset Soft, then the new boot (OCPP 1.6 §5.14, §4.2)."""
    await resets(csms, "Soft")


async def test_tc_017_1_unlock_without_a_session_loose_cable(csms: CentralSystemUnderTest) -> None:
    """Unlocked (OCPP 1.6 §5.18)."""
    await csms.ask(await csms.charge_point(), "UnlockConnector", {"connectorId": 1}, {"status": "Unlocked"})


async def test_tc_017_2_unlock_without_a_session_fixed_cable(csms: CentralSystemUnderTest) -> None:
    """NotSupported (OCPP 1.6 §5.18)."""
    await csms.ask(await csms.charge_point(), "UnlockConnector", {"connectorId": 1}, {"status": "NotSupported"})


async def test_tc_018_1_unlock_during_a_session(csms: CentralSystemUnderTest) -> None:
    """Unlocked; Finishing, StopTransaction (UnlockCommand), Available (OCPP 1.6 §5.18, §4.10)."""
    charge_point = await csms.charge_point()
    transaction_id = await csms.charge(charge_point)
    await csms.site.advance(600)

    await csms.ask(charge_point, "UnlockConnector", {"connectorId": 1}, {"status": "Unlocked"})
    await charge_point.status(1, "Finishing")
    await charge_point.stop(transaction_id, 1500, reason="UnlockCommand")
    await charge_point.status(1, "Available")
    await csms.site.published()

    assert csms.open_transactions() == []
    assert csms.site.usage() == {VALID: 1.5}


async def test_tc_030_unlock_fails(csms: CentralSystemUnderTest) -> None:
    """UnlockFailed (OCPP 1.6 §5.18)."""
    await csms.ask(await csms.charge_point(), "UnlockConnector", {"connectorId": 1}, {"status": "UnlockFailed"})


async def test_tc_031_unlock_of_an_unknown_connector(csms: CentralSystemUnderTest) -> None:
    """NotSupported (OCPP 1.6 §5.18)."""
    await csms.ask(await csms.charge_point(), "UnlockConnector", {"connectorId": 9}, {"status": "NotSupported"})


async def test_tc_019_1_read_all_configuration_keys(csms: CentralSystemUnderTest) -> None:
    """GetConfiguration without keys; the list is read (OCPP 1.6 §5.8, §9)."""
    listed = [
        {"key": "HeartbeatInterval", "readonly": False, "value": "60"},
        {"key": "NumberOfConnectors", "readonly": True, "value": "2"},
    ]
    charge_point = await csms.charge_point()

    answer = await csms.ask(charge_point, "GetConfiguration", {}, {"configurationKey": listed})

    read = {(one.key, one.value, one.is_readonly) for one in configuration_of(answer)}
    assert read == {("HeartbeatInterval", "60", False), ("NumberOfConnectors", "2", True)}


async def test_tc_019_2_read_one_configuration_key(csms: CentralSystemUnderTest) -> None:
    """GetConfiguration of SupportedFeatureProfiles (OCPP 1.6 §5.8)."""
    listed = [{"key": "SupportedFeatureProfiles", "readonly": True, "value": "Core,SmartCharging"}]
    charge_point = await csms.charge_point()

    answer = await csms.ask(
        charge_point, "GetConfiguration", {"key": ["SupportedFeatureProfiles"]}, {"configurationKey": listed}
    )

    assert [(one.key, one.value) for one in configuration_of(answer)] == [
        ("SupportedFeatureProfiles", "Core,SmartCharging")
    ]


async def test_tc_021_change_a_configuration_key(csms: CentralSystemUnderTest) -> None:
    """MeterValueSampleInterval = 60, Accepted (OCPP 1.6 §5.3)."""
    payload = {"key": "MeterValueSampleInterval", "value": "60"}

    await csms.ask(await csms.charge_point(), "ChangeConfiguration", payload)


async def test_tc_040_1_change_a_key_that_is_not_supported(csms: CentralSystemUnderTest) -> None:
    """NotSupported (OCPP 1.6 §5.3)."""
    payload = {"key": "MeterValueSampleInterval", "value": "60"}

    await csms.ask(await csms.charge_point(), "ChangeConfiguration", payload, {"status": "NotSupported"})


async def test_tc_040_2_change_a_key_to_a_refused_value(csms: CentralSystemUnderTest) -> None:
    """MeterValueSampleInterval = -1, Rejected (OCPP 1.6 §5.3)."""
    payload = {"key": "MeterValueSampleInterval", "value": "-1"}

    await csms.ask(await csms.charge_point(), "ChangeConfiguration", payload, REJECTED)
