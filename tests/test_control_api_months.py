"""`control_api.months`: the open month, and a person's word on it (rule 11)."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
import pytest
from turned_clock import LIMIT_S, TurnedClock

from ocpp_server.central_system import CentralSystem
from ocpp_server.control_api.application import ControlApi
from ocpp_server.control_api.months import CONFIRM, PATH, UNDO, Months
from ocpp_server.core.commands import OpenMonth
from ocpp_server.core.period import Month
from ocpp_server.core.site import Policy
from ocpp_server.month_clock import MonthClock
from ocpp_server.storage.memory_store import MemoryStore

TOKEN = "the-token"
WRONG = {"month": "2026-12", "back_to": "2026-11", "reason": "clock was ahead"}


class Api:
    """A running API on a site whose clock shows November 2026."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.clock = TurnedClock()
        store = MemoryStore(Policy(ZoneInfo("Europe/Istanbul")), self.clock.now())
        self.central = CentralSystem(store, store.load())
        self.month_clock = MonthClock(self.central, self.clock)
        self.api = ControlApi(TOKEN, Months(self.central, self.clock, self.month_clock.look).routes())
        self.port = 0
        self._session = session

    async def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {TOKEN}", "X-Requested-By": "Ann"}
        url = f"http://127.0.0.1:{self.port}{path}"
        async with self._session.request(method, url, json=body, headers=headers) as answer:
            return answer.status, await answer.json(content_type=None)

    def figures(self) -> dict[str, str]:
        """Of the last note."""
        return dict(self.central.site.notes[-1].figures)


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    """December is open though it is November."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=LIMIT_S)) as session:
        api = Api(session)
        committing = asyncio.create_task(api.central.run())
        async with api.api.listening("127.0.0.1", 0) as api.port:
            await api.central.handle(OpenMonth(api.clock.now(), Month("2026-12")))
            await api.month_clock.look()
            yield api
        committing.cancel()


async def test_what_is_wrong_and_what_a_person_can_do_is_told(api: Api) -> None:
    """The month before the open one is what the clock shows."""
    status, state = await api.ask("GET", PATH)

    assert (status, state["open_month"], state["clock_month"], state["remedy"]) == (200, "2026-12", "2026-11", "undo")
    assert "no month is opened: 2026-11 is before 2026-12" in state["suspect"]
    assert state["suspect_since"] == "2026-11-20T10:00:00Z"


async def test_an_undo_is_in_force_when_the_answer_comes(api: Api) -> None:
    """With whoever asked, and the clock believed again."""
    status, state = await api.ask("POST", UNDO, WRONG)

    expected = {"open_month": "2026-11", "clock_month": "2026-11", "suspect": None, "suspect_since": None}
    assert (status, state) == (200, expected | {"remedy": "none"})
    assert api.figures() == {"month": "2026-12", "reopened": "2026-11", "reason": "clock was ahead", "by": "Ann"}

    status, problem = await api.ask("POST", UNDO, WRONG)
    assert (status, problem["detail"]) == (409, "2026-11 is open, not 2026-12")


async def test_after_an_undo_the_clock_is_believed_from_there(api: Api) -> None:
    """The same mistake waits for a person from now on."""
    await api.ask("POST", UNDO, WRONG)
    api.clock.jump(timedelta(days=15))
    await api.month_clock.look()

    _, state = await api.ask("GET", PATH)
    assert (state["open_month"], state["clock_month"], state["remedy"]) == ("2026-11", "2026-12", "confirm")

    status, problem = await api.ask("POST", CONFIRM, {"month": "2027-01"})
    assert (status, problem["detail"]) == (409, "the clock shows 2026-12, not 2027-01")
    status, state = await api.ask("POST", CONFIRM, {"month": "2026-12", "by": "Bea"})
    assert (status, state["open_month"], state["suspect"], state["remedy"]) == (200, "2026-12", None, "none")
    assert api.figures()["by"] == "Bea"


async def test_a_time_that_cannot_be_offers_nothing(api: Api) -> None:
    """A clock in 1970 is to be set right."""
    api.clock.jump(timedelta(days=-20_000))

    assert (await api.ask("GET", PATH))[1]["remedy"] == "none"
    assert (await api.ask("POST", UNDO, WRONG | {"back_to": "1972-02"}))[0] == 409


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (UNDO, WRONG | {"reason": " "}),
        (UNDO, WRONG | {"month": "2026-13"}),
        (UNDO, {"month": "2026-12", "reason": "x"}),
        (CONFIRM, {"month": "december"}),
        (CONFIRM, {"month": "2026-12", "reason": "x"}),
    ],
)
async def test_what_says_too_little_is_422_and_changes_nothing(api: Api, path: str, body: dict[str, Any]) -> None:
    """A month is a month, a reason says something, a word more is a mistake."""
    assert (await api.ask("POST", path, body))[0] == 422
    assert api.central.site.open_month == "2026-12"
