"""Why a session went as it did, and how a card stands, over HTTP."""

from ocpp_server.clock import Clock
from ocpp_server.control_api.explanation_documents import SessionExplanation, TagExplanation
from ocpp_server.control_api.explanations import explain_session, explain_tag
from ocpp_server.control_api.ledger_pages import answer, look
from ocpp_server.control_api.problems import Problem, plain
from ocpp_server.control_api.routing import Answer, Request, Route
from ocpp_server.core.site import Policy
from ocpp_server.storage.ledger_reader import LedgerReader


class Explanations:
    """The routes of these resources."""

    def __init__(self, reader: LedgerReader, policy: Policy, clock: Clock) -> None:
        self._reader = reader
        self._policy = policy
        self._clock = clock

    def routes(self) -> list[Route]:
        """For `ControlApi`."""
        return [
            Route(
                "GET",
                "/api/v1/transactions/{transaction_id:[0-9]{1,10}}/explanation",
                self.explain_transaction,
                "transactions",
                "Why a session went as it did",
                gives=SessionExplanation,
            ),
            Route(
                "GET",
                "/api/v1/users/{id_tag}/explanation",
                self.explain_user,
                "users",
                "How a card stands this month, and what happened to it last",
                gives=TagExplanation,
            ),
        ]

    async def explain_transaction(self, request: Request) -> Answer:
        number = int(request.path["transaction_id"])
        told = await look(explain_session, self._reader, self._policy, number)
        if told is None:
            raise Problem(404, f"there is no session {number}")
        return answer(told)

    async def explain_user(self, request: Request) -> Answer:
        """404 for a tag that is in no file, book or note."""
        stated = plain(request.path["id_tag"])
        today = self._clock.now().astimezone(self._policy.zone).date()
        told = await look(explain_tag, self._reader, self._policy, stated, today)
        if told is None:
            raise Problem(404, f"nothing is known of the tag {stated}")
        return answer(told)
