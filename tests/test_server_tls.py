"""TLS on a whole server: which ports are open, what is remembered of a proof, and what stops the start."""

import asyncio
import base64
import logging
import os
import shutil
import signal
import socket
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from canaries import CANARY_KEY
from certificates import HOST, CertificateFiles, Certificates
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from ocpp_server import app, start
from ocpp_server.app import RunningServer, running
from ocpp_server.authorization_key import hash_key, make_key
from ocpp_server.core import commands as cmd
from ocpp_server.core.records import ChargePoint
from ocpp_server.ocpp16 import tls as tls_module
from ocpp_server.settings import Settings
from ocpp_server.start import StartError

LIMIT_S = 20.0
USERS = "id_tag,name,surname,quota_kwh,unlimited\nRFID001,John,Doe,150,FALSE\n"
BOOT = '[2,"b","BootNotification",{"chargePointVendor":"V","chargePointModel":"M","chargePointSerialNumber":"SN-4711"}]'


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


@pytest.fixture
def server_files(certificates: Certificates) -> CertificateFiles:
    return certificates.server()


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o750)
    (folder / "users1.csv").write_text(USERS)
    return folder


@pytest.fixture
def names(data_dir: Path, certificates: Certificates, server_files: CertificateFiles) -> dict[str, Any]:
    """The settings of a site with TLS and its own authority, on free ports."""
    return {
        "data_dir": data_dir,
        "ocpp_host": HOST,
        "ocpp_port": 0,
        "ocpp_tls_port": 0,
        "api_port": 0,
        "tls_certificate": server_files.certificate,
        "tls_key": server_files.key,
        "tls_client_ca": certificates.ca_file,
    }


async def dial(
    port: int | None, context: ssl.SSLContext | None = None, key: str | None = None, **forwarded: str
) -> ClientConnection:
    """CP1 connects, with its key if it has one; `forwarded`: what a proxy says in X-Forwarded-…."""
    headers = {f"X-Forwarded-{name}": value for name, value in forwarded.items()}
    if key is not None:
        headers["Authorization"] = "Basic " + base64.b64encode(f"CP1:{key}".encode()).decode()
    scheme = "ws" if context is None else "wss"
    uri = f"{scheme}://{HOST}:{port}/CP1"
    return await connect(uri, ssl=context, subprotocols=["ocpp1.6"], additional_headers=headers, proxy=None)


async def ask(client: ClientConnection, frame: str = '[2,"h","Heartbeat",{}]') -> str:
    async with asyncio.timeout(LIMIT_S):
        await client.send(frame)
        return str(await client.recv())


async def visit(
    port: int | None, context: ssl.SSLContext | None = None, key: str | None = None, **forwarded: str
) -> int:
    """101 if CP1 is let in and answered, else the HTTP status of the refusal."""
    try:
        client = await dial(port, context, key, **forwarded)
    except InvalidStatus as refusal:
        return refusal.response.status_code
    assert (await ask(client)).startswith("[3,")
    await client.close()
    return 101


def charge_point(server: RunningServer) -> ChargePoint:
    return server.central.site.charge_points["CP1"]


async def test_profile_2_once_proved_is_required_from_then_on(
    names: dict[str, Any], certificates: Certificates
) -> None:
    """T7, A00.FR.002: the right key without TLS is good until it once came over TLS; also after a restart."""
    key, context = CANARY_KEY, certificates.client_context()
    async with running(Settings(**names)) as server:
        await server.central.handle(cmd.SetChargePointKey(datetime.now(UTC), "CP1", hash_key(key), "anna"))
        assert await visit(server.ocpp_port, key=key) == 101
        assert charge_point(server).security_profile == 1
        assert await visit(server.ocpp_tls_port, context, make_key()) == 401
        assert await visit(server.ocpp_tls_port, context) == 401
        assert await visit(server.ocpp_tls_port, context, key) == 101
        assert charge_point(server).security_profile == 2
        assert await visit(server.ocpp_port, key=key) == 401
    async with running(Settings(**names)) as server:
        assert await visit(server.ocpp_port, key=key) == 401
        assert await visit(server.ocpp_tls_port, context, key) == 101


async def test_profile_3_by_id_and_by_the_serial_number_of_its_boot(
    names: dict[str, Any], certificates: Certificates
) -> None:
    """A00.FR.405; what it proved is kept, and less is refused from then on."""
    by_id = certificates.client_context(certificates.client("CP1"))
    by_serial_number = certificates.client_context(certificates.client("SN-4711"))
    stranger = certificates.client_context(certificates.client("CP2"))
    async with running(Settings(**names)) as server:
        assert await visit(server.ocpp_tls_port, by_serial_number) == 401
        client = await dial(server.ocpp_tls_port, by_id)
        assert (await ask(client, BOOT)).startswith('[3,"b"')
        await client.close()
        assert charge_point(server).security_profile == 3
        assert await visit(server.ocpp_tls_port, by_serial_number) == 101
        assert await visit(server.ocpp_tls_port, stranger) == 401
        assert await visit(server.ocpp_tls_port, certificates.client_context()) == 401
        assert await visit(server.ocpp_port) == 401


async def test_renewed_files_are_taken_up_by_a_server_that_runs(
    names: dict[str, Any],
    certificates: Certificates,
    server_files: CertificateFiles,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody restarts anything, and the connection that runs goes on."""
    monkeypatch.setattr(tls_module, "_LOOK_EVERY_S", 0.02)
    context = certificates.client_context()
    async with asyncio.timeout(LIMIT_S), running(Settings(**names)) as server:
        client = await dial(server.ocpp_tls_port, context)
        before = await shown(server.ocpp_tls_port, context)
        renewed = certificates.server()
        shutil.copy(renewed.certificate, server_files.certificate)
        shutil.copy(renewed.key, server_files.key)
        while await shown(server.ocpp_tls_port, context) == before:  # noqa: ASYNC110 - files tell nobody
            await asyncio.sleep(0.02)
        assert (await ask(client)).startswith("[3,")
        await client.close()


async def shown(port: int | None, context: ssl.SSLContext) -> bytes:
    """The certificate that the server shows to a new connection."""
    _, writer = await asyncio.open_connection(HOST, port, ssl=context)
    certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.transport.abort()
    return bytes(certificate)


# --- which ports are open ---


def lines(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == level and record.name == app.__name__]


async def test_without_a_certificate_there_is_one_port_and_a_warning(
    data_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """OCPP-J §6: at each start the log says what this port is good for."""
    async with running(Settings(data_dir=data_dir, ocpp_host=HOST, ocpp_port=0, api_port=0)) as server:
        assert server.ocpp_tls_port is None
        expected = f"[CONNECT] listening without TLS port={server.ocpp_port} "

    assert [line for line in lines(caplog, logging.WARNING) if line.startswith(expected) and "LAN or VPN" in line]


@pytest.mark.parametrize("least", [2, 3])
async def test_where_all_must_use_tls_the_port_without_it_is_closed(
    names: dict[str, Any], certificates: Certificates, caplog: pytest.LogCaptureFixture, least: int
) -> None:
    """OCPP-J §6; the log says so, and there is nothing to warn of."""
    caplog.set_level(logging.INFO)
    names["ocpp_port"] = free_port()
    context = certificates.client_context(certificates.client("CP1"))
    async with running(Settings(**names, min_security_profile=least)) as server:
        assert server.ocpp_port is None
        with pytest.raises(ConnectionRefusedError):
            await dial(names["ocpp_port"])
        assert await visit(server.ocpp_tls_port, context) == 101
        assert await visit(server.ocpp_tls_port, certificates.client_context()) == 401

    assert f"[CONNECT] no port without TLS min_security_profile={least}" in lines(caplog, logging.INFO)
    assert not lines(caplog, logging.WARNING)


async def test_a_proxy_that_does_the_tls_keeps_its_port(data_dir: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Who came to it without TLS is refused all the same, by the profile that is asked for."""
    names: dict[str, Any] = {"data_dir": data_dir, "ocpp_host": HOST, "ocpp_port": 0, "api_port": 0}
    key = CANARY_KEY
    async with running(Settings(**names, min_security_profile=2, trusted_proxies=HOST)) as server:
        await server.central.handle(cmd.SetChargePointKey(datetime.now(UTC), "CP1", hash_key(key), "anna"))
        assert await visit(server.ocpp_port, key=key, For="192.168.1.7", Proto="http") == 401
        assert await visit(server.ocpp_port, key=key, For="192.168.1.7", Proto="https") == 101
        assert charge_point(server).security_profile == 2

    assert any("proxy" in line for line in lines(caplog, logging.WARNING))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


async def test_a_tls_port_that_is_taken_stops_the_start(names: dict[str, Any]) -> None:
    """In the words of `check`, by its own setting; the other port is free again."""
    names["ocpp_port"] = free_port()
    with socket.create_server((HOST, 0)) as taken:
        names["ocpp_tls_port"] = taken.getsockname()[1]
        with pytest.raises(StartError, match=r"EVQUOTA_OCPP_TLS_PORT.* in use by another program"):
            async with running(Settings(**names)):
                pass
    with socket.create_server((HOST, names["ocpp_port"])):
        pass


def test_a_certificate_that_cannot_be_used_stops_the_start(
    names: dict[str, Any], certificates: Certificates, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 and one sentence; the data folder is not even opened."""
    names["tls_key"] = certificates.server().key

    assert app.main(Settings(**names)) == 2
    said = capsys.readouterr().err
    assert said.startswith("evquota cannot start: certificate ")
    assert "do not belong together" in said
    assert not (names["data_dir"] / "ledger.db").exists()


async def test_while_nothing_can_be_stored_tls_is_refused_too(
    names: dict[str, Any], certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F5: 503 on the port that charge points use, and none without TLS where all must use it."""
    monkeypatch.setattr(start, "_LEAST_FREE_BYTES", 1 << 60)
    names |= {"ocpp_port": free_port(), "ocpp_tls_port": free_port(), "min_security_profile": 2}
    serving = asyncio.create_task(app.serve(Settings(**names)))
    async with asyncio.timeout(LIMIT_S):
        while (status := await _try(names["ocpp_tls_port"], certificates.client_context())) is None:  # noqa: ASYNC110 - not yet listening
            await asyncio.sleep(0.02)

    assert status == 503
    assert await _try(names["ocpp_port"]) is None
    os.kill(os.getpid(), signal.SIGTERM)
    async with asyncio.timeout(LIMIT_S):
        await serving


async def _try(port: int, context: ssl.SSLContext | None = None) -> int | None:
    """The HTTP status; None while nobody listens."""
    try:
        return await visit(port, context)
    except ConnectionRefusedError:
        return None
