"""Charge points that behave, and that misbehave, for the demo and the tests. They know nothing of the server."""

from simulator.behaviour import ABSENT, Behaviour, FirmwareFault
from simulator.brands import EVLINK, GENERIC, LIVOLTEK, Brand
from simulator.charge_point import SimulatedChargePoint
from simulator.charging import ConnectorBusyError, SwipeRefusedError
from simulator.clock import Clock, ManualClock, SimulatorClock
from simulator.meter import FaultKind, MeterFault, RegisterKind
from simulator.session import Session

__all__ = [
    "ABSENT",
    "EVLINK",
    "GENERIC",
    "LIVOLTEK",
    "Behaviour",
    "Brand",
    "Clock",
    "ConnectorBusyError",
    "FaultKind",
    "FirmwareFault",
    "ManualClock",
    "MeterFault",
    "RegisterKind",
    "Session",
    "SimulatedChargePoint",
    "SimulatorClock",
    "SwipeRefusedError",
]
