"""Local list, firmware, diagnostics, reservation, remote trigger and smart charging: the server sends, and listens.

Cases of the OCA's compliance tool for a Central System; docs/conformance.md is the table.
"""

from typing import Any

from central_system_under_test import CHILD, PARENT, SIBLING, VALID, CentralSystemUnderTest
from octt_charge_point import OcttChargePoint

REJECTED = {"status": "Rejected"}
PLACE = "ftp://192.168.1.10/uploads/"
ENTRIES = [
    {"idTag": VALID, "idTagInfo": {"status": "Accepted", "expiryDate": "2025-01-16T00:00:00Z"}},
    {"idTag": CHILD, "idTagInfo": {"status": "Blocked", "parentIdTag": PARENT}},
]


def local_list(update_type: str) -> dict[str, Any]:
    """SendLocalList.req in which every entry has its idTagInfo."""
    return {"listVersion": 1, "updateType": update_type, "localAuthorizationList": ENTRIES}


async def test_tc_042_1_list_version_not_supported(csms: CentralSystemUnderTest) -> None:
    """GetLocalListVersion, -1 (OCPP 1.6 §5.10)."""
    await csms.ask(await csms.charge_point(), "GetLocalListVersion", {}, {"listVersion": -1})


async def test_tc_042_2_list_version_empty(csms: CentralSystemUnderTest) -> None:
    """GetLocalListVersion, 0 (OCPP 1.6 §5.10)."""
    await csms.ask(await csms.charge_point(), "GetLocalListVersion", {}, {"listVersion": 0})


async def test_tc_043_1_send_list_not_supported(csms: CentralSystemUnderTest) -> None:
    """SendLocalList Full, NotSupported (OCPP 1.6 §5.15)."""
    await csms.ask(await csms.charge_point(), "SendLocalList", local_list("Full"), {"status": "NotSupported"})


async def test_tc_043_3_send_list_failed(csms: CentralSystemUnderTest) -> None:
    """SendLocalList Full, Failed (OCPP 1.6 §5.15)."""
    await csms.ask(await csms.charge_point(), "SendLocalList", local_list("Full"), {"status": "Failed"})


async def test_tc_043_4_send_list_full(csms: CentralSystemUnderTest) -> None:
    """SendLocalList Full, Accepted (OCPP 1.6 §5.15)."""
    await csms.ask(await csms.charge_point(), "SendLocalList", local_list("Full"))


async def test_tc_043_5_send_list_differential(csms: CentralSystemUnderTest) -> None:
    """SendLocalList Differential, Accepted (OCPP 1.6 §5.15)."""
    await csms.ask(await csms.charge_point(), "SendLocalList", local_list("Differential"))


async def updates_firmware(csms: CentralSystemUnderTest, *tellings: str) -> OcttChargePoint:
    """UpdateFirmware, and what the charge point tells of it."""
    charge_point = await csms.charge_point()
    await csms.ask(charge_point, "UpdateFirmware", {"location": PLACE, "retrieveDate": csms.in_an_hour()}, {})
    for status in tellings:
        await charge_point.tell("FirmwareStatusNotification", status=status)
    return charge_point


async def test_tc_044_1_firmware_update(csms: CentralSystemUnderTest) -> None:
    """Downloading, Downloaded, Installing, the reboot, Installed: all confirmed (OCPP 1.6 §5.19, §4.5)."""
    charge_point = await updates_firmware(csms, "Downloading", "Downloaded")
    await charge_point.statuses((1, "Unavailable"), (2, "Unavailable"))
    await charge_point.tell("FirmwareStatusNotification", status="Installing")

    after = await csms.rebooted(charge_point)
    await after.statuses()
    await after.tell("FirmwareStatusNotification", status="Installed")


async def test_tc_044_2_firmware_download_fails(csms: CentralSystemUnderTest) -> None:
    """Downloading, DownloadFailed (OCPP 1.6 §5.19, §4.5)."""
    await updates_firmware(csms, "Downloading", "DownloadFailed")


async def test_tc_044_3_firmware_installation_fails(csms: CentralSystemUnderTest) -> None:
    """Up to Installing, the reboot, InstallationFailed (OCPP 1.6 §5.19, §4.5)."""
    charge_point = await updates_firmware(csms, "Downloading", "Downloaded", "Installing")

    after = await csms.rebooted(charge_point)
    await after.tell("FirmwareStatusNotification", status="InstallationFailed")
    await after.statuses()


async def uploads_diagnostics(csms: CentralSystemUnderTest, *tellings: str) -> None:
    """GetDiagnostics, and what the charge point tells of it."""
    charge_point = await csms.charge_point()
    await csms.ask(charge_point, "GetDiagnostics", {"location": PLACE}, {"fileName": "diagnostics.zip"})
    for status in tellings:
        await charge_point.tell("DiagnosticsStatusNotification", status=status)


async def test_tc_045_1_diagnostics(csms: CentralSystemUnderTest) -> None:
    """Uploading, Uploaded (OCPP 1.6 §5.9, §4.4)."""
    await uploads_diagnostics(csms, "Uploading", "Uploaded")


async def test_tc_045_2_diagnostics_upload_fails(csms: CentralSystemUnderTest) -> None:
    """Uploading, UploadFailed (OCPP 1.6 §5.9, §4.4)."""
    await uploads_diagnostics(csms, "Uploading", "UploadFailed")


def reservation(csms: CentralSystemUnderTest, connector: int = 1, **more: Any) -> dict[str, Any]:
    """ReserveNow.req until in an hour."""
    usual = {"connectorId": connector, "expiryDate": csms.in_an_hour(), "idTag": VALID, "reservationId": 7}
    return usual | more


async def charges_with_reservation(csms: CentralSystemUnderTest, charge_point: OcttChargePoint) -> None:
    """The session that was reserved for."""
    await charge_point.status(1, "Preparing")
    assert (await charge_point.authorize(VALID))["status"] == "Accepted"
    transaction_id, status = await charge_point.start(VALID, reservationId=7)
    await charge_point.status(1, "Charging")

    assert status == "Accepted"
    assert [one.transaction_id for one in csms.open_transactions()] == [transaction_id]


async def test_tc_046_reserve_a_connector_then_charge(csms: CentralSystemUnderTest) -> None:
    """Reserved; the StartTransaction with the reservationId is accepted (OCPP 1.6 §5.13, §4.8)."""
    charge_point = await csms.charge_point()

    await csms.ask(charge_point, "ReserveNow", reservation(csms))
    await charge_point.status(1, "Reserved")

    await charges_with_reservation(csms, charge_point)


async def test_tc_047_reservation_expires(csms: CentralSystemUnderTest) -> None:
    """Reserved, then Available after the expiry (OCPP 1.6 §5.13)."""
    charge_point = await csms.charge_point()

    await csms.ask(charge_point, "ReserveNow", reservation(csms, expiryDate="2025-01-15T10:32:00Z"))
    await charge_point.status(1, "Reserved")
    await csms.site.advance(120)
    await charge_point.status(1, "Available")


async def test_tc_048_1_reserve_faulted(csms: CentralSystemUnderTest) -> None:
    """Faulted (OCPP 1.6 §5.13)."""
    await csms.ask(await csms.charge_point(), "ReserveNow", reservation(csms), {"status": "Faulted"})


async def test_tc_048_2_reserve_occupied(csms: CentralSystemUnderTest) -> None:
    """Preparing, then Occupied (OCPP 1.6 §5.13)."""
    charge_point = await csms.charge_point()

    await charge_point.status(1, "Preparing")
    await csms.ask(charge_point, "ReserveNow", reservation(csms), {"status": "Occupied"})


async def test_tc_048_3_reserve_unavailable(csms: CentralSystemUnderTest) -> None:
    """ChangeAvailability Inoperative, Unavailable; then the reservation is Unavailable (OCPP 1.6 §5.13, §5.2)."""
    charge_point = await csms.charge_point()

    await csms.ask(charge_point, "ChangeAvailability", {"connectorId": 1, "type": "Inoperative"})
    await charge_point.status(1, "Unavailable")
    await csms.ask(charge_point, "ReserveNow", reservation(csms), {"status": "Unavailable"})


async def test_tc_048_4_reserve_rejected(csms: CentralSystemUnderTest) -> None:
    """Rejected (OCPP 1.6 §5.13)."""
    await csms.ask(await csms.charge_point(), "ReserveNow", reservation(csms), REJECTED)


async def test_tc_049_reserve_the_charge_point(csms: CentralSystemUnderTest) -> None:
    """Connector 0: Reserved, then the session (OCPP 1.6 §5.13)."""
    charge_point = await csms.charge_point()

    await csms.ask(charge_point, "ReserveNow", reservation(csms, connector=0))
    await charge_point.statuses((0, "Available"), (1, "Reserved"), (2, "Reserved"))

    await charges_with_reservation(csms, charge_point)


async def test_tc_051_cancel_a_reservation(csms: CentralSystemUnderTest) -> None:
    """CancelReservation with the same id, then Available (OCPP 1.6 §5.1)."""
    charge_point = await csms.charge_point()

    await csms.ask(charge_point, "ReserveNow", reservation(csms))
    await charge_point.status(1, "Reserved")
    await csms.ask(charge_point, "CancelReservation", {"reservationId": 7})
    await charge_point.status(1, "Available")


async def test_tc_052_cancel_rejected(csms: CentralSystemUnderTest) -> None:
    """CancelReservation with another id, Rejected (OCPP 1.6 §5.1)."""
    charge_point = await csms.charge_point()

    await csms.ask(charge_point, "ReserveNow", reservation(csms))
    await charge_point.status(1, "Reserved")
    await csms.ask(charge_point, "CancelReservation", {"reservationId": 8}, REJECTED)


async def test_tc_053_reserved_connector_used_by_the_parent_tag(csms: CentralSystemUnderTest) -> None:
    """A sibling is Accepted with the parentIdTag of the reservation, and charges (OCPP 1.6 §5.13, §4.1)."""
    charge_point = await csms.charge_point()

    await csms.ask(charge_point, "ReserveNow", reservation(csms, idTag=CHILD, parentIdTag=PARENT))
    await charge_point.status(1, "Reserved")
    sibling = await charge_point.authorize(SIBLING)
    await charge_point.status(1, "Preparing")
    _, status = await charge_point.start(SIBLING, reservationId=7)
    await charge_point.status(1, "Charging")

    assert (sibling["status"], sibling["parentIdTag"], status) == ("Accepted", PARENT, "Accepted")


async def test_tc_054_trigger_a_message(csms: CentralSystemUnderTest) -> None:
    """Each message that a call may ask for follows it and is confirmed, MeterValues too (OCPP 1.6 §5.17, §4.7)."""
    charge_point = await csms.charge_point()

    await csms.ask(charge_point, "TriggerMessage", {"requestedMessage": "MeterValues", "connectorId": 1})
    assert await charge_point.meter(None, 1000, context="Trigger") == {}
    await csms.ask(charge_point, "TriggerMessage", {"requestedMessage": "Heartbeat"})
    assert "currentTime" in await charge_point.call("Heartbeat", {})
    await csms.ask(charge_point, "TriggerMessage", {"requestedMessage": "StatusNotification", "connectorId": 1})
    await charge_point.status(1, "Available")
    await csms.ask(charge_point, "TriggerMessage", {"requestedMessage": "DiagnosticsStatusNotification"})
    await charge_point.tell("DiagnosticsStatusNotification", status="Idle")
    await csms.ask(charge_point, "TriggerMessage", {"requestedMessage": "FirmwareStatusNotification"})
    await charge_point.tell("FirmwareStatusNotification", status="Idle")


async def test_tc_055_trigger_rejected(csms: CentralSystemUnderTest) -> None:
    """A connector that does not exist, Rejected (OCPP 1.6 §5.17)."""
    payload = {"requestedMessage": "MeterValues", "connectorId": 9}

    await csms.ask(await csms.charge_point(), "TriggerMessage", payload, REJECTED)


def profile(purpose: str, number: int = 1, **more: Any) -> dict[str, Any]:
    """A charging profile of 6.5 A for a day."""
    schedule = {
        "duration": 86400,
        "chargingRateUnit": "A",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 6.5}],
    }
    return {
        "chargingProfileId": number,
        "stackLevel": 0,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": "Absolute",
        "validFrom": "2025-01-15T00:00:00Z",
        "validTo": "2025-01-16T00:00:00Z",
        "chargingSchedule": schedule | {"startSchedule": "2025-01-15T00:00:00Z"},
        **more,
    }


async def test_tc_056_tx_default_profile(csms: CentralSystemUnderTest) -> None:
    """SetChargingProfile with a TxDefaultProfile, Accepted (OCPP 1.6 §5.16)."""
    payload = {"connectorId": 1, "csChargingProfiles": profile("TxDefaultProfile")}

    await csms.ask(await csms.charge_point(), "SetChargingProfile", payload)


async def test_tc_057_tx_profile(csms: CentralSystemUnderTest) -> None:
    """In a session, SetChargingProfile with a TxProfile that names its transaction (OCPP 1.6 §5.16)."""
    charge_point = await csms.charge_point()
    transaction_id = await csms.charge(charge_point)
    named = profile("TxProfile", transactionId=transaction_id)

    await csms.ask(charge_point, "SetChargingProfile", {"connectorId": 1, "csChargingProfiles": named})


async def test_tc_059_remote_start_with_a_profile(csms: CentralSystemUnderTest) -> None:
    """RemoteStartTransaction with a TxProfile without transactionId; then the session (OCPP 1.6 §5.11, §5.16)."""
    charge_point = await csms.charge_point()
    payload = {"idTag": VALID, "connectorId": 1, "chargingProfile": profile("TxProfile")}

    await csms.ask(charge_point, "RemoteStartTransaction", payload)
    transaction_id = await csms.charge(charge_point)

    assert [one.transaction_id for one in csms.open_transactions()] == [transaction_id]


async def test_tc_066_composite_schedule(csms: CentralSystemUnderTest) -> None:
    """GetCompositeSchedule; the schedule comes back whole (OCPP 1.6 §5.7)."""
    periods = [{"startPeriod": 0, "limit": 16.0}, {"startPeriod": 60, "limit": 6.4, "numberPhases": 3}]
    schedule = {"duration": 300, "chargingRateUnit": "A", "chargingSchedulePeriod": periods}
    reply = {"status": "Accepted", "connectorId": 1, "chargingSchedule": schedule}
    payload = {"connectorId": 1, "duration": 300, "chargingRateUnit": "A"}

    answer = await csms.ask(await csms.charge_point(), "GetCompositeSchedule", payload, reply)

    assert answer.payload["chargingSchedule"] == schedule


async def test_tc_067_clear_profiles(csms: CentralSystemUnderTest) -> None:
    """Three profiles; cleared by id, by criteria, and all the rest (OCPP 1.6 §5.5, §5.16)."""
    charge_point = await csms.charge_point()
    criteria = {"connectorId": 1, "chargingProfilePurpose": "TxDefaultProfile", "stackLevel": 1}

    for number, purpose in enumerate(("TxDefaultProfile", "TxDefaultProfile", "ChargePointMaxProfile"), 1):
        connector = 0 if purpose == "ChargePointMaxProfile" else 1
        sent = profile(purpose, number, stackLevel=number)
        await csms.ask(charge_point, "SetChargingProfile", {"connectorId": connector, "csChargingProfiles": sent})
    for choice in ({"id": 2}, criteria, {}):
        await csms.ask(charge_point, "ClearChargingProfile", choice)
