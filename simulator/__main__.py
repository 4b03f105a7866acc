"""`python -m simulator`: one simulated charge point, or a whole demo site, until it is done or told to end."""

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Coroutine
from dataclasses import fields
from typing import Any

from simulator.behaviour import ABSENT, Absent, Behaviour, FirmwareFault
from simulator.brands import BRANDS
from simulator.charge_point import SimulatedChargePoint
from simulator.charging import SwipeRefusedError
from simulator.clock import Clock, SimulatorClock, first_of
from simulator.meter import FaultKind, MeterFault
from simulator.site import DemoSite


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    """The command line; ends the process with a message if it makes no sense."""
    parser = argparse.ArgumentParser(prog="python -m simulator", description=__doc__)
    parser.add_argument("--url", default="ws://127.0.0.1:9000", help="the central system, without the charger id")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--demo", action="store_true", help="a site of a dozen charge points with random drivers")
    what.add_argument("--charger-id", help="a single charge point")
    parser.add_argument("--brand", choices=sorted(BRANDS), default="generic")
    parser.add_argument("--password", help="of the charge point, for HTTP basic authentication")
    parser.add_argument("--tag", help="charge once with this tag, then end; without it stay connected")
    parser.add_argument("--kw", type=float, default=11.0)
    parser.add_argument("--minutes", type=float, default=30.0, help="how long the car charges, in simulated minutes")
    parser.add_argument("--seed", type=int, default=1, help="of the demo's drivers")
    parser.add_argument("--frames", action="store_true", help="log every frame")
    _add_misbehaviours(parser.add_argument_group("misbehaviours (see simulator/behaviour.py)"))
    return parser.parse_args(arguments)


def behaviour_of(parsed: argparse.Namespace) -> Behaviour:
    """The misbehaviours asked for on the command line."""
    asked = {field.name: getattr(parsed, field.name) for field in fields(Behaviour)}
    return Behaviour(**{name: value for name, value in asked.items() if value is not None})


def _add_misbehaviours(group: argparse._ArgumentGroup) -> None:
    special: dict[str, Callable[[str], object]] = {
        "wrong_transaction_id": _transaction_id,
        "stop_transaction_id": int,
        "remote_stop_failures": int,
    }
    for field in fields(Behaviour):
        flag = "--" + field.name.replace("_", "-")
        if field.name == "meter_faults":
            group.add_argument(
                flag, type=_meter_faults, metavar="KIND@SECONDS,...", help=f"KIND: {', '.join(FaultKind)}"
            )
        elif field.name in special:
            group.add_argument(flag, type=special[field.name], metavar="ID" if "id" in field.name else "TIMES")
        elif field.name == "firmware_fault":
            group.add_argument(flag, type=FirmwareFault, choices=list(FirmwareFault))
        elif isinstance(field.default, tuple):
            group.add_argument(flag, type=_actions, metavar="ACTION,...")
        elif isinstance(field.default, bool):
            group.add_argument(flag, action="store_true", default=None)
        else:
            group.add_argument(flag, type=float, metavar="NUMBER")


def _transaction_id(text: str) -> int | str | Absent:
    """`absent`, a number, or any other text."""
    if text == ABSENT.value:
        return ABSENT
    return int(text) if text.removeprefix("-").isdecimal() else text


def _actions(text: str) -> tuple[str, ...]:
    """`Reset,UnlockConnector` as names of actions."""
    return tuple(text.split(","))


def _meter_faults(text: str) -> tuple[MeterFault, ...]:
    """`restart@600,zero@900` as faults."""
    parts = [part.partition("@") for part in text.split(",")]
    return tuple(MeterFault(FaultKind(kind), float(seconds)) for kind, _, seconds in parts)


async def charge_once(parsed: argparse.Namespace, clock: Clock) -> None:
    """Boot, charge with the tag if there is one, stop, end; without a tag stay connected."""
    charge_point = SimulatedChargePoint(
        parsed.charger_id,
        parsed.url,
        BRANDS[parsed.brand],
        clock,
        behaviour_of(parsed),
        password=parsed.password,
        narrate=lambda line: _print_event(clock, parsed.charger_id, line),
    )
    await charge_point.open()
    try:
        await charge_point.booted()
        if parsed.tag is None:
            await asyncio.Event().wait()
        session = await charge_point.plug_in_and_swipe(1, parsed.tag, parsed.kw * 1000)
        await first_of(session.unplugged, clock.sleep(parsed.minutes * 60))
        await charge_point.stop(1)
        await charge_point.drained(timeout_s=60)
    except SwipeRefusedError:
        return
    finally:
        await charge_point.close()


async def run_until_signalled(work: Coroutine[Any, Any, None]) -> None:
    """Run until the work is done or SIGTERM or SIGINT comes; either way everything is closed."""
    signalled = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signalled.set)
    task = asyncio.create_task(work)
    await first_of(asyncio.shield(task), signalled.wait())
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        print("ended", flush=True)


def _print_event(clock: Clock, charger_id: str, line: str) -> None:
    print(f"{clock.now():%Y-%m-%d %H:%M:%S}  {charger_id:<26} {line}", flush=True)


def main(arguments: list[str]) -> int:
    """Run what the command line asks for; 0 at the end and after a signal."""
    parsed = parse_arguments(arguments)
    logging.basicConfig(format="%(message)s", level=logging.INFO if parsed.frames else logging.ERROR)
    clock = SimulatorClock.from_environment()
    if parsed.demo:
        site = DemoSite(parsed.url, clock, parsed.seed, lambda charger, line: _print_event(clock, charger, line))
        work = site.run()
    else:
        work = charge_once(parsed, clock)
    asyncio.run(run_until_signalled(work))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
