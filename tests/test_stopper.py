"""`stopper`: asks again until it is obeyed, survives restarts, never inside a handler (rules 18, 25 and 26; F21)."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from turned_clock import LIMIT_S, TurnedClock, let_others_run

from ocpp_server.central_system import CentralSystem, CommitError
from ocpp_server.core.commands import (
    BootNotification,
    Connect,
    Disconnect,
    MeterValues,
    OpenMonth,
    ReplaceUsers,
    RequestStop,
    Started,
    StartTransaction,
    StatusNotification,
    StopTransaction,
)
from ocpp_server.core.energy import Wh
from ocpp_server.core.meter import MeterValue, SampledValue
from ocpp_server.core.period import Month
from ocpp_server.core.records import EndKind, StopCause, Transaction
from ocpp_server.core.site import Policy
from ocpp_server.core.users import Account, IdTag, User, UserTable
from ocpp_server.stopper import Escalation, Stopper
from ocpp_server.storage.memory_store import MemoryStore

T0 = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
POLICY = Policy(ZoneInfo("Europe/Istanbul"))
KW11_PER_MINUTE = 183


def users(quota: int | None = 100_000, *tags: str) -> UserTable:
    names = tags or ("RFID001",)
    return UserTable(
        {IdTag(t): User(IdTag(t), Account(t), "John", "Doe", None if quota is None else Wh(quota)) for t in names}
    )


class ChargePoints:
    """Charge points with behaviour. Each call is kept with the seconds since the test began."""

    def __init__(self, clock: TurnedClock) -> None:
        self.clock = clock
        self.central: CentralSystem | None = None
        self.calls: list[tuple[str, int, int]] = []
        self.answer: Callable[[str], str] = lambda _charge_point_id: "Accepted"
        self.answer_after_s = 0.0
        self.is_obeying = True
        self.failure: Exception | None = None
        self.tasks: set[asyncio.Task[object]] = set()

    async def remote_stop_transaction(self, charge_point_id: str, transaction_id: int) -> str:
        self._note("RemoteStopTransaction", transaction_id)
        if self.failure is not None:
            raise self.failure
        await self.clock.sleep(self.answer_after_s)
        answer = self.answer(charge_point_id)
        if answer == "Accepted" and self.is_obeying:
            self.tasks.add(asyncio.create_task(self._stop(charge_point_id, transaction_id)))
        return answer

    async def set_no_power(self, charge_point_id: str, connector_id: int, transaction_id: int) -> str:
        self._note(f"SetChargingProfile connector {connector_id}", transaction_id)
        return "Accepted"

    async def reset_soft(self, charge_point_id: str) -> str:
        self._note(f"Reset {charge_point_id}", 0)
        return "Accepted"

    def times(self, action: str = "RemoteStopTransaction") -> list[int]:
        return [second for name, _, second in self.calls if name.startswith(action)]

    def _note(self, action: str, transaction_id: int) -> None:
        self.calls.append((action, transaction_id, round((self.clock.now() - T0).total_seconds())))

    async def _stop(self, charge_point_id: str, transaction_id: int) -> None:
        assert self.central is not None
        await self.clock.sleep(2)
        register = self.central.site.transactions[transaction_id].register.last
        stop = StopTransaction(
            charge_point_id, self.clock.now(), transaction_id, register, self.clock.now().isoformat(), reason="Remote"
        )
        await self.central.handle(stop)


class Server:
    """A central system with its stopper, and sessions in it."""

    def __init__(self, clock: TurnedClock, charge_points: ChargePoints, store: MemoryStore, how: Escalation) -> None:
        self.clock = clock
        self.charge_points = charge_points
        self.central = charge_points.central = CentralSystem(store, store.load())
        self.stopper = Stopper(self.central, charge_points, clock, escalation=how)
        self.tasks: list[asyncio.Task[None]] = []

    async def session(self, charge_point_id: str = "CP1", tag: str = "RFID001") -> int:
        """A booted charge point on which a car begins to charge; the transactionId."""
        now = self.clock.now()
        await self.central.handle(Connect(charge_point_id, now))
        await self.central.handle(BootNotification(charge_point_id, now, "Generic"))
        start = StartTransaction(charge_point_id, now, 1, tag, 1000, now.isoformat())
        reply = await self.central.handle(start)
        assert isinstance(reply, Started)
        return reply.transaction_id

    async def read(self, number: int, register: int) -> None:
        """A reading of the register in Wh."""
        now = self.clock.now()
        values = (MeterValue(now.isoformat(), (SampledValue(str(register), unit="Wh"),)),)
        charge_point_id = self.central.site.transactions[number].charge_point_id
        await self.central.handle(MeterValues(charge_point_id, now, 1, number, values))

    async def charge(self, number: int, minutes: int, register: int = 1000, step: int = KW11_PER_MINUTE) -> int:
        """Let a car charge for minutes with a reading each; the last register."""
        for _ in range(minutes):
            await self.clock.advance(60)
            register += step
            await self.read(number, register)
        return register

    async def request_stop(self, number: int) -> None:
        await self.central.handle(RequestStop(self.clock.now(), number, "operator"))

    def transaction(self, number: int) -> Transaction:
        return self.central.site.transactions[number]


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock(T0)


@pytest.fixture
def charge_points(clock: TurnedClock) -> ChargePoints:
    return ChargePoints(clock)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(POLICY, T0)


@asynccontextmanager
async def running(
    clock: TurnedClock, charge_points: ChargePoints, store: MemoryStore, how: Escalation = "none"
) -> AsyncIterator[Server]:
    server = Server(clock, charge_points, store, how)
    tasks = server.tasks = [asyncio.create_task(server.central.run()), asyncio.create_task(server.stopper.run())]
    await server.central.handle(OpenMonth(clock.now(), Month("2026-11")))
    if not server.central.site.users.users:
        await server.central.handle(ReplaceUsers(clock.now(), users()))
    try:
        yield server
    finally:
        for task in (*tasks, *charge_points.tasks):
            task.cancel()
        await asyncio.gather(*tasks, *charge_points.tasks, return_exceptions=True)


@pytest.fixture
async def server(clock: TurnedClock, charge_points: ChargePoints, store: MemoryStore) -> AsyncIterator[Server]:
    async with running(clock, charge_points, store) as server:
        yield server


async def test_a_wish_to_stop_is_carried_out(server: Server, charge_points: ChargePoints) -> None:
    """Found by looking at the state; the reason of the end is the server's, in words."""
    number = await server.session()
    await server.request_stop(number)
    await server.clock.advance(5)

    assert charge_points.calls == [("RemoteStopTransaction", number, 0)]
    ended = server.transaction(number)
    assert (ended.end_kind, ended.stop_reason) == (EndKind.STOPPED, StopCause.REQUESTED.value)
    await server.clock.advance(300)
    assert len(charge_points.calls) == 1


async def test_a_session_within_its_quota_is_left_alone(server: Server, charge_points: ChargePoints) -> None:
    """No call goes to a charge point without need (rule 27)."""
    number = await server.session()
    await server.charge(number, 10)

    assert charge_points.calls == []


async def test_a_stop_that_is_rejected_is_tried_again_and_raises_an_alert(
    server: Server, charge_points: ChargePoints, caplog: pytest.LogCaptureFixture
) -> None:
    """After 10, 30, 60 s, then every minute, for ever; an alert after the third failure."""
    caplog.set_level(logging.INFO)
    charge_points.answer = lambda _id: "Rejected"
    number = await server.session()
    await server.request_stop(number)
    await server.clock.advance(39)
    assert server.central.site.alerts == {}
    await server.clock.advance(300)

    assert charge_points.times() == [0, 10, 40, 100, 160, 220, 280]
    alert = server.central.site.alerts[f"stop-{number}"]
    assert (alert.kind, alert.charge_point_id, alert.transaction_id) == ("stop not obeyed", "CP1", number)
    assert "Rejected" in alert.text
    failed = [record for record in caplog.records if "stop failed" in record.getMessage()]
    assert failed
    assert failed[0].levelno == logging.WARNING
    assert "result=Rejected" in failed[0].getMessage()


async def test_the_alert_goes_when_the_charge_point_obeys_at_last(server: Server, charge_points: ChargePoints) -> None:
    """A state that a person should look at, open until it resolves itself."""
    charge_points.answer = lambda _id: "Rejected"
    number = await server.session()
    await server.request_stop(number)
    await server.clock.advance(120)
    assert f"stop-{number}" in server.central.site.alerts
    charge_points.answer = lambda _id: "Accepted"
    await server.clock.advance(120)

    assert server.central.site.alerts == {}
    assert not server.transaction(number).is_open


async def test_no_answer_counts_as_a_failure_and_is_tried_again(server: Server, charge_points: ChargePoints) -> None:
    """The time of the next attempt counts from when the wait for the answer was over."""
    charge_points.answer, charge_points.answer_after_s = lambda _id: "no answer", 30.0
    number = await server.session()
    await server.request_stop(number)
    await server.clock.advance(250)

    assert charge_points.times() == [0, 40, 100, 190]
    stop = server.transaction(number).stop
    assert stop is not None
    assert (stop.result, stop.failures) == ("no answer", 4)


async def test_waiting_for_an_answer_is_not_a_busy_loop(
    server: Server, charge_points: ChargePoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is due is being asked for: looking twenty times a second meanwhile helps nobody."""
    charge_points.answer_after_s = 30.0
    looks: list[datetime] = []
    sleep = server.stopper._sleep

    async def counted() -> None:
        looks.append(server.clock.now())
        await sleep()

    monkeypatch.setattr(server.stopper, "_sleep", counted)
    await server.request_stop(await server.session())
    await server.clock.advance(30)

    assert len(looks) <= 40


async def test_an_order_for_a_charge_point_that_is_offline_waits_for_it(
    server: Server, charge_points: ChargePoints
) -> None:
    """The order survives a reconnect."""
    is_online = False
    charge_points.answer = lambda _id: "Accepted" if is_online else "offline"
    number = await server.session()
    await server.central.handle(Disconnect("CP1", server.clock.now()))
    await server.request_stop(number)
    await server.clock.advance(600)
    assert server.transaction(number).is_open
    is_online = True
    await server.central.handle(Connect("CP1", server.clock.now()))
    await server.clock.advance(62)

    assert not server.transaction(number).is_open
    assert server.transaction(number).stop_reason == StopCause.REQUESTED.value


async def test_accepted_while_energy_flows_on_is_a_failure(server: Server, charge_points: ChargePoints) -> None:
    """A stop is not done when the charge point says Accepted: it is asked again, and the alert is raised."""
    charge_points.is_obeying = False
    number = await server.session()
    register = await server.charge(number, 3)
    await server.request_stop(number)
    await server.charge(number, 6, register)

    assert len(charge_points.times()) >= 5
    assert f"stop-{number}" in server.central.site.alerts
    stop = server.transaction(number).stop
    assert stop is not None
    assert stop.failures >= 3


async def test_accepted_and_energy_ceased_is_done_and_not_asked_again(
    server: Server, charge_points: ChargePoints
) -> None:
    """The car hangs on the cable without a StopTransaction: nothing is left to stop."""
    charge_points.is_obeying = False
    number = await server.session()
    register = await server.charge(number, 3)
    await server.request_stop(number)
    await server.charge(number, 3, register, step=0)
    asked = len(charge_points.times())
    await server.charge(number, 30, register, step=0)

    assert len(charge_points.times()) == asked
    assert server.transaction(number).is_open


async def test_energy_that_flows_again_is_stopped_again(server: Server, charge_points: ChargePoints) -> None:
    """The order stands until the transaction ends."""
    charge_points.is_obeying = False
    number = await server.session()
    register = await server.charge(number, 3)
    await server.request_stop(number)
    await server.charge(number, 10, register, step=0)
    asked = len(charge_points.times())
    await server.charge(number, 3, register)

    assert len(charge_points.times()) > asked


async def test_the_order_survives_a_restart_of_the_server(clock: TurnedClock, store: MemoryStore) -> None:
    """It stands in the ledger, with its number of attempts."""
    stubborn = ChargePoints(clock)
    stubborn.answer = lambda _id: "Rejected"
    async with running(clock, stubborn, store) as before:
        number = await before.session()
        await before.request_stop(number)
        await clock.advance(45)
    obedient = ChargePoints(clock)
    async with running(clock, obedient, store) as after:
        stop = after.transaction(number).stop
        assert stop is not None
        assert stop.attempts == 3
        await clock.advance(60)

        assert obedient.times() == [100]
        assert not after.transaction(number).is_open


async def test_a_refused_start_is_stopped(server: Server, charge_points: ChargePoints) -> None:
    """A charge point that lets energy flow for a refused card (rule 18)."""
    number = await server.session(tag="STRANGER")
    await server.clock.advance(5)

    assert charge_points.times() == [0]
    assert server.transaction(number).end_kind is EndKind.STOPPED


async def test_a_user_who_is_removed_while_charging_is_stopped(server: Server, charge_points: ChargePoints) -> None:
    """A change of users1.csv takes effect at once (rule 16)."""
    number = await server.session()
    await server.clock.advance(60)
    await server.central.handle(ReplaceUsers(server.clock.now(), users(100_000, "SOMEBODY")))
    await server.clock.advance(5)

    assert charge_points.times() == [60]
    assert server.transaction(number).stop_reason == StopCause.REMOVED.value


async def test_a_stop_is_sent_at_the_forecast_crossing_between_two_readings(
    server: Server, charge_points: ChargePoints
) -> None:
    """The stopper sleeps until the forecast crossing, not until the next sample (rule 25)."""
    await server.central.handle(ReplaceUsers(server.clock.now(), users(10 * KW11_PER_MINUTE + 92)))
    number = await server.session()
    await server.charge(number, 10)
    assert charge_points.times() == []
    await server.clock.advance(59)

    (second,) = charge_points.times()
    assert 600 + 20 < second < 600 + 35


async def test_a_raised_quota_takes_the_order_back(server: Server, charge_points: ChargePoints) -> None:
    """The reason of an order is gone: the car goes on, and its alert goes."""
    charge_points.answer = lambda _id: "Rejected"
    await server.central.handle(ReplaceUsers(server.clock.now(), users(5 * KW11_PER_MINUTE)))
    number = await server.session()
    register = await server.charge(number, 8)
    assert f"stop-{number}" in server.central.site.alerts
    await server.central.handle(ReplaceUsers(server.clock.now(), users(100_000)))
    await server.clock.advance(1)
    asked = len(charge_points.times())
    await server.charge(number, 10, register)

    assert server.transaction(number).stop is None
    assert server.central.site.alerts == {}
    assert len(charge_points.times()) == asked


async def test_an_operators_wish_is_not_taken_back_by_a_raised_quota(
    server: Server, charge_points: ChargePoints
) -> None:
    """Only what the quota ordered is void."""
    charge_points.answer = lambda _id: "Rejected"
    number = await server.session()
    await server.request_stop(number)
    await server.clock.advance(5)
    await server.central.handle(ReplaceUsers(server.clock.now(), users(None)))
    await server.clock.advance(120)

    assert len(charge_points.times()) == 4


async def test_several_sessions_are_stopped_at_once(server: Server, charge_points: ChargePoints) -> None:
    """A charge point that does not answer holds up no other."""
    charge_points.answer_after_s = 30.0
    numbers = [await server.session(f"CP{n}") for n in range(1, 6)]
    for number in numbers:
        await server.request_stop(number)
    await server.clock.advance(1)
    assert sorted(charge_points.calls) == [("RemoteStopTransaction", number, 0) for number in numbers]
    await server.clock.advance(40)

    assert [server.transaction(number).is_open for number in numbers] == [False] * 5


async def test_one_attempt_at_a_time_for_each_session(server: Server, charge_points: ChargePoints) -> None:
    """Whatever else changes while the answer is awaited."""
    charge_points.answer_after_s = 30.0
    number = await server.session()
    await server.request_stop(number)
    for _ in range(25):
        await server.clock.advance(1)
        await server.read(number, 1000)

    assert charge_points.times() == [0]


async def test_messages_are_answered_while_a_stop_waits_for_its_answer(
    server: Server, charge_points: ChargePoints
) -> None:
    """A RemoteStop sent from inside a message handler never gets its answer: the read loop is the one waiting."""
    charge_points.answer_after_s = 1e9
    number = await server.session(tag="STRANGER")
    await server.request_stop(number)
    await let_others_run()
    async with asyncio.timeout(LIMIT_S):
        await server.read(number, 1100)
        await server.central.handle(StatusNotification("CP1", server.clock.now(), 1, "Charging", "NoError"))

    assert server.transaction(number).is_open


ESCALATIONS: list[tuple[Escalation, list[tuple[str, int]]]] = [
    ("none", []),
    ("profile", [("SetChargingProfile connector 1", 40)]),
    ("reset", [("SetChargingProfile connector 1", 40), ("Reset CP1", 160)]),
]


@pytest.mark.parametrize(("how", "expected"), ESCALATIONS, ids=[name for name, _ in ESCALATIONS])
async def test_a_stop_that_is_not_obeyed_escalates_once(
    clock: TurnedClock,
    charge_points: ChargePoints,
    store: MemoryStore,
    how: Escalation,
    expected: list[tuple[str, int]],
) -> None:
    """After the third failure a TxProfile of 0 A, then Reset Soft, as far as the site allows (rule 26)."""
    charge_points.answer = lambda _id: "Rejected"
    async with running(clock, charge_points, store, how) as server:
        await server.request_stop(await server.session())
        await clock.advance(900)

    escalated = [(name, second) for name, _, second in charge_points.calls if name != "RemoteStopTransaction"]
    assert escalated == expected
    assert len(charge_points.times()) == 17


async def test_the_log_line_of_an_escalation_cannot_be_forged(
    clock: TurnedClock, charge_points: ChargePoints, store: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    """The charge point's id and its answer come from outside (T16)."""
    caplog.set_level(logging.INFO)
    charge_points.answer = lambda _id: "Rejected"
    async with running(clock, charge_points, store, "profile") as server:
        await server.request_stop(await server.session("CP1\n[AUTH] forged"))
        await clock.advance(60)

    lines = [record.getMessage() for record in caplog.records]
    assert any("escalation=SetChargingProfile" in line for line in lines)
    assert not any("\n" in line for line in lines)


async def test_a_session_that_has_ended_meanwhile_does_not_escalate(
    clock: TurnedClock, charge_points: ChargePoints, store: MemoryStore
) -> None:
    """The third answer came after the driver had pulled the plug."""
    charge_points.answer, charge_points.answer_after_s = lambda _id: "Rejected", 5.0
    async with running(clock, charge_points, store, "reset") as server:
        number = await server.session()
        await server.request_stop(number)
        await clock.advance(52)
        now = clock.now()
        await server.central.handle(StopTransaction("CP1", now, number, 1000, now.isoformat()))
        await clock.advance(600)

        assert charge_points.times() == [0, 15, 50]
        assert charge_points.times("Set") == charge_points.times("Reset") == []


async def test_a_stale_session_is_closed_without_being_asked(server: Server, charge_points: ChargePoints) -> None:
    """Available for longer than the configured time, without readings, while connected (rule 22)."""
    number = await server.session()
    await server.clock.advance(10)
    await server.central.handle(StatusNotification("CP1", server.clock.now(), 1, "Available", "NoError"))
    await server.clock.advance(240)
    assert server.transaction(number).is_stale
    await server.clock.advance(3600)

    assert server.transaction(number).end_kind is EndKind.STALE
    assert charge_points.calls == []


async def test_an_exception_of_an_attempt_ends_the_stopper(
    clock: TurnedClock, charge_points: ChargePoints, store: MemoryStore
) -> None:
    """Never swallowed: it surfaces in the TaskGroup of the server."""
    charge_points.failure = ZeroDivisionError("a bug of ours")
    server = Server(clock, charge_points, store, "none")
    committing = asyncio.create_task(server.central.run())
    stopping = asyncio.create_task(server.stopper.run())
    await server.request_stop(await server.session())
    await clock.advance(1)

    with pytest.raises(ExceptionGroup) as raised:
        async with asyncio.timeout(LIMIT_S):
            await stopping
    assert raised.value.exceptions == (charge_points.failure,)
    committing.cancel()
    await asyncio.wait([committing])


async def test_a_failed_commit_ends_the_stopper(server: Server, store: MemoryStore) -> None:
    """Nothing may be asked of a charge point on what is not durable."""
    number = await server.session()
    store.failure = OSError(28, "No space left on device")
    refused = await asyncio.gather(server.request_stop(number), return_exceptions=True)
    await server.clock.advance(60)

    assert isinstance(refused[0], CommitError)
    assert isinstance(server.tasks[1].exception(), ExceptionGroup)
    assert server.charge_points.calls == []


async def test_attempts_under_way_end_with_the_stopper(clock: TurnedClock, store: MemoryStore) -> None:
    """SIGTERM does not wait thirty seconds for an answer; the order is in the ledger."""
    deaf = ChargePoints(clock)
    deaf.answer_after_s = 1e9
    async with running(clock, deaf, store) as server:
        number = await server.session()
        await server.request_stop(number)
        await clock.advance(1)
        assert deaf.times() == [0]

    stop = store.load().transactions[number].stop
    assert stop is not None
    assert stop.next_attempt_at <= clock.now() + timedelta(seconds=1)
