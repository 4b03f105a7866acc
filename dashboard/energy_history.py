"""Energy by day out of the archive's months. Pure but for the archive it is given."""

from collections.abc import Mapping
from datetime import date, timedelta

from dashboard.archive_files import Archive, MonthEnergy
from dashboard.latest_result import LatestResult
from dashboard.records import Wh


def energy_by_day(archive: Archive, today: date, days: int) -> dict[date, Wh] | None:
    """Give what all charge points delivered on each of the last days (at most 28), today the last.

    None without the open month.
    """
    wanted = [today - timedelta(days=back) for back in reversed(range(days))]
    open_month = archive.energy(today.replace(day=1)).value
    if open_month is None:
        return None
    found = _TOTALS(open_month, archive.energy(wanted[0].replace(day=1)).value)
    return {day: found.get(day, Wh(0)) for day in wanted}


def _total_by_day(*months: MonthEnergy | None) -> Mapping[date, Wh]:
    """Hours carry the site's offset, so their date is the site's. The same month twice counts once."""
    found: dict[date, Wh] = {}
    for month in {id(month): month for month in months if month is not None}.values():
        for hours in month.by_hour.values():
            for hour, energy in hours.items():
                found[hour.date()] = Wh(found.get(hour.date(), 0) + energy)
    return found


_TOTALS = LatestResult(_total_by_day)
