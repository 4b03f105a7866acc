"""Any life of a small site, driven at random against an oracle that knows only what truly flowed.

The oracle's meter counts for ever; a charge point reports it exactly, now and then late, twice or out of order. What
the server books for a session must then be what the last message of it said, whatever was lost in between.
"""

from dataclasses import dataclass, field
from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule
from site_builder import CHARGE_POINT, NOON, OTHER_CHARGE_POINT, SiteBuilder, sample, stamp, user

from ocpp_server.core import commands as cmd
from ocpp_server.core.meter import MeterValue
from ocpp_server.core.records import Transaction
from ocpp_server.core.users import Access

CONNECTORS = ((CHARGE_POINT, 1), (CHARGE_POINT, 2), ("WALLBOX_02", 1))
TAGS = ("RFID001", "rfid002", "RFID003", "STRANGER")


@dataclass
class Session:
    """What the oracle knows of a session: the highest register of it that a message told, within its bounds."""

    number: int
    place: tuple[str, int]
    tag: str
    start: int
    start_message: cmd.StartTransaction
    told: int
    is_open: bool = True
    """Between its start and its stop; the next start on the connector ends it too."""
    next_start: int | None = None
    meters: list[cmd.MeterValues] = field(default_factory=list)
    stops: list[cmd.StopTransaction] = field(default_factory=list)

    @property
    def energy(self) -> int:
        """Wh that the server must have booked."""
        return self.told - self.start


class AccountingModel(RuleBasedStateMachine):
    """Charge points that tell the truth, over lines that lose, repeat and delay."""

    sessions = Bundle("sessions")

    @initialize()
    def open_the_site(self) -> None:
        """A site with limited, unlimited and unknown drivers."""
        users = [user("RFID001", 2_000, account="flat"), user("RFID002", 2_000, account="flat"), user("RFID003", None)]
        self.site = SiteBuilder(users)
        self.site.connect("WALLBOX_02")
        self.now = NOON
        self.registers = {place: 100_007 + 1_000_000 * k for k, place in enumerate(CONNECTORS)}
        self.all: list[Session] = []

    def _at(self, place: tuple[str, int]) -> Session | None:
        return next((s for s in reversed(self.all) if s.place == place and s.is_open), None)

    def _send_start(self, message: cmd.StartTransaction) -> int:
        reply = self.site.do(message)
        assert isinstance(reply, cmd.Started)
        return reply.transaction_id

    @rule(seconds=st.integers(1, 900), powers=st.lists(st.integers(0, 22_000), min_size=3, max_size=3))
    def energy_flows(self, seconds: int, powers: list[int]) -> None:
        """Time passes; each connector with a session delivers what it likes."""
        self.now += timedelta(seconds=seconds)
        for place, power in zip(CONNECTORS, powers, strict=True):
            if self._at(place) is not None:
                self.registers[place] += power * seconds // 3600

    @rule(target=sessions, place=st.sampled_from(CONNECTORS), tag=st.sampled_from(TAGS))
    def start(self, place: tuple[str, int], tag: str) -> Session:
        """A session begins; one whose stop was lost is over."""
        self.now += timedelta(seconds=1)
        old = self._at(place)
        register = self.registers[place]
        message = cmd.StartTransaction(place[0], self.now, place[1], tag, register, stamp(self.now))
        number = self._send_start(message)
        assert number > 0
        assert number not in {session.number for session in self.all}
        if old is not None:
            old.is_open, old.next_start = False, register
        self.all.append(Session(number, place, tag, register, message, register))
        return self.all[-1]

    @rule(session=sessions, seconds=st.integers(0, 20_000))
    def start_is_repeated(self, session: Session, seconds: int) -> None:
        """Its answer was lost; perhaps it is over already."""
        message = session.start_message
        again = cmd.StartTransaction(
            message.charge_point_id,
            self.now + timedelta(seconds=seconds % 60),
            message.connector_id,
            message.id_tag.upper(),
            str(message.meter_start),
            message.timestamp,
        )

        assert self._send_start(again) == session.number

    @rule(
        place=st.sampled_from(CONNECTORS),
        split=st.booleans(),
        is_lost=st.booleans(),
        number=st.sampled_from(["own", None, 0, -1, 2**63 - 1]),
    )
    def meter(self, place: tuple[str, int], split: bool, is_lost: bool, number: object) -> None:
        """The register is told, under its id or none, and perhaps arrives only later."""
        session = self._at(place)
        if session is None:
            return
        self.now += timedelta(seconds=1)
        values: tuple[MeterValue, ...] = (sample(self.now, self.registers[place]),)
        if split and session.meters:
            values = (*values, *session.meters[-1].meter_values[:1])  # the newest first, as buffers send them
        identity = session.number if number == "own" or is_lost else number
        message = cmd.MeterValues(place[0], self.now, place[1], identity, values)  # type: ignore[arg-type]
        session.meters.append(message)
        if not is_lost:
            self.site.do(message)
            session.told = max(session.told, self._highest(message))

    @precondition(lambda self: any(session.meters for session in self.all))
    @rule(data=st.data())
    def a_reading_is_repeated_or_arrives_late(self, data: st.DataObject) -> None:
        """In any order, during the session or after its end."""
        session = data.draw(st.sampled_from([s for s in self.all if s.meters]))
        message = data.draw(st.sampled_from(session.meters))
        late = cmd.MeterValues(
            message.charge_point_id, self.now, message.connector_id, session.number, message.meter_values
        )
        self.site.do(late)
        if not session.stops:  # after a stop nothing but a stop adds
            session.told = max(session.told, self._highest(message))

    @staticmethod
    def _highest(message: cmd.MeterValues) -> int:
        return max(int(str(v.value)) for m in message.meter_values for v in m.sampled_values)

    @rule(place=st.sampled_from(CONNECTORS), is_lost=st.booleans(), tag=st.sampled_from(["", *TAGS]))
    def stop(self, place: tuple[str, int], is_lost: bool, tag: str) -> None:
        """A session ends; the stop may stay in the queue."""
        session = self._at(place)
        if session is None or is_lost:
            return
        self.now += timedelta(seconds=1)
        message = cmd.StopTransaction(
            place[0], self.now, session.number, self.registers[place], stamp(self.now), tag, "Local"
        )
        self.site.do(message)
        session.stops.append(message)
        session.is_open, session.told = False, self.registers[place]

    @precondition(lambda self: any(session.stops for session in self.all))
    @rule(data=st.data())
    def a_stop_is_repeated(self, data: st.DataObject) -> None:
        """Acknowledged, and nothing else."""
        session = data.draw(st.sampled_from([s for s in self.all if s.stops]))
        before = self.site.transaction(session.number)
        self.site.do(session.stops[-1])

        assert self.site.transaction(session.number) is before

    @precondition(lambda self: any(s.next_start is not None and not s.stops for s in self.all))
    @rule(data=st.data())
    def the_lost_stop_of_a_superseded_session_arrives(self, data: st.DataObject) -> None:
        """Rule 22: it settles up to where the next session began."""
        session = data.draw(st.sampled_from([s for s in self.all if s.next_start is not None and not s.stops]))
        assert session.next_start is not None
        message = cmd.StopTransaction(
            session.place[0], self.now, session.number, session.next_start, stamp(self.now), "", "PowerLoss"
        )
        self.site.do(message)
        session.stops.append(message)
        session.told = session.next_start

    @precondition(lambda self: self.all)
    @rule(data=st.data(), wh=st.integers(0, 10**7))
    def another_charge_point_uses_the_id(self, data: st.DataObject, wh: int) -> None:
        """Rules 20 and 21: it changes nothing of the session."""
        session = data.draw(st.sampled_from(self.all))
        before = self.site.transaction(session.number)
        self.site.do(cmd.MeterValues(OTHER_CHARGE_POINT, self.now, 1, session.number, (sample(self.now, wh),)))
        self.site.do(cmd.StopTransaction(OTHER_CHARGE_POINT, self.now, session.number, wh, stamp(self.now)))

        assert self.site.transaction(session.number) is before

    @rule(place=st.sampled_from(CONNECTORS), minutes=st.integers(0, 60 * 30))
    def the_line_breaks(self, place: tuple[str, int], minutes: int) -> None:
        """A reconnect needs no boot."""
        self.site.do(cmd.Disconnect(place[0], self.now))
        self.now += timedelta(minutes=minutes)
        self.site.do(cmd.Connect(place[0], self.now))

    @rule(access=st.sampled_from([Access.QUOTA, Access.FREE, Access.CLOSED]))
    def the_stopper_looks(self, access: Access) -> None:
        """Orders come and go and book nothing; access decides whom the next sessions are on."""
        self.site.set_access(access, "WALLBOX_02")
        self.site.do(cmd.OrderStops(self.now))
        for session in list(self.site.site.open_transactions.values()):
            self.site.do(cmd.RecordStopAttempt(self.now, session.transaction_id, "Rejected", has_failed=True))

    @rule()
    def the_server_restarts(self) -> None:
        """The state is what the changes say, applied twice."""
        restarted = self.site.restarted(2)

        assert restarted == self.site.site
        self.site.site = restarted

    @invariant()
    def the_books_are_what_was_told(self) -> None:
        """Rules 1, 4, 7 and 22."""
        if hasattr(self, "all"):
            found = {session.number: self._kept(session).energy for session in self.all}
            assert found == {session.number: session.energy for session in self.all}

    @invariant()
    def totals_are_the_sums_of_their_sessions(self) -> None:
        """Usage by tag and month, and energy by charge point."""
        if not hasattr(self, "all"):
            return
        state = self.site.site
        usage: dict[str, int] = {}
        delivered: dict[str, int] = {}
        for session in self.all:
            kept = self._kept(session)
            delivered[kept.charge_point_id] = delivered.get(kept.charge_point_id, 0) + session.energy
            if kept.is_on_quota:
                usage[kept.id_tag] = usage.get(kept.id_tag, 0) + session.energy
        assert _summed(state.usage, 1) == {tag: wh for tag, wh in usage.items() if wh}
        assert {key: wh for key, wh in state.delivered.items() if wh} == {
            key: wh for key, wh in delivered.items() if wh
        }
        assert min(state.usage.values(), default=0) >= 0
        assert _summed(state.energy_by_hour, 0) == {key: wh for key, wh in delivered.items() if wh}

    @invariant()
    def unattributed_energy_is_never_negative_and_never_a_drivers(self) -> None:
        """Rule 22: what the meters counted = what is booked + what is nobody's + what is not told yet."""
        if not hasattr(self, "all"):
            return
        for charge_point_id, known in self.site.site.charge_points.items():
            bounded = [s for s in self.all if s.place[0] == charge_point_id and s.next_start is not None]
            assert known.unattributed == sum(s.next_start - s.told for s in bounded if s.next_start is not None)

    @invariant()
    def at_most_one_session_is_open_on_a_connector(self) -> None:
        """Rule 22."""
        if hasattr(self, "all"):
            kept = {session.number for session in self.all if session.is_open}
            assert set(self.site.site.open_transactions) == kept

    def _kept(self, session: Session) -> Transaction:
        return self.site.transaction(session.number)


def _summed(totals: dict[tuple[str, object], int] | dict, index: int) -> dict[str, int]:  # type: ignore[type-arg]
    sums: dict[str, int] = {}
    for key, wh in totals.items():
        sums[key[index]] = sums.get(key[index], 0) + wh
    return {key: wh for key, wh in sums.items() if wh}


TestAccounting = AccountingModel.TestCase
TestAccounting.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
