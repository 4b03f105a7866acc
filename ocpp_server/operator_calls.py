"""Calls to charge points for an operator: what `ocpp16` says of them, in the words of the control API."""

from contextlib import suppress
from typing import Any, Protocol

from ocpp_server.central_system import CentralSystem, CommitError
from ocpp_server.clock import Clock
from ocpp_server.control_api.commands import CallOutcome
from ocpp_server.control_api.problems import Problem
from ocpp_server.core.commands import Command, RecordCall, RecordConfiguration
from ocpp_server.ocpp16.commands import for_people, hidden_or
from ocpp_server.ocpp16.mender import TAKEN
from ocpp_server.ocpp16.outgoing import MALFORMED, NO_ANSWER, OFFLINE, TOO_MANY, CallAnswer
from ocpp_server.ocpp16.printable import printable
from ocpp_server.ocpp16.requests import REQUESTS, RequestError


class Calls(Protocol):
    """`ocpp16.commands.RemoteCalls`."""

    async def call(self, charge_point_id: str, action: str, payload: dict[str, Any]) -> CallAnswer:
        """Raises RequestError."""
        ...


class OperatorCalls:
    """`control_api.commands.Caller` on the connections of the gateway. To be used from a task, never a handler."""

    actions = tuple(REQUESTS)

    def __init__(self, calls: Calls, central: CentralSystem, clock: Clock) -> None:
        self._calls = calls
        self._central = central
        self._clock = clock

    async def call(self, charge_point_id: str, action: str, payload: dict[str, Any], by: str) -> CallOutcome:
        """Send a call and wait for its answer. Raises Problem; a CALLERROR is an answer."""
        try:
            answer = await self._calls.call(charge_point_id, action, payload)
        except RequestError as error:
            if action not in REQUESTS:
                raise Problem(404, str(error)) from error
            raise Problem(422, str(error), **({"field": error.field} if error.field else {})) from error
        await self.note(charge_point_id, action, answer.status, by)
        _check(charge_point_id, action, answer)
        if action == "ChangeConfiguration" and answer.status in TAKEN:
            await self._keep(charge_point_id, str(payload["key"]), str(payload["value"]))
        return _outcome(charge_point_id, action, answer)

    async def note(self, charge_point_id: str, action: str, result: str, by: str) -> None:
        """For the audit: who had what asked."""
        await self._record(RecordCall(charge_point_id, self._clock.now(), action, printable(result), by))

    async def _record(self, command: Command) -> None:
        """What the charge point did is done, also where nothing can be stored any more and the server ends."""
        with suppress(CommitError):
            await self._central.handle(command)

    async def _keep(self, charge_point_id: str, key: str, value: str) -> None:
        """What was told of its configuration changes with it, under the name that the charge point uses."""
        told = (name for name, _ in self._central.site.configurations.get(charge_point_id, ()))
        name = next((name for name in told if name.casefold() == key.casefold()), key)
        change = (name, hidden_or(name, value))
        await self._record(RecordConfiguration(charge_point_id, self._clock.now(), (change,)))


def _check(charge_point_id: str, action: str, answer: CallAnswer) -> None:
    """Raise Problem where there is no answer."""
    if answer.status == OFFLINE:
        raise Problem(409, f"{charge_point_id} is not connected: nothing was sent")
    if answer.status == NO_ANSWER:
        raise Problem(504, f"{charge_point_id} did not answer: nobody knows whether it did what {action} asks for")
    if answer.status == TOO_MANY and not answer.payload:  # a charge point could call an error so, with a description
        raise Problem(429, f"too many calls wait for {charge_point_id}: nothing was sent")
    if answer.status == MALFORMED and answer.fault:
        raise Problem(502, f"{charge_point_id} gave an answer to {action} that makes no sense: {answer.fault}")


def _outcome(charge_point_id: str, action: str, answer: CallAnswer) -> CallOutcome:
    if answer.is_answered:
        payload = for_people(answer.payload)
        return CallOutcome(
            charge_point=charge_point_id, action=action, status=answer.status, payload=payload, fault=answer.fault
        )
    return CallOutcome(
        charge_point=charge_point_id,
        action=action,
        status="CALLERROR",
        payload={},
        error_code=answer.status.removeprefix("error: "),
        error_description=str(answer.payload.get("description", "")),
        error_details=_details(answer),
    )


def _details(answer: CallAnswer) -> dict[str, Any]:
    details = answer.payload.get("details")
    return for_people(details) if isinstance(details, dict) else {}
