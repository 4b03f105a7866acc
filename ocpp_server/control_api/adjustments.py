"""Corrections of the books, by hand: kWh for a tag, with a reason."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Final, TypeAlias

import msgspec

from ocpp_server.central_system import CentralSystem
from ocpp_server.clock import Clock
from ocpp_server.control_api.fields import Meta, Reason, StatedIdTag, Who
from ocpp_server.control_api.problems import Problem, plain
from ocpp_server.control_api.routing import Answer, Request, Route, unfit
from ocpp_server.core.commands import Adjust, Refused
from ocpp_server.core.energy import EnergyUnit, parse_number, to_wh
from ocpp_server.core.users import IdTag

_LARGEST_KWH: Final = 1_000_000
_NUMBER: Final = r"^\s*[+-]?([0-9]+([.,][0-9]*)?|[.,][0-9]+)([eE][+-]?[0-9]+)?\s*$"
Kwh: TypeAlias = (
    Annotated[float, Meta(ge=-_LARGEST_KWH, le=_LARGEST_KWH, extra_json_schema={"not": {"const": 0}})]
    | Annotated[str, Meta(min_length=1, max_length=40, extra_json_schema={"pattern": _NUMBER})]
)


class WantedAdjustment(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`kwh` may be a text with a decimal point or comma; negative gives back."""

    id_tag: StatedIdTag
    kwh: Kwh
    """Not 0, to the Wh; up to 1,000,000 either way."""
    reason: Reason
    """It stays in the books."""
    by: Who = ""
    """Blank: who the header X-Requested-By says."""


class BookedAdjustment(msgspec.Struct, kw_only=True):
    """What stands in the books now."""

    id_tag: str
    wh: int


class Adjustments:
    """The routes of this resource."""

    def __init__(self, central: CentralSystem, clock: Clock) -> None:
        self._central = central
        self._clock = clock

    def routes(self) -> list[Route]:
        """For `ControlApi`."""
        return [
            Route(
                "POST",
                "/api/v1/adjustments",
                self.adjust,
                "usage",
                "Book a correction in the open month",
                takes=WantedAdjustment,
                gives=BookedAdjustment,
                status=201,
                problems=(409,),
            )
        ]

    async def adjust(self, request: Request) -> Answer:
        """201: the correction is in the books. 409: more would be given back than was used."""
        body = msgspec.to_builtins(request.body)
        command = adjustment(body | {"by": body["by"] or request.by}, self._clock.now())
        reply = await self._central.handle(command)
        if isinstance(reply, Refused):
            raise Problem(409, reply.text)
        return Answer(BookedAdjustment(id_tag=command.id_tag, wh=command.wh))


def adjustment(body: Mapping[str, object], at: datetime) -> Adjust:
    """A correction from its parts, as `WantedAdjustment` has them. Raises Problem 422 with what was expected."""
    try:
        wanted = msgspec.convert(body, WantedAdjustment)
    except msgspec.ValidationError as error:
        raise unfit(error) from error
    kwh = parse_number(wanted.kwh)
    if kwh is None or abs(kwh) > _LARGEST_KWH or to_wh(kwh, EnergyUnit.KWH) == 0:
        text = f"kwh: {str(wanted.kwh)[:40]!r} is not a number of kWh other than 0, up to {_LARGEST_KWH:,}"
        raise Problem(422, text, field="kwh")
    id_tag, reason, by = (plain(text).strip() for text in (wanted.id_tag, wanted.reason, wanted.by))
    return Adjust(at, IdTag(id_tag), to_wh(kwh, EnergyUnit.KWH), reason, by or "operator")
