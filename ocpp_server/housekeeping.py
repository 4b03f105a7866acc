"""What has to be done now and then: let go of what is old or was never approved, make the nightly backup."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from ocpp_server.central_system import CentralSystem
from ocpp_server.clock import Clock
from ocpp_server.core.commands import ForgetExpired, RaiseAlert, ResolveAlert
from ocpp_server.core.site import forget_ended, kept_since
from ocpp_server.storage.errors import StorageError

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 600.0
_BACKUP_HOUR = 3
_MOST_BACKUPS = 14
_ALERT_ID = "backup"


class Housekeeping:
    """One loop. `back_up` writes a copy of the ledger; it runs in a thread."""

    def __init__(self, central: CentralSystem, data_dir: Path, clock: Clock, back_up: Callable[[Path], None]) -> None:
        self._central = central
        self._folder = data_dir / "backup"
        self._clock = clock
        self._back_up = back_up

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await self.look()
            await self._clock.sleep(_LOOK_EVERY_S)

    async def look(self) -> None:
        """Do what is due."""
        now = self._clock.now()
        forget_ended(self._central.site, kept_since(now))
        await self._central.handle(ForgetExpired(now))
        local = now.astimezone(self._central.site.policy.zone)
        target = self._folder / f"ledger-{local:%Y-%m-%d}.db"
        if local.hour >= _BACKUP_HOUR and not target.exists():
            await self._make_backup(now, target)

    async def _make_backup(self, now: datetime, target: Path) -> None:
        try:
            await asyncio.to_thread(self._copy, target)
        except (StorageError, OSError) as failure:
            log.error("[STATUS] backup failed file=%s error=%s", target.name, failure)
            text = f"the nightly backup failed: {failure}"
            await self._central.handle(RaiseAlert(now, _ALERT_ID, "backup failed", text))
            return
        log.info("[STATUS] backup made file=%s", target.name)
        await self._central.handle(ResolveAlert(now, _ALERT_ID))

    def _copy(self, target: Path) -> None:
        target.parent.mkdir(mode=0o750, exist_ok=True)
        self._back_up(target)
        for old in sorted(target.parent.glob("ledger-*.db"))[:-_MOST_BACKUPS]:
            old.unlink()
