"""The documents name what there is: settings, modules, keys of files, rules, faults, tests. Links lead somewhere."""

import ast
import io
import json
import re
import tokenize
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ocpp_server.clock import Clock
from ocpp_server.core import commands as cmd
from ocpp_server.core.decide import decide
from ocpp_server.core.energy import Wh
from ocpp_server.core.meter import MeterValue, SampledValue
from ocpp_server.core.period import Month
from ocpp_server.core.site import Policy, Site, apply
from ocpp_server.core.users import Account, ChargerRow, IdTag, User, UserTable
from ocpp_server.delivery.standing import Standing
from ocpp_server.server_status import ServerStatus
from ocpp_server.settings import PROJECT_FOLDER, Settings, variable_name
from ocpp_server.storage import chargers_csv, documents, users_csv
from ocpp_server.storage.chargers_file import ChargersFile
from ocpp_server.storage.csv_text import RowProblem
from ocpp_server.storage.sessions_csv import HEADER
from ocpp_server.storage.users_file import UsersFile

DOCS = PROJECT_FOLDER / "docs"
SERVER = PROJECT_FOLDER / "ocpp_server"
NOON = datetime(2025, 1, 15, 9, 0, tzinfo=UTC)
MONTH = Month("2025-01")
CHARGE_POINT, CARD = "LIVOLTEK_01", IdTag("RFID001")
PYTHON_FOLDERS = ("ocpp_server", "dashboard", "simulator", "bench", "tests")
ID_OF_A_FAULT = r"\b([FTB])(\d{1,2})\b"
KEYED_BY_DATA = {"active_transactions.json", "charger_status.json"}
"""Files whose outermost keys are ids."""


def pages() -> list[Path]:
    """Every document a reader may open."""
    readme = [PROJECT_FOLDER / "README.md"] if (PROJECT_FOLDER / "README.md").exists() else []
    return [*readme, PROJECT_FOLDER / "CHANGELOG.md", PROJECT_FOLDER / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def in_backticks(word: str) -> str:
    return f"`{word}`"


def modules() -> list[str]:
    """Paths below ocpp_server/ of every module that holds code."""
    found = (path for path in SERVER.rglob("*.py") if path.name != "__init__.py")
    return sorted(path.relative_to(SERVER).as_posix() for path in found)


@pytest.fixture(scope="module")
def site() -> Site:
    """A site with a user, a charge point in the middle of a session, a refused tag and an alert."""
    site = Site(Policy(ZoneInfo("Europe/Istanbul")))
    user = User(CARD, Account(CARD), "John", "Doe", Wh(100_000))
    values = tuple(
        MeterValue(
            (NOON + timedelta(minutes=minutes)).isoformat(),
            (
                SampledValue(str(85_500 + 100 * minutes), unit="Wh"),
                SampledValue("6000", "Power.Active.Import", "W"),
                SampledValue("50", "Frequency"),
            ),
        )
        for minutes in (1, 2)
    )
    transaction_id = site.next_transaction_id
    for command in (
        cmd.OpenMonth(NOON, MONTH),
        cmd.ReplaceUsers(NOON, UserTable({CARD: user})),
        cmd.ReplaceChargers(NOON, (ChargerRow(CHARGE_POINT, name="Gate left"),)),
        cmd.Connect(CHARGE_POINT, NOON),
        cmd.BootNotification(CHARGE_POINT, NOON, "LIVOLTEK", "AC22", "SN1", "1.4"),
        cmd.RecordConfiguration(CHARGE_POINT, NOON, (("LocalPreAuthorize", "true"),), is_complete=True),
        cmd.Heartbeat(CHARGE_POINT, NOON),
        cmd.StatusNotification(CHARGE_POINT, NOON, 1, "Charging", "NoError"),
        cmd.Authorize(CHARGE_POINT, NOON, "04A1B2C3"),
        cmd.StartTransaction(CHARGE_POINT, NOON, 1, CARD, 85_500, NOON.isoformat()),
        cmd.MeterValues(CHARGE_POINT, NOON + timedelta(minutes=2), 1, transaction_id, values),
        cmd.RaiseAlert(NOON, "clock", "clock suspect", "the clock jumped"),
    ):
        for change in decide(site, command).changes:
            apply(site, change)
    return site


@pytest.fixture(scope="module")
def rendered(site: Site) -> dict[str, Any]:
    """What the server would publish for the site, parsed again, by name of the file."""
    users_file = UsersFile(site.users, _never)
    users_file.problems = (RowProblem(4, "quota_kwh", "is not a number"),)
    status = ServerStatus(
        site=site,
        clock=Clock(),
        started=NOON,
        site_name="Campus",
        ocpp_url="ws://192.168.1.10:9000/CHARGER_ID",
        is_demo=False,
        users_file=users_file,
        chargers_file=ChargersFile(site.chargers, _never),
        last_publish_error=lambda: "",
        deliveries=lambda: [Standing().status("forwarder", "readings", "ok", "", 0, is_stuck=False)],
    )
    contents = {
        "energy_usage.json": documents.energy_usage(site, MONTH),
        "active_transactions.json": documents.active_transactions(site, NOON + timedelta(minutes=3)),
        "charger_status.json": documents.charger_status(site),
        "meter_data_log.json": documents.meter_data_log(site),
        "alerts.json": documents.alerts(site),
        "server_status.json": status.status(),
        "users_report.json": status.users_report(),
        "archive/": documents.energy_hourly(site, MONTH),
    }
    return {name: json.loads(content) for name, content in contents.items()}


async def _never(*_: object) -> None:
    raise AssertionError("nothing is put in force here")


def keys(name: str, document: Any) -> set[str]:
    """The keys of a file that are words of its format: not ids, tags, hours or a charge point's own keys."""
    if name == "energy_usage.json":
        return set()
    if name == "archive/":
        return set(document)
    entries = document.values() if name in KEYED_BY_DATA else [document]
    return set(_words(list(entries)))


def _words(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for entry in value:
            yield from _words(entry)
    elif isinstance(value, dict):
        for key, entry in value.items():
            yield key
            if key != "configuration":
                yield from _words(entry)


def section(page: str, heading: str) -> str:
    """What stands under a second-level heading."""
    return page.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]


FILES_WITH_KEYS = (
    "active_transactions.json",
    "charger_status.json",
    "meter_data_log.json",
    "server_status.json",
    "users_report.json",
    "alerts.json",
    "archive/",
)


@pytest.mark.parametrize("field", sorted(Settings.model_fields))
def test_every_setting_is_documented(field: str) -> None:
    """Each `EVQUOTA_…` name stands in .env.example or in a document, where an administrator looks for it."""
    everything = "\n".join(text(page) for page in [*pages(), PROJECT_FOLDER / ".env.example"])

    assert re.search(rf"\b{variable_name(field)}\b", everything)


def test_the_documents_name_no_setting_that_does_not_exist() -> None:
    """A setting that was renamed must not live on in a document."""
    known = {variable_name(field) for field in Settings.model_fields} | {"EVQUOTA_VENV"}
    named = {name for page in pages() for name in re.findall(r"\bEVQUOTA_[A-Z_]*[A-Z]\b", text(page))}

    assert named - known == set()


@pytest.mark.parametrize("name", FILES_WITH_KEYS)
def test_every_key_of_a_published_file_is_documented(name: str, rendered: dict[str, Any]) -> None:
    """docs/files.md names each key that the renderers produce for a real site."""
    page = text(DOCS / "files.md")
    produced = keys(name, rendered[name])

    assert produced
    assert {key for key in produced if in_backticks(key) not in page} == set()


@pytest.mark.parametrize("name", FILES_WITH_KEYS)
def test_the_example_of_a_file_has_only_keys_that_exist(name: str, rendered: dict[str, Any]) -> None:
    """The example in docs/files.md is valid JSON and shows no key that the server does not write."""
    blocks = re.findall(r"```json\n(.*?)```", section(text(DOCS / "files.md"), name), re.DOTALL)

    assert blocks
    assert keys(name, json.loads(blocks[0])) <= keys(name, rendered[name])


def test_the_rendered_site_is_complete_enough_to_show_every_key(rendered: dict[str, Any]) -> None:
    """Empty lists would hide the keys of what is in them."""
    assert rendered["energy_usage.json"] == {CARD: 0.2}
    assert rendered["alerts.json"]
    assert rendered["meter_data_log.json"]
    assert rendered["users_report.json"]["refused"]
    assert rendered["server_status.json"]["users_file"]["problems"]
    assert rendered["charger_status.json"][CHARGE_POINT]["connectors"]
    assert rendered["charger_status.json"][CHARGE_POINT]["leaks"]


@pytest.mark.parametrize(
    ("heading", "columns"),
    [
        ("users1.csv", users_csv.REQUIRED + users_csv.OPTIONAL),
        ("chargers.csv", chargers_csv.COLUMNS),
        ("archive/", HEADER),
    ],
)
def test_every_column_is_documented(heading: str, columns: tuple[str, ...]) -> None:
    """docs/files.md names each column of the CSV files in the section of that file."""
    part = section(text(DOCS / "files.md"), heading)

    assert [column for column in columns if in_backticks(column) not in part] == []


@pytest.mark.parametrize("module", modules())
def test_every_module_of_the_server_is_in_the_architecture(module: str) -> None:
    """docs/architecture.md has one line for each module under ocpp_server/."""
    assert in_backticks(module) in text(DOCS / "architecture.md")


def test_the_architecture_lists_no_module_that_is_gone() -> None:
    """The table of modules shrinks with the tree."""
    listed = re.findall(r"^\| `([a-z_0-9/]+\.py)` \|", text(DOCS / "architecture.md"), re.MULTILINE)

    assert [module for module in listed if not (SERVER / module).is_file()] == []


def test_the_accounting_rules_are_numbered_without_a_gap() -> None:
    """The code cites the rules by number, so none may move."""
    numbers = re.findall(r"^(\d+)\. ", text(DOCS / "accounting.md"), re.MULTILINE)

    assert [int(number) for number in numbers] == list(range(1, 29))


def test_the_code_cites_only_rules_that_exist() -> None:
    """A docstring that cites rule 29 would send its reader nowhere."""
    cited = {
        int(number)
        for path in SERVER.rglob("*.py")
        for citation in re.findall(r"\brules? (\d+(?:(?:,| and| to|, and) \d+)*)", text(path))
        for number in re.findall(r"\d+", citation)
    }

    assert cited
    assert cited <= set(range(1, 29))


def test_the_ids_of_faults_are_numbered_without_a_gap() -> None:
    """Code and tests cite faults, threats and defects by id, so none may move."""
    assert fault_ids() == [
        *(f"F{number}" for number in range(1, 26)),
        *(f"B{number}" for number in range(1, 17)),
        *(f"T{number}" for number in range(1, 27)),
    ]


def test_every_fault_that_is_cited_is_explained() -> None:
    """Each F, T or B number in a docstring or a comment has its row in docs/faults.md or docs/security.md."""
    cited = {
        (path.relative_to(PROJECT_FOLDER).as_posix(), letter + number)
        for path in python_files()
        for letter, number in re.findall(ID_OF_A_FAULT, prose(path))
    }
    known = fault_ids()

    assert cited
    assert {(path, fault) for path, fault in cited if fault not in known} == set()


def test_every_test_that_a_document_names_exists() -> None:
    """A row of docs/faults.md or docs/security.md shows what it says only as long as its test is there."""
    tests = [path for path in python_files() if path.is_relative_to(PROJECT_FOLDER / "tests")]
    there = {path.stem for path in tests} | {name for path in tests for name in functions(path)}
    named = {name for page in pages() for name in re.findall(r"\btest_\w+", text(page))}

    assert named
    assert named - there == set()


def test_every_threat_has_a_test_unless_it_says_why_not() -> None:
    """A row of docs/security.md names a test, or says "Not yet"."""
    rows = re.findall(r"^\| T\d+ \|.*$", text(DOCS / "security.md"), re.MULTILINE)

    assert [row for row in rows if "`test_" not in row and "Not yet" not in row] == []


def test_the_documented_dependencies_are_those_that_are_asked_for() -> None:
    """docs/security.md names the version of each package whose holes it tells of (T25)."""
    asked_for = dict(re.findall(r"^([a-z-]+)(~=[\d.]+)", text(PROJECT_FOLDER / "requirements.txt"), re.MULTILINE))
    documented = dict(re.findall(r"^\| ([a-z-]+) \| (~=[\d.]+) \|", text(DOCS / "security.md"), re.MULTILINE))

    assert documented
    assert documented.items() <= asked_for.items()


def fault_ids() -> list[str]:
    """The ids of the rows of docs/faults.md and docs/security.md, in their order."""
    return re.findall(r"^\| ([FTB]\d+) \|", text(DOCS / "faults.md") + text(DOCS / "security.md"), re.MULTILINE)


def python_files() -> list[Path]:
    return sorted(path for folder in PYTHON_FOLDERS for path in (PROJECT_FOLDER / folder).rglob("*.py"))


def prose(path: Path) -> str:
    """The docstrings and comments of a module."""
    code = text(path)
    strings = [node.value for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Expr)]
    documents = [str(node.value) for node in strings if isinstance(node, ast.Constant)]
    tokens = tokenize.generate_tokens(io.StringIO(code).readline)
    return "\n".join([*documents, *(token.string for token in tokens if token.type == tokenize.COMMENT)])


def functions(path: Path) -> set[str]:
    nodes = ast.walk(ast.parse(text(path)))
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(PROJECT_FOLDER).as_posix())
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    """A link to a file, an image or a heading of this project exists."""
    prose = re.sub(r"```.*?```", "", text(page), flags=re.DOTALL)
    links = re.findall(r"\]\(([^)\s]+)\)|(?:src|href|srcset)=\"([^\"\s]+)\"", prose)
    broken = [link for pair in links for link in pair if link and not _leads_somewhere(page, link)]

    assert broken == []


def _leads_somewhere(page: Path, link: str) -> bool:
    if re.match(r"[a-z][a-z0-9+.-]*:", link):
        return True  # elsewhere: no business of these tests
    name, _, anchor = link.partition("#")
    target = page.parent / name if name else page
    if not target.exists():
        return False
    return not anchor or target.suffix != ".md" or anchor in _anchors(text(target))


def _anchors(markdown: str) -> set[str]:
    """Anchors of the headings, as they are made where Markdown is shown: lower case, no punctuation, - for a blank."""
    headings = re.findall(r"^#+ +(.+)$", markdown, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}
