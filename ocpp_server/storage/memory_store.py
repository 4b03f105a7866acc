"""A store in memory, for tests: it behaves as the ledger does, and can be told to wait or to fail."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime

from ocpp_server.core.changes import Change
from ocpp_server.core.site import Policy, Site, apply, forget_ended, kept_since
from ocpp_server.storage.ledger_load import first_transaction_id


class MemoryStore:
    """Keeps the committed changes as they came.

    `groups`: one entry for each commit that has ended well. `gate`: a commit waits until it is set; None: it does not
    wait. `failure`: the next commits raise it, and keep nothing.
    """

    def __init__(self, policy: Policy, now: datetime, changes: Iterable[Change] = ()) -> None:
        """`changes`: what had been committed before the test begins."""
        self.groups: list[tuple[Change, ...]] = []
        self.gate: asyncio.Event | None = None
        self.failure: Exception | None = None
        self._policy = policy
        self._now = now
        self._before = tuple(changes)

    def load(self) -> Site:
        """The state as it was last committed."""
        site = Site(self._policy, next_transaction_id=first_transaction_id(self._now))
        for group in (self._before, *self.groups):
            for change in group:
                apply(site, change)
        forget_ended(site, kept_since(self._now))
        return site

    async def commit(self, changes: Sequence[Change]) -> None:
        """Keep the changes once the gate is open. Raises `failure`."""
        group = tuple(changes)
        if self.gate is not None:
            await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        if group:
            self.groups.append(group)
