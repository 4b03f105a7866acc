"""`python -m bench.dashboard` runs to its end and its viewers see their pages refreshed; how fast is not asked here."""

import os
import subprocess
import sys

import pytest

from ocpp_server.env_file import PREFIX
from ocpp_server.settings import PROJECT_FOLDER


@pytest.mark.prove
@pytest.mark.timeout(300)
def test_the_viewers_see_their_pages_refreshed() -> None:
    """An error on a page, or a page that stands still, ends it with a message."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    options = ["--chargers", "3", "--users", "10", "--viewers", "2", "--seconds", "20", "--rounds", "0"]

    run = subprocess.run(
        [sys.executable, "-m", "bench.dashboard", *options],
        cwd=PROJECT_FOLDER,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
    )

    assert run.returncode == 0, run.stdout + run.stderr
    assert "2 viewers for" in run.stdout
