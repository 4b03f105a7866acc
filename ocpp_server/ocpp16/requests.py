"""The calls that a Central System can send, all of them in one table, and the check that one is as it should be.

Requests are the dataclasses of the `ocpp` package; they are validated against its JSON schemas before they leave.
"""

import asyncio
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from ocpp.charge_point import (  # type: ignore[import-untyped]
    remove_nones,
    serialize_as_dict,
    snake_to_camel_case,
)
from ocpp.v16 import call  # type: ignore[import-untyped]

from ocpp_server.ocpp16 import schemas
from ocpp_server.ocpp16.frames import Payload
from ocpp_server.ocpp16.printable import printable

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

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field
        """The field at fault, with its path; blank: the action, or the payload as a whole."""


def payload_of(request: object) -> Payload:
    """The JSON object of a request dataclass: camelCase, without what is None."""
    payload: Payload = snake_to_camel_case(remove_nones(serialize_as_dict(request)))
    return payload


async def check(action: str, payload: Payload) -> None:
    """Raise RequestError unless this can be sent to a charge point. Runs a JSON schema, in a thread."""
    if action not in REQUESTS:
        message = f"{printable(action, 50)} is no call of a Central System: expected one of {', '.join(REQUESTS)}"
        raise RequestError(message)
    misfits = await asyncio.to_thread(schemas.misfits_of_call, action, payload)
    if misfits:
        raise RequestError(f"{action}: {misfits[0]}", misfits[0].field)


async def misfits_of_answer(action: str, payload: Payload) -> list[schemas.Misfit]:
    """What a charge point's answer to a call of ours has wrong. Runs a JSON schema, in a thread."""
    return await asyncio.to_thread(schemas.misfits_of_answer, action, payload)
