"""The login of the real dashboard, over HTTP and the websocket (T19)."""

import json
import stat
from collections.abc import Iterator
from contextlib import suppress
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import quote

import pytest
import requests
from canaries import CANARY_SECRET
from dashboard_site import IDLE_S, PATIENCE_S, PROXY, DashboardSite, running_dashboard, write_accounts
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from dashboard.login.accounts import FILE
from dashboard.login.private_file import PrivateFile
from dashboard.login.signing import LONGEST_S, Sessions

ADMIN, VIEWER = "the right one of admin", "ş" * 700 + "the right one of viewer"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DashboardSite]:
    """One process for all tests; each visitor comes from an address of its own."""
    folder = tmp_path_factory.mktemp("login")
    write_accounts(folder, {"admin": ADMIN, "viewer": VIEWER})
    with running_dashboard(folder) as started:
        yield started


@pytest.fixture
def accounts_afterwards(site: DashboardSite) -> Iterator[None]:
    """Put the accounts back."""
    kept = PrivateFile(site.folder / FILE).read()
    yield
    PrivateFile(site.folder / FILE).write(kept)


def open_line(site: DashboardSite, cookie: str, **headers: str) -> ClientConnection:
    """The websocket, as a browser opens it."""
    given = {"Cookie": cookie, "Origin": site.address} | headers
    address = site.address.replace("http", "ws") + "/_stcore/stream"
    origin = given.pop("Origin")
    return connect(address, additional_headers=given, origin=origin, subprotocols=["streamlit"], proxy=None,
                   open_timeout=PATIENCE_S, max_size=None)  # fmt: skip


def get(site: DashboardSite, path: str, cookie: str) -> requests.Response:
    return site.browser().get(path, Cookie=cookie)


NOT_WITHOUT_LOGIN = [
    "/_stcore/health", "/_stcore/metrics", "/_stcore/host-config", "/_stcore/agent/openapi.json", "/media/x.png",
    "/static/js/x.js", "/component/x/y", "/app/static/x", "/static",
]  # fmt: skip


@pytest.mark.parametrize("path", NOT_WITHOUT_LOGIN)
def test_nothing_of_streamlit_is_told_without_a_session(site: DashboardSite, path: str) -> None:
    """401, also for what it tells everybody by itself, such as its metrics."""
    assert site.browser().get(path).status_code == 401


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/", "/login"),
        ("/sessions", "/login?next=%2Fsessions"),
        ("/users?lang=T%C3%BCrk%C3%A7e&x=1", "/login?next=%2Fusers%3Flang%3DT%25C3%25BCrk%25C3%25A7e%26x%3D1"),
        ("//evil.example/", "/login"),
        ("/login/", "/login"),
        ("/_stcore", None),
        ("/healthz/x", "/login?next=%2Fhealthz%2Fx"),
        ("/x%0D%0ASet-Cookie:a=b", "/login?next=%2Fx%250D%250ASet-Cookie%3Aa%3Db"),
        ("/x?%0D%0ASet-Cookie:a=b", "/login?next=%2Fx%3F%250D%250ASet-Cookie%3Aa%3Db"),
    ],
)
def test_a_page_without_a_session_is_the_login(site: DashboardSite, path: str, location: str | None) -> None:
    """And leads back to itself."""
    answer = requests.Request("GET", site.address)
    prepared = site.browser().session.prepare_request(answer)
    prepared.url = site.address + path
    told = site.browser().session.send(prepared, allow_redirects=False, timeout=PATIENCE_S)

    assert (told.status_code, told.headers.get("Location")) == ((401, None) if location is None else (303, location))


def test_health_says_nothing_of_the_site(site: DashboardSite) -> None:
    """For a supervisor."""
    assert site.browser().get("/healthz").json() == {"status": "ok"}


@pytest.mark.parametrize(("user", "password"), [("admin", ADMIN), ("viewer", VIEWER), (" Admin ", ADMIN)])
def test_the_right_password_opens_the_page_and_it_stays_open(site: DashboardSite, user: str, password: str) -> None:
    """A cookie that no script reads, and that another site cannot use; reloads stay signed in."""
    browser = site.browser()
    answer = browser.log_in(user, password, "/users?x=1")

    assert (answer.status_code, answer.headers["Location"]) == (303, "/users?x=1")
    (morsel,) = SimpleCookie(answer.headers["Set-Cookie"]).values()
    assert (morsel["httponly"], morsel["samesite"], morsel["path"]) == (True, "Lax", "/")
    assert (morsel["secure"], morsel["max-age"]) == ("", "")
    for _ in range(2):
        assert (browser.get("/").status_code, browser.get("/_stcore/health").status_code) == (200, 200)
    with open_line(site, browser.cookie_header()) as line:
        line.send(rerun())
        assert isinstance(line.recv(PATIENCE_S), bytes)


def rerun() -> bytes:
    """What a page sends first."""
    message = BackMsg()
    message.rerun_script.query_string = ""
    return message.SerializeToString()


def test_a_wrong_password_opens_nothing(site: DashboardSite) -> None:
    """Nor does it tell which of the two was wrong; what was typed as the user stays, the password does not."""
    texts = []
    for user, password in (
        ("viewer", CANARY_SECRET),
        ("nobody", CANARY_SECRET),
        ("viewer", ""),
        ("viewer", "x" * 2001),
    ):
        browser = site.browser()
        answer = browser.log_in(user, password)
        texts.append(answer.text.partition('role="alert"')[2].partition("</p>")[0])
        assert answer.status_code == 403
        assert CANARY_SECRET not in answer.text
        assert f'value="{user}"' in answer.text
        assert site.sessions.cookie not in dict(browser.session.cookies)
        assert browser.get("/").status_code == 303
    assert len(set(texts)) == 1


def test_after_five_wrong_passwords_an_address_waits_and_others_do_not(site: DashboardSite) -> None:
    """429 before anything is hashed, also for the right one; somebody elsewhere gets in with it."""
    guesser = site.browser()
    told = [guesser.log_in("admin", f"{CANARY_SECRET} {number}") for number in range(6)]
    right = guesser.log_in("admin", ADMIN)

    assert [one.status_code for one in told] == [403] * 5 + [429]
    assert right.status_code == 429
    assert 0 < int(right.headers["Retry-After"]) <= 900
    assert site.browser().log_in("admin", ADMIN).status_code == 303
    assert (site.folder / "dashboard.log").read_text(encoding="utf-8").count("[LOGIN] held back") >= 1


def test_an_address_that_somebody_made_up_counts_for_nothing(site: DashboardSite) -> None:
    """X-Forwarded-For is believed from a trusted proxy alone: a guesser cannot change its address with it."""
    guesser, behind_proxy = site.browser(), site.browser(PROXY)
    for number in range(5):
        guesser.log_in("viewer", "wrong one", headers={"X-Forwarded-For": f"203.0.113.{number}"})
    liar = guesser.log_in("viewer", VIEWER, headers={"X-Forwarded-For": "203.0.113.77"})
    visitors = [
        behind_proxy.log_in("viewer", VIEWER, headers={"X-Forwarded-For": f"198.51.100.{number}"}).status_code
        for number in range(7)
    ]

    assert liar.status_code == 429
    assert visitors == [303] * 7


def test_behind_a_proxy_with_tls_the_cookie_is_secure(site: DashboardSite) -> None:
    """As the trusted proxy says, and nobody else."""
    https = {"X-Forwarded-For": "198.51.100.200", "X-Forwarded-Proto": "https"}
    answer = site.browser(PROXY).log_in("viewer", VIEWER, headers=https)
    made_up = site.browser().log_in("viewer", VIEWER, headers=https)

    assert (answer.status_code, "; Secure" in answer.headers["Set-Cookie"]) == (303, True)
    assert (made_up.status_code, "; Secure" in made_up.headers["Set-Cookie"]) == (303, False)


FOREIGN: dict[str, dict[str, str]] = {
    "another site": {"Origin": "https://evil.example"},
    "another port": {"Origin": "http://127.0.0.1:1"},
    "an opaque origin": {"Origin": "null"},
    "a broken origin": {"Origin": "http://[::1"},
    "as the browser says": {"Origin": "", "Sec-Fetch-Site": "cross-site"},
    "the same site": {"Origin": "", "Sec-Fetch-Site": "same-site"},
    "no page": {"Origin": "", "Sec-Fetch-Site": "none"},
    "another kind of form": {"Content-Type": "text/plain"},
    "JSON": {"Content-Type": "application/json"},
}


@pytest.mark.parametrize("path", ["/login", "/logout"])
@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN)
def test_a_form_of_another_site_is_not_accepted(site: DashboardSite, path: str, headers: dict[str, str]) -> None:
    """Even where it knew the token."""
    browser = site.browser()
    browser.session.headers["Cookie"] = site.signed("viewer")
    form = {"token": browser.token(), "user": "viewer", "password": VIEWER}
    browser.session.headers["Cookie"] += f"; {site.sessions.cookie}_form={form['token']}"

    assert browser.post(path, form, headers).status_code == 403
    assert browser.get("/_stcore/health").status_code == 200  # still signed in


def test_a_form_needs_the_token_of_its_own_cookie(site: DashboardSite) -> None:
    """None, another visitor's, one that we never signed, one of another purpose."""
    other = site.browser().token()
    cookie = site.signed("viewer").partition("=")[2]
    for token in ("", "x", "ş", other, other[:-1], cookie):
        browser = site.browser()
        browser.token()
        assert browser.post("/login", {"token": token, "user": "viewer", "password": VIEWER}).status_code == 403
    forged = site.browser()
    forged.session.cookies.set(f"{site.sessions.cookie}_form", "x")
    assert forged.post("/login", {"token": "x", "user": "viewer", "password": VIEWER}).status_code == 403
    own = site.browser()
    assert own.token() == own.token()  # two open forms work both


def test_a_form_that_is_too_large_is_not_read(site: DashboardSite) -> None:
    """16 KiB are enough for the longest password."""
    browser = site.browser()
    form = {"token": browser.token(), "user": "viewer", "password": "x" * 20_000}

    assert browser.post("/login", form).status_code == 403


@pytest.mark.parametrize(
    "after",
    [
        "https://evil.example/", "//evil.example", "/\\evil.example", "\\\\evil.example", "javascript:alert(1)", "evil",
        "/x\r\nSet-Cookie: a=b", "/\t/evil.example", "/x\x00", "", "/login", "/logout?x", "/" + "x" * 3000, "/a\\b",
        "\ud800", "/\u0085/evil.example",
    ],
    ids=lambda after: ascii(after)[:25],
)  # fmt: skip
def test_the_login_leads_to_this_site_alone(site: DashboardSite, after: str) -> None:
    """No open redirect, and nothing of it becomes a header."""
    browser = site.browser()
    form = f"token={browser.token()}&user=viewer&password={quote(VIEWER)}&next=" + quote(after, errors="surrogatepass")
    answer = browser.session.post(
        site.address + "/login", data=form, allow_redirects=False, timeout=PATIENCE_S,
        headers={"Origin": site.address, "Content-Type": "application/x-www-form-urlencoded"},
    )  # fmt: skip

    if after == "\ud800":
        assert answer.status_code == 403  # no text at all
        return
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert "a" not in dict(browser.session.cookies)


def test_cookies_that_were_not_made_here_open_nothing(site: DashboardSite, tmp_path: Path) -> None:
    """Forged, of another site's secret, too old, not used for too long, of the future, of a session without end."""
    write_accounts(tmp_path, {"admin": ADMIN})
    others = Sessions(tmp_path, IDLE_S)
    account = site.sessions.accounts.get("admin")
    assert account is not None
    stolen = others.sign(others.begin(account))
    good = site.signed("admin")
    name = site.sessions.cookie
    assert get(site, "/_stcore/health", good).status_code == 200
    wrong = [
        f"{name}={stolen}", good[:-1], good + "x", f"{name}=", f"{name}=e30.x", f"{name}=" + "x" * 5_000,
        f"other={good.partition('=')[2]}", f"{name}={site.sessions.form_token()}",
        site.signed("admin", idle_s=IDLE_S + 1), site.signed("admin", age_s=LONGEST_S + 1),
        site.signed("admin", idle_s=-7200),
    ]  # fmt: skip
    for cookie in wrong:
        assert get(site, "/_stcore/health", cookie).status_code == 401, cookie
        assert get(site, "/", cookie).status_code == 303, cookie
        with pytest.raises(InvalidStatus) as refused:
            open_line(site, cookie)
        assert refused.value.response.status_code == 403, cookie


def test_the_websocket_opens_for_pages_of_this_site_alone(site: DashboardSite) -> None:
    """Also with a session: another page in the same browser, or another program on the same machine's name."""
    for origin in ("http://evil.example", "http://127.0.0.1:1", "http://localhost", "null"):
        with pytest.raises(InvalidStatus) as refused:
            open_line(site, site.signed(), Origin=origin)
        assert refused.value.response.status_code == 403


def test_a_session_that_is_used_gets_a_new_cookie(site: DashboardSite) -> None:
    """Sliding: half an hour later the page is asked for again; what it loads besides renews nothing."""
    old = site.signed(idle_s=IDLE_S / 2)

    assert site.sessions.cookie not in get(site, "/_stcore/health", old).headers.get("Set-Cookie", "")
    answer = get(site, "/", old)
    value = SimpleCookie(answer.headers["Set-Cookie"])[site.sessions.cookie].value
    renewed = site.sessions.read(value)
    before = site.sessions.read(old.partition("=")[2])
    assert renewed is not None
    assert before is not None
    assert renewed.seen > before.seen + IDLE_S / 2 - 60
    assert (renewed.issued, renewed.nonce) == (before.issued, before.nonce)
    assert answer.headers["Cache-Control"] == "no-store"


def until_closed(line: ClientConnection) -> tuple[list[str], int | None]:
    """Where the page was told to go, and the code of the end."""
    told: list[str] = []
    with suppress(ConnectionClosed):
        while True:
            message = ForwardMsg()
            content = line.recv(PATIENCE_S)
            assert isinstance(content, bytes)
            message.ParseFromString(content)
            if message.WhichOneof("type") == "auth_redirect":
                told.append(message.auth_redirect.url)
    return told, line.close_code


def test_a_new_password_ends_the_sessions_of_the_old_one(site: DashboardSite, accounts_afterwards: None) -> None:
    """On the open pages too, within a minute; the other account stays."""
    browser, other = site.browser(), site.browser()
    browser.log_in("viewer", VIEWER)
    other.log_in("admin", ADMIN)
    with open_line(site, browser.cookie_header()) as line:
        write_accounts(site.folder, {"admin": ADMIN, "viewer": "another password"})
        rows = json.loads((site.folder / FILE).read_text(encoding="utf-8"))
        rows["accounts"]["viewer"]["generation"] = "second"
        PrivateFile(site.folder / FILE).write(rows)

        assert until_closed(line) == (["/login?over"], 1008)
    assert browser.get("/").status_code == 303
    assert other.get("/").status_code == 200
    assert browser.log_in("viewer", VIEWER).status_code == 403
    assert browser.log_in("viewer", "another password").status_code == 303


def test_logging_out_ends_the_session_everywhere(site: DashboardSite) -> None:
    """Also for a copy of the cookie, and on a page that is still open. A link alone does nothing."""
    browser = site.browser()
    browser.log_in("viewer", VIEWER)
    copied = browser.cookie_header()
    assert "viewer" in browser.get("/logout").text
    assert browser.get("/").status_code == 200
    with open_line(site, copied) as line:
        answer = browser.post("/logout", {"token": browser.token("/logout")})

        assert until_closed(line) == (["/login?over"], 1008)
    assert answer.status_code == 200
    assert site.sessions.cookie not in dict(browser.session.cookies)
    assert get(site, "/", copied).status_code == 303
    assert Sessions(site.folder, IDLE_S).read(copied.partition("=")[2].partition(";")[0]) is None  # after a restart
    assert site.browser().get("/logout").headers["Location"] == "/login"


def test_a_login_is_a_new_session_and_ends_the_one_before(site: DashboardSite) -> None:
    """No cookie that was there before is worth more afterwards (fixation)."""
    browser = site.browser()
    browser.session.headers["Cookie"] = planted = site.signed("viewer")
    token = browser.token()
    browser.session.headers["Cookie"] = f"{planted}; {site.sessions.cookie}_form={token}"
    answer = browser.post("/login", {"token": token, "user": "admin", "password": ADMIN})

    assert answer.status_code == 303
    assert answer.headers["Set-Cookie"].partition(";")[0] != planted
    assert get(site, "/", planted).status_code == 303


@pytest.mark.parametrize(
    ("accepted", "language", "words"),
    [
        ("tr-TR,tr;q=0.9,en;q=0.8", "tr", "Oturum aç"),
        ("de, en;q=0.5, tr;q=0.7", "tr", "Parola"),
        ("en-GB", "en", "Sign in"),
        ("", "en", "Password"),
        ("tr;q=0, x;;q=z,,", "en", "User"),
    ],
)
def test_the_page_speaks_the_browsers_language(site: DashboardSite, accepted: str, language: str, words: str) -> None:
    """English where we have no other."""
    answer = site.browser().get("/login", Accept_Language=accepted)

    assert f'<html lang="{language}">' in answer.text
    assert words in answer.text
    assert "Kampüs &lt;1&gt;" in answer.text


def test_what_comes_back_on_the_page_is_text(site: DashboardSite) -> None:
    """In the field of the user, in the address."""
    hostile = '"><script>alert(1)</script>'
    browser = site.browser()
    answer = browser.log_in(hostile, "x", f"/{hostile}")
    shown = browser.get(f"/login?next=/{quote(hostile)}&over={quote(hostile)}")

    for one in (answer, shown):
        assert "<script" not in one.text
        assert "script-src" not in one.headers["Content-Security-Policy"]


def test_headers_of_the_login_and_of_the_dashboard(site: DashboardSite) -> None:
    """In no frame, no type guessed, nothing kept; the login runs no script at all."""
    login, refused, page = site.browser().get("/login"), site.browser().get("/"), get(site, "/", site.signed())

    for one in (login, refused, page):
        assert "frame-ancestors 'none'" in one.headers["Content-Security-Policy"]
        assert one.headers["X-Content-Type-Options"] == "nosniff"
        assert one.headers["Referrer-Policy"] == "same-origin"
    assert "default-src 'none'" in login.headers["Content-Security-Policy"]
    assert "unsafe-inline" not in page.headers["Content-Security-Policy"].partition("script-src")[2].partition(";")[0]
    assert login.headers["Cache-Control"] == refused.headers["Cache-Control"] == "no-store"


def test_the_secret_is_ours_alone(site: DashboardSite) -> None:
    """0600, whatever the umask."""
    for name in ("dashboard_sessions.json", FILE):
        assert stat.S_IMODE((site.folder / name).stat().st_mode) == 0o600


def test_without_accounts_nobody_gets_in_and_is_told_why(site: DashboardSite, accounts_afterwards: None) -> None:
    """No default password; a file that cannot be read is as none."""
    cookie = site.signed("admin")
    token = site.browser().token()
    for content in (
        None,
        b"{",
        b"[]",
        b'{"accounts": {"admin": {}}}',
        b'{"accounts": {"admin": 1}}',
        b'{"accounts": []}',
    ):
        (site.folder / FILE).unlink(missing_ok=True)
        if content is not None:
            (site.folder / FILE).write_bytes(content)
        answer = site.browser().get("/login")
        assert (answer.status_code, "python -m dashboard prepare" in answer.text) == (503, True)
        assert get(site, "/", cookie).status_code == 303
        browser = site.browser()
        browser.session.cookies.set(f"{site.sessions.cookie}_form", token)
        for password in ("admin123", "admin", ""):
            given = {"token": token, "user": "admin", "password": password}
            assert browser.post("/login", given).status_code == 503
