"""A change of the books from the command line: through the server that runs, else in the ledger itself.

Both ways end in the same documents, and in the same Problem where something is not done.
"""

import asyncio
import hashlib
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

import aiohttp

from ocpp_server.central_system import CentralSystem, CommitError
from ocpp_server.clock import Clock
from ocpp_server.control_api.problems import Problem
from ocpp_server.control_api.token import read_token
from ocpp_server.core.site import Site
from ocpp_server.month_clock import MonthClock
from ocpp_server.settings import Settings, variable_name
from ocpp_server.start import StartError, bring_up_to_date, open_ledger
from ocpp_server.storage.atomic_file import replace_file
from ocpp_server.storage.documents import energy_usage
from ocpp_server.storage.errors import LedgerInUseError, StorageError
from ocpp_server.storage.imported_files import USAGE
from ocpp_server.storage.ledger import Ledger
from ocpp_server.storage.ledger_file import is_in_use
from ocpp_server.storage.view_files import put_away_reopened

Json: TypeAlias = dict[str, Any]
Act: TypeAlias = Callable[[CentralSystem], Awaitable[Json]]
"""What is to be done, on a central system of our own. Raises Problem where it is refused."""
ERRORS = (Problem, StartError, StorageError, CommitError, ValueError, OSError, aiohttp.ClientError)
"""All that `ask` raises; each says in one sentence why nothing was done."""
_TIMEOUT_S = 10.0
_PATIENCE_S = 5.0
_AGAIN_AFTER_S = 0.1
_ASKER = "command line"
_PROBLEM = frozenset({"type", "title", "status", "detail", "instance"})
"""What every problem document has (RFC 9457); the rest is about this one."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to ask of the server that runs: a path of its control API, already percent-encoded."""

    method: str
    path: str
    body: Json | None = None
    timeout_s: float = _TIMEOUT_S
    is_answer: tuple[int, ...] = ()
    """Statuses from 400 on that come with an answer, no problem."""


async def ask(settings: Settings, clock: Clock, request: Request, act: Act) -> Json:
    """Act in the ledger, or ask whoever has it; gives the answer. Who has it and does not listen may be starting, or
    be another command: both are over in a moment.
    """
    _check_folder(settings)
    give_up = time.monotonic() + _PATIENCE_S
    while True:
        try:
            ledger = open_ledger(settings, clock)
        except StartError as error:
            if not isinstance(error.__cause__, LedgerInUseError):
                raise
        else:
            return await _in_ledger(settings, clock, ledger, act)
        try:
            return await _from_server(settings, request)
        except (aiohttp.ClientConnectorError, FileNotFoundError) as error:
            if time.monotonic() > give_up:
                raise _not_answering(settings, error) from error
            await asyncio.sleep(_AGAIN_AFTER_S)


async def ask_server(settings: Settings, request: Request) -> Json:
    """Ask the running server for what only it can do. Raises StartError if none runs, else as `ask`."""
    _check_folder(settings)
    if not is_in_use(settings.data_dir / "ledger.lock"):
        raise StartError(f"no server runs on the data folder {settings.data_dir}: start it first")
    try:
        return await _from_server(settings, request)
    except (aiohttp.ClientConnectorError, FileNotFoundError) as error:
        raise _not_answering(settings, error) from error


def _not_answering(settings: Settings, error: OSError) -> StartError:
    host, port = variable_name("api_host"), variable_name("api_port")
    return StartError(
        f"a server has the folder {settings.data_dir} and does not answer ({error}): "
        f"use the {host} and {port} that it runs with"
    )


def _check_folder(settings: Settings) -> None:
    """Raises StartError where there are no books: a mistyped folder must not begin new ones."""
    ledger_path = settings.data_dir / "ledger.db"
    if not ledger_path.exists():
        name = variable_name("data_dir")
        raise StartError(f"there is no ledger {ledger_path}: start the server once, or set {name} to its data folder")


async def _from_server(settings: Settings, request: Request) -> Json:
    """The answer of the running server. Raises Problem if it refuses, OSError if none comes."""
    host = f"[{settings.api_host}]" if ":" in settings.api_host else settings.api_host
    url = f"http://{host}:{settings.api_port}{request.path}"
    headers = {"Authorization": f"Bearer {read_token(settings.data_dir)}", "X-Requested-By": _ASKER}
    timeout = aiohttp.ClientTimeout(total=request.timeout_s)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=False) as session,
            session.request(request.method, url, json=request.body, headers=headers) as answer,
        ):
            status = 200 if answer.status in request.is_answer else answer.status
            return _document(status, await answer.text())
    except TimeoutError as error:
        text = f"the server did not answer within {request.timeout_s:g} s; see whether it was done before trying again"
        raise TimeoutError(text) from error


def _document(status: int, text: str) -> Json:
    """The JSON object of an answer. Raises Problem for a refusal, and for what is no answer of ours."""
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise Problem(status, f"the server answered {status} and no JSON: is it evquota that listens there?")
    if status >= 400:
        members = {name: told for name, told in document.items() if isinstance(told, str) and name not in _PROBLEM}
        raise Problem(status, str(document.get("detail", "")) or f"the server answered {status}", **members)
    return document


async def _in_ledger(settings: Settings, clock: Clock, ledger: Ledger, act: Act) -> Json:
    """Act as the server would, in the month that it is now, and publish the files of usage."""
    refusal: Problem | None = None
    answer: Json = {}
    try:
        central = await bring_up_to_date(ledger, settings.data_dir, clock)
        committing = asyncio.create_task(central.run())
        await MonthClock(central, clock).open_at_start()
        try:
            answer = await act(central)
        except Problem as problem:
            refusal = problem  # an orderly end all the same: what a person edits after it counts
        committing.cancel()
        ledger.mark_clean({**ledger.content_hashes, **_publish_usage(settings.data_dir, central.site, clock.now())})
    finally:
        ledger.close()
    if refusal is not None:
        raise refusal
    return answer


def _publish_usage(data_dir: Path, site: Site, now: datetime) -> dict[str, str]:
    """Write the usage of the open month, and of those that were closed since; gives their digests."""
    opened = site.open_month
    if opened is not None:
        put_away_reopened(data_dir, opened, now)
    closed = sorted({month for month, _ in site.usage if opened is not None and month < opened})
    views = {USAGE: opened} | {f"archive/energy_usage-{month}.json": month for month in closed}
    digests: dict[str, str] = {}
    for name, month in views.items():
        content = energy_usage(site, month)
        replace_file(data_dir / name, content, is_synced=True)
        digests[name] = hashlib.sha256(content).hexdigest()
    return digests
