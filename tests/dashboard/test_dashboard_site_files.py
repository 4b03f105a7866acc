"""The files of data/ are read tolerantly: each version once, a bad one never instead of a good one."""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dashboard import latest_files
from dashboard.latest_files import LatestFiles, UnreadableContentError
from dashboard.records import Wh
from dashboard.site_files import (
    SiteFiles,
    folder_of_site,
    parse_charge_points,
    parse_readings,
    parse_server_status,
    parse_sessions,
    parse_usage,
    parse_users_report,
)
from dashboard.users_csv import parse_users


def encoded(document: object) -> bytes:
    return json.dumps(document).encode()


def test_an_unchanged_file_is_parsed_once(tmp_path: Path) -> None:
    """The key is name, mtime in ns, size, inode."""
    (tmp_path / "a").write_bytes(b"1")
    files, parsed = LatestFiles(tmp_path), []

    for _ in range(3):
        files.load("a", parsed.append)

    assert parsed == [b"1"]


def test_a_replaced_file_of_the_same_size_and_time_is_read_again(tmp_path: Path) -> None:
    """The inode tells."""
    path, new = tmp_path / "a", tmp_path / "new"
    path.write_bytes(b"1")
    files = LatestFiles(tmp_path)
    assert files.load("a", bytes).value == b"1"
    new.write_bytes(b"2")
    os.utime(new, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    new.replace(path)

    assert files.load("a", bytes).value == b"2"


def test_a_broken_version_keeps_the_last_good_one_and_says_why(tmp_path: Path) -> None:
    """And a good one after it is taken at once."""
    path = tmp_path / "a"
    files = LatestFiles(tmp_path)
    path.write_text("1")
    first = files.load("a", int)
    path.write_text("broken")
    second = files.load("a", int)
    path.write_text("333")

    assert (second.value, second.written_at) == (1, first.written_at)
    assert "broken" in second.problem
    assert files.load("a", int).value == 333
    assert files.load("a", int).problem == ""


def test_a_missing_file_is_empty_unless_it_keeps(tmp_path: Path) -> None:
    """users1.csv: missing is not "no users"."""
    files = LatestFiles(tmp_path)
    for name in ("a", "b"):
        (tmp_path / name).write_text("1")
    assert (files.load("a", int).value, files.load("b", int, keeps_when_missing=True).value) == (1, 1)
    for name in ("a", "b"):
        (tmp_path / name).unlink()

    assert files.load("a", int).value is None
    for _ in range(2):
        kept = files.load("b", int, keeps_when_missing=True)
        assert (kept.value, kept.is_missing) == (1, True)
    (tmp_path / "b").write_text("2")
    assert files.load("b", int, keeps_when_missing=True).value == 2


def test_a_file_that_changes_while_it_is_read_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not every program that writes into the folder replaces its files as a whole."""
    path = tmp_path / "a"
    path.write_text("1")
    files = LatestFiles(tmp_path)
    files.load("a", int)
    path.write_text("22")
    looks = iter(range(100))
    monkeypatch.setattr(latest_files, "_fingerprint", lambda _: (next(looks), 0, 0))

    loaded = files.load("a", int)

    assert (loaded.value, loaded.problem) == (1, "is being written right now")


def test_a_folder_in_the_place_of_a_file_is_a_problem_not_a_crash(tmp_path: Path) -> None:
    """So is one that may not be opened."""
    (tmp_path / "a").mkdir()

    assert "cannot be opened" in LatestFiles(tmp_path).load("a", int).problem


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"7", b'{"A": {}', b"\xff\xfe\xff", b"[" * 100_000, b'{"A": 5}', b"null"]
)
@pytest.mark.parametrize("parse", [parse_charge_points, parse_sessions])
def test_what_is_no_object_of_objects_is_refused(parse: Callable[[bytes], object], content: bytes) -> None:
    """With ValueError or RecursionError, which `LatestFiles` turns into a note."""
    with pytest.raises((ValueError, RecursionError)):
        parse(content)


def test_energy_is_read_as_whole_wh() -> None:
    """kWh with three decimals in the file; floating point must not lose one."""
    assert parse_usage(b'{"RFID001": 85.5, "B": 0.029, "C": 1}') == {"RFID001": 85_500, "B": 29, "C": 1000}


@pytest.mark.parametrize("value", ['"5"', "null", "true", "NaN", "Infinity", "-1", "1e300", "[]"])
def test_an_energy_that_is_no_number_makes_the_total_unusable(value: str) -> None:
    """Never turn an unreadable value into zero."""
    with pytest.raises(UnreadableContentError):
        parse_usage(f'{{"A": {value}}}'.encode())


def test_a_charge_point_needs_only_its_id() -> None:
    """Keys may be added to or missing from objects."""
    (bare, full) = parse_charge_points(
        encoded(
            {
                "A": {},
                "B": {"name": "Gate", "status": "Offline", "connected": False, "admission": "pending", "power_w": 7},
            }
        )
    )

    assert (bare.name, bare.status, bare.is_connected, bare.power_w) == ("A", "", None, None)
    assert (full.name, full.is_connected, full.is_waiting_for_approval, full.power_w) == ("Gate", False, True, 7)


@pytest.mark.parametrize(
    ("entry", "energy"),
    [
        ({"start_meter": 85.5, "last_meter": 88.2}, 2700),
        ({"start_meter": 85.5, "last_meter": 88.2, "energy_kwh": 3.1}, 3100),
        ({"start_meter": 85.5, "last_meter": 80}, None),
        ({"start_meter": 85.5}, None),
        ({"start_meter": "85.5", "last_meter": 88.2}, None),
    ],
)
def test_a_sessions_energy_is_the_servers_else_the_registers_growth(
    entry: dict[str, object], energy: int | None
) -> None:
    """Energy is never negative."""
    (session,) = parse_sessions(encoded({"1": entry}))

    assert session.energy == energy


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2025-01-15T10:30:00Z", datetime(2025, 1, 15, 10, 30, tzinfo=UTC)),
        ("2025-01-15T13:30:00+03:00", datetime(2025, 1, 15, 10, 30, tzinfo=UTC)),
        ("2025-01-15T10:30:00", datetime(2025, 1, 15, 10, 30, tzinfo=UTC)),
        ("yesterday", None),
        ("0001-01-01T00:00:00+14:00", None),
        (None, None),
        (5, None),
    ],
)
def test_times_are_utc_or_not_known(text: object, moment: datetime | None) -> None:
    """Also a time that has no place in UTC."""
    (session,) = parse_sessions(encoded({"1": {"start_time": text, "connector_id": 2**70}}))

    assert session.since == moment
    assert session.connector_id is None


def test_log_lines_without_what_we_need_are_left_out() -> None:
    """The log feeds only "power now"."""
    good = {"timestamp": "2025-01-15T10:30:00Z", "chargerName": "A", "totalPower": 7200}

    assert len(parse_readings(encoded([good, {}, 5, good | {"totalPower": None}, good | {"timestamp": ""}]))) == 1


def test_a_server_status_may_be_empty_or_full_of_wrong_types() -> None:
    """All keys are optional."""
    empty = parse_server_status(b"{}")
    wrong = parse_server_status(
        encoded({"time": 5, "alerts": {"a": 1}, "users_file": [], "forwarder": "x", "demo": "yes", "site_name": None})
    )

    assert empty == wrong


def test_a_server_status_is_read_whole() -> None:
    """The keys that the server publishes."""
    status = parse_server_status(
        encoded(
            {
                "time": "2026-11-20T10:00:00Z",
                "demo": True,
                "forwarder": {"enabled": True, "backlog": 4, "last_error": "timeout"},
                "users_file": {"problems": [{"line": 3, "column": "quota_kwh", "text": "bad", "severity": "error"}]},
                "alerts": [
                    {"id": "1", "kind": "k", "text": "t", "since": "2026-11-20T09:00:00Z", "charger_id": "CP"},
                    "no object",
                ],
            }
        )
    )

    assert status.is_demo
    assert (status.forwarder_backlog, status.forwarder_error) == (4, "timeout")
    assert status.users_problems[0].line == 3
    assert [(alert.kind, alert.charge_point_id) for alert in status.alerts] == [("k", "CP")]
    assert parse_users_report(encoded({"file_error": "is empty"})).file_error == "is empty"


USERS = "id_tag,name,surname,quota_kwh,unlimited\n0012345,Ayşe,Yılmaz,150,FALSE\nNA,Ömer,Öz,0,TRUE\n"


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1254"])
def test_users_are_read_with_any_delimiter_newline_and_encoding(delimiter: str, newline: str, encoding: str) -> None:
    """Tags stay text: no leading zero is lost, NA is a tag."""
    table = parse_users(USERS.replace(",", delimiter).replace("\n", newline).encode(encoding))

    assert [(row.id_tag, row.person, row.quota) for row in table.rows] == [
        ("0012345", "Ayşe Yılmaz", 150_000),
        ("NA", "Ömer Öz", None),
    ]
    assert [problem.text for problem in table.problems] == (
        ["is not UTF-8; read as Windows text (cp1254)"] if encoding == "cp1254" else []
    )


def test_header_name_is_name_and_column_order_is_free() -> None:
    """Older files have it."""
    (row,) = parse_users(
        b"quota_kwh;header name;id_tag;account;blocked;expiry_date;x\n150,5;Jo;1E5;team;EVET;2026-12-31;y\n"
    ).rows

    assert (row.id_tag, row.person, row.account, row.quota) == ("1E5", "Jo", "team", Wh(150_500))
    assert row.is_blocked
    assert str(row.expiry_date) == "2026-12-31"


@pytest.mark.parametrize(
    ("cells", "column"),
    [
        ("A,abc,FALSE,,,", "quota_kwh"),
        ("A,,FALSE,,,", "quota_kwh"),
        ("A,-5,FALSE,,,", "quota_kwh"),
        ("A,nan,FALSE,,,", "quota_kwh"),
        ("A,1e5,FALSE,,,", "quota_kwh"),
        ("A,٥,FALSE,,,", "quota_kwh"),
        ("A,5,maybe,,,", "unlimited"),
        ("A,5,FALSE,maybe,,", "blocked"),
        ("A,5,FALSE,,31.12.2026,", "expiry_date"),
        (",5,FALSE,,,", "id_tag"),
        ("A,5,FALSE,,,,more", ""),
    ],
)
def test_a_bad_row_is_named_with_its_line_and_column(cells: str, column: str) -> None:
    """Blank lines count: the line is the one that an editor shows."""
    text = f"id_tag,quota_kwh,unlimited,blocked,expiry_date,note\nOK,5,HAYIR,,,\n\n{cells}\n"
    table = parse_users(text.encode())

    assert [(problem.line, problem.column) for problem in table.problems] == [(4, column)]
    assert table.rows[0].is_readable
    assert all(not row.is_readable for row in table.rows[1:])


@pytest.mark.parametrize(
    "content", [b"", b"\n\n", b"\xef\xbb\xbf", b"name,quota\nA,5\n", b'id_tag,quota_kwh\n"A,5\n', b"\xff\xfea"]
)
def test_what_is_no_users_table_is_refused(content: bytes) -> None:
    """So that the last good table stays."""
    with pytest.raises(ValueError, match=r"\w"):
        parse_users(content)


def test_an_empty_folder_gives_a_note_for_every_file(tmp_path: Path) -> None:
    """Missing is not broken."""
    site = SiteFiles(LatestFiles(tmp_path / "nowhere")).read()

    assert len(site.notes) == 7
    assert not any(note.is_broken for note in site.notes)
    assert (site.charge_points, site.written_at) == (None, None)


def test_the_folder_is_named_by_the_environment_else_beside_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    """EVQUOTA_DATA_DIR; blank is as good as none."""
    monkeypatch.setenv("EVQUOTA_DATA_DIR", "/somewhere")
    assert folder_of_site() == Path("/somewhere")
    monkeypatch.setenv("EVQUOTA_DATA_DIR", "")
    assert folder_of_site() == Path(__file__).resolve().parents[2] / "data"
