"""`storage.atomic_file`: a reader sees the old content or the new, never a part; no link is followed (F2, F3, T23)."""

import errno
import os
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ocpp_server.storage import atomic_file
from ocpp_server.storage.atomic_file import remove_leftovers, replace_file, sync_file


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "view.json"


@pytest.fixture
def temporary(path: Path) -> Path:
    """Where this process writes first."""
    return path.with_name(f".view.json.tmp-{os.getpid()}")


@pytest.fixture(params=[0o000, 0o022, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.mark.parametrize("is_synced", [False, True])
def test_the_content_is_replaced(path: Path, is_synced: bool) -> None:
    """A new file first, then over the old one; nothing else stays in the folder."""
    replace_file(path, b"one", is_synced=is_synced)
    replace_file(path, b"two", is_synced=is_synced)

    assert path.read_bytes() == b"two"
    assert list(path.parent.iterdir()) == [path]


def test_the_mode_is_0640_whatever_the_umask(path: Path, umask: int) -> None:
    """The dashboard may run as another user of the same group; others see nothing (docs/files.md)."""
    replace_file(path, b"one", is_synced=False)

    assert mode(path) == 0o640


def test_the_mode_of_a_secret_is_its_own(path: Path) -> None:
    """0600 from the first byte on."""
    replace_file(path, b"token", is_synced=True, mode=0o600)

    assert mode(path) == 0o600


def test_a_link_at_the_file_is_replaced_and_not_followed(path: Path, tmp_path: Path) -> None:
    """A link planted where a view belongs must not let us overwrite another file."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    path.symlink_to(victim)
    replace_file(path, b"view", is_synced=True)

    assert victim.read_bytes() == b"mine"
    assert not path.is_symlink()
    assert path.read_bytes() == b"view"


@pytest.mark.parametrize("plant", [Path.symlink_to, Path.hardlink_to], ids=["symbolic", "hard"])
def test_a_link_at_the_temporary_name_is_not_followed(
    path: Path, temporary: Path, tmp_path: Path, plant: Callable[[Path, Path], None]
) -> None:
    """Nor a hard one, which O_NOFOLLOW does not see."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    plant(temporary, victim)
    replace_file(path, b"view", is_synced=False)

    assert victim.read_bytes() == b"mine"
    assert path.read_bytes() == b"view"


def test_a_pipe_at_the_temporary_name_does_not_hang_the_server(path: Path, temporary: Path) -> None:
    """Opening one for writing waits for a reader."""
    os.mkfifo(temporary)
    replace_file(path, b"view", is_synced=False)

    assert path.read_bytes() == b"view"


def test_a_folder_at_the_temporary_name_is_an_error(path: Path, temporary: Path) -> None:
    """Told, and the old file stays whole."""
    path.write_bytes(b"old")
    temporary.mkdir()

    with pytest.raises(OSError, match=r"view\.json"):
        replace_file(path, b"new", is_synced=False)
    assert path.read_bytes() == b"old"


def test_short_writes_are_continued(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """write(2) may take less than it was given (F3)."""
    write = os.write
    monkeypatch.setattr(atomic_file.os, "write", lambda descriptor, view: write(descriptor, view[:7]))
    content = bytes(range(256)) * 4
    replace_file(path, content, is_synced=False)

    assert path.read_bytes() == content


@pytest.mark.parametrize("call", ["write", "fsync"])
def test_a_failed_write_leaves_the_old_file_and_no_other(
    path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """A full disk, a failing fsync: raised, the old content whole, no torn file left behind (F3, F4)."""
    path.write_bytes(b"old")

    def fail(*_arguments: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(atomic_file.os, call, fail)
    with pytest.raises(OSError, match="No space left"):
        replace_file(path, b"new", is_synced=True)

    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


def test_file_and_folder_are_synced_in_the_right_order(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file before the rename, the folder after it: else a power cut leaves an empty file (F2)."""
    steps: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def noted_fsync(descriptor: int) -> None:
        steps.append("fsync folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "fsync file")
        fsync(descriptor)

    def noted_replace(self: Path, target: Path) -> Path:
        steps.append("rename")
        return replace(self, target)

    monkeypatch.setattr(atomic_file.os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "replace", noted_replace)
    replace_file(path, b"one", is_synced=True)
    replace_file(path, b"two", is_synced=False)
    sync_file(path)

    assert steps == ["fsync file", "rename", "fsync folder", "rename", "fsync file", "fsync folder"]


def test_syncing_follows_no_link_and_tells_what_is_missing(path: Path, tmp_path: Path) -> None:
    """A view that was taken away meanwhile is an error, not a success."""
    with pytest.raises(FileNotFoundError):
        sync_file(path)
    (tmp_path / "other").write_bytes(b"")
    path.symlink_to(tmp_path / "other")
    with pytest.raises(OSError, match="symbolic links"):
        sync_file(path)


def test_a_reader_never_sees_a_part(path: Path) -> None:
    """Old or new, at every moment."""
    contents = [letter * 200_000 for letter in (b"a", b"b")]
    replace_file(path, contents[0], is_synced=False)
    seen: set[tuple[int, bytes]] = set()
    is_over = threading.Event()

    def read() -> None:
        while not is_over.is_set():
            content = path.read_bytes()
            seen.add((len(content), bytes(sorted(set(content)))))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(300):
        replace_file(path, contents[number % 2], is_synced=False)
    is_over.set()
    reader.join()

    assert seen <= {(200_000, b"a"), (200_000, b"b")}
    assert seen


def test_leftovers_of_a_killed_server_are_removed(tmp_path: Path) -> None:
    """In the folder and in its archive; what is not ours stays, and no link is followed."""
    (tmp_path / "archive").mkdir()
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    ours = [tmp_path / ".alerts.json.tmp-1", tmp_path / "archive" / ".sessions-2026-11.csv.tmp-22"]
    for leftover in ours:
        leftover.write_bytes(b"half")
    (tmp_path / ".link.tmp-3").symlink_to(victim)
    (tmp_path / ".folder.tmp-4").mkdir()
    remove_leftovers(tmp_path)

    left = sorted(str(entry.relative_to(tmp_path)) for entry in tmp_path.rglob("*"))
    assert left == [".folder.tmp-4", "archive", "victim"]
    assert victim.read_bytes() == b"mine"
