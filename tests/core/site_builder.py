"""A small site for the tests of the core: it decides and applies, and speaks in minutes and Wh."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from ocpp_server.core import changes as ch
from ocpp_server.core import commands as cmd
from ocpp_server.core.decide import decide
from ocpp_server.core.energy import BrandProfile, BrandRule, EnergyUnit, Wh
from ocpp_server.core.meter import MeterValue, SampledValue
from ocpp_server.core.period import Month
from ocpp_server.core.records import Booking, Note, NoteKind, Transaction
from ocpp_server.core.site import Policy, Site, apply
from ocpp_server.core.users import Access, Account, ChargerRow, IdTag, User, UserTable

ZONE = ZoneInfo("Europe/Istanbul")
NOON = datetime(2025, 1, 15, 9, 0, tzinfo=UTC)
"""12:00 on the site's clock."""
JANUARY, FEBRUARY = Month("2025-01"), Month("2025-02")
CHARGE_POINT, OTHER_CHARGE_POINT = "SCHNEIDER/EVlinkProAC", "LIVOLTEK_01"
KWH_BRAND = BrandRule(
    BrandProfile("LIVOLTEK", register_unit=EnergyUnit.KWH, sample_unit=EnergyUnit.KWH),
    charge_point_id_words=("LIVOLTEK",),
)


def at(minutes: float = 0.0) -> datetime:
    """So many minutes after noon."""
    return NOON + timedelta(minutes=minutes)


def stamp(when: datetime) -> str:
    """As a charge point writes a time."""
    return when.isoformat().replace("+00:00", "Z")


def user(
    id_tag: str,
    quota: int | None = 10_000,
    *,
    account: str = "",
    blocked: bool = False,
    expiry_date: date | None = None,
) -> User:
    """A row of users1.csv; quota in Wh, None for an unlimited user."""
    limit = None if quota is None else Wh(quota)
    return User(IdTag(id_tag), Account(account or id_tag), "John", "Doe", limit, blocked, expiry_date)


def sample(minutes: float | datetime, wh: object = None, power_w: int | None = None, unit: str = "Wh") -> MeterValue:
    """One MeterValue with a register, a power, both or none."""
    when = minutes if isinstance(minutes, datetime) else at(minutes)
    values = []
    if wh is not None:
        values.append(SampledValue(str(wh), "Energy.Active.Import.Register", unit))
    if power_w is not None:
        values.append(SampledValue(str(power_w), "Power.Active.Import", "W"))
    return MeterValue(stamp(when), tuple(values))


class SiteBuilder:
    """A site with two charge points that have booted. Each call decides, applies and gives the reply."""

    def __init__(self, users: Iterable[User] = (), policy: Policy | None = None) -> None:
        self.site = Site(policy or Policy(ZONE, brand_rules=(KWH_BRAND,)))
        self.changes: list[ch.Change] = []
        self.last: tuple[ch.Change, ...] = ()
        self.notes: tuple[Note, ...] = ()
        self.set_users(users)
        for charge_point_id in (CHARGE_POINT, OTHER_CHARGE_POINT):
            self.connect(charge_point_id)

    def do(self, command: cmd.Command) -> cmd.Reply:
        """Decide, apply, reply."""
        decision = decide(self.site, command)
        for change in decision.changes:
            apply(self.site, change)
        self.changes.extend(decision.changes)
        self.last, self.notes = decision.changes, decision.notes
        return decision.reply

    def connect(self, charge_point_id: str, minutes: float = -60.0) -> None:
        """Open the socket and boot."""
        self.do(cmd.Connect(charge_point_id, at(minutes)))
        self.do(cmd.BootNotification(charge_point_id, at(minutes)))

    def set_users(self, users: Iterable[User], minutes: float = -60.0) -> None:
        """Put a table in force."""
        self.do(cmd.ReplaceUsers(at(minutes), UserTable({row.id_tag: row for row in users})))

    def set_access(self, access: Access, charge_point_id: str = CHARGE_POINT, minutes: float = -60.0) -> None:
        """Put a row of chargers.csv in force."""
        self.do(cmd.ReplaceChargers(at(minutes), (ChargerRow(charge_point_id, access=access),)))

    def authorize(self, id_tag: str, minutes: float = 0.0, charge_point_id: str = CHARGE_POINT) -> cmd.IdTagInfo:
        """Show a card."""
        reply = self.do(cmd.Authorize(charge_point_id, at(minutes), id_tag))
        assert isinstance(reply, cmd.Authorized)
        return reply.id_tag_info

    def start(
        self,
        id_tag: str = "RFID001",
        minutes: float = 0.0,
        meter_start: object = 0,
        *,
        connector_id: int = 1,
        charge_point_id: str = CHARGE_POINT,
        received: float | None = None,
        timestamp: str | None = None,
    ) -> cmd.Started:
        """Begin a session."""
        reply = self.do(
            cmd.StartTransaction(
                charge_point_id,
                at(minutes if received is None else received),
                connector_id,
                id_tag,
                meter_start,
                stamp(at(minutes)) if timestamp is None else timestamp,
            )
        )
        assert isinstance(reply, cmd.Started)
        return reply

    def begin(self, id_tag: str = "RFID001", minutes: float = 0.0, meter_start: object = 0, **details: object) -> int:
        """Begin a session; gives its id."""
        return self.start(id_tag, minutes, meter_start, **details).transaction_id  # type: ignore[arg-type]

    def meter(
        self,
        transaction_id: int | None,
        *values: MeterValue,
        received: float | None = None,
        connector_id: int = 1,
        charge_point_id: str = CHARGE_POINT,
    ) -> cmd.Reply:
        """Send MeterValues, received at the time of the last one unless told."""
        when = datetime.fromisoformat(values[-1].timestamp) if values and received is None else at(received or 0.0)
        return self.do(cmd.MeterValues(charge_point_id, when, connector_id, transaction_id, values))

    def stop(
        self,
        transaction_id: int | None,
        minutes: float = 60.0,
        meter_stop: object = 0,
        *,
        id_tag: str = "",
        reason: str = "Local",
        charge_point_id: str = CHARGE_POINT,
        received: float | None = None,
        timestamp: str | None = None,
        data: tuple[MeterValue, ...] = (),
    ) -> cmd.Reply:
        """End a session."""
        return self.do(
            cmd.StopTransaction(
                charge_point_id,
                at(minutes if received is None else received),
                transaction_id,
                meter_stop,
                stamp(at(minutes)) if timestamp is None else timestamp,
                id_tag,
                reason,
                data,
            )
        )

    def status(self, minutes: float, status: str = "Available", connector_id: int = 1, timestamp: str = "") -> None:
        """Tell the status of a connector."""
        self.do(cmd.StatusNotification(CHARGE_POINT, at(minutes), connector_id, status, timestamp=timestamp))

    def order_stops(self, minutes: float) -> None:
        """Let the stopper look."""
        self.do(cmd.OrderStops(at(minutes)))

    def attempt(self, transaction_id: int, minutes: float, result: str = "Accepted") -> None:
        """Record a RemoteStopTransaction."""
        self.do(cmd.RecordStopAttempt(at(minutes), transaction_id, result, has_failed=result != "Accepted"))

    def transaction(self, transaction_id: int) -> Transaction:
        """The session as it stands."""
        return self.site.transactions[transaction_id]

    def energy(self, transaction_id: int) -> int:
        """Wh booked for a session."""
        return self.transaction(transaction_id).energy

    def used(self, id_tag: str = "RFID001", month: Month = JANUARY) -> int:
        """Wh on the quota of a tag."""
        return self.site.usage.get((month, IdTag(id_tag)), 0)

    def unattributed(self) -> int:
        """Wh of the charge point that are nobody's."""
        return self.site.charge_points[CHARGE_POINT].unattributed

    def kinds(self) -> list[NoteKind]:
        """What the last decision noted."""
        return [note.kind for note in self.notes]

    def bookings(self) -> list[Booking]:
        """What the last decision booked."""
        return [change.booking for change in self.last if isinstance(change, ch.AddBooking)]

    def restarted(self, times: int = 1) -> Site:
        """A fresh site from all changes so far, each list applied so many times."""
        site = Site(replace(self.site.policy))
        for _ in range(times):
            for change in self.changes:
                apply(site, change)
        return site
