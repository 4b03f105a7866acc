"""The commands `month show | undo | confirm`. They print, and give an exit code."""

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import msgspec

from ocpp_server.central_system import CentralSystem
from ocpp_server.control_api.months import CONFIRM, PATH, UNDO, Months, WantedConfirmation, WantedUndo
from ocpp_server.control_api.routing import Answer, unfit
from ocpp_server.control_api.routing import Request as ApiRequest
from ocpp_server.ledger_or_server import ERRORS, Request, ask
from ocpp_server.month_clock import MonthClock
from ocpp_server.settings import Settings
from ocpp_server.start import clock_of

Json: TypeAlias = dict[str, Any]
_ASKER = "command line"


def month(settings: Settings, arguments: argparse.Namespace) -> int:
    """Through the running server, or in the ledger while none runs; 0, 1 if `show` finds the clock suspect, or 2 with
    a sentence.
    """
    try:
        state = _DEEDS[arguments.deed](settings, arguments)
    except ERRORS as error:
        print(f"not done: {error}", file=sys.stderr)
        return 2
    if arguments.deed == "show" and arguments.json:
        print(json.dumps(state, indent=2))
    else:
        _print(state)
    return 1 if arguments.deed == "show" and state["suspect"] else 0


def _show(settings: Settings, _arguments: argparse.Namespace) -> Json:
    return _ask(settings, Request("GET", PATH), lambda months: months.get_month(ApiRequest()))


def _undo(settings: Settings, arguments: argparse.Namespace) -> Json:
    body = {"month": arguments.month, "back_to": arguments.to, "reason": arguments.reason, "by": arguments.by}
    request = ApiRequest(body=_fitting(body, WantedUndo), by=_ASKER)
    return _ask(settings, Request("POST", UNDO, body), lambda months: months.undo_month(request))


def _confirm(settings: Settings, arguments: argparse.Namespace) -> Json:
    body = {"month": arguments.month, "by": arguments.by}
    request = ApiRequest(body=_fitting(body, WantedConfirmation), by=_ASKER)
    return _ask(settings, Request("POST", CONFIRM, body), lambda months: months.confirm_month(request))


def _ask(settings: Settings, request: Request, deed: Callable[[Months], Awaitable[Answer]]) -> Json:
    clock = clock_of(settings)

    async def act(central: CentralSystem) -> Json:
        months = Months(central, clock, MonthClock(central, clock).look)
        return dict(msgspec.to_builtins((await deed(months)).body))

    return asyncio.run(ask(settings, clock, request, act))


def _fitting(body: Json, kind: Any) -> Any:
    """As the server would take it, told before anything is asked of it."""
    try:
        return msgspec.convert(body, kind)
    except msgspec.ValidationError as error:
        raise unfit(error) from error


def _print(state: Json) -> None:
    print(f"quotas count in {state['open_month'] or 'no month yet'}; the clock shows {state['clock_month']}")
    if state["suspect"]:
        print(f"the clock is suspect since {state['suspect_since']}: {state['suspect']}")


_DEEDS: dict[str, Callable[[Settings, argparse.Namespace], Json]] = {
    "show": _show,
    "undo": _undo,
    "confirm": _confirm,
}
