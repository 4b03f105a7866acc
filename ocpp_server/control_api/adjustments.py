"""Corrections of the books, by hand: kWh for a tag, with a reason."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

import msgspec

from ocpp_server.central_system import CentralSystem
from ocpp_server.clock import Clock
from ocpp_server.control_api.problems import LONGEST_NAME, Problem, plain
from ocpp_server.control_api.routing import Answer, Request, Route
from ocpp_server.core.commands import Adjust, Refused
from ocpp_server.core.energy import EnergyUnit, parse_number, to_wh
from ocpp_server.core.users import IdTag

_LARGEST_ADJUSTMENT_KWH = Decimal(1_000_000)
_LONGEST_ID_TAG = 100
_LONGEST_REASON = 500


class WantedAdjustment(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`kwh` may be a text with a decimal point or comma; negative gives back."""

    id_tag: str
    kwh: float | str
    reason: str
    by: str = ""


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
        try:
            command = adjustment(body | {"by": body["by"] or request.by}, self._clock.now())
        except AdjustmentError as error:
            raise Problem(422, str(error), field=error.field) from error
        reply = await self._central.handle(command)
        if isinstance(reply, Refused):
            raise Problem(409, reply.text)
        return Answer(BookedAdjustment(id_tag=command.id_tag, wh=command.wh))


class AdjustmentError(ValueError):
    """A correction that says too little, or too much; the text begins with the field."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(f"{field} {text}")
        self.field = field


def adjustment(body: Mapping[str, object], at: datetime) -> Adjust:
    """A correction from its parts: `id_tag`, `kwh` (number or text, negative to give back), `reason`, `by`.

    Raises AdjustmentError with what was expected.
    """
    id_tag, reason, by = (_text(body, key) for key in ("id_tag", "reason", "by"))
    kwh = parse_number(body.get("kwh"))
    if not id_tag or len(id_tag) > _LONGEST_ID_TAG:
        raise AdjustmentError("id_tag", f"is missing, or longer than {_LONGEST_ID_TAG} characters")
    if kwh is None or abs(kwh) > _LARGEST_ADJUSTMENT_KWH or to_wh(kwh, EnergyUnit.KWH) == 0:
        raise AdjustmentError("kwh", f"{str(body.get('kwh'))[:40]!r} is not a number of kWh other than 0")
    if not reason:
        raise AdjustmentError("reason", "is missing: it stays in the books")
    wh = to_wh(kwh, EnergyUnit.KWH)
    return Adjust(at, IdTag(id_tag), wh, reason[:_LONGEST_REASON], by[:LONGEST_NAME] or "operator")


def _text(body: Mapping[str, object], key: str) -> str:
    """A text of the body, blank where it is missing. Raises AdjustmentError for anything else."""
    value = body.get(key) or ""
    if not isinstance(value, str) or value != plain(value):
        raise AdjustmentError(key, "is not text")
    return value.strip()
