"""`central_system`: decide, apply and join the group in one step; no reply before its commit (architecture, F1, F4)."""

import asyncio
import gc
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from turned_clock import LIMIT_S, let_others_run

from ocpp_server import central_system
from ocpp_server.central_system import CentralSystem, CommitError
from ocpp_server.core import changes as ch
from ocpp_server.core.commands import (
    Authorize,
    BootNotification,
    Command,
    Done,
    Heartbeat,
    OpenMonth,
    Reply,
    ResolveAlert,
    Started,
    StartTransaction,
)
from ocpp_server.core.period import Month
from ocpp_server.core.site import Policy, Site
from ocpp_server.storage.memory_store import MemoryStore

AT = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
POLICY = Policy(ZoneInfo("Europe/Istanbul"))
NOTHING = ResolveAlert(AT, "no such alert")
"""A command whose decision brings no change."""
START = StartTransaction("CP1", AT, 1, "RFID001", 1000, "2026-11-20T10:00:00Z")


def heartbeat(number: int) -> Heartbeat:
    return Heartbeat(f"CP{number}", AT)


def seen(group: Sequence[ch.Change]) -> list[str]:
    return [change.charge_point_id for change in group if isinstance(change, ch.PutSeen)]


class Running:
    """A central system whose commits the test holds and lets go."""

    def __init__(self) -> None:
        self.store = MemoryStore(POLICY, AT)
        self.store.gate = asyncio.Event()
        self.central = CentralSystem(self.store, self.store.load())
        self.run = asyncio.create_task(self.central.run())
        self.asked: list[asyncio.Task[Reply]] = []

    async def ask(self, *commands: Command) -> list[asyncio.Task[Reply]]:
        """Hand each to `handle` in a task of its own, and let them get as far as they can."""
        tasks = [asyncio.create_task(self.central.handle(command)) for command in commands]
        self.asked += tasks
        await let_others_run()
        return tasks

    async def let_one_commit_end(self) -> None:
        await let_others_run()
        assert self.store.gate is not None
        before, self.store.gate = self.store.gate, asyncio.Event()
        before.set()
        await let_others_run()

    async def fail(self, failure: Exception) -> None:
        self.store.failure = failure
        await self.let_one_commit_end()


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    running = Running()
    yield running
    assert running.store.gate is not None
    running.store.gate.set()
    for task in (running.run, *running.asked):
        task.cancel()
    await asyncio.gather(running.run, *running.asked, return_exceptions=True)


@asynccontextmanager
async def free_running() -> AsyncIterator[tuple[CentralSystem, MemoryStore]]:
    store = MemoryStore(POLICY, AT)
    central = CentralSystem(store, store.load())
    run = asyncio.create_task(central.run())
    yield central, store
    run.cancel()
    await asyncio.wait([run])


async def answer(task: asyncio.Task[Reply]) -> Reply:
    async with asyncio.timeout(LIMIT_S):
        return await task


async def test_a_reply_leaves_only_after_its_commit(running: Running) -> None:
    """Commit makes the changes durable before the charge point gets its reply."""
    (asked,) = await running.ask(heartbeat(1))
    assert not asked.done()
    assert running.central.site.last_seen == {"CP1": AT}

    await running.let_one_commit_end()

    assert await answer(asked) == Done()
    assert seen(running.store.groups[0]) == ["CP1"]


async def test_what_arrives_during_a_commit_goes_into_the_next_as_one_group(running: Running) -> None:
    """Group commit: one transaction for everything that arrived meanwhile."""
    first, *others = await running.ask(*(heartbeat(number) for number in range(6)))
    late = await running.ask(heartbeat(6))
    await running.let_one_commit_end()
    assert not first.done() or len(running.store.groups) == 1

    await running.let_one_commit_end()

    assert [await answer(task) for task in (first, *others, *late)] == [Done()] * 7
    assert sorted(seen([change for group in running.store.groups for change in group])) == [f"CP{n}" for n in range(7)]
    assert len(running.store.groups) == 2


async def test_a_group_keeps_the_order_in_which_it_was_decided(running: Running) -> None:
    """What is put later must win, also on disk."""
    await running.ask(heartbeat(0))
    await running.ask(*(Heartbeat("CP1", AT + timedelta(seconds=second)) for second in range(3)))
    await running.let_one_commit_end()
    await running.let_one_commit_end()

    stamps = [change.last_seen for change in running.store.groups[-1] if isinstance(change, ch.PutSeen)]
    assert stamps == sorted(stamps)
    assert running.store.load().last_seen["CP1"] == AT + timedelta(seconds=2)


async def test_a_reply_without_a_change_waits_for_what_was_applied_before_it(running: Running) -> None:
    """A retried Start decided while the first is being committed must not overtake it (OCPP 1.6 §3.7.1)."""
    (first,) = await running.ask(START)
    retry, nothing = await running.ask(replace(START, at=AT + timedelta(seconds=1)), NOTHING)
    assert not first.done()
    assert not retry.done()
    assert not nothing.done()

    await running.let_one_commit_end()
    await running.let_one_commit_end()

    replies = await answer(first), await answer(retry)
    assert all(isinstance(reply, Started) for reply in replies)
    assert replies[0] == replies[1]
    assert await answer(nothing) == Done()


async def test_a_reply_without_a_change_does_not_wait_for_what_comes_after_it(running: Running) -> None:
    """It rests only on what was applied before it was decided."""
    (first,) = await running.ask(heartbeat(1))
    (nothing,) = await running.ask(NOTHING)
    (later,) = await running.ask(heartbeat(2))
    await running.let_one_commit_end()

    assert await answer(first) == await answer(nothing) == Done()
    assert not later.done()


async def test_a_reply_without_a_change_needs_no_commit_when_all_is_durable() -> None:
    """Nothing to wait for."""
    async with free_running() as (central, store):
        await central.handle(heartbeat(1))

        assert await central.handle(NOTHING) == Done()
        assert len(store.groups) == 1


async def test_a_failed_commit_fails_every_waiter_and_every_later_message(running: Running) -> None:
    """What is in memory is ahead of the disk: nothing is answered any more (F4)."""
    in_commit = await running.ask(heartbeat(1))
    in_queue = await running.ask(heartbeat(2), NOTHING)
    await running.fail(OSError(28, "No space left on device"))

    for task in (*in_commit, *in_queue):
        with pytest.raises(CommitError, match="No space left"):
            await answer(task)
    for command in (heartbeat(3), NOTHING):
        with pytest.raises(CommitError, match="No space left"):
            await running.central.handle(command)
    with pytest.raises(CommitError):
        await running.central.until_durable(0)
    assert running.store.groups == []


async def test_a_failed_commit_ends_the_writer_with_what_the_store_raised(running: Running) -> None:
    """The process ends; supervisord starts it again from what is on disk."""
    await running.ask(heartbeat(1))
    await running.fail(OSError(5, "Input/output error"))

    with pytest.raises(OSError, match="Input/output"):
        await running.run


async def test_a_commit_error_names_its_cause(running: Running) -> None:
    """The log of a later message says what went wrong, too."""
    (asked,) = await running.ask(heartbeat(1))
    failure = OSError(5, "Input/output error")
    await running.fail(failure)

    with pytest.raises(CommitError) as waited:
        await answer(asked)
    with pytest.raises(CommitError) as refused:
        await running.central.handle(heartbeat(2))
    assert waited.value.__cause__ is refused.value.__cause__ is failure


async def test_nothing_is_applied_after_a_failed_commit(running: Running) -> None:
    """A later message must not alter the state that is ahead already."""
    await running.ask(heartbeat(1))
    await running.fail(OSError(5, "Input/output error"))
    (late,) = await running.ask(heartbeat(2))

    assert isinstance(late.exception(), CommitError)
    assert "CP2" not in running.central.site.last_seen


async def test_a_waiter_that_goes_away_harms_nobody(running: Running) -> None:
    """A charge point that hangs up while its message is committed: the message counts, the others get theirs."""
    gone, stays = await running.ask(heartbeat(1), heartbeat(2))
    gone.cancel()
    await let_others_run()
    await running.let_one_commit_end()
    await running.let_one_commit_end()

    assert gone.cancelled()
    assert await answer(stays) == Done()
    assert set(running.store.load().last_seen) == {"CP1", "CP2"}


async def test_a_waiter_that_has_gone_is_no_error_when_the_commit_fails(running: Running) -> None:
    """Also with the loop's complaints on: nothing is left unretrieved."""
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context))
    gone, stays = await running.ask(heartbeat(1), heartbeat(2))
    gone.cancel()
    await running.fail(OSError(5, "Input/output error"))

    assert isinstance(stays.exception(), CommitError)
    del gone, stays
    running.asked.clear()
    gc.collect()
    await let_others_run()
    assert complaints == []


async def test_flush_commits_what_is_left_when_the_writer_has_ended(running: Running) -> None:
    """The end of a server: what was applied is on disk before the views are written."""
    running.run.cancel()
    await asyncio.wait([running.run])
    (asked,) = await running.ask(heartbeat(1))
    flushing = asyncio.create_task(running.central.flush())
    await running.let_one_commit_end()
    await flushing

    assert await answer(asked) == Done()
    assert set(running.store.load().last_seen) == {"CP1"}
    await running.central.flush()
    assert len(running.store.groups) == 1


async def test_flush_fails_after_a_failed_commit(running: Running) -> None:
    """What cannot be written must not be taken for written."""
    await running.ask(heartbeat(1))
    await running.fail(OSError(5, "Input/output error"))

    with pytest.raises(CommitError):
        await running.central.flush()


async def test_a_writer_that_is_ended_in_the_middle_of_a_commit_lets_it_end(running: Running) -> None:
    """The disk cannot be called back: SIGTERM during a commit loses and fails nothing (F1)."""
    (asked,) = await running.ask(heartbeat(1))
    (later,) = await running.ask(heartbeat(2))
    running.run.cancel()
    await let_others_run()
    assert not running.run.done()
    await running.let_one_commit_end()

    assert running.run.cancelled()
    assert await answer(asked) == Done()
    assert not later.done()
    assert running.store.gate is not None
    running.store.gate.set()
    await running.central.flush()
    assert await answer(later) == Done()
    assert set(running.store.load().last_seen) == {"CP1", "CP2"}


async def test_a_commit_that_fails_while_the_writer_is_being_ended_is_told(running: Running) -> None:
    """A cancel must not hide it."""
    (asked,) = await running.ask(heartbeat(1))
    running.run.cancel()
    await let_others_run()
    await running.fail(OSError(5, "Input/output error"))

    assert isinstance(asked.exception(), CommitError)
    assert isinstance(running.run.exception(), OSError)


async def test_a_decision_that_cannot_be_carried_out_ends_the_server(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a decision is in memory: the writer ends, so that the process does, and nothing follows."""
    real_apply = central_system.apply

    def apply(site: Site, change: ch.Change) -> None:
        if isinstance(change, ch.PutOpenMonth):
            raise ZeroDivisionError("a bug of ours")
        real_apply(site, change)

    monkeypatch.setattr(central_system, "apply", apply)
    (before,) = await running.ask(heartbeat(1))
    (broken,) = await running.ask(OpenMonth(AT, Month("2026-11")))
    assert running.store.gate is not None
    running.store.gate.set()
    await let_others_run()

    assert isinstance(broken.exception(), ZeroDivisionError)
    assert isinstance(before.exception(), CommitError)
    assert isinstance(running.run.exception(), CommitError)
    with pytest.raises(CommitError, match="a bug of ours"):
        await running.central.handle(NOTHING)


async def test_deciding_and_applying_are_one_step(running: Running) -> None:
    """Two starts at the same moment never get the same id, whatever else waits."""
    starts = [replace(START, charge_point_id=f"CP{n}", connector_id=n) for n in range(1, 51)]
    tasks = await running.ask(*starts)
    await running.let_one_commit_end()
    await running.let_one_commit_end()

    numbers = [reply.transaction_id for reply in [await answer(task) for task in tasks] if isinstance(reply, Started)]
    assert len(numbers) == len(set(numbers)) == 50


async def test_a_command_that_cannot_be_decided_changes_nothing(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception of a rule is one message's trouble, not the server's."""

    def decide(_site: Site, _command: Command) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as broken:
        broken.setattr(central_system, "decide", decide)
        with pytest.raises(ZeroDivisionError):
            await running.central.handle(heartbeat(1))
    (asked,) = await running.ask(heartbeat(2))
    await running.let_one_commit_end()

    assert await answer(asked) == Done()


async def test_a_loop_that_subscribed_is_woken_by_changes_only(running: Running) -> None:
    """Level-triggered: it clears the event and looks at the state."""
    event = running.central.subscribe()
    await running.ask(NOTHING)
    assert not event.is_set()
    await running.ask(heartbeat(1))

    assert event.is_set()


async def test_a_listener_hears_each_decision_as_soon_as_it_is_applied(running: Running) -> None:
    """Before it is durable: the publisher needs to know what its next view must wait for."""
    heard: list[Sequence[ch.Change]] = []
    running.central.listen(heard.append)
    await running.ask(BootNotification("CP1", AT, "Vendor"), Authorize("CP1", AT, "RFID001"))

    assert len(heard) == 2
    assert any(isinstance(change, ch.PutChargePoint) for change in heard[0])
    assert (running.central.applied, running.central.durable) == (2, 0)
