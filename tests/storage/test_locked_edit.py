"""`storage.locked_edit`: one program at a time edits a person's file, and none goes over what somebody else saves."""

import hashlib
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ocpp_server.storage import atomic_file
from ocpp_server.storage.csv_text import TableFileError
from ocpp_server.storage.locked_edit import edit_file, locked

SAVED = b"saved by a person"
PROJECT = Path(__file__).parents[2]


def save_in_place(path: Path) -> None:
    path.write_bytes(SAVED)


def save_by_renaming(path: Path) -> None:
    other = path.with_name("other~")
    other.write_bytes(SAVED)
    other.replace(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "table.csv"
    path.write_bytes(b"before")
    path.chmod(0o604)
    return path


def edit(path: Path, make: Callable[[bytes], bytes | None], **how: float | bytes) -> bytes | None:
    return edit_file(path, make, error=TableFileError, has_rows=True, **how)  # type: ignore[arg-type]


def test_an_edit_keeps_the_mode_and_leaves_nothing_behind(path: Path) -> None:
    """The file is its owner's."""
    assert edit(path, lambda content: content + b" and after") == b"before and after"
    assert path.read_bytes() == b"before and after"
    assert stat.S_IMODE(path.stat().st_mode) == 0o604
    assert list(path.parent.iterdir()) == [path]


def test_nothing_to_change_writes_nothing(path: Path) -> None:
    """Not even the same bytes."""
    inode = path.stat().st_ino

    assert edit(path, lambda _content: None) is None
    assert path.stat().st_ino == inode


@pytest.mark.parametrize("has_exchange", [True, False], ids=["exchange", "no exchange"])
@pytest.mark.parametrize("save", [save_in_place, save_by_renaming])
def test_what_somebody_saves_meanwhile_stays(
    path: Path, save: Callable[[Path], None], has_exchange: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the edit is refused; also where two files cannot change places in one step."""
    if not has_exchange:
        monkeypatch.setattr(atomic_file, "_exchange", lambda _one, _other: False)

    def slow(_content: bytes) -> bytes:
        save(path)
        return b"after"

    with pytest.raises(TableFileError, match="saved by somebody else at this moment"):
        edit(path, slow)
    assert path.read_bytes() == SAVED
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("save", [save_in_place, save_by_renaming])
def test_what_somebody_saves_in_the_very_last_moment_stays(
    path: Path, save: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the last look and the replacing: the two change places, and then it is seen."""
    exchange, seen = atomic_file._exchange, []

    def late(one: Path, other: Path) -> bool:
        if not seen:
            save(path)
        seen.append(exchange(one, other))
        return seen[-1]

    monkeypatch.setattr(atomic_file, "_exchange", late)

    with pytest.raises(TableFileError, match="saved by somebody else"):
        edit(path, lambda _content: b"after")
    assert (path.read_bytes(), seen) == (SAVED, [True, True])


def test_of_two_saves_around_an_edit_the_later_stays(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first was replaced by its editor's neighbour, not by us."""
    exchange, count = atomic_file._exchange, [0]

    def late(one: Path, other: Path) -> bool:
        count[0] += 1
        if count[0] <= 2:
            path.write_bytes(b"save %d" % count[0])
        return exchange(one, other)

    monkeypatch.setattr(atomic_file, "_exchange", late)

    with pytest.raises(TableFileError, match="saved by somebody else"):
        edit(path, lambda _content: b"after")
    assert path.read_bytes() == b"save 2"


def test_a_file_that_is_not_there_is_begun_only_where_no_rows_are_in_force(tmp_path: Path) -> None:
    """And not if somebody begins it at that moment."""
    path = tmp_path / "table.csv"
    with pytest.raises(TableFileError, match="missing or empty"):
        edit(path, lambda _content: b"x")
    assert edit_file(path, lambda content: content + b"x", error=TableFileError, has_rows=False) == b"x"
    path.unlink()

    def slow(_content: bytes) -> bytes:
        path.write_bytes(SAVED)
        return b"x"

    with pytest.raises(TableFileError, match="saved by somebody else"):
        edit_file(path, slow, error=TableFileError, has_rows=False)
    assert path.read_bytes() == SAVED


def test_a_file_that_was_just_written_is_given_time(path: Path) -> None:
    """Half of it may be on its way; what is known already is whole."""
    os.utime(path)
    known = hashlib.sha256(b"before").digest()

    assert edit(path, lambda _content: b"known", settle_s=3600, known=known) == b"known"
    assert edit(path, lambda content: content + b" rested", settle_s=0.05) == b"known rested"


def test_a_file_never_grows_beyond_what_is_read(path: Path) -> None:
    """Else the next reader would refuse it."""
    with pytest.raises(TableFileError, match="larger than 5 MB"):
        edit(path, lambda _content: b"x" * 5_000_001)
    assert path.read_bytes() == b"before"


def test_a_program_that_does_not_end_its_edit_is_waited_for_and_named(path: Path) -> None:
    """The lock belongs to the open file, so it ends with its process."""
    with (
        locked(path),
        pytest.raises(TableFileError, match=r"another program is editing table\.csv"),
        locked(path, patience_s=0.05),
    ):
        pass
    with locked(path, patience_s=0.0):
        pass


APPEND = """
import sys
from pathlib import Path
from ocpp_server.storage.csv_text import TableFileError
from ocpp_server.storage.locked_edit import edit_file, locked
path, letter = Path(sys.argv[1]), sys.argv[2].encode()
for _ in range(10):
    with locked(path):
        edit_file(path, lambda content: content + letter, error=TableFileError, has_rows=True)
"""


def test_processes_edit_one_after_the_other(path: Path) -> None:
    """No edit of another program is refused or lost."""
    processes = [subprocess.Popen([sys.executable, "-c", APPEND, path, letter], cwd=PROJECT) for letter in "123"]

    assert [process.wait(30) for process in processes] == [0, 0, 0]
    content = path.read_bytes()
    assert [content.count(letter) for letter in (b"1", b"2", b"3")] == [10, 10, 10]
