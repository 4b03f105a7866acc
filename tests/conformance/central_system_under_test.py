"""What a case of the compliance tool needs: a running server, its remote calls, and charge points that it knows."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeAlias

from octt_charge_point import OcttChargePoint
from running_site import RunningSite

from ocpp_server.authorization_key import hash_key
from ocpp_server.core.commands import SetChargePointKey
from ocpp_server.core.records import Transaction
from ocpp_server.ocpp16.outgoing import CallAnswer

Json: TypeAlias = dict[str, Any]

VALID, EXPIRED, BLOCKED, USED_UP, UNKNOWN = "RFID001", "EXPIRED1", "BLOCKED1", "USEDUP1", "NOBODY1"
PARENT, CHILD, SIBLING = "FAMILY", "CHILD1", "CHILD2"
USERS = f"""id_tag,name,surname,quota_kwh,unlimited,account,expiry_date,blocked
{VALID},John,Doe,150,FALSE,,,
{EXPIRED},Jane,Smith,150,FALSE,,2025-01-14,
{BLOCKED},Bob,Jones,150,FALSE,,,TRUE
{USED_UP},Ann,Miller,0,FALSE,,,
{CHILD},Cem,Kaya,150,FALSE,{PARENT},,
{SIBLING},Can,Kaya,150,FALSE,{PARENT},,
"""
QUIET_AFTER_START_S = 11
"""A call that is no stop waits so long after a StartTransaction (rule 27)."""


class CentralSystemUnderTest:
    """The server, and the person who makes it send calls."""

    def __init__(self, site: RunningSite) -> None:
        self.site = site
        self._charge_points: list[OcttChargePoint] = []

    async def close(self) -> None:
        """Hang up everybody, then stop the server."""
        for charge_point in self._charge_points:
            await charge_point.close()
        await self.site.close()

    def faults(self) -> list[str]:
        """Frames of the server that fit no schema, CALLERRORs, and what `verify` finds in books and files."""
        return [fault for one in self._charge_points for fault in one.faults] + self.site.problems()

    async def dial(
        self, charger_id: str = "CP1", *, key: str | bytes | None = None, tls: ssl.SSLContext | None = None, **more: Any
    ) -> OcttChargePoint:
        """A line on which nothing was said yet. Raises what `websockets` raises when it is refused."""
        url = self.site.url if tls is None else f"wss://127.0.0.1:{self.site.server.ocpp_tls_port}"
        charge_point = OcttChargePoint(charger_id, url, self.site.clock, key=key, tls=tls)
        self._charge_points.append(charge_point)
        await charge_point.connect(**more)
        return charge_point

    async def charge_point(self, **options: Any) -> OcttChargePoint:
        """A charge point that booted some time ago; on this line no case but a boot begins with BootNotification."""
        before = await self.dial(**options)
        await before.boot()
        await before.close()
        await self.site.advance(1)
        return await self.dial(**options)

    async def rebooted(self, before: OcttChargePoint, **options: Any) -> OcttChargePoint:
        """The charge point hangs up, dials again and boots, which is accepted."""
        await before.close()
        await self.site.advance(30)
        after = await self.dial(before.charger_id, **options)
        assert (await after.boot())["status"] == "Accepted"
        return after

    async def give_key(self, key: str, charger_id: str = "CP1") -> None:
        """A person sets the AuthorizationKey that this charge point has to show."""
        command = SetChargePointKey(self.site.clock.now(), charger_id, await asyncio.to_thread(hash_key, key), "test")
        await self.site.server.central.handle(command)

    async def ask(
        self, charge_point: OcttChargePoint, action: str, payload: Json, reply: Json | None = None
    ) -> CallAnswer:
        """Make the server send a call, which the charge point answers with `reply` (Accepted if there is none).

        It must arrive as it was ordered, and its answer must be told as it was given.
        """
        reply = {"status": "Accepted"} if reply is None else reply
        charge_point.will_answer(action, reply)
        before = len(charge_point.asked)
        answer = await self.site.server.calls.call(charge_point.charger_id, action, payload)
        assert (action, payload) in charge_point.asked[before:]
        assert answer == CallAnswer(reply.get("status", "answered"), reply)
        return answer

    async def charge(self, charge_point: OcttChargePoint, *, connector: int = 1, id_tag: str = VALID) -> int:
        """A session that charges and is past its first seconds; the id of its transaction."""
        await charge_point.status(connector, "Preparing")
        assert (await charge_point.authorize(id_tag))["status"] == "Accepted"
        transaction_id, status = await charge_point.start(id_tag, connector=connector)
        assert (transaction_id > 0, status) == (True, "Accepted")
        await charge_point.status(connector, "Charging")
        await self.site.advance(QUIET_AFTER_START_S)
        return transaction_id

    def in_an_hour(self) -> str:
        """A time in the future, as OCPP writes it."""
        return (self.site.clock.now() + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def open_transactions(self) -> list[Transaction]:
        """The sessions that have not ended."""
        return [one for one in self.site.server.central.site.transactions.values() if one.is_open]


SystemFactory: TypeAlias = Callable[..., Awaitable[CentralSystemUnderTest]]
"""The fixture `start_system`."""
