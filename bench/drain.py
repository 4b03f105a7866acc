"""`python -m bench.drain`: how fast a backlog of readings is posted, and what that does to those who charge.

The backlog: the same readings go to the same receiver from evquota's delivery (ledger, positions, retries and all) and
from a bare aiohttp client that knows nothing but a list of bodies; both in one process of their own, in turns. With
`--charging`: the benchmark's load on a whole server that forwards nothing, to a receiver that is away, and to one that
is there. Exit code 1: a reading did not arrive.
"""

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import aiohttp

from bench import processes, report
from bench.measure import EVQUOTA, Options, run_rounds
from ocpp_server.app import _loop_factory
from ocpp_server.central_system import CentralSystem
from ocpp_server.clock import Clock
from ocpp_server.core import changes as ch
from ocpp_server.core.energy import Wh
from ocpp_server.core.records import Reading
from ocpp_server.core.site import Policy
from ocpp_server.core.users import IdTag
from ocpp_server.delivery.destination import Outcome
from ocpp_server.delivery.destinations import Destinations
from ocpp_server.delivery.engine import Engine
from ocpp_server.delivery.outbox import Item
from ocpp_server.delivery.pace import DeliveryOptions
from ocpp_server.delivery.reading_outbox import ReadingOutbox
from ocpp_server.forwarder import Forwarder
from ocpp_server.settings import PROJECT_FOLDER
from ocpp_server.storage.deliveries import Deliveries
from ocpp_server.storage.documents import packed, reading_document
from ocpp_server.storage.ledger import Ledger

_CHARGERS = 20
_LONGEST_S = 600
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass(frozen=True, slots=True)
class Way:
    """One way to send the backlog; `peer`: the bare client that it is held against."""

    name: str
    at_once: int
    batch: int = 1
    is_bare: bool = False
    peer: str = ""


_BARE, _BARE_8 = "bare aiohttp client, one by one", "bare aiohttp client, 8 at once"
WAYS = (
    Way(_BARE, 1, is_bare=True),
    Way(_BARE_8, 8, is_bare=True),
    Way("evquota, one lane", 1, peer=_BARE),
    Way("evquota, 8 lanes (default)", 8, peer=_BARE_8),
    Way("evquota, 8 lanes, arrays of 50", 8, 50, peer=_BARE_8),
)


class CountingForwarder(Forwarder):
    """Tells when the last reading was accepted."""

    def __init__(self, url: str, count: int, *, is_batch: bool) -> None:
        super().__init__(url, lambda: datetime.now(UTC), is_batch=is_batch)
        self._left = count
        self.done = asyncio.Event()

    async def send(self, items: Sequence[Item]) -> Outcome:
        outcome = await super().send(items)
        self._left -= len(items) if outcome == () else 0
        if self._left <= 0:
            self.done.set()
        return outcome


def main() -> int:
    """Run all rounds and print a table; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.drain", description=__doc__)
    parser.add_argument("--readings", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--charging", action="store_true", help="p99 of messages with a receiver down and up instead")
    parser.add_argument("--folder", type=Path, default=PROJECT_FOLDER / "var", help="where ledgers are written")
    parser.add_argument("--receive", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.receive:
        asyncio.run(_receive())
        return 0
    arguments.folder.mkdir(exist_ok=True)
    print("\n".join(report.machine(arguments.folder)), flush=True)
    with _receiver() as url:
        if arguments.charging:
            return _charging(url, arguments.rounds, arguments.folder)
        return _drain(url, arguments.readings, arguments.rounds, arguments.folder)


def _drain(url: str, count: int, rounds: int, folder: Path) -> int:
    speeds: dict[str, list[float]] = {way.name: [] for way in WAYS}
    with processes.pinned(processes.cores()[0]), asyncio.Runner(loop_factory=_loop_factory()) as runner:
        for number in range(1, rounds + 1):
            for way in WAYS:
                with tempfile.TemporaryDirectory(prefix="drain-", dir=folder) as made:
                    seconds = runner.run(_send(way, url, count, Path(made)))
                speeds[way.name].append(count / seconds)
            print(f"round {number} of {rounds}", file=sys.stderr, flush=True)
    print(f"\n| {count:,} readings | readings/s | to the bare client |\n|---|---|---|")
    for way in WAYS:
        ratios = [mine / peer for mine, peer in zip(speeds[way.name], speeds.get(way.peer, []), strict=False)]
        ratio = f"{_spread(ratios, '.2f')} ×" if ratios else ""
        print(f"| {way.name} | {_spread(speeds[way.name], ',.0f')} | {ratio} |")
    return 0


async def _send(way: Way, url: str, count: int, folder: Path) -> float:
    """Real seconds. Raises TimeoutError if a reading does not arrive."""
    now = datetime.now(UTC)
    readings = [
        Reading(n, f"k{n}", now, f"CP{n % _CHARGERS:02d}", 1, 7, IdTag("RFID001"), "John Doe", 7200, Wh(n * 10), None)
        for n in range(1, count + 1)
    ]
    async with asyncio.timeout(_LONGEST_S):
        return await (_bare(way, url, readings, folder) if way.is_bare else _evquota(way, url, readings, folder))


async def _bare(way: Way, url: str, readings: list[Reading], folder: Path) -> float:
    ledger = _ledger(folder)
    site = ledger.load()
    bodies = iter([packed(reading_document(site, one)) for one in readings])
    ledger.close()

    async def post_on(session: aiohttp.ClientSession) -> None:
        for body in bodies:
            async with session.post(url, data=body, headers={"Content-Type": "application/json"}) as answer:
                await answer.read()

    began = time.monotonic()
    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(post_on(session) for _ in range(way.at_once)))
    return time.monotonic() - began


async def _evquota(way: Way, url: str, readings: list[Reading], folder: Path) -> float:
    ledger = _ledger(folder)
    deliveries = Deliveries(ledger)
    await deliveries.note("forwarder", "readings", {"": 0})  # before the commit, which keeps what is waited for
    await ledger.commit([ch.AddReading(one) for one in readings])
    site = ledger.load()
    forwarder = CountingForwarder(url, len(readings), is_batch=way.batch > 1)
    options = DeliveryOptions(lanes=way.at_once, batch=way.batch)
    engine = Engine(forwarder, ReadingOutbox(deliveries, site), deliveries, Clock(), options)
    destinations = Destinations([engine], deliveries, CentralSystem(ledger, site), Clock(), most_bytes=2**40)
    began = time.monotonic()
    running = asyncio.create_task(destinations.run())
    await forwarder.done.wait()
    seconds = time.monotonic() - began
    running.cancel()
    await asyncio.wait([running])
    ledger.close()
    return seconds


def _ledger(folder: Path) -> Ledger:
    ledger = Ledger(folder / "ledger.db", Policy(ZoneInfo("UTC")), datetime.now(UTC), reserve_bytes=0)
    ledger.open()
    return ledger


def _charging(url: str, rounds: int, folder: Path) -> int:
    away = f"http://127.0.0.1:{processes.free_port()}/"
    ways = {"forwards nothing": "", "receiver away": away, "receiver there": url}
    figures: dict[str, list[tuple[float, float, float]]] = {name: [] for name in ways}
    wrong: list[str] = []
    for number in range(1, rounds + 1):
        for name, forward_url in ways.items():
            options = replace(Options(), rounds=1, has_peers=False, forward_url=forward_url, folder=folder)
            for one in run_rounds(options):
                result = one.results[EVQUOTA]
                figures[name].append((result.messages_per_s, result.closed_ms[1], result.open_ms[1]))
                wrong += one.wrong
        print(f"round {number} of {rounds}", file=sys.stderr, flush=True)
    print("\n| 200 charge points | messages/s | p99 ms, closed loop | p99 ms at 1000 messages/s |\n|---|---|---|---|")
    for name, found in figures.items():
        cells = [_spread([one[place] for one in found], form) for place, form in enumerate((",.0f", ".1f", ".1f"))]
        print(f"| {name} | {' | '.join(cells)} |")
    print("\n".join(["", *wrong]) if wrong else "\nThe books are right.")
    return 1 if wrong else 0


def _spread(values: Sequence[float], form: str) -> str:
    return f"{statistics.median(values):{form}} ({min(values):{form}}–{max(values):{form}})"


@contextmanager
def _receiver() -> Iterator[str]:
    """A receiver in a process of its own, on the other core where there is one."""
    core = processes.cores()[1]
    with processes.pinned(core if core is not None else processes.cores()[0]):
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.drain", "--receive"], stdout=subprocess.PIPE, text=True, cwd=PROJECT_FOLDER
        )
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/readings"
    finally:
        process.kill()
        process.wait()


async def _receive() -> None:
    """Answers 200 to whatever has a Content-Length."""
    server = await asyncio.start_server(_serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.lower().partition(b"content-length:")[2].split()[0]))
            writer.write(_ANSWER)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


if __name__ == "__main__":
    sys.exit(main())
