"""The meter log as tables for charts. Pure. Times have the site's zone taken off: charts would use the browser's."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta, tzinfo

import pandas as pd

from dashboard.records import PowerReading
from dashboard.view import power_history
from dashboard.wording import fold, plain


def of_charge_points(readings: Iterable[PowerReading], names: Collection[str]) -> list[PowerReading]:
    """Give the readings of these charge points, oldest first; of all if none is named."""
    found = (reading for reading in readings if not names or plain(reading.charge_point) in names)
    return sorted(found, key=lambda reading: reading.timestamp)


def charge_point_names(readings: Iterable[PowerReading]) -> list[str]:
    """Give the names that occur, in alphabetical order, as they are shown."""
    return sorted({plain(reading.charge_point) for reading in readings}, key=lambda name: (fold(name), name))


def span(readings: Sequence[PowerReading], now: datetime) -> timedelta:
    """Give how far back the readings reach."""
    oldest = min((reading.timestamp for reading in readings), default=now)
    return max(timedelta(0), now - oldest)


def total_table(readings: Sequence[PowerReading], now: datetime, zone: tzinfo) -> pd.DataFrame:
    """Give `time` and `kw`: the total power at the end of each whole minute."""
    history = power_history(readings, now)
    return pd.DataFrame({"time": [_local(moment, zone) for moment, _ in history], "kw": [w / 1000 for _, w in history]})


def strip_table(readings: Iterable[PowerReading], now: datetime, zone: tzinfo) -> pd.DataFrame:
    """Give `charger`, `time`, `end` and `kw`: the mean of each charge point's readings in each whole minute."""
    this_minute = now.replace(second=0, microsecond=0)
    sums: dict[tuple[str, datetime], list[float]] = {}
    for reading in readings:
        minute = reading.timestamp.replace(second=0, microsecond=0)
        if minute < this_minute:
            sums.setdefault((plain(reading.charge_point), minute), []).append(reading.power_w)
    rows = [
        (name, _local(minute, zone), _local(minute + timedelta(minutes=1), zone), sum(powers) / len(powers) / 1000)
        for (name, minute), powers in sorted(sums.items())
    ]
    return pd.DataFrame(rows, columns=["charger", "time", "end", "kw"])


def frequency_table(readings: Iterable[PowerReading], zone: tzinfo) -> pd.DataFrame:
    """Give `time` and `hz` as reported; 0 is no mains frequency but a register that is not there."""
    rows = [(_local(each.timestamp, zone), each.frequency_hz) for each in readings if each.frequency_hz]
    return pd.DataFrame(rows, columns=["time", "hz"])


def newest_table(readings: Sequence[PowerReading]) -> pd.DataFrame:
    """Give all readings, newest first. Times are UTC; the column's own zone shows them."""
    table = pd.DataFrame(
        [
            {
                "time": reading.timestamp,
                "charger": plain(reading.charge_point),
                "person": plain(reading.person),
                "power": reading.power_w / 1000,
                "register": None if reading.register is None else reading.register / 1000,
                "frequency": reading.frequency_hz,
            }
            for reading in reversed(readings)
        ]
    )
    return table.astype({"register": "Float64", "frequency": "Float64"})


def _local(moment: datetime, zone: tzinfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None)
