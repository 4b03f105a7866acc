"""The sessions page: what it finds among the finished ones, its downloads, and stopping a running one."""

import csv
import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from zoneinfo import ZoneInfo

import pytest
from archive_folder import ArchiveFolder
from site_folder import SiteFolder, session
from streamlit.testing.v1 import AppTest

from dashboard import finished_sessions
from dashboard.archive_files import FinishedSession
from dashboard.exports import csv_of
from dashboard.records import Wh
from dashboard.texts import words_of

ENGLISH = words_of("en")
ISTANBUL = ZoneInfo("Europe/Istanbul")
SESSIONS_CSV = (
    '\ufeff"transaction","charger_id","charger","connector","id_tag","name","start","end","start_utc","end_utc",'
    '"energy_kwh","duration_min","reason","flags"\r\n'
    '59,"CP_01","Gate left",1,"RFID001","John Doe","2025-01-15 13:30:00","2025-01-15 15:02:11",'
    '"2025-01-15T10:30:00Z","2025-01-15T12:02:11Z",11.04,92,"quota reached","30 Wh over the quota"\r\n'
)


def finished(transaction_id: str, end: datetime | None, **more: object) -> FinishedSession:
    fields = {
        "transaction_id": transaction_id, "charge_point_id": "CP", "charge_point": "Gate", "connector": 1,
        "id_tag": "RFID001", "person": "Ayşe Yılmaz", "start": end and end - timedelta(hours=1), "end": end,
        "energy": Wh(11_040), "duration_min": 60, "reason": "quota reached",
    }  # fmt: skip
    return FinishedSession(**(fields | more))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, ["3", "2", "1", "0"]),
        ({"query": "YILMAZ gate"}, ["3", "1", "0"]),
        ({"query": "nobody"}, []),
        ({"charge_points": ["Yard"]}, ["2"]),
        ({"reasons": ["other"]}, ["3"]),
        ({"days": (date(2025, 1, 16), date(2025, 1, 16))}, ["2"]),
        ({"days": (date(2025, 1, 15), date(2025, 1, 16))}, ["2", "1"]),
    ],
)
def test_all_filters_must_fit_and_days_are_the_sites(filters: dict[str, object], found: list[str]) -> None:
    """22:00 UTC is the next day in Istanbul; a session without an end is on no day."""
    sessions = [
        finished("0", None),
        finished("1", datetime(2025, 1, 15, 12, tzinfo=UTC)),
        finished("2", datetime(2025, 1, 15, 22, tzinfo=UTC), charge_point="Yard"),
        finished("3", datetime(2025, 1, 20, 12, tzinfo=UTC), reason="other"),
    ]

    shown = finished_sessions.found(sessions, zone=ISTANBUL, **filters)  # type: ignore[arg-type]

    assert [each.transaction_id for each in shown] == found


def test_the_file_holds_what_is_shown_with_whole_texts_and_no_formula() -> None:
    """Times by the site's clock, energy exact, the reason in words; a name that begins with = is text."""
    sessions = [finished("59", datetime(2025, 1, 15, 12, 2, 11, tzinfo=UTC), person="=1+1", reason="other")]

    content = csv_of(finished_sessions.export_of(sessions, ENGLISH, ISTANBUL), has_decimal_comma=True)

    headings, row = csv.reader(StringIO(content.decode("utf-8-sig"), newline=""), delimiter=";")
    assert dict(zip(headings, row, strict=True)) == {
        "Transaction": "59", "Begin": "2025-01-15 14:02:11", "End": "2025-01-15 15:02:11", "Person": "'=1+1",
        "Card": "RFID001", "Charger": "Gate", "Connector": "1", "Session kWh": "11,04", "Minutes": "60",
        "Ended by": "other", "Remarks": "",
    }  # fmt: skip


def test_finished_sessions_are_listed_with_the_reason_in_words(
    folder: SiteFolder, run_app: Callable[..., AppTest]
) -> None:
    """In the language of the page; the sum below is of what is shown."""
    folder.write_five()
    folder.write_server()
    (folder.path / "archive").mkdir()
    (folder.path / "archive" / "sessions-2025-01.csv").write_text(SESSIONS_CSV, encoding="utf-8", newline="")

    app = run_app("sessions", "Türkçe")

    row = app.dataframe[1].value.iloc[0]
    assert (row["person"], row["energy"], row["minutes"], row["flags"]) == (
        "John Doe", 11.04, 92, "30 Wh over the quota",
    )  # fmt: skip
    assert row["reason"] == words_of("tr")("reasons.quota reached")
    assert "1 oturum, 11,0 kWh" in [caption.value for caption in app.caption]


def test_a_viewer_has_no_stop(folder: SiteFolder, run_app: Callable[..., AppTest]) -> None:
    """Nor would the API do it."""
    folder.write_five()
    folder.write_server()

    assert "stop" not in run_app("sessions").dataframe[0].value.columns


class Api:
    """A control API of one answer, and what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str, str]] = []
        self.status = 202
        self.body: object = {"transaction_id": 17, "state": "stopping"}
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                headers = self.headers
                api.asked.append((self.command, self.path, headers["Authorization"], headers["X-Requested-By"]))
                content = json.dumps(api.body).encode()
                self.send_response(api.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST  # noqa: N815 - the name that http.server calls

            def log_message(self, *_: object) -> None:
                """Nobody reads it."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """A real HTTP server that the page asks."""
    made = Api()
    monkeypatch.setenv("EVQUOTA_API_URL", f"http://127.0.0.1:{made.server.server_port}")
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def dialog_script() -> None:
    from dashboard import session_dialogs

    session_dialogs.stop("17")


def test_stopping_asks_first_and_then_tells_what_became_of_it(folder: SiteFolder, api: Api) -> None:
    """Accepted is not the end: the session has ended when it has gone from the file."""
    folder.write_five()
    folder.write_server()

    app = AppTest.from_function(dialog_script, default_timeout=30).run()
    assert "John Doe" in app.markdown[0].value
    assert not api.asked
    app.button(key="stop_yes").click().run()

    assert api.asked[0][:2] == ("POST", "/api/v1/transactions/17/stop")
    api.body = {"stop": {"result": "Rejected", "attempts": 2}}
    app.run()
    assert "Rejected, 2 tried" in app.info[0].value
    folder.write("active_transactions.json", {})
    app.run()
    assert not app.exception
    assert [toast.value for toast in app.toast] == ["It had ended already."]


@pytest.mark.parametrize(
    ("status", "said"),
    [(403, "may not do that"), (404, "not there any more. (no session)"), (500, "did not do it")],
)
def test_a_refusal_is_told_and_never_taken_for_a_stop(folder: SiteFolder, api: Api, status: int, said: str) -> None:
    """With the server's own words, harmless."""
    folder.write_five()
    folder.write_server()
    api.status, api.body = status, {"detail": "no session"}

    app = AppTest.from_function(dialog_script, default_timeout=30).run()
    app.button(key="stop_yes").click().run()

    assert said in app.error[0].value
    assert not app.info


def test_a_server_that_cannot_be_reached_is_told(folder: SiteFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was done."""
    monkeypatch.setenv("EVQUOTA_API_URL", "http://127.0.0.1:9")
    folder.write_five()

    app = AppTest.from_function(dialog_script, default_timeout=30).run()
    app.button(key="stop_yes").click().run()

    assert app.error[0].value == ENGLISH("asking.unreachable")


def test_a_session_of_another_charger_with_a_hostile_name_is_asked_about_as_text(folder: SiteFolder, api: Api) -> None:
    """The dialog is Markdown."""
    folder.write("active_transactions.json", {"17": session(datetime.now(UTC), full_name="**x** <b>")})

    app = AppTest.from_function(dialog_script, default_timeout=30).run()

    assert r"\*\*x\*\* \<b\>" in app.markdown[0].value.replace("\u2060", "")
    assert not api.asked


def test_a_month_with_energy_and_no_finished_session_is_not_called_unreadable(
    folder: SiteFolder, run_app: Callable[..., AppTest]
) -> None:
    """The server writes the file of sessions when the first one ends."""
    folder.write_five()
    folder.write_server()
    ArchiveFolder(folder).write_energy("2026-11", {"CP_01": {"2026-11-20T10:00+03:00": 1.5}}, {})

    app = run_app("sessions", "Türkçe")

    assert words_of("tr")("sessions.none_in_month") in [caption.value for caption in app.caption]
    assert "not there" not in "".join(caption.value for caption in app.caption)
