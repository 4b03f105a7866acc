"""`/api/v1/charge-points` over HTTP. The deeds are those of `charge_points`.

An id stands percent-encoded in the path: `SCHNEIDER%2FEVlinkProAC`.
"""

from typing import Any

from aiohttp import web

from ocpp_server.control_api.charge_points import ChargePoints, Json
from ocpp_server.control_api.problems import Problem, asker_of, json_of

PATH = "/api/v1/charge-points"
_HIGHEST_PROFILE = 3


class ChargePointRoutes:
    """The handlers of this resource."""

    def __init__(self, charge_points: ChargePoints) -> None:
        self._charge_points = charge_points

    def routes(self) -> list[web.RouteDef]:
        """For `ControlApi`."""
        return [
            web.get(PATH, self._all),
            web.get(f"{PATH}/{{id}}", self._one),
            web.post(f"{PATH}/{{id}}/{{deed:approve|lock|forget|password}}", self._do),
        ]

    async def _all(self, _request: web.Request) -> web.Response:
        return web.json_response(await self._charge_points.all())

    async def _one(self, request: web.Request) -> web.Response:
        return web.json_response(await self._charge_points.one(request.match_info["id"]))

    async def _do(self, request: web.Request) -> web.Response:
        """200, once it is durable, with what it is now and remarks for a person."""
        body = await json_of(request, if_blank={})
        deed, charge_point_id = request.match_info["deed"], request.match_info["id"]
        return web.json_response(await perform(self._charge_points, deed, charge_point_id, body, asker_of(request)))


async def perform(charge_points: ChargePoints, deed: str, charge_point_id: str, body: object, by: str) -> Json:
    """Do what a request asks for. Raises Problem; 422 for a body with anything else than is understood."""
    match deed:
        case "approve":
            (min_profile,) = _members(body, "min_profile")
            return await charge_points.approve(charge_point_id, by, _profile(min_profile))
        case "lock":
            _members(body)
            return await charge_points.lock(charge_point_id, by)
        case "forget":
            _members(body)
            return await charge_points.forget(charge_point_id, by)
        case _:
            return await _password(charge_points, charge_point_id, body, by)


async def _password(charge_points: ChargePoints, charge_point_id: str, body: object, by: str) -> Json:
    password, remove, send = _members(body, "password", "remove", "send")
    is_sent = _flag(send)
    if password is not None and not isinstance(password, str):
        raise Problem(422, "password is not text")
    if not _flag(remove):
        return await charge_points.set_password(charge_point_id, by, password, is_sent=is_sent)
    if password is not None or is_sent:
        raise Problem(422, "remove stands alone")
    return await charge_points.remove_password(charge_point_id, by)


def _members(body: object, *names: str) -> list[Any]:
    """The members of an object; None where one is missing."""
    if not isinstance(body, dict) or not body.keys() <= set(names):
        expected = " and ".join(names) if names else "no members"
        raise Problem(422, f"expected an object with {expected}")
    return [body.get(name) for name in names]


def _profile(value: Any) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _HIGHEST_PROFILE):
        return value
    raise Problem(422, f"min_profile is a security profile from 0 to {_HIGHEST_PROFILE}")


def _flag(value: Any) -> bool:
    if value is None or isinstance(value, bool):
        return bool(value)
    raise Problem(422, "remove and send are true or false")
