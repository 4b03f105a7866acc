"""Reconciles transactions that ought to stop: finds them, asks the charge point, and asks again until it is obeyed.

It looks whenever the state changed and whenever a forecast crossing falls due (rules 25, 26). Each attempt runs in its
own task, never in a message handler: there the read loop would be waiting for us and the answer could not arrive.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Literal, Protocol, TypeAlias

from ocpp_server.central_system import CentralSystem
from ocpp_server.clock import Clock
from ocpp_server.core.commands import CloseStale, OrderStops, RecordStopAttempt
from ocpp_server.core.records import Transaction
from ocpp_server.core.stops import ACCEPTED, FAILURES_BEFORE_ALERT, due_attempts, due_stops, next_look
from ocpp_server.event_log import printable

log = logging.getLogger(__name__)

Escalation: TypeAlias = Literal["none", "profile", "reset"]

_LONGEST_SLEEP_S = 10.0
_SHORTEST_SLEEP_S = 0.2
_LOOK_WHILE_ASKING_S = 1.0
_STALE_EVERY_S = 30.0
_FAILURES_BEFORE_RESET = 5


class RemoteCalls(Protocol):
    """What the stopper asks of a charge point. Each returns its status, or "offline", "no answer", "error: …"."""

    async def remote_stop_transaction(self, charge_point_id: str, transaction_id: int) -> str:
        """RemoteStopTransaction (OCPP 1.6 §5.11)."""
        ...

    async def set_no_power(self, charge_point_id: str, connector_id: int, transaction_id: int) -> str:
        """SetChargingProfile with a TxProfile of 0 A (OCPP 1.6 §5.16)."""
        ...

    async def reset_soft(self, charge_point_id: str) -> str:
        """Reset Soft (OCPP 1.6 §5.14)."""
        ...


class Stopper:
    """One loop that looks, and a task for each attempt under way."""

    def __init__(
        self,
        central: CentralSystem,
        calls: RemoteCalls,
        clock: Clock,
        *,
        escalation: Escalation = "profile",
        attempted: Callable[[str], None] | None = None,
    ) -> None:
        """`attempted`: told what became of each RemoteStopTransaction."""
        self._central = central
        self._calls = calls
        self._clock = clock
        self._escalation = escalation
        self._attempted = attempted
        self._changed = central.subscribe()
        self._attempts: dict[int, asyncio.Task[None]] = {}
        self._escalated: set[tuple[int, str]] = set()
        self._stale_looked_at = float("-inf")

    async def run(self) -> None:
        """Look for ever; the attempts under way end with it."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._changed.clear()
                await self._order()
                self._attempt(group)
                await self._sleep()

    async def _order(self) -> None:
        site, now = self._central.site, self._clock.now()
        has_orders = any(t.stop is not None for t in site.open_transactions.values())
        if has_orders or due_stops(site, now):
            await self._central.handle(OrderStops(now))
        if self._clock.monotonic() - self._stale_looked_at >= _STALE_EVERY_S:
            self._stale_looked_at = self._clock.monotonic()
            await self._central.handle(CloseStale(now))

    def _attempt(self, group: asyncio.TaskGroup) -> None:
        for transaction in due_attempts(self._central.site, self._clock.now()):
            number = transaction.transaction_id
            if number not in self._attempts:
                self._attempts[number] = group.create_task(self._stop(transaction), name=f"stop-{number}")

    async def _sleep(self) -> None:
        now = self._clock.now()
        until = next_look(self._central.site, now)
        seconds = _LONGEST_SLEEP_S if until is None else (until - now).total_seconds()
        if seconds <= 0:  # what is due is being asked for, and its answer wakes us
            seconds = _LOOK_WHILE_ASKING_S
        seconds = min(seconds, _LONGEST_SLEEP_S)
        pause = min(seconds, _SHORTEST_SLEEP_S * self._clock.factor)
        await self._clock.sleep(pause)  # many changes in a row are one look
        await self._clock.wait_for(self._changed, seconds - pause)

    async def _stop(self, transaction: Transaction) -> None:
        charge_point_id, number = transaction.charge_point_id, transaction.transaction_id
        log.info("[QUOTA] stopping charge_point=%s transaction=%d", printable(charge_point_id), number)
        try:
            result = await self._calls.remote_stop_transaction(charge_point_id, number)
            has_failed = result != ACCEPTED
            if self._attempted is not None:
                self._attempted(result)
            await self._central.handle(RecordStopAttempt(self._clock.now(), number, result, has_failed))
            await self._escalate(number)
        finally:
            del self._attempts[number]  # the next attempt is another task

    async def _escalate(self, number: int) -> None:
        """After the third failure take the power away, then reset the charge point, as far as the site allows it."""
        transaction = self._central.site.open_transactions.get(number)
        if transaction is None or transaction.stop is None or self._escalation == "none":
            return
        failures = transaction.stop.failures
        if failures >= FAILURES_BEFORE_ALERT and self._is_first(number, "profile"):
            connector_id = transaction.connector_id
            result = await self._calls.set_no_power(transaction.charge_point_id, connector_id, number)
            self._log_escalation("SetChargingProfile", transaction, result)
        elif failures >= _FAILURES_BEFORE_RESET and self._escalation == "reset" and self._is_first(number, "reset"):
            result = await self._calls.reset_soft(transaction.charge_point_id)
            self._log_escalation("Reset", transaction, result)

    def _is_first(self, number: int, step: str) -> bool:
        if (number, step) in self._escalated:
            return False
        self._escalated.add((number, step))
        return True

    def _log_escalation(self, action: str, transaction: Transaction, result: str) -> None:
        log.warning(
            "[QUOTA] stop not obeyed escalation=%s charge_point=%s transaction=%d result=%s",
            action,
            printable(transaction.charge_point_id),
            transaction.transaction_id,
            printable(result),
        )
