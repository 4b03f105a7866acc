"""`housekeeping`: memory keeps what the publisher and a start rely on, and no more."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from turned_clock import TurnedClock

from ocpp_server.central_system import CentralSystem
from ocpp_server.core.commands import (
    BootNotification,
    Connect,
    Disconnect,
    OpenMonth,
    StartTransaction,
    StopTransaction,
)
from ocpp_server.core.period import Month
from ocpp_server.core.records import Admission
from ocpp_server.core.site import Policy, kept_since
from ocpp_server.housekeeping import Housekeeping
from ocpp_server.storage.memory_store import MemoryStore

NOW = datetime(2026, 11, 20, 0, 30, tzinfo=UTC)
ZONE = ZoneInfo("UTC")


@pytest.fixture
async def central() -> AsyncIterator[CentralSystem]:
    store = MemoryStore(Policy(ZONE), NOW)
    central = CentralSystem(store, store.load())
    committing = asyncio.create_task(central.run())
    yield central
    committing.cancel()
    await asyncio.gather(committing, return_exceptions=True)


async def session_that_ended(central: CentralSystem, at: datetime) -> int:
    await central.handle(StartTransaction("CP1", at, 1, "RFID001", 0, at.isoformat()))
    number = max(central.site.transactions)
    await central.handle(StopTransaction("CP1", at, number, 100, at.isoformat(), reason="Local"))
    return number


def test_memory_goes_back_62_days() -> None:
    """To the second: stamps of the ledger have no fractions."""
    assert kept_since(NOW.replace(microsecond=300)) == datetime(2026, 9, 19, 0, 30, tzinfo=UTC)


async def test_it_lets_go_of_exactly_what_a_start_would_not_load(central: CentralSystem, tmp_path: Path) -> None:
    """Else the publisher would write a month's sessions anew of which memory knows only a part."""
    border = kept_since(NOW)
    await central.handle(OpenMonth(border, Month("2026-09")))
    await central.handle(Connect("CP1", border))
    await central.handle(BootNotification("CP1", border, "Vendor"))
    gone = await session_that_ended(central, border - timedelta(seconds=1))
    kept = await session_that_ended(central, border)
    await Housekeeping(central, tmp_path, TurnedClock(NOW), lambda _target: None).look()

    assert gone != kept
    assert list(central.site.transactions) == [kept]


async def test_one_that_nobody_approved_is_forgotten_after_a_day(central: CentralSystem, tmp_path: Path) -> None:
    """The loop sees to it, so the twenty places are free again (T5); approved ones stay, however long they are away."""
    clock = TurnedClock(NOW)
    for name, admission in (("OLD", Admission.APPROVED), ("NEW", Admission.PENDING)):
        await central.handle(Connect(name, NOW, "192.168.1.7", 0, admission))
        await central.handle(Disconnect(name, NOW))
    keeping = asyncio.create_task(Housekeeping(central, tmp_path, clock, lambda _target: None).run())

    await clock.asleep()
    assert set(central.site.charge_points) == {"OLD", "NEW"}
    clock.jump(timedelta(hours=24))
    await clock.advance(600)
    await clock.asleep()

    assert set(central.site.charge_points) == {"OLD"}
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
