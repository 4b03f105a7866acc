"""`storage.users_file`: which table of users is in force (F8, F9)."""

import asyncio
from pathlib import Path

import pytest

from ocpp_server.core.energy import Wh
from ocpp_server.core.users import Account, IdTag, User, UserTable
from ocpp_server.storage.table_changes import Figures
from ocpp_server.storage.users_file import UsersFile


class Site:
    """Takes users over as the central system does, unless it is told to fail."""

    def __init__(self) -> None:
        self.taken: list[tuple[UserTable, tuple[str, ...]]] = []
        self.by_hand: list[dict[str, str]] = []
        self.is_broken = False

    async def replace_users(self, table: UserTable, change: tuple[str, ...], by_hand: Figures) -> None:
        if self.is_broken:
            raise OSError(5, "the ledger cannot be written")
        self.taken.append((table, change))
        self.by_hand.append(dict(by_hand))


class Clock:
    """A monotonic clock that the test turns."""

    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def table(*tags: str) -> UserTable:
    return UserTable({IdTag(t): User(IdTag(t), Account(t), "J", "D", Wh(5_000)) for t in tags})


def content(*tags: str) -> bytes:
    return "".join(["id_tag,name,surname,quota_kwh,unlimited\n", *(f"{t},J,D,5,no\n" for t in tags)]).encode()


def users_file(site: Site, last_good: UserTable, clock: Clock | None = None) -> UsersFile:
    return UsersFile(last_good, site.replace_users, shrink_hold_s=60, monotonic=clock or Clock())


async def test_a_good_file_takes_effect_at_once_with_the_change_in_words() -> None:
    """A readable table goes to the site in one step (accounting rule 16)."""
    site = Site()
    file = users_file(site, table("A"))

    assert await file.accept(content("A", "B")) is None
    assert site.taken == [(table("A", "B"), ("B added",))]
    assert file.table == table("A", "B")
    assert file.last_change == ("B added",)


async def test_a_file_with_the_same_users_changes_nothing() -> None:
    """Another delimiter or a new note is no news for the site."""
    site = Site()
    await users_file(site, table("A")).accept(content("A").replace(b",", b";"))

    assert site.taken == []


async def test_an_unusable_file_keeps_the_last_good_table_and_says_why() -> None:
    """Half a file is not a table without users; the next good one clears the error."""
    site = Site()
    file = users_file(site, table("A"))

    assert await file.accept(b"") is None
    assert file.last_error == "users1.csv: the file is empty, a header row was expected"
    assert (file.table, site.taken) == (table("A"), [])

    await file.accept(content("A"))

    assert file.last_error is None


async def test_the_problems_are_those_of_the_file_as_it_is_now() -> None:
    """A corrected row is no longer reported, nor are rows of a file that cannot be read."""
    file = users_file(Site(), table("A"))
    await file.accept(content("A") + b"B,J,D,x,no\n")
    assert [str(problem) for problem in file.problems] == ['users1.csv row 3: quota_kwh "x" is not a number']

    await file.accept(b"PK")

    assert file.problems == ()


async def test_a_bad_row_keeps_the_row_in_force() -> None:
    """The last good row is that of the table in force, not of the file before."""
    site = Site()
    file = users_file(site, table("A", "B"))
    await file.accept(content("A") + b"B,J,D,x,no\n")

    assert (file.table, site.taken) == (table("A", "B"), [])


async def test_a_table_without_most_of_the_users_must_persist() -> None:
    """More than half of the users gone takes effect only after the hold, when the file is read again (F9)."""
    site, clock = Site(), Clock()
    file = users_file(site, table("A", "B", "C"), clock)

    assert await file.accept(content("A")) == 60
    assert file.hold_notice == "users1.csv: 2 of 3 users are gone; takes effect if the file stays so for 60 s"
    clock.now_s += 45
    assert await file.accept(content("A")) == 15
    assert site.taken == []

    clock.now_s += 15

    assert await file.accept(content("A")) is None
    assert site.taken == [(table("A"), ("2 users removed: B, C",))]
    assert file.hold_notice is None


async def test_half_of_the_users_may_go_at_once() -> None:
    """The hold is for more than 50 %, and one user respelt in another case is not gone."""
    site = Site()
    file = users_file(site, table("A", "B", "C", "D"))

    assert await file.accept(content("a", "B")) is None
    assert [taken for taken, _ in site.taken] == [table("a", "B")]


async def test_the_first_table_of_a_new_site_is_not_held() -> None:
    """Where nobody was in force, nobody can vanish."""
    site = Site()

    assert await users_file(site, table()).accept(content("A")) is None
    assert [taken for taken, _ in site.taken] == [table("A")]


@pytest.mark.parametrize("between", [content("A", "B", "C"), content("C"), b"", content()])
async def test_a_held_table_that_did_not_persist_starts_its_hold_anew(between: bytes) -> None:
    """Any other content in between, also a broken file, means that the edit is still going on."""
    site, clock = Site(), Clock()
    file = users_file(site, table("A", "B", "C"), clock)
    await file.accept(content("A"))
    clock.now_s += 30
    await file.accept(between)
    clock.now_s += 59

    assert await file.accept(content("A")) == 60
    assert site.taken == []


async def test_the_hold_ends_when_the_users_are_back() -> None:
    """The table in force was never replaced, so there is nothing to tell the site."""
    site = Site()
    file = users_file(site, table("A", "B", "C"))
    await file.accept(content("A"))

    assert await file.accept(content("A", "B", "C")) is None
    assert (file.hold_notice, site.taken) == (None, [])


async def test_what_the_site_could_not_take_over_is_not_in_force() -> None:
    """A failed commit is raised, and the same file can be offered again."""
    site = Site()
    file = users_file(site, table("A"))
    site.is_broken = True
    with pytest.raises(OSError, match="ledger"):
        await file.accept(content("A", "B"))
    assert file.table == table("A")

    site.is_broken = False
    await file.accept(content("A", "B"))

    assert site.taken == [(table("A", "B"), ("B added",))]


async def test_the_log_says_what_was_loaded_without_naming_tags(caplog: pytest.LogCaptureFixture) -> None:
    """One event with the figures; tags are for the report, not for the log."""
    caplog.set_level("INFO")
    await users_file(Site(), table()).accept(content("SECRET1") + b"SECRET2,J,D,x,no\n")

    assert caplog.messages == ["[QUOTA] users1.csv loaded users=1 problems=1"]


# --- edits through the server ----------------------------------------------------------------------------------------


def quotas(**kwh: int) -> bytes:
    rows = "".join(f"{tag},J,D,{quota},no\n" for tag, quota in kwh.items())
    return f"id_tag,name,surname,quota_kwh,unlimited\n{rows}".encode()


async def edited(file: UsersFile, path: Path, old: bytes, new: bytes) -> None:
    assert await file.edit(path, lambda content: content.replace(old, new)) is not None


async def test_an_edit_is_in_force_when_it_is_written(tmp_path: Path) -> None:
    """Without waiting for the watcher, also if most users go; and where nothing changes, nothing is written."""
    path, site = tmp_path / "users1.csv", Site()
    path.write_bytes(quotas(A=5, B=5))
    file = UsersFile(table("A", "B"), site.replace_users, settle_s=0)

    assert await file.edit(path, lambda _content: None) is None
    await edited(file, path, quotas(A=5, B=5), quotas())
    assert site.taken == [(table(), ("2 users removed: A, B",))]
    assert await file.edit(path, lambda content: content + b"N,J,D,5,no\n") == quotas(N=5)
    assert file.table == table("N")


async def test_what_was_read_before_an_edit_is_read_again(tmp_path: Path) -> None:
    """The watcher may hand on the file of before while the edit is under way."""
    path, site = tmp_path / "users1.csv", Site()
    path.write_bytes(quotas(A=5))
    file = UsersFile(table("A"), site.replace_users, settle_s=0)
    editing = asyncio.create_task(edited(file, path, b"A,", b"B,"))
    await asyncio.sleep(0)  # the edit has begun

    assert await file.accept(quotas(A=5)) is not None
    await editing
    assert file.table == table("B")
    assert await file.accept(path.read_bytes()) is None


async def test_a_save_that_takes_an_edit_back_is_reported_once(tmp_path: Path) -> None:
    """To any value from before it; also if the next edit is what finds it. What is decided otherwise is no news."""
    path, reported = tmp_path / "users1.csv", []

    async def report(tags: tuple[IdTag, ...]) -> None:
        reported.extend(tags)

    file = UsersFile(table(), Site().replace_users, settle_s=0, report_undone=report)
    path.write_bytes(quotas(A=1, B=1, C=1, D=1))
    await file.accept(path.read_bytes())
    for old, new in (
        (b"A,J,D,1", b"A,J,D,2"),
        (b"A,J,D,2", b"A,J,D,3"),
        (b"B,J,D,1", b"B,J,D,2"),
        (b"C,J,D,1", b"C,J,D,2"),
    ):
        await edited(file, path, old, new)

    await file.accept(quotas(A=1, B=9, C=2, D=1))
    assert reported == ["A"]
    path.write_bytes(quotas(A=1, B=9, C=1, D=1))
    await edited(file, path, b"D,J,D,1", b"D,J,D,2")
    assert reported == ["A", "C"]
    await file.accept(quotas(A=1, B=2, C=1, D=2))
    assert reported == ["A", "C"]


async def test_an_edit_of_long_ago_is_history(tmp_path: Path) -> None:
    """To set a quota back after an hour is a decision."""
    path, clock, reported = tmp_path / "users1.csv", Clock(), []

    async def report(tags: tuple[IdTag, ...]) -> None:
        reported.extend(tags)

    file = UsersFile(table("A"), Site().replace_users, settle_s=0, monotonic=clock, report_undone=report)
    path.write_bytes(quotas(A=5))
    await edited(file, path, b",5,", b",6,")
    clock.now_s += 3601
    await file.accept(quotas(A=5))

    assert reported == []


async def test_a_save_by_hand_is_told_row_by_row_and_an_unchanged_one_is_not() -> None:
    """Who may charge how much is money: the audit has what an editor of text changed, as it has what the API did."""
    site = Site()
    file = users_file(site, table("A", "B"))

    await file.accept(content("A", "C").replace(b"A,J,D,5,no", b"A,J,X,7.5,no"))
    await file.accept(content("A", "C").replace(b"A,J,D,5,no", b"A;J;X;7,5;no").replace(b",", b";"))

    rows = "A changed: quota_kwh 5 to 7.5, name; B removed: quota_kwh 5; C added: quota_kwh 5"
    assert site.by_hand == [{"added": "1", "changed": "1", "removed": "1", "rows": rows}]


async def test_an_edit_through_the_server_is_not_told_as_one_by_hand(tmp_path: Path) -> None:
    """Of a file that somebody had saved just before, only that person's part is."""
    site = Site()
    file = UsersFile(table("A"), site.replace_users, settle_s=0)
    path = tmp_path / "users1.csv"
    path.write_bytes(content("A", "B"))

    await file.edit(path, lambda _content: content("A", "B", "C"))
    await file.edit(path, lambda _content: content("A", "B"))
    path.write_bytes(content("A", "D", "B"))
    assert await file.load(path, lambda _content: True)

    rows = "B added: quota_kwh 5"
    assert site.by_hand == [{"added": "1", "changed": "0", "removed": "0", "rows": rows}, {}, {}]
