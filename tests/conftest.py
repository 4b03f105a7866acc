"""What holds for every test: no settings from outside, no deadline by the clock, no planted secret in the server's log,
and, where asked for, no skips.
"""

import logging
import os
from collections.abc import Iterator

import pytest
from canaries import trace_in
from hypothesis import settings

settings.register_profile("evquota", deadline=None)  # a loaded machine is no failure
settings.load_profile("evquota")

_NO_SKIPS = os.environ.get("EVQUOTA_NO_SKIPS") == "1"

for _name in [name for name in os.environ if name.startswith("EVQUOTA_")]:
    if _name not in ("EVQUOTA_VENV", "EVQUOTA_NO_SKIPS"):
        del os.environ[_name]


class _CanaryWatch(logging.Handler):
    """Reads every line that the server logs during the whole run (T16)."""

    def __init__(self) -> None:
        super().__init__()
        self.leaks: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        line = record.getMessage()
        if record.exc_info:
            line += repr(record.exc_info[1])
        if trace_in(line) is not None:
            self.leaks.append(line[:200])


@pytest.fixture(scope="session")
def canary_watch() -> Iterator[_CanaryWatch]:
    """Who looks at the log of the server from the first test to the last."""
    watch = _CanaryWatch()
    loggers = [logging.getLogger(name) for name in ("evquota", "ocpp_server")]
    for logger in loggers:
        logger.addHandler(watch)
        logger.setLevel(logging.INFO)  # at DEBUG each message is a line, and pytest keeps every one
    yield watch
    for logger in loggers:
        logger.removeHandler(watch)
        logger.setLevel(logging.NOTSET)


@pytest.fixture(autouse=True)
def no_planted_secret_is_logged(canary_watch: _CanaryWatch) -> Iterator[None]:
    """A test during which a planted secret of `canaries` came into the log has failed."""
    canary_watch.leaks.clear()
    yield
    assert not canary_watch.leaks


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """With EVQUOTA_NO_SKIPS=1 a skipped test is a failure: the machine was meant to have all that the tests need."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if _NO_SKIPS and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        reporter.write_line("EVQUOTA_NO_SKIPS=1: skipped tests count as failed", red=True)
