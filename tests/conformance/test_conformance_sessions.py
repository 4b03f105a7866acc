"""Boot, sessions, authorisation, power loss and offline sessions: the charge point does it, the server answers.

Cases of the OCA's compliance tool for a Central System; docs/conformance.md is the table.
"""

import pytest
from central_system_under_test import (
    BLOCKED,
    EXPIRED,
    UNKNOWN,
    USED_UP,
    VALID,
    CentralSystemUnderTest,
)
from octt_charge_point import OcttChargePoint


async def test_tc_001_cold_boot(csms: CentralSystemUnderTest) -> None:
    """Accepted, the server's time, an interval; statuses and heartbeats confirmed (OCPP 1.6 §4.2, §4.6, §4.9)."""
    charge_point = await csms.dial()

    boot = await charge_point.boot()
    await charge_point.statuses()

    assert (boot["status"], boot["currentTime"]) == ("Accepted", "2025-01-15T10:30:00Z")
    assert boot["interval"] > 0
    for beat in range(1, 4):
        await csms.site.advance(boot["interval"])
        heartbeat = await charge_point.call("Heartbeat", {})
        assert heartbeat == {"currentTime": f"2025-01-15T10:{30 + beat * boot['interval'] // 60}:00Z"}


@pytest.mark.parametrize("is_charging_first", [False, True])
async def test_tc_003_session_plug_in_first(csms: CentralSystemUnderTest, is_charging_first: bool) -> None:
    """Preparing, Authorize, StartTransaction; Charging may come before or after it (OCPP 1.6 §4.1, §4.8, §4.9)."""
    charge_point = await csms.charge_point()

    await charge_point.status(1, "Preparing")
    authorized = await charge_point.authorize(VALID)
    if is_charging_first:
        await charge_point.status(1, "Charging")
    transaction_id, status = await charge_point.start(VALID)
    if not is_charging_first:
        await charge_point.status(1, "Charging")

    assert (authorized["status"], status) == ("Accepted", "Accepted")
    assert [one.transaction_id for one in csms.open_transactions()] == [transaction_id]


async def test_tc_004_1_session_identification_first(csms: CentralSystemUnderTest) -> None:
    """Authorize before the cable: the same answers (OCPP 1.6 §4.1, §4.8)."""
    charge_point = await csms.charge_point()

    authorized = await charge_point.authorize(VALID)
    await charge_point.status(1, "Preparing")
    transaction_id, status = await charge_point.start(VALID)
    await charge_point.status(1, "Charging")

    assert (authorized["status"], status) == ("Accepted", "Accepted")
    assert transaction_id > 0


async def test_tc_004_2_identification_first_but_no_car_comes(csms: CentralSystemUnderTest) -> None:
    """Preparing, then Available again: no transaction, nothing reserved for the tag (OCPP 1.6 §4.9, §9.1.6)."""
    charge_point = await csms.charge_point()

    authorized = await charge_point.authorize(VALID)
    await charge_point.status(1, "Preparing")
    await csms.site.advance(60)
    await charge_point.status(1, "Available")
    await csms.site.published()

    assert authorized["status"] == "Accepted"
    assert csms.site.server.central.site.transactions == {}
    assert (csms.site.active(), csms.site.usage()) == ({}, {})


async def test_tc_005_1_session_ends_when_the_car_is_unplugged(csms: CentralSystemUnderTest) -> None:
    """SuspendedEV, StopTransaction (EVDisconnected), Finishing, Available: counted once (OCPP 1.6 §4.10)."""
    charge_point = await csms.charge_point()
    transaction_id = await csms.charge(charge_point)
    await csms.site.advance(600)

    await charge_point.status(1, "SuspendedEV")
    await charge_point.stop(transaction_id, 1500, reason="EVDisconnected")
    await charge_point.status(1, "Finishing")
    await charge_point.status(1, "Available")
    await csms.site.published()

    assert csms.open_transactions() == []
    assert csms.site.usage() == {VALID: 1.5}
    assert len(csms.site.sessions()) == 1


async def test_tc_007_session_with_a_cached_tag(csms: CentralSystemUnderTest) -> None:
    """StartTransaction without Authorize: the tag is checked now (OCPP 1.6 §3.5.1, §4.8)."""
    charge_point = await csms.charge_point()

    await charge_point.status(1, "Preparing")
    transaction_id, status = await charge_point.start(VALID)
    await charge_point.status(1, "Charging")
    _, refused = await charge_point.start(BLOCKED, connector=2)

    assert (transaction_id > 0, status, refused) == (True, "Accepted", "Blocked")


async def test_tc_023_1_authorize_an_unknown_tag(csms: CentralSystemUnderTest) -> None:
    """Invalid (OCPP 1.6 §4.1, §7.2)."""
    charge_point = await csms.charge_point()

    assert (await charge_point.authorize(UNKNOWN))["status"] == "Invalid"


async def test_tc_023_2_authorize_an_expired_tag(csms: CentralSystemUnderTest) -> None:
    """Expired, by the expiry_date of users1.csv (OCPP 1.6 §4.1, §7.2)."""
    charge_point = await csms.charge_point()

    assert (await charge_point.authorize(EXPIRED))["status"] == "Expired"


@pytest.mark.parametrize("id_tag", [BLOCKED, USED_UP])
async def test_tc_023_3_authorize_a_blocked_tag(csms: CentralSystemUnderTest, id_tag: str) -> None:
    """Blocked, for who is blocked and for whose quota is used up (OCPP 1.6 §4.1, §7.2)."""
    charge_point = await csms.charge_point()

    assert (await charge_point.authorize(id_tag))["status"] == "Blocked"


async def test_tc_024_lock_failure_at_start(csms: CentralSystemUnderTest) -> None:
    """Preparing, then Faulted with ConnectorLockFailure: confirmed and shown (OCPP 1.6 §4.9, §7.6)."""
    charge_point = await csms.charge_point()

    await charge_point.status(1, "Preparing")
    assert (await charge_point.authorize(VALID))["status"] == "Accepted"
    await charge_point.status(1, "Faulted", "ConnectorLockFailure")
    await csms.site.published()

    (connector,) = csms.site.chargers()["CP1"]["connectors"]
    assert (connector["status"], connector["error_code"]) == ("Faulted", "ConnectorLockFailure")
    assert csms.open_transactions() == []


async def test_tc_032_1_power_failure_in_a_session(csms: CentralSystemUnderTest) -> None:
    """After the reboot the old session's StopTransaction (PowerLoss) is taken and counted (OCPP 1.6 §3.7, §4.10)."""
    charge_point = await csms.charge_point()
    transaction_id = await csms.charge(charge_point)
    await csms.site.advance(600)
    charge_point.drop()
    await charge_point.closed()

    after = await csms.rebooted(charge_point)
    await after.statuses((0, "Available"), (1, "Finishing"), (2, "Available"))
    await after.stop(transaction_id, 1500, ago_s=30, reason="PowerLoss")
    await csms.site.published()

    assert csms.open_transactions() == []
    assert csms.site.transaction(transaction_id).stop_reason == "PowerLoss"
    assert csms.site.usage() == {VALID: 1.5}


async def test_tc_037_1_start_made_offline_with_a_valid_tag(csms: CentralSystemUnderTest) -> None:
    """A StartTransaction of ten minutes ago is Accepted with its own time (OCPP 1.6 §3.7, §4.8)."""
    charge_point = await _back_after_900_s(csms)

    transaction_id, status = await charge_point.start(VALID, ago_s=600)
    await charge_point.status(1, "Charging")

    began = csms.site.transaction(transaction_id).started_at
    assert status == "Accepted"
    assert (csms.site.clock.now() - began).total_seconds() == 600


async def test_tc_037_3_start_made_offline_with_an_invalid_tag(csms: CentralSystemUnderTest) -> None:
    """Invalid, but with a transaction id, and the energy of that session is kept (OCPP 1.6 §3.5.4, §4.8)."""
    charge_point = await _back_after_900_s(csms)

    transaction_id, status = await charge_point.start(UNKNOWN, ago_s=600)
    await charge_point.status(1, "Charging")
    await charge_point.stop(transaction_id, 1200, reason="DeAuthorized")
    await charge_point.status(1, "Finishing")

    assert (transaction_id > 0, status) == (True, "Invalid")
    assert csms.open_transactions() == []
    assert csms.site.transaction(transaction_id).energy == 1200


async def test_tc_039_whole_session_made_offline(csms: CentralSystemUnderTest) -> None:
    """Start and stop, both of the past, one after the other: accepted, confirmed, counted (OCPP 1.6 §3.7)."""
    charge_point = await _back_after_900_s(csms)

    transaction_id, status = await charge_point.start(VALID, ago_s=800)
    await charge_point.stop(transaction_id, 1500, ago_s=100, idTag=VALID, reason="Local")
    await csms.site.published()

    assert status == "Accepted"
    assert csms.open_transactions() == []
    assert csms.site.usage() == {VALID: 1.5}


@pytest.mark.parametrize("more", [{}, {"messageId": "Ask", "data": "x" * 1000}])
async def test_tc_064_data_transfer_to_the_central_system(csms: CentralSystemUnderTest, more: dict[str, str]) -> None:
    """A vendorId that nobody knows: a status, never a CALLERROR (OCPP 1.6 §4.3)."""
    charge_point = await csms.charge_point()

    answer = await charge_point.call("DataTransfer", {"vendorId": "org.unknown.vendor", **more})

    assert answer["status"] in {"Rejected", "UnknownMessageId", "UnknownVendorId"}


async def _back_after_900_s(csms: CentralSystemUnderTest) -> OcttChargePoint:
    before = await csms.charge_point()
    await before.close()
    await csms.site.advance(900)
    return await csms.dial()
