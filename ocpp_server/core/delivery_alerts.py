"""Alerts about other systems that are to get readings and events: one waits, refuses some of them, or lost some."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Final

from ocpp_server.core.commands import DeliveryState, LookForAlerts
from ocpp_server.core.records import Alert

STUCK: Final = "forwarder stuck"
REFUSED: Final = "readings set aside"
LOST: Final = "readings lost"
OF_DELIVERIES: Final = (STUCK, REFUSED, LOST)
_TOLD_FOR: Final = timedelta(days=7)
"""A loss cannot be mended: it is open long enough that somebody sees it, also after a holiday."""


def delivery_alerts(known: Mapping[str, Alert], command: LookForAlerts) -> Iterator[Alert]:
    """What is due. The texts stay the same while a state lasts: how many it is, `GET /api/v1/destinations` tells."""
    for one in command.deliveries:
        stuck = f"stuck-{one.name}"
        if one.pause:
            text = f"{one.name} is paused ({one.pause}): mend it, then resume it or restart the server"
            yield Alert(stuck, STUCK, text, command.at)
        elif one.is_stuck or (one.is_stuck is None and stuck in known):
            text = f"{one.name} has not got for 15 minutes what waits for it: look at the other system"
            yield Alert(stuck, STUCK, text, command.at)
        if one.set_aside:
            text = f"{one.name} refused entries, which are set aside: have them sent again once it is mended"
            yield Alert(f"set-aside-{one.name}", REFUSED, text, command.at)
        yield from _loss(one, command)


def _loss(one: DeliveryState, command: LookForAlerts) -> Iterator[Alert]:
    if one.lost_at is not None and command.at - one.lost_at < _TOLD_FOR:
        text = f"{one.name} was away for so long that the oldest entries for it were dropped"
        yield Alert(f"lost-{one.name}", LOST, text, command.at)
