"""What the dashboard asks of the control API and has done by it. It carries the rights of whoever looks at the page."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import requests
from urllib3.exceptions import NewConnectionError

from dashboard.login.visitor import Role, Visitor

URL_VARIABLE: Final = "EVQUOTA_API_URL"
DEFAULT_URL: Final = "http://127.0.0.1:9001"
TOKEN_FILES: Final = {Role.VIEWER: "api_viewer_token", Role.ADMIN: "api_token"}
CONNECT_TIMEOUT_S: Final = 3
ANSWER_TIMEOUT_S: Final = 45
"""A charge point may take 30 s to answer a command."""
NO_ANSWER: Final = 504
"""The status of what was sent and not answered, by the server or, as the server says, by a charge point."""
IO_ERRORS: Final = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)


class ApiProblem(Exception):  # noqa: N818 - the word of RFC 9457
    """The API did not do it, or nobody knows (NO_ANSWER). `detail` is for a person.

    `status` is its HTTP status, 0 if it could not be reached.
    """

    def __init__(self, status: int, detail: str, members: Mapping[str, Any]) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.members = members


@dataclass(frozen=True, slots=True)
class Answered:
    """A good answer: its JSON (None without a body) and its ETag."""

    body: Any
    etag: str = ""


@dataclass(frozen=True, slots=True)
class ControlApi:
    """The API with one visitor's token; without a token every request is refused."""

    url: str
    token: str = field(repr=False)
    by: str = ""

    def get(self, path: str, **query: object) -> Any:
        """Give the JSON of a resource; raises ApiProblem."""
        return self.ask("GET", path, query=query).body

    def post(self, path: str, body: Any = None) -> Any:
        """Have something done; raises ApiProblem."""
        return self.ask("POST", path, body=body).body

    def health(self) -> Any:
        """Give the JSON of /healthz, also where something is wrong (503); raises ApiProblem."""
        try:
            return self.ask("GET", "/healthz", root="").body
        except ApiProblem as problem:
            if problem.status != 503 or "checks" not in problem.members:
                raise
            return problem.members

    def ask(
        self, method: str, path: str, *, body: Any = None, query: Mapping[str, object] | None = None, etag: str = "",
        root: str = "/api/v1",
    ) -> Answered:  # fmt: skip
        """Send one request; `path` begins with a slash, its parts made by `part`. Raises ApiProblem."""
        headers = {"Authorization": f"Bearer {self.token}"}
        if self.by:
            headers["X-Requested-By"] = self.by.encode("ascii", "replace").decode()
        if etag:
            headers["If-Match"] = etag
        asked = {key: str(value) for key, value in (query or {}).items() if value is not None}
        try:
            with requests.Session() as session:
                session.trust_env = False  # no proxy of the environment is to see the token
                answer = session.request(
                    method, f"{self.url}{root}{path}", json=body, params=asked, headers=headers,
                    timeout=(CONNECT_TIMEOUT_S, ANSWER_TIMEOUT_S), allow_redirects=False,
                )  # fmt: skip
        except requests.RequestException as error:
            raise ApiProblem(0 if _was_never_sent(error) else NO_ANSWER, "", {}) from error
        content = _json(answer)
        if answer.ok:
            return Answered(content, answer.headers.get("ETag", ""))
        members = content if isinstance(content, dict) else {}
        raise ApiProblem(answer.status_code, str(members.get("detail", answer.reason)), members)


def connect(visitor: Visitor, folder: Path) -> ControlApi:
    """Give the API for a visitor: the token is read anew, for a server may have been set up again meanwhile.

    Who did not log in has no token, whatever the role: the pages may run without the gate.
    """
    try:
        token = (folder / TOKEN_FILES[visitor.role]).read_text(encoding="ascii").strip() if visitor.name else ""
    except (OSError, KeyError, UnicodeDecodeError):
        token = ""
    return ControlApi(os.environ.get(URL_VARIABLE, DEFAULT_URL).rstrip("/"), token, visitor.name)


def part(text: str) -> str:
    """Give a part of a path with everything encoded, a slash too: ids of charge points may have one."""
    return quote(text, safe="", errors="replace")


def _was_never_sent(error: requests.RequestException) -> bool:
    """Nothing was done for sure; else the server may have done it, and its answer never came."""
    if isinstance(error, requests.ConnectTimeout) or not isinstance(error, IO_ERRORS):
        return True
    cause = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(cause, NewConnectionError)


def _json(answer: requests.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None
