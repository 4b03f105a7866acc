"""`storage.imported_files`: a site that moves over keeps its state (docs/architecture.md, Storage; docs/files.md)."""

import asyncio
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from any_record import POLICY

from ocpp_server.core import changes as ch
from ocpp_server.core.energy import Wh
from ocpp_server.core.period import Moment
from ocpp_server.core.records import Admission, AuthorizationStatus, BookingKind, NoteKind, Transaction
from ocpp_server.core.register import observe
from ocpp_server.core.settlement import settle
from ocpp_server.core.site import Site, apply
from ocpp_server.storage import documents
from ocpp_server.storage.errors import ImportFileError
from ocpp_server.storage.imported_files import import_files
from ocpp_server.storage.ledger import Ledger
from ocpp_server.storage.verify import verify

NOW = datetime(2025, 1, 15, 12, 0, tzinfo=UTC)
WRITTEN = datetime(2025, 1, 15, 11, 0, tzinfo=UTC)

SESSION: dict[str, Any] = {
    "id_tag": "RFID001",
    "start_meter": 85.5,
    "start_time": "2025-01-15T10:30:00Z",
    "last_meter": 88.2,
    "full_name": "John Doe",
    "charger_id": "LIVOLTEK_01",
}
CHARGER: dict[str, Any] = {
    "name": "LIVOLTEK_01",
    "brand": "LIVOLTEK",
    "status": "Charging",
    "last_heartbeat": "2025-01-15T10:35:00Z",
    "total_energy_delivered": 1523.5,
    "connector_id": 2,
}
READING: dict[str, Any] = {
    "ID": "abc123def456",
    "timestamp": "2025-01-15T10:35:00Z",
    "userName": "John Doe",
    "chargerName": "LIVOLTEK_01",
    "totalPower": 7200,
    "deliveredEnergy": 88.2,
    "frequency": 50.0,
}


def write(folder: Path, name: str, content: object, written: datetime = WRITTEN) -> None:
    path = folder / f"{name}.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    os.utime(path, (written.timestamp(), written.timestamp()))


def imported(folder: Path) -> Site:
    """The site after the import, as the central system would have it."""
    site = Site(POLICY, next_transaction_id=1000)
    for change in import_files(folder, site, NOW):
        apply(site, change)
    return site


def session_of(folder: Path) -> Transaction:
    (transaction,) = imported(folder).open_transactions.values()
    return transaction


def test_a_folder_without_files_gives_no_changes(tmp_path: Path) -> None:
    """The very first start."""
    assert import_files(tmp_path, Site(POLICY), NOW) == ()


def test_the_example_files_are_taken_over(tmp_path: Path) -> None:
    """The five formats of docs/files.md word by word."""
    write(tmp_path, "energy_usage", {"RFID001": 85.5, "RFID002": 120.3})
    write(tmp_path, "active_transactions", {"1234567890": SESSION})
    write(tmp_path, "charger_status", {"LIVOLTEK_01": CHARGER})
    write(tmp_path, "meter_data_log", [READING])
    site = imported(tmp_path)
    charge_point = site.charge_points["LIVOLTEK_01"]

    assert site.open_month == "2025-01"
    assert site.usage == {("2025-01", "RFID001"): 85_500, ("2025-01", "RFID002"): 120_300}
    assert site.delivered == {"LIVOLTEK_01": 1_523_500}
    assert list(site.open_transactions) == [1234567890]
    assert site.next_transaction_id == 1234567891
    assert (charge_point.vendor, charge_point.booted_at) == ("LIVOLTEK", NOW)
    assert [(c.connector_id, c.status) for c in charge_point.connectors] == [(2, "Charging")]
    assert site.last_heartbeat["LIVOLTEK_01"] == datetime(2025, 1, 15, 10, 35, tzinfo=UTC)
    assert [reading.register for reading in site.readings] == [88_200]
    assert [note.text for note in site.notes] == []


def test_an_open_session_is_not_booked_a_second_time(tmp_path: Path) -> None:
    """energy_usage.json holds what the session used so far; its next reading adds the growth alone."""
    write(tmp_path, "energy_usage", {"RFID001": 85.5})
    write(tmp_path, "active_transactions", {"7": SESSION})
    transaction = session_of(tmp_path)
    moment = Moment(NOW, NOW, NOW)
    register, findings = observe(transaction.register, (Wh(89_000),), moment, 50_000)

    assert transaction.energy == transaction.register.energy == 2_700
    assert transaction.booked == (("2025-01", 2_700),)
    assert imported(tmp_path).usage == {("2025-01", "RFID001"): 85_500}
    assert (register.energy, findings) == (3_500, ())


def test_an_imported_session_is_what_it_was(tmp_path: Path) -> None:
    """It goes on under its id, and a repeated StartTransaction is recognised (rules 19 and 24)."""
    write(tmp_path, "energy_usage", {"RFID001": 85.5})
    write(tmp_path, "active_transactions", {"7": SESSION})
    write(tmp_path, "charger_status", {"LIVOLTEK_01": CHARGER})
    transaction = session_of(tmp_path)

    assert transaction.transaction_id == 7
    assert (transaction.charge_point_id, transaction.connector_id) == ("LIVOLTEK_01", 2)
    assert (transaction.id_tag, transaction.full_name) == ("RFID001", "John Doe")
    assert transaction.status is AuthorizationStatus.ACCEPTED
    assert transaction.started_at == datetime(2025, 1, 15, 10, 30, tzinfo=UTC)
    assert (transaction.start_stamp, transaction.start_meter_text) == ("2025-01-15T10:30:00Z", "8.55E+4")
    assert transaction.booked_at == WRITTEN
    assert transaction.flags == ("imported",)


def test_an_imported_session_can_be_stopped(tmp_path: Path) -> None:
    """A sane meterStop settles it like any other (rule 4)."""
    write(tmp_path, "active_transactions", {"7": SESSION})
    register = session_of(tmp_path).register
    settled, findings = settle(register, Wh(88_900), Moment(NOW, NOW, NOW), 50_000)

    assert (settled.energy, findings) == (3_400, ())


def test_the_month_is_that_of_the_modification_time_in_the_site_s_zone(tmp_path: Path) -> None:
    """Half past midnight in Istanbul on 1 January is still December in UTC (rule 10)."""
    write(tmp_path, "energy_usage", {"RFID001": 1}, datetime(2024, 12, 31, 21, 30, tzinfo=UTC))
    site = imported(tmp_path)

    assert site.open_month == "2025-01"
    assert site.usage == {("2025-01", "RFID001"): 1000}


def test_a_modification_time_in_the_future_counts_as_now(tmp_path: Path) -> None:
    """A month that has not begun must not be opened (rule 11)."""
    write(tmp_path, "energy_usage", {"RFID001": 1}, NOW + timedelta(days=40))

    assert imported(tmp_path).open_month == "2025-01"


def test_what_a_session_used_before_the_month_was_reset_is_on_no_quota(tmp_path: Path) -> None:
    """It is booked at the session's start, so that the session's energy is whole and the file's total stays."""
    write(tmp_path, "energy_usage", {"RFID001": 0.7})
    write(tmp_path, "active_transactions", {"7": {**SESSION, "start_time": "2024-12-31T18:00:00Z"}})
    site = imported(tmp_path)
    transaction = site.open_transactions[7]

    assert transaction.booked == (("2024-12", 2_000), ("2025-01", 700))
    assert site.usage == {("2025-01", "RFID001"): 700}
    assert site.delivered == {"LIVOLTEK_01": 2_700}


def test_a_session_that_could_not_have_used_so_much_goes_on_from_its_next_reading(tmp_path: Path) -> None:
    """Older servers mixed Wh and kWh in one field: nothing is charged that was not proven."""
    write(tmp_path, "energy_usage", {"RFID001": 2.7})
    write(tmp_path, "active_transactions", {"7": {**SESSION, "start_meter": 85_500, "last_meter": 88_200}})
    site = imported(tmp_path)
    transaction = site.open_transactions[7]
    register, _ = observe(transaction.register, (Wh(88_400),), Moment(NOW, NOW, NOW), 50_000)
    later = NOW + timedelta(minutes=10)
    register, _ = observe(register, (Wh(89_000),), Moment(later, later, later), 50_000)

    assert transaction.booked == (("2025-01", 2_700),)
    assert site.usage == {("2025-01", "RFID001"): 2_700}
    assert [note.kind for note in site.notes] == [NoteKind.SET_ASIDE]
    assert register.energy == 2_700 + 600


def test_two_sessions_of_one_tag_share_what_the_tag_used(tmp_path: Path) -> None:
    """Together they cannot be booked with more than the file's total."""
    write(tmp_path, "energy_usage", {"RFID001": 4.0})
    write(tmp_path, "active_transactions", {"7": SESSION, "8": {**SESSION, "charger_id": "BEDAS01"}})
    site = imported(tmp_path)

    assert site.usage == {("2025-01", "RFID001"): 4_000}
    assert [t.energy for t in site.open_transactions.values()] == [2_700, 2_700]
    assert site.delivered == {"LIVOLTEK_01": 2_700, "BEDAS01": 2_700}


def test_without_energy_usage_a_session_is_booked_on_its_tag(tmp_path: Path) -> None:
    """The only witness of its energy is the session itself."""
    write(tmp_path, "active_transactions", {"7": SESSION})
    site = imported(tmp_path)

    assert site.usage == {("2025-01", "RFID001"): 2_700}
    assert site.open_month is None


@pytest.mark.parametrize(
    ("value", "wh"),
    [(53.09399999999994, 53_094), (85, 85_000), (0.0004, 0), (0.0005, 1), (0, None), (1e2, 100_000)],
)
def test_numbers_are_read_whatever_noise_they_carry(value: float, wh: int | None, tmp_path: Path) -> None:
    """Sums of floats have such tails; Wh are rounded half up."""
    write(tmp_path, "energy_usage", {"RFID001": value})

    assert imported(tmp_path).usage.get(("2025-01", "RFID001")) == (wh or None)  # type: ignore[call-overload]


def test_what_was_delivered_before_is_nobody_s_and_in_no_recent_hour(tmp_path: Path) -> None:
    """A lifetime total must neither count on a quota nor stand in today's chart."""
    write(tmp_path, "charger_status", {"LIVOLTEK_01": CHARGER})
    changes = import_files(tmp_path, Site(POLICY), NOW)
    (booking,) = [change.booking for change in changes if isinstance(change, ch.AddBooking)]

    assert (booking.kind, booking.id_tag, booking.is_on_quota) == (BookingKind.IMPORT, "", False)
    assert (booking.month, booking.wh, booking.charge_point_id) == ("2020-01", 1_523_500, "LIVOLTEK_01")
    assert booking.booked_at == NOW


def test_a_charger_known_from_a_session_alone_is_known(tmp_path: Path) -> None:
    """Else its next message would be answered as a stranger's."""
    write(tmp_path, "active_transactions", {"7": SESSION})

    assert imported(tmp_path).charge_points["LIVOLTEK_01"].booted_at == NOW


def test_a_pending_charger_stays_pending(tmp_path: Path) -> None:
    """Losing the ledger approves nobody."""
    write(tmp_path, "charger_status", {"NEW": {**CHARGER, "admission": "pending", "status": "Offline"}})
    charge_point = imported(tmp_path).charge_points["NEW"]

    assert (charge_point.admission, charge_point.booted_at) == (Admission.PENDING, None)
    assert charge_point.connectors == ()


def test_a_session_that_was_refused_is_refused(tmp_path: Path) -> None:
    """The stopper goes on stopping it (rule 18)."""
    write(tmp_path, "active_transactions", {"7": {**SESSION, "state": "refused"}})

    assert session_of(tmp_path).status is AuthorizationStatus.INVALID


@pytest.mark.parametrize("key", ["0", "-1", "abc", "2147483648", "9223372036854775807", "1.5", "２", ""])
def test_an_id_that_is_no_transaction_id_is_left_out_with_a_note(key: str, tmp_path: Path) -> None:
    """Ids are positive and below 2³¹, with room for the ones that follow (rule 18)."""
    write(tmp_path, "active_transactions", {key: SESSION})
    site = imported(tmp_path)

    assert site.open_transactions == {}
    assert site.next_transaction_id == 1000
    assert [(note.text, note.id_tag) for note in site.notes] == [
        ("not imported: no usable transaction id, tag or charge point", "RFID001")
    ]


def test_a_session_without_registers_begins_with_its_next_reading(tmp_path: Path) -> None:
    """An unreadable register is never 0 (rule 2)."""
    write(tmp_path, "active_transactions", {"7": {"id_tag": "RFID001", "charger_id": "C", "start_meter": "?"}})
    transaction = session_of(tmp_path)

    assert (transaction.register.last, transaction.energy) == (None, 0)
    assert transaction.is_start_clock_doubtful


def test_readings_keep_the_id_they_were_forwarded_under(tmp_path: Path) -> None:
    """Without an ID its content names it; the same reading twice is one; what is unreadable is left out."""
    bare = {key: value for key, value in READING.items() if key != "ID"}
    rows = [READING, READING, bare, {**bare, "deliveredEnergy": "?"}, {**bare, "timestamp": "?"}, "?"]
    write(tmp_path, "meter_data_log", rows)
    first, second = imported(tmp_path).readings

    assert first.key == "imported:abc123def456"
    assert second.key == "imported:LIVOLTEK_01|2025-01-15T10:35:00Z|88200"
    assert (first.number, second.number) == (1, 2)
    assert (first.full_name, first.power_w, first.frequency_hz) == ("John Doe", 7200, 50)


def test_of_a_grown_meter_log_the_newest_500_are_taken(tmp_path: Path) -> None:
    """Files of 5 MB were seen."""
    write(tmp_path, "meter_data_log", [{**READING, "ID": str(number)} for number in range(700)])
    readings = imported(tmp_path).readings

    assert (len(readings), readings[0].key, readings[-1].key) == (500, "imported:200", "imported:699")


def test_a_reading_by_a_charger_s_name_belongs_to_the_charger(tmp_path: Path) -> None:
    """Our own file tells the name of chargers.csv."""
    write(tmp_path, "charger_status", {"SCHNEIDER/EVlinkProAC": {**CHARGER, "name": "North gate"}})
    write(tmp_path, "meter_data_log", [{**READING, "chargerName": "North gate"}])

    assert imported(tmp_path).readings[0].charge_point_id == "SCHNEIDER/EVlinkProAC"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("energy_usage", '{"RFID001": 85.5,\n "RFID002": }', "energy_usage.json line 2 column 13: not JSON"),
        ("energy_usage", "", "energy_usage.json line 1 column 1: not JSON"),
        ("energy_usage", "[1]", "energy_usage.json: an object of tags and kWh was expected, a list came"),
        ("energy_usage", '{"A": 1,\n  "B": -1}', 'energy_usage.json line 2 column 3: "B" has -1, an amount of kWh'),
        ("energy_usage", '{"A": NaN}', 'energy_usage.json line 1 column 2: "A" has NaN'),
        ("energy_usage", '{"A": "12"}', 'energy_usage.json line 1 column 2: "A" has "12"'),
        ("energy_usage", '{"A": null}', '"A" has null'),
        ("energy_usage", '{"A": true}', '"A" has true'),
        ("energy_usage", '{"A": 1,\n"A": 2}', 'energy_usage.json line 2 column 1: "A" is there twice'),
        ("energy_usage", '{"A": 1, " A": 2}', '"A" is there twice'),
        ("energy_usage", f'{{"A": {"9" * 5000}}}', "energy_usage.json: not usable JSON"),
        ("active_transactions", "[" * 100_000, "active_transactions.json: not usable JSON"),
        ("active_transactions", "null", "active_transactions.json: an object was expected"),
        ("charger_status", '"text"', "charger_status.json: an object was expected, a text came"),
        ("meter_data_log", "{}", "meter_data_log.json: a list was expected, a object came"),
    ],
)
def test_a_file_that_cannot_be_read_refuses_the_import(name: str, content: str, message: str, tmp_path: Path) -> None:
    """With file, line and column: somebody has to mend it or move it away (F6)."""
    write(tmp_path, name, content)

    with pytest.raises(ImportFileError) as caught:
        import_files(tmp_path, Site(POLICY), NOW)
    assert message in str(caught.value)


def test_a_file_that_is_no_text_is_told_with_its_place(tmp_path: Path) -> None:
    """A file from another program, or a damaged one."""
    (tmp_path / "energy_usage.json").write_bytes(b'{"A": 1,\n"\xff": 2}')

    with pytest.raises(ImportFileError, match=r"energy_usage.json line 2 column 2: not UTF-8 text"):
        import_files(tmp_path, Site(POLICY), NOW)


def test_a_byte_order_mark_is_no_reason_to_refuse(tmp_path: Path) -> None:
    """Notepad writes one."""
    write(tmp_path, "energy_usage", '\ufeff{"RFID001": 1}')

    assert imported(tmp_path).usage == {("2025-01", "RFID001"): 1000}


def test_an_imported_ledger_adds_up(tmp_path: Path) -> None:
    """verify finds nothing, and what is published again is what was imported."""
    write(tmp_path, "energy_usage", {"RFID001": 4.0, "RFID002": 120.3})
    sessions = {"7": SESSION, "8": {**SESSION, "charger_id": "BEDAS01", "start_time": "2024-12-31T18:00:00Z"}}
    write(tmp_path, "active_transactions", sessions)
    write(tmp_path, "charger_status", {"LIVOLTEK_01": CHARGER})
    ledger = Ledger(tmp_path / "ledger.db", POLICY, NOW, reserve_bytes=0)
    ledger.open()
    asyncio.run(ledger.commit(import_files(tmp_path, ledger.load(), NOW)))
    site = ledger.load()
    ledger.close()

    assert verify(tmp_path / "ledger.db", tmp_path) == []
    assert json.loads(documents.energy_usage(site, site.open_month)) == {"RFID001": 4.0, "RFID002": 120.3}


def test_what_we_published_ourselves_is_imported_the_same(tmp_path: Path) -> None:
    """A ledger that was lost is begun again from its own files, session energy included."""
    write(tmp_path, "energy_usage", {"RFID001": 85.5})
    write(tmp_path, "active_transactions", {"7": SESSION})
    write(tmp_path, "charger_status", {"LIVOLTEK_01": CHARGER})
    first = imported(tmp_path)
    published = {
        "energy_usage": documents.energy_usage(first, first.open_month),
        "active_transactions": documents.active_transactions(first, NOW),
        "charger_status": documents.charger_status(first),
    }
    for name, content in published.items():
        write(tmp_path, name, content.decode())
    second = imported(tmp_path)

    assert (second.usage, second.delivered) == (first.usage, first.delivered)
    assert second.open_transactions[7].booked == first.open_transactions[7].booked
    assert second.open_transactions[7].register == first.open_transactions[7].register
