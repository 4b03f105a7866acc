"""Reconciles the connections with what a person decided: who was locked, forgotten or given a key must come again.

It looks at the state, whoever changed it: the command line, the control API or chargers.csv (threats T1, T2, T7).
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol
from weakref import WeakSet

from ocpp_server.central_system import CentralSystem
from ocpp_server.core import changes as ch
from ocpp_server.core.admission import admission_of, required_profile
from ocpp_server.core.records import Admission
from ocpp_server.ocpp16.charge_point import ChargePointConnection
from ocpp_server.ocpp16.commands import RemoteCalls

log = logging.getLogger(__name__)

_CONCERNED = (ch.PutChargePoint, ch.PutChargers)


class Connections(Protocol):
    """The connections that speak for charge points, and what can be done with one."""

    def connections(self) -> list[ChargePointConnection]:
        """All of them, as it is now."""

    def connection(self, charge_point_id: str) -> ChargePointConnection | None:
        """The one of this charge point."""

    def admit(self, connection: ChargePointConnection, admission: Admission) -> None:
        """Treat it as this from now on."""

    def dismiss(self, connection: ChargePointConnection) -> None:
        """Handle no further message of it, and close it with 1008."""


class AdmissionWatch:
    """One loop over the connections. Calls go from tasks of its own."""

    def __init__(self, central: CentralSystem, connections: Connections, calls: RemoteCalls) -> None:
        self._central = central
        self._connections = connections
        self._calls = calls
        self._dismissed: WeakSet[ChargePointConnection] = WeakSet()
        self._changed = asyncio.Event()
        central.listen(self._notice)

    async def run(self) -> None:
        """Look for ever, whenever a charge point or chargers.csv changed."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._changed.clear()
                for connection in self._connections.connections():
                    self._look_at(connection, tasks)
                await self._changed.wait()

    def _notice(self, changes: Sequence[ch.Change]) -> None:
        """Who was forgotten is cut off at once: its next message would make it known again, and approved."""
        for change in changes:
            if isinstance(change, ch.RemoveChargePoint):
                connection = self._connections.connection(change.charge_point_id)
                if connection is not None:
                    self._dismiss(connection, "it was forgotten")
            elif isinstance(change, _CONCERNED):
                self._changed.set()

    def _look_at(self, connection: ChargePointConnection, tasks: asyncio.TaskGroup) -> None:
        reason = self._reason_to_end(connection)
        if reason:
            self._dismiss(connection, reason)
            return
        charge_point_id, before = connection.charge_point_id, connection.admission
        admission = admission_of(self._central.site, charge_point_id) or before
        if admission is before:
            return
        self._connections.admit(connection, admission)
        log.info("[CONNECT] admission charge_point=%s before=%s now=%s", charge_point_id, before, admission)
        if admission is Admission.APPROVED:
            tasks.create_task(self._ask_to_boot(charge_point_id), name=f"boot-{charge_point_id}")

    def _reason_to_end(self, connection: ChargePointConnection) -> str:
        """Why it may not speak for its charge point any more; blank: it may."""
        site, charge_point_id = self._central.site, connection.charge_point_id
        known = site.charge_points.get(charge_point_id)
        if known is None:
            return "it was forgotten"
        if admission_of(site, charge_point_id) is Admission.LOCKED:
            return "it was locked"
        least = required_profile(site, charge_point_id)
        if connection.security_profile < least:
            return f"it proved security profile {connection.security_profile}, {least} is the least now"
        if connection.key_hash and known.key_hash and connection.key_hash != known.key_hash:
            return "its key was changed"
        return ""

    def _dismiss(self, connection: ChargePointConnection, reason: str) -> None:
        if connection in self._dismissed:
            return  # its closing handshake takes a moment
        self._dismissed.add(connection)
        log.info("[CONNECT] closing charge_point=%s reason=%r", connection.charge_point_id, reason)
        self._connections.dismiss(connection)

    async def _ask_to_boot(self, charge_point_id: str) -> None:
        """It was told Pending; where it knows no TriggerMessage, it asks again by itself within a minute."""
        status = await self._calls.trigger_message(charge_point_id, "BootNotification")
        log.info("[CONNECT] asked charge_point=%s for=BootNotification status=%s", charge_point_id, status)
