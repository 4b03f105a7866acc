"""The administrator's tables as values."""

from datetime import date

import pytest

from ocpp_server.core.energy import Wh
from ocpp_server.core.users import Access, Account, ChargerRow, IdTag, User, UserTable


@pytest.mark.parametrize(
    ("name", "surname", "expected"),
    [("John", "Doe", "John Doe"), ("John", "", "John"), ("", "Doe", "Doe"), ("", "", "RFID001"), (" ", " ", "RFID001")],
)
def test_a_user_is_shown_by_name_or_else_by_tag(name: str, surname: str, expected: str) -> None:
    """docs/files.md, meter_data_log.json: userName is what people read; a row may have no name."""
    user = User(IdTag("RFID001"), Account("RFID001"), name, surname, Wh(1000))

    assert user.full_name == expected


def test_a_row_of_users_says_nothing_more_than_it_must() -> None:
    """docs/files.md: blocked, expiry_date are optional columns."""
    user = User(IdTag("RFID001"), Account("flat 4"), "John", "Doe", None, expiry_date=date(2025, 1, 31))

    assert (user.blocked, user.quota, user.expiry_date) == (False, None, date(2025, 1, 31))


def test_a_charge_point_of_which_nothing_is_said_is_on_quota_and_configured() -> None:
    """Rule 17: access is quota by default."""
    row = ChargerRow("LIVOLTEK_01")

    assert (row.access, row.ping, row.configure, row.approved) == (Access.QUOTA, True, True, None)


def test_two_tables_share_no_users() -> None:
    """A new table takes nothing over from the one before (rule 16)."""
    first, second = UserTable(), UserTable()
    first.users[IdTag("RFID001")] = User(IdTag("RFID001"), Account("RFID001"), "", "", None)

    assert second.users == {}
