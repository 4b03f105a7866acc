"""Sessions, the throttle and the open line by a clock that we turn (T19)."""

from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from dashboard_site import write_accounts
from site_folder import SiteFolder
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.testing.v1 import AppTest

from dashboard.control_api import connect
from dashboard.login import gate, visitor
from dashboard.login.accounts import Account
from dashboard.login.gate import Gate
from dashboard.login.signing import FORM_LASTS_S, LONGEST_S, Session, Sessions
from dashboard.login.throttle import ACCOUNT_BURST, ACCOUNT_EVERY_S, MOST_FAILURES, WITHIN_S, Throttle, counted_as
from dashboard.login.visitor import Role, Visitor

IDLE_S = 3_600.0


class TurnedClock:
    """Seconds."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


@pytest.fixture
def sessions(tmp_path: Path, clock: TurnedClock) -> Sessions:
    write_accounts(tmp_path, {"admin": "x" * 12, "viewer": "y" * 12})
    made = Sessions(tmp_path, IDLE_S, clock)
    made.make_secret()
    return made


def account(sessions: Sessions, name: str = "viewer") -> Account:
    found = sessions.accounts.get(name)
    assert found is not None
    return found


def test_a_session_ends_when_nobody_used_it_for_long(sessions: Sessions, clock: TurnedClock) -> None:
    """What is seen by this process counts, also for a cookie that knows nothing of it."""
    session = sessions.begin(account(sessions))
    cookie = sessions.sign(session)
    clock.now += IDLE_S - 1
    assert sessions.read(cookie) == session
    sessions.use(session)
    clock.now += IDLE_S - 1
    assert sessions.read(cookie) == session

    renewed = sessions.renewed(session)
    clock.now += 1
    assert sessions.read(cookie) is None
    assert renewed is not None
    assert renewed.seen == session.issued + IDLE_S - 1


def test_a_session_ends_after_thirty_days_of_use(sessions: Sessions, clock: TurnedClock) -> None:
    """A stolen cookie is not good for ever."""
    session = sessions.begin(account(sessions))
    while clock.now < session.issued + LONGEST_S - IDLE_S / 2:
        clock.now += IDLE_S / 2
        sessions.use(session)
    assert sessions.is_alive(session)

    clock.now += IDLE_S / 2
    sessions.use(session)
    assert not sessions.is_alive(session)


def test_a_clock_that_was_set_back_far_ends_sessions(sessions: Sessions, clock: TurnedClock) -> None:
    """Else they would last until it has caught up."""
    session = sessions.begin(account(sessions))
    clock.now -= 200
    assert sessions.is_alive(session)
    clock.now -= 200
    assert not sessions.is_alive(session)


def test_what_is_known_of_uses_and_ends_is_bounded(sessions: Sessions, clock: TurnedClock) -> None:
    """The newest stay."""
    first = sessions.begin(account(sessions))
    for _ in range(5_000):
        clock.now += 0.01
        sessions.use(last := sessions.begin(account(sessions)))
    assert len(sessions._uses) <= 4_096
    assert last.nonce in sessions._uses
    assert first.nonce not in sessions._uses


def test_an_end_is_forgotten_when_the_cookie_is_too_old_anyway(sessions: Sessions, clock: TurnedClock) -> None:
    """The file does not grow for ever."""
    old = sessions.begin(account(sessions))
    sessions.end(old)
    clock.now += LONGEST_S
    sessions.end(new := sessions.begin(account(sessions)))

    assert sessions._file.read()["ended"].keys() == {new.nonce}


def test_a_form_lasts_half_a_day(sessions: Sessions, clock: TurnedClock) -> None:
    """A login page that was open over night shows a new form; a cookie is no token, and a token no cookie."""
    token = sessions.form_token()
    assert sessions.is_form_token(token)
    assert sessions.read(token) is None
    assert not sessions.is_form_token(sessions.sign(sessions.begin(account(sessions))))
    clock.now += FORM_LASTS_S
    assert not sessions.is_form_token(token)


@pytest.mark.parametrize(
    "signed", [None, 1, [], {}, {"account": "viewer"}, {"account": "root"}, {"issued": "x"}, {"account": []}], ids=repr
)
def test_what_an_older_version_signed_is_no_session(sessions: Sessions, signed: Any) -> None:
    """Nor is it an error."""
    session = sessions.begin(account(sessions))
    if isinstance(signed, dict) and len(signed) == 1 and signed != {"account": "viewer"}:
        signed = {name: getattr(session, name) for name in Session.__slots__} | signed

    assert sessions.read(sessions._signer("session").dumps(signed)) is None


def test_without_its_secret_no_session_is_known_and_a_new_one_is_made(sessions: Sessions) -> None:
    """Removing the file signs everybody out."""
    cookie = sessions.sign(sessions.begin(account(sessions)))
    sessions._file.path.unlink()

    assert sessions.read(cookie) is None
    assert sessions.is_form_token(sessions.form_token())
    assert sessions.read(cookie) is None


def test_two_folders_have_two_cookies_and_two_secrets(tmp_path: Path, clock: TurnedClock) -> None:
    """Two sites on one machine: cookies know no ports."""
    found = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_accounts(tmp_path / name, {"viewer": "y" * 12})
        found.append(Sessions(tmp_path / name, IDLE_S, clock))
    one, two = found

    assert one.cookie != two.cookie
    assert two.read(one.sign(one.begin(account(one)))) is None


# --- the throttle ---


def test_an_address_may_fail_five_times_in_a_quarter_of_an_hour(clock: TurnedClock) -> None:
    """What is refused does not count, so the wait has an end."""
    throttle = Throttle(clock)
    assert [throttle.take("192.0.2.1", "admin") for _ in range(MOST_FAILURES)] == [0] * MOST_FAILURES
    for _ in range(100):
        assert throttle.take("192.0.2.1", "admin") == WITHIN_S
    assert throttle.take("192.0.2.2", "admin") == 0

    clock.now += WITHIN_S
    assert throttle.take("192.0.2.1", "admin") == 0


def test_a_right_password_is_no_failure_and_forgives_none(clock: TurnedClock) -> None:
    """Who knows the viewer's must not try the administrator's for ever."""
    throttle = Throttle(clock)
    for _ in range(3 * MOST_FAILURES):
        assert throttle.take("192.0.2.1", "viewer") == 0
        throttle.succeeded("192.0.2.1", "viewer")
    tried = 0
    while throttle.take("192.0.2.1", "admin") == 0:
        tried += 1
        if throttle.take("192.0.2.1", "viewer") == 0:
            throttle.succeeded("192.0.2.1", "viewer")
    assert tried == MOST_FAILURES


def test_many_addresses_together_are_slow_and_lock_nobody_out(clock: TurnedClock) -> None:
    """Who logged in from an address before, still can; the others get their turn."""
    throttle = Throttle(clock)
    assert throttle.take("198.51.100.1", "admin") == 0
    throttle.succeeded("198.51.100.1", "admin")
    made, day_s = 0, 6 * 3600
    for number in range(day_s):
        clock.now += 1
        made += throttle.take(f"2001:db8:{number // 65536:x}:{number % 65536:x}::1", "admin") == 0
        if number % 3600 == 0:
            assert throttle.take("198.51.100.1", "admin") == 0
            throttle.succeeded("198.51.100.1", "admin")
    assert made <= ACCOUNT_BURST + day_s / ACCOUNT_EVERY_S
    assert len(throttle._failures) <= 4_096

    clock.now += ACCOUNT_EVERY_S
    assert throttle.take("203.0.113.5", "admin") == 0
    assert throttle.take("203.0.113.6", "viewer") == 0


def test_trusted_addresses_are_bounded(clock: TurnedClock) -> None:
    """The newest stay."""
    throttle = Throttle(clock)
    for number in range(1_000):
        assert throttle.take(f"10.0.{number // 250}.{number % 250}", "admin") == 0
        throttle.succeeded(f"10.0.{number // 250}.{number % 250}", "admin")
    assert len(throttle._accounts["admin"].trusted) <= 256


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8:0:0:ffff::2", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", "unknown"),
        ("evil\r\n[LOGIN]", "unknown"),
    ],
)
def test_what_counts_as_one_address(address: str, counted: str) -> None:
    """An IPv6 /64 is one house; what is no address is not repeated in a log."""
    assert counted_as(address) == counted


# --- an open page ---


def back_msg(*, is_auto: bool = False, kind: str = "rerun_script") -> dict[str, Any]:
    message = BackMsg()
    if kind == "rerun_script":
        message.rerun_script.is_auto_rerun = is_auto
    elif kind:
        setattr(message, kind, True)
    return {"type": "websocket.receive", "bytes": message.SerializeToString() if kind else b"\xff"}


async def told_by_line(sessions: Sessions, session: Session, messages: AsyncIterator[dict[str, Any]]) -> list[Any]:
    """What the app behind the gate gets of a line; then what the browser got."""
    received: list[Any] = []
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (message := await receive())["type"] != "websocket.disconnect":
            received.append(message)
        await send({"type": "websocket.send", "bytes": b"too late"})

    async def receive() -> dict[str, Any]:
        return await anext(messages)

    async def send(message: Any) -> None:
        sent.append(message)

    cookie = f"{sessions.cookie}={sessions.sign(session)}".encode()
    scope = {"type": "websocket", "path": "/_stcore/stream", "headers": [(b"cookie", cookie)], "query_string": b""}
    await Gate(app, sessions)(scope, receive, send)
    return [len(received), *[one["type"] for one in sent]]


async def test_a_page_that_only_refreshes_itself_is_signed_out(
    sessions: Sessions, clock: TurnedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither its first look, nor its refreshes, nor its other questions are use; it is told, then the line ends."""
    monkeypatch.setattr(gate, "CHECK_EVERY_S", 0.0)
    session = sessions.begin(account(sessions))

    async def messages() -> AsyncIterator[dict[str, Any]]:
        yield {"type": "websocket.connect"}
        yield back_msg()
        while True:
            clock.now += 300
            yield back_msg(is_auto=True)
            yield back_msg(kind="app_heartbeat")
            yield back_msg(kind="")

    told = await told_by_line(sessions, session, messages())

    assert told[1:] == ["websocket.send", "websocket.close"]
    assert clock.now - session.issued <= IDLE_S + 300


async def test_what_a_person_does_keeps_the_session(
    sessions: Sessions, clock: TurnedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A click, a search, another page."""
    monkeypatch.setattr(gate, "CHECK_EVERY_S", 0.0)
    session = sessions.begin(account(sessions))
    rounds = 20

    async def messages() -> AsyncIterator[dict[str, Any]]:
        yield {"type": "websocket.connect"}
        yield back_msg()
        for _ in range(rounds):
            clock.now += IDLE_S / 2
            yield back_msg()
        yield {"type": "websocket.disconnect"}

    told = await told_by_line(sessions, session, messages())

    assert told == [rounds + 2, "websocket.send"]  # no farewell
    assert sessions.is_alive(session)


async def test_a_click_after_the_end_does_nothing(sessions: Sessions, clock: TurnedClock) -> None:
    """It never reaches the page, though the line was not looked at since."""
    session = sessions.begin(account(sessions))

    async def messages() -> AsyncIterator[dict[str, Any]]:
        yield {"type": "websocket.connect"}
        yield back_msg()
        clock.now += IDLE_S
        yield back_msg()

    assert await told_by_line(sessions, session, messages()) == [2, "websocket.send", "websocket.close"]


async def test_what_is_no_http_and_no_websocket_is_not_let_in(sessions: Sessions) -> None:
    """But the start and the end of the server."""
    kinds = []

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        kinds.append(scope["type"])

    async def nothing(*_: Any) -> Any:
        return None

    await Gate(app, sessions)({"type": "lifespan"}, nothing, nothing)
    assert kinds == ["lifespan"]
    with pytest.raises(KeyError):
        await Gate(app, sessions)({"type": "other"}, nothing, nothing)
    assert kinds == ["lifespan"]


# --- for the pages ---


@pytest.mark.parametrize(("name", "role"), [("viewer", Role.VIEWER), ("admin", Role.ADMIN)])
def test_a_page_knows_who_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, role: Role) -> None:
    """By the cookie, which it judges anew each time; without one it is a visitor without a name."""
    write_accounts(tmp_path, {"admin": "x" * 12, "viewer": "y" * 12})
    monkeypatch.setenv("EVQUOTA_DATA_DIR", str(tmp_path))
    cookies: Mapping[str, str] = {}
    monkeypatch.setattr(visitor, "cookies_of_page", lambda: cookies)
    assert visitor.current() == Visitor(Role.VIEWER, "")

    sessions = Sessions(tmp_path, IDLE_S)
    cookies = {sessions.cookie: sessions.sign(sessions.begin(account(sessions, name)))}
    assert visitor.current() == Visitor(role, name)
    cookies = {sessions.cookie: cookies[sessions.cookie] + "x"}
    assert visitor.current() == Visitor(Role.VIEWER, "")


def test_each_visitor_has_the_token_of_its_role_and_nobody_has_none(tmp_path: Path) -> None:
    """Also where the page runs without the gate; the books learn the account's name."""
    (tmp_path / "api_token").write_text("of admin\n")
    (tmp_path / "api_viewer_token").write_text("of viewer\n")
    found = [
        connect(one, tmp_path) for one in (Visitor(Role.ADMIN, "admin"), Visitor(Role.VIEWER, "viewer"), Visitor())
    ]

    assert [(one.token, one.by) for one in found] == [("of admin", "admin"), ("of viewer", "viewer"), ("", "")]
    assert connect(Visitor(Role.ADMIN, ""), tmp_path).token == ""


def test_a_page_says_who_is_signed_in(
    folder: SiteFolder, run_app: Callable[..., AppTest], sign_in: Callable[[str], None]
) -> None:
    """Without the gate nobody is."""
    folder.write_five()
    assert not [each for each in run_app().caption if "admin" in each.value]

    sign_in("admin")
    assert [each for each in run_app().caption if "admin" in each.value]
