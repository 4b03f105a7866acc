"""Sample files for a demo's data folder: users, chargers, and a month that has already seen some charging.

Only files that are not there yet are written. The marker `.demo` says that the folder holds nothing real.
"""

import csv
import io
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from simulator.brands import EVLINK, LIVOLTEK
from simulator.site import DEMO_CHARGERS, DEMO_TAGS, DemoCharger

_USERS = (
    # name, surname, quota_kwh (None: unlimited), account, blocked
    ("Ayşe", "Yıldızoğlu", 150, "", False),
    ("Mehmet", "Çağlayan", 40, "", False),
    ("Jürgen", "Großmann", 120, "", False),
    ("Łucja", "Wiśniewska-Żak", 80, "", False),
    ("Emily", "Hartwell", 200, "", False),
    ("İbrahim", "Gündoğdu", 60, "", False),
    ("Käthe", "Müllerschön", 100, "", False),
    ("Grzegorz", "Ślązak", 25, "", False),
    ("Facilities", "Service Van", None, "", False),
    ("Şebnem", "Öztürkmen", 90, "household-oeztuerkmen", False),
    ("Kerem", "Öztürkmen", 90, "household-oeztuerkmen", False),
    ("Søren", "Bjørnskov", 75, "", False),
    ("Chloé", "Lefèvrier", 50, "", False),
    ("Joaquín", "Peñaranda", 110, "", False),
    ("Zoltán", "Erdőházi", 5, "", False),
    ("Priya", "Raghunandan", 130, "", False),
    ("Kwame", "Asantewaa", 70, "", True),
    ("Haruka", "Mizushiro", 160, "", False),
    ("Oğuz", "Tekinalp", 10, "", False),
    ("Ingrid", "Strömqvist", 180, "", False),
)
"""Invented people: any likeness to a real one is chance."""


def write_demo_data(folder: Path, now: datetime) -> list[Path]:
    """Write the missing sample files as of `now` (aware) and give those that were written."""
    folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    random = Random(f"evquota demo {now:%Y-%m}")
    month_share = (now.day - 1 + now.hour / 24) / 31
    usage = _usage(random, month_share)
    contents = {
        ".demo": "This folder holds invented data of a demo.\n",
        "users1.csv": _users_csv(),
        "chargers.csv": _chargers_csv(),
        "energy_usage.json": _json(usage),
        "charger_status.json": _json(_charger_status(random, sum(usage.values()), now)),
    }
    return [folder / name for name, text in contents.items() if _write_if_missing(folder / name, text)]


def _usage(random: Random, month_share: float) -> dict[str, float]:
    """kWh by tag: most drivers are on course for their quota, a few are close to it already."""
    usage = {}
    for id_tag, (_, _, quota_kwh, account, is_blocked) in zip(DEMO_TAGS, _USERS, strict=True):
        pace = random.choice((0.3, 0.6, 0.9, 1.3)) * random.uniform(0.8, 1.1)
        of_quota = (quota_kwh or 250) / (2 if account else 1)
        usage[id_tag] = 0.0 if is_blocked else round(min(of_quota * 0.97, of_quota * pace * month_share), 3)
    return usage


def _charger_status(random: Random, usage_kwh: float, now: datetime) -> dict[str, dict[str, object]]:
    """The chargers as they were before the demo: offline, with what they delivered since they were installed."""
    share_kwh = usage_kwh / len(DEMO_CHARGERS)
    return {
        charger.charger_id: {
            "name": charger.name,
            "brand": _brand_name(charger),
            "status": "Offline",
            "last_heartbeat": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "total_energy_delivered": round(share_kwh + random.uniform(400, 2500), 3),
            "connector_id": 1,
        }
        for charger in DEMO_CHARGERS
    }


def _users_csv() -> str:
    rows: list[list[object]] = [
        ["id_tag", "name", "surname", "quota_kwh", "unlimited", "account", "blocked"],
        *(
            [
                id_tag,
                name,
                surname,
                0 if quota_kwh is None else quota_kwh,
                _truth(quota_kwh is None),
                account,
                _truth(is_blocked),
            ]
            for id_tag, (name, surname, quota_kwh, account, is_blocked) in zip(DEMO_TAGS, _USERS, strict=True)
        ),
    ]
    return _csv(rows)


def _chargers_csv() -> str:
    header = ["charger_id", "name", "brand", "energy_unit", "max_kw", "access", "ping", "approved", "note"]
    rows: list[list[object]] = [
        [charger.charger_id, charger.name, "", "", 22, "quota", "on", "TRUE", "demo"] for charger in DEMO_CHARGERS
    ]
    return _csv([[*header], *rows])


def _brand_name(charger: DemoCharger) -> str:
    return {LIVOLTEK.name: "LIVOLTEK", EVLINK.name: "SCHNEIDER"}.get(charger.brand.name, "GENERIC")


def _truth(claim: bool) -> str:
    return "TRUE" if claim else "FALSE"


def _csv(rows: list[list[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _json(content: object) -> str:
    return json.dumps(content, ensure_ascii=False, indent=2) + "\n"


def _write_if_missing(path: Path, text: str) -> bool:
    try:
        with path.open("x", encoding="utf-8", newline="") as file:
            file.write(text)
    except FileExistsError:
        return False
    path.chmod(0o640)
    return True


def main(arguments: list[str]) -> int:
    """`python -m simulator.demo_data FOLDER`."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print("usage: python -m simulator.demo_data FOLDER")
        return 2
    for path in write_demo_data(Path(arguments[0]), datetime.now(UTC)):
        print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
