"""Users: who is there, and edits of users1.csv that take effect at once.

The file is its administrator's: an edit changes the cells that it is about and no other byte, and never goes over what
somebody else saves at that moment. The command line does the same here while no server runs.
"""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from ocpp_server.central_system import CentralSystem
from ocpp_server.clock import Clock
from ocpp_server.control_api.preconditions import check_match
from ocpp_server.control_api.problems import Problem
from ocpp_server.control_api.routing import Answer, Request, Route
from ocpp_server.control_api.user_documents import (
    EditedUser,
    NewUser,
    RemovedUser,
    UserChanges,
    UserDocument,
    UserList,
    UsersFileVersion,
    UsersInForce,
    UsersQuery,
    cells_of,
    user_document,
)
from ocpp_server.core.commands import RecordUserEdit
from ocpp_server.core.users import IdTag
from ocpp_server.storage.csv_text import MAX_BYTES
from ocpp_server.storage.table_changes import users_changes
from ocpp_server.storage.users_csv import FILE, UsersFileError
from ocpp_server.storage.users_edit import (
    BadUserError,
    Rows,
    etag_of,
    remarks_on,
    rows_of,
    says_the_same,
    spelling_of,
    with_users,
)
from ocpp_server.storage.users_file import UsersFile

PATH: Final = "/api/v1/users"
FILE_PATH: Final = "/api/v1/users-file"
_TAG: Final = "users"
_ETAG: Final = ("ETag",)
_TOLD: Final = ("quota_kwh", "unlimited", "blocked", "expiry_date")
"""Columns whose values stand in the audit; the others may name a person."""


class _Edit:
    """One edit of the file: looked over and made while nobody else may, in a thread."""

    def __init__(self, if_match: str, id_tag: str, make: Callable[[bytes, Rows, str | None], bytes | None]) -> None:
        self.before: Rows = {}
        self.content = b""
        """As it was, or as it is now."""
        self.id_tag = id_tag
        """As the file spells it."""
        self._if_match = if_match
        self._make = make

    def __call__(self, content: bytes) -> bytes | None:
        check_match(self._if_match, content, FILE)
        self.before = rows_of(content)
        spelling = spelling_of(self.id_tag, self.before)
        changed = self._make(content, self.before, spelling)
        self.id_tag = spelling or self.id_tag
        self.content = content if changed is None else changed
        return changed


class Users:
    """The routes of this resource."""

    def __init__(self, central: CentralSystem, clock: Clock, path: Path, users_file: UsersFile) -> None:
        self._central = central
        self._clock = clock
        self._path = path
        self._users_file = users_file

    def routes(self) -> list[Route]:
        """For `ControlApi`."""
        one = f"{PATH}/{{id_tag}}"
        edits = (409, 412)
        return [
            Route("GET", PATH, self.list_users, _TAG, "All users", gives=UserList, query=UsersQuery, headers=_ETAG),
            Route(
                "POST", PATH, self.create_user, _TAG, "Add a user", takes=NewUser, gives=EditedUser, status=201,
                problems=edits, headers=_ETAG,
            ),
            Route("GET", one, self.get_user, _TAG, "One user", gives=UserDocument, headers=_ETAG),
            Route(
                "PATCH", one, self.edit_user, _TAG, "Change a user", takes=UserChanges, gives=EditedUser,
                problems=edits, headers=_ETAG,
            ),
            Route(
                "DELETE", one, self.remove_user, _TAG, "Remove a user", gives=RemovedUser, problems=edits,
                headers=_ETAG,
            ),
            Route(
                "POST", FILE_PATH, self.load_users_file, _TAG, "Put users1.csv in force as it is now",
                takes=UsersFileVersion, gives=UsersInForce, problems=(409,),
            ),
        ]  # fmt: skip

    async def list_users(self, request: Request) -> Answer:
        """Those in force; the ETag is that of the file."""
        content = await asyncio.to_thread(self._content)
        rows, query = _rows(content), request.query
        found: list[UserDocument] = []
        for tag, user in sorted(self._central.site.users.users.items()):
            if tag <= query.after or query.account not in (None, user.account):
                continue
            document = user_document(self._central.site, user, rows.get(tag, {}), self._clock.now())
            if query.state in (None, document.state):
                found.append(document)
            if len(found) > query.limit:
                break
        page = found[: query.limit]
        following = page[-1].id_tag if len(found) > query.limit else None
        return Answer(UserList(users=page, next=following), {"ETag": etag_of(content)})

    async def get_user(self, request: Request) -> Answer:
        """404 also for a row that was never read without a mistake."""
        content = await asyncio.to_thread(self._content)
        return Answer(self._document(request.path["id_tag"], _rows(content)), {"ETag": etag_of(content)})

    async def create_user(self, request: Request) -> Answer:
        """201: the user is in force."""
        cells = cells_of(request.body)
        id_tag = cells["id_tag"]

        def add(content: bytes, _rows: Rows, spelling: str | None) -> bytes | None:
            if spelling is not None or any(tag.casefold() == id_tag.casefold() for tag in _rows):
                raise Problem(409, f"{spelling or id_tag} is in {FILE} already")
            return with_users(content, {id_tag: cells})

        edit = await self._edit(_Edit(request.if_match, id_tag, add))
        await self._record("user added", edit, request.by, {})
        return self._answer(edit)

    async def edit_user(self, request: Request) -> Answer:
        """200: it is in force. All rows of the id tag are changed."""
        cells = cells_of(request.body)

        def change(content: bytes, _rows: Rows, spelling: str | None) -> bytes | None:
            return with_users(content, {_known(spelling, request.path["id_tag"]): cells})

        edit = await self._edit(_Edit(request.if_match, request.path["id_tag"], change))
        row = edit.before[edit.id_tag]
        old = {column: row.get(column, "") for column in cells}
        changed = {c: (old[c], text) for c, text in cells.items() if not says_the_same(edit.id_tag, c, old[c], text)}
        if changed:
            await self._record("user changed", edit, request.by, changed)
        return self._answer(edit)

    async def remove_user(self, request: Request) -> Answer:
        """200: the row is gone, and the card charges no more."""

        def remove(content: bytes, _rows: Rows, spelling: str | None) -> bytes | None:
            return with_users(content, {}, {_known(spelling, request.path["id_tag"])})

        edit = await self._edit(_Edit(request.if_match, request.path["id_tag"], remove))
        await self._record("user removed", edit, request.by, {})
        running = sum(t.id_tag == edit.id_tag for t in self._central.site.open_transactions.values())
        remarks = [f"{running} of its sessions run and will be stopped"] if running else []
        return Answer(RemovedUser(id_tag=edit.id_tag, remarks=remarks), {"ETag": etag_of(edit.content)})

    async def load_users_file(self, request: Request) -> Answer:
        """What a person put there is in force without the wait that protects from half-made files."""
        before = self._central.site.users
        try:
            is_it = await self._users_file.load(self._path, lambda content: etag_of(content) == request.body.etag)
        except (UsersFileError, OSError) as error:
            raise _problem(error) from error
        if not is_it:
            raise Problem(409, f"{FILE} is another one by now")
        in_force = self._central.site.users
        figures = (("users", str(len(in_force.users))), *users_changes(before, in_force))
        await self._central.handle(RecordUserEdit(self._clock.now(), "users loaded", "", request.by, figures))
        change = list(self._users_file.last_change) if before != self._central.site.users else []
        problems = [str(problem) for problem in self._users_file.problems]
        return Answer(UsersInForce(users=len(self._central.site.users.users), change=change, problems=problems))

    async def _edit(self, edit: _Edit) -> _Edit:
        """Once it is in force. Raises Problem."""
        try:
            await self._users_file.edit(self._path, edit)
        except (UsersFileError, OSError) as error:
            raise _problem(error) from error
        return edit

    async def _record(self, text: str, edit: _Edit, by: str, changed: Mapping[str, tuple[str, str]]) -> None:
        figures = {"columns": ", ".join(changed)} if changed else {}
        figures |= {c: f"{old or 'blank'} to {new or 'blank'}" for c, (old, new) in changed.items() if c in _TOLD}
        await self._central.handle(RecordUserEdit(self._clock.now(), text, edit.id_tag, by, tuple(figures.items())))

    def _answer(self, edit: _Edit) -> Answer:
        document = self._document(edit.id_tag, _rows(edit.content))
        remarks = remarks_on(edit.content, edit.id_tag)
        return Answer(EditedUser(user=document, remarks=remarks), {"ETag": etag_of(edit.content)})

    def _document(self, id_tag: str, rows: Rows) -> UserDocument:
        users = self._central.site.users.users
        spelling = spelling_of(id_tag, users)
        if spelling is None:
            is_there = spelling_of(id_tag, rows) is not None
            raise Problem(404, f"the row of {id_tag} cannot be read" if is_there else f"there is no user {id_tag}")
        user = users[IdTag(spelling)]
        return user_document(self._central.site, user, rows.get(spelling, {}), self._clock.now())

    def _content(self) -> bytes:
        """Blank if there is no file to read: the last good table is in force."""
        try:
            with self._path.open("rb") as file:
                return file.read(MAX_BYTES + 1)
        except OSError:
            return b""


def _rows(content: bytes) -> Rows:
    try:
        return rows_of(content)
    except UsersFileError:
        return {}


def _known(spelling: str | None, id_tag: str) -> str:
    if spelling is None:
        raise Problem(404, f"there is no user {id_tag}")
    return spelling


def _problem(error: UsersFileError | OSError) -> Problem:
    if isinstance(error, BadUserError):
        return Problem(422, str(error), **({"field": error.column} if error.column else {}))
    if isinstance(error, OSError):
        return Problem(503, f"{FILE} cannot be written ({error.strerror}): nothing was changed")
    return Problem(409, str(error))
