"""What holds for every test: no settings from outside, no deadline by the clock, and, where asked for, no skips."""

import os

import pytest
from hypothesis import settings

settings.register_profile("evquota", deadline=None)  # a loaded machine is no failure
settings.load_profile("evquota")

_NO_SKIPS = os.environ.get("EVQUOTA_NO_SKIPS") == "1"

for _name in [name for name in os.environ if name.startswith("EVQUOTA_")]:
    if _name not in ("EVQUOTA_VENV", "EVQUOTA_NO_SKIPS"):
        del os.environ[_name]


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """With EVQUOTA_NO_SKIPS=1 a skipped test is a failure: the machine was meant to have all that the tests need."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if _NO_SKIPS and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        reporter.write_line("EVQUOTA_NO_SKIPS=1: skipped tests count as failed", red=True)
