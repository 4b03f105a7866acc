"""Do the books add up: the ledger with itself and with the published files, to the Wh. Reads only, changes nothing."""

import sqlite3
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import msgspec

from ocpp_server.core.records import Transaction
from ocpp_server.core.set_aside import SetAside
from ocpp_server.storage.errors import ImportFileError
from ocpp_server.storage.imported_files import USAGE
from ocpp_server.storage.json_files import read_usage
from ocpp_server.storage.ledger_codec import decode, text_of
from ocpp_server.storage.ledger_file import connect_read_only, is_in_use
from ocpp_server.storage.ledger_schema import SCHEMA_VERSION
from ocpp_server.storage.restore_journal import is_unfinished
from ocpp_server.storage.view_files import reopened

_MOST_OF_A_KIND = 20
_LOOK_EVERY_S = 0.1

_TOTALS = (
    (
        "used by {1} in {0}",
        "SELECT month, id_tag, sum(wh) FROM bookings WHERE is_on_quota GROUP BY 1, 2",
        "SELECT month, id_tag, wh FROM usage",
    ),
    (
        "delivered by {0}",
        "SELECT charge_point_id, sum(wh) FROM bookings WHERE charge_point_id <> '' GROUP BY 1",
        "SELECT charge_point_id, wh FROM delivered",
    ),
    (
        "delivered by {0} in the hour {1}",
        "SELECT charge_point_id, hour, sum(wh) FROM bookings WHERE charge_point_id <> '' GROUP BY 1, 2",
        "SELECT charge_point_id, hour, wh FROM energy_by_hour",
    ),
    (
        "charged with {0} on {1}",
        "SELECT id_tag, day, sum(wh) FROM bookings GROUP BY 1, 2",
        "SELECT id_tag, day, wh FROM energy_by_day",
    ),
)
"""What it is, the sum of the bookings, the kept total."""

_BOOKED_FOR_SET_ASIDE = """
    SELECT CAST(substr(reason, 11) AS INTEGER), sum(wh) FROM bookings
    WHERE kind = 'correction' AND reason LIKE 'set aside %' GROUP BY 1
"""


def verify(ledger_path: Path, data_dir: Path, *, patience_s: float = 5.0) -> list[str]:
    """Every disagreement as a plain sentence; empty if the books add up. Blocks, for seconds on large books.

    `patience_s`: how long the files of a running server may be behind its books before that counts.
    """
    if not ledger_path.exists():
        return [f"there is no ledger {ledger_path}"]
    if is_unfinished(data_dir):
        return [f"a restore in {data_dir} was broken off: start the server, or restore again, to finish it"]
    try:
        with closing(connect_read_only(ledger_path)) as ledger:
            ledger.execute("BEGIN")  # one moment of the books, also while the server writes
            is_running = is_in_use(ledger_path.with_suffix(".lock"))
            return list(_problems(ledger, ledger_path, data_dir, patience_s if is_running else 0.0))
    except sqlite3.Error as error:
        return [f"the ledger {ledger_path} cannot be read: {error}"]


def verify_copy(ledger_path: Path) -> list[str]:
    """The same for a ledger alone, such as one in a backup: there are no files to compare it with."""
    try:
        with closing(connect_read_only(ledger_path)) as ledger:
            return list(_ledger_problems(ledger, ledger_path))
    except sqlite3.Error as error:
        return [f"the ledger {ledger_path} cannot be read: {error}"]


def _problems(ledger: sqlite3.Connection, ledger_path: Path, data_dir: Path, patience_s: float) -> Iterator[str]:
    yield from _ledger_problems(ledger, ledger_path)
    if _schema(ledger) == SCHEMA_VERSION:
        yield from _file_problems(ledger, data_dir, patience_s)


def _schema(ledger: sqlite3.Connection) -> int:
    (version,) = ledger.execute("PRAGMA user_version").fetchone()
    return int(version)


def _ledger_problems(ledger: sqlite3.Connection, ledger_path: Path) -> Iterator[str]:
    version = _schema(ledger)
    if version != SCHEMA_VERSION:
        hint = ": the next start of the server upgrades it" if 0 < version < SCHEMA_VERSION else ""
        yield f"the ledger {ledger_path} has schema {version}, {SCHEMA_VERSION} was expected{hint}"
        return
    for (verdict,) in ledger.execute("PRAGMA integrity_check"):
        if verdict != "ok":
            yield f"the ledger {ledger_path} is damaged: {verdict}"
    for words, booked, kept in _TOTALS:
        yield from _compared(words, _totals(ledger, booked), _totals(ledger, kept))
    yield from _transaction_problems(ledger)
    yield from _set_aside_problems(ledger)


def _totals(ledger: sqlite3.Connection, query: str) -> dict[tuple[str, ...], int]:
    return {tuple(text_of(part) for part in row[:-1]): row[-1] for row in ledger.execute(query)}


def _compared(words: str, booked: Mapping[tuple[str, ...], int], kept: Mapping[tuple[str, ...], int]) -> Iterator[str]:
    wrong = sorted(key for key in booked.keys() | kept.keys() if booked.get(key, 0) != kept.get(key, 0))
    for key in wrong[:_MOST_OF_A_KIND]:
        what = words.format(*key)
        yield f"{what}: the total is {kept.get(key, 0)} Wh, its bookings add up to {booked.get(key, 0)} Wh"
    if len(wrong) > _MOST_OF_A_KIND:
        yield f"… and {len(wrong) - _MOST_OF_A_KIND} more such totals"


def _transaction_problems(ledger: sqlite3.Connection) -> Iterator[str]:
    booked: defaultdict[int, dict[str, int]] = defaultdict(dict)
    query = """
        SELECT transaction_id, month, sum(wh) FROM bookings WHERE transaction_id IS NOT NULL
        GROUP BY transaction_id, month
    """
    for transaction_id, month, wh in ledger.execute(query):
        booked[transaction_id][month] = wh
    seen: set[int] = set()
    for number, document in ledger.execute("SELECT transaction_id, document FROM transactions ORDER BY 1"):
        try:
            transaction = decode(document, Transaction)
        except msgspec.DecodeError as error:
            yield f"transaction {number} cannot be read: {error}"
            continue
        yield from _problems_of(number, transaction, booked.pop(number, {}))
        if transaction.transaction_id in seen:
            yield f"transaction id {transaction.transaction_id} is there twice"
        seen.add(transaction.transaction_id)
    for number in sorted(booked):
        yield f"there are bookings for transaction {number}, but no such transaction"


def _problems_of(number: int, transaction: Transaction, booked: Mapping[str, int]) -> Iterator[str]:
    if number <= 0:
        yield f"transaction id {number} is not positive"
    if number != transaction.transaction_id:
        yield f"transaction {number} calls itself {transaction.transaction_id}"
    told = {str(month): int(wh) for month, wh in transaction.booked}
    for month in sorted(told.keys() | booked.keys()):
        if told.get(month, 0) != booked.get(month, 0):
            yield (
                f"transaction {number} says {told.get(month, 0)} Wh for {month}, "
                f"its bookings add up to {booked.get(month, 0)} Wh"
            )


def _set_aside_problems(ledger: sqlite3.Connection) -> Iterator[str]:
    """What was accepted is booked, once; what was not accepted is not."""
    booked = dict(ledger.execute(_BOOKED_FOR_SET_ASIDE))
    for number, document in ledger.execute("SELECT number, document FROM set_aside ORDER BY number"):
        try:
            one = decode(document, SetAside)
        except msgspec.DecodeError as error:
            yield f"set aside {number} cannot be read: {error}"
            continue
        wh = booked.pop(number, 0)
        if wh != (one.booked or 0):
            yield f"set aside {number} ({one.state.value}) says {one.booked or 0} Wh, its bookings add up to {wh} Wh"
    for number in sorted(booked):
        yield f"there are bookings for set aside {number}, but no such entry"


def _file_problems(ledger: sqlite3.Connection, data_dir: Path, patience_s: float) -> Iterator[str]:
    """Where the files differ from the books. A running server writes them up to a second after the books, so there
    only what stands in every look is wrong.
    """
    wrong = _file_differences(ledger, data_dir)
    give_up = time.monotonic() + patience_s
    while wrong and time.monotonic() < give_up:
        time.sleep(_LOOK_EVERY_S)
        ledger.execute("COMMIT")
        ledger.execute("BEGIN")
        again = _file_differences(ledger, data_dir)
        wrong = {place: again[place] for place in wrong if place in again}
    yield from wrong.values()


def _file_differences(ledger: sqlite3.Connection, data_dir: Path) -> dict[tuple[str, str], str]:
    """A sentence for each file and tag that differ from the books of this moment."""
    row = ledger.execute("SELECT document FROM in_force WHERE name = 'open_month'").fetchone()
    if row is None:
        return {}
    month = decode(row[0], str)
    usage: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for booked_month, tag, wh in ledger.execute("SELECT month, id_tag, wh FROM usage WHERE wh <> 0"):
        usage[booked_month][text_of(tag)] = wh
    found = dict(_file_compared(data_dir / USAGE, usage[month]))
    for closed in sorted(closed for closed in usage if closed < month and usage[closed]):
        found.update(_file_compared(data_dir / "archive" / f"energy_usage-{closed}.json", usage[closed]))
    for path in reopened(data_dir, month):
        found[path.name, ""] = f"{path.name} is in the archive, and its month is not closed"
    return found


def _file_compared(path: Path, usage: Mapping[str, int]) -> Iterator[tuple[tuple[str, str], str]]:
    try:
        found = read_usage(path)
    except ImportFileError as error:
        yield (path.name, ""), str(error)
        return
    if found is None:
        if usage:
            yield (path.name, ""), f"{path.name} is missing"
        return
    for tag in sorted(found.keys() | usage.keys()):
        in_file, in_books = found.get(tag, 0), usage.get(tag, 0)
        if in_file != in_books:
            text = f"{path.name} differs: {tag} has {in_file} Wh in the file and {in_books} Wh in the books"
            yield (path.name, tag), text
