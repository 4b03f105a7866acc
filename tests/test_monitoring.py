"""`monitoring`: the figures of single parts, where a whole server is too much to ask."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from turned_clock import LIMIT_S, TurnedClock, let_others_run

from ocpp_server.central_system import CentralSystem, CommitError
from ocpp_server.core import changes as ch
from ocpp_server.core import commands as cmd
from ocpp_server.core.decide import decide
from ocpp_server.core.site import Policy, Site, apply
from ocpp_server.monitoring import health
from ocpp_server.monitoring.health import Health
from ocpp_server.monitoring.metrics import Metrics
from ocpp_server.monitoring.series import Counts, Histogram
from ocpp_server.monitoring.site_metrics import status_family, told_statuses
from ocpp_server.publisher import Publisher
from ocpp_server.storage.memory_store import MemoryStore

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
POLICY = Policy(ZoneInfo("Europe/Istanbul"))


def samples(families: Any) -> dict[tuple[str, ...], float]:
    """Values by name without prefix and labels; only those that are not 0."""
    return {
        (one.name.removeprefix("evquota_"), *one.labels.values()): one.value
        for family in families
        for one in family.samples
        if one.value
    }


def site_after(*commands: cmd.Command) -> Site:
    site = Site(POLICY)
    for command in commands:
        for change in decide(site, command).changes:
            apply(site, change)
    return site


def test_a_histogram_counts_what_is_at_most_a_bound() -> None:
    """`le` means at most, and buckets add up, as Prometheus reads them."""
    histogram = Histogram("size", "text", (1, 2, 5))
    for size in (0, 1, 1.5, 5, 6):
        histogram.cell().observe(size)

    assert samples([histogram.family()]) == {
        ("size_bucket", "1.0"): 2,
        ("size_bucket", "2.0"): 3,
        ("size_bucket", "5.0"): 4,
        ("size_bucket", "+Inf"): 5,
        ("size_count",): 5,
        ("size_sum",): 13.5,
    }


def test_what_is_known_beforehand_begins_at_0() -> None:
    """Or the first one would be no rise, and no alert could see it."""
    counts = Counts("things", "text", ("kind",), [("a",), ("b",)])
    counts.add("b")
    counts.add("c")

    assert {one.labels["kind"]: one.value for one in counts.family().samples} == {"a": 0, "b": 1, "c": 1}


@pytest.mark.parametrize(
    ("result", "label"),
    [
        ("Accepted", "Accepted"),
        ("Rejected", "Rejected"),
        ("no answer", "no answer"),
        ("offline", "offline"),
        ("error: InternalError", "error"),
        ("error: malformed answer", "error"),
        ("Vielleicht", "other"),
        ("", "other"),
    ],
)
def test_a_stop_is_counted_by_few_words(result: str, label: str) -> None:
    """A charge point must not make labels."""
    metrics = Metrics(Site(POLICY))
    metrics.stop_attempted(result)

    assert samples(metrics.families()) == {("remote_stops_total", label): 1}


@pytest.mark.parametrize(("reason", "label"), [("Local", "Local"), ("PowerLoss", "PowerLoss"), ("Laune", "other")])
def test_a_session_is_counted_once(reason: str, label: str) -> None:
    """A StopTransaction that is repeated, or readings that come late, end nothing again; nor does a start before."""
    site = site_after(cmd.Connect("CP1", NOON), cmd.BootNotification("CP1", NOON))
    number = site.next_transaction_id
    started = cmd.StartTransaction("CP1", NOON, 1, "RFID001", 0, NOON.isoformat())
    stopped = cmd.StopTransaction("CP1", NOON, number, 100, NOON.isoformat(), reason=reason)
    metrics = Metrics(site)
    for command in (started, stopped, stopped):
        changes = decide(site, command).changes
        for change in changes:
            apply(site, change)
        metrics.changed(changes)
    metrics.changed([ch.PutTransaction(site.transactions[number])])

    assert samples(metrics.families())["sessions_total", label] == 1


@pytest.mark.parametrize(
    ("status", "sent", "failed"),
    [
        ("Accepted", 1, None),
        ("answered", 1, None),
        ("no answer", 1, "no answer"),
        ("error: NotSupported", 1, "call error"),
        ("offline", 0, None),
        ("error: too many calls are waiting", 0, None),
    ],
)
def test_a_call_is_counted_if_it_was_sent(status: str, sent: int, failed: str | None) -> None:
    """With what became of it."""
    metrics = Metrics(Site(POLICY))
    metrics.called("Reset", status, 0.1)
    told = samples(metrics.families())

    assert told.get(("ocpp_messages_total", "Reset", "sent"), 0) == sent
    assert [key[1] for key in told if key[0] == "ocpp_errors_total"] == ([failed] if failed else [])


def test_an_unknown_status_is_other() -> None:
    """Some charge points have words of their own (OCPP 1.6 §7.7)."""
    site = site_after(
        cmd.Connect("CP1", NOON),
        cmd.StatusNotification("CP1", NOON, 1, "Occupied"),
        cmd.StatusNotification("CP1", NOON, 2, "Faulted"),
    )
    told = samples([status_family(told_statuses(site))])

    assert [key[1:] for key in told if key[0] == "charger_status"] == [("CP1", "1", "other"), ("CP1", "2", "Faulted")]


class Scene:
    """A central system and a publisher on a folder, and the health of both."""

    def __init__(self, folder: Path) -> None:
        self.clock = TurnedClock()
        self.store = MemoryStore(POLICY, self.clock.now())
        self.central = CentralSystem(self.store, self.store.load())
        self.publisher = Publisher(
            self.central, folder, self.clock, status=lambda: b"{}\n", users_report=lambda: b"{}\n"
        )
        self.gateway = SimpleNamespace(is_listening=True)
        self.health = Health(folder, self.gateway, self.central, self.publisher, lambda: "")

    async def failing(self) -> list[str]:
        return [f"{one.name}: {one.detail}" for one in await self.health.checks() if not one.is_ok]

    async def alert(self, name: str) -> None:
        await self.central.handle(cmd.RaiseAlert(self.clock.now(), name, "kind", "text"))


async def test_before_anything_was_written_the_server_is_not_ready(tmp_path: Path) -> None:
    """Nor before it listens."""
    scene = Scene(tmp_path)
    scene.gateway.is_listening = False

    assert await scene.failing() == [
        "listening: no port is open for charge points",
        "files: not written since the start",
    ]


async def test_a_commit_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every charge point waits, though nothing has failed yet; when it has ended all is well, and it was measured."""
    scene = Scene(tmp_path)
    committed: list[tuple[int, float]] = []
    scene.central.listen_to_commits(lambda decisions, seconds: committed.append((decisions, seconds)))
    committing = asyncio.create_task(scene.central.run())
    await scene.publisher.publish()
    monkeypatch.setattr(health, "LONGEST_COMMIT_S", 0.0)
    assert await scene.failing() == []
    scene.store.gate = asyncio.Event()
    waiting = asyncio.gather(*(scene.alert(name) for name in "abc"))
    await let_others_run()
    assert [text.partition(" s ")[0].partition("taken")[0] for text in await scene.failing()] == [
        "ledger: a commit has "
    ]
    scene.store.gate.set()
    await waiting
    async with asyncio.timeout(LIMIT_S):
        assert await scene.failing() == []

    assert sum(decisions for decisions, _ in committed) == 3
    assert all(seconds > 0 for _, seconds in committed)
    committing.cancel()


async def test_a_commit_that_failed(tmp_path: Path) -> None:
    """Nothing is taken any more."""
    scene = Scene(tmp_path)
    committing = asyncio.create_task(scene.central.run())
    await scene.publisher.publish()
    scene.store.failure = OSError(28, "No space left on device")
    with pytest.raises(CommitError):
        await scene.alert("a")

    assert await scene.failing() == ["ledger: a commit failed: the server ends"]
    await asyncio.gather(committing, return_exceptions=True)


async def test_the_lag_is_that_of_the_oldest_change(tmp_path: Path) -> None:
    """It grows until the files show the change, also while they are being written, and is 0 then."""
    scene = Scene(tmp_path)
    committing = asyncio.create_task(scene.central.run())
    await scene.publisher.publish()
    lags = [scene.publisher.lag_s()]
    await scene.alert("a")
    await scene.clock.advance(5)
    await scene.alert("b")
    await scene.clock.advance(5)
    lags.append(scene.publisher.lag_s())
    scene.store.gate = asyncio.Event()
    changing = asyncio.create_task(scene.alert("c"))
    await let_others_run()
    publishing = asyncio.create_task(scene.publisher.publish())
    await scene.clock.advance(5)
    lags.append(scene.publisher.lag_s())
    scene.store.gate.set()
    await asyncio.gather(changing, publishing)
    lags.append(scene.publisher.lag_s())

    assert lags == [0, 10, 15, 0]
    assert scene.publisher.published_ago_s() == 5
    committing.cancel()
