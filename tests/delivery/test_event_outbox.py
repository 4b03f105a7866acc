"""Events in the ledger: each is kept exactly once, over a restart and a kill, until everybody has had it (issue 6)."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from event_child import live
from told_events import LANES, NOW, alert, commit, ledger_with, mixed, quota, session, status

from ocpp_server.delivery.event_outbox import EventOutbox
from ocpp_server.delivery.outbox import DEFAULT, UNWANTED
from ocpp_server.storage.deliveries import Deliveries
from ocpp_server.storage.event_documents import event_document, event_key
from ocpp_server.storage.event_tables import KEPT_EVENTS
from ocpp_server.storage.ledger import Ledger

CHILD = Path(__file__).with_name("event_child.py")


def outbox(ledger: Ledger) -> EventOutbox:
    return EventOutbox(ledger.path, lambda: 0)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """With nine events of three lanes."""
    with ledger_with(tmp_path, mixed(9)) as ledger:
        yield ledger


def test_a_page_gives_what_is_behind_the_positions_in_order(ledger: Ledger) -> None:
    """Of every lane from its own position on, else from the one that holds for all."""
    after = {DEFAULT: 4, LANES[0]: 7, "*": 2}

    found = outbox(ledger).page(after, 100)

    assert [(one.number, one.lane) for one in found] == [
        (3, "*"),
        (5, LANES[1]),
        (6, "*"),
        (8, LANES[1]),
        (9, "*"),
    ]
    assert outbox(ledger).count(after) == len(found)
    assert outbox(ledger).page(after, 2) == found[:2]


def test_a_lane_can_be_left_out_or_read_alone(ledger: Ledger) -> None:
    """What the engine asks for lanes that wait."""
    without = outbox(ledger).page({DEFAULT: 0, LANES[0]: UNWANTED}, 100)
    alone = outbox(ledger).page({DEFAULT: UNWANTED, LANES[0]: 1}, 100)

    assert {one.lane for one in without} == {LANES[1], "*"}
    assert [one.number for one in alone] == [4, 7]


def test_an_entry_says_the_same_whenever_it_is_read(ledger: Ledger) -> None:
    """A receiver may compare."""
    first, again = outbox(ledger).page({DEFAULT: 0}, 9), outbox(ledger).page({DEFAULT: 0}, 9)

    assert first == again
    assert len({one.key for one in first}) == 9
    assert all(one.body["id"] == one.key for one in first)


def test_ids_differ_after_a_backup_was_restored() -> None:
    """The numbers come again then, at another time: a receiver must not take the new event for the old one."""
    later = replace(session(), at=NOW + timedelta(microseconds=1))

    assert event_key(5, session()) != event_key(5, later)
    assert event_key(5, session()) == event_key(5, session())
    assert "." not in event_key(5, session())  # it would blur the signature


def test_energy_is_kwh_and_times_end_in_z() -> None:
    """The words of the files."""
    stopped, warned = event_document(1, session()), event_document(2, quota(95))
    fault, raised = event_document(3, status()), event_document(4, alert())

    assert (stopped["time"], stopped["data"]["energy_kwh"]) == ("2026-11-20T10:00:00Z", 2.7)
    assert (stopped["data"]["start_meter"], stopped["data"]["charger_name"]) == (85.5, "Garage")
    assert warned["data"] == {
        "account": "flat 7",
        "full_name": "Jane Smith",
        "month": "2026-11",
        "percent": 95,
        "quota_kwh": 150.0,
        "used_kwh": 142.5,
    }
    assert (fault["data"]["charger_name"], fault["data"]["status"]) == ("LIVOLTEK_01", "Faulted")
    assert (raised["data"]["kind"], raised["data"]["charger_id"]) == ("backup failed", None)


def test_numbers_go_on_after_a_restart(tmp_path: Path) -> None:
    """Also if all but the newest are gone."""
    with ledger_with(tmp_path, mixed(300)):
        pass
    with ledger_with(tmp_path, []) as ledger:
        assert ledger.load().next_event_number == 301


def test_what_every_destination_has_had_goes_and_the_rest_stays(tmp_path: Path) -> None:
    """The newest stay in any case. Nothing is kept for those who are configured no more."""
    count = KEPT_EVENTS + 500
    with ledger_with(tmp_path, []) as ledger:
        deliveries = Deliveries(ledger)
        asyncio.run(deliveries.note("webhook-1", "events", {DEFAULT: 100, "LIVOLTEK_01": 700}))
        commit(ledger, mixed(count))
        assert outbox(ledger).count({DEFAULT: 0}) == count - 100

        asyncio.run(deliveries.forget_all_but([]))
        commit(ledger, mixed(250), count + 1)
        assert outbox(ledger).count({DEFAULT: 0}) == KEPT_EVENTS


def test_beyond_its_share_of_the_disk_the_oldest_go_but_none_of_a_session(tmp_path: Path) -> None:
    """Counted for whom had not had them (F22)."""
    events = [session(number) if number % 10 == 0 else status() for number in range(100)]
    with ledger_with(tmp_path, events) as ledger:
        deliveries = Deliveries(ledger)
        asyncio.run(deliveries.note("webhook-1", "events", {DEFAULT: 20}))

        lost = asyncio.run(deliveries.drop("events", 50, NOW))

        assert lost == {"webhook-1": 27}
        assert deliveries.loss("webhook-1", "events").lost == 27
        kept = [one.number for one in outbox(ledger).page({DEFAULT: 0}, 100)]
        assert kept == [1, 11, 21, 31, 41, *range(51, 101)]


async def test_events_join_the_commit_of_what_they_tell_of(tmp_path: Path) -> None:
    """Twenty sessions, each message sent twice, use up a quota of 2 kWh."""
    await live(tmp_path / "ledger.db", 0, 19)

    told = EventOutbox(tmp_path / "ledger.db", lambda: 0).page({DEFAULT: 0}, 1000)
    types = [one.body["type"] for one in told]
    assert types[:2] == ["session.started", "session.stopped"]
    assert (types.count("session.started"), types.count("session.stopped")) == (20, 20)
    assert [one.body["data"]["percent"] for one in told if one.body["type"].startswith("quota.")] == [80, 95, 100]


@pytest.mark.parametrize("kills", [2, pytest.param(25, marks=pytest.mark.prove)])
@pytest.mark.timeout(300)
def test_each_event_is_kept_once_over_kills_and_repeated_messages(kills: int, tmp_path: Path) -> None:
    """The process dies in mid-stream; what was not answered, and the last that was, are sent again."""
    path, done = tmp_path / "ledger.db", 0
    for _ in range(kills):
        done = _live_and_die(path, done, done + 12)
    asyncio.run(live(path, done, done + 1))
    with ledger_with(tmp_path, []) as ledger:
        transactions = ledger.load().transactions
        events = outbox(ledger).page({DEFAULT: 0}, 100_000)

    sessions: dict[int, list[str]] = {}
    for one in events:
        if one.body["type"].startswith("session."):
            sessions.setdefault(one.body["data"]["transaction_id"], []).append(one.body["type"])
    assert len(sessions) == done + 2
    assert sessions == {number: ["session.started", "session.stopped"] for number in transactions}
    assert [one.number for one in events] == list(range(1, len(events) + 1))
    thresholds = [one.body["data"]["percent"] for one in events if one.body["type"].startswith("quota.")]
    assert thresholds == [80, 95, 100]


def _live_and_die(path: Path, first: int, last: int) -> int:
    """Until session `last` was answered, or a little later. Gives the last that was."""
    with subprocess.Popen([sys.executable, CHILD, path, str(first)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        answered = first
        for line in child.stdout:
            answered = int(line)
            if answered == last:
                child.send_signal(signal.SIGKILL)
    assert child.returncode == -signal.SIGKILL
    return answered
