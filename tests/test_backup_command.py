"""`backup` and `restore`: what comes back, what is refused, and that nothing is lost on the way."""

import os
import shutil
import sqlite3
import stat
import sys
import zipfile
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent / "crash"))

from charged_site import make_charged_site
from server_process import USERS, ServerProcess
from typed_commands import Keyboard

from ocpp_server.storage.ledger_file import FolderLock
from ocpp_server.storage.site_backup import LEDGER, MANIFEST
from ocpp_server.storage.verify import verify

MORE_USERS = USERS + "RFID003,Ada,Byron,20,FALSE\n"


@pytest.fixture(scope="module")
def stopped_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sessions, 1.5 kWh."""
    return make_charged_site(tmp_path_factory.mktemp("stopped") / "data")


@pytest.fixture
def site(stopped_site: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(stopped_site, tmp_path / "data"))


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Keyboard:
    """To type commands."""
    return Keyboard(monkeypatch, capfd)


def booked(site: Path) -> dict[str, int]:
    """Wh by tag in the books."""
    with closing(sqlite3.connect(site / LEDGER)) as ledger:
        return dict(ledger.execute("SELECT id_tag, sum(wh) FROM bookings GROUP BY 1"))


def first_transaction_id(site: Path) -> int:
    """The number of the next session is at least this."""
    with closing(sqlite3.connect(site / LEDGER)) as ledger:
        (value,) = ledger.execute("SELECT value FROM meta WHERE key = 'first_transaction_id'").fetchone()
    return int(value)


def contents(site: Path) -> dict[str, bytes]:
    """Every file of the site that counts."""
    ignored = {"ledger.lock", "ledger.db-shm", "ledger.db-wal"}
    return {str(path): path.read_bytes() for path in site.rglob("*") if path.is_file() and path.name not in ignored}


def test_a_backup_holds_ledger_tables_and_archive_but_no_secret(site: Path, keys: Keyboard, tmp_path: Path) -> None:
    """One file for its user alone; nothing is left beside it."""
    (site / "chargers.csv").write_text("id,name\nCP1,Gate\n")
    target = tmp_path / "out" / "site.zip"
    target.parent.mkdir()

    status, out, err = keys(site, "backup", target)

    with zipfile.ZipFile(target) as packed:
        names = set(packed.namelist())
    assert (status, err) == (0, "")
    assert "5 files" in out
    assert {MANIFEST, LEDGER, "users1.csv", "chargers.csv"} < names
    assert all(name.startswith("archive/") for name in names - {MANIFEST, LEDGER, "users1.csv", "chargers.csv"})
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert list(target.parent.iterdir()) == [target]


def test_restore_brings_back_books_and_tables_and_keeps_what_was_there(
    site: Path, keys: Keyboard, tmp_path: Path
) -> None:
    """`verify` accepts the result at once, before and after the next start; what was replaced is beside it."""
    keys(site, "backup", tmp_path / "site.zip")
    keys(site, "adjust", "RFID001", "5", "--reason", "later")
    (site / "users1.csv").write_text(MORE_USERS)

    status, out, err = keys(site, "restore", tmp_path / "site.zip")
    problems = verify(site / LEDGER, site)
    with ServerProcess(site) as server:
        assert server.stop() == 0

    (kept,) = site.glob("replaced-*")
    assert (status, err) == (0, "")
    assert str(kept) in out
    assert problems == verify(site / LEDGER, site) == []
    assert booked(site) == {"RFID001": 1500}
    assert booked(kept) == {"RFID001": 6500}
    assert (site / "users1.csv").read_text() == USERS
    assert (kept / "users1.csv").read_text() == MORE_USERS
    assert "6.5" in (kept / "energy_usage.json").read_text()
    assert not list(site.glob(".restoring*"))


def test_restore_makes_a_site_on_a_new_machine(site: Path, keys: Keyboard, tmp_path: Path) -> None:
    """An empty folder becomes the site; the token is made anew at the start."""
    keys(site, "backup", tmp_path / "site.zip")

    status, _, err = keys(tmp_path / "new", "restore", tmp_path / "site.zip")

    assert (status, err) == (0, "")
    assert verify(tmp_path / "new" / LEDGER, tmp_path / "new") == []
    assert booked(tmp_path / "new") == {"RFID001": 1500}
    assert not (tmp_path / "new" / "api_token").exists()


def test_restore_takes_a_nightly_backup_and_leaves_the_tables(site: Path, keys: Keyboard) -> None:
    """A plain ledger has no tables in it."""
    nightly = site / "backup" / "ledger-2026-01-01.db"
    nightly.parent.mkdir(exist_ok=True)
    shutil.copy(site / LEDGER, nightly)
    keys(site, "adjust", "RFID001", "5", "--reason", "later")
    (site / "users1.csv").write_text(MORE_USERS)

    status, _, err = keys(site, "restore", nightly)

    assert (status, err) == (0, "")
    assert verify(site / LEDGER, site) == []
    assert booked(site) == {"RFID001": 1500}
    assert (site / "users1.csv").read_text() == MORE_USERS


def test_a_restore_can_be_undone(site: Path, keys: Keyboard, tmp_path: Path) -> None:
    """The ledger that it kept is a backup like any other."""
    keys(site, "backup", tmp_path / "site.zip")
    keys(site, "adjust", "RFID001", "5", "--reason", "later")
    keys(site, "restore", tmp_path / "site.zip")
    (kept,) = site.glob("replaced-*")
    kept = kept.rename(tmp_path / "kept")  # another restore within this second would name its folder so, too

    status, _, err = keys(site, "restore", kept / LEDGER)

    assert (status, err) == (0, "")
    assert verify(site / LEDGER, site) == []
    assert booked(site) == {"RFID001": 6500}


def test_restore_of_the_books_only_leaves_the_tables(site: Path, keys: Keyboard, tmp_path: Path) -> None:
    """Users that were added since then stay."""
    keys(site, "backup", tmp_path / "site.zip")
    (site / "users1.csv").write_text(MORE_USERS)

    assert keys(site, "restore", "--books-only", tmp_path / "site.zip")[0] == 0
    assert (site / "users1.csv").read_text() == MORE_USERS


def test_no_session_gets_the_number_of_one_that_was_lost(site: Path, keys: Keyboard, tmp_path: Path) -> None:
    """Charge points may still speak of sessions that began after the backup (rule 18)."""
    keys(site, "backup", tmp_path / "site.zip")
    lost = 2_000_000_000
    with closing(sqlite3.connect(site / LEDGER)) as ledger, ledger:
        ledger.execute("INSERT INTO transactions VALUES (?, 'CP1', 'RFID001', '', NULL, '{}')", (lost,))

    keys(site, "restore", tmp_path / "site.zip")
    keys(tmp_path / "new", "restore", tmp_path / "site.zip")

    now = (datetime.now(UTC) - datetime(2025, 1, 1, tzinfo=UTC)).total_seconds()
    assert first_transaction_id(site) == lost + 1
    assert now - 60 < first_transaction_id(tmp_path / "new") <= now


def test_restore_replaces_a_ledger_that_is_damaged(site: Path, keys: Keyboard, tmp_path: Path) -> None:
    """The day on which a backup is needed; the damaged ledger is kept, with its write-ahead log."""
    keys(site, "backup", tmp_path / "site.zip")
    (site / LEDGER).write_bytes(b"SQLite format 3\x00" + b"\xff" * 9000)
    (site / "ledger.db-wal").write_bytes(b"\x00" * 100)

    status, _, err = keys(site, "restore", tmp_path / "site.zip")

    (kept,) = site.glob("replaced-*")
    assert (status, err) == (0, "")
    assert verify(site / LEDGER, site) == []
    assert (kept / LEDGER).stat().st_size == 9016


def test_restore_is_refused_while_a_server_runs(site: Path, keys: Keyboard, tmp_path: Path) -> None:
    """Exit code 2 and one sentence. That a backup is not: tests/e2e/test_backup_of_a_busy_site.py."""
    keys(site, "backup", tmp_path / "site.zip")
    lock = FolderLock(site / "ledger.lock")  # as a server has it
    status, out, err = keys(site, "restore", tmp_path / "site.zip")
    lock.release()

    assert (status, out) == (2, "")
    assert "stop it first" in err
    assert not list(site.glob("replaced-*"))


def _cut(good: Path, bad: Path) -> None:
    bad.write_bytes(good.read_bytes()[:-200])


def _alter(good: Path, bad: Path) -> None:
    content = bytearray(good.read_bytes())
    content[len(content) // 2] ^= 0xFF
    bad.write_bytes(content)


def _foreign(_good: Path, bad: Path) -> None:
    with zipfile.ZipFile(bad, "w") as packed:
        packed.writestr("letter.txt", "Dear Ada")


def _newer(_good: Path, bad: Path) -> None:
    with zipfile.ZipFile(bad, "w") as packed:
        packed.writestr(MANIFEST, '{"format": 2}')
        packed.writestr(LEDGER, b"")


def _wrong_total(good: Path, bad: Path) -> None:
    ledger = bad.with_name("ledger of it.db")
    with zipfile.ZipFile(good) as packed:
        ledger.write_bytes(packed.read(LEDGER))
    with closing(sqlite3.connect(ledger)) as connection, connection:
        connection.execute("UPDATE usage SET wh = wh + 7")
    ledger.rename(bad)


def _other_schema(good: Path, bad: Path) -> None:
    _wrong_total(good, bad)
    with closing(sqlite3.connect(bad)) as connection, connection:
        connection.execute("PRAGMA user_version = 99")


def _unreadable_entry(good: Path, bad: Path) -> None:
    _wrong_total(good, bad)
    with closing(sqlite3.connect(bad)) as connection, connection:
        connection.execute("UPDATE usage SET wh = wh - 7")
        connection.execute("UPDATE charge_points SET document = '{}'")


def _missing(_good: Path, _bad: Path) -> None:
    pass


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_cut, "cannot be restored"),
        (_alter, "cannot be restored"),
        (_foreign, "is no backup of evquota"),
        (_newer, "another version of evquota"),
        (_wrong_total, "the total is 1507 Wh, its bookings add up to 1500 Wh"),
        (_other_schema, "has schema 99"),
        (_unreadable_entry, "an entry cannot be read"),
        (_missing, "No such file"),
    ],
)
def test_what_is_no_good_backup_changes_nothing(
    site: Path, keys: Keyboard, tmp_path: Path, spoil: Callable[[Path, Path], None], words: str
) -> None:
    """Looked over before anything is touched: exit code 2, one sentence, every file as it was."""
    keys(site, "backup", tmp_path / "good.zip")
    spoil(tmp_path / "good.zip", tmp_path / "bad")
    before = contents(site)

    status, out, err = keys(site, "restore", tmp_path / "bad")

    assert (status, out) == (2, "")
    assert words in err
    assert contents(site) == before


def test_a_backup_cannot_write_outside_the_data_folder(site: Path, keys: Keyboard, tmp_path: Path) -> None:
    """Names that lead elsewhere, or are none of ours, are passed over."""
    keys(site, "backup", tmp_path / "site.zip")
    with zipfile.ZipFile(tmp_path / "site.zip", "a") as packed:
        for name in ("../evil", "archive/../../evil", "api_token", "archive/.hidden", "/evil"):
            packed.writestr(name, "evil")
    token = (site / "api_token").read_bytes()

    assert keys(site, "restore", tmp_path / "site.zip")[0] == 0
    assert not [path for path in tmp_path.rglob("*") if path.name in ("evil", ".hidden")]
    assert (site / "api_token").read_bytes() == token


@pytest.mark.parametrize("place", ["data/ledger.db", "old.zip", "nowhere/site.zip"])
def test_backup_never_replaces_a_file(site: Path, keys: Keyboard, tmp_path: Path, place: str) -> None:
    """A mistyped name must not cost the ledger, an older backup, or fill the mount point of a disk that is absent."""
    (tmp_path / "old.zip").write_text("old")
    before = contents(site)

    status, out, err = keys(site, "backup", tmp_path / place)

    assert (status, out) == (2, "")
    assert err.startswith("no backup: ")
    assert contents(site) == before
    assert (tmp_path / "old.zip").read_text() == "old"
    assert not (tmp_path / "nowhere").exists()


def test_a_disk_that_fails_before_the_decision_leaves_the_site_as_it_was(
    site: Path, keys: Keyboard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of the restore is seen, and nothing is left behind."""
    keys(site, "backup", tmp_path / "site.zip")
    keys(site, "adjust", "RFID001", "5", "--reason", "later")
    before = contents(site)

    with monkeypatch.context() as patch:
        fail_to_rename(patch, lambda path: True)
        status, out, err = keys(site, "restore", tmp_path / "site.zip")

    assert (status, out) == (2, "")
    assert "broken off (No space left on device): nothing was changed" in err
    assert booked(site) == {"RFID001": 6500}
    assert {name: content for name, content in contents(site).items() if name != str(site / LEDGER)} == {
        name: content for name, content in before.items() if name != str(site / LEDGER)
    }


@pytest.mark.parametrize("file", ["users1.csv", "old"])
def test_a_disk_that_fails_after_the_decision_does_not_mix_two_sites(
    site: Path, keys: Keyboard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    """Until it is finished there is no backup and no approval; the next start finishes it."""
    keys(site, "backup", tmp_path / "site.zip")
    keys(site, "adjust", "RFID001", "5", "--reason", "later")
    (site / "users1.csv").write_text(MORE_USERS)

    with monkeypatch.context() as patch:
        fail_to_rename(patch, lambda path: path.name == file)
        status, out, err = keys(site, "restore", tmp_path / "site.zip")
    told = verify(site / LEDGER, site)
    refused = keys(site, "backup", tmp_path / "mixed.zip")
    with ServerProcess(site) as server:
        assert server.stop() == 0

    (kept,) = site.glob("replaced-*")
    assert (status, out, refused[0]) == (2, "", 2)
    assert "the start of the server, or another restore, finishes it" in err
    assert "a restore was broken off" in refused[2]
    assert "was broken off" in told[0]
    assert verify(site / LEDGER, site) == []
    assert (booked(site), booked(kept)) == ({"RFID001": 1500}, {"RFID001": 6500})
    assert ((site / "users1.csv").read_text(), (kept / "users1.csv").read_text()) == (USERS, MORE_USERS)
    assert not list(site.glob(".restor*"))


def test_an_edit_after_a_restore_was_broken_off_is_kept(
    site: Path, keys: Keyboard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another restore finishes the earlier one first; what somebody typed meanwhile is beside what was replaced."""
    keys(site, "backup", tmp_path / "site.zip")
    (site / "users1.csv").write_text(MORE_USERS)
    with monkeypatch.context() as patch:
        fail_to_rename(patch, lambda path: path.name == "users1.csv")
        keys(site, "restore", tmp_path / "site.zip")
    (site / "users1.csv").unlink()
    (site / "users1.csv").write_text("typed meanwhile")

    status, out, err = keys(site, "restore", tmp_path / "site.zip")

    first, second = sorted(site.glob("replaced-*"), key=lambda path: (path / "users1.csv").exists(), reverse=True)
    assert (status, err) == (0, "")
    assert f"an earlier restore was broken off and is finished now; what it replaced is in {first}" in out
    assert (first / "users1.csv").read_text() == MORE_USERS
    assert (first / "users1.csv-2").read_text() == "typed meanwhile"
    assert (site / "users1.csv").read_text() == USERS
    assert (second / LEDGER).exists()


def fail_to_rename(patch: pytest.MonkeyPatch, concerns: Callable[[Path], bool]) -> None:
    """Renaming these fails as on a full disk."""
    rename = Path.replace

    def failing(path: Path, target: Path) -> Path:
        if concerns(path):
            raise OSError(28, os.strerror(28))
        return rename(path, target)

    patch.setattr(Path, "replace", failing)
