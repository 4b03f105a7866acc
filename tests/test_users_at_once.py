"""users1.csv edited through API, command line and editors of text at the same time: no edit is lost silently."""

import asyncio
import functools
import os
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent / "crash"))

from server_process import LIMIT_S, PROJECT, environment, free_ports, make_site

from ocpp_server import app, parts
from ocpp_server.control_api.token import read_token
from ocpp_server.control_api.users import FILE_PATH, PATH
from ocpp_server.core.records import NoteKind
from ocpp_server.settings import Settings
from ocpp_server.storage.users_edit import etag_of, rows_of
from ocpp_server.storage.users_file import UsersFile

HEADER = "id_tag,name,surname,quota_kwh,unlimited,colour"
USERS = f"{HEADER}\n" + "".join(f"U{number:02},a,b,10,no,c{number}\n" for number in range(40))


class Site:
    """A running server, and everybody who edits its users."""

    def __init__(self, data_dir: Path, server: app.RunningServer, session: aiohttp.ClientSession) -> None:
        self.csv = data_dir / "users1.csv"
        self.server = server
        self.settings: dict[str, object] = {}
        self._data_dir = data_dir
        self._session = session
        self._url = f"http://127.0.0.1:{server.api_port}"
        self._headers = {"Authorization": f"Bearer {read_token(data_dir)}"}

    async def ask(self, method: str, path: str, body: Any) -> int:
        async with (
            asyncio.timeout(LIMIT_S),
            self._session.request(method, self._url + path, json=body, headers=self._headers) as answer,
        ):
            assert answer.status < 500, await answer.text()
            return answer.status

    async def type(self, *arguments: str) -> tuple[int, str]:
        """A command, as a process of its own."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "ocpp_server",
            "users",
            *arguments,
            cwd=PROJECT,
            env=environment(self._data_dir, **self.settings),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(LIMIT_S):
            said, _ = await process.communicate()
        return process.returncode or 0, said.decode()

    def quotas(self) -> dict[str, str]:
        """As the file has them now."""
        return {tag: row.get("quota_kwh", "") for tag, row in rows_of(self.csv.read_bytes()).items()}

    async def undone(self) -> set[str]:
        """Whose edits the books call undone, once the file is in force as it is."""
        assert await self.ask("POST", FILE_PATH, {"etag": etag_of(self.csv.read_bytes())}) == 200
        notes = self.server.central.site.notes
        return {note.id_tag for note in notes if note.kind is NoteKind.USER and "undid an edit" in note.text}


@pytest.fixture
async def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    """With editors that come to rest sooner than in life."""
    monkeypatch.setattr(parts, "UsersFile", functools.partial(UsersFile, settle_s=0.05))
    monkeypatch.setattr(parts, "TableWatcher", functools.partial(parts.TableWatcher, settle_s=0.05))
    data_dir = make_site(tmp_path / "data", USERS)
    ocpp_port, api_port = free_ports(2)
    settings = Settings(
        _env_file=None, data_dir=data_dir, ocpp_host="127.0.0.1", ocpp_port=ocpp_port, api_port=api_port
    )
    async with app.running(settings) as server, aiohttp.ClientSession() as session:
        site = Site(data_dir, server, session)
        site.settings = {"ocpp_port": ocpp_port, "api_port": api_port}
        yield site


async def test_edits_of_different_users_at_the_same_moment_are_all_there(site: Site) -> None:
    """Changed, added and removed, all at once."""
    changes = [("PATCH", f"{PATH}/U{number:02}", {"quota_kwh": 100 + number}) for number in range(20)]
    adds = [("POST", PATH, {"id_tag": f"N{number}", "quota_kwh": 7}) for number in range(5)]
    removals = [("DELETE", f"{PATH}/U{number}", None) for number in range(35, 40)]

    statuses = await asyncio.gather(*(site.ask(*edit) for edit in [*changes, *adds, *removals]))

    assert statuses == [200] * 20 + [201] * 5 + [200] * 5
    expected = {f"U{n:02}": str(100 + n) if n < 20 else "10" for n in range(35)} | {f"N{n}": "7" for n in range(5)}
    assert site.quotas() == expected
    assert {tag: user.quota for tag, user in site.server.central.site.users.users.items()} == {
        tag: int(quota) * 1000 for tag, quota in expected.items()
    }


async def test_of_edits_by_who_has_seen_the_same_file_one_wins(site: Site) -> None:
    """The others are told, and have changed nothing."""
    seen = etag_of(site.csv.read_bytes())

    async def edit(quota: int) -> int:
        headers = {**site._headers, "If-Match": seen}
        url = f"{site._url}{PATH}/U00"
        async with site._session.patch(url, json={"quota_kwh": quota}, headers=headers) as answer:
            return answer.status

    statuses = await asyncio.gather(*(edit(quota) for quota in range(50, 60)))

    assert sorted(statuses) == [200] + [412] * 9
    assert site.quotas()["U00"] == str(50 + statuses.index(200))


class Editor(threading.Thread):
    """Opens the file, sets the quota of a user, saves: every second time in place, else under another name and renamed.

    It knows of no lock, and looks at nothing when it saves.
    """

    def __init__(self, path: Path, saves: int) -> None:
        super().__init__()
        self.turn = threading.Semaphore(0)
        self.tags = [f"U{20 + number}" for number in range(saves)]
        self._path = path

    def run(self) -> None:
        for number, tag in enumerate(self.tags):
            text = self._path.read_text()
            assert self.turn.acquire(timeout=LIMIT_S)  # meanwhile somebody else edits
            changed = text.replace(f"{tag},a,b,10,", f"{tag},a,b,44,")
            assert changed != text
            if number % 2:
                self._path.write_text(changed)
            else:
                other = self._path.with_name("users1.csv~")
                other.write_text(changed)
                other.replace(self._path)


async def test_nothing_is_lost_silently_between_api_command_line_and_an_editor_of_text(
    site: Site, tmp_path: Path
) -> None:
    """What the editor saved is always there. An edit that was confirmed is there, or the books say that a save of the
    file undid it: an editor that had read the file before cannot be kept from that.
    """
    incoming = tmp_path / "in.csv"
    incoming.write_text("id_tag,name,surname,quota_kwh,unlimited\n" + "".join(f"U{n},a,b,55,no\n" for n in (31, 32)))
    editor = Editor(site.csv, saves=6)
    confirmed: dict[str, str] = {}
    told: list[str] = []

    async def edit_by_api(numbers: range) -> None:
        for number in numbers:
            status = await site.ask("PATCH", f"{PATH}/U{number:02}", {"quota_kwh": 100 + number})
            assert status in (200, 409)
            if status == 200:
                confirmed[f"U{number:02}"] = str(100 + number)
            editor.turn.release()

    async def set_by_command() -> None:
        status, said = await site.type("set-quota", "U30", "77")
        assert status in (0, 2), said
        if status == 0:
            confirmed["U30"] = "77"

    async def import_by_command() -> None:
        status, said = await site.type("import", os.fspath(incoming))
        assert status in (0, 2), said
        if status == 0 and "in force" in said:
            confirmed.update({"U31": "55", "U32": "55"})
        told.append(said)

    editor.start()
    await asyncio.gather(edit_by_api(range(10)), edit_by_api(range(10, 20)), set_by_command(), import_by_command())
    await asyncio.to_thread(editor.join, LIMIT_S)
    assert not editor.is_alive()
    undone, quotas = await site.undone(), site.quotas()

    assert {tag: quotas[tag] for tag in editor.tags} == dict.fromkeys(editor.tags, "44")
    assert confirmed, told
    lost = {tag for tag, quota in confirmed.items() if quotas[tag] != quota}
    assert lost <= undone
    assert len(quotas) == 40
    in_force = site.server.central.site.users.users
    assert {tag: user.quota for tag, user in in_force.items()} == {tag: int(kwh) * 1000 for tag, kwh in quotas.items()}
