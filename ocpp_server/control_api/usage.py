"""What was used by month, and the corrections that people booked."""

from typing import Annotated, Final

import msgspec

from ocpp_server.control_api.ledger_documents import BookingDocument, booking_document
from ocpp_server.control_api.ledger_pages import LedgerPage, answer, look, next_of, wanted
from ocpp_server.control_api.routing import Answer, Request, Route
from ocpp_server.core.period import Month
from ocpp_server.core.records import BookingKind
from ocpp_server.core.users import IdTag, UserTable
from ocpp_server.storage.ledger_reader import LedgerReader

PATH: Final = "/api/v1/usage"
MonthText = Annotated[str, msgspec.Meta(pattern="^[0-9]{4}-(0[1-9]|1[0-2])$", max_length=7)]


class UsageQuery(msgspec.Struct, kw_only=True):
    """Which month, `2025-01`; without it the open one."""

    month: MonthText | None = None


class TagUsage(msgspec.Struct, kw_only=True):
    """What a tag used on its quota in a month. Name and quota are those of the users file now."""

    id_tag: str
    name: str
    account: str
    wh: int
    quota_wh: int | None
    """Of the account. None: unlimited, or not in the users file any more."""
    is_known: bool
    """It stands in the users file."""


class Usage(msgspec.Struct, kw_only=True):
    """By tag. In the open month also those that used nothing yet."""

    month: str
    """Blank: no month was opened yet."""
    is_open: bool
    usage: list[TagUsage]


class UsageMonths(msgspec.Struct, kw_only=True):
    """The newest first."""

    open_month: str | None
    months: list[str]


class AdjustmentsQuery(LedgerPage, kw_only=True):
    """Which corrections; `since` and `until` are about when they were booked."""


class AdjustmentList(msgspec.Struct, kw_only=True):
    """The newest first. The reason ends with who booked it."""

    adjustments: list[BookingDocument]
    next: int | None


class UsageByMonth:
    """The routes of these resources."""

    def __init__(self, reader: LedgerReader) -> None:
        self._reader = reader

    def routes(self) -> list[Route]:
        """For `ControlApi`."""
        return [
            Route("GET", PATH, self.get_usage, "usage", "What was used in a month", gives=Usage, query=UsageQuery),
            Route(
                "GET",
                f"{PATH}/months",
                self.list_usage_months,
                "usage",
                "Months in which something was used",
                gives=UsageMonths,
            ),
            Route(
                "GET",
                "/api/v1/adjustments",
                self.list_adjustments,
                "usage",
                "Corrections that were booked, newest first",
                gives=AdjustmentList,
                query=AdjustmentsQuery,
            ),
        ]

    async def get_usage(self, request: Request) -> Answer:
        return answer(await look(self._usage, request.query.month))

    async def list_usage_months(self, _request: Request) -> Answer:
        _, open_month = await look(self._reader.in_force)
        months = set(await look(self._reader.months)) | ({open_month} if open_month is not None else set())
        return answer(UsageMonths(open_month=open_month, months=sorted(months, reverse=True)))

    async def list_adjustments(self, request: Request) -> Answer:
        found = await look(self._reader.bookings, wanted(request.query), (BookingKind.ADJUSTMENT,))
        return answer(
            AdjustmentList(
                adjustments=[booking_document(booking) for booking in found],
                next=next_of([booking.booking_id for booking in found], request.query),
            )
        )

    def _usage(self, month: str | None) -> Usage:
        table, open_month = self._reader.in_force()
        asked = open_month if month is None else Month(month)
        if asked is None:
            return Usage(month="", is_open=False, usage=[])
        used = self._reader.usage(asked)
        is_open = asked == open_month
        tags = sorted({*used, *(table.users if is_open else ())})
        return Usage(month=asked, is_open=is_open, usage=[_of_tag(tag, used.get(tag, 0), table) for tag in tags])


def _of_tag(tag: IdTag, wh: int, table: UserTable) -> TagUsage:
    user = table.users.get(tag)
    return TagUsage(
        id_tag=tag,
        name="" if user is None else user.full_name,
        account=tag if user is None else user.account,
        wh=wh,
        quota_wh=None if user is None else user.quota,
        is_known=user is not None,
    )
