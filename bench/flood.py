"""`python -m bench.flood`: how long 20 honest charge points wait, without and beside 50 flooding connections.

Three processes: the server on its core, the flood and the honest ones on the other. The honest ones send one reading a
second each; each answer is timed from the moment its reading was due.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import cycle
from pathlib import Path

from bench import processes, report
from bench.charge_point import ChargePoint, Tally, session_stamps
from bench.measure import _environment
from ocpp_server.settings import PROJECT_FOLDER, Settings

HONEST, HOSTILE = 20, 50
_SETTLE_S = 12.0
"""By then the bursts that everybody has are over."""
_HEAD = "GET /HOSTILE{} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
_KEY = "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nSec-WebSocket-Version: 13\r\n\r\n"
_FRAMES = (b'[2,"h","Heartbeat",{}]', b"no frame at all", b'[3,"u",{}]', b'[2,"d","DataTransfer",{"vendorId":"x"}]')
_NO_MASK = bytes(4)


async def _flood(port: int, number: int, frame: bytes) -> None:
    """Send as fast as it is taken, throw away what comes back, come again when the line is closed."""
    volley = b"".join((bytes((0x81, 0x80 | len(frame))), _NO_MASK, frame)) * 50
    while True:
        with suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write((_HEAD.format(number) + _KEY).encode())
            reading = asyncio.create_task(_throw_away(reader))
            try:
                while not reading.done():
                    writer.write(volley)
                    await writer.drain()
            finally:
                reading.cancel()
                writer.transport.abort()
        await asyncio.sleep(0.2)


async def _throw_away(reader: asyncio.StreamReader) -> None:
    with suppress(OSError):
        while await reader.read(65536):
            pass


async def _fire(port: int) -> None:
    await asyncio.gather(*(_flood(port, number, frame) for number, frame in zip(range(HOSTILE), cycle(_FRAMES))))


async def _measure(port: int, seconds: float, settle_s: float) -> tuple[Tally, Counter[str]]:
    problems: Counter[str] = Counter()
    now = datetime.now(UTC)
    stamps = session_stamps(now - timedelta(hours=10), now)
    honest = [ChargePoint(number, "RFID001", port, stamps, problems) for number in range(HONEST)]
    await asyncio.gather(*(one.boot() for one in honest))
    await asyncio.gather(*(one.start() for one in honest))
    tally = Tally()
    await asyncio.sleep(settle_s)
    tally.is_measuring = True
    begin = time.perf_counter()
    for number in range(round(seconds * HONEST)):
        due = begin + number / HONEST
        await asyncio.sleep(due - time.perf_counter())
        honest[number % HONEST].send_due(tally, due)
    latest = time.perf_counter() + 30
    while any(one.is_busy for one in honest) and time.perf_counter() < latest:
        await asyncio.sleep(0.01)
    problems["readings not answered"] += sum(one.is_busy for one in honest)
    await asyncio.gather(*(one.stop() for one in honest))
    return tally, +problems


def _round(folder: Path, seconds: float, *, with_flood: bool) -> str:
    data_dir = folder / "data"
    data_dir.mkdir(mode=0o750)
    (data_dir / "users1.csv").write_text("id_tag,name,surname,quota_kwh,unlimited\nRFID001,A,B,,TRUE\n")
    port, (core, other) = processes.free_port(), processes.cores()
    settings = Settings(
        _env_file=None,  # type: ignore[call-arg]
        data_dir=data_dir,
        ocpp_host="127.0.0.1",
        ocpp_port=port,
        api_port=0,
        timezone="UTC",
    )
    environment = _environment() | settings.as_environment()
    with (
        processes.server(["-m", "ocpp_server", "serve"], port, core, folder / "server.log", environment),
        processes.pinned(other),
    ):
        fire = subprocess.Popen([sys.executable, "-m", "bench.flood", "--fire", str(port)]) if with_flood else None
        try:
            tally, problems = asyncio.run(_measure(port, seconds, _SETTLE_S if with_flood else 0.0))
        finally:
            if fire is not None:
                fire.kill()
                fire.wait()
    times = sorted(tally.latencies_s)
    p50, p99 = (1000 * times[int(len(times) * part)] for part in (0.5, 0.99))
    return f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, worst {1000 * times[-1]:.1f} ms; problems: {dict(problems) or 'none'}"


def main() -> None:
    """Print the figures of each round."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fire", type=int, metavar="PORT", help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=3, help="(%(default)s)")
    parser.add_argument("--seconds", type=float, default=15.0, help="measured in each (%(default)s)")
    arguments = parser.parse_args()
    if arguments.fire:
        asyncio.run(_fire(arguments.fire))
        return
    folder = PROJECT_FOLDER / "var"
    folder.mkdir(exist_ok=True)
    print("\n".join(report.machine(folder)), flush=True)
    for _ in range(arguments.rounds):
        for with_flood in (False, True):
            with tempfile.TemporaryDirectory(prefix="flood-", dir=folder) as made:
                told = _round(Path(made), arguments.seconds, with_flood=with_flood)
            print(f"- {HOSTILE if with_flood else 0} flooding connections: {told}", flush=True)
    print(f"- load average at the end: {os.getloadavg()[0]:.2f}")


if __name__ == "__main__":
    main()
