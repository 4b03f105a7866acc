"""`/api/v1/charge-points` over HTTP. The deeds are those of `charge_points`.

An id stands percent-encoded in the path: `SCHNEIDER%2FEVlinkProAC`.
"""

from typing import Annotated, Any, Final

import msgspec

from ocpp_server.control_api.charge_point_edits import ChargePointChanges
from ocpp_server.control_api.charge_points import ChargePoints, Json
from ocpp_server.control_api.fields import Key
from ocpp_server.control_api.problems import Problem
from ocpp_server.control_api.routing import Answer, Request, Route, unfit

PATH: Final = "/api/v1/charge-points"
_TAG: Final = "charge points"

Profile = Annotated[int, msgspec.Meta(ge=0, le=3)]


class ChargePointDocument(msgspec.Struct, kw_only=True):
    """A charge point that is known here. Never its key, nor a hash of it."""

    id: str
    name: str
    brand: str
    """As chargers.csv says; blank: recognised from what it says of itself."""
    energy_unit: str | None
    """Wh or kWh; null: the brand profile's."""
    max_kw: float | None
    """Null: the brand profile's, else the setting's."""
    access: str
    """quota, free or closed."""
    ping: bool
    configure: bool
    note: str
    admission: str
    """approved, pending or locked."""
    connected: bool
    security_profile: int
    min_security_profile: int
    has_key: bool
    address: str
    vendor: str
    model: str
    first_seen: str | None
    last_seen: str | None
    sessions: int


class ChargePointList(msgspec.Struct, kw_only=True):
    """First those that wait for approval."""

    charge_points: list[ChargePointDocument]


class Decided(msgspec.Struct, kw_only=True):
    """What it is now, and remarks for a person."""

    charge_point: ChargePointDocument
    remarks: list[str]


class Forgotten(msgspec.Struct, kw_only=True):
    """What is to be said of a charge point that is none any more."""

    id: str
    remarks: list[str]


class PasswordSet(msgspec.Struct, kw_only=True, omit_defaults=True):
    """`password` is the key that was made, if one was: it is told this once."""

    charge_point: ChargePointDocument
    remarks: list[str]
    password: str = ""


class Approval(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`min_profile`: the OCPP security profile that it must at least prove; null: as it was."""

    min_profile: Profile | None = None


class Nothing(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """No members."""


class Password(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Without `password` one is made. `send`: also to the charge point. `remove` stands alone."""

    password: Key | None = None
    remove: bool | None = None
    send: bool | None = None


_BODIES: Final[dict[str, Any]] = {
    "edit": ChargePointChanges,
    "approve": Approval,
    "lock": Nothing,
    "forget": Nothing,
    "password": Password,
}


class ChargePointRoutes:
    """The routes of this resource."""

    def __init__(self, charge_points: ChargePoints) -> None:
        self._charge_points = charge_points

    def routes(self) -> list[Route]:
        """For `ControlApi`."""
        one = f"{PATH}/{{id}}"
        return [
            Route(
                "GET", PATH, self.list_charge_points, _TAG, "All charge points", gives=ChargePointList,
                role="administrator",
            ),
            Route(
                "GET", one, self.get_charge_point, _TAG, "One charge point", gives=ChargePointDocument,
                problems=(422,), headers=("ETag",), role="administrator",
            ),
            Route(
                "PATCH", one, self.edit_charge_point, _TAG, "Change a charge point's row of chargers.csv",
                takes=ChargePointChanges, gives=Decided, problems=(409, 412), headers=("ETag",),
            ),
            _deed("approve", self.approve_charge_point, "Let a charge point in", Decided),
            _deed("lock", self.lock_charge_point, "Shut a charge point out", Decided),
            _deed("forget", self.forget_charge_point, "Let go of a charge point and its key", Forgotten),
            _deed("password", self.set_password, "Give a charge point a key, or take it away", PasswordSet, 504),
        ]  # fmt: skip

    async def list_charge_points(self, _request: Request) -> Answer:
        return Answer(await self._charge_points.all())

    async def get_charge_point(self, request: Request) -> Answer:
        """The ETag is that of chargers.csv."""
        etag = await self._charge_points.version()
        return Answer(await self._charge_points.one(request.path["id"]), {"ETag": etag})

    async def edit_charge_point(self, request: Request) -> Answer:
        """200: it is in force. All rows of the charge point are changed."""
        body, etag = await self._charge_points.edit(request.path["id"], request.by, request.body, request.if_match)
        return Answer(body, {"ETag": etag})

    async def approve_charge_point(self, request: Request) -> Answer:
        return await self._do("approve", request)

    async def lock_charge_point(self, request: Request) -> Answer:
        return await self._do("lock", request)

    async def forget_charge_point(self, request: Request) -> Answer:
        return await self._do("forget", request)

    async def set_password(self, request: Request) -> Answer:
        return await self._do("password", request)

    async def _do(self, deed: str, request: Request) -> Answer:
        """Once it is durable."""
        return Answer(await carry_out(self._charge_points, deed, request.path["id"], request.body, request.by))


def _deed(name: str, handle: Any, summary: str, gives: Any, *problems: int) -> Route:
    return Route(
        "POST",
        f"{PATH}/{{id}}/{name}",
        handle,
        _TAG,
        summary,
        takes=_BODIES[name],
        is_body_optional=True,
        gives=gives,
        problems=(409, *problems),
    )


async def perform(charge_points: ChargePoints, deed: str, charge_point_id: str, body: object, by: str) -> Json:
    """Do what the command line asks for while no server runs. Raises Problem; 422 for a body that does not fit."""
    try:
        fitting = msgspec.convert(body, _BODIES[deed])
    except msgspec.ValidationError as error:
        raise unfit(error) from error
    return await carry_out(charge_points, deed, charge_point_id, fitting, by)


async def carry_out(charge_points: ChargePoints, deed: str, charge_point_id: str, body: Any, by: str) -> Json:
    """`body` is the struct of the deed. Raises Problem."""
    match deed:
        case "edit":
            return (await charge_points.edit(charge_point_id, by, body))[0]
        case "approve":
            return await charge_points.approve(charge_point_id, by, body.min_profile)
        case "lock":
            return await charge_points.lock(charge_point_id, by)
        case "forget":
            return await charge_points.forget(charge_point_id, by)
        case _:
            return await _password(charge_points, charge_point_id, body, by)


async def _password(charge_points: ChargePoints, charge_point_id: str, body: Password, by: str) -> Json:
    if not body.remove:
        return await charge_points.set_password(charge_point_id, by, body.password, is_sent=bool(body.send))
    if body.password is not None or body.send:
        raise Problem(422, "remove stands alone")
    return await charge_points.remove_password(charge_point_id, by)
