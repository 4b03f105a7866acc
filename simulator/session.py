"""One charging session and the connector it runs on: state only; `charging` moves it."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime

from simulator.behaviour import Behaviour
from simulator.brands import Brand
from simulator.clock import Clock
from simulator.meter import WH_PER_UNIT, PowerHistory, RegisterModel


class SessionAbandonedError(Exception):
    """The simulated charge point was closed before what was waited for could happen."""


class Milestone:
    """Something that happens once in a session; may be awaited any number of times, also under a time limit."""

    def __init__(self) -> None:
        self._future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def is_reached(self) -> bool:
        """Whether it has happened."""
        return self._future.done()

    def reach(self) -> None:
        """It has happened; later calls change nothing."""
        if not self._future.done():
            self._future.set_result(None)

    def abandon(self) -> None:
        """It will never happen: whoever waits gets SessionAbandonedError."""
        if not self._future.done():
            self._future.set_exception(SessionAbandonedError())
            self._future.exception()

    def wait(self) -> Awaitable[None]:
        """Wait for it."""
        waiting = asyncio.shield(self._future)
        waiting.add_done_callback(_look_at)
        return waiting


def _look_at(waiting: "asyncio.Future[None]") -> None:
    """Whoever asked for it may not wait any longer: asyncio complains about an exception that nobody looked at."""
    if not waiting.cancelled():
        waiting.exception()


class Connector:
    """One connector: its status, its meter, its limit, and the latest session on it."""

    def __init__(self, connector_id: int, brand: Brand, behaviour: Behaviour, clock: Clock) -> None:
        self.connector_id = connector_id
        self.status = "Available"
        self.reported_status: str | None = None
        """What the central system was told last, if it was told."""
        self.is_operative = True
        self.limit_w = math.inf
        """The charging profile in force."""
        self.session: Session | None = None
        self.clock = clock
        self.history = PowerHistory(clock.monotonic())
        self.register = RegisterModel(
            self.history,
            kind=brand.register_kind,
            unit=brand.energy_unit,
            step_wh=brand.step_wh,
            lifetime_wh=brand.lifetime_wh,
            power_scale=brand.power_scale,
            faults=behaviour.meter_faults,
        )

    @property
    def running(self) -> "Session | None":
        """The session whose car is plugged in and has not been stopped."""
        return self.session if self.session is not None and self.session.stop_reason is None else None

    @property
    def is_free(self) -> bool:
        """Whether a car can be plugged in."""
        return self.is_operative and self.status == "Available"

    def apply_power(self) -> None:
        """Let the power flow that the running session wants and the limits allow."""
        session = self.running
        now_s = self.clock.monotonic()
        wanted_w = session.wanted_w if session else 0.0
        self.history.set_power(now_s, min(wanted_w, self.limit_w), session.car.ramp_s if session and wanted_w else 0.0)

    def begin_session(self, id_tag: str, car: "Car", start_sample: Callable[[], dict[str, object]]) -> "Session":
        """A session begins: the meter is read, and no power flows yet. `start_sample` is called at that reading."""
        now_s = self.clock.monotonic()
        self.register.begin_session(now_s)
        self.session = Session(
            connector=self,
            id_tag=id_tag,
            car=car,
            started_at=self.clock.now(),
            meter_start=self.register.whole_units(now_s),
            start_sample=start_sample(),
            _start_energy_wh=self.history.energy_wh(now_s),
        )
        return self.session

    def cut_power(self) -> None:
        """No energy flows from now on."""
        self.history.set_power(self.clock.monotonic(), 0.0)


@dataclass(frozen=True, slots=True)
class Car:
    """What the driver brings: how fast it charges, how much fits in, and how long it stays plugged in when done."""

    power_w: float = 11_000.0
    battery_wh: float | None = None
    """What the battery takes until it is full; None: more than any session."""
    ramp_s: float = 0.0
    """Seconds in which the power rises to `power_w`."""
    unplug_after_s: float = 0.0
    """Seconds from the stop to the cable's being pulled."""


@dataclass(slots=True, eq=False)
class Session:
    """One charging session: what the car truly took, and what the central system was told of it."""

    connector: Connector
    id_tag: str
    car: Car
    started_at: datetime
    meter_start: int
    """As sent: an integer in the brand's unit."""
    start_sample: dict[str, object]
    """The register at the start, as one MeterValue."""
    _start_energy_wh: float
    reservation_id: int | None = None
    """The reservation that it used up."""
    is_energised: bool = False
    is_full: bool = False
    transaction_id: int | None = None
    authorization_status: str | None = None
    """The status in StartTransaction.conf, once it is there."""
    stop_reason: str | None = None
    meter_stop: int | None = None
    """As sent: an integer in the brand's unit."""
    _end_s: float | None = None
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the session has to look again at its reasons to stop or to sample."""
    start_confirmed: Milestone = field(default_factory=Milestone)
    stop_confirmed: Milestone = field(default_factory=Milestone)
    cable_out: Milestone = field(default_factory=Milestone)

    @property
    def connector_id(self) -> int:
        """The connector it runs on."""
        return self.connector.connector_id

    @property
    def started(self) -> Awaitable[None]:
        """Await it for StartTransaction.conf (or for the charge point to give up sending)."""
        return self.start_confirmed.wait()

    @property
    def ended(self) -> Awaitable[None]:
        """Await it for StopTransaction.conf (or for the stop, where the stop is lost)."""
        return self.stop_confirmed.wait()

    @property
    def unplugged(self) -> Awaitable[None]:
        """Await it for the cable to be out and the connector to be available again."""
        return self.cable_out.wait()

    @property
    def is_stopped(self) -> bool:
        """Whether the charge point has been told, or has decided, to end it."""
        return self.stop_reason is not None

    @property
    def energy_wh(self) -> float:
        """The true energy delivered so far, in Wh."""
        end_s = self.connector.clock.monotonic() if self._end_s is None else self._end_s
        return self.connector.history.energy_wh(end_s) - self._start_energy_wh

    @property
    def power_now_w(self) -> float:
        """The true power at this moment in W."""
        return 0.0 if self._end_s is not None else self.connector.history.power_w(self.connector.clock.monotonic())

    @property
    def meter_start_wh(self) -> int:
        """meterStart in Wh, whatever the brand's unit."""
        return round(self.meter_start * WH_PER_UNIT[self.connector.register.unit])

    @property
    def meter_stop_wh(self) -> int | None:
        """meterStop in Wh, whatever the brand's unit; None while the session runs."""
        return None if self.meter_stop is None else round(self.meter_stop * WH_PER_UNIT[self.connector.register.unit])

    @property
    def full_at_s(self) -> float:
        """When the battery will be full at the present power, on the monotonic clock; infinity without a limit."""
        if self.car.battery_wh is None:
            return math.inf
        return self.connector.history.time_of_wh(self._start_energy_wh + self.car.battery_wh)

    @property
    def wanted_w(self) -> float:
        """The power the car asks for."""
        return self.car.power_w if self.is_energised and not self.is_full else 0.0

    def abandon(self) -> None:
        """Nothing more will happen: whoever waits gets SessionAbandonedError."""
        for milestone in (self.start_confirmed, self.stop_confirmed, self.cable_out):
            milestone.abandon()

    def request_stop(self, reason: str) -> None:
        """End it for this reason; the first reason given stays."""
        if self.stop_reason is None:
            self.stop_reason = reason
            self.wake.set()

    def close_meter(self) -> None:
        """Cut the power and keep what the register shows as meterStop."""
        self.connector.cut_power()
        self._end_s = self.connector.clock.monotonic()
        self.meter_stop = self.connector.register.whole_units(self._end_s)
