"""What is told of other systems that get readings and events. A destination is a name of ours, never an address."""

from collections.abc import Iterator, Sequence
from typing import Final, Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from ocpp_server.monitoring.series import PREFIX


class Loss(Protocol):
    """What was dropped before a destination had it."""

    @property
    def lost(self) -> int:
        """Entries."""
        ...


class Delivery(Protocol):
    """How the delivery to one destination stands."""

    @property
    def name(self) -> str:
        """Of the destination."""
        ...

    @property
    def state(self) -> str:
        """ok, or what it is instead."""
        ...

    @property
    def backlog(self) -> int:
        """Entries that wait."""
        ...

    @property
    def delivered(self) -> int:
        """Entries since the start."""
        ...

    @property
    def failures(self) -> int:
        """Sendings since the start that were not accepted."""
        ...

    @property
    def set_aside(self) -> int:
        """Entries that were refused and are kept."""
        ...

    @property
    def loss(self) -> Loss:
        """Entries that were dropped."""
        ...


_LABEL: Final = ("destination",)


def delivery_families(deliveries: Sequence[Delivery]) -> Iterator[Metric]:
    """Of all destinations; nothing where there is none."""
    if not deliveries:
        return
    up = _gauge("up", "Whether the last thing sent was accepted, or nothing was sent yet")
    backlog = _gauge("backlog", "Entries of the outbox that wait")
    set_aside = _gauge("set_aside", "Entries that were refused and are kept")
    delivered = _counter("delivered", "Entries that were accepted")
    failures = _counter("failures", "Sendings that were not accepted")
    lost = _counter("lost", "Entries that were dropped before it had them, ever")
    for one in deliveries:
        label = (one.name,)
        up.add_metric(label, one.state == "ok")
        backlog.add_metric(label, one.backlog)
        set_aside.add_metric(label, one.set_aside)
        delivered.add_metric(label, one.delivered)
        failures.add_metric(label, one.failures)
        lost.add_metric(label, one.loss.lost)
    yield from (up, backlog, set_aside, delivered, failures, lost)


def _gauge(name: str, text: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{PREFIX}forwarder_{name}", text, labels=_LABEL)


def _counter(name: str, text: str) -> CounterMetricFamily:
    return CounterMetricFamily(f"{PREFIX}forwarder_{name}", text, labels=_LABEL)
