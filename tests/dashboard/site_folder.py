"""A data folder to fill: what the server, in one or other state, would have written there."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

USERS_CSV = """id_tag,name,surname,quota_kwh,unlimited
RFID001,John,Doe,150,FALSE
RFID002,Ayşe,Yılmaz,200,FALSE
RFID003,Admin,User,0,TRUE
RFID004,Łukasz,Groß,100,FALSE
"""


def stamp(moment: datetime) -> str:
    """Give a time as the server writes it."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


@dataclass(frozen=True)
class SiteFolder:
    """A data folder; every file can be written, rewritten or left out."""

    path: Path

    def write(self, name: str, content: object) -> None:
        """Write a file like the server does: text as it is, everything else as JSON, replaced as a whole."""
        text = content if isinstance(content, str) else json.dumps(content)
        temporary = self.path / f".{name}.new"
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(self.path / name)

    def write_five(self) -> None:
        """Write the five files that other programs read too: two charge points, one session."""
        now = datetime.now(UTC)
        self.write("users1.csv", USERS_CSV)
        self.write("energy_usage.json", {"RFID001": 120.0, "RFID002": 199.4, "RFID004": 100.5})
        self.write("charger_status.json", {"CP_01": charge_point("Charging"), "CP_02": charge_point("Offline")})
        self.write("active_transactions.json", {"17": session(now - timedelta(minutes=30))})
        self.write("meter_data_log.json", [reading("CP_01", now)])

    def write_server(self, **changed: object) -> None:
        """Write the server's two own files; a running server unless told otherwise."""
        status = {
            "version": "0.1.0",
            "time": stamp(datetime.now(UTC)),
            "site_name": "Campus",
            "timezone": "Europe/Istanbul",
            "month": "2026-11",
            "alerts": [],
        }
        self.write("server_status.json", status | changed)
        self.write("users_report.json", {"problems": [], "file_error": None})


def charge_point(status: str, **added: object) -> dict[str, object]:
    return {"brand": "LIVOLTEK", "status": status, "total_energy_delivered": 1523.5, "connector_id": 1} | added


def session(since: datetime, **added: object) -> dict[str, object]:
    original = {
        "id_tag": "RFID001",
        "start_meter": 85.5,
        "start_time": stamp(since),
        "last_meter": 88.2,
        "full_name": "John Doe",
        "charger_id": "CP_01",
    }
    return original | added


def reading(charge_point_name: str, timestamp: datetime) -> dict[str, object]:
    return {
        "ID": "abc123",
        "timestamp": stamp(timestamp),
        "userName": "John Doe",
        "chargerName": charge_point_name,
        "totalPower": 7200,
        "deliveredEnergy": 88.2,
        "frequency": 50.0,
    }
