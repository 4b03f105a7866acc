"""Charge points over the control API: who is there, letting in, shutting out, keys (T1, T7, T20)."""

import asyncio
import gc
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import aiohttp
import pytest
from canaries import CANARY_KEY
from turned_clock import LIMIT_S, TurnedClock

from ocpp_server.authorization_key import is_key
from ocpp_server.central_system import CentralSystem
from ocpp_server.control_api.application import ControlApi
from ocpp_server.control_api.charge_point_routes import PATH, ChargePointRoutes
from ocpp_server.control_api.charge_points import ChargePoints
from ocpp_server.core.admission import admission_of
from ocpp_server.core.commands import (
    BootNotification,
    Connect,
    LockChargePoint,
    ReplaceChargers,
    StartTransaction,
    StopTransaction,
)
from ocpp_server.core.records import Admission, ChargePoint
from ocpp_server.core.site import Policy
from ocpp_server.core.users import ChargerRow
from ocpp_server.storage.chargers_csv import COLUMNS
from ocpp_server.storage.chargers_file import ChargersFile
from ocpp_server.storage.memory_store import MemoryStore
from ocpp_server.storage.table_changes import Figures

TOKEN = "the-token"
HEADER = ",".join(COLUMNS) + "\n"
KEY = CANARY_KEY


class Api:
    """A running API on a site, and a charge point that answers ChangeConfiguration."""

    def __init__(self, folder: Path) -> None:
        self.clock = TurnedClock()
        self.store = MemoryStore(Policy(ZoneInfo("Europe/Istanbul")), self.clock.now())
        self.central = CentralSystem(self.store, self.store.load())
        self.site = self.central.site
        self.csv = folder / "chargers.csv"
        self.chargers_file = ChargersFile({}, self.replace_chargers)
        self.connected: set[str] = set()
        self.sent: list[tuple[str, str, str]] = []
        self.status = "Accepted"
        self.is_asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.charge_points = ChargePoints(
            self.central,
            self.clock,
            self.csv,
            self.chargers_file,
            is_connected=self.connected.__contains__,
            change_configuration=self.change_configuration,
        )
        self.api = ControlApi(TOKEN, ChargePointRoutes(self.charge_points).routes())
        self.port = 0
        self.session: aiohttp.ClientSession

    async def replace_chargers(self, rows: tuple[ChargerRow, ...], _by_hand: Figures) -> None:
        await self.central.handle(ReplaceChargers(self.clock.now(), rows))

    async def change_configuration(self, charge_point_id: str, key: str, value: str) -> str:
        self.sent.append((charge_point_id, key, value))
        self.is_asked.set()
        await self.may_answer.wait()
        return self.status

    async def save(self, text: str) -> None:
        """An administrator saves chargers.csv, and it is in force."""
        self.csv.write_bytes(text.encode())
        await self.chargers_file.accept(text.encode())

    async def connect(self, charge_point_id: str, admission: Admission = Admission.APPROVED) -> None:
        now = self.clock.now()
        await self.central.handle(Connect(charge_point_id, now, "192.168.1.7", 0, admission))
        await self.central.handle(BootNotification(charge_point_id, now, "Acme", "One"))
        self.connected.add(charge_point_id)

    async def session_on(self, charge_point_id: str) -> int:
        now = self.clock.now()
        await self.central.handle(StartTransaction(charge_point_id, now, 1, "RFID001", 0, now.isoformat()))
        return max(self.site.open_transactions)

    async def ask(self, method: str, path: str, token: str = TOKEN, **body: Any) -> tuple[int, Any]:
        """Status and JSON of the answer."""
        headers = {"Authorization": f"Bearer {token}", "X-Requested-By": "Ann"}
        url = f"http://127.0.0.1:{self.port}{path}"
        async with asyncio.timeout(LIMIT_S), self.session.request(method, url, headers=headers, **body) as answer:
            if answer.status >= 400:
                assert answer.content_type == "application/problem+json"
            return answer.status, json.loads(await answer.read())

    async def do(self, deed: str, charge_point_id: str, body: Any = None) -> tuple[int, Any]:
        return await self.ask("POST", f"{PATH}/{quote(charge_point_id, safe='')}/{deed}", json=body or {})

    async def done(self, deed: str, charge_point_id: str, **body: Any) -> tuple[dict[str, Any], list[str]]:
        """What the charge point is after the deed, and the remarks."""
        status, answer = await self.do(deed, charge_point_id, body)
        assert status == 200, answer
        return answer.get("charge_point", {}), answer["remarks"]

    def known(self, charge_point_id: str) -> ChargePoint:
        """As the ledger has it."""
        return self.store.load().charge_points[charge_point_id]


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    api = Api(tmp_path)
    committing = asyncio.create_task(api.central.run())
    async with api.api.listening("127.0.0.1", 0) as api.port, aiohttp.ClientSession() as api.session:
        yield api
    committing.cancel()
    await asyncio.wait([committing])


# --- who is there ----------------------------------------------------------------------------------------------------


async def test_those_that_wait_come_first(api: Api) -> None:
    """Then by id; also those that only chargers.csv decides about."""
    await api.save(f"{HEADER}OLD,,,,,,,yes,,\nPLAIN,,,,,,,,,\n")
    await api.connect("B")
    await api.connect("A")
    await api.connect("NEW", Admission.PENDING)
    await api.central.handle(LockChargePoint(api.clock.now(), "AA", "Ann"))

    status, answer = await api.ask("GET", PATH)

    assert status == 200
    assert [(one["id"], one["admission"]) for one in answer["charge_points"]] == [
        ("NEW", "pending"),
        ("A", "approved"),
        ("B", "approved"),
        ("OLD", "approved"),
        ("AA", "locked"),
    ]


async def test_one_is_told_with_all_that_matters_and_no_hash(api: Api) -> None:
    """Times are UTC."""
    await api.connect("A/B")
    await api.done("password", "A/B", password=KEY)

    status, one = await api.ask("GET", f"{PATH}/A%2FB")

    assert status == 200
    assert one == {
        "id": "A/B",
        "name": "",
        "brand": "",
        "energy_unit": None,
        "max_kw": None,
        "access": "quota",
        "ping": True,
        "configure": True,
        "note": "",
        "admission": "approved",
        "connected": True,
        "security_profile": 0,
        "min_security_profile": 1,
        "has_key": True,
        "address": "192.168.1.7",
        "vendor": "Acme",
        "model": "One",
        "first_seen": "2026-11-20T10:00:00Z",
        "last_seen": "2026-11-20T10:00:00Z",
        "sessions": 0,
    }


async def test_an_id_that_nobody_knows_is_404_with_the_one_that_was_meant(api: Api) -> None:
    """So a script does not go on with a mistyped one."""
    await api.connect("LIVOLTEK_01")

    for method, path in (("GET", ""), ("POST", "/forget")):
        status, problem = await api.ask(method, f"{PATH}/LIVOLTEK_1{path}")
        assert (status, problem["detail"]) == (
            404,
            "there is no charge point LIVOLTEK_1: did you mean LIVOLTEK_01?",
        )
    assert (await api.do("password", "X", {"remove": True}))[0] == 404


@pytest.mark.parametrize("name", ["a b", "a/b/c/d", "a/..", "x" * 49, "caf\u00e9", "a\nb", "%"])
@pytest.mark.parametrize("deed", ["approve", "lock", "forget", "password"])
async def test_what_is_no_id_is_422(api: Api, name: str, deed: str) -> None:
    """The alphabet of the addresses (T15): nothing else becomes known, or a row of a file."""
    status, problem = await api.do(deed, name)

    assert (status, problem["detail"].startswith("charge point id ")) == (422, True)
    assert not api.site.charge_points
    assert not api.csv.exists()


@pytest.mark.parametrize(("method", "path"), [("GET", PATH), ("GET", f"{PATH}/A"), ("POST", f"{PATH}/A/approve")])
async def test_everything_needs_the_token(api: Api, method: str, path: str) -> None:
    """Also to look (T20)."""
    assert (await api.ask(method, path, token="wrong"))[0] == 401
    assert not api.site.charge_points


BAD_BODIES = {
    "approve": [
        {"min_profile": 4},
        {"min_profile": -1},
        {"min_profile": True},
        {"min_profile": "1"},
        {"min": 1},
        [],
        7,
    ],
    "lock": [{"password": "x"}, []],
    "forget": [{"force": True}],
    "password": [
        {"password": 7},
        {"password": "short"},
        {"password": "x" * 65},
        {"password": "ş" * 20},
        {"password": "with a line\nbreak in it"},
        {"send": 1},
        {"remove": "yes"},
        {"remove": True, "password": KEY},
        {"remove": True, "send": True},
        {"pasword": KEY},
    ],
}


@pytest.mark.parametrize(("deed", "body"), [(deed, body) for deed, bodies in BAD_BODIES.items() for body in bodies])
async def test_a_body_that_is_not_understood_is_422(api: Api, deed: str, body: Any) -> None:
    """A misspelt member must not be taken for the default; and a key is never in the answer."""
    await api.connect("A")
    before = api.known("A")
    status, problem = await api.ask("POST", f"{PATH}/A/{deed}", json=body)

    assert status == 422
    assert "line" not in problem["detail"]
    assert api.known("A") == before


async def test_a_body_may_be_left_out_and_must_be_json(api: Api) -> None:
    """As curl sends it."""
    assert (await api.ask("POST", f"{PATH}/A/approve"))[0] == 200
    broken = aiohttp.BytesPayload(b"{", content_type="application/json")
    assert (await api.ask("POST", f"{PATH}/A/approve", data=broken))[0] == 400


# --- approve ---------------------------------------------------------------------------------------------------------


async def test_approving_lets_in_and_adds_a_row_for_people(api: Api) -> None:
    """The row says when; whether it is approved is the ledger's business."""
    await api.connect("A/B", Admission.PENDING)

    one, remarks = await api.done("approve", "A/B")

    assert (one["admission"], remarks) == ("approved", ["a row for it was added to chargers.csv"])
    assert api.known("A/B").admission is Admission.APPROVED
    assert api.csv.read_text() == f"{HEADER}A/B,,,,,,,,approved 2026-11-20,\n"
    assert api.csv.stat().st_mode & 0o777 == 0o640
    assert api.site.chargers["A/B"].approved is None


async def test_approving_keeps_the_administrators_file_and_its_mode(api: Api) -> None:
    """Every byte of it, and it is in force at once."""
    before = "charger_id;Farbe;note\r\nX;rot;ö\r\n"
    await api.save(before)
    api.csv.chmod(0o660)

    await api.done("approve", "A")
    await api.done("approve", "A")

    assert api.csv.read_bytes().decode() == before + "A;;approved 2026-11-20\r\n"
    assert api.csv.stat().st_mode & 0o777 == 0o660


async def test_a_row_that_says_no_is_turned(api: Api) -> None:
    """Else the approval had no effect."""
    await api.save("charger_id,approved\nA,no\n")
    await api.connect("A")

    one, remarks = await api.done("approve", "A")

    assert (one["admission"], remarks) == ("approved", ["its row in chargers.csv says so now"])
    assert api.csv.read_text() == "charger_id,approved\nA,TRUE\n"


async def test_an_unknown_one_becomes_known_and_the_answer_says_so(api: Api) -> None:
    """A typing error must be seen."""
    await api.connect("LIVOLTEK_01", Admission.PENDING)

    _, remarks = await api.done("approve", "LIVOLTEK_1", min_profile=2)

    assert remarks[0] == (
        "LIVOLTEK_1 was not known here until now; did you mean LIVOLTEK_01 (pending)? Then forget this one"
    )
    assert remarks[2] == "it must prove security profile 2, and it has no key yet: set a password"
    assert api.known("LIVOLTEK_1").min_security_profile == 2


UNEDITABLE = {
    "unreadable": (b"no header\n", "column charger_id is missing"),
    "half-written": ("charger_id,name\nB,ğş".encode()[:-1], "half-written"),
}


@pytest.mark.parametrize(("content", "reason"), UNEDITABLE.values(), ids=UNEDITABLE.keys())
async def test_a_file_that_cannot_be_read_is_left(api: Api, content: bytes, reason: str) -> None:
    """The approval counts all the same, and the answer says what was not done."""
    api.csv.write_bytes(content)

    one, remarks = await api.done("approve", "A")

    assert one["admission"] == "approved"
    assert remarks[1].startswith("chargers.csv was not changed: ")
    assert reason in remarks[1]
    assert api.csv.read_bytes() == content


async def test_a_link_is_left(api: Api, tmp_path: Path) -> None:
    """Replacing it would leave the file it leads to behind (T23)."""
    (tmp_path / "elsewhere.csv").write_text(HEADER)
    api.csv.symlink_to(tmp_path / "elsewhere.csv")

    _, remarks = await api.done("approve", "A")

    assert remarks[1] == "chargers.csv was not changed: chargers.csv is a link or no file: edit it by hand"
    assert api.csv.is_symlink()


async def test_a_file_of_somebody_else_is_left(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replaced it would be ours, and its owner could not save any more."""
    await api.save(HEADER)
    monkeypatch.setattr(os, "geteuid", lambda: 4711)

    _, remarks = await api.done("approve", "A")

    assert remarks[1] == "chargers.csv was not changed: chargers.csv belongs to another user: edit it by hand"
    assert api.csv.read_text() == HEADER


async def test_a_file_that_is_lost_is_not_begun_anew_while_its_rows_are_in_force(api: Api) -> None:
    """A new one would open the charge points that the lost one closed."""
    await api.save("charger_id,access,approved\nB,closed,yes\n")
    api.csv.unlink()

    _, remarks = await api.done("approve", "A")
    _, of_lock = await api.done("lock", "B")

    assert remarks[1].startswith("chargers.csv was not changed: chargers.csv is missing or empty")
    assert of_lock[-1] == "this has no effect yet: a row of chargers.csv says something else"
    assert not api.csv.exists()


# --- lock and forget -------------------------------------------------------------------------------------------------


async def test_a_lock_turns_a_row_that_says_yes(api: Api) -> None:
    """The file goes before the ledger."""
    await api.save("charger_id,approved\r\nA,evet\r\n")

    one, remarks = await api.done("lock", "A")

    assert (one["admission"], remarks) == ("locked", ["its row in chargers.csv says so now"])
    assert api.csv.read_bytes() == b"charger_id,approved\r\nA,FALSE\r\n"
    assert admission_of(api.site, "A") is Admission.LOCKED


async def test_a_lock_tells_which_sessions_it_cuts_off(api: Api) -> None:
    """Nobody can report their energy until the charge point is let in again."""
    await api.connect("A")
    number = await api.session_on("A")

    _, remarks = await api.done("lock", "A")

    assert [remark.partition(":")[0] for remark in remarks] == [f"session {number} runs on connector 1"]
    assert not api.csv.exists()


async def test_forgetting_waits_for_the_end_of_a_session(api: Api) -> None:
    """409, and nothing is changed; afterwards its key goes with it."""
    await api.connect("A")
    number = await api.session_on("A")
    status, problem = await api.do("forget", "A")
    assert (status, problem["detail"]) == (409, "a session runs on A: stop it first")
    assert "A" in api.site.charge_points

    now = api.clock.now()
    await api.central.handle(StopTransaction("A", now, number, 0, now.isoformat()))

    assert await api.do("forget", "A") == (200, {"id": "A", "remarks": []})
    assert "A" not in api.store.load().charge_points


@pytest.mark.parametrize(("word", "becomes"), [("yes", "let in"), ("no", "refused")])
async def test_forgetting_tells_of_a_row_that_still_decides(api: Api, word: str, becomes: str) -> None:
    """Also of one that never came."""
    await api.save(f"charger_id,approved\nA,{word}\nB,\n")
    await api.connect("B")

    _, remarks = await api.done("forget", "A")

    assert remarks == [f"chargers.csv still has a row that decides about it: it will be {becomes} when it comes again"]
    assert (await api.done("forget", "B"))[1] == []


# --- keys ------------------------------------------------------------------------------------------------------------


async def test_a_key_that_is_made_is_told_once_and_kept_as_a_hash(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    """40 hex digits; neither in the ledger, the notes nor the log (A01.FR.09)."""
    caplog.set_level("DEBUG")
    await api.connect("A")

    status, answer = await api.do("password", "A")
    key = answer["password"]

    assert (status, len(bytes.fromhex(key))) == (200, 20)
    known = api.known("A")
    assert is_key(key, known.key_hash)
    assert key not in repr(api.site)
    assert key not in caplog.text
    assert key not in json.dumps(await api.ask("GET", f"{PATH}/A"))


async def test_a_key_of_ones_own_is_not_repeated(api: Api) -> None:
    """Who gave it knows it."""
    status, answer = await api.do("password", "A", {"password": KEY})

    assert (status, "password" in answer, KEY in json.dumps(answer)) == (200, False, False)
    assert answer["remarks"][0] == "A was not known here until now"
    assert is_key(KEY, api.known("A").key_hash)


async def test_a_key_lets_nobody_in_who_waits(api: Api) -> None:
    """That is another decision, and the answer says so."""
    await api.connect("A", Admission.PENDING)

    one, remarks = await api.done("password", "A", password=KEY)

    assert (one["admission"], remarks[-1]) == ("pending", "it is not approved yet")


async def test_a_key_is_taken_away(api: Api) -> None:
    """With what it had proved."""
    await api.done("password", "A", password=KEY)

    one, _ = await api.done("password", "A", remove=True)

    assert (one["has_key"], one["min_security_profile"]) == (False, 0)


@pytest.mark.parametrize("status", ["Accepted", "RebootRequired"])
async def test_a_key_that_was_sent_counts_once_the_charge_point_has_it(api: Api, status: str) -> None:
    """As hex digits (A01.FR.03); before its answer nothing is stored."""
    await api.connect("A")
    api.status = status
    api.may_answer.clear()
    asking = asyncio.create_task(api.do("password", "A", {"send": True}))
    await asyncio.wait_for(api.is_asked.wait(), LIMIT_S)
    assert api.known("A").key_hash == ""
    api.may_answer.set()

    code, answer = await asking
    ((_, key, value),) = api.sent

    assert (code, key, value) == (200, "AuthorizationKey", answer["password"])
    assert is_key(value, api.known("A").key_hash)
    assert ("restart" in answer["remarks"][-1]) == (status == "RebootRequired")


async def test_a_password_in_letters_is_sent_as_hex_digits(api: Api) -> None:
    """What the charge point makes of it are the same bytes."""
    await api.connect("A")
    await api.done("password", "A", password="correct horse battery", send=True)

    assert bytes.fromhex(api.sent[0][2]) == b"correct horse battery"
    assert is_key(b"correct horse battery", api.known("A").key_hash)


@pytest.mark.parametrize("status", ["Rejected", "NotSupported", "error: InternalError", "offline"])
async def test_a_key_that_was_refused_is_not_kept(api: Api, status: str) -> None:
    """The old one counts (A01.FR.04); its refusal is told without the key."""
    await api.done("password", "A", password=KEY)
    api.connected.add("A")
    api.status = status

    code, problem = await api.do("password", "A", {"send": True})

    assert (code, "password" in problem) == (409, False)
    assert status in problem["detail"]
    assert is_key(KEY, api.known("A").key_hash)


@pytest.mark.parametrize("status", ["no answer", "error: malformed answer", "answered", "accepted"])
async def test_a_key_that_may_have_been_taken_is_told(api: Api, status: str) -> None:
    """Not kept; but if the charge point has it, nobody else would know it."""
    await api.connect("A")
    api.status = status

    code, problem = await api.do("password", "A", {"send": True})
    of_own, own_problem = await api.do("password", "A", {"send": True, "password": KEY})

    assert (code, of_own, problem["password"], "password" in own_problem) == (504, 504, api.sent[0][2], False)
    assert api.known("A").key_hash == ""


async def test_nothing_is_sent_to_one_that_is_not_connected(api: Api) -> None:
    """409; the key is not set either."""
    code, problem = await api.do("password", "A", {"send": True})

    assert (code, problem["detail"], api.sent) == (409, "A is not connected: nothing was sent", [])
    assert not api.site.charge_points


async def test_a_key_that_was_taken_is_kept_when_the_asker_has_gone(api: Api) -> None:
    """Else the charge point would be shut out by its own new key. So it goes with a stop of the API as well."""
    await api.connect("A")
    api.may_answer.clear()
    asking = asyncio.create_task(api.charge_points.set_password("A", "Ann", is_sent=True))
    await asyncio.wait_for(api.is_asked.wait(), LIMIT_S)
    asking.cancel()
    await asyncio.wait([asking])
    changed = api.central.subscribe()
    api.may_answer.set()
    await asyncio.wait_for(changed.wait(), LIMIT_S)
    await api.central.until_durable(api.central.applied)

    assert is_key(api.sent[0][2], api.known("A").key_hash)


async def test_a_refusal_that_nobody_waits_for_is_no_error(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    """No traceback in the log for a client that has gone."""
    await api.connect("A")
    api.status = "Rejected"
    api.may_answer.clear()
    asking = asyncio.create_task(api.charge_points.set_password("A", "Ann", is_sent=True))
    await asyncio.wait_for(api.is_asked.wait(), LIMIT_S)
    (sending,) = api.charge_points._sending
    asking.cancel()
    api.may_answer.set()
    await asyncio.wait([asking, sending])
    del asking, sending
    gc.collect()

    assert not api.charge_points._sending
    assert [record for record in caplog.records if record.name == "asyncio"] == []


async def test_a_key_that_was_taken_and_cannot_be_stored_is_told(api: Api) -> None:
    """503 with the key: after the restart somebody has to set it again."""
    await api.connect("A")
    api.store.failure = OSError(28, "No space left on device")

    code, problem = await api.do("password", "A", {"send": True})

    assert (code, problem["password"]) == (503, api.sent[0][2])


async def test_who_did_it_stands_in_the_notes(api: Api) -> None:
    """Ann, as her client said."""
    for deed in ("approve", "lock", "forget"):
        await api.done(deed, "A")

    notes = [(note.text, dict(note.figures)["by"]) for note in api.site.notes if note.charge_point_id == "A"]
    assert notes == [
        ("charge point approved", "Ann"),
        ("charge point locked", "Ann"),
        ("charge point forgotten", "Ann"),
    ]
