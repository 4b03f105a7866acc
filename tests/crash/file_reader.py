"""A reader of the published files that never rests: whatever it opens must be whole, at every moment."""

import json
import threading
from pathlib import Path
from typing import Self

from server_process import published_files

_PAUSE_S = 0.003  # else it would keep the interpreter's lock from the charge points


class TirelessReader:
    """Reads every published JSON file in a loop, in a thread, while the block runs."""

    def __init__(self, data_dir: Path) -> None:
        self.problems: list[str] = []
        self.reads = 0
        self._data_dir = data_dir
        self._known: set[Path] = set()
        self._used: dict[str, float] = {}
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reader")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._is_over.wait(_PAUSE_S):
            try:
                self._known.update(published_files(self._data_dir))
                for path in self._known:
                    self._read(path)
            except Exception as error:  # noqa: BLE001 - a thread's last words must reach the test
                self.problems.append(repr(error))
                return

    def _read(self, path: Path) -> None:
        try:
            content = path.read_bytes()
            document = json.loads(content)
        except FileNotFoundError:
            self.problems.append(f"{path.name} was gone")
            return
        except ValueError as error:
            self.problems.append(f"{path.name}: {error}: {content[:200]!r} ({len(content)} bytes)")
            return
        self.reads += 1
        if path.name == "energy_usage.json":
            self._compare(document)

    def _compare(self, usage: dict[str, float]) -> None:
        """Nothing is taken back here, so a total that falls was shown before it was durable."""
        for tag, kwh in self._used.items():
            if usage.get(tag, 0.0) < kwh:
                self.problems.append(f"energy_usage.json: {tag} fell from {kwh} to {usage.get(tag)} kWh")
        self._used = usage
