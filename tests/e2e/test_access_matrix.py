"""The access matrix: whoever does not belong gets nothing, whoever does gets in (T1, T5, T7, T8, T26).

Address classes come from a trusted proxy's `X-Forwarded-For`; each case has an id and an address of its own.
"""

import asyncio
import random
import statistics
import time
from collections import Counter

import pytest
from access_door import KEY, OTHERS_KEY, Door, Try, basic, header_of, knock, open_door
from access_rules import RULES, WAYS, Case, Shows, Standing, all_cases, rule_for
from certificates import Certificates
from running_site import SiteFactory

from ocpp_server import authorization_key
from ocpp_server.core import commands as cmd
from ocpp_server.ocpp16 import key_checker

AT_A_TIME = 6
SAMPLE = 120
"""Cases of each of the nine servers that the normal suite tries; `./run prove` tries all."""
SITES = [(unknown, least) for unknown in ("pending", "locked", "open") for least in (0, 1, 2)]


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """Hashes of KEY and OTHERS_KEY that cost little: thousands are compared here."""
    with monkeypatch.context() as cheap:
        cheap.setattr(authorization_key, "_N", 2**4)
        made = authorization_key.hash_key(KEY), authorization_key.hash_key(OTHERS_KEY)
        nobodys = authorization_key.hash_key(authorization_key.make_key())
    monkeypatch.setattr(key_checker, "_hash_of_nobody", lambda: nobodys)
    return made


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


async def run_cases(door: Door, attempts: list[Try]) -> list[str]:
    """Try all, some at a time; gives a line for each that went wrong."""
    wrong: list[str] = []
    left = iter(attempts)

    async def work() -> None:
        for attempt in left:
            await door.bring(attempt.case.standing, attempt.charge_point_id)
            found, rule = await knock(door, attempt), rule_for(attempt.case)
            if found is not rule.outcome:
                wrong.append(f"{found} instead of {rule.outcome} ({rule.text}): {attempt.case}")
            await door.do(cmd.ForgetChargePoint(door.now, attempt.charge_point_id, "test"))

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_A_TIME):
            group.create_task(work())
    return wrong


def cases_of(unknown: str, least: int) -> list[Try]:
    """All cases of one server, in an order that mixes them."""
    cases = [case for case in all_cases() if (case.unknown, case.least) == (unknown, least)]
    random.Random(f"{unknown} {least}").shuffle(cases)
    return [Try(number, case) for number, case in enumerate(cases)]


def sample_of(unknown: str, least: int) -> list[Try]:
    return cases_of(unknown, least)[:SAMPLE]


# --- the matrix ---


def test_the_sample_of_the_matrix_is_worth_its_name() -> None:
    """At least 300 cases; each pair of standing and credential, each way and each rule is in it."""
    cases = [attempt.case for unknown, least in SITES for attempt in sample_of(unknown, least)]

    assert len(cases) == len(set(cases)) >= 300
    assert {(case.standing, case.shows) for case in cases} == {(one, other) for one in Standing for other in Shows}
    assert {(case.way, case.standing) for case in cases} == {(case.way, case.standing) for case in all_cases()}
    assert {rule_for(case) for case in cases} == set(RULES)


@pytest.mark.parametrize(("unknown", "least"), SITES)
async def test_the_matrix_lets_in_who_belongs_and_nobody_else(
    site: SiteFactory, certificates: Certificates, hashes: tuple[str, str], unknown: str, least: int
) -> None:
    """0 wrong admissions and 0 wrong refusals, by rules that were written down without the server."""
    attempts = sample_of(unknown, least)
    settings = {"charger_admission": unknown, "min_security_profile": least}
    door = await open_door(site, certificates, hashes, attempts, **settings)

    assert await run_cases(door, attempts) == []


@pytest.mark.prove
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("unknown", "least"), SITES)
async def test_the_whole_matrix(
    site: SiteFactory, certificates: Certificates, hashes: tuple[str, str], unknown: str, least: int
) -> None:
    """All cells, and how often each rule decided."""
    attempts = cases_of(unknown, least)
    settings = {"charger_admission": unknown, "min_security_profile": least}
    door = await open_door(site, certificates, hashes, attempts, **settings)

    assert await run_cases(door, attempts) == []
    for text, count in Counter(rule_for(attempt.case).text for attempt in attempts).items():
        print(f"{unknown} {least}: {count:5} {text}")


# --- what is told from outside (T5) ---


@pytest.mark.parametrize(
    "shows", [Shows.NOTHING, Shows.WRONG, Shows.OTHERS_KEY, Shows.OTHER, Shows.OTHERS_NAME, Shows.MALFORMED]
)
@pytest.mark.parametrize("address", ["8.8.8.8", "100.64.7.7"])
async def test_from_outside_every_id_gets_the_same_answer(
    site: SiteFactory, certificates: Certificates, hashes: tuple[str, str], shows: Shows, address: str
) -> None:
    """T5: status, headers and body tell nobody which ids there are, nor which of them have a key."""
    attempts = [Try(n, Case(standing, shows, WAYS[0], "pending", 0)) for n, standing in enumerate(Standing)]
    door = await open_door(site, certificates, hashes, attempts)
    told = set()
    for attempt in attempts:
        await door.bring(attempt.case.standing, attempt.charge_point_id)
        header = header_of(shows, attempt.charge_point_id)
        forwarded = [("X-Forwarded-For", address), ("X-Forwarded-Proto", "https")]
        answer = await door.refusal(
            attempt.charge_point_id, *forwarded, *([("Authorization", header)] if header else [])
        )
        headers = [(name, value) for name, value in answer.headers.raw_items() if name.lower() != "date"]
        told.add((answer.status_code, tuple(headers), bytes(answer.body or b"")))

    assert len(told) == 1
    ((status, headers, body),) = told
    assert status == (404 if shows is Shows.NOTHING else 401)
    assert not any(attempt.charge_point_id in f"{headers}{body!r}" for attempt in attempts)


@pytest.mark.prove
async def test_how_long_a_refusal_takes_for_each_id(site: SiteFactory, certificates: Certificates) -> None:
    """T5: a wrong key from outside costs the same hash for every id. The figures are printed and judged by people."""
    real = authorization_key.hash_key(KEY), authorization_key.hash_key(OTHERS_KEY)
    attempts = [Try(n, Case(standing, Shows.WRONG, WAYS[0], "pending", 0)) for n, standing in enumerate(Standing)]
    door = await open_door(site, certificates, real, attempts)
    taken: dict[Standing, list[float]] = {standing: [] for standing in Standing}
    for attempt in attempts:
        await door.bring(attempt.case.standing, attempt.charge_point_id)
    for turn in range(41):
        for attempt in random.Random(turn).sample(attempts, len(attempts)):
            wrong = ("Authorization", basic(attempt.charge_point_id, b"x" * 20))
            forwarded = ("X-Forwarded-For", f"100.64.{turn + 1}.{attempt.number + 1}")
            began = time.perf_counter()
            answer = await door.refusal(attempt.charge_point_id, forwarded, wrong)
            taken[attempt.case.standing].append(1000 * (time.perf_counter() - began))
            assert answer.status_code == 401

    for standing, times in taken.items():
        low, median, high = statistics.quantiles(times[1:], n=4)
        print(f"{median:6.1f} ms ({low:.1f} to {high:.1f}): {standing.value}")
