"""A site with a trusted proxy, TLS and charge points of every standing, and ways to knock at its door."""

import asyncio
import base64
import json
import ssl
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest
from access_rules import Case, Certificate, Outcome, Place, Shows, Standing
from canaries import CANARY_KEY
from certificates import HOST, Certificates
from running_site import RunningSite, SiteFactory
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus
from websockets.http11 import Response
from websockets.typing import Subprotocol

from ocpp_server.core import commands as cmd
from ocpp_server.core.records import Admission

KEY = CANARY_KEY
OTHERS_KEY = "ffeeddccbbaa99887766554433221100ffeeddcc"
OTHER, SERIAL_NUMBER = "OTHER_ONE", "SN-4711"
PROXIED = {Place.SITE: "192.168", Place.OUTSIDE: "100.100", Place.INTERNET: "8.8", Place.NOWHERE: "192.168"}


def basic(user: str, key: bytes) -> str:
    return "Basic " + base64.b64encode(user.encode() + b":" + key).decode()


def header_of(shows: Shows, charge_point_id: str) -> str | None:
    """What stands in the Authorization header."""
    keys = {
        Shows.HEX: KEY.encode(),
        Shows.UPPER: KEY.upper().encode(),
        Shows.RAW: bytes.fromhex(KEY),
        Shows.WRONG: KEY[::-1].encode(),
        Shows.OTHERS_KEY: OTHERS_KEY.encode(),
    }
    whole = {
        Shows.OTHER: basic(OTHER, OTHERS_KEY.encode()),
        Shows.OTHERS_NAME: basic(OTHER, KEY.encode()),
        Shows.MALFORMED: "Basic key:=",
        Shows.NOTHING: None,
    }
    return basic(charge_point_id, keys[shows]) if shows in keys else whole[shows]


class Door:
    """A running site with everything that the matrix needs, and ways to knock."""

    def __init__(self, site: RunningSite, certificates: Certificates, hashes: tuple[str, str]) -> None:
        self.site = site
        self.certificates = certificates
        self.key_hash = hashes[0]
        self._contexts: dict[str, ssl.SSLContext] = {}

    @property
    def now(self) -> datetime:
        return self.site.clock.now()

    async def do(self, *commands: cmd.Command) -> None:
        for command in commands:
            await self.site.server.central.handle(command)

    async def bring(self, standing: Standing, charge_point_id: str) -> None:
        """Put an id into its standing, as it comes about: by people, connections and chargers.csv."""
        now, one = self.now, charge_point_id
        key = cmd.SetChargePointKey(now, one, self.key_hash, "test")
        approve, gone = cmd.ApproveChargePoint(now, one, "test"), cmd.Disconnect(one, now)
        waits = cmd.Connect(one, now, admission=Admission.PENDING)
        number = cmd.BootNotification(one, now, serial_number=SERIAL_NUMBER)
        steps: dict[Standing, tuple[cmd.Command, ...]] = {
            Standing.KNOWN: (approve,),
            Standing.KEYED: (approve, key),
            Standing.SERIAL: (approve, cmd.Connect(one, now), number, gone),
            Standing.PROFILE_2_ONCE: (key, cmd.Connect(one, now, "192.168.9.9", 2), gone),
            Standing.UNKNOWN: (),
            Standing.PENDING: (waits, gone),
            Standing.PENDING_KEYED: (waits, gone, key),
            Standing.LOCKED: (key, cmd.LockChargePoint(now, one, "test")),
            Standing.FILE_YES: (),
            Standing.FILE_NO: (key,),
        }
        await self.do(*steps[standing])

    def context(self, name: str) -> ssl.SSLContext:
        """A TLS client with a certificate of this name; none if it is blank."""
        if name not in self._contexts:
            files = self.certificates.client(name) if name else None
            made = self.certificates.client_context(files)
            if name not in ("", SERIAL_NUMBER, OTHER):
                return made
            self._contexts[name] = made
        return self._contexts[name]

    async def dial(
        self,
        charge_point_id: str,
        *headers: tuple[str, str],
        address: str = "127.0.0.1",
        tls: ssl.SSLContext | None = None,
    ) -> ClientConnection:
        """Connect from this address of this machine. Raises InvalidStatus."""
        server = self.site.server
        port = server.ocpp_port if tls is None else server.ocpp_tls_port
        return await connect(
            f"{'ws' if tls is None else 'wss'}://{HOST}:{port}/{charge_point_id}",
            subprotocols=[Subprotocol("ocpp1.6")],
            additional_headers=list(headers),
            local_addr=(address, 0),
            ssl=tls,
            compression=None,
            proxy=None,
            ping_interval=None,
            close_timeout=2,
        )

    async def refusal(self, charge_point_id: str, *headers: tuple[str, str]) -> Response:
        """The answer to a handshake that is refused."""
        with pytest.raises(InvalidStatus) as refused:
            await self.dial(charge_point_id, *headers)
        return refused.value.response


async def call(socket: ClientConnection, action: str, payload: dict[str, Any]) -> dict[str, Any]:
    """The payload of the answer; what the server asks meanwhile is left unanswered."""
    await socket.send(json.dumps([2, action, action, payload]))
    async with asyncio.timeout(20):
        while (frame := json.loads(await socket.recv()))[:2] != [3, action]:
            assert frame[0] == 2, frame
    answer: dict[str, Any] = frame[2]
    return answer


async def boot(socket: ClientConnection) -> dict[str, Any]:
    return await call(socket, "BootNotification", {"chargePointVendor": "Generic", "chargePointModel": "AC-22"})


@dataclass(frozen=True)
class Try:
    """A case with the id and the address that only it uses."""

    number: int
    case: Case

    @property
    def charge_point_id(self) -> str:
        in_file = {Standing.FILE_YES: "YES", Standing.FILE_NO: "NO"}
        return f"{in_file.get(self.case.standing, 'CP')}{self.number}"

    @property
    def forwarded(self) -> str:
        return f"{PROXIED[self.case.way.place]}.{self.number // 250 % 250 + 1}.{self.number % 250 + 1}"

    @property
    def socket_address(self) -> str:
        """The trusted proxy is 127.0.0.1; who is on this machine, and who nobody named, has another one."""
        way = self.case.way
        is_named = way.is_through_proxy and way.place is not Place.NOWHERE
        return "127.0.0.1" if is_named else f"127.1.{self.number // 250 % 250 + 1}.{self.number % 250 + 1}"

    def headers(self) -> list[tuple[str, str]]:
        way = self.case.way
        found: list[tuple[str, str]] = []
        authorization = header_of(self.case.shows, self.charge_point_id)
        if authorization is not None:
            found.append(("Authorization", authorization))
        if way.is_through_proxy:
            found.append(("X-Forwarded-For", self.forwarded))
            found.append(("X-Forwarded-Proto", "https" if way.has_tls else "http"))
        return found

    def certificate_name(self) -> str:
        names = {
            Certificate.NONE: "",
            Certificate.OWN: self.charge_point_id,
            Certificate.SERIAL_NUMBER: SERIAL_NUMBER,
            Certificate.OTHER: OTHER,
        }
        return names[self.case.way.certificate]


async def knock(door: Door, attempt: Try) -> Outcome | int:
    """What becomes of it."""
    way = attempt.case.way
    is_tls = way.is_last_leg_encrypted if way.is_through_proxy else way.has_tls
    tls = door.context(attempt.certificate_name()) if is_tls else None
    try:
        socket = await door.dial(attempt.charge_point_id, *attempt.headers(), address=attempt.socket_address, tls=tls)
    except InvalidStatus as refused:
        status = refused.response.status_code
        return Outcome(status) if status in (401, 404) else status
    try:
        status_at_boot = (await boot(socket))["status"]
        return {"Accepted": Outcome.ACCEPTED, "Pending": Outcome.PENDING}[status_at_boot]
    finally:
        await socket.close()


async def open_door(
    site: SiteFactory, certificates: Certificates, hashes: tuple[str, str], attempts: list[Try], **settings: Any
) -> Door:
    """A site with a proxy, TLS, and the rows of chargers.csv that these cases ask for."""
    said = {Standing.FILE_YES: "yes", Standing.FILE_NO: "no"}
    rows = [f"{one.charge_point_id},{said[one.case.standing]}\n" for one in attempts if one.case.standing in said]
    files = certificates.server()
    running = await site(
        chargers="charger_id,approved\n" + "".join(rows),
        trusted_proxies="127.0.0.1",
        ocpp_tls_port=0,
        tls_certificate=files.certificate,
        tls_key=files.key,
        tls_client_ca=certificates.ca_file,
        **settings,
    )
    door = Door(running, certificates, hashes)
    await door.do(cmd.SetChargePointKey(door.now, OTHER, hashes[1], "test"))
    return door
