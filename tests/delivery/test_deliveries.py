"""`storage.deliveries` and `delivery.reading_outbox`: positions, pages, what is dropped and who has lost it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from outgoing import T0, Outgoing

from ocpp_server.delivery.outbox import DEFAULT, UNWANTED
from ocpp_server.delivery.reading_outbox import ReadingOutbox
from ocpp_server.storage.deliveries import Loss, SetAside
from ocpp_server.storage.documents import reading_document
from ocpp_server.storage.errors import LedgerError

FORWARDER = ("forwarder", "readings")


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Outgoing]:
    """A ledger with the readings 1 to 9 of A, B, C in turn."""
    site = Outgoing(tmp_path)
    site.open()
    await site.add(*"ABC" * 3)
    yield site
    await site.end()


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ({DEFAULT: 0}, [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ({DEFAULT: 5}, [6, 7, 8, 9]),
        ({DEFAULT: 5, "A": 7}, [6, 8, 9]),
        ({DEFAULT: 5, "B": 0}, [2, 5, 6, 7, 8, 9]),
        ({DEFAULT: 5, "A": UNWANTED, "C": 8}, [8, 9]),
        ({DEFAULT: UNWANTED, "B": 2}, [5, 8]),
        ({DEFAULT: UNWANTED, "B": 2, "X": 0}, [5, 8]),
    ],
)
async def test_a_page_is_what_is_behind_the_positions(
    site: Outgoing, after: dict[str, int], expected: list[int]
) -> None:
    """By lane; a lane without a position has the one of all others."""
    outbox = ReadingOutbox(site.deliveries, site.site)

    assert [item.number for item in outbox.page(after, 100)] == expected
    assert outbox.count(after) == len(expected)
    assert [item.number for item in outbox.page(after, 2)] == expected[:2]


async def test_a_reading_is_the_object_of_the_meter_log(site: Outgoing) -> None:
    """With its ID as the key."""
    item = ReadingOutbox(site.deliveries, site.site).page({DEFAULT: 0}, 1)[0]

    assert item.body == reading_document(site.site, site.site.readings[0])
    assert (item.lane, item.key) == ("A", item.body["ID"])


async def test_positions_are_replaced_as_a_whole(site: Outgoing) -> None:
    """Also after the ledger was opened again, which keeps its markers: they speak of commits."""
    await site.deliveries.note(*FORWARDER, {"": 5, "A": 7})
    await site.deliveries.note(*FORWARDER, {"": 6, "B": 2})
    site.ledger.mark_clean({})
    await site.deliveries.note(*FORWARDER, {"": 7})
    await site.end()
    site.open()

    assert site.deliveries.positions(*FORWARDER) == {"": 7}
    assert site.ledger.was_clean


async def test_a_drop_counts_for_each_destination_what_it_had_not_had(site: Outgoing) -> None:
    """In the same transaction; twice adds up."""
    await site.deliveries.note(*FORWARDER, {"": 2, "A": 4})
    await site.deliveries.note("other", "readings", {"": 9})
    await site.deliveries.note("webhook-1", "events", {"": 0})

    assert await site.deliveries.drop("readings", 5, T0) == {"forwarder": 2, "other": 0}
    assert await site.deliveries.drop("readings", 6, T0) == {"forwarder": 1, "other": 0}
    assert site.deliveries.loss(*FORWARDER) == Loss(3, T0, T0)
    assert site.deliveries.loss("other", "readings") == Loss()
    assert site.deliveries.loss("webhook-1", "events") == Loss()


async def test_what_is_too_much_is_found_by_its_size(site: Outgoing) -> None:
    """The newest stay in any case."""
    sizes = site.deliveries.read(lambda db: [row[0] for row in db.execute("SELECT length(document) FROM readings")])

    assert site.deliveries.beyond("readings", sum(sizes), 0) == 0
    assert site.deliveries.beyond("readings", sum(sizes) - 1, 0) == 1
    assert site.deliveries.beyond("readings", sum(sizes[-2:]), 0) == 7
    assert site.deliveries.beyond("readings", 0, 4) == 5
    assert site.deliveries.beyond("readings", 0, 9) == 0


async def test_what_was_set_aside_is_bounded_and_the_rest_is_lost(
    site: Outgoing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest go, and count."""
    monkeypatch.setattr("ocpp_server.storage.deliveries.MOST_SET_ASIDE", 3)
    for number in range(1, 6):
        await site.deliveries.set_aside(*FORWARDER, SetAside(number, "A", "k", T0, "HTTP 400", False, {"n": number}))

    assert [one.number for one in site.deliveries.aside(*FORWARDER)] == [5, 4, 3]
    assert site.deliveries.loss(*FORWARDER).lost == 2
    assert site.deliveries.count_aside(*FORWARDER) == 3
    assert [one.number for one in site.deliveries.aside(*FORWARDER, before=5, limit=1)] == [4]


async def test_a_ledger_that_is_closed_or_gone_is_an_error_of_the_ledger(site: Outgoing) -> None:
    """Which the engine waits out."""
    await site.end()
    with pytest.raises(LedgerError, match="not open any more"):
        await site.deliveries.note(*FORWARDER, {"": 1})
    site.deliveries.path = site.path / "nowhere"
    with pytest.raises(LedgerError, match="cannot be read"):
        site.deliveries.newest("readings")
