"""One handler per action of a charge point: translates, awaits the central system, translates back, nothing else."""

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import ClassVar, Protocol

from ocpp_server.clock import Clock
from ocpp_server.core.commands import Authorized, Booted, Command, Reply, Started
from ocpp_server.ocpp16 import translate
from ocpp_server.ocpp16.frames import Call, Payload
from ocpp_server.ocpp16.printable import printable
from ocpp_server.ocpp16.requests import REQUESTS


class CentralSystem(Protocol):
    """Decides about commands. If it raises, nothing was stored and the process is going to end."""

    async def handle(self, command: Command) -> Reply:
        """Return when the effect is durable."""


class UnservedActionError(Exception):
    """An action that no handler serves. `code` is that of the CALLERROR."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class Handlers:
    """The handlers of one charge point."""

    def __init__(
        self, charge_point_id: str, central: CentralSystem, clock: Clock, *, heartbeat_interval_s: int
    ) -> None:
        self._charge_point_id = charge_point_id
        self._central = central
        self._clock = clock
        self._heartbeat_interval_s = heartbeat_interval_s
        self._kept: dict[str, tuple[str, str]] = {}
        self._with_duplicate_keys: set[str] = set()

    async def handle(self, call: Call) -> Payload:
        """The payload of the answer to a call.

        Raises UnservedActionError, and whatever the central system raises: then no answer may leave.
        """
        handler = self._BY_ACTION.get(call.action)
        if handler is None:
            raise _unserved(call.action)
        if call.has_duplicate_keys and call.action not in self._with_duplicate_keys:
            self._with_duplicate_keys.add(call.action)
            odd = translate.duplicate_keys(self._charge_point_id, self._clock.now(), call.action)
            await self._central.handle(odd)
        return await handler(self, call)

    async def on_boot_notification(self, call: Call) -> Payload:
        """OCPP 1.6 §4.2."""
        command = translate.boot_notification(self._charge_point_id, self._clock.now(), call.payload)
        reply = await self._central.handle(command)
        if not isinstance(reply, Booted):
            raise _unexpected(call, reply)
        return translate.boot_notification_conf(reply.is_accepted, self._clock.now(), self._heartbeat_interval_s)

    async def on_heartbeat(self, _: Call) -> Payload:
        """OCPP 1.6 §4.6: the answer sets the charge point's clock, so its time is that of the answer."""
        await self._central.handle(translate.heartbeat(self._charge_point_id, self._clock.now()))
        return translate.heartbeat_conf(self._clock.now())

    async def on_status_notification(self, call: Call) -> Payload:
        """OCPP 1.6 §4.9."""
        command = translate.status_notification(self._charge_point_id, self._clock.now(), call.payload)
        await self._central.handle(command)
        return {}

    async def on_authorize(self, call: Call) -> Payload:
        """OCPP 1.6 §4.1."""
        reply = await self._central.handle(translate.authorize(self._charge_point_id, self._clock.now(), call.payload))
        if not isinstance(reply, Authorized):
            raise _unexpected(call, reply)
        return {"idTagInfo": translate.id_tag_info(reply.id_tag_info)}

    async def on_start_transaction(self, call: Call) -> Payload:
        """OCPP 1.6 §4.8: always an id and a status."""
        command = translate.start_transaction(self._charge_point_id, self._clock.now(), call.payload)
        reply = await self._central.handle(command)
        if not isinstance(reply, Started):
            raise _unexpected(call, reply)
        return {"transactionId": reply.transaction_id, "idTagInfo": translate.id_tag_info(reply.id_tag_info)}

    async def on_stop_transaction(self, call: Call) -> Payload:
        """OCPP 1.6 §4.10: idTagInfo only for a stop that names a tag."""
        command = translate.stop_transaction(self._charge_point_id, self._clock.now(), call.payload)
        reply = await self._central.handle(command)
        return {"idTagInfo": translate.id_tag_info(reply.id_tag_info)} if isinstance(reply, Authorized) else {}

    async def on_meter_values(self, call: Call) -> Payload:
        """OCPP 1.6 §4.7."""
        await self._central.handle(translate.meter_values(self._charge_point_id, self._clock.now(), call.payload))
        return {}

    async def on_data_transfer(self, call: Call) -> Payload:
        """OCPP 1.6 §4.3: no vendor's extension is known here; energy or cost inside is never booked (Growatt)."""
        await self.on_kept_message(call)
        return {"status": "UnknownVendorId"}

    async def on_sign_certificate(self, call: Call) -> Payload:
        """Security white paper A02: there is no certificate authority here."""
        await self.on_kept_message(call)
        return {"status": "Rejected"}

    async def on_security_event_notification(self, call: Call) -> Payload:
        """Security white paper A04: always confirmed."""
        command = translate.security_event(self._charge_point_id, self._clock.now(), call.payload)
        if self._kept.get(call.action) != (command.text, ""):
            await self._central.handle(command)
            self._kept[call.action] = (command.text, "")
        return {}

    async def on_kept_message(self, call: Call) -> Payload:
        """Keep a message, unless it repeats the last of its kind (AcTEC tells its firmware status every 10 s)."""
        command = translate.kept_message(self._charge_point_id, self._clock.now(), call.action, call.payload)
        if self._kept.get(call.action) != (command.text, command.said):
            await self._central.handle(command)
            self._kept[call.action] = (command.text, command.said)
        return {}

    _BY_ACTION: ClassVar[Mapping[str, Callable[["Handlers", Call], Awaitable[Payload]]]] = MappingProxyType(
        {
            "Authorize": on_authorize,
            "BootNotification": on_boot_notification,
            "DataTransfer": on_data_transfer,
            "DiagnosticsStatusNotification": on_kept_message,
            "FirmwareStatusNotification": on_kept_message,
            "Heartbeat": on_heartbeat,
            "LogStatusNotification": on_kept_message,
            "MeterValues": on_meter_values,
            "SecurityEventNotification": on_security_event_notification,
            "SignCertificate": on_sign_certificate,
            "SignedFirmwareStatusNotification": on_kept_message,
            "StartTransaction": on_start_transaction,
            "StatusNotification": on_status_notification,
            "StopTransaction": on_stop_transaction,
        }
    )


def _unserved(action: str) -> UnservedActionError:
    """NotSupported for an action that is recognised, NotImplemented for one that is not known (OCPP-J §4.2.3)."""
    if action in REQUESTS:
        return UnservedActionError("NotSupported", f"{action} goes from the Central System to the charge point")
    return UnservedActionError("NotImplemented", f"{printable(action, 50)} is no action of OCPP 1.6")


def _unexpected(call: Call, reply: Reply) -> TypeError:
    return TypeError(f"the central system answered {call.action} with {type(reply).__name__}")
