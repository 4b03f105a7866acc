"""The calls that a Central System can send, all of them in one table, and the check that one is as it should be.

Requests are the dataclasses of the `ocpp` package; they are validated against its JSON schemas before they leave.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from ocpp.charge_point import (  # type: ignore[import-untyped]
    remove_nones,
    serialize_as_dict,
    snake_to_camel_case,
)
from ocpp.exceptions import OCPPError  # type: ignore[import-untyped]
from ocpp.messages import Call, validate_payload  # type: ignore[import-untyped]
from ocpp.v16 import call  # type: ignore[import-untyped]

from ocpp_server.ocpp16.frames import Payload

REQUESTS: Final[Mapping[str, type[object]]] = MappingProxyType(
    {
        request.__name__: request
        for request in (
            # Core (OCPP 1.6 §5)
            call.ChangeAvailability,
            call.ChangeConfiguration,
            call.ClearCache,
            call.DataTransfer,
            call.GetConfiguration,
            call.RemoteStartTransaction,
            call.RemoteStopTransaction,
            call.Reset,
            call.UnlockConnector,
            # Firmware management
            call.GetDiagnostics,
            call.UpdateFirmware,
            # Local authorization list
            call.GetLocalListVersion,
            call.SendLocalList,
            # Reservation
            call.CancelReservation,
            call.ReserveNow,
            # Smart charging
            call.ClearChargingProfile,
            call.GetCompositeSchedule,
            call.SetChargingProfile,
            # Remote trigger
            call.TriggerMessage,
            # Security (white paper edition 3)
            call.CertificateSigned,
            call.DeleteCertificate,
            call.ExtendedTriggerMessage,
            call.GetInstalledCertificateIds,
            call.GetLog,
            call.InstallCertificate,
            call.SignedUpdateFirmware,
        )
    }
)


class RequestError(Exception):
    """A call that must not leave: its action is none of ours, or its payload does not fit the schema."""


def payload_of(request: object) -> Payload:
    """The JSON object of a request dataclass: camelCase, without what is None."""
    payload: Payload = snake_to_camel_case(remove_nones(serialize_as_dict(request)))
    return payload


async def check(action: str, payload: Payload) -> None:
    """Raise RequestError unless this can be sent to a charge point. Reads and runs a JSON schema, in a thread."""
    if action not in REQUESTS:
        message = f"{action} is no call of a Central System: expected one of {', '.join(REQUESTS)}"
        raise RequestError(message)
    try:
        await validate_payload(Call("", action, payload), "1.6")
    except OCPPError as error:
        cause = error.details.get("cause", error.description)
        message = f"{action} does not fit its schema: {cause}"
        raise RequestError(message) from error
