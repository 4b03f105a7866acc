"""The only place that knows the names and words of the files in data/: turns them into `records`.

Spelled as in docs/files.md: kWh in the files, Wh from here on; times without a zone are UTC.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from dashboard.json_values import (
    Json,
    claim_at,
    document_of,
    moment_at,
    number_at,
    object_at,
    objects_at,
    objects_of,
    text_at,
    whole_at,
)
from dashboard.latest_files import LatestFiles, Loaded, UnreadableContentError
from dashboard.records import (
    Alert,
    ChargePoint,
    FileNote,
    PowerReading,
    Problem,
    RefusedCard,
    ServerStatus,
    Session,
    Site,
    UsersReport,
    Wh,
)
from dashboard.users_csv import USERS_FILE, parse_users

T = TypeVar("T")

FOLDER_VARIABLE = "EVQUOTA_DATA_DIR"
SERVER_FILES = (
    "charger_status.json",
    "active_transactions.json",
    "energy_usage.json",
    "meter_data_log.json",
    "server_status.json",
)


def folder_of_site() -> Path:
    """Give the folder that is read: EVQUOTA_DATA_DIR, else data/ beside the project."""
    return Path(os.environ.get(FOLDER_VARIABLE) or Path(__file__).resolve().parent.parent / "data")


@dataclass(frozen=True)
class SiteFiles:
    """The files of one folder. One object serves all viewers."""

    files: LatestFiles

    def read(self) -> Site:
        """Read what changed and give the site as it is now, with a note for each file that is missing or broken."""
        loaded: dict[str, Loaded[object]] = {}

        def value(name: str, parse: Callable[[bytes], T], *, keeps: bool = False) -> T | None:
            result = self.files.load(name, parse, keeps_when_missing=keeps)
            loaded[name] = result  # type: ignore[assignment]
            return result.value

        return Site(
            charge_points=value("charger_status.json", parse_charge_points),
            sessions=value("active_transactions.json", parse_sessions),
            usage=value("energy_usage.json", parse_usage),
            readings=value("meter_data_log.json", parse_readings) or (),
            users=value(USERS_FILE, parse_users, keeps=True),
            server=value("server_status.json", parse_server_status),
            users_report=value("users_report.json", parse_users_report),
            notes=tuple(_notes(loaded)),
            written_at=max((found for name in SERVER_FILES if (found := loaded[name].written_at)), default=None),
        )


def _notes(loaded: Mapping[str, Loaded[object]]) -> Iterator[FileNote]:
    for name, file in loaded.items():
        if file.is_missing and file.value is None:
            yield FileNote(name, file.problem, is_broken=False)
        elif file.problem:
            yield FileNote(name, file.problem, is_broken=True, kept=file.written_at)


def parse_charge_points(content: bytes) -> tuple[ChargePoint, ...]:
    """Read charger_status.json."""
    return tuple(
        ChargePoint(
            charge_point_id=charge_point_id,
            name=text_at(entry, "name") or charge_point_id,
            status=text_at(entry, "status"),
            is_connected=claim_at(entry, "connected"),
            is_waiting_for_approval=text_at(entry, "admission") == "pending",
            power_w=number_at(entry, "power_w"),
            error_code=text_at(entry, "error_code"),
            since=_since(entry),
            last_seen=moment_at(entry, "last_seen"),
        )
        for charge_point_id, entry in objects_of(content)
    )


def _since(entry: Json) -> datetime | None:
    number = whole_at(entry, "connector_id")
    connectors = (each for each in objects_at(entry, "connectors") if whole_at(each, "connector_id") == number)
    return next((moment_at(connector, "since") for connector in connectors), None)


def parse_sessions(content: bytes) -> tuple[Session, ...]:
    """Read active_transactions.json. Energy is `energy_kwh`, else the register's growth where that is not negative."""
    return tuple(
        Session(
            transaction_id=transaction_id,
            id_tag=text_at(entry, "id_tag"),
            person=text_at(entry, "full_name"),
            charge_point_id=text_at(entry, "charger_id"),
            connector_id=whole_at(entry, "connector_id"),
            since=moment_at(entry, "start_time"),
            energy=_session_energy(entry),
            power_w=number_at(entry, "power_w"),
            state=text_at(entry, "state"),
            forecast_stop=moment_at(entry, "forecast_stop"),
        )
        for transaction_id, entry in objects_of(content)
    )


def _session_energy(entry: Json) -> Wh | None:
    energy_kwh = number_at(entry, "energy_kwh")
    if energy_kwh is None:
        start, last = number_at(entry, "start_meter"), number_at(entry, "last_meter")
        energy_kwh = last - start if start is not None and last is not None else None
    return None if energy_kwh is None or energy_kwh < 0 else Wh(round(energy_kwh * 1000))


def parse_usage(content: bytes) -> Mapping[str, Wh]:
    """Read energy_usage.json. A value that is no number makes the file unusable: a total without it would be wrong."""
    usage: dict[str, Wh] = {}
    document = document_of(content, dict)
    for id_tag in document:
        energy_kwh = number_at(document, id_tag)
        if energy_kwh is None or energy_kwh < 0:
            raise UnreadableContentError(f"the energy of {id_tag[:20]!r} is not a number of kWh")
        usage[id_tag] = Wh(round(energy_kwh * 1000))
    return usage


def parse_readings(content: bytes) -> tuple[PowerReading, ...]:
    """Read meter_data_log.json; lines without charge point, time or power are left out."""
    lines = (line for line in document_of(content, list) if isinstance(line, dict))
    return tuple(
        PowerReading(
            charge_point=name,
            timestamp=timestamp,
            power_w=power_w,
            person=text_at(line, "userName"),
            register=_wh_at(line, "deliveredEnergy"),
            frequency_hz=number_at(line, "frequency"),
        )
        for line in lines
        if (name := text_at(line, "chargerName"))
        and (timestamp := moment_at(line, "timestamp"))
        and (power_w := number_at(line, "totalPower")) is not None
    )


def _wh_at(holder: Json, key: str) -> Wh | None:
    energy_kwh = number_at(holder, key)
    return None if energy_kwh is None else Wh(round(energy_kwh * 1000))


def parse_server_status(content: bytes) -> ServerStatus:
    """Read server_status.json; every key may be missing."""
    document = document_of(content, dict)
    forwarder = object_at(document, "forwarder")
    return ServerStatus(
        time=moment_at(document, "time"),
        site_time=moment_at(document, "site_time"),
        version=text_at(document, "version"),
        site_name=text_at(document, "site_name"),
        timezone=text_at(document, "timezone"),
        ocpp_url=text_at(document, "ocpp_url"),
        month=text_at(document, "month"),
        is_demo=claim_at(document, "demo") is True,
        last_publish_error=text_at(document, "last_publish_error"),
        forwarder_backlog=whole_at(forwarder, "backlog") if claim_at(forwarder, "enabled") else None,
        forwarder_error=text_at(forwarder, "last_error"),
        users_problems=_problems(object_at(document, "users_file")),
        alerts=tuple(
            Alert(
                text_at(alert, "kind"),
                text_at(alert, "text"),
                moment_at(alert, "since"),
                text_at(alert, "charger_id"),
                text_at(alert, "severity"),
                text_at(alert, "acknowledged_by"),
            )
            for alert in objects_at(document, "alerts")
        ),
    )


def parse_users_report(content: bytes) -> UsersReport:
    """Read users_report.json; every key may be missing."""
    document = document_of(content, dict)
    refused = tuple(
        RefusedCard(
            text_at(card, "id_tag"), moment_at(card, "time"), text_at(card, "charger_id"), text_at(card, "reason")
        )
        for card in objects_at(document, "refused")
    )
    return UsersReport(_problems(document), text_at(document, "file_error"), refused)


def _problems(holder: Json) -> tuple[Problem, ...]:
    return tuple(
        Problem(whole_at(problem, "line"), text_at(problem, "column"), text_at(problem, "text"))
        for problem in objects_at(holder, "problems")
    )
