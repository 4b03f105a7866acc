"""An archive to fill: months as the server would have written them, for any number of charge points and users."""

import csv
import io
import random
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from site_folder import SiteFolder, stamp

ZONE = ZoneInfo("Europe/Istanbul")
HEADER = (
    *("transaction", "charger_id", "charger", "connector", "id_tag", "name", "start", "end", "start_utc", "end_utc"),
    *("energy_kwh", "duration_min", "reason", "flags"),
)
REASONS = ("quota reached", "cable was unplugged", "stopped at the charge point", "stopped at the charge point")


def session_row(
    number: int, charge_point: str, id_tag: str, name: str, start: datetime, **changed: object
) -> list[object]:
    """Give one line of sessions-YYYY-MM.csv: two hours and 7.25 kWh unless told otherwise. `start` is aware."""
    values = {"end": start + timedelta(hours=2), "energy_kwh": 7.25, "reason": REASONS[1], "flags": ""} | changed
    end = values["end"]
    assert isinstance(end, datetime)
    return [
        *(number, charge_point, charge_point, 1, id_tag, name),
        *(f"{moment.astimezone(ZONE):%Y-%m-%d %H:%M:%S}" for moment in (start, end)),
        *(stamp(moment) for moment in (start, end)),
        *(values["energy_kwh"], round((end - start).total_seconds() / 60), values["reason"], values["flags"]),
    ]


def sessions_text(rows: list[list[object]]) -> str:
    """Give sessions-YYYY-MM.csv as the server writes it; a BOM stands before it."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerows([HEADER, *rows])
    return "\ufeff" + text.getvalue()


@dataclass(frozen=True)
class ArchiveFolder:
    """The archive of a site."""

    folder: SiteFolder

    def write(self, name: str, content: object) -> None:
        (self.folder.path / "archive").mkdir(exist_ok=True)
        SiteFolder(self.folder.path / "archive").write(name, content)

    def write_sessions(self, month: str, rows: list[list[object]]) -> None:
        self.write(f"sessions-{month}.csv", sessions_text(rows))

    def write_energy(self, month: str, chargers: object, tags: object) -> None:
        self.write(f"energy_hourly-{month}.json", {"month": month, "chargers": chargers, "tags": tags})

    def write_usage(self, month: str, usage: object) -> None:
        self.write(f"energy_usage-{month}.json", usage)

    def write_random(
        self, months: list[date], charge_points: list[str], users: dict[str, str], until: datetime
    ) -> None:
        """Write months of a busy site up to a moment: the same for the same arguments."""
        chance = random.Random(7)
        number = 1000
        for month in months:
            rows: list[list[object]] = []
            hours: dict[str, dict[str, float]] = {}
            days: dict[str, dict[str, float]] = {}
            usage: dict[str, float] = {}
            for day in range(31):
                for charge_point in charge_points:
                    start = datetime(month.year, month.month, 1, chance.choice((7, 8, 9, 12, 17, 18)), tzinfo=ZONE)
                    start += timedelta(days=day)
                    if start.month != month.month or start > until or chance.random() < (0.2, 0.7)[start.weekday() > 4]:
                        continue
                    tag = chance.choice(list(users))
                    number += 1
                    steps = [round(chance.uniform(2, 11), 3) for _ in range(chance.randint(1, 4))]
                    for step, energy in enumerate(steps):
                        hour = (start + timedelta(hours=step)).isoformat(timespec="minutes")
                        table = hours.setdefault(charge_point, {})
                        table[hour] = round(table.get(hour, 0) + energy, 3)
                    total = round(sum(steps), 3)
                    usage[tag] = round(usage.get(tag, 0) + total, 3)
                    of_tag = days.setdefault(tag, {})
                    of_tag[f"{start:%Y-%m-%d}"] = round(of_tag.get(f"{start:%Y-%m-%d}", 0) + total, 3)
                    rows.append(
                        session_row(
                            number,
                            charge_point,
                            tag,
                            users[tag],
                            start.astimezone(UTC),
                            end=start.astimezone(UTC) + timedelta(hours=len(steps)),
                            energy_kwh=total,
                            reason=chance.choice(REASONS),
                        )
                    )
            name = f"{month:%Y-%m}"
            self.write_sessions(name, rows)
            self.write_energy(name, hours, days)
            self.write_usage(name, usage)
