# The ocpp package ships no types.
# mypy: disable-error-code=import-untyped
"""Getting known to the central system: BootNotification until it is accepted, then heartbeats (OCPP 1.6 §4.2, §4.6)."""

import asyncio
from collections.abc import Awaitable, Callable

from ocpp.exceptions import OCPPError
from ocpp.v16 import call

from simulator.clock import Clock, first_of
from simulator.configuration import Configuration
from simulator.frames import Frames
from simulator.journal import Journal
from simulator.link import Link, LinkDownError

RETRY_S = 30
"""Simulated seconds to the next BootNotification when the central system named none or gave no answer."""


class Registration:
    """Whether this charge point is registered, and the work to become so."""

    def __init__(
        self,
        *,
        link: Link,
        frames: Frames,
        configuration: Configuration,
        clock: Clock,
        journal: Journal,
        registered: asyncio.Event,
        ignore_pending: bool = False,
    ) -> None:
        self.status: str | None = None
        """The status in the latest BootNotification.conf."""
        self.answered = asyncio.Event()
        """Set once the first BootNotification was answered and, if accepted, the connectors were reported."""
        self._registered = registered
        self._link = link
        self._frames = frames
        self._configuration = configuration
        self._clock = clock
        self._journal = journal
        self._retry_s = RETRY_S
        self._ignore_pending = ignore_pending

    async def run(self, report_connectors: Callable[[], Awaitable[None]]) -> None:
        """Boot once; on each later connection only report what changed meanwhile (OCPP-J 5.4)."""
        while True:
            await self._link.up.wait()
            while self._link.up.is_set() and not self._registered.is_set():
                await self.boot()
                if not self._registered.is_set():
                    if self.status is not None:
                        self.answered.set()
                    self._journal.stir()
                    await first_of(self._registered.wait(), self._link.down.wait(), self._clock.sleep(self._retry_s))
            if self._registered.is_set():
                await report_connectors()
                self.answered.set()
                self._journal.stir()
            await self._link.down.wait()

    async def boot(self) -> None:
        """Send one BootNotification and take its answer to heart."""
        try:
            confirmation = await self._link.call(self._frames.boot_notification())
        except (LinkDownError, TimeoutError, OCPPError) as error:
            self._journal.tell(f"boot failed: {error!r}")
            self._retry_s = RETRY_S
            return
        self.status = str(confirmation.status)
        self._journal.tell(f"boot {self.status}, interval {confirmation.interval} s")
        if self.status == "Accepted":
            if confirmation.interval > 0:
                self._configuration["HeartbeatInterval"] = str(confirmation.interval)
            self._registered.set()
        else:
            self._retry_s = confirmation.interval or RETRY_S
            if self._ignore_pending:
                self._registered.set()

    def forget(self) -> None:
        """The charge point reboots: it has to register again."""
        self._registered.clear()
        self.answered.clear()

    async def beat(self) -> None:
        """Send heartbeats until cancelled."""
        while True:
            await self._registered.wait()
            await self._clock.sleep(self._configuration.seconds("HeartbeatInterval") or 300)
            if self._registered.is_set():
                await self.heartbeat()

    async def heartbeat(self) -> None:
        """Send one heartbeat; without a connection, do not."""
        try:
            await self._link.call(call.Heartbeat())
        except (LinkDownError, TimeoutError, OCPPError):
            return
