"""Energy by day out of the archive's months. Pure but for the archive it is given."""

from collections.abc import Iterable
from datetime import date, timedelta

from dashboard.archive_files import Archive, MonthEnergy
from dashboard.records import Wh


def energy_by_day(archive: Archive, today: date, days: int) -> dict[date, Wh] | None:
    """Give what all charge points delivered on each of the last days, today the last; None without the open month."""
    wanted = [today - timedelta(days=back) for back in reversed(range(days))]
    months = {day.replace(day=1): archive.energy(day.replace(day=1)).value for day in wanted}
    if months[today.replace(day=1)] is None:
        return None
    found = dict.fromkeys(wanted, Wh(0))
    for day, energy in _by_day(filter(None, months.values())):
        if day in found:
            found[day] = Wh(found[day] + energy)
    return found


def _by_day(months: Iterable[MonthEnergy]) -> Iterable[tuple[date, Wh]]:
    """Hours carry the site's offset, so their date is the site's."""
    for month in months:
        for hours in month.by_hour.values():
            for hour, energy in hours.items():
                yield hour.date(), energy
