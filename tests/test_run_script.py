"""./run: POSIX shell, installs only what changed, refuses in one sentence, and leaves no orphan behind.

A fake Python stands in for installing; the real supervisord runs two stub programs.
"""

import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

PROJECT = Path(__file__).resolve().parent.parent
COPIED = (
    "run",
    "supervisord.conf",
    "requirements.txt",
    "requirements-rabbitmq.txt",
    "requirements-dev.txt",
    ".env.example",
    "users1.example.csv",
)
TOOLS = ("sh", "dirname", "cat", "cksum", "rm", "ls", "id", "mkdir", "chmod", "cp", "wc", "tail", "sleep", "touch")
LIMIT_S = 20

FAKE_PYTHON = """#!/bin/sh
printf '%s\\n' "$*" >>"$CALLS"
case "$1 $2" in
    "-m venv")
        for venv; do :; done
        mkdir -p "$venv/bin" && cp "$0" "$venv/bin/python" ;;
    "-m pip") [ -z "${PIP_FAILS-}" ] || exit 1 ;;
    "-c import atheris") [ -z "${ATHERIS_IS_MISSING-}" ] || exit 1 ;;
    "-c import ensurepip, venv") [ -z "${VENV_IS_MISSING-}" ] || exit 1 ;;
    "-c import sys; print"*) echo 3.11 ;;
esac
"""

FAKE_UV = """#!/bin/sh
printf '%s\\n' "$*" >>"$CALLS"
[ "$1" = pip ] || { mkdir -p "$5/bin" && cp "$4" "$5/bin/python"; }
"""


@pytest.fixture
def site() -> Iterator[Path]:
    """A copy of the project without its programs, in a short path (a socket's path has 107 bytes) with a blank."""
    with tempfile.TemporaryDirectory(prefix="evquota-", dir="/tmp") as folder:
        site = Path(folder) / "a site"
        site.mkdir()
        for name in COPIED:
            shutil.copy2(PROJECT / name, site)
        yield site


class FakeMachine:
    """A PATH with the POSIX tools and a Python that only writes down what it was asked for."""

    def __init__(self, folder: Path) -> None:
        self._bin = folder / "bin"
        self._bin.mkdir()
        for tool in TOOLS:
            found = shutil.which(tool)
            assert found is not None, tool
            (self._bin / tool).symlink_to(found)
        self._calls = folder / "calls"
        self.environment = {"PATH": str(self._bin), "CALLS": str(self._calls)}

    def install_python(self) -> None:
        python = self._bin / "python3"
        python.write_text(FAKE_PYTHON)
        python.chmod(0o755)

    def install_uv(self) -> None:
        uv = self._bin / "uv"
        uv.write_text(FAKE_UV)
        uv.chmod(0o755)

    def run(self, site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(site / "run"), *arguments],
            env=self.environment,
            cwd="/",
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
        )

    def calls(self) -> list[str]:
        """What Python was asked for since the last question, probes of its version left out."""
        calls = [line for line in self._calls.read_text().splitlines() if not line.startswith("-c ")]
        self._calls.unlink()
        return calls


@pytest.fixture
def machine(tmp_path: Path) -> FakeMachine:
    machine = FakeMachine(tmp_path)
    machine.install_python()
    return machine


def shells() -> list[str]:
    return [path for path in map(shutil.which, ("sh", "dash", "bash")) if path is not None]


@pytest.mark.parametrize("shell", shells())
def test_the_script_is_understood_by_every_shell(shell: str) -> None:
    """POSIX sh: nothing of bash."""
    subprocess.run([shell, "-n", str(PROJECT / "run")], check=True)


def test_ci_runs_lint_and_tests_and_nothing_else() -> None:
    """What CI says must be what a developer sees."""
    script = PROJECT / ".ci" / "run"
    subprocess.run(["bash", "-n", str(script)], check=True)

    assert re.findall(r"^\./run (.+)$", script.read_text(), re.MULTILINE) == ["lint", "test"]


def test_help_names_every_command_and_needs_no_python(site: Path, tmp_path: Path) -> None:
    """The first thing that people type."""
    done = FakeMachine(tmp_path).run(site, "help")

    assert done.returncode == 0
    for command in ("demo", "check", "test", "lint", "prove", "bench", "help"):
        assert f"./run {command}" in done.stdout


def test_an_unknown_command_is_named(site: Path, machine: FakeMachine) -> None:
    """Exit code 2, and nothing is made."""
    done = machine.run(site, "strat")

    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "run: there is no 'strat'."
    assert not (site / ".venv").exists()


def test_packages_are_installed_once(site: Path, machine: FakeMachine) -> None:
    """A second start asks pip for nothing."""
    assert machine.run(site, "check").returncode == 0
    assert machine.calls() == [
        f"-m venv --clear {site}/.venv",
        "-m pip --version",
        "-m pip install --quiet --disable-pip-version-check -r requirements.txt",
        "-m ocpp_server check",
    ]

    machine.run(site, "check")
    assert machine.calls() == ["-m ocpp_server check"]


def test_uv_is_used_where_it_is_there(site: Path, machine: FakeMachine) -> None:
    """It is faster; it is never required."""
    machine.install_uv()
    machine.run(site, "check")

    assert [re.sub(r"--python \S*/bin/python3", "--python python3", call) for call in machine.calls()] == [
        f"venv --quiet --python python3 {site}/.venv",
        f"pip install --quiet --python {site}/.venv/bin/python -r requirements.txt",
        "-m ocpp_server check",
    ]


def test_packages_are_installed_again_when_the_requirements_change(site: Path, machine: FakeMachine) -> None:
    """After git pull."""
    machine.run(site, "check")
    machine.calls()

    with (site / "requirements.txt").open("a") as requirements:
        requirements.write("another~=1.0\n")
    machine.run(site, "check")

    assert "-m pip install --quiet --disable-pip-version-check -r requirements.txt" in machine.calls()


def test_an_installation_that_failed_is_tried_again(site: Path, machine: FakeMachine) -> None:
    """One sentence and exit code 2; the next start does not believe it worked."""
    machine.environment["PIP_FAILS"] = "1"
    done = machine.run(site, "check")
    assert done.returncode == 2
    assert "the packages of requirements.txt could not be installed" in done.stderr
    assert "-m ocpp_server check" not in machine.calls()

    del machine.environment["PIP_FAILS"]
    machine.run(site, "check")
    assert "-m pip install --quiet --disable-pip-version-check -r requirements.txt" in machine.calls()


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        (("test", "-k", "a b"), "-m pytest -n 4 -m not prove -k a b"),
        (("prove",), "-m pytest -m prove"),
        (("bench", "--quick"), "-m bench --quick"),
    ],
)
def test_developers_get_their_tools_in_the_same_environment(
    arguments: tuple[str, ...], asked: str, site: Path, machine: FakeMachine
) -> None:
    """requirements-dev.txt has a mark of its own, so a plain start stays small."""
    machine.run(site, *arguments)

    assert machine.calls()[-2:] == [
        "-m pip install --quiet --disable-pip-version-check -r requirements-dev.txt",
        asked,
    ]


def test_prove_gets_what_has_no_wheel_for_every_python(site: Path, machine: FakeMachine) -> None:
    """atheris is installed for `prove` alone; without it the rest is proven all the same."""
    atheris = "-m pip install --quiet --disable-pip-version-check --only-binary :all: atheris~=3.0.0"
    machine.environment["ATHERIS_IS_MISSING"] = "1"
    machine.run(site, "test")
    assert atheris not in machine.calls()

    machine.run(site, "prove")
    assert machine.calls()[-2:] == [atheris, "-m pytest -m prove"]

    machine.environment["PIP_FAILS"] = "1"
    done = machine.run(site, "prove", "-k", "kill")
    assert "No wheel of atheris~=3.0.0" in done.stdout
    assert machine.calls()[-1] == "-m pytest -m prove -k kill"


@pytest.mark.parametrize("place", ["environment", "file"])
@pytest.mark.parametrize("name", ["EVQUOTA_RABBITMQ_URL", "EVQUOTA_RABBITMQ_URL_FILE"])
def test_what_rabbitmq_needs_is_installed_where_it_is_wanted(
    name: str, place: str, site: Path, machine: FakeMachine
) -> None:
    """Only there, whether it is set in the environment or in .env; a line that is commented out sets nothing."""
    extra = "-m pip install --quiet --disable-pip-version-check -r requirements-rabbitmq.txt"
    (site / ".env").write_text(f"#{name}=amqp://localhost\n{name}=\n")
    machine.run(site, "check")
    assert extra not in machine.calls()

    if place == "file":
        (site / ".env").write_text(f"EVQUOTA_API_PORT=9001\n{name}=amqp://localhost")
    else:
        machine.environment[name] = "amqp://localhost"
    machine.run(site, "check")
    assert machine.calls()[-2:] == [extra, "-m ocpp_server check"]


def test_another_environment_can_be_named(site: Path, machine: FakeMachine, tmp_path: Path) -> None:
    """EVQUOTA_VENV, as CI does."""
    machine.environment["EVQUOTA_VENV"] = str(tmp_path / "my venv")
    machine.run(site, "check")

    assert machine.calls()[0] == f"-m venv --clear {tmp_path}/my venv"
    assert not (site / ".venv").exists()


def test_a_folder_that_is_no_environment_is_not_overwritten(site: Path, machine: FakeMachine, tmp_path: Path) -> None:
    """EVQUOTA_VENV=$HOME must not cost anybody a home."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis").touch()
    machine.environment["EVQUOTA_VENV"] = str(tmp_path / "home")

    done = machine.run(site, "check")

    assert done.returncode == 2
    assert "remove it or name another folder" in done.stderr
    assert (tmp_path / "home" / "thesis").exists()


def test_without_python_there_is_one_sentence(site: Path, tmp_path: Path) -> None:
    """And the line to type."""
    done = FakeMachine(tmp_path).run(site)

    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "sudo apt install python3 python3-venv" in done.stderr


def test_without_venv_there_is_one_sentence(site: Path, machine: FakeMachine) -> None:
    """Debian ships Python without it."""
    machine.environment["VENV_IS_MISSING"] = "1"

    done = machine.run(site)

    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.endswith("sudo apt install python3.11-venv\n")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("100% green", "supervisord cannot run in a folder with % in its path"),
        ("very" * 20, "supervisord's socket allows 79"),
    ],
)
def test_a_path_that_supervisord_cannot_use_is_refused(
    name: str, sentence: str, site: Path, machine: FakeMachine
) -> None:
    """Before anything is installed, with a way out that works: a link with a short name."""
    moved = site.rename(site.parent / name)
    for command in ([], ["demo"]):
        done = machine.run(moved, *command)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert sentence in done.stderr
    assert not (moved / ".venv").exists()

    link = moved.parent / "link"
    link.symlink_to(moved)
    machine.run(link, "check")
    assert machine.calls()[-1] == "-m ocpp_server check"


def test_a_path_with_a_colon_is_refused(site: Path, machine: FakeMachine) -> None:
    """Python's venv refuses it, with a traceback."""
    done = machine.run(site.rename(site.parent / "a:b"))

    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "makes no virtual environment in a path with a colon" in done.stderr


def test_a_check_that_fails_stops_the_start(site: Path, machine: FakeMachine, tmp_path: Path) -> None:
    """supervisord is not started; the exit code of `prepare` is passed on."""
    python = tmp_path / "bin" / "python3"
    python.write_text(FAKE_PYTHON + '[ "$3" != prepare ] || exit 2\n')

    done = machine.run(site)

    assert done.returncode == 2
    assert machine.calls()[-1] == "-m ocpp_server prepare"


def test_accounts_that_cannot_be_made_stop_the_start(site: Path, machine: FakeMachine, tmp_path: Path) -> None:
    """After the check, which makes the data folder; supervisord is not started."""
    python = tmp_path / "bin" / "python3"
    python.write_text(FAKE_PYTHON + '[ "$2 $3" != "dashboard prepare" ] || exit 2\n')

    done = machine.run(site)

    assert done.returncode == 2
    assert machine.calls()[-2:] == ["-m ocpp_server prepare", "-m dashboard prepare"]


# --- the real supervisord ---

PROGRAM = """
import os, sys, time
if sys.argv[1] == "prepare":
    sys.exit()
print(sys.argv[1], "is", os.getpid(), flush=True)
time.sleep(60)
"""

WITH_PLAIN_SIGNALS = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""The tests may run under nohup or in the background, where a shell could not trap these."""


@pytest.fixture
def running_site(site: Path) -> Iterator["subprocess.Popen[str]"]:
    """./run with stubs for the programs and with this Python for the virtual environment."""
    (site / "ocpp_server").mkdir()
    (site / "ocpp_server" / "__main__.py").write_text(PROGRAM)
    (site / "dashboard").mkdir()
    (site / "dashboard" / "__main__.py").write_text(PROGRAM)
    venv = site / ".venv" / "bin"
    venv.mkdir(parents=True)
    (venv / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (venv / "python").chmod(0o755)
    requirements = (site / "requirements.txt").read_bytes() * 2
    stamp = subprocess.run(["cksum"], input=requirements, capture_output=True, check=True).stdout
    (site / ".venv" / "requirements.txt.installed").write_bytes(stamp)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("EVQUOTA_")}
    started = subprocess.Popen(
        [sys.executable, "-c", WITH_PLAIN_SIGNALS, str(site / "run")],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with started:
        yield started
        started.kill()


def pids_of_programs(started: "subprocess.Popen[str]") -> list[int]:
    """The pids that server and dashboard print, read from what ./run shows of their logs."""
    assert started.stdout is not None
    pids: dict[str, int] = {}
    for line in started.stdout:
        if found := re.fullmatch(r"(serve|dashboard) is (\d+)\n", line):
            pids[found[1]] = int(found[2])
        if len(pids) == 2:
            return [*pids.values()]
    raise AssertionError("the programs did not start")


def wait_until_ended(descriptors: list[int]) -> None:
    """A descriptor of a process becomes readable when the process ends."""
    for descriptor in descriptors:
        readable, _, _ = select.select([descriptor], [], [], LIMIT_S)
        os.close(descriptor)
        assert readable


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs Linux")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_the_end_of_run_is_the_end_of_everything(
    site: Path, running_site: "subprocess.Popen[str]", number: signal.Signals
) -> None:
    """Ctrl-C, a plain kill, a closed terminal, and even a kill that ./run cannot see: no orphan."""
    pids = pids_of_programs(running_site)
    pids.append(int((site / "var" / "supervisord.pid").read_text()))
    processes = [os.pidfd_open(pid) for pid in pids]
    session = os.getsid(running_site.pid)

    if number in {signal.SIGINT, signal.SIGHUP}:
        os.killpg(session, number)  # as a terminal does
    else:
        running_site.send_signal(number)

    wait_until_ended(processes)
    assert running_site.wait(LIMIT_S) == (-number if number is signal.SIGKILL else 0)


# --- requirements ---

FLOORS = {"aiohttp": "3.14", "websockets": "17", "streamlit": "1.67", "ocpp": "2.1", "supervisor": "4.3"}
"""What we build on; all known holes are below them (T25)."""


def requirements(name: str) -> list[tuple[Requirement, str]]:
    lines = (line.partition("#") for line in (PROJECT / name).read_text().splitlines())
    return [(Requirement(text), comment) for text, _, comment in lines if text.strip() and not text.startswith("-r")]


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-rabbitmq.txt", "requirements-dev.txt"])
def test_every_requirement_is_pinned_and_says_why_it_is_there(name: str) -> None:
    """A dependency must save more than it costs."""
    for requirement, comment in requirements(name):
        assert str(requirement.specifier).startswith("~=")
        assert requirement.specifier.contains(version(requirement.name))
        assert comment.strip()


def test_no_requirement_allows_a_version_with_known_holes() -> None:
    """The floors of T25."""
    pinned = {requirement.name: requirement for requirement, _ in requirements("requirements.txt")}

    for name, floor in FLOORS.items():
        (specifier,) = pinned[name].specifier
        assert Version(specifier.version) >= Version(floor)
