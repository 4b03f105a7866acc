"""Any life of sessions in which readings are set aside, accepted, dropped and repeated: nothing is booked twice."""

import asyncio
from collections import Counter
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from site_builder import CHARGE_POINT, NOON, SiteBuilder, at, sample, stamp, user

from ocpp_server.core import changes as ch
from ocpp_server.core import commands as cmd
from ocpp_server.core.energy import Wh
from ocpp_server.storage.ledger import Ledger
from ocpp_server.storage.verify import verify_copy

SPIKES = st.sampled_from([0, 0, 10**7, 3 * 10**7, 10**8])
"""Wh that a reading is too high: more than any time here could deliver, and by the same, so that a scale may go on."""
FIRST = 5_000_007


class SetAsideModel(RuleBasedStateMachine):
    """One connector whose meter is right and whose readings often are not."""

    @initialize()
    def open_the_site(self) -> None:
        """With a limited driver, whose overshoot and warnings come and go."""
        self.site = SiteBuilder([user("RFID001", 2_000_000), user("RFID002", None)])
        self.now = NOON
        self.meter = FIRST
        self.started: dict[int, int] = {}
        self.delivered: dict[int, int] = {}
        self.current: int | None = None
        self.sent: list[cmd.Command] = []
        self.accepted: Counter[int] = Counter()

    def _say(self, command: cmd.Command) -> cmd.Reply:
        self.sent.append(command)
        return self.site.do(command)

    def _flow(self, wh: int) -> None:
        self.meter += wh
        if self.current is not None:
            self.delivered[self.current] += wh

    @rule(seconds=st.integers(1, 900), power=st.integers(0, 22_000))
    def energy_flows(self, seconds: int, power: int) -> None:
        """Honestly."""
        self.now += timedelta(seconds=seconds)
        self._flow(power * seconds // 3600)

    @rule(wh=st.integers(100_000, 900_000))
    def energy_flows_unseen(self, wh: int) -> None:
        """More than the rule believes; and yet it did."""
        self._flow(wh)

    @rule(tag=st.sampled_from(["RFID001", "RFID002", "STRANGER"]))
    def start(self, tag: str) -> None:
        """The session before it may not have ended."""
        self.now += timedelta(seconds=1)
        command = cmd.StartTransaction(CHARGE_POINT, self.now, 1, tag, self.meter, stamp(self.now))
        reply = self._say(command)
        assert isinstance(reply, cmd.Started)
        self.current = reply.transaction_id
        self.started[self.current], self.delivered[self.current] = self.meter, 0

    @precondition(lambda self: self.started)
    @rule(spike=SPIKES, is_named=st.booleans())
    def sample(self, spike: int, is_named: bool) -> None:
        """Right or far too high."""
        self.now += timedelta(seconds=1)
        number = self.current if is_named else None
        self._say(cmd.MeterValues(CHARGE_POINT, self.now, 1, number, (sample(self.now, self.meter + spike),)))

    @precondition(lambda self: self.current is not None)
    @rule(spike=SPIKES, is_usable=st.booleans(), with_data=st.booleans())
    def stop(self, spike: int, is_usable: bool, with_data: bool) -> None:
        """With a register that is right, far too high or none; perhaps with a reading inside."""
        self.now += timedelta(seconds=1)
        data = (sample(self.now - timedelta(seconds=1), self.meter + spike),) if with_data else ()
        meter_stop = self.meter + spike if is_usable else -1
        self._say(
            cmd.StopTransaction(CHARGE_POINT, self.now, self.current, meter_stop, stamp(self.now), "", "Local", data)
        )
        self.current = None

    @rule(number=st.integers(900, 902))
    def stop_of_nobody(self, number: int) -> None:
        """An orphan."""
        self._say(cmd.StopTransaction(CHARGE_POINT, self.now, number, 9_000, stamp(NOON), "RFID002"))

    @precondition(lambda self: self.sent)
    @rule(data=st.data(), hours=st.integers(0, 12))
    def a_message_comes_again(self, data: st.DataObject, hours: int) -> None:
        """From a queue, hours later; a start whose session ended meanwhile is known too."""
        command = data.draw(st.sampled_from(self.sent))
        self.now += timedelta(hours=hours)
        self.site.do(_received(command, self))

    @precondition(lambda self: self.site.site.next_set_aside_number > 1)
    @rule(data=st.data(), is_accepted=st.booleans())
    def a_person_decides(self, data: st.DataObject, is_accepted: bool) -> None:
        """Of any number, also one that was decided before."""
        number = data.draw(st.integers(1, self.site.site.next_set_aside_number - 1))
        found = self.site.site.open_set_aside.get(number)
        wh = Wh(4_000) if found is not None and found.wh is None else None
        if is_accepted:
            reply = self.site.do(cmd.AcceptSetAside(self.now, number, "Ann", "seen", None, wh))
            self.accepted[number] += reply == cmd.Done()
        else:
            reply = self.site.do(cmd.DropSetAside(self.now, number, "Ann", "not seen"))
        if found is None:
            assert reply != cmd.Done()

    @rule()
    def the_server_restarts(self) -> None:
        """What waits waits on."""
        restarted = self.site.restarted(2)
        assert restarted == self.site.site
        self.site.site = restarted

    @invariant()
    def nothing_is_booked_that_did_not_flow_unless_a_person_said_so(self) -> None:
        """Σ bookings = energy ≤ what truly flowed + what was accepted; and no month is negative."""
        if not hasattr(self, "site"):
            return
        booked: Counter[int] = Counter()
        for change in self.site.changes:
            if isinstance(change, ch.AddBooking):
                booked[change.booking.transaction_id or 0] += change.booking.wh
        by_hand: Counter[int] = Counter()
        for one in self.site.site.decided_set_aside.values():
            if one.kind.value == "reading":
                by_hand[one.transaction_id or 0] += one.booked or 0
        for number in self.started:
            session = self.site.transaction(number)
            assert booked[number] == session.energy == session.register.energy
            assert 0 <= session.energy <= self.delivered[number] + by_hand[number]
            assert min(dict(session.booked).values(), default=0) >= 0
        assert self.site.unattributed() >= 0

    @invariant()
    def nothing_is_accepted_twice(self) -> None:
        """And what waits of a session is its own and above zero."""
        if not hasattr(self, "site"):
            return
        state = self.site.site
        accepted = {n for n, one in state.decided_set_aside.items() if one.state.value == "accepted"}
        assert +self.accepted == Counter(accepted)
        for transaction_id, waiting in state.set_aside_of.items():
            register = self.site.transaction(transaction_id).register
            candidates = [one for one in waiting.values() if one.is_candidate]
            assert [one.after for one in candidates] in ([], [register.jump.value] if register.jump else [])
            assert all((one.wh or 0) > 0 for one in waiting.values())

    def teardown(self) -> None:
        """`verify` finds nothing, and the ledger tells the same after a restart."""
        if not hasattr(self, "site"):
            return
        with TemporaryDirectory() as folder:
            ledger = Ledger(Path(folder) / "ledger.db", self.site.site.policy, self.now, reserve_bytes=0)
            ledger.open()
            try:
                asyncio.run(ledger.commit(self.site.changes))
                loaded = ledger.load()
            finally:
                ledger.close()
            assert verify_copy(ledger.path) == []
        assert loaded.open_set_aside == self.site.site.open_set_aside
        assert loaded.decided_set_aside == self.site.site.decided_set_aside
        assert loaded.next_set_aside_number == self.site.site.next_set_aside_number


def _received(command: cmd.Command, model: SetAsideModel) -> cmd.Command:
    assert isinstance(command, cmd.StartTransaction | cmd.MeterValues | cmd.StopTransaction)
    values = {name: getattr(command, name) for name in command.__dataclass_fields__}
    return type(command)(**{**values, "at": model.now})


TestSetAside = SetAsideModel.TestCase
TestSetAside.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)


@given(
    steps=st.lists(st.integers(0, 800), min_size=2, max_size=12),
    jump_at=st.integers(0, 11),
    decided_at=st.integers(0, 14),
    is_accepted=st.booleans(),
    repeated=st.lists(st.integers(0, 11), max_size=4),
    is_repeated_before=st.booleans(),
)
@settings(max_examples=120, deadline=None)
def test_a_real_jump_is_booked_to_the_wh_whenever_it_is_accepted(
    steps: list[int],
    jump_at: int,
    decided_at: int,
    is_accepted: bool,
    repeated: list[int],
    is_repeated_before: bool,
) -> None:
    """60 kWh within a minute, which the meter did count: before it goes on, after, at the end, or never."""
    site = SiteBuilder([user("RFID001", None)])
    number = site.begin("RFID001", 0, FIRST)
    jump_at %= len(steps)
    register, values = FIRST, []
    decision: cmd.Command = cmd.DropSetAside(at(30), 1, "Ann", "no")
    if is_accepted:
        decision = cmd.AcceptSetAside(at(30), 1, "Ann", "yes")

    def decide_and_repeat() -> None:
        if is_repeated_before:
            _repeat(site, number, values, repeated)
        assert site.do(decision) == cmd.Done()
        _repeat(site, number, values, repeated)

    for position, step in enumerate(steps):
        register += step + (60_000 if position == jump_at else 0)
        values.append(sample(position + 1, register))
        site.meter(number, values[-1])
        if position == max(jump_at, decided_at) and position < len(steps) - 1:
            decide_and_repeat()
    site.stop(number, len(steps) + 1, register + 100)
    if site.site.open_set_aside:
        decide_and_repeat()
    site.stop(number, len(steps) + 1, register + 100)

    # what flowed in the minute of the jump stays out with it
    assert site.energy(number) == register + 100 - FIRST - (0 if is_accepted else 60_000 + steps[jump_at])
    assert site.energy(number) == site.transaction(number).register.energy


def _repeat(site: SiteBuilder, number: int, values: list, which: list[int]) -> None:  # type: ignore[type-arg]
    for position in which:
        if values:
            site.meter(number, values[position % len(values)], received=600)
