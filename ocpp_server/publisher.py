"""Reconciles the files in data/ with the state: at once while the server is idle, at most a second late under load.

A view is rendered from memory and carries the number of the last decision in it; it replaces the file only once that
decision is durable, so a file is never ahead of the ledger. A view that cannot be written is logged and tried again;
it never fails a message. fsync of file and folder: when a session ends, at a month roll, at the end, once a minute.
"""

import asyncio
import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ocpp_server.central_system import CentralSystem
from ocpp_server.clock import Clock
from ocpp_server.core import changes as ch
from ocpp_server.core.period import Month, month_of
from ocpp_server.storage import documents
from ocpp_server.storage.atomic_file import replace_file, sync_file
from ocpp_server.storage.sessions_csv import sessions_csv

log = logging.getLogger(__name__)

_LEAST_SPACING_S = 0.9
_STATUS_EVERY_S = 10.0
_SYNC_EVERY_S = 60.0
_HOURLY_EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class _Written:
    """What we last put into a file: its digest, and how the file looked to the file system then."""

    digest: str
    identity: tuple[int, int, int]
    is_synced: bool


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
    ) -> None:
        self._central = central
        self._data_dir = data_dir
        self._archive = data_dir / "archive"
        self._clock = clock
        self._status = status
        self._users_report = users_report
        self._changed = asyncio.Event()
        self._dirty: set[type[ch.Change]] = set()
        self._months: set[Month] = set()
        self._late_months: set[Month] = set()
        self._is_sync_due = True
        self._last_sync = self._last_hourly = self._last_status = float("-inf")
        self._written: dict[Path, _Written] = {}
        self._is_writing = asyncio.Lock()
        self.last_error = ""
        central.listen(self._mark)

    async def run(self) -> None:
        """Publish whenever something changed, and the server's own status every ten seconds."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            await self.publish()
            await asyncio.sleep(max(0.0, _LEAST_SPACING_S - (loop.time() - began)))
            await self._clock.wait_for(self._changed, _STATUS_EVERY_S * self._clock.factor)

    async def publish(self, *, is_final: bool = False) -> None:
        """Write every view that differs from its file. `is_final`: all of them, and durably."""
        async with self._is_writing:
            self._changed.clear()
            applied = self._central.applied
            now = asyncio.get_running_loop().time()
            is_synced = is_final or self._is_sync_due or now - self._last_sync >= _SYNC_EVERY_S
            views = list(self._render(now, is_final=is_final))
            await self._central.until_durable(applied)
            failures = await asyncio.to_thread(self._write_all, views, is_synced)
            self._remember(failures, now, is_synced=is_synced)

    def digests(self) -> dict[str, str]:
        """SHA-256 of each file as last written, by name: a later difference is a hand edit."""
        return {str(path.relative_to(self._data_dir)): written.digest for path, written in self._written.items()}

    def _mark(self, changes: Sequence[ch.Change]) -> None:
        for change in changes:
            self._dirty.add(type(change))
            if isinstance(change, ch.PutTransaction) and change.transaction.ended_at is not None:
                self._months.add(month_of(change.transaction.ended_at, self._central.site.policy.zone))
                self._is_sync_due = True
            elif isinstance(change, ch.AddBooking):
                self._late_months.add(change.booking.month)
            elif isinstance(change, ch.PutOpenMonth):
                self._is_sync_due = True
        self._changed.set()

    def _render(self, now: float, *, is_final: bool) -> Iterator[tuple[Path, bytes]]:
        """The views that may have changed, as bytes. No await: all of them show the same state."""
        site, folder = self._central.site, self._data_dir
        dirty, self._dirty = self._dirty, set()
        is_first = not self._written or is_final
        wall = self._clock.now()
        if is_first or dirty & {ch.AddBooking, ch.PutOpenMonth}:
            yield folder / "energy_usage.json", documents.energy_usage(site, site.open_month)
            yield from self._closed_months(is_first=is_first)
        if is_first or dirty & {ch.PutTransaction, ch.PutUsers, ch.AddBooking, ch.PutChargePoint}:
            yield folder / "active_transactions.json", documents.active_transactions(site, wall)
        if is_first or dirty - {ch.AddNote, ch.AddReading, ch.AddRefusedTag, ch.PutUsers}:
            yield folder / "charger_status.json", documents.charger_status(site)
        if is_first or dirty & {ch.AddReading, ch.PutChargers}:
            yield folder / "meter_data_log.json", documents.meter_data_log(site)
        if is_first or dirty & {ch.PutAlert, ch.RemoveAlert}:
            yield folder / "alerts.json", documents.alerts(site)
        if is_first or dirty & {ch.PutUsers, ch.PutChargers, ch.AddRefusedTag}:
            yield folder / "users_report.json", self._users_report()
        yield from self._sessions(is_first=is_first)
        if is_first or now - self._last_hourly >= _HOURLY_EVERY_S:
            self._last_hourly = now
            for month in sorted(self._late_months | ({site.open_month} if site.open_month else set())):
                yield self._archive / f"energy_hourly-{month}.json", documents.energy_hourly(site, month)
            self._late_months.clear()
        if is_first or now - self._last_status >= _STATUS_EVERY_S / 2 or dirty & {ch.PutAlert, ch.RemoveAlert}:
            self._last_status = now
            yield folder / "server_status.json", self._status()

    def _closed_months(self, *, is_first: bool) -> Iterator[tuple[Path, bytes]]:
        site = self._central.site
        months = {month for month, _ in site.usage} if is_first else set(self._late_months)
        if site.open_month is not None:
            for month in sorted(month for month in months if month < site.open_month):
                yield self._archive / f"energy_usage-{month}.json", documents.energy_usage(site, month)

    def _sessions(self, *, is_first: bool) -> Iterator[tuple[Path, bytes]]:
        site = self._central.site
        months, self._months = self._months, set()
        if is_first:
            ends = (t.ended_at for t in site.transactions.values() if t.ended_at is not None)
            months |= {month_of(ended, site.policy.zone) for ended in ends}
        for month in sorted(months):
            yield self._archive / f"sessions-{month}.csv", sessions_csv(site, month)

    def _write_all(self, views: list[tuple[Path, bytes]], is_synced: bool) -> dict[Path, OSError]:
        failures: dict[Path, OSError] = {}
        for path, content in views:
            try:
                self._write(path, content, is_synced=is_synced)
            except OSError as failure:
                failures[path] = failure
        if is_synced:
            failures |= self._sync_rest()
        return failures

    def _sync_rest(self) -> dict[Path, OSError]:
        """Make durable what was written without fsync since the last time."""
        failures: dict[Path, OSError] = {}
        loose = [path for path, written in self._written.items() if not written.is_synced]
        for path in loose:
            try:
                sync_file(path)
                self._written[path] = replace(self._written[path], is_synced=True)
            except OSError as failure:
                failures[path] = failure
        return failures

    def _write(self, path: Path, content: bytes, *, is_synced: bool) -> None:
        digest = hashlib.sha256(content).hexdigest()
        before = self._written.get(path)
        identity = _identity(path)
        is_untouched = before is not None and before.identity == identity
        if before is not None and is_untouched and before.digest == digest:
            return
        if before is not None and identity is not None and not is_untouched:
            self._set_aside(path)
        path.parent.mkdir(mode=0o750, exist_ok=True)
        replace_file(path, content, is_synced=is_synced)
        written = _identity(path)
        if written is not None:
            self._written[path] = _Written(digest, written, is_synced)

    def _set_aside(self, path: Path) -> None:
        """Somebody edited a view while the server runs: keep the edit, an editor's old copy must not take back use."""
        kept = path.with_name(f"{path.name}.set-aside-{self._clock.now():%Y%m%dT%H%M%SZ}")
        path.rename(kept)
        log.warning(
            "[QUOTA] edit set aside file=%s hint=%s",
            kept.name,
            "book a correction instead: python -m ocpp_server adjust TAG KWH --reason TEXT",
        )

    def _remember(self, failures: dict[Path, OSError], now: float, *, is_synced: bool) -> None:
        if is_synced:
            self._is_sync_due = bool(failures)
            self._last_sync = now
        text = "; ".join(f"{path.name}: {failure.strerror or failure}" for path, failure in failures.items())
        if text != self.last_error:
            if text:
                log.error("[STATUS] files not written error=%s", text)
            else:
                log.info("[STATUS] files written again")
            self.last_error = text
        if failures:
            self._dirty |= {
                ch.AddBooking,
                ch.PutTransaction,
                ch.PutChargePoint,
                ch.AddReading,
                ch.PutUsers,
                ch.PutAlert,
            }
            self._changed.set()


def _identity(path: Path) -> tuple[int, int, int] | None:
    try:
        seen = path.stat()
    except FileNotFoundError:
        return None
    return seen.st_ino, seen.st_mtime_ns, seen.st_size
