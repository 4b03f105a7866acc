"""The commands `set-aside list | show | accept | drop`. They print, and give an exit code.

What is looked at is read from the ledger beside whoever writes it; what is decided goes through the server that runs.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import msgspec

from ocpp_server.central_system import CentralSystem
from ocpp_server.control_api.explaining_words import clock_time
from ocpp_server.control_api.problems import Problem
from ocpp_server.control_api.routing import Answer, unfit
from ocpp_server.control_api.routing import Request as ApiRequest
from ocpp_server.control_api.set_aside_documents import SetAsideDocument, set_aside_document
from ocpp_server.control_api.set_aside_routes import PATH, SetAsideRoutes, WantedAcceptance, WantedDrop
from ocpp_server.core.set_aside import SetAsideState
from ocpp_server.event_log import printable
from ocpp_server.ledger_or_server import ERRORS, Request, ask
from ocpp_server.settings import Settings
from ocpp_server.start import StartError, clock_of
from ocpp_server.storage.errors import LedgerError
from ocpp_server.storage.ledger_reader import MOST_IN_A_PAGE, LedgerReader, Wanted
from ocpp_server.terminal import table

Json: TypeAlias = dict[str, Any]
_ASKER = "command line"
_ALL = "all"
_HEADER = ("NUMBER", "STATE", "KIND", "TIME", "CHARGER", "SESSION", "TAG", "KWH", "WHY")


def set_aside(settings: Settings, arguments: argparse.Namespace) -> int:
    """0, or 2 with a sentence where it is not possible."""
    try:
        found = _DEEDS[arguments.deed](settings, arguments)
    except (LedgerError, StartError, msgspec.MsgspecError, *ERRORS) as error:
        print(f"not done: {error}", file=sys.stderr)
        return 2
    if arguments.json:
        print(json.dumps(found, indent=2))  # ASCII: whatever a charge point sent can be printed
    elif arguments.deed == "list":
        _print_list(settings, found)
    else:
        _print_one(found)
    return 0


def _list(settings: Settings, arguments: argparse.Namespace) -> list[Json]:
    """All pages, newest first."""
    reader, before = _reader(settings), None
    state = None if arguments.state == _ALL else SetAsideState(arguments.state)
    found: list[Json] = []
    while True:
        wanted = Wanted(charge_point_id=arguments.charger, before=before, limit=MOST_IN_A_PAGE)
        page = reader.set_aside(wanted, state)
        found += [msgspec.to_builtins(set_aside_document(one)) for _, one in page]
        if len(page) < MOST_IN_A_PAGE:
            return found
        before = page[-1][0]


def _show(settings: Settings, arguments: argparse.Namespace) -> Json:
    page = _reader(settings).set_aside(Wanted(before=arguments.number + 1, limit=1))
    if not page or page[0][0] != arguments.number:
        raise Problem(404, f"there is no energy of number {arguments.number} that was set aside")
    return dict(msgspec.to_builtins(set_aside_document(page[0][1])))


def _accept(settings: Settings, arguments: argparse.Namespace) -> Json:
    body = {"reason": arguments.reason, "by": arguments.by}
    body |= {name: told for name, told in (("kwh", arguments.kwh), ("id_tag", arguments.tag)) if told is not None}
    request = _request(arguments, body, WantedAcceptance)
    return _ask(settings, arguments, body, lambda routes: routes.accept_set_aside(request))


def _drop(settings: Settings, arguments: argparse.Namespace) -> Json:
    body = {"reason": arguments.reason, "by": arguments.by}
    request = _request(arguments, body, WantedDrop)
    return _ask(settings, arguments, body, lambda routes: routes.drop_set_aside(request))


def _request(arguments: argparse.Namespace, body: Json, kind: Any) -> ApiRequest:
    """As the server would take it, told before anything is asked of it."""
    try:
        return ApiRequest({"number": str(arguments.number)}, msgspec.convert(body, kind), by=_ASKER)
    except msgspec.ValidationError as error:
        raise unfit(error) from error


def _ask(
    settings: Settings,
    arguments: argparse.Namespace,
    body: Json,
    deed: Callable[[SetAsideRoutes], Awaitable[Answer]],
) -> Json:
    clock = clock_of(settings)

    async def act(central: CentralSystem) -> Json:
        answered = await deed(SetAsideRoutes(_reader(settings), central, clock))
        return dict(json.loads(msgspec.json.encode(answered.body)))

    path = f"{PATH}/{arguments.number}/{arguments.deed}"
    return asyncio.run(ask(settings, clock, Request("POST", path, body), act))


def _reader(settings: Settings) -> LedgerReader:
    return LedgerReader(settings.data_dir / "ledger.db")


def _print_list(settings: Settings, found: list[Json]) -> None:
    rows = []
    for one in (msgspec.convert(each, SetAsideDocument) for each in found):
        wh = one.wh if one.booked_wh is None else one.booked_wh
        rows.append(
            [
                one.number,
                one.state.value,
                one.kind.value,
                clock_time(one.at, settings.zone),
                printable(one.charge_point_id),
                one.transaction_id,
                printable(one.id_tag),
                None if wh is None else wh / 1000,
                printable(one.reason),
            ]
        )
    print(table(_HEADER, rows) if rows else "nothing")


def _print_one(found: Json) -> None:
    for name, told in found.items():
        shown = " ".join(f"{key}={value}" for key, value in told.items()) if isinstance(told, dict) else told
        if shown not in (None, ""):
            print(f"{name}: {printable(str(shown))}")


_DEEDS: dict[str, Callable[[Settings, argparse.Namespace], Any]] = {
    "list": _list,
    "show": _show,
    "accept": _accept,
    "drop": _drop,
}
