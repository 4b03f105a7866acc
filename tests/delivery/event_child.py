"""Run as a process of its own, to be killed: sessions one after the other through the central system and a ledger.

`python event_child.py LEDGER FIRST`: tells the number of each session once all its messages are answered. Each message
is sent twice. `story` is the same wherever it begins.
"""

import asyncio
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parent)]

from told_events import NOW, POLICY  # noqa: E402

from ocpp_server.central_system import CentralSystem  # noqa: E402
from ocpp_server.core import commands as cmd  # noqa: E402
from ocpp_server.core.energy import Wh  # noqa: E402
from ocpp_server.core.users import Account, IdTag, User, UserTable  # noqa: E402
from ocpp_server.storage.ledger import Ledger  # noqa: E402

_USER = User(IdTag("RFID001"), Account("RFID001"), "John", "Doe", Wh(2_000))
_LAST = 100_000


def preparations() -> Iterator[cmd.Command]:
    """The user with a quota of 2 kWh, and the charge point."""
    yield cmd.ReplaceUsers(NOW, UserTable({_USER.id_tag: _USER}))
    yield cmd.Connect("CP1", NOW)
    yield cmd.BootNotification("CP1", NOW)


def start(number: int) -> cmd.StartTransaction:
    """The begin of session `number`; each takes 6 minutes and 100 Wh."""
    begin = NOW + timedelta(minutes=10 * number)
    return cmd.StartTransaction("CP1", begin, 1, "RFID001", 100 * number, _stamp(begin))


def stop(number: int, transaction_id: int) -> cmd.StopTransaction:
    """Its end."""
    end = NOW + timedelta(minutes=10 * number + 6)
    return cmd.StopTransaction("CP1", end, transaction_id, 100 * number + 100, _stamp(end), "", "Local", ())


async def live(ledger: Path, first: int, last: int = _LAST) -> None:
    """From one session to another, both included."""
    store = Ledger(ledger, POLICY, NOW, reserve_bytes=0)
    store.open()
    central = CentralSystem(store, store.load())
    committing = asyncio.create_task(central.run())
    for command in preparations():
        await central.handle(command)
    for number in range(first, last + 1):
        for _ in range(2):
            reply = await central.handle(start(number))
        assert isinstance(reply, cmd.Started)
        for _ in range(2):
            await central.handle(stop(number, reply.transaction_id))
        print(number, flush=True)
    committing.cancel()
    await asyncio.wait([committing])
    store.close()


def _stamp(when: datetime) -> str:
    return when.isoformat().replace("+00:00", "Z")


if __name__ == "__main__":
    asyncio.run(live(Path(sys.argv[1]), int(sys.argv[2])))
