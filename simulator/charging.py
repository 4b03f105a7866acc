"""Cars, cards and cables: moves the sessions of one charge point; the messages are `reporting`'s."""

import math
from collections.abc import Callable, Coroutine
from typing import Any

from simulator.behaviour import Behaviour
from simulator.clock import Clock, event_or_sleep
from simulator.configuration import Configuration
from simulator.journal import Journal
from simulator.link import Link
from simulator.profiles import Profiles
from simulator.reporting import Reporting
from simulator.reservations import Reservations
from simulator.session import Car, Connector, Session


class ConnectorBusyError(Exception):
    """The connector has a car on it already, or is out of order."""


class SwipeRefusedError(Exception):
    """The central system did not accept the tag in Authorize.conf; `status` is what it said."""

    def __init__(self, status: str) -> None:
        super().__init__(f"Authorize.conf: {status}")
        self.status = status


class Charging:
    """The connectors of one charge point and what happens on them."""

    def __init__(
        self,
        connectors: list[Connector],
        *,
        reporting: Reporting,
        link: Link,
        configuration: Configuration,
        behaviour: Behaviour,
        clock: Clock,
        journal: Journal,
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        reservations: Reservations,
        profiles: Profiles,
    ) -> None:
        self._reservations = reservations
        self._profiles = profiles
        self.connectors = {connector.connector_id: connector for connector in connectors}
        self.reporting = reporting
        self._link = link
        self._configuration = configuration
        self._behaviour = behaviour
        self._clock = clock
        self._journal = journal
        self._spawn = spawn

    async def begin(self, connector: Connector, id_tag: str, car: Car, *, authorize: bool) -> Session:
        """Plug in, swipe, start; returns once StartTransaction.conf is there, or at once where there is no connection.

        Raises ConnectorBusyError, and SwipeRefusedError if Authorize.conf is not Accepted.
        """
        if not self.is_open_to(connector, id_tag):
            msg = f"connector {connector.connector_id} is {connector.status}"
            raise ConnectorBusyError(msg)
        status_before, reservation = connector.status, self._reservations.of(connector, id_tag)
        await self.set_status(connector, "Preparing")
        if authorize:
            await self._authorize(connector, id_tag, status_before)
        session = connector.begin_session(id_tag, car, lambda: self.reporting.reading(connector, "Transaction.Begin"))
        if reservation is not None:
            self._reservations.end(reservation.reservation_id)
            session.reservation_id = reservation.reservation_id
        self.reporting.start(session, on_refusal=lambda: self._refuse(session))
        await self.reporting.answered(session.started)
        if not session.is_stopped:
            session.is_energised = True
            connector.apply_power()
            await self.set_status(connector, "SuspendedEVSE" if connector.limit_w <= 0 else "Charging")
        self._spawn(self._charge(session))
        return session

    def is_open_to(self, connector: Connector, id_tag: str) -> bool:
        """Whether a car can be plugged in with this tag: the connector is free, or reserved for it."""
        return connector.is_free or self._reservations.of(connector, id_tag) is not None

    def session_of(self, transaction_id: int) -> Session | None:
        """The running session with that transaction id."""
        return next((session for session in self.running if session.transaction_id == transaction_id), None)

    @property
    def running(self) -> list[Session]:
        """The sessions that have not been stopped."""
        return [connector.running for connector in self.connectors.values() if connector.running is not None]

    def abandon(self) -> None:
        """The charge point is switched off: nothing more will happen in any session."""
        for connector in self.connectors.values():
            if connector.session is not None:
                connector.session.abandon()

    def limit(self, connector: Connector, limit_w: float) -> None:
        """A charging profile says how much power may flow; 0 suspends the session, infinity lifts the limit."""
        connector.limit_w = limit_w
        session = connector.running
        if session is None or not session.is_energised:
            return
        connector.apply_power()
        session.wake.set()
        if connector.status in {"Charging", "SuspendedEVSE"}:
            self._spawn(self.set_status(connector, "SuspendedEVSE" if limit_w <= 0 else "Charging"))

    async def set_status(self, connector: Connector, status: str) -> None:
        """Change the status and report it; without a connection it is reported later, if it still differs."""
        connector.status = status
        self._journal.tell(f"connector {connector.connector_id} is {status}")
        await self.reporting.status(connector)

    async def report_changes(self) -> None:
        """Send StatusNotification for each connector whose status the central system does not know (§4.9)."""
        for connector in self.connectors.values():
            if connector.reported_status != connector.status:
                await self.reporting.status(connector)

    async def _authorize(self, connector: Connector, id_tag: str, status_before: str) -> None:
        status = await self.reporting.authorization(id_tag)
        if status == "Accepted":
            return
        self._journal.tell(f"refused {id_tag} at connector {connector.connector_id}: {status}")
        await self.set_status(connector, status_before)
        raise SwipeRefusedError(status)

    def _refuse(self, session: Session) -> None:
        """StartTransaction.conf was not Accepted: stop, unless a key or the behaviour says otherwise (§4.8)."""
        if self._configuration.is_on("StopTransactionOnInvalidId") and not self._behaviour.charge_after_refusal:
            session.request_stop("DeAuthorized")

    async def _charge(self, session: Session) -> None:
        """Sample until the session is to stop, then stop it."""
        connector = session.connector
        sampled_s = self._clock.monotonic()
        if self._behaviour.offline_queue_s > 0:
            self._spawn(self._drop_out(session))
        while not session.is_stopped:
            now_s = self._clock.monotonic()
            due_s = sampled_s + self._interval_s()
            full_s = session.full_at_s if connector.status == "Charging" else math.inf
            if now_s >= due_s:
                # On time, else the rhythm would drift; far too late (the interval was shortened), begin anew.
                sampled_s = due_s if now_s < due_s + self._interval_s() else now_s
                self.reporting.sample(connector, "Sample.Periodic")
            elif now_s >= full_s:
                session.is_full = True
                connector.apply_power()
                await self.set_status(connector, "SuspendedEV")
            else:
                await event_or_sleep(self._clock, session.wake, min(due_s, full_s) - now_s)
                session.wake.clear()
        await self._finish(session)

    async def _finish(self, session: Session) -> None:
        connector = session.connector
        session.close_meter()
        self._profiles.end_transaction(connector.connector_id)
        connector.limit_w = self._profiles.limit_w(connector.connector_id)
        self.reporting.stop(session)
        await self.reporting.answered(session.ended)
        await self.set_status(connector, "Finishing")
        if session.car.unplug_after_s > 0:
            await self._clock.sleep(session.car.unplug_after_s)
        await self.set_status(connector, "Available" if connector.is_operative else "Unavailable")
        session.cable_out.reach()
        self._journal.stir()

    async def _drop_out(self, session: Session) -> None:
        await self._clock.sleep(self._behaviour.offline_queue_after_s)
        if session.is_stopped:
            return
        self._link.suspend()
        await self._clock.sleep(self._behaviour.offline_queue_s)
        self._link.resume()

    def _interval_s(self) -> float:
        """MeterValueSampleInterval in seconds; its 0 means never (§9.1.16)."""
        return self._configuration.seconds("MeterValueSampleInterval") or math.inf
