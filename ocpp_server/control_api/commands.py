"""Calls to charge points: the generic door for every call of OCPP 1.6, and what the friendly ones share. No OCPP here.

Who sends them is handed in. What a charge point answers is an answer of ours, also where it says no; what is a problem
is that nobody was asked (404, 409, 422, 429), or that nobody knows (502, 504).
"""

from collections.abc import Sequence
from typing import Any, Final, Protocol

import msgspec

from ocpp_server.control_api.charge_points import ChargePoints
from ocpp_server.control_api.problems import Problem
from ocpp_server.control_api.routing import Answer, Request, Route

PATH: Final = "/api/v1/charge-points/{id}"
TAG: Final = "commands"
PROBLEMS: Final = (409, 429, 502, 504)
"""Of every route that asks a charge point: not connected, too many waiting, answer of no sense, no answer."""
PAYLOAD: Final = dict[str, Any]
_SET_CONFIGURATION: Final = "ChangeConfiguration"
_KEY_OF_THE_DOOR: Final = "authorizationkey"


class CallOutcome(msgspec.Struct, kw_only=True):
    """What a charge point answered, in its own words."""

    charge_point: str
    action: str
    status: str
    """Its status ("Accepted", "Rejected", …); "answered" where such answers have none; "CALLERROR" for an error."""
    payload: dict[str, Any]
    """The answer as it came, but for passwords in a configuration, and half a character, which is shown escaped."""
    fault: str = ""
    """What in it does not fit the schema of OCPP 1.6."""
    error_code: str = ""
    """Of a CALLERROR, as `NotSupported`."""
    error_description: str = ""
    error_details: dict[str, Any] = {}


class Caller(Protocol):
    """Who can ask charge points."""

    @property
    def actions(self) -> Sequence[str]:
        """The calls that there are."""
        ...

    async def call(self, charge_point_id: str, action: str, payload: dict[str, Any], by: str) -> CallOutcome:
        """Send a call and wait for its answer. Raises Problem: 404 for an unknown action, 422 with the field where
        the payload does not fit, and `PROBLEMS`.
        """
        ...

    async def note(self, charge_point_id: str, action: str, result: str, by: str) -> None:
        """Keep for the audit what was done without `call`."""


class Commands:
    """The generic door."""

    def __init__(self, charge_points: ChargePoints, caller: Caller) -> None:
        self._charge_points = charge_points
        self._caller = caller

    def routes(self) -> list[Route]:
        """For `ControlApi`."""
        return [
            Route(
                "POST",
                f"{PATH}/commands/{{action}}",
                self.send_command,
                TAG,
                "Send any call of OCPP 1.6",
                parts={"action": {"type": "string", "enum": [*self._caller.actions]}},
                takes=PAYLOAD,
                is_body_optional=True,
                gives=CallOutcome,
                problems=PROBLEMS,
            )
        ]

    async def send_command(self, request: Request) -> Answer:
        """The action is a call of a Central System in OCPP 1.6 or its security extension, such as GetConfiguration;
        the body is its payload. An error of the charge point (CALLERROR) is an answer, too: 200 with its code.
        """
        charge_point_id, action, payload = request.path["id"], request.path["action"], request.body
        await self._charge_points.one(charge_point_id)
        key = payload.get("key")
        if action == _SET_CONFIGURATION and isinstance(key, str) and key.strip().casefold() == _KEY_OF_THE_DOOR:
            text = "key: the server would not know the new AuthorizationKey: POST it to …/password with send=true"
            raise Problem(422, text, field="key")
        return Answer(await self._caller.call(charge_point_id, action, payload, request.by))
