"""Stands before Streamlit, for HTTP and for the websocket: nothing of the dashboard is told without a session.

Pure ASGI. It knows no list of what is to be protected: all is, but the login's own pages.

What counts as use of a session: loading a page, and what a person does on one. An open page also asks by itself, every
few seconds (`is_auto_rerun`), and once whenever its line is back; neither counts, so a forgotten screen is signed out.
"""

import asyncio
import base64
import hashlib
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import quote

import streamlit
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from dashboard.login.local_requests import OWN_PATHS, is_encrypted, is_from_here, local_path
from dashboard.login.signing import Session, Sessions

CHECK_EVERY_S: Final = 2.0
"""So soon an open page notices that its session is over."""
_STREAMLITS_OWN: Final = re.compile(r"/(?:_stcore|static|media|component|app/static)(?:/|$)")
_POLICY_VIOLATION: Final = 1008
_SCRIPT: Final = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


def _inline_scripts() -> str:
    """The hashes of the scripts that Streamlit's page holds itself, so that no other one can be slipped in."""
    page = Path(streamlit.__file__).with_name("static") / "index.html"
    found = _SCRIPT.findall(page.read_bytes()) if page.is_file() else []
    return " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(one).digest()).decode()}'" for one in found)


CONTENT_SECURITY_POLICY: Final = (
    f"default-src 'self'; script-src 'self' {_inline_scripts()}; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; media-src 'self' data: blob:; worker-src 'self' blob:; "
    "connect-src 'self'; frame-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
"""Emotion, which draws Streamlit's page, writes style elements."""
_HEADERS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # with no-referrer, a browser says `Origin: null` of its own forms
}


class Gate:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, sessions: Sessions) -> None:
        self._app = app
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let through what belongs to a session."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self._http(scope, receive, _with_headers(send))

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in OWN_PATHS:
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        session = self._sessions.read(connection.cookies.get(self._sessions.cookie))
        is_page = scope["method"] in {"GET", "HEAD"} and not _STREAMLITS_OWN.match(scope["path"])
        if session is None:
            await _refuse(connection, is_page=is_page)(scope, receive, send)
            return
        if is_page:
            self._sessions.use(session)
            send = self._with_new_cookie(session, connection, send)
        await self._app(scope, receive, send)

    def _with_new_cookie(self, session: Session, connection: HTTPConnection, send: Send) -> Send:
        renewed = self._sessions.renewed(session)
        if renewed is None:
            return send
        cookie = cookie_header(self._sessions.cookie, self._sessions.sign(renewed), is_secure=is_encrypted(connection))

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.append("Set-Cookie", cookie)
                headers["Cache-Control"] = "no-store"
            await send(message)

        return sending

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = HTTPConnection(scope)
        session = self._sessions.read(connection.cookies.get(self._sessions.cookie))
        if session is None or not is_from_here(connection, needs_own_page=False):
            await receive()  # websocket.connect; to close before accepting it is HTTP's 403
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
            return
        watched = _WatchedLine(self._sessions, session, receive, send)
        await self._app(scope, watched.receive, watched.send)


class _WatchedLine:
    """One open websocket: tells what is use, and closes it when its session is over."""

    def __init__(
        self,
        sessions: Sessions,
        session: Session,
        receive: Receive,
        send: Send,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sessions = sessions
        self._session = session
        self._receive = receive
        self._send = send
        self._now = now
        self._checked_at = now()
        self._is_first = True
        self._is_over = False

    async def receive(self) -> Message:
        """The next message, or the end."""
        while not self._is_over:
            message = await self._next()
            if message is not None and message["type"] == "websocket.disconnect":
                return message
            is_use = message is not None and self._is_use(message)
            if is_use or self._now() - self._checked_at >= CHECK_EVERY_S:
                self._checked_at = self._now()
                if not self._sessions.is_alive(self._session):
                    await self._close()
                    continue
            if is_use:
                self._sessions.use(self._session)
            if message is not None:
                return message
        return {"type": "websocket.disconnect", "code": _POLICY_VIOLATION}

    async def send(self, message: Message) -> None:
        """Nothing more is told once it is over."""
        if not self._is_over:
            await self._send(message)

    async def _close(self) -> None:
        """With the message of Streamlit's own logout: the page goes to the login by itself."""
        self._is_over = True
        farewell = ForwardMsg()
        farewell.auth_redirect.url = "/login?over"
        await self._send({"type": "websocket.send", "bytes": farewell.SerializeToString()})
        await self._send({"type": "websocket.close", "code": _POLICY_VIOLATION})

    async def _next(self) -> Message | None:
        """None when it is time to look at the session again."""
        left = self._checked_at + CHECK_EVERY_S - self._now()
        try:
            async with asyncio.timeout(max(left, 0.0)):
                return await self._receive()
        except TimeoutError:
            return None

    def _is_use(self, message: Message) -> bool:
        asked = BackMsg()
        try:
            asked.ParseFromString(message.get("bytes") or b"")
        except DecodeError:
            return False
        if asked.WhichOneof("type") != "rerun_script" or asked.rerun_script.is_auto_rerun:
            return False
        is_first, self._is_first = self._is_first, False
        return not is_first


def cookie_header(name: str, value: str, *, is_secure: bool, is_over: bool = False, same_site: str = "Lax") -> str:
    """For as long as the browser is open; how long it holds, the server decides."""
    age = "; Max-Age=0" if is_over else ""
    return f"{name}={value}; Path=/; HttpOnly; SameSite={same_site}{age}{'; Secure' if is_secure else ''}"


def _refuse(connection: HTTPConnection, *, is_page: bool) -> PlainTextResponse | RedirectResponse:
    if not is_page:
        return PlainTextResponse("sign in first\n", 401, {"Cache-Control": "no-store"})
    path, query = (connection.scope[part].decode("latin-1") for part in ("raw_path", "query_string"))
    after = local_path(f"{path}?{query}" if query else path)
    target = "/login" if after == "/" else f"/login?next={quote(after, safe='')}"
    return RedirectResponse(target, 303, {"Cache-Control": "no-store"})


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sending
