"""The archive as the server writes it, and as somebody's spreadsheet or disk left it."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from archive_folder import HEADER, ArchiveFolder, session_row, sessions_text
from site_folder import SiteFolder

from dashboard.archive_files import (
    FinishedSession,
    archive_in,
    parse_finished_sessions,
    parse_month_energy,
)
from dashboard.latest_files import UnreadableContentError

MONTH = date(2026, 11, 1)
START = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)


@pytest.fixture
def written(tmp_path: Path) -> ArchiveFolder:
    return ArchiveFolder(SiteFolder(tmp_path))


def sessions(*rows: list[object]) -> tuple[FinishedSession, ...]:
    return parse_finished_sessions(sessions_text(list(rows)).encode())


def test_a_line_of_the_documentation_is_read() -> None:
    """docs/files.md, archive/."""
    content = (
        '\ufeff"transaction","charger_id","charger","connector","id_tag","name","start","end","start_utc","end_utc",'
        '"energy_kwh","duration_min","reason","flags"\r\n59876543,"LIVOLTEK_01","Gate left",1,"RFID001","John Doe",'
        '"2025-01-15 13:30:00","2025-01-15 15:02:11","2025-01-15T10:30:00Z","2025-01-15T12:02:11Z",11.04,92,'
        '"quota reached","started offline; 30 Wh over the quota"\r\n'
    )

    (session,) = parse_finished_sessions(content.encode())

    assert session == FinishedSession(
        "59876543", "LIVOLTEK_01", "Gate left", 1, "RFID001", "John Doe", datetime(2025, 1, 15, 10, 30, tzinfo=UTC),
        datetime(2025, 1, 15, 12, 2, 11, tzinfo=UTC), 11_040, 92, "quota reached",  # type: ignore[arg-type]
        ("started offline", "30 Wh over the quota"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("cell", "text"),
    [("'=1+1", "=1+1"), ("'-x", "-x"), ("'\t", "\t"), ("'t Hart", "'t Hart"), ("''=1", "''=1"), ("'", "'")],
)
def test_the_quote_before_a_formula_is_taken_off(cell: str, text: str) -> None:
    """It is the spreadsheet's, not the name's; other names keep theirs."""
    assert sessions(session_row(1, "CP", "TAG", cell, START))[0].person == text


@pytest.mark.parametrize("energy", ["", "much", "nan", "inf", "1e99"])
def test_an_energy_that_is_no_number_is_not_known(energy: str) -> None:
    """Never zero."""
    assert sessions(session_row(1, "CP", "TAG", "Ada", START, energy_kwh=energy))[0].energy is None


@pytest.mark.parametrize("text", ["", "soon", "9999-99-99", "0001-01-01T00:00:00+23:59"])
def test_a_time_that_is_none_is_not_known(text: str) -> None:
    """The rest of the session is."""
    row = session_row(1, "CP", "TAG", "Ada", START)
    row[HEADER.index("end_utc")] = text

    (session,) = sessions(row)

    assert session.end is None
    assert session.start == START


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\xff\xfe", "not UTF-8"),
        (b"", "no column transaction"),
        (b"a,b\r\n1,2\r\n", "no column transaction"),
        (sessions_text([["1", "CP"]]).encode(), "2 cells in row 2 where 14"),
        (sessions_text([]).encode() + b'"1', "not CSV"),
    ],
)
def test_what_is_no_list_of_sessions_is_refused(content: bytes, reason: str) -> None:
    """Half of them would make wrong totals."""
    with pytest.raises(UnreadableContentError, match=reason):
        parse_finished_sessions(content)


def test_the_hour_that_comes_twice_is_two_hours() -> None:
    """The clocks went back in Berlin on 25 October 2026: each hour has its offset."""
    content = b'{"chargers": {"CP": {"2026-10-25T02:00+02:00": 1.5, "2026-10-25T02:00+01:00": 2.5}}, "tags": {}}'

    hours = parse_month_energy(content).by_hour["CP"]

    assert [(hour.hour, energy) for hour, energy in hours.items()] == [(2, 1_500), (2, 2_500)]


@pytest.mark.parametrize(
    "content",
    [
        "[]", "{", "{}", '{"chargers": {}}', '{"chargers": {}, "tags": []}', '{"chargers": {"A": 1}, "tags": {}}',
        '{"chargers": {"A": {"2026-11-01T00:00+03:00": "1"}}, "tags": {}}',
        '{"chargers": {"A": {"2026-11-01T00:00+03:00": NaN}}, "tags": {}}',
        '{"chargers": {"A": {"noon": 1}}, "tags": {}}', '{"chargers": {}, "tags": {"A": {"2026-11-31": 1}}}',
        '{"chargers": {}, "tags": {"A": {"2026-11-01": null}}}', "[" * 100_000,
    ],
)  # fmt: skip
def test_energy_with_a_value_that_is_none_is_not_shown(written: ArchiveFolder, content: str) -> None:
    """A total without it would be wrong. The page is told why, and nothing is raised."""
    written.write("energy_hourly-2026-11.json", content)

    loaded = archive_in(written.folder.path).energy(MONTH)

    assert loaded.value is None
    assert loaded.problem
    assert not loaded.is_missing


def test_energy_may_be_taken_back() -> None:
    """A correction in another hour than what it corrects."""
    energy = parse_month_energy(b'{"chargers": {}, "tags": {"A": {"2026-11-01": -0.057}}}')

    assert energy.by_day == {"A": {date(2026, 11, 1): -57}}


def test_months_are_those_with_a_file_the_newest_first(written: ArchiveFolder) -> None:
    """Whatever else is in the folder."""
    for name in (
        *("sessions-2026-11.csv", "energy_hourly-2025-12.json", "energy_usage-2026-10.json", "sessions-2026-10.csv"),
        *("sessions-2026-13.csv", "sessions-2026-09.csv.set-aside-1", ".sessions-2026-08.csv.tmp-1", "notes.txt"),
        "sessions-0000-01.csv",
    ):
        written.write(name, "")

    months = archive_in(written.folder.path).months()

    assert months == [date(2026, 11, 1), date(2026, 10, 1), date(2025, 12, 1)]


def test_without_an_archive_there_are_no_months_and_all_is_missing(tmp_path: Path) -> None:
    """Only the five files, or a first start."""
    archive = archive_in(tmp_path)

    assert archive.months() == []
    assert archive.sessions(MONTH).is_missing
    assert archive.energy(MONTH).is_missing
    assert archive.usage(MONTH).is_missing


def test_a_file_that_becomes_unreadable_keeps_its_last_good_version(written: ArchiveFolder) -> None:
    """And says since when."""
    written.write_sessions("2026-11", [session_row(1, "CP", "TAG", "Ada", START, end=START + timedelta(hours=1))])
    archive = archive_in(written.folder.path)
    assert archive.sessions(MONTH).problem == ""
    written.write("sessions-2026-11.csv", "spoilt")

    loaded = archive.sessions(MONTH)

    assert [session.duration_min for session in loaded.value or ()] == [60]
    assert "no column" in loaded.problem
    assert loaded.written_at is not None


def test_a_cell_of_10000_characters_is_read(written: ArchiveFolder) -> None:
    """It is cut where it is shown."""
    written.write_sessions("2026-11", [session_row(1, "CP", "x" * 10_000, "Ada\r\nLovelace", START)])

    (session,) = archive_in(written.folder.path).sessions(MONTH).value or ()

    assert (len(session.id_tag), session.person) == (10_000, "Ada\r\nLovelace")
