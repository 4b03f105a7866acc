"""`ocpp16.mender`: what closes a leak is sent when a person asks, and each status is told (rule 27)."""

import asyncio
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

from ocpp16_doubles import Dial, RecordingCentral

from ocpp_server.clock import Clock
from ocpp_server.core import commands as cmd
from ocpp_server.core.decide import decide
from ocpp_server.core.leaks import Leak, find_leaks, leaks_of
from ocpp_server.core.site import Policy, Site, apply
from ocpp_server.ocpp16.commands import RemoteCalls
from ocpp_server.ocpp16.gateway import Gateway
from ocpp_server.ocpp16.mender import NOT_SENT, Mended, Mender

LEAKING = {"LocalPreAuthorize": "true", "AuthorizationCacheEnabled": "1", "MeterValueSampleInterval": "900"}


def leaks(_charge_point_id: str) -> tuple[Leak, ...]:
    return find_leaks(LEAKING.items(), wanted_interval_s=60)


def mender(gateway: Gateway, central: RecordingCentral, of: Callable[[str], Any] = leaks) -> Mender:
    return Mender(RemoteCalls(gateway), central, Clock(), of)


async def test_each_change_is_sent_and_its_status_told(gateway: Gateway, dial: Dial, central: RecordingCentral) -> None:
    """What was taken is kept as told; what was refused is not."""
    charger = await dial()
    statuses = {"LocalPreAuthorize": "Accepted", "AuthorizationCacheEnabled": "Rejected"}
    charger.script["ChangeConfiguration"] = lambda payload: {"status": statuses.get(payload["key"], "RebootRequired")}
    await charger.ask("BootNotification", {"chargePointVendor": "V", "chargePointModel": "M"})
    mended = await mender(gateway, central).mend("CP1")

    assert mended == [
        Mended("LocalPreAuthorize", "false", "Accepted"),
        Mended("AuthorizationCacheEnabled", "0", "Rejected"),
        Mended("MeterValueSampleInterval", "60", "RebootRequired"),
    ]
    assert charger.calls == [("ChangeConfiguration", {"key": one.key, "value": one.value}) for one in mended]
    assert [told.keys for told in central.of(cmd.RecordConfiguration)] == [
        (("LocalPreAuthorize", "false"),),
        (("MeterValueSampleInterval", "60"),),
    ]


async def test_a_charge_point_that_is_not_there_is_asked_once(gateway: Gateway, central: RecordingCentral) -> None:
    """The rest was not sent, and nothing is kept."""
    mended = await mender(gateway, central).mend("CP1")

    assert [one.status for one in mended] == ["offline", NOT_SENT, NOT_SENT]
    assert central.of(cmd.RecordConfiguration) == []


async def test_a_line_that_breaks_in_the_middle_is_told(
    gateway: Gateway, dial: Dial, central: RecordingCentral
) -> None:
    """The change under way may have been taken: nobody answered."""
    charger = await dial()
    charger.script["ChangeConfiguration"] = lambda payload: (
        {"status": "Accepted"} if payload["key"] == "LocalPreAuthorize" else None
    )
    await charger.ask("BootNotification", {"chargePointVendor": "V", "chargePointModel": "M"})
    mending = asyncio.create_task(mender(gateway, central).mend("CP1"))
    await charger.until(lambda: len(charger.calls) == 2)
    await charger.hang_up()
    mended = await mending

    assert [one.status for one in mended] == ["Accepted", "no answer", NOT_SENT]
    assert len(central.of(cmd.RecordConfiguration)) == 1


async def test_what_cannot_be_mended_so_is_not_tried(gateway: Gateway, central: RecordingCentral) -> None:
    """A read-only key, a clock: listed, but no ChangeConfiguration helps."""
    mended = await mender(gateway, central, lambda _id: (Leak("LocalPreAuthorize", "true", "…"),)).mend("CP1")

    assert mended == []


async def test_after_mending_the_site_knows_no_leak(gateway: Gateway, dial: Dial, central: RecordingCentral) -> None:
    """The alert goes with the next look, without another boot."""
    site = Site(Policy(ZoneInfo("UTC")))
    charger = await dial()
    await charger.ask("BootNotification", {"chargePointVendor": "V", "chargePointModel": "M"})
    told = cmd.RecordConfiguration("CP1", Clock().now(), tuple(LEAKING.items()), is_complete=True)
    for command in (*central.commands, told):
        _take(site, command)
    before = leaks_of(site, "CP1")
    await mender(gateway, central, lambda charge_point_id: leaks_of(site, charge_point_id)).mend("CP1")
    for command in central.of(cmd.RecordConfiguration):
        _take(site, command)

    assert (len(before), leaks_of(site, "CP1")) == (3, ())


def _take(site: Site, command: cmd.Command) -> None:
    for change in decide(site, command).changes:
        apply(site, change)
