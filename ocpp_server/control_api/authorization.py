"""What would happen if a card were held to a charge point now, and why. Asking changes nothing."""

from datetime import datetime
from typing import Final

import msgspec

from ocpp_server.central_system import CentralSystem
from ocpp_server.clock import Clock
from ocpp_server.control_api.fields import ChargePointIdText, StatedIdTag
from ocpp_server.control_api.problems import Problem
from ocpp_server.control_api.routing import Answer, Request, Route
from ocpp_server.core.authorize import Verdict, judge
from ocpp_server.core.records import ChargePoint
from ocpp_server.core.site import Site

_ANY: Final = ""
"""No charge point has this id: one that was let in and has booted stands for all."""


class AuthorizationQuestion(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`id_tag` as the card reader would send it. Without `charge_point_id`: at one that is in order."""

    id_tag: StatedIdTag
    charge_point_id: ChargePointIdText | None = None


class AuthorizationAnswer(msgspec.Struct, kw_only=True):
    """`status` as StartTransaction would get it (OCPP 1.6 §7.2), and the figures it follows from."""

    allowed: bool
    status: str
    reason: str
    authorize_status: str
    """What Authorize alone would get: it does not count sessions."""
    id_tag: str | None
    """The card as users1.csv spells it; null: it is not there."""
    name: str | None
    account: str | None
    figures: dict[str, int | str | None]


class Authorization:
    """The routes of this resource."""

    def __init__(self, central: CentralSystem, clock: Clock) -> None:
        self._central = central
        self._clock = clock

    def routes(self) -> list[Route]:
        """For `ControlApi`."""
        return [
            Route(
                "POST",
                "/api/v1/authorize",
                self.judge_card,
                "users",
                "What would happen with a card now, and why",
                takes=AuthorizationQuestion,
                gives=AuthorizationAnswer,
                problems=(404,),
            )
        ]

    async def judge_card(self, request: Request) -> Answer:
        """404 for a charge point that was never here."""
        question: AuthorizationQuestion = request.body
        now = self._clock.now()
        return Answer(would_charge(self._central.site, question.id_tag, question.charge_point_id, now))


def would_charge(site: Site, id_tag: str, charge_point_id: str | None, now: datetime) -> AuthorizationAnswer:
    """The verdict of the rules. Raises Problem 404, 422 for a blank card."""
    if not id_tag.strip():
        raise Problem(422, "id_tag is blank", field="id_tag")
    charge_point = _charge_point(site, charge_point_id, now)
    verdict = judge(site, charge_point, id_tag, now, is_start=True)
    user = verdict.user
    return AuthorizationAnswer(
        allowed=verdict.status == "Accepted",
        status=verdict.status,
        reason=verdict.reason,
        authorize_status=judge(site, charge_point, id_tag, now).status,
        id_tag=None if user is None else user.id_tag,
        name=None if user is None else user.full_name,
        account=None if user is None else user.account,
        figures=_figures(verdict),
    )


def _charge_point(site: Site, charge_point_id: str | None, now: datetime) -> ChargePoint:
    if charge_point_id is None:
        return ChargePoint(_ANY, first_seen=now, booted_at=now)
    known = site.charge_points.get(charge_point_id)
    if known is None:
        raise Problem(404, f"there is no charge point {charge_point_id}")
    return known


def _figures(verdict: Verdict) -> dict[str, int | str | None]:
    return {name: value if value is None or isinstance(value, int) else str(value) for name, value in verdict.figures}
