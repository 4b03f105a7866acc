"""`storage.chargers_file`: which chargers.csv is in force (hot-reloaded with the care of users1.csv, F8)."""

import asyncio
import threading
from pathlib import Path

import pytest

from ocpp_server.core.users import Access, ChargerRow
from ocpp_server.storage.chargers_csv import ChargersFileError
from ocpp_server.storage.chargers_file import ChargersFile
from ocpp_server.storage.table_changes import Figures


class Site:
    """Takes rows over as the central system does, unless it is told to fail."""

    def __init__(self) -> None:
        self.taken: list[tuple[ChargerRow, ...]] = []
        self.by_hand: list[dict[str, str]] = []
        self.is_broken = False

    async def replace_chargers(self, rows: tuple[ChargerRow, ...], by_hand: Figures) -> None:
        if self.is_broken:
            raise OSError(5, "the ledger cannot be written")
        self.taken.append(rows)
        self.by_hand.append(dict(by_hand))


GOOD = b"charger_id,name,access\nCP1,Gate,free\n"
GATE = ChargerRow("CP1", "Gate", access=Access.FREE)


async def test_a_good_file_takes_effect_at_once() -> None:
    """Readable rows go to the site in one step."""
    site = Site()
    file = ChargersFile({}, site.replace_chargers)

    assert await file.accept(GOOD) is None
    assert site.taken == [(GATE,)]
    assert (file.table, file.problems, file.last_error) == ({"CP1": GATE}, (), None)


async def test_a_file_with_the_same_rows_changes_nothing() -> None:
    """Another delimiter is no news for the site."""
    site = Site()
    await ChargersFile({"CP1": GATE}, site.replace_chargers).accept(GOOD.replace(b",", b";"))

    assert site.taken == []


async def test_an_unreadable_file_keeps_the_last_good_table(caplog: pytest.LogCaptureFixture) -> None:
    """It is reported, and heals with the next good one."""
    site = Site()
    file = ChargersFile({"CP1": GATE}, site.replace_chargers)
    await file.accept(b"\x00\x01\x02")

    assert file.last_error is not None
    assert file.table == {"CP1": GATE}
    assert site.taken == []
    assert "chargers.csv refused rows_kept=1" in caplog.text
    await file.accept(GOOD)
    assert file.last_error is None


async def test_a_bad_row_keeps_its_last_good_one_and_is_reported() -> None:
    """By line number and reason."""
    site = Site()
    file = ChargersFile({"CP1": GATE}, site.replace_chargers)
    await file.accept(b"charger_id,access\nCP1,sometimes\nCP2,closed\n")

    assert file.table == {"CP1": GATE, "CP2": ChargerRow("CP2", access=Access.CLOSED)}
    assert [(problem.line, problem.column) for problem in file.problems] == [(2, "access")]


async def test_rows_that_could_not_be_put_in_force_are_offered_again() -> None:
    """The table in force is the one that the site took."""
    site = Site()
    site.is_broken = True
    file = ChargersFile({}, site.replace_chargers)
    with pytest.raises(OSError, match="ledger"):
        await file.accept(GOOD)
    assert file.table == {}
    site.is_broken = False
    await file.accept(GOOD)

    assert site.taken == [(GATE,)]


async def test_an_edit_never_goes_over_what_somebody_saves_at_that_moment(tmp_path: Path) -> None:
    """The administrator's file is the administrator's; the command can be typed again."""
    path = tmp_path / "chargers.csv"
    path.write_bytes(b"charger_id\nCP1\n")
    file = ChargersFile({}, Site().replace_chargers)

    def edit(content: bytes) -> bytes:
        path.write_bytes(b"charger_id,name\nCP1,saved meanwhile\n")
        return content + b"CP2\n"

    with pytest.raises(ChargersFileError, match="saved by somebody else"):
        await file.edit(path, edit)

    assert path.read_bytes() == b"charger_id,name\nCP1,saved meanwhile\n"
    assert file.table == {}


async def test_an_edit_is_in_force_when_it_is_written(tmp_path: Path) -> None:
    """Without waiting for the watcher; and where nothing changes, nothing is written."""
    path = tmp_path / "chargers.csv"
    site = Site()
    file = ChargersFile({}, site.replace_chargers)

    assert await file.edit(path, lambda content: content + b"charger_id\nCP1\n")
    assert not await file.edit(path, lambda _content: None)
    assert site.taken == [(ChargerRow("CP1"),)]
    assert (path.read_bytes(), list(tmp_path.iterdir())) == (b"charger_id\nCP1\n", [path])


async def test_what_was_read_before_an_edit_is_not_put_in_force_after_it(tmp_path: Path) -> None:
    """The watcher reads the file and offers it while a person's edit is on its way: it is told to read again."""
    path = tmp_path / "chargers.csv"
    path.write_bytes(b"charger_id\nCP1\n")
    file = ChargersFile({}, Site().replace_chargers)
    is_editing, may_go_on = threading.Event(), threading.Event()

    def edit(content: bytes) -> bytes:
        is_editing.set()
        assert may_go_on.wait(10)
        return content + b"CP2\n"

    editing = asyncio.create_task(file.edit(path, edit))
    assert await asyncio.to_thread(is_editing.wait, 10)
    offering = asyncio.create_task(file.accept(b"charger_id\nCP1\n"))
    await asyncio.sleep(0)
    may_go_on.set()

    assert await editing
    assert await offering is not None
    assert set(file.table) == {"CP1", "CP2"}
    assert await file.accept(path.read_bytes()) is None


async def test_a_save_by_hand_is_told_and_an_edit_through_the_server_is_not(tmp_path: Path) -> None:
    """An edit through the server tells itself; of what was saved just before, the person's part is told."""
    site = Site()
    file = ChargersFile({"CP1": GATE}, site.replace_chargers)
    path = tmp_path / "chargers.csv"
    path.write_bytes(GOOD.replace(b"free", b"closed"))

    await file.edit(path, lambda content: content.replace(b"Gate", b"Yard"))
    await file.accept(GOOD.replace(b"Gate", b"Yard"))
    await file.accept(GOOD.replace(b"Gate", b"Yard"))

    counts = {"added": "0", "changed": "1", "removed": "0"}
    assert site.by_hand == [
        {**counts, "rows": "CP1 changed: access free to closed"},
        {**counts, "rows": "CP1 changed: access closed to free"},
    ]
