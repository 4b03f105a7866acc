"""`./run bench` runs to its end against both servers and finds the books right; how fast they are is not asked here."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ocpp_server.env_file import PREFIX
from ocpp_server.settings import PROJECT_FOLDER


@pytest.mark.prove
def test_a_quick_run_measures_both_servers_and_finds_the_books_right(tmp_path: Path) -> None:
    """The exit code is 0 only if energy_usage.json holds what was sent, to the Wh, and `verify` agrees."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    command = [sys.executable, "-m", "bench", "--quick", "--chargers", "5", "--users", "10", "--folder", str(tmp_path)]

    run = subprocess.run(command, cwd=PROJECT_FOLDER, env=environment, capture_output=True, text=True, timeout=50)

    assert run.returncode == 0, run.stdout + run.stderr
    assert "| evquota | bare ocpp + websockets |" in run.stdout
    assert "The books are right" in run.stdout
    assert "messages/s, 5 chargers" in run.stdout
    assert not list(tmp_path.iterdir())
