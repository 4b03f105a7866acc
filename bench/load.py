"""The load, a process of its own: `python -m bench.load`, a Plan as JSON on stdin, a Result as JSON on stdout."""

import asyncio
import gc
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from bench import processes
from bench.charge_point import ChargePoint, Tally, session_stamps

STORM = 100
"""Sessions that begin at the same moment."""
_CONNECT_AT_ONCE = 50
_LONGEST_REST_S = 30.0
_OPEN_WARM_UP_S = 0.5
_now = time.perf_counter


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do. Times in seconds, rates per second."""

    port: int
    server_pid: int
    chargers: int
    id_tags: tuple[str, ...]
    """The tag of each charge point, in turn."""
    session_from: str
    session_until: str
    """ISO 8601."""
    reads_configuration: bool
    """Whether the server reads each charge point's configuration: the load waits for that."""
    may_spin: bool
    """There is a core for the load alone, so it may wait for a moment without sleeping."""
    warm_up_s: float
    closed_s: float
    open_s: float
    open_rate: float
    reconnects: int
    reconnect_rate: float


@dataclass(frozen=True, slots=True)
class Result:
    """What came of it. Latencies in ms: p50, p99, p999, worst."""

    messages_per_s: float
    cpu_us_per_message: float
    closed_ms: tuple[float, float, float, float]
    open_ms: tuple[float, float, float, float]
    start_storm_ms: tuple[float, float, float, float]
    reconnect_ms: tuple[float, float, float, float]
    rss_mb: float
    load_cpu: float
    """Share of its core that the load itself used in the closed loop."""
    messages: int
    energy_wh: dict[str, int]
    """By tag, as the registers of all its sessions tell."""
    problems: dict[str, int]


async def run(plan: Plan) -> Result:
    """Boot, start, closed loop, open loop, stop, reconnect, all of it once."""
    problems: Counter[str] = Counter()
    stamps = session_stamps(datetime.fromisoformat(plan.session_from), datetime.fromisoformat(plan.session_until))
    tags = plan.id_tags
    charge_points = [
        ChargePoint(number, tags[number % len(tags)], plan.port, stamps, problems) for number in range(plan.chargers)
    ]
    await _boot(charge_points, plan)
    storm = await _start(charge_points)
    gc.collect()
    gc.freeze()
    gc.disable()
    closed, messages_per_s, cpu_us, load_cpu = await _closed_loop(charge_points, plan, problems)
    rss = processes.rss_bytes(plan.server_pid)
    opened = await _open_loop(charge_points, plan, problems)
    await asyncio.gather(*(one.stop() for one in charge_points))
    reconnected = await _reconnect(charge_points, plan)
    await asyncio.gather(*(one.close() for one in charge_points))
    energy: Counter[str] = Counter()
    for one in charge_points:
        energy[one.id_tag] += one.energy_wh
    return Result(
        messages_per_s=messages_per_s,
        cpu_us_per_message=cpu_us,
        closed_ms=_percentiles(closed.latencies_s),
        open_ms=_percentiles(opened.latencies_s),
        start_storm_ms=_percentiles(storm),
        reconnect_ms=_percentiles(reconnected),
        rss_mb=rss / 1e6,
        load_cpu=load_cpu,
        messages=len(closed.latencies_s),
        energy_wh=dict(energy),
        problems=dict(problems),
    )


async def _boot(charge_points: list[ChargePoint], plan: Plan) -> None:
    for first in range(0, len(charge_points), _CONNECT_AT_ONCE):
        await asyncio.gather(*(one.boot() for one in charge_points[first : first + _CONNECT_AT_ONCE]))
    latest = _now() + _LONGEST_REST_S
    while plan.reads_configuration and _now() < latest and not all(one.is_configured for one in charge_points):
        await asyncio.sleep(0.05)
    await asyncio.gather(*(one.authorize() for one in charge_points))


async def _start(charge_points: list[ChargePoint]) -> list[float]:
    """Begin all sessions; gives the latencies of the first hundred, which begin at the same moment."""
    begin = _now()
    answered = await asyncio.gather(*(one.start() for one in charge_points[:STORM]))
    await asyncio.gather(*(one.start() for one in charge_points[STORM:]))
    return [at - begin for at in answered]


async def _closed_loop(
    charge_points: list[ChargePoint], plan: Plan, problems: Counter[str]
) -> tuple[Tally, float, float, float]:
    """The tally, messages per second, CPU µs of the server per message, and the load's own share of its core."""
    tally = Tally()
    for one in charge_points:
        one.send_for_ever(tally)
    await asyncio.sleep(plan.warm_up_s)
    tally.is_measuring = True
    begin, server_cpu, load_cpu = _now(), processes.cpu_s(plan.server_pid), time.process_time()
    await asyncio.sleep(plan.closed_s)
    tally.is_measuring = False
    seconds, messages = _now() - begin, len(tally.latencies_s)
    server_cpu, load_cpu = processes.cpu_s(plan.server_pid) - server_cpu, time.process_time() - load_cpu
    for one in charge_points:
        one.rest()
    await _until_at_rest(charge_points, problems)
    return tally, messages / seconds, 1e6 * server_cpu / max(messages, 1), load_cpu / seconds


async def _open_loop(charge_points: list[ChargePoint], plan: Plan, problems: Counter[str]) -> Tally:
    """Readings at a fixed rate, each timed from the moment it was due: a stall is not hidden by our waiting for it."""
    tally = Tally()
    begin = _now()
    for number in range(round(plan.open_rate * (_OPEN_WARM_UP_S + plan.open_s))):
        due = begin + number / plan.open_rate
        while (left := due - _now()) > 0:
            await asyncio.sleep(0 if plan.may_spin else left)
        tally.is_measuring = due >= begin + _OPEN_WARM_UP_S
        charge_points[number % len(charge_points)].send_due(tally, due)
    await _until_at_rest(charge_points, problems)
    return tally


async def _until_at_rest(charge_points: list[ChargePoint], problems: Counter[str]) -> None:
    latest = _now() + _LONGEST_REST_S
    while any(one.is_busy for one in charge_points):
        if _now() > latest:
            problems["MeterValues not answered"] += sum(one.is_busy for one in charge_points)
            return
        await asyncio.sleep(0.005)


async def _reconnect(charge_points: list[ChargePoint], plan: Plan) -> list[float]:
    """Everybody is gone and comes back, so many in a second; latencies from the moment due until the boot's answer."""
    latencies: list[float] = []
    for _ in range(plan.reconnects):
        await asyncio.gather(*(one.close() for one in charge_points))
        await asyncio.sleep(0.3)
        begin = _now()
        boots = [_boot_at(one, begin + number / plan.reconnect_rate) for number, one in enumerate(charge_points)]
        latencies += await asyncio.gather(*boots)
    return latencies


async def _boot_at(charge_point: ChargePoint, due: float) -> float:
    await asyncio.sleep(due - _now())
    return await charge_point.boot() - due


def _percentiles(latencies_s: Sequence[float]) -> tuple[float, float, float, float]:
    """p50, p99, p999 and the worst, in ms."""
    if not latencies_s:
        return (0.0, 0.0, 0.0, 0.0)
    in_order = sorted(latencies_s)
    p50, p99, p999 = (in_order[min(len(in_order) - 1, int(len(in_order) * part))] for part in (0.5, 0.99, 0.999))
    return (p50 * 1000, p99 * 1000, p999 * 1000, in_order[-1] * 1000)


def main() -> None:
    import uvloop

    plan = Plan(**json.load(sys.stdin))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        result = runner.run(run(plan))
    json.dump(asdict(result), sys.stdout)


if __name__ == "__main__":
    main()
