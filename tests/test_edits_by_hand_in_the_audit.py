"""Who edits users1.csv or chargers.csv with a text editor stands in the audit, as who uses the API does, and once."""

import os
import pwd
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent / "crash"))

from ocpp_caller import OcppCaller
from server_process import USERS, ServerProcess, make_site, until
from typed_commands import Keyboard

from ocpp_server.control_api.notes import WHO
from ocpp_server.core.records import ROWS
from ocpp_server.storage.ledger_reader import LedgerReader, Wanted

ME = pwd.getpwuid(os.geteuid()).pw_name
BY_HAND, BY_COMMAND = f"editor of users1.csv ({ME})", "command line"


def audit(site: Path) -> list[tuple[str, str, str]]:
    """Who did what to which rows, oldest first; as `GET /api/v1/audit` reads it."""
    notes = [note for _, note in LedgerReader(site / "ledger.db").notes(Wanted(), with_figure=WHO)]
    deeds = [(dict(note.figures), note) for note in reversed(notes)]
    return [(figures[WHO], note.text, figures.get(ROWS, note.id_tag)) for figures, note in deeds]


def save(path: Path, text: str) -> None:
    """As most editors do: a new file in place of the old one."""
    draft = path.with_name(f"{path.name}~")
    draft.write_text(text)
    draft.replace(path)


def test_edits_by_hand_are_told_once_and_edits_through_the_server_are_not_told_as_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """While the server runs, while it does not, and in between an edit of the command line."""
    keys = Keyboard(monkeypatch, capfd)
    site = make_site(tmp_path / "data")
    users, chargers = site / "users1.csv", site / "chargers.csv"
    edited = USERS.replace("150", "20") + "CARD0003,Ada,Byron,5,FALSE\n"

    with ServerProcess(site) as server:
        save(users, edited)
        until(lambda: len(audit(site)) == 2, "the edit is in the audit")
        save(chargers, "charger_id,access\nCP1,free\n")
        until(lambda: len(audit(site)) == 3, "the other file's edit is, too")
        assert keys(site, "users", "block", "RFID002", api_port=server.api_port)[0] == 0
        with OcppCaller(server.url, "CP1"):
            assert keys(site, "chargers", "edit", "CP1", "--access", "closed", api_port=server.api_port)[0] == 0
        log = server.output()
        assert server.stop() == 0
    save(users, users.read_text().replace("CARD0003", "CARD0004"))
    assert keys(site, "users", "unblock", "RFID002")[0] == 0

    hand = "users1.csv edited by hand"
    assert audit(site) == [
        (BY_HAND, "users1.csv read for the first time", "RFID001 added: quota_kwh 150; RFID002 added: unlimited yes"),
        (BY_HAND, hand, "RFID001 changed: quota_kwh 150 to 20; CARD0003 added: quota_kwh 5"),
        (
            BY_HAND.replace("users1", "chargers"),
            "chargers.csv edited by hand",
            "CP1 added: access free, ping yes, configure yes",
        ),
        (BY_COMMAND, "user changed", "RFID002"),
        (BY_COMMAND, "charge point changed", ""),
        (BY_HAND, hand, "CARD0003 removed: quota_kwh 5; CARD0004 added: quota_kwh 5"),
        (BY_COMMAND, "user changed", "RFID002"),
    ]
    assert "user edited: users1.csv edited by hand" in log
    assert "CARD0003" not in log
