"""A ledger of an older version becomes one of this version. What the schemas are is `ledger_schema`."""

import logging
import sqlite3
from contextlib import suppress
from pathlib import Path

from ocpp_server.storage import ledger_file
from ocpp_server.storage import ledger_schema as sql

log = logging.getLogger(__name__)


def upgrade_with_copy(connection: sqlite3.Connection, path: Path) -> None:
    """Upgrade the ledger at this path, after a copy of it was made beside it: an older version cannot read the new one.

    Raises LedgerError if no copy could be made, and sqlite3.Error; the ledger is as it was then.
    """
    version = schema_of(connection)
    kept = path.with_name(f"{path.name}.schema-{version}")
    ledger_file.backup(path, kept)
    upgrade(connection)
    log.warning("[STATUS] ledger upgraded from=%d to=%d kept=%s", version, schema_of(connection), kept.name)


def upgrade(connection: sqlite3.Connection) -> None:
    """Schema after schema, each in one transaction. Raises sqlite3.Error."""
    version = schema_of(connection)
    while version in sql.UPGRADES:
        try:
            connection.executescript(sql.UPGRADES[version])
            version += 1
            connection.execute(f"PRAGMA user_version = {version}")
            connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                connection.rollback()
            raise


def schema_of(connection: sqlite3.Connection) -> int:
    """The version of the tables; 0: there are none yet."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)
