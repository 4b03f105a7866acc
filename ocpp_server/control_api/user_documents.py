"""What is said of users over the control API, and what may be said to it."""

from datetime import date, datetime
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec

from ocpp_server.control_api.fields import ONE_LINE_NOT_BLANK, Filter, Line, LongLine
from ocpp_server.control_api.problems import Problem
from ocpp_server.core.energy import Wh
from ocpp_server.core.quota import allowance, is_expired, open_month, sessions_of
from ocpp_server.core.site import Site
from ocpp_server.core.users import User
from ocpp_server.storage.documents import kwh
from ocpp_server.storage.users_edit import quota_text

State: TypeAlias = Literal["allowed", "blocked", "expired", "used up"]
NewIdTag: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=20, pattern=ONE_LINE_NOT_BLANK)]
Quota: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=1_000_000_000)]
_WORDS: Final = {True: "TRUE", False: "FALSE"}


class UserDocument(msgspec.Struct, kw_only=True):
    """A user in force. Energy is of the month that is open; all cards of an account share one quota."""

    id_tag: str
    name: str
    surname: str
    unlimited: bool
    quota_kwh: float | None
    """Null: no limit."""
    account: str
    """The id tag itself where the file names none."""
    expiry_date: date | None
    """The last day the card works."""
    blocked: bool
    email: str
    note: str
    state: State
    month: str
    used_kwh: float
    """With this card."""
    account_used_kwh: float
    """With all cards of the account."""
    unreported_kwh: float
    """Flowed since the last reading, by the present power."""
    remaining_kwh: float | None
    sessions: int
    """Open ones of the account."""


class UserList(msgspec.Struct, kw_only=True):
    """By id tag. `next`: what to give as `after` for the next page; null: this is the last."""

    users: list[UserDocument]
    next: str | None


class UsersQuery(msgspec.Struct, kw_only=True):
    """A page begins after an id tag: those that come or go meanwhile shift no other page."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 100
    after: Filter = ""
    state: State | None = None
    account: Filter | None = None


class NewUser(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A row of users1.csv. `quota_kwh` is needed, except for who is unlimited."""

    id_tag: NewIdTag
    name: Line = ""
    surname: Line = ""
    quota_kwh: Quota | None = None
    unlimited: bool = False
    account: Line | None = None
    expiry_date: date | None = None
    blocked: bool = False
    email: Line = ""
    note: LongLine = ""


class UserChanges(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is left out stays; null empties the cell."""

    name: Line | msgspec.UnsetType = msgspec.UNSET
    surname: Line | msgspec.UnsetType = msgspec.UNSET
    quota_kwh: Quota | msgspec.UnsetType | None = msgspec.UNSET
    unlimited: bool | msgspec.UnsetType = msgspec.UNSET
    account: Line | msgspec.UnsetType | None = msgspec.UNSET
    expiry_date: date | msgspec.UnsetType | None = msgspec.UNSET
    blocked: bool | msgspec.UnsetType = msgspec.UNSET
    email: Line | msgspec.UnsetType = msgspec.UNSET
    note: LongLine | msgspec.UnsetType = msgspec.UNSET


class EditedUser(msgspec.Struct, kw_only=True):
    """The user as it is in force now, and what is odd about the row."""

    user: UserDocument
    remarks: list[str]


class RemovedUser(msgspec.Struct, kw_only=True):
    """Who is no user any more. What was used stays in the books."""

    id_tag: str
    remarks: list[str]


class UsersFileVersion(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Which content of users1.csv is meant, by its ETag."""

    etag: Filter


class UsersInForce(msgspec.Struct, kw_only=True):
    """What is in force now, what that changed, and what is wrong in the file."""

    users: int
    change: list[str]
    problems: list[str]


def user_document(site: Site, user: User, own: dict[str, str], now: datetime) -> UserDocument:
    """`own` is the user's row in the file, for what only the file knows."""
    left = allowance(site, user, now)
    month = open_month(site, now)
    return UserDocument(
        id_tag=user.id_tag,
        name=user.name,
        surname=user.surname,
        unlimited=user.quota is None,
        quota_kwh=None if user.quota is None else kwh(user.quota),
        account=user.account,
        expiry_date=user.expiry_date,
        blocked=user.blocked,
        email=own.get("email", ""),
        note=own.get("note", ""),
        state=_state(user, left.is_used_up, now, site),
        month=month,
        used_kwh=kwh(site.usage.get((month, user.id_tag), Wh(0))),
        account_used_kwh=kwh(left.used),
        unreported_kwh=kwh(left.unreported),
        remaining_kwh=None if left.remaining is None else kwh(left.remaining),
        sessions=len(sessions_of(site, user.account)),
    )


def cells_of(body: Any) -> dict[str, str]:
    """The cells that a struct or document speaks of, as text. Raises Problem 422 for text that is no cell."""
    cells = {}
    for column in ("id_tag", *UserChanges.__struct_fields__):
        value = body.get(column, msgspec.UNSET) if isinstance(body, dict) else getattr(body, column, msgspec.UNSET)
        if value is not msgspec.UNSET:
            cells[column] = _cell(column, value)
    return cells


def _cell(column: str, value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return _WORDS[value]
        case int() | float():
            return quota_text(value)
        case date():
            return value.isoformat()
    text = str(value).strip()
    if not text.isprintable():
        raise Problem(422, f"{column}: expected one line of characters that can be printed", field=column)
    return text


def _state(user: User, is_used_up: bool, now: datetime, site: Site) -> State:
    if user.blocked:
        return "blocked"
    if is_expired(user, now.astimezone(site.policy.zone).date()):
        return "expired"
    return "used up" if is_used_up else "allowed"
