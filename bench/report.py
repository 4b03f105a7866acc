"""The figures of all rounds as a Markdown table, and the machine they were measured on."""

import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TypeAlias

from bench import processes
from bench.load import STORM, Result
from bench.measure import EVQUOTA, Options, Round

_PACKAGES = ("ocpp", "websockets", "uvloop", "msgspec")
_BUSY_LOAD = 0.9
_QUIET = 1.0

_Figure: TypeAlias = tuple[str, Callable[[Result], float], bool]
"""Its name, where it is, and whether more is better."""


def _figures(options: Options) -> list[_Figure]:
    chargers, rate, storm = options.chargers, options.open_rate, min(STORM, options.chargers)
    return [
        (f"messages/s, {chargers} chargers", lambda result: result.messages_per_s, True),
        ("CPU µs per message", lambda result: result.cpu_us_per_message, False),
        (f"p50 ms, {chargers} chargers", lambda result: result.closed_ms[0], False),
        (f"p99 ms, {chargers} chargers", lambda result: result.closed_ms[1], False),
        (f"p50 ms at {rate:g} messages/s", lambda result: result.open_ms[0], False),
        (f"p99 ms at {rate:g} messages/s", lambda result: result.open_ms[1], False),
        (f"{storm} starts at once: worst ms", lambda result: result.start_storm_ms[3], False),
        (f"{chargers} connect and boot in 1 s: p99 ms", lambda result: result.reconnect_ms[1], False),
        ("resident memory, MB", lambda result: result.rss_mb, False),
    ]


def machine(folder: Path) -> list[str]:
    """Processor, cores, kernel, Python, packages, the disk's fdatasync, and how busy the machine is."""
    server_core, load_core = processes.cores()
    packages = ", ".join(f"{package} {version(package)}" for package in _PACKAGES)
    load = "the same core" if load_core is None else f"core {load_core}"
    average = os.getloadavg()[0]
    busy = "" if average < _QUIET else " - NOT QUIET: trust CPU µs and ratios, not messages/s and latencies"
    return [
        f"- {_processor()}, {os.cpu_count()} cores; servers on core {server_core}, load on {load}",
        f"- Linux {platform.release()}, Python {platform.python_version()}, {packages}",
        f"- fdatasync after 4 KiB in {folder}: median {_fdatasync_ms(folder):.2f} ms",
        f"- load average at the start: {average:.2f}{busy}",
    ]


def table(options: Options, rounds: Sequence[Round]) -> list[str]:
    """One row per figure: the median over the rounds and its spread; ratios are taken within each round."""
    peers = options.servers[1:]
    lines = [
        "| " + " | ".join(["", *options.servers, *(f"evquota : {peer}" for peer in peers)]) + " |",
        "|---" * (1 + len(options.servers) + len(peers)) + "|",
    ]
    for name, figure, is_more_better in _figures(options):
        values = {server: [figure(one.results[server]) for one in rounds] for server in options.servers}
        cells = [_median_and_spread(values[server]) for server in options.servers]
        for peer in peers:
            ratios = [ours / theirs for ours, theirs in zip(values[EVQUOTA], values[peer], strict=True) if theirs]
            cells.append(f"{_median_and_spread(ratios)} {'×' if is_more_better else '× (less is better)'}")
        lines.append("| " + " | ".join([name, *cells]) + " |")
    return lines


def remarks(options: Options, rounds: Sequence[Round]) -> list[str]:
    """What a reader must know to judge the table: what was the limit, and what went wrong where."""
    lines = []
    for server in options.servers:
        busiest = max(one.results[server].load_cpu for one in rounds)
        if busiest > _BUSY_LOAD:
            lines.append(f"- The load used {busiest:.0%} of its core: {server} may be faster than the table says.")
        problems = {problem for one in rounds for problem in one.results[server].problems}
        if problems:
            lines.append(f"- {server}: {'; '.join(sorted(problems))}")
    messages = sum(one.results[EVQUOTA].messages for one in rounds)
    energy = sum(sum(one.results[EVQUOTA].energy_wh.values()) for one in rounds)
    wrong = [entry for one in rounds for entry in one.wrong]
    if wrong:
        lines += ["- THE BOOKS ARE WRONG:", *(f"  - {entry}" for entry in wrong[:20])]
    else:
        lines.append(
            f"- The books are right: {energy / 1000:,.3f} kWh of {messages:,} timed messages and all others, "
            f"{options.users} users, to the Wh, and `verify` agrees, after each round."
        )
    return lines


def _median_and_spread(values: Sequence[float]) -> str:
    if not values:
        return "-"
    low, middle, high = min(values), statistics.median(values), max(values)
    digits = 0 if middle >= 1000 else 1 if middle >= 10 else 2
    spread = f" ({low:,.{digits}f}–{high:,.{digits}f})" if len(values) > 1 else ""
    return f"{middle:,.{digits}f}{spread}"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _fdatasync_ms(folder: Path) -> float:
    path = folder / f"bench-fdatasync-{os.getpid()}"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        times = []
        for _ in range(50):
            os.write(descriptor, bytes(4096))
            begin = time.perf_counter()
            os.fdatasync(descriptor)
            times.append(time.perf_counter() - begin)
    finally:
        os.close(descriptor)
        path.unlink()
    return statistics.median(times) * 1000
