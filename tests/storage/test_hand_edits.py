"""`storage.hand_edits`: an edit of energy_usage.json between a clean stop and a start (F10)."""

import hashlib
import logging
import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from any_record import POLICY

from ocpp_server.core import changes as ch
from ocpp_server.core.energy import Wh
from ocpp_server.core.period import Month
from ocpp_server.core.records import Booking, BookingKind, NoteKind
from ocpp_server.core.site import Site, apply
from ocpp_server.core.users import Account, IdTag, User, UserTable
from ocpp_server.storage.documents import energy_usage
from ocpp_server.storage.hand_edits import adjustments_from_edit

NOW = datetime(2025, 2, 1, 0, 5, tzinfo=UTC)
STOPPED = datetime(2025, 1, 31, 18, 0, tzinfo=UTC)
JANUARY = Month("2025-01")


def used(number: int, tag: str, wh: int) -> ch.AddBooking:
    hour = datetime(2025, 1, 20, 10, tzinfo=UTC)
    return ch.AddBooking(Booking(number, BookingKind.ENERGY, hour, JANUARY, "2025-01-20", IdTag(tag), Wh(wh), hour))


@pytest.fixture
def site() -> Site:
    """January is open: RFID001 used 85.5 kWh, RFID002 120.3 kWh."""
    site = Site(POLICY)
    users = {IdTag("RFID003"): User(IdTag("RFID003"), Account("RFID003"), "Admin", "User", None)}
    for change in (ch.PutOpenMonth(JANUARY), ch.PutUsers(UserTable(users)), used(1, "RFID001", 85_500)):
        apply(site, change)
    apply(site, used(2, "RFID002", 120_300))
    return site


@pytest.fixture
def file(tmp_path: Path, site: Site) -> Path:
    """The file as it was published at the stop."""
    path = tmp_path / "energy_usage.json"
    path.write_bytes(energy_usage(site, JANUARY))
    os.utime(path, (STOPPED.timestamp(), STOPPED.timestamp()))
    return path


@pytest.fixture
def hashes(file: Path) -> dict[str, str]:
    """What the mark of the clean stop holds."""
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest()}


def look(file: Path, site: Site, hashes: Mapping[str, str], *, was_clean: bool = True) -> tuple[ch.Change, ...]:
    return adjustments_from_edit(
        file.parent, site, was_clean=was_clean, content_hashes=hashes, ledger_written_at=STOPPED, now=NOW
    )


def edit(file: Path, text: str, later: timedelta = timedelta(hours=1)) -> None:
    file.write_text(text, encoding="utf-8")
    os.utime(file, ((STOPPED + later).timestamp(),) * 2)


def others(file: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in file.parent.iterdir() if path != file}


def test_an_untouched_file_changes_nothing(file: Path, site: Site, hashes: dict[str, str]) -> None:
    """Its digest is that of the stop."""
    assert look(file, site, hashes) == ()


def test_an_edit_becomes_a_booking_with_its_reason(file: Path, site: Site, hashes: dict[str, str]) -> None:
    """Booked in the month that was open at the stop, though a new one has begun meanwhile."""
    edit(file, '{"RFID001": 80, "RFID002": 120.3}')
    booking, note = look(file, site, hashes)
    assert isinstance(booking, ch.AddBooking)
    assert isinstance(note, ch.AddNote)
    apply(site, booking)

    assert (booking.booking.booking_id, booking.booking.kind) == (3, BookingKind.ADJUSTMENT)
    assert (booking.booking.reason, booking.booking.month) == ("adjusted by hand", "2025-01")
    assert (booking.booking.id_tag, booking.booking.wh, booking.booking.booked_at) == ("RFID001", -5_500, NOW)
    assert site.usage[JANUARY, IdTag("RFID001")] == 80_000
    assert (note.note.kind, note.note.id_tag) == (NoteKind.ADJUSTED, "RFID001")
    assert dict(note.note.figures) == {
        "file": "energy_usage.json",
        "month": "2025-01",
        "before_wh": "85500",
        "after_wh": "80000",
    }


def test_a_tag_taken_out_is_set_to_zero_and_a_new_one_is_booked(file: Path, site: Site, hashes: dict[str, str]) -> None:
    """The file says what was used, all of it; a tag in another case is the one that users1.csv has (rule 13)."""
    edit(file, '{"RFID001": 85.5, "rfid003": 1.5}')
    bookings = [change.booking for change in look(file, site, hashes) if isinstance(change, ch.AddBooking)]

    assert [(entry.booking_id, entry.id_tag, entry.wh) for entry in bookings] == [
        (3, "RFID002", -120_300),
        (4, "RFID003", 1_500),
    ]


def test_another_layout_of_the_same_amounts_changes_nothing(file: Path, site: Site, hashes: dict[str, str]) -> None:
    """An editor that only formats the file edits nothing."""
    edit(file, '{"RFID002":120.30000000000001,"RFID001":85.5,"RFID009":0}')

    assert look(file, site, hashes) == ()


@pytest.mark.parametrize(
    "text",
    [
        '{"RFID001": 85.5',
        "",
        '{"RFID001": -1}',
        '{"RFID001": NaN}',
        '{"RFID001": Infinity}',
        "[]",
        '{"RFID003": 1, "rfid003": 2}',
    ],
)
def test_an_edit_that_cannot_be_used_is_kept_aside(
    text: str, file: Path, site: Site, hashes: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is booked from it, and what was typed is not lost."""
    caplog.set_level(logging.ERROR)
    edit(file, text)

    assert look(file, site, hashes) == ()
    assert others(file) == {"energy_usage.json.set-aside-20250201T000500Z": text}
    assert not file.exists()
    assert "[QUOTA] file set aside" in caplog.text


def test_after_a_stop_that_was_not_clean_an_edit_is_kept_but_does_not_count(
    file: Path, site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    """After a power cut an old view can look like an edit."""
    caplog.set_level(logging.WARNING)
    edit(file, '{"RFID001": 0}')

    assert look(file, site, {}, was_clean=False) == ()
    assert others(file) == {"energy_usage.json.conflict-20250201T000500Z": '{"RFID001": 0}'}
    assert file.exists()
    assert "python -m ocpp_server adjust" in caplog.text


def test_an_older_view_after_a_crash_is_no_conflict(file: Path, site: Site) -> None:
    """The file is a second behind the ledger: it is simply written again."""
    edit(file, '{"RFID001": 85.4, "RFID002": 120.3}', timedelta(seconds=4))

    assert look(file, site, {}, was_clean=False) == ()
    assert others(file) == {}


def test_without_a_digest_there_is_nothing_to_compare_with(file: Path, site: Site) -> None:
    """The publisher could not write the file before the stop: it is not an edit."""
    edit(file, '{"RFID001": 0}')

    assert look(file, site, {"charger_status.json": "abc"}) == ()
    assert list(others(file)) == ["energy_usage.json.conflict-20250201T000500Z"]


def test_a_missing_file_changes_nothing(file: Path, site: Site, hashes: dict[str, str]) -> None:
    """It is published again."""
    file.unlink()

    assert look(file, site, hashes) == ()
