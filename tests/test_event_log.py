"""`event_log`: one event with fields behind its tag, nothing raw from outside, id tags shortened (T16)."""

import logging
import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from ocpp_server.core.commands import (
    Authorize,
    BootNotification,
    Command,
    Connect,
    Heartbeat,
    MeterValues,
    OrderStops,
    RecordMessage,
    ReplaceUsers,
    StartTransaction,
    StopTransaction,
)
from ocpp_server.core.decide import decide
from ocpp_server.core.draft import Decision
from ocpp_server.core.energy import Wh
from ocpp_server.core.meter import MeterValue, SampledValue
from ocpp_server.core.records import Note, NoteKind
from ocpp_server.core.site import Policy, Site, apply
from ocpp_server.core.users import Account, IdTag, User, UserTable
from ocpp_server.event_log import log_decision, printable, short_tag

AT = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
CANARY = "CANARY-SECRET-0042"
HOSTILE = "x\n2026-11-20 INFO [AUTH] accepted tag=…0001\r\x1b[2J\u2028\u202e\ud800\x00"


@pytest.fixture(autouse=True)
def everything(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)


class LoggedSite:
    """Decides, applies and logs, as the central system does."""

    def __init__(self, charge_point_id: str = "CP1", tag: str = CANARY) -> None:
        self.site = Site(Policy(ZoneInfo("Europe/Istanbul")))
        self.charge_point_id = charge_point_id
        self.tag = tag
        user = User(IdTag(tag.strip()), Account(tag.strip()), "John", "Doe", Wh(1_000_000))
        self.handle(ReplaceUsers(AT, UserTable({user.id_tag: user})))
        self.handle(Connect(charge_point_id, AT))
        self.handle(BootNotification(charge_point_id, AT, "Vendor"))

    def handle(self, command: Command) -> Decision:
        decision = decide(self.site, command)
        for change in decision.changes:
            apply(self.site, change)
        log_decision(command, decision)
        return decision

    def start(self, tag: str | None = None) -> int:
        stated = self.tag if tag is None else tag
        self.handle(StartTransaction(self.charge_point_id, AT, 1, stated, 0, AT.isoformat()))
        return max(self.site.transactions)

    def read(self, number: int, minute: int, value: str) -> None:
        at = AT + timedelta(minutes=minute)
        values = (MeterValue(at.isoformat(), (SampledValue(value, unit="Wh"),)),)
        self.handle(MeterValues(self.charge_point_id, at, 1, number, values))

    def stop(self, number: int, minute: int = 10, reason: str = "Local") -> None:
        at = AT + timedelta(minutes=minute)
        self.handle(StopTransaction(self.charge_point_id, at, number, 900, at.isoformat(), reason=reason))


def test_what_a_charge_point_said_itself_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """T16: the free text of a DataTransfer or of a broken frame is in the ledger alone."""
    site = LoggedSite()
    site.handle(RecordMessage("CP1", AT, NoteKind.MESSAGE, "DataTransfer vendorId=V", f"key={CANARY}"))

    assert "[STATUS] message: DataTransfer vendorId=V charge_point=CP1" in caplog.messages
    assert CANARY not in caplog.text


def test_begin_and_end_of_a_session_are_a_line_each(caplog: pytest.LogCaptureFixture) -> None:
    """The tag that the README promises, then fields."""
    site = LoggedSite()
    number = site.start()
    site.stop(number)

    assert [message for message in caplog.messages if message.startswith("[TRANSACTION]")] == [
        f"[TRANSACTION] started charge_point=CP1 connector=1 transaction={number} tag=…0042 status=Accepted",
        f"[TRANSACTION] ended charge_point=CP1 connector=1 transaction={number} tag=…0042 energy_wh=900 reason=Local",
    ]


def test_a_repeated_start_and_the_loops_log_no_second_begin(caplog: pytest.LogCaptureFixture) -> None:
    """An event is logged once, also where another decision falls into the same moment."""
    site = LoggedSite()
    site.start("STRANGER")
    site.start("STRANGER")
    site.handle(OrderStops(AT))

    assert len([message for message in caplog.messages if "started" in message]) == 1


def test_readings_in_order_and_heartbeats_log_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """A line for each MeterValues would be a gigabyte a year."""
    site = LoggedSite()
    number = site.start()
    caplog.clear()
    for minute in range(1, 60):
        site.read(number, minute, str(minute * 180))
        site.handle(Heartbeat("CP1", AT + timedelta(minutes=minute)))

    assert caplog.messages == []


def test_what_every_message_repeats_is_logged_when_it_begins(caplog: pytest.LogCaptureFixture) -> None:
    """A state is logged when it changes, not while it lasts."""
    site = LoggedSite()
    number = site.start()
    caplog.clear()
    for minute in range(1, 50):
        site.read(number, minute, "not a number")

    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("[METER] oddity: ")


def test_a_refusal_is_logged_with_its_figures(caplog: pytest.LogCaptureFixture) -> None:
    """Why was this card refused at 14:23 (rule 14)."""
    LoggedSite().handle(Authorize("CP1", AT, "STRANGER-9999"))

    assert caplog.messages[-1] == ("[AUTH] refusal: unknown tag charge_point=CP1 tag=…9999 status=Invalid")
    assert caplog.records[-1].levelno == logging.INFO


def test_an_orphan_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """A person should look at it."""
    LoggedSite().stop(4711)

    assert caplog.records[-1].levelno == logging.WARNING
    assert caplog.messages[-1].startswith("[TRANSACTION] orphan: ")


def test_no_line_shows_a_whole_tag(caplog: pytest.LogCaptureFixture) -> None:
    """Enough to recognise, too little to copy (T16)."""
    site = LoggedSite()
    number = site.start()
    for refused in (CANARY, CANARY + "X"):
        site.handle(Authorize("CP2", AT, refused))
    site.stop(number)
    site.handle(StopTransaction("CP1", AT, 99, 5, "", CANARY))

    assert caplog.messages
    assert CANARY not in caplog.text


def test_nothing_from_outside_reaches_the_log_raw(caplog: pytest.LogCaptureFixture) -> None:
    """No control character, no line feed, no direction mark, no lone surrogate: a line cannot be forged."""
    site = LoggedSite(HOSTILE, HOSTILE)
    number = site.start()
    site.start(HOSTILE + "other")
    site.read(number, 1, HOSTILE)
    site.stop(number, reason=HOSTILE)
    site.stop(4711, reason=HOSTILE)
    site.handle(Authorize(HOSTILE, AT, HOSTILE))

    assert len(caplog.messages) >= 5
    for message in caplog.messages:
        assert message.isprintable()
        assert re.match(r"\[(AUTH|TRANSACTION|METER|QUOTA|STATUS)\] ", message)


@pytest.mark.parametrize("kind", list(NoteKind))
def test_every_kind_of_note_has_its_tag(kind: NoteKind, caplog: pytest.LogCaptureFixture) -> None:
    """None of them may fail the message it belongs to."""
    note = Note(kind, AT, "something", "CP1", 2, 7, "RFID001", (("wh", "5"),))
    log_decision(Heartbeat("CP1", AT), Decision(None, (), (note,)))  # type: ignore[arg-type]

    assert caplog.messages[0].endswith(
        f"{kind.value}: something charge_point=CP1 connector=2 transaction=7 tag=…D001 wh=5"
    )


def test_a_note_about_the_site_has_no_blank_fields(caplog: pytest.LogCaptureFixture) -> None:
    """A month belongs to no charge point."""
    log_decision(Heartbeat("CP1", AT), Decision(None, (), (Note(NoteKind.MONTH, AT, "month opened"),)))  # type: ignore[arg-type]

    assert caplog.messages == ["[QUOTA] month: month opened"]


def test_a_line_stays_below_2_kib(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever figures it carries (T16)."""
    note = Note(NoteKind.ODDITY, AT, "x" * 10_000, figures=tuple((f"n{n}", "\n" * 10_000) for n in range(50)))
    log_decision(Heartbeat("CP1", AT), Decision(None, (), (note,)))  # type: ignore[arg-type]

    assert len(caplog.messages[0].encode()) <= 2048


PRINTABLE = [
    ("RFID001", "RFID001"),
    ("Şule Ö", "Şule Ö"),
    ("a\nb", "a\\nb"),
    ("\ud800", "\\ud800"),
    ("x" * 200, "x" * 200),
    ("x" * 201, "x" * 199 + "…"),
    ("\n" * 10_000, "\\n" * 99 + "\\…"),
]


@pytest.mark.parametrize(("text", "expected"), PRINTABLE)
def test_printable_text_has_no_control_characters_and_at_most_200_characters(text: str, expected: str) -> None:
    """Proper letters of any language stay."""
    assert printable(text) == expected


@pytest.mark.parametrize(("tag", "expected"), [("", ""), ("1234", "1234"), ("12345", "…2345"), ("ab\ncd", "…b\\ncd")])
def test_a_tag_is_shortened_to_its_last_four_characters(tag: str, expected: str) -> None:
    """A card's number is a key."""
    assert short_tag(tag).endswith(expected.removeprefix("…"))
    assert len(tag) <= 4 or tag not in short_tag(tag)


def test_a_refused_start_is_told_twice_for_a_reason(caplog: pytest.LogCaptureFixture) -> None:
    """Why (the note), and that it runs all the same (rule 18)."""
    LoggedSite().start("STRANGER")

    assert [message.split(" ", 2)[1] for message in caplog.messages[-2:]] == ["refusal:", "started"]


def test_a_session_that_the_server_closes_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """Another session began on its connector (rule 22)."""
    site = LoggedSite()
    site.start()
    later = AT + timedelta(hours=1)
    caplog.clear()
    site.handle(StartTransaction("CP1", later, 1, CANARY, 500, later.isoformat()))

    closed = [record for record in caplog.records if "closed by the server" in record.getMessage()]
    assert [record.levelno for record in closed] == [logging.WARNING]
