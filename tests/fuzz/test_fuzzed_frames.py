"""Fuzzed frames on real sockets: no dead connection, no unhandled exception, and the next good message is answered."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from hostile_frames import CLASSICS, hostile_answers, mutated, structured
from hostile_site import LIMIT_S, HostileConnection, HostileSite, Way, open_site, resident_bytes
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from nearly_right import nearly_right_frames
from stepped_clock import RestfulLoop

pytestmark = pytest.mark.timeout(300)  # some seconds, but for a machine that has a lot to do beside it
SiteFactory = Callable[..., Awaitable[HostileSite]]
CONNECTIONS = 8
LARGE = 250_000
SHOTS = 15
MOST_GROWTH = 20 * 1024 * 1024
MASK = b"\x00\x00\x00\x00"
BROKEN_HEADS = {
    "reserved bit": b"\xc1\x80" + MASK,
    "reserved opcode": b"\x83\x80" + MASK,
    "no mask": b"\x81\x05hello",
    "continuation of nothing": b"\x80\x80" + MASK,
    "text within a fragmented text": b"\x01\x81" + MASK + b"a" + b"\x81\x81" + MASK + b"b",
    "ping of 126 bytes": b"\x89\xfe\x00\x7e" + MASK + b"p" * 126,
    "ping in fragments": b"\x09\x80" + MASK,
    "length of 2**63": b"\x81\xff" + b"\xff" * 8 + MASK,
    "more than the largest message": b"\x81\xff" + (3 * 2**20).to_bytes(8, "big") + MASK,
    "close with half a code": b"\x88\x81" + MASK + b"a",
    "close with code 5": b"\x88\x82" + MASK + b"\x00\x05",
    "close with wrong UTF-8": b"\x88\x84" + MASK + b"\x03\xe8\xff\xfe",
}


async def bombard(site: HostileSite, attackers: list[HostileConnection], rng: random.Random, frames: int) -> None:
    """Volleys on all connections at once; between them the honest session goes on."""
    fire = [mutated, structured]
    sent = sum(attacker.sent for attacker in attackers)
    while sum(attacker.sent for attacker in attackers) - sent < frames:
        for _ in range(10):
            volleys = [[rng.choice(fire)(rng) for _ in range(SHOTS)] for _ in attackers]
            await asyncio.gather(*(one.volley(shots) for one, shots in zip(attackers, volleys, strict=True)))
        await site.honest_reading()


async def attackers_of(site: HostileSite, seed: int) -> list[HostileConnection]:
    attackers = [await site.hostile(f"FUZZ-{number}") for number in range(CONNECTIONS)]
    for number, attacker in enumerate(attackers):
        attacker.answers = hostile_answers(seed + number)
    return attackers


async def test_mutated_and_misshapen_frames(hostile_site: SiteFactory) -> None:
    """T9: every frame that is a CALL is answered, every good message too, and nobody else notices anything."""
    site = await hostile_site()
    attackers = await attackers_of(site, 1)

    await bombard(site, attackers, random.Random(1), 3_000)

    await site.conclude()
    assert sum(attacker.asked for attacker in attackers) > 0


@pytest.mark.prove
@pytest.mark.timeout(3600)
async def test_200000_mutated_and_misshapen_frames(
    hostile_site: SiteFactory, record_property: Callable[[str, object], None]
) -> None:
    """T9: as above, and the memory of the process does not grow by 20 MB."""
    site = await hostile_site()
    attackers = await attackers_of(site, 2)
    rng = random.Random(2)

    await bombard(site, attackers, rng, 40_000)
    before = resident_bytes()
    await bombard(site, attackers, rng, 160_000)
    growth = resident_bytes() - before
    record_property("growth_bytes", growth)
    closed = sum((attacker.closed for attacker in attackers), Counter[int | None]())
    sessions = len(site.running.server.central.site.transactions)
    print(
        f"\ngrowth {growth / 2**20:.1f} MB, {sessions} sessions, closed {dict(closed)}, {site.errors.lines} log lines"
    )

    await site.conclude()
    assert growth < MOST_GROWTH


@pytest.mark.parametrize("how", ["text", "binary", "fragments"])
async def test_the_classics(hostile_site: SiteFactory, how: Way) -> None:
    """T9, T14: as text, as binary messages, and in fragments with a ping between them; each is survived."""
    site = await hostile_site()
    attacker = await site.hostile("FUZZ-1")

    for raw in CLASSICS.values():
        if how == "text" or len(raw) <= LARGE:
            await attacker.volley([raw], how)
    await site.honest_reading()

    await site.conclude()


async def test_what_is_no_websocket_ends_its_own_connection_alone(hostile_site: SiteFactory) -> None:
    """RFC 6455 §5: reserved bits and opcodes, no mask, a fragment of nothing, endless control frames: it is closed."""
    site = await hostile_site()

    for number, head in enumerate(BROKEN_HEADS.values()):
        attacker = await site.hostile(f"FUZZ-{number}")
        attacker.socket.transport.write(head)
        async with asyncio.timeout(LIMIT_S):
            await attacker.socket.wait_closed()
        again = await site.hostile(f"FUZZ-{number}")
        assert list(await again.volley([b'[2,"1","Heartbeat",{}]'])) == ["1"]
    await site.honest_reading()

    await site.conclude()


def exchange_in(folder: Path, examples: int) -> int:
    """Frames that hypothesis makes, in volleys to a server that lives for all of them; gives how many were sent."""
    phases = (Phase.explicit, Phase.generate, Phase.shrink)

    with asyncio.Runner(loop_factory=RestfulLoop) as runner:
        site = runner.run(open_site(folder))
        attacker = runner.run(site.hostile("FUZZ-1"))

        @settings(max_examples=examples, phases=phases, suppress_health_check=list(HealthCheck), derandomize=True)
        @given(st.lists(nearly_right_frames(), min_size=1, max_size=19))
        def survives(shots: list[bytes]) -> None:
            runner.run(attacker.volley(shots))
            runner.run(site.honest_heartbeat())

        try:
            survives()
            runner.run(site.honest_reading())
            runner.run(site.conclude())
        finally:
            runner.run(site.close())
    return attacker.sent


def test_frames_of_hypothesis(tmp_path: Path) -> None:
    """T9: structures that nearly are messages of OCPP 1.6."""
    assert exchange_in(tmp_path / "data", 15) > 30


@pytest.mark.prove
@pytest.mark.timeout(3600)
def test_many_frames_of_hypothesis(tmp_path: Path) -> None:
    """T9: the same, many times."""
    sent = exchange_in(tmp_path / "data", 1500)
    print(f"\n{sent} frames")
    assert sent > 5_000
