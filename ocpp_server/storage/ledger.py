"""The ledger: everything the server must not lose, in one SQLite database that only the server opens for writing.

One commit of the central system is one SQLite transaction (WAL, synchronous=FULL), carried out by the ledger's own
thread. Tables and statements are `ledger_schema`, rows `ledger_rows`, the state `ledger_load`, the file `ledger_file`.

`meta` holds: created; first_transaction_id; new, until the first commit; clean, from an orderly stop until the next
commit, with the digests of the published files. Both markers go in the same transaction as that commit, so a server
killed in its first moments finds at the next start what it found at this one.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import ParamSpec, TypeVar

import msgspec

from ocpp_server.core.changes import Change
from ocpp_server.core.site import Policy, Site
from ocpp_server.storage import ledger_file, restore_journal
from ocpp_server.storage import ledger_schema as sql
from ocpp_server.storage.errors import LedgerError, LedgerVersionError, LedgerWriteError
from ocpp_server.storage.ledger_codec import Row, decode, encode, with_surrogates_as_bytes
from ocpp_server.storage.ledger_load import first_transaction_id, load_site
from ocpp_server.storage.ledger_rows import rows_of
from ocpp_server.storage.ledger_upgrade import upgrade_with_copy

_P = ParamSpec("_P")
_T = TypeVar("_T")
RESERVE = "reserve.bin"
_BUSY_TIMEOUT_S = 10.0
_abandoned: list[sqlite3.Connection] = []
"""Connections that met an I/O error, kept until the process ends: closing one would write."""
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class Ledger:
    """The store on disk. `open` first; `close` at the end."""

    def __init__(
        self, path: Path, policy: Policy, now: datetime, *, reserve_bytes: int = ledger_file.RESERVE_BYTES
    ) -> None:
        """`reserve_bytes`: size of reserve.bin beside the ledger, 0 for none."""
        self.path = path
        self.is_new = False
        """Nothing was ever committed: the published files of another server may be imported."""
        self.was_clean = False
        """The last server that wrote to it ended in order."""
        self.content_hashes: dict[str, str] = {}
        """SHA-256 of the published files at that orderly stop, by name."""
        self.written_at: datetime | None = None
        """When its files were last changed before this start."""
        self._policy = policy
        self._now = now
        self._reserve_bytes = reserve_bytes
        self._lock: ledger_file.FolderLock | None = None
        self._connection: sqlite3.Connection | None = None
        self._has_marker = False
        self._is_closed = False
        self._failure: sqlite3.Error | None = None
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")

    def open(self) -> None:
        """Lock the data folder, check the file and make it ready. Raises LedgerError."""
        self._on_writer(self._open)

    def load(self) -> Site:
        """The state as it was last committed. Raises LedgerError."""
        return self._on_writer(self._load)

    async def commit(self, changes: Sequence[Change]) -> None:
        """Return once the changes are durable. Raises LedgerWriteError; then none of them is in the ledger."""
        if self._is_closed:
            raise LedgerError(f"the ledger {self.path} is not open any more")
        if changes:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._writer, self._commit, tuple(changes))

    async def apart(self, act: Callable[[sqlite3.Connection], _T]) -> _T:
        """Have the writer do this in a transaction of its own; durable once it returns. Raises LedgerError.

        For what is beside the books: the markers of `meta` speak of commits, and stay.
        """
        if self._is_closed:
            raise LedgerError(f"the ledger {self.path} is not open any more")
        return await asyncio.get_running_loop().run_in_executor(self._writer, self._apart, act)

    def mark_clean(self, content_hashes: Mapping[str, str]) -> None:
        """At the end of an orderly stop: a published file that differs from its digest later was edited by hand."""
        self._on_writer(self._mark_clean, dict(content_hashes))

    def backup(self, target: Path) -> None:
        """Copy the ledger into one whole, durable file while it is in use. Blocks; call it in a thread."""
        ledger_file.backup(self.path, target)

    def close(self) -> None:
        """Close the file and let another server have the folder. Doing it twice is harmless."""
        if not self._is_closed:
            self._is_closed = True
            self._on_writer(self._close)
            self._writer.shutdown()

    def _on_writer(self, act: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        return self._writer.submit(act, *args, **kwargs).result()

    def _open(self) -> None:
        try:
            self._lock = ledger_file.FolderLock(self.path.with_suffix(".lock"))
            restore_journal.finish(self.path.parent)
            ledger_file.keep_reserve(self.path.with_name(RESERVE), self._reserve_bytes)
            written = ledger_file.written_at(self.path)
            self.written_at = None if written is None else datetime.fromtimestamp(written, UTC)
            ledger_file.prepare(self.path)
            with self._explained():
                self._connection = sqlite3.connect(self.path, timeout=_BUSY_TIMEOUT_S, isolation_level=None)
                self._make_ready(self._connection)
        except OSError as error:
            self._close()
            raise LedgerError(f"the ledger {self.path} cannot be opened: {error.strerror or error}") from error
        except LedgerError:
            self._close()
            raise

    def _make_ready(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA journal_size_limit = 67108864")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if version > sql.SCHEMA_VERSION:
            raise LedgerVersionError(
                f"{self.path} was written by a newer version of evquota (schema {version}, this one knows "
                f"{sql.SCHEMA_VERSION}): install that version again, or restore a backup from before it"
            )
        if version == 0 and tables:
            raise LedgerVersionError(f"{self.path} is a SQLite database, but no ledger of evquota: move it away")
        if connection.execute("PRAGMA journal_mode = WAL").fetchone() != ("wal",):
            raise LedgerError(
                f"{self.path.parent} does not allow SQLite's write-ahead log: use a folder on a local disk"
            )
        if version == 0:
            self._create(connection)
        meta = dict(connection.execute("SELECT key, value FROM meta"))
        self.is_new, self.was_clean = "new" in meta, "clean" in meta
        self._has_marker = self.is_new or self.was_clean
        self.content_hashes = decode(meta["clean"], dict[str, str]) if self.was_clean else {}
        if not self.was_clean:
            self._check_after_crash(connection)
        if 0 < version < sql.SCHEMA_VERSION:
            upgrade_with_copy(connection, self.path)

    def _create(self, connection: sqlite3.Connection) -> None:
        """Tables and markers in one transaction: a server killed meanwhile leaves an empty file."""
        created = {
            "created": self._now.isoformat(),
            "first_transaction_id": str(first_transaction_id(self._now)),
            "new": "1",
        }
        connection.executescript(sql.SCHEMA)
        connection.executemany(sql.PUT_META, created.items())
        connection.execute(f"PRAGMA user_version = {sql.SCHEMA_VERSION}")
        connection.execute("COMMIT")

    def _check_after_crash(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            self._disconnect()
            raise ledger_file.damaged(self.path, verdict, self._now)

    def _load(self) -> Site:
        with self._explained():
            return load_site(self._opened(), self._policy, self._now)

    def _commit(self, changes: tuple[Change, ...]) -> None:
        rows = rows_of(changes)
        try:
            self._write(rows)
        except UnicodeEncodeError:
            self._write({statement: with_surrogates_as_bytes(group) for statement, group in rows.items()})

    def _write(self, rows: Mapping[str, Sequence[Row]]) -> None:
        with self._writing() as connection:
            if self._has_marker:
                connection.execute("DELETE FROM meta WHERE key IN ('new', 'clean')")
            for statement, group in rows.items():
                connection.executemany(statement, group)
        self._has_marker = False

    def _apart(self, act: Callable[[sqlite3.Connection], _T]) -> _T:
        with self._writing() as connection:
            return act(connection)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction. Raises LedgerWriteError; then nothing of it is in the ledger."""
        connection = self._opened()
        try:
            with _transaction(connection):
                yield connection
        except sqlite3.Error as error:
            if _primary_code(error) == sqlite3.SQLITE_IOERR:
                self._failure = error  # what fsync lost it does not report twice: never write here again (F4)
                _abandoned.append(connection)
            raise LedgerWriteError(f"the ledger {self.path} cannot be written: {_told(error)}") from error

    def _mark_clean(self, content_hashes: dict[str, str]) -> None:
        self._write({sql.PUT_META: [("clean", encode(content_hashes))]})
        self._has_marker = True

    def _opened(self) -> sqlite3.Connection:
        if self._failure is not None:
            raise LedgerWriteError(f"the ledger {self.path} failed before: {_told(self._failure)}") from self._failure
        if self._connection is None:
            raise LedgerError(f"the ledger {self.path} is not open")
        return self._connection

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """SQLite's errors in words that help; a damaged file is copied first."""
        try:
            yield
        except sqlite3.Error as error:
            self._disconnect()
            if _primary_code(error) in _DAMAGE:
                raise ledger_file.damaged(self.path, _told(error), self._now) from error
            raise LedgerError(f"the ledger {self.path} cannot be opened: {_told(error)}") from error
        except msgspec.DecodeError as error:
            self._disconnect()
            raise ledger_file.damaged(self.path, f"an entry cannot be read: {error}", self._now) from error

    def _disconnect(self) -> None:
        if self._connection is not None and self._failure is None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def _close(self) -> None:
        self._disconnect()
        if self._lock is not None:
            self._lock.release()
            self._lock = None


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # after an I/O error SQLite has rolled back by itself
            connection.rollback()
        raise


def _primary_code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _told(error: sqlite3.Error) -> str:
    return f"{error} ({getattr(error, 'sqlite_errorname', type(error).__name__)})"
