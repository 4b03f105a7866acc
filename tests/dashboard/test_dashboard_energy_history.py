"""Energy by day out of the hourly files, over the end of a month and a change of the clocks."""

from datetime import date
from pathlib import Path

from site_folder import SiteFolder

from dashboard.archive_files import archive_in
from dashboard.energy_history import energy_by_day


def test_days_come_from_both_months_and_a_day_is_the_sites(tmp_path: Path) -> None:
    """23:00 at +03:00 is that day's, though UTC says the same; the night of 1 November belongs to November."""
    (tmp_path / "archive").mkdir()
    folder = SiteFolder(tmp_path / "archive")
    folder.write(
        "energy_hourly-2026-10.json",
        {"chargers": {"A": {"2026-10-31T23:00+03:00": 1.5}, "B": {"2026-10-31T00:00+03:00": 2}}, "tags": {}},
    )
    folder.write("energy_hourly-2026-11.json", {"chargers": {"A": {"2026-11-01T00:00+03:00": 0.25}}, "tags": {}})

    days = energy_by_day(archive_in(tmp_path), date(2026, 11, 2), 3)

    assert days == {date(2026, 10, 31): 3500, date(2026, 11, 1): 250, date(2026, 11, 2): 0}


def test_without_the_file_of_the_open_month_nothing_is_known(tmp_path: Path) -> None:
    """Not known is not zero; a month before that is missing only leaves its days empty."""
    assert energy_by_day(archive_in(tmp_path), date(2026, 11, 2), 14) is None
