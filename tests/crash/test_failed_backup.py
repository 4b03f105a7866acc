"""A nightly backup that cannot be made is an alert; the server goes on."""

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from ocpp_server.clock import Clock
from ocpp_server.core.commands import Command, Done, RaiseAlert, Reply, ResolveAlert
from ocpp_server.core.site import Policy, Site
from ocpp_server.housekeeping import Housekeeping
from ocpp_server.storage.errors import LedgerError


class FourInTheMorning(Clock):
    """When the backup is due."""

    def now(self) -> datetime:
        return datetime(2026, 11, 20, 4, 0, tzinfo=UTC)


class Recorder:
    """Takes commands as the central system does."""

    def __init__(self) -> None:
        self.site = Site(Policy(zone=ZoneInfo("UTC")))
        self.commands: list[Command] = []

    async def handle(self, command: Command) -> Reply:
        self.commands.append(command)
        return Done()


@pytest.mark.parametrize("failure", [LedgerError("no backup: disk full"), OSError(28, "No space left on device")])
async def test_a_backup_that_fails_raises_an_alert_and_nothing_else(tmp_path: Path, failure: Exception) -> None:
    """The ledger's own error too: else a full disk at night would end the server at every start after three."""

    def back_up(_target: Path) -> None:
        raise failure

    central = Recorder()
    housekeeping = Housekeeping(central, tmp_path, FourInTheMorning(), back_up)  # type: ignore[arg-type]

    await housekeeping.look()

    (alert,) = [command for command in central.commands if isinstance(command, RaiseAlert)]
    assert not any(isinstance(command, ResolveAlert) for command in central.commands)
    assert str(failure) in alert.text
