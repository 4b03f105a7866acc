"""`/api/v1/set-aside`: energy that was not booked, and a person's word on it: it did flow, or it never did."""

from typing import Annotated, Final, TypeAlias

import msgspec

from ocpp_server.central_system import CentralSystem
from ocpp_server.clock import Clock
from ocpp_server.control_api.fields import Filter, Meta, Number, Reason, StatedIdTag, Who
from ocpp_server.control_api.ledger_pages import answer, look, next_of
from ocpp_server.control_api.problems import Problem, plain
from ocpp_server.control_api.routing import Answer, Page, Request, Route
from ocpp_server.control_api.set_aside_documents import SetAsideDocument, set_aside_document
from ocpp_server.core.commands import AcceptSetAside, DropSetAside, Refused, Unknown
from ocpp_server.core.energy import EnergyUnit, Wh, parse_number, to_wh
from ocpp_server.core.set_aside import SetAside, SetAsideState
from ocpp_server.core.set_aside_decisions import told
from ocpp_server.storage.ledger_reader import LedgerReader, Wanted

PATH: Final = "/api/v1/set-aside"
_ONE: Final = f"{PATH}/{{number:[0-9]{{1,10}}}}"
_TAG: Final = "books"
_MOST_KWH: Final = 1_000_000
_NUMBER: Final = r"^\s*\+?([0-9]+([.,][0-9]*)?|[.,][0-9]+)\s*$"
MoreKwh: TypeAlias = (
    Annotated[float, Meta(gt=0, le=_MOST_KWH)] | Annotated[str, Meta(min_length=1, max_length=40, pattern=_NUMBER)]
)


class SetAsidePage(Page, kw_only=True):
    """Which of them."""

    state: SetAsideState | None = None
    charge_point: Filter | None = None
    transaction: Number | None = None


class SetAsideList(msgspec.Struct, kw_only=True):
    """The newest first."""

    set_aside: list[SetAsideDocument]
    next: int | None


class WantedAcceptance(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """It did flow. A reading is booked on its session, an orphan on a tag."""

    reason: Reason
    by: Who = ""
    """Blank: who the header X-Requested-By says."""
    id_tag: StatedIdTag | None = None
    """Whose it is: of an orphan, unless the stop named a tag; of a reading no other than its session's."""
    kwh: MoreKwh | None = None
    """How much of an orphan, to the Wh. Of a reading no other amount than its `wh`."""


class WantedDrop(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """It never flowed, or is nobody's."""

    reason: Reason
    by: Who = ""
    """Blank: who the header X-Requested-By says."""


class SetAsideRoutes:
    """The routes of this resource."""

    def __init__(self, reader: LedgerReader, central: CentralSystem, clock: Clock) -> None:
        self._reader = reader
        self._central = central
        self._clock = clock

    def routes(self) -> list[Route]:
        """For `ControlApi`."""
        return [
            Route("GET", PATH, self.list_set_aside, _TAG, "Energy that was set aside, newest first",
                  gives=SetAsideList, query=SetAsidePage, role="administrator"),
            Route("GET", _ONE, self.get_set_aside, _TAG, "One of them", gives=SetAsideDocument,
                  role="administrator"),
            Route("POST", f"{_ONE}/accept", self.accept_set_aside, _TAG, "It did flow: book it",
                  takes=WantedAcceptance, gives=SetAsideDocument, problems=(409,)),
            Route("POST", f"{_ONE}/drop", self.drop_set_aside, _TAG, "It never flowed: book nothing",
                  takes=WantedDrop, gives=SetAsideDocument, problems=(409,)),
        ]  # fmt: skip

    async def list_set_aside(self, request: Request) -> Answer:
        query: SetAsidePage = request.query
        charge_point_id = None if query.charge_point is None else plain(query.charge_point)
        wanted = Wanted(charge_point_id, None, query.transaction, before=query.before, limit=query.limit)
        found = await look(self._reader.set_aside, wanted, query.state)
        documents = [set_aside_document(one) for _, one in found]
        return answer(SetAsideList(set_aside=documents, next=next_of([number for number, _ in found], query)))

    async def get_set_aside(self, request: Request) -> Answer:
        return answer(set_aside_document(await self._found(int(request.path["number"]))))

    async def accept_set_aside(self, request: Request) -> Answer:
        """404: there is none. 409: it is decided already (by whom and when), or nothing of it is missing any more.

        422: of an orphan nobody said how much, or whose.
        """
        wanted: WantedAcceptance = request.body
        command = AcceptSetAside(
            self._clock.now(),
            int(request.path["number"]),
            _who(wanted.by, request),
            plain(wanted.reason).strip(),
            None if wanted.id_tag is None else plain(wanted.id_tag).strip(),
            _wh(wanted.kwh),
        )
        return await self._decide(command)

    async def drop_set_aside(self, request: Request) -> Answer:
        """404: there is none. 409: it is decided already, by whom and when."""
        wanted: WantedDrop = request.body
        who, reason = _who(wanted.by, request), plain(wanted.reason).strip()
        return await self._decide(DropSetAside(self._clock.now(), int(request.path["number"]), who, reason))

    async def _decide(self, command: AcceptSetAside | DropSetAside) -> Answer:
        reply = await self._central.handle(command)
        if isinstance(reply, Unknown):
            raise Problem(409, told(await self._found(command.number)))
        if isinstance(reply, Refused):
            field = {"field": reply.field} if reply.field else {}
            raise Problem(422 if reply.field else 409, reply.text, **field)
        return answer(set_aside_document(await self._found(command.number)))

    async def _found(self, number: int) -> SetAside:
        """Also one that was decided long ago, or withdrawn. Raises Problem 404."""
        found = await look(self._reader.set_aside, Wanted(before=number + 1, limit=1))
        if not found or found[0][0] != number:
            raise Problem(404, f"there is no energy of number {number} that was set aside")
        return found[0][1]


def _wh(kwh: float | str | None) -> Wh | None:
    """Raises Problem 422 for what is less than a Wh, or too much."""
    number = None if kwh is None else parse_number(kwh)
    if kwh is None:
        return None
    if number is None or number > _MOST_KWH or to_wh(number, EnergyUnit.KWH) <= 0:
        text = f"kwh: {str(kwh)[:40]!r} is not a number of kWh above 0, up to {_MOST_KWH:,}"
        raise Problem(422, text, field="kwh")
    return to_wh(number, EnergyUnit.KWH)


def _who(stated: str, request: Request) -> str:
    return plain(stated).strip() or request.by
