"""The bookkeeper's commands: verify the books, book a correction. They print, and give an exit code."""

import asyncio
import hashlib
import json
import sys
from typing import Any

import aiohttp

from ocpp_server.clock import Clock
from ocpp_server.control_api.application import adjustment
from ocpp_server.control_api.token import read_token
from ocpp_server.core.commands import Adjust
from ocpp_server.settings import Settings
from ocpp_server.start import StartError, bring_up_to_date, clock_of, open_ledger
from ocpp_server.storage.atomic_file import replace_file
from ocpp_server.storage.documents import energy_usage
from ocpp_server.storage.errors import LedgerInUseError, StorageError
from ocpp_server.storage.ledger import Ledger
from ocpp_server.storage.verify import verify

_TIMEOUT = aiohttp.ClientTimeout(total=10)


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
        try:
            ledger = open_ledger(settings, clock)
        except StartError as error:
            if not isinstance(error.__cause__, LedgerInUseError):
                raise
            asyncio.run(_post(settings, body))
        else:
            asyncio.run(_book(settings, clock, ledger, command))
    except (StartError, StorageError, ValueError, OSError, aiohttp.ClientError) as error:
        print(f"not booked: {error}", file=sys.stderr)
        return 2
    print(f"booked {command.wh / 1000:g} kWh for {command.id_tag}: {command.reason}")
    return 0


async def _post(settings: Settings, body: dict[str, str]) -> None:
    """Ask the running server. Raises ValueError with its answer if it refuses."""
    url = f"http://{settings.api_host}:{settings.api_port}/api/v1/adjustments"
    headers = {"Authorization": f"Bearer {read_token(settings.data_dir)}"}
    async with (
        aiohttp.ClientSession(timeout=_TIMEOUT, trust_env=False) as session,
        session.post(url, json=body, headers=headers) as answer,
    ):
        if answer.status != 201:
            problem: dict[str, Any] = json.loads(await answer.text())
            raise ValueError(f"the server answered {answer.status}: {problem.get('detail', '')}")


async def _book(settings: Settings, clock: Clock, ledger: Ledger, command: Adjust) -> None:
    """Book it as the server would, and publish the file that shows it."""
    try:
        central = await bring_up_to_date(ledger, settings.data_dir, clock)
        committing = asyncio.create_task(central.run())
        await central.handle(command)
        committing.cancel()
        content = energy_usage(central.site, central.site.open_month)
        replace_file(settings.data_dir / "energy_usage.json", content, is_synced=True)
        digests = {**ledger.content_hashes, "energy_usage.json": hashlib.sha256(content).hexdigest()}
        ledger.mark_clean(digests)
    finally:
        ledger.close()
