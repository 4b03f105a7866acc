"""Run as a process of its own, to be killed: commits one group after the other and tells which are acknowledged.

`python ledger_child.py LEDGER [LARGEST_FILE]`: each group is three bookings, their transaction and a reading. With a
largest file size (bytes) the disk fails once the ledger's log has grown so far.
"""

import asyncio
import resource
import sys
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ocpp_server.core import changes as ch
from ocpp_server.core.energy import Wh
from ocpp_server.core.period import Moment, Month
from ocpp_server.core.records import AuthorizationStatus, Booking, BookingKind, Reading, Transaction
from ocpp_server.core.register import Register
from ocpp_server.core.site import Policy
from ocpp_server.core.users import Account, IdTag
from ocpp_server.storage.errors import LedgerWriteError
from ocpp_server.storage.ledger import Ledger

NOW = datetime(2025, 11, 20, 10, 30, tzinfo=UTC)
POLICY = Policy(ZoneInfo("UTC"))
BOOKINGS = 3
TRANSACTION_ID = 30_000_000
_HOUR = datetime(2025, 11, 20, 10, tzinfo=UTC)
_MONTH = Month("2025-11")
_TAG = IdTag("RFID001")


def transaction(energy: int) -> Transaction:
    """The session with so many Wh booked."""
    moment = Moment(NOW, NOW, NOW)
    return Transaction(
        transaction_id=TRANSACTION_ID,
        charge_point_id="LIVOLTEK_01",
        connector_id=1,
        id_tag=_TAG,
        stated_id_tag="RFID001",
        account=Account("RFID001"),
        full_name="John Doe",
        status=AuthorizationStatus.ACCEPTED,
        start_stamp="2025-11-20T10:30:00Z",
        start_meter_text="0",
        is_start_clock_doubtful=False,
        started_at=NOW,
        received_at=NOW,
        register=Register(Wh(0), Wh(0), Wh(energy), moment, moment, is_sampled=True),
        is_on_quota=True,
        booked=((_MONTH, Wh(energy)),) if energy else (),
    )


def group(number: int) -> list[ch.Change]:
    """The changes of one message: 3 Wh, so that half a group would be seen."""
    ids = range((number - 1) * BOOKINGS + 1, number * BOOKINGS + 1)
    made: list[ch.Change] = [
        ch.AddBooking(
            Booking(
                booking_id,
                BookingKind.ENERGY,
                _HOUR,
                _MONTH,
                "2025-11-20",
                _TAG,
                Wh(1),
                NOW,
                "LIVOLTEK_01",
                TRANSACTION_ID,
            )
        )
        for booking_id in ids
    ]
    key = f"key {number}"
    made.append(ch.PutTransaction(transaction(number * BOOKINGS)))
    made.append(
        ch.AddReading(Reading(number, key, NOW, "LIVOLTEK_01", 1, TRANSACTION_ID, _TAG, "", 0, Wh(number), None))
    )
    return made


async def commit_for_ever(ledger: Ledger) -> None:
    """Tell each group's number once it is durable."""
    number = 0
    while True:
        number += 1
        await ledger.commit(group(number))
        print(number, flush=True)


async def commit_until_the_disk_fails(ledger: Ledger) -> None:
    """Tell each group's number, then what the failure says, then what one more try says."""
    try:
        await commit_for_ever(ledger)
    except LedgerWriteError as error:
        print(f"first: {error}")
    try:
        await ledger.commit(group(1))
    except LedgerWriteError as error:
        print(f"then: {error}")


def main() -> None:
    ledger = Ledger(Path(sys.argv[1]), POLICY, NOW, reserve_bytes=0)
    ledger.open()
    if len(sys.argv) == 2:
        asyncio.run(commit_for_ever(ledger))
    largest = int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
    asyncio.run(commit_until_the_disk_fails(ledger))
    ledger.close()


if __name__ == "__main__":
    main()
