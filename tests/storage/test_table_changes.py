"""`storage.table_changes`: what an edit by hand changed, for the audit, bounded; and whose edit it seems to be."""

import os
import pwd
from datetime import date
from pathlib import Path

import pytest

from ocpp_server.core.energy import Wh
from ocpp_server.core.users import Access, Account, ChargerRow, IdTag, User, UserTable
from ocpp_server.storage.table_changes import chargers_changes, editor_of, users_changes

ADA = User(IdTag("A"), Account("A"), "Ada", "Byron", Wh(150_000))


def users(*rows: User) -> UserTable:
    return UserTable({row.id_tag: row for row in rows})


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (User(ADA.id_tag, ADA.account, "Ada", "Byron", Wh(200_500)), "quota_kwh 150 to 200.5"),
        (User(ADA.id_tag, ADA.account, "Ada", "Byron", None), "quota_kwh 150 to blank, unlimited no to yes"),
        (User(ADA.id_tag, ADA.account, "Ada", "Byron", Wh(0), blocked=True), "quota_kwh 150 to 0, blocked no to yes"),
        (User(ADA.id_tag, Account("FLAT"), "Ada", "Byron", ADA.quota), "account blank to FLAT"),
        (
            User(ADA.id_tag, ADA.account, "Ada", "Byron", ADA.quota, expiry_date=date(2027, 1, 31)),
            "expiry_date blank to 2027-01-31",
        ),
        (User(ADA.id_tag, ADA.account, "Augusta", "King", ADA.quota), "name"),
    ],
)
def test_a_changed_user_is_told_with_old_and_new_values_and_no_name(row: User, told: str) -> None:
    """Names of people stand in the file, not in the audit."""
    expected = (("added", "0"), ("changed", "1"), ("removed", "0"), ("rows", f"A changed: {told}"))

    assert users_changes(users(ADA), users(row)) == expected


def test_a_table_that_says_the_same_has_no_changes() -> None:
    """Also in another order."""
    other = User(IdTag("B"), Account("B"), "", "", None)

    assert users_changes(users(ADA, other), users(other, ADA)) == ()
    assert chargers_changes({"CP1": ChargerRow("CP1")}, {"CP1": ChargerRow("CP1")}) == ()


def test_a_large_edit_is_told_with_fifty_rows_and_how_many_more_there_are() -> None:
    """A new list of the whole site must not fill the ledger; changed quotas come first."""
    many = [User(IdTag(f"T{number}"), Account("x" * 1000), "", "", Wh(1)) for number in range(300)]

    figures = dict(users_changes(users(ADA), users(*many)))

    rows = figures["rows"].split("; ")
    assert (figures["added"], figures["removed"], len(rows)) == ("300", "1", 51)
    assert (rows[0], rows[-1]) == ("A removed: quota_kwh 150", "and 251 more")
    assert max(map(len, rows)) == 300


def test_a_changed_charge_point_is_told() -> None:
    """Its switches with their values."""
    before = ChargerRow("CP1", "Gate", access=Access.FREE, approved=True)
    after = ChargerRow("CP1", "Yard", "livoltek", "kWh", 22_000, Access.CLOSED, ping=False, configure=False, note="x")

    figures = dict(chargers_changes({"CP1": before, "CP2": ChargerRow("CP2")}, {"CP1": after, "CP3": before}))

    changed = "energy_unit blank to kWh, max_kw blank to 22, access free to closed, ping yes to no"
    changed += ", configure yes to no, approved yes to blank, name, brand, note"
    assert figures["rows"].split("; ") == [
        f"CP1 changed: {changed}",
        "CP2 removed: access quota, ping yes, configure yes",
        "CP3 added: access free, ping yes, configure yes, approved yes",
    ]


def test_the_editor_is_the_owner_of_the_file_if_that_can_be_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else unknown, also where a name could forge what is not there."""
    path = tmp_path / "users1.csv"
    path.write_text("")
    me = pwd.getpwuid(os.geteuid()).pw_name

    assert editor_of(path) == f"editor of users1.csv ({me})"
    assert editor_of(tmp_path / "missing.csv") == "editor of missing.csv (unknown)"

    def strange(_number: int) -> pwd.struct_passwd:
        return pwd.struct_passwd(("a\nb", "", 0, 0, "", "", ""))

    monkeypatch.setattr(pwd, "getpwuid", strange)
    assert editor_of(path) == "editor of users1.csv (unknown)"
