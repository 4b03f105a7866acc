"""Users over the control API: who is there and what is left, edits that take effect at once, what a card would get."""

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
from ocpp_server.control_api.authorization import Authorization
from ocpp_server.control_api.users import FILE_PATH, PATH, Users
from ocpp_server.core.commands import Adjust, BootNotification, Connect, ReplaceUsers, StartTransaction
from ocpp_server.core.energy import Wh
from ocpp_server.core.records import NoteKind
from ocpp_server.core.site import Policy
from ocpp_server.core.users import IdTag, UserTable
from ocpp_server.storage.memory_store import MemoryStore
from ocpp_server.storage.table_changes import Figures
from ocpp_server.storage.users_edit import etag_of
from ocpp_server.storage.users_file import UsersFile

TOKEN = "the-token"
HEADER = "id_tag,name,surname,quota_kwh,unlimited"
FILE = f"{HEADER}\nA,Ann,Lee,10,no\nB,Bob,Ray,20,no\nC/1,Cem,Şen,,yes\n"


class Api:
    """A running API on a site with three users."""

    def __init__(self, folder: Path) -> None:
        self.clock = TurnedClock()
        self.store = MemoryStore(Policy(ZoneInfo("Europe/Istanbul"), max_sessions_per_account=1), self.clock.now())
        self.central = CentralSystem(self.store, self.store.load())
        self.site = self.central.site
        self.csv = folder / "users1.csv"
        self.undone: list[str] = []
        self.users_file = UsersFile(
            UserTable(), self.replace_users, settle_s=0.0, report_undone=self.report_undone, shrink_hold_s=60
        )
        routes = Users(self.central, self.clock, self.csv, self.users_file).routes()
        self.api = ControlApi(TOKEN, [*routes, *Authorization(self.central, self.clock).routes()])
        self.port = 0
        self.session: aiohttp.ClientSession
        self.etag = ""

    async def replace_users(self, table: UserTable, _change: tuple[str, ...], _by_hand: Figures) -> None:
        await self.central.handle(ReplaceUsers(self.clock.now(), table))

    async def report_undone(self, id_tags: tuple[IdTag, ...]) -> None:
        self.undone += id_tags

    async def save(self, text: str) -> None:
        """An administrator saves users1.csv, and the watcher sees it."""
        self.csv.write_bytes(text.encode())
        await self.users_file.accept(text.encode())

    async def ask(
        self, method: str, path: str, body: Any = None, if_match: str = "", token: str = TOKEN
    ) -> tuple[int, Any]:
        """Status and JSON of the answer."""
        headers = {"Authorization": f"Bearer {token}", "X-Requested-By": "Ann"}
        if if_match:
            headers["If-Match"] = if_match
        url = f"http://127.0.0.1:{self.port}{path}"
        async with asyncio.timeout(LIMIT_S), self.session.request(method, url, headers=headers, json=body) as answer:
            self.etag = answer.headers.get("ETag", "")
            if answer.status >= 400:
                assert answer.content_type == "application/problem+json"
            return answer.status, json.loads(await answer.read())

    async def edit(self, id_tag: str, if_match: str = "", **body: Any) -> tuple[int, Any]:
        return await self.ask("PATCH", f"{PATH}/{quote(id_tag, safe='')}", body, if_match)

    def notes(self) -> list[tuple[str, str, dict[str, str]]]:
        """The audit as the ledger has it."""
        notes = [note for note in self.store.load().notes if note.kind is NoteKind.USER]
        return [(note.text, note.id_tag, dict(note.figures)) for note in notes]


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    api = Api(tmp_path)
    committing = asyncio.create_task(api.central.run())
    async with api.api.listening("127.0.0.1", 0) as api.port, aiohttp.ClientSession() as api.session:
        await api.save(FILE)
        yield api
    committing.cancel()
    await asyncio.wait([committing])


# --- who is there ----------------------------------------------------------------------------------------------------


async def test_a_user_is_told_with_what_is_left(api: Api) -> None:
    """Energy of the open month, in kWh, and what only the file knows."""
    await api.save(f"{HEADER},email,account\nA,Ann,Lee,10,no,a@b.c,team\nB,Bob,Ray,10,no,,team\n")
    await api.central.handle(Adjust(api.clock.now(), IdTag("A"), Wh(2_500), "x", "y"))
    await api.central.handle(Adjust(api.clock.now(), IdTag("B"), Wh(1_000), "x", "y"))

    assert await api.ask("GET", f"{PATH}/a") == (
        200,
        {
            "id_tag": "A",
            "name": "Ann",
            "surname": "Lee",
            "unlimited": False,
            "quota_kwh": 10.0,
            "account": "team",
            "expiry_date": None,
            "blocked": False,
            "email": "a@b.c",
            "note": "",
            "state": "allowed",
            "month": "2026-11",
            "used_kwh": 2.5,
            "account_used_kwh": 3.5,
            "unreported_kwh": 0.0,
            "remaining_kwh": 6.5,
            "sessions": 0,
        },
    )
    assert api.etag == etag_of(api.csv.read_bytes())


async def test_users_come_in_pages(api: Api) -> None:
    """By id tag, and to the last one."""
    status, first = await api.ask("GET", f"{PATH}?limit=2")
    _, last = await api.ask("GET", f"{PATH}?limit=2&after={first['next']}")

    assert status == 200
    assert ([one["id_tag"] for one in first["users"]], first["next"]) == (["A", "B"], "B")
    assert ([one["id_tag"] for one in last["users"]], last["next"]) == (["C/1"], None)
    assert (await api.ask("GET", f"{PATH}?limit=0"))[0] == 422


async def test_users_are_found_by_state_and_account(api: Api) -> None:
    """What is used up, blocked or expired."""
    await api.save(
        f"{HEADER},blocked,expiry_date,account\nA,a,b,1,no,yes,,\nB,a,b,1,no,,2020-01-01,\nC,a,b,0,no,,,x\nD,a,b,1,no\n"
    )
    found = {}
    for state in ("blocked", "expired", "used up", "allowed"):
        _, answer = await api.ask("GET", f"{PATH}?state={quote(state)}")
        found[state] = [one["id_tag"] for one in answer["users"]]
    _, of_account = await api.ask("GET", f"{PATH}?account=x")

    assert found == {"blocked": ["A"], "expired": ["B"], "used up": ["C"], "allowed": ["D"]}
    assert [one["id_tag"] for one in of_account["users"]] == ["C"]


async def test_who_is_not_there_is_not_found(api: Api) -> None:
    """Also for edits."""
    for method, body in (("GET", None), ("PATCH", {"name": "x"}), ("DELETE", None)):
        assert await api.ask(method, f"{PATH}/X", body) == (
            404,
            {"title": "Not Found", "status": 404, "detail": "there is no user X"},
        )


async def test_nobody_without_the_token_sees_or_edits(api: Api) -> None:
    """Also from this machine."""
    for method, path in (("GET", PATH), ("POST", PATH), ("PATCH", f"{PATH}/A"), ("DELETE", f"{PATH}/A")):
        assert (await api.ask(method, path, {}, token="wrong"))[0] == 401
    assert api.csv.read_text() == FILE


# --- edits -----------------------------------------------------------------------------------------------------------


async def test_a_new_user_may_charge_at_once(api: Api) -> None:
    """And who did it stands in the books."""
    body = {"id_tag": "N", "name": "Nil", "surname": "Ak", "quota_kwh": 7.25, "note": "visitor, June"}
    status, answer = await api.ask("POST", PATH, body)

    assert (status, answer["user"]["quota_kwh"], answer["user"]["note"]) == (201, 7.25, "visitor, June")
    assert answer["remarks"] == []
    assert api.site.users.users[IdTag("N")].quota == 7250
    assert api.csv.read_text().startswith(f"{HEADER},note\nA,Ann,Lee,10,no\n")
    assert api.notes() == [("user added", "N", {"by": "Ann"})]
    assert api.etag == etag_of(api.csv.read_bytes())


async def test_a_change_takes_effect_at_once(api: Api) -> None:
    """Other bytes stay; the books say who and what, and no names."""
    status, answer = await api.edit("a", quota_kwh=15, blocked=True, name="Anna")

    assert (status, answer["user"]["quota_kwh"], answer["user"]["state"]) == (200, 15.0, "blocked")
    assert api.csv.read_text() == FILE.replace("A,Ann,Lee,10,no", "A,Anna,Lee,15,no,TRUE").replace(
        HEADER, f"{HEADER},blocked"
    )
    assert api.site.users.users[IdTag("A")].blocked
    told = {"by": "Ann", "columns": "name, quota_kwh, blocked", "quota_kwh": "10 to 15", "blocked": "blank to TRUE"}
    assert api.notes() == [("user changed", "A", told)]


async def test_a_change_of_nothing_writes_nothing(api: Api) -> None:
    """No editor finds its file changed, and the books stay as they are."""
    inode = api.csv.stat().st_ino

    assert (await api.edit("C/1", unlimited=True, blocked=False))[0] == 200
    assert (await api.edit("C/1"))[0] == 200
    assert (api.csv.stat().st_ino, api.notes()) == (inode, [])


async def test_who_is_removed_charges_no_more_at_once(api: Api) -> None:
    """Also the last ones: a decision is not held like a half-made file."""
    for id_tag in ("A", "C%2F1", "B"):
        assert (await api.ask("DELETE", f"{PATH}/{id_tag}"))[0] == 200

    assert api.csv.read_text() == f"{HEADER}\n"
    assert api.site.users.users == {}
    assert [note[:2] for note in api.notes()] == [("user removed", tag) for tag in ("A", "C/1", "B")]


REFUSED = [
    ({"quota_kwh": -1}, 422, "quota_kwh"),
    ({"quota_kwh": "x"}, 422, "quota_kwh"),
    ({"quota_kwh": None}, 422, "quota_kwh"),
    ({"unlimited": None}, 422, "unlimited"),
    ({"expiry_date": "2026-02-30"}, 422, "expiry_date"),
    ({"name": "two\nlines"}, 422, "name"),
    ({"name": "x" * 201}, 422, "name"),
    ({"id_tag": "Z"}, 422, ""),
]


@pytest.mark.parametrize(("body", "status", "field"), REFUSED)
async def test_what_would_be_no_good_row_is_refused(api: Api, body: Any, status: int, field: str) -> None:
    """With the field; nothing is written."""
    answered, problem = await api.ask("PATCH", f"{PATH}/A", body)

    assert (answered, problem.get("field", "")) == (status, field)
    assert api.csv.read_text() == FILE


async def test_a_new_user_needs_a_tag_of_its_own_and_a_quota(api: Api) -> None:
    """In any case of letters."""
    assert (await api.ask("POST", PATH, {"id_tag": "a", "quota_kwh": 1}))[0] == 409
    assert (await api.ask("POST", PATH, {"id_tag": " ", "quota_kwh": 1}))[0] == 422
    assert (await api.ask("POST", PATH, {"id_tag": "N" * 21, "quota_kwh": 1}))[0] == 422
    status, problem = await api.ask("POST", PATH, {"id_tag": "N"})
    assert (status, problem["field"]) == (422, "quota_kwh")
    assert api.csv.read_text() == FILE


async def test_an_edit_of_what_somebody_else_edited_meanwhile_is_refused(api: Api) -> None:
    """With If-Match, 412; without it only at the very moment."""
    await api.ask("GET", f"{PATH}/A")
    seen = api.etag
    assert (await api.edit("B", if_match=seen, note="x"))[0] == 200

    assert (await api.edit("A", if_match=seen, quota_kwh=1))[0] == 412
    assert (await api.ask("DELETE", f"{PATH}/A", if_match=seen))[0] == 412
    assert (await api.edit("A", if_match=f'"x", {etag_of(api.csv.read_bytes())}', quota_kwh=1))[0] == 200
    assert (await api.edit("A", if_match="*", quota_kwh=2))[0] == 200


async def test_a_file_that_is_broken_or_gone_is_not_edited(api: Api) -> None:
    """It is the administrator's, and its last good table is in force."""
    for content in (b"", b'id_tag,name\n"', b"\x00\x01"):
        api.csv.write_bytes(content)
        status, problem = await api.edit("A", quota_kwh=1)
        assert (status, "users1.csv" in problem["detail"]) == (409, True)
        assert api.csv.read_bytes() == content
    api.csv.unlink()
    assert (await api.edit("A", quota_kwh=1))[0] == 409
    assert (await api.ask("GET", f"{PATH}/A"))[0] == 200


async def test_a_file_that_lost_most_users_is_not_put_in_force_by_an_edit(api: Api) -> None:
    """What the watcher holds back stays held back."""
    api.csv.write_text(f"{HEADER}\nA,Ann,Lee,10,no\n")

    status, problem = await api.edit("A", quota_kwh=1)

    assert (status, len(api.site.users.users)) == (409, 3)
    assert "has lost most of its users" in problem["detail"]


async def test_a_link_is_left_alone(api: Api, tmp_path: Path) -> None:
    """It may lead anywhere."""
    api.csv.rename(tmp_path / "real.csv")
    api.csv.symlink_to(tmp_path / "real.csv")

    assert (await api.edit("A", quota_kwh=1))[0] == 409
    assert (tmp_path / "real.csv").read_text() == FILE


async def test_what_a_person_put_there_is_in_force_without_waiting(api: Api) -> None:
    """Also if most users are gone from it; never another content than the one that is meant."""
    api.csv.write_text(f"{HEADER}\nZ,z,z,1,no\n")

    assert (await api.ask("POST", FILE_PATH, {"etag": '"other"'}))[0] == 409
    assert len(api.site.users.users) == 3
    status, answer = await api.ask("POST", FILE_PATH, {"etag": etag_of(api.csv.read_bytes())})
    assert (status, answer) == (
        200,
        {"users": 1, "change": ["3 users removed: A, B, C/1", "Z added"], "problems": []},
    )
    rows = "A removed: quota_kwh 10; B removed: quota_kwh 20; C/1 removed: unlimited yes; Z added: quota_kwh 1"
    counts = {"added": "1", "changed": "0", "removed": "3"}
    assert api.notes() == [("users loaded", "", {"by": "Ann", "users": "1", **counts, "rows": rows})]
    api.csv.write_text("x")
    assert (await api.ask("POST", FILE_PATH, {"etag": etag_of(b"x")}))[0] == 409


async def test_a_save_that_undoes_an_edit_is_noticed(api: Api) -> None:
    """An editor of text that had read the file before; what the table says otherwise is its right."""
    await api.edit("A", quota_kwh=11)
    await api.edit("B", quota_kwh=21)
    await api.ask("POST", PATH, {"id_tag": "N", "quota_kwh": 1})
    await api.save(FILE.replace("B,Bob,Ray,20", "B,Bob,Ray,22"))

    assert sorted(api.undone) == ["A", "N"]
    assert api.users_file.last_change[0] == "this save undid edits made through the server: A, N"
    await api.save(FILE)
    assert sorted(api.undone) == ["A", "N"]


# --- what a card would get -------------------------------------------------------------------------------------------


async def test_a_card_that_may_charge_is_told_with_its_figures(api: Api) -> None:
    """In Wh; in the spelling of the file."""
    status, answer = await api.ask("POST", "/api/v1/authorize", {"id_tag": "a"})

    assert (status, answer) == (
        200,
        {
            "allowed": True,
            "status": "Accepted",
            "reason": "allowed",
            "authorize_status": "Accepted",
            "id_tag": "A",
            "name": "Ann Lee",
            "account": "A",
            "figures": {"quota_wh": 10_000, "used_wh": 0, "unreported_wh": 0},
        },
    )


async def test_a_card_that_may_not_charge_is_told_why(api: Api) -> None:
    """Unknown, used up, charging already, at a charge point that is not there or not in order; nothing is noted."""
    now = api.clock.now()
    await api.central.handle(Adjust(now, IdTag("A"), Wh(10_000), "x", "y"))
    await api.central.handle(Connect("CP/1", now))
    await api.central.handle(Connect("CP2", now))
    await api.central.handle(BootNotification("CP/1", now))
    await api.central.handle(StartTransaction("CP/1", now, 1, "B", 0, now.isoformat()))
    notes = len(api.site.notes)

    async def told(**body: str) -> tuple[str, str, str]:
        _, answer = await api.ask("POST", "/api/v1/authorize", body)
        return answer["status"], answer["reason"], answer["authorize_status"]

    assert await told(id_tag="X") == ("Invalid", "unknown tag", "Invalid")
    assert await told(id_tag="A", charge_point_id="CP/1") == ("Blocked", "quota is used up", "Blocked")
    assert await told(id_tag="B") == ("ConcurrentTx", "account is charging already", "Accepted")
    assert await told(id_tag="C/1", charge_point_id="CP2") == (
        "Invalid",
        "charge point has never booted here",
        "Invalid",
    )
    assert (await api.ask("POST", "/api/v1/authorize", {"id_tag": "A", "charge_point_id": "X"}))[0] == 404
    assert (await api.ask("POST", "/api/v1/authorize", {"id_tag": " "}))[0] == 422
    assert len(api.site.notes) == notes
