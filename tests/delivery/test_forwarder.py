"""`forwarder` on a real receiver: what is posted, with which key, one by one or as arrays."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from canaries import CANARY_SECRET
from hostile_receiver import Receiver, status
from outgoing import EAGER, T0, Outgoing

from ocpp_server.delivery.destination import Accepted, Failed, Unauthorized
from ocpp_server.delivery.outbox import Item
from ocpp_server.delivery.pace import DeliveryOptions
from ocpp_server.env_file import SettingsError
from ocpp_server.forwarder import Forwarder, batch_key
from ocpp_server.settings import load_settings

ITEMS = [Item(number, "A", f"key-{number}", {"ID": f"key-{number}", "userName": "Jöhn \ud83d"}) for number in (1, 2)]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """Listens on a port of its own."""
    async with Receiver().listening() as receiver:
        yield receiver


async def sent(receiver: Receiver, items: list[Item], **options: Any) -> Any:
    forwarder = Forwarder(receiver.url, lambda: T0, **options)
    try:
        return await forwarder.send(items)
    finally:
        await forwarder.close()


async def test_a_reading_is_posted_as_it_is_in_the_meter_log(receiver: Receiver) -> None:
    """With its ID as Idempotency-Key, and the key as a bearer token."""
    assert await sent(receiver, ITEMS[:1], key=CANARY_SECRET) == Accepted()
    (request,) = receiver.requests

    assert request["request"] == "POST /readings HTTP/1.1"
    assert (request["authorization"], request["idempotency-key"]) == (f"Bearer {CANARY_SECRET}", "key-1")
    assert request["content-type"] == "application/json"
    assert receiver.bodies == [{"ID": "key-1", "userName": "Jöhn \\ud83d"}]


async def test_header_and_word_can_be_chosen(receiver: Receiver) -> None:
    """Or there is no key at all."""
    await sent(receiver, ITEMS[:1], key="k", header="X-Api-Key", scheme="")
    await sent(receiver, ITEMS[:1])

    assert receiver.requests[0]["x-api-key"] == "k"
    assert "authorization" not in receiver.requests[0]
    assert not {"x-api-key", "authorization"} & receiver.requests[1].keys()


async def test_a_batch_is_an_array_with_a_key_of_its_own(receiver: Receiver) -> None:
    """Also of one, so that the receiver need not tell two shapes apart; the same readings have the same key."""
    await sent(receiver, ITEMS, is_batch=True)
    await sent(receiver, ITEMS, is_batch=True)
    await sent(receiver, ITEMS[:1], is_batch=True)
    keys = [request["idempotency-key"] for request in receiver.requests]

    assert [len(body) for body in receiver.bodies] == [2, 2, 1]
    assert keys[0] == keys[1] == batch_key(["key-1", "key-2"]) != keys[2]


async def test_a_key_in_a_file_is_read_again_after_a_refusal(receiver: Receiver, tmp_path: Path) -> None:
    """So that a new one needs no restart, only a resume."""
    file = tmp_path / "key"
    file.write_text("old\n")
    forwarder = Forwarder(receiver.url, lambda: T0, key_file=file)
    receiver.answers = [status(200), status(401)]
    outcomes = [await forwarder.send(ITEMS[:1]) for _ in range(2)]
    file.write_text("new\n")
    outcomes.append(await forwarder.send(ITEMS[:1]))
    await forwarder.close()

    assert outcomes == [Accepted(), Unauthorized("HTTP 401"), Accepted()]
    assert [request["authorization"] for request in receiver.requests] == ["Bearer old", "Bearer old", "Bearer new"]


@pytest.mark.parametrize("content", [None, b"", b"k\x00y\n", b"\xff\xfe\n", "schlüssel".encode()])
async def test_a_key_file_that_cannot_be_used_is_a_failure_of_the_forwarder_alone(
    receiver: Receiver, tmp_path: Path, content: bytes | None
) -> None:
    """The server charges on; nothing is sent without the key."""
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content)

    outcome = await sent(receiver, ITEMS[:1], key_file=file)

    assert isinstance(outcome, Failed)
    assert outcome.reason.startswith("the file of the API key cannot be used")
    assert receiver.requests == []


async def test_a_backlog_goes_through_a_moody_receiver(receiver: Receiver, tmp_path: Path) -> None:
    """Each answer that is none, then good ones: everything arrives, in order by charge point."""
    site = Outgoing(tmp_path)
    site.open()
    site.deliver(Forwarder(receiver.url, lambda: T0, is_batch=True), options=DeliveryOptions(4, 5, EAGER.jitter))
    await site.until_begun()
    receiver.answers = [status(500), status(429, "Retry-After: 3"), status(302, "Location: /"), status(503)]
    await site.add(*"ABCDE" * 40)
    await site.until(lambda: len(receiver.ids) >= 200, step_s=1)
    await site.until(lambda: site.engine.status().backlog == 0)
    await site.end()

    assert len(set(receiver.ids)) == 200
    for name in "ABCDE":
        registers = [one["deliveredEnergy"] for one in receiver.documents if one["chargerName"] == name]
        assert registers == sorted(registers)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (f"EVQUOTA_FORWARD_URL=http://example.org/{CANARY_SECRET}", "EVQUOTA_FORWARD_URL is not encrypted"),
        (f"EVQUOTA_FORWARD_URL=https://u:{CANARY_SECRET}@example.org/", "holds a user or a password"),
        (f"EVQUOTA_FORWARD_URL=ftp://example.org/{CANARY_SECRET}", "no URL of the web"),
        (f"EVQUOTA_FORWARD_URL=https://[{CANARY_SECRET}", "EVQUOTA_FORWARD_URL is no URL"),
        ("EVQUOTA_FORWARD_URL=https://", "no URL of the web"),
        (f'EVQUOTA_FORWARD_API_KEY="{CANARY_SECRET}ğ"', "holds signs that no header may have"),
        (f"EVQUOTA_FORWARD_API_KEY={CANARY_SECRET}\nEVQUOTA_FORWARD_API_KEY_FILE=key", "set only one of them"),
    ],
    ids=range(7),
)
def test_settings_that_are_wrong_are_told_without_their_secret(tmp_path: Path, lines: str, words: str) -> None:
    """They stop the start."""
    env_file = tmp_path / ".env"
    env_file.write_text(lines, encoding="utf-8")
    with pytest.raises(SettingsError, match=words) as told:
        load_settings(env_file)

    assert CANARY_SECRET not in str(told.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/a?b=c",
        "http://localhost:8000/",
        "http://127.0.0.1/",
        "http://[::1]:80/",
        "http://192.168.1.5/",
    ],
)
def test_addresses_that_may_be_used(tmp_path: Path, url: str) -> None:
    """https everywhere, http on this machine and at numbers of private networks; elsewhere it must be allowed."""
    env_file = tmp_path / ".env"
    env_file.write_text(f"EVQUOTA_FORWARD_URL={url}\n")
    assert load_settings(env_file).forward_url == url
    env_file.write_text("EVQUOTA_FORWARD_URL=http://example.org/\nEVQUOTA_FORWARD_ALLOW_HTTP=true\n")
    assert load_settings(env_file).forward_url == "http://example.org/"
