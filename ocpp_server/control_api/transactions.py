"""Transactions: those that run and those that ended, one of them, stopping one."""

import msgspec

from ocpp_server.central_system import CentralSystem
from ocpp_server.clock import Clock
from ocpp_server.control_api.ledger_documents import TransactionDocument, transaction_document
from ocpp_server.control_api.ledger_pages import LedgerPage, answer, look, next_of, wanted
from ocpp_server.control_api.problems import Problem
from ocpp_server.control_api.routing import Answer, Request, Route
from ocpp_server.core.commands import RequestStop, Unknown
from ocpp_server.storage.ledger_reader import LedgerReader, Wanted

_PATH = "/api/v1/transactions"


class Stopping(msgspec.Struct, kw_only=True):
    """The wish is durable; the stopper carries it out."""

    transaction_id: int
    state: str = "stopping"


class TransactionsQuery(LedgerPage, kw_only=True):
    """Which sessions; `since` and `until` are about their begin."""

    open: bool | None = None
    """true: those that run; false: those that ended."""


class TransactionList(msgspec.Struct, kw_only=True):
    """The newest first."""

    transactions: list[TransactionDocument]
    next: int | None


class TransactionPages:
    """The routes to look at sessions."""

    def __init__(self, reader: LedgerReader) -> None:
        self._reader = reader

    def routes(self) -> list[Route]:
        """For `ControlApi`."""
        return [
            Route(
                "GET",
                _PATH,
                self.list_transactions,
                "transactions",
                "Sessions, newest first",
                gives=TransactionList,
                query=TransactionsQuery,
            ),
            Route(
                "GET",
                f"{_PATH}/{{transaction_id:[0-9]{{1,10}}}}",
                self.get_transaction,
                "transactions",
                "One session",
                gives=TransactionDocument,
            ),
        ]

    async def list_transactions(self, request: Request) -> Answer:
        found = await look(self._reader.transactions, wanted(request.query), is_open=request.query.open)
        return answer(
            TransactionList(
                transactions=[transaction_document(session) for _, session in found],
                next=next_of([number for number, _ in found], request.query),
            )
        )

    async def get_transaction(self, request: Request) -> Answer:
        number = int(request.path["transaction_id"])
        found = await look(self._reader.transactions, Wanted(transaction_id=number))
        if not found:
            raise Problem(404, f"there is no session {number}")
        return answer(transaction_document(found[0][1]))


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
