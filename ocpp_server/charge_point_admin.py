"""The commands `chargers list | edit | approve | lock | forget | set-password`. They print, and give an exit code."""

import argparse
import asyncio
import getpass
import json
import logging
import sys
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote

from ocpp_server.authorization_key import check_strength
from ocpp_server.central_system import CentralSystem
from ocpp_server.clock import Clock
from ocpp_server.control_api.charge_point_routes import PATH, perform
from ocpp_server.control_api.charge_points import ChargePoints
from ocpp_server.control_api.problems import Problem
from ocpp_server.core.charge_point_id import check_id
from ocpp_server.core.commands import ReplaceChargers
from ocpp_server.core.users import ChargerRow
from ocpp_server.first_start import command
from ocpp_server.ledger_or_server import ERRORS, Request, ask
from ocpp_server.settings import Settings
from ocpp_server.start import clock_of
from ocpp_server.storage.chargers_csv import FILE
from ocpp_server.storage.chargers_file import ChargersFile
from ocpp_server.storage.csv_text import parse_decimal
from ocpp_server.storage.table_changes import Figures, editor_of
from ocpp_server.terminal import table

Json: TypeAlias = dict[str, Any]
_ASKER = "command line"
_SENDING_TAKES_S = 30.0
_DONE = {
    "edit": "has these settings",
    "approve": "is approved",
    "lock": "is locked",
    "forget": "is forgotten",
    "password": "",
}
_HEADER = ("ID", "ADMISSION", "CONNECTED", "PROFILE", "LEAST", "KEY", "ADDRESS", "VENDOR AND MODEL", "LAST SEEN")


def chargers(settings: Settings, arguments: argparse.Namespace) -> int:
    """Do one deed through the running server, or in the ledger while none runs; 0, or 2 with a sentence."""
    silence = logging.NullHandler()
    logging.getLogger().addHandler(silence)  # what is logged is for the server's log, not for the terminal
    try:
        clock = clock_of(settings)
        if arguments.deed == "list":
            _print_list(_list(settings, clock), is_json=arguments.json)
        else:
            _do(settings, clock, arguments)
    except Problem as problem:
        print(f"not done: {problem}", file=sys.stderr)
        if "password" in problem.members:
            print(f"password: {problem.members['password']}")
        return 2
    except ERRORS as error:
        print(f"not done: {error}", file=sys.stderr)
        return 2
    finally:
        logging.getLogger().removeHandler(silence)
    return 0


def _list(settings: Settings, clock: Clock) -> list[Json]:
    async def act(central: CentralSystem) -> Json:
        return await (await _charge_points(settings, clock, central)).all()

    return list(asyncio.run(ask(settings, clock, Request("GET", PATH), act))["charge_points"])


def _do(settings: Settings, clock: Clock, arguments: argparse.Namespace) -> None:
    charge_point_id: str = arguments.charge_point_id
    check_id(charge_point_id)
    deed = "password" if arguments.deed == "set-password" else arguments.deed
    body = _body(arguments)

    async def act(central: CentralSystem) -> Json:
        return await perform(await _charge_points(settings, clock, central), deed, charge_point_id, body, _ASKER)

    timeout_s = 2 * settings.call_timeout_s + _SENDING_TAKES_S  # a call may have to wait for another one
    path = f"{PATH}/{quote(charge_point_id, safe='')}"
    method, path = ("PATCH", path) if deed == "edit" else ("POST", f"{path}/{deed}")
    answer = asyncio.run(ask(settings, clock, Request(method, path, body, timeout_s), act))
    _print_answer(charge_point_id, deed, answer)


def _body(arguments: argparse.Namespace) -> Json:
    if arguments.deed == "edit":
        return _changes(arguments)
    if arguments.deed == "approve" and arguments.min_profile is not None:
        return {"min_profile": arguments.min_profile}
    if arguments.deed != "set-password":
        return {}
    if arguments.remove and arguments.send:
        raise ValueError("--remove and --send exclude each other")
    body: Json = {name: True for name in ("remove", "send") if getattr(arguments, name)}
    if arguments.stdin:
        body["password"] = _read_password()
    return body


def _changes(arguments: argparse.Namespace) -> Json:
    """The columns that were named; a blank one is emptied."""
    names = ("name", "brand", "energy_unit", "access", "note")
    body: Json = {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
    switches = {name: getattr(arguments, name) for name in ("ping", "configure")}
    body |= {name: word == "on" for name, word in switches.items() if word is not None}
    if arguments.max_kw is not None:
        power = parse_decimal(arguments.max_kw)
        if power is None and arguments.max_kw:
            raise ValueError(f"{arguments.max_kw} is no number of kW")
        body["max_kw"] = None if power is None else float(power)
    if not body:
        raise ValueError("say what changes, such as --name")
    return body


def _read_password() -> str:
    """From standard input, never from the arguments: those stand in the list of processes."""
    if sys.stdin.isatty():
        password = getpass.getpass("password of the charge point: ")
    else:
        password = sys.stdin.buffer.readline().decode("ascii", "replace").rstrip("\r\n")
    check_strength(password)
    return password


async def _charge_points(settings: Settings, clock: Clock, central: CentralSystem) -> ChargePoints:
    """The charge points in a ledger that no server has; chargers.csv counts as it is now."""

    async def replace(rows: tuple[ChargerRow, ...], by_hand: Figures) -> None:
        await central.handle(ReplaceChargers(clock.now(), rows, editor_of(path) if by_hand else "", by_hand))

    path = settings.data_dir / FILE
    chargers_file = ChargersFile(central.site.chargers, replace)
    content = await asyncio.to_thread(_content, path)
    if content:
        await chargers_file.accept(content)
    return ChargePoints(
        central, clock, path, chargers_file, is_connected=lambda _: False, change_configuration=_nobody_is_connected
    )


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""  # the last good table is in force


async def _nobody_is_connected(_charge_point_id: str, _key: str, _value: str) -> str:
    return "offline"


def _print_answer(charge_point_id: str, deed: str, answer: Json) -> None:
    if _DONE[deed]:
        print(f"{charge_point_id} {_DONE[deed]}")
    if "password" in answer:
        user = charge_point_id.rpartition("/")[2]
        print(f"password: {answer['password']}\nIt is not shown again. In the charge point's administration page:")
        print(f"  user name (if asked for): {user}\n  password or AuthorizationKey: the 40 signs above, as they stand")
    for remark in answer["remarks"]:
        print(f"- {remark}")


def _print_list(charge_points: list[Json], *, is_json: bool) -> None:
    if is_json:
        print(json.dumps(charge_points, indent=2))
        return
    if not charge_points:
        print("no charge point was here yet")
        return
    print(table(_HEADER, map(_row, charge_points)))
    waiting = [one["id"] for one in charge_points if one["admission"] == "pending"]
    if waiting:
        print(f"\n{len(waiting)} waiting for approval. To let one in:")
        print(f"  {command('chargers', 'approve', waiting[0])}")


def _row(one: Json) -> tuple[str, ...]:
    return (
        one["id"],
        one["admission"],
        "yes" if one["connected"] else "no",
        str(one["security_profile"]),
        str(one["min_security_profile"]),
        "yes" if one["has_key"] else "no",
        one["address"],
        f"{one['vendor']} {one['model']}".strip(),
        (one["last_seen"] or "never").replace("T", " "),
    )
