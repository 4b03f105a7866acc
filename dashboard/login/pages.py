"""The login and the logout page: plain HTML without a script, nothing from another place. All text is escaped."""

import base64
import hashlib
from html import escape
from typing import Final

from dashboard.login.texts import Texts

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #111317; --soft: #4b545c; --line: #6b757d; --paper: #f1f4f2; --pane: #fff;
  --deed: #1b5e3a; --on-deed: #fff; --wrong: #a3191f; }
@media (prefers-color-scheme: dark) { :root { --ink: #eef2f0; --soft: #a9b4ae; --line: #7d8984; --paper: #12171a;
  --pane: #1d2428; --deed: #7fd1a2; --on-deed: #0c1510; --wrong: #ff9b96; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1rem; background: var(--paper);
  color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
main { width: 100%; max-width: 22rem; padding: 1.75rem; border: 1px solid var(--line); border-radius: .6rem;
  background: var(--pane); }
h1 { margin: 0; font-size: 1.35rem; } h1 + p { margin: 0 0 1.25rem; color: var(--soft); }
label { display: block; margin: .9rem 0 .25rem; font-weight: 600; }
input, button { width: 100%; padding: .6rem .7rem; border-radius: .35rem; font: inherit; }
input { border: 1px solid var(--line); background: var(--paper); color: var(--ink); }
button { margin-top: 1.4rem; border: 0; background: var(--deed); color: var(--on-deed); font-weight: 600;
  cursor: pointer; }
:focus-visible { outline: 3px solid var(--deed); outline-offset: 2px; }
a { color: var(--deed); } [role=alert] { color: var(--wrong); font-weight: 600; }
"""
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
CONTENT_SECURITY_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src data:; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)


def login_page(texts: Texts, site_name: str, *, token: str, after: str, user: str = "", problem: str = "") -> str:
    """The form. `after`: the local path to go to; `problem`: why the one before was not accepted."""
    focus = ("", " autofocus") if user else (" autofocus", "")
    return _page(
        texts,
        site_name,
        texts.sign_in,
        _told(problem),
        '<form method="post" action="/login">',
        _hidden(token, after),
        f'<label for="user">{escape(texts.user)}</label>',
        f'<input id="user" name="user" value="{escape(user)}" autocomplete="username" autocapitalize="none" '
        f'spellcheck="false" maxlength="100" required{focus[0]}>',
        f'<label for="password">{escape(texts.password)}</label>',
        f'<input id="password" name="password" type="password" autocomplete="current-password" required{focus[1]}>',
        f"<button>{escape(texts.sign_in)}</button></form>",
    )


def nobody_page(texts: Texts, site_name: str, command: str) -> str:
    """No account was made yet."""
    before, _, behind = texts.no_accounts.partition("{command}")
    words = f'<p role="alert">{escape(before)}<code>{escape(command)}</code>{escape(behind)}</p>'
    return _page(texts, site_name, texts.sign_in, words)


def logout_page(texts: Texts, site_name: str, *, token: str, name: str) -> str:
    """A question, because a mere link must not sign anybody out."""
    return _page(
        texts,
        site_name,
        texts.sign_out,
        f"<p>{escape(texts.signed_in_as.format(name=name))}</p>",
        '<form method="post" action="/logout">',
        _hidden(token, "/"),
        f"<button>{escape(texts.sign_out)}</button></form>",
        f'<p><a href="/">{escape(texts.back)}</a></p>',
    )


def _page(texts: Texts, site_name: str, title: str, *parts: str) -> str:
    return "\n".join(
        (
            "<!doctype html>",
            f'<html lang="{texts.language}"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">',
            f"<title>{escape(title)} · {escape(site_name)}</title><style>{_STYLE}</style></head><body><main>",
            f"<h1>{escape(title)}</h1><p>{escape(site_name)}</p>",
            *parts,
            "</main></body></html>",
        )
    )


def _told(problem: str) -> str:
    return f'<p role="alert">{escape(problem)}</p>' if problem else ""


def _hidden(token: str, after: str) -> str:
    return (
        f'<input type="hidden" name="token" value="{escape(token)}">'
        f'<input type="hidden" name="next" value="{escape(after)}">'
    )
