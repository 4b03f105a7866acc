"""Transactions: stopping one."""

import msgspec

from ocpp_server.central_system import CentralSystem
from ocpp_server.clock import Clock
from ocpp_server.control_api.problems import Problem
from ocpp_server.control_api.routing import Answer, Request, Route
from ocpp_server.core.commands import RequestStop, Unknown

_PATH = "/api/v1/transactions"


class Stopping(msgspec.Struct, kw_only=True):
    """The wish is durable; the stopper carries it out."""

    transaction_id: int
    state: str = "stopping"


class Transactions:
    """The routes of this resource."""

    def __init__(self, central: CentralSystem, clock: Clock) -> None:
        self._central = central
        self._clock = clock

    def routes(self) -> list[Route]:
        """For `ControlApi`."""
        return [
            Route(
                "POST",
                f"{_PATH}/{{transaction_id:[0-9]{{1,10}}}}/stop",
                self.stop_transaction,
                "transactions",
                "Stop a session",
                gives=Stopping,
                status=202,
            )
        ]

    async def stop_transaction(self, request: Request) -> Answer:
        """404 if there is no such session, or it has ended."""
        number = int(request.path["transaction_id"])
        reply = await self._central.handle(RequestStop(self._clock.now(), number, request.by))
        if isinstance(reply, Unknown):
            raise Problem(404, reply.text)
        return Answer(Stopping(transaction_id=number))
