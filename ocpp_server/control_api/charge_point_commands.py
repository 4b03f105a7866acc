"""What people ask of charge points most, each with a route of its own: reset, unlock, start, …; and their leaks."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, Final, Literal, Protocol, TypeAlias

import msgspec

from ocpp_server.central_system import CentralSystem, CommitError
from ocpp_server.clock import Clock
from ocpp_server.control_api.charge_points import ChargePoints
from ocpp_server.control_api.commands import PATH, PROBLEMS, TAG, Caller, CallOutcome
from ocpp_server.control_api.fields import IdTagText
from ocpp_server.control_api.problems import Problem, plain
from ocpp_server.control_api.routing import Answer, Request, Route
from ocpp_server.core.authorize import judge
from ocpp_server.core.leaks import NEVER_TOLD, Leak, leaks_of
from ocpp_server.core.records import AuthorizationStatus

Connector: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=1000)]
ConnectorOrAll: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=1000)]
Triggered: TypeAlias = Literal[
    "BootNotification",
    "DiagnosticsStatusNotification",
    "FirmwareStatusNotification",
    "Heartbeat",
    "MeterValues",
    "StatusNotification",
]
"""OCPP 1.6 §7.19."""
_START: Final = "RemoteStartTransaction"


class Reset(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Hard: as if its power was cut (OCPP 1.6 §5.14)."""

    type: Literal["Soft", "Hard"] = "Soft"


class Unlock(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The plug of this connector is let go; its session ends (OCPP 1.6 §5.18)."""

    connector_id: Connector


class Availability(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Connector 0 is the whole charge point (OCPP 1.6 §5.2)."""

    connector_id: ConnectorOrAll = 0
    type: Literal["Operative", "Inoperative"]


class Start(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Without a connector the charge point chooses (OCPP 1.6 §5.11)."""

    id_tag: IdTagText
    connector_id: Connector | None = None


class Trigger(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Which message it is to send now (OCPP 1.6 §5.17)."""

    requested_message: Triggered
    connector_id: Connector | None = None


class Change(msgspec.Struct, kw_only=True):
    """A key of the configuration and its value."""

    key: str
    value: str


class LeakDocument(msgspec.Struct, kw_only=True):
    """One way for energy to escape the quota. `mend`: what would close it; null: no change of configuration does."""

    key: str
    value: str
    why: str
    mend: Change | None


class Leaks(msgspec.Struct, kw_only=True):
    """As the charge point told its configuration last."""

    charge_point: str
    leaks: list[LeakDocument]


class MendedDocument(msgspec.Struct, kw_only=True):
    """A change, and what the charge point said: its status, "offline", "no answer", "not sent" or "error: …"."""

    key: str
    value: str
    status: str


class MendedLeaks(msgspec.Struct, kw_only=True):
    """What was sent, and the leaks that are left."""

    charge_point: str
    mended: list[MendedDocument]
    leaks: list[LeakDocument]


class Disconnected(msgspec.Struct, kw_only=True):
    """Its connection is being closed; it may connect again at once."""

    charge_point: str


class Mended(Protocol):
    """A change and what became of it."""

    @property
    def key(self) -> str: ...
    @property
    def value(self) -> str: ...
    @property
    def status(self) -> str: ...


class ChargePointCommands:
    """The routes. `mend` sends what closes the leaks; `disconnect` says whether there was a connection."""

    def __init__(
        self,
        central: CentralSystem,
        clock: Clock,
        charge_points: ChargePoints,
        caller: Caller,
        *,
        is_connected: Callable[[str], bool],
        mend: Callable[[str], Awaitable[Sequence[Mended]]],
        disconnect: Callable[[str], bool],
    ) -> None:
        self._site = central.site
        self._clock = clock
        self._charge_points = charge_points
        self._caller = caller
        self._is_connected = is_connected
        self._mend = mend
        self._disconnect = disconnect

    def routes(self) -> list[Route]:
        """For `ControlApi`."""
        return [
            _call("reset", self.reset_charge_point, "Restart a charge point", Reset, is_body_optional=True),
            _call("unlock", self.unlock_connector, "Let go of a plug", Unlock),
            _call("availability", self.change_availability, "Take out of service, or back into it", Availability),
            _call("start", self.start_transaction, "Start a session for a user", Start),
            _call("trigger", self.trigger_message, "Have a message sent now", Trigger),
            Route(
                "GET",
                f"{PATH}/leaks",
                self.list_leaks,
                TAG,
                "What escapes the quota",
                gives=Leaks,
                problems=(422,),
                role="administrator",
            ),
            Route(
                "POST",
                f"{PATH}/leaks/mend",
                self.mend_leaks,
                TAG,
                "Close what escapes the quota",
                gives=MendedLeaks,
                problems=(409, 422),
            ),
            Route(
                "POST",
                f"{PATH}/disconnect",
                self.disconnect_charge_point,
                TAG,
                "Close the connection of a charge point",
                gives=Disconnected,
                problems=(409, 422),
            ),
        ]

    async def reset_charge_point(self, request: Request) -> Answer:
        """Without a body: a soft reset, which ends sessions in order."""
        return await self._ask(request, "Reset", {"type": request.body.type})

    async def unlock_connector(self, request: Request) -> Answer:
        """`status` is Unlocked, UnlockFailed or NotSupported."""
        return await self._ask(request, "UnlockConnector", {"connectorId": request.body.connector_id})

    async def change_availability(self, request: Request) -> Answer:
        """`Scheduled`: it does so when the running session has ended."""
        body = request.body
        return await self._ask(request, "ChangeAvailability", {"connectorId": body.connector_id, "type": body.type})

    async def trigger_message(self, request: Request) -> Answer:
        """What it sends then stands in its messages."""
        body = request.body
        return await self._ask(
            request,
            "TriggerMessage",
            {"requestedMessage": body.requested_message} | _connector(body.connector_id),
        )

    async def start_transaction(self, request: Request) -> Answer:
        """409 if this tag may not charge there now. Accepted is a promise: a session exists when it begins."""
        await self._known(request)
        charge_point_id, body = request.path["id"], request.body
        known = self._site.charge_points.get(charge_point_id)
        if known is None:
            raise Problem(409, f"{charge_point_id} was never connected here")
        tag = plain(body.id_tag).strip()
        verdict = judge(self._site, known, tag, self._clock.now(), is_start=True)
        if verdict.status is not AuthorizationStatus.ACCEPTED:
            raise Problem(409, f"not started: {verdict.reason}", reason=verdict.reason)
        return await self._ask(request, _START, {"idTag": tag} | _connector(body.connector_id))

    async def list_leaks(self, request: Request) -> Answer:
        """From its last answer to GetConfiguration, asked for at boot, and the changes since."""
        await self._known(request)
        charge_point_id = request.path["id"]
        return Answer(Leaks(charge_point=charge_point_id, leaks=self._leaks(charge_point_id)))

    async def mend_leaks(self, request: Request) -> Answer:
        """Each change is sent on its own; one that is refused does not keep the others back. 409: not connected."""
        await self._known(request)
        charge_point_id = request.path["id"]
        if not self._is_connected(charge_point_id):
            raise _not_connected(charge_point_id)
        try:
            changes = await self._mend(charge_point_id)
        except CommitError as error:  # the charge point has taken the change that cannot be kept
            detail = f"{charge_point_id} was sent changes, and the ledger cannot be written: look at its leaks again"
            raise Problem(503, detail) from error
        mended = [MendedDocument(key=one.key, value=one.value, status=one.status) for one in changes]
        for one in mended:
            await self._caller.note(charge_point_id, f"ChangeConfiguration {one.key}", one.status, request.by)
        return Answer(MendedLeaks(charge_point=charge_point_id, mended=mended, leaks=self._leaks(charge_point_id)))

    async def disconnect_charge_point(self, request: Request) -> Answer:
        """A charge point connects again by itself: to shut it out, lock it. 409: not connected."""
        await self._known(request)
        charge_point_id = request.path["id"]
        if not self._disconnect(charge_point_id):
            raise _not_connected(charge_point_id)
        await self._caller.note(charge_point_id, "disconnect", "closed", request.by)
        return Answer(Disconnected(charge_point=charge_point_id))

    async def _known(self, request: Request) -> None:
        """Raises Problem 404 for a charge point that is none of ours, 422 for what is no id."""
        await self._charge_points.one(request.path["id"])

    async def _ask(self, request: Request, action: str, payload: dict[str, Any]) -> Answer:
        await self._known(request)
        return Answer(await self._caller.call(request.path["id"], action, payload, request.by))

    def _leaks(self, charge_point_id: str) -> list[LeakDocument]:
        is_known = charge_point_id in self._site.charge_points  # else a row in chargers.csv is all there is
        return [_leak(one) for one in (leaks_of(self._site, charge_point_id) if is_known else (NEVER_TOLD,))]


def _call(name: str, handle: Any, summary: str, takes: Any, *, is_body_optional: bool = False) -> Route:
    return Route(
        "POST",
        f"{PATH}/{name}",
        handle,
        TAG,
        summary,
        takes=takes,
        is_body_optional=is_body_optional,
        gives=CallOutcome,
        problems=PROBLEMS,
    )


def _connector(number: int | None) -> dict[str, Any]:
    return {} if number is None else {"connectorId": number}


def _leak(leak: Leak) -> LeakDocument:
    mend = None if leak.mend is None else Change(key=leak.mend[0], value=leak.mend[1])
    return LeakDocument(key=leak.key, value=leak.value, why=leak.why, mend=mend)


def _not_connected(charge_point_id: str) -> Problem:
    return Problem(409, f"{charge_point_id} is not connected: nothing was sent")
