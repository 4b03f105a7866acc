"""`chargers edit` on the command line, with a running server and without; the commands run in this process."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent / "crash"))

from server_process import ServerProcess, environment, make_site

from ocpp_server import __main__, command_line
from ocpp_server.settings import PROJECT_FOLDER

FILE = b"charger_id;colour;name\r\nCP1;red;Old\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that is stopped on the way."""
    server = ServerProcess(make_site(tmp_path_factory.mktemp("edited") / "data")).started()
    yield server
    if server.process is not None:
        server.stop()


def test_a_row_is_edited_with_a_server_and_without(
    server: ServerProcess, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    """The same words, the same file; in force in the ledger that the other one reads."""

    def typed(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["ocpp_server", "chargers", *arguments])
        capfd.readouterr()
        status = __main__.main()
        printed = capfd.readouterr()
        return status, printed.out + printed.err

    for name, value in environment(server.data_dir, **server.settings).items():
        if name.startswith("EVQUOTA_"):
            monkeypatch.setenv(name, value)
    path = server.data_dir / "chargers.csv"
    assert typed("edit", "CP1", "--name", "x")[0] == 2
    assert typed("approve", "CP1")[0] == 0
    path.write_bytes(FILE)

    options = ("--max-kw", "7,4", "--access", "free", "--ping", "off", "--energy-unit", "kWh", "--brand", "Acme")
    done = (0, "CP1 has these settings\n- its row in chargers.csv says so now\n")
    assert typed("edit", "CP1", *options) == done
    by_server = (
        b'charger_id;colour;name;brand;energy_unit;max_kw;access;ping\r\nCP1;red;Old;Acme;kWh;"7,4";free;off\r\n'
    )
    assert path.read_bytes() == by_server
    refusal = (2, 'not done: access "open" is none of quota, free, closed\n')
    assert typed("edit", "CP1", "--access", "open") == refusal

    assert server.stop() == 0
    assert typed("edit", "CP1", "--access", "open") == refusal
    assert typed("edit", "CP1", "--name", "", "--max-kw", "", "--ping", "on") == done
    assert path.read_bytes() == by_server.replace(b"Old", b"").replace(b'"7,4"', b'""').replace(b";off", b";on")
    assert '"access": "free"' in typed("list", "--json")[1]
    assert typed("edit", "CP1") == (2, "not done: say what changes, such as --name\n")
    assert typed("edit", "CP1", "--max-kw", "much") == (2, "not done: much is no number of kW\n")


def test_every_option_is_on_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    """docs/command-line.md; an option that is not there is one that nobody finds."""
    page = (PROJECT_FOLDER / "docs" / "command-line.md").read_text(encoding="utf-8")
    section = page.partition("## chargers\n")[2].partition("\n## ")[0]
    with pytest.raises(SystemExit):
        command_line.parse(__main__.SUBCOMMANDS, ["chargers", "edit", "--help"])

    options = set(re.findall(r"--[a-z-]+", capsys.readouterr().out)) - {"--help"}
    assert len(options) == 8
    assert {option for option in options if f"`{option}`" not in section} == set()
