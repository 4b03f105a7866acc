"""The one entrance to the rules, and what needs no rule of its own (rules 9, 11, 16, 22, 24)."""

from dataclasses import replace
from datetime import timedelta
from typing import cast

import pytest
from site_builder import CHARGE_POINT, FEBRUARY, JANUARY, NOON, ZONE, SiteBuilder, at, sample, stamp, user

from ocpp_server.core import changes as ch
from ocpp_server.core import commands as cmd
from ocpp_server.core.decide import decide
from ocpp_server.core.energy import Wh
from ocpp_server.core.period import Gap, Month
from ocpp_server.core.records import SAID, Admission, ChargePoint, NoteKind
from ocpp_server.core.site import Policy, Site, apply
from ocpp_server.core.users import Access, ChargerRow, IdTag, UserTable


def _known(site: SiteBuilder, charge_point_id: str = CHARGE_POINT) -> ChargePoint:
    return site.site.charge_points[charge_point_id]


def test_a_decision_reads_the_site_and_alters_nothing() -> None:
    """docs/architecture.md: decide is pure; apply is the only place that alters the state."""
    site = SiteBuilder([user("RFID001", 1_000)])
    number = site.begin()
    site.meter(number, sample(1, 301))
    before = site.restarted()
    decide(site.site, cmd.MeterValues(CHARGE_POINT, at(2), 1, number, (sample(2, 999),)))
    decide(site.site, cmd.StopTransaction(CHARGE_POINT, at(2), number, 999, stamp(at(2))))
    decide(site.site, cmd.StartTransaction(CHARGE_POINT, at(2), 1, "RFID001", 999, stamp(at(2))))

    assert site.site == before


def test_a_command_that_is_none_is_refused() -> None:
    """Closed unions."""
    with pytest.raises(AssertionError):
        decide(Site(Policy(ZONE)), cast("cmd.Command", "nonsense"))


def test_what_people_decide_about_charge_points_reaches_its_rule() -> None:
    """`core.admission` and `core.security_events` have tests of their own."""
    site = SiteBuilder()
    for command, text in (
        (cmd.LockChargePoint(at(), CHARGE_POINT, "anna"), "charge point locked"),
        (cmd.ApproveChargePoint(at(), CHARGE_POINT, "anna"), "charge point approved"),
        (cmd.SetChargePointKey(at(), CHARGE_POINT, "hash", "anna"), "charge point key set"),
        (cmd.SecurityEvent(CHARGE_POINT, at(), "MemoryExhaustion", "memory is full"), "memory is full"),
        (cmd.ForgetChargePoint(at(), CHARGE_POINT, "anna"), "charge point forgotten"),
    ):
        site.do(command)
        assert [note.text for note in site.notes] == [text]
    assert site.do(cmd.ForgetExpired(at())) == cmd.Done()


# --- connections and boots ------------------------------------------------------------------------------------------


def test_a_charge_point_never_seen_may_bring_a_queue_of_any_age() -> None:
    """Rule 9: it was not connected to us then."""
    site = SiteBuilder()
    site.do(cmd.Connect("NEW_01", at(0)))

    assert _known(site, "NEW_01") == ChargePoint(
        "NEW_01", first_seen=at(0), connected_since=at(0), gaps=(Gap(None, at(0)),)
    )


@pytest.mark.parametrize("is_closed_before", [True, False])
def test_the_gap_before_a_connection_begins_where_it_was_last_heard_of(is_closed_before: bool) -> None:
    """Rule 9: also where nobody saw the socket close, because the server was killed."""
    site = SiteBuilder()
    site.do(cmd.Heartbeat(CHARGE_POINT, at(0)))
    if is_closed_before:
        site.do(cmd.Disconnect(CHARGE_POINT, at(60 * 48)))
    site.do(cmd.Connect(CHARGE_POINT, at(60 * 49)))

    assert _known(site).gaps[-1] == Gap(at(0), at(60 * 49))
    assert _known(site).connected_since == at(60 * 49)


def test_a_session_from_before_an_outage_of_the_server_keeps_its_time() -> None:
    """Rules 9, 10 and 24: two days without a server; the queue is booked where it belongs."""
    site = SiteBuilder([user("RFID001", None)])
    site.do(cmd.Heartbeat(CHARGE_POINT, at(0)))
    site.do(cmd.Connect(CHARGE_POINT, at(60 * 48)))
    number = site.begin(minutes=60, received=60 * 48)
    site.stop(number, 120, 7_000, received=60 * 48)

    assert (site.transaction(number).started_at, site.transaction(number).ended_at) == (at(60), at(120))
    assert site.site.energy_by_day == {("RFID001", "2025-01-15"): 7_000}


def test_a_short_break_is_no_gap_and_only_twenty_are_kept() -> None:
    """Rule 9."""
    site = SiteBuilder()
    site.do(cmd.Disconnect(CHARGE_POINT, at(-55)))
    site.do(cmd.Connect(CHARGE_POINT, at(-55)))
    short = len(_known(site).gaps)
    for hour in range(30):
        site.do(cmd.Connect(CHARGE_POINT, at(60 * hour)))

    assert short == 1
    assert (len(_known(site).gaps), _known(site).gaps[-1].until) == (20, at(60 * 29))


def test_a_charge_point_that_was_never_heard_of_has_a_gap_since_it_is_known() -> None:
    """Rule 9: an imported or configured charge point has no last message."""
    site = SiteBuilder()
    apply(site.site, ch.PutChargePoint(ChargePoint("IMPORTED", first_seen=at(0))))
    site.do(cmd.Connect("IMPORTED", at(60)))

    assert _known(site, "IMPORTED").gaps == (Gap(at(0), at(60)),)


def test_the_end_of_a_socket_is_kept_once() -> None:
    """B13: the late close of an old socket writes nothing anew."""
    site = SiteBuilder()
    site.do(cmd.Disconnect(CHARGE_POINT, at(1)))
    first = _known(site).connected_since
    site.do(cmd.Disconnect(CHARGE_POINT, at(2)))
    again = site.last
    site.do(cmd.Disconnect("NEVER_SEEN", at(2)))

    assert (first, again, site.last) == (None, (), ())


def test_a_boot_tells_what_it_is_and_ends_nothing() -> None:
    """Rule 24; OpenEVSE#787: boot in mid-session, session goes on under its id."""
    site = SiteBuilder([user("RFID001")])
    number = site.begin()
    serial = "a serial number of 33 characters …"
    reply = site.do(cmd.BootNotification(CHARGE_POINT, at(1), "Schneider", "EVlink", serial, "1.2"))

    assert reply == cmd.Booted(is_accepted=True)
    assert (_known(site).vendor, _known(site).model, _known(site).serial_number) == ("Schneider", "EVlink", serial)
    assert (_known(site).booted_at, site.transaction(number).is_open) == (at(1), True)


def test_a_boot_of_a_charge_point_that_waits_for_approval_is_pending() -> None:
    """Rule 23; OCPP 1.6 §4.2."""
    site = SiteBuilder()
    apply(site.site, ch.PutChargePoint(ChargePoint("NEW_01", NOON, Admission.PENDING)))
    reply = site.do(cmd.BootNotification("NEW_01", at(1), "ACME"))

    assert reply == cmd.Booted(is_accepted=False)
    assert (_known(site, "NEW_01").booted_at, _known(site, "NEW_01").vendor) == (None, "ACME")


def test_a_reconnect_needs_no_boot() -> None:
    """Rule 24; J 5.4: open transactions go on under their ids."""
    site = SiteBuilder([user("RFID001")])
    number = site.begin(meter_start=0)
    site.do(cmd.Disconnect(CHARGE_POINT, at(1)))
    site.do(cmd.Connect(CHARGE_POINT, at(30)))
    site.meter(number, sample(31, 5_000))

    assert (site.energy(number), site.start(minutes=40).id_tag_info.status) == (5_000, "Accepted")


# --- messages that carry no energy ----------------------------------------------------------------------------------


def test_a_heartbeat_alters_no_status() -> None:
    """B12: a Heartbeat turned Preparing, Finishing, Faulted into Available."""
    site = SiteBuilder()
    site.status(0, "Faulted")
    before = _known(site)
    reply = site.do(cmd.Heartbeat(CHARGE_POINT, at(1)))

    assert (reply, _known(site)) == (cmd.Done(), before)
    assert (site.site.last_seen[CHARGE_POINT], site.site.last_heartbeat[CHARGE_POINT]) == (at(1), at(1))


def test_when_a_charge_point_was_seen_is_kept_every_ten_seconds() -> None:
    """Not a row of the ledger for each message; a clock that went back is taken over."""
    site = SiteBuilder([user("RFID001")])
    found = []
    for seconds in (0, 9, 10, 15, 5):
        site.authorize("RFID001", seconds / 60)
        found.append(site.site.last_seen[CHARGE_POINT] - NOON)

    assert found == [timedelta(seconds=s) for s in (0, 0, 10, 10, 5)]


def test_a_status_is_kept_as_it_was_told_and_dated_when_it_changed() -> None:
    """OCPP 1.6 §4.9: unknown values are shown as they are."""
    site = SiteBuilder()
    site.do(cmd.StatusNotification(CHARGE_POINT, at(0), 2, "Wibble", "Error", "info"))
    site.do(cmd.StatusNotification(CHARGE_POINT, at(1), 0, "Available", "NoError", ""))
    site.do(cmd.StatusNotification(CHARGE_POINT, at(2), 2, "Wibble", "NoError", ""))
    site.do(cmd.StatusNotification(CHARGE_POINT, at(3), 2, "Available", "NoError", ""))

    found = [(c.connector_id, c.status, c.error_code, c.since) for c in _known(site).connectors]
    assert found == [(0, "Available", "NoError", at(1)), (2, "Available", "NoError", at(3))]


def test_the_same_status_again_keeps_its_time_and_writes_nothing() -> None:
    """A state is kept when it changes."""
    site = SiteBuilder()
    site.status(0)
    site.status(0.1)

    assert site.last == ()
    assert _known(site).connectors[0].since == at(0)


def test_a_charge_point_has_sixty_four_connectors_at_most() -> None:
    """T14: poison values fill no memory."""
    site = SiteBuilder()
    for number in range(80):
        site.status(0, connector_id=number)
    site.status(1, "Charging", connector_id=63)

    assert len(_known(site).connectors) == 64
    assert _known(site).connectors[63].status == "Charging"


def test_the_stamp_of_a_status_tells_of_the_clock() -> None:
    """Rule 15; without or with an unreadable one nothing is learnt."""
    site = SiteBuilder()
    found = []
    for text in ("", "nonsense", stamp(at(4)), "", stamp(at(-90))):
        site.status(0, timestamp=text)
        found.append(_known(site).has_right_clock)

    assert found == [None, None, True, True, False]


def test_a_message_that_is_only_kept_is_a_note() -> None:
    """DataTransfer with energy or cost inside is never booked."""
    site = SiteBuilder()
    reply = site.do(cmd.RecordMessage(CHARGE_POINT, at(0), NoteKind.MESSAGE, "DataTransfer Growatt"))

    assert (reply, site.kinds(), site.notes[0].charge_point_id) == (cmd.Done(), [NoteKind.MESSAGE], CHARGE_POINT)


def test_what_a_charge_point_said_itself_is_kept_apart() -> None:
    """T16: it may hold a secret, and what is under this name is not logged."""
    site = SiteBuilder()
    site.do(cmd.RecordMessage(CHARGE_POINT, at(0), NoteKind.MESSAGE, "DataTransfer", "key=secret"))

    assert (site.notes[0].text, site.notes[0].figures) == ("DataTransfer", ((SAID, "key=secret"),))


def test_a_configuration_without_an_end_is_cut() -> None:
    """T26: 500 keys are more than any charge point has; a known one can still be changed."""
    site = SiteBuilder()
    keys = tuple((f"K{number:05d}", "0") for number in range(20_000))
    site.do(cmd.RecordConfiguration(CHARGE_POINT, at(0), keys, is_complete=True))
    site.do(cmd.RecordConfiguration(CHARGE_POINT, at(1), (("K00007", "1"), ("new", "1"))))

    kept = dict(site.site.configurations[CHARGE_POINT])
    assert (len(kept), kept["K00007"], "new" in kept) == (500, "1", False)


def test_a_whole_configuration_replaces_and_one_key_is_added() -> None:
    """OCPP 1.6 §5.3, §5.8; rule 27: looked over once after a boot."""
    site = SiteBuilder()
    site.do(cmd.RecordConfiguration(CHARGE_POINT, at(0), (("B", "1"), ("A", "1")), is_complete=True))
    looked_over = _known(site).configured_boot
    puts = len(site.last)
    site.do(cmd.RecordConfiguration(CHARGE_POINT, at(1), (("B", "2"),)))
    one_key = site.site.configurations[CHARGE_POINT]
    site.do(cmd.RecordConfiguration(CHARGE_POINT, at(2), (("C", "3"),), is_complete=True))

    assert (looked_over, puts, len(site.last)) == (at(-60), 2, 1)
    assert one_key == (("A", "1"), ("B", "2"))
    assert site.site.configurations[CHARGE_POINT] == (("C", "3"),)


def test_what_cannot_be_changed_is_kept_of_the_keys_that_leaks_depend_on() -> None:
    """OCPP 1.6 §7.29; told with the whole configuration."""
    site = SiteBuilder()
    keys = (("Other", "1"), ("localpreauthorize", "true"))
    for is_complete, readonly in ((True, ("Other", "localpreauthorize")), (False, ())):
        site.do(cmd.RecordConfiguration(CHARGE_POINT, at(0), keys, is_complete=is_complete, readonly=readonly))

    assert _known(site).readonly_keys == ("localpreauthorize",)


# --- tables, months, books ------------------------------------------------------------------------------------------


def test_a_new_table_of_users_is_in_force_at_once() -> None:
    """Rule 16 (B9)."""
    site = SiteBuilder()
    site.set_users([user("RFID001")], 0)

    assert site.authorize("RFID001").status == "Accepted"


def test_a_new_table_resolves_the_warnings_of_whose_quota_changed() -> None:
    """Rules 16 and 28."""
    site = SiteBuilder([user("RFID001", 1_000), user("RFID002", 1_000), user("RFID003", 1_000)])
    for k, tag in enumerate(("RFID001", "RFID002", "RFID003"), 1):
        site.meter(site.begin(tag, meter_start=0, connector_id=k), sample(1, 960))
    before = sorted(site.site.alerts)
    site.set_users([user("RFID001", 1_000), user("RFID002", None)], 2)

    assert (len(before), sorted(site.site.alerts)) == (3, ["quota-RFID001"])


def test_a_new_table_of_charge_points_is_in_force_at_once() -> None:
    """docs/files.md, chargers.csv."""
    site = SiteBuilder()
    row = ChargerRow(CHARGE_POINT, access=Access.CLOSED)
    site.do(cmd.ReplaceChargers(at(0), (row,)))
    site.do(cmd.ReplaceChargers(at(1), ()))

    assert site.site.chargers == {}


def test_a_person_has_the_last_word_on_the_open_month() -> None:
    """What is opened by mistake is taken back, what the clock must not open alone is confirmed (rule 11)."""
    site = SiteBuilder()
    site.do(cmd.OpenMonth(at(0), FEBRUARY))
    taken_back = site.do(cmd.UndoMonth(at(1), FEBRUARY, JANUARY, "clock was ahead", "Ann")), site.site.open_month
    confirmed = site.do(cmd.ConfirmMonth(at(60 * 24 * 20), FEBRUARY, "Ann")), site.site.open_month

    assert (taken_back, confirmed) == ((cmd.Done(), JANUARY), (cmd.Done(), FEBRUARY))


def test_the_first_table_is_not_told_as_an_edit() -> None:
    """At the first start the file is the example, or what an administrator brought along; nobody changed a quota."""
    site = SiteBuilder()
    site.do(cmd.ReplaceUsers(at(0), UserTable(), "editor of users1.csv (ada)", (("added", "3"),)))

    assert [note.text for note in site.notes] == ["users1.csv read for the first time"]


def test_tables_edited_by_hand_are_noted_with_whose_edit_it_seems() -> None:
    """In the same step that puts them in force; an edit through the server tells itself."""
    site = SiteBuilder([user("RFID001")])
    figures = (("changed", "1"), ("rows", "RFID001 changed: blocked no to yes"))
    site.do(cmd.ReplaceUsers(at(0), UserTable(), "editor of users1.csv (ada)", figures))
    (users_note,) = site.notes
    site.do(cmd.ReplaceChargers(at(1), (), "editor of chargers.csv (ada)", figures))
    (chargers_note,) = site.notes
    site.do(cmd.ReplaceUsers(at(2), UserTable()))

    assert site.notes == ()
    assert (users_note.kind, users_note.text) == (NoteKind.USER, "users1.csv edited by hand")
    assert users_note.figures == (("by", "editor of users1.csv (ada)"), *figures)
    assert (chargers_note.kind, chargers_note.text) == (NoteKind.CHARGE_POINT, "chargers.csv edited by hand")
    assert chargers_note.figures == (("by", "editor of chargers.csv (ada)"), *figures)


@pytest.mark.parametrize("month", [None, Month("2024-12")])
def test_an_adjustment_is_booked_in_the_open_month(month: Month | None) -> None:
    """Rule 11: quotas count in the month that was opened."""
    site = SiteBuilder([user("RFID001")])
    if month is not None:
        site.do(cmd.OpenMonth(at(0), month))
    site.do(cmd.Adjust(at(0), IdTag("rfid001"), Wh(250), "card was lent", "ops"))

    assert site.site.usage == {(month or JANUARY, "RFID001"): 250}
    assert (site.kinds(), site.notes[0].id_tag) == ([NoteKind.ADJUSTED], "RFID001")
    assert site.bookings()[0].reason == "card was lent (ops)"


def test_no_more_is_given_back_than_was_used() -> None:
    """Rule 5: energy is never negative, also by a correction."""
    site = SiteBuilder([user("RFID001")])
    site.do(cmd.Adjust(at(0), IdTag("RFID001"), Wh(250), "card was lent", "ops"))
    too_much = site.do(cmd.Adjust(at(1), IdTag("RFID001"), Wh(-251), "a guest", "ops"))
    after_too_much = site.last
    site.do(cmd.Adjust(at(2), IdTag("RFID001"), Wh(-250), "a guest", "ops"))

    text = "RFID001 has used 0.25 kWh this month, no more can be given back: raise the quota instead"
    assert (too_much, after_too_much) == (cmd.Refused(text), ())
    assert site.site.usage == {(JANUARY, "RFID001"): 0}


def test_an_alert_of_the_server_keeps_its_begin_until_it_is_resolved() -> None:
    """docs/files.md, alerts.json: since."""
    site = SiteBuilder()
    site.do(cmd.RaiseAlert(at(0), "disk", "disk", "90 % full"))
    site.do(cmd.RaiseAlert(at(5), "disk", "disk", "95 % full"))
    alert = site.site.alerts["disk"]
    site.do(cmd.ResolveAlert(at(6), "disk"))
    resolved = len(site.last)
    site.do(cmd.ResolveAlert(at(7), "disk"))

    assert (alert.since, alert.text) == (at(0), "95 % full")
    assert (resolved, site.last, site.site.alerts) == (1, (), {})


def test_alerts_are_looked_for_and_acknowledged() -> None:
    """docs/files.md, alerts.json: what is decided is `alerts`."""
    site = SiteBuilder()
    site.status(0, "Faulted")
    site.do(cmd.LookForAlerts(at(1), at(0)))
    raised = sorted(site.site.alerts)
    site.do(cmd.AcknowledgeAlert(at(2), raised[0], "ops"))

    assert raised[0] == f"fault-1-{CHARGE_POINT}"
    assert site.site.alerts[raised[0]].acknowledged_by == "ops"


def test_an_edit_of_a_user_is_kept_with_who_did_it() -> None:
    """For the audit; the table itself comes with ReplaceUsers."""
    site = SiteBuilder([user("RFID001")])
    edit = cmd.RecordUserEdit(at(0), "user changed", "RFID001", "Ann", (("quota_kwh", "10 to 15"),))

    assert site.do(edit) == cmd.Done()
    note = site.notes[-1]
    assert (note.kind, note.text, note.id_tag) == (NoteKind.USER, "user changed", "RFID001")
    assert dict(note.figures) == {"by": "Ann", "quota_kwh": "10 to 15"}


def test_an_edit_of_a_charge_point_is_kept_with_who_did_it() -> None:
    """For the audit; the rows themselves come with ReplaceChargers."""
    site = SiteBuilder()
    edit = cmd.RecordChargePointEdit("CP1", at(0), "charge point changed", "Ann", (("access", "blank to free"),))

    assert site.do(edit) == cmd.Done()
    note = site.notes[-1]
    assert (note.kind, note.text, note.charge_point_id) == (NoteKind.CHARGE_POINT, "charge point changed", "CP1")
    assert dict(note.figures) == {"by": "Ann", "access": "blank to free"}


def test_an_operators_stop_reaches_the_order() -> None:
    """docs/architecture.md, the life of a stop."""
    site = SiteBuilder([user("RFID001")])
    number = site.begin()
    site.do(cmd.RequestStop(at(0), number, "ops"))
    site.do(cmd.OrderStops(at(0)))
    site.do(cmd.RecordStopAttempt(at(0), number, "Accepted", has_failed=False))
    site.do(cmd.CloseStale(at(0)))

    stop = site.transaction(number).stop
    assert stop is not None
    assert replace(stop, result="") != stop
    assert stop.attempts == 1


def test_a_call_by_hand_is_kept_with_who_made_it() -> None:
    """For the audit: without its payload, which may hold a secret."""
    site = SiteBuilder()

    assert site.do(cmd.RecordCall("CP1", at(0), "Reset", "Accepted", "Ann")) == cmd.Done()
    note = site.notes[-1]
    assert (note.kind, note.text, dict(note.figures)) == (NoteKind.CALL, "Reset", {"by": "Ann", "result": "Accepted"})


def test_a_word_on_energy_that_waits_reaches_its_rule() -> None:
    """Rule 5: a person accepts or drops it."""
    site = SiteBuilder([user("RFID001", None)])
    number = site.begin()
    site.meter(number, sample(1, 300))
    site.stop(number, 2, 90_000)

    assert site.do(cmd.AcceptSetAside(at(3), 1, "Ann", "seen")) == cmd.Done()
    assert site.energy(number) == 90_000
    assert isinstance(site.do(cmd.DropSetAside(at(4), 1, "Ann", "not seen")), cmd.Refused)
