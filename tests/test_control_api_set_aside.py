"""`/api/v1/set-aside` over real HTTP, on a real ledger: what waits, and what a person makes of it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
import pytest
from turned_clock import LIMIT_S, TurnedClock

from ocpp_server.central_system import CentralSystem
from ocpp_server.control_api.application import ControlApi
from ocpp_server.control_api.notes import Notes
from ocpp_server.control_api.set_aside_routes import PATH, SetAsideRoutes
from ocpp_server.core import changes as ch
from ocpp_server.core.commands import BootNotification, Connect, OpenMonth, StopTransaction
from ocpp_server.core.energy import Wh
from ocpp_server.core.period import month_of
from ocpp_server.core.set_aside import SetAside, SetAsideKind, SetAsideState
from ocpp_server.core.site import Policy, apply
from ocpp_server.storage.ledger import Ledger
from ocpp_server.storage.ledger_reader import LedgerReader
from ocpp_server.storage.verify import verify_copy

POLICY = Policy(ZoneInfo("UTC"))
TOKEN = "the-token"
BODY = {"reason": "seen on the meter", "by": "Ann"}


class Api:
    """An API on a ledger with an orphan (1), a reading of a session that is forgotten (2) and a withdrawn one (3)."""

    def __init__(self, folder: Path) -> None:
        self.clock = TurnedClock()
        self.ledger = Ledger(folder / "ledger.db", POLICY, self.clock.now(), reserve_bytes=0)
        self.ledger.open()
        self.central = CentralSystem(self.ledger, self.ledger.load())
        self.reader = LedgerReader(self.ledger.path)
        routes = SetAsideRoutes(self.reader, self.central, self.clock).routes()
        self.api = ControlApi(TOKEN, [*routes, *Notes(self.reader).routes()])
        self.port = 0
        self.session: aiohttp.ClientSession

    async def fill(self) -> None:
        now = self.clock.now()
        for command in (
            OpenMonth(now, month_of(now, POLICY.zone)),
            Connect("CP/1", now),
            BootNotification("CP/1", now),
            StopTransaction("CP/1", now, 77, 9_000, now.isoformat(), ""),
        ):
            await self.central.handle(command)
        one = SetAside(2, SetAsideKind.READING, now, now, "CP2", 1, 5, "RFID001", "too much", wh=Wh(60_000))
        for change in (
            ch.PutSetAside(one),
            ch.PutSetAside(replace(one, number=3, state=SetAsideState.WITHDRAWN, decision_reason="it never was there")),
        ):
            apply(self.central.site, change)
            await self.ledger.commit([change])

    async def ask(self, method: str, path: str = "", **body: Any) -> tuple[int, Any]:
        """Status and JSON of the answer."""
        url = f"http://127.0.0.1:{self.port}{path if path.startswith('/api') else PATH + path}"
        headers = {"Authorization": f"Bearer {TOKEN}", "X-Requested-By": "a script"}
        asked = {"json": body} if method == "POST" else {}
        async with asyncio.timeout(LIMIT_S), self.session.request(method, url, headers=headers, **asked) as answer:
            return answer.status, await answer.json(content_type=None)

    async def numbers(self, query: str = "") -> tuple[list[int], int | None]:
        status, told = await self.ask("GET", query)
        assert status == 200
        return [one["number"] for one in told["set_aside"]], told["next"]


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    api = Api(tmp_path)
    committing = asyncio.create_task(api.central.run())
    await api.fill()
    async with api.api.listening("127.0.0.1", 0) as api.port, aiohttp.ClientSession() as api.session:
        yield api
    committing.cancel()
    await asyncio.wait([committing])
    api.ledger.close()
    assert verify_copy(api.ledger.path) == []


async def test_they_are_listed_newest_first(api: Api) -> None:
    """By state, charge point and session, page by page."""
    assert await api.numbers() == ([3, 2, 1], None)
    assert await api.numbers("?state=open") == ([2, 1], None)
    assert await api.numbers("?charge_point=CP%2F1") == ([1], None)
    assert await api.numbers("?transaction=5&state=withdrawn") == ([3], None)
    assert await api.numbers("?limit=2") == ([3, 2], 2)
    assert await api.numbers("?limit=2&before=2") == ([1], None)


@pytest.mark.parametrize("query", ["?state=lost", "?limit=0", "?before=-1", "?transaction=x"])
async def test_a_filter_that_is_none_is_422(api: Api, query: str) -> None:
    """The problem names the field."""
    status, problem = await api.ask("GET", query)

    assert (status, f"?{problem['field']}=") == (422, query[: query.index("=") + 1])


async def test_one_is_shown_with_its_figures(api: Api) -> None:
    """All that a person needs to decide."""
    status, orphan = await api.ask("GET", "/1")
    _, reading = await api.ask("GET", "/2")

    assert (status, orphan["kind"], orphan["state"], orphan["transaction_id"]) == (200, "orphan", "open", 77)
    assert (orphan["wh"], orphan["register_after_wh"], orphan["figures"]["meter_stop"]) == (None, 9_000, "9000")
    assert (reading["kind"], reading["wh"], reading["transaction_id"]) == ("reading", 60_000, 5)


async def test_an_orphan_is_accepted_once(api: Api) -> None:
    """It says how much and whose; a second time is 409, by whom and when it was decided."""
    accepted = await api.ask("POST", "/1/accept", **BODY, kwh="7,5", id_tag="RFID001")
    again = await api.ask("POST", "/1/accept", **BODY, kwh=7.5, id_tag="RFID001")
    dropped = await api.ask("POST", "/1/drop", **BODY)

    assert (accepted[0], accepted[1]["state"], accepted[1]["booked_wh"]) == (200, "accepted", 7_500)
    assert again[0] == dropped[0] == 409
    assert again[1]["detail"].startswith("number 1 was accepted by Ann at ")
    assert again[1]["detail"].endswith(": seen on the meter")
    assert list(api.central.site.usage.values()) == [7_500]
    assert (await api.ask("GET", "/1"))[1] == accepted[1]


async def test_who_did_what_is_in_the_audit(api: Api) -> None:
    """Where the body does not say who, the header does."""
    await api.ask("POST", "/2/accept", reason="seen")
    await api.ask("POST", "/1/drop", reason="nobody's", by="Bob")
    _, told = await api.ask("GET", "/api/v1/audit")

    deeds = [(deed["by"], deed["what"], deed["figures"]) for deed in told["audit"]]
    assert deeds == [
        ("Bob", "dropped: nobody's", {"number": "1", "wh": "0"}),
        ("a script", "accepted: seen", {"number": "2", "wh": "60000"}),
    ]
    assert api.central.site.delivered == {"CP2": 60_000}


UNFIT: dict[str, tuple[str, dict[str, Any], str]] = {
    "no reason": ("/1/drop", {"by": "Ann"}, ""),
    "a blank reason": ("/1/drop", {"reason": " "}, "reason"),
    "no kWh for an orphan": ("/1/accept", {"reason": "x", "id_tag": "RFID001"}, "kwh"),
    "no tag for an orphan": ("/1/accept", {"reason": "x", "kwh": 1}, "id_tag"),
    "kWh that are none": ("/1/accept", {"reason": "x", "kwh": "much", "id_tag": "RFID001"}, "kwh"),
    "no kWh at all": ("/1/accept", {"reason": "x", "kwh": 0, "id_tag": "RFID001"}, "kwh"),
    "less than a Wh": ("/1/accept", {"reason": "x", "kwh": 0.0001, "id_tag": "RFID001"}, "kwh"),
    "less than a Wh in text": ("/1/accept", {"reason": "x", "kwh": "0.0001", "id_tag": "RFID001"}, "kwh"),
    "too many kWh in text": ("/1/accept", {"reason": "x", "kwh": "1000001", "id_tag": "RFID001"}, "kwh"),
    "another amount of a reading": ("/2/accept", {"reason": "x", "kwh": 1}, "kwh"),
    "another tag of a reading": ("/2/accept", {"reason": "x", "id_tag": "RFID002"}, "id_tag"),
    "a word that is none": ("/2/drop", {"reason": "x", "why": "y"}, ""),
}


@pytest.mark.parametrize(("path", "body", "field"), UNFIT.values(), ids=UNFIT.keys())
async def test_what_does_not_fit_is_422_and_changes_nothing(
    api: Api, path: str, body: dict[str, Any], field: str
) -> None:
    """The problem names the field where it is one."""
    status, problem = await api.ask("POST", path, **body)

    assert (status, problem.get("field", "")) == (422, field)
    assert sorted(api.central.site.open_set_aside) == [1, 2]


@pytest.mark.parametrize("deed", ["accept", "drop"])
async def test_what_is_not_there_is_404_and_what_was_withdrawn_is_409(api: Api, deed: str) -> None:
    """The server's own reason is told."""
    unknown = await api.ask("POST", f"/99/{deed}", **BODY)
    withdrawn = await api.ask("POST", f"/3/{deed}", **BODY)

    assert (unknown[0], withdrawn[0]) == (404, 409)
    assert withdrawn[1]["detail"] == "number 3 was withdrawn: it never was there"
    assert (await api.ask("GET", "/99"))[0] == 404


async def test_a_decision_that_is_no_longer_in_memory_is_told_from_the_ledger(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An old number that is decided after 1,000 newer ones: answered, booked once, and who comes second is told."""
    monkeypatch.setattr("ocpp_server.core.site.MOST_DECIDED_SET_ASIDE", 0)
    accepted = await api.ask("POST", "/2/accept", **BODY)
    again = await api.ask("POST", "/2/accept", **BODY)

    assert api.central.site.decided_set_aside == {}
    assert (accepted[0], accepted[1]["booked_wh"], again[0]) == (200, 60_000, 409)
    assert again[1]["detail"].startswith("number 2 was accepted by Ann at ")


async def test_two_people_who_decide_at_once_book_once(api: Api) -> None:
    """One writer: the second is told of the first."""
    answers = await asyncio.gather(*(api.ask("POST", "/2/accept", **BODY) for _ in range(8)))

    assert sorted(status for status, _ in answers) == [200, *[409] * 7]
    assert list(api.central.site.usage.values()) == [60_000]
