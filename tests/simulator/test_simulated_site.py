"""The demo site, its sample files, and the command line."""

import asyncio
import csv
import io
import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from simulator import ABSENT, FaultKind, MeterFault
from simulator.__main__ import behaviour_of, parse_arguments
from simulator.clock import SimulatorClock
from simulator.demo_data import write_demo_data
from simulator.site import DEMO_CHARGERS, DemoSite

ROOT = Path(__file__).parents[2]
NOW = datetime(2025, 3, 14, 9, 26, tzinfo=UTC)


async def test_about_half_the_site_charges(central: Any) -> None:
    """A dozen charge points boot, drivers come and go, sessions end."""
    site = DemoSite(central.url, SimulatorClock(factor=20_000), seed=1)
    running = asyncio.create_task(site.run())

    await central.until(lambda: len(central.of("StopTransaction")) > 6, 20)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert {frame.charger_id for frame in central.of("BootNotification")} == {
        charger.charger_id for charger in DEMO_CHARGERS
    }
    assert all(not point.refused for point in site.charge_points)


def test_sample_files_are_complete_and_believable(tmp_path: Path) -> None:
    """Twenty users, quotas of 5 to 200 kWh, one unlimited, one blocked, two on one account; kWh with ≤ 3 decimals."""
    write_demo_data(tmp_path, NOW)

    users = list(csv.DictReader(io.StringIO((tmp_path / "users1.csv").read_text(encoding="utf-8"))))
    usage = json.loads((tmp_path / "energy_usage.json").read_text(encoding="utf-8"))
    status = json.loads((tmp_path / "charger_status.json").read_text(encoding="utf-8"))
    quotas = [float(user["quota_kwh"]) for user in users if user["unlimited"] == "FALSE"]
    assert [user["id_tag"] for user in users] == list(usage) == [f"DEMO{n:04}" for n in range(1, 21)]
    assert (min(quotas), max(quotas), len(quotas)) == (5, 200, 19)
    assert [user["blocked"] for user in users].count("TRUE") == 1
    assert len({user["account"] for user in users if user["account"]}) == 1
    assert all(round(kwh, 3) == kwh for kwh in usage.values())
    assert set(status) == {charger.charger_id for charger in DEMO_CHARGERS}
    assert sum(entry["total_energy_delivered"] for entry in status.values()) > sum(usage.values())
    assert (tmp_path / ".demo").exists()


def test_sample_files_never_replace_what_is_there(tmp_path: Path) -> None:
    """A second run writes nothing."""
    (tmp_path / "users1.csv").write_text("mine", encoding="utf-8")

    first, second = write_demo_data(tmp_path, NOW), write_demo_data(tmp_path, NOW)

    assert (tmp_path / "users1.csv").read_text(encoding="utf-8") == "mine"
    assert len(first) == 4
    assert second == []


def test_misbehaviours_can_be_asked_for_on_the_command_line() -> None:
    """Each field of Behaviour has its flag."""
    parsed = parse_arguments(
        [
            *("--charger-id", "CP1", "--retry-start", "--wrong-transaction-id", "-1"),
            *("--offline-queue-s", "60", "--meter-faults", "restart@600,zero@900"),
        ]
    )

    behaviour = behaviour_of(parsed)

    assert behaviour.retry_start
    assert behaviour.wrong_transaction_id == -1
    assert behaviour.offline_queue_s == 60
    assert behaviour.meter_faults == (MeterFault(FaultKind.RESTART, 600), MeterFault(FaultKind.ZERO, 900))
    assert behaviour_of(parse_arguments(["--demo", "--wrong-transaction-id", "absent"])).wrong_transaction_id is ABSENT


async def start_simulator(*arguments: str, factor: float = 1) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "simulator", *arguments),
        cwd=ROOT,
        env={**os.environ, "EVQUOTA_CLOCK_FACTOR": str(factor)},
        stdout=subprocess.PIPE,
    )


async def test_one_session_on_the_command_line_ends_by_itself(central: Any) -> None:
    """`--tag --kw --minutes`: boots, charges, stops, exit code 0, a line for each event."""
    process = await start_simulator(
        *("--url", central.url, "--charger-id", "LIVOLTEK_01", "--brand", "livoltek", "--tag", "RFID001"),
        *("--kw", "11", "--minutes", "30"),
        factor=3600,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 20)

    assert process.returncode == 0
    assert central.payloads("StopTransaction")[0]["meterStop"] >= 5
    assert b"LIVOLTEK_01" in output
    assert b"started 1000 RFID001 on connector 1 at 11 kW: Accepted" in output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_demo_cleanly(central: Any, number: signal.Signals) -> None:
    """Exit code 0, connections closed."""
    process = await start_simulator("--url", central.url, "--demo")
    await central.until(lambda: len(central.of("BootNotification")) == len(DEMO_CHARGERS), 20)

    process.send_signal(number)
    output, _ = await asyncio.wait_for(process.communicate(), 10)

    assert process.returncode == 0
    assert output.endswith(b"ended\n")
