"""`/api/v1/month`: the month that quotas count in, and a person's word on it where the clock alone must not decide."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final, Literal

import msgspec

from ocpp_server.central_system import CentralSystem
from ocpp_server.clock import Clock
from ocpp_server.control_api.fields import Reason, Who
from ocpp_server.control_api.problems import Problem, plain
from ocpp_server.control_api.routing import Answer, Request, Route
from ocpp_server.control_api.usage import MonthText
from ocpp_server.core.commands import Command, ConfirmMonth, Refused, UndoMonth
from ocpp_server.core.months import CLOCK_ALERT, EARLIEST
from ocpp_server.core.period import Month, month_of

PATH: Final = "/api/v1/month"
UNDO: Final = f"{PATH}/undo"
CONFIRM: Final = f"{PATH}/confirm"
_TAG: Final = "usage"


class MonthState(msgspec.Struct, kw_only=True):
    """The open month, and whether the clock agrees with it."""

    open_month: str | None
    """Null: none was opened yet."""
    clock_month: str
    """What the server's clock shows, in the site's time zone."""
    suspect: str | None
    """Why the clock is not believed, so that no month opens by itself. Null: it is."""
    suspect_since: datetime | None
    remedy: Literal["none", "confirm", "undo"]
    """What a person can do, if the clock is right: confirm the month that it shows, or undo the open one."""


class WantedUndo(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Both months are named, so that a repeated request goes back no further."""

    month: MonthText
    """The open one, which was opened by mistake."""
    back_to: MonthText
    """The one that it is, which the clock must show."""
    reason: Reason
    """It stays in the books."""
    by: Who = ""
    """Blank: who the header X-Requested-By says."""


class WantedConfirmation(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The clock is right."""

    month: MonthText
    """The one that it shows, to be opened."""
    by: Who = ""
    """Blank: who the header X-Requested-By says."""


class Months:
    """The routes of this resource."""

    def __init__(self, central: CentralSystem, clock: Clock, look_at_clock: Callable[[], Awaitable[None]]) -> None:
        """`look_at_clock`: has the clock judged anew by the month that is open now."""
        self._central = central
        self._clock = clock
        self._look_at_clock = look_at_clock

    def routes(self) -> list[Route]:
        """For `ControlApi`."""
        return [
            Route("GET", PATH, self.get_month, _TAG, "The open month, and whether the clock is suspect",
                  gives=MonthState),
            Route("POST", UNDO, self.undo_month, _TAG, "Take back a month that was opened by mistake",
                  takes=WantedUndo, gives=MonthState, problems=(409,)),
            Route("POST", CONFIRM, self.confirm_month, _TAG, "Open the month that the clock shows: it is right",
                  takes=WantedConfirmation, gives=MonthState, problems=(409,)),
        ]  # fmt: skip

    async def get_month(self, _request: Request) -> Answer:
        """What quotas count in now."""
        return Answer(self._state())

    async def undo_month(self, request: Request) -> Answer:
        """409: the clock shows another month than `back_to`, or the open one is another."""
        wanted: WantedUndo = request.body
        months, reason = (Month(wanted.month), Month(wanted.back_to)), plain(wanted.reason).strip()
        return await self._do(UndoMonth(self._clock.now(), *months, reason, _who(wanted.by, request)))

    async def confirm_month(self, request: Request) -> Answer:
        """409: the clock shows another month, or one that is not after the open one."""
        wanted: WantedConfirmation = request.body
        return await self._do(ConfirmMonth(self._clock.now(), Month(wanted.month), _who(wanted.by, request)))

    async def _do(self, command: Command) -> Answer:
        reply = await self._central.handle(command)
        if isinstance(reply, Refused):
            raise Problem(409, reply.text)
        await self._look_at_clock()
        return Answer(self._state())

    def _state(self) -> MonthState:
        site, opened, now = self._central.site, self._central.site.open_month, self._clock.now()
        shown = month_of(now, site.policy.zone)
        alert = site.alerts.get(CLOCK_ALERT)
        remedy: Literal["none", "confirm", "undo"] = "none"
        if now >= EARLIEST and alert is not None and shown != opened:
            remedy = "undo" if opened is not None and shown < opened else "confirm"
        return MonthState(
            open_month=opened,
            clock_month=shown,
            suspect=None if alert is None else alert.text,
            suspect_since=None if alert is None else alert.since,
            remedy=remedy,
        )


def _who(stated: str, request: Request) -> str:
    return plain(stated).strip() or request.by
