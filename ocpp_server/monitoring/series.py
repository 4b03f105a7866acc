"""Counters and histograms that one event loop fills: plain dictionaries, because they stand in the way of each message.

`prometheus_client` has its own, with a lock at each step; here it only writes the text.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Final, TypeAlias

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

PREFIX: Final = "evquota_"
Labels: TypeAlias = tuple[str, ...]


class Counts:
    """A counter by labels. `known`: labels that are shown from the beginning, with 0, so that a first one is a rise."""

    def __init__(self, name: str, text: str, labels: Sequence[str], known: Iterable[Labels] = ()) -> None:
        """`name` without prefix and without `_total`."""
        self._name = PREFIX + name
        self._text = text
        self._labels = labels
        self._counts: dict[Labels, int] = dict.fromkeys(known, 0)

    def add(self, *labels: str) -> None:
        """One more."""
        self._counts[labels] = self._counts.get(labels, 0) + 1

    def family(self) -> CounterMetricFamily:
        """As it is now."""
        family = CounterMetricFamily(self._name, self._text, labels=self._labels)
        for labels, count in self._counts.items():
            family.add_metric(labels, count)
        return family


class Cell:
    """One histogram, for one set of labels. Whoever observes often keeps it at hand."""

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        """How many values fell between two bounds; the last one: above them all."""
        self.total = 0.0

    def observe(self, value: float) -> None:
        """One more value."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.total += value


class Histogram:
    """How many values were at most so large, by labels. `bounds`: rising, in the unit that the name ends with."""

    def __init__(self, name: str, text: str, bounds: Sequence[float], labels: Sequence[str] = ()) -> None:
        """`name` without prefix. One without labels is shown from the beginning."""
        self._name = PREFIX + name
        self._text = text
        self._bounds = tuple(bounds)
        self._labels = labels
        self._cells: dict[Labels, Cell] = {}
        if not labels:
            self.cell()

    def cell(self, *labels: str) -> Cell:
        """Of these labels; shown from now on."""
        cell = self._cells.get(labels)
        if cell is None:
            cell = self._cells[labels] = Cell(self._bounds)
        return cell

    def observed(self) -> dict[Labels, int]:
        """How many values, by labels."""
        return {labels: sum(cell.counts) for labels, cell in self._cells.items()}

    def family(self) -> HistogramMetricFamily:
        """As it is now."""
        family = HistogramMetricFamily(self._name, self._text, labels=self._labels)
        names = [*(str(float(bound)) for bound in self._bounds), "+Inf"]
        for labels, cell in self._cells.items():
            buckets = list(zip(names, accumulate(cell.counts), strict=True))
            family.add_metric(labels, buckets, cell.total)
        return family
