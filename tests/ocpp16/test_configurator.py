"""What is asked of a charge point after a boot, and after a connection without one (rules 24 and 27)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from ocpp16_doubles import LIMIT_S, Charger, Listen, RecordingCentral

from ocpp_server.clock import Clock
from ocpp_server.core import commands as cmd
from ocpp_server.core.leaks import INTERVAL_KEY, POWER, REGISTER, SAMPLED_KEY
from ocpp_server.ocpp16.commands import ConfigurationKey, RemoteCalls
from ocpp_server.ocpp16.configurator import (
    PING_KEY,
    BootAsker,
    Configurator,
    WantedConfiguration,
    changes_to,
)
from ocpp_server.ocpp16.gateway import Gateway

WANTED = WantedConfiguration(meter_interval_s=60, charger_ping_interval_s=30)
RIGHT = {INTERVAL_KEY: "60", SAMPLED_KEY: REGISTER, PING_KEY: "30"}
BOOT = {"chargePointVendor": "V", "chargePointModel": "M"}


def keys(values: dict[str, str], readonly: tuple[str, ...] = ()) -> tuple[ConfigurationKey, ...]:
    return tuple(ConfigurationKey(key, value, key in readonly) for key, value in values.items())


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        (INTERVAL_KEY, "60", None),
        (INTERVAL_KEY, "1", None),
        (INTERVAL_KEY, "0", "60"),
        (INTERVAL_KEY, "61", "60"),
        (INTERVAL_KEY, "", "60"),
        (INTERVAL_KEY, "sixty", "60"),
        (INTERVAL_KEY, "-5", "60"),
        (SAMPLED_KEY, REGISTER, None),
        (SAMPLED_KEY, f"Voltage, {REGISTER.lower()}", None),
        (SAMPLED_KEY, "Voltage,Power.Active.Import", f"Voltage,Power.Active.Import,{REGISTER}"),
        (SAMPLED_KEY, "Energy.Active.Export.Register", f"Energy.Active.Export.Register,{REGISTER}"),
        (SAMPLED_KEY, "", f"{REGISTER},{POWER}"),
        (SAMPLED_KEY, " , ", f"{REGISTER},{POWER}"),
        (SAMPLED_KEY, "x" * 490, None),
        (PING_KEY, "60", None),
        (PING_KEY, "0", "30"),
        (PING_KEY, "240", "30"),
    ],
)
def test_only_what_is_not_right_is_set(key: str, value: str, wanted: str | None) -> None:
    """Rule 27; quota control needs the register, sampled often enough, and a line that is known to be alive."""
    expected = [] if wanted is None else [(key, wanted)]

    assert changes_to(keys({**RIGHT, key: value}), WANTED) == expected


def test_what_is_not_listed_or_read_only_is_not_written() -> None:
    """ABB and Growatt crash on unlisted keys."""
    wrong = {INTERVAL_KEY: "0", SAMPLED_KEY: "", PING_KEY: "0"}

    assert changes_to((), WANTED) == []
    assert changes_to(keys(wrong, readonly=tuple(wrong)), WANTED) == []
    assert changes_to(keys({PING_KEY: "0"}), WantedConfiguration(charger_ping_interval_s=0)) == []


def test_a_key_is_found_in_any_case_and_set_in_its_own() -> None:
    """Keys ignore case (OCPP 1.6 §9)."""
    assert changes_to(keys({"websocketpinginterval": "0"}), WANTED) == [("websocketpinginterval", "30")]


class Needs:
    """The charge points to look over, as the site would tell: until their configuration is recorded as complete."""

    def __init__(self, central: RecordingCentral) -> None:
        self.central = central
        self.gateway: Gateway | None = None
        self.looks: asyncio.Queue[None] = asyncio.Queue()

    def __call__(self) -> list[str]:
        assert self.gateway is not None
        self.looks.put_nowait(None)
        complete = [record for record in self.central.of(cmd.RecordConfiguration) if record.is_complete]
        is_due = len(self.central.of(cmd.BootNotification)) > len(complete) and self.gateway.is_connected("CP1")
        return ["CP1"] if is_due else []


Start = Callable[..., Awaitable[Charger]]


@pytest.fixture
def needs(central: RecordingCentral) -> Needs:
    return Needs(central)


@pytest.fixture
async def boot(listen: Listen, central: RecordingCentral, needs: Needs) -> AsyncIterator[Start]:
    """Give a function that connects and boots a charge point under a running configurator."""
    gateway = needs.gateway = await listen(factor=20.0, call_timeout_s=20 * LIMIT_S)
    clock = Clock(20.0)
    configurator = Configurator(RemoteCalls(gateway), central, clock, needs, WANTED)
    task = asyncio.create_task(configurator.run())
    chargers: list[Charger] = []

    async def start(configuration: dict[str, str] | None, **script: Any) -> Charger:
        charger = await Charger.dial(gateway.port)
        chargers.append(charger)
        charger.script.update(script)
        if configuration is not None:
            charger.script["GetConfiguration"] = _answering(configuration)
        await charger.ask("BootNotification", BOOT)
        return charger

    yield start
    assert not task.done()
    task.cancel()
    await asyncio.wait([task])
    for charger in chargers:
        await charger.hang_up()


def _answering(configuration: dict[str, str]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def answer(payload: dict[str, Any]) -> dict[str, Any]:
        asked = payload.get("key", list(configuration))
        known = [key for key in asked if key in configuration]
        return {
            "configurationKey": [{"key": key, "readonly": False, "value": configuration[key]} for key in known],
            "unknownKey": [key for key in asked if key not in known],
        }

    return answer


def records(central: RecordingCentral) -> list[cmd.RecordConfiguration]:
    return central.of(cmd.RecordConfiguration)


async def test_a_right_configuration_is_read_once_and_left_alone(boot: Start, central: RecordingCentral) -> None:
    """Rule 27: one call, its answer kept."""
    charger = await boot({**RIGHT, "Other": "x"})
    await central.until(lambda: records(central))

    assert charger.calls == [("GetConfiguration", {})]
    assert records(central)[0].is_complete
    assert dict(records(central)[0].keys) == {**RIGHT, "Other": "x"}


async def test_what_cannot_be_changed_is_told_with_it(boot: Start, central: RecordingCentral) -> None:
    """A leak behind a key that is read-only has no mend (OCPP 1.6 §7.29)."""
    listed = [{"key": key, "value": value, "readonly": key == PING_KEY} for key, value in RIGHT.items()]
    await boot(None, GetConfiguration={"configurationKey": listed})
    await central.until(lambda: records(central))

    assert records(central)[0].readonly == (PING_KEY,)


async def test_the_three_keys_are_set_and_kept(boot: Start, central: RecordingCentral) -> None:
    """Rule 27: at most these; what was refused is not kept as set."""
    charger = await boot(
        {INTERVAL_KEY: "0", SAMPLED_KEY: "Voltage", PING_KEY: "0", "LocalPreAuthorize": "true"},
        ChangeConfiguration=lambda payload: {
            "status": {INTERVAL_KEY: "RebootRequired", SAMPLED_KEY: "Rejected"}.get(payload["key"], "Accepted")
        },
    )
    await central.until(lambda: len(records(central)) == 3)

    assert charger.calls[1:] == [
        ("ChangeConfiguration", {"key": INTERVAL_KEY, "value": "60"}),
        ("ChangeConfiguration", {"key": SAMPLED_KEY, "value": f"Voltage,{REGISTER}"}),
        ("ChangeConfiguration", {"key": PING_KEY, "value": "30"}),
    ]
    assert [record.keys for record in records(central)[1:]] == [((INTERVAL_KEY, "60"),), ((PING_KEY, "30"),)]
    assert not any(record.is_complete for record in records(central)[1:])


async def test_what_a_partial_list_leaves_out_is_asked_for_by_name(boot: Start, central: RecordingCentral) -> None:
    """Growatt lists a part; only what is known then is written."""
    hidden = {INTERVAL_KEY: "900", "Other": "x"}

    def answer(payload: dict[str, Any]) -> dict[str, Any]:
        return _answering(hidden)(payload if "key" in payload else {"key": ["Other"]})

    charger = await boot(None, GetConfiguration=answer)
    await central.until(lambda: len(records(central)) == 2)

    assert charger.calls == [
        ("GetConfiguration", {}),
        ("GetConfiguration", {"key": [INTERVAL_KEY, SAMPLED_KEY]}),
        ("ChangeConfiguration", {"key": INTERVAL_KEY, "value": "60"}),
    ]


async def test_an_error_is_kept_as_an_empty_list(boot: Start, central: RecordingCentral) -> None:
    """It is not asked again until the next boot."""
    charger = await boot(None, GetConfiguration=("error", "NotImplemented"))
    await central.until(lambda: records(central))

    assert charger.calls == [("GetConfiguration", {})]
    assert (records(central)[0].keys, records(central)[0].is_complete) == ((), True)


async def test_who_never_answers_is_given_up(boot: Start, central: RecordingCentral) -> None:
    """Some crash on GetConfiguration and boot again: after three times it is not asked any more (rule 27)."""
    asked = 0
    for number in range(1, 6):
        charger = await boot(None, GetConfiguration=None)
        if number <= 3:
            await charger.until(lambda charger=charger: charger.calls)  # type: ignore[misc]
            await charger.hang_up()
        await central.until(lambda number=number: len(records(central)) == number)  # type: ignore[misc]
        asked += len(charger.calls)

    assert asked == 3
    assert all(record.keys == () and record.is_complete for record in records(central))


async def test_a_charge_point_in_hand_is_left_in_peace(boot: Start, central: RecordingCentral, needs: Needs) -> None:
    """Looking again while an answer is awaited asks nothing again."""
    charger = await boot(None, GetConfiguration=None)
    await charger.until(lambda: charger.calls)
    for _ in range(needs.looks.qsize() + 3):
        async with asyncio.timeout(LIMIT_S):
            await needs.looks.get()
    await charger.send([3, charger.call_ids[0], _answering(RIGHT)({})])
    await central.until(lambda: records(central))
    await charger.ask("Heartbeat", {})

    assert charger.called == ["GetConfiguration"]


async def test_a_session_is_not_disturbed_as_it_begins(boot: Start, central: RecordingCentral) -> None:
    """Rule 27: nothing in the first 10 s of a session, everything afterwards."""
    committed = central.hold(cmd.BootNotification)
    committed.set()
    charger = await boot(None, GetConfiguration=None)
    await charger.until(lambda: charger.calls)
    await charger.ask("StartTransaction", {"connectorId": 1, "idTag": "RFID001"})
    charger.script["GetConfiguration"] = _answering(RIGHT)
    await charger.send([3, charger.call_ids[0], _answering({INTERVAL_KEY: "0", SAMPLED_KEY: REGISTER})({})])
    await central.until(lambda: records(central))
    await charger.ask("Heartbeat", {})

    assert charger.called == ["GetConfiguration"]
    await charger.until(lambda: "ChangeConfiguration" in charger.called)


@pytest.fixture
async def ask_boots(listen: Listen) -> AsyncIterator[Gateway]:
    """A gateway under a running asker, at twenty times the speed."""
    gateway = await listen(factor=20.0, call_timeout_s=20 * LIMIT_S)
    task = asyncio.create_task(BootAsker(RemoteCalls(gateway), gateway, Clock(20.0)).run())
    yield gateway
    assert not task.done()
    task.cancel()
    await asyncio.wait([task])


async def test_who_does_not_boot_is_asked_once(ask_boots: Gateway) -> None:
    """Rule 24: Wallbox and Webasto reconnect without BootNotification; each connection is asked, after 10 s, once."""
    expected = [("TriggerMessage", {"requestedMessage": name}) for name in ("BootNotification", "StatusNotification")]
    began_at = asyncio.get_running_loop().time()
    booted, silent = await Charger.dial(ask_boots.port, "/BOOTED"), await Charger.dial(ask_boots.port, "/SILENT")
    await booted.ask("BootNotification", BOOT)
    await silent.until(lambda: silent.calls)
    assert (asyncio.get_running_loop().time() - began_at) * 20 >= 10
    await silent.until(lambda: len(silent.calls) == 2)
    other = await Charger.dial(ask_boots.port, "/OTHER")
    await other.until(lambda: len(other.calls) == 2)
    assert silent.calls == expected
    again = await Charger.dial(ask_boots.port, "/SILENT")
    again.script["TriggerMessage"] = {"status": "NotImplemented"}
    await again.until(lambda: len(again.calls) == 2)
    await again.ask("Heartbeat", {})

    assert again.calls == expected
    assert booted.calls == []
    for charger in (booted, silent, other, again):
        await charger.hang_up()
