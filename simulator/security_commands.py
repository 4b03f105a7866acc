# The ocpp package ships no types, and its decorators take them away.
# mypy: disable-error-code="import-untyped,misc,untyped-decorator"
"""Requests of the security white paper: certificates, logs, signed firmware, the extended trigger."""

from typing import Any

from ocpp.routing import on
from ocpp.v16 import call_result
from ocpp.v16.enums import Action

from simulator.certificates import HashData, is_certificate
from simulator.maintenance import IDLE
from simulator.optional_commands import OptionalCommands, time_of


class SecurityCommands(OptionalCommands):
    """The handlers of the white paper's use cases."""

    @on(Action.certificate_signed)
    def on_certificate_signed(self, certificate_chain: str) -> Any:
        """A chain that is none is refused, with a security event (A02)."""
        if is_certificate(certificate_chain):
            return call_result.CertificateSigned(status="Accepted")
        self._afterwards(lambda: self._reach.maintenance.tell_event("InvalidChargePointCertificate"))
        return call_result.CertificateSigned(status="Rejected")

    @on(Action.install_certificate)
    def on_install_certificate(self, certificate_type: str, certificate: str) -> Any:
        """A certificate that is none is refused, with a security event (M05)."""
        status = self._reach.certificates.install(certificate_type, certificate)
        if status == "Rejected":
            self._afterwards(lambda: self._reach.maintenance.tell_event("InvalidCentralSystemCertificate"))
        return call_result.InstallCertificate(status=status)

    @on(Action.get_installed_certificate_ids)
    def on_get_installed_certificate_ids(self, certificate_type: str) -> Any:
        """Those of this use, or NotFound (M03)."""
        found = self._reach.certificates.of(certificate_type)
        return call_result.GetInstalledCertificateIds(
            status="Accepted" if found else "NotFound", certificate_hash_data=found or None
        )

    @on(Action.delete_certificate)
    def on_delete_certificate(self, certificate_hash_data: HashData) -> Any:
        """The one with exactly this hash data (M04)."""
        return call_result.DeleteCertificate(status=self._reach.certificates.delete(certificate_hash_data))

    @on(Action.get_log)
    def on_get_log(self, request_id: int, **_others: object) -> Any:
        """A file name, then LogStatusNotification; refused while an upload goes on (N01)."""
        if self._reach.maintenance.log_status != IDLE:
            return call_result.GetLog(status="Rejected")
        self._afterwards(lambda: self._reach.maintenance.upload_log(request_id))
        return call_result.GetLog(status="Accepted", filename=f"log-{request_id}.txt")

    @on(Action.signed_update_firmware)
    def on_signed_update_firmware(self, request_id: int, firmware: dict[str, str], **_others: object) -> Any:
        """SignedFirmwareStatusNotification step by step, with a boot (L01); refused while another update goes on."""
        if not is_certificate(firmware["signing_certificate"]):
            self._afterwards(lambda: self._reach.maintenance.tell_event("InvalidFirmwareSigningCertificate"))
            return call_result.SignedUpdateFirmware(status="InvalidCertificate")
        if self._reach.maintenance.firmware_status != IDLE:
            return call_result.SignedUpdateFirmware(status="Rejected")
        at = time_of(firmware["retrieve_date_time"])
        self._afterwards(lambda: self._reach.maintenance.update_firmware(at, request_id))
        return call_result.SignedUpdateFirmware(status="Accepted")

    @on(Action.extended_trigger_message)
    def on_extended_trigger_message(self, requested_message: str, connector_id: int | None = None) -> Any:
        """The message follows the confirmation (A02)."""
        maintenance = self._reach.maintenance
        match requested_message:
            case "FirmwareStatusNotification":
                self._afterwards(lambda: maintenance.tell_firmware(is_signed=True))
            case "LogStatusNotification":
                self._afterwards(maintenance.tell_log)
            case "SignChargePointCertificate":
                self._afterwards(maintenance.ask_for_certificate)
            case _:
                return call_result.ExtendedTriggerMessage(status=self._trigger(requested_message, connector_id))
        return call_result.ExtendedTriggerMessage(status="Accepted")
