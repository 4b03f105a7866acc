# The ocpp package ships no types.
# mypy: disable-error-code=import-untyped
"""What a charge point tells of its connectors and sessions.

Transaction-related messages go through the outbox; all others are sent at once or, without a connection, not at all.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from ocpp.exceptions import OCPPError
from ocpp.v16 import call

from simulator.behaviour import Behaviour
from simulator.clock import first_of
from simulator.configuration import Configuration
from simulator.frames import Frames, Request
from simulator.journal import Journal
from simulator.link import Link, LinkDownError
from simulator.local_list import LocalList
from simulator.outbox import Outbox, Queued
from simulator.session import Connector, Session


class Reporting:
    """Turns what happens into messages, with the bad habits of the behaviour."""

    def __init__(
        self,
        *,
        frames: Frames,
        link: Link,
        outbox: Outbox,
        configuration: Configuration,
        behaviour: Behaviour,
        journal: Journal,
        local_list: LocalList,
    ) -> None:
        self._local_list = local_list
        self._frames = frames
        self._link = link
        self._outbox = outbox
        self._configuration = configuration
        self._behaviour = behaviour
        self._journal = journal

    async def answered(self, confirmed: Awaitable[None]) -> None:
        """Wait for a confirmation as long as there is a connection for it to come by."""
        if self._outbox.is_open:
            await first_of(confirmed, self._link.down.wait())

    async def authorization(self, id_tag: str) -> str:
        """The status in Authorize.conf (§4.1); without an answer, that of the local list (§3.5), else what
        AllowOfflineTxForUnknownId says.
        """
        try:
            if self._outbox.is_open:
                confirmation = await self._link.call(call.Authorize(id_tag=id_tag))
                return str(confirmation.id_tag_info["status"])
        except (LinkDownError, TimeoutError, OCPPError):
            pass
        listed = self._local_list.status_of(id_tag)
        if listed is not None and self._configuration.is_on("LocalAuthorizeOffline"):
            return listed
        return "Accepted" if self._configuration.is_on("AllowOfflineTxForUnknownId") else "Invalid"

    async def status(self, connector: Connector) -> None:
        """Send StatusNotification for the connector, where registered and connected (§4.9)."""
        if self._outbox.is_open:
            await self.status_now(connector)

    async def status_now(self, connector: Connector) -> None:
        """Send it also while the registration is pending, as TriggerMessage may ask (§4.2)."""
        status = connector.status
        try:
            await self._link.call(self._frames.status_notification(connector.connector_id, status))
        except (LinkDownError, TimeoutError, OCPPError):
            return
        connector.reported_status = status

    def start(self, session: Session, on_refusal: Callable[[], None]) -> None:
        """Queue StartTransaction (§4.8); its confirmation gives the session its id and may refuse it."""
        stamp = self._frames.stamp()

        def settle(confirmation: Any) -> None:
            if confirmation is not None:
                session.transaction_id = confirmation.transaction_id
                session.authorization_status = str(confirmation.id_tag_info["status"])
                self._tell_start(session)
                if session.authorization_status != "Accepted":
                    on_refusal()
            session.start_confirmed.reach()

        copies = 2 if self._behaviour.retry_start else 1
        self._outbox.put(Queued(lambda: self._frames.start_transaction(session, stamp), settle, copies))

    def sample(self, connector: Connector, context: str) -> None:
        """Queue one MeterValues of the running session, or of the idle connector (§4.7)."""
        if self._behaviour.no_meter_values:
            return
        reading = self.reading(connector, context)
        session = connector.running

        def build() -> Request:
            transaction_id = session.transaction_id if session is not None else None
            return self._frames.meter_values(connector.connector_id, reading, transaction_id)

        copies = 2 if self._behaviour.duplicate_meter_values else 1
        is_text_id = isinstance(self._behaviour.wrong_transaction_id, str)
        self._outbox.put(Queued(build, copies=copies, is_outside_schema=is_text_id))

    def stop(self, session: Session) -> None:
        """Queue StopTransaction (§4.10)."""
        self._journal.tell(
            f"stopped {session.transaction_id} {session.id_tag} on connector {session.connector_id}: "
            f"{session.stop_reason}, {session.energy_wh / 1000:.3f} kWh"
        )
        if self._behaviour.lost_stop:
            session.stop_confirmed.reach()
            return
        stamp = self._frames.stamp()
        reading = self.reading(session.connector, "Transaction.End")
        self._outbox.put(
            Queued(
                lambda: self._frames.stop_transaction(session, stamp, reading),
                lambda _confirmation: session.stop_confirmed.reach(),
                copies=2 if self._behaviour.duplicate_stop else 1,
                is_outside_schema=self._behaviour.transaction_data,  # Hertz, which only MeterValues' schema knows
            )
        )

    def reading(self, connector: Connector, context: str) -> dict[str, object]:
        """One MeterValue of what the meter shows now, with the measurands of MeterValuesSampledData."""
        measurands = self._configuration["MeterValuesSampledData"].split(",")
        return self._frames.meter_value(connector, context, measurands)

    def _tell_start(self, session: Session) -> None:
        self._journal.tell(
            f"started {session.transaction_id} {session.id_tag} on connector {session.connector_id} "
            f"at {session.car.power_w / 1000:g} kW: {session.authorization_status}"
        )
