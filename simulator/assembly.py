"""Puts the parts of one charge point together, and names them."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from websockets.asyncio.client import ClientConnection

from simulator.answering import Reach
from simulator.behaviour import Behaviour
from simulator.brands import Brand
from simulator.certificates import Certificates
from simulator.charging import Charging
from simulator.clock import Clock
from simulator.commands import CentralSystemCommands
from simulator.configuration import Configuration
from simulator.frames import Frames
from simulator.journal import Journal
from simulator.link import Link
from simulator.local_list import LocalList
from simulator.maintenance import Maintenance
from simulator.outbox import Outbox
from simulator.profiles import Profiles
from simulator.registration import Registration
from simulator.reporting import Reporting
from simulator.reservations import Reservations
from simulator.session import Connector

Work = Coroutine[Any, Any, None]


@dataclass(frozen=True, slots=True)
class Description:
    """What a charge point is, before it does anything."""

    charger_id: str
    url: str
    brand: Brand
    clock: Clock
    behaviour: Behaviour
    connectors: int
    password: str | None
    configuration: Mapping[str, str]
    response_timeout_s: float


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts that last as long as the charge point."""

    configuration: Configuration
    journal: Journal
    link: Link
    outbox: Outbox
    registration: Registration
    charging: Charging


def assemble(
    described: Description, journal: Journal, spawn: Callable[[Work], None], reset: Callable[[str], Work]
) -> Parts:
    """The parts, wired; `spawn` runs work beside everything else, `reset` boots again."""
    clock, behaviour, brand = described.clock, described.behaviour, described.brand
    configuration = Configuration(brand, described.connectors, described.configuration)
    local_list, reservations, profiles, certificates = LocalList(), Reservations(), Profiles(), Certificates()
    registered = asyncio.Event()
    frames = Frames(described.charger_id, brand, behaviour, clock, clock.monotonic())

    def make_client(connection: ClientConnection) -> CentralSystemCommands:
        reach = Reach(
            charging=charging,
            registration=registration,
            configuration=configuration,
            link=link,
            local_list=local_list,
            reservations=reservations,
            profiles=profiles,
            certificates=certificates,
            maintenance=maintenance,
            brand=brand,
            behaviour=behaviour,
            clock=clock,
            journal=journal,
            spawn=spawn,
            reset=reset,
        )
        return CentralSystemCommands(described.charger_id, connection, described.response_timeout_s, reach)

    link = Link(described.charger_id, described.url, journal, make_client, described.password)
    outbox = Outbox(link=link, registered=registered, configuration=configuration, clock=clock, journal=journal)
    registration = Registration(
        link=link,
        frames=frames,
        configuration=configuration,
        clock=clock,
        journal=journal,
        registered=registered,
        ignore_pending=behaviour.ignore_pending,
    )
    reporting = Reporting(
        frames=frames,
        link=link,
        outbox=outbox,
        configuration=configuration,
        behaviour=behaviour,
        journal=journal,
        local_list=local_list,
    )
    charging = Charging(
        [Connector(number, brand, behaviour, clock) for number in range(1, described.connectors + 1)],
        reporting=reporting,
        link=link,
        configuration=configuration,
        behaviour=behaviour,
        clock=clock,
        journal=journal,
        spawn=spawn,
        reservations=reservations,
        profiles=profiles,
    )
    maintenance = Maintenance(
        link=link,
        frames=frames,
        clock=clock,
        behaviour=behaviour,
        registration=registration,
        charging=charging,
        reset=reset,
    )
    return Parts(configuration, journal, link, outbox, registration, charging)
