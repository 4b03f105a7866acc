"""The one writer: decide, apply, await the commit, answer.

*Decide, apply and join the group* is one step without an await, so no handler ever sees half a decision. Whatever
arrives while one commit is under way goes into the next (group commit). A reply leaves only when everything applied
before it was decided is durable, also when it brings no change itself.

A failed commit is the end: what is in memory is ahead of the disk, so nothing is answered any more, the process ends,
and it is started again from what is on disk.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from ocpp_server.core.changes import Change
from ocpp_server.core.commands import Command, Reply
from ocpp_server.core.decide import decide
from ocpp_server.core.site import Site, apply
from ocpp_server.core.telling import events_of
from ocpp_server.event_log import log_decision

log = logging.getLogger(__name__)


class Store(Protocol):
    """Where the state is kept. One implementation on SQLite, one in memory for tests."""

    def load(self) -> Site:
        """The state as it was last committed."""
        ...

    async def commit(self, changes: Sequence[Change]) -> None:
        """Return once the changes are durable, all or none of them."""
        ...


class CommitError(Exception):
    """The ledger could not be written: nothing may be answered any more."""


class CentralSystem:
    """Owns the site. `site` is for reading; only `handle` alters it."""

    def __init__(self, store: Store, site: Site) -> None:
        self.site = site
        self._store = store
        self._pending: list[Change] = []
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._is_due = asyncio.Event()
        self._listeners: list[Callable[[Sequence[Change]], None]] = []
        self._commit_listeners: list[Callable[[int, float], None]] = []
        self._commit_began_s: float | None = None
        self._failure: BaseException | None = None
        self.applied = 0
        """Number of decisions with changes that were applied."""
        self.durable = 0
        """Number of those that are durable."""

    def listen(self, listener: Callable[[Sequence[Change]], None]) -> None:
        """Call this with the changes of each decision as soon as they are applied. It must neither raise nor wait."""
        self._listeners.append(listener)

    def listen_to_commits(self, listener: Callable[[int, float], None]) -> None:
        """Call this after each commit: decisions in it, real seconds that it took. It must neither raise nor wait."""
        self._commit_listeners.append(listener)

    @property
    def is_writable(self) -> bool:
        """Nothing has failed yet, so commands are taken."""
        return self._failure is None

    def committing_s(self) -> float:
        """Real seconds that the commit under way has taken so far; 0: there is none."""
        return 0.0 if self._commit_began_s is None else time.monotonic() - self._commit_began_s

    def subscribe(self) -> asyncio.Event:
        """An event that is set whenever the state changed: a loop clears it and looks."""
        event = asyncio.Event()
        self.listen(lambda _changes: event.set())
        return event

    async def handle(self, command: Command) -> Reply:
        """Decide a command and return its reply once all that it rests on is durable.

        Raises CommitError when the ledger cannot be written; the reply must not be sent then.
        """
        self._check_ledger()
        decision = decide(self.site, command)
        if decision.changes:
            self._apply((*decision.changes, *events_of(self.site, decision.changes, command.at)))
            log_decision(command, decision)
        await self.until_durable(self.applied)
        return decision.reply

    async def until_durable(self, applied: int) -> None:
        """Wait until this many decisions are durable. Raises CommitError when they never will be."""
        self._check_ledger()
        if self.durable >= applied:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((applied, waiter))
        await waiter

    async def run(self) -> None:
        """Commit group after group, for ever; raises what the store raised, and CommitError where nothing may follow.

        A cancel ends it after the commit that is under way.
        """
        while True:
            await self._is_due.wait()
            self._is_due.clear()
            self._check_ledger()
            await self._commit_pending()

    async def flush(self) -> None:
        """Commit what is left, after `run` was ended. Raises CommitError where nothing may follow."""
        self._check_ledger()
        if self._pending:
            await self._commit_pending()

    def _check_ledger(self) -> None:
        if self._failure is not None:
            raise CommitError(str(self._failure)) from self._failure

    def _apply(self, changes: Sequence[Change]) -> None:
        try:
            for change in changes:
                apply(self.site, change)
        except BaseException as failure:
            self._fail(failure)  # the state in memory is half a decision ahead: nothing may follow it
            raise
        self.applied += 1
        self._pending.extend(changes)
        self._is_due.set()
        for listener in self._listeners:
            listener(changes)

    async def _commit_pending(self) -> None:
        group, self._pending = self._pending, []
        applied = self.applied
        self._commit_began_s = time.monotonic()
        committing = asyncio.ensure_future(self._store.commit(group))
        try:
            await asyncio.wait([committing])
        except asyncio.CancelledError:
            await asyncio.wait([committing])  # the disk cannot be called back: what it says still counts
            raise
        finally:
            self._conclude(committing, applied)

    def _conclude(self, committing: asyncio.Future[None], applied: int) -> None:
        """Let go of those who waited for this commit, or fail all who wait."""
        try:
            committing.result()
        except BaseException as failure:
            self._fail(failure)
            raise
        for listener in self._commit_listeners:
            listener(applied - self.durable, self.committing_s())
        self._commit_began_s = None
        self.durable = applied
        waiting, self._waiting = self._waiting, []
        for wanted, waiter in waiting:
            if wanted > applied:
                self._waiting.append((wanted, waiter))
            elif not waiter.done():
                waiter.set_result(None)

    def _fail(self, failure: BaseException) -> None:
        self._failure = failure
        self._is_due.set()  # `run` ends, too
        waiting, self._waiting = self._waiting, []
        for _, waiter in waiting:
            if not waiter.done():
                error = CommitError(str(failure))
                error.__cause__ = failure
                waiter.set_exception(error)
                waiter.exception()  # a waiter that has gone away is no error
