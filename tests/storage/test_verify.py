"""`storage.verify`: equality of bookings, totals, transactions and files, to the Wh (docs/architecture.md, Storage)."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ledger_child import NOW, POLICY, TRANSACTION_ID, group, transaction

from ocpp_server.core import changes as ch
from ocpp_server.core.energy import Wh
from ocpp_server.core.period import Month
from ocpp_server.core.records import Booking, BookingKind
from ocpp_server.core.set_aside import SetAside, SetAsideKind, SetAsideState
from ocpp_server.storage import documents
from ocpp_server.storage.ledger import Ledger
from ocpp_server.storage.ledger_codec import encode
from ocpp_server.storage.verify import verify, verify_copy

HOUR = "2025-11-20T10:00:00Z"


def late_booking() -> Booking:
    """Energy of the month before, which is closed."""
    change = group(3)[0]
    assert isinstance(change, ch.AddBooking)
    hour = datetime(2025, 10, 31, 20, tzinfo=UTC)
    return replace(change.booking, month=Month("2025-10"), day="2025-10-31", hour=hour, transaction_id=None)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Six Wh in November, one in October, and the files that show them."""
    ledger = Ledger(tmp_path / "ledger.db", POLICY, NOW, reserve_bytes=0)
    ledger.open()
    asyncio.run(ledger.commit([*group(1), *group(2), ch.AddBooking(late_booking()), ch.PutOpenMonth(Month("2025-11"))]))
    site = ledger.load()
    (tmp_path / "archive").mkdir()
    (tmp_path / "energy_usage.json").write_bytes(documents.energy_usage(site, Month("2025-11")))
    archive = documents.energy_usage(site, Month("2025-10"))
    (tmp_path / "archive" / "energy_usage-2025-10.json").write_bytes(archive)
    yield ledger
    ledger.close()


def problems(ledger: Ledger, statement: str = "SELECT 1") -> list[str]:
    """What is found after the server stopped and somebody did this to the ledger."""
    ledger.close()
    with closing(sqlite3.connect(ledger.path)) as connection:
        connection.execute(statement)
        connection.commit()
    return verify(ledger.path, ledger.path.parent)


def test_books_that_add_up_have_no_problems(ledger: Ledger) -> None:
    """An empty list, while the server runs and after."""
    while_running = verify(ledger.path, ledger.path.parent)

    assert while_running == []
    assert problems(ledger) == []


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        (
            "UPDATE usage SET wh = 7 WHERE month = '2025-11'",
            "used by RFID001 in 2025-11: the total is 7 Wh, its bookings add up to 6 Wh",
        ),
        (
            "DELETE FROM delivered",
            "delivered by LIVOLTEK_01: the total is 0 Wh, its bookings add up to 7 Wh",
        ),
        (
            f"INSERT INTO energy_by_hour VALUES ('BEDAS01', '{HOUR}', 5)",
            f"delivered by BEDAS01 in the hour {HOUR}: the total is 5 Wh, its bookings add up to 0 Wh",
        ),
        (
            "UPDATE energy_by_day SET wh = wh - 1 WHERE day = '2025-11-20'",
            "charged with RFID001 on 2025-11-20: the total is 5 Wh, its bookings add up to 6 Wh",
        ),
        (
            f"UPDATE transactions SET transaction_id = -1 WHERE transaction_id = {TRANSACTION_ID}",
            "transaction id -1 is not positive",
        ),
        (
            "DELETE FROM transactions",
            f"there are bookings for transaction {TRANSACTION_ID}, but no such transaction",
        ),
        (
            f"UPDATE transactions SET document = '{encode(transaction(5))}'",
            f"transaction {TRANSACTION_ID} says 5 Wh for 2025-11, its bookings add up to 6 Wh",
        ),
        (
            "UPDATE transactions SET document = '{}'",
            f"transaction {TRANSACTION_ID} cannot be read: Object missing required field `transaction_id`",
        ),
        (
            "INSERT INTO transactions SELECT 5, charge_point_id, id_tag, started_at, NULL, document FROM transactions",
            f"transaction id {TRANSACTION_ID} is there twice",
        ),
        ("PRAGMA user_version = 1", "has schema 1, 3 was expected: the next start of the server upgrades it"),
        ("PRAGMA user_version = 99", "has schema 99, 3 was expected"),
    ],
)
def test_a_disagreement_within_the_ledger_is_told_in_a_sentence(ledger: Ledger, statement: str, sentence: str) -> None:
    """What it is, what stands there, and what the bookings say."""
    found = problems(ledger, statement)

    assert any(sentence in problem for problem in found), found


def test_a_long_list_of_disagreements_is_cut(ledger: Ledger) -> None:
    """Twenty of a kind are enough to see what is wrong."""
    months = ", ".join(f"('2024-01', 'tag {number}', 1)" for number in range(30))
    found = problems(ledger, f"INSERT INTO usage VALUES {months}")

    assert sum(problem.startswith("used by") for problem in found) == 20
    assert "… and 10 more such totals" in found


def test_a_file_that_differs_is_told_by_tag(ledger: Ledger) -> None:
    """energy_usage.json equals the open month, an archive its month, to the Wh."""
    folder = ledger.path.parent
    (folder / "energy_usage.json").write_text('{"RFID001": 0.007, "RFID002": 1}')
    (folder / "archive" / "energy_usage-2025-10.json").write_text("{}")

    assert problems(ledger) == [
        "energy_usage.json differs: RFID001 has 7 Wh in the file and 6 Wh in the books",
        "energy_usage.json differs: RFID002 has 1000 Wh in the file and 0 Wh in the books",
        "energy_usage-2025-10.json differs: RFID001 has 0 Wh in the file and 1 Wh in the books",
    ]


def test_a_file_that_is_only_late_is_no_problem_while_the_server_runs(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The books are ahead of the file by up to a second: `verify` right after an adjustment found a difference."""
    path = ledger.path.parent / "energy_usage.json"
    written = path.read_bytes()
    path.write_text("{}")
    monkeypatch.setattr("ocpp_server.storage.verify.time.sleep", lambda _seconds: path.write_bytes(written))

    assert verify(ledger.path, ledger.path.parent) == []


def test_a_file_that_stays_different_while_the_server_runs_is_told(ledger: Ledger) -> None:
    """Also if other tags come and go meanwhile."""
    (ledger.path.parent / "energy_usage.json").write_text("{}")

    assert verify(ledger.path, ledger.path.parent, patience_s=0.3) == [
        "energy_usage.json differs: RFID001 has 0 Wh in the file and 6 Wh in the books"
    ]


def test_a_missing_and_an_unreadable_file_are_told(ledger: Ledger) -> None:
    """With file, line and column."""
    folder = ledger.path.parent
    (folder / "energy_usage.json").write_text("{")
    (folder / "archive" / "energy_usage-2025-10.json").unlink()
    found = problems(ledger)

    assert found[0].startswith("energy_usage.json line 1 column 2: not JSON")
    assert found[1] == "energy_usage-2025-10.json is missing"


def test_a_damaged_ledger_is_told(ledger: Ledger) -> None:
    """Not a traceback."""
    ledger.close()
    content = bytearray(ledger.path.read_bytes())
    content[8192:] = b"\xa5" * (len(content) - 8192)
    ledger.path.write_bytes(content)
    (found, *_) = verify(ledger.path, ledger.path.parent)

    assert found.startswith(f"the ledger {ledger.path} ")


def test_a_missing_ledger_is_told(tmp_path: Path) -> None:
    """And none is created by looking for it."""
    path = tmp_path / "ledger.db"

    assert verify(path, tmp_path) == [f"there is no ledger {path}"]
    assert list(tmp_path.iterdir()) == []


def test_an_archive_of_a_month_that_is_open_or_to_come_is_a_lie(ledger: Ledger) -> None:
    """It says that the month is closed; a name that is none of ours says nothing."""
    archive = ledger.path.parent / "archive"
    for name in ("energy_usage-2025-11.json", "energy_usage-2026-01.json", "energy_usage-copy-of.json"):
        (archive / name).write_text("{}")
    (archive / "energy_usage-2025-11.json.reopened-20251120T100000Z").write_text("{}")

    assert problems(ledger) == [
        "energy_usage-2025-11.json is in the archive, and its month is not closed",
        "energy_usage-2026-01.json is in the archive, and its month is not closed",
    ]


@pytest.mark.parametrize(
    ("reasons", "state", "booked", "sentences"),
    [
        (["set aside 7: seen (Ann)"], SetAsideState.ACCEPTED, 1, []),
        ([], SetAsideState.ACCEPTED, 1, ["set aside 7 (accepted) says 1 Wh, its bookings add up to 0 Wh"]),
        (
            ["set aside 7: a (b)", "set aside 7: a (b)"],
            SetAsideState.ACCEPTED,
            1,
            ["set aside 7 (accepted) says 1 Wh, its bookings add up to 2 Wh"],
        ),
        (
            ["set aside 7: a (b)"],
            SetAsideState.DROPPED,
            None,
            ["set aside 7 (dropped) says 0 Wh, its bookings add up to 1 Wh"],
        ),
        (["set aside 8: a (b)"], SetAsideState.OPEN, None, ["there are bookings for set aside 8, but no such entry"]),
        (
            ["", "set aside by the wall"],
            SetAsideState.OPEN,
            None,
            ["there are bookings for set aside 0, but no such entry"],
        ),
    ],
)
def test_what_was_accepted_is_booked_once(
    ledger: Ledger, reasons: list[str], state: SetAsideState, booked: int | None, sentences: list[str]
) -> None:
    """Each by its number, to the Wh."""
    entry = replace(late_booking(), month=Month("2025-12"), kind=BookingKind.CORRECTION)
    bookings = [replace(entry, booking_id=n, reason=reason) for n, reason in enumerate(reasons, 100)]
    one = SetAside(7, SetAsideKind.ORPHAN, NOW, NOW, "CP1", None, None, "RFID001", "why", state=state)
    put = ch.PutSetAside(replace(one, booked=None if booked is None else Wh(booked)))
    asyncio.run(ledger.commit([*(ch.AddBooking(booking) for booking in bookings), put]))
    ledger.close()

    assert verify_copy(ledger.path) == sentences


def test_an_entry_that_cannot_be_read_is_told(ledger: Ledger) -> None:
    """With its number."""
    (found, *_) = problems(ledger, "INSERT INTO set_aside VALUES (7, 'open', 'CP1', '{')")

    assert found.startswith("set aside 7 cannot be read: ")
