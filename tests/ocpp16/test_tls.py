"""Security profiles 2 and 3 over real handshakes: what is offered, who is let in, and how renewed files count (T8)."""

import asyncio
import base64
import importlib
import logging
import re
import shutil
import ssl
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from canaries import CANARY_KEY
from certificates import HOST, CertificateFiles, Certificates
from cryptography.hazmat.primitives import serialization
from ocpp16_doubles import LIMIT_S, RecordingCentral
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus

from ocpp_server.authorization_key import hash_key, make_key
from ocpp_server.clock import Clock
from ocpp_server.core import commands as cmd
from ocpp_server.core.records import ChargePoint
from ocpp_server.core.site import Policy, Site
from ocpp_server.ocpp16 import entrance
from ocpp_server.ocpp16 import gateway as gateway_module
from ocpp_server.ocpp16 import tls as tls_module
from ocpp_server.ocpp16.doorkeeper import Doorkeeper
from ocpp_server.ocpp16.gateway import Gateway
from ocpp_server.ocpp16.key_checker import KeyChecker
from ocpp_server.ocpp16.options import GatewayOptions
from ocpp_server.ocpp16.tls import ServerTls, TlsError, TlsFiles

LOOPS = [name for name in ("asyncio", "uvloop") if find_spec(name)]
HEARTBEAT = '[2,"h","Heartbeat",{}]'
BROKEN = (ssl.SSLError, ConnectionError, InvalidMessage, ConnectionClosed, EOFError)
"""What a client meets whose handshake fails: in TLS 1.3 it learns it only when it reads."""


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


@pytest.fixture
def files(certificates: Certificates) -> TlsFiles:
    """Of a server that knows the authority of its charge points."""
    server = certificates.server()
    return TlsFiles(server.certificate, server.key, certificates.ca_file)


@pytest.fixture
def central() -> RecordingCentral:
    return RecordingCentral()


@pytest.fixture
def site() -> Site:
    return Site(Policy(ZoneInfo("UTC")))


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Run a coroutine on each kind of event loop that the server may have."""
    runner = asyncio.Runner(loop_factory=importlib.import_module(request.param).new_event_loop)

    def in_loop(coroutine: Any) -> Any:
        with runner:
            return runner.run(coroutine)

    return in_loop


@asynccontextmanager
async def listening(tls: ServerTls, site: Site, central: RecordingCentral) -> AsyncIterator[Gateway]:
    options = GatewayOptions(host=HOST, port=None, tls_port=0, tls=tls)
    gateway = Gateway(central, Clock(), options, Doorkeeper(site, KeyChecker()))
    async with gateway.listening():
        yield gateway


async def dial(
    port: int, context: ssl.SSLContext, charge_point_id: str = "CP1", key: str | None = None
) -> ClientConnection:
    """A charge point that connects, with its key if it has one, and is answered."""
    headers = {} if key is None else {"Authorization": basic(charge_point_id, key)}
    uri = f"wss://{HOST}:{port}/{charge_point_id}"
    client = await connect(uri, ssl=context, subprotocols=["ocpp1.6"], additional_headers=headers, proxy=None)
    await heartbeat(client)
    return client


def basic(user: str, key: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{key}".encode()).decode()


async def heartbeat(client: ClientConnection) -> None:
    async with asyncio.timeout(LIMIT_S):
        await client.send(HEARTBEAT)
        assert str(await client.recv()).startswith('[3,"h"')


async def refusal(*arguments: Any) -> int:
    """The HTTP status with which a charge point is refused."""
    with pytest.raises(InvalidStatus) as refused:
        await dial(*arguments)
    return refused.value.response.status_code


async def serial_number(port: int, context: ssl.SSLContext) -> str:
    """Of the certificate that the server shows to a new connection."""
    _, writer = await asyncio.open_connection(HOST, port, ssl=context)
    certificate = writer.get_extra_info("peercert")
    writer.transport.abort()
    return str(certificate["serialNumber"])


def put_into(target: CertificateFiles | TlsFiles, source: CertificateFiles) -> None:
    """Replace certificate and key by others."""
    shutil.copy(source.certificate, target.certificate)
    shutil.copy(source.key, target.key)


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, session: ssl.SSLSession | None = None) -> ssl.SSLObject:
    """A TLS handshake in memory; the client's end of it. Raises what either end raises."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client_end = client.wrap_bio(to_client, to_server, server_hostname=HOST, session=session)
    server_end = server.wrap_bio(to_server, to_client, server_side=True)
    for end in (client_end, server_end) * 4:
        with suppress(ssl.SSLWantReadError):
            end.do_handshake()
    return client_end


# --- what is offered ---


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("rsa", [False, True])
def test_tls_1_2_and_1_3_are_spoken(certificates: Certificates, version: ssl.TLSVersion, rsa: bool) -> None:
    """A00.FR.312; with certificates of either kind, and nothing is compressed (A00.FR.320)."""
    server = certificates.server(rsa=rsa)
    context = ServerTls(TlsFiles(server.certificate, server.key)).context
    client = handshake(context, certificates.client_context(version=version))

    assert client.version() == version.name.replace("_", ".")
    assert client.compression() is None


@pytest.mark.parametrize("version", ["TLSv1", "TLSv1_1"])
@pytest.mark.parametrize("is_compatible", [False, True])
def test_older_versions_are_refused(
    certificates: Certificates, files: TlsFiles, version: str, is_compatible: bool
) -> None:
    """A00.FR.314: it is the server that refuses, with the alert that says why."""
    context = ServerTls(files, is_compatible=is_compatible).context
    client = certificates.client_context()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        client.minimum_version = client.maximum_version = ssl.TLSVersion[version]
    client.set_ciphers("ALL:@SECLEVEL=0")

    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client_end = client.wrap_bio(to_client, to_server, server_hostname=HOST)
    with pytest.raises(ssl.SSLWantReadError):
        client_end.do_handshake()
    with pytest.raises(ssl.SSLError, match="UNSUPPORTED_PROTOCOL"):
        context.wrap_bio(to_server, to_client, server_side=True).do_handshake()
    with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
        client_end.do_handshake()


@pytest.mark.parametrize(
    ("suite", "rsa", "by_default", "compatible"),
    [
        ("ECDHE-ECDSA-AES128-GCM-SHA256", False, True, True),
        ("ECDHE-ECDSA-AES256-GCM-SHA384", False, True, True),
        ("ECDHE-RSA-AES128-GCM-SHA256", True, True, True),
        ("ECDHE-RSA-AES256-GCM-SHA384", True, True, True),
        ("ECDHE-RSA-CHACHA20-POLY1305", True, True, True),
        ("AES128-GCM-SHA256", True, False, True),
        ("AES256-GCM-SHA384", True, False, True),
        ("AES128-SHA256", True, False, False),
        ("AES128-SHA", True, False, False),
        ("AES128-CCM", True, False, False),
        ("DHE-RSA-AES128-GCM-SHA256", True, False, False),
        ("ECDHE-RSA-AES128-SHA256", True, False, False),
        ("ECDHE-RSA-AES128-SHA", True, False, False),
        ("NULL-SHA256", True, False, False),
    ],
)
def test_cipher_suites(certificates: Certificates, suite: str, rsa: bool, by_default: bool, compatible: bool) -> None:
    """A00.FR.317: its two ECDHE suites always, its two TLS_RSA suites only by tls_compat, nothing weak ever."""
    server = certificates.server(rsa=rsa)
    client = certificates.client_context(version=ssl.TLSVersion.TLSv1_2)
    client.set_ciphers(f"{suite}:@SECLEVEL=0")
    assert suite in {one["name"] for one in client.get_ciphers()}

    for is_compatible, is_spoken in ((False, by_default), (True, compatible)):
        context = ServerTls(TlsFiles(server.certificate, server.key), is_compatible=is_compatible).context
        if is_spoken:
            assert handshake(context, client).cipher()[0] == suite  # type: ignore[index]
        else:
            with pytest.raises(ssl.SSLError, match="NO_SHARED_CIPHER"):
                handshake(context, client)


def test_compatibility_adds_exactly_two_suites(files: TlsFiles) -> None:
    """Nothing else comes with it."""
    usual, compatible = (ServerTls(files, is_compatible=flag).context.newest.get_ciphers() for flag in (False, True))

    added = {one["name"] for one in compatible} - {one["name"] for one in usual}
    assert added == {"AES128-GCM-SHA256", "AES256-GCM-SHA384"}


# --- who is let in ---


def test_who_shows_which_certificate_is_let_in(
    certificates: Certificates, files: TlsFiles, site: Site, central: RecordingCentral, run: Callable[..., Any]
) -> None:
    """Profile 3: the common name is the id or the serial number of its boot (A00.FR.405), else 401."""
    now = datetime.now(UTC)
    site.charge_points["CP1"] = ChargePoint("CP1", first_seen=now, serial_number="SN-4711")

    async def scenario() -> None:
        async with listening(ServerTls(files), site, central) as gateway:
            port = gateway.tls_port
            for common_name, profile in (("CP1", 3), ("SN-4711", 3), (None, 0)):
                shown = None if common_name is None else certificates.client(common_name)
                client = await dial(port, certificates.client_context(shown))
                assert central.of(cmd.Connect)[-1].security_profile == profile
                await client.close()
            for common_name in ("CP2", "cp1", "CP1 ", "SN-471"):
                context = certificates.client_context(certificates.client(common_name))
                assert await refusal(port, context) == 401

    run(scenario())
    assert len(central.of(cmd.Connect)) == 3


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_certificate_that_is_not_good_fails_the_handshake(
    certificates: Certificates,
    files: TlsFiles,
    site: Site,
    central: RecordingCentral,
    caplog: pytest.LogCaptureFixture,
    run: Callable[..., Any],
    version: ssl.TLSVersion,
) -> None:
    """A00.FR.407: of a foreign authority, signed by itself, or expired: no HTTP at all, and one line that says why."""
    foreign = certificates.client("CP1", ca=certificates.foreign_authority)
    expired = certificates.client("CP1", days=-1)
    self_signed = certificates.self_signed("CP1")

    async def scenario() -> None:
        async with listening(ServerTls(files), site, central) as gateway:
            for bad in (foreign, expired, self_signed, foreign):
                with pytest.raises(BROKEN):
                    await dial(gateway.tls_port, certificates.client_context(bad, version=version))
            assert not gateway.connected()

    run(scenario())
    assert not central.commands
    lines = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(lines) == 3
    for line, reason in zip(lines, ("issuer certificate", "has expired", "self-signed"), strict=True):
        assert reason in line


async def test_without_an_authority_a_certificate_proves_nothing(
    certificates: Certificates, site: Site, central: RecordingCentral
) -> None:
    """It is not even asked for."""
    server = certificates.server()
    async with listening(ServerTls(TlsFiles(server.certificate, server.key)), site, central) as gateway:
        client = await dial(gateway.tls_port, certificates.client_context(certificates.client("CP1")))
        await client.close()

    assert central.of(cmd.Connect)[0].security_profile == 0


def test_a_key_over_tls_is_profile_2(
    certificates: Certificates, files: TlsFiles, site: Site, central: RecordingCentral, run: Callable[..., Any]
) -> None:
    """A00.FR.301: the right key is let in; a wrong one, and none, get 401."""
    key = CANARY_KEY
    site.charge_points["CP1"] = ChargePoint("CP1", first_seen=datetime.now(UTC), key_hash=hash_key(key))
    context = certificates.client_context()

    async def scenario() -> None:
        async with listening(ServerTls(files), site, central) as gateway:
            assert await refusal(gateway.tls_port, context, "CP1", make_key()) == 401
            assert await refusal(gateway.tls_port, context, "CP1") == 401
            client = await dial(gateway.tls_port, context, "CP1", key)
            await client.close()

    run(scenario())
    assert [one.security_profile for one in central.of(cmd.Connect)] == [2]


def test_plain_text_and_silence_on_the_tls_port_do_no_harm(
    certificates: Certificates,
    files: TlsFiles,
    site: Site,
    central: RecordingCentral,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    run: Callable[..., Any],
) -> None:
    """T11: a silent peer is cut off after its time, and neither it nor ws:// disturbs those that speak TLS."""
    monkeypatch.setattr(entrance, "TLS_HANDSHAKE_S", 0.5)

    async def scenario() -> None:
        async with listening(ServerTls(files), site, central) as gateway, asyncio.timeout(LIMIT_S):
            silent = [await asyncio.open_connection(HOST, gateway.tls_port) for _ in range(20)]
            with pytest.raises(BROKEN):
                await connect(f"ws://{HOST}:{gateway.tls_port}/CP1", proxy=None)
            client = await dial(gateway.tls_port, certificates.client_context())
            for reader, writer in silent:
                with suppress(ConnectionError):
                    assert await reader.read() == b""
                writer.transport.abort()
            await heartbeat(client)
            await client.close()

    run(scenario())
    lines = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert lines == ["[CONNECT] refused TLS handshake reason='HTTP_REQUEST'"]


def test_a_handshake_in_any_pieces_is_a_handshake(
    certificates: Certificates, files: TlsFiles, site: Site, central: RecordingCentral, run: Callable[..., Any]
) -> None:
    """What was read before TLS could begin is not lost, nor what came with the end of it."""
    context = certificates.client_context()

    async def piece_by_piece(port: int, size: int) -> bytes:
        to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
        end = context.wrap_bio(to_client, to_server, server_hostname=HOST)
        reader, writer = await asyncio.open_connection(HOST, port)
        request: bytes | None = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        answer = b""
        while not answer:
            try:
                end.do_handshake()
                if request is not None:
                    end.write(request)
                    request = None
                answer = end.read(100)
            except ssl.SSLWantReadError:
                while piece := to_server.read(size):
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
                to_client.write(await reader.read(4096))
        writer.transport.abort()
        return answer

    async def scenario() -> None:
        async with listening(ServerTls(files), site, central) as gateway, asyncio.timeout(LIMIT_S):
            sizes = [1, 5, 6, 100, 517, 100_000] * 5
            answers = await asyncio.gather(*(piece_by_piece(gateway.tls_port, size) for size in sizes))
            assert {answer.split(b" ")[0] for answer in answers} == {b"HTTP/1.1"}

    run(scenario())


def test_many_charge_points_come_at_once(
    certificates: Certificates, files: TlsFiles, site: Site, central: RecordingCentral, run: Callable[..., Any]
) -> None:
    """After a power cut: every one of them is let in."""
    context = certificates.client_context()

    async def scenario() -> None:
        async with listening(ServerTls(files), site, central) as gateway:
            dialling = (dial(gateway.tls_port, context, f"CP{number}") for number in range(50))
            clients = await asyncio.gather(*dialling)
            assert len(gateway.connected()) == 50
            await asyncio.gather(*(client.close() for client in clients))

    run(scenario())


async def test_the_gateway_stops_while_peers_are_silent(
    files: TlsFiles, site: Site, central: RecordingCentral, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A handshake that never comes delays no stop beyond its limit."""
    monkeypatch.setattr(gateway_module, "_LONGEST_STOP_S", 0.2)
    async with asyncio.timeout(LIMIT_S):
        async with listening(ServerTls(files), site, central) as gateway:
            _, writer = await asyncio.open_connection(HOST, gateway.tls_port)
    writer.transport.abort()


# --- renewed files ---


def test_a_renewed_certificate_is_for_new_connections_alone(
    certificates: Certificates, files: TlsFiles, site: Site, central: RecordingCentral, run: Callable[..., Any]
) -> None:
    """The one that runs goes on with what it began with."""
    context = certificates.client_context()

    async def scenario() -> None:
        tls = ServerTls(files)
        async with listening(tls, site, central) as gateway:
            running = await dial(gateway.tls_port, context)
            before = await serial_number(gateway.tls_port, context)
            put_into(files, certificates.server(rsa=True))
            assert await serial_number(gateway.tls_port, context) == before

            tls.look()
            after = await serial_number(gateway.tls_port, context)
            assert after != before
            await heartbeat(running)
            client = await dial(gateway.tls_port, context, "CP2")
            await client.close()
            await running.close()

    run(scenario())


def test_links_that_point_elsewhere_are_followed(certificates: Certificates, tmp_path: Path) -> None:
    """certbot: live/…/fullchain.pem and privkey.pem are links that a renewal turns to new files."""
    first, second = certificates.server(), certificates.server()
    live = CertificateFiles(tmp_path / "fullchain.pem", tmp_path / "privkey.pem")
    live.certificate.symlink_to(first.certificate)
    live.key.symlink_to(first.key)
    tls = ServerTls(TlsFiles(live.certificate, live.key))
    client = certificates.client_context()
    before = handshake(tls.context, client).getpeercert()

    for link, target in ((live.certificate, second.certificate), (live.key, second.key)):
        link.unlink()
        link.symlink_to(target)
    tls.look()

    assert handshake(tls.context, client).getpeercert() != before


def _half_written(files: TlsFiles, renewed: CertificateFiles) -> None:
    whole = renewed.certificate.read_bytes()
    files.certificate.write_bytes(whole[: len(whole) // 2])


def _only_the_certificate(files: TlsFiles, renewed: CertificateFiles) -> None:
    shutil.copy(renewed.certificate, files.certificate)


def _only_the_key(files: TlsFiles, renewed: CertificateFiles) -> None:
    shutil.copy(renewed.key, files.key)


def _missing(files: TlsFiles, renewed: CertificateFiles) -> None:
    files.key.unlink()


def _empty(files: TlsFiles, renewed: CertificateFiles) -> None:
    files.certificate.write_bytes(b"")


def _authority_is_garbage(files: TlsFiles, renewed: CertificateFiles) -> None:
    assert files.client_ca is not None
    files.client_ca.write_text("not yet")


@pytest.mark.parametrize(
    "spoil", [_half_written, _only_the_certificate, _only_the_key, _missing, _empty, _authority_is_garbage]
)
def test_files_that_are_not_whole_change_nothing(
    certificates: Certificates,
    files: TlsFiles,
    caplog: pytest.LogCaptureFixture,
    spoil: Callable[[TlsFiles, CertificateFiles], None],
) -> None:
    """One warning while it lasts; the old pair serves whole handshakes; once all is there, it counts."""
    caplog.set_level(logging.INFO)
    assert files.client_ca is not None
    authorities = files.client_ca.read_bytes()
    client, tls, renewed = certificates.client_context(), ServerTls(files), certificates.server()
    before = handshake(tls.context, client).getpeercert()

    spoil(files, renewed)
    for _ in range(3):
        tls.look()
        assert handshake(tls.context, client).getpeercert() == before
    assert [record.levelname for record in caplog.records] == ["WARNING"]

    put_into(files, renewed)
    files.client_ca.write_bytes(authorities)
    tls.look()
    assert handshake(tls.context, client).getpeercert() != before
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    tls.look()
    assert len(caplog.records) == 2


def test_files_that_come_back_as_they_were_are_no_renewal(
    certificates: Certificates, files: TlsFiles, caplog: pytest.LogCaptureFixture
) -> None:
    """The same trouble later is said again."""
    whole, tls = files.certificate.read_bytes(), ServerTls(files)
    for _ in range(2):
        files.certificate.write_bytes(b"")
        tls.look()
        files.certificate.write_bytes(whole)
        tls.look()

    assert len(caplog.records) == 2


def test_an_authority_that_is_gone_lets_nobody_in(
    certificates: Certificates, files: TlsFiles, site: Site, central: RecordingCentral, run: Callable[..., Any]
) -> None:
    """The new one counts at once for new connections, the old one not at all; connections that run go on."""
    assert files.client_ca is not None
    ours = certificates.client_context(certificates.client("CP1"))
    theirs = certificates.client_context(certificates.client("CP2", ca=certificates.foreign_authority))

    async def scenario() -> None:
        tls = ServerTls(files)
        async with listening(tls, site, central) as gateway:
            running = await dial(gateway.tls_port, ours, "CP1")
            with pytest.raises(BROKEN):
                await dial(gateway.tls_port, theirs, "CP2")
            files.client_ca.write_bytes(certificates.foreign_authority.cert_pem.bytes())  # type: ignore[union-attr]
            tls.look()
            await heartbeat(running)
            with pytest.raises(BROKEN):
                await dial(gateway.tls_port, ours, "CP1")
            client = await dial(gateway.tls_port, theirs, "CP2")
            await client.close()
            await running.close()

    run(scenario())
    assert [one.security_profile for one in central.of(cmd.Connect)] == [3, 3]


def test_a_resumed_session_does_not_outlive_its_authority(certificates: Certificates, files: TlsFiles) -> None:
    """A session is resumed without looking at certificates again: only by the context that looked at them."""
    client = certificates.client_context(certificates.client("CP1"), version=ssl.TLSVersion.TLSv1_2)
    tls = ServerTls(files)
    first = handshake(tls.context, client)
    second = handshake(tls.context, client, first.session)
    assert second.session_reused

    files.client_ca.write_bytes(certificates.foreign_authority.cert_pem.bytes())  # type: ignore[union-attr]
    tls.look()

    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(tls.context, client, second.session)


async def test_files_are_looked_at_again_and_again(
    certificates: Certificates, files: TlsFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`run` takes up a renewal by itself, also after one that failed."""
    monkeypatch.setattr(tls_module, "_LOOK_EVERY_S", 0.01)
    tls, client = ServerTls(files), certificates.client_context()
    before = handshake(tls.context, client).getpeercert()
    following = asyncio.create_task(tls.run())
    renewed = certificates.server()
    shutil.copy(renewed.certificate, files.certificate)
    await asyncio.sleep(0)
    shutil.copy(renewed.key, files.key)
    async with asyncio.timeout(LIMIT_S):
        while handshake(tls.context, client).getpeercert() == before:  # noqa: ASYNC110 - another loop's doing
            await asyncio.sleep(0.01)

    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following


# --- files that cannot be used ---


def test_each_trouble_with_files_is_one_clear_sentence(certificates: Certificates, tmp_path: Path) -> None:
    """Which file, what is wrong, how to mend it; a password is never asked for on the terminal."""
    good, other, missing = certificates.server(), certificates.server(), tmp_path / "missing.pem"
    garbage, folder, encrypted = (tmp_path / name for name in ("garbage", "folder", "encrypted"))
    garbage.write_text("-----BEGIN CERTIFICATE-----\nxyz\n-----END CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\n")
    folder.mkdir()
    _encrypt(good.key, encrypted)
    weak = certificates.self_signed("weak", is_weak=True)
    table: list[tuple[TlsFiles, str]] = [
        (TlsFiles(weak.certificate, weak.key), r"are too weak \(RSA of 2048 bits"),
        (TlsFiles(missing, good.key), r"missing\.pem cannot be read \(No such file.*\): correct the path in \.env"),
        (TlsFiles(good.certificate, missing), r"missing\.pem cannot be read \(No such file.*\): correct the path"),
        (TlsFiles(folder, good.key), r"folder cannot be read \(Is a directory\): let this user read it"),
        (TlsFiles(good.key, good.key), r"server1\.key holds no certificate in PEM: name the file"),
        (TlsFiles(good.certificate, good.certificate), r"server1\.pem holds no private key in PEM: name the file"),
        (TlsFiles(garbage, good.key), r"garbage and private key .*server1\.key cannot be loaded \(.*\): name"),
        (TlsFiles(good.certificate, garbage), r"private key .*garbage cannot be loaded \(.*\): name"),
        (TlsFiles(good.certificate, other.key), r"server1\.pem and private key .*server2\.key do not belong together"),
        (TlsFiles(good.certificate, encrypted), r"private key .*encrypted is encrypted: store it without a password"),
        (TlsFiles(good.certificate, good.key, missing), r"missing\.pem cannot be read"),
        (TlsFiles(good.certificate, good.key, garbage), r"garbage holds no certificate of an authority in PEM"),
        (TlsFiles(good.certificate, good.key, good.key), r"server1\.key holds no certificate of an authority in PEM"),
    ]
    for files, sentence in table:
        with pytest.raises(TlsError) as caught:
            ServerTls(files)
        assert re.search(sentence, str(caught.value)), str(caught.value)


def _encrypt(key: Path, encrypted: Path) -> None:
    loaded = serialization.load_pem_private_key(key.read_bytes(), password=None)
    encrypted.write_bytes(
        loaded.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
