"""What an edit by hand changed in users1.csv or chargers.csv, as figures of a note; and whose edit it seems to be.

Edits through the server are noted by whoever makes them.
"""

import pwd
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Final, TypeAlias, TypeVar

from ocpp_server.core.energy import Wh
from ocpp_server.core.records import ROWS
from ocpp_server.core.users import ChargerRow, User, UserTable

Figures: TypeAlias = tuple[tuple[str, str], ...]
_Key = TypeVar("_Key", bound=str)
_Row = TypeVar("_Row")
_Value: TypeAlias = str | bool | int | date | None
_MOST_ROWS: Final = 50
_LONGEST_ROW: Final = 300
_LONGEST_NAME: Final = 64


def users_changes(old: UserTable, new: UserTable) -> Figures:
    """How many rows were added, changed and removed, and each by its tag: quota, blocked, account, expiry.

    Of names it says only that they changed. Empty if the tables say the same.
    """
    return _changes(old.users, new.users, _of_user, lambda one: {"name": (one.name, one.surname)})


def chargers_changes(old: Mapping[str, ChargerRow], new: Mapping[str, ChargerRow]) -> Figures:
    """The same for charge points; of name, brand and note it says only that they changed."""
    return _changes(old, new, _of_charger, lambda one: {"name": one.name, "brand": one.brand, "note": one.note})


def editor_of(path: Path) -> str:
    """Who seems to have edited the file: its owner, which an edit in place does not change. Blocks."""
    try:
        name = pwd.getpwuid(path.stat().st_uid).pw_name
    except (OSError, KeyError):
        name = ""
    is_fit = name.isprintable() and 0 < len(name) <= _LONGEST_NAME
    return f"editor of {path.name} ({name if is_fit else 'unknown'})"


def _changes(
    old: Mapping[_Key, _Row],
    new: Mapping[_Key, _Row],
    told: Callable[[_Row], dict[str, _Value]],
    untold: Callable[[_Row], Mapping[str, object]],
) -> Figures:
    """Whole tables, whatever their size; at most 50 rows in words."""
    added = [key for key in new if key not in old]
    removed = [key for key in old if key not in new]
    changed = [key for key in new if key in old and old[key] != new[key]]
    if not (added or removed or changed):
        return ()
    lines = [f"{key} changed: {', '.join(_steps(old[key], new[key], told, untold))}" for key in changed[:_MOST_ROWS]]
    lines += [f"{key} removed: {_said(told(old[key]))}" for key in removed[:_MOST_ROWS]]
    lines += [f"{key} added: {_said(told(new[key]))}" for key in added[:_MOST_ROWS]]
    lines = [line[:_LONGEST_ROW] for line in lines[:_MOST_ROWS]]
    more = len(added) + len(removed) + len(changed) - len(lines)
    counts = (("added", str(len(added))), ("changed", str(len(changed))), ("removed", str(len(removed))))
    return (*counts, (ROWS, "; ".join([*lines, *([f"and {more} more"] if more else [])])))


def _steps(
    old: _Row, new: _Row, told: Callable[[_Row], dict[str, _Value]], untold: Callable[[_Row], Mapping[str, object]]
) -> Iterator[str]:
    after = told(new)
    for column, value in told(old).items():
        if after[column] != value:
            yield f"{column} {_word(value)} to {_word(after[column])}"
    hidden = untold(new)
    yield from (column for column, value in untold(old).items() if hidden[column] != value)


def _said(values: Mapping[str, _Value]) -> str:
    return ", ".join(f"{column} {_word(value)}" for column, value in values.items() if value not in (None, "", False))


def _word(value: _Value) -> str:
    match value:
        case None | "":
            return "blank"
        case bool():
            return "yes" if value else "no"
    return str(value)


def _of_user(one: User) -> dict[str, _Value]:
    account = "" if str(one.account) == one.id_tag else one.account
    return {
        "quota_kwh": None if one.quota is None else _thousandth(one.quota),
        "unlimited": one.quota is None,
        "blocked": one.blocked,
        "account": account,
        "expiry_date": one.expiry_date,
    }


def _of_charger(one: ChargerRow) -> dict[str, _Value]:
    return {
        "energy_unit": one.energy_unit,
        "max_kw": None if one.max_power_w is None else _thousandth(one.max_power_w),
        "access": one.access.value,
        "ping": one.ping,
        "configure": one.configure,
        "approved": one.approved,
    }


def _thousandth(value: Wh | int) -> str:
    return f"{value // 1000}.{value % 1000:03d}".rstrip("0").rstrip(".")
