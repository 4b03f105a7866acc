"""A charge point of the load: one session that began hours ago, with a plausible reading every five seconds of it.

At most one call is unanswered at any time (OCPP-J 1.6 §4.1.1).
"""

import asyncio
import json
import time
from array import array
from collections import Counter, deque
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from bench.wire import Wire

STEP_S = 5
"""Seconds of a session between two readings."""
_LONGEST_ANSWER_S = 30.0
_METER_VALUES = (
    b'[2,"%d","MeterValues",{"connectorId":1,"transactionId":%d,"meterValue":[{"timestamp":"%b","sampledValue":['
    b'{"value":"%d","context":"Sample.Periodic","measurand":"Energy.Active.Import.Register","unit":"Wh"},'
    b'{"value":"%d","context":"Sample.Periodic","measurand":"Power.Active.Import","unit":"W"}]}]}]'
)
_BOOT = {"chargePointVendor": "Bench", "chargePointModel": "Load", "firmwareVersion": "1.0"}
_CONFIGURATION = {
    "MeterValueSampleInterval": "60",
    "MeterValuesSampledData": "Energy.Active.Import.Register,Power.Active.Import",
    "WebSocketPingInterval": "30",
}
_now = time.perf_counter


def session_stamps(begin: datetime, end: datetime) -> list[bytes]:
    """The stamps of a session from its start until `end`, OCPP's way to write a time."""
    count = int((end - begin).total_seconds()) // STEP_S
    stamps = ((begin + timedelta(seconds=STEP_S * step)).astimezone(UTC) for step in range(count))
    return [stamp.strftime("%Y-%m-%dT%H:%M:%SZ").encode() for stamp in stamps]


class Tally:
    """What was counted in one phase. `latencies_s` holds those of messages that became due while `is_measuring`."""

    def __init__(self) -> None:
        self.is_measuring = False
        self.latencies_s = array("d")


class ChargePoint:
    """One charge point; `problems` is shared by all of them."""

    def __init__(self, number: int, id_tag: str, port: int, stamps: Sequence[bytes], problems: Counter[str]) -> None:
        self.id_tag = id_tag
        self.energy_wh = 0
        self.is_configured = False
        """The server has read its configuration since it booted."""
        self._path = f"/BENCH{number:04d}"
        self._port = port
        self._stamps = stamps
        self._problems = problems
        self._step_wh = 5 + number % 11  # in five seconds: 3.6 to 10.8 kW
        self._meter_start = 1000 * (number + 1)
        self._step = 0
        self._transaction_id = 0
        self._message_id = 0
        self._wire: Wire | None = None
        self._answer: asyncio.Future[dict[str, Any]] | None = None
        self._answered_at = 0.0
        self._expected = b""
        self._due = 0.0
        self._backlog: deque[float] = deque()
        self._tally: Tally | None = None
        self._is_closed_loop = False

    @property
    def is_busy(self) -> bool:
        """A reading is unanswered, or waits for its turn."""
        return bool(self._expected)

    async def boot(self) -> float:
        """Connect and boot; gives when the answer was there."""
        self._wire = Wire("127.0.0.1", self._port, self._path, self._on_text)
        await self._wire.open()
        self.is_configured = False
        await self._call("BootNotification", _BOOT)
        return self._answered_at

    async def close(self) -> None:
        """Close the connection in order."""
        if self._wire is not None:
            await self._wire.close()

    async def authorize(self) -> None:
        await self._call("Authorize", {"idTag": self.id_tag})

    async def start(self) -> float:
        """Begin the session; gives when the answer was there."""
        payload = {"connectorId": 1, "idTag": self.id_tag, "meterStart": self._meter_start}
        answer = await self._call("StartTransaction", payload | {"timestamp": self._stamps[0].decode()})
        self._transaction_id = answer.get("transactionId", 0)
        if answer.get("idTagInfo", {}).get("status") != "Accepted":
            self._problems["StartTransaction refused"] += 1
        return self._answered_at

    async def stop(self) -> None:
        """End the session at its last reading."""
        payload = {"transactionId": self._transaction_id, "meterStop": self._meter_start + self.energy_wh}
        await self._call("StopTransaction", payload | {"timestamp": self._stamps[self._step].decode()})

    def send_for_ever(self, tally: Tally) -> None:
        """Closed loop: the next reading goes out when the last one is answered, until `rest`."""
        self._tally, self._is_closed_loop = tally, True
        self._send_reading(_now())

    def rest(self) -> None:
        """Send no more once what waits is answered."""
        self._is_closed_loop = False

    def send_due(self, tally: Tally, due: float) -> None:
        """Open loop: a reading became due; it waits if the last one is not answered yet."""
        self._tally = tally
        if self._expected:
            self._backlog.append(due)
        else:
            self._send_reading(due)

    def _send_reading(self, due: float) -> None:
        if self._step + 1 == len(self._stamps):
            self._problems["session over before the load was: fewer seconds, or more chargers"] += 1
            return
        if self._wire is None or not self._wire.is_open:
            self._problems["connection lost"] += 1
            return
        self._step += 1
        self.energy_wh += self._step_wh
        self._message_id += 1
        self._expected = b'[3,"%d",{}]' % self._message_id
        self._due = due
        stamp, register = self._stamps[self._step], self._meter_start + self.energy_wh
        power_w = self._step_wh * 3600 // STEP_S
        self._wire.send_text(_METER_VALUES % (self._message_id, self._transaction_id, stamp, register, power_w))

    def _reading_answered(self) -> None:
        assert self._tally is not None
        now = _now()
        if self._tally.is_measuring:
            self._tally.latencies_s.append(now - self._due)
        self._expected = b""
        if self._is_closed_loop:
            self._send_reading(now)
        elif self._backlog:
            self._send_reading(self._backlog.popleft())

    async def _call(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        """The payload of the answer; empty, with a problem noted, if there is none."""
        assert self._wire is not None
        self._message_id += 1
        self._answer = asyncio.get_running_loop().create_future()
        self._wire.send_text(_json([2, str(self._message_id), action, payload]))
        try:
            return await asyncio.wait_for(self._answer, _LONGEST_ANSWER_S)
        except TimeoutError:
            self._problems[f"{action} not answered"] += 1
            return {}

    def _on_text(self, text: bytes) -> None:
        if text == self._expected:
            self._reading_answered()
            return
        try:
            kind, message_id, *rest = json.loads(text)
        except ValueError:
            self._problems[f"unreadable: {text[:40]!r}"] += 1
            return
        if kind == 2:
            self._take_call(message_id, rest[0])
        elif message_id != str(self._message_id):
            self._problems["answer to no question"] += 1
        else:
            if kind == 4:
                self._problems[f"CALLERROR {rest[0]}"] += 1
            if self._expected:
                self._reading_answered()
            elif self._answer is not None:
                self._answered_at = _now()
                self._answer.set_result(rest[0] if kind == 3 else {})
                self._answer = None

    def _take_call(self, message_id: str, action: str) -> None:
        """Answer the server as a charge point does that is configured already."""
        assert self._wire is not None
        answer: dict[str, Any] = {"status": "Accepted"}
        if action == "GetConfiguration":
            keys = [{"key": key, "readonly": False, "value": value} for key, value in _CONFIGURATION.items()]
            answer, self.is_configured = {"configurationKey": keys}, True
        elif action == "RemoteStopTransaction":
            self._problems["asked to stop"] += 1
        self._wire.send_text(_json([3, message_id, answer]))


def _json(message: list[Any]) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode()
