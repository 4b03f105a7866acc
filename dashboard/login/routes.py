"""/login, /logout and /healthz."""

import asyncio
import hmac
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeAlias
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from dashboard.login import pages
from dashboard.login.accounts import Account
from dashboard.login.gate import cookie_header
from dashboard.login.local_requests import address_of, is_encrypted, is_from_here, local_path
from dashboard.login.passwords import is_password
from dashboard.login.signing import Session, Sessions
from dashboard.login.texts import Texts, texts_for
from dashboard.login.throttle import Throttle, counted_as

log = logging.getLogger(__name__)

MAKE_ACCOUNTS: Final = "python -m dashboard prepare"
_LARGEST_FORM: Final = 16 * 1024
_MOST_HELD_BACK: Final = 1_000
_HASHES_AT_ONCE: Final = 2
"""Each takes 32 MiB and a core."""
_FORM: Final = "application/x-www-form-urlencoded"
Draw: TypeAlias = Callable[[str], str]


@dataclass(slots=True)
class Login:
    """What is told and asked before there is a session."""

    sessions: Sessions
    site_name: str
    throttle: Throttle = field(default_factory=Throttle)
    hashing: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_HASHES_AT_ONCE))
    throttled: set[str] = field(default_factory=set)
    """Addresses of which the log says already that they are held back."""

    def routes(self) -> list[Route]:
        """For `st.App`."""
        return [
            Route("/login", self.show_login, methods=["GET"]),
            Route("/login", self.log_in, methods=["POST"]),
            Route("/logout", self.show_logout, methods=["GET"]),
            Route("/logout", self.log_out, methods=["POST"]),
            Route("/healthz", self.health, methods=["GET"]),
        ]

    async def health(self, _request: Request) -> Response:
        """That this process answers, and nothing of the site."""
        return JSONResponse({"status": "ok"}, headers={"Cache-Control": "no-store"})

    async def show_login(self, request: Request) -> Response:
        """The form."""
        texts = _texts(request)
        problem = texts.over if "over" in request.query_params else ""
        return self._form(request, 200, problem, after=request.query_params.get("next", "/"))

    async def log_in(self, request: Request) -> Response:
        """A cookie for the right password."""
        texts = _texts(request)
        form = await _read_form(request)
        if form is None or not is_from_here(request, needs_own_page=True):
            return self._form(request, 403, texts.foreign)
        after, user = form.get("next", "/"), form.get("user", "").strip().casefold()
        if not self._is_own_form(request, form):
            return self._form(request, 403, texts.stale, after=after, user=user)
        account = self.sessions.accounts.get(user)
        address = address_of(request)
        wait_s = self.throttle.take(address, account.name if account else "")
        if wait_s > 0:
            self._tell_throttled(address)
            problem = texts.later.format(minutes=math.ceil(wait_s / 60))
            return self._form(request, 429, problem, {"Retry-After": str(math.ceil(wait_s))}, after=after, user=user)
        self.throttled.discard(counted_as(address))
        if account is None or not await self._is_right(form.get("password", ""), account):
            log.warning("[LOGIN] wrong account=%s address=%s", _name(account), counted_as(address))
            return self._form(request, 403, texts.wrong, after=after, user=user)
        self.throttle.succeeded(address, account.name)
        log.info("[LOGIN] signed in account=%s address=%s", account.name, counted_as(address))
        return self._signed_in(request, account, after)

    async def show_logout(self, request: Request) -> Response:
        """The question."""
        session = self._session(request)
        if session is None:
            return RedirectResponse("/login", 303, {"Cache-Control": "no-store"})
        return self._page(
            request,
            200,
            lambda token: pages.logout_page(_texts(request), self.site_name, token=token, name=session.account),
        )

    async def log_out(self, request: Request) -> Response:
        """The session is over, on every page that it has open."""
        form = await _read_form(request)
        if form is None or not is_from_here(request, needs_own_page=True) or not self._is_own_form(request, form):
            return self._form(request, 403, _texts(request).foreign)
        session = self._session(request)
        if session is not None:
            self.sessions.end(session)
            log.info("[LOGIN] signed out account=%s address=%s", session.account, counted_as(address_of(request)))
        answer = self._form(request, 200, _texts(request).signed_out)
        gone = cookie_header(self.sessions.cookie, "", is_secure=is_encrypted(request), is_over=True)
        answer.headers.append("Set-Cookie", gone)
        return answer

    def _signed_in(self, request: Request, account: Account, after: str) -> Response:
        before = self._session(request)
        if before is not None:
            self.sessions.end(before)
        session = self.sessions.begin(account)
        answer = RedirectResponse(local_path(after), 303, {"Cache-Control": "no-store"})
        cookie = cookie_header(self.sessions.cookie, self.sessions.sign(session), is_secure=is_encrypted(request))
        answer.headers.append("Set-Cookie", cookie)
        return answer

    def _session(self, request: Request) -> Session | None:
        return self.sessions.read(request.cookies.get(self.sessions.cookie))

    async def _is_right(self, password: str, account: Account) -> bool:
        async with self.hashing:
            return await asyncio.to_thread(is_password, password, account.password_hash)

    def _tell_throttled(self, address: str) -> None:
        """Once for each address until it may try again: a flood does not fill the disk."""
        counted = counted_as(address)
        if counted not in self.throttled:
            if len(self.throttled) >= _MOST_HELD_BACK:
                self.throttled.clear()
            self.throttled.add(counted)
            log.warning("[LOGIN] held back address=%s", counted)

    def _is_own_form(self, request: Request, form: dict[str, str]) -> bool:
        """The same token in the cookie and in the form, made by us: no other site can know or set both."""
        given, kept = form.get("token", ""), request.cookies.get(self._form_cookie, "")
        return hmac.compare_digest(given.encode(), kept.encode()) and self.sessions.is_form_token(given)

    @property
    def _form_cookie(self) -> str:
        return f"{self.sessions.cookie}_form"

    def _form(
        self,
        request: Request,
        status: int,
        problem: str = "",
        headers: dict[str, str] | None = None,
        *,
        after: str = "/",
        user: str = "",
    ) -> Response:
        texts = _texts(request)
        if not self.sessions.accounts.are_there:
            return self._page(
                request, 503, lambda _token: pages.nobody_page(texts, self.site_name, MAKE_ACCOUNTS), headers
            )
        return self._page(
            request,
            status,
            lambda token: pages.login_page(
                texts, self.site_name, token=token, after=local_path(after), user=user[:100], problem=problem
            ),
            headers,
        )

    def _page(self, request: Request, status: int, draw: Draw, headers: dict[str, str] | None = None) -> Response:
        """A page with a form token; several open forms share one."""
        token = request.cookies.get(self._form_cookie, "")
        is_new = not self.sessions.is_form_token(token)
        if is_new:
            token = self.sessions.form_token()
        always = {
            "Cache-Control": "no-store",
            "Content-Security-Policy": pages.CONTENT_SECURITY_POLICY,
            "Content-Language": _texts(request).language,
            "Vary": "Accept-Language",
        }
        answer = HTMLResponse(draw(token), status, always | (headers or {}))
        if is_new:
            cookie = cookie_header(self._form_cookie, token, is_secure=is_encrypted(request), same_site="Strict")
            answer.headers.append("Set-Cookie", cookie)
        return answer


def _texts(request: Request) -> Texts:
    return texts_for(request.headers.get("accept-language", ""))


def _name(account: Account | None) -> str:
    return account.name if account else "unknown"


async def _read_form(request: Request) -> dict[str, str] | None:
    """The fields of a form; None for what is none, or a large one. The first of several of one name counts."""
    if request.headers.get("content-type", "").partition(";")[0].strip().casefold() != _FORM:
        return None
    content = b""
    async for piece in request.stream():
        content += piece
        if len(content) > _LARGEST_FORM:
            return None
    try:
        fields = parse_qs(content.decode("ascii"), keep_blank_values=True, max_num_fields=20, errors="strict")
    except ValueError:
        return None
    return {name: values[0] for name, values in fields.items()}
