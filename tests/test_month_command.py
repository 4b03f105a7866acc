"""`month show | undo | confirm`, with a server and without; and that what they did survives a kill (rule 11)."""

import asyncio
import json
import sys
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent / "crash"))

from server_process import LIMIT_S, ServerProcess, make_site
from typed_commands import Keyboard

from ocpp_server.core import changes as ch
from ocpp_server.core.energy import Wh
from ocpp_server.core.period import Month, month_start, next_month
from ocpp_server.core.records import Booking, BookingKind
from ocpp_server.core.site import Policy
from ocpp_server.core.users import IdTag
from ocpp_server.storage.ledger import Ledger
from ocpp_server.storage.verify import verify

ZONE = ZoneInfo("UTC")


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Keyboard:
    """To type commands."""
    return Keyboard(monkeypatch, capfd)


def make_books(data: Path, opened: Month) -> Path:
    """A site on which this month is open, with 2 kWh in it and 3 kWh in the month before it."""
    make_site(data)
    ledger = Ledger(data / "ledger.db", Policy(ZONE), datetime.now(UTC), reserve_bytes=0)
    ledger.open()
    hours = [month_start(opened, ZONE), month_start(month_before(opened), ZONE)]
    bookings = [booking(number, hour, wh) for number, (hour, wh) in enumerate(zip(hours, (2000, 3000), strict=True), 1)]
    asyncio.run(ledger.commit([*bookings, ch.PutOpenMonth(opened)]))
    ledger.close()
    return data


def month_before(month: Month) -> Month:
    """The calendar month before this one."""
    year, number = int(month[:4]), int(month[5:])
    return Month(f"{year - (number == 1):04d}-{(number - 2) % 12 + 1:02d}")


def booking(number: int, hour: datetime, wh: int) -> ch.AddBooking:
    month, day = Month(f"{hour:%Y-%m}"), f"{hour:%Y-%m-%d}"
    return ch.AddBooking(Booking(number, BookingKind.ADJUSTMENT, hour, month, day, IdTag("RFID001"), Wh(wh), hour))


def shown(keys: Keyboard, data: Path, **settings: object) -> dict[str, Any]:
    """What `month show --json` tells."""
    found: dict[str, Any] = json.loads(keys(data, "month", "show", "--json", **settings)[1])
    return found


def usage(data: Path) -> Any:
    return json.loads((data / "energy_usage.json").read_bytes())


def this_month() -> Month:
    return Month(f"{datetime.now(UTC):%Y-%m}")


def test_a_month_opened_by_mistake_is_taken_back_and_a_kill_does_not_bring_it_again(
    keys: Keyboard, tmp_path: Path
) -> None:
    """Through the running server; its archive is put away, the books add up, and the audit says who it was."""
    now = this_month()
    data = make_books(tmp_path / "data", next_month(now))
    (data / "archive").mkdir(mode=0o750)
    with ServerProcess(data) as server:
        ports = {"api_port": server.api_port}
        before = shown(keys, data, **ports)
        archived = (data / "archive" / f"energy_usage-{now}.json").exists()
        refused = keys(data, "month", "undo", next_month(now), "--to", "2024-01", "--reason", "x", **ports)
        undone = keys(data, "month", "undo", next_month(now), "--to", now, "--reason", "clock was ahead", **ports)
        server.kill()
        server.started()
        after = shown(keys, data, **ports)
        (deed,) = [one for one in audit(server) if one["kind"] == "month"]
        assert server.stop() == 0

    assert (before["open_month"], before["clock_month"], before["remedy"]) == (next_month(now), now, "undo")
    assert archived
    assert (refused[0], refused[1]) == (2, "")
    assert f"the clock shows {now}, not 2024-01" in refused[2]
    assert undone == (0, f"quotas count in {now}; the clock shows {now}\n", "")
    assert after == {
        "open_month": now, "clock_month": now, "suspect": None, "suspect_since": None, "remedy": "none",
    }  # fmt: skip
    assert (deed["by"], deed["figures"]["reason"]) == ("command line", "clock was ahead")
    assert usage(data) == {"RFID001": 3.0}
    assert verify(data / "ledger.db", data) == []
    (put_away,) = (data / "archive").glob(f"energy_usage-{now}.json*")
    assert ".json.reopened-" in put_away.name


def test_without_a_server_it_is_taken_back_in_the_ledger(keys: Keyboard, tmp_path: Path) -> None:
    """The same, and the next start finds everything in order."""
    now = this_month()
    data = make_books(tmp_path / "data", next_month(now))
    status, out, err = keys(data, "month", "show")

    undone = keys(data, "month", "undo", next_month(now), "--to", now, "--reason", "clock", "--by", "Ann")
    again = keys(data, "month", "undo", next_month(now), "--to", now, "--reason", "clock", "--by", "Ann")

    assert (status, err) == (1, "")
    assert "the clock is suspect since" in out
    assert f"type month undo {next_month(now)} --to {now}" in out
    assert undone == (0, f"quotas count in {now}; the clock shows {now}\n", "")
    assert again[0] == 2
    assert keys(data, "month", "show")[0] == 0
    assert usage(data) == {"RFID001": 3.0}
    assert verify(data / "ledger.db", data) == []


def test_a_month_that_the_clock_alone_must_not_open_is_confirmed(keys: Keyboard, tmp_path: Path) -> None:
    """After more than 400 days a restart does not help: a person's word does."""
    data = make_books(tmp_path / "data", Month("2022-05"))
    waiting = shown(keys, data)
    now = waiting["clock_month"]

    confirmed = keys(data, "month", "confirm", now, "--by", "Ann")

    assert (waiting["open_month"], waiting["remedy"]) == ("2022-05", "confirm")
    assert confirmed == (0, f"quotas count in {now}; the clock shows {now}\n", "")
    assert keys(data, "month", "confirm", now)[::2] == (2, f"not done: {now} is open already\n")
    assert json.loads((data / "archive" / "energy_usage-2022-05.json").read_bytes()) == {"RFID001": 2.0}
    assert verify(data / "ledger.db", data) == []


@pytest.mark.parametrize(
    "words",
    [("undo", "2026-13", "--to", "2026-11", "--reason", "x"), ("undo", "2026-12", "--to", "2026-11"), ("confirm", "x")],
)
def test_what_is_no_month_is_told_in_a_sentence(keys: Keyboard, tmp_path: Path, words: tuple[str, ...]) -> None:
    """Before anything is asked."""
    status, out, err = keys(make_site(tmp_path / "data"), "month", *words)

    assert (status, out) == (2, "")
    assert err


def audit(server: ServerProcess) -> list[dict[str, Any]]:
    """Who did what, newest first."""
    token = (server.data_dir / "api_token").read_text().strip()
    url = f"http://127.0.0.1:{server.api_port}/api/v1/audit"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=LIMIT_S) as answer:
        found: list[dict[str, Any]] = json.loads(answer.read())["audit"]
    return found
