"""Every page of app.py on every odd site in every language: no error, nothing of others runs, every word is ours."""

import itertools
import json
import re
import string
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from archive_folder import ArchiveFolder, session_row
from manage_api import ManageApi, answer_normally, serving
from site_folder import SiteFolder, charge_point, reading, session, stamp
from site_pages import EVERY_PAGE
from streamlit.testing.v1 import AppTest

from dashboard.texts import LANGUAGES, words_of

HOSTILE = [
    "**bold** _it_ `code`",
    "<img src=x onerror=alert(1)>",
    ":material/home: :tada: :red[hot]",
    "$\\LaTeX$ $x^2$",
    "=HYPERLINK(1) \u202eevil\u202c",
    "x" * 10_000,
    "![i](http://evil.example/i.png) www.evil.example",
    "\ud800",
    " ",
    "```mermaid\ngraph",
    "אבג <b>",
]
MARKUP = ("**bold", "<img", ":material/home", ":tada:", ":red[hot]", "$x", "](http", "www.evil", "\u202e", "```", "<b>")
ESCAPED = re.compile(r"\\[!-/:-@\[-`{-~]")
THE_FIVE = (
    "users1.csv", "energy_usage.json", "charger_status.json", "active_transactions.json", "meter_data_log.json",
)  # fmt: skip
THE_SERVERS = ("server_status.json", "users_report.json")
CORRUPT = ("", "{", "[1]", '"x"', '{"A": 5}', "null", "\x00\x01", "[" * 5000)
FREE_TEXTS = {
    "id", "name", "brand", "note", "address", "vendor", "model", "text", "charge_point_id", "acknowledged_by", "reason",
    "id_tag", "decided_by", "decision_reason", "last_error", "by", "what", "action", "error_description", "excerpt",
    "detail", "value", "default", "description", "surname", "email", "account", "version",
}  # fmt: skip
NOT_SHOWN = {"id", "type", "tag", "icon", "language", "url", "autocomplete", "deferred_file_id", "page_script_hash",
             "query_param_key", "query_string", "page", "button_click_widgets", "form_id", "key"}  # fmt: skip
NO_MARKDOWN = {"code_text", "columns", "default", "placeholder", "alt", "set_value", "value", "spec", "raw_values",
               "options"}  # fmt: skip
"""Shown as it is, or read by Streamlit's own code; alternative texts and headings of columns are plain text."""
NOW = datetime.now(UTC)


# --- the sites -------------------------------------------------------------------------------------------------------


def normal(folder: SiteFolder, api: ManageApi) -> None:
    """All files, the archive, and an API that has an entry in every list."""
    five(folder, api)
    folder.write_server()
    folder.write("users_report.json", {"problems": [], "file_error": None, "refused": refused("04A1B2C3")})
    write_archive(folder, ["CP_01", "CP_02"], {"RFID001": "John Doe", "RFID002": "Ayşe Yılmaz"})
    answer_normally(api)


def refused(*tags: str) -> list[dict[str, str]]:
    return [{"id_tag": tag, "time": stamp(NOW), "charger_id": tag, "reason": tag} for tag in tags]


def write_archive(folder: SiteFolder, charge_points: list[str], users: dict[str, str]) -> None:
    this_month = date(NOW.year, NOW.month, 1)
    ArchiveFolder(folder).write_random([this_month], charge_points, users, NOW)


def empty(folder: SiteFolder, api: ManageApi) -> None:
    """A server that knows nobody yet."""
    folder.write_server()
    lists = ("charge-points", "set-aside", "alerts", "destinations", "audit", "settings")
    for path in lists:
        api.answer("GET", f"/{path}", {path.replace("-", "_"): [], "next": None})
    api.answer("GET", "/users", {"users": [], "next": None})


def five(folder: SiteFolder, api: ManageApi) -> None:
    """Somebody else's server: no status, no archive, no API."""
    folder.write_five()


def stopped(folder: SiteFolder, api: ManageApi) -> None:
    """Its files are three hours old, and nobody answers."""
    normal(folder, api)
    folder.write_server(time=stamp(NOW - timedelta(hours=3)))
    api.answers.clear()


def corrupt(folder: SiteFolder, api: ManageApi) -> None:
    """Every file, each in its way; the API answers with something else than what it should."""
    normal(folder, api)
    names = [*THE_FIVE, *THE_SERVERS, *(f"archive/{path.name}" for path in (folder.path / "archive").iterdir())]
    for name, content in zip(names, itertools.cycle(CORRUPT), strict=False):
        (folder.path / name).write_text(content, encoding="utf-8")
    for (asked, answer), body in zip(list(api.answers.items()), itertools.cycle(([1], "x", None, {}, b"<html>"))):
        api.answers[asked] = (answer[0], body)


def large(folder: SiteFolder, api: ManageApi) -> None:
    """40 charge points, 1,000 users: the largest site that we promise."""
    normal(folder, api)
    tags = [f"TAG{number:04d}" for number in range(1000)]
    rows = "".join(f"{tag},Name {tag},X,150,FALSE\n" for tag in tags)
    folder.write("users1.csv", f"id_tag,name,surname,quota_kwh,unlimited\n{rows}")
    folder.write("energy_usage.json", dict.fromkeys(tags, 130.0))
    folder.write("charger_status.json", {f"CP_{number:02d}": charge_point("Charging") for number in range(40)})
    running = {str(n): session(NOW, charger_id=f"CP_{n:02d}", id_tag=tags[n], power_w=11_000) for n in range(40)}
    folder.write("active_transactions.json", running)
    logged = [reading(f"CP_{n % 40:02d}", NOW - timedelta(seconds=n)) for n in range(500)]
    folder.write("meter_data_log.json", logged)
    write_archive(folder, [f"CP_{number:02d}" for number in range(40)], {tag: f"Name {tag}" for tag in tags})


def hostile(folder: SiteFolder, api: ManageApi) -> None:
    """Names and ids from a CSV, a card, the path of a socket, an answer of the API."""
    normal(folder, api)
    rows = "".join(f'"{name[:200]}","{name}","{name}",150,FALSE\n' for name in HOSTILE if name != "\ud800")
    folder.write("users1.csv", f"id_tag,name,surname,quota_kwh,unlimited\n{rows}")
    folder.write("charger_status.json", {name: charge_point(name, name=name, error_code=name) for name in HOSTILE})
    people = {name: session(NOW, charger_id=name, full_name=name, id_tag=name, state=name) for name in HOSTILE}
    folder.write("active_transactions.json", people)
    folder.write("energy_usage.json", dict.fromkeys(HOSTILE, 5.0))
    folder.write("meter_data_log.json", [reading(name, NOW) | {"userName": name} for name in HOSTILE])
    folder.write_server(
        site_name="".join(HOSTILE), timezone=HOSTILE[0], month=HOSTILE[1], last_publish_error=HOSTILE[6],
        alerts=[{"kind": name, "text": name, "charger_id": name, "acknowledged_by": name} for name in HOSTILE],
    )  # fmt: skip
    problems = [{"line": 1, "column": name, "text": name} for name in HOSTILE]
    report = {"problems": problems, "file_error": HOSTILE[1], "refused": refused(*HOSTILE)}
    folder.write("users_report.json", report)
    told = [name for name in HOSTILE if name != "\ud800"]
    sessions = [session_row(n, name, name, name, NOW, reason=name, flags=name) for n, name in enumerate(told)]
    ArchiveFolder(folder).write_sessions(f"{NOW:%Y-%m}", sessions)
    for asked, (status, body) in list(api.answers.items()):
        api.answers[asked] = (status, poisoned(body, itertools.cycle(HOSTILE)))
    api.answer("GET", "/month", {"detail": HOSTILE[6]}, 500)


def poisoned(found: Any, names: Iterator[str]) -> Any:
    """The same document with other people's texts in it; lists get an entry for each of them."""
    if isinstance(found, Mapping):
        return {
            key: next(names) if key in FREE_TEXTS and isinstance(value, str) else poisoned(value, names)
            for key, value in found.items()
        }
    if isinstance(found, list):
        return [poisoned(entry, names) for entry in (found * len(HOSTILE))[: len(HOSTILE)]]
    return found


SITES = {site.__name__: site for site in (normal, empty, five, stopped, corrupt, large, hostile)}
IN_SUITE = {"large": "English", "hostile": "English"}
"""The other sites are looked at in Turkish; all in all languages in `./run prove`."""
PAIRS = [
    pytest.param(site, language, marks=() if IN_SUITE.get(site, "Türkçe") == language else pytest.mark.prove)
    for site in SITES
    for language in LANGUAGES.values()
]


# --- what a page shows -----------------------------------------------------------------------------------------------


def texts_in(app: AppTest) -> Iterator[tuple[str, str]]:
    """Every text of every element with the name of its field, as Streamlit sends it to a browser."""
    waiting = [app._tree]  # AppTest has no public way to all elements, also to those it does not know
    while waiting:
        node = waiting.pop()
        if (message := getattr(node, "proto", None)) is not None:
            yield from fields_of(message)
        waiting += list(getattr(node, "children", {}).values())


def fields_of(message: Any) -> Iterator[tuple[str, str]]:
    for field, found in message.ListFields():
        for value in [found] if isinstance(found, str) or not hasattr(found, "__iter__") else found:
            if isinstance(value, str) and field.name not in NOT_SHOWN:
                yield from ((field.name, text) for text in headings(field.name, value))
            elif hasattr(value, "ListFields"):
                yield from fields_of(value)


def headings(name: str, value: str) -> Iterator[str]:
    """Of a table's description its headings alone: the rest are names of programs."""
    if name != "columns":
        yield value
        return
    for column in json.loads(value or "{}").values():
        yield from (str(column[key]) for key in ("label", "help") if column and column.get(key))


def tables_in(app: AppTest) -> Iterator[str]:
    for table in app.dataframe:
        for column in table.value:
            yield from (str(cell) for cell in table.value[column])


def pieces(text: str) -> list[str]:
    """A text of ours without its `{values}`: what stands on the page whatever the values are."""
    return [piece.strip() for piece, *_ in string.Formatter().parse(text) if len(piece.split()) > 2]


ENGLISH = words_of("en").texts
FOREIGN_TO = {
    language: {
        key: text
        for key, text in ENGLISH.items()
        if text not in set(words_of(language).texts.values()) and not key.startswith("format.")
    }
    for language in LANGUAGES
    if language != "en"
}


def english_in(shown: str, language: str) -> list[str]:
    """The keys of our English texts that stand on a page of another language."""
    return [
        key for key, text in FOREIGN_TO[language].items()
        if shown == text or any(piece in shown for piece in pieces(text))
    ]  # fmt: skip


@pytest.fixture
def api(folder: SiteFolder, sign_in: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> Iterator[ManageApi]:
    """A control API, and an administrator who looks at the pages."""
    sign_in("admin")
    folder.write("api_token", "token-of-the-administrator")
    with serving() as made:
        monkeypatch.setenv("EVQUOTA_API_URL", made.url)
        yield made


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("site", "language"), PAIRS)
def test_every_page_is_right(
    site: str, language: str, folder: SiteFolder, api: ManageApi, run_app: Callable[..., AppTest]
) -> None:
    """No exception, nothing of others as markup, no endless text, no key instead of a text, no foreign language."""
    SITES[site](folder, api)
    code = next(code for code, name in LANGUAGES.items() if name == language)
    wrong = []
    for page in EVERY_PAGE:
        app = run_app(page, language)
        assert words_of(code)(f"pages.{page}.title") in app.header[0].value
        wrong += [f"{page}: {what}" for what in wrong_texts(app, code)]

    assert wrong == []


def wrong_texts(app: AppTest, language: str) -> Iterator[str]:
    for name, text in texts_in(app):
        text.encode()
        active = ESCAPED.sub("·", text)  # what is left is not escaped
        if name not in NO_MARKDOWN:
            yield from (f"{name} has {markup}" for markup in MARKUP if markup in active)
        if "x" * 1001 in text:
            yield f"{name} is endless"
        keys = set(re.findall(r"[a-z_]+(?:\.\w+)+", text)) & ENGLISH.keys()
        yield from (f"{name} shows the key {key}" for key in keys)
        if language != "en":
            yield from (f"{name} is English, {key}: {text[:80]}" for key in english_in(text, language))
    for cell in tables_in(app):
        if "x" * 1001 in cell or "\u202e" in cell or "\n" in cell:
            yield f"a cell has {cell[:50]!r}"
        if language != "en":
            yield from (f"a cell is English, {key}: {cell[:80]}" for key in english_in(cell, language))


@pytest.mark.prove
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", [*THE_FIVE, *THE_SERVERS])
def test_one_corrupt_file_takes_no_page_away(
    name: str, folder: SiteFolder, api: ManageApi, run_app: Callable[..., AppTest]
) -> None:
    """In whatever way it is corrupt."""
    normal(folder, api)
    for content in CORRUPT:
        folder.write(name, content)
        for page in EVERY_PAGE:
            assert run_app(page).header[0].value
