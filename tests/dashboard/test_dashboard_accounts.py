"""Accounts and passwords of the dashboard, and the command that makes them (T19)."""

import json
import os
import pty
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from canaries import CANARY_SECRET

from dashboard.login.accounts import FILE, Accounts, Role
from dashboard.login.options import folder_of_site, idle_logout_s, take_env_file
from dashboard.login.passwords import check_strength, hash_password, is_password, make_password
from dashboard.login.private_file import PrivateFile

PROJECT = Path(__file__).resolve().parents[2]
LIMIT_S = 60


def dashboard(folder: Path, *arguments: str, given: str = "") -> "subprocess.CompletedProcess[str]":
    """`python -m dashboard …` for this data folder."""
    return subprocess.run(
        [sys.executable, "-m", "dashboard", *arguments], cwd=PROJECT, input=given, capture_output=True, text=True,
        timeout=LIMIT_S, env=os.environ | {"EVQUOTA_DATA_DIR": str(folder)},
    )  # fmt: skip


def passwords_in(text: str) -> dict[str, str]:
    rows = [line.split() for line in text.splitlines() if line.startswith("  ")]
    return {row[0]: row[1] for row in rows}


def test_the_first_start_prints_each_password_once(tmp_path: Path) -> None:
    """Generated, different, kept as hashes in a file that is ours alone; the second start prints nothing."""
    first, second = dashboard(tmp_path, "prepare"), dashboard(tmp_path, "prepare")
    made = passwords_in(first.stdout)

    assert (first.returncode, second.returncode, second.stdout) == (0, 0, "")
    assert made.keys() == {"viewer", "admin"}
    assert len(set(made.values())) == 2
    kept = (tmp_path / FILE).read_text(encoding="utf-8")
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    for name, password in made.items():
        account = Accounts(tmp_path).get(name)
        assert account is not None
        assert is_password(password, account.password_hash)
        assert password not in kept


def test_an_account_that_is_missing_is_made_and_the_other_stays(tmp_path: Path) -> None:
    """Nobody is signed out by a start."""
    Accounts(tmp_path).make_missing()
    rows = json.loads((tmp_path / FILE).read_text(encoding="utf-8"))
    admin = rows["accounts"]["admin"]
    del rows["accounts"]["viewer"]
    PrivateFile(tmp_path / FILE).write(rows)

    assert Accounts(tmp_path).make_missing().keys() == {"viewer"}
    assert json.loads((tmp_path / FILE).read_text(encoding="utf-8"))["accounts"]["admin"] == admin


def test_a_new_password_from_standard_input_is_told_to_nobody(tmp_path: Path) -> None:
    """It is another generation, and the other account stays as it is."""
    accounts = Accounts(tmp_path)
    accounts.make_missing()
    before = {role: accounts.get(role.value) for role in Role}
    done = dashboard(tmp_path, "password", "admin", "--stdin", given=f"{CANARY_SECRET}\n")
    admin, viewer = accounts.get("admin"), accounts.get("viewer")

    assert done.returncode == 0
    assert CANARY_SECRET not in done.stdout + done.stderr
    assert admin is not None
    assert is_password(CANARY_SECRET, admin.password_hash)
    old = before[Role.ADMIN]
    assert old is not None
    assert admin.generation != old.generation
    assert viewer == before[Role.VIEWER]


@pytest.mark.parametrize("second", [CANARY_SECRET, "another one, mistyped"], ids=["the same", "another"])
def test_on_a_terminal_it_is_asked_for_twice_without_echo(tmp_path: Path, second: str) -> None:
    """Exit code 2 for two that differ."""
    Accounts(tmp_path).make_missing()
    before = (tmp_path / FILE).read_bytes()
    terminal, inner = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "dashboard", "password", "viewer"], cwd=PROJECT, stdin=inner, stdout=inner, stderr=inner,
        start_new_session=True, env=os.environ | {"EVQUOTA_DATA_DIR": str(tmp_path)},
    )  # fmt: skip
    os.close(inner)
    told = b""
    for prompt, answer in ((b"New password of viewer: ", CANARY_SECRET), (b"Once more: ", second)):
        while prompt not in told:
            told += os.read(terminal, 1000)
        os.write(terminal, f"{answer}\n".encode())
    while True:
        try:
            more = os.read(terminal, 1000)
        except OSError:  # it has ended: EIO
            break
        if not more:
            break
        told += more
    os.close(terminal)

    is_same = second == CANARY_SECRET
    assert process.wait(LIMIT_S) == (0 if is_same else 2)
    assert CANARY_SECRET not in told.decode()
    assert ((tmp_path / FILE).read_bytes() == before) is not is_same


@pytest.mark.parametrize(
    "password", ["", "short", "x" * 11, "aaaaaaaaaaaaaaaa", "x" * 2001, "ş" * 1001 + "abcdef"], ids=lambda one: one[:12]
)
def test_a_password_that_is_no_good_is_refused_in_one_sentence(tmp_path: Path, password: str) -> None:
    """Exit code 2, nothing changed."""
    done = dashboard(tmp_path, "password", "admin", "--stdin", given=f"{password}\n")

    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "at least 12 characters" in done.stderr
    assert not (tmp_path / FILE).exists()


@pytest.mark.parametrize("arguments", [("prepare",), ("password", "admin", "--stdin")], ids=["prepare", "password"])
def test_without_a_data_folder_there_is_one_sentence(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """A mistyped one is not made."""
    done = dashboard(tmp_path / "not there", *arguments, given=CANARY_SECRET)

    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert not (tmp_path / "not there").exists()


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff"], ids=ascii)
def test_a_file_that_cannot_be_read_is_not_overwritten(tmp_path: Path, content: bytes) -> None:
    """A person decides what becomes of it; nobody gets in meanwhile."""
    (tmp_path / FILE).write_bytes(content)
    done = dashboard(tmp_path, "prepare")

    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert (tmp_path / FILE).read_bytes() == content
    assert not Accounts(tmp_path).are_there


def test_a_planted_link_is_neither_read_nor_followed(tmp_path: Path) -> None:
    """T23."""
    known = Accounts(tmp_path)
    known.make_missing()
    elsewhere = tmp_path / "elsewhere"
    (tmp_path / FILE).rename(elsewhere)
    (tmp_path / FILE).symlink_to(elsewhere)
    content = elsewhere.read_bytes()

    assert known.get("admin") is None
    with pytest.raises(OSError, match="symbolic links"):
        known.set_password("admin", CANARY_SECRET)
    PrivateFile(tmp_path / FILE).write({})
    assert elsewhere.read_bytes() == content
    assert not (tmp_path / FILE).is_symlink()


def test_a_password_is_hashed_with_salt_and_compared_with_its_own_cost() -> None:
    """What OWASP asks of scrypt at least."""
    one, other = hash_password(CANARY_SECRET), hash_password(CANARY_SECRET)

    assert one.startswith("scrypt$32768$8$3$")
    assert one != other
    assert is_password(CANARY_SECRET, one)
    assert not is_password(CANARY_SECRET + "\0", one)
    assert not is_password(CANARY_SECRET.lower(), one)


@pytest.mark.parametrize(
    "damaged",
    ["", "x", "scrypt$a$8$1$AAAA$AAAA", "scrypt$1048576$8$1000$AAAA$AAAA", "scrypt$3$8$1$AAAA$AAAA",
     "md5$2$8$1$AA==$AA==", "scrypt$-2$8$1$AAAA$AAAA", "scrypt$2$0$1$AAAA$AAAA", "scrypt$1024$8$1$?$?"],
)  # fmt: skip
def test_a_hash_that_cannot_be_read_is_of_no_password(damaged: str) -> None:
    """Nor does it take for ever."""
    assert not is_password(CANARY_SECRET, damaged)


def test_letters_are_the_same_however_a_keyboard_sends_them() -> None:
    """`ş` as one character or as two; any other text, also no text at all, is only wrong."""
    kept = hash_password("şifre-çok-güçlü", n=2**10, p=1)

    assert is_password("s\u0327ifre-c\u0327ok-gu\u0308c\u0327lu\u0308", kept)
    for other in ("sifre-cok-guclu", "\ud800", "x" * 2_001, ""):
        assert not is_password(other, kept)
    longest = "ab" * 995 + "cdefg ijkl"
    check_strength(longest)
    assert is_password(longest, hash_password(longest, n=2**10, p=1))


def test_a_generated_password_is_strong_and_can_be_typed() -> None:
    """No sign that is read as another one; no two are the same."""
    made = [make_password() for _ in range(200)]

    assert len(set(made)) == 200
    for one in made:
        check_strength(one)
        assert set(one) <= set("abcdefghjkmnpqrstuvwxyz23456789-")


def test_a_command_finds_the_data_folder_in_the_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the server does: the environment wins, a relative path starts at the project."""
    for name in ("EVQUOTA_DATA_DIR", "EVQUOTA_SITE_NAME"):
        monkeypatch.setenv(name, "to be forgotten")
        monkeypatch.delenv(name)
    monkeypatch.setenv("EVQUOTA_DASHBOARD_IDLE_LOGOUT_S", "90")
    env_file = tmp_path / ".env"
    env_file.write_text("\ufeffEVQUOTA_DATA_DIR=elsewhere\nEVQUOTA_DASHBOARD_IDLE_LOGOUT_S=7\nPATH=x\n")
    path = os.environ["PATH"]
    take_env_file(tmp_path / "none")
    assert folder_of_site() == PROJECT / "data"

    take_env_file(env_file)
    assert (folder_of_site(), idle_logout_s(), os.environ["PATH"]) == (PROJECT / "elsewhere", 90, path)


@pytest.mark.parametrize("seconds", ["x", "0", "-1", "nan", "inf"])
def test_an_idle_time_that_is_none_stops_the_start(monkeypatch: pytest.MonkeyPatch, seconds: str) -> None:
    """Sessions without an end would be the alternative."""
    monkeypatch.setenv("EVQUOTA_DASHBOARD_IDLE_LOGOUT_S", seconds)
    with pytest.raises(ValueError, match=r"EVQUOTA|could not convert"):
        idle_logout_s()
