"""`app.serve` on a disk that cannot be written: it waits as if disconnected, and starts when there is room (F5)."""

import asyncio
import os
import signal
import socket
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidMessage, InvalidStatus

from ocpp_server import app, start
from ocpp_server.settings import Settings

FULL = 1 << 60
LIMIT_S = 20.0


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A site on a free port, with its users."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    users = "id_tag,name,surname,quota_kwh,unlimited\nRFID001,John,Doe,150,FALSE\n"
    (tmp_path / "users1.csv").write_text(users, encoding="utf-8")
    tmp_path.chmod(0o750)
    return Settings(data_dir=tmp_path, ocpp_host="127.0.0.1", ocpp_port=port, api_port=0, timezone="Europe/Istanbul")


async def handshake(port: int) -> int:
    """The HTTP status of a charge point's handshake, 101 if it is let in; waits until somebody listens."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            try:
                async with connect(f"ws://127.0.0.1:{port}/CP1", subprotocols=["ocpp1.6"], proxy=None):  # type: ignore[list-item]
                    return 101
            except InvalidStatus as refusal:
                return refusal.response.status_code
            except (OSError, InvalidMessage):
                await asyncio.sleep(0.02)  # nobody listens yet, or whoever refused us just now ends


async def until_let_in(port: int) -> None:
    async with asyncio.timeout(LIMIT_S):
        while await handshake(port) != 101:
            pass


async def test_a_full_disk_refuses_handshakes_until_there_is_room(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """503: a charge point that cannot connect queues what it has to tell (OCPP 1.6 §3.7); F3, F5."""
    caplog.set_level("INFO")
    monkeypatch.setattr(app, "_LOOK_AGAIN_S", 0.1)
    monkeypatch.setattr(start, "_LEAST_FREE_BYTES", FULL)
    serving = asyncio.create_task(app.serve(settings))

    assert await handshake(settings.ocpp_port) == 503
    assert "make room" in caplog.text
    assert not (settings.data_dir / "ledger.db").exists()

    monkeypatch.setattr(start, "_LEAST_FREE_BYTES", 0)
    await until_let_in(settings.ocpp_port)
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(serving, LIMIT_S)

    assert (settings.data_dir / "energy_usage.json").exists()


async def test_a_waiting_server_ends_on_sigterm(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """F1: also while there is nothing to commit."""
    monkeypatch.setattr(start, "_LEAST_FREE_BYTES", FULL)
    serving = asyncio.create_task(app.serve(settings))
    assert await handshake(settings.ocpp_port) == 503

    os.kill(os.getpid(), signal.SIGTERM)

    await asyncio.wait_for(serving, LIMIT_S)


def test_the_reserve_counts_as_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is given up before anything is refused (F3)."""
    disk = os.statvfs(tmp_path)
    monkeypatch.setattr(start, "_LEAST_FREE_BYTES", disk.f_bavail * disk.f_frsize + (1 << 30))
    with pytest.raises(start.NotWritableError, match="KiB are free"):
        start.check_writable(tmp_path)
    with (tmp_path / "reserve.bin").open("wb") as reserve:
        reserve.truncate(1 << 40)

    start.check_writable(tmp_path)
