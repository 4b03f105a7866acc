"""users1.csv: from its bytes to the users in force, what is wrong in it by line, and what an edit changed.

Encoding, delimiter and the grammar of cells are `csv_text`; when a new table takes effect is `users_file`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

from ocpp_server.core.energy import Wh
from ocpp_server.core.users import Account, IdTag, User, UserTable
from ocpp_server.storage.csv_text import RowProblem, RowReader, TableFileError, quoted, read_table

FILE = "users1.csv"
REQUIRED = ("id_tag", "name", "surname", "quota_kwh", "unlimited")
OPTIONAL = ("account", "expiry_date", "blocked", "email", "note")
ALIASES = {"header name": "name"}
"""Files made from the first specification of this format have that header."""

_LONGEST_TAG = 20
_MAX_QUOTA_KWH = 10**9
_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_SPREADSHEET_NUMBER = re.compile(r"[0-9](?:[.,][0-9]+)?E[+-][0-9]+", re.IGNORECASE)
_THOUSANDS = re.compile(r"[1-9][0-9]{0,2}[.,][0-9]{2}0")
_LINES_OF_CHANGE = 20
_TAGS_IN_A_LINE = 10


class UsersFileError(TableFileError):
    """users1.csv cannot be used at all; the last good table stays in force."""


@dataclass(frozen=True, slots=True)
class ParsedUsers:
    """The users in the file, with the last good rows where its own are bad, and the problems by line."""

    table: UserTable
    problems: tuple[RowProblem, ...]


class _Row(NamedTuple):
    line: int
    user: User


def parse_users(content: bytes, last_good: UserTable) -> ParsedUsers:
    """Read users1.csv; a bad row keeps its tag's row of `last_good`. Raises UsersFileError."""
    try:
        table = read_table(content, file=FILE, known=REQUIRED + OPTIONAL, required=REQUIRED, aliases=ALIASES)
    except TableFileError as error:
        raise UsersFileError(str(error)) from error
    problems = list(table.problems)
    rows_of_tag: dict[IdTag, list[_Row]] = {}
    for row in table.rows:
        cells = RowReader(row, file=FILE, width=len(table.columns), required=REQUIRED)
        user = _read_user(cells) or last_good.users.get(IdTag(cells.text("id_tag")))
        problems += cells.problems
        if user is not None:
            rows_of_tag.setdefault(user.id_tag, []).append(_Row(row.line, user))
    rows = [_strictest(rows, problems) for rows in rows_of_tag.values()]
    _report_tags_alike(rows, problems)
    users = list(_share_quota(rows, problems))
    problems.sort(key=lambda problem: problem.line)
    return ParsedUsers(UserTable({user.id_tag: user for user in users}), tuple(problems))


def describe_change(old: UserTable, new: UserTable) -> tuple[str, ...]:
    """What an edit changed, in plain lines; never more than 20 and one that says how many are left out."""
    removed = [tag for tag in old.users if tag not in new.users]
    added = [tag for tag in new.users if tag not in old.users]
    lines = [*_counted(removed, "removed"), *_counted(added, "added")]
    for tag, user in new.users.items():
        if tag in old.users:
            lines += _differences(old.users[tag], user)
    if len(lines) <= _LINES_OF_CHANGE:
        return tuple(lines)
    return (*lines[:_LINES_OF_CHANGE], f"and {len(lines) - _LINES_OF_CHANGE} more")


def _read_user(cells: RowReader) -> User | None:
    """The user of a row; None if the row is bad."""
    tag = _read_tag(cells)
    unlimited = cells.boolean("unlimited") or False
    quota = _read_quota(cells, unlimited=unlimited)
    blocked = cells.boolean("blocked") or False
    expiry_date = _read_expiry_date(cells)
    if cells.is_bad:
        return None
    account = Account(cells.text("account") or tag)
    return User(tag, account, cells.text("name"), cells.text("surname"), quota, blocked, expiry_date)


def _read_tag(cells: RowReader) -> IdTag:
    tag = cells.text("id_tag")
    if not tag:
        cells.error("id_tag", "is blank")
    elif not tag.isprintable():
        cells.error("id_tag", f"{quoted(tag)} has a line break or another control character in it")
    if len(tag) > _LONGEST_TAG:
        cells.warn("id_tag", f"{quoted(tag)} has more than {_LONGEST_TAG} characters, no OCPP 1.6 card can match it")
    if _SPREADSHEET_NUMBER.fullmatch(tag):
        cells.warn(
            "id_tag",
            f"{quoted(tag)} looks like a number that a spreadsheet rewrote; format the column as text",
        )
    return IdTag(tag)


def _read_quota(cells: RowReader, *, unlimited: bool) -> Wh | None:
    text = cells.text("quota_kwh")
    if not text and unlimited:
        return None
    value = cells.number("quota_kwh")
    if value is None:
        return None
    if value > _MAX_QUOTA_KWH:
        cells.error("quota_kwh", f"{quoted(text)} is more than {_MAX_QUOTA_KWH}")
        return None
    if unlimited:
        return None
    quota = Wh(int((value * 1000).quantize(Decimal(1), ROUND_HALF_UP)))
    if _THOUSANDS.fullmatch(text):
        cells.warn("quota_kwh", f"{quoted(text)} was read as {_kwh(quota)} kWh; thousands are written without a mark")
    return quota


def _read_expiry_date(cells: RowReader) -> date | None:
    text = cells.text("expiry_date")
    if not text:
        return None
    try:
        if _ISO_DATE.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass  # 2025-02-30: reported as every other text is
    cells.error("expiry_date", f"{quoted(text)} is not a date written YYYY-MM-DD")
    return None


def _strictest(rows: list[_Row], problems: list[RowProblem]) -> _Row:
    """One row for a tag: of rows that differ, the strictest of every limit; the differing ones are reported."""
    first = rows[0]
    if all(row.user == first.user for row in rows):
        return first
    for row in rows:
        if row.user != first.user:
            tag = quoted(row.user.id_tag)
            text = f"{tag} is in row {first.line} too, with other values; the stricter ones apply"
            problems.append(RowProblem(row.line, "id_tag", text, "warning", FILE))
    users = [row.user for row in rows]
    strictest = replace(
        min(users, key=_leniency),
        blocked=any(user.blocked for user in users),
        quota=min((user.quota for user in users if user.quota is not None), default=None),
        expiry_date=min((user.expiry_date for user in users if user.expiry_date is not None), default=None),
    )
    return _Row(first.line, strictest)


def _leniency(user: User) -> tuple[bool, bool, int]:
    return (not user.blocked, user.quota is None, user.quota or 0)


def _report_tags_alike(rows: list[_Row], problems: list[RowProblem]) -> None:
    seen: dict[str, int] = {}
    for line, user in rows:
        other = seen.setdefault(user.id_tag.casefold(), line)
        if other != line:
            text = f"{quoted(user.id_tag)} differs only in case from row {other}; a card must match one exactly"
            problems.append(RowProblem(line, "id_tag", text, "warning", FILE))


def _share_quota(rows: list[_Row], problems: list[RowProblem]) -> Iterator[User]:
    """Give all rows of an account the smallest quota among them, and report those that ask for another."""
    smallest: dict[Account, _Row] = {}
    for row in rows:
        known = smallest.setdefault(row.user.account, row)
        if _size(row.user) < _size(known.user):
            smallest[row.user.account] = row
    for line, user in rows:
        ruling = smallest[user.account]
        if user.quota != ruling.user.quota:
            text = (
                f"{_limit(user.quota)} does not count: account {quoted(user.account)} has "
                f"{_limit(ruling.user.quota)} in row {ruling.line}"
            )
            problems.append(RowProblem(line, "quota_kwh", text, "warning", FILE))
        yield replace(user, quota=ruling.user.quota)


def _size(user: User) -> float:
    return float("inf") if user.quota is None else user.quota


def _counted(tags: list[IdTag], what: str) -> list[str]:
    if len(tags) <= 1:
        return [f"{tag} {what}" for tag in tags]
    left_out = f" and {len(tags) - _TAGS_IN_A_LINE} more" if len(tags) > _TAGS_IN_A_LINE else ""
    return [f"{len(tags)} users {what}: {', '.join(tags[:_TAGS_IN_A_LINE])}{left_out}"]


def _differences(old: User, new: User) -> Iterator[str]:
    tag = new.id_tag
    if old.blocked != new.blocked:
        yield f"{tag} {'blocked' if new.blocked else 'no longer blocked'}"
    if old.quota != new.quota:
        yield f"quota of {tag} {_quota_step(old, new)}"
    if old.expiry_date != new.expiry_date:
        yield f"{tag} now expires after {new.expiry_date}" if new.expiry_date else f"{tag} no longer expires"
    if old.account != new.account:
        yield f"{tag} moved from account {old.account} to {new.account}"
    if old.full_name != new.full_name:
        yield f"{tag} renamed from {old.full_name} to {new.full_name}"


def _quota_step(old: User, new: User) -> str:
    direction = "raised" if _size(new) > _size(old) else "lowered"
    before = _limit(old.quota) if old.quota is None or new.quota is None else _kwh(old.quota)
    return f"{direction} from {before} to {_limit(new.quota)}"


def _limit(quota: Wh | None) -> str:
    return "unlimited" if quota is None else f"{_kwh(quota)} kWh"


def _kwh(quota: Wh) -> str:
    return f"{quota // 1000}.{quota % 1000:03d}".rstrip("0").rstrip(".")
