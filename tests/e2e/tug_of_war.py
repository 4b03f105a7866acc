"""Connections that fight for one id while a session runs on it, and a witness of who did what when."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from raw_charge_point import RawChargePoint
from running_site import RunningSite
from tcp_proxy import Link, TcpProxy, Weather
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidStatus

from ocpp_server.core.changes import Change, PutChargePoint
from ocpp_server.core.records import Transaction
from ocpp_server.ocpp16.charge_point import ChargePointConnection
from ocpp_server.ocpp16.commands import RemoteCalls

Json: TypeAlias = dict[str, Any]

POWER_W = 10_800
TAG = "RFID003"
_PATIENCE_S = 1.0
_LIMIT_S = 30.0
_WEATHERS = (Weather(), Weather(), Weather(most_bytes=7), Weather(delay_s=0.005, loss=0.3, resend_s=0.02))


@dataclass
class Witness:
    """Sees every message that is handled, every call that is sent, and every end that is told."""

    site: RunningSite
    handled: int = 0
    called: int = 0
    ended: int = 0
    violations: list[str] = field(default_factory=list)

    def watch(self, monkeypatch: Any) -> None:
        """From now on look on: whoever handles or sends must be the owner in that very moment."""
        take, send_call = ChargePointConnection._take, ChargePointConnection._send_call

        async def taking(connection: ChargePointConnection, raw: bytes) -> None:
            self.handled += 1
            self._must_own(connection, "handles a message")
            await take(connection, raw)

        async def sending(connection: ChargePointConnection, frame: bytes) -> bool:
            self.called += 1
            self._must_own(connection, "sends a call")
            return await send_call(connection, frame)

        monkeypatch.setattr(ChargePointConnection, "_take", taking)
        monkeypatch.setattr(ChargePointConnection, "_send_call", sending)
        self.site.server.central.listen(self._look)

    def _must_own(self, connection: ChargePointConnection, deed: str) -> None:
        if self.site.server.gateway.connection(connection.charge_point_id) is not connection:
            self.violations.append(f"a loser of {connection.charge_point_id} {deed}")

    def _look(self, changes: Sequence[Change]) -> None:
        for change in changes:
            if not isinstance(change, PutChargePoint):
                continue
            known = change.charge_point
            if known.connected_since is None:
                self.ended += 1
            is_connected = self.site.server.gateway.is_connected(known.charge_point_id)
            if is_connected != (known.connected_since is not None):
                self.violations.append(f"{known.charge_point_id} is told as connected={not is_connected}, wrongly")


class Session:
    """What one charge point has to tell, in order; what was answered once is told."""

    def __init__(self, site: RunningSite, rng: random.Random) -> None:
        self._site = site
        self._start = rng.randint(0, 1_000_000)
        self._began: datetime | None = None
        self._last = self._start
        self.transaction: int | None = None
        self.is_stopped = False
        self._is_booted = False
        self._pending: tuple[str, Json] | None = None

    @property
    def energy_wh(self) -> int:
        """What the register shows since the start."""
        return self._last - self._start

    def head(self, *, is_last: bool = False) -> tuple[str, Json]:
        """The oldest message without an answer; a new one if all were answered."""
        if self._pending is None:
            self._pending = self._next(is_last=is_last)
        return self._pending

    def answered(self, message: tuple[str, Json], payload: Json) -> None:
        """An answer to this message came, from whatever connection."""
        if message is not self._pending:
            return
        self._pending = None
        self._is_booted = True
        if message[0] == "StartTransaction":
            self.transaction = payload["transactionId"]
        self.is_stopped = message[0] == "StopTransaction"

    def _next(self, *, is_last: bool) -> tuple[str, Json]:
        now = self._site.clock.now()
        stamp = now.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
        if not self._is_booted:
            return "BootNotification", {"chargePointVendor": "Generic", "chargePointModel": "AC-22"}
        if self.transaction is None:
            self._began = now
            start = {"connectorId": 1, "idTag": TAG, "meterStart": self._start, "timestamp": stamp}
            return "StartTransaction", start
        assert self._began is not None
        self._last = self._start + int(POWER_W * ((now - self._began) / timedelta(hours=1)))
        if is_last:
            return "StopTransaction", {"transactionId": self.transaction, "meterStop": self._last, "timestamp": stamp}
        sample = {"value": str(self._last), "measurand": "Energy.Active.Import.Register", "unit": "Wh"}
        values = [{"timestamp": stamp, "sampledValue": [sample]}]
        return "MeterValues", {"connectorId": 1, "transactionId": self.transaction, "meterValue": values}


class Contender:
    """One of those who want to speak for the id: connects, tells, breaks, and comes again."""

    def __init__(self, fight: "Fight", address: str, key: str, *, is_real: bool) -> None:
        self._fight = fight
        self._headers = [("X-Forwarded-For", address)] + ([("Authorization", key)] if key else [])
        self._is_real = is_real
        """It has the session's messages; another one has nothing to tell but that it is there."""
        self._raw: RawChargePoint | None = None
        self._link: Link | None = None
        self._numbers = 0

    async def act(self, deeds: int) -> None:
        """Do so many things, each by chance."""
        rng = self._fight.rng
        for _ in range(deeds):
            if self._raw is None and not await self.connect():
                await asyncio.sleep(rng.uniform(0, 0.05))
                continue
            deed = rng.choices(("tell", "heartbeat", "cut", "silence", "half close", "close"), (10, 3, 2, 2, 1, 1))[0]
            if deed == "tell":
                await self.tell()
            elif deed == "heartbeat":
                await self._ask("Heartbeat", {})
            else:
                await self._end(deed)

    async def connect(self) -> bool:
        """Try to connect; False if it is refused, or breaks on the way."""
        proxy = self._fight.proxy
        proxy.weather = self._fight.rng.choice(_WEATHERS)
        raw = RawChargePoint(self._fight.charge_point_id, proxy.url, self._fight.site.clock)
        try:
            async with asyncio.timeout(_LIMIT_S):
                await raw.connect(headers=self._headers)
        except (InvalidHandshake, InvalidMessage, OSError) as error:
            self._fight.refused[error.response.status_code if isinstance(error, InvalidStatus) else 0] += 1
            return False
        self._fight.let_in += 1
        self._raw = raw
        port = raw.socket.local_address[1]
        self._link = next((link for link in proxy.links if link.near_port == port), None)
        return True

    async def tell(self, *, is_last: bool = False) -> bool:
        """Send the oldest message that waits; True if it was answered."""
        if not self._is_real:
            return await self._ask("Heartbeat", {}) is not None
        message = self._fight.session.head(is_last=is_last)
        payload = await self._ask(*message)
        if payload is not None:
            self._fight.session.answered(message, payload)
        return payload is not None

    async def leave(self) -> None:
        """Be gone, as after a power cut: nothing is heard of it, and nothing is left of it."""
        if self._link is not None:
            self._link.cut()
        if self._raw is not None:
            self._raw.drop()
            await self._raw.closed()
        self._raw = self._link = None

    async def _ask(self, action: str, payload: Json) -> Json | None:
        """The answer; None if none came in time, or the connection is over."""
        assert self._raw is not None
        self._numbers += 1
        try:
            answer = await self._raw.post([2, f"m{self._numbers}", action, payload])
        except ConnectionClosed:
            await self.leave()
            return None
        await asyncio.wait([answer], timeout=_PATIENCE_S)
        if not answer.done() or answer.cancelled():
            await self.leave()
            return None
        frame = answer.result()
        if frame[0] != 3:
            self._fight.problems.append(f"{action} got {json.dumps(frame)}")
            return None
        return dict(frame[2])

    async def _end(self, deed: str) -> None:
        assert self._raw is not None
        if self._link is None:  # over before we looked
            self._raw.drop()
        elif deed == "silence":  # the line is dead for both ends; this one does not know, and opens another
            self._link.go_dead()
            self._raw.drop()
        elif deed == "half close":
            self._link.half_close()
            await self._ask("Heartbeat", {})
        elif deed == "cut":
            self._link.cut()
        else:
            await self._raw.close()
        if self._raw is not None:
            await self._raw.closed()
        self._raw = self._link = None


class Fight:
    """Two or three connections that fight for one id, and what must be true in the end."""

    def __init__(self, site: RunningSite, proxy: TcpProxy, seed: int, key: str) -> None:
        self.site, self.proxy = site, proxy
        self.rng = random.Random(seed)
        self.charge_point_id = f"CP{seed}"
        self.session = Session(site, self.rng)
        self.problems: list[str] = []
        self.let_in = 0
        self.refused: Counter[int] = Counter()
        """By HTTP status; 0: the line broke on the way."""
        home, away = (f"10.{1 + seed // 250}.{1 + seed % 250}.{place}" for place in (1, 2))
        self._key = key
        """What the Authorization header holds; blank: this charge point has no key."""
        self._home = Contender(self, home, key, is_real=True)
        self._contenders = [
            self._home,
            Contender(self, self.rng.choice((home, away)), key, is_real=True),
            Contender(self, self.rng.choice((home, away)), self.rng.choice((key, "")), is_real=False),
        ][: self.rng.choice((2, 3, 3))]

    async def run(self) -> None:
        """Fight, then let one finish the session."""
        commanding = asyncio.create_task(self._command())
        await asyncio.gather(*(one.act(self.rng.randint(6, 15)) for one in self._contenders))
        for one in self._contenders:
            await one.leave()
        commanding.cancel()
        await asyncio.wait([commanding])
        async with asyncio.timeout(_LIMIT_S):
            while not self.session.is_stopped:
                if await self._home.connect():
                    while not self.session.is_stopped and await self._home.tell(is_last=True):
                        pass
                await self._home.leave()
        self._judge()

    async def _command(self) -> None:
        """All the time ask things of whoever has the id."""
        calls = RemoteCalls(self.site.server.gateway)
        number = 0
        while True:
            number += 1
            await calls.call(self.charge_point_id, "RemoteStopTransaction", {"transactionId": 1_000_000 + number})
            await calls.trigger_message(self.charge_point_id, "Heartbeat")
            await asyncio.sleep(0.005)

    def _judge(self) -> None:
        sessions: list[Transaction] = [
            one
            for one in self.site.server.central.site.transactions.values()
            if one.charge_point_id == self.charge_point_id
        ]
        if len(sessions) != 1:
            self.problems.append(f"{len(sessions)} sessions")
            return
        booked = sum(wh for _, wh in sessions[0].booked)
        if booked != self.session.energy_wh:
            self.problems.append(f"{booked} Wh are booked, the register says {self.session.energy_wh}")
        if sessions[0].ended_at is None:
            self.problems.append("the session did not end")
        if sessions[0].stop is not None:
            self.problems.append(f"it was to be stopped: {sessions[0].stop.cause}")
