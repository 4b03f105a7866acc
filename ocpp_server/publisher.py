"""Reconciles the files in data/ with the state: at once while the server is idle, at most a second late under load.

A view is rendered from memory and carries the number of the last decision in it; it replaces the file only once that
decision is durable, so a file is never ahead of the ledger. A view that cannot be written is logged and tried again;
it never fails a message. fsync of file and folder: when a session ends, at a month roll, at the end, once a minute.
Once a minute, and after a failure, every current view is looked at again, whatever is thought to have changed.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import get_args

from ocpp_server.central_system import CentralSystem
from ocpp_server.clock import Clock
from ocpp_server.core import changes as ch
from ocpp_server.core.period import Month, month_of, month_start
from ocpp_server.core.records import Transaction
from ocpp_server.core.site import kept_since
from ocpp_server.storage import documents
from ocpp_server.storage.sessions_csv import sessions_csv
from ocpp_server.storage.view_files import ViewFiles

log = logging.getLogger(__name__)

_LEAST_SPACING_S = 0.9
_STATUS_EVERY_S = 10.0
_MINUTE_S = 60.0
_ANYTHING: frozenset[type[ch.Change]] = frozenset(get_args(ch.Change))
_NOT_OF_CHARGERS = {ch.AddNote, ch.AddEvent, ch.AddReading, ch.AddRefusedTag, ch.PutSetAside, ch.PutUsers}
_TOLD_BY_STATUS = {ch.PutAlert, ch.RemoveAlert, ch.PutUsers, ch.PutChargers, ch.AddRefusedTag, ch.PutSetAside}


class Publisher:
    """Writes the views of a data folder. `status` and `users_report` render what other parts of the server know."""

    def __init__(
        self,
        central: CentralSystem,
        data_dir: Path,
        clock: Clock,
        *,
        status: Callable[[], bytes],
        users_report: Callable[[], bytes],
        published: Callable[[float], None] | None = None,
    ) -> None:
        """`published`: told after each look how many real seconds it took."""
        self._central = central
        self._data_dir = data_dir
        self._archive = data_dir / "archive"
        self._clock = clock
        self._status = status
        self._users_report = users_report
        self._changed = asyncio.Event()
        self._dirty: set[type[ch.Change]] = set()
        self._session_months: set[Month] = set()
        self._booked_months: set[Month] = set()
        self._hourly_months: set[Month] = set()
        self._ended_in: dict[int, Month] = {}
        self._is_complete = False
        self._is_sync_due = True
        self._last_minute = self._last_status = float("-inf")
        self._files = ViewFiles(data_dir, clock.now)
        self._is_writing = asyncio.Lock()
        self.last_error = ""
        self.failures = 0
        """How often a file could not be written."""
        self._published = published
        self._waiting_since_s: float | None = None
        self._writing_since_s: float | None = None
        self._complete_at_s: float | None = None
        self._reasons: frozenset[str] = frozenset()
        for transaction in central.site.transactions.values():
            self._mark_session(transaction)
        central.listen(self._mark)

    async def run(self) -> None:
        """Publish whenever something changed, and the server's own status every ten seconds."""
        factor = self._clock.factor
        while True:
            began = self._real_s()
            await self.publish()
            await self._clock.sleep((began + _LEAST_SPACING_S - self._real_s()) * factor)
            await self._clock.wait_for(self._changed, (_STATUS_EVERY_S - _LEAST_SPACING_S) * factor)

    async def publish(self, *, is_final: bool = False) -> None:
        """Write every view that differs from its file. `is_final`: all of them, and durably."""
        async with self._is_writing:
            self._changed.clear()
            applied = self._central.applied
            now = self._real_s()
            self._writing_since_s = self._waiting_since_s if self._writing_since_s is None else self._writing_since_s
            self._waiting_since_s = None
            is_whole = is_final or not self._is_complete
            is_minute = is_whole or now - self._last_minute >= _MINUTE_S
            is_synced = is_minute or self._is_sync_due
            self._is_complete = self._is_sync_due = False
            if is_minute:
                self._last_minute = now
            open_month = self._central.site.open_month if is_whole or ch.PutOpenMonth in self._dirty else None
            views = list(self._render(now, is_minute=is_minute, is_whole=is_whole))
            await self._central.until_durable(applied)
            self._remember(await self._write_in_thread(views, is_synced=is_synced, open_month=open_month))
            if self._is_complete:
                self._complete_at_s, self._writing_since_s = now, None
            if self._published is not None:
                self._published(self._real_s() - now)

    def digests(self) -> dict[str, str]:
        """SHA-256 of each file as last written, by name: a later difference is a hand edit."""
        return self._files.digests()

    def lag_s(self) -> float:
        """Real seconds for which the oldest change waits for its files; 0: all are written."""
        since = self._waiting_since_s if self._writing_since_s is None else self._writing_since_s
        return 0.0 if since is None else self._real_s() - since

    def published_ago_s(self) -> float | None:
        """Real seconds since every file was right; None: never yet."""
        return None if self._complete_at_s is None else self._real_s() - self._complete_at_s

    def _real_s(self) -> float:
        return self._clock.monotonic() / self._clock.factor

    def _mark(self, changes: Sequence[ch.Change]) -> None:
        for change in changes:
            self._dirty.add(type(change))
            if isinstance(change, ch.PutTransaction):
                self._mark_session(change.transaction)
            elif isinstance(change, ch.AddBooking):
                self._booked_months.add(change.booking.month)
                self._hourly_months.add(change.booking.month)
            elif isinstance(change, ch.PutOpenMonth):
                self._is_sync_due = True
        if self._waiting_since_s is None:
            self._waiting_since_s = self._real_s()
        self._changed.set()

    def _mark_session(self, transaction: Transaction) -> None:
        """The month in which it ended, and the one in which it was thought to have ended before."""
        before = self._ended_in.pop(transaction.transaction_id, None)
        if before is not None:
            self._session_months.add(before)
        if transaction.ended_at is not None:
            month = month_of(transaction.ended_at, self._central.site.policy.zone)
            self._ended_in[transaction.transaction_id] = month
            self._session_months.add(month)
            self._is_sync_due = True

    def _render(self, now: float, *, is_minute: bool, is_whole: bool) -> Iterator[tuple[Path, bytes]]:
        """The views that may have changed, as bytes. No await: all of them show the same state."""
        dirty, self._dirty = self._dirty, set()
        yield from self._current(_ANYTHING if is_minute else dirty)
        yield from self._closed_months(is_whole=is_whole or ch.PutOpenMonth in dirty)
        yield from self._sessions(is_whole=is_whole)
        if is_minute:
            yield from self._hourly(is_whole=is_whole)
        if is_minute or now - self._last_status >= _STATUS_EVERY_S / 2 or dirty & _TOLD_BY_STATUS:
            self._last_status = now
            yield self._data_dir / "users_report.json", self._users_report()
            yield self._data_dir / "server_status.json", self._status()

    def _current(self, dirty: frozenset[type[ch.Change]] | set[type[ch.Change]]) -> Iterator[tuple[Path, bytes]]:
        site, folder = self._central.site, self._data_dir
        if dirty & {ch.AddBooking, ch.PutOpenMonth}:
            yield folder / "energy_usage.json", documents.energy_usage(site, site.open_month)
        if dirty & {ch.PutTransaction, ch.PutUsers, ch.AddBooking, ch.PutChargePoint, ch.PutOpenMonth}:
            yield folder / "active_transactions.json", documents.active_transactions(site, self._clock.now())
        if dirty - _NOT_OF_CHARGERS:
            yield folder / "charger_status.json", documents.charger_status(site)
        if dirty & {ch.AddReading, ch.PutChargers}:
            yield folder / "meter_data_log.json", documents.meter_data_log(site)
        if dirty & {ch.PutAlert, ch.RemoveAlert}:
            yield folder / "alerts.json", documents.alerts(site)

    def _closed_months(self, *, is_whole: bool) -> Iterator[tuple[Path, bytes]]:
        site = self._central.site
        months, self._booked_months = self._booked_months, set()
        if is_whole:
            months |= {month for month, _ in site.usage}
        for month in sorted(months):
            if site.open_month is not None and month < site.open_month:
                yield self._archive / f"energy_usage-{month}.json", documents.energy_usage(site, month)

    def _sessions(self, *, is_whole: bool) -> Iterator[tuple[Path, bytes]]:
        site = self._central.site
        months, self._session_months = self._session_months, set()
        if is_whole:
            self._ended_in = {number: month for number, month in self._ended_in.items() if number in site.transactions}
            months |= set(self._ended_in.values())
        for month in sorted(months):
            if self._is_in_memory(month):
                yield self._archive / f"sessions-{month}.csv", sessions_csv(site, month)

    def _hourly(self, *, is_whole: bool) -> Iterator[tuple[Path, bytes]]:
        site = self._central.site
        months, self._hourly_months = self._hourly_months, set()
        if site.open_month is not None:
            months.add(site.open_month)
        if is_whole:
            months |= {month_of(hour, site.policy.zone) for _, hour in site.energy_by_hour}
        for month in sorted(months):
            if self._is_in_memory(month):
                yield self._archive / f"energy_hourly-{month}.json", documents.energy_hourly(site, month)

    def _is_in_memory(self, month: Month) -> bool:
        """All of the month, so that its file may be written anew: older sessions and hours are in the ledger alone."""
        return month_start(month, self._central.site.policy.zone) >= kept_since(self._clock.now())

    async def _write_in_thread(
        self, views: list[tuple[Path, bytes]], *, is_synced: bool, open_month: Month | None
    ) -> dict[Path, OSError]:
        write = asyncio.to_thread(self._files.write, views, is_synced=is_synced, open_month=open_month)
        writing = asyncio.ensure_future(write)
        try:
            await asyncio.wait([writing])
        except asyncio.CancelledError:
            await asyncio.wait([writing])  # the thread goes on, and must not meet the next one at the same files
            raise
        return writing.result()

    def _remember(self, failures: dict[Path, OSError]) -> None:
        """Tell what could not be written, once while it lasts; everything is written again then."""
        self._is_complete = not failures
        self.failures += bool(failures)
        self._is_sync_due = self._is_sync_due or bool(failures)
        names: dict[str, list[str]] = {}
        for path, failure in failures.items():
            names.setdefault(failure.strerror or str(failure), []).append(path.name)
        self.last_error = "; ".join(f"{reason}: {', '.join(files)}" for reason, files in names.items())
        if names and names.keys() != self._reasons:
            log.error("[STATUS] files not written error=%s", self.last_error)
        elif self._reasons and not names:
            log.info("[STATUS] files written again")
        self._reasons = frozenset(names)
