"""Poison values in every field of the fourteen messages: always an answer, no energy without proof, all files valid.

The charge point is in a session whose register is known. The message is a right one for this moment, but for one field;
so whatever that field does, the message proves nothing that was not proven before, and the books must not move.
"""

import itertools
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hostile_site import HostileConnection, HostileSite
from poison import MESSAGES, MISSING, POISON, TOO_DEEP, UNTOUCHED, Path, fields_of, poisoned

from ocpp_server.core.records import Transaction

pytestmark = pytest.mark.timeout(300)
SiteFactory = Callable[..., Awaitable[HostileSite]]
Case = tuple[Path, str]
TAG = "FUZZ-TAG-0001"
STEP_WH = 10
STEP_S = 0.5
_TRANSACTIONAL = ("MeterValues", "StartTransaction", "StopTransaction")
_REGISTERS = {"meterStart", "meterStop", "value"}


class PoisonedChargePoint:
    """A charge point with one session after another, and a register that only ever tells the truth."""

    def __init__(self, site: HostileSite, connection: HostileConnection, charge_point_id: str) -> None:
        self._site = site
        self._connection = connection
        self._charge_point_id = charge_point_id
        self._numbers = itertools.count(1)
        self.register = 5_000_000
        """Wh; far from every poison value, also times 1000."""
        self.transaction = 0
        self.proven = 0
        """Wh that the honest readings of the session have proven."""

    async def send(self, action: str, payload: bytes) -> list[Any]:
        """The frame that answers."""
        unique_id = f"p{next(self._numbers)}"
        raw = f'[2,"{unique_id}","{action}",'.encode() + payload + b"]"
        ((answer,),) = (await self._connection.volley([raw])).values()
        return answer

    async def honest(self, action: str, **changed: Any) -> dict[str, Any]:
        """Send the message as it should be; gives the payload of its CALLRESULT."""
        answer = await self.send(action, poisoned(action, (UNTOUCHED,), MISSING, self.filling() | changed))
        assert answer[0] == 3, answer
        return dict(answer[2])

    async def begin(self) -> None:
        """A new session."""
        await self._site.running.advance(STEP_S)
        self.transaction, self.proven = (await self.honest("StartTransaction"))["transactionId"], 0

    async def read(self) -> None:
        """Time passes, energy flows, and an honest reading proves it."""
        await self._site.running.advance(STEP_S)
        self.register += STEP_WH
        self.proven += STEP_WH
        assert await self.honest("MeterValues") == {}

    def session(self) -> Transaction:
        """What the server knows of the session."""
        return self._site.running.transaction(self.transaction)

    def delivered(self) -> int:
        """Wh that the books have for this charge point."""
        return self._site.running.server.central.site.delivered.get(self._charge_point_id, 0)

    def filling(self) -> dict[str, Any]:
        now = self._site.running.clock.now().replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
        return {
            "@TAG@": TAG,
            "@REGISTER@": self.register,
            "@READING@": str(self.register),
            "@NOW@": now,
            "@ID@": self.transaction,
        }


async def a_message(charge_point: PoisonedChargePoint, action: str, case: Case) -> None:
    """Any message but a start or a stop, within a session: it is answered, and moves no Wh."""
    if not charge_point.transaction:
        await charge_point.begin()
        await charge_point.read()
    before = charge_point.delivered()

    answer = await charge_point.send(action, poisoned(action, *case, charge_point.filling()))

    assert_answered(action, case, answer)
    assert charge_point.delivered() == before, case
    await charge_point.read()
    assert charge_point.delivered() == before + STEP_WH, case
    assert charge_point.session().energy == charge_point.proven, case


async def a_start(charge_point: PoisonedChargePoint, action: str, case: Case) -> None:
    """A poisoned start has an id and a status; its session is billed what its readings prove, and no more."""
    await charge_point._site.running.advance(STEP_S)
    before = charge_point.delivered()

    answer = await charge_point.send(action, poisoned(action, *case, charge_point.filling()))

    assert_answered(action, case, answer)
    assert charge_point.delivered() == before, case
    if answer[0] != 3:
        return
    charge_point.transaction, charge_point.proven = answer[2]["transactionId"], 0
    assert 0 < charge_point.transaction < 2**31
    assert answer[2]["idTagInfo"]["status"] in ("Accepted", "Invalid", "Blocked")
    await charge_point.read()
    await charge_point.honest("StopTransaction")
    booked = charge_point.delivered() - before
    assert booked == charge_point.session().energy
    assert booked in ((0, STEP_WH) if case[0][-1] in _REGISTERS else (STEP_WH,)), case
    assert not charge_point.session().is_open, case


async def a_stop(charge_point: PoisonedChargePoint, action: str, case: Case) -> None:
    """A poisoned stop settles what the readings proved; if it stopped nothing, the true one does."""
    await charge_point.begin()
    await charge_point.read()
    before = charge_point.delivered()

    answer = await charge_point.send(action, poisoned(action, *case, charge_point.filling()))

    assert_answered(action, case, answer)
    await charge_point.honest("StopTransaction")
    assert charge_point.delivered() == before, case
    assert charge_point.session().energy == charge_point.proven, case
    assert not charge_point.session().is_open, case


def assert_answered(action: str, case: Case, answer: list[Any]) -> None:
    """Always a CALLRESULT, but for what is nested too deep for any message of OCPP 1.6 (T9)."""
    if case[1] in TOO_DEEP:
        assert answer[:3:2] == [4, "FormationViolation"], (action, case, answer)
    else:
        assert answer[0] == 3, (action, case, answer)


async def poison(site: HostileSite, action: str, cases: list[Case]) -> None:
    """Each case on one charge point; then all files can be read and the books add up."""
    charge_point_id = f"POISON-{action}"
    charge_point = PoisonedChargePoint(site, await site.hostile(charge_point_id), charge_point_id)
    attempt = {"StartTransaction": a_start, "StopTransaction": a_stop}.get(action, a_message)
    for number, case in enumerate(cases):
        await attempt(charge_point, action, case)
        if number % 100 == 0:
            await site.honest_heartbeat()
    await site.running.published()
    site.check_files()
    assert site.running.problems() == []
    await site.honest_reading()


def all_cases(action: str) -> list[Case]:
    return [(path, name) for path in fields_of(action) for name in POISON]


def sample_of(action: str, count: int) -> list[Case]:
    """Some of the cases, the same each time."""
    return random.Random(action).sample(all_cases(action), count)


def test_the_table_is_large_enough() -> None:
    """About 200 values, fourteen messages, and more for the three that carry energy."""
    assert len(POISON) > 200
    assert len(MESSAGES) == 14
    assert set(_TRANSACTIONAL) <= set(MESSAGES)


async def test_a_sample_of_poison_in_every_message(hostile_site: SiteFactory) -> None:
    """T14: some of the 15,000 cases; `test_all_poison` has all of them."""
    site = await hostile_site()

    for action in MESSAGES:
        await poison(site, action, sample_of(action, 40 if action in _TRANSACTIONAL else 6))

    await site.conclude()


@pytest.mark.prove
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("action", MESSAGES)
async def test_all_poison(hostile_site: SiteFactory, action: str) -> None:
    """T14: every value in every field of every message."""
    site = await hostile_site()

    await poison(site, action, all_cases(action))

    await site.conclude()
