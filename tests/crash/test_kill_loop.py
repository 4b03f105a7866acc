"""The server is killed again and again while twenty charge points charge: nothing acknowledged is lost or doubled (F1).

KILL_LOOP_KILLS sets how many kills the long proof makes, KILL_LOOP_SEED repeats a run.
"""

import asyncio
import json
import os
import random
import signal
import sqlite3
import subprocess
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path

import pytest
from file_reader import TirelessReader
from server_process import LIMIT_S, ServerProcess, command_line, make_site, published_files
from tireless_charge_point import Tally, TirelessChargePoint, charging

CHARGE_POINTS = 20
TAGS = [f"TAG{number:03d}" for number in range(24)]
USERS = "id_tag,name,surname,quota_kwh,unlimited\n" + "".join(f"{tag},Ada,L{tag[-2:]},,TRUE\n" for tag in TAGS)
LONGEST_START_S = 0.7
"""Kills during a start fall somewhere in this time."""


def make_charge_points(url: str, tally: Tally, seed: int, mean_messages: int) -> list[TirelessChargePoint]:
    """Each has three tags, and shares one with its neighbour."""
    return [
        TirelessChargePoint(
            f"CP{number:02d}",
            url,
            [TAGS[number], TAGS[(number + 1) % 24], "TAG023"],
            tally,
            seed + number,
            mean_messages,
        )
        for number in range(CHARGE_POINTS)
    ]


def check_books_of_the_dead(data_dir: Path, charge_points: list[TirelessChargePoint]) -> None:
    """What was acknowledged is in the ledger at the moment of death, and nothing that no register ever showed.

    Later messages would cover up a lost one: registers are absolute.
    """
    ledger_path = data_dir / "ledger.db"
    open_sessions = [
        (charge_point.charger_id, session)
        for charge_point in charge_points
        for session in charge_point.sessions[-3:]
        if session.transaction_id is not None
    ]
    if not open_sessions:
        return
    with closing(sqlite3.connect(f"file:{ledger_path}?mode=ro", uri=True)) as ledger:
        for charger_id, session in open_sessions:
            row = ledger.execute(
                "SELECT charge_point_id, document FROM transactions WHERE transaction_id = ?", (session.transaction_id,)
            ).fetchone()
            assert row is not None, f"{charger_id}: transaction {session.transaction_id} was acknowledged and is gone"
            assert row[0] == charger_id
            booked = sum(wh for _month, wh in json.loads(row[1])["booked"])
            assert booked >= session.acknowledged_wh - session.start_wh, f"{charger_id}: acknowledged Wh are gone"
            assert booked <= session.register_wh - session.start_wh, f"{charger_id}: more Wh than the register showed"


async def kill_at_a_random_moment(
    server: ServerProcess, tally: Tally, chance: random.Random, charge_points: list[TirelessChargePoint]
) -> int:
    """Start it and kill it, now and then before it listens; gives how many charge points waited for an answer."""
    server.start()
    assert server.process is not None
    if chance.random() < 0.25:
        with suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(server.process.wait, chance.uniform(0.0, LONGEST_START_S))
    else:
        await tally.until_acknowledged(tally.acknowledged + chance.randrange(1, 160), LIMIT_S)
    in_flight = sum(charge_point.is_waiting_for_answer for charge_point in charge_points)
    assert not server.has_ended, server.output()
    await asyncio.to_thread(server.kill)
    check_books_of_the_dead(server.data_dir, charge_points)
    return in_flight


def expected_wh(charge_points: list[TirelessChargePoint]) -> dict[str, int]:
    """By tag, as the registers say."""
    wanted: Counter[str] = Counter()
    for charge_point in charge_points:
        for session in charge_point.sessions:
            wanted[session.id_tag] += session.register_wh - session.start_wh
    return {tag: wh for tag, wh in wanted.items() if wh}


def wh_in_ledger(data_dir: Path) -> dict[str, int]:
    """By tag, over all months: a run may go past midnight of the last day."""
    with closing(sqlite3.connect(f"file:{data_dir / 'ledger.db'}?mode=ro", uri=True)) as ledger:
        return {tag: wh for tag, wh in ledger.execute("SELECT id_tag, sum(wh) FROM bookings GROUP BY 1") if wh}


def wh_in_files(data_dir: Path) -> dict[str, int]:
    """By tag, over the open month and the closed ones."""
    found: Counter[str] = Counter()
    for path in published_files(data_dir):
        if path.name.startswith("energy_usage"):
            for tag, kwh in json.loads(path.read_bytes()).items():
                found[tag] += round(kwh * 1000)
    return {tag: wh for tag, wh in found.items() if wh}


def transactions_in_ledger(data_dir: Path) -> dict[int, str]:
    with closing(sqlite3.connect(f"file:{data_dir / 'ledger.db'}?mode=ro", uri=True)) as ledger:
        return dict(ledger.execute("SELECT transaction_id, charge_point_id FROM transactions"))


async def survive(folder: Path, *, kills: int, seed: int, mean_messages: int) -> None:
    """Kill the server so often, then let everybody finish, and compare all books with all registers."""
    print(f"KILL_LOOP_SEED={seed} kills={kills}")
    chance = random.Random(seed)
    tally = Tally()
    server = ServerProcess(make_site(folder / "data", USERS), max_power_kw=1000)
    charge_points = make_charge_points(server.url, tally, seed, mean_messages)
    with server, TirelessReader(server.data_dir) as reader:
        async with charging(charge_points):
            await tally.until_acknowledged(50, LIMIT_S)
            await asyncio.to_thread(server.kill)
            in_flight = [await kill_at_a_random_moment(server, tally, chance, charge_points) for _ in range(kills - 1)]
            await asyncio.to_thread(server.started)
            await tally.until_acknowledged(tally.acknowledged + 200, LIMIT_S)
        assert await asyncio.to_thread(server.stop, signal.SIGTERM) == 0
        server_output = server.output()
    sessions = [
        (charge_point.charger_id, session) for charge_point in charge_points for session in charge_point.sessions
    ]
    print(
        f"acknowledged={tally.acknowledged} sent={tally.sent} repeated={tally.repeated} sessions={len(sessions)} "
        f"reads={reader.reads} waiting at a kill={sum(in_flight) / len(in_flight):.1f} of {CHARGE_POINTS} "
        f"kWh={sum(expected_wh(charge_points).values()) / 1000}"
    )

    assert reader.problems == []
    assert tally.refused == []
    assert not any(charge_point.queued for charge_point in charge_points)
    ids = {session.transaction_id: charger_id for charger_id, session in sessions}
    assert len(ids) == len(sessions)
    assert all(isinstance(number, int) and number > 0 for number in ids)
    assert transactions_in_ledger(server.data_dir) == ids
    wanted = expected_wh(charge_points)
    assert wh_in_ledger(server.data_dir) == wanted
    assert wh_in_files(server.data_dir) == wanted
    verdict = command_line(server.data_dir, "verify", **server.settings)
    assert (verdict.returncode, verdict.stderr) == (0, ""), verdict.stdout
    assert "Traceback" not in server_output


@pytest.mark.timeout(240)
async def test_nothing_acknowledged_is_lost_or_doubled_by_a_dozen_kills(tmp_path: Path) -> None:
    """12 kills with messages in flight: 0 Wh lost, 0 Wh doubled, every published file whole at every moment (F1)."""
    seed = int(os.environ.get("KILL_LOOP_SEED", "20251120"))
    await survive(tmp_path, kills=12, seed=seed, mean_messages=15)


@pytest.mark.prove
@pytest.mark.timeout(7200)
async def test_nothing_acknowledged_is_lost_or_doubled_by_a_thousand_kills(tmp_path: Path) -> None:
    """The same with 1,000 kills, or as many as KILL_LOOP_KILLS says."""
    seed = int(os.environ.get("KILL_LOOP_SEED", str(random.randrange(10**9))))
    await survive(tmp_path, kills=int(os.environ.get("KILL_LOOP_KILLS", "1000")), seed=seed, mean_messages=60)
