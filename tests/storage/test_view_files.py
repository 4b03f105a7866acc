"""`storage.view_files`: what is written, what is durable, and whose a change of a file is (F4, F10, T23)."""

import errno
import hashlib
import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ocpp_server.storage import atomic_file, view_files
from ocpp_server.storage.atomic_file import replace_file
from ocpp_server.storage.view_files import ViewFiles

NOW = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o750)
    return folder


@pytest.fixture
def usage(folder: Path) -> Path:
    return folder / "energy_usage.json"


@pytest.fixture
def files(folder: Path) -> ViewFiles:
    return ViewFiles(folder, lambda: NOW)


def input_output_error(*_arguments: object, **_named: object) -> None:
    raise OSError(errno.EIO, "Input/output error")


def set_aside(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*.set-aside-*")}


@pytest.mark.parametrize("is_synced", [True, False])
def test_a_view_is_put_into_its_file(files: ViewFiles, usage: Path, *, is_synced: bool) -> None:
    """Readable for the group, closed to strangers."""
    assert files.write([(usage, b"{}")], is_synced=is_synced) == {}

    assert usage.read_bytes() == b"{}"
    assert stat.S_IMODE(usage.stat().st_mode) == 0o640


def test_a_folder_below_is_made_when_it_is_needed(files: ViewFiles, folder: Path) -> None:
    """The archive; the data folder itself is never made here: its disk may be away."""
    archived = folder / "archive" / "energy_usage-2026-10.json"
    assert files.write([(archived, b"{}")], is_synced=False) == {}

    assert stat.S_IMODE(archived.parent.stat().st_mode) == 0o750
    folder.rename(folder.with_name("away"))
    assert set(files.write([(archived, b"[]")], is_synced=False)) == {archived}
    assert not folder.exists()


def test_what_is_there_already_is_not_written(files: ViewFiles, usage: Path) -> None:
    """Flash cards wear."""
    files.write([(usage, b"{}")], is_synced=False)
    before = usage.stat().st_ino
    files.write([(usage, b"{}")], is_synced=True)
    assert usage.stat().st_ino == before

    files.write([(usage, b"[]")], is_synced=True)
    assert usage.read_bytes() == b"[]"
    assert set_aside(usage.parent) == {}


def test_a_file_from_before_the_start_is_replaced(files: ViewFiles, usage: Path) -> None:
    """What was edited while no server ran was looked at by then (`hand_edits`)."""
    usage.write_bytes(b'{"half": ')
    files.write([(usage, b"{}")], is_synced=False)

    assert usage.read_bytes() == b"{}"
    assert set_aside(usage.parent) == {}


def test_an_edit_is_set_aside_with_a_hint(files: ViewFiles, usage: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Also where the view itself has not changed (F10)."""
    files.write([(usage, b"{}")], is_synced=False)
    usage.write_bytes(b'{"RFID001": -99}')
    files.write([(usage, b"{}")], is_synced=False)

    assert usage.read_bytes() == b"{}"
    assert set_aside(usage.parent) == {"energy_usage.json.set-aside-20261120T100000Z": b'{"RFID001": -99}'}
    assert "python -m ocpp_server adjust TAG KWH --reason TEXT" in caplog.text


def test_two_edits_in_the_same_second_are_both_kept(files: ViewFiles, usage: Path) -> None:
    """Nothing a person wrote is lost (F10)."""
    files.write([(usage, b"{}")], is_synced=False)
    for edit in (b"first", b"second"):
        usage.write_bytes(edit)
        files.write([(usage, b"{}")], is_synced=False)

    assert set(set_aside(usage.parent).values()) == {b"first", b"second"}


def test_a_view_that_was_deleted_comes_back(files: ViewFiles, usage: Path) -> None:
    """Nothing to set aside."""
    files.write([(usage, b"{}")], is_synced=False)
    usage.unlink()
    files.write([(usage, b"{}")], is_synced=False)

    assert usage.read_bytes() == b"{}"
    assert set_aside(usage.parent) == {}


def test_one_view_that_cannot_be_written_holds_up_no_other(files: ViewFiles, folder: Path, usage: Path) -> None:
    """A folder where a file belongs."""
    alerts = folder / "alerts.json"
    alerts.mkdir()
    failures = files.write([(alerts, b"[]"), (usage, b"{}")], is_synced=True)

    assert {path: failure.strerror for path, failure in failures.items()} == {alerts: "Is a directory"}
    assert usage.read_bytes() == b"{}"


def test_our_own_file_is_not_taken_for_an_edit_when_the_folder_could_not_be_synced(
    files: ViewFiles, usage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rename had been done before the error; the file is written again (F4)."""
    files.write([(usage, b"old")], is_synced=True)
    with monkeypatch.context() as broken:
        broken.setattr(atomic_file, "sync_folder", input_output_error)
        failures = files.write([(usage, b"new")], is_synced=True)
    assert set(failures) == {usage}
    before = usage.stat().st_ino

    assert files.write([(usage, b"new")], is_synced=True) == {}
    assert usage.stat().st_ino != before
    assert set_aside(usage.parent) == {}


def test_a_view_that_could_not_be_written_at_all_is_still_the_one_before(
    files: ViewFiles, usage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk (F3)."""
    files.write([(usage, b"old")], is_synced=True)
    with monkeypatch.context() as full:
        full.setattr(view_files, "replace_file", input_output_error)
        assert set(files.write([(usage, b"new")], is_synced=True)) == {usage}
    assert usage.read_bytes() == b"old"

    assert files.write([(usage, b"new")], is_synced=True) == {}
    assert usage.read_bytes() == b"new"
    assert set_aside(usage.parent) == {}


def test_a_view_that_is_gone_after_the_write_is_written_again(files: ViewFiles, usage: Path) -> None:
    """Somebody emptied the folder."""
    files.write([(usage, b"{}")], is_synced=False)
    usage.unlink()

    files.write([(usage, b"{}")], is_synced=False)
    assert usage.read_bytes() == b"{}"
    assert set_aside(usage.parent) == {}


def test_an_edit_in_the_moment_after_the_write_is_set_aside(
    files: ViewFiles, usage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is ours is known before the file gets its name: nothing that comes later counts as ours (F10)."""

    def replace_and_edit(path: Path, content: bytes, *, is_synced: bool) -> tuple[int, int, int]:
        written = replace_file(path, content, is_synced=is_synced)
        path.write_bytes(b'{"RFID001": 1.0}')
        return written

    with monkeypatch.context() as edited:
        edited.setattr(view_files, "replace_file", replace_and_edit)
        files.write([(usage, b"{}")], is_synced=False)
    files.write([(usage, b"{}")], is_synced=False)

    assert list(set_aside(usage.parent).values()) == [b'{"RFID001": 1.0}']
    assert usage.read_bytes() == b"{}"


def test_a_view_whose_fsync_failed_is_written_anew(
    files: ViewFiles, usage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second fsync of the same file succeeds and proves nothing (F4)."""
    files.write([(usage, b"{}")], is_synced=False)
    before = usage.stat().st_ino
    with monkeypatch.context() as broken:
        broken.setattr(view_files, "sync_file", input_output_error)
        assert set(files.write([], is_synced=True)) == {usage}
    assert usage.stat().st_ino == before

    assert files.write([(usage, b"{}")], is_synced=True) == {}
    assert usage.stat().st_ino != before


def test_what_was_written_without_fsync_is_made_durable_once(
    files: ViewFiles, usage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next time that anything is written durably (F2)."""
    synced: list[Path] = []
    monkeypatch.setattr(view_files, "sync_file", synced.append)
    files.write([(usage, b"{}")], is_synced=False)
    files.write([], is_synced=False)
    assert synced == []

    for _ in range(2):
        files.write([], is_synced=True)
    assert synced == [usage]


@pytest.mark.parametrize("place", ["energy_usage.json", ".energy_usage.json.tmp-{pid}"])
def test_a_planted_link_is_not_followed(files: ViewFiles, usage: Path, tmp_path: Path, place: str) -> None:
    """Neither at the file nor at its temporary name, before the first write and later (T23)."""
    name = place.format(pid=os.getpid())
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    for is_first in (True, False):
        if not is_first:
            (usage.parent / name).unlink(missing_ok=True)
        (usage.parent / name).symlink_to(victim)

        assert files.write([(usage, b"%d" % is_first)], is_synced=True) == {}
        assert victim.read_bytes() == b"mine"
        assert not usage.is_symlink()


def test_digests_tell_a_later_edit(files: ViewFiles, folder: Path, usage: Path) -> None:
    """SHA-256 of each file as it was left, by name in the folder."""
    files.write([(usage, b"{}"), (folder / "archive" / "a.json", b"[]")], is_synced=True)

    assert files.digests() == {
        "energy_usage.json": hashlib.sha256(b"{}").hexdigest(),
        "archive/a.json": hashlib.sha256(b"[]").hexdigest(),
    }
