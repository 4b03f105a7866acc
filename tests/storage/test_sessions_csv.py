"""`storage.sessions_csv`: one row per finished session, for people and spreadsheets (docs/files.md, T18)."""

import csv
import io
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ocpp_server.core import changes as ch
from ocpp_server.core.energy import Wh
from ocpp_server.core.period import Moment, Month
from ocpp_server.core.records import AuthorizationStatus, EndKind, StopCause, Transaction
from ocpp_server.core.register import begin
from ocpp_server.core.site import Policy, Site, apply
from ocpp_server.core.users import Account, ChargerRow, IdTag
from ocpp_server.storage.sessions_csv import HEADER, harmless, reason_in_words, sessions_csv

START = datetime(2026, 11, 30, 19, 30, tzinfo=UTC)
END = datetime(2026, 11, 30, 20, 45, 20, tzinfo=UTC)
NOVEMBER, DECEMBER = Month("2026-11"), Month("2026-12")


def session(number: int = 7, **fields: Any) -> Transaction:
    made = Transaction(
        transaction_id=number,
        charge_point_id="CP1",
        connector_id=1,
        id_tag=IdTag("RFID001"),
        stated_id_tag="RFID001",
        account=Account("RFID001"),
        full_name="John Doe",
        status=AuthorizationStatus.ACCEPTED,
        start_stamp="",
        start_meter_text="",
        is_start_clock_doubtful=False,
        started_at=START,
        received_at=START,
        register=begin(Wh(0), Moment(START, START, START)),
        is_on_quota=True,
        booked=((NOVEMBER, Wh(12_345)),),
        ended_at=END,
        end_kind=EndKind.STOPPED,
        stop_reason="EVDisconnected",
    )
    return replace(made, **fields)


def site(*sessions: Transaction) -> Site:
    made = Site(Policy(ZoneInfo("Europe/Istanbul")))
    for one in sessions:
        apply(made, ch.PutTransaction(one))
    return made


def rows(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def test_a_session_is_one_row() -> None:
    """Site time and UTC, kWh, minutes, the reason in words; to the byte."""
    made = site(session(flags=("started offline",), overshoot=Wh(20)))
    apply(made, ch.PutChargers((ChargerRow("CP1", "Gate"),)))
    header = ",".join(f'"{name}"' for name in HEADER)

    assert sessions_csv(made, NOVEMBER).decode("utf-8") == (
        "\ufeff" + header + "\r\n"
        '7,"CP1","Gate",1,"RFID001","John Doe","2026-11-30 22:30:00","2026-11-30 23:45:20",'
        '"2026-11-30T19:30:00Z","2026-11-30T20:45:20Z",12.345,75,"cable was unplugged",'
        '"started offline; 20 Wh over the quota"\r\n'
    )


def test_a_session_belongs_to_the_month_of_its_end_in_the_sites_zone() -> None:
    """21:30 UTC on the last of November is December in Istanbul."""
    late = session(8, ended_at=datetime(2026, 11, 30, 21, 30, tzinfo=UTC))
    made = site(session(), late, session(9, ended_at=None, end_kind=None))

    assert [row["transaction"] for row in rows(sessions_csv(made, NOVEMBER))] == ["7"]
    assert [row["transaction"] for row in rows(sessions_csv(made, DECEMBER))] == ["8"]
    assert rows(sessions_csv(made, Month("2027-01"))) == []


def test_rows_are_in_the_order_of_their_end() -> None:
    """Whatever the order in which they came to be known."""
    made = site(session(9), session(8, ended_at=END.replace(minute=50)), session(7))

    assert [row["transaction"] for row in rows(sessions_csv(made, NOVEMBER))] == ["7", "9", "8"]


REASONS = [
    ({"stop_reason": "Remote"}, "stopped by the server"),
    ({"stop_reason": StopCause.QUOTA.value}, "quota reached"),
    ({"stop_reason": "SomethingNew"}, "SomethingNew"),
    ({"end_kind": EndKind.SUPERSEDED, "stop_reason": ""}, "never ended; another session began"),
    ({"end_kind": EndKind.STALE, "stop_reason": ""}, "never ended; closed by the server"),
]


@pytest.mark.parametrize(("fields", "words"), REASONS)
def test_the_reason_is_in_words(fields: dict[str, Any], words: str) -> None:
    """The server's own reason, or OCPP's (§7.36)."""
    assert reason_in_words(session(**fields)) == words


FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\0=1"]


@pytest.mark.parametrize("cell", FORMULAS)
def test_a_formula_is_made_harmless(cell: str) -> None:
    """CWE-1236: in every text column."""
    made = site(session(charge_point_id=cell, id_tag=IdTag(cell), full_name=cell, stop_reason=cell, flags=(cell,)))
    (row,) = rows(sessions_csv(made, NOVEMBER))

    for column in ("charger_id", "charger", "id_tag", "name", "reason", "flags"):
        assert row[column] == "'" + cell == harmless(cell)


@pytest.mark.parametrize("name", ['a,"b"', "line\nfeed\r\n", "Ş" * 10_000, "\x1b[31m", "a;b", "'quoted'", "🚗"])
def test_a_name_comes_back_as_it_was(name: str) -> None:
    """Quotes, delimiters and line feeds stay in their cell."""
    (row,) = rows(sessions_csv(site(session(full_name=name)), NOVEMBER))

    assert (row["name"], row["flags"]) == (name, "")


def test_a_lone_surrogate_does_not_break_the_file() -> None:
    """It becomes its escape (T14)."""
    (row,) = rows(sessions_csv(site(session(full_name="a\ud800")), NOVEMBER))

    assert row["name"] == "a\\ud800"
