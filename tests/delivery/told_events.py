"""A ledger with events in it, for tests of what brings them to other systems."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from ocpp_server.core import changes as ch
from ocpp_server.core.energy import Wh
from ocpp_server.core.events import Event, EventType, QuotaUse, SessionFacts
from ocpp_server.core.period import Month
from ocpp_server.core.records import Alert, AuthorizationStatus, Connector, EndKind
from ocpp_server.core.site import Policy
from ocpp_server.core.users import Account, IdTag
from ocpp_server.storage.ledger import Ledger

NOW = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
POLICY = Policy(ZoneInfo("Europe/Istanbul"))
LANES = ("LIVOLTEK_01", "SCHNEIDER/EVlinkProAC", "")


def session(transaction_id: int = 7, event_type: EventType = EventType.SESSION_STOPPED) -> Event:
    """The end of a session of John Doe."""
    facts = SessionFacts(
        transaction_id,
        1,
        IdTag("RFID001"),
        "John Doe",
        AuthorizationStatus.ACCEPTED,
        NOW - timedelta(hours=1),
        Wh(85_500),
        Wh(88_200),
        Wh(2_700),
        ended_at=NOW,
        end_kind=EndKind.STOPPED,
        stop_reason="EVDisconnected",
    )
    return Event(event_type, NOW, "LIVOLTEK_01", "Garage", session=facts)


def quota(percent: int = 80) -> Event:
    """A threshold of an account."""
    event_type = EventType.QUOTA_REACHED if percent == 100 else EventType.QUOTA_WARNING
    use = QuotaUse(Account("flat 7"), "Jane Smith", Month("2026-11"), percent, Wh(150_000), Wh(1_500 * percent))
    return Event(event_type, NOW, quota=use)


def status(lane: str = "LIVOLTEK_01") -> Event:
    """A fault."""
    connector = Connector(2, "Faulted", "GroundFailure", "E42", NOW)
    return Event(EventType.CHARGER_FAULTED, NOW, lane, connector=connector)


def alert(text: str = "the nightly backup failed") -> Event:
    """An alert of the server."""
    return Event(EventType.ALERT_RAISED, NOW, alert=Alert("backup", "backup failed", text, NOW))


def mixed(count: int) -> list[Event]:
    """So many events of all lanes by turns; the time tells them apart."""
    made = []
    for number in range(count):
        lane = LANES[number % len(LANES)]
        event = status(lane) if lane else quota()
        made.append(
            Event(event.type, NOW + timedelta(seconds=number), lane, quota=event.quota, connector=event.connector)
        )
    return made


def commit(ledger: Ledger, events: Sequence[Event], first: int = 1) -> None:
    """Keep these events, numbered from `first` on, each group in a commit of its own."""
    changes = [ch.AddEvent(number, event) for number, event in enumerate(events, first)]

    async def keep() -> None:
        for begin in range(0, len(changes), 100):
            await ledger.commit(changes[begin : begin + 100])

    asyncio.run(keep())


@contextmanager
def ledger_with(folder: Path, events: Sequence[Event]) -> Iterator[Ledger]:
    """An open ledger that holds these events, numbered from 1 on."""
    ledger = Ledger(folder / "ledger.db", POLICY, NOW, reserve_bytes=0)
    ledger.open()
    try:
        commit(ledger, events)
        yield ledger
    finally:
        ledger.close()
