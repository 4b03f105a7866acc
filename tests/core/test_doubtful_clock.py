"""A clock that is wrong anyway proves no time: its stamps count for no more than our own clock allows (rules 5, 9)."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from ocpp_server.core.period import Gap, elapsed_s, moment_of

NOW = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
UTC_ZONE = ZoneInfo("UTC")


def elapsed(first: str, second: str, *, received_after_s: float, gaps: tuple[Gap, ...] = ()) -> float:
    """Seconds between two stamps that came so long after each other."""
    later = NOW + timedelta(seconds=received_after_s)
    return elapsed_s(moment_of(first, NOW, UTC_ZONE, gaps), moment_of(second, later, UTC_ZONE, gaps))


@pytest.mark.parametrize(
    ("first", "second"),
    [("1970-01-01T00:00:10Z", "1970-02-05T00:00:00Z"), ("2030-01-01T00:00:10Z", "2030-02-05T00:00:00Z")],
)
def test_a_clock_that_jumps_proves_no_month(first: str, second: str) -> None:
    """Two readings 6 s apart, 35 days by a clock that was never set: 29,999 kWh had been plausible."""
    assert elapsed(first, second, received_after_s=6) == 606


def test_a_clock_that_was_never_set_still_counts_seconds() -> None:
    """Its differences are right, and they are what is used as long as they can be."""
    assert elapsed("1970-01-01T00:10:00Z", "1970-01-01T00:11:00Z", received_after_s=75) == 60


def test_a_burst_after_an_outage_keeps_its_own_times() -> None:
    """What waited in the queue was taken while the charge point was not connected, up to that long ago."""
    gap = Gap(NOW - timedelta(hours=3), NOW - timedelta(minutes=1))

    assert elapsed("1970-01-01T00:00:00Z", "1970-01-01T02:00:00Z", received_after_s=1, gaps=(gap,)) == 7200
    assert elapsed("1970-01-01T00:00:00Z", "1970-01-02T00:00:00Z", received_after_s=1, gaps=(gap,)) == 3 * 3600 + 1


def test_an_outage_of_days_ago_proves_nothing_now() -> None:
    """Its queue has long been told."""
    gap = Gap(NOW - timedelta(days=9), NOW - timedelta(days=2))

    assert elapsed("1970-01-01T00:00:00Z", "1970-01-03T00:00:00Z", received_after_s=1, gaps=(gap,)) == 601


def test_what_waited_before_the_first_connection_may_be_long() -> None:
    """Nobody knows since when; as long as any single step may be."""
    gap = Gap(None, NOW)

    assert elapsed("1970-01-01T00:00:00Z", "1970-01-06T00:00:00Z", received_after_s=1, gaps=(gap,)) == 5 * 86400
