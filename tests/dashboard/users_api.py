"""The part of the control API that speaks of users, over real HTTP: a table with versions, and what it was asked."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

BLANK = {
    "name": "", "surname": "", "quota_kwh": None, "unlimited": False, "expiry_date": None, "blocked": False,
    "email": "", "note": "", "remaining_kwh": 12.5,
}  # fmt: skip


class UsersApi:
    """Each edit makes a new version; an edit of another version is refused with 412, as by the server."""

    def __init__(self, *users: dict[str, Any]) -> None:
        self.users = {user["id_tag"]: {**BLANK, "account": user["id_tag"], **user} for user in users}
        self.version = 1
        self.asked: list[tuple[str, str, Any]] = []
        self.adjustment_status = 201

    @property
    def etag(self) -> str:
        return f'"v{self.version}"'

    def answer(self, method: str, path: str, body: Any, if_match: str | None) -> tuple[int, Any]:
        """Give status and document."""
        self.asked.append((method, path, body))
        if path == "/api/v1/adjustments":
            return self.adjustment_status, {"detail": "more than was used"}
        tag = unquote(path.removeprefix("/api/v1/users").removeprefix("/"))
        if method == "GET":
            return 200, self.users[tag] if tag else {"users": list(self.users.values()), "next": None}
        if if_match not in {None, self.etag}:
            return 412, {"detail": "users1.csv has changed"}
        self.version += 1
        if method == "POST":
            tag = body["id_tag"]
            self.users[tag] = {**BLANK, "account": tag, **body}
        elif method == "PATCH":
            self.users[tag] |= body
        else:
            del self.users[tag]
        return 201 if method == "POST" else 200, {"remarks": [f"remark on {tag}"] if tag == "odd" else []}


@contextmanager
def serving(api: UsersApi) -> Iterator[str]:
    """Serve while the block runs; gives the address."""

    class Handler(BaseHTTPRequestHandler):
        def serve(self) -> None:
            length = int(self.headers["Content-Length"] or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            status, document = api.answer(self.command, urlsplit(self.path).path, body, self.headers["If-Match"])
            content = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("ETag", api.etag)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_DELETE = serve  # noqa: N815 - names that http.server calls

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
