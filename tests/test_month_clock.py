"""`month_clock`: each month opens exactly once, whatever the clock does (rule 11; F17, F18)."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TypeAlias
from zoneinfo import ZoneInfo

import pytest
from turned_clock import TurnedClock

from ocpp_server.central_system import CentralSystem
from ocpp_server.core import changes as ch
from ocpp_server.core.commands import ConfirmMonth, Done, OpenMonth, UndoMonth
from ocpp_server.core.period import Month, month_start
from ocpp_server.core.site import Policy
from ocpp_server.month_clock import ALERT_ID, MonthClock
from ocpp_server.storage.memory_store import MemoryStore

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)


class Machine:
    """A machine whose server is started, runs and is down; its store outlives it."""

    def __init__(self, start: datetime, zone: str, before: str | None) -> None:
        self.clock = TurnedClock(start)
        had = () if before is None else (ch.PutOpenMonth(Month(before)),)
        self.store = MemoryStore(Policy(ZoneInfo(zone)), start, had)
        self.tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        self.central = CentralSystem(self.store, self.store.load())
        self.tasks = [asyncio.create_task(self.central.run())]
        self.month_clock = MonthClock(self.central, self.clock)
        await self.month_clock.open_at_start()
        self.tasks.append(asyncio.create_task(self.month_clock.run()))
        await self.clock.advance(0)

    async def stop(self) -> None:
        for task in self.tasks:
            task.cancel()
        for task in self.tasks:
            with suppress(asyncio.CancelledError):
                await task

    def opened(self) -> tuple[str, ...]:
        """The months in the order in which they were opened."""
        changes = (change for group in self.store.groups for change in group)
        return tuple(change.month for change in changes if isinstance(change, ch.PutOpenMonth))

    def is_suspect(self) -> bool:
        return ALERT_ID in self.central.site.alerts


Step: TypeAlias = Callable[[Machine], Awaitable[None]]


def run(span: timedelta) -> Step:
    """The server runs, its clock in order."""

    async def step(machine: Machine) -> None:
        await machine.clock.advance(span.total_seconds())

    return step


def jump(span: timedelta) -> Step:
    """Somebody sets the clock while the server runs; it has a minute to see it."""

    async def step(machine: Machine) -> None:
        machine.clock.jump(span)
        await machine.clock.advance(60)

    return step


def down(span: timedelta, *, clock_off: timedelta = timedelta(0)) -> Step:
    """The server is down for a while; `clock_off`: how wrong the clock is afterwards."""

    async def step(machine: Machine) -> None:
        await machine.stop()
        await machine.clock.advance(span.total_seconds())
        machine.clock.jump(clock_off)
        await machine.start()

    return step


def undo(month: str, to: str) -> Step:
    """A person takes the open month back, as the API does."""

    async def step(machine: Machine) -> None:
        command = UndoMonth(machine.clock.now(), Month(month), Month(to), "clock was wrong", "Ann")
        assert await machine.central.handle(command) == Done()
        await machine.month_clock.look()

    return step


def confirm(month: str) -> Step:
    """A person says that the clock is right."""

    async def step(machine: Machine) -> None:
        assert await machine.central.handle(ConfirmMonth(machine.clock.now(), Month(month), "Ann")) == Done()
        await machine.month_clock.look()

    return step


@dataclass(frozen=True)
class Case:
    """What happens from the first start (UTC) on, and which months were opened by the end."""

    name: str
    start: str
    steps: tuple[Step, ...] = ()
    opened: tuple[str, ...] = ()
    is_suspect: bool = False
    before: str | None = None
    zone: str = "Europe/Istanbul"


ISTANBUL, BERLIN, NEW_YORK, KOLKATA = "Europe/Istanbul", "Europe/Berlin", "America/New_York", "Asia/Kolkata"
NOVEMBER = Case("", "2026-11-20T10:00", before="2026-11")
EVE = Case("", "2026-11-30T20:30", before="2026-11")
"""Half an hour before December in Istanbul (UTC+3)."""

FIRST_STARTS = [
    Case("first start", "2026-11-20T10:00", opened=("2026-11",)),
    Case("first start, then an hour", "2026-11-20T10:00", (run(HOUR),), ("2026-11",)),
    Case("first start, local month is ahead of UTC", "2026-11-30T21:30", opened=("2026-12",)),
    Case("first start, local month is behind UTC", "2026-12-01T03:00", opened=("2026-11",), zone=NEW_YORK),
    Case("first start half an hour off, still November", "2026-11-30T18:29", opened=("2026-11",), zone=KOLKATA),
    Case("first start half an hour off, December", "2026-11-30T18:31", opened=("2026-12",), zone=KOLKATA),
    Case("first start in 1970 waits", "1970-01-01T00:00", is_suspect=True),
    Case("first start in 1970, clock comes", "1970-01-01T00:00", (jump(20777 * DAY),), ("2026-11",)),
    Case("first start in 1970, restart with a clock", "1970-01-01T00:00", (down(20777 * DAY),), ("2026-11",)),
]
ROLLS = [
    replace(EVE, name="midnight in Istanbul", steps=(run(HOUR),), opened=("2026-12",)),
    replace(EVE, name="a minute before midnight", steps=(run(29 * MINUTE),)),
    Case("new year", "2026-12-31T20:30", (run(HOUR),), ("2027-01",), before="2026-12"),
    Case("leap February", "2028-02-29T20:30", (run(HOUR),), ("2028-03",), before="2028-02"),
    Case("no leap day", "2027-02-28T20:30", (run(HOUR),), ("2027-03",), before="2027-02"),
    Case("Berlin, winter to spring", "2027-02-28T22:30", (run(HOUR),), ("2027-03",), before="2027-02", zone=BERLIN),
    Case("Berlin, summer time", "2027-03-31T21:30", (run(HOUR),), ("2027-04",), before="2027-03", zone=BERLIN),
    Case("Berlin, before winter time", "2026-09-30T21:30", (run(HOUR),), ("2026-10",), before="2026-09", zone=BERLIN),
    Case("Berlin, after winter time", "2026-10-31T22:30", (run(HOUR),), ("2026-11",), before="2026-10", zone=BERLIN),
    Case("Berlin, the hour that is left out", "2027-03-28T00:30", (run(2 * HOUR),), before="2027-03", zone=BERLIN),
    Case("Berlin, the hour that comes twice", "2026-10-25T00:30", (run(2 * HOUR),), before="2026-10", zone=BERLIN),
    Case("New York, winter", "2026-12-01T04:30", (run(HOUR),), ("2026-12",), before="2026-11", zone=NEW_YORK),
    Case("New York, summer", "2026-07-01T03:30", (run(HOUR),), ("2026-07",), before="2026-06", zone=NEW_YORK),
    Case("New York, 1 November", "2026-11-01T03:30", (run(4 * HOUR),), ("2026-11",), before="2026-10", zone=NEW_YORK),
    Case("Kolkata", "2026-11-30T18:00", (run(HOUR),), ("2026-12",), before="2026-11", zone=KOLKATA),
]
DOWNTIMES = [
    replace(NOVEMBER, name="restart in the month", steps=(down(HOUR), run(HOUR))),
    replace(NOVEMBER, name="many restarts", steps=(down(HOUR), down(HOUR), down(HOUR))),
    replace(EVE, name="down over the month end", steps=(down(HOUR), run(HOUR)), opened=("2026-12",)),
    replace(EVE, name="down for days over the month end", steps=(down(5 * DAY),), opened=("2026-12",)),
    replace(NOVEMBER, name="down for three months", steps=(down(92 * DAY),), opened=("2027-02",)),
    replace(NOVEMBER, name="down for 380 days", steps=(down(380 * DAY),), opened=("2027-12",)),
    replace(NOVEMBER, name="down for more than 400 days waits", steps=(down(400 * DAY), run(HOUR)), is_suspect=True),
    replace(EVE, name="restart right after the roll", steps=(run(HOUR), down(MINUTE), run(HOUR)), opened=("2026-12",)),
    replace(EVE, name="two months in a row", steps=(run(HOUR), down(31 * DAY)), opened=("2026-12", "2027-01")),
    replace(
        NOVEMBER,
        name="400 days by a wrong clock, set right and restarted",
        steps=(down(HOUR, clock_off=2000 * DAY), down(MINUTE, clock_off=-2000 * DAY)),
    ),
    replace(
        NOVEMBER,
        name="400 days by a wrong clock, set right while running",
        steps=(down(HOUR, clock_off=2000 * DAY), jump(-2000 * DAY), run(HOUR)),
    ),
    replace(
        EVE,
        name="400 days by a wrong clock, set right in the next month",
        steps=(down(HOUR, clock_off=2000 * DAY), jump(-2000 * DAY)),
        opened=("2026-12",),
    ),
]
JUMPS = [
    replace(NOVEMBER, name="back within the month", steps=(jump(-5 * DAY), run(HOUR))),
    replace(NOVEMBER, name="forward within the month", steps=(jump(5 * DAY), run(HOUR))),
    replace(NOVEMBER, name="back into the last month", steps=(jump(-25 * DAY), run(HOUR)), is_suspect=True),
    replace(NOVEMBER, name="back to 1970", steps=(jump(-20000 * DAY), run(HOUR)), is_suspect=True),
    replace(NOVEMBER, name="back, and set right", steps=(jump(-25 * DAY), jump(25 * DAY))),
    replace(NOVEMBER, name="forward over the month end waits", steps=(jump(15 * DAY), run(HOUR)), is_suspect=True),
    replace(NOVEMBER, name="forward over the month end, set right", steps=(jump(15 * DAY), run(HOUR), jump(-15 * DAY))),
    replace(
        NOVEMBER, name="forward, believed after a restart", steps=(jump(15 * DAY), down(MINUTE)), opened=("2026-12",)
    ),
    replace(NOVEMBER, name="forward by ten years", steps=(jump(3650 * DAY), run(HOUR)), is_suspect=True),
    replace(NOVEMBER, name="ten years, also after a restart", steps=(jump(3650 * DAY), down(HOUR)), is_suspect=True),
    replace(
        EVE,
        name="forward, set right after the true month end",
        steps=(jump(10 * DAY), run(HOUR), jump(-10 * DAY)),
        opened=("2026-12",),
    ),
    replace(
        EVE,
        name="back over the month end right after the roll, runs on",
        steps=(run(40 * MINUTE), jump(-30 * MINUTE), run(HOUR)),
        opened=("2026-12",),
    ),
    replace(
        EVE,
        name="back to the last month right after the roll",
        steps=(run(40 * MINUTE), jump(-5 * HOUR)),
        opened=("2026-12",),
        is_suspect=True,
    ),
    replace(EVE, name="a minute forward is in order", steps=(run(28 * MINUTE), jump(MINUTE)), opened=("2026-12",)),
    replace(EVE, name="five minutes over the end are not", steps=(run(28 * MINUTE), jump(5 * MINUTE)), is_suspect=True),
    replace(
        NOVEMBER,
        name="last month by a wrong clock at the start",
        steps=(down(HOUR, clock_off=-30 * DAY), run(HOUR)),
        is_suspect=True,
    ),
    replace(
        NOVEMBER,
        name="last month by a wrong clock at the start, then NTP",
        steps=(down(HOUR, clock_off=-30 * DAY), jump(30 * DAY)),
    ),
    replace(
        EVE,
        name="1970 at the start, then NTP in the next month",
        steps=(down(HOUR, clock_off=-20000 * DAY), jump(20000 * DAY)),
        opened=("2026-12",),
    ),
    replace(
        NOVEMBER,
        name="suspect in one run, in order in the next",
        steps=(jump(-25 * DAY), down(HOUR, clock_off=25 * DAY)),
    ),
]
AHEAD = (down(HOUR, clock_off=15 * DAY), jump(-15 * DAY), undo("2026-12", "2026-11"))
"""A start with a clock that is 15 days ahead opens December; it is set right, and a person takes that back."""
BY_PEOPLE = [
    replace(NOVEMBER, name="a wrong roll is taken back", steps=(*AHEAD, run(HOUR)), opened=("2026-12", "2026-11")),
    replace(
        NOVEMBER,
        name="taken back, and the clock is ahead again",
        steps=(*AHEAD, run(HOUR), jump(15 * DAY), run(HOUR)),
        opened=("2026-12", "2026-11"),
        is_suspect=True,
    ),
    replace(
        NOVEMBER,
        name="taken back, and the clock is where it was wrong before any look",
        steps=(*AHEAD, jump(15 * DAY), run(HOUR)),
        opened=("2026-12", "2026-11"),
        is_suspect=True,
    ),
    replace(
        NOVEMBER,
        name="taken back, restarted with a right clock",
        steps=(*AHEAD, down(HOUR), run(HOUR)),
        opened=("2026-12", "2026-11"),
    ),
    replace(
        NOVEMBER,
        name="taken back, then the month really begins",
        start="2026-11-30T18:00",
        steps=(*AHEAD, run(3 * HOUR)),
        opened=("2026-12", "2026-11", "2026-12"),
    ),
    replace(
        NOVEMBER,
        name="taken back after a restart",
        steps=(*AHEAD[:2], down(HOUR), undo("2026-12", "2026-11"), run(HOUR)),
        opened=("2026-12", "2026-11"),
    ),
    replace(NOVEMBER, name="forward, confirmed", steps=(jump(15 * DAY), confirm("2026-12")), opened=("2026-12",)),
    replace(
        NOVEMBER,
        name="confirmed by mistake, set right, taken back",
        steps=(jump(15 * DAY), confirm("2026-12"), jump(-15 * DAY), undo("2026-12", "2026-11"), run(HOUR)),
        opened=("2026-12", "2026-11"),
    ),
    replace(
        NOVEMBER,
        name="more than 400 days, confirmed",
        steps=(down(500 * DAY), confirm("2028-04"), run(HOUR)),
        opened=("2028-04",),
    ),
]
CASES = [*FIRST_STARTS, *ROLLS, *DOWNTIMES, *JUMPS, *BY_PEOPLE]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
async def test_the_month_opens_exactly_once(case: Case) -> None:
    """A gap across a stop is downtime; clocks that part are suspect; never back (rule 11)."""
    machine = Machine(datetime.fromisoformat(case.start).replace(tzinfo=UTC), case.zone, case.before)
    await machine.start()
    for step in case.steps:
        await step(machine)
    await machine.stop()

    assert machine.opened() == case.opened
    assert machine.central.site.open_month == (case.opened[-1] if case.opened else case.before)
    assert machine.is_suspect() == case.is_suspect


def test_there_are_more_scenarios_than_promised() -> None:
    """Forty of them at least (F17, F18)."""
    assert len({case.name for case in CASES}) == len(CASES) >= 40


MIDNIGHTS = [
    ("2026-12", ISTANBUL),
    ("2027-04", BERLIN),
    ("2026-11", BERLIN),
    ("2026-11", NEW_YORK),
    ("2027-01", KOLKATA),
]


@pytest.mark.parametrize(("month", "zone"), MIDNIGHTS, ids=[f"{month} {zone}" for month, zone in MIDNIGHTS])
async def test_the_month_opens_at_the_sites_midnight(month: str, zone: str) -> None:
    """Not a second before it, and at most one after."""
    midnight = month_start(Month(month), ZoneInfo(zone))
    machine = Machine(midnight - timedelta(seconds=75), zone, None)
    await machine.start()
    await machine.clock.advance(74)
    assert len(machine.opened()) == 1
    await machine.clock.advance(2)
    await machine.stop()

    assert machine.opened()[1:] == (month,)


async def test_the_alert_says_what_happened_and_what_to_do(caplog: pytest.LogCaptureFixture) -> None:
    """Told once while it lasts, with both times."""
    caplog.set_level(logging.INFO)
    machine = Machine(datetime(2026, 11, 20, 10, 0, tzinfo=UTC), ISTANBUL, "2026-11")
    await machine.start()
    await jump(15 * DAY)(machine)
    await run(HOUR)(machine)
    await machine.stop()

    text = machine.central.site.alerts[ALERT_ID].text
    assert text.startswith("no month is opened: the clock jumped from 2026-11-20 10:00 to 2026-12-05 10:00 UTC")
    assert "restart the server" in text
    assert len([record for record in caplog.records if "clock suspect" in record.getMessage()]) == 1


async def test_an_earlier_month_is_never_opened() -> None:
    """The core's own guard behind the clock's (OpenMonth never rolls back)."""
    machine = Machine(datetime(2026, 11, 20, 10, 0, tzinfo=UTC), ISTANBUL, "2026-11")
    await machine.start()
    for month in ("2026-10", "2026-11", "1970-01"):
        await machine.central.handle(OpenMonth(machine.clock.now(), Month(month)))
    await machine.stop()

    assert machine.central.site.open_month == "2026-11"
    assert machine.opened() == ()


@pytest.mark.parametrize(
    ("steps", "remedy"),
    [
        ((jump(15 * DAY),), "restart the server, or type month confirm 2026-12"),
        ((jump(-25 * DAY),), "if 2026-11 was opened by mistake, type month undo 2026-11 --to 2026-10"),
        ((down(HOUR, clock_off=-25 * DAY),), "if 2026-11 was opened by mistake, type month undo 2026-11 --to 2026-10"),
        ((down(500 * DAY),), "if that is right, type month confirm 2028-04"),
        ((jump(-20000 * DAY),), "the clock jumped from 2026-11-20 10:00 to 1972-02-17 10:00 UTC"),
    ],
)
async def test_the_alert_tells_the_way_out(steps: tuple[Step, ...], remedy: str) -> None:
    """What is to be typed if the clock is right; nothing for a time that cannot be."""
    machine = Machine(datetime(2026, 11, 20, 10, 0, tzinfo=UTC), ISTANBUL, "2026-11")
    await machine.start()
    for step in steps:
        await step(machine)
    await machine.stop()

    assert machine.central.site.alerts[ALERT_ID].text.endswith(remedy)


async def test_a_clock_that_jumps_right_after_an_undo_raises_the_alert_again() -> None:
    """The undo took the alert with it; nobody looked in between."""
    machine = Machine(datetime(2026, 11, 20, 10, 0, tzinfo=UTC), ISTANBUL, "2026-12")
    await machine.start()
    await machine.central.handle(UndoMonth(machine.clock.now(), Month("2026-12"), Month("2026-11"), "wrong", "Ann"))
    assert not machine.is_suspect()
    await jump(-60 * DAY)(machine)
    await machine.stop()

    assert machine.is_suspect()
