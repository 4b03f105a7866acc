# The ocpp package ships no types.
# mypy: disable-error-code=import-untyped
"""What a simulated charge point does by itself once it was asked, and tells step by step: uploads and updates.

Diagnostics and logs (OCPP 1.6 §4.4, white paper N01), firmware (§4.5, L01). Nothing is really sent or installed.
"""

from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import datetime
from typing import Any

from ocpp.exceptions import OCPPError
from ocpp.v16 import call

from simulator.behaviour import Behaviour, FirmwareFault
from simulator.charging import Charging
from simulator.clock import Clock
from simulator.frames import Frames, Request
from simulator.link import Link, LinkDownError
from simulator.registration import Registration

STEP_S = 5.0
"""Simulated seconds that each step takes."""
LOOK_AGAIN_S = 30.0
"""An installation waits for the sessions to end, and looks so often."""
IDLE = "Idle"


class Maintenance:
    """At most one upload of each kind and one update at a time."""

    def __init__(
        self,
        *,
        link: Link,
        frames: Frames,
        clock: Clock,
        behaviour: Behaviour,
        registration: Registration,
        charging: Charging,
        reset: Callable[[str], Coroutine[Any, Any, None]],
    ) -> None:
        self.diagnostics_status = IDLE
        self.log_status = IDLE
        self.firmware_status = IDLE
        self._log_request_id: int | None = None
        self._firmware_request_id: int | None = None
        self._link = link
        self._frames = frames
        self._clock = clock
        self._behaviour = behaviour
        self._registration = registration
        self._charging = charging
        self._reset = reset

    async def upload_diagnostics(self) -> None:
        """Uploading, then Uploaded or UploadFailed."""
        for status in ("Uploading", "UploadFailed" if self._behaviour.upload_fails else "Uploaded"):
            self.diagnostics_status = status
            await self.tell_diagnostics()
            await self._clock.sleep(STEP_S)
        self.diagnostics_status = IDLE

    async def upload_log(self, request_id: int) -> None:
        """Uploading, then Uploaded or UploadFailure."""
        self._log_request_id = request_id
        for status in ("Uploading", "UploadFailure" if self._behaviour.upload_fails else "Uploaded"):
            self.log_status = status
            await self.tell_log()
            await self._clock.sleep(STEP_S)
        self.log_status = IDLE

    async def update_firmware(self, at: datetime, request_id: int | None = None) -> None:
        """Download at that time, install when nobody charges, boot, tell how it went. A request id: it is signed."""
        self._firmware_request_id = request_id
        fault = self._behaviour.firmware_fault
        self.firmware_status = "Downloading"
        await self._clock.sleep(max(0.0, (at - self._clock.now()).total_seconds()))
        await self._step("Downloading")
        if fault is FirmwareFault.DOWNLOAD:
            await self._end("DownloadFailed")
            return
        await self._step("Downloaded")
        if request_id is not None and fault is FirmwareFault.SIGNATURE:
            await self._end("InvalidSignature")
            await self.tell_event("InvalidFirmwareSignature")
            return
        if request_id is not None:
            await self._step("SignatureVerified")
        while self._charging.running:
            await self._clock.sleep(LOOK_AGAIN_S)
        await self._step("Installing")
        if request_id is not None:
            await self._step("InstallRebooting")
        await self._reset("Soft")
        await self._registration.answered.wait()
        await self._end("InstallationFailed" if fault is FirmwareFault.INSTALLATION else "Installed")

    async def tell_diagnostics(self) -> None:
        """DiagnosticsStatusNotification."""
        await self._tell(call.DiagnosticsStatusNotification(self.diagnostics_status))

    async def tell_log(self) -> None:
        """LogStatusNotification; Idle names no request."""
        request_id = None if self.log_status == IDLE else self._log_request_id
        await self._tell(call.LogStatusNotification(self.log_status, request_id))

    async def tell_firmware(self, *, is_signed: bool | None = None) -> None:
        """FirmwareStatusNotification, or the signed one; unless told, that of the latest request."""
        if is_signed if is_signed is not None else self._firmware_request_id is not None:
            request_id = None if self.firmware_status == IDLE else self._firmware_request_id
            await self._tell(call.SignedFirmwareStatusNotification(self.firmware_status, request_id))
        else:
            await self._tell(call.FirmwareStatusNotification(self.firmware_status))

    async def tell_event(self, event: str) -> None:
        """SecurityEventNotification (A04)."""
        await self._tell(call.SecurityEventNotification(event, self._frames.stamp(), tech_info=None))

    async def ask_for_certificate(self) -> None:
        """SignCertificate (A02)."""
        request = "-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n-----END CERTIFICATE REQUEST-----"
        await self._tell(call.SignCertificate(request))

    async def _step(self, status: str) -> None:
        self.firmware_status = status
        await self.tell_firmware()
        await self._clock.sleep(STEP_S)

    async def _end(self, status: str) -> None:
        await self._step(status)
        self.firmware_status = IDLE

    async def _tell(self, request: Request) -> None:
        with suppress(LinkDownError, TimeoutError, OCPPError):
            await self._link.call(request)
