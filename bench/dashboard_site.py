"""A data folder as a large, busy site fills it, and a writer that renews it as the server does. All is made up."""

import json
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

LOGGED = 500
_RENEWED_EVERY_S = 2.0
_SIGN_OF_LIFE_S = 10.0


class LargeSite:
    """`chargers` charge points, three of five charging, and `users` users with a quota each."""

    def __init__(self, folder: Path, chargers: int, users: int) -> None:
        self._folder = folder
        self._random = random.Random(40)
        self._chargers = [f"CHARGER_{number:02}" for number in range(chargers)]
        self._busy = [name for number, name in enumerate(self._chargers) if number % 5 < 3]
        self._tags = [f"CARD{number:05}" for number in range(users)]
        self._begin = datetime.now(UTC) - timedelta(hours=2)
        self._meter_kwh = {name: self._random.uniform(1, 15) for name in self._busy}
        self._log: list[dict[str, object]] = []

    def write(self) -> None:
        """Everything, once."""
        rows = "".join(f"{tag},Name{tag[-4:]},Surname{tag[-3:]},150,FALSE\n" for tag in self._tags)
        (self._folder / "users1.csv").write_text(f"id_tag,name,surname,quota_kwh,unlimited\n{rows}")
        self._write("energy_usage.json", {tag: round(self._random.uniform(0, 160), 3) for tag in self._tags})
        self._write("users_report.json", {"problems": [], "file_error": None, "refused": []})
        today = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        hours = [today - timedelta(hours=back) for back in range(today.day * 24)]
        by_hour = {f"{hour:%Y-%m-%dT%H:%M}+00:00": round(self._random.uniform(0, 7), 3) for hour in hours}
        (self._folder / "archive").mkdir()
        document = {"month": f"{today:%Y-%m}", "chargers": dict.fromkeys(self._chargers, by_hour), "tags": {}}
        self._write(f"archive/energy_hourly-{today:%Y-%m}.json", document)
        for back in range(LOGGED):
            self._log.insert(0, self._reading(datetime.now(UTC) - timedelta(seconds=2.5 * back)))
        self.sign_of_life()
        self.renew()

    def renew(self) -> None:
        """One more reading for some: the files that change while cars charge."""
        now = datetime.now(UTC)
        for name in self._random.sample(self._busy, 2):
            self._meter_kwh[name] += 0.1
            self._log = [*self._log[1 - LOGGED :], self._reading(now, name)]
        self._write("charger_status.json", {name: self._charger(name, now) for name in self._chargers})
        self._write("active_transactions.json", {str(n): self._session(n) for n in range(len(self._busy))})
        self._write("meter_data_log.json", self._log)

    def sign_of_life(self) -> None:
        """server_status.json."""
        now = datetime.now(UTC)
        status = {"version": "0", "time": _stamp(now), "site_name": "Bench", "timezone": "UTC", "month": f"{now:%Y-%m}"}
        self._write("server_status.json", status | {"alerts": []})

    def _reading(self, moment: datetime, name: str = "") -> dict[str, object]:
        return {
            "ID": "0", "timestamp": _stamp(moment), "userName": "A Name", "chargerName": name or self._busy[0],
            "totalPower": round(self._random.uniform(3000, 11000)), "deliveredEnergy": 88.2, "frequency": 50.0,
        }  # fmt: skip

    def _charger(self, name: str, now: datetime) -> dict[str, object]:
        is_busy = name in self._meter_kwh
        return {
            "name": name, "brand": "GENERIC", "status": "Charging" if is_busy else "Available", "connected": True,
            "last_heartbeat": _stamp(now), "total_energy_delivered": 1500.0, "connector_id": 1,
            "power_w": round(self._random.uniform(3000, 11000)) if is_busy else 0,
        }  # fmt: skip

    def _session(self, number: int) -> dict[str, object]:
        name = self._busy[number]
        return {
            "id_tag": self._tags[number], "start_meter": 0.0, "start_time": _stamp(self._begin), "connector_id": 1,
            "last_meter": round(self._meter_kwh[name], 3), "full_name": f"Name{number} Surname", "charger_id": name,
        }  # fmt: skip

    def _write(self, name: str, content: object) -> None:
        new = self._folder / f"{name}.new"
        new.write_text(json.dumps(content, indent=2), encoding="utf-8")
        new.replace(self._folder / name)

    @contextmanager
    def renewed(self) -> Iterator[None]:
        """Keeps the files new while the block runs."""
        ended = threading.Event()

        def work() -> None:
            rounds = 0
            while not ended.wait(_RENEWED_EVERY_S):
                rounds += 1
                self.renew()
                if rounds % round(_SIGN_OF_LIFE_S / _RENEWED_EVERY_S) == 0:
                    self.sign_of_life()

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def _stamp(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
