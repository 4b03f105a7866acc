"""`report`: its totals are those of the ledger to the Wh, and its files are safe in a spreadsheet."""

import asyncio
import csv
import io
import json
import sqlite3
import stat
import zipfile
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

import pytest
from typed_commands import Keyboard

from ocpp_server.core import commands as cmd
from ocpp_server.core.decide import decide
from ocpp_server.core.energy import Wh
from ocpp_server.core.period import Month
from ocpp_server.core.site import Policy, Site, apply
from ocpp_server.core.users import Access, Account, ChargerRow, IdTag, User, UserTable
from ocpp_server.storage.ledger import Ledger

ZONE = "Europe/Istanbul"
NEW_YEAR = datetime(2024, 12, 31, 21, 0, tzinfo=UTC)
"""Midnight there."""
FORMULA = "=HYPERLINK(0)"
_SHEET = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def _user(tag: str, name: str, quota: Wh | None, account: str = "") -> User:
    return User(IdTag(tag), Account(account or tag), name, "", quota)


USERS = (
    _user("ADA", "Ada", Wh(40_000), "flat 1"),
    _user("BOB", "Bob", Wh(40_000), "flat 1"),
    _user("EVE", FORMULA, None),
    _user("ZOE", "Zoë\ud800", Wh(0)),
)


def _session(charger: str, tag: str, begin: datetime, end: datetime | None, wh: int) -> list[cmd.Command]:
    """The last two of a list are bound to a number when they are carried out."""
    started = cmd.StartTransaction(charger, begin, 1, tag, 0, begin.isoformat())
    return [started] if end is None else [started, cmd.StopTransaction(charger, end, 0, wh, end.isoformat())]


def _story() -> list[cmd.Command]:
    hour = timedelta(hours=1)
    return [
        cmd.OpenMonth(NEW_YEAR - 9 * hour, Month("2024-12")),
        cmd.ReplaceUsers(NEW_YEAR, UserTable({user.id_tag: user for user in USERS})),
        cmd.ReplaceChargers(NEW_YEAR, (ChargerRow("CP1", name="@Gate"), ChargerRow("FREE", access=Access.FREE))),
        cmd.Connect("CP1", NEW_YEAR - 9 * hour),
        cmd.Connect("FREE", NEW_YEAR - 9 * hour),
        *_session("CP1", "ADA", NEW_YEAR - hour, NEW_YEAR + 2 * hour, 10_001),
        cmd.OpenMonth(NEW_YEAR + hour, Month("2025-01")),
        *_session("CP1", "EVE", NEW_YEAR + 3 * hour, NEW_YEAR + 4 * hour, 7_777),
        *_session("FREE", "BOB", NEW_YEAR + 3 * hour, NEW_YEAR + 4 * hour, 3_003),
        *_session("CP1", "BOB", NEW_YEAR + 5 * hour, NEW_YEAR + 6 * hour, 1_234),
        cmd.Adjust(NEW_YEAR + 7 * hour, IdTag("ADA"), Wh(-57), "-1 was read", "Bob"),
        cmd.Adjust(NEW_YEAR + 7 * hour, IdTag("GUEST"), Wh(11), "guest", "Bob"),
        *_session("CP1", "ADA", NEW_YEAR + 8 * hour, None, 0),
    ]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session over midnight of the new year, a free one, an open one, two corrections, and names that bite."""
    data_dir = tmp_path_factory.mktemp("report")
    policy = Policy(ZoneInfo(ZONE))
    ledger = Ledger(data_dir / "ledger.db", policy, NEW_YEAR, reserve_bytes=0)
    ledger.open()
    state = Site(policy)
    last: int | None = None
    for command in _story():
        if isinstance(command, cmd.StopTransaction):
            command = cmd.StopTransaction(  # noqa: PLW2901 - with the number that the session got
                command.charge_point_id, command.at, last or 0, command.meter_stop, command.timestamp
            )
        decision = decide(state, command)
        if isinstance(decision.reply, cmd.Started):
            last = decision.reply.transaction_id
        asyncio.run(ledger.commit(decision.changes))
        for change in decision.changes:
            apply(state, change)
    ledger.close()
    return data_dir


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Keyboard:
    """To type commands."""
    return Keyboard(monkeypatch, capfd)


def in_the_books(site: Path, month: str) -> dict[str, tuple[int, int]]:
    """Wh on quotas and not, by tag, as the bookings add up."""
    with closing(sqlite3.connect(site / "ledger.db")) as ledger:
        query = (
            "SELECT id_tag, sum(wh * is_on_quota), sum(wh * (1 - is_on_quota)) FROM bookings WHERE month = ? GROUP BY 1"
        )
        return {tag: (wh, free) for tag, wh, free in ledger.execute(query, (month,))}


def rows_of(path: Path) -> list[dict[str, str]]:
    """A CSV file, its last row the totals."""
    content = path.read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def wh(kwh: str) -> int:
    """What stands in a cell."""
    return round(float(kwh) * 1000)


def sheet(path: Path, number: int) -> list[dict[str, Any]]:
    """The rows of a sheet by the names in its header: numbers as float, text as str; empty cells are not there."""
    with zipfile.ZipFile(path) as book:
        shared = ET.fromstring(book.read("xl/sharedStrings.xml"))
        texts = ["".join(entry.itertext()) for entry in shared]
        tree = ET.fromstring(book.read(f"xl/worksheets/sheet{number}.xml"))
    assert not list(tree.iter(f"{_SHEET}f")), "a formula"
    header, *rows = [
        {cell.attrib["r"][0]: value for cell in row if (value := _value(cell, texts)) is not None}
        for row in tree.iter(f"{_SHEET}row")
    ]
    return [{header[column]: value for column, value in row.items()} for row in rows]


def _value(cell: ET.Element, texts: list[str]) -> Any:
    value = cell.find(f"{_SHEET}v")
    if value is None:
        return None
    return texts[int(value.text or "")] if cell.get("t") == "s" else float(value.text or "")


@pytest.mark.parametrize("month", ["2024-12", "2025-01"])
def test_the_totals_are_those_of_the_ledger(site: Path, keys: Keyboard, tmp_path: Path, month: str) -> None:
    """By tag and in all, in CSV, in the workbook and for programs; sessions and other bookings add up to the same."""
    booked = in_the_books(site, month)
    everything = (sum(on for on, _ in booked.values()), sum(free for _, free in booked.values()))
    asked = ("report", "--month", month)
    csv_done = keys(site, *asked, "--format", "csv", "--output", tmp_path / "r.csv", timezone=ZONE)
    book_done = keys(site, *asked, "--format", "xlsx", "--output", tmp_path / "r.xlsx", timezone=ZONE)
    _, text, _ = keys(site, *asked, "--json", timezone=ZONE)

    *users, total = rows_of(tmp_path / "r.csv")
    parts = [rows_of(tmp_path / f"r-{name}.csv") for name in ("sessions", "other-bookings")]
    told = json.loads(text)
    *_, last = sheet(tmp_path / "r.xlsx", 1)

    assert (csv_done[0], book_done[0]) == (0, 0)
    charged = {row["id_tag"]: (wh(row["energy_kwh"]), wh(row["free_kwh"])) for row in users}
    assert {tag: pair for tag, pair in charged.items() if any(pair)} == {t: p for t, p in booked.items() if any(p)}
    assert (wh(total["energy_kwh"]), wh(total["free_kwh"])) == everything
    assert tuple(sum(wh(part[-1][name]) for part in parts) for name in ("energy_kwh", "free_kwh")) == everything
    for part in parts:
        assert sum(wh(row["energy_kwh"]) for row in part[:-1]) == wh(part[-1]["energy_kwh"])
    assert (told["energy_wh"], told["free_wh"]) == everything
    assert (last["energy_kwh"], last["free_kwh"]) == tuple(total / 1000 for total in everything)


def test_a_session_over_the_end_of_the_month_is_in_both(site: Path, keys: Keyboard) -> None:
    """With what was booked for it in each; the parts are the whole."""
    told = [json.loads(keys(site, "report", "--month", m, "--json", timezone=ZONE)[1]) for m in ("2024-12", "2025-01")]
    first, second = (next(one for one in month["sessions"] if one["session_wh"] == 10_001) for month in told)

    assert first["transaction"] == second["transaction"]
    assert 0 < first["energy_wh"] < 10_001
    assert first["energy_wh"] + second["energy_wh"] == 10_001


def test_a_shared_quota_is_shared(site: Path, keys: Keyboard) -> None:
    """Share of quota: what the account has used. A quota of nothing has no share, an unlimited one neither."""
    told = json.loads(keys(site, "report", "--month", "2025-01", "--json", timezone=ZONE)[1])
    by_tag = {one["id_tag"]: one for one in told["users"]}

    assert by_tag["ADA"]["account_wh"] == by_tag["BOB"]["account_wh"]
    assert by_tag["BOB"]["account_wh"] == by_tag["ADA"]["energy_wh"] + by_tag["BOB"]["energy_wh"]
    assert by_tag["ADA"]["share_of_quota"] == by_tag["ADA"]["account_wh"] / 40_000
    assert (by_tag["EVE"]["share_of_quota"], by_tag["EVE"]["unlimited"]) == (None, True)
    assert (by_tag["ZOE"]["share_of_quota"], by_tag["GUEST"]["quota_wh"]) == (None, None)
    assert [by_tag[tag]["sessions"] for tag in ("ADA", "BOB", "EVE", "ZOE", "GUEST")] == [2, 2, 1, 0, 0]


def test_text_from_outside_is_no_formula(site: Path, keys: Keyboard, tmp_path: Path) -> None:
    """CWE-1236: in CSV behind a quote, in the workbook as text; numbers and times are numbers there."""
    for kind in ("csv", "xlsx"):
        file = tmp_path / f"r.{kind}"
        assert keys(site, "report", "--month", "2025-01", "--format", kind, "--output", file, timezone=ZONE)[0] == 0

    names = {row["id_tag"]: row["name"] for row in rows_of(tmp_path / "r.csv")}
    sessions = rows_of(tmp_path / "r-sessions.csv")
    others = rows_of(tmp_path / "r-other-bookings.csv")
    users = sheet(tmp_path / "r.xlsx", 1)
    begin = sheet(tmp_path / "r.xlsx", 2)[0]["start"]

    assert names["EVE"] == f"'{FORMULA}"
    assert names["ZOE"] == "Zoë\\ud800"
    assert {row["charger"] for row in sessions} >= {"'@Gate"}
    assert others[0]["reason"].startswith("'-1 was read")
    assert FORMULA in [row.get("name") for row in users]
    assert all(isinstance(row["energy_kwh"], float) for row in users)
    assert begin == pytest.approx(45657 + 23 / 24)  # 2024-12-31 23:00 as a spreadsheet counts days


def test_files_are_for_their_user_alone_and_are_named(
    site: Path, keys: Keyboard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A report says who charged where and when. Without --output it has a name of its own in the folder one is in."""
    monkeypatch.chdir(tmp_path)

    _, out, _ = keys(site, "report", "--month", "2025-01", "--format", "csv", timezone=ZONE)

    name = "evquota-report-2025-01"
    assert out.split() == [f"{name}.csv", f"{name}-sessions.csv", f"{name}-other-bookings.csv"]
    assert {stat.S_IMODE((tmp_path / file).stat().st_mode) for file in out.split()} == {0o600}


def test_a_report_for_people_is_a_table(site: Path, keys: Keyboard) -> None:
    """Month, names and a last line with the totals; `-` gives the users' CSV instead."""
    status, shown, _ = keys(site, "report", "--month", "2025-01", timezone=ZONE)
    _, piped, _ = keys(site, "report", "--month", "2025-01", "--format", "csv", "--output", "-", timezone=ZONE)

    assert status == 0
    assert shown.startswith(f"2025-01, {ZONE}: 5 tags, 5 sessions")
    assert "Ada" in shown
    assert shown.splitlines()[-1].startswith("total")
    assert piped.startswith('\ufeff"id_tag","name"')


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--month", "2025-13"], "is no month"),
        (["--month", "January"], "is no month"),
        (["--output", "r.csv"], "--output needs --format"),
        (["--format", "csv", "--output", "/nowhere/r.csv"], "No such file"),
    ],
)
def test_what_cannot_be_reported_says_why(site: Path, keys: Keyboard, arguments: list[str], words: str) -> None:
    """Exit code 2 and one sentence."""
    status, out, err = keys(site, "report", *arguments, timezone=ZONE)

    assert (status, out) == (2, "")
    assert words in err


def test_a_report_without_a_ledger_says_so(tmp_path: Path, keys: Keyboard) -> None:
    """A mistyped folder is no empty month."""
    status, _, err = keys(tmp_path, "report")

    assert status == 2
    assert "there is no ledger" in err
