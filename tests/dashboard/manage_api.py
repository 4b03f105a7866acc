"""A control API over real HTTP that answers what a test tells it, and keeps what it was asked."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from streamlit.testing.v1 import AppTest

PROJECT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Asked:
    """One request. `path` is as it was sent, still encoded."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    etag: str
    by: str


class ManageApi:
    """`answers` by method and path; what is not in there is 404, as of a server without that route."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.answers: dict[tuple[str, str], tuple[int, Any]] = {}
        self.etag = '"first"'
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                length = int(self.headers["Content-Length"] or 0)
                sent, url = self.rfile.read(length), urlsplit(self.path)
                asked = Asked(
                    self.command, url.path.removeprefix("/api/v1"), dict(parse_qsl(url.query)),
                    json.loads(sent) if sent else None, self.headers["If-Match"] or "",
                    self.headers["X-Requested-By"] or "",
                )  # fmt: skip
                api.asked.append(asked)
                unknown = (404, {"title": "Not Found", "status": 404, "detail": "Not Found"})
                status, body = api.answers.get((asked.method, asked.path), unknown)
                content = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("ETag", api.etag)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_PATCH = do_GET  # noqa: N815 - the names that http.server calls

            def log_message(self, *_: object) -> None:
                """Nobody reads it."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, method: str, path: str, body: Any = None, status: int = 200) -> None:
        self.answers[method, path] = (status, body)

    def refuse(self, method: str, path: str, status: int, detail: str, **members: str) -> None:
        self.answer(method, path, {"title": "", "status": status, "detail": detail, **members}, status)

    def done(self) -> list[tuple[str, str, Any]]:
        """Everything that was asked for beside reading."""
        return [(each.method, each.path, each.body) for each in self.asked if each.method != "GET"]

    def read(self, path: str) -> list[dict[str, str]]:
        """The queries with which a resource was read."""
        return [each.query for each in self.asked if (each.method, each.path) == ("GET", path)]


@contextmanager
def serving() -> Iterator[ManageApi]:
    """Answer while the block runs."""
    made = ManageApi()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield made
    finally:
        made.server.shutdown()
        thread.join()
        made.server.server_close()


def open_page(page: str, language: str = "English", state: dict[str, Any] | None = None, **query: str) -> AppTest:
    """Run a page of administrators once; an exception in it fails the test."""
    app = AppTest.from_file(str(PROJECT / "dashboard" / "app.py"), default_timeout=60)
    app.query_params["lang"] = language
    for key, value in query.items():
        app.query_params[key] = value
    for key, value in (state or {}).items():
        app.session_state[key] = value
    app.switch_page(f"app_pages/{page}.py").run()
    assert not app.exception
    return app


def texts(app: AppTest) -> str:
    """All that stands there in sentences."""
    shown = (*app.error, *app.warning, *app.info, *app.success, *app.caption, *app.markdown, *app.code)
    return "\n".join(str(element.value) for element in shown)


def charge_point(charge_point_id: str, **more: Any) -> dict[str, Any]:
    return {
        "id": charge_point_id, "name": "", "brand": "", "energy_unit": None, "max_kw": None, "access": "quota",
        "ping": True, "configure": True, "note": "", "admission": "approved", "connected": True,
        "security_profile": 0, "min_security_profile": 0, "has_key": False, "address": "", "vendor": "Generic",
        "model": "AC-22", "first_seen": "2026-11-20T08:00:00Z", "last_seen": "2026-11-20T09:00:00Z", "sessions": 0,
    } | more  # fmt: skip


def alert(alert_id: str, kind: str = "charge point silent", **more: Any) -> dict[str, Any]:
    return {
        "id": alert_id, "kind": kind, "severity": "warning", "text": f"text of {alert_id}",
        "since": "2026-11-20T08:00:00Z", "charge_point_id": "CP_01", "transaction_id": None, "state": "open",
        "acknowledged_at": None, "acknowledged_by": "",
    } | more  # fmt: skip


def set_aside(number: int, **more: Any) -> dict[str, Any]:
    return {
        "number": number, "kind": "reading", "state": "open", "at": "2026-11-20T08:00:00Z",
        "since": "2026-11-20T07:50:00Z", "received_at": "2026-11-20T08:00:01.5Z", "charge_point_id": "CP_01",
        "connector_id": 1, "transaction_id": 59, "id_tag": "RFID001", "reason": "more than could be delivered",
        "figures": {"deliverable_wh": "2083"}, "register_before_wh": 1500, "register_after_wh": 90_000_000_000,
        "wh": 89_998_500, "is_on_quota": True, "booked_wh": None, "decided_at": None, "decided_by": "",
        "decision_reason": "",
    } | more  # fmt: skip


def orphan(number: int, **more: Any) -> dict[str, Any]:
    known = {"kind": "orphan", "since": None, "transaction_id": 4711, "id_tag": "", "wh": None, "connector_id": None}
    return set_aside(number, **(known | {"register_before_wh": None, "register_after_wh": 99_000} | more))


def destination(name: str, state: str = "ok", **more: Any) -> dict[str, Any]:
    return {
        "name": name, "outbox": "readings", "state": state, "reason": None, "backlog": 0, "delivered": 10,
        "failures": 0, "set_aside": 0, "lost": 0, "lost_since": None, "lost_at": None, "last_error": None,
        "last_error_at": None, "last_delivered_at": "2026-11-20T08:00:00Z",
    } | more  # fmt: skip


def deed(number: int, **more: Any) -> dict[str, Any]:
    return {
        "number": number, "at": "2026-11-20T08:00:00Z", "by": "admin", "kind": "adjusted", "what": "adjusted by 5 kWh",
        "charge_point_id": "", "transaction_id": None, "id_tag": "RFID001", "figures": {"reason": "guest"},
    } | more  # fmt: skip


def message(number: int, **more: Any) -> dict[str, Any]:
    return {
        "number": number, "at": "2026-11-20T08:00:00.123Z", "direction": "received", "kind": "call",
        "action": "Heartbeat", "message_id": str(number), "payload": {}, "error_code": "", "error_description": "",
        "latency_ms": None, "size": 30, "excerpt": "", "reason": "",
    } | more  # fmt: skip


HEALTH = {"status": "ok", "checks": [{"name": "listening", "ok": True, "detail": "charge points can connect"}]}
SETTING = {
    "name": "EVQUOTA_API_PORT", "value": "9001", "default": "9001", "is_default": True,
    "description": "Port of the control API.",
}  # fmt: skip
MONTH = {
    "open_month": "2026-11", "clock_month": "2026-11", "suspect": None, "suspect_since": None, "remedy": "none",
}  # fmt: skip


def answer_normally(api: ManageApi) -> None:
    """A site where all is well: every list has an entry."""
    waiting = charge_point("NEW_1", admission="pending", address="10.0.0.7")
    api.answer("GET", "/charge-points", {"charge_points": [waiting, charge_point("CP_01", name="Gate")]})
    api.answer("GET", "/charge-points/CP_01", charge_point("CP_01", name="Gate"))
    api.answer("GET", "/charge-points/CP_01/leaks", {"charge_point": "CP_01", "leaks": []})
    kept = {"messages": [message(1)], "next": None, "dropped": 0, "is_recording": True}
    api.answer("GET", "/charge-points/CP_01/messages", kept)
    api.answer("GET", "/set-aside", {"set_aside": [set_aside(1), orphan(2)], "next": None})
    api.answer("GET", "/alerts", {"alerts": [alert("silent-CP_01")]})
    api.answer("GET", "/alerts/history", {"notes": [deed(1) | {"text": "alert: raised"}], "next": None})
    api.answer("GET", "/healthz", HEALTH)
    api.answer("GET", "/month", MONTH)
    api.answer("GET", "/destinations", {"destinations": [destination("forwarder")]})
    api.answer("GET", "/audit", {"audit": [deed(1)], "next": None})
    api.answer("GET", "/settings", {"settings": [SETTING]})
