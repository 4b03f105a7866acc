"""The real server as a process of its own: start it, wait for it, end it in every way a process can end."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Self

PROJECT = Path(__file__).resolve().parents[2]
LIMIT_S = 30.0
"""More than any of this takes on a slow machine: it only keeps a failing test from hanging."""
USERS = "id_tag,name,surname,quota_kwh,unlimited\nRFID001,John,Doe,150,FALSE\nRFID002,Jane,Smith,,TRUE\n"


def until(condition: Callable[[], object], what: str, limit_s: float = LIMIT_S) -> None:
    """Return once the condition of another process is true; AssertionError after real seconds."""
    give_up = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < give_up, f"not within {limit_s:g} s: {what}"
        time.sleep(0.005)


def free_ports(count: int) -> list[int]:
    """Free ports below those that the system gives to clients.

    A client that dials a closed port of that range over and over may be given this very port and reach itself.
    """
    found: list[int] = []
    for port in random.sample(range(20_000, 30_000), 200):
        with contextlib.closing(socket.socket()) as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            return found
    raise AssertionError("no free ports")


def environment(data_dir: Path, **settings: object) -> dict[str, str]:
    """The environment of a server on this folder; nothing of the developer's own settings but what .env says."""
    own = {name: value for name, value in os.environ.items() if not name.upper().startswith("EVQUOTA_")}
    chosen = {
        "data_dir": data_dir,
        "ocpp_host": "127.0.0.1",
        "api_host": "127.0.0.1",
        "timezone": "UTC",
        "clock_factor": 1,
        "log_level": "INFO",
        "max_message_rate": 0,
    } | settings
    return own | {f"EVQUOTA_{name.upper()}": str(value) for name, value in chosen.items()}


def make_site(data_dir: Path, users: str = USERS) -> Path:
    """A data folder as `./run` makes it, with these users."""
    data_dir.mkdir(mode=0o750)
    (data_dir / "users1.csv").write_text(users, encoding="utf-8")
    return data_dir


def command_line(data_dir: Path, *arguments: str, **settings: object) -> subprocess.CompletedProcess[str]:
    """Run `python -m ocpp_server …` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "ocpp_server", *arguments],
        cwd=PROJECT,
        env=environment(data_dir, **settings),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


class ServerProcess:
    """`python -m ocpp_server serve` on one folder and two ports that stay the same over all its lives."""

    def __init__(self, data_dir: Path, **settings: object) -> None:
        self.data_dir = data_dir
        self.ocpp_port, self.api_port = free_ports(2)
        self.settings = {"ocpp_port": self.ocpp_port, "api_port": self.api_port} | settings
        self.log_path = data_dir.with_name(f"{data_dir.name}.log")
        self.process: subprocess.Popen[bytes] | None = None
        self._log_begin = 0

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.ocpp_port}"

    def start(self) -> Self:
        """Begin a life; what it prints goes to the log file."""
        assert self.process is None
        self._log_begin = self.log_path.stat().st_size if self.log_path.exists() else 0
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ocpp_server", "serve"],
                cwd=PROJECT,
                env=environment(self.data_dir, **self.settings),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return self

    def started(self) -> Self:
        """Begin a life and wait until it listens."""
        self.start()
        until(lambda: self.is_listening or self.has_ended, "the server listens")
        assert self.is_listening, self.output()
        return self

    @property
    def is_listening(self) -> bool:
        return "[CONNECT] listening" in self.output()

    @property
    def has_ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def output(self) -> str:
        """What this life has printed so far."""
        with self.log_path.open("rb") as log:
            log.seek(self._log_begin)
            return log.read().decode("utf-8", "replace")

    def wait(self) -> int:
        """Wait for the end of this life; gives its exit status, negative for a signal."""
        assert self.process is not None
        status = self.process.wait(LIMIT_S)
        self.process = None
        return status

    def send(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it in order."""
        self.send(number)
        return self.wait()

    def kill(self) -> None:
        """End it in the middle of whatever it does."""
        self.send(signal.SIGKILL)
        assert self.wait() == -signal.SIGKILL, self.output()

    def __enter__(self) -> Self:
        return self.started()

    def __exit__(self, *_error: object) -> None:
        if self.process is not None:
            self.process.kill()
            self.wait()


def published_files(data_dir: Path) -> Iterable[Path]:
    """Every JSON file that other programs may read."""
    return [*data_dir.glob("*.json"), *data_dir.glob("archive/*.json")]
