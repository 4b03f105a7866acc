"""Sessions: a signed cookie says who logged in and when it was used last; this process knows what came after.

The cookie can be renewed by an HTTP answer only, but a page that is open lives on its websocket. So the last use is the
later one of what the cookie says and what was seen since by this process; a restart forgets the latter.
"""

import hashlib
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from itsdangerous import BadData, URLSafeSerializer

from dashboard.login.accounts import Account, Accounts, Role
from dashboard.login.private_file import Json, PrivateFile

FILE: Final = "dashboard_sessions.json"
LONGEST_S: Final = 30 * 86_400
"""So long a session lasts at most, however much it is used."""
FORM_LASTS_S: Final = 12 * 3_600
_FUTURE_S: Final = 300
"""A clock that was set back by more than this ends the sessions."""
_RENEW_AFTER_S: Final = 60
_MOST_KNOWN: Final = 4_096
_LONGEST_COOKIE: Final = 1_000


@dataclass(frozen=True, slots=True)
class Session:
    """One login. Times are seconds since 1970."""

    account: str
    generation: str
    issued: float
    seen: float
    nonce: str

    @property
    def role(self) -> Role:
        """An account has the role of its name."""
        return Role(self.account)


class Sessions:
    """The sessions of one data folder. `now`: seconds since 1970. Safe to share between threads."""

    def __init__(self, folder: Path, idle_s: float, now: Callable[[], float] = time.time) -> None:
        self.accounts = Accounts(folder)
        self._file = PrivateFile(folder / FILE)
        self._idle_s = idle_s
        self._now = now
        self._lock = threading.Lock()
        self._uses: dict[str, float] = {}
        self.cookie = f"evquota_{hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:8]}"
        """Cookies do not know ports: two sites on one machine need two names."""

    def make_secret(self) -> None:
        """Make the secret that cookies are signed with, unless there is one. Raises OSError, ValueError."""
        known = self._file.read()
        if not _secret(known):
            self._file.write({"schema": 1, "secret": secrets.token_urlsafe(32), "ended": {}})

    def begin(self, account: Account) -> Session:
        """A session of somebody who gave the password."""
        now = self._now()
        return Session(account.name, account.generation, now, now, secrets.token_urlsafe(12))

    def sign(self, session: Session) -> str:
        """The cookie's value. Raises OSError, ValueError."""
        self.make_secret()
        return self._signer("session").dumps(asdict(session))

    def read(self, cookie: str | None) -> Session | None:
        """The session of a cookie; None if it was not made here, or is over."""
        session = _session(self._loads("session", cookie))
        return session if session is not None and self.is_alive(session) else None

    def is_alive(self, session: Session) -> bool:
        """Whether it still holds: not idle for too long, not too old, not ended, and of the present password."""
        now = self._now()
        last_use = max(session.seen, self._uses.get(session.nonce, 0.0))
        if not session.issued <= session.seen <= now + _FUTURE_S:
            return False
        if now - last_use >= self._idle_s or now - session.issued >= LONGEST_S:
            return False
        account = self.accounts.get(session.account)
        if account is None or account.generation != session.generation:
            return False
        try:
            return session.nonce not in _ended(self._file.read())
        except (OSError, ValueError):
            return False

    def use(self, session: Session) -> None:
        """Somebody did something."""
        with self._lock:
            now = self._now()
            if len(self._uses) >= _MOST_KNOWN:
                newest = sorted(self._uses.items(), key=lambda one: one[1])[_MOST_KNOWN // 2 :]
                self._uses = {nonce: at for nonce, at in newest if now - at < self._idle_s}
            self._uses[session.nonce] = now

    def renewed(self, session: Session) -> Session | None:
        """The session as a new cookie should tell it; None while the old one is good enough."""
        last_use = max(session.seen, self._uses.get(session.nonce, 0.0))
        return replace(session, seen=last_use) if last_use - session.seen >= _RENEW_AFTER_S else None

    def end(self, session: Session) -> None:
        """Its cookie is worth nothing any more, also a copy of it, also after a restart. Raises OSError, ValueError."""
        with self._lock:
            known, now = self._file.read(), self._now()
            ended = {nonce: until for nonce, until in _ended(known).items() if until > now}
            newest = dict(sorted(ended.items(), key=lambda one: one[1])[-_MOST_KNOWN:])
            self._file.write(known | {"ended": newest | {session.nonce: session.issued + LONGEST_S}})

    def form_token(self) -> str:
        """What a form and a cookie must both bring. Raises OSError, ValueError."""
        self.make_secret()
        return self._signer("form").dumps([self._now(), secrets.token_urlsafe(12)])

    def is_form_token(self, token: str | None) -> bool:
        """Whether it was made here, not long ago."""
        made = self._loads("form", token)
        if not isinstance(made, list) or not made or not isinstance(made[0], float):
            return False
        return -_FUTURE_S <= self._now() - made[0] < FORM_LASTS_S

    def _loads(self, purpose: str, signed: str | None) -> Any:
        if not signed or len(signed) > _LONGEST_COOKIE:
            return None
        try:
            return self._signer(purpose).loads(signed)
        except (BadData, OSError, ValueError):
            return None

    def _signer(self, purpose: str) -> URLSafeSerializer:
        secret = _secret(self._file.read())
        if not secret:
            message = f"{self._file.path} has no secret"
            raise ValueError(message)
        kwargs = {"key_derivation": "hmac", "digest_method": hashlib.sha256}
        return URLSafeSerializer(secret, salt=f"evquota {purpose}", signer_kwargs=kwargs)


def _secret(known: Json) -> str:
    secret = known.get("secret")
    return secret if isinstance(secret, str) and len(secret) >= 32 else ""


def _ended(known: Json) -> dict[str, float]:
    ended = known.get("ended")
    if not isinstance(ended, dict):
        return {}
    return {nonce: until for nonce, until in ended.items() if isinstance(until, int | float)}


def _session(value: object) -> Session | None:
    """Only what we signed comes here; a version before may have signed other fields."""
    try:
        session = Session(**value) if isinstance(value, dict) else None
        if session is None or not all(isinstance(one, float | int) for one in (session.issued, session.seen)):
            return None
        Role(session.account)
    except (TypeError, ValueError):
        return None
    return session
