"""The bookkeeper's commands: verify the books, book a correction. They print, and give an exit code."""

import asyncio
import hashlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp

from ocpp_server.clock import Clock
from ocpp_server.control_api.application import adjustment
from ocpp_server.control_api.token import read_token
from ocpp_server.core.commands import Adjust, Refused
from ocpp_server.core.site import Site
from ocpp_server.month_clock import MonthClock
from ocpp_server.settings import Settings, variable_name
from ocpp_server.start import StartError, bring_up_to_date, clock_of, open_ledger
from ocpp_server.storage.atomic_file import replace_file
from ocpp_server.storage.documents import energy_usage
from ocpp_server.storage.errors import LedgerInUseError, StorageError
from ocpp_server.storage.imported_files import USAGE
from ocpp_server.storage.ledger import Ledger
from ocpp_server.storage.verify import verify

_TIMEOUT = aiohttp.ClientTimeout(total=10)
_PATIENCE_S = 5.0
_AGAIN_AFTER_S = 0.1


def verify_books(settings: Settings) -> int:
    """Print every disagreement between bookings, totals and files; 0 if there is none, else 1."""
    problems = verify(settings.data_dir / "ledger.db", settings.data_dir)
    for problem in problems:
        print(problem)
    if not problems:
        print("the books add up: bookings, totals, transactions and files agree to the Wh")
    return 1 if problems else 0


def adjust(settings: Settings, id_tag: str, kwh: str, reason: str, by: str) -> int:
    """Book a correction through the running server, or in the ledger while none runs; 0, or 2 with a sentence."""
    body = {"id_tag": id_tag, "kwh": kwh, "reason": reason, "by": by}
    try:
        clock = clock_of(settings)
        command = adjustment(body, clock.now())
        _check_folder(settings)
        asyncio.run(_adjust(settings, clock, command, body))
    except (StartError, StorageError, ValueError, OSError, aiohttp.ClientError) as error:
        print(f"not booked: {error}", file=sys.stderr)
        return 2
    print(f"booked {command.wh / 1000:g} kWh for {command.id_tag}: {command.reason}")
    return 0


def _check_folder(settings: Settings) -> None:
    """Raises StartError where there are no books: a mistyped folder must not begin new ones."""
    ledger_path = settings.data_dir / "ledger.db"
    if not ledger_path.exists():
        name = variable_name("data_dir")
        raise StartError(f"there is no ledger {ledger_path}: start the server once, or set {name} to its data folder")


async def _adjust(settings: Settings, clock: Clock, command: Adjust, body: dict[str, str]) -> None:
    """In the ledger, or through whoever has it. Who has it and does not listen may be starting, or be another
    correction: both are over in a moment.
    """
    give_up = time.monotonic() + _PATIENCE_S
    while True:
        try:
            ledger = open_ledger(settings, clock)
        except StartError as error:
            if not isinstance(error.__cause__, LedgerInUseError):
                raise
        else:
            await _book(settings, clock, ledger, command)
            return
        try:
            await _post(settings, body)
        except (aiohttp.ClientConnectorError, FileNotFoundError) as error:
            if time.monotonic() > give_up:
                host, port = variable_name("api_host"), variable_name("api_port")
                raise StartError(
                    f"a server has the folder {settings.data_dir} and does not answer ({error}): "
                    f"use the {host} and {port} that it runs with"
                ) from error
            await asyncio.sleep(_AGAIN_AFTER_S)
        else:
            return


async def _post(settings: Settings, body: dict[str, str]) -> None:
    """Ask the running server. Raises ValueError with its answer if it refuses, OSError if none comes."""
    host = f"[{settings.api_host}]" if ":" in settings.api_host else settings.api_host
    url = f"http://{host}:{settings.api_port}/api/v1/adjustments"
    headers = {"Authorization": f"Bearer {read_token(settings.data_dir)}"}
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT, trust_env=False) as session,
            session.post(url, json=body, headers=headers) as answer,
        ):
            if answer.status != 201:
                problem: dict[str, Any] = json.loads(await answer.text())
                raise ValueError(f"the server answered {answer.status}: {problem.get('detail', '')}")
    except TimeoutError as error:
        text = f"the server did not answer within {_TIMEOUT.total:g} s; see whether it was booked before trying again"
        raise TimeoutError(text) from error


async def _book(settings: Settings, clock: Clock, ledger: Ledger, command: Adjust) -> None:
    """Book it as the server would, in the month that it is now, and publish the files that show it.

    Raises ValueError if it is refused.
    """
    try:
        central = await bring_up_to_date(ledger, settings.data_dir, clock)
        committing = asyncio.create_task(central.run())
        await MonthClock(central, clock).open_at_start()
        reply = await central.handle(command)
        committing.cancel()
        digests = {**ledger.content_hashes, **_publish_usage(settings.data_dir, central.site)}
        ledger.mark_clean(digests)
        if isinstance(reply, Refused):
            raise ValueError(reply.text)
    finally:
        ledger.close()


def _publish_usage(data_dir: Path, site: Site) -> dict[str, str]:
    """Write the usage of the open month, and of those that were closed since; gives their digests."""
    opened = site.open_month
    closed = sorted({month for month, _ in site.usage if opened is not None and month < opened})
    views = {USAGE: opened} | {f"archive/energy_usage-{month}.json": month for month in closed}
    digests: dict[str, str] = {}
    for name, month in views.items():
        content = energy_usage(site, month)
        replace_file(data_dir / name, content, is_synced=True)
        digests[name] = hashlib.sha256(content).hexdigest()
    return digests
