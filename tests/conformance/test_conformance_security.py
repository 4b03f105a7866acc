"""Keys, certificates, TLS, security events, logs and signed firmware (security white paper, edition 3).

Cases of the OCA's compliance tool for a Central System; docs/conformance.md is the table. What needs a line with TLS
runs over one, with an authority and certificates that are made on the spot.
"""

import ssl
from pathlib import Path
from typing import Any

import pytest
from canaries import CANARY_KEY
from central_system_under_test import CentralSystemUnderTest, SystemFactory
from certificates import Certificates
from octt_charge_point import OcttChargePoint
from websockets.exceptions import InvalidMessage, InvalidStatus

from ocpp_server.core.records import NoteKind

OLD_KEY, NEW_KEY = CANARY_KEY, "fedcba9876543210" * 2 + "fedcba98"
REJECTED = {"status": "Rejected"}
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"
HASHES = {
    "hashAlgorithm": "SHA256",
    "issuerNameHash": "a" * 64,
    "issuerKeyHash": "b" * 64,
    "serialNumber": "0123456789",
}
PLACE = "sftp://192.168.1.10/"


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    """An authority and what it signs."""
    return Certificates(tmp_path)


@pytest.fixture
async def secure(start_system: SystemFactory, certificates: Certificates) -> CentralSystemUnderTest:
    """A server with a port for TLS beside the plain one."""
    server = certificates.server()
    return await start_system(
        tls_certificate=server.certificate, tls_key=server.key, tls_client_ca=certificates.ca_file, ocpp_tls_port=0
    )


async def is_refused(system: CentralSystemUnderTest, status: int, **options: Any) -> bool:
    """Whether a handshake gets this HTTP status."""
    with pytest.raises(InvalidStatus) as caught:
        await system.dial(**options)
    return caught.value.response.status_code == status


async def by_key(system: CentralSystemUnderTest, certificates: Certificates) -> OcttChargePoint:
    """A charge point of security profile 2."""
    await system.give_key(OLD_KEY)
    return await system.charge_point(key=OLD_KEY, tls=certificates.client_context())


async def by_certificate(system: CentralSystemUnderTest, certificates: Certificates) -> OcttChargePoint:
    """A charge point of security profile 3."""
    return await system.charge_point(tls=certificates.client_context(certificates.client("CP1")))


@pytest.mark.parametrize("is_encrypted", [False, True])
async def test_tc_073_new_basic_auth_password(
    secure: CentralSystemUnderTest, certificates: Certificates, is_encrypted: bool
) -> None:
    """ChangeConfiguration AuthorizationKey, Accepted; then the new one lets in and the old one does not (A01)."""
    tls = certificates.client_context() if is_encrypted else None
    await secure.give_key(OLD_KEY)
    charge_point = await secure.charge_point(key=OLD_KEY, tls=tls)

    await secure.ask(charge_point, "ChangeConfiguration", {"key": "AuthorizationKey", "value": NEW_KEY})
    await secure.give_key(NEW_KEY)
    await charge_point.close()

    assert await is_refused(secure, 401, key=OLD_KEY, tls=tls)
    after = await secure.dial(key=bytes.fromhex(NEW_KEY), tls=tls)
    assert (await after.boot())["status"] == "Accepted"


async def installs(secure: CentralSystemUnderTest, certificates: Certificates, kind: str) -> None:
    """InstallCertificate, then GetInstalledCertificateIds of that kind."""
    charge_point = await by_key(secure, certificates)

    await secure.ask(charge_point, "InstallCertificate", {"certificateType": kind, "certificate": PEM})
    answer = await secure.ask(
        charge_point,
        "GetInstalledCertificateIds",
        {"certificateType": kind},
        {"status": "Accepted", "certificateHashData": [HASHES]},
    )

    assert answer.payload["certificateHashData"] == [HASHES]


async def test_tc_075_1_install_a_manufacturer_root(secure: CentralSystemUnderTest, certificates: Certificates) -> None:
    """InstallCertificate and GetInstalledCertificateIds of ManufacturerRootCertificate (M05, M03)."""
    await installs(secure, certificates, "ManufacturerRootCertificate")


async def test_tc_075_2_install_a_central_system_root(
    secure: CentralSystemUnderTest, certificates: Certificates
) -> None:
    """InstallCertificate and GetInstalledCertificateIds of CentralSystemRootCertificate (M05, M03)."""
    await installs(secure, certificates, "CentralSystemRootCertificate")


async def test_tc_076_delete_a_certificate(secure: CentralSystemUnderTest, certificates: Certificates) -> None:
    """DeleteCertificate with the very hash data that GetInstalledCertificateIds gave (M04)."""
    charge_point = await by_key(secure, certificates)

    answer = await secure.ask(
        charge_point,
        "GetInstalledCertificateIds",
        {"certificateType": "CentralSystemRootCertificate"},
        {"status": "Accepted", "certificateHashData": [HASHES]},
    )
    (listed,) = answer.payload["certificateHashData"]

    await secure.ask(charge_point, "DeleteCertificate", {"certificateHashData": listed})


async def test_tc_077_event_bad_charge_point_certificate(
    secure: CentralSystemUnderTest, certificates: Certificates
) -> None:
    """CertificateSigned, Rejected; the event InvalidChargePointCertificate is confirmed and kept (A02, A04)."""
    charge_point = await by_certificate(secure, certificates)

    await secure.ask(charge_point, "CertificateSigned", {"certificateChain": PEM}, REJECTED)
    await tells_event(secure, charge_point, "InvalidChargePointCertificate")


async def test_tc_078_event_bad_central_system_certificate(
    secure: CentralSystemUnderTest, certificates: Certificates
) -> None:
    """InstallCertificate, Rejected; the event InvalidCentralSystemCertificate is confirmed and kept (M05, A04)."""
    charge_point = await by_key(secure, certificates)
    payload = {"certificateType": "CentralSystemRootCertificate", "certificate": PEM}

    await secure.ask(charge_point, "InstallCertificate", payload, REJECTED)
    await tells_event(secure, charge_point, "InvalidCentralSystemCertificate")


async def tells_event(secure: CentralSystemUnderTest, charge_point: OcttChargePoint, event: str) -> None:
    """SecurityEventNotification, confirmed, and kept for people."""
    await charge_point.tell("SecurityEventNotification", type=event, timestamp=charge_point.stamp())

    assert any(event in note.text for note in secure.site.notes(NoteKind.SECURITY))


async def test_tc_079_security_log(secure: CentralSystemUnderTest, certificates: Certificates) -> None:
    """GetLog SecurityLog; LogStatusNotification Uploading, Uploaded (N01)."""
    charge_point = await by_key(secure, certificates)
    payload = {"logType": "SecurityLog", "requestId": 5, "log": {"remoteLocation": PLACE}}

    await secure.ask(charge_point, "GetLog", payload, {"status": "Accepted", "filename": "security.log"})
    for status in ("Uploading", "Uploaded"):
        await charge_point.tell("LogStatusNotification", status=status, requestId=5)


async def updates_signed_firmware(
    secure: CentralSystemUnderTest, certificates: Certificates, *tellings: str
) -> OcttChargePoint:
    """SignedUpdateFirmware, and what the charge point tells of it."""
    charge_point = await by_key(secure, certificates)
    firmware = {
        "location": PLACE,
        "retrieveDateTime": secure.in_an_hour(),
        "signingCertificate": PEM,
        "signature": "c2lnbmF0dXJl",
    }
    await secure.ask(charge_point, "SignedUpdateFirmware", {"requestId": 6, "firmware": firmware})
    for status in tellings:
        await charge_point.tell("SignedFirmwareStatusNotification", status=status, requestId=6)
    return charge_point


async def test_tc_080_signed_firmware_update(secure: CentralSystemUnderTest, certificates: Certificates) -> None:
    """Downloading to InstallRebooting, the reboot, Installed: all confirmed (L01)."""
    tellings = ("Downloading", "Downloaded", "SignatureVerified", "Installing", "InstallRebooting")
    charge_point = await updates_signed_firmware(secure, certificates, *tellings)

    after = await secure.rebooted(charge_point, key=OLD_KEY, tls=certificates.client_context())
    await after.statuses()
    await after.tell("SignedFirmwareStatusNotification", status="Installed", requestId=6)


async def test_tc_081_signed_firmware_bad_signature(secure: CentralSystemUnderTest, certificates: Certificates) -> None:
    """Downloading, Downloaded, InvalidSignature, and its security event: all confirmed (L01)."""
    charge_point = await updates_signed_firmware(secure, certificates, "Downloading", "Downloaded", "InvalidSignature")

    await tells_event(secure, charge_point, "InvalidFirmwareSignature")


async def test_tc_083_raise_the_security_profile(secure: CentralSystemUnderTest, certificates: Certificates) -> None:
    """SecurityProfile 2, Reset Hard; it is let in with TLS, and from then on no more without (A05)."""
    await secure.give_key(OLD_KEY)
    charge_point = await secure.charge_point(key=OLD_KEY)

    await secure.ask(charge_point, "ChangeConfiguration", {"key": "SecurityProfile", "value": "2"})
    await secure.ask(charge_point, "Reset", {"type": "Hard"})
    after = await secure.rebooted(charge_point, key=OLD_KEY, tls=certificates.client_context())
    await after.statuses()
    await after.close()

    assert await is_refused(secure, 401, key=OLD_KEY)


@pytest.mark.parametrize("is_encrypted", [False, True])
async def test_tc_085_basic_authentication(
    secure: CentralSystemUnderTest, certificates: Certificates, is_encrypted: bool
) -> None:
    """No credentials and wrong ones get 401, the right ones a line (§2.3)."""
    tls = certificates.client_context() if is_encrypted else None
    await secure.give_key(OLD_KEY)

    assert await is_refused(secure, 401, tls=tls)
    assert await is_refused(secure, 401, key=NEW_KEY, tls=tls)
    charge_point = await secure.dial(key=OLD_KEY, tls=tls)
    assert (await charge_point.boot())["status"] == "Accepted"
    await charge_point.statuses()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_tc_086_tls_with_a_server_certificate(
    secure: CentralSystemUnderTest, certificates: Certificates, version: ssl.TLSVersion
) -> None:
    """TLS 1.2 and 1.3, a certificate for the server's name, then the boot (§2.4)."""
    await secure.give_key(OLD_KEY)
    charge_point = await secure.dial(key=OLD_KEY, tls=certificates.client_context(version=version))

    assert (await charge_point.boot())["status"] == "Accepted"
    await charge_point.statuses()
    line = charge_point.socket.transport.get_extra_info("ssl_object")
    assert line.version() == version.name.replace("_", ".")
    assert line.getpeercert()["serialNumber"]


async def test_tc_087_tls_with_a_client_certificate(secure: CentralSystemUnderTest, certificates: Certificates) -> None:
    """A certificate of our authority with the charge point's id lets in; a foreign one does not (§2.5)."""
    charge_point = await by_certificate(secure, certificates)
    await charge_point.statuses()
    await charge_point.close()

    foreign = certificates.client("CP1", ca=certificates.foreign_authority)
    with pytest.raises((OSError, InvalidMessage)):
        await secure.dial(tls=certificates.client_context(foreign))
    assert await is_refused(secure, 401, tls=certificates.client_context())


async def test_tc_088_subprotocol_negotiation(csms: CentralSystemUnderTest) -> None:
    """Only an unknown version: no WebSocket. An unknown one and ocpp1.6: the answer is ocpp1.6 (OCPP-J §3.1.2)."""
    assert await is_refused(csms, 400, subprotocols=("ocpp0.1",))

    charge_point = await csms.dial(subprotocols=("ocpp0.1", "ocpp1.6"))

    assert charge_point.socket.subprotocol == "ocpp1.6"
    assert (await charge_point.boot())["status"] == "Accepted"
