"""What a simulated charge point makes of the calls of the optional profiles and of the security white paper."""

import asyncio
import gc
from typing import Any

import pytest
from ocpp.v16 import call

from simulator import Behaviour, ConnectorBusyError, FirmwareFault, ManualClock, SimulatedChargePoint
from simulator.__main__ import behaviour_of, parse_arguments

PLACE = "ftp://192.168.1.10/"
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"
IN_AN_HOUR = "2025-01-15T11:30:00Z"
NOW = "2025-01-15T10:30:00Z"


def statuses(central: Any, action: str) -> list[str]:
    """The statuses in all messages of an action."""
    return [payload["status"] for payload in central.payloads(action)]


async def tell_all(central: Any, clock: ManualClock, action: str, count: int) -> list[str]:
    """Let the clock run until so many messages of an action came; their statuses."""
    async with asyncio.timeout(10):
        while len(central.of(action)) < count:
            await clock.advance(5)
            await asyncio.sleep(0.005)
    return statuses(central, action)


def entry(id_tag: str, status: str | None = "Accepted") -> dict[str, Any]:
    """An entry of a local list; without a status it is to be removed."""
    return {"idTag": id_tag} if status is None else {"idTag": id_tag, "idTagInfo": {"status": status}}


async def send_list(central: Any, version: int, update_type: str, *entries: dict[str, Any]) -> str:
    answer = await central.request("CP1", call.SendLocalList(version, update_type, list(entries)))
    return answer.status


async def test_a_local_list_is_taken_over_as_a_whole_or_not_at_all(central: Any, plug: Any) -> None:
    """Versions count up, a Full list has every entry's info, and -1 means that there can be none (§5.10, §5.15)."""
    await plug()

    async def version() -> int:
        return (await central.request("CP1", call.GetLocalListVersion())).list_version

    assert await version() == 0
    assert await send_list(central, 3, "Full", entry("A"), entry("B")) == "Accepted"
    assert await send_list(central, 3, "Differential", entry("C")) == "VersionMismatch"
    assert await send_list(central, 4, "Full", entry("A", None)) == "Failed"
    assert await send_list(central, 0, "Full", entry("A")) == "Failed"
    assert await send_list(central, 9, "Differential", *(entry(f"T{n}") for n in range(101))) == "Failed"
    assert await version() == 3
    assert await send_list(central, 5, "Differential", entry("A", None), entry("C", "Blocked")) == "Accepted"
    assert await version() == 5
    await central.request("CP1", call.ChangeConfiguration("LocalAuthListEnabled", "false"))
    assert await version() == -1
    assert await send_list(central, 6, "Full") == "NotSupported"


async def test_offline_the_local_list_says_who_may_charge(central: Any, plug: Any) -> None:
    """LocalAuthorizeOffline: a blocked tag is refused, though unknown ones would be let in (§3.5)."""
    charge_point = await plug()
    await send_list(central, 1, "Full", entry("GOOD"), entry("BAD", "Blocked"))

    async with charge_point.offline():
        with pytest.raises(Exception, match="Blocked"):
            await charge_point.plug_in_and_swipe(1, "BAD")
        await charge_point.plug_in_and_swipe(1, "GOOD")


def reserve(number: int = 7, connector: int = 1, tag: str = "RFID001", until: str = IN_AN_HOUR) -> Any:
    return call.ReserveNow(connector, until, tag, number)


async def test_a_reserved_connector_is_for_its_tag(central: Any, plug: Any) -> None:
    """Others are turned away; the session carries the reservationId and uses it up (§5.13, §4.8)."""
    charge_point = await plug()

    answer = await central.request("CP1", reserve())
    await charge_point.until(lambda: charge_point.status() == "Reserved")
    with pytest.raises(ConnectorBusyError):
        await charge_point.plug_in_and_swipe(1, "RFID002")
    await charge_point.plug_in_and_swipe(1, "RFID001")

    assert answer.status == "Accepted"
    assert central.payloads("StartTransaction")[0]["reservationId"] == 7
    assert (await central.request("CP1", call.CancelReservation(7))).status == "Rejected"


async def test_a_refused_tag_leaves_its_reservation_alone(central: Any, plug: Any) -> None:
    """The connector is Reserved again."""
    charge_point = await plug()
    central.refused_tags["RFID001"] = "Blocked"
    await central.request("CP1", reserve())
    await charge_point.until(lambda: charge_point.status() == "Reserved")

    with pytest.raises(Exception, match="Blocked"):
        await charge_point.plug_in_and_swipe(1, "RFID001")

    assert charge_point.status() == "Reserved"


async def test_a_reservation_ends_by_itself_or_by_a_call(central: Any, plug: Any, clock: ManualClock) -> None:
    """Available again after the expiry, and after CancelReservation (§5.1, §5.13)."""
    charge_point = await plug()

    await central.request("CP1", reserve())
    await charge_point.until(lambda: charge_point.status() == "Reserved")
    await clock.advance(3600)
    await charge_point.until(lambda: charge_point.status() == "Available")
    await central.request("CP1", reserve(8, until="2025-01-15T13:00:00Z"))
    await charge_point.until(lambda: charge_point.status() == "Reserved")
    cancelled = await central.request("CP1", call.CancelReservation(8))
    await charge_point.until(lambda: charge_point.status() == "Available")

    assert cancelled.status == "Accepted"


async def test_a_reservation_that_is_moved_frees_the_connector_before(central: Any, plug: Any) -> None:
    """The same id replaces (§5.13)."""
    charge_point = await plug(connectors=2)

    for connector in (1, 2):
        assert (await central.request("CP1", reserve(connector=connector))).status == "Accepted"
        await charge_point.until(lambda connector=connector: charge_point.status(connector) == "Reserved")

    assert charge_point.status(1) == "Available"


async def test_what_cannot_be_reserved(central: Any, plug: Any) -> None:
    """Occupied, Unavailable, Rejected (§5.13)."""
    charge_point = await plug(connectors=3)
    await charge_point.plug_in_and_swipe(1)
    await central.request("CP1", call.ChangeAvailability(2, "Inoperative"))
    await central.request("CP1", reserve(5, connector=3))
    await charge_point.until(lambda: charge_point.status(3) == "Reserved")

    async def status(**wanted: Any) -> str:
        return (await central.request("CP1", reserve(**wanted))).status

    assert await status(connector=1) == "Occupied"
    assert await status(connector=2) == "Unavailable"
    assert await status(connector=3) == "Occupied"
    assert await status(connector=0) == "Rejected"
    assert await status(connector=9) == "Rejected"
    assert await status(connector=3, number=5) == "Accepted"
    assert await status(connector=3, number=5, until=NOW) == "Rejected"


def profile(purpose: str, number: int, limit: float, *, level: int = 0, **more: Any) -> dict[str, Any]:
    schedule = {"chargingRateUnit": "W", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}]}
    return {
        "chargingProfileId": number,
        "stackLevel": level,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": "Relative",
        "chargingSchedule": schedule,
        **more,
    }


async def test_profiles_stack_and_are_cleared_by_id_or_criteria(central: Any, plug: Any) -> None:
    """TxProfile over TxDefaultProfile, the higher level over the lower, the whole below both (§3.13, §5.5, §5.7)."""
    charge_point = await plug()
    await charge_point.plug_in_and_swipe()

    async def put(connector: int, sent: dict[str, Any]) -> str:
        return (await central.request("CP1", call.SetChargingProfile(connector, sent))).status

    async def limit_w() -> float:
        answer = await central.request("CP1", call.GetCompositeSchedule(1, 60, "W"))
        return float(answer.charging_schedule["charging_schedule_period"][0]["limit"])

    async def clear(**meant: Any) -> str:
        return (await central.request("CP1", call.ClearChargingProfile(**meant))).status

    assert await limit_w() == 22080
    assert await put(0, profile("TxDefaultProfile", 1, 9000)) == "Accepted"
    assert await put(1, profile("TxDefaultProfile", 2, 8000, level=1)) == "Accepted"
    assert await limit_w() == 8000
    assert await put(1, profile("TxProfile", 3, 10_000)) == "Accepted"
    assert await limit_w() == 10_000
    assert await put(0, profile("ChargePointMaxProfile", 4, 5000)) == "Accepted"
    assert await limit_w() == 5000
    assert await put(1, profile("ChargePointMaxProfile", 5, 5000)) == "Rejected"
    assert await put(1, profile("TxProfile", 6, 5000, level=11)) == "Rejected"
    assert await put(1, profile("TxProfile", 7, 5000, transactionId=9)) == "Rejected"
    assert charge_point.session().power_now_w == 5000
    assert await clear(id=4) == "Accepted"
    assert await clear(charging_profile_purpose="TxProfile", connector_id=1) == "Accepted"
    assert await limit_w() == 8000
    assert await clear() == "Accepted"
    assert await clear() == "Unknown"
    assert await limit_w() == 22080
    assert (await central.request("CP1", call.GetCompositeSchedule(9, 60))).status == "Rejected"


async def test_a_tx_profile_ends_with_its_transaction(central: Any, plug: Any) -> None:
    """The next session is not limited by it (§3.13.1); one of a remote start counts from the start (§5.11)."""
    charge_point = await plug()
    limited = profile("TxProfile", 1, 2000)

    refused = await central.request("CP1", call.RemoteStartTransaction("A", 1, profile("TxDefaultProfile", 1, 2000)))
    await central.request("CP1", call.RemoteStartTransaction("A", 1, limited))
    await charge_point.until(lambda: charge_point.status() == "Charging")
    first_w = charge_point.session().power_now_w
    await charge_point.stop()
    second = await charge_point.plug_in_and_swipe()

    assert refused.status == "Rejected"
    assert (first_w, second.power_now_w) == (2000, 11_000)


@pytest.mark.parametrize(("fails", "last"), [(False, "Uploaded"), (True, "UploadFailed")])
async def test_diagnostics_are_uploaded_after_the_answer(
    central: Any, plug: Any, clock: ManualClock, fails: bool, last: str
) -> None:
    """A file name, Uploading, and how it went; no second upload meanwhile (§5.9, §4.4)."""
    await plug(behaviour=Behaviour(upload_fails=fails))

    first = await central.request("CP1", call.GetDiagnostics(PLACE))
    second = await central.request("CP1", call.GetDiagnostics(PLACE))

    assert first.file_name
    assert second.file_name is None
    assert await tell_all(central, clock, "DiagnosticsStatusNotification", 2) == ["Uploading", last]


@pytest.mark.parametrize(("fails", "last"), [(False, "Uploaded"), (True, "UploadFailure")])
async def test_a_log_is_uploaded_under_its_request_id(
    central: Any, plug: Any, clock: ManualClock, fails: bool, last: str
) -> None:
    """GetLog, then LogStatusNotification; refused while one goes on (white paper N01)."""
    await plug(behaviour=Behaviour(upload_fails=fails))
    request = call.GetLog({"remoteLocation": PLACE}, "SecurityLog", 5)

    answers = [(await central.request("CP1", request)).status for _ in range(2)]

    assert answers == ["Accepted", "Rejected"]
    assert await tell_all(central, clock, "LogStatusNotification", 2) == ["Uploading", last]
    assert [payload["requestId"] for payload in central.payloads("LogStatusNotification")] == [5, 5]


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (None, ["Downloading", "Downloaded", "Installing", "Installed"]),
        (FirmwareFault.DOWNLOAD, ["Downloading", "DownloadFailed"]),
        (FirmwareFault.INSTALLATION, ["Downloading", "Downloaded", "Installing", "InstallationFailed"]),
    ],
)
async def test_firmware_is_updated_with_a_boot(
    central: Any, plug: Any, clock: ManualClock, fault: FirmwareFault | None, told: list[str]
) -> None:
    """FirmwareStatusNotification step by step, the boot between the last two (§5.19, §4.5)."""
    await plug(behaviour=Behaviour(firmware_fault=fault))

    await central.request("CP1", call.UpdateFirmware(PLACE, NOW))

    assert await tell_all(central, clock, "FirmwareStatusNotification", len(told)) == told
    assert len(central.of("BootNotification")) == (2 if "Installing" in told else 1)


async def test_an_installation_waits_for_the_session_to_end(central: Any, plug: Any, clock: ManualClock) -> None:
    """Downloaded at once, installed when the car is gone (§5.19)."""
    charge_point = await plug()
    await charge_point.plug_in_and_swipe()

    await central.request("CP1", call.UpdateFirmware(PLACE, NOW))
    await tell_all(central, clock, "FirmwareStatusNotification", 2)
    await clock.advance(300)
    while_charging = statuses(central, "FirmwareStatusNotification")
    await charge_point.stop()
    after = await tell_all(central, clock, "FirmwareStatusNotification", 4)

    assert while_charging == ["Downloading", "Downloaded"]
    assert after[2:] == ["Installing", "Installed"]


def signed(certificate: str = PEM) -> Any:
    firmware = {"location": PLACE, "retrieveDateTime": NOW, "signingCertificate": certificate, "signature": "c2ln"}
    return call.SignedUpdateFirmware(6, firmware)


async def test_signed_firmware_is_verified_first(central: Any, plug: Any, clock: ManualClock) -> None:
    """SignedFirmwareStatusNotification under its request id; a second update is refused meanwhile (L01)."""
    await plug()

    answers = [(await central.request("CP1", signed())).status for _ in range(2)]
    told = await tell_all(central, clock, "SignedFirmwareStatusNotification", 6)

    assert answers == ["Accepted", "Rejected"]
    assert told[:3] == ["Downloading", "Downloaded", "SignatureVerified"]
    assert told[3:] == ["Installing", "InstallRebooting", "Installed"]
    assert {payload["requestId"] for payload in central.payloads("SignedFirmwareStatusNotification")} == {6}


async def test_signed_firmware_with_a_bad_signature(central: Any, plug: Any, clock: ManualClock) -> None:
    """InvalidSignature and its security event; a certificate that is none is refused at once (L01)."""
    await plug(behaviour=Behaviour(firmware_fault=FirmwareFault.SIGNATURE))

    bad = await central.request("CP1", signed("none"))
    await central.request("CP1", signed())
    told = await tell_all(central, clock, "SignedFirmwareStatusNotification", 3)
    await tell_all_events(central, clock, 2)

    assert bad.status == "InvalidCertificate"
    assert told[-1] == "InvalidSignature"
    assert events(central) == ["InvalidFirmwareSigningCertificate", "InvalidFirmwareSignature"]


async def tell_all_events(central: Any, clock: ManualClock, count: int) -> None:
    async with asyncio.timeout(10):
        while len(central.of("SecurityEventNotification")) < count:
            await clock.advance(5)
            await asyncio.sleep(0.005)


def events(central: Any) -> list[str]:
    return [payload["type"] for payload in central.payloads("SecurityEventNotification")]


async def test_certificates_are_installed_listed_and_deleted(central: Any, plug: Any) -> None:
    """By use and by hash data (white paper M03 to M05)."""
    await plug()
    kind, other = "CentralSystemRootCertificate", "ManufacturerRootCertificate"

    installed = await central.request("CP1", call.InstallCertificate(kind, PEM))
    listed = await central.request("CP1", call.GetInstalledCertificateIds(kind))
    elsewhere = await central.request("CP1", call.GetInstalledCertificateIds(other))
    (data,) = listed.certificate_hash_data
    deleted = [(await central.request("CP1", call.DeleteCertificate(data))).status for _ in range(2)]

    assert (installed.status, listed.status, elsewhere.status) == ("Accepted", "Accepted", "NotFound")
    assert deleted == ["Accepted", "NotFound"]


async def test_certificates_that_are_none_are_security_events(central: Any, plug: Any) -> None:
    """InvalidCentralSystemCertificate, InvalidChargePointCertificate (A02, M05)."""
    await plug()

    root = await central.request("CP1", call.InstallCertificate("CentralSystemRootCertificate", "none"))
    chain = await central.request("CP1", call.CertificateSigned("none"))
    good = await central.request("CP1", call.CertificateSigned(PEM))
    await central.until(lambda: len(events(central)) == 2)

    assert (root.status, chain.status, good.status) == ("Rejected", "Rejected", "Accepted")
    assert events(central) == ["InvalidCentralSystemCertificate", "InvalidChargePointCertificate"]


@pytest.mark.parametrize(
    ("request_", "action"),
    [
        (call.TriggerMessage("DiagnosticsStatusNotification"), "DiagnosticsStatusNotification"),
        (call.TriggerMessage("FirmwareStatusNotification"), "FirmwareStatusNotification"),
        (call.ExtendedTriggerMessage("FirmwareStatusNotification"), "SignedFirmwareStatusNotification"),
        (call.ExtendedTriggerMessage("LogStatusNotification"), "LogStatusNotification"),
        (call.ExtendedTriggerMessage("SignChargePointCertificate"), "SignCertificate"),
        (call.ExtendedTriggerMessage("MeterValues"), "MeterValues"),
        (call.ExtendedTriggerMessage("Heartbeat"), "Heartbeat"),
    ],
)
async def test_a_message_that_is_triggered_follows(central: Any, plug: Any, request_: Any, action: str) -> None:
    """TriggerMessage and its extension (§5.17, white paper A02); where nothing goes on, the status is Idle."""
    await plug()

    answer = await central.request("CP1", request_)
    await central.until(lambda: central.of(action))

    assert answer.status == "Accepted"
    assert central.payloads(action)[0].get("status", "Idle") == "Idle"


async def test_an_extended_trigger_for_no_connector_is_rejected(central: Any, plug: Any) -> None:
    """§5.17."""
    await plug()

    assert (await central.request("CP1", call.ExtendedTriggerMessage("MeterValues", 9))).status == "Rejected"


async def test_a_new_authorization_key_is_used_at_once_and_never_told(central: Any, plug: Any) -> None:
    """The charge point connects again with it (white paper A01); GetConfiguration has no value for it."""
    charge_point = await plug(password="the old password")
    key = "0123456789abcdef" * 2

    weak = await central.request("CP1", call.ChangeConfiguration("AuthorizationKey", "short"))
    changed = await central.request("CP1", call.ChangeConfiguration("AuthorizationKey", key))
    await central.until(lambda: central.connection_count == 2)
    await charge_point.until(lambda: charge_point.is_connected)
    told = await central.request("CP1", call.GetConfiguration(["AuthorizationKey"]))

    assert (weak.status, changed.status) == ("Rejected", "Accepted")
    assert len(set(central.authorization_headers)) == 2
    assert told.configuration_key == [{"key": "AuthorizationKey", "readonly": False}]


async def test_a_key_that_needs_a_boot_changes_with_it(central: Any, plug: Any) -> None:
    """RebootRequired; the old value stands until then (§5.3)."""
    charge_point = await plug()

    changed = await central.request("CP1", call.ChangeConfiguration("ConnectorPhaseRotation", "1.RST"))
    before = charge_point.configuration["ConnectorPhaseRotation"]
    await central.request("CP1", call.Reset("Soft"))
    await central.until(lambda: len(central.of("BootNotification")) == 2)

    assert (changed.status, before) == ("RebootRequired", "NotApplicable")
    assert charge_point.configuration["ConnectorPhaseRotation"] == "1.RST"


async def test_a_late_answer_is_still_given(central: Any, plug: Any, clock: ManualClock) -> None:
    """call_answer_delay_s: after its time and not before."""
    charge_point: SimulatedChargePoint = await plug(behaviour=Behaviour(call_answer_delay_s=100))

    asking = asyncio.create_task(central.request("CP1", call.ClearCache()))
    await charge_point.until(lambda: charge_point.received["ClearCache"])
    is_early = asking.done()
    await clock.advance(100)

    assert not is_early
    assert (await asking).status == "Accepted"


def test_bad_answers_can_be_asked_for_on_the_command_line() -> None:
    """By the names of actions."""
    flags = ["--refused-calls", "Reset,ClearCache", "--call-answer-delay-s", "60", "--firmware-fault", "signature"]

    behaviour = behaviour_of(parse_arguments(["--demo", *flags, "--upload-fails"]))

    assert behaviour.refused_calls == ("Reset", "ClearCache")
    assert behaviour.call_answer_delay_s == 60
    assert behaviour.firmware_fault is FirmwareFault.SIGNATURE
    assert behaviour.upload_fails


async def test_a_session_end_that_nobody_waits_for_is_no_complaint(plug: Any) -> None:
    """Asked for while there was no connection, and then the charge point was switched off."""
    complaints: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context))
    charge_point = await plug()
    session = await charge_point.plug_in_and_swipe()
    ended = session.ended

    await charge_point.close()
    await asyncio.sleep(0)
    del ended
    gc.collect()

    assert complaints == []
