"""The bookkeeper's commands: verify the books, book a correction. They print, and give an exit code."""

import asyncio
import sys
from typing import Any

from ocpp_server.central_system import CentralSystem
from ocpp_server.control_api.adjustments import adjustment
from ocpp_server.control_api.problems import Problem
from ocpp_server.core.commands import Refused
from ocpp_server.ledger_or_server import ERRORS, Request, ask
from ocpp_server.settings import Settings
from ocpp_server.start import clock_of
from ocpp_server.storage.verify import verify


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

        async def book(central: CentralSystem) -> dict[str, Any]:
            reply = await central.handle(command)
            if isinstance(reply, Refused):
                raise Problem(409, reply.text)
            return {}

        asyncio.run(ask(settings, clock, Request("POST", "/api/v1/adjustments", body), book))
    except ERRORS as error:
        print(f"not booked: {error}", file=sys.stderr)
        return 2
    print(f"booked {command.wh / 1000:g} kWh for {command.id_tag}: {command.reason}")
    return 0
