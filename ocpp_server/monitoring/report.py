"""Puts together what monitoring is told: everything counted, read off the state, and known of the machine."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, Protocol

from prometheus_client import ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from ocpp_server import __version__
from ocpp_server.clock import Clock
from ocpp_server.core.commands import TableState
from ocpp_server.core.site import Site
from ocpp_server.monitoring.delivery_metrics import Delivery, delivery_families
from ocpp_server.monitoring.health import free_bytes
from ocpp_server.monitoring.metrics import Metrics
from ocpp_server.monitoring.series import PREFIX
from ocpp_server.monitoring.site_metrics import site_families, status_family, told_statuses

_NAMESPACE: Final = PREFIX.removesuffix("_")


class Publisher(Protocol):
    """Writes the files in data/."""

    failures: int

    def lag_s(self) -> float:
        """Real seconds for which the oldest change waits for its files; 0: all are written."""
        ...


class CentralSystem(Protocol):
    """Writes the ledger."""

    site: Site

    @property
    def is_writable(self) -> bool:
        """No commit has failed."""
        ...


class MetricsReport:
    """The answer to /metrics."""

    def __init__(
        self,
        metrics: Metrics,
        central: CentralSystem,
        clock: Clock,
        data_dir: Path,
        publisher: Publisher,
        *,
        connections: Callable[[], int],
        tables: Callable[[], Sequence[TableState]],
        deliveries: Callable[[], Sequence[Delivery]] = tuple,
    ) -> None:
        self._metrics = metrics
        self._central = central
        self._clock = clock
        self._data_dir = data_dir
        self._publisher = publisher
        self._connections = connections
        self._tables = tables
        self._deliveries = deliveries
        self._energy_told: dict[str, int] = {}
        self._process = ProcessCollector(namespace=_NAMESPACE, registry=None)

    async def text(self, accept: str) -> tuple[bytes, str]:
        """The text in the format that an Accept header asks for, and its content type."""
        encode, content_type = choose_encoder(accept)
        free = await asyncio.to_thread(free_bytes, self._data_dir)
        collected = _Collected(list(self._families(free)), told_statuses(self._central.site))
        # the text of 200 charge points takes longer than a message may wait
        return await asyncio.to_thread(encode, collected), content_type

    def _families(self, free: int | None) -> Iterator[Metric]:
        yield InfoMetricFamily(f"{PREFIX}build", "Which evquota this is", value={"version": __version__})
        yield from site_families(self._central.site, self._clock, self._energy_told)
        yield from self._metrics.families()
        yield from self._files(free)
        yield GaugeMetricFamily(f"{PREFIX}connections", "Connected charge points", value=self._connections())
        yield from delivery_families(self._deliveries())
        yield from self._process.collect()

    def _files(self, free: int | None) -> Iterator[Metric]:
        publisher = self._publisher
        yield _counter("state_write_failures", "Commits that failed: the server ends", not self._central.is_writable)
        yield _gauge("publish_lag_seconds", "How long the oldest change waits for its files", publisher.lag_s())
        yield _counter("publish_failures", "Times that a file in data/ could not be written", publisher.failures)
        if free is not None:
            yield _gauge("disk_free_bytes", "Free on the disk of the data folder", free)
        reloaded, good = (GaugeMetricFamily(PREFIX + name, text, labels=("file",)) for name, text in _OF_TABLES)
        for name, at in self._metrics.reloaded_at().items():
            reloaded.add_metric((name,), at)
        for table in self._tables():
            good.add_metric((table.name,), not table.error)
        yield from (reloaded, good)


_OF_TABLES: Final = (
    ("config_reload_timestamp_seconds", "Unix time since when the rows of a table are in force"),
    ("config_good", "Whether a table can be used; its last good rows stay in force"),
)


class _Collected(Collector):
    """What was collected on the event loop, for the encoder in a thread."""

    def __init__(self, families: Sequence[Metric], statuses: Sequence[tuple[str, str, str]]) -> None:
        self._families = families
        self._statuses = statuses

    def collect(self) -> Iterator[Metric]:
        """As it was."""
        yield from self._families
        yield status_family(self._statuses)


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(PREFIX + name, text, value=value)


def _counter(name: str, text: str, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(PREFIX + name, text, value=value)
