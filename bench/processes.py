"""Processes and what Linux knows of them: the core they run on, their CPU time, their memory."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_LONGEST_START_S = 30.0
_LONGEST_STOP_S = 30.0


class BenchError(Exception):
    """The benchmark could not be run to its end; the message says which part failed and what it said."""


def cores() -> tuple[int, int | None]:
    """The core for the servers, and another one for the load, not a twin (SMT) of the first where there is a choice."""
    usable = sorted(os.sched_getaffinity(0))
    first, others = usable[0], usable[1:]
    twins = _twins(first)
    return first, next((core for core in others if core not in twins), others[0] if others else None)


def _twins(core: int) -> set[int]:
    try:
        text = Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list").read_text()
    except OSError:
        return {core}
    twins: set[int] = set()
    for part in text.strip().split(","):
        begin, _, end = part.partition("-")
        twins |= set(range(int(begin), int(end or begin) + 1))
    return twins


@contextmanager
def pinned(core: int | None) -> Iterator[None]:
    """What is started within this block runs on this core alone."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, before if core is None else {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def server(arguments: list[str], port: int, core: int, log: Path, environment: Mapping[str, str]) -> Iterator[int]:
    """A Python server on its core while the block runs; gives its pid. Raises BenchError if it does not come up."""
    with log.open("wb") as output, pinned(core):
        process = subprocess.Popen([sys.executable, *arguments], stdout=output, stderr=output, env=dict(environment))
    try:
        _wait_until_listening(process, port, log)
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(_LONGEST_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_listening(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    latest = time.monotonic() + _LONGEST_START_S
    while process.poll() is None and time.monotonic() < latest:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise BenchError(
        f"the server did not come up (status {process.poll()}):\n{log.read_text(errors='replace')[-2000:]}"
    )


def cpu_s(pid: int) -> float:
    """CPU seconds, user and system, of a process with all its threads and children."""
    return sum(_ticks(member) for member in _family(pid)) / _TICKS_PER_S


def rss_bytes(pid: int) -> int:
    """Resident memory of a process and its children."""
    return sum(int(Path(f"/proc/{member}/statm").read_text().split()[1]) * _PAGE for member in _family(pid))


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15]))  # utime, stime, and those of children that have ended


def _family(pid: int) -> list[int]:
    children: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        children += map(int, (task / "children").read_text().split())
    return [pid, *(member for child in children for member in _family(child))]
