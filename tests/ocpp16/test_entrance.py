"""The way in on real sockets, with and without TLS, on both kinds of event loop: who is aborted, and when."""

import asyncio
import logging
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from ipaddress import ip_network
from pathlib import Path
from typing import TypeAlias
from zoneinfo import ZoneInfo

import pytest
from certificates import Certificates
from ocpp16_doubles import LIMIT_S, Listen, RecordingCentral
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from ocpp_server.clock import Clock
from ocpp_server.core.site import Policy, Site
from ocpp_server.ocpp16 import entrance as entrance_module
from ocpp_server.ocpp16 import gateway as gateway_module
from ocpp_server.ocpp16 import turnstile as turnstile_module
from ocpp_server.ocpp16.doorkeeper import Doorkeeper
from ocpp_server.ocpp16.gateway import Gateway
from ocpp_server.ocpp16.key_checker import KeyChecker
from ocpp_server.ocpp16.options import GatewayOptions
from ocpp_server.ocpp16.tls import ServerTls, TlsFiles

OPTIONS = GatewayOptions(host="127.0.0.1", port=0, max_message_rate=0)
Silent: TypeAlias = Callable[..., Awaitable[list[socket.socket]]]
HEARTBEAT = '[2,"%d","Heartbeat",{}]'


def open_door(*proxies: str) -> Doorkeeper:
    site = Site(Policy(ZoneInfo("UTC")))
    networks = [ip_network("192.168.0.0/16")]
    return Doorkeeper(site, KeyChecker(), networks, [ip_network(one) for one in proxies])


@pytest.fixture
def silent() -> Iterator[Silent]:
    """Give a function that makes connections which say nothing."""
    sockets: list[socket.socket] = []

    async def open_some(port: int, count: int = 1) -> list[socket.socket]:
        for _ in range(count):
            one = socket.socket()
            one.setblocking(False)
            sockets.append(one)
            await asyncio.get_running_loop().sock_connect(one, ("127.0.0.1", port))
        return sockets[-count:]

    yield open_some
    for one in sockets:
        one.close()


async def ended(one: socket.socket) -> bytes:
    """What came until the server ended this connection."""
    received = b""
    async with asyncio.timeout(LIMIT_S):
        while True:
            try:
                some = await asyncio.get_running_loop().sock_recv(one, 4096)
            except ConnectionResetError:
                some = b""
            if not some:
                one.close()
                return received
            received += some


async def becomes_true(claim: Callable[[], object]) -> None:
    """Wait for what nobody tells of."""
    async with asyncio.timeout(LIMIT_S):
        while not claim():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.fixture
def no_exemption(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine is a stranger like any other."""
    monkeypatch.setattr(turnstile_module.Turnstile, "_rank", lambda *_: (False, turnstile_module.MOST_FROM_ELSEWHERE))


@pytest.mark.usefixtures("no_exemption")
async def test_the_sixth_connection_of_a_stranger_is_aborted_without_a_word(
    listen: Listen, silent: Silent, caplog: pytest.LogCaptureFixture
) -> None:
    """T12: before a byte was read; one line in the log. The end of one makes room for another."""
    gateway = await listen()
    with caplog.at_level(logging.WARNING):
        sockets = await silent(gateway.port, 8)
        assert [await ended(one) for one in sockets[5:]] == [b""] * 3
        assert len(gateway._turnstile) == 5

    assert caplog.text.count("too many connections from this address") == 1
    sockets[0].close()
    await becomes_true(lambda: len(gateway._turnstile) == 4)
    (again,) = await silent(gateway.port)
    await becomes_true(lambda: len(gateway._turnstile) == 5)
    assert again.fileno() > 0


@pytest.mark.parametrize("encrypted", [False, True])
async def test_silent_sockets_make_room_for_a_charge_point(silent: Silent, tmp_path: Path, encrypted: bool) -> None:
    """T12: all places are taken by sockets that never shake hands, not even TLS; the oldest of them has to go."""
    certificates = Certificates(tmp_path)
    files = certificates.server()
    options = GatewayOptions(
        host="127.0.0.1", port=0, tls_port=0, tls=ServerTls(TlsFiles(files.certificate, files.key)), max_connections=20
    )
    gateway = Gateway(RecordingCentral(), Clock(), options, open_door())
    async with gateway.listening():
        port = gateway.tls_port if encrypted else gateway.port
        sockets = await silent(port, 60)
        scheme, context = ("wss", certificates.client_context()) if encrypted else ("ws", None)
        charger = await connect(
            f"{scheme}://127.0.0.1:{port}/CP1",
            subprotocols=["ocpp1.6"],
            ssl=context,
            compression=None,  # type: ignore[list-item]
        )
        await charger.send(HEARTBEAT % 1)
        async with asyncio.timeout(LIMIT_S):
            assert '"currentTime"' in str(await charger.recv())

        assert len(gateway._turnstile) <= 41
        assert await ended(sockets[0]) == b""
        await charger.close()
        began_at = time.monotonic()
    assert time.monotonic() - began_at < 4  # the server does not wait for those who are silent
    assert all([await ended(one) == b"" for one in sockets[1:]])
    assert len(gateway._turnstile) == 0


@pytest.mark.parametrize("encrypted", [False, True])
async def test_a_dribbled_handshake_ends(
    silent: Silent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encrypted: bool
) -> None:
    """T12: slowloris: one byte now and then is no handshake; nor are the first bytes of TLS. Its place is free."""
    monkeypatch.setattr(gateway_module, "_LONGEST_HANDSHAKE_S", 0.5)
    monkeypatch.setattr(entrance_module, "TLS_HANDSHAKE_S", 0.5)
    files = Certificates(tmp_path).server()
    options = GatewayOptions(
        host="127.0.0.1", port=0, tls_port=0, tls=ServerTls(TlsFiles(files.certificate, files.key))
    )
    gateway = Gateway(RecordingCentral(), Clock(), options, open_door())
    text = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc" + bytes(500) if encrypted else b"GET /CP1 HTTP/1.1\r\n" * 50
    async with gateway.listening():
        (one,) = await silent(gateway.tls_port if encrypted else gateway.port)
        ending = asyncio.create_task(ended(one))
        for byte in text:
            if ending.done():
                break
            await asyncio.sleep(0.02)
            try:
                one.send(bytes([byte]))
            except OSError:
                break

        assert b"101" not in await ending
        await becomes_true(lambda: not len(gateway._turnstile))


async def test_tls_that_goes_wrong_gives_its_place_back(silent: Silent, tmp_path: Path) -> None:
    """T12: rubbish, a client that trusts nobody, one that leaves half way, one that resets: no place is lost."""
    certificates = Certificates(tmp_path)
    files = certificates.server()
    options = GatewayOptions(
        host="127.0.0.1", port=0, tls_port=0, tls=ServerTls(TlsFiles(files.certificate, files.key))
    )
    gateway = Gateway(RecordingCentral(), Clock(), options, open_door())
    async with gateway.listening():
        for number in range(20):
            (one,) = await silent(gateway.tls_port)
            if number % 4 == 0:
                one.send(b"GET / HTTP/1.1\r\n\r\n")
            elif number % 4 == 1:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            one.close()
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await connect(f"wss://127.0.0.1:{gateway.tls_port}/CP1", ssl=ssl.create_default_context())

        await becomes_true(lambda: not len(gateway._turnstile))


async def test_a_charge_point_over_tls_speaks_at_once(tmp_path: Path) -> None:
    """Its request and the end of its TLS handshake come in one piece (TLS 1.3); nothing of it is lost."""
    certificates = Certificates(tmp_path)
    files = certificates.server()
    options = GatewayOptions(
        host="127.0.0.1", port=None, tls_port=0, tls=ServerTls(TlsFiles(files.certificate, files.key))
    )
    gateway = Gateway(RecordingCentral(), Clock(), options, open_door())
    async with gateway.listening():
        for _ in range(20):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", gateway.tls_port, ssl=certificates.client_context()
            )
            writer.write(
                b"GET /CP1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            )
            async with asyncio.timeout(LIMIT_S):
                assert (await reader.readline()).startswith(b"HTTP/1.1 101")
            writer.transport.abort()


async def test_behind_a_proxy_the_sixth_connection_gets_429() -> None:
    """Issue 3, point 4: caps count by the forwarded address; the proxy's own is exempt."""
    gateway = Gateway(RecordingCentral(), Clock(), OPTIONS, open_door("127.0.0.1/32"))
    statuses = []
    async with gateway.listening(), AsyncExitStack() as stack:
        for number in range(23):
            uri = f"ws://127.0.0.1:{gateway.port}/CP{number}"
            try:
                dialled = connect(uri, additional_headers={"X-Forwarded-For": "192.168.7.7"})
                await stack.enter_async_context(dialled)
                statuses.append(101)
            except InvalidStatus as error:
                statuses.append(error.response.status_code)
            await asyncio.sleep(0.11)  # ten a second

    assert statuses == [101] * 20 + [429] * 3
