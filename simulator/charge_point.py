"""One simulated charge point: its parts put together, its life from plugging it in to switching it off."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

from simulator.assembly import Description, assemble
from simulator.behaviour import WELL_BEHAVED, Behaviour
from simulator.brands import GENERIC, Brand
from simulator.clock import Clock, SimulatorClock, first_of
from simulator.journal import Journal, keep_silent
from simulator.session import Car, Connector, Session


class SimulatedChargePoint:
    """A charge point that talks OCPP 1.6J to the central system at `url`.

    `async with SimulatedChargePoint(...) as charge_point:` enters once BootNotification was answered and leaves with
    every task and socket gone. Power is in W, energy in Wh, durations in seconds of `clock` unless said otherwise.
    """

    def __init__(
        self,
        charger_id: str,
        url: str,
        brand: Brand = GENERIC,
        clock: Clock | None = None,
        behaviour: Behaviour = WELL_BEHAVED,
        *,
        connectors: int = 1,
        password: str | None = None,
        configuration: Mapping[str, str] | None = None,
        connect_timeout_s: float = 10.0,
        response_timeout_s: float = 30.0,
        narrate: Callable[[str], None] = keep_silent,
    ) -> None:
        self.charger_id = charger_id
        self.brand = brand
        self.behaviour = behaviour
        self.clock: Clock = clock or SimulatorClock()
        self._connect_timeout_s = connect_timeout_s
        described = Description(
            charger_id,
            url,
            brand,
            self.clock,
            behaviour,
            connectors,
            password,
            configuration or {},
            response_timeout_s,
        )
        self._parts = assemble(described, Journal(narrate), self._spawn, self.reset)
        self._link = self._parts.link
        self._charging = self._parts.charging
        self.configuration = self._parts.configuration
        self.sent = self._parts.journal.sent
        """Requests put on the wire, by action."""
        self.acknowledged = self._parts.journal.acknowledged
        """Requests answered with a CALLRESULT, by action."""
        self.refused = self._parts.journal.refused
        """Requests answered with a CALLERROR or outside the schema, by action."""
        self.received = self._parts.journal.received
        """Requests that came from the central system, by action."""
        self._main: asyncio.Task[None] | None = None
        self._group: asyncio.TaskGroup | None = None

    async def __aenter__(self) -> Self:
        await self.open()
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                await self.booted()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def open(self) -> None:
        """Switch on: connect and boot in the background, trying again for ever."""
        switched_on = asyncio.Event()
        self._main = asyncio.create_task(self._run(switched_on), name=f"charge point {self.charger_id}")
        await first_of(switched_on.wait(), asyncio.shield(self._main))

    async def booted(self) -> None:
        """Return once BootNotification was answered and, if it was accepted, the connectors were reported."""
        if self._main is None:
            msg = "booted() needs open() first"
            raise RuntimeError(msg)
        await first_of(self._parts.registration.answered.wait(), asyncio.shield(self._main))
        if self._main.done():
            await self._main

    async def close(self) -> None:
        """Switch off: the connection is closed, the queue is lost. Raises what went wrong inside."""
        if self._main is None:
            return
        main, self._main = self._main, None
        main.cancel()
        try:
            await main
        except asyncio.CancelledError:
            if not main.cancelled():
                raise

    async def plug_in_and_swipe(
        self,
        connector_id: int = 1,
        id_tag: str = "RFID001",
        power_w: float = 11_000.0,
        *,
        battery_wh: float | None = None,
        ramp_s: float = 0.0,
        unplug_after_s: float = 0.0,
        authorize: bool = True,
    ) -> Session:
        """Preparing, Authorize (unless told not to), StartTransaction, Charging; a refused start ends as DeAuthorized.

        Returns once StartTransaction.conf is there, or at once while offline. Raises SwipeRefusedError if
        Authorize.conf is not Accepted, ConnectorBusyError if there is a car already.
        """
        car = Car(power_w, battery_wh, ramp_s, unplug_after_s)
        return await self._charging.begin(self.connector(connector_id), id_tag, car, authorize=authorize)

    async def stop(self, connector_id: int = 1, reason: str = "Local") -> Session:
        """Stop the session there; returns when StopTransaction is answered (online) and the cable is out."""
        session = self.session(connector_id)
        session.request_stop(reason)
        await session.unplugged
        return session

    def session(self, connector_id: int = 1) -> Session:
        """The running or else the latest session on the connector. Raises LookupError if there was none."""
        session = self.connector(connector_id).session
        if session is None:
            msg = f"{self.charger_id}: no session on connector {connector_id} yet"
            raise LookupError(msg)
        return session

    def connector(self, connector_id: int = 1) -> Connector:
        """The connector with that number, from 1."""
        return self._charging.connectors[connector_id]

    def status(self, connector_id: int = 1) -> str:
        """The OCPP status of the connector."""
        return self.connector(connector_id).status

    @property
    def registration_status(self) -> str | None:
        """The status in the latest BootNotification.conf."""
        return self._parts.registration.status

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection at this moment."""
        return self._link.up.is_set()

    @property
    def queued(self) -> int:
        """Transaction-related messages that are not acknowledged yet."""
        return len(self._parts.outbox)

    @property
    def energy_wh(self) -> float:
        """The true energy of all connectors since the charge point was made, in Wh."""
        now_s = self.clock.monotonic()
        return sum(connector.history.energy_wh(now_s) for connector in self._charging.connectors.values())

    @property
    def meter_stop_wh(self) -> int | None:
        """meterStop of the latest session on connector 1, in Wh whatever the brand's unit; None before it."""
        session = self.connector(1).session
        return None if session is None else session.meter_stop_wh

    async def until(self, claim: Callable[[], object], timeout_s: float = 10.0) -> None:
        """Return when the claim is true, looked at after each event here. Raises TimeoutError after real seconds."""
        await self._parts.journal.until(claim, timeout_s)

    async def drained(self, timeout_s: float = 10.0) -> None:
        """Return when every transaction-related message is acknowledged. Raises TimeoutError after real seconds."""
        await self.until(lambda: not self.queued, timeout_s)

    def drop_link(self) -> None:
        """Cut the TCP connection hard; it is dialled again after a moment."""
        self._link.drop()

    @asynccontextmanager
    async def offline(self) -> AsyncIterator[None]:
        """Without connection inside the block; connected again when it ends."""
        self._link.suspend()
        await self._link.down.wait()
        try:
            yield
        finally:
            self._link.resume()
        await self._link.up.wait()

    async def reset(self, kind: str = "Soft") -> None:
        """Stop the sessions (SoftReset before, HardReset after the boot) and boot again."""
        if kind == "Hard":
            self._link.drop()
            await self._link.down.wait()
        running = self._charging.running
        for session in running:
            session.request_stop(f"{kind}Reset")
        for session in running:
            await first_of(session.ended, self._link.down.wait())
        self.configuration.boot()
        self._parts.registration.forget()
        for connector in self._charging.connectors.values():
            connector.reported_status = None
        await self._link.close()

    async def _run(self, switched_on: asyncio.Event) -> None:
        try:
            async with asyncio.TaskGroup() as self._group:
                self._spawn(self._link.run())
                self._spawn(self._parts.registration.run(self._charging.report_changes))
                self._spawn(self._parts.registration.beat())
                self._spawn(self._parts.outbox.run())
                switched_on.set()
        finally:
            self._group = None
            self._charging.abandon()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            if self._group is not None:
                self._group.create_task(work)
                return
        except RuntimeError:
            # The group is shutting down: nothing new begins.
            pass
        work.close()
