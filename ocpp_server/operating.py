"""The commands `status`, `stop` and `command`: what only a running server can tell or do. They give an exit code."""

import argparse
import asyncio
import json
import sys
from typing import Any, TypeAlias
from urllib.parse import quote

import aiohttp

from ocpp_server.control_api.problems import Problem
from ocpp_server.event_log import printable
from ocpp_server.ledger_or_server import ERRORS, Request, ask_server
from ocpp_server.settings import Settings, variable_name
from ocpp_server.start import StartError
from ocpp_server.storage.errors import StorageError
from ocpp_server.storage.ledger_file import is_in_use
from ocpp_server.storage.ledger_reader import MOST_IN_A_PAGE, LedgerReader, Wanted
from ocpp_server.terminal import table

Json: TypeAlias = dict[str, Any]
_STATUS_FILE = "server_status.json"
_AGREED = frozenset({"Accepted", "AcceptedCanceled", "Scheduled", "RebootRequired", "Unlocked"})
"""What a charge point says when it does what it was asked for; all other words are a no of some kind."""
_CALL_ERROR = "CALLERROR"
_WAITING_TAKES_S = 30.0


def status(settings: Settings, arguments: argparse.Namespace) -> int:
    """Print how the site is; 0: it runs and is well, 1: it does not or is not, 2: there is no site."""
    try:
        found = asyncio.run(_status(settings))
    except (StartError, StorageError, OSError) as error:
        print(f"no status: {error}", file=sys.stderr)
        return 2
    if arguments.json:
        print(json.dumps(found, indent=2))
    else:
        _print_status(found)
    return 0 if found["health"] == "ok" else 1


def stop(settings: Settings, arguments: argparse.Namespace) -> int:
    """Have a session stopped; 0: it is ordered, 2: it is not."""
    number: int = arguments.transaction_id
    try:
        answer = asyncio.run(ask_server(settings, Request("POST", f"/api/v1/transactions/{number}/stop")))
    except ERRORS as error:
        print(f"not stopped: {error}", file=sys.stderr)
        return 2
    if arguments.json:
        print(json.dumps(answer, indent=2))
    else:
        print(f"the stop of session {number} is ordered; the server asks its charge point until it obeys")
    return 0


def command(settings: Settings, arguments: argparse.Namespace) -> int:
    """Send a call to a charge point and print its answer; 0: answered, 1: it says no or an error, 2: not possible."""
    try:
        payload = _payload(arguments.payload)
        path = f"/api/v1/charge-points/{quote(arguments.charge_point_id, safe='')}"
        path = f"{path}/commands/{quote(arguments.action, safe='')}"
        timeout_s = 2 * settings.call_timeout_s + _WAITING_TAKES_S  # it may have to wait for another call
        answer = asyncio.run(ask_server(settings, Request("POST", path, payload, timeout_s)))
    except ERRORS as error:
        print(f"no answer: {error}", file=sys.stderr)
        return 2
    if arguments.json:
        print(json.dumps(answer, indent=2))
    else:
        _print_answer(answer)
    told = answer.get("payload", {}).get("status")
    return 1 if answer.get("status") == _CALL_ERROR or (told is not None and told not in _AGREED) else 0


def _payload(text: str) -> Json:
    """Raises ValueError for what is no JSON object."""
    try:
        payload = json.loads(sys.stdin.read() if text == "-" else text)
    except ValueError as error:
        raise ValueError(f"the payload is no JSON: {error}") from error
    if not isinstance(payload, dict):
        raise ValueError('the payload must be a JSON object, such as {"type": "Soft"}')
    return payload


def _print_answer(answer: Json) -> None:
    if answer.get("status") == _CALL_ERROR:
        code, words = answer.get("error_code", ""), answer.get("error_description", "")
        print(f"{_CALL_ERROR} {printable(str(code))} {printable(str(words))}".rstrip())
        return
    if answer.get("fault"):
        print(f"the answer does not keep to OCPP 1.6: {printable(str(answer['fault']))}", file=sys.stderr)
    print(json.dumps(answer.get("payload"), indent=2))  # ASCII: nothing in it steers the terminal


async def _status(settings: Settings) -> Json:
    """From the server where it answers; from the ledger what it knows; the rest as last published."""
    ledger = settings.data_dir / "ledger.db"
    if not ledger.exists():
        raise StartError(f"there is no ledger {ledger}: set {variable_name('data_dir')} to the server's data folder")
    is_running = is_in_use(settings.data_dir / "ledger.lock")
    health, checks, trouble = await _health(settings) if is_running else ("not running", [], "")
    connected = await _connected(settings) if is_running and not trouble else []
    told = _published(settings)
    return {
        "running": is_running,
        "health": health,
        "checks": checks,
        "trouble": trouble or None,
        "version": told.get("version"),
        "started": told.get("started"),
        "site_name": told.get("site_name"),
        "month": told.get("month"),
        "sessions": await asyncio.to_thread(_open_sessions, settings),
        "connected": connected,
        "alerts": told.get("alerts", []),
        "last_publish": told.get("time"),
        "last_publish_error": told.get("last_publish_error"),
    }


async def _health(settings: Settings) -> tuple[str, list[Json], str]:
    """One word, the checks, and why there is no answer."""
    try:
        answer = await ask_server(settings, Request("GET", "/healthz", is_answer=(503,)))
    except (*ERRORS, Problem) as error:
        return "no answer", [], str(error)
    return str(answer.get("status")), list(answer.get("checks", [])), ""


async def _connected(settings: Settings) -> list[str]:
    try:
        answer = await ask_server(settings, Request("GET", "/api/v1/connections"))
    except (Problem, StartError, OSError, aiohttp.ClientError):
        return []
    return sorted(str(one["charge_point_id"]) for one in answer["connections"])


def _published(settings: Settings) -> Json:
    """server_status.json; empty if there is none."""
    try:
        found = json.loads((settings.data_dir / _STATUS_FILE).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _open_sessions(settings: Settings) -> list[Json]:
    """Raises LedgerError."""
    reader = LedgerReader(settings.data_dir / "ledger.db")
    return [
        {
            "transaction": number,
            "charger_id": one.charge_point_id,
            "connector": one.connector_id,
            "id_tag": one.id_tag,
            "name": one.full_name,
            "start": one.started_at.astimezone(settings.zone).isoformat(timespec="seconds"),
            "energy_wh": one.energy,
            "power_w": one.power_w,
            "stop": None if one.stop is None else one.stop.cause.value,
        }
        for number, one in reader.transactions(Wanted(limit=MOST_IN_A_PAGE), is_open=True)
    ]


def _print_status(found: Json) -> None:
    print(_sentence(found))
    for check in found["checks"]:
        if not check.get("ok"):
            print(f"  {printable(str(check.get('name')))}: {printable(str(check.get('detail')))}")
    print(f"files last published {found['last_publish'] or 'never'}{_because(found['last_publish_error'])}")
    if found["running"]:
        connected = [printable(one) for one in found["connected"]]
        print(f"{len(connected)} charge points connected{': ' if connected else ''}{', '.join(connected)}")
    sessions = found["sessions"]
    print(f"{len(sessions)} sessions")
    if sessions:
        header = ("SESSION", "CHARGER", "CONNECTOR", "TAG", "NAME", "BEGIN", "KWH", "KW", "STOP")
        rows = [[*one.values()] for one in sessions]
        print(table(header, [[*row[:6], row[6] / 1000, row[7] / 1000, row[8]] for row in rows]))
    alerts = found["alerts"]
    print(f"{len(alerts)} alerts")
    if alerts:
        names = ("severity", "since", "charger_id", "text")
        print(table([name.upper() for name in names], [[one.get(name) for name in names] for one in alerts]))


def _sentence(found: Json) -> str:
    if not found["running"]:
        return "no server runs on this data folder; what follows is as it was left"
    if found["trouble"]:
        return f"a server has this data folder and does not answer: {found['trouble']}"
    state = {"ok": "all is well"}.get(found["health"], "something is wrong")
    return f"evquota {found['version']} runs since {found['started']}: {state}"


def _because(error: str | None) -> str:
    return f" ({printable(error)})" if error else ""
