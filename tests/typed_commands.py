"""Types commands in this process, which is many times as fast as one for each; and a charge point that answers."""

import io
import json
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent / "crash"))

from server_process import LIMIT_S, environment
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from ocpp_server import __main__

Typed = tuple[int, str, str]
"""Exit code, standard output, standard error."""


class Keyboard:
    """`keys("status", "--json", data_dir=…, api_port=…)`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capfd = capfd

    def __call__(self, data_dir: Path, *arguments: object, given: str = "", **settings: object) -> Typed:
        """Type one command for the site in this folder."""
        with self._monkeypatch.context() as patch:
            for name, value in environment(data_dir, **settings).items():
                if name.startswith("EVQUOTA_"):
                    patch.setenv(name, value)
            patch.setattr(sys, "argv", ["ocpp_server", *map(str, arguments)])
            patch.setattr(sys, "stdin", io.StringIO(given))
            self._capfd.readouterr()
            try:
                status = __main__.main()
            except SystemExit as end:
                status = int(end.code or 0)
        printed = self._capfd.readouterr()
        return status, printed.out, printed.err


class AnsweringCharger:
    """Boots, then answers each call of the server with what `answers` says for its action, from a thread of its own.

    An answer is a payload, or the code of a CALLERROR; what is not listed is NotSupported.
    """

    def __init__(self, url: str, charge_point_id: str, answers: dict[str, Any]) -> None:
        self.asked: list[tuple[str, Any]] = []
        self._answers = answers
        self._dial: Callable[[], Any] = lambda: connect(
            f"{url}/{charge_point_id}", subprotocols=["ocpp1.6"], compression=None, proxy=None, close_timeout=2
        )

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._socket = stack.enter_context(self._dial())
            self._stack = stack.pop_all()
        boot = {"chargePointVendor": "Acme", "chargePointModel": "One"}
        assert self.call("BootNotification", boot)["status"] == "Accepted"
        self._thread: threading.Thread | None = None
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()
        if self._thread is not None:
            self._thread.join(LIMIT_S)

    def listen(self) -> None:
        """From now on it only answers."""
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def call(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Say something, before it listens."""
        self._socket.send(json.dumps([2, action, action, payload]))
        while True:
            frame = json.loads(self._socket.recv(LIMIT_S))
            if frame[0] == 2:
                self._answer(frame)
            else:
                assert frame[0] == 3, frame
                return dict(frame[2])

    def _listen(self) -> None:
        try:
            for message in self._socket:
                self._answer(json.loads(message))
        except ConnectionClosed:
            pass

    def _answer(self, frame: list[Any]) -> None:
        _kind, number, action, payload = frame
        self.asked.append((action, payload))
        answer = self._answers.get(action, "NotSupported")
        reply = [4, number, answer, "no", {}] if isinstance(answer, str) else [3, number, answer]
        self._socket.send(json.dumps(reply))
