"""Which events a decision brings: exactly those that happened, each once (issue 6, docs/webhooks.md)."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from site_builder import CHARGE_POINT, FEBRUARY, JANUARY, SiteBuilder, at, sample, user

from ocpp_server.core import changes as ch
from ocpp_server.core import commands as cmd
from ocpp_server.core.alerts import SILENT
from ocpp_server.core.decide import decide
from ocpp_server.core.events import Event
from ocpp_server.core.records import Admission, Alert
from ocpp_server.core.site import apply
from ocpp_server.core.telling import events_of
from ocpp_server.core.users import ChargerRow, User


class TellingSite(SiteBuilder):
    """A site that keeps what it tells, as the central system does."""

    def __init__(self, users: Iterable[User] = ()) -> None:
        self.told: list[tuple[int, Event]] = []
        super().__init__(users)
        self.told.clear()

    def do(self, command: cmd.Command) -> cmd.Reply:
        decision = decide(self.site, command)
        self.put(*decision.changes)
        return decision.reply

    def put(self, *changes: ch.Change) -> None:
        """Apply the changes of one decision, and the events that they bring."""
        events = events_of(self.site, changes, at())
        for change in (*changes, *events):
            apply(self.site, change)
        self.told.extend((one.number, one.event) for one in events)

    def types(self) -> list[str]:
        """What was told since this was last asked."""
        types = [event.type.value for _, event in self.told]
        self.told.clear()
        return types

    def look(self, minutes: float) -> None:
        """Let the watchman look."""
        self.do(cmd.LookForAlerts(at(minutes), at(-600), None, 0, ()))

    def percents(self) -> list[int]:
        """The thresholds that were told of since this was last asked."""
        percents = [event.quota.percent for _, event in self.told if event.quota is not None]
        self.told.clear()
        return percents


def test_a_session_is_told_of_when_it_starts_and_when_it_stops() -> None:
    """With who, where, and how much; the readings between are no events."""
    site = TellingSite([user("RFID001", 100_000)])

    number = site.begin(meter_start=1_000)
    site.meter(number, sample(10, 2_000))
    site.stop(number, 60, 5_000)

    (_, started), (_, stopped) = site.told
    assert (started.type, started.at, started.charge_point_id) == ("session.started", at(), CHARGE_POINT)
    assert (stopped.type, stopped.session and stopped.session.stop_reason) == ("session.stopped", "Local")
    assert started.session is not None
    assert stopped.session is not None
    assert (started.session.transaction_id, started.session.energy, started.session.ended_at) == (number, 0, None)
    assert (stopped.session.transaction_id, stopped.session.energy, stopped.session.ended_at) == (number, 4_000, at(60))


def test_a_repeated_message_tells_nothing() -> None:
    """StartTransaction, MeterValues and StopTransaction from a queue that is sent again (rule 19)."""
    site = TellingSite([user("RFID001", 4_000)])
    number = site.begin()
    site.meter(number, sample(10, 3_500))
    site.stop(number, 60, 4_000)
    site.types()

    site.begin()
    site.meter(number, sample(10, 3_500))
    site.stop(number, 60, 4_000)

    assert site.types() == []


def test_numbers_go_on() -> None:
    """They are what keeps an event from being kept twice."""
    site = TellingSite([user("RFID001", 100_000)])
    site.stop(site.begin(), 60, 4_000)
    numbers = [number for number, _ in site.told]

    assert numbers == list(range(numbers[0], numbers[0] + 2))
    assert site.site.next_event_number == numbers[-1] + 1


def test_a_session_that_ends_as_another_begins_comes_first() -> None:
    """Rule 22: the earlier one never ended."""
    site = TellingSite([user("RFID001", 100_000)])
    first = site.begin()
    site.types()

    second = site.begin(minutes=30, meter_start=2_000)

    assert [(event.type, event.session and event.session.transaction_id) for _, event in site.told] == [
        ("session.stopped", first),
        ("session.started", second),
    ]


def test_a_session_that_starts_and_stops_in_one_decision_is_told_of_twice() -> None:
    """Nobody must miss its start."""
    site = TellingSite([user("RFID001", 100_000)])
    number = site.begin()
    session = site.transaction(number)
    site.types()

    site.put(ch.PutTransaction(replace(session, transaction_id=number + 1, ended_at=at(1))))

    assert site.types() == ["session.started", "session.stopped"]


def test_an_order_to_stop_is_told_of_once() -> None:
    """However many attempts it takes."""
    site = TellingSite([user("RFID001", 100_000)])
    number = site.begin()
    site.types()

    site.do(cmd.RequestStop(at(1), number, "operator"))
    (_, event) = site.told[0]
    site.order_stops(2)
    site.attempt(number, 3, "Rejected")

    assert site.types() == ["session.stopping"]
    assert event.session is not None
    assert event.session.stop_cause == "stopped by the operator"


def test_energy_that_comes_after_the_stop_is_a_correction() -> None:
    """A second StopTransaction with a higher register adds what it proves."""
    site = TellingSite([user("RFID001", 100_000)])
    number = site.begin()
    site.stop(number, 60, 4_000)
    site.types()

    session = site.transaction(number)
    site.put(ch.PutTransaction(session))
    assert site.types() == []

    site.put(ch.PutTransaction(replace(session, booked=((JANUARY, session.energy + 5),))))
    assert site.types() == ["session.corrected"]


def test_each_threshold_of_a_quota_is_told_of_once() -> None:
    """80, 95 and 100 percent."""
    site = TellingSite([user("RFID001", 10_000)])
    number = site.begin()
    heard = []
    for minutes, wh in (
        (60, 7_999),
        (70, 8_000),
        (80, 8_001),
        (100, 9_500),
        (110, 9_999),
        (120, 10_000),
        (130, 10_100),
    ):
        site.meter(number, sample(minutes, wh))
        heard.append(site.percents())

    assert heard == [[], [80], [], [95], [], [100], []]


def test_all_thresholds_of_one_step_are_told_of() -> None:
    """Who waits for 80 percent hears of them also if an offline queue brings everything at once."""
    site = TellingSite([user("RFID001", 10_000)])

    site.stop(site.begin(), 120, 10_000)

    quotas = [(event.type, event.quota.used) for _, event in site.told if event.quota is not None]
    assert quotas == [("quota.warning", 10_000), ("quota.warning", 10_000), ("quota.reached", 10_000)]
    assert site.percents() == [80, 95, 100]


def test_tags_of_one_account_share_its_thresholds() -> None:
    """The quota is the account's."""
    site = TellingSite([user("RFID001", 10_000, account="flat 7"), user("RFID002", 10_000, account="flat 7")])
    site.stop(site.begin(), 60, 5_000)

    site.stop(site.begin("RFID002", 61, 5_000), 120, 8_500)

    assert [event.quota.account for _, event in site.told if event.quota is not None] == ["flat 7"]


def test_a_correction_and_the_same_step_again_are_no_second_warning() -> None:
    """The amount was taken back by hand and used again."""
    site = TellingSite([user("RFID001", 10_000)])
    site.stop(site.begin(), 60, 8_100)
    assert site.percents() == [80]

    site.do(cmd.Adjust(at(61), "RFID001", -1_000, "meter was read wrongly", "operator"))  # type: ignore[arg-type]
    site.do(cmd.Adjust(at(62), "RFID001", 1_000, "it was not", "operator"))  # type: ignore[arg-type]

    assert site.percents() == []


def test_another_quota_is_told_of_anew() -> None:
    """A quota that was lowered is reached at that moment; raised, its warnings come again as they are passed."""
    site = TellingSite([user("RFID001", 10_000)])
    site.stop(site.begin(), 60, 5_000)
    site.set_users([user("RFID001", 10_000)])
    assert site.percents() == []

    site.set_users([user("RFID001", 5_000)])
    assert site.percents() == [80, 95, 100]
    site.set_users([user("RFID001", 6_000)])
    assert site.percents() == [80]


def test_who_has_no_limit_or_no_quota_passes_no_threshold() -> None:
    """An unlimited user, a quota of nothing, a tag that nobody knows, and energy outside all quotas."""
    site = TellingSite([user("RFID001", None), user("RFID002", 0)])
    site.stop(site.begin("RFID001"), 60, 9_000)
    site.stop(site.begin("RFID002", 61, 9_000), 120, 18_000)
    site.stop(site.begin("nobody", 121, 18_000), 180, 27_000)
    site.do(cmd.Adjust(at(181), "gone", 1_000, "of a user who left", "operator"))  # type: ignore[arg-type]

    assert site.percents() == []


def test_energy_of_another_month_passes_no_threshold_until_its_month_opens() -> None:
    """Rule 11: quotas count in the open month."""
    site = TellingSite([user("RFID001", 10_000)])
    site.do(cmd.OpenMonth(at(), JANUARY))
    assert site.types() == ["month.opened"]
    number = site.begin(minutes=17 * 24 * 60)
    site.stop(number, 17 * 24 * 60 + 60, 9_000)
    assert site.percents() == []

    site.do(cmd.OpenMonth(at(17 * 24 * 60), FEBRUARY))

    assert [(event.month, event.quota and event.quota.percent) for _, event in site.told] == [
        (FEBRUARY, None),
        (None, 80),
    ]


def test_a_new_month_begins_anew() -> None:
    """The same threshold is told of again."""
    site = TellingSite([user("RFID001", 10_000)])
    site.do(cmd.OpenMonth(at(), JANUARY))
    site.stop(site.begin(), 60, 8_500)
    assert site.percents() == [80]
    site.do(cmd.OpenMonth(at(17 * 24 * 60), FEBRUARY))

    site.stop(site.begin(minutes=17 * 24 * 60, meter_start=8_500), 17 * 24 * 60 + 60, 17_000)

    assert site.percents() == [80]


def test_a_fault_and_its_end_are_told_of_beside_the_status() -> None:
    """A status that is repeated is none."""
    site = TellingSite()
    site.do(cmd.ReplaceChargers(at(), (ChargerRow(CHARGE_POINT, name="Garage"),)))
    site.status(0, "Available", connector_id=2)
    site.types()
    heard = []
    for minutes, status in enumerate(("Available", "Available", "Faulted", "Faulted", "Available")):
        site.status(minutes, status)
        heard.append(site.types())

    assert heard == [
        ["charger.status"],
        [],
        ["charger.status", "charger.faulted"],
        [],
        ["charger.status", "charger.recovered"],
    ]
    site.status(10, "Charging")
    assert site.told[0][1].charge_point_name == "Garage"


def test_a_stranger_tells_nobody_anything() -> None:
    """What waits for approval cannot fill anybody's inbox."""
    site = TellingSite()
    known = site.site.charge_points[CHARGE_POINT]
    site.put(ch.PutChargePoint(replace(known, admission=Admission.PENDING)))

    site.status(1, "Faulted")

    assert site.types() == []


def test_a_charge_point_nobody_heard_of_before_brings_no_status() -> None:
    """It has none yet."""
    site = TellingSite()

    site.connect("NEW_01")

    assert site.types() == []


def test_silence_is_told_of_with_its_alert_and_so_is_its_end() -> None:
    """After a quarter of an hour without a connection."""
    site = TellingSite()
    site.do(cmd.Disconnect(CHARGE_POINT, at()))
    site.look(60)
    told = [event for _, event in site.told if event.alert is not None and event.alert.kind == SILENT]
    assert [event.type for event in told] == ["alert.raised", "charger.silent"]
    site.told.clear()

    site.connect(CHARGE_POINT, 61)
    site.do(cmd.Heartbeat(CHARGE_POINT, at(62)))
    site.look(62)

    told = [event for _, event in site.told if event.alert is not None and event.alert.kind == SILENT]
    assert [event.type for event in told] == ["alert.resolved", "charger.recovered"]


def test_an_alert_is_told_of_when_it_is_raised_acknowledged_and_resolved() -> None:
    """Not when its text changes; another kind under the same id is another alert."""
    site = TellingSite()
    alert = Alert("backup", "backup failed", "the disk is full", at())
    heard = []
    for change in (
        ch.PutAlert(alert),
        ch.PutAlert(replace(alert, text="the disk is still full")),
        ch.PutAlert(replace(alert, acknowledged_at=at(5), acknowledged_by="Jane")),
        ch.PutAlert(replace(alert, kind="backup late", acknowledged_at=None)),
        ch.RemoveAlert("backup"),
        ch.RemoveAlert("backup"),
    ):
        site.put(change)
        heard.append(site.types())

    assert heard == [["alert.raised"], [], ["alert.acknowledged"], ["alert.raised"], ["alert.resolved"], []]


def test_what_a_record_becomes_within_one_decision_counts() -> None:
    """An alert that is resolved and raised in the same moment has not changed."""
    site = TellingSite()
    alert = Alert("backup", "backup failed", "the disk is full", at())
    site.put(ch.PutAlert(alert))
    site.types()

    site.put(ch.RemoveAlert("backup"), ch.PutAlert(alert))

    assert site.types() == []


@given(st.lists(st.tuples(st.sampled_from(["meter", "again", "stop", "start"]), st.integers(0, 3_000)), max_size=25))
def test_a_receiver_that_only_follows_events_knows_the_sessions_and_their_energy(steps: list[tuple[str, int]]) -> None:
    """Whatever comes: each session starts once, stops at most once, and its last event has its energy."""
    site = TellingSite([user("RFID001", 20_000)])
    number, register, minutes = site.begin(), 0, 0.0
    for step, wh in steps:
        register, minutes = register + (0 if step == "again" else wh), minutes + (0 if step == "again" else 5)
        match step:
            case "meter" | "again":
                site.meter(number, sample(minutes, register))
            case "stop":
                site.stop(number, minutes, register)
            case _:
                number = site.begin(minutes=minutes, meter_start=register)

    sessions: dict[int, list[Event]] = {}
    for _, event in site.told:
        if event.session is not None:
            sessions.setdefault(event.session.transaction_id, []).append(event)
    assert sessions.keys() == site.site.transactions.keys()
    for transaction in site.site.transactions.values():
        types = [event.type for event in sessions[transaction.transaction_id]]
        assert types[0] == "session.started"
        assert types.count("session.started") == 1  # type: ignore[comparison-overlap]
        assert types.count("session.stopped") == (0 if transaction.is_open else 1)  # type: ignore[comparison-overlap]
        if not transaction.is_open:
            last = sessions[transaction.transaction_id][-1].session
            assert last is not None
            assert (last.energy, last.ended_at) == (transaction.energy, transaction.ended_at)
    thresholds = [event.quota.percent for _, event in site.told if event.quota is not None]
    assert thresholds == sorted(set(thresholds))


@pytest.mark.parametrize("hours", [1, 2])
def test_the_time_of_an_event_is_that_of_the_decision(hours: int) -> None:
    """Not that of the reading, which may come from a queue."""
    site = SiteBuilder([user("RFID001")])
    decision = decide(site.site, cmd.Disconnect(CHARGE_POINT, at()))
    alert = ch.PutAlert(Alert("a", "kind", "text", at()))

    (event,) = events_of(site.site, (*decision.changes, alert), at() + timedelta(hours=hours))

    assert event.event.at == at(60 * hours)
