"""Each of the 26 calls from the running server to a simulated charge point, well-behaved and not."""

from typing import Any

import pytest
from central_system_under_test import VALID, CentralSystemUnderTest

from ocpp_server.ocpp16.outgoing import CallAnswer
from ocpp_server.ocpp16.requests import REQUESTS
from simulator import Behaviour, SimulatedChargePoint

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"
PLACE, LATER, ROOT = "ftp://192.168.1.10/", "2025-01-15T18:00:00Z", "CentralSystemRootCertificate"
PROFILE = {
    "chargingProfileId": 1,
    "stackLevel": 0,
    "chargingProfilePurpose": "TxDefaultProfile",
    "chargingProfileKind": "Absolute",
    "chargingSchedule": {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16.4}]},
}
FIRMWARE = {"location": PLACE, "retrieveDateTime": LATER, "signingCertificate": PEM, "signature": "c2ln"}
HASHES = {"hashAlgorithm": "SHA256", "issuerNameHash": "a", "issuerKeyHash": "b", "serialNumber": "1"}
CALLS: dict[str, tuple[dict[str, Any], str]] = {
    "ChangeAvailability": ({"connectorId": 1, "type": "Operative"}, "Accepted"),
    "ChangeConfiguration": ({"key": "HeartbeatInterval", "value": "120"}, "Accepted"),
    "ClearCache": ({}, "Accepted"),
    "DataTransfer": ({"vendorId": "org.example"}, "UnknownVendorId"),
    "GetConfiguration": ({"key": ["HeartbeatInterval", "Nonsense"]}, "answered"),
    "RemoteStartTransaction": ({"idTag": VALID, "connectorId": 1}, "Accepted"),
    "RemoteStopTransaction": ({"transactionId": 1}, "Rejected"),
    "Reset": ({"type": "Soft"}, "Accepted"),
    "UnlockConnector": ({"connectorId": 1}, "Unlocked"),
    "GetDiagnostics": ({"location": PLACE}, "answered"),
    "UpdateFirmware": ({"location": PLACE, "retrieveDate": LATER}, "answered"),
    "GetLocalListVersion": ({}, "answered"),
    "SendLocalList": ({"listVersion": 1, "updateType": "Full", "localAuthorizationList": []}, "Accepted"),
    "CancelReservation": ({"reservationId": 1}, "Rejected"),
    "ReserveNow": ({"connectorId": 1, "expiryDate": LATER, "idTag": VALID, "reservationId": 1}, "Accepted"),
    "ClearChargingProfile": ({"id": 1}, "Unknown"),
    "GetCompositeSchedule": ({"connectorId": 1, "duration": 60}, "Accepted"),
    "SetChargingProfile": ({"connectorId": 1, "csChargingProfiles": PROFILE}, "Accepted"),
    "TriggerMessage": ({"requestedMessage": "Heartbeat"}, "Accepted"),
    "CertificateSigned": ({"certificateChain": PEM}, "Accepted"),
    "DeleteCertificate": ({"certificateHashData": HASHES}, "NotFound"),
    "ExtendedTriggerMessage": ({"requestedMessage": "Heartbeat"}, "Accepted"),
    "GetInstalledCertificateIds": ({"certificateType": ROOT}, "NotFound"),
    "GetLog": ({"logType": "SecurityLog", "requestId": 1, "log": {"remoteLocation": PLACE}}, "Accepted"),
    "InstallCertificate": ({"certificateType": ROOT, "certificate": PEM}, "Accepted"),
    "SignedUpdateFirmware": ({"requestId": 1, "firmware": FIRMWARE}, "Accepted"),
}
"""A payload for each call, and the status of its answer."""
ACTIONS = tuple(CALLS)
LAST = ("UpdateFirmware", "RemoteStartTransaction", "Reset")
WITHOUT_DUTIES = {"GetConfiguration", "GetDiagnostics", "UpdateFirmware"}
"""Calls whose answers need not hold anything."""
NO_REFUSAL = {*WITHOUT_DUTIES, "GetLocalListVersion"}


async def ask(csms: CentralSystemUnderTest, action: str) -> CallAnswer:
    """Make the server send the call."""
    return await csms.site.server.calls.call("CP1", action, CALLS[action][0])


async def plug(csms: CentralSystemUnderTest, **habits: Any) -> SimulatedChargePoint:
    """A simulated charge point with these habits; nobody else asks it anything."""
    return await csms.site.plug("CP1", behaviour=Behaviour(**habits))


@pytest.fixture
async def calm(start_system: Any) -> CentralSystemUnderTest:
    """A server that configures nobody, and is not patient."""
    return await start_system(configure_charge_points=False)


def test_every_call_is_tried() -> None:
    """All of the table in `requests`."""
    assert CALLS.keys() == REQUESTS.keys()


async def test_a_good_charge_point_answers_every_call(calm: CentralSystemUnderTest) -> None:
    """By its schema, and with the status that is due. What changes the state comes last."""
    charge_point = await plug(calm)

    for action in (*(one for one in ACTIONS if one not in LAST), *LAST):
        answer = await ask(calm, action)
        assert (action, answer.status, answer.fault) == (action, CALLS[action][1], "")
        if action == "ReserveNow":  # the connector is needed for the rest
            await calm.site.server.calls.call("CP1", "CancelReservation", {"reservationId": 1})

    assert charge_point.received.keys() == REQUESTS.keys()


async def test_refusals_are_told(calm: CentralSystemUnderTest) -> None:
    """Rejected, or what comes nearest; NotSupported as a CALLERROR with its description."""
    refusing = await plug(calm, refused_calls=ACTIONS)
    told = {action: (await ask(calm, action)).status for action in ACTIONS}
    await refusing.close()
    await calm.site.advance(1)
    await plug(calm, unsupported_calls=ACTIONS)
    unsupported = {action: await ask(calm, action) for action in ACTIONS}

    assert {action for action, status in told.items() if status == "answered"} == NO_REFUSAL
    assert set(told.values()) == {"Rejected", "UnlockFailed", "Failed", "Unknown", "NotFound", "answered"}
    for action, answer in unsupported.items():
        assert answer == CallAnswer("error: NotSupported", {"description": f"{action} is not supported"})


async def test_malformed_answers_are_told(calm: CentralSystemUnderTest) -> None:
    """No answer that counts, and what is wrong with it."""
    await plug(calm, malformed_calls=ACTIONS)

    for action in ACTIONS:
        answer = await ask(calm, action)
        assert (action, answer.status) == (
            action,
            "7" if action in WITHOUT_DUTIES else "error: malformed answer",
        )
        assert answer.fault


async def test_a_charge_point_that_hangs_up_on_every_call(calm: CentralSystemUnderTest) -> None:
    """No answer; it comes back and hangs up again."""
    await plug(calm, disconnecting_calls=ACTIONS)
    connection = calm.site.server.gateway.connection

    for action in ACTIONS:
        before = connection("CP1")
        assert (await ask(calm, action)).status == "no answer"
        await calm.site.until(lambda before=before: connection("CP1") not in (None, before))  # type: ignore[misc]
