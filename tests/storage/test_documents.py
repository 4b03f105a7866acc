"""`storage.documents`: the published files, exactly in their formats (docs/files.md, a public interface)."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocpp_server.core import changes as ch
from ocpp_server.core.energy import Wh
from ocpp_server.core.period import Moment, Month
from ocpp_server.core.quota import stop_time
from ocpp_server.core.records import (
    Admission,
    Alert,
    AuthorizationStatus,
    Booking,
    BookingKind,
    ChargePoint,
    Connector,
    Reading,
    StopCause,
    StopOrder,
    Transaction,
)
from ocpp_server.core.register import begin, observe
from ocpp_server.core.site import Policy, Site, apply
from ocpp_server.core.users import Account, ChargerRow, IdTag, User, UserTable
from ocpp_server.storage import documents
from ocpp_server.storage.brands_file import read_brands

NOW = datetime(2025, 1, 15, 10, 35, tzinfo=UTC)
START = datetime(2025, 1, 15, 10, 30, tzinfo=UTC)
JANUARY = Month("2025-01")
HOSTILE = [
    "\ud800",
    "a\udfffb",
    "\x00\x01\x1b[31m\r\n",
    '"}],\\',
    "=HYPERLINK(1)",
    "</script>",
    "Ş" * 10_000,
    "\u2028\u202e\ufeff",
    "🚗",
]


def site(*changes: ch.Change, zone: str = "Europe/Istanbul") -> Site:
    made = Site(Policy(ZoneInfo(zone), brand_rules=read_brands()))
    for change in changes:
        apply(made, change)
    return made


def transaction(number: int = 1234567890, **fields: Any) -> Transaction:
    """John Doe has charged 2.7 kWh in five minutes."""
    register = begin(Wh(85_500), Moment(START, START, START))
    register, _ = observe(register, (Wh(88_200),), Moment(NOW, NOW, NOW), 50_000)
    made = Transaction(
        transaction_id=number,
        charge_point_id="LIVOLTEK_01",
        connector_id=1,
        id_tag=IdTag("RFID001"),
        stated_id_tag="RFID001",
        account=Account("RFID001"),
        full_name="John Doe",
        status=AuthorizationStatus.ACCEPTED,
        start_stamp="2025-01-15T10:30:00Z",
        start_meter_text="85.5",
        is_start_clock_doubtful=False,
        started_at=START,
        received_at=START,
        register=register,
        is_on_quota=True,
        booked=((JANUARY, Wh(2_700)),),
        booked_at=NOW,
        reading_received_at=NOW,
        power_w=7200,
        flow_w=7200,
    )
    return replace(made, **fields)


def charge_point(**fields: Any) -> ChargePoint:
    connectors = (
        Connector(0, "Available", "NoError", "", START),
        Connector(1, "Charging", "NoError", "", START),
        Connector(2, "Available", "NoError", "", START),
    )
    made = ChargePoint(
        "LIVOLTEK_01",
        first_seen=START,
        vendor="Livoltek",
        model="AC22",
        serial_number="SN1",
        firmware_version="1.2",
        booted_at=START,
        connected_since=START,
        connectors=connectors,
        resolution=Wh(100),
        unattributed=Wh(1500),
    )
    return replace(made, **fields)


def booking(number: int, wh: int, **fields: Any) -> ch.AddBooking:
    made = Booking(
        number, BookingKind.ENERGY, START.replace(minute=0), JANUARY, "2025-01-15", IdTag("RFID001"), Wh(wh), NOW
    )
    return ch.AddBooking(replace(made, **fields))


def reading(number: int, **fields: Any) -> ch.AddReading:
    made = Reading(
        number,
        f"LIVOLTEK_01|{number}",
        NOW,
        "LIVOLTEK_01",
        1,
        7,
        "RFID001",
        "John Doe",
        7200,
        Wh(88_200),
        Decimal("50.0"),
    )
    return ch.AddReading(replace(made, **fields))


def users(**fields: Any) -> ch.PutUsers:
    user = replace(User(IdTag("RFID001"), Account("RFID001"), "John", "Doe", Wh(150_000)), **fields)
    return ch.PutUsers(UserTable({user.id_tag: user}))


def test_energy_usage_has_the_kwh_of_each_tag_in_the_month() -> None:
    """The example of docs/files.md, to the byte."""
    made = site(
        booking(1, 85_500),
        booking(2, 120_300, id_tag=IdTag("RFID002")),
        booking(3, 999, month=Month("2024-12")),
        booking(4, 7_000, is_on_quota=False),
    )

    assert documents.energy_usage(made, JANUARY) == b'{\n  "RFID001": 85.5,\n  "RFID002": 120.3\n}\n'
    assert json.loads(documents.energy_usage(made, Month("2024-12"))) == {"RFID001": 0.999}
    assert documents.energy_usage(made, None) == b"{}\n"


def test_active_transactions_show_the_running_sessions() -> None:
    """The fixed keys with their units, and what this project added (docs/files.md)."""
    made = site(users(), ch.PutTransaction(transaction(flow_w=None)), ch.PutChargePoint(charge_point()))

    assert json.loads(documents.active_transactions(made, NOW)) == {
        "1234567890": {
            "id_tag": "RFID001",
            "start_meter": 85.5,
            "start_time": "2025-01-15T10:30:00Z",
            "last_meter": 88.2,
            "full_name": "John Doe",
            "charger_id": "LIVOLTEK_01",
            "connector_id": 1,
            "energy_kwh": 2.7,
            "power_w": 7200,
            "last_update": "2025-01-15T10:35:00Z",
            "state": "charging",
            "forecast_stop": None,
        }
    }


def test_the_forecast_is_when_the_stop_will_be_sent() -> None:
    """Time or null (docs/files.md)."""
    made = site(users(), ch.PutTransaction(transaction()), ch.PutChargePoint(charge_point()))
    (user,) = made.users.users.values()
    expected = stop_time(made, made.transactions[1234567890], user, NOW)

    assert expected is not None
    row = json.loads(documents.active_transactions(made, NOW))["1234567890"]
    assert row["forecast_stop"] == documents.stamp(expected)


def test_a_session_that_has_ended_is_not_active() -> None:
    """The row goes with StopTransaction."""
    assert documents.active_transactions(site(ch.PutTransaction(transaction(ended_at=NOW))), NOW) == b"{}\n"


def test_a_register_that_nobody_could_read_is_null() -> None:
    """Nothing in these files is made up."""
    blank = begin(None, Moment(START, START, START))
    (row,) = json.loads(
        documents.active_transactions(
            site(ch.PutTransaction(transaction(register=blank, reading_received_at=None))), NOW
        )
    ).values()

    assert (row["start_meter"], row["last_meter"], row["forecast_stop"]) == (None, None, None)
    assert (row["full_name"], row["last_update"]) == ("John Doe", "2025-01-15T10:30:00Z")


QUOTA_STOP = StopOrder(StopCause.QUOTA, NOW, NOW)
STATES: list[tuple[str, dict[str, Any], str]] = [
    ("charging", {}, "Charging"),
    ("suspended", {}, "SuspendedEV"),
    ("stale", {"is_stale": True}, "Available"),
    ("stopping", {"stop": QUOTA_STOP}, "Charging"),
    ("over_quota", {"stop": replace(QUOTA_STOP, failures=1)}, "Charging"),
    ("stopping", {"stop": StopOrder(StopCause.REQUESTED, NOW, NOW, failures=9)}, "Charging"),
    ("refused", {"status": AuthorizationStatus.BLOCKED, "stop": QUOTA_STOP}, "Charging"),
]


@pytest.mark.parametrize(("state", "fields", "status"), STATES)
def test_the_state_is_the_word_that_matters_most(state: str, fields: dict[str, Any], status: str) -> None:
    """charging, stopping, over_quota, stale … (docs/files.md)."""
    connectors = (Connector(1, status, "NoError", "", START), Connector(2, "SuspendedEVSE", "NoError", "", START))
    made = site(
        ch.PutTransaction(transaction(**fields)),
        ch.PutChargePoint(charge_point(connectors=connectors)),
    )

    assert json.loads(documents.active_transactions(made, NOW))["1234567890"]["state"] == state


def test_a_forecast_that_has_passed_is_now() -> None:
    """A stop in the past would look like a mistake."""
    made = site(users(quota=Wh(1)), booking(1, 2_700), ch.PutTransaction(transaction()), ch.PutOpenMonth(JANUARY))

    assert json.loads(documents.active_transactions(made, NOW))["1234567890"]["forecast_stop"] == documents.stamp(NOW)


def test_charger_status_shows_every_charge_point() -> None:
    """The fixed keys with their units, and what this project added (docs/files.md)."""
    made = site(
        ch.PutChargePoint(charge_point()),
        ch.PutSeen("LIVOLTEK_01", NOW + timedelta(seconds=3), NOW),
        ch.PutTransaction(transaction()),
        booking(1, 1_523_500, charge_point_id="LIVOLTEK_01"),
        ch.PutConfiguration("LIVOLTEK_01", NOW, (("HeartbeatInterval", "300"),)),
    )
    (row,) = json.loads(documents.charger_status(made)).values()

    assert {key: value for key, value in row.items() if key != "connectors"} == {
        "name": "LIVOLTEK_01",
        "brand": "LIVOLTEK",
        "status": "Charging",
        "last_heartbeat": "2025-01-15T10:35:00Z",
        "total_energy_delivered": 1523.5,
        "connector_id": 1,
        "connected": True,
        "last_seen": "2025-01-15T10:35:03Z",
        "vendor": "Livoltek",
        "model": "AC22",
        "serial_number": "SN1",
        "firmware_version": "1.2",
        "power_w": 7200,
        "error_code": "NoError",
        "admission": "approved",
        "address": "",
        "security_profile": 0,
        "resolution_wh": 100,
        "unattributed_kwh": 1.5,
        "configuration": {"HeartbeatInterval": "300"},
        "leaks": [],
    }
    assert row["connectors"][1] == {
        "connector_id": 1,
        "status": "Charging",
        "error_code": "NoError",
        "info": "",
        "since": "2025-01-15T10:30:00Z",
    }


def test_chargers_csv_names_a_charge_point_and_its_brand() -> None:
    """The administrator's words before the recognised ones."""
    made = site(ch.PutChargePoint(charge_point()), ch.PutChargers((ChargerRow("LIVOLTEK_01", "Gate", "Wallbox"),)))
    (row,) = json.loads(documents.charger_status(made)).values()

    assert (row["name"], row["brand"]) == ("Gate", "Wallbox")


def test_a_stranger_keeps_its_vendor_as_brand_and_has_no_status_yet() -> None:
    """Seen, connected, but nothing told."""
    made = site(ch.PutChargePoint(ChargePoint("CP1", START, Admission.PENDING, "Acme", connected_since=START)))
    row = json.loads(documents.charger_status(made))["CP1"]

    assert (row["brand"], row["status"], row["connector_id"]) == ("Acme", "Unknown", 1)
    assert (row["last_heartbeat"], row["last_seen"], row["admission"]) == (None, None, "pending")


STATUSES = [
    (("Available", "Available", "Charging"), True, ("Charging", 2)),
    (("Available", "Faulted", "Charging"), True, ("Faulted", 1)),
    (("Faulted", "Charging", "Available"), True, ("Faulted", 0)),
    (("Unavailable", "Available", "Available"), True, ("Available", 1)),
    (("Charging", "Preparing", "Odd"), True, ("Preparing", 1)),
    (("Available", "Charging", "Available"), False, ("Offline", 1)),
]


@pytest.mark.parametrize(("told", "is_connected", "expected"), STATUSES)
def test_the_status_is_of_the_connector_that_matters_most(
    told: tuple[str, ...], is_connected: bool, expected: tuple[str, int]
) -> None:
    """Connector 0 is the charge point itself: only its trouble counts (OCPP 1.6 §4.9)."""
    connectors = tuple(Connector(number, status, "", "", START) for number, status in enumerate(told))
    made = site(ch.PutChargePoint(charge_point(connectors=connectors, connected_since=START if is_connected else None)))
    (row,) = json.loads(documents.charger_status(made)).values()

    assert (row["status"], row["connector_id"]) == expected


def test_connector_0_alone_speaks_for_the_charge_point() -> None:
    """Some report nothing else before the first car comes."""
    connectors = (Connector(0, "Available", "NoError", "", START),)
    (row,) = json.loads(documents.charger_status(site(ch.PutChargePoint(charge_point(connectors=connectors))))).values()

    assert row["status"] == "Available"


def test_the_meter_log_shows_readings_with_their_fixed_keys() -> None:
    """The example of docs/files.md; one reading to a line."""
    made = site(reading(1), reading(2, full_name="", frequency_hz=None), ch.PutChargers(()))
    content = documents.meter_data_log(made)
    first, second = json.loads(content)

    assert {**first, "ID": ""} == {
        "ID": "",
        "timestamp": "2025-01-15T10:35:00Z",
        "userName": "John Doe",
        "chargerName": "LIVOLTEK_01",
        "totalPower": 7200,
        "deliveredEnergy": 88.2,
        "frequency": 50.0,
    }
    assert (second["userName"], second["frequency"]) == ("RFID001", None)
    assert list(first) == [
        "ID",
        "timestamp",
        "userName",
        "chargerName",
        "totalPower",
        "deliveredEnergy",
        "frequency",
    ]
    assert len(content.splitlines()) == 4


def test_an_id_is_the_same_for_the_same_reading_only() -> None:
    """The receiver tells repetitions by it, also where a tag is no proper text."""
    keys = ["CP1|7|t|100", "CP1|7|t|101", "CP\ud800|7|t|100", "CP\ud801|7|t|100", "CP?|7|t|100"]
    ids = [entry["ID"] for entry in json.loads(documents.meter_data_log(site(*map(_keyed, range(1, 6), keys))))]
    again = [entry["ID"] for entry in json.loads(documents.meter_data_log(site(*map(_keyed, range(1, 6), keys))))]

    assert len(set(ids)) == 5
    assert ids == again
    assert all(len(one) == 24 for one in ids)


def _keyed(number: int, key: str) -> ch.AddReading:
    return reading(number, key=key)


def test_the_meter_log_never_has_more_than_500_readings_oldest_first() -> None:
    """The newest 500."""
    made = site(*(reading(number, register=Wh(number)) for number in range(1, 701)))
    entries = json.loads(documents.meter_data_log(made))

    assert [entry["deliveredEnergy"] for entry in entries] == [number / 1000 for number in range(201, 701)]
    assert json.loads(documents.meter_data_log(site())) == []


def test_hourly_energy_is_by_charger_and_hour_and_by_tag_and_day() -> None:
    """In the site's zone; the hour that comes twice is two hours."""
    first = datetime(2026, 10, 25, 0, 0, tzinfo=UTC)
    october = Month("2026-10")
    made = site(
        booking(1, 1_000, hour=first, month=october, day="2026-10-25", charge_point_id="CP1"),
        booking(2, 2_000, hour=first + timedelta(hours=1), month=october, day="2026-10-25", charge_point_id="CP1"),
        booking(
            3, 500, hour=first + timedelta(days=10), month=Month("2026-11"), day="2026-11-04", charge_point_id="CP1"
        ),
        booking(4, 500, hour=first, month=october, day="2026-10-25", id_tag=IdTag("")),
        zone="Europe/Berlin",
    )

    assert json.loads(documents.energy_hourly(made, october)) == {
        "month": "2026-10",
        "chargers": {"CP1": {"2026-10-25T02:00+02:00": 1.0, "2026-10-25T02:00+01:00": 2.0}},
        "tags": {"RFID001": {"2026-10-25": 3.0}},
    }


def test_leaks_are_told_with_what_mends_them() -> None:
    """docs/files.md, charger_status.json: a key and the value that mends it, or neither."""
    point = charge_point(has_right_clock=False)
    told = (("localpreauthorize", "True"), ("MeterValueSampleInterval", "60"))
    made = site(ch.PutChargePoint(point), ch.PutConfiguration(point.charge_point_id, NOW, told))
    (row,) = json.loads(documents.charger_status(made)).values()
    keys = [(leak["key"], leak["value"], leak["mended_by"]) for leak in row["leaks"]]

    assert keys == [("localpreauthorize", "True", "false"), (None, None, None)]
    assert all(leak["why"] for leak in row["leaks"])


def test_alerts_are_listed_by_severity_the_newest_first() -> None:
    """Unresolved alerts with what they are about, and who takes care."""
    acknowledged = Alert("silent-CP2", "charge point silent", "CP2 is silent", NOW, "CP2", None, NOW, "ops")
    made = site(
        ch.PutAlert(Alert("leak-CP1", "quota leak", "CP1 leaks", NOW, "CP1")),
        ch.PutAlert(Alert("clock", "clock suspect", "it jumped", START)),
        ch.PutAlert(acknowledged),
        ch.PutAlert(Alert("stop-7", "stop not obeyed", "CP1 does not obey", NOW, "CP1", 7)),
    )
    listed = json.loads(documents.alerts(made))

    assert [alert["id"] for alert in listed] == ["stop-7", "clock", "silent-CP2", "leak-CP1"]
    assert listed[1] == {
        "id": "clock",
        "kind": "clock suspect",
        "severity": "critical",
        "text": "it jumped",
        "since": "2025-01-15T10:30:00Z",
        "charger_id": None,
        "transaction_id": None,
        "state": "open",
        "acknowledged_at": None,
        "acknowledged_by": None,
    }
    assert listed[2] == {
        "id": "silent-CP2",
        "kind": "charge point silent",
        "severity": "warning",
        "text": "CP2 is silent",
        "since": "2025-01-15T10:35:00Z",
        "charger_id": "CP2",
        "transaction_id": None,
        "state": "acknowledged",
        "acknowledged_at": "2025-01-15T10:35:00Z",
        "acknowledged_by": "ops",
    }


@settings(deadline=None)
@given(st.integers(-(10**12), 10**12))
def test_kwh_are_exact_to_the_wh(wh: int) -> None:
    """At most three decimals, and nothing is lost on the way to a file and back."""
    assert Decimal(repr(documents.kwh(Wh(wh)))) * 1000 == wh


def test_times_are_utc_with_z() -> None:
    """Whatever the zone they come in."""
    assert documents.stamp(datetime(2025, 1, 15, 13, 35, 0, 999_999, ZoneInfo("Europe/Istanbul"))) == (
        "2025-01-15T10:35:00Z"
    )


def _hostile_site(text: str) -> Site:
    point = charge_point(charge_point_id=text, vendor=text, model=text, serial_number=text, firmware_version=text)
    point = replace(point, connectors=(Connector(1, text, text, text, START),))
    return site(
        ch.PutUsers(UserTable({IdTag(text): User(IdTag(text), Account(text), text, text, Wh(1000))})),
        ch.PutChargers((ChargerRow(text, text, text),)),
        ch.PutChargePoint(point),
        ch.PutConfiguration(text, NOW, ((text, text),)),
        ch.PutTransaction(transaction(id_tag=IdTag(text), full_name=text, charge_point_id=text)),
        booking(1, 5, id_tag=IdTag(text), charge_point_id=text),
        reading(1, key=text, charge_point_id=text, id_tag=text, full_name=text),
        ch.PutAlert(Alert(text, text, text, NOW, text)),
    )


def _documents(made: Site) -> list[bytes]:
    return [
        documents.energy_usage(made, JANUARY),
        documents.active_transactions(made, NOW),
        documents.charger_status(made),
        documents.meter_data_log(made),
        documents.energy_hourly(made, JANUARY),
        documents.alerts(made),
    ]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_name_breaks_a_file(text: str) -> None:
    """Lone surrogates, control characters, quotes, 10,000 characters (T14)."""
    for content in _documents(_hostile_site(text)):
        assert json.loads(content.decode("utf-8"))
        assert b"\x00" not in content
        assert b"\x1b" not in content


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=()), min_size=1, max_size=20))
def test_no_text_at_all_breaks_a_file(text: str) -> None:
    """Whatever JSON can spell."""
    for content in _documents(_hostile_site(text)):
        assert json.loads(content.decode("utf-8"))


def test_a_name_comes_back_as_it_was() -> None:
    """Proper text is not altered, an escape for what is none."""
    (name,) = json.loads(documents.energy_usage(site(booking(1, 5, id_tag=IdTag('Şule "x"\n🚗'))), JANUARY))

    assert name == 'Şule "x"\n🚗'


def test_two_tags_without_proper_text_stay_two() -> None:
    """One would hide the other's energy."""
    made = site(booking(1, 5, id_tag=IdTag("T\ud800")), booking(2, 7, id_tag=IdTag("T\ud801")))

    assert json.loads(documents.energy_usage(made, JANUARY)) == {"T\\ud800": 0.005, "T\\ud801": 0.007}
