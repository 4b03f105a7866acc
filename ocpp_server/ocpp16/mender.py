"""Sends the changes that close a charge point's quota leaks, when a person asks for it (rule 27)."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ocpp_server.clock import Clock
from ocpp_server.core.commands import RecordConfiguration
from ocpp_server.core.leaks import Leak
from ocpp_server.ocpp16.handlers import CentralSystem
from ocpp_server.ocpp16.outgoing import NO_ANSWER, OFFLINE
from ocpp_server.ocpp16.printable import printable

log = logging.getLogger(__name__)

TAKEN = ("Accepted", "RebootRequired")
"""The charge point has the new value; with the second it holds from the next boot on (OCPP 1.6 §5.3)."""
NOT_SENT = "not sent"
"""Nobody answered the change before it."""


class Calls(Protocol):
    """What the mender asks of a charge point."""

    async def change_configuration(self, charge_point_id: str, key: str, value: str) -> str:
        """OCPP 1.6 §5.3: its status, or "offline", "no answer", "error: …"."""
        ...


@dataclass(frozen=True, slots=True)
class Mended:
    """A change and what became of it."""

    key: str
    value: str
    status: str


class Mender:
    """`leaks_of` gives the leaks of a charge point as they are known now. To be used from a task, never a handler."""

    def __init__(
        self, calls: Calls, central: CentralSystem, clock: Clock, leaks_of: Callable[[str], Sequence[Leak]]
    ) -> None:
        self._calls = calls
        self._central = central
        self._clock = clock
        self._leaks_of = leaks_of

    async def mend(self, charge_point_id: str) -> list[Mended]:
        """Send each change that mends a leak, one after the other, and give the status of each.

        What was taken is kept as told. Raises what the central system raises.
        """
        changes = [leak.mend for leak in self._leaks_of(charge_point_id) if leak.mend is not None]
        mended: list[Mended] = []
        for key, value in changes:
            is_gone = bool(mended) and mended[-1].status in (OFFLINE, NO_ANSWER, NOT_SENT)
            status = NOT_SENT if is_gone else await self._calls.change_configuration(charge_point_id, key, value)
            mended.append(Mended(key, value, status))
            shown = (printable(text) for text in (charge_point_id, key, status))
            log.info("[CONFIGURATION] mended charge_point=%s key=%s status=%s", *shown)
            if status in TAKEN:
                now = self._clock.now()
                await self._central.handle(RecordConfiguration(charge_point_id, now, ((key, value),)))
        return mended
