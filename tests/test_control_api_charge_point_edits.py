"""A charge point's row of chargers.csv over the control API: in force at once, in the audit, every other byte kept."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import aiohttp
import pytest
from turned_clock import LIMIT_S, TurnedClock

from ocpp_server.central_system import CentralSystem
from ocpp_server.control_api.application import ControlApi
from ocpp_server.control_api.charge_point_routes import PATH, ChargePointRoutes
from ocpp_server.control_api.charge_points import ChargePoints
from ocpp_server.core.commands import Connect, ReplaceChargers
from ocpp_server.core.records import Admission, NoteKind
from ocpp_server.core.site import Policy
from ocpp_server.core.users import Access, ChargerRow
from ocpp_server.storage.chargers_file import ChargersFile
from ocpp_server.storage.memory_store import MemoryStore
from ocpp_server.storage.table_changes import Figures

FILE = 'charger_id;name;colour;max_kw\r\nA/B;Gate;red;22\r\n\r\nOTHER;"Ş;";;11'.encode()


class Api:
    """A running API on a site with the charge points A/B and NEW."""

    def __init__(self, folder: Path) -> None:
        self.clock = TurnedClock()
        self.store = MemoryStore(Policy(ZoneInfo("Europe/Istanbul")), self.clock.now())
        self.central = CentralSystem(self.store, self.store.load())
        self.csv = folder / "chargers.csv"
        self.chargers_file = ChargersFile({}, self._replace)
        charge_points = ChargePoints(
            self.central, self.clock, self.csv, self.chargers_file,
            is_connected=lambda _: False, change_configuration=self._nobody,
        )  # fmt: skip
        self.api = ControlApi("the-token", ChargePointRoutes(charge_points).routes())
        self.port = 0
        self.etag = ""
        self.session: aiohttp.ClientSession

    async def _replace(self, rows: tuple[ChargerRow, ...], _by_hand: Figures) -> None:
        await self.central.handle(ReplaceChargers(self.clock.now(), rows))

    async def _nobody(self, _charge_point_id: str, _key: str, _value: str) -> str:
        return "offline"

    async def save(self, content: bytes) -> None:
        self.csv.write_bytes(content)
        await self.chargers_file.accept(content)

    async def ask(self, method: str, charge_point_id: str, body: Any = None, if_match: str = "") -> tuple[int, Any]:
        """Status and JSON of the answer."""
        headers = {"Authorization": "Bearer the-token", "X-Requested-By": "Ann"}
        headers |= {"If-Match": if_match} if if_match else {}
        url = f"http://127.0.0.1:{self.port}{PATH}/{quote(charge_point_id, safe='')}"
        async with asyncio.timeout(LIMIT_S), self.session.request(method, url, headers=headers, json=body) as answer:
            self.etag = answer.headers.get("ETag", "")
            return answer.status, json.loads(await answer.read())

    async def edit(self, charge_point_id: str, if_match: str = "", **body: Any) -> tuple[int, Any]:
        return await self.ask("PATCH", charge_point_id, body, if_match)

    def notes(self) -> list[tuple[str, dict[str, str]]]:
        """The audit as the ledger has it."""
        notes = [note for note in self.store.load().notes if note.kind is NoteKind.CHARGE_POINT]
        return [(note.charge_point_id, dict(note.figures)) for note in notes]


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    api = Api(tmp_path)
    committing = asyncio.create_task(api.central.run())
    async with api.api.listening("127.0.0.1", 0) as api.port, aiohttp.ClientSession() as api.session:
        for name in ("A/B", "NEW"):
            await api.central.handle(Connect(name, api.clock.now(), "192.168.1.7", 0, Admission.APPROVED))
        await api.save(FILE)
        yield api
    committing.cancel()
    await asyncio.wait([committing])


async def test_an_edit_is_in_force_in_the_file_and_in_the_audit(api: Api) -> None:
    """Only its cells change; the audit has who, and no text that may name a person."""
    status, answer = await api.edit("A/B", name="Ada's place", max_kw=7.4, access="free", ping=False, note=" x ")

    assert status == 200
    one = answer["charge_point"]
    shown = {"name": "Ada's place", "max_kw": 7.4, "access": "free", "ping": False, "note": "x"}
    assert {column: one[column] for column in shown} == shown
    assert answer["remarks"][0] == "its row in chargers.csv says so now"
    row = api.central.site.chargers["A/B"]
    assert (row.access, row.max_power_w) == (Access.FREE, 7400)
    edited = FILE.replace(b"max_kw", b"max_kw;access;ping;note").replace(b"22", b'"7,4";free;off;x')
    assert api.csv.read_bytes() == edited.replace(b"Gate", b"Ada's place")
    figures = {"max_kw": "22 to 7.4", "access": "blank to free", "ping": "blank to off"}
    assert api.notes() == [("A/B", {"by": "Ann", "columns": "name, max_kw, access, ping, note", **figures})]
    assert (await api.ask("GET", "A/B"))[1] == one


async def test_a_charge_point_without_a_row_gets_one(api: Api) -> None:
    """Whether it is let in is decided elsewhere."""
    status, answer = await api.edit("NEW", brand="Nobody's", configure=False, energy_unit="kwh")

    assert (status, answer["remarks"]) == (200, ["a row for it was added to chargers.csv"])
    assert api.csv.read_bytes().startswith(FILE.replace(b"max_kw", b"max_kw;brand;energy_unit;configure", 1))
    row = api.central.site.chargers["NEW"]
    assert row == ChargerRow("NEW", brand="Nobody's", energy_unit="kWh", configure=False)


@pytest.mark.parametrize("name", [None, "", "  "], ids=["null", "empty", "blank"])
async def test_null_or_a_blank_empties_a_cell(api: Api, name: str | None) -> None:
    """Then what is recognised is in force again."""
    status, answer = await api.edit("A/B", name=name, max_kw=None)

    assert (status, answer["charge_point"]["name"], answer["charge_point"]["max_kw"]) == (200, "", None)
    assert api.csv.read_bytes() == FILE.replace(b"Gate;red;22", b";red;")


async def test_nothing_to_change_writes_nothing(api: Api) -> None:
    """Neither a file nor a note."""
    before = api.csv.stat()
    for body in ({}, {"max_kw": 22, "ping": True}):
        status, answer = await api.edit("A/B", **body)
        assert (status, answer["remarks"]) == (200, ["chargers.csv said so already"])

    assert (api.csv.stat().st_mtime_ns, api.csv.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    assert api.notes() == []


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"energy_unit": "MWh"}, "energy_unit"),
    ({"max_kw": 0}, "max_kw"),
    ({"max_kw": 1e300}, "max_kw"),
    ({"max_kw": "22"}, "max_kw"),
    ({"access": "open"}, "access"),
    ({"ping": "on"}, "ping"),
    ({"name": "two\nlines"}, "name"),
    ({"note": "x" * 1001}, "note"),
]


@pytest.mark.parametrize(("body", "field"), REFUSED, ids=[str(number) for number in range(len(REFUSED))])
async def test_what_would_be_a_bad_row_is_422_with_the_field(api: Api, body: dict[str, Any], field: str) -> None:
    """And the file is as it was."""
    status, problem = await api.edit("A/B", **body)

    assert (status, problem["field"]) == (422, field)
    assert (api.csv.read_bytes(), api.notes()) == (FILE, [])


async def test_who_looked_at_an_older_file_is_told(api: Api) -> None:
    """412; with the ETag of a look, or of the edit before, it is done."""
    await api.ask("GET", "A/B")
    seen = api.etag
    assert (await api.edit("A/B", seen, name="One"))[0] == 200
    after = api.etag

    status, problem = await api.edit("A/B", seen, name="Two")

    assert (status, problem["detail"]) == (412, "chargers.csv was changed since you looked: look again, then decide")
    assert (await api.edit("A/B", after, name="Three"))[0] == 200
    assert api.central.site.chargers["A/B"].name == "Three"


async def test_an_id_that_nobody_knows_gets_no_row(api: Api) -> None:
    """It is most likely mistyped; `approve` is for one that is yet to come."""
    status, problem = await api.edit("NEWW", name="x")

    assert (status, problem["detail"]) == (404, "there is no charge point NEWW: did you mean NEW?")
    assert api.csv.read_bytes() == FILE


async def test_a_file_that_cannot_be_edited_is_left(api: Api) -> None:
    """409 for one that cannot be read or is gone; 503 where nothing can be written."""
    api.csv.write_bytes(b"no header\n")
    assert (await api.edit("A/B", name="x"))[0] == 409
    api.csv.unlink()
    status, problem = await api.edit("A/B", name="x")
    assert (status, "put it back first" in problem["detail"]) == (409, True)
    api.csv.parent.rmdir()
    await api.chargers_file.accept(b"charger_id\n")
    assert (await api.edit("A/B", name="x"))[0] == 503
    api.csv.parent.mkdir()
