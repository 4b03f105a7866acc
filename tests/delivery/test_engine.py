"""`delivery.engine`: at least once, in order, at the pace that the other system allows."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from outgoing import EAGER, Outgoing, ToldDestination

from ocpp_server.delivery.destination import Accepted, Failed, Outcome, Refused, Unauthorized
from ocpp_server.delivery.engine import REFUSED_IN_A_ROW
from ocpp_server.delivery.outbox import Item
from ocpp_server.delivery.pace import DeliveryOptions

LANES = ("A", "B", "C")


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Outgoing]:
    """A site whose server runs, without a reading yet."""
    site = Outgoing(tmp_path)
    site.open()
    yield site
    await site.end()


async def begun(site: Outgoing, options: DeliveryOptions = EAGER) -> ToldDestination:
    """A destination that has begun."""
    destination = ToldDestination(site.clock)
    site.deliver(destination, options=options)
    await site.until_begun()
    return destination


async def test_every_reading_arrives_in_the_order_of_its_charge_point(site: Outgoing) -> None:
    """Lanes go side by side, each in its order."""
    destination = await begun(site)

    numbers = await site.add(*LANES * 100)
    await site.until(lambda: len(destination.accepted) == 300)

    assert sorted(destination.numbers()) == numbers
    assert all(destination.numbers(lane) == sorted(destination.numbers(lane)) for lane in LANES)
    assert len({item.key for item in destination.accepted}) == 300


async def test_a_new_destination_begins_with_what_comes_from_now_on(site: Outgoing) -> None:
    """The past would be thousands of readings that nobody asked for."""
    await site.add("A", "B")
    destination = await begun(site)

    (new,) = await site.add("A")
    await site.until(lambda: destination.accepted)

    assert destination.numbers() == [new]


async def test_nothing_is_sent_again_after_an_orderly_end(site: Outgoing) -> None:
    """The positions are noted at the end."""
    destination = await begun(site)
    await site.add(*LANES)
    await site.until(lambda: len(destination.accepted) == 3)

    await site.end()
    assert destination.is_closed
    site.open()
    again = await begun(site)
    await site.add("A")
    await site.until(lambda: again.accepted)

    assert again.numbers() == [4]


async def test_a_crash_sends_again_at_most_what_was_not_noted(site: Outgoing) -> None:
    """Each at least once; a new life goes on from what the ledger says."""
    destination = await begun(site)
    await site.add(*LANES * 10)
    await site.until(lambda: len(destination.accepted) == 30)
    await site.until(lambda: site.deliveries.positions("forwarder", "readings") == {"": 30})
    await site.add(*LANES)
    await site.until(lambda: len(destination.accepted) == 33, step_s=0.05)

    await site.crash()
    site.open()
    again = await begun(site)
    await site.add("A")
    await site.until(lambda: 34 in again.numbers())

    assert set(destination.numbers() + again.numbers()) == set(range(1, 35))
    assert set(again.numbers()) <= {31, 32, 33, 34}


async def test_only_what_was_committed_is_sent(site: Outgoing) -> None:
    """A reading that is only in memory may never be: the state is ahead of the ledger while a commit is under way."""
    destination = await begun(site)
    await site.add("A")
    site.site.next_reading_number = 100  # as if 98 more were being committed

    await site.until(lambda: destination.accepted)
    await site.clock.advance(60)
    await site.until(lambda: site.engine.status().backlog == 0, step_s=5)

    assert destination.numbers() == [1]


async def test_a_failure_is_tried_again_and_holds_up_nobody_for_good(site: Outgoing) -> None:
    """B's reading fails for an hour: A and C go on, and B's come in order in the end."""
    destination = await begun(site)
    destination.answer = lambda items: Failed("HTTP 500") if items[0].lane == "B" and not is_over else Accepted()
    is_over = False

    await site.add(*LANES * 5)
    await site.until(lambda: len(destination.accepted) == 10, step_s=5)
    await site.clock.advance(600)
    is_over = True
    await site.until(lambda: len(destination.accepted) == 15, step_s=60)

    assert destination.numbers("B") == [2, 5, 8, 11, 14]
    await site.until(lambda: site.engine.status().last_error == "")
    assert site.engine.status().state == "ok"


async def test_a_lane_that_fails_gives_its_room_to_the_others(site: Outgoing) -> None:
    """Thousands of readings of B wait; one of A comes through, and a crash forgets none of B's."""
    destination = await begun(site)
    destination.answer = lambda items: Failed("HTTP 500") if items[0].lane == "B" else Accepted()
    await site.add(*"B" * 3000)
    await site.add("A")
    await site.until(lambda: destination.numbers("A") == [3001], step_s=30)
    await site.until(lambda: site.deliveries.positions("forwarder", "readings") == {"": 3001, "B": 0}, step_s=30)

    await site.crash()
    site.open()
    again = await begun(site)
    await site.until(lambda: len(again.accepted) == 3000, step_s=5)

    assert again.numbers("B") == list(range(1, 3001))


async def test_the_breaker_lets_one_request_through_in_five_minutes(site: Outgoing) -> None:
    """F22: from the fifth failure in a row on; one good answer closes it."""
    destination = await begun(site)
    destination.answer = lambda _items: Failed("no connection")
    await site.add(*LANES * 20)
    await site.until(lambda: site.engine.status().state == "breaker open", step_s=1)

    opened = len(destination.calls)
    await site.until(lambda: len(destination.calls) >= opened + 10, step_s=20)
    times = [at for at, _ in destination.calls[opened - 1 :]]
    destination.answer = lambda _items: Accepted()
    await site.until(lambda: len(destination.accepted) == 60, step_s=20)

    assert opened == 5
    assert min(later - earlier for earlier, later in pairwise(times)) >= 300
    assert site.engine.status().state == "ok"


async def test_the_peace_that_was_asked_for_is_kept(site: Outgoing) -> None:
    """Retry-After: nothing at all is sent until then."""
    destination = await begun(site)
    destination.answer = lambda _items: Failed("HTTP 429", 1800)
    await site.add(*LANES)
    await site.until(lambda: destination.calls)
    destination.answer = lambda _items: Accepted()
    await site.until(lambda: len(destination.accepted) == 3, step_s=60)

    assert destination.calls[1][0] - destination.calls[0][0] >= 1800


async def test_a_door_that_is_shut_is_not_knocked_at_again(site: Outgoing) -> None:
    """401: paused, told and kept so, until a person resumes it."""
    destination = await begun(site)
    destination.answer = lambda _items: Unauthorized("HTTP 401")
    await site.add(*LANES)
    await site.until(lambda: site.engine.status().pause)
    await site.clock.advance(86400)
    status = site.engine.status()

    assert (len(destination.calls), status.state, status.is_stuck) == (1, "paused", True)

    destination.answer = lambda _items: Accepted()
    site.engine.resume()
    await site.until(lambda: len(destination.accepted) == 3)

    assert site.engine.status().state == "ok"


async def test_what_is_refused_three_times_is_set_aside_and_can_be_sent_again(site: Outgoing) -> None:
    """The others go on; it is listed with its reason, and survives a restart."""
    destination = await begun(site)
    destination.answer = lambda items: Refused("HTTP 422") if items[0].number == 2 else Accepted()
    await site.add("A", "A", "A", "B")
    await site.until(lambda: len(destination.accepted) == 3)
    tries = [items for _, items in destination.calls if items[0].number == 2]
    (aside,) = await site.engine.aside.page(None, 10)

    assert (len(tries), destination.numbers("A")) == (3, [1, 3])
    assert (aside.number, aside.lane, aside.reason, aside.body["deliveredEnergy"]) == (2, "A", "HTTP 422", 0.02)
    assert site.engine.status().set_aside == 1
    await site.until(lambda: site.deliveries.positions("forwarder", "readings") == {"": 4})

    await site.crash()
    site.open()
    again = await begun(site)
    await site.until(lambda: site.engine.status().set_aside == 1)
    assert await site.engine.resend([99]) == 0
    assert await site.engine.resend([2]) == 1
    await site.until(lambda: again.numbers() == [2])
    await site.until(lambda: site.engine.status().set_aside == 0)

    assert again.accepted[0].key == aside.key
    assert await site.engine.aside.page(None, 10) == []


async def test_what_is_refused_again_is_set_aside_again(site: Outgoing) -> None:
    """It is not tried a fourth time by itself."""
    destination = await begun(site)
    destination.answer = lambda _items: Refused("HTTP 400")
    await site.add("A")
    await site.until(lambda: site.engine.status().set_aside)
    await site.engine.resend()
    await site.until(lambda: len(destination.calls) == 6)
    await site.until(lambda: not site.deliveries.aside("forwarder", "readings", is_due=True))
    await site.clock.advance(3600)

    assert (len(destination.calls), site.engine.status().set_aside) == (6, 1)


async def test_a_receiver_that_refuses_everything_is_paused(site: Outgoing) -> None:
    """Then not the readings are wrong: they are not all to be set aside."""
    destination = await begun(site)
    destination.answer = lambda _items: Refused("HTTP 400")
    await site.add(*"A" * 100)
    await site.until(lambda: site.engine.status().pause, step_s=2)

    assert site.engine.status().set_aside == REFUSED_IN_A_ROW
    assert "in a row" in site.engine.status().pause


async def test_of_a_batch_that_is_refused_each_has_its_own_chance(site: Outgoing) -> None:
    """Only the one that is wrong is set aside."""
    destination = await begun(site, DeliveryOptions(batch=10, jitter=EAGER.jitter))
    wrong = {5}
    destination.answer = lambda items: Refused("HTTP 413") if wrong & {item.number for item in items} else Accepted()
    await site.add(*"A" * 25)
    await site.until(lambda: len(destination.accepted) == 24)

    assert destination.numbers() == [number for number in range(1, 26) if number != 5]
    assert [len(items) for _, items in destination.calls][-2:] == [10, 5]
    assert site.engine.status().set_aside == 1


async def test_lanes_go_side_by_side_but_no_more_than_is_allowed(site: Outgoing) -> None:
    """After a first good answer; within a lane one by one."""
    destination = await begun(site, DeliveryOptions(lanes=3, jitter=EAGER.jitter))
    most, under_way = 0, set[str]()
    doors = asyncio.Event()

    async def hold(items: Sequence[Item]) -> Outcome:
        nonlocal most
        assert items[0].lane not in under_way
        under_way.add(items[0].lane)
        most = max(most, len(under_way))
        await doors.wait()
        under_way.remove(items[0].lane)
        return Accepted()

    await site.add("A")
    await site.until(lambda: destination.accepted)
    destination.answer = hold
    await site.add(*"ABCDEF" * 5)
    await site.until(lambda: len(under_way) == 3)
    doors.set()
    await site.until(lambda: len(destination.accepted) == 31)

    assert most == 3


async def test_a_destination_that_breaks_is_a_failure_of_it_alone(site: Outgoing) -> None:
    """Its exception ends neither the server nor what follows; its words, which may hold a secret, are not repeated."""
    destination = await begun(site)

    def explode(_items: Sequence[Item]) -> Outcome:
        raise RuntimeError("secret")

    destination.answer = explode
    await site.add("A")
    await site.until(lambda: site.engine.status().failures)
    error = site.engine.status().last_error
    destination.answer = lambda _items: Accepted()
    await site.until(lambda: destination.accepted)

    assert "RuntimeError" in error
    assert "secret" not in error


async def test_a_backlog_is_counted_and_stuck_after_a_quarter_of_an_hour(site: Outgoing) -> None:
    """Not at once, and no more once it is delivered."""
    destination = await begun(site)
    destination.answer = lambda _items: Failed("HTTP 503")
    await site.clock.advance(1000)
    await site.add(*LANES * 4)
    await site.until(lambda: site.engine.status().backlog == 12)
    early = site.engine.status().is_stuck
    await site.until(lambda: site.engine.status().is_stuck, step_s=30)
    destination.answer = lambda _items: Accepted()
    await site.until(lambda: len(destination.accepted) == 12, step_s=30)
    await site.until(lambda: site.engine.status().backlog == 0)

    assert early is False
    assert site.engine.status().is_stuck is False


async def test_after_a_start_it_is_not_known_yet_whether_a_backlog_is_old(site: Outgoing) -> None:
    """So that an alert that was open stays open over a restart, and none is raised by it."""
    destination = await begun(site)
    destination.answer = lambda _items: Failed("HTTP 503")
    await site.add("A")
    await site.until(lambda: site.engine.status().backlog)
    await site.crash()
    site.open()
    again = await begun(site)
    again.answer = destination.answer
    await site.until(lambda: site.engine.status().backlog)

    assert site.engine.status().is_stuck is None


async def test_two_destinations_have_their_own_positions(site: Outgoing) -> None:
    """One is away, the other gets everything."""
    one, other = ToldDestination(site.clock), ToldDestination(site.clock, "other")
    one.answer = lambda _items: Failed("HTTP 500")
    site.deliver(one, other)
    await site.until_begun()
    await site.add(*LANES)
    await site.until(lambda: len(other.accepted) == 3)

    assert not one.accepted
    assert [status.backlog for status in site.destinations.statuses()] == [3, 0]


async def test_a_destination_that_is_configured_no_more_keeps_nothing_back(site: Outgoing) -> None:
    """Its positions go; if it comes back it is a new one."""
    await begun(site)
    await site.end()
    site.open()
    site.deliver(ToldDestination(site.clock, "other"))
    await site.until_begun()

    assert site.deliveries.positions("forwarder", "readings") == {}


async def test_a_ledger_that_cannot_be_read_for_a_while_is_waited_for(
    site: Outgoing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Delivery never ends the server."""
    destination = await begun(site)
    path, site.deliveries.path = site.deliveries.path, site.path / "gone"
    await site.add("A")
    await site.clock.advance(300)
    site.deliveries.path = path
    await site.until(lambda: destination.accepted, step_s=30)

    assert destination.numbers() == [1]
