"""`users_watcher`: a file that people and editors change is handed on whole, once, and at rest (F9)."""

import asyncio
import hashlib
import itertools
import logging
import os
import shutil
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from watchfiles import Change

from ocpp_server import users_watcher
from ocpp_server.users_watcher import TableWatcher

LIMIT_S = 20
LONG_S = 3600
"""A poll that never comes within a test: what is seen is seen through the watch on the folder."""


class Loader:
    """Keeps what it is given, and asks for it again as often as `again_s` says."""

    def __init__(self) -> None:
        self.contents: asyncio.Queue[bytes] = asyncio.Queue()
        self.again_s: list[float] = []
        self.called_s: list[float] = []

    async def __call__(self, content: bytes) -> float | None:
        self.called_s.append(time.monotonic())
        self.contents.put_nowait(content)
        return self.again_s.pop(0) if self.again_s else None

    async def next(self) -> bytes:
        async with asyncio.timeout(LIMIT_S):
            return await self.contents.get()


class Events(logging.Handler):
    """The log of the watcher as a queue that a test can wait on."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: asyncio.Queue[str] = asyncio.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.put_nowait(f"{record.levelname} {record.getMessage()}")

    async def next(self) -> str:
        async with asyncio.timeout(LIMIT_S):
            return await self.lines.get()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder / "users1.csv"


@pytest.fixture
def loader() -> Loader:
    return Loader()


@pytest.fixture
def events() -> Iterator[Events]:
    handler = Events()
    log = logging.getLogger(users_watcher.__name__)
    log.addHandler(handler)
    level = log.level
    log.setLevel("INFO")
    yield handler
    log.removeHandler(handler)
    log.setLevel(level)


def replace(path: Path, content: bytes) -> None:
    """As a careful writer saves: a temporary file in the folder, renamed."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_bytes(content)
    temporary.replace(path)


@asynccontextmanager
async def running(watcher: TableWatcher) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(watcher.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


def watch(path: Path, loader: Loader, *, poll_s: float = LONG_S) -> TableWatcher:
    return TableWatcher(path, loader, settle_s=0.05, poll_s=poll_s)


async def test_every_atomic_replacement_is_handed_on(path: Path, loader: Loader) -> None:
    """A watch on the folder outlives the inode of the file, also after several renames."""
    replace(path, b"0")
    async with running(watch(path, loader)):
        assert await loader.next() == b"0"
        for number in range(1, 6):
            replace(path, b"%d" % number)

            assert await loader.next() == b"%d" % number


async def test_a_write_in_place_is_handed_on(path: Path, loader: Loader) -> None:
    """nano and `echo >>` keep the inode."""
    path.write_bytes(b"one")
    async with running(watch(path, loader)):
        assert await loader.next() == b"one"
        with path.open("ab") as file:
            file.write(b" two")

        assert await loader.next() == b"one two"


@pytest.mark.parametrize("looks_before_a_write", [{1}, {1, 4}, {1, 2, 3, 4, 5}, {2, 5, 8}])
async def test_a_write_in_pieces_is_handed_on_whole(
    path: Path, loader: Loader, monkeypatch: pytest.MonkeyPatch, looks_before_a_write: set[int]
) -> None:
    """As long as a look finds something else than the look before it, nothing is read."""
    path.write_bytes(b".")
    looks = itertools.count(1)
    observe = users_watcher._observe

    def observe_while_it_is_written(file: Path) -> object:
        seen = observe(file)
        if next(looks) in looks_before_a_write:
            with file.open("ab") as writer:
                writer.write(b".")
        return seen

    monkeypatch.setattr(users_watcher, "_observe", observe_while_it_is_written)
    async with running(watch(path, loader)):
        assert await loader.next() == b"." * (1 + len(looks_before_a_write))


async def test_a_file_written_while_it_was_read_is_read_again(
    path: Path, loader: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes of two versions are never handed on."""
    path.write_bytes(b"one")
    read = users_watcher._read
    later = [b"one two", b"one two three"]

    def read_while_it_is_written(file: Path) -> bytes:
        content = read(file)
        if later:
            file.write_bytes(later.pop(0))
        return content

    monkeypatch.setattr(users_watcher, "_read", read_while_it_is_written)
    async with running(watch(path, loader)):
        assert await loader.next() == b"one two three"


async def test_a_write_that_keeps_size_and_mtime_is_handed_on(path: Path, loader: Loader) -> None:
    """`cp -p` and rsync can leave both as they were; ctime and inode tell."""
    path.write_bytes(b"one")
    watcher = watch(path, loader)
    async with running(watcher):
        await loader.next()
        before = path.stat()
        other = path.with_name("other")
        other.write_bytes(b"two")
        os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
        other.replace(path)

        assert await loader.next() == b"two"


async def test_a_save_as_vim_does_it_is_handed_on_once(path: Path, loader: Loader, events: Events) -> None:
    """The file is moved away to a backup and written anew; that moment without a file is no event worth a line."""
    path.write_bytes(b"one")
    async with running(TableWatcher(path, loader, settle_s=0.5, poll_s=LONG_S)):
        await loader.next()
        path.with_name("4913").touch()
        path.with_name("4913").unlink()
        backup = path.rename(path.with_name("users1.csv~"))
        path.write_bytes(b"two")
        backup.unlink()

        assert await loader.next() == b"two"
    assert events.lines.empty()
    assert loader.contents.empty()


async def test_a_missing_file_is_not_an_empty_table(path: Path, loader: Loader, events: Events) -> None:
    """Nothing is handed on while the file is away; one line when it goes, one when it is back."""
    path.write_bytes(b"one")
    watcher = watch(path, loader)
    async with running(watcher):
        await loader.next()
        path.unlink()
        gone = "WARNING [QUOTA] users1.csv not usable, last good table stays trouble=missing"
        assert await events.next() == gone
        assert watcher.trouble == "missing"

        path.write_bytes(b"one")
        assert await events.next() == "INFO [QUOTA] users1.csv is back"
        assert watcher.trouble is None
        replace(path, b"two")

        assert await loader.next() == b"two"
    assert events.lines.empty()


async def test_a_file_missing_for_a_moment_is_not_reported(
    path: Path, loader: Loader, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An editor deletes and creates in two steps; only a file that is still away after `settle_s` is missing."""
    path.write_bytes(b"one")
    observe = users_watcher._observe
    first = iter(["missing"])
    monkeypatch.setattr(users_watcher, "_observe", lambda file: next(first, None) or observe(file))
    async with running(watch(path, loader)):
        assert await loader.next() == b"one"
    assert events.lines.empty()


async def test_trouble_that_lasts_is_logged_once(path: Path, loader: Loader, events: Events) -> None:
    """A hundred polls of a missing file are one line, and an optional file that never was is no warning."""
    looks: asyncio.Queue[None] = asyncio.Queue()
    watcher = watch(path, loader, poll_s=0.01)
    look = watcher._look

    async def counted_look() -> None:
        await look()
        looks.put_nowait(None)

    watcher._look = counted_look  # type: ignore[method-assign]
    async with running(watcher), asyncio.timeout(LIMIT_S):
        for _ in range(10):
            await looks.get()

    assert events.lines.get_nowait() == (
        "INFO [QUOTA] users1.csv is not there, the table of the last run stays, if there was one"
    )
    assert events.lines.empty()


def make_empty(path: Path) -> None:
    path.write_bytes(b"")


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def make_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def make_loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


@pytest.mark.parametrize(
    ("damage", "trouble"),
    [
        (make_empty, "empty"),
        (make_folder, "not a file"),
        (make_pipe, "not a file"),
        (make_loop, "unreadable (Too many levels of symbolic links)"),
    ],
)
async def test_what_cannot_be_a_table_is_not_read(
    path: Path, loader: Loader, events: Events, damage: Callable[[Path], None], trouble: str
) -> None:
    """An empty file, a folder or a pipe in its place leaves the last good table in force and blocks nobody."""
    path.write_bytes(b"one")
    async with running(watch(path, loader)):
        await loader.next()
        damage(path)

        assert (await events.next()).endswith(f"trouble={trouble}")
    assert loader.contents.empty()


async def test_a_file_that_must_not_be_read_is_handed_on_once_it_may(
    path: Path, loader: Loader, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong owner is reported once and tried again at each poll."""
    path.write_bytes(b"one")
    read = users_watcher._read
    attempts = 0

    def read_as_another_user(file: Path) -> bytes:
        nonlocal attempts
        attempts += 1
        if attempts < 4:
            raise PermissionError(13, "Permission denied")
        return read(file)

    monkeypatch.setattr(users_watcher, "_read", read_as_another_user)
    async with running(watch(path, loader, poll_s=0.01)):
        assert await loader.next() == b"one"
    assert (await events.next()).endswith("trouble=unreadable (Permission denied)")
    assert await events.next() == "INFO [QUOTA] users1.csv is back"
    assert events.lines.empty()


async def test_identical_content_is_not_handed_on_twice(
    path: Path, loader: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A save without a change is no change."""
    path.write_bytes(b"one")
    async with running(watch(path, loader)):
        await loader.next()
        compared = asyncio.Event()

        def sha256(content: bytes) -> object:
            compared.set()
            return hashlib.sha256(content)

        monkeypatch.setattr(users_watcher, "hashlib", SimpleNamespace(sha256=sha256))
        replace(path, b"one")
        async with asyncio.timeout(LIMIT_S):
            await compared.wait()
        replace(path, b"two")

        assert await loader.next() == b"two"


async def test_other_files_in_the_folder_are_ignored(path: Path, loader: Loader) -> None:
    """The server's own files beside the table change all the time and cost no look."""
    watcher = watch(path, loader)

    assert watcher._concerns(Change.modified, str(path))
    assert not watcher._concerns(Change.modified, str(path.with_name("energy_usage.json")))
    assert not watcher._concerns(Change.added, str(path.with_name(".users1.csv.swp")))
    assert not watcher._concerns(Change.modified, str(path.parent))


async def fake_awatch_that_is_silent(*_: object, **__: object) -> AsyncGenerator[set[tuple[Change, str]], None]:
    """A network folder: no event ever arrives."""
    await asyncio.Event().wait()
    yield set()


async def test_the_folder_is_polled_as_a_safety_net(
    path: Path, loader: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the system tells nothing, a change is found by looking."""
    monkeypatch.setattr(users_watcher, "awatch", fake_awatch_that_is_silent)
    async with running(watch(path, loader, poll_s=0.01)):
        for content in (b"one", b"two"):
            replace(path, content)

            assert await loader.next() == content


@pytest.mark.parametrize("failure", [OSError(28, "inotify watch limit reached"), RuntimeError("rust")])
async def test_polling_inside_watchfiles_is_used_only_if_inotify_is_unavailable(
    path: Path, loader: Loader, events: Events, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    """The first attempt leaves the choice to watchfiles; after a failure of the system it polls."""
    attempts: asyncio.Queue[object] = asyncio.Queue()

    async def awatch(*_: object, force_polling: bool | None, **__: object) -> AsyncGenerator[set[object], None]:
        attempts.put_nowait(force_polling)
        if not force_polling:
            raise failure
        await asyncio.Event().wait()
        yield set()

    monkeypatch.setattr(users_watcher, "awatch", awatch)
    async with running(watch(path, loader, poll_s=0.01)), asyncio.timeout(LIMIT_S):
        assert [await attempts.get(), await attempts.get()] == [None, True]
        replace(path, b"one")

        assert await loader.next() == b"one"


async def test_a_folder_that_vanishes_does_not_end_the_watch(path: Path, loader: Loader, events: Events) -> None:
    """The folder is deleted and made anew, twice; each time the file in it is found again."""
    replace(path, b"0")
    async with running(watch(path, loader, poll_s=0.1)) as task:
        assert await loader.next() == b"0"
        for number in (1, 2):
            shutil.rmtree(path.parent)
            while "trouble=missing" not in await events.next():
                pass
            path.parent.mkdir()
            replace(path, b"%d" % number)

            assert await loader.next() == b"%d" % number
        assert not task.done()


async def test_a_folder_swapped_for_another_is_watched_in_its_place(path: Path, loader: Loader) -> None:
    """A restored backup renamed over the folder is noticed through the new folder, without the poll."""
    replace(path, b"0")
    async with running(watch(path, loader)):
        assert await loader.next() == b"0"
        restored = path.parent.with_name("restored")
        restored.mkdir()
        replace(restored / path.name, b"1")
        path.parent.rename(path.parent.with_name("old"))
        restored.rename(path.parent)
        assert await loader.next() == b"1"
        replace(path, b"2")

        assert await loader.next() == b"2"


async def test_a_callback_may_ask_for_the_same_content_again(path: Path, loader: Loader) -> None:
    """A table that is held back is read again from the disk after the time asked for, and not before."""
    loader.again_s = [0.3, 0.01]
    path.write_bytes(b"one")
    async with running(watch(path, loader)):
        assert await loader.next() == b"one"
        assert await loader.next() == b"one"
        assert await loader.next() == b"one"
        replace(path, b"two")

        assert await loader.next() == b"two"
    assert loader.called_s[1] - loader.called_s[0] >= 0.3
    assert loader.contents.empty()


@pytest.mark.parametrize("is_seen_going", [True, False])
async def test_what_is_asked_for_again_waits_for_a_missing_file(
    path: Path, loader: Loader, events: Events, monkeypatch: pytest.MonkeyPatch, is_seen_going: bool
) -> None:
    """Without a file there is nothing to give; once it is back it is given even if it is the same.

    A file that was there once is missed with a warning, also if it is only found gone when it is wanted again.
    """
    if not is_seen_going:
        monkeypatch.setattr(users_watcher, "awatch", fake_awatch_that_is_silent)
    path.write_bytes(b"one")
    loader.again_s = [0.05]
    load = loader.__call__

    async def load_and_remove(content: bytes) -> float | None:
        if loader.again_s:
            path.unlink()
        return await load(content)

    watcher = TableWatcher(path, load_and_remove, settle_s=0.05, poll_s=0.05 if is_seen_going else LONG_S)
    async with running(watcher):
        assert await loader.next() == b"one"
        assert (await events.next()).endswith("trouble=missing")
        path.write_bytes(b"one")
        watcher._nudge.set()

        assert await loader.next() == b"one"


async def test_an_edit_during_the_load_is_not_lost(path: Path, loader: Loader, monkeypatch: pytest.MonkeyPatch) -> None:
    """An event that arrives while the callback is at work leads to another look after it."""
    monkeypatch.setattr(users_watcher, "awatch", fake_awatch_that_is_silent)
    path.write_bytes(b"one")

    async def load(content: bytes) -> None:
        await loader(content)
        if content == b"one":
            replace(path, b"two")
            watcher._nudge.set()

    watcher = TableWatcher(path, load, settle_s=0.05, poll_s=LONG_S)
    async with running(watcher):
        assert await loader.next() == b"one"
        assert await loader.next() == b"two"


async def test_an_edit_before_the_watch_stood_is_not_lost(
    path: Path, loader: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What happened between the first look and the moment the system begins to report is looked for."""
    path.write_bytes(b"one")
    was_loaded = asyncio.Event()

    async def load(content: bytes) -> None:
        await loader(content)
        was_loaded.set()

    async def awatch(*_: object, **__: object) -> AsyncGenerator[set[tuple[Change, str]], None]:
        await was_loaded.wait()
        replace(path, b"two")
        while True:
            yield set()
            await asyncio.Event().wait()

    monkeypatch.setattr(users_watcher, "awatch", awatch)
    async with running(TableWatcher(path, load, settle_s=0.05, poll_s=LONG_S)):
        assert await loader.next() == b"one"
        assert await loader.next() == b"two"


@pytest.mark.parametrize("is_told", [True, False])
async def test_a_folder_that_is_another_is_watched_anew(
    path: Path, loader: Loader, monkeypatch: pytest.MonkeyPatch, is_told: bool
) -> None:
    """Told of a deletion, even if the new folder has the old inode; or not told, but the inode is another."""
    is_watched_anew = asyncio.Event()
    first = iter([True])

    async def awatch(folder: Path, **_: object) -> AsyncGenerator[set[tuple[Change, str]], None]:
        if not next(first, False):
            is_watched_anew.set()
        elif is_told:
            yield {(Change.deleted, str(folder))}
        else:
            folder.rename(folder.with_name("old"))
            folder.mkdir()
            yield set()
        await asyncio.Event().wait()

    monkeypatch.setattr(users_watcher, "awatch", awatch)
    async with running(watch(path, loader)), asyncio.timeout(LIMIT_S):
        assert await is_watched_anew.wait()


async def test_what_the_callback_raises_ends_the_watch(path: Path) -> None:
    """A failed commit is not swallowed here."""
    path.write_bytes(b"one")

    async def load(content: bytes) -> None:
        raise OSError(5, "the ledger cannot be written")

    with pytest.raises(ExceptionGroup) as caught:
        async with asyncio.timeout(LIMIT_S):
            await TableWatcher(path, load, settle_s=0.01, poll_s=LONG_S).run()

    assert caught.group_contains(OSError, match="ledger")


async def test_at_the_start_a_file_at_rest_is_handed_on_without_waiting(
    path: Path, loader: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server need not wait for a file that nobody wrote lately."""
    path.write_bytes(b"one")
    monkeypatch.setattr(users_watcher, "_age_s", lambda _: LONG_S)
    async with asyncio.timeout(LIMIT_S):
        await TableWatcher(path, loader, settle_s=LONG_S, poll_s=LONG_S).load_once()

    assert loader.contents.get_nowait() == b"one"


@pytest.mark.parametrize("mtime_s", [None, 0, 2**32])
async def test_at_the_start_a_file_written_just_now_must_come_to_rest(
    path: Path, loader: Loader, mtime_s: int | None
) -> None:
    """A server that starts during a save waits for its end, whatever mtime a copy or a wrong clock has left."""
    path.write_bytes(b"one")
    if mtime_s is not None:
        os.utime(path, (mtime_s, mtime_s))
    begun = time.monotonic()
    async with asyncio.timeout(LIMIT_S):
        await TableWatcher(path, loader, settle_s=0.5, poll_s=LONG_S).load_once()

    assert loader.contents.get_nowait() == b"one"
    assert time.monotonic() - begun >= 0.5


async def test_what_was_handed_on_at_the_start_is_not_handed_on_again(path: Path, loader: Loader) -> None:
    """The watch goes on from where the start has ended."""
    path.write_bytes(b"one")
    watcher = watch(path, loader)
    await watcher.load_once()
    assert loader.contents.get_nowait() == b"one"
    async with running(watcher):
        replace(path, b"two")

        assert await loader.next() == b"two"


async def test_at_the_start_a_missing_file_is_no_failure(path: Path, loader: Loader) -> None:
    """The server starts with the last good table and says what is missing."""
    watcher = watch(path, loader)
    await watcher.load_once()

    assert watcher.trouble == "missing"
    assert loader.contents.empty()


async def test_of_a_huge_file_only_the_beginning_is_read(path: Path, loader: Loader) -> None:
    """A video renamed to users1.csv cannot fill the memory; one byte too many shows the parser that it is too large."""
    with path.open("wb") as file:
        file.truncate(10**9)
    await watch(path, loader).load_once()

    assert len(loader.contents.get_nowait()) == 5_000_001
