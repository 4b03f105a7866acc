"""`server_status`: what the server says of itself, for the dashboard and for people (docs/files.md)."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from turned_clock import TurnedClock

from ocpp_server import __version__
from ocpp_server.core import changes as ch
from ocpp_server.core.commands import Authorize, Connect
from ocpp_server.core.decide import decide
from ocpp_server.core.period import Month
from ocpp_server.core.records import Alert
from ocpp_server.core.site import Policy, Site, apply
from ocpp_server.core.users import UserTable
from ocpp_server.server_status import ServerStatus
from ocpp_server.storage.chargers_file import ChargersFile
from ocpp_server.storage.users_file import UsersFile

NOW = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
USERS = b"id_tag,name,surname,quota_kwh,unlimited\nRFID001,John,Doe,150,FALSE\nRFID002,Jane,Smith,abc,FALSE\n"


async def take(*_arguments: object) -> None:
    """The site takes every table."""


class Fixture:
    def __init__(self) -> None:
        self.site = Site(Policy(ZoneInfo("Europe/Istanbul")))
        self.clock = TurnedClock(NOW)
        self.users_file = UsersFile(UserTable(), take)
        self.chargers_file = ChargersFile({}, take)
        self.publish_error = ""
        self.server = ServerStatus(
            site=self.site,
            clock=self.clock,
            started=NOW - timedelta(hours=1),
            site_name="Home",
            ocpp_url="ws://192.168.1.5:9000/CHARGER_ID",
            is_demo=False,
            users_file=self.users_file,
            chargers_file=self.chargers_file,
            last_publish_error=lambda: self.publish_error,
        )

    def status(self) -> Any:
        return json.loads(self.server.status())

    def users_report(self) -> Any:
        return json.loads(self.server.users_report())


@pytest.fixture
def server() -> Fixture:
    return Fixture()


def test_a_server_that_has_just_started_says_so(server: Fixture) -> None:
    """Every key is there from the beginning."""
    assert server.status() == {
        "version": __version__,
        "started": "2026-11-20T09:00:00Z",
        "time": "2026-11-20T10:00:00Z",
        "site_time": "2026-11-20T10:00:00Z",
        "site_name": "Home",
        "timezone": "Europe/Istanbul",
        "month": None,
        "ocpp_url": "ws://192.168.1.5:9000/CHARGER_ID",
        "demo": False,
        "connected_chargers": 0,
        "sessions": 0,
        "set_aside": 0,
        "forwarder": {"enabled": False, "backlog": 0, "last_error": None},
        "destinations": [],
        "users_file": {"users": 0, "error": None, "notice": None, "problems": []},
        "chargers_file": {"error": None, "problems": []},
        "last_publish_error": None,
        "alerts": [],
    }


def test_the_state_of_the_site_is_counted(server: Fixture) -> None:
    """Connected charge points, the open month, open alerts."""
    for charge_point_id in ("CP1", "CP2"):
        for change in decide(server.site, Connect(charge_point_id, NOW)).changes:
            apply(server.site, change)
    apply(server.site, ch.PutOpenMonth(Month("2026-11")))
    apply(server.site, ch.PutAlert(Alert("clock", "clock suspect", "it jumped", NOW)))
    server.publish_error = "No space left on device: alerts.json"
    status = server.status()

    assert (status["connected_chargers"], status["month"]) == (2, "2026-11")
    assert [alert["id"] for alert in status["alerts"]] == ["clock"]
    assert status["last_publish_error"] == "No space left on device: alerts.json"


def test_its_time_is_the_machines_also_in_a_demo(server: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its age tells whether the server runs; the site's own time is beside it."""
    monkeypatch.setattr(server.clock, "real_now", lambda: NOW + timedelta(seconds=7))
    server.clock.jump(timedelta(days=3))
    status = server.status()

    assert (status["time"], status["site_time"]) == ("2026-11-20T10:00:07Z", "2026-11-23T10:00:00Z")


async def test_problems_of_the_tables_are_told_by_line(server: Fixture) -> None:
    """Row number and reason, in both files."""
    await server.users_file.accept(USERS)
    await server.chargers_file.accept(b"charger_id,access\nCP1,sometimes\n")
    status, report = server.status(), server.users_report()

    assert status["users_file"]["users"] == 1
    (problem,) = status["users_file"]["problems"]
    assert (problem["line"], problem["column"], problem["severity"]) == (3, "quota_kwh", "error")
    assert problem["text"].startswith("users1.csv row 3: quota_kwh ")
    assert report["problems"] == [problem]
    assert [problem["line"] for problem in status["chargers_file"]["problems"]] == [2]


async def test_a_table_that_cannot_be_read_is_told(server: Fixture) -> None:
    """The last good one stays in force."""
    await server.users_file.accept(USERS)
    await server.users_file.accept(b"\x00\x01")
    await server.chargers_file.accept(b"\x00\x01")

    status = server.status()
    assert status["users_file"]["users"] == 1
    assert status["users_file"]["error"] == server.users_report()["file_error"] == server.users_file.last_error
    assert status["chargers_file"]["error"] == server.chargers_file.last_error
    assert None not in (server.users_file.last_error, server.chargers_file.last_error)


async def test_the_report_tells_what_the_last_change_did(server: Fixture) -> None:
    """In plain lines."""
    await server.users_file.accept(USERS)

    assert server.users_report()["last_change"] == ["RFID001 added"]


def test_the_last_50_refused_tags_are_told_whole(server: Fixture) -> None:
    """So that an administrator can learn a new card's number (rule 13)."""
    for number in range(60):
        command = Authorize("CP1", NOW + timedelta(seconds=number), f"NEWCARD{number:02}")
        for change in decide(server.site, command).changes:
            apply(server.site, change)
    refused = server.users_report()["refused"]

    assert [entry["id_tag"] for entry in refused] == [f"NEWCARD{number:02}" for number in range(10, 60)]
    assert refused[-1] == {
        "id_tag": "NEWCARD59",
        "time": "2026-11-20T10:00:59Z",
        "charger_id": "CP1",
        "reason": "charge point has never booted here",
    }


HOSTILE: list[Callable[[Fixture], object]] = [
    lambda server: apply(server.site, ch.PutAlert(Alert("\ud800", "\x00", "\r\n", NOW))),
    lambda server: [
        apply(server.site, change) for change in decide(server.site, Authorize("C\udfff", NOW, "\ud800\x1b")).changes
    ],
]


@pytest.mark.parametrize("plant", HOSTILE)
def test_hostile_text_breaks_neither_file(server: Fixture, plant: Callable[[Fixture], object]) -> None:
    """T14."""
    plant(server)

    assert server.status()
    assert server.users_report()
