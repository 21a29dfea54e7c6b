"""Counters and histograms that cost what they must: a dictionary look-up, no lock.

The client library's own take a lock and build label objects at each count, ten times the cost,
and five of them are moved per delivery. These are moved by the event loop's thread alone and
given to the library when somebody scrapes, which then exposes them like any other.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector


class Tally(Collector):
    """A counter by label values."""

    def __init__(
        self, registry: CollectorRegistry, name: str, words: str, labels: Sequence[str]
    ) -> None:
        self._name = name
        self._words = words
        self._labels = labels
        # Without labels there is one series, and it is there from the start.
        self._counts: dict[tuple[str, ...], float] = {} if labels else {(): 0.0}
        registry.register(self)

    def add(self, *labels: str, count: float = 1.0) -> None:
        """Count *count* more under these label values."""
        self._counts[labels] = self._counts.get(labels, 0.0) + count

    def collect(self) -> Iterator[Metric]:
        """See Collector."""
        family = CounterMetricFamily(self._name, self._words, labels=self._labels)
        for labels, count in self._counts.items():
            family.add_metric(labels, count)
        yield family


class Spread(Collector):
    """A histogram by label values."""

    def __init__(
        self,
        registry: CollectorRegistry,
        name: str,
        words: str,
        labels: Sequence[str],
        *,
        buckets: Sequence[float],
    ) -> None:
        assert list(buckets) == sorted(buckets)
        self._name = name
        self._words = words
        self._labels = labels
        self._buckets = buckets
        self._series: dict[tuple[str, ...], tuple[list[int], list[float]]] = {}
        if not labels:
            self._series[()] = self._empty()
        registry.register(self)

    def add(self, value: float, *labels: str) -> None:
        """Count one *value* under these label values."""
        series = self._series.get(labels)
        if series is None:
            series = self._series[labels] = self._empty()
        counts, total = series
        counts[bisect_left(self._buckets, value)] += 1
        total[0] += value

    def collect(self) -> Iterator[Metric]:
        """See Collector."""
        family = HistogramMetricFamily(self._name, self._words, labels=self._labels)
        bounds = [*map(repr, map(float, self._buckets)), "+Inf"]
        for labels, (counts, total) in self._series.items():
            below, buckets = 0, []
            for bound, count in zip(bounds, counts, strict=True):
                below += count
                buckets.append((bound, below))
            family.add_metric(labels, buckets, sum_value=total[0])
        yield family

    def _empty(self) -> tuple[list[int], list[float]]:
        return [0] * (len(self._buckets) + 1), [0.0]
