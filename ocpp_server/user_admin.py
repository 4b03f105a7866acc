"""The commands `users list | add | set-quota | block | unblock | remove | import | export`. They print, and give an
exit code: 0, or 2 with a sentence.

Through the running server, or in the ledger while none runs; users1.csv is edited in either case.
"""

import argparse
import asyncio
import json
import logging
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote, urlencode

import msgspec

from ocpp_server.central_system import CentralSystem
from ocpp_server.clock import Clock
from ocpp_server.control_api.problems import Problem
from ocpp_server.control_api.routing import Answer, unfit
from ocpp_server.control_api.routing import Request as ApiRequest
from ocpp_server.control_api.user_documents import NewUser, UserChanges, UsersFileVersion, UsersQuery, cells_of
from ocpp_server.control_api.users import FILE_PATH, PATH, Users
from ocpp_server.core.commands import ReplaceUsers
from ocpp_server.core.users import UserTable
from ocpp_server.ledger_or_server import ERRORS, Request, ask
from ocpp_server.settings import Settings
from ocpp_server.start import clock_of
from ocpp_server.storage.atomic_file import replace_file
from ocpp_server.storage.csv_text import MAX_BYTES, TableFileError, parse_decimal
from ocpp_server.storage.locked_edit import edit_file, locked
from ocpp_server.storage.table_changes import Figures, editor_of
from ocpp_server.storage.users_csv import FILE, UsersFileError
from ocpp_server.storage.users_edit import Import, etag_of, export_users, import_users
from ocpp_server.storage.users_file import UsersFile
from ocpp_server.terminal import table
from ocpp_server.users_watcher import TableWatcher

Json: TypeAlias = dict[str, Any]
Deed: TypeAlias = Callable[[Users], Awaitable[Answer]]
_ASKER = "command line"
_PAGE = 500
_EVERYBODY = 1_000_000
_SETTLE_S = 1.0
_TIMEOUT_S = 30.0
_MOST_LINES = 20
_HEADER = ("ID TAG", "NAME", "STATE", "QUOTA KWH", "USED", "LEFT", "ACCOUNT", "EXPIRES")


def users(settings: Settings, arguments: argparse.Namespace) -> int:
    """Do one deed; 0, or 2 with a sentence on standard error."""
    silence = logging.NullHandler()
    logging.getLogger().addHandler(silence)  # what is logged is for the server's log, not for the terminal
    try:
        _DEEDS[arguments.deed](settings, clock_of(settings), arguments)
    except (*ERRORS, TableFileError) as error:
        print(f"not done: {error}", file=sys.stderr)
        return 2
    finally:
        logging.getLogger().removeHandler(silence)
    return 0


def _list(settings: Settings, clock: Clock, arguments: argparse.Namespace) -> None:
    found = _everybody(settings, clock)
    if arguments.json:
        print(json.dumps(found, indent=2))
    elif found:
        print(table(_HEADER, map(_row, found)))
    else:
        print("there is no user yet")


def _add(settings: Settings, clock: Clock, arguments: argparse.Namespace) -> None:
    body: Json = {"id_tag": arguments.id_tag, "unlimited": arguments.unlimited}
    if arguments.quota is not None:
        body["quota_kwh"] = _kwh(arguments.quota)
    names = ("name", "surname", "account", "expiry_date", "email", "note")
    body |= {name: getattr(arguments, name) for name in names if getattr(arguments, name)}
    request = ApiRequest(body=_fitting(body, NewUser), by=_ASKER)
    answer = _ask(settings, clock, Request("POST", PATH, body, _TIMEOUT_S), lambda users: users.create_user(request))
    _print_edited(answer, "is a user now")


def _set_quota(settings: Settings, clock: Clock, arguments: argparse.Namespace) -> None:
    is_unlimited = arguments.kwh.casefold() == "unlimited"
    body: Json = {"unlimited": is_unlimited}
    if not is_unlimited:
        body["quota_kwh"] = _kwh(arguments.kwh)
    answer = _change(settings, clock, arguments.id_tag, body)
    quota = answer["user"]["quota_kwh"]
    _print_edited(answer, "has no limit" if quota is None else f"has a quota of {quota:g} kWh a month")


def _block(settings: Settings, clock: Clock, arguments: argparse.Namespace) -> None:
    is_blocked = arguments.deed == "block"
    answer = _change(settings, clock, arguments.id_tag, {"blocked": is_blocked})
    _print_edited(answer, "is blocked" if is_blocked else "is not blocked")


def _change(settings: Settings, clock: Clock, id_tag: str, body: Json) -> Json:
    request = ApiRequest(path={"id_tag": id_tag}, body=_fitting(body, UserChanges), by=_ASKER)
    asked = Request("PATCH", _path(id_tag), body, _TIMEOUT_S)
    return _ask(settings, clock, asked, lambda users: users.edit_user(request))


def _remove(settings: Settings, clock: Clock, arguments: argparse.Namespace) -> None:
    request = ApiRequest(path={"id_tag": arguments.id_tag}, by=_ASKER)
    asked = Request("DELETE", _path(arguments.id_tag), None, _TIMEOUT_S)
    answer = _ask(settings, clock, asked, lambda users: users.remove_user(request))
    print(f"{answer['id_tag']} is no user any more; what was used stays in the books")
    _print_remarks(answer["remarks"])


def _export(settings: Settings, clock: Clock, arguments: argparse.Namespace) -> None:
    rows = [cells_of(user) for user in _everybody(settings, clock)]
    for row in rows:
        row["account"] = "" if row["account"] == row["id_tag"] else row["account"]
    content = export_users(rows)
    if arguments.file == "-":
        sys.stdout.buffer.write(content)
        return
    path = Path(arguments.file)
    if path.exists():
        raise ValueError(f"{path} exists already: remove it, or name another file")
    replace_file(path, content, is_synced=True)
    print(f"{len(rows)} users are in {path}")


def _import(settings: Settings, clock: Clock, arguments: argparse.Namespace) -> None:
    """The file is written here, whatever its size, and the server is told to put it in force."""
    with Path(arguments.file).open("rb") as file:
        incoming = file.read(MAX_BYTES + 1)
    path = settings.data_dir / FILE
    if arguments.dry_run:
        plan = import_users(path.read_bytes() if path.exists() else b"", incoming, is_replacing=arguments.replace)
        _print_plan(plan, "would be ")
        return
    present = _everybody(settings, clock)  # also shows that there are books, and that their server answers
    plan, written = _written(path, incoming, arguments, has_rows=bool(present))
    _print_plan(plan, "")
    if written is not None:
        _put_in_force(settings, clock, etag_of(written))


def _written(
    path: Path, incoming: bytes, arguments: argparse.Namespace, *, has_rows: bool
) -> tuple[Import, bytes | None]:
    plans: list[Import] = []

    def edit(content: bytes) -> bytes | None:
        plans.append(import_users(content, incoming, is_replacing=arguments.replace))
        removed, before = len(plans[-1].removed), len(plans[-1].removed) + plans[-1].kept
        if removed * 2 > before and not arguments.force:
            raise UsersFileError(f"this would remove {removed} of {before} users: say --force if it is meant so")
        return plans[-1].content

    with locked(path):
        written = edit_file(path, edit, error=UsersFileError, has_rows=has_rows, settle_s=_SETTLE_S)
    return plans[-1], written


def _put_in_force(settings: Settings, clock: Clock, etag: str) -> None:
    request = ApiRequest(body=UsersFileVersion(etag=etag), by=_ASKER)
    asked = Request("POST", FILE_PATH, {"etag": etag}, _TIMEOUT_S)
    try:
        answer = _ask(settings, clock, asked, lambda users: users.load_users_file(request), is_read_first=False)
    except Problem as problem:
        if problem.status != 409:
            raise
        print(f"{FILE} is written, and was edited by somebody else right after: the server takes it up as it is")
        return
    print(f"{FILE} is written and in force: {answer['users']} users")
    _print_remarks(answer["problems"])


def _ask(settings: Settings, clock: Clock, request: Request, deed: Deed, *, is_read_first: bool = True) -> Json:
    async def act(central: CentralSystem) -> Json:
        users = await _users(settings, clock, central, is_read_first=is_read_first)
        return dict(msgspec.to_builtins((await deed(users)).body))

    return asyncio.run(ask(settings, clock, request, act))


async def _users(settings: Settings, clock: Clock, central: CentralSystem, *, is_read_first: bool) -> Users:
    """The users in a ledger that no server has; users1.csv counts as it is now."""

    async def replace(changed: UserTable, _change: tuple[str, ...], by_hand: Figures) -> None:
        await central.handle(ReplaceUsers(clock.now(), changed, editor_of(path) if by_hand else "", by_hand))

    path = settings.data_dir / FILE
    users_file = UsersFile(central.site.users, replace)
    if is_read_first:
        await TableWatcher(path, users_file.accept, settle_s=_SETTLE_S).load_once()
    return Users(central, clock, path, users_file)


def _everybody(settings: Settings, clock: Clock) -> list[Json]:
    found: list[Json] = []
    after: str | None = ""
    while after is not None:
        request = ApiRequest(query=UsersQuery(limit=_EVERYBODY, after=after))
        path = f"{PATH}?{urlencode({'limit': _PAGE, 'after': after})}"
        page = _ask(settings, clock, Request("GET", path), lambda users, of=request: users.list_users(of))  # type: ignore[misc]
        found += page["users"]
        after = page["next"]
    return found


def _fitting(body: Json, kind: Any) -> Any:
    """As the server would take it, told before anything is asked of it."""
    try:
        return msgspec.convert(body, kind)
    except msgspec.ValidationError as error:
        raise unfit(error) from error


def _kwh(text: str) -> float:
    value = parse_decimal(text)
    if value is None:
        raise ValueError(f"{text[:40]!r} is no number of kWh")
    return float(value)


def _path(id_tag: str) -> str:
    return f"{PATH}/{quote(id_tag, safe='')}"


def _print_edited(answer: Json, what: str) -> None:
    print(f"{answer['user']['id_tag']} {what}")
    _print_remarks(answer["remarks"])


def _print_remarks(remarks: list[str]) -> None:
    for remark in remarks:
        print(f"- {remark}")


def _print_plan(plan: Import, would: str) -> None:
    lines = [f"{tag} {would}added" for tag in plan.added]
    lines += [f"{tag} {would}changed: {', '.join(columns)}" for tag, columns in plan.changed.items()]
    lines += [f"{tag} {would}removed" for tag in plan.removed]
    for line in lines[:_MOST_LINES]:
        print(line)
    if len(lines) > _MOST_LINES:
        print(f"and {len(lines) - _MOST_LINES} more")
    _print_remarks([str(problem) for problem in plan.problems])
    if plan.ignored:
        _print_remarks([f"not imported, unknown: {', '.join(plan.ignored)}"])
    print(f"{len(plan.added)} {would}added, {len(plan.changed)} {would}changed, {len(plan.removed)} {would}removed")


def _row(user: Json) -> tuple[object, ...]:
    return (
        user["id_tag"],
        f"{user['name']} {user['surname']}".strip(),
        user["state"],
        "unlimited" if user["unlimited"] else user["quota_kwh"],
        user["account_used_kwh"],
        user["remaining_kwh"],
        "" if user["account"] == user["id_tag"] else user["account"],
        user["expiry_date"],
    )


_DEEDS: dict[str, Callable[[Settings, Clock, argparse.Namespace], None]] = {
    "list": _list,
    "add": _add,
    "set-quota": _set_quota,
    "block": _block,
    "unblock": _block,
    "remove": _remove,
    "import": _import,
    "export": _export,
}
