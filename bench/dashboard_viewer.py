"""A viewer without a browser: speaks Streamlit's own websocket, and refreshes as its pages are told to.

What it measures is what a viewer waits for: from asking for a part of the page to the message that it is complete.
"""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

_LARGEST_MESSAGE = 64 * 2**20


@dataclass
class Seen:
    """What all viewers together waited for and received while `is_measuring`."""

    is_measuring: bool = False
    reruns_s: list[float] = field(default_factory=list)
    messages: int = 0
    received_bytes: int = 0
    failures: list[str] = field(default_factory=list)


class Viewer:
    """One open page."""

    def __init__(self, address: str, cookie: str, seen: Seen) -> None:
        self._address = address
        self._cookie = cookie
        self._seen = seen
        self._asked: dict[str, float] = {}
        self._cached: set[str] = set()
        self._timers: dict[str, asyncio.Task[None]] = {}
        self._page = ""
        self._running: list[str] = []
        self.is_open = asyncio.Event()
        """Set once the page was complete for the first time."""

    async def run(self) -> None:
        """Look at the page until cancelled."""
        headers = {"Cookie": self._cookie}
        async with connect(
            f"ws://{self._address}/_stcore/stream", origin=f"http://{self._address}", additional_headers=headers,
            subprotocols=[Subprotocol("streamlit")], max_size=_LARGEST_MESSAGE,
        ) as line:  # type: ignore[arg-type]  # fmt: skip
            try:
                await self._ask(line, "")
                async for content in line:
                    if isinstance(content, bytes):
                        self._take(line, content)
            finally:
                for timer in self._timers.values():
                    timer.cancel()

    async def _ask(self, line: ClientConnection, fragment: str) -> None:
        message = BackMsg()
        message.rerun_script.query_string = "lang=English"
        message.rerun_script.page_script_hash = self._page
        message.rerun_script.fragment_id = fragment
        message.rerun_script.is_auto_rerun = bool(fragment)
        message.rerun_script.cached_message_hashes.extend(self._cached)
        self._asked[fragment] = time.perf_counter()
        await line.send(message.SerializeToString())

    def _take(self, line: ClientConnection, content: bytes) -> None:
        message = ForwardMsg.FromString(content)
        if self._seen.is_measuring:
            self._seen.messages += 1
            self._seen.received_bytes += len(content)
        if message.metadata.cacheable and message.hash:
            self._cached.add(message.hash)
        match message.WhichOneof("type"):
            case "new_session":
                self._page = message.new_session.page_script_hash
                self._running = list(message.metadata.run.fragment_ids)
            case "auto_rerun":
                self._set_timer(line, message.auto_rerun.fragment_id, message.auto_rerun.interval)
            case "script_finished":
                self._finished(message.script_finished)
            case "delta" if message.delta.new_element.WhichOneof("type") == "exception":
                self._seen.failures.append(message.delta.new_element.exception.message)

    def _finished(self, status: int) -> None:
        now = time.perf_counter()
        if status == ForwardMsg.ScriptFinishedStatus.FINISHED_SUCCESSFULLY:
            self.is_open.set()
        for fragment in self._running or [""]:
            waited = now - self._asked.pop(fragment, now)
            if self._seen.is_measuring and fragment:
                self._seen.reruns_s.append(waited)

    def _set_timer(self, line: ClientConnection, fragment: str, interval_s: float) -> None:
        if fragment not in self._timers:
            self._timers[fragment] = asyncio.create_task(self._refresh(line, fragment, interval_s))

    async def _refresh(self, line: ClientConnection, fragment: str, interval_s: float) -> None:
        with suppress(ConnectionClosed):
            while True:
                await asyncio.sleep(interval_s)
                if fragment not in self._asked:
                    await self._ask(line, fragment)
